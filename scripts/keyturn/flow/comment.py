"""What a pull request says about its signing event: the sticky comment, its title, the line of its status.

The same event gives the same text, whenever and wherever it is made, so that writing it again changes
nothing. All that others wrote goes through :func:`markdown_escape` or stands in a code span.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from keyturn.errors import KeyturnError
from keyturn.flow.context import Loaded
from keyturn.flow.events import Status, needed_although_replaced
from keyturn.flow.markdown import advice, bounded, code, markdown_escape
from keyturn.flow.overlapping import Overlap
from keyturn.flow.provenance import LeftBehind
from keyturn.flow.reviewing import Offer, Refusal, Reviewed
from keyturn.flow.visible import escape
from keyturn.forge import EVENT_PREFIX
from keyturn.forge.host import StatusState
from keyturn.policy.fields import LOGIN
from keyturn.state import short_fingerprint
from keyturn.verify import Count, Difference, EventState, Finding, KeyMark, RoleStatus, Severity, errors

__all__ = [
    "LABEL",
    "LOGIN_NAME",
    "MARK",
    "MOST",
    "OPENING",
    "EventView",
    "failed_line",
    "label",
    "markdown_escape",
    "render_event",
    "state_of",
    "status_line",
    "title",
]

_T = TypeVar("_T")
MARK = "<!-- keyturn: signing event -->"
"""First line of the sticky comment, by which it is found again."""
OPENING = (
    "This is a signing event. The comment below says who has to sign what, and how; it is kept up to date.\n"
)
"""The text of an event's pull request, which never changes."""
LABEL = "keyturn"
MOST = 60_000
"""Characters of a comment; GitHub takes 65,536."""
_MOST_CHANGES, _MOST_FINDINGS, _MOST_REVIEWS = 20_000, 12_000, 6_000
LONGEST_LINE = 140
_LONGEST_TITLE = 90
_MOST_TITLE_ROLES = 3
_FINGERPRINT = re.compile("[0-9a-f]{64}")
LOGIN_NAME = re.compile(LOGIN, re.ASCII)
"""What may be mentioned or asked; nothing else that metadata calls an owner."""
_ADDRESS = re.compile(r"https?://[A-Za-z0-9._~:/?#@!$&*+,;=%-]+", re.ASCII)
_PLAIN_TITLE = re.compile(r"[A-Za-z0-9 ._+/()-]", re.ASCII)
_DAY = "%Y-%m-%d %H:%M UTC"

_WORDS = {
    EventState.EMPTY: ("empty", "It changes nothing against the main branch."),
    EventState.INVALID: ("invalid", "It cannot be merged: mend what the findings name, and propose again."),
    EventState.INCOMPLETE: ("incomplete", "Keys are missing, so there is nothing to sign yet."),
    EventState.PENDING: ("pending", "Signatures are missing."),
    EventState.READY: ("ready", "All signatures are there, and a client updates to it. It can be merged."),
    EventState.MERGED: ("merged", "It is part of the main branch."),
}
_STATUSES: dict[EventState, StatusState] = {
    EventState.EMPTY: "pending",
    EventState.INVALID: "failure",
    EventState.INCOMPLETE: "pending",
    EventState.PENDING: "pending",
    EventState.READY: "success",
    EventState.MERGED: "pending",
}


@dataclass(frozen=True, slots=True)
class EventView:
    """Everything that is said about one event.

    Args:
        loaded: The event.
        status: The verdict on it.
        address: URL of its pull request; empty if it has none.
        reviewed: What its reviews carry.
        warnings: What was noticed beside the rules, sentences without a full stop.
        left_behind: Signatures on earlier payloads.
        unrequested: Logins of those whose review cannot be requested.
        overlaps: Other open events that touch the same.
    """

    loaded: Loaded
    status: Status
    address: str = ""
    reviewed: Reviewed = field(default_factory=Reviewed)
    warnings: tuple[str, ...] = ()
    left_behind: tuple[LeftBehind, ...] = ()
    unrequested: tuple[str, ...] = ()
    overlaps: tuple[Overlap, ...] = ()

    @property
    def missing(self) -> tuple[str, ...]:
        """Who has to join, or may still sign."""
        report = self.status.report
        open_counts = [count for role in report.roles for count in role.counts if not count.met]
        owners = [mark.owner for count in open_counts for mark in count.missing]
        return tuple(dict.fromkeys((*report.missing_keys, *owners)))


