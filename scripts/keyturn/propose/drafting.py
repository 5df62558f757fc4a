"""What every proposal is made of: unsigned role files, and the earlier ones that say the same."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timezone
from typing import Any

from tuf.api.metadata import Metadata, Root, Targets

from keyturn.errors import RefusedError
from keyturn.policy import Duration
from keyturn.state import METADATA, RoleFile, State, canonical, render_metadata
from keyturn.verify import period_of

Edits = Mapping[str, bytes]
Taken = Mapping[str, Collection[int]]
"""Versions of roles that other events have signatures for; a proposal skips them, but for root's."""


def expiry(now: datetime, period: Duration) -> datetime:
    """The expiry of what is proposed now, UTC, in whole seconds."""
    return (now + period.delta).astimezone(timezone.utc).replace(microsecond=0)


def next_version(before: RoleFile, taken: Taken | None) -> int:
    """The version of a role's next payload: for root the next number, for others the next that is free.

    Args:
        before: The role's file on main.
        taken: Versions that other events have signatures for.
    """
    version = before.version + 1
    while before.role != "root" and version in (taken or {}).get(before.role, ()):
        version += 1
    return version


def unsigned(signed: Root | Targets) -> bytes:
    """The bytes of a role file that nobody has signed yet."""
    metadata: Metadata[Any] = Metadata(signed)
    return render_metadata(metadata)


def same_content(one: Root | Targets, other: Root | Targets) -> bool:
    """Whether two payloads say the same but for version and expiry."""

    def content(signed: Root | Targets) -> bytes:
        document = signed.to_dict()
        return canonical({name: document[name] for name in document if name not in ("version", "expires")})

    return content(one) == content(other)


def draft(signed: Root | Targets, earlier: RoleFile | None, expires: datetime) -> bytes:
    """The file of a proposed payload; an earlier one that says the same as it stands, signatures included.

    Args:
        signed: The payload, with its version; its expiry is set here.
        earlier: What the same event proposes for the role already.
        expires: Expiry of a new payload, UTC.
    """
    before = earlier.signed if earlier else None
    if (
        earlier is not None
        and isinstance(before, (Root, Targets))
        and before.version == signed.version
        and same_content(signed, before)
    ):
        return earlier.data
    signed.expires = expires
    return unsigned(signed)


def role_file(state: State, role: str) -> RoleFile:
    """A role's file on main.

    Raises:
        RefusedError: It is missing or cannot be read.
    """
    file = state.role(role)
    if file is None:
        raise RefusedError(f"main has no readable {role} role", where=f"{METADATA}{role}.json")
    return file


def period_for(state: State, role: str) -> Duration:
    """How long a role's metadata lives, from its delegator's signed part.

    Raises:
        RefusedError: No signed metadata says so.
    """
    for delegation in state.delegations_to(role):
        period = period_of(delegation)
        if period:
            return period.expires
    raise RefusedError(f"no signed metadata gives a period for the role {role}", where=role)
