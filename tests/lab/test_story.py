"""From an empty repository to an app that updates itself: the real workflows, the real commands.

Everything that happens on GitHub happens in act, with the tokens and secrets that GitHub would give;
everything that a person does is the installed command on a machine of their own, or a click on a page.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from tuf.ngclient import Updater

from keyturn.forge.github import GitHub
from keyturn.release.archive import pack
from lab.actions.runner import Run
from lab.forge.settings import Environment, Secret, Variable
from lab.lab import Lab
from lab.sigstore import Sigstore, Workflow, sigstore
from lab.tools import tool_cache
from lab.world import APP, APP_REPOSITORY, ONLINE_KEY, UPDATES, World, found_quickly

ALSO_WOKEN = ("keyturn-signing-event", "keyturn-propose")
"""What a merge wakes beside publishing; what they do then is told in the first of these stories."""

pytestmark = [pytest.mark.lab, pytest.mark.slow]


@pytest.fixture
def lab(tmp_path: Path, tools: Path) -> Iterator[Lab]:
    """A lab of today: a client goes by its computer's clock."""
    with Lab(tmp_path / "lab", now=datetime.now(timezone.utc), tools=tools) as lab:
        yield lab


def settled(lab: Lab) -> dict[str, Run]:
    """Everything that was woken has run, and nothing failed; the last run of each workflow."""
    runs = [run for run in lab.settle() if run.conclusion != "cancelled"]
    assert {run.conclusion for run in runs} <= {"success"}, "\n".join(run.log for run in runs)
    return {run.file.removesuffix(".yml"): run for run in runs}


def said(run: Run, job: str) -> Mapping[str, str]:
    """The outputs of our action in a job."""
    return next(one for one in run.jobs[job].step_outputs.values() if "state" in one)


def annotations(run: Run, job: str) -> str:
    """What a job says beside its log."""
    return "\n".join(one.message for one in run.jobs[job].annotations)


def the_schedule_comes(lab: Lab) -> None:
    """Go to the minute at which the propose workflow is due, and no other."""
    now = lab.clock()
    hours = (1 - now.hour) % 3
    soon = now.replace(minute=25, second=0, microsecond=0) + timedelta(hours=hours)
    lab.clock.move((soon if soon > now else soon + timedelta(hours=3)) - now)
    lab.tick(timedelta(minutes=10))


def stock_client(world: World) -> int:
    """python-tuf's own client, from nothing but root 1; gives the version of the timestamp."""
    with tempfile.TemporaryDirectory() as directory:
        updater = Updater(directory, f"{world.site}metadata/", bootstrap=world.first_root)
        updater.refresh()
        return updater._trusted_set.timestamp.version


