"""The demo does what it says, and each of its attacks is stopped by the very check that it names."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from demo.conftest import Shown
from keyturn.demo.attacks import ATTACKS, Attack, Ending
from keyturn.demo.frame import Played, be_attacked
from keyturn.demo.page import Page, Piece
from keyturn.demo.steps import Steps
from keyturn.demo.world import World, installed
from keyturn.errors import ExitCode

pytestmark = [pytest.mark.slow, pytest.mark.lab]

VICTIMS = {"archive": "dave", "timestamp": "carol", "frozen": "dave", "threshold": "carol", "ledger": "alice"}
BY_NAME = {one.name: one for one in ATTACKS}


def play(shown: Shown, arenas: Path, attack: Attack, check: str) -> tuple[Played, str]:
    """One attack in the world that the demo left, with one check removed from the victim's program."""

    def launcher(person: str) -> Sequence[str]:
        if person == VICTIMS[attack.name]:
            return [sys.executable, str(Path(__file__).with_name("weakened.py")), check]
        return installed(person)

    lines: list[str] = []

    def out(pieces: Sequence[Piece]) -> None:
        lines.append("".join(piece.text for piece in pieces))

    world = World(shown.base, launcher, arenas=arenas)
    outcomes = be_attacked(world, Steps(Page(out, shown.base)), [attack])
    return Played(world.site, outcomes, 0.0), "\n".join(lines)


def test_every_attack_is_refused_for_the_reason_named(shown: Shown) -> None:
    assert shown.code == ExitCode.DONE, shown.out + shown.err
    for attack in ATTACKS:
        section = shown.out.split(f"\n{attack.title}\n")[1].split("\n\n")[0]
        assert attack.reason in section.splitlines()[-1]
    assert "every attack was refused" in shown.out


def test_the_app_that_runs_is_the_one_that_was_released(shown: Shown) -> None:
    runs = [line.strip() for line in shown.out.splitlines()]
    launches = [number for number, line in enumerate(runs) if line.endswith("launch -- --version")]
    assert [runs[number + 1].rpartition(" ")[2] for number in launches[:2]] == ["2026.10.21", "2026.10.26"]
    assert runs[launches[2] + 1] == "yt-dlp: this build does not start"
    assert runs[launches[3] + 1].startswith("gone back: 2026.10.26.1")
    assert runs[launches[3] + 2] == "2026.10.26"


def test_it_is_said_who_has_not_signed_yet(shown: Shown) -> None:
    assert "sign/release-yt-dlp-2026.10.21: pending: targets 2: 1 of 2, missing: bob" in shown.out


def test_every_step_names_a_person_a_time_and_a_command(shown: Shown) -> None:
    people = ("alice ", "bob ", "publisher ", "carol ", "dave ", "mallory ")
    lines = shown.out.splitlines()
    steps = [number for number, line in enumerate(lines) if line.startswith(people) and line.endswith(" s")]
    assert len(steps) > 40
    assert all(lines[number + 1].strip().startswith("$ ") for number in steps)


def test_it_ends_with_the_site_and_how_to_look_at_it(shown: Shown) -> None:
    site = shown.base / "homes" / "publisher" / "site"
    assert (site / "index.html").is_file()
    assert f"The site lies in {site}\n" in shown.out
    assert "make demo SERVE=1" in shown.out.splitlines()[-1]


def test_homes_hold_only_their_own_keys(shown: Shown) -> None:
    homes = sorted((shown.base / "homes").iterdir())
    keys = {home.name: sorted(key.name for key in home.rglob("*.pem")) for home in homes}
    assert keys == {"alice": ["alice.pem"], "bob": ["bob.pem"], "carol": [], "publisher": ["online.pem"]}
    secrets = {home.name: key.read_bytes() for home in homes for key in home.glob("*.pem")}
    for home in homes:
        held = [file.read_bytes() for file in home.rglob("*") if file.is_file() and not file.is_symlink()]
        others = [secret for name, secret in secrets.items() if name != home.name]
        assert not any(secret in data for secret in others for data in held)


def test_the_first_signers_key_is_encrypted_and_the_keys_are_of_two_kinds(shown: Shown) -> None:
    assert b"ENCRYPTED" in (shown.base / "homes" / "alice" / "alice.pem").read_bytes()
    assert "scheme: ed25519" in shown.out
    assert "scheme: ecdsa" in shown.out


@pytest.mark.parametrize("name", BY_NAME)
def test_an_attack_succeeds_once_its_one_check_is_removed(shown: Shown, tmp_path: Path, name: str) -> None:
    assert shown.code == ExitCode.DONE
    played, told = play(shown, tmp_path, BY_NAME[name], check=name)
    ((_, outcome),) = played.outcomes
    assert outcome.ending is Ending.SUCCEEDED, told
    assert f"THE ATTACK SUCCEEDED: {VICTIMS[name]}" in told
    assert played.exit_code == ExitCode.INVALID


@pytest.mark.parametrize("name", [name for name in BY_NAME if name != "ledger"])
def test_a_refusal_for_another_reason_is_no_refusal(shown: Shown, tmp_path: Path, name: str) -> None:
    assert shown.code == ExitCode.DONE
    played, told = play(shown, tmp_path, BY_NAME[name], check="deaf")
    ((_, outcome),) = played.outcomes
    assert outcome.ending is Ending.OTHERWISE, told
    assert f"exit code 4, reason network, instead of {BY_NAME[name].reason}" in outcome.said
    assert played.exit_code == ExitCode.INVALID
