"""REST: accounts, collaborators and the repository itself."""

from __future__ import annotations

from dataclasses import fields, replace

from lab.forge import views
from lab.forge.model import ACTIONS_APP, BOT
from lab.forge.settings import Settings
from lab.forge.wire import Answer, ApiError, Call, not_found, route

OLD_WORDS = {"triage": "read", "maintain": "write"}
"""Roles that the older field ``permission`` does not know."""


def _whole(call: Call, login: str) -> views.View:
    nothing = ("bio", "blog", "company", "email", "hireable", "location")
    counts = ("followers", "following", "public_gists", "public_repos")
    at = views.stamp(call.now)
    return {
        **views.account(call.forge, login),
        **dict.fromkeys(nothing),
        **dict.fromkeys(counts, 0),
        "name": login,
        "user_view_type": "public",
        "created_at": at,
        "updated_at": at,
    }


@route("GET", "/user")
def who_am_i(call: Call) -> Answer:
    if call.token.of_job:
        raise ApiError(403, "Resource not accessible by integration")
    return Answer(200, _whole(call, call.login))


@route("GET", "/users/{username}")
def user(call: Call) -> Answer:
    found = call.forge.users.get(call["username"].lower())
    if found is None:
        raise not_found()
    return Answer(200, _whole(call, found.login))


@route("GET", "/user/{account_id}")
def user_by_id(call: Call) -> Answer:
    number = call.number("account_id")
    found = next((one for one in call.forge.users.values() if one.id == number), None)
    if found is None:
        raise not_found()
    return Answer(200, _whole(call, found.login))


@route("GET", "/rate_limit")
def rate_limit(call: Call) -> Answer:
    reset = int(call.now.timestamp()) + 3600
    one = {"limit": 5000, "used": 0, "remaining": 5000, "reset": reset}
    return Answer(200, {"resources": {"core": one, "search": one}, "rate": one})


@route("GET", "/repos/{owner}/{repo}", reads="metadata")
def repository(call: Call) -> Answer:
    login = call.request.token.login if call.request.token else None
    return Answer(200, views.repository(call.forge, call.repository, login))


@route("PATCH", "/repos/{owner}/{repo}", writes="administration")
def change_repository(call: Call) -> Answer:
    known = {one.name for one in fields(Settings)}
    wanted = {name: value for name, value in call.fields.items() if name in known}
    settings = replace(call.repository.settings, **wanted)
    if not (settings.allow_merge_commit or settings.allow_squash_merge or settings.allow_rebase_merge):
        raise ApiError(422, "Sorry, you need to allow at least one merge strategy. (no_merge_method)")
    call.repository.settings = settings
    if branch := call.fields.get("default_branch"):
        call.repository.default_branch = branch
    return Answer(200, views.repository(call.forge, call.repository, call.login))


@route("GET", "/repos/{owner}/{repo}/collaborators", reads="metadata", role="write")
def collaborators(call: Call) -> Answer:
    found = [_collaborator(call, login) for login in call.page(list(call.repository.collaborators))]
    return Answer(200, found)


def _collaborator(call: Call, login: str) -> views.View:
    shown = views.repository(call.forge, call.repository, login)["permissions"]
    role = call.repository.role(login)
    return {**views.account(call.forge, login), "permissions": shown, "role_name": role or "read"}


@route("GET", "/repos/{owner}/{repo}/collaborators/{username}", reads="metadata")
def is_collaborator(call: Call) -> Answer:
    if call.repository.role(call["username"]) is None:
        raise not_found()
    return Answer(204)


@route("GET", "/repos/{owner}/{repo}/collaborators/{username}/permission", reads="metadata")
def permission(call: Call) -> Answer:
    name = call["username"]
    if name.lower() not in call.forge.users:
        raise not_found()
    role = call.repository.role(name) or ("none" if call.repository.private else "read")
    return Answer(
        200, {"permission": OLD_WORDS.get(role, role), "role_name": role, "user": _collaborator(call, name)}
    )


@route("GET", "/apps/{app_slug}")
def app(call: Call) -> Answer:
    """The one app that is installed: that which workflows act as."""
    if call["app_slug"] != "github-actions":
        raise not_found()
    at = views.stamp(call.now)
    return Answer(200, {
        "id": ACTIONS_APP,
        "slug": "github-actions",
        "node_id": f"A_{ACTIONS_APP}",
        "owner": views.account(call.forge, BOT),
        "name": "GitHub Actions",
        "description": "",
        "external_url": f"{call.forge.url}/features/actions",
        "html_url": f"{call.forge.url}/apps/github-actions",
        "created_at": at,
        "updated_at": at,
        "permissions": {},
        "events": [],
    })  # fmt: skip
