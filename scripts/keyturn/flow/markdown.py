"""Untrusted text in Markdown: it is read, and nothing else.

A code host does more with Markdown than its specification says: after rendering it turns ``@name``, ``#1``,
``GH-1``, addresses and hexadecimal numbers into links, and names people to them. All of that stops at code
spans, and backslashes and entities do not stop it. So whatever is not a plain word stands in a code span,
without the two characters (backtick, pipe) that could end one or the table's cell around it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from keyturn.flow.visible import escape

LONGEST = 400
"""Characters of one text that are shown; what is longer is cut, which is said."""
_AROUND = re.compile(r"([(]?)(.*?)([)]?[.,;:?!]?)")
_PLAIN_WORD = re.compile(r"[A-Za-z]+(?:['-][A-Za-z]+)*|[0-9]{1,6}|[.,;:?!]", re.ASCII)
_BEGINS_A_LIST = re.compile(r"[0-9]+[.)]", re.ASCII)
_LIKE_A_COMMIT = re.compile(r"[0-9a-f]{7,}", re.ASCII | re.IGNORECASE)
_BLANKS = re.compile(r"^ +| +$|(?<= ) +")
_SPAN_ENDS = {"`": "\\u0060", "|": "\\u007c"}


def markdown_escape(text: str, *, longest: int = LONGEST) -> str:
    """A sentence with words from outside, as Markdown in one line that shows it and does nothing.

    Args:
        text: Any text, also with lone surrogates.
        longest: Characters that are shown of it.

    Returns:
        Plain words as they are, everything else in code spans.
    """
    shown = _blanks_shown(_cut(escape(text), longest))
    return "".join(run if plain else code(run, longest=len(run)) for plain, run in _runs(shown))


def _runs(text: str) -> Iterator[tuple[bool, str]]:
    """The text in pieces, each of which is either prose or of one code span."""
    names: list[str] = []
    for number, word in enumerate(text.split(" ") if text else ()):
        blank = " " if number else ""
        opening, core, closing = _bare(word)
        plain = _is_plain(core) and not (not number and _BEGINS_A_LIST.match(word))
        if names and (plain or opening):
            yield False, " ".join(names)
            names = []
        if plain:
            yield True, blank + word
            continue
        if not names:
            yield True, blank + opening
        names.append(core)
        if closing:
            yield False, " ".join(names)
            yield True, closing
            names = []
    if names:
        yield False, " ".join(names)


def _bare(word: str) -> tuple[str, str, str]:
    """A word without the brackets and punctuation around it; all of it where there is nothing else."""
    found = _AROUND.fullmatch(word)
    return (found[1], found[2], found[3]) if found and found[2] else ("", word, "")


def _is_plain(core: str) -> bool:
    return bool(_PLAIN_WORD.fullmatch(core)) and not _LIKE_A_COMMIT.search(core)


def code(text: str, *, longest: int = LONGEST) -> str:
    """A name from outside as one code span.

    Args:
        text: Any text, also with lone surrogates.
        longest: Characters that are shown of it.
    """
    shown = _cut(escape(text), longest)
    for character, instead in _SPAN_ENDS.items():
        shown = shown.replace(character, instead)
    shown = _blanks_shown(shown)
    return f"`{shown}`" if shown else '`""`'


def advice(text: str) -> str:
    """A sentence of ours, which may quote names from outside and has commands between backticks.

    Args:
        text: What to do.
    """
    parts = text.split("`")
    return "".join(
        code(part) if number % 2 and number < len(parts) - 1 else _around(part)
        for number, part in enumerate(parts)
    )


def _around(part: str) -> str:
    left = " " if part.startswith(" ") else ""
    right = " " if part.endswith(" ") and part.strip() else ""
    return f"{left}{markdown_escape(part.strip(' '))}{right}"


def bounded(text: str, most: int, note: str) -> str:
    """Markdown cut after a whole line, with a note that it was; a fence that is open then is closed.

    Args:
        text: Markdown of our own making.
        most: Characters that are allowed, the note included.
        note: A sentence, Markdown.
    """
    if len(text) <= most:
        return text
    ending = f"\n```\n\n{note}\n"
    kept = text[: most - len(ending)]
    kept = kept[: kept.rfind("\n") + 1]
    fences = sum(line.startswith("```") for line in kept.splitlines())
    return kept + (ending[1:] if fences % 2 else f"\n{note}\n")


def _blanks_shown(text: str) -> str:
    """Blanks at the ends and in rows would not show."""
    return _BLANKS.sub(lambda found: "\\u0020" * len(found[0]), text)


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 3]}..."
