"""Keys in an SSH agent: finding one, and having it sign.

A client of the two requests of the agent protocol that are needed, "request identities" and "sign request",
over the UNIX socket that ``SSH_AUTH_SOCK`` names. The private key stays in the agent. Whatever the agent
answers is bounded in length and read strictly; a signature is turned into the form that TUF gives it:

===================================  =======================  ==========================================
key in the agent                     TUF scheme               the agent's signature becomes
===================================  =======================  ==========================================
``ssh-ed25519``                      ``ed25519``              the same 64 bytes
``ecdsa-sha2-nistp256``              ``ecdsa-sha2-nistp256``  DER of the two numbers r and s
``ecdsa-sha2-nistp384``              ``ecdsa-sha2-nistp384``  DER of the two numbers r and s
``ssh-rsa``, asked for rsa-sha2-256  ``rsa-pkcs1v15-sha256``  the same bytes, as many as the modulus has
===================================  =======================  ==========================================

Security keys (``sk-``) sign a structure of their own around the bytes, and an agent makes no RSASSA-PSS
signature, so neither can be used.
"""

from __future__ import annotations

import base64
import hashlib
import re
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import cast

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    SSHCertificate,
    load_ssh_public_identity,
    load_ssh_public_key,
)
from securesystemslib.exceptions import KeyMismatchError
from securesystemslib.signer import Signature, SSlibKey

from keyturn.errors import EnvironmentFault, UsageError
from keyturn.signing.keys import KeySigner, SupportedPublicKey, objection
from keyturn.state import fingerprint

SOCKET_VARIABLE = "SSH_AUTH_SOCK"
MAX_MESSAGE = 256 * 1024
"""Bytes in one message of the protocol; OpenSSH's agent hangs up on whoever sends more."""
LIST_SECONDS = 10.0
SIGN_SECONDS = 120.0
"""A person may have to confirm the use, or touch a token."""
SHARED = "shared with git push"

_FAILURE = 5
_REQUEST_IDENTITIES = 11
_IDENTITIES = 12
_SIGN_REQUEST = 13
_SIGNATURE = 14
_RSA_SHA2_256 = 2
_LENGTH_BYTES = 4
_ED25519_SIGNATURE_BYTES = 64
_SIGN_BIT = 0x80

_SHA256 = "SHA256:"
_FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{43}")
_CERTIFICATE = "-cert-v01@openssh.com"
_SHA1_SIGNATURE = "ssh-rsa"
_UNREADABLE = (ValueError, UnsupportedAlgorithm, NotImplementedError)
"""What the library raises for an SSH key that it cannot read."""
_ADD = "`ssh-add -c FILE`"
_START = f'Start one with `eval "$(ssh-agent)"`, and add the key with {_ADD}.'


class AgentError(EnvironmentFault):
    """The SSH agent is not there, does not answer as the protocol says, or does not sign.

    Args:
        what: What it is or does; "the SSH agent" is put before it.
        todo: What the person should do next.
        reason: Stable lower-case word for programs.
    """

    default_reason = "agent-protocol"

    def __init__(self, what: str, *, todo: str = "", reason: str = "") -> None:
        super().__init__(f"the SSH agent {what}", todo=todo, reason=reason)


@dataclass(frozen=True, slots=True)
class _Algorithm:
    """How a key of one SSH type signs.

    Args:
        scheme: The TUF scheme of its signatures.
        keytypes: The TUF key types that go with it; the usual one first.
        signature: The name that the agent's signature carries.
        flags: What the sign request asks for.
    """

    scheme: str
    keytypes: tuple[str, ...]
    signature: str
    flags: int = 0


_ALGORITHMS: Mapping[str, _Algorithm] = {
    "ssh-ed25519": _Algorithm("ed25519", ("ed25519",), "ssh-ed25519"),
    "ssh-rsa": _Algorithm("rsa-pkcs1v15-sha256", ("rsa",), "rsa-sha2-256", _RSA_SHA2_256),
    **{
        name: _Algorithm(name, ("ecdsa", name), name)
        for name in ("ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384")
    },
}


