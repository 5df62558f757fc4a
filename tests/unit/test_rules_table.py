"""The tables of rules: each rule is there for a reason, and a test of its name fails when it is taken out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import pytest

from keyturn.verify import (
    EVENT_RULES,
    FILE_RULES,
    POLICY_RULES,
    PUBLISHED_RULES,
    ROOT_RULES,
    RULES,
    Event,
    Publication,
    Rule,
    Severity,
    verify_event,
    verify_published,
)
from unit.event_scenarios import EVENTS
from unit.repository import ids
from unit.scenario import Break
from unit.site_scenarios import SITES

EVERY_RULE: tuple[Rule[Event] | Rule[Publication], ...] = (*RULES, *PUBLISHED_RULES)


def rule_names(rules: Sequence[Rule[Event]] | Sequence[Rule[Publication]]) -> list[str]:
    return [f"{rule.id} {rule.title}" for rule in rules]


def cases_of(rule: str, broken: Sequence[Break[Event]] | Sequence[Break[Publication]]) -> list[Break]:
    return [case for case in broken if case.rule == rule]


@pytest.mark.parametrize("rule", RULES, ids=rule_names(RULES))
def test_without_the_rule_its_cases_are_no_longer_found(rule: Rule[Event]) -> None:
    rest = tuple(other for other in RULES if other is not rule)
    for case in cases_of(rule.id, EVENTS.broken):
        event = case.make()

        assert rule.findings(event)
        assert ids(verify_event(event, rest).findings) == case.also


@pytest.mark.parametrize("rule", PUBLISHED_RULES, ids=rule_names(PUBLISHED_RULES))
def test_without_the_rule_its_sites_are_no_longer_found(rule: Rule[Publication]) -> None:
    rest = tuple(other for other in PUBLISHED_RULES if other is not rule)
    for case in cases_of(rule.id, SITES.broken):
        publication = case.make()

        assert rule.findings(publication)
        assert ids(verify_published(publication, rest)) == case.also


@pytest.mark.parametrize("rule", EVERY_RULE, ids=rule_names(EVERY_RULE))
def test_every_rule_has_a_case_that_breaks_it_and_one_that_keeps_it(rule: Rule[Event]) -> None:
    assert any(case.rule == rule.id for case in (*EVENTS.broken, *SITES.broken))
    assert any(case.rule == rule.id for case in (*EVENTS.kept, *SITES.kept))


@pytest.mark.parametrize("rule", EVERY_RULE, ids=rule_names(EVERY_RULE))
def test_every_rule_has_a_case_in_which_it_alone_speaks_or_names_what_comes_with_it(
    rule: Rule[Event],
) -> None:
    cases = [case for case in (*EVENTS.broken, *SITES.broken) if case.rule == rule.id]

    # Root's number is bound three times over: by its file, by the history, and by KT102 itself.
    alone = [case for case in cases if not case.also]
    assert alone or (rule.id == "KT102" and all(case.also == {"KT005"} for case in cases))


@pytest.mark.parametrize("rule", EVERY_RULE, ids=rule_names(EVERY_RULE))
def test_every_rule_says_why_it_is_there_and_what_to_do(rule: Rule[Event]) -> None:
    assert re.fullmatch(r"KT[0-9]{3}", rule.id)
    assert rule.title
    assert rule.title[0].islower() or not rule.title.endswith(".")
    for sentence in (rule.why, rule.mend):
        assert sentence[:1].isupper() or sentence.startswith(("`", "A "))
        assert sentence.endswith(".")


@pytest.mark.parametrize("rule", EVERY_RULE, ids=rule_names(EVERY_RULE))
def test_a_rule_says_when_it_only_warns(rule: Rule[Event]) -> None:
    severities = {case.severity for case in (*EVENTS.broken, *SITES.broken) if case.rule == rule.id}

    assert severities == {rule.severity} | ({Severity.WARNING} if rule.milder else set())


def test_every_case_is_about_a_rule_of_the_table() -> None:
    known = {rule.id for rule in EVERY_RULE}

    assert {case.rule for case in (*EVENTS.broken, *SITES.broken)} <= known
    assert {case.rule for case in (*EVENTS.kept, *SITES.kept)} <= known


def test_no_id_is_used_twice() -> None:
    used = [rule.id for rule in EVERY_RULE]

    assert len(used) == len(set(used))
    assert used == [
        rule.id for rule in (*ROOT_RULES, *EVENT_RULES, *FILE_RULES, *POLICY_RULES, *PUBLISHED_RULES)
    ]


@pytest.mark.parametrize(
    ("rules", "first"),
    [
        (ROOT_RULES, "KT0"),
        (EVENT_RULES, "KT1"),
        (PUBLISHED_RULES, "KT2"),
        (FILE_RULES, "KT3"),
        (POLICY_RULES, "KT4"),
    ],
    ids=["root chain and baseline", "event", "published tree", "paths and files", "policy and keyring"],
)
def test_ids_stand_in_their_range_and_in_order(rules: Sequence[Rule[Event]], first: str) -> None:
    numbers = [rule.id for rule in rules]

    assert all(number.startswith(first) for number in numbers)
    assert numbers == sorted(numbers)


def test_a_finding_carries_all_that_its_rule_says() -> None:
    case = cases_of("KT307", EVENTS.broken)[0]
    rule = next(rule for rule in FILE_RULES if rule.id == "KT307")

    (finding,) = verify_event(case.make(), (rule,)).findings

    assert finding.to_dict() == {
        "id": "KT307",
        "severity": "error",
        "what": finding.what,
        "where": "metadata/plugins.json",
        "why": rule.why,
        "mend": rule.mend,
    }


def test_a_rule_with_another_check_is_another_rule() -> None:
    """The proof of the proofs: a rule that finds nothing any more fails the test of its name."""
    blind = tuple(replace(rule, check=lambda _: ()) if rule.id == "KT105" else rule for rule in RULES)
    case = cases_of("KT105", EVENTS.broken)[0]

    assert ids(verify_event(case.make(), blind).findings) == set()
