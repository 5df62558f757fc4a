"""Founding a repository, and joining it with one's own key (SPEC: Founding, and where keys come from)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from keyturn import propose
from keyturn.errors import NothingToDo, UsageError
from keyturn.flow.changing import missing_logins, policy_change
from keyturn.flow.context import KEYRING, POLICY, Context, load_event, read_keyring, require_policy
from keyturn.flow.proposing import ground_of, put
from keyturn.flow.retry import until_pushed
from keyturn.forge import Proposal
from keyturn.policy import Policy, parse, render
from keyturn.signing import KeySigner, prove, public_pem
from keyturn.state import State
from keyturn.tree import Kind, Tree, overlay
from keyturn.verify import Keyring

FOUNDING = "founding"

_GIT_ATTRIBUTES = b"metadata/** -text\ntargets/** -text\n"


@dataclass(frozen=True, slots=True)
class Founded:
    """What ``init`` made.

    Args:
        topic: Topic of the founding event.
        logins: Who has to join.
        policy: The text of ``keyturn.yml``.
    """

    topic: str
    logins: tuple[str, ...]
    policy: str


def init(  # noqa: PLR0913 (what a person decides, all by name)
    context: Context,
    *,
    name: str,
    signers: Sequence[str],
    threshold: int,
    app: str | None,
    online_uri: str,
    online: KeySigner,
    url: str,
    also: Mapping[str, bytes] | None = None,
) -> Founded:
    """Make the first commit of an empty repository, and open its founding event.

    Args:
        context: Where.
        name: Name of the repository, for good.
        signers: Logins of root's and targets' signers.
        threshold: How many of them must sign.
        app: An app to release from it.
        online_uri: URI under which the online key will be found when publishing.
        online: That key, to prove that it is held.
        url: Where the site will be.
        also: Other files of the first commit by path, such as workflows.

    Raises:
        UsageError: The repository is not empty, or the policy would not be valid.
    """
    text = render(
        name=name,
        signers=tuple(signers),
        threshold=threshold,
        app=app,
        online_key=online_uri,
        url=url,
        branch=context.forge.branch,
    )
    policy = parse(text.encode())
    first = {POLICY: text.encode(), ".gitattributes": _GIT_ATTRIBUTES, **(also or {})}
    context.forge.refresh()
    if context.forge.main() is None:
        context.forge.start(first, f"Found {name}", context.author, context.now)
    elif not _begun(context, first):
        raise UsageError(
            f"the branch {context.forge.branch} exists already",
            where=context.forge.url,
            todo="Found a repository in an empty remote.",
            reason="not-empty",
        )
    change = Proposal(
        files=_membership(online, name, "online"),
        message="Add the online key",
        author=context.author,
        when=context.now,
    )
    context.forge.propose(FOUNDING, change)
    return Founded(topic=FOUNDING, logins=policy.logins, policy=text)


def _begun(context: Context, first: Mapping[str, bytes]) -> bool:
    """Whether an earlier run died between the first commit and the founding event."""
    tree = context.forge.tree(context.forge.main())
    return context.forge.event(FOUNDING) is None and dict(_contents(tree)) == first


def _contents(tree: Tree) -> Iterator[tuple[str, bytes]]:
    return ((path, tree.read(path)) for path, entry in tree.entries().items() if entry.kind is Kind.FILE)


@dataclass(frozen=True, slots=True)
class Joined:
    """What ``join`` did.

    Args:
        login: Who joined.
        keyid: The key that was entered.
        missing: Logins whose keys are still missing.
        proposed: Whether this was the last one, so that metadata is proposed now.
    """

    login: str
    keyid: str
    missing: tuple[str, ...]
    proposed: bool


def join(context: Context, topic: str, login: str, signer: KeySigner, *, replacing: bool = False) -> Joined:
    """Enter a person's public key and its proof into the keyring, in an event that waits for it.

    In a founding event the last to join also proposes version 1 of every role, so that nobody's signature
    is voided later. After founding, a new signer joins an event with a changed policy, and a key is
    replaced in an event of its own or in one that is open; the metadata that follows is proposed with it.

    Args:
        context: Where.
        topic: Topic of the event.
        login: Login, one that the policy names.
        signer: The person's private key.
        replacing: Whether another key of theirs shall be replaced.

    Raises:
        UsageError: The policy does not name the login, there is no such event (before founding), or they
            have another key (reason ``has-key``) or keys are settled (``keys-settled``).
        NothingToDo: This key is in the keyring already.
        PushRejected: Others pushed again and again in the meantime.
    """
    return until_pushed(context.forge, lambda: _join_once(context, topic, login, signer, replacing=replacing))


def _join_once(context: Context, topic: str, login: str, signer: KeySigner, *, replacing: bool) -> Joined:
    founded = State(context.forge.tree(context.forge.main())).root is not None
    ground = ground_of(context, topic) if founded else None
    tree = ground.own if ground else load_event(context, topic).own.tree
    policy = require_policy(tree)
    name = _named(policy, login)
    files = _entry(tree, policy, name, signer, replacing=replacing)
    keyring = read_keyring(overlay(tree, files), policy.name)
    missing = missing_logins(policy, keyring)
    if ground is None:
        _propose_founding(context, topic, policy, keyring, files, name)
    else:
        change = policy_change(context, ground, policy, keyring).edits if not missing else {}
        put(context, ground, {**files, **change}, f"Join as {name}")
    return Joined(login=name, keyid=signer.public.keyid, missing=missing, proposed=not missing)


def _named(policy: Policy, login: str) -> str:
    """The login as the policy spells it; ``online`` stands for the online key."""
    known = next((name for name in (*policy.logins, "online") if name.lower() == login.lower()), None)
    if known is None:
        raise UsageError(
            f"the policy names no signer {login}",
            where=POLICY,
            todo=f"It names: {', '.join(policy.logins)}.",
            reason="unknown-login",
        )
    return known


def _entry(tree: Tree, policy: Policy, name: str, signer: KeySigner, *, replacing: bool) -> dict[str, bytes]:
    """The two files that enter a key, if nothing stands against it."""
    held = read_keyring(tree, policy.name).key(name)
    if held is not None and signer.as_key(held) is not None:
        raise NothingToDo(f"the key of {name} is in the keyring already", where=f"{KEYRING}{name}.pub")
    if held is not None and not replacing:
        raise UsageError(
            f"{name} has another key in the keyring",
            where=f"{KEYRING}{name}.pub",
            todo=f"Only {name} can say whether it shall be replaced: with --replace.",
            reason="has-key",
        )
    return _membership(signer, policy.name, name)


def _propose_founding(
    context: Context, topic: str, policy: Policy, keyring: Keyring, entry: Mapping[str, bytes], name: str
) -> None:
    if not load_event(context, topic).own.empty:
        raise UsageError(
            "the event has its metadata already, so its keys are settled",
            where=topic,
            todo="A key is replaced by a rotation after founding.",
            reason="keys-settled",
        )
    complete = not missing_logins(policy, keyring)
    metadata = (
        propose.founding(policy, keyring.keys, context.now, ids=context.identify(policy.logins))
        if complete
        else {}
    )
    message = f"Join as {name}" + (" and propose the first metadata" if complete else "")
    change = Proposal(files={**entry, **metadata}, message=message, author=context.author, when=context.now)
    context.forge.propose(topic, change)


def _membership(signer: KeySigner, name: str, login: str) -> dict[str, bytes]:
    return {
        f"{KEYRING}{login}.pub": public_pem(signer.public),
        f"{KEYRING}{login}.proof": prove(signer, name, login).encode("ascii"),
    }
