"""The demo: found, co-sign, publish, update, go back, and be attacked, all on one machine.

Nothing here signs or writes metadata. Every step is a process of the installed ``keyturn`` with a home of
its own (``world``); the story only says who does what next, and looks at what came of it.
"""

from __future__ import annotations

import shutil
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

import platformdirs

from keyturn.demo import app
from keyturn.demo.app import APP, BROKEN, FIRST, SECOND
from keyturn.demo.attacks import ATTACKS, Ending, Outcome, attack
from keyturn.demo.page import Out, Page
from keyturn.demo.server import serve
from keyturn.demo.world import NAME, Done, Launcher, Person, World, installed
from keyturn.errors import ExitCode, RefusedError, UsageError

AGO = timedelta(days=4)
"""How long ago the repository was founded: longer than a timestamp lasts."""


class Unexpected(RefusedError):
    """A step did not go as the story has it."""

    default_reason = "demo"


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """What a person may choose.

    Args:
        keep: Directory for everything, new or empty; a new temporary one if None.
        serve: Port on which the site is served at the end, until interrupted; None not to.
        cache: Directory that keeps the app's wheels; the user's own cache if None.
    """

    keep: Path | None = None
    serve: int | None = None
    cache: Path | None = None


def run(
    options: DemoOptions, out: Out, *, launcher: Launcher = installed, now: datetime | None = None
) -> ExitCode:
    """Play all of it.

    Args:
        options: What the person chose.
        out: Prints one line.
        launcher: How each person starts Keyturn.
        now: The time, UTC.

    Returns:
        ``DONE`` if every step went as told and every attack was refused for the reason named, else
        ``INVALID``.

    Raises:
        Unexpected: A step of the story failed.
        UsageError: ``keep`` holds something already.
        EnvironmentFault: Git, the network or the disk is in the way.
    """
    base = _directory(options.keep)
    page = Page(out, base)
    world = World(base, launcher)
    before = time.monotonic()
    page.text(
        "Two people found an update repository, release a real app from it, and are attacked.",
        "Every step is a process of the installed keyturn, in a home of its own; the people share",
        f"nothing but the git remote and the URL. In commands, … is {base}",
        "and digests are cut to 8 digits; whoever signs compares all 64.",
    )
    world.site.mkdir(parents=True)
    with serve(world.site, options.serve or 0) as url:
        story = Story(world, page, url, now or datetime.now(timezone.utc))
        story.build(options.cache or Path(platformdirs.user_cache_dir("keyturn", appauthor=False)) / "demo")
        story.found()
        story.first()
        story.second()
        story.broken()
        outcomes = _attacks(world, page)
        code = _close(world, page, outcomes, time.monotonic() - before)
        if options.serve is not None:
            page.text("", f"Serving the site at {url} until Ctrl-C.")
            _until_interrupted()
    return code


class Story:
    """The first three acts.

    Args:
        world: Everything on disk.
        page: Where it is told.
        url: Where the site is served.
        now: The time, UTC.
    """

    def __init__(self, world: World, page: Page, url: str, now: datetime) -> None:
        self._world = world
        self._page = page
        self._url = url
        self._then = f"{now - AGO:%Y-%m-%dT%H:%M:%SZ}"
        self._at: tuple[str, ...] = ()
        self._alice = world.alice()
        self._bob = world.person("bob")
        self._carol = world.person("carol")

    def build(self, cache: Path) -> None:
        """Make the app's bundles, as alice's build would."""
        builds = self._alice.home / "builds"
        for wheel in (FIRST, SECOND):
            before = time.monotonic()
            file, kept = app.fetch(wheel, cache)
            app.build(file, app.STARTS, builds / f"{APP}-{wheel.version}")
            ...
        broken = builds / f"{APP}-{BROKEN}"
        shutil.copytree(builds / f"{APP}-{SECOND.version}", broken)
        app.write_launcher(app.FAILS, broken)
