"""Taking releases from an app's own repository, with no secret shared (policy: ``apps.*.from``).

The update repository looks at the public releases of the app's repository. What it proposes is the very file
that is there, and only if an attestation ties its digest to the workflow that the policy names, run on the
release's tag. The signers decide whether it becomes a release; that it was built where it says is proven.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.version import InvalidVersion, Version

from keyturn.client import unpack
from keyturn.errors import KeyturnError, NothingToDo, RefusedError
from keyturn.flow.context import Context, require_policy
from keyturn.flow.proposing import Proposed, archives
from keyturn.forge import EVENT_PREFIX
from keyturn.forge.host import Asset, Host, HostedRelease
from keyturn.policy import AppPolicy, SourcePolicy
from keyturn.release.archive import Packed
from keyturn.release.attestation import Attested, Build, verify_attestation
from keyturn.state import State, sha256_hex, targets_of

if TYPE_CHECKING:
    from sigstore.verify import Verifier

HostOf = Callable[[str], Host]
"""Gives the host of a repository named ``OWNER/REPOSITORY``."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A release that was taken from another repository and proposed.

    Args:
        app: App name.
        version: Its version.
        proposed: The proposal.
        attested: What proves where the archives were built, by platform.
    """

    app: str
    version: str
    proposed: Proposed
    attested: Mapping[str, Attested]


@dataclass(frozen=True, slots=True)
class Watched:
    """What became of looking at other repositories.

    Args:
        taken: What was proposed.
        failed: Why something was not, by app.
        waiting: Topics of events that propose what is newest already.
    """

    taken: tuple[Taken, ...]
    failed: Mapping[str, KeyturnError]
    waiting: tuple[str, ...] = ()


def watch(
    context: Context, host: Host | None, host_of: HostOf, verifier: Callable[[], Verifier], *, server: str
) -> Watched:
    """Propose the newest release of every app that comes from another repository, if it is newer than ours.

    One app that fails does not keep the others from being looked at.

    Args:
        context: Where.
        host: The update repository's own host, for policies that keep archives in its releases.
        host_of: Gives the host of an app's repository; no token is needed for public ones.
        verifier: Makes the verifier of attestations; only asked for if there is something to verify.
        server: Address of the code host, without a slash at the end.

    Raises:
        PolicyError: The policy of main has problems.
        GitError: The remote cannot be read.
    """
    context.forge.refresh()
    main = context.forge.tree(context.forge.main())
    known = State(main)
    taken, failed, waiting = [], {}, []
    for app in require_policy(main).apps:
        if app.source is None:
            continue
        try:
            newer = _newer(app, app.source, host_of(app.source.repository), _released(known, app.name))
            if newer is not None:
                taken.append(_take(context, host, host_of(app.source.repository), newer, verifier, server))
        except NothingToDo as nothing:
            waiting.append(nothing.where.removeprefix(EVENT_PREFIX))
        except KeyturnError as error:
            failed[app.name] = error
    forge = context.forge
    standing = (topic for topic in waiting if forge.event(topic) is not None and not forge.is_merged(topic))
    return Watched(taken=tuple(taken), failed=failed, waiting=tuple(standing))


@dataclass(frozen=True, slots=True)
class _Newer:
    app: AppPolicy
    source: SourcePolicy
    version: Version
    release: HostedRelease


def _released(state: State, app: str) -> Version | None:
    """The highest version of an app that the signed metadata lists."""
    from keyturn.client.releases import release  # noqa: PLC0415

    versions = []
    for file in state.targets_roles():
        for target in targets_of(file).targets.values():
            said = release(target)
            if said is not None and said.app == app:
                versions.append(Version(said.version))
    return max(versions, default=None)


def _newer(app: AppPolicy, source: SourcePolicy, host: Host, released: Version | None) -> _Newer | None:
    """The newest final release there that is newer than what is released here."""
    found = []
    for release in host.releases():
        text = source.version_of(release.tag)
        version = _version(text) if text and not (release.draft or release.prerelease) else None
        if version is not None and (released is None or version > released):
            found.append(_Newer(app, source, version, release))
    return max(found, key=lambda newer: newer.version, default=None)


def _version(text: str) -> Version | None:
    try:
        version = Version(text)
    except InvalidVersion:
        return None
    return None if version.is_prerelease or version.local or version.epoch else version


def _take(
    context: Context,
    host: Host | None,
    source: Host,
    newer: _Newer,
    verifier: Callable[[], Verifier],
    server: str,
) -> Taken:
    build = Build(
        repository=newer.source.repository,
        workflow=newer.source.workflow,
        ref=f"refs/tags/{newer.release.tag}",
        server=server,
    )
    limit = require_policy(context.forge.tree(context.forge.main())).hosting.max_file
    checker = verifier()
    with tempfile.TemporaryDirectory(prefix="keyturn-") as scratch:
        packed: dict[str, Packed] = {}
        attested: dict[str, Attested] = {}
        for number, (platform, asset) in enumerate(_assets(newer)):
            file = Path(scratch) / f"{number}.tar.gz"
            source.download(asset, file, limit=limit)
            packed[platform] = _read(file, asset)
            attested[platform] = verify_attestation(
                source.attestations(packed[platform].sha256), packed[platform].sha256, build, checker
            )
        said = _trailers(attested)
        proposed = archives(context, newer.app.name, str(newer.version), packed, host=host, said=said)
    return Taken(app=newer.app.name, version=str(newer.version), proposed=proposed, attested=attested)


def _assets(newer: _Newer) -> Iterable[tuple[str, Asset]]:
    """The archive of each platform in a release.

    Raises:
        RefusedError: One is not there (reason ``missing-asset``).
    """
    there = {asset.name: asset for asset in newer.release.assets if asset.uploaded}
    text = newer.source.version_of(newer.release.tag) or str(newer.version)
    for platform in newer.app.platforms or ("",):
        name = newer.source.asset_name(newer.app.name, text, platform)
        if name not in there:
            raise RefusedError(
                f"the release {newer.release.tag} has no file {name}",
                where=newer.source.repository,
                todo="Upload it there, or change apps.*.from.asset in keyturn.yml.",
                reason="missing-asset",
            )
        yield platform, there[name]


def _read(file: Path, asset: Asset) -> Packed:
    """An archive that somebody else made, as far as a client would take it."""
    try:
        manifest = unpack.read(file)
    except KeyturnError as error:
        raise RefusedError(
            f"is no archive that a client could install: {error.what}",
            where=asset.name,
            todo="Make it from a directory of plain files and links, with `tar --format=posix -C DIRECTORY "
            "-czf FILE .`.",
            reason="bad-archive",
        ) from error
    data = file.read_bytes()
    return Packed(
        path=file, size=len(data), sha256=sha256_hex(data), tree=manifest.digest, files=len(manifest.items)
    )


def _trailers(attested: Mapping[str, Attested]) -> str:
    return "\n".join(
        f"Keyturn-Attested: {one.sha256} {one.build.identity} {one.commit}".rstrip()
        for one in attested.values()
    )
