"""One role's metadata file: strict reading, and the one way to write it (SPEC: Metadata files)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, NoReturn

from securesystemslib.exceptions import FormatError
from securesystemslib.signer import Signature
from tuf.api.metadata import Metadata, Role, Root, Signed, Snapshot, Targets, Timestamp

from keyturn.errors import RefusedError
from keyturn.state.digests import canonical, payload_digest

MAX_BYTES = 16_000_000
"""Larger metadata is refused unread; stock clients stop far earlier."""
MAX_DEPTH = 64
"""Nesting beyond it is refused, so that nothing that walks a document later can run out of stack."""
MAX_VERSION = 999_999_999
"""The highest version that the names of files can carry: nine digits."""

_TYPES: dict[str, type[Signed]] = {"root": Root, "snapshot": Snapshot, "timestamp": Timestamp}


class MetadataError(RefusedError):
    """A metadata file cannot be read as what it claims to be."""

    default_reason = "bad-metadata"


@dataclass(frozen=True)
class RoleFile:
    """A role's metadata as it stands in one file; nothing about it is verified yet.

    Args:
        role: Role name, e.g. ``targets``.
        path: Where the file was found, for messages.
        data: The bytes of the file.
        metadata: The same, parsed with python-tuf; unknown fields are kept.
    """

    role: str
    path: str
    data: bytes
    metadata: Metadata[Any] = field(repr=False, compare=False)

    @classmethod
    def parse(cls, role: str, path: str, data: bytes) -> RoleFile:
        """Read one metadata file.

        Refused besides what python-tuf refuses: duplicate JSON keys, floats, values of a type that other
        clients may read differently, hash bins (not known to this version), and any content that changes its
        meaning when read and written again.

        Raises:
            MetadataError: The file is not metadata of a type that suits the role.
        """
        document = _strict_json(data, path)
        try:
            before = canonical(document)
            metadata: Metadata[Any] = Metadata.from_dict(document)
            after = canonical(metadata.to_dict())
        except (KeyError, TypeError, ValueError, AttributeError, FormatError) as error:
            raise MetadataError(f"not TUF metadata: {_reason(error)}", where=path) from error
        if before != after:
            raise MetadataError("it has another meaning once read", where=path)
        expected = _TYPES.get(role, Targets)
        if not isinstance(metadata.signed, expected):
            raise MetadataError(
                f"holds metadata of type {metadata.signed.type}, but the role {role} needs {expected.type}",
                where=path,
            )
        fault = next(_faults(metadata), None)
        if fault:
            raise MetadataError(fault, where=path)
        return cls(role=role, path=path, data=data, metadata=metadata)

    @property
    def signed(self) -> Signed:
        """The parsed signed part."""
        signed: Signed = self.metadata.signed
        return signed

    @property
    def version(self) -> int:
        """Version number of the signed part."""
        return self.signed.version

    @property
    def expires(self) -> datetime:
        """Expiry of the signed part, UTC."""
        return self.signed.expires

    @property
    def signatures(self) -> dict[str, Signature]:
        """Signatures by keyid, verified or not."""
        return self.metadata.signatures

    @cached_property
    def payload(self) -> bytes:
        """The bytes that are signed: canonical JSON of the signed part."""
        return self.metadata.signed_bytes

    @cached_property
    def digest(self) -> str:
        """Payload digest."""
        return payload_digest(self.payload)


def render_metadata(metadata: Metadata[Any]) -> bytes:
    """The bytes of a metadata file: indent 1, sorted keys, signatures sorted by keyid, one final newline.

    A placeholder signature (empty ``sig``) is not written, so unsigned metadata has ``"signatures": []``.
    """
    document = metadata.to_dict()
    document["signatures"] = sorted(
        (signature for signature in document["signatures"] if signature.get("sig")),
        key=lambda signature: str(signature["keyid"]),
    )
    text = json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False, separators=(",", ": "))
    return text.encode("utf-8") + b"\n"


def _faults(metadata: Metadata[Any]) -> Iterator[str]:
    """What python-tuf lets pass and other clients may read in another way."""
    signed = metadata.signed
    if not _is(signed.version, int) or signed.version > MAX_VERSION:
        yield f"the version is not a whole number up to {MAX_VERSION}"
    for signature in metadata.signatures.values():
        if not _is(signature.keyid, str) or not _is(signature.signature, str):
            yield "a signature is not text"
    if isinstance(signed, Root):
        if not _is(signed.consistent_snapshot, bool, type(None)):
            yield "consistent_snapshot is neither true nor false"
        for name, role in signed.roles.items():
            yield from _role_faults(name, role)
    elif isinstance(signed, Targets):
        yield from _delegation_faults(signed)
        for path, target in signed.targets.items():
            if not _is(target.length, int):
                yield f"the length of {path!r} is not a whole number"
    else:
        named = [signed.snapshot_meta] if isinstance(signed, Timestamp) else signed.meta.values()
        if not all(_is(meta.version, int) and _is(meta.length, int, type(None)) for meta in named):
            yield "a version or length in meta is not a whole number"


def _delegation_faults(signed: Targets) -> Iterator[str]:
    if signed.delegations is None:
        return
    if signed.delegations.roles is None:
        yield "delegates to hash bins (succinct_roles), which this version of keyturn does not know"
    for name, role in (signed.delegations.roles or {}).items():
        if not _is(name, str):
            yield f"the name {name} of a role is not text"
        yield from _role_faults(name, role)
        if not _is(role.path_hash_prefixes if role.paths is None else role.paths, list):
            yield f"the paths of the role {name} are not a list"
        if not _is(role.terminating, bool):
            yield f"terminating of the role {name} is neither true nor false"


def _role_faults(name: str, role: Role) -> Iterator[str]:
    if not _is(role.threshold, int):
        yield f"the threshold of the role {name} is not a whole number"
    if not _is(role.keyids, list) or not all(_is(keyid, str) for keyid in role.keyids):
        yield f"the keyids of the role {name} are not a list of texts"


def _is(value: object, *kinds: type) -> bool:
    """Whether a JSON value is of one of these types; true and false are no numbers."""
    return type(value) in kinds


def _strict_json(data: bytes, path: str) -> dict[str, Any]:
    if len(data) > MAX_BYTES:
        raise MetadataError(f"larger than {MAX_BYTES:,} bytes", where=path)
    try:
        document = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_no_duplicates,
            parse_float=_refuse_number,
            parse_constant=_refuse_number,
        )
    except (ValueError, RecursionError) as error:
        raise MetadataError(f"not readable as JSON: {_reason(error)}", where=path) from error
    if not isinstance(document, dict):
        raise MetadataError("not readable as metadata: the top level is not an object", where=path)
    if _deeper_than(document, MAX_DEPTH):
        raise MetadataError("not readable as metadata: nested too deeply", where=path)
    return document


def _deeper_than(document: dict[str, Any], depth: int) -> bool:
    level: list[Any] = [document]
    for _ in range(depth):
        level = [child for node in level for child in (node.values() if isinstance(node, dict) else node)]
        level = [child for child in level if isinstance(child, (dict, list))]
    return bool(level)


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise ValueError(f"the key {name!r} stands twice in one object")
            seen.add(name)
    return result


def _refuse_number(text: str) -> NoReturn:
    raise ValueError(f"the number {text} is not a whole number")


def _reason(error: BaseException) -> str:
    if isinstance(error, KeyError):
        return f"{error} is missing"
    if isinstance(error, RecursionError):
        return "nested too deeply"
    return str(error)