def render_event(view: EventView) -> str:
    """All about one event, as Markdown of at most 60,000 characters."""
    sections = (
        _head(view),
        _signatures(view),
        _deadline(view),
        _findings(view.status.report.findings),
        _warnings(view),
        _overlaps(view.overlaps),
        _reviews(view.reviewed),
        _left_behind(view.left_behind),
        _signing(view),
        _changes(view.status.differences),
    )
    text = "\n\n".join("\n".join(lines) for section in sections if (lines := tuple(section)))
    return bounded(
        f"{text}\n", MOST, f"**Cut here.** `keyturn status` and `keyturn diff` show all of {_name(view)}."
    )


def title(status: Status) -> str:
    """The title of an event's pull request, in characters that mean nothing to anybody."""
    roles = " and ".join(f"{role.role} {role.version}" for role in status.report.roles)
    text = (
        f"{status.topic} ({roles})"
        if roles and len(status.report.roles) <= _MOST_TITLE_ROLES
        else status.topic
    )
    plain = "".join(c if _PLAIN_TITLE.fullmatch(c) else _point(c) for c in text)
    return f"Sign: {plain if len(plain) <= _LONGEST_TITLE else f'{plain[: _LONGEST_TITLE - 3]}...'}"


def _point(character: str) -> str:
    return f"\\u{ord(character):04x}"


def label(state: EventState) -> str:
    """The label of a pull request whose event is in a state."""
    return f"{LABEL}: {state.value}"


def state_of(status: Status) -> StatusState:
    """What the commit status says: success only when the event is ready."""
    return _STATUSES[status.state]


def status_line(status: Status) -> str:
    """An event in one plain line of at most 140 characters."""
    report = status.report
    if status.state is EventState.INVALID:
        broken = errors(report.findings)
        ids = ", ".join(dict.fromkeys(finding.id for finding in broken))
        return _short_line(f"{len(broken)} finding{'s' if len(broken) > 1 else ''}: {ids}")
    if status.state is EventState.INCOMPLETE:
        return _short_line(f"keys missing: {', '.join(report.missing_keys)}")
    if status.state is EventState.EMPTY:
        return "changes nothing"
    if status.state is EventState.MERGED:
        return "merged"
    return _short_line("; ".join(_role_line(role) for role in report.roles) or "files only")


def failed_line(error: KeyturnError | None) -> str:
    """The line of the status of an event whose check itself failed."""
    reason = f" ({error.reason})" if error else ""
    return _short_line(f"the check failed{reason}; it says nothing about the event")


def _role_line(role: RoleStatus) -> str:
    parts = []
    for count in role.counts:
        under = f" under {count.under}" if len(role.counts) > 1 else ""
        who = "" if count.met else f", {_or([mark.owner for mark in count.missing])} may sign"
        parts.append(f"{count.have} of {count.need} signatures{under}{who}")
    return f"{role.role} {role.version}: {', '.join(parts)}"


def _or(names: Sequence[str]) -> str:
    distinct = tuple(dict.fromkeys(names))
    return " or ".join(distinct) if distinct else "nobody"


def _short_line(text: str) -> str:
    plain = "".join(c if c.isascii() and c.isprintable() else _point(c) for c in text)
    return plain if len(plain) <= LONGEST_LINE else f"{plain[: LONGEST_LINE - 3]}..."


def _name(view: EventView) -> str:
    return code(EVENT_PREFIX + view.status.topic)


def _head(view: EventView) -> Iterator[str]:
    word, sentence = _WORDS[view.status.state]
    yield f"### Keyturn: {_name(view)} is **{word}**"
    yield ""
    yield sentence
    if view.status.repository:
        yield ""
        yield f"Root digest: {code(view.status.repository)}"
    trial = view.status.trial
    if trial is not None and trial.refusal is None:
        yield ""
        yield "Tried: a stock client updates to it from what is published, and from root 1 alone."


