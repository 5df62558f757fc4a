"""What signers are shown where one version of a file says nothing, or says the same in other words."""

from __future__ import annotations

import json
from typing import Any

import pytest

from keyturn.state import fingerprint, short_fingerprint
from keyturn.verify import Difference, differences
from unit.repository import Draft, founding, key, keyid, released


def shown(draft: Draft) -> list[Difference]:
    return [one for one in differences(draft.event()) if one.kind != "version"]


def short(name: str) -> str:
    return short_fingerprint(fingerprint(key(name)))


def after(role: str = "root", **fields: object) -> Draft:
    """A draft in which a role was given other values, merged, so that it is what was there before."""
    draft = released()
    with draft.edit(role) as signed:
        signed.update(fields)
    return draft.sign()


# The version of the specification


def test_another_version_of_the_specification_is_loud() -> None:
    assert shown(after("targets", spec_version="1.0.30")) == [
        Difference("targets", "field", "spec_version", "1.0.31", "1.0.30", loud=True)
    ]


def test_a_new_role_by_another_version_of_the_specification_is_loud() -> None:
    draft = founding()
    with draft.edit("plugins") as signed:
        signed["spec_version"] = "1.0.30"

    assert [one for one in shown(draft) if one.kind == "field"] == [
        Difference("plugins", "field", "spec_version", None, "1.0.30", loud=True)
    ]


def test_a_version_of_the_specification_that_stays_is_not_shown() -> None:
    draft = after("targets", spec_version="1.0.30").merged()
    with draft.edit("targets"):
        pass

    assert shown(draft) == []


# Consistent snapshots


def test_a_root_that_begins_without_consistent_snapshots_is_loud() -> None:
    draft = founding()
    with draft.edit("root") as signed:
        signed["consistent_snapshot"] = False

    assert [one for one in shown(draft) if one.kind == "consistent-snapshot"] == [
        Difference("root", "consistent-snapshot", "root", "true", "false", loud=True)
    ]


def test_consistent_snapshots_that_stay_off_are_not_shown_and_turning_them_on_is() -> None:
    draft = after(consistent_snapshot=False).merged()
    with draft.edit("root") as signed:
        signed["x-other"] = 1
    kept = shown(draft)
    with draft.edit("root") as signed:
        signed["consistent_snapshot"] = True
        del signed["x-other"]

    assert [one.kind for one in kept] == ["field"]
    assert shown(draft) == [Difference("root", "consistent-snapshot", "root", "false", "true", loud=True)]


# Delegations


def with_themes() -> Draft:
    draft = released()
    draft.delegate("themes", "dave", paths=["themes/*"])
    draft.add_role("themes")
    return draft.sign().merged()


def test_a_delegation_that_comes_to_an_end_is_shown_whole_and_the_others_keep_their_order() -> None:
    draft = with_themes()
    with draft.edit("targets") as signed:
        del signed["delegations"]["roles"][0]
    found = shown(draft)

    assert [one for one in found if one.kind.startswith("delegation")] == [
        Difference(
            "targets", "delegation-removed", "plugins", "paths plugins/*.zip; terminating", None, loud=True
        )
    ]


def test_a_delegation_before_the_others_is_no_other_order() -> None:
    draft = released()
    draft.delegate("themes", "dave", paths=["themes/*"])
    with draft.edit("targets") as signed:
        signed["delegations"]["roles"].reverse()
    found = shown(draft)

    assert found == [
        Difference(
            "targets", "delegation-added", "themes", None, "paths themes/*; not terminating", loud=True
        ),
        Difference("targets", "key-added", "themes", None, f"dave {short('dave')}", loud=True),
        Difference("targets", "threshold", "themes", None, "1 of 1", loud=True),
        Difference("targets", "period", "themes", None, "expires 120d, renew 30d", loud=True),
    ]


def test_patterns_that_are_not_plain_are_shown_in_quotes() -> None:
    draft = released()
    with draft.edit("targets") as signed:
        signed["delegations"]["roles"][0]["paths"] = ["a b/*", "c,d", "e;f", 'g"h', "plain/*"]
    (found,) = shown(draft)

    assert found.new == 'paths "a b/*", "c,d", "e;f", "g\\"h", plain/*; terminating'


