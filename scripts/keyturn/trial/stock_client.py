"""The client of a trial: python-tuf's, used as its documentation shows, with its own cache and clock."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import quote, unquote

from tuf.api.exceptions import DownloadError, DownloadHTTPError, DownloadLengthMismatchError, RepositoryError
from tuf.api.metadata import DelegatedRole, TargetFile
from tuf.ngclient import FetcherInterface, Updater

from keyturn.errors import EnvironmentFault, RefusedError
from keyturn.state import RoleFile, search, targets_of
from keyturn.tree import Tree
from keyturn.verify import Publication, in_release

NO_SERVER = "trial:/"
"""Base of the URLs under which a tree is read that nobody serves."""
_NOT_FOUND = 404


class Stranded(RefusedError):
    """A stock client does not get to what it is offered."""

    default_reason = "trial"


@dataclass(frozen=True, slots=True)
class Errand:
    """What a client asks for.

    Args:
        answers: What it must find, by path; None where it must find nothing.
        probes: A path in every delegation: whoever asks for it loads the role, even one that lists nothing.
        elsewhere: Paths of targets that are not served with the site, so that they are only looked for.
    """

    answers: Mapping[str, TargetFile | None]
    probes: tuple[str, ...]
    elsewhere: frozenset[str] = frozenset()

    @classmethod
    def among(cls, offered: Publication, paths: Iterable[str]) -> Errand:
        """The errand of a client that wants some targets of a site, and every role once.

        A target may be hidden on purpose, behind a terminating delegation; then the client finds what we say
        that it finds there, perhaps nothing.

        Args:
            offered: The site.
            paths: Target paths.
        """
        found = {path: search(offered.role, path) for path in paths}
        roles = [d.role for d in offered.delegations if isinstance(d.role, DelegatedRole)]
        patterns = [pattern for role in roles for pattern in role.paths or ()]
        answers = {path: targets_of(file).targets[path] if file else None for path, file in found.items()}
        return cls(
            answers=answers,
            elsewhere=frozenset(
                path for path, target in answers.items() if target and offered.releases and in_release(target)
            ),
            probes=tuple(pattern.replace("*", "x").replace("?", "x") for pattern in patterns),
        )

    @property
    def found(self) -> int:
        """How many targets there are for the client to find and to get."""
        return sum(target is not None for target in self.answers.values()) - len(self.elsewhere)


class TreeFetcher(FetcherInterface):
    """What a client reads from where nothing is served: a tree instead of a network.

    Args:
        tree: The site's files.
    """

    def __init__(self, tree: Tree) -> None:
        self._tree = tree

    def _fetch(self, url: str) -> Iterator[bytes]:
        path = unquote(url.removeprefix(NO_SERVER))
        if path not in self._tree.entries():
            raise DownloadHTTPError(f"{path} is not there", _NOT_FOUND)
        return iter([self._tree.read(path)])


@dataclass(frozen=True, slots=True)
class StockClient:
    """One installation of python-tuf's client.

    Args:
        cache: Its own directory; what it learns in one update it holds in the next.
        root: Bytes of root 1, which it came with.
        now: Its clock, UTC.
        who: What it is, for messages, e.g. ``with root 1 alone``.
    """

    cache: Path
    root: bytes
    now: datetime
    who: str

    def look_up(self, offered: Publication, errand: Errand) -> None:
        """Update from a tree that nobody serves, and look for targets without downloading them.

        Raises:
            Stranded: The client refuses, does not arrive, or does not find a target.
            EnvironmentFault: It cannot write its files.
        """
        self._update(offered, errand, NO_SERVER, TreeFetcher(offered.site.tree), None)

    def download(self, offered: Publication, errand: Errand, url: str, directory: Path) -> None:
        """Update from a server, and download every target.

        Args:
            offered: What is served.
            errand: What to ask for.
            url: The site's URL, with a slash at the end.
            directory: Where the targets go.

        Raises:
            Stranded: The client refuses, does not arrive, or does not find or get a target.
            EnvironmentFault: It cannot write its files.
        """
        self._update(offered, errand, url, None, directory)

    def arrive(self, url: str, fetcher: FetcherInterface | None = None) -> RoleFile:
        """Update from a site of which nothing is known.

        Args:
            url: The site's URL, with a slash at the end.
            fetcher: What the client fetches with; None is its own way.

        Returns:
            The timestamp that the client holds then.

        Raises:
            Stranded: The client refuses what is served.
            EnvironmentFault: The site does not answer (reason ``unreachable``), or files cannot be written.
        """
        with self._failures(url):
            self._updater(url, fetcher, None).refresh()
            return RoleFile.parse("timestamp", "timestamp", self._cached("timestamp").read_bytes())

    def fetch_targets(
        self,
        url: str,
        targets: Iterable[TargetFile],
        directory: Path,
        fetcher: FetcherInterface | None = None,
        releases: str = "",
    ) -> None:
        """Download targets from a site where the client has arrived.

        Args:
            url: The site's URL, with a slash at the end.
            targets: What it must find and get.
            directory: Where the files go.
            fetcher: What the client fetches with; None is its own way.
            releases: What is put in front of the paths of archives in releases; empty if there are none.

        Raises:
            Stranded: The client does not find or get a target.
            EnvironmentFault: The site does not answer (reason ``unreachable``), or files cannot be written.
        """
        with self._failures(url):
            updater = self._updater(url, fetcher, directory)
            updater.refresh()
            for target in targets:
                base = releases if releases and in_release(target) else f"{url}targets/"
                _take(updater, target.path, target, self.who, base)

    @contextmanager
    def _failures(self, url: str) -> Iterator[None]:
        try:
            yield
        except (RepositoryError, DownloadLengthMismatchError, ValueError) as error:
            raise Stranded(f"a stock client {self.who} does not update: {error}", where=url) from error
        except DownloadError as error:
            raise EnvironmentFault(
                f"a stock client {self.who} gets no answer: {error}", where=url, reason="unreachable"
            ) from error
        except OSError as error:
            raise self._unwritten(error) from error

    def _unwritten(self, error: OSError) -> EnvironmentFault:
        return EnvironmentFault(
            f"the trial cannot write its files: {error.strerror or error}", where=str(self.cache)
        )

    def _updater(self, url: str, fetcher: FetcherInterface | None, downloads: Path | None) -> Updater:
        self.cache.mkdir(exist_ok=True)
        updater = Updater(
            metadata_dir=str(self.cache),
            metadata_base_url=f"{url}metadata/",
            target_dir=str(downloads) if downloads else None,
            target_base_url=f"{url}targets/",
            fetcher=fetcher,
            bootstrap=self.root,
        )
        _set_clock(updater, self.now)
        return updater

    def hold(self, published: Publication) -> None:
        """Lay down what a client holds that updated from a site: its cache, as ngclient keeps it."""
        history = self.cache / "root_history"
        history.mkdir(parents=True)
        roles = (published.role(name) for name in published.targets_names)
        for file in (published.site.timestamp, published.snapshot, *roles):
            if file is not None:
                self._cached(file.role).write_bytes(file.data)
        for version, root in published.site.roots.items():
            (history / f"{version}.root.json").write_bytes(root.data)

    def _update(
        self,
        offered: Publication,
        errand: Errand,
        url: str,
        fetcher: FetcherInterface | None,
        downloads: Path | None,
    ) -> None:
        try:
            updater = self._updater(url, fetcher, downloads)
            updater.refresh()
            self._check_arrival(offered)
            for path in errand.probes:
                updater.get_targetinfo(path)
            base = f"{url}targets/" if downloads else None
            for path, target in errand.answers.items():
                _take(updater, path, target, self.who, None if path in errand.elsewhere else base)
        except (RepositoryError, DownloadError, ValueError) as error:
            raise Stranded(f"a stock client {self.who} does not update: {error}") from error
        except OSError as error:
            raise self._unwritten(error) from error

    def _check_arrival(self, offered: Publication) -> None:
        """Whether the client holds what is offered: one that stops half-way is content, and stranded."""
        site = offered.site
        for file in (site.root, site.timestamp, offered.snapshot, offered.role("targets")):
            if file is None:
                continue
            held = RoleFile.parse(file.role, file.role, self._cached(file.role).read_bytes())
            if held.data != file.data:
                stays = f"stays at {held.role} {held.version} and does not get to"
                raise Stranded(
                    f"a stock client {self.who} "
                    f"{stays if held.version != file.version else 'holds another'} {file.role} {file.version}"
                )

    def _cached(self, role: str) -> Path:
        """Where ngclient keeps a role, quoted: a delegated role may be called anything, "../x" included."""
        return self.cache / f"{quote(role, safe='')}.json"


def _take(updater: Updater, path: str, target: TargetFile | None, who: str, base: str | None) -> None:
    """Find what is to be found under a path, and download it from a base URL if there is one."""
    info = updater.get_targetinfo(path)
    if info != target:
        other = "another target" if info else "nothing"
        raise Stranded(f"a stock client {who} finds {other} under the path {path!r}")
    if info and base:
        updater.download_target(info, target_base_url=base)


def _set_clock(updater: Updater, now: datetime) -> None:
    """Give a client its clock: ngclient takes none, and rebuilds of old trees need one.

    This is the one place that reaches behind ngclient's public interface; a version that keeps its time
    elsewhere fails loudly here.
    """
    trusted = updater._trusted_set
    if not isinstance(trusted.reference_time, datetime):
        raise TypeError("this version of tuf keeps its reference time elsewhere")
    trusted.reference_time = now
