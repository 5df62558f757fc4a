"""However a script ends, its outputs are there, its exit code says how, and nobody is shown a traceback."""

from __future__ import annotations

from pathlib import Path

import pytest

from keyturn.actions import Input, Job, Outputs, run_job
from keyturn.errors import ExitCode, NothingToDo, PendingError, RefusedError
from keyturn.policy import PolicyError, parse
from unit.test_actions_outputs import runner_reads

INPUTS = (Input("app", required=True), Input("platform", default="linux"))


@pytest.fixture
def job_environment(tmp_path: Path) -> dict[str, str]:
    for name in ("output", "summary"):
        (tmp_path / name).write_text("")
    return {
        "GITHUB_SERVER_URL": "https://forge.example",
        "GITHUB_API_URL": "https://forge.example/api/v3",
        "GITHUB_REPOSITORY": "alice/updates",
        "GITHUB_OUTPUT": str(tmp_path / "output"),
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary"),
        "RUNNER_TEMP": str(tmp_path),
        "KEYTURN_INPUT_APP": "hello",
    }


def ran(
    environment: dict[str, str], ending: BaseException | ExitCode | None = None
) -> tuple[int, dict[str, str]]:
    def main(job: Job, outputs: Outputs) -> ExitCode | None:
        outputs.set(state="begun", event=job.inputs["app"])
        if isinstance(ending, BaseException):
            raise ending
        return ending

    code = run_job(main, INPUTS, ("event",), environment)
    return code, runner_reads(Path(environment["GITHUB_OUTPUT"]))


def test_a_script_that_ends_well(job_environment: dict[str, str]) -> None:
    assert ran(job_environment) == (0, {"state": "begun", "reason": "", "event": "hello"})


def test_a_script_may_name_its_exit_code(job_environment: dict[str, str]) -> None:
    code, outputs = ran(job_environment, ExitCode.INVALID)
    assert (code, outputs["state"]) == (3, "begun")


def test_nothing_to_do_is_a_good_end(job_environment: dict[str, str]) -> None:
    code, outputs = ran(job_environment, NothingToDo("all is so already"))
    assert (code, outputs["state"], outputs["reason"]) == (0, "nothing", "nothing-to-do")


def test_waiting_for_people_is_a_good_end(job_environment: dict[str, str]) -> None:
    code, outputs = ran(job_environment, PendingError("keys are missing"))
    assert (code, outputs["state"]) == (0, "pending")


def test_a_refusal_fails_with_its_code_and_keeps_what_was_known(
    job_environment: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    code, outputs = ran(job_environment, RefusedError("no", where="@team", todo="Ask.", reason="invalid"))
    assert (code, outputs) == (3, {"state": "failed", "reason": "invalid", "event": "hello"})
    assert "::error title=keyturn%3A invalid::@team: no%0AAsk." in capsys.readouterr().out
    assert "@team" not in Path(job_environment["GITHUB_STEP_SUMMARY"]).read_text().replace("`@team`", "")


def test_a_crash_looks_like_nothing_else_and_shows_no_traceback(
    job_environment: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    code, outputs = ran(job_environment, ZeroDivisionError("secret text"))
    assert (code, outputs["state"], outputs["reason"]) == (70, "failed", "internal")
    shown = [line for line in capsys.readouterr().out.splitlines() if not line.startswith("::debug::")]
    assert "Traceback" not in "\n".join(shown)
    assert "secret text" not in "\n".join(shown)


def test_a_cancelled_job_writes_its_outputs_too(job_environment: dict[str, str]) -> None:
    code, outputs = ran(job_environment, KeyboardInterrupt())
    assert (code, outputs["state"]) == (130, "failed")


def test_each_problem_of_a_policy_is_shown_where_it_is(
    job_environment: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(PolicyError) as caught:
        parse(b"version: 1\nname: 5\n")
    code, _ = ran(job_environment, caught.value)
    assert code == ExitCode.USAGE
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(caught.value.problems)
    assert all(line.startswith("::error title=keyturn%3A policy,file=keyturn.yml,line=") for line in lines)


def test_an_input_that_is_missing_is_named(
    job_environment: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    del job_environment["KEYTURN_INPUT_APP"]
    code, outputs = ran(job_environment)
    assert (code, outputs["reason"]) == (2, "missing-input")
    assert "the input app is missing" in capsys.readouterr().out


def test_outside_of_a_job_a_script_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_job(lambda job, outputs: None, INPUTS, (), {}) == ExitCode.USAGE
    assert "GITHUB_SERVER_URL is not set" in capsys.readouterr().out


def test_outputs_that_cannot_be_written_fail_the_job(job_environment: dict[str, str]) -> None:
    job_environment["GITHUB_OUTPUT"] = "/nowhere/at/all"
    assert run_job(lambda job, outputs: None, INPUTS, (), job_environment) == ExitCode.ENVIRONMENT
