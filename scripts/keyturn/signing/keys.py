"""Keys on a signer's machine, and public keys in the keyring.

A private key is named by a URI: ``file:PATH``, ``env:NAME``, ``ssh-agent:KEY``, ``hsm:KEY``, or one of a KMS
(:mod:`keyturn.signing.kms`). A person's URIs come from their own command line or configuration and never from
a repository (DESIGN section 3). Messages name the URI, never what it leads to: neither key nor passphrase
appears in an error, in a ``repr`` or in a traceback's own text.

One scheme per type of key, the one that every TUF client knows: Ed25519, ECDSA on P-256 or P-384 with the
hash of its size, RSASSA-PSS with SHA-256. An RSA key may also stand in a keyring under PKCS #1 v1.5, which
SSH agents and some hardware are limited to; its keyid then says so.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Literal, Protocol

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    SECP384R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa_key
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from securesystemslib.exceptions import KeyMismatchError, UnverifiedSignatureError
from securesystemslib.signer import CryptoSigner, Key, Signature, SSlibKey

from keyturn.errors import EnvironmentFault, RefusedError, UsageError

PASSPHRASE_VARIABLE = "KEYTURN_PASSPHRASE"  # noqa: S105 - the name of a variable
MAX_PEM_BYTES = 16 * 1024
MIN_RSA_BITS = 3072
MAX_RSA_BITS = 8192
NEW_RSA_BITS = 3072
MIN_RSA_EXPONENT = 65537

KeyKind = Literal["ed25519", "ecdsa", "rsa"]
PrivateKey = Ed25519PrivateKey | EllipticCurvePrivateKey | RSAPrivateKey
SupportedPublicKey = Ed25519PublicKey | EllipticCurvePublicKey | RSAPublicKey

_WHAT_SIGNS = "Keyturn signs with Ed25519, ECDSA on P-256 or P-384, and RSA"
_ED25519_PRIME = 2**255 - 19
_ED25519_ORDER_8_Y = 0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826
_ED25519_SMALL_ORDER_Y = frozenset(
    y % _ED25519_PRIME for y in (0, 1, -1, _ED25519_ORDER_8_Y, -_ED25519_ORDER_8_Y)
)

_KMS = ("awskms", "gcpkms", "azurekms", "vault")


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key pair that was just made.

    Args:
        pem: The private half, PKCS #8 PEM.
        public: The public half under the specification's keyid.
    """

    pem: bytes = field(repr=False)
    public: SSlibKey


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public key as a keyring file holds it: the file fixes the key, a keyid fixes the scheme.

    Args:
        choices: The same key under every scheme that its type allows; the usual scheme first.
    """

    choices: tuple[SSlibKey, ...]

    @property
    def default(self) -> SSlibKey:
        """The key under the usual scheme of its type."""
        return self.choices[0]

    def with_keyid(self, keyid: str) -> SSlibKey | None:
        """The key under the scheme that gives it this keyid; None if there is no such scheme."""
        return next((key for key in self.choices if key.keyid == keyid), None)


class PayloadSigner(Protocol):
    """What makes signatures as one key object: a private key at hand, or the program that keeps it."""

    def sign(self, payload: bytes) -> Signature:
        """Sign bytes.

        Args:
            payload: The exact bytes to sign.

        Returns:
            The signature under the keyid of the key object, not verified yet.

        Raises:
            KeyturnError: What keeps the key does not sign.
        """


@dataclass(frozen=True, slots=True)
class KeySigner:
    """A private key that is ready to sign.

    Args:
        uri: The URI that it came from, for messages.
        public: Its public half; ``public.keyid`` is the keyid that its signatures carry.
        warning: What is wrong with how the key is kept, one sentence for the person; empty if nothing.
        note: What a person should know about the key wherever it is shown, a few words; empty if nothing.
    """

    uri: str
    public: SSlibKey
    warning: str
    # From a key object to what signs as it; KeyMismatchError, ValueError or UnsupportedAlgorithm if the
    # object is of another key, or of a scheme that this one cannot sign by.
    _bind: Callable[[SSlibKey], PayloadSigner] = field(repr=False, compare=False)
    note: str = ""

    @classmethod
    def at_hand(cls, private: PrivateKey, *, uri: str, warning: str = "") -> KeySigner:
        """A signer whose private key is in memory.

        Args:
            private: The private key.
            uri: Where it came from, for messages.
            warning: What is wrong with how it is kept; empty if nothing.
        """
        public = SSlibKey.from_crypto(private.public_key())
        return cls(uri=uri, public=public, warning=warning, _bind=partial(CryptoSigner, private))

    def sign(self, payload: bytes) -> Signature:
        """Sign bytes, and verify the signature before anybody sees it.

        Args:
            payload: The exact bytes to sign.

        Returns:
            The signature under the keyid of ``public``.

        Raises:
            RefusedError: The fresh signature does not verify (reason ``self-check``): a fault in the key,
                the library or the machine.
            EnvironmentFault: The program that keeps the key does not sign.
        """
        signature = self._bind(self.public).sign(payload)
        try:
            self.public.verify_signature(signature, payload)
        except UnverifiedSignatureError as error:
            raise RefusedError(
                "the signature just made with this key does not verify with its public half",
                where=self.uri,
                todo="Do not use this key on this machine until you know why.",
                reason="self-check",
            ) from error
        return signature

    def as_key(self, key: Key) -> KeySigner | None:
        """The same private key, signing under the keyid and scheme of a key object from metadata.

        A repository may know a key under another scheme, or under a keyid that is not the specification's.

        Returns:
            A signer whose ``public`` is ``key``; None if ``key`` is another key, of a scheme that this one
            cannot sign by, or no usable key at all.
        """
        if not isinstance(key, SSlibKey):
            return None
        try:
            self._bind(key)
        except (KeyMismatchError, ValueError, UnsupportedAlgorithm):
            return None
        return replace(self, public=key)


def new_key(kind: KeyKind, passphrase: bytes | None) -> NewKey:
    """Make a key pair: Ed25519, ECDSA on P-256, or RSA of 3072 bits.

    Args:
        kind: ``ed25519``, ``ecdsa`` or ``rsa``.
        passphrase: Encrypts the PEM; None leaves it plain.

    Raises:
        UsageError: Another kind, or a passphrase that is empty or longer than 1023 bytes (reason
            ``passphrase``).
    """
    make = _MAKERS.get(kind)
    if make is None:
        raise UsageError(f"there is no key type {kind!r}", todo=f"Choose one of {', '.join(_MAKERS)}.")
    private = make()
    try:
        encryption: KeySerializationEncryption = (
            NoEncryption() if passphrase is None else BestAvailableEncryption(passphrase)
        )
        pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
    except ValueError:
        raise UsageError(
            "the passphrase is empty or too long", todo="Use 1 to 1023 bytes.", reason="passphrase"
        ) from None
    return NewKey(pem=pem, public=SSlibKey.from_crypto(private.public_key()))


def write_key_file(path: Path, pem: bytes) -> None:
    """Write a private key into a new file that only its owner can read (mode 0600).

    Raises:
        UsageError: There is something at ``path`` already (reason ``key-exists``); it is left as it is.
        EnvironmentFault: The file cannot be written.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise UsageError(
            "exists already and is not overwritten",
            where=str(path),
            todo="Choose another file, or move the old one away if you are sure that nobody needs it.",
            reason="key-exists",
        ) from None
    except (OSError, ValueError) as error:
        raise _cannot_write(path, error) from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        path.unlink(missing_ok=True)
        raise _cannot_write(path, error) from error


