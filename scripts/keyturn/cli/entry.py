"""The command's beginning and end: global options, the table of commands, the boundary for errors."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import NoReturn

import click

from keyturn import __version__
from keyturn.cli.clock import parse_time
from keyturn.cli.lazy import Entry, LazyGroup
from keyturn.cli.lines import Level
from keyturn.cli.output import Output, Result
from keyturn.cli.session import Globals, Session
from keyturn.errors import ExitCode

COMMANDS = (
    Entry("key", "make a key, or show the public facts of one", "keyturn.cli.commands.key", "key"),
    Entry("init", "found a repository in an empty remote", "keyturn.cli.commands.found", "init"),
    Entry("join", "enter your own key into a founding event", "keyturn.cli.commands.found", "join"),
    Entry(
        "propose", "propose a release, files, a policy or renewals", "keyturn.cli.commands.propose", "propose"
    ),
    Entry("status", "how far signing events are, and what to do next", "keyturn.cli.commands.look", "status"),
    Entry("diff", "what a signing event changes", "keyturn.cli.commands.look", "diff"),
    Entry(
        "sign",
        "turn your key: check an event, sign it, push the signature",
        "keyturn.cli.commands.sign",
        "sign",
    ),
    Entry("attach", "put signatures made elsewhere into an event", "keyturn.cli.commands.attach", "attach"),
    Entry("merge", "merge an event that is ready", "keyturn.cli.commands.merge", "merge"),
    Entry("publish", "sign the online roles and build the site", "keyturn.cli.commands.publish", "publish"),
    Entry("verify", "check a site, a directory or a revision", "keyturn.cli.commands.verify", "verify"),
    Entry(
        "client",
        "be a client: check, install, launch, confirm, roll back",
        "keyturn.cli.commands.client",
        "client",
    ),
    Entry(
        "doctor",
        "whether the repository on GitHub is still set up as it should be",
        "keyturn.cli.commands.doctor",
        "doctor",
    ),
    Entry("demo", "watch all of it happen on this machine", "keyturn.cli.commands.demo", "demo"),
)


class Keyturn(LazyGroup):
    """The whole command; every error ends here, as words and an exit code."""

    def main(  # type: ignore[override] # it always ends the process, whatever click's flags ask for
        self, args: Sequence[str] | None = None, prog_name: str | None = None, **_: object
    ) -> NoReturn:
        """Run a command line and end the process.

        Args:
            args: The arguments; those of the process by default.
            prog_name: What the command is called.
        """
        arguments = list(sys.argv[1:] if args is None else args)
        # Until the options are read, an error must know whether a program is waiting for it.
        output = Output(json="--json" in arguments)
        try:
            ended = super().main(arguments, prog_name or "keyturn", standalone_mode=False, obj=output)
            code = _finish(output, ended)
        except BrokenPipeError:
            # Whoever was reading has seen enough; Python would complain again at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            code = ExitCode.ENVIRONMENT
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - nobody is shown a traceback
            from keyturn.cli.failures import explain

            failure = explain(error)
            output.note(() if output.json else failure.lines)
            output.document(failure.document)
            code = failure.exit_code
        sys.exit(code)


def _finish(output: Output, ended: object) -> int:
    if isinstance(ended, Result):
        output.finish(ended)
        return int(ended.exit_code)
    return ended if isinstance(ended, int) else ExitCode.DONE


def _read_time(ctx: click.Context, parameter: click.Parameter, value: str | None) -> datetime | None:
    return None if value is None else parse_time(value, where="--at")


@click.group(
    cls=Keyturn,
    entries=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 done or valid, 1 signatures or keys are missing, 2 usage or configuration, "
    "3 invalid or refused, 4 network, git or a missing package, 5 nothing to do.",
)
@click.option(
    "-C",
    "directory",
    default=".",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="The clone to work in. Its remote is worked with; what is checked out is not looked at.",
)
@click.option(
    "--remote",
    default="origin",
    metavar="NAME|URL",
    help="The remote; a URL needs no clone.  [default: origin]",
)
@click.option("--json", is_flag=True, help="Print one JSON document.")
@click.option("-q", "--quiet", is_flag=True, help="Print the verdict only.")
@click.option("-v", "--verbose", is_flag=True, help="Print more.")
@click.option(
    "--at",
    metavar="TIME",
    callback=_read_time,
    help="The time to go by: 2026-11-21T12:00:00Z or @SECONDS. For rebuilds and tests.",
)
@click.version_option(__version__, message="keyturn %(version)s")
@click.pass_context
def cli(
    ctx: click.Context,
    directory: Path,
    remote: str,
    json: bool,
    quiet: bool,
    verbose: bool,
    at: datetime | None,
) -> None:
    """Co-sign software updates: propose, sign to a threshold, publish, update.

    EVENT is a signing event: sign/TOPIC or TOPIC. Key URIs: file:PATH, env:NAME.
    """
    output = ctx.obj
    output.json = json
    output.verbosity = Level.NORMAL - quiet + verbose
    ctx.obj = Session(Globals(directory, remote, at), output, os.environ)
    ctx.call_on_close(ctx.obj.close)
