"""Schedules of workflow files: five fields in UTC, as POSIX cron."""

from __future__ import annotations

from datetime import datetime, timedelta

_RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6))
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_NAMES: tuple[dict[str, int], ...] = (
    {},
    {},
    {},
    {name: number for number, name in enumerate(_MONTHS, 1)},
    {name: number for number, name in enumerate(_WEEKDAYS)},
)


def _number(text: str, field: int) -> int:
    return _NAMES[field].get(text.lower(), -1) if text.isalpha() else int(text)


def _field(text: str, field: int) -> frozenset[int]:
    low, high = _RANGES[field]
    values: set[int] = set()
    for part in text.split(","):
        span, _, step = part.partition("/")
        first, _, last = span.partition("-")
        start = low if first == "*" else _number(first, field)
        stop = high if first == "*" or (step and not last) else _number(last or first, field)
        if not low <= start <= stop <= high:
            raise ValueError(f"cron: {text}")
        values.update(range(start, stop + 1, int(step or 1)))
    return frozenset(values)


def last_due(cron: str, after: datetime, until: datetime) -> datetime | None:
    """The last time that a schedule is due in ``(after, until]``; None if it is not due."""
    texts = cron.split()
    minutes, hours, days, months, weekdays = (_field(text, index) for index, text in enumerate(texts))
    at = until.replace(second=0, microsecond=0)
    while at > after:
        by_day, by_weekday = at.day in days, at.isoweekday() % 7 in weekdays
        # Two restricted day fields mean either of them.
        both = texts[2] != "*" and texts[4] != "*"
        if at.month not in months or not (by_day or by_weekday if both else by_day and by_weekday):
            at = at.replace(hour=0, minute=0) - timedelta(minutes=1)
        elif at.hour not in hours:
            at = at.replace(minute=0) - timedelta(minutes=1)
        elif at.minute not in minutes:
            at -= timedelta(minutes=1)
        else:
            return at
    return None
