"""Every action says exactly what its script reads and writes, and hands over nothing by other ways."""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from keyturn.actions import EVENT_OUTPUTS
from keyturn.actions.environment import variable_of
from keyturn.actions.run import ALWAYS

PROJECT = Path(__file__).parents[2]
COMMANDS = sorted(path.stem for path in (PROJECT / "scripts").glob("*.py"))
NOT_PYTHON = {"KEYTURN_PYTHON", "KEYTURN_TOKEN", "KEYTURN_COMMAND"}


def action_of(command: str) -> dict[str, Any]:
    path = PROJECT / "action" / command / "action.yml" if command else PROJECT / "action.yml"
    read: dict[str, Any] = yaml.safe_load(path.read_text())
    return read


def script_of(command: str) -> ModuleType:
    name = f"keyturn_script_{command.replace('-', '_')}"
    spec = importlib.util.spec_from_file_location(name, PROJECT / "scripts" / f"{command}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def test_every_action_has_its_script_and_every_script_its_action() -> None:
    actions = sorted(path.parent.name for path in (PROJECT / "action").glob("*/action.yml"))
    assert actions == COMMANDS


@pytest.mark.parametrize("command", COMMANDS)
def test_an_action_declares_the_inputs_that_its_script_reads(command: str) -> None:
    declared = action_of(command)["inputs"]
    read = {given.name: given for given in script_of(command).INPUTS}
    assert set(declared) == {*read, "token"}
    for name, given in read.items():
        assert declared[name].get("default", "") == given.default, name
        assert declared[name].get("required", False) == given.required, name


@pytest.mark.parametrize("command", COMMANDS)
def test_an_action_declares_the_outputs_that_its_script_writes(command: str) -> None:
    declared = action_of(command)["outputs"]
    assert set(declared) == {*ALWAYS, *script_of(command).OUTPUTS}
    for name, output in declared.items():
        assert output["value"] == f"${{{{ steps.run.outputs.{name} }}}}"


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_every_input_and_output_is_described(command: str) -> None:
    action = action_of(command)
    assert action["description"].strip().endswith(".")
    for place in ("inputs", "outputs"):
        for name, field in action[place].items():
            assert len(field["description"].strip()) > 15, name


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_inputs_reach_the_script_by_its_environment_alone(command: str) -> None:
    action = action_of(command)
    setup, run = action["runs"]["steps"]
    wanted = {variable_of(name): name for name in action["inputs"] if name not in ("token", "command")}
    wanted |= {"KEYTURN_TOKEN": "token"} | ({} if command else {"KEYTURN_COMMAND": "command"})
    assert run["env"] == {
        "KEYTURN_PYTHON": "${{ steps.python.outputs.python }}",
        **{variable: f"${{{{ inputs.{name} }}}}" for variable, name in wanted.items()},
    }
    for step in (setup, run):
        assert step["shell"] == "bash"
        assert "${{" not in step["run"]
        assert "uses" not in step


@pytest.mark.parametrize("command", COMMANDS)
def test_an_action_runs_its_own_script(command: str) -> None:
    setup, run = action_of(command)["runs"]["steps"]
    kms = ' "${KEYTURN_INPUT_KMS}"' if command == "publish" else ""
    assert setup["run"] == f'"${{GITHUB_ACTION_PATH}}/../../scripts/bootstrap" {command}{kms}'
    assert setup.get("env", {}) == ({"KEYTURN_INPUT_KMS": "${{ inputs.kms }}"} if kms else {})
    assert run["run"].endswith(f'"${{GITHUB_ACTION_PATH}}/../../scripts/{command}.py"')


def test_the_root_action_takes_the_inputs_of_every_command_and_gives_all_their_outputs() -> None:
    action = action_of("")
    inputs = {given.name for command in COMMANDS for given in script_of(command).INPUTS}
    outputs = {name for command in COMMANDS for name in script_of(command).OUTPUTS}
    assert set(action["inputs"]) == {*inputs, "token", "command"}
    assert set(action["outputs"]) == {*outputs, *ALWAYS}
    assert action["inputs"]["command"]["default"] == "release"
    named = re.findall(r"[a-z-]+", action["inputs"]["command"]["description"].partition(":")[2])
    assert set(COMMANDS) == set(named) - {"or"}


@pytest.mark.parametrize("command", COMMANDS)
def test_where_the_root_action_has_a_default_it_is_that_of_the_command(command: str) -> None:
    root = action_of("")["inputs"]
    for given in script_of(command).INPUTS:
        assert root[given.name].get("default", "") in ("", given.default)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_script_sets_every_output_that_it_declares_and_no_other(command: str) -> None:
    script = script_of(command)
    assert names_set_by(PROJECT / "scripts" / f"{command}.py") == {"state", *script.OUTPUTS}


def names_set_by(file: Path) -> set[str]:
    """The outputs that the calls of ``outputs.set`` in a script name."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "outputs.set":
            for keyword in node.keywords:
                names |= {keyword.arg.replace("_", "-")} if keyword.arg else set(EVENT_OUTPUTS)
    return names - {"reason"}