@dataclass(frozen=True, slots=True)
class AgentKey:
    """A key that an agent says it holds.

    Args:
        kind: SSH type, e.g. ``ssh-ed25519``; text from the agent.
        blob: The public key in SSH's encoding.
        comment: Its comment; text from the agent, undecodable bytes as lone surrogates.
    """

    kind: str
    blob: bytes = field(repr=False)
    comment: str

    @property
    def is_certificate(self) -> bool:
        """Whether this is a certificate, which an agent lists beside its key."""
        return self.kind.endswith(_CERTIFICATE)

    @property
    def fingerprint(self) -> str:
        """``SHA256:`` and unpadded base64, as ``ssh-add -l`` shows it: of a certificate, its key's."""
        digest = hashlib.sha256(_certified(self) if self.is_certificate else self.blob).digest()
        return _SHA256 + base64.b64encode(digest).decode("ascii").rstrip("=")


@dataclass(frozen=True, slots=True)
class Agent:
    """An SSH agent; each request has a connection of its own.

    Args:
        path: Path of its UNIX socket; empty if none is known.
        list_seconds: How long the agent may be silent when it is asked for its keys.
        sign_seconds: How long it may be silent when it is asked to sign.
    """

    path: str
    list_seconds: float = LIST_SECONDS
    sign_seconds: float = SIGN_SECONDS

    def keys(self) -> tuple[AgentKey, ...]:
        """The keys that the agent holds, in its order.

        Raises:
            AgentError: Reason ``no-agent``, ``agent-timeout``, ``agent-gone``, ``agent-refused``,
                ``agent-protocol``; ``agent-empty`` if it holds none, or is locked.
        """
        keys = parse_identities(self._exchange(bytes([_REQUEST_IDENTITIES]), self.list_seconds))
        if not keys:
            raise AgentError(
                "holds no key: it is empty, or locked",
                todo=f"Unlock it with `ssh-add -X`, or add the key with {_ADD}.",
                reason="agent-empty",
            )
        return keys

    def sign(self, key: AgentKey, payload: bytes) -> bytes:
        """Have a key sign.

        Args:
            key: A key that the agent listed, of a type that can be used.
            payload: The exact bytes to sign.

        Returns:
            The signature in SSH's encoding, without the name of its algorithm.

        Raises:
            AgentError: As for :meth:`keys`; ``payload-too-large``; ``agent-refused`` if a person or the
                agent declined; ``key-missing`` if the key is gone; ``agent-sha1`` from an agent that knows
                RSA with SHA-1 only.
        """
        algorithm = _ALGORITHMS[key.kind]
        request = bytes([_SIGN_REQUEST]) + _string(key.blob) + _string(payload) + _uint32(algorithm.flags)
        if len(request) > MAX_MESSAGE:
            raise AgentError(
                f"takes no message above {MAX_MESSAGE} bytes, and the payload to sign has {len(payload)}",
                todo="Sign with a key in a file (file:PATH).",
                reason="payload-too-large",
            )
        answer = self._exchange(request, self.sign_seconds)
        if answer == bytes([_FAILURE]):
            raise self._why_not(key)
        name, signature = parse_signature(answer)
        if name == _SHA1_SIGNATURE:
            raise AgentError(
                "signed with SHA-1, although SHA-256 was asked for",
                todo="Use a newer agent (OpenSSH 7.2 or later), or an Ed25519 key.",
                reason="agent-sha1",
            )
        if name != algorithm.signature:
            raise _malformed("a signature of another kind than was asked for")
        return signature

    def _why_not(self, key: AgentKey) -> AgentError:
        """The protocol has one answer for every refusal; whether the key is still there tells them apart."""
        if key.blob not in {held.blob for held in self.keys()}:
            return AgentError(
                "does not hold the key any more", todo=f"Add it again with {_ADD}.", reason="key-missing"
            )
        return AgentError(
            "did not sign: its use was declined, or nobody could be asked",
            todo="Confirm when it asks. To ask, `ssh-add -c` needs a program such as ssh-askpass; "
            "a key added with `ssh-add -h` signs for logging in only.",
            reason="agent-refused",
        )

    def _exchange(self, request: bytes, seconds: float) -> bytes:
        """One request and its answer: the message type and what follows it, at least one byte."""
        with self._connected(seconds) as connection:
            try:
                connection.sendall(_string(request))
                length = int.from_bytes(_receive(connection, _LENGTH_BYTES), "big")
                if not 1 <= length <= MAX_MESSAGE:
                    raise _malformed(f"a message of {length} bytes")
                return _receive(connection, length)
            except TimeoutError:
                raise AgentError(
                    f"was silent for {seconds:g} seconds",
                    todo="If it waits for you to confirm or to touch a token, do so; then try again.",
                    reason="agent-timeout",
                ) from None
            except OSError as error:
                raise _gone(error.strerror or str(error)) from error

    def _connected(self, seconds: float) -> socket.socket:
        if not hasattr(socket, "AF_UNIX"):
            raise AgentError(
                "cannot be reached: this system's Python has no UNIX sockets (Windows is not supported yet)",
                todo="Use a key in a file: file:PATH.",
                reason="no-agent",
            )
        if not self.path:
            raise AgentError(f"is not known: {SOCKET_VARIABLE} is not set", todo=_START, reason="no-agent")
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.settimeout(seconds)
            connection.connect(self.path)
        except OSError as error:
            connection.close()
            raise AgentError(
                f"does not answer at {SOCKET_VARIABLE}={self.path}: {error.strerror or error}",
                todo=_START,
                reason="no-agent",
            ) from error
        return connection


