"""GraphQL: the one thing that REST does not tell, who edited a review and when.

Types are plain: each object is a mapping of field names to values, or to functions of a field's arguments.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lab.forge import access, views
from lab.forge.graphql_language import Field, Parser, QueryError
from lab.forge.model import Issue, Pull, Repository, Review, Token
from lab.forge.wire import Answer, ApiError, Json, Request

if TYPE_CHECKING:
    from lab.forge.forge import LabForge

Object = Mapping[str, Any]
ACTOR = frozenset({"__typename", "avatarUrl", "login", "resourcePath", "url"})
"""Fields of the interface Actor; all others need ``... on User``."""
MOST = 100


class _Missing(Exception):
    """Something that does not resolve: null in the data and an error beside it."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def answer(forge: LabForge, request: Request) -> Answer:
    """Answer one query; GraphQL says 200 to nearly everything."""
    if request.token is None:
        raise ApiError(401, "This endpoint requires you to be authenticated.")
    sent = json.loads(request.body or b"{}")
    errors: list[dict[str, Any]] = []
    try:
        fields = Parser(sent.get("query", ""), sent.get("variables") or {}).operation()
        data = _select(_root(forge, request.token), fields, [], errors)
    except QueryError as error:
        return Answer(200, {"errors": [{"message": str(error)}]})
    return Answer(200, {"data": data, **({"errors": errors} if errors else {})})


def _select(
    value: Object, fields: Sequence[Field], path: list[str], errors: list[dict[str, Any]]
) -> dict[str, Any]:
    data: dict[str, Any] = {}
    kind, interface = value["__typename"], value.get("__interface")
    for field in fields:
        if field.on:
            if field.on in (kind, "Actor"):
                inner = {name: one for name, one in value.items() if name != "__interface"}
                data |= _select(inner, field.fields, path, errors)
            continue
        if field.name not in value or (interface is not None and field.name not in interface):
            shown = "Actor" if interface is not None else kind
            raise QueryError(f"Field '{field.name}' doesn't exist on type '{shown}'")
        here = [*path, field.key]
        try:
            found = value[field.name]
            data[field.key] = _value(
                found(**field.arguments) if callable(found) else found, field, here, errors
            )
        except _Missing as error:
            data[field.key] = None
            errors.append({"type": error.kind, "path": here, "message": str(error)})
        except TypeError as error:
            raise QueryError(f"Field '{field.name}': {error}") from None
    return data


def _value(found: Json, field: Field, path: list[str], errors: list[dict[str, Any]]) -> Json:
    if isinstance(found, list):
        return [_value(one, field, path, errors) for one in found]
    if isinstance(found, Mapping):
        if not field.fields:
            raise QueryError(
                f"Field must have selections (field '{field.name}' returns {found['__typename']})"
            )
        return _select(found, field.fields, path, errors)
    return found


# ------------------------------------------------------------------- types


def _root(forge: LabForge, token: Token) -> Object:
    def repository(owner: str, name: str) -> Object:
        try:
            kept = access.visible(forge.repositories.get(f"{owner}/{name}".lower()), token)
        except ApiError:
            said = f"Could not resolve to a Repository with the name '{owner}/{name}'."
            raise _Missing("NOT_FOUND", said) from None
        return _repository(forge, kept, token)

    limit = {"__typename": "RateLimit", "cost": 1, "limit": 5000, "remaining": 4999, "used": 1}
    return {
        "__typename": "Query",
        "repository": repository,
        "viewer": _actor(forge, token.login, interface=False),
        "rateLimit": limit,
    }


def _repository(forge: LabForge, kept: Repository, token: Token) -> Object:
    def pull_request(number: int) -> Object:
        if kept.private and token.of_job and not access.held(token, "pull-requests", write=False):
            raise _Missing("FORBIDDEN", access.FORBIDDEN)
        issue = kept.issues.get(number)
        if issue is None or issue.pull is None:
            said = f"Could not resolve to a PullRequest with the number of {number}."
            raise _Missing("NOT_FOUND", said)
        return _pull(forge, kept, issue, issue.pull, token)

    return {
        "__typename": "Repository",
        "id": f"R_{kept.id}",
        "databaseId": kept.id,
        "name": kept.name,
        "nameWithOwner": kept.slug,
        "url": f"{forge.url}/{kept.slug}",
        "pullRequest": pull_request,
    }


