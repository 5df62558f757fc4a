"""The semantic diff: what a signing event changes, in the words of those who sign it (DESIGN section 4).

Each change is one item with an old and a new side. Those that move trust (keys, thresholds, periods,
delegations, hashes of something already released) are *loud*.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from securesystemslib.signer import Key
from tuf.api.metadata import SPECIFICATION_VERSION, DelegatedRole, Root, TargetFile, Targets

from keyturn.state import (
    ONLINE_ROLES,
    Delegation,
    Extension,
    MetadataError,
    RoleFile,
    delegations_of,
    keys_of,
    short_fingerprint,
    targets_of,
)
from keyturn.verify.event import Event
from keyturn.verify.thresholds import is_readable, key_fingerprint

USUAL_SCHEMES = ("ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "rsassa-pss-sha256")
"""The scheme that a type of key has unless something else is said."""
EXTENSION = "x-keyturn"
"""Shown as owners and periods."""
RELEASE_FIELDS = {"app", "platform", "tree", "version"}
_PLAIN = re.compile(r"[A-Za-z0-9._+!-]*")
_PLAIN_PATTERN = re.compile(r"[^\s,;\"]+")


@dataclass(frozen=True, slots=True)
class Difference:
    """One change.

    Args:
        role: The role whose signed part holds the change.
        kind: Stable word, e.g. ``key-added``, ``threshold``, ``target-changed``.
        subject: What it concerns: a role, a key's owner, a target path.
        old: The side before, None if there was none.
        new: The side after, None if there is none.
        loud: Whether it moves trust.
    """

    role: str
    kind: str
    subject: str
    old: str | None
    new: str | None
    loud: bool

    def to_dict(self) -> dict[str, object]:
        """The change as ``--json`` shows it."""
        return {
            "role": self.role,
            "kind": self.kind,
            "subject": self.subject,
            "old": self.old,
            "new": self.new,
            "loud": self.loud,
        }


def differences(event: Event) -> tuple[Difference, ...]:
    """Everything that the event changes in what is signed, role by role.

    Args:
        event: The event; before founding everything counts as added.
    """
    found: list[Difference] = []
    for name in _names(event):
        old, new = event.baseline.role(name), event.head.role(name)
        if old and new and old.digest == new.digest:
            continue
        found += _role(name, old, new)
    return tuple(found)


def _names(event: Event) -> tuple[str, ...]:
    names = {*event.baseline.names, *event.head.names} - set(ONLINE_ROLES)
    first = [name for name in ("root", "targets") if name in names]
    return (*first, *sorted(names - set(first)))


def _role(name: str, old: RoleFile | None, new: RoleFile | None) -> Iterator[Difference]:
    if new is None:
        yield Difference(name, "role-removed", name, _headline(old), None, loud=True)
        return
    yield Difference(
        name, "version" if old else "role-added", name, _headline(old), _headline(new), loud=False
    )
    yield from _specification(name, old, new)
    yield from _consistent_snapshot(name, old, new)
    yield from _delegations(name, old, new)
    yield from _periods(name, old, new)
    if not isinstance(new.signed, Root):
        yield from _targets(name, old, new)
    yield from _unknown_fields(name, old, new)


def _headline(file: RoleFile | None) -> str | None:
    return f"version {file.version}, expires {file.expires:%Y-%m-%d %H:%M}Z" if file else None


def _specification(name: str, old: RoleFile | None, new: RoleFile) -> Iterator[Difference]:
    """The version of the specification, by which some clients decide whether they read the file at all."""
    before = old.signed.spec_version if old else ".".join(SPECIFICATION_VERSION)
    after = new.signed.spec_version
    if before != after:
        yield Difference(name, "field", "spec_version", before if old else None, after, loud=True)


def _consistent_snapshot(name: str, old: RoleFile | None, new: RoleFile) -> Iterator[Difference]:
    before = old.signed.consistent_snapshot if old and isinstance(old.signed, Root) else True
    after = new.signed.consistent_snapshot if isinstance(new.signed, Root) else True
    if before != after:
        yield Difference(
            name, "consistent-snapshot", name, str(before).lower(), str(after).lower(), loud=True
        )


def _delegations(name: str, old: RoleFile | None, new: RoleFile) -> Iterator[Difference]:
    before = {d.name: d for d in delegations_of(old)} if old else {}
    after = {d.name: d for d in delegations_of(new)}
    for role in sorted(before.keys() - after.keys()):
        yield Difference(name, "delegation-removed", role, _describe(before[role]), None, loud=True)
    for role, delegation in after.items():
        yield from _delegation(name, before.get(role), delegation)
    common = [role for role in before if role in after]
    order = [role for role in after if role in before]
    if common != order:
        yield Difference(name, "delegation-order", name, ", ".join(common), ", ".join(order), loud=True)


def _delegation(name: str, old: Delegation | None, new: Delegation) -> Iterator[Difference]:
    if old is None and isinstance(new.role, DelegatedRole):
        yield Difference(name, "delegation-added", new.name, None, _describe(new), loud=True)
    yield from _keys(name, old, new)
    before = old.role.threshold if old else None
    if before != new.role.threshold:
        text = None if before is None else f"{before} of {len(old.role.keyids) if old else 0}"
        yield Difference(
            name, "threshold", new.name, text, f"{new.role.threshold} of {len(new.role.keyids)}", loud=True
        )
    if old and _describe(old) != _describe(new):
        yield Difference(name, "delegation-changed", new.name, _describe(old), _describe(new), loud=True)


def _describe(delegation: Delegation) -> str:
    role = delegation.role
    if not isinstance(role, DelegatedRole):
        return "top-level role"
    kind = "path hash prefixes" if role.paths is None else "paths"
    patterns = role.path_hash_prefixes if role.paths is None else role.paths
    listed = ", ".join(text if _PLAIN_PATTERN.fullmatch(text) else _json(text) for text in patterns or ())
    return f"{kind} {listed}; {'terminating' if role.terminating else 'not terminating'}"


def _keys(name: str, old: Delegation | None, new: Delegation) -> Iterator[Difference]:
    before, after = _by_fingerprint(old), _by_fingerprint(new)
    for mark in sorted(before.keys() - after.keys()):
        yield Difference(name, "key-removed", new.name, f"{before[mark]} {_short(mark)}", None, loud=True)
    for mark in after:
        if mark not in before:
            yield Difference(name, "key-added", new.name, None, f"{after[mark]} {_short(mark)}", loud=True)
        elif before[mark] != after[mark]:
            yield Difference(
                name,
                "key-owner",
                new.name,
                f"{before[mark]} {_short(mark)}",
                f"{after[mark]} {_short(mark)}",
                loud=True,
            )


def _by_fingerprint(delegation: Delegation | None) -> Mapping[str, str]:
    if delegation is None:
        return {}
    return {key_fingerprint(key): _owner(delegation, keyid, key) for keyid, key in delegation.keys.items()}


def _owner(delegation: Delegation, keyid: str, key: Key) -> str:
    """Whose key it is, the person's number where there is one, and the scheme where it is not the usual."""
    owner = delegation.owners.get(keyid)
    number = "" if owner is None or owner.id is None else f" (id {owner.id})"
    scheme = "" if key.scheme in USUAL_SCHEMES else f" by {key.scheme}"
    return f"{delegation.owner_name(keyid)}{number}{scheme}"


