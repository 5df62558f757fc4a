"""A site on a host with edges that lag behind, without a network."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tuf.api.exceptions import DownloadHTTPError
from tuf.ngclient import FetcherInterface

from integration.team import URL


class Edges(FetcherInterface):
    """A host with edges: one directory answers until the next one does; the last one stays."""

    def __init__(self, *sites: Path) -> None:
        self.sites = list(sites)

    def _fetch(self, url: str) -> Iterator[bytes]:
        file = self.sites[0] / url.removeprefix(URL)
        if not file.is_file():
            raise DownloadHTTPError(f"{url} is not there", 404)
        return iter([file.read_bytes()])

    def next(self) -> None:
        if len(self.sites) > 1:
            self.sites.pop(0)


def no_pause() -> None:
    """Time passes at once."""
