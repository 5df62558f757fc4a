"""What the tests of the forge itself share: a forge with a few people and one repository, PyGithub, git."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from github import Auth, Github, GithubException
from github.PullRequest import PullRequest
from github.Repository import Repository

from lab.clock import Clock
from lab.forge import LabForge
from lab.forge.wire import Json

SLUG = "alice/updates"
WORKFLOW = ".github/workflows/check.yml"
FILES = {"README.md": b"hello\n", WORKFLOW: b"on: workflow_dispatch\njobs: {}\n"}
Git = Callable[..., "subprocess.CompletedProcess[str]"]


@contextmanager
def populated(directory: Path, clock: Clock) -> Iterator[LabForge]:
    """alice owns it, bob writes, carol reads, mallory has nothing to do with it."""
    with LabForge(directory, clock=clock) as forge:
        for login, number in {"alice": 101, "bob": 102, "carol": 103, "mallory": 666}.items():
            forge.user(login, number)
        forge.create_repository(
            "alice", "updates", files=FILES, collaborators={"bob": "write", "carol": "read"}
        )
        yield forge


def git_in(directory: Path) -> Git:
    """git in a directory, as somebody whose machine has no settings."""
    people = [f"GIT_{who}_{what}" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")]
    environment: Mapping[str, str] = {
        "PATH": os.environ["PATH"],
        "HOME": str(directory),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        **dict.fromkeys(people, "x@example.com"),
    }

    def run(*args: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["git", *args], cwd=directory, env=environment, check=check, capture_output=True, text=True
        )

    return run


def hub(forge: LabForge, token: str) -> Github:
    """PyGithub without its waiting."""
    return Github(
        base_url=forge.api,
        auth=Auth.Token(token),
        seconds_between_requests=0,
        seconds_between_writes=0,
        retry=None,
    )


def repository(forge: LabForge, token: str, slug: str = SLUG) -> Repository:
    return hub(forge, token).get_repo(slug)


def person(forge: LabForge, login: str) -> Repository:
    """The repository in the hands of a person."""
    return repository(forge, forge.user(login))


def job(forge: LabForge, **scopes: str) -> Repository:
    """The repository in the hands of a job; ``pull_requests="write"``."""
    return repository(
        forge, forge.mint(SLUG, {name.replace("_", "-"): level for name, level in scopes.items()})
    )


def post(of: Repository, where: str, **fields: object) -> Json:
    """Call what PyGithub has no method for, or hides the answer of."""
    return call(of, "POST", where, **fields)


def call(of: Repository, method: str, where: str, **fields: object) -> Json:
    _, found = of.requester.requestJsonAndCheck(method, f"{of.url}/{where}", input=fields or None)
    return found


def start_branch(forge: LabForge, branch: str) -> str:
    """A branch where main is."""
    store = forge.repository(SLUG).store
    store.set_ref(f"refs/heads/{branch}", store.branch("main") or "")
    return branch


def proposal(forge: LabForge, branch: str = "sign/one", author: str = "alice") -> PullRequest:
    """A pull request with one commit."""
    start_branch(forge, branch)
    forge.commit(SLUG, branch, {f"{branch}.txt": b"1\n"}, "Propose", author=author)
    return person(forge, author).create_pull(base="main", head=branch, title="One", body="text")


def address(forge: LabForge, token: str, slug: str = SLUG) -> str:
    """Where git goes with a token."""
    return forge.url.replace("http://", f"http://x-access-token:{token}@") + f"/{slug}.git"


def refused(status: int, do: Callable[..., object], *args: object, **named: object) -> str:
    """Expect GitHub's no, and return its words."""
    with pytest.raises(GithubException) as error:
        do(*args, **named)
    assert error.value.status == status, error.value
    return str(error.value.data)
