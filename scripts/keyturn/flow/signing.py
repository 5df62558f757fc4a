"""Turning a key: what a person signs, checked first; and handing a signature in (DESIGN section 4)."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from securesystemslib.signer import Key

from keyturn.errors import NothingToDo, PendingError, RefusedError, UsageError
from keyturn.flow.context import (
    Context,
    Loaded,
    Source,
    assemble,
    load_event,
    pinned_digest,
    require_pin,
    surrounded,
)
from keyturn.flow.elsewhere import Outside
from keyturn.flow.events import Status, invalid, status_of
from keyturn.flow.retry import until_pushed
from keyturn.forge import Proposal
from keyturn.git import Identity
from keyturn.signing import KeySigner, SignatureBlock, SignerHome, attach, sign_payload
from keyturn.state import HISTORY, METADATA, ONLINE_ROLES, RoleFile, delegations_of
from keyturn.tree import DirectoryTree, Kind, MemoryTree, Tree, write_directory
from keyturn.verify import EventState, errors, verify_baseline

EXPORT_FILE = "export.json"
EXPORT_FORMAT = 1
SIGNATURE_TRAILER = "Keyturn-Signature"
"""Of a commit that adds a signature: role, version and keyid."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One payload that this key may sign.

    Args:
        file: The role's file as proposed.
        signer: The key, under the keyid that the role knows it by.
    """

    file: RoleFile
    signer: KeySigner


@dataclass(frozen=True, slots=True)
class Preparation:
    """Everything a person must see before they turn their key.

    Args:
        loaded: The event.
        status: The verdict on it and its changes.
        turns: What this key may sign and has not signed.
    """

    loaded: Loaded
    status: Status
    turns: tuple[Turn, ...]

    @property
    def repository(self) -> str:
        """Root digest of the repository."""
        return self.status.repository or ""


@dataclass(frozen=True, slots=True)
class Delivered:
    """A signature that stands in the remote now.

    Args:
        role: Role name.
        version: Version signed.
        owner: Whose key it is.
        commit: The commit that added it.
        status: The event afterwards.
    """

    role: str
    version: int
    owner: str
    commit: str
    status: Status


def prepare(
    loaded: Loaded,
    home: SignerHome,
    signer: KeySigner,
    roles: Sequence[str] = (),
    *,
    despite: str = "",
) -> Preparation:
    """Check everything that must hold before a key is turned, and find what it may sign.

    The baseline is proven from the pinned root and must not have gone back; the event must be valid, and
    clients must still update after it; the ledger must not know another payload for the same role and
    version. It stops at the first that fails; it never falls back to an older state.

    Args:
        loaded: The event.
        home: The signer's own directory.
        signer: The private key.
        roles: Roles to sign; all that the key may sign if empty.
        despite: The words with which a person insists on a second payload.

    Raises:
        RefusedError: Reasons ``no-pin``, ``baseline``, ``went-back``, ``invalid``, ``trial``,
            ``foreign-key``, ``ledger``.
        PendingError: The event waits for keys.
        NothingToDo: The event is merged or empty, or this key has signed all that it may.
    """
    # Whoever chooses the address would choose the ledger: what was done under any other counts as well.
    remembered = home.remote(loaded.url)
    others = (
        each for each in home.pinned_to(loaded.repository or "") if each.directory != remembered.directory
    )
    memories = (remembered, *others)
    require_pin(loaded.event, loaded.name)
    broken = errors(verify_baseline(loaded.event))
    if broken:
        refusal = invalid(broken, loaded.event.baseline.tree.name)
        raise RefusedError(refusal.what, where=refusal.where, todo=refusal.todo, reason="baseline")
    for file in _baseline_files(loaded):
        for memory in memories:
            memory.check_seen(file.role, file.version)
    current = status_of(loaded, before_signing=True)
    _require_signable(current, loaded)
    turns = _turns(loaded, signer, roles)
    for turn in turns:
        for memory in memories:
            memory.check(turn.file.role, turn.file.version, turn.file.digest, despite=despite)
    return Preparation(loaded=loaded, status=current, turns=turns)


def _baseline_files(loaded: Loaded) -> tuple[RoleFile, ...]:
    """The roles of the proven baseline; a file that nobody delegates to says nothing about its name."""
    baseline = loaded.event.baseline
    names = {d.name for d in baseline.delegations} - set(ONLINE_ROLES)
    return tuple(file for name in sorted(names) if (file := baseline.role(name)))


def _require_signable(current: Status, loaded: Loaded) -> None:
    if current.state in (EventState.MERGED, EventState.EMPTY):
        raise NothingToDo(
            "is merged already" if current.state is EventState.MERGED else "changes nothing",
            where=loaded.name,
        )
    if current.state is EventState.INVALID:
        raise invalid(errors(current.report.findings), loaded.name)
    if current.state is EventState.INCOMPLETE:
        waiting = ", ".join(current.report.missing_keys)
        raise PendingError(
            f"waits for the keys of {waiting}; then there is something to sign", where=loaded.name
        )


def _turns(loaded: Loaded, signer: KeySigner, roles: Sequence[str]) -> tuple[Turn, ...]:
    proposed = {file.role: file for file in loaded.event.proposed}
    unknown = [role for role in roles if role not in proposed]
    if unknown:
        raise UsageError(
            f"the event does not change the role {unknown[0]}",
            where=loaded.name,
            todo=f"It changes: {', '.join(proposed) or 'none'}.",
        )
    allowed = []
    for name in dict.fromkeys(roles or proposed):
        bound = _bind(signer, candidates(loaded, proposed[name]))
        if bound is not None:
            allowed.append(Turn(file=proposed[name], signer=bound))
    if not allowed:
        raise RefusedError(
            "this key may sign none of the roles that the event changes",
            where=f"{loaded.name}: {', '.join(roles or proposed)}",
            todo="Use the key that you joined with, or leave it to the signers whom `keyturn status` names.",
            reason="foreign-key",
        )
    waiting = tuple(turn for turn in allowed if not _has_signed(loaded, turn))
    if not waiting:
        raise NothingToDo("your signature is there already", where=loaded.name, reason="already-signed")
    return waiting


def candidates(loaded: Loaded, file: RoleFile) -> dict[str, Key]:
    """The keys that may sign a proposed role, by keyid; for root those of the old and of the new one."""
    if file.role == "root":
        roots = [root for root in (loaded.event.baseline.root, file) if root]
        delegations = [d for root in roots for d in delegations_of(root) if d.name == "root"]
    else:
        delegations = list(loaded.event.head.delegations_to(file.role))
    return {keyid: key for delegation in delegations for keyid, key in delegation.keys.items()}


def _bind(signer: KeySigner, keys: dict[str, Key]) -> KeySigner | None:
    return next((bound for key in keys.values() if (bound := signer.as_key(key))), None)


def _has_signed(loaded: Loaded, turn: Turn) -> bool:
    keyid = turn.signer.public.keyid
    counts = loaded.event.counts(turn.file)
    return any(mark.keyid == keyid for count in counts for mark in count.signed)


def turn_keys(
    preparation: Preparation, home: SignerHome, now: datetime, *, despite: str = ""
) -> tuple[SignatureBlock, ...]:
    """Sign what was prepared. The ledger is written first, so that no signature exists that it does not know.

    Args:
        preparation: What was shown and agreed to.
        home: The signer's own directory.
        now: The time, UTC.
        despite: The words with which a person insists on a second payload.

    Raises:
        RefusedError: The ledger knows another payload (reason ``ledger``).
    """
    remembered = home.remote(preparation.loaded.url)
    blocks = []
    for turn in preparation.turns:
        remembered.record(
            turn.file.role,
            turn.file.version,
            turn.file.digest,
            when=now,
            event=preparation.loaded.name,
            despite=despite,
        )
        blocks.append(
            sign_payload(
                turn.signer,
                turn.file.payload,
                repository=preparation.repository,
                role=turn.file.role,
                version=turn.file.version,
            )
        )
    remembered.note_seen({file.role: file.version for file in _baseline_files(preparation.loaded)})
    return tuple(blocks)


def remember_root(preparation: Preparation, home: SignerHome) -> None:
    """Pin root 1 once this person's signature on it was handed in (SPEC: pins).

    What is pinned is the root that was shown and signed, whatever the remote says by now.

    Args:
        preparation: What was signed.
        home: The signer's own directory.

    Raises:
        RefusedError: Another root is pinned already (reason ``other-root``).
    """
    for turn in preparation.turns:
        if turn.file.role == "root" and turn.file.version == 1:
            home.remote(preparation.loaded.url).write_pin(turn.file.data)


@dataclass(frozen=True, slots=True)
class Attachment:
    """A role file with one more signature, checked, not yet handed in.

    Args:
        file: The role's file as proposed.
        data: Its bytes with the signature.
    """

    file: RoleFile
    data: bytes


def attachment(loaded: Loaded, block: SignatureBlock) -> Attachment:
    """Add a signature to the payload that an event proposes, if it belongs there.

    Args:
        loaded: The event.
        block: The signature.

    Raises:
        RefusedError: Reasons ``other-repository``, ``other-payload``, ``foreign-key``, ``bad-signature``.
        NothingToDo: It is there already (reason ``already-signed``).
    """
    file = loaded.own.role(block.role) if block.role in {f.role for f in loaded.event.proposed} else None
    if file is None:
        raise RefusedError(
            f"the event proposes no {block.role} that could be signed",
            where=loaded.name,
            reason="other-payload",
        )
    if loaded.repository != block.repository:
        raise RefusedError(
            f"the signature is for the repository {block.repository[:16]}, "
            f"this is {str(loaded.repository)[:16]}",
            where=f"{block.role} {block.version}",
            reason="other-repository",
        )
    return Attachment(file, attach(file.data, block, candidates=candidates(loaded, file)))


def deliver(
    context: Context,
    topic: str,
    block: SignatureBlock,
    author: Identity | None = None,
    *,
    trailers: Sequence[str] = (),
    permit: Callable[[Loaded], None] = lambda loaded: None,
) -> Delivered:
    """Put a signature into an event: one commit that adds one signature (SPEC: Commands).

    The signature counts while its payload is the proposed one, whatever else happened to the branch.

    Args:
        context: Where.
        topic: Topic of the event.
        block: The signature.
        author: Author of the commit; the context's own if None.
        trailers: Further trailers of the commit, each ``Name: value`` in one line.
        permit: Asked with the event as it is when the commit is made; refuses by raising.

    Raises:
        RefusedError: Reasons ``other-repository``, ``other-payload``, ``foreign-key``, ``bad-signature``;
            and whatever ``permit`` raises.
        NothingToDo: It is there already (reason ``already-signed``), or the event is merged.
        PushRejected: Others pushed first, again and again.
    """

    def attempt() -> Delivered:
        loaded = load_event(context, topic)
        permit(loaded)
        return _deliver_once(context, loaded, block, author or context.author, trailers)

    return until_pushed(context.forge, attempt)


def _deliver_once(
    context: Context, loaded: Loaded, block: SignatureBlock, author: Identity, trailers: Sequence[str]
) -> Delivered:
    if loaded.merged:
        raise NothingToDo("is merged already", where=loaded.name)
    attached = attachment(loaded, block)
    file, data = attached.file, attached.data
    owner = _owner(loaded, file, block.keyid)
    files: dict[str, bytes | None] = {file.path: data}
    if file.role == "root":
        files[f"{HISTORY}{file.version}.root.json"] = data
    change = Proposal(
        files=files,
        message=f"Sign {file.role} {file.version} as {owner}\n\n"
        + "".join(
            f"{trailer}\n"
            for trailer in (f"{SIGNATURE_TRAILER}: {file.role} {file.version} {block.keyid}", *trailers)
        ),
        author=author,
        when=context.now,
    )
    commit = context.forge.propose(loaded.topic, change)
    return Delivered(
        role=file.role,
        version=file.version,
        owner=owner,
        commit=commit,
        status=status_of(load_event(context, loaded.topic)),
    )


def _owner(loaded: Loaded, file: RoleFile, keyid: str) -> str:
    for count in loaded.event.counts(file):
        for mark in (*count.signed, *count.missing):
            if mark.keyid == keyid:
                return mark.owner
    return f"key {keyid[:8]}"


def export(loaded: Loaded, directory: Path) -> None:
    """Write an event for a machine without a network: its trees, what lies beside it, where it comes from.

    Args:
        loaded: The event.
        directory: A new or empty directory.

    Raises:
        UsageError: The directory holds something already.
    """
    if directory.exists() and any(directory.iterdir()):
        raise UsageError("is not empty", where=str(directory), todo="Name a new directory.")
    write_directory(loaded.event.baseline.tree, directory / "baseline")
    write_directory(loaded.event.head.tree, directory / "head")
    outside = loaded.outside or Outside(MemoryTree({}), ())
    write_directory(_metadata_of(outside.site), directory / "published")
    for number, other in enumerate(outside.others):
        write_directory(_metadata_of(other), directory / "others" / str(number))
    document = {"format": EXPORT_FORMAT, "topic": loaded.topic, "url": loaded.url}
    (directory / EXPORT_FILE).write_text(
        json.dumps(document, indent=1, sort_keys=True) + "\n", encoding="utf-8"
    )


def read_export(directory: Path, home: SignerHome, now: datetime, root_digest: str | None) -> Loaded:
    """Read what :func:`export` wrote, on the machine that holds the key.

    Args:
        directory: The exported directory.
        home: The signer's own directory on this machine.
        now: The time, UTC.
        root_digest: Root digest given by the person.

    Raises:
        UsageError: The directory is not an export (reason ``bad-export``).
        RefusedError: Another root is pinned here (reason ``other-root``).
    """
    try:
        document = json.loads((directory / EXPORT_FILE).read_text(encoding="utf-8"))
        topic, url = document["topic"], document["url"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise UsageError(
            "is not an exported signing event",
            where=str(directory),
            todo="Make one with `keyturn sign EVENT --export DIR`.",
            reason="bad-export",
        ) from error
    if document.get("format") != EXPORT_FORMAT or not isinstance(topic, str) or not isinstance(url, str):
        raise UsageError("has an unknown format", where=str(directory / EXPORT_FILE), reason="bad-export")
    head = DirectoryTree(directory / "head")
    source = Source(topic=topic, url=url, baseline=DirectoryTree(directory / "baseline"), head=head, own=head)
    loaded = assemble(source, pinned_digest(home.remote(url), root_digest), now)
    others = sorted((directory / "others").iterdir()) if (directory / "others").is_dir() else []
    site = directory / "published"
    outside = Outside(
        site=DirectoryTree(site) if site.is_dir() else MemoryTree({}),
        others=tuple(DirectoryTree(other) for other in others),
    )
    return surrounded(loaded, outside)


def _metadata_of(tree: Tree) -> Tree:
    """What a tree has below ``metadata/``, plain files only."""
    return MemoryTree(
        {
            path: tree.read(path)
            for path, entry in tree.entries().items()
            if path.startswith(METADATA) and entry.kind is Kind.FILE
        }
    )


def with_root(loaded: Loaded, digest: str) -> Loaded:
    """The same event, judged with a root digest that the person has just confirmed."""
    pinned = replace(loaded, event=replace(loaded.event, pinned=digest))
    return surrounded(pinned, loaded.outside) if loaded.outside else pinned
