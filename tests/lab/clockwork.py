"""A lab whose workflows wake, queue and end as GitHub's do, while our jobs run in this process.

    with Lab(tmp_path) as lab:
        place, _ = in_process(lab, tmp_path / "place")      # founded; the workflow files are the real ones
        lab.tick(timedelta(days=89))
        lab.settle()                                     # whatever was due by then, and what followed

Months cost seconds this way. What a workflow file hands from one job to the next is shown in act.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from lab.actions.act import Annotation, JobResult
from lab.actions.runner import Run, Runner
from lab.actions.workflow import Job, Needed
from lab.jobs import SIGNERS, Place
from lab.lab import Lab

PUBLISH = "keyturn-publish"


class InProcess(Runner):
    """Runs our jobs with :class:`lab.jobs.Place`, and deploys as the Pages actions do.

    Args:
        lab: The lab.
        place: The one repository whose workflows are run.

    Attributes:
        idle: Workflows and jobs (``workflow/job``) that are not needed: they end well, doing nothing.
    """

    def __init__(self, lab: Lab, place: Place) -> None:
        super().__init__(lab.forge, lab.runner._act, lab.runner._extra)
        self.idle = {"keyturn-review", "keyturn-propose/watch"}
        self._place = place
        self._site = place.directory / "site"

    def _in_act(self, run: Run, job: Job, environment: str | None, needed: Mapping[str, Needed]) -> JobResult:
        workflow = run.file.removesuffix(".yml")
        if self.idle & {workflow, f"{workflow}/{job.id}"}:
            return JobResult(job.id, "success")
        if (workflow, job.id) == (PUBLISH, "deploy"):
            self._place.deploy(self._site)
            return JobResult(job.id, "success")
        inputs = {}
        if workflow == PUBLISH and "sign" in needed:
            inputs["commit"] = needed["sign"].outputs["commit"]
        if (workflow, job.id) == (PUBLISH, "build"):
            inputs |= {"commit": needed["sign"].outputs["commit"], "directory": str(self._site)}
        if (workflow, job.id) == (PUBLISH, "live"):
            inputs |= {"attempts": "1", "pause": "0"}
        ran = self._place.run(workflow, job.id, inputs=inputs, event=run.start.event)
        return JobResult(
            job.id,
            "failure" if ran.code else "success",
            outputs=ran.outputs,
            summary=ran.summary,
            annotations=tuple(
                Annotation("error", line) for line in ran.told.splitlines() if "::error" in line
            ),
            log=ran.log,
        )


def in_process(
    lab: Lab,
    directory: Path,
    *,
    signers: Mapping[str, int] = SIGNERS,
    edit: Callable[[str], str] = lambda text: text,
) -> tuple[Place, InProcess]:
    """A founded repository in a lab, from now on the only one whose workflows are run.

    Args:
        lab: The lab; with an empty queue.
        directory: For the people's clones and keys.
        signers: Who signs.
        edit: Changes the policy that it is founded with.

    Returns:
        The repository, and what runs its workflows.
    """
    place = Place(lab.forge, lab.pages, lab.clock, directory, signers=signers)
    runner = lab.dispatcher._runner = InProcess(lab, place)
    place.found(edit=edit)
    return place, runner
