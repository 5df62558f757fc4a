"""Keys, signatures, root rotations, hash algorithms, and what metadata may look like besides."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from itertools import pairwise
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from securesystemslib.signer import CryptoSigner, SSlibKey

from conformance.world import ALICE, BOB, BOTH, CAROL, HELD, MALLORY, Here, key

pytestmark = pytest.mark.slow

ELLIPTIC = {"ecdsa-sha2-nistp256": ec.SECP256R1(), "ecdsa-sha2-nistp384": ec.SECP384R1()}
RSA = ("rsassa-pss-sha256", "rsassa-pss-sha512", "rsa-pkcs1v15-sha256")
PrivateKey = Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
SCHEMES = ("ed25519", *ELLIPTIC, *RSA)


@cache
def private_key(kind: str, owner: str) -> PrivateKey:
    if kind == "ed25519":
        return Ed25519PrivateKey.generate()
    # No more bits than a test needs: making them takes its time.
    return rsa.generate_private_key(65537, 2048) if kind == "rsa" else ec.generate_private_key(ELLIPTIC[kind])


@cache
def signer(scheme: str, owner: str = "alice") -> CryptoSigner:
    private = private_key("rsa" if scheme in RSA else scheme, owner)
    return CryptoSigner(private, SSlibKey.from_crypto(private.public_key(), scheme=scheme))


def root_json(here: Here, change: Callable[[dict[str, Any]], object]) -> None:
    """Put a next root that python-tuf would not make."""
    here.repository.root.version += 1
    payload = here.repository.root.to_dict()
    change(payload)
    here.repository.put_json("root", payload)


def metadata(here: Here, role: str, change: Callable[[dict[str, Any]], object]) -> None:
    """Change a role's file outside of what is signed."""
    name = here.repository.name(role)
    document = json.loads(here.repository.files[name])
    change(document)
    here.repository.files[name] = json.dumps(document).encode()


# Key types


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_role_may_have_keys_of_this_type(here: Here, scheme: str) -> None:
    repository = here.repository
    for role in ("timestamp", "snapshot", "targets"):
        repository.entrust(role, signer(scheme))
    repository.entrust("root", ALICE, BOB, signer(scheme), threshold=3)
    repository.renew("root")
    repository.delegate("targets", "a", owners=(signer(scheme),))
    repository.add_target("file", b"content", role="a")
    repository.release("a", "targets")

    assert here.download("file").done
    assert here.held() == {"root": 2, "timestamp": 2, "snapshot": 2, "targets": 2, "a": 1}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_another_key_of_the_same_type_does_not_sign(here: Here, scheme: str) -> None:
    def claim(document: dict[str, Any]) -> None:
        document["signatures"][0]["keyid"] = signer(scheme).public_key.keyid

    here.repository.entrust("timestamp", signer(scheme))
    here.repository.renew("root")
    here.repository.put("timestamp", signer(scheme, "mallory"))
    metadata(here, "timestamp", claim)

    assert here.refresh().refusal == ("threshold", "timestamp")


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("change", ["flipped", "cut", "empty"])
def test_a_damaged_signature_does_not_count(here: Here, scheme: str, change: str) -> None:
    def damage(document: dict[str, Any]) -> None:
        signature = document["signatures"][0]
        good = bytes.fromhex(signature["sig"])
        flipped = bytes([*good[:-1], good[-1] ^ 1])
        signature["sig"] = {"flipped": flipped, "cut": good[:-1], "empty": b""}[change].hex()

    here.repository.entrust("timestamp", signer(scheme))
    here.repository.renew("root", "timestamp")
    metadata(here, "timestamp", damage)

    assert here.refresh().refusal == ("threshold", "timestamp")


@pytest.mark.parametrize("scheme", ELLIPTIC)
def test_a_raw_elliptic_signature_does_not_count(here: Here, scheme: str) -> None:
    """TUF has them in DER; some makers of signatures give the two numbers only."""

    def make_raw(document: dict[str, Any]) -> None:
        signature = document["signatures"][0]
        size = ELLIPTIC[scheme].key_size // 8
        numbers = decode_dss_signature(bytes.fromhex(signature["sig"]))
        signature["sig"] = b"".join(number.to_bytes(size, "big") for number in numbers).hex()

    here.repository.entrust("timestamp", signer(scheme))
    here.repository.renew("root", "timestamp")
    metadata(here, "timestamp", make_raw)

    assert here.refresh().refusal == ("threshold", "timestamp")


