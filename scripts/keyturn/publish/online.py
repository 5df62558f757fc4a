"""Signing snapshot and timestamp over a verified state (specification 4.4, 4.5, 5.7; DESIGN section 4).

Write-ahead: the next online version is one more than the highest that was ever validly signed and kept,
in the staged, the published or the live tree, so that a version number never serves two contents.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, TypeVar, cast

from tuf.api.metadata import Metadata, MetaFile, Snapshot, Timestamp

from keyturn.errors import RefusedError, UsageError
from keyturn.policy import Period
from keyturn.signing import KeySigner
from keyturn.state import (
    Delegation,
    RoleFile,
    Site,
    State,
    delegations_of,
    render_metadata,
    sha256_hex,
)
from keyturn.verify import count, period_of

Online = TypeVar("Online", Snapshot, Timestamp)


@dataclass(frozen=True, slots=True)
class OnlineFiles:
    """The online roles that go with a state.

    Args:
        snapshot: The snapshot's file.
        timestamp: The timestamp's file.
        signed: Names of the roles that were signed anew; empty if both are still good.
    """

    snapshot: RoleFile
    timestamp: RoleFile
    signed: tuple[str, ...]


def sign_online(
    state: State, signers: Sequence[KeySigner], previous: Iterable[Site], now: datetime
) -> OnlineFiles:
    """Make the snapshot and timestamp that go with a state, signing only what has to be signed.

    A snapshot is signed when a role has another version or the kept one is due for renewal; a timestamp
    when the snapshot is new or it is due itself.

    Args:
        state: The verified state of main.
        signers: The online key, and during an overlap the one before it; none if nothing is to be signed.
        previous: Staged, published and live trees, unverified: only what verifies counts.
        now: Time of signing, UTC.

    Raises:
        UsageError: Something has to be signed and there is no key.
        RefusedError: A role's version is lower than one that a snapshot names already.
    """
    sites = tuple(previous)
    signed: list[str] = []
    last = _reusable(state, "snapshot", sites, now)
    meta = _snapshot_meta(state, _known_meta(state, sites))
    if last is not None and _signed(last, Snapshot).meta == meta:
        snapshot = last
    else:
        signed.append("snapshot")
        version = _highest(state, "snapshot", sites) + 1
        snapshot = _sign(state, signers, "snapshot", Snapshot(version=version, meta=meta), now)
    newest = _reusable(state, "timestamp", sites, now)
    named = _meta(snapshot)
    if newest is not None and _signed(newest, Timestamp).snapshot_meta == named:
        timestamp = newest
    else:
        signed.append("timestamp")
        version = _highest(state, "timestamp", sites) + 1
        timestamp = _sign(state, signers, "timestamp", Timestamp(version=version, snapshot_meta=named), now)
    return OnlineFiles(snapshot=snapshot, timestamp=timestamp, signed=tuple(signed))


def _known_meta(state: State, sites: Iterable[Site]) -> dict[str, MetaFile]:
    """Every role that a validly signed snapshot ever listed, with its highest version."""
    known: dict[str, MetaFile] = {}
    for file in _ever_signed(state, "snapshot", sites):
        for name, meta in _signed(file, Snapshot).meta.items():
            if name not in known or known[name].version < meta.version:
                known[name] = meta
    return known


def _snapshot_meta(state: State, known: dict[str, MetaFile]) -> dict[str, MetaFile]:
    meta = dict(known)
    for file in state.targets_roles():
        name = f"{file.role}.json"
        if name in known and known[name].version > file.version:
            raise RefusedError(
                f"{file.role} is version {file.version} on main, "
                f"but version {known[name].version} was published",
                where=file.path,
                todo="Find out how main went back; restore the higher version.",
                reason="went-back",
            )
        meta[name] = _meta(file)
    return meta


def _meta(file: RoleFile) -> MetaFile:
    return MetaFile(version=file.version, length=len(file.data), hashes={"sha256": sha256_hex(file.data)})


def _delegation(state: State, name: str) -> Delegation:
    root = state.root
    for delegation in delegations_of(root) if root else ():
        if delegation.name == name:
            return delegation
    raise RefusedError(f"main has no readable root that delegates {name}", where="metadata/root.json")


def _period(state: State, name: str) -> Period:
    period = period_of(_delegation(state, name))
    if period is None:
        raise RefusedError(f"root gives no period for {name}", where="metadata/root.json")
    return period


def _due(state: State, file: RoleFile, now: datetime) -> bool:
    return file.expires - _period(state, file.role).renew.delta <= now


def _reusable(state: State, name: str, sites: Iterable[Site], now: datetime) -> RoleFile | None:
    """The highest version ever signed, if it is valid under the latest root and not due for renewal."""
    delegation = _delegation(state, name)
    highest = _highest(state, name, sites)
    for site in sites:
        for file in _candidates(site, name):
            if file.version == highest and count(delegation, file, "root").met and not _due(state, file, now):
                return file
    return None


def _highest(state: State, name: str, sites: Iterable[Site]) -> int:
    """The highest version that the online key of any root signed; 0 if there is none."""
    return max((file.version for file in _ever_signed(state, name, sites)), default=0)


def _ever_signed(state: State, name: str, sites: Iterable[Site]) -> Iterator[RoleFile]:
    return (file for site in sites for file in _candidates(site, name) if signed_under_any_root(state, file))


def signed_under_any_root(state: State, file: RoleFile) -> bool:
    """Whether an online role's file meets its threshold under one of the repository's roots.

    Args:
        state: The verified state of main.
        file: A snapshot or timestamp.
    """
    delegations = (d for root in state.roots.values() for d in delegations_of(root) if d.name == file.role)
    return any(count(delegation, file, "root").met for delegation in delegations)


def _candidates(site: Site, name: str) -> Iterator[RoleFile]:
    if name == "timestamp":
        if site.timestamp:
            yield site.timestamp
        return
    for version in site.versions.get(name, ()):
        file = site.file(name, version)
        if file and file.version == version:
            yield file


def _sign(state: State, signers: Sequence[KeySigner], name: str, signed: Online, now: datetime) -> RoleFile:
    if not signers:
        raise UsageError(
            f"{name} has to be signed, but there is no online key", todo="Give the online key with --key URI."
        )
    bound = [_bind(state, signer, name) for signer in signers]
    if not any(signer.public.keyid in _delegation(state, name).keys for signer in bound):
        raise _foreign(signers[0], name)
    signed.expires = (now + _period(state, name).expires.delta).astimezone(timezone.utc)
    metadata: Metadata[Any] = Metadata(signed)
    for signer in bound:
        metadata.signatures[signer.public.keyid] = signer.sign(metadata.signed_bytes)
    path = f"metadata/{signed.version}.{name}.json" if name != "timestamp" else "metadata/timestamp.json"
    return RoleFile.parse(name, path, render_metadata(metadata))


def _bind(state: State, signer: KeySigner, name: str) -> KeySigner:
    """The key under the keyid that the latest root which knows it gives it.

    A client whose edge still answers that there is no new root verifies with the online key of the old one;
    so during an overlap both keys sign.
    """
    for _, root in sorted(state.roots.items(), reverse=True):
        for delegation in delegations_of(root):
            for key in delegation.keys.values() if delegation.name == name else ():
                own = signer.as_key(key)
                if own is not None:
                    return own
    raise _foreign(signer, name)


def _foreign(signer: KeySigner, name: str) -> RefusedError:
    return RefusedError(
        f"the key given is not the online key that root names for {name}",
        where=f"key {signer.public.keyid[:16]}",
        reason="foreign-key",
    )


def _signed(file: RoleFile, kind: type[Online]) -> Online:
    return cast("Online", file.signed)
