from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path

import pytest
from tuf.api.exceptions import SlowRetrievalError
from tuf.api.metadata import DelegatedRole, Delegations, Key, MetaFile, Targets
from tuf.ngclient import FetcherInterface

from keyturn.client import Held, errors
from keyturn.client.trust import Trust
from unit.clientrepo import ALICE, BOB, CAROL, MALLORY, NOW, ONLINE, World, signer, world


@pytest.fixture
def here(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        yield made


def refused(trust: Trust, kind: type[errors.UpdateRefused], role: str) -> errors.UpdateRefused:
    with pytest.raises(errors.UpdateRefused) as refusal:
        trust.refresh()
    assert (type(refusal.value), refusal.value.role) == (kind, role), refusal.value
    assert refusal.value.what
    assert refusal.value.where
    assert refusal.value.todo
    return refusal.value


def test_a_refresh_says_which_versions_are_held_and_until_when(here: World) -> None:
    here.repository.publish()
    here.repository.renew_timestamp()

    assert here.trust().refresh() == Held(
        root=1, timestamp=3, snapshot=2, targets=2, expires=NOW + timedelta(days=3)
    )


def test_the_second_refresh_asks_for_nothing_that_is_held(here: World) -> None:
    trust = here.trust()
    trust.refresh()
    here.site.asked.clear()

    trust.refresh()

    assert here.site.asked == ["metadata/2.root.json", "metadata/timestamp.json"]


def test_roots_are_walked_one_by_one_from_the_embedded_one(here: World) -> None:
    first = here.repository.first_root
    here.repository.rotate_root()
    here.repository.root.revoke_key(ALICE.public_key.keyid, "root")
    here.repository.rotate_root(ALICE, BOB, CAROL)

    assert here.trust().refresh().root == 3
    assert here.trust(root=first).refresh().root == 3
    assert here.site.asked.count("metadata/2.root.json") == 1
    assert json.loads((here.trust_directory / "root.json").read_bytes())["signed"]["version"] == 3


def test_init_makes_a_root_the_trusted_one_without_a_network(here: World) -> None:
    here.trust().init()

    assert here.site.asked == []
    assert (here.trust_directory / "root.json").read_bytes() == here.repository.first_root
    assert here.trust(root=None).refresh().root == 1


def test_without_init_and_without_a_root_there_is_nothing_to_trust(here: World) -> None:
    with pytest.raises(errors.DiskError):
        here.trust(root=None).refresh()
    assert here.site.asked == []


def test_an_embedded_root_that_is_none_is_refused(here: World) -> None:
    refusal = refused(here.trust(root=b"{}"), errors.BadMetadataError, "root")
    assert "the app came with" in refusal.where


def test_an_embedded_root_below_its_own_threshold_is_refused(here: World) -> None:
    root = here.repository.sign(here.repository.root, ALICE)
    assert "1/2" in refused(here.trust(root=root), errors.ThresholdError, "root").what


# Signatures


def test_a_root_needs_the_threshold_of_the_root_before_it(here: World) -> None:
    for person in (ALICE, BOB, CAROL):
        here.repository.root.revoke_key(person.public_key.keyid, "root")
    for person in (MALLORY, ONLINE):
        here.repository.root.add_key(person.public_key, "root")
    here.repository.rotate_root(MALLORY, ONLINE)

    refused(here.trust(), errors.ThresholdError, "root")


def test_a_root_needs_its_own_threshold(here: World) -> None:
    here.repository.root.roles["root"].threshold = 3
    here.repository.rotate_root(ALICE, BOB)

    refused(here.trust(), errors.ThresholdError, "root")


def test_targets_signed_by_one_thief_are_refused_though_snapshot_and_timestamp_are_good(here: World) -> None:
    here.trust().refresh()
    here.repository.publish(ALICE)

    refusal = refused(here.trust(), errors.ThresholdError, "targets")

    assert refusal.where == here.site.url + "metadata/2.targets.json"
    assert "1/2" in refusal.what


def test_the_same_key_twice_is_one_signature(here: World) -> None:
    here.repository.publish(ALICE)
    path = here.repository.directory / "metadata" / "2.targets.json"
    metadata = json.loads(path.read_bytes())
    metadata["signatures"] *= 2
    path.write_text(json.dumps(metadata))

    refused(here.trust(), errors.BadMetadataError, "targets")


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets"])
def test_a_role_signed_by_a_key_that_is_not_its_own_is_refused(here: World, role: str) -> None:
    here.repository.publish()
    getattr(here.repository, f"write_{role}")(MALLORY, CAROL)

    refused(here.trust(), errors.ThresholdError, role)


# Time


@pytest.mark.parametrize("role", ["root", "timestamp", "snapshot", "targets"])
def test_an_expired_role_is_refused_by_name(here: World, role: str) -> None:
    signed = getattr(here.repository, role)
    signed.expires = NOW - timedelta(minutes=1)
    if role == "root":
        here.repository.rotate_root()
    else:
        here.repository.publish()

    refusal = refused(here.trust(), errors.ExpiredError, role)

    assert f"{role} has expired on 2026-11-21 11:59 UTC" in refusal.what
    assert "clock" in refusal.todo


def test_a_repository_frozen_for_four_days_is_refused(here: World) -> None:
    here.trust().refresh()
    here.clock.shift(timedelta(days=4))

    refused(here.trust(), errors.ExpiredError, "timestamp")


def test_a_frozen_repository_without_its_snapshot_is_refused_for_being_frozen(here: World) -> None:
    here.trust().refresh()
    here.clock.shift(timedelta(days=4))
    here.site.status["metadata/1.snapshot.json"] = HTTPStatus.NOT_FOUND

    refused(here.trust(), errors.ExpiredError, "timestamp")


@pytest.mark.parametrize(("role", "days"), [("root", 400), ("snapshot", 15), ("targets", 121)])
def test_a_held_role_that_expires_is_refused_although_the_rest_is_renewed(
    here: World, role: str, days: int
) -> None:
    here.trust().refresh()
    here.clock.shift(timedelta(days=days))
    for other in {"root", "timestamp", "snapshot", "targets"} - {role}:
        getattr(here.repository, other).expires = NOW + timedelta(days=500)
    if role in ("timestamp", "targets"):
        here.repository.snapshot.version += 1
        here.repository.write_snapshot()
    here.repository.renew_timestamp()

    refused(here.trust(), errors.ExpiredError, role)


def test_an_expired_root_that_has_a_good_successor_is_no_obstacle(here: World) -> None:
    here.clock.shift(timedelta(days=400))
    for signed in ("root", "targets", "snapshot", "timestamp"):
        getattr(here.repository, signed).expires = NOW + timedelta(days=500)
    here.repository.rotate_root()
    here.repository.publish()

    assert here.trust().refresh().root == 2


# Versions


def test_a_timestamp_that_went_back_is_refused(here: World) -> None:
    old = here.repository.write_timestamp()
    here.repository.renew_timestamp()
    here.trust().refresh()
    here.site.instead["metadata/timestamp.json"] = old

    refusal = refused(here.trust(), errors.RollbackError, "timestamp")

    assert refusal.what == "timestamp went back from version 2 to 1"


def test_a_newer_timestamp_that_lists_an_older_snapshot_is_refused(here: World) -> None:
    here.repository.publish()
    here.trust().refresh()
    here.repository.snapshot.version = 1
    here.repository.timestamp.version = 9
    here.repository.write_online()

    refusal = refused(here.trust(), errors.RollbackError, "timestamp")

    assert refusal.what == "timestamp 9 lists snapshot.json 1, after version 2"


def test_a_newer_snapshot_that_lists_older_targets_is_refused(here: World) -> None:
    here.repository.publish()
    here.trust().refresh()
    here.repository.targets.version = 1
    here.repository.write_targets()
    here.repository.snapshot.version = here.repository.timestamp.version = 9
    here.repository.write_online()

    refusal = refused(here.trust(), errors.RollbackError, "snapshot")

    assert refusal.what == "snapshot 9 lists targets.json 1, after version 2"


def test_a_snapshot_that_drops_a_role_is_refused(here: World) -> None:
    here.repository.snapshot.meta["plugins.json"] = MetaFile(4)
    here.repository.publish()
    here.trust().refresh()
    del here.repository.snapshot.meta["plugins.json"]
    here.repository.publish()

    refusal = refused(here.trust(), errors.RollbackError, "snapshot")

    assert refusal.what == "snapshot 3 lists plugins.json no more, after version 4"


@pytest.mark.parametrize("role", ["snapshot", "targets"])
def test_an_older_file_under_a_newer_name_is_refused(here: World, role: str) -> None:
    here.repository.publish()
    old = (here.repository.directory / "metadata" / f"1.{role}.json").read_bytes()
    here.site.instead[f"metadata/2.{role}.json"] = old

    refusal = refused(here.trust(), errors.RollbackError, role)

    assert refusal.what == f"{role} has version 1 where 2 was asked for"


def test_an_older_file_is_refused_as_older_than_the_held_one_too(here: World) -> None:
    here.repository.publish()
    here.trust().refresh()
    old = (here.repository.directory / "metadata" / "1.targets.json").read_bytes()
    here.repository.publish()
    here.site.instead["metadata/3.targets.json"] = old

    assert "went back" in refused(here.trust(), errors.RollbackError, "targets").what


def test_the_root_before_is_no_next_root(here: World) -> None:
    here.site.instead["metadata/2.root.json"] = here.repository.first_root

    refused(here.trust(), errors.RollbackError, "root")


def test_a_version_that_is_too_high_contradicts_what_lists_it(here: World) -> None:
    here.repository.publish()
    newer = here.repository.write_targets()
    here.repository.targets.version = 9
    here.site.instead["metadata/2.targets.json"] = here.repository.write_targets()

    assert newer
    refused(here.trust(), errors.BadMetadataError, "targets")


def test_a_key_rotation_ends_a_fast_forward(here: World) -> None:
    """A stolen online key made version 1000; after its replacement the count goes on from 2."""
    here.repository.timestamp.version = 1000
    here.repository.write_timestamp()
    here.trust().refresh()
    online = signer(9)
    for role in ("snapshot", "timestamp"):
        here.repository.root.revoke_key(ONLINE.public_key.keyid, role)
        here.repository.root.add_key(online.public_key, role)
    here.repository.rotate_root()
    here.repository.timestamp.version = here.repository.snapshot.version = 2
    here.repository.write_snapshot(online)
    here.repository.write_timestamp(online)

    held = here.trust().refresh()

    assert (held.root, held.timestamp) == (2, 2)


# Content


@pytest.mark.parametrize("role", ["2.root", "timestamp", "1.snapshot", "1.targets"])
@pytest.mark.parametrize("data", [b"", b"<html>", b"[]", b'{"signed": {"_type": "mirrors"}}'])
def test_what_is_no_metadata_is_refused(here: World, role: str, data: bytes) -> None:
    here.site.instead[f"metadata/{role}.json"] = data

    refused(here.trust(), errors.BadMetadataError, role.rpartition(".")[2])


@pytest.mark.parametrize(("role", "other"), [("targets", "snapshot"), ("snapshot", "targets")])
def test_metadata_of_another_role_is_refused(here: World, role: str, other: str) -> None:
    data = (here.repository.directory / "metadata" / f"1.{other}.json").read_bytes()
    here.site.instead[f"metadata/1.{role}.json"] = data

    refused(here.trust(), errors.BadMetadataError, role)


@pytest.mark.parametrize(("role", "most"), [("2.root", 512_000), ("timestamp", 16_384)])
def test_metadata_without_an_end_is_not_read_to_it(here: World, role: str, most: int) -> None:
    here.site.instead[f"metadata/{role}.json"] = b" " * (most + 1)

    refusal = refused(here.trust(), errors.HashMismatchError, role.rpartition(".")[2])

    assert "longer than it may be" in refusal.what


@pytest.mark.parametrize("change", [b"", b" "])
def test_a_snapshot_that_is_not_what_the_timestamp_says_is_refused(here: World, change: bytes) -> None:
    data = here.repository.write_snapshot()
    here.repository.timestamp.snapshot_meta = MetaFile.from_data(1, data + change, ["sha256"])
    if not change:
        here.site.instead["metadata/1.snapshot.json"] = data.replace(b"2026", b"2027", 1)
    here.repository.write_timestamp()

    refused(here.trust(), errors.HashMismatchError, "snapshot")


def test_a_role_that_snapshot_does_not_list_is_refused(here: World) -> None:
    del here.repository.snapshot.meta["targets.json"]
    here.repository.snapshot.meta["other.json"] = MetaFile(1)
    here.repository.write_online()

    with pytest.raises(errors.BadMetadataError):
        here.trust().refresh()


# Delegations


def delegate(here: World, signed_by: tuple[object, ...] = (CAROL,)) -> Targets:
    plugins = Targets(expires=NOW + timedelta(days=30))
    role = DelegatedRole("plugins", [CAROL.public_key.keyid], 1, terminating=True, paths=["plugins/*"])
    keys: dict[str, Key] = {CAROL.public_key.keyid: CAROL.public_key}
    here.repository.targets.delegations = Delegations(keys, {"plugins": role})
    target = here.repository.add_target("plugins/a.zip", b"plugin")
    plugins.targets["plugins/a.zip"] = here.repository.targets.targets.pop("plugins/a.zip")
    here.repository.snapshot.meta["plugins.json"] = MetaFile(1)
    here.repository.write("1.plugins.json", here.repository.sign(plugins, *signed_by))  # type: ignore[arg-type]
    here.repository.publish()
    assert target.path == "plugins/a.zip"
    return plugins


def test_a_target_is_found_through_a_delegation(here: World, tmp_path: Path) -> None:
    delegate(here)
    trust = here.trust()

    target = trust.get_target("plugins/a.zip")

    assert target is not None
    trust.download(target, tmp_path / "a.zip")
    assert (tmp_path / "a.zip").read_bytes() == b"plugin"
    assert trust.get_target("plugins/b.zip") is None
    assert [listed.path for listed in trust.listed()] == []


def test_a_delegated_role_below_its_threshold_is_refused_by_name(here: World) -> None:
    delegate(here, signed_by=(MALLORY,))

    with pytest.raises(errors.ThresholdError) as refusal:
        here.trust().get_target("plugins/a.zip")
    assert refusal.value.role == "plugins"


def test_an_expired_delegated_role_is_refused_by_name(here: World) -> None:
    delegate(here)
    here.clock.shift(timedelta(days=31))
    for signed in (here.repository.snapshot, here.repository.timestamp):
        signed.expires = NOW + timedelta(days=60)
    here.repository.publish()

    with pytest.raises(errors.ExpiredError, match="plugins has expired on 2026-12-21 12:00 UTC"):
        here.trust().get_target("plugins/a.zip")


# Targets


def test_all_top_level_targets_are_listed_by_path(here: World) -> None:
    for path in ("b", "a/c", "a"):
        here.repository.add_target(path, path.encode())
    here.repository.publish()

    assert [target.path for target in here.trust().listed()] == ["a", "a/c", "b"]


def test_a_download_reports_every_byte_and_is_written_only_when_verified(here: World, tmp_path: Path) -> None:
    content = bytes(range(256)) * 5000
    here.repository.add_target("a/b.tar.gz", content)
    here.repository.publish()
    trust = here.trust()
    target = trust.get_target("a/b.tar.gz")
    assert target is not None
    steps: list[tuple[int, int]] = []

    trust.download(target, tmp_path / "new" / "file", lambda done, total: steps.append((done, total)))

    assert (tmp_path / "new" / "file").read_bytes() == content
    assert steps[0] == (0, len(content))
    assert steps[-1] == (len(content), len(content))
    assert steps == sorted(steps)
    assert len(steps) > 2


def test_a_file_that_is_there_already_is_not_fetched_again(here: World, tmp_path: Path) -> None:
    here.repository.add_target("file", b"content")
    here.repository.publish()
    trust = here.trust()
    target = trust.get_target("file")
    assert target is not None
    trust.download(target, tmp_path / "file")
    here.site.asked.clear()
    steps: list[tuple[int, int]] = []

    trust.download(target, tmp_path / "file", lambda done, total: steps.append((done, total)))

    assert (here.site.asked, steps) == ([], [(7, 7)])


@pytest.mark.parametrize("served", [b"conten!", b"conten", b"content!", b""])
def test_a_target_of_other_bytes_or_length_is_refused(here: World, tmp_path: Path, served: bytes) -> None:
    target = here.repository.add_target("file", b"content")
    here.repository.publish()
    url = f"targets/{target.hashes['sha256']}.file"
    here.site.instead[url] = served
    steps: list[tuple[int, int]] = []

    with pytest.raises(errors.HashMismatchError) as refusal:
        here.trust().download(target, tmp_path / "file", lambda done, total: steps.append((done, total)))

    assert (refusal.value.reason, refusal.value.where) == ("hash-mismatch", here.site.url + url)
    assert not (tmp_path / "file").exists()
    assert all(done <= total for done, total in steps)


def test_a_target_that_is_not_there(here: World, tmp_path: Path) -> None:
    target = here.repository.add_target("file", b"content")
    here.repository.publish()
    here.site.status[f"targets/{target.hashes['sha256']}.file"] = HTTPStatus.NOT_FOUND

    with pytest.raises(errors.NotFoundError, match="does not have file"):
        here.trust().download(target, tmp_path / "file")


def test_a_target_that_breaks_off(here: World, tmp_path: Path) -> None:
    target = here.repository.add_target("file", b"content")
    here.repository.publish()
    here.site.cut[f"targets/{target.hashes['sha256']}.file"] = 3
    here.site.instead[f"targets/{target.hashes['sha256']}.file"] = b"content"

    with pytest.raises(errors.NetworkError, match=r"fetched: Connection broken: .* more expected\)$"):
        here.trust().download(target, tmp_path / "file")
    assert not (tmp_path / "file").exists()


def test_what_a_progress_callback_raises_comes_out_as_it_is(here: World, tmp_path: Path) -> None:
    class Cancelled(Exception):
        pass

    def cancel(done: int, _total: int) -> None:
        if done:
            raise Cancelled

    target = here.repository.add_target("file", b"content")
    here.repository.publish()
    with pytest.raises(Cancelled):
        here.trust().download(target, tmp_path / "file", cancel)
    assert not (tmp_path / "file").exists()


# The server and the disk


@pytest.mark.parametrize("role", ["1.snapshot", "timestamp", "1.targets"])
def test_metadata_that_is_not_there(here: World, role: str) -> None:
    here.site.status[f"metadata/{role}.json"] = HTTPStatus.NOT_FOUND

    with pytest.raises(errors.NotFoundError) as fault:
        here.trust().refresh()
    assert fault.value.reason == "not-found"
    assert fault.value.where == f"{here.site.url}metadata/{role}.json"


@pytest.mark.parametrize("status", [HTTPStatus.INTERNAL_SERVER_ERROR, HTTPStatus.TOO_MANY_REQUESTS])
def test_a_server_in_trouble(here: World, status: HTTPStatus) -> None:
    here.site.status["metadata/2.root.json"] = status

    with pytest.raises(errors.NetworkError) as fault:
        here.trust().refresh()
    assert (fault.value.reason, fault.value.exit_code) == ("network", 4)
    assert str(status.value) in fault.value.what


def test_no_server_at_all(here: World) -> None:
    trust = Trust(
        here.trust_directory, "http://127.0.0.1:9/", "http://127.0.0.1:9/", root=here.repository.first_root
    )
    with pytest.raises(errors.NetworkError):
        trust.refresh()


@pytest.mark.parametrize("url", ["", "nonsense", "http://[", "ftp://example.org/"])
def test_an_address_that_is_none(here: World, url: str) -> None:
    with pytest.raises(errors.NetworkError):
        Trust(here.trust_directory, url, url, root=here.repository.first_root).refresh()


class Odd(FetcherInterface):
    """A fetcher of somebody else's that fails after the first bytes."""

    def __init__(self, failure: Exception) -> None:
        self.failure = failure

    def _fetch(self, url: str) -> Iterator[bytes]:
        yield b"{"
        raise self.failure


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        (ConnectionResetError("reset"), "reset"),
        (SlowRetrievalError(), "too slow"),
        (TimeoutError("late"), "late"),
    ],
)
def test_a_fetcher_that_fails_on_the_way(here: World, failure: Exception, said: str) -> None:
    with pytest.raises(errors.NetworkError, match=said):
        here.trust(fetcher=Odd(failure)).refresh()


