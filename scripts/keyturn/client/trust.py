"""The strict half: TUF as the specification has it, with every refusal named.

:class:`Trust` is python-tuf's ngclient in its own directory, used through its public interface only, plus
what ngclient does not say: which role an error is about, by how many signatures it falls short, and whether
an unexpected version went back or is merely wrong. It knows nothing of apps and versions, so any TUF client
can be built on it.

Each :meth:`Trust.refresh` makes a new ``Updater``, since an ``Updater`` refreshes once and takes the time of
day when it is made.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar
from urllib.parse import unquote

from tuf.api import exceptions
from tuf.api.metadata import Root, Signed, Snapshot, TargetFile, Targets, Timestamp
from tuf.ngclient import FetcherInterface, Updater, Urllib3Fetcher

from keyturn.client.errors import (
    BadMetadataError,
    DiskError,
    ExpiredError,
    HashMismatchError,
    NetworkError,
    NotFoundError,
    RollbackError,
    ThresholdError,
    UpdateFault,
    UpdateRefused,
    disk_faults,
)
from keyturn.client.fetch import Watched, held_bytes, signed_part
from keyturn.client.report import Held, Progress

_S = TypeVar("_S", bound=Signed)

_KINDS: dict[str, type[Signed]] = {kind.type: kind for kind in (Root, Timestamp, Snapshot, Targets)}
_GONE = (403, 404, 410)
_LATER = "try again later"


class Trust:
    """A strict TUF client with its metadata in one directory.

    Only one process may use a directory at a time; taking care of that is the caller's part.

    Args:
        directory: Where metadata is kept: ``<role>.json``, unversioned, and ``root_history/``.
        metadata_url: Where the server's metadata lies, with ``/`` at the end.
        targets_url: Where the server's targets lie, with ``/`` at the end.
        root: Root metadata that the app came with. None: the directory's own ``root.json``, for callers that
            had :meth:`init` put it there.
        fetcher: What reads from the network; ngclient's own by default. It gives out errors as
            ``DownloadError``, ``OSError`` or urllib3's ``HTTPError``.
    """

    def __init__(
        self,
        directory: Path,
        metadata_url: str,
        targets_url: str,
        *,
        root: bytes | None = None,
        fetcher: FetcherInterface | None = None,
    ) -> None:
        self._directory = directory
        self._metadata_url = metadata_url
        self._targets_url = targets_url
        self._root = root
        self._fetcher = Watched(fetcher or Urllib3Fetcher(), remembered=metadata_url)
        self._refreshed: Updater | None = None

    def init(self) -> None:
        """Put the given root into the directory as the trusted one; reads nothing from the network.

        Raises:
            UpdateRefused: It is no root, or not signed by its own threshold.
            DiskError: The directory cannot be written.
        """
        with self._explained():
            self._updater()

    def refresh(self) -> Held:
        """Bring all four top-level roles up to date, strictly (TUF specification, section 5).

        Returns:
            What is held now.

        Raises:
            UpdateRefused: What the server offers does not verify; what is held stays as it is.
            UpdateFault: The server or the disk cannot be used.
        """
        self._refresh()
        with self._explained():
            timestamp = self._kept(Timestamp)
            return Held(
                root=self._kept(Root).version,
                timestamp=timestamp.version,
                snapshot=self._kept(Snapshot).version,
                targets=self._kept(Targets).version,
                expires=timestamp.expires,
            )

    def get_target(self, path: str) -> TargetFile | None:
        """Look a target up, through delegations too; refreshes first if that has not been done.

        Args:
            path: The target's path.

        Returns:
            What is signed about the target, or None if nothing is.

        Raises:
            UpdateRefused: Metadata on the way to it does not verify.
            UpdateFault: The server or the disk cannot be used.
        """
        updater = self._refreshed or self._refresh()
        with self._explained():
            return updater.get_targetinfo(path)

    def listed(self) -> tuple[TargetFile, ...]:
        """All targets that the top-level targets role lists itself, in the order of their paths.

        ngclient tells about a target by its path only. So the paths come from the file that it has just
        verified and kept, and every target comes from ngclient.

        Returns:
            What is signed about each.

        Raises:
            UpdateRefused: Metadata does not verify.
            UpdateFault: The server or the disk cannot be used.
        """
        updater = self._refreshed or self._refresh()
        with self._explained():
            found = [updater.get_targetinfo(path) for path in sorted(self._kept(Targets).targets)]
        return tuple(target for target in found if target is not None)

    def download(
        self, target: TargetFile, to: Path, progress: Progress | None = None, *, base: str | None = None
    ) -> None:
        """Bring a target to a file, unless the file is that target already.

        Args:
            target: What :meth:`get_target` gave.
            to: The file; nothing unverified is ever written to it.
            progress: Called with the bytes received so far and the length in bytes.
            base: What is put in front of its path instead of the site's own, with ``/`` at the end.

        Raises:
            HashMismatchError: The server sent something else.
            UpdateFault: The server or the disk cannot be used.
        """
        updater = self._refreshed or self._refresh()
        report = progress or _unheard
        if updater.find_cached_target(target, str(to)) is not None:
            report(target.length, target.length)
            return
        report(0, target.length)
        self._fetcher.progress, self._fetcher.expected = report, target.length
        try:
            with self._explained(target):
                updater.download_target(target, str(to), base)
        finally:
            self._fetcher.progress = None

    def _updater(self) -> Updater:
        self._fetcher.forget()
        self._directory.mkdir(parents=True, exist_ok=True)
        return Updater(
            str(self._directory),
            self._metadata_url,
            target_base_url=self._targets_url,
            fetcher=self._fetcher,
            bootstrap=self._root,
        )

    def _refresh(self) -> Updater:
        self._refreshed = None
        with self._explained():
            updater = self._updater()
            updater.refresh()
        self._refreshed = updater
        return updater

    def _find(self, kind: type[_S]) -> _S | None:
        return signed_part(held_bytes(self._directory, kind.type), kind)

    def _kept(self, kind: type[_S]) -> _S:
        """A role that was verified and written a moment ago."""
        signed = self._find(kind)
        if signed is None:
            raise DiskError("metadata that was just kept cannot be read", where=str(self._directory))
        return signed

    @contextmanager
    def _explained(self, target: TargetFile | None = None) -> Iterator[None]:
        """Name what ngclient refuses; with a target, while that target's own bytes are on their way."""
        with disk_faults(self._directory):
            try:
                yield
            except exceptions.RepositoryError as error:
                raise self._refused(error, target) from error
            except exceptions.DownloadError as error:
                raise self._not_fetched(error, target) from error

    def _asked(self) -> tuple[str, int]:
        """Role and version (0: none) that the last request was for; before any, the root that came along."""
        url = self._fetcher.asked
        if not url:
            return Root.type, 0
        name = unquote(url.removeprefix(self._metadata_url).removesuffix(".json"))
        version, dot, role = name.partition(".")
        return (role, int(version)) if dot and version.isdecimal() else (name, 0)

    def _refused(self, error: exceptions.RepositoryError, target: TargetFile | None) -> UpdateRefused:
        where = self._fetcher.asked or "the root that the app came with"
        if target is not None:
            return HashMismatchError(f"{target.path} is not the file that was signed", where=where)
        role, version = self._asked()
        if isinstance(error, exceptions.ExpiredMetadataError):
            return self._expired(role)
        if isinstance(error, exceptions.UnsignedMetadataError):
            return ThresholdError(f"too few valid signatures: {error}", where=where, role=role)
        if isinstance(error, exceptions.LengthOrHashMismatchError):
            return HashMismatchError(f"{role} is not the file that was signed for", where=where, role=role)
        # A snapshot that drops a role is refused by ngclient without a class of its own.
        dropped = role == Snapshot.type and type(error) is exceptions.RepositoryError
        if isinstance(error, exceptions.BadVersionNumberError) or dropped:
            went_back = self._went_back(role, version)
            if went_back:
                return RollbackError(went_back, where=where, role=role)
        return BadMetadataError(f"{role} cannot be used: {error}", where=where, role=role)

    def _not_fetched(
        self, error: exceptions.DownloadError, target: TargetFile | None
    ) -> UpdateFault | UpdateRefused:
        where = self._fetcher.asked
        role = "" if target else self._asked()[0]
        what = target.path if target else role
        # A frozen server may well have no snapshot for the timestamp that it froze at.
        if role == Snapshot.type and self._is_expired(Timestamp):
            return self._expired(role)
        if isinstance(error, exceptions.DownloadLengthMismatchError):
            return HashMismatchError(f"{what} is longer than it may be", where=where, role=role)
        if isinstance(error, exceptions.DownloadHTTPError) and error.status_code in _GONE:
            return NotFoundError(f"the server does not have {what}", where=where, todo=_LATER)
        return NetworkError(f"{what} cannot be fetched: {_why(error)}", where=where, todo=_LATER)

    def _expired(self, role: str) -> ExpiredError:
        # The check that failed may be one that ngclient makes of the role before, on its way to this one.
        before: dict[str, type[Signed]] = {Timestamp.type: Root, Snapshot.type: Timestamp}
        if role in before and self._is_expired(before[role]):
            role = before[role].type
            signed: Signed | None = self._find(_KINDS[role])
        else:
            signed = self._received(role)
        when = f" on {signed.expires:%Y-%m-%d %H:%M} UTC" if signed else ""
        return ExpiredError(
            f"{role} has expired{when}",
            where=self._fetcher.asked,
            role=role,
            todo="check this computer's clock; if it is right, the app's publisher has to renew the metadata",
        )

    def _is_expired(self, kind: type[Signed]) -> bool:
        signed = self._find(kind)
        return signed is not None and signed.is_expired()

    def _received(self, role: str) -> Signed | None:
        return signed_part(bytes(self._fetcher.received), _KINDS.get(role, Targets))

    def _went_back(self, role: str, asked: int) -> str:
        """What went back to an older version in the file just received; empty if nothing did."""
        received = self._received(role)
        if received is None:
            return ""
        kept = self._find(_KINDS[role]) if role in _KINDS else None
        if kept and received.version < kept.version:
            return f"{role} went back from version {kept.version} to {received.version}"
        now = _listing(received)
        for name, version in _listing(kept).items():
            if now.get(name, 0) < version:
                lists = f"{name} {now[name]}" if name in now else f"{name} no more"
                return f"{role} {received.version} lists {lists}, after version {version}"
        if received.version < asked:
            return f"{role} has version {received.version} where {asked} was asked for"
        return ""


def _listing(signed: Signed | None) -> dict[str, int]:
    """The versions that a role states of others."""
    if isinstance(signed, Timestamp):
        return {"snapshot.json": signed.snapshot_meta.version}
    if isinstance(signed, Snapshot):
        return {name: file.version for name, file in signed.meta.items()}
    return {}


def _why(error: exceptions.DownloadError) -> str:
    cause = error.__cause__ or error
    # urllib3's errors carry their sentence first and then what they were made from.
    sentence = next((part for part in cause.args if isinstance(part, str)), str(cause))
    return sentence or "the server is too slow"


def _unheard(_done: int, _total: int) -> None:
    """Progress that nobody asked for."""
