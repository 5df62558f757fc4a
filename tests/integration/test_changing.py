"""People come and go, keys are replaced, roles are renewed: each a signing event."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import time_machine
from tuf.ngclient import Updater

from integration.team import NOW, Team, days, with_release
from keyturn import trial
from keyturn.errors import NothingToDo, PendingError, UsageError
from keyturn.flow import changing, events, found, proposing, publishing
from keyturn.flow.context import POLICY
from keyturn.state import State, root_of
from keyturn.verify import EventState

pytestmark = pytest.mark.slow


def policy_text(team: Team) -> str:
    forge = team.person("alice").context.forge
    forge.refresh()
    return forge.tree(forge.main()).read(POLICY).decode()


def edited(team: Team, *pairs: tuple[str, str]) -> bytes:
    text = policy_text(team)
    for old, new in pairs:
        assert old in text, f"{old!r} not in\n{text}"
        text = text.replace(old, new)
    return text.encode()


def main(team: Team) -> State:
    forge = team.person("alice").context.forge
    forge.refresh()
    return State(forge.tree(forge.main()))


def sign_and_merge(team: Team, topic: str, *names: str) -> None:
    for name in names:
        team.person(name).sign(topic)
    events.merge(team.person(names[0]).context, topic)


def signers_line(team: Team) -> str:
    return next(line.strip() for line in policy_text(team).splitlines() if "signers:" in line)


def test_a_signer_is_added_by_joining_the_changed_policy(team: Team) -> None:
    team.found()
    carol = team.person("carol")
    wanted = edited(team, (signers_line(team), "signers: [alice, bob, carol]"))
    waiting = changing.policy(team.person("alice").context, wanted)
    assert waiting.missing == ("carol",)
    assert events.status(carol.context, "policy").state is EventState.INCOMPLETE
    joined = found.join(carol.context, "policy", "carol", carol.key)
    assert joined.proposed
    status = events.status(carol.context, "policy")
    assert [(role.role, role.version) for role in status.report.roles] == [("root", 2)]
    assert {d.subject for d in status.differences if d.kind == "key-added"} == {"root", "targets"}
    sign_and_merge(team, "policy", "alice", "bob")
    root = main(team).root
    assert root is not None
    assert root.version == 2
    assert len(root_of(root).roles["targets"].keyids) == 3


def test_root_2_needs_thresholds_of_both_roots_counted_apart(team: Team) -> None:
    team.found(("alice", "bob", "carol"), 2)
    wanted = edited(team, (signers_line(team), "signers: [alice, dave]"))
    changing.policy(team.person("alice").context, wanted)
    dave = team.person("dave")
    found.join(dave.context, "policy", "dave", dave.key)
    old, new = events.status(dave.context, "policy").report.roles[0].counts
    assert (old.under, new.under) == ("root 1", "root 2")
    team.person("alice").sign("policy")
    team.trusting("dave").sign("policy")
    old, new = events.status(dave.context, "policy").report.roles[0].counts
    assert (old.have, old.need, new.have, new.need) == (1, 2, 2, 2)
    with pytest.raises(PendingError, match="under root 1"):
        events.merge(dave.context, "policy")
    sign_and_merge(team, "policy", "bob")


def test_a_role_left_short_by_a_removed_key_is_in_the_same_event_and_says_why(team: Team) -> None:
    team.found(("alice", "bob", "carol"), 2)
    wanted = edited(team, (signers_line(team), "signers: [alice, carol]"))
    change = changing.policy(team.person("alice").context, wanted)
    assert dict(change.proposed.roles) == {"root": 2, "targets": 2}
    (anew,) = change.anew
    assert anew.role == "targets"
    assert "only 1 of the 2 signatures that targets 1 needs" in anew.why
    team.person("alice").sign("policy")
    team.person("bob").sign("policy", ["root"])
    team.trusting("carol")
    sign_and_merge(team, "policy", "carol")
    assert main(team).role("targets") is not None


def test_a_key_is_replaced_by_its_owner(team: Team) -> None:
    team.found()
    fresh = team.person("alice-new")
    with pytest.raises(UsageError) as refusal:
        found.join(fresh.context, "new-key", "alice", fresh.key)
    assert refusal.value.reason == "has-key"
    found.join(fresh.context, "new-key", "alice", fresh.key, replacing=True)
    status = events.status(fresh.context, "new-key")
    kinds = {(d.kind, d.subject) for d in status.differences if d.kind.startswith("key-")}
    assert {("key-added", "root"), ("key-removed", "root")} <= kinds
    team.person("alice").sign("new-key")
    team.person("bob").sign("new-key")
    team.trusting("alice-new").sign("new-key")
    events.merge(fresh.context, "new-key")


def test_periods_and_thresholds_follow_the_policy(team: Team) -> None:
    team.found(("alice", "bob", "carol"), 2)
    wanted = edited(team, ("expires: 120d", "expires: 90d"))
    changing.policy(team.person("alice").context, wanted)
    status = events.status(team.person("alice").context, "policy")
    assert [d.new for d in status.differences if d.kind == "period"] == ["expires 90d, renew 30d"]
    sign_and_merge(team, "policy", "alice", "bob")


def test_wish_and_truth_agreeing_is_nothing_to_do(team: Team) -> None:
    team.found()
    with pytest.raises(NothingToDo):
        changing.policy(team.person("alice").context)
    with pytest.raises(NothingToDo):
        changing.policy(team.person("alice").context, policy_text(team).encode())


def test_a_policy_taken_back_empties_its_event(team: Team) -> None:
    team.found()
    alice = team.person("alice").context
    before = policy_text(team).encode()
    changing.policy(alice, edited(team, ("expires: 120d", "expires: 90d")))
    changing.policy(alice, before)
    assert events.status(alice, "policy").state is EventState.EMPTY


def test_the_same_policy_again_keeps_the_signatures(team: Team) -> None:
    team.found()
    alice = team.person("alice")
    wanted = edited(team, ("expires: 120d", "expires: 90d"))
    changing.policy(alice.context, wanted)
    alice.sign("policy")
    with pytest.raises(NothingToDo):
        changing.policy(alice.at(NOW + days(1)), wanted)
    (count,) = {
        c for c in events.status(alice.context, "policy").report.roles[0].counts if c.under == "root 1"
    }
    assert count.have == 1


DELEGATION = """delegations:
  plugins:
    paths: ["plugins/*.zip"]
    signers: [bob]
    threshold: 1
    expires: 60d
    renew: 20d
    terminating: true
