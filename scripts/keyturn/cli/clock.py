"""The time of a command: now, or the one that a rebuild or a test asks for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timezone

from keyturn.errors import UsageError

EPOCH_VARIABLE = "SOURCE_DATE_EPOCH"
_FORM = "%Y-%m-%dT%H:%M:%SZ"
_TODO = "Write 2026-11-21T12:00:00Z, or @ and seconds since 1970."


def parse_time(text: str, *, where: str) -> datetime:
    """A time in UTC from ``2026-11-21T12:00:00Z`` or ``@1795262400``.

    Args:
        text: What the person wrote.
        where: The option or variable, for messages.

    Raises:
        UsageError: It is neither, or there is no such day (reason ``bad-time``).
    """
    try:
        if re.fullmatch(r"@[0-9]{1,12}", text, re.ASCII):
            return datetime.fromtimestamp(int(text[1:]), timezone.utc)
        if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z", text, re.ASCII):
            return datetime.strptime(text, _FORM).replace(tzinfo=timezone.utc)
    except (ValueError, OverflowError, OSError) as error:
        raise UsageError("there is no such time", where=where, todo=_TODO, reason="bad-time") from error
    raise UsageError("is not a time", where=where, todo=_TODO, reason="bad-time")


def time_of(given: datetime | None, environment: Mapping[str, str]) -> datetime:
    """The time that a command goes by: the one given, else that of ``SOURCE_DATE_EPOCH``, else now.

    Raises:
        UsageError: The variable holds no number of seconds (reason ``bad-time``).
    """
    if given is not None:
        return given
    seconds = environment.get(EPOCH_VARIABLE, "").strip()
    if seconds:
        return parse_time(f"@{seconds}", where=EPOCH_VARIABLE)
    return datetime.now(timezone.utc)
