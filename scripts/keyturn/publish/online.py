"""Signing snapshot and timestamp over a verified state (specification 4.4, 4.5, 5.7; DESIGN section 4).

Write-ahead: the next online version is one more than the highest that was ever validly signed and kept,
in the staged, the published or the live tree, so that a version number never serves two contents.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, TypeVar, cast

from tuf.api.metadata import Metadata, MetaFile, Snapshot, Targets, Timestamp

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
from keyturn.state.metadata_file import MAX_VERSION
from keyturn.verify import count, period_of
from keyturn.verify.rules_event import CLOCK_SKEW

Online = TypeVar("Online", Snapshot, Timestamp)

MOST_SUPERSEDED = MAX_VERSION - 1_000_000
"""Above it a version signed by an online key that was changed does not count: only a thief gets there."""
_RESTORE = "Find out how main went back; restore the higher version."
_ONLINE_STOLEN = (
    "Nobody who may sign that version did: only the online key vouches for it. Restore the higher version if "
    "it was lost; else the key is in other hands: change it with `keyturn join TOPIC --login online "
    "--key URI --replace`, and publish without the old one."
)
MOST_LEAPT = 10_000
"""How far a role may be ahead of what was published; many events may lie in between, each skipping some."""


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
        RefusedError: A role's version is lower than one that a snapshot names already (reason ``went-back``)
            or far above it (``leap``), or the online key has signed the last version there is
            (``no-version-left``).
    """
    evidence = _Evidence(state, tuple(previous), tuple(signers))
    signed: list[str] = []
    last = _reusable(evidence, "snapshot", now)
    meta = _snapshot_meta(state, evidence)
    if last is not None and _signed(last, Snapshot).meta == meta:
        snapshot = last
    else:
        signed.append("snapshot")
        version = evidence.next_version("snapshot")
        snapshot = _sign(state, signers, "snapshot", Snapshot(version=version, meta=meta), now)
    newest = _reusable(evidence, "timestamp", now)
    named = meta_of(snapshot)
    if newest is not None and _signed(newest, Timestamp).snapshot_meta == named:
        timestamp = newest
    else:
        signed.append("timestamp")
        version = evidence.next_version("timestamp")
        timestamp = _sign(state, signers, "timestamp", Timestamp(version=version, snapshot_meta=named), now)
    return OnlineFiles(snapshot=snapshot, timestamp=timestamp, signed=tuple(signed))


def known_versions(state: State, sites: Iterable[Site]) -> dict[str, int]:
    """The highest version of each targets role that counts as published, also of roles that are gone.

    Args:
        state: The state of main.
        sites: Staged and published trees, unverified: only what verifies counts.
    """
    known = _Evidence(state, tuple(sites), ()).meta()
    return {name.removesuffix(".json"): meta.version for name, meta in known.items()}


@dataclass(frozen=True, slots=True)
class _Evidence:
    """What online keys have signed so far, and how much of it counts.

    A key that root names, or that is given now, counts in full. Of one that was changed, perhaps because it
    was stolen, only what does no harm: else its thief could end the numbers or fill the snapshot for good.

    Args:
        state: The verified state of main.
        sites: Trees in which it may be found, unverified.
        signers: The keys that are given.
    """

    state: State
    sites: tuple[Site, ...]
    signers: tuple[KeySigner, ...]

    def next_version(self, name: str) -> int:
        """One more than the highest version of an online role that counts."""
        highest = self.highest(name)
        if highest >= MAX_VERSION:
            raise RefusedError(
                f"no version of {name} is left after {highest}: the online key is in other hands",
                where=name,
                todo="Change it with `keyturn join TOPIC --login online --key URI --replace`, and publish "
                "without the old one.",
                reason="no-version-left",
            )
        return highest + 1

    def highest(self, name: str) -> int:
        """The highest version of an online role that counts; 0 if there is none."""
        signed = (file for site in self.sites for file in _ever_signed(self.state, name, site))
        return max((f.version for f in signed if f.version <= MOST_SUPERSEDED or self._stands(f)), default=0)

    def meta(self) -> dict[str, MetaFile]:
        """Every role that a snapshot ever listed, with its highest version, as far as it counts."""
        known: dict[str, MetaFile] = {}
        for site in self.sites:
            for file in _ever_signed(self.state, "snapshot", site):
                stands = self._stands(file)
                for name, meta in _signed(file, Snapshot).meta.items():
                    higher = name not in known or known[name].version < meta.version
                    if higher and (stands or self._is_there(site, name, meta)):
                        known[name] = meta
        return known

    def _stands(self, file: RoleFile) -> bool:
        """Whether a file is signed by the online key that root names, or by one that is given now."""
        if count(_delegation(self.state, file.role), file, "root").met:
            return True
        older = (d for root in self.state.roots.values() for d in delegations_of(root) if d.name == file.role)
        return any(
            count(delegation, file, "root").met
            and any(signer.as_key(key) for signer in self.signers for key in delegation.keys.values())
            for delegation in older
        )

    def anywhere(self, name: str, meta: MetaFile) -> bool:
        """Whether any site has the role's file that a snapshot names, signed by those who sign the role."""
        return any(self._is_there(site, name, meta) for site in self.sites)

    def _is_there(self, site: Site, name: str, meta: MetaFile) -> bool:
        """Whether a site has the role's file that a snapshot names, signed by those who sign the role."""
        file = site.file(name.removesuffix(".json"), meta.version)
        return (
            file is not None
            and isinstance(file.signed, Targets)
            and file.version == meta.version
            and any(count(d, file, "its delegator").met for d in self.state.delegations_to(file.role))
        )


def _snapshot_meta(state: State, evidence: _Evidence) -> dict[str, MetaFile]:
    known = evidence.meta()
    meta = dict(known)
    for file in state.targets_roles():
        name = f"{file.role}.json"
        published = known[name].version if name in known else 0
        if known and file.version > published + MOST_LEAPT:
            raise RefusedError(
                f"{file.role} leaps from version {published} to {file.version} on main",
                where=file.path,
                todo="Its last number would end the role: restore main, and change the role's keys.",
                reason="leap",
            )
        if published > file.version:
            raise RefusedError(
                f"{file.role} is version {file.version} on main, but version {published} was published",
                where=file.path,
                todo=_RESTORE if evidence.anywhere(name, known[name]) else _ONLINE_STOLEN,
                reason="went-back",
            )
        meta[name] = meta_of(file)
    return meta


def meta_of(file: RoleFile) -> MetaFile:
    """What snapshot or timestamp says of a role's file: version, length and SHA-256."""
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


def _reusable(evidence: _Evidence, name: str, now: datetime) -> RoleFile | None:
    """The highest version ever signed, if it is valid under the latest root and not due for renewal.

    One that is valid for longer than was agreed was not made here.
    """
    state = evidence.state
    delegation, highest = _delegation(state, name), evidence.highest(name)
    latest = now + _period(state, name).expires.delta + CLOCK_SKEW
    for site in evidence.sites:
        for file in _candidates(site, name):
            fits = file.version == highest and file.expires <= latest and not _due(state, file, now)
            if fits and count(delegation, file, "root").met:
                return file
    return None


def _ever_signed(state: State, name: str, site: Site) -> Iterator[RoleFile]:
    return (file for file in _candidates(site, name) if signed_under_any_root(state, file))


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