"""


def with_plugins(text: str) -> bytes:
    changed, number = re.subn(r"^delegations: .*\n", DELEGATION, text, flags=re.M)
    assert number == 1
    return changed.encode()


def test_a_delegation_is_added_used_and_removed(team: Team) -> None:
    team.found()
    alice = team.person("alice").context
    plain = policy_text(team)
    changing.policy(alice, with_plugins(plain))
    sign_and_merge(team, "policy", "bob", "alice")
    state = main(team)
    assert state.role("plugins") is not None
    proposing.files(alice, {"plugins/a.zip": b"zip"})
    sign_and_merge(team, "files", "bob")
    publishing.publish(team.publisher(), team.base / "site", [team.online])
    proposing.files(alice, {}, ["plugins/a.zip"])
    sign_and_merge(team, "files", "bob")
    changing.policy(alice, plain.encode())
    sign_and_merge(team, "policy", "alice", "bob")
    assert main(team).role("plugins") is None
    publishing.publish(team.publisher(), team.base / "site", [team.online])
    changing.policy(alice, with_plugins(plain))
    again = State(alice.forge.tree(alice.forge.event("policy"))).role("plugins")
    assert again is not None
    assert again.version == 3, "a name that comes back goes on from the highest version ever published"


def test_the_online_key_is_changed_with_an_overlap(team: Team, tmp_path: Path) -> None:
    """For some days both keys sign: an edge may still answer that there is no new root."""
    team.begin(with_release, "1.0")
    site = tmp_path / "site"
    publishing.publish(team.publisher(), site, [team.online])
    old_root = (site / "metadata/1.root.json").read_bytes()
    fresh = team.person("new-online")
    found.join(team.person("alice").context, "online", "online", fresh.key, replacing=True)
    sign_and_merge(team, "online", "alice", "bob")
    publishing.publish(team.publisher(), site, [fresh.key, team.online])
    signed = (site / "metadata/timestamp.json").read_text()
    assert fresh.key.public.keyid in signed
    assert team.online.public.keyid in signed
    (site / "metadata/2.root.json").unlink()
    store = tmp_path / "lagging"
    store.mkdir()
    with trial.serve_directory(site) as url, time_machine.travel(NOW, tick=False):
        lagging = Updater(str(store), f"{url}metadata/", bootstrap=old_root)
        lagging.refresh()


def test_renewal_is_proposed_inside_the_window_for_all_roles_of_the_same_people(team: Team) -> None:
    team.found()
    alice = team.person("alice")
    with pytest.raises(NothingToDo):
        changing.renew(alice.context)
    soon = alice.at(NOW + days(95))
    (made,) = changing.renew(soon)
    assert (made.topic, made.roles) == ("renew", (("targets", 2),))
    with pytest.raises(NothingToDo):
        changing.renew(alice.at(NOW + days(96)))


def test_root_and_targets_of_the_same_people_are_renewed_in_one_event(team: Team) -> None:
    team.found()
    late = team.person("alice").at(NOW + days(310))
    (made,) = changing.renew(late)
    assert dict(made.roles) == {"root": 2, "targets": 2}


def test_a_role_can_be_renewed_by_name_before_it_is_due(team: Team) -> None:
    team.found()
    (made,) = changing.renew(team.person("alice").context, ["root"])
    assert made.roles == (("root", 2),)
    with pytest.raises(UsageError, match="no offline role 'timestamp'"):
        changing.renew(team.person("alice").context, ["timestamp"])
