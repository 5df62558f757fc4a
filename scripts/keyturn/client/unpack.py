"""Reads release archives, and nothing else that calls itself a tar.

An archive that gets here has been signed for by a threshold of people; it is read as if it had not. The
general tar formats carry decades of extensions that say where else a byte could go. This reader knows the
one form that `keyturn.release.archive` writes, and refuses the rest by name:

- one gzip member, nothing behind it; a ustar or pax tar, nothing but zeros behind its end;
- regular files (mode 0755 or 0644), directories, symbolic links. No hard links, devices, pipes, sparse or GNU
  members, no global headers;
- names under ``./`` or without it, by the rules of `keyturn.delta.manifest`; each once; nothing below a file
  or a link;
- links are made last, when all of them are known to lead to something inside the tree;
- no more members, and no more bytes, than :func:`bounds` allows: looked at before a byte is written.

Owners, times and the modes of directories in the archive are ignored.
"""

from __future__ import annotations

import hashlib
import os
import sys
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

from keyturn.client.errors import UnsafeArchiveError
from keyturn.delta.manifest import (
    EXECUTABLE,
    PLAIN,
    Item,
    Manifest,
    ManifestError,
    check_links,
    check_path,
    link_item,
)

_SECTOR = 512
_BLOCK = 1 << 20
_PAX_BOUND = 1 << 16
_SYNCS_AT_ONCE = 16
_EXCLUSIVE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
_KINDS: dict[bytes, Literal["file", "dir", "link"]] = {b"0": "file", b"\0": "file", b"5": "dir", b"2": "link"}
_REFUSED_KINDS = {
    b"1": "a hard link",
    b"3": "a character device",
    b"4": "a block device",
    b"6": "a named pipe",
    b"7": "a contiguous file",
    b"g": "a global header",
    b"K": "a GNU long link",
    b"L": "a GNU long name",
    b"S": "a sparse file",
}
# Of a pax header: what is obeyed, and what may stand there but says nothing that an installed tree has.
_PAX_OBEYED = frozenset({"path", "linkpath", "size"})
_PAX_IGNORED = frozenset({"atime", "ctime", "mtime", "uid", "gid", "uname", "gname", "comment"})


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much one archive may hold.

    Args:
        members: Most members.
        size: Most bytes when unpacked, tar headers included.
    """

    members: int
    size: int


@dataclass(frozen=True, slots=True)
class _Member:
    path: str
    kind: Literal["file", "dir", "link"]
    mode: int
    size: int
    target: str


def bounds(archive_size: int) -> Bounds:
    """What an archive of this size may hold.

    Real bundles shrink to a third or a tenth; an archive that grows more than a hundredfold was made to fill
    a disk. Small ones get 64 MiB, so that a test bundle full of zeros is no attack; none gets over 16 GiB.

    Args:
        archive_size: Length of the archive in bytes.

    Returns:
        The bounds that :func:`read` keeps by default.
    """
    return Bounds(members=200_000, size=min(16 << 30, (64 << 20) + 100 * archive_size))


def read(archive: Path, into: Path | None = None, *, within: Bounds | None = None) -> Manifest:
    """Read an archive to its end and say what is in it; unpack it if told where.

    Args:
        archive: A release archive.
        into: A directory, made by this call, that the tree is written to; it must not exist. None: nothing
            is written.
        within: Other bounds than those of :func:`bounds`.

    Returns:
        The manifest of what was read, which is also what was written: its digest is worth comparing.

    Raises:
        UnsafeArchiveError: Something in it is refused; what was unpacked so far is left for the caller.
        OSError: A file cannot be read or written.
    """
    allowed = within or bounds(archive.stat().st_size)
    if into is not None:
        into.mkdir(EXECUTABLE)
        into.chmod(EXECUTABLE)
    try:
        with archive.open("rb") as source:
            return _read(_Inflated(source, allowed.size), _Tree(into), allowed.members)
    except ManifestError as error:
        raise UnsafeArchiveError(error.what, where=error.where) from error
    except FileExistsError as error:
        # A disk that takes more names for the same than the rules of a manifest know of.
        where = str(error.filename)
        raise UnsafeArchiveError("two members are the same file on this system", where=where) from error


def _read(stream: _Inflated, tree: _Tree, most: int) -> Manifest:
    for count, member in enumerate(_members(stream)):
        if count == most:
            raise UnsafeArchiveError(f"the archive has more than {most} members")
        tree.add(member, stream)
    stream.expect_end()
    return tree.finish()


class _Inflated:
    """The bytes inside one gzip member, forwards only, at most so many."""

    def __init__(self, source: BinaryIO, most: int) -> None:
        self._source = source
        self._gzip = zlib.decompressobj(16 + zlib.MAX_WBITS)
        self._ready = memoryview(b"")  # a view: small members do not copy the block that they come in
        self._left = most

    def take(self, size: int) -> Iterator[memoryview]:
        """Exactly so many bytes, in pieces."""
        # A header that announces more than may come is refused before its first byte is written.
        if size > self._left:
            raise UnsafeArchiveError("the archive unpacks to more than is allowed for its size")
        self._left -= size
        while size:
            if not self._ready:
                self._ready = self._inflate()
            if not self._ready:
                raise UnsafeArchiveError("the archive ends too early")
            piece, self._ready = self._ready[:size], self._ready[size:]
            size -= len(piece)
            yield piece

    def sector(self) -> bytes:
        return b"".join(self.take(_SECTOR))

    def expect_end(self) -> None:
        """Only zeros may follow, as tar pads its last record."""
        rest = self._ready
        while rest or (rest := self._inflate()):
            if len(rest) > self._left or any(rest):
                raise UnsafeArchiveError("the archive goes on behind its end")
            self._left -= len(rest)
            rest = memoryview(b"")

    def _inflate(self) -> memoryview:
        while not self._gzip.eof:
            data = self._gzip.unconsumed_tail or self._source.read(_BLOCK)
            if not data:
                raise UnsafeArchiveError("the archive ends too early")
            try:
                piece = self._gzip.decompress(data, _BLOCK)
            except zlib.error as error:
                raise UnsafeArchiveError(f"the archive is not gzip: {error}") from error
            if piece:
                return memoryview(piece)
        if self._gzip.unused_data or self._source.read(1):
            raise UnsafeArchiveError("the archive goes on behind its end")
        return memoryview(b"")


class _Tree:
    """A tree that grows member by member, on disk or only in name."""

    def __init__(self, root: Path | None) -> None:
        self._root = root
        self._items: list[Item] = []
        self._links: dict[str, str] = {}
        self._listed: set[str] = set()
        self._leaves: set[str] = set()
        self._directories: set[str] = {""}

    def add(self, member: _Member, stream: _Inflated) -> None:
        path = member.path
        if path in self._listed:
            raise UnsafeArchiveError("the archive has a member twice", where=path)
        self._listed.add(path)
        if member.kind == "dir":
            if path:
                self._make_directory(path)
            return
        self._make_directory(path.rpartition("/")[0])
        if path in self._directories:
            raise UnsafeArchiveError("a member of the archive is a directory and something else", where=path)
        self._leaves.add(path)
        if member.kind == "link":
            self._items.append(link_item(path, member.target))
            self._links[path] = member.target
        else:
            self._items.append(self._take_file(member, stream))

    def finish(self) -> Manifest:
        """Make the links, and bring everything to the disk for good."""
        implied = {path.rpartition("/")[0] for path in self._directories | self._leaves if path}
        empty = self._directories - implied - {""}
        manifest = Manifest.of([*self._items, *(Item(path, "dir", 0, 0, "") for path in empty)])
        check_links(self._links, manifest.items)
        if self._root is not None:
            for path, target in self._links.items():
                (self._root / path).symlink_to(target)
            self._sync(self._root)
        return manifest

    def _sync(self, root: Path) -> None:
        # Together, since a disk that is told one by one takes ten times as long for a thousand files.
        files = [root / item.path for item in self._items if item.kind == "file"]
        with ThreadPoolExecutor(_SYNCS_AT_ONCE) as pool:
            list(pool.map(sync_file, files))
            list(pool.map(sync_directory, [root / path for path in self._directories]))

    def _make_directory(self, path: str) -> None:
        above = path
        missing = []
        while above not in self._directories:
            if above in self._leaves:
                raise UnsafeArchiveError("a member of the archive lies below a file or a link", where=path)
            missing.append(above)
            above = above.rpartition("/")[0]
        for directory in reversed(missing):
            self._directories.add(directory)
            if self._root is not None:
                (self._root / directory).mkdir(EXECUTABLE)
                (self._root / directory).chmod(EXECUTABLE)

    def _take_file(self, member: _Member, stream: _Inflated) -> Item:
        digest = hashlib.sha256()
        if self._root is None:
            for piece in stream.take(member.size):
                digest.update(piece)
        else:
            descriptor = os.open(self._root / member.path, _EXCLUSIVE, member.mode)
            with os.fdopen(descriptor, "wb") as file:
                for piece in stream.take(member.size):
                    digest.update(piece)
                    file.write(piece)
            (self._root / member.path).chmod(member.mode)
        for padding in stream.take(-member.size % _SECTOR):
            if any(padding):
                raise UnsafeArchiveError("a member is not padded with zeros", where=member.path)
        return Item(member.path, "file", member.mode, member.size, digest.hexdigest())


def _members(stream: _Inflated) -> Iterator[_Member]:
    """The members up to the end mark; whoever asks for the next has taken the content of the one before."""
    while (header := stream.sector()).strip(b"\0"):
        _check_header(header)
        pax: dict[str, str] = {}
        if header[156:157] == b"x":
            pax = _pax(stream, _number(header[124:136], "size"))
            header = stream.sector()
            _check_header(header)
        yield _member(header, pax)
    if stream.sector().strip(b"\0"):
        raise UnsafeArchiveError("the archive goes on behind its end")


def _check_header(header: bytes) -> None:
    if header[257:265] != b"ustar\x0000":
        raise UnsafeArchiveError("the archive is not a tar of the ustar or pax form")
    blank = header[:148] + b" " * 8 + header[156:]
    if sum(blank) != _number(header[148:156], "checksum"):
        raise UnsafeArchiveError("a header of the archive is damaged")


def _number(field: bytes, name: str) -> int:
    digits = field.rstrip(b"\0 ")
    if not digits or digits.strip(b"01234567"):
        raise UnsafeArchiveError(f"the {name} in a header of the archive is not octal")
    return int(digits, 8)


def _text(field: bytes) -> str:
    try:
        return field.partition(b"\0")[0].decode()
    except UnicodeDecodeError as error:
        raise UnsafeArchiveError("a name in the archive is not UTF-8") from error


def _pax(stream: _Inflated, size: int) -> dict[str, str]:
    if size > _PAX_BOUND:
        raise UnsafeArchiveError("a pax header of the archive is too long")
    data = b"".join(stream.take(size + -size % _SECTOR))[:size]
    records: dict[str, str] = {}
    while data:
        length, _, rest = data.partition(b" ")
        end = int(length) if length.isdigit() and len(length) < 6 else 0  # noqa: PLR2004 (_PAX_BOUND's digits)
        key, equals, value = rest[: end - len(length) - 1].partition(b"=")
        if not len(length) + 2 < end <= len(data) or not equals or not value.endswith(b"\n"):
            raise UnsafeArchiveError("a pax header of the archive is damaged")
        name = _text(key)
        if name in records or name not in _PAX_OBEYED | _PAX_IGNORED or b"\0" in value:
            raise UnsafeArchiveError(f"a pax header of the archive says what is not obeyed: {name}")
        records[name] = _text(value[:-1])
        data = data[end:]
    return records


def _member(header: bytes, pax: dict[str, str]) -> _Member:
    flag = header[156:157]
    name = pax.get("path") or _ustar_name(header)
    if flag not in _KINDS:
        what = _REFUSED_KINDS.get(flag, f"a member of type {flag!r}")
        raise UnsafeArchiveError(f"the archive has {what}", where=name)
    kind = _KINDS[flag]
    path = _tree_path(name, kind)
    mode = _number(header[100:108], "mode") & 0o7777
    if kind == "file" and mode not in (EXECUTABLE, PLAIN):
        raise UnsafeArchiveError(f"a file in the archive has mode {mode:04o}, not 0755 or 0644", where=name)
    size = _pax_size(pax["size"]) if "size" in pax else _number(header[124:136], "size")
    if kind != "file" and size:
        raise UnsafeArchiveError("a directory or link in the archive has content", where=name)
    return _Member(path, kind, mode, size, pax.get("linkpath") or _text(header[157:257]))


def _ustar_name(header: bytes) -> str:
    prefix = _text(header[345:500])
    name = _text(header[:100])
    return f"{prefix}/{name}" if prefix else name


def _tree_path(name: str, kind: str) -> str:
    path = name.removesuffix("/") if kind == "dir" else name
    if kind == "dir" and path == ".":
        return ""
    path = path.removeprefix("./")
    check_path(path)
    return path


def _pax_size(digits: str) -> int:
    if not digits.isascii() or not digits.isdigit() or len(digits) > 19:  # noqa: PLR2004 (digits of 2**63)
        raise UnsafeArchiveError("the size in a pax header of the archive is not a number")
    return int(digits)


def sync_file(file: Path) -> None:
    """Bring a file's content to the disk.

    Args:
        file: A file that this process may write.

    Raises:
        OSError: The disk says no.
    """
    descriptor = os.open(file, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_directory(directory: Path) -> None:
    """Bring a directory's own entries to the disk, where the system has a way to ask for it.

    Args:
        directory: The directory whose files were just made, replaced or removed.

    Raises:
        OSError: The disk says no.
    """
    if sys.platform != "win32":
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
