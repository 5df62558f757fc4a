"""What a signer's own machine remembers (SPEC: Signer's own directory; DESIGN section 4, Rules of trust).

For each remote three files, in ``pins/<sha256 of the normalised remote URL>/``:

* ``root.json``: the pinned root 1, written once. Everything else is proven from it;
* ``seen.json``: the highest version of each role ever seen, so that a server cannot take the signer back;
* ``ledger.json``: which payload was signed for which role and version. A signature cannot be withdrawn, so a
  second payload for the same pair is refused unless the person says in words that they want it.

A file that cannot be read is never taken for an empty one, and never replaced: forgetting is exactly what an
attacker would want of it. Every change is made under a lock and is on the disk before the call returns.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, TypeVar

from keyturn.errors import EnvironmentFault, RefusedError
from keyturn.signing import durable
from keyturn.signing.config import Config, parse_config
from keyturn.signing.remote_url import normalise_url, other_spellings
from keyturn.state import MetadataError, RoleFile

DESPITE = "sign a second payload"
"""The words that a person types to sign another payload for a version that they signed already."""

_FORMAT = 1
_DIGEST = re.compile(r"[0-9a-f]{64}")
_TIME = "%Y-%m-%dT%H:%M:%SZ"
_Parsed = TypeVar("_Parsed")


class _Malformed(ValueError):
    """A file is readable, but not of its form."""


@dataclass(frozen=True, slots=True)
class Pin:
    """The root that a signer trusts a remote by.

    Args:
        data: Bytes of root 1, as they were when it was pinned.
        digest: Root digest, 64 lower-case hexadecimal digits.
    """

    data: bytes
    digest: str


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One payload that this person decided to sign.

    Args:
        role: Role name.
        version: Version of the role's metadata.
        payload_sha256: Payload digest, 64 lower-case hexadecimal digits.
        when: UTC, whole seconds.
        event: Name of the signing event, e.g. ``sign/release-1.2``.
    """

    role: str
    version: int
    payload_sha256: str
    when: datetime
    event: str


@dataclass(frozen=True, slots=True)
class SignerHome:
    """A signer's own directory.

    Args:
        directory: The platform's place for a program's own data; made when first written to.
    """

    directory: Path

    def config(self) -> Config:
        """The settings of ``config.toml``; the defaults if there is none.

        Raises:
            UsageError: The file is not of its form (reason ``config``).
        """
        path = self.directory / "config.toml"
        data = durable.read(path)
        return Config() if data is None else parse_config(data, where=str(path))

    def remote(self, url: str, *, base: Path | None = None) -> PinnedRemote:
        """What is remembered of one remote; nothing is read yet.

        Args:
            url: As ``git remote get-url`` prints it.
            base: Where a relative local path starts; the working directory if None.

        Raises:
            UsageError: Not a URL or path (reason ``bad-url``).
        """
        normal = normalise_url(url, base=base)
        return PinnedRemote(
            url=normal,
            directory=self._place(normal),
            others=tuple(PinnedRemote(each, self._place(each)) for each in other_spellings(normal)),
        )

    def _place(self, normal: str) -> Path:
        name = hashlib.sha256(normal.encode("utf-8", "surrogatepass")).hexdigest()
        return self.directory / "pins" / name

    def pinned_to(self, digest: str) -> tuple[PinnedRemote, ...]:
        """Every remote that is pinned to a root, for several addresses may lead to one repository.

        Args:
            digest: Root digest.

        Raises:
            RefusedError: A pin is damaged (reason ``damaged``).
            EnvironmentFault: The directory cannot be read.
        """
        pins = self.directory / "pins"
        try:
            places = sorted(place for place in pins.iterdir() if place.is_dir()) if pins.is_dir() else []
        except OSError as error:
            raise EnvironmentFault(f"cannot be read: {error.strerror}", where=str(pins)) from error
        remotes = (PinnedRemote(url=str(place), directory=place) for place in places)
        return tuple(remote for remote in remotes if (pin := remote.pin()) and pin.digest == digest)


