"""Signing events on a plain git remote: branches ``sign/<topic>``, and nothing but git.

The person's clone only lends its object store: the remote's branches are fetched into a namespace of
their own, so that what lies in the clone is neither used nor touched.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime, timezone

from keyturn.errors import RefusedError, UsageError
from keyturn.forge import EVENT_PREFIX, Head, Proposal
from keyturn.git import Commit, Git, GitError, Identity, RefUpdate, redacted
from keyturn.tree import GitTree, Kind, MemoryTree, Tree, changes

HEADS = "refs/heads/"
_ANY_TIME = datetime(2000, 1, 1, tzinfo=timezone.utc)
"""Of commits that only stand in for a merge; always the same, so that they are the same object."""


class LocalForge:
    """A plain git remote as a forge.

    Args:
        git: The repository whose object store is used.
        remote: Name of a remote of that repository, or a URL.
        branch: Name of the branch that holds what was decided.
    """

    def __init__(self, git: Git, remote: str, branch: str = "main") -> None:
        self._git = git
        self._remote = remote
        self._branch = branch
        self._url = redacted(git.remote_url(remote) or remote)
        self._space = f"refs/keyturn/{hashlib.sha256(self._url.encode()).hexdigest()[:12]}/"
        self._tips: dict[str, str] = {}

    @property
    def url(self) -> str:
        """See :class:`keyturn.forge.Forge`."""
        return self._url

    @property
    def branch(self) -> str:
        """See :class:`keyturn.forge.Forge`."""
        return self._branch

    def refresh(self) -> None:
        """See :class:`keyturn.forge.Forge`."""
        self._git.fetch(self._remote, [f"+{HEADS}*:{self._space}*"])
        self._tips = {
            name.removeprefix(self._space): commit for name, commit in self._git.refs(self._space).items()
        }

    def branch_tip(self, name: str) -> str | None:
        """See :class:`keyturn.forge.Forge`."""
        return self._tips.get(name)

    def main(self) -> str | None:
        """See :class:`keyturn.forge.Forge`."""
        return self.branch_tip(self._branch)

    def events(self) -> Mapping[str, str]:
        """See :class:`keyturn.forge.Forge`."""
        return {
            name.removeprefix(EVENT_PREFIX): commit
            for name, commit in sorted(self._tips.items())
            if name.startswith(EVENT_PREFIX)
        }

    def event(self, topic: str) -> str | None:
        """See :class:`keyturn.forge.Forge`."""
        return self.branch_tip(EVENT_PREFIX + topic)

    def is_merged(self, topic: str) -> bool:
        """See :class:`keyturn.forge.Forge`."""
        event, main = self.event(topic), self.main()
        return event is not None and main is not None and self._git.is_ancestor(event, main)

    def base(self, topic: str) -> str | None:
        """See :class:`keyturn.forge.Forge`."""
        event, main = self.event(topic), self.main()
        return self._git.merge_base(event, main) if event and main else None

    def head(self, topic: str) -> Head:
        """See :class:`keyturn.forge.Forge`."""
        event, main = self._both(topic)
        try:
            merged = self._git.merge_tree(main, event)
        except RefusedError as error:
            # A clone that only lacks the history says what to do. An event that shares none conflicts in all
            # that differs; as an error it would hide every other event.
            if error.reason != "unrelated-histories" or error.todo:
                raise
            differing = tuple(change.path for change in changes(self.tree(main), self.tree(event)))
            return Head(tree=None, tree_id=None, conflicts=differing)
        tree = GitTree(self._git, merged.tree) if merged.tree else None
        return Head(tree=tree, tree_id=merged.tree, conflicts=merged.conflicts)

    def together(self, topic: str, other: str) -> Head:
        """See :class:`keyturn.forge.Forge`."""
        event, main = self._both(topic)
        second, _ = self._both(other)
        first = self.head(topic).tree_id
        if first is None:
            raise GitError("the event and main conflict", where=EVENT_PREFIX + topic, todo="Propose again.")
        nobody = Identity("keyturn", "keyturn@localhost")
        merged = self._git.commit_tree(first, [main, event], "Merge", author=nobody, when=_ANY_TIME)
        both = self._git.merge_tree(merged, second)
        tree = GitTree(self._git, both.tree) if both.tree else None
        return Head(tree=tree, tree_id=both.tree, conflicts=both.conflicts)

    def tree(self, commit: str | None) -> Tree:
        """See :class:`keyturn.forge.Forge`."""
        return GitTree(self._git, commit) if commit else MemoryTree({}, name="an empty repository")

    def propose(self, topic: str, change: Proposal) -> str:
        """See :class:`keyturn.forge.Forge`."""
        tip, main = self.event(topic), self.main()
        fresh = tip is None or change.restart or self.is_merged(topic)
        start = main if fresh else tip
        tree = self._git.write_tree(start, change.files)
        parents = self._parents(tip, start)
        commit = self._git.commit_tree(tree, parents, change.message, author=change.author, when=change.when)
        self._push(EVENT_PREFIX + topic, commit, tip)
        return commit

    def _parents(self, tip: str | None, start: str | None) -> list[str]:
        """The new commit's parents: its start, and the event's tip so that nothing pushed is ever lost."""
        parents = [commit for commit in (tip, start) if commit is not None]
        if tip and start and (tip == start or self._git.is_ancestor(tip, start)):
            return [start]
        return parents

    def merge(self, topic: str, message: str, author: Identity, when: datetime) -> str:
        """See :class:`keyturn.forge.Forge`."""
        event, main = self._both(topic)
        tree = self.head(topic).tree_id
        if tree is None:
            raise GitError("the event and main conflict", where=EVENT_PREFIX + topic, todo="Propose again.")
        commit = self._git.commit_tree(tree, [main, event], message, author=author, when=when)
        self._push(self._branch, commit, main)
        return commit

    def contains(self, name: str, commit: str) -> bool:
        """See :class:`keyturn.forge.Forge`."""
        tip = self.branch_tip(name)
        known = tip is not None and self._git.resolve(commit) == commit
        return tip is not None and known and self._git.is_ancestor(commit, tip)

    def is_ancestor(self, older: str, newer: str) -> bool:
        """See :class:`keyturn.forge.Forge`."""
        return self._git.is_ancestor(older, newer)

    def history(self, name: str, without: str) -> tuple[Commit, ...]:
        """See :class:`keyturn.forge.Forge`."""
        tip, other = self.branch_tip(name), self.branch_tip(without)
        if tip is None:
            return ()
        return self._git.log(f"{other}..{tip}" if other else tip)

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
        """See :class:`keyturn.forge.Forge`."""
        tip = self.branch_tip(name)
        before = self.tree(tip).entries()
        changes: dict[str, bytes | None] = {path: None for path in before if path not in tree.entries()}
        for path, entry in tree.entries().items():
            if entry.kind is Kind.FILE and (path not in before or before[path].blob != entry.blob):
                changes[path] = tree.read(path)
        apart = after is not None and not self.contains(name, after)
        if tip and not changes and not apart:
            return tip
        written = self._git.write_tree(tip, changes)
        parents = [tip] if tip else []
        if after is not None and apart:
            parents = [after] if not tip or self._git.is_ancestor(tip, after) else [tip, after]
        commit = self._git.commit_tree(written, parents, message, author=author, when=when)
        self._push(name, commit, tip)
        return commit

    def forward(self, name: str, commit: str) -> None:
        """See :class:`keyturn.forge.Forge`."""
        tip = self.branch_tip(name)
        if tip != commit:
            self._push(name, commit, tip)

    def start(self, files: Mapping[str, bytes], message: str, author: Identity, when: datetime) -> str:
        """Make the first commit of an empty repository.

        Returns:
            The new tip of ``main``.

        Raises:
            PushRejected: The repository is not empty any more.
        """
        tree = self._git.write_tree(None, dict(files))
        commit = self._git.commit_tree(tree, [], message, author=author, when=when)
        self._push(self._branch, commit, None)
        return commit

    def _both(self, topic: str) -> tuple[str, str]:
        event, main = self.event(topic), self.main()
        if event is None:
            known = ", ".join(self.events()) or "none"
            raise UsageError(
                f"there is no signing event {topic!r}", where=self._url, todo=f"Events there: {known}."
            )
        if main is None:
            raise UsageError(
                f"the branch {self._branch} does not exist", where=self._url, todo="Run keyturn init."
            )
        return event, main

    def _push(self, name: str, commit: str, expected: str | None) -> None:
        self._git.push(self._remote, [RefUpdate(ref=HEADS + name, new=commit, expected=expected)])
        self._tips[name] = commit
