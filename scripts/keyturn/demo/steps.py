"""People doing things one after the other, each told with its command, its time and what came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from keyturn.demo.page import Page, Style
from keyturn.demo.world import Done, Person
from keyturn.errors import ExitCode, RefusedError

_SHOWN = 4


class Unexpected(RefusedError):
    """A step did not go as the story has it."""

    default_reason = "demo"


@dataclass(frozen=True, slots=True)
class Part:
    """One command of a step.

    Args:
        done: The process.
        lines: Which lines of what it said are told.
        style: How these look.
        note: What should be known about the command.
        prompt: What stands before it: ``$`` for a command, something else for what is no command.
    """

    done: Done
    lines: tuple[str, ...] = ()
    style: Style = "dim"
    note: str = ""
    prompt: str = "$"


@dataclass(frozen=True, slots=True)
class Look:
    """What a person saw of a signing event before they signed.

    Args:
        done: The process.
        said: The state in a sentence.
        digests: Payload digest by role.
        missing: Who has not signed.
        root_digest: The repository's root digest, as the remote has it.
    """

    done: Done
    said: str
    digests: Mapping[str, str]
    missing: tuple[str, ...]
    root_digest: str

    @property
    def expect(self) -> tuple[str, ...]:
        """The options that bind a signature to what was seen."""
        return tuple(word for digest in self.digests.values() for word in ("--expect", digest))

    @property
    def part(self) -> Part:
        """The look as a command of a step."""
        return Part(self.done, (f"{self.said}; payload {' and '.join(self.digests.values())}",))


class Steps:
    """Runs commands and tells them.

    Args:
        page: Where it is told.
    """

    def __init__(self, page: Page) -> None:
        self.page = page
        self.hidden: tuple[str, ...] = ()
        """Options of every command that the page does not repeat."""
        self.count = 0
        self.processes = 0

    def run(self, person: Person, *words: str, expect: int = ExitCode.DONE, reason: str = "") -> Done:
        """Let somebody run Keyturn.

        Args:
            person: Who.
            words: What they type behind ``keyturn``.
            expect: The exit code that the story needs.
            reason: The reason that an error must give, where the story depends on it.

        Raises:
            Unexpected: It ends otherwise.
        """
        done = self.attempt(person, *words)
        if done.code != expect or (reason and done.reason != reason):
            wanted = f"exit code {int(expect)}" + (f" and the reason {reason}" if reason else "")
            said = " / ".join(done.lines[-8:]) or "nothing"
            raise Unexpected(
                f"{person.name} got exit code {done.code} where the story needs {wanted}; it said: {said}",
                where=" ".join(done.shown),
                todo="This is an error of Keyturn or of its demo; please report it with all of the output.",
            )
        return done

    def attempt(self, person: Person, *words: str) -> Done:
        """Let somebody run Keyturn, whatever comes of it."""
        self.processes += 1
        return person.run(*words, hidden=self.hidden)

    def tell(self, person: Person, what: str, *parts: Part) -> None:
        """Tell a step that has been done."""
        self.count += 1
        self.page.step(person.name, what, sum(part.done.seconds for part in parts))
        for part in parts:
            self.page.command(part.done.shown, part.note, prompt=part.prompt)
            self.page.said(*part.lines, style=part.style)

    def look(self, person: Person, event: str) -> Look:
        """Let a signer look at an event that waits for signatures, as a program would.

        Raises:
            Unexpected: It does not wait for signatures.
        """
        done = self.run(person, "--json", "status", event, expect=ExitCode.PENDING)
        roles: Sequence[Mapping[str, Any]] = done.document["roles"]
        counts = [(role, count) for role in roles for count in role["counts"]]
        missing = dict.fromkeys(mark["owner"] for _, count in counts for mark in count["missing"])
        states = (
            f"{role['role']} {role['version']} has {count['have']} of {count['need']}"
            for role, count in counts
        )
        return Look(
            done=done,
            said=f"{done.document['state']}: {', '.join(states)}, missing: {', '.join(missing)}",
            digests={f"{role['role']} {role['version']}": role["payload-sha256"] for role in roles},
            missing=tuple(missing),
            root_digest=done.document["root-digest"],
        )

    def sign(self, person: Person, event: str, look: Look, *, key: str = "") -> Part:
        """Let a signer sign exactly the payloads that they have seen.

        Args:
            person: Who.
            event: The signing event.
            look: What they have seen.
            key: Whose key they do it with; their own by default.

        Raises:
            Unexpected: Keyturn refuses.
        """
        done = self.run(person, *signing(key or person.name, event, look))
        return Part(done, (*most(matching(done, "!!")), *matching(done, "sign/")))


def most(lines: tuple[str, ...]) -> tuple[str, ...]:
    """Enough of what a signer is shown to see what it is about."""
    return (*lines[:_SHOWN], f"(and {len(lines) - _SHOWN} more)") if len(lines) > _SHOWN else lines


def signing(key: str, event: str, look: Look) -> tuple[str, ...]:
    """What is typed to sign exactly the payloads that were seen."""
    return ("sign", event, "--key", f"file:~/{key}.pem", "--yes", *look.expect)


def matching(done: Done, *beginnings: str) -> tuple[str, ...]:
    """The lines of what a process said that begin in one of these ways."""
    return tuple(line for line in done.lines if line.startswith(beginnings))
