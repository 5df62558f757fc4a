"""A repository in memory with everybody's keys: founded, changed, broken, and signed again around the break.

A :class:`Draft` is what a signing event makes of a baseline: its files are changed at will, then
:meth:`Draft.sign` lets every key sign that may, so that what a rule says of the result is about the change
alone. A :class:`Published` is the same for a site: snapshot and timestamp are rebuilt and signed around the
change. Every key is made from a fixed seed and every time is fixed, so that a run is like the one before.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from functools import cache, lru_cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, derive_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import (
    RSAPrivateKey,
    RSAPrivateNumbers,
    RSAPublicNumbers,
    rsa_crt_dmp1,
    rsa_crt_dmq1,
    rsa_crt_iqmp,
)
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from securesystemslib.signer import Key, SSlibKey
from tuf.api.metadata import Metadata, Targets

from keyturn import propose
from keyturn.policy import DelegationPolicy, Period, Policy, PolicyError, RolePolicy, parse
from keyturn.signing import KeySigner, load_signer, public_pem
from keyturn.state import (
    Delegation,
    RoleFile,
    Site,
    State,
    delegations_of,
    fingerprint,
    render_metadata,
    sha256_hex,
    spec_keyid,
)
from keyturn.tree import Entry, Kind, MemoryTree, Tree
from keyturn.verify import Event, Finding, Keyring, Publication, Severity, period_of

NOW = datetime(2026, 9, 1, 12, tzinfo=timezone.utc)
DAY = timedelta(days=1)
Signed = dict[str, Any]
Edit = Callable[[Signed], object]

POLICY = """\
version: 1
name: acme-updates
roles:
  root: {signers: [alice, bob, carol], threshold: 2, expires: 365d, renew: 60d}
  targets: {signers: [alice, bob], threshold: 2, expires: 120d, renew: 30d}
online:
  key: env:KEYTURN_ONLINE_KEY
  snapshot: {expires: 14d, renew: 7d}
  timestamp: {expires: 3d, renew: 1d}
delegations:
  plugins:
    paths: ["plugins/*.zip"]
    signers: [carol]
    threshold: 1
    expires: 120d
    renew: 30d
    terminating: true
apps:
  demo: {platforms: []}
publish:
  url: http://127.0.0.1:8000/
