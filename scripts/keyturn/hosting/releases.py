"""Archives in releases of the code host: one release for each version of an app, its tag the first path part.

An asset is called ``<sha256>.<file>``, as a client with consistent snapshots asks for it, so that any TUF
client finds ``<tag>/<file>`` below ``.../releases/download/`` without knowing where it is. A release begins
as a draft, is filled and checked, and is shown as a prerelease "proposed, not signed" until its event
is merged.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from keyturn.errors import RefusedError, UsageError
from keyturn.forge.host import Asset, Host, HostedRelease

MOST_BYTES = 2 * 1024**3 - 1
"""GitHub takes files under 2 GiB."""
MOST_FILES = 1000
MARK = "<!-- keyturn:release -->"
"""First line of the notes of every release that this code made."""
UNSIGNED = "proposed, not signed"
SWEPT_AFTER = timedelta(days=1)
"""So long a release that nothing names is left alone: its event may be on its way."""
_NAME = re.compile(r"[A-Za-z0-9._-]{1,150}")


@dataclass(frozen=True, slots=True)
class Archive:
    """A file to be kept in a release.

    Args:
        path: Target path, ``<tag>/<file>``.
        file: Where it lies.
        size: Its length in bytes.
        sha256: SHA-256 of it, lower hex.
    """

    path: str
    file: Path
    size: int
    sha256: str

    @property
    def tag(self) -> str:
        """The release's tag."""
        return self.path.partition("/")[0]

    @property
    def asset(self) -> str:
        """The name that the asset gets."""
        return f"{self.sha256}.{self.path.partition('/')[2]}"


def address(repository: str, path: str, sha256: str) -> str:
    """Where a target is downloaded.

    Args:
        repository: Page of the repository, without a slash at the end.
        path: Target path, ``<tag>/<file>``.
        sha256: Its signed SHA-256, lower hex.
    """
    tag, _, file = path.partition("/")
    return f"{base(repository)}{tag}/{sha256}.{file}"


def base(repository: str) -> str:
    """What is put in front of target paths, for any TUF client.

    Args:
        repository: Page of the repository, without a slash at the end.
    """
    return f"{repository}/releases/download/"


def check_limits(archives: Sequence[Archive], release: HostedRelease | None) -> None:
    """Refuse what the host would not take, before anything is uploaded.

    Args:
        archives: What is to be kept in one release.
        release: That release, if it is there already.

    Raises:
        UsageError: A file is too large (reason ``too-large``) or has a name that the host would change
            (``bad-name``), or there are too many (``too-many``).
    """
    for archive in archives:
        if archive.size > MOST_BYTES:
            raise UsageError(
                f"is {archive.size:,} bytes; a release takes files under 2 GiB",
                where=archive.path,
                todo="Split it, or keep targets in a directory that you serve yourself.",
                reason="too-large",
            )
        if not _NAME.fullmatch(archive.path.partition("/")[2]) or not _NAME.fullmatch(archive.tag):
            raise UsageError(
                "has signs that a release would replace by dots",
                where=archive.path,
                todo="Use letters, digits and . _ - in the names of apps, versions and platforms.",
                reason="bad-name",
            )
    held = {asset.name for asset in release.assets} if release else set()
    if len(held | {archive.asset for archive in archives}) > MOST_FILES:
        raise UsageError(
            f"would have more than {MOST_FILES} files",
            where=archives[0].tag,
            todo="Release fewer platforms under one version.",
            reason="too-many",
        )


def store(host: Host, title: str, archives: Sequence[Archive], *, target: str) -> HostedRelease:
    """Keep archives in their release and show it as proposed; what is there already is not uploaded again.

    Args:
        host: The repository on the code host.
        title: What is released, e.g. ``hello 1.0``.
        archives: The files; all of one tag.
        target: Commit or branch that the tag will name.

    Raises:
        UsageError: The host would not take them.
        RefusedError: What the host keeps is not what was sent (reason ``hash-mismatch``).
        HostError: It does not answer.
    """
    tag = archives[0].tag
    release = next((each for each in host.releases() if each.tag == tag), None)
    check_limits(archives, release)
    if release is None:
        release = host.create_release(tag, f"{title} ({UNSIGNED})", _notes(title), target=target)
    for archive in archives:
        _check(archive, host.upload(release, archive.asset, archive.file))
    if not release.draft:
        return release
    return host.edit_release(release, draft=False, prerelease=True)


def settle(host: Host, signed: Collection[str]) -> tuple[str, ...]:
    """Turn the releases whose event is merged into normal ones.

    Args:
        host: The repository on the code host.
        signed: Tags that the signed metadata names.

    Returns:
        Their tags.
    """
    done = []
    for release in host.releases():
        if _ours(release) and release.tag in signed and release.prerelease and not release.draft:
            title = release.title.removesuffix(f" ({UNSIGNED})")
            host.edit_release(release, title=title, prerelease=False)
            done.append(release.tag)
    return tuple(done)


def sweep(host: Host, named: Collection[str], now: datetime) -> tuple[str, ...]:
    """Remove the releases of ours that nothing names any more.

    Args:
        host: The repository on the code host.
        named: Tags that main, an open event or the published state names.
        now: The time, UTC.

    Returns:
        Their tags.
    """
    gone = []
    for release in host.releases():
        old = release.created is not None and now - release.created > SWEPT_AFTER
        if _ours(release) and release.tag not in named and old:
            host.delete_release(release)
            gone.append(release.tag)
    return tuple(gone)


def _notes(title: str) -> str:
    return (
        f"{MARK}\nThe files of {title}, for clients that update through signed metadata. While this says "
        f'"{UNSIGNED}", nobody has vouched for them yet.\n'
    )


def _ours(release: HostedRelease) -> bool:
    return release.body.startswith(MARK)


def _check(archive: Archive, asset: Asset) -> None:
    if asset.size != archive.size or asset.digest not in (None, archive.sha256):
        raise RefusedError(
            f"the host keeps {asset.size:,} bytes with another digest than what was sent",
            where=archive.path,
            todo="Delete the asset on the release's page, and run the release again.",
            reason="hash-mismatch",
        )
