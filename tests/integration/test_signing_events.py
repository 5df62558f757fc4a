"""Signing in an event: what a person's machine refuses, and what it hands in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from integration.team import NOW, Team, days, with_proposal
from keyturn.errors import NothingToDo, PendingError, RefusedError, UsageError
from keyturn.flow import events, proposing, publishing, signing
from keyturn.flow.context import load_event
from keyturn.forge import Proposal
from keyturn.git import Identity
from keyturn.signing import DESPITE, find_blocks, render
from keyturn.state import RoleFile, State, render_metadata
from keyturn.verify import EventState

pytestmark = pytest.mark.slow
TOPIC = "release-hello-1.0"


@pytest.fixture
def proposed(team: Team) -> Team:
    """A founded repository with version 1.0 proposed."""
    team.begin(with_proposal, "1.0")
    return team


def test_a_signature_is_one_commit_with_its_subject_and_trailer(proposed: Team) -> None:
    alice = proposed.person("alice")
    alice.sign(TOPIC)
    forge = alice.context.forge
    forge.refresh()
    tip = forge.event(TOPIC)
    message = forge._git.run("log", "-1", "--format=%B", str(tip)).decode()
    assert message.splitlines()[0] == "Sign targets 2 as alice"
    assert f"Keyturn-Signature: targets 2 {alice.key.public.keyid}" in message


def test_the_status_names_who_is_missing(proposed: Team) -> None:
    status = proposed.person("alice").sign(TOPIC)
    (count,) = status.report.roles[0].counts
    assert status.state is EventState.PENDING
    assert (count.have, count.need) == (1, 2)
    assert [mark.owner for mark in count.missing] == ["bob"]
    with pytest.raises(PendingError, match="may still sign: bob"):
        events.merge(proposed.person("alice").context, TOPIC)


def test_a_second_signature_by_the_same_key_changes_nothing(proposed: Team) -> None:
    alice = proposed.person("alice")
    alice.sign(TOPIC)
    with pytest.raises(NothingToDo, match="there already"):
        alice.prepare(TOPIC)


def test_a_foreign_key_is_refused_before_anything_is_signed(proposed: Team) -> None:
    with pytest.raises(RefusedError) as refusal:
        proposed.trusting("mallory").prepare(TOPIC)
    assert refusal.value.reason == "foreign-key"


def test_without_a_pin_nothing_is_signed(proposed: Team) -> None:
    stranger = proposed.person("carol")
    with pytest.raises(RefusedError) as refusal:
        stranger.prepare(TOPIC)
    assert refusal.value.reason == "no-pin"


def test_a_baseline_of_another_repository_is_refused(proposed: Team) -> None:
    alice = proposed.person("alice")
    elsewhere = replace(alice.context, root_digest="0" * 64)
    with pytest.raises(RefusedError) as refusal:
        load_event(elsewhere, TOPIC)
    assert refusal.value.reason == "other-root"


def test_a_main_that_went_back_is_refused(team: Team) -> None:
    team.found()
    alice = team.person("alice")
    alice.context.forge.refresh()
    before = alice.context.forge.main()
    team.release("1.0")
    team.propose("1.1")
    alice.sign("release-hello-1.1")
    alice.context.forge._git.run("push", "--force", "--quiet", "origin", f"{before}:refs/heads/main")
    team.propose("1.2", by="bob")
    with pytest.raises(RefusedError) as refusal:
        alice.prepare("release-hello-1.2")
    assert refusal.value.reason == "went-back"


def test_an_unsigned_role_on_main_stops_the_signer(proposed: Team) -> None:
    alice = proposed.person("alice")
    alice.context.forge.refresh()
    main = State(alice.context.forge.tree(alice.context.forge.main()))
    targets = main.role("targets")
    assert targets is not None
    targets.metadata.signatures.clear()
    proposed.push_file("main", "metadata/targets.json", render_metadata(targets.metadata))
    with pytest.raises(RefusedError, match="KT004") as refusal:
        alice.prepare(TOPIC)
    assert refusal.value.reason == "baseline"


def rebuild(team: Team, *, by: str) -> None:
    """Propose another build of the same release, in the event that is open."""
    bundle = team.bundle("1.0")
    (bundle / "extra").write_text("another build\n")
    proposing.release(team.person(by).context, "hello", "1.0", bundle)


def test_a_version_that_somebody_signed_in_another_event_is_skipped(proposed: Team) -> None:
    proposed.person("alice").sign(TOPIC)
    other = proposed.propose("1.1", by="bob")

    assert other.roles == (("targets", 3),)
    assert events.status(proposed.person("bob").context, other.topic).report.findings == ()


def test_of_two_payloads_of_one_version_the_one_that_nobody_signed_has_to_give_way(proposed: Team) -> None:
    other = proposed.propose("1.1", by="bob")
    proposed.person("alice").sign(TOPIC)
    bob = proposed.person("bob").context
    status = events.status(bob, other.topic)

    assert other.roles == (("targets", 2),)
    assert [finding.id for finding in status.report.findings] == ["KT124"]
    assert "alice signed another targets 2" in status.report.findings[0].what
    assert events.status(bob, TOPIC).report.findings == ()

    proposing.release(bob, "hello", "1.1", proposed.bundle("1.1"))
    assert events.status(bob, other.topic).report.findings == ()


def test_a_signature_of_a_stranger_burns_no_version(proposed: Team) -> None:
    other = proposed.propose("1.1", by="bob")
    forge = proposed.person("bob").context.forge
    forge.refresh()
    file = State(forge.tree(forge.event(TOPIC))).role("targets")
    assert file
    stranger = proposed.person("mallory").key
    file.metadata.signatures[stranger.public.keyid] = stranger.sign(file.payload)
    signed = {file.path: render_metadata(file.metadata)}
    forge.propose(TOPIC, Proposal(files=signed, message="x", author=Identity("m", "m@x"), when=NOW))

    assert events.status(proposed.person("bob").context, other.topic).report.findings == ()


def test_a_second_payload_for_a_version_already_signed_is_refused_by_the_ledger(proposed: Team) -> None:
    alice = proposed.person("alice")
    alice.sign(TOPIC)
    rebuild(proposed, by="bob")
    with pytest.raises(RefusedError, match="signed another payload of targets 2") as refusal:
        alice.prepare(TOPIC)
    assert refusal.value.reason == "ledger"


def test_a_second_payload_can_be_signed_by_saying_so_in_words(proposed: Team) -> None:
    alice = proposed.person("alice")
    alice.sign(TOPIC)
    rebuild(proposed, by="bob")
    blocks = alice.blocks(TOPIC, despite=DESPITE)
    assert [block.version for block in blocks] == [2]


def test_the_ledger_knows_of_a_signature_before_it_leaves_the_machine(
    proposed: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice = proposed.person("alice")
    prepared = alice.prepare(TOPIC)

    def power_cut(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(signing, "sign_payload", power_cut)
    with pytest.raises(KeyboardInterrupt):
        signing.turn_keys(prepared, alice.context.home, NOW)
    assert [entry.role for entry in alice.context.remembered.ledger()] == ["root", "targets", "targets"]


def test_a_block_made_elsewhere_is_attached(proposed: Team) -> None:
    (block,) = proposed.person("alice").blocks(TOPIC)
    (sent,) = find_blocks(render(block))
    delivered = signing.deliver(proposed.person("bob").context, TOPIC, sent)
    assert (delivered.role, delivered.version, delivered.owner) == ("targets", 2, "alice")


def test_a_block_attached_twice_changes_nothing(proposed: Team) -> None:
    (block,) = proposed.person("alice").blocks(TOPIC)
    bob = proposed.person("bob").context
    signing.deliver(bob, TOPIC, block)
    with pytest.raises(NothingToDo):
        signing.deliver(bob, TOPIC, block)


def test_a_block_over_another_payload_is_refused(proposed: Team) -> None:
    (block,) = proposed.person("alice").blocks(TOPIC)
    proposed.propose("1.1")
    with pytest.raises(RefusedError) as refusal:
        signing.deliver(proposed.person("bob").context, "release-hello-1.1", block)
    assert refusal.value.reason == "other-payload"


def test_a_block_for_another_repository_is_refused(proposed: Team) -> None:
    (block,) = proposed.person("alice").blocks(TOPIC)
    with pytest.raises(RefusedError) as refusal:
        signing.deliver(proposed.person("bob").context, TOPIC, replace(block, repository="1" * 64))
    assert refusal.value.reason == "other-repository"


def test_a_block_by_a_foreign_key_is_refused(proposed: Team) -> None:
    (block,) = proposed.person("alice").blocks(TOPIC)
    foreign = replace(block, keyid=proposed.person("mallory").key.public.keyid)
    with pytest.raises(RefusedError) as refusal:
        signing.deliver(proposed.person("bob").context, TOPIC, foreign)
    assert refusal.value.reason == "foreign-key"


def test_a_block_for_a_role_that_the_event_does_not_change_is_refused(proposed: Team) -> None:
    (block,) = proposed.person("alice").blocks(TOPIC)
    with pytest.raises(RefusedError, match="proposes no root"):
        signing.deliver(proposed.person("bob").context, TOPIC, replace(block, role="root"))


def test_an_air_gapped_machine_signs_what_was_exported(proposed: Team, tmp_path: Path) -> None:
    alice = proposed.person("alice")
    alice.context.forge.refresh()
    stick = tmp_path / "stick"
    signing.export(load_event(alice.context, TOPIC), stick)
    carried = signing.read_export(stick, alice.context.home, NOW, None)
    prepared = signing.prepare(carried, alice.context.home, alice.key)
    (block,) = signing.turn_keys(prepared, alice.context.home, NOW)
    delivered = signing.deliver(proposed.person("bob").context, TOPIC, block)
    assert delivered.owner == "alice"
    with pytest.raises(UsageError, match="not empty"):
        signing.export(load_event(alice.context, TOPIC), stick)


def test_what_was_changed_on_the_stick_is_refused(proposed: Team, tmp_path: Path) -> None:
    alice = proposed.person("alice")
    alice.context.forge.refresh()
    signing.export(load_event(alice.context, TOPIC), tmp_path / "stick")
    (tmp_path / "stick/head/targets/hello/hello-1.0.tar.gz").write_bytes(b"something else")
    carried = signing.read_export(tmp_path / "stick", alice.context.home, NOW, None)
    with pytest.raises(RefusedError, match="KT305"):
        signing.prepare(carried, alice.context.home, alice.key)


def test_the_stick_carries_what_others_signed_and_what_clients_were_given(
    proposed: Team, tmp_path: Path
) -> None:
    """An air-gapped machine judges by the same as any other: burned versions, and versions that are out."""
    alice, bob = proposed.person("alice"), proposed.person("bob")
    publishing.publish(proposed.publisher(), tmp_path / "site", [proposed.online])
    proposing.release(bob.context, "hello", "2.0", proposed.bundle("2.0"))
    bob.sign("release-hello-2.0")
    alice.context.forge.refresh()
    here = load_event(alice.context, TOPIC)
    signing.export(here, tmp_path / "stick")

    carried = signing.read_export(tmp_path / "stick", alice.context.home, NOW, None)

    assert carried.event.published == here.event.published
    assert carried.event.published["targets"] == 1
    assert carried.event.burned == here.event.burned
    assert list(carried.event.burned) == ["targets"]
    assert carried.judge().findings == here.judge().findings


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"format": 2, "topic": "x", "url": "y"}'])
def test_a_directory_that_is_no_export_is_told_so(team: Team, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "export.json").write_bytes(content)
    with pytest.raises(UsageError) as refusal:
        signing.read_export(tmp_path, team.person("alice").context.home, NOW, None)
    assert refusal.value.reason == "bad-export"


def test_a_role_that_is_not_proposed_cannot_be_asked_for(proposed: Team) -> None:
    with pytest.raises(UsageError, match="does not change the role root"):
        proposed.person("alice").prepare(TOPIC, ["root"])


def test_an_invalid_event_is_not_signed(proposed: Team) -> None:
    proposed.push_file(f"sign/{TOPIC}", "README.md", b"rides along")
    with pytest.raises(RefusedError, match="KT301") as refusal:
        proposed.person("alice").prepare(TOPIC)
    assert refusal.value.reason == "invalid"
    with pytest.raises(RefusedError, match="KT301"):
        events.merge(proposed.person("alice").context, TOPIC)


def test_a_signature_counts_while_its_payload_is_the_proposed_one(proposed: Team) -> None:
    """Main moves, the event does not: the signature stays good."""
    proposed.person("alice").sign(TOPIC)
    forge = proposed.person("alice").context.forge
    proposed.push_file("main", "README.md", b"unrelated")
    status = proposed.person("bob").sign(TOPIC)
    assert status.state is EventState.READY
    forge.refresh()
    merged = events.merge(proposed.person("bob").context, TOPIC)
    assert merged.roles == (("targets", 2),)


def test_two_events_for_the_same_version_conflict_once_one_is_merged(proposed: Team) -> None:
    proposed.propose("1.1", by="bob")
    for name in ("alice", "bob"):
        proposed.person(name).sign(TOPIC)
    events.merge(proposed.person("alice").context, TOPIC)
    status = events.status(proposed.person("bob").context, "release-hello-1.1")
    assert status.state is EventState.INVALID
    assert "KT100" in {finding.id for finding in status.report.findings}


def test_an_expired_role_on_main_is_a_warning_and_can_still_be_replaced(team: Team) -> None:
    team.found()
    alice = team.person("alice")
    late = alice.at(NOW + days(130))
    proposing.release(late, "hello", "1.0", team.bundle("1.0"))
    late.forge.refresh()
    loaded = load_event(late, TOPIC)
    prepared = signing.prepare(loaded, late.home, alice.key)
    assert [turn.file.role for turn in prepared.turns] == ["targets"]


def test_every_signature_in_the_file_is_the_signers_own(proposed: Team) -> None:
    for name in ("alice", "bob"):
        proposed.person(name).sign(TOPIC)
    forge = proposed.person("alice").context.forge
    forge.refresh()
    data = forge.tree(forge.event(TOPIC)).read("metadata/targets.json")
    file = RoleFile.parse("targets", "metadata/targets.json", data)
    assert set(file.signatures) == {proposed.person(name).key.public.keyid for name in ("alice", "bob")}
    assert data == render_metadata(file.metadata)
