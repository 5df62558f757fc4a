"""A site under attack: every way in which somebody can change it, and the keys with which they seal it again.

A mutation changes the files of a site; :func:`seal` then makes as good as possible what the attacker has keys
for: versions named by snapshot, lengths and hashes, and a signature by each stolen key wherever it may count.
What is left to be found is only what the keys that are not stolen protect.
"""

from __future__ import annotations

import copy
import json
import unicodedata
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st
from securesystemslib.exceptions import FormatError
from securesystemslib.signer import Key
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata
from tuf.api.serialization import SerializationError

from keyturn.errors import KeyturnError
from keyturn.signing import KeySigner
from unit.repository import holder, key, keyid, signer, target

Files = dict[str, bytes]
Path = tuple[str | int, ...]
TIMESTAMP = "metadata/timestamp.json"
EVERYBODY = frozenset({"alice", "bob", "carol", "online", "mallory"})
NO_TARGETS = (None, "root", "snapshot", "timestamp")
EVIL = b"not what anybody signed\n"
UNREADABLE = (
    KeyError, TypeError, ValueError, AttributeError, IndexError, FormatError, SerializationError,
    RepositoryError, KeyturnError,
)  # fmt: skip
"""How the reading of something fails that was mutated beyond recognition."""


@dataclass(frozen=True)
class Mutation:
    """One change of a site's files.

    Args:
        name: What it does and where, for messages.
        apply: Changes the files in place.
    """

    name: str
    apply: Callable[[Files], object]

    def __repr__(self) -> str:
        return self.name


def places(value: object, path: Path = ()) -> list[Path]:
    """Every place inside a JSON value."""
    below: list[tuple[str | int, Any]] = []
    if isinstance(value, dict):
        below = list(value.items())
    elif isinstance(value, list):
        below = list(enumerate(value))
    return [found for step, inner in below for found in ((*path, step), *places(inner, (*path, step)))]


def parent(value: Any, path: Path) -> Any:  # noqa: ANN401 - any JSON value
    for step in path[:-1]:
        value = value[step]
    return value


def loaded_json(data: bytes) -> dict[str, Any] | None:
    """A metadata file as JSON; None if it is none."""
    try:
        loaded = json.loads(data)
    except ValueError:
        return None
    return loaded if isinstance(loaded, dict) and isinstance(loaded.get("signed"), dict) else None


def _text(value: object) -> bytes:
    """JSON in the order in which it stands: order is one of the things that are mutated."""
    return json.dumps(value, indent=1).encode() + b"\n"


def _rewritten(path: str, inner: Path, change: Callable[[Any, str | int], object]) -> Callable[[Files], None]:
    """A change at one place of one JSON file; nothing if an earlier mutation took the place away."""

    def apply(files: Files) -> None:
        loaded = loaded_json(files.get(path, b""))
        if loaded is None:
            return
        with suppress(*UNREADABLE):
            change(parent(loaded, inner), inner[-1])
            files[path] = _text(loaded)

    return apply


ODD_KEYS: list[dict[str, Any]] = [
    {"keytype": "eddsa", "scheme": "pgp+eddsa-ed25519", "keyval": {"public": {"q": "00"}}},
    {"keytype": "ecdsa", "scheme": "ecdsa-sha2-nistp256", "keyval": {"public": "-----BEGIN"}},
    {"keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": "00"}},
]
VALUES: list[object] = [
    None, True, False, -1, 0, 1, 2, 3, 10**10, 1.5, "", "1.0.31", "2.0.0", "é", "e\u0301", "A",
    "root", "targets", "../x", "plugins/x.zip", "plugins/*", "*", "9999-12-31T23:59:59Z",
    "1000-01-01T00:00:00Z", "2026-09-01T12:00:00Z", "sha256", "sha512", "md5", [], {}, [[]], ["x"],
    keyid("mallory"), keyid("alice"), keyid("online"), key("mallory").to_dict(), key("alice").to_dict(),
    target(EVIL), {"version": 1}, {"demo/evil.tar.gz": target(EVIL)}, *ODD_KEYS,
]  # fmt: skip


