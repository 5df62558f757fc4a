r"""The manifest: what is in an installed tree, written so that any two machines write the same bytes.

The SHA-256 of a manifest's bytes is the *tree* digest. It stands in the signed metadata beside each release
and is the one truth about what is installed: archives, patches and file systems are only ways to get there.

The bytes, byte for byte (DESIGN section 5):

.. code-block:: text

    {"format":1,"items":[ITEM,ITEM,...]}
    ITEM = {"kind":KIND,"mode":MODE,"path":PATH,"sha256":SHA256,"size":SIZE}

JSON in UTF-8 without any blank or newline; keys in the order shown; the only escape in a string is ``\"``;
items ascend by the bytes of their path.

========  ====================  ====================================  ==============================
``kind``  ``mode``              ``sha256``                            ``size``
========  ====================  ====================================  ==============================
file      493 (0755: the owner  of the content                        of the content, in bytes
          may execute it) or
          420 (0644)
link      0                     of the link's text in UTF-8           of the link's text, in bytes
dir       0                     empty                                 0
========  ====================  ====================================  ==============================

A directory is listed only if it is empty: every other one follows from what lies in it. Owners, times and
finer permissions are no part of a tree.

What a path may be, so that a tree comes out the same on every system and never outside its directory:

- relative, with ``/`` between parts; no part empty, ``.`` or ``..``; at most 1024 bytes, a part at most 255;
- no backslash and no colon (they mean something else on Windows), no control character, no line or paragraph
  separator, nothing that UTF-8 cannot write; apart from that it is kept as it is, never normalised;
- no two paths, nor parts of them that are directories, differ only by letter case or Unicode normal form: on
  Windows and macOS they would be one;
- nothing lies below a file or a link.

A link is relative and leads, through as many other links as there are, to something else in the same tree.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, cast, get_args

from keyturn.errors import EnvironmentFault, RefusedError

Kind = Literal["file", "dir", "link"]

FORMAT = 1
EXECUTABLE = 0o755
PLAIN = 0o644

_KINDS: tuple[str, ...] = get_args(Kind)
_MAX_PATH = 1024
_MAX_PART = 255
_MAX_SIZE = 2**53 - 1  # the largest integer that every JSON reader keeps exact
_MAX_HOPS = 40  # what Linux allows; a longer way is a loop or a joke
_BLOCK = 1 << 20
_SHA256 = re.compile(r"[0-9a-f]{64}")
_FIELDS = frozenset({"kind", "mode", "path", "sha256", "size"})
_UNPRINTABLE = frozenset({"Cc", "Cs", "Zl", "Zp"})


class ManifestError(RefusedError):
    """A tree cannot be described, or a description is not one."""

    default_reason: ClassVar[str] = "unsafe-tree"


@dataclass(frozen=True, slots=True)
class Item:
    """One leaf of a tree; see the module's text for what each field may be.

    Args:
        path: Relative path with ``/``.
        kind: ``file``, ``dir`` (an empty one) or ``link``.
        mode: 0o755 or 0o644 for a file, else 0.
        size: Bytes of content, or of a link's text; 0 for a directory.
        sha256: 64 lower hex digits of content or link text; empty for a directory.

    Raises:
        ManifestError: A field has a value that it may not have.
    """

    path: str
    kind: Kind
    mode: int
    size: int
    sha256: str

    def __post_init__(self) -> None:
        check_path(self.path)
        is_dir = self.kind == "dir"
        fits = (
            self.kind in _KINDS
            and self.mode in ((EXECUTABLE, PLAIN) if self.kind == "file" else (0,))
            and (self.size == 0 if is_dir else 0 <= self.size <= _MAX_SIZE)
            and (self.sha256 == "" if is_dir else bool(_SHA256.fullmatch(self.sha256)))
        )
        if not fits:
            raise ManifestError(f"not a valid {self.kind} item", where=self.path)


@dataclass(frozen=True, slots=True)
class Manifest:
    """All leaves of one tree.

    Args:
        items: Ascending by the bytes of their paths; :meth:`of` sorts.

    Raises:
        ManifestError: Two items get in each other's way, or they are out of order.
    """

    items: tuple[Item, ...]

    def __post_init__(self) -> None:
        _check_together(self.items)

    @classmethod
    def of(cls, items: Iterable[Item]) -> Manifest:
        """The manifest with these items, in whatever order they come.

        Args:
            items: The leaves of one tree.

        Returns:
            The manifest.

        Raises:
            ManifestError: Two items get in each other's way.
        """
        return cls(tuple(sorted(items, key=lambda item: item.path.encode())))

    @classmethod
    def from_bytes(cls, data: bytes) -> Manifest:
        """Read a manifest back; anything but the canonical bytes is refused.

        Args:
            data: What :meth:`to_bytes` writes.

        Returns:
            The manifest whose digest is the SHA-256 of ``data``.

        Raises:
            ManifestError: ``data`` is not the canonical form of a valid manifest.
        """
        try:
            top = json.loads(data.decode())
        except (ValueError, RecursionError) as error:
            raise ManifestError(f"a manifest is not JSON: {error}") from error
        if not isinstance(top, dict) or set(top) != {"format", "items"}:
            raise ManifestError('a manifest has exactly the fields "format" and "items"')
        if top["format"] != FORMAT:
            raise ManifestError(f"this version of Keyturn reads manifests of format {FORMAT} only")
        if not isinstance(top["items"], list):
            raise ManifestError('"items" of a manifest is a list')
        manifest = cls(tuple(_item(raw) for raw in top["items"]))
        if manifest.to_bytes() != data:
            raise ManifestError("a manifest is not in its canonical form")
        return manifest

    def to_bytes(self) -> bytes:
        """The canonical bytes, as the module's text specifies them."""
        items = [
            {"kind": i.kind, "mode": i.mode, "path": i.path, "sha256": i.sha256, "size": i.size}
            for i in self.items
        ]
        top = {"format": FORMAT, "items": items}
        return json.dumps(top, ensure_ascii=False, separators=(",", ":")).encode()

    @property
    def digest(self) -> str:
        """The tree digest: SHA-256 of the canonical bytes, 64 lower hex digits."""
        return hashlib.sha256(self.to_bytes()).hexdigest()


