"""What was published or signed before and may not come again: KT006 of the baseline, KT124 of events."""

from __future__ import annotations

from collections.abc import Iterator

from keyturn.verify.event import Event
from keyturn.verify.model import Rule, Severity, Violation


def _went_back(event: Event) -> Iterator[Violation]:
    for name, version in sorted(event.published.items()):
        file = event.head.role(name)
        if file and event.baseline.role(name) and file.version < version:
            yield Violation(f"is {name} {file.version}, but {name} {version} was published", file.path)


def _burned(event: Event) -> Iterator[Violation]:
    for file in event.proposed:
        others = event.burned.get(file.role, {}).get(file.version, {})
        for digest, owners in sorted(others.items()):
            if digest != file.digest:
                yield Violation(
                    f"{', '.join(owners)} signed another {file.role} {file.version}, "
                    f"payload {digest[:16]}, in another event",
                    file.path,
                    Severity.WARNING if file.role == "root" else None,
                )


def _starts_again(event: Event) -> Iterator[Violation]:
    for name, version in sorted(event.published.items()):
        file = event.head.role(name)
        if file and event.baseline.role(name) is None and file.version <= version:
            yield Violation(
                f"is {name} {file.version}, but a role of this name was published up to version {version}",
                file.path,
            )


BASELINE_RULES: tuple[Rule[Event], ...] = (
    Rule(
        id="KT006",
        title="nothing is older than what was published",
        why="Clients that hold the newer version refuse the older one, and update no more "
        "(specification 5.3.5, 5.5.5, 5.6.3).",
        mend="Find out how main went back; restore the higher version.",
        check=_went_back,
    ),
)

HISTORY_RULES: tuple[Rule[Event], ...] = (
    Rule(
        id="KT124",
        title="a signed version stands for one payload",
        why="A signature cannot be withdrawn: whoever has the other payload could publish it "
        "under the same version.",
        mend="Propose again: the proposal skips versions that others signed. For root, whose next version "
        "is fixed, see that the other payload is never completed.",
        check=_burned,
        milder="the role is root, which cannot skip a version",
    ),
    Rule(
        id="KT125",
        title="a name that comes back goes on counting",
        why="Snapshot still lists the old role of this name; clients refuse a lower version of it.",
        mend="Propose again: the proposal continues the numbers of the name. Or choose another name.",
        check=_starts_again,
    ),
)