@dataclass(frozen=True, slots=True)
class AgentSigner:
    """A key in an agent, signing as one key object of metadata.

    Args:
        agent: The agent.
        held: The key, as the agent knows it.
        public: Its public half.
        keyid: The keyid that the signatures carry.
    """

    agent: Agent
    held: AgentKey
    public: SupportedPublicKey
    keyid: str

    def sign(self, payload: bytes) -> Signature:
        """Have the agent sign, and give the signature the form that TUF knows; it is not verified yet.

        Raises:
            AgentError: As :meth:`Agent.sign` says.
        """
        return Signature(self.keyid, _tuf_signature(self.public, self.agent.sign(self.held, payload)).hex())


def open_agent_key(uri: str, wanted: str, agent: Agent) -> KeySigner:
    """Find the key in an agent that a URI names (SPEC: Commands, key URIs).

    Args:
        uri: The whole URI, for messages.
        wanted: What follows ``ssh-agent:``: a fingerprint (``SHA256:`` and 43 characters of base64) or a
            whole comment. A comment names a key only if no other key in the agent has it.
        agent: The agent.

    Raises:
        UsageError: Reason ``key-uri``: neither fingerprint nor comment; ``key-missing``: the agent does not
            hold it; ``key-ambiguous``: a comment of several keys; ``bad-key``: a key that cannot be used,
            with the reason; ``weak-key``.
        AgentError: As :meth:`Agent.keys` says.
    """
    if not wanted or (wanted.startswith(_SHA256) and not _FINGERPRINT.fullmatch(wanted)):
        raise UsageError(
            "names no key in the SSH agent",
            where="ssh-agent:",
            todo="Write ssh-agent:SHA256:FINGERPRINT as `ssh-add -l` shows it, or ssh-agent:COMMENT.",
            reason="key-uri",
        )
    held = choose(agent.keys(), wanted, uri=uri)
    public = _usable(held, uri)
    scheme = _ALGORITHMS[held.kind].scheme
    return KeySigner(
        uri=uri,
        public=SSlibKey.from_crypto(public, scheme=scheme),
        warning="",
        _bind=partial(_bind, agent, held, public),
        note=SHARED,
    )