@pytest.mark.parametrize("scheme", ["rsassa-pss-sha512", "rsa-pkcs1v15-sha256"])
def test_a_signature_by_another_scheme_of_the_same_key_does_not_count(here: Here, scheme: str) -> None:
    trusted = signer("rsassa-pss-sha256").public_key
    other = SSlibKey(trusted.keyid, trusted.keytype, scheme, trusted.keyval)
    here.repository.entrust("timestamp", signer("rsassa-pss-sha256"))
    here.repository.renew("root")
    here.repository.put("timestamp", CryptoSigner(private_key("rsa", "alice"), other))

    assert here.refresh().refusal == ("threshold", "timestamp")


@BOTH
def test_a_threshold_may_be_met_by_keys_of_all_types(here: Here) -> None:
    here.repository.hashed = ("sha256", "sha512")
    keys = [signer("ed25519"), *(signer(scheme) for scheme in ELLIPTIC), signer("rsassa-pss-sha256")]
    here.repository.entrust("targets", *keys, threshold=4)
    here.repository.renew("root")
    here.repository.release("targets")
    assert here.refresh().done

    here.repository.signers["targets"] = keys[:3]
    here.repository.release("targets")
    assert here.refresh().refusal == ("threshold", "targets")


@pytest.mark.filterwarnings("ignore:keytype")
def test_the_older_name_of_the_elliptic_key_type_is_read(here: Here) -> None:
    ours = signer("ecdsa-sha2-nistp256")
    public = SSlibKey("old name", "ecdsa-sha2-nistp256", ours.public_key.scheme, ours.public_key.keyval)
    here.repository.entrust("timestamp", CryptoSigner(private_key("ecdsa-sha2-nistp256", "alice"), public))
    here.repository.renew("root", "timestamp")

    assert here.refresh().done


def test_a_root_with_a_key_of_an_unknown_type_is_not_read(here: Here) -> None:
    def add_unknown(payload: dict[str, Any]) -> None:
        payload["keys"]["future"] = {"keytype": "rainbow", "scheme": "rainbow", "keyval": {"public": "00"}}
        payload["roles"]["timestamp"]["keyids"].append("future")

    root_json(here, add_unknown)

    assert here.refresh().refusal == ("bad-metadata", "root")
    assert here.held() == {"root": 1}


# Counting signatures


@BOTH
def test_the_same_keyid_twice_is_refused(here: Here) -> None:
    here.repository.put("targets", ALICE)
    metadata(here, "targets", lambda document: document["signatures"].extend(document["signatures"]))

    assert here.refresh().refusal == ("bad-metadata", "targets")


def test_one_signature_under_the_keyids_of_others_counts_once(here: Here) -> None:
    def copy(document: dict[str, Any]) -> None:
        for owner in (BOB, CAROL):
            document["signatures"].append({**document["signatures"][0], "keyid": owner.public_key.keyid})

    here.repository.put("targets", ALICE)
    metadata(here, "targets", copy)

    assert here.refresh().refusal == ("threshold", "targets")


def test_the_same_keyid_twice_in_a_role_is_refused(here: Here) -> None:
    root_json(
        here,
        lambda payload: payload["roles"]["snapshot"]["keyids"].extend([key("snapshot").public_key.keyid]),
    )

    assert here.refresh().refusal == ("bad-metadata", "root")


def test_a_keyid_of_a_role_without_its_key_counts_for_nothing(here: Here) -> None:
    def forget_bob(payload: dict[str, Any]) -> None:
        del payload["keys"][BOB.public_key.keyid]
        payload["roles"]["root"]["keyids"].remove(BOB.public_key.keyid)

    here.repository.signers["root"] = (ALICE, BOB, CAROL)
    root_json(here, forget_bob)
    assert here.refresh().refusal == ("threshold", "targets")

    here.repository.put("targets", ALICE, CAROL)
    assert here.refresh().done


@pytest.mark.parametrize("threshold", [0, -1, "1", None])
def test_a_threshold_that_is_none_is_refused(here: Here, threshold: object) -> None:
    root_json(here, lambda payload: payload["roles"]["targets"].update(threshold=threshold))

    assert here.refresh().refusal == ("bad-metadata", "root")


def test_a_threshold_above_the_number_of_keys_is_never_met(here: Here) -> None:
    here.repository.root.roles["snapshot"].threshold = 2
    here.repository.renew("root")

    assert here.refresh().refusal == ("threshold", "snapshot")


@BOTH
def test_signatures_of_strangers_and_of_unknown_kinds_do_no_harm(here: Here) -> None:
    def add(document: dict[str, Any]) -> None:
        document["signatures"].insert(0, {"keyid": "unknown", "sig": "00", "method": "none"})
        document["signatures"].append({"keyid": CAROL.public_key.keyid, "sig": "not a number"})

    here.repository.put("targets", MALLORY, ALICE, BOB)
    metadata(here, "targets", add)

    assert here.refresh().done


