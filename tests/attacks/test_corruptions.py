"""Every corruption is answered by exactly its findings; the cases stand in two files beside this one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

import pytest

from attacks import stock
from attacks.corruption import Corruption, Kind
from attacks.event_corruptions import EVENTS
from attacks.site_corruptions import SITES, second_root
from keyturn.verify import Event, EventState, Publication, errors, verify_event, verify_published
from unit.repository import Published, ids, target

pytestmark = pytest.mark.slow

SIGNED_BY_ALL = target(b"content\n")
"""What cases add to a site that everybody signed, so that only its path is at fault."""


def files(publication: Publication) -> dict[str, bytes]:
    tree = publication.site.tree
    return {path: tree.read(path) for path in tree.entries()}


@pytest.mark.parametrize("case", SITES.all, ids=str)
def test_a_corrupted_site_is_answered_by_exactly_these_findings(case: Corruption[Publication]) -> None:
    assert ids(verify_published(case.make())) == case.ids


@pytest.mark.parametrize("case", EVENTS.all, ids=str)
def test_a_corrupted_event_is_answered_by_exactly_these_findings(case: Corruption[Event]) -> None:
    report = verify_event(case.make())

    assert ids(report.findings) == case.ids
    assert (report.state is EventState.INVALID) == bool(errors(report.findings))


@pytest.mark.parametrize("case", SITES.all, ids=str)
def test_no_client_gets_from_a_corrupted_site_what_nobody_signed(case: Corruption[Publication]) -> None:
    good, publication = Published(second_root().base), case.make()
    signed = stock.offered(good.publication())
    root = good.files["metadata/1.root.json"]
    try:
        seen = stock.look(files(publication), root, {*signed, *stock.offered(publication)}, publication.now)
    except stock.Refused:
        assert errors(verify_published(publication))
        return

    assert all(signed.get(path, SIGNED_BY_ALL) == entry for path, entry in seen.items())


@pytest.mark.parametrize("cases", [SITES.all, EVENTS.all], ids=["sites", "events"])
def test_every_kind_of_corruption_is_there_and_no_case_twice(cases: Sequence[Corruption[object]]) -> None:
    assert {case.kind for case in cases} == set(get_args(Kind))
    assert len({str(case) for case in cases}) == len(cases) >= 60
