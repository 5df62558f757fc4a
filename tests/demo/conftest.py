from __future__ import annotations

import fcntl
import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from keyturn.demo.world import installed


@dataclass(frozen=True)
class Shown:
    """A demo that has been played, as a person saw it through a pipe."""

    base: Path
    code: int
    out: str
    err: str


@pytest.fixture(scope="session")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Shown:
    """One demo for all tests, also of all workers: it takes most of a minute."""
    own = tmp_path_factory.getbasetemp()
    shared = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    kept = shared / "demo.json"
    with (shared / "demo.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            base = shared / "demo"
            done = subprocess.run(
                [*installed(""), "demo", "--plain", "--keep", str(base)],
                capture_output=True,
                encoding="utf-8",
                timeout=600,
                check=False,
            )
            kept.write_text(json.dumps([str(base), done.returncode, done.stdout, done.stderr]))
    base, code, out, err = json.loads(kept.read_text())
    return Shown(Path(base), code, out, err)
