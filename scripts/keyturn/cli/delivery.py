"""Handing signatures in, one commit for each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from keyturn.cli import render
from keyturn.cli.lines import line, strong
from keyturn.cli.output import Result
from keyturn.cli.session import Session
from keyturn.errors import NothingToDo
from keyturn.flow.context import Context
from keyturn.flow.signing import Delivered, deliver
from keyturn.signing import SignatureBlock


@dataclass(frozen=True, slots=True)
class Handed:
    """A signature that stands in the remote now.

    Args:
        block: The signature.
        delivered: Where it stands, and how far the event is.
    """

    block: SignatureBlock
    delivered: Delivered

    def to_dict(self) -> dict[str, object]:
        """The signature as ``--json`` shows it."""
        return {
            **describe(self.block),
            "owner": self.delivered.owner,
            "commit": self.delivered.commit,
        }


def describe(block: SignatureBlock) -> dict[str, object]:
    """What a signature belongs to, as ``--json`` shows it."""
    return {
        "role": block.role,
        "version": block.version,
        "payload-sha256": block.payload_sha256,
        "keyid": block.keyid,
    }


def hand_in(
    session: Session,
    context: Context,
    topic: str,
    blocks: Sequence[SignatureBlock],
    then: Callable[[SignatureBlock], None] = lambda block: None,
) -> tuple[Handed, ...]:
    """Put signatures into an event, and say so as each is in; one that is there already is passed over.

    Args:
        session: The command.
        context: Where.
        topic: Topic of the event.
        blocks: The signatures, at least one.
        then: Called with each block that is in.

    Returns:
        Those that were not there yet, at least one.

    Raises:
        NothingToDo: All of them were there already.
        RefusedError: The event does not take one of them; those before it are in.
    """
    handed: list[Handed] = []
    there: NothingToDo | None = None
    for block in blocks:
        try:
            delivered = deliver(context, topic, block)
            handed.append(Handed(block, delivered))
            session.output.show(render.signed(delivered))
        except NothingToDo as error:
            there = error
        then(block)
    if there is not None and not handed:
        raise there
    return tuple(handed)


def handed_in(handed: Sequence[Handed]) -> Result:
    """What a command says after it handed in signatures: how far the event is now."""
    status = handed[-1].delivered.status
    return Result(
        lines=(render.headline(status), line(strong("next: "), render.next_step(status))),
        document={"signed": [one.to_dict() for one in handed], "status": status.to_dict()},
    )
