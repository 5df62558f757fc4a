"""Keys: made, written, opened by URI, shown; what is refused, and that no message tells a secret."""

from __future__ import annotations

import base64
import os
import stat
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import given
from hypothesis import strategies as st
from securesystemslib.signer import CryptoSigner, Key, Signature, SSlibKey

from keyturn.errors import EnvironmentFault, KeyturnError, RefusedError, UsageError
from keyturn.signing import (
    KeySigner,
    NewKey,
    load_signer,
    new_key,
    parse_public,
    public_pem,
    write_key_file,
)
from keyturn.signing import keys as keys_module
from keyturn.state import spec_keyid

KINDS = ("ed25519", "ecdsa", "rsa")
SECRET = "correct horse battery"
EDWARDS_PRIME = 2**255 - 19
ORDER_8 = bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05")


@cache
def key_of(kind: keys_module.KeyKind) -> NewKey:
    """One plain key of each kind; making an RSA key takes a while."""
    return new_key(kind, None)


@cache
def rsa_private(bits: int, exponent: int = 65537) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(exponent, bits)


def pem_of(private: object, encoding: PrivateFormat = PrivateFormat.PKCS8) -> bytes:
    result: bytes = private.private_bytes(Encoding.PEM, encoding, NoEncryption())  # type: ignore[attr-defined]
    return result


def public_of(private: object) -> bytes:
    public = private.public_key()  # type: ignore[attr-defined]
    result: bytes = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return result


def open_text(pem: bytes, passphrase: str = "", ask: Callable[[str], str] | None = None) -> KeySigner:
    env = {"KEY": pem.decode(), "KEYTURN_PASSPHRASE": passphrase}
    return load_signer("env:KEY", env=env, ask_passphrase=ask)


def refusal(call: Callable[[], object]) -> KeyturnError:
    with pytest.raises(KeyturnError) as caught:
        call()
    error = caught.value
    assert SECRET not in f"{error} {error.todo} {error!r}"
    return error


# Making and writing


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_key_signs_and_its_public_half_verifies(kind: keys_module.KeyKind) -> None:
    made = key_of(kind)
    signer = open_text(made.pem)

    signature = signer.sign(b"payload")

    made.public.verify_signature(signature, b"payload")
    assert signature.keyid == signer.public.keyid == spec_keyid(made.public)


@pytest.mark.parametrize(
    ("kind", "keytype", "scheme"),
    [
        ("ed25519", "ed25519", "ed25519"),
        ("ecdsa", "ecdsa", "ecdsa-sha2-nistp256"),
        ("rsa", "rsa", "rsassa-pss-sha256"),
    ],
)
def test_each_type_has_one_scheme(kind: keys_module.KeyKind, keytype: str, scheme: str) -> None:
    public = key_of(kind).public

    assert (public.keytype, public.scheme) == (keytype, scheme)


def test_a_new_rsa_key_has_3072_bits() -> None:
    public = keys_module.load_pem_public_key(public_pem(key_of("rsa").public))

    assert isinstance(public, rsa.RSAPublicKey)
    assert public.key_size == 3072


def test_a_p384_key_signs_with_its_own_scheme() -> None:
    signer = open_text(pem_of(ec.generate_private_key(ec.SECP384R1())))

    assert signer.public.scheme == "ecdsa-sha2-nistp384"
    signer.public.verify_signature(signer.sign(b"x"), b"x")


def test_an_unknown_key_type_is_a_usage_error() -> None:
    assert "dsa" in str(refusal(lambda: new_key("dsa", None)))  # type: ignore[arg-type]


@pytest.mark.parametrize("passphrase", [b"", b"x" * 1024])
def test_a_passphrase_that_cannot_encrypt_is_refused(passphrase: bytes) -> None:
    assert refusal(lambda: new_key("ed25519", passphrase)).reason == "passphrase"


def test_neither_new_key_nor_signer_shows_the_private_half() -> None:
    made = new_key("ed25519", None)

    assert "PRIVATE" not in repr(made)
    assert "_private" not in repr(open_text(made.pem))


def test_a_key_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "alice.pem"

    write_key_file(path, b"pem")

    assert path.read_bytes() == b"pem"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("there", ["file", "dangling link"])
