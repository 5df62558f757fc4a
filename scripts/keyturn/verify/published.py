"""KT2xx: a published tree, walked as a client walks it (specification 5.3 to 5.7), with every finding.

The rules share one walk: from the pinned root through the chain to the latest root, from there to
timestamp, snapshot, and every role that can be reached by delegation.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from tuf.api.metadata import MetaFile, Snapshot, TargetFile, Timestamp

from keyturn.state import (
    ONLINE_ROLES,
    Delegation,
    RoleFile,
    Site,
    delegations_of,
    root_of,
    targets_of,
)
from keyturn.tree import Kind
from keyturn.verify.model import Finding, Rule, Severity, Violation, apply_rules
from keyturn.verify.paths import why_unsafe
from keyturn.verify.rules_clients import MOST_ROOT, MOST_SNAPSHOT, MOST_TARGETS, MOST_TIMESTAMP, alike
from keyturn.verify.rules_files import in_release, mismatch, wrong_hash
from keyturn.verify.thresholds import count, root_counts


@dataclass(frozen=True)
class Publication:
    """What the verdict on a published tree depends on.

    Args:
        site: The published tree.
        now: Time of the verdict, UTC.
        pinned: Root digest that is trusted.
        check_targets: Whether target files are part of the tree; False where they are hosted elsewhere.
        releases: What is put in front of the paths of archives that the code host keeps in releases, and that
            are no part of the tree then; empty where it keeps none.
    """

    site: Site
    now: datetime
    pinned: str
    check_targets: bool = True
    releases: str = ""

    @cached_property
    def delegations(self) -> tuple[Delegation, ...]:
        """Every delegation that can be reached from the latest root, each role's file loaded once."""
        found: list[Delegation] = []
        queue = [self.site.root]
        visited: set[str] = set()
        while queue:
            delegator = queue.pop(0)
            if delegator is None or delegator.role in visited:
                continue
            visited.add(delegator.role)
            for delegation in delegations_of(delegator):
                found.append(delegation)
                if delegation.name not in ("root", *ONLINE_ROLES):
                    queue.append(self.role(delegation.name))
        return tuple(found)

    def delegation(self, name: str) -> Delegation | None:
        """The first delegation of a role."""
        return next((delegation for delegation in self.delegations if delegation.name == name), None)

    @property
    def snapshot_meta(self) -> MetaFile | None:
        """What the timestamp says of the snapshot."""
        timestamp = self.site.timestamp
        signed = timestamp.signed if timestamp else None
        return signed.snapshot_meta if isinstance(signed, Timestamp) else None

    @property
    def snapshot(self) -> RoleFile | None:
        """The snapshot that the timestamp names."""
        return self.site.file("snapshot", self.snapshot_meta.version) if self.snapshot_meta else None

    def role_meta(self, name: str) -> MetaFile | None:
        """What the snapshot says of a targets role."""
        signed = self.snapshot.signed if self.snapshot else None
        return signed.meta.get(f"{name}.json") if isinstance(signed, Snapshot) else None

    def role(self, name: str) -> RoleFile | None:
        """A targets role in the version that the snapshot names."""
        meta = self.role_meta(name)
        return self.site.file(name, meta.version) if meta else None

    @cached_property
    def targets_names(self) -> tuple[str, ...]:
        """Names of targets and of every role delegated below it."""
        return tuple(dict.fromkeys(d.name for d in self.delegations if d.name not in ("root", *ONLINE_ROLES)))

    def hosts(self, target: TargetFile) -> bool:
        """Whether the bytes of a target are part of the tree."""
        return self.check_targets and not (self.releases and in_release(target))

    def all_targets(self) -> Iterator[tuple[RoleFile, TargetFile]]:
        """Every target of every role that can be reached."""
        for name in self.targets_names:
            file = self.role(name)
            if file:
                for target in targets_of(file).targets.values():
                    yield file, target


