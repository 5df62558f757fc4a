"""Read bytes by path from a git commit, a directory or memory, all through one protocol.

A tree is a set of leaves (files, links, submodules) named by paths: text with ``/`` between the parts and
undecodable bytes kept as ``os.fsdecode`` keeps them. Directories exist only as parts of paths. The same
content gives equal entries whatever it is read from, so that two trees are compared by :func:`changes`
without regard to where they lie. Nothing here follows a link, and nothing judges what a tree contains:
paths may be hostile, and are refused only where they are about to be written.
"""

from __future__ import annotations

import errno
import hashlib
import itertools
import os
import secrets
import shutil
import stat
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from fnmatch import fnmatchcase
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO, Protocol

from keyturn.errors import EnvironmentFault, KeyturnError, RefusedError
from keyturn.git import Git, GitError, blob_id, check_path, displaced, parents_of

_PLAIN = 0o100644
_EXECUTABLE = 0o100755
_LINK = 0o120000
_SUBMODULE = 0o160000
_NO_LINKS: Mapping[str, str] = MappingProxyType({})


class NotInTree(KeyturnError):
    """There is no file of this path in the tree."""

    default_reason = "not-in-tree"


class Kind(str, Enum):
    """What a leaf is."""

    FILE = "file"
    LINK = "link"
    SUBMODULE = "submodule"


@dataclass(frozen=True, slots=True)
class Entry:
    """One leaf of a tree.

    Attributes:
        path: Where it is.
        kind: What it is.
        mode: Mode as git has it: 0o100644, 0o100755 (executable), 0o120000 (link), 0o160000 (submodule).
        blob: Git's id of the content: for a link of its target text, for a submodule the commit.
    """

    path: str
    kind: Kind
    mode: int
    blob: str


@dataclass(frozen=True, slots=True)
class Change:
    """One path at which two trees differ; None on the side that does not have it."""

    path: str
    old: Entry | None
    new: Entry | None


class Tree(Protocol):
    """What every tree can do."""

    @property
    def name(self) -> str:
        """What to call the tree in messages."""

    def entries(self) -> Mapping[str, Entry]:
        """All leaves by path, sorted by path; the same on every call. Asking for paths reads no content."""

    def read(self, path: str) -> bytes:
        """The content of a file.

        Raises:
            NotInTree: There is no file of this path.
        """

    def size(self, path: str) -> int:
        """The size of a file in bytes.

        Raises:
            NotInTree: There is no file of this path.
        """


class MemoryTree:
    """A tree made of what it is given.

    Args:
        files: Content by path.
        links: Target text by path.
        executable: Those of the files that are executable.
        name: What to call it in messages.

    Raises:
        RefusedError: A path is both a file and a link.
    """

    def __init__(
        self,
        files: Mapping[str, bytes],
        *,
        links: Mapping[str, str] = _NO_LINKS,
        executable: Collection[str] = (),
        name: str = "memory",
    ) -> None:
        if clash := sorted(files.keys() & links.keys()):
            raise RefusedError(
                "this path cannot be both a file and a link", where=clash[0], reason="path-clash"
            )
        self._files = dict(files)
        self._links = dict(links)
        self._executable = frozenset(executable)
        self._entries = _Entries([*files, *links], self._entry)
        self.name = name

    def entries(self) -> Mapping[str, Entry]:
        """See :meth:`Tree.entries`."""
        return self._entries

    def read(self, path: str) -> bytes:
        """See :meth:`Tree.read`."""
        if path not in self._files:
            raise _not_in(self, path)
        return self._files[path]

    def size(self, path: str) -> int:
        """See :meth:`Tree.size`."""
        return len(self.read(path))

    def _entry(self, path: str) -> Entry:
        if path in self._links:
            return Entry(path, Kind.LINK, _LINK, blob_id(os.fsencode(self._links[path])))
        mode = _EXECUTABLE if path in self._executable else _PLAIN
        return Entry(path, Kind.FILE, mode, blob_id(self._files[path]))


