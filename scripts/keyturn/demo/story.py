"""The demo: found, co-sign, publish, update, go back, and be attacked, all on one machine.

Nothing here signs or writes metadata. Every step is a process of the installed ``keyturn`` with a home of
its own (``world``); the story only says who does what next, and looks at what came of it.
"""

from __future__ import annotations

import shutil
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

from keyturn.demo import app
from keyturn.demo.app import APP, BROKEN, FIRST, SECOND
from keyturn.demo.frame import (
    DemoOptions,
    Played,
    be_attacked,
    close,
    until_interrupted,
    wheel_cache,
    work_directory,
)
from keyturn.demo.page import Out, Page
from keyturn.demo.server import serve
from keyturn.demo.steps import Part, Steps, Unexpected, matching
from keyturn.demo.updating import Updating, require
from keyturn.demo.world import BUILDS, NAME, ROOT, Launcher, Person, World, installed
from keyturn.errors import ExitCode

FOUNDING = "founding"
AGO = timedelta(days=4)
"""How long ago the repository was founded: longer than a timestamp lasts."""


def run(
    options: DemoOptions, out: Out, *, launcher: Launcher = installed, now: datetime | None = None
) -> Played:
    """Play all of it.

    Args:
        options: What the person chose.
        out: Prints one line.
        launcher: How each person starts Keyturn.
        now: The time, UTC; that of the clock by default, which is what the clients go by.

    Raises:
        Unexpected: A step of the story failed.
        UsageError: ``keep`` holds something already.
        EnvironmentFault: Git, the network or the disk is in the way.
    """
    world = World(work_directory(options.keep), launcher)
    page = Page(out, world.base)
    steps = Steps(page)
    begun = time.monotonic()
    page.text(
        "Two people found an update repository, release a real app from it, update it, and are attacked.",
        "Each step is a process of the installed keyturn, in the home of whoever takes it. The homes share",
        "a git remote and a URL, nothing else. Where you would be asked, --yes and --expect stand for a",
        "person who has looked and agrees to just that payload. Digests are cut to 8 digits, and … is",
        str(world.base),
    )
    world.site.mkdir(parents=True)
    with serve(world.site, options.serve or 0) as url:
        story = Story(world, steps, url, now or datetime.now(timezone.utc))
        story.build(options.cache or wheel_cache())
        story.found()
        story.first()
        story.second()
        story.broken()
        outcomes = be_attacked(world, steps)
        played = Played(world.site, outcomes, time.monotonic() - begun)
        close(page, steps, played)
        if options.serve is None:
            page.text("To look at it: make demo SERVE=1, or keyturn demo --serve")
        else:
            page.text(f"and is served at {url} until Ctrl-C.")
            until_interrupted()
    return played


