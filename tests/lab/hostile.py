"""An update repository with pull requests, and accounts of people who have no business there."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

from github.PullRequest import PullRequest

from keyturn.flow.collecting import Collected, collect
from keyturn.signing import SignatureBlock, render
from lab import jobs
from lab.clock import Clock
from lab.forge import LabForge
from lab.forge.model import Issue, Pull
from lab.forge_scene import hub
from lab.jobs import Place
from lab.pages import Pages

STRANGER = "mallory"
"""Has an account, and no right in the repository."""


@contextmanager
def update_repository(directory: Path, signers: dict[str, int] | None = None) -> Iterator[Place]:
    """A founded update repository; threshold 2."""
    clock = Clock()
    own = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    with (
        mock.patch.dict(os.environ, own),
        Pages(clock) as pages,
        LabForge(directory / "forge", clock=clock) as forge,
        mock.patch.dict(jobs.SIGNERS, signers or {}),
    ):
        place = Place(forge, pages, clock, directory / "place")
        forge.user(STRANGER, 1666)
        place.found()
        yield place


class Event:
    """A signing event of a place, as people have it in the browser."""

    def __init__(self, place: Place, topic: str) -> None:
        self.place, self.topic = place, topic
        ran = place.run("keyturn-signing-event", "check")
        assert ran.code == 0, ran.told

    @property
    def issue(self) -> Issue:
        return next(one for one in self.place.repository.pulls() if self._pull(one).branch == self.branch)

    @property
    def branch(self) -> str:
        return f"sign/{self.topic}"

    @property
    def pull(self) -> Pull:
        return self._pull(self.issue)

    @staticmethod
    def _pull(issue: Issue) -> Pull:
        assert issue.pull is not None
        return issue.pull

    @property
    def tip(self) -> str:
        return self.place.repository.store.branch(self.branch) or ""

    @property
    def comment(self) -> str:
        (comment,) = (one.body for one in self.issue.comments)
        return comment

    @property
    def status(self) -> tuple[str, str]:
        """The newest status of the tip, whoever posted it."""
        found = [one for one in self.place.repository.statuses if one.commit == self.tip]
        return (found[-1].state, found[-1].description or "") if found else ("", "")

    def page(self, login: str) -> PullRequest:
        """The pull request in somebody's browser."""
        token = self.place.forge.user(login)
        return hub(self.place.forge, token).get_repo(self.place.slug).get_pull(self.issue.number)

    def post(self, login: str, text: str, event: str = "COMMENT", commit: str = "") -> int:
        """Somebody submits a review."""
        place, page = self.place, self.page(login)
        at = (
            hub(place.forge, place.forge.user(login)).get_repo(place.slug).get_commit(commit)
            if commit
            else None
        )
        return page.create_review(body=text, event=event, **({"commit": at} if at else {})).id

    def review(self, login: str) -> int:
        """A review with the signature of its author."""
        return self.post(login, render(self.block(login)))

    def block(self, login: str, despite: str = "") -> SignatureBlock:
        (block,) = self.place.people.person(login).blocks(self.topic, despite=despite)
        return block

    def collect(self) -> Collected:
        """The job ``collect``, with reasons as programs have them."""
        return in_job(self.place, "keyturn-collect", "collect", collect)


def in_job(place: Place, workflow: str, job: str, do: Callable[..., Collected]) -> Collected:
    """A use case with a token that may do what the workflow's file says, and nothing else."""
    found: list[Collected] = []

    def noted(*given: object, **named: object) -> Collected:
        found.append(do(*given, **named))
        return found[-1]

    action, _, _ = jobs.step_of(workflow, job)
    with mock.patch.object(jobs.script(action), do.__name__, noted):
        ran = place.run(workflow, job)
    assert found, ran.told
    return found[0]
