"""People with keys and clones around one real git remote, for tests of whole use cases.

What many tests begin with is told once in a process; whoever begins with it later gets a copy
(:meth:`Team.begin`), for a founding alone starts more than 300 git processes.
"""

from __future__ import annotations

import atexit
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from functools import cache
from pathlib import Path

from keyturn.flow import events, found, proposing, publishing, signing
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
        with (self.remote / "config").open("a") as config:
            # Otherwise each push would start a process that finds nothing to tidy up.
            config.write("[receive]\n\tautogc = false\n")
        self.people: dict[str, Person] = {}

    def person(self, name: str, kind: str = "ed25519") -> Person:
        """Somebody by name, with a clone and a key of their own from the first mention on."""
        if name not in self.people:
            self.people[name] = self._new(name, kind)
        return self.people[name]

    def _new(self, name: str, kind: str) -> Person:
        clone = self.base / name
        subprocess.run(
            ["git", "clone", "--quiet", "--template=", str(self.remote), str(clone)],
            check=True,
            capture_output=True,
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

    def begin(self, story: Callable[..., None], *arguments: Hashable) -> None:
        """Let the story be told to this team: afterwards all is as ``story(team, *arguments)`` leaves it.

        A team that nothing has happened to yet gets a copy of what the story made of another one: remote,
        clones, keys, pins, and all else in its directory. Two such teams in one process are of the same
        root: a test that needs another repository beside the first lets the story be told anew.

        Args:
            story: A function at the top of a module, which knows of nothing but what it is given.
            arguments: What the story is told with.
        """
        if self.people:
            story(self, *arguments)
        else:
            _copy(_told(story, *arguments), self)

    def found(self, signers: Sequence[str] = ("alice", "bob"), threshold: int = 2) -> None:
        """A repository with its founding event signed by enough people and merged."""
        self.begin(founding, tuple(signers), threshold)

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


# Stories to begin with


def founding(team: Team, signers: Sequence[str] = ("alice", "bob"), threshold: int = 2) -> None:
    """A founding event signed by enough people and merged."""
    team.init(signers, threshold)
    team.join(*signers)
    for name in signers[:threshold]:
        team.person(name).sign(found.FOUNDING)
    events.merge(team.person(signers[0]).context, found.FOUNDING)


def with_release(team: Team, *versions: str) -> None:
    """Founded, and versions of the app released."""
    team.found()
    for version in versions:
        team.release(version)


def with_proposal(team: Team, version: str) -> None:
    """Founded, and a version of the app proposed that nobody has signed."""
    team.found()
    team.propose(version)


def with_site(team: Team, *versions: str) -> None:
    """Founded, versions of the app released, and all of it published to ``site`` in the team's directory."""
    team.begin(with_release, *versions)
    publishing.publish(team.publisher(), team.base / "site", [team.online])


@cache
def _told(story: Callable[..., None], *arguments: Hashable) -> Team:
    """A team that the story was told to, and that nobody may change."""
    directory = tempfile.TemporaryDirectory(prefix="keyturn-team-")
    atexit.register(directory.cleanup)
    team = Team(Path(directory.name).resolve())
    story(team, *arguments)
    for person in team.people.values():
        person.context.forge._git.close()
    return team


def _copy(source: Team, team: Team) -> None:
    shutil.rmtree(team.remote)
    shutil.copytree(source.base, team.base, symlinks=True, dirs_exist_ok=True)
    team.people = {name: _moved(person, source, team) for name, person in source.people.items()}


def _moved(person: Person, source: Team, team: Team) -> Person:
    """The person in a copy: what is filed under the remote's address is filed under the new one."""
    clone, key_file = (team.base / path.relative_to(source.base) for path in (person.clone, person.key_file))
    git = Git(clone)
    git.run("remote", "set-url", "origin", str(team.remote))
    forge = LocalForge(git, "origin")
    forge._tips = dict(person.context.forge._tips)
    _rename(clone / ".git" / person.context.forge._space, clone / ".git" / forge._space)

    home = SignerHome(team.base / person.context.home.directory.relative_to(source.base))
    _rename(home.remote(str(source.remote)).directory, home.remote(str(team.remote)).directory)

    context = replace(person.context, forge=forge, home=home)
    key = load_signer(f"file:{key_file}", env={}, ask_passphrase=None)
    return replace(person, clone=clone, context=context, key=key, key_file=key_file)


def _rename(old: Path, new: Path) -> None:
    if old.exists():
        old.rename(new)


def days(number: float) -> timedelta:
    return timedelta(days=number)
