"""The action ``watch``: releases of the apps' own repositories that are attested are proposed here."""

from __future__ import annotations

import sys
from pathlib import Path

from keyturn.actions import EVENT_OUTPUTS, Input, Job, Outputs, about_events, annotate, run_job
from keyturn.flow.checking_events import EventsChecked, check_events
from keyturn.flow.markdown import advice, code
from keyturn.flow.watching import Watched, watch
from keyturn.release.attestation import open_verifier

INPUTS = (Input("trusted-root"),)
OUTPUTS = (*EVENT_OUTPUTS, "releases")


def main(job: Job, outputs: Outputs) -> None:
    """Look for new releases, and see to the pull requests of those that are proposed."""
    job.require_trusted()
    private = job.inputs["trusted-root"]
    root = job.workspace / Path(private) if private else None
    checked: EventsChecked | None = None
    with job.context() as context:
        found = watch(context, job.host(), job.host, lambda: open_verifier(root), server=job.server)
        # A run that died may have left an event without its pull request.
        topics = {*(one.proposed.topic for one in found.taken), *found.waiting}
        if topics:
            checked = check_events(context, job.host(), run_url=job.run_url, topics=topics)
    outputs.set(
        state="proposed" if found.taken else "nothing",
        releases=tuple(f"{one.app} {one.version}" for one in found.taken),
        **about_events(checked),
    )
    outputs.say(summary(found) + (f"\n\n{checked.summary}" if checked else ""))
    for app, error in found.failed.items():
        annotate("error", f"{app}: {error}\n{error.todo}", title=f"keyturn: {error.reason}")
    for error in found.failed.values():
        raise error
    if checked:
        checked.require_whole()


def summary(found: Watched) -> str:
    """What was found, as Markdown."""
    lines = [f"- Proposed {code(f'{one.app} {one.version}')}" for one in found.taken]
    lines += [
        f"- **Not proposed:** {code(app)}: {advice(str(error))}. {advice(error.todo)}"
        for app, error in found.failed.items()
    ]
    return "\n".join(lines) or "No release is new."


if __name__ == "__main__":
    sys.exit(run_job(main, INPUTS, OUTPUTS))
