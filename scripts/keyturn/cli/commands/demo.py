"""``keyturn demo``: all of it on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from keyturn.cli import options
from keyturn.cli.lines import Line, Span, line
from keyturn.cli.output import Result
from keyturn.cli.session import Session

if TYPE_CHECKING:
    from keyturn.demo.lab import Run
    from keyturn.demo.page import Piece

_DEFAULT_PORT = 8000


@dataclass(frozen=True, slots=True)
class Request:
    """The options of ``demo``."""

    plain: bool
    serve: int | None
    keep: Path | None


@click.command()
@click.option("--plain", is_flag=True, help="With git alone: no GitHub, also no emulated one.")
@click.option(
    "--serve",
    is_flag=False,
    flag_value=_DEFAULT_PORT,
    type=click.IntRange(0, 65535),
    metavar="[PORT]",
    help=f"Serve the site at the end, on this port.  [default: {_DEFAULT_PORT}]",
)
@click.option("--keep", type=options.PATH, metavar="DIR", help="Work in this directory, and leave it there.")
@options.command(Request)
def demo(session: Session, request: Request) -> Result:
    """Found, co-sign, publish, update and attack a repository, on an emulated GitHub of this machine.

    The real workflows and actions run there. The emulation comes with the source; without it, or with
    --plain, the demo goes the git-only way, each step its own process.
    """
    from keyturn.demo.frame import DemoOptions

    def out(pieces: Sequence[Piece]) -> None:
        session.output.show([Line(tuple(Span(piece.text, piece.style) for piece in pieces))])

    played = _chosen(session, request)(DemoOptions(keep=request.keep, serve=request.serve), out)
    return Result(lines=(), document=played.to_dict(), exit_code=played.exit_code)


def _chosen(session: Session, request: Request) -> Run:
    from keyturn.demo import lab, story

    if request.plain:
        return story.run
    found = lab.find(session.environment)
    if isinstance(found, lab.Missing):
        session.output.note([line(f"{found.why}; this is the git-only one (--plain)")])
        return story.run
    return found
