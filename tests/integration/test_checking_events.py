"""The job signing-event: every open event has a pull request that says how it stands, and no second one."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import pytest

from integration.desk import PEOPLE, RUN, Desk, push
from integration.team import NOW, Team, days
from keyturn.errors import EnvironmentFault, ExitCode
from keyturn.flow import changing, checking_events, events, found
from keyturn.flow.checking_events import check_events
from keyturn.flow.context import Context, identify_by
from keyturn.forge.host import HostError, Status
from keyturn.verify import EventState

pytestmark = pytest.mark.slow


@pytest.fixture
def desk(team: Team) -> Desk:
    team.found()
    return Desk(team)


def test_a_proposed_event_gets_a_pull_request_with_comment_status_label_and_reviewers(desk: Desk) -> None:
    desk.team.propose("1.0")

    checked = desk.check()

    (pull,) = desk.host.pull_requests()
    assert pull.title == "Sign: release-hello-1.0 (targets 2)"
    assert pull.labels == ("keyturn", "keyturn: pending")
    assert pull.requested == ("alice", "bob")
    assert desk.status("release-hello-1.0").state == "pending"
    line = "targets 2: 0 of 2 signatures, alice or bob may sign"
    assert desk.status("release-hello-1.0").description == line
    assert f"keyturn sign {pull.url}\n" in desk.comment("release-hello-1.0")
    assert checked.events[0].missing == ("alice", "bob")
    assert checked.exit_code is ExitCode.DONE


def test_a_second_run_writes_nothing(desk: Desk) -> None:
    desk.team.propose("1.0")
    desk.check()
    desk.host.writes.clear()

    desk.check()

    assert desk.host.writes == []


def test_the_status_is_success_only_when_the_event_is_ready(desk: Desk) -> None:
    topic = desk.team.propose("1.0").topic
    states = []
    for name in ("alice", "bob"):
        desk.check()
        states.append(desk.status(topic).state)
        desk.team.person(name).sign(topic)

    desk.check()

    assert states == ["pending", "pending"]
    assert desk.status(topic) == Status(
        "success", "targets 2: 2 of 2 signatures", f"{desk.host.url}/pull/{desk.number(topic)}"
    )
    (pull,) = desk.host.pull_requests()
    assert pull.labels == ("keyturn", "keyturn: ready")
    assert "1 of 2" not in desk.comment(topic)


def test_an_invalid_event_fails_its_status_with_the_findings(desk: Desk) -> None:
    push(desk.team, "sign/bad", {"src/main.py": b"print()\n"})

    desk.check()

    assert desk.status("bad").state == "failure"
    assert desk.status("bad").description.startswith("1 finding: KT")
    assert "`src/main.py`" in desk.comment("bad")


def test_the_founding_event_asks_for_keys_by_pull_request_too(team: Team) -> None:
    team.init()
    desk = Desk(team)

    checked = desk.check()

    assert checked.events[0].state is EventState.INCOMPLETE
    assert desk.status("founding") == Status("pending", "keys missing: alice, bob", f"{desk.host.url}/pull/1")
    (pull,) = desk.host.pull_requests()
    assert pull.requested == ("alice", "bob")
    assert f"keyturn join {pull.url} --login LOGIN --key URI" in desk.comment("founding")


def test_merged_events_are_left_alone_and_nothing_open_is_nothing_to_do(desk: Desk) -> None:
    checked = desk.check()

    assert checked.events == ()
    assert checked.exit_code is ExitCode.NOTHING
    assert desk.host.pulls == []
    assert "no open signing event" in checked.summary


def test_when_main_moves_every_event_is_judged_against_it(desk: Desk) -> None:
    first, second = desk.team.propose("1.0").topic, desk.team.propose("2.0").topic
    desk.check()
    before = desk.status(second)
    for name in ("alice", "bob"):
        desk.team.person(name).sign(first)
    events.merge(desk.team.person("alice").context, first)

    desk.check()

    assert before.state == "pending"
    assert desk.status(second).state == "failure"
    assert {event.topic for event in desk.check().events} == {second}


def test_events_that_are_fine_alone_and_not_together_name_each_other(desk: Desk) -> None:
    first, second = desk.team.propose("1.0").topic, desk.team.propose("2.0").topic
    desk.check()
    one, other = desk.number(first), desk.number(second)

    desk.check()

    assert f"[`sign/{second}`]({desk.host.url}/pull/{other}) also changes `targets`" in desk.comment(first)
    assert f"[`sign/{first}`]({desk.host.url}/pull/{one}) also changes `targets`" in desk.comment(second)
    assert "conflicts in `metadata/targets.json`" in desk.comment(first)


def test_a_signer_removed_in_one_event_and_needed_in_another_is_told_of_in_both(team: Team) -> None:
    team.found(("alice", "bob", "carol"), 2)
    desk = Desk(team)
    release = team.propose("1.0").topic
    for name in ("alice", "carol"):
        team.trusting(name).sign(release)
    context = team.person("alice").context
    context.forge.refresh()
    text = context.forge.tree(context.forge.main()).read("keyturn.yml")
    changing.policy(context, text.replace(b"alice, bob, carol", b"alice, bob"))

    checked = desk.check()

    (seen, *_), (same, *_) = (event.view.overlaps for event in checked.events)
    assert {finding.id for finding in seen.findings} == {finding.id for finding in same.findings} == {"KT106"}
    assert seen.roles == ()
    assert desk.status(release).state == "success"


def test_what_fails_for_one_event_leaves_an_error_on_it_and_the_others_alone(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = desk.team.propose("1.0").topic
    push(desk.team, "sign/other", {"channels.yml": b"{}\n"})
    real = checking_events.load_event

    def load(context: Context, topic: str) -> object:
        if topic == "other":
            raise EnvironmentFault("the disk is full", reason="disk")
        return real(context, topic)

    monkeypatch.setattr(checking_events, "load_event", load)
    checked = desk.check()

    assert desk.status("other") == Status(
        "error", "the check failed (disk); it says nothing about the event", RUN
    )
    assert desk.status(first).state == "pending"
    assert checked.exit_code is ExitCode.ENVIRONMENT
    assert "the disk is full" in checked.summary
    with pytest.raises(EnvironmentFault, match="the disk is full"):
        checked.require_whole()

    desk.host.writes.clear()
    desk.check()
    assert desk.host.writes == []


def test_a_mistake_of_ours_leaves_an_error_too_and_comes_out(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = desk.team.propose("1.0").topic

    def broken(*_: object, **__: object) -> object:
        raise ZeroDivisionError

    monkeypatch.setattr(checking_events, "status_of", broken)
    with pytest.raises(ZeroDivisionError):
        desk.check()

    assert desk.status(topic).state == "error"


def test_a_host_that_takes_no_comment_leaves_no_green_status(desk: Desk) -> None:
    topic = desk.team.propose("1.0").topic
    for name in ("alice", "bob"):
        desk.team.person(name).sign(topic)
    desk.host.broken["keep_comment"] = HostError("Resource not accessible", reason="permission")

    checked = desk.check()

    assert desk.status(topic).state == "error"
    assert [failure.error.reason for failure in checked.failures] == ["permission"]

    desk.host.broken.clear()
    assert desk.check().failures == ()
    assert desk.status(topic).state == "success"


def test_what_a_person_closed_stays_closed_until_the_branch_moves(desk: Desk) -> None:
    topic = desk.team.propose("1.0").topic
    desk.check()
    desk.host.close(desk.number(topic))

    checked = desk.check()
    assert checked.closed == (topic,)
    assert checked.events == ()
    assert f"`sign/{topic}`" in checked.summary
    assert desk.host.pull_requests() == ()

    desk.team.person("alice").sign(topic)
    desk.check()
    assert len(desk.host.pull_requests()) == 1


def test_a_topic_that_was_merged_before_gets_a_new_pull_request(desk: Desk) -> None:
    context = desk.team.person("alice").context
    for _ in range(2):
        (proposed,) = changing.renew(context, ["targets"])
        desk.check()
        for name in ("alice", "bob"):
            desk.team.person(name).sign(proposed.topic)
        events.merge(context, proposed.topic)
        desk.host.pulls = [pull for each in desk.host.pulls if (pull := desk.host.numbered(each.number))]

    assert [pull.branch for pull in desk.host.pull_requests(open_only=False)] == ["sign/renew"] * 2


def test_who_cannot_be_asked_is_mentioned_in_the_comment(desk: Desk) -> None:
    topic = desk.team.propose("1.0").topic
    desk.host.collaborators = ("alice",)

    desk.check()

    assert "cannot be requested of @bob:" in desk.comment(topic)
    assert "@alice" not in desk.comment(topic)


def test_who_answered_on_this_payload_is_not_asked_again_until_it_changes(desk: Desk) -> None:
    topic = desk.team.propose("1.0").topic
    desk.check()
    desk.host.review(desk.number(topic), PEOPLE["bob"], "Let me look at it tomorrow.")
    desk.check()
    asked_after_answer = desk.host.pull_requests()[0].requested

    bundle = desk.team.bundle("1.0")
    (bundle / "more").write_text("more\n")
    desk.team.propose("1.0")
    desk.check()

    assert asked_after_answer == ("alice",)
    assert set(desk.host.pull_requests()[0].requested) == {"alice", "bob"}


def test_a_branch_that_moves_meanwhile_is_judged_again_in_the_same_run(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = desk.team.propose("1.0").topic
    real = desk.host.set_status
    moved: list[str] = []

    def set_status(commit: str, status: Status, context: str = "keyturn") -> None:
        real(commit, status, context)
        if not moved:
            moved.append(commit)
            desk.team.person("alice").sign(topic)

    monkeypatch.setattr(desk.host, "set_status", set_status)
    desk.check()

    assert desk.tip(topic) != moved[0]
    assert desk.status(topic).description == "targets 2: 1 of 2 signatures, bob may sign"


def test_a_touched_event_brings_up_its_neighbours_and_no_others(desk: Desk) -> None:
    desk.team.propose("1.0")
    desk.team.propose("2.0")
    push(desk.team, "sign/apart", {"channels.yml": b"{}\n"})

    desk.check("release-hello-2.0")

    branches = {pull.branch for pull in desk.host.pull_requests()}
    assert branches == {"sign/release-hello-1.0", "sign/release-hello-2.0"}


def test_a_signature_pushed_by_somebody_else_is_a_warning_and_counts(desk: Desk) -> None:
    topic = desk.team.propose("1.0").topic
    desk.pushed(topic, "alice")
    before = desk.tip(topic)
    desk.team.person("bob").sign(topic)
    desk.pushed(topic, "mallory", before)

    checked = desk.check()

    assert checked.events[0].view.warnings == (
        "The signature of bob on targets 2 was pushed by mallory, not by bob: "
        "it counts, but ask bob about it",
    )
    assert "pushed by mallory" in desk.comment(topic)
    assert desk.status(topic).description.startswith("targets 2: 1 of 2")


@pytest.mark.parametrize("pusher", ["bob", "nobody-knows"])
def test_a_signature_pushed_by_its_owner_is_none(desk: Desk, pusher: str) -> None:
    topic = desk.team.propose("1.0").topic
    desk.team.person("bob").sign(topic)
    if pusher == "bob":
        desk.pushed(topic, "bob")

    assert desk.check().events[0].view.warnings == ()


def test_a_signature_commit_of_an_account_of_a_machine_is_a_warning_unless_from_a_review(desk: Desk) -> None:
    topic = desk.team.propose("1.0").topic
    desk.team.person("bob").sign(topic)
    desk.pushed(topic, "robot")

    assert "github-actions" in desk.check().events[0].view.warnings[0]


def test_signatures_that_a_change_left_behind_are_listed(desk: Desk) -> None:
    topic = desk.team.propose("1.0").topic
    desk.team.person("bob").sign(topic)
    first = desk.check().events[0].view.status.report.roles[0].digest
    (desk.team.bundle("1.0") / "more").write_text("more\n")
    desk.team.propose("1.0")

    checked = desk.check()

    (left,) = checked.events[0].view.left_behind
    assert (left.owner, left.role, left.version, left.digest) == ("bob", "targets", 2, first)
    assert f"`bob`: `targets 2`, payload `{first}`" in desk.comment(topic)


@pytest.mark.parametrize(
    "name",
    [
        "x`y",
        "a|b",
        "@alice",
        "#1",
        "<img-src=x>",
        "-leading",
        "\u202eevil\u200b",
        "${IFS}",
        "a;b",
    ],
)
def test_a_branch_may_be_called_what_git_lets_it(desk: Desk, name: str) -> None:
    push(desk.team, f"sign/{name}", {"channels.yml": b"{}\n"})

    checked = desk.check()

    assert checked.failures == ()
    (pull,) = desk.host.pull_requests()
    assert pull.title.isascii()
    assert not set(pull.title) & set("`@#<>|[]")


def test_a_history_of_its_own_is_judged_and_has_no_pull_request(desk: Desk) -> None:
    push(desk.team, "sign/orphan", {"metadata/targets.json": b"{}"}, orphan=True)

    checked = desk.check()

    assert checked.failures == ()
    assert checked.events[0].pull is None
    assert desk.status("orphan").state == "failure"
    assert desk.host.pulls == []


def test_without_a_root_digest_the_summary_says_that_main_vouches_for_itself(desk: Desk) -> None:
    desk.team.propose("1.0")

    alone = desk.check()
    context = replace(desk.context, root_digest=desk.team.root_digest)
    given = check_events(context, desk.host, run_url=RUN)

    assert "vouches for itself" in alone.summary
    assert "vouches for itself" not in given.summary
    assert not any(finding.id == "KT001" for finding in alone.events[0].view.status.report.findings)


def test_a_wrong_root_digest_makes_every_event_invalid(desk: Desk) -> None:
    topic = desk.team.propose("1.0").topic

    check_events(replace(desk.context, root_digest="0" * 64), desk.host, run_url=RUN)

    assert desk.status(topic).state == "failure"


def test_the_numbers_that_the_host_gives_are_written_into_the_founding_metadata(
    team: Team, tmp_path: Path
) -> None:
    team.init()
    desk = Desk(team)
    for name in ("alice", "bob"):
        person = team.person(name)
        context = replace(person.context, identify=identify_by(desk.host))
        found.join(context, found.FOUNDING, name, person.key)

    root = desk.check().events[0].view.loaded.event.head.root

    assert root is not None
    owners = root.signed.unrecognized_fields["x-keyturn"]["signers"].values()
    assert {owner["login"]: owner["id"] for owner in owners if owner != "online"} == {
        "alice": 1001,
        "bob": 1002,
    }


def test_the_comment_names_the_deadline_and_does_not_change_with_the_clock(desk: Desk) -> None:
    topic = desk.team.propose("1.0").topic
    desk.check()
    text = desk.comment(topic)

    desk.check(now=NOW + days(2))

    assert "Deadline: `targets 1`, which it replaces, expires on" in text
    assert desk.comment(topic) == text
    assert datetime.now(timezone.utc).strftime("%H:%M:%S") not in text
