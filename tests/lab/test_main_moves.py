"""What main does to events that are open: each is judged anew against it; and what large files do meanwhile.

The jobs run in this process, with the permissions of their workflow files.
"""

from __future__ import annotations

import json
import re
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
import time_machine
from click.testing import CliRunner
from tuf.ngclient import Updater

from keyturn.cli.entry import cli
from keyturn.errors import UsageError
from keyturn.flow import changing, events, proposing, tending
from keyturn.forge.github import GitHub
from keyturn.git import Git
from keyturn.release.archive import Packed
from lab.clock import Clock
from lab.forge import LabForge
from lab.forge.model import Asset, Issue, Pull, Release, Status
from lab.jobs import Kept, Place, Ran
from lab.pages import Pages

pytestmark = [pytest.mark.lab, pytest.mark.slow]

SIGNERS = {"alice": 1001, "bob": 1002, "carol": 1003}
ONE, TWO = "release-hello-1.0", "release-hello-2.0"


@dataclass
class Town:
    """A repository whose targets need two of three people, and how its events look on the forge."""

    place: Place

    def check(self) -> Ran:
        ran = self.place.run("keyturn-signing-event", "check")
        assert ran.code == 0, ran.told
        return ran

    def event(self, topic: str) -> tuple[Issue, Pull]:
        found = [
            one for one in self.place.repository.pulls() if one.pull and one.pull.branch == f"sign/{topic}"
        ]
        assert len(found) == 1
        assert found[0].pull
        return found[0], found[0].pull

    def comment(self, topic: str) -> str:
        (comment,) = self.event(topic)[0].comments
        return comment.body

    def status(self, topic: str) -> Status:
        """The newest on the event's head."""
        head = self.event(topic)[1].head
        return [one for one in self.place.repository.statuses if one.commit == head][-1]

    def call(self, method: str, path: str, body: str) -> None:
        """What alice does on a page of the forge."""
        request = urllib.request.Request(
            f"{self.place.forge.api}/repos/{self.place.slug}{path}", method=method, data=body.encode()
        )
        request.add_header("Authorization", "Bearer ghp_lab_alice")
        urllib.request.urlopen(request).close()

    def change_policy(self, old: str, new: str) -> None:
        """What alice proposes to write into keyturn.yml."""
        with self.place.by("alice") as team:
            alice = team.person("alice").context
            alice.forge.refresh()
            text = alice.forge.tree(alice.forge.main()).read("keyturn.yml").decode()
            assert old in text
            changing.policy(alice, text.replace(old, new).encode())


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Town, Kept]]:
    directory, clock = tmp_path_factory.mktemp("town"), Clock()
    with Pages(clock) as pages, LabForge(directory / "forge", clock=clock) as forge:
        place = Place(forge, pages, clock, directory / "place", signers=SIGNERS)
        place.found()
        yield Town(place), place.keep()


@pytest.fixture
def town(built: tuple[Town, Kept]) -> Town:
    built[0].place.go_back(built[1])
    return built[0]


def test_an_event_turns_invalid_when_another_one_is_merged(town: Town) -> None:
    place = town.place
    place.propose("1.0")
    place.propose("2.0")
    town.check()
    assert (town.status(ONE).state, town.status(TWO).state) == ("pending", "pending")
    assert f"[`sign/{TWO}`]" in town.comment(ONE)
    assert f"[`sign/{ONE}`]" in town.comment(TWO)
    assert "also changes `targets`; conflicts in `metadata/targets.json`" in town.comment(TWO)

    for login in ("alice", "bob"):
        place.sign(login, ONE)
    place.merge(ONE)
    town.check()

    assert town.status(TWO).state == "failure"
    assert "is **invalid**" in town.comment(TWO)
    assert "KT1" in (town.status(TWO).description or "")
    assert "metadata/targets.json" in town.comment(TWO)

    with place.by("alice") as team:
        team.propose("2.0")
    town.check()
    assert town.status(TWO).state == "pending", "proposed again, it is in order"
    assert "`targets 3`" in town.comment(TWO)