"""

ED25519_SEEDS = {"alice": 1, "bob": 2, "carol": 3, "online": 4, "mallory": 5, "alice-new": 6, "online-new": 7}
P256_SECRETS = {"dave": 11}
RSA_PRIMES = {
    "erin": (
        int(
            "e8dca560973a63c2a4042ff2f4992cad5f4321ea34d646493e38a749997af933"
            "e03151dbc0cc9f8c43575ba6f7296550962d955539550857ae2abea21d201ea0"
            "f0202b9094533b8f67d58df850b19df403b87d3b961e5f1f91fd806343e355db"
            "2f28511f60b51ae1bb280a12bd0c0d949588779e5c12b8c37ca26cc67b3517e5"
            "24778ef0d5ed05520a22018612f1c7d50b82bbe30e2dc9ebd69bb86e5edcdd65"
            "f99ae38f698e234a71513099c0683976c95dc415c37378f574259f045c7609a5",
            16,
        ),
        int(
            "d5709eb97a2c5857c5c433cc4baea91ae75d34ef9ad558104b017b8a0109fd6f"
            "6dd1c649fd32eb1bb8130e6b3e42999092f30d31c48ea74944b9304769d39c37"
            "f91869d98951e80c44d1dea9bb6af543b92fa33af757bd2711e9d5e4e785816d"
            "877f1ecfcf5b3de7c2e4c2f0bdb3e7d1a5c3af161bc0431616120ba4e398f59d"
            "8d3e2c9118c3bfa1fdf0b811403d9c092a0e62a1613a3b27c5c2d75531b5c04d"
            "6b958f99142a81d5231e5fc47c88d1ff5715543ab4b4fda70a75b5534ecf70fd",
            16,
        ),
    )
}
PEOPLE = ("alice", "bob", "carol", "online")


@cache
def signer(name: str) -> KeySigner:
    """The private key of somebody: alice, bob, carol and mallory have Ed25519, dave P-256, erin RSA."""
    private: Any
    if name in RSA_PRIMES:
        private = _rsa(*RSA_PRIMES[name])
    elif name in P256_SECRETS:
        private = derive_private_key(P256_SECRETS[name], SECP256R1())
    else:
        private = Ed25519PrivateKey.from_private_bytes(bytes([ED25519_SEEDS[name]]) * 32)
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return load_signer("env:KEY", env={"KEY": pem.decode()}, ask_passphrase=None)


def _rsa(p: int, q: int) -> RSAPrivateKey:
    e = 65537
    d = pow(e, -1, (p - 1) * (q - 1))
    public = RSAPublicNumbers(e, p * q)
    return RSAPrivateNumbers(
        p, q, d, rsa_crt_dmp1(d, p), rsa_crt_dmq1(d, q), rsa_crt_iqmp(p, q), public
    ).private_key()


def key(name: str) -> SSlibKey:
    return signer(name).public


def keyid(name: str) -> str:
    return key(name).keyid


@cache
def _signers_by_fingerprint() -> Mapping[str, str]:
    return {fingerprint(key(name)): name for name in (*ED25519_SEEDS, *P256_SECRETS, *RSA_PRIMES)}


def holder(public: Key) -> str | None:
    """Who holds the private half of a key; None for keys that nobody holds or that cannot be read."""
    try:
        return _signers_by_fingerprint().get(fingerprint(public))
    except ValueError:
        return None


def as_scheme(name: str, scheme: str) -> SSlibKey:
    """The same key under another scheme, with the keyid that the specification gives it then."""
    public = key(name)
    other = SSlibKey("", public.keytype, scheme, dict(public.keyval))
    other.keyid = spec_keyid(other)
    return other


def sign_file(data: bytes, keys: Mapping[str, Key], *, without: Collection[str] = ()) -> bytes:
    """Metadata with a signature by every key whose private half is held here, but those ``without``."""
    metadata: Metadata[Any] = Metadata.from_bytes(data)
    payload = metadata.signed_bytes
    for name_of_key, public in keys.items():
        name = holder(public)
        bound = signer(name).as_key(public) if name and name not in without else None
        if bound:
            metadata.signatures[name_of_key] = bound.sign(payload)
    return render_metadata(metadata)


def document(data: bytes) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(data)
    return loaded


def rendered(value: object) -> bytes:
    """Bytes of any JSON value, in the form of metadata files."""
    text = json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, separators=(",", ": "))
    return text.encode("utf-8", "surrogatepass") + b"\n"


def target(data: bytes, custom: object = None) -> dict[str, Any]:
    """The entry of a target file as it stands in metadata."""
    entry: dict[str, Any] = {"length": len(data), "hashes": {"sha256": sha256_hex(data)}}
    return entry if custom is None else {**entry, "custom": custom}


def app_release(version: str) -> propose.Release:
    """A version of the app ``demo``; its archive is :func:`archive`."""
    data = archive(version)
    return propose.Release("demo", version, "", len(data), sha256_hex(data), "7e" * 32)


def archive(version: str) -> bytes:
    return f"the archive of demo {version}\n".encode() * 5


class WithSubmodules:
    """A tree that has submodules besides the leaves of another."""

    def __init__(self, tree: Tree, submodules: Collection[str]) -> None:
        self.name = tree.name
        self._tree = tree
        own = {path: Entry(path, Kind.SUBMODULE, 0o160000, "5b" * 20) for path in submodules}
        self._entries = dict(sorted({**tree.entries(), **own}.items()))

    def entries(self) -> Mapping[str, Entry]:
        return self._entries

    def read(self, path: str) -> bytes:
        return self._tree.read(path)

    def size(self, path: str) -> int:
        return self._tree.size(path)


class Draft:
    """What a signing event proposes, on top of a baseline.

    ``files`` may be changed directly; metadata is changed with :meth:`edit`, which also takes the file's
    signatures away, and signed again with :meth:`sign`.
    """

    def __init__(self, base: Mapping[str, bytes], people: Collection[str] = PEOPLE) -> None:
        self.base = State(MemoryTree(base, name="main"))
        self.files = dict(base)
        self.links: dict[str, str] = {}
        self.submodules: set[str] = set()
        self.keyring: dict[str, Key] = {name: key(name) for name in people}
        self._unsigned: dict[str, None] = {}

    @property
    def tree(self) -> Tree:
        tree = MemoryTree(self.files, links=self.links, name="the event")
        return WithSubmodules(tree, self.submodules) if self.submodules else tree

    @property
    def state(self) -> State:
        return State(self.tree)

    def signed(self, role: str) -> Signed:
        """The signed part of a role as it stands, to be looked at."""
        part: Signed = document(self.files[f"metadata/{role}.json"])["signed"]
        return part

    @contextmanager
    def edit(self, role: str, *, bump: bool = True) -> Iterator[Signed]:
        """Change the signed part of a role; its version goes up by one at the first time."""
        path = f"metadata/{role}.json"
        signed = self.signed(role)
        before = self.base.role(role)
        if bump and before is not None and signed["version"] == before.version:
            signed["version"] += 1
        yield signed
        self.files[path] = rendered({"signed": signed, "signatures": []})
        self._unsigned[role] = None

    def add_role(self, role: str, *, version: int = 1) -> None:
        """A targets role that lists nothing, not yet signed."""
        metadata: Metadata[Any] = Metadata(Targets(version=version, expires=NOW + 100 * DAY))
        self.files[f"metadata/{role}.json"] = render_metadata(metadata)
        self._unsigned[role] = None

    def add_key(
        self, delegator: str, role: str, name: str, *, owner: object = None, public: Key | None = None
    ) -> None:
        """Give a role one more key, with an owner, as ``delegator`` declares it."""
        public = public or key(name)
        with self.edit(delegator) as signed:
            keys, found = _delegation(signed, role)
            keys[public.keyid] = public.to_dict()
            found["keyids"] = [*found["keyids"], public.keyid]
            signed["x-keyturn"]["signers"][public.keyid] = owner or {"login": name}
        if owner != "online":
            self.keyring.setdefault(name, public)

    def remove_key(self, delegator: str, role: str, name: str) -> None:
        """Take a key from a role, and from the delegator if no other role has it."""
        with self.edit(delegator) as signed:
            keys, found = _delegation(signed, role)
            found["keyids"] = [known for known in found["keyids"] if known != keyid(name)]
            if not any(keyid(name) in other["keyids"] for other in _roles(signed)):
                del keys[keyid(name)]
                del signed["x-keyturn"]["signers"][keyid(name)]

    def delegate(
        self, role: str, name: str, *, paths: list[str], by: str = "targets", threshold: int = 1
    ) -> None:
        """Delegate paths to a new role of one person."""
        with self.edit(by) as signed:
            delegations = signed.setdefault("delegations", {"keys": {}, "roles": []})
            extension = signed.setdefault("x-keyturn", {"format": 1, "signers": {}, "periods": {}})
            delegations["keys"][keyid(name)] = key(name).to_dict()
            delegations["roles"].append(
                {
                    "name": role,
                    "keyids": [keyid(name)],
                    "threshold": threshold,
                    "terminating": False,
                    "paths": paths,
                }
            )
            extension["signers"][keyid(name)] = {"login": name}
            extension["periods"][role] = {"expires": "120d", "renew": "30d"}
        self.keyring.setdefault(name, key(name))

    def list_target(self, role: str, path: str, data: bytes, custom: object = None) -> None:
        """List a target in a role, and put its bytes into ``targets/``."""
        with self.edit(role) as signed:
            signed["targets"][path] = target(data, custom)
        self.files[f"targets/{path}"] = data

    def sign(self, *, without: Mapping[str, Collection[str]] | None = None) -> Draft:
        """Let everybody sign what :meth:`edit` left unsigned, but those whom ``without`` names for a role.

        A root goes into the history too, under the number that it bears.
        """
        held_back = without or {}
        state = self.state
        for role in self._unsigned:
            path = f"metadata/{role}.json"
            keys = self._keys(state, role)
            self.files[path] = sign_file(self.files[path], keys, without=held_back.get(role, ()))
            if role == "root":
                version = document(self.files[path])["signed"]["version"]
                self.files[f"metadata/root_history/{version}.root.json"] = self.files[path]
        self._unsigned.clear()
        return self

    def _keys(self, state: State, role: str) -> Mapping[str, Key]:
        delegations: list[Delegation] = list(state.delegations_to(role))
        if role == "root" and self.base.root:
            delegations += [d for d in delegations_of(self.base.root) if d.name == "root"]
        return {known: public for delegation in delegations for known, public in delegation.keys.items()}

    def strip(self, role: str, *names: str) -> None:
        """Take signatures out of a role's file, out of all if nobody is named."""
        path = f"metadata/{role}.json"
        loaded = document(self.files[path])
        gone = {keyid(name) for name in names}
        loaded["signatures"] = [one for one in loaded["signatures"] if names and one["keyid"] not in gone]
        self.files[path] = rendered(loaded)

    def event(self, **changes: object) -> Event:
        """The event as verification sees it; arguments replace what :class:`Event` would hold."""
        policy, problems = _policy(self.files.get("keyturn.yml"))
        if policy and self._wish_untouched():
            policy = wish_for(policy, self.state)
        before, _ = _policy(
            self.base.tree.read("keyturn.yml") if "keyturn.yml" in self.base.tree.entries() else None
        )
        first = self.base.roots.get(1)
        event = Event(
            baseline=self.base,
            head=self.state,
            policy=policy,
            policy_problems=problems,
            baseline_name=before.name if before else None,
            keyring=Keyring(keys=self.keyring),
            now=NOW,
            pinned=first.digest if first else None,
        )
        return replace(event, **changes)

    def _wish_untouched(self) -> bool:
        entries = self.base.tree.entries()
        return "keyturn.yml" in entries and self.base.tree.read("keyturn.yml") == self.files["keyturn.yml"]

    def merged(self) -> Draft:
        """A new draft on what ``main`` is after the merge."""
        draft = Draft(self.files)
        draft.keyring = dict(self.keyring)
        return draft


