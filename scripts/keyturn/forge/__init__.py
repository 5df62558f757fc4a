"""Where signing events live: branches of a remote, behind one protocol for every kind of host."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from keyturn.git import Commit, Identity
from keyturn.tree import Tree

EVENT_PREFIX = "sign/"
STAGED = "keyturn/staged"
PUBLISHED = "keyturn/published"


@dataclass(frozen=True, slots=True)
class Head:
    """The merge of an event and ``main``.

    Args:
        tree: The merged tree; None where they conflict.
        tree_id: Its git object id.
        conflicts: Paths on which they conflict.
    """

    tree: Tree | None
    tree_id: str | None
    conflicts: tuple[str, ...]


class Forge(Protocol):
    """A remote repository with signing events. Commits are named by their ids."""

    @property
    def url(self) -> str:
        """The remote's URL, as a person's pins are filed under it."""

    @property
    def branch(self) -> str:
        """The name of the branch that holds what was decided, usually ``main``."""

    def refresh(self) -> None:
        """Read the remote's branches again; everything else answers from what was read last.

        Raises:
            GitError: The remote cannot be read.
        """

    def main(self) -> str | None:
        """Tip of the branch that holds what was decided; None in an empty repository."""

    def events(self) -> Mapping[str, str]:
        """Tips of the open and merged events by topic, sorted."""

    def event(self, topic: str) -> str | None:
        """Tip of one event; None if there is none."""

    def is_merged(self, topic: str) -> bool:
        """Whether an event's tip is part of ``main``."""

    def base(self, topic: str) -> str | None:
        """The commit of ``main`` that an event started from or last merged."""

    def head(self, topic: str) -> Head:
        """What the repository would be after the merge of an event."""

    def together(self, topic: str, other: str) -> Head:
        """What the repository would be after the merges of two events; both merge with ``main``."""

    def tree(self, commit: str | None) -> Tree:
        """The tree of a commit; an empty one for None."""

    def branch_tip(self, name: str) -> str | None:
        """Tip of any branch of the remote."""

    def propose(self, topic: str, change: Proposal) -> str:
        """Put one commit on an event's branch, starting the branch from ``main`` if need be.

        Returns:
            The new tip.

        Raises:
            PushRejected: The branch moved in the meantime.
        """

    def merge(self, topic: str, message: str, author: Identity, when: datetime) -> str:
        """Merge an event into ``main`` by compare-and-swap.

        Returns:
            The merge commit.

        Raises:
            PushRejected: ``main`` or the event moved in the meantime.
        """

    def contains(self, name: str, commit: str) -> bool:
        """Whether a commit, given by its full id, is the tip of a branch or in its history."""

    def is_ancestor(self, older: str, newer: str) -> bool:
        """Whether a commit is another one or in its history."""

    def history(self, name: str, without: str) -> tuple[Commit, ...]:
        """The commits of a branch that another one lacks, children before parents."""

    def record(
        self,
        name: str,
        tree: Tree,
        message: str,
        author: Identity,
        when: datetime,
        *,
        after: str | None = None,
    ) -> str:
        """Put a whole tree as the next commit of a branch.

        Args:
            name: The branch.
            tree: The tree.
            message: The commit's message.
            author: Who makes it.
            when: Its time, UTC.
            after: A commit that has to be in the branch's history; None if there is none.

        Returns:
            The tip; it is new unless the branch holds that tree already.

        Raises:
            PushRejected: The branch moved in the meantime.
        """

    def forward(self, name: str, commit: str) -> None:
        """Move a branch ahead to a commit.

        Raises:
            PushRejected: The branch moved in the meantime.
        """


@dataclass(frozen=True, slots=True)
class Proposal:
    """One commit for an event's branch.

    Args:
        files: New bytes by path; None removes the file.
        message: The commit's message.
        author: Who makes it.
        when: Its time, UTC.
        restart: Start again from ``main`` as it is now, instead of adding to the event.
    """

    files: Mapping[str, bytes | None]
    message: str
    author: Identity
    when: datetime
    restart: bool = False