class DirectoryTree:
    """The files of a directory as they are on disk; links in it are leaves and never followed.

    The directory is listed once, at the first question; content is read when asked for. Files that change
    in between are read as they are then, those that vanish are an :class:`EnvironmentFault`.

    Args:
        directory: The directory; it may itself be reached through a link.

    Raises:
        EnvironmentFault: It, or something in it, cannot be read (from every method).
        RefusedError: It holds a socket, pipe or device (from every method).
    """

    def __init__(self, directory: Path) -> None:
        self.name = str(directory)
        self._directory = directory
        self._modes: dict[str, int] = {}
        self._entries: _Entries | None = None

    def entries(self) -> Mapping[str, Entry]:
        """See :meth:`Tree.entries`."""
        if self._entries is None:
            with _disk_faults("read", self._directory):
                self._modes = dict(_scan(self._directory))
            self._entries = _Entries(self._modes, self._entry)
        return self._entries

    def read(self, path: str) -> bytes:
        """See :meth:`Tree.read`."""
        file = self._file(path)
        with _disk_faults("read", file), _opened(file) as stream:
            return stream.read()

    def size(self, path: str) -> int:
        """See :meth:`Tree.size`."""
        file = self._file(path)
        with _disk_faults("read", file):
            return file.lstat().st_size

    def _file(self, path: str) -> Path:
        if path not in self.entries() or self._modes[path] == _LINK:
            raise _not_in(self, path)
        return self._directory / path

    def _entry(self, path: str) -> Entry:
        mode = self._modes[path]
        where = self._directory / path
        with _disk_faults("read", where):
            if mode == _LINK:
                return Entry(path, Kind.LINK, mode, blob_id(os.fsencode(where.readlink())))
            return Entry(path, Kind.FILE, mode, _blob_id_of(where))


class GitTree:
    """The tree of a commit, read from git's object store without a checkout.

    It is listed once, at the first question; a branch that moves later changes nothing.

    Args:
        git: The repository.
        treeish: Commit, tree, or revision that names one.

    Raises:
        GitError: There is no such tree, or it names a path twice (from every method).
    """

    def __init__(self, git: Git, treeish: str) -> None:
        self.name = treeish
        self._git = git
        self._entries: Mapping[str, Entry] | None = None

    def entries(self) -> Mapping[str, Entry]:
        """See :meth:`Tree.entries`."""
        if self._entries is None:
            leaves = self._git.list_tree(self.name)
            found = {leaf.path: Entry(leaf.path, _kind(leaf.mode), leaf.mode, leaf.oid) for leaf in leaves}
            if len(found) != len(leaves):
                raise GitError("this tree names a path twice", where=self.name, reason="malformed-objects")
            self._entries = MappingProxyType(dict(sorted(found.items())))
        return self._entries

    def read(self, path: str) -> bytes:
        """See :meth:`Tree.read`."""
        return self._git.read_blob(self._file(path).blob)

    def size(self, path: str) -> int:
        """See :meth:`Tree.size`."""
        return self._git.blob_size(self._file(path).blob)

    def _file(self, path: str) -> Entry:
        entry = self.entries().get(path)
        if entry is None or entry.kind is not Kind.FILE:
            raise _not_in(self, path)
        return entry


def overlay(tree: Tree, changes: Mapping[str, bytes | None]) -> Tree:
    """A tree with some files changed; what :meth:`Git.write_tree` writes for the same changes.

    Args:
        tree: What to start from; it is not touched.
        changes: Path to new content; None removes the file, link or submodule of this path.

    Returns:
        The changed tree.

    Raises:
        RefusedError: A changed path would have to be a file and a directory at once.
    """
    return _Overlay(tree, changes)


def changes(old: Tree, new: Tree) -> tuple[Change, ...]:
    """The paths at which kind, mode or content of two trees differ, sorted."""
    before, after = old.entries(), new.entries()
    pairs = ((path, before.get(path), after.get(path)) for path in sorted(before.keys() | after.keys()))
    return tuple(Change(path, was, now) for path, was, now in pairs if was != now)


