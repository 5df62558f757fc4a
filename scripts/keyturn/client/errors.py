"""What can go wrong in an app that updates itself: every error that :mod:`keyturn.client` raises on purpose.

Two families, told apart because an app answers them differently. :class:`UpdateRefused` means that what the
server offers must not be installed; the app goes on as it is and somebody should hear of it.
:class:`UpdateFault` means that this computer or the network is in the way; trying again later may do.
Each error's ``reason`` is a stable word for programs.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

from keyturn.errors import EnvironmentFault, RefusedError, UsageError

_TELL = "nothing was installed; if it stays like this, tell the app's publisher"


class UpdateRefused(RefusedError):
    """Base of all refusals.

    Args:
        what: What is wrong, one sentence without a full stop.
        where: URL or file concerned.
        todo: What the person should do next.
        reason: Stable lower-case word for programs; the class's own by default.
        role: Name of the TUF role concerned, e.g. ``timestamp``; empty if none is.
    """

    def __init__(
        self, what: str, *, where: str = "", todo: str = _TELL, reason: str = "", role: str = ""
    ) -> None:
        super().__init__(what, where=where, todo=todo, reason=reason)
        self.role = role


class ExpiredError(UpdateRefused):
    """Metadata of a role has expired: a frozen or neglected repository, or a wrong clock on this computer."""

    default_reason: ClassVar[str] = "expired"


class ThresholdError(UpdateRefused):
    """Metadata of a role carries fewer valid signatures than its delegator asks for."""

    default_reason: ClassVar[str] = "threshold"


class RollbackError(UpdateRefused):
    """A version went back: of a role, or of the app."""

    default_reason: ClassVar[str] = "rollback"


class HashMismatchError(UpdateRefused):
    """A downloaded file has not the length or the hash that was signed for it."""

    default_reason: ClassVar[str] = "hash-mismatch"


class TreeMismatchError(UpdateRefused):
    """An archive is the one that was signed, but what is in it is not."""

    default_reason: ClassVar[str] = "tree-mismatch"


class BadMetadataError(UpdateRefused):
    """Metadata cannot be read, or contradicts itself."""

    default_reason: ClassVar[str] = "bad-metadata"


class UnsafeArchiveError(UpdateRefused):
    """An archive holds something that is never unpacked."""

    default_reason: ClassVar[str] = "unsafe-archive"


class NoReleaseError(UpdateRefused):
    """Nothing that may be installed is signed for this app, platform and version."""

    default_reason: ClassVar[str] = "no-release"


class NoPreviousError(UpdateRefused):
    """There is no earlier version to go back to."""

    default_reason: ClassVar[str] = "no-previous"


class NotInstalledError(UsageError):
    """No version is installed in this store yet."""

    default_reason: ClassVar[str] = "not-installed"


class UpdateFault(EnvironmentFault):
    """Base of all faults of the surroundings."""


class NetworkError(UpdateFault):
    """The server could not be reached, broke off, or answered with an error."""

    default_reason: ClassVar[str] = "network"


class NotFoundError(UpdateFault):
    """The server does not have a file that it should have."""

    default_reason: ClassVar[str] = "not-found"


class BusyError(UpdateFault):
    """Another process is using this store."""

    default_reason: ClassVar[str] = "busy"


class DiskError(UpdateFault):
    """The store cannot be read or written."""

    default_reason: ClassVar[str] = "disk"


class NotStartedError(UpdateFault):
    """The installed version cannot be started."""

    default_reason: ClassVar[str] = "not-started"


@contextmanager
def disk_faults(where: Path) -> Iterator[None]:
    """Turn what the operating system says about files into a :class:`DiskError`.

    Args:
        where: What the error names if the operating system names no file itself.

    Yields:
        Nothing.

    Raises:
        DiskError: The block raised an ``OSError``.
    """
    try:
        yield
    except OSError as error:
        raise DiskError(
            f"the store cannot be used: {error.strerror or error}",
            where=str(error.filename or where),
            todo="check free space and permissions, then run it again",
        ) from error
