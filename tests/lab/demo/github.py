"""What people and workflows do on the emulated GitHub, and how it is told."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Sequence

from keyturn.demo.steps import Steps, Unexpected
from keyturn.demo.world import Done
from lab.actions.runner import Run
from lab.demo.scene import SLUG, LabWorld
from lab.forge.model import Issue

CHECK = "keyturn"
PUBLISH = "keyturn-publish.yml"


class GitHub:
    """What people and workflows do on the emulated GitHub, told.

    Args:
        world: Where.
        steps: Tells it.
    """

    def __init__(self, world: LabWorld, steps: Steps) -> None:
        self._world = world
        self._lab = world.lab
        self._steps = steps

    def press(self, login: str, method: str, path: str, **fields: object) -> Done:
        """Do what a button of the page does: one request, with somebody's own token.

        Args:
            login: Whose.
            method: Of the request.
            path: Behind ``/repos/OWNER/REPOSITORY``.
            fields: What is sent.
        """
        shown = (method, f"/repos/{SLUG}{path}")
        request = urllib.request.Request(
            f"{self._lab.forge.api}{shown[1]}", method=method, data=json.dumps(fields).encode()
        )
        request.add_header("Authorization", f"Bearer {self._world.tokens[login]}")
        before = time.monotonic()
        try:
            with urllib.request.urlopen(request) as answer:
                code, said = 0, answer.read().decode()
        except urllib.error.HTTPError as refused:
            with refused:
                code, said = refused.code, refused.read().decode()
        return Done(shown, code, said, "", time.monotonic() - before)

    def pull(self, topic: str) -> Issue:
        """The open pull request of a signing event.

        Raises:
            Unexpected: There is none.
        """
        for issue in self._lab.forge.repository(SLUG).pulls():
            if issue.pull and issue.pull.branch == f"sign/{topic}" and issue.state == "open":
                return issue
        raise Unexpected("there is no pull request", where=topic)

    def page(self, topic: str) -> str:
        """The address of its pull request."""
        return f"{self._world.address}/pull/{self.pull(topic).number}"

    def work(self, topic: str = "", *, failing: Sequence[str] = ()) -> list[Run]:
        """Let everything run that was started, and what follows from it.

        Args:
            topic: The signing event whose check is told; none for none.
            failing: Workflow files whose runs may fail.

        Raises:
            Unexpected: A run did not end as the story has it.
        """
        before = time.monotonic()
        runs = self._lab.settle(parallel=2)
        seconds = time.monotonic() - before
        for run in runs:
            fine = run.conclusion in ("success", "skipped", "cancelled") or run.file in failing
            if not fine:
                raise Unexpected(f"ended with {run.conclusion}: {run.log[-2000:]}", where=str(run))
        ran = dict.fromkeys(run.file.removesuffix(".yml") for run in runs if run.conclusion != "cancelled")
        self._steps.count += 1
        self._steps.page.step("github", f"runs {', '.join(ran)}", seconds)
        if topic:
            self._steps.page.said(*self.said(topic))
        return runs

    def said(self, topic: str) -> tuple[str, ...]:
        """What the page of a pull request says: the check, and who is asked for a review."""
        issue = self.pull(topic)
        assert issue.pull is not None
        statuses = self._lab.forge.repository(SLUG).statuses
        marks = [one for one in statuses if one.commit == issue.pull.head and one.context == CHECK]
        if not marks:
            raise Unexpected("nobody has checked it", where=topic)
        lines = [f"check {CHECK}: {marks[-1].state}, {marks[-1].description or 'says a job of somebody'}"]
        if issue.pull.requested and marks[-1].state == "pending":
            lines.append(f"review requested of {', '.join(issue.pull.requested)}")
        return tuple(lines)
