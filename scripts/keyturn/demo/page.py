"""What the demo shows: lines of styled pieces, for one reading. Whoever runs it escapes and prints them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
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

_WHO = 11
_TIME = 82
_WIDTH = 88
_DIGEST = re.compile(r"\b([0-9a-f]{8})[0-9a-f]{56}\b")


class Page:
    """The demo's text.

    Args:
        out: Prints one line.
        base: The directory that is shown as ``…``.
    """

    def __init__(self, out: Out, base: Path) -> None:
        self._out = out
        self._base = str(base)
        self.steps = 0

    def text(self, *lines: str, style: Style = "") -> None:
        """Lines as they are; an empty one without any."""
        for text in lines or ("",):
            self._out((Piece(text, style),))

    def act(self, title: str, *notes: str) -> None:
        """The heading of a part, and what should be known before it."""
        self.text()
        rule = "─" * (_WIDTH - len(title) - 1)
        self._out((Piece(title, "strong"), Piece(f" {rule}", "dim")))
        self.text(*notes, style="dim")

    def heading(self, title: str) -> None:
        """The heading of a section."""
        self.text()
        self._out((Piece(title, "strong"),))

    def step(self, who: str, what: str, seconds: float, command: Sequence[str]) -> None:
        """Who did what, how long it took, and what they typed for it."""
        self.steps += 1
        took = f"{seconds:.1f} s"
        self._out((Piece(f"{who:<{_WHO}}", "strong"), Piece(f"{what:<{_TIME - _WHO}}"), Piece(took, "dim")))
        self._out((Piece(" " * _WHO), Piece(f"$ {self._command(command)}", "dim")))

    def said(self, *lines: str, style: Style = "") -> None:
        """What came of a step."""
        for text in lines:
            self._out((Piece(" " * (_WHO + 2)), Piece(self._short(text), style)))

    def row(self, cells: Iterable[tuple[str, int, Style]]) -> None:
        """A line of a table: text, width and style of each cell."""
        self._out(tuple(Piece(f"{text:<{width}}", style) for text, width, style in cells))

    def _command(self, words: Sequence[str]) -> str:
        return self._short(" ".join(_quoted(word) for word in words))

    def _short(self, text: str) -> str:
        return _DIGEST.sub(r"\1…", text.replace(self._base, "…"))


def _quoted(word: str) -> str:
    # shlex quotes a tilde anywhere; only at the start of a word would a shell take it for a home.
    return word if word[:1] != "~" and shlex.quote(word.replace("~", "")) == word.replace("~", "") else shlex.quote(word)