def load_signer(
    uri: str, *, env: Mapping[str, str], ask_passphrase: Callable[[str], str] | None
) -> KeySigner:
    """Open the private key that a URI names (SPEC: Commands, key URIs).

    Args:
        uri: ``file:PATH`` (``~/`` is the home directory), ``env:NAME`` (the variable holds PEM text),
            ``ssh-agent:`` and a fingerprint or a comment (see :mod:`keyturn.signing.agent`), a key in a KMS
            (:mod:`keyturn.signing.kms`) or on a token (:mod:`keyturn.signing.hsm`).
        env: The environment: NAME, ``KEYTURN_PASSPHRASE``, ``HOME`` and ``SSH_AUTH_SOCK`` are looked up in
            it. The libraries of a KMS and of tokens look into the process's own.
        ask_passphrase: Called with the URI when the key is encrypted or a token wants its PIN, and
            ``KEYTURN_PASSPHRASE`` is not set; None if there is nobody to ask.

    Raises:
        UsageError: Reason ``key-uri``: not a URI that this version opens; ``key-missing``: no such file or
            variable, or not in the agent; ``key-ambiguous``; ``bad-key``: not a private key that signs
            here; ``weak-key``; ``passphrase-needed``; ``wrong-passphrase``; ``key-version``.
        RefusedError: Reason ``bad-key`` or ``weak-key``: a key in a KMS that metadata cannot list.
        EnvironmentFault: The file cannot be read; the agent, KMS or token does not answer; reason
            ``missing-extra``: what speaks to it is not installed.
    """
    scheme, colon, rest = uri.partition(":")
    if not colon or not re.fullmatch(r"[a-z][a-z0-9+.-]{0,31}", scheme):
        # What was given may be the key itself, pasted by mistake, so it is not repeated.
        raise UsageError("a key URI begins with file:, env: or ssh-agent:", reason="key-uri")
    if scheme == "ssh-agent":
        from keyturn.signing.agent import SOCKET_VARIABLE, Agent, open_agent_key

        return open_agent_key(uri, rest, Agent(env.get(SOCKET_VARIABLE, "")))
    if scheme in _KMS:
        from keyturn.signing.kms import open_kms_key

        return open_kms_key(uri)
    if scheme == "hsm":
        from keyturn.signing.hsm import open_hsm_key

        return open_hsm_key(uri, env, ask_passphrase)
    if scheme == "file":
        pem, warning = _read_file(uri, rest, env)
    elif scheme == "env":
        pem, warning = _read_variable(rest, env), ""
    else:
        raise UsageError(
            f"the scheme {scheme}: not supported by this version",
            where=f"{scheme}:",
            todo="Use file:PATH, env:NAME or ssh-agent:SHA256:FINGERPRINT.",
            reason="key-uri",
        )
    private = _private_key(uri, pem, env, ask_passphrase)
    return KeySigner.at_hand(private, uri=uri, warning=warning)


