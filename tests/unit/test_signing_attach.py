"""Attaching one signature to a role file."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from datetime import datetime, timezone
from functools import cache

import pytest
from securesystemslib.signer import Signature
from tuf.api.metadata import Key, Metadata, Targets

from keyturn.errors import KeyturnError, NothingToDo, RefusedError
from keyturn.signing import KeySigner, SignatureBlock, attach, load_signer, new_key, sign_payload
from keyturn.state import RoleFile, render_metadata

EXPIRES = datetime(2027, 3, 21, 12, tzinfo=timezone.utc)


@cache
def signer(login: str) -> KeySigner:
    """A key of one's own for every login."""
    return load_signer("env:KEY", env={"KEY": new_key("ecdsa", None).pem.decode()}, ask_passphrase=None)


CANDIDATES: dict[str, Key] = {signer(login).public.keyid: signer(login).public for login in ("alice", "bob")}


def targets(version: int = 2) -> bytes:
    metadata = Metadata(Targets(version=version, expires=EXPIRES))
    metadata.signed.unrecognized_fields["x-other"] = {"kept": "Grüße"}
    return render_metadata(metadata)


def signed(data: bytes, login: str) -> SignatureBlock:
    role_file = RoleFile.parse("targets", "targets.json", data)
    return sign_payload(
        signer(login),
        role_file.payload,
        repository="5a" * 32,
        role="targets",
        version=role_file.version,
    )


def with_signature(data: bytes, signature: Signature) -> bytes:
    metadata = RoleFile.parse("targets", "targets.json", data).metadata
    metadata.signatures[signature.keyid] = signature
    return render_metadata(metadata)


def refusal(call: Callable[[], object]) -> KeyturnError:
    with pytest.raises(KeyturnError) as caught:
        call()
    return caught.value


def test_a_signature_is_added_and_verifies() -> None:
    data = attach(targets(), signed(targets(), "alice"), candidates=CANDIDATES)

    role_file = RoleFile.parse("targets", "targets.json", data)
    keyid = signer("alice").public.keyid
    signer("alice").public.verify_signature(role_file.signatures[keyid], role_file.payload)
    assert list(role_file.signatures) == [keyid]


def test_nothing_but_the_signature_changes() -> None:
    before = targets()

    after = attach(before, signed(before, "alice"), candidates=CANDIDATES)

    assert json.loads(after)["signed"] == json.loads(before)["signed"]
    assert after.split(b'"signed"')[1] == before.split(b'"signed"')[1]
    assert RoleFile.parse("targets", "x", after).digest == RoleFile.parse("targets", "x", before).digest


def test_the_order_of_signing_does_not_matter() -> None:
    alice, bob = signed(targets(), "alice"), signed(targets(), "bob")

    one = attach(attach(targets(), alice, candidates=CANDIDATES), bob, candidates=CANDIDATES)
    other = attach(attach(targets(), bob, candidates=CANDIDATES), alice, candidates=CANDIDATES)

    assert one == other


@pytest.mark.parametrize(
    "changes", [{"version": 3}, {"payload_sha256": "00" * 32}], ids=["version", "digest"]
)
def test_a_signature_over_another_payload_is_refused(changes: dict[str, object]) -> None:
    block = dataclasses.replace(signed(targets(), "alice"), **changes)  # type: ignore[arg-type]

    error = refusal(lambda: attach(targets(), block, candidates=CANDIDATES))

    assert (type(error), error.reason) == (RefusedError, "other-payload")


def test_a_signature_on_the_version_before_is_refused() -> None:
    error = refusal(lambda: attach(targets(3), signed(targets(2), "alice"), candidates=CANDIDATES))

    assert error.reason == "other-payload"


def test_a_proof_of_possession_signs_no_role() -> None:
    proof = dataclasses.replace(signed(targets(), "alice"), role="keyring", version=None, repository="0" * 64)

    assert refusal(lambda: attach(targets(), proof, candidates=CANDIDATES)).reason == "other-payload"


def test_a_signature_by_a_foreign_key_is_refused() -> None:
    block = signed(targets(), "mallory")

    error = refusal(lambda: attach(targets(), block, candidates=CANDIDATES))

    assert (type(error), error.reason) == (RefusedError, "foreign-key")


@pytest.mark.parametrize("signature", [b"\0" * 64, b"x"])
def test_a_signature_that_does_not_verify_is_refused(signature: bytes) -> None:
    block = dataclasses.replace(signed(targets(), "alice"), signature=signature)

    error = refusal(lambda: attach(targets(), block, candidates=CANDIDATES))

    assert (type(error), error.reason) == (RefusedError, "bad-signature")


def test_a_foreign_signature_under_a_signer_s_keyid_is_refused() -> None:
    mallory = signed(targets(), "mallory")
    block = dataclasses.replace(mallory, keyid=signer("alice").public.keyid)

    assert refusal(lambda: attach(targets(), block, candidates=CANDIDATES)).reason == "bad-signature"


def test_signing_twice_is_nothing_to_do() -> None:
    once = attach(targets(), signed(targets(), "alice"), candidates=CANDIDATES)

    # ECDSA signs with a fresh nonce, so this is another signature by the same key.
    error = refusal(lambda: attach(once, signed(targets(), "alice"), candidates=CANDIDATES))

    assert (type(error), error.reason) == (NothingToDo, "already-signed")


@pytest.mark.parametrize("junk", ["00" * 64, "no hexadecimal"])
def test_a_junk_signature_under_a_keyid_does_not_keep_its_owner_out(junk: str) -> None:
    occupied = with_signature(targets(), Signature(signer("alice").public.keyid, junk))

    data = attach(occupied, signed(targets(), "alice"), candidates=CANDIDATES)

    held = RoleFile.parse("targets", "x", data).signatures[signer("alice").public.keyid]
    assert held.signature != junk


def test_other_signatures_stay_as_they_are() -> None:
    other = Signature("11" * 32, "abcd", {"x-note": "kept"})

    data = attach(with_signature(targets(), other), signed(targets(), "alice"), candidates=CANDIDATES)

    assert RoleFile.parse("targets", "x", data).signatures["11" * 32] == other


def test_what_is_not_metadata_is_refused() -> None:
    error = refusal(lambda: attach(b"{}", signed(targets(), "alice"), candidates=CANDIDATES))

    assert error.reason == "bad-metadata"
