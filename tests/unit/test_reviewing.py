"""Which signatures in reviews may be taken: by payload, key, owner and an unaltered text; by nothing else."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyturn.flow.context import Loaded
from keyturn.flow.reviewing import Reviewed, is_owner, judge_reviews
from keyturn.forge.host import Account, Review
from keyturn.signing import SignatureBlock, render, sign_payload
from keyturn.signing.block import BEGIN, END
from keyturn.state import ONLINE, Owner
from unit.repository import release, released, signer

WHEN = datetime(2026, 1, 1, tzinfo=timezone.utc)
ALICE, BOB = Account("alice", 1001), Account("bob", 1002)


@cache
def loaded() -> Loaded:
    """A release that waits for the signatures of alice and bob; the metadata gives no numbers."""
    draft = released()
    release(draft, "2.0")
    event = draft.event()
    return Loaded("release", "https://x.example/r", event, event.head, merged=False)


def block(name: str) -> SignatureBlock:
    (file,) = loaded().event.proposed
    return sign_payload(
        signer(name),
        file.payload,
        repository=str(loaded().repository),
        role=file.role,
        version=file.version,
    )


def review(author: Account, body: str, editor: Account | None = None) -> Review:
    return Review(
        9,
        "https://x.example/r/9",
        author,
        body,
        "COMMENTED",
        "c" * 40,
        WHEN,
        editor,
        WHEN if editor else None,
    )


def judged(*reviews: Review) -> Reviewed:
    return judge_reviews(loaded(), reviews)


def test_the_owner_s_own_signature_may_be_taken() -> None:
    (offer,) = judged(review(BOB, render(block("bob")))).offers

    assert offer.block == block("bob")
    assert offer.by_login


def test_somebody_else_s_may_not() -> None:
    (refusal,) = judged(review(ALICE, render(block("bob")))).refusals

    assert refusal.reason == "other-person"
    assert "belongs to bob" in refusal.what


def test_of_two_blocks_in_one_review_each_is_judged_by_itself() -> None:
    found = judged(review(BOB, render(block("alice")) + render(block("bob"))))

    assert [offer.block.keyid for offer in found.offers] == [block("bob").keyid]
    assert [refusal.reason for refusal in found.refusals] == ["other-person"]


def test_a_later_review_of_the_same_person_puts_an_earlier_one_right() -> None:
    wrong = review(BOB, render(replace(block("bob"), signature=b"x" * 64)))
    right = review(BOB, render(block("bob")))

    assert judged(wrong).refusals
    assert judged(wrong, right).refusals == ()
    assert [refusal.reason for refusal in judged(right, wrong).refusals] == ["bad-signature"]


def test_a_stranger_cannot_put_another_s_mistake_out_of_sight() -> None:
    wrong = review(BOB, render(replace(block("bob"), signature=b"x" * 64)))

    assert len(judged(wrong, review(ALICE, render(block("alice")))).refusals) == 1


def test_a_quoted_block_is_text() -> None:
    quoted = "".join(f"> {line}\n" for line in render(block("bob")).splitlines())

    assert judged(review(BOB, quoted)) == Reviewed()


def test_windows_line_ends_and_a_fence_are_accepted() -> None:
    text = f"```\n{render(block('bob'))}```\n".replace("\n", "\r\n")

    assert len(judged(review(BOB, text)).offers) == 1


@pytest.mark.parametrize(
    ("owner", "account", "same"),
    [
        (Owner("bob", 1002), Account("robert", 1002), True),
        (Owner("bob", 1002), Account("bob", 9), False),
        (Owner("bob"), Account("BOB", 9), True),
        (Owner("bob"), Account("bobby", 9), False),
        (ONLINE, Account("online", 9), False),
    ],
)
def test_a_number_decides_where_there_is_one(owner: Owner, account: Account, same: bool) -> None:
    assert is_owner(owner, account) is same


PIECES = st.one_of(
    st.sampled_from(
        [
            BEGIN,
            END,
            "\n",
            "\r\n",
            "format: 1\n",
            "role: targets\n",
            "version: 2\n",
            f"keyid: {'a' * 64}\n",
            "> ",
        ]
    ),
    st.text(st.characters(codec=None), max_size=10),
    st.just(render(SignatureBlock("1" * 64, "targets", 2, "2" * 64, "3" * 64, b"x" * 64))),
)


@given(st.lists(PIECES, max_size=12).map("".join), st.booleans())
@settings(max_examples=200)
def test_no_text_gets_a_signature_in_that_does_not_verify(text: str, edited: bool) -> None:
    found = judged(review(BOB, text, ALICE if edited else None))

    assert found.offers == ()
    assert found.taken == ()
