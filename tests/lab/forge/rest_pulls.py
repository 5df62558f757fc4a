"""REST: pull requests, their reviews and whom they ask for one."""

from __future__ import annotations

from lab.forge import access, notices, pulls, views
from lab.forge.model import Issue, Pull, Review
from lab.forge.rest_commits import show_commit, show_files
from lab.forge.rest_issues import edit, own_or
from lab.forge.wire import Answer, ApiError, Call, not_found, route

PULL = "/repos/{owner}/{repo}/pulls/{pull_number}"
STATES = {"APPROVE": "APPROVED", "REQUEST_CHANGES": "CHANGES_REQUESTED", "COMMENT": "COMMENTED"}


def _found(call: Call) -> tuple[Issue, Pull]:
    issue = pulls.numbered(call.repository, call.number("pull_number"))
    return issue, pulls.pull_of(issue)


def _shown(call: Call, issue: Issue, status: int = 200) -> Answer:
    return Answer(status, views.pull(call.forge, call.repository, issue))


def _may_actions(call: Call) -> None:
    """Jobs open and approve pull requests only where a setting allows it."""
    if call.token.of_actions and not call.repository.settings.actions_may_open_pull_requests:
        raise ApiError(403, "GitHub Actions is not permitted to create or approve pull requests.")


@route("GET", "/repos/{owner}/{repo}/pulls", reads="pull-requests")
def list_pulls(call: Call) -> Answer:
    state, head, base = call.asked("state", "open"), call.asked("head"), call.asked("base")
    found = []
    for issue in call.repository.pulls():
        pull = pulls.pull_of(issue)
        label = f"{pull.head_slug.partition('/')[0]}:{pull.branch}"
        if state in ("all", issue.state) and head in ("", label) and base in ("", pull.base):
            found.append(issue)
    order = found if call.asked("direction") == "asc" else found[::-1]
    page = call.page(order)
    return Answer(200, [views.pull(call.forge, call.repository, one, whole=False) for one in page])


@route("POST", "/repos/{owner}/{repo}/pulls", writes="pull-requests")
def create_pull(call: Call) -> Answer:
    _may_actions(call)
    return _shown(call, pulls.open_pull(call.forge, call.repository, call.token, call.fields), 201)


@route("GET", PULL, reads="pull-requests")
def get_pull(call: Call) -> Answer:
    return _shown(call, _found(call)[0])


@route("PATCH", PULL, writes="pull-requests")
def edit_pull(call: Call) -> Answer:
    issue, _ = _found(call)
    own_or(call, issue.author, "Repository")
    edit(call, issue, {name: value for name, value in call.fields.items() if name != "labels"})
    return _shown(call, issue)


@route("GET", f"{PULL}/commits", reads="pull-requests")
def pull_commits(call: Call) -> Answer:
    _, pull = _found(call)
    found = call.repository.store.log("--reverse", "--topo-order", f"{pull.base_commit}..{pull.head}")
    return Answer(200, [show_commit(call, oid) for oid in call.page(found[:250])])


@route("GET", f"{PULL}/files", reads="pull-requests")
def pull_files(call: Call) -> Answer:
    _, pull = _found(call)
    return Answer(200, call.page(show_files(call, pull.base_commit, pull.head)))


@route("GET", f"{PULL}/merge", reads="pull-requests")
def is_merged(call: Call) -> Answer:
    if not _found(call)[1].merged:
        raise not_found()
    return Answer(204)


@route("PUT", f"{PULL}/merge", writes="contents", role="write")
def merge(call: Call) -> Answer:
    issue, _ = _found(call)
    new = pulls.merge(call.forge, call.repository, issue, call.token, call.fields)
    return Answer(200, {"sha": new, "merged": True, "message": "Pull Request successfully merged"})


# ------------------------------------------------------ whom to ask for one


@route("GET", f"{PULL}/requested_reviewers", reads="pull-requests")
def requested(call: Call) -> Answer:
    logins = _found(call)[1].requested
    return Answer(200, {"users": [views.account(call.forge, login) for login in logins], "teams": []})


@route("POST", f"{PULL}/requested_reviewers", writes="pull-requests", role="triage")
def request_reviewers(call: Call) -> Answer:
    """All or nobody: one who cannot be asked spoils the request for all."""
    issue, pull = _found(call)
    wanted = list(call.fields.get("reviewers") or [])
    if any(login.lower() == issue.author.lower() for login in wanted):
        raise ApiError(422, "Review cannot be requested from pull request author.")
    if any(call.repository.role(login) is None for login in wanted):
        said = (
            "Reviews may only be requested from collaborators. One or more of the users or teams you "
            f"specified is not a collaborator of the {call.repository.slug} repository."
        )
        raise ApiError(422, said)
    for login in wanted:
        known = call.forge.account(login).login
        if known not in pull.requested:
            pull.requested.append(known)
    return Answer(201, views.pull(call.forge, call.repository, issue, whole=False))


