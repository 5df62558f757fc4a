"""A problem of a policy file, and the error that carries all of them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from keyturn.errors import UsageError

ProblemKind = Literal["shape", "sense"]
Steps = tuple["str | int", ...]

_SHOWN = 60
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a policy (SPEC: keyturn.yml, two classes of error).

    Args:
        kind: ``shape`` (the JSON Schema sees it too) or ``sense`` (only the parser does).
        line: Line in the file, from 1.
        column: Column in characters, from 1.
        where: Field concerned, e.g. ``roles.root.threshold``; empty for the file as a whole.
        what: What is wrong, without a full stop.
        todo: What to write, with an example.
    """

    kind: ProblemKind
    line: int
    column: int
    where: str
    what: str
    todo: str

    def located(self, file: str) -> str:
        """The problem on one line, as compilers write it: ``file:line:column: field: what. todo``."""
        field = f"{self.where}: " if self.where else ""
        return f"{file}:{self.line}:{self.column}: {field}{self.what}. {self.todo}"


class PolicyError(UsageError):
    """A policy file has problems; ``str`` lists every one.

    Args:
        problems: At least one, in any order.
        file: Name of the file for messages.
    """

    default_reason = "policy"

    def __init__(self, problems: Sequence[Problem], *, file: str = "keyturn.yml") -> None:
        self.file = file
        self.problems = tuple(sorted(problems, key=lambda p: (p.line, p.column, p.where, p.what)))
        first = self.problems[0]
        if len(self.problems) == 1:
            what = f"{first.where}: {first.what}" if first.where else first.what
            super().__init__(what, where=f"{file}:{first.line}:{first.column}", todo=first.todo)
        else:
            super().__init__(f"{len(self.problems)} problems in the policy", where=file, todo=str(self))

    def __str__(self) -> str:
        return "\n".join(problem.located(self.file) for problem in self.problems)


def field_name(path: Steps) -> str:
    """A field's path as people read it: ``delegations.plugins.paths[0]``; odd keys are quoted and escaped."""
    parts = [f"[{step}]" if isinstance(step, int) else f".{_key(step)}" for step in path]
    return "".join(parts).removeprefix(".")


def _key(step: str) -> str:
    return step if _PLAIN_KEY.fullmatch(step) else quoted(step)


def quoted(text: str) -> str:
    """Text from the file for a message: in quotes, not too long, what does not show escaped."""
    return repr(text) if len(text) <= _SHOWN else f"{text[:_SHOWN]!r}..."
