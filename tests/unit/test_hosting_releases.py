"""Archives in releases of the code host: shown as unsigned until they are, never lost, never doubled."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from keyturn.errors import RefusedError, UsageError
from keyturn.forge.host import Asset, HostedRelease
from keyturn.hosting.releases import (
    MARK,
    MOST_BYTES,
    MOST_FILES,
    Archive,
    address,
    check_limits,
    settle,
    store,
    sweep,
)
from unit.fakehost import START, FakeHost

CONTENT = b"an archive\n"
DIGEST = hashlib.sha256(CONTENT).hexdigest()
TAG = "hello-1.0"
WEEK = timedelta(days=7)


@pytest.fixture
def host() -> FakeHost:
    return FakeHost(tip=lambda branch: None)


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    file = tmp_path / "bundle.tar.gz"
    file.write_bytes(CONTENT)
    return Archive(f"{TAG}/hello-1.0.tar.gz", file, len(CONTENT), DIGEST)


def only(host: FakeHost) -> HostedRelease:
    (release,) = host.hosted
    return release


def test_an_archive_is_kept_under_the_name_that_clients_ask_for(host: FakeHost, archive: Archive) -> None:
    store(host, "hello 1.0", [archive], target="main")

    assert only(host).tag == TAG
    assert [asset.name for asset in only(host).assets] == [f"{DIGEST}.hello-1.0.tar.gz"]
    assert address(host.url, archive.path, DIGEST) == only(host).assets[0].url


def test_it_is_shown_as_proposed_and_not_signed(host: FakeHost, archive: Archive) -> None:
    store(host, "hello 1.0", [archive], target="main")

    release = only(host)
    assert (release.draft, release.prerelease) == (False, True)
    assert release.title == "hello 1.0 (proposed, not signed)"


def test_a_run_that_died_before_the_release_was_shown_is_finished(host: FakeHost, archive: Archive) -> None:
    draft = host.create_release(TAG, "hello 1.0 (proposed, not signed)", MARK, target="main")
    host.upload(draft, archive.asset, archive.file)

    store(host, "hello 1.0", [archive], target="main")

    assert (only(host).draft, len(only(host).assets)) == (False, 1)


def test_the_same_again_writes_nothing(host: FakeHost, archive: Archive) -> None:
    store(host, "hello 1.0", [archive], target="main")
    before = list(host.writes)
    store(host, "hello 1.0", [archive], target="main")
    assert host.writes == before


def test_another_platform_joins_the_release_that_is_there(
    host: FakeHost, archive: Archive, tmp_path: Path
) -> None:
    (tmp_path / "other").write_bytes(b"other")
    other = Archive(
        f"{TAG}/hello-1.0-linux.tar.gz", tmp_path / "other", 5, hashlib.sha256(b"other").hexdigest()
    )
    store(host, "hello 1.0", [archive], target="main")
    store(host, "hello 1.0", [other], target="main")
    assert len(only(host).assets) == 2


def test_bytes_that_arrive_changed_are_refused(
    host: FakeHost, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = Asset(1, archive.asset, archive.size, "0" * 64, "")
    monkeypatch.setattr(host, "upload", lambda *_: wrong)
    with pytest.raises(RefusedError) as caught:
        store(host, "hello 1.0", [archive], target="main")
    assert caught.value.reason == "hash-mismatch"
    assert only(host).draft


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"size": MOST_BYTES + 1}, "too-large"),
        ({"path": f"{TAG}/hellö.tar.gz"}, "bad-name"),
        ({"path": "hello 1/a.tar.gz"}, "bad-name"),
    ],
)
def test_what_the_host_would_not_take_is_refused_before_anything_is_uploaded(
    host: FakeHost, archive: Archive, change: dict[str, object], reason: str
) -> None:
    with pytest.raises(UsageError) as caught:
        store(host, "hello 1.0", [replace(archive, **change)], target="main")
    assert caught.value.reason == reason
    assert host.hosted == []


def test_a_file_of_just_under_2_gib_is_taken(archive: Archive) -> None:
    check_limits([replace(archive, size=MOST_BYTES)], None)


def test_a_release_takes_a_thousand_files(archive: Archive) -> None:
    assets = tuple(Asset(number, f"a{number}", 1, None, "") for number in range(MOST_FILES))
    release = HostedRelease(1, TAG, "", MARK, True, False, "", assets[1:])
    check_limits([archive], release)
    with pytest.raises(UsageError) as caught:
        check_limits([archive], replace(release, assets=assets))
    assert caught.value.reason == "too-many"


def test_a_signed_release_becomes_a_normal_one(host: FakeHost, archive: Archive) -> None:
    store(host, "hello 1.0", [archive], target="main")

    assert settle(host, {TAG}) == (TAG,)
    assert (only(host).prerelease, only(host).title) == (False, "hello 1.0")
    assert settle(host, {TAG}) == ()


def test_what_is_not_signed_stays_marked(host: FakeHost, archive: Archive) -> None:
    store(host, "hello 1.0", [archive], target="main")
    assert settle(host, {"hello-0.9"}) == ()
    assert only(host).prerelease


def test_releases_of_other_people_are_left_alone(host: FakeHost) -> None:
    other = host.create_release("v1", "theirs", "by hand", target="main")
    host.edit_release(other, draft=False, prerelease=True)
    host.hosted = [replace(one, created=START) for one in host.hosted]

    assert settle(host, {"v1"}) == ()
    assert sweep(host, set(), START + WEEK) == ()


def test_the_sweep_removes_only_what_nothing_names(host: FakeHost, archive: Archive) -> None:
    store(host, "hello 1.0", [archive], target="main")
    store(host, "hello 0.9", [replace(archive, path="hello-0.9/hello-0.9.tar.gz")], target="main")
    host.hosted = [replace(one, created=START) for one in host.hosted]

    assert sweep(host, {TAG}, START + WEEK) == ("hello-0.9",)
    assert only(host).tag == TAG


@pytest.mark.parametrize("created", [START + WEEK - timedelta(hours=23), None])
def test_the_sweep_leaves_alone_what_may_be_on_its_way(
    host: FakeHost, archive: Archive, created: object
) -> None:
    store(host, "hello 1.0", [archive], target="main")
    host.hosted = [replace(one, created=created) for one in host.hosted]
    assert sweep(host, set(), START + WEEK) == ()
