"""What a person reads about a signing event."""

from __future__ import annotations

import pytest

from keyturn.cli import render
from keyturn.cli.lines import Lines
from keyturn.errors import ExitCode
from keyturn.flow.checking import Checked
from keyturn.flow.events import Status
from keyturn.verify import Count, Difference, EventState, Finding, KeyMark, Report, RoleStatus, Severity

MARKS = {
    name: KeyMark(name, keyid * 64, fingerprint * 32)
    for name, keyid, fingerprint in [("alice", "a", "1a"), ("bob", "b", "2b"), ("carol", "c", "3c")]
}
PAYLOAD = "75fb" * 16


def count(need: int, signed: str = "", missing: str = "", under: str = "root 1") -> Count:
    return Count(
        under=under,
        need=need,
        signed=tuple(MARKS[name] for name in signed.split()),
        missing=tuple(MARKS[name] for name in missing.split()),
    )


def status(
    state: EventState,
    *roles: RoleStatus,
    findings: tuple[Finding, ...] = (),
    missing_keys: tuple[str, ...] = (),
    topic: str = "release-1",
) -> Status:
    report = Report(state=state, findings=findings, roles=roles, missing_keys=missing_keys)
    return Status(topic, state, report, (), "ab" * 32)


def role(name: str, *counts: Count, version: int = 2) -> RoleStatus:
    return RoleStatus(role=name, version=version, digest=PAYLOAD, counts=counts)


def finding(severity: Severity = Severity.ERROR, what: str = "is wrong") -> Finding:
    return Finding("KT102", severity, what, "metadata/root.json", "Because.", "Mend it so.")


def plain(lines: Lines, level: int = 1) -> list[str]:
    return [one.plain() for one in lines if one.level <= level]


def test_a_pending_event_names_who_is_missing_in_one_line() -> None:
    one = status(EventState.PENDING, role("targets", count(2, "alice", "bob")))
    assert render.headline(one).plain() == "sign/release-1: pending: targets 2: 1 of 2, missing: bob"


def test_roles_that_miss_the_same_signatures_share_the_line() -> None:
    one = status(
        EventState.PENDING,
        role("root", count(2, "alice", "bob"), version=1),
        role("targets", count(2, "alice", "bob"), version=1),
    )
    assert render.missing(one.report) == "root 1, targets 1: 1 of 2, missing: bob"


def test_where_more_may_sign_than_have_to_it_says_how_many() -> None:
    one = status(EventState.PENDING, role("targets", count(2, "alice", "bob carol")))
    assert render.missing(one.report) == "targets 2: 1 of 2, missing: 1 of bob, carol"


def test_old_and_new_root_are_told_apart() -> None:
    root = role("root", count(2, "alice", "bob", "root 1"), count(2, "alice bob", "carol", "root 2"))
    lines = plain(render.status(status(EventState.PENDING, root)))
    assert "    under root 1: 1 of 2" in lines
    assert "    under root 2: 2 of 2" in lines
    assert "      missing: bob 2b2b 2b2b 2b2b 2b2b" in lines
    assert "      may still sign: carol 3c3c 3c3c 3c3c 3c3c" in lines
    assert lines[0].endswith("root 2 under root 1: 1 of 2, missing: bob")


def test_details_tell_fingerprints_in_full() -> None:
    lines = plain(render.status(status(EventState.READY, role("targets", count(1, "alice")))), 2)
    assert f"        fingerprint {'1a' * 32}, keyid {'a' * 64}" in lines


def test_a_key_that_cannot_be_read_is_shown_as_such() -> None:
    mark = KeyMark("eve", "e" * 64, "unreadable:" + "e" * 64)
    one = status(EventState.PENDING, role("targets", Count("root 1", 1, (), (mark,))))
    assert f"      missing: eve unreadable:{'e' * 64}" in plain(render.status(one))


def test_the_payload_to_expect_is_shown_in_full() -> None:
    lines = plain(render.status(status(EventState.PENDING, role("targets", count(1, "", "alice")))))
    assert f"  targets 2, payload {PAYLOAD}" in lines