def test_a_key_file_is_never_overwritten(tmp_path: Path, there: str) -> None:
    path = tmp_path / "alice.pem"
    if there == "file":
        path.write_bytes(b"the only copy")
    else:
        path.symlink_to(tmp_path / "elsewhere")

    error = refusal(lambda: write_key_file(path, b"pem"))

    assert (type(error), error.reason) == (UsageError, "key-exists")
    assert [child.name for child in tmp_path.iterdir()] == ["alice.pem"]


def test_a_key_file_in_no_directory_is_a_fault(tmp_path: Path) -> None:
    assert isinstance(refusal(lambda: write_key_file(tmp_path / "no" / "k", b"pem")), EnvironmentFault)


def test_a_key_file_that_could_not_be_finished_is_taken_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)

    error = refusal(lambda: write_key_file(tmp_path / "k.pem", b"pem"))

    assert "No space left" in str(error)
    assert list(tmp_path.iterdir()) == []


# Opening by URI


@pytest.mark.parametrize("form", ["file:{path}", "file://{path}", "file:~/k.pem"])
def test_a_file_is_opened(tmp_path: Path, form: str) -> None:
    path = tmp_path / "k.pem"
    write_key_file(path, key_of("ed25519").pem)

    signer = load_signer(form.format(path=path), env={"HOME": str(tmp_path)}, ask_passphrase=None)

    assert signer.public.keyid == key_of("ed25519").public.keyid
    assert signer.warning == ""


@pytest.mark.parametrize(("mode", "warned"), [(0o600, False), (0o400, False), (0o640, True), (0o604, True)])
def test_a_key_that_others_may_read_is_warned_of(tmp_path: Path, mode: int, warned: bool) -> None:
    path = tmp_path / "k.pem"
    path.write_bytes(key_of("ed25519").pem)
    path.chmod(mode)

    warning = load_signer(f"file:{path}", env={}, ask_passphrase=None).warning

    assert bool(warning) == warned
    assert not warned or (f"{mode:04o}" in warning and str(path) in warning)


def test_a_key_handed_over_through_a_pipe_is_opened() -> None:
    reader, writer = os.pipe()
    os.write(writer, key_of("ed25519").pem)
    os.close(writer)
    try:
        signer = load_signer(f"file:/dev/fd/{reader}", env={}, ask_passphrase=None)
    finally:
        os.close(reader)

    assert signer.warning == ""


def test_the_passphrase_comes_from_the_environment_without_asking() -> None:
    made = new_key("ecdsa", SECRET.encode())

    def nobody(uri: str) -> str:
        raise AssertionError(uri)

    assert open_text(made.pem, SECRET, nobody).public.keyid == made.public.keyid


def test_the_passphrase_is_asked_for_once_with_the_uri() -> None:
    made = new_key("ed25519", SECRET.encode())
    asked: list[str] = []

    def person(uri: str) -> str:
        asked.append(uri)
        return SECRET

    assert open_text(made.pem, "", person).public.keyid == made.public.keyid
    assert asked == ["env:KEY"]


def test_an_encrypted_key_and_nobody_to_ask() -> None:
    made = new_key("ed25519", SECRET.encode())

    error = refusal(lambda: open_text(made.pem))

    assert (error.reason, error.where) == ("passphrase-needed", "env:KEY")


@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
def test_a_wrong_passphrase(form: PrivateFormat) -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    pem = private.private_bytes(Encoding.PEM, form, BestAvailableEncryption(b"another one"))

    error = refusal(lambda: open_text(pem, SECRET))

    assert (error.reason, error.where) == ("wrong-passphrase", "env:KEY")
    assert error.__suppress_context__


def test_a_plain_key_needs_no_passphrase_even_if_there_is_one() -> None:
    assert open_text(key_of("ed25519").pem, SECRET).public.keyid == key_of("ed25519").public.keyid


