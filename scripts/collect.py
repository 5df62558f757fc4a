"""The action ``collect``: signatures that people posted in reviews become signature commits."""

from __future__ import annotations

import sys

from keyturn.actions import EVENT_OUTPUTS, Job, Outputs, about_events, run_job
from keyturn.flow.collecting import Collected, collect
from keyturn.flow.markdown import code, markdown_escape

INPUTS = ()
OUTPUTS = (*EVENT_OUTPUTS, "collected", "refused")


def main(job: Job, outputs: Outputs) -> None:
    """Collect the signatures of all open events."""
    job.require_trusted()
    with job.context() as context:
        found = collect(context, job.host(), run_url=job.run_url)
    outputs.set(
        state="collected" if found.taken else "nothing",
        collected=len(found.taken),
        refused=len(found.refused),
        **about_events(found.checked),
    )
    outputs.say(summary(found))
    found.require_whole()


def summary(found: Collected) -> str:
    """What was found, as Markdown."""
    taken = [
        f"- {code(f'{one.role} {one.version}')} by {code(one.owner)}, from {one.review.url}"
        for one in found.taken
    ]
    refused = [
        f"- from {code(one.refusal.review.author.login)}: {markdown_escape(one.refusal.what)}. "
        f"{markdown_escape(one.refusal.todo)}"
        for one in found.refused
    ]
    parts = [
        *(["**Signatures taken over from reviews**", "\n".join(taken)] if taken else []),
        *(["**Refused**", "\n".join(refused)] if refused else []),
        *([found.checked.summary] if found.checked else []),
    ]
    return "\n\n".join(parts) or "No review carries a signature that is new."


if __name__ == "__main__":
    sys.exit(run_job(main, INPUTS, OUTPUTS))
