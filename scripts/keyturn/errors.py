"""One exception family: what is wrong, where, and what to do next.

Every error that Keyturn raises on purpose derives from :class:`KeyturnError`. An error carries three
sentences for the person who reads it (``what``, ``where``, ``todo``), an exit code for the shell, and a
``reason``: a short stable word for programs, tests and the demo, which must be able to tell one refusal
from another without reading prose.
"""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar


class ExitCode(IntEnum):
    """Exit codes of every command (SPEC: States of a signing event)."""

    DONE = 0
    PENDING = 1
    USAGE = 2
    INVALID = 3
    ENVIRONMENT = 4
    NOTHING = 5
    INTERNAL = 70
    INTERRUPTED = 130


class KeyturnError(Exception):
    """Base of the family; never raised itself.

    Args:
        what: What is wrong, one sentence without a full stop.
        where: File and line, role, key or URL concerned; empty if nowhere in particular.
        todo: What the person should do next; empty if ``what`` says it all.
        reason: Stable lower-case word for programs, e.g. ``threshold``; the class's own by default.
    """

    exit_code: ClassVar[ExitCode] = ExitCode.INVALID
    default_reason: ClassVar[str] = "error"

    def __init__(self, what: str, *, where: str = "", todo: str = "", reason: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.todo = todo
        self.reason = reason or self.default_reason

    def __str__(self) -> str:
        return f"{self.where}: {self.what}" if self.where else self.what

    def to_dict(self) -> dict[str, str]:
        """The error as ``--json`` shows it."""
        return {"reason": self.reason, "what": self.what, "where": self.where, "todo": self.todo}


class PendingError(KeyturnError):
    """Something is not finished yet: signatures or keys are missing."""

    exit_code = ExitCode.PENDING
    default_reason = "pending"


class UsageError(KeyturnError):
    """The command line or a configuration file asks for something that cannot be."""

    exit_code = ExitCode.USAGE
    default_reason = "usage"


class RefusedError(KeyturnError):
    """Something does not verify, or a rule of trust forbids it."""

    exit_code = ExitCode.INVALID
    default_reason = "refused"


class EnvironmentFault(KeyturnError):
    """The network, git, the disk or a missing extra is in the way; nothing is wrong with the content."""

    exit_code = ExitCode.ENVIRONMENT
    default_reason = "environment"


class NothingToDo(KeyturnError):
    """All is as it should be already."""

    exit_code = ExitCode.NOTHING
    default_reason = "nothing-to-do"
