"""The roles of a repository in Keyturn's layout, parsed once and lazily from a Tree (DESIGN section 3)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import cast

from securesystemslib.signer import Key
from tuf.api.metadata import Role, Root, Targets

from keyturn.state.extension import Extension, Owner
from keyturn.state.files import RoleFiles
from keyturn.state.metadata_file import MetadataError, RoleFile
from keyturn.tree import Tree

METADATA = "metadata/"
HISTORY = "metadata/root_history/"
ROLE_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
ONLINE_ROLES = ("snapshot", "timestamp")
"""Signed online, never part of a signing event."""
_ROOT_FILE = re.compile(r"([1-9][0-9]{0,8})\.root\.json")


@dataclass(frozen=True, slots=True)
class Problem:
    """A file under ``metadata/`` that cannot be read, and why."""

    path: str
    what: str


@dataclass(frozen=True, slots=True)
class Delegation:
    """One role as its delegator declares it.

    Args:
        delegator: The delegating role's file.
        name: Name of the delegated role.
        role: Keyids and threshold; a ``DelegatedRole`` below targets.
    """

    delegator: RoleFile
    name: str
    role: Role

    @property
    def keys(self) -> Mapping[str, Key]:
        """The role's keys by keyid; a keyid for which the delegator holds no key is left out."""
        return {keyid: key for keyid in self.role.keyids if (key := keys_of(self.delegator).get(keyid))}

    @property
    def owners(self) -> Mapping[str, Owner]:
        """Owners of the delegator's keys by keyid; empty where its extension is missing or unreadable."""
        try:
            extension = Extension.of(self.delegator.signed, self.delegator.path)
        except MetadataError:
            return {}
        return extension.signers if extension else {}

    def owner_name(self, keyid: str) -> str:
        """The name under which a key is shown: its owner's, or the short keyid if nobody is named."""
        owner = self.owners.get(keyid)
        return owner.name if owner else f"key {keyid[:8]}"


def keys_of(delegator: RoleFile) -> Mapping[str, Key]:
    """All public keys that a delegating role holds, by the keyid that it uses for them."""
    signed = delegator.signed
    if isinstance(signed, Root):
        return signed.keys
    if isinstance(signed, Targets) and signed.delegations is not None:
        return signed.delegations.keys
    return {}


def delegations_of(delegator: RoleFile) -> tuple[Delegation, ...]:
    """The roles that one role delegates to, in its order (for root: sorted by name)."""
    signed = delegator.signed
    if isinstance(signed, Root):
        return tuple(Delegation(delegator, name, role) for name, role in sorted(signed.roles.items()))
    if isinstance(signed, Targets) and signed.delegations is not None and signed.delegations.roles:
        return tuple(Delegation(delegator, name, role) for name, role in signed.delegations.roles.items())
    return ()


class State:
    """What a tree says about the repository's roles; nothing is verified here.

    Args:
        tree: Any tree in the layout of DESIGN section 3.
    """

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self._files = RoleFiles(tree)

    @property
    def empty(self) -> bool:
        """Whether there is no metadata at all, as before founding."""
        return not any(path.startswith(METADATA) for path in self.tree.entries())

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the roles that have a file directly under ``metadata/``, sorted."""
        found = []
        for path in self.tree.entries():
            name = path.removeprefix(METADATA)
            if path.startswith(METADATA) and "/" not in name and name.endswith(".json"):
                found.append(name.removesuffix(".json"))
        return tuple(found)

    @property
    def root(self) -> RoleFile | None:
        """The latest root, ``metadata/root.json``."""
        return self.role("root")

    def role(self, name: str) -> RoleFile | None:
        """One role's file; None if it is not there, or cannot be read (then ``problems`` says why)."""
        return self._files.load(name, f"{METADATA}{name}.json")

    @cached_property
    def roots(self) -> Mapping[int, RoleFile]:
        """Every readable ``metadata/root_history/N.root.json`` by N."""
        found = {}
        for path in self.tree.entries():
            match = _ROOT_FILE.fullmatch(path.removeprefix(HISTORY)) if path.startswith(HISTORY) else None
            loaded = self._files.load("root", path) if match else None
            if match and loaded:
                found[int(match[1])] = loaded
        return dict(sorted(found.items()))

    @cached_property
    def delegations(self) -> tuple[Delegation, ...]:
        """Every delegation that can be reached from root, the top-level roles first, each delegator once."""
        reached: list[Delegation] = []
        queue = [self.root]
        visited: set[str] = set()
        while queue:
            delegator = queue.pop(0)
            if delegator is None or (delegator.role in visited and delegator.role != "root"):
                continue
            visited.add(delegator.role)
            for delegation in delegations_of(delegator):
                reached.append(delegation)
                if delegation.name not in ("root", *ONLINE_ROLES) and delegation.name not in visited:
                    queue.append(self.role(delegation.name))
        return tuple(reached)

    def delegations_to(self, name: str) -> tuple[Delegation, ...]:
        """The delegations that name a role: one as a rule, none for a file that nobody delegates to."""
        return tuple(delegation for delegation in self.delegations if delegation.name == name)

    def targets_roles(self) -> tuple[RoleFile, ...]:
        """The readable files of targets and of every role delegated below it."""
        names = dict.fromkeys(d.name for d in self.delegations if d.name not in ("root", *ONLINE_ROLES))
        return tuple(loaded for name in names if (loaded := self.role(name)))

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Files that cannot be read, after every file has been tried."""
        for name in self.names:
            self.role(name)
        _ = self.roots
        return tuple(Problem(path, what) for path, what in sorted(self._files.problems.items()))


def targets_of(file: RoleFile) -> Targets:
    """The signed part of a targets role, typed."""
    return cast("Targets", file.signed)


def root_of(file: RoleFile) -> Root:
    """The signed part of a root, typed."""
    return cast("Root", file.signed)
