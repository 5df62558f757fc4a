"""Which repository and which remote a command works with."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from keyturn.errors import EnvironmentFault, UsageError
from keyturn.forge.local import HEADS, LocalForge
from keyturn.git import Git, valid_branch
from keyturn.signing import normalise_url

DEFAULT_BRANCH = "main"
_SYMREF = re.compile(rf"ref: {HEADS}(\S+)\tHEAD")


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

    def _named_by_head(self) -> str:
        told = self._git.run("ls-remote", "--symref", "--quiet", "--end-of-options", self._remote, "HEAD")
        match = _SYMREF.search(told.decode("utf-8", "replace"))
        return match[1] if match and valid_branch(match[1]) else DEFAULT_BRANCH


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
        address = _absolute(remote, directory)
        return Git.init(cache / f"{_file_name(address)}.git", bare=True), address
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
