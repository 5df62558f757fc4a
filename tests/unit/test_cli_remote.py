"""Which repository and which remote a command works with, and which event a pull request is."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

import pytest

from keyturn.cli.remote import (
    PullRequestName,
    RemoteForge,
    open_pull_request,
    open_remote,
    pulled_topic,
)
from keyturn.errors import EnvironmentFault, UsageError
from keyturn.git import Git, Identity

NOW = datetime(2026, 11, 21, 12, tzinfo=timezone.utc)


@pytest.fixture(autouse=True)
def _own_git_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "no-gitconfig"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))


@pytest.fixture
def remote(tmp_path: Path) -> Iterator[Git]:
    """A bare repository without a commit."""
    with Git.init(tmp_path / "far" / "remote.git", bare=True) as git:
        yield git


def clone(remote: Git, into: Path, address: str | None = None) -> Path:
    into.mkdir()
    for words in (["init", "-q"], ["remote", "add", "origin", address or str(remote.directory)]):
        subprocess.run(["git", *words], cwd=into, check=True)
    return into


def commit(remote: Git, branch: str) -> str:
    made = remote.commit_tree(
        remote.write_tree(None, {"a": b"a"}), [], "a", author=Identity("a", "a@a"), when=NOW
    )
    remote.run("update-ref", f"refs/heads/{branch}", made)
    return made


def test_a_clone_lends_its_objects_and_its_remote_is_named(remote: Git, tmp_path: Path) -> None:
    here = clone(remote, tmp_path / "here")
    git, name = open_remote(here, "origin", tmp_path / "cache")
    assert (git.directory, name) == (here, "origin")


def test_a_url_needs_no_clone(remote: Git, tmp_path: Path) -> None:
    commit(remote, "main")
    address = str(remote.directory)
    for _ in range(2):
        git, given = open_remote(tmp_path, address, tmp_path / "cache")
        with git:
            assert given == address
            assert git.directory.parent == tmp_path / "cache"
            RemoteForge(git, given).refresh()
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_without_clone_and_url_it_says_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFault) as fault:
        open_remote(tmp_path, "origin", tmp_path / "cache")
    assert fault.value.reason == "no-repository"
    assert "--remote URL" in fault.value.todo


def test_a_remote_that_the_clone_does_not_know_is_a_usage_error(remote: Git, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as refused:
        open_remote(clone(remote, tmp_path / "here"), "upstream", tmp_path / "cache")
    assert refused.value.reason == "no-remote"


@pytest.mark.parametrize("configured", [True, False])
def test_a_relative_path_means_the_same_for_git_and_for_pins(
    remote: Git, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, configured: bool
) -> None:
    monkeypatch.chdir("/")
    relative = "../far/remote.git"
    here = clone(remote, tmp_path / "here", relative if configured else None)
    git, given = open_remote(here, "origin" if configured else relative, tmp_path / "cache")
    with git:
        forge = RemoteForge(git, given)
        forge.refresh()
        assert forge.url == str(remote.directory)


def test_main_is_the_branch_wherever_head_points(remote: Git, tmp_path: Path) -> None:
    main = commit(remote, "main")
    commit(remote, "trunk")
    remote.run("symbolic-ref", "HEAD", "refs/heads/trunk")
    with Git.open(clone(remote, tmp_path / "here")) as git:
        forge = RemoteForge(git, "origin")
        forge.refresh()
        assert (forge.branch, forge.main()) == ("main", main)


def test_without_main_the_remote_says_which_branch(remote: Git, tmp_path: Path) -> None:
    trunk = commit(remote, "trunk")
    remote.run("symbolic-ref", "HEAD", "refs/heads/trunk")
    with Git.open(clone(remote, tmp_path / "here")) as git:
        forge = RemoteForge(git, "origin")
        forge.refresh()
        assert (forge.branch, forge.main()) == ("trunk", trunk)


def test_an_empty_remote_gets_a_main(remote: Git, tmp_path: Path) -> None:
    with Git.open(clone(remote, tmp_path / "here")) as git:
        forge = RemoteForge(git, "origin")
        forge.refresh()
        assert (forge.branch, forge.main()) == ("main", None)


def test_a_branch_that_was_named_stays(remote: Git, tmp_path: Path) -> None:
    commit(remote, "other")
    remote.run("symbolic-ref", "HEAD", "refs/heads/other")
    with Git.open(clone(remote, tmp_path / "here")) as git:
        forge = RemoteForge(git, "origin", "trunk")
        forge.refresh()
        assert (forge.branch, forge.main()) == ("trunk", None)


# Pull requests

A, B = "a" * 40, "b" * 40
REFS = {
    "refs/heads/main": B,
    "refs/heads/sign/release-1": A,
    "refs/pull/5/head": A,
    "refs/pull/5/merge": B,
    "refs/pull/6/head": B,
    "refs/pull/7/head": "c" * 40,
}


@pytest.mark.parametrize(
    ("event", "name"),
    [
        ("5", PullRequestName(5, None, surely=False)),
        ("#5", PullRequestName(5, None, surely=True)),
        *(
            (
                f"https://github.com/o/r/pull/5{rest}",
                PullRequestName(5, "https://github.com/o/r", surely=True),
            )
            for rest in ("", "/", "/files", "/commits/abc", "#issuecomment-1", "?w=1")
        ),
        (
            "https://ghe.example:8443/o/r/pull/5",
            PullRequestName(5, "https://ghe.example:8443/o/r", surely=True),
        ),
    ],
)
def test_a_pull_request_is_named_by_number_or_address(event: str, name: PullRequestName) -> None:
    assert PullRequestName.parse(event) == name


@pytest.mark.parametrize(
    "event",
    ["release-5", "sign/5", "05", "0", "-5", "5a", "5\n", "\u0665", "https://github.com/o/r/issues/5"],
)
def test_anything_else_is_a_topic(event: str) -> None:
    assert PullRequestName.parse(event) is None


def named(event: str) -> PullRequestName:
    name = PullRequestName.parse(event)
    assert name is not None
    return name


def test_a_pull_request_is_the_event_whose_tip_is_its_head() -> None:
    assert pulled_topic(REFS, named("5"), "there") == "release-1"


@pytest.mark.parametrize(
    ("number", "reason", "told"),
    [
        ("#6", "not-an-event", "comes from main"),
        ("#7", "not-an-event", "fork"),
        ("#8", "no-pull-request", "no pull request 8"),
    ],
)
def test_a_pull_request_that_is_no_event_is_told_why(number: str, reason: str, told: str) -> None:
    with pytest.raises(UsageError, match=told) as refused:
        pulled_topic(REFS, named(number), "there")
    assert refused.value.reason == reason


def test_a_number_without_a_pull_request_may_be_a_topic() -> None:
    assert pulled_topic(REFS, named("8"), "there") is None


def test_a_number_that_could_be_either_is_refused() -> None:
    refs = {**REFS, "refs/heads/sign/5": B}
    with pytest.raises(UsageError) as refused:
        pulled_topic(refs, named("5"), "there")
    assert refused.value.reason == "ambiguous-event"
    assert pulled_topic(refs, named("#5"), "there") == "release-1"


def test_an_event_called_like_its_own_pull_request_is_no_riddle() -> None:
    refs = {"refs/heads/sign/5": A, "refs/pull/5/head": A}
    assert pulled_topic(refs, named("5"), "there") == "5"


def test_two_events_at_one_commit_are_not_guessed_between() -> None:
    with pytest.raises(UsageError, match="name one of them"):
        pulled_topic({**REFS, "refs/heads/sign/copy": A}, named("#5"), "there")


def test_git_alone_says_which_event_a_pull_request_is(remote: Git, tmp_path: Path) -> None:
    commit(remote, "main")
    tip = remote.commit_tree(
        remote.write_tree(None, {"b": b"b"}), [], "b", author=Identity("a", "a@a"), when=NOW
    )
    remote.run("update-ref", "refs/heads/sign/release-1", tip)
    remote.run("update-ref", "refs/pull/5/head", tip)
    with Git.open(clone(remote, tmp_path / "here")) as git:
        assert RemoteForge(git, "origin").topic_of(named("#5")) == "release-1"


GITHUB = "https://github.com/acme/updates"


@pytest.mark.parametrize(
    "address",
    [GITHUB, f"{GITHUB}.git", "git@github.com:acme/updates.git", "ssh://git@github.com/Acme/Updates"],
)
def test_in_a_clone_of_it_the_clone_s_own_remote_is_used(remote: Git, tmp_path: Path, address: str) -> None:
    here = clone(remote, tmp_path / "here", address)
    git, name = open_pull_request(here, "origin", GITHUB, tmp_path / "cache")
    assert (git.directory, name) == (here, "origin")


def test_another_remote_of_the_clone_will_do(remote: Git, tmp_path: Path) -> None:
    here = clone(remote, tmp_path / "here", "git@github.com:me/updates.git")
    subprocess.run(["git", "remote", "add", "upstream", GITHUB], cwd=here, check=True)
    assert open_pull_request(here, "origin", GITHUB, tmp_path / "cache")[1] == "upstream"


@pytest.mark.parametrize("in_a_clone", [True, False])
def test_elsewhere_no_clone_is_needed(remote: Git, tmp_path: Path, in_a_clone: bool) -> None:
    here = clone(remote, tmp_path / "here") if in_a_clone else tmp_path
    git, name = open_pull_request(here, "origin", GITHUB, tmp_path / "cache")
    assert (git.directory.parent, name) == (tmp_path / "cache", GITHUB)


def test_an_address_given_as_remote_keeps_its_spelling(remote: Git, tmp_path: Path) -> None:
    here = clone(remote, tmp_path / "here")
    ssh = "ssh://git@github.com/acme/updates"
    git, name = open_pull_request(here, ssh, GITHUB, tmp_path / "cache")
    assert (git.directory, name) == (here, ssh)


def test_a_broken_repository_is_no_reason_to_go_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(directory: Path) -> Git:
        raise EnvironmentFault("git is too old", reason="git-version")

    monkeypatch.setattr(Git, "open", broken)
    with pytest.raises(EnvironmentFault, match="too old"):
        open_pull_request(tmp_path, "origin", GITHUB, tmp_path / "cache")
