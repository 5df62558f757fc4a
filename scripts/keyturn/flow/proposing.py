"""Proposing a release or files: a signing event with new unsigned metadata (DESIGN section 4)."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from packaging.version import InvalidVersion, Version
from tuf.api.metadata import TargetFile

from keyturn import propose
from keyturn.errors import NothingToDo, UsageError
from keyturn.flow.context import Context, content_of, require_policy
from keyturn.flow.elsewhere import burned_elsewhere
from keyturn.flow.retry import until_pushed
from keyturn.forge import EVENT_PREFIX, Proposal
from keyturn.hosting import DirectoryHosting
from keyturn.policy import Policy
from keyturn.propose import Earlier, Edits, Release
from keyturn.release.archive import pack
from keyturn.state import HISTORY, METADATA, RoleFile, State, sha256_hex
from keyturn.tree import Tree, changes
from keyturn.verify import count

TARGETS = "targets/"


@dataclass(frozen=True, slots=True)
class Proposed:
    """A proposal that stands in the remote now.

    Args:
        topic: Topic of the event.
        roles: Role names and versions that wait for signatures.
        targets: Target paths added or replaced.
        left_behind: Owners of signatures on the earlier payload, which do not count for this one.
    """

    topic: str
    roles: tuple[tuple[str, int], ...]
    targets: tuple[str, ...]
    left_behind: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Wish:
    """What a command wants in the event, once the baseline is known."""

    edits: Callable[[Ground], Edits]
    files: Mapping[str, bytes | None]
    message: str


def release(context: Context, app: str, version: str, directory: Path, platform: str = "") -> Proposed:
    """Propose a version of an app: a reproducible archive of a directory, listed in targets.

    Args:
        context: Where.
        app: App name, one that the policy names.
        version: PEP 440 version.
        directory: The unpacked bundle.
        platform: Platform, one that the policy names for the app; empty if it names none.

    Raises:
        UsageError: App, version or platform do not fit the policy, or the archive is too large for it.
        RefusedError: The version is released already with other content.
        NothingToDo: All of it is proposed or released already.
    """
    number = _version(version)
    with tempfile.TemporaryDirectory(prefix="keyturn-") as scratch:
        packed = pack(directory, Path(scratch) / "bundle.tar.gz")
        data = packed.path.read_bytes()
    item = Release(app, number, platform, packed.size, packed.sha256, packed.tree)

    def wish(policy: Policy) -> _Wish:
        _check_app(policy, app, platform)
        _check_size(policy, item.path, len(data))
        return _Wish(
            edits=lambda ground: propose.release(
                ground.baseline, [item], context.now, earlier=ground.earlier, taken=ground.taken
            ),
            files=_hosted(policy, {item.path: data}),
            message=f"Propose {app} {number}" + (f" for {platform}" if platform else ""),
        )

    return _propose(context, f"release-{app}-{number}", wish)


def files(
    context: Context, added: Mapping[str, bytes], removed: Sequence[str] = (), topic: str = "files"
) -> Proposed:
    """Propose target files, added or replaced or removed.

    Args:
        context: Where.
        added: Bytes by target path.
        removed: Target paths.
        topic: Topic of the event.

    Raises:
        UsageError: A path is unsafe, a file too large, or what is to be removed is not there.
        NothingToDo: All of it is proposed or so already.
    """
    entries: dict[str, TargetFile | None] = {
        path: TargetFile(len(data), {"sha256": sha256_hex(data)}, path) for path, data in added.items()
    }
    entries.update(dict.fromkeys(removed))

    def wish(policy: Policy) -> _Wish:
        for path, data in added.items():
            _check_size(policy, path, len(data))
        return _Wish(
            edits=lambda ground: propose.files(
                ground.baseline, entries, context.now, earlier=ground.earlier, taken=ground.taken
            ),
            files=_hosted(policy, {**added, **dict.fromkeys(removed)}),
            message=f"Propose {len(entries)} target file{'s' if len(entries) > 1 else ''}",
        )

    return _propose(context, topic, wish)


def _propose(context: Context, topic: str, wish: Callable[[Policy], _Wish]) -> Proposed:
    return until_pushed(context.forge, lambda: _propose_once(context, topic, wish))


def _propose_once(context: Context, topic: str, wish: Callable[[Policy], _Wish]) -> Proposed:
    ground = ground_of(context, topic)
    wanted = wish(require_policy(ground.baseline.tree))
    edits = wanted.edits(ground)
    if not edits:
        raise NothingToDo("this is what main says already", where=EVENT_PREFIX + topic)
    proposed = put(context, ground, {**wanted.files, **edits}, wanted.message)
    return replace(proposed, targets=tuple(path.removeprefix(TARGETS) for path in wanted.files))


@dataclass(frozen=True, slots=True)
class Ground:
    """What a proposal starts from.

    Args:
        topic: Topic of the event.
        baseline: The state of main.
        earlier: What the open event proposes already; None if there is none.
        taken: Versions of roles that people signed in other events.
    """

    topic: str
    baseline: State
    earlier: Earlier | None
    taken: Mapping[str, Collection[int]]

    @property
    def own(self) -> Tree:
        """The tree of the open event, or that of main."""
        return self.earlier.event.tree if self.earlier else self.baseline.tree


def ground_of(context: Context, topic: str) -> Ground:
    """What a proposal under a topic starts from.

    Raises:
        UsageError: The repository is not founded yet.
    """
    forge = context.forge
    baseline = State(forge.tree(forge.main()))
    if baseline.root is None:
        raise UsageError(
            "the repository is not founded yet", where=forge.url, todo="Finish the founding event first."
        )
    tip, base = forge.event(topic), forge.base(topic)
    open_event = tip is not None and not forge.is_merged(topic)
    earlier = Earlier(State(forge.tree(tip)), State(forge.tree(base))) if open_event else None
    return Ground(
        topic=topic, baseline=baseline, earlier=earlier, taken=burned_elsewhere(forge, topic, baseline)
    )


def put(context: Context, ground: Ground, files: Mapping[str, bytes | None], message: str) -> Proposed:
    """Make an event say exactly this, on top of main as it is now.

    What the event changed outside ``metadata/`` before is carried along.

    Args:
        context: Where.
        ground: What the proposal starts from.
        files: New bytes by path; None removes.
        message: Message of the commit.

    Raises:
        NothingToDo: The event, or main, says so already.
        PushRejected: The event moved in the meantime.
    """
    earlier = ground.earlier
    content = {**(_carried(earlier) if earlier else {}), **files}
    same = all(content_of(ground.own, path) == data for path, data in content.items())
    if same and not (earlier and _dropped(earlier, content)):
        raise NothingToDo(
            "this is what main or the open event says already", where=EVENT_PREFIX + ground.topic
        )
    change = Proposal(files=content, message=message, author=context.author, when=context.now, restart=True)
    roles = [
        RoleFile.parse(_role_name(path), path, data)
        for path, data in files.items()
        if path.startswith(METADATA) and not path.startswith(HISTORY) and data is not None
    ]
    left_behind = tuple(name for file in roles for name in _left_behind(earlier, file))
    if left_behind:
        context.announce(left_behind)
    context.forge.propose(ground.topic, change)
    return Proposed(
        topic=ground.topic,
        roles=tuple((file.role, file.version) for file in roles),
        targets=(),
        left_behind=left_behind,
    )


def _dropped(earlier: Earlier, content: Mapping[str, bytes | None]) -> bool:
    """Whether the open event changes metadata that it shall not change any more."""
    own = changes(earlier.base.tree, earlier.event.tree)
    return any(change.path.startswith(METADATA) and change.path not in content for change in own)


def _carried(earlier: Earlier) -> dict[str, bytes | None]:
    """What the event already changes outside ``metadata/``."""
    return {
        change.path: content_of(earlier.event.tree, change.path)
        for change in changes(earlier.base.tree, earlier.event.tree)
        if not change.path.startswith(METADATA)
    }


def _role_name(path: str) -> str:
    return path.removeprefix(METADATA).removesuffix(".json")


def _left_behind(earlier: Earlier | None, proposed: RoleFile) -> tuple[str, ...]:
    """Who signed the earlier payload of a role that is now another."""
    before = earlier.event.role(proposed.role) if earlier else None
    if earlier is None or before is None or before.digest == proposed.digest:
        return ()
    delegations = earlier.event.delegations_to(proposed.role)
    return tuple(mark.owner for d in delegations for mark in count(d, before, d.delegator.role).signed)


def _version(text: str) -> str:
    try:
        number = Version(text)
    except InvalidVersion as error:
        raise UsageError(
            f"{text!r} is not a version", todo="Write it as PEP 440 says, e.g. 1.4.2.", reason="bad-version"
        ) from error
    if number.local or number.epoch:
        raise UsageError(
            f"{text!r} has an epoch or a local part",
            todo="Release a plain version, e.g. 1.4.2.",
            reason="bad-version",
        )
    return str(number)


def _check_app(policy: Policy, app: str, platform: str) -> None:
    known = policy.app(app)
    if known is None:
        names = ", ".join(item.name for item in policy.apps) or "none"
        raise UsageError(
            f"the policy names no app {app!r}",
            where="keyturn.yml",
            todo=f"It names: {names}.",
            reason="unknown-app",
        )
    if platform not in (known.platforms or ("",)):
        names = ", ".join(known.platforms) or "none, so give no --platform"
        raise UsageError(
            f"{app} has no platform {platform!r}",
            where="keyturn.yml",
            todo=f"It has: {names}.",
            reason="unknown-platform",
        )


def _check_size(policy: Policy, path: str, length: int) -> None:
    if length > policy.hosting.max_file:
        raise UsageError(
            f"is {length:,} bytes, hosting.max-file allows {policy.hosting.max_file:,}",
            where=path,
            todo="Raise hosting.max-file in keyturn.yml, or use `source: directory` for large files.",
            reason="too-large",
        )


def _hosted(policy: Policy, content: Mapping[str, bytes | None]) -> dict[str, bytes | None]:
    """The files that go into the event; with a directory as host they are kept there instead."""
    if policy.hosting.directory is None:
        return {TARGETS + path: data for path, data in content.items()}
    hosting = DirectoryHosting(Path(policy.hosting.directory))
    for path, data in content.items():
        if data is not None:
            hosting.write(path, data)
    return {}