class Story:
    """The first three acts.

    Args:
        world: Everything on disk.
        steps: Runs and tells what people do.
        url: Where the site is served.
        now: The time, UTC.
    """

    def __init__(self, world: World, steps: Steps, url: str, now: datetime) -> None:
        self._world = world
        self._steps = steps
        self._page = steps.page
        self._url = url
        self._then = f"{now - AGO:%Y-%m-%dT%H:%M:%SZ}"
        self._alice = world.person("alice")
        self._bob = world.person("bob")
        self._publisher = world.person("publisher")
        self._carol = Updating(world, steps, world.person("carol"), url)

    def build(self, cache: Path) -> None:
        """The app's bundles, as alice's build makes them: two that work and one that does not start."""
        before = time.monotonic()
        builds = self._alice.home / BUILDS
        for wheel in (FIRST, SECOND):
            app.build(app.fetch(wheel, cache), app.STARTS, builds / f"{APP}-{wheel.version}")
        broken = builds / f"{APP}-{BROKEN}"
        shutil.copytree(builds / f"{APP}-{SECOND.version}", broken)
        app.write_launcher(app.FAILS, broken)
        self._page.text()
        self._page.step(
            "alice",
            f"builds {APP} from wheels pinned by hash, each with a launcher",
            time.monotonic() - before,
        )
        self._page.command(["python", "-m", "pip", *app.DOWNLOAD, "--requirement", "wheels.txt"])
        self._page.said(f"{BUILDS}/: {', '.join(sorted(bundle.name for bundle in builds.iterdir()))}")

    def found(self) -> None:
        """Act one: a repository with two signers, threshold 2."""
        self._page.act(
            "1  Two people found a repository",
            f"Four days ago: up to the first release, every command has --at {self._then} as well.",
        )
        self._steps.hidden = ("--at", self._then)
        self._init()
        self._join(self._alice, "makes a key with a passphrase, and joins", "--type", "ed25519")
        self._join(self._bob, "makes his, and joins as the last", "--type", "ecdsa", "--no-passphrase")
        self._sign(self._alice, FOUNDING)
        root_digest = self._sign(self._bob, FOUNDING)
        self._merge(FOUNDING)
        self._publisher = self._publisher.with_secrets(**{ROOT: root_digest})

    def first(self) -> None:
        """Act two: the first release, from the signers to a running app."""
        self._page.act("2  A release reaches a computer")
        event = self._propose(FIRST.version)
        shown = self._steps.run(self._bob, "diff", event)
        self._steps.tell(self._bob, "sees what is proposed", Part(shown, matching(shown, "+", "~")))
        self._sign(self._alice, event)
        self._waits_for_bob(event)
        self._sign(self._bob, event)
        self._merge(event)
        self._publish("publishes: the online key signs snapshot and timestamp")
        self._world.keep_copy("frozen")

        self._steps.hidden = ()
        self._page.heading("Today")
        self._publish("publishes, as every day: a timestamp lasts three days")
        self._world.keep_copy("first")
        self._carol.embed_root(self._alice)
        self._carol.install()
        self._carol.launch(FIRST.version)

    def second(self) -> None:
        """Act three: an update."""
        self._page.act("3  Updates: one that works, and one that does not")
        self._release(SECOND.version)
        self._world.keep_copy("second")
        self._carol.check()
        self._carol.install()
        self._carol.launch(SECOND.version)

    def broken(self) -> None:
        """Still act three: a version that does not start, properly signed by both."""
        self._page.heading(f"{BROKEN} is signed by both, and does not start")
        self._release(BROKEN)
        self._carol.install()
        self._carol.go_back(SECOND.version)

    def _init(self) -> None:
        publisher = self._publisher
        remote = publisher.git(
            "init", "--quiet", "--bare", "--initial-branch", "main", str(self._world.remote)
        )
        made = self._steps.run(publisher, "key", "new", "online.pem", "--no-passphrase")
        key = (publisher.home / "online.pem").read_text(encoding="ascii")
        self._publisher = publisher = publisher.with_secrets(KEYTURN_ONLINE_KEY=key)
        cloned = publisher.git("clone", "--quiet", str(self._world.remote))
        policy = ["--name", NAME, "--signer", "alice", "--signer", "bob", "--threshold", "2", "--app", APP]
        site = ["--online-key", "env:KEYTURN_ONLINE_KEY", "--url", self._url]
        done = self._steps.run(publisher, "init", *policy, *site)
        self._steps.tell(
            publisher,
            "makes the git remote and the online key, and founds",
            Part(remote),
            Part(made),
            Part(cloned),
            Part(done, done.lines[:1]),
        )

    def _join(self, person: Person, what: str, *options: str) -> None:
        key = f"{person.name}.pem"
        made = self._steps.run(person, "key", "new", key, *options)
        cloned = person.git("clone", "--quiet", str(self._world.remote))
        done = self._steps.run(person, "join", FOUNDING, "--login", person.name, "--key", f"file:~/{key}")
        self._steps.tell(
            person,
            what,
            Part(made, (", ".join(matching(made, "fingerprint:", "scheme:")),)),
            Part(cloned),
            Part(done, done.lines[1:]),
        )

    def _waits_for_bob(self, event: str) -> None:
        done = self._steps.run(self._bob, "status", event, expect=ExitCode.PENDING)
        require(done, "1 of 2, missing: bob")
        self._steps.tell(
            self._bob, "is told that he is waited for (exit code 1)", Part(done, done.lines[:1], "warn")
        )

    def _sign(self, person: Person, event: str) -> str:
        look = self._steps.look(person, event)
        if person.name not in look.missing:
            raise Unexpected(f"{person.name} is not missing: {look.said}", where=event)
        signed = self._steps.sign(person, event, look)
        self._steps.tell(person, "looks, and turns the key for exactly that payload", look.part, signed)
        return look.root_digest

    def _merge(self, event: str) -> None:
        done = self._steps.run(self._bob, "merge", event)
        self._steps.tell(self._bob, "merges", Part(done, done.lines[:1]))

    def _propose(self, version: str) -> str:
        done = self._steps.run(
            self._alice, "propose", "release", APP, version, f"../{BUILDS}/{APP}-{version}"
        )
        self._steps.tell(self._alice, f"proposes {version}", Part(done, matching(done, "proposed:")))
        return f"release-{APP}-{version}"

    def _publish(self, what: str) -> None:
        done = self._steps.run(
            self._publisher, "publish", "--out", "../site", "--key", "env:KEYTURN_ONLINE_KEY"
        )
        self._steps.tell(self._publisher, what, Part(done, matching(done, "signed:", "tried:")))

    def _release(self, version: str) -> None:
        event = self._propose(version)
        self._sign(self._alice, event)
        self._sign(self._bob, event)
        self._merge(event)
        self._publish("publishes")
