"""Monitoring: is what people rely on still so? One issue says what is not, and closes when all is well.

Looked at is what a client gets from the live site, what is about to expire, whether ``main`` verifies and
says what the policy asks for, whether the workflows run, and what waits for somebody. The text depends on
nothing but what is wrong, so that an unchanged state of health changes nothing on the host.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from tuf.ngclient import FetcherInterface

from keyturn.errors import EnvironmentFault, ExitCode, KeyturnError, NothingToDo, RefusedError
from keyturn.flow.changing import POLICY_TOPIC
from keyturn.flow.closed_events import closed_topics
from keyturn.flow.context import (
    Context,
    Loaded,
    Source,
    assemble,
    content_of,
    load_event,
    pinned_digest,
    trusting_main,
)
from keyturn.flow.elsewhere import published_site, published_versions
from keyturn.flow.events import missing_signatures
from keyturn.flow.markdown import advice, markdown_escape
from keyturn.flow.publishing import releases_base
from keyturn.flow.visiting import Freshness, Visitor, patiently, wanted_targets
from keyturn.forge import EVENT_PREFIX, PUBLISHED, STAGED
from keyturn.forge.host import Host, WorkflowRun
from keyturn.state import ONLINE_ROLES, Delegation, RoleFile, Site, State
from keyturn.verify import EventState, Publication, Report, errors, period_of, verify_event

MARK = "<!-- keyturn-monitor -->"
"""By this line our issue is known."""
TITLE = "Keyturn: this update repository needs attention"
URGENT_TITLE = "Keyturn: this update repository needs attention now"
MONITOR = "keyturn-monitor.yml"
"""The workflow that fails whenever something is wrong: its failures are no ill of their own."""
DRIFT = "KT405"
"""The finding that policy and signed metadata differ."""
_WORKFLOWS = re.compile(r"\.github/workflows/(keyturn-[a-z-]+\.ya?ml)")
_SCHEDULED = re.compile(rb"^\s+schedule:", re.MULTILINE)
_NO_VERDICT = (None, "cancelled", "skipped", "neutral", "stale", "action_required")
"""Conclusions of runs that say nothing of whether the job can be done."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How long something may last before it counts as wrong.

    Args:
        unpublished: How long what is merged or staged may wait for its publication.
        waiting: How long a signing event may wait for people.
        silent: How long a scheduled workflow may go without a run.
        idle: Age of the last commit on ``main`` from which schedules have to be kept alive; hosts stop them
            after 60 days.
        grace: How long after a renewal window opened its event may be missing; never more than a quarter of
            the window.
    """

    unpublished: timedelta = timedelta(hours=1)
    waiting: timedelta = timedelta(days=7)
    silent: timedelta = timedelta(days=2)
    idle: timedelta = timedelta(days=50)
    grace: timedelta = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Ill:
    """One thing that is wrong.

    Args:
        about: What it concerns, a stable word for programs.
        what: What is wrong, a sentence without a full stop.
        todo: What to do about it.
        since: Since when, UTC; None if that is not known.
        urgent: Whether clients are, or soon will be, without updates, or somebody is attacking.
    """

    about: str
    what: str
    todo: str
    since: datetime | None = None
    urgent: bool = False

    def to_dict(self) -> dict[str, object]:
        """The ill as programs read it."""
        return {
            "about": self.about,
            "what": self.what,
            "todo": self.todo,
            "since": self.since.isoformat() if self.since else None,
            "urgent": self.urgent,
        }


@dataclass(frozen=True, slots=True)
class Health:
    """What monitoring found.

    Args:
        ills: What is wrong, the urgent first.
        timestamp: Version of the timestamp that a client gets from the live site; None if it gets none.
        issue: Number of the issue; None if there is none open.
        kept: Workflows whose schedules were kept alive.
    """

    ills: tuple[Ill, ...]
    timestamp: int | None
    issue: int | None
    kept: tuple[str, ...]

    @property
    def well(self) -> bool:
        """Whether nothing is wrong."""
        return not self.ills

    @property
    def exit_code(self) -> ExitCode:
        """The exit code that stands for it."""
        return ExitCode.DONE if self.well else ExitCode.INVALID


def monitor(
    context: Context,
    host: Host,
    *,
    url: str | None = None,
    held: Path | None = None,
    attempts: int = 1,
    pause: Callable[[], object] = lambda: None,
    fetch: FetcherInterface | None = None,
    limits: Limits | None = None,
) -> Health:
    """Look after a repository, and keep one issue about what is wrong.

    Args:
        context: Where; without a pin or a given digest ``main`` vouches for its own root.
        host: The code host.
        url: The site's root, with a slash at the end; None takes the policy's.
        held: Directory of a client that was here before, which goes on from there; None starts from what
            was published last.
        attempts: How often to ask the live site before what it serves counts.
        pause: Waits between two attempts.
        fetch: What the client fetches with; None is its own way.
        limits: How long something may last.

    Raises:
        NothingToDo: The repository is not founded yet.
        HostError: The host does not answer, or a permission is missing.
        GitError: The remote cannot be read.
    """
    context.forge.refresh()
    closed = closed_topics(context.forge, host)
    watch = _Watch.over(trusting_main(context), limits or Limits(), closed)
    live = _Live.seen(watch, url, held, attempts, pause, fetch)
    workflows = _workflows(watch)
    runs = {name: host.runs(name) for name in workflows}
    found = (
        *_main(watch),
        *_offline(watch),
        *_online(watch),
        *_unpublished(watch),
        *live.ills,
        *_waiting(watch),
        *_runs(watch, runs),
    )
    ills = tuple(sorted(found, key=lambda ill: not ill.urgent))
    kept = workflows if watch.overdue(watch.newest(watch.context.forge.branch), watch.limits.idle) else ()
    for name in kept:
        host.keep_enabled(name)
    title = URGENT_TITLE if any(ill.urgent for ill in ills) else TITLE
    issue = host.keep_issue(MARK, title, issue_text(ills) if ills else None)
    return Health(ills=ills, timestamp=live.timestamp, issue=issue, kept=tuple(kept))


def issue_text(ills: Sequence[Ill]) -> str:
    """The text of the issue, Markdown.

    Args:
        ills: What is wrong.
    """
    parts = ["This is kept up to date by `keyturn-monitor`, and closed when all is well again."]
    for number, ill in enumerate(ills, 1):
        heading = f"### {number}. {markdown_escape(ill.what)}"
        marks = [
            *(["**Urgent.**"] if ill.urgent else []),
            *([f"Since {_day(ill.since)}."] if ill.since else []),
        ]
        parts += [heading, *([" ".join(marks)] if marks else []), f"What to do: {advice(ill.todo)}"]
    return "\n\n".join(parts) + "\n"


def _day(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


@dataclass(frozen=True, slots=True)
class _OpenEvent:
    """A signing event that is not merged yet: the verdict, or why there is none."""

    topic: str
    since: datetime
    report: Report | None
    error: str = ""


@dataclass(frozen=True, slots=True)
class _Watch:
    """Everything about the repository itself that health depends on."""

    context: Context
    limits: Limits
    main: Loaded
    published: Publication | None
    events: tuple[_OpenEvent, ...]

    @classmethod
    def over(cls, context: Context, limits: Limits, closed: Collection[str]) -> _Watch:
        forge = context.forge
        pinned = pinned_digest(context.remembered, context.root_digest)
        main = assemble(Source.alone(forge.branch, forge.url, forge.tree(forge.main())), pinned, context.now)
        if main.event.founding:
            raise NothingToDo(
                "there is nothing to look after: the repository is not founded yet", where=forge.url
            )
        topics = [topic for topic in forge.events() if topic not in closed and not forge.is_merged(topic)]
        return cls(
            context=context,
            limits=limits,
            main=main,
            published=published_site(forge, pinned, context.now),
            events=tuple(_open_event(context, topic) for topic in topics),
        )

    @property
    def now(self) -> datetime:
        return self.context.now

    @property
    def state(self) -> State:
        return self.main.event.baseline

    def overdue(self, since: datetime | None, limit: timedelta) -> bool:
        return since is not None and since + limit <= self.now

    def newest(self, branch: str, without: str = "") -> datetime | None:
        """Time of the last commit of a branch that another one lacks."""
        return max((commit.when for commit in self.context.forge.history(branch, without)), default=None)

    def oldest(self, branch: str, without: str) -> datetime | None:
        """Time of the first of them."""
        return min((commit.when for commit in self.context.forge.history(branch, without)), default=None)

    def topics(self, role: str, version: int) -> tuple[str, ...]:
        """The open events that propose a role beyond a version."""
        return tuple(
            event.topic
            for event in self.events
            if event.report and any(s.role == role and s.version > version for s in event.report.roles)
        )


def _open_event(context: Context, topic: str) -> _OpenEvent:
    history = context.forge.history(EVENT_PREFIX + topic, context.forge.branch)
    since = min((commit.when for commit in history), default=context.now)
    try:
        return _OpenEvent(topic, since, load_event(context, topic).judge())
    except KeyturnError as error:
        return _OpenEvent(topic, since, None, error.what)


@dataclass(frozen=True, slots=True)
class _Live:
    """What a client got from the live site."""

    timestamp: int | None
    ills: tuple[Ill, ...]

    @classmethod
    def seen(
        cls,
        watch: _Watch,
        url: str | None,
        held: Path | None,
        attempts: int,
        pause: Callable[[], object],
        fetch: FetcherInterface | None,
    ) -> _Live:
        policy, published = watch.main.event.policy, watch.published
        if published is None or policy is None:
            return cls(None, ())
        address = url or policy.publish.url
        published = replace(published, releases=releases_base(watch.context, policy))
        visitor = Visitor(
            expected=published,
            held=published,
            staged=Site(watch.context.forge.tree(watch.context.forge.branch_tip(STAGED))).timestamp,
            errand=wanted_targets(published, published),
            now=watch.now,
            fetch=fetch,
            own=held,
        )
        try:
            visit, _ = patiently(visitor, address, attempts, pause)
        except RefusedError as error:
            todo = error.todo or "Look at the last run of keyturn-publish; publish again."
            return cls(None, (Ill("live", error.what, todo, urgent=True),))
        except EnvironmentFault as error:
            todo = "See whether the site is up; publish again if files are missing."
            return cls(None, (Ill("live", error.what, todo, urgent=True),))
        since = watch.newest(PUBLISHED)
        if visit.freshness is not Freshness.STALE or not watch.overdue(since, watch.limits.unpublished):
            return cls(visit.timestamp.version, ())
        wanted = published.site.timestamp.version if published.site.timestamp else 0
        what = f"the site serves timestamp {visit.timestamp.version}, though {wanted} is published"
        todo = "Start keyturn-publish by hand; if that does not help, ask the host of the site."
        return cls(visit.timestamp.version, (Ill("live", what, todo, since),))


def _main(watch: _Watch) -> Iterator[Ill]:
    findings = verify_event(watch.main.event).findings
    for finding in errors(findings):
        yield Ill("main", f"{finding.id} {finding.where}: {finding.what}", finding.mend, urgent=True)
    if any(event.topic == POLICY_TOPIC for event in watch.events):
        return
    for finding in findings:
        if finding.id == DRIFT:
            yield Ill("drift", f"{finding.id} {finding.where}: {finding.what}", finding.mend)


def _offline(watch: _Watch) -> Iterator[Ill]:
    seen: set[str] = set()
    for delegation in watch.state.delegations:
        file = watch.state.role(delegation.name)
        if delegation.name in ONLINE_ROLES or file is None or delegation.name in seen:
            continue
        seen.add(delegation.name)
        topics = watch.topics(file.role, file.version)
        if topics:
            todo = f"Sign and merge {' or '.join(EVENT_PREFIX + topic for topic in topics)}."
        else:
            todo = f"Run `keyturn propose renew --role {file.role}`; see why keyturn-propose did not."
        yield from _age(watch, file, delegation, todo, covered=bool(topics))


def _online(watch: _Watch) -> Iterator[Ill]:
    """Online roles grow old when no publication runs."""
    if watch.published is None:
        return
    todo = "See why keyturn-publish does not run or fails; start it by hand."
    for file in (watch.published.snapshot, watch.published.site.timestamp):
        delegation = watch.published.delegation(file.role) if file else None
        if file and delegation:
            yield from _age(watch, file, delegation, todo, covered=False)


def _age(watch: _Watch, file: RoleFile, delegation: Delegation, todo: str, *, covered: bool) -> Iterator[Ill]:
    period = period_of(delegation)
    name, now = f"{file.role} {file.version}", watch.now
    if file.expires <= now:
        yield Ill("expired", f"{name} has expired: clients refuse it", todo, since=file.expires, urgent=True)
    if file.expires <= now or period is None:
        return
    window = period.renew.delta
    opened = file.expires - window
    if opened + window / 2 <= now:
        what = f"{name} expires on {_day(file.expires)}, and more than half of the time to renew it is over"
        yield Ill("renewal", what, todo, since=opened, urgent=True)
    elif opened + min(watch.limits.grace, window / 4) <= now and not covered:
        what = f"{name} expires on {_day(file.expires)} and is due for renewal, which nothing has begun"
        yield Ill("renewal", what, todo, since=opened)


def _unpublished(watch: _Watch) -> Iterator[Ill]:
    forge = watch.context.forge
    staged = watch.oldest(STAGED, PUBLISHED)
    if watch.overdue(staged, watch.limits.unpublished):
        what = "what is signed in keyturn/staged is not published"
        yield Ill("staged", what, "See where keyturn-publish fails; start it by hand.", staged)
        return
    behind = list(_behind(watch.state, published_versions(watch.published)))
    merged = watch.newest(forge.branch)
    if behind and watch.overdue(merged, watch.limits.unpublished):
        what = f"main says {', '.join(behind)}, and that is not published"
        yield Ill(
            "unpublished", what, "See why keyturn-publish does not run or fails; start it by hand.", merged
        )


def _behind(state: State, published: Mapping[str, int]) -> Iterator[str]:
    files = [state.root, *state.targets_roles()]
    return (
        f"{file.role} {file.version}" for file in files if file and published.get(file.role, 0) < file.version
    )


def _waiting(watch: _Watch) -> Iterator[Ill]:
    for event in watch.events:
        if not watch.overdue(event.since, watch.limits.waiting):
            continue
        reason, todo = _reason(event)
        yield Ill("waiting", f"{EVENT_PREFIX}{event.topic} waits: {reason}", todo, event.since)


def _reason(event: _OpenEvent) -> tuple[str, str]:
    report = event.report
    if report is None:
        return event.error, "Propose it again, or close it."
    if report.state is EventState.PENDING:
        return missing_signatures(report), "Remind them, or close the pull request."
    if report.state is EventState.INCOMPLETE:
        return (
            f"the keys of {', '.join(report.missing_keys)} are missing",
            "Each of them runs `keyturn join`.",
        )
    if report.state is EventState.READY:
        return "it is signed, and nobody has merged it", "Merge it."
    if report.state is EventState.EMPTY:
        return "it changes nothing any more", "Close the pull request."
    found = "; ".join(f"{finding.id} {finding.where}: {finding.what}" for finding in errors(report.findings))
    return f"it is invalid: {found or 'it conflicts with main'}", "Propose it again, or close it."


def _workflows(watch: _Watch) -> tuple[str, ...]:
    matches = (_WORKFLOWS.fullmatch(path) for path in watch.state.tree.entries())
    return tuple(match[1] for match in matches if match)


def _runs(watch: _Watch, runs: Mapping[str, Sequence[WorkflowRun]]) -> Iterator[Ill]:
    for name, latest in runs.items():
        last = latest[0].started if latest else watch.newest(watch.context.forge.branch)
        if _scheduled(watch, name) and watch.overdue(last, watch.limits.silent):
            what = f"{name} {'has not run any more' if latest else 'has never run'}"
            yield Ill("silent", what, "Switch the workflow on, and start it by hand.", last)
        failed = _failures(latest) if name != MONITOR else []
        if failed:
            todo = f"Read the run {failed[-1].url} and mend what it says; then start the workflow by hand."
            yield Ill("failing", f"{name} fails", todo, failed[-1].started)


def _scheduled(watch: _Watch, name: str) -> bool:
    text = content_of(watch.state.tree, f".github/workflows/{name}")
    return text is not None and _SCHEDULED.search(text) is not None


def _failures(latest: Sequence[WorkflowRun]) -> list[WorkflowRun]:
    """The runs that failed since the last success, newest first."""
    failed = []
    for run in latest:
        if run.conclusion == "success":
            break
        if run.conclusion not in _NO_VERDICT:
            failed.append(run)
    return failed
