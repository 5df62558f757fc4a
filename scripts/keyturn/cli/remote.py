"""Which repository and which remote a command works with, and which signing event a pull request is."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from keyturn.errors import EnvironmentFault, UsageError
from keyturn.forge import EVENT_PREFIX
from keyturn.forge.local import HEADS, LocalForge
from keyturn.git import Git, valid_branch
from keyturn.signing import normalise_url, same_repository

DEFAULT_BRANCH = "main"
_PULL_URL = re.compile(
    r"(?P<repository>https?://[^/?#]+/[^/?#]+/[^/?#]+)/pull/(?P<number>[1-9][0-9]{0,9})(?:[/?#].*)?"
)
_PULL_NUMBER = re.compile(r"#?(?P<number>[1-9][0-9]{0,9})")
_SYMREF = re.compile(rf"ref: {HEADS}(\S+)\tHEAD")


@dataclass(frozen=True, slots=True)
class PullRequestName:
    """A pull request as a person names it.

    Args:
        number: Its number.
        repository: Address of its repository; None for that of the remote.
        surely: Whether it can be nothing else; a bare number may also be a topic.
    """

    number: int
    repository: str | None
    surely: bool

    @classmethod
    def parse(cls, event: str) -> PullRequestName | None:
        """Read ``https://HOST/OWNER/REPOSITORY/pull/5``, ``#5`` or ``5``; None if it is none of these."""
        page = _PULL_URL.fullmatch(event)
        if page is not None:
            return cls(int(page["number"]), page["repository"], surely=True)
        number = _PULL_NUMBER.fullmatch(event)
        return cls(int(number["number"]), None, surely=event.startswith("#")) if number else None


class RemoteForge(LocalForge):
    """A plain git remote that says itself which branch holds what was decided.

    That is ``main`` if there is one, else the branch that the remote's ``HEAD`` names.

    Args:
        git: The repository whose object store is used.
        remote: Name of a remote of that repository, or an address.
        branch: The branch, where it is known; None to find it out at the first look.
    """

    def __init__(self, git: Git, remote: str, branch: str | None = None) -> None:
        super().__init__(git, remote, branch or DEFAULT_BRANCH)
        self._settled = branch is not None

    def refresh(self) -> None:
        """See :class:`keyturn.forge.Forge`."""
        super().refresh()
        # A remote without main is rare; only then is asking again worth a second connection.
        if not self._settled and self.main() is None:
            self._branch = self._named_by_head()
        self._settled = True

    def topic_of(self, name: PullRequestName) -> str | None:
        """The topic of the signing event that a pull request is, by what git says and nothing else.

        Args:
            name: The pull request.

        Returns:
            None if the remote has no pull request of that number, and it may also be a topic.

        Raises:
            UsageError: There is no such pull request (reason ``no-pull-request``), or it is not a signing
                event of this repository (``not-an-event``).
            GitError: The remote cannot be read.
        """
        return pulled_topic(self._git.ls_remote(self._remote), name, self.url)

    def _named_by_head(self) -> str:
        told = self._git.run("ls-remote", "--symref", "--quiet", "--end-of-options", self._remote, "HEAD")
        match = _SYMREF.search(told.decode("utf-8", "replace"))
        return match[1] if match and valid_branch(match[1]) else DEFAULT_BRANCH


def pulled_topic(refs: Mapping[str, str], name: PullRequestName, where: str) -> str | None:
    """See :meth:`RemoteForge.topic_of`.

    Args:
        refs: Object ids by full name, as the remote lists them.
        name: The pull request.
        where: The remote, for messages.
    """
    head = refs.get(f"refs/pull/{name.number}/head")
    if head is None:
        if not name.surely:
            return None
        raise UsageError(
            f"there is no pull request {name.number}",
            where=where,
            todo="See `keyturn status` for the open signing events.",
            reason="no-pull-request",
        )
    branches = [
        ref.removeprefix(HEADS) for ref in sorted(refs) if ref.startswith(HEADS) and refs[ref] == head
    ]
    topics = [name.removeprefix(EVENT_PREFIX) for name in branches if name.startswith(EVENT_PREFIX)]
    if not name.surely and str(name.number) not in topics and f"{HEADS}{EVENT_PREFIX}{name.number}" in refs:
        raise UsageError(
            f"{name.number} is both a pull request and the topic of another signing event",
            where=where,
            todo=f"Write #{name.number} for the pull request, or {EVENT_PREFIX}{name.number} for the event.",
            reason="ambiguous-event",
        )
    if len(topics) != 1:
        raise UsageError(
            f"pull request {name.number} {_why_no_event(branches, topics)}",
            where=where,
            todo="See `keyturn status` for the open signing events.",
            reason="not-an-event",
        )
    return topics[0]


