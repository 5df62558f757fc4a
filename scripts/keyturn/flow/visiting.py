"""A stock client at the live site: what does somebody get who updates there now?

It starts from root 1 alone, and from the last published state. What it gets may be older than what was
deployed, since edges of a host lag behind; whether that is so, or something is wrong, is decided here.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from pathlib import Path

from tuf.api.metadata import TargetFile
from tuf.ngclient import FetcherInterface

from keyturn.errors import EnvironmentFault, RefusedError, UsageError
from keyturn.state import RoleFile, search, targets_of
from keyturn.trial import StockClient
from keyturn.verify import Publication

MOST_DOWNLOADED = 64_000_000
"""Bytes of targets that are downloaded to see that they are served."""


class Freshness(str, Enum):
    """How what a client got compares with what was deployed."""

    NEW = "new"
    NEWER = "newer"
    STALE = "stale"


@dataclass(frozen=True, slots=True)
class LiveErrand:
    """Which targets a client downloads.

    Args:
        targets: The targets.
        left_out: How many changed ones are too large.
    """

    targets: tuple[TargetFile, ...]
    left_out: int


def wanted_targets(
    expected: Publication, before: Publication | None, most: int = MOST_DOWNLOADED
) -> LiveErrand:
    """The targets that are new, as many as fit into a number of bytes; one that fits if none is new.

    Args:
        expected: What was deployed.
        before: What was published before.
        most: The bytes.
    """
    known = _findable(before) if before else {}
    there = _findable(expected)
    changed = [target for path, target in there.items() if known.get(path) != target]
    chosen: list[TargetFile] = []
    for target in sorted(changed, key=_by_size):
        if target.length <= most - sum(other.length for other in chosen):
            chosen.append(target)
    if not changed:
        chosen = [target for target in sorted(there.values(), key=_by_size)[:1] if target.length <= most]
    return LiveErrand(targets=tuple(chosen), left_out=len(changed) - len(chosen) if changed else 0)


def _by_size(target: TargetFile) -> tuple[int, str]:
    return target.length, target.path


def _findable(publication: Publication) -> dict[str, TargetFile]:
    """The targets that a client finds under their paths."""
    paths: Iterable[str] = dict.fromkeys(target.path for _, target in publication.all_targets())
    found = {path: search(publication.role, path) for path in paths}
    return {path: targets_of(file).targets[path] for path, file in found.items() if file}


@dataclass(frozen=True, slots=True)
class Visit:
    """What a client got.

    Args:
        freshness: How that compares with what was deployed.
        timestamp: The timestamp that it holds then.
        downloaded: Paths of the targets that it downloaded.
    """

    freshness: Freshness
    timestamp: RoleFile
    downloaded: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody who updates from a live site.

    Args:
        expected: What was deployed, verified.
        held: What was published last, proven; None if there is nothing.
        staged: The timestamp staged last, which may be out already.
        errand: Which targets to download.
        now: The client's clock, UTC.
        fetch: What it fetches with; None is its own way.
        own: Directory of a client that was here before, to go on with; None to start from ``held``.
    """

    expected: Publication
    held: Publication | None
    staged: RoleFile | None
    errand: LiveErrand
    now: datetime
    fetch: FetcherInterface | None = None
    own: Path | None = None

    def visit(self, url: str) -> Visit:
        """Update once.

        Raises:
            RefusedError: The client refuses (reason ``trial``), or gets other content under the number that
                was deployed (``two-contents``) or a timestamp that was never staged (``foreign-timestamp``).
            EnvironmentFault: The site does not answer (reason ``unreachable``).
        """
        root = self.expected.site.roots[1].data
        with tempfile.TemporaryDirectory(prefix="keyturn-live-") as scratch:
            base = Path(scratch)
            fresh = StockClient(base / "fresh", root, self.now, "with root 1 alone")
            found = self._classified(fresh.arrive(url, self.fetch), url)
            if found.freshness is Freshness.STALE:
                return found
            targets = self.errand.targets if found.freshness is Freshness.NEW else ()
            if targets:
                fresh.fetch_targets(url, targets, base, self.fetch, self.expected.releases)
            for client in self._returning(base, root):
                client.arrive(url, self.fetch)
        return Visit(found.freshness, found.timestamp, tuple(target.path for target in targets))

    def _returning(self, base: Path, root: bytes) -> list[StockClient]:
        if self.own is not None and any(self.own.iterdir()):
            return [StockClient(self.own, root, self.now, "that was here before")]
        if self.held is None:
            return []
        client = StockClient(self.own or base / "held", root, self.now, "coming from the published state")
        client.hold(self.held)
        return [client]

    def _classified(self, timestamp: RoleFile, url: str) -> Visit:
        wanted = self.expected.site.timestamp
        version = wanted.version if wanted else 0
        if wanted and timestamp.data == wanted.data:
            return Visit(Freshness.NEW, timestamp)
        if timestamp.version < version:
            return Visit(Freshness.STALE, timestamp)
        if self.staged and timestamp.data == self.staged.data:
            return Visit(Freshness.NEWER, timestamp)
        if timestamp.version == version:
            raise RefusedError(
                f"timestamp {version} is served with other content than was deployed",
                where=url,
                todo="Somebody else signs with the online key: change it with `keyturn join TOPIC --login "
                "online --key URI --replace`, and publish without the old one.",
                reason="two-contents",
            )
        raise RefusedError(
            f"timestamp {timestamp.version} is served, which was never staged; the newest here is {version}",
            where=url,
            todo="If nobody published by other ways, somebody else signs with the online key: change it with "
            "`keyturn join TOPIC --login online --key URI --replace`, and publish without the old one.",
            reason="foreign-timestamp",
        )


def patiently(visitor: Visitor, url: str, attempts: int, pause: Callable[[], object]) -> tuple[Visit, int]:
    """Visit until the new site is there; else what the last visit found.

    Args:
        visitor: Who visits.
        url: The site's root, with a slash at the end.
        attempts: How often, at least once.
        pause: Waits between two visits.

    Returns:
        What was found, and how often it took.

    Raises:
        RefusedError: See :meth:`Visitor.visit`.
        EnvironmentFault: See :meth:`Visitor.visit`.
        UsageError: Not even one visit is allowed.
    """
    for number in range(1, attempts + 1):
        try:
            visit = visitor.visit(url)
            if visit.freshness is not Freshness.STALE or number == attempts:
                return visit, number
        except (RefusedError, EnvironmentFault) as error:
            if number == attempts or error.reason not in ("trial", "unreachable"):
                raise
        pause()
    raise UsageError("at least one attempt is needed", where=url)
