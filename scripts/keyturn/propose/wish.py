"""From the wish to the truth: the roles and keys that ``keyturn.yml`` and ``keyring/`` ask for.

Founding makes version 1 of every role. Later, a changed policy makes the next version of each role that has
to change, and of each that would be left without enough signatures by it, all in one event.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from securesystemslib.signer import Key
from tuf.api.metadata import DelegatedRole, Delegations, Role, Root, Targets

from keyturn.errors import RefusedError, UsageError
from keyturn.policy import Period, Policy, RolePolicy
from keyturn.propose.drafting import (
    Edits,
    Taken,
    draft,
    expiry,
    next_version,
    role_file,
    same_content,
    unsigned,
)
from keyturn.state import (
    HISTORY,
    METADATA,
    ONLINE,
    ONLINE_ROLES,
    Delegation,
    Extension,
    MetadataError,
    Owner,
    RoleFile,
    State,
    delegations_of,
    fingerprint,
    keys_of,
    root_of,
    targets_of,
)
from keyturn.verify import count, period_of
from keyturn.verify.thresholds import key_fingerprint


@dataclass(frozen=True, slots=True)
class Anew:
    """A role that is proposed anew though the policy does not change it.

    Args:
        role: Role name.
        why: The reason, a sentence for those who have to sign it.
    """

    role: str
    why: str


@dataclass(frozen=True, slots=True)
class PolicyChange:
    """The metadata that a changed policy asks for.

    Args:
        edits: New bytes by path; None removes a role's file.
        anew: Roles that are in the event only because of the others.
    """

    edits: Mapping[str, bytes | None]
    anew: tuple[Anew, ...]


class _Keys:
    """The proven keys by login, under the keyids that the metadata knows them by already."""

    def __init__(
        self, keys: Mapping[str, Key], known: Mapping[str, Key], ids: Mapping[str, int] | None
    ) -> None:
        by_fingerprint = {key_fingerprint(key): key for key in known.values()}
        self._keys = {login.lower(): by_fingerprint.get(fingerprint(key), key) for login, key in keys.items()}
        self._ids = {login.lower(): number for login, number in (ids or {}).items()}
        self._holders: dict[str, str] = {}

    def of(self, login: str) -> Key:
        key = self._keys.get(login.lower())
        if key is None:
            raise UsageError(
                f"the key of {login} is missing",
                where=f"keyring/{login}.pub",
                todo=f"{login} runs `keyturn join`.",
                reason="key-missing",
            )
        holder = self._holders.setdefault(fingerprint(key), login.lower())
        if holder != login.lower():
            raise RefusedError(
                f"{holder} and {login} have one and the same key",
                where=f"keyring/{login}.pub",
                todo="One of them makes another with `keyturn key new` and runs `keyturn join` again.",
                reason="one-key-twice",
            )
        return key

    def role(self, wanted: RolePolicy) -> Role:
        return Role([self.of(login).keyid for login in wanted.signers], wanted.threshold)

    def owners(self, wanted: RolePolicy) -> dict[str, Owner]:
        return {self.of(login).keyid: Owner(login, self._ids.get(login.lower())) for login in wanted.signers}

    def objects(self, keyids: Mapping[str, Owner]) -> dict[str, Key]:
        return {key.keyid: key for key in self._keys.values() if key.keyid in keyids}


def founding(
    policy: Policy, keys: Mapping[str, Key], now: datetime, *, ids: Mapping[str, int] | None = None
) -> Edits:
    """Version 1 of every offline role.

    Args:
        policy: What is wanted.
        keys: A proven public key for each login that the policy names, and for ``online``.
        now: Time of the proposal, UTC.
        ids: Numeric user ids by login, as far as the host knows them.

    Raises:
        UsageError: A key is missing (reason ``key-missing``).
        RefusedError: Two of them have one key (reason ``one-key-twice``).
    """
    proven = _Keys(keys, {}, ids)
    root = _shape_root(Root(version=1), policy, proven)
    root.expires = expiry(now, policy.root.period.expires)
    targets = _shape_targets(Targets(version=1), policy, proven)
    targets.expires = expiry(now, policy.targets.period.expires)
    signed: dict[str, Root | Targets] = {"root": root, "targets": targets}
    for delegation in policy.delegations:
        expires = expiry(now, delegation.role.period.expires)
        signed[delegation.name] = Targets(version=1, expires=expires)
    edits = {f"{METADATA}{name}.json": unsigned(payload) for name, payload in signed.items()}
    edits[f"{HISTORY}1.root.json"] = edits[f"{METADATA}root.json"]
    return edits


def change(
    policy: Policy,
    keys: Mapping[str, Key],
    state: State,
    now: datetime,
    *,
    event: State | None = None,
    used: Mapping[str, int] | None = None,
    taken: Taken | None = None,
    ids: Mapping[str, int] | None = None,
) -> PolicyChange:
    """The next version of every role that a changed policy concerns.

    Args:
        policy: What is wanted.
        keys: A proven public key for each login that the policy names, and for ``online``.
        state: The baseline.
        now: Time of the proposal, UTC.
        event: What the same event proposes already.
        used: Highest version of each role that was ever published, for names that come back.
        taken: Versions that other events have signatures for.
        ids: Numeric user ids by login, for people whom main does not name yet.

    Raises:
        UsageError: A key is missing (reason ``key-missing``).
        RefusedError: The baseline has no readable root or targets, or two people have one key (reason
            ``one-key-twice``).
    """
    files: dict[str, bytes | None] = {}
    # Signed numbers outlast what a host says of a login today; those that are proposed already, its silence.
    known = {**known_ids(event), **(ids or {}), **known_ids(state)}
    root = _next_root(policy, keys, state, now, event, known)
    targets = _next_targets(policy, keys, state, now, event, taken, known)
    for file, before in ((root, state.root), (targets, state.role("targets"))):
        if before is None or file.data != before.data:
            files[file.path] = file.data
    if root.path in files:
        files[f"{HISTORY}{root.version}.root.json"] = root.data
    files.update(_delegated_roles(policy, state, now, event, used or {}))
    anew = dict(_left_short((root, targets), state, files))
    for name, why in anew.items():
        files[f"{METADATA}{name}.json"] = _once_more(name, (root, targets), state, now, event, taken)
        anew[name] = why
    return PolicyChange(edits=files, anew=tuple(Anew(name, why) for name, why in anew.items()))


def known_ids(state: State | None) -> dict[str, int]:
    """The numeric user ids that a state's metadata gives, by lower-case login."""
    owners = [owner for d in (state.delegations if state else ()) for owner in d.owners.values()]
    return {owner.name.lower(): owner.id for owner in owners if owner.id is not None}


