"""Monitoring: what is wrong is in one issue, which closes when all is well again."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from tuf.api.metadata import Metadata, Timestamp

from integration.edges import Edges
from integration.team import NOW, Team, days, with_site
from keyturn.errors import ExitCode, NothingToDo
from keyturn.flow import changing, publishing
from keyturn.flow.monitoring import MARK, TITLE, URGENT_TITLE, Health, Ill, Limits, issue_text, monitor
from keyturn.forge import PUBLISHED, STAGED
from keyturn.forge.host import HostError, WorkflowRun
from keyturn.git import Git
from unit.fakehost import FakeHost

pytestmark = pytest.mark.slow

HOUR = timedelta(hours=1)
PUBLISH = "keyturn-publish.yml"


@dataclass
class Watched:
    """A repository with a site, the host it is on, and the job that looks after it."""

    team: Team
    site: Path
    host: FakeHost = field(default_factory=lambda: FakeHost(tip=lambda _: None))

    def publish(self, now: datetime = NOW) -> None:
        publishing.publish(self.team.publisher(now), self.site, [self.team.online])

    def look(self, now: datetime = NOW, site: Path | None = None, limits: Limits | None = None) -> Health:
        return monitor(self.team.publisher(now), self.host, fetch=Edges(site or self.site), limits=limits)

    def ills(self, now: datetime = NOW) -> list[str]:
        return [ill.about for ill in self.look(now).ills]

    def tip(self, branch: str) -> str | None:
        forge = self.team.publisher().forge
        forge.refresh()
        return forge.branch_tip(branch)

    def workflow(self, name: str, text: bytes = b"on:\n  schedule:\n    - cron: '7 * * * *'\n") -> None:
        self.team.push_file("main", f".github/workflows/{name}", text)

    def ran(self, name: str, *conclusions: str | None, now: datetime = NOW) -> None:
        self.host.workflow_runs[name] = [
            WorkflowRun(number, f"{self.host.url}/actions/runs/{number}", conclusion, "schedule", now)
            for number, conclusion in enumerate(conclusions, 1)
        ]


@pytest.fixture
def watched(team: Team, tmp_path: Path) -> Watched:
    team.begin(with_site)
    return Watched(team, tmp_path / "site")


def only(health: Health) -> Ill:
    assert len(health.ills) == 1, health.ills
    return health.ills[0]


def test_all_is_well(watched: Watched) -> None:
    health = watched.look()
    assert (health.well, health.exit_code, health.timestamp, health.issue) == (True, ExitCode.DONE, 1, None)
    assert watched.host.writes == []


def test_nothing_is_looked_after_before_founding(team: Team) -> None:
    team.init()
    with pytest.raises(NothingToDo):
        monitor(team.person("alice").context, FakeHost(tip=lambda _: None))


def test_one_issue_opens_stays_as_it_is_and_closes(watched: Watched, tmp_path: Path) -> None:
    sick = watched.look(site=tmp_path / "gone")
    assert (sick.well, sick.exit_code, sick.issue) == (False, ExitCode.INVALID, 1)
    (issue,) = watched.host.issues
    assert (issue.title, issue.open, issue.body.startswith(MARK)) == (URGENT_TITLE, True, True)
    assert watched.look(NOW + HOUR, site=tmp_path / "gone").issue == 1
    assert watched.host.writes == ["keep_issue"]
    assert watched.look(NOW + HOUR).issue is None
    assert not issue.open


def test_without_a_pin_main_vouches_for_its_own_root(watched: Watched) -> None:
    context = replace(watched.team.publisher(), root_digest=None)
    assert monitor(context, watched.host, fetch=Edges(watched.site)).timestamp == 1


# The live site


def test_a_site_that_a_client_refuses_is_urgent(watched: Watched) -> None:
    (watched.site / "metadata/1.snapshot.json").write_bytes(b"{}")
    ill = only(watched.look())
    assert (ill.about, ill.urgent) == ("live", True)
    assert "a stock client with root 1 alone does not update" in ill.what


def test_an_edge_may_lag_for_a_while(watched: Watched, tmp_path: Path) -> None:
    old = watched.site
    watched.site = tmp_path / "new"
    watched.team.release("1.0")
    watched.publish()
    assert watched.look(site=old).well
    late = only(watched.look(NOW + HOUR, site=old))
    assert (late.about, late.urgent, late.since) == ("live", False, NOW)
    assert late.what == "the site serves timestamp 1, though 2 is published"


def test_a_timestamp_that_nobody_here_signed_is_urgent(watched: Watched) -> None:
    file = watched.site / "metadata/timestamp.json"
    metadata: Metadata[Timestamp] = Metadata.from_bytes(file.read_bytes())
    metadata.signed.version = 9
    (keyid,) = metadata.signatures
    metadata.signatures[keyid] = watched.team.online.sign(metadata.signed_bytes)
    file.write_bytes(metadata.to_bytes())
    ill = only(watched.look())
    assert ill.urgent
    assert "timestamp 9 is served, which was never staged" in ill.what


def test_a_client_that_was_here_before_notices_when_the_site_went_back(
    watched: Watched, tmp_path: Path
) -> None:
    old, held = watched.site, tmp_path / "held"
    held.mkdir()
    watched.site = tmp_path / "new"
    watched.publish(NOW + days(2.5))
    context = watched.team.publisher(NOW + days(2.6))
    assert monitor(context, watched.host, fetch=Edges(watched.site), held=held).well
    assert monitor(context, watched.host, fetch=Edges(watched.site), held=held).well
    assert (held / "timestamp.json").is_file()
    git = Git.open(watched.team.person("mallory").clone)
    forge = watched.team.person("mallory").context.forge
    forge.refresh()
    first = git.run("rev-parse", f"{forge.branch_tip(PUBLISHED)}^").decode().strip()
    for branch in (PUBLISHED, STAGED):
        git.run("push", "--quiet", "--force", "origin", f"{first}:refs/heads/{branch}")
    health = monitor(context, watched.host, fetch=Edges(old), held=held)
    assert any("that was here before" in ill.what for ill in health.ills)


# What is about to expire


def test_a_renewal_that_nobody_proposed_is_said_a_day_later(watched: Watched) -> None:
    opens = NOW + days(90)
    watched.publish(opens)
    assert watched.look(opens).well
    watched.publish(opens + days(1))
    ill = only(watched.look(opens + days(1)))
    assert (ill.about, ill.urgent, ill.since) == ("renewal", False, opens)
    assert "keyturn propose renew --role targets" in ill.todo


def test_an_open_renewal_is_well_until_half_its_time_is_over(watched: Watched) -> None:
    opens, half = NOW + days(90), NOW + days(106)
    alice = watched.team.person("alice")
    changing.renew(alice.at(half - days(2)))
    watched.publish(half - days(2))
    assert watched.look(half - days(2)).well
    watched.publish(half)
    ill = only(watched.look(half))
    assert (ill.about, ill.urgent, ill.since) == ("renewal", True, opens)
    assert ill.todo == "Sign and merge sign/renew."


def test_what_has_expired_is_urgent(watched: Watched) -> None:
    health = watched.look(NOW + days(121))
    expired = {ill.what.split(" has")[0] for ill in health.ills if ill.about == "expired"}
    assert expired == {"targets 1", "snapshot 1", "timestamp 1"}
    assert all(ill.urgent for ill in health.ills if ill.about == "expired")
    assert watched.host.issues[0].title == URGENT_TITLE


def test_a_timestamp_that_no_run_renewed_tells_that_publish_does_not_run(watched: Watched) -> None:
    assert watched.look(NOW + days(2.2)).well
    ill = only(watched.look(NOW + days(2.3)))
    assert (ill.about, ill.urgent, ill.since) == ("renewal", False, NOW + days(2))
    assert "keyturn-publish" in ill.todo
    assert only(watched.look(NOW + days(2.6))).urgent


# Main, published, staged


def test_a_forged_merge_is_urgent(watched: Watched) -> None:
    topic = watched.team.propose("1.0").topic
    forge = watched.team.person("mallory").context.forge
    forge.refresh()
    forge.merge(topic, "looks fine", watched.team.person("mallory").context.author, NOW)
    ills = watched.look().ills
    assert {ill.about for ill in ills} == {"main"}
    assert "0 of 2" in ills[0].what
    assert ills[0].urgent


def test_drift_is_said_until_its_event_is_open(watched: Watched) -> None:
    alice = watched.team.person("alice").context
    alice.forge.refresh()
    text = alice.forge.tree(alice.forge.main()).read("keyturn.yml")
    watched.team.push_file("main", "keyturn.yml", text.replace(b"expires: 120d", b"expires: 90d"))
    ill = only(watched.look())
    assert (ill.about, ill.urgent) == ("drift", False)
    changing.policy(alice)
    assert watched.look().well


def test_what_is_merged_and_not_published_is_said_after_an_hour(watched: Watched) -> None:
    watched.team.release("1.0")
    assert watched.look().well
    ill = only(watched.look(NOW + HOUR))
    assert (ill.about, ill.what) == ("unpublished", "main says targets 2, and that is not published")


def test_what_is_staged_and_not_published_is_said_after_an_hour(watched: Watched) -> None:
    watched.team.release("1.0")
    publishing.stage(watched.team.publisher(), [watched.team.online])
    assert watched.look().well
    assert only(watched.look(NOW + HOUR)).about == "staged"


# Events that wait


def test_an_event_that_waits_for_long_names_who_is_missing(watched: Watched) -> None:
    topic = watched.team.propose("1.0").topic
    watched.team.person("alice").sign(topic)
    week = NOW + days(7)
    watched.publish(week - HOUR)
    assert watched.look(week - HOUR).well
    ill = only(watched.look(week))
    assert (ill.about, ill.since) == ("waiting", NOW)
    assert f"sign/{topic} waits: targets 2 has 1 of 2" in ill.what
    assert "bob" in ill.what


@pytest.mark.parametrize(
    ("signers", "said"), [(("alice", "bob"), "nobody has merged it"), ((), "may still sign: alice, bob")]
)
def test_what_an_event_waits_for_is_said(watched: Watched, signers: Sequence[str], said: str) -> None:
    topic = watched.team.propose("1.0").topic
    for name in signers:
        watched.team.person(name).sign(topic)
    ill = only(watched.look(limits=Limits(waiting=timedelta(0))))
    assert said in ill.what


def test_an_invalid_event_waits_too(watched: Watched) -> None:
    watched.team.propose("1.0")
    watched.team.push_file("sign/release-hello-1.0", "README.md", b"also")
    ill = only(watched.look(limits=Limits(waiting=timedelta(0))))
    assert "it is invalid: KT301 README.md" in ill.what


def test_an_event_that_a_person_closed_does_not_wait(watched: Watched) -> None:
    topic = watched.team.propose("1.0").topic
    watched.host.tip = watched.tip
    watched.host.close(watched.host.open_pull_request(f"sign/{topic}", "1.0", "").number)
    assert watched.look(limits=Limits(waiting=timedelta(0))).well


def test_a_merged_event_does_not_wait(watched: Watched) -> None:
    watched.team.release("1.0")
    watched.publish()
    assert watched.look(limits=Limits(waiting=timedelta(0))).well


# Workflows


def test_failing_runs_are_said_with_the_first_of_them(watched: Watched) -> None:
    watched.workflow(PUBLISH)
    watched.ran(PUBLISH, "success", "failure", "cancelled", "failure", None)
    ill = only(watched.look())
    assert (ill.about, ill.what) == ("failing", f"{PUBLISH} fails")
    assert "/actions/runs/2 " in ill.todo
    watched.ran(PUBLISH, "failure", "success", None)
    assert watched.look().well


def test_a_schedule_without_runs_is_said(watched: Watched) -> None:
    watched.workflow(PUBLISH)
    assert watched.look(NOW).well
    two_days = NOW + days(2)
    watched.publish(two_days - HOUR)
    assert only(watched.look(two_days)).what == f"{PUBLISH} has never run"
    watched.ran(PUBLISH, "success", now=NOW)
    assert only(watched.look(two_days)).what == f"{PUBLISH} has not run any more"
    watched.ran(PUBLISH, "success", now=two_days - HOUR)
    assert watched.look(two_days).well


def test_a_workflow_that_only_pushes_wake_may_be_silent(watched: Watched) -> None:
    watched.workflow("keyturn-review.yml", b"on: pull_request_review\n")
    watched.publish(NOW + days(3))
    assert watched.look(NOW + days(3)).well


def test_the_monitor_does_not_fall_ill_of_its_own_verdict(watched: Watched) -> None:
    watched.workflow("keyturn-monitor.yml")
    watched.ran("keyturn-monitor.yml", "failure", None)
    assert watched.look().well


def test_schedules_are_kept_alive_only_when_the_repository_idles(watched: Watched) -> None:
    watched.workflow(PUBLISH)
    watched.workflow("keyturn-monitor.yml")
    for days_idle, kept in ((49, ()), (50, ("keyturn-monitor.yml", PUBLISH))):
        assert watched.look(NOW + days(days_idle)).kept == kept
    assert watched.host.kept_enabled == ["keyturn-monitor.yml", PUBLISH]


def test_a_missing_permission_leaves_nothing_half_done(watched: Watched, tmp_path: Path) -> None:
    watched.workflow(PUBLISH)
    watched.host.broken["runs"] = HostError("actions: read is missing", reason="permission")
    with pytest.raises(HostError):
        watched.look(NOW + days(60), site=tmp_path / "gone")
    assert watched.host.writes == []
    assert watched.host.kept_enabled == []


# The text


def test_the_issue_says_what_since_when_and_what_to_do() -> None:
    ills = (
        Ill("expired", "targets 3 has expired", "Sign and merge sign/renew.", since=NOW, urgent=True),
        Ill("drift", "differs", "Propose."),
    )
    text = issue_text(ills)
    assert "### 1. targets 3 has expired" in text
    assert "**Urgent.** Since 2026-11-21 12:00 UTC." in text
    assert text.index("expired") < text.index("differs")


def test_nothing_in_the_issue_can_be_written_by_a_stranger() -> None:
    text = issue_text((Ill("waiting", "sign/`<img src=x>`@alice\x1b[2J [a](b) waits", "Run `<b>`@bob"),))
    outside = re.sub(r"`[^`\n]*`", "", text)
    for live in ("<", "@", "\x1b", "]("):
        assert live not in outside


def test_titles_tell_urgent_from_not(watched: Watched) -> None:
    watched.team.propose("1.0")
    watched.look(limits=Limits(waiting=timedelta(0)))
    assert watched.host.issues[0].title == TITLE
