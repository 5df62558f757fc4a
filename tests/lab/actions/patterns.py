"""Filter patterns of workflow files: branches, tags, paths (`**`, `*`, `?`, `+`, `[]`, a leading `!`)."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Sequence


@functools.cache
def _compiled(pattern: str) -> re.Pattern[str]:
    out, at = "", 0
    while at < len(pattern):
        char = pattern[at]
        if pattern.startswith("**/", at):
            out += "(?:.*/)?"
            at += 3
            continue
        if pattern.startswith("**", at):
            out += ".*"
            at += 2
            continue
        if char == "*":
            out += "[^/]*"
        elif char in "?+":  # of the character before, as in a regular expression
            out += char
        elif char == "[":
            end = pattern.index("]", at)
            out += pattern[at : end + 1]
            at = end
        elif char == "\\":
            at += 1
            out += re.escape(pattern[at])
        else:
            out += re.escape(char)
        at += 1
    return re.compile(out, re.DOTALL)


def _matches(pattern: str, name: str) -> bool:
    return _compiled(pattern).fullmatch(name) is not None


def chosen(patterns: Sequence[str], name: str) -> bool:
    """Whether a list takes a name: the last pattern that matches decides, ``!`` takes it out again."""
    taken = False
    for pattern in patterns:
        negative = pattern.startswith("!")
        if _matches(pattern[negative:], name):
            taken = not negative
    return taken


def passes(filters: dict[str, Sequence[str]], key: str, name: str) -> bool:
    """Whether ``key`` and ``key-ignore`` of an event let a name through."""
    if key in filters:
        return chosen(filters[key], name)
    if f"{key}-ignore" in filters:
        return not chosen(filters[f"{key}-ignore"], name)
    return True


def any_path_passes(filters: dict[str, Sequence[str]], paths: Iterable[str]) -> bool:
    """Whether a change of these paths wakes a workflow: one that is taken, or one that is not ignored."""
    if not {"paths", "paths-ignore"} & filters.keys():
        return True
    return any(passes(filters, "paths", path) for path in paths)
