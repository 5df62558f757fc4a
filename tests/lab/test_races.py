"""Things that happen in the same second, and runs that are replaced: nothing is lost, nothing done twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import pytest

from keyturn.forge.github import GitHub
from keyturn.forge.local import LocalForge
from lab.hostile import Event, update_repository
from lab.jobs import Kept
from lab.lab import Lab
from lab.world import UPDATES, found_quickly

pytestmark = [pytest.mark.lab, pytest.mark.slow]


@pytest.fixture(scope="module")
def waiting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Event, Kept]]:
    """A release that waits for two of three signers."""
    with update_repository(tmp_path_factory.mktemp("races"), {"carol": 1003}) as place:
        event = Event(place, place.propose("1.0"))
        yield event, place.keep()


@pytest.fixture
def event(waiting: tuple[Event, Kept]) -> Event:
    """The same for each story."""
    event, kept = waiting
    event.place.go_back(kept)
    return event


@contextmanager
def just_before(owner: type, method: str, happens: Callable[[], object]) -> Iterator[None]:
    """Something happens in the moment in which a job is about to do something for the first time."""
    do = getattr(owner, method)
    waiting = [happens]

    def after_it(*given: object, **named: object) -> object:
        if waiting:
            waiting.pop()()
        return do(*given, **named)

    with mock.patch.object(owner, method, after_it):
        yield


def signatures(event: Event) -> list[str]:
    """The subjects of the signature commits, which stand for what was done, and how often."""
    store = event.place.repository.store
    commits = store.log(f"{store.branch('main')}..{event.tip}")
    subjects = (store.commit(oid).message.splitlines()[0] for oid in commits)
    return sorted(subject for subject in subjects if subject.startswith("Sign "))


def test_a_third_signer_may_push_in_the_second_in_which_collect_does(event: Event) -> None:
    event.review("bob")
    with just_before(LocalForge, "_push", lambda: event.place.sign("carol", event.topic)):
        ran = event.place.run("keyturn-collect", "collect")
    assert (ran.code, ran.outputs["collected"], ran.outputs["missing"]) == (0, "1", "")
    assert signatures(event) == ["Sign targets 2 as bob", "Sign targets 2 as carol"]
    assert event.status == ("success", "targets 2: 2 of 2 signatures")


def test_what_is_pushed_while_the_check_writes_is_told_by_the_same_run(event: Event) -> None:
    event.review("bob")
    with just_before(GitHub, "keep_comment", lambda: event.place.sign("carol", event.topic)):
        ran = event.place.run("keyturn-collect", "collect")
    assert ran.code == 0
    assert event.status == ("success", "targets 2: 2 of 2 signatures")
    assert "is **ready**" in event.comment


def test_two_runs_of_collect_at_once_take_two_reviews_of_one_second_once(event: Event) -> None:
    event.review("bob")
    event.review("alice")
    with just_before(LocalForge, "_push", lambda: event.place.run("keyturn-collect", "collect")):
        ran = event.place.run("keyturn-collect", "collect")
    assert (ran.code, ran.outputs["state"]) == (0, "nothing")
    assert signatures(event) == ["Sign targets 2 as alice", "Sign targets 2 as bob"]
    assert event.status == ("success", "targets 2: 2 of 2 signatures")
    assert len(event.issue.comments) == 1


def test_a_payload_that_changes_under_a_review_is_not_signed_by_it(event: Event) -> None:
    event.review("bob")

    def proposed_anew() -> None:
        (event.place.people.bundle("1.0") / "more").write_text("more\n")
        event.place.propose("1.0")

    with just_before(LocalForge, "_push", proposed_anew):
        ran = event.place.run("keyturn-collect", "collect")
    assert (ran.code, ran.outputs["collected"], ran.outputs["refused"]) == (0, "0", "1")
    assert signatures(event) == []
    assert "sign that" in event.comment


def test_a_run_that_was_replaced_while_it_waited_is_missed_by_nobody(tmp_path: Path, tools: Path) -> None:
    """Of three reviews in one second, the second one's run never begins; what it would have done is done."""
    with Lab(tmp_path / "lab", tools=tools) as lab:
        world = found_quickly(lab)
        topic = world.propose("1.0")
        fields = {"title": "Release", "head": f"sign/{topic}", "base": "main"}
        assert world.ask("alice", "POST", f"/repos/{UPDATES}/pulls", **fields)[0] == 201
        lab.settle()
        number = world.pull(topic).number
        for login, body in (
            ("alice", world.alice.blocks(topic)),
            ("bob", world.bob.blocks(topic)),
            ("carol", "?"),
        ):
            world.review(login, number, body)
        runs = lab.settle()

        reviews = [(run.start.actor, run.conclusion) for run in runs if run.file == "keyturn-review.yml"]
        assert sorted(reviews) == [("alice", "success"), ("bob", "cancelled"), ("carol", "success")]
        assert {run.conclusion for run in runs if run.file == "keyturn-collect.yml"} <= {
            "success",
            "cancelled",
        }
        assert world.checks(number)[-1] == ("success", "targets 2: 2 of 2 signatures")
