"""A site in which more than one thing is wrong, or in which two things that look alike are told apart."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from keyturn.state import Site, State
from keyturn.tree import MemoryTree
from keyturn.verify import Finding, Publication, Severity, verify_baseline, verify_published
from keyturn.verify.page import page
from unit.repository import Draft, Published, Signed, published, release, released, rotated, target

RELEASES = "https://github.com/acme/updates/releases/download/"


def of_rule(publication: Publication, rule: str) -> list[Finding]:
    return [finding for finding in verify_published(publication) if finding.id == rule]


def places(publication: Publication, rule: str) -> list[str]:
    return [finding.where for finding in of_rule(publication, rule)]


def two_below_targets() -> Published:
    """A site with two delegated roles, of which ``plugins`` delegates to ``themes`` too."""
    draft = rotated()
    draft.delegate("themes", "dave", paths=["themes/*"])
    draft.delegate("themes", "dave", paths=["themes/*"], by="plugins")
    draft.add_role("themes")
    return Published(draft.sign().merged().base)


# Everything at once


def test_every_role_that_is_missing_is_named() -> None:
    site = two_below_targets()
    for name in ("2.plugins", "3.plugins", "1.themes"):
        site.files.pop(f"metadata/{name}.json", None)

    assert places(site.publication(), "KT207") == ["metadata/3.plugins.json", "metadata/1.themes.json"]


def test_a_role_that_snapshot_does_not_list_does_not_hide_the_next() -> None:
    site = two_below_targets()

    def without_plugins(signed: Signed) -> None:
        del signed["meta"]["plugins.json"]

    site.seal(snapshot=without_plugins)
    del site.files["metadata/1.themes.json"]

    assert places(site.publication(), "KT206") == ["metadata/1.snapshot.json"]
    assert places(site.publication(), "KT207") == ["metadata/1.themes.json"]


def test_a_role_delegated_twice_is_judged_under_both() -> None:
    publication = two_below_targets().publication()
    names = [delegation.name for delegation in publication.delegations]

    assert names == ["root", "snapshot", "targets", "timestamp", "plugins", "themes", "themes"]
    assert publication.targets_names == ("targets", "plugins", "themes")
    assert verify_published(publication) == ()


def test_what_is_delegated_below_a_role_is_reached_even_if_its_neighbour_is_missing() -> None:
    draft = rotated()
    draft.delegate("themes", "dave", paths=["themes/*"])
    draft.add_role("themes")
    draft.delegate("dark", "dave", paths=["themes/dark/*"], by="themes")
    draft.add_role("dark")
    site = Published(draft.sign().merged().base)
    del site.files["metadata/2.plugins.json"]

    assert site.publication().targets_names == ("targets", "plugins", "themes", "dark")


def test_a_target_is_looked_for_under_every_hash() -> None:
    entry = target(b"x")
    entry["hashes"]["sha512"] = "5a" * 64
    site = listing(published(), {"m.txt": entry})

    assert places(site.publication(), "KT209") == [
        f"targets/{entry['hashes'][algorithm]}.m.txt" for algorithm in ("sha256", "sha512")
    ]


def listing(site: Published, entries: dict[str, dict[str, object]]) -> Published:
    site.edit_role("targets", lambda signed: signed["targets"].update(entries))
    return site.seal()


def test_every_target_that_is_missing_is_named_whatever_its_neighbours_are() -> None:
    data = hashlib.sha256(b"x").hexdigest()
    site = listing(
        published(),
        {
            "../unsafe": target(b"x"),
            "a-2.0/a.tar.gz": target(b"x", release_of("a", "2.0")),
            "m.txt": target(b"x"),
            "z.txt": target(b"x"),
        },
    )
    publication = site.publication(releases=RELEASES)

    assert places(publication, "KT209") == [f"targets/{data}.m.txt", f"targets/{data}.z.txt"]
    assert places(publication, "KT210") == ["metadata/2.targets.json"]


# Archives that the code host keeps


def release_of(app: str, version: str) -> dict[str, object]:
    return {"user": {"keyturn": {"app": app, "platform": "", "tree": "ab" * 32, "version": version}}}


@pytest.mark.parametrize(
    ("path", "custom", "releases", "missing"),
    [
        ("demo-2.0/x.tar.gz", release_of("demo", "2.0"), RELEASES, False),
        ("demo-2.0/x.tar.gz", release_of("demo", "2.0"), "", True),
        ("demo-2.0/x.tar.gz", release_of("demo", "2.1"), RELEASES, True),
        ("demo-2.0.txt", release_of("demo", "2.0"), RELEASES, True),
        ("demo-2.0/x.tar.gz", None, RELEASES, True),
        ("None-None/x.tar.gz", None, RELEASES, True),
    ],
)
def test_only_an_archive_in_a_release_of_its_own_name_is_looked_for_elsewhere(
    path: str, custom: dict[str, object] | None, releases: str, missing: bool
) -> None:
    site = listing(published(), {path: target(b"content\n", custom)})

    assert bool(places(site.publication(releases=releases), "KT209")) is missing


def test_what_the_site_hosts_is_looked_for_even_if_releases_are_kept_elsewhere() -> None:
    site = published()
    gone = next(path for path in site.files if path.startswith("targets/demo/"))
    del site.files[gone]

    assert places(site.publication(releases=RELEASES), "KT209") == [gone]
    assert places(site.publication(releases=RELEASES, check_targets=False), "KT209") == []


# Older snapshots


def apart() -> Draft:
    """A repository in which snapshot and timestamp are signed by two keys."""
    draft = rotated()
    draft.add_key("root", "snapshot", "online-new", owner="online")
    draft.remove_key("root", "snapshot", "online")
    return draft.sign().merged()


def listing_themes(signed: Signed) -> None:
    signed["meta"]["themes.json"] = {"version": 3}


def after_an_older(by: str) -> Publication:
    """A site with a second snapshot that lists less than the first, which somebody signed."""
    site = Published(apart().base)
    site.seal(snapshot=listing_themes, snapshot_by=by)
    site.version = 2
    return site.seal(snapshot_by="online-new").publication()


def test_an_older_snapshot_counts_only_if_a_key_of_snapshot_signed_it() -> None:
    assert places(after_an_older("online-new"), "KT213") == ["metadata/2.snapshot.json"]
    assert places(after_an_older("online"), "KT213") == ["metadata/2.snapshot.json"], "its key under root 1"
    assert places(after_an_older("alice"), "KT213") == []


def test_a_snapshot_that_says_nothing_does_not_hide_the_next() -> None:
    site = published().seal(snapshot_by="mallory")
    site.version = 2
    site.seal(snapshot=listing_themes)
    site.version = 3
    site.seal()

    (found,) = of_rule(site.publication(), "KT213")
    assert found.what == "no longer lists themes, which snapshot 2 listed"


def test_everything_that_went_back_is_named() -> None:
    site = published().seal(
        snapshot=lambda signed: signed["meta"].update(
            {"a.json": {"version": 3}, "b.json": {"version": 3}, "c.json": {"version": 3}}
        )
    )
    site.version = 2
    site.seal(snapshot=lambda signed: signed["meta"].update({"b.json": {"version": 2}}))

    assert [found.what for found in of_rule(site.publication(), "KT213")] == [
        "no longer lists a, which snapshot 1 listed",
        "lists b 2, snapshot 1 listed b 3",
        "no longer lists c, which snapshot 1 listed",
    ]


# Sizes


def padded(most: int) -> Callable[[Signed], object]:
    return lambda signed: signed.update({"x-padding": "x" * most})


def test_a_root_that_is_too_long_is_an_error() -> None:
    draft = released()
    with draft.edit("root") as signed:
        signed["x-padding"] = "x" * 512_000
    (found,) = of_rule(Published(draft.sign().merged().base).publication(), "KT214")

    assert (found.where, found.severity) == ("metadata/2.root.json", Severity.ERROR)


@pytest.mark.parametrize("listed", [True, False])
def test_a_long_snapshot_is_only_a_warning_where_the_timestamp_gives_its_length(listed: bool) -> None:
    def without_length(signed: Signed) -> None:
        if not listed:
            del signed["meta"]["snapshot.json"]["length"]

    site = published().seal(snapshot=padded(2_000_000), timestamp=without_length)
    (found,) = of_rule(site.publication(), "KT214")

    assert found.where == "metadata/1.snapshot.json"
    assert found.severity is (Severity.WARNING if listed else Severity.ERROR)


# What is judged


def test_the_baseline_is_judged_as_it_is_whatever_is_proposed() -> None:
    draft = released()
    release(draft, "2.0")
    unreadable = State(MemoryTree({"metadata/root.json": b"{}"}))

    assert verify_baseline(replace(draft.sign().event(), head=unreadable)) == ()


def test_an_empty_site_is_called_by_its_files() -> None:
    empty = Publication(site=Site(MemoryTree({})), now=published().now, pinned="5a" * 32)

    assert [(found.id, found.where) for found in verify_published(empty)] == [
        ("KT201", "metadata/1.root.json"),
        ("KT203", "metadata/timestamp.json"),
    ]


def test_the_page_of_the_rules_is_what_their_tables_make() -> None:
    written = Path(__file__).parents[2] / "docs" / "rules.md"

    assert written.read_text("utf-8") == page()
