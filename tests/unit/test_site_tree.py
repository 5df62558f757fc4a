"""The site as a tree: everything a client asks for, what is still in flight, and nothing unsigned."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta

import pytest

from keyturn.errors import RefusedError
from keyturn.publish.online import OnlineFiles, sign_online
from keyturn.publish.site_tree import LAST, build_site
from keyturn.state import Site, State, sha256_hex
from keyturn.tree import MemoryTree, Tree
from keyturn.verify import Publication, verify_published
from unit.repository import (
    DAY,
    NOW,
    Draft,
    Published,
    archive,
    document,
    release,
    released,
    rendered,
    rotated,
    signer,
    target,
)

KEEP = 90 * DAY


def online_files(state: State, previous: Site | None, now: datetime) -> OnlineFiles:
    return sign_online(state, [signer("online")], [previous] if previous else [], now)


def build(state: State, previous: Site | None = None, *, now: datetime = NOW, keep: timedelta = KEEP) -> Site:
    online = online_files(state, previous, now)
    tree = build_site(state, online, lambda path: state.tree.read(f"targets/{path}"), previous, keep, now)
    return Site(tree)


def paths(site: Site) -> list[str]:
    return list(site.tree.entries())


def verified(site: Site, state: State, now: datetime) -> tuple[object, ...]:
    return verify_published(Publication(site=site, now=now, pinned=state.roots[1].digest))


def archive_path(version: str) -> str:
    return f"targets/demo/{sha256_hex(archive(version))}.demo-{version}.tar.gz"


SPELL = f"targets/plugins/{sha256_hex(b'a plugin' + bytes([10]))}.spell.zip"


def replaced(version: str) -> State:
    """Main where one release took the place of another."""
    draft = released()
    release(draft, version)
    with draft.edit("targets") as signed:
        del signed["targets"]["demo/demo-1.0.tar.gz"]
    del draft.files["targets/demo/demo-1.0.tar.gz"]
    return draft.sign().state


# What is there


def test_a_first_site_holds_exactly_what_clients_ask_for() -> None:
    assert paths(build(rotated().state)) == sorted(
        [
            "metadata/1.root.json",
            "metadata/1.snapshot.json",
            "metadata/2.plugins.json",
            "metadata/2.root.json",
            "metadata/2.targets.json",
            "metadata/root.json",
            "metadata/timestamp.json",
            archive_path("1.0"),
            SPELL,
        ]
    )


def test_offline_roles_are_published_as_they_stand_in_git() -> None:
    state = rotated().state
    tree = build(state).tree

    for published, kept in {
        "2.targets": "targets",
        "2.plugins": "plugins",
        "2.root": "root",
        "root": "root",
        "1.root": "root_history/1.root",
    }.items():
        assert tree.read(f"metadata/{published}.json") == state.tree.read(f"metadata/{kept}.json")


def test_a_built_site_verifies() -> None:
    state = rotated().state

    assert verified(build(state), state, NOW) == ()


def test_the_same_input_gives_the_same_site() -> None:
    one, other = build(released().state).tree, build(released().state).tree

    assert one.entries() == other.entries()


def test_a_target_with_two_hashes_is_there_under_both() -> None:
    draft = released()
    data = b"notes\n"
    sha512 = hashlib.sha512(data).hexdigest()
    draft.list_target("targets", "notes.txt", data)
    with draft.edit("targets") as signed:
        signed["targets"]["notes.txt"]["hashes"]["sha512"] = sha512
    site = build(draft.sign().state)

    assert f"targets/{sha256_hex(data)}.notes.txt" in paths(site)
    assert f"targets/{sha512}.notes.txt" in paths(site)


def test_bytes_that_were_not_signed_are_refused() -> None:
    state = released().state
    online = online_files(state, None, NOW)
    with pytest.raises(RefusedError) as caught:
        build_site(state, online, lambda _: b"other bytes", None, KEEP, NOW)

    assert (caught.value.reason, caught.value.where) == (
        "hash-mismatch",
        "targets/demo/demo-1.0.tar.gz",
    )


def test_what_points_at_other_files_is_written_last() -> None:
    assert LAST == ("metadata/root.json", "metadata/timestamp.json", "index.html")


# What clients in flight still need


def test_superseded_metadata_and_targets_stay_for_a_while() -> None:
    before = build(released().state)
    after = build(replaced("2.0"), before, now=NOW + DAY)

    assert {"metadata/1.snapshot.json", "metadata/2.targets.json", archive_path("1.0")} <= set(paths(after))
    assert {"metadata/2.snapshot.json", "metadata/3.targets.json", archive_path("2.0")} <= set(paths(after))
    assert verified(after, released().state, NOW + DAY) == ()


def later(site: Site, state: State, now: datetime) -> Site:
    return build(state, site, now=now)


@pytest.mark.parametrize(("passed", "there"), [(KEEP, True), (KEEP + timedelta(seconds=1), False)], ids=str)
def test_they_stay_for_as_long_after_they_were_superseded(passed: timedelta, there: bool) -> None:
    superseded = NOW + DAY
    state = replaced("2.0")
    site = later(build(released().state), state, superseded)
    site = later(site, state, superseded + passed)

    assert (archive_path("1.0") in paths(site)) is there
    assert ("metadata/2.targets.json" in paths(site)) is there
    assert ("metadata/1.snapshot.json" in paths(site)) is there
    assert archive_path("2.0") in paths(site)


def test_they_go_at_once_if_nothing_is_to_be_kept() -> None:
    site = build(replaced("2.0"), build(released().state), now=NOW + DAY, keep=timedelta(0))

    assert "metadata/1.snapshot.json" in paths(site)
    again = build(replaced("2.0"), site, now=NOW + 2 * DAY, keep=timedelta(0))
    assert "metadata/1.snapshot.json" not in paths(again)
    assert archive_path("1.0") not in paths(again)


def test_every_root_stays_forever() -> None:
    site = build(rotated().state)
    for month in range(1, 8):
        site = build(rotated().state, site, now=NOW + 30 * month * DAY)

    assert {"metadata/1.root.json", "metadata/2.root.json"} <= set(paths(site))
    assert [path for path in paths(site) if path.endswith(".snapshot.json")] == [
        f"metadata/{version}.snapshot.json" for version in (4, 5, 6, 7, 8)
    ]


def test_a_file_that_is_still_listed_is_not_lost_with_an_older_list() -> None:
    draft = released()
    release(draft, "2.0")
    state = draft.sign().state
    site = build(released().state)
    for day in (1, 100, 200):
        site = build(state, site, now=NOW + day * DAY)

    assert archive_path("1.0") in paths(site)
    assert "metadata/2.targets.json" not in paths(site)


# The previous site is a cache, not an authority


def with_files(site: Site, files: Mapping[str, bytes], links: Mapping[str, str] | None = None) -> Site:
    held = {path: site.tree.read(path) for path in paths(site) if path not in (links or {})}
    return Site(MemoryTree({**held, **files}, links=links or {}))


def evil_list() -> tuple[bytes, bytes]:
    """A targets role that offers something evil, and the evil thing."""
    evil = b"evil\n"
    signed = released().signed("targets")
    signed["targets"] = {"evil.exe": target(evil)}
    return rendered({"signed": signed, "signatures": []}), evil


def forged(by: str) -> dict[str, bytes]:
    """A snapshot with the number 1, and what it lists, as somebody might put them into the cache."""
    role, evil = evil_list()
    made = Published(released().state, version=1)
    made.roles = {"targets": role}
    made.seal(snapshot_by=by)
    return {
        "metadata/1.snapshot.json": made.files["metadata/1.snapshot.json"],
        "metadata/2.targets.json": role,
        f"targets/{sha256_hex(evil)}.evil.exe": evil,
    }


def test_what_no_valid_snapshot_names_is_not_kept() -> None:
    planted = {
        **forged("mallory"),
        "metadata/9.targets.json": evil_list()[0],
        "index.php": b"<?php",
        "targets/evil.exe": b"evil\n",
    }
    site = build(replaced("2.0"), with_files(build(released().state), planted), now=NOW + DAY)

    assert not [path for path in paths(site) if "evil" in path or path.endswith(".php")]
    assert not {"metadata/2.targets.json", "metadata/9.targets.json"} & set(paths(site))
    assert site.tree.read("metadata/1.snapshot.json") != planted["metadata/1.snapshot.json"]


def test_a_role_with_other_bytes_than_its_snapshot_says_is_not_kept() -> None:
    before = with_files(build(released().state), {"metadata/2.targets.json": evil_list()[0]})
    site = build(replaced("2.0"), before, now=NOW + DAY)

    assert "metadata/1.snapshot.json" in paths(site)
    assert "metadata/2.targets.json" not in paths(site)


def test_a_target_with_other_bytes_than_its_role_says_is_not_kept() -> None:
    before = with_files(build(released().state), {archive_path("1.0"): b"evil\n"})
    site = build(replaced("2.0"), before, now=NOW + DAY)

    assert "metadata/2.targets.json" in paths(site)
    assert archive_path("1.0") not in paths(site)


def test_a_target_that_became_a_link_is_not_kept() -> None:
    before = with_files(build(released().state), {}, {archive_path("1.0"): "/etc/passwd"})
    site = build(replaced("2.0"), before, now=NOW + DAY)

    assert archive_path("1.0") not in paths(site)


def test_a_target_that_is_gone_is_not_missed() -> None:
    gone = build(released().state)
    left = {path: gone.tree.read(path) for path in paths(gone) if path != archive_path("1.0")}
    site = build(replaced("2.0"), Site(MemoryTree(left)), now=NOW + DAY)

    assert archive_path("1.0") not in paths(site)


def test_a_snapshot_of_old_form_that_lists_root_too_is_no_hindrance() -> None:
    made = Published(released().state)
    root = made.files["metadata/1.root.json"]

    def list_root(signed: dict[str, dict[str, object]]) -> None:
        signed["meta"]["root.json"] = {"version": 1, "hashes": {"sha256": sha256_hex(root)}}

    made.seal(snapshot=list_root)
    site = build(replaced("2.0"), Site(made.tree), now=NOW + DAY)

    assert "metadata/2.targets.json" in paths(site)
    assert sorted(document(site.tree.read("metadata/2.snapshot.json"))["signed"]["meta"]) == [
        "plugins.json",
        "root.json",
        "targets.json",
    ]


def test_a_cache_without_a_root_keeps_by_the_expiry_alone() -> None:
    before = build(released().state)
    left = {path: before.tree.read(path) for path in paths(before) if "root" not in path}
    site = build(replaced("2.0"), Site(MemoryTree(left)), now=NOW + DAY)

    assert archive_path("1.0") in paths(site)


def test_a_tree_for_a_state_without_a_root_has_none() -> None:
    """No flow gets here with it: what is asked for is there, and nothing is made up."""
    state = released().state
    online = online_files(state, None, NOW)
    without = Draft({path: data for path, data in released().files.items() if "root" not in path}).state
    tree: Tree = build_site(without, online, lambda _: b"", None, KEEP, NOW)

    assert list(tree.entries()) == ["metadata/1.snapshot.json", "metadata/timestamp.json"]
