"""What happens on the computer of somebody who uses the app; the same wherever the site comes from."""

from __future__ import annotations

import shutil

from keyturn.demo import app
from keyturn.demo.steps import Part, Steps, Unexpected
from keyturn.demo.world import Done, Person, World, client


class Updating:
    """A person whose app updates itself.

    Args:
        world: Everything on disk.
        steps: Runs and tells what people do.
        person: Who.
        url: Where the site is served.
    """

    def __init__(self, world: World, steps: Steps, person: Person, url: str) -> None:
        self._world = world
        self._steps = steps
        self._person = person
        self._url = url

    def embed_root(self, founder: Person) -> None:
        """Root 1 as the app's users get it: with the app, from a founder's clone, and never from the site."""
        pulled = founder.git("pull", "--quiet", "origin", "main")
        root = "metadata/root_history/1.root.json"
        shutil.copy(founder.clone / root, self._world.embedded_root)
        shutil.copy(self._world.embedded_root, self._person.home / "root.json")
        gives = f"gives {self._person.name} root 1 along with the app, not through the site"
        self._steps.tell(founder, gives, Part(pulled))
        self._steps.page.command(["cp", root, str(self._person.home / "root.json")])

    def check(self) -> None:
        """Ask what is new."""
        found = self._steps.run(self._person, *client(self._url), "check")
        self._steps.tell(self._person, "asks what is new", Part(found, found.lines))

    def install(self) -> None:
        """Install the newest release."""
        done = self._steps.run(self._person, *client(self._url), "install")
        self._steps.tell(self._person, "installs the newest", Part(done, done.lines))

    def launch(self, version: str) -> None:
        """Start the app, which must say this version, and confirm that it works."""
        ran = self._steps.run(self._person, *client(), "launch", "--", "--version")
        require(ran, version)
        confirmed = self._steps.run(self._person, *client(), "confirm")
        self._steps.tell(
            self._person,
            "runs it, and confirms that it works",
            Part(ran, ran.lines),
            Part(confirmed, confirmed.lines),
        )

    def go_back(self, version: str) -> None:
        """Start an app that does not start, and be back at this version the next time."""
        fails = self._steps.run(self._person, *client(), "launch", "--", "--version", expect=app.FAILED)
        self._steps.tell(self._person, "starts it, in vain", Part(fails, fails.lines, "warn"))
        back = self._steps.run(self._person, *client(), "launch", "--", "--version")
        require(back, version)
        self._steps.tell(
            self._person, "starts the app again: the client goes back by itself", Part(back, back.lines)
        )


def require(done: Done, said: str) -> None:
    """Insist on what a process said.

    Raises:
        Unexpected: It does not say this.
    """
    if said not in done.out:
        raise Unexpected(
            f"the story needs {said!r} in what it says: {done.out!r}", where=" ".join(done.shown)
        )
