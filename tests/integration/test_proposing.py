"""Proposing releases and files, again and again, without losing anything."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from integration.team import NOW, Team, with_proposal, with_release
from keyturn.errors import NothingToDo, RefusedError, UsageError
from keyturn.flow import events, proposing
from keyturn.state import State, targets_of
from keyturn.verify import EventState

pytestmark = pytest.mark.slow


def proposed_targets(team: Team, topic: str) -> list[str]:
    forge = team.person("alice").context.forge
    forge.refresh()
    targets = State(forge.tree(forge.event(topic))).role("targets")
    assert targets is not None
    return sorted(targets_of(targets).targets)


def test_the_same_release_again_changes_nothing_even_later(team: Team) -> None:
    team.begin(with_proposal, "1.0")
    later = replace(team.person("alice").context, now=NOW + timedelta(hours=5))
    with pytest.raises(NothingToDo):
        proposing.release(later, "hello", "1.0", team.bundle("1.0"))


def test_a_changed_build_of_an_open_event_names_whose_signature_is_left_behind(team: Team) -> None:
    team.begin(with_proposal, "1.0")
    topic = "release-hello-1.0"
    team.person("alice").sign(topic)
    (team.bundle("1.0") / "extra").write_text("new")
    again = proposing.release(team.person("bob").context, "hello", "1.0", team.base / "hello-1.0")
    assert again.left_behind == ("alice",)
    assert events.status(team.person("bob").context, topic).state is EventState.PENDING


def test_a_released_version_never_changes(team: Team) -> None:
    team.begin(with_release, "1.0")
    (team.bundle("1.0") / "extra").write_text("new")
    with pytest.raises(RefusedError) as refusal:
        proposing.release(team.person("alice").context, "hello", "1.0", team.base / "hello-1.0")
    assert refusal.value.reason == "already-released"


def test_a_released_version_proposed_again_is_nothing_to_do(team: Team) -> None:
    team.begin(with_release, "1.0")
    with pytest.raises(NothingToDo):
        team.propose("1.0")


def test_files_of_one_event_add_up(team: Team) -> None:
    team.found()
    alice = team.person("alice").context
    proposing.files(alice, {"notes/a.txt": b"a"})
    proposing.files(alice, {"notes/b.txt": b"b"})
    assert proposed_targets(team, "files") == ["notes/a.txt", "notes/b.txt"]
    assert events.status(alice, "files").state is EventState.PENDING


def test_a_file_is_removed_by_an_event_of_its_own(team: Team) -> None:
    team.found()
    alice = team.person("alice").context
    proposing.files(alice, {"notes/a.txt": b"a"})
    for name in ("alice", "bob"):
        team.person(name).sign("files")
    events.merge(alice, "files")
    proposing.files(alice, {}, ["notes/a.txt"])
    status = events.status(alice, "files")
    assert proposed_targets(team, "files") == []
    assert [d.kind for d in status.differences if d.subject == "notes/a.txt"] == ["target-removed"]
    assert status.state is EventState.PENDING


def test_an_event_overtaken_by_main_is_mended_by_proposing_again(team: Team) -> None:
    team.found()
    alice = team.person("alice").context
    proposing.files(alice, {"notes/a.txt": b"a"}, topic="slow")
    proposing.files(alice, {"notes/shared.txt": b"old"}, topic="slow")
    team.release("1.0")
    assert events.status(alice, "slow").state is EventState.INVALID
    proposing.files(alice, {"notes/b.txt": b"b"}, topic="slow")
    status = events.status(alice, "slow")
    assert status.state is EventState.PENDING
    assert status.report.roles[0].version == 3
    assert proposed_targets(team, "slow") == [
        "hello/hello-1.0.tar.gz", "notes/a.txt", "notes/b.txt", "notes/shared.txt",
    ]  # fmt: skip


def test_nothing_that_was_pushed_is_lost_from_the_branch(team: Team) -> None:
    team.begin(with_proposal, "1.0")
    topic = "release-hello-1.0"
    team.person("alice").sign(topic)
    forge = team.person("alice").context.forge
    forge.refresh()
    signed = forge.event(topic)
    (team.bundle("1.0") / "extra").write_text("new")
    proposing.release(team.person("alice").context, "hello", "1.0", team.base / "hello-1.0")
    assert forge._git.is_ancestor(str(signed), str(forge.event(topic)))


@pytest.mark.parametrize(
    ("app", "version", "platform", "reason"),
    [
        ("other", "1.0", "", "unknown-app"),
        ("hello", "not a version", "", "bad-version"),
        ("hello", "1.0+local", "", "bad-version"),
        ("hello", "1!1.0", "", "bad-version"),
        ("hello", "1.0", "linux", "unknown-platform"),
    ],
)
def test_what_the_policy_does_not_know_is_refused(
    team: Team, app: str, version: str, platform: str, reason: str
) -> None:
    team.found()
    with pytest.raises(UsageError) as refusal:
        proposing.release(team.person("alice").context, app, version, team.bundle("1.0"), platform)
    assert refusal.value.reason == reason


def test_a_file_above_the_limit_is_refused_before_anything_is_pushed(team: Team) -> None:
    team.found()
    with pytest.raises(UsageError) as refusal:
        proposing.files(team.person("alice").context, {"big.bin": b"x" * 20_000_001})
    assert refusal.value.reason == "too-large"
    assert "files" not in team.person("alice").context.forge.events()


def test_an_unsafe_path_is_refused(team: Team) -> None:
    team.found()
    with pytest.raises(UsageError, match="segment"):
        proposing.files(team.person("alice").context, {"../etc/passwd": b""})


def test_nothing_is_released_before_the_founding(team: Team) -> None:
    team.init()
    with pytest.raises(UsageError, match="not founded"):
        team.propose("1.0")


def test_a_release_is_the_same_bytes_for_everybody(team: Team, tmp_path: Path) -> None:
    team.begin(with_proposal, "1.0")
    forge = team.person("alice").context.forge
    first = forge.tree(forge.event("release-hello-1.0")).read("targets/hello/hello-1.0.tar.gz")
    copy = tmp_path / "copy"
    copy.mkdir()
    (copy / "hello").write_bytes((team.bundle("1.0") / "hello").read_bytes())
    (copy / "hello").chmod(0o700)
    with pytest.raises(NothingToDo):
        proposing.release(team.person("bob").context, "hello", "1.0", copy)
    assert first
