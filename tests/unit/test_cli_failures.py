"""Every error in three parts, as data, and as an exit code."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click
import pytest

from keyturn.cli.failures import Failure, explain
from keyturn.errors import (
    EnvironmentFault,
    KeyturnError,
    NothingToDo,
    PendingError,
    RefusedError,
    UsageError,
)
from keyturn.policy import PolicyError, parse


def text(failure: Failure, level: int = 1) -> list[str]:
    return [one.plain() for one in failure.lines if one.level <= level]


@pytest.mark.parametrize(
    ("kind", "code", "word"),
    [
        (PendingError, 1, "pending:"),
        (UsageError, 2, "error:"),
        (RefusedError, 3, "error:"),
        (EnvironmentFault, 4, "error:"),
        (NothingToDo, 5, "nothing to do:"),
    ],
)
def test_each_kind_of_error_has_its_code_and_its_word(kind: type[KeyturnError], code: int, word: str) -> None:
    failure = explain(kind("is so", where="there", todo="Do this.", reason="slug"))
    assert failure.exit_code == code
    assert text(failure) == [f"{word} is so", "  where: there", "  todo: Do this."]
    assert failure.document == {
        "error": {"reason": "slug", "what": "is so", "where": "there", "todo": "Do this."},
        "exit": code,
    }


def test_empty_parts_are_left_out() -> None:
    assert text(explain(RefusedError("is so"))) == ["error: is so"]


def test_details_tell_the_reason_and_what_lay_below() -> None:
    error = EnvironmentFault("fails", reason="disk")
    error.__cause__ = OSError("no \x1bspace")
    assert text(explain(error), 2)[1:] == ["  reason: disk", "  cause: OSError: no \\u001bspace"]


def test_text_of_others_in_an_error_is_escaped() -> None:
    failure = explain(RefusedError("bad \x1b[2J", where="a\u202eb", todo="look\nhere"))
    assert text(failure) == ["error: bad \\u001b[2J", "  where: a\\u202eb", "  todo: look\\u000ahere"]


def test_every_problem_of_a_policy_is_listed_with_its_place() -> None:
    with pytest.raises(PolicyError) as refused:
        parse(b"version: 1\nname: Up\nonline: {}\nnonsense: 1\n")
    failure = explain(refused.value)
    lines = text(failure)
    assert failure.exit_code == 2
    assert lines[0].startswith("error: ")
    assert lines[0].endswith(" problems in keyturn.yml, nothing was done")
    assert len(lines) == 1 + len(refused.value.problems)
    assert any(line.startswith("  keyturn.yml:2:7: name: ") for line in lines)
    assert [p["line"] for p in failure.document["error"]["problems"]] == [  # type: ignore[index, call-overload]
        problem.line for problem in refused.value.problems
    ]


def test_a_wrong_command_line_says_where_help_is() -> None:
    failure = explain(
        click.UsageError("No such thing.", ctx=click.Context(click.Command("sign"), info_name="sign"))
    )
    assert failure.exit_code == 2
    assert text(failure) == ["error: No such thing", "  todo: See: sign --help"]


def test_a_global_option_after_the_command_is_recognised() -> None:
    failure = explain(click.NoSuchOption("--json", ctx=click.Context(click.Command("sign"))))
    assert text(failure)[-1] == "  todo: Write it before the command: keyturn --json ..."


@pytest.mark.parametrize("error", [KeyboardInterrupt(), click.Abort()])
def test_an_interrupt_is_no_crash(error: BaseException) -> None:
    assert explain(error).exit_code == 130


def test_a_package_of_the_extra_that_is_missing_is_named() -> None:
    failure = explain(ModuleNotFoundError("no", name="jinja2.nodes"))
    assert failure.exit_code == 4
    assert "keyturn[repo]" in text(failure)[-1]


def test_a_missing_module_of_ours_is_a_crash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert explain(ModuleNotFoundError("no", name="keyturn.nowhere")).exit_code == 70


def crash() -> Failure:
    try:
        raise ZeroDivisionError("by zero")
    except ZeroDivisionError as error:
        return explain(error)


def test_a_crash_writes_a_report_without_environment_and_arguments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr("sys.argv", ["keyturn", "s3cret-argument"])
    monkeypatch.setenv("KEYTURN_PASSPHRASE", "s3cret-passphrase")
    failure = crash()
    (report,) = tmp_path.iterdir()
    told = report.read_text()
    assert failure.exit_code == 70
    assert f"  where: {report}" in text(failure)
    assert "by zero" not in "".join(text(failure))
    assert "ZeroDivisionError: by zero" in told
    assert "s3cret" not in told
    assert report.stat().st_mode & 0o077 == 0


def test_a_report_that_cannot_be_written_is_not_another_crash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    failure = crash()
    assert failure.exit_code == 70
    assert "could not be written" in text(failure)[-1]
    assert not any("where:" in line for line in text(failure))
