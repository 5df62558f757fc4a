"""``keyturn attach``: signatures that were made elsewhere."""

from __future__ import annotations

from pathlib import Path

import click

from keyturn.cli import options, render
from keyturn.cli.delivery import deliver_all, signed_document
from keyturn.cli.files import read_file
from keyturn.cli.lines import line, strong
from keyturn.cli.output import Result
from keyturn.cli.session import Session
from keyturn.errors import UsageError
from keyturn.flow.context import topic_of
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
    delivered = deliver_all(session, session.context(), topic_of(event), blocks)
    status = delivered[-1].status
    return Result(
        lines=(render.headline(status), line(strong("next: "), render.next_step(status))),
        document={"signed": [signed_document(one) for one in delivered], "status": status.to_dict()},
    )
