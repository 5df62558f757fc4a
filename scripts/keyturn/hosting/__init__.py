"""Where the bytes of targets live (DESIGN section 2): beside the metadata in git, or in a directory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from keyturn.errors import EnvironmentFault, RefusedError
from keyturn.policy import Policy
from keyturn.tree import Kind, Tree

TARGETS = "targets/"


class Hosting(Protocol):
    """Where target files are read from when the site is built."""

    def read(self, path: str) -> bytes:
        """The bytes of a target.

        Args:
            path: Target path, checked to be safe.

        Raises:
            RefusedError: It is not there (reason ``missing-target``).
        """


@dataclass(frozen=True, slots=True)
class GitHosting:
    """Targets kept under ``targets/`` of the repository.

    Args:
        tree: The tree of the commit that is published.
    """

    tree: Tree

    def read(self, path: str) -> bytes:
        """See :class:`Hosting`."""
        entry = self.tree.entries().get(TARGETS + path)
        if entry is None or entry.kind is not Kind.FILE:
            raise _missing(TARGETS + path)
        return self.tree.read(TARGETS + path)


@dataclass(frozen=True, slots=True)
class DirectoryHosting:
    """Targets kept in a directory outside the repository, for files too large for git.

    Args:
        directory: The directory; made when first written to.
    """

    directory: Path

    def read(self, path: str) -> bytes:
        """See :class:`Hosting`."""
        file = self.directory / path
        if not file.is_file():
            raise _missing(str(file))
        return file.read_bytes()

    def write(self, path: str, data: bytes) -> None:
        """Keep the bytes of a target, whole or not at all.

        Raises:
            EnvironmentFault: The directory cannot be written.
        """
        file = self.directory / path
        partial = file.with_name(file.name + ".part")
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            partial.write_bytes(data)
            partial.replace(file)
        except OSError as error:
            raise EnvironmentFault(f"cannot be written: {error.strerror}", where=str(file)) from error


def open_hosting(policy: Policy, tree: Tree) -> GitHosting | DirectoryHosting:
    """The place that the policy names.

    Args:
        policy: The policy of the commit.
        tree: The tree of the commit.
    """
    if policy.hosting.source == "directory" and policy.hosting.directory is not None:
        return DirectoryHosting(Path(policy.hosting.directory))
    return GitHosting(tree)


def _missing(where: str) -> RefusedError:
    return RefusedError(
        "a target that the signed metadata lists is not there",
        where=where,
        todo="Restore it.",
        reason="missing-target",
    )
