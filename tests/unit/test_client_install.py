from __future__ import annotations

import gzip
import io
import itertools
import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any, NoReturn

import pytest

from keyturn.client import Client, Installed, Update, errors
from keyturn.delta.manifest import scan
from unit.clientrepo import ALICE, PROGRAM, World, serve, world


@pytest.fixture
def here(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        made.repository.add_release("1.0")
        made.repository.publish()
        yield made


def newest(client: Client) -> Update:
    found = client.check().newest
    assert found is not None
    return found


def update(client: Client) -> Update:
    """Install the newest release."""
    found = newest(client)
    client.install(found)
    return found


def confirmed(client: Client) -> Update:
    found = update(client)
    assert client.confirm(found.version)
    return found


def versions(here: World) -> list[str]:
    return sorted(path.name for path in (here.home / "versions").iterdir())


def archive_path(found: Update) -> str:
    return f"targets/{found.sha256}.{found.path}"


def test_a_first_installation_leaves_what_the_specification_says(here: World) -> None:
    client = here.client()
    found = newest(client)

    client.install(found)

    tree = here.home / "versions" / "1.0"
    assert scan(tree).digest == found.tree
    assert (tree / "lib" / "data.txt").read_bytes() == b"1.0"
    assert os.access(tree / "acme", os.X_OK)
    assert (here.home / "current").readlink() == Path("versions/1.0")
    assert json.loads((here.home / "state.json").read_bytes()) == {
        "format": 1,
        "current": "1.0",
        "previous": None,
        "pending": "1.0",
        "starts": 0,
        "refused": [],
        "stale_since": None,
    }
    assert sorted(path.name for path in here.home.iterdir()) == [
        "current",
        "downloads",
        "lock",
        "state.json",
        "trust",
        "versions",
    ]
    assert list((here.home / "downloads").iterdir()) == []
    assert versions(here) == ["1.0"]


def test_after_an_installation_there_is_nothing_newer(here: World) -> None:
    client = here.client()
    update(client)

    found = client.check()

    assert (found.current, found.newest) == ("1.0", None)


def test_progress_goes_from_nothing_to_everything(here: World) -> None:
    client = here.client()
    found = newest(client)
    steps: list[tuple[int, int]] = []

    client.install(found, lambda done, total: steps.append((done, total)))

    assert steps[0] == (0, found.size)
    assert steps[-1] == (found.size, found.size)


def test_installing_what_is_current_does_nothing(here: World) -> None:
    client = here.client()
    found = update(client)
    here.site.asked.clear()

    client.install(found)

    assert here.site.asked == []


def test_the_previous_version_is_kept_and_older_ones_are_not(here: World) -> None:
    client = here.client()
    confirmed(client)
    for version in ("2.0", "3.0"):
        here.repository.add_release(version)
        here.repository.publish()
        confirmed(client)

    assert versions(here) == ["2.0", "3.0"]
    assert client.installed() == Installed("3.0", "2.0")
    assert (here.home / "current").readlink() == Path("versions/3.0")


def test_a_version_that_never_confirmed_is_nothing_to_go_back_to(here: World) -> None:
    client = here.client()
    confirmed(client)
    for version in ("2.0", "3.0"):
        here.repository.add_release(version)
        here.repository.publish()
        update(client)

    assert client.installed() == Installed("3.0", "1.0", pending="3.0")


def test_the_version_that_may_be_installing_its_successor_is_not_removed_under_its_feet(here: World) -> None:
    client = here.client()
    confirmed(client)
    for version in ("2.0", "3.0"):
        here.repository.add_release(version)
        here.repository.publish()
        update(client)
    assert versions(here) == ["1.0", "2.0", "3.0"]

    client.confirm("3.0")
    here.repository.add_release("4.0")
    here.repository.publish()
    update(client)
    assert versions(here) == ["3.0", "4.0"]


# What is refused


def test_a_flipped_byte_is_refused_and_nothing_is_installed(here: World) -> None:
    client = here.client()
    found = newest(client)
    content = bytearray((here.repository.directory / archive_path(found)).read_bytes())
    content[len(content) // 2] ^= 1
    here.site.instead[archive_path(found)] = bytes(content)

    with pytest.raises(errors.HashMismatchError) as refusal:
        client.install(found)

    assert refusal.value.reason == "hash-mismatch"
    assert refusal.value.where == here.site.url + archive_path(found)
    assert client.installed() == Installed()
    assert not (here.home / "versions").exists()
    assert not (here.home / "current").exists()

    here.site.instead.clear()
    client.install(found)
    assert client.installed().current == "1.0"


def test_an_archive_that_is_signed_but_holds_another_tree_is_refused(here: World) -> None:
    client = here.client()
    confirmed(client)
    good = here.repository.add_release("2.0")
    said = good.custom["user"]["keyturn"]
    said["tree"] = "0" * 64
    here.repository.publish()

    with pytest.raises(errors.TreeMismatchError) as refusal:
        update(client)

    assert (refusal.value.reason, refusal.value.where) == ("tree-mismatch", "acme-2.0.tar.gz")
    assert client.installed() == Installed("1.0")
    assert client.check().newest is not None


def test_an_archive_that_is_signed_but_unsafe_is_refused(here: World, tmp_path: Path) -> None:
    client = here.client()
    confirmed(client)
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        link = tarfile.TarInfo("./way-out")
        link.type, link.linkname = tarfile.SYMTYPE, "../../../../outside"
        tar.addfile(link)
        file = tarfile.TarInfo("./way-out/evil")
        file.mode = 0o755
        tar.addfile(file)
    here.repository.add_archive("2.0", gzip.compress(raw.getvalue()), "0" * 64)
    here.repository.publish()

    with pytest.raises(errors.UnsafeArchiveError) as refusal:
        update(client)

    assert refusal.value.reason == "unsafe-archive"
    assert client.installed() == Installed("1.0")
    assert not (tmp_path / "outside").exists()


def test_targets_signed_by_one_thief_install_nothing(here: World) -> None:
    client = here.client()
    confirmed(client)
    here.repository.add_release("2.0")
    here.repository.publish(ALICE)

    with pytest.raises(errors.ThresholdError):
        client.check()
    assert client.installed() == Installed("1.0")


def test_a_release_that_was_withdrawn_since_the_check_is_not_installed(here: World) -> None:
    client = here.client()
    found = newest(client)
    del here.repository.targets.targets[found.path]
    here.repository.publish()

    with pytest.raises(errors.NoReleaseError, match="not signed any more") as refusal:
        client.install(found)
    assert refusal.value.reason == "no-release"


def test_a_release_that_was_replaced_since_the_check_is_not_installed(here: World) -> None:
    client = here.client()
    found = newest(client)

    with pytest.raises(errors.NoReleaseError):
        client.install(replace(found, tree="0" * 64))


def test_a_release_that_has_expired_since_the_check_is_not_installed(here: World) -> None:
    client = here.client()
    found = newest(client)
    here.clock.shift(timedelta(days=4))

    with pytest.raises(errors.ExpiredError):
        client.install(found)


def test_an_older_version_is_never_installed(here: World) -> None:
    client = here.client()
    first = confirmed(client)
    here.repository.add_release("2.0")
    here.repository.publish()
    confirmed(client)

    with pytest.raises(errors.RollbackError) as refusal:
        client.install(first)
    assert refusal.value.reason == "rollback"
    assert client.installed().current == "2.0"


def test_a_refused_version_is_not_installed_however_it_is_written(here: World) -> None:
    client = here.client()
    confirmed(client)
    here.repository.add_release("2.0")
    here.repository.publish()
    bad = confirmed(client)
    assert client.rollback() == "1.0"

    with pytest.raises(errors.NoReleaseError, match="refused on this computer"):
        client.install(replace(bad, version="2.0.0"))
    assert client.check().newest is None


def test_an_update_that_is_none_is_refused(here: World) -> None:
    client = here.client()
    found = confirmed(client)

    with pytest.raises(errors.NoReleaseError):
        client.install(replace(found, version="nonsense"))


# What goes wrong on the way


def test_a_download_that_breaks_off_is_done_again(here: World) -> None:
    client = here.client()
    found = newest(client)
    here.site.cut[archive_path(found)] = 10

    with pytest.raises(errors.NetworkError):
        client.install(found)
    here.site.cut.clear()
    client.install(found)

    assert client.installed().current == "1.0"


def test_an_archive_that_is_gone_from_the_server(here: World) -> None:
    client = here.client()
    found = newest(client)
    here.site.status[archive_path(found)] = HTTPStatus.NOT_FOUND

    with pytest.raises(errors.NotFoundError):
        client.install(found)


def test_a_complete_download_is_not_fetched_again(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    client = here.client()
    found = newest(client)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr("keyturn.client.unpack.read", killed)
        client.install(found)
    here.site.asked.clear()

    client.install(found)

    assert archive_path(found) not in here.site.asked


def test_downloads_of_other_versions_are_cleared_away(here: World) -> None:
    client = here.client()
    (here.home / "downloads").mkdir(parents=True)
    (here.home / "downloads" / f"{'0' * 64}.part").write_bytes(b"left behind")

    update(client)

    assert list((here.home / "downloads").iterdir()) == []


class Killed(BaseException):
    """The process is gone; nothing that catches errors sees it."""


def killed(*_args: object, **_options: object) -> NoReturn:
    raise Killed


STEPS = ("replace", "symlink", "unlink", "mkdir", "fsync", "chmod", "rmdir", "rename")


class Countdown:
    """Lets so many of the calls that change the disk through, then kills the process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, home: Path, after: int) -> None:
        self.left = after
        for name in STEPS:
            monkeypatch.setattr(os, name, self.counted(getattr(os, name)))
        for name in ("replace", "symlink_to", "unlink", "mkdir", "chmod"):
            monkeypatch.setattr(Path, name, self.counted(getattr(Path, name)))

    def counted(self, real: Callable[..., object]) -> Callable[..., object]:
        def call(*args: object, **options: object) -> object:
            if self.left == 0:
                raise Killed
            self.left -= 1
            return real(*args, **options)

        return call


def test_an_installation_that_is_killed_at_any_step_is_finished_by_the_next(
    here: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """From 1.0 to 2.0, killed before each call that changes the disk: always a whole 1.0 or 2.0."""
    client = here.client()
    trees = {confirmed(client).tree}
    here.repository.add_release("2.0")
    here.repository.publish()
    found = newest(client)
    trees.add(found.tree)
    shutil.copytree(here.home, tmp_path / "before", symlinks=True)
    seen = set()

    for after in itertools.count():
        shutil.rmtree(here.home)
        shutil.copytree(tmp_path / "before", here.home, symlinks=True)
        try:
            with monkeypatch.context() as patch:
                Countdown(patch, here.home, after)
                here.client().install(found)
            break
        except Killed:
            between = here.client().installed()
            seen.add(between.current)
            assert between.current in ("1.0", "2.0")
            assert (here.home / "current" / "acme").read_bytes() == PROGRAM
            assert scan(here.home / "versions" / str(between.current)).digest in trees

        here.client().install(found)

        assert here.client().installed() == Installed("2.0", "1.0", pending="2.0")
        assert scan(here.home / "versions" / "2.0").digest == found.tree
        assert (here.home / "current").readlink() == Path("versions/2.0")

    assert seen == {"1.0", "2.0"}
    assert after > len(STEPS)


@pytest.mark.parametrize("number", range(4))
def test_a_rename_that_fails_is_a_fault_of_the_disk_and_can_be_done_again(
    here: World, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    client = here.client()
    confirmed(client)
    here.repository.add_release("2.0")
    here.repository.publish()
    found = newest(client)
    real = Path.replace
    calls = itertools.count()

    def replace_or_fail(self: Path, target: Path) -> Path:
        if next(calls) == number:
            raise OSError(28, "No space left on device")
        return real(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", replace_or_fail)
        if number < 3:
            with pytest.raises(errors.DiskError, match="No space left") as fault:
                client.install(found)
            assert (fault.value.reason, fault.value.exit_code) == ("disk", 4)
        else:
            client.install(found)

    client.install(found)
    assert client.installed() == Installed("2.0", "1.0", pending="2.0")
    assert (here.home / "current").readlink() == Path("versions/2.0")


def test_what_is_left_of_a_killed_attempt_is_swept_away(here: World) -> None:
    client = here.client()
    waste = here.home / "versions" / ".new-0.9" / "deep"
    waste.mkdir(parents=True)
    (waste / "file").write_bytes(b"x")

    update(client)

    assert versions(here) == ["1.0"]


def test_a_tree_that_was_never_made_current_makes_room(here: World) -> None:
    client = here.client()
    found = newest(client)
    leftover = here.home / "versions" / "1.0"
    leftover.mkdir(parents=True)
    (leftover / "evil").write_bytes(b"x")

    client.install(found)

    assert scan(leftover).digest == found.tree
    assert versions(here) == ["1.0"]


def test_a_version_that_cannot_be_removed_is_left_for_later(
    here: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = here.client()
    confirmed(client)
    for version in ("2.0", "3.0"):
        here.repository.add_release(version)
    here.repository.publish()
    real = Path.replace

    def replace_or_fail(self: Path, target: Path) -> Path:
        if self.name == "0.9":
            raise PermissionError(13, "running")
        return real(self, target)

    (here.home / "versions" / "0.9").mkdir()
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", replace_or_fail)
        confirmed(client)
    assert versions(here) == ["0.9", "1.0", "3.0"]

    here.repository.add_release("4.0")
    here.repository.publish()
    confirmed(client)
    assert versions(here) == ["3.0", "4.0"]


def test_a_disk_without_links_does_without(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*_args: object, **_options: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "symlink_to", no_links)
    client = here.client()
    confirmed(client)

    assert not (here.home / "current").is_symlink()
    assert client.installed().current == "1.0"
    assert client.launch().process.wait() == 0


def test_a_link_that_lags_behind_is_put_right_by_whatever_comes_next(here: World) -> None:
    client = here.client()
    confirmed(client)
    (here.home / "current").unlink()
    (here.home / "current").symlink_to("versions/0.1")

    client.check()

    assert (here.home / "current").readlink() == Path("versions/1.0")


# Two at once


def test_a_second_process_is_told_at_once(here: World) -> None:
    code = (
        "import sys, fcntl, pathlib\n"
        "lock = open(sys.argv[1], 'ab')\n"
        "fcntl.flock(lock, fcntl.LOCK_EX)\n"
        "print('locked', flush=True)\n"
        "sys.stdin.read()\n"
    )
    client = here.client()
    update(client)
    lock = str(here.home / "lock")
    with subprocess.Popen(
        [sys.executable, "-c", code, lock], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"locked\n"
        for call in (client.check, client.refresh, client.launch, client.confirm, client.rollback):
            with pytest.raises(errors.BusyError) as fault:
                call()
            assert (fault.value.reason, fault.value.where) == ("busy", str(here.home))
        assert client.installed().current == "1.0"
        other.communicate(b"")

    assert client.check().current == "1.0"


def test_a_callback_cannot_use_the_store_that_is_at_work(here: World) -> None:
    client = here.client()

    def meddle(_done: int, _total: int) -> None:
        here.client().check()

    with pytest.raises(errors.BusyError):
        client.install(newest(client), meddle)


def test_a_lock_that_the_system_cannot_give_is_a_fault_of_the_disk(
    here: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(*_args: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr("fcntl.flock", no_locks)
    with pytest.raises(errors.DiskError, match="No locks available"):
        here.client().check()


def test_a_store_that_cannot_be_made_is_a_fault_of_the_disk(here: World, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(errors.DiskError):
        here.client(directory=tmp_path / "file" / "store").check()


# state.json


def good_state() -> dict[str, Any]:
    return {
        "format": 1,
        "current": "1.0",
        "previous": None,
        "pending": None,
        "starts": 0,
        "refused": ["0.9"],
        "stale_since": "2026-11-21T12:00:00+00:00",
    }


def test_a_state_is_read_back(here: World) -> None:
    here.home.mkdir()
    (here.home / "state.json").write_text(json.dumps(good_state()))
    installed = here.client().installed()
    assert (installed.current, installed.refused) == ("1.0", ("0.9",))
    assert installed.stale_since is not None
    assert installed.stale_since.isoformat() == "2026-11-21T12:00:00+00:00"


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2},
        {"more": 1},
        {"current": 1},
        {"current": "../../etc"},
        {"current": "None"},
        {"current": "v1.0"},
        {"previous": "1.0 "},
        {"starts": "0"},
        {"starts": True},
        {"starts": -1},
        {"refused": "1.0"},
        {"refused": [None]},
        {"stale_since": 5},
        {"stale_since": "2026-11-21T12:00:00"},
        {"stale_since": "yesterday"},
    ],
)
def test_a_state_that_is_none_is_a_fault_that_says_which_file(here: World, change: dict[str, Any]) -> None:
    here.home.mkdir()
    (here.home / "state.json").write_text(json.dumps(good_state() | change))
    with pytest.raises(errors.DiskError) as fault:
        here.client().installed()
    assert fault.value.where == str(here.home / "state.json")


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"\xff", b"[" * 100_000], ids=["empty", "list", "binary", "deep"]
)
def test_a_state_that_is_no_json_is_a_fault_too(here: World, data: bytes) -> None:
    here.home.mkdir()
    (here.home / "state.json").write_bytes(data)
    with pytest.raises(errors.DiskError):
        here.client().check()


def test_a_state_that_cannot_be_read_is_a_fault_too(here: World) -> None:
    (here.home / "state.json").mkdir(parents=True)
    with pytest.raises(errors.DiskError):
        here.client().installed()


def test_an_archive_in_a_release_of_the_code_host_is_fetched_there(here: World, tmp_path: Path) -> None:
    here.repository.add_release("1.1", path="acme-1.1/acme-1.1.tar.gz")
    here.repository.publish()
    shutil.move(here.repository.directory / "targets/acme-1.1", tmp_path / "download/acme-1.1")
    with serve(tmp_path) as host:
        found = update(here.client(releases=f"{host.url}download"))

    assert found.version == "1.1"
    assert host.asked == [f"download/acme-1.1/{found.sha256}.acme-1.1.tar.gz"]


def test_an_archive_beside_the_metadata_is_fetched_from_the_site(here: World) -> None:
    found = update(here.client(releases="http://127.0.0.1:9/download/"))

    assert archive_path(found) in here.site.asked
