"""What each job finds on a day on which it has all of its work to do.

situations = Situations(place)
good = situations.good("collect")                      # how it ends when nothing goes wrong
situations.go_to("collect")
ran = situations.run("collect", without="statuses")    # and now something goes wrong
situations.run("collect")
assert place.shown() == good.shown
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from unittest import mock

from keyturn.errors import RefusedError
from keyturn.flow import watching
from keyturn.hosting.releases import MARK
from keyturn.release.archive import pack
from keyturn.release.attestation import Attested, Build
from lab.forge import Event
from lab.forge.model import BOT, Release
from lab.jobs import Kept, Place, Ran, script

APP = "acme/hello"
JOBS = {
    "signing-event": ("keyturn-signing-event", "check"),
    "collect": ("keyturn-collect", "collect"),
    "propose": ("keyturn-propose", "propose"),
    "watch": ("keyturn-propose", "watch"),
    "sign": ("keyturn-publish", "sign"),
    "build": ("keyturn-publish", "build"),
    "live": ("keyturn-publish", "live"),
    "record": ("keyturn-publish", "record"),
    "monitor": ("keyturn-monitor", "monitor"),
    "monitor, well again": ("keyturn-monitor", "monitor"),
    "release": ("release", "propose"),
}
"""Workflow file and job of each situation."""
BEGINS = {
    "build": "sign",
    "live": "build",
    "record": "live",
    "monitor": "sign",
    "monitor, well again": "monitor",
}
"""What a situation begins with, if it is not a place that was just founded."""


@dataclass(frozen=True)
class Good:
    """A job on a day on which nothing goes wrong."""

    ran: Ran
    shown: Mapping[str, object]


class Situations:
    """The situations of one founded place; each is brought about once.

    Args:
        place: The place, founded with :func:`policy` as its policy.
    """

    def __init__(self, place: Place) -> None:
        self.place = place
        self._kept: dict[str, Kept] = {"founded": place.keep()}
        self._good: dict[str, Good] = {}
        place.forge.user("acme", 2001)
        place.forge.create_repository("acme", "hello", files={"README.md": b"hello\n"})
        self._release_of_the_app("1.0")
        self._kept["founded"] = place.keep()

    def go_to(self, name: str) -> None:
        """Make it the day that a situation begins with."""
        if name not in self._kept:
            self.go_to(BEGINS.get(name, "founded"))
            getattr(self, f"_{re.sub('[^a-z]+', '_', name)}")()
            self._kept[name] = self.place.keep()
        self.place.go_back(self._kept[name])

    def run(self, name: str, *, without: str = "") -> Ran:
        """Run the job of a situation."""
        workflow, job = JOBS[name]
        inputs = (
            {"commit": self._staged, "attempts": "1", "pause": "0"} if workflow == "keyturn-publish" else {}
        )
        token, env = "", {}
        if name == "release":
            # A run of the app's own repository, with a token that somebody made for it.
            inputs = {
                "version": "1.0",
                "directory": str(self.place.people.bundle("1.0")),
                "repository": self.place.slug,
                "app": "hello",
            }
            token, env = self.place.forge.user("alice"), {"GITHUB_REPOSITORY": APP}
        with ExitStack() as stack, tempfile.TemporaryDirectory(dir=self.place.directory) as scratch:
            if name == "build":
                inputs["directory"] = str(Path(scratch, "site"))
            if name == "watch":
                stack.enter_context(mock.patch.object(watching, "verify_attestation", _believe))
                stack.enter_context(mock.patch.object(script("watch"), "open_verifier", lambda _: None))
            return self.place.run(workflow, job, without=without, inputs=inputs, token=token, env=env)

    def good(self, name: str) -> Good:
        """How a situation ends when nothing goes wrong."""
        if name not in self._good:
            self.go_to(name)
            ran = self.run(name)
            self._good[name] = Good(ran, self.place.shown())
        return self._good[name]

    # What leads from what it begins with to each situation.

    def _signing_event(self) -> None:
        self.place.propose("1.0")

    def _collect(self) -> None:
        topic = self.place.propose("1.0")
        self.run("signing-event")
        self.place.sign("alice", topic)
        self.place.review("bob", topic)

    def _propose(self) -> None:
        before = self.place.main().tree.read("keyturn.yml")
        edited = before.replace(b"renew: 30d", b"renew: 20d")
        assert edited != before
        self.place.commit({"keyturn.yml": edited})

    def _watch(self) -> None:
        """There is a new release of the app; nothing else has to happen."""

    def _release(self) -> None:
        """The app is built; nothing else has to happen."""

    def _sign(self) -> None:
        self.place.publish()
        self.place.release("1.0")

    def _build(self) -> None:
        assert self.place.stage().code == 0

    def _live(self) -> None:
        with tempfile.TemporaryDirectory(dir=self.place.directory) as scratch:
            site = Path(scratch, "site")
            workflow, job = JOBS["build"]
            inputs = {"commit": self._staged, "directory": str(site)}
            assert self.place.run(workflow, job, inputs=inputs).code == 0
            self.place.deploy(site)

    def _record(self) -> None:
        long_ago = self.place.clock() - timedelta(days=9)
        for tag, draft in (("hello-0.8", True), ("hello-0.9", False)):
            self._given_up(tag, Release(0, tag, "main", tag, MARK, draft, not draft, BOT, long_ago))

    def _monitor(self) -> None:
        """Nothing has run for long: what was signed online has expired, schedules are soon stopped."""
        self.place.clock.move(timedelta(days=51))

    def _monitor_well_again(self) -> None:
        self.run("monitor")
        self.place.publish()
        place, now = self.place, self.place.clock()
        for path in place.main().tree.entries():
            if path.startswith(".github/workflows/"):
                file, commit = path.rpartition("/")[2], place.repository.store.branch("main") or ""
                event = Event(
                    "schedule", place.slug, None, "alice", False, "refs/heads/main", commit, now, {}
                )
                place.forge.finish_run(
                    place.forge.start_run(place.slug, file, event, branch="main", commit=commit), "success"
                )

    @property
    def _staged(self) -> str:
        return self.place.repository.store.branch("keyturn/staged") or ""

    def _given_up(self, tag: str, release: Release) -> None:
        """A release of ours whose event is gone."""
        release.id = self.place.forge.new_id()
        self.place.repository.releases.append(release)
        if not release.draft:
            store = self.place.repository.store
            store.set_ref(f"refs/tags/{tag}", store.branch("main") or "")

    def _release_of_the_app(self, version: str) -> None:
        host = self.place.host("acme", APP)
        with tempfile.TemporaryDirectory(dir=self.place.directory) as scratch:
            file = Path(scratch, f"hello-{version}.tar.gz")
            packed = pack(self.place.people.bundle(version), file)
            made = host.create_release(f"v{version}", version, "", target="main")
            host.upload(made, file.name, file)
            host.edit_release(made, draft=False)
        self.place.forge.attest(APP, packed.sha256, {"good": packed.sha256})


def policy(text: str, *, hosting: str) -> str:
    """The policy of these places: the app comes from a repository of its own."""
    app = f"from: {{repository: {APP}}}\n    platforms: []"
    return text.replace("platforms: []", app).replace("source: git", f"source: {hosting}")


def _believe(bundles: Sequence[object], sha256: str, build: Build, _: Callable[[], None]) -> Attested:
    """Believe a bundle that says "good"; that others are not believed is shown in test_attestation.py."""
    if {"good": sha256} not in bundles:
        raise RefusedError("no attestation ties this file to its build", reason="not-attested")
    return Attested(build=build, sha256=sha256, commit="c" * 40, run="")
