"""What the use cases return, as lines for a person. Nothing is decided here, and nothing printed."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence

from keyturn.cli.lines import Line, Lines, Span, Style, bad, detail, dim, good, line, strong, verdict, warn
from keyturn.errors import ExitCode
from keyturn.flow.checking import Checked
from keyturn.flow.checking_files import CheckedFile
from keyturn.flow.events import Status
from keyturn.flow.publishing import PublishedSite
from keyturn.flow.signing import Delivered, Preparation, Turn
from keyturn.signing import KeySigner
from keyturn.state import fingerprint, short_fingerprint
from keyturn.verify import (
    Count,
    Difference,
    EventState,
    Finding,
    KeyMark,
    Report,
    RoleStatus,
    Severity,
    errors,
)

_STATE_STYLES: dict[EventState, Style] = {
    EventState.EMPTY: "dim",
    EventState.INVALID: "bad",
    EventState.INCOMPLETE: "warn",
    EventState.PENDING: "warn",
    EventState.READY: "good",
    EventState.MERGED: "good",
}
_FINGERPRINT = re.compile("[0-9a-f]{64}")
_SEVERITY = {ExitCode.DONE: 0, ExitCode.NOTHING: 1, ExitCode.PENDING: 2, ExitCode.INVALID: 3}
"""Of several events' exit codes, which one stands for all."""


def worst(codes: Iterable[ExitCode]) -> ExitCode:
    """The exit code for several events: that of the one that is furthest from done; done for none."""
    return max(codes, key=lambda code: _SEVERITY[code], default=ExitCode.DONE)


def status_list(statuses: Sequence[Status]) -> Lines:
    """One line for each event."""
    if not statuses:
        return (verdict("no open signing events"),)
    return tuple(headline(one) for one in statuses)


def headline(status: Status) -> Line:
    """An event in one line: its state, and what keeps it there."""
    rest = f": {text}" if (text := _holds_up(status)) else ""
    state = Span(status.state.value, _STATE_STYLES[status.state])
    return verdict(strong(f"sign/{status.topic}"), ": ", state, rest)


def _holds_up(status: Status) -> str:
    if status.state is EventState.INVALID:
        broken = errors(status.report.findings)
        return f"{_many(len(broken), 'finding')}, {', '.join(dict.fromkeys(f.id for f in broken))}"
    if status.state is EventState.INCOMPLETE:
        return f"keys missing: {', '.join(status.report.missing_keys)}"
    return missing(status.report) if status.state is EventState.PENDING else ""


def missing(report: Report) -> str:
    """Which signatures are missing, roles that miss the same ones together."""
    groups: dict[str, list[str]] = {}
    for role in report.roles:
        for count in role.counts:
            if not count.met:
                said = f"{count.have} of {count.need}, missing: {_owners(count)}"
                groups.setdefault(said, []).append(_counted(role, count))
    return "; ".join(f"{', '.join(names)}: {said}" for said, names in groups.items())


def _counted(role: RoleStatus, count: Count) -> str:
    under = f" under {count.under}" if len(role.counts) > 1 else ""
    return f"{role.role} {role.version}{under}"


def _owners(count: Count) -> str:
    names = ", ".join(dict.fromkeys(mark.owner for mark in count.missing))
    wanted = count.need - count.have
    return f"{wanted} of {names}" if len(count.missing) > wanted else names


def status(one: Status) -> Lines:
    """Everything about one event."""
    lines = [headline(one)]
    if one.repository:
        lines.append(line("  root digest: ", one.repository))
    for role in one.report.roles:
        lines += _role(role)
    lines += findings(one.report.findings)
    lines += _trial(one)
    lines.append(line(strong("next: "), next_step(one)))
    return tuple(lines)


def _trial(one: Status) -> Lines:
    """That the trial went well; what a client refused in it is a finding."""
    if one.trial is None or one.trial.refusal is not None:
        return ()
    return (
        line("  trial: ", good("a stock client updates"), " from what is published, and from root 1 alone"),
    )


def _role(role: RoleStatus) -> Iterable[Line]:
    yield line("  ", strong(f"{role.role} {role.version}"), f", payload {role.digest}")
    for count in role.counts:
        style: Style = "good" if count.met else "warn"
        yield line(f"    under {count.under}: ", Span(f"{count.have} of {count.need}", style))
        for mark in count.signed:
            yield from _mark("signed", mark, "good")
        for mark in count.missing:
            yield from _mark(
                "may still sign" if count.met else "missing", mark, "dim" if count.met else "warn"
            )


def _mark(word: str, mark: KeyMark, style: Style) -> Lines:
    return (
        line("      ", Span(f"{word}:", style), f" {mark.owner} {_short(mark.fingerprint)}"),
        detail(f"        fingerprint {mark.fingerprint}, keyid {mark.keyid}"),
    )


def _short(mark: str) -> str:
    """A fingerprint for people; what stands in for one where a key cannot be read stays as it is."""
    return short_fingerprint(mark) if _FINGERPRINT.fullmatch(mark) else mark


def next_step(one: Status) -> str:
    """What to do next, as the words to type."""
    topic = shlex.quote(one.topic)
    if one.state is EventState.MERGED:
        return "whoever holds the online key runs: keyturn publish --out DIR --key URI"
    if one.state is EventState.EMPTY:
        return "nothing; propose something, or delete the branch"
    if one.state is EventState.INVALID:
        return "mend what the findings name, and propose again"
    if one.state is EventState.INCOMPLETE:
        login = one.report.missing_keys[0]
        return f"{login} runs: keyturn join {topic} --login {shlex.quote(login)} --key URI"
    if one.state is EventState.READY:
        return f"anybody runs: keyturn merge {topic}"
    open_counts = [count for role in one.report.roles for count in role.counts if not count.met]
    who = dict.fromkeys(mark.owner for count in open_counts for mark in count.missing)
    everyone = all(len(count.missing) == count.need - count.have for count in open_counts)
    names = f"{' and '.join(who)} each run" if everyone and len(who) > 1 else f"{' or '.join(who)} runs"
    return f"{names}: keyturn sign {topic}"


