"""Bad days of the code host: whatever an answer looks like, all ends as on a good day, and nothing is twice.

Each job is shown on a day on which it has all of its work to do (situations.py). A single bad answer is
survived by the job's own patience; where the host stays broken, the job fails, and the next run of it
finishes the work. What is compared are whole repositories: branches down to their commits, pull requests,
comments, statuses, requests for review, labels, issues, releases with their files.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from typing import get_args
from urllib.parse import quote

import pytest

from lab.clock import Clock
from lab.forge import Handled, LabForge
from lab.forge.faults import Kind
from lab.jobs import Place, Ran
from lab.pages import Pages
from lab.situations import JOBS, Situations, policy

pytestmark = [pytest.mark.lab, pytest.mark.slow]

KINDS: tuple[Kind, ...] = get_args(Kind)
SHARED = {
    "signing-event",
    "release",
    "collect",
    "propose",
    "watch",
    "record",
    "monitor",
    "monitor, well again",
}
"""Situations whose job asks the API, beside git."""
PUSHING = ("collect", "propose", "watch", "release", "sign", "record")
WRITES = {
    "signing-event": {
        "POST /pulls$",
        r"POST /pulls/\d+/requested_reviewers$",
        r"POST /issues/\d+/comments$",
        r"POST /issues/\d+/labels$",
        r"POST /statuses/\w+$",
    },
    "collect": {
        r"PATCH /issues/comments/\d+$",
        r"POST /issues/\d+/labels$",
        r"DELETE /issues/\d+/labels/.+$",
        r"POST /statuses/\w+$",
    },
    "propose": {"POST /pulls$", r"POST /statuses/\w+$"},
    "watch": {
        "POST /releases$",
        r"POST /releases/\d+/assets\b",
        r"PATCH /releases/\d+$",
        "POST /pulls$",
        r"POST /statuses/\w+$",
    },
    "release": {"POST /releases$", r"POST /releases/\d+/assets\b", r"PATCH /releases/\d+$", "POST /pulls$"},
    "record": {r"PATCH /releases/\d+$", r"DELETE /releases/\d+$", "DELETE /git/refs/tags/.+$"},
    "monitor": {"POST /issues$", "PUT /actions/workflows/.+/enable$"},
    "monitor, well again": {r"PATCH /issues/\d+$"},
}
"""Every kind of write of each job; those of the check of an event are the same in all jobs that make it."""


@pytest.fixture(scope="module")
def situations(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Situations]:
    clock, base = Clock(), tmp_path_factory.mktemp("faults")
    with LabForge(base / "forge", clock=clock, contract=False) as forge, Pages(clock) as pages:
        place = Place(forge, pages, clock, base / "place")
        place.found(edit=partial(policy, hosting="releases"))
        yield Situations(place)


def questions(ran: Ran) -> list[tuple[str, str]]:
    """Everything that a job asked the API, once: method, and a pattern for the path."""
    asked = [one for one in ran.requests if one.kind in ("rest", "graphql")]
    return list(dict.fromkeys((one.method, f"^({spellings(one.path)})([?].*)?$") for one in asked))


def spellings(path: str) -> str:
    """A path as it may have been sent: a colon may be written out or not."""
    return "|".join(re.escape(quote(path, safe=safe)) for safe in ("/", "/:"))


def is_write(one: Handled) -> bool:
    return one.kind == "rest" and one.method != "GET"


def test_every_kind_of_write_is_struck(situations: Situations) -> None:
    for name, writes in WRITES.items():
        done = [f"{one.method} {one.path}" for one in situations.good(name).ran.requests if is_write(one)]
        for write in writes:
            method, path = write.split(" ", 1)
            assert any(re.search(f"^{method} .*{path}", one) for one in done), f"{name}: {write}"
    known = set().union(*WRITES.values())
    for name in JOBS:
        for one in filter(is_write, situations.good(name).ran.requests):
            struck = [
                write
                for write in known
                if re.search(write.replace(" ", " .*", 1), f"{one.method} {one.path}")
            ]
            assert struck, f"{name}: {one.method} {one.path}"


@pytest.mark.parametrize("kind", KINDS)
def test_one_bad_answer_to_every_question_is_survived(situations: Situations, kind: Kind) -> None:
    survives(situations, "signing-event", lambda _: kind)


@pytest.mark.parametrize("name", sorted(SHARED - {"signing-event"}))
def test_bad_answers_of_every_kind_in_one_run_are_survived(situations: Situations, name: str) -> None:
    survives(situations, name, lambda number: KINDS[number % len(KINDS)])


def survives(situations: Situations, name: str, kind_of: object) -> None:
    good = situations.good(name)
    situations.go_to(name)
    assert callable(kind_of)
    faults = [
        situations.place.forge.fault(question, kind_of(number), retry_after=20)
        for number, question in enumerate(questions(good.ran))
    ]

    ran = situations.run(name)

    assert ran.code == good.ran.code, ran.told
    assert situations.place.shown() == good.shown
    assert all(fault.hits for fault in faults)


BROKEN: list[tuple[str, str, Kind]] = [
    # Nothing was done, and the host says so as often as it is asked.
    *((name, write, "500") for name in WRITES for write in sorted(WRITES[name])),
    # It was done, nobody ever hears of it, and nothing can be looked for.
    ("collect", r"PATCH /issues/comments/\d+$", "lost-response"),
    ("collect", r"DELETE /issues/\d+/labels/.+$", "lost-response"),
    ("watch", r"PATCH /releases/\d+$", "lost-response"),
    ("record", "DELETE /git/refs/tags/.+$", "lost-response"),
    ("record", r"DELETE /releases/\d+$", "lost-response"),
    ("monitor", "PUT /actions/workflows/.+/enable$", "lost-response"),
]


@pytest.mark.parametrize(("name", "write", "kind"), BROKEN)
def test_where_the_host_stays_broken_the_next_run_finishes_the_work(
    situations: Situations, name: str, write: str, kind: Kind
) -> None:
    good = situations.good(name)
    situations.go_to(name)
    method, path = write.split(" ", 1)
    fault = situations.place.forge.fault((method, path), kind, times=99)

    ran = situations.run(name)

    assert fault.hits
    if kind == "500":
        fails(ran)
    situations.place.forge.faults.clear()
    again = situations.run(name)
    assert again.code == good.ran.code, again.told
    assert situations.place.shown() == good.shown


@pytest.mark.parametrize("name", PUSHING)
@pytest.mark.parametrize("kind", ["502", "lost-response"])
def test_a_push_that_goes_wrong_is_done_once(situations: Situations, name: str, kind: Kind) -> None:
    good = situations.good(name)
    situations.go_to(name)
    fault = situations.place.forge.fault(("POST", "/git-receive-pack$"), kind)

    ran = situations.run(name)

    assert fault.hits == 1
    if ran.code != good.ran.code:
        fails(ran)
    again = situations.run(name)
    assert again.code == good.ran.code, again.told
    assert situations.place.shown() == good.shown


@pytest.mark.parametrize("kind", ["500", "429", "truncated", "dropped"])
def test_a_fetch_that_goes_wrong_leaves_all_as_it_was(situations: Situations, kind: Kind) -> None:
    situations.go_to("signing-event")
    before = situations.place.shown()
    situations.place.forge.fault(("*", "/info/refs|/git-upload-pack"), kind, times=99)

    fails(situations.run("signing-event"))

    assert situations.place.shown() == before


def test_a_limit_that_lasts_longer_than_patience_is_an_error_that_says_when(situations: Situations) -> None:
    situations.go_to("monitor")
    situations.place.forge.fault(("POST", "/issues$"), "403", times=99, retry_after=3600)

    ran = situations.run("monitor")

    fails(ran, "rate-limit")
    assert "Run this again after " in ran.told
    assert sum(situations.place.waits) <= 150


def fails(ran: Ran, *reasons: str) -> None:
    """As a fault of the surroundings, in words, and not as a mistake of ours."""
    assert ran.code == 4, ran.told
    assert ran.outputs["state"] == "failed"
    assert ran.outputs["reason"] in (reasons or ("host", "unreachable", "rate-limit", "check-failed", "git"))
    assert "::error" in ran.log
    assert ran.summary