def check_path(path: str) -> None:
    """Refuse a path that would not be the same, or not inside the tree, on every system.

    Args:
        path: A path in a tree, with ``/`` between its parts.

    Raises:
        ManifestError: The path breaks one of the rules in the module's text.
    """
    _check_text(path)
    for part in path.split("/"):
        if part in ("", ".", ".."):
            raise ManifestError("a path in a tree is relative and has no empty, '.' or '..' part", where=path)
        if len(part.encode()) > _MAX_PART:
            raise ManifestError(f"a name in a tree is at most {_MAX_PART} bytes long", where=path)


def check_links(links: Mapping[str, str], items: Collection[Item]) -> None:
    """Refuse links that lead out of the tree, in circles or to nothing.

    Looking at a link's text is not enough, since a link may pass through another one; so each is followed
    to its end, over the tree as it is described, without a look at any disk.

    Args:
        links: Path of each link to its text.
        items: Every leaf of the tree, the links included.

    Raises:
        ManifestError: A link does not lead to something else in the tree.
    """
    leaves = {item.path for item in items}
    directories = {item.path for item in items if item.kind == "dir"}
    for item in items:
        directories.update(_ancestors(item.path))
    for path, target in links.items():
        _check_text(target, where=path)
        _follow(path, links, leaves, directories)


def scan(directory: Path) -> Manifest:
    """Describe the tree in a directory.

    Links are described, never followed. A file counts as executable if its owner may execute it; every
    other permission, owners and times are ignored.

    Args:
        directory: The root of the tree.

    Returns:
        Its manifest.

    Raises:
        ManifestError: It holds something other than files, directories and links, or a path or link that a
            tree may not have.
        EnvironmentFault: Something in it cannot be read (reason ``disk``).
    """
    links: dict[str, str] = {}
    try:
        manifest = Manifest.of(_leaves(directory, links))
    except OSError as error:
        where = str(error.filename or directory)
        raise EnvironmentFault(f"cannot be read: {error.strerror}", where=where, reason="disk") from error
    check_links(links, manifest.items)
    return manifest


def _leaves(directory: Path, links: dict[str, str]) -> Iterator[Item]:
    waiting = [(directory, "")]
    while waiting:
        here, prefix = waiting.pop()
        with os.scandir(here) as entries:
            children = list(entries)
        if not children and prefix:
            yield Item(prefix.rstrip("/"), "dir", 0, 0, "")
        for child in children:
            path = prefix + child.name
            check_path(path)
            if child.is_dir(follow_symlinks=False):
                waiting.append((here / child.name, path + "/"))
            elif child.is_symlink():
                links[path] = os.readlink(child.path)  # noqa: PTH115 (a Path would tidy the text up)
                yield link_item(path, links[path])
            else:
                yield _file_item(path, Path(child.path))