@pytest.mark.parametrize(
    ("uri", "reason", "says"),
    [
        ("KEY", "key-uri", "begins with file:, env: or ssh-agent:"),
        ("", "key-uri", "begins with file:, env: or ssh-agent:"),
        (f"-----BEGIN {SECRET}\nProc-Type: 4", "key-uri", "begins with file:, env: or ssh-agent:"),
        (f"env:{SECRET}", "key-uri", "does not name"),
        ("env:", "key-uri", "does not name"),
        ("env:NOT_SET", "key-missing", "not set or empty"),
        ("env:EMPTY", "key-missing", "not set or empty"),
        ("file:", "key-uri", "names no file"),
        (f"file:-----BEGIN\n{SECRET}", "key-uri", "names no file"),
        ("file://host/key", "key-uri", "no host"),
        ("file:/no/such/key", "key-missing", "no such file"),
        ("ssh-agent:SHA256:abc", "key-uri", "names no key in the SSH agent"),
        (f"awskms:{SECRET} {SECRET}", "key-uri", "names no key in AWS KMS"),
        ("gcpkms:x", "key-uri", "names no key in Google Cloud KMS"),
        ("azurekms:x", "key-uri", "names no key in Azure Key Vault"),
        ("vault:a/b/c", "key-uri", "names no key in Vault"),
        ("hsm:x", "key-uri", "names no key on a token"),
        ("pkcs11:x", "key-uri", "the scheme pkcs11: not supported by this version"),
        ("gpg:x", "key-uri", "the scheme gpg: not supported by this version"),
    ],
)
def test_uris_that_lead_nowhere(uri: str, reason: str, says: str) -> None:
    error = refusal(lambda: load_signer(uri, env={"EMPTY": " \n"}, ask_passphrase=None))

    assert (type(error), error.reason) == (UsageError, reason)
    assert says in str(error)


def test_a_directory_is_no_key(tmp_path: Path) -> None:
    error = refusal(lambda: load_signer(f"file:{tmp_path}", env={}, ask_passphrase=None))

    assert (error.reason, error.where) == ("bad-key", f"file:{tmp_path}")


def test_a_path_through_a_file_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    error = refusal(lambda: load_signer(f"file:{tmp_path}/file/key", env={}, ask_passphrase=None))

    assert isinstance(error, EnvironmentFault)


def test_a_path_that_cannot_exist_is_a_fault() -> None:
    error = refusal(lambda: load_signer("file:a\0b", env={}, ask_passphrase=None))

    assert isinstance(error, EnvironmentFault)


NO_SIGNING_KEYS: dict[str, tuple[Callable[[], bytes], str, str]] = {
    "words": (SECRET.encode, "bad-key", "not a private key in PEM form"),
    "no text": (lambda: b"\xff\xfe", "bad-key", "not a private key in PEM form"),
    "large": (lambda: b"x" * 20_000, "bad-key", "larger than 16384 bytes"),
    "public": (lambda: public_of(Ed25519PrivateKey.generate()), "bad-key", "is a public key"),
    "openssh": (
        lambda: pem_of(Ed25519PrivateKey.generate(), PrivateFormat.OpenSSH),
        "bad-key",
        "OpenSSH's own form",
    ),
    "ed448": (lambda: pem_of(ed448.Ed448PrivateKey.generate()), "bad-key", "no supported type"),
    "p521": (lambda: pem_of(ec.generate_private_key(ec.SECP521R1())), "bad-key", "curve secp521r1"),
    "dsa": (lambda: pem_of(dsa.generate_private_key(2048)), "bad-key", "no supported type"),
    "rsa-2048": (lambda: pem_of(rsa_private(2048)), "weak-key", "RSA of 2048 bits"),
    "rsa-exponent-3": (lambda: pem_of(rsa_private(3072, 3)), "weak-key", "exponent below 65537"),
}


@pytest.mark.parametrize("case", NO_SIGNING_KEYS)
def test_files_that_do_not_sign_here(tmp_path: Path, case: str) -> None:
    make, reason, says = NO_SIGNING_KEYS[case]
    path = tmp_path / "k.pem"
    path.write_bytes(make())

    error = refusal(lambda: load_signer(f"file:{path}", env={}, ask_passphrase=None))

    assert (type(error), error.reason, error.where) == (UsageError, reason, f"file:{path}")
    assert says in str(error)


def test_a_signature_that_does_not_verify_never_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    signer = open_text(key_of("ed25519").pem)

    def faulty(self: CryptoSigner, payload: bytes) -> Signature:
        return Signature(self.public_key.keyid, "00" * 64)

    monkeypatch.setattr(CryptoSigner, "sign", faulty)

    error = refusal(lambda: signer.sign(b"payload"))

    assert (type(error), error.reason) == (RefusedError, "self-check")


