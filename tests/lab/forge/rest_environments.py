"""REST: environments with their branch rules, variables and secrets; the repository's own variables too."""

from __future__ import annotations

import base64
import hashlib
from typing import TypeVar

from nacl.exceptions import CryptoError
from nacl.public import PrivateKey, SealedBox

from lab.forge import views
from lab.forge.model import Repository
from lab.forge.settings import Environment, Secret, Variable
from lab.forge.wire import Answer, ApiError, Call, not_found, route

ALL = "/repos/{owner}/{repo}/environments"
ONE = f"{ALL}/{{environment_name}}"
POLICIES = f"{ONE}/deployment-branch-policies"
Kept = TypeVar("Kept", Variable, Secret)


def _environment(call: Call) -> Environment:
    found = call.repository.environments.get(call["environment_name"])
    if found is None:
        raise not_found()
    return found


def _show(call: Call, one: Environment) -> views.View:
    at = views.stamp(one.created)
    rules: list[views.View] = []
    if one.wait_minutes:
        rules.append({"type": "wait_timer", "wait_timer": one.wait_minutes})
    if one.reviewers:
        people = {user.id: user.login for user in call.forge.users.values()}
        shown = [
            {"type": "User", "reviewer": views.account(call.forge, people.get(who["id"], "ghost"))}
            for who in one.reviewers
        ]
        rules.append({"type": "required_reviewers", "prevent_self_review": False, "reviewers": shown})
    if one.branch_policy:
        rules.append({"type": "branch_policy"})
    for number, rule in enumerate(rules):
        rule |= {"id": one.id * 10 + number, "node_id": f"GA_{one.id}_{number}"}
    return {
        "id": one.id,
        "node_id": f"EN_{one.id}",
        "name": one.name,
        "url": f"{call.forge.api}/repos/{call.repository.slug}/environments/{one.name}",
        "html_url": f"{call.forge.url}/{call.repository.slug}/deployments/{one.name}",
        "created_at": at,
        "updated_at": at,
        "protection_rules": rules,
        "deployment_branch_policy": one.branch_policy,
    }


@route("GET", ALL, reads="actions")
def environments(call: Call) -> Answer:
    found = list(call.repository.environments.values())
    return Answer(
        200, {"total_count": len(found), "environments": [_show(call, one) for one in call.page(found)]}
    )


@route("GET", ONE, reads="actions")
def environment(call: Call) -> Answer:
    return Answer(200, _show(call, _environment(call)))


@route("PUT", ONE, writes="administration")
def put_environment(call: Call) -> Answer:
    """Make or change it; what is not sent is reset, as on GitHub."""
    name, sent = call["environment_name"], call.fields
    one = call.repository.environments.get(name) or Environment(call.forge.new_id(), name, call.now)
    policy = sent.get("deployment_branch_policy")
    if policy and policy.get("protected_branches") == policy.get("custom_branch_policies"):
        raise ApiError(422, "protected_branches and custom_branch_policies cannot have the same value.")
    one.branch_policy = policy
    one.reviewers = list(sent.get("reviewers") or [])
    one.wait_minutes = int(sent.get("wait_timer") or 0)
    if not (policy and policy["custom_branch_policies"]):
        one.policies = {}
    call.repository.environments[name] = one
    return Answer(200, _show(call, one))


@route("DELETE", ONE, writes="administration")
def delete_environment(call: Call) -> Answer:
    del call.repository.environments[_environment(call).name]
    return Answer(204)


# -------------------------------------------------------------- branch rules


def _policy(number: int, name: str, kind: str) -> views.View:
    return {"id": number, "node_id": f"DBP_{number}", "name": name, "type": kind}


@route("GET", POLICIES, reads="actions")
def policies(call: Call) -> Answer:
    found = _environment(call).policies
    shown = [_policy(number, *policy) for number, policy in call.page(list(found.items()))]
    return Answer(200, {"total_count": len(found), "branch_policies": shown})


@route("POST", POLICIES, writes="administration")
def create_policy(call: Call) -> Answer:
    one = _environment(call)
    if not (one.branch_policy and one.branch_policy["custom_branch_policies"]):
        raise not_found()
    policy = (call.fields["name"], call.fields.get("type", "branch"))
    if policy in one.policies.values():
        return Answer(303)
    number = call.forge.new_id()
    one.policies[number] = policy
    return Answer(200, _policy(number, *policy))


@route("DELETE", f"{POLICIES}/{{branch_policy_id}}", writes="administration")
def delete_policy(call: Call) -> Answer:
    if _environment(call).policies.pop(call.number("branch_policy_id"), None) is None:
        raise not_found()
    return Answer(204)


# ------------------------------------------------------------------ variables


