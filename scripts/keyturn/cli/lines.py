"""What a command shows, as data: lines of styled text, each with its importance."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

from keyturn.cli.text import escape

Style = Literal["", "strong", "dim", "good", "warn", "bad"]


class Level(IntEnum):
    """From which verbosity on a line is shown: ``-q`` shows verdicts only, ``-v`` details too."""

    VERDICT = 0
    NORMAL = 1
    DETAIL = 2


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of one line.

    Args:
        text: The text, as it is; it is escaped when it is printed.
        style: How it looks on a terminal.
    """

    text: str
    style: Style = ""


@dataclass(frozen=True, slots=True)
class Line:
    """One line.

    Args:
        spans: Its pieces.
        level: How important it is.
    """

    spans: tuple[Span, ...]
    level: Level = Level.NORMAL

    def plain(self) -> str:
        """The line as it is written where there is no colour; nothing in it can be obeyed or hidden."""
        return "".join(escape(span.text) for span in self.spans)


Lines = tuple[Line, ...]


def line(*parts: str | Span, level: Level = Level.NORMAL) -> Line:
    """A line from plain and styled pieces."""
    return Line(tuple(Span(part) if isinstance(part, str) else part for part in parts), level)


def verdict(*parts: str | Span) -> Line:
    """The line that says how it went; also shown with ``-q``."""
    return line(*parts, level=Level.VERDICT)


def detail(*parts: str | Span) -> Line:
    """A line that is shown with ``-v`` only."""
    return line(*parts, level=Level.DETAIL)


def strong(text: str) -> Span:
    """Text that stands out."""
    return Span(text, "strong")


def dim(text: str) -> Span:
    """Text that stands back."""
    return Span(text, "dim")


def good(text: str) -> Span:
    """Text that says that all is well."""
    return Span(text, "good")


def warn(text: str) -> Span:
    """Text that asks for attention."""
    return Span(text, "warn")


def bad(text: str) -> Span:
    """Text that says that something is wrong."""
    return Span(text, "bad")
