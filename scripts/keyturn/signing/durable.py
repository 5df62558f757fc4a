"""Small private files that are whole or not there, whatever stops the machine or runs beside us."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from keyturn.errors import EnvironmentFault

if sys.platform == "win32":  # pragma: no cover
    import msvcrt

    def _lock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_LOCK, 1)

    def _sync_directory(directory: Path) -> None:
        """Windows has no such thing: a rename is durable with the volume's journal."""

else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX)

    def _sync_directory(directory: Path) -> None:
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def read(path: Path) -> bytes | None:
    """The bytes of a file; None if there is none.

    Raises:
        EnvironmentFault: There is one, but it cannot be read.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise EnvironmentFault(f"cannot be read: {error.strerror}", where=str(path)) from error


def write(path: Path, data: bytes) -> None:
    """Replace a file as a whole (mode 0600); on return it is on the disk.

    Raises:
        EnvironmentFault: It cannot be written; the old one stands untouched.
    """
    try:
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(path)
        except BaseException:
            with suppress(OSError):
                Path(temporary).unlink()
            raise
        _sync_directory(path.parent)
    except OSError as error:
        raise EnvironmentFault(f"cannot be written: {error.strerror}", where=str(path)) from error


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Hold the directory's lock against every other process and thread; it is made (0700) if need be.

    The lock goes with the process that holds it, so a crash leaves nothing to clear away.

    Raises:
        EnvironmentFault: The directory cannot be made or locked.
    """
    try:
        _make_private(directory)
        descriptor = os.open(directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise EnvironmentFault(f"cannot be used: {error.strerror}", where=str(directory)) from error
    try:
        try:
            _lock(descriptor)
        except OSError as error:
            raise EnvironmentFault(f"cannot be locked: {error.strerror}", where=str(directory)) from error
        yield
    finally:
        os.close(descriptor)


def _make_private(directory: Path) -> None:
    if not directory.is_dir():
        _make_private(directory.parent)
        directory.mkdir(mode=0o700, exist_ok=True)
