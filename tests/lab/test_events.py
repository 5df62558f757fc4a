"""Which file, ref and token an event gets, and what follows from a run."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from lab.forge import Event
from lab.forge.model import Secret
from lab.lab import Lab
from lab.tiny import SLUG, at, branch, call, found, names, workflow

pytestmark = [pytest.mark.lab, pytest.mark.slow]


def test_a_pull_request_runs_its_own_file_and_its_target_that_of_the_base(lab: Lab) -> None:
    on = "pull_request:\npull_request_target:"
    found(lab, {at("both"): workflow(on, "- run: echo from-$GITHUB_EVENT_NAME-base $GITHUB_REF")})
    branch(lab, "topic", {at("both"): workflow(on, "- run: echo from-$GITHUB_EVENT_NAME-head $GITHUB_REF")})
    assert (
        call(
            lab,
            "ghp_lab_bob",
            "POST",
            f"/repos/{SLUG}/pulls",
            '{"title": "x", "head": "topic", "base": "main"}',
        )
        == 201
    )
    runs = {run.start.event: run for run in lab.settle()}
    assert "from-pull_request-head refs/pull/1/merge" in runs["pull_request"].log
    assert "from-pull_request_target-base refs/heads/main" in runs["pull_request_target"].log


def test_a_pull_request_from_a_fork_gets_a_read_only_token_and_no_secrets(lab: Lab) -> None:
    steps = """
        - env: {TOKEN: "${{ github.token }}", SECRET: "${{ secrets.SECRET }}"}
          run: |
            echo "secret=<$SECRET>"
            curl -s -o /dev/null -w 'status=%{http_code}' -H "Authorization: Bearer $TOKEN" \\
              -d '{"title": "x"}' "$GITHUB_API_URL/repos/$GITHUB_REPOSITORY/issues"
    """
    found(lab, {at("pulls"): workflow("pull_request:", steps, job="permissions: {issues: write}")})
    now = lab.clock()
    lab.forge.repository(SLUG).secrets["SECRET"] = Secret("SECRET", "hush", now, now)
    lab.settle()
    commit_of = lab.forge.repository(SLUG).store.branch("main")
    payload = _pull_payload(commit_of or "", fork="mallory/updates")
    event = Event(
        "pull_request", SLUG, "opened", "mallory", False, "refs/pull/9/merge", commit_of or "", now, payload
    )
    lab.dispatcher.hear(event)
    (run,) = lab.settle()
    assert "secret=<>" in run.log
    assert "status=403" in run.log


def _pull_payload(oid: str, *, fork: str) -> dict[str, Any]:
    base = {"ref": "main", "sha": oid, "repo": {"full_name": SLUG}}
    head = {"ref": "topic", "sha": oid, "repo": {"full_name": fork}}
    return {
        "action": "opened",
        "number": 9,
        "pull_request": {"number": 9, "state": "open", "base": base, "head": head},
    }


def test_a_pull_request_that_a_job_opened_has_no_run_or_one_that_waits(lab: Lab) -> None:
    steps = """
        - env: {TOKEN: "${{ github.token }}"}
          run: |
            curl -sf -H "Authorization: Bearer $TOKEN" -d '{"title": "x", "head": "topic", "base": "main"}' \\
              "$GITHUB_API_URL/repos/$GITHUB_REPOSITORY/pulls"
    """
    opens = workflow("workflow_dispatch:", steps, job="permissions: {pull-requests: write, contents: read}")
    found(lab, {at("opens"): opens, at("checks"): workflow("pull_request:\npull_request_target:")})
    repository = lab.forge.repository(SLUG)
    repository.settings.actions_may_open_pull_requests = True
    lab.dispatcher.hold_back = True
    branch(lab, "topic", {"a": b""})
    assert lab.run(SLUG, "opens.yml", actor="alice").conclusion == "success"
    assert lab.settle() == []
    (waiting,) = lab.dispatcher.held_back
    lab.dispatcher.approve(waiting)
    assert names(lab.settle()) == [("checks", "pull_request", "success")]


def test_a_finished_run_wakes_those_that_wait_for_it_on_the_default_branch(lab: Lab) -> None:
    follows = "workflow_run: {workflows: [Test], types: [completed], branches: [topic]}"
    event = "github.event.workflow_run"
    told = f"- run: echo ${{{{ {event}.conclusion }}}} of ${{{{ {event}.head_branch }}}}"
    found(
        lab,
        {
            at("first"): workflow("push:", "- run: exit 1"),
            at("then"): workflow(follows, told).replace(b"name: Test", b"name: Then"),
        },
    )
    branch(lab, "topic", {"a": b""})
    runs = lab.settle()
    assert names(runs)[-1] == ("then", "workflow_run", "success")
    assert "failure of topic" in runs[-1].log
    assert len(runs) == 3


def test_schedules_follow_the_labs_clock_and_sleep_after_sixty_idle_days(lab: Lab) -> None:
    found(lab, {at("daily"): workflow('schedule: [{cron: "17 3 * * *"}]')})
    lab.tick(timedelta(hours=1))
    assert lab.settle() == []
    lab.tick(timedelta(days=3))
    assert names(lab.settle()) == [("daily", "schedule", "success")]
    lab.tick(timedelta(days=60))
    assert lab.settle() == []
    assert lab.forge.repository(SLUG).workflows[at("daily")].state == "disabled_inactivity"