def write_directory(tree: Tree, directory: Path, *, last: Sequence[str] = ()) -> None:
    """Make a directory equal to a tree, while a web server may be serving it.

    Every file that differs is written beside its place, synced to disk and moved there, so that a reader
    sees the old file or the new one. Files named in ``last`` appear after all others, in the order of the
    patterns: what points at other files goes last. What the tree does not have is deleted at the very end;
    unchanged files are not touched. Links in the directory are removed, never written through.

    Args:
        tree: Files only.
        directory: Made when missing. All else in it is deleted; one that is a git checkout is refused.
        last: Patterns in which ``*`` and ``?`` never match ``/``; of several that match, the last counts.

    Raises:
        RefusedError: The tree has a link, a submodule or an unsafe path, or the directory is a checkout;
            nothing was written.
        EnvironmentFault: The disk does not let it happen.
    """
    files = tree.entries()
    _refuse_unwritable(tree, directory)
    with _disk_faults("write", directory):
        writer = _DirectoryWriter(directory)
        ranked = sorted((_rank(path, last), path) for path in files)
        for _, group in itertools.groupby(ranked, key=lambda pair: pair[0]):
            for _, path in group:
                writer.write(path, tree.read(path), executable=files[path].mode == _EXECUTABLE)
            writer.sync()
        writer.delete_all_but(files)
        writer.sync()


class _Entries(Mapping[str, Entry]):
    """Leaves whose paths are known and whose content is hashed when its entry is first asked for."""

    def __init__(self, paths: Iterable[str], make: Callable[[str], Entry]) -> None:
        self._known: dict[str, Entry | None] = dict.fromkeys(sorted(paths))
        self._make = make

    def __getitem__(self, path: str) -> Entry:
        entry = self._known[path]
        if entry is None:
            entry = self._known[path] = self._make(path)
        return entry

    def __contains__(self, path: object) -> bool:
        return path in self._known

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)


class _Overlay:
    def __init__(self, base: Tree, changes: Mapping[str, bytes | None]) -> None:
        self.name = f"{base.name} with changes"
        self._base = base
        self._written = {path: content for path, content in changes.items() if content is not None}
        existing = base.entries()
        gone = displaced(existing, self._written) | (changes.keys() - self._written.keys())
        self._entries = _Entries((existing.keys() | self._written.keys()) - gone, self._entry)

    def entries(self) -> Mapping[str, Entry]:
        return self._entries

    def read(self, path: str) -> bytes:
        if path in self._written:
            return self._written[path]
        return self._kept(path).read(path)

    def size(self, path: str) -> int:
        if path in self._written:
            return len(self._written[path])
        return self._kept(path).size(path)

    def _kept(self, path: str) -> Tree:
        if path not in self._entries:
            raise _not_in(self, path)
        return self._base

    def _entry(self, path: str) -> Entry:
        was = self._base.entries().get(path)
        if path not in self._written and was is not None:
            return was
        mode = was.mode if was is not None and was.kind is Kind.FILE else _PLAIN
        return Entry(path, Kind.FILE, mode, blob_id(self._written[path]))


