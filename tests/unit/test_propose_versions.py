"""Versions that people signed in other events are skipped by every kind of proposal; root cannot skip any."""

from __future__ import annotations

from datetime import timedelta

from keyturn import propose
from keyturn.policy import parse
from unit.repository import DAY, NOW, PEOPLE, POLICY, app_release, document, key, released

LATER = NOW + timedelta(hours=1)
TAKEN = {"targets": (3, 4, 6), "plugins": (3,), "root": (2,)}
KEYS = {name: key(name) for name in (*PEOPLE, "dave")}


def versions(edits: dict[str, bytes]) -> dict[str, int]:
    return {path: document(data)["signed"]["version"] for path, data in edits.items() if data is not None}


def test_a_release_takes_the_next_version_that_is_free() -> None:
    edits = propose.release(released().state, [app_release("2.0")], LATER, taken=TAKEN)

    assert versions(dict(edits)) == {"metadata/targets.json": 5}


def test_files_take_the_next_version_that_is_free() -> None:
    edits = propose.files(released().state, {"plugins/spell.zip": None}, LATER, taken=TAKEN)

    assert versions(dict(edits)) == {"metadata/plugins.json": 4}


def test_a_renewal_skips_versions_but_for_root() -> None:
    (group,) = propose.renew(released().state, NOW + DAY, ["root"], taken=TAKEN)
    (other,) = propose.renew(released().state, NOW + DAY, ["targets"], taken=TAKEN)

    assert versions(dict(group.edits))["metadata/root.json"] == 2
    assert versions(dict(other.edits)) == {"metadata/targets.json": 5}


def test_a_changed_policy_skips_versions_but_for_root() -> None:
    wanted = POLICY.replace("signers: [alice, bob], threshold", "signers: [alice, dave], threshold").replace(
        "signers: [carol]", "signers: [dave]"
    )
    change = propose.change(parse(wanted.encode()), KEYS, released().state, LATER, taken=TAKEN)
    made = versions(dict(change.edits))

    assert made["metadata/root.json"] == 2
    assert made["metadata/targets.json"] == 5
    assert made["metadata/plugins.json"] == 4
    assert [anew.role for anew in change.anew] == ["plugins"]
