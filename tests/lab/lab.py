"""The whole lab in one object: a forge, its Actions, its Pages and a clock, on this machine and offline.

    with Lab(tmp_path) as lab:
        alice = lab.forge.user("alice")
        lab.forge.create_repository("alice", "updates", files={".github/workflows/hello.yml": b"..."})
        runs = lab.settle()                              # what the push started, and what followed from it
        lab.tick(timedelta(days=1)); lab.settle()        # schedules
        run = lab.run("alice/updates", "hello.yml", actor="alice")      # workflow_dispatch
        urllib.request.urlopen(lab.pages.url("alice/updates"))

The workflow files and actions that run are the real ones: see :mod:`lab.actions.act` for what is put in their
place where this machine is not GitHub.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from lab.actions.act import Act
from lab.actions.dispatcher import Dispatcher
from lab.actions.runner import Run, Runner, contexts_of, environment_name
from lab.actions.triggers import workflows_at
from lab.actions.workflow import Job
from lab.clock import START, Clock
from lab.forge import Event, LabForge, views
from lab.pages import Pages
from lab.services import Services

if TYPE_CHECKING:
    from lab.sigstore import Sigstore


class Lab:
    """Start it with ``with``.

    Args:
        root: Empty directory for everything.
        now: What time it is at first, UTC.
        tools: The runners' tool cache; None for an empty one. Give tests of one session the same.
        contract: Whether the forge's answers are held against GitHub's description.
        env: What every job finds in its environment besides; for tests that watch (coverage, say).
    """

    def __init__(
        self,
        root: Path,
        *,
        now: datetime = START,
        tools: Path | None = None,
        contract: bool = True,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self._root = root
        self.clock = Clock(now)
        self.env = dict(env or {})
        (root / "runner").mkdir(parents=True)
        self.forge = LabForge(root / "forge", clock=self.clock, contract=contract)
        self.pages = Pages(self.clock)
        self.forge.site_of = self.pages.url
        self.services = Services(self.forge, self.pages)
        self.runner = Runner(self.forge, Act(root / "runner", tools), self._extra)
        self.dispatcher = Dispatcher(self.forge, self.runner)
        self._stack = ExitStack()

    def __enter__(self) -> Lab:
        self._stack.enter_context(self.pages)
        self._stack.enter_context(self.services)
        self._stack.enter_context(self.forge)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    @property
    def runs(self) -> list[Run]:
        """All runs that are over, in the order in which they ended."""
        return self.dispatcher.finished

    def settle(self, parallel: int = 1, *, broken_files: bool = False) -> list[Run]:
        """Run what is queued and what follows from it; see :meth:`Dispatcher.settle`."""
        return self.dispatcher.settle(parallel, broken_files=broken_files)

    def tick(self, by: timedelta) -> None:
        """Move the clock, and queue the schedules that became due meanwhile."""
        before = self.clock()
        self.clock.move(by)
        self.dispatcher.tick(before, self.clock())

    def run(
        self,
        slug: str,
        workflow: str,
        *,
        actor: str,
        ref: str = "main",
        inputs: Mapping[str, str] | None = None,
    ) -> Run:
        """Dispatch a workflow as a person would on its page, and settle.

        Args:
            slug: The repository.
            workflow: File name below ``.github/workflows/``.
            actor: Who does it.
            ref: Branch or tag.
            inputs: Inputs of the workflow.
        """
        full = ref if ref.startswith("refs/") else f"refs/heads/{ref}"
        commit = self.forge.repository(slug).store.commit_of(full) or ""
        payload: dict[str, Any] = {
            "ref": full,
            "workflow": workflow,
            "inputs": dict(inputs or {}),
            "repository": views.repository(self.forge, self.forge.repository(slug)),
        }
        event = Event(
            "workflow_dispatch",
            slug,
            None,
            actor,
            False,
            full,
            commit,
            self.clock(),
            payload,
            workflow=workflow,
        )
        queued = self.dispatcher.dispatch(event)
        self.settle()
        if not queued:
            files = [known.file for known in workflows_at(self.forge.repository(slug), commit)]
            raise LookupError(f"{workflow} cannot be dispatched on {ref}; there are {files}")
        return queued[0]

    def sign_with(self, sigstore: Sigstore) -> None:
        """Let jobs attest what they built: the claims are those of their run, whatever they say."""
        from lab.sigstore import Workflow

        def attest(run: int, name: str, sha256: str) -> Mapping[str, Any]:
            start = self.dispatcher.known[run].start
            workflow = Workflow(
                start.slug, start.workflow.file, start.ref, start.commit, server=self.forge.url
            )
            return sigstore.attest(workflow, name, sha256)

        self.services.attest = attest

    def _extra(self, run: Run, job: Job) -> dict[str, str]:
        """What the lab adds to the environment of a job."""
        artifacts = self._root / "artifacts" / str(run.record.id)
        artifacts.mkdir(parents=True, exist_ok=True)
        contexts = contexts_of(self.forge, run.start, run.record)
        return {
            "SOURCE_DATE_EPOCH": str(int(self.clock().timestamp())),
            "LAB_ARTIFACTS": str(artifacts),
            "LAB_PAGES": self.pages.url(run.start.slug).rstrip("/"),
            "LAB_SERVICES": self.services.url,
            "LAB_ENVIRONMENT": environment_name(job.environment, contexts) or "",
            **self.env,
        }
