"""The lab's Actions are GitHub's where act is not: each numbered test is one difference."""

from __future__ import annotations

import pytest

from lab.forge.model import Secret
from lab.lab import Lab
from lab.tiny import PIN, SLUG, at, branch, commit, found, names, workflow

pytestmark = [pytest.mark.lab, pytest.mark.slow]


def test_1_branches_paths_and_types_decide_what_a_push_starts(lab: Lab) -> None:
    found(
        lab,
        {
            at("main"): workflow("push: {branches: [main]}"),
            at("rest"): workflow('push: {branches-ignore: [main, "sign/**"]}'),
            at("code"): workflow('push: {paths: ["src/**", "!src/*.md"]}'),
            at("tags"): workflow('push: {tags: ["v*"]}'),
            at("never"): workflow("release: {types: [published]}"),
        },
    )
    lab.settle()
    commit(lab, {"src/notes.md": b"no code"})
    assert names(lab.settle()) == [("main", "push", "success")]
    commit(lab, {"src/deep/app.py": b"code"})
    assert {name for name, *_ in names(lab.settle())} == {"main", "code"}
    branch(lab, "sign/x", {"a": b""})
    branch(lab, "topic", {"a": b""})
    assert names(lab.settle()) == [("rest", "push", "success")]


def test_3_a_job_sees_nothing_of_this_machines_environment(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_CANARY", "tweet")
    found(lab, {at("env"): workflow("push:", "- run: env")})
    (run,) = lab.settle()
    assert "GITHUB_REPOSITORY=alice/updates" in run.log
    assert "LAB_CANARY" not in run.log
    assert "GITHUB_TOKEN" not in run.log


def test_4_a_job_may_do_what_its_permissions_say_and_no_more(lab: Lab) -> None:
    steps = """
        - id: both
          env: {TOKEN: "${{ github.token }}"}
          run: |
            status() { curl -s -o /dev/null -w '%{http_code}' -H "Authorization: Bearer $TOKEN" "$@"; }
            api=$GITHUB_API_URL/repos/$GITHUB_REPOSITORY
            echo "issue=$(status -d '{"title": "x"}' "$api/issues")" >> "$GITHUB_OUTPUT"
            ref='{"ref": "refs/heads/x", "sha": "'"$GITHUB_SHA"'"}'
            echo "branch=$(status -d "$ref" "$api/git/refs")" >> "$GITHUB_OUTPUT"
    """
    found(lab, {at("scopes"): workflow("push:", steps, job="permissions: {issues: write, contents: read}")})
    (run,) = lab.settle()
    assert run.jobs["only"].step_outputs["both"] == {"issue": "201", "branch": "403"}


def test_4_the_newest_run_of_a_concurrency_group_takes_the_place_of_the_waiting_one(lab: Lab) -> None:
    found(lab, {at("group"): workflow("push:", top="concurrency: {group: one, cancel-in-progress: false}")})
    second, third = (commit(lab, {"count": content}) for content in (b"2", b"3"))
    runs = lab.settle()
    assert [run.conclusion for run in runs] == ["cancelled", "success", "success"]
    assert runs[0].start.commit == second
    assert runs[2].start.commit == third


def test_4_a_run_in_progress_is_cancelled_where_the_file_says_so(lab: Lab) -> None:
    steps = """
        - env: {TOKEN: "${{ secrets.OTHER }}"}
          run: |
            [ "$(cat count 2>/dev/null)" ] || :
            if [ "$GITHUB_RUN_NUMBER" = 1 ]; then
              curl -sf -X POST -H "Authorization: Bearer $TOKEN" -d '{"event_type": "again"}' \\
                "$GITHUB_API_URL/repos/$GITHUB_REPOSITORY/dispatches"
              sleep 30
            fi
    """
    top = "concurrency: {group: one, cancel-in-progress: true}"
    found(lab, {"README.md": b""})
    now = lab.clock()
    secret = Secret("OTHER", lab.forge.user("alice"), now, now)
    lab.forge.repository(SLUG).secrets["OTHER"] = secret
    commit(lab, {at("group"): workflow("push:\nrepository_dispatch:", steps, top=top)})
    assert names(lab.settle()) == [
        ("group", "push", "cancelled"),
        ("group", "repository_dispatch", "success"),
    ]


def test_5_variables_that_act_forgets_are_there(lab: Lab) -> None:
    found(lab, {at("env"): workflow("push:", "- run: env | sort")})
    (run,) = lab.settle()
    for expected in (
        f"GITHUB_ACTOR_ID={lab.forge.account('alice').id}",
        f"GITHUB_REPOSITORY_ID={lab.forge.repository(SLUG).id}",
        "GITHUB_REF_PROTECTED=false",
        "GITHUB_TRIGGERING_ACTOR=alice",
        f"GITHUB_WORKFLOW_REF={SLUG}/.github/workflows/env.yml@refs/heads/main",
        f"GITHUB_WORKFLOW_SHA={run.start.commit}",
        "GITHUB_WORKFLOW=Test",
        "RUNNER_NAME=",
        "RUNNER_ENVIRONMENT=github-hosted",
        f"SOURCE_DATE_EPOCH={int(lab.clock().timestamp())}",
    ):
        assert f"\n{expected}" in run.log


def test_6_what_a_job_does_with_its_token_starts_nothing_but_dispatches(lab: Lab) -> None:
    steps = f"""
        - uses: actions/checkout@{PIN} # any version: the stand-in is what runs
        - env: {{TOKEN: "${{{{ github.token }}}}"}}
          run: |
            git -c user.name=job -c user.email=job@example.invalid commit -q --allow-empty -m 'By the job'
            git push -q origin HEAD:refs/heads/topic
            curl -sf -X POST -H "Authorization: Bearer $TOKEN" -d '{{"ref": "main"}}' \\
              "$GITHUB_API_URL/repos/$GITHUB_REPOSITORY/actions/workflows/asked.yml/dispatches"
    """
    permissions = "permissions: {contents: write, actions: write}"
    found(
        lab,
        {
            at("asked"): workflow("workflow_dispatch:"),
            at("each"): workflow("push: {branches: [topic]}"),
            at("pushes"): workflow("push: {branches: [main]}", steps, job=permissions),
        },
    )
    assert names(lab.settle()) == [("pushes", "push", "success"), ("asked", "workflow_dispatch", "success")]
    assert lab.forge.repository(SLUG).store.branch("topic")


def test_7_an_action_named_by_branch_is_the_newest_one(lab: Lab) -> None:
    def action(word: str) -> bytes:
        return f"""\
name: Say
description: Says a word
runs:
  using: composite
  steps: [{{shell: bash, run: 'echo said-{word}'}}]
""".encode()

    lab.forge.user("acme")
    lab.forge.create_repository("acme", "tools", files={"say/action.yml": action("one")})
    found(lab, {at("says"): workflow("push:\nworkflow_dispatch:", "- uses: acme/tools/say@main")})
    (first,) = lab.settle()
    lab.forge.commit("acme/tools", "main", {"say/action.yml": action("two")}, "Two", author="acme")
    second = lab.run(SLUG, "says.yml", actor="alice")
    assert "said-one" in first.log
    assert "said-two" in second.log


def test_8_each_push_runs_its_own_version_of_the_file(lab: Lab) -> None:
    found(lab, {at("own"): workflow("push:", "- run: echo first")})
    commit(lab, {at("own"): workflow("push:", "- run: echo second")})
    one, two = lab.settle()
    assert "first" in one.log
    assert "second" in two.log
