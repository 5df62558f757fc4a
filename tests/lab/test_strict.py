"""The strict runner of composite actions, and that our own actions live with it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from lab.ourselves import ROOT
from lab.strict import StrictError, run_strictly

pytestmark = [pytest.mark.lab, pytest.mark.slow]
ACTIONS = [ROOT, *sorted(path.parent for path in (ROOT / "action").glob("*/action.yml"))]
# In the place of Python and of everything behind it: tells what it was called with.
TELLS = """\
#!/bin/sh
env | sort >> "$SEEN"
[ -z "$GITHUB_OUTPUT" ] || echo "python=$0" >> "$GITHUB_OUTPUT"
"""

ACTION = """\
name: Tiny
description: For this test
inputs:
  who: {description: Somebody, required: true}
  token: {description: A token, default: "${{ github.token }}"}
outputs:
  said: {description: What was said, value: "${{ steps.say.outputs.said }}"}
runs:
  using: composite
  steps:
    - id: say
      shell: bash
      env: {WHO: "${{ inputs.who }}", TOKEN: "${{ inputs.token }}"}
      run: |
        env
        echo "said=hi $WHO" >> "$GITHUB_OUTPUT"
        echo "inner=1" >> "$GITHUB_OUTPUT"
    - {if: "inputs.who == 'nobody'", shell: bash, run: exit 3}
    - {if: failure(), shell: bash, run: 'echo "it failed" >> "$GITHUB_STEP_SUMMARY"'}
"""


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    folder = tmp_path / "tiny"
    folder.mkdir()
    (folder / "action.yml").write_text(ACTION)
    return folder


def test_2_a_step_of_a_composite_action_sees_neither_inputs_nor_token(tiny: Path, tmp_path: Path) -> None:
    done = run_strictly(tiny, tmp_path, {"who": "bob"})
    assert done.outputs == {"said": "hi bob"}
    printed = done.log[0]["stdout"].splitlines()
    assert "WHO=bob" in printed
    assert "TOKEN=a-token" in printed
    assert not [line for line in printed if line.startswith(("INPUT_", "GITHUB_TOKEN="))]


def test_a_failed_step_fails_the_action_after_those_that_look_at_failure(tiny: Path, tmp_path: Path) -> None:
    done = run_strictly(tiny, tmp_path, {"who": "nobody"})
    assert done.conclusion == "failure"
    assert done.summary == "it failed\n"


def test_an_input_that_is_not_declared_and_one_that_is_missing_are_refused(
    tiny: Path, tmp_path: Path
) -> None:
    with pytest.raises(StrictError, match="unexpected inputs: whom"):
        run_strictly(tiny, tmp_path, {"who": "bob", "whom": "bob"})
    with pytest.raises(StrictError, match="required input is missing: who"):
        run_strictly(tiny, tmp_path)


@pytest.mark.parametrize("action", ACTIONS, ids=lambda path: path.name if path != ROOT else "root")
def test_every_action_of_ours_hands_its_inputs_on_by_itself(action: Path, tmp_path: Path) -> None:
    """In the place of its scripts is one that notes its environment; every input must be in that."""
    if not (action / "action.yml").exists():
        pytest.skip("there is no action yet")
    copy = tmp_path / "keyturn"
    place = copy / action.relative_to(ROOT)
    place.mkdir(parents=True)
    (place / "action.yml").write_bytes((action / "action.yml").read_bytes())
    (copy / "scripts").mkdir(exist_ok=True)
    bootstrap = copy / "scripts" / "bootstrap"
    bootstrap.write_text(TELLS)
    bootstrap.chmod(0o755)
    seen = tmp_path / "seen"
    declared = yaml.safe_load((action / "action.yml").read_text())["inputs"]
    given = {name: "given" for name, about in declared.items() if about.get("required")}
    done = run_strictly(place, tmp_path, given, env={"SEEN": str(seen)})
    assert done.conclusion == "success", done.log
    variables = dict(line.split("=", 1) for line in seen.read_text().splitlines() if "=" in line)
    assert not [name for name in variables if name.startswith("INPUT_") or name == "GITHUB_TOKEN"]
    passed = {
        f"KEYTURN_INPUT_{name.upper().replace('-', '_')}" for name in declared.keys() - {"token", "command"}
    }
    assert passed <= variables.keys()
    assert variables["KEYTURN_TOKEN"] == "a-token"
