"""What a refused signature block is called, line by line, and where its limits are."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from keyturn.signing import BlockError, SignatureBlock, find_blocks, render
from keyturn.signing.block import MAX_BLOCK_BYTES

VECTORS = Path(__file__).parents[1] / "vectors" / "signature-block"
TEXT = (VECTORS / "targets-2.block").read_text("ascii")
(BLOCK,) = find_blocks(TEXT)
LINES = TEXT.splitlines()
Edit = Callable[[list[str]], list[str]]


def refusal(text: str | bytes) -> tuple[str, str]:
    with pytest.raises(BlockError) as caught:
        find_blocks(text)
    return caught.value.what, caught.value.where


@pytest.mark.parametrize(
    ("edit", "what", "line"),
    [
        (lambda lines: lines[1:], "the end of a block whose beginning is missing or damaged", 8),
        (lambda lines: lines[:-1], "a block without its end", 1),
        (
            lambda lines: [*lines, "", *lines],
            f"a second block of the key {BLOCK.keyid[:8]}... for the role targets",
            11,
        ),
        (lambda lines: [lines[0], *lines[2:]], "the line 'format: ...' is expected here", 2),
        (
            lambda lines: [*lines[:2], "repository: x", *lines[3:]],
            "the value of 'repository' is not of its form",
            3,
        ),
        (lambda lines: [*lines[:-1], "note: x", lines[-1]], "a line too many", 9),
        (lambda lines: [*lines[:-2], lines[-1]], "the line 'signature: ...' is missing", 8),
        (
            lambda lines: [*lines[:-2], "signature: AAAAA", lines[-1]],
            "the value of 'signature' is not base64",
            8,
        ),
        (
            lambda lines: [*lines[:-2], "signature: AAB=", lines[-1]],
            "the value of 'signature' is not the usual base64 of its bytes",
            8,
        ),
        (
            lambda lines: [*lines[:2], f"repository: {'0' * 64}", *lines[3:]],
            "the repository 0000... and the role keyring stand only together",
            1,
        ),
    ],
)
def test_a_refusal_names_the_fault_and_its_line(edit: Edit, what: str, line: int) -> None:
    assert refusal("\n".join(edit(LINES)) + "\n") == (what, f"line {line}")


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"keyid": "x"}, "the value of 'keyid' is not of its form"),
        ({"role": "keyring"}, "the repository 0000... and the role keyring stand only together"),
        ({"version": None}, "every role has a version except keyring"),
        ({"signature": b"x" * MAX_BLOCK_BYTES}, "larger than 16384 bytes"),
    ],
)
def test_what_cannot_stand_in_a_block_is_named(changes: dict[str, object], what: str) -> None:
    with pytest.raises(BlockError) as caught:
        dataclasses.replace(BLOCK, **changes)  # type: ignore[arg-type]

    assert caught.value.what == what


def largest() -> SignatureBlock:
    """A block whose text is as long as a block may be: base64 grows by four, the role's name by one."""
    room = MAX_BLOCK_BYTES - len(render(dataclasses.replace(BLOCK, role="t", signature=b"x")))
    return dataclasses.replace(BLOCK, role="t" * (1 + room % 4), signature=b"x" * (3 * (room // 4) + 1))


def test_a_block_of_exactly_the_limit_can_be_made_and_none_above() -> None:
    block = largest()

    assert len(render(block)) == MAX_BLOCK_BYTES
    assert find_blocks(render(block)) == (block,)
    with pytest.raises(BlockError):
        dataclasses.replace(block, role=f"{block.role}t")


def test_text_that_is_not_unicode_is_no_block_and_no_hindrance() -> None:
    assert find_blocks(f"\ud800\n{TEXT}\udfff") == (BLOCK,)


@pytest.mark.parametrize("blank", ["\x0b", "\x0c"], ids=["vertical tab", "form feed"])
def test_only_blanks_and_returns_may_follow_a_line(blank: str) -> None:
    assert find_blocks(TEXT.replace(LINES[0], f"{LINES[0]} \t\r")) == (BLOCK,)
    assert refusal(TEXT.replace(LINES[3], f"{LINES[3]}{blank}")) == (
        "the value of 'role' is not of its form",
        "line 4",
    )
