"""A workflow file as GitHub reads it, and the file for act that holds one job of it."""

# ruff: noqa: ANN401 - tokens and nodes of YAML

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

import yaml

from lab.actions.node import NODE
from lab.forge.access import SCOPES

# What GITHUB_TOKEN may do where a file says nothing; the default of repositories made today.
DEFAULT_PERMISSIONS = {"contents": "read", "packages": "read"}
_SEQUENCE, _MAPPING, _EXPRESSION = 1, 2, 3


class WorkflowError(Exception):
    """GitHub would refuse this file, or the lab does not model what it asks for."""


@dataclass(frozen=True)
class Expression:
    """Something in ``${{ }}``, not evaluated yet."""

    text: str


@dataclass(frozen=True)
class Job:
    """One job; ``condition`` is its ``if:``, always with a status function in it."""

    id: str
    needs: tuple[str, ...]
    condition: str
    permissions: Mapping[str, str]
    environment: Any = None
    outputs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Workflow:
    """One workflow file."""

    path: str
    content: str
    name: str
    events: Mapping[str, Any]
    concurrency: Any
    jobs: Mapping[str, Job]

    @property
    def file(self) -> str:
        return PurePosixPath(self.path).name


def plain(token: Any) -> Any:
    """The parser's tokens as Python values; expressions stay :class:`Expression`."""
    if not isinstance(token, dict):
        return token
    if token["type"] == _SEQUENCE:
        return [plain(item) for item in token.get("seq", ())]
    if token["type"] == _MAPPING:
        return {plain(pair["Key"]): plain(pair["Value"]) for pair in token.get("map", ())}
    if token["type"] == _EXPRESSION:
        return Expression(token["expr"])
    return token.get("lit")


def parse(path: str, content: str) -> Workflow:
    """Read a workflow file.

    Raises:
        WorkflowError: GitHub's parser finds errors, or a job needs what the lab does not have.
    """
    parsed = NODE.parse(content)
    if parsed["errors"]:
        first = [message.partition("\n")[0] for message in parsed["errors"][:3]]
        raise WorkflowError(f"{path}: " + "; ".join(first))
    whole = plain(parsed["workflow"])
    jobs = {}
    for known in parsed["jobs"]:
        raw = whole["jobs"][known["id"]]
        absent = {"services", "container", "uses", "concurrency"} & raw.keys()
        if absent:
            raise WorkflowError(f"{path}: job {known['id']}: not in the lab: {', '.join(sorted(absent))}")
        permissions = raw.get("permissions", whole.get("permissions", DEFAULT_PERMISSIONS))
        jobs[known["id"]] = Job(
            id=known["id"],
            needs=tuple(known["needs"]),
            condition=known["if"],
            permissions=scopes(permissions),
            environment=raw.get("environment"),
            outputs=raw.get("outputs", {}),
        )
    return Workflow(
        path, content, whole.get("name") or path, parsed["events"], whole.get("concurrency"), jobs
    )


def scopes(permissions: Any) -> dict[str, str]:
    """A ``permissions:`` block as scope to ``read`` or ``write``; what it does not name is none."""
    if isinstance(permissions, str):
        level = {"read-all": "read", "write-all": "write"}[permissions]
        return dict.fromkeys(SCOPES, level)
    return {name: level for name, level in (permissions or {}).items() if level != "none"}


@dataclass(frozen=True)
class Needed:
    """What became of a job that another one needs."""

    result: str
    outputs: Mapping[str, str] = field(default_factory=dict)


OUTPUTS_JOB = "lab-reads-outputs"


def single_job(workflow: Workflow, job: str, needed: Mapping[str, Needed]) -> str:
    """The workflow file for one run of act: the text of one job as it stands, the others replaced.

    act gives all jobs of a file the same token and secrets, so each job gets its own run of act. The text of
    the job, its steps above all, is cut out of the file by position and kept byte for byte, but for its keys
    ``if`` (decided already, by GitHub's evaluator) and ``needs``. A job that it needs is replaced by one that
    has the same name, result and outputs and does nothing. A last job prints the outputs, which act does not
    tell.
    """
    root = yaml.compose(workflow.content)
    assert isinstance(root, yaml.MappingNode)
    jobs = _value(root, "jobs")
    lines = workflow.content.splitlines(keepends=True)
    keep = [*range(len(lines))]
    keep = _without(keep, _rows(root, "jobs", lines))
    text = "".join(lines[row] for row in keep)
    if text and not text.endswith("\n"):
        text += "\n"

    body = _value(jobs, job)
    rows = [*_rows(jobs, job, lines)]
    for decided in ("if", "needs"):
        if any(key.value == decided for key, _ in body.value):
            rows = _without(rows, _rows(body, decided, lines))
    own = "".join(lines[row] for row in rows)
    if not own.endswith("\n"):
        own += "\n"
    indent = " " * jobs.value[0][0].start_mark.column
    inner = " " * body.value[0][0].start_mark.column
    head, rest = own.split("\n", 1)
    decided_keys = f"{inner}if: ${{{{ always() }}}}\n"
    if needed:
        decided_keys += f"{inner}needs: {json.dumps([*needed])}\n"
    parts = [text, "jobs:\n", head, "\n", decided_keys, rest]
    parts += [indent + _stand_in(name, outcome) for name, outcome in needed.items()]
    parts.append(
        f"{indent}{OUTPUTS_JOB}: {{needs: [{job}], if: '${{{{ always() }}}}', runs-on: ubuntu-latest, "
        f'steps: [{{shell: bash, run: \'printf "%s" "$NEEDS" > "$LAB_OUTPUTS_FILE"\', '
        f"env: {{NEEDS: '${{{{ toJSON(needs) }}}}'}}}}]}}\n"
    )
    return "".join(parts)


def _value(mapping: Any, name: str) -> Any:
    return next(value for key, value in mapping.value if key.value == name)


def _rows(mapping: Any, name: str, lines: Sequence[str]) -> range:
    """The lines from a key to before the next key of the same mapping."""
    starts = [key.start_mark.line for key, _ in mapping.value]
    if mapping.flow_style or len(set(starts)) != len(starts):
        raise WorkflowError("the lab cuts jobs out by line: write jobs as block mappings")
    at = next(index for index, (key, _) in enumerate(mapping.value) if key.value == name)
    end = starts[at + 1] if at + 1 < len(starts) else min(mapping.end_mark.line, len(lines))
    if end == starts[at]:
        end += 1
    return range(starts[at], end)


def _without(rows: Sequence[int], dropped: range) -> list[int]:
    return [row for row in rows if row not in dropped]


def _stand_in(name: str, outcome: Needed) -> str:
    """A job with a given result and given outputs, on one line; JSON is YAML."""
    outputs = {key: _literal(value) for key, value in outcome.outputs.items()}
    job: dict[str, object] = {"runs-on": "ubuntu-latest", "outputs": outputs, "steps": [{"run": ":"}]}
    if outcome.result == "skipped":
        job["if"] = "${{ false }}"
    elif outcome.result != "success":
        job["steps"] = [{"run": "exit 1"}]
    return f"{name}: {json.dumps(job)}\n"


def _literal(value: str) -> str:
    """A value that act's evaluator leaves alone."""
    return "${{ '" + value.replace("'", "''") + "' }}" if "${{" in value else value
