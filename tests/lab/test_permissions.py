"""A job that lacks one scope of its ``permissions:`` fails, names it, and leaves nothing half-done behind.

Each job of each workflow file, with each of its scopes left out in turn, on a day on which it has all of its
work to do. In a private repository reading needs permissions too, so that a job mostly stops at its first
question; in a public one it gets as far as the first thing that it may not change.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import yaml

from lab.clock import Clock
from lab.forge import LabForge
from lab.jobs import Place, forget_what_waits, step_of
from lab.lab import Lab
from lab.ourselves import ROOT, publish_ourselves
from lab.pages import Pages
from lab.services import Refused
from lab.situations import JOBS, Situations, policy

pytestmark = [pytest.mark.lab, pytest.mark.slow]

OURS = {name: step_of(*job)[2] for name, job in JOBS.items() if name != "release"}
"""Permissions of each job that runs an action of ours with its own token."""
THEIRS = {
    (
        "keyturn-publish",
        "deploy",
    ): "only actions/deploy-pages runs in it: test_a_deployment_names_what_it_lacks",
    ("keyturn-review", "wake"): "it may do nothing, and does nothing",
    ("release", "build"): "an example; only actions of GitHub's own need its token",
    ("release", "publish"): "an example; only actions of GitHub's own need its token",
    ("release", "propose"): "has a token that somebody made for another repository",
}


CASES = [
    ("private" if level == "read" else "public", name, scope)
    for name, given in OURS.items()
    for scope, level in given.items()
]
"""What may be written is asked for in any repository, what is read in a private one only."""


@pytest.fixture(scope="module")
def situations(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Situations]:
    clock, private = Clock(), request.param == "private"
    base = tmp_path_factory.mktemp(request.param)
    with LabForge(base / "forge", clock=clock, contract=False) as forge, Pages(clock) as pages:
        place = Place(forge, pages, clock, base / "place", private=private)
        # Archives in releases of a private repository would be out of every client's reach.
        place.found(edit=partial(policy, hosting="git" if private else "releases"))
        yield Situations(place)


@pytest.mark.parametrize(("situations", "name", "scope"), CASES, indirect=["situations"])
def test_without_one_scope_a_job_names_it_and_a_whole_run_ends_as_if_nothing_had_been(
    situations: Situations, name: str, scope: str
) -> None:
    place, level = situations.place, OURS[name][scope]
    good = situations.good(name)
    situations.go_to(name)
    before, statuses = place.shown(), len(place.repository.statuses)

    ran = situations.run(name, without=scope)

    assert ran.code == 4
    assert (ran.outputs["state"], ran.outputs["reason"]) in (
        ("failed", "permission"),
        ("failed", "check-failed"),
    )
    lacks = f"`{scope}: read`" if place.repository.private else f"`{scope}: {level}`"
    annotations, summary = ran.told.split("\n", 1)
    assert lacks in annotations or f"`{scope}: {level}`" in annotations
    assert lacks in summary or f"`{scope}: {level}`" in summary
    assert "success" not in [one.state for one in place.repository.statuses[statuses:]]
    if place.shown() == before:
        # Nothing was changed, so what follows is the good day once more.
        return

    again = situations.run(name)

    assert again.code == good.ran.code, again.told
    assert place.shown() == good.shown


def test_every_job_of_every_workflow_file_is_here_or_said_why_not() -> None:
    jobs = {
        (path.stem, job)
        for path in ROOT.glob("workflows/*.yml")
        for job in yaml.safe_load(path.read_text())["jobs"]
    }
    assert jobs == {JOBS[name] for name in OURS} | THEIRS.keys()


def test_only_jobs_have_permissions() -> None:
    for path in ROOT.glob("workflows/*.yml"):
        assert yaml.safe_load(path.read_text())["permissions"] == {}, path.name


@pytest.mark.parametrize("scope", ["pages", "id-token"])
def test_a_deployment_names_what_it_lacks(tmp_path: Path, scope: str) -> None:
    with Lab(tmp_path / "lab") as lab:
        place = Place(lab.forge, lab.pages, lab.clock, tmp_path / "place")
        jobs = yaml.safe_load((ROOT / "workflows" / "keyturn-publish.yml").read_text())["jobs"]
        given = {name: level for name, level in jobs["deploy"]["permissions"].items() if name != scope}
        token = lab.forge.mint(place.slug, given)
        with pytest.raises(Refused, match=f"{scope}: write"):
            lab.services.take("deployments", place.slug, token, "github-pages", b"")


def test_in_a_real_run_the_page_of_the_run_names_it(tmp_path: Path, tools: Path) -> None:
    file = ".github/workflows/keyturn-signing-event.yml"
    with Lab(tmp_path / "lab", tools=tools) as lab:
        place = Place(lab.forge, lab.pages, lab.clock, tmp_path / "place")
        place.found(commit=publish_ourselves(lab.forge))
        topic = place.propose("1.0")
        whole = place.main().tree.read(file)
        less = re.sub(rb"\n +statuses: write.*", b"", whole)
        place.commit({file: less})
        forget_what_waits(lab)

        run = lab.run(place.slug, "keyturn-signing-event.yml", actor="alice")

        assert run.conclusion == "failure", run.log
        (error,) = (one for one in run.jobs["check"].annotations if one.level == "error")
        assert "`statuses: write`" in error.message
        assert "`statuses: write`" in run.summary
        tip = place.repository.store.branch(f"sign/{topic}")
        assert [one for one in place.repository.statuses if one.commit == tip] == []

        place.commit({file: whole})
        forget_what_waits(lab)
        again = lab.run(place.slug, "keyturn-signing-event.yml", actor="alice")

        assert again.conclusion == "success", again.log
        assert [one.state for one in place.repository.statuses] == ["pending"]
        assert len(place.repository.pulls()) == 1
        assert [len(issue.comments) for issue in place.repository.pulls()] == [1]
