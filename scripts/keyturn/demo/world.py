"""The demo's world on disk: people with homes of their own, one git remote, one site.

================================  ===================================================================
``acme-updates.git``              the git remote that everybody knows
``homes/<name>/``                 a person's home: their keys, their clone, what their programs keep
``homes/publisher/site/``         the site, as it is served
``homes/alice/builds/``           the app's versions as alice built them
``root.json``                     root 1, as it comes with the app
``copies/<name>/``                the site as it was at a moment
``attacks/<name>/``               everything that one attack needs of its own
================================  ===================================================================

People share nothing but the remote and the URL. Whatever is done by Keyturn is done by a process of the
installed program, started here with an environment that holds the person's own secrets and little else.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from keyturn.demo.app import APP
from keyturn.errors import EnvironmentFault

PATIENCE = 300
"""Seconds after which a process that should take one is given up."""
NAME = "acme-updates"
BUILDS = "builds"
ROOT = "KEYTURN_ROOT"
"""The variable by which a machine without a person is told what it may trust."""
PASSPHRASE = {"KEYTURN_PASSPHRASE": "three goats on a wall"}
"""What alice types when her key is opened."""
_KEPT = ("LANG", "LC_ALL", "TMPDIR", "SYSTEMROOT")

Launcher = Callable[[str], Sequence[str]]
"""The command by which a person, given by name, starts ``keyturn``."""


def installed(_person: str) -> Sequence[str]:
    """The ``keyturn`` that is installed beside this Python, for everybody alike."""
    script = Path(sys.executable).with_name("keyturn")
    return [str(script)] if script.is_file() else [sys.executable, "-m", "keyturn"]


def client(url: str = "") -> tuple[str, ...]:
    """What stands before the action when a person plays the app's own updater.

    Args:
        url: The site, for actions that need one.
    """
    online = ("--root", "root.json", "--url", url) if url else ()
    return ("client", *online, "--app", APP, "--dir", "app")


@dataclass(frozen=True, slots=True)
class Done:
    """A process that has ended.

    Args:
        shown: The command as the person typed it.
        code: Its exit code.
        out: What it wrote to standard output.
        err: What it wrote to standard error.
        seconds: How long it took.
    """

    shown: tuple[str, ...]
    code: int
    out: str
    err: str
    seconds: float

    @property
    def document(self) -> Mapping[str, Any]:
        """What a process that was called with ``--json`` said."""
        try:
            read = json.loads(self.out)
        except ValueError:
            return {}
        return read if isinstance(read, dict) else {}

    @property
    def reason(self) -> str:
        """The reason for which it refused; empty if it did not."""
        return str(self.error.get("reason", ""))

    @property
    def error(self) -> Mapping[str, Any]:
        """The error in the document."""
        error = self.document.get("error")
        return error if isinstance(error, dict) else {}

    @property
    def lines(self) -> tuple[str, ...]:
        """What it said, line by line."""
        return tuple(line.strip() for line in (self.err + self.out).splitlines() if line.strip())


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with a home.

    Args:
        name: Their name.
        home: Their home directory.
        keyturn: How they start Keyturn.
        secrets: What their environment holds besides.
    """

    name: str
    home: Path
    keyturn: tuple[str, ...]
    secrets: Mapping[str, str] = field(default_factory=dict)

    @property
    def clone(self) -> Path:
        """Their clone of the remote, if they have one."""
        return self.home / NAME

    def with_secrets(self, **secrets: str) -> Person:
        """The same person, with more in the environment."""
        return replace(self, secrets={**self.secrets, **secrets})

    def with_keyturn(self, *command: str) -> Person:
        """The same person, who starts another Keyturn."""
        return replace(self, keyturn=command)

    def run(self, *words: str, hidden: Sequence[str] = ()) -> Done:
        """Start Keyturn in the clone, or at home without one.

        Args:
            words: What the person types behind ``keyturn``.
            hidden: Options in front of that which are not shown each time.
        """
        return self._start([*self.keyturn, *hidden, *words], ("keyturn", *words))

    def git(self, *words: str) -> Done:
        """Start plain git.

        Raises:
            EnvironmentFault: Git fails.
        """
        done = self._start(["git", *words], ("git", *words))
        if done.code:
            raise EnvironmentFault(f"git {words[0]} fails: {done.err.strip()}", where=str(self.home))
        return done

    def _start(self, command: Sequence[str], shown: tuple[str, ...]) -> Done:
        where = self.clone if self.clone.is_dir() else self.home
        before = time.monotonic()
        try:
            ended = subprocess.run(
                command,
                cwd=where,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                timeout=PATIENCE,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise EnvironmentFault(f"cannot be run: {error}", where=" ".join(shown)) from error
        seconds = time.monotonic() - before
        return Done(shown, ended.returncode, ended.stdout, ended.stderr, seconds)

    def _environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        # The app's launcher asks for python3: the one that runs the demo is known to be new enough.
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
        return {"LANG": "C.UTF-8", **kept, "PATH": path, "HOME": str(self.home), **self.secrets}


class World:
    """Everything on disk.

    Args:
        base: The directory that holds it all.
        launcher: How each person starts Keyturn.
        arenas: Where attacks are played; in ``attacks`` below the base by default.
    """

    def __init__(self, base: Path, launcher: Launcher = installed, *, arenas: Path | None = None) -> None:
        self.base = base
        self.remote = base / f"{NAME}.git"
        self._launcher = launcher
        self._arenas = arenas or base / "attacks"

    @property
    def address(self) -> str:
        """What people clone."""
        return str(self.remote)

    @property
    def site(self) -> Path:
        """The site's directory, as the publisher made it."""
        return self.base / "homes" / "publisher" / "site"

    @property
    def online_key(self) -> Path:
        """The file that the online key comes from."""
        return self.base / "homes" / "publisher" / "online.pem"

    @property
    def embedded_root(self) -> Path:
        """Root 1, as it comes with the app."""
        return self.base / "root.json"

    def person(self, name: str, home: Path | None = None) -> Person:
        """Somebody, with a home that is made if need be.

        Args:
            name: Their name.
            home: Their home directory, where it is not the usual one.
        """
        home = home or self.base / "homes" / name
        if not home.is_dir():
            home.mkdir(parents=True)
            person = Person(name, home, ())
            person.git("config", "--global", "user.name", name)
            person.git("config", "--global", "user.email", f"{name}@example.org")
        return Person(name, home, tuple(self._launcher(name)), self.secrets(name))

    def secrets(self, name: str) -> Mapping[str, str]:
        """What a person's environment holds from the beginning."""
        return PASSPHRASE if name == "alice" else {}

    def double(self, name: str, arena: Path) -> Person:
        """A person as they are now, with a copy of their home, so that an attack leaves no trace on them.

        Args:
            name: Their name.
            arena: The directory that gets the copy.
        """
        shutil.copytree(
            self.base / "homes" / name, arena / name, symlinks=True, ignore=shutil.ignore_patterns(BUILDS)
        )
        return self.person(name, arena / name)

    def copy(self, name: str) -> Path:
        """Where the copy of the site of this name lies."""
        return self.base / "copies" / name

    def keep_copy(self, name: str) -> None:
        """Keep the site as it is now."""
        shutil.copytree(self.site, self.copy(name))

    def arena(self, attack: str) -> Path:
        """A fresh directory for one attack."""
        directory = self._arenas / attack
        directory.mkdir(parents=True)
        return directory
