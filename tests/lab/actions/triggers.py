"""Which workflows an event starts, from which version of their files, and what their token may do.

| event                                                  | file and GITHUB_SHA from   | GITHUB_REF          |
|--------------------------------------------------------|----------------------------|---------------------|
| push                                                   | the pushed commit          | the pushed ref      |
| pull_request, pull_request_review                      | the merge with the base    | refs/pull/N/merge   |
| pull_request_target                                    | the base branch            | the base branch     |
| issue_comment, issues, schedule, workflow_run,         | the default branch         | the default branch  |
|   repository_dispatch                                  |                            |                     |
| workflow_dispatch                                      | the ref that it names      | that ref            |

act looks at none of this; the files are matched here as GitHub matches them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from lab.actions import patterns
from lab.actions.workflow import Workflow, WorkflowError, parse
from lab.forge.events import Event
from lab.forge.model import ZERO, Repository

FOLDER = ".github/workflows"
FROM_MERGE = ("pull_request", "pull_request_review")
DISPATCHES = ("workflow_dispatch", "repository_dispatch")
_DEFAULT_TYPES = ("opened", "synchronize", "reopened")
# The parts of a pull request's event that also wake `pull_request_target`.
_ALSO = {"pull_request": ("pull_request", "pull_request_target")}


@dataclass(frozen=True)
class Start:
    """A workflow that is to run.

    Args:
        slug: Its repository.
        workflow: The file, in the version that runs.
        event: Name of the event, as in ``on:``.
        commit: ``GITHUB_SHA``.
        ref: ``GITHUB_REF``.
        actor: Who woke it.
        payload: The event as the job reads it.
        branch: The branch that the run is listed under: the pull request's head branch, else that of ``ref``.
        head: The commit that the run is listed under.
        fork: Whether it runs for a pull request from a fork: read-only token, no secrets.
        inputs: Of a workflow_dispatch.
        depth: How many workflow_run lie between it and what a person did.
    """

    slug: str
    workflow: Workflow
    event: str
    commit: str
    ref: str
    actor: str
    payload: Mapping[str, Any]
    branch: str
    head: str
    fork: bool = False
    inputs: Mapping[str, object] = field(default_factory=dict)
    depth: int = 0


def workflows_at(repository: Repository, commit: str) -> Iterator[Workflow]:
    """The workflow files of a commit.

    Raises:
        WorkflowError: Some of them are broken; after all others, since GitHub runs these all the same.
    """
    broken = []
    for path, kind, _, _ in repository.store.files(commit, f"{FOLDER}/"):
        if kind == "blob" and path.endswith((".yml", ".yaml")):
            content = (repository.store.blob(commit, path) or b"").decode(errors="replace")
            try:
                workflow = parse(path, content)
            except WorkflowError as error:
                broken.append(str(error))
            else:
                yield workflow
    if broken:
        raise WorkflowError("; ".join(broken))


def starts(repository: Repository, event: Event) -> Iterator[Start]:
    """The workflows that an event of the forge starts."""
    if event.by_job and event.name not in DISPATCHES:
        return
    for name in _ALSO.get(event.name, (event.name,)):
        place = _place(repository, event, name)
        if place is None:
            continue
        commit, ref = place
        for workflow in workflows_at(repository, commit):
            if not _wakes(repository, workflow, event, name):
                continue
            pull = event.payload.get("pull_request") or {}
            head = pull.get("head") or {}
            start = Start(
                slug=repository.slug,
                workflow=workflow,
                event=name,
                commit=commit,
                ref=ref,
                actor=event.actor,
                payload=event.payload,
                branch=head.get("ref") or ref.removeprefix("refs/heads/"),
                head=head.get("sha") or commit,
                fork=name in FROM_MERGE and _from_fork(pull),
            )
            yield _with_inputs(start) if name == "workflow_dispatch" else start


def scheduled(repository: Repository, workflow: Workflow, cron: str, commit: str) -> Start:
    """A run because of the time."""
    branch = repository.default_branch
    return Start(
        slug=repository.slug,
        workflow=workflow,
        event="schedule",
        commit=commit,
        ref=f"refs/heads/{branch}",
        actor=repository.owner,
        payload={"schedule": cron},
        branch=branch,
        head=commit,
    )


def after_run(
    repository: Repository, done: Start, payload: Mapping[str, Any], action: str, commit: str
) -> Iterator[Start]:
    """The workflows that wait for another one (`workflow_run`); GitHub chains three levels at most."""
    if done.depth >= 3:
        return
    branch = repository.default_branch
    for workflow in workflows_at(repository, commit):
        filters = workflow.events.get("workflow_run")
        if filters is None or not _enabled(repository, workflow):
            continue
        named = patterns.chosen(filters.get("workflows", ()), done.workflow.name)
        if (
            named
            and action in filters.get("types", (action,))
            and patterns.passes(filters, "branches", done.branch)
        ):
            yield Start(
                slug=repository.slug,
                workflow=workflow,
                event="workflow_run",
                commit=commit,
                ref=f"refs/heads/{branch}",
                actor=done.actor,
                payload=payload,
                branch=branch,
                head=commit,
                depth=done.depth + 1,
            )


def _place(repository: Repository, event: Event, name: str) -> tuple[str, str] | None:
    """Commit and ref that an event's workflows run at; None where there are none to run."""
    store = repository.store
    if name == "push":
        return None if event.payload.get("deleted") or event.commit == ZERO else (event.commit, event.ref)
    if name in FROM_MERGE:
        return _merged(repository, event)
    if name == "workflow_dispatch":
        ref = event.ref if event.ref.startswith("refs/") else f"refs/heads/{event.ref}"
    elif name == "pull_request_target":
        ref = "refs/heads/" + event.payload["pull_request"]["base"]["ref"]
    else:
        ref = f"refs/heads/{repository.default_branch}"
    commit = store.commit_of(ref)
    return (commit, ref) if commit else None


