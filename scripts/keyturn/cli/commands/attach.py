"""``keyturn attach``: signatures that were made elsewhere."""

from __future__ import annotations

from pathlib import Path

import click

from keyturn.cli import options
from keyturn.cli.delivery import hand_in, handed_in
from keyturn.cli.files import read_file
from keyturn.cli.output import Result
from keyturn.cli.session import Session
from keyturn.errors import UsageError
from keyturn.signing import find_blocks

_MAX_TEXT = 1_000_000


@click.command()
@options.event
@click.argument("file", type=options.PATH, metavar="FILE|-")
@click.pass_obj
def attach(session: Session, event: str, file: Path) -> Result:
    """Put the signature blocks of a text (a file, a mail; - is standard input) into EVENT."""
    blocks = find_blocks(read_file(file, _MAX_TEXT))
    if not blocks:
        raise UsageError(
            "holds no signature block",
            where=str(file),
            todo="Give the text that `keyturn sign --out` wrote, whole.",
            reason="no-block",
        )
    context = session.context(event=event)
    return handed_in(hand_in(session, context, session.topic(context, event), blocks))