def _next_root(
    policy: Policy,
    keys: Mapping[str, Key],
    state: State,
    now: datetime,
    event: State | None,
    ids: Mapping[str, int],
) -> RoleFile:
    before = role_file(state, "root")
    proven = _Keys(keys, keys_of(before), ids)
    signed = _shape_root(deepcopy(root_of(before)), policy, proven)
    if same_content(signed, root_of(before)):
        return before
    signed.version = before.version + 1
    earlier = event.root if event else None
    data = draft(signed, earlier, expiry(now, policy.root.period.expires))
    return RoleFile.parse("root", before.path, data)


def _next_targets(
    policy: Policy,
    keys: Mapping[str, Key],
    state: State,
    now: datetime,
    event: State | None,
    taken: Taken | None,
    ids: Mapping[str, int],
) -> RoleFile:
    before = role_file(state, "targets")
    proven = _Keys(keys, keys_of(before), ids)
    signed = _shape_targets(deepcopy(targets_of(before)), policy, proven)
    if same_content(signed, targets_of(before)):
        return before
    signed.version = next_version(before, taken)
    earlier = event.role("targets") if event else None
    data = draft(signed, earlier, expiry(now, policy.targets.period.expires))
    return RoleFile.parse("targets", before.path, data)


def _shape_root(root: Root, policy: Policy, keys: _Keys) -> Root:
    """Give a root the keys, roles, owners and periods of the policy; all else it says is kept."""
    online = keys.of("online")
    owners = {**keys.owners(policy.root), **keys.owners(policy.targets), online.keyid: ONLINE}
    root.roles = {
        "root": keys.role(policy.root),
        "targets": keys.role(policy.targets),
        "snapshot": Role([online.keyid], 1),
        "timestamp": Role([online.keyid], 1),
    }
    root.keys = keys.objects(owners)
    periods = {
        "root": policy.root.period,
        "targets": policy.targets.period,
        "snapshot": policy.online.snapshot,
        "timestamp": policy.online.timestamp,
    }
    _own(root, owners, periods)
    return root


