"""As months go by: renewals open by themselves, who is late hears of it, and schedules do not fall asleep.

Workflows are woken by the lab's clock as GitHub would wake them; their jobs run in this process. Targets are
valid for 12 days here and renewed from the eighth day on, so that a day of the lab stands for ten.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

import pytest

from lab.actions.runner import Run
from lab.clockwork import InProcess, in_process
from lab.forge.model import Issue, Status
from lab.jobs import Kept, Place
from lab.lab import Lab
from lab.tiny import call

pytestmark = [pytest.mark.lab, pytest.mark.slow]

SCHEDULED = {
    "keyturn-collect",
    "keyturn-monitor",
    "keyturn-propose",
    "keyturn-publish",
    "keyturn-signing-event",
}
HOUR = timedelta(hours=1)


def days(number: float) -> timedelta:
    return timedelta(days=number)


def sooner(policy: str) -> str:
    """A policy with short periods for people, and long ones for the online key."""
    periods = {
        "expires: 120d\n    renew: 30d": "expires: 12d\n    renew: 4d",
        "{expires: 14d, renew: 7d}": "{expires: 40d, renew: 20d}",
        "{expires: 3d, renew: 1d}": "{expires: 30d, renew: 15d}",
    }
    for old, new in periods.items():
        assert old in policy
        policy = policy.replace(old, new)
    return policy


@dataclass
class Year:
    """A repository with one release on its site, and time before it."""

    lab: Lab
    place: Place
    runner: InProcess

    def without(self, *workflows: str) -> None:
        """Leave out what the story has no use for."""
        self.runner.idle |= set(workflows)

    def later(self, by: timedelta) -> dict[str, Run]:
        """Let time pass, and run what is due then; the last run of each workflow."""
        self.lab.tick(by)
        return self.settle()

    def settle(self) -> dict[str, Run]:
        return {run.file.removesuffix(".yml"): run for run in self.lab.settle()}

    def switch(self, workflow: str, *, on: bool) -> None:
        """What alice does on the workflow's page."""
        path = f"/repos/{self.place.slug}/actions/workflows/{workflow}.yml/{'enable' if on else 'disable'}"
        assert call(self.lab, "ghp_lab_alice", "PUT", path) == 204

    def sign_and_merge(self, topic: str) -> None:
        for login in ("alice", "bob"):
            self.place.sign(login, topic)
        self.place.merge(topic)

    def only_issue(self) -> tuple[Issue, str]:
        """The one issue there is, and what it says without its marks of code."""
        (issue,) = (one for one in self.issues if one.state == "open")
        return issue, (issue.body or "").replace("`", "")

    @property
    def issues(self) -> list[Issue]:
        return [one for one in self.place.repository.issues.values() if not one.pull]

    @property
    def events(self) -> dict[str, Issue]:
        """Pull requests by the branch they are for."""
        return {one.pull.branch: one for one in self.place.repository.pulls() if one.pull}

    def status(self, event: Issue) -> Status:
        """What the check of an event's head says."""
        assert event.pull
        return [one for one in self.place.repository.statuses if one.commit == event.pull.head][-1]

    def published(self, role: str) -> int:
        """The highest version of a role that the site has."""
        names = self.lab.pages.sites[self.place.slug].files
        return max(int(name.split("/")[1].split(".")[0]) for name in names if name.endswith(f".{role}.json"))


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Year, Kept]]:
    directory = tmp_path_factory.mktemp("year")
    with Lab(directory / "lab") as lab:
        place, runner = in_process(lab, directory / "place", edit=sooner)
        place.release("1.0")
        runner.idle |= SCHEDULED - {"keyturn-publish"}
        assert [run.log for run in lab.settle() if run.conclusion != "success"] == []
        yield Year(lab, place, runner), place.keep()


@pytest.fixture
def year(begun: tuple[Year, Kept]) -> Year:
    made, kept = begun
    made.place.go_back(kept)
    made.runner.idle = {"keyturn-review", "keyturn-propose/watch", "keyturn-collect"}
    return made


def test_nothing_happens_before_the_window_opens(year: Year) -> None:
    runs = year.later(days(7.5))
    assert runs.keys() >= SCHEDULED
    assert {run.conclusion for run in runs.values()} == {"success"}
    assert "**Nothing to do:**" in runs["keyturn-propose"].summary
    assert (year.events, year.issues) == ({}, [])


