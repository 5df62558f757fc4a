"""What the commits of an event tell: who pushed which signature, and which signatures were left behind.

A commit may claim anything. So a signature counts here only if it verifies, and who pushed it is asked of the
host's activity log, never of the commit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from keyturn.flow.context import Loaded
from keyturn.flow.reviewing import is_owner, key_owner
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
        review: Whether it says that the signature is from a review.
    """

    commit: str
    role: str
    keyid: str
    review: bool


def signature_marks(commits: Sequence[Commit]) -> tuple[SignatureMark, ...]:
    """The signature commits among these, in their order."""
    return tuple(mark for commit in commits for mark in _marks(commit))


def _marks(commit: Commit) -> Iterator[SignatureMark]:
    lines = commit.message.rstrip().rpartition("\n\n")[2].splitlines()
    review = any(line.startswith(f"{REVIEW_TRAILER}: ") for line in lines)
    for line in lines:
        name, _, value = line.partition(": ")
        words = value.split(" ")
        if name == SIGNATURE_TRAILER and len(words) == _WORDS_OF_A_SIGNATURE:
            yield SignatureMark(commit=commit.oid, role=words[0], keyid=words[2], review=review)


def pusher_warnings(loaded: Loaded, commits: Sequence[Commit], pushes: Sequence[Push]) -> tuple[str, ...]:
    """Signatures that count and were pushed by somebody else than the key's owner.

    Whoever holds a signature may hand it in, so this is no error. But a key whose owner knows nothing of it
    may be in wrong hands.

    Args:
        loaded: The event.
        commits: Its commits that main lacks, children before parents.
        pushes: The host's activity log of its branch, newest first.
    """
    pushers = _pushers(commits, pushes)
    newest: dict[tuple[str, str], SignatureMark] = {}
    for mark in signature_marks(commits):
        newest.setdefault((mark.role, mark.keyid), mark)
    return tuple(
        warning
        for file in loaded.event.proposed
        for keyid, name in _signed(loaded, file).items()
        if (last := newest.get((file.role, keyid))) and (pusher := pushers.get(last.commit))
        for warning in _warning(loaded, file, name, last, pusher)
    )


def _warning(
    loaded: Loaded, file: RoleFile, name: str, mark: SignatureMark, pusher: Account
) -> Iterator[str]:
    if mark.review and pusher.login.endswith(BOT):
        return
    owner = key_owner(loaded, file.role, mark.keyid)
    if owner is None or not is_owner(owner, pusher):
        yield (
            f"The signature of {name} on {file.role} {file.version} was pushed by {pusher.login}, "
            f"not by {name}: it counts, but ask {name} about it"
        )


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
