"""What the client puts between ngclient and the network.

ngclient asks a fetcher for everything that it reads from a server. Two fetchers are wrapped around the one
that does the work:

- :class:`Watched` remembers what was asked for last, so that a refusal can say which file it is about, and
  counts the bytes of a download;
- :class:`Tolerant` keeps a timestamp that this client already holds when the server answers with an older
  one (DESIGN section 5, "stale").
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

from tuf.api.exceptions import DownloadError, RepositoryError
from tuf.api.metadata import Metadata, Root, Signed, Timestamp
from tuf.ngclient import FetcherInterface, UpdaterConfig, Urllib3Fetcher
from urllib3.exceptions import HTTPError

from keyturn.client.report import Progress

_S = TypeVar("_S", bound=Signed)


def signed_part(data: bytes, kind: type[_S]) -> _S | None:
    """Read what metadata of one type says, without any claim that it is signed.

    Args:
        data: The bytes of a metadata file.
        kind: The class that its signed part must have.

    Returns:
        The signed part; None if these bytes are nothing of the kind.
    """
    try:
        signed: Signed = Metadata.from_bytes(data).signed
    except RepositoryError:
        return None
    return signed if isinstance(signed, kind) else None


def held_bytes(trust: Path, role: str) -> bytes:
    """Read the file of a top-level role that ngclient keeps.

    Args:
        trust: ngclient's metadata directory.
        role: Name of the role.

    Returns:
        The file's bytes; none if it cannot be read.
    """
    try:
        return (trust / f"{role}.json").read_bytes()
    except OSError:
        return b""


class Watched(FetcherInterface):
    """Passes on what another fetcher brings, and remembers what was asked for.

    Args:
        inner: The fetcher that does the work.
        remembered: Bodies of URLs that begin like this are kept in :attr:`received` until the next request.
    """

    def __init__(self, inner: FetcherInterface, *, remembered: str) -> None:
        self._inner = inner
        self._remembered = remembered
        self.progress: Progress | None = None
        self.expected = 0
        self.forget()

    def forget(self) -> None:
        """Forget the last request."""
        self.asked = ""
        self.received = bytearray()

    def _fetch(self, url: str) -> Iterator[bytes]:
        self.forget()
        self.asked = url
        done = 0
        for chunk in _streamed(self._inner, url):
            if url.startswith(self._remembered):
                self.received += chunk
            done += len(chunk)
            yield chunk
            if self.progress is not None:
                # A server may send more than was signed for; ngclient has stopped it before this is reached.
                self.progress(done, self.expected)


class Tolerant(FetcherInterface):
    """Hands back the held timestamp where the server's is validly signed but older.

    GitHub Pages and other networks of caches may answer with a timestamp some minutes older than the one
    another of their edges gave out. That is no attack worth stopping an app for, as long as the held one has
    not expired. Exactly that case is tolerated: both are signed by a threshold under the current root. With
    the held one in its hands, ngclient finds nothing new and goes on with its held state; if that has
    expired, ngclient says so.

    Args:
        inner: The fetcher that does the work; ngclient's own by default.
        timestamp_url: URL of the timestamp.
        trust: ngclient's metadata directory. When the timestamp is asked for, ``root.json`` in it is the
            current root, already verified.
    """

    def __init__(self, inner: FetcherInterface | None, *, timestamp_url: str, trust: Path) -> None:
        self._inner = inner or Urllib3Fetcher()
        self._timestamp_url = timestamp_url
        self._trust = trust
        self.ignored: tuple[int, int] | None = None
        """Versions of the fetched and of the held timestamp, if the fetched one was ignored."""

    def _fetch(self, url: str) -> Iterator[bytes]:
        if url != self._timestamp_url:
            return self._inner.fetch(url)
        return iter([self._newest(self._inner.download_bytes(url, UpdaterConfig().timestamp_max_length))])

    def _newest(self, data: bytes) -> bytes:
        kept = held_bytes(self._trust, Timestamp.type)
        root = signed_part(held_bytes(self._trust, Root.type), Root)
        ours = signed_part(kept, Timestamp)
        theirs = signed_part(data, Timestamp)
        if root is None or ours is None or theirs is None or theirs.version >= ours.version:
            return data
        if not (_verifies(root, kept) and _verifies(root, data)):
            return data
        self.ignored = (theirs.version, ours.version)
        return kept


def _verifies(root: Root, timestamp: bytes) -> bool:
    metadata = Metadata[Timestamp].from_bytes(timestamp)
    try:
        payload = metadata.signed_bytes
    except RepositoryError:
        return False  # it says things that canonical JSON has no form for
    return root.get_verification_result(Timestamp.type, payload, metadata.signatures).verified


def _streamed(fetcher: FetcherInterface, url: str) -> Iterator[bytes]:
    """A fetcher's chunks; whatever breaks off on the way is a download error, as it is at the start."""
    chunks = fetcher.fetch(url)
    while True:
        try:
            chunk = next(chunks, None)
        except (HTTPError, OSError) as error:
            raise DownloadError(f"Download broke off: {error}") from error
        if chunk is None:
            return
        yield chunk
