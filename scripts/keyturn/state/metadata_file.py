"""One role's metadata file: strict reading, and the one way to write it (SPEC: Metadata files)."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, NoReturn

from securesystemslib.exceptions import FormatError
from securesystemslib.signer import Signature
from tuf.api.metadata import Metadata, Root, Signed, Snapshot, Targets, Timestamp
from tuf.api.serialization import DeserializationError

from keyturn.errors import RefusedError
from keyturn.state.digests import canonical, payload_digest

MAX_BYTES = 16_000_000
"""Larger metadata is refused unread; stock clients stop far earlier."""


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

        Refused besides what python-tuf refuses: duplicate JSON keys, floats, and any content that changes
        its meaning when read and written again.

        Raises:
            MetadataError: The file is not metadata of a type that suits the role.
        """
        document = _strict_json(data, path)
        try:
            signed_before = canonical(document["signed"])
            metadata: Metadata[Any] = Metadata.from_dict(document)
            signed_after = metadata.signed_bytes
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
            raise MetadataError(f"not TUF metadata: {_reason(error)}", where=path) from error
        except (DeserializationError, FormatError) as error:
            raise MetadataError(f"not TUF metadata: {error}", where=path) from error
        if signed_before != signed_after:
            raise MetadataError("the signed part has another meaning once read", where=path)
        expected = _TYPES.get(role, Targets)
        if not isinstance(metadata.signed, expected):
            raise MetadataError(
                f"holds metadata of type {metadata.signed.type}, but the role {role} needs {expected.type}",
                where=path,
            )
        if type(metadata.signed.version) is not int:
            raise MetadataError("the version is not a whole number", where=path)
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
    return document


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
