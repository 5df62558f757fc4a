"""The one way to run git: read objects, write trees and commits, push with compare-and-swap.

Every git process of Keyturn starts here, and obeys these rules:

- Arguments are lists, never a shell. A revision, ref, remote or path that comes from outside stands behind
  ``--end-of-options``, is a checked object id, or travels on standard input; it is never an option.
- The person's ways to reach a remote stay as they are (home, credentials, SSH, proxies, ``insteadOf``).
  What would point git at another repository, index or object store is dropped from the environment.
  Nobody is asked for a password when there is no terminal to ask on.
- Nothing that a repository contains is executed or obeyed: no filters, no attributes of a checkout, no
  submodules, no ``ext::`` or ``fd::`` transports, no replaced objects. Fetched objects are checked by git.
- Hooks of the person's own clone run on ``push``, as they expect, and nowhere else.
- No command touches the index or the files of a checkout; trees are built in a temporary index.
- A token that was given for a remote travels in the environment of the commands that reach it, and of no
  other; it is left out of what git is quoted as saying.
- A ref on a remote changes only from the value that the caller saw. Whoever comes second gets
  :class:`PushRejected` and looks again.

Use::

    with Git.open(Path.cwd()) as git:
        git.fetch("origin", ["+refs/heads/*:refs/remotes/origin/*"])
        tip = git.resolve("refs/remotes/origin/main")
        tree = git.write_tree(tip, {"metadata/targets.json": data})
        commit = git.commit_tree(tree, [tip], "Sign targets 2 as alice", author=git.identity(), when=now)
        git.push("origin", [RefUpdate("refs/heads/sign/x", new=commit, expected=None)])
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import threading
import weakref
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import lru_cache
from pathlib import Path
from typing import IO, TYPE_CHECKING

from keyturn.errors import EnvironmentFault, RefusedError, UsageError

if TYPE_CHECKING:
    from types import TracebackType

OLDEST_GIT = (2, 38)
"""The first git with ``merge-tree --write-tree``."""

_OID = re.compile(r"[0-9a-f]{40}")
_NO_OBJECT = "0" * 40
_COMMIT_FIELDS = ("%H", "%T", "%P", "%an", "%ae", "%at", "%B")
_PARAGRAPH = 600
_SECRET = 16
_LATEST = datetime(9999, 12, 31, tzinfo=timezone.utc)

_SETTINGS = (
    "core.quotePath=false",
    "core.fsmonitor=false",
    "core.splitIndex=false",
    f"core.attributesFile={os.devnull}",
    "color.ui=false",
    "commit.gpgSign=false",
    # A background gc would outlive the command, and slow it down at the worst moment.
    "gc.auto=0",
    "maintenance.auto=false",
    "i18n.commitEncoding=UTF-8",
    "i18n.logOutputEncoding=UTF-8",
    # Two people must get the same merge of the same two commits, whatever their own settings are. Renames
    # are followed because git before 2.50 always does.
    "merge.default=text",
    "merge.renames=true",
    "merge.directoryRenames=conflict",
    "merge.renameLimit=7000",
    "merge.renormalize=false",
    "diff.algorithm=histogram",
    "fetch.fsckObjects=true",
    "protocol.ext.allow=never",
    "protocol.fd.allow=never",
)

_KEPT_VARIABLES = re.compile(
    r"GIT_(SSH|SSH_.*|ASKPASS|TERMINAL_PROMPT|SSL_.*|HTTP_.*|PROXY_.*|ALLOW_PROTOCOL|EXEC_PATH"
    r"|CONFIG_(GLOBAL|SYSTEM|NOSYSTEM|COUNT|KEY_\d+|VALUE_\d+)|CEILING_DIRECTORIES)"
)

_SYMPTOMS = tuple(
    (re.compile(pattern, re.IGNORECASE), reason, todo)
    for pattern, reason, todo in (
        (
            r"authentication failed|could not read (username|password)|permission (denied \(|to .* denied)|"
            r"terminal prompts disabled|host key verification failed|returned error: 40[13]\b",
            "authentication",
            "check that your credentials or SSH key for this remote are set up: git ls-remote must work",
        ),
        (
            r"could not resolve host|failed to connect|connection (refused|timed out|reset)|"
            r"network is unreachable|no route to host|operation timed out",
            "unreachable",
            "check the network and the address of the remote, then try again",
        ),
        (
            r"repository .*not found|does not appear to be a git repository|returned error: 404",
            "repository-not-found",
            "check the address of the remote, and that you may read it",
        ),
        (
            r"dubious ownership",
            "not-owner",
            "if you trust its owner: git config --global --add safe.directory DIRECTORY",
        ),
        (
            r"not a git repository|cannot change to",
            "no-repository",
            "go to the clone of the repository, or name it with -C",
        ),
        (
            r"fsck error|error in object|error: object [0-9a-f]{40}:",
            "malformed-objects",
            "the remote holds objects that git calls malformed; its owner has to repair it (git fsck)",
        ),
        (
            r"transport '.*' not allowed",
            "remote-url",
            "use an https, ssh or file address",
        ),
    )
)

_NOT_PERMITTED = re.compile(r"returned error: 403\b|permission to .* denied", re.IGNORECASE)
"""What a server says to a token that it knows and that may not do this."""
_PERMISSION = (
    "the token lacks `contents: {level}`: add it below `permissions:` of this job in the workflow file; a "
    "personal or app token needs the same permission in its settings"
)

_MOVED = re.compile(
    r"\((stale info|fetch first|non-fast-forward|already exists|failed to update ref|failed to lock|"
    r"incorrect old value provided|reference (already exists|does not exist)|"
    r"remote ref updated since checkout|"
    r"cannot lock ref.*|atomic transaction failed)\)$"
)


class GitError(EnvironmentFault):
    """Git could not do what was asked; ``what`` ends with its own words."""

    default_reason = "git"


class PushRejected(GitError):
    """The remote ref is no longer what the caller saw; nothing was changed there."""

    default_reason = "push-rejected"


@dataclass(frozen=True, slots=True)
class Identity:
    """Who made a commit."""

    name: str
    email: str


@dataclass(frozen=True, slots=True)
class Merge:
    """The outcome of a merge that touches no checkout: a tree, or the paths in conflict."""

    tree: str | None
    conflicts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RefUpdate:
    """One ref to change on a remote.

    Attributes:
        ref: Full name, such as ``refs/heads/sign/release``.
        new: Commit id to set; None deletes the ref.
        expected: Commit id that the ref must have now; None if it must not exist.
    """

    ref: str
    new: str | None
    expected: str | None


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit; ``when`` is the author's time in UTC, ``message`` the whole message."""

    oid: str
    tree: str
    parents: tuple[str, ...]
    author: Identity
    when: datetime
    message: str


