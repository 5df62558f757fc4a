"""The forge keeps its promises: PyGithub and git against it, each answer held to GitHub's own description."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from github import Auth, Github, GithubException, UnknownObjectException
from github.PullRequest import PullRequest
from github.Repository import Repository

from lab.clock import START, Clock
from lab.forge import Event, LabForge
from lab.forge_scene import (
    FILES,
    SLUG,
    WORKFLOW,
    Git,
    address,
    git_in,
    hub,
    person,
    populated,
    post,
    proposal,
    refused,
    repository,
    start_branch,
)

pytestmark = pytest.mark.lab


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def forge(tmp_path: Path, clock: Clock) -> Iterator[LabForge]:
    with populated(tmp_path / "forge", clock) as running:
        yield running


@pytest.fixture
def git(tmp_path: Path) -> Git:
    return git_in(tmp_path)


# ------------------------------------------------------------------ accounts


def test_people_have_numeric_ids_that_outlive_their_login(forge: LabForge) -> None:
    alice = hub(forge, "ghp_lab_alice")
    assert (alice.get_user().login, alice.get_user("bob").id) == ("alice", 102)
    forge.rename("bob", "robert")
    forge.user("bob")
    assert alice.get_user_by_id(102).login == "robert"
    assert alice.get_user("bob").id != 102
    assert person(forge, "alice").has_in_collaborators("robert")
    assert not person(forge, "alice").has_in_collaborators("bob")


def test_bad_credentials_are_401(forge: LabForge) -> None:
    assert "Bad credentials" in refused(401, hub(forge, "ghp_nonsense").get_repo, SLUG)


def test_private_repositories_are_404_for_strangers_and_403_for_jobs_without_the_scope(
    forge: LabForge,
) -> None:
    forge.create_repository("alice", "private", private=True, files=FILES)
    assert person(forge, "alice").owner.login == "alice"
    refused(404, repository, forge, "ghp_lab_mallory", "alice/private")
    inside = repository(forge, forge.mint("alice/private", {"contents": "read"}), "alice/private")
    assert inside.get_branch("main").commit.sha
    with pytest.raises(GithubException) as error:
        list(inside.get_pulls())
    assert error.value.status == 403
    assert error.value.headers["x-accepted-github-permissions"] == "pull_requests=read"
    elsewhere = forge.mint(SLUG, {"contents": "read"})
    refused(404, repository, forge, elsewhere, "alice/private")


JOBS_MAY: dict[str, tuple[str, Callable[[Repository, PullRequest], object]]] = {
    "comment": ("pull-requests", lambda repo, pull: pull.create_issue_comment("hi")),
    "issue": ("issues", lambda repo, pull: repo.create_issue("broken")),
    "review": ("pull-requests", lambda repo, pull: pull.create_review(body="seen", event="COMMENT")),
    "reviewer": ("pull-requests", lambda repo, pull: pull.create_review_request(["bob"])),
    "status": ("statuses", lambda repo, pull: repo.get_commit(pull.head.sha).create_status("success")),
    "release": ("contents", lambda repo, pull: repo.create_git_release("v1", "v1", "notes")),
    "wake": ("contents", lambda repo, pull: post(repo, "dispatches", event_type="wake")),
    "dispatch": (
        "actions",
        lambda repo, pull: repo.get_workflow("check.yml").create_dispatch("main", throw=True),
    ),
    "check": ("checks", lambda repo, pull: repo.create_check_run("c", pull.head.sha, status="queued")),
    "merge": ("contents", lambda repo, pull: pull.merge()),
    "open": ("pull-requests", lambda repo, pull: repo.create_pull(base="main", head="sign/two", title="Two")),
}


@pytest.mark.parametrize("what", JOBS_MAY)
def test_a_job_needs_exactly_the_scope_and_is_told_its_name(forge: LabForge, what: str) -> None:
    scope, act = JOBS_MAY[what]
    pull = proposal(forge)
    forge.commit(SLUG, start_branch(forge, "sign/two"), {"two": b""}, "Two", author="alice")
    forge.repository(SLUG).settings.actions_may_open_pull_requests = True
    others = dict.fromkeys(("contents", "pull-requests", "issues", "statuses", "actions", "checks"), "write")
    others[scope] = "read"
    without = repository(forge, forge.mint(SLUG, others))
    with pytest.raises(GithubException) as error:
        act(without, without.get_pull(pull.number))
    assert error.value.status == 403
    assert error.value.data["message"] == "Resource not accessible by integration"
    assert f"{scope.replace('-', '_')}=write" in error.value.headers["x-accepted-github-permissions"]
    enough = repository(forge, forge.mint(SLUG, {scope: "write"}))
    act(enough, enough.get_pull(pull.number))


def test_jobs_open_pull_requests_only_where_the_setting_allows_it(forge: LabForge) -> None:
    forge.commit(SLUG, start_branch(forge, "sign/one"), {"one": b""}, "One", author="alice")
    job = repository(forge, forge.mint(SLUG, {"pull-requests": "write"}))
    said = refused(403, job.create_pull, base="main", head="sign/one", title="One")
    assert "not permitted to create or approve" in said
    forge.repository(SLUG).settings.actions_may_open_pull_requests = True
    assert job.create_pull(base="main", head="sign/one", title="One").user.login == "github-actions[bot]"


# ----------------------------------------------------------------------- git


def test_everybody_clones_what_is_public_and_only_writers_push(forge: LabForge, git: Git) -> None:
    git("clone", "-q", f"{forge.url}/{SLUG}.git", "clone")
    git("-C", "clone", "commit", "-q", "--allow-empty", "-m", "one")
    for who, fine in (("carol", False), ("bob", True)):
        url = address(forge, f"ghp_lab_{who}")
        pushed = git("-C", "clone", "push", "-q", url, "HEAD:refs/heads/topic", check=False)
        assert (pushed.returncode == 0) is fine
    assert forge.repository(SLUG).store.branch("topic")
    assert git("ls-remote", f"{forge.url}/alice/nowhere.git", check=False).returncode


def test_a_job_pushes_with_contents_write_but_no_workflow_files(
    forge: LabForge, git: Git, tmp_path: Path
) -> None:
    heard: list[Event] = []
    forge.listen(heard.append)
    git("clone", "-q", f"{forge.url}/{SLUG}.git", "clone")
    git("-C", "clone", "commit", "-q", "--allow-empty", "-m", "one")
    reader = address(forge, forge.mint(SLUG, {"contents": "read"}))
    assert git("-C", "clone", "push", reader, "HEAD:refs/heads/a", check=False).returncode
    writer = address(forge, forge.mint(SLUG, {"contents": "write"}))
    git("-C", "clone", "push", "-q", writer, "HEAD:refs/heads/a")
    assert [(event.name, event.ref, event.by_job) for event in heard] == [("push", "refs/heads/a", True)]
    (tmp_path / "clone" / WORKFLOW).write_text("on: push\n")
    git("-C", "clone", "commit", "-q", "-am", "workflow")
    pushed = git("-C", "clone", "push", writer, "HEAD:refs/heads/a", check=False)
    assert pushed.returncode
    assert f"refusing to allow a GitHub App to create or update workflow `{WORKFLOW}`" in pushed.stderr
    git("-C", "clone", "push", "-q", address(forge, "ghp_lab_bob"), "HEAD:refs/heads/a")
    assert heard[-1].by_job is False


def test_pull_requests_have_refs_that_follow_and_that_nobody_pushes(forge: LabForge, git: Git) -> None:
    pull = proposal(forge)
    forge.commit(SLUG, "sign/one", {"more": b""}, "More", author="alice")
    forge.commit(SLUG, "main", {"moved": b""}, "Moved", author="alice")
    listed = git("ls-remote", f"{forge.url}/{SLUG}.git").stdout.splitlines()
    refs = {line.split("\t")[1]: line.split("\t")[0] for line in listed}
    assert refs[f"refs/pull/{pull.number}/head"] == refs["refs/heads/sign/one"]
    merge = forge.repository(SLUG).store.commit(refs[f"refs/pull/{pull.number}/merge"])
    assert merge.parents == (refs["refs/heads/main"], refs["refs/heads/sign/one"])
    git("clone", "-q", f"{forge.url}/{SLUG}.git", "clone")
    url = address(forge, "ghp_lab_alice")
    assert git("-C", "clone", "push", url, "HEAD:refs/pull/9/head", check=False).returncode


# ------------------------------------------------------------- pull requests


def test_a_branch_has_one_open_pull_request_with_something_in_it(forge: LabForge) -> None:
    proposal(forge)
    alice = person(forge, "alice")
    assert "already exists" in refused(422, alice.create_pull, base="main", head="sign/one", title="Again")
    start_branch(forge, "sign/empty")
    assert "No commits" in refused(422, alice.create_pull, base="main", head="sign/empty", title="Empty")
    assert "head" in refused(422, alice.create_pull, base="main", head="sign/nowhere", title="None")


def test_the_head_follows_its_branch_and_listeners_hear_of_it(forge: LabForge) -> None:
    heard: list[Event] = []
    forge.listen(heard.append)
    pull = proposal(forge)
    new = forge.commit(SLUG, "sign/one", {"more": b""}, "More", author="bob")
    assert person(forge, "alice").get_pull(pull.number).head.sha == new
    pull.edit(state="closed")
    pull.edit(state="open")
    named = [(event.name, event.action, event.actor) for event in heard if event.name == "pull_request"]
    assert named == [
        ("pull_request", "opened", "alice"),
        ("pull_request", "synchronize", "bob"),
        ("pull_request", "closed", "alice"),
        ("pull_request", "reopened", "alice"),
    ]


def test_merging_makes_a_merge_commit_and_says_no_where_it_must(forge: LabForge) -> None:
    pull = proposal(forge)
    refused(409, pull.merge, sha="0" * 40)
    person(forge, "alice").edit(allow_squash_merge=False)
    refused(405, pull.merge, merge_method="squash")
    merged = pull.merge(merge_method="merge")
    commit = person(forge, "alice").get_commit(merged.sha)
    assert [parent.sha for parent in commit.parents][1] == pull.head.sha
    assert commit.author.login == "alice"
    again = person(forge, "alice").get_pull(pull.number)
    assert (again.merged, again.state, again.merge_commit_sha) == (True, "closed", merged.sha)
    refused(405, pull.merge)


def test_a_conflict_is_not_mergeable(forge: LabForge) -> None:
    pull = proposal(forge)
    forge.commit(SLUG, "main", {"sign/one.txt": b"2\n"}, "Other", author="alice")
    assert person(forge, "alice").get_pull(pull.number).mergeable is False
    refused(405, pull.merge)


def test_a_pull_request_is_merged_by_pushing_its_commits_to_the_base(forge: LabForge, git: Git) -> None:
    pull = proposal(forge)
    git("clone", "-q", f"{forge.url}/{SLUG}.git", "clone")
    git("-C", "clone", "push", "-q", address(forge, "ghp_lab_bob"), "origin/sign/one:refs/heads/main")
    done = person(forge, "alice").get_pull(pull.number)
    assert (done.merged, done.merged_by.login) == (True, "bob")


def test_a_pull_request_whose_branch_goes_back_is_closed_and_not_merged(forge: LabForge) -> None:
    pull = proposal(forge)
    store = forge.repository(SLUG).store
    main = store.branch("main") or ""
    person(forge, "alice").get_git_ref("heads/sign/one").edit(main, force=True)
    done = person(forge, "alice").get_pull(pull.number)
    assert (done.state, done.merged) == ("closed", False)


def test_a_pull_request_comes_from_a_fork_and_follows_it(forge: LabForge) -> None:
    forge.fork(SLUG, "mallory")
    forge.commit("mallory/updates", "topic", {"evil": b"1"}, "Evil", author="mallory")
    pull = person(forge, "mallory").create_pull(base="main", head="mallory:topic", title="Evil")
    new = forge.commit("mallory/updates", "topic", {"evil": b"2"}, "More", author="mallory")
    again = person(forge, "alice").get_pull(pull.number)
    assert (again.head.sha, again.head.repo.full_name) == (new, "mallory/updates")
    assert forge.repository(SLUG).store.refs(f"refs/pull/{pull.number}/head").popitem()[1] == new


def test_reviewers_are_asked_all_or_none(forge: LabForge) -> None:
    pull = proposal(forge)
    assert "collaborators" in refused(422, pull.create_review_request, ["bob", "mallory"])
    assert "author" in refused(422, pull.create_review_request, ["alice"])
    assert not person(forge, "alice").get_pull(pull.number).requested_reviewers
    pull.create_review_request(["bob"])
    asked = person(forge, "alice").get_pull(pull.number).requested_reviewers
    assert [one.login for one in asked] == ["bob"]
    person(forge, "bob").get_pull(pull.number).create_review(event="APPROVE")
    assert not person(forge, "alice").get_pull(pull.number).requested_reviewers


# ------------------------------------------------------------------- reviews

EDITS = """
query($owner: String!, $name: String!, $number: Int!, $after: String) {
  repository(owner: $owner, name: $name) { pullRequest(number: $number) {
    reviews(first: 2, after: $after) {
      pageInfo { hasNextPage endCursor }
      nodes { databaseId lastEditedAt editor { login ... on User { databaseId } } author { login } }
    } } } }