def public_pem(key: Key) -> bytes:
    """A public key as ``keyring/<login>.pub`` holds it: one SubjectPublicKeyInfo PEM block.

    Raises:
        RefusedError: The key object cannot be read or is not of a supported type (reason ``bad-key``).
    """
    text = str(key.keyval.get("public", ""))
    try:
        if key.keytype == "ed25519":
            return _pem_of(Ed25519PublicKey.from_public_bytes(bytes.fromhex(text)))
        public = load_pem_public_key(text.encode("ascii"))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise RefusedError(
            f"the public half cannot be read as {key.keytype}", where=f"key {key.keyid}", reason="bad-key"
        ) from error
    if not isinstance(public, EllipticCurvePublicKey | RSAPublicKey):
        raise RefusedError(
            f"is of no supported type: {_WHAT_SIGNS}", where=f"key {key.keyid}", reason="bad-key"
        )
    return _pem_of(public)


def parse_public(pem: bytes, *, where: str) -> PublicKey:
    """Read ``keyring/<login>.pub``: exactly one SubjectPublicKeyInfo PEM block and nothing else.

    The block must be the one that encoding the key again gives, so that one key has one file and one
    fingerprint; only CRLF line ends and blanks at line ends are forgiven.

    Args:
        pem: The bytes of the file.
        where: The name of the file, for messages.

    Raises:
        RefusedError: Reason ``bad-key``: not one such block, or a type that is not supported;
            ``weak-key``: RSA below 3072 bits or with a small exponent, an Ed25519 point of small order.
    """
    if len(pem) > MAX_PEM_BYTES:
        raise RefusedError(f"larger than {MAX_PEM_BYTES} bytes", where=where, reason="bad-key")
    lines = [line.rstrip(b" \t\r") for line in pem.rstrip(b" \t\r\n").split(b"\n")]
    text = b"\n".join(lines) + b"\n"
    try:
        public = load_pem_public_key(text)
    except (ValueError, UnsupportedAlgorithm):
        raise RefusedError(
            "not a public key in PEM form",
            where=where,
            todo="The file holds one block, from -----BEGIN PUBLIC KEY----- to -----END PUBLIC KEY-----.",
            reason="bad-key",
        ) from None
    if not isinstance(public, SupportedPublicKey):
        raise RefusedError(f"is of no supported type: {_WHAT_SIGNS}", where=where, reason="bad-key")
    found = objection(public)
    if found is not None:
        raise RefusedError(found.what, where=where, reason=found.reason)
    if _pem_of(public) != text:
        raise RefusedError(
            "holds more than one plain public key block, or writes the key in another form than usual",
            where=where,
            todo="Write it anew with 'keyturn join', or with 'openssl pkey -pubout'.",
            reason="bad-key",
        )
    return PublicKey(tuple(SSlibKey.from_crypto(public, scheme=scheme) for scheme in _schemes(public)))


