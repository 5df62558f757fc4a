"""REST: workflows, their runs, the two dispatches, what Actions may do, attestations."""

from __future__ import annotations

from lab.forge import notices, views
from lab.forge.model import Run, Workflow
from lab.forge.rest_commits import find_commit
from lab.forge.wire import Answer, ApiError, Call, not_found, route

WORKFLOWS = "/repos/{owner}/{repo}/actions/workflows"
ONE = f"{WORKFLOWS}/{{workflow_id}}"
FOLDER = ".github/workflows/"


def _workflows(call: Call) -> list[Workflow]:
    """Workflows with a file on the default branch; what a test or person switched off stays off."""
    repository = call.repository
    tip = repository.store.branch(repository.default_branch)
    found = []
    for path, _, _, _ in repository.store.files(tip, FOLDER) if tip else []:
        if path.endswith((".yml", ".yaml")):
            if path not in repository.workflows:
                now = call.now
                repository.workflows[path] = Workflow(call.forge.new_id(), path, "active", now, now)
            found.append(repository.workflows[path])
    return found


def _workflow(call: Call) -> Workflow:
    wanted = call["workflow_id"]
    for one in _workflows(call):
        if wanted in (str(one.id), one.path.removeprefix(FOLDER)):
            return one
    raise not_found()


def _show(call: Call, one: Workflow) -> views.View:
    root, page = f"{call.forge.api}/repos/{call.repository.slug}", f"{call.forge.url}/{call.repository.slug}"
    name = one.path.removeprefix(FOLDER)
    return {
        "id": one.id,
        "node_id": f"W_{one.id}",
        "name": name,
        "path": one.path,
        "state": one.state,
        "created_at": views.stamp(one.created),
        "updated_at": views.stamp(one.updated),
        "url": f"{root}/actions/workflows/{one.id}",
        "html_url": f"{page}/blob/{call.repository.default_branch}/{one.path}",
        "badge_url": f"{page}/workflows/{name}/badge.svg",
    }


@route("GET", WORKFLOWS, reads="actions")
def workflows(call: Call) -> Answer:
    found = _workflows(call)
    return Answer(
        200, {"total_count": len(found), "workflows": [_show(call, one) for one in call.page(found)]}
    )


@route("GET", ONE, reads="actions")
def workflow(call: Call) -> Answer:
    return Answer(200, _show(call, _workflow(call)))


@route("PUT", f"{ONE}/enable", writes="actions")
def enable(call: Call) -> Answer:
    one = _workflow(call)
    one.state, one.updated = "active", call.now
    return Answer(204)


@route("PUT", f"{ONE}/disable", writes="actions")
def disable(call: Call) -> Answer:
    one = _workflow(call)
    one.state, one.updated = "disabled_manually", call.now
    return Answer(204)


@route("POST", f"{ONE}/dispatches", writes="actions")
def dispatch_workflow(call: Call) -> Answer:
    one, sent = _workflow(call), call.fields
    name = str(sent.get("ref", "")).removeprefix("refs/heads/")
    commit = call.repository.store.branch(name)
    if commit is None:
        raise ApiError(422, f"No ref found for: {sent.get('ref')}")
    if one.state != "active":
        raise ApiError(422, "Cannot trigger a 'workflow_dispatch' on a disabled workflow")
    text = (call.repository.store.blob(commit, one.path) or b"").decode(errors="replace")
    if "workflow_dispatch" not in text:
        raise ApiError(422, "Workflow does not have 'workflow_dispatch' trigger")
    ref = f"refs/heads/{name}"
    payload = {"inputs": sent.get("inputs") or {}, "ref": ref, "workflow": one.path}
    call.forge.emit(notices.event(
        call.forge, call.repository, "workflow_dispatch", call.token, payload,
        ref=ref, commit=commit, workflow=one.path.removeprefix(FOLDER),
    ))  # fmt: skip
    return Answer(204)


@route("POST", "/repos/{owner}/{repo}/dispatches", writes="contents")
def dispatch_repository(call: Call) -> Answer:
    sent, branch = call.fields, call.repository.default_branch
    kind = sent.get("event_type")
    if not kind:
        raise ApiError(422, 'Invalid request.\n\n"event_type" wasn\'t supplied.')
    payload = {"branch": branch, "client_payload": sent.get("client_payload") or {}}
    call.forge.emit(notices.event(
        call.forge, call.repository, "repository_dispatch", call.token, payload,
        ref=f"refs/heads/{branch}", commit=find_commit(call, branch), action=kind,
    ))  # fmt: skip
    return Answer(204)


# --------------------------------------------------------------------- runs


