"""What verification says: findings, the rules that make them, and who has signed what."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Generic, TypeVar

from keyturn.errors import ExitCode

Subject = TypeVar("Subject")


class Severity(str, Enum):
    """How much a finding weighs: an error makes its subject invalid, a warning does not."""

    ERROR = "error"
    WARNING = "warning"


class EventState(str, Enum):
    """The states of a signing event, in the order in which the first that fits counts (SPEC)."""

    EMPTY = "empty"
    INVALID = "invalid"
    INCOMPLETE = "incomplete"
    PENDING = "pending"
    READY = "ready"
    MERGED = "merged"

    @property
    def exit_code(self) -> ExitCode:
        """The exit code that stands for this state."""
        return {
            EventState.EMPTY: ExitCode.NOTHING,
            EventState.INVALID: ExitCode.INVALID,
            EventState.INCOMPLETE: ExitCode.PENDING,
            EventState.PENDING: ExitCode.PENDING,
            EventState.READY: ExitCode.DONE,
            EventState.MERGED: ExitCode.DONE,
        }[self]


@dataclass(frozen=True, slots=True)
class Violation:
    """What one rule found: the sentence and the place, before the rule adds the rest.

    Args:
        what: What is wrong, with the names and numbers concerned.
        where: Path, role or key.
        severity: Overrides the rule's own severity.
    """

    what: str
    where: str
    severity: Severity | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """One violated rule.

    Args:
        id: The rule's id, e.g. ``KT102``.
        severity: Whether it makes the subject invalid.
        what: What is wrong here.
        where: Path, role or key.
        why: Why the rule exists.
        mend: What to do about it.
    """

    id: str
    severity: Severity
    what: str
    where: str
    why: str
    mend: str

    def to_dict(self) -> dict[str, str]:
        """The finding as ``--json`` shows it."""
        return {
            "id": self.id,
            "severity": self.severity.value,
            "what": self.what,
            "where": self.where,
            "why": self.why,
            "mend": self.mend,
        }


@dataclass(frozen=True, slots=True)
class Rule(Generic[Subject]):
    """One rule: a pure function over its subject, and the words around it.

    Args:
        id: ``KT`` and three digits; never used again for another rule.
        title: The rule in a few words.
        why: What goes wrong where it is broken.
        mend: What a person does about it.
        check: Yields what violates the rule.
        severity: Default severity of its findings.
        milder: When its findings are warnings though its severity is error, as the end of a sentence that
            begins with "a warning where"; empty if they never are.
        since: The first version of Keyturn that has it.
    """

    id: str
    title: str
    why: str
    mend: str
    check: Callable[[Subject], Iterable[Violation]]
    severity: Severity = Severity.ERROR
    milder: str = ""
    since: str = "0.1"

    def findings(self, subject: Subject) -> tuple[Finding, ...]:
        """Apply the rule."""
        return tuple(
            Finding(
                id=self.id,
                severity=violation.severity or self.severity,
                what=violation.what,
                where=violation.where,
                why=self.why,
                mend=self.mend,
            )
            for violation in self.check(subject)
        )


def apply_rules(rules: Iterable[Rule[Subject]], subject: Subject) -> tuple[Finding, ...]:
    """All findings of a set of rules, in the order of the rules."""
    return tuple(finding for rule in rules for finding in rule.findings(subject))


def errors(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Those findings that make their subject invalid."""
    return tuple(finding for finding in findings if finding.severity is Severity.ERROR)


@dataclass(frozen=True, slots=True)
class KeyMark:
    """A key as people see it: owner and fingerprint.

    Args:
        owner: Login, ``online``, or the short keyid where the metadata names nobody.
        keyid: The keyid that the delegator uses.
        fingerprint: Key fingerprint, 64 hexadecimal digits.
    """

    owner: str
    keyid: str
    fingerprint: str

    def to_dict(self) -> dict[str, str]:
        """The key as ``--json`` shows it."""
        return {"owner": self.owner, "keyid": self.keyid, "fingerprint": self.fingerprint}


@dataclass(frozen=True, slots=True)
class Count:
    """Signatures of one role counted under one delegator.

    Args:
        under: Which metadata sets the threshold, e.g. ``root 1``.
        need: The threshold.
        signed: Keys with a valid signature.
        missing: Keys that may still sign.
    """

    under: str
    need: int
    signed: tuple[KeyMark, ...]
    missing: tuple[KeyMark, ...]

    @property
    def have(self) -> int:
        """How many distinct keys have signed; one key under two keyids counts once."""
        return len({mark.fingerprint for mark in self.signed})

    @property
    def met(self) -> bool:
        """Whether the threshold is reached."""
        return self.have >= self.need

    def to_dict(self) -> dict[str, object]:
        """The count as ``--json`` shows it."""
        return {
            "under": self.under,
            "need": self.need,
            "have": self.have,
            "signed": [mark.to_dict() for mark in self.signed],
            "missing": [mark.to_dict() for mark in self.missing],
        }


@dataclass(frozen=True, slots=True)
class RoleStatus:
    """How far the signing of one proposed role is.

    Args:
        role: Role name.
        version: Version proposed.
        digest: Payload digest proposed.
        counts: One count, for root two: under the old root and under the new one.
    """

    role: str
    version: int
    digest: str
    counts: tuple[Count, ...]

    @property
    def met(self) -> bool:
        """Whether every threshold that applies is reached."""
        return all(count.met for count in self.counts)

    def to_dict(self) -> dict[str, object]:
        """The status as ``--json`` shows it."""
        return {
            "role": self.role,
            "version": self.version,
            "payload-sha256": self.digest,
            "met": self.met,
            "counts": [count.to_dict() for count in self.counts],
        }