def test_whose_signatures_a_changed_payload_leaves_behind_is_listed(town: Town) -> None:
    place = town.place
    place.propose("1.0")
    place.sign("bob", ONE)
    town.check()
    assert "Signatures on earlier payloads" not in town.comment(ONE)
    (before,) = re.findall(r"^- `targets 2`: `([0-9a-f]{64})`$", town.comment(ONE), re.M)

    (place.people.bundle("1.0") / "more").write_text("more\n")
    place.propose("1.0")
    (place.people.bundle("1.0") / "more").unlink()
    town.check()

    assert (
        "#### Signatures on earlier payloads\n\nThey do not count for what is proposed now"
        in town.comment(ONE)
    )
    assert f"- `bob`: `targets 2`, payload `{before}`" in town.comment(ONE)
    assert town.status(ONE).description == "targets 2: 0 of 2 signatures, alice or bob or carol may sign"


def test_two_events_that_do_not_go_together_say_so_and_the_second_is_caught(town: Town) -> None:
    place = town.place
    place.propose("1.0")
    for login in ("alice", "carol"):
        place.sign(login, ONE)
    town.change_policy("alice, bob, carol", "alice, bob")
    for login in ("alice", "bob"):
        place.sign(login, "policy")
    town.check()

    assert town.status(ONE).state == town.status("policy").state == "success"
    for topic, other in ((ONE, "policy"), ("policy", ONE)):
        assert f"[`sign/{other}`]" in town.comment(topic)
        assert "together: KT" in town.comment(topic)

    place.merge("policy")
    town.check()
    assert town.status(ONE).state == "failure"
    assert "**KT106** **error**" in town.comment(ONE)


def test_a_closed_event_with_signatures_burns_its_version(town: Town) -> None:
    place = town.place
    place.propose("1.0")
    place.sign("bob", ONE)
    town.check()
    town.call("PATCH", f"/pulls/{town.event(ONE)[0].number}", '{"state": "closed"}')

    with place.by("alice") as team:
        assert team.propose("1.1").roles == (("targets", 3),)
    summary = town.check().summary
    assert f"Closed, and left alone: `sign/{ONE}`" in summary
    assert "targets 3: 0 of 2" in (town.status("release-hello-1.1").description or "")


def test_a_closed_event_that_nobody_signed_burns_nothing(town: Town) -> None:
    place = town.place
    place.propose("1.0")
    town.check()
    town.call("PATCH", f"/pulls/{town.event(ONE)[0].number}", '{"state": "closed"}')
    with place.by("alice") as team:
        assert team.propose("1.1").roles == (("targets", 2),)


# Large files


@dataclass
class Depot(Town):
    """A repository that keeps its archives in releases of the forge."""

    def host(self, token: str = "") -> GitHub:
        """The forge, as a job with the permissions of the release action sees it."""
        token = token or self.place.forge.mint(self.place.slug, {"contents": "write"})
        return GitHub(self.place.slug, api=self.place.forge.api, server=self.place.forge.url, token=token)

    def propose(self, version: str) -> str:
        with self.place.by("alice") as team:
            alice = team.person("alice").context
            return proposing.release(alice, "hello", version, team.bundle(version), host=self.host()).topic

    def propose_packed(self, *packed: Packed) -> None:
        with self.place.by("alice") as team:
            alice = team.person("alice").context
            archives = {f"p{number}" if number else "": one for number, one in enumerate(packed)}
            proposing.archives(alice, "hello", "9.0", archives, host=self.host())

    def tend(self) -> tending.Tended:
        with self.place.by("alice") as team:
            return tending.tend(team.person("alice").context, self.host())

    def wrote(self) -> list[tuple[str, str]]:
        """What was written through the API, without the numbers."""
        calls = [call for call in self.place.forge.calls() if call.method not in ("GET", "HEAD")]
        return [(call.method, re.sub(r"^.*/updates/|/[0-9]+", "", call.path)) for call in calls]

    def release(self, tag: str) -> Release:
        (found,) = (one for one in self.place.repository.releases if one.tag == tag)
        return found

    def sign_and_merge(self, topic: str) -> None:
        for login in ("alice", "bob"):
            self.place.sign(login, topic)
        self.place.merge(topic)