# Signing as a key that metadata knows under another name


def test_a_signer_takes_the_keyid_and_scheme_that_the_metadata_gives_its_key() -> None:
    signer = open_text(key_of("rsa").pem)
    known = SSlibKey("an old keyid", "rsa", "rsa-pkcs1v15-sha256", signer.public.keyval)

    same = signer.as_key(known)

    assert same is not None
    assert same.sign(b"x").keyid == "an old keyid"
    known.verify_signature(same.sign(b"x"), b"x")


def test_a_signer_is_no_other_key() -> None:
    signer = open_text(key_of("ed25519").pem)
    other = new_key("ed25519", None).public
    broken = SSlibKey("k", "ed25519", "ed25519", {"public": "zz"})
    odd = SSlibKey("k", "ed25519", "no-such-scheme", signer.public.keyval)

    class ForeignKey(Key):
        @classmethod
        def from_dict(cls, keyid: str, key_dict: dict[str, object]) -> ForeignKey:
            raise NotImplementedError

        def to_dict(self) -> dict[str, object]:
            raise NotImplementedError

        def verify_signature(self, signature: Signature, data: bytes) -> None:
            raise NotImplementedError

    foreign = ForeignKey("k", "t", "s", {})

    for key in (other, broken, odd, key_of("rsa").public, foreign):
        assert signer.as_key(key) is None


# Public keys in the keyring


@pytest.mark.parametrize("kind", KINDS)
def test_a_public_key_is_read_as_it_was_written(kind: keys_module.KeyKind) -> None:
    key = key_of(kind).public

    read = parse_public(public_pem(key), where="keyring/alice.pub")

    assert read.default == key
    assert read.with_keyid(key.keyid) == key
    assert read.with_keyid("0" * 64) is None


def test_an_rsa_key_may_stand_under_either_of_its_schemes() -> None:
    read = parse_public(public_pem(key_of("rsa").public), where="x")

    assert [key.scheme for key in read.choices] == ["rsassa-pss-sha256", "rsa-pkcs1v15-sha256"]
    assert all(read.with_keyid(spec_keyid(key)) == key for key in read.choices)


def test_crlf_and_blanks_at_line_ends_change_nothing() -> None:
    pem = public_pem(key_of("ecdsa").public)

    assert parse_public(pem.replace(b"\n", b" \r\n") + b"\n \n", where="x").default == key_of("ecdsa").public
    assert parse_public(pem.rstrip(), where="x").default == key_of("ecdsa").public


def compressed(private: ec.EllipticCurvePrivateKey) -> bytes:
    """The same P-256 key with a compressed point: another file, the same key."""
    prefix = bytes.fromhex("3039301306072a8648ce3d020106082a8648ce3d030107032200")
    point = private.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    text = base64.encodebytes(prefix + point).decode()
    return f"-----BEGIN PUBLIC KEY-----\n{text}-----END PUBLIC KEY-----\n".encode()


def raw_ed25519(point: bytes) -> bytes:
    return Ed25519PublicKey.from_public_bytes(point).public_bytes(
        Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
    )


ONE = public_pem(key_of("ed25519").public)


NOT_ONE_GOOD_KEY: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", "bad-key"),
    "empty block": (lambda: b"-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n", "bad-key"),
    "no text": (lambda: b"\xff" * 100, "bad-key"),
    "two blocks": (lambda: ONE + ONE, "bad-key"),
    "words before": (lambda: b"words\n" + ONE, "bad-key"),
    "words after": (lambda: ONE + b"words\n", "bad-key"),
    "other line breaks": (lambda: ONE.replace(b"KEY-----\nMC", b"KEY-----\nM\nC"), "bad-key"),
    "large": (lambda: ONE + b"\n" * 20_000, "bad-key"),
    "private": (lambda: key_of("ed25519").pem, "bad-key"),
    "compressed point": (lambda: compressed(ec.generate_private_key(ec.SECP256R1())), "bad-key"),
    "p521": (lambda: public_of(ec.generate_private_key(ec.SECP521R1())), "bad-key"),
    "ed448": (lambda: public_of(ed448.Ed448PrivateKey.generate()), "bad-key"),
    "rsa-2048": (lambda: public_of(rsa_private(2048)), "weak-key"),
    "rsa-exponent-3": (lambda: public_of(rsa_private(3072, 3)), "weak-key"),
}


