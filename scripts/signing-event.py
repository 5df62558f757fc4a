"""The action ``signing-event``: verify every open signing event, try it, and say how it stands."""

from __future__ import annotations

import sys

from keyturn.actions import EVENT_OUTPUTS, Job, Outputs, about_events, run_job
from keyturn.flow.checking_events import check_events
from keyturn.forge import EVENT_PREFIX
from keyturn.verify import EventState

INPUTS = ()
OUTPUTS = (*EVENT_OUTPUTS, "ready")


def main(job: Job, outputs: Outputs) -> None:
    """Check all open events."""
    job.require_trusted()
    with job.context() as context:
        checked = check_events(context, job.host(), run_url=job.run_url)
    ready = [EVENT_PREFIX + event.topic for event in checked.events if event.state is EventState.READY]
    outputs.set(state="checked" if checked.events else "nothing", ready=ready, **about_events(checked))
    outputs.say(checked.summary)
    checked.require_whole()


if __name__ == "__main__":
    sys.exit(run_job(main, INPUTS, OUTPUTS))
