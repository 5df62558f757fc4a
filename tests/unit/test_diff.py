"""What signers are shown of a change: every kind of difference, in words, loud where trust moves."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from securesystemslib.signer import SSlibKey

from keyturn.state import MetadataError, fingerprint, sha256_hex, short_fingerprint
from keyturn.verify import Difference, differences, verify_event
from unit.repository import (
    NOW,
    Draft,
    Edit,
    archive,
    as_scheme,
    founded,
    founding,
    ids,
    key,
    keyid,
    release,
    released,
    role_file,
    rotated,
)

TREE = "7e" * 32


def short(name: str) -> str:
    return short_fingerprint(fingerprint(key(name)))


def shown(draft: Draft) -> list[Difference]:
    return list(differences(draft.event()))


def after(edit: Edit, role: str = "root") -> list[Difference]:
    """What an event shows that changes a role, but for the line about its version."""
    draft = released()
    with draft.edit(role) as signed:
        edit(signed)
    return [found for found in shown(draft) if found.kind != "version"]


def only(found: list[Difference], kind: str) -> Difference:
    (difference,) = (one for one in found if one.kind == kind)
    return difference


# What is changed, role by role


def test_an_event_that_changes_no_role_shows_nothing() -> None:
    draft = released()
    draft.files["keyturn.yml"] += b"# a comment\n"

    assert shown(draft) == []


def test_a_signature_is_no_difference() -> None:
    draft = released()
    release(draft, "2.0")
    before = shown(draft)
    draft.sign()

    assert shown(draft) == before


def test_a_release_is_shown_with_its_version_its_hash_and_its_tree() -> None:
    draft = released()
    release(draft, "2.0")
    data = archive("2.0")

    assert shown(draft) == [
        Difference(
            role="targets",
            kind="version",
            subject="targets",
            old="version 2, expires 2026-12-30 12:00Z",
            new="version 3, expires 2026-12-30 12:00Z",
            loud=False,
        ),
        Difference(
            role="targets",
            kind="target-added",
            subject="demo/demo-2.0.tar.gz",
            old=None,
            new=f"{len(data)} bytes, sha256 {sha256_hex(data)}, demo 2.0, tree {TREE}",
            loud=False,
        ),
    ]


def test_root_and_targets_come_before_the_other_roles() -> None:
    draft = released()
    draft.delegate("aaa", "dave", paths=["aaa/*"])
    draft.add_role("aaa")
    draft.list_target("plugins", "plugins/more.zip", b"more\n")
    draft.add_key("root", "root", "dave")

    assert list(dict.fromkeys(one.role for one in shown(draft))) == ["root", "targets", "aaa", "plugins"]


def test_online_roles_are_not_shown() -> None:
    draft = released()
    draft.files["metadata/snapshot.json"] = b"{}"
    draft.files["metadata/timestamp.json"] = b"{}"

    assert shown(draft) == []


def test_the_same_event_is_shown_in_the_same_order() -> None:
    draft = released()
    for name in ("alice", "bob", "carol"):
        draft.remove_key("root", "root", name)
    with draft.edit("targets") as signed:
        del signed["delegations"], signed["x-keyturn"]
    removed = [one.old for one in shown(draft) if one.kind == "key-removed"]

    assert removed == sorted(removed, key=lambda text: str(text).split(" ", 1)[1])


# Founding


def test_founding_shows_everything_as_added() -> None:
    found = shown(founding())

    assert {one.old for one in found} == {None}
    assert [one.subject for one in found if one.kind == "role-added"] == ["root", "targets", "plugins"]
    assert only(found, "delegation-added").new == "paths plugins/*.zip; terminating"
    assert {(one.subject, one.new) for one in found if one.kind == "key-added"} == {
        *(("root", f"{name} {short(name)}") for name in ("alice", "bob", "carol")),
        *(("targets", f"{name} {short(name)}") for name in ("alice", "bob")),
        *((role, f"online {short('online')}") for role in ("snapshot", "timestamp")),
        ("plugins", f"carol {short('carol')}"),
    }
    assert {(one.subject, one.new) for one in found if one.kind == "threshold"} == {
        ("plugins", "1 of 1"),
        ("root", "2 of 3"),
        ("snapshot", "1 of 1"),
        ("targets", "2 of 2"),
        ("timestamp", "1 of 1"),
    }
    assert {one.subject for one in found if one.kind == "period"} == {
        "plugins",
        "root",
        "snapshot",
        "targets",
        "timestamp",
    }


def test_at_founding_the_periods_are_not_shouted_but_keys_and_thresholds_are() -> None:
    found = shown(founding())

    assert {one.kind for one in found if one.loud} == {"key-added", "threshold", "delegation-added"}


# Keys


def test_a_new_key_is_loud_and_shown_by_owner_and_fingerprint() -> None:
    draft = released()
    draft.add_key("root", "root", "dave")
    added = only(shown(draft), "key-added")

    assert (added.role, added.subject, added.old, added.loud) == ("root", "root", None, True)
    assert added.new == f"dave {short('dave')}"


def test_a_removed_key_is_loud() -> None:
    draft = released()
    draft.remove_key("root", "root", "carol")
    removed = only(shown(draft), "key-removed")

    assert (removed.subject, removed.old, removed.new, removed.loud) == (
        "root",
        f"carol {short('carol')}",
        None,
        True,
    )


def test_a_replaced_key_shows_the_old_and_the_new_fingerprint() -> None:
    draft = released()
    draft.remove_key("root", "root", "alice")
    draft.add_key("root", "root", "alice-new", owner={"login": "alice"})
    found = shown(draft)

    assert only(found, "key-removed").old == f"alice {short('alice')}"
    assert only(found, "key-added").new == f"alice {short('alice-new')}"


def test_a_key_that_changes_hands_is_loud() -> None:
    found = after(
        lambda signed: signed["x-keyturn"]["signers"].update({keyid("carol"): {"login": "mallory"}})
    )

    assert found == [
        Difference(
            "root", "key-owner", "root", f"carol {short('carol')}", f"mallory {short('carol')}", loud=True
        )
    ]


def test_a_person_who_gets_another_number_is_loud() -> None:
    number = {keyid("carol"): {"login": "carol", "id": 666}}
    found = after(lambda signed: signed["x-keyturn"]["signers"].update(number))

    assert only(found, "key-owner").old == f"carol {short('carol')}"
    assert only(found, "key-owner").new == f"carol (id 666) {short('carol')}"


def test_a_key_that_gets_another_scheme_is_loud() -> None:
    draft = released()
    draft.add_key("root", "root", "erin")
    draft = draft.sign().merged()
    draft.remove_key("root", "root", "erin")
    draft.add_key("root", "root", "erin", public=as_scheme("erin", "rsa-pkcs1v15-sha256"))
    changed = only(shown(draft), "key-owner")

    assert (changed.old, changed.new, changed.loud) == (
        f"erin {short('erin')}",
        f"erin by rsa-pkcs1v15-sha256 {short('erin')}",
        True,
    )


def test_a_key_without_an_owner_is_shown_by_its_keyid() -> None:
    def own_nothing(signed: dict[str, Any]) -> None:
        del signed["x-keyturn"]["signers"][keyid("carol")]

    assert only(after(own_nothing), "key-owner").new == f"key {keyid('carol')[:8]} {short('carol')}"


def test_a_key_that_cannot_be_read_is_shown_as_that() -> None:
    draft = released()
    draft.add_key("root", "root", "x", public=SSlibKey("9" * 64, "ed25519", "ed25519", {"public": "zz"}))

    assert only(shown(draft), "key-added").new == f"x unreadable:{'9' * 64}"


def test_owners_that_cannot_be_read_do_not_hide_the_rest() -> None:
    found = after(lambda signed: signed["x-keyturn"].update(format=2))

    assert {one.kind for one in found} == {"key-owner", "period"}


# Thresholds, periods, delegations


def test_a_threshold_is_loud_whichever_way_it_goes() -> None:
    found = after(lambda signed: signed["roles"]["root"].update(threshold=3))

    assert found == [Difference("root", "threshold", "root", "2 of 3", "3 of 3", loud=True)]


def test_a_longer_period_is_loud() -> None:
    longer = {"expires": "999d", "renew": "60d"}
    found = after(lambda signed: signed["x-keyturn"]["periods"].update(root=longer))

    assert found == [
        Difference("root", "period", "root", "expires 365d, renew 60d", "expires 999d, renew 60d", loud=True)
    ]


def test_a_period_that_is_taken_away_is_loud() -> None:
    found = after(lambda signed: signed["x-keyturn"]["periods"].pop("root"))

    assert found == [Difference("root", "period", "root", "expires 365d, renew 60d", None, loud=True)]


def test_a_new_delegation_is_loud_and_so_are_its_keys() -> None:
    draft = released()
    draft.delegate("themes", "dave", paths=["themes/*", "skins/?"])
    draft.add_role("themes")
    found = shown(draft)
    added = only(found, "delegation-added")

    assert (added.role, added.subject, added.loud) == ("targets", "themes", True)
    assert added.new == "paths themes/*, skins/?; not terminating"
    assert only(found, "key-added").new == f"dave {short('dave')}"
    assert only(found, "threshold").new == "1 of 1"
    assert only(found, "role-added").new == "version 1, expires 2026-12-10 12:00Z"


def test_a_removed_delegation_is_loud() -> None:
    def remove(signed: dict[str, Any]) -> None:
        del signed["delegations"], signed["x-keyturn"]

    removed = only(after(remove, "targets"), "delegation-removed")

    assert (removed.subject, removed.old, removed.new, removed.loud) == (
        "plugins",
        "paths plugins/*.zip; terminating",
        None,
        True,
    )


def test_a_removed_role_is_loud() -> None:
    draft = released()
    del draft.files["metadata/plugins.json"]

    assert shown(draft) == [
        Difference(
            "plugins", "role-removed", "plugins", "version 2, expires 2026-12-30 12:00Z", None, loud=True
        )
    ]


@pytest.mark.parametrize(
    ("field", "value", "new"),
    [
        ("paths", ["*/*"], "paths */*; terminating"),
        ("terminating", False, "paths plugins/*.zip; not terminating"),
    ],
)
def test_other_paths_for_a_delegation_are_loud(field: str, value: object, new: str) -> None:
    found = after(lambda signed: signed["delegations"]["roles"][0].update({field: value}), "targets")

    assert found == [
        Difference(
            "targets", "delegation-changed", "plugins", "paths plugins/*.zip; terminating", new, loud=True
        )
    ]


def test_hash_prefixes_are_shown_like_paths() -> None:
    def prefixes(signed: dict[str, Any]) -> None:
        del signed["delegations"]["roles"][0]["paths"]
        signed["delegations"]["roles"][0]["path_hash_prefixes"] = ["0", "1f"]

    changed = only(after(prefixes, "targets"), "delegation-changed")
    assert changed.new == "path hash prefixes 0, 1f; terminating"


def test_another_order_of_delegations_is_loud() -> None:
    draft = released()
    draft.delegate("themes", "dave", paths=["themes/*"])
    draft.add_role("themes")
    draft = draft.sign().merged()
    with draft.edit("targets") as signed:
        signed["delegations"]["roles"].reverse()
    changed = only(shown(draft), "delegation-order")

    assert (changed.old, changed.new, changed.loud) == ("plugins, themes", "themes, plugins", True)


def test_turning_consistent_snapshots_off_is_loud() -> None:
    found = after(lambda signed: signed.update(consistent_snapshot=False))

    assert found == [Difference("root", "consistent-snapshot", "root", "true", "false", loud=True)]


# Targets


def test_a_changed_hash_is_loud() -> None:
    draft = released()
    draft.list_target("targets", "demo/demo-1.0.tar.gz", b"other bytes\n")
    changed = only(shown(draft), "target-changed")

    assert changed.loud
    assert (
        changed.old
        == f"{len(archive('1.0'))} bytes, sha256 {sha256_hex(archive('1.0'))}, demo 1.0, tree {TREE}"
    )
    assert changed.new == f"12 bytes, sha256 {sha256_hex(b'other bytes' + bytes([10]))}"


def test_a_removed_target_is_loud() -> None:
    found = after(lambda signed: signed["targets"].clear(), "targets")

    assert (found[0].kind, found[0].subject, found[0].new, found[0].loud) == (
        "target-removed",
        "demo/demo-1.0.tar.gz",
        None,
        True,
    )


@pytest.mark.parametrize(
    "custom",
    [
        {"user": {"keyturn": {"app": "demo", "platform": "", "version": "2.0", "tree": TREE}}, "more": 1},
        {"user": {"keyturn": {"app": "demo", "platform": "", "version": "2.0", "tree": TREE}, "other": 1}},
        {"user": {"keyturn": {"app": "demo", "platform": "", "version": "2.0", "tree": TREE, "floor": "1"}}},
        {"user": {"keyturn": {"app": "demo", "version": "2.0", "tree": TREE}}},
        {"user": {"keyturn": {"app": "demo", "platform": "", "version": "2.0, tree 5a5a", "tree": TREE}}},
        {"user": {"keyturn": {"app": "demo", "platform": "", "version": 2, "tree": TREE}}},
        {"user": "demo 2.0"},
        ["demo 2.0"],
        "demo 2.0",
    ],
)
def test_a_custom_field_that_says_anything_more_is_shown_whole(custom: object) -> None:
    draft = released()
    draft.list_target("targets", "demo/demo-2.0.tar.gz", b"content\n", custom)

    assert str(only(shown(draft), "target-added").new).endswith(
        f", custom {json.dumps(custom, sort_keys=True)}"
    )


def test_the_platform_of_a_release_is_shown() -> None:
    custom = {"user": {"keyturn": {"app": "demo", "platform": "linux", "version": "2.0", "tree": TREE}}}
    draft = released()
    draft.list_target("targets", "demo/demo-2.0-linux.tar.gz", b"content\n", custom)

    assert f"demo 2.0 for linux, tree {TREE}" in str(only(shown(draft), "target-added").new)


def test_every_hash_is_shown() -> None:
    draft = released()
    draft.list_target("targets", "notes.txt", b"content\n")
    with draft.edit("targets") as signed:
        signed["targets"]["notes.txt"]["hashes"]["sha512"] = "00" * 64

    assert f", sha512 {'00' * 64}" in str(only(shown(draft), "target-added").new)


# Fields that nobody knows


def test_an_unknown_field_is_loud() -> None:
    found = after(lambda signed: signed.update({"x-other": {"allow": ["mallory"]}}))

    assert found == [Difference("root", "field", "x-other", None, '{"allow": ["mallory"]}', loud=True)]


def test_an_unknown_field_that_goes_is_loud() -> None:
    draft = rotated()
    with draft.edit("targets") as signed:
        signed["x-other"] = 1
    draft = draft.sign().merged()
    with draft.edit("targets") as signed:
        del signed["x-other"]

    assert only(shown(draft), "field") == Difference("targets", "field", "x-other", "1", None, loud=True)


def test_a_difference_is_shown_as_json() -> None:
    difference = Difference("root", "threshold", "root", "2 of 3", "1 of 3", loud=True)

    assert difference.to_dict() == {
        "role": "root",
        "kind": "threshold",
        "subject": "root",
        "old": "2 of 3",
        "new": "1 of 3",
        "loud": True,
    }


# Nothing that matters goes unseen

QUIET = {"_type", "spec_version", "version", "expires"}
"""Top-level fields of a role that the line about its version covers, or that no client decides by."""


def leaves(value: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    if isinstance(value, dict):
        return [leaf for name, below in value.items() for leaf in leaves(below, (*path, name))]
    if isinstance(value, list):
        return [leaf for number, below in enumerate(value) for leaf in leaves(below, (*path, number))]
    return [path]


def changed_at(document: dict[str, Any], path: tuple[str | int, ...], value: object) -> dict[str, Any]:
    result = copy.deepcopy(document)
    node: Any = result
    for step in path[:-1]:
        node = node[step]
    node[path[-1]] = value
    return result


SIGNED = {role: founded().signed(role) for role in ("root", "targets")} | {
    "released": released().signed("targets")
}
LEAVES = [(role, path) for role, signed in SIGNED.items() for path in leaves(signed) if path[0] not in QUIET]


def assert_seen(source: str, edited: dict[str, Any]) -> None:
    """A change is loud in the diff or breaks a rule, unless it changes nothing or leaves no metadata."""
    role = "root" if source == "root" else "targets"
    draft = released() if source == "released" else founded()
    before = {**SIGNED[source], "version": SIGNED[source]["version"] + 1}
    try:
        file = role_file(role, {**edited, "version": before["version"]})
    except MetadataError:
        return
    if role_file(role, before).digest == file.digest:
        return
    draft.files[f"metadata/{role}.json"] = file.data
    event = draft.event(now=NOW)
    seen = any(one.loud for one in differences(event))
    assert seen or ids(verify_event(event).findings) - {"KT003"}


def objects(value: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    if isinstance(value, dict):
        return [path, *(found for name, below in value.items() for found in objects(below, (*path, name)))]
    if isinstance(value, list):
        return [found for number, below in enumerate(value) for found in objects(below, (*path, number))]
    return []


OBJECTS = [(source, path) for source, signed in SIGNED.items() for path in objects(signed)]


@pytest.mark.parametrize(("source", "path"), OBJECTS, ids=str)
def test_nothing_can_be_added_unseen(source: str, path: tuple[str | int, ...]) -> None:
    edited = copy.deepcopy(SIGNED[source])
    node: Any = edited
    for step in path:
        node = node[step]
    node["x-new"] = "y"

    assert_seen(source, edited)


@given(
    leaf=st.sampled_from(LEAVES),
    value=st.one_of(st.integers(min_value=1, max_value=9), st.text(max_size=4), st.booleans()),
)
def test_no_change_of_a_single_value_goes_unseen(
    leaf: tuple[str, tuple[str | int, ...]], value: object
) -> None:
    source, path = leaf

    assert_seen(source, changed_at(SIGNED[source], path, value))