def wish_for(policy: Policy, state: State) -> Policy:
    """The policy that asks for what a state says, so that a case about something else is not about drift."""
    if state.root is None:
        return policy
    top = {delegation.name: delegation for delegation in delegations_of(state.root)}
    online = replace(
        policy.online,
        **{role: _period(top.get(role), getattr(policy.online, role)) for role in ("snapshot", "timestamp")},
    )
    wished = replace(
        policy,
        root=_role_wish(top.get("root"), policy.root),
        targets=_role_wish(top.get("targets"), policy.targets),
        online=online,
    )
    targets = state.role("targets")
    if targets is None:
        return wished
    below = [
        DelegationPolicy(
            delegation.name,
            tuple(delegation.role.paths or ()),
            delegation.role.terminating,
            _role_wish(delegation, policy.role(delegation.name) or policy.targets),
        )
        for delegation in delegations_of(targets)
    ]
    return replace(wished, delegations=tuple(below))


def _role_wish(delegation: Delegation | None, before: RolePolicy) -> RolePolicy:
    if delegation is None:
        return before
    signers = tuple(delegation.owner_name(known) for known in delegation.keys)
    return RolePolicy(signers, delegation.role.threshold, _period(delegation, before.period))


def _period(delegation: Delegation | None, before: Period) -> Period:
    return (period_of(delegation) if delegation else None) or before


