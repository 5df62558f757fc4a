"""Draw a part of what the demo prints: `keyturn demo | python tests/picture.py docs/demo.svg`."""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

WIDTH = 112
SECTIONS = ("2  ", "What came of it")
FONTS = re.compile(r"@font-face\s*\{[^}]*\}\s*")
ACTOR = re.compile(r"^(alice|bob|carol|dave|github|mallory|publisher)(?= )")
LINE = re.compile(r"^ +[$>] ")


def sections(transcript: str) -> list[str]:
    """The lines of the sections that the picture shows, each up to the next heading."""
    shown: list[str] = []
    inside = False
    for line in transcript.splitlines():
        if line.endswith("──"):
            inside = line.startswith(SECTIONS)
        if inside:
            shown.append(line)
    # What follows the count of steps names a directory of the machine that drew the picture.
    last = max(number for number, line in enumerate(shown) if " steps, " in line)
    return shown[: last + 1]


def coloured(line: str) -> Text:
    """A line as a terminal would show it."""
    text = Text(line[:WIDTH])
    if line.endswith("──"):
        text.stylize("bold cyan")
    elif LINE.match(line):
        text.stylize("bright_white")
    elif actor := ACTOR.match(line):
        text.stylize("bold green", 0, actor.end())
    else:
        text.stylize("grey70")
    for word in ("refused:", "ignored:", "pending:", "pending,", "success,", " ready"):
        start = line.find(word) if word != " ready" or line.endswith(word) else -1
        if start >= 0:
            text.stylize("bold yellow" if "pending" in word else "bold green", start, start + len(word))
    return text


def main(target: Path) -> None:
    """Read a transcript from standard input and write the picture."""
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    for line in sections(sys.stdin.read()):
        console.print(coloured(line), no_wrap=True, overflow="crop")
    svg = console.export_svg(title="make demo")
    # No font is fetched from anywhere: whoever looks at the picture has a monospaced one.
    svg = FONTS.sub("", svg).replace("Fira Code", "DejaVu Sans Mono")
    target.write_text(svg, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