def _signatures(view: EventView) -> Iterator[str]:
    roles = view.status.report.roles
    if roles:
        yield "| role | version | threshold of | signatures | signed by | may still sign |"
        yield "| --- | --- | --- | --- | --- | --- |"
    for role in roles:
        for count in role.counts:
            yield _row(role, count)
    if any(len(role.counts) > 1 for role in roles):
        yield ""
        yield "A new root needs the thresholds of the old root and of the new one, each by itself."
        replaced = needed_although_replaced(view.status.report)
        if replaced:
            yield ""
            yield advice(replaced)


def _row(role: RoleStatus, count: Count) -> str:
    counted = f"{count.have} of {count.need}"
    cells = (
        code(role.role),
        str(role.version),
        code(count.under),
        counted if count.met else f"**{counted}**",
        ", ".join(_mark(mark) for mark in count.signed) or "nobody",
        ", ".join(_mark(mark) for mark in count.missing) or "nobody",
    )
    return f"| {' | '.join(cells)} |"


def _mark(mark: KeyMark) -> str:
    short = (
        short_fingerprint(mark.fingerprint) if _FINGERPRINT.fullmatch(mark.fingerprint) else mark.fingerprint
    )
    return f"{code(mark.owner)} {code(short)}"


def _deadline(view: EventView) -> Iterator[str]:
    event = view.loaded.event
    proposed = event.proposed
    if not proposed or view.status.state is EventState.MERGED:
        return
    replaced = [before for file in proposed if (before := event.baseline.role(file.role))]
    if replaced:
        first = min(replaced, key=lambda file: file.expires)
        name = code(f"{first.role} {first.version}")
        yield f"Deadline: {name}, which it replaces, expires on {first.expires:{_DAY}}."
    soonest = min(proposed, key=lambda file: file.expires)
    name = code(f"{soonest.role} {soonest.version}")
    yield f"What is proposed is valid until {soonest.expires:{_DAY}} ({name})."


def _findings(found: Sequence[Finding]) -> Iterator[str]:
    if found:
        ordered = sorted(found, key=lambda one: one.severity is not Severity.ERROR)
        yield from _listed("#### Findings", ordered, _finding, _MOST_FINDINGS, "`keyturn status` shows all.")


def _finding(one: Finding) -> str:
    where = f"{code(one.where)}: " if one.where else ""
    severity = f"**{one.severity.value}**" if one.severity is Severity.ERROR else one.severity.value
    return f"- **{one.id}** {severity}, {where}{markdown_escape(one.what)}. To mend it: {advice(one.mend)}"


def _warnings(view: EventView) -> Iterator[str]:
    mentioned = [f"@{login}" for login in view.unrequested if LOGIN_NAME.fullmatch(login)]
    others = [code(login) for login in view.unrequested if not LOGIN_NAME.fullmatch(login)]
    if view.warnings:
        yield "#### Warnings"
        yield ""
        for warning in view.warnings:
            yield f"- {markdown_escape(warning)}."
    if mentioned or others:
        if view.warnings:
            yield ""
        names = ", ".join((*mentioned, *others))
        yield f"A review cannot be requested of {names}: please sign, this is the request."


def _overlaps(overlaps: Sequence[Overlap]) -> Iterator[str]:
    if not overlaps:
        return
    yield "#### Other open events"
    yield ""
    for other in overlaps:
        name = _linked(code(EVENT_PREFIX + other.topic), other.url)
        reasons = [
            *([f"also changes {_codes(other.roles)}"] if other.roles else []),
            *([f"conflicts in {_codes(other.conflicts)}"] if other.conflicts else []),
            *(
                f"together: {one.id}, {code(one.where)} {markdown_escape(one.what)}"
                for one in other.findings[:5]
            ),
        ]
        yield f"- {name} {'; '.join(reasons)}. Once one of the two is merged, the other is judged again."


def _codes(names: Sequence[str], most: int = 10) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(code(name, longest=120) for name in names[:most]) + more


def _linked(text: str, url: str) -> str:
    return f"[{text}]({url})" if _ADDRESS.fullmatch(url) else text


