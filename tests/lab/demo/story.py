"""Who does what next: found, release, update, go back, and be attacked."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path

from keyturn.demo import app
from keyturn.demo.app import APP, BROKEN, FIRST, SECOND, Wheel
from keyturn.demo.attacks import ATTACKS
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
from keyturn.demo.steps import Look, Part, Steps, Unexpected, matching, most, signing
from keyturn.demo.story import AGO, FOUNDING
from keyturn.demo.updating import Updating
from keyturn.demo.world import NAME, Done, Launcher, Person, installed
from lab.actions.act import ACT
from lab.actions.runner import Run
from lab.demo.forgery import forged_check
from lab.demo.github import PUBLISH, GitHub
from lab.demo.scene import APP_SLUG, SLUG, LabWorld
from lab.forge.settings import Environment, Secret, Variable
from lab.lab import Lab
from lab.ourselves import NAME as OUR_NAME
from lab.ourselves import OWNER
from lab.tools import CACHE, tool_cache

PUBLISHES = (1, 7, 13, 19)
"""Hours at whose seventh minute the schedule of `keyturn-publish.yml` comes round."""
RELEASE = """\
# Builds the app from a wheel and proposes it to the repository that updates come from.
name: Release
run-name: Release ${{ github.ref_name }}

on:
  push:
    tags: ["v*"]

permissions: {}

