"""KT1xx: the roles of the repository as it would be after the merge (specification 4.2 to 4.6, 6)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from itertools import combinations

from keyturn.policy import Period
from keyturn.state import (
    METADATA,
    ONLINE_ROLES,
    ROLE_NAME,
    Delegation,
    Extension,
    MetadataError,
    RoleFile,
    delegations_of,
    keys_of,
    root_of,
    spec_keyid,
)
from keyturn.verify.event import Event
from keyturn.verify.model import Rule, Severity, Violation
from keyturn.verify.thresholds import count, is_readable, key_fingerprint, root_delegation, signature_valid

CLOCK_SKEW = timedelta(hours=1)
"""How far the proposer's clock may be ahead of the verifier's."""
PEOPLES_ROLES = ("root", "targets")
TWO_PEOPLE = 2
MOST_SKIPPED = 100
"""Versions that closed events burned are skipped; a leap to the last number that fits would end the role."""
METADATA_FILE = re.compile(rf"{METADATA}(?:root_history/[1-9][0-9]{{0,8}}\.root|{ROLE_NAME.pattern})\.json")
"""Where role files may stand."""


def _conflicts(event: Event) -> Iterator[Violation]:
    for path in event.conflicts:
        yield Violation("is changed both by the event and on main", path)


def _readable(event: Event) -> Iterator[Violation]:
    for problem in event.head.problems:
        yield Violation(problem.what, problem.path)


def _root_version(event: Event) -> Iterator[Violation]:
    root = _proposed_root(event)
    expected = event.baseline.root.version + 1 if event.baseline.root else 1
    if root is not None and root.version != expected:
        yield Violation(f"is version {root.version}, the next root must be {expected}", root.path)


def _role_version(event: Event) -> Iterator[Violation]:
    for file in event.changed_files:
        if file.role == "root":
            continue
        before = event.baseline.role(file.role)
        # A role that is new on main may continue the numbers of one that was removed or never merged.
        held = before.version if before else 0
        if event.founding and file.version != 1:
            yield Violation(f"is version {file.version}, the first must be 1", file.path)
        elif file.version <= held:
            yield Violation(f"is version {file.version}, main already has {held}", file.path)
        elif file.version > held + MOST_SKIPPED:
            yield Violation(
                f"is version {file.version}, main has {held}: at most {MOST_SKIPPED} may be skipped",
                file.path,
            )


def _delegated(event: Event) -> Iterator[Violation]:
    if event.head.empty and event.founding:
        return
    if event.head.root is None:
        yield Violation("is missing, so no role is delegated by anybody", "metadata/root.json")
        return
    for change in event.changes:
        if change.new and change.path.startswith(METADATA) and not METADATA_FILE.fullmatch(change.path):
            yield Violation("is no role's file", change.path)
    names = {delegation.name for delegation in event.offline_delegations}
    unreadable = {problem.path for problem in event.head.problems}
    for name in event.head.names:
        if name not in names and name not in ONLINE_ROLES:
            yield Violation("is delegated by no role", f"metadata/{name}.json")
    for delegation in event.offline_delegations:
        path = f"metadata/{delegation.name}.json"
        if event.head.role(delegation.name) is None and path not in unreadable:
            yield Violation(f"is missing, though {delegation.delegator.role} delegates to it", path)
        if not ROLE_NAME.fullmatch(delegation.name):
            yield Violation("is delegated under a name that is not a safe file name", path)


def _untouched_roles(event: Event) -> Iterator[Violation]:
    proposed = {file.role for file in event.proposed}
    for delegation in event.offline_delegations:
        file = event.head.role(delegation.name)
        if file is None or file.role in proposed or file.role == "root":
            continue
        tally = count(delegation, file, delegation.delegator.role)
        if not tally.met:
            yield Violation(
                f"{file.role} {file.version} is not changed here, but would have only "
                f"{tally.have} of {tally.need} signatures needed under {delegation.delegator.role} "
                f"{delegation.delegator.version}",
                file.path,
            )


def _stray_signatures(event: Event) -> Iterator[Violation]:
    for file in event.changed_files:
        delegations = _delegations_to(event, file)
        keys = {keyid: key for delegation in delegations for keyid, key in delegation.keys.items()}
        for keyid, signature in file.signatures.items():
            if keyid not in keys:
                yield Violation(f"carries a signature by key {keyid[:16]}, which may not sign it", file.path)
            elif not signature_valid(keys[keyid], signature, file.payload):
                name = delegations[-1].owner_name(keyid)
                yield Violation(
                    f"carries a signature by {name} (key {keyid[:16]}) over other bytes", file.path
                )


def _delegations_to(event: Event, file: RoleFile) -> tuple[Delegation, ...]:
    if file.role != "root":
        return event.head.delegations_to(file.role)
    before = (root_delegation(event.baseline.root),) if event.baseline.root else ()
    return (*before, root_delegation(file))


def _changed_delegators(event: Event) -> Iterator[RoleFile]:
    return (file for file in event.proposed if keys_of(file) or delegations_of(file))


def _spec_keyids(event: Event) -> Iterator[Violation]:
    for file in _changed_delegators(event):
        before = event.baseline.role(file.role)
        known = keys_of(before) if before else {}
        for keyid, key in keys_of(file).items():
            if keyid == spec_keyid(key):
                continue
            severity = Severity.WARNING if known.get(keyid) == key else Severity.ERROR
            yield Violation(
                f"has the keyid {keyid[:16]} for a key whose keyid by the specification "
                f"is {spec_keyid(key)[:16]}",
                file.path,
                severity,
            )


def _one_key_twice(event: Event) -> Iterator[Violation]:
    for delegation in _new_delegations(event):
        prints = [(keyid, key_fingerprint(key)) for keyid, key in delegation.keys.items()]
        for (one, left), (other, right) in combinations(prints, 2):
            if left == right:
                yield Violation(
                    f"the role {delegation.name} has one key twice, "
                    f"under the keyids {one[:16]} and {other[:16]}",
                    delegation.delegator.path,
                )


def _one_person_twice(event: Event) -> Iterator[Violation]:
    for delegation in _new_delegations(event):
        owners = [
            (keyid, delegation.owners[keyid]) for keyid in delegation.keys if keyid in delegation.owners
        ]
        for (_, left), (_, right) in combinations(owners, 2):
            if left.same_person(right) or left.name.lower() == right.name.lower():
                yield Violation(
                    f"{left.name} holds two keys of the role {delegation.name}", delegation.delegator.path
                )


def _new_delegations(event: Event) -> Iterator[Delegation]:
    for file in _changed_delegators(event):
        yield from delegations_of(file)


def _owners_and_periods(event: Event) -> Iterator[Violation]:
    for file in event.proposed:
        keyids = set(keys_of(file))
        try:
            extension = Extension.of(file.signed, file.path)
        except MetadataError as error:
            yield Violation(error.what, file.path)
            continue
        if extension is None:
            if keyids or delegations_of(file):
                yield Violation("has no x-keyturn: nobody is named as the owner of its keys", file.path)
            continue
        for keyid in sorted(keyids - set(extension.signers)):
            yield Violation(f"x-keyturn names no owner of key {keyid[:16]}", file.path)
        for keyid in sorted(set(extension.signers) - keyids):
            yield Violation(f"x-keyturn names an owner of key {keyid[:16]}, which is not there", file.path)
        roles = {delegation.name for delegation in delegations_of(file)}
        for role in sorted(roles - set(extension.periods)):
            yield Violation(f"x-keyturn has no periods for the role {role}", file.path)
        for role, period in sorted(extension.periods.items()):
            if role not in roles:
                yield Violation(f"x-keyturn has periods for {role}, which is not delegated here", file.path)
            if period.renew.delta >= period.expires.delta:
                yield Violation(
                    f"x-keyturn renews {role} {period.renew.text} before its expiry, "
                    f"though it is valid for {period.expires.text} only",
                    file.path,
                )


def _reachable(event: Event) -> Iterator[Violation]:
    for delegation in _new_delegations(event):
        distinct = {mark for key in delegation.keys.values() if is_readable(mark := key_fingerprint(key))}
        if len(distinct) < delegation.role.threshold:
            yield Violation(
                f"the role {delegation.name} needs {delegation.role.threshold} signatures "
                f"but has {len(distinct)} usable keys",
                delegation.delegator.path,
            )


def period_of(delegation: Delegation) -> Period | None:
    """The signed periods of a delegated role; None where the delegator gives none that can be read."""
    try:
        extension = Extension.of(delegation.delegator.signed, delegation.delegator.path)
    except MetadataError:
        return None
    return extension.periods.get(delegation.name) if extension else None


def _expiry_within_period(event: Event) -> Iterator[Violation]:
    for file in event.proposed:
        for delegation in event.head.delegations_to(file.role):
            period = period_of(delegation)
            if period is None:
                continue
            latest = event.now + period.expires.delta + CLOCK_SKEW
            if file.expires > latest:
                yield Violation(
                    f"expires on {file.expires:%Y-%m-%d %H:%M}Z, more than {period.expires.text} from now",
                    file.path,
                )


def _not_expired(event: Event) -> Iterator[Violation]:
    for file in event.proposed:
        if file.expires <= event.now:
            yield Violation(f"expired on {file.expires:%Y-%m-%d %H:%M}Z, before anybody signed it", file.path)


def _renewal_due(event: Event) -> Iterator[Violation]:
    proposed = {file.role for file in event.proposed}
    for delegation in event.offline_delegations:
        file = event.head.role(delegation.name)
        if file is None or file.role in proposed:
            continue
        period = period_of(delegation)
        if file.expires <= event.now:
            yield Violation(
                f"{file.role} {file.version} expired on {file.expires:%Y-%m-%d %H:%M}Z", file.path
            )
        elif period and file.expires - period.renew.delta <= event.now:
            yield Violation(
                f"{file.role} {file.version} expires on {file.expires:%Y-%m-%d %H:%M}Z "
                "and is due for renewal",
                file.path,
            )


def _proposed_root(event: Event) -> RoleFile | None:
    return next((file for file in event.proposed if file.role == "root"), None)


def _two_person_rule(event: Event) -> Iterator[Violation]:
    root = event.head.root
    if root is None or event.policy is None:
        return
    allowed = event.policy.single_signer or root is not _proposed_root(event)
    for delegation in delegations_of(root):
        if delegation.name in PEOPLES_ROLES and delegation.role.threshold < TWO_PEOPLE:
            yield Violation(
                f"one person alone can sign the role {delegation.name}",
                root.path,
                Severity.WARNING if allowed else None,
            )


def _online_keys_apart(event: Event) -> Iterator[Violation]:
    root = _proposed_root(event)
    delegations = delegations_of(root) if root else ()
    online = {key_fingerprint(key) for d in delegations if d.name in ONLINE_ROLES for key in d.keys.values()}
    for delegation in delegations:
        for keyid, key in delegation.keys.items() if delegation.name in PEOPLES_ROLES else ():
            owner = delegation.owners.get(keyid)
            if key_fingerprint(key) in online or (owner and owner.online):
                yield Violation(
                    f"lets the online key {keyid[:16]} sign the role {delegation.name}",
                    delegation.delegator.path,
                )


def _consistent_snapshot(event: Event) -> Iterator[Violation]:
    root = _proposed_root(event)
    if root and not root_of(root).consistent_snapshot:
        yield Violation("turns consistent snapshots off", root.path)


EVENT_RULES: tuple[Rule[Event], ...] = (
    Rule(
        id="KT100",
        title="the event merges with main",
        why="What cannot be merged cannot be judged as a whole.",
        mend="Propose again: the new proposal starts from main as it is now.",
        check=_conflicts,
    ),
    Rule(
        id="KT101",
        title="metadata can be read",
        why="A client refuses what it cannot read, and so would every update.",
        mend="Propose again, or restore the file from main.",
        check=_readable,
    ),
    Rule(
        id="KT102",
        title="root goes up by one",
        why="Clients look for exactly the next root and stop where there is none (specification 5.3.3).",
        mend="Propose the root again from main as it is now.",
        check=_root_version,
    ),
    Rule(
        id="KT103",
        title="versions go up",
        why="Clients refuse a version that is not higher than the one they hold (specification 5.5.5).",
        mend="Propose again: the proposal takes the next free version.",
        check=_role_version,
    ),
    Rule(
        id="KT104",
        title="every role has one file, every file a role",
        why="A delegated role without metadata stops clients; metadata that nobody delegates to "
        "is not signed for.",
        mend="Add the missing role to the event, or take the stray file out.",
        check=_delegated,
    ),
    Rule(
        id="KT105",
        title="untouched roles stay signed",
        why="A change of keys or thresholds can leave a role that it does not touch "
        "without enough signatures.",
        mend="Propose the role anew in the same event, so that it is signed under the new keys.",
        check=_untouched_roles,
    ),
    Rule(
        id="KT106",
        title="no stray signatures",
        why="A signature over other bytes or by a foreign key is a mistake or a trick; it never counts.",
        mend="Remove the signature from the file, or let its owner sign again.",
        check=_stray_signatures,
    ),
    Rule(
        id="KT107",
        title="keyids are the specification's",
        why="Clients compute keyids their own way; one that differs has broken updates before.",
        mend="Use the keyid that the specification gives: propose the role again.",
        check=_spec_keyids,
        milder="main has the key under this keyid already",
    ),
    Rule(
        id="KT108",
        title="no key twice in a role",
        why="One key under two keyids would count as two signatures.",
        mend="Remove one of the two entries.",
        check=_one_key_twice,
    ),
    Rule(
        id="KT109",
        title="no person twice in a role",
        why="Two keys of one person would let one person meet a threshold of two.",
        mend="Keep one key for each person in the role.",
        check=_one_person_twice,
    ),
    Rule(
        id="KT110",
        title="every key has an owner, every role its periods",
        why="Signers decide by name and period; both must be in what they sign.",
        mend="Propose the role again with this version of keyturn.",
        check=_owners_and_periods,
    ),
    Rule(
        id="KT111",
        title="thresholds can be met",
        why="A threshold above the number of usable keys locks the role for good.",
        mend="Lower the threshold, or add keys, before anybody signs.",
        check=_reachable,
    ),
    Rule(
        id="KT112",
        title="expiry is within the period",
        why="Metadata that lives longer than was agreed can be replayed longer than was agreed.",
        mend="Propose again; if your clock is wrong, set it first.",
        check=_expiry_within_period,
    ),
    Rule(
        id="KT113",
        title="nothing proposed is expired",
        why="Signing it would publish what every client refuses.",
        mend="Propose again: the new proposal gets a new expiry.",
        check=_not_expired,
    ),
    Rule(
        id="KT114",
        title="untouched roles are not due",
        why="Once a role expires, clients stop updating.",
        mend="Renew the role in an event of its own.",
        check=_renewal_due,
        severity=Severity.WARNING,
    ),
    Rule(
        id="KT115",
        title="root and targets take two people",
        why="With a threshold of 1 a single stolen key is enough to update every user.",
        mend="Set a threshold of 2 or more, or write `single-signer: true` in keyturn.yml and mean it.",
        check=_two_person_rule,
        milder="the policy says `single-signer: true`, or the root is on main already",
    ),
    Rule(
        id="KT116",
        title="the online key signs no release",
        why="It lies on a server: counted together with one stolen key it would meet a threshold of two.",
        mend="Give the role keys of people only.",
        check=_online_keys_apart,
    ),
    Rule(
        id="KT117",
        title="consistent snapshots stay on",
        why="The site has versioned and hashed names only; without consistent snapshots "
        "no client asks for those (specification 6).",
        mend="Set consistent_snapshot to true in the root that is proposed.",
        check=_consistent_snapshot,
    ),
)
