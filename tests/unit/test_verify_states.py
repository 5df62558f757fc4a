"""The verdict on a signing event: the first state that fits, who has signed, who is missing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from securesystemslib.signer import Key, Signature, SSlibKey

from keyturn.errors import ExitCode
from keyturn.state import Delegation, RoleFile
from keyturn.verify import (
    Count,
    Event,
    EventState,
    KeyMark,
    Report,
    RoleStatus,
    count,
    errors,
    root_counts,
    signature_valid,
    verify_baseline,
    verify_event,
)
from keyturn.verify.thresholds import key_fingerprint
from unit.repository import (
    DAY,
    NOW,
    Draft,
    as_scheme,
    document,
    founded,
    founding,
    ids,
    key,
    keyid,
    release,
    released,
    role_file,
    rotated,
    sign_file,
    signer,
)


def proposed(*, without: tuple[str, ...] = ()) -> Draft:
    """An event that releases demo 2.0."""
    draft = released()
    release(draft, "2.0")
    return draft.sign(without={"targets": without})


def status(report: Report, role: str) -> RoleStatus:
    found = report.role(role)
    assert found
    return found


def owners(marks: tuple[KeyMark, ...]) -> list[str]:
    return [mark.owner for mark in marks]


def tallies(found: RoleStatus) -> list[tuple[str, int, int]]:
    return [(tally.under, tally.have, tally.need) for tally in found.counts]


# The states


def test_an_event_that_changes_nothing_is_empty() -> None:
    report = verify_event(released().event())

    assert report.state is EventState.EMPTY
    assert report.roles == ()


def test_empty_comes_before_invalid() -> None:
    assert verify_event(released().event(pinned="5a" * 32)).state is EventState.EMPTY


def test_a_violated_rule_makes_an_event_invalid_though_all_have_signed() -> None:
    draft = proposed()
    draft.files["README.md"] = b"one more thing\n"

    assert verify_event(draft.event()).state is EventState.INVALID


def test_a_conflict_makes_an_event_invalid_even_if_nothing_else_is_left_of_it() -> None:
    assert verify_event(released().event(conflicts=("keyturn.yml",))).state is EventState.INVALID


def test_a_warning_leaves_an_event_ready() -> None:
    draft = proposed()
    draft.files["targets/stray.txt"] = b"listed by nobody\n"
    report = verify_event(draft.event())

    assert report.findings
    assert errors(report.findings) == ()
    assert report.state is EventState.READY


def test_founding_is_incomplete_while_keys_are_missing_and_says_whose() -> None:
    draft = Draft({}, ("bob",))
    draft.files["keyturn.yml"] = founding().files["keyturn.yml"]
    report = verify_event(draft.event())

    assert report.state is EventState.INCOMPLETE
    assert report.missing_keys == ("alice", "carol", "online")


def test_founding_is_incomplete_while_nobody_has_proposed_the_metadata() -> None:
    draft = Draft({})
    draft.files["keyturn.yml"] = founding().files["keyturn.yml"]
    report = verify_event(draft.event())

    assert report.state is EventState.INCOMPLETE
    assert report.missing_keys == ()


def test_nothing_is_waited_for_while_the_policy_cannot_be_read() -> None:
    draft = Draft({})
    draft.files["keyturn.yml"] = b"version: 2\n"
    report = verify_event(draft.event())

    assert report.state is EventState.INVALID
    assert report.missing_keys == ()


def test_founding_is_pending_until_every_role_meets_its_threshold() -> None:
    draft = founding().sign(without={"root": ("bob", "carol")})
    report = verify_event(draft.event())

    assert report.state is EventState.PENDING
    assert report.missing_keys == ()
    assert {found.role: found.met for found in report.roles} == {
        "plugins": True,
        "root": False,
        "targets": True,
    }


def test_root_1_meets_its_own_threshold_alone() -> None:
    report = verify_event(founding().sign(without={"root": ("carol",)}).event())

    assert report.state is EventState.READY
    assert tallies(status(report, "root")) == [("root 1", 2, 2)]


def test_an_event_is_pending_while_a_signature_is_missing_and_says_whose() -> None:
    report = verify_event(proposed(without=("bob",)).event())

    assert report.state is EventState.PENDING
    (tally,) = status(report, "targets").counts
    assert (tally.under, tally.have, tally.need) == ("root 1", 1, 2)
    assert owners(tally.signed) == ["alice"]
    assert owners(tally.missing) == ["bob"]


def test_an_event_is_ready_once_the_threshold_is_met() -> None:
    report = verify_event(proposed().event())

    assert report.state is EventState.READY
    assert status(report, "targets").met


def test_an_event_that_changes_only_the_policy_needs_no_signature() -> None:
    draft = released()
    draft.files["keyturn.yml"] += b"# reviewed like any code\n"
    report = verify_event(draft.event())

    assert (report.state, report.roles) == (EventState.READY, ())


def test_each_of_several_roles_has_to_meet_its_own_threshold() -> None:
    draft = released()
    release(draft, "2.0")
    draft.list_target("plugins", "plugins/more.zip", b"more\n")
    report = verify_event(draft.sign(without={"plugins": ("carol",)}).event())

    assert report.state is EventState.PENDING
    assert status(report, "targets").met
    assert not status(report, "plugins").met


def test_an_untouched_role_that_expired_is_only_a_warning() -> None:
    draft = released()
    release(draft, "2.0")
    with draft.edit("targets") as signed:
        signed["expires"] = f"{NOW + 500 * DAY:%Y-%m-%dT%H:%M:%SZ}"
    report = verify_event(draft.sign().event(now=NOW + 400 * DAY))

    assert report.state is EventState.READY
    assert {finding.where for finding in report.findings} == {"metadata/root.json", "metadata/plugins.json"}


@pytest.mark.parametrize(
    ("state", "code"),
    [
        (EventState.EMPTY, ExitCode.NOTHING),
        (EventState.INVALID, ExitCode.INVALID),
        (EventState.INCOMPLETE, ExitCode.PENDING),
        (EventState.PENDING, ExitCode.PENDING),
        (EventState.READY, ExitCode.DONE),
        (EventState.MERGED, ExitCode.DONE),
    ],
)
def test_every_state_has_its_exit_code(state: EventState, code: ExitCode) -> None:
    assert state.exit_code is code


# Root, under the old root and under the new one


def handed_over(*, without: tuple[str, ...]) -> Report:
    """Root goes from alice, bob and carol to carol, dave and erin."""
    draft = released()
    for name in ("alice", "bob"):
        draft.remove_key("root", "root", name)
    for name in ("dave", "erin"):
        draft.add_key("root", "root", name)
    return verify_event(draft.sign(without={"root": without}).event())


def test_root_needs_both_old_and_new_thresholds() -> None:
    report = handed_over(without=("bob", "erin"))

    assert report.state is EventState.READY
    assert tallies(status(report, "root")) == [("root 1", 2, 2), ("root 2", 2, 2)]


def test_the_old_threshold_alone_is_not_enough_for_root() -> None:
    report = handed_over(without=("carol", "dave", "erin"))

    assert report.state is EventState.PENDING
    assert tallies(status(report, "root")) == [("root 1", 2, 2), ("root 2", 0, 2)]


def test_the_new_threshold_alone_is_not_enough_for_root() -> None:
    report = handed_over(without=("alice", "bob"))

    assert report.state is EventState.PENDING
    old, new = status(report, "root").counts
    assert (old.have, new.have) == (1, 3)
    assert owners(old.missing) == ["alice", "bob"]


def test_a_signature_under_the_new_root_never_counts_for_a_role_of_the_old_one() -> None:
    draft = released()
    draft.remove_key("root", "targets", "bob")
    draft.add_key("root", "targets", "dave")
    release(draft, "2.0")
    report = verify_event(draft.sign(without={"root": ("alice", "bob", "carol")}).event())

    assert report.state is EventState.PENDING
    assert tallies(status(report, "targets")) == [("root 2", 2, 2)]
    assert tallies(status(report, "root")) == [("root 1", 0, 2), ("root 2", 0, 2)]


# Counting


def under_two_schemes() -> tuple[Delegation, RoleFile]:
    """A role that has erin's RSA key under two schemes, signed under both."""
    draft = released()
    draft.add_key("root", "targets", "erin")
    draft.add_key("root", "targets", "frank", public=as_scheme("erin", "rsa-pkcs1v15-sha256"))
    release(draft, "2.0")
    state = draft.sign(without={"targets": ("alice", "bob")}).state
    (delegation,) = state.delegations_to("targets")
    file = state.role("targets")
    assert file
    return delegation, file