def _short(mark: str) -> str:
    return short_fingerprint(mark) if is_readable(mark) else mark


def _periods(name: str, old: RoleFile | None, new: RoleFile) -> Iterator[Difference]:
    before, after = _period_texts(old), _period_texts(new)
    for role in sorted({*before, *after}):
        if before.get(role) != after.get(role):
            yield Difference(name, "period", role, before.get(role), after.get(role), loud=old is not None)


def _period_texts(file: RoleFile | None) -> Mapping[str, str]:
    try:
        extension = Extension.of(file.signed, file.path) if file else None
    except MetadataError:
        return {}
    periods = extension.periods if extension else {}
    return {role: f"expires {p.expires.text}, renew {p.renew.text}" for role, p in periods.items()}


def _targets(name: str, old: RoleFile | None, new: RoleFile) -> Iterator[Difference]:
    before: Mapping[str, TargetFile] = targets_of(old).targets if old else {}
    after = targets_of(new).targets
    for path in sorted({*before, *after}):
        one, other = before.get(path), after.get(path)
        if one and other and one.to_dict() == other.to_dict():
            continue
        kind = "target-added" if one is None else "target-removed" if other is None else "target-changed"
        yield Difference(
            name,
            kind,
            path,
            describe_target(one) if one else None,
            describe_target(other) if other else None,
            loud=one is not None,
        )


def describe_target(target: TargetFile) -> str:
    """A target in one line: length, SHA-256, and what it is a release of."""
    parts = [
        f"{target.length:,} bytes",
        *(f"{algorithm} {value}" for algorithm, value in target.hashes.items()),
    ]
    if target.custom is not None:
        parts.append(_describe_custom(target.custom))
    return ", ".join(parts)


def _describe_custom(custom: object) -> str:
    """What a target is a release of; all of its custom field where that says anything else besides."""
    release: Any = custom
    for name in ("user", "keyturn"):
        release = release.get(name) if isinstance(release, dict) and len(release) == 1 else None
    if not isinstance(release, dict) or release.keys() != RELEASE_FIELDS:
        return f"custom {_json(custom)}"
    if not all(isinstance(value, str) and _PLAIN.fullmatch(value) for value in release.values()):
        return f"custom {_json(custom)}"
    platform = f" for {release['platform']}" if release["platform"] else ""
    return f"{release['app']} {release['version']}{platform}, tree {release['tree']}"


def _unknown_fields(name: str, old: RoleFile | None, new: RoleFile) -> Iterator[Difference]:
    before = _unknown(old) if old else {}
    after = _unknown(new)
    for field in sorted({*before, *after}):
        if before.get(field) != after.get(field):
            yield Difference(name, "field", field, _text(before, field), _text(after, field), loud=True)


def _unknown(file: RoleFile) -> Mapping[str, Any]:
    """Fields that the specification does not know, at the top and in keys, roles and delegations."""
    signed = file.signed
    found: dict[str, Any] = {
        field: value for field, value in signed.unrecognized_fields.items() if field != EXTENSION
    }
    inner: dict[str, Any] = {
        f"of the key {keyid}": {
            **key.unrecognized_fields,
            **{field: value for field, value in key.keyval.items() if field != "public"},
        }
        for keyid, key in keys_of(file).items()
    }
    inner |= {f"of the role {d.name}": d.role.unrecognized_fields for d in delegations_of(file)}
    if isinstance(signed, Targets) and signed.delegations is not None:
        inner["of the delegations"] = signed.delegations.unrecognized_fields
    return found | {field: value for field, value in inner.items() if value}


def _text(fields: Mapping[str, Any], name: str) -> str | None:
    return _json(fields[name]) if name in fields else None


def _json(value: object) -> str:
    """A JSON value in one line, the same whatever the order in which a file has its keys."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False)
