"""Keys on a token: the real signer of securesystemslib, over a PKCS #11 that is played by keys in memory."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import securesystemslib.signer
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import (
    Prehashed,
    decode_dss_signature,
    encode_dss_signature,
)
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from securesystemslib.signer import SSlibKey

from keyturn.errors import EnvironmentFault, KeyturnError, RefusedError, UsageError
from keyturn.policy import PolicyError, parse
from keyturn.signing import KeySigner, load_signer
from keyturn.signing.hsm import TokenError
from unit.test_policy import VALID

PIN = "123456"
P256 = ec.generate_private_key(ec.SECP256R1())
NO_MODULE = "Put it in, and set PYKCS11LIB to the path of its PKCS #11 module."


class PKCS11Error(Exception):
    """The base of the library's errors."""


class PinIncorrect(PKCS11Error):
    """The token does not take the PIN."""


class DeviceRemoved(PKCS11Error):
    """Somebody pulled it out."""


class Token:
    """A token with one key, which wants a PIN for signing."""

    label = "alice's token"

    def __init__(self) -> None:
        self.key: Any = P256
        self.number = 2
        self.hidden = False
        self.fault: Exception | None = None
        self.pins: list[str] = []

    @contextmanager
    def open(self, user_pin: str | None = None) -> Iterator[Token]:
        if user_pin is not None:
            self.pins.append(user_pin)
            if user_pin != PIN:
                raise PinIncorrect
            if self.fault:
                raise self.fault
        yield self

    def get_key(self, kind: str, _: str, *, id: bytes) -> object:  # noqa: A002 - the library's own name
        pkcs11 = sys.modules["pkcs11"]
        if int.from_bytes(id, "big") != self.number or (self.hidden and not self.pins):
            raise sys.modules["pkcs11.exceptions"].NoSuchKey
        made: Any = pkcs11.PublicKey() if kind == "public" else pkcs11.SignMixin()
        made.sign = self.sign
        return made

    def sign(self, digest: bytes, mechanism: str) -> bytes:
        assert mechanism == "ECDSA"
        r, s = decode_dss_signature(self.key.sign(digest, ec.ECDSA(Prehashed(hashes.SHA256()))))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    def der(self, _: object) -> bytes:
        return bytes(self.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def module(name: str, **content: object) -> ModuleType:
    made = ModuleType(name)
    made.__dict__.update(content)
    return made


def as_der(raw: bytes) -> bytes:
    return encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))


def libraries(token: Token) -> list[ModuleType]:
    errors = {
        name: type(name, (PKCS11Error,), {})
        for name in ("MultipleObjectsReturned", "MultipleTokensReturned", "NoSuchKey", "NoSuchToken")
    }
    exceptions = module("pkcs11.exceptions", PKCS11Error=PKCS11Error, **errors)

    def get_token(token_label: str | None, token_flags: object) -> Token:
        if token_label not in (None, token.label):
            raise errors["NoSuchToken"]
        return token

    curves = module("pkcs11.util.ec", encode_ec_public_key=token.der, encode_ecdsa_signature=as_der)
    util = module("pkcs11.util", ec=curves, biginteger=lambda number: number.to_bytes(4, "big"))
    return [
        module(
            "pkcs11",
            lib=lambda path: SimpleNamespace(get_token=get_token),
            util=util,
            exceptions=exceptions,
            TokenFlag=SimpleNamespace(TOKEN_INITIALIZED=1),
            ObjectClass=SimpleNamespace(PUBLIC_KEY="public", PRIVATE_KEY="private"),
            KeyType=SimpleNamespace(EC="ec"),
            Mechanism=SimpleNamespace(ECDSA="ECDSA"),
            PublicKey=type("PublicKey", (), {}),
            SignMixin=type("SignMixin", (), {}),
        ),
        exceptions,
        util,
        curves,
    ]


def imported_anew(patch: pytest.MonkeyPatch, found: list[ModuleType]) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "pkcs11"]:
        patch.delitem(sys.modules, name)
    patch.setitem(sys.modules, "pkcs11", None)
    for library in found:
        patch.setitem(sys.modules, library.__name__, library)
    name = "securesystemslib.signer._hsm_signer"
    patch.delitem(sys.modules, name)
    patch.setattr(securesystemslib.signer, "_hsm_signer", importlib.import_module(name))
    patch.setattr(securesystemslib.signer, "HSMSigner", sys.modules[name].HSMSigner)


@pytest.fixture
def token(monkeypatch: pytest.MonkeyPatch) -> Token:
    made = Token()
    imported_anew(monkeypatch, libraries(made))
    monkeypatch.setenv("PYKCS11LIB", "/lib/token.so")
    return made


def opened(uri: str = "hsm:", *, pin: str = PIN) -> KeySigner:
    return load_signer(uri, env={"KEYTURN_PASSPHRASE": pin}, ask_passphrase=None)


