"""KT0xx: the root chain and the baseline, proven from the pinned root digest (specification 5.3)."""

from __future__ import annotations

from collections.abc import Iterator

from keyturn.state import HISTORY, ONLINE_ROLES, State
from keyturn.verify.event import Event
from keyturn.verify.model import Rule, Severity, Violation
from keyturn.verify.thresholds import count, root_counts

ROOT_PATH = "metadata/root.json"


def _history_path(version: int) -> str:
    return f"{HISTORY}{version}.root.json"


def _pinned_root(event: Event) -> Iterator[Violation]:
    if event.founding:
        yield from _pinned_founding(event)
        return
    first = event.baseline.roots.get(1)
    if first is None:
        yield Violation("root 1 is missing, so nothing can be proven from the pin", _history_path(1))
    elif event.pinned is None:
        yield Violation(
            "no root digest is pinned here, so the repository vouches only for itself",
            _history_path(1),
            Severity.WARNING,
        )
    elif first.digest != event.pinned:
        yield Violation(f"root 1 has the digest {first.digest}, pinned is {event.pinned}", _history_path(1))


def _pinned_founding(event: Event) -> Iterator[Violation]:
    """A pin is set when root 1 is signed: from then on a main without metadata is no new beginning."""
    proposed = event.head.roots.get(1)
    digest = proposed.digest if proposed else None
    if event.pinned is not None and event.pinned != digest:
        yield Violation(
            f"root {event.pinned} is pinned, but main has no metadata "
            f"and the event proposes {f'root {digest}' if digest else 'no root'}",
            _history_path(1),
        )


def _chain(event: Event) -> Iterator[Violation]:
    yield from broken_links(event.baseline)


def broken_links(state: State) -> Iterator[Violation]:
    """The first root that is missing from the history, or every one not signed by its predecessor and itself.

    Nothing follows from a root that is not there, and a version number alone may claim a billion of them.

    Args:
        state: A state whose latest root should be fully signed.
    """
    if state.root is None:
        if not state.empty:
            yield Violation("there is metadata, but no readable root", ROOT_PATH)
        return
    previous = None
    for version in range(1, state.root.version + 1):
        current = state.roots.get(version)
        if current is None:
            yield Violation(f"root {version} is missing or unreadable", _history_path(version))
            return
        if current.version != version:
            yield Violation(f"holds root {current.version}", _history_path(version))
            return
        for tally in root_counts(previous, current):
            if not tally.met:
                yield Violation(
                    f"root {version} has {tally.have} of {tally.need} signatures needed under {tally.under}",
                    _history_path(version),
                )
        previous = current


def _latest_is_history(event: Event) -> Iterator[Violation]:
    for name, state in (("main", event.baseline), ("the event", event.head)):
        if state.root is None:
            continue
        kept = state.roots.get(state.root.version)
        if kept is None or kept.data != state.root.data:
            yield Violation(
                f"in {name} is not byte-equal to {_history_path(state.root.version)}",
                ROOT_PATH,
            )
        for version in state.roots:
            if version > state.root.version:
                yield Violation(
                    f"in {name} is root {state.root.version}, but the history goes on to root {version}",
                    ROOT_PATH,
                )


def _baseline_roles(event: Event) -> Iterator[Violation]:
    if event.baseline.root is None:
        return
    for problem in event.baseline.problems:
        yield Violation(f"on main {problem.what}", problem.path)
    for delegation in event.baseline.delegations:
        if delegation.name == "root" or delegation.name in ONLINE_ROLES:
            continue
        file = event.baseline.role(delegation.name)
        if file is None:
            yield Violation(f"the role {delegation.name} has no readable file on main", delegation.name)
            continue
        tally = count(delegation, file, delegation.delegator.role)
        if not tally.met:
            yield Violation(
                f"{file.role} {file.version} on main has {tally.have} of {tally.need} signatures needed",
                file.path,
            )


def _append_only(event: Event) -> Iterator[Violation]:
    latest = event.baseline.root.version if event.baseline.root else 0
    added = _history_path(latest + 1)
    for change in event.changes:
        if not change.path.startswith(HISTORY):
            continue
        if change.old is not None:
            yield Violation(f"is {'changed' if change.new else 'removed'} by the event", change.path)
        elif change.path != added:
            yield Violation(f"is added by the event; only {added} may be", change.path)


ROOT_RULES: tuple[Rule[Event], ...] = (
    Rule(
        id="KT001",
        title="root 1 is the pinned one",
        why="All trust starts at the root digest that people compared when the repository was founded.",
        mend="Compare the remote's URL and the digest with what the founders published; "
        "do not sign until you know why they differ.",
        check=_pinned_root,
        milder="nothing is pinned",
    ),
    Rule(
        id="KT002",
        title="main's root chain is unbroken",
        why="Each root must be signed by thresholds of the one before it and of its own keys, "
        "else a client cannot follow (specification 5.3.4).",
        mend="Restore main's metadata/root_history from the last commit that verified.",
        check=_chain,
    ),
    Rule(
        id="KT003",
        title="root.json is the last of the history",
        why="Two different latest roots would be served to different clients.",
        mend="Copy the newest file of metadata/root_history over metadata/root.json.",
        check=_latest_is_history,
    ),
    Rule(
        id="KT004",
        title="main's roles are signed",
        why="Signing on top of a baseline that nobody vouched for would vouch for it.",
        mend="Find out how unsigned metadata reached main and restore the last commit that verified.",
        check=_baseline_roles,
    ),
    Rule(
        id="KT005",
        title="root_history only grows",
        why="Clients with an old root walk every version; a changed or missing one strands them.",
        mend="Take the change to metadata/root_history out of the event.",
        check=_append_only,
    ),
)
