"""``keyturn doctor``: is the repository on GitHub still set up as it should be?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click

from keyturn.cli import options, render_settings
from keyturn.cli.files import make_directory, write_new_file
from keyturn.cli.lines import good, verdict
from keyturn.cli.output import Result
from keyturn.cli.session import Session
from keyturn.errors import UsageError
from keyturn.flow import setting_up
from keyturn.flow.context import Context, require_policy
from keyturn.flow.workflow_files import ActionPin, released_action, workflow_files
from keyturn.policy import Policy


@dataclass(frozen=True, slots=True)
class Request:
    """The options of ``doctor``."""

    fix: bool
    set_secret: bool
    root_digest: str | None
    github: str | None
    write_workflows: Path | None
    action: str | None
    action_version: str


@click.command()
@click.option("--fix", is_flag=True, help="Set what can be set.")
@options.set_secret
@options.root_digest
@options.github
@click.option(
    "--write-workflows",
    type=options.PATH,
    metavar="DIR",
    help="Only write this version's workflows to a new DIR, for a pull request.",
)
@options.action
@options.action_version
@options.command(Request)
def doctor(session: Session, request: Request) -> Result:
    """Check the repository's settings on GitHub, and say what drifted: what it is, should be, and where.

    Needs a token of somebody who administers the repository: GH_TOKEN, GITHUB_TOKEN, or that of gh. The
    exit code is 0 if all is well, 3 if something drifted, 4 without a token or an answer.
    """
    if request.set_secret and not request.fix:
        raise UsageError("--set-secret changes something: it goes with --fix", where="doctor")
    context = session.context(root_digest=request.root_digest)
    if request.write_workflows is not None:
        return _written(context, request, request.write_workflows)
    code_host = session.code_host(context, api=request.github)
    if code_host is None:
        raise UsageError(
            "is not on GitHub, as far as its address says; a plain git remote has no settings",
            where=context.forge.url,
            todo="Name a server of your own with GH_HOST, or its interface with --github.",
            reason="no-code-host",
        )
    settings = code_host.settings()
    secret = session.secret(setting_up.secret_of(_policy(context).online.key)) if request.set_secret else None
    diagnosis = setting_up.doctor(context, settings, fix=request.fix, secret=secret)
    return Result(render_settings.diagnosis(diagnosis), diagnosis.to_dict(), diagnosis.exit_code)


def _policy(context: Context) -> Policy:
    context.forge.refresh()
    return require_policy(context.forge.tree(context.forge.main()))


def _written(context: Context, request: Request, directory: Path) -> Result:
    pin = ActionPin.parse(request.action, request.action_version) if request.action else released_action()
    policy = _policy(context)
    files = workflow_files(pin, policy.branch, setting_up.secret_of(policy.online.key))
    make_directory(directory)
    for path, content in files.items():
        write_new_file(directory / Path(path).name, content.decode())
    return Result(
        (verdict(good("written:"), f" {len(files)} workflows to {directory}"),),
        {"directory": str(directory), "workflows": [Path(path).name for path in files]},
    )