jobs:
  propose:
    name: Build and propose
    runs-on: ubuntu-latest
    environment: release
    permissions:
      contents: read
    steps:
      - name: Check out the source
        uses: actions/checkout@11bd71901bbe5b1630ceea73d27597364c9af683 # v4.2.2
        with:
          persist-credentials: false
      - name: Build
        id: build
        run: |
          python3 -m zipfile -e app-*.whl dist/lib
          rm -rf dist/lib/*.data
          install -m 755 launcher "dist/${APP}"
          echo "version=${GITHUB_REF_NAME#v}" >>"${GITHUB_OUTPUT}"
        env:
          APP: %(app)s
      - name: Propose the release
        uses: %(ours)s
        with:
          app: %(app)s
          version: ${{ steps.build.outputs.version }}
          directory: dist
          repository: %(updates)s
          token: ${{ secrets.UPDATES_TOKEN }}
"""

Fetch = Callable[[Wheel, Path], Path]
"""Brings a wheel; see :func:`keyturn.demo.app.fetch`."""


def lacking() -> str:
    """What of the lab's programs is not on this machine; empty if it can begin."""
    programs = {str(ACT): "act", "node": "node", "git": "git", "curl": "curl"}
    return ", ".join(name for program, name in programs.items() if shutil.which(program) is None)


def run(
    options: DemoOptions, out: Out, *, launcher: Launcher = installed, fetch: Fetch = app.fetch
) -> Played:
    """Play all of it; see :func:`keyturn.demo.story.run`."""
    begun = time.monotonic()
    with stage(options, out, launcher=launcher) as (world, steps), ExitStack() as served:
        # First of all: a port that is taken should be known before minutes have passed.
        url = "" if options.serve is None else served.enter_context(serve(world.site, options.serve))
        story = Story(world, steps)
        story.prepare(fetch, options.cache or wheel_cache())
        story.found()
        story.first()
        story.second()
        story.broken()
        outcomes = be_attacked(world, steps, (*ATTACKS, forged_check(world)))
        world.write_site()
        played = Played(world.site, outcomes, time.monotonic() - begun)
        close(steps.page, steps, played)
        if url:
            steps.page.text(
                f"and is served at {url} until Ctrl-C. For git and for its API, the emulated GitHub is"
            )
            steps.page.text(world.lab.forge.url)
            until_interrupted()
        else:
            steps.page.text("To look at it: make demo SERVE=1, or keyturn demo --serve")
    return played


@contextmanager
def stage(
    options: DemoOptions, out: Out, *, launcher: Launcher = installed, now: datetime | None = None
) -> Iterator[tuple[LabWorld, Steps]]:
    """An emulated GitHub with nobody's repository in it yet, four days ago.

    Args:
        options: What the person chose.
        out: Prints one line.
        launcher: How each person starts Keyturn.
        now: The time, UTC; that of the clock by default, which is what the clients go by.
    """
    base = work_directory(options.keep)
    page = Page(out, base)
    steps = Steps(page)
    now = (now or datetime.now(timezone.utc)).replace(microsecond=0)
    page.text(
        "Two people found an update repository on GitHub, release a real app from it, update it, and are",
        "attacked. GitHub is emulated on this machine; the workflows and actions in it are the real ones, of",
        "this checkout. $ is a process of the installed keyturn or of git, in the home of whoever takes the",
        "step; > is a button of GitHub's page. Where you would be asked, --yes and --expect stand for a",
        "person who has looked and agrees to just that payload. Digests are cut to 8 digits, and … is",
        str(base),
    )
    page.text()
    began = time.monotonic()
    if not CACHE.is_dir():
        page.text("Once only: the actions' own bootstrap puts their packages into the runners' tool cache …")
    tools = tool_cache("publish")
    with Lab(base / "lab", now=now - AGO, tools=tools, contract=False) as lab:
        # What edges keep is a story of its own (test_pages.py); here everybody sees what was deployed.
        lab.pages.lagging = False
        world = LabWorld(base, lab, now, launcher)
        page.step(
            "github", f"is emulated at {lab.forge.url}, with runners and Pages", time.monotonic() - began
        )
        yield world, steps


class Story:
    """The first three acts.

    Args:
        world: Everything on disk, and the lab.
        steps: Runs and tells what people do.
    """

    def __init__(self, world: LabWorld, steps: Steps) -> None:
        self._world = world
        self._lab = world.lab
        self._steps = steps
        self._page = steps.page
        self._github = GitHub(world, steps)
        self._alice = world.person("alice")
        self._bob = world.person("bob")
        self._carol = Updating(world, steps, world.person("carol"), world.url)
        self._wheels: dict[str, Path] = {}
        self._root_digest = ""

    def prepare(self, fetch: Fetch, cache: Path) -> None:
        """The wheels that the app is built from."""
        before = time.monotonic()
        wheels = {wheel.version: fetch(wheel, cache) for wheel in (FIRST, SECOND)}
        self._wheels = {**wheels, BROKEN: wheels[SECOND.version]}
        self._page.step("alice", f"has two wheels of {APP}, pinned by hash", time.monotonic() - before)
        self._page.command(["python", "-m", "pip", *app.DOWNLOAD, "--requirement", "wheels.txt"])

    def found(self) -> None:
        """Act one: an empty repository on GitHub becomes an update repository with two signers."""
        then = f"{self._lab.clock():%Y-%m-%dT%H:%M:%SZ}"
        self._page.act(
            "1  Two people found a repository",
            f"Four days ago: up to the first release, every command has --at {then} as well.",
        )
        self._steps.hidden = ("--at", then)
        self._init()
        self._join(self._alice, "makes a key with a passphrase, and joins", "--type", "ed25519")
        self._join(self._bob, "makes his, and joins as the last", "--type", "ecdsa", "--no-passphrase")
        self._github.work(FOUNDING)
        self._sign(self._alice, FOUNDING)
        self._github.work(FOUNDING)
        self._root_digest = self._review(self._bob, FOUNDING)
        self._github.work(FOUNDING)
        self._merge(FOUNDING)
        fixed = self._steps.run(self._alice, "doctor", "--fix")
        self._steps.tell(
            self._alice,
            "says by which root the workflows shall go",
            Part(fixed, fixed.lines[-2:]),
        )
        self._published(self._github.work())

    def first(self) -> None:
        """Act two: the first release, from the app's own repository to a running app."""
        self._page.act("2  A release reaches a computer")
        self._app_repository()
        event = self._propose(FIRST.version, app.STARTS)
        shown = self._steps.run(self._bob, "diff", self._github.page(event))
        self._steps.tell(self._bob, "sees what is proposed", Part(shown, matching(shown, "+", "~")))
        self._sign(self._alice, event)
        self._github.work(event)
        # He signed the founding without pushing it, so his machine has not pinned its root yet.
        self._review(self._bob, event, "--root-digest", self._root_digest)
        self._github.work(event)
        self._merge(event)
        self._published(self._github.work())
        self._world.keep_copy("frozen")

        self._steps.hidden = ()
        self._page.heading("Today")
        self._go_to_today()
        self._world.keep_copy("first")
        self._carol.embed_root(self._alice)
        self._carol.install()
        self._carol.launch(FIRST.version)

    def second(self) -> None:
        """Act three: an update."""
        self._page.act("3  Updates: one that works, and one that does not")
        self._release(SECOND.version, app.STARTS)
        self._world.keep_copy("second")
        self._carol.check()
        self._carol.install()
        self._carol.launch(SECOND.version)

    def broken(self) -> None:
        """Still act three: a version that does not start, properly signed by both."""
        self._page.heading(f"{BROKEN} is signed by both, and does not start")
        self._release(BROKEN, app.FAILS)
        self._carol.install()
        self._carol.go_back(SECOND.version)

    def _init(self) -> None:
        self._lab.forge.create_repository("alice", NAME, collaborators={"bob": "write", "mallory": "write"})
        now = self._lab.clock()
        variables = self._lab.forge.repository(SLUG).variables
        variables["KEYTURN_LIVE_PAUSE"] = Variable("KEYTURN_LIVE_PAUSE", "1", now, now)
        alice = self._alice
        made = self._steps.run(alice, "key", "new", "online.pem", "--no-passphrase")
        key = self._world.online_key.read_text(encoding="ascii")
        cloned = alice.git("clone", "--quiet", self._world.address)
        policy = ["--name", NAME, "--signer", "alice", "--signer", "bob", "--threshold", "2", "--app", APP]
        site = ["--online-key", "env:KEYTURN_ONLINE_KEY", "--set-secret", "--url", self._world.url]
        pin = ["--action", f"{OWNER}/{OUR_NAME}@{self._world.commit}"]
        done = self._steps.run(alice.with_secrets(KEYTURN_ONLINE_KEY=key), "init", *policy, *site, *pin)
        self._steps.tell(
            alice,
            "makes the online key, and founds in an empty repository on GitHub",
            Part(made),
            Part(cloned),
            Part(done, matching(done, "founded:", "pull request:", "made", "set")),
        )
        self._github.work(FOUNDING)

    def _join(self, person: Person, what: str, *options: str) -> None:
        key = f"{person.name}.pem"
        made = self._steps.run(person, "key", "new", f"../{key}" if person.clone.is_dir() else key, *options)
        cloned = () if person.clone.is_dir() else (Part(person.git("clone", "--quiet", self._world.address)),)
        page = self._github.page(FOUNDING)
        done = self._steps.run(person, "join", page, "--login", person.name, "--key", f"file:~/{key}")
        self._steps.tell(
            person,
            what,
            Part(made, (", ".join(matching(made, "fingerprint:", "scheme:")),)),
            *cloned,
            Part(done, matching(done, "keys missing:", "next:")),
        )

    def _look(self, person: Person, topic: str) -> Look:
        look = self._steps.look(person, self._github.page(topic))
        if person.name not in look.missing:
            raise Unexpected(f"{person.name} is not missing: {look.said}", where=topic)
        return look

    def _sign(self, person: Person, topic: str) -> None:
        """Sign at the command line, by the address of the pull request."""
        look = self._look(person, topic)
        signed = self._steps.sign(person, self._github.page(topic), look)
        self._steps.tell(person, "looks, and turns the key for exactly that payload", look.part, signed)

    def _review(self, person: Person, topic: str, *more: str) -> str:
        """Sign without pushing anything: the signature stands in a review."""
        look = self._look(person, topic)
        file = f"../{topic}.txt"
        words = [*signing(person.name, self._github.page(topic), look), *more]
        signed = self._steps.run(person, *words, "--out", file)
        block = (person.clone / file).read_text(encoding="ascii")
        posted = self._pressed(
            person, "POST", f"/pulls/{self._github.pull(topic).number}/reviews", event="APPROVE", body=block
        )
        self._steps.tell(
            person,
            "looks, signs into a file, and approves with that as the review's text",
            look.part,
            Part(signed, (*most(matching(signed, "!!")), *matching(signed, "signed:"))),
            Part(posted, prompt=">"),
        )
        return look.root_digest

    def _merge(self, topic: str) -> None:
        merged = self._pressed(self._bob, "PUT", f"/pulls/{self._github.pull(topic).number}/merge")
        self._steps.tell(self._bob, "merges", Part(merged, prompt=">"))

    def _pressed(self, person: Person, method: str, path: str, **fields: object) -> Done:
        done = self._github.press(person.name, method, path, **fields)
        if done.code:
            raise Unexpected(f"GitHub answers {done.code}: {done.out}", where=" ".join(done.shown))
        return done

    def _published(self, runs: Sequence[Run]) -> None:
        """Tell what the publishing run came to, which must have been one that publishes."""
        for run in runs:
            if run.file == PUBLISH and "live" in run.jobs:
                jobs = ", ".join(job.id for job in run.jobs.values() if job.conclusion == "success")
                self._page.said(f"{PUBLISH}: {jobs}", run.jobs["live"].outputs.get("client", ""))
                return
        raise Unexpected("nothing was published", where=PUBLISH)

    def _app_repository(self) -> None:
        """The app's own repository, whose workflow proposes its releases to the other one."""
        forge, now = self._lab.forge, self._lab.clock()
        made = forge.create_repository("alice", APP)
        environment = Environment(forge.new_id(), "release", now)
        environment.secrets["UPDATES_TOKEN"] = Secret("UPDATES_TOKEN", self._world.tokens["alice"], now, now)
        made.environments["release"] = environment

    def _propose(self, version: str, launcher: str) -> str:
        """Push a tag to the app's repository; its workflow builds and proposes."""
        alice = self._alice
        source = alice.home / APP
        before = self._source(source, version, launcher)
        where = ("-C", f"../{APP}")
        added = alice.git(*where, "add", ".")
        committed = alice.git(*where, "commit", "--quiet", "--message", f"Version {version}")
        tagged = alice.git(*where, "tag", f"v{version}")
        pushed = alice.git(*where, "push", "--quiet", "origin", "main", f"v{version}")
        self._steps.tell(
            alice,
            f"pushes the tag of {version} to the app's own repository, {APP_SLUG}",
            *before,
            Part(added),
            Part(committed),
            Part(tagged),
            Part(pushed),
        )
        topic = f"release-{APP}-{version}"
        self._github.work(topic)
        return topic

    def _source(self, source: Path, version: str, launcher: str) -> tuple[Part, ...]:
        parts: list[Part] = []
        if not source.is_dir():
            address = f"{self._lab.forge.url}/{APP_SLUG}"
            parts.append(Part(self._alice.git("clone", "--quiet", address, f"../{APP}")))
            workflow = source / ".github" / "workflows" / "release.yml"
            workflow.parent.mkdir(parents=True)
            ours = f"{OWNER}/{OUR_NAME}@{self._world.commit}"
            workflow.write_text(RELEASE % {"app": APP, "ours": ours, "updates": SLUG}, encoding="utf-8")
        for old in source.glob("app-*.whl"):
            old.unlink()
        wheel = self._wheels[version]
        shutil.copy(wheel, source / f"app-{wheel.name.split('-')[1]}-py3-none-any.whl")
        (source / "launcher").write_text(launcher, encoding="utf-8")
        return tuple(parts)

    def _release(self, version: str, launcher: str) -> None:
        event = self._propose(version, launcher)
        self._sign(self._alice, event)
        self._sign(self._bob, event)
        self._github.work(event)
        self._merge(event)
        self._published(self._github.work())

    def _go_to_today(self) -> None:
        """Let four days pass, and the publishing workflow's schedule come round."""
        lab, now = self._lab, self._world.now
        due = next(
            moment
            for hours in range(24)
            if (moment := now.replace(minute=7, second=0) - timedelta(hours=hours)).hour in PUBLISHES
            and moment < now - timedelta(minutes=1)
        )
        lab.clock.move(due - timedelta(minutes=1) - lab.clock())
        lab.tick(timedelta(minutes=2))
        runs = self._github.work()
        self._page.said("by its schedule, as every six hours: a timestamp lasts three days")
        self._published(runs)
        lab.clock.move(now - lab.clock())
