"""The action ``monitor``: a stock client at the live site, expiry, drift, missed runs; one issue about it."""

from __future__ import annotations

import sys
import time

from keyturn.actions import Input, Job, Outputs, annotate, run_job
from keyturn.errors import ExitCode
from keyturn.flow.markdown import markdown_escape
from keyturn.flow.monitoring import Health, monitor

INPUTS = (
    Input("url"),
    Input("attempts", default="1"),
    Input("pause", default="30"),
)
OUTPUTS = ("issue", "findings", "timestamp")


def main(job: Job, outputs: Outputs) -> ExitCode:
    """Look after the repository; fails while something is wrong, so that whoever watches runs hears of it."""
    job.require_trusted()
    seconds = job.number("pause")
    with job.context() as context:
        health = monitor(
            context,
            job.host(),
            url=job.inputs["url"] or None,
            attempts=job.number("attempts"),
            pause=lambda: time.sleep(seconds),
        )
    outputs.set(
        state="well" if health.well else "unwell",
        issue=health.issue or "",
        findings=len(health.ills),
        timestamp=health.timestamp or "",
    )
    outputs.say(summary(health))
    for ill in health.ills:
        annotate(
            "error" if ill.urgent else "warning", f"{ill.what}\n{ill.todo}", title=f"keyturn: {ill.about}"
        )
    return health.exit_code


def summary(health: Health) -> str:
    """What was found, as Markdown."""
    if health.well:
        served = f"; clients get timestamp {health.timestamp}" if health.timestamp else ""
        return f"**All is well**{served}."
    lines = [f"- {markdown_escape(ill.what)}. {markdown_escape(ill.todo)}" for ill in health.ills]
    return f"**Needs attention** (#{health.issue})\n\n" + "\n".join(lines)


if __name__ == "__main__":
    sys.exit(run_job(main, INPUTS, OUTPUTS))
