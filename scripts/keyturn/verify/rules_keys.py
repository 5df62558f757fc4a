"""KT1xx: which keys may stand in metadata, and keys of online and offline roles apart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from securesystemslib.signer import Key, SSlibKey

from keyturn.state import ONLINE_ROLES, delegations_of, fingerprint, keys_of
from keyturn.verify.event import KEYRING, Event
from keyturn.verify.model import Rule, Severity, Violation
from keyturn.verify.thresholds import key_fingerprint

FEWEST_RSA_BITS = 3072
CURVES: Mapping[str, str] = {"ecdsa-sha2-nistp256": "secp256r1", "ecdsa-sha2-nistp384": "secp384r1"}
"""The curve of each ECDSA scheme."""
RSA_SCHEMES = frozenset(
    f"{kind}-sha{bits}" for kind in ("rsassa-pss", "rsa-pkcs1v15") for bits in (256, 384, 512)
)
EC_KEYTYPES = ("ecdsa", *CURVES)


def weakness(key: Key) -> str | None:
    """Why a public key should not be relied on; None if it may.

    Args:
        key: A key as metadata holds it.
    """
    known = key.keytype == key.scheme == "ed25519"
    known |= key.keytype == "rsa" and key.scheme in RSA_SCHEMES
    known |= key.keytype in EC_KEYTYPES and key.scheme in CURVES
    if not known or not isinstance(key, SSlibKey):
        return f"is of the type {key.keytype} and the scheme {key.scheme}, which not every client knows"
    try:
        fingerprint(key)
        public = None if key.keytype == "ed25519" else load_pem_public_key(str(key.keyval["public"]).encode())
    except (ValueError, UnsupportedAlgorithm):
        return "cannot be read"
    if key.scheme in CURVES:
        return _wrong_curve(key, public)
    return _short(public) if key.keytype == "rsa" else None


def _wrong_curve(key: Key, public: object) -> str | None:
    curve = public.curve.name if isinstance(public, EllipticCurvePublicKey) else None
    if curve != CURVES[key.scheme]:
        return f"is {f'on the curve {curve}' if curve else 'no key of a curve'}, not on that of {key.scheme}"
    return None


def _short(public: object) -> str | None:
    if not isinstance(public, RSAPublicKey):
        return "is no RSA key, though it says so"
    return f"has only {public.key_size} bits" if public.key_size < FEWEST_RSA_BITS else None


def _weak_keys(event: Event) -> Iterator[Violation]:
    for file in event.proposed:
        before = event.baseline.role(file.role)
        known = keys_of(before) if before else {}
        for keyid, key in keys_of(file).items():
            reason = weakness(key)
            if reason:
                severity = Severity.WARNING if known.get(keyid) == key else None
                yield Violation(f"the key {keyid[:16]} {reason}", file.path, severity)


def _online_and_offline(event: Event) -> Iterator[Violation]:
    root = event.head.root
    top = delegations_of(root) if root else ()
    online = {key_fingerprint(key) for d in top if d.name in ONLINE_ROLES for key in d.keys.values()}
    for file in event.proposed:
        for delegation in delegations_of(file):
            for keyid, key in delegation.keys.items():
                owner = delegation.owners.get(keyid)
                if owner is None or owner.online:
                    continue
                if delegation.name in ONLINE_ROLES:
                    yield Violation(f"lets the key of {owner.name} sign {delegation.name}", file.path)
                elif key_fingerprint(key) in online:
                    yield Violation(
                        f"names {owner.name} as the owner of the online key {keyid[:16]} "
                        f"in the role {delegation.name}",
                        file.path,
                    )
    yield from _keyring(event)


def _keyring(event: Event) -> Iterator[Violation]:
    shared = event.keyring.key("online")
    if shared is None:
        return
    for login, key in sorted(event.keyring.keys.items()):
        if login.lower() != "online" and key_fingerprint(key) == key_fingerprint(shared):
            yield Violation("is the online key too", f"{KEYRING}{login}.pub")


KEY_RULES: tuple[Rule[Event], ...] = (
    Rule(
        id="KT126",
        title="keys are strong, and of kinds that clients know",
        why="A weak key can be computed by others; one of an unknown kind can be checked by nobody.",
        mend="Make a key of Ed25519, ECDSA P-256 or P-384, or RSA from 3072 bits on, and propose it instead.",
        check=_weak_keys,
        milder="main has the key already",
    ),
    Rule(
        id="KT127",
        title="people's keys sign offline, the online key online",
        why="A person's key on a server, or a server's key counted as a person's, "
        "lets one break-in count as a person's consent.",
        mend="Give the online roles a key of their own, entered as keyring/online.pub.",
        check=_online_and_offline,
    ),
)
