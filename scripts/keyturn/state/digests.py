"""The digests that name keys and payloads (SPEC: Digests).

All four are SHA-256, written as 64 lower-case hexadecimal digits:

* *keyid*: of the canonical JSON of the key object, as the TUF specification (4.2) says;
* *key fingerprint*: of the key's SubjectPublicKeyInfo in DER, what people compare;
* *payload digest*: of the canonical JSON of ``signed``;
* *root digest*: the payload digest of root 1, which names a repository for good.
"""

from __future__ import annotations

import hashlib
from typing import Any, cast

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key
from securesystemslib.formats import encode_canonical
from securesystemslib.signer import Key, SSlibKey


def canonical(value: Any) -> bytes:  # noqa: ANN401 - any JSON value
    """Canonical JSON (OLPC) of a JSON value, as TUF signs it (specification 4.1).

    Raises:
        securesystemslib.exceptions.FormatError: The value has no canonical form, a float for instance.
    """
    return cast("str", encode_canonical(value)).encode("utf-8")


def sha256_hex(data: bytes) -> str:
    """SHA-256 of bytes as 64 lower-case hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def payload_digest(payload: bytes) -> str:
    """The payload digest of a role, given its canonical payload bytes."""
    return sha256_hex(payload)


def spec_keyid(key: Key) -> str:
    """The keyid that the TUF specification (4.2) gives this key, whatever keyid the metadata uses."""
    return sha256_hex(canonical(key.to_dict()))


def fingerprint(key: Key) -> str:
    """The key fingerprint: SHA-256 of the SubjectPublicKeyInfo in DER.

    Raises:
        ValueError: The public half is damaged or of a kind that cannot be read.
    """
    if not isinstance(key, SSlibKey):
        raise ValueError(  # noqa: TRY004 - one error for every key that cannot be read
            f"no fingerprint for a key of the type {key.keytype} and the scheme {key.scheme}"
        )
    public = str(key.keyval["public"])
    try:
        loaded = (
            Ed25519PublicKey.from_public_bytes(bytes.fromhex(public))
            if key.keytype == "ed25519"
            else load_pem_public_key(public.encode())
        )
    except UnsupportedAlgorithm as error:
        raise ValueError(str(error)) from error
    return sha256_hex(loaded.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def short_fingerprint(full: str) -> str:
    """The form in which people read a fingerprint: its first 16 digits in groups of 4."""
    return " ".join(full[start : start + 4] for start in range(0, 16, 4))
