"""What the jobs of a run hear of each other, which secrets they see, and what the stand-ins do."""

from __future__ import annotations

import pytest

from lab.forge.model import Environment, Pages, Secret, Variable
from lab.lab import Lab
from lab.tiny import PIN, SLUG, at, branch, call, commit, found, workflow

pytestmark = [pytest.mark.lab, pytest.mark.slow]


JOBS = b"""\
name: Jobs
on: {workflow_dispatch: {inputs: {word: {type: string, required: true}}}}
permissions: {}
jobs:
  # A comment that stays where it is.
  one:
    runs-on: ubuntu-latest
    outputs:
      word: ${{ steps.say.outputs.word }}
    steps:
      - id: say
        run: |
          printf 'word<<E\\n%s\\nit'"'"'s ${{ '${{' }} x }}\\nE\\n' "$WORD" >> "$GITHUB_OUTPUT"
          echo "## one" >> "$GITHUB_STEP_SUMMARY"
        env: {WORD: "${{ inputs.word }}"}
  broken:
    runs-on: ubuntu-latest
    steps: [{run: 'echo ::error title=Broken::it is; exit 3'}]
  after:
    if: needs.one.outputs.word != ''
    needs: one
    runs-on: ubuntu-latest
    steps: [{run: 'echo "got <$WORD>"', env: {WORD: "${{ needs.one.outputs.word }}"}}]
  never:
    needs: [one, broken]
    runs-on: ubuntu-latest
    steps: [{run: exit 0}]
  always:
    needs: [one, never, broken]
    if: always() && needs.broken.result == 'failure'
    runs-on: ubuntu-latest
    steps: [{run: 'echo ${{ needs.one.result }} ${{ needs.broken.result }} ${{ needs.never.result }}'}]
"""


def test_jobs_hear_results_and_outputs_of_those_they_need(lab: Lab) -> None:
    found(lab, {at("jobs"): JOBS})
    run = lab.run(SLUG, "jobs.yml", actor="bob", inputs={"word": "hi"})
    assert {job.id: job.conclusion for job in run.jobs.values()} == {
        "one": "success",
        "broken": "failure",
        "after": "success",
        "never": "skipped",
        "always": "success",
    }
    assert run.conclusion == "failure"
    assert run.jobs["one"].outputs == {"word": "hi\nit's ${{ x }}"}
    assert "got <hi\nit's ${{ x }}>" in run.jobs["after"].log
    assert "success failure skipped" in run.jobs["always"].log
    assert run.summary == "## one\n"
    (annotation,) = run.jobs["broken"].annotations
    assert (annotation.level, annotation.message, annotation.properties["title"]) == (
        "error",
        "it is",
        "Broken",
    )


def test_two_runs_may_be_under_way_at_once(lab: Lab) -> None:
    lab.forge.user("acme")
    action = b"""\
name: Meet
description: Waits until the other one is there too
inputs:
  me: {description: Name, required: true}
  other: {description: Name, required: true}
runs:
  using: composite
  steps:
    - shell: bash
      env: {ME: "${{ inputs.me }}", OTHER: "${{ inputs.other }}"}
      run: |
        touch "$RUNNER_TOOL_CACHE/$ME"
        timeout 20 sh -c 'until [ -e "$RUNNER_TOOL_CACHE/$OTHER" ]; do sleep 0.05; done'
"""
    lab.forge.create_repository("acme", "tools", files={"action.yml": action})
    steps = "- {uses: acme/tools@main, with: {me: %s, other: %s}}"
    one, two = (workflow("push:", steps % names) for names in (("one", "two"), ("two", "one")))
    found(lab, {at("one"): one, at("two"): two})
    runs = lab.settle(parallel=2)
    assert [run.conclusion for run in runs] == ["success", "success"], [run.log for run in runs]


def test_an_output_that_holds_a_secret_goes_nowhere(lab: Lab) -> None:
    found(lab, {"README.md": b""})
    now = lab.clock()
    lab.forge.repository(SLUG).secrets["KEY"] = Secret("KEY", "s3cret", now, now)
    steps = """- {id: say, run: 'echo "word=a $KEY" >> "$GITHUB_OUTPUT"', env: {KEY: "${{ secrets.KEY }}"}}"""
    commit(
        lab, {at("says"): workflow("push:", steps, job='outputs: {word: "${{ steps.say.outputs.word }}"}')}
    )
    (run,) = lab.settle()
    assert run.jobs["only"].outputs == {}


