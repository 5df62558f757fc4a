"""KT1xx: what an event changes in thresholds, periods and delegations, against main and the policy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import cast

from tuf.api.metadata import DelegatedRole

from keyturn.policy import Period, Policy
from keyturn.state import Delegation, Extension, MetadataError, RoleFile, delegations_of
from keyturn.verify.event import Event
from keyturn.verify.model import Rule, Severity, Violation

LONGEST = timedelta(days=3650)
"""No agreement on keys should outlive ten years unasked."""


def _thresholds(event: Event) -> Iterator[Violation]:
    for file in event.proposed:
        before = _by_name(event.baseline.role(file.role))
        for delegation in delegations_of(file):
            held = before.get(delegation.name)
            if held and delegation.role.threshold < held.role.threshold:
                yield Violation(
                    f"lowers the threshold of {delegation.name} from {held.role.threshold} "
                    f"to {delegation.role.threshold}",
                    file.path,
                )


def _by_name(file: RoleFile | None) -> Mapping[str, Delegation]:
    return {delegation.name: delegation for delegation in delegations_of(file)} if file else {}


def extension_of(file: RoleFile | None) -> Extension:
    """Owners and periods that a role's file gives; none where it gives none that can be read."""
    try:
        extension = Extension.of(file.signed, file.path) if file else None
    except MetadataError:
        extension = None
    return extension or Extension()


def _periods(file: RoleFile | None) -> Mapping[str, Period]:
    return extension_of(file).periods


def wished_periods(policy: Policy | None) -> Mapping[str, Period]:
    """The period that a policy asks for, by role; none without a policy."""
    if policy is None:
        return {}
    return {
        "root": policy.root.period,
        "targets": policy.targets.period,
        "snapshot": policy.online.snapshot,
        "timestamp": policy.online.timestamp,
        **{delegation.name: delegation.role.period for delegation in policy.delegations},
    }


def _longer_than_before(event: Event) -> Iterator[Violation]:
    for file in event.proposed:
        before = _periods(event.baseline.role(file.role))
        for name, period in sorted(_periods(file).items()):
            held = before.get(name)
            if held and period.expires.delta > held.expires.delta:
                yield Violation(
                    f"lets {name} be valid for {period.expires.text}, not for {held.expires.text} as before",
                    file.path,
                )


def longer_than_wished(event: Event, file: RoleFile) -> frozenset[str]:
    """The roles whose period an event makes longer than the policy asks for.

    Args:
        event: The event.
        file: A delegating role that it proposes.
    """
    before = _periods(event.baseline.role(file.role))
    wished = wished_periods(event.policy)
    return frozenset(
        name
        for name, period in _periods(file).items()
        if name in wished
        and period.expires.delta > wished[name].expires.delta
        and (name not in before or before[name].expires.delta != period.expires.delta)
    )


def _longer_than_the_policy(event: Event) -> Iterator[Violation]:
    wished = wished_periods(event.policy)
    for file in event.proposed:
        for name in sorted(longer_than_wished(event, file)):
            yield Violation(
                f"lets {name} be valid for {_periods(file)[name].expires.text}, "
                f"the policy asks for {wished[name].expires.text}",
                file.path,
            )


def _absurd(event: Event) -> Iterator[Violation]:
    for file in event.proposed:
        before = _periods(event.baseline.role(file.role))
        for name, period in sorted(_periods(file).items()):
            held = before.get(name)
            if period.expires.delta > LONGEST:
                yield Violation(
                    f"lets {name} be valid for {period.expires.text}, more than {LONGEST.days}d",
                    file.path,
                    Severity.WARNING if held and held.expires.delta >= period.expires.delta else None,
                )


def delegations_against_the_policy(event: Event, file: RoleFile) -> Mapping[str, str]:
    """What an event changes in a role's delegations that the policy does not ask for, by the role concerned.

    The order of all of them stands under the empty name.

    Args:
        event: The event.
        file: A role that it proposes.
    """
    if event.policy is None or file.role == "root":
        return {}
    wished = {d.name: d for d in event.policy.delegations} if file.role == "targets" else {}
    before, after = _by_name(event.baseline.role(file.role)), _by_name(file)
    found: dict[str, str] = {}
    for name, delegation in after.items():
        held, asked = before.get(name), wished.get(name)
        if held is not None and scope(held) == scope(delegation):
            continue
        if asked is None:
            found[name] = (
                f"{'changes' if held else 'adds'} the delegation to {name}, which the policy does not name"
            )
        elif scope(delegation) != (tuple(asked.paths), asked.terminating):
            found[name] = (
                f"delegates other paths to {name} than the policy, or ends the search there otherwise"
            )
    for name in before:
        if name not in after and name in wished:
            found[name] = f"removes the delegation to {name}, which the policy still names"
    order = [name for name in after if name in wished]
    asked_order = [name for name in wished if name in after]
    if list(before) != list(after) and order != asked_order:
        found[""] = f"asks the roles in the order {', '.join(order)}, the policy in {', '.join(asked_order)}"
    return found


def scope(delegation: Delegation) -> tuple[tuple[str, ...], bool]:
    """Which paths a delegation below targets is about, and whether the search ends there."""
    role = cast("DelegatedRole", delegation.role)
    return tuple(role.paths or role.path_hash_prefixes or ()), role.terminating


def _delegations(event: Event) -> Iterator[Violation]:
    for file in event.proposed:
        for what in delegations_against_the_policy(event, file).values():
            yield Violation(what, file.path)


CHANGE_RULES: tuple[Rule[Event], ...] = (
    Rule(
        id="KT118",
        title="thresholds are not lowered unseen",
        why="Fewer people than before could then update every user.",
        mend="Sign only if everybody who holds a key of the role agreed to it.",
        check=_thresholds,
        severity=Severity.WARNING,
    ),
    Rule(
        id="KT119",
        title="periods do not grow unseen",
        why="What is valid for longer can be replayed for longer, and a lost key counts for longer.",
        mend="Sign only if the longer period is meant.",
        check=_longer_than_before,
        severity=Severity.WARNING,
    ),
    Rule(
        id="KT121",
        title="a new period is no longer than the policy's",
        why="People reviewed the period in keyturn.yml; a signature must not stand for a longer one.",
        mend="Run `keyturn propose policy`, or change the period in keyturn.yml first.",
        check=_longer_than_the_policy,
    ),
    Rule(
        id="KT122",
        title="no period is longer than ten years",
        why="Metadata that never expires in practice lets a frozen copy be served for ever.",
        mend="Write a period of 3650d or less in keyturn.yml and propose it.",
        check=_absurd,
        milder="the period was as long before",
    ),
    Rule(
        id="KT123",
        title="delegations change as the policy says",
        why="Delegations decide who may offer what; nobody reviewed one that keyturn.yml does not name.",
        mend="Change keyturn.yml, and run `keyturn propose policy`.",
        check=_delegations,
    ),
)