def in_json(files: Mapping[str, bytes]) -> st.SearchStrategy[Mutation]:
    """A value set, dropped, doubled under another name, moved, or the order of its object turned round."""
    known = [
        (path, inner)
        for path, data in files.items()
        if path.endswith(".json") and (loaded := loaded_json(data))
        for inner in places(loaded)
    ]
    inside = st.sampled_from(known)

    def made(word: str, change: Callable[[Any, str | int], object]) -> Callable[[tuple[str, Path]], Mutation]:
        return lambda at: Mutation(f"{word} {at[0]} {at[1]}", _rewritten(*at, change))

    def put(pair: tuple[tuple[str, Path], object]) -> Mutation:
        at, value = pair
        return made(f"set to {value!r}:", lambda node, step: node.__setitem__(step, copy.deepcopy(value)))(at)

    def turn(node: Any, step: str | int) -> None:  # noqa: ANN401 - any JSON value
        inner = node[step]
        if isinstance(inner, list):
            inner.reverse()
        elif isinstance(inner, dict):
            node[step] = dict(reversed(inner.items()))
        elif isinstance(inner, str):
            node[step] = inner.swapcase()
        elif isinstance(inner, int):
            node[step] = inner + 1

    def double(node: Any, step: str | int) -> None:  # noqa: ANN401 - any JSON value
        if isinstance(node, list):
            node.append(copy.deepcopy(node[int(step)]))
        else:
            for form in (str(step).upper(), unicodedata.normalize("NFD", f"{step}é")):
                node[form] = copy.deepcopy(node[step])

    def rename(pair: tuple[tuple[str, Path], str]) -> Mutation:
        at, name = pair
        return made(f"rename to {name!r}:", lambda node, step: node.__setitem__(name, node.pop(step)))(at)

    return st.one_of(
        st.tuples(inside, st.sampled_from(VALUES)).map(put),
        inside.map(made("drop", lambda node, step: node.__delitem__(step))),
        inside.map(made("turn round", turn)),
        inside.map(made("double", double)),
        st.tuples(inside, st.sampled_from([str(v) for v in VALUES if isinstance(v, str)])).map(rename),
    )


def crafted(files: Mapping[str, bytes]) -> st.SearchStrategy[Mutation]:
    """What somebody does who knows the format: list a target, add a key, lower a threshold, delegate."""
    roles = st.sampled_from(sorted(path for path in files if _role_of(path) not in NO_TARGETS))
    delegators = st.sampled_from(sorted(path for path in files if _role_of(path) in ("root", "targets")))
    paths = st.sampled_from(
        ["demo/evil.tar.gz", "demo/demo-1.0.tar.gz", "plugins/evil.zip", "extras/evil", "extras/\u00e9",
         "extras/e\u0301", "Demo/demo-1.0.tar.gz", "extras/a b", "extras/a%62", "../evil", "extras/x?y#z"]
    )  # fmt: skip
    thief = st.sampled_from(["mallory", "online", "alice"])

    def lists(at: tuple[str, str]) -> Mutation:
        where, path = at
        put = _rewritten(
            where, ("signed", "targets"), lambda node, step: node[step].update({path: target(EVIL)})
        )
        return Mutation(f"list {path!r} in {where}", put)

    def adds(at: tuple[str, str, int]) -> Mutation:
        where, name, threshold = at

        def change(node: Any, step: str | int) -> None:  # noqa: ANN401 - any JSON value
            signed = node[step]
            part = signed if "keys" in signed else signed["delegations"]
            part["keys"][keyid(name)] = key(name).to_dict()
            every = part["roles"].values() if isinstance(part["roles"], dict) else part["roles"]
            for role in every:
                role |= {"keyids": [*role["keyids"], keyid(name)], "threshold": threshold}

        return Mutation(f"let {threshold} of {name} and others sign what {where} delegates",
                        _rewritten(where, ("signed",), change))  # fmt: skip

    def delegates(at: tuple[str, str, bool, str]) -> Mutation:
        where, name, first, role = at
        made = {"name": role, "keyids": [keyid(name)], "threshold": 1, "terminating": first,
                "paths": ["*", "*/*"]}  # fmt: skip

        def change(node: Any, step: str | int) -> None:  # noqa: ANN401 - any JSON value
            part = node[step].setdefault("delegations", {"keys": {}, "roles": []})
            part["keys"][keyid(name)] = key(name).to_dict()
            part["roles"].insert(0 if first else len(part["roles"]), made)

        return Mutation(
            f"let {where} delegate all to {name} as {role}", _rewritten(where, ("signed",), change)
        )

    return st.one_of(
        st.tuples(roles, paths).map(lists),
        st.tuples(delegators, thief, st.integers(1, 2)).map(adds),
        st.tuples(roles, thief, st.booleans(), st.sampled_from(["extras", "plugins", "targets", "new"])).map(
            delegates
        ),
    )


