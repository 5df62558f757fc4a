"""Five attacks, each by somebody who has everything but the one thing that the refusal is about.

An attack may end in three ways. *Refused* means: for the reason named here, and nothing has changed on the
victim's computer. Everything else is a failure of the demo, also a refusal for another reason: then the
check that was to be seen was not seen.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from keyturn.demo import app
from keyturn.demo.app import APP, EVIL, NEXT, SECOND
from keyturn.demo.server import serve
from keyturn.demo.steps import Part, Steps, Unexpected, matching, signing
from keyturn.demo.world import BUILDS, NAME, ROOT, Done, Person, World, client
from keyturn.errors import ExitCode

IGNORED = "ignored: older than the one already held"
_GZIP_SYSTEM = 9
"""Offset of the byte in a gzip header that says on which system it was made, and that nobody needs."""


class Ending(str, Enum):
    """How an attack ended."""

    REFUSED = "refused"
    SUCCEEDED = "succeeded"
    OTHERWISE = "otherwise"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an attack.

    Args:
        ending: How it ended.
        said: The same in words, with the reason.
    """

    ending: Ending
    said: str

    @property
    def refused(self) -> bool:
        """Whether it was refused, and for the reason named."""
        return self.ending is Ending.REFUSED


@dataclass(frozen=True, slots=True)
class Scene:
    """Where an attack is played.

    Args:
        world: Everything on disk; attacks change nothing of it but signing events.
        steps: Runs and tells what people do.
        arena: The attack's own directory.
        reason: The reason for which it should be refused.
    """

    world: World
    steps: Steps
    arena: Path
    reason: str

    def newcomer(self) -> Person:
        """Somebody who has the app's root and nothing else."""
        dave = self.world.person("dave", self.arena / "dave")
        shutil.copy(self.world.embedded_root, dave.home / "root.json")
        return dave

    def site(self, copy: str) -> Path:
        """The site as it was at a moment, for the attacker to change."""
        return Path(shutil.copytree(self.world.copy(copy), self.arena / "site"))


@dataclass(frozen=True, slots=True)
class Attack:
    """One attack.

    Args:
        name: Its name in paths and tests.
        title: What the attacker does.
        story: What the attacker has, in a sentence.
        reason: The reason for which it must be refused.
        play: Plays it.
    """

    name: str
    title: str
    story: str
    reason: str
    play: Callable[[Scene], Outcome]


def attack(one: Attack, world: World, steps: Steps) -> Outcome:
    """Play one attack.

    Args:
        one: The attack.
        world: The world as the story left it.
        steps: Runs and tells what people do.

    Returns:
        How it ended.

    Raises:
        Unexpected: The attacker was stopped before what the attack is about.
    """
    steps.page.heading(one.title, one.story)
    outcome = one.play(Scene(world, steps, world.arena(one.name), one.reason))
    steps.page.said(outcome.said, style="good" if outcome.refused else "bad")
    return outcome


def flipped_byte(scene: Scene) -> Outcome:
    """One byte of the archive is another, and it still unpacks to the same tree: only its hash can tell."""
    site = scene.site("second")
    (archive,) = (site / "targets" / APP).glob(f"*{APP}-{SECOND.version}.tar.gz")
    data = bytearray(archive.read_bytes())
    data[_GZIP_SYSTEM] ^= 1
    archive.write_bytes(data)
    dave = scene.newcomer()
    with serve(site) as url:
        done = scene.steps.attempt(dave, "--json", *client(url), "install")
    scene.steps.tell(dave, "installs for the first time", Part(done, error_of(done)))
    return _judged_install(scene, dave, None, done)


