"""Signing with keys in a real ssh-agent, from one signature to a founded and published repository."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest
from tuf.ngclient import Updater

from integration.team import Person, Team
from keyturn import trial
from keyturn.errors import KeyturnError
from keyturn.flow import events, found, publishing
from keyturn.signing import KeySigner, load_signer, public_pem
from keyturn.signing.agent import MAX_MESSAGE, SHARED
from keyturn.state import State
from keyturn.tree import DirectoryTree

pytestmark = [pytest.mark.slow, pytest.mark.lab]

KINDS = {"ed25519": ["-t", "ed25519"], "p256": ["-t", "ecdsa"], "rsa": ["-t", "rsa", "-b", "3072"]}
SCHEMES = {"ed25519": "ed25519", "p256": "ecdsa-sha2-nistp256", "rsa": "rsa-pkcs1v15-sha256"}
LOCK, UNLOCK, SUCCESS = 22, 23, b"\0\0\0\x01\x06"
# Whoever is asked to confirm says yes as long as this file is there.
ASKPASS = '#!/bin/sh\nexec test -e "{willing}"\n'


def ssh(*command: str | Path, agent: RealAgent | None = None) -> str:
    environment = {**os.environ, **(agent.environment if agent else {})}
    done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=True)
    return done.stdout.decode()


def new_key(path: Path, kind: str = "ed25519", comment: str = "") -> Path:
    ssh("ssh-keygen", "-q", *KINDS[kind], "-N", "", "-C", comment, "-f", path)
    return path


def fingerprint(path: Path) -> str:
    return ssh("ssh-keygen", "-l", "-f", path).split()[1]


class RealAgent:
    """An ssh-agent of its own, which asks for confirmation by a script."""

    def __init__(self, base: Path) -> None:
        self.path = base / "agent"
        self.willing = base / "willing"
        askpass = base / "askpass"
        askpass.write_text(ASKPASS.format(willing=self.willing))
        askpass.chmod(0o700)
        environment = {**os.environ, "SSH_ASKPASS": str(askpass), "SSH_ASKPASS_REQUIRE": "force"}
        self.process = subprocess.Popen(
            ["ssh-agent", "-D", "-s", "-a", self.path], env=environment, stdout=subprocess.PIPE
        )
        assert self.process.stdout
        assert b"SSH_AUTH_SOCK" in self.process.stdout.readline()  # from now on it listens

    def stop(self) -> None:
        self.process.terminate()
        self.process.communicate(timeout=10)

    @property
    def environment(self) -> dict[str, str]:
        return {"SSH_AUTH_SOCK": str(self.path)}

    def add(self, key: Path, *options: str | Path) -> None:
        ssh("ssh-add", "-q", *options, key, agent=self)

    def tell(self, kind: int, passphrase: bytes) -> None:
        """Lock or unlock; ssh-add would want a terminal for it."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.connect(str(self.path))
            body = bytes([kind]) + len(passphrase).to_bytes(4, "big") + passphrase
            connection.sendall(len(body).to_bytes(4, "big") + body)
            assert connection.recv(len(SUCCESS)) == SUCCESS

    def open(self, wanted: str) -> KeySigner:
        return load_signer(f"ssh-agent:{wanted}", env=self.environment, ask_passphrase=None)


@pytest.fixture
def agent() -> Iterator[RealAgent]:
    with tempfile.TemporaryDirectory() as directory:  # short enough for a socket
        running = RealAgent(Path(directory))
        yield running
        running.stop()


def reason_of(call: object) -> str:
    with pytest.raises(KeyturnError) as caught:
        call()  # type: ignore[operator]
    return caught.value.reason


# One key


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_agent_signs_verifies_with_the_key_that_ssh_keygen_made(
    agent: RealAgent, tmp_path: Path, kind: str
) -> None:
    key = new_key(tmp_path / "key", kind, "alice@laptop")
    agent.add(key)

    by_fingerprint, by_comment = agent.open(fingerprint(key)), agent.open("alice@laptop")

    assert by_fingerprint.public == by_comment.public
    assert by_fingerprint.public.scheme == SCHEMES[kind]
    # Signatures of ECDSA differ in length; a few of them, so that each form of r and s is likely seen.
    for number in range(20 if kind == "p256" else 1):
        payload = b"payload %d" % number
        by_fingerprint.public.verify_signature(by_comment.sign(payload), payload)
    if kind != "ed25519":  # which ssh-keygen does not write in this form
        pem = ssh("ssh-keygen", "-e", "-m", "PKCS8", "-f", f"{key}.pub")
        assert public_pem(by_comment.public).decode() == pem


