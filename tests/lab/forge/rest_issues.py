"""REST: issues, their comments and labels, for pull requests too."""

from __future__ import annotations

from typing import Any

from lab.forge import access, notices, pulls, views
from lab.forge.model import Comment, Issue
from lab.forge.wire import Answer, ApiError, Call, invalid, not_found, route

LONGEST = 65536
EITHER = "issues|pull-requests"


def _issue(call: Call) -> Issue:
    """The issue in the path; a job needs the permission of what it really is."""
    issue = pulls.numbered(call.repository, call.number("issue_number"))
    if call.request.method != "GET":
        access.demand(call.token, "pull-requests" if issue.pull else "issues")
    return issue


def _text(body: str | None, resource: str) -> str | None:
    if body is not None and len(body) > LONGEST:
        said = f"body is too long (maximum is {LONGEST} characters)"
        raise invalid(resource, "custom", name="body", message=said)
    return body


def own_or(call: Call, author: str, what: str) -> None:
    """Only authors and those who may write change what somebody wrote."""
    may = call.token.of_job or call.login == author or call.repository.at_least(call.login, "write")
    if not may:
        raise ApiError(403, f"Must have admin rights to {what}.")


@route("GET", "/repos/{owner}/{repo}/issues", reads="issues")
def issues(call: Call) -> Answer:
    state, creator = call.asked("state", "open"), call.asked("creator")
    wanted = [name.lower() for name in call.asked("labels").split(",") if name]
    found = [
        issue
        for issue in call.repository.issues.values()
        if state in ("all", issue.state)
        and creator.lower() in ("", issue.author.lower())
        and set(wanted) <= {name.lower() for name in issue.labels}
    ]
    order = found if call.asked("direction") == "asc" else found[::-1]
    return Answer(200, [views.issue(call.forge, call.repository, one) for one in call.page(order)])


@route("POST", "/repos/{owner}/{repo}/issues", writes="issues")
def create_issue(call: Call) -> Answer:
    sent = call.fields
    if not sent.get("title"):
        raise invalid("Issue", "missing_field", name="title")
    body = _text(sent.get("body"), "Issue")
    issue = pulls.new_issue(call.forge, call.repository, call.token, str(sent["title"]), body)
    issue.assignees = list(sent.get("assignees") or [])
    _label(call, issue, sent.get("labels") or [])
    return Answer(201, views.issue(call.forge, call.repository, issue))


@route("GET", "/repos/{owner}/{repo}/issues/{issue_number}", reads=EITHER)
def issue(call: Call) -> Answer:
    return Answer(200, views.issue(call.forge, call.repository, _issue(call)))


@route("PATCH", "/repos/{owner}/{repo}/issues/{issue_number}", writes=EITHER)
def edit_issue(call: Call) -> Answer:
    issue = _issue(call)
    own_or(call, issue.author, "Repository")
    edit(call, issue, call.fields)
    return Answer(200, views.issue(call.forge, call.repository, issue))


def edit(call: Call, issue: Issue, sent: dict[str, Any]) -> None:
    """Change title, body, labels or state of an issue or pull request."""
    if sent.get("title"):
        issue.title = sent["title"]
    if "body" in sent:
        issue.body = _text(sent["body"], "Issue")
    if "labels" in sent:
        issue.labels = []
        _label(call, issue, sent["labels"])
    issue.updated = call.now
    if sent.get("state") == "closed" and issue.state == "open":
        pulls.close(call.forge, call.repository, issue, call.token)
    if sent.get("state") == "open" and issue.state == "closed":
        pulls.reopen(call.forge, call.repository, issue, call.token)


# ----------------------------------------------------------------- comments


@route("GET", "/repos/{owner}/{repo}/issues/{issue_number}/comments", reads=EITHER)
def comments(call: Call) -> Answer:
    issue = _issue(call)
    page = call.page(issue.comments)
    return Answer(200, [views.comment(call.forge, call.repository, issue, one) for one in page])


@route("POST", "/repos/{owner}/{repo}/issues/{issue_number}/comments", writes=EITHER)
def create_comment(call: Call) -> Answer:
    issue, body = _issue(call), _text(call.fields.get("body"), "IssueComment")
    if not body:
        raise invalid("IssueComment", "missing_field", name="body")
    said = Comment(call.forge.new_id(), call.login, body, call.now, call.now)
    issue.comments.append(said)
    shown = views.comment(call.forge, call.repository, issue, said)
    payload = {"issue": views.issue(call.forge, call.repository, issue), "comment": shown}
    ref = f"refs/heads/{call.repository.default_branch}"
    call.forge.emit(notices.event(
        call.forge, call.repository, "issue_comment", call.token, payload,
        ref=ref, commit=call.repository.store.commit_of(ref) or "", action="created", number=issue.number,
    ))  # fmt: skip
    return Answer(201, shown)


