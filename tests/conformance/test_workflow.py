"""The specification's client workflow, step by step; the numbers are those of its section 5.

A test's name says what the client does; the heading above it says which steps ask for it.
"""

from __future__ import annotations

import json
from datetime import timedelta
from http import HTTPStatus

import pytest
from tuf.api.metadata import MetaFile

from conformance.world import ALICE, BOB, BOTH, CAROL, HELD, MALLORY, NOW, Here, key

pytestmark = pytest.mark.slow

LONG = timedelta(days=1000)


def renewed(here: Here) -> None:
    """Everything but root is good for long enough."""
    for role in ("targets", "snapshot", "timestamp"):
        here.repository.roles[role].expires = NOW + LONG
    here.repository.release("targets")


# 5.1 The time of the update is fixed when it starts


def test_what_expires_while_the_update_runs_is_good_until_its_end(here: Here) -> None:
    def tarry(path: str) -> None:
        if path == "metadata/1.snapshot.json":
            here.travel(days=400)

    here.site.heard = tarry

    assert here.refresh().done
    assert here.refresh().refusal == ("expired", "root")


# 5.2 The trusted root


def test_without_a_trusted_root_nothing_is_asked_for(here: Here) -> None:
    (here.metadata / "root.json").unlink()

    assert here.refresh().refusal == ("disk", "")
    assert here.site.asked == []


def test_a_first_root_below_its_own_threshold_is_not_trusted(here: Here) -> None:
    here.init(here.repository.signed("root", ALICE))
    (here.metadata / "root.json").unlink()
    (here.metadata / "root.json").write_bytes(here.repository.signed("root", ALICE))

    assert here.refresh().refusal == ("threshold", "root")
    assert here.site.asked == []


# 5.3.2, 5.3.3, 5.3.9 One root after the other


@BOTH
def test_roots_are_followed_one_by_one_until_there_is_none(here: Here) -> None:
    here.repository.renew("root", "root", "root")

    assert here.refresh().done
    assert here.held() == {**HELD, "root": 4}
    assert here.site.asked[:5] == [
        *(f"metadata/{n}.root.json" for n in (2, 3, 4, 5)),
        "metadata/timestamp.json",
    ]


def test_a_gap_in_the_roots_ends_the_walk(here: Here) -> None:
    here.repository.renew("root", "root")
    del here.repository.files["metadata/2.root.json"]

    assert here.refresh().done
    assert here.held() == HELD


@pytest.mark.parametrize("status", [HTTPStatus.INTERNAL_SERVER_ERROR, HTTPStatus.SERVICE_UNAVAILABLE])
def test_a_server_that_may_have_a_next_root_is_not_believed_to_have_none(
    here: Here, status: HTTPStatus
) -> None:
    here.site.status["metadata/2.root.json"] = status

    assert here.refresh().refusal == ("network", "")
    assert here.held() == {"root": 1}


def test_a_root_that_is_too_long_is_refused(here: Here) -> None:
    here.repository.root.unrecognized_fields["x-long"] = "x" * 512_000
    here.repository.renew("root")

    assert here.refresh().refusal == ("hash-mismatch", "root")
    assert here.held() == {"root": 1}


@pytest.mark.slow
def test_an_update_follows_256_roots_and_the_next_one_the_rest(here: Here) -> None:
    here.repository.renew(*["root"] * 259)

    assert here.refresh().done
    assert here.held()["root"] == 257
    assert here.refresh().done
    assert here.held()["root"] == 260


# 5.3.4 A new root needs the thresholds of the root before it and its own


@pytest.mark.parametrize(
    ("signers", "accepted"),
    [
        ("alice bob dave erin", True),
        ("bob carol erin dave", True),
        ("alice bob dave erin mallory", True),
        ("alice bob carol", False),
        ("dave erin", False),
        ("alice dave erin", False),
        ("alice bob dave", False),
        ("alice mallory dave erin", False),
        ("mallory", False),
    ],
)
def test_a_root_with_new_owners_needs_both_thresholds(here: Here, signers: str, accepted: bool) -> None:
    here.repository.entrust("root", key("dave"), key("erin"), threshold=2)
    here.repository.root.version = 2
    here.repository.put("root", *(key(owner) for owner in signers.split()))

    outcome = here.refresh()

    assert outcome.refusal == (None if accepted else ("threshold", "root"))
    assert here.held()["root"] == (2 if accepted else 1)