def _reviews(reviewed: Reviewed) -> Iterator[str]:
    newest = tuple(reversed(reviewed.refusals))
    if newest:
        yield from _listed(
            "#### Signatures in reviews that were not taken",
            newest,
            _refusal,
            _MOST_REVIEWS,
            "Older ones are left out.",
        )
    noted = (*reviewed.offers, *reviewed.taken)
    by_login = tuple(offer for offer in noted if offer.by_login)
    if newest and (by_login or reviewed.offers):
        yield ""
    for offer in reviewed.offers:
        yield f"A signature of {_reviewer(offer)} in a review is about to be committed."
    if by_login:
        names = ", ".join(dict.fromkeys(_reviewer(offer) for offer in by_login))
        yield f"Recognised by login alone, since the metadata has no numeric id: {names}."


def _reviewer(offer: Offer) -> str:
    return code(offer.review.author.login)


def _refusal(one: Refusal) -> str:
    review = _linked("review", one.review.url)
    return (
        f"- The {review} of {code(one.review.author.login)}: {markdown_escape(one.what)}. {advice(one.todo)}"
    )


def _left_behind(left: Sequence[LeftBehind]) -> Iterator[str]:
    if not left:
        return
    yield "#### Signatures on earlier payloads"
    yield ""
    yield "They do not count for what is proposed now, and cannot be withdrawn:"
    yield ""
    for one in left[:50]:
        yield f"- {code(one.owner)}: {code(f'{one.role} {one.version}')}, payload {code(one.digest)}"


def _signing(view: EventView) -> Iterator[str]:
    state = view.status.state
    where = view.address if _ADDRESS.fullmatch(view.address) else shlex.quote(view.status.topic)
    if "`" in where or escape(where) != where:
        where = "EVENT"
    if state is EventState.INCOMPLETE:
        yield "#### How to join"
        yield ""
        yield f"Missing: {_codes(view.status.report.missing_keys, 100)}. Each of them runs:"
        yield from _commands(f"keyturn join {where} --login LOGIN --key URI")
    if state is not EventState.PENDING:
        return
    yield "#### How to sign"
    yield ""
    yield "Compare what is shown there with these payloads:"
    yield ""
    for role in view.status.report.roles:
        if not role.met:
            yield f"- {code(f'{role.role} {role.version}')}: {code(role.digest)}"
    yield from _commands(f"keyturn sign {where}")
    yield ""
    yield "With a key on a machine without a network, carry the event there and the signature back:"
    yield from _commands(
        f"keyturn sign {where} --export DIR",
        "keyturn sign --from DIR --key URI --out FILE",
    )
    yield ""
    yield (
        "Then post the content of FILE as a review of this pull request (approve, comment or request "
        f"changes, all count alike), or run {code(f'keyturn attach {where} FILE')}."
    )


def _commands(*lines: str) -> Iterator[str]:
    yield ""
    yield "```console"
    yield from (f"$ {line}" for line in lines)
    yield "```"


def _changes(found: Sequence[Difference]) -> Iterator[str]:
    if found:
        loud_first = sorted(found, key=lambda one: not one.loud)
        yield from _listed(
            "#### What changes", loud_first, _change, _MOST_CHANGES, "`keyturn diff` shows all."
        )


def _change(one: Difference) -> str:
    sign = "added" if one.old is None else "removed" if one.new is None else "changed"
    sides = " → ".join(code(side) for side in (one.old, one.new) if side is not None)
    text = f"{code(one.role)}: {one.kind} {code(one.subject)}"
    return f"- **!! {text}** ({sign}): {sides}" if one.loud else f"- {text} ({sign}): {sides}"


def _listed(
    heading: str, items: Sequence[_T], line: Callable[[_T], str], most: int, rest: str
) -> Iterator[str]:
    """A heading and one line for each item, as many as there is room for."""
    yield heading
    yield ""
    used = 0
    for number, item in enumerate(items):
        text = line(item)
        used += len(text) + 1
        if used > most:
            yield f"- **{len(items) - number} more.** {rest}"
            return
        yield text
