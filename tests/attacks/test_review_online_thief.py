"""A thief of the online key who also writes to the caches: what they leave behind ends with the key.

While the key stands, its thief can say anything about snapshot and timestamp. The promise is that a new root
with another online key heals the repository: nothing that the stolen key signed may stand in the way then.
"""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from keyturn.errors import RefusedError
from keyturn.publish.online import OnlineFiles, known_versions, sign_online
from keyturn.signing import KeySigner
from keyturn.state import Site, State
from keyturn.tree import MemoryTree
from unit.repository import DAY, NOW, Draft, Published, document, released, signer

LAST_VERSION = 999_999_999
OLD: list[KeySigner] = [signer("online")]
NEW: list[KeySigner] = [signer("online-new")]


def rotated() -> State:
    draft = released()
    for role in ("snapshot", "timestamp"):
        draft.remove_key("root", role, "online")
        draft.add_key("root", role, "online-new", owner="online")
    return draft.sign().state


def with_notes(draft: Draft) -> State:
    draft.list_target("targets", "notes.txt", b"notes\n")
    return draft.sign().state


def stolen(version: int = 50, **meta: int) -> Site:
    """A site that the old online key signed properly, with these versions of roles in its snapshot."""
    made = Published(released().state, version=version)
    named = {f"{role}.json": {"version": number} for role, number in meta.items()}
    made.seal(snapshot=lambda signed: signed["meta"].update(named))
    return Site(made.tree)


def site(online: OnlineFiles) -> Site:
    files = {online.snapshot.path: online.snapshot.data, "metadata/timestamp.json": online.timestamp.data}
    return Site(MemoryTree(files))


def listed(online: OnlineFiles) -> dict[str, int]:
    meta = document(online.snapshot.data)["signed"]["meta"]
    return {name: said["version"] for name, said in meta.items()}


def test_the_last_version_there_is_ends_with_the_stolen_key() -> None:
    online = sign_online(rotated(), NEW, [stolen(LAST_VERSION)], NOW)

    assert online.signed == ("snapshot", "timestamp")
    assert online.snapshot.version < LAST_VERSION // 2
    assert online.timestamp.version < LAST_VERSION // 2


def test_while_the_key_stands_the_error_says_that_it_is_stolen() -> None:
    state = with_notes(released())

    with pytest.raises(RefusedError, match="the online key is in other hands") as caught:
        sign_online(state, OLD, [stolen(LAST_VERSION)], NOW)

    assert caught.value.reason == "no-version-left"


def test_a_version_of_a_role_that_nobody_signed_ends_with_the_stolen_key() -> None:
    online = sign_online(rotated(), NEW, [stolen(targets=LAST_VERSION)], NOW)

    assert listed(online) == {"targets.json": 2, "plugins.json": 2}


def test_roles_that_never_were_end_with_the_stolen_key() -> None:
    online = sign_online(rotated(), NEW, [stolen(**{f"junk{number}": 1 for number in range(9)})], NOW)

    assert listed(online) == {"targets.json": 2, "plugins.json": 2}


def test_main_set_back_is_still_refused_after_a_new_online_key() -> None:
    """What the stolen key names counts where the role's own signers vouch for it."""
    draft = released()
    later = Published(with_notes(draft))

    with pytest.raises(RefusedError) as caught:
        sign_online(rotated(), NEW, [Site(later.tree)], NOW)

    assert caught.value.reason == "went-back"


def test_during_an_overlap_the_old_key_counts_in_full() -> None:
    """Whoever gives the old key says that it is not stolen; clients still hold a snapshot of it."""
    online = sign_online(rotated(), [*NEW, *OLD], [stolen(gone=7)], NOW)

    assert listed(online)["gone.json"] == 7


def test_a_timestamp_valid_for_a_century_is_not_taken_over() -> None:
    state = released().state
    first = sign_online(state, OLD, [], NOW)
    made = Published(state, version=7)
    made.seal(timestamp=lambda signed: signed.update(expires="2126-01-01T00:00:00Z"))
    online = sign_online(state, OLD, [site(first), Site(made.tree)], NOW)

    assert online.timestamp.version == 8
    assert online.timestamp.expires == NOW + 3 * DAY
    assert online.timestamp.expires < datetime(2027, 1, 1, tzinfo=timezone.utc)


def test_what_the_next_version_of_a_name_is_comes_from_signed_snapshots_only() -> None:
    state = released().state
    made = Published(state)
    made.files["metadata/999999999.beta.json"] = b"junk"
    unsigned = Published(state, version=9).seal(
        snapshot=lambda signed: signed["meta"].update({"gamma.json": {"version": 500}}), snapshot_by="mallory"
    )

    found = known_versions(state, [Site(made.tree), Site(unsigned.tree)])

    assert found == {"targets": 2, "plugins": 2}


def test_a_role_that_leaps_to_the_end_of_its_numbers_is_not_published() -> None:
    """A thief of the one key of a delegated role who writes to main could end the role for good."""
    before = site(sign_online(released().state, OLD, [], NOW))
    draft = released()
    with draft.edit("plugins") as signed:
        signed["version"] = LAST_VERSION

    with pytest.raises(RefusedError, match="leaps from version 2 to 999999999") as caught:
        sign_online(draft.sign().state, OLD, [before], NOW)

    assert caught.value.reason == "leap"
