"""Publishing dies in each of its pauses: the next run heals it, and no number ever serves two contents.

A machine is switched off (:class:`lab.jobs.Killed`): not a line of the job runs after that. What Pages served
at any time is kept, and clients that were there from the beginning go on updating, from whatever is served.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from keyturn.trial import StockClient
from lab.clock import Clock
from lab.forge import LabForge
from lab.jobs import Kept, Killed, Place, Ran, forget_what_waits
from lab.lab import Lab
from lab.ourselves import publish_ourselves
from lab.pages import Pages

pytestmark = [pytest.mark.lab, pytest.mark.slow]


class Site:
    """A place that has published once, its clients, and everything that was ever served there."""

    def __init__(self, place: Place, base: Path) -> None:
        self.place, self._base = place, base
        self._clients = 0
        self.place.release("1.0")
        self.place.publish()
        self.root = place.main().roots[1].data
        place.release("1.1")
        self._kept: Kept = place.keep()

    def begin(self) -> None:
        """Version 1.1 is merged, and not published."""
        self.place.go_back(self._kept)
        self._clients += 1
        directory = self._base / f"client-{self._clients}"
        now = self.place.clock()
        self.client = StockClient(directory, self.root, now, "that was there from the beginning")
        self.before = len(self.place.pages.deployments) - 1
        self.first = self.place.pages.sites[self.place.slug]
        assert self.visit() == 1

    def visit(self) -> int:
        """The client updates; gives the timestamp that it holds then."""
        return self.client.arrive(self.place.url).version

    @property
    def contents(self) -> dict[str, set[bytes]]:
        """All that was ever served under a number, since the story began."""
        found: dict[str, set[bytes]] = defaultdict(set)
        later = self.place.pages.deployments[self.before + 1 :]
        for site in (self.first, *(site for _, site in later)):
            for path, data in site.files.items():
                name = path.removeprefix("metadata/")
                if name == "timestamp.json":
                    found[f"timestamp {json.loads(data)['signed']['version']}"].add(data)
                elif path != name and name[0].isdigit():
                    found[name].add(data)
        return found

    def heals(self) -> Ran:
        """The next whole run puts out what main says, and everything that was ever true of it still is."""
        staged = self.place.publish()
        assert {name: len(data) for name, data in self.contents.items() if len(data) > 1} == {}
        self.visit()
        site = self.place.pages.sites[self.place.slug].files
        assert any("hello-1.1.tar.gz" in path for path in site)
        refs = self.place.repository.store.refs("refs/heads/keyturn")
        assert refs["refs/heads/keyturn/staged"] == refs["refs/heads/keyturn/published"]
        assert self.place.stage().outputs["state"] == "nothing"
        return staged


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    clock, base = Clock(), tmp_path_factory.mktemp("publish")
    with LabForge(base / "forge", clock=clock, contract=False) as forge, Pages(clock) as pages:
        place = Place(forge, pages, clock, base / "place")
        place.found()
        yield Site(place, base)


@pytest.fixture
def site(story: Site) -> Site:
    story.begin()
    return story


def dies(job: Callable[[], object], place: Place, *, before_push: bool) -> None:
    with place.dying(before_push=before_push), pytest.raises(Killed):
        job()


def test_before_staging(site: Site) -> None:
    dies(site.place.stage, site.place, before_push=True)
    assert site.visit() == 1
    assert site.heals().outputs["timestamp"] == "2"


def test_after_staging_and_before_anybody_hears_of_it(site: Site) -> None:
    dies(site.place.stage, site.place, before_push=False)
    assert site.heals().outputs["timestamp"] == "2"


def test_between_staging_and_deployment(site: Site) -> None:
    staged = site.place.stage()
    healed = site.heals()
    assert healed.outputs["commit"] == staged.outputs["commit"], "what was written ahead is taken up"


def test_between_staging_and_deployment_while_main_moves_on(site: Site) -> None:
    staged = site.place.stage()
    site.place.release("1.2")
    healed = site.heals()
    assert int(healed.outputs["timestamp"]) == int(staged.outputs["timestamp"]) + 1


def deployed(site: Site, directory: Path) -> Ran:
    staged = site.place.stage()
    assert site.place.build(staged, directory / "half").code == 0
    site.place.deploy(directory / "half")
    return staged


def test_between_deployment_and_live_check(site: Site, tmp_path: Path) -> None:
    staged = deployed(site, tmp_path)
    assert site.visit() == 2
    assert site.heals().outputs["commit"] == staged.outputs["commit"]


def test_between_deployment_and_live_check_while_main_moves_on(site: Site, tmp_path: Path) -> None:
    deployed(site, tmp_path)
    site.place.release("1.2")
    site.place.clock.move(timedelta(hours=7))
    assert site.heals().outputs["timestamp"] == "3"


def test_before_recording(site: Site, tmp_path: Path) -> None:
    staged = deployed(site, tmp_path)
    assert site.place.live(staged).outputs["state"] == "live"
    dies(lambda: site.place.record(staged), site.place, before_push=True)
    assert site.heals().outputs["commit"] == staged.outputs["commit"]


def test_while_recording(site: Site, tmp_path: Path) -> None:
    staged = deployed(site, tmp_path)
    dies(lambda: site.place.record(staged), site.place, before_push=False)
    again = site.place.stage()
    assert again.outputs["state"] == "nothing"
    assert site.visit() == 2


def test_again_and_again_at_the_same_place(site: Site, tmp_path: Path) -> None:
    for number in range(3):
        staged = site.place.stage()
        assert site.place.build(staged, tmp_path / str(number)).code == 0
        site.place.deploy(tmp_path / str(number))
        site.visit()
        site.place.clock.move(timedelta(days=2))
    site.heals()


def test_a_run_that_was_overtaken_deploys_nothing_older(site: Site, tmp_path: Path) -> None:
    staged = site.place.stage()
    site.place.release("1.2")
    site.place.publish()
    late = site.place.build(staged, tmp_path / "late")
    assert (late.code, late.outputs["reason"]) == (3, "not-forward")
    assert site.place.record(staged).outputs["reason"] == "not-forward"
    site.visit()


def test_the_workflow_itself_stops_where_a_job_fails_and_the_next_run_takes_it_up(
    tmp_path: Path, tools: Path
) -> None:
    with Lab(tmp_path / "lab", tools=tools) as lab:
        place = Place(lab.forge, lab.pages, lab.clock, tmp_path / "place")
        place.found(commit=publish_ourselves(lab.forge))
        settings, place.repository.pages = place.repository.pages, None

        forget_what_waits(lab)
        run = lab.run(place.slug, "keyturn-publish.yml", actor="alice")

        ended = {name: job.conclusion for name, job in run.jobs.items()}
        assert ended == {
            "sign": "success",
            "build": "success",
            "deploy": "failure",
            "live": "skipped",
            "record": "skipped",
        }, run.log
        assert place.slug not in lab.pages.sites
        place.repository.pages = settings
        healed = place.publish()
        assert healed.outputs["commit"] == run.jobs["sign"].outputs["commit"]