@dataclass(frozen=True, slots=True)
class ListedBlob:
    """One leaf of a git tree: file or link (``type`` blob) or submodule (``type`` commit)."""

    mode: int
    type: str
    oid: str
    path: str


@dataclass(frozen=True, slots=True)
class _Answer:
    code: int
    out: bytes
    err: str


def valid_branch(name: str) -> bool:
    """Whether git would accept ``name`` as the name of a branch (git-check-ref-format, and not ``@``)."""
    return not name.startswith("-") and name not in ("HEAD", "@") and _well_formed(name)


def blob_id(content: bytes) -> str:
    """The id that git gives a file with this content (SHA-1 object format, 40 lower hex digits)."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def check_path(path: str, *, windows: bool = os.name == "nt") -> None:
    r"""Refuse a path that could leave the directory or tree that it is to be written to.

    Args:
        path: Path with ``/`` between its parts.
        windows: Whether the rules of Windows apply, where ``\`` and ``:`` have a meaning too.

    Raises:
        RefusedError: The path is absolute, has an empty, ``.`` or ``..`` part, a NUL, or cannot be encoded.
    """
    parts = path.split("/")
    bad = "" in parts or "." in parts or ".." in parts or "\0" in path or not _encodable(path)
    if bad or (windows and ("\\" in path or ":" in path)):
        raise RefusedError("this path is not safe to write", where=path, reason="unsafe-path")


def displaced(existing: Iterable[str], written: Collection[str]) -> frozenset[str]:
    """The existing paths that cannot stay beside the written ones.

    Those are a file where a directory is needed now, and everything in a directory that becomes a file.

    Args:
        existing: Paths of the leaves of a tree.
        written: Paths about to be written to it.

    Raises:
        RefusedError: One of the written paths would have to be a file and a directory at once.
    """
    files = frozenset(written)
    directories = {parent for path in files for parent in parents_of(path)}
    if clash := sorted(files & directories):
        raise RefusedError(
            "this path cannot be both a file and a directory", where=clash[0], reason="path-clash"
        )
    return frozenset(
        path
        for path in existing
        if path in directories or any(parent in files for parent in parents_of(path))
    )


def parents_of(path: str) -> Iterator[str]:
    """The directories above a path, nearest first; not the empty one at the top."""
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path


class Git:
    """One repository's objects and refs; every command is ``git -C DIRECTORY ...``.

    Reading objects keeps one ``git cat-file`` process; ``close()``, leaving the ``with`` block or dropping
    the last reference ends it. An instance may be shared between threads.

    Args:
        directory: A directory of the repository: the top of a checkout, or a bare repository. Nothing is
            looked at yet.
        access: How to authenticate at a remote: variables ``GIT_CONFIG_COUNT``, ``GIT_CONFIG_KEY_0``, ...,
            set for the commands that reach a remote only. None leaves it to the person's own ways.
    """

    def __init__(self, directory: Path, *, access: Mapping[str, str] | None = None) -> None:
        self.directory = directory
        self._access = dict(access or {})
        self._lock = threading.RLock()
        self._reader: _ObjectReader | None = None

    @classmethod
    def open(cls, directory: Path, *, access: Mapping[str, str] | None = None) -> Git:
        """The repository that ``directory`` lies in.

        Args:
            directory: A directory of it.
            access: As for the class.

        Raises:
            EnvironmentFault: There is none (reason ``no-repository``), it belongs to somebody else, its
                object format is not SHA-1, or git is missing or too old.
        """
        here = cls(directory)
        command = ["rev-parse", "--show-object-format", "--absolute-git-dir"]
        found = here._ask("open the repository", command)
        object_format, _, git_directory = _text(found).removesuffix("\n").partition("\n")
        if object_format != "sha1":
            raise EnvironmentFault(
                f"this repository has {object_format} object ids, Keyturn reads those with SHA-1 only",
                where=str(directory),
                reason="object-format",
            )
        top = here._call("find the checkout", ["rev-parse", "--show-toplevel"], accept=None)
        return cls(Path(_text(top.out).removesuffix("\n") if top.code == 0 else git_directory), access=access)

    @classmethod
    def init(
        cls,
        directory: Path,
        *,
        bare: bool,
        branch: str = "main",
        access: Mapping[str, str] | None = None,
    ) -> Git:
        """Make a new, empty repository; the directory and those above it are made when missing.

        Args:
            directory: Where.
            bare: Whether it is one without a checkout.
            branch: Name of its first branch.
            access: As for the class.

        Raises:
            UsageError: The branch name is not one.
            EnvironmentFault: Git or the disk does not let it happen.
        """
        if not valid_branch(branch):
            raise UsageError("this is not a valid branch name", where=branch, reason="branch-name")
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise EnvironmentFault(
                f"cannot make the directory: {error.strerror}", where=str(directory)
            ) from error
        made = cls(directory, access=access)
        options = ["--quiet", "--template=", "--object-format=sha1", f"--initial-branch={branch}"]
        made._ask("make a repository", ["init", *options, *(["--bare"] if bare else [])])
        return made

    def __enter__(self) -> Git:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the process that reads objects; the next read starts another one."""
        with self._lock:
            if self._reader is not None:
                self._reader.close()
                self._reader = None

    def run(self, *args: str, stdin: bytes = b"", env: Mapping[str, str] | None = None) -> bytes:
        """Run one git command in this repository; the caller answers for what the arguments mean.

        Args:
            args: The command and its arguments.
            stdin: What the command reads.
            env: Variables to set beside the cleaned environment.

        Returns:
            Its standard output.

        Raises:
            GitError: It failed; its standard error is in the message.
            EnvironmentFault: Git is missing or too old.
        """
        return self._ask(f"run git {args[0]}", args, stdin=stdin, env=env)

    def remote_url(self, name: str) -> str | None:
        """The address that git would use for the remote of this name, or None if it knows no such remote."""
        if name.startswith("-") or "\0" in name:
            return None
        command = ["remote", "get-url", "--end-of-options", name]
        answer = self._call("look up the remote", command, accept=(0, 2))
        return _text(answer.out).removesuffix("\n") if answer.code == 0 else None

    def fetch(self, remote: str, refspecs: Sequence[str], *, prune: bool = True) -> None:
        """Fetch exactly these refs: no tags, no submodules, no other tracking branches.

        Args:
            remote: Name or address.
            refspecs: Such as ``+refs/heads/*:refs/remotes/origin/*``.
            prune: Whether refs on the right side that the remote no longer has are deleted here.

        Raises:
            RefusedError: The remote's address is not one to use.
            GitError: The remote cannot be reached or read, or sends malformed objects.
        """
        self._check_remote(remote)
        options = ["--quiet", "--no-tags", "--no-recurse-submodules", "--no-write-fetch-head", "--refmap="]
        options += ["--prune" if prune else "--no-prune", "--no-prune-tags", "--no-write-commit-graph"]
        command = ["fetch", *options, "--end-of-options", remote, *refspecs]
        self._ask(f"fetch from {redacted(remote)}", command, env=self._reaching(), level="read")

    def ls_remote(self, remote: str) -> dict[str, str]:
        """The refs of a remote as they are now, full name to object id (tags not peeled, no HEAD).

        Raises:
            RefusedError: The remote's address is not one to use.
            GitError: It cannot be reached or read.
        """
        self._check_remote(remote)
        command = ["ls-remote", "--refs", "--quiet", "--end-of-options", remote]
        listing = _text(self._ask(f"read {redacted(remote)}", command, env=self._reaching(), level="read"))
        pairs = (line.partition("\t") for line in listing.split("\n") if line)
        return {ref: oid for oid, _, ref in pairs}

    def resolve(self, revision: str) -> str | None:
        """The id of the commit that a revision names, or None if it names none; a range names none."""
        if "\0" in revision or not _encodable(revision):
            return None
        command = ["rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}"]
        answer = self._call("look up a revision", command, accept=None)
        # Git answers many a malformed revision with a fatal error; only what is wrong with the clone is one.
        failure = self._failed("look up a revision", answer.err)
        if answer.code != 0 and failure.reason != GitError.default_reason:
            raise failure
        oid = _text(answer.out).removesuffix("\n")
        return oid if answer.code == 0 and _OID.fullmatch(oid) else None

    def refs(self, prefix: str) -> dict[str, str]:
        """The local refs below a prefix such as ``refs/heads/`` (all if empty), full name to object id."""
        command = ["for-each-ref", "--format=%(objectname) %(refname)", "--end-of-options"]
        listing = _text(self._ask("list refs", [*command, *([prefix] if prefix else [])]))
        pairs = (line.partition(" ") for line in listing.split("\n") if line)
        return {ref: oid for oid, _, ref in pairs}

    def is_ancestor(self, ancestor: str, descendant: str) -> bool:
        """Whether one commit is the other or in its history.

        Raises:
            GitError: One of the two is not a commit of this repository.
        """
        command = ["merge-base", "--is-ancestor", self._commit(ancestor), self._commit(descendant)]
        answer = self._call("compare two histories", command, accept=(0, 1))
        return answer.code == 0

    def merge_base(self, a: str, b: str) -> str | None:
        """The best common ancestor of two commits, or None if their histories have nothing in common.

        Raises:
            GitError: One of the two is not a commit of this repository.
        """
        command = ["merge-base", self._commit(a), self._commit(b)]
        answer = self._call("compare two histories", command, accept=(0, 1))
        return _text(answer.out).strip() or None

    def merge_tree(self, ours: str, theirs: str) -> Merge:
        """Merge two commits into a tree, without a checkout (SPEC: States of a signing event, *head*).

        The result depends on the two commits alone: attributes of a checkout and the person's own settings
        for merges play no part.

        Args:
            ours: Commit merged into.
            theirs: Commit merged.

        Returns:
            The tree, or the paths that both sides changed differently.

        Raises:
            RefusedError: The two have no common history (reason ``unrelated-histories``).
            GitError: One of the two is not a commit of this repository.
        """
        pair = (self._commit(ours), self._commit(theirs))
        if self.merge_base(*pair) is None:
            shallow = _text(self._ask("look at the clone", ["rev-parse", "--is-shallow-repository"]))
            todo = "fetch the whole history first: git fetch --unshallow" if shallow.strip() == "true" else ""
            raise RefusedError(
                "the two sides have no common history, so they cannot be merged",
                where=str(self.directory),
                todo=todo,
                reason="unrelated-histories",
            )
        # From inside the git directory there is no checkout whose .gitattributes could choose how to merge.
        inside = Git(self._common_directory())
        command = ["merge-tree", "--write-tree", "-z", "--name-only", "--no-messages", *pair]
        answer = inside._call("merge", command, env={"GIT_DIR": "."}, accept=(0, 1))
        tree, *conflicts = _text(answer.out).split("\0")
        if answer.code == 0:
            return Merge(tree, ())
        return Merge(None, tuple(path for path in conflicts if path))

    def write_tree(self, base: str | None, changes: Mapping[str, bytes | None]) -> str:
        """Write a tree that is another one with some files changed.

        A file that exists keeps whether it is executable; a new one is not. A link or submodule that is
        written to becomes a plain file. Where a written path needs a file to be a directory, or a directory
        to be a file, what was there goes. Removing what is not there changes nothing.

        Args:
            base: Tree or commit to start from; None starts from nothing.
            changes: Path to new content; None removes the file.

        Returns:
            Id of the tree.

        Raises:
            RefusedError: A path is not safe (such as ``.git/config``), or is both a file and a directory.
            GitError: ``base`` is not there.
        """
        for path in changes:
            check_path(path)
        base = self._tree(base) if base is not None else None
        before = {leaf.path: leaf.mode for leaf in self.list_tree(base)} if base is not None else {}
        written = {path: content for path, content in changes.items() if content is not None}
        gone = displaced(before, written) | (before.keys() & (changes.keys() - written.keys()))
        self._write_blobs(written.values())
        lines = [_index_line(0, _NO_OBJECT, path) for path in sorted(gone)]
        for path, content in written.items():
            was = before.get(path)
            mode = was if was is not None and stat.S_ISREG(was) else 0o100644
            lines.append(_index_line(mode, blob_id(content), path))
        with tempfile.TemporaryDirectory(prefix="keyturn-") as scratch:
            env = {"GIT_INDEX_FILE": str(Path(scratch) / "index")}
            start = [base] if base is not None else ["--empty"]
            self._ask("read a tree", ["read-tree", *start], env=env)
            self._ask("change a tree", ["update-index", "-z", "--index-info"], stdin=b"".join(lines), env=env)
            tree = _text(self._ask("write a tree", ["write-tree"], env=env)).strip()
        # Git leaves out what it does not like in a tree, such as .git/config, and reports success.
        if missing := sorted(written.keys() - {leaf.path for leaf in self.list_tree(tree)}):
            raise RefusedError("git allows no such path in a tree", where=missing[0], reason="unsafe-path")
        return tree

    def commit_tree(
        self,
        tree: str,
        parents: Sequence[str],
        message: str,
        *,
        author: Identity,
        when: datetime,
        committer: Identity | None = None,
    ) -> str:
        """Write a commit; the same arguments give the same commit id. It is never signed.

        Args:
            tree: Id of its tree.
            parents: Ids of its parents, first parent first.
            message: Its message; a missing newline at the end is added.
            author: Who wrote it.
            when: Author's and committer's time, aware; parts of a second are dropped.
            committer: Who committed it; the author if not given.

        Returns:
            Id of the commit.

        Raises:
            UsageError: The message or a name has a NUL or cannot be UTF-8, or ``when`` has no time zone.
            GitError: Tree or parent is not there, or a name is one that git refuses.
        """
        if when.tzinfo is None:
            raise UsageError("the time of a commit needs a time zone", reason="commit-time")
        committer = committer or author
        texts = (message, author.name, author.email, committer.name, committer.email)
        if any("\0" in text or not _is_unicode(text) for text in texts):
            raise UsageError(
                "the message or author of a commit is not clean UTF-8 text", reason="commit-text"
            )
        date = f"@{int(when.timestamp())} +0000"
        env = {
            "GIT_AUTHOR_NAME": author.name,
            "GIT_AUTHOR_EMAIL": author.email,
            "GIT_AUTHOR_DATE": date,
            "GIT_COMMITTER_NAME": committer.name,
            "GIT_COMMITTER_EMAIL": committer.email,
            "GIT_COMMITTER_DATE": date,
        }
        ancestry = [option for parent in parents for option in ("-p", self._oid(parent))]
        text = message if message.endswith("\n") else message + "\n"
        command = ["commit-tree", "--no-gpg-sign", *ancestry, self._oid(tree)]
        return _text(self._ask("write a commit", command, stdin=text.encode(), env=env)).strip()

    def push(self, remote: str, updates: Sequence[RefUpdate]) -> None:
        """Change refs on a remote, all or none, each only from the value that the caller expects.

        A ref that has the new value already is as wished, whatever was expected. The clone's own hooks run.

        Args:
            remote: Name or address.
            updates: What to change; nothing happens when there are none.

        Raises:
            PushRejected: A ref is not what was expected, or somebody else was faster.
            RefusedError: The remote's address is not one to use.
            UsageError: A ref is not a full, valid ref name.
            GitError: Anything else: no access, a hook or a rule of the remote says no.
        """
        for update in updates:
            _check_ref(update.ref)
        if not updates:
            return
        self._check_remote(remote)
        leases = [
            f"--force-with-lease={update.ref}:{self._oid(update.expected) if update.expected else ''}"
            for update in updates
        ]
        refspecs = [f"{self._oid(update.new) if update.new else ''}:{update.ref}" for update in updates]
        options = ["--porcelain", "--quiet", "--no-follow-tags", "--recurse-submodules=no"]
        # Servers without atomic pushes exist, and a single ref needs none.
        options += ["--atomic"] if len(updates) > 1 else []
        command = ["push", *options, *leases, "--end-of-options", remote, *refspecs]
        purpose, env = f"push to {redacted(remote)}", self._reaching()
        answer = self._call(purpose, command, env=env, accept=None, hooks=True)
        if answer.code != 0:
            raise self._push_failure(remote, answer)

    def identity(self) -> Identity:
        """The person's name and email as git is configured, with a neutral word for what is not set."""
        command = ["config", "-z", "--get-regexp", r"^user\.(name|email)$"]
        answer = self._call("read your name", command, accept=(0, 1))
        found = dict(setting.partition("\n")[::2] for setting in _text(answer.out).split("\0") if setting)
        return Identity(found.get("user.name") or "keyturn", found.get("user.email") or "keyturn@localhost")

    def log(self, revision_range: str) -> tuple[Commit, ...]:
        """The commits of a revision or range such as ``main..sign/x``, children before parents.

        Text that is not UTF-8 is shown with replacement characters; a time that no calendar has, as the
        nearest one.

        Raises:
            GitError: The range names something that is not there.
        """
        fields = "".join(f"{field}%x00" for field in _COMMIT_FIELDS)
        options = ["--topo-order", "--no-commit-header", f"--format={fields}"]
        command = ["rev-list", *options, "--end-of-options", revision_range, "--"]
        cells = self._ask("read the history", command).decode("utf-8", "replace").split("\0")
        width = len(_COMMIT_FIELDS)
        return tuple(_commit(cells[start : start + width]) for start in range(0, len(cells) - 1, width))

    def read_blob(self, oid: str) -> bytes:
        """The content of a file, proven to be what the id stands for.

        Args:
            oid: Full object id.

        Raises:
            GitError: There is no such blob, or it is damaged.
        """
        content = self._read("contents", oid)
        if blob_id(content) != oid:
            raise GitError(f"object {oid} is damaged", where=str(self.directory), reason="damaged-object")
        return content

    def blob_size(self, oid: str) -> int:
        """The size of a file in bytes, without reading it.

        Raises:
            GitError: There is no such blob.
        """
        return int(self._read("info", oid))

    def list_tree(self, treeish: str) -> tuple[ListedBlob, ...]:
        """All files, links and submodules of a tree or commit, in git's order; paths by ``os.fsdecode``.

        Raises:
            GitError: There is no such tree.
        """
        command = ["ls-tree", "-r", "-z", "--full-tree", "--end-of-options", treeish]
        listing = self._ask("list a tree", command)
        return tuple(_leaf(line) for line in listing.split(b"\0") if line)

    def _ask(
        self,
        purpose: str,
        command: Sequence[str],
        *,
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
        level: str = "",
    ) -> bytes:
        return self._call(purpose, command, stdin=stdin, env=env, level=level).out

    def _call(
        self,
        purpose: str,
        command: Sequence[str],
        *,
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
        accept: tuple[int, ...] | None = (0,),
        hooks: bool = False,
        level: str = "",
    ) -> _Answer:
        """Run git.

        ``accept`` lists the exit codes that are answers, None takes any; ``level`` is what a token must give.
        """
        try:
            done = subprocess.run(
                [*self._start(hooks=hooks), *command],
                input=stdin,
                capture_output=True,
                env={**_environment(), **(env or {})},
                check=False,
            )
        except (OSError, ValueError) as error:
            raise GitError(f"cannot {purpose}: {error}", where=str(self.directory)) from error
        answer = _Answer(done.returncode, done.stdout, self._discreet(done.stderr.decode("utf-8", "replace")))
        if accept is not None and answer.code not in accept:
            raise self._failed(purpose, answer.err, level)
        return answer

    def _reaching(self) -> dict[str, str]:
        """The variables of a command that reaches a remote, after the settings that are there already."""
        own = int(self._access.get("GIT_CONFIG_COUNT", "0"))
        given = os.environ.get("GIT_CONFIG_COUNT", "0")
        before = int(given) if own and re.fullmatch(r"[0-9]{1,4}", given) else 0
        settings = {
            f"GIT_CONFIG_{part}_{before + number}": self._access[f"GIT_CONFIG_{part}_{number}"]
            for part in ("KEY", "VALUE")
            for number in range(own)
        }
        return {**settings, "GIT_CONFIG_COUNT": str(before + own)} if own else {}

    def _discreet(self, told: str) -> str:
        """What git said, without the secrets that a server, say, may have repeated."""
        for name, value in self._access.items():
            secret = value.rpartition(" ")[2]
            if name.startswith("GIT_CONFIG_VALUE_") and len(secret) >= _SECRET:
                told = told.replace(secret, "***")
        return told

    def _start(self, *, hooks: bool = False) -> list[str]:
        settings = _SETTINGS if hooks else (*_SETTINGS, f"core.hooksPath={os.devnull}")
        options = [word for setting in settings for word in ("-c", setting)]
        return [_executable(), "--no-pager", "-C", str(self.directory), *options]

    def _failed(self, purpose: str, stderr: str, level: str = "") -> GitError:
        reason, todo = next(
            ((reason, todo) for pattern, reason, todo in _SYMPTOMS if pattern.search(stderr)), ("", "")
        )
        if level and self._access and _NOT_PERMITTED.search(stderr):
            reason, todo = "permission", _PERMISSION.format(level=level)
        elif level and self._access and reason == "repository-not-found":
            todo += f"; a token that lacks `contents: {level}` is told the same"
        return GitError(
            f"cannot {purpose}: {_told(stderr)}", where=str(self.directory), todo=todo, reason=reason
        )

    def _push_failure(self, remote: str, answer: _Answer) -> GitError:
        rejected = [line.split("\t", 2) for line in _text(answer.out).split("\n") if line.startswith("!\t")]
        told = "; ".join(
            f"{refs.rpartition(':')[2]} {self._discreet(summary)}" for _, refs, summary in rejected
        )
        # The one "failed to update ref" that no second try will cure: a branch a stands where a/b should.
        in_the_way = "; cannot create" in told + answer.err
        if not in_the_way and any(_MOVED.search(summary) for _, _, summary in rejected):
            return PushRejected(
                f"{redacted(remote)} is no longer as it was when it was last looked at: {told}",
                where=str(self.directory),
                todo="somebody else pushed in the meantime: look at the new state and try again",
            )
        failure = self._failed(f"push to {redacted(remote)}", f"{told}\n{answer.err}", "write")
        if not rejected and answer.code == 1 and not failure.todo:
            failure.todo = "a pre-push hook of this clone may have stopped it"
        return failure

    def _check_remote(self, remote: str) -> None:
        for address in (remote, self.remote_url(remote) or remote):
            if address.startswith("-") or not address or re.search(r"[\0-\x1f\x7f]", address):
                raise RefusedError(
                    "this is not the name or address of a remote",
                    where=redacted(address),
                    reason="remote-url",
                )
            if re.match(r"(ext|fd)::", address, re.IGNORECASE):
                raise RefusedError(
                    "a remote address of this kind runs commands on your machine, and is never used",
                    where=redacted(address),
                    todo="use an https, ssh or file address",
                    reason="remote-url",
                )

    def _oid(self, text: str) -> str:
        if not _OID.fullmatch(text):
            raise GitError(f"{text!r} is not an object id", where=str(self.directory), reason="object-id")
        return text

    def _commit(self, revision: str) -> str:
        oid = self.resolve(revision)
        if oid is None:
            raise GitError(f"there is no commit {revision!r}", where=str(self.directory), reason="no-commit")
        return oid

    def _tree(self, treeish: str) -> str:
        """The id of a tree, so that what is read twice is the same even if a branch moves."""
        command = ["rev-parse", "--verify", "--end-of-options", f"{treeish}^{{tree}}"]
        return self._oid(_text(self._ask("look up a tree", command)).removesuffix("\n"))

    def _common_directory(self) -> Path:
        command = ["rev-parse", "--path-format=absolute", "--git-common-dir"]
        found = self._ask("find the repository", command)
        return Path(_text(found).removesuffix("\n"))

    def _write_blobs(self, contents: Iterable[bytes]) -> None:
        # One process for any number of files; hash-object would need a file or a process for each.
        blobs = [b"blob\ndata %d\n%b\n" % (len(content), content) for content in contents]
        if blobs:
            stream = b"".join([*blobs, b"done\n"])
            self._ask("write files", ["fast-import", "--quiet", "--done"], stdin=stream)

    def _read(self, request: str, oid: str) -> bytes:
        self._oid(oid)
        with self._lock:
            try:
                self._reader = self._reader or _ObjectReader(self._start(), _environment())
                kind, content = self._reader.ask(request, oid)
            except BaseException as error:
                # Interrupted in the middle of an answer, the process would give it to the next question.
                told = self._reader.close() if self._reader else ""
                self._reader = None
                if isinstance(error, (EOFError, OSError)):
                    raise self._failed(f"read object {oid}", told or str(error)) from error
                raise
        if kind != "blob":
            problem = f"object {oid} is {'missing' if kind == 'missing' else f'a {kind}, not a file'}"
            raise GitError(problem, where=str(self.directory), reason="no-blob")
        return content


