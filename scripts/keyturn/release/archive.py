"""A bundle directory becomes one archive, the same bytes each time.

The form (DESIGN section 5; what field clients need of it stands in `keyturn.client.unpack`):

- a tar in ustar form, with pax headers where a name is long or not ASCII, inside one gzip member;
- a member per item of the tree's manifest, in its order, named ``./<path>``: the bundle's content is at the
  top level, and directories are written only if they are empty;
- owner and group 0 without names, times 0, modes 0755 and 0644 only;
- a gzip header without name, time or system, level 9, and the data handed to it in blocks of one size.

So neither the clock, the umask, the user, the order in which a disk lists files nor the Python version
shows in the archive. What may: the *compressed* bytes are those of the zlib that Python was built with, and
two zlibs (zlib and zlib-ng, above all) may compress differently. The tar inside and the tree digest are the
same everywhere; whoever rebuilds a release on another machine compares those.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import struct
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from keyturn.client import unpack
from keyturn.delta.manifest import EXECUTABLE, Item, Manifest, ManifestError, scan
from keyturn.errors import EnvironmentFault, UsageError

_GZIP_HEADER = bytes.fromhex("1f8b 08 00 00000000 02 ff")  # no name, no time, best compression, no system
_BLOCK = 1 << 16
_SECTOR = 512
_RECORD = 20 * _SECTOR


@dataclass(frozen=True, slots=True)
class Packed:
    """An archive that was written.

    Args:
        path: Where it lies.
        size: Its length in bytes.
        sha256: SHA-256 of its bytes, lower hex.
        tree: Digest of the manifest of what is in it, lower hex.
        files: How many files, links and empty directories are in it.
    """

    path: Path
    size: int
    sha256: str
    tree: str
    files: int


def pack(directory: Path, out: Path) -> Packed:
    """Write a directory's tree to an archive, reproducibly, in pieces that fit into memory.

    The archive is read back with the client's own unpacker before it takes its name: what is packed can
    be installed.

    Args:
        directory: The bundle, as a build made it.
        out: The archive to write, usually ``<app>-<version>.tar.gz``; replaced at once if it is there.

    Returns:
        What was written.

    Raises:
        ManifestError: The tree is empty, has something in it that no archive may hold, changed while it was
            read, or is more than a client would unpack (reason ``unsafe-tree`` or ``unsafe-archive``).
        UsageError: ``out`` lies inside ``directory``.
        EnvironmentFault: A file cannot be read or written (reason ``disk``).
    """
    if out.resolve().is_relative_to(directory.resolve()):
        raise UsageError(
            "the archive would become part of itself", where=str(out), todo="write it to another directory"
        )
    manifest = scan(directory)
    if not manifest.items:
        raise ManifestError("there is nothing in the bundle", where=str(directory))
    unfinished = out.with_name(f".{out.name}.part")
    try:
        with unfinished.open("wb") as file:
            gzip = _Gzip(file)
            for piece in _tar(directory, manifest):
                gzip.write(piece)
            gzip.finish()
        if unpack.read(unfinished) != manifest:
            raise ManifestError("the bundle changed while it was packed", where=str(directory))
        unfinished.replace(out)
    except OSError as error:
        where = str(error.filename or out)
        raise EnvironmentFault(f"cannot be packed: {error.strerror}", where=where, reason="disk") from error
    finally:
        with contextlib.suppress(OSError):
            unfinished.unlink()
    return Packed(out, gzip.size, gzip.sha256, manifest.digest, len(manifest.items))


class _Gzip:
    """One gzip member whose every byte is ours but for the deflated data."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
        self._waiting = bytearray()
        self._crc = 0
        self._length = 0
        self._digest = hashlib.sha256()
        self.size = 0
        self._put(_GZIP_HEADER)

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def write(self, data: bytes) -> None:
        self._crc = zlib.crc32(data, self._crc)
        self._length += len(data)
        self._waiting += data
        # Blocks of one size: what a compressor makes may depend on how it is fed.
        while len(self._waiting) >= _BLOCK:
            self._put(self._deflate.compress(self._waiting[:_BLOCK]))
            del self._waiting[:_BLOCK]

    def finish(self) -> None:
        self._put(self._deflate.compress(self._waiting) + self._deflate.flush())
        self._put(struct.pack("<II", self._crc, self._length & 0xFFFFFFFF))

    def _put(self, data: bytes) -> None:
        self._file.write(data)
        self._digest.update(data)
        self.size += len(data)


def _tar(directory: Path, manifest: Manifest) -> Iterator[bytes]:
    length = 0
    for item in manifest.items:
        source = directory / item.path
        header = _header(item, source)
        yield header
        length += len(header)
        if item.kind == "file":
            yield from _content(source, item)
            length += item.size + -item.size % _SECTOR
    yield bytes(2 * _SECTOR + -(length + 2 * _SECTOR) % _RECORD)


def _header(item: Item, source: Path) -> bytes:
    member = tarfile.TarInfo(f"./{item.path}")
    if item.kind == "link":
        member.type = tarfile.SYMTYPE
        member.linkname = os.readlink(source)  # noqa: PTH115 (a Path would tidy the text up)
        member.mode = 0o777
    elif item.kind == "dir":
        member.type = tarfile.DIRTYPE
        member.mode = EXECUTABLE
    else:
        member.size = item.size
        member.mode = item.mode
    return member.tobuf(tarfile.PAX_FORMAT, "utf-8", "strict")


def _content(source: Path, item: Item) -> Iterator[bytes]:
    left = item.size
    with source.open("rb") as file:
        # A header has been written that promises a length; it is kept whatever happens to the file, and
        # reading the archive back tells whether it was the content that the manifest describes.
        while left and (block := file.read(min(left, _BLOCK))):
            left -= len(block)
            yield block
    yield bytes(left + -item.size % _SECTOR)
