"""A job of GitHub Actions: what its environment says, and what the use cases need from it.

No job checks a repository out. Branches are fetched into a bare repository below ``RUNNER_TEMP``, with the
job's token, and read as objects.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from keyturn.actions.outputs import annotate
from keyturn.cli.clock import time_of
from keyturn.cli.digest import ROOT_VARIABLE, read_digest
from keyturn.errors import RefusedError, UsageError
from keyturn.git import Identity

if TYPE_CHECKING:
    from keyturn.flow.context import Context
    from keyturn.forge.github import GitHub

INPUT_PREFIX = "KEYTURN_INPUT_"
TOKEN_VARIABLE = "KEYTURN_TOKEN"  # noqa: S105 - the name of a variable
BOT = Identity("github-actions[bot]", "41898282+github-actions[bot]@users.noreply.github.com")
_HEADS = "refs/heads/"


@dataclass(frozen=True, slots=True)
class Job:
    """A job as its environment describes it.

    Args:
        slug: ``owner/repository`` whose workflow runs.
        server: Where its pages and its git are, without a slash at the end.
        api: Where its API is, likewise.
        token: What the job may be done with; None if it was given none.
        event: What woke it, such as ``schedule``.
        ref: Full name of the branch or tag that it runs for.
        default_branch: Name of the repository's default branch; empty where the event does not say.
        workflow: Path and ref of the workflow file: ``owner/repository/.github/workflows/x.yml@refs/...``.
        run_url: The page of this run; empty outside of a run.
        temporary: Where files may lie until the job ends.
        workspace: Where the workflow's own files are.
        now: The time of the whole job, UTC.
        root_digest: Root digest that the environment gives (``KEYTURN_ROOT``).
        inputs: The action's inputs by name.
        environment: All variables: keys are among them.
    """

    slug: str
    server: str
    api: str
    token: str | None = field(repr=False)
    event: str
    ref: str
    default_branch: str
    workflow: str
    run_url: str
    temporary: Path
    workspace: Path
    now: datetime
    root_digest: str | None
    inputs: Mapping[str, str]
    environment: Mapping[str, str] = field(repr=False)

    @classmethod
    def read(cls, environment: Mapping[str, str], names: Mapping[str, str]) -> Job:
        """Read the environment of a job.

        Args:
            environment: The variables.
            names: Default by name of every input that the action declares.

        Raises:
            UsageError: This is no job (reason ``no-job``), ``KEYTURN_ROOT`` is no digest (``bad-digest``), or
                ``SOURCE_DATE_EPOCH`` no time (``bad-time``).
        """
        server = _needed(environment, "GITHUB_SERVER_URL").rstrip("/")
        slug = _needed(environment, "GITHUB_REPOSITORY")
        run = environment.get("GITHUB_RUN_ID", "")
        event = environment.get("GITHUB_EVENT_NAME", "")
        ref = environment.get("GITHUB_REF", "")
        return cls(
            slug=slug,
            server=server,
            api=_needed(environment, "GITHUB_API_URL").rstrip("/"),
            token=environment.get(TOKEN_VARIABLE) or None,
            event=event,
            ref=ref,
            default_branch=_default_branch(environment.get("GITHUB_EVENT_PATH", ""), event, ref),
            workflow=environment.get("GITHUB_WORKFLOW_REF", ""),
            run_url=f"{server}/{slug}/actions/runs/{run}" if run else "",
            temporary=Path(environment.get("RUNNER_TEMP") or tempfile.gettempdir()),
            workspace=Path(environment.get("GITHUB_WORKSPACE") or "."),
            now=time_of(None, environment),
            root_digest=read_digest(environment.get(ROOT_VARIABLE) or None, where=ROOT_VARIABLE),
            inputs={
                name: environment.get(variable_of(name), "").strip() or given for name, given in names.items()
            },
            environment=environment,
        )

    @property
    def trusted(self) -> bool:
        """Whether the workflow file that runs is the default branch's, and runs for that branch.

        Who can push a branch can change the workflow files on it; what such a run says of an event is worth
        nothing (DESIGN section 4).
        """
        default = _HEADS + self.default_branch
        # Branches may have an @ in their names; a workflow file of ours has none.
        file = rf"{re.escape(self.slug)}/\.github/workflows/[^/@]+@{re.escape(default)}"
        return bool(self.default_branch) and self.ref == default and bool(re.fullmatch(file, self.workflow))

    def require_trusted(self) -> None:
        """Refuse to go on in a run of any workflow but the default branch's.

        Raises:
            RefusedError: It is one (reason ``not-default-branch``).
        """
        if not self.trusted:
            raise RefusedError(
                "this runs for another branch than the default one, or with another branch's workflow file",
                where=self.workflow or self.ref,
                todo=f"Run the workflow of {self.default_branch or 'the default branch'}: nothing that this "
                "run reports could be relied on.",
                reason="not-default-branch",
            )

    def require(self, name: str) -> str:
        """An input that must be given.

        Raises:
            UsageError: It is empty (reason ``missing-input``).
        """
        value = self.inputs[name]
        if not value:
            raise UsageError(
                f"the input {name} is missing",
                todo=f"Write it in the workflow, under with: {name}: ...",
                reason="missing-input",
            )
        return value

    def number(self, name: str) -> int:
        """An input that is a whole number of at least 0.

        Raises:
            UsageError: It is none (reason ``bad-input``).
        """
        text = self.inputs[name]
        if not re.fullmatch(r"[0-9]{1,9}", text):
            raise UsageError("is not a whole number", where=f"the input {name}", reason="bad-input")
        return int(text)

    def host(self, slug: str = "") -> GitHub:
        """A repository of this GitHub.

        Args:
            slug: ``owner/repository``; the one whose workflow runs if empty.

        Raises:
            UsageError: The job has no token (reason ``no-token``).
        """
        from keyturn.forge.github import GitHub

        branch = self.default_branch if slug in ("", self.slug) else ""
        return GitHub(slug or self.slug, api=self.api, server=self.server, token=self._key(), branch=branch)

    def _key(self) -> str:
        if self.token is None:
            raise UsageError(
                "there is no token",
                todo="Leave the input token out, or give it one that is not empty: an empty one is often a "
                "secret that this repository, or a pull request from a fork, does not have.",
                reason="no-token",
            )
        return self.token

    @contextmanager
    def context(self, slug: str = "", branch: str = "") -> Iterator[Context]:
        """What the use cases need, for a repository of this GitHub; its files go when the block ends.

        Args:
            slug: ``owner/repository``; the one whose workflow runs if empty.
            branch: The branch that holds what was decided; if empty, the default branch, or ``main`` where
                the repository is another one.

        Raises:
            UsageError: The job has no token (reason ``no-token``).
            EnvironmentFault: Git does not work, or the runner's disk does not.
        """
        from keyturn.flow.context import Context, identify_by
        from keyturn.forge.github import git_access
        from keyturn.forge.local import LocalForge
        from keyturn.git import Git
        from keyturn.signing import SignerHome

        self.temporary.mkdir(parents=True, exist_ok=True)
        own = slug in ("", self.slug)
        branch = branch or (self.default_branch if own else "") or "main"
        with tempfile.TemporaryDirectory(prefix="keyturn-", dir=self.temporary) as scratch:
            directory = Path(scratch)
            access = git_access(self.server, self._key())
            with Git.init(directory / "objects.git", bare=True, branch=branch, access=access) as git:
                yield Context(
                    forge=LocalForge(git, f"{self.server}/{slug or self.slug}", branch),
                    home=SignerHome(directory / "home"),
                    now=self.now,
                    author=BOT,
                    root_digest=self.root_digest,
                    announce=_announce,
                    identify=identify_by(self.host(slug)),
                )


def _announce(names: Sequence[str]) -> None:
    annotate("warning", f"this leaves behind the signatures of {', '.join(names)}: they have to sign again")


def variable_of(name: str) -> str:
    """The variable that hands an input to the script: ``KEYTURN_INPUT_PAGE_URL`` for ``page-url``."""
    return INPUT_PREFIX + name.upper().replace("-", "_")


def _needed(environment: Mapping[str, str], name: str) -> str:
    value = environment.get(name, "")
    if not value:
        raise UsageError(
            f"{name} is not set",
            todo="This script is a part of an action and runs in a job of GitHub Actions.",
            reason="no-job",
        )
    return value


def _default_branch(path: str, event: str, ref: str) -> str:
    """The default branch as the event tells it; GitHub itself wrote the file.

    The events of a schedule do not always bring their repository, but happen on the default branch alone.
    """
    try:
        told = json.loads(Path(path).read_bytes()) if path else {}
        name = told["repository"]["default_branch"]
    except (OSError, ValueError, KeyError, TypeError):
        return ref.removeprefix(_HEADS) if event == "schedule" and ref.startswith(_HEADS) else ""
    return name if isinstance(name, str) else ""
