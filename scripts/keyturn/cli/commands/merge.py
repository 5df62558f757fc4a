"""``keyturn merge``: merge an event that is ready."""

from __future__ import annotations

import click

from keyturn.cli import options, render
from keyturn.cli.lines import detail, good, line, strong, verdict
from keyturn.cli.output import Result
from keyturn.cli.session import Session
from keyturn.flow import events


@click.command()
@options.only_event
@click.pass_obj
def merge(session: Session, event: str | None) -> Result:
    """Merge an event whose thresholds are met."""
    context = session.context()
    done = events.merge(context, session.topic(context, event))
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