def _merged(repository: Repository, event: Event) -> tuple[str, str] | None:
    """The merge of a pull request with its base; one that conflicts starts no workflow."""
    pull = event.payload["pull_request"]
    ref = f"refs/pull/{pull['number']}/merge"
    if (
        pull["state"] == "open"
        and repository.store.merged_tree(pull["base"]["sha"], pull["head"]["sha"]) is None
    ):
        return None
    return repository.store.commit_of(ref) or event.commit, ref


def _from_fork(pull: Mapping[str, Any]) -> bool:
    head, base = pull["head"].get("repo"), pull["base"]["repo"]
    return head is None or head["full_name"] != base["full_name"]


def _enabled(repository: Repository, workflow: Workflow) -> bool:
    known = repository.workflows.get(workflow.path)
    return known is None or known.state == "active"


def _wakes(repository: Repository, workflow: Workflow, event: Event, name: str) -> bool:
    if name not in workflow.events or not _enabled(repository, workflow):
        return False
    filters = workflow.events[name] or {}
    if name == "workflow_dispatch":
        return event.workflow in (workflow.file, workflow.path)
    if name == "push":
        return _push_passes(repository, filters, event)
    of_pull = name in ("pull_request", "pull_request_target")
    default = _DEFAULT_TYPES if of_pull else (event.action,)
    wanted = event.action in filters.get("types", default)
    return wanted and (not of_pull or _pull_passes(repository, filters, event.payload["pull_request"]))


def _pull_passes(repository: Repository, filters: dict[str, Any], pull: Mapping[str, Any]) -> bool:
    base, head = pull["base"], pull["head"]
    if not patterns.passes(filters, "branches", base["ref"]):
        return False
    changed = repository.store.changed(base["sha"], head["sha"])
    return patterns.any_path_passes(filters, [change.path for change in changed])


def _push_passes(repository: Repository, filters: dict[str, Any], event: Event) -> bool:
    kind, other = ("tags", "branches") if event.ref.startswith("refs/tags/") else ("branches", "tags")
    filtered = {key.removesuffix("-ignore") for key in filters}
    if other in filtered and kind not in filtered:
        return False
    if not patterns.passes(filters, kind, event.ref.split("/", 2)[2]):
        return False
    if kind == "tags" or not {"paths", "paths-ignore"} & filters.keys():
        return True
    store, before = repository.store, event.payload["before"]
    if before == ZERO or store.commit_of(before) is None:
        tip = store.branch(repository.default_branch)
        before = store.merge_base(tip, event.commit) if tip else None
    if before in (None, event.commit):
        return True
    names = store.run("diff", "--name-only", "-z", "--no-renames", str(before), event.commit)
    return patterns.any_path_passes(filters, names.decode(errors="surrogateescape").split("\0")[:-1])


def _with_inputs(start: Start) -> Start:
    """Inputs of a dispatch as declared: defaults filled in, booleans and numbers of their type."""
    declared = (start.workflow.events["workflow_dispatch"] or {}).get("inputs") or {}
    given = start.payload.get("inputs") or {}
    unknown = given.keys() - declared.keys()
    if unknown:
        raise WorkflowError(f"Unexpected inputs provided: {sorted(unknown)}")
    inputs: dict[str, object] = {}
    for name, rule in declared.items():
        value = given.get(name, rule.get("default", ""))
        if rule.get("required") and value == "":
            raise WorkflowError(f"Required input '{name}' not provided")
        if rule.get("type") == "choice" and value not in rule["options"]:
            raise WorkflowError(
                f"Provided value '{value}' for input '{name}' not in the list of allowed values"
            )
        inputs[name] = str(value).lower() == "true" if rule.get("type") == "boolean" else value
    return replace(start, inputs=inputs)