@dataclass(frozen=True, slots=True)
class Objection:
    """Why a key is not accepted.

    Args:
        reason: ``bad-key`` or ``weak-key``.
        what: The same in words.
    """

    reason: str
    what: str


def objection(public: SupportedPublicKey) -> Objection | None:
    """Why a key is not accepted, wherever it comes from; None if it is."""
    if isinstance(public, EllipticCurvePublicKey):
        if not isinstance(public.curve, SECP256R1 | SECP384R1):
            return Objection("bad-key", f"is on the curve {public.curve.name}: {_WHAT_SIGNS}")
    elif isinstance(public, RSAPublicKey):
        bits = public.key_size
        if not MIN_RSA_BITS <= bits <= MAX_RSA_BITS:
            return Objection(
                "weak-key", f"is RSA of {bits} bits; accepted are {MIN_RSA_BITS} to {MAX_RSA_BITS}"
            )
        if public.public_numbers().e < MIN_RSA_EXPONENT:
            return Objection("weak-key", f"is RSA with a public exponent below {MIN_RSA_EXPONENT}")
    else:
        # The top bit is the sign of x. Under a point of small order anybody can make signatures that
        # verify, and a coordinate beyond the prime is a second spelling of another key.
        y = int.from_bytes(public.public_bytes(Encoding.Raw, PublicFormat.Raw), "little") % 2**255
        if y >= _ED25519_PRIME or y in _ED25519_SMALL_ORDER_Y:
            return Objection("weak-key", "is an Ed25519 point of small order or in a second spelling")
    return None


def _schemes(public: SupportedPublicKey) -> Collection[str]:
    if isinstance(public, Ed25519PublicKey):
        return ("ed25519",)
    if isinstance(public, RSAPublicKey):
        return ("rsassa-pss-sha256", "rsa-pkcs1v15-sha256")
    return ("ecdsa-sha2-nistp256",) if isinstance(public.curve, SECP256R1) else ("ecdsa-sha2-nistp384",)


def _pem_of(public: SupportedPublicKey) -> bytes:
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def _read_file(uri: str, rest: str, env: Mapping[str, str]) -> tuple[bytes, str]:
    """The bytes of a key file, and a warning if others can read it."""
    if "\n" in rest or not rest:
        raise UsageError("names no file", where="file:", todo="Write file:PATH.", reason="key-uri")
    if rest.startswith("//"):
        if not rest.startswith("///"):
            raise UsageError(
                "a file: URI names no host", where=uri, todo="Write file:PATH.", reason="key-uri"
            )
        rest = rest[2:]
    if rest.startswith("~/") and env.get("HOME"):
        rest = f"{env['HOME']}/{rest[2:]}"
    try:
        with Path(rest).open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            data = file.read(MAX_PEM_BYTES + 1)
    except FileNotFoundError:
        raise UsageError(
            "there is no such file",
            where=uri,
            todo="Make a key with: keyturn key new FILE",
            reason="key-missing",
        ) from None
    except IsADirectoryError:
        raise UsageError(
            "is a directory", where=uri, todo="Name the key file in it.", reason="bad-key"
        ) from None
    except (OSError, ValueError) as error:
        raise EnvironmentFault(f"cannot be read: {_why(error)}", where=uri) from error
    shared = os.name == "posix" and stat.S_ISREG(mode) and stat.S_IMODE(mode) & 0o077
    warning = (
        f"{uri}: others on this machine may use this key file (mode {stat.S_IMODE(mode):04o}); "
        "make it yours alone with: chmod 600"
    )
    return data, warning if shared else ""


