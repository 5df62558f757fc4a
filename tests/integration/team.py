"""People with keys and clones around one real git remote, for tests of whole use cases."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

from keyturn.flow import events, found, proposing, signing
from keyturn.flow.context import Context, load_event
from keyturn.forge.local import LocalForge
from keyturn.git import Git, Identity
from keyturn.signing import KeySigner, SignatureBlock, SignerHome, load_signer, new_key, write_key_file

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=timezone.utc)
URL = "http://127.0.0.1:8000/"


@dataclass(frozen=True)
class Person:
    """Somebody with a clone, a directory of their own and a key."""

    name: str
    clone: Path
    context: Context
    key: KeySigner
    key_file: Path

    def at(self, now: datetime) -> Context:
        return replace(self.context, now=now)

    def prepare(self, topic: str, roles: Sequence[str] = (), despite: str = "") -> signing.Preparation:
        self.context.forge.refresh()
        loaded = load_event(self.context, topic)
        return signing.prepare(loaded, self.context.home, self.key, roles, despite=despite)

    def blocks(self, topic: str, roles: Sequence[str] = (), despite: str = "") -> tuple[SignatureBlock, ...]:
        prepared = self.prepare(topic, roles, despite)
        return signing.turn_keys(prepared, self.context.home, self.context.now, despite=despite)

    def sign(self, topic: str, roles: Sequence[str] = ()) -> events.Status:
        prepared = self.prepare(topic, roles)
        for block in signing.turn_keys(prepared, self.context.home, self.context.now):
            delivered = signing.deliver(self.context, topic, block)
        signing.remember_root(prepared, self.context.home)
        return delivered.status


class Team:
    """A remote and the people around it."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.remote = base / "remote.git"
        Git.init(self.remote, bare=True)
        self.people: dict[str, Person] = {}

    def person(self, name: str, kind: str = "ed25519") -> Person:
        """Somebody by name, with a clone and a key of their own from the first mention on."""
        if name not in self.people:
            self.people[name] = self._new(name, kind)
        return self.people[name]

    def _new(self, name: str, kind: str) -> Person:
        clone = self.base / name
        subprocess.run(
            ["git", "clone", "--quiet", str(self.remote), str(clone)], check=True, capture_output=True
        )
        key_file = self.base / f"{name}.pem"
        write_key_file(key_file, new_key(kind, None).pem)  # type: ignore[arg-type]
        context = Context(
            forge=LocalForge(Git.open(clone), "origin"),
            home=SignerHome(self.base / f"home-{name}"),
            now=NOW,
            author=Identity(name, f"{name}@example.org"),
        )
        return Person(
            name, clone, context, load_signer(f"file:{key_file}", env={}, ask_passphrase=None), key_file
        )

    @property
    def online(self) -> KeySigner:
        return self.person("publisher").key

    def publisher(self, now: datetime = NOW) -> Context:
        """The publishing job: no pin of its own, but the root digest in its environment."""
        return replace(self.person("publisher").at(now), root_digest=self.root_digest)

    @property
    def root_digest(self) -> str:
        for person in self.people.values():
            pin = person.context.remembered.pin()
            if pin:
                return pin.digest
        raise AssertionError("nobody has pinned a root yet")

    def trusting(self, name: str) -> Person:
        """Somebody who got the root digest from a founder and pinned it."""
        pins = (person.context.remembered.pin() for person in self.people.values())
        first = next(pin for pin in pins if pin)
        self.person(name).context.remembered.write_pin(first.data)
        return self.person(name)

    def init(self, signers: Sequence[str] = ("alice", "bob"), threshold: int = 2) -> found.Founded:
        return found.init(
            self.person(signers[0]).context,
            name="team-updates",
            signers=signers,
            threshold=threshold,
            app="hello",
            online_uri="env:KEYTURN_ONLINE_KEY",
            online=self.online,
            url=URL,
        )

    def join(self, *names: str) -> found.Joined:
        for name in names:
            person = self.person(name)
            joined = found.join(person.context, found.FOUNDING, name, person.key)
        return joined

    def found(self, signers: Sequence[str] = ("alice", "bob"), threshold: int = 2) -> None:
        """A repository with its founding event signed by enough people and merged."""
        self.init(signers, threshold)
        self.join(*signers)
        for name in signers[:threshold]:
            self.person(name).sign(found.FOUNDING)
        events.merge(self.person(signers[0]).context, found.FOUNDING)

    def bundle(self, version: str) -> Path:
        """The directory of a small app that prints its version."""
        directory = self.base / f"hello-{version}"
        directory.mkdir(exist_ok=True)
        program = directory / "hello"
        program.write_text(f"#!/bin/sh\necho hello {version}\n")
        program.chmod(0o755)
        return directory

    def propose(self, version: str, by: str = "alice") -> proposing.Proposed:
        return proposing.release(self.person(by).context, "hello", version, self.bundle(version))

    def release(self, version: str, signers: Sequence[str] = ("alice", "bob")) -> None:
        """A version proposed, signed and merged."""
        topic = self.propose(version).topic
        for name in signers:
            self.person(name).sign(topic)
        events.merge(self.person(signers[0]).context, topic)

    def push_file(self, branch: str, path: str, data: bytes, message: str = "by hand") -> str:
        """A commit that somebody with push rights makes without keyturn, on top of a branch."""
        forge = LocalForge(Git.open(self.person("mallory").clone), "origin")
        forge.refresh()
        git = Git.open(self.person("mallory").clone)
        tip = forge.branch_tip(branch)
        tree = git.write_tree(tip, {path: data})
        author = Identity("mallory", "mallory@example.org")
        commit = git.commit_tree(tree, [tip] if tip else [], message, author=author, when=NOW)
        git.run("push", "--quiet", "--force", "origin", f"{commit}:refs/heads/{branch}")
        return commit


def days(number: float) -> timedelta:
    return timedelta(days=number)