def test_one_key_under_two_keyids_counts_once() -> None:
    delegation, file = under_two_schemes()
    tally = count(delegation, file, "root")

    assert len(tally.signed) == 2
    assert tally.have == 1
    assert not tally.met


def test_a_signature_over_other_bytes_does_not_count() -> None:
    signature = signer("alice").sign(b"another payload")

    assert signature_valid(key("alice"), signature, b"another payload")
    assert not signature_valid(key("alice"), signature, b"this payload")


@pytest.mark.parametrize("text", ["", "zz", "00", "00" * 64])
def test_nonsense_in_place_of_a_signature_does_not_count(text: str) -> None:
    assert not signature_valid(key("alice"), Signature(keyid("alice"), text), b"payload")


class Claimant(Key):
    """A key of a kind that verifies by means of its own, and says yes."""

    @classmethod
    def from_dict(cls, keyid: str, key_dict: dict[str, object]) -> Claimant:
        return cls(keyid, "claim", "claim", key_dict)

    def to_dict(self) -> dict[str, object]:
        return self._to_dict()

    def verify_signature(self, signature: Signature, data: bytes) -> None:
        raise AssertionError("never asked")


def test_a_key_of_a_foreign_kind_is_never_asked() -> None:
    claimant = Claimant("5a" * 32, "claim", "claim", {})

    assert not signature_valid(claimant, Signature("5a" * 32, "00"), b"payload")
    assert key_fingerprint(claimant) == f"unreadable:{'5a' * 32}"


