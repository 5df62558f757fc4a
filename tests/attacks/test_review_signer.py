"""What a signer is led to sign: another payload by another address, or something that is not shown."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from integration.team import NOW, Team, founding, with_proposal, with_release
from keyturn.errors import RefusedError, UsageError
from keyturn.flow import signing
from keyturn.flow.context import load_event
from keyturn.git import redacted
from keyturn.signing import SignerHome
from keyturn.verify import differences
from unit.repository import Draft, founded


@pytest.fixture
def team(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Team:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "no-gitconfig"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    return Team(tmp_path)


def change_expiry(team: Team, topic: str) -> None:
    """Another payload of the same version, as somebody with push rights makes it."""
    forge = team.person("mallory").context.forge
    forge.refresh()
    document = json.loads(forge.tree(forge.event(topic)).read("metadata/targets.json"))
    document["signed"]["expires"] = "2026-12-25T00:00:00Z"
    document["signatures"] = []
    team.push_file(f"sign/{topic}", "metadata/targets.json", json.dumps(document).encode())


def exported(team: Team, topic: str, url: str) -> Path:
    """An export that says it is of another address, made by whoever holds the machine with the network."""
    alice = team.person("alice").context
    alice.forge.refresh()
    directory = team.base / "export"
    signing.export(load_event(alice, topic), directory)
    document = json.loads((directory / signing.EXPORT_FILE).read_text())
    (directory / signing.EXPORT_FILE).write_text(json.dumps({**document, "url": url}))
    return directory


@pytest.mark.slow
def test_another_address_of_the_same_repository_is_no_way_around_the_ledger(team: Team) -> None:
    team.begin(with_proposal, "1.0")
    topic = "release-hello-1.0"
    alice = team.person("alice")
    alice.blocks(topic)
    change_expiry(team, topic)
    directory = exported(team, topic, "https://example.org/mirror.git")
    loaded = signing.read_export(directory, alice.context.home, NOW, team.root_digest)

    with pytest.raises(RefusedError) as caught:
        signing.prepare(loaded, alice.context.home, alice.key)

    assert caught.value.reason == "ledger"


@pytest.mark.slow
def test_nor_is_it_a_way_back(team: Team) -> None:
    team.begin(with_release, "1.0")
    topic = team.propose("2.0").topic
    alice = team.person("alice")
    directory = exported(team, topic, "https://example.org/mirror.git")
    alice.context.remembered.note_seen({"targets": 3})
    loaded = signing.read_export(directory, alice.context.home, NOW, team.root_digest)

    with pytest.raises(RefusedError) as caught:
        signing.prepare(loaded, alice.context.home, alice.key)

    assert caught.value.reason == "went-back"


@pytest.mark.slow
def test_another_repository_on_the_same_machine_has_a_ledger_of_its_own(team: Team, tmp_path: Path) -> None:
    team.found()
    (tmp_path / "other").mkdir()
    other = Team(tmp_path / "other")
    founding(other)
    home = team.person("alice").context.home
    for each in (team, other):
        alice = each.trusting("alice")
        home.remote(alice.context.forge.url).write_pin(alice.context.remembered.pin().data)  # type: ignore[union-attr]
        topic = each.propose("1.0").topic
        alice.context.forge.refresh()
        prepared = signing.prepare(load_event(alice.context, topic), home, alice.key)
        assert signing.turn_keys(prepared, home, NOW)


def test_an_export_nested_without_end_is_no_export(tmp_path: Path) -> None:
    (tmp_path / signing.EXPORT_FILE).write_text("[" * 200_000)

    with pytest.raises(UsageError) as caught:
        signing.read_export(tmp_path, SignerHome(tmp_path), NOW, None)

    assert caught.value.reason == "bad-export"


@pytest.mark.slow
def test_a_role_named_twice_is_signed_once(team: Team) -> None:
    team.begin(with_proposal, "1.0")
    topic = "release-hello-1.0"

    assert len(team.person("alice").prepare(topic, ["targets", "targets"]).turns) == 1


# What is signed is shown


def _specification(signed: dict[str, Any]) -> None:
    signed["spec_version"] = "1.9.9"


def _prefixes(signed: dict[str, Any]) -> None:
    role = signed["delegations"]["roles"][0]
    role["path_hash_prefixes"] = role.pop("paths")


def _one_pattern_of_two(signed: dict[str, Any]) -> None:
    role = signed["delegations"]["roles"][0]
    role["paths"] = [", ".join(role["paths"])]


@pytest.mark.parametrize(
    ("role", "change"),
    [
        ("root", _specification),
        ("targets", _specification),
        ("targets", _prefixes),
        ("targets", _one_pattern_of_two),
    ],
)
def test_whatever_a_payload_changes_is_shown(role: str, change: Callable[[dict[str, Any]], None]) -> None:
    draft = founded()
    with draft.edit("targets") as signed:
        signed["delegations"]["roles"][0]["paths"].append("plugins/*.whl")
    after = Draft(draft.sign().files)
    with after.edit(role) as signed:
        change(signed)

    shown = [item for item in differences(after.sign().event()) if item.kind != "version"]

    assert shown
    assert all(item.loud and item.old != item.new for item in shown)


def test_a_password_with_an_at_sign_is_left_out_of_messages() -> None:
    assert redacted("fatal: https://user:p@ss@host/x.git") == "fatal: https://***@host/x.git"