def in_bytes(files: Mapping[str, bytes]) -> st.SearchStrategy[Mutation]:
    """A bit flipped, a file cut, lengthened, dropped, replaced by another, or found under another name."""
    names = sorted(files)
    some = st.sampled_from(names)
    other = st.sampled_from(
        [*names, "metadata/3.root.json", "metadata/4.targets.json", "metadata/3.snapshot.json",
         "metadata/2.Targets.json", "metadata/TIMESTAMP.json", "targets/evil.tar.gz"]
    )  # fmt: skip

    def flip(at: tuple[str, int]) -> Mutation:
        path, number = at

        def apply(found: Files) -> None:
            data = bytearray(found.get(path, b""))
            if data:
                data[number // 8 % len(data)] ^= 1 << number % 8
                found[path] = bytes(data)

        return Mutation(f"flip bit {number} of {path}", apply)

    def cut(at: tuple[str, int]) -> Mutation:
        path, length = at
        return Mutation(
            f"cut {length} bytes from {path}",
            lambda found: found.update({path: found.get(path, b"")[: -length or None]}),
        )

    def line(at: tuple[str, int, str]) -> Mutation:
        path, number, word = at

        def apply(found: Files) -> None:
            lines = found.get(path, b"").splitlines(keepends=True)
            if lines:
                here = number % len(lines)
                if word == "again":
                    lines.insert(here, lines[here])
                elif word == "gone":
                    del lines[here]
                else:
                    lines[here - 1], lines[here] = lines[here], lines[here - 1]
                found[path] = b"".join(lines)

        return Mutation(f"line {number} of {path} {word}", apply)

    def copied(at: tuple[str, str]) -> Mutation:
        return Mutation(
            f"copy {at[0]} over {at[1]}",
            lambda found: found.update({at[1]: found.get(at[0], b"")}),
        )

    def swapped(at: tuple[str, str]) -> Mutation:
        def apply(found: Files) -> None:
            one, two = found.get(at[0], b""), found.get(at[1], b"")
            found.update({at[0]: two, at[1]: one})

        return Mutation(f"swap {at[0]} and {at[1]}", apply)

    return st.one_of(
        st.tuples(some, st.integers(0, 1 << 15)).map(flip),
        st.tuples(some, st.integers(0, 400)).map(cut),
        st.tuples(some, st.integers(0, 200), st.sampled_from(["again", "gone", "moved"])).map(line),
        st.tuples(some, st.sampled_from([b"\n", b" ", b"\x00", b"}", b"\xef\xbb\xbf"])).map(
            lambda at: Mutation(
                f"append {at[1]!r} to {at[0]}",
                lambda found: found.update({at[0]: found.get(at[0], b"") + at[1]}),
            )
        ),
        some.map(lambda path: Mutation(f"drop {path}", lambda found: found.pop(path, None))),
        st.tuples(some, other).map(copied),
        st.tuples(some, other).map(swapped),
    )


def seal(files: Mapping[str, bytes], changed: Collection[str], keys: Collection[str]) -> Files:
    """Sign what changed with every key of ``keys``, and let snapshot and timestamp describe it.

    Args:
        files: The site after its mutations.
        changed: Paths of metadata that was mutated.
        keys: Whose keys the attacker has.
    """
    sealed = {**_evil_files(files), **files}
    if not keys:
        return sealed
    roles = [path for path in changed if _role_of(path) not in NO_TARGETS or _role_of(path) == "root"]
    signers = dict(_bound(files, keys))
    for path in roles:
        sealed[path] = _signed(sealed[path], signers)
    if "online" in keys:
        _describe(sealed, roles, signers)
    return sealed


def _evil_files(files: Mapping[str, bytes]) -> Files:
    """The bytes of the attacker's own target, wherever it is listed."""
    found: Files = {}
    for path, data in files.items():
        targets = (loaded_json(data) or {}).get("signed", {}).get("targets")
        for listed, entry in targets.items() if isinstance(targets, dict) else ():
            if entry == target(EVIL) and _role_of(path) not in NO_TARGETS:
                folder, slash, name = listed.rpartition("/")
                found[f"targets/{folder}{slash}{entry['hashes']['sha256']}.{name}"] = EVIL
    return found


def _describe(files: Files, roles: Collection[str], signers: Mapping[str, KeySigner]) -> None:
    """Bring the snapshot that timestamp names, and timestamp itself, up to what lies there; sign both."""
    stamp = loaded_json(files.get(TIMESTAMP, b""))
    described = _meta(stamp).get("snapshot.json")
    path = f"metadata/{described.get('version') if isinstance(described, dict) else None}.snapshot.json"
    snapshot = loaded_json(files.get(path, b""))
    if snapshot:
        for role in roles:
            _measure(snapshot, role.removeprefix("metadata/"), files[role])
        files[path] = _text(snapshot)
        files[path] = _signed(files[path], signers)
    if stamp:
        _measure(stamp, path.removeprefix("metadata/"), files.get(path, b""))
        files[TIMESTAMP] = _text(stamp)
        files[TIMESTAMP] = _signed(files[TIMESTAMP], signers)


def _meta(loaded: dict[str, Any] | None) -> dict[str, Any]:
    meta = loaded["signed"].get("meta") if loaded else None
    return meta if isinstance(meta, dict) else {}


def _measure(loaded: dict[str, Any], file: str, data: bytes) -> None:
    """Let ``meta`` describe a file that it names by this version."""
    version, _, name = file.partition(".")
    described = _meta(loaded).get(name)
    if isinstance(described, dict) and str(described.get("version")) == version:
        described |= {field: value for field, value in target(data).items() if field in described}


def _role_of(path: str) -> str | None:
    name = path.removeprefix("metadata/").removesuffix(".json")
    if not (path.startswith("metadata/") and path.endswith(".json")):
        return None
    number, dot, rest = name.partition(".")
    return rest if dot and number.isdigit() else name


def _signed(data: bytes, signers: Mapping[str, KeySigner]) -> bytes:
    """A file with a signature by each key under each keyid that any delegation uses for it."""
    with suppress(*UNREADABLE):
        loaded = loaded_json(data) or {}
        payload = Metadata.from_dict(copy.deepcopy(loaded)).signed_bytes
        made = {name: bound.sign(payload).to_dict() for name, bound in signers.items()}
        kept = [one for one in loaded["signatures"] if one["keyid"] not in made]
        return _text({**loaded, "signatures": [*kept, *made.values()]})
    return data


def _bound(files: Mapping[str, bytes], keys: Collection[str]) -> Iterator[tuple[str, KeySigner]]:
    """A signer for every keyid that the site uses for a stolen key."""
    for name in sorted(keys):
        yield keyid(name), signer(name)
    ordinary = {keyid(name) for name in keys}
    for odd, raw in {pair[0]: pair for pair in _keys(files)}.values():
        with suppress(*UNREADABLE):
            public = Key.from_dict(odd, copy.deepcopy(raw))
            owner = holder(public)
            bound = signer(owner).as_key(public) if owner in keys and odd not in ordinary else None
            if bound:
                yield odd, bound


def _keys(files: Mapping[str, bytes]) -> Iterator[tuple[str, Any]]:
    for data in files.values():
        signed = (loaded_json(data) or {}).get("signed", {})
        delegations = signed.get("delegations")
        for known in (signed.get("keys"), delegations.get("keys") if isinstance(delegations, dict) else None):
            yield from known.items() if isinstance(known, dict) else ()
