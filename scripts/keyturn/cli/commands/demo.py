"""``keyturn demo``: all of it on this machine."""

from __future__ import annotations

from pathlib import Path

import click

from keyturn.cli import options

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
def demo(serve: int | None, keep: Path | None) -> int:
    """Found, co-sign, publish, update and attack a repository, each step its own process."""
    from keyturn.demo.story import main

    return main(serve=serve, keep=keep)
