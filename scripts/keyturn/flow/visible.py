r"""Untrusted text for people: what would not show, or would move what shows, becomes visible.

File names, metadata, policies, branch names, URLs, reviews and what git prints are written by
others. A control character in them could erase a line that a signer must read, a bidirectional override could
turn it round, and a character without width could make two different names look alike.
"""

from __future__ import annotations

_RANGES = (
    (0x034F, 0x034F),  # combining grapheme joiner
    (0x115F, 0x1160),  # Hangul fillers
    (0x17B4, 0x17B5),  # Khmer inherent vowels
    (0x180B, 0x180F),  # Mongolian variation selectors
    (0x2800, 0x2800),  # the Braille pattern without dots
    (0x3164, 0x3164),  # Hangul filler
    (0xFE00, 0xFE0F),  # variation selectors
    (0xFFA0, 0xFFA0),  # half-width Hangul filler
    (0x1D159, 0x1D159),  # the note head without ink
    (0xE0100, 0xE01EF),  # more variation selectors
)
_INVISIBLE = frozenset(chr(code) for first, last in _RANGES for code in range(first, last + 1))
"""Characters that Unicode calls printable and that nobody sees."""

_BASIC_PLANE = 0xFFFF


def escape(text: str, *, lines: bool = False) -> str:
    r"""Make everything visible that would be obeyed or hidden, as ``\uXXXX``.

    Args:
        text: Any text, also with lone surrogates from undecodable file names.
        lines: Whether a newline may stay one; where one line is expected it is shown.

    Returns:
        Text in which every character takes up its own place, in the order in which it stands.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(character if _shows(character, lines) else _code(character) for character in text)


def _shows(character: str, lines: bool) -> bool:
    if character == "\n":
        return lines
    # isprintable() is false for control, format, surrogate, private and unassigned characters, for line and
    # paragraph separators, and for every space but the plain one.
    return character.isprintable() and character not in _INVISIBLE


def _code(character: str) -> str:
    number = ord(character)
    return f"\\u{number:04x}" if number <= _BASIC_PLANE else f"\\U{number:08x}"
