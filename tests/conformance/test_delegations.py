"""The search for a target through delegations (5.6.7), and what the names of roles and targets may be."""

from __future__ import annotations

from datetime import timedelta
from hashlib import sha256
from http import HTTPStatus
from urllib.parse import quote

import pytest
from tuf.api.metadata import DelegatedRole, Delegations, SuccinctRoles, Targets

from conformance.world import ALICE, BOB, BOTH, CAROL, MALLORY, NOW, Here, key

pytestmark = pytest.mark.slow


def delegate(here: Here, graph: str) -> None:
    """Make delegations like ``targets>a targets>b! a>c``; ``!`` makes one terminating."""
    names = []
    for edge in graph.split():
        parent, _, child = edge.partition(">")
        name = child.rstrip("!")
        here.repository.delegate(parent, name, terminating=child.endswith("!"))
        names.append(name)
    here.repository.release(*dict.fromkeys(names), "targets")


def searched(here: Here) -> list[str]:
    """The delegated roles that were asked for, in their order."""
    return here.site.asked_roles()[4:]


# The order of the search


@pytest.mark.parametrize(
    ("graph", "order"),
    [
        ("targets>a", "a"),
        ("targets>a targets>b targets>c", "a b c"),
        ("targets>c targets>b targets>a", "c b a"),
        ("targets>a a>b b>c", "a b c"),
        ("targets>a targets>b a>c a>d b>e", "a c d b e"),
        ("targets>a targets>b b>c c>d a>e e>f", "a e f b c d"),
        # A terminating delegation ends the search, after what it delegates to itself.
        ("targets>a! targets>b", "a"),
        ("targets>a targets>b! targets>c b>d", "a b d"),
        ("targets>a targets>b a>c! a>d", "a c"),
        ("targets>a targets>b a>c! c>d c>e", "a c d e"),
        ("targets>a! targets>b a>c! a>d c>e", "a c e"),
        # No role is visited twice.
        ("targets>a a>a", "a"),
        ("targets>a a>b b>a", "a b"),
        ("targets>a targets>b a>b b>a", "a b"),
        ("targets>a targets>b b>c c>d d>b", "a b c d"),
        ("targets>a a>b b>c c>a c>d", "a b c d"),
    ],
)
def test_roles_are_searched_depth_first_in_the_order_of_their_delegations(
    here: Here, graph: str, order: str
) -> None:
    delegate(here, graph)

    assert here.download("none").refusal == ("no-target", "")
    assert searched(here) == order.split()


@BOTH
def test_the_search_ends_where_the_target_is_found(here: Here) -> None:
    delegate(here, "targets>a targets>b a>c a>d")
    for role in ("c", "b"):
        here.repository.add_target("file", role.encode(), role=role)
    here.repository.release("c", "b")

    assert here.download("file").done
    assert here.got() == {"file": b"c"}
    assert searched(here)[:2] == ["a", "c"]
    assert "d" not in here.held()
    assert "b" not in here.held()


def test_what_lies_behind_a_terminating_delegation_is_not_found(here: Here) -> None:
    delegate(here, "targets>a! targets>b")
    here.repository.add_target("file", b"content", role="b")
    here.repository.release("b")

    assert here.download("file").refusal == ("no-target", "")


def test_a_terminating_delegation_of_other_paths_ends_nothing(here: Here) -> None:
    here.repository.delegate("targets", "a", paths=["other"], terminating=True)
    here.repository.delegate("targets", "b")
    here.repository.add_target("file", b"content", role="b")
    here.repository.release("a", "b", "targets")

    assert here.download("file").done
    assert searched(here)[0] == "b"


@pytest.mark.parametrize(("depth", "found"), [(32, True), (33, False)])
def test_a_chain_is_followed_through_32_delegations(here: Here, depth: int, found: bool) -> None:
    parents = ["targets", *(f"role{level}" for level in range(1, depth))]
    delegate(here, " ".join(f"{parent}>role{level}" for level, parent in enumerate(parents, 1)))
    here.repository.add_target("file", b"content", role=f"role{depth}")
    here.repository.release(f"role{depth}")

    assert here.download("file").refusal == (None if found else ("no-target", ""))
    assert here.held().get(f"role{depth}") == (2 if found else None)


@pytest.mark.parametrize(("width", "found"), [(32, True), (33, False)])
def test_no_more_than_32_delegations_are_tried(here: Here, width: int, found: bool) -> None:
    delegate(here, " ".join(f"targets>role{n}" for n in range(1, width + 1)))
    here.repository.add_target("file", b"content", role=f"role{width}")
    here.repository.release(f"role{width}")

    assert here.download("file").refusal == (None if found else ("no-target", ""))


# A role on the way that cannot be used