def test_a_repository_is_founded_and_published(lab: Lab) -> None:
    world = World(lab)
    alice, bob = world.alice, world.bob

    # One command makes the first commit, the settings, and the founding pull request.
    made = alice.told(
        *("--remote", world.remote, "init", "--name", "acme-updates", "--app", APP, "--url", world.site),
        *("--signer", "alice", "--signer", "bob", "--action", world.action_pin),
        *("--online-key", f"env:{ONLINE_KEY}", "--set-secret"),
        env={ONLINE_KEY: world.online_key},
    )
    assert {one["standing"] for one in made["settings"]} <= {"right", "made"}, made["settings"]
    page = made["pull-request"]
    assert page == world.page(1)
    woken = settled(lab)
    assert said(woken["keyturn-propose"], "propose")["reason"] == "not-founded"
    assert woken["keyturn-publish"].jobs["build"].conclusion == "skipped"
    assert world.check(1) == "pending"
    assert "alice" in world.comment(1) and "bob" in world.comment(1)

    # Everyone joins with a key of their own; the last one's join is what will be signed.
    assert alice.told("join", page, "--login", "alice", "--key", alice.key_uri)["missing-keys"] == ["bob"]
    assert bob.told("join", page, "--login", "bob", "--key", bob.key_uri)["proposed"] is True

    # alice signs by a commit, and lets publishing begin from the root that she signed.
    alice.signs(page)
    settled(lab)
    assert "1 of 2" in world.comment(1)
    assert world.check(1) == "pending"
    doctor = alice.told("--remote", world.remote, "doctor", "--fix")
    assert doctor["well"] is True
    assert [one["id"] for one in doctor["settings"] if one["standing"] == "made"] == ["root"]

    # bob signs on a machine without a network, and posts what it wrote.
    status, message = world.merge("alice", 1)
    assert (status, "keyturn" in message) == (405, True), message
    bob.told("sign", page, "--export", "export")
    bob.told(
        *("sign", "--from", "export", "--key", bob.key_uri, "--out", "signature.txt", "--yes"),
        *bob.expectations(page),
    )
    signature = (bob.home / "signature.txt").read_text()
    review = world.review("bob", 1, f"I have looked at it.\n\n```\n{signature}```\n")
    woken = settled(lab)
    assert woken["keyturn-collect"].start.event == "workflow_run"
    tip = world.repository.store.run("log", "-1", "--format=%an <%ae>%n%B", "sign/founding").decode()
    assert tip.startswith(f"bob <{lab.forge.account('bob').id}+bob@users.noreply")
    assert f"Keyturn-Review: {review['html_url']}" in tip
    assert "2 of 2" in world.comment(1)
    assert world.check(1) == "success"

    # Now it can be merged, and what is merged is published.
    status, message = world.merge("alice", 1)
    assert status == 200, message
    published = settled(lab)["keyturn-publish"]
    assert [name for name, job in published.jobs.items() if job.conclusion == "success"] == [
        "sign",
        "build",
        "deploy",
        "live",
        "record",
    ]
    assert "stock client" in published.summary
    assert stock_client(world) == 1
    nothing = world.client("dave", "check")
    assert (nothing.code, nothing.document["error"]["reason"]) == (3, "no-release"), nothing


def test_a_release_comes_from_the_apps_repository_with_a_token(lab: Lab) -> None:
    world = found_quickly(lab)
    lab.services.attest = lambda run, name, sha256: {}
    at = lab.clock()
    token = lab.forge.fine_grained("alice", UPDATES, {"contents": "write", "pull-requests": "write"})
    environment = Environment(2, "release", at, {"protected_branches": False, "custom_branch_policies": True})
    environment.policies = {1: ("v*", "tag")}
    environment.secrets["UPDATES_TOKEN"] = Secret("UPDATES_TOKEN", token, at, at)
    environment.variables["UPDATES_REPOSITORY"] = Variable("UPDATES_REPOSITORY", UPDATES, at, at)
    lab.forge.repository(APP_REPOSITORY).environments["release"] = environment

    # carol tags a version: it is built there, and proposed here; the check is ours.
    world.tag("1.0")
    woken = settled(lab)
    pull = world.pull("release-hello-1.0")
    assert said(woken["release"], "propose")["pull-request"] == world.page(pull.number)
    assert woken["keyturn-signing-event"].start.event == "pull_request_target"
    assert world.check(pull.number) == "pending"
    assert "0 of 2" in world.comment(pull.number)

    # Two people sign, and it is merged and published.
    for person in (world.alice, world.bob):
        person.sign("release-hello-1.0")
    settled(lab)
    world.switch_off(*ALSO_WOKEN)
    assert world.merge("bob", pull.number)[0] == 200
    assert said(settled(lab)["keyturn-publish"], "record")["state"] == "recorded"

    # A user's machine has never seen anything but root 1.
    found = world.client("dave", "check")
    assert (found.code, found.document["newest"]["version"]) == (0, "1.0"), found
    assert world.client("dave", "install").document["installed"] == "1.0"
    assert "hello 1.0" in world.client("dave", "launch").said


