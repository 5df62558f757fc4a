"""Does a client still update? A stock TUF client goes from one tree to another over HTTP (DESIGN section 4).

The client is python-tuf's, used as its documentation shows, against a server on the loopback interface. A
tree is handed out only after this client went from what is published now to what would be published, and
from root 1 with nothing else.
"""

from __future__ import annotations

import http.server
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from urllib.parse import quote

from tuf.api.exceptions import DownloadError, RepositoryError
from tuf.api.metadata import DelegatedRole
from tuf.ngclient import Updater

from keyturn.errors import RefusedError
from keyturn.state import Site
from keyturn.tree import Tree, write_directory
from keyturn.verify import Publication

METADATA = "metadata/"


def update_between(previous: Tree | None, built: Tree, *, root: bytes, now: datetime) -> int:
    """Let a stock client update to a tree, from what it held before and from root 1 alone.

    Every target of the new tree is downloaded and compared.

    Args:
        previous: The tree that clients hold now; None at the first publication.
        built: The tree that would be published.
        root: Bytes of root 1.
        now: The client's clock, UTC.

    Returns:
        How many targets the client downloaded in each run.

    Raises:
        RefusedError: The client refused (reason ``trial``).
    """
    with tempfile.TemporaryDirectory(prefix="keyturn-trial-") as scratch:
        base = Path(scratch)
        write_directory(built, base / "site")
        tour = _tour(built, now)
        with serve_directory(base / "site") as url:
            fresh = base / "fresh"
            fresh.mkdir()
            _update(fresh, url, root, tour, now, "with root 1 alone")
            if previous is not None:
                held = base / "held"
                _hold(Site(previous), held, now)
                _update(held, url, root, tour, now, "coming from the published state")
    return len(tour.targets)


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


@dataclass(frozen=True, slots=True)
class _Tour:
    """What a client asks for.

    Args:
        targets: Paths of all targets; each has to be there.
        probes: A path in every delegation: whoever asks for it loads the role, even one that lists nothing.
    """

    targets: tuple[str, ...]
    probes: tuple[str, ...]


def _tour(built: Tree, now: datetime) -> _Tour:
    publication = Publication(site=Site(built), now=now, pinned="")
    targets = dict.fromkeys(target.path for _, target in publication.all_targets())
    roles = [d.role for d in publication.delegations if isinstance(d.role, DelegatedRole)]
    patterns = [pattern for role in roles for pattern in role.paths or ()]
    return _Tour(tuple(targets), tuple(pattern.replace("*", "x").replace("?", "x") for pattern in patterns))


def _hold(site: Site, directory: Path, now: datetime) -> None:
    """Lay down what a client holds that updated from a site: its cache, as ngclient keeps it."""
    directory.mkdir()
    publication = Publication(site=site, now=now, pinned="")
    files = [site.timestamp, publication.snapshot, *(publication.role(n) for n in publication.targets_names)]
    for file in files:
        if file is not None:
            # Quoted as ngclient does it: a delegated role may be called anything, "../x" included.
            (directory / f"{quote(file.role, safe='')}.json").write_bytes(file.data)
    history = directory / "root_history"
    history.mkdir()
    for version, root in site.roots.items():
        (history / f"{version}.root.json").write_bytes(root.data)


def _update(directory: Path, url: str, root: bytes, tour: _Tour, now: datetime, who: str) -> None:
    downloads = directory / "downloads"
    downloads.mkdir()
    try:
        updater = Updater(
            metadata_dir=str(directory),
            metadata_base_url=url + METADATA,
            target_dir=str(downloads),
            target_base_url=url + "targets/",
            bootstrap=root,
        )
        _set_clock(updater, now)
        updater.refresh()
        for path in tour.probes:
            updater.get_targetinfo(path)
        for path in tour.targets:
            info = updater.get_targetinfo(path)
            if info is None:
                raise RefusedError(f"a client {who} does not find the target {path!r}", reason="trial")
            updater.download_target(info)
    except (RepositoryError, DownloadError, OSError, ValueError) as error:
        raise RefusedError(
            f"a stock client {who} does not update to the built site: {error}",
            todo="Nothing was published. Run keyturn verify on what is on main to see why.",
            reason="trial",
        ) from error
    finally:
        shutil.rmtree(downloads, ignore_errors=True)


def _set_clock(updater: Updater, now: datetime) -> None:
    """Give a client its clock: ngclient takes none, and rebuilds of old trees need one.

    This is the one place that reaches behind ngclient's public interface; a version that keeps its time
    elsewhere fails loudly here.
    """
    trusted = updater._trusted_set
    if not isinstance(trusted.reference_time, datetime):
        raise TypeError("this version of tuf keeps its reference time elsewhere")
    trusted.reference_time = now
