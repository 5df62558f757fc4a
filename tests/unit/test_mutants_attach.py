"""What a refused signature is called, so that its owner can tell which one it was and what to do."""

from __future__ import annotations

import dataclasses

import pytest

from keyturn.errors import KeyturnError
from keyturn.signing import SignatureBlock, attach, sign_payload
from keyturn.state import RoleFile
from unit.repository import key, keyid, released, signer

CANDIDATES = {keyid(name): key(name) for name in ("alice", "bob")}


def proposed() -> RoleFile:
    """Targets 3, proposed and not yet signed."""
    draft = released()
    draft.list_target("targets", "demo/more.txt", b"more\n")
    file = draft.state.role("targets")
    assert file
    return file


def block(name: str) -> SignatureBlock:
    file = proposed()
    return sign_payload(
        signer(name), file.payload, repository="5a" * 32, role="targets", version=file.version
    )


def refused(given: SignatureBlock, data: bytes = b"") -> dict[str, str]:
    with pytest.raises(KeyturnError) as caught:
        attach(data or proposed().data, given, candidates=CANDIDATES)
    return caught.value.to_dict()


def test_a_signature_over_another_payload_names_both_payloads() -> None:
    file = proposed()

    assert refused(dataclasses.replace(block("alice"), payload_sha256="0123456789" + "ab" * 27)) == {
        "reason": "other-payload",
        "what": "the signature is over another payload (01234567...) than the one proposed, "
        f"version 3 ({file.digest[:8]}...)",
        "where": "targets 3",
        "todo": "Look at what is proposed now, and sign that if you agree.",
    }


def test_a_proof_of_possession_has_no_version_to_name() -> None:
    proof = dataclasses.replace(block("alice"), role="keyring", version=None, repository="0" * 64)

    assert refused(proof)["where"] == "keyring"


def test_a_foreign_key_is_named() -> None:
    assert refused(block("mallory")) == {
        "reason": "foreign-key",
        "what": f"the key {keyid('mallory')[:8]}... may not sign this role",
        "where": "targets 3",
        "todo": "",
    }


def test_the_key_of_a_signature_that_does_not_verify_is_named() -> None:
    assert refused(dataclasses.replace(block("alice"), signature=b"\0" * 64)) == {
        "reason": "bad-signature",
        "what": f"the signature by the key {keyid('alice')[:8]}... does not verify",
        "where": "targets 3",
        "todo": "",
    }


def test_the_key_that_has_signed_already_is_named() -> None:
    once = attach(proposed().data, block("alice"), candidates=CANDIDATES)

    assert refused(block("alice"), once) == {
        "reason": "already-signed",
        "what": f"the key {keyid('alice')[:8]}... has signed this already",
        "where": "targets 3",
        "todo": "",
    }


def test_a_file_that_is_no_metadata_is_called_by_its_role() -> None:
    assert refused(block("alice"), b"{}")["where"] == "targets"