@route("DELETE", f"{PULL}/requested_reviewers", writes="pull-requests", role="triage")
def unrequest_reviewers(call: Call) -> Answer:
    issue, pull = _found(call)
    gone = {login.lower() for login in call.fields.get("reviewers") or []}
    pull.requested = [login for login in pull.requested if login.lower() not in gone]
    return Answer(200, views.pull(call.forge, call.repository, issue, whole=False))


# ------------------------------------------------------------------ reviews


def _reviews(call: Call) -> list[Review]:
    """What the caller may see: a pending review is its author's alone."""
    login = call.request.token.login if call.request.token else None
    return [one for one in _found(call)[1].reviews if one.state != "PENDING" or one.author == login]


def _review(call: Call) -> Review:
    wanted = call.number("review_id")
    found = next((one for one in _reviews(call) if one.id == wanted), None)
    if found is None:
        raise not_found()
    return found


def _show(call: Call, review: Review) -> Answer:
    return Answer(200, views.review(call.forge, call.repository, _found(call)[0], review))


def _tell(call: Call, review: Review, action: str) -> None:
    issue, _ = _found(call)
    call.forge.emit(notices.review(call.forge, call.repository, issue, review, action, call.token))


@route("GET", f"{PULL}/reviews", reads="pull-requests")
def list_reviews(call: Call) -> Answer:
    issue, _ = _found(call)
    page = call.page(_reviews(call))
    return Answer(200, [views.review(call.forge, call.repository, issue, one) for one in page])


@route("POST", f"{PULL}/reviews", writes="pull-requests")
def create_review(call: Call) -> Answer:
    issue, pull = _found(call)
    event = call.fields.get("event")
    review = Review(
        call.forge.new_id(), call.login, call.fields.get("body") or "", "PENDING",
        call.fields.get("commit_id") or pull.head, None,
    )  # fmt: skip
    if event:
        _submit(call, issue, pull, review, event)
    pull.reviews.append(review)
    if event:
        _tell(call, review, "submitted")
    return _show(call, review)


@route("POST", f"{PULL}/reviews/{{review_id}}/events", writes="pull-requests")
def submit_review(call: Call) -> Answer:
    issue, pull = _found(call)
    review = _review(call)
    review.body = call.fields.get("body") or review.body
    _submit(call, issue, pull, review, call.fields.get("event"))
    _tell(call, review, "submitted")
    return _show(call, review)


def _submit(call: Call, issue: Issue, pull: Pull, review: Review, event: str | None) -> None:
    state = STATES.get(event or "")
    if state is None:
        raise ApiError(422, "Unprocessable Entity", ["Event is not one of APPROVE, REQUEST_CHANGES, COMMENT"])
    own = review.author == issue.author
    if state == "APPROVED":
        _may_actions(call)
        if own:
            raise ApiError(422, "Unprocessable Entity", ["Can not approve your own pull request"])
    if state == "CHANGES_REQUESTED" and own:
        raise ApiError(422, "Unprocessable Entity", ["Can not request changes on your own pull request"])
    if state != "APPROVED" and not review.body:
        raise ApiError(422, "Unprocessable Entity", ["Body can't be blank"])
    review.state, review.submitted = state, call.now  # type: ignore[assignment]
    pull.requested = [login for login in pull.requested if login != review.author]


@route("GET", f"{PULL}/reviews/{{review_id}}", reads="pull-requests")
def get_review(call: Call) -> Answer:
    return _show(call, _review(call))


@route("PUT", f"{PULL}/reviews/{{review_id}}", writes="pull-requests")
def edit_review(call: Call) -> Answer:
    """Its author may edit a review, and so may everybody who can write; GitHub remembers who did."""
    review = _review(call)
    own_or(call, review.author, "Repository")
    review.body, review.editor, review.edited = call.fields.get("body") or "", call.login, call.now
    _tell(call, review, "edited")
    return _show(call, review)


@route("DELETE", f"{PULL}/reviews/{{review_id}}", writes="pull-requests")
def delete_review(call: Call) -> Answer:
    review = _review(call)
    if review.state != "PENDING":
        raise ApiError(422, "Unprocessable Entity", ["Can not delete a non-pending pull request review"])
    _found(call)[1].reviews.remove(review)
    return _show(call, review)


@route("PUT", f"{PULL}/reviews/{{review_id}}/dismissals", writes="pull-requests", role="write")
def dismiss_review(call: Call) -> Answer:
    review = _review(call)
    access.demand(call.token, "pull-requests")
    if review.state not in ("APPROVED", "CHANGES_REQUESTED"):
        raise ApiError(422, "Unprocessable Entity", ["Can not dismiss a commented pull request review"])
    review.state = "DISMISSED"
    _tell(call, review, "dismissed")
    return _show(call, review)
