"""What reads well here and badly elsewhere: sizes, names, patterns and paths as every client meets them."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from typing import Any

from tuf.api.metadata import DelegatedRole, TargetFile

from keyturn.state import Delegation, RoleFile, State, delegations_of, search, targets_of
from keyturn.verify.event import Event
from keyturn.verify.model import Rule, Severity, Violation
from keyturn.verify.paths import unprintable, why_unsafe

MOST_ROOT = 512_000
"""Bytes; a stock client stops reading a root there."""
MOST_TIMESTAMP = 16_384
MOST_SNAPSHOT = 2_000_000
MOST_TARGETS = 5_000_000
"""Bytes; where snapshot lists no length, a stock client stops reading a targets role there."""


def _sizes(event: Event) -> Iterator[Violation]:
    for file in event.changed_files:
        size, most = len(file.data), MOST_ROOT if file.role == "root" else MOST_TARGETS
        if size > most:
            yield Violation(
                f"is {size:,} bytes long, more than {most:,}",
                file.path,
                None if file.role == "root" else Severity.WARNING,
            )


def _names(event: Event) -> Iterator[Violation]:
    for file in event.proposed:
        before = event.baseline.role(file.role)
        known = set(_shown(before)) if before else set()
        for subject, text in _shown(file):
            character = unprintable(text)
            if character:
                yield Violation(
                    f"{subject} has the unprintable character U+{ord(character):04X} in {text!r}",
                    file.path,
                    Severity.WARNING if (subject, text) in known else None,
                )


def _shown(file: RoleFile) -> Iterator[tuple[str, str]]:
    """Names that people read and decide by; role names, target paths and logins have rules of their own."""
    for delegation in delegations_of(file):
        if isinstance(delegation.role, DelegatedRole):
            for pattern in delegation.role.paths or ():
                yield f"a path of the role {delegation.name}", pattern
    if file.role != "root":
        for target in targets_of(file).targets.values():
            for name in _names_in(target.custom):
                yield f"custom of {target.path!r}", name


def _names_in(custom: object) -> Iterator[str]:
    """The names of all fields, and all that is said of a release; other texts are the application's own."""
    waiting: list[tuple[tuple[str, ...], Any]] = [((), custom)]
    while waiting:
        at, value = waiting.pop()
        if isinstance(value, dict):
            yield from value
            waiting += [((*at, name), inner) for name, inner in value.items()]
        elif isinstance(value, list):
            waiting += [(at, inner) for inner in value]
        elif isinstance(value, str) and at[:2] == ("user", "keyturn"):
            yield value


def _useless_patterns(event: Event) -> Iterator[Violation]:
    proposed = {file.role for file in event.proposed}
    for delegation in event.offline_delegations:
        role = delegation.role
        if not isinstance(role, DelegatedRole) or role.paths is None:
            continue
        if proposed & {delegation.delegator.role, delegation.name}:
            yield from _useless(delegation, role.paths, event.head.role(delegation.name))


def _useless(delegation: Delegation, patterns: list[str], file: RoleFile | None) -> Iterator[Violation]:
    where = delegation.delegator.path
    if not patterns:
        yield Violation(f"delegates no path at all to {delegation.name}", where)
    listed = tuple(targets_of(file).targets) if file else ()
    for pattern in patterns:
        # No name that is reserved somewhere has a y in it: with an x, "au*" would be the device aux.
        reason = why_unsafe(pattern.replace("*", "y").replace("?", "y"))
        if reason:
            yield Violation(
                f"{pattern!r} of the role {delegation.name} can match no target path: it {reason}", where
            )
        elif listed and not any(_matches(delegation, pattern, path) for path in listed):
            yield Violation(
                f"{pattern!r} matches none of the {len(listed)} targets of the role {delegation.name}", where
            )


def _matches(delegation: Delegation, pattern: str, path: str) -> bool:
    role = delegation.role
    alone = DelegatedRole(delegation.name, role.keyids, role.threshold, terminating=False, paths=[pattern])
    return alone.is_delegated_path(path)


def _taken(event: Event) -> Iterator[Violation]:
    for file in event.head.targets_roles():
        for path in targets_of(file).targets:
            if not _asked_for(event.head, file.role, path):
                continue
            found = search(event.head.role, path)
            if found is not None and found.role == file.role:
                continue
            before = search(event.baseline.role, path)
            instead = f"the one of {found.role}" if found else "none"
            taken = before is not None and before.role == file.role
            yield Violation(
                f"{path!r} is listed here, but clients find {instead}"
                + (", other than before" if taken else ""),
                file.path,
                None if taken else Severity.WARNING,
            )


def _asked_for(state: State, role: str, path: str) -> bool:
    """Whether some delegation to a role is about a path, whoever is asked before."""
    return role == "targets" or any(
        isinstance(delegation.role, DelegatedRole) and delegation.role.is_delegated_path(path)
        for delegation in state.delegations_to(role)
    )


def on_disk(path: str) -> str:
    """What some file systems make of a path: letters of one case, composed in one way."""
    folded = unicodedata.normalize("NFD", unicodedata.normalize("NFD", path).casefold())
    return unicodedata.normalize("NFC", folded)


def alike(targets: Iterator[tuple[RoleFile, TargetFile]]) -> Iterator[Violation]:
    """Target paths that are one on file systems which ignore case or the form of Unicode.

    Args:
        targets: Every target with the role that lists it.
    """
    first: dict[str, str] = {}
    for file, target in targets:
        other = first.setdefault(on_disk(target.path), target.path)
        if other != target.path:
            yield Violation(
                f"{target.path!r} and {other!r} differ only by case or by the form of Unicode", file.path
            )


def _alike(event: Event) -> Iterator[Violation]:
    return alike((file, t) for file in event.head.targets_roles() for t in targets_of(file).targets.values())


SIZE_RULES: tuple[Rule[Event], ...] = (
    Rule(
        id="KT128",
        title="metadata is no larger than clients read",
        why="A stock client stops reading a root after 512,000 bytes, and of other roles after 5,000,000 "
        "where snapshot lists no length.",
        mend="Move targets to delegated roles; take what is not needed out of root.",
        check=_sizes,
        milder="the role is not root, since our snapshots list the length",
    ),
)

CLIENT_RULES: tuple[Rule[Event], ...] = (
    Rule(
        id="KT309",
        title="names show what they are",
        why="Control characters, changes of writing direction and characters without width "
        "make one name look like another.",
        mend="Write the name anew, with characters that show.",
        check=_names,
        milder="main has the name already",
    ),
    Rule(
        id="KT310",
        title="every path pattern matches something",
        why="A pattern that matches nothing is misspelt as a rule: the role is not asked where it should be.",
        mend="Compare the pattern with the paths of the role's targets; `*` does not cross `/`.",
        check=_useless_patterns,
        severity=Severity.WARNING,
    ),
    Rule(
        id="KT311",
        title="clients find a target where it is listed",
        why="Who else can sign for a path decides what clients install; a delegation in front, "
        "or one that ends the search, takes the path from the role that lists it.",
        mend="Change the order or the paths of the delegations, or move the target in the same event.",
        check=_taken,
        milder="clients did not find it there before either",
    ),
    Rule(
        id="KT312",
        title="target paths differ by more than case",
        why="On Windows and macOS both would be one file, and one of them not the one that was signed.",
        mend="Rename or remove one of the two.",
        check=_alike,
    ),
)