def in_releases(policy: str) -> str:
    assert "source: git" in policy and "max-file: 20MB" in policy
    return policy.replace("source: git", "source: releases").replace("max-file: 20MB", "max-file: 2000MB")


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Depot, Kept]]:
    directory, clock = tmp_path_factory.mktemp("depot"), Clock()
    with Pages(clock) as pages, LabForge(directory / "forge", clock=clock) as forge:
        place = Place(forge, pages, clock, directory / "place")
        place.found(edit=in_releases)
        yield Depot(place), place.keep()


@pytest.fixture
def depot(stored: tuple[Depot, Kept]) -> Depot:
    stored[0].place.go_back(stored[1])
    stored[0].place.forge.requests.clear()
    return stored[0]


def test_an_archive_is_a_draft_then_proposed_and_normal_once_it_is_out(depot: Depot, tmp_path: Path) -> None:
    topic = depot.propose("1.0")
    assert depot.wrote() == [("POST", "releases"), ("POST", "releases/assets"), ("PATCH", "releases")]
    release = depot.release("hello-1.0")
    assert (release.draft, release.prerelease, release.name) == (
        False,
        True,
        "hello 1.0 (proposed, not signed)",
    )
    (asset,) = release.assets
    assert asset.name == f"{asset.digest.removeprefix('sha256:')}.hello-1.0.tar.gz"

    depot.sign_and_merge(topic)
    staged = depot.place.publish()
    assert (release.prerelease, release.name) == (False, "hello 1.0")
    assert staged.code == 0
    site = depot.place.pages.sites[depot.place.slug].files
    assert not [name for name in site if name.startswith("targets/")]

    url = f"{depot.place.forge.url}/{depot.place.slug}/releases/download/"
    with time_machine.travel(depot.place.clock(), tick=False):
        client = Updater(
            str(tmp_path),
            f"{depot.place.url}metadata/",
            target_dir=str(tmp_path),
            target_base_url=url,
            bootstrap=depot.place.main().roots[1].data,
        )
        target = client.get_targetinfo("hello-1.0/hello-1.0.tar.gz")
        assert target is not None
        file = Path(client.download_target(target))
    assert file.read_bytes() == asset.content
    assert asset.downloads > 0, "through the redirect"


@pytest.mark.parametrize(
    ("size", "reason"), [(2 * 1024**3, "too-large"), (1, "too-many")], ids=["2 GiB", "1,000 files"]
)
def test_what_a_release_would_not_take_is_refused_before_anything_is_uploaded(
    depot: Depot, tmp_path: Path, size: int, reason: str
) -> None:
    if reason == "too-many":
        _fill(depot, "hello-9.0")
    file = tmp_path / "archive"
    file.write_bytes(b"!")
    with pytest.raises(UsageError) as refusal:
        depot.propose_packed(Packed(file, size, "ab" * 32, "cd" * 32, 1))
    assert refusal.value.reason == reason
    assert depot.wrote() == []


def _fill(depot: Depot, tag: str) -> None:
    """A release that has as many files as it can have."""
    repository, now = depot.place.repository, depot.place.clock()
    release = Release(1, tag, "main", tag, "", False, True, "alice", now, now)
    digest = f"sha256:{'0' * 64}"
    release.assets = [
        Asset(number, f"f{number}", None, "text/plain", b"x", digest, "alice", now) for number in range(1000)
    ]
    repository.releases.append(release)


