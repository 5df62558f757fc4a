"""What the demo shows: lines of styled pieces, for one reading. Whoever runs it escapes and prints them."""

from __future__ import annotations

import re
import shlex
import textwrap
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

_WIDTH = 96
_WHO = 11
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

    def text(self, *lines: str, style: Style = "") -> None:
        """Lines as they are; an empty one without any."""
        for text in lines or ("",):
            self._out((Piece(text, style),))

    def act(self, title: str, *notes: str) -> None:
        """The heading of a part, and what should be known before it."""
        self.text()
        self._out((Piece(title, "strong"), Piece(" " + "─" * (_WIDTH - len(title) - 1), "dim")))
        for note in notes:
            self.text(note, style="dim")

    def heading(self, title: str, *notes: str) -> None:
        """The heading of a section, and what should be known before it."""
        self.text()
        self._out((Piece(title, "strong"),))
        for note in notes:
            self.text(note, style="dim")

    def step(self, who: str, what: str, seconds: float) -> None:
        """Who did what, and how long it took."""
        took = f"{seconds:.1f} s"
        between = " " * max(2, _WIDTH - _WHO - len(what) - len(took))
        self._out((Piece(f"{who:<{_WHO}}{what}", "strong"), Piece(between + took, "dim")))

    def command(self, words: Sequence[str], note: str = "", *, prompt: str = "$") -> None:
        """What was typed for it."""
        typed = self._short(" ".join(_quoted(word) for word in words))
        self._out(
            (Piece(" " * _WHO), Piece(f"{prompt} ", "dim"), Piece(typed), Piece(note and f"  {note}", "dim"))
        )

    def said(self, *lines: str, style: Style = "dim") -> None:
        """What came of it."""
        indent = " " * (_WHO + 2)
        for text in lines:
            pieces = textwrap.wrap(
                self._short(text), _WIDTH - len(indent), subsequent_indent="  ", break_on_hyphens=False
            )
            for piece in pieces:
                self._out((Piece(indent), Piece(piece, style)))

    def row(self, cells: Iterable[tuple[str, int, Style]]) -> None:
        """A line of a table: text, width and style of each cell."""
        self._out(tuple(Piece(f"{text:<{width}}", style) for text, width, style in cells))

    def _short(self, text: str) -> str:
        return _DIGEST.sub(r"\1…", text.replace(self._base, "…"))


def _quoted(word: str) -> str:
    # shlex quotes every tilde; a shell takes only one at the start of a word for a home.
    bare = word.replace("~", "")
    return word if word[:1] != "~" and shlex.quote(bare) == bare else shlex.quote(word)
