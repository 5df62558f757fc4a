"""The page that people see at the site's root: what is offered, who signed it, how to check it.

The page is for the visitor of DESIGN section 1. It is one file without scripts or anything fetched from
elsewhere, and it shows only what a client would accept: releases are those that the client itself would
read as releases, other files are those that a search through the delegations ends at (specification 5.6.7).

Most of the text comes from metadata, which is written by many hands. It reaches the page on one way only,
through :func:`visible` and then through the template's escaping, so that no name can pose as markup or hide
what it is.
"""

from __future__ import annotations

import base64
import hashlib
import shlex
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from packaging.version import Version
from tuf.api.metadata import DelegatedRole, TargetFile, Targets

from keyturn.client.releases import Update, release
from keyturn.errors import RefusedError
from keyturn.state import ONLINE_ROLES, Delegation, RoleFile, short_fingerprint, targets_of
from keyturn.verify import KeyMark, Publication, count, why_unsafe
from keyturn.verify.thresholds import UNREADABLE

TOP_LEVEL = ("root", "targets", *ONLINE_ROLES)
MOST_FILES = 200
"""How many other files are listed; the metadata names them all."""
RECENT = 4
"""How many releases of an app are in view; the rest is folded away."""
_UNPRINTED = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
# Letters, marks and symbols that nothing is drawn for, and a joiner that is no format character.
_BLANK = {"\u034f", "\u115f", "\u1160", "\u17b4", "\u17b5", "\u2800", "\u3164", "\uffa0"}
_BLANK |= {chr(code) for code in (*range(0x180B, 0x1810), *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))}
_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class _Key:
    """A key with the owner under whom it is shown."""

    anchor: str
    owner: str
    fingerprint: str
    kind: str
    roles: tuple[str, ...]

    @property
    def readable(self) -> bool:
        """Whether the metadata holds a key that can be read at all."""
        return not self.fingerprint.startswith(UNREADABLE)

    @property
    def short(self) -> str:
        """The fingerprint as people compare it."""
        return short_fingerprint(self.fingerprint) if self.readable else UNREADABLE


@dataclass(frozen=True, slots=True)
class _Signer:
    """A key in one role, and whether it has signed the version shown."""

    key: _Key
    signed: bool


@dataclass(frozen=True, slots=True)
class _Role:
    """A role as one delegator declares it, with the file that is published."""

    name: str
    delegation: Delegation = field(repr=False)
    file: RoleFile = field(repr=False)
    signers: tuple[_Signer, ...]

    @property
    def threshold(self) -> int:
        """How many keys must sign."""
        return self.delegation.role.threshold

    @property
    def keys(self) -> int:
        """How many different keys may sign."""
        return len({signer.key.fingerprint for signer in self.signers})

    @property
    def online(self) -> bool:
        """Whether a machine signs the role."""
        owners = self.delegation.owners
        return self.name in ONLINE_ROLES or any(
            keyid in owners and owners[keyid].online for keyid in self.delegation.keys
        )

    @property
    def href(self) -> str | None:
        """Where the file is, from the page."""
        return _href(self.file.path)

    @property
    def patterns(self) -> tuple[str, ...]:
        """The paths that are delegated."""
        role = self.delegation.role
        if not isinstance(role, DelegatedRole):
            return ()
        prefixes = (f"SHA-256 {prefix}…" for prefix in role.path_hash_prefixes or ())
        return (*(role.paths or ()), *prefixes)

    @property
    def terminating(self) -> bool:
        """Whether a search ends here, found or not."""
        return isinstance(self.delegation.role, DelegatedRole) and self.delegation.role.terminating


@dataclass(frozen=True, slots=True)
class _Release:
    """One archive of one version of an app."""

    update: Update
    newest: bool
    href: str | None

    @property
    def name(self) -> str:
        """The name under which the archive is saved."""
        return self.update.path.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class _App:
    """An app and its releases, newest first."""

    name: str
    releases: tuple[_Release, ...]

    @property
    def recent(self) -> tuple[_Release, ...]:
        """The releases in view: never fewer than those that a client may be offered."""
        newest = sum(found.newest for found in self.releases)
        return tuple(
            found for place, found in enumerate(self.releases) if found.newest or place < max(RECENT, newest)
        )

    @property
    def earlier(self) -> tuple[_Release, ...]:
        """The releases that are folded away."""
        return tuple(found for found in self.releases if found not in self.recent)


@dataclass(frozen=True, slots=True)
class _File:
    """A target that is no release."""

    path: str
    role: str
    size: int
    algorithm: str
    digest: str
    href: str | None


def visible(text: str) -> str:
    r"""Text with every character written out that is not seen, or that moves others about.

    Control characters, line and paragraph separators, bidi controls, zero-width and unassigned characters,
    lone surrogates and blank letters become ``\x1b``, ``\u202e`` or ``\U000e0001``.

    Args:
        text: Any text.
    """
    return "".join(_written_out(character) if _hidden(character) else character for character in text)


def render_page(publication: Publication, *, name: str, url: str) -> bytes:
    """Write ``index.html``, the same bytes for the same metadata (SPEC: Site).

    Args:
        publication: The published tree, verified already. Its time is not used: the page lies there for days.
        name: The repository's name in the policy.
        url: Where the site will be, with ``/`` at the end.

    Returns:
        The page, UTF-8.

    Raises:
        RefusedError: A role that the page must show is missing or cannot be read.
    """
    roles = tuple(_roles(publication))
    files = tuple(_files(publication))
    page = _environment().get_template("index.html.j2")
    return page.render(
        name=name,
        url=url,
        pin=publication.pinned,
        top_level=sorted((role for role in roles if _is_top(role)), key=lambda role: TOP_LEVEL.index(role.name)),
        delegated=[role for role in roles if not _is_top(role)],
        keys=tuple(dict.fromkeys(signer.key for role in roles for signer in role.signers)),
        apps=tuple(_apps(publication)),
        files=files[:MOST_FILES],
        more_files=max(len(files) - MOST_FILES, 0),
    ).encode("utf-8")


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("keyturn.publish", "."),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "csp_hash": _csp_hash,
        "literal": lambda text: repr(visible(text)),
        "octets": _octets,
        "shell": lambda text: shlex.quote(visible(text)),
    }
    return environment


def _finalize(value: object) -> object:
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _csp_hash(style: str) -> str:
    return base64.b64encode(hashlib.sha256(style.encode("utf-8")).digest()).decode("ascii")


def _octets(size: int) -> str:
    amount = float(size)
    for unit in ("bytes", "kB", "MB", "GB"):
        if amount < 999.95 or unit == "GB":
            break
        amount /= 1000
    if unit == "bytes":
        return "1 byte" if size == 1 else f"{size} bytes"
    return f"{amount:,.1f} {unit}"


def _hidden(character: str) -> bool:
    other_blank = character != " " and unicodedata.category(character) == "Zs"
    return other_blank or character in _BLANK or unicodedata.category(character) in _UNPRINTED


def _written_out(character: str) -> str:
    code = ord(character)
    if code > 0xFFFF:
        return f"\\U{code:08x}"
    return f"\\u{code:04x}" if code > 0xFF else f"\\x{code:02x}"
