"""The executable itself: its exit codes, its files, and what it asks for."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from conformance.world import ALICE, BOTH, EXECUTABLE, HELD, Here


@BOTH
def test_init_makes_the_root_trusted_and_asks_for_nothing(here: Here) -> None:
    shutil.rmtree(here.metadata)

    assert here.init().done
    assert here.held() == {"root": 1}
    assert (here.metadata / "root.json").read_bytes() == here.repository.first_root
    assert here.site.asked == []


@BOTH
def test_a_refresh_brings_the_top_level_roles_in_their_order(here: Here) -> None:
    assert here.refresh().done

    assert here.held() == HELD
    assert here.site.asked_roles() == ["root", "timestamp", "snapshot", "targets"]
    for role, name in (("timestamp", "timestamp"), ("snapshot", "1.snapshot"), ("targets", "1.targets")):
        kept = (here.metadata / f"{role}.json").read_bytes()
        assert kept == here.repository.files[f"metadata/{name}.json"]


@BOTH
def test_a_second_refresh_asks_only_for_what_may_be_new(here: Here) -> None:
    here.refresh()
    here.site.asked.clear()

    assert here.refresh().done
    assert here.site.asked == ["metadata/2.root.json", "metadata/timestamp.json"]


@BOTH
def test_a_download_refreshes_first_and_is_not_repeated(here: Here) -> None:
    target = here.repository.add_target("path/to/file.txt", b"content")
    here.repository.release("targets")

    assert here.download("path/to/file.txt").done
    assert here.got() == {"path/to/file.txt": b"content"}
    assert here.held() == {**HELD, "targets": 2, "snapshot": 2, "timestamp": 2}
    assert here.site.asked[-1] == here.repository.target_names(target)[0]

    here.site.asked.clear()
    assert here.download("path/to/file.txt").done
    assert here.site.asked_roles() == ["root", "timestamp"]


@BOTH
def test_several_targets_are_downloaded_by_one_command(here: Here) -> None:
    for name in ("one", "two"):
        here.repository.add_target(name, name.encode())
    here.repository.release("targets")

    assert here.download("one", "two").done
    assert here.got() == {"one": b"one", "two": b"two"}
    assert here.site.asked_roles().count("timestamp") == 1


@BOTH
def test_one_target_of_several_that_is_missing_fails_the_command(here: Here) -> None:
    here.repository.add_target("one", b"one")
    here.repository.release("targets")

    assert here.download("one", "two").refusal == ("no-target", "")
    assert here.got() == {"one": b"one"}


@BOTH
def test_a_target_that_changes_is_stored_under_the_same_name(here: Here) -> None:
    for content in (b"old", b"newer"):
        here.repository.add_target("a/b", content)
        here.repository.release("targets")
        assert here.download("a/b").done
        assert here.got() == {"a/b": content}


@BOTH
def test_a_failed_refresh_keeps_what_was_verified_before_the_failure(here: Here) -> None:
    here.refresh()
    here.repository.release("targets")
    here.repository.put("targets", ALICE)

    assert here.refresh().refusal == ("threshold", "targets")
    assert here.held() == {"root": 1, "timestamp": 2, "snapshot": 2, "targets": 1}


@BOTH
def test_a_root_that_is_none_is_neither_accepted_nor_asked_about(here: Here) -> None:
    (here.metadata / "root.json").unlink()

    assert here.init(b'{"signed": {}, "signatures": []}').refusal == ("bad-metadata", "root")
    assert here.refresh().refusal == ("disk", "")
    assert here.site.asked == []


def test_a_url_without_its_last_slash_means_the_same(here: Here) -> None:
    here.repository.add_target("file", b"content")
    here.repository.release("targets")
    metadata, targets = here.site.url + "metadata", here.site.url + "targets"
    where = ["--metadata-url", metadata, "--metadata-dir", str(here.metadata)]
    target = ["--target-name", "file", "--target-base-url", targets, "--target-dir", str(here.targets)]

    assert here.run(*where, *target, "download").done
    assert here.got() == {"file": b"content"}

    here.site.instead["metadata/timestamp.json"] = b"{"
    assert here.run(*where, "refresh").refusal == ("bad-metadata", "timestamp")


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["init"],
        ["--metadata-dir", "/nowhere", "refresh"],
        ["--metadata-url", "http://127.0.0.1:9/", "--metadata-dir", "/nowhere", "download"],
        ["--metadata-dir", "/nowhere", "sign"],
        ["--metadata-dir", "/nowhere", "--days", "3", "init", "root.json"],
    ],
)
def test_a_command_line_that_says_too_little_or_too_much_fails(here: Here, words: list[str]) -> None:
    assert here.run(*words).refusal == ("usage", "")


def test_a_root_file_that_is_not_there_fails(here: Here) -> None:
    words = ["--metadata-dir", str(here.metadata), "init", str(here.home / "none")]
    assert here.run(*words).refusal == ("disk", "")


def test_a_server_that_is_not_there_fails(here: Here) -> None:
    words = ["--metadata-url", "http://127.0.0.1:9/", "--metadata-dir", str(here.metadata), "refresh"]
    assert here.run(*words).refusal == ("network", "")


@pytest.mark.parametrize(
    "name", [".", "..", "../../escaped", "/escaped", "a/../../escaped", "a\\b", "x" * 300]
)
def test_a_target_never_leaves_its_directory(here: Here, name: str) -> None:
    here.repository.add_target(name, b"content")
    here.repository.release("targets")
    before = {path for path in here.home.rglob("*") if path.parent != here.metadata}

    here.download(name)

    after = {path for path in here.home.rglob("*") if path.parent != here.metadata}
    assert {path.parent for path in after - before} <= {here.targets}


def test_the_executable_is_found_through_a_link(tmp_path: Path) -> None:
    link = tmp_path / "client"
    link.symlink_to(EXECUTABLE)

    done = subprocess.run([link, "refresh"], cwd=tmp_path, capture_output=True, text=True, check=False)

    assert os.access(EXECUTABLE, os.X_OK)
    assert (done.returncode, done.stdout) == (1, "")
    assert "needs metadata-dir" in done.stderr