def link_item(path: str, target: str) -> Item:
    """The item of a symbolic link.

    Args:
        path: Where the link lies in the tree.
        target: Its text.

    Returns:
        The item; whether the link leads anywhere is for :func:`check_links` to say.

    Raises:
        ManifestError: The path or the text has a form that a tree may not have.
    """
    _check_text(target, where=path)
    text = target.encode()
    return Item(path, "link", 0, len(text), hashlib.sha256(text).hexdigest())


def _file_item(path: str, file: Path) -> Item:
    # Opening a named pipe would wait for a writer for ever, so its kind is asked for first.
    if not stat.S_ISREG(file.lstat().st_mode):
        raise ManifestError("only files, directories and symbolic links can be in a tree", where=path)
    digest = hashlib.sha256()
    size = 0
    with file.open("rb") as content:
        mode = os.fstat(content.fileno()).st_mode
        while block := content.read(_BLOCK):
            digest.update(block)
            size += len(block)
    return Item(path, "file", EXECUTABLE if mode & stat.S_IXUSR else PLAIN, size, digest.hexdigest())


def _item(raw: object) -> Item:
    if not isinstance(raw, dict) or set(raw) != _FIELDS:
        raise ManifestError(f"an item of a manifest has exactly the fields {', '.join(sorted(_FIELDS))}")
    texts = [raw[field] for field in ("path", "kind", "sha256")]
    numbers = [raw[field] for field in ("mode", "size")]
    # type() and not isinstance(): JSON's true is an int to Python.
    if any(type(text) is not str for text in texts) or any(type(number) is not int for number in numbers):
        raise ManifestError("a field of an item of a manifest is of the wrong type")
    path, kind, sha256 = texts
    mode, size = numbers
    return Item(path, cast("Kind", kind), mode, size, sha256)


def _check_text(text: str, *, where: str = "") -> None:
    """The rules that a path and a link's text share."""
    where = where or text
    try:
        length = len(text.encode())
    except UnicodeEncodeError as error:
        raise ManifestError("a name in a tree cannot be written in UTF-8", where=where) from error
    if not 0 < length <= _MAX_PATH:
        raise ManifestError(f"a path in a tree is 1 to {_MAX_PATH} bytes long", where=where)
    if "\\" in text or ":" in text or any(unicodedata.category(sign) in _UNPRINTABLE for sign in text):
        raise ManifestError(
            "a name in a tree has a backslash, a colon or a control character",
            where=where,
            todo="rename it: on other systems it would be another file",
        )


def _check_together(items: tuple[Item, ...]) -> None:
    leaves: set[str] = set()
    directories: set[str] = set()
    spelled: dict[str, str] = {}
    before = b""
    for item in items:
        path = item.path.encode()
        if path <= before:
            raise ManifestError("the items of a manifest ascend by path, none twice", where=item.path)
        before = path
        leaves.add(item.path)
        _check_spelling(item.path, spelled)
        for ancestor in _ancestors(item.path):
            if ancestor in directories:
                break
            directories.add(ancestor)
            _check_spelling(ancestor, spelled)
    if both := leaves & directories:
        raise ManifestError("a leaf of a tree has something below it", where=min(both))


def _check_spelling(path: str, spelled: dict[str, str]) -> None:
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())
    other = spelled.setdefault(folded, path)
    if other != path:
        raise ManifestError(
            f"differs from {other} only by letter case or Unicode form",
            where=path,
            todo="rename one: on Windows and macOS they are the same file",
        )


def _ancestors(path: str) -> Iterator[str]:
    """The directories above a path, nearest first, without the root."""
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path


def _follow(path: str, links: Mapping[str, str], leaves: set[str], directories: set[str]) -> None:
    at = path.split("/")[:-1]
    todo = links[path].split("/")[::-1]
    if links[path].startswith("/"):
        raise ManifestError("a link is absolute", where=path)
    hops = 1
    while todo:
        part = todo.pop()
        if part in ("", "."):
            continue
        if part == "..":
            if not at:
                raise ManifestError(f"a link leads out of the tree: {links[path]}", where=path)
            at.pop()  # `at` has no link in it, so its parent is what a file system takes for it
            continue
        at.append(part)
        here = "/".join(at)
        if here in links:
            hops += 1
            if hops > _MAX_HOPS:
                raise ManifestError(f"a link leads in circles: {links[path]}", where=path)
            at.pop()
            todo.extend(links[here].split("/")[::-1])
        elif here not in directories and (todo or here not in leaves):
            raise ManifestError(f"a link leads to nothing in the tree: {links[path]}", where=path)
