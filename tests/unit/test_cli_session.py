"""From the command line and the environment to what the use cases need."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from keyturn.cli.digest import read_digest
from keyturn.cli.output import Output
from keyturn.cli.session import Globals, Session
from keyturn.errors import UsageError
from keyturn.signing import new_key, write_key_file

DIGEST = "ab12" * 16


def session(**environment: str) -> Session:
    return Session(Globals(Path(), "origin", None), Output(), environment)


def test_the_own_directory_is_the_platform_s_unless_a_variable_names_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    assert session().home.directory.name == "keyturn"
    assert session(KEYTURN_CONFIG_DIR=str(tmp_path / "mine")).home.directory == tmp_path / "mine"


def test_a_root_digest_of_the_command_line_goes_before_that_of_the_environment() -> None:
    assert session(KEYTURN_ROOT=DIGEST).root_digest("cd" * 32) == "cd" * 32
    assert session(KEYTURN_ROOT=DIGEST).root_digest(None) == DIGEST
    assert session(KEYTURN_ROOT="").root_digest(None) is None
    with pytest.raises(UsageError, match="KEYTURN_ROOT"):
        session(KEYTURN_ROOT="ab").root_digest(None)


@pytest.mark.parametrize("text", [DIGEST, DIGEST.upper(), f" {DIGEST[:32]} {DIGEST[32:]}\n"])
def test_a_digest_is_read_as_people_copy_it(text: str) -> None:
    assert read_digest(text, where="") == DIGEST


@pytest.mark.parametrize("text", ["", "ab", DIGEST + "ab", "xy" * 32, "\u0661" * 64])
def test_anything_else_is_no_digest(text: str) -> None:
    with pytest.raises(UsageError) as refused:
        read_digest(text, where="--expect")
    assert (refused.value.reason, refused.value.where) == ("bad-digest", "--expect")


def test_a_passphrase_is_asked_for_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_key_file(tmp_path / "k.pem", new_key("ed25519", b"horse").pem)
    asked: list[str] = []

    def prompt(text: str, **_: object) -> str:
        asked.append(text)
        return "horse"

    monkeypatch.setattr(Output, "can_ask", True)
    monkeypatch.setattr(click, "prompt", prompt)
    one = session()
    for _ in range(2):
        one.signer(f"file:{tmp_path}/k.pem")
    assert asked == [f"Passphrase of file:{tmp_path}/k.pem"]


def test_a_passphrase_of_the_environment_is_not_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_key_file(tmp_path / "k.pem", new_key("ed25519", b"horse").pem)
    monkeypatch.setattr(Output, "can_ask", True)
    monkeypatch.setattr(click, "prompt", lambda *_, **__: pytest.fail("was asked"))
    session(KEYTURN_PASSPHRASE="horse").signer(f"file:{tmp_path}/k.pem")


def test_the_time_of_a_command_does_not_move() -> None:
    one = session()
    assert one.now is one.now
