"""What the workflows that users get promise: least permissions, pinned actions, nothing checked out."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

WORKFLOWS = Path(__file__).parents[2] / "workflows"
FILES = sorted(path.name for path in WORKFLOWS.glob("*.yml"))
OURS = [name for name in FILES if name.startswith("keyturn-")]
DANGEROUS = {"keyturn-signing-event.yml": "pull_request_target", "keyturn-collect.yml": "workflow_run"}
USES = re.compile(r"[\w.-]+/[\w.-]+(/[\w./-]+)?@[0-9a-f]{40}")


def text_of(name: str) -> str:
    return (WORKFLOWS / name).read_text()


def workflow(name: str) -> dict[str, Any]:
    # YAML 1.1 takes the word "on" for a truth value.
    read: dict[Any, Any] = yaml.safe_load(text_of(name))
    return {"on" if key is True else key: value for key, value in read.items()}


def steps(name: str) -> list[dict[str, Any]]:
    return [step for job in workflow(name)["jobs"].values() for step in job["steps"]]


def test_these_are_the_workflows() -> None:
    assert FILES == [
        "keyturn-collect.yml",
        "keyturn-monitor.yml",
        "keyturn-propose.yml",
        "keyturn-publish.yml",
        "keyturn-review.yml",
        "keyturn-signing-event.yml",
        "release.yml",
    ]


@pytest.mark.parametrize("name", FILES)
def test_nothing_is_permitted_but_what_a_job_names(name: str) -> None:
    assert workflow(name)["permissions"] == {}
    for job in workflow(name)["jobs"].values():
        assert isinstance(job["permissions"], dict)
        assert "timeout-minutes" in job


@pytest.mark.parametrize("name", FILES)
def test_every_action_is_pinned_by_commit_with_its_version_beside_it(name: str) -> None:
    for line in text_of(name).splitlines():
        if line.lstrip().startswith(("uses:", "- uses:")):
            assert re.fullmatch(rf"\s+uses: {USES.pattern} # v\d+\.\d+\.\d+", line), line


@pytest.mark.parametrize("name", FILES)
def test_actions_of_others_are_githubs_own(name: str) -> None:
    owners = {step["uses"].partition("/")[0] for step in steps(name) if "uses" in step}
    assert owners <= {"keyturn", "actions"}


@pytest.mark.parametrize("name", OURS)
def test_no_workflow_of_ours_checks_anything_out(name: str) -> None:
    assert not [step for step in steps(name) if "checkout" in step.get("uses", "")]
    assert "git " not in "\n".join(step.get("run", "") for step in steps(name))


@pytest.mark.parametrize(("name", "trigger"), DANGEROUS.items())
def test_a_dangerous_trigger_says_why_it_is_harmless(name: str, trigger: str) -> None:
    assert trigger in workflow(name)["on"]
    reason = r"# zizmor: ignore\[dangerous-triggers\] .*\bnothing\b"
    assert re.search(f"{trigger}: {reason}", text_of(name))
    assert all(step["uses"].startswith("keyturn/keyturn/action/") for step in steps(name))


def test_no_other_workflow_has_such_a_trigger() -> None:
    for name in FILES:
        found = {"pull_request_target", "workflow_run", "issue_comment"} & set(workflow(name)["on"])
        assert found == ({DANGEROUS[name]} if name in DANGEROUS else set())


@pytest.mark.parametrize("name", FILES)
def test_inputs_never_reach_a_shell_as_program_text(name: str) -> None:
    assert not [step for step in steps(name) if "${{" in step.get("run", "")]


@pytest.mark.parametrize("name", OURS)
def test_schedules_avoid_the_full_hour_when_everybody_runs(name: str) -> None:
    for each in workflow(name)["on"].get("schedule", []):
        assert each["cron"].split()[0] not in ("0", "*")


@pytest.mark.parametrize("name", [name for name in OURS if name != "keyturn-review.yml"])
def test_each_job_can_be_woken_by_hand_and_by_the_clock(name: str) -> None:
    assert {"schedule", "workflow_dispatch"} <= set(workflow(name)["on"])
    assert workflow(name)["concurrency"]["cancel-in-progress"] is False


def test_a_review_wakes_the_collection_by_a_workflow_that_may_do_nothing() -> None:
    review = workflow("keyturn-review.yml")
    assert all(job["permissions"] == {} for job in review["jobs"].values())
    assert workflow("keyturn-collect.yml")["on"]["workflow_run"]["workflows"] == [review["name"]]


def test_only_the_signing_job_of_publish_sees_the_environment_and_the_key() -> None:
    for name in OURS:
        for job_id, job in workflow(name)["jobs"].items():
            signs = (name, job_id) == ("keyturn-publish.yml", "sign")
            assert (job.get("environment") == "keyturn") == signs
            assert ("secrets." in str(job)) == signs


def test_what_is_published_goes_through_the_steps_in_their_order() -> None:
    jobs = workflow("keyturn-publish.yml")["jobs"]
    assert list(jobs) == ["sign", "build", "deploy", "live", "record"]
    inputs = [step.get("with", {}) for job in jobs.values() for step in job["steps"]]
    assert [given["step"] for given in inputs if "step" in given] == ["stage", "build", "live", "record"]
    needed = [job.get("needs") for job in jobs.values()]
    assert needed == [None, "sign", "build", ["sign", "deploy"], ["sign", "live"]]


@pytest.mark.parametrize("name", OURS)
def test_every_action_of_ours_exists_and_knows_the_inputs_that_it_is_given(name: str) -> None:
    for step in steps(name):
        if step.get("uses", "").startswith("keyturn/keyturn/"):
            path = step["uses"].removeprefix("keyturn/keyturn/").partition("@")[0]
            action = yaml.safe_load((WORKFLOWS.parent / path / "action.yml").read_text())
            assert set(step.get("with", {})) <= set(action["inputs"])