def _pull(forge: LabForge, kept: Repository, issue: Issue, pull: Pull, token: Token) -> Object:
    seen = [one for one in pull.reviews if one.state != "PENDING" or one.author == token.login]

    def reviews(states: list[str] | None = None, author: str | None = None, **page: Json) -> Object:
        found = [one for one in seen if (not states or one.state in states) and author in (None, one.author)]
        return _connection(
            "PullRequestReview", "reviews", found, lambda one: _review(forge, kept, issue, one), **page
        )

    return {
        "__typename": "PullRequest",
        "id": f"PR_{issue.id}",
        "databaseId": issue.id,
        "fullDatabaseId": str(issue.id),
        "number": issue.number,
        "title": issue.title,
        "body": issue.body or "",
        "url": f"{forge.url}/{kept.slug}/pull/{issue.number}",
        "state": "MERGED" if pull.merged else issue.state.upper(),
        "isDraft": pull.draft,
        "headRefName": pull.branch,
        "headRefOid": pull.head,
        "baseRefName": pull.base,
        "baseRefOid": pull.base_commit,
        "author": _actor(forge, issue.author),
        "reviews": reviews,
    }


def _review(forge: LabForge, kept: Repository, issue: Issue, review: Review) -> Object:
    submitted, edited = views.stamp(review.submitted), views.stamp(review.edited)
    url = f"{forge.url}/{kept.slug}/pull/{issue.number}#pullrequestreview-{review.id}"
    return {
        "__typename": "PullRequestReview",
        "id": f"PRR_{review.id}",
        "databaseId": review.id,
        "fullDatabaseId": str(review.id),
        "url": url,
        "body": review.body,
        "state": review.state,
        "author": _actor(forge, review.author),
        "authorAssociation": views.association(kept, review.author),
        "commit": {"__typename": "Commit", "oid": review.commit},
        "createdAt": submitted,
        "submittedAt": submitted,
        "publishedAt": submitted,
        "updatedAt": edited or submitted,
        "editor": _actor(forge, review.editor) if review.editor else None,
        "lastEditedAt": edited,
    }


def _actor(forge: LabForge, login: str, *, interface: bool = True) -> Object | None:
    user = forge.users.get(login.lower())
    if user is None:
        return None
    # A bot's login ends in [bot] in REST only.
    shown = user.login.removesuffix("[bot]") if user.kind == "Bot" and interface else user.login
    view: dict[str, Any] = {
        "__typename": user.kind,
        "login": shown,
        "url": f"{forge.url}/{user.login}",
        "resourcePath": f"/{user.login}",
        "avatarUrl": f"{forge.url}/avatars/{user.id}",
        "id": f"U_{user.id}",
        "databaseId": user.id,
    }
    return view | ({"__interface": ACTOR} if interface else {})


def _connection(
    kind: str,
    name: str,
    found: list[Any],
    show: Callable[[Any], Object],
    *,
    first: int | None = None,
    after: str | None = None,
    last: int | None = None,
    before: str | None = None,
) -> Object:
    """A page of a list, by cursors that name places in it."""
    size = first if first is not None else last
    if size is None:
        said = f"You must provide a `first` or `last` value to properly paginate the `{name}` connection."
        raise _Missing("MISSING_PAGINATION_BOUNDARIES", said)
    if size > MOST:
        said = f"Requesting {size} records on the `{name}` connection exceeds the limit of {MOST} records."
        raise _Missing("EXCESSIVE_PAGINATION", said)
    low = int(after.removeprefix("cursor:")) if after else 0
    high = int(before.removeprefix("cursor:")) - 1 if before else len(found)
    start, end = (low, min(low + size, high)) if first is not None else (max(high - size, low), high)
    page = [show(one) for one in found[start:end]]
    info = {
        "__typename": "PageInfo",
        "hasNextPage": end < len(found),
        "hasPreviousPage": start > 0,
        "startCursor": f"cursor:{start + 1}" if page else None,
        "endCursor": f"cursor:{end}" if page else None,
    }
    edges = [
        {"__typename": f"{kind}Edge", "cursor": f"cursor:{start + place + 1}", "node": one}
        for place, one in enumerate(page)
    ]
    return {
        "__typename": f"{kind}Connection",
        "totalCount": len(found),
        "pageInfo": info,
        "nodes": page,
        "edges": edges,
    }