# Rotating root


@BOTH
def test_all_signers_may_change_twice_and_a_client_of_the_first_root_follows_in_one_go(here: Here) -> None:
    """Root 1 of alice, bob and carol; 2 of dave and erin; 3 of frank and grace; targets go along."""
    pairs = [(ALICE, BOB), (key("dave"), key("erin")), (key("frank"), key("grace"))]
    for before, after in pairwise(pairs):
        here.repository.entrust("root", *after, threshold=2)
        here.repository.entrust("targets", *after, threshold=2)
        for role in ("snapshot", "timestamp"):
            here.repository.entrust(role, key(f"{role} of {after[0].public_key.keyid}"))
        here.repository.root.version += 1
        here.repository.put("root", *before, *after)
        here.repository.release("targets")

    assert here.refresh().done
    assert here.held() == {"root": 3, "timestamp": 3, "snapshot": 3, "targets": 3}

    # The first signers have no say any more.
    here.repository.root.version = 4
    here.repository.put("root", ALICE, BOB, CAROL)
    assert here.refresh().refusal == ("threshold", "root")
    assert here.held()["root"] == 3


def test_a_root_cannot_be_skipped_although_the_last_signers_vouch_for_the_next(here: Here) -> None:
    """Root 3 is signed as root 2 says and as it says itself; root 2 is not signed as root 1 says."""
    here.repository.entrust("root", MALLORY)
    here.repository.renew("root", "root")

    assert here.refresh().refusal == ("threshold", "root")
    assert here.held() == {"root": 1}


@pytest.mark.parametrize("rotations", [1, 2, 5])
def test_one_signer_after_the_other_may_be_replaced(here: Here, rotations: int) -> None:
    owners = [ALICE, BOB, CAROL]
    for number in range(rotations):
        stays = owners[1:]
        owners = [*stays, key(f"new {number}")]
        here.repository.entrust("root", *owners, threshold=2)
        here.repository.root.version += 1
        here.repository.put("root", *stays)

    assert here.refresh().done
    assert here.held()["root"] == rotations + 1


def test_the_root_that_the_client_began_with_decides_what_it_follows(here: Here) -> None:
    """Two repositories begin with the same root 1 and part at root 2."""
    here.repository.renew("root")
    assert here.refresh().done
    here.repository.root.version = 2
    here.repository.root.unrecognized_fields["x-other"] = True
    here.repository.put("root", BOB, CAROL)

    assert here.refresh().done
    assert b"x-other" not in (here.metadata / "root.json").read_bytes()


# Hash algorithms


@pytest.mark.parametrize("algorithms", [("sha256",), ("sha512",), ("sha256", "sha512")], ids="+".join)
def test_targets_and_metadata_may_be_listed_with_these_hashes(
    here: Here, algorithms: tuple[str, ...]
) -> None:
    here.repository.hashed = algorithms
    here.repository.delegate("targets", "a")
    here.repository.add_target("file", b"content", role="a", hashed=algorithms)
    here.repository.release("a", "targets")

    assert here.download("file").done
    assert here.got() == {"file": b"content"}


@pytest.mark.parametrize("wrong", ["sha256", "sha512"])
@pytest.mark.parametrize("what", ["snapshot", "targets", "file"])
def test_all_of_several_hashes_must_be_right(here: Here, what: str, wrong: str) -> None:
    repository = here.repository
    repository.hashed = ("sha256", "sha512")
    target = repository.add_target("file", b"content", hashed=("sha256", "sha512"))
    repository.release("targets")
    listed = {
        "snapshot": repository.timestamp.snapshot_meta,
        "targets": repository.snapshot.meta["targets.json"],
    }
    hashes = target.hashes if what == "file" else listed[what].hashes
    assert hashes is not None
    hashes[wrong] = "0" * len(hashes[wrong])
    for name in repository.target_names(target):
        repository.files[name] = b"content"
    if what == "file":
        repository.release("targets")
    elif what == "targets":
        repository.renew("snapshot", "timestamp")
    else:
        repository.renew("timestamp")

    assert here.download("file").refusal == ("hash-mismatch", "" if what == "file" else what)


@pytest.mark.parametrize("hashes", [{"rainbow": "00"}, {"md5": "9a0364b9e99bb480dd25e1f0284c8555"}])
def test_a_target_with_hashes_of_other_kinds_only_is_not_stored(here: Here, hashes: dict[str, str]) -> None:
    target = here.repository.add_target("file", b"something else")
    target.hashes = hashes
    here.repository.files[here.repository.target_names(target)[0]] = b"something else"
    here.repository.release("targets")

    assert here.download("file").refusal == ("hash-mismatch", "")
    assert here.got() == {}