def _why_no_event(branches: list[str], topics: list[str]) -> str:
    if topics:
        return f"could be any of {', '.join(EVENT_PREFIX + topic for topic in topics)}: name one of them"
    if branches:
        return f"comes from {' or '.join(branches)}, and only branches {EVENT_PREFIX}* are signing events"
    return (
        "is not at the tip of a signing event of this repository: it comes from a fork, or is closed and its "
        "branch was deleted or went on"
    )


def open_pull_request(directory: Path, remote: str, repository: str, cache: Path) -> tuple[Git, str]:
    """The repository to work in for a pull request's address, and its remote as git is to be given it there.

    In a clone of that very repository it is the clone's own remote, with the access that the person has
    set up for it; elsewhere it is the address, and no clone is needed.

    Args:
        directory: Where the command works.
        remote: Name of the remote that goes before others.
        repository: The repository's address.
        cache: Where a bare repository is kept if ``directory`` lies in no clone of it.

    Raises:
        EnvironmentFault: Git does not work.
    """
    try:
        git = Git.open(directory)
    except EnvironmentFault as error:
        if error.reason != "no-repository":
            raise
        return _cached(repository, cache)
    names = git.run("remote").decode("utf-8", "replace").split()
    for name in sorted(names, key=lambda each: each != remote):
        url = git.remote_url(name)
        if url is not None and same_repository(url, repository):
            return git, name
    if _is_address(remote) and same_repository(remote, repository):
        return git, remote
    git.close()
    return _cached(repository, cache)


def _cached(address: str, cache: Path) -> tuple[Git, str]:
    return Git.init(cache / f"{_file_name(address)}.git", bare=True), address


def open_remote(directory: Path, remote: str, cache: Path) -> tuple[Git, str]:
    """The repository to work in, and the remote as git is to be given it there.

    Args:
        directory: Where the command works.
        remote: Name of a remote, an address or a path.
        cache: Where a bare repository is kept if ``directory`` lies in none.

    Raises:
        EnvironmentFault: ``directory`` lies in no repository, and ``remote`` is no address.
        UsageError: There is no such remote.
    """
    try:
        git = Git.open(directory)
    except EnvironmentFault as error:
        if error.reason != "no-repository":
            raise
        if not _is_address(remote):
            raise EnvironmentFault(
                error.what,
                where=error.where,
                todo="Run this in a clone, name one with -C, or name the repository with --remote URL.",
                reason=error.reason,
            ) from error
        return _cached(_absolute(remote, directory), cache)
    url = git.remote_url(remote)
    if url is not None:
        absolute = _absolute(url, git.directory)
        return git, remote if absolute == url else absolute
    if not _is_address(remote):
        raise UsageError(
            f"there is no remote called {remote!r}",
            where=str(git.directory),
            todo="Name one of those that `git remote` lists, or give a URL with --remote.",
            reason="no-remote",
        )
    return git, _absolute(remote, directory)


def _is_address(remote: str) -> bool:
    return not remote.startswith("-") and (":" in remote or "/" in remote or "\\" in remote)


def _absolute(address: str, base: Path) -> str:
    """An address that means the same whichever directory git and this process run in."""
    local = normalise_url(address, base=base).startswith("file:") and not address.lower().startswith("file:")
    return str((base / address).resolve()) if local else address


def _file_name(address: str) -> str:
    return hashlib.sha256(normalise_url(address).encode("utf-8", "surrogatepass")).hexdigest()
