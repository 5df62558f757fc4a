"""Publishing in four steps, each a job of its own on GitHub: stage, build, check the live site, record."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import pytest

from integration.edges import Edges, no_pause
from integration.team import NOW, URL, Team, days, with_release
from keyturn.errors import EnvironmentFault, KeyturnError, RefusedError, UsageError
from keyturn.flow import changing, events, publishing
from keyturn.flow.live import Served, no_live
from keyturn.flow.publishing import Staged
from keyturn.flow.visiting import Freshness, wanted_targets
from keyturn.forge import PUBLISHED, STAGED
from keyturn.git import Git
from keyturn.signing import KeySigner
from keyturn.state import Site
from keyturn.tree import DirectoryTree, Tree
from keyturn.verify import Publication, verify_published

pytestmark = pytest.mark.slow


@dataclass
class Pages:
    """The publishing jobs around one site, which remembers everything that was ever served."""

    team: Team
    base: Path
    served: Path | None = None
    contents: dict[str, set[bytes]] = field(default_factory=lambda: defaultdict(set))
    deploys: int = 0

    def stage(self, now: datetime = NOW, *signers: KeySigner) -> Staged:
        live = self._live if self.served else no_live
        return publishing.stage(self.team.publisher(now), signers or [self.team.online], live)

    def build(self, staged: Staged, now: datetime = NOW) -> Path:
        out = self.base / f"artifact-{self.deploys}"
        self.deploys += 1
        publishing.build(self.team.publisher(now), staged.commit, out)
        return out

    def deploy(self, artifact: Path) -> None:
        self.served = artifact
        timestamp = (artifact / "metadata/timestamp.json").read_bytes()
        self.contents[f"timestamp {json.loads(timestamp)['signed']['version']}"].add(timestamp)
        for file in (artifact / "metadata").glob("[0-9]*.json"):
            self.contents[file.name].add(file.read_bytes())

    def check(self, staged: Staged, now: datetime = NOW) -> publishing.LiveCheck:
        assert self.served
        return publishing.check_live(
            self.team.publisher(now), staged.commit, URL, attempts=1, pause=no_pause, fetch=Edges(self.served)
        )

    def record(self, staged: Staged) -> bool:
        return publishing.record(self.team.publisher(), staged.commit)

    def run(self, now: datetime = NOW) -> Staged:
        """One whole run, as the workflow has it."""
        staged = self.stage(now)
        self.deploy(self.build(staged, now))
        assert self.check(staged, now).freshness is Freshness.NEW
        self.record(staged)
        return staged

    def findings(self, now: datetime = NOW) -> list[str]:
        assert self.served
        site = Site(DirectoryTree(self.served))
        return [
            finding.id for finding in verify_published(Publication(site, now, pinned=self.team.root_digest))
        ]

    def two_contents(self) -> list[str]:
        return [name for name, contents in self.contents.items() if len(contents) > 1]

    def tip(self, branch: str) -> str | None:
        forge = self.team.person("publisher").context.forge
        forge.refresh()
        return forge.branch_tip(branch)

    def tree(self, commit: str) -> Tree:
        return self.team.person("publisher").context.forge.tree(commit)

    def _live(self, _: str) -> Served:
        assert self.served
        return Served(Site(DirectoryTree(self.served)), "asked in the test")


@pytest.fixture
def pages(team: Team) -> Pages:
    """Version 1.0 is released, and nothing published yet."""
    team.begin(with_release, "1.0")
    return Pages(team, team.base)


def with_a_run(team: Team) -> None:
    """Version 1.0 released, and published by a whole run."""
    team.begin(with_release, "1.0")
    Pages(team, team.base).run()


def with_another_version(team: Team) -> None:
    """Version 1.0 released and published by a whole run, 1.1 only released."""
    team.begin(with_a_run)
    team.release("1.1")


@pytest.fixture
def running(team: Team) -> Pages:
    """Version 1.0 is released and published."""
    team.begin(with_a_run)
    return after_a_run(team)


@pytest.fixture
def behind(team: Team) -> Pages:
    """Version 1.0 is released and published, 1.1 only released."""
    team.begin(with_another_version)
    return after_a_run(team)


def after_a_run(team: Team) -> Pages:
    pages = Pages(team, team.base, deploys=1)
    pages.deploy(team.base / "artifact-0")
    return pages


def refusal(call: Callable[[], object]) -> KeyturnError:
    with pytest.raises(KeyturnError) as caught:
        call()
    return caught.value


def test_four_jobs_publish_what_was_merged(pages: Pages) -> None:
    staged = pages.stage()
    assert staged.signed == (("snapshot", 1), ("timestamp", 1))
    assert (staged.snapshot, staged.timestamp, staged.changed) == (1, 1, True)
    assert pages.tip(PUBLISHED) is None
    pages.deploy(pages.build(staged))
    checked = pages.check(staged)
    assert (checked.freshness, checked.timestamp) == (Freshness.NEW, 1)
    assert checked.downloaded == ("hello/hello-1.0.tar.gz",)
    assert pages.record(staged)
    assert pages.tip(PUBLISHED) == pages.tip(STAGED) == staged.commit
    assert pages.findings() == []


def test_nothing_new_stages_nothing_and_needs_no_key(pages: Pages) -> None:
    first = pages.run()
    again = publishing.stage(pages.team.publisher(), [])
    assert (again.commit, again.signed, again.changed) == (first.commit, (), False)
    assert not pages.record(again)


def test_staging_without_a_pinned_root_is_refused(pages: Pages) -> None:
    context = pages.team.person("publisher").context
    assert refusal(lambda: publishing.stage(context, [pages.team.online])).reason == "no-pin"


def test_building_needs_a_pinned_root_as_well(pages: Pages, tmp_path: Path) -> None:
    staged = pages.stage()
    context = pages.team.person("publisher").context
    assert refusal(lambda: publishing.build(context, staged.commit, tmp_path / "x")).reason == "no-pin"
    assert not (tmp_path / "x").exists()


# Deaths. Each leaves something half-done behind; the next whole run must heal it.


def test_dies_before_staging(behind: Pages, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as crash:
        crash.setattr(type(behind.team.publisher().forge), "record", died)
        with pytest.raises(KeyboardInterrupt):
            behind.stage()
    healed = behind.run()
    assert healed.timestamp == 2
    assert behind.findings() == []
    assert behind.two_contents() == []


def died(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_dies_between_staging_and_deploy(behind: Pages) -> None:
    lost = behind.stage()
    healed = behind.run()
    assert healed.commit == lost.commit, "what is staged is still what would be made now"
    assert healed.signed == ()
    assert behind.findings() == []
    assert behind.two_contents() == []


def test_dies_between_staging_and_deploy_and_main_moves_on(behind: Pages) -> None:
    lost = behind.stage()
    behind.team.release("1.2")
    healed = behind.run()
    assert healed.timestamp == lost.timestamp + 1
    assert behind.two_contents() == []


def test_dies_between_deploy_and_live_check(behind: Pages) -> None:
    out = behind.stage()
    behind.deploy(behind.build(out))
    healed = behind.run()
    assert healed.commit == out.commit
    assert behind.two_contents() == []


def test_what_was_deployed_and_never_recorded_is_still_there_for_clients_in_flight(behind: Pages) -> None:
    behind.deploy(behind.build(behind.stage()))
    behind.team.release("1.2")
    healed = behind.run()
    assert healed.timestamp == 3
    assert behind.served
    assert (behind.served / "metadata/2.snapshot.json").is_file()
    assert (behind.served / "metadata/3.targets.json").is_file()
    assert behind.findings() == []
    assert behind.two_contents() == []


def test_dies_before_recording(behind: Pages) -> None:
    out = behind.stage()
    behind.deploy(behind.build(out))
    behind.check(out)
    healed = behind.run()
    assert healed.commit == out.commit
    assert behind.tip(PUBLISHED) == out.commit
    assert behind.two_contents() == []


def test_dies_and_both_caches_are_lost_but_the_site_remembers(running: Pages) -> None:
    git = Git.open(running.team.person("mallory").clone)
    git.run("push", "--quiet", "origin", f":refs/heads/{STAGED}", f":refs/heads/{PUBLISHED}")
    running.team.release("1.1")
    healed = running.run()
    assert healed.timestamp == 2
    assert running.two_contents() == []


def test_a_timestamp_that_fell_due_after_a_death_gets_a_number_of_its_own(behind: Pages) -> None:
    behind.deploy(behind.build(behind.stage()))
    later = NOW + days(2.5)
    healed = behind.run(later)
    assert healed.signed == (("timestamp", 3),)
    assert behind.findings(later) == []
    assert behind.two_contents() == []


# Build


def test_only_what_was_staged_is_built(pages: Pages, tmp_path: Path) -> None:
    staged = pages.stage()
    main = pages.tip("main")
    assert main
    for commit in (main, "0" * 40, STAGED, "--help"):
        error = refusal(lambda c=commit: publishing.build(pages.team.publisher(), c, tmp_path / "x"))
        assert error.reason == "not-staged"
    publishing.build(pages.team.publisher(), staged.commit, tmp_path / "x")


def test_a_staged_commit_that_somebody_tampered_with_is_not_built(pages: Pages, tmp_path: Path) -> None:
    pages.stage()
    tampered = pages.team.push_file(STAGED, "metadata/2.targets.json", b"{}")
    error = refusal(lambda: publishing.build(pages.team.publisher(), tampered, tmp_path / "x"))
    assert error.reason == "invalid"
    assert not (tmp_path / "x").exists()


def test_an_older_staged_commit_is_not_built_again(pages: Pages, tmp_path: Path) -> None:
    """Who can push, or re-run an old job, could take clients back."""
    first = pages.run()
    pages.team.release("1.1")
    pages.run()
    error = refusal(lambda: publishing.build(pages.team.publisher(), first.commit, tmp_path / "x"))
    assert error.reason == "not-forward"


def test_a_staged_commit_that_main_went_back_behind_is_not_built(pages: Pages, tmp_path: Path) -> None:
    before = pages.tip("main")
    pages.team.release("1.1")
    staged = pages.stage()
    git = Git.open(pages.team.person("alice").clone)
    git.run("push", "--quiet", "--force", "origin", f"{before}:refs/heads/main")
    error = refusal(lambda: publishing.build(pages.team.publisher(), staged.commit, tmp_path / "x"))
    assert error.reason == "not-on-main"


def test_a_staged_commit_is_built_though_main_moved_on(pages: Pages) -> None:
    staged = pages.stage()
    pages.team.release("1.1")
    assert pages.build(staged).is_dir()


def test_a_build_goes_on_after_the_online_key_was_changed(pages: Pages) -> None:
    from keyturn.flow import found

    pages.run()
    fresh = pages.team.person("new-online")
    found.join(pages.team.person("alice").context, "online", "online", fresh.key, replacing=True)
    for name in ("alice", "bob"):
        pages.team.person(name).sign("online")
    events.merge(pages.team.person("alice").context, "online")
    staged = pages.stage(NOW, fresh.key, pages.team.online)
    pages.deploy(pages.build(staged))
    assert pages.check(staged).freshness is Freshness.NEW


# The live site


def checked(pages: Pages, staged: Staged, edges: Edges, attempts: int = 1) -> publishing.LiveCheck:
    return publishing.check_live(
        pages.team.publisher(), staged.commit, URL, attempts=attempts, pause=edges.next, fetch=edges
    )


def two_versions(behind: Pages) -> tuple[Path, Path, Staged]:
    """What is served, and what was built and staged after it."""
    assert behind.served
    staged = behind.stage()
    return behind.served, behind.build(staged), staged


def test_an_edge_that_lags_behind_is_waited_for(behind: Pages) -> None:
    old, new, staged = two_versions(behind)
    found = checked(behind, staged, Edges(old, old, new), attempts=5)
    assert (found.freshness, found.attempts) == (Freshness.NEW, 3)


def test_an_edge_that_goes_on_lagging_is_a_warning(behind: Pages) -> None:
    old, _, staged = two_versions(behind)
    found = checked(behind, staged, Edges(old), attempts=3)
    assert (found.stale, found.timestamp, found.wanted, found.attempts) == (True, 1, 2, 3)
    assert "still serves timestamp 1 instead of 2" in found.said


def test_an_edge_without_the_new_root_is_no_hindrance(running: Pages) -> None:
    changing.renew(running.team.person("alice").context, ["root"])
    for name in ("alice", "bob"):
        running.team.person(name).sign("renew")
    events.merge(running.team.person("alice").context, "renew")
    staged = running.stage()
    new = running.build(staged)
    (new / "metadata/2.root.json").unlink()
    assert checked(running, staged, Edges(new)).freshness is Freshness.NEW


def test_a_site_half_of_which_is_new_is_waited_for_and_then_refused(behind: Pages) -> None:
    _, new, staged = two_versions(behind)
    whole = (new / "metadata/2.snapshot.json").read_bytes()
    (new / "metadata/2.snapshot.json").unlink()
    edges = Edges(new)
    error = refusal(lambda: checked(behind, staged, edges, attempts=2))
    assert isinstance(error, EnvironmentFault)
    assert error.reason == "unreachable"
    (new / "metadata/2.snapshot.json").write_bytes(whole)
    assert checked(behind, staged, edges).freshness is Freshness.NEW


def test_a_site_that_does_not_verify_is_refused(behind: Pages) -> None:
    _, new, staged = two_versions(behind)
    (new / "metadata/2.snapshot.json").write_bytes((new / "metadata/1.snapshot.json").read_bytes())
    assert refusal(lambda: checked(behind, staged, Edges(new), attempts=3)).reason == "trial"


def test_a_changed_target_that_is_not_served_as_signed_is_found(behind: Pages) -> None:
    _, new, staged = two_versions(behind)
    for archive in new.rglob("*.hello-1.1.tar.gz"):
        archive.write_bytes(b"other")
    assert isinstance(refusal(lambda: checked(behind, staged, Edges(new))), RefusedError)


def test_other_content_under_the_number_deployed_is_a_loud_refusal(behind: Pages) -> None:
    """Somebody else has the online key."""
    old, new, staged = two_versions(behind)
    forged = resigned(behind, old, 2)
    (new / "metadata/timestamp.json").write_bytes(forged)
    error = refusal(lambda: checked(behind, staged, Edges(new), attempts=3))
    assert error.reason == "two-contents"
    assert "--replace" in error.todo


def test_a_timestamp_that_was_never_staged_is_a_loud_refusal(behind: Pages) -> None:
    old, new, staged = two_versions(behind)
    (new / "metadata/timestamp.json").write_bytes(resigned(behind, old, 7))
    assert refusal(lambda: checked(behind, staged, Edges(new))).reason == "foreign-timestamp"


def resigned(pages: Pages, site: Path, version: int) -> bytes:
    """A timestamp for an older snapshot, as a thief of the online key makes it."""
    from tuf.api.metadata import Metadata, Timestamp

    metadata: Metadata[Timestamp] = Metadata.from_bytes((site / "metadata/timestamp.json").read_bytes())
    metadata.signed.version = version
    (keyid,) = metadata.signatures
    signer = pages.team.online
    metadata.signatures[keyid] = signer.sign(metadata.signed_bytes)
    return metadata.to_bytes()


def test_a_later_run_may_have_been_faster(behind: Pages) -> None:
    _, _, staged = two_versions(behind)
    behind.team.release("1.2")
    later = behind.build(behind.stage())
    found = checked(behind, staged, Edges(later))
    assert (found.freshness, found.timestamp, found.wanted) == (Freshness.NEWER, 3, 2)
    assert "newer than the 2 looked for" in found.said


def test_no_attempt_at_all_is_a_mistake(behind: Pages) -> None:
    old, _, staged = two_versions(behind)
    assert isinstance(refusal(lambda: checked(behind, staged, Edges(old), attempts=0)), UsageError)


def test_targets_too_large_to_try_are_counted(pages: Pages) -> None:
    staged = pages.stage()
    expected = Publication(Site(pages.tree(staged.commit)), NOW, pinned=pages.team.root_digest)
    assert wanted_targets(expected, None, most=3).left_out == 1
    assert [target.path for target in wanted_targets(expected, None).targets] == ["hello/hello-1.0.tar.gz"]
    unchanged = wanted_targets(expected, expected)
    assert (len(unchanged.targets), unchanged.left_out) == (1, 0)


# Recording


def test_published_only_moves_forward(pages: Pages) -> None:
    first = pages.run()
    pages.team.release("1.1")
    second = pages.run()
    error = refusal(lambda: pages.record(first))
    assert error.reason == "not-forward"
    assert pages.tip(PUBLISHED) == second.commit


def test_only_what_was_staged_is_recorded(pages: Pages) -> None:
    pages.stage()
    main = pages.tip("main")
    error = refusal(lambda: publishing.record(pages.team.publisher(), str(main)))
    assert error.reason == "not-staged"


def test_a_tampered_published_branch_does_not_stop_publishing(running: Pages) -> None:
    """It is a cache: what somebody with push rights put there counts for nothing, and is left behind."""
    running.team.push_file(PUBLISHED, "targets/evil.bin", b"evil")
    running.team.release("1.1")
    healed = running.run()
    assert running.tip(PUBLISHED) == healed.commit
    assert "targets/evil.bin" not in running.tree(healed.commit).entries()
    assert running.findings() == []


def test_a_tampered_published_branch_is_mended_even_if_nothing_is_new(running: Pages) -> None:
    running.team.push_file(PUBLISHED, "metadata/timestamp.json", b"{}")
    healed = running.run()
    assert running.tip(PUBLISHED) == healed.commit
    assert running.two_contents() == []


def test_a_lost_published_branch_is_written_again(running: Pages) -> None:
    Git.open(running.team.person("mallory").clone).run(
        "push", "--quiet", "origin", f":refs/heads/{PUBLISHED}"
    )
    healed = running.run()
    assert running.tip(PUBLISHED) == healed.commit
    assert running.two_contents() == []


def test_a_lost_staged_branch_is_written_again(running: Pages) -> None:
    Git.open(running.team.person("mallory").clone).run("push", "--quiet", "origin", f":refs/heads/{STAGED}")
    healed = running.run()
    assert running.tip(PUBLISHED) == running.tip(STAGED) == healed.commit
    assert running.two_contents() == []


def test_an_online_thief_who_ends_a_role_is_told_apart_from_a_main_that_went_back(running: Pages) -> None:
    """A snapshot that lists a version which nobody signed comes from the online key alone."""
    assert running.served
    running.team.push_file(STAGED, "metadata/2.snapshot.json", overstated(running, running.served))
    error = refusal(running.stage)
    assert error.reason == "went-back"
    assert "online key" in error.todo
    assert "--replace" in error.todo


def overstated(pages: Pages, site: Path) -> bytes:
    from tuf.api.metadata import Metadata, Snapshot

    metadata: Metadata[Snapshot] = Metadata.from_bytes((site / "metadata/1.snapshot.json").read_bytes())
    metadata.signed.version = 2
    metadata.signed.meta["targets.json"].version = 500
    (keyid,) = metadata.signatures
    metadata.signatures[keyid] = pages.team.online.sign(metadata.signed_bytes)
    return metadata.to_bytes()
