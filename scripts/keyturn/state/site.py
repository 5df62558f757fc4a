"""A published tree, ``<url>/``, as its metadata files: versioned names, every root (SPEC: Site)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property

from keyturn.state.files import RoleFiles
from keyturn.state.metadata_file import RoleFile
from keyturn.state.repository import METADATA, Problem
from keyturn.tree import Tree

_VERSIONED = re.compile(r"([1-9][0-9]{0,8})\.([a-z0-9][a-z0-9._-]{0,63})\.json")


class Site:
    """The metadata of a site, parsed once and lazily; nothing is verified here.

    Args:
        tree: The site's files.
    """

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self._files = RoleFiles(tree)

    @property
    def empty(self) -> bool:
        """Whether nothing has been published yet."""
        return not any(path.startswith(METADATA) for path in self.tree.entries())

    @cached_property
    def versions(self) -> Mapping[str, tuple[int, ...]]:
        """The versions of each role for which there is a file, ascending."""
        found: dict[str, list[int]] = {}
        for path in self.tree.entries():
            match = _VERSIONED.fullmatch(path.removeprefix(METADATA)) if path.startswith(METADATA) else None
            if match:
                found.setdefault(match[2], []).append(int(match[1]))
        return {role: tuple(sorted(versions)) for role, versions in found.items()}

    @property
    def roots(self) -> Mapping[int, RoleFile]:
        """Every readable root by version."""
        loaded = {version: self.file("root", version) for version in self.versions.get("root", ())}
        return {version: file for version, file in loaded.items() if file}

    @property
    def root(self) -> RoleFile | None:
        """The highest root that is there."""
        return self.roots[max(self.roots)] if self.roots else None

    @property
    def timestamp(self) -> RoleFile | None:
        """The timestamp; None if it is missing or unreadable."""
        return self._files.load("timestamp", f"{METADATA}timestamp.json")

    @property
    def unversioned_root(self) -> RoleFile | None:
        """``metadata/root.json``, which people and some clients fetch by that name."""
        return self._files.load("root", f"{METADATA}root.json")

    def file(self, role: str, version: int) -> RoleFile | None:
        """One version of a role; None if it is missing or unreadable."""
        return self._files.load(role, f"{METADATA}{version}.{role}.json")

    def problem(self, path: str) -> Problem | None:
        """Why a file could not be read, after it was asked for."""
        what = self._files.problems.get(path)
        return Problem(path, what) if what is not None else None
