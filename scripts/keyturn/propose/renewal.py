"""Renewal: the next version of roles that are about to expire, with the same content (DESIGN section 4)."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime

from tuf.api.metadata import Root

from keyturn.errors import UsageError
from keyturn.propose.drafting import Edits, Taken, draft, expiry, next_version, period_for, role_file
from keyturn.state import HISTORY, ONLINE_ROLES, Delegation, RoleFile, State, root_of, targets_of
from keyturn.verify import period_of


@dataclass(frozen=True, slots=True)
class Renewal:
    """Roles that the same people renew together.

    Args:
        roles: Role names, root first.
        edits: Their next files.
    """

    roles: tuple[str, ...]
    edits: Edits


def due(state: State, now: datetime) -> tuple[str, ...]:
    """The offline roles that are inside their renewal window, or past it, root first.

    Args:
        state: The baseline.
        now: The time, UTC.
    """
    found = [delegation.name for delegation in _offline(state) if _is_due(state, delegation, now)]
    return tuple(sorted(dict.fromkeys(found), key=lambda name: (name != "root", name != "targets")))


def renew(
    state: State,
    now: datetime,
    roles: Collection[str] = (),
    *,
    event: State | None = None,
    taken: Taken | None = None,
) -> tuple[Renewal, ...]:
    """The next version of roles, one proposal for all roles with the same signers.

    Args:
        state: The baseline.
        now: Time of the proposal, UTC.
        roles: Roles to renew; those that are due if empty.
        event: What the same event proposes already.
        taken: Versions that other events have signatures for.

    Raises:
        UsageError: A role is not there, or is signed online.
    """
    names = {delegation.name for delegation in _offline(state)}
    unknown = sorted(set(roles) - names)
    if unknown:
        raise UsageError(
            f"there is no offline role {unknown[0]!r}",
            where="metadata/",
            todo=f"There are: {', '.join(sorted(names))}. Online roles are renewed by `keyturn publish`.",
        )
    groups: dict[frozenset[str], list[str]] = {}
    for name in tuple(roles) or due(state, now):
        groups.setdefault(_signers(state, name), []).append(name)
    return tuple(
        Renewal(roles=tuple(group), edits=dict(_edits(state, group, now, event, taken)))
        for group in groups.values()
    )


def _offline(state: State) -> Iterator[Delegation]:
    return (delegation for delegation in state.delegations if delegation.name not in ONLINE_ROLES)


def _is_due(state: State, delegation: Delegation, now: datetime) -> bool:
    file, period = state.role(delegation.name), period_of(delegation)
    return file is not None and period is not None and file.expires - period.renew.delta <= now


def _signers(state: State, name: str) -> frozenset[str]:
    return frozenset(keyid for delegation in state.delegations_to(name) for keyid in delegation.role.keyids)


def _edits(
    state: State, group: Collection[str], now: datetime, event: State | None, taken: Taken | None
) -> Iterator[tuple[str, bytes]]:
    for name in group:
        before = role_file(state, name)
        expires = expiry(now, period_for(state, name))
        data = _next(before, event.role(name) if event else None, expires, next_version(before, taken))
        yield before.path, data
        if name == "root":
            yield f"{HISTORY}{before.version + 1}.root.json", data


def _next(before: RoleFile, earlier: RoleFile | None, expires: datetime, version: int) -> bytes:
    signed = deepcopy(root_of(before) if isinstance(before.signed, Root) else targets_of(before))
    signed.version = version
    return draft(signed, earlier, expires)
