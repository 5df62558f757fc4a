"""Outputs, summaries and messages carry text that others wrote, and nothing of it is obeyed."""

from __future__ import annotations

import string
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keyturn.actions.outputs import Outputs, annotate, debug, mask, tell


def runner_reads(file: Path) -> dict[str, str]:
    """What the runner makes of an output file: NAME<<DELIMITER, lines, DELIMITER."""
    values: dict[str, str] = {}
    lines = iter(file.read_text(encoding="utf-8").split("\n"))
    for line in lines:
        if not line:
            continue
        name, mark, delimiter = line.partition("<<")
        assert mark, line
        held = []
        for inside in lines:
            if inside == delimiter:
                break
            held.append(inside)
        else:
            pytest.fail("a value has no end")
        values[name] = "\n".join(held)
    return values


def outputs(directory: Path, *names: str) -> Outputs:
    files = {"GITHUB_OUTPUT": directory / "output", "GITHUB_STEP_SUMMARY": directory / "summary"}
    for file in files.values():
        file.write_text("")
    return Outputs(names, {name: str(file) for name, file in files.items()})


def test_every_declared_output_is_written_even_if_it_was_never_set(tmp_path: Path) -> None:
    said = outputs(tmp_path, "state", "pull-request")
    said.set(state="proposed")
    said.write()
    assert runner_reads(tmp_path / "output") == {"state": "proposed", "pull-request": ""}


def test_an_output_that_is_not_declared_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(KeyError):
        outputs(tmp_path, "state").set(other="x")


def test_numbers_truth_and_lists_have_one_form(tmp_path: Path) -> None:
    said = outputs(tmp_path, "a", "b", "page-url", "d")
    said.set(a=3, b=True, page_url=("x", "y"), d=())
    said.write()
    assert runner_reads(tmp_path / "output") == {"a": "3", "b": "true", "page-url": "x,y", "d": ""}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(codec=None), max_size=80))
def test_no_value_can_set_another_output(tmp_path: Path, value: str) -> None:
    said = outputs(tmp_path, "a", "b")
    said.set(a=value + "\nb<<X\nforged\nX\n", b="ours")
    said.write()
    assert runner_reads(tmp_path / "output")["b"] == "ours"


def test_what_an_output_holds_is_one_line_that_shows(tmp_path: Path) -> None:
    said = outputs(tmp_path, "events")
    said.set(events=("sign/a\u202eb", "sign/\x1b[31m\nc"))
    said.write()
    assert runner_reads(tmp_path / "output") == {"events": r"sign/a\u202eb,sign/\u001b[31m\u000ac"}


def test_a_huge_summary_is_cut_rather_than_dropped_by_the_host(tmp_path: Path) -> None:
    said = outputs(tmp_path)
    said.say("é" * 900_000)
    said.write()
    text = (tmp_path / "summary").read_bytes()
    assert len(text) < 1_048_576
    assert text.decode().endswith("(The rest is left out.)\n")


def test_nothing_is_written_where_there_is_no_runner(capsys: pytest.CaptureFixture[str]) -> None:
    said = Outputs(("state",), {})
    said.set(state="done")
    said.say("text")
    said.write()
    assert capsys.readouterr().out == ""


COMMANDS = (
    "::set-output name=x::y",
    "::stop-commands::z",
    "##[error]x",
    "  ::add-mask::a",
    "\u2028::error::x",
    "in the middle ##[add-mask]main",
)


@pytest.mark.parametrize("text", COMMANDS)
def test_what_is_told_is_never_taken_for_a_command(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    tell(f"first\n{text}\rsecond")
    for line in capsys.readouterr().out.splitlines():
        assert not line.lstrip().startswith("::")
        assert "##[" not in line


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(codec=None), max_size=60))
def test_a_message_is_one_command_and_no_second(capsys: pytest.CaptureFixture[str], text: str) -> None:
    annotate("error", f"{text}\n::error::second", title=text, file=text, line=3)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1
    properties, _, said = lines[0].removeprefix("::error ").partition("::")
    assert set(properties) <= set(string.printable) | set(text)
    assert said.endswith("%0A::error::second")


def test_where_a_message_belongs_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    annotate("warning", "50% off", title="a,b:c", file="keyturn.yml", line=7)
    assert capsys.readouterr().out == ("::warning title=a%2Cb%3Ac,file=keyturn.yml,line=7::50%25 off\n")


def test_every_line_of_a_secret_is_hidden(capsys: pytest.CaptureFixture[str]) -> None:
    mask("one\n\ntwo\n")
    assert capsys.readouterr().out == "::add-mask::one\n::add-mask::two\n"


def test_details_for_developers_stay_behind_the_debug_switch(capsys: pytest.CaptureFixture[str]) -> None:
    debug("Traceback\n  File\n::error::x")
    out = capsys.readouterr().out
    assert all(line.startswith("::debug::") for line in out.splitlines())
