"""Releases and files: the next version of targets roles."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime

from packaging.version import Version
from tuf.api.metadata import DelegatedRole, TargetFile

from keyturn.client.releases import release as release_of
from keyturn.errors import RefusedError, UsageError
from keyturn.propose.drafting import (
    Edits,
    Taken,
    draft,
    expiry,
    next_version,
    period_for,
    role_file,
    same_content,
)
from keyturn.state import RoleFile, State, delegations_of, targets_of
from keyturn.verify import why_unsafe


@dataclass(frozen=True, slots=True)
class Earlier:
    """What the same signing event proposes already, to be kept and added to.

    Args:
        event: The event's own tree.
        base: The commit of main from which it was proposed; what differs from it is the event's doing.
    """

    event: State
    base: State

    @property
    def roles(self) -> tuple[str, ...]:
        """The targets roles in which the event adds, replaces or removes something."""
        return tuple(file.role for file in self.event.targets_roles() if self.edits(file.role))

    def edits(self, role: str) -> Mapping[str, TargetFile | None]:
        """The targets that the event adds, replaces (an entry) or removes (None) in one role."""
        proposed, base = self.event.role(role), self.base.role(role)
        if proposed is None or base is None:
            return {}
        before, after = targets_of(base).targets, targets_of(proposed).targets
        return {path: after.get(path) for path in {**before, **after} if before.get(path) != after.get(path)}


@dataclass(frozen=True, slots=True)
class Release:
    """One archive of one version of an app, to be listed as a target.

    Args:
        app: App name as in the policy.
        version: Version in PEP 440's normal form.
        platform: Platform as in the policy; empty where one archive serves all.
        length: Bytes of the archive.
        sha256: SHA-256 of the archive, hexadecimal.
        tree: Digest of the manifest of the installed tree, hexadecimal.
        tagged: Whether each version has a directory of its own, as in releases of a code host.
    """

    app: str
    version: str
    platform: str
    length: int
    sha256: str
    tree: str
    tagged: bool = False

    @property
    def path(self) -> str:
        """The target path; for people, it is never parsed for meaning."""
        suffix = f"-{self.platform}" if self.platform else ""
        directory = f"{self.app}-{self.version}" if self.tagged else self.app
        return f"{directory}/{self.app}-{self.version}{suffix}.tar.gz"

    def target(self) -> TargetFile:
        """The target entry, with what the archive is in ``custom.user.keyturn``."""
        release = {"app": self.app, "platform": self.platform, "tree": self.tree, "version": self.version}
        return TargetFile(
            self.length, {"sha256": self.sha256}, self.path, {"custom": {"user": {"keyturn": release}}}
        )


def release(
    state: State,
    releases: Iterable[Release],
    now: datetime,
    *,
    earlier: Earlier | None = None,
    taken: Taken | None = None,
) -> Edits:
    """List releases in the top-level targets role, where clients look for them.

    Args:
        state: The baseline.
        releases: What is released.
        now: Time of the proposal, UTC.
        earlier: What the same event proposes already; its other targets are kept.
        taken: Versions that other events have signatures for.

    Raises:
        RefusedError: A version is released already, with other content.
    """
    wanted: dict[str, TargetFile | None] = {}
    released = list(targets_of(role_file(state, "targets")).targets.values())
    for item in releases:
        if any(_contradicts(target, item) for target in released):
            raise RefusedError(
                f"{item.app} {item.version} is already released, with other content",
                where=item.path,
                todo="Give the new build a higher version; a released version never changes.",
                reason="already-released",
            )
        wanted[item.path] = item.target()
    return _edit_roles(state, {"targets": wanted}, now, earlier, taken)


def _contradicts(target: TargetFile, item: Release) -> bool:
    """Whether a target says something else of this version, however it spells it: 1.0 and 1.0.0 are one."""
    if target.path == item.path:
        return target.to_dict() != item.target().to_dict()
    said = release_of(target)
    return (
        said is not None
        and (said.app, said.platform) == (item.app, item.platform)
        and Version(said.version) == Version(item.version)
    )


def files(
    state: State,
    wanted: Mapping[str, TargetFile | None],
    now: datetime,
    *,
    earlier: Earlier | None = None,
    taken: Taken | None = None,
) -> Edits:
    """Add, replace or remove targets, each in the role that is responsible for its path.

    Args:
        state: The baseline.
        wanted: Target entry by target path; None removes.
        now: Time of the proposal, UTC.
        earlier: What the same event proposes already; its other targets are kept.
        taken: Versions that other events have signatures for.

    Raises:
        UsageError: A path is unsafe, or what is to be removed is listed nowhere.
    """
    by_role: dict[str, dict[str, TargetFile | None]] = {}
    for path, target in wanted.items():
        reason = why_unsafe(path)
        if reason:
            raise UsageError(f"the target path {path!r} {reason}", todo="Choose another path.")
        by_role.setdefault(_responsible(state, path, earlier, removing=target is None), {})[path] = target
    return _edit_roles(state, by_role, now, earlier, taken)


def _responsible(state: State, path: str, earlier: Earlier | None, *, removing: bool) -> str:
    for known in (state, earlier.event if earlier else None):
        for file in known.targets_roles() if known else ():
            if path in targets_of(file).targets:
                return file.role
    if removing:
        raise UsageError("is listed by no role, so it cannot be removed", where=path)
    for delegation in delegations_of(role_file(state, "targets")):
        if isinstance(delegation.role, DelegatedRole) and delegation.role.is_delegated_path(path):
            return delegation.name
    return "targets"


def _edit_roles(
    state: State,
    wanted: Mapping[str, Mapping[str, TargetFile | None]],
    now: datetime,
    earlier: Earlier | None,
    taken: Taken | None,
) -> Edits:
    """Apply edits to targets roles, on top of what the event proposes already."""
    edits: dict[str, bytes] = {}
    for role in dict.fromkeys((*wanted, *(earlier.roles if earlier else ()))):
        before = role_file(state, role)
        data = _edit_role(state, before, wanted.get(role, {}), now, earlier, taken)
        if data is not None:
            edits[before.path] = data
    return edits


def _edit_role(
    state: State,
    before: RoleFile,
    wanted: Mapping[str, TargetFile | None],
    now: datetime,
    earlier: Earlier | None,
    taken: Taken | None,
) -> bytes | None:
    """One role's next file; the earlier proposal as it stands, signatures included, if that says the same."""
    signed = deepcopy(targets_of(before))
    for path, target in {**(earlier.edits(before.role) if earlier else {}), **wanted}.items():
        if target is None:
            signed.targets.pop(path, None)
        else:
            signed.targets[path] = target
    if same_content(signed, targets_of(before)):
        return None
    signed.version = next_version(before, taken)
    proposed = earlier.event.role(before.role) if earlier else None
    return draft(signed, proposed, expiry(now, period_for(state, before.role)))
