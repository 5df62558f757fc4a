"""A root digest as a person gives it: on the command line, or in an environment variable."""

from __future__ import annotations

from keyturn.errors import UsageError

ROOT_VARIABLE = "KEYTURN_ROOT"
_DIGITS = 64


def read_digest(text: str | None, *, where: str) -> str | None:
    """A SHA-256 digest as people copy it: 64 hexadecimal digits, in groups or not.

    Args:
        text: What was given; None stays None.
        where: The option or variable, for messages.

    Raises:
        UsageError: It is no such digest (reason ``bad-digest``).
    """
    if text is None:
        return None
    digits = "".join(text.split()).lower()
    if len(digits) != _DIGITS or not set(digits) <= set("0123456789abcdef"):
        raise UsageError(
            "is not a SHA-256 digest",
            where=where,
            todo="Give all 64 hexadecimal digits.",
            reason="bad-digest",
        )
    return digits
