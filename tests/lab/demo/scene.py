"""The demo's world, with the lab's GitHub in the place of a git remote and a directory."""

from __future__ import annotations

import base64
import shutil
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from keyturn.demo.app import APP
from keyturn.demo.world import NAME, Launcher, World, installed
from lab.lab import Lab
from lab.ourselves import publish_ourselves

SLUG = f"alice/{NAME}"
APP_SLUG = f"alice/{APP}"
PEOPLE = ("alice", "bob", "mallory")


class LabWorld(World):
    """Everything on disk, and the lab.

    Args:
        base: The directory that holds it all.
        lab: The lab, running.
        now: The time that clients go by, UTC.
        launcher: How each person starts Keyturn.
    """

    def __init__(self, base: Path, lab: Lab, now: datetime, launcher: Launcher = installed) -> None:
        super().__init__(base, launcher)
        self.lab = lab
        self.now = now
        self.remote = base / "lab" / "forge" / f"{SLUG}.git"
        self.tokens = {login: lab.forge.user(login) for login in PEOPLE}
        self.commit = publish_ourselves(lab.forge)

    @property
    def address(self) -> str:
        """What people clone."""
        return f"{self.lab.forge.url}/{SLUG}"

    @property
    def url(self) -> str:
        """Where Pages serves the site."""
        return self.lab.pages.url(SLUG)

    @property
    def site(self) -> Path:
        """Where the site is written to, for copies and at the end."""
        return self.base / "site"

    @property
    def online_key(self) -> Path:
        """The file that the online key comes from."""
        return self.base / "homes" / "alice" / "online.pem"

    def secrets(self, name: str) -> Mapping[str, str]:
        """Access to the emulated GitHub, as git and ``gh`` keep it."""
        given = dict(super().secrets(name))
        if name in self.tokens:
            server = self.lab.forge.url
            basic = base64.b64encode(f"{name}:{self.tokens[name]}".encode()).decode()
            given |= {
                "GH_HOST": server.removeprefix("http://"),
                "GH_TOKEN": self.tokens[name],
                "GIT_CONFIG_COUNT": "1",
                "GIT_CONFIG_KEY_0": f"http.{server}/.extraHeader",
                "GIT_CONFIG_VALUE_0": f"Authorization: Basic {basic}",
            }
        return given

    def write_site(self) -> None:
        """Write what Pages serves into a directory."""
        shutil.rmtree(self.site, ignore_errors=True)
        self.site.mkdir(parents=True)
        deployed = self.lab.pages.sites.get(SLUG.lower())
        for path, data in (deployed.files if deployed else {}).items():
            file = self.site / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)

    def keep_copy(self, name: str) -> None:
        """Keep the site as it is now."""
        self.write_site()
        super().keep_copy(name)