def test_a_lowered_threshold_still_needs_the_old_one(here: Here) -> None:
    here.repository.root.roles["root"].threshold = 1
    here.repository.root.version = 2
    here.repository.put("root", ALICE)
    assert here.refresh().refusal == ("threshold", "root")

    here.repository.put("root", ALICE, CAROL)
    assert here.refresh().done


def test_a_raised_threshold_is_needed_at_once(here: Here) -> None:
    here.repository.root.roles["root"].threshold = 3
    here.repository.renew("root")
    assert here.refresh().refusal == ("threshold", "root")

    here.repository.put("root", ALICE, BOB, CAROL)
    assert here.refresh().done


# 5.3.5 Exactly the next version


@pytest.mark.parametrize(("version", "reason"), [(1, "rollback"), (3, "bad-metadata"), (99, "bad-metadata")])
def test_a_root_of_any_other_version_than_the_next_is_refused(here: Here, version: int, reason: str) -> None:
    here.repository.root.version = version
    here.site.instead["metadata/2.root.json"] = here.repository.signed("root")

    assert here.refresh().refusal == (reason, "root")
    assert here.held() == {"root": 1}


# 5.3.6, 5.3.10 Only the last root may not have expired


def test_an_expired_root_with_a_good_successor_is_no_obstacle(here: Here) -> None:
    here.repository.root.expires = NOW - timedelta(days=1)
    here.repository.renew("root")
    here.repository.root.expires = NOW + LONG
    here.repository.renew("root")

    assert here.refresh().done
    assert here.held()["root"] == 3


def test_a_client_that_slept_past_its_root_catches_up(here: Here) -> None:
    here.refresh()
    here.travel(days=500)
    here.repository.root.expires = NOW + LONG
    here.repository.renew("root")
    renewed(here)

    assert here.refresh().done
    assert here.held() == {"root": 2, "timestamp": 2, "snapshot": 2, "targets": 2}


def test_a_last_root_that_has_expired_is_refused_before_anything_else_is_asked_for(here: Here) -> None:
    here.repository.root.expires = NOW
    here.repository.renew("root")

    assert here.refresh().refusal == ("expired", "root")
    assert "timestamp" not in here.held()


# 5.3.7, 5.3.8 A verified root is kept, whatever comes after it


@BOTH
def test_a_verified_root_is_kept_although_the_next_one_is_refused(here: Here) -> None:
    here.repository.renew("root")
    here.repository.root.version = 3
    here.repository.put("root", MALLORY)

    assert here.refresh().refusal == ("threshold", "root")
    assert here.held() == {"root": 2}
    assert (here.metadata / "root.json").read_bytes() == here.repository.files["metadata/2.root.json"]


# 5.3.11 New online keys: test_attacks.py, fast-forward


# 5.3.12 Consistent snapshots


@BOTH
def test_without_consistent_snapshots_names_have_no_versions(here: Here) -> None:
    here.repository.root.consistent_snapshot = False
    here.repository.renew("root")
    here.repository.delegate("targets", "plugins")
    here.repository.add_target("file", b"content", role="plugins")
    here.repository.release("plugins", "targets")

    assert here.download("file").done
    assert here.site.asked == [
        "metadata/2.root.json",
        "metadata/3.root.json",
        "metadata/timestamp.json",
        "metadata/snapshot.json",
        "metadata/targets.json",
        "metadata/plugins.json",
        "targets/file",
    ]


def test_consistent_snapshots_may_be_switched_on_by_a_root(here: Here) -> None:
    here.repository.root.consistent_snapshot = False
    here.repository.renew("root")
    here.repository.release("targets")
    assert here.refresh().done
    here.repository.root.consistent_snapshot = True
    here.repository.renew("root")
    here.repository.release("targets")
    here.site.asked.clear()

    assert here.refresh().done
    assert here.site.asked[-2:] == ["metadata/3.snapshot.json", "metadata/3.targets.json"]


