"""Reading role files: strict JSON, strict types, nothing lost, and one form to write them in."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from securesystemslib.signer import Signature

from keyturn.errors import ExitCode, KeyturnError
from keyturn.state import MetadataError, RoleFile, canonical, payload_digest, render_metadata
from keyturn.state.metadata_file import MAX_BYTES, MAX_DEPTH, MAX_VERSION
from unit.repository import document, founded, published, released, rendered

ROLES = {
    "root": founded().files["metadata/root.json"],
    "targets": released().files["metadata/targets.json"],
    "plugins": released().files["metadata/plugins.json"],
    "snapshot": published().files["metadata/1.snapshot.json"],
    "timestamp": published().files["metadata/timestamp.json"],
}
ROLE_NAMES = sorted(ROLES)


def parse(role: str, data: bytes) -> RoleFile:
    return RoleFile.parse(role, f"metadata/{role}.json", data)


def refusal(role: str, data: bytes) -> MetadataError:
    with pytest.raises(MetadataError) as caught:
        parse(role, data)
    return caught.value


def edited(role: str, edit: Callable[[dict[str, Any]], object]) -> bytes:
    """A role's file with another signed part."""
    loaded = document(ROLES[role])
    edit(loaded["signed"])
    return rendered(loaded)


# What is read


@pytest.mark.parametrize("role", ROLE_NAMES)
def test_every_role_is_read_and_written_back_byte_by_byte(role: str) -> None:
    file = parse(role, ROLES[role])

    assert render_metadata(file.metadata) == ROLES[role]


def test_a_role_file_says_what_it_holds() -> None:
    file = parse("targets", ROLES["targets"])

    assert file.version == 2
    assert file.expires == datetime(2026, 12, 30, 12, tzinfo=timezone.utc)
    assert len(file.signatures) == 2
    assert file.payload == canonical(document(ROLES["targets"])["signed"])
    assert file.digest == payload_digest(file.payload)


def test_the_digest_stays_when_a_signature_goes() -> None:
    loaded = document(ROLES["targets"])
    loaded["signatures"] = []

    assert parse("targets", rendered(loaded)).digest == parse("targets", ROLES["targets"]).digest


def test_the_vector_of_the_specification_has_its_digest() -> None:
    signed = {
        "_type": "targets",
        "expires": "2027-03-21T12:00:00Z",
        "spec_version": "1.0.31",
        "targets": {},
        "version": 2,
    }
    file = parse("targets", rendered({"signed": signed, "signatures": []}))

    assert file.payload == (
        b'{"_type":"targets","expires":"2027-03-21T12:00:00Z","spec_version":"1.0.31","targets":{},"version":2}'
    )
    assert file.digest == "75fbb14394561fb33daa1de7479f33fd9f1f822eb5120bb8edca3c767c9975f3"


def test_a_refusal_names_the_file() -> None:
    error = refusal("targets", b"")

    assert (error.reason, error.where, error.exit_code) == (
        "bad-metadata",
        "metadata/targets.json",
        ExitCode.INVALID,
    )


# Strict JSON


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "not readable as JSON"),
        (b"\xff\xfe{}", "not readable as JSON"),
        ("\ufeff{}".encode(), "not readable as JSON"),
        (b"{} {}", "not readable as JSON"),
        (b"{'signed': 1}", "not readable as JSON"),
        (b"[]", "the top level is not an object"),
        (b'"signed"', "the top level is not an object"),
        (b"null", "the top level is not an object"),
        (b"{}", "'signed' is missing"),
        (b'{"signed": {}, "signatures": []}', "'_type' is missing"),
        (b'{"signed": [], "signatures": []}', "not TUF metadata"),
        (b'{"signed": 1, "signed": 2}', "the key 'signed' stands twice in one object"),
        (b'{"a": {"b": [{"c": 1, "d": 2, "c": 1}]}}', "the key 'c' stands twice in one object"),
        (b'{"signed": 1.0}', "the number 1.0 is not a whole number"),
        (b'{"signed": 1e3}', "the number 1e3 is not a whole number"),
        (b'{"signed": NaN}', "the number NaN is not a whole number"),
        (b'{"signed": -Infinity}', "the number -Infinity is not a whole number"),
        (b'{"signed": ' + b"9" * 5000 + b"}", "not readable as JSON"),
        (b'{"signed": "\\ud800", "signatures": []}', "not TUF metadata"),
        (b'{"signed": ' + b"[" * 100_000 + b"}", "not readable as JSON: nested too deeply"),
        (b'{"signed": ' + b"[" * MAX_DEPTH + b"]" * MAX_DEPTH + b"}", "nested too deeply"),
    ],
)
def test_what_is_no_strict_json_is_refused(data: bytes, why: str) -> None:
    assert why in refusal("targets", data).what


