"""A signing event as verification sees it, and its verdict (DESIGN section 4, SPEC: States).

The event is never judged alone: ``head`` is the whole repository as it would be after the merge.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from securesystemslib.signer import Key

from keyturn.policy import Policy
from keyturn.policy import Problem as PolicyProblem
from keyturn.policy.fields import LOGIN
from keyturn.state import ONLINE_ROLES, Delegation, Problem, RoleFile, State
from keyturn.tree import Change, Kind, changes
from keyturn.verify.model import Count, EventState, Finding, RoleStatus, errors
from keyturn.verify.thresholds import count, root_counts

KEYRING = "keyring/"
FOUNDING_FILE = re.compile(r"\.gitattributes|\.github/workflows/keyturn-[^/]+\.yml")
KEYRING_FILE = re.compile(rf"{KEYRING}{LOGIN}\.(?:pub|proof)", re.ASCII)
EVENT_FILES = ("keyturn.yml", "channels.yml")
EVENT_FOLDERS = (KEYRING, "metadata/", "targets/")
Burned = Mapping[str, Mapping[int, Mapping[str, tuple[str, ...]]]]
"""Owners by payload digest, by version, by role."""


@dataclass(frozen=True, slots=True)
class Keyring:
    """The keys in ``keyring/``, read and proven before they come here.

    Args:
        keys: Public key by login (``online`` for the online key), for every proof that holds.
        problems: Files that do not prove what they should.
    """

    keys: Mapping[str, Key] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()

    def key(self, login: str) -> Key | None:
        """The key of a login, compared caseless."""
        return next((key for name, key in self.keys.items() if name.lower() == login.lower()), None)


@dataclass(frozen=True)
class Event:
    """Everything that the verdict on a signing event depends on.

    Args:
        baseline: Tip of ``main``; empty before founding.
        head: The merge of event and ``main``.
        policy: The policy in head, None if it cannot be read.
        policy_problems: Why it cannot be read.
        baseline_name: ``name`` of the policy in the baseline, None before there was one.
        keyring: The keys in head's ``keyring/``.
        now: Time of the verdict, UTC.
        pinned: Root digest that the person or the environment pins; None before founding.
        conflicts: Paths on which event and ``main`` conflict.
        published: Highest version of each role that clients were given, verified before it comes here.
        burned: Payloads that carry signatures in other events: by role and version, the owners who signed
            by payload digest.
        stranded: What a stock client refused in the trial, a sentence; None if it went well, or was not
            tried here.
    """

    baseline: State
    head: State
    policy: Policy | None
    keyring: Keyring
    now: datetime
    pinned: str | None
    policy_problems: tuple[PolicyProblem, ...] = ()
    baseline_name: str | None = None
    conflicts: tuple[str, ...] = ()
    published: Mapping[str, int] = field(default_factory=dict)
    burned: Burned = field(default_factory=dict)
    stranded: str | None = None

    @property
    def founding(self) -> bool:
        """Whether this event founds the repository."""
        return self.baseline.empty

    @cached_property
    def changes(self) -> tuple[Change, ...]:
        """What the event changes, file by file."""
        return changes(self.baseline.tree, self.head.tree)

    @cached_property
    def changed_files(self) -> tuple[RoleFile, ...]:
        """Role files (root.json among them) whose bytes differ from the baseline, online roles left out."""
        paths = {change.path for change in self.changes}
        files = (self.head.role(name) for name in self.head.names if name not in ONLINE_ROLES)
        return tuple(file for file in files if file is not None and file.path in paths)

    @cached_property
    def proposed(self) -> tuple[RoleFile, ...]:
        """Role files whose signed part differs from the baseline: what there is to sign."""
        return tuple(file for file in self.changed_files if not self._same_payload(file))

    def _same_payload(self, file: RoleFile) -> bool:
        before = self.baseline.role(file.role)
        return before is not None and before.digest == file.digest

    @cached_property
    def offline_delegations(self) -> tuple[Delegation, ...]:
        """Every delegation of the resulting repository but those of the online roles."""
        return tuple(d for d in self.head.delegations if d.name not in ONLINE_ROLES)

    def counts(self, file: RoleFile) -> tuple[Count, ...]:
        """The thresholds that a role's file must meet in the resulting repository."""
        if file.role == "root":
            return root_counts(self.baseline.root, file)
        return tuple(
            count(delegation, file, f"{delegation.delegator.role} {delegation.delegator.version}")
            for delegation in self.head.delegations_to(file.role)
        )

    def file_entry(self, path: str) -> bool:
        """Whether head has a plain file at this path."""
        entry = self.head.tree.entries().get(path)
        return entry is not None and entry.kind is Kind.FILE

    @cached_property
    def missing_keys(self) -> tuple[str, ...]:
        """Logins that the policy names and whose proven key is not in the keyring, in the policy's order."""
        if self.policy is None:
            return ()
        wanted = (*self.policy.logins, "online")
        return tuple(login for login in wanted if self.keyring.key(login) is None)

    @property
    def waits_for_keys(self) -> bool:
        """Whether there is no metadata to sign before somebody has joined."""
        unfounded = self.founding and self.head.empty
        return unfounded or (not self.proposed and bool(self.missing_keys))


@dataclass(frozen=True, slots=True)
class Report:
    """The verdict on a signing event.

    Args:
        state: The first state that fits.
        findings: Every violated rule.
        roles: How far each proposed role is signed.
        missing_keys: Logins whose keys a founding event still waits for.
    """

    state: EventState
    findings: tuple[Finding, ...]
    roles: tuple[RoleStatus, ...]
    missing_keys: tuple[str, ...] = ()

    def role(self, name: str) -> RoleStatus | None:
        """The status of one proposed role."""
        return next((status for status in self.roles if status.role == name), None)

    def to_dict(self) -> dict[str, object]:
        """The report as ``--json`` shows it."""
        return {
            "state": self.state.value,
            "findings": [finding.to_dict() for finding in self.findings],
            "roles": [status.to_dict() for status in self.roles],
            "missing-keys": list(self.missing_keys),
        }


def conclude(event: Event, findings: tuple[Finding, ...]) -> Report:
    """Draw the verdict from the findings: the first state that fits (SPEC: States).

    Args:
        event: The event.
        findings: What the rules found in it.
    """
    roles = tuple(
        RoleStatus(role=file.role, version=file.version, digest=file.digest, counts=event.counts(file))
        for file in event.proposed
    )
    waiting = event.missing_keys if event.waits_for_keys else ()
    return Report(state=_state(event, findings, roles), findings=findings, roles=roles, missing_keys=waiting)


def _state(event: Event, findings: tuple[Finding, ...], roles: tuple[RoleStatus, ...]) -> EventState:
    if not event.changes and not event.conflicts:
        return EventState.EMPTY
    if errors(findings):
        return EventState.INVALID
    if event.waits_for_keys:
        return EventState.INCOMPLETE
    return EventState.READY if all(role.met for role in roles) else EventState.PENDING
