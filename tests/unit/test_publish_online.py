"""Snapshot and timestamp: signed only when needed, numbered ahead of all that was ever signed."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from keyturn.errors import RefusedError, UsageError
from keyturn.publish.online import OnlineFiles, sign_online
from keyturn.signing import KeySigner
from keyturn.state import Site, State, sha256_hex
from keyturn.tree import MemoryTree
from unit.repository import (
    DAY,
    NOW,
    Draft,
    Published,
    document,
    key,
    keyid,
    released,
    rendered,
    sign_file,
    signer,
)

ONLINE: list[KeySigner] = [signer("online")]


def site(online: OnlineFiles) -> Site:
    """A site that holds nothing but these two files."""
    return Site(
        MemoryTree(
            {
                online.snapshot.path: online.snapshot.data,
                "metadata/timestamp.json": online.timestamp.data,
            }
        )
    )


def sign(
    state: State, *previous: Site, now: datetime = NOW, signers: list[KeySigner] | None = None
) -> OnlineFiles:
    return sign_online(state, ONLINE if signers is None else signers, previous, now)


def versions(online: OnlineFiles) -> tuple[int, int]:
    return online.snapshot.version, online.timestamp.version


def next_release() -> State:
    draft = released()
    draft.list_target("targets", "notes.txt", b"notes\n")
    return draft.sign().state


def numbered(state: State, snapshot: int, timestamp: int) -> Site:
    """A validly signed site for a state, at these versions."""
    made = Published(state, version=snapshot)
    made.seal(timestamp=lambda signed: signed.update(version=timestamp))
    return Site(made.tree)


# What is signed


def test_the_first_publication_signs_both_at_version_1() -> None:
    online = sign(released().state)

    assert online.signed == ("snapshot", "timestamp")
    assert versions(online) == (1, 1)
    assert online.snapshot.path == "metadata/1.snapshot.json"
    assert online.timestamp.path == "metadata/timestamp.json"


def test_the_snapshot_lists_every_role_with_version_length_and_hash() -> None:
    state = released().state
    listed = document(sign(state).snapshot.data)["signed"]["meta"]

    assert sorted(listed) == ["plugins.json", "targets.json"]
    for name, meta in listed.items():
        data = state.tree.read(f"metadata/{name}")
        assert meta == {"version": 2, "length": len(data), "hashes": {"sha256": sha256_hex(data)}}


def test_the_timestamp_names_the_snapshot() -> None:
    online = sign(released().state)

    assert document(online.timestamp.data)["signed"]["meta"] == {
        "snapshot.json": {
            "version": 1,
            "length": len(online.snapshot.data),
            "hashes": {"sha256": sha256_hex(online.snapshot.data)},
        }
    }


def test_expiry_follows_the_signed_periods() -> None:
    online = sign(released().state)

    assert online.snapshot.expires == NOW + 14 * DAY
    assert online.timestamp.expires == NOW + 3 * DAY


def test_the_same_input_gives_the_same_bytes() -> None:
    state = released().state

    assert sign(state) == sign(state)


# What is left as it is


def test_nothing_new_needs_no_signature_and_no_key() -> None:
    state = released().state
    first = sign(state)
    again = sign(state, site(first), signers=[])

    assert again.signed == ()
    assert (again.snapshot.data, again.timestamp.data) == (first.snapshot.data, first.timestamp.data)


@pytest.mark.parametrize(
    ("after", "signed"),
    [
        (2 * DAY - timedelta(seconds=1), ()),
        (2 * DAY, ("timestamp",)),
        (7 * DAY - timedelta(seconds=1), ("timestamp",)),
        (7 * DAY, ("snapshot", "timestamp")),
        (30 * DAY, ("snapshot", "timestamp")),
    ],
    ids=str,
)
def test_each_is_renewed_inside_its_window(after: timedelta, signed: tuple[str, ...]) -> None:
    state = released().state
    first = sign(state)

    assert sign(state, site(first), now=NOW + after).signed == signed


def test_a_timestamp_alone_names_the_same_snapshot() -> None:
    state = released().state
    first = sign(state)
    again = sign(state, site(first), now=NOW + 2 * DAY)

    assert versions(again) == (1, 2)
    assert again.snapshot.data == first.snapshot.data


def test_a_new_version_of_a_role_asks_for_both() -> None:
    online = sign(next_release(), site(sign(released().state)))

    assert online.signed == ("snapshot", "timestamp")
    assert versions(online) == (2, 2)


# Versions are written ahead


def test_the_next_version_is_above_staged_published_and_live() -> None:
    state = released().state
    staged, published, live = numbered(state, 3, 9), numbered(state, 5, 4), numbered(state, 2, 6)

    assert versions(sign(next_release(), staged, published, live)) == (6, 10)


def test_what_a_died_run_staged_is_taken_over_without_signing_again() -> None:
    state = next_release()
    staged = sign(state, site(sign(released().state)))
    again = sign(state, site(staged), site(sign(released().state)), signers=[])

    assert again.signed == ()
    assert versions(again) == (2, 2)


def test_a_version_that_the_online_key_never_signed_does_not_count() -> None:
    state = released().state
    forged = Published(state, version=99).seal(snapshot_by="mallory", timestamp_by="mallory")

    assert versions(sign(state, Site(forged.tree))) == (1, 1)


def test_a_snapshot_under_another_number_than_its_own_does_not_count() -> None:
    state = released().state
    copied = Published(state)
    copied.files["metadata/7.snapshot.json"] = copied.files["metadata/1.snapshot.json"]

    assert versions(sign(next_release(), Site(copied.tree))) == (2, 2)


def test_sites_that_cannot_be_read_do_not_count() -> None:
    broken = Site(MemoryTree({"metadata/timestamp.json": b"{", "metadata/3.snapshot.json": b"{}"}))

    assert versions(sign(released().state, broken, Site(MemoryTree({})))) == (1, 1)


# The online key changes


def rotated_online() -> State:
    draft = released()
    for role in ("snapshot", "timestamp"):
        draft.remove_key("root", role, "online")
        draft.add_key("root", role, "online-new", owner="online")
    return draft.sign().state


NEW: list[KeySigner] = [signer("online-new")]


def test_a_new_online_key_goes_on_with_the_numbers_of_the_old_one() -> None:
    before = numbered(released().state, 4, 8)
    online = sign(rotated_online(), before, signers=NEW)

    assert online.signed == ("snapshot", "timestamp")
    assert versions(online) == (5, 9)
    assert list(online.timestamp.signatures) == [keyid("online-new")]


def test_during_an_overlap_both_keys_sign() -> None:
    online = sign(rotated_online(), signers=[*NEW, *ONLINE])

    for file in (online.snapshot, online.timestamp):
        assert set(file.signatures) == {keyid("online"), keyid("online-new")}


def test_the_old_key_alone_signs_nothing_any_more() -> None:
    with pytest.raises(RefusedError) as caught:
        sign(rotated_online())

    assert caught.value.reason == "foreign-key"


def test_what_a_thief_of_the_old_key_signs_is_stepped_over_and_never_taken_up() -> None:
    state = rotated_online()
    ours = sign(state, signers=NEW)
    stolen = Published(state, version=50)
    online = sign(state, site(ours), Site(stolen.tree), signers=NEW)

    assert versions(online) == (51, 51)
    assert list(online.snapshot.signatures) == [keyid("online-new")]


# Roles never vanish, versions never go back


def test_a_role_once_listed_stays_listed() -> None:
    before = site(sign(released().state))
    draft = released()
    with draft.edit("targets") as signed:
        del signed["delegations"], signed["x-keyturn"]
    del draft.files["metadata/plugins.json"], draft.files["targets/plugins/spell.zip"]
    online = sign(draft.sign().state, before)

    listed = document(online.snapshot.data)["signed"]["meta"]
    assert listed["plugins.json"] == document(before_snapshot(before))["signed"]["meta"]["plugins.json"]
    assert listed["targets.json"]["version"] == 3


def before_snapshot(before: Site) -> bytes:
    file = before.file("snapshot", 1)
    assert file
    return file.data


def test_a_role_that_went_back_is_refused() -> None:
    with pytest.raises(RefusedError) as caught:
        sign(released().state, numbered(next_release(), 1, 1))

    assert caught.value.reason == "went-back"
    assert "targets is version 2 on main, but version 3 was published" in caught.value.what
    assert caught.value.where == "metadata/targets.json"


def test_the_highest_version_ever_listed_counts_whatever_came_after() -> None:
    newer, older = numbered(next_release(), 1, 1), numbered(released().state, 2, 2)

    with pytest.raises(RefusedError, match="version 3 was published"):
        sign(released().state, older, newer)


def test_a_role_that_keeps_its_version_did_not_go_back() -> None:
    assert versions(sign(released().state, numbered(released().state, 1, 1))) == (1, 1)


# Keys and periods


def test_without_a_key_what_has_to_be_signed_is_named() -> None:
    with pytest.raises(UsageError, match="snapshot has to be signed, but there is no online key"):
        sign(released().state, signers=[])


@pytest.mark.parametrize("signers", [["mallory"], ["alice"], ["online", "mallory"]], ids=str)
def test_a_key_that_no_root_names_is_refused(signers: list[str]) -> None:
    with pytest.raises(RefusedError) as caught:
        sign(released().state, signers=[signer(name) for name in signers])

    assert caught.value.reason == "foreign-key"


def test_the_key_signs_under_the_keyid_that_root_gives_it() -> None:
    odd = "0dd" + "0" * 61
    draft = released()
    with draft.edit("root") as root:
        root["keys"][odd] = root["keys"].pop(keyid("online"))
        for role in ("snapshot", "timestamp"):
            root["roles"][role]["keyids"] = [odd]
        root["x-keyturn"]["signers"][odd] = root["x-keyturn"]["signers"].pop(keyid("online"))
    online = sign(draft.sign().state)

    assert list(online.timestamp.signatures) == [odd]


@pytest.mark.parametrize("role", ["snapshot", "timestamp"])
def test_without_a_signed_period_nothing_is_signed(role: str) -> None:
    draft = released()
    with draft.edit("root") as root:
        del root["x-keyturn"]["periods"][role]

    with pytest.raises(RefusedError, match=f"root gives no period for {role}"):
        sign(draft.sign().state)


def test_without_a_root_nothing_is_signed() -> None:
    with pytest.raises(RefusedError, match="main has no readable root that delegates snapshot"):
        sign(State(MemoryTree({})))


def test_a_signature_of_the_wrong_key_under_the_right_keyid_does_not_count() -> None:
    state = released().state
    made = Published(state, version=5)
    forged = document(made.files["metadata/timestamp.json"])
    other = document(sign_file(rendered({**forged, "signatures": []}), {keyid("mallory"): key("mallory")}))
    forged["signatures"] = [{"keyid": keyid("online"), "sig": other["signatures"][0]["sig"]}]
    made.files["metadata/timestamp.json"] = rendered(forged)
    online = sign(state, Site(made.tree))

    assert versions(online) == (5, 1)


def test_the_tests_of_this_file_start_from_a_repository_that_is_good() -> None:
    assert Draft(released().files).state.problems == ()