def choose(keys: Sequence[AgentKey], wanted: str, *, uri: str) -> AgentKey:
    """The one key that a fingerprint or a comment names.

    An agent lists a certificate beside its key, with the same fingerprint and comment; the key is meant.

    Args:
        keys: What the agent holds.
        wanted: A fingerprint or a whole comment.
        uri: The whole URI, for messages.

    Raises:
        UsageError: Reason ``key-missing``: none; ``key-ambiguous``: several keys have this comment.
    """
    by_fingerprint = wanted.startswith(_SHA256)
    named = [key for key in keys if wanted == (key.fingerprint if by_fingerprint else key.comment)]
    found = [key for key in named if not key.is_certificate] or named
    if not found:
        raise UsageError(
            "the SSH agent does not hold this key",
            where=uri,
            todo=f"Look with `ssh-add -l` what it holds; add the key with {_ADD}.",
            reason="key-missing",
        )
    marks = sorted({key.fingerprint for key in found})
    if len(marks) > 1:
        raise UsageError(
            f"{len(marks)} keys in the SSH agent have this comment: {', '.join(marks)}",
            where=uri,
            todo="Name the one that you mean by its fingerprint: ssh-agent:SHA256:...",
            reason="key-ambiguous",
        )
    return found[0]


def parse_identities(answer: bytes) -> tuple[AgentKey, ...]:
    """Read an agent's answer to "request identities".

    Args:
        answer: The message: its type and what follows.

    Raises:
        AgentError: Reason ``agent-refused``: the agent says that it failed; ``agent-protocol``: malformed.
    """
    if answer == bytes([_FAILURE]):
        raise AgentError("refuses to say which keys it holds", reason="agent-refused")
    reader = _Reader(answer)
    if reader.byte() != _IDENTITIES:
        raise _malformed("no list of keys")
    keys = []
    # However large the number claims to be, each turn of the loop needs bytes that are really there.
    for _ in range(reader.uint32()):
        blob = reader.string()
        comment = reader.string().decode("utf-8", "surrogateescape")
        keys.append(AgentKey(kind=_name(_Reader(blob)), blob=blob, comment=comment))
    reader.end()
    return tuple(keys)


def parse_signature(answer: bytes) -> tuple[str, bytes]:
    """Read an agent's answer to a sign request.

    Args:
        answer: The message: its type and what follows.

    Returns:
        The name of the signature's algorithm, and the signature in the encoding of that algorithm.

    Raises:
        AgentError: Malformed (reason ``agent-protocol``).
    """
    reader = _Reader(answer)
    if reader.byte() != _SIGNATURE:
        raise _malformed("no signature")
    inner = _Reader(reader.string())
    reader.end()
    name, signature = _name(inner), inner.string()
    inner.end()
    return name, signature


class _Reader:
    """Reads the encoding of RFC 4251 section 5 from its start to its end."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def _take(self, size: int) -> bytes:
        end = self._at + size
        if end > len(self._data):
            raise _malformed("a message that ends too early")
        piece = self._data[self._at : end]
        self._at = end
        return piece

    def byte(self) -> int:
        return self._take(1)[0]

    def uint32(self) -> int:
        return int.from_bytes(self._take(_LENGTH_BYTES), "big")

    def string(self) -> bytes:
        return self._take(self.uint32())

    def positive(self, size: int) -> int:
        """An mpint that is not negative and has at most ``size`` bytes besides the one for its sign."""
        data = self.string()
        if len(data) > size + 1 or (data and data[0] & _SIGN_BIT):
            raise _malformed("a number out of its range")
        return int.from_bytes(data, "big")

    def end(self) -> None:
        if self._at != len(self._data):
            raise _malformed("a message with more in it than there should be")


def _name(reader: _Reader) -> str:
    try:
        return reader.string().decode("ascii")
    except UnicodeDecodeError:
        raise _malformed("a name that is not ASCII") from None


def _string(data: bytes) -> bytes:
    return _uint32(len(data)) + data


def _uint32(number: int) -> bytes:
    return number.to_bytes(_LENGTH_BYTES, "big")


def _receive(connection: socket.socket, size: int) -> bytes:
    received = bytearray()
    while len(received) < size:
        piece = connection.recv(size - len(received))
        if not piece:
            raise _gone("it closed the connection")
        received += piece
    return bytes(received)


def _certified(certificate: AgentKey) -> bytes:
    """The key in a certificate, in SSH's encoding; the certificate itself if it cannot be read."""
    try:
        read = cast("SSHCertificate", load_ssh_public_identity(_line(certificate)))
    except _UNREADABLE:
        return certificate.blob
    return base64.b64decode(read.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).split()[1])


