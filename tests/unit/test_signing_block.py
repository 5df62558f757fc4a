"""The signature block: SPEC's vector, what is accepted, what is refused and on which line."""

from __future__ import annotations

import base64
import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from keyturn.errors import KeyturnError
from keyturn.signing import (
    BlockError,
    KeySigner,
    SignatureBlock,
    find_blocks,
    load_signer,
    render,
    sign_payload,
)
from keyturn.signing.block import BEGIN, END, MAX_BLOCK_BYTES, NO_ROOT
from keyturn.state import fingerprint, short_fingerprint, spec_keyid

VECTORS = Path(__file__).parent.parent / "vectors" / "signature-block"
DOCUMENT = Path(__file__).parent.parent.parent / "docs" / "signature-block.md"
TEXTS: dict[str, list[dict[str, Any]]] = json.loads((VECTORS / "texts.json").read_text("utf-8"))
REPOSITORY = "5a" * 32

digests = st.text("0123456789abcdef", min_size=64, max_size=64)
blocks = st.builds(
    SignatureBlock,
    repository=digests.filter(lambda digest: digest != NO_ROOT),
    role=st.from_regex(r"[a-z0-9][a-z0-9._-]{0,63}", fullmatch=True).filter(lambda role: role != "keyring"),
    version=st.integers(1, 10**15 - 1),
    payload_sha256=digests,
    keyid=digests,
    signature=st.binary(min_size=1, max_size=1024),
)


def vector(name: str) -> bytes:
    return (VECTORS / name).read_bytes()


def alice() -> KeySigner:
    private = Ed25519PrivateKey.from_private_bytes(b"\x01" * 32)
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return load_signer("env:KEY", env={"KEY": pem}, ask_passphrase=None)


def a_block(**changes: object) -> SignatureBlock:
    return dataclasses.replace(find_blocks(vector("targets-2.block"))[0], **changes)  # type: ignore[arg-type]


def test_the_specification_s_key_has_its_keyid_and_fingerprint() -> None:
    key = alice().public

    assert key.keyid == spec_keyid(key) == "7ab6b86cb2c9684b0ddc10896153aa2595decf4d4327a5ff1a8ab7422c828b12"
    assert fingerprint(key).startswith("fd110d30")
    assert f"`{short_fingerprint(fingerprint(key))}`" in DOCUMENT.read_text("utf-8")


def test_the_specification_s_vector_is_reproduced_byte_for_byte() -> None:
    block = sign_payload(
        alice(), vector("targets-2.payload"), repository=REPOSITORY, role="targets", version=2
    )

    assert render(block).encode() == vector("targets-2.block")
    assert block.payload_sha256 == "75fbb14394561fb33daa1de7479f33fd9f1f822eb5120bb8edca3c767c9975f3"
    assert base64.b64encode(block.signature) == (
        b"P5DB1WzVGDIw1fRElLq8QLdJNuG8HjO/3zpiaARuPcuIPZnGdlBSZXrGta+NP2DknQtERKpjbC5A9belBOr4DQ=="
    )


@pytest.mark.parametrize("name", ["targets-2.payload", "targets-2.block", "alice.pub", "alice.proof"])
def test_the_document_shows_the_vectors_as_they_are(name: str) -> None:
    assert f"```\n{vector(name).decode().rstrip()}\n```" in DOCUMENT.read_text("utf-8")


@pytest.mark.parametrize("case", TEXTS["accepted"], ids=lambda case: case["name"])
def test_accepted(case: dict[str, Any]) -> None:
    assert len(find_blocks(case["text"])) == case["blocks"]


@pytest.mark.parametrize("case", TEXTS["refused"], ids=lambda case: case["name"])
def test_refused_with_its_line(case: dict[str, Any]) -> None:
    with pytest.raises(BlockError) as refusal:
        find_blocks(case["text"])

    assert (refusal.value.reason, refusal.value.where) == ("bad-block", f"line {case['line']}")


@pytest.mark.parametrize("case", TEXTS["accepted"] + TEXTS["refused"], ids=lambda case: case["name"])
def test_text_and_its_utf8_are_read_alike(case: dict[str, Any]) -> None:
    def outcome(text: str | bytes) -> object:
        try:
            return find_blocks(text)
        except BlockError as error:
            return str(error)

    assert outcome(case["text"]) == outcome(case["text"].encode())


def test_a_block_of_exactly_the_limit_is_read_and_one_byte_more_is_not() -> None:
    lines = render(a_block()).splitlines()
    room = MAX_BLOCK_BYTES - len(render(a_block()))
    largest = "\n".join([lines[0], lines[1] + " " * room, *lines[2:]]) + "\n"

    assert find_blocks(largest) == (a_block(),)
    with pytest.raises(BlockError, match="larger than 16384 bytes"):
        find_blocks(largest.replace(END, f" {END}"))


def test_a_refusal_says_what_to_do() -> None:
    with pytest.raises(BlockError) as refusal:
        find_blocks(f"{BEGIN}\n")

    assert "unchanged" in refusal.value.todo


@pytest.mark.parametrize(
    "changes",
    [
        {"repository": "x"},
        {"role": "targets\nkeyid: x"},
        {"role": "keyring"},
        {"repository": NO_ROOT},
        {"version": None},
        {"version": 0},
        {"version": 10**15},
        {"payload_sha256": "75FB" + "0" * 60},
        {"keyid": "7ab6b86c"},
        {"signature": b""},
        {"signature": b"x" * MAX_BLOCK_BYTES},
    ],
    ids=str,
)
def test_a_block_that_could_not_be_read_again_cannot_be_made(changes: dict[str, Any]) -> None:
    with pytest.raises(BlockError):
        a_block(**changes)


@given(blocks)
def test_what_is_rendered_is_found_again(block: SignatureBlock) -> None:
    text = render(block)

    assert text.isascii()
    assert find_blocks(text) == (block,)
    assert find_blocks(f"words\r\n```\r\n{text}```".replace("\n", "\r\n")) == (block,)


@given(st.lists(blocks, max_size=4, unique_by=lambda block: (block.role, block.keyid)), st.text(max_size=40))
def test_blocks_come_in_their_order_whatever_stands_between(found: list[SignatureBlock], words: str) -> None:
    between = f"\n{words}.\n"

    assert find_blocks(between + between.join(render(block) for block in found)) == tuple(found)


@given(blocks)
def test_a_block_has_one_spelling(block: SignatureBlock) -> None:
    text = render(block)
    signature = text.splitlines()[-2]

    for other in (text.replace(": ", ":  ", 1), text.replace(signature, signature + "=")):
        with pytest.raises(BlockError):
            find_blocks(other)


lines = st.sampled_from([BEGIN, END, *vector("targets-2.block").decode().splitlines(), "version: 3", "> x"])


@given(st.binary() | st.text() | st.lists(lines | st.text(max_size=20), max_size=24).map("\n".join))
def test_no_text_raises_anything_but_our_error(text: str | bytes) -> None:
    try:
        found = find_blocks(text)
    except BlockError as error:
        assert error.where.startswith("line ")
    else:
        assert all(find_blocks(render(block)) == (block,) for block in found)


@given(st.data())
def test_a_damaged_block_is_refused_or_says_something_else(data: st.DataObject) -> None:
    original = vector("targets-2.block")
    place = data.draw(st.integers(0, len(original) - 1))
    damaged = original[:place] + bytes([data.draw(st.integers(0, 255))]) + original[place + 1 :]

    try:
        found = find_blocks(damaged)
    except KeyturnError:
        return
    assert damaged.rstrip() == original.rstrip() or found != find_blocks(original)
