"""Signatures in reviews: which of them may be taken, and why the others may not (DESIGN section 4, item 3).

A review is text that anybody may have written. What makes a signature count is that it verifies over the
payload that is proposed now; beyond that, a review has to come from the key's owner, unaltered. Whether it
approves, comments, requests changes or was dismissed, and which commit it was written on, plays no part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from keyturn.errors import KeyturnError, NothingToDo, RefusedError
from keyturn.flow.context import Loaded
from keyturn.flow.signing import attachment
from keyturn.forge.host import Account, Review
from keyturn.signing import SignatureBlock, find_blocks
from keyturn.state import Owner, RoleFile

EDITED = "edited-review"
OTHER_PERSON = "other-person"
NO_OWNER = "no-owner"
_MARKER = "KEYTURN SIGNATURE-----"
_SIGN_AGAIN = "The payload changed since, or is another one: look at what is proposed now, and sign that."
_ADVICE = {
    "other-payload": _SIGN_AGAIN,
    "other-repository": "Sign in a clone of this repository.",
    "foreign-key": "Use the key that this repository knows as yours.",
    "bad-signature": "Copy the whole block as `keyturn sign` wrote it, unchanged, into a new review.",
    EDITED: "Its author posts the block once more, in a new review.",
    OTHER_PERSON: "The owner of the key posts it in a review of their own.",
    NO_OWNER: "Somebody who may push hands it in with `keyturn attach`.",
}


@dataclass(frozen=True, slots=True)
class Offer:
    """A signature in a review that belongs to what is proposed.

    Args:
        review: The review.
        block: The signature.
        by_login: Whether the reviewer was recognised by login alone, since no numeric id is signed.
    """

    review: Review
    block: SignatureBlock
    by_login: bool


@dataclass(frozen=True, slots=True)
class Refusal:
    """A review whose signature is not taken.

    Args:
        review: The review.
        reason: Stable word, e.g. ``other-person``.
        what: Why, a sentence without a full stop.
        todo: What to do.
    """

    review: Review
    reason: str
    what: str
    todo: str


@dataclass(frozen=True, slots=True)
class Reviewed:
    """What the reviews of an event carry.

    Args:
        offers: Signatures that may be taken and are not there yet.
        taken: Signatures that are there already.
        refusals: What is refused and was not put right by a later review.
    """

    offers: tuple[Offer, ...] = ()
    taken: tuple[Offer, ...] = ()
    refusals: tuple[Refusal, ...] = ()


def judge_reviews(loaded: Loaded, reviews: Sequence[Review]) -> Reviewed:
    """Look at every review of an event.

    Args:
        loaded: The event.
        reviews: All its reviews as they read now, oldest first. Deleted ones are simply not among them.
    """
    offers: dict[tuple[str, str], Offer] = {}
    taken: list[Offer] = []
    refusals: list[Refusal] = []
    for review in reviews:
        if _MARKER not in review.body:
            continue
        judged = _judge(loaded, review)
        if judged.offers or judged.taken:
            refusals = [one for one in refusals if one.review.author.id != review.author.id]
        for offer in judged.offers:
            offers.setdefault((offer.block.role, offer.block.keyid), offer)
        taken += judged.taken
        refusals += judged.refusals
    return Reviewed(tuple(offers.values()), tuple(taken), tuple(refusals))


def _judge(loaded: Loaded, review: Review) -> Reviewed:
    """One review by itself."""
    try:
        blocks = find_blocks(review.body)
    except RefusedError as error:
        if _edited_by_another(review):
            return Reviewed(refusals=(_edited(review),))
        what = f"{error.where}: {error.what}" if error.where else error.what
        return Reviewed(refusals=(Refusal(review, error.reason, what, error.todo),))
    offers, taken, refusals = [], [], []
    for block in blocks:
        try:
            offers.append(Offer(review, block, by_login=permit(loaded, review, block)))
        except NothingToDo:
            owner = owner_of(loaded, block)
            by_login = owner is not None and is_owner(owner, review.author) and owner.id is None
            taken.append(Offer(review, block, by_login=by_login))
        except KeyturnError as error:
            if not _superseded(loaded, block, error.reason):
                refusals.append(
                    Refusal(review, error.reason, error.what, _ADVICE.get(error.reason, error.todo))
                )
    return Reviewed(tuple(offers), tuple(taken), tuple(dict.fromkeys(refusals)))


def permit(loaded: Loaded, review: Review, block: SignatureBlock) -> bool:
    """Refuse a signature that may not be taken from a review.

    Args:
        loaded: The event.
        review: The review.
        block: A signature in it.

    Returns:
        Whether the reviewer was recognised by login alone.

    Raises:
        RefusedError: Reasons ``other-repository``, ``other-payload``, ``foreign-key``, ``bad-signature``,
            ``edited-review``, ``other-person``, ``no-owner``.
        NothingToDo: The signature is there already (reason ``already-signed``).
    """
    attachment(loaded, block)
    if _edited_by_another(review):
        refused = _edited(review)
        raise RefusedError(refused.what, where=review.url, todo=refused.todo, reason=refused.reason)
    owner = owner_of(loaded, block)
    if owner is None or owner.online:
        raise RefusedError(
            f"no person is named as the owner of the key {block.keyid[:8]}...",
            where=review.url,
            todo=_ADVICE[NO_OWNER],
            reason=NO_OWNER,
        )
    if not is_owner(owner, review.author):
        number = "" if owner.id is None else f" (id {owner.id})"
        raise RefusedError(
            f"the key belongs to {owner.name}{number}, "
            f"the review is by {review.author.login} (id {review.author.id})",
            where=review.url,
            todo=_ADVICE[OTHER_PERSON],
            reason=OTHER_PERSON,
        )
    return owner.id is None


def is_owner(owner: Owner, account: Account) -> bool:
    """Whether an account is the owner of a key: by numeric id if one is signed, else by login, caseless."""
    if owner.id is not None:
        return owner.id == account.id
    return not owner.online and owner.name.lower() == account.login.lower()


def owner_of(loaded: Loaded, block: SignatureBlock) -> Owner | None:
    """Who owns the key of a signature: as main says, and only for a key that is new, as the event says.

    Else an event could hand somebody's key over to its author before anybody has agreed to it.
    """
    return key_owner(loaded, block.role, block.keyid)


def key_owner(loaded: Loaded, role: str, keyid: str) -> Owner | None:
    """Who owns a key that may sign a role; None where nobody is named."""
    for state in (loaded.event.baseline, loaded.event.head):
        for delegation in state.delegations_to(role):
            if keyid in delegation.role.keyids:
                return delegation.owners.get(keyid)
    return None


def _edited_by_another(review: Review) -> bool:
    """Whether anybody but the author had their hands in it; an edit by nobody knows whom is one."""
    if review.editor is not None:
        return review.editor.id != review.author.id
    return review.edited is not None


def _edited(review: Review) -> Refusal:
    who = review.editor.login if review.editor else "an account that is gone"
    return Refusal(review, EDITED, f"the review was edited by {who}, not by its author", _ADVICE[EDITED])


def _superseded(loaded: Loaded, block: SignatureBlock, reason: str) -> bool:
    """Whether the key has signed what is proposed now, so that an earlier signature need not be told of."""
    if reason != "other-payload":
        return False
    file: RoleFile | None = next((f for f in loaded.event.proposed if f.role == block.role), None)
    counts = loaded.event.counts(file) if file else ()
    return any(mark.keyid == block.keyid for count in counts for mark in count.signed)