def findings(found: Sequence[Finding]) -> Lines:
    """Each finding: id, severity, place, what, and how to mend it."""
    lines = []
    for one in found:
        severe = one.severity is Severity.ERROR
        word = Span(one.severity.value, "bad" if severe else "warn")
        lines.append(line("  ", strong(one.id), " ", word, f" {one.where}: {one.what}"))
        lines.append(line(f"        mend: {one.mend}"))
        lines.append(detail(f"        why: {one.why}"))
    return tuple(lines)


def changes(found: Sequence[Difference]) -> Lines:
    """The semantic diff, role by role; what moves trust is marked with ``!!``."""
    if not found:
        return (line(dim("no change in what is signed")),)
    lines = []
    role = None
    for one in found:
        if one.role != role:
            role = one.role
            lines.append(line(strong(f"{role}:")))
        lines.append(_change(one))
    return tuple(lines)


def _change(one: Difference) -> Line:
    sign = "+" if one.old is None else "-" if one.new is None else "~"
    sides = " -> ".join(side for side in (one.old, one.new) if side is not None)
    text = f" {sign} {one.kind} {one.subject}: {sides}"
    return line(bad("!!"), strong(text)) if one.loud else line(f"  {text}")


def preparation(prepared: Preparation) -> Lines:
    """What a person must see before they turn their key."""
    lines = [
        line(strong(prepared.loaded.name), ", root digest ", prepared.repository),
        *changes(prepared.status.differences),
        *findings(prepared.status.report.findings),
        *_trial(prepared.status),
    ]
    for turn in prepared.turns:
        mark = short_fingerprint(fingerprint(turn.signer.public))
        lines += [
            line(
                strong(f"to sign: {turn.file.role} {turn.file.version}"),
                f" as {owner(prepared, turn)}, key {mark}{noted(turn.signer)}",
            ),
            line(f"  payload {turn.file.digest}"),
        ]
    return tuple(lines)


def checked_files(checked: Sequence[CheckedFile]) -> Lines:
    """The files that were fetched, and how far somebody looked into them."""
    return tuple(
        line(
            good("checked:"),
            f" {each.path}, {each.size:,} bytes, sha256 {each.sha256}",
            ", holds the tree that is signed" if each.unpacked else "",
        )
        for each in checked
    ) or (line(good("checked:"), " the event brings no new files"),)


def noted(signer: KeySigner) -> str:
    """What a person should know about their key, to stand right behind it."""
    return f" ({signer.note})" if signer.note else ""


def owner(prepared: Preparation, turn: Turn) -> str:
    """Whose key it is that would be turned."""
    role = prepared.status.report.role(turn.file.role)
    counts = role.counts if role else ()
    marks = (mark for count in counts for mark in (*count.signed, *count.missing))
    keyid = turn.signer.public.keyid
    return next((mark.owner for mark in marks if mark.keyid == keyid), f"key {keyid[:8]}")


def question(prepared: Preparation) -> str:
    """The question before the keys are turned."""
    by_owner: dict[str, list[str]] = {}
    for turn in prepared.turns:
        by_owner.setdefault(owner(prepared, turn), []).append(f"{turn.file.role} {turn.file.version}")
    return "Sign " + " and ".join(f"{' and '.join(names)} as {who}" for who, names in by_owner.items()) + "?"


def signed(one: Delivered) -> Lines:
    """One signature that was handed in."""
    return (
        line(good("signed:"), f" {one.role} {one.version} as {one.owner}"),
        detail(f"  commit {one.commit}"),
    )


def published(site: PublishedSite) -> Lines:
    """What ``publish`` did."""
    anew = ", ".join(f"{name} {version}" for name, version in site.signed)
    return (
        line(f"signed: {anew}" if anew else "signed: nothing had to be"),
        line(f"tried: a stock client updated and downloaded {_many(site.tried, 'target')}"),
        line(f"live: {site.live}"),
        line(f"root digest: {site.root_digest}"),
        verdict(
            good("published"),
            f": timestamp {site.timestamp} in {site.directory}, for {site.url}"
            + ("" if site.changed else " (nothing new)"),
        ),
    )


def checked(result: Checked) -> Lines:
    """What ``verify`` found."""
    broken = len(errors(result.findings))
    warnings = len(result.findings) - broken
    what = f" {result.kind} {result.subject}"
    more = f", {_many(warnings, 'warning')}" if warnings else ""
    if broken:
        return (
            *findings(result.findings),
            verdict(bad("invalid:"), f"{what}: {_many(broken, 'error')}{more}"),
        )
    return (*findings(result.findings), verdict(good("valid:"), f"{what}{more}"))


def left_behind(names: Sequence[str]) -> Lines:
    """Whose signatures do not count for a new payload."""
    if not names:
        return ()
    return (
        verdict(
            warn("left behind:"),
            f" the signatures of {', '.join(dict.fromkeys(names))}, made on the earlier payload",
        ),
    )


def named_roles(roles: Iterable[tuple[str, int]]) -> str:
    """Roles with their versions."""
    return ", ".join(f"{name} {version}" for name, version in roles)


def _many(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