def _kept(found: dict[str, Kept], name: str) -> Kept:
    if name.upper() not in found:
        raise not_found()
    return found[name.upper()]


def _named(one: Variable | Secret) -> views.View:
    return {"name": one.name, "created_at": views.stamp(one.created), "updated_at": views.stamp(one.updated)}


def _variable(one: Variable) -> views.View:
    return _named(one) | {"value": one.value}


def _variables(call: Call) -> dict[str, Variable]:
    in_environment = "environment_name" in call.parameters
    return _environment(call).variables if in_environment else call.repository.variables


def list_variables(call: Call) -> Answer:
    found = _variables(call)
    shown = [_variable(one) for one in call.page(list(found.values()))]
    return Answer(200, {"total_count": len(found), "variables": shown})


def create_variable(call: Call) -> Answer:
    found, name = _variables(call), call.fields["name"].upper()
    if name in found:
        raise ApiError(409, "Already exists - Variable already exists")
    found[name] = Variable(name, call.fields["value"], call.now, call.now)
    return Answer(201, {})


def get_variable(call: Call) -> Answer:
    return Answer(200, _variable(_kept(_variables(call), call["name"])))


def edit_variable(call: Call) -> Answer:
    one = _kept(_variables(call), call["name"])
    one.value, one.updated = call.fields.get("value", one.value), call.now
    return Answer(204)


def delete_variable(call: Call) -> Answer:
    found = _variables(call)
    del found[_kept(found, call["name"]).name]
    return Answer(204)


for place in (ONE, "/repos/{owner}/{repo}/actions"):
    scope = "environments" if place == ONE else "variables"
    route("GET", f"{place}/variables", reads=scope, role="write")(list_variables)
    route("POST", f"{place}/variables", writes=scope)(create_variable)
    route("GET", f"{place}/variables/{{name}}", reads=scope, role="write")(get_variable)
    route("PATCH", f"{place}/variables/{{name}}", writes=scope)(edit_variable)
    route("DELETE", f"{place}/variables/{{name}}", writes=scope)(delete_variable)


# -------------------------------------------------------------------- secrets


def private_key(repository: Repository) -> PrivateKey:
    """What opens the secrets of a repository; of no worth outside a test."""
    return PrivateKey(hashlib.sha256(f"secrets of {repository.id}".encode()).digest())


def _secrets(call: Call) -> dict[str, Secret]:
    return _environment(call).secrets if "environment_name" in call.parameters else call.repository.secrets


def list_secrets(call: Call) -> Answer:
    found = _secrets(call)
    return Answer(
        200, {"total_count": len(found), "secrets": [_named(one) for one in call.page(list(found.values()))]}
    )


def public_key(call: Call) -> Answer:
    _secrets(call)
    key = base64.b64encode(bytes(private_key(call.repository).public_key)).decode()
    return Answer(200, {"key_id": str(call.repository.id), "key": key})


def get_secret(call: Call) -> Answer:
    return Answer(200, _named(_kept(_secrets(call), call["secret_name"])))


def put_secret(call: Call) -> Answer:
    found, sent, name = _secrets(call), call.fields, call["secret_name"].upper()
    if sent.get("key_id") != str(call.repository.id):
        raise ApiError(422, "Invalid key_id")
    try:
        sealed = base64.b64decode(sent.get("encrypted_value", ""), validate=True)
        value = SealedBox(private_key(call.repository)).decrypt(sealed).decode()
    except (ValueError, CryptoError):
        raise ApiError(422, "Bad request - encrypted value is invalid") from None
    old = found.get(name)
    found[name] = Secret(name, value, old.created if old else call.now, call.now)
    return Answer(204) if old else Answer(201, {})


def delete_secret(call: Call) -> Answer:
    found = _secrets(call)
    del found[_kept(found, call["secret_name"]).name]
    return Answer(204)


for place in (ONE, "/repos/{owner}/{repo}/actions"):
    scope = "environments" if place == ONE else "secrets"
    route("GET", f"{place}/secrets", reads=scope, role="write")(list_secrets)
    route("GET", f"{place}/secrets/public-key", reads=scope, role="write")(public_key)
    route("GET", f"{place}/secrets/{{secret_name}}", reads=scope, role="write")(get_secret)
    route("PUT", f"{place}/secrets/{{secret_name}}", writes=scope)(put_secret)
    route("DELETE", f"{place}/secrets/{{secret_name}}", writes=scope)(delete_secret)


@route("GET", "/repos/{owner}/{repo}/actions/organization-secrets", reads="secrets", role="write")
def organization_secrets(call: Call) -> Answer:
    """Organisations of the lab share no secrets."""
    return Answer(200, {"total_count": 0, "secrets": []})
