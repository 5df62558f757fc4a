"""The whole story as people live it: every step a process of its own, in a home of its own.

They share nothing but the git remote and the URL of the site.
"""

from __future__ import annotations

import contextlib
import json
import os
import pty
import select
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from keyturn.trial import serve_directory

pytestmark = [pytest.mark.slow, pytest.mark.lab]

PATIENCE = 120
PASSED_ON = ("COVERAGE_", "PYTHONPATH", "SYSTEMROOT", "TMPDIR")


@dataclass(frozen=True)
class Person:
    """Somebody with a home, a clone in it, and a key."""

    name: str
    home: Path
    secrets: dict[str, str]

    @property
    def clone(self) -> Path:
        return self.home / "updates"

    @property
    def key(self) -> tuple[str, str]:
        return "--key", "file:~/key.pem"

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if name.startswith(PASSED_ON)}
        return {
            **kept,
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "LANG": "C.UTF-8",
            "GIT_CONFIG_NOSYSTEM": "1",
            **self.secrets,
        }

    def run(self, *words: str | Path, code: int = 0) -> str:
        done = subprocess.run(
            command(*words), cwd=self.clone, env=self.environment, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, check=False, timeout=PATIENCE,
        )  # fmt: skip
        assert done.returncode == code, f"{self.name}: {words}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def read(self, *words: str | Path, code: int = 0) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.run("--json", *words, code=code))
        assert document["exit"] == code
        return document

    def sign(self, event: str) -> dict[str, Any]:
        with_payloads = ["--yes"]
        for role in self.read("status", event, code=1)["roles"]:
            with_payloads += ["--expect", role["payload-sha256"]]
        return self.read("sign", event, *self.key, *with_payloads)


def command(*words: str | Path) -> list[str]:
    return [sys.executable, "-m", "keyturn", *(str(word) for word in words)]


def somebody(base: Path, name: str, **secrets: str) -> Person:
    person = Person(name, base / name, secrets)
    person.home.mkdir()
    for words in (
        ["config", "--global", "user.name", name],
        ["config", "--global", "user.email", f"{name}@example.org"],
        ["clone", "--quiet", str(base / "updates.git"), str(person.clone)],
    ):
        subprocess.run(
            ["git", *words],
            cwd=base,
            env=person.environment,
            check=True,
            capture_output=True,
            timeout=PATIENCE,
        )
    person.run("key", "new", person.home / "key.pem", "--no-passphrase")
    return person


def bundle(base: Path, version: str) -> Path:
    directory = base / f"hello-{version}"
    directory.mkdir()
    (directory / "hello").write_text(
        f"#!/bin/sh\necho hello {version} as $KEYTURN_APP_VERSION: $1\nexit $2\n"
    )
    (directory / "hello").chmod(0o755)
    return directory


