"""``keyturn client``: what the embedded client says, for a person and for a program."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from keyturn.cli.commands import client as command
from keyturn.cli.entry import cli
from keyturn.client import CheckResult, Installed, Launched, Progress, Stale, Update
from keyturn.client.errors import NoPreviousError
from keyturn.client.trust import Held

NOON = datetime(2026, 11, 21, 12, tzinfo=timezone.utc)
UPDATE = Update("app", "", "1.1", "app/app-1.1.tar.gz", 3_000_000, "ab" * 32, "cd" * 32)
FOUND = CheckResult("1.0", UPDATE, None, Held(1, 7, 6, 5, NOON))
STALE = Stale(fetched=6, held=7, since=NOON, warn=False)


@dataclass
class Double:
    """Stands for the client; what it does is tested elsewhere."""

    found: CheckResult = FOUND
    exits: int = 0
    gone_back_from: str | None = None
    confirms: bool = True
    made_with: dict[str, Any] = field(default_factory=dict)
    installed_updates: list[Update] = field(default_factory=list)
    launched_with: list[str] = field(default_factory=list)

    def __call__(self, root: bytes, url: str, app: str, directory: Path, **more: str) -> Double:
        self.made_with = {"root": root, "url": url, "app": app, "directory": directory, **more}
        return self

    def check(self) -> CheckResult:
        return self.found

    def install(self, update: Update, progress: Progress | None = None) -> None:
        self.installed_updates.append(update)

    def launch(self, arguments: Sequence[str]) -> Launched:
        self.launched_with = list(arguments)
        code = f"import sys; print('app here'); sys.stdout.flush(); sys.exit({self.exits})"
        return Launched("1.0", subprocess.Popen([sys.executable, "-c", code]), self.gone_back_from)

    def confirm(self) -> bool:
        return self.confirms

    def installed(self) -> Installed:
        return Installed(current="1.0")

    def rollback(self) -> str:
        if not self.confirms:
            raise NoPreviousError("there is no previous version to go back to")
        return "0.9"


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Double:
    double = Double()
    monkeypatch.setattr(command, "Client", double)
    return double


def run(tmp_path: Path, *words: str, flags: Sequence[str] = ()) -> Result:
    (tmp_path / "root.json").write_bytes(b"root")
    options = [
        "--root",
        str(tmp_path / "root.json"),
        "--url",
        "http://u/",
        "--app",
        "app",
        "--dir",
        str(tmp_path),
    ]
    return CliRunner().invoke(cli, [*flags, "client", *options, *words])


def test_an_update_is_told_with_exit_code_0(client: Double, tmp_path: Path) -> None:
    done = run(tmp_path, "check")
    assert (done.exit_code, done.stdout) == (0, "update: app 1.0 -> 1.1, 3,000,000 bytes\n")
    assert client.made_with == {
        "root": b"root",
        "url": "http://u/",
        "app": "app",
        "directory": tmp_path,
        "platform": "",
        "releases": "",
    }


def test_nothing_new_is_told_with_exit_code_5(client: Double, tmp_path: Path) -> None:
    client.found = replace(FOUND, newest=None)
    assert (run(tmp_path, "check").exit_code, run(tmp_path, "check").stdout) == (5, "up to date: app 1.0\n")
    assert run(tmp_path, "install").exit_code == 5
    assert client.installed_updates == []


def test_an_older_timestamp_is_told_with_what_it_goes_on_with(client: Double, tmp_path: Path) -> None:
    client.found = replace(FOUND, newest=None, stale=STALE)
    assert run(tmp_path, "check").stdout.splitlines()[0] == (
        "note: timestamp 6 ignored: older than the one already held; "
        "going on with timestamp 7 until 2026-11-21 12:00Z"
    )
    client.found = replace(FOUND, stale=replace(STALE, warn=True))
    assert "warning: the server has been behind for more than an hour" in run(tmp_path, "install").stdout


def test_the_newest_is_installed(client: Double, tmp_path: Path) -> None:
    done = run(tmp_path, "install", "--platform", "linux")
    assert (done.exit_code, done.stdout) == (0, "installed: app 1.1\n")
    assert client.installed_updates == [UPDATE]
    assert client.made_with["platform"] == "linux"


@pytest.mark.parametrize("code", [0, 3, 7])
def test_the_exit_code_of_the_app_passes_through(client: Double, tmp_path: Path, code: int) -> None:
    client.exits = code
    assert run(tmp_path, "launch", "--", "--flag", "-v", "x").exit_code == code
    assert client.launched_with == ["--flag", "-v", "x"]


def test_an_app_that_a_signal_ended_is_told_as_shells_do() -> None:
    ended = subprocess.Popen([sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"])
    assert command._wait(ended) == 128 + 9


def test_an_interrupt_is_left_to_the_app() -> None:
    class Interrupted:
        waits = 0

        def wait(self) -> int:
            self.waits += 1
            if self.waits == 1:
                raise KeyboardInterrupt
            return 4

    assert command._wait(Interrupted()) == 4  # type: ignore[arg-type]


def test_going_back_is_said_on_standard_error(client: Double, tmp_path: Path) -> None:
    client.gone_back_from = "1.1"
    done = run(tmp_path, "launch")
    assert done.stdout == ""
    assert done.stderr == "gone back: 1.1 did not confirm that it works; starting 1.0 again\n"


def test_what_an_app_prints_stays_out_of_the_document(
    client: Double, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    client.exits = 3
    done = run(tmp_path, "launch", flags=["--json"])
    assert json.loads(done.stdout) == {"version": "1.0", "gone-back-from": None, "exit": 3}
    assert capfd.readouterr() == ("", "app here\n")


def test_confirming_says_whether_there_was_anything_to_confirm(client: Double, tmp_path: Path) -> None:
    assert run(tmp_path, "confirm").stdout == "confirmed: app 1.0\n"
    client.confirms = False
    assert run(tmp_path, "confirm").exit_code == 5


def test_rolling_back_says_what_is_current(client: Double, tmp_path: Path) -> None:
    assert run(tmp_path, "rollback").stdout == "gone back: app 0.9 is current\n"
    client.confirms = False
    done = run(tmp_path, "rollback", flags=["--json"])
    assert json.loads(done.stdout)["error"]["reason"] == "no-previous"
    assert done.exit_code == 3


def test_the_documents_keep_their_shape(client: Double, tmp_path: Path) -> None:
    client.found = replace(FOUND, stale=STALE)
    document = {
        "app": "app",
        "current": "1.0",
        "newest": {
            "app": "app",
            "platform": "",
            "version": "1.1",
            "path": "app/app-1.1.tar.gz",
            "size": 3_000_000,
            "sha256": "ab" * 32,
            "tree": "cd" * 32,
        },
        "stale": {
            "reason": "ignored: older than the one already held",
            "fetched": 6,
            "held": 7,
            "since": "2026-11-21T12:00:00Z",
            "warn": False,
        },
        "versions": {"root": 1, "timestamp": 7, "snapshot": 6, "targets": 5},
        "expires": "2026-11-21T12:00:00Z",
        "exit": 0,
    }
    assert json.loads(run(tmp_path, "check", flags=["--json"]).stdout) == document
    assert json.loads(run(tmp_path, "install", flags=["--json"]).stdout) == {**document, "installed": "1.1"}
    assert json.loads(run(tmp_path, "confirm", flags=["--json"]).stdout) == {
        "current": "1.0",
        "confirmed": True,
        "exit": 0,
    }
    assert json.loads(run(tmp_path, "rollback", flags=["--json"]).stdout) == {"current": "0.9", "exit": 0}


@pytest.mark.parametrize(
    "words",
    [
        ["client", "--app", "app", "--dir", ".", "check"],
        ["client", "--app", "app", "--dir", ".", "--url", "http://u/", "install"],
        ["client", "--app", "app", "--dir", ".", "confirm", "extra"],
        ["client", "--app", "app", "--dir", ".", "dance"],
        ["client", "--dir", ".", "launch"],
        ["client", "--app", "app", "--dir", ".", "--root", "no-such-file", "--url", "http://u/", "check"],
        ["--at", "@0", "client", "--app", "app", "--dir", ".", "launch"],
    ],
)
def test_what_does_not_fit_is_a_usage_error(client: Double, words: list[str]) -> None:
    assert CliRunner().invoke(cli, words).exit_code == 2
    assert client.launched_with == []


def test_starting_needs_neither_root_nor_url(client: Double, tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, ["client", "--app", "app", "--dir", str(tmp_path), "launch"])
    assert done.exit_code == 0
