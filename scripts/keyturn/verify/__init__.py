"""Verification: pure functions from what lies there to what is wrong with it.

Nothing here reads a file, a repository or the network; what is judged comes in as arguments, the time
included. The rules stand in tables (``RULES`` for signing events, ``PUBLISHED_RULES`` for published
trees), each with an id, the reason for it and how to mend what breaks it. Ids: KT0xx root chain and
baseline, KT1xx event, KT2xx published tree, KT3xx paths and files, KT4xx policy and keyring.

Some findings are named by what they let somebody judge::

    report = verify_event(event)
    if report.state is EventState.READY:
        ...
"""

from __future__ import annotations

from dataclasses import replace

from keyturn.verify.diff import Difference, differences
from keyturn.verify.event import Burned, Event, Keyring, Report, conclude
from keyturn.verify.model import (
    Count,
    EventState,
    Finding,
    KeyMark,
    RoleStatus,
    Rule,
    Severity,
    Violation,
    apply_rules,
    errors,
)
from keyturn.verify.paths import why_unsafe
from keyturn.verify.published import PUBLISHED_RULES, Publication, verify_published
from keyturn.verify.rules_event import period_of
from keyturn.verify.rules_files import in_release
from keyturn.verify.table import EVENT_RULES, FILE_RULES, POLICY_RULES, ROOT_RULES, RULES
from keyturn.verify.thresholds import count, root_counts, signature_valid


def verify_event(event: Event, rules: tuple[Rule[Event], ...] = RULES) -> Report:
    """The verdict on a signing event.

    Args:
        event: Baseline, head, policy, keyring, time and pin.
        rules: The rules to apply.
    """
    return conclude(event, apply_rules(rules, event))


def verify_baseline(event: Event) -> tuple[Finding, ...]:
    """Findings of the root chain and the baseline alone: what must hold before the event is looked at.

    Args:
        event: An event on that baseline.
    """
    return apply_rules(ROOT_RULES, replace(event, head=event.baseline))


__all__ = [
    "EVENT_RULES",
    "FILE_RULES",
    "POLICY_RULES",
    "PUBLISHED_RULES",
    "ROOT_RULES",
    "RULES",
    "Burned",
    "Count",
    "Difference",
    "Event",
    "EventState",
    "Finding",
    "KeyMark",
    "Keyring",
    "Publication",
    "Report",
    "RoleStatus",
    "Rule",
    "Severity",
    "Violation",
    "apply_rules",
    "count",
    "differences",
    "errors",
    "in_release",
    "period_of",
    "root_counts",
    "signature_valid",
    "verify_baseline",
    "verify_event",
    "verify_published",
    "why_unsafe",
]