class _ObjectReader:
    """A running ``git cat-file --batch-command``: one question, one answer, in turn."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        # A file, since nobody reads its standard error while it runs, and a full pipe would stop it.
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (closed when the process ends)
        self._process = subprocess.Popen(
            [*command, "cat-file", "--batch-command"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=dict(environment),
        )
        self._end = weakref.finalize(self, _end, self._process, self._errors)

    def ask(self, request: str, oid: str) -> tuple[str, bytes]:
        """The type of an object ("missing" if it is not there) and its content, or its size in digits."""
        questions, answers = self._process.stdin, self._process.stdout
        assert questions is not None and answers is not None  # noqa: S101 (pipes were asked for)
        questions.write(f"{request} {oid}\n".encode())
        questions.flush()
        match answers.readline().decode("ascii", "replace").split():
            case [_, "missing"]:
                return "missing", b""
            case [_, kind, size]:
                pass
            case _:
                raise EOFError("git cat-file ended")
        if request == "info":
            return kind, size.encode()
        content = answers.read(int(size) + 1)
        if len(content) != int(size) + 1:
            raise EOFError("git cat-file ended in the middle of an object")
        return kind, content[:-1]

    def close(self) -> str:
        """End the process; returns what it had to say on standard error."""
        return self._end() or ""


def _end(process: subprocess.Popen[bytes], errors: IO[bytes]) -> str:
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):  # it ended before it had read all
                pipe.close()
    process.kill()
    process.wait()
    errors.seek(0)
    told = errors.read().decode("utf-8", "replace")
    errors.close()
    return told


def _executable() -> str:
    path = shutil.which("git")
    if path is None:
        raise _wrong_git("git is not installed, or not on the PATH")
    version = _version(path)
    if version < OLDEST_GIT:
        raise _wrong_git(f"git {version[0]}.{version[1]} is too old")
    return path


def _wrong_git(what: str) -> EnvironmentFault:
    oldest = ".".join(str(number) for number in OLDEST_GIT)
    return EnvironmentFault(what, todo=f"install git {oldest} or newer", reason="git-version")


@lru_cache(maxsize=8)
def _version(path: str) -> tuple[int, int]:
    try:
        said = subprocess.run([path, "--version"], capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise _wrong_git(f"{path} does not run") from error
    numbers = re.match(rb"git version (\d+)\.(\d+)", said.stdout)
    if numbers is None:
        raise _wrong_git(f"{path} does not say which version it is")
    return int(numbers[1]), int(numbers[2])


def _environment() -> dict[str, str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("GIT_") or _KEPT_VARIABLES.fullmatch(name)
    }
    if not _has_terminal():
        kept["GIT_TERMINAL_PROMPT"] = "0"
    # Messages are recognised, so they must be in one language.
    return {**kept, "LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0", "GIT_NO_REPLACE_OBJECTS": "1"}


def _has_terminal() -> bool:
    try:
        return sys.stdin is not None and sys.stdin.isatty()
    except ValueError:  # standard input is closed
        return False


def _well_formed(name: str) -> bool:
    """The rules of git-check-ref-format that do not depend on where in ``refs/`` the name stands."""
    parts = name.split("/")
    return (
        "" not in parts
        and not any(part.startswith(".") or part.endswith(".lock") for part in parts)
        and not name.endswith(".")
        and not re.search(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{", name)
        and _encodable(name)
    )


def _check_ref(ref: str) -> None:
    branch = ref.removeprefix("refs/heads/")
    fine = valid_branch(branch) if branch != ref else ref.startswith("refs/") and _well_formed(ref)
    if not fine:
        raise UsageError("this is not a full, valid ref name", where=ref, reason="ref-name")


def _encodable(text: str) -> bool:
    try:
        os.fsencode(text)
    except UnicodeEncodeError:
        return False
    return True


def _is_unicode(text: str) -> bool:
    return not re.search(r"[\ud800-\udfff]", text)


def _index_line(mode: int, oid: str, path: str) -> bytes:
    return b"%o %s\t%s\0" % (mode, oid.encode(), os.fsencode(path))


def _text(output: bytes) -> str:
    return os.fsdecode(output)


def _told(stderr: str) -> str:
    """Git's own words on one line, without its advice and prefixes, and not longer than a paragraph."""
    lines = (re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", line).strip() for line in stderr.splitlines())
    spoken = [
        re.sub(r"^(fatal|error): ", "", line) for line in lines if line and not line.startswith("hint:")
    ]
    text = redacted("; ".join(spoken)) or "git gave no reason"
    return text if len(text) <= _PARAGRAPH else text[:_PARAGRAPH] + " ..."


def redacted(text: str) -> str:
    """Text with no credentials left in the web addresses that it names."""
    return re.sub(r"(https?://)[^/\s]+@", r"\1***@", text)


def _commit(cells: Sequence[str]) -> Commit:
    oid, tree, parents, name, email, seconds, message = cells
    return Commit(oid.strip(), tree, tuple(parents.split()), Identity(name, email), _moment(seconds), message)


def _moment(seconds: str) -> datetime:
    try:
        return datetime.fromtimestamp(int(seconds or 0), timezone.utc)
    except (OverflowError, ValueError, OSError):
        return _LATEST


def _leaf(line: bytes) -> ListedBlob:
    facts, _, path = line.partition(b"\t")
    mode, kind, oid = facts.decode("ascii").split(" ")
    return ListedBlob(_canonical(int(mode, 8)), kind, oid, os.fsdecode(path))


def _canonical(mode: int) -> int:
    # Old trees carry modes such as 100664; git itself reads them as one of two.
    if not stat.S_ISREG(mode):
        return mode
    return 0o100755 if mode & stat.S_IXUSR else 0o100644