# 5.4.1, 5.5.1, 5.6.1 Nobody's metadata is read without an end


def test_a_timestamp_that_is_too_long_is_refused(here: Here) -> None:
    here.repository.timestamp.unrecognized_fields["x-long"] = "x" * 16_384
    here.repository.renew("timestamp")

    assert here.refresh().refusal == ("hash-mismatch", "timestamp")
    assert here.held() == {"root": 1}


@pytest.mark.parametrize(("role", "most"), [("snapshot", 2_000_000), ("targets", 5_000_000)])
def test_a_role_listed_without_a_length_may_have_so_much(here: Here, role: str, most: int) -> None:
    here.repository.roles[role].unrecognized_fields["x-long"] = "x" * most
    here.repository.release("targets")

    assert here.refresh().refusal == ("hash-mismatch", role)


@pytest.mark.parametrize(("role", "most"), [("snapshot", 2_000_000), ("targets", 5_000_000)])
def test_a_role_listed_with_a_length_may_have_that_much(here: Here, role: str, most: int) -> None:
    here.repository.hashed = ("sha256",)
    here.repository.roles[role].unrecognized_fields["x-long"] = "x" * most
    here.repository.release("targets")

    assert here.refresh().done


# 5.5.2, 5.6.2 Lengths and hashes


@pytest.mark.parametrize("role", ["snapshot", "targets"])
def test_metadata_of_other_bytes_than_listed_is_refused(here: Here, role: str) -> None:
    here.repository.hashed = ("sha256",)
    here.repository.release("targets")
    name = here.repository.name(role)
    data = here.repository.files[name]
    # As long as before, and as well signed: a signature is written in capitals.
    signature = json.loads(data)["signatures"][0]["sig"].encode()
    here.site.instead[name] = data.replace(signature, signature.upper())

    assert here.refresh().refusal == ("hash-mismatch", role)
    assert role not in here.held()


@pytest.mark.parametrize("more", [b" ", b"\n" * 100])
@pytest.mark.parametrize("role", ["snapshot", "targets"])
def test_metadata_longer_than_listed_is_refused(here: Here, role: str, more: bytes) -> None:
    here.repository.hashed = ("sha256",)
    here.repository.release("targets")
    name = here.repository.name(role)
    here.site.instead[name] = here.repository.files[name] + more

    assert here.refresh().refusal == ("hash-mismatch", role)


def test_metadata_listed_with_a_wrong_version_of_its_own_bytes_is_refused(here: Here) -> None:
    here.repository.hashed = ("sha256",)
    here.repository.release("targets")
    listed = here.repository.snapshot.meta["targets.json"]
    here.repository.files["metadata/3.targets.json"] = here.repository.files["metadata/2.targets.json"]
    here.repository.snapshot.meta["targets.json"] = MetaFile(3, listed.length, listed.hashes)
    here.repository.renew("snapshot", "timestamp")

    assert here.refresh().refusal == ("rollback", "targets")


# 5.4.2, 5.5.3, 5.6.3 Signatures


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets"])
def test_a_role_below_its_threshold_is_refused_and_nothing_after_it_asked_for(here: Here, role: str) -> None:
    before = ["root", "timestamp", "snapshot", "targets"]
    before = before[: before.index(role) + 1]
    here.repository.put(role, MALLORY, ALICE)

    assert here.refresh().refusal == ("threshold", role)
    assert here.site.asked_roles() == before
    assert sorted(here.held()) == sorted(before[:-1])


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets"])
def test_a_changed_payload_has_no_signatures(here: Here, role: str) -> None:
    name = here.repository.name(role)
    data = here.repository.files[name]
    here.site.instead[name] = data.replace(b'"expires":"20', b'"expires":"21')
    assert here.site.instead[name] != data

    assert here.refresh().refusal == ("threshold", role)


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets"])
def test_the_keys_of_another_role_do_not_sign(here: Here, role: str) -> None:
    others = [ALICE, BOB, key("snapshot")] if role == "timestamp" else [key("timestamp"), key("root")]
    here.repository.put(role, *others)

    assert here.refresh().refusal == ("threshold", role)


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets"])
def test_replaced_owners_no_longer_sign(here: Here, role: str) -> None:
    here.refresh()
    here.repository.entrust(role, key("dave"))
    here.repository.renew("root")
    assert here.refresh().refusal == ("threshold", role)

    here.repository.release("targets")
    assert here.refresh().done
    assert here.held()["root"] == 2


