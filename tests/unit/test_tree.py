"""Stories of keyturn.tree: the same content is the same tree, and a directory becomes one without a gap."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyturn import tree as tree_module
from keyturn.errors import EnvironmentFault, RefusedError
from keyturn.git import Git, GitError, blob_id
from keyturn.tree import (
    Change,
    DirectoryTree,
    Entry,
    GitTree,
    Kind,
    MemoryTree,
    NotInTree,
    Tree,
    changes,
    overlay,
    write_directory,
)

FILE, RUN, LINK, MODULE = 0o100644, 0o100755, 0o120000, 0o160000
ABSENT = "0123456789" * 4


@pytest.fixture(autouse=True)
def _own_git_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")


@pytest.fixture
def repo(tmp_path: Path) -> Iterator[Git]:
    with Git.init(tmp_path / "repo", bare=True) as git:
        yield git


@pytest.fixture
def place(tmp_path: Path) -> Path:
    directory = tmp_path / "place"
    directory.mkdir()
    return directory


def fill(directory: Path, files: Mapping[str, bytes]) -> Path:
    for path, content in files.items():
        (directory / path).parent.mkdir(parents=True, exist_ok=True)
        (directory / path).write_bytes(content)
    return directory


def read_all(tree: Tree) -> dict[str, bytes]:
    return {path: tree.read(path) for path in tree.entries()}


def on_disk(directory: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(directory)): file.read_bytes() for file in directory.rglob("*") if file.is_file()
    }


def git_tree(git: Git, *leaves: tuple[int, str, str]) -> str:
    """A tree object with exactly these (mode, path, object id) leaves, hostile ones included."""
    lines = [
        b"%06o %s %s\t%s\0"
        % (mode, b"commit" if mode == MODULE else b"blob", oid.encode(), os.fsencode(path))
        for mode, path, oid in leaves
    ]
    return os.fsdecode(git.run("mktree", "-z", "--missing", stdin=b"".join(lines))).strip()


def blob(git: Git, content: bytes) -> str:
    return os.fsdecode(git.run("hash-object", "-w", "--stdin", stdin=content)).strip()


# One tree, three sources


def test_every_kind_of_leaf_is_the_same_from_git_disk_and_memory(repo: Git, place: Path) -> None:
    fill(place, {"d/plain": b"1", "run": b"#!", "empty": b""})
    (place / "run").chmod(0o755)
    (place / "d" / "link").symlink_to("../run")
    below = git_tree(repo, (FILE, "plain", blob(repo, b"1")), (LINK, "link", blob(repo, b"../run")))
    top = b"040000 tree %s\td\0" % below.encode()
    for mode, path, content in ((RUN, "run", b"#!"), (FILE, "empty", b"")):
        top += b"%o blob %s\t%s\0" % (mode, blob(repo, content).encode(), path.encode())
    oid = os.fsdecode(repo.run("mktree", "-z", stdin=top)).strip()

    memory = MemoryTree(
        {"run": b"#!", "empty": b"", "d/plain": b"1"}, links={"d/link": "../run"}, executable=["run"]
    )
    assert GitTree(repo, oid).entries() == DirectoryTree(place).entries() == memory.entries()
    assert dict(memory.entries()) == {
        "d/link": Entry("d/link", Kind.LINK, LINK, blob_id(b"../run")),
        "d/plain": Entry("d/plain", Kind.FILE, FILE, blob_id(b"1")),
        "empty": Entry("empty", Kind.FILE, FILE, "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"),
        "run": Entry("run", Kind.FILE, RUN, blob_id(b"#!")),
    }


PARTS = st.text(alphabet="ab.é \n-\udce9", min_size=1, max_size=3).filter(lambda part: part.strip(".") != "")
PATHS = st.lists(PARTS, min_size=1, max_size=3).map("/".join)
CONTENT = st.binary(max_size=20)


def without_clashes(files: Mapping[str, bytes]) -> dict[str, bytes]:
    return {
        path: content
        for path, content in files.items()
        if not any(other.startswith(path + "/") for other in files)
    }


FILES = st.dictionaries(PATHS, CONTENT, max_size=6).map(without_clashes)


@pytest.fixture(scope="module")
def shared_repo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Git]:
    with Git.init(tmp_path_factory.mktemp("shared"), bare=True) as git:
        yield git


@settings(max_examples=25)
@given(files=FILES)
def test_the_same_files_give_equal_trees_from_anywhere(shared_repo: Git, files: dict[str, bytes]) -> None:
    memory = MemoryTree(files)
    git = GitTree(shared_repo, shared_repo.write_tree(None, files))
    with tempfile.TemporaryDirectory() as scratch:
        directory = Path(scratch) / "out"
        write_directory(memory, directory)
        disk = DirectoryTree(directory)
        assert memory.entries() == git.entries() == disk.entries()
        assert list(memory.entries()) == list(git.entries()) == list(disk.entries()) == sorted(files)
        assert read_all(memory) == read_all(git) == read_all(disk) == files
        sizes = {path: len(content) for path, content in files.items()}
        for tree in (memory, git, disk):
            assert {path: tree.size(path) for path in tree.entries()} == sizes


def test_a_submodule_is_a_leaf_that_cannot_be_read(repo: Git) -> None:
    tree = GitTree(repo, git_tree(repo, (MODULE, "m", ABSENT)))
    assert tree.entries()["m"] == Entry("m", Kind.SUBMODULE, MODULE, ABSENT)
    with pytest.raises(NotInTree):
        tree.read("m")


def test_only_files_are_read(repo: Git, place: Path) -> None:
    fill(place, {"d/a": b"1"})
    (place / "link").symlink_to("d/a")
    (place / "linked").symlink_to("d")
    oid = git_tree(repo, (FILE, "a", blob(repo, b"1")), (LINK, "link", blob(repo, b"a")))
    memory = MemoryTree({"d/a": b"1"}, links={"link": "d/a", "linked": "d"})
    for tree in (memory, GitTree(repo, oid), DirectoryTree(place), overlay(memory, {"b": b""})):
        for path in ("link", "linked/a", "d", "", "nothing", "../place/d/a", "d//a", "/etc/passwd"):
            with pytest.raises(NotInTree, match="no such file in") as caught:
                tree.read(path)
            assert caught.value.where == path
            with pytest.raises(NotInTree):
                tree.size(path)


def test_trees_say_what_they_are_called(repo: Git, place: Path) -> None:
    assert MemoryTree({}).name == "memory"
    assert MemoryTree({}, name="the site").name == "the site"
    assert DirectoryTree(place).name == str(place)
    assert GitTree(repo, "main").name == "main"
    assert overlay(MemoryTree({}, name="the site"), {}).name == "the site with changes"


# Memory


def test_a_path_in_memory_is_a_file_or_a_link() -> None:
    with pytest.raises(RefusedError, match="both a file and a link"):
        MemoryTree({"a": b""}, links={"a": "b"})


def test_a_tree_in_memory_is_not_changed_from_outside() -> None:
    files = {"a": b"1"}
    tree = MemoryTree(files)
    files["b"] = b"2"
    assert list(tree.entries()) == ["a"]


def test_entries_know_their_paths_without_reading_anything(place: Path) -> None:
    fill(place, {"a": b"1", "b": b"2"})
    entries = DirectoryTree(place).entries()
    (place / "a").unlink()
    assert "a" in entries
    assert "c" not in entries
    assert list(entries) == ["a", "b"]
    assert len(entries) == 2
    with pytest.raises(KeyError):
        entries["c"]


# A directory


def test_links_in_a_directory_are_never_followed(place: Path, tmp_path: Path) -> None:
    fill(tmp_path / "outside", {"secret": b"!"})
    (place / "dir").symlink_to(tmp_path / "outside")
    (place / "dangling").symlink_to("/nowhere")
    (place / "loop").symlink_to(".")
    assert {path: entry.kind for path, entry in DirectoryTree(place).entries().items()} == {
        "dir": Kind.LINK,
        "dangling": Kind.LINK,
        "loop": Kind.LINK,
    }


def test_a_file_swapped_for_a_link_or_pipe_is_not_followed_or_waited_for(place: Path, tmp_path: Path) -> None:
    fill(tmp_path / "outside", {"secret": b"!"})
    fill(place, {"a": b"1"})
    tree = DirectoryTree(place)
    tree.entries()
    (place / "a").unlink()
    (place / "a").symlink_to(tmp_path / "outside" / "secret")
    with pytest.raises(EnvironmentFault):
        tree.read("a")
    (place / "a").unlink()
    os.mkfifo(place / "a")
    with pytest.raises(EnvironmentFault, match="no longer a file"):
        tree.read("a")


def test_a_file_that_vanishes_is_named(place: Path) -> None:
    fill(place, {"d/a": b"1"})
    tree = DirectoryTree(place)
    tree.entries()
    (place / "d" / "a").unlink()
    for use in (lambda: tree.read("d/a"), lambda: tree.size("d/a"), lambda: tree.entries()["d/a"]):
        with pytest.raises(EnvironmentFault, match="no such file") as caught:
            use()
        assert caught.value.where == str(place / "d" / "a")
        assert caught.value.reason == "vanished"


def test_a_file_that_grows_while_it_is_read_is_noticed(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(place, {"a": b"1"})
    real = os.fstat

    def smaller(descriptor: int) -> os.stat_result:
        values = list(real(descriptor))
        values[stat.ST_SIZE] -= 1
        return os.stat_result(values)

    tree = DirectoryTree(place)
    entries = tree.entries()
    monkeypatch.setattr(tree_module.os, "fstat", smaller)
    with pytest.raises(EnvironmentFault, match="changed while it was read"):
        entries["a"]


def test_a_directory_that_is_not_there_is_an_environment_fault(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFault) as caught:
        DirectoryTree(tmp_path / "nowhere").entries()
    assert caught.value.where.rstrip("/") == str(tmp_path / "nowhere")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(EnvironmentFault, match="cannot read this"):
        DirectoryTree(tmp_path / "file").entries()


def test_sockets_and_pipes_are_refused(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(place / "pipe")
    with pytest.raises(RefusedError, match="neither a file") as caught:
        DirectoryTree(place).entries()
    assert caught.value.where == str(place / "pipe")
    (place / "pipe").unlink()
    monkeypatch.chdir(place)  # a socket's path must be short
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
        with pytest.raises(RefusedError):
            DirectoryTree(place).entries()


def test_a_directory_may_itself_be_reached_through_a_link(place: Path, tmp_path: Path) -> None:
    fill(place, {"a": b"1"})
    (tmp_path / "current").symlink_to(place)
    assert read_all(DirectoryTree(tmp_path / "current")) == {"a": b"1"}


def test_names_that_are_no_text_are_kept(place: Path) -> None:
    (place / os.fsdecode(b"caf\xe9\n")).write_bytes(b"1")
    assert read_all(DirectoryTree(place)) == {"caf\udce9\n": b"1"}


# Git


def test_a_commit_is_read_as_it_was_when_first_asked(repo: Git) -> None:
    tree = repo.write_tree(None, {"a": b"1"})
    repo.run("update-ref", "refs/x/tree", tree)
    read = GitTree(repo, "refs/x/tree")
    assert read_all(read) == {"a": b"1"}
    repo.run("update-ref", "refs/x/tree", repo.write_tree(None, {"b": b"2"}))
    assert read_all(read) == {"a": b"1"}


def test_a_tree_that_git_does_not_have_is_an_error(repo: Git) -> None:
    with pytest.raises(GitError):
        GitTree(repo, "--help").entries()


def test_a_tree_that_names_a_path_twice_is_refused(repo: Git) -> None:
    one, two = bytes.fromhex(blob(repo, b"1")), bytes.fromhex(blob(repo, b"2"))
    data = b"100644 a\0" + one + b"100644 a\0" + two
    command = ("hash-object", "-w", "-t", "tree", "--literally", "--stdin")
    with pytest.raises(GitError, match="names a path twice"):
        GitTree(repo, os.fsdecode(repo.run(*command, stdin=data)).strip()).entries()


def test_two_thousand_files_are_listed_by_one_process(repo: Git, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {f"targets/{number % 100}/{number}": b"%d" % (number % 7) for number in range(2_000)}
    oid = repo.write_tree(None, files)
    started: list[object] = []
    real = subprocess.Popen.__init__

    def counted(self: subprocess.Popen[bytes], *arguments: object, **options: object) -> None:
        started.append(arguments)
        real(self, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(subprocess.Popen, "__init__", counted)
    assert len(GitTree(repo, oid).entries()) == 2_000
    assert len(started) == 1


# Overlay and changes


@given(files=FILES, change=st.dictionaries(PATHS, st.none() | CONTENT, max_size=3))
def test_an_overlay_has_what_was_written_and_keeps_the_rest(
    files: dict[str, bytes], change: dict[str, bytes | None]
) -> None:
    base = MemoryTree(files)
    written = {path: content for path, content in change.items() if content is not None}
    if without_clashes(written) != written:
        with pytest.raises(RefusedError):
            overlay(base, change)
        return
    changed = overlay(base, change)
    result = read_all(changed)
    assert {path: result.get(path) for path in change} == change
    clashing = {
        path
        for path in files
        if any(path.startswith(new + "/") or new.startswith(path + "/") for new in written)
    }
    untouched = files.keys() - change.keys() - clashing
    assert {path: content for path, content in result.items() if path not in change} == {
        path: files[path] for path in untouched
    }
    assert changed.entries() == MemoryTree(result).entries()
    assert read_all(base) == files
    assert {change.path for change in changes(base, changed)} == {
        path for path in files.keys() | result.keys() if files.get(path) != result.get(path)
    }


@settings(max_examples=15)
@given(files=FILES, change=st.dictionaries(PATHS, st.none() | CONTENT, max_size=3))
def test_an_overlay_is_what_git_writes_for_the_same_changes(
    shared_repo: Git, files: dict[str, bytes], change: dict[str, bytes | None]
) -> None:
    change = {path: change[path] for path in without_clashes(dict.fromkeys(change, b""))}
    base = shared_repo.write_tree(None, files)
    written = GitTree(shared_repo, shared_repo.write_tree(base, change))
    assert overlay(GitTree(shared_repo, base), change).entries() == written.entries()


def test_an_overlay_keeps_modes_of_files_and_turns_links_into_files() -> None:
    base = MemoryTree({"run": b"1"}, links={"link": "run", "kept": "run"}, executable=["run"])
    changed = overlay(base, {"run": b"2", "link": b"3", "new": b"4"})
    assert {path: (entry.kind, entry.mode) for path, entry in changed.entries().items()} == {
        "kept": (Kind.LINK, LINK),
        "link": (Kind.FILE, FILE),
        "new": (Kind.FILE, FILE),
        "run": (Kind.FILE, RUN),
    }
    assert changed.size("run") == 1
    assert changed.read("link") == b"3"
    with pytest.raises(NotInTree):
        overlay(base, {"run": None}).read("run")


def test_changes_name_what_is_new_gone_and_different_in_content_mode_or_kind() -> None:
    old = MemoryTree(
        {"same": b"0", "gone": b"1", "edited": b"2", "mode": b"3", "kind": b"4"}, links={"link": "a"}
    )
    new = MemoryTree(
        {"same": b"0", "edited": b"2!", "mode": b"3", "new": b"5"},
        links={"kind": "4", "link": "b"},
        executable=["mode"],
    )
    before, after = old.entries(), new.entries()
    assert changes(old, new) == (
        Change("edited", before["edited"], after["edited"]),
        Change("gone", before["gone"], None),
        Change("kind", before["kind"], after["kind"]),
        Change("link", before["link"], after["link"]),
        Change("mode", before["mode"], after["mode"]),
        Change("new", None, after["new"]),
    )
    assert before["kind"].blob == after["kind"].blob
    assert changes(old, old) == ()
    assert [(change.new, change.old) for change in changes(old, new)] == [
        (change.old, change.new) for change in changes(new, old)
    ]


# Writing a directory


@settings(max_examples=25)
@given(before=FILES, after=FILES)
def test_a_directory_becomes_equal_to_the_tree_whatever_it_was(
    before: dict[str, bytes], after: dict[str, bytes]
) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        directory = Path(scratch) / "deep" / "site"
        write_directory(MemoryTree(before), directory)
        write_directory(MemoryTree(after), directory)
        assert DirectoryTree(directory).entries() == MemoryTree(after).entries()
        directories = {str(found.relative_to(directory)) for found in directory.rglob("*") if found.is_dir()}
        assert directories == {
            str(parent) for path in after for parent in Path(path).parents if parent != Path()
        }


def test_unchanged_files_are_not_touched_and_changed_ones_are_new_files(place: Path) -> None:
    fill(place, {"same": b"1", "d/changed": b"2", "longer": b"3", "mode": b"4"})
    before = {name: (place / name).stat().st_ino for name in ("same", "d/changed", "longer", "mode")}
    with (place / "d" / "changed").open("rb") as served:
        tree = MemoryTree(
            {"same": b"1", "d/changed": b"!", "longer": b"33", "mode": b"4"}, executable=["mode"]
        )
        write_directory(tree, place)
        assert served.read() == b"2"
    after = {name: (place / name).stat().st_ino for name in before}
    assert {name for name in before if before[name] == after[name]} == {"same"}
    assert on_disk(place) == {"same": b"1", "d/changed": b"!", "longer": b"33", "mode": b"4"}
    assert (place / "mode").stat().st_mode & 0o100


def test_files_obey_the_umask_of_the_person(place: Path) -> None:
    old = os.umask(0o027)
    try:
        write_directory(MemoryTree({"a": b"1", "run": b"2"}, executable=["run"]), place)
    finally:
        os.umask(old)
    assert oct((place / "a").stat().st_mode & 0o777) == "0o640"
    assert oct((place / "run").stat().st_mode & 0o777) == "0o750"


def test_what_points_at_other_files_appears_last_and_what_is_stale_goes_after_that(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(place, {"targets/old": b"", "metadata/timestamp.json": b"1"})
    steps: list[str] = []
    replace, unlink = Path.replace, Path.unlink

    def noted_replace(self: Path, target: Path) -> Path:
        steps.append(target.relative_to(place).as_posix())
        return replace(self, target)

    def noted_unlink(self: Path, missing_ok: bool = False) -> None:
        if not self.name.startswith(".keyturn-"):
            steps.append(f"delete {self.relative_to(place).as_posix()}")
        unlink(self, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "replace", noted_replace)
    monkeypatch.setattr(Path, "unlink", noted_unlink)
    tree = MemoryTree(
        {
            "index.html": b"",
            "metadata/2.snapshot.json": b"",
            "metadata/timestamp.json": b"2",
            "metadata/x/y.snapshot.json": b"",
            "targets/new": b"",
            "zzz": b"",
        }
    )
    write_directory(tree, place, last=("metadata/*.json", "metadata/timestamp.json", "index.html"))
    assert steps == [
        "metadata/x/y.snapshot.json",
        "targets/new",
        "zzz",
        "metadata/2.snapshot.json",
        "metadata/timestamp.json",
        "index.html",
        "delete targets/old",
    ]


def test_every_new_file_is_synced_before_it_is_moved_to_its_place(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    monkeypatch.setattr(
        tree_module.os,
        "fsync",
        lambda descriptor: synced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink())),
    )
    write_directory(MemoryTree({"a": b"1", "d/b": b"2"}), place, last=["a"])
    kinds = ["file" if name.endswith(".new") else name for name in synced]
    assert kinds[0] == "file"
    assert sorted(kinds[1:3]) == sorted([str(place), str(place / "d")])
    assert kinds[3:] == ["file", str(place)]


def test_links_in_the_directory_are_replaced_and_never_written_through(place: Path, tmp_path: Path) -> None:
    outside = fill(tmp_path / "outside", {"a": b"theirs", "sub/b": b"theirs"})
    (place / "a").symlink_to(outside / "a")
    (place / "d").symlink_to(outside)
    (place / "stale").symlink_to(outside / "sub")
    write_directory(MemoryTree({"a": b"ours", "d/a": b"ours", "d/sub/b": b"ours"}), place)
    assert on_disk(outside) == {"a": b"theirs", "sub/b": b"theirs"}
    assert on_disk(place) == {"a": b"ours", "d/a": b"ours", "d/sub/b": b"ours"}
    assert not any(found.is_symlink() for found in place.rglob("*"))
    assert not (place / "stale").exists()


def test_files_and_directories_change_places(place: Path) -> None:
    fill(place, {"a": b"1", "b/c/d": b"2"})
    write_directory(MemoryTree({"a/x": b"3", "b": b"4"}), place)
    assert on_disk(place) == {"a/x": b"3", "b": b"4"}


def test_empty_directories_pipes_and_leftovers_of_a_crash_are_cleared_away(place: Path) -> None:
    (place / "empty" / "deep").mkdir(parents=True)
    (place / ".keyturn-0123456789abcdef.new").write_bytes(b"half")
    os.mkfifo(place / "pipe")
    write_directory(MemoryTree({"a": b"1"}), place)
    assert sorted(found.name for found in place.rglob("*")) == ["a"]


@pytest.mark.parametrize("path", ["/etc/x", "../x", "a/../../x", "a//b", "", ".", "a/.", "a\0b"])
def test_an_unsafe_path_is_refused_before_anything_is_written(tmp_path: Path, path: str) -> None:
    with pytest.raises(RefusedError) as caught:
        write_directory(MemoryTree({"a0": b"1", path: b"2"}), tmp_path / "site")
    assert caught.value.reason == "unsafe-path"
    assert not (tmp_path / "site").exists()


def test_a_tree_with_links_submodules_or_clashes_is_refused_before_anything_is_written(
    repo: Git, tmp_path: Path
) -> None:
    submodule = GitTree(repo, git_tree(repo, (FILE, "a", blob(repo, b"")), (MODULE, "m", ABSENT)))
    link = MemoryTree({"a": b"1"}, links={"z": "a"})
    clash = MemoryTree({"a": b"1", "a/b": b"2"})
    for tree, reason in ((submodule, "submodule"), (link, "link"), (clash, "path-clash")):
        with pytest.raises(RefusedError) as caught:
            write_directory(tree, tmp_path / "site")
        assert caught.value.reason == reason
        assert not (tmp_path / "site").exists()


def test_a_checkout_is_never_cleared_away(place: Path) -> None:
    fill(place, {".git/HEAD": b"ref: refs/heads/main", "work": b"mine"})
    with pytest.raises(RefusedError, match="git checkout"):
        write_directory(MemoryTree({"a": b"1"}), place)
    assert (place / "work").read_bytes() == b"mine"


def test_a_disk_that_refuses_leaves_the_old_file_and_no_litter(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(place, {"a": b"old"})

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tree_module.os, "fsync", full)
    with pytest.raises(EnvironmentFault, match="cannot write this: No space left on device") as caught:
        write_directory(MemoryTree({"a": b"new"}), place)
    assert caught.value.where == str(place)
    assert on_disk(place) == {"a": b"old"}


def test_a_directory_that_cannot_be_made_is_an_environment_fault(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(EnvironmentFault):
        write_directory(MemoryTree({"a": b"1"}), tmp_path / "file" / "site")


def test_a_tree_whose_files_vanish_is_an_error_and_nothing_is_deleted(place: Path, tmp_path: Path) -> None:
    source = fill(tmp_path / "source", {"a": b"1", "b": b"2"})
    fill(place, {"stale": b"0"})
    tree = DirectoryTree(source)
    dict(tree.entries())
    shutil.rmtree(source)
    with pytest.raises(EnvironmentFault, match="no such file"):
        write_directory(tree, place)
    assert on_disk(place) == {"stale": b"0"}