def _line(key: AgentKey) -> bytes:
    """A key as a line of ``authorized_keys``, the form that the library reads."""
    return key.kind.encode("ascii") + b" " + base64.b64encode(key.blob)


def _usable(held: AgentKey, uri: str) -> SupportedPublicKey:
    """The public half of a key that can sign here.

    Raises:
        UsageError: It cannot (reasons ``bad-key``, ``weak-key``).
    """
    reason, what = "bad-key", _no_signing_key(held)
    public = None if what else _public_half(held)
    if public is not None:
        found = objection(public)
        if found is not None:
            reason, what = found.reason, found.what
        else:
            return public
    raise UsageError(
        what or "is damaged: the public half that the agent gives cannot be read",
        where=uri,
        todo="Make another key, for instance with: ssh-keygen -t ed25519",
        reason=reason,
    )


def _no_signing_key(held: AgentKey) -> str:
    """Why keys of this type cannot be used; empty if they can."""
    if held.is_certificate:
        return "is a certificate: metadata lists plain keys, and the agent does not list this one's own"
    if held.kind.startswith("sk-"):
        return (
            f"is a security key ({held.kind}): it wraps what it signs, so that TUF clients cannot verify it"
        )
    if held.kind not in _ALGORITHMS:
        return (
            f"is of the type {held.kind}: in an agent, Ed25519, ECDSA on P-256 or P-384, and RSA can be used"
        )
    return ""


def _public_half(held: AgentKey) -> SupportedPublicKey | None:
    try:
        public = load_ssh_public_key(_line(held))
    except _UNREADABLE:
        return None
    return cast("SupportedPublicKey", public)


def _bind(agent: Agent, held: AgentKey, public: SupportedPublicKey, key: SSlibKey) -> AgentSigner:
    """The key in the agent, signing as a key object.

    Raises:
        ValueError: The key object is of another type or scheme, or cannot be read.
        KeyMismatchError: It is another key.
    """
    algorithm = _ALGORITHMS[held.kind]
    if key.scheme != algorithm.scheme or key.keytype not in algorithm.keytypes:
        raise ValueError(f"an SSH agent does not sign as {key.keytype}, {key.scheme} with {held.kind}")
    if fingerprint(key) != fingerprint(SSlibKey.from_crypto(public)):
        raise KeyMismatchError("the key object is not of the key in the agent")
    return AgentSigner(agent=agent, held=held, public=public, keyid=key.keyid)


def _tuf_signature(public: SupportedPublicKey, signature: bytes) -> bytes:
    """A signature in SSH's encoding as TUF writes it."""
    if isinstance(public, EllipticCurvePublicKey):
        reader = _Reader(signature)
        r, s = (reader.positive(_bytes_of(public.key_size)) for _ in range(2))
        reader.end()
        return encode_dss_signature(r, s)
    size = _ED25519_SIGNATURE_BYTES
    if isinstance(public, RSAPublicKey):
        size = _bytes_of(public.key_size)
        # An agent may leave out zeros at the front (RFC 4253 section 6.6); PKCS #1 wants them.
        signature = signature.rjust(size, b"\0")
    if len(signature) != size:
        raise _malformed(f"a signature of {len(signature)} bytes")
    return signature


def _bytes_of(bits: int) -> int:
    return (bits + 7) // 8


def _malformed(what: str) -> AgentError:
    return AgentError(
        f"answered with {what}", todo="Restart it; if that does not mend it, use another agent."
    )


def _gone(why: str) -> AgentError:
    return AgentError(f"went away without an answer: {why}", todo=_START, reason="agent-gone")