# 5.4.3, 5.5.4, 5.5.5, 5.6.4 Versions


@BOTH
def test_an_older_timestamp_is_refused(here: Here) -> None:
    here.repository.renew("timestamp")
    here.refresh()
    here.repository.set_versions(1, "timestamp")

    assert here.refresh().refusal == ("rollback", "timestamp")
    assert here.held()["timestamp"] == 2


@BOTH
def test_another_timestamp_of_the_same_version_is_passed_over(here: Here) -> None:
    here.refresh()
    kept = (here.metadata / "timestamp.json").read_bytes()
    here.repository.timestamp.snapshot_meta = MetaFile(7)
    here.repository.put("timestamp")

    assert here.refresh().done
    assert (here.metadata / "timestamp.json").read_bytes() == kept
    assert here.site.asked[-1] == "metadata/timestamp.json"


@pytest.mark.parametrize("hashed", [(), ("sha256",)], ids=["by version", "by hash"])
def test_a_newer_timestamp_that_lists_an_older_snapshot_is_refused(
    here: Here, hashed: tuple[str, ...]
) -> None:
    here.repository.hashed = hashed
    here.repository.release("targets")
    here.refresh()
    here.repository.set_versions(1, "snapshot")
    here.repository.renew("timestamp")

    assert here.refresh().refusal == ("rollback", "timestamp")
    assert (here.held()["timestamp"], here.held()["snapshot"]) == (2, 2)


@pytest.mark.parametrize(("version", "reason"), [(1, "rollback"), (3, "bad-metadata")])
@pytest.mark.parametrize("role", ["snapshot", "targets"])
def test_a_role_of_another_version_than_listed_is_refused(
    here: Here, role: str, version: int, reason: str
) -> None:
    here.repository.release("targets")
    here.repository.roles[role].version = version
    here.site.instead[f"metadata/2.{role}.json"] = here.repository.signed(role)

    assert here.refresh().refusal == (reason, role)
    assert role not in here.held()


@pytest.mark.parametrize("hashed", [(), ("sha256",)], ids=["by version", "by hash"])
def test_a_newer_snapshot_that_lists_older_targets_is_refused(here: Here, hashed: tuple[str, ...]) -> None:
    here.repository.hashed = hashed
    here.repository.release("targets")
    here.refresh()
    here.repository.set_versions(1, "targets")
    here.repository.renew("snapshot", "timestamp")

    assert here.refresh().refusal == ("rollback", "snapshot")
    assert (here.held()["snapshot"], here.held()["targets"]) == (2, 2)


def test_a_newer_snapshot_that_lists_an_older_role_is_refused_before_that_role_is_looked_at(
    here: Here,
) -> None:
    here.repository.delegate("targets", "plugins")
    here.repository.release("plugins", "targets")
    here.repository.release("plugins")
    here.refresh()
    here.repository.set_versions(1, "plugins")
    here.repository.renew("snapshot", "timestamp")

    assert here.refresh().refusal == ("rollback", "snapshot")


def test_a_newer_snapshot_that_drops_a_role_is_refused(here: Here) -> None:
    here.repository.delegate("targets", "plugins")
    here.repository.release("plugins", "targets")
    here.refresh()
    del here.repository.snapshot.meta["plugins.json"]
    here.repository.renew("snapshot", "timestamp")

    assert here.refresh().refusal == ("rollback", "snapshot")


# 5.4.4, 5.5.6, 5.6.5 Freezing


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets"])
def test_a_role_that_has_expired_is_refused(here: Here, role: str) -> None:
    here.refresh()
    here.repository.roles[role].expires = NOW
    here.repository.release("targets")

    assert here.refresh().refusal == ("expired", role)
    assert here.held()[role] == 1


