"""Keys in an SSH agent: which one a URI names, what is refused, and what a bad agent's answers lead to.

The agents here are small servers that answer as a test says; a real one is in
``integration/test_ssh_agent.py``.
"""

from __future__ import annotations

import base64
import hashlib
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, SHA384
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    SSHCertificateBuilder,
    SSHCertificateType,
)
from hypothesis import given
from hypothesis import strategies as st
from securesystemslib.signer import SSlibKey

from keyturn.errors import EnvironmentFault, KeyturnError, RefusedError, UsageError
from keyturn.signing import KeySigner, load_signer
from keyturn.signing import agent as agent_module
from keyturn.signing.agent import (
    Agent,
    AgentError,
    AgentKey,
    open_agent_key,
    parse_identities,
    parse_signature,
)
from keyturn.state import spec_keyid

FAILURE = b"\x05"
PRIVATE = Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def string(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


def mpint(number: int) -> bytes:
    return string(number.to_bytes(number.bit_length() // 8 + 1, "big"))


def blob_of(private: object) -> bytes:
    """The public half in SSH's encoding."""
    public = private.public_key()  # type: ignore[attr-defined]
    return base64.b64decode(public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).split()[1])


def listing(*keys: tuple[bytes, bytes]) -> bytes:
    """An agent's answer to "request identities"."""
    body = b"".join(string(blob) + string(comment) for blob, comment in keys)
    return b"\x0c" + len(keys).to_bytes(4, "big") + body


def signed(name: bytes, signature: bytes) -> bytes:
    """An agent's answer to a sign request."""
    return b"\x0e" + string(string(name) + string(signature))


def fingerprint_of(blob: bytes) -> str:
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


@cache
def private_of(kind: str) -> PRIVATE:
    """One key of each kind; making an RSA key takes a while."""
    if kind == "ed25519":
        return Ed25519PrivateKey.generate()
    curves = {"p256": ec.SECP256R1(), "p384": ec.SECP384R1(), "p521": ec.SECP521R1()}
    if kind in curves:
        return ec.generate_private_key(curves[kind])
    return rsa.generate_private_key(65537, int(kind.removeprefix("rsa-")))


@cache
def answer_of(private: PRIVATE, payload: bytes) -> bytes:
    """What a good agent answers to a sign request."""
    if isinstance(private, Ed25519PrivateKey):
        return signed(b"ssh-ed25519", private.sign(payload))
    if isinstance(private, rsa.RSAPrivateKey):
        return signed(b"rsa-sha2-256", private.sign(payload, padding.PKCS1v15(), SHA256()))
    size = private.curve.key_size
    der = private.sign(payload, ec.ECDSA(SHA256() if size == 256 else SHA384()))
    r, s = decode_dss_signature(der)
    return signed(f"ecdsa-sha2-nistp{size}".encode(), mpint(r) + mpint(s))


Answer = bytes | Callable[[bytes], bytes]


@dataclass
class FakeAgent:
    """Gives one answer a connection, as scripted; the last one again and again.

    An answer is the message without its length, or a function of the request that returns all raw bytes.
    """

    directory: Path
    answers: Sequence[Answer]
    requests: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.path = str(self.directory / "agent")
        self._server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._server.bind(self.path)
        self._server.listen()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        turn = 0
        while True:
            connection, _ = self._server.accept()
            with connection, connection.makefile("rb") as stream:
                size = int.from_bytes(stream.read(4), "big")
                if not size:
                    return
                self.requests.append(stream.read(size))
                answer = self.answers[min(turn, len(self.answers) - 1)]
                turn += 1
                with suppress(ConnectionError):  # the other side may have heard enough
                    connection.sendall(answer(self.requests[-1]) if callable(answer) else string(answer))

    def close(self) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.connect(self.path)
        self._thread.join(10)
        self._server.close()


Start = Callable[..., FakeAgent]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts fake agents, under a path that is short enough for a socket."""
    with ExitStack() as stack:

        def started(*answers: Answer) -> FakeAgent:
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            fake = FakeAgent(directory, answers)
            stack.callback(fake.close)
            return fake

        yield started


def holding(start: Start, private: PRIVATE, comment: str = "alice") -> FakeAgent:
    """A good agent with one key."""

    def sign(request: bytes) -> bytes:
        rest = request[1:]
        fields = []
        for _ in range(2):
            size = int.from_bytes(rest[:4], "big")
            fields.append(rest[4 : 4 + size])
            rest = rest[4 + size :]
        assert fields[0] == blob_of(private)
        return string(answer_of(private, fields[1]))

    return start(listing((blob_of(private), comment.encode())), sign)


def opened(fake: FakeAgent, wanted: str = "alice") -> KeySigner:
    return load_signer(f"ssh-agent:{wanted}", env={"SSH_AUTH_SOCK": fake.path}, ask_passphrase=None)


def refusal(call: Callable[[], object]) -> KeyturnError:
    with pytest.raises(KeyturnError) as caught:
        call()
    assert caught.value.todo or caught.value.reason in ("agent-refused", "self-check")
    return caught.value


# Signing

SCHEMES = {
    "ed25519": "ed25519",
    "p256": "ecdsa-sha2-nistp256",
    "p384": "ecdsa-sha2-nistp384",
    "rsa-3072": "rsa-pkcs1v15-sha256",
}


@pytest.mark.parametrize("kind", SCHEMES)
def test_a_key_in_the_agent_signs_as_a_tuf_key(start: Start, kind: str) -> None:
    private = private_of(kind)

    signer = opened(holding(start, private), fingerprint_of(blob_of(private)))
    signature = signer.sign(b"payload")

    expected = SSlibKey.from_crypto(private.public_key(), scheme=SCHEMES[kind])
    assert signer.public == expected
    assert signature.keyid == spec_keyid(expected)
    expected.verify_signature(signature, b"payload")


def test_the_signer_says_what_else_the_key_is_for_and_shows_no_more(start: Start) -> None:
    signer = opened(holding(start, private_of("ed25519")))

    assert (signer.note, signer.warning, signer.uri) == ("shared with git push", "", "ssh-agent:alice")
    assert "_bind" not in repr(signer)


@pytest.mark.parametrize(("kind", "flags"), [("ed25519", 0), ("p256", 0), ("rsa-3072", 2)])
def test_only_rsa_asks_for_another_hash(start: Start, kind: str, flags: int) -> None:
    fake = holding(start, private_of(kind))

    opened(fake).sign(b"x")

    blob = blob_of(private_of(kind))
    assert fake.requests[0] == b"\x0b"
    assert fake.requests[1] == b"\x0d" + string(blob) + string(b"x") + flags.to_bytes(4, "big")


def test_numbers_with_the_highest_bit_set_are_read_as_positive() -> None:
    private = private_of("p256")
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    number = 2**256 - 1

    der = agent_module._tuf_signature(private.public_key(), mpint(number) + mpint(1))

    assert decode_dss_signature(der) == (number, 1)


def test_an_rsa_signature_may_come_without_its_leading_zeros() -> None:
    private = private_of("rsa-3072")
    assert isinstance(private, rsa.RSAPrivateKey)

    assert agent_module._tuf_signature(private.public_key(), b"\x01" * 380) == bytes(4) + b"\x01" * 380


def test_a_signature_over_other_bytes_never_leaves(start: Start) -> None:
    private = private_of("ed25519")
    signer = opened(start(listing((blob_of(private), b"alice")), answer_of(private, b"other")))

    error = refusal(lambda: signer.sign(b"payload"))

    assert (type(error), error.reason, error.where) == (RefusedError, "self-check", "ssh-agent:alice")


# Signing as a key that metadata knows


def test_the_signer_takes_the_keyid_that_the_metadata_gives_its_key(start: Start) -> None:
    signer = opened(holding(start, private_of("ed25519")))
    known = SSlibKey("an old keyid", "ed25519", "ed25519", signer.public.keyval)

    same = signer.as_key(known)

    assert same is not None
    assert (same.note, same.uri) == (signer.note, signer.uri)
    assert same.sign(b"x").keyid == "an old keyid"
    known.verify_signature(same.sign(b"x"), b"x")


def test_the_old_key_type_of_ecdsa_is_known_too(start: Start) -> None:
    signer = opened(holding(start, private_of("p256")))
    known = SSlibKey("k", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256", signer.public.keyval)

    assert signer.as_key(known) is not None


def test_the_signer_is_no_other_key_and_signs_by_no_other_scheme(start: Start) -> None:
    signer = opened(holding(start, private_of("rsa-3072")))
    value = signer.public.keyval
    scheme = "rsa-pkcs1v15-sha256"
    others = [
        SSlibKey.from_crypto(private_of("rsa-2048").public_key(), scheme=scheme),
        SSlibKey.from_crypto(private_of("ed25519").public_key()),
        SSlibKey("k", "rsa", "rsassa-pss-sha256", value),
        SSlibKey("k", "rsa", "rsa-pkcs1v15-sha512", value),
        SSlibKey("k", scheme, scheme, value),
        SSlibKey("k", "rsa", scheme, {"public": "no pem"}),
    ]

    assert [signer.as_key(key) for key in others] == [None] * len(others)


# Which key a URI names


def certificate_of(private: PRIVATE, principal: bytes = b"me") -> bytes:
    built = (
        SSHCertificateBuilder()
        .public_key(private.public_key())
        .serial(1)
        .type(SSHCertificateType.USER)
        .key_id(b"id")
        .valid_principals([principal])
        .valid_before(2**64 - 1)
        .valid_after(0)
        .sign(private_of("ed25519"))
    )
    return base64.b64decode(built.public_bytes().split()[1])


def test_a_comment_names_a_key_by_all_of_it(start: Start) -> None:
    keys = [(blob_of(private_of(kind)), kind.encode()) for kind in ("ed25519", "p256")]
    fake = start(listing(*keys))

    assert opened(fake, "p256").public.scheme == "ecdsa-sha2-nistp256"
    assert refusal(lambda: opened(fake, "p25")).reason == "key-missing"


def test_a_comment_that_is_not_utf8_is_still_one(start: Start) -> None:
    fake = start(listing((blob_of(private_of("ed25519")), b"caf\xe9")))

    assert opened(fake, "caf\udce9").public.scheme == "ed25519"


@pytest.mark.parametrize("wanted", ["bob", fingerprint_of(b"another key")])
def test_a_key_that_the_agent_does_not_hold(start: Start, wanted: str) -> None:
    fake = start(listing((blob_of(private_of("ed25519")), b"alice")))

    error = refusal(lambda: opened(fake, wanted))

    assert (type(error), error.reason, error.where) == (UsageError, "key-missing", f"ssh-agent:{wanted}")


def test_a_comment_of_two_keys_names_none_of_them(start: Start) -> None:
    blobs = [blob_of(private_of(kind)) for kind in ("ed25519", "p256")]
    fake = start(listing(*((blob, b"me@host") for blob in blobs)))

    error = refusal(lambda: opened(fake, "me@host"))

    assert (type(error), error.reason) == (UsageError, "key-ambiguous")
    assert all(fingerprint_of(blob) in str(error) for blob in blobs)
    assert opened(fake, fingerprint_of(blobs[1])).public.scheme == "ecdsa-sha2-nistp256"


def test_a_comment_is_ambiguous_also_if_only_one_of_its_keys_could_sign(start: Start) -> None:
    security_key = string(b"sk-ssh-ed25519@openssh.com") + string(bytes(32)) + string(b"ssh:")
    fake = start(listing((blob_of(private_of("ed25519")), b"me"), (security_key, b"me")))

    assert refusal(lambda: opened(fake, "me")).reason == "key-ambiguous"


def test_nothing_but_a_fingerprint_is_looked_for_where_a_fingerprint_is_named(start: Start) -> None:
    mark = fingerprint_of(b"another key")
    fake = start(listing((blob_of(private_of("ed25519")), mark.encode())))

    assert refusal(lambda: opened(fake, mark)).reason == "key-missing"


@pytest.mark.parametrize("by", ["comment", "fingerprint"])
@pytest.mark.parametrize("first", ["key", "certificate"])
def test_a_certificate_beside_its_key_is_passed_over(start: Start, by: str, first: str) -> None:
    private = private_of("p256")
    entries = [(blob_of(private), b"alice"), (certificate_of(private), b"alice")]
    fake = start(listing(*(entries if first == "key" else reversed(entries))))

    signer = opened(fake, "alice" if by == "comment" else fingerprint_of(blob_of(private)))

    assert signer.public.scheme == "ecdsa-sha2-nistp256"


@pytest.mark.parametrize("wanted", ["", "SHA256:", "SHA256:abc", f"SHA256:{'A' * 44}", f"SHA256:{'-' * 43}"])
def test_a_uri_that_can_name_no_key_is_refused_before_an_agent_is_asked(wanted: str) -> None:
    error = refusal(lambda: load_signer(f"ssh-agent:{wanted}", env={}, ask_passphrase=None))

    assert (type(error), error.reason) == (UsageError, "key-uri")


# Keys that cannot be used


@cache
def dsa_blob() -> bytes:
    numbers = dsa.generate_parameters(1024).generate_private_key().public_key().public_numbers()
    parameters = numbers.parameter_numbers
    return string(b"ssh-dss") + b"".join(map(mpint, (parameters.p, parameters.q, parameters.g, numbers.y)))


def with_exponent_3() -> bytes:
    private = private_of("rsa-3072")
    assert isinstance(private, rsa.RSAPrivateKey)
    return string(b"ssh-rsa") + mpint(3) + mpint(private.public_key().public_numbers().n)


def compressed() -> bytes:
    private = private_of("p256")
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    point = private.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    return string(b"ecdsa-sha2-nistp256") + string(b"nistp256") + string(point)


UNUSABLE: dict[str, tuple[Callable[[], bytes], str, str]] = {
    "security key": (
        lambda: string(b"sk-ssh-ed25519@openssh.com") + string(bytes(32)) + string(b"ssh:"),
        "bad-key",
        "wraps what it signs",
    ),
    "ecdsa security key": (
        lambda: string(b"sk-ecdsa-sha2-nistp256@openssh.com") + string(b"nistp256") + string(bytes(65)),
        "bad-key",
        "wraps what it signs",
    ),
    "certificate": (lambda: certificate_of(private_of("p256")), "bad-key", "is a certificate"),
    "broken certificate": (lambda: string(b"ssh-rsa-cert-v01@openssh.com"), "bad-key", "is a certificate"),
    "security key's certificate": (
        lambda: string(b"sk-ssh-ed25519-cert-v01@openssh.com") + string(b"nonce"),
        "bad-key",
        "is a certificate",
    ),
    "dsa": (dsa_blob, "bad-key", "of the type ssh-dss"),
    "p521": (lambda: blob_of(private_of("p521")), "bad-key", "of the type ecdsa-sha2-nistp521"),
    "type of tomorrow": (lambda: string(b"ssh-tomorrow"), "bad-key", "of the type ssh-tomorrow"),
    "no type": (lambda: string(b""), "bad-key", "of the type"),
    "short ed25519": (lambda: string(b"ssh-ed25519") + string(bytes(31)), "bad-key", "cannot be read"),
    "more than a key": (lambda: blob_of(private_of("ed25519")) + b"\0", "bad-key", "cannot be read"),
    "compressed point": (compressed, "bad-key", "cannot be read"),
    "another curve": (
        lambda: string(b"ecdsa-sha2-nistp256") + blob_of(private_of("p384"))[23:],
        "bad-key",
        "cannot be read",
    ),
    "rsa-2048": (lambda: blob_of(private_of("rsa-2048")), "weak-key", "RSA of 2048 bits"),
    "rsa-1024": (lambda: blob_of(private_of("rsa-1024")), "weak-key", "RSA of 1024 bits"),
    "rsa-exponent-3": (with_exponent_3, "weak-key", "exponent below 65537"),
    "small order": (lambda: string(b"ssh-ed25519") + string(bytes(32)), "weak-key", "small order"),
}


@pytest.mark.parametrize("case", UNUSABLE)
def test_keys_that_cannot_be_used_are_refused_with_the_reason(start: Start, case: str) -> None:
    make, reason, says = UNUSABLE[case]
    fake = start(listing((make(), b"alice")))

    error = refusal(lambda: opened(fake))

    assert (type(error), error.reason, error.where) == (UsageError, reason, "ssh-agent:alice")
    assert says in str(error)


def test_a_certificate_without_its_key_is_found_by_the_fingerprint_that_ssh_add_shows(start: Start) -> None:
    private = private_of("p256")
    fake = start(listing((certificate_of(private), b"")))

    assert "is a certificate" in str(refusal(lambda: opened(fake, fingerprint_of(blob_of(private)))))


# Agents that are not there, are locked, or decline


def test_no_agent_is_known() -> None:
    error = refusal(lambda: load_signer("ssh-agent:alice", env={}, ask_passphrase=None))

    assert (type(error), error.reason, error.where) == (AgentError, "no-agent", "")
    assert isinstance(error, EnvironmentFault)
    assert str(error) == "the SSH agent is not known: SSH_AUTH_SOCK is not set"


@pytest.mark.parametrize("there", ["nothing", "file", "socket that nobody listens at", "long path"])
def test_no_agent_answers(there: str) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "x" * 200 if there == "long path" else "agent")
        if there == "file":
            path.touch()
        elif there.startswith("socket"):
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
                server.bind(str(path))

        error = refusal(lambda: Agent(str(path)).keys())

    assert error.reason == "no-agent"
    assert f"SSH_AUTH_SOCK={path}: " in str(error)


def test_a_system_without_unix_sockets_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(socket, "AF_UNIX")

    error = refusal(lambda: Agent("somewhere").keys())

    assert error.reason == "no-agent"
    assert "Windows is not supported yet" in str(error)


def test_an_agent_without_keys_may_be_locked(start: Start) -> None:
    error = refusal(lambda: opened(start(listing())))

    assert (error.reason, "locked" in str(error)) == ("agent-empty", True)
    assert "ssh-add -X" in error.todo


def test_an_agent_that_does_not_list_its_keys(start: Start) -> None:
    assert refusal(lambda: opened(start(FAILURE))).reason == "agent-refused"


def test_a_use_that_was_declined(start: Start) -> None:
    keys = listing((blob_of(private_of("ed25519")), b"alice"))
    signer = opened(start(keys, FAILURE, keys))

    error = refusal(lambda: signer.sign(b"x"))

    assert (type(error), error.reason) == (AgentError, "agent-refused")
    assert "declined" in str(error)


def test_a_key_that_was_taken_out_meanwhile(start: Start) -> None:
    keys = listing((blob_of(private_of("ed25519")), b"alice"))
    others = listing((blob_of(private_of("p256")), b"alice"))
    signer = opened(start(keys, FAILURE, others))

    assert refusal(lambda: signer.sign(b"x")).reason == "key-missing"


def test_an_agent_that_was_locked_meanwhile(start: Start) -> None:
    keys = listing((blob_of(private_of("ed25519")), b"alice"))
    signer = opened(start(keys, FAILURE, listing()))

    assert refusal(lambda: signer.sign(b"x")).reason == "agent-empty"


def test_an_agent_that_knows_rsa_with_sha1_only(start: Start) -> None:
    private = private_of("rsa-3072")
    assert isinstance(private, rsa.RSAPrivateKey)
    old = signed(b"ssh-rsa", private.sign(b"x", padding.PKCS1v15(), SHA1()))  # noqa: S303 - that is the point
    signer = opened(start(listing((blob_of(private), b"alice")), old))

    error = refusal(lambda: signer.sign(b"x"))

    assert (error.reason, "SHA-1" in str(error)) == ("agent-sha1", True)


def test_an_agent_that_says_nothing_is_given_up() -> None:
    with (
        tempfile.TemporaryDirectory() as directory,
        socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server,
    ):
        path = f"{directory}/agent"
        server.bind(path)
        server.listen()
        held = AgentKey("ssh-ed25519", blob_of(private_of("ed25519")), "")

        listed = refusal(lambda: Agent(path, list_seconds=0.02).keys())
        sign = refusal(lambda: Agent(path, sign_seconds=0.01).sign(held, b"x"))

    assert (listed.reason, sign.reason) == ("agent-timeout", "agent-timeout")
    assert "0.02 seconds" in str(listed)
    assert "0.01 seconds" in str(sign)


def test_a_person_has_longer_to_confirm_than_an_agent_to_list() -> None:
    assert Agent("").sign_seconds > Agent("").list_seconds


# Answers that are not of the protocol


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "agent-gone"),
        (b"\0\0", "agent-gone"),
        (b"\0\0\0\x05\x0c", "agent-gone"),
        (b"\0\0\0\0", "agent-protocol"),
        (b"\0\x04\0\x01", "agent-protocol"),
        (b"\xff\xff\xff\xff", "agent-protocol"),
    ],
)
def test_messages_of_a_wrong_length(start: Start, raw: bytes, reason: str) -> None:
    error = refusal(lambda: opened(start(lambda request: raw)))

    assert (type(error), error.reason) == (AgentError, reason)


def test_an_agent_that_breaks_the_connection() -> None:
    def reset(server: socket.socket) -> None:
        connection, _ = server.accept()
        connection.close()  # with the request unread, which the other side is told

    with (
        tempfile.TemporaryDirectory() as directory,
        socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server,
    ):
        server.bind(f"{directory}/agent")
        server.listen()
        thread = threading.Thread(target=reset, args=(server,))
        thread.start()
        error = refusal(
            lambda: Agent(f"{directory}/agent").sign(
                AgentKey("ssh-ed25519", b"x", ""), bytes(agent_module.MAX_MESSAGE - 100)
            )
        )
        thread.join(10)

    assert error.reason == "agent-gone"


def test_the_largest_message_is_taken_and_one_more_byte_is_not(start: Start) -> None:
    blob = blob_of(private_of("ed25519"))
    overhead = len(listing((blob, b"")))
    comment = b"c" * (agent_module.MAX_MESSAGE - overhead)

    assert len(Agent(start(listing((blob, comment))).path).keys()) == 1
    assert (
        refusal(lambda: Agent(start(listing((blob, comment + b"c"))).path).keys()).reason == "agent-protocol"
    )


def test_a_payload_that_no_agent_takes_is_refused_before_it_is_sent(start: Start) -> None:
    private = private_of("ed25519")
    fake = holding(start, private)
    signer = opened(fake)
    largest = agent_module.MAX_MESSAGE - 13 - len(blob_of(private))

    signer.sign(bytes(largest))
    error = refusal(lambda: signer.sign(bytes(largest + 1)))

    assert (error.reason, "file:PATH" in error.todo) == ("payload-too-large", True)
    assert [len(request) for request in fake.requests] == [1, agent_module.MAX_MESSAGE]


BAD_LISTS = {
    "another message": b"\x06",
    "failure and more": FAILURE + b"\0",
    "no number": b"\x0c\0\0",
    "more keys claimed than there": b"\x0c\xff\xff\xff\xff",
    "fewer keys claimed than there": b"\x0c\0\0\0\0" + listing((b"\0\0\0\0", b""))[5:],
    "a length beyond the end": b"\x0c\0\0\0\x01\xff\xff\xff\xff",
    "no comment": b"\x0c\0\0\0\x01" + string(string(b"ssh-ed25519")),
    "an empty blob": listing((b"", b"alice")),
    "a type beyond its blob": listing((b"\0\0\0\x09ssh", b"alice")),
    "a type that is not ascii": listing((string(b"\xff"), b"alice")),
}


@pytest.mark.parametrize("case", BAD_LISTS)
def test_a_malformed_list_of_keys(start: Start, case: str) -> None:
    error = refusal(lambda: opened(start(BAD_LISTS[case])))

    assert (type(error), error.reason, error.where) == (AgentError, "agent-protocol", "")


BAD_SIGNATURES: dict[str, tuple[str, bytes]] = {
    "another message": ("ed25519", listing()),
    "failure and more": ("ed25519", FAILURE + b"\0"),
    "nothing": ("ed25519", b"\x0e"),
    "more behind": ("ed25519", signed(b"ssh-ed25519", bytes(64)) + b"\0"),
    "more inside": ("ed25519", b"\x0e" + string(string(b"ssh-ed25519") + string(bytes(64)) + b"\0")),
    "name alone": ("ed25519", b"\x0e" + string(string(b"ssh-ed25519"))),
    "name not ascii": ("ed25519", signed(b"\xff", bytes(64))),
    "another algorithm": ("ed25519", signed(b"rsa-sha2-256", bytes(64))),
    "sha1 of another key": ("ed25519", signed(b"ssh-dss", bytes(64))),
    "a larger hash": ("rsa-3072", signed(b"rsa-sha2-512", bytes(384))),
    "ed25519 too short": ("ed25519", signed(b"ssh-ed25519", bytes(63))),
    "ed25519 too long": ("ed25519", signed(b"ssh-ed25519", bytes(65))),
    "rsa too long": ("rsa-3072", signed(b"rsa-sha2-256", bytes(385))),
    "ecdsa without s": ("p256", signed(b"ecdsa-sha2-nistp256", mpint(1))),
    "ecdsa with more": ("p256", signed(b"ecdsa-sha2-nistp256", mpint(1) * 3)),
    "ecdsa negative": ("p256", signed(b"ecdsa-sha2-nistp256", string(b"\x80") + mpint(1))),
    "ecdsa too long": ("p256", signed(b"ecdsa-sha2-nistp256", string(bytes(34)) + mpint(1))),
}


@pytest.mark.parametrize("case", BAD_SIGNATURES)
def test_a_malformed_signature(start: Start, case: str) -> None:
    kind, answer = BAD_SIGNATURES[case]
    signer = opened(start(listing((blob_of(private_of(kind)), b"alice")), answer))

    error = refusal(lambda: signer.sign(b"x"))

    assert (type(error), error.reason, error.where) == (AgentError, "agent-protocol", "")


@pytest.mark.parametrize(
    ("kind", "signature"),
    [
        ("p256", mpint(0) + mpint(0)),
        ("p256", string(b"") + string(b"")),
        ("rsa-3072", b""),
        ("ed25519", bytes(64)),
    ],
)
def test_a_well_formed_signature_of_nothing_does_not_pass_the_self_check(
    start: Start, kind: str, signature: bytes
) -> None:
    name = {"p256": b"ecdsa-sha2-nistp256", "rsa-3072": b"rsa-sha2-256", "ed25519": b"ssh-ed25519"}[kind]
    signer = opened(start(listing((blob_of(private_of(kind)), b"alice")), signed(name, signature)))

    assert refusal(lambda: signer.sign(b"x")).reason == "self-check"


# Any answer at all


def spoiled(data: st.DataObject, original: bytes) -> bytes:
    """The original with a stretch of it replaced."""
    start, end = sorted(data.draw(st.tuples(*[st.integers(0, len(original))] * 2)))
    return original[:start] + data.draw(st.binary(max_size=12)) + original[end:]


names = st.text(st.characters(max_codepoint=126, min_codepoint=33), max_size=30)


@given(st.lists(st.tuples(names, st.binary(max_size=40), st.text(max_size=20)), max_size=4))
def test_a_list_of_keys_is_read_as_it_was_written(keys: list[tuple[str, bytes, str]]) -> None:
    written = [(string(kind.encode()) + rest, comment.encode()) for kind, rest, comment in keys]

    read = parse_identities(listing(*written))

    assert [(key.kind, key.comment) for key in read] == [(kind, comment) for kind, _, comment in keys]
    assert [key.blob for key in read] == [blob for blob, _ in written]
    assert [key.fingerprint for key in read if not key.is_certificate] == [
        fingerprint_of(key.blob) for key in read if not key.is_certificate
    ]


@given(names, st.binary(max_size=100))
def test_a_signature_is_read_as_it_was_written(name: str, signature: bytes) -> None:
    assert parse_signature(signed(name.encode(), signature)) == (name, signature)


@given(st.data())
def test_no_list_of_keys_raises_anything_but_our_error(data: st.DataObject) -> None:
    kinds = data.draw(st.lists(st.sampled_from(["ed25519", "p256", "p384", "p521"]), max_size=3))
    entries = [(blob_of(private_of(kind)), b"alice") for kind in kinds]
    entries.append((certificate_of(private_of("p256")), b"alice"))
    answer = spoiled(data, listing(*entries))

    try:
        for key in parse_identities(answer):
            assert key.fingerprint.startswith("SHA256:")
            agent_module._usable(key, "ssh-agent:alice")
    except KeyturnError as error:
        assert error.reason in {"agent-protocol", "agent-refused", "bad-key", "weak-key"}


@given(st.sampled_from(["ed25519", "p256", "rsa-3072"]), st.data())
def test_no_signature_raises_anything_but_our_error(kind: str, data: st.DataObject) -> None:
    private = private_of(kind)
    answer = spoiled(data, answer_of(private, b"payload"))

    try:
        _, signature = parse_signature(answer)
        converted = agent_module._tuf_signature(private.public_key(), signature)
    except AgentError as error:
        assert error.reason == "agent-protocol"
    else:
        assert converted


def test_opening_by_hand_takes_the_agent_as_it_is_given(start: Start) -> None:
    fake = holding(start, private_of("ed25519"))

    signer = open_agent_key("ssh-agent:alice", "alice", Agent(fake.path, list_seconds=5, sign_seconds=5))

    signer.public.verify_signature(signer.sign(b"x"), b"x")
