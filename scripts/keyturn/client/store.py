"""The client's directory, and what is written where in which order (SPEC: Client store).

================================  ===================================================================
``lock``                          held while a process works with the store
``trust/``                        metadata, kept by ngclient
``downloads/<sha256>.part``       an archive on its way, or waiting to be unpacked
``versions/<version>/``           an installed tree; names that begin with a dot are unfinished or waste
``state.json``                    :class:`Installed`; what it says is so, whatever else lies there
``current``                       a link to the current version, for people and their own launchers
================================  ===================================================================

Every step is one rename, and each leaves a store that the next call can use: a tree has its name only once it
is whole, ``state.json`` then makes it the current one, and ``current`` follows. On Windows, where making a
link is a privilege and replacing one is two steps, and on disks without links there is no ``current``.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import IO

from keyturn.client.errors import BusyError, DiskError, disk_faults
from keyturn.client.releases import parse_version
from keyturn.client.unpack import sync_directory

_FORMAT = 1
_TEXT_FIELDS = ("current", "previous", "pending", "stale_since")
_FIELDS = frozenset({"format", "starts", "refused", *_TEXT_FIELDS})


@dataclass(frozen=True, slots=True)
class Installed:
    """What is installed, and what is known about it. All changes make a new one.

    Args:
        current: Version that :meth:`keyturn.client.Client.launch` starts; None before the first installation.
        previous: The last confirmed version before it, still there; None if there is none.
        pending: Equal to ``current`` while that has not been confirmed; else None.
        starts: How often the pending version was started.
        refused: Versions that failed or were rolled back, in that order; they are not offered again.
        stale_since: When the server's timestamp was first found older than the held one, in UTC; None if the
            last one was not.
    """

    current: str | None = None
    previous: str | None = None
    pending: str | None = None
    starts: int = 0
    refused: tuple[str, ...] = ()
    stale_since: datetime | None = None

    def with_new(self, version: str) -> Installed:
        """A new version is current and has yet to prove itself."""
        # A version that never confirmed is nothing to go back to; the one before it still is.
        previous = self.previous if self.pending else self.current
        return replace(self, current=version, previous=previous, pending=version, starts=0)

    def with_start(self) -> Installed:
        """The current version is about to be started; that counts only while it is pending."""
        return replace(self, starts=self.starts + 1) if self.pending else self

    def with_confirmation(self) -> Installed:
        """The current version works, even if it was refused meanwhile."""
        refused = tuple(version for version in self.refused if version != self.current)
        return replace(self, pending=None, starts=0, refused=refused)

    def with_refusal(self) -> Installed:
        """The current version is not offered again."""
        if self.current is None or self.current in self.refused:
            return self
        return replace(self, refused=(*self.refused, self.current))

    def gone_back(self) -> Installed:
        """The previous version is current again, and the one that was is refused."""
        refused = self.with_refusal().refused
        return replace(self, current=self.previous, previous=None, pending=None, starts=0, refused=refused)


class Store:
    """One client's directory.

    Args:
        directory: The directory; made when it is first used.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.trust = directory / "trust"
        self._downloads = directory / "downloads"
        self._versions = directory / "versions"
        self._state = directory / "state.json"
        self._link = directory / "current"

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes out for the time of the block, which has the store in good order.

        Yields:
            Nothing.

        Raises:
            BusyError: Another process is at work in the store, or another thread of this one.
            DiskError: The store cannot be used.
        """
        with disk_faults(self.directory):
            self.directory.mkdir(parents=True, exist_ok=True)
            with (self.directory / "lock").open("ab") as lock:
                if not _try_lock(lock):
                    where = str(self.directory)
                    raise BusyError(
                        "another process is using the store", where=where, todo="wait for it to end"
                    )
                self._point(self.load().current)
                yield

    def load(self) -> Installed:
        """What is installed.

        Returns:
            What ``state.json`` says; an empty :class:`Installed` if there is none.

        Raises:
            DiskError: The file cannot be read or understood.
        """
        try:
            data = self._state.read_bytes()
        except FileNotFoundError:
            return Installed()
        except OSError as error:
            raise DiskError(f"cannot be read: {error.strerror}", where=str(self._state)) from error
        try:
            return _parse(json.loads(data))
        except (ValueError, RecursionError) as error:
            raise DiskError(
                f"not the state of a store: {error}",
                where=str(self._state),
                todo="remove this file and install the app again",
            ) from error

    def save(self, installed: Installed) -> None:
        """Make this the state of the store, now and for good.

        Args:
            installed: The new state.

        Raises:
            OSError: The disk says no; the old state stands.
        """
        unfinished = self.directory / ".state.json"
        with unfinished.open("w", encoding="utf-8") as file:
            json.dump(_fields(installed), file, indent=1)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(self._state)
        sync_directory(self.directory)
        self._point(installed.current)

    def version_directory(self, version: str) -> Path:
        """Where a version's tree lies.

        Args:
            version: A version in PEP 440 normal form.

        Returns:
            The directory, there or not.
        """
        return self._versions / version

    def has(self, version: str | None) -> bool:
        """Say whether a version's tree is there.

        Args:
            version: A version, or None for none.

        Returns:
            True if it is.
        """
        return version is not None and self.version_directory(version).is_dir()

    def download(self, sha256: str) -> Path:
        """Where an archive is downloaded to; other archives there are removed, since none is needed again.

        Args:
            sha256: The archive's SHA-256, lower hex.

        Returns:
            The file, there or not.

        Raises:
            OSError: The disk says no.
        """
        self._downloads.mkdir(exist_ok=True)
        wanted = self._downloads / f"{sha256}.part"
        for other in self._downloads.iterdir():
            if other != wanted:
                other.unlink()
        return wanted

    def fresh(self, version: str) -> Path:
        """A place to unpack a version in; what an earlier attempt left is removed.

        Args:
            version: A version in PEP 440 normal form.

        Returns:
            A directory that does not exist.

        Raises:
            OSError: The disk says no.
        """
        self._versions.mkdir(exist_ok=True)
        self._sweep()
        return self._versions / f".new-{version}"

    def adopt(self, fresh: Path, version: str) -> None:
        """Give an unpacked and verified tree its name.

        A tree that has the name already was never made current, or is refused: it makes room.

        Args:
            fresh: What :meth:`fresh` gave, now full.
            version: Its version.

        Raises:
            OSError: The disk says no.
        """
        self._discard(version)
        fresh.replace(self.version_directory(version))
        sync_directory(self._versions)

    def prune(self, *, keep: Collection[str | None]) -> None:
        """Remove versions, and everything unfinished. What cannot be removed now is tried again next time.

        Args:
            keep: Versions that stay.

        Raises:
            OSError: The disk says no.
        """
        self._sweep()
        for entry in list(self._versions.iterdir()):
            if entry.name not in keep:
                with contextlib.suppress(OSError):  # on Windows a running program cannot be moved away
                    self._discard(entry.name)

    def _sweep(self) -> None:
        for entry in list(self._versions.iterdir()):
            if entry.name.startswith("."):
                shutil.rmtree(entry, ignore_errors=True)

    def _discard(self, version: str) -> None:
        # Renamed first, so that a half-removed tree never has the name of a whole one.
        waste = self._versions / f".old-{version}"
        if self.has(version):
            self.version_directory(version).replace(waste)
            shutil.rmtree(waste, ignore_errors=True)

    def _point(self, version: str | None) -> None:
        if version is None:
            self._link.unlink(missing_ok=True)
        elif sys.platform != "win32":
            wanted = Path("versions", version)
            if not self._link.is_symlink() or self._link.readlink() != wanted:
                self._replace_link(wanted)

    def _replace_link(self, wanted: Path) -> None:
        unfinished = self.directory / ".current"
        unfinished.unlink(missing_ok=True)
        try:
            unfinished.symlink_to(wanted)
        except OSError:
            return  # a disk without links; state.json says it all
        unfinished.replace(self._link)


if sys.platform == "win32":  # pragma: no cover (the tests run on POSIX)
    import msvcrt

    def _try_lock(lock: IO[bytes]) -> bool:
        try:
            msvcrt.locking(lock.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _try_lock(lock: IO[bytes]) -> bool:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def _fields(installed: Installed) -> dict[str, object]:
    since = installed.stale_since
    return {
        "format": _FORMAT,
        "current": installed.current,
        "previous": installed.previous,
        "pending": installed.pending,
        "starts": installed.starts,
        "refused": list(installed.refused),
        "stale_since": since.isoformat() if since else None,
    }


def _parse(top: object) -> Installed:
    if not isinstance(top, dict) or set(top) != _FIELDS or top["format"] != _FORMAT:
        raise ValueError(f"format {_FORMAT} has the fields {', '.join(sorted(_FIELDS))}")
    starts, refused = top["starts"], top["refused"]
    if type(starts) is not int or starts < 0 or not isinstance(refused, list):
        raise ValueError("starts is a number and refused a list")
    current, previous, pending = (
        _version_or_none(top[field]) for field in ("current", "previous", "pending")
    )
    since = top["stale_since"]
    return Installed(
        current,
        previous,
        pending,
        starts,
        tuple(_version(version) for version in refused),
        None if since is None else _time(since),
    )


def _version_or_none(value: object) -> str | None:
    return None if value is None else _version(value)


def _version(value: object) -> str:
    # It becomes the name of a directory, so nothing but a normal form will do.
    version = parse_version(value) if isinstance(value, str) else None
    if version is None or str(version) != value:
        raise ValueError(f"not a version in normal form: {value!r}")
    return value


def _time(value: object) -> datetime:
    time = datetime.fromisoformat(str(value))
    if time.tzinfo is None:
        raise ValueError("stale_since has a time zone")
    return time
