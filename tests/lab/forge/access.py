"""Who may do what: roles of people, scopes of jobs, and the words GitHub refuses with."""

from __future__ import annotations

from lab.forge.model import Repository, Role, Token
from lab.forge.wire import ApiError, Route, not_found

SCOPES = (
    "actions",
    "attestations",
    "checks",
    "contents",
    "deployments",
    "id-token",
    "issues",
    "pages",
    "pull-requests",
    "statuses",
)
"""What a workflow's ``permissions:`` can give to a job; administration is not among it."""
ADMINISTRATION = frozenset({"administration", "environments", "secrets", "variables"})
FORBIDDEN = "Resource not accessible by integration"


def usual_role(scope: str) -> Role:
    """What a person must be to write something."""
    if scope in ADMINISTRATION:
        return "admin"
    return "read" if scope in ("issues", "pull-requests", "issues|pull-requests") else "write"


def accepted(scope: str, level: str) -> dict[str, str]:
    """The header that names the missing permission."""
    names = [f"{name.replace('-', '_')}={level}" for name in scope.split("|")]
    return {"X-Accepted-GitHub-Permissions": "; ".join(names)}


def held(token: Token, scope: str, *, write: bool) -> bool:
    """Whether a job's token has one of the scopes."""
    enough = ("write",) if write else ("read", "write")
    given = {"metadata": "read", **(token.scopes or {})}
    return any(given.get(name) in enough for name in scope.split("|"))


def demand(token: Token, scope: str, *, write: bool = True) -> None:
    """Refuse a job that lacks a permission."""
    if token.of_job and not held(token, scope, write=write):
        raise ApiError(403, FORBIDDEN, headers=accepted(scope, "write" if write else "read"))


def visible(repository: Repository | None, token: Token | None) -> Repository:
    """The repository, unless the caller may not know that it exists."""
    if repository is None:
        raise not_found()
    if not repository.private:
        return repository
    if token is None:
        raise not_found()
    if token.of_job and token.slug == repository.slug:
        return repository
    if not token.of_job and repository.role(token.login):
        return repository
    raise not_found()


def check(route: Route, repository: Repository, token: Token | None) -> None:
    """Refuse what a caller may not do.

    Raises:
        ApiError: 401 without a token, 403 with the missing permission, or 404 where GitHub hides things.
    """
    if not route.writes and not route.role and route.scope not in ADMINISTRATION:
        # What is public can be read with any token or none.
        if repository.private and token is not None and token.of_job and route.scope:
            demand(token, route.scope, write=False)
        return
    if token is None:
        raise ApiError(401, "Requires authentication")
    if token.of_job:
        if token.slug != repository.slug:
            raise ApiError(403, FORBIDDEN, headers=accepted(route.scope, "write" if route.writes else "read"))
        demand(token, route.scope, write=route.writes)
        return
    role = route.role or usual_role(route.scope)
    # Whoever sees a public repository may open issues in it.
    if role != "read" and not repository.at_least(token.login, role):
        if role == "admin":
            raise ApiError(403, "Must have admin rights to Repository.")
        raise (
            ApiError(403, "Must have push access to Repository")
            if repository.role(token.login)
            else not_found()
        )