def test_nothing_is_delegated_by_a_list_without_patterns() -> None:
    draft = released()
    with draft.edit("targets") as signed:
        signed["delegations"]["roles"][0]["paths"] = []
    (found,) = shown(draft)

    assert found.new == "paths ; terminating"


def test_a_threshold_says_of_how_many_keys() -> None:
    draft = released()
    draft.add_key("root", "root", "dave")
    with draft.edit("root") as signed:
        signed["roles"]["root"]["threshold"] = 3

    assert [one for one in shown(draft) if one.kind == "threshold"] == [
        Difference("root", "threshold", "root", "2 of 3", "3 of 4", loud=True)
    ]


def test_a_key_that_comes_and_one_that_goes_are_both_shown_in_full() -> None:
    draft = released()
    draft.remove_key("root", "root", "carol")
    draft.add_key("root", "root", "dave")

    assert shown(draft) == [
        Difference("root", "key-removed", "root", f"carol {short('carol')}", None, loud=True),
        Difference("root", "key-added", "root", None, f"dave {short('dave')}", loud=True),
    ]


def test_a_key_that_comes_does_not_hide_the_one_after_it() -> None:
    draft = released()
    draft.add_key("root", "root", "dave")
    with draft.edit("root") as signed:
        signed["roles"]["root"]["keyids"].reverse()
        signed["x-keyturn"]["signers"][keyid("carol")] = {"login": "mallory"}

    assert [one.kind for one in shown(draft)] == ["key-added", "key-owner"]


# Targets


def entry(signed: dict[str, Any]) -> dict[str, Any]:
    (found,) = (one for path, one in signed["targets"].items() if path.startswith("demo/"))
    return found


@pytest.mark.parametrize("length", [999, 1000, 1234567])
def test_a_length_is_grouped_by_thousands(length: int) -> None:
    draft = released()
    with draft.edit("targets") as signed:
        entry(signed)["length"] = length
    (found,) = shown(draft)

    assert str(found.new).startswith(f"{length:,} bytes, sha256 ")
    assert (found.kind, found.loud) == ("target-changed", True)


def test_a_target_that_stays_does_not_hide_the_next() -> None:
    draft = released()
    draft.list_target("targets", "zz.txt", b"last\n")
    draft.list_target("targets", "aa.txt", b"first\n")

    assert [(one.kind, one.subject) for one in shown(draft)] == [
        ("target-added", "aa.txt"),
        ("target-added", "zz.txt"),
    ]


@pytest.mark.parametrize("word", ["version", "app", "platform", "tree"])
def test_a_release_with_a_word_that_is_not_plain_is_shown_whole(word: str) -> None:
    draft = released()
    with draft.edit("targets") as signed:
        entry(signed)["custom"]["user"]["keyturn"][word] = "a b"
    (found,) = shown(draft)

    assert ", custom {" in str(found.new)


# Fields that nobody knows


def test_a_field_that_changes_is_shown_with_both_values_whatever_their_order() -> None:
    draft = after("targets", **{"x-other": {"b": 1, "a": "ü"}}).merged()
    with draft.edit("targets") as signed:
        signed["x-other"] = {"a": "ü", "b": 2}

    assert shown(draft) == [
        Difference("targets", "field", "x-other", '{"a": "ü", "b": 1}', '{"a": "ü", "b": 2}', loud=True)
    ]


def test_a_field_is_shown_alike_in_whatever_order_a_file_has_it() -> None:
    draft = released()
    signed = {**draft.signed("targets"), "version": 3, "x-other": {"b": 1, "a": 2}}
    draft.files["metadata/targets.json"] = json.dumps({"signed": signed, "signatures": []}).encode()

    assert [one.new for one in shown(draft)] == ['{"a": 2, "b": 1}']


def test_fields_inside_keys_roles_and_delegations_say_where_they_are() -> None:
    draft = released()
    with draft.edit("targets") as signed:
        delegations = signed["delegations"]
        delegations["x-a"] = 1
        delegations["roles"][0]["x-b"] = 2
        delegations["keys"][keyid("carol")]["x-c"] = 3
        delegations["keys"][keyid("carol")]["keyval"]["x-d"] = 4
    found = [(one.subject, one.new) for one in shown(draft)]

    assert found == [
        ("of the delegations", '{"x-a": 1}'),
        (f"of the key {keyid('carol')}", '{"x-c": 3, "x-d": 4}'),
        ("of the role plugins", '{"x-b": 2}'),
    ]
