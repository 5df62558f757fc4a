"""Counting signatures: which keys of a delegation have validly signed a payload."""

from __future__ import annotations

from collections.abc import Mapping

from securesystemslib.exceptions import UnverifiedSignatureError
from securesystemslib.signer import Key, Signature, SSlibKey

from keyturn.state import Delegation, RoleFile, delegations_of, fingerprint
from keyturn.verify.model import Count, KeyMark

UNREADABLE = "unreadable"


def signature_valid(key: Key, signature: Signature, payload: bytes) -> bool:
    """Whether a signature by this key over these bytes verifies.

    Kinds of keys that are verified by running a program or asking a server never count.
    """
    if not isinstance(key, SSlibKey):
        return False
    try:
        key.verify_signature(signature, payload)
    except UnverifiedSignatureError:
        return False
    return True


def key_fingerprint(key: Key) -> str:
    """A key's fingerprint, or a marker where the key itself cannot be read."""
    try:
        return fingerprint(key)
    except ValueError:
        return f"{UNREADABLE}:{key.keyid}"


def is_readable(fingerprint_or_marker: str) -> bool:
    """Whether :func:`key_fingerprint` gave a fingerprint, so that signatures by the key can count."""
    return not fingerprint_or_marker.startswith(UNREADABLE)


def mark(delegation: Delegation, keyid: str, key: Key) -> KeyMark:
    """A key of a delegation as people see it."""
    return KeyMark(owner=delegation.owner_name(keyid), keyid=keyid, fingerprint=key_fingerprint(key))


def count(delegation: Delegation, file: RoleFile, under: str) -> Count:
    """Count the signatures of a role's file under one delegation (specification 5.3.4, 5.4 to 5.6).

    Args:
        delegation: Who may sign, and how many must.
        file: The role's file.
        under: How the delegator is called in messages.
    """
    keys: Mapping[str, Key] = delegation.keys
    signed: list[KeyMark] = []
    missing: list[KeyMark] = []
    for keyid, key in keys.items():
        signature = file.signatures.get(keyid)
        valid = signature is not None and signature_valid(key, signature, file.payload)
        (signed if valid else missing).append(mark(delegation, keyid, key))
    return Count(under=under, need=delegation.role.threshold, signed=tuple(signed), missing=tuple(missing))


def root_delegation(root: RoleFile) -> Delegation:
    """The delegation of root to itself."""
    return next(delegation for delegation in delegations_of(root) if delegation.name == "root")


def root_counts(old: RoleFile | None, new: RoleFile) -> tuple[Count, ...]:
    """Count root's signatures under the old root and under the new one, apart (specification 5.3.4).

    Args:
        old: The root before; None for the first.
        new: The root that is signed.
    """
    own = count(root_delegation(new), new, f"root {new.version}")
    if old is None:
        return (own,)
    return (count(root_delegation(old), new, f"root {old.version}"), own)
