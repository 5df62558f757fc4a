"""The forge, second half: rules, releases, settings, Actions, and the bad days that tests order."""

from __future__ import annotations

import hashlib
import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import requests
from github import GithubException

from lab.clock import START, Clock
from lab.forge import Event, LabForge
from lab.forge.access import SCOPES
from lab.forge.contract import ContractError
from lab.forge.faults import Kind
from lab.forge.wire import Json
from lab.forge_scene import (
    SLUG,
    WORKFLOW,
    Git,
    address,
    call,
    git_in,
    hub,
    person,
    populated,
    proposal,
    refused,
    repository,
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


# --------------------------------------------------------------------- rules

RULES = {
    "name": "keyturn",
    "target": "branch",
    "enforcement": "active",
    "conditions": {"ref_name": {"include": ["~DEFAULT_BRANCH"], "exclude": []}},
    "bypass_actors": [],
    "rules": [
        {"type": "deletion"},
        {"type": "non_fast_forward"},
        {
            "type": "pull_request",
            "parameters": {
                "allowed_merge_methods": ["merge"],
                "required_approving_review_count": 0,
                "dismiss_stale_reviews_on_push": False,
                "require_code_owner_review": False,
                "require_last_push_approval": False,
                "required_review_thread_resolution": False,
            },
        },
        {
            "type": "required_status_checks",
            "parameters": {
                "strict_required_status_checks_policy": True,
                "required_status_checks": [{"context": "keyturn", "integration_id": 15368}],
            },
        },
    ],
}


def protect(forge: LabForge, **changed: object) -> Json:
    return call(person(forge, "alice"), "POST", "rulesets", **{**RULES, **changed})


def say(forge: LabForge, commit: str, state: str = "success") -> None:
    """The status that only a job of GitHub Actions can give."""
    job = repository(forge, forge.mint(SLUG, {"statuses": "write"}))
    job.get_commit(commit).create_status(state, "", "", "keyturn")


def test_a_merge_needs_the_check_from_the_right_source_and_a_branch_that_is_up_to_date(
    forge: LabForge,
) -> None:
    protect(forge)
    pull = proposal(forge)
    assert 'Required status check "keyturn" is expected' in refused(405, pull.merge)
    person(forge, "bob").get_commit(pull.head.sha).create_status("success", "", "", "keyturn")
    assert 'Required status check "keyturn" is expected' in refused(405, pull.merge)
    say(forge, pull.head.sha)
    refused(405, pull.merge, merge_method="squash")
    forge.commit(SLUG, "main", {"moved": b""}, "Moved", author="alice")
    assert "out of date" in refused(405, pull.merge)
    behind = person(forge, "alice").get_pull(pull.number)
    assert behind.mergeable_state == "behind"


def test_a_green_pull_request_is_merged_past_the_rules(forge: LabForge) -> None:
    protect(forge)
    pull = proposal(forge)
    say(forge, pull.head.sha, "failure")
    refused(405, pull.merge)
    say(forge, pull.head.sha)
    assert pull.merge().merged


def test_nobody_pushes_past_the_rules_but_who_may_bypass_them(
    forge: LabForge,
    git: Git,
) -> None:
    made = protect(forge)
    git("clone", "-q", f"{forge.url}/{SLUG}.git", "clone")
    git("-C", "clone", "commit", "-q", "--allow-empty", "-m", "one")
    alice = address(forge, "ghp_lab_alice")
    pushed = git("-C", "clone", "push", alice, "HEAD:refs/heads/main", check=False)
    assert pushed.returncode
    assert "GH013: Repository rule violations found for refs/heads/main." in pushed.stderr
    assert "Changes must be made through a pull request." in pushed.stderr
    git("-C", "clone", "push", "-q", alice, "HEAD:refs/heads/topic")
    passing = [{"actor_id": 5, "actor_type": "RepositoryRole", "bypass_mode": "always"}]
    call(person(forge, "alice"), "PUT", f"rulesets/{made['id']}", bypass_actors=passing)
    bob = address(forge, "ghp_lab_bob")
    assert git("-C", "clone", "push", bob, "HEAD:refs/heads/main", check=False).returncode
    git("-C", "clone", "push", "-q", alice, "HEAD:refs/heads/main")


def test_history_stays_where_force_pushes_are_forbidden(
    forge: LabForge,
    git: Git,
) -> None:
    protect(forge, rules=[{"type": "non_fast_forward"}, {"type": "deletion"}])
    git("clone", "-q", f"{forge.url}/{SLUG}.git", "clone")
    git("-C", "clone", "commit", "-q", "--amend", "-m", "another")
    url = address(forge, "ghp_lab_alice")
    assert git("-C", "clone", "push", "--force", url, "HEAD:main", check=False).returncode
    assert git("-C", "clone", "push", url, ":main", check=False).returncode


def test_rulesets_are_listed_and_tell_who_may_pass_to_administrators_only(forge: LabForge) -> None:
    made = protect(forge)
    alice, bob = person(forge, "alice"), person(forge, "bob")
    assert [one["name"] for one in call(bob, "GET", "rulesets")] == ["keyturn"]
    assert "bypass_actors" not in call(bob, "GET", f"rulesets/{made['id']}")
    assert call(alice, "GET", f"rulesets/{made['id']}")["bypass_actors"] == []
    kinds = [one["type"] for one in call(bob, "GET", "rules/branches/main")]
    assert kinds == ["deletion", "non_fast_forward", "pull_request", "required_status_checks"]
    refused(403, call, bob, "POST", "rulesets", **RULES)
    refused(422, call, alice, "POST", "rulesets", **RULES)
    call(alice, "DELETE", f"rulesets/{made['id']}")
    assert call(bob, "GET", "rules/branches/main") == []


# ------------------------------------------------------------------ releases


def test_a_draft_has_no_tag_until_it_is_published(forge: LabForge) -> None:
    heard: list[Event] = []
    alice = person(forge, "alice")
    draft = alice.create_git_release("v1", "One", "notes", draft=True, prerelease=True)
    forge.listen(heard.append)
    assert not list(alice.get_tags())
    assert not list(person(forge, "carol").get_releases())
    refused(404, person(forge, "alice").get_release, "v1")
    draft.update_release("One", "notes", draft=False, prerelease=True)
    assert [one.name for one in alice.get_tags()] == ["v1"]
    assert alice.get_release("v1").prerelease
    assert [(event.name, event.action) for event in heard] == [
        ("push", None), ("release", "published"), ("release", "edited"),
    ]  # fmt: skip
    refused(422, alice.create_git_release, "v1", "Again", "")
    alice.get_release("v1").delete_release()
    assert [one.name for one in alice.get_tags()] == ["v1"]


def test_files_have_digests_tame_names_and_a_signed_address(
    forge: LabForge, clock: Clock, tmp_path: Path
) -> None:
    alice = person(forge, "alice")
    draft = alice.create_git_release("v1", "One", "notes", draft=True)
    file = tmp_path / "app (x86) ü.zip"
    file.write_bytes(b"content" * 100)
    asset = draft.upload_asset(str(file), name=file.name, content_type="application/zip")
    assert asset.name == "app.x86.zip"
    assert asset.raw_data["digest"] == f"sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}"
    refused(422, draft.upload_asset, str(file), name=file.name)
    page = f"{forge.url}/{SLUG}/releases/download/v1/{asset.name}"
    assert requests.get(page, timeout=5).status_code == 404
    draft.update_release("One", "notes", draft=False)
    first = requests.get(page, allow_redirects=False, timeout=5)
    assert first.status_code == 302
    assert requests.get(page, timeout=5).content == file.read_bytes()
    clock.move(timedelta(minutes=6))
    assert requests.get(first.headers["location"], timeout=5).status_code == 403
    asset.delete_asset()
    assert not list(alice.get_release("v1").get_assets())


def test_the_files_of_a_draft_are_read_through_the_api_by_writers_only(
    forge: LabForge, tmp_path: Path
) -> None:
    alice = person(forge, "alice")
    file = tmp_path / "app.bin"
    file.write_bytes(b"content")
    asset = alice.create_git_release("v1", "One", "", draft=True).upload_asset(str(file))
    bytes_only = {"Accept": "application/octet-stream"}
    for token, status in (
        (forge.mint(SLUG, {"contents": "write"}), 200),
        (forge.mint(SLUG, {"contents": "read"}), 404),
    ):
        headers = {**bytes_only, "Authorization": f"Bearer {token}"}
        assert requests.get(asset.url, headers=headers, timeout=5).status_code == status


# ------------------------------------------------------------------- actions


def test_dispatches_reach_listeners_even_from_jobs(forge: LabForge) -> None:
    heard: list[Event] = []
    forge.listen(heard.append)
    job = repository(forge, forge.mint(SLUG, {"actions": "write", "contents": "write"}))
    workflow = job.get_workflow("check.yml")
    workflow.create_dispatch("main", {"what": "all"}, throw=True)
    job.create_repository_dispatch("wake", {"tag": "v1"})
    assert [(event.name, event.by_job, event.workflow, event.action) for event in heard] == [
        ("workflow_dispatch", True, "check.yml", None),
        ("repository_dispatch", True, None, "wake"),
    ]
    assert heard[0].payload["inputs"] == {"what": "all"}
    assert heard[1].payload["client_payload"] == {"tag": "v1"}
    refused(422, workflow.create_dispatch, "nowhere", throw=True)


def test_workflows_are_switched_and_their_runs_are_listed(forge: LabForge) -> None:
    alice = person(forge, "alice")
    workflow = next(iter(alice.get_workflows()))
    assert (workflow.path, workflow.state) == (WORKFLOW, "active")
    assert workflow.disable()
    refused(422, workflow.create_dispatch, "main", throw=True)
    assert workflow.enable()
    heard: list[Event] = []
    forge.listen(heard.append)
    workflow.create_dispatch("main")
    run = forge.start_run(SLUG, "check.yml", heard[0], branch="main", commit=heard[0].commit)
    assert [(one.id, one.status, one.conclusion) for one in workflow.get_runs()] == [
        (run.id, "in_progress", None)
    ]
    forge.finish_run(run, "failure")
    assert alice.get_workflow_run(run.id).conclusion == "failure"


def test_attestations_are_what_a_test_put_there(forge: LabForge) -> None:
    bundle = {"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json"}
    forge.attest(SLUG, "ab" * 32, bundle)
    found = call(person(forge, "carol"), "GET", f"attestations/sha256:{'ab' * 32}")
    assert [one["bundle"] for one in found["attestations"]] == [bundle]
    refused(404, call, person(forge, "carol"), "GET", f"attestations/sha256:{'cd' * 32}")


# ------------------------------------------------------------------ settings


def test_environments_hold_branch_rules_variables_and_secrets(forge: LabForge) -> None:
    alice = person(forge, "alice")
    policy = {"protected_branches": False, "custom_branch_policies": True}
    call(alice, "PUT", "environments/keyturn", deployment_branch_policy=policy)
    call(alice, "POST", "environments/keyturn/deployment-branch-policies", name="main")
    shown = call(alice, "GET", "environments/keyturn")
    assert [rule["type"] for rule in shown["protection_rules"]] == ["branch_policy"]
    listed = call(alice, "GET", "environments/keyturn/deployment-branch-policies")
    assert [one["name"] for one in listed["branch_policies"]] == ["main"]
    environment = alice.get_environment("keyturn")
    environment.create_variable("keyturn_root", "abc")
    environment.create_secret("ONLINE_KEY", "very secret")
    assert environment.get_variable("KEYTURN_ROOT").value == "abc"
    assert [one.name for one in environment.get_secrets()] == ["ONLINE_KEY"]
    assert forge.secrets(SLUG, "keyturn") == {"ONLINE_KEY": "very secret"}
    assert forge.secrets(SLUG) == {}
    assert forge.variables(SLUG, "keyturn") == {"KEYTURN_ROOT": "abc"}


def test_settings_are_the_administrators_and_out_of_reach_of_jobs(forge: LabForge) -> None:
    everything = dict.fromkeys(SCOPES, "write")
    alice, bob, job = (
        person(forge, "alice"),
        person(forge, "bob"),
        repository(forge, forge.mint(SLUG, everything)),
    )
    for path, fields in {
        "actions/permissions/workflow": {"can_approve_pull_request_reviews": True},
        "environments/keyturn": {"wait_timer": 0},
    }.items():
        refused(403, call, bob, "PUT", path, **fields)
        refused(403, call, job, "PUT", path, **fields)
        call(alice, "PUT", path, **fields)
    assert call(alice, "GET", "actions/permissions/workflow")["can_approve_pull_request_reviews"] is True
    refused(403, bob.edit, allow_merge_commit=True)
    alice.edit(allow_rebase_merge=False, allow_squash_merge=False)
    assert person(forge, "carol").allow_squash_merge is False


def test_pages_are_switched_to_actions(forge: LabForge) -> None:
    alice = person(forge, "alice")
    refused(404, call, alice, "GET", "pages")
    call(alice, "POST", "pages", build_type="workflow")
    refused(409, call, alice, "POST", "pages", build_type="workflow")
    assert call(alice, "GET", "pages")["build_type"] == "workflow"


def test_files_are_edited_as_on_the_web_page(forge: LabForge) -> None:
    alice = person(forge, "alice")
    made = alice.create_file("docs/a.txt", "Add", "one\n")
    refused(422, alice.create_file, "docs/a.txt", "Again", "two\n")
    alice.update_file("docs/a.txt", "Change", "two\n", made["content"].sha)
    shown = alice.get_contents("docs/a.txt")
    assert not isinstance(shown, list)
    assert shown.decoded_content == b"two\n"
    alice.delete_file("docs/a.txt", "Remove", shown.sha)
    refused(404, alice.get_contents, "docs/a.txt")


# -------------------------------------------------------------------- faults


@pytest.mark.parametrize(("kind", "status"), [("500", 500), ("502", 502), ("429", 429), ("403", 403)])
def test_a_refused_request_did_nothing_and_the_next_one_works(
    forge: LabForge, kind: Kind, status: int
) -> None:
    pull = proposal(forge)
    fault = forge.fault(("POST", "/comments$"), kind, after=1)
    pull.create_issue_comment("one")
    said = refused(status, pull.create_issue_comment, "two")
    assert ("<html>" in said) is (kind == "502")
    pull.create_issue_comment("three")
    assert [one.body for one in pull.get_issue_comments()] == ["one", "three"]
    assert fault.hits == 1


@pytest.mark.parametrize(("kind", "done"), [("dropped", False), ("lost-response", True), ("truncated", True)])
def test_a_broken_connection_may_have_done_it_or_not(forge: LabForge, kind: Kind, done: bool) -> None:
    pull = proposal(forge)
    forge.fault(("POST", "/comments$"), kind)
    with pytest.raises((requests.RequestException, GithubException)):
        pull.create_issue_comment("one")
    assert len(list(pull.get_issue_comments())) == int(done)


def test_a_push_can_lose_its_answer_too(forge: LabForge, git: Git) -> None:
    git("clone", "-q", f"{forge.url}/{SLUG}.git", "clone")
    forge.fault(("POST", "git-receive-pack"), "lost-response")
    url = address(forge, "ghp_lab_bob")
    assert git("-C", "clone", "push", url, "HEAD:refs/heads/a", check=False).returncode
    assert forge.repository(SLUG).store.branch("a")


def test_requests_are_counted_with_their_caller(forge: LabForge) -> None:
    before = len(forge.requests)
    repository(forge, forge.mint(SLUG, {}))
    seen = forge.requests[before:]
    assert [(one.method, one.path, one.status, one.by_job) for one in seen] == [
        ("GET", f"/repos/{SLUG}", 200, True)
    ]


def test_answers_tell_the_rate_limit(forge: LabForge) -> None:
    with urllib.request.urlopen(f"{forge.api}/repos/{SLUG}") as answer:
        assert int(answer.headers["x-ratelimit-remaining"]) > 0
    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.urlopen(f"{forge.api}/repos/alice/nowhere")
    with error.value as answer:
        assert json.load(answer)["message"] == "Not Found"


def test_what_is_not_emulated_says_so(forge: LabForge) -> None:
    assert "does not emulate GET /gists" in refused(
        501, call, person(forge, "alice"), "GET", "../../../gists"
    )


def test_an_answer_that_github_would_not_give_is_an_error_at_the_end(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match=r"description: .* is not of type"), LabForge(tmp_path) as broken:
        broken.user("alice")
        kept = broken.create_repository("alice", "updates", files={})
        kept.settings.description = 7  # type: ignore[assignment]
        repository(broken, "ghp_lab_alice")


def test_times_come_from_the_clock(forge: LabForge, clock: Clock) -> None:
    pull = proposal(forge)
    clock.move(timedelta(days=61))
    assert pull.created_at == START
    assert pull.create_issue_comment("later").created_at == START + timedelta(days=61)
    assert hub(forge, "ghp_lab_alice").get_rate_limit()
