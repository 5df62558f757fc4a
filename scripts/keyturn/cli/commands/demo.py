"""``keyturn demo``: all of it on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from keyturn.cli import options
from keyturn.cli.lines import Line, Span
from keyturn.cli.output import Result
from keyturn.cli.session import Session

if TYPE_CHECKING:
    from keyturn.demo.page import Piece

_DEFAULT_PORT = 8000


@click.command()
@click.option(
    "--serve",
    is_flag=False,
    flag_value=_DEFAULT_PORT,
    type=click.IntRange(0, 65535),
    metavar="[PORT]",
    help=f"Serve the site at the end, on this port.  [default: {_DEFAULT_PORT}]",
)
@click.option("--keep", type=options.PATH, metavar="DIR", help="Work in this directory, and leave it there.")
@click.pass_obj
def demo(session: Session, serve: int | None, keep: Path | None) -> Result:
    """Found, co-sign, publish, update and attack a repository, each step its own process."""
    from keyturn.demo.story import DemoOptions, run

    def out(pieces: Sequence[Piece]) -> None:
        session.output.show([Line(tuple(Span(piece.text, piece.style) for piece in pieces))])

    played = run(DemoOptions(keep=keep, serve=serve), out)
    return Result(lines=(), document=played.to_dict(), exit_code=played.exit_code)