def old_timestamp(scene: Scene) -> Outcome:
    """The site as it was before the last two releases: signed, not expired, older than what carol holds."""
    carol = scene.world.double("carol", scene.arena)
    before = current(carol)
    site = scene.site("first")
    with serve(site) as url:
        done = scene.steps.attempt(carol, "--json", *client(url), "check")
    said = done.document
    stale = said.get("stale") or {}
    lines = error_of(done)
    if stale:
        lines = (
            f"timestamp {stale['fetched']} {stale['reason']}; going on with timestamp {stale['held']} "
            f"until {said['expires']}, {APP} stays at {said['current']}",
        )
    scene.steps.tell(carol, f"has {before}, and asks what is new", Part(done, lines))
    old = _timestamp(site / "metadata" / "timestamp.json")
    held = _timestamp(carol.home / "app" / "trust" / "timestamp.json")
    if held <= old or current(carol) != before:
        return _succeeded(f"carol's client went back to timestamp {held}")
    fine = done.code in (ExitCode.DONE, ExitCode.NOTHING)
    if fine and stale.get("reason") == scene.reason and stale["held"] == held:
        return Outcome(Ending.REFUSED, scene.reason)
    return _otherwise(scene, done)


def frozen(scene: Scene) -> Outcome:
    """The site as it was four days ago, whole and properly signed, for somebody who does not know better."""
    dave = scene.newcomer()
    with serve(scene.site("frozen")) as url:
        done = scene.steps.attempt(dave, "--json", *client(url), "install")
    scene.steps.tell(dave, "installs for the first time", Part(done, error_of(done)))
    return _judged_install(scene, dave, None, done)


def one_thief(scene: Scene) -> Outcome:
    """One signer's key and the online key are stolen; all but the second signature is as it should be."""
    steps = scene.steps
    mallory = scene.world.person("mallory", scene.arena / "mallory")
    shutil.copy(scene.world.base / "homes" / "bob" / "bob.pem", mallory.home)
    online = scene.world.online_key.read_text(encoding="ascii")
    remote = Path(shutil.copytree(scene.world.remote, scene.arena / scene.world.remote.name))
    cloned = mallory.git("clone", "--quiet", str(remote), NAME)
    _bundle(mallory, EVIL, app.STOLEN)
    event = f"release-{APP}-{EVIL}"
    proposed = steps.run(mallory, "propose", "release", APP, EVIL, f"../{BUILDS}/{APP}-{EVIL}")
    look = steps.look(mallory, event)
    mallory = mallory.with_secrets(KEYTURN_ONLINE_KEY=online, **{ROOT: look.root_digest})
    signed = steps.sign(mallory, event, look, key="bob")
    steps.tell(
        mallory,
        "proposes a release on a copy of the remote, and signs it with bob's key",
        Part(cloned),
        Part(proposed, matching(proposed, "proposed:")),
        look.part,
        signed,
    )
    merge = steps.run(mallory, "merge", event, expect=ExitCode.PENDING)
    pushed = _push_to_main(mallory, event)
    publish = ("publish", "--out", "../site", "--key", "env:KEYTURN_ONLINE_KEY")
    refused = steps.run(mallory, "--json", *publish, expect=ExitCode.INVALID, reason="invalid")
    thief = mallory.with_keyturn(sys.executable, "-m", "keyturn.demo.thief")
    published = steps.run(thief, *publish)
    steps.tell(
        mallory,
        "may not merge that, and pushes it to main with plain git",
        Part(merge, merge.lines[:1]),
        *pushed,
    )
    steps.tell(
        mallory,
        "may not publish that either, and changes keyturn so that it looks away",
        Part(refused, error_of(refused)),
        Part(published, matching(published, "signed:", "published:"), note="(the changed keyturn)"),
    )
    carol = scene.world.double("carol", scene.arena)
    before = current(carol)
    with serve(mallory.home / "site") as url:
        done = steps.attempt(carol, "--json", *client(url), "install")
    steps.tell(carol, f"has {before}, and updates", Part(done, error_of(done)))
    return _judged_install(scene, carol, before, done)


