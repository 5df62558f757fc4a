"""Keys on a hardware token, by PKCS #11 (the extra ``keyturn[hsm]``).

A person's own: the policy of a repository cannot name one, and which module is loaded is said by the variable
``PYKCS11LIB`` of that person's machine alone. ECDSA on P-256 and P-384.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from urllib.parse import parse_qsl

from securesystemslib import signer as signers
from securesystemslib.exceptions import UnsupportedLibraryError
from securesystemslib.signer import Signature, Signer, SSlibKey

from keyturn.errors import EnvironmentFault, UsageError
from keyturn.signing.keys import PASSPHRASE_VARIABLE, KeySigner
from keyturn.signing.kms import missing_extra, require_same, usable

MODULE_VARIABLE = "PYKCS11LIB"

_FORM = re.compile(r"(?P<id>[0-9]{1,9})?(?:\?(?P<query>label=[^&#\s]{1,200}))?")
_WRONG_PIN = ("PinIncorrect", "PinInvalid", "PinLenRange", "PinLocked")


class TokenError(EnvironmentFault):
    """The token is not there, holds no such key, or does not sign."""

    default_reason = "hsm"


@dataclass(frozen=True, slots=True)
class TokenSigner:
    """A key on a token, signing as one key object of metadata.

    Args:
        uri: The key's URI, for messages.
        keyid: The keyid that the signatures carry.
    """

    uri: str
    keyid: str
    _signer: Signer = field(repr=False, compare=False)

    def sign(self, payload: bytes) -> Signature:
        """Have the token sign; the signature is not verified yet.

        Raises:
            TokenError: It does not.
            UsageError: There is no PIN (reason ``passphrase-needed``), or it is wrong (``wrong-passphrase``).
        """
        try:
            made = self._signer.sign(payload)
        except _faults() as error:
            raise _failure(error, self.uri) from None
        return Signature(self.keyid, made.signature)


def open_hsm_key(uri: str, env: Mapping[str, str], ask_pin: Callable[[str], str] | None) -> KeySigner:
    """Find a key on a hardware token.

    Args:
        uri: ``hsm:``, then the key's number on the token (2 if there is none, the PIV slot 9c), then
            ``?label=`` and the token's label if there are several tokens.
        env: ``PYKCS11LIB`` must be in it, and ``KEYTURN_PASSPHRASE`` may hold the PIN.
        ask_pin: Called with the URI for the PIN; None if there is nobody to ask.

    Raises:
        UsageError: Reason ``key-uri``; ``passphrase-needed``, ``wrong-passphrase``.
        RefusedError: Reason ``bad-key``: the key is of no type that signs here.
        EnvironmentFault: Reason ``missing-extra``: the library is not installed; ``hsm``: no token or module.
    """
    named = _FORM.fullmatch(uri.partition(":")[2])
    if named is None:
        raise UsageError(
            "names no key on a token", where="hsm:", todo="Write hsm:NUMBER?label=LABEL.", reason="key-uri"
        )
    number = int(named["id"]) if named["id"] else None
    label = dict(parse_qsl(named["query"] or "")).get("label")
    pin = partial(_pin, uri, env, ask_pin)
    try:
        found, listed = signers.HSMSigner.import_(number, label, pin)
        signer = signers.HSMSigner.from_priv_key_uri(found, listed, pin)
    except UnsupportedLibraryError:
        raise missing_extra("hardware tokens", "hsm", uri) from None
    except _faults() as error:
        raise _failure(error, uri) from None
    public = usable(listed, uri)
    return KeySigner(uri=uri, public=public, warning="", _bind=partial(_bind, uri, signer, public))


def _bind(uri: str, signer: Signer, public: SSlibKey, key: SSlibKey) -> TokenSigner:
    require_same(public, key)
    return TokenSigner(uri=uri, keyid=key.keyid, _signer=signer)


def _pin(uri: str, env: Mapping[str, str], ask: Callable[[str], str] | None, _: str) -> str:
    pin = env.get(PASSPHRASE_VARIABLE, "")
    if not pin and ask is not None:
        pin = ask(uri)
    if not pin:
        raise UsageError(
            "the token wants a PIN, and there is none",
            where=uri,
            todo=f"Set {PASSPHRASE_VARIABLE}, or run this where you can be asked.",
            reason="passphrase-needed",
        )
    return pin


def _faults() -> tuple[type[Exception], ...]:
    """What the library raises: its own errors, and the signer's in plain words."""
    return (importlib.import_module("pkcs11.exceptions").PKCS11Error, ValueError, OSError, RuntimeError)


def _failure(error: Exception, uri: str) -> EnvironmentFault | UsageError:
    kind = type(error).__name__
    if kind in _WRONG_PIN:
        return UsageError(
            f"the token does not take this PIN ({kind})",
            where=uri,
            todo="Mind that it locks itself after a few wrong ones.",
            reason="wrong-passphrase",
        )
    # The signer's own sentences quote nothing but the label; the library's may be empty.
    what = str(error) if type(error) is ValueError else kind
    return TokenError(
        f"the token cannot be used: {what}",
        where=uri,
        todo=f"Put it in, and set {MODULE_VARIABLE} to the path of its PKCS #11 module.",
    )