@pytest.mark.parametrize(
    ("one", "step"),
    [
        (status(EventState.READY), "anybody runs: keyturn merge release-1"),
        (status(EventState.MERGED), "whoever holds the online key runs: keyturn publish --out DIR --key URI"),
        (status(EventState.EMPTY), "nothing; propose something, or delete the branch"),
        (status(EventState.INVALID), "mend what the findings name, and propose again"),
        (
            status(EventState.INCOMPLETE, missing_keys=("bob", "carol")),
            "bob runs: keyturn join release-1 --login bob --key URI",
        ),
        (
            status(EventState.PENDING, role("targets", count(2, "alice", "bob"))),
            "bob runs: keyturn sign release-1",
        ),
        (
            status(EventState.PENDING, role("targets", count(2, "", "alice bob"))),
            "alice and bob each run: keyturn sign release-1",
        ),
        (
            status(EventState.PENDING, role("targets", count(2, "alice", "bob carol"))),
            "bob or carol runs: keyturn sign release-1",
        ),
    ],
    ids=["ready", "merged", "empty", "invalid", "incomplete", "one-missing", "all-missing", "some-missing"],
)
def test_every_state_says_what_to_do_next(one: Status, step: str) -> None:
    assert render.next_step(one) == step


def test_a_topic_cannot_smuggle_a_command_into_what_a_person_copies() -> None:
    one = status(EventState.READY, topic="x;$(touch${IFS}y)")
    assert render.next_step(one) == "anybody runs: keyturn merge 'x;$(touch${IFS}y)'"


def test_findings_say_id_severity_place_what_and_how_to_mend() -> None:
    lines = render.findings([finding(), finding(Severity.WARNING, "is odd")])
    assert plain(lines) == [
        "  KT102 error metadata/root.json: is wrong",
        "        mend: Mend it so.",
        "  KT102 warning metadata/root.json: is odd",
        "        mend: Mend it so.",
    ]
    assert "        why: Because." in plain(lines, 2)


def test_an_invalid_event_names_its_rules_in_one_line() -> None:
    one = status(EventState.INVALID, findings=(finding(), finding(), finding(Severity.WARNING)))
    assert render.headline(one).plain() == "sign/release-1: invalid: 2 findings, KT102"


def test_changes_are_grouped_by_role_and_the_loud_ones_marked() -> None:
    lines = render.changes(
        [
            Difference("root", "version", "root", "version 1", "version 2", loud=False),
            Difference("root", "key-removed", "root", "bob 2b2b", None, loud=True),
            Difference("targets", "target-added", "a\u202e.tar.gz", None, "3 bytes", loud=False),
        ]
    )
    assert plain(lines) == [
        "root:",
        "   ~ version root: version 1 -> version 2",
        "!! - key-removed root: bob 2b2b",
        "targets:",
        "   + target-added a\\u202e.tar.gz: 3 bytes",
    ]


def test_no_change_is_said() -> None:
    assert plain(render.changes([])) == ["no change in what is signed"]


@pytest.mark.parametrize(
    ("states", "code"),
    [
        ([], ExitCode.DONE),
        ([EventState.READY], ExitCode.DONE),
        ([EventState.READY, EventState.EMPTY], ExitCode.NOTHING),
        ([EventState.EMPTY, EventState.PENDING], ExitCode.PENDING),
        ([EventState.INVALID, EventState.PENDING, EventState.READY], ExitCode.INVALID),
    ],
)
def test_several_events_end_with_the_code_of_the_one_furthest_from_done(
    states: list[EventState], code: ExitCode
) -> None:
    assert render.worst(state.exit_code for state in states) is code


def test_every_state_has_a_place_among_the_codes() -> None:
    assert all(render.worst([state.exit_code]) is state.exit_code for state in EventState)


def test_no_event_is_said() -> None:
    assert plain(render.status_list([])) == ["no open signing events"]


@pytest.mark.parametrize(
    ("findings", "said"),
    [
        ((), "valid: site S"),
        ((finding(Severity.WARNING),), "valid: site S, 1 warning"),
        ((finding(), finding(), finding(Severity.WARNING)), "invalid: site S: 2 errors, 1 warning"),
    ],
)
def test_verify_ends_with_a_verdict(findings: tuple[Finding, ...], said: str) -> None:
    lines = render.checked(Checked("S", "site", findings))
    assert plain(lines, 0) == [said]


def test_signatures_that_are_left_behind_are_named_once() -> None:
    assert render.left_behind(()) == ()
    (text,) = plain(render.left_behind(("alice", "bob", "alice")))
    assert "alice, bob, made" in text
