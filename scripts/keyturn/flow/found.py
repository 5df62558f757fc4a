"""Founding a repository, and joining it with one's own key (SPEC: Founding, and where keys come from)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from keyturn import propose
from keyturn.errors import NothingToDo, UsageError
from keyturn.flow.context import KEYRING, POLICY, Context, load_event, read_keyring, require_policy
from keyturn.flow.retry import until_pushed
from keyturn.forge import Proposal
from keyturn.policy import parse, render
from keyturn.signing import KeySigner, prove, public_pem
from keyturn.tree import Kind, Tree, overlay

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


def init(
    context: Context,
    *,
    name: str,
    signers: Sequence[str],
    threshold: int,
    app: str | None,
    online_uri: str,
    online: KeySigner,
    url: str,
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
    context.forge.refresh()
    if context.forge.main() is None:
        context.forge.start(
            {POLICY: text.encode(), ".gitattributes": _GIT_ATTRIBUTES},
            f"Found {name}",
            context.author,
            context.now,
        )
    elif not _begun(context, text):
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


def _begun(context: Context, text: str) -> bool:
    """Whether an earlier run died between the first commit and the founding event."""
    tree = context.forge.tree(context.forge.main())
    return context.forge.event(FOUNDING) is None and dict(_contents(tree)) == {
        POLICY: text.encode(),
        ".gitattributes": _GIT_ATTRIBUTES,
    }


def _contents(tree: Tree) -> Iterator[tuple[str, bytes]]:
    return ((path, tree.read(path)) for path, entry in tree.entries().items() if entry.kind is Kind.FILE)


@dataclass(frozen=True, slots=True)
class Joined:
    """What ``join`` did.

    Args:
        login: Who joined.
        keyid: The key that was entered.
        missing: Logins whose keys are still missing.
        proposed: Whether this was the last one, so that the first metadata is proposed now.
    """

    login: str
    keyid: str
    missing: tuple[str, ...]
    proposed: bool


def join(context: Context, topic: str, login: str, signer: KeySigner) -> Joined:
    """Enter a person's public key and its proof into the keyring of a founding event.

    The last to join also proposes version 1 of every role, so that nobody's signature is voided later.

    Args:
        context: Where.
        topic: Topic of the founding event.
        login: Login, one that the policy names.
        signer: The person's private key.

    Raises:
        UsageError: The policy does not name the login, or there is no such event.
        NothingToDo: This key is in the keyring already.
        PushRejected: Others pushed again and again in the meantime.
    """
    return until_pushed(context.forge, lambda: _join_once(context, topic, login, signer))


def _join_once(context: Context, topic: str, login: str, signer: KeySigner) -> Joined:
    loaded = load_event(context, topic)
    tree = loaded.own.tree
    policy = require_policy(tree)
    known = next((name for name in policy.logins if name.lower() == login.lower()), None)
    if known is None:
        raise UsageError(
            f"the policy names no signer {login}",
            where=POLICY,
            todo=f"It names: {', '.join(policy.logins)}.",
            reason="unknown-login",
        )
    held = loaded.event.keyring.key(known)
    if held is not None and signer.as_key(held) is not None:
        raise NothingToDo(f"the key of {known} is in the keyring already", where=f"{KEYRING}{known}.pub")
    if not loaded.own.empty:
        raise UsageError(
            f"{loaded.name} has its metadata already, so its keys are settled",
            where=loaded.name,
            todo="A key is replaced by a rotation after founding.",
            reason="keys-settled",
        )
    files: dict[str, bytes | None] = dict(_membership(signer, policy.name, known))
    keyring = read_keyring(overlay(tree, files), policy.name)
    missing = tuple(name for name in (*policy.logins, "online") if keyring.key(name) is None)
    if not missing:
        files.update(propose.founding(policy, keyring.keys, context.now))
    message = f"Join as {known}" + ("" if missing else " and propose the first metadata")
    change = Proposal(files=files, message=message, author=context.author, when=context.now)
    context.forge.propose(topic, change)
    return Joined(login=known, keyid=signer.public.keyid, missing=missing, proposed=not missing)


def _membership(signer: KeySigner, name: str, login: str) -> dict[str, bytes]:
    return {
        f"{KEYRING}{login}.pub": public_pem(signer.public),
        f"{KEYRING}{login}.proof": prove(signer, name, login).encode("ascii"),
    }