def test_a_disk_that_says_no(here: World, tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file where the store should be")
    with pytest.raises(errors.DiskError) as fault:
        here.trust().refresh()
    assert (fault.value.reason, fault.value.where) == ("disk", str(here.trust_directory))


def test_metadata_that_vanishes_under_its_hands(here: World) -> None:
    trust = here.trust()
    trust.refresh()
    (here.trust_directory / "targets.json").unlink()
    with pytest.raises(errors.DiskError):
        trust.listed()


def test_a_refused_refresh_leaves_what_is_held_usable(here: World) -> None:
    here.trust().refresh()
    held = {path.name: path.read_bytes() for path in here.trust_directory.glob("*.json")}
    here.repository.publish(ALICE)

    refused(here.trust(), errors.ThresholdError, "targets")

    after = {path.name: path.read_bytes() for path in here.trust_directory.glob("*.json")}
    assert after["targets.json"] == held["targets.json"]
    here.repository.write_targets()
    assert here.trust().refresh().targets == 2


@pytest.mark.parametrize(
    "spoil", [lambda path: path.write_bytes(b"{"), lambda path: path.unlink()], ids=["garbage", "gone"]
)
def test_damaged_metadata_of_our_own_is_fetched_again(here: World, spoil: Callable[[Path], object]) -> None:
    here.trust().refresh()
    for role in ("timestamp", "snapshot", "targets"):
        spoil(here.trust_directory / f"{role}.json")

    assert here.trust().refresh().targets == 1