def _roots(publication: Publication) -> Iterator[Violation]:
    site = publication.site
    first = site.file("root", 1)
    if first is None:
        yield Violation("root 1 is missing or unreadable", "metadata/1.root.json")
        return
    if first.digest != publication.pinned:
        yield Violation(
            f"has the digest {first.digest}, pinned is {publication.pinned}", "metadata/1.root.json"
        )
    previous = None
    for version in range(1, max(site.versions["root"]) + 1):
        path = f"metadata/{version}.root.json"
        current = site.file("root", version)
        # Nothing follows from a root that is not there, and a file name alone may claim a billion of them.
        if current is None:
            yield Violation("is missing or unreadable", path)
            return
        if current.version != version:
            yield Violation(f"holds root {current.version}", path)
            return
        for tally in root_counts(previous, current):
            if not tally.met:
                yield Violation(f"has {tally.have} of {tally.need} signatures under {tally.under}", path)
        previous = current


def _root_alias(publication: Publication) -> Iterator[Violation]:
    latest, alias = publication.site.root, publication.site.unversioned_root
    if latest and (alias is None or alias.data != latest.data):
        yield Violation(f"is not byte-equal to {latest.version}.root.json", "metadata/root.json")


def _timestamp(publication: Publication) -> Iterator[Violation]:
    file = publication.site.timestamp
    if file is None:
        problem = publication.site.problem("metadata/timestamp.json")
        yield Violation(problem.what if problem else "is missing", "metadata/timestamp.json")
        return
    yield from _unsigned(publication, file)


def _snapshot_matches(publication: Publication) -> Iterator[Violation]:
    meta = publication.snapshot_meta
    if meta is None:
        return
    path = f"metadata/{meta.version}.snapshot.json"
    file = publication.snapshot
    if file is None:
        problem = publication.site.problem(path)
        yield Violation(problem.what if problem else "is named by the timestamp, but not there", path)
    else:
        yield from _differs_from_meta(file, meta, "the timestamp")


def _snapshot_signed(publication: Publication) -> Iterator[Violation]:
    if publication.snapshot:
        yield from _unsigned(publication, publication.snapshot)


def _roles_listed(publication: Publication) -> Iterator[Violation]:
    if publication.snapshot is None:
        return
    for name in publication.targets_names:
        if publication.role_meta(name) is None:
            yield Violation(f"does not list the delegated role {name}", publication.snapshot.path)


def _roles_match(publication: Publication) -> Iterator[Violation]:
    for name in publication.targets_names:
        meta = publication.role_meta(name)
        if meta is None:
            continue
        path = f"metadata/{meta.version}.{name}.json"
        file = publication.role(name)
        if file is None:
            problem = publication.site.problem(path)
            yield Violation(problem.what if problem else "is named by the snapshot, but not there", path)
        else:
            yield from _differs_from_meta(file, meta, "the snapshot")


def _roles_signed(publication: Publication) -> Iterator[Violation]:
    for delegation in publication.delegations:
        file = publication.role(delegation.name) if delegation.name in publication.targets_names else None
        if file is None:
            continue
        tally = count(delegation, file, delegation.delegator.role)
        if not tally.met:
            yield Violation(f"has {tally.have} of {tally.need} signatures needed", file.path)


def _unsigned(publication: Publication, file: RoleFile) -> Iterator[Violation]:
    delegation = publication.delegation(file.role)
    if delegation is None:
        return
    tally = count(delegation, file, delegation.delegator.role)
    if not tally.met:
        yield Violation(f"has {tally.have} of {tally.need} signatures needed", file.path)


def _differs_from_meta(file: RoleFile, meta: MetaFile, named_by: str) -> Iterator[Violation]:
    if file.version != meta.version:
        yield Violation(f"holds version {file.version}", file.path)
    if meta.length is not None and meta.length != len(file.data):
        yield Violation(f"is {len(file.data)} bytes long, {named_by} says {meta.length}", file.path)
    reason = wrong_hash(meta.hashes or {}, file.data)
    if reason:
        yield Violation(f"{reason} that {named_by} gives", file.path)


