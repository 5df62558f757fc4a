"""Role files of a tree, each read and parsed at most once."""

from __future__ import annotations

from collections.abc import Mapping

from keyturn.state.metadata_file import MAX_BYTES, MetadataError, RoleFile
from keyturn.tree import Kind, Tree


class RoleFiles:
    """The role files of a tree by path, and why some of them cannot be read.

    Args:
        tree: The tree.
    """

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._loaded: dict[str, RoleFile | None] = {}
        self._problems: dict[str, str] = {}

    def load(self, role: str, path: str) -> RoleFile | None:
        """A role's file; None if it is not there or cannot be read.

        Args:
            role: Role name.
            path: Path in the tree.
        """
        if path not in self._loaded:
            self._loaded[path] = self._parse(role, path)
        return self._loaded[path]

    @property
    def problems(self) -> Mapping[str, str]:
        """What is wrong with each file that was asked for and cannot be read, by path."""
        return self._problems

    def _parse(self, role: str, path: str) -> RoleFile | None:
        entry = self._tree.entries().get(path)
        if entry is None:
            return None
        if entry.kind is not Kind.FILE:
            self._problems[path] = f"is a {entry.kind.value}, not a file"
            return None
        if self._tree.size(path) > MAX_BYTES:
            self._problems[path] = f"larger than {MAX_BYTES:,} bytes"
            return None
        try:
            return RoleFile.parse(role, path, self._tree.read(path))
        except MetadataError as error:
            self._problems[path] = error.what
            return None
