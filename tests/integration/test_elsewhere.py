"""What an event is compared with beyond main: what clients were given."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from integration.team import NOW, Team, with_site
from keyturn.flow import events
from keyturn.flow.context import load_event
from keyturn.flow.elsewhere import published_site, published_versions
from keyturn.forge import PUBLISHED
from keyturn.forge.local import LocalForge
from keyturn.git import Git, Identity
from keyturn.tree import overlay
from keyturn.verify import verify_event

pytestmark = pytest.mark.slow


@pytest.fixture
def served(team: Team, tmp_path: Path) -> Team:
    """A repository with version 1.0 published, and 1.1 proposed."""
    team.begin(with_site, "1.0")
    team.propose("1.1")
    return team


def versions(team: Team, pinned: str | None) -> dict[str, int]:
    forge = team.person("bob").context.forge
    forge.refresh()
    return dict(published_versions(published_site(forge, pinned, NOW)))


def test_an_event_knows_what_clients_were_given(served: Team) -> None:
    bob = served.person("bob").context
    bob.forge.refresh()

    assert load_event(bob, "release-hello-1.1").event.published == {"root": 1, "targets": 2}
    assert events.status(bob, "release-hello-1.1").report.findings == ()


def test_nothing_counts_as_given_without_a_pin_or_before_it_was(served: Team, tmp_path: Path) -> None:
    new = Git.init(tmp_path / "new.git", bare=True)

    assert versions(served, None) == {}
    assert published_site(LocalForge(new, str(tmp_path / "new.git")), served.root_digest, NOW) is None


def test_what_was_published_counts_even_when_it_has_grown_old(served: Team) -> None:
    bob = served.person("bob").context
    bob.forge.refresh()
    later = replace(bob, now=NOW.replace(year=NOW.year + 1))

    assert load_event(later, "release-hello-1.1").event.published == {"root": 1, "targets": 2}


def test_a_record_that_does_not_verify_says_nothing(served: Team) -> None:
    forge = served.person("bob").context.forge
    forge.refresh()
    site = forge.tree(forge.branch_tip(PUBLISHED))
    forged = overlay(site, {"metadata/2.targets.json": b"{}"})
    forge.record(PUBLISHED, forged, "x", Identity("mallory", "m@example.org"), NOW)

    assert versions(served, served.root_digest) == {}


def test_main_that_went_back_behind_what_clients_hold_is_found(served: Team) -> None:
    alice, bob = served.person("alice"), served.person("bob").context
    alice.sign("release-hello-1.1")
    bob.forge.refresh()
    event = load_event(bob, "release-hello-1.1").event
    ahead = replace(event, published={**event.published, "targets": 4})

    assert [finding.id for finding in verify_event(ahead).findings] == ["KT006"]
