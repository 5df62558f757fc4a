"""A repository signed by throw-away keys: what it will be once everybody has signed (DESIGN section 4).

Every key is replaced one to one by a throw-away key of the same type, the same key by the same one in every
copy; keyids follow, and every role is signed anew with just as many signatures as its thresholds ask for.
What no signature could be made for (a key that cannot be read, a keyid without a key, a threshold above the
number of keys) stays as it is, so that a client meets in the copy what it would meet in the repository.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, cast

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as generate_ec_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa_key
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from securesystemslib.signer import Key, SSlibKey
from tuf.api.metadata import Metadata, Role, Root, Signed, Snapshot, Targets, Timestamp

from keyturn.errors import RefusedError
from keyturn.publish.online import OnlineFiles, meta_of
from keyturn.publish.site_tree import metadata_files
from keyturn.signing import KeySigner, public_pem
from keyturn.signing.keys import PrivateKey
from keyturn.state import (
    HISTORY,
    METADATA,
    ONLINE_ROLES,
    Delegation,
    RoleFile,
    State,
    fingerprint,
    render_metadata,
    spec_keyid,
)
from keyturn.state.extension import FIELD
from keyturn.tree import MemoryTree, Tree
from keyturn.verify import Publication
from keyturn.verify.thresholds import root_delegation

RSA_BITS = 2048
"""Whatever the size of the key replaced: to a client they are alike, and larger ones take seconds to make."""
_RENEWED_FOR = timedelta(days=1)
_ROOT = f"{METADATA}root.json"


class ThrowAwayKeys:
    """A throw-away key for every key that anybody asks about."""

    def __init__(self) -> None:
        self._made: dict[str, KeySigner] = {}

    def signer(self, key: Key) -> KeySigner | None:
        """What signs in place of a key; its ``public`` stands where the key stood.

        A keyid that is the specification's is replaced by the specification's; any other is kept.

        Args:
            key: A key object from metadata.

        Returns:
            None for a key that no signature of ours can be verified with.
        """
        try:
            own = self._own(key)
        except (ValueError, UnsupportedAlgorithm, RefusedError):
            return None
        keyval = {**key.keyval, "public": own.public.keyval["public"]}
        public = SSlibKey(key.keyid, key.keytype, key.scheme, keyval, dict(key.unrecognized_fields))
        if key.keyid == spec_keyid(key):
            public.keyid = spec_keyid(public)
        return own.as_key(public)

    def _own(self, key: Key) -> KeySigner:
        """The throw-away key for a key, however it is called, by the usual scheme of its type."""
        mark = fingerprint(key)
        if mark not in self._made:
            self._made[mark] = KeySigner.at_hand(_of_the_same_type(key), uri="a throw-away key")
        return self._made[mark]


def _of_the_same_type(key: Key) -> PrivateKey:
    public = load_pem_public_key(public_pem(key))
    if isinstance(public, Ed25519PublicKey):
        return Ed25519PrivateKey.generate()
    if isinstance(public, EllipticCurvePublicKey):
        return generate_ec_key(public.curve)
    return generate_rsa_key(65537, RSA_BITS)


class Shadow:
    """Copies of states of one repository, signed by one set of throw-away keys.

    Args:
        now: Time of the trial, UTC.
    """

    def __init__(self, now: datetime) -> None:
        self._now = now
        self._keys = ThrowAwayKeys()

    def of_state(self, state: State, proposed: Collection[str] = ()) -> State:
        """A copy of a repository.

        Args:
            state: The repository; whether anybody has signed it does not matter.
            proposed: Roles whose expiry is kept as it is. What else has expired counts as renewed: to renew
                it is another event's business, and must not wait for this one.
        """
        latest = state.root.version if state.root else 0
        files: dict[str, bytes] = {}
        for version, root in state.roots.items():
            renew = version == latest and "root" not in proposed
            files[f"{HISTORY}{version}.root.json"] = self._root(state, root, renew=renew)
        if state.root:
            files[_ROOT] = self._root(state, state.root, renew="root" not in proposed)
        for file in state.targets_roles():
            renew = file.role not in proposed
            files[f"{METADATA}{file.role}.json"] = self._sealed(
                self._copied(file, renew=renew), state.delegations_to(file.role)
            )
        return State(MemoryTree(files, name=f"a copy of {state.tree.name}"))

    def of_site(self, published: Publication) -> Tree:
        """A copy of a site's metadata, with the versions that it has; no targets.

        Args:
            published: A site that verifies, were it not for its age.

        Raises:
            RefusedError: It has no root, snapshot or timestamp.
        """
        root, timestamp, snapshot = published.site.root, published.site.timestamp, published.snapshot
        if root is None or timestamp is None or snapshot is None:
            raise RefusedError("is not a whole site", where=published.site.tree.name, reason="not-a-site")
        original = _as_state(published, root)
        state = self.of_state(original)
        listed = cast("Snapshot", self._copied(snapshot, renew=True))
        listed.meta |= {f"{file.role}.json": meta_of(file) for file in state.targets_roles()}
        first = RoleFile.parse(
            "snapshot", snapshot.path, self._sealed(listed, original.delegations_to("snapshot"))
        )
        named = cast("Timestamp", self._copied(timestamp, renew=True))
        named.snapshot_meta = meta_of(first)
        last = RoleFile.parse(
            "timestamp", timestamp.path, self._sealed(named, original.delegations_to("timestamp"))
        )
        files = metadata_files(state, OnlineFiles(snapshot=first, timestamp=last, signed=()))
        return MemoryTree(files, name=f"a copy of {published.site.tree.name}")

    def online_signers(self, state: State) -> tuple[KeySigner, ...]:
        """Who signs snapshot and timestamp of a copy, with the keys that the latest root names for them."""
        return tuple(self._signers([d for name in ONLINE_ROLES for d in state.delegations_to(name)]))

    def _root(self, state: State, root: RoleFile, *, renew: bool) -> bytes:
        before = state.roots.get(root.version - 1)
        chain = [root_delegation(one) for one in (before, root) if one]
        return self._sealed(self._copied(root, renew=renew), chain)

    def _copied(self, file: RoleFile, *, renew: bool) -> Signed:
        signed: Signed = Metadata.from_bytes(file.data).signed
        if isinstance(signed, Root):
            signed.keys = self._replaced(signed, signed.keys, signed.roles.values())
        elif isinstance(signed, Targets) and signed.delegations and signed.delegations.roles:
            delegations = signed.delegations
            delegations.keys = self._replaced(signed, delegations.keys, signed.delegations.roles.values())
        if renew and signed.expires <= self._now:
            signed.expires = self._now + _RENEWED_FOR
        return signed

    def _replaced(self, signed: Signed, keys: Mapping[str, Key], roles: Iterable[Role]) -> dict[str, Key]:
        """The keys of a delegator's copy, after the keyids that its roles and owners go by."""
        new = {
            keyid: signer.public if (signer := self._keys.signer(key)) else key for keyid, key in keys.items()
        }
        for role in roles:
            role.keyids = [new[keyid].keyid if keyid in new else keyid for keyid in role.keyids]
        extension = signed.unrecognized_fields.get(FIELD)
        owners = extension.get("signers") if isinstance(extension, dict) else None
        if isinstance(extension, dict) and isinstance(owners, dict):
            extension["signers"] = {
                new[keyid].keyid if keyid in new else keyid: owner for keyid, owner in owners.items()
            }
        return {key.keyid: key for key in new.values()}

    def _sealed(self, signed: Signed, delegations: Iterable[Delegation]) -> bytes:
        metadata: Metadata[Any] = Metadata(signed)
        for signer in self._signers(delegations):
            metadata.signatures[signer.public.keyid] = signer.sign(metadata.signed_bytes)
        return render_metadata(metadata)

    def _signers(self, delegations: Iterable[Delegation]) -> Iterator[KeySigner]:
        """As few as meet every threshold; keys that count under several delegations come first."""
        delegations = tuple(delegations)
        often = Counter(keyid for delegation in delegations for keyid in delegation.keys)
        chosen: dict[str, KeySigner] = {}
        for delegation in delegations:
            keys = sorted(delegation.keys.items(), key=lambda item: -often[item[0]])
            here = [signer for _, key in keys if (signer := self._keys.signer(key))]
            hands = {_hand(signer) for signer in here if signer.public.keyid in chosen}
            for signer in here:
                if len(hands) < delegation.role.threshold and _hand(signer) not in hands:
                    chosen[signer.public.keyid] = signer
                    hands.add(_hand(signer))
        yield from chosen.values()


def _hand(signer: KeySigner) -> str:
    """The private key behind a signer: one under two keyids is still one."""
    return fingerprint(signer.public)


def _as_state(published: Publication, root: RoleFile) -> State:
    """A site's offline roles in the layout of a repository."""
    files = {f"{HISTORY}{version}.root.json": file.data for version, file in published.site.roots.items()}
    files[_ROOT] = root.data
    for name in published.targets_names:
        file = published.role(name)
        if file:
            files[f"{METADATA}{name}.json"] = file.data
    return State(MemoryTree(files, name=published.site.tree.name))