def test_as_deep_as_allowed_is_read() -> None:
    inner: Any = "leaf"
    for _ in range(MAX_DEPTH - 2):
        inner = [inner]

    parse("targets", edited("targets", lambda signed: signed.update({"x-deep": inner})))
    refusal("targets", edited("targets", lambda signed: signed.update({"x-deep": [inner]})))


def test_more_bytes_than_allowed_are_refused_unread() -> None:
    assert "larger than 16,000,000 bytes" in refusal("targets", b" " * (MAX_BYTES + 1)).what


# Strict types


ARCHIVE = ("targets", "demo/demo-1.0.tar.gz")
DELEGATED = ("delegations", "roles", 0)
NO_NUMBER = "is not a whole number"


@pytest.mark.parametrize(
    ("role", "path", "value", "why"),
    [
        ("targets", ["version"], True, "the version is not a whole number up to 999999999"),
        ("targets", ["version"], MAX_VERSION + 1, "the version is not a whole number up to 999999999"),
        ("targets", ["version"], "2", "not TUF metadata"),
        ("targets", ["version"], 0, "version must be > 0"),
        ("targets", ["version"], -1, "version must be > 0"),
        ("targets", ["version"], None, "another meaning"),
        ("targets", ["expires"], "2026-12-30", "not TUF metadata"),
        ("targets", ["expires"], "2026-12-30T12:00:00+00:00", "not TUF metadata"),
        ("targets", ["expires"], "2026-2-3T4:5:6Z", "another meaning"),
        ("targets", ["expires"], 1, "not TUF metadata"),
        ("targets", ["spec_version"], "2.0.0", "Unsupported spec_version"),
        ("targets", ["spec_version"], 1, "not TUF metadata"),
        ("targets", ["_type"], "mirrors", "unrecognized metadata type"),
        ("targets", ["targets"], [], "not TUF metadata"),
        ("targets", [*ARCHIVE], [], "not TUF metadata"),
        ("targets", [*ARCHIVE, "length"], True, f"the length of {ARCHIVE[1]!r} {NO_NUMBER}"),
        ("targets", [*ARCHIVE, "length"], "85", "not TUF metadata"),
        ("targets", [*ARCHIVE, "length"], -1, "not TUF metadata"),
        ("targets", [*ARCHIVE, "hashes"], {}, "not TUF metadata"),
        ("targets", [*ARCHIVE, "hashes"], {"sha256": 5}, "not TUF metadata"),
        ("targets", [*DELEGATED, "threshold"], True, f"the threshold of the role plugins {NO_NUMBER}"),
        ("targets", [*DELEGATED, "threshold"], 0, "threshold should be at least 1"),
        ("targets", [*DELEGATED, "keyids"], "ab", "the keyids of the role plugins are not a list of texts"),
        ("targets", [*DELEGATED, "keyids"], [1], "the keyids of the role plugins are not a list of texts"),
        ("targets", [*DELEGATED, "keyids"], ["5a", "5a"], "Nonunique keyids"),
        ("targets", [*DELEGATED, "paths"], "*", "the paths of the role plugins are not a list"),
        ("targets", [*DELEGATED, "paths"], [1], "Paths must be strings"),
        ("targets", [*DELEGATED, "terminating"], 1, "terminating of the role plugins is neither true nor"),
        ("targets", [*DELEGATED, "name"], "root", "top-level"),
        ("targets", [*DELEGATED, "name"], 7, "the name 7 of a role is not text"),
        ("targets", ["delegations", "keys", "5a"], {"keytype": "x"}, "Unsupported public key"),
        ("root", ["consistent_snapshot"], "yes", "consistent_snapshot is neither true nor false"),
        ("root", ["roles", "root", "threshold"], True, f"the threshold of the role root {NO_NUMBER}"),
        ("root", ["roles", "snapshot", "keyids"], "x", "the keyids of the role snapshot are not a list"),
        ("root", ["roles", "plugins"], {"keyids": [], "threshold": 1}, "top-level metadata roles"),
        ("root", ["keys"], [], "not TUF metadata"),
        ("snapshot", ["meta", "targets.json", "version"], True, "a version or length in meta"),
        ("snapshot", ["meta", "targets.json", "length"], True, "a version or length in meta"),
        ("snapshot", ["meta", "targets.json", "version"], 0, "not TUF metadata"),
        ("timestamp", ["meta", "snapshot.json", "version"], True, "a version or length in meta"),
        ("timestamp", ["meta"], {}, "'snapshot.json' is missing"),
        ("timestamp", ["meta", "targets.json"], {"version": 1}, "another meaning"),
    ],
    ids=str,
)
def test_a_value_of_another_type_is_refused(
    role: str, path: list[str | int], value: object, why: str
) -> None:
    def replace(signed: dict[str, Any]) -> None:
        node: Any = signed
        for step in path[:-1]:
            node = node[step]
        node[path[-1]] = value

    assert why in refusal(role, edited(role, replace)).what