def second_payload(scene: Scene) -> Outcome:
    """A signer is shown another payload for a version that they have signed; no site has a part in this."""
    steps = scene.steps
    alice = scene.world.double("alice", scene.arena)
    event = f"release-{APP}-{NEXT}"
    _bundle(alice, NEXT, app.STARTS)
    proposed = steps.run(alice, "propose", "release", APP, NEXT, f"../{BUILDS}/{APP}-{NEXT}")
    look = steps.look(alice, event)
    signed = steps.sign(alice, event, look)
    steps.tell(
        alice,
        "proposes a version that starts again, and signs it",
        Part(proposed, matching(proposed, "proposed:")),
        look.part,
        signed,
    )

    mallory = scene.world.person("mallory", scene.arena / "mallory")
    cloned = mallory.git("clone", "--quiet", scene.world.address, NAME)
    _bundle(mallory, NEXT, app.STOLEN)
    replaced = steps.run(mallory, "propose", "release", APP, NEXT, f"../{BUILDS}/{APP}-{NEXT}")
    steps.tell(
        mallory,
        "may push, and puts another archive under the same version",
        Part(cloned),
        Part(replaced, matching(replaced, "left behind:")),
    )
    again = steps.look(alice, event)
    if set(again.digests) != set(look.digests) or set(again.digests.values()) & set(look.digests.values()):
        raise Unexpected("the second payload is not another one for the same version", where=event)
    done = steps.attempt(alice, "--json", *signing(alice.name, event, again))
    steps.tell(alice, "is asked to sign once more", again.part, Part(done, error_of(done)))
    if done.code == ExitCode.DONE:
        return _succeeded(f"alice signed two payloads of {' and '.join(again.digests)}")
    return _judged(scene, done)


ATTACKS = (
    Attack(
        "archive",
        "One byte of the archive is flipped",
        "mallory runs the host. The archive still unpacks, to the very same files; only its hash can tell.",
        "hash-mismatch",
        flipped_byte,
    ),
    Attack(
        "timestamp",
        "An old timestamp is served",
        "The whole site as it was this morning: properly signed, not expired, but carol has seen newer.",
        IGNORED,
        old_timestamp,
    ),
    Attack(
        "frozen",
        "A repository frozen since four days is served",
        "The whole site as it was then, properly signed, to somebody who has root 1 and nothing else.",
        "expired",
        frozen,
    ),
    Attack(
        "threshold",
        "One thief of one signer's key, who also has the online key",
        "Targets signed by bob's key, snapshot and timestamp as they should be: all but alice's signature.",
        "threshold",
        one_thief,
    ),
    Attack(
        "ledger",
        "A second payload for a version that the signer has signed",
        "mallory may push to the git remote; both payloads together would let two truths be served.",
        "ledger",
        second_payload,
    ),
)


def _judged_install(scene: Scene, victim: Person, before: str | None, done: Done) -> Outcome:
    after = current(victim)
    if done.code == ExitCode.DONE or after != before:
        return _succeeded(f"{victim.name}'s client installed {after}")
    return _judged(scene, done)


def _judged(scene: Scene, done: Done) -> Outcome:
    if done.code == ExitCode.INVALID and done.reason == scene.reason:
        return Outcome(Ending.REFUSED, f"refused: {scene.reason}")
    return _otherwise(scene, done)


def _succeeded(what: str) -> Outcome:
    return Outcome(Ending.SUCCEEDED, f"THE ATTACK SUCCEEDED: {what}")


def _otherwise(scene: Scene, done: Done) -> Outcome:
    why = f"exit code {done.code}, reason {done.reason or 'none'}, instead of {scene.reason}"
    return Outcome(Ending.OTHERWISE, f"NOT REFUSED FOR THE REASON NAMED: {why}")


def error_of(done: Done) -> tuple[str, ...]:
    """What a process that was called with ``--json`` refused, as lines to tell."""
    return (str(done.error.get("what", "")),) if done.error else ()


def current(person: Person) -> str | None:
    """The version that is installed on somebody's computer."""
    link = person.home / "app" / "current"
    return link.readlink().name if link.is_symlink() else None


def _timestamp(file: Path) -> int:
    version = json.loads(file.read_bytes())["signed"]["version"]
    return int(version)


def _bundle(person: Person, version: str, launcher: str) -> None:
    """A bundle with a launcher and nothing else: nobody is going to install it, if all goes well."""
    bundle = person.home / BUILDS / f"{APP}-{version}"
    bundle.mkdir(parents=True)
    app.write_launcher(launcher, bundle)


def _push_to_main(mallory: Person, event: str) -> tuple[Part, ...]:
    fetched = mallory.git("fetch", "--quiet", "origin")
    pushed = mallory.git("push", "--quiet", "origin", f"origin/sign/{event}:refs/heads/main")
    return (Part(fetched), Part(pushed))
