"""The site as a tree: consistent snapshots, every root, and what clients in flight still need."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from tuf.api.metadata import Snapshot, TargetFile, Targets

from keyturn.errors import RefusedError
from keyturn.publish.online import OnlineFiles, signed_under_any_root
from keyturn.state import RoleFile, Site, State, delegations_of, sha256_hex, targets_of
from keyturn.tree import Kind, MemoryTree, Tree
from keyturn.verify import period_of
from keyturn.verify.rules_files import in_release, mismatch

LAST = ("metadata/root.json", "metadata/timestamp.json", "index.html")
"""What a server must see last, in this order: a timestamp never names what is not there yet."""


def build_site(
    state: State,
    online: OnlineFiles,
    read_target: Callable[[str], bytes],
    previous: Site | None,
    keep: timedelta,
    now: datetime,
    *,
    releases: bool = False,
) -> Tree:
    """Everything that is served, but for the page.

    Args:
        state: The verified state of main.
        online: Snapshot and timestamp for it.
        read_target: Gives the bytes of a target path.
        previous: What is published now; None at the first time.
        keep: How long superseded metadata and targets stay after something newer replaced them.
        now: Time of the build, UTC.
        releases: Whether archives are kept in releases of the code host, and are no part of the site then.

    Raises:
        RefusedError: A target's bytes are not those that are signed.
    """
    files = _retained(state, previous, online, keep, now) if previous else {}
    files.update(metadata_files(state, online))
    for file in state.targets_roles():
        for target in targets_of(file).targets.values():
            if releases and in_release(target):
                continue
            data = _target(target, read_target)
            for prefixed in target.get_prefixed_paths():
                files[f"targets/{prefixed}"] = data
    return MemoryTree(files, name="the built site")


def metadata_files(state: State, online: OnlineFiles) -> dict[str, bytes]:
    """The metadata that a client needs, by path on the site: every root, and each role as it is now.

    Args:
        state: The state of main.
        online: Snapshot and timestamp for it.
    """
    files = {f"metadata/{version}.root.json": root.data for version, root in state.roots.items()}
    if state.root:
        files["metadata/root.json"] = state.root.data
    for file in (*state.targets_roles(), online.snapshot):
        files[f"metadata/{file.version}.{file.role}.json"] = file.data
    files["metadata/timestamp.json"] = online.timestamp.data
    return files


def _target(target: TargetFile, read_target: Callable[[str], bytes]) -> bytes:
    data = read_target(target.path)
    reason = mismatch(target, data)
    if reason:
        raise RefusedError(f"{reason} that is signed", where=f"targets/{target.path}", reason="hash-mismatch")
    return data


def _retained(
    state: State, previous: Site, online: OnlineFiles, keep: timedelta, now: datetime
) -> dict[str, bytes]:
    """The previous site's snapshots that are not superseded for longer than ``keep``, and all they name.

    Nothing is kept that no snapshot vouches for: the previous site is a cache, not an authority.
    """
    files: dict[str, bytes] = {}
    for snapshot, superseded in _superseded(state, previous, online):
        if now - superseded <= keep:
            files[snapshot.path] = snapshot.data
            files.update(_named_by(previous, snapshot))
    return files


def _superseded(state: State, previous: Site, online: OnlineFiles) -> list[tuple[RoleFile, datetime]]:
    """Older snapshots with the time at which the next one was signed, worked out from its expiry."""
    loaded = [previous.file("snapshot", version) for version in previous.versions.get("snapshot", ())]
    kept = [
        file
        for file in loaded
        if file and file.version < online.snapshot.version and signed_under_any_root(state, file)
    ]
    chain = [*kept, online.snapshot]
    return [(file, _signed_at(previous, after)) for file, after in zip(kept, chain[1:], strict=True)]


def _signed_at(previous: Site, snapshot: RoleFile) -> datetime:
    for delegation in delegations_of(previous.root) if previous.root else ():
        period = period_of(delegation) if delegation.name == "snapshot" else None
        if period:
            return snapshot.expires - period.expires.delta
    return snapshot.expires


def _named_by(previous: Site, snapshot: RoleFile) -> Iterator[tuple[str, bytes]]:
    """The roles that a snapshot names, and the targets that those list, as far as their bytes are right."""
    meta = snapshot.signed.meta if isinstance(snapshot.signed, Snapshot) else {}
    for name, described in meta.items():
        file = previous.file(name.removesuffix(".json"), described.version)
        if (
            file is None
            or not isinstance(file.signed, Targets)
            or (described.hashes or {}).get("sha256") != sha256_hex(file.data)
        ):
            continue
        yield file.path, file.data
        for target in targets_of(file).targets.values():
            yield from _kept_target(previous, target)


def _kept_target(previous: Site, target: TargetFile) -> Iterator[tuple[str, bytes]]:
    for prefixed in target.get_prefixed_paths():
        path = f"targets/{prefixed}"
        entry = previous.tree.entries().get(path)
        if entry is None or entry.kind is not Kind.FILE:
            continue
        data = previous.tree.read(path)
        if mismatch(target, data) is None:
            yield path, data
