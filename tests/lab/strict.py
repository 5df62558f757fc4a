"""One action in the strict runner (composite.mjs), which gives steps only what GitHub gives them."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.actions.act import PATH
from lab.actions.node import HOOKS

_SCRIPT = Path(__file__).with_name("composite.mjs")


class StrictError(Exception):
    """The action is not one that GitHub would run as it was called here."""


@dataclass(frozen=True)
class Strict:
    """What a run of an action came to.

    Args:
        conclusion: ``success`` or ``failure``.
        outputs: The outputs that action.yml declares.
        steps: What each step came to and set, by id.
        summary: What the steps wrote to the summary.
        log: What each ``run`` step printed: ``step``, ``code``, ``stdout``, ``stderr``.
    """

    conclusion: str
    outputs: Mapping[str, str]
    steps: Mapping[str, Mapping[str, Any]]
    summary: str
    log: tuple[Mapping[str, Any], ...]


def run_strictly(
    action: Path,
    workspace: Path,
    inputs: Mapping[str, str] | None = None,
    *,
    github: Mapping[str, str] | None = None,
    runner: Mapping[str, str] | None = None,
    env: Mapping[str, str] | None = None,
) -> Strict:
    """Run a composite action.

    Args:
        action: Directory of its action.yml.
        workspace: Directory that it runs in.
        inputs: What ``with:`` gives; names that action.yml does not know are refused.
        github: The github context; ``token`` is in it and never in a step's environment.
        runner: The runner context.
        env: What the workflow's and the step's ``env:`` give.

    Raises:
        StrictError: action.yml or the call is wrong.
    """
    spec = {
        "action": str(action),
        "workspace": str(workspace),
        "inputs": dict(inputs or {}),
        "github": {"token": "a-token", **(github or {})},
        "runner": {"os": "Linux", **(runner or {})},
        "env": dict(env or {}),
        "host": {"PATH": PATH, "HOME": str(workspace), "LANG": "C.UTF-8"},
    }
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch, "spec.json")
        file.write_text(json.dumps(spec))
        done = subprocess.run(
            ["node", "--import", HOOKS.as_uri(), str(_SCRIPT), str(file)],
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        first = next((line for line in done.stderr.splitlines() if line.startswith("Error: ")), done.stderr)
        raise StrictError(first.removeprefix("Error: "))
    told = json.loads(done.stdout)
    return Strict(told["conclusion"], told["outputs"], told["steps"], told["summary"], tuple(told["log"]))