def test_hash_bins_are_refused_since_nobody_would_be_shown_their_keys() -> None:
    def bins(signed: dict[str, Any]) -> None:
        succinct = {"keyids": [], "threshold": 1, "bit_length": 4, "name_prefix": "bin"}
        signed["delegations"] = {"keys": {}, "succinct_roles": succinct}

    assert "hash bins" in refusal("targets", edited("targets", bins)).what


def test_hash_prefixes_are_read() -> None:
    def prefixes(signed: dict[str, Any]) -> None:
        del signed["delegations"]["roles"][0]["paths"]
        signed["delegations"]["roles"][0]["path_hash_prefixes"] = ["0"]

    parse("targets", edited("targets", prefixes))


@pytest.mark.parametrize(
    "signatures",
    [
        {},
        None,
        "none",
        [1],
        [{"keyid": "5a"}],
        [{"keyid": "5a", "sig": 1}],
        [{"keyid": 5, "sig": "00"}],
        [{"keyid": [], "sig": "00"}],
        [{"keyid": "5a", "sig": "00"}, {"keyid": "5a", "sig": "01"}],
        [{"keyid": "\ud800", "sig": "00"}],
    ],
)
def test_signatures_of_another_form_are_refused(signatures: object) -> None:
    loaded = {**document(ROLES["targets"]), "signatures": signatures}
    data = json.dumps(loaded).encode()

    refusal("targets", data)


@pytest.mark.parametrize(
    ("role", "held"),
    [("root", "targets"), ("targets", "root"), ("plugins", "snapshot"), ("snapshot", "timestamp")],
)
def test_a_file_of_another_type_than_its_role_is_refused(role: str, held: str) -> None:
    error = refusal(role, ROLES[held])

    assert error.what.startswith(f"holds metadata of type {held}, but the role {role} needs ")


def test_a_delegated_role_holds_targets_metadata() -> None:
    assert parse("anything", ROLES["plugins"]).role == "anything"


# Nothing is lost


def test_unknown_fields_are_kept_wherever_they_stand() -> None:
    loaded = document(ROLES["targets"])
    odd = {"note": "Grüße", "list": [1, None, True, {"deep": []}], "negative": -5}
    loaded["x-envelope"] = odd
    loaded["signatures"][0]["x-signature"] = odd
    signed = loaded["signed"]
    signed["x-signed"] = odd
    signed["delegations"]["x-delegations"] = odd
    signed["delegations"]["roles"][0]["x-role"] = odd
    next(iter(signed["delegations"]["keys"].values()))["x-key"] = odd
    next(iter(signed["targets"].values()))["x-target"] = odd
    data = rendered(loaded)

    assert render_metadata(parse("targets", data).metadata) == data


