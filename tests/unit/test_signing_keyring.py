"""Proof of possession: who holds which key, in which repository."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st
from securesystemslib.signer import SSlibKey

from keyturn.errors import KeyturnError, RefusedError, UsageError
from keyturn.signing import (
    KeySigner,
    find_blocks,
    load_signer,
    new_key,
    parse_public,
    possession_bytes,
    prove,
    public_pem,
    read_member,
    render,
    sign_payload,
)
from keyturn.signing.block import NO_ROOT

VECTORS = Path(__file__).parent.parent / "vectors" / "signature-block"
PUB = (VECTORS / "alice.pub").read_bytes()
PROOF = (VECTORS / "alice.proof").read_bytes()
NAME = "acme-updates"


def opened(pem: bytes) -> KeySigner:
    return load_signer("env:KEY", env={"KEY": pem.decode()}, ask_passphrase=None)


def signer(seed: int) -> KeySigner:
    private = Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)
    return opened(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def refusal(call: Callable[[], object]) -> KeyturnError:
    with pytest.raises(KeyturnError) as caught:
        call()
    return caught.value


def test_the_vector_is_reproduced() -> None:
    assert public_pem(signer(1).public) == PUB
    assert prove(signer(1), NAME, "alice").encode() == PROOF


def test_the_bytes_are_those_of_the_specification() -> None:
    keyid = signer(1).public.keyid

    assert possession_bytes(NAME, "alice", keyid) == (
        f"keyturn-keyring-v1\nacme-updates\nalice\n{keyid}\n".encode()
    )


def test_a_member_is_read_with_their_login_and_key() -> None:
    member = read_member("alice", PUB, PROOF, NAME)

    assert (member.login, member.key) == ("alice", signer(1).public)


@pytest.mark.parametrize("kind", ["ecdsa", "rsa"])
def test_every_kind_of_key_can_be_proven(kind: str) -> None:
    made = new_key(kind, None)  # type: ignore[arg-type]

    member = read_member("bob", public_pem(made.public), prove(opened(made.pem), NAME, "bob").encode(), NAME)

    assert member.key == made.public


def test_the_proof_decides_the_scheme_of_an_rsa_key() -> None:
    made = new_key("rsa", None)
    pub = public_pem(made.public)
    older = next(key for key in parse_public(pub, where="x").choices if key != made.public)
    limited = opened(made.pem).as_key(older)
    assert limited is not None

    member = read_member("bob", pub, prove(limited, NAME, "bob").encode(), NAME)

    assert member.key.scheme == "rsa-pkcs1v15-sha256"


def block_with(**changes: object) -> bytes:
    return render(dataclasses.replace(find_blocks(PROOF)[0], **changes)).encode()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("proof", "says"),
    [
        (b"", "exactly one"),
        (PROOF + prove(signer(2), NAME, "alice").encode(), "exactly one"),
        ((VECTORS / "targets-2.block").read_bytes(), "exactly one"),
        (PROOF.replace(b"format: 1", b"format: 2"), "line 2"),
        (prove(signer(2), NAME, "alice").encode(), "not the one in the .pub file"),
        (prove(signer(1), NAME, "mallory").encode(), "another login"),
        (prove(signer(1), "other-updates", "alice").encode(), "another name"),
        (block_with(signature=b"\0" * 64), "does not verify"),
        (block_with(signature=b"short"), "does not verify"),
    ],
)
def test_a_proof_that_proves_nothing_is_refused(proof: bytes, says: str) -> None:
    error = refusal(lambda: read_member("alice", PUB, proof, NAME))

    assert (type(error), error.reason, error.where) == (RefusedError, "bad-proof", "keyring/alice.proof")
    assert says in str(error)


def test_a_public_key_that_cannot_be_read_is_refused_by_its_own_file() -> None:
    error = refusal(lambda: read_member("alice", b"", PROOF, NAME))

    assert (error.reason, error.where) == ("bad-key", "keyring/alice.pub")


def test_a_proof_is_no_signature_on_a_role_and_the_other_way_round() -> None:
    keyid = signer(1).public.keyid
    payload = possession_bytes(NAME, "alice", keyid)

    for role, version, repository in [("keyring", 1, NO_ROOT), ("targets", None, "5a" * 32)]:
        error = refusal(
            lambda role=role, version=version, repository=repository: sign_payload(  # type: ignore[misc]
                signer(1), payload, repository=repository, role=role, version=version
            )
        )
        assert error.reason == "bad-block"


@pytest.mark.parametrize(
    ("name", "login", "reason"),
    [
        ("acme\nmallory", "alice", "bad-name"),
        ("", "alice", "bad-name"),
        ("Acme", "alice", "bad-name"),
        (NAME, "alice\n", "bad-login"),
        (NAME, "../alice", "bad-login"),
        (NAME, "-alice", "bad-login"),
        (NAME, "al--ice", "bad-login"),
        (NAME, "a" * 40, "bad-login"),
    ],
)
def test_nothing_can_be_smuggled_into_the_bytes(name: str, login: str, reason: str) -> None:
    error = refusal(lambda: prove(signer(1), name, login))

    assert (type(error), error.reason) == (UsageError, reason)


def test_a_key_under_a_keyid_of_its_own_cannot_be_proven() -> None:
    key = signer(1).public
    odd = signer(1).as_key(SSlibKey("odd", key.keytype, key.scheme, key.keyval))
    assert odd is not None

    assert refusal(lambda: prove(odd, NAME, "alice")).reason == "bad-keyid"


@given(st.binary(max_size=300), st.integers(0, len(PUB)), st.binary(max_size=300), st.integers(0, len(PROOF)))
def test_no_bytes_raise_anything_but_our_error(
    pub: bytes, keep_pub: int, proof: bytes, keep_proof: int
) -> None:
    try:
        member = read_member("alice", PUB[:keep_pub] + pub, PROOF[:keep_proof] + proof, NAME)
    except RefusedError as error:
        assert error.where.startswith("keyring/alice.")
    else:
        assert member.key == signer(1).public
