"""The runners' tool cache with the environments of our actions already in it: jobs need no network."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from lab.actions.act import PATH
from lab.ourselves import ROOT

# Beside the environment of the tests: what makes that one anew throws this away too.
CACHE = ROOT / ".venv" / ".lab-tools"


def tool_cache(*commands: str, cache: Path = CACHE) -> Path:
    """Have the environments of some commands in a tool cache.

    The real ``scripts/bootstrap`` makes them, once for each content of the lock; later calls find them there.

    Args:
        commands: Commands whose environment is wanted, like ``publish``.
        cache: Where it is kept from one session to the next.
    """
    for command in commands:
        subprocess.run(
            [str(ROOT / "scripts" / "bootstrap"), command],
            check=True,
            stdout=subprocess.DEVNULL,
            env={**os.environ, "PATH": PATH, "RUNNER_TOOL_CACHE": str(cache), "GITHUB_OUTPUT": os.devnull},
        )
    return cache
