"""Looking at signing events, and merging them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from keyturn.errors import NothingToDo, PendingError, RefusedError
from keyturn.flow.context import Context, Loaded, load_event
from keyturn.flow.retry import until_pushed
from keyturn.state import METADATA
from keyturn.trial import Outcome, try_event
from keyturn.verify import Difference, Event, EventState, Finding, Report, differences, errors

STRANDED = "KT120"
"""What the trial finds."""


@dataclass(frozen=True, slots=True)
class Status:
    """A signing event and the verdict on it.

    Args:
        topic: Topic of the event.
        state: State of the event; ``merged`` counts before all others.
        report: The verdict.
        differences: What the event changes.
        repository: Root digest, None before there is a root.
        trial: How the trial ended; None if it was not needed yet, or the event changes no metadata.
    """

    topic: str
    state: EventState
    report: Report
    differences: tuple[Difference, ...]
    repository: str | None
    trial: Outcome | None = None

    def to_dict(self) -> dict[str, object]:
        """The status as ``--json`` shows it."""
        return {
            "event": f"sign/{self.topic}",
            **self.report.to_dict(),
            "state": self.state.value,
            "root-digest": self.repository,
            "trial": self.trial.to_dict() if self.trial else None,
            "changes": [difference.to_dict() for difference in self.differences],
        }


def statuses(context: Context) -> tuple[Status, ...]:
    """Every event that is not merged yet.

    Raises:
        GitError: The remote cannot be read.
    """
    context.forge.refresh()
    return tuple(
        status_of(load_event(context, topic))
        for topic in context.forge.events()
        if not context.forge.is_merged(topic)
    )


def status(context: Context, topic: str) -> Status:
    """One event.

    Raises:
        UsageError: There is no such event.
    """
    context.forge.refresh()
    return status_of(load_event(context, topic))


def status_of(loaded: Loaded, *, before_signing: bool = False) -> Status:
    """The status of an event that is loaded.

    Once all thresholds are met the event is tried as well, since ``ready`` says that the trial passed. While
    signatures are missing this is left to those who are about to add one, so that looking stays quick.

    Args:
        loaded: The event.
        before_signing: Whether somebody is about to sign.

    Raises:
        EnvironmentFault: There is no room for the trial's files.
    """
    report = loaded.judge()
    due = (EventState.READY, EventState.PENDING) if before_signing else (EventState.READY,)
    outcome = None
    if not loaded.merged and report.state in due and _changes_metadata(loaded.event):
        outcome = try_event(loaded.event, loaded.published)
        if outcome.refusal is not None:
            report = replace(loaded, event=replace(loaded.event, stranded=outcome.refusal)).judge()
    return Status(
        topic=loaded.topic,
        state=EventState.MERGED if loaded.merged else report.state,
        report=report,
        differences=differences(loaded.event),
        repository=loaded.repository,
        trial=outcome,
    )


def _changes_metadata(event: Event) -> bool:
    return any(change.path.startswith(METADATA) for change in event.changes)


@dataclass(frozen=True, slots=True)
class Merged:
    """What ``merge`` did.

    Args:
        topic: Topic of the event.
        commit: The merge commit.
        roles: Role names and versions that are now decided.
    """

    topic: str
    commit: str
    roles: tuple[tuple[str, int], ...]


def merge(context: Context, topic: str) -> Merged:
    """Merge an event, if it is ready and as long as nothing moves meanwhile.

    Raises:
        PendingError: Keys or signatures are missing; says whose.
        RefusedError: The event is invalid (reason ``invalid``), or a client would not update (``trial``).
        NothingToDo: It is merged already, or changes nothing.
    """
    return until_pushed(context.forge, lambda: _merge_once(context, topic))


def _merge_once(context: Context, topic: str) -> Merged:
    loaded = load_event(context, topic)
    current = status_of(loaded)
    require_ready(current, loaded.name)
    roles = tuple((role.role, role.version) for role in current.report.roles)
    listed = ", ".join(f"{name} {version}" for name, version in roles) or "files only"
    commit = context.forge.merge(
        topic, f"Merge {loaded.name}\n\nSigned: {listed}\n", context.author, context.now
    )
    return Merged(topic=topic, commit=commit, roles=roles)


def require_ready(current: Status, where: str) -> None:
    """Refuse to merge what is not ready.

    Raises:
        PendingError: Keys or signatures are missing; says whose.
        RefusedError: The event is invalid (reason ``invalid``), or a client would not update (``trial``).
        NothingToDo: It is merged already, or changes nothing.
    """
    if current.state in (EventState.MERGED, EventState.EMPTY):
        raise NothingToDo(
            "is merged already" if current.state is EventState.MERGED else "changes nothing", where=where
        )
    if current.state is EventState.INVALID:
        raise invalid(errors(current.report.findings), where)
    if current.state is EventState.INCOMPLETE:
        raise PendingError(
            f"the keys of {', '.join(current.report.missing_keys)} are missing",
            where=where,
            todo="Each of them runs `keyturn join`.",
        )
    if current.state is EventState.PENDING:
        todo = needed_although_replaced(current.report) or "They run `keyturn sign`."
        raise PendingError(missing_signatures(current.report), where=where, todo=todo)


def missing_signatures(report: Report) -> str:
    """Which thresholds are not met, and whose signatures would meet them."""
    lines = []
    for role in report.roles:
        for count in role.counts:
            if not count.met:
                who = ", ".join(mark.owner for mark in count.missing)
                lines.append(
                    f"{role.role} {role.version} has {count.have} of {count.need} signatures "
                    f"under {count.under}, may still sign: {who}"
                )
    return "; ".join(lines)


def needed_although_replaced(report: Report) -> str:
    """What to do where a root cannot be changed without a key that the change itself takes out; else empty.

    Args:
        report: The verdict on an event.
    """
    for role in report.roles:
        stay = {mark.fingerprint for count in role.counts[1:] for mark in (*count.signed, *count.missing)}
        for count in role.counts[: len(role.counts) - 1]:
            leaving = [mark.owner for mark in count.missing if mark.fingerprint not in stay]
            reach = count.have + len(count.missing) - len(leaving)
            if leaving and reach < count.need:
                whose = " and ".join(f"`{owner}`" for owner in dict.fromkeys(leaving))
                return (
                    f"The key of {whose} that is replaced has to sign, too: without it nothing can follow "
                    f"{count.under}. If it is lost, take it from a backup; if there is none, nobody can "
                    "change this root, and apps need a new repository's root in their next release."
                )
    return ""


def invalid(findings: tuple[Finding, ...], where: str) -> RefusedError:
    """The refusal of something with findings: all of them, in one error.

    Its reason is ``trial`` if that is all that is wrong, else ``invalid``.
    """
    text = "; ".join(f"{finding.id} {finding.where}: {finding.what}" for finding in findings)
    mends = " ".join(dict.fromkeys(finding.mend for finding in findings))
    reason = "trial" if {finding.id for finding in findings} == {STRANDED} else "invalid"
    return RefusedError(text, where=where, todo=mends, reason=reason)
