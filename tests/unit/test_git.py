"""Stories of keyturn.git on real repositories: what it reads, what it writes, who wins a race."""

from __future__ import annotations

import gc
import io
import os
import re
import shutil
import subprocess
import sys
import threading
import zlib
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from keyturn.errors import EnvironmentFault, ExitCode, RefusedError, UsageError
from keyturn.git import (
    Git,
    GitError,
    Identity,
    PushRejected,
    RefUpdate,
    blob_id,
    check_path,
    displaced,
    valid_branch,
)

ALICE = Identity("alice", "alice@example.org")
BOB = Identity("bob", "bob@example.org")
NOON = datetime(2026, 3, 21, 12, tzinfo=timezone.utc)
MAIN = "refs/heads/main"
EVENT = "refs/heads/sign/release"
ABSENT = "0123456789" * 4


@pytest.fixture(autouse=True)
def _own_git_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text("[user]\n\tname = Alice A.\n\temail = alice@example.org\n")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / ".config"))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(home / ".gitconfig"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")


@pytest.fixture(scope="session")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One bare and one other repository to copy, which is faster than making them again and again."""
    place = tmp_path_factory.mktemp("empty")
    Git.init(place / "bare", bare=True)
    Git.init(place / "clone", bare=False)
    return place


@pytest.fixture
def remote(tmp_path: Path, empty: Path) -> Git:
    return Git(shutil.copytree(empty / "bare", tmp_path / "remote.git"))


@pytest.fixture
def clone_of(tmp_path: Path, empty: Path, remote: Git) -> Iterator[Callable[[str], Git]]:
    made: list[Git] = []

    def clone(name: str) -> Git:
        git = Git(shutil.copytree(empty / "clone", tmp_path / name))
        with (git.directory / ".git" / "config").open("a") as config:
            config.write(f'[remote "origin"]\n\turl = {remote.directory}\n')
        made.append(git)
        return git

    yield clone
    for git in made:
        git.close()


@pytest.fixture
def repo(clone_of: Callable[[str], Git]) -> Git:
    return clone_of("alice")


def commit(git: Git, changes: Mapping[str, bytes | None], *parents: str, message: str = "change") -> str:
    tree = git.write_tree(parents[0] if parents else None, changes)
    return git.commit_tree(tree, parents, message, author=ALICE, when=NOON)


def content(git: Git, treeish: str) -> dict[str, bytes]:
    return {leaf.path: git.read_blob(leaf.oid) for leaf in git.list_tree(treeish)}


def hook(git: Git, name: str, script: str) -> None:
    common = Path(os.fsdecode(git.run("rev-parse", "--absolute-git-dir")).strip())
    file = common / "hooks" / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)


def hostile_object(git: Git, kind: str, data: bytes) -> str:
    """An object that no well-behaved git would write."""
    command = ("hash-object", "-w", "-t", kind, "--literally", "--stdin")
    return os.fsdecode(git.run(*command, stdin=data)).strip()


def environment_of_git(git: Git) -> dict[str, str]:
    printed = git.run("-c", "alias.environment=!env", "environment")
    return dict(line.partition("=")[::2] for line in os.fsdecode(printed).splitlines())


# Opening and making repositories


def test_the_repository_is_found_from_a_directory_below_its_top(repo: Git) -> None:
    below = repo.directory / "a" / "b"
    below.mkdir(parents=True)
    assert Git.open(below).directory == repo.directory


def test_a_bare_repository_is_found_too(remote: Git) -> None:
    assert Git.open(remote.directory).directory == remote.directory
    assert Git.open(remote.directory / "objects").directory == remote.directory


def test_a_second_checkout_of_a_repository_is_opened_as_its_own_place(repo: Git, tmp_path: Path) -> None:
    tip = commit(repo, {"a": b"1"})
    repo.run("worktree", "add", "--detach", str(tmp_path / "second"), tip)
    second = Git.open(tmp_path / "second")
    assert second.directory == tmp_path / "second"
    assert second.merge_tree(tip, tip).tree == repo.write_tree(tip, {})


def test_a_directory_outside_of_any_repository_is_said_to_be_none(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFault, match="not a git repository") as caught:
        Git.open(tmp_path)
    assert caught.value.reason == "no-repository"
    assert caught.value.exit_code is ExitCode.ENVIRONMENT
    assert "-C" in caught.value.todo


def test_a_directory_that_is_not_there_is_no_repository_either(tmp_path: Path) -> None:
    with pytest.raises(GitError) as caught:
        Git.open(tmp_path / "nowhere")
    assert caught.value.reason == "no-repository"


def test_a_repository_with_other_object_ids_is_refused(tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    Git(tmp_path / "new").run("init", "--object-format=sha256")
    with pytest.raises(EnvironmentFault, match="sha256 object ids"):
        Git.open(tmp_path / "new")


def test_a_new_repository_starts_on_the_named_branch_whatever_the_person_configured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_DEFAULT_HASH", "sha256")
    made = Git.init(tmp_path / "deep" / "down", bare=False, branch="trunk")
    assert made.run("symbolic-ref", "HEAD") == b"refs/heads/trunk\n"
    assert Git.open(made.directory).directory == made.directory


def test_a_new_repository_needs_a_branch_name_that_is_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="branch name"):
        Git.init(tmp_path / "x", bare=True, branch="--bare")
    assert not (tmp_path / "x").exists()


def test_a_place_where_no_directory_can_be_is_an_environment_fault(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EnvironmentFault, match="cannot make the directory"):
        Git.init(tmp_path / "file" / "x", bare=True)


# Which git, and what it is told


def fake_git(directory: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    directory.mkdir()
    (directory / "git").write_text(f"#!/bin/sh\n{script}\n")
    (directory / "git").chmod(0o755)
    monkeypatch.setenv("PATH", str(directory), prepend=os.pathsep)


def test_a_missing_git_is_said_with_the_version_needed(repo: Git, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(EnvironmentFault, match="not installed") as caught:
        repo.refs("")
    assert caught.value.todo == "install git 2.38 or newer"


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("echo git version 2.37.9", "git 2.37 is too old"),
        ("echo git version 1.9", "git 1.9 is too old"),
        ("echo hello", "does not say which version"),
        ("exit 3", "does not run"),
    ],
)
def test_a_git_that_will_not_do_is_refused_before_it_is_used(
    repo: Git, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, told: str
) -> None:
    fake_git(tmp_path / "bin", script, monkeypatch)
    with pytest.raises(EnvironmentFault, match=told) as caught:
        repo.refs("")
    assert caught.value.reason == "git-version"


def test_versions_with_a_suffix_are_understood(
    tmp_path: Path, repo: Git, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = subprocess.run(["which", "git"], capture_output=True, text=True, check=True).stdout.strip()
    script = f'[ "$1" = --version ] && echo "git version 2.50.1 (Apple Git-155)" || exec {real} "$@"'
    fake_git(tmp_path / "bin", script, monkeypatch)
    assert repo.refs("") == {}


def test_a_caller_inside_of_another_repository_does_not_point_git_there(
    repo: Git, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Git.init(tmp_path / "other", bare=False)
    tip = commit(repo, {"a": b"1"})
    monkeypatch.setenv("GIT_DIR", str(other.directory / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other.directory))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "their-index"))
    monkeypatch.setenv("GIT_OBJECT_DIRECTORY", str(other.directory / ".git" / "objects"))
    monkeypatch.setenv("GIT_NAMESPACE", "elsewhere")
    monkeypatch.setenv("GIT_AUTHOR_NAME", "mallory")
    assert content(repo, tip) == {"a": b"1"}
    assert repo.log(commit(repo, {"b": b"2"}, tip))[0].author == ALICE
    assert not (tmp_path / "their-index").exists()


def test_the_ways_to_reach_a_remote_are_kept(repo: Git, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_SSH_COMMAND", "ssh -i key")
    monkeypatch.setenv("GIT_ASKPASS", "/bin/askpass")
    monkeypatch.setenv("SSH_AUTH_SOCK", "/run/agent")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example")
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    seen = environment_of_git(repo)
    assert seen["GIT_SSH_COMMAND"] == "ssh -i key"
    assert seen["GIT_ASKPASS"] == "/bin/askpass"
    assert seen["SSH_AUTH_SOCK"] == "/run/agent"
    assert seen["HTTPS_PROXY"] == "http://proxy.example"
    assert seen["GITHUB_ACTIONS"] == "true"
    assert seen["LC_ALL"] == "C"


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_git_may_ask_for_a_password_only_where_there_is_a_terminal(
    repo: Git, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    assert environment_of_git(repo)["GIT_TERMINAL_PROMPT"] == "0"
    monkeypatch.setattr(sys, "stdin", _Terminal())
    assert "GIT_TERMINAL_PROMPT" not in environment_of_git(repo)
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stdin", closed)
    assert environment_of_git(repo)["GIT_TERMINAL_PROMPT"] == "0"
    monkeypatch.setattr(sys, "stdin", None)
    assert environment_of_git(repo)["GIT_TERMINAL_PROMPT"] == "0"


def test_a_failing_command_says_what_git_said(repo: Git) -> None:
    with pytest.raises(GitError, match="cannot run git cat-file: Not a valid object name nothing") as caught:
        repo.run("cat-file", "-p", "nothing")
    assert caught.value.reason == "git"
    assert caught.value.where == str(repo.directory)


def test_a_command_that_says_nothing_and_one_that_talks_without_end_are_both_told_briefly(repo: Git) -> None:
    with pytest.raises(GitError, match="git gave no reason"):
        repo.run("rev-parse", "--verify", "--quiet", "nothing")
    with pytest.raises(GitError) as caught:
        repo.run("cat-file", "-p", "x" * 5000)
    assert len(caught.value.what) < 700


def test_an_argument_that_no_process_can_take_is_an_error_of_ours(repo: Git) -> None:
    with pytest.raises(GitError, match="null byte"):
        repo.run("cat-file", "-p", "a\0b")


# Names of branches and revisions


@pytest.mark.parametrize("name", ["main", "sign/release-1.0", "a/b/c", "ünï", "a.b", "caf\udce9", "a@b"])
def test_ordinary_branch_names_are_valid(name: str) -> None:
    assert valid_branch(name)


@pytest.mark.parametrize(
    "names",
    [
        ["", "-", "-x", "--all", "HEAD", "@"],
        ["a..b", "a//b", "/a", "a/", ".a", "a/.b", "a.", "a.lock", "a.lock/b"],
        ["a b", "a\nb", "a\0b", "a\x7f", "a~1", "a^", "a:b", "a?", "a*", "a[", "a\\b", "a@{1}", "@{-1}"],
        ["\ud800"],
    ],
)
def test_hostile_branch_names_are_not(names: list[str]) -> None:
    assert [name for name in names if valid_branch(name)] == []


@given(st.text(alphabet="ab./-@{~^:?*[\\ \x01\x7f\xe9lock", min_size=1, max_size=8))
@example("a.lock")
@example("@")
def test_branch_names_are_judged_as_git_judges_them(name: str) -> None:
    command = ["git", "check-ref-format", f"refs/heads/{name}"]
    accepted = subprocess.run(command, check=False).returncode == 0
    assert valid_branch(name) == (accepted and not name.startswith("-") and name != "@")


def test_a_revision_is_looked_up_to_the_commit_it_names(repo: Git) -> None:
    first = commit(repo, {"a": b"1"})
    second = commit(repo, {"a": b"2"}, first)
    repo.run("update-ref", MAIN, second)
    repo.run("tag", "-a", "-m", "one", "v1", first)
    assert repo.resolve("main") == repo.resolve("HEAD") == repo.resolve(second[:12]) == second
    assert repo.resolve("main~1") == repo.resolve("v1") == first


def test_a_revision_that_names_no_commit_is_none(repo: Git) -> None:
    repo.run("update-ref", MAIN, commit(repo, {"a": b"1"}))
    hostile = [
        "",
        "-x",
        "--all",
        "--git-dir",
        "--end-of-options",
        "--",
        "a\nb",
        "a\0b",
        "\ud800",
        "caf\udce9",
    ]
    wrong = ["nothing", ABSENT, "^main", "main..main", "main:a", "main^{tree}", "main@{99999}", "main^{/[}"]
    assert [revision for revision in hostile + wrong if repo.resolve(revision) is not None] == []


def test_looking_up_a_revision_outside_of_a_repository_is_an_error_not_none(tmp_path: Path) -> None:
    with pytest.raises(GitError) as caught:
        Git(tmp_path).resolve("main")
    assert caught.value.reason == "no-repository"


def test_refs_are_listed_below_a_prefix(repo: Git) -> None:
    tip = commit(repo, {"a": b"1"})
    for ref in (MAIN, EVENT, "refs/remotes/origin/main", "refs/heads/x\u2028y"):
        repo.run("update-ref", ref, tip)
    assert repo.refs("refs/heads/") == dict.fromkeys([MAIN, EVENT, "refs/heads/x\u2028y"], tip)
    assert repo.refs("refs/heads/sign") == {EVENT: tip}
    assert repo.refs("--all") == {}


# Reading objects


def test_files_are_read_byte_for_byte_and_measured(repo: Git) -> None:
    data = bytes(range(256)) * 300 + b"\r\n\n"
    tip = commit(repo, {"bin": data, "empty": b""})
    by_path = {leaf.path: leaf.oid for leaf in repo.list_tree(tip)}
    assert repo.read_blob(by_path["bin"]) == data
    assert repo.read_blob(by_path["empty"]) == b""
    assert repo.blob_size(by_path["bin"]) == len(data)
    assert by_path["bin"] == blob_id(data)


def test_what_is_written_after_the_first_read_is_found_too(repo: Git) -> None:
    commit(repo, {"a": b"1"})
    assert repo.read_blob(blob_id(b"1")) == b"1"
    commit(repo, {str(number): b"later %d" % number for number in range(200)})
    assert repo.read_blob(blob_id(b"later 7")) == b"later 7"


def test_missing_objects_trees_and_things_that_are_no_ids_are_errors(repo: Git) -> None:
    tip = commit(repo, {"a": b"1"})
    tree = repo.log(tip)[0].tree
    with pytest.raises(GitError, match=f"object {ABSENT} is missing"):
        repo.read_blob(ABSENT)
    with pytest.raises(GitError, match="is a tree, not a file"):
        repo.read_blob(tree)
    with pytest.raises(GitError, match="is missing"):
        repo.blob_size(ABSENT)
    for hostile in ("HEAD:a", f"{tree}\ninfo {tree}", "", tree[:10], tree.upper()):
        with pytest.raises(GitError, match="is not an object id"):
            repo.read_blob(hostile)
    assert repo.read_blob(blob_id(b"1")) == b"1"


def test_a_damaged_object_is_never_handed_out(repo: Git) -> None:
    commit(repo, {"a": b"right"})
    oid = blob_id(b"right")
    file = repo.directory / ".git" / "objects" / oid[:2] / oid[2:]
    file.chmod(0o644)
    file.write_bytes(zlib.compress(b"blob 5\0wrong"))
    with pytest.raises(GitError) as caught:
        repo.read_blob(oid)
    assert caught.value.reason == "damaged-object"
    file.write_bytes(b"no zlib at all")
    repo.close()
    with pytest.raises(GitError):
        repo.read_blob(oid)


def test_a_replaced_object_is_read_as_what_it_was(repo: Git) -> None:
    commit(repo, {"a": b"signed", "b": b"forged"})
    repo.run("replace", blob_id(b"signed"), blob_id(b"forged"))
    assert repo.read_blob(blob_id(b"signed")) == b"signed"


def test_reading_goes_on_after_close_and_after_the_process_died(repo: Git) -> None:
    commit(repo, {"a": b"1"})
    with repo as same:
        assert same.read_blob(blob_id(b"1")) == b"1"
    assert repo.read_blob(blob_id(b"1")) == b"1"
    assert repo._reader is not None
    repo._reader._process.kill()
    repo._reader._process.wait()
    with pytest.raises(GitError, match="cannot read object"):
        repo.read_blob(blob_id(b"1"))
    assert repo.read_blob(blob_id(b"1")) == b"1"


def test_an_answer_cut_short_is_not_taken_for_the_file(repo: Git, monkeypatch: pytest.MonkeyPatch) -> None:
    commit(repo, {"a": b"12345"})
    repo.read_blob(blob_id(b"12345"))
    assert repo._reader is not None
    cut = io.BytesIO(b"%s blob 5\n123" % blob_id(b"12345").encode())
    pipe = repo._reader._process.stdout
    assert pipe is not None
    pipe.close()
    monkeypatch.setattr(repo._reader._process, "stdout", cut)
    with pytest.raises(GitError, match="middle of an object"):
        repo.read_blob(blob_id(b"12345"))


def test_an_interrupted_read_does_not_mix_up_later_answers(
    repo: Git, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(repo, {"a": b"first", "b": b"second"})
    repo.read_blob(blob_id(b"first"))
    assert repo._reader is not None
    pipe = repo._reader._process.stdout

    class Interrupting(io.BytesIO):
        def readline(self, size: int | None = -1) -> bytes:
            raise KeyboardInterrupt

    monkeypatch.setattr(repo._reader._process, "stdout", Interrupting())
    with pytest.raises(KeyboardInterrupt):
        repo.read_blob(blob_id(b"first"))
    assert pipe is not None
    pipe.close()
    assert repo.read_blob(blob_id(b"second")) == b"second"


def test_the_reading_process_ends_with_its_last_user(repo: Git) -> None:
    commit(repo, {"a": b"1"})
    reader = Git(repo.directory)
    reader.read_blob(blob_id(b"1"))
    assert reader._reader is not None
    process = reader._reader._process
    del reader
    gc.collect()
    assert process.poll() is not None


def test_many_threads_may_read_through_one_instance(repo: Git) -> None:
    files = {f"f{number}": b"%d" % number * number for number in range(200)}
    commit(repo, files)
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(repo.read_blob, map(blob_id, files.values()))) == list(files.values())


def test_reading_outside_of_a_repository_says_so(tmp_path: Path) -> None:
    with pytest.raises(GitError, match="not a git repository"):
        Git(tmp_path).read_blob(ABSENT)


def test_a_tree_lists_files_links_and_submodules_with_any_name(repo: Git) -> None:
    link = hostile_object(repo, "blob", b"target")
    entries = [
        b"100644 blob %s\tplain\0" % link.encode(),
        b"100755 blob %s\tstart\0" % link.encode(),
        b"120000 blob %s\tlink\0" % link.encode(),
        b"160000 commit %s\tmodule\0" % ABSENT.encode(),
        b"100644 blob %s\tline\nbreak\0" % link.encode(),
        b"100644 blob %s\tcaf\xe9\0" % link.encode(),
        b'100644 blob %s\t-"q\0' % link.encode(),
    ]
    tree = os.fsdecode(repo.run("mktree", "-z", stdin=b"".join(entries))).strip()
    listed = {leaf.path: (oct(leaf.mode), leaf.type) for leaf in repo.list_tree(tree)}
    assert listed == {
        "plain": ("0o100644", "blob"),
        "start": ("0o100755", "blob"),
        "link": ("0o120000", "blob"),
        "module": ("0o160000", "commit"),
        "line\nbreak": ("0o100644", "blob"),
        "caf\udce9": ("0o100644", "blob"),
        '-"q': ("0o100644", "blob"),
    }


def test_modes_of_old_trees_are_read_as_git_reads_them(repo: Git) -> None:
    blob = bytes.fromhex(hostile_object(repo, "blob", b"x"))
    tree = hostile_object(repo, "tree", b"100664 a\0" + blob + b"100775 b\0" + blob)
    assert [oct(leaf.mode) for leaf in repo.list_tree(tree)] == ["0o100644", "0o100755"]


@pytest.mark.parametrize("treeish", ["nothing", "--help", "", ABSENT])
def test_a_tree_that_is_not_there_cannot_be_listed(repo: Git, treeish: str) -> None:
    with pytest.raises(GitError, match="cannot list a tree"):
        repo.list_tree(treeish)


# Writing trees and commits


def test_a_tree_is_written_from_nothing(repo: Git) -> None:
    files = {"a": b"1", "d/e/f": b"\0\xff", "empty": b"", "line\nbreak": b"2", "caf\udce9": b"3", "-x": b"4"}
    assert content(repo, repo.write_tree(None, files)) == files
    assert repo.write_tree(None, {}) == "4b825dc642cb6eb9a060e54bf8d69288fbee4904"


def test_a_tree_is_another_one_with_some_files_changed(repo: Git) -> None:
    base = commit(repo, {"a": b"1", "d/b": b"2", "d/c": b"3"})
    repo.run("update-ref", MAIN, base)
    changed = repo.write_tree("main", {"a": b"new", "d/b": None, "never/there": None, "e/f": b"4"})
    assert content(repo, changed) == {"a": b"new", "d/c": b"3", "e/f": b"4"}
    assert content(repo, base) == {"a": b"1", "d/b": b"2", "d/c": b"3"}


def test_writing_touches_neither_index_nor_checkout(repo: Git) -> None:
    (repo.directory / "a").write_bytes(b"on disk")
    repo.run("add", "a")
    index = (repo.directory / ".git" / "index").read_bytes()
    commit(repo, {"a": b"written"})
    assert (repo.directory / "a").read_bytes() == b"on disk"
    assert (repo.directory / ".git" / "index").read_bytes() == index


def test_an_existing_file_keeps_its_mode_and_a_link_becomes_a_file(repo: Git) -> None:
    oid = hostile_object(repo, "blob", b"x").encode()
    lines = b"100755 blob %s\tstart\n120000 blob %s\tlink\n160000 commit %s\tmodule\n"
    base = os.fsdecode(repo.run("mktree", stdin=lines % (oid, oid, ABSENT.encode()))).strip()
    written = repo.write_tree(base, {"start": b"1", "link": b"/etc/passwd", "module": b"3", "new": b"4"})
    modes = {leaf.path: oct(leaf.mode) for leaf in repo.list_tree(written)}
    assert modes == {"start": "0o100755", "link": "0o100644", "module": "0o100644", "new": "0o100644"}


def test_a_file_that_becomes_a_directory_goes_and_the_other_way_round(repo: Git) -> None:
    base = repo.write_tree(None, {"a": b"1", "d/b": b"2", "d/e/c": b"3", "da": b"4"})
    assert content(repo, repo.write_tree(base, {"a/x/y": b"5"})) == {
        "a/x/y": b"5",
        "d/b": b"2",
        "d/e/c": b"3",
        "da": b"4",
    }
    assert content(repo, repo.write_tree(base, {"d": b"6"})) == {"a": b"1", "d": b"6", "da": b"4"}
    assert content(repo, repo.write_tree(base, {"a": None, "a/x": b"7", "d": None})) == {
        "a/x": b"7",
        "d/b": b"2",
        "d/e/c": b"3",
        "da": b"4",
    }


def test_one_path_cannot_be_written_as_file_and_directory_at_once(repo: Git) -> None:
    with pytest.raises(RefusedError, match="both a file and a directory") as caught:
        repo.write_tree(None, {"a": b"1", "a/b/c": b"2"})
    assert caught.value.reason == "path-clash"


@pytest.mark.parametrize("path", ["", "/etc/passwd", "../x", "a/../x", "a//b", "a/", "./a", "a\0b", "\ud800"])
@pytest.mark.parametrize("content", [b"x", None])
def test_unsafe_paths_are_refused(tmp_path: Path, path: str, content: bytes | None) -> None:
    with pytest.raises(RefusedError) as caught:
        Git(tmp_path).write_tree(None, {path: content})
    assert caught.value.reason == "unsafe-path"


def test_windows_has_more_unsafe_paths() -> None:
    for path in ("a\\b", "C:x", "a:stream"):
        check_path(path, windows=False)
        with pytest.raises(RefusedError):
            check_path(path, windows=True)


@pytest.mark.parametrize("path", [".git/config", "a/.GIT/hooks/post-checkout"])
def test_paths_into_the_directory_of_git_are_refused(repo: Git, path: str) -> None:
    with pytest.raises(RefusedError, match="no such path") as caught:
        repo.write_tree(None, {path: b"x", "a/b": b"y"})
    assert caught.value.where == path


@pytest.mark.parametrize("base", ["nothing", "--empty", ABSENT])
def test_a_base_that_is_not_there_is_an_error(repo: Git, base: str) -> None:
    with pytest.raises(GitError):
        repo.write_tree(base, {"a": b"1"})


def test_a_thousand_files_are_written_at_once(repo: Git) -> None:
    files = {f"targets/{number % 16:x}/{number}.bin": b"%d" % number * 1000 for number in range(1000)}
    tree = repo.write_tree(None, files)
    assert {leaf.path: leaf.oid for leaf in repo.list_tree(tree)} == {
        path: blob_id(data) for path, data in files.items()
    }


@given(
    existing=st.sets(st.sampled_from(["a", "a/b", "a/b/c", "ab", "b", "b/a"])),
    written=st.sets(st.sampled_from(["a", "a/b", "a/c", "b/a/c", "b"]), max_size=2),
)
def test_displaced_paths_are_those_that_would_be_file_and_directory(
    existing: set[str], written: set[str]
) -> None:
    def crossing(one: str, other: str) -> bool:
        return one.startswith(other + "/") or other.startswith(one + "/")

    if any(crossing(one, other) for one in written for other in written):
        with pytest.raises(RefusedError):
            displaced(existing, written)
    else:
        expected = {path for path in existing if any(crossing(path, other) for other in written)}
        assert displaced(existing, written) == expected


def test_a_commit_is_what_its_arguments_say_and_nothing_else(
    repo: Git, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = repo.write_tree(None, {"a": b"1"})
    repo.run("config", "commit.gpgSign", "true")
    repo.run("config", "i18n.commitEncoding", "latin-1")
    monkeypatch.setenv("GIT_COMMITTER_DATE", "2001-01-01T00:00:00Z")
    parent = commit(repo, {"p": b""})
    made = repo.commit_tree(
        tree, [parent], "Sign targets 2 as älice\n\nwhy", author=ALICE, when=NOON, committer=BOB
    )
    assert repo.run("cat-file", "commit", made).decode() == (
        f"tree {tree}\nparent {parent}\n"
        "author alice <alice@example.org> 1774094400 +0000\n"
        "committer bob <bob@example.org> 1774094400 +0000\n"
        "\nSign targets 2 as älice\n\nwhy\n"
    )


def test_the_same_commit_has_the_same_id_in_another_repository_and_time_zone(
    clone_of: Callable[[str], Git], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = commit(clone_of("one"), {"a": b"1"})
    monkeypatch.setenv("TZ", "Pacific/Auckland")
    other = clone_of("two")
    local = NOON.astimezone(timezone(timedelta(hours=13))) + timedelta(microseconds=999)
    tree = other.write_tree(None, {"a": b"1"})
    assert other.commit_tree(tree, [], "change\n", author=ALICE, when=local) == first


@pytest.mark.parametrize(
    ("message", "name"), [("a\0b", "alice"), ("a\ud800", "alice"), ("a", "al\0ice"), ("a", "\udce9")]
)
def test_text_that_a_commit_cannot_hold_is_refused(repo: Git, message: str, name: str) -> None:
    tree = repo.write_tree(None, {})
    with pytest.raises(UsageError, match="UTF-8"):
        repo.commit_tree(tree, [], message, author=Identity(name, "a@example.org"), when=NOON)


def test_a_commit_needs_a_time_zone_a_name_and_real_ids(repo: Git) -> None:
    tree = repo.write_tree(None, {})
    with pytest.raises(UsageError, match="time zone"):
        repo.commit_tree(tree, [], "m", author=ALICE, when=NOON.replace(tzinfo=None))
    with pytest.raises(GitError, match="empty ident name"):
        repo.commit_tree(tree, [], "m", author=Identity("", "a@example.org"), when=NOON)
    with pytest.raises(GitError, match="is not an object id"):
        repo.commit_tree("-S", [], "m", author=ALICE, when=NOON)
    with pytest.raises(GitError, match="is not an object id"):
        repo.commit_tree(tree, ["--help"], "m", author=ALICE, when=NOON)
    with pytest.raises(GitError, match="cannot write a commit"):
        repo.commit_tree(tree, [ABSENT], "m", author=ALICE, when=NOON)


def test_the_person_is_who_git_says_or_a_neutral_word(repo: Git, tmp_path: Path) -> None:
    assert repo.identity() == Identity("Alice A.", "alice@example.org")
    repo.run("config", "user.name", "al\nice")
    assert repo.identity().name == "al\nice"
    repo.run("config", "--unset", "user.name")
    (tmp_path / "home" / ".gitconfig").write_text("")
    assert repo.identity() == Identity("keyturn", "keyturn@localhost")


def test_the_history_is_told_from_the_tip_down(repo: Git) -> None:
    first = commit(repo, {"a": b"1"}, message="first")
    left = commit(repo, {"a": b"2"}, first, message="left\n\nbody\n\nKeyturn-Signature: targets 2 abc")
    right = commit(repo, {"b": b"3"}, first, message="right")
    merge = commit(repo, {"b": b"3"}, left, right, message="merge")
    told = repo.log(f"{first}..{merge}")
    assert told[0].oid == merge
    assert {one.oid for one in told} == {left, right, merge}
    by_oid = {one.oid: one for one in told}
    assert by_oid[merge].parents == (left, right)
    assert by_oid[merge].message == "merge\n"
    assert by_oid[left].message == "left\n\nbody\n\nKeyturn-Signature: targets 2 abc\n"
    assert by_oid[left].author == ALICE
    assert by_oid[left].when == NOON
    assert by_oid[left].tree == repo.write_tree(left, {})
    assert repo.log(f"{merge}..{first}") == ()


def test_a_hostile_commit_is_told_all_the_same(repo: Git) -> None:
    tree = repo.write_tree(None, {}).encode()
    strange = b"tree %s\nauthor caf\xe9 <x> 99999999999999 +0000\ncommitter c <x> 1 +0000\n\n\xff\n" % tree
    (told,) = repo.log(hostile_object(repo, "commit", strange))
    assert told.author.name == "caf\ufffd"
    assert told.when.year == 9999
    assert told.message == "\ufffd\n"


@pytest.mark.parametrize("revisions", ["nothing", "--all", "main..nothing", ""])
def test_a_history_that_is_not_there_is_an_error(repo: Git, revisions: str) -> None:
    repo.run("update-ref", MAIN, commit(repo, {"a": b"1"}))
    with pytest.raises(GitError, match="cannot read the history"):
        repo.log(revisions)


# Histories and merges


def test_ancestors_are_known(repo: Git) -> None:
    first = commit(repo, {"a": b"1"})
    second = commit(repo, {"a": b"2"}, first)
    other = commit(repo, {"a": b"3"}, first)
    alone = commit(repo, {"a": b"4"})
    assert repo.is_ancestor(first, second)
    assert repo.is_ancestor(first, first)
    assert not repo.is_ancestor(second, first)
    assert repo.merge_base(second, other) == first
    assert repo.merge_base(second, alone) is None
    for missing in (ABSENT, "--all"):
        with pytest.raises(GitError, match="there is no commit"):
            repo.is_ancestor(first, missing)
        with pytest.raises(GitError, match="there is no commit"):
            repo.merge_base(missing, first)
        with pytest.raises(GitError, match="there is no commit"):
            repo.merge_tree(first, missing)


def test_changes_of_both_sides_are_merged(repo: Git) -> None:
    base = commit(repo, {"a": b"1\n2\n3\n4\n5\n", "b": b"1", "gone": b"1"})
    ours = commit(repo, {"a": b"0\n2\n3\n4\n5\n", "new/x": b"2"}, base)
    theirs = commit(repo, {"a": b"1\n2\n3\n4\n6\n", "gone": None}, base)
    merged = repo.merge_tree(ours, theirs)
    assert merged.conflicts == ()
    assert merged.tree is not None
    assert content(repo, merged.tree) == {"a": b"0\n2\n3\n4\n6\n", "b": b"1", "new/x": b"2"}


def test_a_conflict_is_told_by_its_paths(repo: Git) -> None:
    base = commit(repo, {"a": b"1", "d/line\nbreak": b"1", "caf\udce9": b"1", "fine": b"1"})
    ours = commit(repo, {"a": b"2", "d/line\nbreak": b"2", "caf\udce9": b"2"}, base)
    theirs = commit(repo, {"a": b"3", "d/line\nbreak": None, "caf\udce9": b"3", "fine": b"2"}, base)
    merged = repo.merge_tree(ours, theirs)
    assert merged.tree is None
    assert sorted(merged.conflicts) == ["a", "caf\udce9", "d/line\nbreak"]


def test_unrelated_histories_are_refused(repo: Git) -> None:
    with pytest.raises(RefusedError, match="no common history") as caught:
        repo.merge_tree(commit(repo, {"a": b"1"}), commit(repo, {"b": b"1"}))
    assert caught.value.reason == "unrelated-histories"
    assert caught.value.todo == ""


def test_a_shallow_clone_is_named_as_the_likely_cause(repo: Git, remote: Git, tmp_path: Path) -> None:
    base = commit(repo, {"a": b"1"})
    ours, theirs = commit(repo, {"a": b"2"}, base), commit(repo, {"b": b"1"}, base)
    repo.push("origin", [RefUpdate(MAIN, ours, None), RefUpdate(EVENT, theirs, None)])
    shallow = Git.init(tmp_path / "shallow", bare=False)
    address = remote.directory.as_uri()
    shallow.run("fetch", "--depth=1", address, f"{MAIN}:refs/x/main", f"{EVENT}:refs/x/event")
    with pytest.raises(RefusedError, match="no common history") as caught:
        shallow.merge_tree(ours, theirs)
    assert "--unshallow" in caught.value.todo


@pytest.mark.parametrize("bare", [False, True])
def test_a_merge_depends_on_the_commits_and_on_nothing_in_a_checkout_or_configuration(
    tmp_path: Path, bare: bool
) -> None:
    repo = Git.init(tmp_path / "r", bare=bare)
    base = commit(repo, {"a": b"1\n2\n", ".gitattributes": b"* merge=union\n"})
    ours, theirs = commit(repo, {"a": b"1\n3\n"}, base), commit(repo, {"a": b"1\n4\n"}, base)
    (repo.directory / ".gitattributes").write_text("* merge=evil\n")
    repo.run("config", "merge.evil.driver", f"touch {tmp_path / 'executed'}; true")
    repo.run("config", "merge.default", "evil")
    repo.run("config", "safe.bareRepository", "all")
    assert repo.merge_tree(ours, theirs).conflicts == ("a",)
    assert not (tmp_path / "executed").exists()


def test_renames_are_followed_whatever_the_person_configured(repo: Git) -> None:
    lines = b"".join(b"line %d\n" % number for number in range(50))
    base = commit(repo, {"old": lines})
    ours = commit(repo, {"old": lines + b"more\n"}, base)
    theirs = commit(repo, {"old": None, "new": lines}, base)
    repo.run("config", "merge.renames", "false")
    repo.run("config", "diff.renames", "false")
    merged = repo.merge_tree(ours, theirs)
    assert merged.tree is not None
    assert content(repo, merged.tree) == {"new": lines + b"more\n"}


# Fetching


def test_a_fetch_brings_exactly_the_refs_asked_for(repo: Git, clone_of: Callable[[str], Git]) -> None:
    tip = commit(repo, {"a": b"1"})
    repo.push("origin", [RefUpdate(ref, tip, None) for ref in (MAIN, EVENT, "refs/tags/v1", "refs/x/y")])
    bob = clone_of("bob")
    bob.fetch("origin", ["+refs/heads/*:refs/keyturn/*"])
    assert bob.refs("") == {"refs/keyturn/main": tip, "refs/keyturn/sign/release": tip}
    assert not (bob.directory / ".git" / "FETCH_HEAD").exists()
    assert content(bob, tip) == {"a": b"1"}


def test_a_fetch_drops_what_the_remote_no_longer_has_unless_told_to_keep_it(
    repo: Git, clone_of: Callable[[str], Git]
) -> None:
    tip = commit(repo, {"a": b"1"})
    repo.push("origin", [RefUpdate(MAIN, tip, None), RefUpdate(EVENT, tip, None)])
    bob = clone_of("bob")
    bob.run("tag", "mine", hostile_object(bob, "blob", b"x"))
    bob.run("config", "fetch.pruneTags", "true")
    refspecs = ["+refs/heads/*:refs/remotes/origin/*"]
    bob.fetch("origin", refspecs)
    repo.push("origin", [RefUpdate(EVENT, None, tip)])
    bob.fetch("origin", refspecs, prune=False)
    assert "refs/remotes/origin/sign/release" in bob.refs("refs/remotes/")
    bob.fetch("origin", refspecs)
    assert bob.refs("refs/remotes/") == {"refs/remotes/origin/main": tip}
    assert "refs/tags/mine" in bob.refs("")


def test_hooks_of_the_clone_do_not_run_on_a_fetch(repo: Git, clone_of: Callable[[str], Git]) -> None:
    repo.push("origin", [RefUpdate(MAIN, commit(repo, {"a": b"1"}), None)])
    bob = clone_of("bob")
    hook(bob, "reference-transaction", f"touch {bob.directory / 'executed'}")
    bob.fetch("origin", ["+refs/heads/*:refs/remotes/origin/*"])
    assert not (bob.directory / "executed").exists()


def test_submodules_of_what_is_fetched_are_left_alone(
    repo: Git, clone_of: Callable[[str], Git], tmp_path: Path
) -> None:
    modules = b'[submodule "m"]\n\tpath = m\n\turl = %s\n' % os.fsencode(tmp_path / "nowhere.git")
    tree = repo.write_tree(None, {".gitmodules": modules})
    repo.run("read-tree", tree)
    repo.run("update-index", "--add", "--cacheinfo", f"160000,{ABSENT},m")
    tree = os.fsdecode(repo.run("write-tree")).strip()
    tip = repo.commit_tree(tree, [], "module", author=ALICE, when=NOON)
    repo.push("origin", [RefUpdate(MAIN, tip, None)])
    bob = clone_of("bob")
    bob.run("config", "fetch.recurseSubmodules", "true")
    bob.fetch("origin", ["+refs/heads/*:refs/remotes/origin/*"])
    assert bob.resolve("origin/main") == tip


def test_an_ordinary_repository_passes_the_check_of_fetched_objects(
    repo: Git, clone_of: Callable[[str], Git]
) -> None:
    work = repo.directory
    (work / "dir").mkdir()
    (work / "dir" / "file").write_text("1\n")
    (work / "run").write_text("#!/bin/sh\n")
    (work / "run").chmod(0o755)
    (work / "link").symlink_to("dir/file")
    (work / ".gitattributes").write_text("metadata/** -text\n")
    repo.run("add", ".")
    repo.run("commit", "--quiet", "-m", "Ünïcode\n\nand a body")
    repo.run("checkout", "--quiet", "-b", "side")
    repo.run("commit", "--quiet", "--allow-empty", "-m", "side")
    repo.run("checkout", "--quiet", "main")
    repo.run("commit", "--quiet", "--allow-empty", "-m", "main")
    repo.run("merge", "--quiet", "--no-ff", "-m", "merge", "side")
    repo.run("tag", "-a", "-m", "release", "v1")
    tip = repo.resolve("main")
    assert tip is not None
    repo.push("origin", [RefUpdate(MAIN, tip, None)])
    repo.run("push", "--quiet", "origin", "v1")
    bob = clone_of("bob")
    bob.fetch("origin", ["+refs/*:refs/keyturn/*"])
    assert bob.resolve("refs/keyturn/tags/v1") == tip


@pytest.mark.parametrize("name", [b"..", b".git", b"a/b"])
def test_malformed_objects_are_not_let_in(
    repo: Git, remote: Git, clone_of: Callable[[str], Git], name: bytes
) -> None:
    blob = bytes.fromhex(hostile_object(remote, "blob", b"x"))
    tree = hostile_object(remote, "tree", b"100644 " + name + b"\0" + blob)
    remote.run("update-ref", MAIN, remote.commit_tree(tree, [], "evil", author=ALICE, when=NOON))
    with pytest.raises(GitError, match="cannot fetch from origin") as caught:
        repo.fetch("origin", ["+refs/heads/*:refs/remotes/origin/*"])
    assert caught.value.reason == "malformed-objects"
    assert repo.refs("") == {}


def test_refs_of_a_remote_are_read_without_fetching(repo: Git, remote: Git) -> None:
    assert repo.ls_remote("origin") == {}
    tip = commit(repo, {"a": b"1"})
    repo.push("origin", [RefUpdate(MAIN, tip, None), RefUpdate(EVENT, tip, None)])
    assert repo.ls_remote("origin") == {MAIN: tip, EVENT: tip}
    assert repo.ls_remote(str(remote.directory)) == {MAIN: tip, EVENT: tip}


# Addresses of remotes


def test_the_address_of_a_remote_is_the_one_git_would_use(repo: Git, remote: Git) -> None:
    assert repo.remote_url("origin") == str(remote.directory)
    assert repo.remote_url("nowhere") is None
    assert repo.remote_url("--all") is None
    repo.run("config", "url.https://git.example/.insteadOf", "ex:")
    repo.run("remote", "add", "short", "ex:acme.git")
    assert repo.remote_url("short") == "https://git.example/acme.git"


@pytest.mark.parametrize(
    "address",
    [
        "--upload-pack=touch executed",
        "-x",
        "",
        "ext::sh -c 'touch executed'",
        "EXT::x",
        "fd::7",
        "a\nb",
        "a\0b",
    ],
)
def test_addresses_that_are_options_or_run_commands_are_refused(repo: Git, address: str) -> None:
    for use in (
        lambda: repo.fetch(address, ["main"]),
        lambda: repo.ls_remote(address),
        lambda: repo.push(address, [RefUpdate(MAIN, ABSENT, None)]),
    ):
        with pytest.raises(RefusedError) as caught:
            use()
        assert caught.value.reason == "remote-url"
    assert not (repo.directory / "executed").exists()


def test_a_remote_configured_with_such_an_address_is_refused_too(repo: Git) -> None:
    repo.run("config", "remote.evil.url", "ext::sh -c 'touch executed'")
    with pytest.raises(RefusedError, match="runs commands on your machine"):
        repo.ls_remote("evil")
    repo.run("config", "url.ext::sh -c touch% executed #.pushInsteadOf", "https://git.example/")
    with pytest.raises(GitError, match="not allowed") as caught:
        repo.push("https://git.example/x", [RefUpdate(MAIN, commit(repo, {"a": b"1"}), None)])
    assert caught.value.reason == "remote-url"
    assert not (repo.directory / "executed").exists()


def test_a_refspec_is_not_an_option(repo: Git) -> None:
    with pytest.raises(GitError, match="cannot fetch"):
        repo.fetch("origin", ["--upload-pack=touch executed"])
    assert not (repo.directory / "executed").exists()


def test_a_remote_that_is_not_there_is_told_apart_from_one_that_cannot_be_reached(
    repo: Git, tmp_path: Path
) -> None:
    with pytest.raises(GitError, match="cannot read") as caught:
        repo.ls_remote(str(tmp_path / "nowhere.git"))
    assert caught.value.reason == "repository-not-found"
    # Nothing listens on port 9 of the loopback interface.
    with pytest.raises(GitError) as caught:
        repo.ls_remote("http://user:secret@127.0.0.1:9/acme.git")
    assert caught.value.reason == "unreachable"
    assert "secret" not in caught.value.what
    assert "http://***@127.0.0.1:9/acme.git" in caught.value.what


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("fatal: Authentication failed for 'https://git.example/x/'", "authentication"),
        ("fatal: could not read Username for 'https://x': terminal prompts disabled", "authentication"),
        ("git@git.example: Permission denied (publickey).", "authentication"),
        ("ERROR: Permission to acme/x.git denied to bob.", "authentication"),
        ("error: RPC failed; HTTP 403 curl 22 The requested URL returned error: 403", "authentication"),
        ("remote: Repository not found.\nfatal: repository 'https://x/' not found", "repository-not-found"),
        ("fatal: unable to access 'https://x/': Could not resolve host: x", "unreachable"),
        ("ssh: connect to host x port 22: Connection timed out", "unreachable"),
        ("fatal: detected dubious ownership in repository at '/x'", "not-owner"),
        ("fatal: something new", "git"),
    ],
)
def test_what_git_says_is_turned_into_what_to_do(
    repo: Git, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, reason: str
) -> None:
    told = tmp_path / "told"
    told.write_text(f"hint: try harder\n\x1b[31m{said}\x1b[m\n")
    fake_git(
        tmp_path / "bin",
        f'[ "$1" = --version ] && echo git version 2.39.5 && exit; cat {told} >&2; exit 128',
        monkeypatch,
    )
    with pytest.raises(GitError) as caught:
        repo.refs("")
    assert caught.value.reason == reason
    assert bool(caught.value.todo) == (reason != "git")
    assert "hint" not in caught.value.what
    assert "\x1b" not in caught.value.what


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("remote: Permission to acme/x.git denied to github-actions[bot].", "permission"),
        ("fatal: unable to access 'https://x/': The requested URL returned error: 403", "permission"),
        ("remote: Repository not found.\nfatal: repository 'https://x/' not found", "repository-not-found"),
    ],
)
def test_a_token_that_may_not_do_it_is_told_what_it_lacks(
    repo: Git, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, reason: str
) -> None:
    told = tmp_path / "told"
    told.write_text(f"{said}\n")
    tip = commit(repo, {"a": b"1"})
    fake_git(
        tmp_path / "bin",
        '[ "$1" = --version ] && echo git version 2.39.5 && exit\n'
        f'case "$*" in *get-url*) exit 2 ;; esac\ncat {told} >&2; exit 128',
        monkeypatch,
    )
    job = Git(repo.directory, access={"GIT_CONFIG_COUNT": "0"})
    for do, needed in (
        (lambda: job.ls_remote("https://x/"), "read"),
        (lambda: job.fetch("https://x/", [MAIN]), "read"),
        (lambda: job.push("https://x/", [RefUpdate(MAIN, tip, None)]), "write"),
    ):
        with pytest.raises(GitError) as caught:
            do()
        assert caught.value.reason == reason
        assert f"`contents: {needed}`" in caught.value.todo


# Pushing


def test_refs_are_made_moved_and_deleted_from_the_value_expected(repo: Git, remote: Git) -> None:
    first = commit(repo, {"a": b"1"})
    second = commit(repo, {"a": b"2"}, first)
    sideways = commit(repo, {"a": b"3"}, first)
    repo.push("origin", [RefUpdate(MAIN, first, None), RefUpdate(EVENT, first, None)])
    repo.push("origin", [RefUpdate(MAIN, second, first)])
    repo.push("origin", [RefUpdate(MAIN, sideways, second), RefUpdate(EVENT, None, first)])
    assert remote.refs("") == {MAIN: sideways}


def test_nothing_to_push_pushes_nothing(repo: Git, remote: Git) -> None:
    repo.run("update-ref", MAIN, commit(repo, {"a": b"1"}))
    repo.push("origin", [])
    assert remote.refs("") == {}


@pytest.mark.parametrize("expected", ["stale", "absent"])
def test_a_push_from_another_value_than_the_remote_has_is_rejected(
    repo: Git, remote: Git, expected: str
) -> None:
    first = commit(repo, {"a": b"1"})
    second = commit(repo, {"a": b"2"}, first)
    third = commit(repo, {"a": b"3"}, second)
    repo.push("origin", [RefUpdate(MAIN, second, None)])
    with pytest.raises(PushRejected, match=f"no longer as it was.*{MAIN}.*stale info") as caught:
        repo.push("origin", [RefUpdate(MAIN, third, first if expected == "stale" else None)])
    assert caught.value.reason == "push-rejected"
    assert caught.value.todo
    assert remote.refs("") == {MAIN: second}


def test_a_ref_that_is_gone_is_not_made_again(repo: Git, remote: Git) -> None:
    first = commit(repo, {"a": b"1"})
    with pytest.raises(PushRejected):
        repo.push("origin", [RefUpdate(EVENT, commit(repo, {"a": b"2"}, first), first)])
    with pytest.raises(PushRejected):
        repo.push("origin", [RefUpdate(EVENT, None, first)])
    assert remote.refs("") == {}


def test_pushing_what_is_there_already_is_no_loss(repo: Git) -> None:
    first = commit(repo, {"a": b"1"})
    repo.push("origin", [RefUpdate(MAIN, first, None)])
    repo.push("origin", [RefUpdate(MAIN, first, None)])


def test_one_ref_that_moved_holds_back_all_of_them(repo: Git, remote: Git) -> None:
    first = commit(repo, {"a": b"1"})
    second = commit(repo, {"a": b"2"}, first)
    repo.push("origin", [RefUpdate(MAIN, first, None)])
    with pytest.raises(PushRejected):
        repo.push("origin", [RefUpdate(EVENT, second, None), RefUpdate(MAIN, second, second)])
    assert remote.refs("") == {MAIN: first}


def test_of_two_people_with_the_same_expectation_one_wins(
    repo: Git, remote: Git, clone_of: Callable[[str], Git]
) -> None:
    first = commit(repo, {"a": b"1"})
    repo.push("origin", [RefUpdate(EVENT, first, None)])
    bob = clone_of("bob")
    bob.fetch("origin", ["+refs/heads/*:refs/remotes/origin/*"])
    of_alice, of_bob = commit(repo, {"alice": b""}, first), commit(bob, {"bob": b""}, first)
    bob.push("origin", [RefUpdate(EVENT, of_bob, first)])
    with pytest.raises(PushRejected):
        repo.push("origin", [RefUpdate(EVENT, of_alice, first)])
    assert remote.refs("") == {EVENT: of_bob}


@pytest.mark.parametrize("what", ["move", "make", "delete", "several"])
def test_who_comes_second_loses_even_after_both_have_looked(
    repo: Git, remote: Git, clone_of: Callable[[str], Git], what: str
) -> None:
    """The other push happens when ours has compared and is about to write: the remote has to notice."""
    first = commit(repo, {"a": b"1"})
    if what != "make":
        repo.push("origin", [RefUpdate(EVENT, first, None)])
    expected = None if what == "make" else first
    bob = clone_of("bob")
    of_alice, of_bob = commit(repo, {"alice": b""}, first), commit(bob, {"bob": b""})
    hook(repo, "pre-push", f"unset GIT_DIR; git -C {bob.directory} push -q -f origin {of_bob}:{EVENT}")
    updates = [RefUpdate(EVENT, None if what == "delete" else of_alice, expected)]
    if what == "several":
        updates.append(RefUpdate(MAIN, of_alice, None))
    with pytest.raises(PushRejected):
        repo.push("origin", updates)
    assert remote.refs("") == {EVENT: of_bob}


def test_two_pushes_at_the_same_moment_leave_one_winner(
    repo: Git, remote: Git, clone_of: Callable[[str], Git]
) -> None:
    first = commit(repo, {"a": b"1"})
    repo.push("origin", [RefUpdate(EVENT, first, None)])
    people = [clone_of(f"person{number}") for number in range(4)]
    for person in people:
        person.fetch("origin", ["+refs/heads/*:refs/remotes/origin/*"])
    tips = [commit(person, {f"{number}": b""}, first) for number, person in enumerate(people)]
    start = threading.Barrier(len(people))

    def push(number: int) -> bool:
        start.wait()
        try:
            people[number].push("origin", [RefUpdate(EVENT, tips[number], first)])
        except PushRejected:
            return False
        return True

    with ThreadPoolExecutor(len(people)) as pool:
        won = list(pool.map(push, range(len(people))))
    assert won.count(True) == 1
    assert remote.refs("") == {EVENT: tips[won.index(True)]}


def test_a_branch_in_the_way_is_not_taken_for_a_race(repo: Git) -> None:
    tip = commit(repo, {"a": b"1"})
    repo.push("origin", [RefUpdate("refs/heads/sign", tip, None)])
    with pytest.raises(GitError, match="cannot create") as caught:
        repo.push("origin", [RefUpdate(EVENT, tip, None)])
    assert not isinstance(caught.value, PushRejected)


def test_a_pre_push_hook_of_the_clone_runs_and_may_refuse(repo: Git, remote: Git) -> None:
    hook(repo, "pre-push", "echo not on a Friday >&2; exit 1")
    with pytest.raises(GitError, match="cannot push to origin: not on a Friday") as caught:
        repo.push("origin", [RefUpdate(MAIN, commit(repo, {"a": b"1"}), None)])
    assert not isinstance(caught.value, PushRejected)
    assert "pre-push hook" in caught.value.todo
    assert remote.refs("") == {}


def test_a_rule_of_the_remote_is_told_in_its_own_words(repo: Git, remote: Git) -> None:
    hook(remote, "pre-receive", "echo main is protected; exit 1")
    with pytest.raises(GitError, match=r"pre-receive hook declined.*main is protected") as caught:
        repo.push("origin", [RefUpdate(MAIN, commit(repo, {"a": b"1"}), None)])
    assert not isinstance(caught.value, PushRejected)


def test_pushing_to_what_is_no_repository_is_not_a_race(repo: Git, tmp_path: Path) -> None:
    with pytest.raises(GitError) as caught:
        repo.push(str(tmp_path), [RefUpdate(MAIN, commit(repo, {"a": b"1"}), None)])
    assert not isinstance(caught.value, PushRejected)
    assert caught.value.reason == "repository-not-found"


@pytest.mark.parametrize(
    "ref",
    ["main", "-x", "refs/heads/-x", "refs/heads/a..b", "refs/", "refs/heads/", "refs/heads/a:b", "refs/x/*"],
)
def test_only_full_and_valid_refs_are_pushed(tmp_path: Path, ref: str) -> None:
    with pytest.raises(UsageError, match="ref name"):
        Git(tmp_path).push("origin", [RefUpdate(ref, ABSENT, None)])


def test_only_object_ids_are_pushed(repo: Git) -> None:
    tip = commit(repo, {"a": b"1"})
    for new, expected in (("main", None), (tip, "main"), (tip, f"{tip}:x")):
        with pytest.raises(GitError, match="is not an object id"):
            repo.push("origin", [RefUpdate(MAIN, new, expected)])


def test_no_background_work_is_left_behind(repo: Git) -> None:
    """A gc that outlives the command would meet whoever deletes or copies the clone."""
    repo.run("config", "gc.auto", "1")
    settings = os.fsdecode(repo.run("config", "--get-all", "gc.auto")).split()
    assert settings[-1] == "0"
    assert re.fullmatch(r"false", os.fsdecode(repo.run("config", "maintenance.auto")).strip())
