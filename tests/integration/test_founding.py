"""A repository is founded by people who each bring their own key."""

from __future__ import annotations

import pytest

from integration.team import Team, founding
from keyturn.errors import NothingToDo, PendingError, RefusedError, UsageError
from keyturn.flow import events, found
from keyturn.state import State
from keyturn.verify import EventState

pytestmark = pytest.mark.slow


def test_an_event_waits_for_the_keys_that_the_policy_names(team: Team) -> None:
    team.init()
    joined = team.join("alice")
    status = events.status(team.person("alice").context, found.FOUNDING)
    assert joined.missing == ("bob",)
    assert not joined.proposed
    assert status.state is EventState.INCOMPLETE
    assert status.report.missing_keys == ("bob",)


def test_nobody_signs_or_merges_before_all_keys_are_there(team: Team) -> None:
    team.init()
    team.join("alice")
    alice = team.person("alice")
    with pytest.raises(PendingError, match="bob"):
        alice.prepare(found.FOUNDING)
    with pytest.raises(PendingError, match="bob"):
        events.merge(alice.context, found.FOUNDING)


def test_the_last_to_join_proposes_version_1_of_every_role(team: Team) -> None:
    team.init()
    joined = team.join("alice", "bob")
    status = events.status(team.person("bob").context, found.FOUNDING)
    assert joined.proposed
    assert status.state is EventState.PENDING
    assert [(role.role, role.version) for role in status.report.roles] == [("root", 1), ("targets", 1)]


def test_both_signatures_make_it_ready_and_each_signer_pins_the_root(team: Team) -> None:
    team.init()
    team.join("alice", "bob")
    assert team.person("alice").sign(found.FOUNDING).state is EventState.PENDING
    assert team.person("bob").sign(found.FOUNDING).state is EventState.READY
    pins = {
        person.context.remembered.pin() for name, person in team.people.items() if name in ("alice", "bob")
    }
    assert len({pin.digest for pin in pins if pin}) == 1


def test_one_of_two_signatures_is_not_enough_to_merge(team: Team) -> None:
    team.init()
    team.join("alice", "bob")
    team.person("alice").sign(found.FOUNDING)
    with pytest.raises(PendingError, match="root 1 has 1 of 2 signatures under root 1, may still sign: bob"):
        events.merge(team.person("alice").context, found.FOUNDING)


def test_after_the_merge_main_holds_what_was_signed(team: Team) -> None:
    team.found()
    forge = team.person("alice").context.forge
    forge.refresh()
    state = State(forge.tree(forge.main()))
    assert state.root is not None
    assert state.root.digest == team.root_digest
    assert forge.is_merged(found.FOUNDING)
    with pytest.raises(NothingToDo):
        events.merge(team.person("alice").context, found.FOUNDING)


def test_a_login_that_the_policy_does_not_name_cannot_join(team: Team) -> None:
    team.init()
    with pytest.raises(UsageError, match="names no signer carol"):
        team.join("carol")


def test_joining_twice_with_one_key_changes_nothing(team: Team) -> None:
    team.init()
    team.join("alice")
    with pytest.raises(NothingToDo):
        team.join("alice")


def test_keys_are_settled_once_the_payload_is_proposed(team: Team) -> None:
    team.init()
    team.join("alice", "bob")
    mallory = team.person("mallory")
    with pytest.raises(UsageError, match="keys are settled"):
        found.join(mallory.context, found.FOUNDING, "alice", mallory.key, replacing=True)


def test_another_key_under_a_taken_login_is_refused_unless_its_owner_says_so(team: Team) -> None:
    team.init()
    team.join("alice")
    second = team.person("alice-again").key
    with pytest.raises(UsageError) as refusal:
        found.join(team.person("alice").context, found.FOUNDING, "alice", second)
    assert refusal.value.reason == "has-key"
    found.join(team.person("alice").context, found.FOUNDING, "alice", second, replacing=True)
    joined = team.join("bob")
    assert joined.proposed


def test_a_repository_is_founded_once(team: Team) -> None:
    team.init()
    with pytest.raises(UsageError, match="exists already"):
        team.init(signers=("alice", "carol"))


def test_a_founding_that_died_half_way_is_finished_by_the_same_command(team: Team) -> None:
    team.init()
    team.person("alice").context.forge._git.run("push", "--quiet", "origin", ":refs/heads/sign/founding")
    team.init()
    assert events.status(team.person("alice").context, found.FOUNDING).state is EventState.INCOMPLETE


def test_somebody_elses_key_under_a_login_is_found_out(team: Team) -> None:
    team.init()
    team.join("alice")
    forge = team.person("alice").context.forge
    tree = forge.tree(forge.event(found.FOUNDING))
    team.push_file("sign/founding", "keyring/bob.pub", tree.read("keyring/alice.pub"))
    team.push_file("sign/founding", "keyring/bob.proof", tree.read("keyring/alice.proof"))
    status = events.status(team.person("bob").context, found.FOUNDING)
    assert {finding.id for finding in status.report.findings} == {"KT403"}


def test_a_second_founder_with_another_root_is_refused_by_the_pin(team: Team) -> None:
    team.found()
    alice = team.person("alice")
    other = Team(team.base / "other")
    founding(other)
    forge = other.person("alice").context.forge
    root = forge.tree(forge.main()).read("metadata/root_history/1.root.json")
    with pytest.raises(RefusedError, match="is pinned to the root") as refusal:
        alice.context.remembered.write_pin(root)
    assert refusal.value.reason == "other-root"
