"""Which repository and which remote a command works with."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

import pytest

from keyturn.cli.remote import RemoteForge, open_remote
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
