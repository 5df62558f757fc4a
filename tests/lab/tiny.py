"""Tiny repositories and workflows, for the tests of the lab itself."""

from __future__ import annotations

import textwrap
import urllib.error
import urllib.request

from lab.actions.runner import Run
from lab.lab import Lab

SLUG = "alice/updates"
PIN = "1" * 40


def workflow(on: str, steps: str = "- run: echo hello", *, top: str = "", job: str = "") -> bytes:
    """A workflow file with one job, `only`."""
    text = f"name: Test\non:\n{_in(on, 2)}\npermissions: {{}}\n{textwrap.dedent(top)}\njobs:\n  only:\n"
    text += f"    runs-on: ubuntu-latest\n{_in(job, 4)}\n    steps:\n{_in(steps, 6)}\n"
    return text.encode()


def _in(text: str, indent: int) -> str:
    return textwrap.indent(textwrap.dedent(text).strip("\n"), " " * indent)


def at(name: str) -> str:
    return f".github/workflows/{name}.yml"


def found(lab: Lab, files: dict[str, bytes]) -> None:
    """A repository with a first commit, before the runs that this starts."""
    lab.forge.user("alice")
    lab.forge.user("bob")
    lab.forge.create_repository("alice", "updates", files=files, collaborators={"bob": "write"})


def commit(lab: Lab, files: dict[str, bytes | None], *, branch: str = "main", author: str = "alice") -> str:
    return lab.forge.commit(SLUG, branch, files, "Change", author=author)


def branch(lab: Lab, name: str, files: dict[str, bytes | None], *, author: str = "bob") -> None:
    """A branch with one commit on top of main."""
    repository = lab.forge.repository(SLUG)
    tip = repository.store.branch("main")
    assert tip is not None
    repository.store.set_ref(f"refs/heads/{name}", tip)
    commit(lab, files, branch=name, author=author)


def names(runs: list[Run]) -> list[tuple[str, str, str | None]]:
    return [(run.file.removesuffix(".yml"), run.start.event, run.conclusion) for run in runs]


def call(lab: Lab, token: str, method: str, path: str, body: str = "") -> int:
    request = urllib.request.Request(f"{lab.forge.api}{path}", method=method, data=body.encode() or None)
    request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code
