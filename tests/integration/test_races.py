"""Several people at the same second: nothing is lost, nothing is doubled."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from integration.team import Person, Team, with_proposal
from keyturn.flow import events, found
from keyturn.flow.retry import ATTEMPTS, until_pushed
from keyturn.forge.local import LocalForge
from keyturn.git import PushRejected
from keyturn.verify import EventState

pytestmark = [pytest.mark.slow, pytest.mark.lab]

# Says that this clone has fetched and is about to push, then waits for its own starting signal; only once.
HOOK = """#!/bin/sh
here="$(dirname "$0")"
if [ -e "$here/went" ]; then exit 0; fi
: > "$here/went"
echo ready > "{ready}"
read -r _ < "$here/go"
exit 0
"""


PATIENCE = 60.0
"""Seconds after which somebody who has not come is given up."""


class Gate:
    """Holds people's first pushes at a pre-push hook until all of them have fetched."""

    def __init__(self, base: Path, people: Sequence[Person]) -> None:
        self.people = people
        self.ready = base / "ready"
        os.mkfifo(self.ready)
        for person in people:
            hooks = person.clone / ".git/hooks"
            hooks.mkdir()
            os.mkfifo(hooks / "go")
            hook = hooks / "pre-push"
            hook.write_text(HOOK.format(ready=self.ready))
            hook.chmod(0o755)

    def open_when_all_are_there(self) -> None:
        """Wait for one word from each, and let all of them go."""
        heard = b""
        pipe = os.open(self.ready, os.O_RDWR)
        try:
            while heard.count(b"\n") < len(self.people):
                able, _, _ = select.select([pipe], [], [], PATIENCE)
                assert able, f"not all came to the gate: {heard!r}"
                heard += os.read(pipe, 100)
        finally:
            os.close(pipe)
        for person in self.people:
            (person.clone / ".git/hooks/go").write_text("go\n")


def start(person: Person, *arguments: str) -> subprocess.Popen[str]:
    """The installed command, as this person would run it, in a process of its own."""
    environment = {
        **os.environ,
        "HOME": str(person.clone.parent),
        "KEYTURN_CONFIG_DIR": str(person.context.home.directory),
        "GIT_AUTHOR_NAME": person.name,
    }
    command = [sys.executable, "-m", "keyturn", "-C", str(person.clone), "--json", *arguments]
    return subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def sign_command(person: Person, topic: str) -> list[str]:
    status = events.status(person.context, topic)
    expected = [digest for role in status.report.roles for digest in ("--expect", role.digest)]
    return [
        "--at",
        "2026-11-21T12:00:00Z",
        "sign",
        topic,
        "--key",
        f"file:{person.key_file}",
        "--yes",
        *expected,
    ]


def join_command(person: Person) -> list[str]:
    at = ["--at", "2026-11-21T12:00:00Z"]
    return [*at, "join", "founding", "--login", person.name, "--key", f"file:{person.key_file}"]


def race(gate: Gate, commands: Sequence[tuple[Person, list[str]]]) -> None:
    """Run commands at once, held at the gate; each must end well."""
    with ExitStack() as stack:
        running = [stack.enter_context(start(person, *command)) for person, command in commands]
        for process in running:
            stack.callback(end, process)
        gate.open_when_all_are_there()
        for process in running:
            out, err = process.communicate(timeout=PATIENCE)
            assert process.returncode == 0, out + err
            assert json.loads(out)


def end(process: subprocess.Popen[str]) -> None:
    """Leave nothing behind that still waits at the gate."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def test_two_signers_who_push_at_once_both_get_through(team: Team, tmp_path: Path) -> None:
    team.begin(with_proposal, "1.0")
    topic = "release-hello-1.0"
    alice, bob = team.person("alice"), team.person("bob")
    gate = Gate(tmp_path, [alice, bob])
    race(gate, [(person, sign_command(person, topic)) for person in (alice, bob)])
    status = events.status(alice.context, topic)
    assert status.state is EventState.READY
    (count,) = status.report.roles[0].counts
    assert sorted(mark.owner for mark in count.signed) == ["alice", "bob"]


def test_two_who_join_at_once_are_both_in_and_one_of_them_proposes(team: Team, tmp_path: Path) -> None:
    team.init()
    alice, bob = team.person("alice"), team.person("bob")
    gate = Gate(tmp_path, [alice, bob])
    race(gate, [(person, join_command(person)) for person in (alice, bob)])
    status = events.status(alice.context, found.FOUNDING)
    assert status.state is EventState.PENDING
    assert [role.role for role in status.report.roles] == ["root", "targets"]


def test_patience_ends_with_a_clear_word(team: Team) -> None:
    team.found()
    forge = team.person("alice").context.forge
    tries = []

    def always_late() -> None:
        tries.append(1)
        raise PushRejected("moved", reason="push-rejected")

    with pytest.raises(PushRejected, match="others pushed first, 5 times in a row"):
        until_pushed(forge, always_late)
    assert len(tries) == ATTEMPTS


def test_a_merge_that_lost_a_race_is_judged_anew(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    """Main moves between the verdict and the push: the merge is made again on top of it."""
    team.begin(with_proposal, "1.0")
    topic = "release-hello-1.0"
    for name in ("alice", "bob"):
        team.person(name).sign(topic)
    moved = []
    real = LocalForge.merge

    def late(self: LocalForge, *arguments: object, **options: object) -> str:
        if not moved:
            moved.append(team.push_file("main", "README.md", b"first"))
        return real(self, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(LocalForge, "merge", late)
    merged = events.merge(team.person("alice").context, topic)
    forge = team.person("alice").context.forge
    forge.refresh()
    assert forge.main() == merged.commit
    assert forge.tree(merged.commit).read("README.md") == b"first"