def test_an_environment_opens_to_jobs_that_name_it_on_branches_it_allows(lab: Lab) -> None:
    steps = """
        - run: echo "<$KEY|$ROOT>"
          env: {KEY: "${{ secrets.KEY && 'a secret' }}", ROOT: "${{ vars.ROOT }}"}
    """
    found(
        lab,
        {
            at("in"): workflow("push:", steps, job="environment: keyturn"),
            at("out"): workflow("push:", steps),
        },
    )
    now = lab.clock()
    policy = {"protected_branches": False, "custom_branch_policies": True}
    environment = Environment(1, "keyturn", now, policy, {1: ("main", "branch")})
    environment.secrets["KEY"] = Secret("KEY", "s3cret", now, now)
    environment.variables["ROOT"] = Variable("ROOT", "digest", now, now)
    lab.forge.repository(SLUG).environments["keyturn"] = environment
    on_main = {run.file: run for run in lab.settle()}
    assert "<a secret|digest>" in on_main["in.yml"].log
    assert "<|>" in on_main["out.yml"].log
    branch(lab, "topic", {"a": b""})
    on_topic = {run.file: run for run in lab.settle()}
    assert on_topic["in.yml"].conclusion == "failure"
    assert "not allowed to deploy to keyturn" in on_topic["in.yml"].log
    assert "s3cret" not in on_topic["out.yml"].log


DEPLOY = f"""\
name: Site
on: {{push: {{branches: [main]}}}}
permissions: {{}}
jobs:
  build:
    runs-on: ubuntu-latest
    permissions: {{contents: read}}
    steps:
      - uses: actions/checkout@{PIN} # any version
      - uses: actions/upload-pages-artifact@{PIN} # any version
        with: {{path: site}}
  deploy:
    needs: build
    runs-on: ubuntu-latest
    permissions: {{pages: write, id-token: write}}
    environment: {{name: github-pages, url: "${{{{ steps.out.outputs.page_url }}}}"}}
    outputs: {{url: "${{{{ steps.out.outputs.page_url }}}}"}}
    steps:
      - id: out
        uses: actions/deploy-pages@{PIN} # any version
""".encode()


def test_a_site_is_deployed_by_whoever_may_and_without_dotfiles(lab: Lab) -> None:
    site = {"site/index.html": b"<h1>hi</h1>", "site/.hidden": b"", "site/a/b.json": b"{}"}
    found(lab, {at("site"): DEPLOY, **site})
    (refused,) = lab.settle()
    assert "Ensure GitHub Pages has been enabled" in refused.log
    lab.forge.repository(SLUG).pages = Pages("workflow", {"branch": "main", "path": "/"})
    commit(lab, {"site/a/b.json": b'{"new": 1}'})
    (run,) = lab.settle()
    assert run.conclusion == "success", run.log
    assert run.jobs["deploy"].outputs == {"url": lab.pages.url(SLUG)}
    assert lab.pages.sites[SLUG].files.keys() == {"index.html", "a/b.json"}
    commit(lab, {at("site"): DEPLOY.replace(b", id-token: write", b"")})
    (refused,) = lab.settle()
    assert "Resource not accessible by integration" in refused.log


RELEASE = f"""\
name: Release
on: {{push: {{tags: ["v*"]}}}}
permissions: {{}}
jobs:
  build:
    runs-on: ubuntu-latest
    permissions: {{contents: read}}
    steps:
      - uses: actions/checkout@{PIN} # any version
        with: {{persist-credentials: false}}
      - uses: actions/setup-python@{PIN} # any version
      - run: python -c "open('app.tar.gz', 'w').write('app')"
      - uses: actions/upload-artifact@{PIN} # any version
        with: {{name: bundle, path: app.tar.gz}}
  publish:
    needs: build
    runs-on: ubuntu-latest
    permissions: {{contents: write, id-token: write, attestations: write}}
    steps:
      - uses: actions/download-artifact@{PIN} # any version
        with: {{name: bundle}}
      - uses: actions/attest-build-provenance@{PIN} # any version
        with: {{subject-path: app.tar.gz}}
      - run: gh release create "$TAG" app.tar.gz --verify-tag --generate-notes
        env: {{GH_TOKEN: "${{{{ github.token }}}}", TAG: "${{{{ github.ref_name }}}}"}}
""".encode()


def test_a_tag_is_built_attested_and_released(lab: Lab) -> None:
    found(lab, {at("release"): RELEASE})
    lab.services.attest = lambda run, name, sha256: {"run": run, "name": name, "sha256": sha256}
    repository = lab.forge.repository(SLUG)
    call(lab, "ghp_lab_alice", "POST", f"/repos/{SLUG}/git/refs", _tag(repository.store.branch("main") or ""))
    (run,) = lab.settle()
    assert run.conclusion == "success", run.log
    (release,) = repository.releases
    assert (release.tag, release.draft, [asset.name for asset in release.assets]) == (
        "v1",
        False,
        ["app.tar.gz"],
    )
    (attested,) = repository.attestations[release.assets[0].digest]
    assert attested["run"] == run.record.id


def _tag(oid: str) -> str:
    return f'{{"ref": "refs/tags/v1", "sha": "{oid}"}}'
