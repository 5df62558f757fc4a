"""Options and arguments that several commands share, and how a command gets them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

from keyturn import __version__
from keyturn.cli.digest import read_digest
from keyturn.cli.output import Result
from keyturn.cli.session import Session

Request = TypeVar("Request")

PATH = click.Path(path_type=Path)
"""A path of this machine; whether it is there, the command finds out."""


def command(
    build: Callable[..., Request],
) -> Callable[[Callable[[Session, Request], Result]], Callable[..., Result]]:
    """Hand a command its options as one object.

    Args:
        build: The class of that object; its fields are called like the options.

    Returns:
        A decorator for a function of session and options.
    """

    def decorate(run: Callable[[Session, Request], Result]) -> Callable[..., Result]:
        def called(session: Session, /, **values: object) -> Result:
            return run(session, build(**values))

        return click.pass_obj(functools.update_wrapper(called, run))

    return decorate


def _digest(ctx: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    return read_digest(value, where=parameter.opts[0])


event = click.argument("event")
only_event = click.argument("event", required=False)
"""An event that need not be named where there is only one."""

github = click.option(
    "--github",
    metavar="URL",
    help="Address of the REST interface, for a GitHub server that is known neither by name nor by GH_HOST.",
)

action = click.option(
    "--action",
    metavar="OWNER/REPOSITORY@COMMIT",
    help="The actions that the workflows use.  [default: those of this release]",
)
action_version = click.option(
    "--action-version",
    default=f"v{__version__}",
    show_default=True,
    metavar="VERSION",
    help="What that commit is called, for the comment beside it.",
)
set_secret = click.option(
    "--set-secret",
    is_flag=True,
    help="Send the online key from its environment variable to the environment's secret, sealed.",
)

key = click.option("--key", metavar="URI", help="Your key; else those of config.toml are tried in order.")

root_digest = click.option(
    "--root-digest",
    metavar="SHA256",
    callback=_digest,
    help="The repository's root digest, from a founder; else that of KEYTURN_ROOT, or the pin.",
)
