"""What untrusted text may do to a terminal: nothing."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.cli.lines import Line, Span, line, strong
from keyturn.cli.text import escape

# Alphabets with more of what is dangerous than chance would give.
SLY = "\x00\x07\x08\t\n\r\x1b\x7f\x85\u00a0\u00ad\u034f\u200b\u200d\u202e\u2066\u2069\u2028\u3164\ufe0f\ufeff"
texts = st.text(st.one_of(st.characters(codec=None), st.sampled_from(SLY), st.sampled_from("ab\\u[m")))


@given(texts)
def test_nothing_that_a_terminal_obeys_or_hides_is_left(text: str) -> None:
    shown = escape(text)
    assert shown.isprintable()
    assert not any(unicodedata.bidirectional(c) in {"RLO", "LRO", "RLE", "RLI", "LRI", "FSI"} for c in shown)
    assert not any(unicodedata.category(c) in {"Cc", "Cf", "Cs"} for c in shown)


@given(texts)
def test_newlines_stay_only_where_several_lines_are_expected(text: str) -> None:
    assert escape(text, lines=True).split("\n") == [escape(part) for part in text.split("\n")]


@given(texts)
def test_what_is_escaped_once_is_not_changed_again(text: str) -> None:
    assert escape(escape(text)) == escape(text)


@given(st.text(st.characters(categories=["L", "N", "P"], exclude_characters="\u3164\u115f\u1160\uffa0")))
def test_plain_writing_of_any_language_stays_as_it_is(text: str) -> None:
    assert escape(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred", "\\u001b[31mred"),
        ("erase\r\x1b[2K", "erase\\u000d\\u001b[2K"),
        ("ship\u202egpj.exe", "ship\\u202egpj.exe"),
        ("al\u200bice", "al\\u200bice"),
        ("al\ufe0fice", "al\\ufe0fice"),
        ("two\nlines", "two\\u000alines"),
        ("tag\U000e0041", "tag\\U000e0041"),
        ("not utf-8: \udcff", "not utf-8: \\udcff"),
        ("élan 東京 \U0001f511", "élan 東京 \U0001f511"),
    ],
)
def test_examples(text: str, shown: str) -> None:
    assert escape(text) == shown


def test_a_line_escapes_every_piece_of_it() -> None:
    assert line("from ", strong("ma\x1b]0;in"), ": \u202eok").plain() == "from ma\\u001b]0;in: \\u202eok"


@given(st.lists(texts))
def test_a_line_is_one_line(pieces: list[str]) -> None:
    assert "\n" not in Line(tuple(Span(text) for text in pieces)).plain()
