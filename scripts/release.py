"""The action ``release``: a bundle that was just built becomes a pull request to be signed."""

from __future__ import annotations

import sys

from packaging.version import InvalidVersion, Version

from keyturn.actions import Input, Job, Outputs, about_events, annotate, run_job
from keyturn.errors import NothingToDo, UsageError
from keyturn.flow import comment, proposing
from keyturn.flow.checking_events import check_events
from keyturn.flow.context import Context, load_event, trusting_main
from keyturn.flow.events import status_of
from keyturn.flow.markdown import code
from keyturn.forge import EVENT_PREFIX
from keyturn.forge.host import Host, HostError

CHECK_WORKFLOW = "keyturn-signing-event.yml"
INPUTS = (
    Input("app", required=True),
    Input("version", required=True),
    Input("directory", required=True),
    Input("platform"),
    Input("repository"),
    Input("branch"),
)
OUTPUTS = ("event", "pull-request", "version", "targets", "missing")


def main(job: Job, outputs: Outputs) -> None:
    """Propose the release and see to its pull request."""
    bundle = job.workspace / job.require("directory")
    if not bundle.is_dir():
        raise UsageError("is not a directory", where=job.require("directory"), reason="no-directory")
    version = normal_version(job.require("version"))
    outputs.set(version=version)
    slug = job.inputs["repository"] or job.slug
    host = job.host(slug)
    with job.context(slug, job.inputs["branch"]) as context:
        topic = propose(job, outputs, context, host)
        outputs.set(event=EVENT_PREFIX + topic)
        if slug == job.slug and job.trusted:
            check(job, outputs, context, host, topic)
        else:
            open_pull_request(job, outputs, context, host, topic)
    outputs.say(f"**Release:** {code(job.require('app'))} {code(version)} is {outputs['pull-request']}")


def normal_version(text: str) -> str:
    """A version in its normal form; nothing is done for one that is none.

    Raises:
        UsageError: It is none (reason ``bad-version``).
    """
    try:
        return str(Version(text))
    except InvalidVersion as error:
        raise UsageError(f"{text!r} is not a PEP 440 version", reason="bad-version") from error


def propose(job: Job, outputs: Outputs, context: Context, host: Host) -> str:
    """Propose it, unless it is proposed already, and give the topic of the event.

    Raises:
        NothingToDo: It is a part of what was decided.
    """
    app, version, platform = job.require("app"), job.require("version"), job.inputs["platform"]
    bundle = job.workspace / job.require("directory")
    try:
        made = proposing.release(context, app, version, bundle, platform, host=host)
    except NothingToDo as nothing:
        # A run that died may have left an event without its pull request.
        topic = nothing.where.removeprefix(EVENT_PREFIX)
        if context.forge.event(topic) is None or context.forge.is_merged(topic):
            raise
        outputs.set(state="nothing", reason=nothing.reason)
        return topic
    outputs.set(state="proposed", targets=made.targets)
    return made.topic


def check(job: Job, outputs: Outputs, context: Context, host: Host, topic: str) -> None:
    """Verify the event and report on it, as a run of the default branch may."""
    checked = check_events(context, host, run_url=job.run_url, topics={topic})
    event = checked.event(topic)
    outputs.set(
        pull_request=event.pull.url if event and event.pull else "", missing=about_events(checked)["missing"]
    )
    outputs.say(checked.summary)
    checked.require_whole()


def open_pull_request(job: Job, outputs: Outputs, context: Context, host: Host, topic: str) -> None:
    """Open the pull request, and leave the verdict to the update repository's own workflow.

    A run for a tag, or of another repository, has nothing to say about an event.
    """
    context.forge.refresh()
    status = status_of(load_event(trusting_main(context), topic))
    branch = EVENT_PREFIX + topic
    pull = host.open_pull_request(branch, comment.title(status), comment.OPENING)
    marks = (mark for role in status.report.roles for count in role.counts for mark in count.missing)
    outputs.set(pull_request=pull.url, missing=tuple(dict.fromkeys(mark.owner for mark in marks)))
    if host.slug != job.slug:
        return
    try:
        # What a workflow's own token pushes starts no workflow; a dispatch is the exception.
        host.dispatch(CHECK_WORKFLOW)
    except HostError as error:
        annotate(
            "warning", f"{CHECK_WORKFLOW} was not started and runs on its schedule: {error}\n{error.todo}"
        )


if __name__ == "__main__":
    sys.exit(run_job(main, INPUTS, OUTPUTS))
