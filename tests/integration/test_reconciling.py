"""What is due opens its signing event by itself: a changed policy, renewals, edited target files."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime

import pytest

from integration.team import NOW, Team, days
from keyturn.errors import ExitCode, NothingToDo, RefusedError, UsageError
from keyturn.flow import changing, events, found, proposing, reconciling
from keyturn.flow.reconciling import Part, Reconciled, propose_what_is_due
from keyturn.flow.tending import Tended
from keyturn.git import Git
from keyturn.state import State, root_of, targets_of
from keyturn.verify import EventState
from unit.fakehost import FakeHost

pytestmark = pytest.mark.slow

RUN = "https://github.example/alice/updates/actions/runs/7"


@dataclass
class Due:
    """The job `propose` of a founded repository."""

    team: Team
    host: FakeHost = field(init=False)

    def __post_init__(self) -> None:
        self.host = FakeHost(tip=self.tip)

    def tip(self, branch: str) -> str | None:
        forge = self.team.publisher().forge
        forge.refresh()
        return forge.branch_tip(branch)

    def run(self, now: datetime = NOW) -> Reconciled:
        return propose_what_is_due(self.team.publisher(now), self.host, run_url=RUN)

    def nothing(self, now: datetime = NOW) -> None:
        with pytest.raises(NothingToDo):
            self.run(now)

    def event(self, topic: str) -> State:
        return State(self.team.publisher().forge.tree(self.tip(f"sign/{topic}")))

    def main(self) -> State:
        return State(self.team.publisher().forge.tree(self.tip("main")))

    def edit_policy(self, old: str, new: str) -> None:
        text = self.main().tree.read("keyturn.yml").decode()
        assert old in text
        self.team.push_file("main", "keyturn.yml", text.replace(old, new).encode())

    def status(self, topic: str) -> events.Status:
        return events.status(self.team.publisher(), topic)

    def sign_and_merge(self, topic: str) -> None:
        for name in ("alice", "bob"):
            self.team.person(name).sign(topic)
        events.merge(self.team.person("alice").context, topic)

    def remove_on_main(self, path: str) -> None:
        git = Git.open(self.team.person("mallory").clone)
        tip = self.tip("main")
        assert tip
        git.run("fetch", "--quiet", "origin")
        tree = git.write_tree(tip, {path: None})
        author = self.team.person("mallory").context.author
        commit = git.commit_tree(tree, [tip], "remove by hand", author=author, when=NOW)
        git.run("push", "--quiet", "origin", f"{commit}:refs/heads/main")

    def pulls(self) -> list[str]:
        return sorted(pull.branch for pull in self.host.pulls)


@pytest.fixture
def due(team: Team) -> Due:
    team.found()
    return Due(team)


def part(done: Reconciled, name: str) -> Part:
    return next(part for part in done.parts if part.name == name)


def test_nothing_is_due(due: Due) -> None:
    due.nothing()
    assert due.host.writes == []


def test_before_the_founding_is_merged_there_is_nothing_to_propose(team: Team) -> None:
    team.init()
    team.join("alice", "bob")
    host = FakeHost(tip=lambda _: None)
    with pytest.raises(NothingToDo) as told:
        propose_what_is_due(team.person("robot").context, host, run_url=RUN)
    assert (told.value.reason, host.writes) == ("not-founded", [])


def test_releases_that_an_event_was_closed_over_are_taken_away(
    due: Due, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconciling, "tend", lambda context, host: Tended(("hello-1.0",), ("hello-1.1",)))
    done = due.run()
    assert part(done, "releases").tended == Tended(("hello-1.0",), ("hello-1.1",))
    assert (done.proposed, done.exit_code) == ((), ExitCode.DONE)


# Policy


def test_a_policy_edited_on_main_opens_an_event(due: Due) -> None:
    due.edit_policy("expires: 120d", "expires: 90d")
    done = due.run()
    assert done.exit_code is ExitCode.DONE
    assert [proposed.topic for proposed in done.proposed] == ["policy"]
    assert due.pulls() == ["sign/policy"]
    assert due.status("policy").state is EventState.PENDING
    due.nothing()


def test_a_policy_edited_again_changes_the_open_event(due: Due) -> None:
    due.edit_policy("expires: 120d", "expires: 90d")
    due.run()
    due.team.person("alice").sign("policy")
    due.edit_policy("expires: 90d", "expires: 80d")
    (proposed,) = due.run().proposed
    assert proposed.left_behind == ("alice",)
    periods = [d.new for d in due.status("policy").differences if d.kind == "period"]
    assert periods == ["expires 80d, renew 30d"]


def test_a_policy_put_back_empties_the_open_event(due: Due) -> None:
    due.edit_policy("expires: 120d", "expires: 90d")
    due.run()
    due.edit_policy("expires: 90d", "expires: 120d")
    due.run()
    assert due.status("policy").state is EventState.EMPTY
    due.nothing()


def test_who_must_join_is_said(due: Due) -> None:
    due.edit_policy("signers: [alice, bob]", "signers: [alice, bob, carol]")
    done = due.run()
    assert done.exit_code is ExitCode.PENDING
    assert "The keys of carol are missing" in part(done, "policy").waiting.replace("the keys", "The keys")
    assert "keyturn join policy" in part(done, "policy").waiting


def test_a_key_that_joined_later_completes_the_event(due: Due) -> None:
    due.edit_policy("signers: [alice, bob]", "signers: [alice, bob, carol]")
    due.run()
    carol = due.team.person("carol")
    found.join(carol.context, "policy", "carol", carol.key)
    root = due.event("policy").root
    assert root is not None
    assert len(root_of(root).roles["targets"].keyids) == 3
    due.nothing()


def test_an_event_and_main_that_both_changed_the_policy_are_not_mixed(due: Due) -> None:
    """Carrying the event's file along would silently take back what was merged meanwhile."""
    alice = due.team.person("alice").context
    text = due.main().tree.read("keyturn.yml").decode()
    changing.policy(alice, text.replace("expires: 120d", "expires: 90d").encode())
    due.edit_policy("expires: 365d", "expires: 300d")
    done = due.run()
    error = part(done, "policy").error
    assert isinstance(error, UsageError)
    assert error.reason == "clash"
    assert b"expires: 90d" in due.event("policy").tree.read("keyturn.yml")