def test_a_key_is_found_beside_its_certificate(agent: RealAgent, tmp_path: Path) -> None:
    authority, key = new_key(tmp_path / "authority"), new_key(tmp_path / "key", comment="alice")
    ssh("ssh-keygen", "-q", "-s", authority, "-I", "id", "-n", "alice", f"{key}.pub")
    agent.add(key)
    assert ssh("ssh-add", "-l", agent=agent).count(fingerprint(key)) == 2

    for wanted in ("alice", fingerprint(key)):
        signer = agent.open(wanted)
        signer.public.verify_signature(signer.sign(b"x"), b"x")


def test_two_keys_with_the_same_comment(agent: RealAgent, tmp_path: Path) -> None:
    for name in ("one", "two"):
        agent.add(new_key(tmp_path / name, comment="me@host"))

    assert reason_of(lambda: agent.open("me@host")) == "key-ambiguous"
    assert agent.open(fingerprint(tmp_path / "two")).note == SHARED


def test_the_agent_takes_as_much_as_we_think(agent: RealAgent, tmp_path: Path) -> None:
    agent.add(new_key(tmp_path / "key", comment="alice"))
    signer = agent.open("alice")
    largest = bytes(MAX_MESSAGE - 13 - 51)

    signer.public.verify_signature(signer.sign(largest), largest)
    assert reason_of(lambda: signer.sign(largest + b"x")) == "payload-too-large"


def test_a_locked_agent_and_an_unlocked_one(agent: RealAgent, tmp_path: Path) -> None:
    agent.add(new_key(tmp_path / "key", comment="alice"))
    signer = agent.open("alice")

    agent.tell(LOCK, b"horse")
    assert reason_of(lambda: agent.open("alice")) == "agent-empty"
    assert reason_of(lambda: signer.sign(b"x")) == "agent-empty"
    agent.tell(UNLOCK, b"horse")

    assert signer.sign(b"x").keyid == agent.open("alice").public.keyid


def test_a_key_that_was_never_there_and_one_that_is_gone(agent: RealAgent, tmp_path: Path) -> None:
    key, other = new_key(tmp_path / "key", comment="alice"), new_key(tmp_path / "other")
    agent.add(key)
    agent.add(other)
    signer = agent.open("alice")

    ssh("ssh-add", "-q", "-d", key, agent=agent)

    assert reason_of(lambda: agent.open("alice")) == "key-missing"
    assert reason_of(lambda: signer.sign(b"x")) == "key-missing"


def test_a_person_may_confirm_or_decline_each_use(agent: RealAgent, tmp_path: Path) -> None:
    agent.add(new_key(tmp_path / "key", comment="alice"), "-c")
    signer = agent.open("alice")

    assert reason_of(lambda: signer.sign(b"x")) == "agent-refused"
    agent.willing.touch()
    signer.public.verify_signature(signer.sign(b"x"), b"x")


def test_a_key_that_is_bound_to_hosts_signs_for_logging_in_only(agent: RealAgent, tmp_path: Path) -> None:
    host_key = new_key(tmp_path / "host")
    hosts = tmp_path / "known_hosts"
    hosts.write_text(f"example.org {Path(f'{host_key}.pub').read_text()}")
    agent.add(new_key(tmp_path / "key", comment="alice"), "-H", hosts, "-h", "example.org")
    signer = agent.open("alice")

    assert reason_of(lambda: signer.sign(b"x")) == "agent-refused"


def test_an_agent_that_was_ended(agent: RealAgent, tmp_path: Path) -> None:
    agent.add(new_key(tmp_path / "key", comment="alice"))
    signer = agent.open("alice")

    agent.stop()

    assert reason_of(lambda: signer.sign(b"x")) == "no-agent"


# The command


