"""The site as a tree: consistent snapshots, every root, and what clients in flight still need."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from keyturn.errors import RefusedError
from keyturn.publish.online import OnlineFiles
from keyturn.state import RoleFile, Site, State, delegations_of, targets_of
from keyturn.tree import MemoryTree, Tree
from keyturn.verify import period_of
from keyturn.verify.rules_files import mismatch
from tuf.api.metadata import Snapshot, TargetFile

LAST = ("metadata/root.json", "metadata/timestamp.json", "index.html")
"""What a server must see last, in this order: a timestamp never names what is not there yet."""


def build_site(
    state: State,
    online: OnlineFiles,
    read_target: Callable[[str], bytes],
    previous: Site | None,
    keep: timedelta,
    now: datetime,
) -> Tree:
    """Everything that is served, but for the page.

    Args:
        state: The verified state of main.
        online: Snapshot and timestamp for it.
        read_target: Gives the bytes of a target path.
        previous: What is published now; None at the first time.
        keep: How long superseded metadata and targets stay after something newer replaced them.
        now: Time of the build, UTC.

    Raises:
        RefusedError: A target's bytes are not those that are signed.
    """
    files = _retained(previous, online, keep, now) if previous else {}
    for version, root in state.roots.items():
        files[f"metadata/{version}.root.json"] = root.data
    if state.root:
        files["metadata/root.json"] = state.root.data
    for file in (*state.targets_roles(), online.snapshot):
        files[f"metadata/{file.version}.{file.role}.json"] = file.data
    files["metadata/timestamp.json"] = online.timestamp.data
    for file in state.targets_roles():
        for target in targets_of(file).targets.values():
            data = _target(target, read_target)
            for prefixed in target.get_prefixed_paths():
                files[f"targets/{prefixed}"] = data
    return MemoryTree(files, name="the built site")


def _target(target: TargetFile, read_target: Callable[[str], bytes]) -> bytes:
    data = read_target(target.path)
    reason = mismatch(target, data)
    if reason:
        raise RefusedError(f"{reason} that is signed", where=f"targets/{target.path}", reason="hash-mismatch")
    return data


def _retained(previous: Site, online: OnlineFiles, keep: timedelta, now: datetime) -> dict[str, bytes]:
    """The previous site's snapshots that are not superseded for longer than ``keep``, and all they name."""
    entries = previous.tree.entries()
    names: set[str] = set()
    for snapshot, superseded in _superseded(previous, online):
        if now - superseded <= keep:
            names.add(snapshot.path)
            names |= _named_by(previous, snapshot)
    return {name: previous.tree.read(name) for name in names if name in entries}


def _superseded(previous: Site, online: OnlineFiles) -> list[tuple[RoleFile, datetime]]:
    """Older snapshots with the time at which the next one was signed, worked out from its expiry."""
    loaded = [previous.file("snapshot", version) for version in previous.versions.get("snapshot", ())]
    kept = [file for file in loaded if file and file.version < online.snapshot.version]
    chain = [*kept, online.snapshot]
    return [(file, _signed_at(previous, after)) for file, after in zip(kept, chain[1:], strict=True)]


def _signed_at(previous: Site, snapshot: RoleFile) -> datetime:
    for delegation in delegations_of(previous.root) if previous.root else ():
        period = period_of(delegation) if delegation.name == "snapshot" else None
        if period:
            return snapshot.expires - period.expires.delta
    return snapshot.expires


def _named_by(previous: Site, snapshot: RoleFile) -> set[str]:
    names: set[str] = set()
    if not isinstance(snapshot.signed, Snapshot):
        return names
    for name, meta in snapshot.signed.meta.items():
        file = previous.file(name.removesuffix(".json"), meta.version)
        if file is None:
            continue
        names.add(file.path)
        for target in targets_of(file).targets.values():
            names |= {f"targets/{path}" for path in target.get_prefixed_paths()}
    return names
