"""``keyturn`` with one check taken out: ``python weakened.py CHECK ...`` is ``keyturn ...`` without it.

Each function removes exactly one thing that stands between an attack of the demo and its success. With it
gone the attack must succeed: so it is this check that the demo shows, and no other one.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch


@contextmanager
def archive() -> Iterator[None]:
    """The length and hash of a downloaded target are not compared with what was signed."""
    from tuf.api.metadata import TargetFile

    with patch.object(TargetFile, "verify_length_and_hashes", lambda *_: None):
        yield


@contextmanager
def timestamp() -> Iterator[None]:
    """Nothing that the server sends is compared with the timestamp and snapshot held."""
    from tuf.ngclient import Updater

    from keyturn.client.fetch import Tolerant

    read = Updater._load_local_metadata

    def forgetful(self: Updater, role: str) -> bytes:
        if role in ("timestamp", "snapshot"):
            raise FileNotFoundError(role)
        return read(self, role)

    with (
        patch.object(Updater, "_load_local_metadata", forgetful),
        patch.object(Tolerant, "_newest", lambda _, data: data),
    ):
        yield


@contextmanager
def frozen() -> Iterator[None]:
    """Nothing ever expires."""
    from tuf.api.metadata import Signed

    with patch.object(Signed, "is_expired", lambda *_: False):
        yield


@contextmanager
def threshold() -> Iterator[None]:
    """The signatures of targets are not counted; those of all other roles are."""
    from tuf.api.metadata import Root

    verify = Root.verify_delegate

    def generous(self: Root, role: str, *rest: object) -> None:
        if role != "targets":
            verify(self, role, *rest)  # type: ignore[arg-type]

    with patch.object(Root, "verify_delegate", generous):
        yield


@contextmanager
def ledger() -> Iterator[None]:
    """The signer's ledger is kept, but not looked at."""
    from keyturn.signing import PinnedRemote

    with patch.object(PinnedRemote, "check", lambda *_, **__: None):
        yield


@contextmanager
def deaf() -> Iterator[None]:
    """No check is removed, but no server is ever reached: a refusal that shows nothing."""
    from tuf.api.exceptions import DownloadError
    from tuf.ngclient import Urllib3Fetcher

    def nothing(*_: object) -> Iterator[bytes]:
        raise DownloadError("nobody answers")

    with patch.object(Urllib3Fetcher, "fetch", nothing):
        yield


CHECKS = {check.__name__: check for check in (archive, timestamp, frozen, threshold, ledger, deaf)}

if __name__ == "__main__":
    from keyturn.cli import main

    removed = CHECKS[sys.argv.pop(1)]
    with removed():
        sys.exit(main())
