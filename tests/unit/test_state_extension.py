"""x-keyturn: exactly the form that the specification gives, and no other."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tuf.api.metadata import Targets

from keyturn.policy import Duration, Period
from keyturn.state import ONLINE, Extension, MetadataError, Owner
from unit.repository import founded

SPECIFIED: dict[str, Any] = {
    "format": 1,
    "signers": {
        "7ab6b86cb2c9684b0ddc10896153aa2595decf4d4327a5ff1a8ab7422c828b12": {"login": "alice", "id": 1001},
        "c3f860ca5da4454d33496ca33bb48f0cdcd5b731be7316b67ca191db0185aa26": {"login": "bob"},
        "8bf5a507dc237a32c90c0a23b34bab6b386826145a5b726da75c91d466e4bf33": "online",
    },
    "periods": {
        "root": {"expires": "365d", "renew": "60d"},
        "timestamp": {"expires": "3d", "renew": "24h"},
    },
}
ALICE = "7ab6b86cb2c9684b0ddc10896153aa2595decf4d4327a5ff1a8ab7422c828b12"


def parse(raw: object) -> Extension:
    return Extension.parse(raw, "metadata/root.json")


def refusal(raw: object) -> MetadataError:
    with pytest.raises(MetadataError) as caught:
        parse(raw)
    return caught.value


def with_value(value: object, *path: str) -> dict[str, Any]:
    document = copy.deepcopy(SPECIFIED)
    node = document
    for step in path[:-1]:
        node = node[step]
    node[path[-1]] = value
    return document


def test_the_example_of_the_specification_is_read() -> None:
    extension = parse(SPECIFIED)

    assert list(extension.signers.values()) == [Owner("alice", 1001), Owner("bob"), ONLINE]
    assert extension.periods["root"] == Period(Duration("365d"), Duration("60d"))


def test_what_is_read_is_written_the_same() -> None:
    assert parse(SPECIFIED).to_dict() == SPECIFIED


def test_a_role_without_the_field_has_no_extension() -> None:
    assert Extension.of(Targets(), "metadata/targets.json") is None


def test_a_role_with_the_field_has_one() -> None:
    root = founded().base.root
    assert root
    extension = Extension.of(root.signed, root.path)

    assert extension
    assert sorted(extension.periods) == ["root", "snapshot", "targets", "timestamp"]


@pytest.mark.parametrize(
    ("path", "value", "why"),
    [
        (["format"], 2, "x-keyturn.format is not 1"),
        (["format"], "1", "x-keyturn.format is not 1"),
        (["format"], True, "x-keyturn.format is not 1"),
        (["format"], None, "x-keyturn.format is not 1"),
        (["colour"], "blue", "x-keyturn has the unknown field 'colour'"),
        (["signers"], [], "x-keyturn.signers is not an object"),
        (["signers"], None, "x-keyturn.signers is not an object"),
        (["periods"], "365d", "x-keyturn.periods is not an object"),
        (["signers", ALICE], "alice", "is not an object"),
        (["signers", ALICE], {"login": "alice", "name": "Alice"}, "has the unknown field 'name'"),
        (["signers", ALICE], {"id": 1001}, ".login is not a login"),
        (["signers", ALICE], {"login": ""}, ".login is not a login"),
        (["signers", ALICE], {"login": "online"}, ".login is not a login"),
        (["signers", ALICE], {"login": "Online"}, ".login is not a login"),
        (["signers", ALICE], {"login": "@alice"}, ".login is not a login"),
        (["signers", ALICE], {"login": "alice "}, ".login is not a login"),
        (["signers", ALICE], {"login": "alice\n"}, ".login is not a login"),
        (["signers", ALICE], {"login": "al\u0131ce"}, ".login is not a login"),
        (["signers", ALICE], {"login": "alice\u202e"}, ".login is not a login"),
        (["signers", ALICE], {"login": "a" * 40}, ".login is not a login"),
        (["signers", ALICE], {"login": ["alice"]}, ".login is not a login"),
        (["signers", ALICE], {"login": "alice", "id": 0}, ".id is not a user's number"),
        (["signers", ALICE], {"login": "alice", "id": True}, ".id is not a user's number"),
        (["signers", ALICE], {"login": "alice", "id": "1001"}, ".id is not a user's number"),
        (["periods", "root"], "365d", "x-keyturn.periods.root is not an object"),
        (["periods", "root"], {"expires": "365d"}, "x-keyturn.periods.root: 'None' is not a duration"),
        (["periods", "root"], {"expires": "365d", "renew": 60}, "'60' is not a duration"),
        (["periods", "root"], {"expires": "0d", "renew": "1h"}, "'0d' is not a duration"),
        (["periods", "root"], {"expires": "365d", "renew": "60d", "x": 1}, "has the unknown field 'x'"),
    ],
    ids=str,
)
def test_any_other_form_is_refused(path: list[str], value: object, why: str) -> None:
    error = refusal(with_value(value, *path))

    assert why in error.what
    assert error.where == "metadata/root.json"


@pytest.mark.parametrize("raw", [None, [], "x", 1, {}])
def test_what_is_no_such_object_is_refused(raw: object) -> None:
    refusal(raw)


@pytest.mark.parametrize("missing", ["format", "signers", "periods"])
def test_no_field_may_be_missing(missing: str) -> None:
    refusal({name: value for name, value in SPECIFIED.items() if name != missing})


# Who is one person


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (Owner("alice"), Owner("alice"), True),
        (Owner("alice"), Owner("ALICE"), True),
        (Owner("alice"), Owner("bob"), False),
        (Owner("alice", 1), Owner("renamed", 1), True),
        (Owner("alice", 1), Owner("alice", 2), False),
        (Owner("alice", 1), Owner("alice"), True),
        (Owner("alice", 1), Owner("bob"), False),
        (ONLINE, ONLINE, True),
        (ONLINE, Owner("alice"), False),
    ],
    ids=str,
)
def test_people_are_one_by_number_or_else_by_login(one: Owner, other: Owner, same: bool) -> None:
    assert one.same_person(other) is same
    assert other.same_person(one) is same


def test_the_online_signer_is_no_person() -> None:
    assert ONLINE.online
    assert ONLINE.name == "online"
    assert not Owner("alice").online


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6) | st.sampled_from(["online", "365d"]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["format", "signers", "periods", "login", "id", "expires", "renew", "x"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)


@given(json_values)
def test_no_value_raises_anything_but_a_metadata_error(raw: object) -> None:
    try:
        extension = parse(raw)
    except MetadataError:
        return
    assert parse(extension.to_dict()) == extension
