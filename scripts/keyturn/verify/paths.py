"""Which target paths are safe to write on any machine that a client runs on."""

from __future__ import annotations

import unicodedata

_RESERVED = {
    "con",
    "prn",
    "aux",
    "nul",
    *(f"com{n}" for n in range(1, 10)),
    *(f"lpt{n}" for n in range(1, 10)),
}
_UNPRINTABLE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
_ON_DISK = set('\\:*?"<>|')
_IN_URLS = set("#%")
"""Clients put a target path into a URL as it is: these two would change its meaning."""
MAX_LENGTH = 512


def why_unsafe(path: str) -> str | None:
    """Why a target path may not be used; None if it may.

    Args:
        path: Target path as signed, with ``/`` between its segments.
    """
    if not path or len(path.encode("utf-8", "surrogatepass")) > MAX_LENGTH:
        return f"is empty or longer than {MAX_LENGTH} bytes"
    return next(filter(None, (_bad_character(path), *map(_bad_segment, path.split("/")))), None)


def _bad_character(path: str) -> str | None:
    for character in path:
        if unicodedata.category(character) in _UNPRINTABLE:
            return f"contains the unprintable character U+{ord(character):04X}"
        if character in _ON_DISK | _IN_URLS:
            return f"contains {character!r}"
    return None


def _bad_segment(segment: str) -> str | None:
    if segment in {"", ".", ".."}:
        return "is absolute, or has an empty, '.' or '..' segment"
    if segment != segment.strip() or segment.endswith("."):
        return "has a segment that begins or ends with a blank, or ends with a dot"
    if segment.split(".", maxsplit=1)[0].lower() in _RESERVED:
        return f"has the segment {segment!r}, a device on Windows"
    return None
