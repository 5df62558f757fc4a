"""How a job speaks: outputs for other steps, a summary and annotations for people.

Everything here may carry text that somebody wrote in order to be misread: by the runner, which obeys lines
that begin with ``::``, by the files that carry outputs, by a browser that shows the summary.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Literal

from keyturn.flow.visible import escape

Level = Literal["notice", "warning", "error"]
Value = str | int | bool
_SUMMARY_LIMIT = 1_000_000
"""Bytes; GitHub drops a summary that is larger than 1 MiB as a whole."""


class Outputs:
    """The outputs of one action, written when the script has ended, however it ended.

    Args:
        names: Every output that the action declares.
        environment: The job's variables: ``GITHUB_OUTPUT`` and ``GITHUB_STEP_SUMMARY`` name files.
    """

    def __init__(self, names: Collection[str], environment: Mapping[str, str]) -> None:
        self._values = dict.fromkeys(names, "")
        self._output = environment.get("GITHUB_OUTPUT", "")
        self._summary = environment.get("GITHUB_STEP_SUMMARY", "")
        self._paragraphs: list[str] = []

    def __getitem__(self, name: str) -> str:
        return self._values[name]

    def set(self, **values: Value | Collection[str]) -> None:
        """Set outputs; ``_`` in a name stands for ``-``.

        Args:
            values: Text and numbers as they are, but for characters that would not show or begin a line; a
                truth value as ``true`` or ``false``, several words with commas between them.
        """
        for name, value in values.items():
            declared = name.replace("_", "-")
            if declared not in self._values:
                raise KeyError(declared)
            self._values[declared] = _text(value)

    def say(self, markdown: str) -> None:
        """Add a paragraph to the summary.

        Args:
            markdown: Markdown in which everything that others wrote is escaped.
        """
        self._paragraphs.append(markdown)

    def write(self) -> None:
        """Hand everything over to the runner, every declared output among it."""
        if self._output:
            lines = "".join(_assignment(name, value) for name, value in self._values.items())
            _append(self._output, lines)
        if self._summary and self._paragraphs:
            text = "\n\n".join(self._paragraphs) + "\n"
            _append(self._summary, _shortened(text))


def tell(text: str) -> None:
    """Print lines to the job's log that the runner takes for nothing but text.

    Args:
        text: Any text.
    """
    for line in escape(text, lines=True).splitlines():
        print(_disarmed(line), flush=True)


def annotate(level: Level, text: str, *, title: str = "keyturn", file: str = "", line: int = 0) -> None:
    """Show a message at the top of the run.

    Args:
        level: How bad it is.
        text: Any text.
        title: What it stands under.
        file: A file of the repository that it belongs to; empty for none.
        line: The line there, from 1; 0 for none.
    """
    places = {"title": escape(title), "file": escape(file), "line": str(line) if line else ""}
    properties = ",".join(f"{name}={_property(value)}" for name, value in places.items() if value)
    print(f"::{level} {properties}::{_data(escape(text, lines=True))}", flush=True)


def debug(text: str) -> None:
    """Print lines that only show where somebody switched debug logging on.

    Args:
        text: Any text.
    """
    for line in escape(text, lines=True).splitlines():
        print(f"::debug::{_data(line)}", flush=True)


def mask(secret: str) -> None:
    """Have the runner hide a text from every log from now on.

    Args:
        secret: What must not be seen; each line of it.
    """
    for line in secret.splitlines():
        if line.strip():
            print(f"::add-mask::{_data(line)}", flush=True)


def _text(value: Value | Collection[str]) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int):
        return str(value)
    return ",".join(value)


def _assignment(name: str, value: str) -> str:
    # The delimiter cannot be guessed by whoever wrote the value, so that no line of it ends it.
    delimiter = f"keyturn-{secrets.token_hex(16)}"
    # Whoever takes it up may print it, or write it into such a file with a delimiter of their own.
    return f"{name}<<{delimiter}\n{escape(value)}\n{delimiter}\n"


def _append(path: str, text: str) -> None:
    with Path(path).open("a", encoding="utf-8", newline="\n") as file:
        file.write(text)


def _shortened(text: str) -> str:
    data = text.encode("utf-8", "backslashreplace")
    if len(data) <= _SUMMARY_LIMIT:
        return data.decode()
    return data[:_SUMMARY_LIMIT].decode("utf-8", "ignore") + "\n\n(The rest is left out.)\n"


def _disarmed(line: str) -> str:
    # The runner looks for its older commands anywhere in a line, for the others at the start, after blanks.
    line = line.replace("##[", "## [")
    return line.replace("::", ": :") if line.lstrip().startswith("::") else line


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