def _shape_targets(targets: Targets, policy: Policy, keys: _Keys) -> Targets:
    """Give targets the delegations of the policy; its targets and all else it says are kept."""
    if not policy.delegations:
        targets.delegations = None
        targets.unrecognized_fields.pop("x-keyturn", None)
        return targets
    roles, owners, periods = {}, dict[str, Owner](), {}
    for delegation in policy.delegations:
        role = keys.role(delegation.role)
        roles[delegation.name] = DelegatedRole(
            delegation.name, role.keyids, role.threshold, delegation.terminating, paths=list(delegation.paths)
        )
        owners.update(keys.owners(delegation.role))
        periods[delegation.name] = delegation.role.period
    targets.delegations = Delegations(keys=keys.objects(owners), roles=roles)
    _own(targets, owners, periods)
    return targets


def _own(signed: Root | Targets, owners: Mapping[str, Owner], periods: Mapping[str, Period]) -> None:
    """Write owners and periods; a person's numeric id, once signed, is kept with their name."""
    known = {owner.name.lower(): owner for owner in _owners_before(signed)}
    kept = {keyid: known.get(owner.name.lower(), owner) for keyid, owner in owners.items()}
    fields: dict[str, Any] = signed.unrecognized_fields
    fields["x-keyturn"] = Extension(signers=kept, periods=periods).to_dict()


def _owners_before(signed: Root | Targets) -> tuple[Owner, ...]:
    try:
        extension = Extension.of(signed, signed.type)
    except MetadataError:
        return ()
    return tuple(extension.signers.values()) if extension else ()


def _delegated_roles(
    policy: Policy, state: State, now: datetime, event: State | None, used: Mapping[str, int]
) -> dict[str, bytes | None]:
    """First files of delegations that are new, and the removal of those that are gone."""
    edits: dict[str, bytes | None] = {}
    wanted = {delegation.name: delegation for delegation in policy.delegations}
    for name, delegation in wanted.items():
        if state.role(name) is None:
            signed = Targets(version=used.get(name, 0) + 1)
            earlier = event.role(name) if event else None
            edits[f"{METADATA}{name}.json"] = draft(
                signed, earlier, expiry(now, delegation.role.period.expires)
            )
    for before in delegations_of(role_file(state, "targets")):
        if before.name not in wanted:
            edits[f"{METADATA}{before.name}.json"] = None
    return edits


def _delegations(delegators: tuple[RoleFile, ...]) -> Iterator[Delegation]:
    for delegator in delegators:
        yield from (
            delegation
            for delegation in delegations_of(delegator)
            if delegation.name not in ("root", *ONLINE_ROLES)
        )


def _left_short(
    delegators: tuple[RoleFile, ...], state: State, files: Mapping[str, bytes | None]
) -> Iterator[tuple[str, str]]:
    """Roles that nothing changes, but whose signatures would not be enough under the new keys."""
    for delegation in _delegations(delegators):
        file = state.role(delegation.name)
        if file is None or file.path in files:
            continue
        tally = count(delegation, file, delegation.delegator.role)
        if not tally.met:
            yield (
                delegation.name,
                f"only {tally.have} of the {tally.need} signatures that {file.role} {file.version} needs "
                f"are by keys that still may sign it under {delegation.delegator.role} "
                f"{delegation.delegator.version}",
            )


def _once_more(
    name: str,
    delegators: tuple[RoleFile, ...],
    state: State,
    now: datetime,
    event: State | None,
    taken: Taken | None,
) -> bytes:
    """The next version of a role with the same content."""
    before = role_file(state, name)
    signed = deepcopy(targets_of(before))
    signed.version = next_version(before, taken)
    period = next(
        (
            period
            for delegation in _delegations(delegators)
            if delegation.name == name and (period := period_of(delegation))
        ),
        None,
    )
    if period is None:
        raise UsageError(f"the policy gives no period for the role {name}", where="keyturn.yml")
    return draft(signed, event.role(name) if event else None, expiry(now, period.expires))
