"""What the client tells its caller: results, and progress on the way."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from keyturn.client.releases import Update

Progress = Callable[[int, int], None]
"""Called during a download with the bytes received so far and the bytes in all."""


@dataclass(frozen=True, slots=True)
class Held:
    """The verified metadata that a client holds.

    Args:
        root: Version of root.
        timestamp: Version of timestamp.
        snapshot: Version of snapshot.
        targets: Version of the top-level targets.
        expires: When the timestamp expires, in UTC; the client refuses to go on with it after that.
    """

    root: int
    timestamp: int
    snapshot: int
    targets: int
    expires: datetime


@dataclass(frozen=True, slots=True)
class Stale:
    """The server answered with an older timestamp than the one held, which is still good.

    Args:
        fetched: Version of the server's timestamp.
        held: Version of the one that is held and used.
        since: When this was first seen, in UTC.
        warn: True if that is more than an hour ago: a network of caches is no longer an explanation.
        message: What to tell a person.
    """

    fetched: int
    held: int
    since: datetime
    warn: bool
    message: str = "ignored: older than the one already held"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What a check found.

    Args:
        current: The installed version; None before the first installation.
        newest: The release to install; None if the installed one is the newest that is offered.
        stale: None, or why what was found may not be the newest there is.
        held: Versions of the four top-level roles, and when the timestamp expires.
    """

    current: str | None
    newest: Update | None
    stale: Stale | None
    held: Held


@dataclass(frozen=True, slots=True)
class Launched:
    """A version that was started.

    Args:
        version: The version.
        process: Its process; whoever launched it waits for it, or does not.
        gone_back_from: The version that was started before and never confirmed that it works: it is refused
            from now on. None if there was no such thing.
    """

    version: str
    process: subprocess.Popen[bytes]
    gone_back_from: str | None
