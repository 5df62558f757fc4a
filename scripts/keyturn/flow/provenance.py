"""What the commits of an event tell: who pushed which signature, and which signatures were left behind.

A commit may claim anything. So a signature counts here only if it verifies, and who pushed it is asked of the
host's activity log, never of the commit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from keyturn.flow.context import Loaded
from keyturn.flow.reviewing import Reviewed, is_owner, key_owner
from keyturn.flow.signing import SIGNATURE_TRAILER
from keyturn.forge import Forge
from keyturn.forge.host import Account, Push
from keyturn.git import Commit
from keyturn.state import RoleFile, State
from keyturn.verify import signature_valid

REVIEW_TRAILER = "Keyturn-Review"
"""Of a commit that brings a signature from a review: the review's URL."""
BOT = "[bot]"
"""How the logins of accounts end that belong to no person; no person's can."""
MOST_READ = 200
"""Commits of an event whose files are read, the oldest first."""
_WORDS_OF_A_SIGNATURE = 3


@dataclass(frozen=True, slots=True)
class LeftBehind:
    """A signature on a payload that the event proposes no more; it cannot be withdrawn.

    Args:
        owner: Whose it is.
        role: Role name.
        version: Version signed.
        digest: Payload digest signed.
    """

    owner: str
    role: str
    version: int
    digest: str


@dataclass(frozen=True, slots=True)
class SignatureMark:
    """What a commit says of the signature that it adds; anybody can write that.

    Args:
        commit: The commit.
        role: Role name.
        keyid: Keyid of the signer.
    """

    commit: str
    role: str
    keyid: str


def signature_marks(commits: Sequence[Commit]) -> tuple[SignatureMark, ...]:
    """The signature commits among these, in their order."""
    return tuple(mark for commit in commits for mark in _marks(commit))


def _marks(commit: Commit) -> Iterator[SignatureMark]:
    lines = commit.message.rstrip().rpartition("\n\n")[2].splitlines()
    for line in lines:
        name, _, value = line.partition(": ")
        words = value.split(" ")
        if name == SIGNATURE_TRAILER and len(words) == _WORDS_OF_A_SIGNATURE:
            yield SignatureMark(commit=commit.oid, role=words[0], keyid=words[2])


def pusher_warnings(
    forge: Forge, loaded: Loaded, commits: Sequence[Commit], pushes: Sequence[Push], reviewed: Reviewed
) -> tuple[str, ...]:
    """Signatures that count and were pushed by somebody else than the key's owner.

    Whoever holds a signature may hand it in, so this is no error. But a key whose owner knows nothing of it
    may be in wrong hands. Which commit brought a signature is read from its files: a message may be silent.

    Args:
        forge: Where the commits are read.
        loaded: The event.
        commits: Its commits that main lacks, children before parents.
        pushes: The host's activity log of its branch, newest first.
        reviewed: What its reviews carry.
    """
    pushers = _pushers(commits, pushes)
    brought = _brought(forge, loaded, commits)
    posted = {
        (one.block.role, one.block.keyid)
        for one in reviewed.taken
        if (owner := key_owner(loaded, one.block.role, one.block.keyid))
        and is_owner(owner, one.review.author)
    }
    found = []
    for file in loaded.event.proposed:
        for keyid, name in _signed(loaded, file).items():
            commit, what = brought.get((file.role, keyid)), f"{file.role} {file.version}"
            if commit is None:
                if len(commits) > MOST_READ:
                    found.append(f"Among so many commits nobody looked for who pushed {name}'s on {what}")
                continue
            pusher, owner = pushers.get(commit), key_owner(loaded, file.role, keyid)
            by_job = pusher is not None and pusher.login.endswith(BOT) and (file.role, keyid) in posted
            if pusher is not None and not by_job and (owner is None or not is_owner(owner, pusher)):
                found.append(
                    f"The signature of {name} on {what} was pushed by {pusher.login}, "
                    f"not by {name}: it counts, but ask {name} about it"
                )
    return tuple(found)


def _brought(forge: Forge, loaded: Loaded, commits: Sequence[Commit]) -> dict[tuple[str, str], str]:
    """The first commit that has each of the signatures, by role and keyid."""
    found: dict[tuple[str, str], str] = {}
    for commit in reversed(commits[-MOST_READ:]):
        then = State(forge.tree(commit.oid))
        for file in loaded.event.proposed:
            before = then.role(file.role)
            if before is None or before.digest != file.digest:
                continue
            for keyid, signature in before.signatures.items():
                now = file.signatures.get(keyid)
                if now is not None and now.signature == signature.signature:
                    found.setdefault((file.role, keyid), commit.oid)
    return found


def _signed(loaded: Loaded, file: RoleFile) -> dict[str, str]:
    return {mark.keyid: mark.owner for count in loaded.event.counts(file) for mark in count.signed}


def _pushers(commits: Sequence[Commit], pushes: Sequence[Push]) -> dict[str, Account]:
    """Who brought each commit to the branch first, as far as the host tells."""
    parents = {commit.oid: commit.parents for commit in commits}
    found: dict[str, Account | None] = {}
    for push in reversed(pushes):
        waiting = [push.after]
        while waiting:
            oid = waiting.pop()
            if oid in parents and oid not in found:
                found[oid] = push.actor
                waiting += parents[oid]
    return {oid: actor for oid, actor in found.items() if actor is not None}


def left_behind(forge: Forge, loaded: Loaded, marks: Sequence[SignatureMark]) -> tuple[LeftBehind, ...]:
    """Signatures that verify over a payload which the event proposed once and does not any more.

    Args:
        forge: Where the commits are read.
        loaded: The event.
        marks: Its signature commits.
    """
    found = (_earlier(loaded, State(forge.tree(mark.commit)), mark) for mark in marks)
    return tuple(dict.fromkeys(one for one in found if one is not None))


def _earlier(loaded: Loaded, then: State, mark: SignatureMark) -> LeftBehind | None:
    file = then.role(mark.role)
    event = loaded.event
    if file is None or any(
        now is not None and now.digest == file.digest
        for now in (event.head.role(mark.role), event.baseline.role(mark.role))
    ):
        return None
    signature = file.signatures.get(mark.keyid)
    delegations = (*event.baseline.delegations_to(mark.role), *event.head.delegations_to(mark.role))
    key = next((d.keys[mark.keyid] for d in delegations if mark.keyid in d.keys), None)
    if signature is None or key is None or not signature_valid(key, signature, file.payload):
        return None
    owner = key_owner(loaded, mark.role, mark.keyid)
    return LeftBehind(owner.name if owner else f"key {mark.keyid[:8]}", file.role, file.version, file.digest)
