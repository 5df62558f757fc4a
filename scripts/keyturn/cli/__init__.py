"""The ``keyturn`` command: the only place, with the demo, that speaks to a person.

``text``
    what comes from a repository is made safe to print.
``lines``, ``output``
    what is shown, as data; and the one way to show it: on a terminal, through a pipe, as JSON.
``render``
    what the use cases return, as lines.
``failures``
    what went wrong, as lines, JSON and an exit code.
``session``, ``remote``, ``clock``
    from the command line and the environment to what the use cases need.
``commands``
    one small function per command, imported when it is called.
"""

from __future__ import annotations

import sys

from keyturn.errors import ExitCode


def main() -> int:
    """Run the command line; the console script.

    Returns:
        Exit code, if click is missing; else ``SystemExit`` is raised.
    """
    try:
        import click  # noqa: F401 - only whether it is there
    except ModuleNotFoundError as error:
        if error.name != "click":
            raise
        print(
            "error: the command line needs more than the client library\n  todo: pip install 'keyturn[repo]'",
            file=sys.stderr,
        )
        return ExitCode.ENVIRONMENT
    from keyturn.cli.entry import cli

    cli(prog_name="keyturn")
    return ExitCode.DONE