def _run(call: Call, run: Run) -> views.View:
    root, page = f"{call.forge.api}/repos/{call.repository.slug}", f"{call.forge.url}/{call.repository.slug}"
    url, at = f"{root}/actions/runs/{run.id}", views.stamp(run.created)
    kept = views.repository(call.forge, call.repository)
    made = call.repository.store.commit(run.commit)
    path = f"{FOLDER}{run.workflow}"
    known = call.repository.workflows.get(path)
    return {
        "id": run.id,
        "node_id": f"WFR_{run.id}",
        "name": run.workflow,
        "display_title": made.message.partition("\n")[0],
        "path": path,
        "workflow_id": known.id if known else 0,
        "run_number": run.number,
        "run_attempt": 1,
        "event": run.event,
        "status": run.status,
        "conclusion": run.conclusion,
        "head_branch": run.branch,
        "head_sha": run.commit,
        "head_commit": {
            "id": made.id, "tree_id": made.tree, "message": made.message, "timestamp": at,
            "author": {"name": made.author[0], "email": made.author[1]},
            "committer": {"name": made.committer[0], "email": made.committer[1]},
        },
        "actor": views.account(call.forge, run.actor),
        "triggering_actor": views.account(call.forge, run.actor),
        "pull_requests": [],
        "created_at": at,
        "run_started_at": at,
        "updated_at": views.stamp(run.updated),
        "url": url,
        "html_url": f"{page}/actions/runs/{run.id}",
        "workflow_url": f"{root}/actions/workflows/{known.id if known else 0}",
        "check_suite_url": f"{root}/check-suites/{run.id}",
        **{f"{part}_url": f"{url}/{part}" for part in ("jobs", "logs", "cancel", "rerun", "artifacts")},
        "repository": kept,
        "head_repository": kept,
    }  # fmt: skip


def _list(call: Call, runs: list[Run]) -> Answer:
    branch, event, status = call.asked("branch"), call.asked("event"), call.asked("status")
    found = [
        one
        for one in reversed(runs)
        if branch in ("", one.branch)
        and event in ("", one.event)
        and status in ("", one.status, one.conclusion)
    ]
    return Answer(
        200, {"total_count": len(found), "workflow_runs": [_run(call, one) for one in call.page(found)]}
    )


@route("GET", "/repos/{owner}/{repo}/actions/runs", reads="actions")
def runs(call: Call) -> Answer:
    return _list(call, call.repository.runs)


@route("GET", "/repos/{owner}/{repo}/actions/runs/{run_id}", reads="actions")
def run(call: Call) -> Answer:
    wanted = call.number("run_id")
    found = next((one for one in call.repository.runs if one.id == wanted), None)
    if found is None:
        raise not_found()
    return Answer(200, _run(call, found))


@route("GET", f"{ONE}/runs", reads="actions")
def workflow_runs(call: Call) -> Answer:
    name = _workflow(call).path.removeprefix(FOLDER)
    return _list(call, [one for one in call.repository.runs if one.workflow == name])


# ------------------------------------------------------------ what they may


@route("GET", "/repos/{owner}/{repo}/actions/permissions", reads="administration", role="admin")
def actions_permissions(call: Call) -> Answer:
    settings = call.repository.settings
    shown = {"enabled": settings.actions_enabled, "sha_pinning_required": settings.sha_pinning_required}
    return Answer(
        200, shown | ({"allowed_actions": settings.allowed_actions} if settings.actions_enabled else {})
    )


@route("PUT", "/repos/{owner}/{repo}/actions/permissions", writes="administration")
def set_actions_permissions(call: Call) -> Answer:
    settings, sent = call.repository.settings, call.fields
    settings.actions_enabled = bool(sent["enabled"])
    settings.allowed_actions = sent.get("allowed_actions", settings.allowed_actions)
    settings.sha_pinning_required = bool(sent.get("sha_pinning_required", settings.sha_pinning_required))
    return Answer(204)


@route("GET", "/repos/{owner}/{repo}/actions/permissions/workflow", reads="administration", role="admin")
def token_permissions(call: Call) -> Answer:
    settings = call.repository.settings
    return Answer(200, {
        "default_workflow_permissions": settings.default_workflow_permissions,
        "can_approve_pull_request_reviews": settings.actions_may_open_pull_requests,
    })  # fmt: skip


@route("PUT", "/repos/{owner}/{repo}/actions/permissions/workflow", writes="administration")
def set_token_permissions(call: Call) -> Answer:
    settings, sent = call.repository.settings, call.fields
    kept = settings.default_workflow_permissions
    settings.default_workflow_permissions = sent.get("default_workflow_permissions", kept)
    may = sent.get("can_approve_pull_request_reviews", settings.actions_may_open_pull_requests)
    settings.actions_may_open_pull_requests = bool(may)
    return Answer(204)


# ------------------------------------------------------------- attestations


@route("GET", "/repos/{owner}/{repo}/attestations/{subject_digest}", reads="attestations")
def attestations(call: Call) -> Answer:
    found = call.repository.attestations.get(call["subject_digest"], [])
    if not found:
        raise not_found()
    number = call.repository.id
    return Answer(
        200, {"attestations": [{"bundle": one, "repository_id": number} for one in call.page(found)]}
    )
