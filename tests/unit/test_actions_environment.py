"""What a job is allowed to say of itself, and what is made of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import pytest

from keyturn.actions import Job
from keyturn.actions.environment import variable_of
from keyturn.errors import RefusedError, UsageError
from keyturn.git import Git

WORKFLOW = "alice/updates/.github/workflows/keyturn-signing-event.yml"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "event.json").write_text(json.dumps({"repository": {"default_branch": "main"}}))
    return {
        "GITHUB_SERVER_URL": "https://forge.example/",
        "GITHUB_API_URL": "https://forge.example/api/v3",
        "GITHUB_REPOSITORY": "alice/updates",
        "GITHUB_EVENT_NAME": "push",
        "GITHUB_EVENT_PATH": str(tmp_path / "event.json"),
        "GITHUB_REF": "refs/heads/main",
        "GITHUB_WORKFLOW_REF": f"{WORKFLOW}@refs/heads/main",
        "GITHUB_RUN_ID": "77",
        "RUNNER_TEMP": str(tmp_path / "temp"),
        "SOURCE_DATE_EPOCH": "1795262400",
        "KEYTURN_TOKEN": "t0ken",
    }


def job(environment: Mapping[str, str], **names: str) -> Job:
    return Job.read(environment, names)


def test_a_job_knows_its_repository_its_run_and_its_time(environment: dict[str, str]) -> None:
    read = job(environment)
    assert (read.slug, read.default_branch) == ("alice/updates", "main")
    assert read.run_url == "https://forge.example/alice/updates/actions/runs/77"
    assert read.now == datetime(2026, 11, 21, 12, tzinfo=timezone.utc)


def test_neither_token_nor_keys_show_where_a_job_is_printed(environment: dict[str, str]) -> None:
    environment["KEYTURN_ONLINE_KEY"] = "-----BEGIN"
    assert "t0ken" not in repr(job(environment))
    assert "-----BEGIN" not in repr(job(environment))


def test_an_input_is_handed_over_in_capitals() -> None:
    assert variable_of("old-key") == "KEYTURN_INPUT_OLD_KEY"


def test_an_empty_input_takes_its_default(environment: dict[str, str]) -> None:
    environment |= {"KEYTURN_INPUT_STEP": "  ", "KEYTURN_INPUT_PAUSE": " 5\n"}
    read = job(environment, step="stage", pause="30", url="")
    assert read.inputs == {"step": "stage", "pause": "5", "url": ""}


@pytest.mark.parametrize("text", ["", "-1", "1.5", "ten", "9" * 10, "٣"])
def test_a_number_is_a_whole_one(environment: dict[str, str], text: str) -> None:
    with pytest.raises(UsageError) as caught:
        replace(job(environment), inputs={"pause": text}).number("pause")
    assert caught.value.reason == "bad-input"


def test_the_default_branchs_workflow_is_trusted_on_the_default_branch(environment: dict[str, str]) -> None:
    job(environment).require_trusted()


@pytest.mark.parametrize(
    "change",
    [
        {"GITHUB_REF": "refs/heads/sign/x"},
        {"GITHUB_REF": "refs/tags/main"},
        {"GITHUB_REF": "refs/pull/5/merge"},
        {"GITHUB_WORKFLOW_REF": f"{WORKFLOW}@refs/heads/sign/x"},
        {"GITHUB_WORKFLOW_REF": f"{WORKFLOW}@refs/pull/5/merge"},
        {"GITHUB_WORKFLOW_REF": f"{WORKFLOW}@refs/heads/x/refs/heads/main"},
        {"GITHUB_WORKFLOW_REF": f"{WORKFLOW}@refs/heads/x@refs/heads/main"},
        {"GITHUB_WORKFLOW_REF": f"bob/{WORKFLOW}@refs/heads/main"},
        {"GITHUB_WORKFLOW_REF": ""},
        {"GITHUB_EVENT_PATH": ""},
        {"GITHUB_EVENT_PATH": "/nowhere"},
    ],
)
def test_any_other_run_is_refused(environment: dict[str, str], change: dict[str, str]) -> None:
    with pytest.raises(RefusedError) as caught:
        job(environment | change).require_trusted()
    assert caught.value.reason == "not-default-branch"


def test_a_schedule_runs_on_the_default_branch_even_if_its_event_does_not_name_it(
    environment: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "event.json").write_text('{"schedule": "17 5 * * *"}')
    environment["GITHUB_EVENT_NAME"] = "schedule"
    assert job(environment).trusted


@pytest.mark.parametrize("told", ["[]", "{", '{"repository": {"default_branch": 5}}', '{"repository": null}'])
def test_an_event_that_says_something_else_is_not_trusted(
    environment: dict[str, str], tmp_path: Path, told: str
) -> None:
    (tmp_path / "event.json").write_text(told)
    assert not job(environment).trusted


def test_without_a_token_nothing_is_begun(environment: dict[str, str]) -> None:
    environment["KEYTURN_TOKEN"] = ""
    with pytest.raises(UsageError) as caught, job(environment).context():
        pytest.fail("a context was made")
    assert caught.value.reason == "no-token"


def test_the_root_digest_comes_from_the_environment_and_must_be_one(environment: dict[str, str]) -> None:
    digest = "ab" * 32
    assert job(environment | {"KEYTURN_ROOT": digest.upper()}).root_digest == digest
    with pytest.raises(UsageError) as caught:
        job(environment | {"KEYTURN_ROOT": "abc"})
    assert caught.value.reason == "bad-digest"


def test_a_context_reads_branches_into_a_bare_repository_that_goes_with_it(
    environment: dict[str, str], tmp_path: Path
) -> None:
    server = tmp_path / "server"
    with Git.init(server / "alice/updates", bare=True) as git:
        tree = git.write_tree(None, {"keyturn.yml": b"version: 1\n"})
        author = git.identity()
        commit = git.commit_tree(tree, [], "Begin", author=author, when=job(environment).now)
        git.run("update-ref", "refs/heads/main", commit)
    environment["GITHUB_SERVER_URL"] = server.as_uri()
    with job(environment).context() as context:
        context.forge.refresh()
        assert context.forge.main() == commit
        assert context.author.name == "github-actions[bot]"
        (made,) = (tmp_path / "temp").iterdir()
        assert not list(made.rglob("keyturn.yml"))
    assert not made.exists()


def test_the_branch_of_another_repository_is_main_unless_it_is_named(
    environment: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "event.json").write_text(json.dumps({"repository": {"default_branch": "trunk"}}))
    read = job(environment)
    with (
        read.context() as own,
        read.context("bob/other") as other,
        read.context("bob/other", "live") as named,
    ):
        assert [each.forge.branch for each in (own, other, named)] == ["trunk", "main", "live"]
        assert other.forge.url == "https://forge.example/bob/other"