def _targets(publication: Publication) -> Iterator[Violation]:
    entries = publication.site.tree.entries()
    for file, target in publication.all_targets():
        if why_unsafe(target.path) or not publication.hosts(target):
            continue
        for prefixed in target.get_prefixed_paths():
            path = f"targets/{prefixed}"
            entry = entries.get(path)
            if entry is None or entry.kind is not Kind.FILE:
                yield Violation(f"is listed by {file.role} {file.version}, but not there", path)
                continue
            reason = mismatch(target, publication.site.tree.read(path))
            if reason:
                yield Violation(f"{reason} that {file.role} {file.version} lists", path)


def _target_paths(publication: Publication) -> Iterator[Violation]:
    for file, target in publication.all_targets():
        reason = why_unsafe(target.path)
        if reason:
            yield Violation(f"the target path {target.path!r} {reason}", file.path)


def _fresh(publication: Publication) -> Iterator[Violation]:
    site = publication.site
    files = [site.root, site.timestamp, publication.snapshot]
    files += [publication.role(name) for name in publication.targets_names]
    for file in files:
        if file and file.expires <= publication.now:
            yield Violation(
                f"{file.role} {file.version} expired on {file.expires:%Y-%m-%d %H:%M}Z", file.path
            )


def _consistent_snapshot(publication: Publication) -> Iterator[Violation]:
    root = publication.site.root
    if root and not root_of(root).consistent_snapshot:
        yield Violation("turns consistent snapshots off", root.path)


def _never_dropped(publication: Publication) -> Iterator[Violation]:
    """Against the older snapshots that lie on the site, as far as an online key of any root signed them."""
    snapshot = publication.snapshot
    if snapshot is None or not isinstance(snapshot.signed, Snapshot):
        return
    meta = snapshot.signed.meta
    for version in publication.site.versions.get("snapshot", ()):
        older = publication.site.file("snapshot", version) if version < snapshot.version else None
        if older is None or older.version != version or not _once_signed(publication, older):
            continue
        for name, held in older.signed.meta.items() if isinstance(older.signed, Snapshot) else ():
            role = name.removesuffix(".json")
            if name not in meta:
                yield Violation(f"no longer lists {role}, which snapshot {version} listed", snapshot.path)
            elif meta[name].version < held.version:
                yield Violation(
                    f"lists {role} {meta[name].version}, snapshot {version} listed {role} {held.version}",
                    snapshot.path,
                )


def _once_signed(publication: Publication, file: RoleFile) -> bool:
    delegations = (d for root in publication.site.roots.values() for d in delegations_of(root))
    return any(count(d, file, "root").met for d in delegations if d.name == file.role)


def _sizes(publication: Publication) -> Iterator[Violation]:
    site = publication.site
    read: list[tuple[RoleFile | None, int, bool]] = [(root, MOST_ROOT, False) for root in site.roots.values()]
    read.append((site.timestamp, MOST_TIMESTAMP, False))
    read.append((publication.snapshot, MOST_SNAPSHOT, _has_length(publication.snapshot_meta)))
    read += [
        (publication.role(name), MOST_TARGETS, _has_length(publication.role_meta(name)))
        for name in publication.targets_names
    ]
    for file, most, listed in read:
        if file and len(file.data) > most:
            yield Violation(
                f"is {len(file.data):,} bytes long, more than {most:,}",
                file.path,
                Severity.WARNING if listed else None,
            )


def _has_length(meta: MetaFile | None) -> bool:
    return meta is not None and meta.length is not None


def _alike(publication: Publication) -> Iterator[Violation]:
    return alike(publication.all_targets())


