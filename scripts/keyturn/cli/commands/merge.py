"""``keyturn merge``: merge an event that is ready."""

from __future__ import annotations

import click

from keyturn.cli import options, render
from keyturn.cli.lines import detail, good, line, strong, verdict
from keyturn.cli.output import Result
from keyturn.cli.session import Session
from keyturn.flow import events
from keyturn.git import GitError, PushRejected


@click.command()
@options.only_event
@click.pass_obj
def merge(session: Session, event: str | None) -> Result:
    """Merge an event whose thresholds are met."""
    context = session.context(event=event)
    topic = session.topic(context, event)
    try:
        done = events.merge(context, topic)
    except GitError as error:
        if isinstance(error, PushRejected) or session.code_host(context) is None:
            raise
        todo = f"{error.todo} A ruleset may want it merged on the page of its pull request.".lstrip()
        raise GitError(error.what, where=error.where, todo=todo, reason=error.reason) from error
    return Result(
        lines=(
            verdict(good("merged:"), f" sign/{done.topic}: {render.named_roles(done.roles) or 'files only'}"),
            detail(f"  commit {done.commit}"),
            line(strong("next: "), "whoever holds the online key runs: keyturn publish --out DIR --key URI"),
        ),
        document={
            "event": f"sign/{done.topic}",
            "commit": done.commit,
            "roles": [{"role": name, "version": version} for name, version in done.roles],
        },
    )