def test_a_delegated_role_below_its_threshold_ends_the_search(here: Here) -> None:
    delegate(here, "targets>a targets>b")
    here.repository.add_target("file", b"content", role="b")
    here.repository.release("b")
    here.repository.put("a", MALLORY)

    assert here.download("file").refusal == ("threshold", "a")
    assert here.got() == {}


@pytest.mark.parametrize(("signers", "accepted"), [("alice bob", True), ("alice mallory", False)])
def test_a_delegated_role_may_need_several_signatures(here: Here, signers: str, accepted: bool) -> None:
    here.repository.delegate("targets", "a", owners=(ALICE, BOB, CAROL), threshold=2)
    here.repository.add_target("file", b"content", role="a")
    here.repository.signers["a"] = tuple(key(owner) for owner in signers.split())
    here.repository.release("a", "targets")

    assert here.download("file").refusal == (None if accepted else ("threshold", "a"))


@BOTH
def test_a_delegated_role_that_has_expired_is_neither_used_nor_kept(here: Here) -> None:
    delegate(here, "targets>a")
    here.repository.add_target("file", b"content", role="a")
    here.repository.roles["a"].expires = here.repository.now - timedelta(days=1)
    here.repository.release("a")

    assert here.download("file").refusal == ("expired", "a")
    assert "a" not in here.held()
    assert here.refresh().done


def test_a_held_delegated_role_that_expires_is_no_longer_used_until_there_is_a_newer_one(here: Here) -> None:
    delegate(here, "targets>a")
    for name in ("first", "second"):
        here.repository.add_target(name, name.encode(), role="a")
    here.repository.release("a")
    assert here.download("first").done
    here.travel(days=60)
    for role in ("snapshot", "timestamp"):
        here.repository.roles[role].expires = NOW + timedelta(days=100)
    here.repository.renew("snapshot", "timestamp")
    assert here.download("second").refusal == ("expired", "a")

    here.repository.roles["a"].expires = NOW + timedelta(days=100)
    here.repository.release("a")
    assert here.download("second").done
    assert here.got() == {"first": b"first", "second": b"second"}


@pytest.mark.parametrize(
    ("version", "reason"),
    [(1, "rollback"), (3, "bad-metadata")],
)
def test_a_delegated_role_of_another_version_than_listed_is_refused(
    here: Here, version: int, reason: str
) -> None:
    delegate(here, "targets>a")
    here.repository.release("a")
    here.repository.roles["a"].version = version
    here.site.instead["metadata/2.a.json"] = here.repository.signed("a")

    assert here.download("file").refusal == (reason, "a")


def test_a_delegated_role_of_other_bytes_than_listed_is_refused(here: Here) -> None:
    here.repository.hashed = ("sha256", "sha512")
    delegate(here, "targets>a")
    assert here.download("file").refusal == ("no-target", "")
    here.repository.release("a")
    here.site.instead["metadata/2.a.json"] = here.repository.files["metadata/2.a.json"] + b" "

    assert here.download("file").refusal == ("hash-mismatch", "a")


def test_a_delegated_role_that_snapshot_does_not_list_is_refused(here: Here) -> None:
    here.repository.delegate("targets", "a")
    here.repository.release("targets")

    assert here.download("file").refusal == ("bad-metadata", "targets")
    assert searched(here) == []


def test_a_delegated_role_that_is_missing_fails_the_search(here: Here) -> None:
    delegate(here, "targets>a targets>b")
    here.site.status["metadata/1.a.json"] = HTTPStatus.NOT_FOUND

    assert here.download("file").refusal == ("not-found", "")
    assert searched(here) == ["a"]


# One role, two delegators


@BOTH
@pytest.mark.parametrize("together", [True, False], ids=["one command", "two commands"])
def test_a_role_must_be_signed_as_each_of_its_delegators_says(here: Here, together: bool) -> None:
    """What alice's delegation has let in is verified again when it is reached by bob's."""
    here.repository.delegate("targets", "a", paths=["a-*"])
    here.repository.delegate("targets", "b", paths=["b-*"])
    here.repository.delegate("a", "shared", paths=["?-file"], owners=(ALICE,))
    here.repository.delegate("b", "shared", paths=["?-file"], owners=(BOB,))
    for name in ("a-file", "b-file"):
        here.repository.add_target(name, name.encode(), role="shared")
    here.repository.release("shared", "a", "b", "targets")

    if together:
        outcome = here.download("a-file", "b-file")
    else:
        assert here.download("a-file").done
        outcome = here.download("b-file")

    assert outcome.refusal == ("threshold", "shared")
    assert here.got() == {"a-file": b"a-file"}


