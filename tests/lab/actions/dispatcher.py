"""From events of the forge to finished runs: what is started, what waits for its group, what follows.

A run's completion may start others (`workflow_run`); what a job does with its token starts nothing but
dispatches. In a concurrency group one run is under way and at most one waits: a newer one takes the place of
the one that waits, which ends as cancelled without having begun.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from lab.actions.cron import last_due
from lab.actions.node import NodeError
from lab.actions.runner import Run, Runner, contexts_of, evaluated
from lab.actions.triggers import Start, after_run, scheduled, starts, workflows_at
from lab.actions.workflow import WorkflowError
from lab.forge import Event, LabForge, Repository, views
from lab.forge.model import Workflow as WorkflowState

IDLE = timedelta(days=60)
_ENDLESS = 200


class LabError(Exception):
    """The lab cannot go on; something that GitHub would only show on a page nobody looks at in a test."""


class Dispatcher:
    """Hears the forge, and keeps the queue.

    A pull request that a job opened has no run of `pull_request`; with `hold_back` it has one that somebody
    must approve first. GitHub does one or the other.

    Args:
        forge: The forge.
        runner: Runs what is due.
    """

    def __init__(self, forge: LabForge, runner: Runner) -> None:
        self._forge = forge
        self._runner = runner
        self._lock = threading.RLock()
        self._ready: deque[Run] = deque()
        self._holding: dict[tuple[str, str], Run] = {}
        self._pending: dict[tuple[str, str], Run] = {}
        self._problems: list[str] = []
        self._told_of = 0
        self.finished: list[Run] = []
        self.known: dict[int, Run] = {}
        self.hold_back = False
        self.held_back: list[Run] = []
        forge.listen(self.hear)

    # ---------------------------------------------------------------- waking

    def hear(self, event: Event) -> None:
        """Queue what an event starts; called by the forge when the change is complete."""
        self.dispatch(event)
        if event.by_job and event.name == "pull_request" and self.hold_back:
            repository = self._forge.repository(event.repository)
            asked = starts(repository, replace(event, by_job=False))
            self.held_back += [self._run(start) for start in asked if start.event == "pull_request"]

    def approve(self, run: Run) -> None:
        """Let a run begin that was held back."""
        self.held_back.remove(run)
        self._join(run)

    def dispatch(self, event: Event) -> list[Run]:
        """Queue what an event starts, and tell which runs these are."""
        repository = self._forge.repository(event.repository)
        return self._queue(starts(repository, event), f"{event.name} in {event.repository}")

    def tick(self, before: datetime, now: datetime) -> None:
        """Queue the schedules that became due; each workflow at most once, as on a busy day of GitHub."""
        for repository in list(self._forge.repositories.values()):
            commit = repository.store.branch(repository.default_branch)
            if commit:
                due = self._due(repository, commit, before, now)
                self._queue(due, f"schedules in {repository.slug}")

    def _due(self, repository: Repository, commit: str, before: datetime, now: datetime) -> Iterable[Start]:
        for workflow in workflows_at(repository, commit):
            crons = [entry["cron"] for entry in workflow.events.get("schedule") or ()]
            if not crons or self._stopped(repository, workflow.path, now):
                continue
            for cron in crons:
                if last_due(cron, before, now):
                    yield scheduled(repository, workflow, cron, commit)
                    break

    def _stopped(self, repository: Repository, path: str, now: datetime) -> bool:
        """Whether a schedule is off: in a public repository after 60 days without activity."""
        state = repository.workflows.get(path)
        if state and state.state != "active":
            return True
        seen = [repository.created, *(entry.at for entry in repository.activity)]
        if state:
            seen.append(state.updated)
        if repository.private or now - max(seen) <= IDLE:
            return False
        state = state or WorkflowState(self._forge.new_id(), path, "active", repository.created, now)
        state.state = "disabled_inactivity"
        repository.workflows[path] = state
        return True

    def _queue(self, found: Iterable[Start], what: str) -> list[Run]:
        queued: list[Run] = []
        with self._lock:
            try:
                # One by one: what came before a broken file is queued all the same.
                queued.extend(self._join(self._run(start)) for start in found)
            except (WorkflowError, NodeError) as error:
                self._problems.append(f"{what}: {error}")
        for run in queued:
            self._announce(run, "requested")
        return queued

    # ----------------------------------------------------- concurrency groups

    def _run(self, start: Start) -> Run:
        """A run that the forge knows of and nobody has queued yet."""
        now, forge = self._forge.now(), self._forge
        always = {
            "repository": views.repository(forge, forge.repository(start.slug)),
            "sender": views.account(forge, start.actor),
        }
        start = replace(start, payload={**always, **start.payload})
        event = Event(
            start.event, start.slug, None, start.actor, False, start.ref, start.commit, now, start.payload
        )
        record = forge.start_run(
            start.slug, start.workflow.file, event, branch=start.branch, commit=start.head
        )
        record.status = "queued"
        contexts = contexts_of(forge, start, record)
        wanted: Any = start.workflow.concurrency
        wanted = wanted if isinstance(wanted, dict) else {"group": wanted}
        group = evaluated(wanted.get("group"), contexts)
        cancels = bool(evaluated(wanted.get("cancel-in-progress"), contexts))
        run = Run(start, record, str(group).lower() if group else None, cancels, now)
        self.known[record.id] = run
        return run

    def _join(self, run: Run) -> Run:
        """Queue a run, behind others of its group if it has one."""
        key = (run.start.slug, run.group or "")
        with self._lock:
            if run.group is None:
                self._ready.append(run)
            elif key not in self._holding:
                self._holding[key] = run
                self._ready.append(run)
            else:
                replaced, self._pending[key] = self._pending.get(key), run
                if replaced:
                    self._conclude(replaced, "cancelled")
                if run.cancels:
                    self._stop(self._holding[key])
        return run

    def _stop(self, run: Run) -> None:
        run.cancel.set()
        if run in self._ready:
            self._ready.remove(run)
            self._conclude(run, "cancelled")
            self._release(run)

    def _release(self, run: Run) -> None:
        """Let the next run of a group begin."""
        key = (run.start.slug, run.group or "")
        if self._holding.get(key) is run:
            del self._holding[key]
            if key in self._pending:
                self._holding[key] = following = self._pending.pop(key)
                self._ready.append(following)

    # --------------------------------------------------------------- running

    def settle(self, parallel: int = 1, *, broken_files: bool = False) -> list[Run]:
        """Run what is queued and what follows from it, until nothing is left.

        Args:
            parallel: How many runs are under way at once; with one, the order is always the same.
            broken_files: Whether workflow files that GitHub cannot read are part of the story.

        Returns:
            The runs that ended since the last time, cancelled ones too, in the order in which they ended.

        Raises:
            LabError: A workflow file is broken, an input is wrong, or runs wake each other for ever.
        """
        active: dict[Future[str], Run] = {}
        with ThreadPoolExecutor(parallel) as pool:
            while True:
                with self._lock:
                    while self._ready and len(active) < parallel:
                        run = self._ready.popleft()
                        run.record.status = "in_progress"
                        active[pool.submit(self._runner.run, run)] = run
                if not active:
                    break
                for future in wait(active, timeout=0.1, return_when=FIRST_COMPLETED).done:
                    self._end(active.pop(future), future.result())
                if len(self.finished) - self._told_of > _ENDLESS:
                    raise LabError("runs wake each other without end")
        problems, self._problems = self._problems, []
        if problems and not broken_files:
            raise LabError("; ".join(problems))
        ended = self.finished[self._told_of :]
        self._told_of += len(ended)
        return ended

    def _end(self, run: Run, conclusion: str) -> None:
        with self._lock:
            self._conclude(run, conclusion)
            self._release(run)

    def _conclude(self, run: Run, conclusion: str) -> None:
        run.conclusion = conclusion
        self._forge.finish_run(run.record, conclusion)
        self.finished.append(run)
        self._announce(run, "completed")

    def _announce(self, run: Run, action: str) -> None:
        """Wake the workflows that wait for this one."""
        repository = self._forge.repository(run.start.slug)
        commit = repository.store.branch(repository.default_branch)
        if commit:
            payload = {
                "action": action,
                "workflow_run": self._told(run),
                "workflow": {"name": run.start.workflow.name, "path": run.start.workflow.path},
            }
            found = after_run(repository, run.start, payload, action, commit)
            self._queue(found, f"workflow_run of {run.file}")

    def _told(self, run: Run) -> dict[str, Any]:
        """A run as the event of another one tells it."""
        start, record = run.start, run.record
        pull = start.payload.get("pull_request")
        head = ((pull or {}).get("head") or {}).get("repo") or {"full_name": start.slug}
        # GitHub leaves the pull request of a fork out.
        known = [{"number": pull["number"]}] if pull and head["full_name"] == start.slug else []
        actor = {"login": start.actor, "id": self._forge.account(start.actor).id}
        return {
            "id": record.id,
            "name": start.workflow.name,
            "path": start.workflow.path,
            "event": start.event,
            "status": "completed" if run.conclusion else "queued",
            "conclusion": run.conclusion,
            "head_branch": start.branch,
            "head_sha": start.head,
            "head_repository": {"full_name": head["full_name"]},
            "html_url": f"{self._forge.url}/{start.slug}/actions/runs/{record.id}",
            "pull_requests": known,
            "run_number": record.number,
            "run_attempt": 1,
            "actor": actor,
            "triggering_actor": actor,
        }