"""


def test_reviews_page_through_graphql_with_who_edited_them(forge: LabForge, clock: Clock) -> None:
    pull = proposal(forge)
    seen = person(forge, "carol").get_pull(pull.number)
    made = [seen.create_review(body=f"review {number}", event="COMMENT") for number in range(3)]
    clock.move(timedelta(minutes=5))
    requester = hub(forge, "ghp_lab_bob").requester
    requester.requestJsonAndCheck("PUT", f"{pull.url}/reviews/{made[1].id}", input={"body": "changed"})
    found: list[dict[str, object]] = []
    after, more = None, True
    while more:
        names = {"owner": "alice", "name": "updates", "number": pull.number, "after": after}
        _, answer = requester.graphql_query(EDITS, names)
        page = answer["data"]["repository"]["pullRequest"]["reviews"]
        found += page["nodes"]
        more, after = page["pageInfo"]["hasNextPage"], page["pageInfo"]["endCursor"]
    assert [one["databaseId"] for one in found] == [one.id for one in made]
    assert found[1]["editor"] == {"login": "bob", "databaseId": 102}
    assert found[1]["lastEditedAt"] == (START + timedelta(minutes=5)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert found[0]["editor"] is None


def test_graphql_says_what_the_schema_does_not_have(forge: LabForge) -> None:
    requester = hub(forge, "ghp_lab_bob").requester
    with pytest.raises(GithubException, match="doesn't exist on type 'Repository'"):
        requester.graphql_query('{ repository(owner: "alice", name: "updates") { nonsense } }', {})
    with pytest.raises(UnknownObjectException):
        requester.graphql_query('{ repository(owner: "alice", name: "nowhere") { id } }', {})


def test_nobody_approves_what_is_their_own(forge: LabForge) -> None:
    pull = proposal(forge)
    assert "own pull request" in refused(422, pull.create_review, event="APPROVE")
    pull.create_review(body="a comment is fine", event="COMMENT")


def test_a_review_is_edited_dismissed_and_gone(forge: LabForge) -> None:
    heard: list[Event] = []
    pull = proposal(forge)
    forge.listen(heard.append)
    review = person(forge, "bob").get_pull(pull.number).create_review(body="fine", event="APPROVE")
    refused(422, review.delete)
    refused(403, hub(forge, "ghp_lab_mallory").requester.requestJsonAndCheck,
            "PUT", f"{pull.url}/reviews/{review.id}", input={"body": "x"})  # fmt: skip
    pull.get_review(review.id).dismiss("no longer")
    assert pull.get_review(review.id).state == "DISMISSED"
    assert [(event.name, event.action) for event in heard] == [
        ("pull_request_review", "submitted"),
        ("pull_request_review", "dismissed"),
    ]
    forge.remove_review(SLUG, pull.number, review.id)
    assert not list(pull.get_reviews())


def test_a_pending_review_is_its_authors_alone(forge: LabForge) -> None:
    pull = proposal(forge)
    mine = person(forge, "bob").get_pull(pull.number)
    review = mine.create_review(body="not yet")
    assert review.state == "PENDING"
    assert not list(pull.get_reviews())
    review.delete()
    assert not list(mine.get_reviews())


# ------------------------------------------------------ issues and statuses


def test_lists_come_in_pages_that_link_to_each_other(forge: LabForge) -> None:
    pull = proposal(forge)
    for number in range(5):
        pull.create_issue_comment(f"comment {number}")
    few = Github(base_url=forge.api, auth=Auth.Token("ghp_lab_bob"), per_page=2, seconds_between_requests=0)
    before = len(forge.calls("GET", "/comments"))
    found = [one.body for one in few.get_repo(SLUG).get_issue(pull.number).get_comments()]
    assert found == [f"comment {number}" for number in range(5)]
    assert len(forge.calls("GET", "/comments")) - before == 3


def test_comments_are_changed_by_their_author_or_a_writer(forge: LabForge) -> None:
    pull = proposal(forge)
    said = person(forge, "carol").get_issue(pull.number).create_comment("mine")
    refused(403, person(forge, "mallory").get_issue(pull.number).get_comment(said.id).edit, "taken")
    person(forge, "bob").get_issue(pull.number).get_comment(said.id).edit("put right")
    assert person(forge, "carol").get_issue(pull.number).get_comment(said.id).body == "put right"
    assert "too long" in refused(422, pull.create_issue_comment, "x" * 70000)


def test_labels_and_issues_come_and_go(forge: LabForge) -> None:
    pull = proposal(forge)
    pull.add_to_labels("signing", "ready")
    pull.remove_from_labels("ready")
    refused(404, pull.remove_from_labels, "ready")
    assert [one.name for one in pull.get_labels()] == ["signing"]
    issue = person(forge, "alice").create_issue("Broken", body="text", labels=["signing"])
    assert [one.number for one in person(forge, "alice").get_issues(labels=["signing"])] == [issue.number, 1]
    issue.edit(state="closed")
    assert [one.number for one in person(forge, "alice").get_issues()] == [1]


def test_a_job_makes_new_labels_only_with_the_issues_scope(forge: LabForge) -> None:
    pull = proposal(forge)
    job = repository(forge, forge.mint(SLUG, {"pull-requests": "write"})).get_pull(pull.number)
    refused(403, job.add_to_labels, "unheard of")
    person(forge, "alice").create_label("known", "00ff00")
    job.add_to_labels("known")


def test_the_newest_status_of_a_context_counts(forge: LabForge) -> None:
    pull = proposal(forge)
    commit = person(forge, "bob").get_commit(pull.head.sha)
    for state in ("pending", "failure", "success"):
        commit.create_status(state, "https://example.com", f"it is {state}", "keyturn")
    assert [one.state for one in commit.get_statuses()] == ["success", "failure", "pending"]
    combined = commit.get_combined_status()
    assert (combined.state, combined.total_count) == ("success", 1)
    assert "140" in refused(422, commit.create_status, "success", "", "x" * 141, "keyturn")


def test_activity_knows_who_pushed_whatever_the_commit_says(forge: LabForge, git: Git) -> None:
    git("clone", "-q", f"{forge.url}/{SLUG}.git", "clone")
    for number in range(3):
        git(
            "-C",
            "clone",
            "commit",
            "-q",
            "--allow-empty",
            "--author=alice <alice@example.com>",
            "-m",
            str(number),
        )
        git("-C", "clone", "push", "-q", address(forge, "ghp_lab_bob"), "HEAD:refs/heads/sign/one")
    bob = hub(forge, "ghp_lab_bob").requester
    found: list[dict[str, object]] = []
    url: str | None = f"{forge.api}/repos/{SLUG}/activity?ref=sign/one&per_page=2"
    while url:
        headers, page = bob.requestJsonAndCheck("GET", url)
        found += page  # type: ignore[arg-type]
        link = str(headers.get("link", ""))
        url = link.partition("<")[2].partition(">")[0] or None
    assert [one["activity_type"] for one in found] == ["push", "push", "branch_creation"]
    assert {one["actor"]["login"] for one in found} == {"bob"}  # type: ignore[index]
    assert found[0]["before"] == found[1]["after"]
