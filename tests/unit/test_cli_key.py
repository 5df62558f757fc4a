"""``keyturn key``: making keys and showing their public facts."""

from __future__ import annotations

import json
import os
import stat
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from keyturn.cli.entry import cli
from keyturn.cli.output import Output
from keyturn.signing import load_signer
from keyturn.state import fingerprint


@pytest.fixture(autouse=True)
def _no_passphrase_around(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KEYTURN_PASSPHRASE", raising=False)


def run(*arguments: str | Path, typed: str = "", **environment: str) -> Result:
    return CliRunner(env=environment).invoke(cli, [str(word) for word in arguments], input=typed)


def at_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Output, "can_ask", True)


@pytest.mark.parametrize(
    ("kind", "scheme"),
    [("ed25519", "ed25519"), ("ecdsa", "ecdsa-sha2-nistp256"), ("rsa", "rsassa-pss-sha256")],
)
def test_each_kind_of_key_is_made_and_can_be_shown(tmp_path: Path, kind: str, scheme: str) -> None:
    made = json.loads(
        run("--json", "key", "new", tmp_path / "k.pem", "--type", kind, "--no-passphrase").stdout
    )
    shown = json.loads(run("--json", "key", "show", made["uri"]).stdout)
    assert made.pop("encrypted") is False
    assert made == shown
    assert shown["scheme"] == scheme
    assert shown["public"].startswith("-----BEGIN PUBLIC KEY-----")
    signer = load_signer(made["uri"], env={}, ask_passphrase=None)
    assert (shown["keyid"], shown["fingerprint"]) == (signer.public.keyid, fingerprint(signer.public))


def test_a_new_key_says_how_to_join_with_it(tmp_path: Path) -> None:
    done = run("key", "new", tmp_path / "k.pem", "--no-passphrase")
    assert done.exit_code == 0
    assert f"next: keyturn join EVENT --login LOGIN --key file:{tmp_path}/k.pem" in done.stdout
    assert "not encrypted:" in done.stdout
    if os.name == "posix":
        assert stat.S_IMODE((tmp_path / "k.pem").stat().st_mode) == 0o600


def test_a_key_file_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "k.pem").write_text("precious")
    done = run("key", "new", tmp_path / "k.pem", "--no-passphrase")
    assert done.exit_code == 2
    assert (tmp_path / "k.pem").read_text() == "precious"


def test_where_nobody_can_be_asked_a_passphrase_has_to_be_given_or_refused(tmp_path: Path) -> None:
    done = run("--json", "key", "new", tmp_path / "k.pem")
    assert done.exit_code == 2
    assert json.loads(done.stdout)["error"]["reason"] == "passphrase-needed"
    assert not (tmp_path / "k.pem").exists()


def test_the_passphrase_may_come_from_the_environment(tmp_path: Path) -> None:
    made = run("key", "new", tmp_path / "k.pem", KEYTURN_PASSPHRASE="horse")
    assert made.exit_code == 0
    assert "not encrypted" not in made.stdout
    assert b"ENCRYPTED" in (tmp_path / "k.pem").read_bytes()
    uri = f"file:{tmp_path}/k.pem"
    assert run("key", "show", uri, KEYTURN_PASSPHRASE="horse").exit_code == 0
    assert run("key", "show", uri, KEYTURN_PASSPHRASE="donkey").exit_code == 2
    assert "horse" not in made.output


def test_a_person_types_a_new_passphrase_twice_and_a_known_one_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_a_terminal(monkeypatch)
    made = run("key", "new", tmp_path / "k.pem", typed="horse\nhorse\n")
    assert made.exit_code == 0
    assert "horse" not in made.output
    assert run("key", "show", f"file:{tmp_path}/k.pem", typed="horse\n").exit_code == 0
    assert run("key", "show", f"file:{tmp_path}/k.pem", typed="donkey\n").exit_code == 2


def test_an_empty_passphrase_means_none_and_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at_a_terminal(monkeypatch)
    made = run("key", "new", tmp_path / "k.pem", typed="\n\n")
    assert made.exit_code == 0
    assert "not encrypted: whoever can read the file can sign with it" in made.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="file modes")
def test_a_key_that_others_can_read_is_warned_of_on_standard_error(tmp_path: Path) -> None:
    run("key", "new", tmp_path / "k.pem", "--no-passphrase")
    (tmp_path / "k.pem").chmod(0o644)
    done = run("--json", "key", "show", f"file:{tmp_path}/k.pem")
    assert done.exit_code == 0
    assert "warning: " in done.stderr
    json.loads(done.stdout)


def test_a_uri_that_is_no_key_is_a_usage_error(tmp_path: Path) -> None:
    assert run("key", "show", f"file:{tmp_path}/none.pem").exit_code == 2
    assert run("key", "show", "drawer:there").exit_code == 2


def test_a_key_of_a_service_that_is_not_installed_names_the_extra(tmp_path: Path) -> None:
    done = run("key", "show", "vault:there")
    assert done.exit_code == 4
    assert "keyturn[vault]" in done.stderr


def test_no_private_key_is_ever_shown(tmp_path: Path) -> None:
    run("key", "new", tmp_path / "k.pem", "--no-passphrase")
    for flags in ((), ("-v",), ("--json",)):
        done = run(*flags, "key", "show", f"file:{tmp_path}/k.pem")
        assert "PRIVATE" not in done.output
        assert (tmp_path / "k.pem").read_text().splitlines()[1] not in done.output
