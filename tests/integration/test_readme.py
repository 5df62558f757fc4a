"""The README is run: each console line as alice or bob would type it, and the Python example."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from keyturn import trial

pytestmark = [pytest.mark.slow, pytest.mark.lab]
README = Path(__file__).parents[2] / "README.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.M | re.S)


def blocks(language: str) -> list[str]:
    return [text for kind, text in BLOCK.findall(README.read_text(encoding="utf-8")) if kind == language]


class Terminal:
    """Somebody at a terminal, in their own clone; what is asked there is answered with yes."""

    def __init__(self, base: Path, name: str) -> None:
        self.home = base / f"home-{name}"
        self.clone = base / name
        self.home.mkdir()
        subprocess.run(["git", "clone", "--quiet", base / "updates.git", self.clone], check=True)
        self.exports: list[str] = []
        bin_directory = Path(sys.executable).parent
        self.environment = {
            **{name: value for name, value in os.environ.items() if name.startswith("COVERAGE_")},
            "HOME": str(self.home),
            "PATH": f"{bin_directory}:{os.environ['PATH']}",
            "KEYTURN_PASSPHRASE": f"{name} likes horses",
            "LANG": "C.UTF-8",
        }

    def type(self, line: str) -> str:
        if line.startswith("export "):
            self.exports.append(line)
            return ""
        mine, theirs = pty.openpty()
        command = "; ".join([*self.exports, line])
        with subprocess.Popen(
            ["bash", "-c", command], cwd=self.clone, env=self.environment,
            stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
        ) as process:  # fmt: skip
            os.close(theirs)
            os.write(mine, b"y\n")
            said = "".join(self._read(mine))
        os.close(mine)
        pending = line.startswith("keyturn status") and process.returncode == 1
        assert process.returncode == 0 or pending, f"{line}\n{said}"
        return said

    @staticmethod
    def _read(terminal: int) -> Iterator[str]:
        """What is said until the last process has left the terminal, which Linux tells by an error."""
        with contextlib.suppress(OSError):
            while data := os.read(terminal, 4096):
                yield data.decode("utf-8", "replace")


def test_the_readme_by_hand_works_line_by_line(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet", "--bare", tmp_path / "updates.git"], check=True)
    people = {name: Terminal(tmp_path, name) for name in ("alice", "bob")}
    bundle = people["alice"].clone / "hello-1.0"
    bundle.mkdir()
    (bundle / "hello").write_text("#!/bin/sh\necho hello from $KEYTURN_APP_VERSION\n")
    (bundle / "hello").chmod(stat.S_IRWXU)
    lines = [line for block in blocks("console") for line in block.splitlines()]
    assert len(lines) > 15
    for line in lines:
        who, _, command = line.partition("$ ")
        if not command.startswith("pip install"):
            people[who or "alice"].type(command)
    site = people["alice"].clone / "site"
    assert (site / "metadata/timestamp.json").is_file()
    example(tmp_path, site)


def example(tmp_path: Path, site: Path) -> None:
    """The Python example of the README against the site just published."""
    (program,) = blocks("python")
    (tmp_path / "root.json").write_bytes((site / "metadata/1.root.json").read_bytes())
    script = tmp_path / "updater.py"
    with trial.serve_directory(site) as url:
        script.write_text(program.replace("http://127.0.0.1:8000/", url))
        run = subprocess.run(
            [sys.executable, script],
            env={**os.environ, "HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "hello from 1.0" in run.stdout
    assert run.stderr == ""


def test_the_example_is_short_enough_to_be_read() -> None:
    (program,) = blocks("python")
    assert len(program.splitlines()) <= 24
