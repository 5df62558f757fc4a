"""A repository's roles and a site's files, read lazily from any tree; hostile ones included."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from securesystemslib.signer import SSlibKey

from keyturn.state import (
    Owner,
    Problem,
    RoleFile,
    Site,
    State,
    delegations_of,
    fingerprint,
    keys_of,
    root_of,
    short_fingerprint,
    spec_keyid,
    targets_of,
)
from keyturn.state import metadata_file as reading
from keyturn.tree import MemoryTree
from unit.repository import (
    PEOPLE,
    Draft,
    key,
    keyid,
    published,
    released,
    rendered,
    rotated,
    signer,
)


def names(state: State) -> list[tuple[str, str]]:
    return [(delegation.delegator.role, delegation.name) for delegation in state.delegations]


# The repository


def test_a_tree_without_metadata_is_empty() -> None:
    state = State(MemoryTree({"keyturn.yml": b"", "metadata": b"a file of that name"}))

    assert state.empty
    assert (state.names, state.root, dict(state.roots)) == ((), None, {})
    assert (state.delegations, state.targets_roles(), state.problems) == ((), (), ())


def test_roles_are_the_json_files_directly_under_metadata() -> None:
    state = released().state

    assert state.names == ("plugins", "root", "targets")
    assert not state.empty
    assert [file.role for file in state.targets_roles()] == ["targets", "plugins"]


def test_a_role_that_is_not_there_is_none_and_no_problem() -> None:
    state = released().state

    assert state.role("themes") is None
    assert state.problems == ()


def test_a_role_is_read_once() -> None:
    state = released().state

    assert state.role("targets") is state.role("targets")


def test_every_root_is_found_under_its_number() -> None:
    state = rotated().state

    assert list(state.roots) == [1, 2]
    assert [root.version for root in state.roots.values()] == [1, 2]


@pytest.mark.parametrize(
    "name",
    [
        "0.root.json",
        "01.root.json",
        "1.root.json.bak",
        "x.root.json",
        "1.targets.json",
        "1000000000.root.json",
    ],
)
def test_only_numbered_roots_are_part_of_the_history(name: str) -> None:
    draft = released()
    draft.files[f"metadata/root_history/{name}"] = draft.files["metadata/root.json"]

    assert list(draft.state.roots) == [1]


def test_files_that_cannot_be_read_are_problems_with_their_reason() -> None:
    draft = released()
    draft.files["metadata/plugins.json"] = b"{}"
    draft.files["metadata/root_history/2.root.json"] = draft.files["metadata/targets.json"]
    draft.links["metadata/themes.json"] = "targets.json"

    assert draft.state.problems == (
        Problem("metadata/plugins.json", "not TUF metadata: 'signed' is missing"),
        Problem(
            "metadata/root_history/2.root.json",
            "holds metadata of type targets, but the role root needs root",
        ),
        Problem("metadata/themes.json", "is a link, not a file"),
    )


def test_a_file_too_large_is_not_even_read(monkeypatch: pytest.MonkeyPatch) -> None:
    class Huge(MemoryTree):
        def size(self, path: str) -> int:
            return reading.MAX_BYTES + 1

        def read(self, path: str) -> bytes:
            raise AssertionError(path)

    state = State(Huge({"metadata/root.json": b"{}"}))

    assert state.problems == (Problem("metadata/root.json", "larger than 16,000,000 bytes"),)


# Delegations


def test_the_top_level_comes_before_what_targets_delegates() -> None:
    assert names(released().state) == [
        ("root", "root"),
        ("root", "snapshot"),
        ("root", "targets"),
        ("root", "timestamp"),
        ("targets", "plugins"),
    ]


def test_delegations_are_followed_to_any_depth_and_cycles_end() -> None:
    draft = released()
    draft.delegate("deeper", "dave", paths=["plugins/x/*"], by="plugins")
    draft.add_role("deeper")
    draft.delegate("plugins", "alice", paths=["*"], by="deeper")
    state = draft.state

    assert names(state)[-3:] == [("targets", "plugins"), ("plugins", "deeper"), ("deeper", "plugins")]
    assert [found.delegator.role for found in state.delegations_to("plugins")] == ["targets", "deeper"]
    assert [file.role for file in state.targets_roles()] == ["targets", "plugins", "deeper"]


def test_a_delegation_knows_its_keys_and_their_owners() -> None:
    draft = released()
    draft.add_key("targets", "plugins", "dave", owner={"login": "dave", "id": 7})
    (delegation,) = draft.state.delegations_to("plugins")

    assert delegation.keys == {keyid("carol"): key("carol"), keyid("dave"): key("dave")}
    assert delegation.owners[keyid("dave")] == Owner("dave", 7)
    assert delegation.owner_name(keyid("carol")) == "carol"
    assert delegation.owner_name("5a" * 32) == "key 5a5a5a5a"


@pytest.mark.parametrize("broken", [None, {"format": 2}])
def test_owners_that_are_missing_or_unreadable_are_nobody(broken: object) -> None:
    draft = released()
    with draft.edit("targets") as signed:
        del signed["x-keyturn"]
        if broken:
            signed["x-keyturn"] = broken
    (delegation,) = draft.state.delegations_to("plugins")

    assert delegation.owners == {}
    assert delegation.owner_name(keyid("carol")) == f"key {keyid('carol')[:8]}"


def test_a_role_that_delegates_nothing_has_neither_keys_nor_delegations() -> None:
    file = released().state.role("plugins")
    assert file

    assert keys_of(file) == {}
    assert delegations_of(file) == ()


def test_online_roles_neither_delegate_nor_hold_keys() -> None:
    site = Site(published().tree)
    assert site.timestamp

    assert keys_of(site.timestamp) == {}
    assert delegations_of(site.timestamp) == ()


def test_signed_parts_are_typed() -> None:
    state = released().state
    assert state.root
    targets = state.role("targets")
    assert targets

    assert root_of(state.root).consistent_snapshot is True
    assert list(targets_of(targets).targets) == ["demo/demo-1.0.tar.gz"]


# Digests


def test_the_vectors_of_the_specification() -> None:
    assert keyid("alice") == "7ab6b86cb2c9684b0ddc10896153aa2595decf4d4327a5ff1a8ab7422c828b12"
    assert fingerprint(key("alice")).startswith("fd110d30")
    assert short_fingerprint(fingerprint(key("alice"))) == "fd11 0d30 " + " ".join(
        fingerprint(key("alice"))[start : start + 4] for start in (8, 12)
    )


@pytest.mark.parametrize("name", ["alice", "dave", "erin"])
def test_a_key_of_any_type_has_the_keyid_of_the_specification(name: str) -> None:
    assert spec_keyid(key(name)) == keyid(name)
    assert len(fingerprint(key(name))) == 64


def test_the_fingerprint_is_of_the_key_and_not_of_how_it_is_written() -> None:
    shouted = SSlibKey("5a", "ed25519", "ed25519", {"public": key("alice").keyval["public"].upper()})
    pem = key("erin").keyval["public"]
    spaced = SSlibKey("5a", "rsa", "rsa-pkcs1v15-sha256", {"public": f"\n{pem}\n\n"})

    assert fingerprint(shouted) == fingerprint(key("alice"))
    assert fingerprint(spaced) == fingerprint(key("erin"))


def test_a_key_on_an_unknown_curve_has_no_fingerprint() -> None:
    unknown = (
        "-----BEGIN PUBLIC KEY-----\n"
        "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAX8DQgAEPtETt4g7TFkGODedsMIc2hZ0LtAl\n"
        "UEi/QzOR03S8IdGQmSCazMTIoiTIQ6+k9MaKCQ0E2l6Yidri+O786Co3QA==\n"
        "-----END PUBLIC KEY-----\n"
    )
    with pytest.raises(ValueError, match="not supported"):
        fingerprint(SSlibKey("5a", "ecdsa", "ecdsa-sha2-nistp256", {"public": unknown}))


# The site


def test_a_site_is_read_by_role_and_version() -> None:
    site = Site(published().tree)

    assert not site.empty
    assert site.versions == {"root": (1, 2), "plugins": (2,), "snapshot": (1,), "targets": (2,)}
    assert list(site.roots) == [1, 2]
    assert site.root
    assert site.root.version == 2
    assert site.unversioned_root
    assert site.unversioned_root.data == site.root.data
    assert site.timestamp
    assert site.timestamp.version == 1
    targets = site.file("targets", 2)
    assert targets
    assert targets.path == "metadata/2.targets.json"


def test_an_empty_site_has_nothing() -> None:
    site = Site(MemoryTree({"index.html": b""}))

    assert site.empty
    assert (site.root, site.timestamp, site.unversioned_root, site.file("targets", 1)) == (None,) * 4
    assert site.versions == {}


def test_a_file_of_a_site_that_cannot_be_read_is_none_and_says_why() -> None:
    draft = published()
    draft.files["metadata/timestamp.json"] = b"{"
    draft.files["metadata/3.root.json"] = b"{}"
    site = Site(draft.tree)

    assert site.timestamp is None
    problem = site.problem("metadata/timestamp.json")
    assert problem
    assert problem.what.startswith("not readable as JSON")
    assert site.problem("metadata/9.targets.json") is None
    assert list(site.roots) == [1, 2]
    assert site.versions["root"] == (1, 2, 3)


# Whatever the tree


GOOD = [*rotated().files.values(), *published().files.values(), b"{}", b"", b"[]", rendered({"signed": {}})]
PATHS = [
    *(
        f"metadata/{name}.json"
        for name in ("root", "targets", "snapshot", "timestamp", "plugins", ".", "a b")
    ),
    *(f"metadata/root_history/{number}.root.json" for number in (0, 1, 2, 3, 999_999_999)),
    *(f"metadata/{number}.{name}.json" for number in (1, 2, 3) for name in ("root", "targets", "snapshot")),
    "metadata/1.../x.json",
    "metadata/.json",
    "metadata/root_history",
    "targets/x",
    "keyturn.yml",
]


@given(
    files=st.dictionaries(st.sampled_from(PATHS), st.sampled_from(GOOD) | st.binary(max_size=20), max_size=8),
    links=st.sets(st.sampled_from(PATHS), max_size=2),
)
def test_any_tree_can_be_read_as_a_repository_and_as_a_site(files: dict[str, bytes], links: set[str]) -> None:
    tree = MemoryTree(
        {path: data for path, data in files.items() if path not in links},
        links=dict.fromkeys(links, "elsewhere"),
    )
    state, site = State(tree), Site(tree)

    assert all(isinstance(state.role(name), RoleFile | None) for name in state.names)
    assert {delegation.name for delegation in state.delegations} >= {
        file.role for file in state.targets_roles()
    }
    assert len(state.problems) <= len(tree.entries())
    assert state.root is None or state.root.role == "root"
    assert all(version == int(version) for version in state.roots)
    assert site.root is None or site.root in site.roots.values()
    for role, versions in site.versions.items():
        for version in versions:
            file = site.file(role, version)
            assert file is not None or site.problem(f"metadata/{version}.{role}.json") is not None
    assert site.timestamp is None or site.timestamp.role == "timestamp"


def test_the_keys_of_the_tests_are_those_that_they_say() -> None:
    assert {signer(name).public.keyid for name in PEOPLE} == {keyid(name) for name in PEOPLE}
    assert Draft({}).keyring == {name: key(name) for name in PEOPLE}
