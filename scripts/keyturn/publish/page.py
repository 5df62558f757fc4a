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
import re
import shlex
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from packaging.version import Version
from tuf.api.metadata import DelegatedRole, TargetFile

from keyturn.client.releases import Update, release
from keyturn.errors import RefusedError
from keyturn.state import ONLINE_ROLES, Delegation, RoleFile, search, short_fingerprint, targets_of
from keyturn.verify import Count, KeyMark, Publication, count, why_unsafe
from keyturn.verify.thresholds import UNREADABLE

TOP_LEVEL = ("root", "targets", *ONLINE_ROLES)
MOST_FILES = 200
"""How many other files are listed; the metadata names them all."""
RECENT = 3
"""How many versions of an app are in view; the rest is folded away."""
_STEP = 1000
_HEX = re.compile(r"[0-9a-f]+")
_UNPRINTED = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
# Letters, marks and symbols that nothing is drawn for, and a joiner that is no format character.
_BLANK = {"\u034f", "\u115f", "\u1160", "\u17b4", "\u17b5", "\u2800", "\u3164", "\uffa0"}
_BLANK |= {chr(code) for code in (*range(0x180B, 0x1810), *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))}


@dataclass(frozen=True, slots=True)
class _Key:
    """A key under the owner whom a delegator names for it."""

    number: int
    owner: str
    fingerprint: str
    kind: str
    signs: tuple[str, ...]

    @property
    def short(self) -> str:
        """The fingerprint as people compare it."""
        readable = not self.fingerprint.startswith(UNREADABLE)
        return short_fingerprint(self.fingerprint) if readable else UNREADABLE


@dataclass(frozen=True, slots=True)
class _Signer:
    """A key in one role, and whether it has signed the version shown."""

    key: _Key
    signed: bool


@dataclass(frozen=True, slots=True)
class _Role:
    """A role as one delegator declares it, and the file of it that is published."""

    delegation: Delegation = field(repr=False)
    file: RoleFile = field(repr=False)
    signers: tuple[_Signer, ...]

    @property
    def name(self) -> str:
        """Name of the role."""
        return self.delegation.name

    @property
    def delegator(self) -> str:
        """Name of the role that delegates it."""
        return self.delegation.delegator.role

    @property
    def delegated(self) -> bool:
        """Whether it is none of the four that root names."""
        return isinstance(self.delegation.role, DelegatedRole)

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
        """Whether a machine can sign the role."""
        owners = self.delegation.owners
        return self.name in ONLINE_ROLES or any(
            owners[keyid].online for keyid in self.delegation.keys if keyid in owners
        )

    @property
    def href(self) -> str | None:
        """Where the file lies, seen from the page."""
        return None if why_unsafe(self.file.path) else quote(self.file.path, safe="/")

    @property
    def patterns(self) -> tuple[str, ...]:
        """The paths that are delegated."""
        role = self.delegation.role
        if not isinstance(role, DelegatedRole):
            return ()
        hashed = (f"SHA-256 {prefix}\u2026" for prefix in role.path_hash_prefixes or ())
        return (*(role.paths or ()), *hashed)

    @property
    def terminating(self) -> bool:
        """Whether a client looks no further after this role."""
        return isinstance(self.delegation.role, DelegatedRole) and self.delegation.role.terminating