SOURCES = """\
apps:
  hello:
    from: {repository: carol/hello}
  silent:
    from: {repository: carol/silent}
  elsewhere:
    from: {repository: carol/elsewhere}
"""


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[Sigstore]:
    (tmp_path / "sigstore").mkdir()
    with sigstore(tmp_path / "sigstore") as running:
        yield running


def publish_by_hand(world: World, app: str) -> str:
    """A release of carol's that no workflow built; gives the archive's SHA-256."""
    lab, slug = world.lab, f"carol/{app}"
    lab.forge.create_repository("carol", app, files={"README.md": b""})
    host = GitHub(slug, api=lab.forge.api, server=lab.forge.url, token=world.carol.token, own="carol")
    file = world.bundle("1.0", app).parent / f"{app}-1.0.tar.gz"
    packed = pack(world.bundle("1.0", app), file)
    made = host.create_release("v1.0", "1.0", "", target="main")
    host.upload(made, file.name, file)
    host.edit_release(made, draft=False)
    return packed.sha256


def test_attested_releases_are_taken_without_a_secret_and_kept_in_releases(
    lab: Lab, instance: Sigstore
) -> None:
    tool_cache("watch")
    watch = b"        with:\n          trusted-root: %s\n" % str(instance.trusted_root).encode()

    def with_our_sigstore(path: str, text: bytes) -> bytes:
        head, uses, rest = text.partition(b"action/watch@")
        return head + uses + rest.replace(b"\n", b"\n" + watch, 1) if uses else text

    def policy(text: str) -> str:
        before, _, after = text.partition("apps:\n")
        after = after.partition("\nhosting:")[2]
        return f"{before}{SOURCES}\nhosting:{after}".replace("source: git", "source: releases")

    world = found_quickly(lab, edit=policy, workflows=with_our_sigstore)
    lab.sign_with(instance)
    release = world.release_workflow.partition(b"\n  propose:\n")[0] + b"\n"

    # Three releases: one that the workflow built and attested, one without attestation, one built elsewhere.
    world.tag("1.0", workflow=release)
    assert settled(lab)["release"].jobs["publish"].conclusion == "success"
    publish_by_hand(world, "silent")
    other = Workflow("carol/elsewhere", "other.yml", "refs/tags/v1.0", server=lab.forge.url)
    sha256 = publish_by_hand(world, "elsewhere")
    lab.forge.attest("carol/elsewhere", sha256, instance.attest(other, "elsewhere-1.0.tar.gz", sha256))

    # The schedule finds the first, and says why it does not take the others.
    the_schedule_comes(lab)
    (run,) = lab.settle()
    assert (run.file, run.start.event) == ("keyturn-propose.yml", "schedule")
    assert run.jobs["watch"].conclusion == "failure"
    assert said(run, "watch")["reason"] == "not-attested"
    why = annotations(run, "watch")
    assert "silent: " in why and "there is none" in why
    assert "elsewhere: " in why and "does not verify" in why
    assert "hello: " not in why
    pull = world.pull("release-hello-1.0")
    assert [one.pull.branch for one in world.repository.pulls() if one.pull] == ["sign/release-hello-1.0"]

    # The very bytes that carol published wait in a release of ours, for signatures.
    (theirs,) = lab.forge.repository(APP_REPOSITORY).releases
    (ours,) = world.repository.releases
    assert [one.content for one in ours.assets] == [one.content for one in theirs.assets]
    assert ours.prerelease and "proposed, not signed" in (ours.name or "")

    for person in (world.alice, world.bob):
        person.sign("release-hello-1.0")
    settled(lab)
    world.switch_off(*ALSO_WOKEN)
    assert world.merge("bob", pull.number)[0] == 200
    settled(lab)
    assert not ours.prerelease and "proposed" not in (ours.name or "")

    # Clients follow the site for what is signed, and the code host for the bytes.
    assert world.client("dave", "install").document["installed"] == "1.0"
    assert "hello 1.0" in world.client("dave", "launch").said