def test_a_placeholder_for_a_signature_is_not_written() -> None:
    loaded = document(ROLES["targets"])
    loaded["signatures"] = [{"keyid": "5a", "sig": ""}]

    assert document(render_metadata(parse("targets", rendered(loaded)).metadata))["signatures"] == []


def test_metadata_is_written_with_sorted_keys_and_signatures() -> None:
    file = parse("targets", ROLES["targets"])
    file.metadata.signatures["00"] = Signature("00", "5a")
    data = render_metadata(file.metadata)

    assert data == rendered(document(data))
    assert [one["keyid"] for one in document(data)["signatures"]] == sorted(
        one["keyid"] for one in document(data)["signatures"]
    )
    assert data.endswith(b"\n}\n")
    assert not data.endswith(b"\n\n")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)


@given(fields=st.dictionaries(st.text(max_size=8).map(lambda text: f"x-{text}"), json_values, max_size=3))
def test_any_unknown_field_survives_reading_and_writing(fields: dict[str, object]) -> None:
    data = edited("plugins", lambda signed: signed.update(fields))
    file = parse("plugins", data)
    again = parse("plugins", render_metadata(file.metadata))

    assert again.digest == file.digest
    assert document(again.data)["signed"] == document(data)["signed"]


# Whatever the bytes


def only_metadata_errors(role: str, data: bytes) -> None:
    """Parsing succeeds or raises MetadataError; what was parsed can be written again."""
    try:
        file = parse(role, data)
    except MetadataError:
        return
    assert file.payload
    assert render_metadata(file.metadata)
    assert parse(role, render_metadata(file.metadata)).digest == file.digest


@given(role=st.sampled_from(ROLE_NAMES), data=st.binary(max_size=200))
def test_no_bytes_raise_anything_but_a_metadata_error(role: str, data: bytes) -> None:
    only_metadata_errors(role, data)


@given(role=st.sampled_from(ROLE_NAMES), value=json_values)
def test_no_json_raises_anything_but_a_metadata_error(role: str, value: object) -> None:
    only_metadata_errors(role, json.dumps(value).encode())


def paths(value: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Paths of all values of a document but the outermost."""
    below: list[tuple[str | int, Any]] = []
    if isinstance(value, dict):
        below = list(value.items())
    elif isinstance(value, list):
        below = list(enumerate(value))
    return [found for step, inner in below for found in ((*path, step), *paths(inner, (*path, step)))]


PLACES = [(role, path) for role in ROLE_NAMES for path in paths(document(ROLES[role]))]
odd_values = json_values | st.sampled_from(
    ["", "0", "ed25519", "rsa", [], {}, [[]], [{}], 0, -1, 2**70, True, "\ud800", "9999-12-31T23:59:59Z"]
)


@given(place=st.sampled_from(PLACES), value=odd_values, remove=st.booleans())
def test_no_change_of_good_metadata_raises_anything_but_a_metadata_error(
    place: tuple[str, tuple[str | int, ...]], value: object, remove: bool
) -> None:
    role, path = place
    changed = copy.deepcopy(document(ROLES[role]))
    node: Any = changed
    for step in path[:-1]:
        node = node[step]
    if remove:
        del node[path[-1]]
    else:
        node[path[-1]] = value
    only_metadata_errors(role, json.dumps(changed).encode())


@given(role=st.sampled_from(ROLE_NAMES), at=st.integers(min_value=0), byte=st.integers(0, 255))
def test_no_flipped_byte_raises_anything_but_a_metadata_error(role: str, at: int, byte: int) -> None:
    data = bytearray(ROLES[role])
    data[at % len(data)] = byte
    only_metadata_errors(role, bytes(data))


def test_a_metadata_error_is_one_of_the_family() -> None:
    assert issubclass(MetadataError, KeyturnError)