def test_a_target_without_hashes_is_refused(here: Here) -> None:
    here.repository.add_target("file", b"content")
    here.repository.release("targets")
    payload = here.repository.targets.to_dict()
    payload["targets"]["file"]["hashes"] = {}
    here.repository.put_json("targets", payload)

    assert here.download("file").refusal == ("bad-metadata", "targets")


# What else may stand in metadata


@BOTH
def test_unknown_fields_are_kept_and_count_for_the_signature(here: Here) -> None:
    repository = here.repository
    unknown = {"x-keyturn": {"über": [1, None, True, {"a": ""}]}}
    for role in ("root", "timestamp", "snapshot", "targets"):
        repository.roles[role].unrecognized_fields.update(unknown)
        repository.root.roles[role].unrecognized_fields.update(unknown)
    repository.root.keys[ALICE.public_key.keyid].unrecognized_fields.update(keyid_hash_algorithms=["md5"])
    repository.add_target("file", b"content").unrecognized_fields["custom"] = unknown
    repository.renew("root")
    repository.release("targets")

    assert here.download("file").done
    for role, name in (("root", "2.root"), ("targets", "2.targets"), ("timestamp", "timestamp")):
        assert (here.metadata / f"{role}.json").read_bytes() == repository.files[f"metadata/{name}.json"]

    repository.renew("timestamp")
    name = repository.name("timestamp")
    here.site.instead[name] = repository.files[name].replace(b"null", b"false")
    assert here.refresh().refusal == ("threshold", "timestamp")


@pytest.mark.parametrize("version", ["1.0.0", "1.0.31", "1.0.99", "1.1.0"])
def test_metadata_of_any_1_x_specification_is_read(here: Here, version: str) -> None:
    for role in ("targets", "snapshot", "timestamp"):
        here.repository.roles[role].spec_version = version
    here.repository.release("targets")

    assert here.refresh().done


@pytest.mark.parametrize("version", ["2.0.0", "0.9.0", "1", "one", ""])
def test_metadata_of_another_specification_is_refused(here: Here, version: str) -> None:
    payload = here.repository.timestamp.to_dict()
    payload["spec_version"] = version
    here.repository.put_json("timestamp", payload)

    assert here.refresh().refusal == ("bad-metadata", "timestamp")


@pytest.mark.parametrize(
    "change",
    [
        {"_type": "snapshot"},
        {"_type": None},
        {"version": 0},
        {"version": -1},
        {"version": "1"},
        {"expires": "2036-11-21"},
        {"expires": "2036-11-21T12:00:00+01:00"},
        {"expires": 1},
        {"meta": {}},
        {"meta": {"snapshot.json": {"version": 0}}},
        {"meta": {"snapshot.json": {"version": 1, "length": -1}}},
        {"meta": {"snapshot.json": {"version": 1, "hashes": {}}}},
        {"meta": []},
    ],
    ids=str,
)
def test_a_timestamp_with_a_field_that_cannot_be_is_refused(here: Here, change: dict[str, object]) -> None:
    here.repository.put_json("timestamp", {**here.repository.timestamp.to_dict(), **change})

    assert here.refresh().refusal == ("bad-metadata", "timestamp")
    assert here.held() == {"root": 1}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"signed": {}, "signatures": []}',
        b"\xff\xfe",
        b"\x1f\x8b\x08\x00",
        b"<!doctype html>",
        b"[" * 100_000,
        b'{"signed":' + b"9" * 10_000 + b"}",
    ],
    ids=lambda data: repr(data[:12]),
)
@pytest.mark.parametrize("role", ["2.root", "timestamp", "1.snapshot", "1.targets"])
def test_what_is_no_metadata_is_refused(here: Here, role: str, data: bytes) -> None:
    here.site.instead[f"metadata/{role}.json"] = data

    outcome = here.refresh()

    name = role.rpartition(".")[2]
    too_long = len(data) > 16_384 and name == "timestamp"
    assert outcome.refusal == ("hash-mismatch" if too_long else "bad-metadata", name)
    assert here.held().get(name) == (1 if name == "root" else None)


def test_metadata_may_be_written_in_any_order_and_with_any_spaces(here: Here) -> None:
    for role in ("timestamp", "snapshot", "targets"):
        name = here.repository.name(role)
        document = json.loads(here.repository.files[name])
        turned = {"signatures": document["signatures"], "signed": dict(reversed(document["signed"].items()))}
        here.repository.files[name] = json.dumps(turned, indent=3).encode()

    assert here.refresh().done
    assert here.held() == HELD