@pytest.mark.parametrize(("role", "days"), [("timestamp", 3), ("snapshot", 14), ("targets", 120)])
def test_a_held_role_is_good_until_the_second_when_it_expires(here: Here, role: str, days: int) -> None:
    for other in {"root", "timestamp", "snapshot", "targets"} - {role}:
        here.repository.roles[other].expires = NOW + LONG
    here.repository.renew("root")
    for other in ("targets", "snapshot", "timestamp"):
        here.repository.put(other)
    here.refresh()
    here.travel(days=days, seconds=-1)
    assert here.refresh().done

    here.travel(seconds=1)
    assert here.refresh().refusal == ("expired", role)


def test_what_has_expired_here_still_protects_from_going_back(here: Here) -> None:
    here.repository.release("targets")
    here.refresh()
    here.travel(days=30)
    for role in ("targets", "snapshot", "timestamp"):
        here.repository.roles[role].expires = NOW + LONG
    here.repository.set_versions(1, "targets", "snapshot")
    here.repository.renew("timestamp")

    assert here.refresh().refusal == ("rollback", "timestamp")


def test_what_has_expired_here_is_replaced_by_what_has_not(here: Here) -> None:
    here.refresh()
    here.travel(days=200)
    renewed(here)

    assert here.refresh().done
    assert here.held() == {**HELD, "timestamp": 2, "snapshot": 2, "targets": 2}


# 5.4.5, 5.5.7, 5.6.6 What has been verified is kept, although what follows it is not


@pytest.mark.parametrize(
    ("missing", "held"),
    [
        ("timestamp", {"root": 2}),
        ("1.snapshot", {"root": 2, "timestamp": 1}),
        ("1.targets", {"root": 2, "timestamp": 1, "snapshot": 1}),
    ],
)
def test_an_update_that_breaks_off_is_taken_up_where_it_was(
    here: Here, missing: str, held: dict[str, int]
) -> None:
    here.repository.renew("root")
    here.site.status[f"metadata/{missing}.json"] = HTTPStatus.NOT_FOUND

    assert here.refresh().refusal == ("not-found", "")
    assert here.held() == held

    here.site.status.clear()
    assert here.refresh().done


# 5.6.7 The search for a target: test_delegations.py


# 5.7 The target itself


@BOTH
def test_a_path_that_nobody_signed_for_is_not_asked_for(here: Here) -> None:
    here.repository.files["targets/unsigned"] = b"content"

    assert here.download("unsigned").refusal == ("no-target", "")
    assert here.got() == {}
    assert here.site.asked_roles() == ["root", "timestamp", "snapshot", "targets"]


@pytest.mark.parametrize("served", [b"conten!", b"conten", b"content!", b""])
def test_a_target_of_other_bytes_is_not_stored(here: Here, served: bytes) -> None:
    target = here.repository.add_target("file", b"content")
    here.repository.release("targets")
    here.site.instead[here.repository.target_names(target)[0]] = served

    assert here.download("file").refusal == ("hash-mismatch", "")
    assert here.got() == {}


def test_a_refused_target_leaves_the_one_that_was_there(here: Here) -> None:
    here.repository.add_target("file", b"old")
    here.repository.release("targets")
    here.download("file")
    target = here.repository.add_target("file", b"new")
    here.repository.release("targets")
    here.site.instead[here.repository.target_names(target)[0]] = b"bad"

    assert here.download("file").refusal == ("hash-mismatch", "")
    assert here.got() == {"file": b"old"}


def test_a_stored_target_that_was_changed_is_fetched_again(here: Here) -> None:
    here.repository.add_target("file", b"content")
    here.repository.release("targets")
    here.download("file")
    (here.targets / "file").write_bytes(b"changed")

    assert here.download("file").done
    assert here.got() == {"file": b"content"}


def test_an_empty_target_is_a_target(here: Here) -> None:
    here.repository.add_target("empty", b"")
    here.repository.release("targets")

    assert here.download("empty").done
    assert here.got() == {"empty": b""}


def test_a_target_that_is_signed_for_but_missing_fails(here: Here) -> None:
    target = here.repository.add_target("file", b"content")
    here.repository.release("targets")
    del here.repository.files[here.repository.target_names(target)[0]]

    assert here.download("file").refusal == ("not-found", "")
    assert here.got() == {}