PUBLISHED_RULES: tuple[Rule[Publication], ...] = (
    Rule(
        id="KT201",
        title="every root, from the pinned one on",
        why="A client that was away walks from its root to the latest, one by one (specification 5.3).",
        mend="Publish again from main, which has every root.",
        check=_roots,
    ),
    Rule(
        id="KT202",
        title="root.json is the latest root",
        why="People and tools that fetch root.json would get another root than clients do.",
        mend="Publish again.",
        check=_root_alias,
    ),
    Rule(
        id="KT203",
        title="timestamp is there and signed",
        why="Clients start every update with it (specification 5.4).",
        mend="Publish again with the online key that the latest root names.",
        check=_timestamp,
    ),
    Rule(
        id="KT204",
        title="snapshot is the one that timestamp names",
        why="Clients compare version, length and hash (specification 5.5).",
        mend="Publish again; snapshot and timestamp must go out together.",
        check=_snapshot_matches,
    ),
    Rule(
        id="KT205",
        title="snapshot is signed",
        why="An unsigned snapshot could mix old and new roles (specification 5.5.3).",
        mend="Publish again with the online key that the latest root names.",
        check=_snapshot_signed,
    ),
    Rule(
        id="KT206",
        title="snapshot lists every role",
        why="A client that reaches a role which snapshot does not list stops with an error.",
        mend="Publish again from main.",
        check=_roles_listed,
    ),
    Rule(
        id="KT207",
        title="roles are those that snapshot names",
        why="Roles of different points in time would be mixed (specification 5.6).",
        mend="Publish again from main.",
        check=_roles_match,
    ),
    Rule(
        id="KT208",
        title="roles are signed by their thresholds",
        why="This is what clients rely on: without it anybody could offer them anything.",
        mend="Publish only what was signed; find out how this got there.",
        check=_roles_signed,
    ),
    Rule(
        id="KT209",
        title="targets are there, as signed",
        why="Clients would fail in the middle of an update.",
        mend="Publish again; if the file was lost, propose it again.",
        check=_targets,
    ),
    Rule(
        id="KT210",
        title="target paths are safe",
        why="A path with '..', a drive or a control character can leave the folder it should be written to.",
        mend="Rename the target in a signing event.",
        check=_target_paths,
    ),
    Rule(
        id="KT211",
        title="nothing is expired",
        why="Clients refuse expired metadata, so that a frozen copy cannot be served for long.",
        mend="Publish again for snapshot and timestamp; propose a renewal for the other roles.",
        check=_fresh,
    ),
    Rule(
        id="KT212",
        title="consistent snapshots are on",
        why="Without them clients ask for names that are not on the site (specification 6).",
        mend="Propose a root with consistent_snapshot true.",
        check=_consistent_snapshot,
    ),
    Rule(
        id="KT213",
        title="snapshot drops no role and takes none back",
        why="Clients compare with the snapshot that they hold, and refuse one without a role that it listed, "
        "or with a lower version (specification 5.5.5).",
        mend="Publish again; if main went back, restore it first.",
        check=_never_dropped,
    ),
    Rule(
        id="KT214",
        title="metadata is no larger than clients read",
        why="A stock client stops reading where its limits or the listed length say.",
        mend="Move targets to delegated roles; publish with lengths in snapshot and timestamp.",
        check=_sizes,
        milder="the length is listed, so that clients go by that",
    ),
    Rule(
        id="KT215",
        title="target paths differ by more than case",
        why="On Windows and macOS both would be one file, and one of them not the one that was signed.",
        mend="Rename or remove one of the two in a signing event.",
        check=_alike,
    ),
)


def verify_published(
    publication: Publication, rules: tuple[Rule[Publication], ...] = PUBLISHED_RULES
) -> tuple[Finding, ...]:
    """Every finding in a published tree.

    Args:
        publication: The tree, the time and the pin.
        rules: The rules to apply.
    """
    return apply_rules(rules, publication)
