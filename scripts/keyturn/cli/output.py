"""The one way to print: for a person at a terminal, for a pipe, or one JSON document."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TextIO

import click

from keyturn.cli.lines import Level, Line, Lines, Style
from keyturn.cli.text import escape
from keyturn.errors import ExitCode

if TYPE_CHECKING:
    from rich.console import Console

_LOOKS: Mapping[Style, str] = {
    "": "",
    "strong": "bold",
    "dim": "dim",
    "good": "green",
    "warn": "yellow",
    "bad": "bold red",
}


@dataclass(frozen=True, slots=True)
class Result:
    """What a command has to say at its end.

    Args:
        lines: For a person.
        document: For a program; the exit code is added to it.
        exit_code: Exit code of the process.
    """

    lines: Lines
    document: Mapping[str, object] = field(default_factory=dict)
    exit_code: int = ExitCode.DONE


class Output:
    """Standard output and standard error of one command.

    With ``--json``, standard output holds exactly one document. Everything that is printed passes
    :func:`keyturn.cli.text.escape`.

    Args:
        json: Whether a program is reading.
        verbosity: 0 with ``-q``, 1, 2 with ``-v``.
    """

    def __init__(self, *, json: bool = False, verbosity: int = Level.NORMAL) -> None:
        self.json = json
        self.verbosity = verbosity

    @property
    def can_ask(self) -> bool:
        """Whether somebody is there to be asked; questions go to standard error."""
        return _is_terminal(sys.stdin) and _is_terminal(sys.stderr)

    @property
    def can_confirm(self) -> bool:
        """Whether somebody is there who has also seen what standard output said."""
        return self.can_ask and not self.json and _is_terminal(sys.stdout)

    def show(self, lines: Iterable[Line], *, always: bool = False) -> None:
        """Print lines to standard output, unless a program is reading.

        Args:
            lines: The lines.
            always: Print lines of every level but details, whatever ``-q`` says.
        """
        if not self.json:
            self._print(lines, sys.stdout, max(self.verbosity, Level.NORMAL) if always else self.verbosity)

    def note(self, lines: Iterable[Line]) -> None:
        """Print lines to standard error."""
        self._print(lines, sys.stderr, self.verbosity)

    def finish(self, result: Result) -> None:
        """Print what a command has to say at its end."""
        self.show(result.lines)
        self.document({**result.document, "exit": int(result.exit_code)})

    def document(self, content: Mapping[str, object]) -> None:
        """Print the one document, if a program is reading; in ASCII, so that nothing in it can hide."""
        if self.json:
            import json

            click.echo(json.dumps(content, indent=1))

    @contextmanager
    def progress(self, what: str) -> Iterator[Callable[[int, int], None] | None]:
        """Show how far a download is, where a terminal is there to show it on.

        Args:
            what: What is downloaded.

        Yields:
            Called with bytes so far and bytes in all; None if nobody is looking.
        """
        if self.json or self.verbosity == Level.VERDICT or not _is_terminal(sys.stderr):
            yield None
            return
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
        )
        with Progress(*columns, console=_console(sys.stderr), transient=True) as bar:
            task = bar.add_task(escape(what), total=None)
            yield lambda received, total: bar.update(task, completed=received, total=total)

    def _print(self, lines: Iterable[Line], stream: TextIO, verbosity: int) -> None:
        chosen = [one for one in lines if one.level <= verbosity]
        if chosen and _is_terminal(stream):
            console = _console(stream)
            for one in chosen:
                _print_styled(console, one, stream)
        else:
            for one in chosen:
                click.echo(_encodable(one.plain(), stream), file=stream)


def _is_terminal(stream: TextIO | None) -> bool:
    try:
        return stream is not None and stream.isatty()
    except ValueError:  # closed
        return False


def _console(stream: TextIO) -> Console:
    from rich.console import Console

    return Console(file=stream, markup=False, highlight=False, emoji=False)


def _print_styled(console: Console, one: Line, stream: TextIO) -> None:
    from rich.text import Text

    text = Text()
    for span in one.spans:
        text.append(_encodable(escape(span.text), stream), _LOOKS[span.style])
    # A digest broken over two lines by us could not be copied; the terminal's own wrapping can.
    console.print(text, soft_wrap=True)


def _encodable(text: str, stream: TextIO) -> str:
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)