def test_a_role_signed_as_both_delegators_say_is_used_through_both(here: Here) -> None:
    here.repository.delegate("targets", "a", paths=["a-*"])
    here.repository.delegate("targets", "b", paths=["b-*"])
    here.repository.delegate("a", "shared", owners=(ALICE,))
    here.repository.delegate("b", "shared", owners=(BOB,))
    here.repository.signers["shared"] = (ALICE, BOB)
    for name in ("a-file", "b-file"):
        here.repository.add_target(name, name.encode(), role="shared")
    here.repository.release("shared", "a", "b", "targets")

    assert here.download("a-file", "b-file").done


# Path patterns


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("file", "file", True),
        ("file", "file2", False),
        ("file", "File", False),
        ("*", "file", True),
        ("*", ".file", True),
        ("*", "directory/file", False),
        ("*.tgz", "app.tgz", True),
        ("*.tgz", "app.txt", False),
        ("*.tgz", "releases/app.tgz", False),
        ("releases/*.tgz", "releases/app.tgz", True),
        ("releases/*.tgz", "releases/old/app.tgz", False),
        ("releases/*", "releases", False),
        ("releases/*", "releases/", True),
        ("releases/*", "/releases/app", False),
        ("*/*", "releases/app", True),
        ("*/app", "releases/app", True),
        ("channels/*/*/*.json", "channels/acme/linux/stable.json", True),
        ("channels/*/*/*.json", "channels/acme/stable.json", False),
        ("app-?.tgz", "app-1.tgz", True),
        ("app-?.tgz", "app-10.tgz", False),
        ("app-?.tgz", "app-.tgz", False),
        ("app?tgz", "app/tgz", False),
        ("über/*", "über/datei", True),
        ("a b/*", "a b/c", True),
        ("a%20b/*", "a b/c", False),
    ],
)
def test_a_delegation_is_for_the_paths_that_its_patterns_match(
    here: Here, pattern: str, path: str, matches: bool
) -> None:
    here.repository.delegate("targets", "a", paths=["nothing", pattern])
    here.repository.add_target(path, b"content", role="a")
    here.repository.release("a", "targets")

    assert here.download(path).refusal == (None if matches else ("no-target", ""))
    assert searched(here)[:1] == (["a"] if matches else [])


def test_a_delegation_of_no_paths_is_for_none(here: Here) -> None:
    here.repository.delegate("targets", "a", paths=[])
    here.repository.add_target("file", b"content", role="a")
    here.repository.release("a", "targets")

    assert here.download("file").refusal == ("no-target", "")


# Hash prefixes and bins


@pytest.mark.parametrize("path", ["file", "directory/file", "über/datei"])
@pytest.mark.parametrize("length", [1, 4, 64])
def test_a_delegation_by_hash_prefix_is_for_the_paths_whose_hash_begins_so(
    here: Here, path: str, length: int
) -> None:
    prefix = sha256(path.encode()).hexdigest()[:length]
    other = f"{15 - int(prefix[0], 16):x}{prefix[1:]}"
    here.repository.delegate("targets", "other", prefixes=[other])
    here.repository.delegate("targets", "bin", prefixes=[other, prefix])
    here.repository.add_target(path, b"content", role="bin")
    here.repository.release("other", "bin", "targets")

    assert here.download(path).done
    assert searched(here)[:1] == ["bin"]
    assert "other" not in here.held()


@BOTH
def test_only_the_bin_of_a_path_is_fetched(here: Here) -> None:
    """Succinct hash bins (TAP 15): four of them, chosen by the first two bits of the path's hash."""
    bins = SuccinctRoles([], 1, 2, "bin")
    here.repository.targets.delegations = Delegations({}, None, bins)
    here.repository.targets.add_key(key("bin").public_key)
    for name in bins.get_roles():
        here.repository.roles[name] = Targets(expires=here.repository.now + timedelta(days=60))
        here.repository.signers[name] = (key("bin"),)
    own = bins.get_role_for_target("file")
    here.repository.add_target("file", b"content", role=own)
    here.repository.release(*bins.get_roles(), "targets")

    assert here.download("file").done
    assert searched(here)[:1] == [own]
    assert len(here.held()) == 5


# The names of roles