@lru_cache(maxsize=64)
def _policy(data: bytes | None) -> tuple[Policy | None, tuple[Any, ...]]:
    if data is None:
        return None, ()
    try:
        return parse(data), ()
    except PolicyError as error:
        return None, tuple(error.problems)


def _delegation(signed: Signed, role: str) -> tuple[dict[str, Any], dict[str, Any]]:
    if signed["_type"] == "root":
        return signed["keys"], signed["roles"][role]
    delegations = signed["delegations"]
    return delegations["keys"], next(one for one in delegations["roles"] if one["name"] == role)


def _roles(signed: Signed) -> list[dict[str, Any]]:
    return list(signed["roles"].values()) if signed["_type"] == "root" else signed["delegations"]["roles"]


def founding(policy: str = POLICY, people: Collection[str] = PEOPLE) -> Draft:
    """A founding event with all keys and unsigned metadata; ``main`` holds the policy alone."""
    draft = Draft({"keyturn.yml": policy.encode()}, people)
    for name in people:
        draft.files[f"keyring/{name}.pub"] = public_pem(key(name))
    edits = propose.founding(parse(policy.encode()), {name: key(name) for name in people}, NOW)
    draft.files.update(edits)
    for role in draft.state.names:
        draft._unsigned[role] = None
    return draft


@cache
def _main(policy: str, people: tuple[str, ...]) -> Mapping[str, bytes]:
    return founding(policy, people).sign().files


@cache
def _released() -> Mapping[str, bytes]:
    draft = Draft(_main(POLICY, PEOPLE))
    release(draft, "1.0")
    draft.list_target("plugins", "plugins/spell.zip", b"a plugin\n")
    return draft.sign().files


@cache
def _rotated() -> Mapping[str, bytes]:
    draft = Draft(_released())
    draft.add_key("root", "root", "dave")
    return draft.sign().files


def release(draft: Draft, version: str) -> None:
    """List a version of the app ``demo`` in targets, as a release is proposed."""
    item = app_release(version)
    draft.list_target("targets", item.path, archive(version), item.target().custom)


