"""What the lab's GitHub knows besides git: people, tokens, repositories and everything that hangs on them.

Plain data that the routes read and change under the forge's lock. Commits, branches and tags are not here:
they are read from the bare repository each time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from lab.forge.settings import Environment, Pages, Ruleset, Secret, Settings, Variable

if TYPE_CHECKING:
    from lab.forge.store import Store

Role = Literal["read", "triage", "write", "maintain", "admin"]
ROLES: tuple[Role, ...] = ("read", "triage", "write", "maintain", "admin")
BOT = "github-actions[bot]"
BOT_ID = 41898282
ACTIONS_APP = 15368
"""Id of the app GitHub Actions, which a required check may name as its only source."""
ZERO = "0" * 40


@dataclass
class User:
    """An account: a person, a bot or an organisation."""

    login: str
    id: int
    kind: Literal["User", "Bot", "Organization"] = "User"


@dataclass(frozen=True)
class Token:
    """What a caller proves itself with.

    Args:
        value: The secret text.
        login: Who calls.
        slug: The one repository of a job's token, or of a fine-grained one of a person; else None.
        scopes: What may be done with such a token, like ``{"contents": "write"}``; else None, since the
            person's role says it.
        run: The workflow run of a job's token.
    """

    value: str
    login: str
    slug: str | None = None
    scopes: Mapping[str, str] | None = None
    run: int | None = None

    @property
    def of_job(self) -> bool:
        """Whether it can do what its scopes say, as a job's token can."""
        return self.scopes is not None

    @property
    def of_actions(self) -> bool:
        """Whether it is GitHub Actions' own: what is done with it starts no workflow."""
        return self.of_job and self.login == BOT


@dataclass
class Comment:
    """A comment of an issue or pull request."""

    id: int
    author: str
    body: str
    created: datetime
    updated: datetime


@dataclass
class Issue:
    """An issue, and the half of a pull request that is an issue too."""

    id: int
    number: int
    author: str
    title: str
    body: str | None
    created: datetime
    updated: datetime
    state: Literal["open", "closed"] = "open"
    closed: datetime | None = None
    labels: list[str] = field(default_factory=list)
    assignees: list[str] = field(default_factory=list)
    comments: list[Comment] = field(default_factory=list)
    pull: Pull | None = None


@dataclass
class Pull:
    """What makes an issue a pull request.

    Args:
        branch: Name of the head branch.
        base: Name of the base branch.
        head_slug: The repository that the head branch is in: this one or a fork.
        head: Commit at the head; follows the branch while the pull request is open.
        base_commit: Commit at the base; follows the branch while the pull request is open.
    """

    branch: str
    base: str
    head_slug: str
    head: str
    base_commit: str
    draft: bool = False
    merged: datetime | None = None
    merged_by: str | None = None
    merge_commit: str | None = None
    mergeable: bool = True
    requested: list[str] = field(default_factory=list)
    reviews: list[Review] = field(default_factory=list)


@dataclass
class Review:
    """A review of a pull request."""

    id: int
    author: str
    body: str
    state: Literal["PENDING", "APPROVED", "COMMENTED", "CHANGES_REQUESTED", "DISMISSED"]
    commit: str
    submitted: datetime | None
    editor: str | None = None
    edited: datetime | None = None


@dataclass(frozen=True)
class Status:
    """A commit status: never changed, only followed by a newer one of the same context."""

    id: int
    commit: str
    context: str
    state: Literal["success", "failure", "pending", "error"]
    description: str | None
    url: str | None
    creator: str
    created: datetime


@dataclass
class CheckRun:
    """A check run; only GitHub Actions makes them here."""

    id: int
    commit: str
    name: str
    status: str
    conclusion: str | None
    started: datetime
    completed: datetime | None
    url: str | None
    output: Mapping[str, Any]


@dataclass(frozen=True)
class Activity:
    """One change of one ref and who made it, which no commit can tell."""

    id: int
    ref: str
    before: str
    after: str
    actor: str
    kind: str
    at: datetime


@dataclass
class Asset:
    """A file of a release."""

    id: int
    name: str
    label: str | None
    content_type: str
    content: bytes
    digest: str
    uploader: str
    created: datetime
    state: Literal["uploaded", "starter"] = "uploaded"
    downloads: int = 0


@dataclass
class Release:
    """A release; its tag exists only once it is published."""

    id: int
    tag: str
    target: str
    name: str | None
    body: str | None
    draft: bool
    prerelease: bool
    author: str
    created: datetime
    published: datetime | None = None
    assets: list[Asset] = field(default_factory=list)


@dataclass
class Workflow:
    """State of a workflow; its file is read from the default branch."""

    id: int
    path: str
    state: Literal["active", "disabled_manually", "disabled_inactivity"]
    created: datetime
    updated: datetime


@dataclass
class Run:
    """One run of a workflow."""

    id: int
    number: int
    workflow: str
    event: str
    branch: str
    commit: str
    actor: str
    created: datetime
    updated: datetime
    status: Literal["queued", "in_progress", "completed"] = "queued"
    conclusion: str | None = None


@dataclass
class Repository:
    """A repository with everything but its git objects."""

    id: int
    owner: str
    name: str
    private: bool
    default_branch: str
    created: datetime
    store: Store
    fork_of: str | None = None
    collaborators: dict[str, Role] = field(default_factory=dict)
    settings: Settings = field(default_factory=Settings)
    issues: dict[int, Issue] = field(default_factory=dict)
    labels: dict[str, Label] = field(default_factory=dict)
    statuses: list[Status] = field(default_factory=list)
    check_runs: list[CheckRun] = field(default_factory=list)
    activity: list[Activity] = field(default_factory=list)
    releases: list[Release] = field(default_factory=list)
    environments: dict[str, Environment] = field(default_factory=dict)
    variables: dict[str, Variable] = field(default_factory=dict)
    secrets: dict[str, Secret] = field(default_factory=dict)
    rulesets: dict[int, Ruleset] = field(default_factory=dict)
    workflows: dict[str, Workflow] = field(default_factory=dict)
    runs: list[Run] = field(default_factory=list)
    attestations: dict[str, list[Mapping[str, Any]]] = field(default_factory=dict)
    pages: Pages | None = None

    @property
    def slug(self) -> str:
        return f"{self.owner}/{self.name}"

    def role(self, login: str | None) -> Role | None:
        """What somebody may do here; None for strangers, who may read what is public."""
        return self.collaborators.get(login.lower()) if login else None

    def at_least(self, login: str | None, role: Role) -> bool:
        held = self.role(login)
        return held is not None and ROLES.index(held) >= ROLES.index(role)

    def pulls(self) -> list[Issue]:
        """All pull requests, oldest first."""
        return [issue for issue in self.issues.values() if issue.pull]


@dataclass
class Label:
    """A label of a repository."""

    id: int
    name: str
    color: str
    description: str | None = None