# Renewals


def test_a_renewal_opens_by_itself_when_its_window_opens(due: Due) -> None:
    due.nothing(NOW + days(89.9))
    done = due.run(NOW + days(90))
    assert [(proposed.topic, proposed.roles) for proposed in done.proposed] == [("renew", (("targets", 2),))]
    assert due.pulls() == ["sign/renew"]
    due.nothing(NOW + days(91))


def test_what_a_release_makes_anew_is_not_renewed_as_well(due: Due) -> None:
    """Nobody could sign both: they would be two payloads of one version."""
    due.team.propose("1.0")
    due.nothing(NOW + days(95))


def test_an_event_that_a_person_closed_holds_no_renewal_up(due: Due) -> None:
    topic = due.team.propose("1.0").topic
    due.host.close(due.host.open_pull_request(f"sign/{topic}", "1.0", "").number)
    assert [proposed.topic for proposed in due.run(NOW + days(95)).proposed] == ["renew"]


def test_an_event_that_cannot_be_merged_holds_no_renewal_up(due: Due) -> None:
    topic = due.team.propose("1.0").topic
    due.team.push_file(f"sign/{topic}", "README.md", b"not allowed here")
    done = due.run(NOW + days(95))
    assert [proposed.topic for proposed in done.proposed] == ["renew"]


def test_a_role_of_the_same_people_that_falls_due_later_joins_the_open_renewal(due: Due) -> None:
    due.run(NOW + days(304))
    alice = due.team.person("alice")
    replace(alice, context=alice.at(NOW + days(304))).sign("renew")
    (proposed,) = due.run(NOW + days(306)).proposed
    assert (proposed.topic, dict(proposed.roles)) == ("renew", {"root": 2, "targets": 2})
    assert proposed.left_behind == ()
    counts = events.status(due.team.publisher(NOW + days(306)), "renew").report.role("targets")
    assert counts is not None
    assert counts.counts[0].have == 1
    due.nothing(NOW + days(307))


def test_a_role_of_other_people_that_falls_due_later_gets_an_event_of_its_own(due: Due) -> None:
    text = due.main().tree.read("keyturn.yml").decode()
    due.team.push_file("main", "keyturn.yml", with_plugins(text))
    due.run()
    due.sign_and_merge("policy")
    plugins = NOW + days(41)
    assert [proposed.topic for proposed in due.run(plugins).proposed] == ["renew"]
    (proposed,) = due.run(NOW + days(91)).proposed
    assert (proposed.topic, proposed.roles) == ("renew-targets", (("targets", 3),))
    due.nothing(NOW + days(92))
    assert due.pulls() == ["sign/policy", "sign/renew", "sign/renew-targets"]


# Target files


