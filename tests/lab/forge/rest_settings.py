"""REST: rulesets, branch protection and Pages."""

from __future__ import annotations

from typing import Any

from lab.forge import rules, views
from lab.forge.model import ACTIONS_APP
from lab.forge.settings import Pages, Ruleset
from lab.forge.wire import Answer, ApiError, Call, invalid, not_found, route

RULESETS = "/repos/{owner}/{repo}/rulesets"
ONE = f"{RULESETS}/{{ruleset_id}}"
ENFORCEMENTS = ("active", "disabled", "evaluate")
KINDS = (
    "creation", "update", "deletion", "required_linear_history", "required_deployments",
    "required_signatures", "pull_request", "required_status_checks", "non_fast_forward",
)  # fmt: skip
APPS = (ACTIONS_APP, None)
"""Apps that a required check may name here; GitHub refuses those that are not installed."""


def _show(call: Call, one: Ruleset, *, whole: bool = True) -> views.View:
    root, slug = f"{call.forge.api}/repos/{call.repository.slug}", call.repository.slug
    shown: dict[str, Any] = {
        "id": one.id,
        "node_id": f"RRS_{one.id}",
        "name": one.name,
        "target": one.target,
        "source_type": "Repository",
        "source": slug,
        "enforcement": one.enforcement,
        "created_at": views.stamp(one.created),
        "updated_at": views.stamp(one.updated),
        "_links": {
            "self": {"href": f"{root}/rulesets/{one.id}"},
            "html": {"href": f"{call.forge.url}/{slug}/rules/{one.id}"},
        },
    }
    if whole:
        shown |= {"conditions": one.conditions, "rules": one.rules, "current_user_can_bypass": "never"}
        token = call.request.token
        # Only administrators learn who may pass.
        if token and call.repository.at_least(token.login, "admin"):
            shown["bypass_actors"] = one.bypass
    return shown


def _ruleset(call: Call) -> Ruleset:
    found = call.repository.rulesets.get(call.number("ruleset_id"))
    if found is None:
        raise not_found()
    return found


def _fill(call: Call, one: Ruleset) -> None:
    sent = call.fields
    if sent.get("enforcement", one.enforcement) not in ENFORCEMENTS:
        raise invalid("RepositoryRuleset", "invalid", name="enforcement")
    name = sent.get("name", one.name)
    if any(other.name == name and other is not one for other in call.repository.rulesets.values()):
        raise invalid("RepositoryRuleset", "custom", name="name", message="Name must be unique")
    for rule in sent.get("rules", []):
        if rule.get("type") not in KINDS:
            raise invalid("RepositoryRuleset", "custom", message=f"Invalid rule '{rule.get('type')}'")
        for check in (rule.get("parameters") or {}).get("required_status_checks", []):
            if check.get("integration_id") not in APPS:
                raise invalid("RepositoryRuleset", "invalid", name="integration_id")
    one.name, one.enforcement = name, sent.get("enforcement", one.enforcement)
    one.target = sent.get("target", one.target)
    one.conditions = sent.get("conditions", one.conditions)
    one.rules = list(sent.get("rules", one.rules))
    one.bypass = list(sent.get("bypass_actors", one.bypass))
    one.updated = call.now


@route("GET", RULESETS, reads="metadata")
def rulesets(call: Call) -> Answer:
    found = call.page(list(call.repository.rulesets.values()))
    return Answer(200, [_show(call, one, whole=False) for one in found])


@route("POST", RULESETS, writes="administration")
def create_ruleset(call: Call) -> Answer:
    one = Ruleset(call.forge.new_id(), "", "disabled", "branch", {}, [], [], call.now, call.now)
    _fill(call, one)
    call.repository.rulesets[one.id] = one
    return Answer(201, _show(call, one))


@route("GET", ONE, reads="metadata")
def ruleset(call: Call) -> Answer:
    return Answer(200, _show(call, _ruleset(call)))


@route("PUT", ONE, writes="administration")
def put_ruleset(call: Call) -> Answer:
    one = _ruleset(call)
    _fill(call, one)
    return Answer(200, _show(call, one))


@route("DELETE", ONE, writes="administration")
def delete_ruleset(call: Call) -> Answer:
    del call.repository.rulesets[_ruleset(call).id]
    return Answer(204)


@route("GET", "/repos/{owner}/{repo}/rules/branches/{branch*}", reads="metadata")
def branch_rules(call: Call) -> Answer:
    found = list(rules.active(call.repository, f"refs/heads/{call['branch']}"))
    return Answer(200, [
        {
            "type": kind,
            **({"parameters": parameters} if parameters else {}),
            "ruleset_source_type": "Repository",
            "ruleset_source": call.repository.slug,
            "ruleset_id": ruleset.id,
        }
        for ruleset, kind, parameters in call.page(found)
    ])  # fmt: skip


@route("GET", "/repos/{owner}/{repo}/branches/{branch*}/protection", reads="administration", role="admin")
def protection(call: Call) -> Answer:
    """The older kind of rules is not emulated: no branch has any."""
    if call.repository.store.branch(call["branch"]) is None:
        raise not_found("Branch not found")
    raise not_found("Branch not protected")


# -------------------------------------------------------------------- Pages


def _pages(call: Call) -> Pages:
    if call.repository.pages is None:
        raise not_found()
    return call.repository.pages


def _show_pages(call: Call, pages: Pages) -> views.View:
    return {
        "url": f"{call.forge.api}/repos/{call.repository.slug}/pages",
        "html_url": call.forge.site_of(call.repository.slug),
        "status": None,
        "cname": None,
        "custom_404": False,
        "public": True,
        "build_type": pages.build_type,
        "source": pages.source,
        "https_enforced": pages.https_enforced,
    }


def _read_pages(call: Call, pages: Pages) -> Pages:
    sent = call.fields
    source = sent.get("source") or pages.source
    kind = sent.get("build_type") or pages.build_type
    if kind not in ("workflow", "legacy"):
        raise ApiError(422, "Invalid request.\n\nbuild_type is not included in the list")
    return Pages(kind, source, bool(sent.get("https_enforced", pages.https_enforced)))


@route("GET", "/repos/{owner}/{repo}/pages", reads="pages", role="write")
def get_pages(call: Call) -> Answer:
    return Answer(200, _show_pages(call, _pages(call)))


@route("POST", "/repos/{owner}/{repo}/pages", writes="pages|administration", role="admin")
def create_pages(call: Call) -> Answer:
    if call.repository.pages:
        raise ApiError(409, "GitHub Pages is already enabled.")
    source = {"branch": call.repository.default_branch, "path": "/"}
    call.repository.pages = _read_pages(call, Pages("legacy", source))
    return Answer(201, _show_pages(call, call.repository.pages))


@route("PUT", "/repos/{owner}/{repo}/pages", writes="pages|administration", role="admin")
def change_pages(call: Call) -> Answer:
    call.repository.pages = _read_pages(call, _pages(call))
    return Answer(204)


@route("DELETE", "/repos/{owner}/{repo}/pages", writes="pages|administration", role="admin")
def delete_pages(call: Call) -> Answer:
    _pages(call)
    call.repository.pages = None
    return Answer(204)