def _read_variable(name: str, env: Mapping[str, str]) -> bytes:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,127}", name):
        raise UsageError(
            "does not name an environment variable",
            where="env:",
            todo="Write env:NAME; the variable NAME holds the key as PEM text.",
            reason="key-uri",
        )
    text = env.get(name, "")
    if not text.strip():
        raise UsageError(
            "the variable is not set or empty",
            where=f"env:{name}",
            todo="Put the private key into it as PEM text.",
            reason="key-missing",
        )
    return text.encode("utf-8", "surrogateescape")


def _private_key(
    uri: str, pem: bytes, env: Mapping[str, str], ask_passphrase: Callable[[str], str] | None
) -> PrivateKey:
    if len(pem) > MAX_PEM_BYTES:
        raise UsageError(f"larger than {MAX_PEM_BYTES} bytes: no key", where=uri, reason="bad-key")
    # The library's own errors are cut off with "from None": nothing that saw the key is shown.
    private: object
    try:
        private = load_pem_private_key(pem, None)
    except TypeError:
        private = _decrypted(uri, pem, env, ask_passphrase)
    except (ValueError, UnsupportedAlgorithm):
        raise _unreadable(uri, pem) from None
    if not isinstance(private, PrivateKey):
        raise UsageError(f"is of no supported type: {_WHAT_SIGNS}", where=uri, reason="bad-key")
    found = objection(private.public_key())
    if found is not None:
        raise UsageError(
            found.what,
            where=uri,
            todo="Make another key with: keyturn key new FILE",
            reason=found.reason,
        )
    return private


def _decrypted(
    uri: str, pem: bytes, env: Mapping[str, str], ask_passphrase: Callable[[str], str] | None
) -> object:
    passphrase = env.get(PASSPHRASE_VARIABLE, "")
    if not passphrase and ask_passphrase is not None:
        passphrase = ask_passphrase(uri)
    if not passphrase:
        raise UsageError(
            "the key is encrypted and there is no passphrase",
            where=uri,
            todo=f"Set {PASSPHRASE_VARIABLE}, or run this where you can be asked.",
            reason="passphrase-needed",
        )
    try:
        return load_pem_private_key(pem, passphrase.encode("utf-8", "surrogateescape"))
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise UsageError(
            "the passphrase does not open this key",
            where=uri,
            todo="Try again; if the passphrase is right, the file is damaged.",
            reason="wrong-passphrase",
        ) from None


def _unreadable(uri: str, pem: bytes) -> UsageError:
    if b"-----BEGIN OPENSSH PRIVATE KEY-----" in pem:
        what = "is in OpenSSH's own form, not PKCS #8 PEM"
        todo = "Make a key for this purpose alone with: keyturn key new FILE"
    elif b"-----BEGIN PUBLIC KEY-----" in pem:
        what, todo = "is a public key", "Name the private half."
    else:
        what, todo = "is not a private key in PEM form", "Make a key with: keyturn key new FILE"
    return UsageError(what, where=uri, todo=todo, reason="bad-key")


def _cannot_write(path: Path, error: Exception) -> EnvironmentFault:
    return EnvironmentFault(f"cannot be written: {_why(error)}", where=str(path))


def _why(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


_MAKERS: Mapping[str, Callable[[], PrivateKey]] = {
    "ed25519": Ed25519PrivateKey.generate,
    "ecdsa": lambda: generate_private_key(SECP256R1()),
    "rsa": lambda: generate_rsa_key(MIN_RSA_EXPONENT, NEW_RSA_BITS),
}