class _DirectoryWriter:
    """Writes files below one directory by renaming, and remembers which directories it changed."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._top = directory
        self._ready = {directory}
        self._changed: set[Path] = set()

    def write(self, path: str, content: bytes, *, executable: bool) -> None:
        file = self._top / path
        self._make_directory(file.parent)
        found = _lstat(file)
        if found is not None and _is_same(file, found, content, executable=executable):
            return
        if found is not None and stat.S_ISDIR(found.st_mode):
            shutil.rmtree(file)
        new = file.with_name(f".keyturn-{secrets.token_hex(8)}.new")
        mode = 0o777 if executable else 0o666  # less what the person's umask takes away
        try:
            with open(new, "xb", opener=lambda name, flags: os.open(name, flags, mode)) as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            new.replace(file)
        finally:
            new.unlink(missing_ok=True)
        self._changed.add(file.parent)

    def delete_all_but(self, files: Collection[str]) -> None:
        needed = {self._top / parent for path in files for parent in parents_of(path)}
        kept = {self._top / path for path in files}
        for place, directories, leaves in os.walk(self._top, topdown=False, onerror=_raise):
            here = Path(place)
            for leaf in (here / name for name in leaves):
                if leaf not in kept:
                    leaf.unlink()
                    self._changed.add(here)
            for below in (here / name for name in directories):
                if below.is_symlink():
                    below.unlink()
                elif below not in needed:
                    below.rmdir()
                    self._changed.discard(below)
                else:
                    continue
                self._changed.add(here)

    def sync(self) -> None:
        """Have the disk keep the renames made so far before any that come after."""
        for directory in self._changed if os.name != "nt" else ():
            handle = os.open(directory, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
        self._changed.clear()

    def _make_directory(self, directory: Path) -> None:
        if directory in self._ready:
            return
        self._make_directory(directory.parent)
        found = _lstat(directory)
        if found is None or not stat.S_ISDIR(found.st_mode):
            if found is not None:
                directory.unlink()
            directory.mkdir()
            self._changed.add(directory.parent)
        self._ready.add(directory)


def _refuse_unwritable(tree: Tree, directory: Path) -> None:
    files = tree.entries()
    for path in files:
        check_path(path)
    displaced((), files)
    for entry in files.values():
        if entry.kind is not Kind.FILE:
            raise RefusedError(
                f"a {entry.kind.value} cannot be written to a directory",
                where=entry.path,
                reason=entry.kind.value,
            )
    if os.path.lexists(directory / ".git"):
        raise RefusedError(
            "this directory is a git checkout, and all that is not to be written there would be deleted",
            where=str(directory),
            todo="name an empty directory, or one written before",
            reason="checkout",
        )


def _rank(path: str, patterns: Sequence[str]) -> int:
    return max((place for place, pattern in enumerate(patterns, 1) if _matches(path, pattern)), default=0)


def _matches(path: str, pattern: str) -> bool:
    parts, globs = path.split("/"), pattern.split("/")
    return len(parts) == len(globs) and all(map(fnmatchcase, parts, globs))


def _is_same(file: Path, found: os.stat_result, content: bytes, *, executable: bool) -> bool:
    if not stat.S_ISREG(found.st_mode) or found.st_size != len(content):
        return False
    return _is_executable(found.st_mode) == executable and file.read_bytes() == content


def _lstat(path: Path) -> os.stat_result | None:
    try:
        return path.lstat()
    except FileNotFoundError:
        return None


def _raise(error: OSError) -> None:
    raise error


def _scan(top: Path) -> Iterator[tuple[str, int]]:
    """Path and mode of every leaf below a directory."""
    waiting = [""]
    while waiting:
        prefix = waiting.pop()
        with os.scandir(top / prefix) as found:
            for item in found:
                mode = item.stat(follow_symlinks=False).st_mode
                if stat.S_ISDIR(mode):
                    waiting.append(f"{prefix}{item.name}/")
                else:
                    yield prefix + item.name, _git_mode(item.path, mode)


def _git_mode(path: str, mode: int) -> int:
    if stat.S_ISLNK(mode):
        return _LINK
    if not stat.S_ISREG(mode):
        raise RefusedError(
            "this is neither a file, a link nor a directory", where=path, reason="special-file"
        )
    return _EXECUTABLE if _is_executable(mode) else _PLAIN


def _is_executable(mode: int) -> bool:
    return bool(mode & stat.S_IXUSR)


def _kind(mode: int) -> Kind:
    return {_LINK: Kind.LINK, _SUBMODULE: Kind.SUBMODULE}.get(mode, Kind.FILE)


@contextmanager
def _opened(file: Path) -> Iterator[BinaryIO]:
    # A file swapped for a link or a pipe since the listing must not be followed, nor waited for.
    guards = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    with open(file, "rb", opener=lambda name, flags: os.open(name, flags | guards)) as stream:
        if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            raise OSError(errno.ESTALE, "it is no longer a file")
        yield stream


def _blob_id_of(file: Path) -> str:
    with _opened(file) as stream:
        size = os.fstat(stream.fileno()).st_size
        digest = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
        seen = 0
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
            seen += len(chunk)
    if seen != size:
        raise OSError(errno.ESTALE, "it changed while it was read")
    return digest.hexdigest()


@contextmanager
def _disk_faults(verb: str, place: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        where = str(error.filename or place)
        raise EnvironmentFault(
            "there is no such file or directory", where=where, reason="vanished"
        ) from error
    except OSError as error:
        where = os.fsdecode(error.filename) if isinstance(error.filename, (str, bytes)) else str(place)
        raise EnvironmentFault(f"cannot {verb} this: {error.strerror or error}", where=where) from error


def _not_in(tree: Tree, path: str) -> NotInTree:
    return NotInTree(f"there is no such file in {tree.name}", where=path)