@pytest.mark.parametrize("case", NOT_ONE_GOOD_KEY)
def test_what_is_not_one_good_public_key_is_refused(case: str) -> None:
    make, reason = NOT_ONE_GOOD_KEY[case]

    error = refusal(lambda: parse_public(make(), where="keyring/alice.pub"))

    assert (type(error), error.reason, error.where) == (RefusedError, reason, "keyring/alice.pub")


def test_rsa_that_is_slow_to_verify_is_refused() -> None:
    numbers = rsa.RSAPublicNumbers(65537, 2**8200 + 1)

    error = refusal(
        lambda: parse_public(
            numbers.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo), where="x"
        )
    )

    assert error.reason == "weak-key"


def negated(point: bytes) -> bytes:
    y = int.from_bytes(point, "little") % 2**255
    return ((EDWARDS_PRIME - y) % EDWARDS_PRIME).to_bytes(32, "little")


@pytest.mark.parametrize(
    "point",
    [
        (0).to_bytes(32, "little"),
        (1).to_bytes(32, "little"),
        (EDWARDS_PRIME - 1).to_bytes(32, "little"),
        ORDER_8,
        negated(ORDER_8),
        ORDER_8[:31] + bytes([ORDER_8[31] | 0x80]),
        EDWARDS_PRIME.to_bytes(32, "little"),
        (EDWARDS_PRIME + 1).to_bytes(32, "little"),
        b"\xff" * 32,
    ],
    ids=bytes.hex,
)
def test_an_ed25519_point_under_which_anybody_signs_is_refused(point: bytes) -> None:
    assert refusal(lambda: parse_public(raw_ed25519(point), where="x")).reason == "weak-key"


@pytest.mark.parametrize("point", [(1).to_bytes(32, "little"), ORDER_8, negated(ORDER_8)], ids=bytes.hex)
def test_why_such_points_are_refused(point: bytes) -> None:
    key = SSlibKey("k", "ed25519", "ed25519", {"public": point.hex()})
    nobody_s = Signature("k", ((1).to_bytes(32, "little") + bytes(32)).hex())

    def accepted(payload: bytes) -> bool:
        try:
            key.verify_signature(nobody_s, payload)
        except keys_module.UnverifiedSignatureError:
            return False
        return True

    assert any(accepted(bytes([number])) for number in range(256))


def test_a_key_object_that_cannot_be_read_has_no_pem() -> None:
    for key in (
        SSlibKey("k", "ed25519", "ed25519", {"public": "zz"}),
        SSlibKey("k", "rsa", "rsassa-pss-sha256", {"public": "no pem"}),
        SSlibKey("k", "x", "x", {"public": public_of(ed448.Ed448PrivateKey.generate()).decode()}),
    ):
        assert refusal(lambda key=key: public_pem(key)).reason == "bad-key"  # type: ignore[misc]


@given(st.data())
def test_no_bytes_raise_anything_but_our_error(data: st.DataObject) -> None:
    original = data.draw(st.sampled_from([ONE, public_pem(key_of("ecdsa").public), b""]))
    start, end = sorted(data.draw(st.tuples(*[st.integers(0, len(original))] * 2)))
    pem = original[:start] + data.draw(st.binary(max_size=60)) + original[end:]

    try:
        read = parse_public(pem, where="x")
    except RefusedError as error:
        assert error.where == "x"
    else:
        assert public_pem(read.default).split() == pem.split()


@given(st.data())
def test_no_private_key_file_raises_anything_but_our_error(data: st.DataObject) -> None:
    encrypted = data.draw(st.booleans())
    original = _ENCRYPTED if encrypted else key_of("ed25519").pem
    start, end = sorted(data.draw(st.tuples(*[st.integers(0, len(original))] * 2)))
    pem = original[:start] + data.draw(st.binary(max_size=10)) + original[end:]

    try:
        load_signer("env:K", env={"K": pem.decode("utf-8", "surrogateescape")}, ask_passphrase=None)
    except UsageError as error:
        assert error.where == "env:K"


_ENCRYPTED = new_key("ed25519", SECRET.encode()).pem
