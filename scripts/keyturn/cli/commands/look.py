"""``keyturn status`` and ``keyturn diff``: look at signing events."""

from __future__ import annotations

from dataclasses import replace

import click

from keyturn.cli import options, render
from keyturn.cli.lines import Level
from keyturn.cli.output import Result
from keyturn.cli.session import Session
from keyturn.flow import events


@click.command()
@options.only_event
@click.pass_obj
def status(session: Session, event: str | None) -> Result:
    """Show how far an event is and what to do next; without EVENT, all that are open.

    The exit code is that of the event's state; of several events, that of the one furthest from done.
    """
    context = session.context(event=event)
    if event is not None:
        one = events.status(context, session.topic(context, event))
        return Result(render.status(one), one.to_dict(), one.state.exit_code)
    found = events.statuses(context)
    return Result(
        lines=render.status_list(found),
        document={"events": [one.to_dict() for one in found]},
        exit_code=render.worst(one.state.exit_code for one in found),
    )


@click.command()
@options.only_event
@click.pass_obj
def diff(session: Session, event: str | None) -> Result:
    """Show what an event changes in what is signed; what moves trust is marked with !!."""
    context = session.context(event=event)
    one = events.status(context, session.topic(context, event))
    return Result(
        lines=tuple(replace(text, level=Level.VERDICT) for text in render.changes(one.differences)),
        document={
            "event": f"sign/{one.topic}",
            "changes": [difference.to_dict() for difference in one.differences],
        },
    )
