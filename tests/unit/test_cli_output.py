"""One way to print: a terminal, a pipe, a program."""

from __future__ import annotations

import io
import json
import sys

import pytest

from keyturn.cli.lines import bad, detail, line, strong, verdict
from keyturn.cli.output import Output, Result

LINES = (verdict(bad("invalid:"), " it"), line("plain ", strong("strong")), detail("small print"))


class Screen(io.StringIO):
    """Standard output that is a terminal."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def take_screen(monkeypatch: pytest.MonkeyPatch) -> Screen:
    """Make standard output a terminal; in the test itself, for pytest puts its own back before that."""
    screen = Screen()
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    return screen


def test_a_pipe_gets_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    Output().show(LINES)
    assert capsys.readouterr().out == "invalid: it\nplain strong\n"


@pytest.mark.parametrize(("verbosity", "shown"), [(0, 1), (1, 2), (2, 3)])
def test_quiet_shows_the_verdict_and_verbose_the_details(
    verbosity: int, shown: int, capsys: pytest.CaptureFixture[str]
) -> None:
    Output(verbosity=verbosity).show(LINES)
    assert len(capsys.readouterr().out.splitlines()) == shown


def test_what_somebody_is_asked_about_is_shown_even_when_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    Output(verbosity=0).show(LINES, always=True)
    assert capsys.readouterr().out.splitlines() == ["invalid: it", "plain strong"]


def test_a_terminal_gets_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = take_screen(monkeypatch)
    Output().show(LINES)
    assert "\x1b[1;31minvalid:\x1b[0m it\n" in screen.getvalue()


def test_a_terminal_gets_none_where_the_person_wants_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    screen = take_screen(monkeypatch)
    monkeypatch.setenv("NO_COLOR", "1")
    Output().show(LINES)
    assert "31m" not in screen.getvalue()


def test_markup_and_escapes_in_data_are_text(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = take_screen(monkeypatch)
    Output().show([line("[bold red]not mine[/] :key: ", strong("\x1b[2K\u202e"))])
    assert "[bold red]not mine[/] :key: " in screen.getvalue()
    assert "\\u001b[2K\\u202e" in screen.getvalue()


def test_a_long_line_is_not_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = take_screen(monkeypatch)
    Output().show([line("payload " + "ab" * 200)])
    assert screen.getvalue().count("\n") == 1


def test_what_an_encoding_lacks_is_shown_as_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    Output().show([line("élan")])
    stream.flush()
    assert raw.getvalue() == b"\\xe9lan\n"


def test_a_program_gets_one_document_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    output = Output(json=True)
    output.show(LINES)
    output.finish(Result(LINES, {"name": "\u202eélan\x1b"}, 3))
    out = capsys.readouterr().out
    assert json.loads(out) == {"name": "\u202eélan\x1b", "exit": 3}
    assert out.isascii()
    assert "\x1b" not in out


def test_nobody_is_asked_through_a_pipe() -> None:
    assert not Output().can_ask
    assert not Output().can_confirm


def test_nobody_confirms_what_a_program_has_read(monkeypatch: pytest.MonkeyPatch) -> None:
    take_screen(monkeypatch)
    monkeypatch.setattr(sys, "stdin", Screen())
    monkeypatch.setattr(sys, "stderr", Screen())
    assert Output().can_confirm
    assert Output(json=True).can_ask
    assert not Output(json=True).can_confirm


def test_a_closed_standard_input_is_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = Screen()
    closed.close()
    monkeypatch.setattr(closed, "isatty", closed.fileno)
    monkeypatch.setattr(sys, "stdin", closed)
    assert not Output().can_ask


def test_progress_is_drawn_on_a_terminal_only(monkeypatch: pytest.MonkeyPatch) -> None:
    with Output().progress("app 1.0") as quiet:
        assert quiet is None
    screen = Screen()
    monkeypatch.setattr(sys, "stderr", screen)
    with Output().progress("app [b]\x1b") as progress:
        assert progress is not None
        progress(5, 10)
        progress(10, 10)
    assert "app [b]\\u001b" in screen.getvalue()
    with Output(json=True).progress("app") as for_a_program:
        assert for_a_program is None