def test_files_edited_on_main_open_an_event(due: Due) -> None:
    due.team.push_file("main", "targets/readme.txt", b"one")
    due.team.push_file("main", "targets/.gitkeep", b"")
    done = due.run()
    (proposed,) = done.proposed
    assert (proposed.topic, proposed.targets, proposed.roles) == (
        "targets",
        ("readme.txt",),
        (("targets", 2),),
    )
    assert due.pulls() == ["sign/targets"]
    due.nothing()
    due.sign_and_merge("targets")
    due.nothing()


def test_added_changed_and_removed_files_are_one_event(due: Due) -> None:
    for name in ("a", "b"):
        due.team.push_file("main", f"targets/{name}", b"one")
    due.run()
    due.sign_and_merge("targets")
    due.team.push_file("main", "targets/a", b"two")
    due.team.push_file("main", "targets/c", b"three")
    due.remove_on_main("targets/b")
    (proposed,) = due.run().proposed
    assert sorted(proposed.targets) == ["a", "b", "c"]
    role = due.event("targets").role("targets")
    assert role is not None
    assert sorted(targets_of(role).targets) == ["a", "c"]
    due.sign_and_merge("targets")
    due.nothing()


def test_what_is_put_back_on_main_leaves_the_event(due: Due) -> None:
    due.team.push_file("main", "targets/a", b"one")
    due.team.push_file("main", "targets/b", b"one")
    due.run()
    due.remove_on_main("targets/a")
    due.run()
    role = due.event("targets").role("targets")
    assert role is not None
    assert sorted(targets_of(role).targets) == ["b"]
    due.remove_on_main("targets/b")
    due.run()
    assert due.status("targets").state is EventState.EMPTY


def test_the_same_files_again_keep_the_signatures(due: Due) -> None:
    due.team.push_file("main", "targets/a", b"one")
    due.run()
    due.team.person("alice").sign("targets")
    due.nothing(NOW + days(1))
    assert due.status("targets").report.roles[0].counts[0].have == 1


def test_releases_are_listed_already(due: Due) -> None:
    due.team.release("1.0")
    due.nothing()


def test_a_released_archive_that_was_changed_is_refused(due: Due) -> None:
    due.team.release("1.0")
    due.team.push_file("main", "targets/hello/hello-1.0.tar.gz", b"other")
    done = due.run()
    (error,) = done.errors
    assert isinstance(error, RefusedError)
    assert error.reason == "already-released"
    assert done.exit_code is ExitCode.INVALID


def test_files_kept_in_a_directory_are_no_business_of_this(due: Due) -> None:
    due.edit_policy("source: git", "source: directory\n  directory: /srv/targets")
    due.team.push_file("main", "targets/a", b"one")
    due.nothing()


# All of it


def test_one_that_fails_does_not_stop_the_others(due: Due) -> None:
    due.team.push_file("main", "targets/con.txt", b"a name that Windows cannot have")
    due.edit_policy("expires: 120d", "expires: 90d")
    done = due.run()
    assert [proposed.topic for proposed in done.proposed] == ["policy"]
    assert part(done, "targets").error is not None
    assert part(done, "renewal").nothing
    assert done.exit_code is not ExitCode.DONE


def test_a_run_that_died_before_its_pull_request_is_healed(due: Due) -> None:
    due.edit_policy("expires: 120d", "expires: 90d")
    changing.policy(due.team.publisher())
    assert due.pulls() == []
    due.nothing()
    assert due.pulls() == ["sign/policy"]


# Proposing into an event that does something else


def with_plugins(text: str) -> bytes:
    wanted = "plugins: {paths: [x/*], signers: [bob], threshold: 1, expires: 60d, renew: 20d}"
    lines = [
        f"delegations:\n  {wanted}" if line.startswith("delegations:") else line for line in text.splitlines()
    ]
    return ("\n".join(lines) + "\n").encode()


def test_targets_are_not_proposed_into_an_event_that_changes_delegations(due: Due) -> None:
    """Its change of delegations would be lost without a word."""
    alice = due.team.person("alice").context
    changing.policy(alice, with_plugins(due.main().tree.read("keyturn.yml").decode()), topic="mixed")
    before = due.tip("sign/mixed")
    with pytest.raises(UsageError) as refusal:
        proposing.files(alice, {"a.txt": b"a"}, topic="mixed")
    assert refusal.value.reason == "other-event"
    assert "plugins and targets" in refusal.value.what
    assert due.tip("sign/mixed") == before


def test_nor_into_one_that_renews_a_role(due: Due) -> None:
    alice = due.team.person("alice").context
    changing.renew(alice, ["targets"])
    with pytest.raises(UsageError) as refusal:
        proposing.files(alice, {"a.txt": b"a"}, topic="renew")
    assert refusal.value.reason == "other-event"
