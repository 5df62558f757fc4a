"""What rulesets demand of a branch, for pushes and for merges."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

from lab.forge.model import ACTIONS_APP, BOT, ROLES, ZERO, Pull, Repository, Role, Token
from lab.forge.settings import Ruleset

ROLE_IDS: Mapping[int, Role] = {1: "read", 2: "maintain", 3: "triage", 4: "write", 5: "admin"}
"""Ids of GitHub's built-in repository roles, as bypass lists name them."""
OUT_OF_DATE = "Head branch is out of date with the base branch."


def matches(repository: Repository, ruleset: Ruleset, ref: str) -> bool:
    """Whether a ruleset is about a ref."""
    kind = "refs/tags/" if ruleset.target == "tag" else "refs/heads/"
    if not ref.startswith(kind):
        return False
    names = ruleset.conditions.get("ref_name") or {}

    def covers(pattern: str) -> bool:
        if pattern == "~DEFAULT_BRANCH":
            return ref == f"refs/heads/{repository.default_branch}"
        return pattern == "~ALL" or fnmatchcase(ref, pattern)

    included = any(covers(pattern) for pattern in names.get("include", []))
    return included and not any(covers(pattern) for pattern in names.get("exclude", []))


def bypassed(repository: Repository, ruleset: Ruleset, by: Token, *, merging: bool) -> bool:
    """Whether a ruleset lets somebody pass."""
    for actor in ruleset.bypass:
        if actor.get("bypass_mode", "always") == "pull_request" and not merging:
            continue
        kind, number = actor["actor_type"], int(actor.get("actor_id") or 0)
        if kind == "Integration" and number == ACTIONS_APP and by.of_actions:
            return True
        if kind == "OrganizationAdmin" and repository.at_least(by.login, "admin"):
            return True
        if kind == "RepositoryRole" and number in ROLE_IDS:
            role = repository.role(by.login)
            if role and ROLES.index(role) >= ROLES.index(ROLE_IDS[number]):
                return True
    return False


def active(repository: Repository, ref: str) -> Iterator[tuple[Ruleset, str, Mapping[str, Any]]]:
    """Rules in force for a ref: ruleset, type and parameters."""
    for ruleset in repository.rulesets.values():
        if ruleset.enforcement == "active" and matches(repository, ruleset, ref):
            for rule in ruleset.rules:
                yield ruleset, rule["type"], rule.get("parameters") or {}


def _binding(
    repository: Repository, ref: str, by: Token, *, merging: bool
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for ruleset, kind, parameters in active(repository, ref):
        if not bypassed(repository, ruleset, by, merging=merging):
            yield kind, parameters


def succeeded(repository: Repository, commit: str, context: str, app: int | None) -> bool:
    """Whether the newest status or check run of a name says success, from the right source."""
    for status in reversed(repository.statuses):
        if (status.commit, status.context) == (commit, context):
            from_app = ACTIONS_APP if status.creator == BOT else None
            return status.state == "success" and app in (None, from_app)
    runs = [run for run in repository.check_runs if (run.commit, run.name) == (commit, context)]
    return bool(runs) and runs[-1].conclusion == "success" and app in (None, ACTIONS_APP)


def _missing_checks(repository: Repository, commit: str, parameters: Mapping[str, Any]) -> list[str]:
    return [
        f'Required status check "{check["context"]}" is expected.'
        for check in parameters.get("required_status_checks", [])
        if not succeeded(repository, commit, check["context"], check.get("integration_id"))
    ]


def against_push(repository: Repository, by: Token, ref: str, old: str, new: str) -> list[str]:
    """Why a push to a ref is refused; empty if it is not."""
    found: list[str] = []
    for kind, parameters in _binding(repository, ref, by, merging=False):
        if kind == "deletion" and new == ZERO:
            found.append("Cannot delete this branch")
        elif kind == "creation" and old == ZERO:
            found.append("Cannot create ref due to creations being restricted.")
        elif kind == "update" and ZERO not in (old, new):
            found.append("Cannot update this protected ref.")
        elif kind == "pull_request" and ZERO not in (old, new):
            found.append("Changes must be made through a pull request.")
        elif kind == "required_status_checks" and ZERO not in (old, new):
            found += _missing_checks(repository, new, parameters)
    return found


def no_force(repository: Repository, by: Token, ref: str) -> bool:
    """Whether a ref may only move forward."""
    return any(kind == "non_fast_forward" for kind, _ in _binding(repository, ref, by, merging=False))


def against_merge(repository: Repository, by: Token, pull: Pull, method: str) -> list[str]:
    """Why a merge is refused; empty if it is not."""
    found: list[str] = []
    for kind, parameters in _binding(repository, f"refs/heads/{pull.base}", by, merging=True):
        if kind == "required_status_checks":
            found += _missing_checks(repository, pull.head, parameters)
            strict = parameters.get("strict_required_status_checks_policy")
            if strict and not repository.store.is_ancestor(pull.base_commit, pull.head):
                found.append(OUT_OF_DATE)
        elif kind == "pull_request":
            if method not in parameters.get("allowed_merge_methods", [method]):
                found.append(f"Merge method {method} is not allowed.")
            needed = parameters.get("required_approving_review_count", 0)
            latest = {review.author: review.state for review in pull.reviews if review.state != "COMMENTED"}
            given = sum(
                state == "APPROVED" and repository.at_least(author, "write")
                for author, state in latest.items()
            )
            if given < needed:
                found.append(
                    f"At least {needed} approving review is required by reviewers with write access."
                )
    return found
