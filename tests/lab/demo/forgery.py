"""A forged green check: the attack that GitHub lets pass, and that the publishing workflow must stop."""

from __future__ import annotations

import json
from collections.abc import Sequence

from keyturn.demo import app
from keyturn.demo.app import APP, EVIL
from keyturn.demo.attacks import Attack, Ending, Outcome, Scene, current, error_of
from keyturn.demo.steps import Part, Steps, Unexpected, matching
from keyturn.demo.world import BUILDS, NAME, Person, client
from keyturn.errors import ExitCode
from lab.actions.runner import Run
from lab.demo.github import CHECK, PUBLISH, GitHub
from lab.demo.scene import LabWorld

FORGERY = """\
# Anybody who may push can have a workflow of their own say that a check is green.
name: Build
on:
  push:
    branches: [green]
permissions: {}
jobs:
  green:
    runs-on: ubuntu-latest
    permissions:
      statuses: write
    steps:
      - run: >-
          curl -sf -o /dev/null -H "Authorization: Bearer ${TOKEN}"
          -d '{"context": "%(check)s", "state": "success"}'
          "${GITHUB_API_URL}/repos/${GITHUB_REPOSITORY}/statuses/%(tip)s"
        env:
          TOKEN: ${{ github.token }}
"""


def forged_check(world: LabWorld) -> Attack:
    """The attack that GitHub itself lets pass, in the one place where it must be stopped."""

    def play(scene: Scene) -> Outcome:
        return _forged_check(scene, world)

    return Attack(
        "forged-check",
        "A forged green check, and the merge of what nobody signed",
        "mallory may push to the repository, and so has workflows of her own: GitHub takes their word.",
        "invalid",
        play,
    )


def _forged_check(scene: Scene, world: LabWorld) -> Outcome:
    steps, github = scene.steps, GitHub(world, scene.steps)
    mallory = world.person("mallory", scene.arena / "mallory")
    event = _propose_alone(mallory, world, steps)
    github.work(event)
    number = github.pull(event).number
    _call_it_green(mallory, github, steps, event)
    carol = world.double("carol", scene.arena)
    before, deployed = current(carol), len(world.lab.pages.deployments)
    merged = github.press("mallory", "PUT", f"/pulls/{number}/merge")
    if merged.code:
        raise Unexpected(f"GitHub does not let her merge: {merged.out}", where=event)
    steps.tell(mallory, "merges", Part(merged, prompt=">"))
    runs = github.work(failing=(PUBLISH, "keyturn-propose.yml", "keyturn-signing-event.yml"))
    published = [run for run in runs if run.file == PUBLISH]
    told = [run.jobs["sign"].step_outputs.get("stage", {}) for run in published if "sign" in run.jobs]
    steps.page.said(*(f"{PUBLISH}: {run.conclusion}: {_annotation(run)}" for run in published))
    done = steps.attempt(carol, "--json", *client(world.url), "install")
    steps.tell(carol, f"has {before}, and updates", Part(done, error_of(done) or ("there is nothing newer",)))
    return judged(
        scene.reason,
        [str(one.get("reason")) for one in told],
        # Somebody whose first installation this would be is told that there is no release at all.
        calm=done.code == ExitCode.NOTHING or done.reason == "no-release",
        deployed=len(world.lab.pages.deployments) != deployed,
        installed=current(carol) if current(carol) != before else None,
    )


def judged(reason: str, said: Sequence[str], *, calm: bool, deployed: bool, installed: str | None) -> Outcome:
    """What came of it.

    Args:
        reason: The reason for which publishing has to refuse.
        said: The reasons that it gave, one for each run.
        calm: Whether a client that was told to update went on as if nothing had been tried.
        deployed: Whether the site was deployed anew.
        installed: What that client installed; None for nothing.
    """
    if deployed or installed:
        what = f"carol's client installed {installed}" if installed else "the site was deployed"
        return Outcome(Ending.SUCCEEDED, f"THE ATTACK SUCCEEDED: {what}")
    if list(said) == [reason] and calm:
        return Outcome(Ending.REFUSED, f"refused: {reason}")
    client_did = "found nothing new" if calm else "failed"
    why = f"publishing says {', '.join(said) or 'nothing'}, and the client {client_did}"
    return Outcome(Ending.OTHERWISE, f"NOT REFUSED FOR THE REASON NAMED: {why}")


def _propose_alone(mallory: Person, world: LabWorld, steps: Steps) -> str:
    cloned = mallory.git("clone", "--quiet", world.address, NAME)
    bundle = mallory.home / BUILDS / f"{APP}-{EVIL}"
    bundle.mkdir(parents=True)
    app.write_launcher(app.STOLEN, bundle)
    proposed = steps.run(mallory, "propose", "release", APP, EVIL, f"../{BUILDS}/{bundle.name}")
    what = "proposes a release of her own"
    steps.tell(mallory, what, Part(cloned), Part(proposed, matching(proposed, "proposed:")))
    return f"release-{APP}-{EVIL}"


def _call_it_green(mallory: Person, github: GitHub, steps: Steps, event: str) -> None:
    issue = github.pull(event)
    assert issue.pull is not None
    tip = issue.pull.head
    said = github.press("mallory", "POST", f"/statuses/{tip}", context=CHECK, state="success")
    refused = github.press("mallory", "PUT", f"/pulls/{issue.number}/merge")
    if not refused.code:
        raise Unexpected("GitHub takes anybody's word for the check", where=event)
    steps.tell(
        mallory,
        "calls it green, and still may not merge: only GitHub Actions may say so",
        Part(said, prompt=">"),
        Part(refused, (json.loads(refused.out)["message"],), "warn", prompt=">"),
    )
    branched = mallory.git("checkout", "--quiet", "-b", "green", "origin/main")
    workflow = mallory.clone / ".github" / "workflows" / "build.yml"
    workflow.write_text(FORGERY % {"check": CHECK, "tip": tip}, encoding="utf-8")
    added = mallory.git("add", ".")
    committed = mallory.git("commit", "--quiet", "--message", "Build")
    pushed = mallory.git("push", "--quiet", "origin", "green")
    steps.tell(
        mallory,
        "pushes a workflow of her own, which says it for her",
        *(Part(done) for done in (branched, added, committed, pushed)),
    )
    github.work(event)


def _annotation(run: Run) -> str:
    """What the run's page says first."""
    errors = [mark.message for job in run.jobs.values() for mark in job.annotations if mark.level == "error"]
    return errors[0].splitlines()[0] if errors else ""
