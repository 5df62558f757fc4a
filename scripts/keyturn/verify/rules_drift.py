"""KT4xx: where the signed metadata says another thing than policy and keyring ask for (DESIGN section 3)."""

from __future__ import annotations

from collections.abc import Iterator

from keyturn.policy import Period, Policy, RolePolicy
from keyturn.state import ONLINE_ROLES, Delegation, RoleFile, delegations_of
from keyturn.verify.event import Event
from keyturn.verify.model import Rule, Severity, Violation
from keyturn.verify.rules_changes import (
    delegations_against_the_policy,
    extension_of,
    longer_than_wished,
    scope,
    wished_periods,
)
from keyturn.verify.rules_event import period_of
from keyturn.verify.thresholds import key_fingerprint


def _drift(event: Event) -> Iterator[Violation]:
    for name in ("root", "targets"):
        file = event.head.role(name)
        if file is not None and event.policy is not None:
            for delegation in delegations_of(file):
                yield from _role(event, event.policy, file, delegation)
    yield from _delegations(event)
    yield from _keys(event)


def _role(event: Event, policy: Policy, file: RoleFile, delegation: Delegation) -> Iterator[Violation]:
    name = delegation.name
    wished = None if name in ONLINE_ROLES else policy.role(name)
    if wished:
        yield from _signers(file, delegation, wished)
    period = wished_periods(policy).get(name)
    said_already = file in event.proposed and name in longer_than_wished(event, file)
    if period and not said_already:
        yield from _period(file, delegation, period)


def _signers(file: RoleFile, delegation: Delegation, wished: RolePolicy) -> Iterator[Violation]:
    name = delegation.name
    signed = {delegation.owner_name(keyid).lower(): delegation.owner_name(keyid) for keyid in delegation.keys}
    asked = {login.lower(): login for login in wished.signers}
    for login in sorted(asked.keys() - signed.keys()):
        yield Violation(f"the policy asks for {asked[login]} in {name}, who may not sign it", file.path)
    for login in sorted(signed.keys() - asked.keys()):
        yield Violation(f"{signed[login]} may sign {name}, the policy does not ask for it", file.path)
    if delegation.role.threshold != wished.threshold:
        yield Violation(
            f"the threshold of {name} is {delegation.role.threshold}, the policy asks for {wished.threshold}",
            file.path,
        )


def _period(file: RoleFile, delegation: Delegation, wished: Period) -> Iterator[Violation]:
    signed = period_of(delegation)
    if signed is None:
        return
    for word, one, other in (
        ("is valid for", signed.expires, wished.expires),
        ("is renewed before expiry by", signed.renew, wished.renew),
    ):
        if one.delta != other.delta:
            yield Violation(
                f"{delegation.name} {word} {one.text}, the policy asks for {other.text}", file.path
            )


def _delegations(event: Event) -> Iterator[Violation]:
    """Differences that this event does not make itself; those it makes are errors of KT123."""
    file = event.head.role("targets")
    if file is None or event.policy is None:
        return
    said = delegations_against_the_policy(event, file) if file in event.proposed else {}
    wished = {delegation.name: delegation for delegation in event.policy.delegations}
    signed = {delegation.name: delegation for delegation in delegations_of(file)}
    for name in sorted((wished.keys() - signed.keys()) - said.keys()):
        yield Violation(f"the policy delegates to {name}, the metadata does not", file.path)
    for name in sorted((signed.keys() - wished.keys()) - said.keys()):
        yield Violation(f"delegates to {name}, the policy does not", file.path)
    common = [name for name in signed if name in wished]
    for name in common:
        asked = wished[name]
        if name not in said and scope(signed[name]) != (tuple(asked.paths), asked.terminating):
            yield Violation(
                f"delegates other paths to {name} than the policy, or ends the search there otherwise",
                file.path,
            )
    if "" not in said and common != [name for name in wished if name in signed]:
        yield Violation("asks delegated roles in another order than the policy", file.path)


def _keys(event: Event) -> Iterator[Violation]:
    """Keys that the keyring has otherwise, in roles that the event leaves alone; of others KT404 speaks."""
    proposed = {file.role for file in event.proposed}
    told: set[tuple[str, str]] = set()
    for delegation in event.head.delegations:
        if delegation.delegator.role in proposed:
            continue
        for keyid, key in delegation.keys.items():
            owner = delegation.owners.get(keyid)
            entry = event.keyring.key(owner.name) if owner else None
            path = delegation.delegator.path
            if (
                owner
                and entry
                and key_fingerprint(entry) != key_fingerprint(key)
                and (path, keyid) not in told
            ):
                told.add((path, keyid))
                yield Violation(f"keyring/ has another key of {owner.name} than this role", path)


def _numbers(event: Event) -> Iterator[Violation]:
    """People are known by their number where there is one: a login can be given up and taken by another."""
    held: dict[str, int] = {}
    for delegation in (*event.baseline.delegations, *event.head.delegations):
        for owner in delegation.owners.values():
            if owner.id is not None:
                held.setdefault(owner.name.lower(), owner.id)
    for file in event.proposed:
        for owner in extension_of(file).signers.values():
            if owner.id is not None and held.get(owner.name.lower(), owner.id) != owner.id:
                yield Violation(
                    f"{owner.name} has the number {owner.id} here, "
                    f"and {held[owner.name.lower()]} elsewhere or before",
                    file.path,
                )
        before = extension_of(event.baseline.role(file.role)).signers.values()
        numbers = {owner.name.lower(): owner.id for owner in before}
        for owner in extension_of(file).signers.values():
            if owner.id is None and (number := numbers.get(owner.name.lower())) is not None:
                yield Violation(f"{owner.name} has lost the number {number} that main gives", file.path)


DRIFT_RULES: tuple[Rule[Event], ...] = (
    Rule(
        id="KT405",
        title="the metadata says what the policy asks for",
        why="The policy is a wish: only signed metadata counts, and here it says another thing.",
        mend="Run `keyturn propose policy` to let the metadata follow, or put the old wish back.",
        check=_drift,
        severity=Severity.WARNING,
    ),
    Rule(
        id="KT406",
        title="a login stays one person's",
        why="A login can be given up and taken by somebody else; the number tells them apart.",
        mend="Ask the person by other means; give a new person a place of their own in keyturn.yml.",
        check=_numbers,
    ),
)