def test_found_release_publish_and_update(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet", "--bare", "-b", "main", tmp_path / "updates.git"], check=True)
    publisher = somebody(tmp_path, "publisher")
    online = {"KEYTURN_ONLINE_KEY": (publisher.home / "key.pem").read_text()}
    publisher = Person("publisher", publisher.home, online)
    alice, bob = (somebody(tmp_path, name) for name in ("alice", "bob"))

    wanted = ["--name", "acme", "--signer", "alice", "--signer", "bob", "--app", "hello"]
    publisher.run("init", *wanted, "--online-key", "env:KEYTURN_ONLINE_KEY")
    alice.run("join", "founding", "--login", "alice", *alice.key)
    assert "keys missing: bob" in bob.run("status", code=1)
    bob.run("join", "founding", "--login", "bob", *bob.key)
    alice.sign("founding")
    alice.run("merge", "founding", code=1)
    founded = bob.sign("founding")["status"]
    assert founded["state"] == "ready"
    bob.run("merge", "founding")

    event = "release-hello-1.0"
    alice.run("propose", "release", "hello", "1.0", bundle(tmp_path, "1.0"))
    assert alice.sign(event)["status"]["state"] == "pending"
    assert f"bob runs: keyturn sign {event}" in alice.run("status", event, code=1)
    assert bob.sign(event)["status"]["state"] == "ready"
    alice.run("merge", event)

    site = publisher.home / "site"
    trusted = ["--root-digest", founded["root-digest"]]
    publisher.run("publish", "--out", site, "--key", "env:KEYTURN_ONLINE_KEY", "--no-live", *trusted)
    with serve_directory(site) as url:
        # The app comes with the root; that is all that carol has.
        root = tmp_path / "embedded-root.json"
        root.write_bytes((site / "metadata/1.root.json").read_bytes())
        carol = Person("carol", tmp_path / "carol", {})
        carol.clone.mkdir(parents=True)
        client = ["client", "--root", root, "--url", url, "--app", "hello", "--dir", carol.home / "app"]
        assert carol.read(*client, "check")["newest"]["version"] == "1.0"
        assert carol.read(*client, "install")["installed"] == "1.0"
        assert carol.run(*client, "launch", "--", "there", "7", code=7) == "hello 1.0 as 1.0: there\n"
        carol.run(*client, "confirm")
        carol.run(*client, "check", code=5)
        assert carol.run("verify", url, "--root", root) == f"valid: site {url}\n"
        archive = next((site / "targets/hello").iterdir())
        archive.write_bytes(archive.read_bytes()[:-1] + b"!")
        assert carol.read("verify", url, "--root", root, code=3)["valid"] is False


# The child takes the terminal as its own, so that ^C reaches it, and listens to it: what is started in the
# background of a shell inherits that it does not.
AT_A_TERMINAL = """
import fcntl, os, signal, sys, termios
os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execv(sys.argv[1], sys.argv[1:])
"""


class Terminal:
    """A person at a terminal: reads until a question comes, and types."""

    def __init__(self, person: Person, *words: str | Path) -> None:
        self.screen = ""
        self._mine, theirs = pty.openpty()
        self._process = subprocess.Popen(
            [sys.executable, "-c", AT_A_TERMINAL, *command(*words)], cwd=person.clone,
            env={**person.environment, "TERM": "xterm-256color"}, stdin=theirs, stdout=theirs, stderr=theirs,
        )  # fmt: skip
        os.close(theirs)

    def answer(self, question: str, typed: str) -> None:
        until = time.monotonic() + PATIENCE
        while question not in self.screen:
            assert time.monotonic() < until, self.screen
            if self._speaks():
                self.screen += os.read(self._mine, 4096).decode()
        os.write(self._mine, typed.encode())

    def end(self, typed: str = "") -> int:
        """Read on until everybody has left; a key that came before anybody listened is pressed again."""
        until = time.monotonic() + PATIENCE
        with contextlib.suppress(OSError):  # how Linux says that everybody has left the terminal
            while True:
                assert time.monotonic() < until, self.screen
                if self._speaks():
                    self.screen += os.read(self._mine, 4096).decode()
                elif typed:
                    os.write(self._mine, typed.encode())
        os.close(self._mine)
        return self._process.wait(PATIENCE)

    def _speaks(self) -> bool:
        return bool(select.select([self._mine], [], [], 1)[0])


@pytest.mark.skipif(sys.platform != "linux", reason="how a terminal is taken, and left")
def test_a_person_at_a_terminal_is_asked_and_may_change_their_mind(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet", "--bare", "-b", "main", tmp_path / "updates.git"], check=True)
    alice = somebody(tmp_path, "alice")
    online = (alice.home / "key.pem").read_text()
    (alice.home / "key.pem").unlink()
    terminal = Terminal(alice, "key", "new", alice.home / "key.pem")
    terminal.answer("(empty for none): ", "horse\n")
    terminal.answer("The same again: ", "horse\n")
    assert terminal.end() == 0
    assert "horse" not in terminal.screen
    founder = Person("alice", alice.home, {"KEYTURN_ONLINE_KEY": online, "KEYTURN_PASSPHRASE": "horse"})
    wanted = [
        "--name",
        "acme",
        "--signer",
        "alice",
        "--threshold",
        "1",
        "--online-key",
        "env:KEYTURN_ONLINE_KEY",
    ]
    founder.run("init", *wanted)
    founder.run("join", "founding", "--login", "alice", *alice.key)

    for typed, code in (("\x03", 130), ("\n", 1), ("y\n", 0)):
        terminal = Terminal(alice, "sign", "founding", *alice.key)
        terminal.answer("Passphrase of file:~/key.pem: ", "horse\n")
        terminal.answer("Sign root 1 and targets 1 as alice? [y/N]: ", typed)
        # An interrupt between the question and the reading of the answer is noticed at the next key only.
        assert terminal.end("\x03" if code == 130 else "") == code
        assert "\x1b[1m" in terminal.screen
    assert "sign/founding: ready" in alice.run("status", "founding")
