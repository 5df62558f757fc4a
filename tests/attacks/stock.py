"""A stock client, python-tuf's ngclient, in front of a site that is kept in memory."""

from __future__ import annotations

import posixpath
import tempfile
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import time_machine
from tuf.api.exceptions import DownloadError, DownloadHTTPError, RepositoryError
from tuf.ngclient import FetcherInterface, Updater

from keyturn.state import search, targets_of
from keyturn.verify import Publication

URL = "http://127.0.0.1/"
REFUSALS = (RepositoryError, DownloadError, OSError, ValueError)
View = dict[str, dict[str, Any]]
"""What a client finds: the target's entry by path."""


class Refused(Exception):
    """The client did not update."""


class MemoryFetcher(FetcherInterface):
    """Answers as a plain web server would in whose directory these files lie."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._files = files

    def _fetch(self, url: str) -> Iterator[bytes]:
        asked = unquote(url.removeprefix(URL).partition("#")[0].partition("?")[0])
        data = self._files.get(posixpath.normpath(asked))
        if data is None:
            raise DownloadHTTPError("not there", 404)
        return iter([data])


def look(files: Mapping[str, bytes], root: bytes, paths: Collection[str], now: datetime) -> View:
    """Update from nothing but a root, and ask for targets; each that is found is downloaded.

    Args:
        files: The site.
        root: Bytes of the root that the client comes with.
        paths: Target paths to ask for.
        now: The client's clock.

    Raises:
        Refused: The client did not accept what it was given.
    """
    with tempfile.TemporaryDirectory() as directory:
        return Held(Path(directory), root).look(files, paths, now)


class Held:
    """A client that keeps what it held when it comes again.

    Args:
        directory: Where it keeps its metadata.
        root: The root that it comes with.
    """

    def __init__(self, directory: Path, root: bytes) -> None:
        self._directory = directory
        self._root = root

    def look(self, files: Mapping[str, bytes], paths: Collection[str], now: datetime) -> View:
        """See :func:`look`."""
        with time_machine.travel(now, tick=False):
            try:
                updater = Updater(
                    str(self._directory),
                    f"{URL}metadata/",
                    target_base_url=f"{URL}targets/",
                    fetcher=MemoryFetcher(files),
                    bootstrap=self._root,
                )
                updater.refresh()
                return dict(self._found(updater, paths))
            except REFUSALS as error:
                raise Refused(f"{type(error).__name__}: {error}") from error

    def _found(self, updater: Updater, paths: Collection[str]) -> Iterator[tuple[str, dict[str, Any]]]:
        for path in sorted(paths):
            info = updater.get_targetinfo(path)
            if info is not None:
                updater.download_target(info, str(self._directory / "download"))
                yield path, info.to_dict()


def offered(publication: Publication) -> View:
    """What a site offers in our own eyes: every target at which a search through the delegations ends."""
    paths = {target.path for _, target in publication.all_targets()}
    found = {path: search(publication.role, path) for path in paths}
    return {path: targets_of(file).targets[path].to_dict() for path, file in found.items() if file}
