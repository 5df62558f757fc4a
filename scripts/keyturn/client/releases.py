"""Which release to offer: pure decisions over what the signers said.

A target is a release of an app if its custom field says so::

    {"user": {"keyturn": {"app": "acme", "platform": "linux", "version": "1.2", "tree": "<sha256>"}}}

File names are never parsed for meaning (DESIGN section 5).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from packaging.version import InvalidVersion, Version

from keyturn.client.errors import BadMetadataError

_MAX_VERSION = 64
_SHA256 = re.compile(r"[0-9a-f]{64}")


class SignedTarget(Protocol):
    """What this module reads of ngclient's ``TargetFile``."""

    path: str
    length: int
    hashes: dict[str, str]

    @property
    def custom(self) -> object:
        """The target's custom field as the signers wrote it; of any shape."""


@dataclass(frozen=True, slots=True)
class Update:
    """One release that is signed for an app.

    Args:
        app: The app's name.
        platform: The platform that it is for; empty for all.
        version: PEP 440 normal form, e.g. ``2026.11.4`` where the signers wrote ``2026.11.04``.
        path: The archive's target path.
        size: The archive's length in bytes.
        sha256: SHA-256 of the archive, lower hex.
        tree: Digest of the manifest of what it installs, lower hex.
    """

    app: str
    platform: str
    version: str
    path: str
    size: int
    sha256: str
    tree: str

    @property
    def tagged(self) -> bool:
        """Whether the archive may be kept in a release of a code host, tagged ``<app>-<version>``."""
        return self.path.startswith(f"{self.app}-{self.version}/")


def parse_version(text: str) -> Version | None:
    """A version in the sense of PEP 440.

    Args:
        text: A version as people write it.

    Returns:
        The version, whose ``str()`` is the normal form and safe as a name of a directory; None if the text
        is no version or absurdly long.
    """
    try:
        return Version(text) if len(text) <= _MAX_VERSION else None
    except InvalidVersion:
        return None


def release(target: SignedTarget) -> Update | None:
    """Read a target as a release.

    Args:
        target: A target that ngclient vouches for.

    Returns:
        The release; None for a target that is none, is a pre-release, or whose custom field is not as it
        should be: one odd target must not keep an app from the others.
    """
    said = _mapping(_mapping(_mapping(target.custom).get("user")).get("keyturn"))
    app, version, tree = said.get("app"), said.get("version"), said.get("tree")
    platform = said.get("platform", "")
    sha256 = target.hashes.get("sha256", "")
    if not (isinstance(app, str) and isinstance(platform, str) and isinstance(version, str)):
        return None
    if not (isinstance(tree, str) and _SHA256.fullmatch(tree) and _SHA256.fullmatch(sha256)):
        return None
    parsed = parse_version(version)
    if parsed is None or parsed.is_prerelease:
        return None
    return Update(app, platform, str(parsed), target.path, target.length, sha256, tree)


def newest(
    updates: Iterable[Update], *, app: str, platform: str, above: str | None, refused: Iterable[str]
) -> Update | None:
    """Choose the release to offer: the highest final version for this app and platform.

    A release for this very platform goes before one for all platforms. Two releases of one version with the
    same tree are one release, taken from the smaller archive.

    Args:
        updates: All releases that are signed.
        app: Name of the app.
        platform: The client's platform; empty: only releases for all platforms are for it.
        above: Version that is installed; only higher ones are offered. None: any.
        refused: Versions that are not offered again.

    Returns:
        The release to offer, or None.

    Raises:
        BadMetadataError: The version to offer is signed twice with different trees.
    """
    floor = Version(above) if above else None
    never = {Version(version) for version in refused}
    offered: dict[Version, list[Update]] = {}
    for update in updates:
        version = Version(update.version)
        fits = update.app == app and update.platform in ("", platform)
        if fits and version not in never and (floor is None or version > floor):
            offered.setdefault(version, []).append(update)
    if not offered:
        return None
    candidates = offered[max(offered)]
    own = [update for update in candidates if update.platform == platform]
    return _one(own or candidates)


def _one(same: list[Update]) -> Update:
    if len({update.tree for update in same}) > 1:
        paths = ", ".join(sorted(update.path for update in same))
        raise BadMetadataError(
            f"version {same[0].version} of {same[0].app} is signed with different contents: {paths}",
            where=same[0].path,
            role="targets",
        )
    return min(same, key=lambda update: (update.size, update.path))


def _mapping(value: object) -> Mapping[object, object]:
    return value if isinstance(value, dict) else {}
