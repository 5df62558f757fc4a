"""The trial before deploy: the built site with its real bytes, over HTTP (DESIGN section 4, Publish)."""

from __future__ import annotations

import http.server
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path

from keyturn.errors import RefusedError
from keyturn.state import Site
from keyturn.tree import Tree, write_directory
from keyturn.trial.stock_client import Errand, StockClient, Stranded
from keyturn.verify import Publication


def update_between(
    previous: Tree | None, built: Tree, *, root: bytes, now: datetime, releases: str = ""
) -> int:
    """Let a stock client update to a tree, from what it held before and from root 1 alone.

    Every target of the new tree that a client can find is downloaded and compared; archives in releases of
    the code host are only looked for.

    Args:
        previous: The tree that clients hold now; None at the first publication.
        built: The tree that would be published.
        root: Bytes of root 1.
        now: The client's clock, UTC.
        releases: What is put in front of the paths of archives in releases; empty if there are none.

    Returns:
        How many targets the client downloaded in each run.

    Raises:
        RefusedError: The client refused (reason ``trial``).
        EnvironmentFault: The client cannot write its files.
    """
    offered = Publication(site=Site(built), now=now, pinned="", releases=releases)
    errand = Errand.among(offered, dict.fromkeys(target.path for _, target in offered.all_targets()))
    with tempfile.TemporaryDirectory(prefix="keyturn-trial-") as scratch:
        base = Path(scratch)
        write_directory(built, base / "site")
        clients = [StockClient(base / "fresh", root, now, "with root 1 alone")]
        if previous is not None:
            clients.append(StockClient(base / "held", root, now, "coming from the published state"))
            clients[1].hold(Publication(site=Site(previous), now=now, pinned=""))
        with serve_directory(base / "site") as url:
            for client in clients:
                _download(client, offered, errand, url)
    return errand.found


def _download(client: StockClient, offered: Publication, errand: Errand, url: str) -> None:
    with tempfile.TemporaryDirectory(dir=client.cache.parent) as downloads:
        try:
            client.download(offered, errand, url, Path(downloads))
        except Stranded as error:
            raise RefusedError(
                error.what,
                todo="Nothing was published. Run keyturn verify on what is on main to see why.",
                reason="trial",
            ) from error


@contextmanager
def serve_directory(directory: Path, port: int = 0) -> Iterator[str]:
    """Serve a directory on the loopback interface while the context lasts.

    Args:
        directory: What to serve.
        port: Port; 0 takes a free one.

    Yields:
        The site's URL, with a slash at the end.
    """
    handler = partial(_QuietHandler, directory=str(directory))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing: nobody reads this server's log."""