def refusal(call: Callable[[], object]) -> KeyturnError:
    with pytest.raises(KeyturnError) as caught:
        call()
    return caught.value


@pytest.mark.parametrize(
    "uri", ["hsm:", "hsm:2", "hsm:2?label=alice%27s+token", "hsm:?label=alice's%20token"]
)
def test_a_key_on_a_token_signs(uri: str, token: Token) -> None:
    signer = opened(uri)
    assert signer.public == SSlibKey.from_crypto(P256.public_key())
    assert token.pins == []
    assert signer.sign(b"x").keyid == signer.public.keyid
    assert token.pins == [PIN]


def test_a_signature_carries_the_keyid_that_metadata_gives_the_key(token: Token) -> None:
    signer = opened()
    old = SSlibKey("ab" * 32, "ecdsa", "ecdsa-sha2-nistp256", dict(signer.public.keyval))
    bound = signer.as_key(old)
    assert bound is not None
    assert bound.sign(b"x").keyid == "ab" * 32
    other = ec.generate_private_key(ec.SECP256R1())
    assert signer.as_key(SSlibKey.from_crypto(other.public_key())) is None


def test_the_pin_is_asked_for_where_somebody_can_be_asked(token: Token) -> None:
    asked: list[str] = []

    def ask(uri: str) -> str:
        asked.append(uri)
        return PIN

    token.hidden = True
    load_signer("hsm:2", env={}, ask_passphrase=ask).sign(b"x")
    assert asked == ["hsm:2", "hsm:2"]


def test_without_a_pin_nothing_is_signed(token: Token) -> None:
    for ask in (None, lambda uri: ""):
        signer = load_signer("hsm:", env={}, ask_passphrase=ask)
        error = refusal(lambda signer=signer: signer.sign(b"x"))
        assert (type(error), error.reason, error.where) == (UsageError, "passphrase-needed", "hsm:")
        assert error.what == "the token wants a PIN, and there is none"
        assert error.todo == "Set KEYTURN_PASSPHRASE, or run this where you can be asked."
    assert token.pins == []


def test_a_wrong_pin_is_tried_once(token: Token) -> None:
    error = refusal(lambda: opened(pin="000000").sign(b"x"))
    assert (type(error), error.reason, error.where) == (UsageError, "wrong-passphrase", "hsm:")
    assert error.what == "the token does not take this PIN (PinIncorrect)"
    assert token.pins == ["000000"]
    assert "000000" not in str(error.to_dict())


def test_a_token_that_is_pulled_out_is_a_fault(token: Token) -> None:
    signer = opened()
    token.fault = DeviceRemoved(PIN)
    error = refusal(lambda: signer.sign(b"x"))
    assert (type(error), error.reason, error.where) == (TokenError, "hsm", "hsm:")
    assert error.what == "the token cannot be used: DeviceRemoved"
    assert error.todo == NO_MODULE


@pytest.mark.parametrize(
    ("uri", "says"),
    [
        ("hsm:3", "could not find ECDSA key on the PKCS#11 token"),
        ("hsm:2?label=other", "No PKCS#11 token found for label other"),
    ],
)
def test_what_is_not_there_is_a_fault(uri: str, says: str, token: Token) -> None:
    error = refusal(lambda: opened(uri))
    assert (type(error), error.what) == (TokenError, f"the token cannot be used: {says}")


def test_without_the_module_the_variable_is_named(token: Token, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYKCS11LIB")
    assert refusal(opened).what.endswith("PYKCS11LIB environment variable must be set")


def test_a_curve_that_tuf_does_not_know_is_refused(token: Token) -> None:
    token.key = ec.generate_private_key(ec.SECP521R1())
    error = refusal(opened)
    assert error.what == "the token cannot be used: secp521r1 is not a supported EC curve"
    assert not isinstance(error, RefusedError)


def test_without_the_extra_it_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    imported_anew(monkeypatch, [])
    error = refusal(opened)
    assert (type(error), error.reason) == (EnvironmentFault, "missing-extra")
    assert error.what == "what signs with hardware tokens is not installed"
    assert error.todo == "Install it: pip install 'keyturn[hsm]'."


@pytest.mark.parametrize("uri", ["hsm:x", "hsm:2?pin=1", "hsm:2?label=", "hsm:2?label=a&pin=b", "hsm:-1"])
def test_a_uri_that_names_no_key(uri: str, token: Token) -> None:
    error = refusal(lambda: opened(uri))
    assert (type(error), error.reason, error.where) == (UsageError, "key-uri", "hsm:")
    assert error.todo == "Write hsm:NUMBER?label=LABEL."


def test_no_repository_names_a_token() -> None:
    with pytest.raises(PolicyError):
        parse(VALID.replace("env:KEYTURN_ONLINE_KEY", "hsm:2").encode())