def _comment(call: Call) -> tuple[Issue, Comment]:
    wanted = call.number("comment_id")
    for issue in call.repository.issues.values():
        for said in issue.comments:
            if said.id == wanted:
                return issue, said
    raise not_found()


@route("GET", "/repos/{owner}/{repo}/issues/comments/{comment_id}", reads=EITHER)
def comment(call: Call) -> Answer:
    return Answer(200, views.comment(call.forge, call.repository, *_comment(call)))


@route("PATCH", "/repos/{owner}/{repo}/issues/comments/{comment_id}", writes=EITHER)
def edit_comment(call: Call) -> Answer:
    issue, said = _own_comment(call)
    said.body, said.updated = _text(call.fields.get("body"), "IssueComment") or said.body, call.now
    return Answer(200, views.comment(call.forge, call.repository, issue, said))


@route("DELETE", "/repos/{owner}/{repo}/issues/comments/{comment_id}", writes=EITHER)
def delete_comment(call: Call) -> Answer:
    issue, said = _own_comment(call)
    issue.comments.remove(said)
    return Answer(204)


def _own_comment(call: Call) -> tuple[Issue, Comment]:
    issue, said = _comment(call)
    access.demand(call.token, "pull-requests" if issue.pull else "issues")
    own_or(call, said.author, "Repository")
    return issue, said


# ------------------------------------------------------------------- labels


def _label(call: Call, issue: Issue, names: list[Any]) -> None:
    """Put labels on; what is new to the repository is made, for which a job needs ``issues``."""
    for one in names:
        name = one["name"] if isinstance(one, dict) else str(one)
        if name.lower() not in call.repository.labels:
            if not call.token.of_job and not call.repository.at_least(call.login, "triage"):
                continue
            access.demand(call.token, "issues")
        made = pulls.have_label(call.forge, call.repository, name)
        if made.name not in issue.labels:
            issue.labels.append(made.name)


def _labels_of(call: Call, issue: Issue) -> list[views.View]:
    return [views.label(call.forge, call.repository, name) for name in issue.labels]


@route("GET", "/repos/{owner}/{repo}/labels", reads=EITHER)
def labels(call: Call) -> Answer:
    found = call.page(list(call.repository.labels))
    return Answer(200, [views.label(call.forge, call.repository, name) for name in found])


@route("POST", "/repos/{owner}/{repo}/labels", writes="issues", role="write")
def create_label(call: Call) -> Answer:
    name = call.fields.get("name", "")
    if name.lower() in call.repository.labels:
        raise invalid("Label", "already_exists", name="name")
    made = pulls.have_label(call.forge, call.repository, name, call.fields.get("color", "ededed"))
    made.description = call.fields.get("description")
    return Answer(201, views.label(call.forge, call.repository, name))


@route("GET", "/repos/{owner}/{repo}/labels/{name}", reads=EITHER)
def label(call: Call) -> Answer:
    if call["name"].lower() not in call.repository.labels:
        raise not_found()
    return Answer(200, views.label(call.forge, call.repository, call["name"]))


@route("GET", "/repos/{owner}/{repo}/issues/{issue_number}/labels", reads=EITHER)
def issue_labels(call: Call) -> Answer:
    return Answer(200, _labels_of(call, _issue(call)))


@route("POST", "/repos/{owner}/{repo}/issues/{issue_number}/labels", writes=EITHER, role="triage")
def add_labels(call: Call) -> Answer:
    issue, sent = _issue(call), call.sent
    _label(call, issue, sent if isinstance(sent, list) else sent.get("labels") or [])
    return Answer(200, _labels_of(call, issue))


@route("DELETE", "/repos/{owner}/{repo}/issues/{issue_number}/labels/{name}", writes=EITHER, role="triage")
def remove_label(call: Call) -> Answer:
    issue = _issue(call)
    kept = [name for name in issue.labels if name.lower() != call["name"].lower()]
    if len(kept) == len(issue.labels):
        raise not_found("Label does not exist")
    issue.labels = kept
    return Answer(200, _labels_of(call, issue))
