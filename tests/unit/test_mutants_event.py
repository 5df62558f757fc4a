"""The verdict on an event, where one signature, one key or one state is all that differs."""

from __future__ import annotations

from dataclasses import replace

import pytest
from securesystemslib.signer import Signature

from keyturn.state import Delegation, RoleFile
from keyturn.verify import EventState, count, verify_event
from unit.repository import document, founding, keyid, release, released, rendered


def signed_by_junk(signature: str) -> tuple[Delegation, RoleFile]:
    """Targets 3, with a good signature by alice and something else under the keyid of bob."""
    draft = released()
    release(draft, "2.0")
    state = draft.sign(without={"targets": ("bob",)}).state
    data = document(draft.files["metadata/targets.json"])
    data["signatures"].append({"keyid": keyid("bob"), "sig": signature})
    (delegation,) = state.delegations_to("targets")
    return delegation, RoleFile.parse("targets", "metadata/targets.json", rendered(data))


@pytest.mark.parametrize("signature", ["00" * 64, "", "zz"], ids=["other", "empty", "no hexadecimal"])
def test_what_stands_under_a_keyid_counts_only_if_it_verifies(signature: str) -> None:
    delegation, file = signed_by_junk(signature)

    tally = count(delegation, file, "root 1")

    assert [mark.owner for mark in tally.signed] == ["alice"]
    assert [mark.owner for mark in tally.missing] == ["bob"]
    assert not tally.met


def test_a_signature_counts_under_the_keyid_of_its_own_key_alone() -> None:
    delegation, file = signed_by_junk("00" * 64)
    alice = file.signatures[keyid("alice")]
    moved = document(file.data)
    moved["signatures"][1] = {"keyid": keyid("bob"), "sig": alice.signature}

    tally = count(delegation, RoleFile.parse("targets", file.path, rendered(moved)), "root 1")

    assert isinstance(alice, Signature)
    assert [mark.owner for mark in tally.signed] == ["alice"]


def test_a_status_carries_the_digest_of_what_is_proposed() -> None:
    draft = released()
    release(draft, "2.0")
    file = draft.sign().state.role("targets")
    (found,) = verify_event(draft.event()).roles

    assert file
    assert found.digest == file.digest


def test_nobody_is_waited_for_once_something_is_proposed() -> None:
    event = founding().sign().event()
    keyring = replace(
        event.keyring, keys={name: key for name, key in event.keyring.keys.items() if name != "bob"}
    )
    event = replace(event, keyring=keyring)

    assert event.missing_keys == ("bob",)
    assert not event.waits_for_keys
    report = verify_event(event)
    assert report.missing_keys == ()
    assert report.state is not EventState.INCOMPLETE


def test_an_event_without_proposals_waits_for_whoever_has_not_joined() -> None:
    event = released().event()
    joined = {name: key for name, key in event.keyring.keys.items() if name != "carol"}
    event = replace(event, keyring=replace(event.keyring, keys=joined))

    assert event.waits_for_keys
    assert not released().event().waits_for_keys
    assert verify_event(event).missing_keys == ("carol",)
