"""What the use cases found about signing events, as outputs for programs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from keyturn.forge import EVENT_PREFIX

if TYPE_CHECKING:
    from keyturn.flow.checking_events import EventsChecked

EVENT_OUTPUTS = ("events", "pull-requests", "missing")
"""The outputs that :func:`about_events` fills."""


def about_events(checked: EventsChecked | None) -> Mapping[str, tuple[str, ...]]:
    """Branches, pull requests and missing signers of the events that were checked.

    Args:
        checked: The events; None if none was.
    """
    events = checked.events if checked else ()
    missing = (login for event in events for login in event.missing)
    return {
        "events": tuple(EVENT_PREFIX + event.topic for event in events),
        "pull_requests": tuple(event.pull.url for event in events if event.pull),
        "missing": tuple(dict.fromkeys(missing)),
    }
