"""Changing who may sign what, and renewing what is about to expire: signing events like any other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from keyturn import propose
from keyturn.errors import NothingToDo, PendingError, UsageError
from keyturn.flow.context import POLICY, Context, content_of, read_keyring
from keyturn.flow.proposing import Ground, Proposed, ground_of, put, require_no_clash
from keyturn.flow.retry import until_pushed
from keyturn.forge import PUBLISHED, STAGED, Forge
from keyturn.policy import Policy, parse
from keyturn.propose import Anew
from keyturn.publish.online import known_versions
from keyturn.state import Site, State
from keyturn.verify import Keyring

POLICY_TOPIC = "policy"
RENEWAL_TOPIC = "renew"


@dataclass(frozen=True, slots=True)
class PolicyProposed:
    """A changed policy that stands in the remote as a signing event.

    Args:
        proposed: The proposal.
        missing: Logins whose keys it waits for; while there are any, it holds no metadata.
        anew: Roles that have to be signed again though the policy does not name them, and why.
    """

    proposed: Proposed
    missing: tuple[str, ...]
    anew: tuple[Anew, ...]


def policy(context: Context, text: bytes | None = None, topic: str = POLICY_TOPIC) -> PolicyProposed:
    """Propose what ``keyturn.yml`` and ``keyring/`` ask for and the signed metadata does not say yet.

    Args:
        context: Where.
        text: A changed ``keyturn.yml`` that shall be part of the event; None takes the one that is there.
        topic: Topic of the event.

    Raises:
        PolicyError: The policy has problems.
        PendingError: Keys are missing, and there is nothing else to propose yet.
        NothingToDo: Wish and truth agree, or the open event says all of it already.
    """
    return until_pushed(context.forge, lambda: _policy_once(context, text, topic))


def _policy_once(context: Context, text: bytes | None, topic: str) -> PolicyProposed:
    ground = ground_of(context, topic)
    require_no_clash(ground, [POLICY] if text is not None else [])
    wanted_text = text if text is not None else content_of(ground.wish, POLICY)
    if wanted_text is None:
        raise UsageError("is missing", where=POLICY, todo="Name a file with --policy.")
    wanted = parse(wanted_text)
    keyring = read_keyring(ground.wish, wanted.name)
    files: dict[str, bytes | None] = {POLICY: wanted_text}
    missing = missing_logins(wanted, keyring)
    if missing:
        return _waiting(context, ground, files, missing)
    change = policy_change(context, ground, wanted, keyring)
    if not change.edits and ground.earlier is None and content_of(ground.own, POLICY) == wanted_text:
        raise NothingToDo("the signed metadata says what the policy asks for", where=POLICY)
    proposed = put(context, ground, {**files, **change.edits}, "Propose what the policy asks for")
    return PolicyProposed(proposed=proposed, missing=(), anew=change.anew)


def _waiting(
    context: Context, ground: Ground, files: Mapping[str, bytes | None], missing: tuple[str, ...]
) -> PolicyProposed:
    names = ", ".join(missing)
    try:
        proposed = put(context, ground, files, f"Ask for the keys of {names}")
    except NothingToDo as nothing:
        raise PendingError(
            f"the keys of {names} are missing",
            where=nothing.where,
            todo=f"Each runs `keyturn join {ground.topic} --login LOGIN --key URI`.",
        ) from nothing
    return PolicyProposed(proposed=proposed, missing=missing, anew=())


def missing_logins(wanted: Policy, keyring: Keyring) -> tuple[str, ...]:
    """Whom the policy names without a proven key in the keyring, ``online`` included."""
    return tuple(login for login in (*wanted.logins, "online") if keyring.key(login) is None)


def policy_change(context: Context, ground: Ground, wanted: Policy, keyring: Keyring) -> propose.PolicyChange:
    """The metadata that a policy and a keyring ask for, on top of main.

    Args:
        context: Where.
        ground: What the proposal starts from.
        wanted: The policy.
        keyring: The proven keys, complete.
    """
    named = {owner.name.lower() for d in ground.baseline.delegations for owner in d.owners.values()}
    newcomers = [login for login in wanted.logins if login.lower() not in named]
    return propose.change(
        wanted,
        keyring.keys,
        ground.baseline,
        context.now,
        event=ground.earlier.event if ground.earlier else None,
        used=_used_versions(context.forge),
        taken=ground.taken,
        ids=context.identify(newcomers) if newcomers else {},
    )


def _used_versions(forge: Forge) -> dict[str, int]:
    """The highest version of each role that was ever published and is still kept."""
    caches = [Site(forge.tree(forge.branch_tip(name))) for name in (PUBLISHED, STAGED)]
    return known_versions(State(forge.tree(forge.main())), caches)


def renew(context: Context, roles: Sequence[str] = ()) -> tuple[Proposed, ...]:
    """Propose the next version of roles that are due, one event for all roles with the same signers.

    Args:
        context: Where.
        roles: Roles to renew; those inside their renewal window if empty.

    Raises:
        UsageError: A role is not there, or is signed online.
        NothingToDo: Nothing is due, or all of it is proposed already.
    """
    return until_pushed(context.forge, lambda: _renew_once(context, roles))


def _renew_once(context: Context, roles: Sequence[str]) -> tuple[Proposed, ...]:
    baseline = ground_of(context, RENEWAL_TOPIC).baseline
    groups = propose.renew(baseline, context.now, roles)
    made = []
    for group in groups:
        topic = _renewal_topic(context.forge, baseline, group.roles, alone=len(groups) == 1)
        made += _renew_group(context, topic, group.roles)
    if not made:
        raise NothingToDo("nothing is due for renewal, or it is proposed already", where=context.forge.url)
    return tuple(made)


def is_renewal(topic: str) -> bool:
    """Whether a topic is one under which renewals are proposed."""
    return topic == RENEWAL_TOPIC or topic.startswith(f"{RENEWAL_TOPIC}-")


def _renewal_topic(forge: Forge, baseline: State, roles: Sequence[str], *, alone: bool) -> str:
    """The open event that renews one of the roles already; else a topic of their own."""
    renewing = [topic for topic in forge.events() if is_renewal(topic) and not forge.is_merged(topic)]
    for topic in renewing:
        proposed = State(forge.tree(forge.event(topic)))
        for role in roles:
            file, before = proposed.role(role), baseline.role(role)
            if file and before and file.version > before.version:
                return topic
    return RENEWAL_TOPIC if alone and RENEWAL_TOPIC not in renewing else f"{RENEWAL_TOPIC}-{roles[0]}"


def _renew_group(context: Context, topic: str, roles: Sequence[str]) -> list[Proposed]:
    ground = ground_of(context, topic)
    event = ground.earlier.event if ground.earlier else None
    (group,) = propose.renew(ground.baseline, context.now, roles, event=event, taken=ground.taken)
    try:
        return [put(context, ground, dict(group.edits), f"Renew {' and '.join(roles)}")]
    except NothingToDo:
        return []
