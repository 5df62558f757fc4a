"""The trial before merge, as people meet it: in `status`, before they sign, and when somebody merges."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path

import pytest

from integration.team import NOW, Team, days, founding, with_proposal, with_site
from integration.test_changing import edited, sign_and_merge, signers_line, with_plugins
from keyturn.cli import render
from keyturn.errors import RefusedError
from keyturn.flow import changing, events, found, proposing, publishing, signing
from keyturn.flow.context import POLICY, load_event
from keyturn.forge import PUBLISHED
from keyturn.publish import online
from keyturn.signing import KeySigner
from keyturn.state import Site, State
from keyturn.trial import Outcome, event
from keyturn.verify import EventState

pytestmark = pytest.mark.slow
TOPIC = "release-hello-1.0"


@pytest.fixture(autouse=True)
def nothing_is_known() -> Iterator[None]:
    event._known.clear()
    yield
    event._known.clear()


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Outcome]:
    """How the trials ended that were really made."""
    outcomes: list[Outcome] = []
    real = event._outcome

    def listening(*given: object) -> Outcome:
        outcomes.append(real(*given))  # type: ignore[arg-type]
        return outcomes[-1]

    monkeypatch.setattr(event, "_outcome", listening)
    return outcomes


def forgetful(
    state: State, signers: Sequence[KeySigner], previous: Iterable[Site], now: datetime
) -> online.OnlineFiles:
    """A publisher that drops roles from snapshot, as one with a fault would."""
    with pytest.MonkeyPatch.context() as fault:
        fault.setattr(online._Evidence, "meta", lambda self: {})
        return online.sign_online(state, signers, tuple(previous), now)


def without_plugins(team: Team) -> str:
    """An event that removes a delegation which was published."""
    team.found()
    alice = team.person("alice").context
    forge = alice.forge
    forge.refresh()
    plain = forge.tree(forge.main()).read(POLICY).decode()
    changing.policy(alice, with_plugins(plain))
    sign_and_merge(team, "policy", "bob", "alice")
    publishing.publish(team.publisher(), team.base / "site", [team.online])
    changing.policy(alice, plain.encode())
    return "policy"


def test_looking_at_an_event_that_waits_for_signatures_tries_nothing(
    team: Team, asked: list[Outcome]
) -> None:
    team.begin(with_proposal, "1.0")
    asked.clear()
    status = events.status(team.person("alice").context, TOPIC)

    assert status.state is EventState.PENDING
    assert status.trial is None
    assert status.to_dict()["trial"] is None
    assert asked == []


def test_ready_says_that_the_trial_passed(team: Team) -> None:
    team.begin(with_proposal, "1.0")
    team.person("alice").sign(TOPIC)
    status = team.person("bob").sign(TOPIC)

    assert status.state is EventState.READY
    assert status.trial == Outcome(None, 1)
    assert status.to_dict()["trial"] == {"passed": True, "refusal": None, "targets": 1}
    shown = ["".join(span if isinstance(span, str) else span.text for span in one.spans)
             for one in render.status(status)]  # fmt: skip
    assert "  trial: a stock client updates from what is published, and from root 1 alone" in shown


def test_signing_and_merging_ask_once_for_all(team: Team, asked: list[Outcome]) -> None:
    team.found()
    asked.clear()
    team.release("1.0")

    assert asked == [Outcome(None, 1)]


def test_an_event_that_changes_no_metadata_needs_no_trial(team: Team, asked: list[Outcome]) -> None:
    team.found()
    asked.clear()
    alice = team.person("alice").context
    changing.policy(alice, edited(team, ("keep: 90d", "keep: 91d")))
    status = events.status(alice, "policy")

    assert (status.state, status.trial, asked) == (EventState.READY, None, [])
    events.merge(alice, "policy")


def test_what_would_strand_clients_is_not_ready_and_not_merged(
    team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = without_plugins(team)
    for name in ("alice", "bob"):
        team.person(name).sign(topic)
    event._known.clear()
    monkeypatch.setattr(event, "sign_online", forgetful)
    alice = team.person("alice").context
    status = events.status(alice, topic)

    assert status.state is EventState.INVALID
    (finding,) = (one for one in status.report.findings if one.id == events.STRANDED)
    assert "coming from the last state does not update" in finding.what
    assert "missing info for 'plugins.json'" in finding.what
    before = alice.forge.main()
    with pytest.raises(RefusedError, match="KT120") as refusal:
        events.merge(alice, topic)
    assert refusal.value.reason == "trial"
    alice.forge.refresh()
    assert alice.forge.main() == before


def test_what_would_strand_clients_is_not_signed(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    topic = without_plugins(team)
    monkeypatch.setattr(event, "sign_online", forgetful)
    alice = team.person("alice")
    known = alice.context.remembered.ledger()

    assert events.status(alice.context, topic).state is EventState.PENDING
    with pytest.raises(RefusedError, match="KT120") as refusal:
        alice.prepare(topic)
    assert refusal.value.reason == "trial"
    assert alice.context.remembered.ledger() == known


def test_another_finding_beside_it_is_what_is_named(team: Team, asked: list[Outcome]) -> None:
    """What breaks a rule is not tried at all: the rule says better what is wrong."""
    team.begin(with_proposal, "1.0")
    team.push_file(f"sign/{TOPIC}", "README.md", b"rides along")
    asked.clear()
    with pytest.raises(RefusedError, match="KT301") as refusal:
        team.person("alice").prepare(TOPIC)

    assert (refusal.value.reason, asked) == ("invalid", [])


def test_an_air_gapped_machine_tries_it_from_main(team: Team, tmp_path: Path, asked: list[Outcome]) -> None:
    team.begin(with_proposal, "1.0")
    asked.clear()
    alice = team.person("alice")
    alice.context.forge.refresh()
    signing.export(load_event(alice.context, TOPIC), tmp_path / "stick")
    carried = signing.read_export(tmp_path / "stick", alice.context.home, NOW, None)
    signing.prepare(carried, alice.context.home, alice.key)

    assert carried.published is None
    assert asked == [Outcome(None, 1)]


def test_a_record_of_the_last_publication_that_was_tampered_with_plays_no_part(team: Team) -> None:
    team.begin(with_site)
    team.push_file(PUBLISHED, "metadata/timestamp.json", b"{}")
    team.propose("1.0")
    alice = team.person("alice")
    alice.context.forge.refresh()

    assert load_event(alice.context, TOPIC).published is None
    assert alice.prepare(TOPIC).status.trial == Outcome(None, 1)


def test_the_events_of_a_repositorys_life_pass(team: Team, tmp_path: Path, asked: list[Outcome]) -> None:
    """Founding, release, delegation, policy, signers and keys that change, renewal; published in between."""
    site, signers = tmp_path / "site", [team.online]

    def step(topic: str, *names: str) -> None:
        asked.clear()
        sign_and_merge(team, topic, *names)
        assert [outcome.refusal for outcome in asked] == [None], topic
        publishing.publish(team.publisher(), site, signers)

    founding(team)
    assert [outcome.refusal for outcome in asked] == [None]
    publishing.publish(team.publisher(), site, signers)
    alice = team.person("alice")
    step(team.propose("1.0").topic, "alice", "bob")

    changing.policy(alice.context, with_plugins(edited(team).decode()))
    step("policy", "bob", "alice")
    proposing.files(alice.context, {"plugins/a.zip": b"zip"})
    step("files", "bob")

    carol = team.person("carol", "rsa")
    changing.policy(alice.context, edited(team, (signers_line(team), "signers: [alice, bob, carol]")))
    found.join(carol.context, "policy", "carol", carol.key)
    step("policy", "alice", "bob")

    fresh = team.person("alice-new", "ecdsa")
    found.join(fresh.context, "new-key", "alice", fresh.key, replacing=True)
    team.trusting("alice-new")
    team.trusting("carol")
    step("new-key", "bob", "carol", "alice-new")

    another = team.person("new-online")
    found.join(alice.context, "online", "online", another.key, replacing=True)
    signers[:0] = [another.key]
    step("online", "bob", "carol")

    (renewal,) = changing.renew(alice.context, ["root"])
    step(renewal.topic, "bob", "carol")
    assert (site / "metadata/5.root.json").is_file()


def test_an_expired_repository_can_be_renewed_role_by_role(team: Team, asked: list[Outcome]) -> None:
    team.begin(with_site)
    much_later = NOW + days(400)
    asked.clear()
    (made,) = changing.renew(team.person("alice").at(much_later), ["targets"])
    for name in ("alice", "bob"):
        context = team.person(name).at(much_later)
        context.forge.refresh()
        prepared = signing.prepare(load_event(context, made.topic), context.home, team.person(name).key)
        for block in signing.turn_keys(prepared, context.home, much_later):
            signing.deliver(context, made.topic, block)
    events.merge(team.person("alice").at(much_later), made.topic)

    assert asked == [Outcome(None, 0)]


def test_a_usual_event_is_tried_in_less_than_two_seconds(team: Team) -> None:
    team.begin(with_site, "1.0")
    team.propose("1.1")
    context = team.person("alice").context
    context.forge.refresh()
    loaded = load_event(context, "release-hello-1.1")
    start = time.perf_counter()
    outcome = event.try_event(loaded.event, loaded.published)

    assert outcome == Outcome(None, 2)
    assert time.perf_counter() - start < 2