def test_a_renewal_opens_by_itself_and_goes_all_the_way_to_the_site(year: Year) -> None:
    year.later(days(8.1))

    event = year.events["sign/renew"]
    assert (event.author, event.title) == ("github-actions[bot]", "Sign: renew (targets 3)")
    (comment,) = event.comments
    assert "is **pending**" in comment.body
    assert "Deadline: `targets 2`, which it replaces, expires on 2026-12-03 12:00 UTC." in comment.body
    assert event.pull and sorted(event.pull.requested) == ["alice", "bob"]
    assert year.status(event).state == "pending"
    assert year.issues == [], "what is under way is nothing to worry about"

    year.place.sign("alice", "renew")
    year.settle()
    assert "1 of 2 signatures, bob may sign" in (year.status(event).description or "")
    year.place.sign("bob", "renew")
    year.settle()
    assert year.status(event).state == "success"
    assert "is **ready**" in comment.body

    year.place.merge("renew")
    runs = year.settle()
    assert runs["keyturn-publish"].conclusion == "success", runs["keyturn-publish"].log
    assert year.published("targets") == 3
    assert len(event.comments) == 1

    year.without("keyturn-signing-event", "keyturn-publish")
    year.later(days(7))
    assert year.events.keys() == {"sign/renew"}, "the next one is not due yet"
    assert year.issues == []


def test_who_is_late_hears_of_it_in_one_issue_until_all_is_well(year: Year) -> None:
    year.later(days(8.1))
    year.without("keyturn-signing-event", "keyturn-propose", "keyturn-publish")
    runs = year.later(days(2))

    issue, said = year.only_issue()
    assert issue.title == "Keyturn: this update repository needs attention now"
    assert "targets 2 expires on 2026-12-03 12:00 UTC, and more than half of the time to renew it" in said
    assert "Sign and merge sign/renew." in said
    assert runs["keyturn-monitor"].conclusion == "failure", "whoever watches runs hears of it too"

    year.later(HOUR * 6)
    assert year.only_issue() == (issue, said), "nothing new is said"

    year.later(days(2))
    assert year.only_issue()[0] is issue
    assert "targets 2 has expired: clients refuse it" in year.only_issue()[1]

    year.runner.idle.remove("keyturn-publish")
    year.sign_and_merge("renew")
    year.settle()
    assert year.published("targets") == 3
    assert year.later(HOUR * 6)["keyturn-monitor"].conclusion == "success"
    assert (year.issues, issue.state) == ([issue], "closed")


def test_a_renewal_that_nothing_began_is_noticed(year: Year) -> None:
    year.without("keyturn-signing-event", "keyturn-publish")
    year.switch("keyturn-propose", on=False)
    year.later(days(9.1))
    _, said = year.only_issue()
    assert "targets 2 expires on 2026-12-03 12:00 UTC and is due for renewal, which nothing has begun" in said
    assert "Run keyturn propose renew --role targets" in said
    assert "keyturn-propose.yml has not run any more" in said


def test_publications_that_stay_away_are_noticed_before_clients_are(year: Year) -> None:
    year.without("keyturn-signing-event", "keyturn-propose")
    year.switch("keyturn-publish", on=False)
    year.later(days(6))
    issue, said = year.only_issue()
    assert "keyturn-publish.yml has not run any more" in said
    assert issue.title == "Keyturn: this update repository needs attention"

    year.later(days(17))
    assert year.only_issue()[0] is issue
    half = (
        r"timestamp [12] expires on 2026-12-21 12:00 UTC, and more than half of the time to renew it is over"
    )
    assert re.search(half, year.only_issue()[1])
    assert issue.title == "Keyturn: this update repository needs attention now"


def test_publications_that_fail_are_noticed_and_forgotten_once_they_do_not(year: Year) -> None:
    year.without("keyturn-signing-event", "keyturn-propose")
    environment = year.place.repository.environments["keyturn"]
    lost = environment.secrets.pop("KEYTURN_ONLINE_KEY")
    year.place.release("1.1")
    assert "KEYTURN_ONLINE_KEY" in year.settle()["keyturn-publish"].log
    year.later(HOUR * 6)
    issue, said = year.only_issue()
    assert "keyturn-publish.yml fails" in said
    assert "main says targets 3, and that is not published" in said

    environment.secrets["KEYTURN_ONLINE_KEY"] = lost
    year.later(HOUR * 6)
    assert year.published("targets") == 3, "the schedule heals what the push could not"
    year.later(HOUR * 6)
    assert (year.issues, issue.state) == ([issue], "closed")


def test_schedules_are_kept_alive_past_sixty_idle_days(year: Year) -> None:
    year.without(*SCHEDULED - {"keyturn-monitor"})
    year.later(days(51))
    kept = {call.path.split("/")[-2] for call in year.lab.forge.calls("PUT", "/enable$")}
    assert kept >= {f"{name}.yml" for name in SCHEDULED}
    year.place.repository.activity.clear()
    assert year.later(days(20)).keys() == SCHEDULED


def test_without_the_monitor_they_fall_asleep(year: Year) -> None:
    year.place.repository.activity.clear()
    assert year.later(days(71)) == {}
    states = {one.state for one in year.place.repository.workflows.values()}
    assert states == {"disabled_inactivity"}