def founded(policy: str = POLICY, people: tuple[str, ...] = PEOPLE) -> Draft:
    """A draft on a repository that was just founded."""
    return Draft(_main(policy, people), people)


def released() -> Draft:
    """A draft on a repository with root 1, targets 2 (demo 1.0) and plugins 2 (one zip)."""
    return Draft(_released())


def rotated() -> Draft:
    """The same with root 2, which has dave as a fourth signer of root."""
    return Draft(_rotated(), (*PEOPLE, "dave"))


class Published:
    """A site for a state, all of it good until a test changes it.

    ``roles`` holds the bytes of each targets role, ``files`` all else; :meth:`seal` makes snapshot and
    timestamp for what ``roles`` holds then.
    """

    def __init__(self, state: State, *, version: int = 1, now: datetime = NOW) -> None:
        self.state = state
        self.version = version
        self.now = now
        self.files: dict[str, bytes] = {}
        self.links: dict[str, str] = {}
        self.roles = {file.role: file.data for file in state.targets_roles()}
        assert state.root
        for number, root in state.roots.items():
            self.files[f"metadata/{number}.root.json"] = root.data
        self.files["metadata/root.json"] = state.root.data
        for file in state.targets_roles():
            for path, entry in file.signed.targets.items():
                for prefixed in entry.get_prefixed_paths():
                    self.files[f"targets/{prefixed}"] = state.tree.read(f"targets/{path}")
        self.seal()

    def edit_role(self, role: str, edit: Edit, *, without: Collection[str] = ()) -> None:
        """Change a role, and have it signed by all who may but ``without``; its version stays."""
        loaded = document(self.roles[role])
        edit(loaded["signed"])
        keys = {
            known: public
            for delegation in self.state.delegations_to(role)
            for known, public in delegation.keys.items()
        }
        unsigned = rendered({"signed": loaded["signed"], "signatures": []})
        self.roles[role] = sign_file(unsigned, keys, without=without)

    def seal(
        self,
        *,
        snapshot: Edit | None = None,
        timestamp: Edit | None = None,
        snapshot_by: str = "online",
        timestamp_by: str = "online",
    ) -> Published:
        """Write the roles, and snapshot and timestamp for them, each changed and signed as told."""
        meta = {}
        for role, data in self.roles.items():
            version = document(data)["signed"]["version"]
            self.files[f"metadata/{version}.{role}.json"] = data
            meta[f"{role}.json"] = _meta(version, data)
        first = self._online("snapshot", meta, 14 * DAY, snapshot, snapshot_by)
        self.files[f"metadata/{self.version}.snapshot.json"] = first
        named = {"snapshot.json": _meta(self.version, first)}
        self.files["metadata/timestamp.json"] = self._online(
            "timestamp", named, 3 * DAY, timestamp, timestamp_by
        )
        return self

    def _online(self, role: str, meta: Signed, period: timedelta, edit: Edit | None, by: str) -> bytes:
        signed: Signed = {
            "_type": role,
            "spec_version": "1.0.31",
            "version": self.version,
            "expires": f"{self.now + period:%Y-%m-%dT%H:%M:%SZ}",
            "meta": meta,
        }
        if edit:
            edit(signed)
        return sign_file(rendered({"signed": signed, "signatures": []}), {keyid(by): key(by)})

    @property
    def tree(self) -> Tree:
        return MemoryTree(self.files, links=self.links, name="the site")

    def publication(self, **changes: object) -> Publication:
        first = self.state.roots[1]
        publication = Publication(site=Site(self.tree), now=self.now, pinned=first.digest)
        return replace(publication, **changes)


def _meta(version: int, data: bytes) -> dict[str, Any]:
    return {"version": version, "length": len(data), "hashes": {"sha256": sha256_hex(data)}}


def published() -> Published:
    """The site of :func:`rotated`: root 2, targets 2, plugins 2, snapshot 1, timestamp 1."""
    return Published(rotated().base)


def ids(findings: Collection[Finding]) -> set[str]:
    return {finding.id for finding in findings}


def error_ids(findings: Collection[Finding]) -> set[str]:
    return {finding.id for finding in findings if finding.severity is Severity.ERROR}


def role_file(role: str, signed: Signed) -> RoleFile:
    """One role's file with a given signed part and no signatures."""
    return RoleFile.parse(role, f"metadata/{role}.json", rendered({"signed": signed, "signatures": []}))
