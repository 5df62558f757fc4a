"""Every rule on signing events, broken and kept; the cases stand in event_scenarios.py."""

from __future__ import annotations

import pytest

from keyturn.verify import Event, verify_event
from unit.event_scenarios import EVENTS
from unit.repository import ids
from unit.scenario import Break, Keep


@pytest.mark.parametrize("case", EVENTS.broken, ids=str)
def test_a_broken_rule_is_found_and_no_other(case: Break[Event]) -> None:
    findings = verify_event(case.make()).findings

    assert ids(findings) == {case.rule, *case.also}
    own = [finding for finding in findings if finding.id == case.rule]
    assert [finding.severity for finding in own] == [case.severity] * len(own)
    assert any(finding.where == case.where and case.says in finding.what for finding in own), own


@pytest.mark.parametrize("case", EVENTS.kept, ids=str)
def test_what_keeps_a_rule_passes(case: Keep[Event]) -> None:
    assert ids(verify_event(case.make()).findings) == case.also