@dataclass(frozen=True)
class Shell:
    """A person's shell, with an agent in its environment."""

    person: Person
    agent: RealAgent

    @cached_property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            **self.agent.environment,
            "HOME": str(self.person.clone.parent),
            "KEYTURN_CONFIG_DIR": str(self.person.context.home.directory),
            "GIT_AUTHOR_NAME": self.person.name,
        }

    def run(self, *arguments: str, options: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
        at = ["--at", "2026-11-21T12:00:00Z", *options]
        command = [sys.executable, "-m", "keyturn", "-C", str(self.person.clone), *at, *arguments]
        return subprocess.run(
            command,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def type(self, *arguments: str, options: Sequence[str] = ()) -> str:
        done = self.run(*arguments, options=options)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def sign(self, topic: str, *key: str) -> str:
        status = events.status(self.person.context, topic)
        expected = [digest for role in status.report.roles for digest in ("--expect", role.digest)]
        return self.type("sign", topic, *key, "--yes", *expected)


def test_a_repository_is_founded_and_a_release_signed_with_keys_in_agents(
    team: Team, agent: RealAgent, tmp_path: Path
) -> None:
    key = new_key(tmp_path / "alice-ssh", "ed25519", "alice@laptop")
    agent.add(key)
    agent.add(new_key(tmp_path / "bob-ssh", "rsa", "bob's laptop"))
    uris = {"alice": f"ssh-agent:{fingerprint(key)}", "bob": "ssh-agent:bob's laptop"}
    shells = {name: Shell(team.person(name), agent) for name in uris}
    team.init()

    for name, shell in shells.items():
        said = shell.type("join", found.FOUNDING, "--login", name, "--key", uris[name])
        assert re.search(rf"joined: {name}, key [0-9a-f]{{64}} \({SHARED}\)", said)
    for name, shell in shells.items():
        said = shell.sign(found.FOUNDING, "--key", uris[name])
        assert re.search(rf"to sign: root 1 as {name}, key [0-9a-f ]+ \({SHARED}\)", said)
        assert re.search(rf"signed: targets 1 as {name}", said)
    shells["alice"].type("merge", found.FOUNDING)
    topic = team.propose("1.0").topic
    for name, shell in shells.items():
        shell.sign(topic, "--key", uris[name])
    shells["bob"].type("merge", topic)
    publishing.publish(team.publisher(), tmp_path / "site", [team.online])

    clone = team.person("alice").clone
    subprocess.run(["git", "-C", str(clone), "pull", "--quiet", "origin", "main"], check=True)
    root = State(DirectoryTree(clone)).root
    assert root is not None
    schemes = {known.scheme for known in root.metadata.signed.keys.values()}  # type: ignore[attr-defined]
    assert schemes == {"ed25519", "rsa-pkcs1v15-sha256"}
    assert client_version(tmp_path, root_1=(tmp_path / "site/metadata/1.root.json").read_bytes()) == 2


def client_version(base: Path, root_1: bytes) -> int:
    """The version of targets that a stock client accepts from the site."""
    (base / "trusted").mkdir()
    with trial.serve_directory(base / "site") as url:
        client = Updater(str(base / "trusted"), f"{url}metadata/", bootstrap=root_1)
        client.refresh()
    targets = json.loads((base / "trusted/targets.json").read_bytes())
    return int(targets["signed"]["version"])


def test_a_key_that_is_shown_is_shown_with_what_else_it_is_for(
    team: Team, agent: RealAgent, tmp_path: Path
) -> None:
    agent.add(new_key(tmp_path / "key", comment="alice@laptop"))
    shell = Shell(team.person("alice"), agent)

    assert f"note: {SHARED}" in shell.type("key", "show", "ssh-agent:alice@laptop")
    shown = json.loads(shell.type("key", "show", "ssh-agent:alice@laptop", options=["--json"]))
    assert (shown["note"], shown["scheme"]) == (SHARED, "ed25519")


@pytest.mark.parametrize("state", ["another key", "no key", "no agent"])
def test_a_key_of_the_configuration_that_is_not_in_the_agent_is_passed_over(
    team: Team, agent: RealAgent, tmp_path: Path, state: str
) -> None:
    alice = team.person("alice")
    alice.context.home.directory.mkdir(exist_ok=True)
    configuration = alice.context.home.directory / "config.toml"
    configuration.write_text(f'keys = ["ssh-agent:alice@laptop", "file:{alice.key_file}"]')
    team.init()
    if state == "another key":
        agent.add(new_key(tmp_path / "key", comment="alice@work"))
    if state == "no agent":
        agent.stop()

    done = Shell(alice, agent).run("join", found.FOUNDING, "--login", "alice")

    assert done.returncode == 0, done.stderr
    assert "warning: ssh-agent:alice@laptop: the SSH agent " in done.stderr
    assert f"joined: alice, key {alice.key.public.keyid}\n" in done.stdout


def test_a_comment_is_never_obeyed_by_the_terminal(team: Team, agent: RealAgent, tmp_path: Path) -> None:
    agent.add(new_key(tmp_path / "key"))

    done = Shell(team.person("alice"), agent).run("key", "show", "ssh-agent:\x1b[2Jalice")

    assert done.returncode == 2
    assert "\x1b" not in done.stderr
    assert r"\u001b[2Jalice" in done.stderr
