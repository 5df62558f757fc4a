"""The application that the demo releases: yt-dlp, a real program that people update every few days.

Two consecutive versions come as wheels, pinned by hash and kept in the user's cache. A third one exists in
the demo only: the second with a launcher that ends before anything starts.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from zipfile import ZipFile

from keyturn.errors import EnvironmentFault, RefusedError

APP = "yt-dlp"

STARTS = '''\
#!/usr/bin/env python3
"""Starts the yt-dlp that lies beside this file."""

import sys
from pathlib import Path

sys.dont_write_bytecode = True  # the installed tree stays as it was signed
sys.path.insert(0, str(Path(__file__).resolve().parent / "lib"))

from yt_dlp import main

main()
'''
FAILS = '''\
#!/usr/bin/env python3
"""A launcher as it should not be: it ends before yt-dlp starts."""

raise SystemExit("yt-dlp: this build does not start")
'''
FAILED = 1
"""Exit code of that."""
STOLEN = '''\
#!/usr/bin/env python3
"""What an attacker would like to run on other people's computers."""

print("mallory was here")
'''


@dataclass(frozen=True, slots=True)
class Wheel:
    """A version of the application, pinned.

    Args:
        version: Version, as the package index knows it.
        sha256: SHA-256 of the wheel, lower hex.
    """

    version: str
    sha256: str

    @property
    def name(self) -> str:
        """The wheel's file name."""
        return f"yt_dlp-{self.version}-py3-none-any.whl"

    @property
    def requirement(self) -> str:
        """The one line of a requirements file that pip accepts this wheel by."""
        return f"yt-dlp=={self.version} --hash=sha256:{self.sha256}\n"


FIRST = Wheel("2026.10.21", "94a3a3e2c423129d0bbd2f1be000c4171fa1226c29e251c84aff868f2851c247")
SECOND = Wheel("2026.10.26", "a05c5b5d8562f7e8a62f5334348b406af4930d56d3a65f8021d14af0e22339ae")
BROKEN = f"{SECOND.version}.1"
"""Version of the release that does not start; no such version of yt-dlp exists anywhere else."""
NEXT = f"{SECOND.version}.2"
EVIL = f"{SECOND.version}.3"
"""Versions that attacks are about."""


DOWNLOAD = ("download", "--no-deps", "--require-hashes", "--only-binary", ":all:")
"""How pip is asked for the wheels."""


def fetch(wheel: Wheel, cache: Path) -> Path:
    """A wheel from the cache, or else from wherever the user's pip finds packages.

    Args:
        wheel: The wheel.
        cache: Directory that keeps wheels between runs.

    Returns:
        The file, whose hash has been compared.

    Raises:
        EnvironmentFault: It is not in the cache and cannot be downloaded (reason ``no-wheel``).
    """
    kept = cache / wheel.name
    if _is(kept, wheel):
        return kept
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as scratch:
            _download(wheel, Path(scratch)).replace(kept)
    except OSError as error:
        raise EnvironmentFault(
            f"cannot be written: {error.strerror}", where=str(error.filename or cache), reason="disk"
        ) from error
    return kept


def build(wheel: Path, launcher: str, bundle: Path) -> None:
    """Make a bundle as a build would: the package in ``lib/``, and a launcher named like the app.

    Args:
        wheel: A wheel that :func:`fetch` gave.
        launcher: Text of the launcher.
        bundle: The directory to make.

    Raises:
        RefusedError: The wheel holds a path that leads out of the bundle (reason ``unsafe-wheel``).
    """
    library = bundle / "lib"
    library.mkdir(parents=True)
    with ZipFile(wheel) as archive:
        for member in archive.infolist():
            path = PurePosixPath(member.filename)
            if member.is_dir() or path.parts[0].endswith(".data"):
                continue  # manual pages and shell completions are for an installation by pip
            if path.is_absolute() or ".." in path.parts or "\\" in member.filename:
                raise RefusedError("leads out of the bundle", where=member.filename, reason="unsafe-wheel")
            file = library / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(archive.read(member))
    write_launcher(launcher, bundle)


def write_launcher(launcher: str, bundle: Path) -> None:
    """Put a launcher into a bundle, in the place of the one that is there.

    Args:
        launcher: Its text.
        bundle: The bundle's directory.
    """
    file = bundle / APP
    file.write_text(launcher, encoding="utf-8")
    file.chmod(0o755)


def _is(file: Path, wheel: Wheel) -> bool:
    try:
        data = file.read_bytes()
    except OSError:
        return False
    return hashlib.sha256(data).hexdigest() == wheel.sha256


def _download(wheel: Wheel, scratch: Path) -> Path:
    requirements = scratch / "requirements.txt"
    requirements.write_text(wheel.requirement, encoding="ascii")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "--quiet", *DOWNLOAD]
    command = [*pip, "--dest", str(scratch), "--requirement", str(requirements)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=dict(os.environ))
    file = scratch / wheel.name
    if done.returncode or not _is(file, wheel):
        said = done.stderr.strip().splitlines()
        raise EnvironmentFault(
            f"the demo's app cannot be downloaded: {said[-1] if said else 'pip brought another file'}",
            where=f"{APP} {wheel.version}",
            todo=f"Go online once; from then on the demo needs no network. Or put {wheel.name} "
            f"(sha256 {wheel.sha256}) into {scratch.parent} yourself.",
            reason="no-wheel",
        )
    return file
