"""Handing signatures in, one commit for each."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from keyturn.cli import render
from keyturn.cli.session import Session
from keyturn.errors import NothingToDo
from keyturn.flow.context import Context
from keyturn.flow.signing import Delivered, deliver
from keyturn.signing import SignatureBlock


def deliver_all(
    session: Session,
    context: Context,
    topic: str,
    blocks: Sequence[SignatureBlock],
    then: Callable[[SignatureBlock], None] = lambda block: None,
) -> list[Delivered]:
    """Put signatures into an event, and say so as each is in; one that is there already is passed over.

    Args:
        session: The command.
        context: Where.
        topic: Topic of the event.
        blocks: The signatures, at least one.
        then: Called with each block that is in.

    Raises:
        NothingToDo: All of them were there already.
        RefusedError: The event takes one of them not; those before it are in.
    """
    delivered: list[Delivered] = []
    there: NothingToDo | None = None
    for block in blocks:
        try:
            delivered.append(deliver(context, topic, block))
            session.output.show(render.signed(delivered[-1]))
        except NothingToDo as error:
            there = error
        then(block)
    if there is not None and not delivered:
        raise there
    return delivered


def signed_document(one: Delivered) -> dict[str, object]:
    """A signature that stands, for ``--json``."""
    return {"role": one.role, "version": one.version, "owner": one.owner, "commit": one.commit}