@pytest.mark.parametrize(
    ("keytype", "scheme", "public"),
    [
        ("ed25519", "ed25519", "no hexadecimal"),
        ("ed25519", "ed25519", "00"),
        ("rsa", "rsassa-pss-sha256", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"),
        ("ecdsa", "ecdsa-sha2-nistp256", ""),
    ],
)
def test_a_key_that_cannot_be_read_has_a_marker_instead_of_a_fingerprint(
    keytype: str, scheme: str, public: str
) -> None:
    broken = SSlibKey("5a" * 32, keytype, scheme, {"public": public})

    assert key_fingerprint(broken) == f"unreadable:{'5a' * 32}"
    assert not signature_valid(broken, Signature("5a" * 32, "00"), b"payload")


def test_a_keyid_without_a_key_neither_signs_nor_is_missed() -> None:
    draft = released()
    with draft.edit("root") as signed:
        signed["roles"]["targets"]["keyids"].append("9" * 64)
    (delegation,) = draft.state.delegations_to("targets")
    file = released().base.role("targets")
    assert file
    tally = count(delegation, file, "root 2")

    assert sorted(owners((*tally.signed, *tally.missing))) == ["alice", "bob"]


PEOPLE = ("alice", "bob", "carol")


@given(
    signed=st.sets(st.sampled_from([*PEOPLE, "mallory", "online"])),
    threshold=st.integers(min_value=1, max_value=4),
)
def test_a_threshold_is_met_by_that_many_of_the_keys_and_by_no_others(
    signed: set[str], threshold: int
) -> None:
    root = document(founded().files["metadata/root.json"])["signed"]
    root["roles"]["root"]["threshold"] = threshold
    unsigned = role_file("root", root)
    keys = {keyid(name): key(name) for name in signed}
    file = RoleFile.parse("root", unsigned.path, sign_file(unsigned.data, keys))
    (tally,) = root_counts(None, file)

    assert set(owners(tally.signed)) == signed & set(PEOPLE)
    assert set(owners(tally.missing)) == set(PEOPLE) - signed
    assert tally.met == (len(signed & set(PEOPLE)) >= threshold)


# What --json shows


def test_a_report_is_shown_as_json() -> None:
    report = verify_event(proposed(without=("bob",)).event())
    shown = report.to_dict()

    assert shown["state"] == "pending"
    assert shown["findings"] == []
    assert shown["missing-keys"] == []
    (role,) = shown["roles"]  # type: ignore[misc]
    assert role["role"] == "targets"
    assert role["version"] == 3
    assert role["payload-sha256"] == report.roles[0].digest
    assert role["met"] is False
    (tally,) = role["counts"]
    assert {name: tally[name] for name in ("under", "need", "have")} == {
        "under": "root 1",
        "need": 2,
        "have": 1,
    }
    assert [mark["owner"] for mark in tally["signed"]] == ["alice"]
    assert tally["missing"] == [
        {"owner": "bob", "keyid": keyid("bob"), "fingerprint": key_fingerprint(key("bob"))}
    ]


def test_a_role_that_is_not_proposed_has_no_status() -> None:
    assert verify_event(proposed().event()).role("plugins") is None


# What an event consists of


def test_a_role_whose_signatures_alone_change_is_not_proposed_anew() -> None:
    draft = rotated()
    draft.strip("targets", "bob")
    event = draft.event()

    assert [file.role for file in event.changed_files] == ["targets"]
    assert event.proposed == ()
    assert ids(verify_event(event).findings) == {"KT103", "KT105"}


def test_online_roles_are_never_proposed() -> None:
    draft = released()
    draft.files["metadata/timestamp.json"] = draft.files["metadata/targets.json"]

    assert draft.event().changed_files == ()


def test_the_baseline_is_judged_without_looking_at_what_is_proposed() -> None:
    draft = proposed()
    draft.files["README.md"] = b"one more thing\n"

    assert verify_baseline(draft.event()) == ()
    assert ids(verify_baseline(draft.event(pinned="5a" * 32))) == {"KT001"}


def test_a_login_in_the_keyring_is_found_in_any_spelling() -> None:
    keyring = released().event().keyring

    assert keyring.key("ALICE") == key("alice")
    assert keyring.key("dave") is None


def test_counts_name_the_delegator_and_its_version() -> None:
    draft = released()
    draft.list_target("plugins", "plugins/more.zip", b"more\n")
    (found,) = verify_event(draft.sign().event()).roles

    assert tallies(found) == [("targets 2", 1, 1)]


def test_a_count_of_nothing_is_not_met() -> None:
    assert not Count(under="root 1", need=1, signed=(), missing=()).met


def test_an_event_is_founding_only_while_main_has_no_metadata() -> None:
    assert founding().event().founding
    assert not released().event().founding


def test_nobody_is_missing_from_a_repository_that_is_founded() -> None:
    event: Event = released().event()

    assert event.missing_keys == ()
    assert verify_event(event).missing_keys == ()