@dataclass(frozen=True, slots=True)
class _Release:
    """One archive of one version of an app."""

    update: Update
    newest: bool
    href: str | None

    @property
    def saved_as(self) -> str:
        """The name under which a browser saves the archive."""
        return self.update.path.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class _App:
    """An app and its releases, newest first: those in view, and those that are folded away."""

    name: str
    shown: tuple[_Release, ...]
    folded: tuple[_Release, ...]


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
    lone surrogates, blank letters and every blank but the space become ``\x1b``, ``\u202e`` or
    ``\U000e0001``.

    Args:
        text: Any text.
    """
    return "".join(
        character.encode("unicode_escape").decode("ascii") if _hidden(character) else character
        for character in text
    )


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
    roles = _roles(publication)
    found = tuple(_found(publication))
    apps = _apps(publication, found)
    released = {release.update.path for app in apps for release in (*app.shown, *app.folded)}
    files = [_file(publication, *listed) for listed in found if listed[1].path not in released]
    page = (
        _environment()
        .get_template("index.html.j2")
        .render(
            name=name,
            url=url,
            pin=publication.pinned,
            top_level=sorted((r for r in roles if not r.delegated), key=lambda r: TOP_LEVEL.index(r.name)),
            delegated=[r for r in roles if r.delegated],
            keys=sorted({s.key for r in roles for s in r.signers}, key=lambda key: key.number),
            apps=apps,
            files=files[:MOST_FILES],
            more_files=len(files[MOST_FILES:]),
        )
    )
    return page.encode("utf-8")


def _roles(publication: Publication) -> tuple[_Role, ...]:
    """Every delegation with its file and its keys, each key numbered at its first appearance."""
    files = [_published(publication, delegation.name) for delegation in publication.delegations]
    tallies = [
        count(delegation, file, delegation.delegator.role)
        for delegation, file in zip(publication.delegations, files, strict=True)
    ]
    signs: dict[tuple[str, str], dict[str, None]] = {}
    for delegation, tally in zip(publication.delegations, tallies, strict=True):
        for mark in (*tally.signed, *tally.missing):
            signs.setdefault((mark.owner, mark.fingerprint), {})[delegation.name] = None
    numbers = {pair: number for number, pair in enumerate(signs, 1)}

    def signer(delegation: Delegation, mark: KeyMark, *, signed: bool) -> _Signer:
        pair = (mark.owner, mark.fingerprint)
        kind = delegation.keys[mark.keyid].keytype
        return _Signer(_Key(numbers[pair], *pair, kind, tuple(signs[pair])), signed)

    def role(delegation: Delegation, file: RoleFile, tally: Count) -> _Role:
        signed = [signer(delegation, mark, signed=True) for mark in tally.signed]
        missing = [signer(delegation, mark, signed=False) for mark in tally.missing]
        return _Role(delegation, file, (*signed, *missing))

    return tuple(map(role, publication.delegations, files, tallies))


def _published(publication: Publication, name: str) -> RoleFile:
    site = publication.site
    top_level = {"root": site.root, "timestamp": site.timestamp, "snapshot": publication.snapshot}
    file = top_level[name] if name in top_level else publication.role(name)
    if file is None:
        raise RefusedError(
            "the role is missing or cannot be read",
            where=name,
            todo="Publish only what verifies.",
            reason="unverified",
        )
    return file


def _found(publication: Publication) -> Iterator[tuple[RoleFile, TargetFile]]:
    """Every target that a client can find, by path, with the role in which it finds it."""
    for path in sorted({target.path for _, target in publication.all_targets()}):
        file = search(publication.role, path)
        if file:
            yield file, targets_of(file).targets[path]


def _apps(publication: Publication, found: Iterable[tuple[RoleFile, TargetFile]]) -> tuple[_App, ...]:
    """The releases by app: like the client, only those that the top-level targets role lists."""
    updates = [
        update for file, target in found if file.role == "targets" and (update := release(target)) is not None
    ]
    updates.sort(key=lambda update: (update.platform, update.path))
    updates.sort(key=lambda update: Version(update.version), reverse=True)
    names = sorted({update.app for update in updates}, key=lambda name: (name.lower(), name))
    hrefs = {
        target.path: _target_href(publication, target, target.hashes.get("sha256", "")) for _, target in found
    }
    return tuple(_app(hrefs, name, [u for u in updates if u.app == name]) for name in names)


def _app(hrefs: Mapping[str, str | None], name: str, updates: Sequence[Update]) -> _App:
    """One app, given its releases from the newest on; the newest for each platform is always in view."""
    recent = tuple(dict.fromkeys(update.version for update in updates))[:RECENT]
    newest: dict[str, str] = {}
    for update in updates:
        newest.setdefault(update.platform, update.version)
    shown: list[_Release] = []
    folded: list[_Release] = []
    for update in updates:
        found = _Release(
            update,
            newest=update.version == newest[update.platform],
            href=hrefs[update.path],
        )
        (shown if found.newest or update.version in recent else folded).append(found)
    return _App(name, tuple(shown), tuple(folded))


def _file(publication: Publication, file: RoleFile, target: TargetFile) -> _File:
    algorithm = "sha256" if "sha256" in target.hashes else min(target.hashes)
    digest = target.hashes[algorithm]
    return _File(
        path=target.path,
        role=file.role,
        size=target.length,
        algorithm=algorithm,
        digest=digest,
        href=_target_href(publication, target, digest),
    )


def _target_href(publication: Publication, target: TargetFile, digest: str) -> str | None:
    """Where a target lies, seen from the page; None if that is not known or its path is unsafe."""
    if why_unsafe(target.path) or not _HEX.fullmatch(digest):
        return None
    directory, slash, name = target.path.rpartition("/")
    path = quote(f"{directory}{slash}{digest}.{name}", safe="/")
    if publication.hosts(target):
        return f"targets/{path}"
    return f"{publication.releases}{path}" if publication.releases else None


@cache
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
    if size < _STEP:
        return "1 byte" if size == 1 else f"{size} bytes"
    amount = size / _STEP
    for unit in ("kB", "MB"):
        if round(amount, 1) < _STEP:
            return f"{amount:.1f} {unit}"
        amount /= _STEP
    return f"{amount:,.1f} GB"


def _hidden(character: str) -> bool:
    other_blank = character != " " and unicodedata.category(character) == "Zs"
    return other_blank or character in _BLANK or unicodedata.category(character) in _UNPRINTED
