"""What administrators set: switches, rulesets, environments with variables and secrets, Pages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass
class Environment:
    """A deployment environment with its rules, variables and secrets."""

    id: int
    name: str
    created: datetime
    branch_policy: Mapping[str, bool] | None = None
    policies: dict[int, tuple[str, str]] = field(default_factory=dict)
    reviewers: list[Mapping[str, Any]] = field(default_factory=list)
    wait_minutes: int = 0
    variables: dict[str, Variable] = field(default_factory=dict)
    secrets: dict[str, Secret] = field(default_factory=dict)


@dataclass
class Variable:
    """A configuration variable, readable by whoever may read the settings."""

    name: str
    value: str
    created: datetime
    updated: datetime


@dataclass
class Secret:
    """A secret; the API tells its name only."""

    name: str
    value: str
    created: datetime
    updated: datetime


@dataclass
class Ruleset:
    """A ruleset of a repository, as it was sent."""

    id: int
    name: str
    enforcement: str
    target: str
    conditions: Mapping[str, Any]
    rules: list[Mapping[str, Any]]
    bypass: list[Mapping[str, Any]]
    created: datetime
    updated: datetime


@dataclass
class Settings:
    """What an administrator may switch."""

    allow_merge_commit: bool = True
    allow_squash_merge: bool = True
    allow_rebase_merge: bool = True
    allow_update_branch: bool = False
    allow_auto_merge: bool = False
    delete_branch_on_merge: bool = False
    has_issues: bool = True
    description: str | None = None
    homepage: str | None = None
    actions_enabled: bool = True
    allowed_actions: str = "all"
    sha_pinning_required: bool = False
    default_workflow_permissions: str = "read"
    actions_may_open_pull_requests: bool = False


@dataclass
class Pages:
    """The Pages site of a repository."""

    build_type: str
    source: Mapping[str, str]
    https_enforced: bool = True
