"""One run of a workflow: its jobs in order, each with the token and secrets GitHub would give it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from lab.actions import patterns
from lab.actions.act import Act, Annotation, JobResult, Order
from lab.actions.node import NODE
from lab.actions.triggers import Start
from lab.actions.workflow import Expression, Job, Needed, single_job
from lab.forge import LabForge
from lab.forge.access import SCOPES
from lab.forge.model import Repository
from lab.forge.model import Run as Record


@dataclass(eq=False)
class Run:
    """A run of a workflow, from the moment it is queued.

    Args:
        start: Why it runs, and what.
        record: What the forge tells about it.
        group: Its concurrency group; None if it has none.
        cancels: Whether it cancels the run of its group that is under way.
        jobs: Results so far, by job.
        conclusion: None until it is over.
        queued: When, by the lab's clock.
    """

    start: Start
    record: Record
    group: str | None
    cancels: bool
    queued: datetime
    jobs: dict[str, JobResult] = field(default_factory=dict)
    conclusion: str | None = None
    cancel: threading.Event = field(default_factory=threading.Event)

    @property
    def file(self) -> str:
        return self.start.workflow.file

    @property
    def log(self) -> str:
        """What all its jobs printed, for messages of tests."""
        return "\n".join(
            f"--- {job.id}: {job.conclusion}\n{job.log}" + "".join(f"! {text}\n" for text in job.problems)
            for job in self.jobs.values()
        )

    @property
    def summary(self) -> str:
        return "".join(job.summary for job in self.jobs.values())

    def __str__(self) -> str:
        return f"{self.start.slug} {self.file} ({self.start.event} on {self.start.ref}): {self.conclusion}"


class Runner:
    """Runs the jobs of a run.

    Args:
        forge: Mints tokens; keeps environments, secrets and variables.
        act: Runs one job.
        extra: What the lab adds to a job's environment, asked for each job.
    """

    def __init__(self, forge: LabForge, act: Act, extra: Callable[[Run, Job], Mapping[str, str]]) -> None:
        self._forge = forge
        self._act = act
        self._extra = extra

    def run(self, run: Run) -> str:
        """Run all jobs that are to run; the conclusion of the whole."""
        waiting = dict(run.start.workflow.jobs)
        while waiting:
            ready = [job for job in waiting.values() if all(need in run.jobs for need in job.needs)]
            for job in ready:
                del waiting[job.id]
                run.jobs[job.id] = self._job(run, job)
        conclusions = {job.conclusion for job in run.jobs.values()}
        for worst in ("failure", "cancelled", "success"):
            if worst in conclusions:
                return worst
        return "skipped"

    def _job(self, run: Run, job: Job) -> JobResult:
        before = [run.jobs[name].conclusion for name in _ancestors(run.start, job)]
        status = {
            "success": all(conclusion == "success" for conclusion in before),
            "failure": "failure" in before,
            "cancelled": run.cancel.is_set(),
        }
        repository = self._forge.repository(run.start.slug)
        needed = {name: Needed(run.jobs[name].conclusion, run.jobs[name].outputs) for name in job.needs}
        contexts = contexts_of(self._forge, run.start, run.record)
        contexts["needs"] = {
            name: {"result": n.result, "outputs": dict(n.outputs)} for name, n in needed.items()
        }
        if run.cancel.is_set() or not NODE.evaluate(job.condition, contexts, status):
            return JobResult(job.id, "cancelled" if run.cancel.is_set() else "skipped")
        environment = environment_name(job.environment, contexts)
        refusal = deployment_refusal(repository, environment, run.start.ref)
        if refusal:
            return JobResult(
                job.id, "failure", annotations=(Annotation("error", refusal),), problems=(refusal,)
            )
        return self._in_act(run, job, environment, needed)

    def _in_act(self, run: Run, job: Job, environment: str | None, needed: Mapping[str, Needed]) -> JobResult:
        start, slug = run.start, run.start.slug
        permissions = {scope: level for scope, level in job.permissions.items() if scope in SCOPES}
        secrets = self._forge.secrets(slug, environment)
        if start.fork:
            permissions = {scope: "read" for scope in permissions if scope != "id-token"}
            secrets = {}
        token = self._forge.mint(slug, permissions, run=run.record.id)
        try:
            result = self._act.run(
                Order(
                    job=job.id,
                    name=run.file,
                    file=single_job(start.workflow, job.id, needed),
                    event=start.event,
                    payload={**start.payload, **({"inputs": start.inputs} if start.inputs else {})},
                    actor=start.actor,
                    env={**github_env(self._forge, start, run.record), **self._extra(run, job)},
                    secrets={**secrets, "GITHUB_TOKEN": token},
                    variables=self._forge.variables(slug, environment),
                    inputs=start.inputs,
                ),
                run.cancel.is_set,
            )
            return without_secrets(result, [*secrets.values(), token])
        finally:
            self._forge.revoke(token)


def without_secrets(result: JobResult, secrets: Sequence[str]) -> JobResult:
    """GitHub hands no output of a job on that holds a secret."""
    lines = [line for secret in secrets for line in secret.splitlines() if line.strip()]
    bare = {name: text for name, text in result.outputs.items() if not any(line in text for line in lines)}
    skipped = result.outputs.keys() - bare.keys()
    warnings = tuple(
        Annotation("warning", f"Skip output '{name}' since it may contain secret.")
        for name in sorted(skipped)
    )
    return replace(result, outputs=bare, annotations=result.annotations + warnings)


def _ancestors(start: Start, job: Job) -> set[str]:
    found: set[str] = set()
    for need in job.needs:
        found |= {need} | _ancestors(start, start.workflow.jobs[need])
    return found


def contexts_of(forge: LabForge, start: Start, record: Record | None) -> dict[str, Any]:
    """The contexts that exist outside of a job's steps."""
    event = {**start.payload, **({"inputs": start.inputs} if start.inputs else {})}
    kind = "tag" if start.ref.startswith("refs/tags/") else "branch"
    github = {
        "actor": start.actor,
        "event": event,
        "event_name": start.event,
        "head_ref": start.branch if start.event.startswith("pull_request") else "",
        "base_ref": event["pull_request"]["base"]["ref"] if "pull_request" in event else "",
        "ref": start.ref,
        "ref_name": start.ref.split("/", 2)[2],
        "ref_type": kind,
        "repository": start.slug,
        "repository_owner": start.slug.split("/")[0],
        "run_attempt": "1",
        "run_id": str(record.id) if record else "",
        "run_number": str(record.number) if record else "",
        "server_url": forge.url,
        "sha": start.commit,
        "workflow": start.workflow.name,
    }
    return {"github": github, "inputs": dict(start.inputs), "vars": forge.variables(start.slug)}