def test_only_what_nothing_names_is_swept(depot: Depot) -> None:
    depot.sign_and_merge(depot.propose("1.0"))
    depot.propose("1.1")
    depot.propose("1.2")
    now = depot.place.clock()
    by_hand = Release(1, "notes", "main", "Notes", "by hand", False, False, "alice", now, now)
    depot.place.repository.releases.append(by_hand)
    depot.check()
    assert depot.tend() == tending.Tended(("hello-1.0",), ())

    with depot.place.by("alice"):
        depot.place.repository.store.run("update-ref", "-d", "refs/heads/sign/release-hello-1.2")
    assert depot.tend() == tending.Tended((), ()), "its event may be on its way"
    depot.place.clock.move(timedelta(days=2))
    assert depot.tend() == tending.Tended((), ("hello-1.2",))
    assert {one.tag for one in depot.place.repository.releases} == {"hello-1.0", "hello-1.1", "notes"}
    assert "refs/tags/hello-1.2" not in depot.place.repository.store.refs("refs/tags")


def sign(depot: Depot, out: Path, *words: str, **environment: str) -> tuple[int, dict[str, object]]:
    """`keyturn sign --check-files` as bob types it, in a clone whose remote is the forge's own address."""
    bob = depot.place.people.person("bob")
    context = bob.context
    context.forge.refresh()
    status = events.status(context, ONE)
    line = ["--json", "-C", str(bob.clone), "--at", f"{depot.place.clock():%Y-%m-%dT%H:%M:%SZ}"]
    line += ["--remote", f"{depot.place.forge.url}/{depot.place.slug}", "sign", ONE, "--check-files", *words]
    line += ["--key", f"file:{bob.key_file}", "--root-digest", depot.place.root_digest, "--out", str(out)]
    line += ["--yes", *(word for role in status.report.roles for word in ("--expect", role.digest))]
    settings = {"KEYTURN_CONFIG_DIR": str(out.parent / "bobs"), **environment}
    done = CliRunner(env=settings).invoke(cli, line)
    return done.exit_code, json.loads(done.stdout)


def test_a_signer_checks_the_very_files_before_signing(depot: Depot, tmp_path: Path) -> None:
    depot.propose("1.0")
    (asset,) = depot.release("hello-1.0").assets

    code, told = sign(depot, tmp_path / "good.txt")
    assert (code, asset.downloads) == (0, 1), told

    real, asset.content = asset.content, asset.content[:-1] + b"!"
    code, told = sign(depot, tmp_path / "bad.txt")
    assert (code, told["error"]["reason"]) == (3, "hash-mismatch")  # type: ignore[index]
    assert not (tmp_path / "bad.txt").exists()
    asset.content = real


def test_a_private_repositorys_files_are_fetched_with_the_persons_token(depot: Depot, tmp_path: Path) -> None:
    depot.propose("1.0")
    (asset,) = depot.release("hello-1.0").assets
    forge = depot.place.forge
    depot.place.repository.private = True
    credentials = b64encode(b"x-access-token:ghp_lab_bob").decode()
    with Git.open(depot.place.people.person("bob").clone) as git:
        git.run("config", f"http.{forge.url}/.extraheader", f"Authorization: Basic {credentials}")

    code, told = sign(depot, tmp_path / "without.txt")
    assert (code, told["error"]["reason"]) == (3, "missing-target")  # type: ignore[index]
    assert "GH_TOKEN" in told["error"]["todo"]  # type: ignore[index]

    host = forge.url.removeprefix("http://")
    code, told = sign(depot, tmp_path / "with.txt", GH_HOST=host, GH_TOKEN="ghp_lab_bob")
    assert (code, asset.downloads) == (0, 1), told


def test_files_cannot_be_checked_where_there_is_no_network(depot: Depot, tmp_path: Path) -> None:
    done = CliRunner().invoke(
        cli, ["sign", "--check-files", "--from", str(tmp_path), "--out", "x", "--key", "env:X"]
    )
    assert done.exit_code == 2
    assert "--check-files fetches files" in done.output
