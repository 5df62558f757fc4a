"""Which target paths are safe to write on any machine that a client runs on."""

from __future__ import annotations

import unicodedata
from urllib.parse import quote

_RESERVED = {
    "con",
    "prn",
    "aux",
    "nul",
    "conin$",
    "conout$",
    *(f"{port}{n}" for port in ("com", "lpt") for n in "123456789\u00b9\u00b2\u00b3"),
}
_GIT = {".git", "git~1"}
_UNPRINTABLE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
_ON_DISK = set('\\:*?"<>|')
_IN_URLS = set("#%")
"""Clients put a target path into a URL as it is: these two would change its meaning."""
MAX_LENGTH = 255
"""Stock clients keep a target in a file named by its whole percent-encoded path."""
MAX_NAME = 255 - 65
"""A site keeps it in a file whose name begins with a SHA-256 and a dot."""


def why_unsafe(path: str) -> str | None:
    """Why a target path may not be used; None if it may.

    Args:
        path: Target path as signed, with ``/`` between its segments.
    """
    bad_segments = (_bad_segment(segment) for segment in path.split("/"))
    return _bad_character(path) or next(filter(None, bad_segments), None) or _bad_length(path)


def _bad_length(path: str) -> str | None:
    name = path.rpartition("/")[2]
    if len(quote(path, safe="")) > MAX_LENGTH:
        return f"is longer than {MAX_LENGTH} bytes once percent-encoded"
    if len(name.encode()) > MAX_NAME:
        return f"ends in a name longer than {MAX_NAME} bytes"
    return None


def _bad_character(path: str) -> str | None:
    for character in path:
        if unprintable(character):
            return f"contains the unprintable character U+{ord(character):04X}"
        if character in _ON_DISK | _IN_URLS:
            return f"contains {character!r}"
    return None


def unprintable(text: str) -> str | None:
    """The first character that does not show: a control, a change of direction, one without width.

    Args:
        text: Any text; surrogates that belong to no character count too.
    """
    return next((character for character in text if unicodedata.category(character) in _UNPRINTABLE), None)


def _bad_segment(segment: str) -> str | None:
    if segment in {"", ".", ".."}:
        return "is empty or absolute, or has an empty, '.' or '..' segment"
    if segment != segment.strip() or segment.endswith("."):
        return "has a segment that begins or ends with a blank, or ends with a dot"
    if segment.split(".", maxsplit=1)[0].rstrip(" ").lower() in _RESERVED:
        return f"has the segment {segment!r}, a device on Windows"
    if segment.lower() in _GIT:
        return f"has the segment {segment!r}, which git keeps for itself"
    return None
