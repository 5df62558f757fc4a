"""No bytes make a parser of what others write raise anything but our own errors: 2,000 examples each."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import PurePosixPath, PureWindowsPath

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keyturn.client.releases import newest, release
from keyturn.delta.manifest import Manifest
from keyturn.errors import KeyturnError
from keyturn.flow.context import read_keyring
from keyturn.policy import Policy, parse
from keyturn.signing import find_blocks, parse_public, prove, public_pem, render, sign_payload
from keyturn.signing.remote_url import normalise_url
from keyturn.state import Extension, MetadataError, RoleFile, State, targets_of
from keyturn.tree import MemoryTree
from keyturn.verify import why_unsafe
from unit.repository import POLICY, key, released, signer

pytestmark = pytest.mark.slow

often = settings(
    max_examples=2000, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
seldom = settings(often, max_examples=300)
"""For what is not in the list of parsers, but as easily asked."""
HOSTILE = [
    b"", b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\r\n", b"\n\n", b"\t", b" ", b"\x1b[2J",
    "\u202e\u200b\u2028".encode(), "\U000e0001é\u0301".encode(), b"9" * 5000, b"1e999", b"-1", b"NaN", b"0.5",
    b"[" * 2000, b"{" * 300, b'{"a":' * 300, b"null", b"true", b'"', b"'", b"\\", b"\\ud800", b"%00", b"../",
    b"CON", b"\xe2\x80\xae",
]  # fmt: skip


def doctored(good: bytes, *own: bytes) -> st.SearchStrategy[bytes]:
    """Bytes of any kind: noise, text, or a good document with pieces taken out, doubled and put in."""
    pieces = st.one_of(st.sampled_from([*HOSTILE, *own]), st.binary(max_size=8))
    cuts = st.tuples(st.integers(0, len(good)), st.integers(0, 40), pieces)

    def cut(changes: list[tuple[int, int, bytes]]) -> bytes:
        data = good
        for at, length, piece in changes:
            data = data[:at] + piece + data[at + length :]
        return data

    def moved(at: tuple[int, int, int]) -> bytes:
        start, length, to = at
        return good[:to] + good[start : start + length] + good[to:]

    place = st.integers(0, len(good))
    return st.one_of(
        st.lists(cuts, min_size=1, max_size=4).map(cut),
        st.lists(cuts, min_size=1, max_size=2).map(cut),
        st.tuples(place, st.integers(1, 200), place).map(moved),
        st.binary(max_size=200),
        st.text(max_size=80).map(lambda text: text.encode("utf-8", "surrogatepass")),
    )


def read(parser: Callable[[], object]) -> object:
    """What a parser gives, None where it refuses in words of ours."""
    try:
        return parser()
    except KeyturnError as refusal:
        assert str(refusal)
        assert refusal.reason
        json.dumps(refusal.to_dict())
        return None


def lines_of(text: bytes) -> list[bytes]:
    return text.splitlines(keepends=True)


@often
@given(
    data=doctored(POLICY.encode(), *lines_of(POLICY.encode()), b"&a", b"*a", b"!!python/object:x", b"<<: ")
)
def test_the_policy(data: bytes) -> None:
    policy = read(lambda: parse(data))
    assert policy is None or isinstance(policy, Policy)


FILES = released().files
ROOT, TARGETS = FILES["metadata/root.json"], FILES["metadata/targets.json"]


@often
@given(
    role=st.sampled_from(["root", "targets", "snapshot", "timestamp", "plugins"]),
    data=st.one_of(
        doctored(ROOT, b'"_type": "root",', b'"keyids": [],', b'"threshold": true'),
        doctored(TARGETS, b'"succinct_roles": {', b'"path_hash_prefixes": ["0"],', b'"paths": "x",'),
    ),
)
def test_metadata(role: str, data: bytes) -> None:
    file = read(lambda: RoleFile.parse(role, f"metadata/{role}.json", data))
    if isinstance(file, RoleFile):
        assert file.digest
        read(lambda: Extension.of(file.signed, file.path))
    state = State(MemoryTree({**FILES, "metadata/targets.json": data}))
    assert state.delegations
    assert state.problems is not None


SPOKEN = json.dumps(json.loads(ROOT)["signed"]["x-keyturn"], indent=1).encode()


@seldom
@given(data=doctored(SPOKEN, b'"online"', b'{"login": "ALICE"}', b'"id": 0', b'"id": true', b'"0d"'))
def test_owners_and_periods(data: bytes) -> None:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        value = data.decode("latin-1")
    read(lambda: Extension.parse(value, "metadata/root.json"))


BLOCK = render(
    sign_payload(signer("alice"), b"payload", repository="5a" * 32, role="targets", version=2)
).encode()


@often
@given(data=doctored(BLOCK, BLOCK, *lines_of(BLOCK), b"```\n", b"> ", b"version: 0\n"))
def test_signature_blocks(data: bytes) -> None:
    for text in (data, data.decode("utf-8", "replace")):
        blocks = read(lambda text=text: find_blocks(text))
        for block in blocks if isinstance(blocks, tuple) else ():
            assert find_blocks(render(block)) == (block,)


PUB, PROOF = public_pem(key("alice")), prove(signer("alice"), "acme-updates", "alice").encode()
RSA, P256 = public_pem(key("erin")), public_pem(key("dave"))


@often
@given(
    pub=st.one_of(st.just(PUB), doctored(PUB, RSA, P256), doctored(P256, PUB), doctored(RSA, PUB)),
    proof=st.one_of(st.just(PROOF), doctored(PROOF, BLOCK, *lines_of(PROOF))),
    login=st.one_of(st.sampled_from(["alice", "ALICE", "a\n", "..", "\u0430lice"]), st.text(max_size=8)),
)
def test_the_keyring(pub: bytes, proof: bytes, login: str) -> None:
    read(lambda: parse_public(pub, where="keyring/alice.pub"))
    keyring = read_keyring(
        MemoryTree({f"keyring/{login}.pub": pub, f"keyring/{login}.proof": proof}), "acme-updates"
    )
    assert set(keyring.keys) <= {login}
    if keyring.keys:
        assert login == "alice"


MANIFEST = Manifest.of(()).to_bytes()


@seldom
@given(
    data=doctored(MANIFEST, b'{"kind":"file","mode":493,"path":"a","sha256":"","size":1}', b'"items":[', b",")
)
def test_manifests(data: bytes) -> None:
    manifest = read(lambda: Manifest.from_bytes(data))
    if isinstance(manifest, Manifest):
        assert manifest.to_bytes() == data


segments = st.one_of(
    st.sampled_from(
        ["", ".", "..", "a", "con", "COM\u00b9.txt", "nul ", ".git", "GIT~1", "a.", " a", "\u202e", "a\\b",
         "C:", "a" * 190, "é" * 90, "\ud800", "*", "?", "%2e", "#", "\x7f", "~", "-", "a b"]
    ),
    st.text(max_size=6),
)  # fmt: skip
paths = st.lists(segments, min_size=1, max_size=5).map("/".join)


@often
@given(path=paths)
def test_target_paths(path: str) -> None:
    if why_unsafe(path) is not None:
        return
    windows = PureWindowsPath(path)

    assert not PurePosixPath(path).is_absolute()
    assert not windows.is_absolute()
    assert not windows.drive
    assert str(PurePosixPath(path)) == path
    assert ".." not in windows.parts
    assert path.isprintable()
    assert path.encode()


json_values = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.text(max_size=5), st.sampled_from(["1.0", "7e" * 32])
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["user", "keyturn", "app", "version", "tree", "platform"]), inner, max_size=5
        ),
    ),
    max_leaves=8,
)  # fmt: skip


@seldom
@given(custom=json_values, more=json_values)
def test_what_a_target_says_of_itself(custom: object, more: object) -> None:
    file = released().state.role("targets")
    assert file
    (target,) = targets_of(file).targets.values()
    for said in (custom, {"user": {"keyturn": more}}, {"user": {"keyturn": {**_known(), "version": more}}}):
        target.unrecognized_fields["custom"] = said
        found = release(target)
        if found:
            read(lambda found=found: newest([found, found], app="demo", platform="", above=None, refused=[]))


def _known() -> dict[str, object]:
    return {"app": "demo", "platform": "", "tree": "7e" * 32}


@seldom
@given(
    url=st.one_of(
        doctored(
            b"https://user@example.org:443/acme/updates.git", b"ssh://", b"file://", b"git@", b":", b"[::1"
        ),
        st.text(max_size=30).map(lambda text: text.encode("utf-8", "surrogatepass")),
    )
)
def test_addresses_of_remotes(url: bytes) -> None:
    read(lambda: normalise_url(url.decode("utf-8", "surrogateescape")))


def test_the_documents_that_are_doctored_are_good() -> None:
    assert parse(POLICY.encode())
    assert find_blocks(BLOCK)
    assert Manifest.from_bytes(MANIFEST)
    assert read_keyring(
        MemoryTree({"keyring/alice.pub": PUB, "keyring/alice.proof": PROOF}), "acme-updates"
    ).keys
    with pytest.raises(MetadataError):
        RoleFile.parse("root", "metadata/root.json", TARGETS)
