"""What the forge tells those who listen, as GitHub tells its webhooks, and what it notes of each request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal


@dataclass(frozen=True)
class Event:
    """Something happened that may start a workflow.

    Args:
        name: As in a workflow's ``on:``, like ``push`` or ``pull_request_review``.
        repository: Slug of the repository.
        action: Like ``opened``; None where the event has no actions.
        actor: Login of who did it.
        by_job: Whether a job's token did it, so that only the two dispatches start a workflow.
        ref: The ref that the event is about, like ``refs/heads/main``.
        commit: The commit that the event is about.
        at: When, UTC.
        payload: The webhook's body, as a job reads it from ``GITHUB_EVENT_PATH``.
        number: The pull request or issue, if it is about one.
        workflow: File name of the workflow that is dispatched.
    """

    name: str
    repository: str
    action: str | None
    actor: str
    by_job: bool
    ref: str
    commit: str
    at: datetime
    payload: Mapping[str, Any]
    number: int | None = None
    workflow: str | None = None


@dataclass(frozen=True)
class Handled:
    """A request that was answered.

    Args:
        method: HTTP method.
        path: Path without ``/api/v3``; git's requests have a repository's path.
        query: Its query.
        status: HTTP status of the answer; 0 if the connection was dropped.
        login: Whose token came with it; None without one.
        by_job: Whether that was a job's token.
        kind: Whether it went to the REST API, to GraphQL, to git or to a download.
    """

    method: str
    path: str
    query: Mapping[str, str]
    status: int
    login: str | None
    by_job: bool
    kind: Literal["rest", "graphql", "git", "download"]
