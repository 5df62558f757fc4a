"""The settings of a repository on a code host that signing depends on, behind one protocol.

A setting is a guard rail or a way for work to go on, never a reason to trust anything (DESIGN section 4).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Merging:
    """How pull requests may be merged, whatever a ruleset says.

    Args:
        merge: By a merge commit.
        squash: As one new commit.
        rebase: As new commits.
    """

    merge: bool
    squash: bool
    rebase: bool


@dataclass(frozen=True, slots=True)
class Facts:
    """What a repository is.

    Args:
        default_branch: The branch whose workflows are trusted.
        private: Whether not everybody may read it.
        merging: How pull requests may be merged.
    """

    default_branch: str
    private: bool
    merging: Merging


@dataclass(frozen=True, slots=True)
class Actions:
    """What workflows may do.

    Args:
        enabled: Whether they run at all.
        allowed: Whose actions they may use: ``all``, ``local_only`` or ``selected``.
        may_propose: Whether they may open pull requests.
    """

    enabled: bool
    allowed: str
    may_propose: bool


@dataclass(frozen=True, slots=True)
class PagesSite:
    """The repository's site.

    Args:
        by_workflow: Whether workflows deploy it; else a branch is served.
        url: Where it is, as the host says; empty if it does not.
    """

    by_workflow: bool
    url: str


@dataclass(frozen=True, slots=True)
class DeploymentEnvironment:
    """The place for the secrets of one kind of job.

    Args:
        branches: Names and patterns of the branches whose jobs may use it; None if any branch's may.
        reviewers: Whether somebody has to approve each job.
        waits: Whether each job waits for a time.
    """

    branches: tuple[str, ...] | None
    reviewers: bool = False
    waits: bool = False


@dataclass(frozen=True, slots=True)
class RequiredCheck:
    """A check that must be green before a merge.

    Args:
        name: Its name.
        app: Number of the app that must have posted it; None if anybody may.
    """

    name: str
    app: int | None


@dataclass(frozen=True, slots=True)
class BranchRules:
    """All that the active rulesets of the repository ask of one branch, taken together.

    Args:
        required: Checks.
        up_to_date: Whether a branch must contain the newest state before it is merged.
        merge_methods: The ways of merging that all rulesets allow; None if no ruleset says.
        no_force: Whether its history cannot be replaced.
        no_deletion: Whether it cannot be deleted.
        bypass: Whether somebody is exempt from a ruleset, as far as the token may see.
    """

    required: tuple[RequiredCheck, ...] = ()
    up_to_date: bool = False
    merge_methods: tuple[str, ...] | None = None
    no_force: bool = False
    no_deletion: bool = False
    bypass: bool = False


@dataclass(frozen=True, slots=True)
class Workflow:
    """A workflow that the host knows.

    Args:
        id: The host's id of it.
        path: Its file.
        enabled: Whether events and schedules start it.
    """

    id: int
    path: str
    enabled: bool


class Settings(Protocol):
    """The settings of one repository. Writing the same again changes nothing.

    Every method may raise :class:`keyturn.forge.host.HostError`: reason ``permission`` names what the token
    lacks, ``authentication`` says that it is not accepted, ``plan`` that the owner's plan has no such
    setting, ``unreachable`` that the host cannot be reached.
    """

    @property
    def slug(self) -> str:
        """``owner/repository``."""

    @property
    def url(self) -> str:
        """The repository's page, without a slash at the end."""

    @property
    def actions_app(self) -> int:
        """Number of the app that workflows post their checks as."""

    def facts(self) -> Facts:
        """What the repository is."""

    def set_default_branch(self, name: str) -> None:
        """Make a branch the default one."""

    def set_merging(self, merging: Merging) -> None:
        """Say how pull requests may be merged."""

    def actions(self) -> Actions:
        """What workflows may do."""

    def enable_actions(self) -> None:
        """Let workflows run, and use actions of other repositories."""

    def let_actions_propose(self) -> None:
        """Let workflows open pull requests."""

    def pages(self) -> PagesSite | None:
        """The repository's site; None if it has none."""

    def deploy_pages_by_workflow(self) -> None:
        """Have a site that workflows deploy."""

    def environment(self, name: str) -> DeploymentEnvironment | None:
        """An environment; None if there is none."""

    def restrict_environment(self, name: str, branch: str) -> None:
        """Have an environment for the jobs of exactly one branch, without a reviewer or a wait."""

    def variable(self, environment: str, name: str) -> str | None:
        """A variable of an environment; None if there is none."""

    def set_variable(self, environment: str, name: str, value: str) -> None:
        """Write a variable of an environment."""

    def secret_names(self, environment: str) -> frozenset[str]:
        """Names of an environment's secrets; values cannot be read."""

    def shared_secret_names(self) -> frozenset[str]:
        """Names of the secrets that jobs of every branch can read."""

    def set_secret(self, environment: str, name: str, value: str) -> None:
        """Write a secret of an environment, sealed so that only the host can open it."""

    def rules(self, branch: str) -> BranchRules:
        """What the repository's active rulesets ask of a branch."""

    def require(self, branch: str, rules: BranchRules) -> None:
        """Have one ruleset of ours that asks this of a branch; others are left alone."""

    def workflows(self) -> tuple[Workflow, ...]:
        """The workflows that the host knows."""

    def enable_workflow(self, workflow: Workflow) -> None:
        """Switch a workflow on."""
