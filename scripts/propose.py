"""The action ``propose``: what the policy, the calendar and edited targets ask for becomes signing events."""

from __future__ import annotations

import sys

from keyturn.actions import EVENT_OUTPUTS, Job, Outputs, about_events, run_job
from keyturn.flow.markdown import code, markdown_escape
from keyturn.flow.reconciling import Reconciled, propose_what_is_due
from keyturn.forge import EVENT_PREFIX

INPUTS = ()
OUTPUTS = EVENT_OUTPUTS


def main(job: Job, outputs: Outputs) -> None:
    """Propose what is due."""
    job.require_trusted()
    with job.context() as context:
        done = propose_what_is_due(context, job.host(), run_url=job.run_url)
    waits = any(part.waiting for part in done.parts)
    state = "proposed" if done.proposed else "pending" if waits else "nothing"
    outputs.set(state=state, **about_events(done.checked))
    outputs.say(summary(done))
    for error in done.errors:
        raise error
    if done.checked:
        done.checked.require_whole()


def summary(done: Reconciled) -> str:
    """What was proposed, as Markdown."""
    lines = []
    for made in done.proposed:
        roles = ", ".join(f"{role} {version}" for role, version in made.roles) or "nothing yet"
        lines.append(f"- Proposed {code(EVENT_PREFIX + made.topic)}, to be signed: {code(roles)}")
    lines += [f"- Waiting: {markdown_escape(part.waiting)}" for part in done.parts if part.waiting]
    for part in done.parts:
        lines += [f"- Signed now: release {code(tag)}" for tag in part.tended.settled]
        lines += [f"- Removed, since nothing names it: release {code(tag)}" for tag in part.tended.swept]
    lines += [f"- **Failed:** {markdown_escape(str(error))}" for error in done.errors]
    return "\n".join(lines) + (f"\n\n{done.checked.summary}" if done.checked else "")


if __name__ == "__main__":
    sys.exit(run_job(main, INPUTS, OUTPUTS))
