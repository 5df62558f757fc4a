"""What can be said of our actions and workflows without running them; true of every file that there is."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.actions.act import ACT, PATH
from lab.actions.node import HOOKS
from lab.ourselves import NAME, OWNER, ROOT

pytestmark = [pytest.mark.lab, pytest.mark.slow]

ACTIONS = [path for path in (ROOT / "action.yml", *sorted(ROOT.glob("action/*/action.yml"))) if path.exists()]
WORKFLOWS = sorted(ROOT.glob("workflows/*.yml"))
FILES = [*ACTIONS, *WORKFLOWS]
# Both begin in the default branch with a token that may write, on what somebody else pushed or posted.
DANGEROUS = {"pull_request_target", "workflow_run"}
MAY_BE_WOKEN_SO = {"keyturn-signing-event.yml": "pull_request_target", "keyturn-collect.yml": "workflow_run"}
# How a job could get at what somebody pushed.
OF_THE_HEAD = re.compile(r"head_ref|head_sha|head_branch|head\.(?:sha|ref|repo)|refs/pull/|merge_commit_sha")

every_file = pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
every_workflow = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)


@dataclass(frozen=True)
class Step:
    """A step and what it is part of."""

    raw: dict[str, Any]
    siblings: list[dict[str, Any]]
    job: dict[str, Any]

    @property
    def uses(self) -> str:
        return str(self.raw.get("uses", ""))


def load(path: Path) -> dict[str, Any]:
    # BaseLoader: every scalar is text, so that `on` stays a word.
    loaded = yaml.load(path.read_text(), Loader=yaml.BaseLoader)  # noqa: S506 - BaseLoader makes nothing but text
    assert isinstance(loaded, dict)
    return loaded


def steps(path: Path) -> Iterator[Step]:
    whole = load(path)
    for job in whole["jobs"].values() if "jobs" in whole else [whole["runs"]]:
        for step in job["steps"]:
            yield Step(step, job["steps"], job)


def events(path: Path) -> set[str]:
    on = load(path)["on"]
    return {on} if isinstance(on, str) else set(on)


def our_action(uses: str) -> dict[str, Any] | None:
    """The action.yml that a `uses:` of ours means."""
    action, _, _ = uses.partition("@")
    if not action.startswith(f"{OWNER}/{NAME}"):
        return None
    return load(ROOT / action.removeprefix(f"{OWNER}/{NAME}").strip("/") / "action.yml")


def test_githubs_language_service_finds_nothing() -> None:
    script = HOOKS.with_name("language.mjs")
    done = subprocess.run(
        ["node", "--import", HOOKS.as_uri(), str(script), *map(str, FILES)], capture_output=True, check=True
    )
    assert json.loads(done.stdout) == []


@every_workflow
def test_act_takes_the_file_for_a_workflow(path: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [str(ACT), "--validate", "--strict", "-W", str(path)],
        capture_output=True,
        text=True,
        env={"PATH": PATH, "HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)},
        check=False,
    )
    assert done.returncode == 0, done.stderr


@every_file
def test_shellcheck_is_content_with_every_script(path: Path, tmp_path: Path) -> None:
    scripts = []
    for number, step in enumerate(steps(path)):
        if "run" in step.raw and step.raw.get("shell", "bash") == "bash":
            file = tmp_path / f"step-{number}.bash"
            file.write_text(step.raw["run"])
            scripts.append(str(file))
    if scripts:
        done = subprocess.run(
            ["shellcheck", "--shell=bash", "--enable=require-variable-braces", *scripts],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout


@every_file
def test_no_expression_is_pasted_into_a_script(path: Path) -> None:
    assert not [step.raw["run"] for step in steps(path) if "${{" in step.raw.get("run", "")]


@every_workflow
def test_nothing_is_permitted_but_job_by_job(path: Path) -> None:
    workflow = load(path)
    assert workflow["permissions"] == {}
    for name, job in workflow["jobs"].items():
        assert "permissions" in job, f"job {name} does not say what it may do"
        assert isinstance(job["permissions"], dict), f"job {name} asks for everything"


@every_file
def test_what_others_wrote_is_pinned_by_commit_and_named_by_version(path: Path) -> None:
    for line in path.read_text().splitlines():
        if re.match(r"\s*(?:- )?uses:", line):
            assert re.search(r"uses: [\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$", line), line


@every_file
def test_actions_use_no_other_action(path: Path) -> None:
    if path in ACTIONS:
        assert not [step.uses for step in steps(path) if step.uses]


@every_workflow
def test_only_two_files_begin_on_what_a_stranger_did(path: Path) -> None:
    allowed = {MAY_BE_WOKEN_SO[path.name]} if path.name in MAY_BE_WOKEN_SO else set()
    assert events(path) & DANGEROUS <= allowed


@every_workflow
def test_what_begins_on_what_a_stranger_did_checks_nothing_out(path: Path) -> None:
    if not events(path) & DANGEROUS:
        return
    for step in steps(path):
        assert "checkout" not in step.uses
        assert our_action(step.uses) is not None, f"not an action of ours: {step.raw}"
        assert not OF_THE_HEAD.search(json.dumps(step.raw)), f"names what a stranger pushed: {step.raw}"


@every_file
def test_an_ignored_finding_says_why(path: Path) -> None:
    lines = path.read_text().splitlines()
    for number, line in enumerate(lines):
        ignored = re.search(r"# zizmor: ignore\[([\w-]+)\](.*)", line)
        if ignored:
            assert ignored[1] == "dangerous-triggers"
            assert path.name in MAY_BE_WOKEN_SO
            assert ignored[2].strip() or lines[number - 1].strip().startswith("#"), f"no reason: {line}"


@every_workflow
def test_inputs_and_outputs_that_are_named_are_declared(path: Path) -> None:
    """act lets a job read what a step inside of an action set; GitHub only what action.yml declares."""
    for step in steps(path):
        action = our_action(step.uses)
        if action is None:
            continue
        given = step.raw.get("with", {})
        assert given.keys() <= action["inputs"].keys()
        required = {name for name, about in action["inputs"].items() if about.get("required") == "true"}
        assert required <= given.keys()
        text = json.dumps(step.job)
        named = set(re.findall(rf"steps\.{re.escape(step.raw.get('id', '-'))}\.outputs\.([\w-]+)", text))
        assert named <= action["outputs"].keys()