@dataclass(frozen=True, slots=True)
class PinnedRemote:
    """Pin, highest versions seen, and ledger of one remote.

    What was remembered of the same repository under another transport's URL holds here too: whoever chooses
    the URL must not choose what is remembered.

    Args:
        url: Its normalised URL, for messages.
        directory: Where its three files are.
        others: The same repository by other transports.
    """

    url: str
    directory: Path
    others: tuple[PinnedRemote, ...] = ()

    def pin(self) -> Pin | None:
        """The pinned root; None if this remote has none.

        Raises:
            RefusedError: The file is damaged (reason ``damaged``).
        """
        for each in (self, *self.others):
            pin = each._load("root.json", _parse_pin, None)
            if pin is not None:
                return pin
        return None

    def write_pin(self, root: bytes) -> Pin:
        """Pin root 1, once and for all.

        Args:
            root: Bytes of root 1, whose digest the person has confirmed or signed.

        Returns:
            The pin that stands now; the older one if it is of the same root.

        Raises:
            RefusedError: Reason ``other-root``: this remote is pinned to another root; ``bad-metadata``:
                these bytes are not a root of version 1.
        """
        try:
            pin = _parse_pin(root)
        except ValueError as error:
            raise RefusedError(f"cannot be pinned: {error}", where=self.url, reason="bad-metadata") from error
        with self._locked():
            held = self.pin()
            if held is None:
                durable.write(self.directory / "root.json", root)
                return pin
        if held.digest != pin.digest:
            raise RefusedError(
                f"is pinned to the root {held.digest}, and this one is {pin.digest}",
                where=self.url,
                todo="Stop, and ask the other signers which of the two is theirs: a repository never changes "
                f"its first root. If you mean to begin anew, move {self.directory} away yourself.",
                reason="other-root",
            )
        return held

    def seen(self) -> Mapping[str, int]:
        """The highest version of each role that was ever seen.

        Raises:
            RefusedError: The file is damaged (reason ``damaged``).
        """
        nothing: dict[str, int] = {}
        return self._load("seen.json", _parse_seen, nothing)

    def check_seen(self, role: str, version: int) -> None:
        """Refuse a role's version that is lower than one seen before.

        Raises:
            RefusedError: It went back (reason ``went-back``), or the file is damaged.
        """
        highest = max(each.seen().get(role, 0) for each in (self, *self.others))
        if version < highest:
            raise RefusedError(
                f"the role {role} went back from version {highest}, which was seen here before, to {version}",
                where=self.url,
                todo="Do not sign. Somebody has set the remote back, or you look at an old copy of it.",
                reason="went-back",
            )

    def note_seen(self, versions: Mapping[str, int]) -> None:
        """Remember the versions of a verified baseline; a lower one changes nothing.

        Args:
            versions: Version by role name.

        Raises:
            RefusedError: The file is damaged (reason ``damaged``).
        """
        with durable.locked(self.directory):
            held = self.seen()
            merged = {role: max(held.get(role, 0), versions.get(role, 0)) for role in {*held, *versions}}
            if merged != held:
                self._store("seen.json", {"format": _FORMAT, "versions": merged})

    def ledger(self) -> tuple[LedgerEntry, ...]:
        """All that was signed for this remote, oldest first.

        Raises:
            RefusedError: The file is damaged (reason ``damaged``).
        """
        nothing: tuple[LedgerEntry, ...] = ()
        return self._load("ledger.json", _parse_ledger, nothing)

    def check(self, role: str, version: int, digest: str, *, despite: str = "") -> None:
        """Refuse a second payload for a role and version.

        Args:
            role: Role name.
            version: Version of the payload.
            digest: Payload digest.
            despite: What the person typed; exactly the words of ``DESPITE`` permit it.

        Raises:
            RefusedError: Another payload was signed before (reason ``ledger``), or the file is damaged.
        """
        earlier = [
            entry
            for each in (self, *self.others)
            for entry in each.ledger()
            if (entry.role, entry.version) == (role, version)
        ]
        if not earlier or despite == DESPITE or any(entry.payload_sha256 == digest for entry in earlier):
            return
        signed = "; ".join(
            f"{entry.payload_sha256} on {entry.when.strftime(_TIME)} in {entry.event}" for entry in earlier
        )
        raise RefusedError(
            f"you have signed another payload of {role} {version} already: {signed}. This one is {digest}",
            where=self.url,
            todo="A signature cannot be withdrawn: whoever holds the first one can still use it. If both may "
            f"exist, type: {DESPITE}",
            reason="ledger",
        )

    def record(
        self, role: str, version: int, digest: str, *, when: datetime, event: str, despite: str = ""
    ) -> None:
        """Write down what is about to be signed, before the signature can leave the machine.

        The check is made again under the lock: of two processes with two payloads one is refused.

        Args:
            role: Role name.
            version: Version of the payload.
            digest: Payload digest, 64 lower-case hexadecimal digits.
            when: Now, aware.
            event: Name of the signing event.
            despite: As for ``check``.

        Raises:
            RefusedError: Another payload was signed before (reason ``ledger``), or the file is damaged.
            EnvironmentFault: It cannot be written; then nothing may be signed.
        """
        with self._locked():
            self.check(role, version, digest, despite=despite)
            entries = self.ledger()
            if any((e.role, e.version, e.payload_sha256) == (role, version, digest) for e in entries):
                return
            second = when.astimezone(timezone.utc).replace(microsecond=0)
            entry = LedgerEntry(role, version, digest, second, event)
            document = {"format": _FORMAT, "entries": [_entry_value(item) for item in (*entries, entry)]}
            self._store("ledger.json", document)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the locks of all transports, always in one order: what is checked is what others hold too."""
        with ExitStack() as locks:
            for each in sorted((self, *self.others), key=lambda remote: remote.directory):
                locks.enter_context(durable.locked(each.directory))
            yield

    def _load(self, name: str, parse: Callable[[bytes], _Parsed], missing: _Parsed) -> _Parsed:
        path = self.directory / name
        data = durable.read(path)
        if data is None:
            return missing
        try:
            return parse(data)
        except (ValueError, RecursionError) as error:
            raise RefusedError(
                f"is damaged: {error}",
                where=str(path),
                todo="Bring it back from a backup. No empty one takes its place: it guards what you sign.",
                reason="damaged",
            ) from error

    def _store(self, name: str, document: Mapping[str, Any]) -> None:
        text = json.dumps(document, indent=1, sort_keys=True)
        durable.write(self.directory / name, text.encode("ascii") + b"\n")


def _parse_pin(data: bytes) -> Pin:
    try:
        root = RoleFile.parse("root", "root.json", data)
    except MetadataError as error:
        raise _Malformed(error.what) from error
    if root.version != 1:
        raise _Malformed(f"it is root {root.version}, not root 1")
    return Pin(data=data, digest=root.digest)


def _parse_seen(data: bytes) -> dict[str, int]:
    versions = _document(data, "versions").get("versions")
    if not isinstance(versions, dict):
        raise _Malformed("'versions' is not an object")
    if not all(type(version) is int and version > 0 for version in versions.values()):
        raise _Malformed("a version is not a positive whole number")
    return versions


def _parse_ledger(data: bytes) -> tuple[LedgerEntry, ...]:
    entries = _document(data, "entries").get("entries")
    if not isinstance(entries, list):
        raise _Malformed("'entries' is not a list")
    return tuple(_entry(raw) for raw in entries)


def _entry_value(entry: LedgerEntry) -> dict[str, Any]:
    return {
        "role": entry.role,
        "version": entry.version,
        "payload-sha256": entry.payload_sha256,
        "when": entry.when.strftime(_TIME),
        "event": entry.event,
    }


def _entry(raw: object) -> LedgerEntry:
    if not isinstance(raw, dict) or set(raw) != {"role", "version", "payload-sha256", "when", "event"}:
        raise _Malformed("an entry has not the five fields of an entry")
    role, version, digest, when, event = (
        raw[name] for name in ("role", "version", "payload-sha256", "when", "event")
    )
    if not (isinstance(role, str) and isinstance(when, str) and isinstance(event, str)):
        raise _Malformed("an entry's role, time or event is not text")
    if type(version) is not int or version < 1:
        raise _Malformed("an entry's version is not a positive whole number")
    if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
        raise _Malformed("an entry's payload digest is not 64 hexadecimal digits")
    moment = datetime.strptime(when, _TIME).replace(tzinfo=timezone.utc)
    return LedgerEntry(role, version, digest, moment, event)


def _document(data: bytes, content: str) -> dict[str, Any]:
    document = json.loads(data.decode("utf-8"), object_pairs_hook=_without_duplicates)
    if not isinstance(document, dict) or set(document) != {"format", content}:
        raise _Malformed(f"it does not hold exactly 'format' and {content!r}")
    if type(document["format"]) is not int or document["format"] != _FORMAT:
        raise _Malformed(f"its format is not {_FORMAT}")
    return document


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise _Malformed("one object has a key twice")
    return document
