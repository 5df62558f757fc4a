"""What the demo shows, as lines of styled pieces; whoever runs it prints and escapes them."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

Style = Literal["", "strong", "dim", "good", "warn", "bad"]


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of one line.

    Args:
        text: The text as it is, perhaps written by somebody else: to be escaped when it is printed.
        style: How it looks on a terminal.
    """

    text: str
    style: Style = ""


Out = Callable[[Sequence[Piece]], None]
"""Prints one line."""

_NAME = 11
_WHAT = 76
_WIDTH = 88


class Page:
    """The demo's text, for one reading.

    Args:
        out: Prints one line.
        base: The directory that is shown as ``…``.
    """

    def __init__(self, out: Out, base: str) -> None:
        self._out = out
        self._base = base

    def blank(self) -> None:
        """An empty line."""
        self._out(())

    def text(self, *lines: str, style: Style = "") -> None:
        """Lines as they are."""
        for text in lines:
            self._out((Piece(text, style),))

    def act(self, title: str, *notes: str) -> None:
        """The heading of a part."""
        self.blank()
        self._out((Piece(title, "strong"),))
        self._out((Piece("─" * _WIDTH, "dim"),))
        self.text(*notes, style="dim")

    def heading(self, title: str) -> None:
        """The heading within a part."""
        self.blank()
        self._out((Piece(title, "strong"),))

    def step(self, who: str, what: str, seconds: float, command: Sequence[str]) -> None:
        """Who did what, how long it took, and what they typed."""
        took = f"{seconds:.1f} s"
        self._out((Piece(f"{who:<{_NAME}}", "strong"), Piece(f"{what:<{_WHAT - _NAME}}"), Piece(took, "dim")))
        self._out((Piece(" " * _NAME), Piece(f"$ {self.command(command)}", "dim")))

    def said(self, *lines: str, style: Style = "") -> None:
        """What came of a step."""
        for text in lines:
            self._out((Piece(" " * (_NAME + 2)), Piece(self._short(text), style)))

    def row(self, cells: Iterable[tuple[str, int, Style]]) -> None:
        """A line of a table: text, width and style of each cell."""
        self._out(tuple(Piece(f"{text:<{width}}", style) for text, width, style in cells))

    def command(self, command: Sequence[str]) -> str:
        """A command line as a person would type it."""
        return self._short(" ".join(word if word == "~" else _quoted(word) for word in command))

    def _short(self, text: str) -> str:
        return text.replace(self._base, "…")


def _quoted(word: str) -> str:
    # A colon or a tilde inside of a word means nothing to a shell; shlex quotes the tilde to be safe.
    return word if shlex.quote(word.replace("~", "")) == word.replace("~", "") else shlex.quote(word)
