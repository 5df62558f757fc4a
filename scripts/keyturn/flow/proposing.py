"""Proposing a release or files: a signing event with new unsigned metadata (DESIGN section 4)."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from packaging.version import InvalidVersion, Version
from tuf.api.metadata import TargetFile

from keyturn import propose
from keyturn.client.releases import release as release_of
from keyturn.errors import NothingToDo, RefusedError, UsageError
from keyturn.flow.context import Context, content_of, require_policy
from keyturn.flow.elsewhere import Outside, burned_elsewhere
from keyturn.flow.retry import until_pushed
from keyturn.forge import EVENT_PREFIX, Proposal
from keyturn.forge.host import Host
from keyturn.hosting import DirectoryHosting
from keyturn.hosting.releases import Archive, store
from keyturn.policy import Policy
from keyturn.propose import Earlier, Edits, Release
from keyturn.release.archive import Packed, pack
from keyturn.state import HISTORY, METADATA, RoleFile, State, sha256_hex, targets_of
from keyturn.tree import Kind, Tree, changes, overlay
from keyturn.verify import count, in_release
from keyturn.verify.rules_files import mismatch

TARGETS = "targets/"
GITS_OWN = (".gitattributes", ".gitignore", ".gitkeep")
"""Names of files that are there for git, and that nobody downloads."""


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
    """What a command wants in the event, once the baseline is known.

    Args:
        edits: The metadata that says it.
        store: Keeps the bytes of targets where the policy wants them; gives those that go into the event.
        message: Message of the commit.
    """

    edits: Callable[[Ground], Edits]
    store: Callable[[], Mapping[str, bytes | None]]
    message: str


def release(
    context: Context, app: str, version: str, directory: Path, platform: str = "", *, host: Host | None = None
) -> Proposed:
    """Propose a version of an app: a reproducible archive of a directory, listed in targets.

    Args:
        context: Where.
        app: App name, one that the policy names.
        version: PEP 440 version.
        directory: The unpacked bundle.
        platform: Platform, one that the policy names for the app; empty if it names none.
        host: The code host, for policies that keep archives in its releases.

    Raises:
        UsageError: App, version or platform do not fit the policy, or the archive is too large for it.
        RefusedError: The version is released already with other content.
        NothingToDo: All of it is proposed or released already.
    """
    number = _version(version)
    with tempfile.TemporaryDirectory(prefix="keyturn-") as scratch:
        packed = pack(directory, Path(scratch) / "bundle.tar.gz")
        return archives(context, app, number, {platform: packed}, host=host)


def archives(
    context: Context,
    app: str,
    version: str,
    packed: Mapping[str, Packed],
    *,
    host: Host | None = None,
    said: str = "",
) -> Proposed:
    """Propose a version of an app whose archives are made already, one for each platform.

    Args:
        context: Where.
        app: App name, one that the policy names.
        version: PEP 440 version.
        packed: Archive by platform.
        host: The code host, for policies that keep archives in its releases.
        said: What the commit says about where they come from, plain text.

    Raises:
        UsageError: App, version or platform do not fit the policy, or an archive is too large for it.
        RefusedError: The version is released already with other content.
        NothingToDo: All of it is proposed or released already.
    """
    number = _version(version)

    def wish(policy: Policy) -> _Wish:
        tagged = policy.hosting.source == "releases"
        items = {
            platform: Release(app, number, platform, one.size, one.sha256, one.tree, tagged)
            for platform, one in packed.items()
        }
        for platform, item in items.items():
            _check_app(policy, app, platform)
            _check_size(policy, item.path, item.length)
        kept = [
            Archive(item.path, packed[name].path, item.length, item.sha256) for name, item in items.items()
        ]
        title = f"{app} {number}"
        platforms = ", ".join(name for name in packed if name)
        return _Wish(
            edits=lambda ground: propose.release(
                ground.baseline, items.values(), context.now, earlier=ground.earlier, taken=ground.taken
            ),
            store=lambda: _stored(context, policy, title, kept, host),
            message=f"Propose {title}"
            + (f" for {platforms}" if platforms else "")
            + (f"\n\n{said}" if said else ""),
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
            store=lambda: _hosted(policy, {**added, **dict.fromkeys(removed)}),
            message=f"Propose {len(entries)} target file{'s' if len(entries) > 1 else ''}",
        )

    return _propose(context, topic, wish)


def follow(context: Context, topic: str) -> Proposed:
    """Propose what files below ``targets/`` on ``main`` are, where the signed metadata says otherwise.

    That is how an ordinary pull request which adds, edits or removes such files gets its signing event. An
    earlier proposal under the same topic is made anew, not added to.

    Args:
        context: Where.
        topic: Topic of the event.

    Raises:
        RefusedError: A released archive was changed (reason ``already-released``).
        UsageError: A path is unsafe, or a file too large.
        NothingToDo: They agree, it is proposed already, or target files are kept in a directory.
    """
    return until_pushed(context.forge, lambda: _follow_once(context, topic))


def _follow_once(context: Context, topic: str) -> Proposed:
    ground = ground_of(context, topic)
    policy = require_policy(ground.baseline.tree)
    wanted = _unlisted(ground, policy) if policy.hosting.source != "directory" else {}
    # What the event said before is only a source of signatures, for a payload that stays the same.
    before = ground.earlier.event if ground.earlier else None
    edits = propose.files(
        ground.baseline,
        wanted,
        context.now,
        earlier=Earlier(before, before) if before else None,
        taken=ground.taken,
    )
    if not edits and ground.earlier is None:
        raise NothingToDo("the signed metadata lists the files that are there", where=TARGETS)
    number = len(wanted)
    proposed = put(context, ground, edits, f"Propose {number} edited target file{'' if number == 1 else 's'}")
    return replace(proposed, targets=tuple(wanted))


def _unlisted(ground: Ground, policy: Policy) -> dict[str, TargetFile | None]:
    """Target entries for files that the signed metadata lists otherwise or not at all; None removes."""
    tree = ground.wish
    listed = {
        path: target
        for file in ground.baseline.targets_roles()
        for path, target in targets_of(file).targets.items()
        if policy.hosting.source == "git" or not in_release(target)
    }
    wanted: dict[str, TargetFile | None] = {
        path: None for path in listed if TARGETS + path not in tree.entries()
    }
    for name, entry in tree.entries().items():
        path = name.removeprefix(TARGETS)
        if path == name or entry.kind is not Kind.FILE or path.rpartition("/")[2] in GITS_OWN:
            continue
        _check_size(policy, path, tree.size(name))
        known, data = listed.get(path), tree.read(name)
        if known is None or mismatch(known, data) is not None:
            wanted[path] = _entry(path, data, known)
    return wanted


def _entry(path: str, data: bytes, before: TargetFile | None) -> TargetFile:
    if before is not None and release_of(before) is not None:
        raise RefusedError(
            "is a released archive, and was changed",
            where=TARGETS + path,
            todo="Restore it; release the new build under a higher version.",
            reason="already-released",
        )
    fields = dict(before.unrecognized_fields) if before else {}
    return TargetFile(len(data), {"sha256": sha256_hex(data)}, path, fields)


def _propose(context: Context, topic: str, wish: Callable[[Policy], _Wish]) -> Proposed:
    return until_pushed(context.forge, lambda: _propose_once(context, topic, wish))


def _propose_once(context: Context, topic: str, wish: Callable[[Policy], _Wish]) -> Proposed:
    ground = ground_of(context, topic)
    wanted = wish(require_policy(ground.baseline.tree))
    _require_targets_only(ground)
    edits = wanted.edits(ground)
    if not edits:
        raise NothingToDo("this is what main says already", where=EVENT_PREFIX + topic)
    # Only now: what main refuses is not worth an upload.
    stored = wanted.store()
    proposed = put(context, ground, {**stored, **edits}, wanted.message)
    return replace(proposed, targets=tuple(path.removeprefix(TARGETS) for path in stored))


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

    @property
    def carried(self) -> Mapping[str, bytes | None]:
        """What the open event already changes outside ``metadata/``."""
        return _carried(self.earlier) if self.earlier else {}

    @property
    def wish(self) -> Tree:
        """Main as it is now with what the open event changes outside ``metadata/``: what people want."""
        there = self.baseline.tree.entries()
        carried = {path: data for path, data in self.carried.items() if data is not None or path in there}
        return overlay(self.baseline.tree, carried)

    @property
    def clashing(self) -> tuple[str, ...]:
        """Paths outside ``metadata/`` that the open event and main have both changed, each otherwise."""
        if self.earlier is None:
            return ()
        base, main = self.earlier.base.tree, self.baseline.tree
        return tuple(
            path
            for path, data in self.carried.items()
            if content_of(main, path) not in (content_of(base, path), data)
        )

    def said(self, path: str) -> Tree:
        """Where to read what is proposed for a path: metadata in the event, all else as it would be."""
        return self.own if path.startswith(METADATA) else self.wish


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
        topic=topic,
        baseline=baseline,
        earlier=earlier,
        taken=burned_elsewhere(Outside.of(forge, topic).others, baseline),
    )


def _require_targets_only(ground: Ground) -> None:
    """Refuse to propose targets into an event that changes metadata otherwise: that change would be lost."""
    lost = _beyond_targets(ground.earlier) if ground.earlier else []
    if lost:
        raise UsageError(
            f"the event changes {' and '.join(lost)} otherwise than by adding or removing targets",
            where=EVENT_PREFIX + ground.topic,
            todo="Propose this under another topic with --topic, or merge that event first.",
            reason="other-event",
        )


def _beyond_targets(earlier: Earlier) -> list[str]:
    """Roles that an event changes, but not, or not only, in the targets that they list."""
    found = []
    for change in changes(earlier.base.tree, earlier.event.tree):
        if not change.path.startswith(METADATA) or change.path.startswith(HISTORY):
            continue
        name = _role_name(change.path)
        before, after = earlier.base.role(name), earlier.event.role(name)
        if before is not None and after is not None and before.digest == after.digest:
            continue
        if before is None or after is None or not earlier.edits(name) or not _alike_otherwise(before, after):
            found.append(name)
    return found


def _alike_otherwise(before: RoleFile, after: RoleFile) -> bool:
    """Whether two versions of a targets role differ in nothing but version, expiry and targets."""
    free = ("version", "expires", "targets")
    documents = (file.signed.to_dict() for file in (before, after))
    one, other = (
        {key: value for key, value in document.items() if key not in free} for document in documents
    )
    return one == other


def require_no_clash(ground: Ground, given: Collection[str]) -> None:
    """Refuse to carry along what ``main`` has changed as well meanwhile: it would be taken back silently.

    Args:
        ground: What the proposal starts from.
        given: Paths whose content is given anew.

    Raises:
        UsageError: Event and main both changed a file (reason ``clash``).
    """
    clashing = [path for path in ground.clashing if path not in given]
    if clashing:
        raise UsageError(
            f"main has changed {', '.join(clashing)} meanwhile, and so does the event",
            where=EVENT_PREFIX + ground.topic,
            todo="Propose again with the content that shall be, or close the event.",
            reason="clash",
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
    require_no_clash(ground, files)
    content = {**ground.carried, **files}
    same = all(content_of(ground.said(path), path) == data for path, data in content.items())
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
    base = earlier.base.role(proposed.role)
    if base is not None and base.digest == before.digest:
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
            todo="Raise hosting.max-file in keyturn.yml, or use `source: releases` for large files.",
            reason="too-large",
        )


def _stored(
    context: Context, policy: Policy, title: str, kept: Sequence[Archive], host: Host | None
) -> dict[str, bytes | None]:
    """Archives go where the policy says; those that are kept in git are files of the event."""
    if policy.hosting.source != "releases":
        return _hosted(policy, {archive.path: archive.file.read_bytes() for archive in kept})
    if host is None:
        raise UsageError(
            "archives are kept in releases of the code host, and there is none here",
            where="keyturn.yml: hosting.source",
            todo="Release from a workflow, or give a token with GH_TOKEN.",
            reason="no-host",
        )
    store(host, title, kept, target=context.forge.branch)
    return {}


def _hosted(policy: Policy, content: Mapping[str, bytes | None]) -> dict[str, bytes | None]:
    """The files that go into the event; with a directory as host they are kept there instead."""
    if policy.hosting.directory is None:
        return {TARGETS + path: data for path, data in content.items()}
    hosting = DirectoryHosting(Path(policy.hosting.directory))
    for path, data in content.items():
        if data is not None:
            hosting.write(path, data)
    return {}
