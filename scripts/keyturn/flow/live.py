"""Reading a site over HTTP: the few files that say which online versions exist, or all of it to verify it."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from http.client import HTTPException
from urllib.parse import quote

from tuf.api.metadata import Timestamp

from keyturn.errors import EnvironmentFault
from keyturn.state import Site
from keyturn.tree import MemoryTree, Tree
from keyturn.verify import Publication

TIMEOUT = 10.0
"""Seconds without an answer after which a site counts as unreachable."""
MAX_METADATA = 16_000_000
MAX_ROOTS = 1024
MAX_ROOT = 512_000
"""What stock clients take for one root."""


@dataclass(frozen=True, slots=True)
class Served:
    """What a site answers at the moment.

    Args:
        site: Its timestamp, snapshot and roots, unverified; None if there are none.
        said: What was found, a sentence for the person.
    """

    site: Site | None
    said: str


Live = Callable[[str], Served]


def no_live(url: str) -> Served:
    """Look at nothing, where there is no site to be asked."""
    return Served(site=None, said="the live site was not asked")


def look(url: str) -> Served:
    """What a site serves now but for targets roles; it is only evidence of versions used before.

    Args:
        url: The site's root, with a slash at the end.
    """
    try:
        timestamp = fetch(url, "metadata/timestamp.json", MAX_METADATA)
    except EnvironmentFault as error:
        return Served(site=None, said=f"the live site does not answer: {error.what}")
    if timestamp is None:
        return Served(site=None, said="the live site serves no timestamp yet")
    files = {"metadata/timestamp.json": timestamp}
    try:
        _add_snapshot(url, files)
        _add_roots(url, files)
    except EnvironmentFault as error:
        return Served(Site(MemoryTree(files, name=url)), f"the live site answers in part: {error.what}")
    site = Site(MemoryTree(files, name=url))
    version = site.timestamp.version if site.timestamp else "that cannot be read"
    return Served(site=site, said=f"the live site serves timestamp {version}")


def crawl(url: str, now: datetime) -> Tree:
    """Everything that a client could be served: every root, the current metadata, every target.

    Args:
        url: The site's root, with a slash at the end.
        now: The time, UTC.

    Raises:
        EnvironmentFault: The site does not answer.
    """
    files: dict[str, bytes] = {}
    _add_roots(url, files)
    _add(url, files, "metadata/root.json", MAX_METADATA)
    _add(url, files, "metadata/timestamp.json", MAX_METADATA)
    _add_snapshot(url, files)
    _add_roles(url, files, now)
    for _, target in _publication(files, now).all_targets():
        for prefixed in target.get_prefixed_paths():
            _add(url, files, f"targets/{prefixed}", target.length)
    return MemoryTree(files, name=url)


def _add(url: str, files: dict[str, bytes], path: str, limit: int) -> bool:
    data = fetch(url, path, limit)
    if data is not None:
        files[path] = data
    return data is not None


def _add_roots(url: str, files: dict[str, bytes]) -> None:
    for version in range(1, MAX_ROOTS):
        if not _add(url, files, f"metadata/{version}.root.json", MAX_ROOT):
            return


def _add_snapshot(url: str, files: dict[str, bytes]) -> None:
    timestamp = Site(MemoryTree(files, name=url)).timestamp
    if timestamp is not None and isinstance(timestamp.signed, Timestamp):
        _add(url, files, f"metadata/{timestamp.signed.snapshot_meta.version}.snapshot.json", MAX_METADATA)


def _add_roles(url: str, files: dict[str, bytes], now: datetime) -> None:
    """Fetch targets, then what it delegates to, and so on until nothing new can be reached."""
    tried: set[str] = set()
    while True:
        publication = _publication(files, now)
        metas = {name: publication.role_meta(name) for name in publication.targets_names}
        paths = {f"metadata/{meta.version}.{name}.json" for name, meta in metas.items() if meta} - tried
        if not paths:
            return
        tried |= paths
        for path in sorted(paths):
            _add(url, files, path, MAX_METADATA)


def _publication(files: dict[str, bytes], now: datetime) -> Publication:
    return Publication(site=Site(MemoryTree(files, name="the site")), now=now, pinned="")


def fetch(url: str, path: str, limit: int) -> bytes | None:
    """One file of a site; None if it is not there.

    Args:
        url: The site's root, with a slash at the end.
        path: Path below it.
        limit: Largest number of bytes that is read.

    Raises:
        EnvironmentFault: The site does not answer, or with more than ``limit`` bytes.
    """
    address = url + quote(path)
    try:
        with urllib.request.urlopen(address, timeout=TIMEOUT) as answer:  # noqa: S310 - http(s) by policy
            data: bytes = answer.read(limit + 1)
    except urllib.error.HTTPError as error:
        if error.code in (403, 404):
            return None
        raise EnvironmentFault(f"answers {error.code}", where=address) from error
    except (OSError, HTTPException, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise EnvironmentFault(f"no answer: {reason}", where=address) from error
    if len(data) > limit:
        raise EnvironmentFault(f"is larger than {limit:,} bytes", where=address)
    return data