@pytest.mark.parametrize(
    "name",
    [
        "a b",
        "a/b",
        "/a",
        "../a",
        "../../targets",
        "root_history/2.root",
        ".",
        "..",
        "?",
        "#",
        "a?b=c&d#e",
        "%",
        "%2e%2e%2fa",
        "a+b",
        "a\\b",
        "a.b",
        "2.root",
        "1.targets",
        "Targets",
        "targets.json",
        "über",
        "日本語",
        "e\u0301",
        "a\u202eb",
        "a\tb",
        "a\0b",
        "😀",
    ],
)
def test_a_role_may_have_any_name_and_its_file_stays_in_its_directory(here: Here, name: str) -> None:
    here.repository.delegate("targets", name)
    here.repository.add_target("file", b"content", role=name)
    here.repository.release(name, "targets")

    assert here.download("file").done
    assert f"metadata/1.{quote(name, safe='')}.json" in here.site.asked
    assert here.held() == {"root": 1, "timestamp": 2, "snapshot": 2, "targets": 2, name: 1}
    assert {path.name for path in here.home.iterdir()} == {"metadata", "targets", "root"}

    here.site.asked.clear()
    assert here.download("file").done
    assert here.site.asked_roles() == ["root", "timestamp"]


@BOTH
def test_a_role_with_a_name_like_a_way_out_is_asked_for_by_its_quoted_name(here: Here) -> None:
    here.repository.delegate("targets", "../../a?b#c d")
    here.repository.add_target("file", b"content", role="../../a?b#c d")
    here.repository.release("../../a?b#c d", "targets")

    assert here.download("file").done
    assert "metadata/1...%2F..%2Fa%3Fb%23c%20d.json" in here.site.asked
    assert len(here.held()) == 5


@pytest.mark.parametrize("name", ["", "root", "targets", "snapshot", "timestamp"])
def test_no_delegation_may_have_the_name_of_a_top_level_role(here: Here, name: str) -> None:
    here.repository.delegate("targets", "a")
    here.repository.release("a", "targets")
    payload = here.repository.targets.to_dict()
    payload["delegations"]["roles"][0]["name"] = name
    here.repository.put_json("targets", payload)

    assert here.refresh().refusal == ("bad-metadata", "targets")


def test_two_delegations_of_one_name_are_refused(here: Here) -> None:
    here.repository.delegate("targets", "a")
    here.repository.release("a", "targets")
    payload = here.repository.targets.to_dict()
    payload["delegations"]["roles"] *= 2
    here.repository.put_json("targets", payload)

    assert here.refresh().refusal == ("bad-metadata", "targets")


def test_a_delegation_by_patterns_and_prefixes_at_once_is_refused(here: Here) -> None:
    here.repository.delegate("targets", "a")
    here.repository.release("a", "targets")
    payload = here.repository.targets.to_dict()
    payload["delegations"]["roles"][0]["path_hash_prefixes"] = ["0"]
    here.repository.put_json("targets", payload)

    assert here.refresh().refusal == ("bad-metadata", "targets")


def test_a_delegation_without_keys_is_never_satisfied(here: Here) -> None:
    here.repository.delegate("targets", "a")
    assert here.repository.targets.delegations is not None
    assert here.repository.targets.delegations.roles is not None
    here.repository.targets.delegations.roles["a"] = DelegatedRole("a", [], 1, False, ["*"])
    here.repository.release("a", "targets")

    assert here.download("file").refusal == ("threshold", "a")


# The paths of targets: pieces of a URL that the publisher has percent-encoded where that is needed


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("a/b/c", "a/b/{}.c"),
        ("a b/c d", "a%20b/{}.c%20d"),
        ("a%20b/c%20d", "a%20b/{}.c%20d"),
        ("über/naïve", "%C3%BCber/{}.na%C3%AFve"),
        ("%C3%BCber", "{}.%C3%BCber"),
        ("a%2Fb", "{}.a%2Fb"),
        ("a%3Fb%23c", "{}.a%3Fb%23c"),
        ("a+b~c_d-e", "{}.a+b~c_d-e"),
        ("a;b,c=d&e", "{}.a;b,c=d&e"),
        (".hidden", "{}..hidden"),
        ("1.2.3.tar.gz", "{}.1.2.3.tar.gz"),
        ("😀.txt", "{}.%F0%9F%98%80.txt"),
    ],
)
def test_a_target_is_asked_for_by_its_path_as_a_url_has_it(here: Here, path: str, asked: str) -> None:
    target = here.repository.add_target(path, b"content")
    here.repository.release("targets")

    assert here.download(path).done
    assert here.site.asked[-1] == f"targets/{asked.format(target.hashes['sha256'])}"
    assert here.got() == {path: b"content"}


@BOTH
def test_paths_that_differ_only_by_quoting_are_different_targets(here: Here) -> None:
    for path in ("a b", "a%20b", "a/b", "a%2Fb"):
        here.repository.add_target(path, path.encode())
    here.repository.release("targets")

    assert here.download("a b", "a%20b", "a/b", "a%2Fb").done
    assert sorted(file.read_bytes() for file in here.targets.iterdir()) == [
        b"a b",
        b"a%20b",
        b"a%2Fb",
        b"a/b",
    ]