def github_env(forge: LabForge, start: Start, record: Record) -> dict[str, str]:
    """The variables of a job that act does not know, or gets wrong."""
    repository = forge.repository(start.slug)
    github = contexts_of(forge, start, record)["github"]
    return {
        **{f"GITHUB_{name.upper()}": github[name] for name in github.keys() - {"event", "event_name", "sha"}},
        "SHA_REF": start.commit,
        "GITHUB_API_URL": forge.api,
        "GITHUB_GRAPHQL_URL": forge.graphql,
        "GITHUB_ACTOR_ID": str(forge.account(start.actor).id),
        "GITHUB_REPOSITORY_ID": str(repository.id),
        "GITHUB_REPOSITORY_OWNER_ID": str(forge.account(repository.owner).id),
        "GITHUB_REF_PROTECTED": str(bool(repository.rulesets)).lower(),
        "GITHUB_TRIGGERING_ACTOR": start.actor,
        "GITHUB_WORKFLOW_REF": f"{start.slug}/{start.workflow.path}@{start.ref}",
        "GITHUB_WORKFLOW_SHA": start.commit,
        "GITHUB_RETENTION_DAYS": "90",
        "RUNNER_NAME": "lab",
        "RUNNER_ENVIRONMENT": "github-hosted",
    }


def evaluated(value: Any, contexts: Mapping[str, object]) -> Any:  # noqa: ANN401 - of YAML
    """A value of a workflow file, with its expression evaluated if it is one."""
    return NODE.evaluate(value.text, contexts) if isinstance(value, Expression) else value


def environment_name(environment: object, contexts: Mapping[str, object]) -> str | None:
    """Name of the environment that a job names."""
    named = environment.get("name") if isinstance(environment, dict) else environment
    return evaluated(named, contexts) or None


def deployment_refusal(repository: Repository, environment: str | None, ref: str) -> str | None:
    """Why a ref may not use an environment; None if it may."""
    known = repository.environments.get(environment or "")
    if known is None:
        return None
    if known.reviewers:
        return f"The deployment to {environment} waits for a reviewer, whom the lab does not have"
    if known.branch_policy is None:
        return None
    kind = "tag" if ref.startswith("refs/tags/") else "branch"
    name = ref.removeprefix("refs/heads/").removeprefix("refs/tags/")
    if known.branch_policy.get("protected_branches"):
        allowed = kind == "branch" and name == repository.default_branch and bool(repository.rulesets)
    else:
        allowed = any(of == kind and patterns.chosen([text], name) for text, of in known.policies.values())
    if allowed:
        return None
    return f'Branch "{name}" is not allowed to deploy to {environment} due to environment protection rules.'
