"""What a host answers, read field by field: anything may be in it, and only what was expected comes out.

A text is always a text that can be written as UTF-8, a number a number, a moment an aware UTC time. An answer
that is not of the expected form is a :class:`keyturn.forge.host.HostError` of reason ``malformed``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import cast

from keyturn.forge.host import HostError

_COMMIT = re.compile(r"[0-9a-f]{40}")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")


class Record:
    """One object of an answer.

    Args:
        value: The parsed JSON.
        what: What it is, for the message if it is something else.

    Raises:
        HostError: It is no object.
    """

    def __init__(self, value: object, what: str) -> None:
        if not isinstance(value, dict):
            raise malformed(what)
        self._fields = cast("Mapping[str, object]", value)
        self._what = what

    def has(self, name: str) -> bool:
        """Whether a field is there and not null."""
        return self._fields.get(name) is not None

    def raw(self, name: str) -> object:
        """A field as it is; None if it is missing."""
        return self._fields.get(name)

    def text(self, name: str, *, default: str | None = None) -> str:
        """A text; ``default``, if there is one, where the field is missing or null."""
        value = self._fields.get(name, default)
        value = default if value is None else value
        if not isinstance(value, str):
            raise malformed(f"{self._what}.{name}")
        return value.encode("utf-8", "replace").decode("utf-8")

    def number(self, name: str) -> int:
        """A whole number that is not negative, also if it is written as a text, as 64-bit ids are."""
        value = self._fields.get(name)
        if isinstance(value, str) and re.fullmatch(r"[0-9]{1,19}", value):
            return int(value)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise malformed(f"{self._what}.{name}")
        return value

    def flag(self, name: str) -> bool:
        """True or false."""
        value = self._fields.get(name)
        if not isinstance(value, bool):
            raise malformed(f"{self._what}.{name}")
        return value

    def commit(self, name: str) -> str:
        """The id of a commit."""
        value = self.text(name)
        if not _COMMIT.fullmatch(value):
            raise malformed(f"{self._what}.{name}")
        return value

    def moment(self, name: str) -> datetime:
        """A time, UTC."""
        value = self.text(name)
        try:
            # Python 3.10 reads neither the letter Z nor every number of digits behind the point.
            told = re.sub(r"\.\d+", "", value.replace("Z", "+00:00"))
            if not _MOMENT.fullmatch(value):
                raise malformed(f"{self._what}.{name}")
            return datetime.fromisoformat(told).astimezone(timezone.utc)
        except (ValueError, OverflowError):
            raise malformed(f"{self._what}.{name}") from None

    def record(self, name: str) -> Record:
        """An object."""
        return Record(self._fields.get(name), f"{self._what}.{name}")

    def optional(self, name: str) -> Record | None:
        """An object; None where the field is missing or null."""
        return self.record(name) if self.has(name) else None

    def records(self, name: str) -> tuple[Record, ...]:
        """A list of objects."""
        return records(self._fields.get(name), f"{self._what}.{name}")


def records(value: object, what: str) -> tuple[Record, ...]:
    """A list of objects.

    Args:
        value: The parsed JSON.
        what: What it is, for the message if it is something else.

    Raises:
        HostError: It is none.
    """
    if not isinstance(value, list):
        raise malformed(what)
    return tuple(Record(item, what) for item in value)


def malformed(what: str) -> HostError:
    """The error for an answer that is not of the expected form.

    Args:
        what: The part of it that is wrong.
    """
    return HostError(
        f"the host's answer is not of the form that it documents ({what})",
        todo="Run this again later; if it stays so, this host may be one that Keyturn does not know.",
        reason="malformed",
    )
