"""REST: commit statuses, check runs and the activity log."""

from __future__ import annotations

from lab.forge import views
from lab.forge.model import Activity, CheckRun, Repository, Status
from lab.forge.rest_commits import find_commit
from lab.forge.wire import Answer, ApiError, Call, invalid, route

STATES = ("error", "failure", "pending", "success")
LONGEST_DESCRIPTION = 140
MOST_OF_A_CONTEXT = 1000
PERIODS = ("day", "week", "month", "quarter", "year")


def _status(call: Call, status: Status) -> views.View:
    at = views.stamp(status.created)
    creator = views.account(call.forge, status.creator)
    return {
        "id": status.id,
        "node_id": f"SC_{status.id}",
        "url": f"{call.forge.api}/repos/{call.repository.slug}/statuses/{status.commit}",
        "avatar_url": creator["avatar_url"],
        "state": status.state,
        "context": status.context,
        "description": status.description,
        "target_url": status.url,
        "creator": creator,
        "created_at": at,
        "updated_at": at,
    }


@route("POST", "/repos/{owner}/{repo}/statuses/{sha}", writes="statuses")
def create_status(call: Call) -> Answer:
    sent, commit = call.fields, call["sha"]
    if call.repository.store.commit_of(commit) != commit:
        raise ApiError(422, f"No commit found for SHA: {commit}")
    if sent.get("state") not in STATES:
        raise invalid("Status", "custom", name="state", message="state is not included in the list")
    if len(sent.get("description") or "") > LONGEST_DESCRIPTION:
        said = "description is too long (maximum is 140 characters)"
        raise invalid("Status", "custom", name="description", message=said)
    context = sent.get("context") or "default"
    same = [one for one in call.repository.statuses if (one.commit, one.context) == (commit, context)]
    if len(same) >= MOST_OF_A_CONTEXT:
        said = "This SHA and context has reached the maximum number of statuses."
        raise invalid("Status", "custom", message=said)
    status = Status(
        id=call.forge.new_id(),
        commit=commit,
        context=context,
        state=sent["state"],
        description=sent.get("description"),
        url=sent.get("target_url"),
        creator=call.login,
        created=call.now,
    )
    call.repository.statuses.append(status)
    return Answer(201, _status(call, status))


def _newest_first(call: Call) -> list[Status]:
    commit = find_commit(call, call["ref"])
    return [one for one in reversed(call.repository.statuses) if one.commit == commit]


LIST = "/repos/{owner}/{repo}/commits/{ref*}/statuses"


@route("GET", LIST, reads="statuses")
@route("GET", "/repos/{owner}/{repo}/statuses/{ref*}", reads="statuses", like=LIST)
def statuses(call: Call) -> Answer:
    return Answer(200, [_status(call, one) for one in call.page(_newest_first(call))])


@route("GET", "/repos/{owner}/{repo}/commits/{ref*}/status", reads="statuses")
def combined_status(call: Call) -> Answer:
    newest: dict[str, Status] = {}
    for status in _newest_first(call):
        newest.setdefault(status.context, status)
    states = {one.state for one in newest.values()}
    state = "pending" if not states or "pending" in states else "success"
    state = "failure" if states & {"failure", "error"} else state
    commit = find_commit(call, call["ref"])
    root = f"{call.forge.api}/repos/{call.repository.slug}/commits/{commit}"
    return Answer(200, {
        "state": state,
        "sha": commit,
        "total_count": len(newest),
        "statuses": [
            {name: value for name, value in _status(call, one).items() if name != "creator"}
            for one in call.page(list(newest.values()))
        ],
        "repository": views.repository(call.forge, call.repository),
        "commit_url": root,
        "url": f"{root}/status",
    })  # fmt: skip


# --------------------------------------------------------------- check runs


def _check_run(call: Call, run: CheckRun) -> views.View:
    root = f"{call.forge.api}/repos/{call.repository.slug}/check-runs/{run.id}"
    output = dict.fromkeys(("title", "summary", "text")) | dict(run.output)
    output |= {"annotations_count": 0, "annotations_url": f"{root}/annotations"}
    return {
        "id": run.id,
        "node_id": f"CR_{run.id}",
        "head_sha": run.commit,
        "name": run.name,
        "external_id": "",
        "url": root,
        "html_url": f"{call.forge.url}/{call.repository.slug}/runs/{run.id}",
        "details_url": run.url,
        "status": run.status,
        "conclusion": run.conclusion,
        "started_at": views.stamp(run.started),
        "completed_at": views.stamp(run.completed),
        "output": output,
        "check_suite": {"id": run.id},
        "app": None,
        "pull_requests": [],
    }


@route("POST", "/repos/{owner}/{repo}/check-runs", writes="checks")
def create_check_run(call: Call) -> Answer:
    if not call.token.of_job:
        raise ApiError(403, "You must authenticate via a GitHub App.")
    sent, now = call.fields, call.now
    done = sent.get("conclusion")
    run = CheckRun(
        id=call.forge.new_id(),
        commit=sent["head_sha"],
        name=sent["name"],
        status="completed" if done else sent.get("status", "queued"),
        conclusion=done,
        started=now,
        completed=now if done else None,
        url=sent.get("details_url"),
        output=sent.get("output") or {},
    )
    call.repository.check_runs.append(run)
    return Answer(201, _check_run(call, run))


@route("GET", "/repos/{owner}/{repo}/commits/{ref*}/check-runs", reads="checks")
def check_runs(call: Call) -> Answer:
    commit, name = find_commit(call, call["ref"]), call.asked("check_name")
    found = [one for one in call.repository.check_runs if one.commit == commit and name in ("", one.name)]
    shown = [_check_run(call, one) for one in call.page(found[::-1])]
    return Answer(200, {"total_count": len(found), "check_runs": shown})


# ----------------------------------------------------------------- activity


def _activity(call: Call, entry: Activity) -> views.View:
    return {
        "id": entry.id,
        "node_id": f"PSH_{entry.id}",
        "before": entry.before,
        "after": entry.after,
        "ref": entry.ref,
        "timestamp": views.stamp(entry.at),
        "activity_type": entry.kind,
        "actor": views.account(call.forge, entry.actor) if entry.actor.lower() in call.forge.users else None,
    }


@route("GET", "/repos/{owner}/{repo}/activity", reads="contents")
def activity(call: Call) -> Answer:
    """Pages by cursor: the id of the last entry that was shown."""
    found = _asked_for(call, call.repository)
    size = min(max(int(call.asked("per_page", "30")), 1), 100)
    after = call.asked("after")
    if after:
        found = [one for one in found if one.id < int(after.removeprefix("cursor-"))]
    if len(found) > size:
        call.link({"next": {"after": f"cursor-{found[size - 1].id}"}})
    return Answer(200, [_activity(call, one) for one in found[:size]])


def _asked_for(call: Call, repository: Repository) -> list[Activity]:
    ref, actor, kind = call.asked("ref"), call.asked("actor"), call.asked("activity_type")
    if call.asked("time_period", "day") not in PERIODS:
        raise ApiError(422, "Invalid time period")
    if ref and not ref.startswith("refs/"):
        ref = f"refs/heads/{ref}"
    newest = repository.activity if call.asked("direction") == "asc" else repository.activity[::-1]
    return [
        one
        for one in newest
        if ref in ("", one.ref) and actor.lower() in ("", one.actor.lower()) and kind in ("", one.kind)
    ]
