"""Every rule on published trees, broken and kept; the cases stand in site_scenarios.py."""

from __future__ import annotations

import pytest

from keyturn.verify import Publication, verify_published
from unit.repository import ids
from unit.scenario import Break, Keep
from unit.site_scenarios import SITES, nothing_at_all


@pytest.mark.parametrize("case", SITES.broken, ids=str)
def test_a_broken_rule_is_found_and_no_other(case: Break[Publication]) -> None:
    findings = verify_published(case.make())

    assert ids(findings) == {case.rule, *case.also}
    own = [finding for finding in findings if finding.id == case.rule]
    assert [finding.severity for finding in own] == [case.severity] * len(own)
    assert any(finding.where.startswith(case.where) and case.says in finding.what for finding in own), own


@pytest.mark.parametrize("case", SITES.kept, ids=str)
def test_what_keeps_a_rule_passes(case: Keep[Publication]) -> None:
    assert ids(verify_published(case.make())) == case.also


def test_an_empty_site_lacks_its_root_and_its_timestamp() -> None:
    assert ids(verify_published(nothing_at_all())) == {"KT201", "KT203"}
