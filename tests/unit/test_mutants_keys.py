"""What is said of a key that cannot be used: where it is, why it is refused, and what to do next."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from securesystemslib.signer import CryptoSigner, Signature, SSlibKey

from keyturn.errors import EnvironmentFault, KeyturnError
from keyturn.signing import KeySigner, load_signer, new_key, parse_public, public_pem, write_key_file
from keyturn.signing.keys import objection

TYPES = "Keyturn signs with Ed25519, ECDSA on P-256 or P-384, and RSA"
MAKE = "Make a key with: keyturn key new FILE"
ANOTHER = "Make another key with: keyturn key new FILE"


@cache
def alice() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(bytes([1]) * 32)


def pem_of(private: object, form: PrivateFormat = PrivateFormat.PKCS8) -> bytes:
    result: bytes = private.private_bytes(Encoding.PEM, form, NoEncryption())  # type: ignore[attr-defined]
    return result


def public_of(private: object) -> bytes:
    public = private.public_key()  # type: ignore[attr-defined]
    result: bytes = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return result


def encrypted(passphrase: bytes) -> bytes:
    return alice().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(passphrase))


def opened(pem: bytes | str, **env: str) -> KeySigner:
    text = pem.decode() if isinstance(pem, bytes) else pem
    return load_signer("env:KEY", env={"KEY": text, **env}, ask_passphrase=None)


def refusal(call: Callable[[], object]) -> KeyturnError:
    with pytest.raises(KeyturnError) as caught:
        call()
    return caught.value


def told(call: Callable[[], object]) -> tuple[str, str, str]:
    """What, where and what to do."""
    error = refusal(call)
    return error.what, error.where, error.todo


def opening(uri: str, env: Mapping[str, str] | None = None) -> tuple[str, str, str]:
    return told(lambda: load_signer(uri, env=env or {}, ask_passphrase=None))


# URIs


def test_a_uri_that_names_no_place_is_answered_with_the_form() -> None:
    assert opening("file:") == ("names no file", "file:", "Write file:PATH.")
    assert opening("file://host/key") == ("a file: URI names no host", "file://host/key", "Write file:PATH.")
    assert opening("env:9") == (
        "does not name an environment variable",
        "env:",
        "Write env:NAME; the variable NAME holds the key as PEM text.",
    )
    assert opening("gpg:x") == (
        "the scheme gpg: not supported by this version",
        "gpg:",
        "Use file:PATH, env:NAME or ssh-agent:SHA256:FINGERPRINT.",
    )


@pytest.mark.parametrize(
    ("uri", "says"),
    [
        ("pkcs11:x", "the scheme pkcs11"),
        ("a" * 32 + ":x", f"the scheme {'a' * 32}"),
    ],
)
def test_a_scheme_that_nobody_knows_is_named(uri: str, says: str) -> None:
    assert opening(uri)[0] == f"{says}: not supported by this version"


@pytest.mark.parametrize("uri", ["a" * 33 + ":x", "File:/key", "1:x"])
def test_what_is_no_uri_is_never_repeated(uri: str) -> None:
    assert opening(uri) == ("a key URI begins with file:, env: or ssh-agent:", "", "")


def test_a_uri_goes_on_after_its_first_colon(tmp_path: Path) -> None:
    place = tmp_path / "a:b.pem"
    place.write_bytes(pem_of(alice()))

    assert load_signer(f"file:{place}", env={}, ask_passphrase=None).uri == f"file:{place}"


def test_the_home_directory_is_looked_up_in_the_environment_that_was_given(tmp_path: Path) -> None:
    (tmp_path / "k.pem").write_bytes(pem_of(alice()))

    assert load_signer("file:~/k.pem", env={"HOME": str(tmp_path)}, ask_passphrase=None)
    # Without a home directory, or elsewhere in a path, a tilde is a letter like any other.
    assert opening("file:~/k.pem")[0] == "there is no such file"
    assert opening(f"file:{tmp_path}/~/k.pem", {"HOME": str(tmp_path)})[0] == "there is no such file"


def test_an_agent_is_looked_up_in_the_environment_that_was_given() -> None:
    uri = f"ssh-agent:SHA256:{'A' * 43}"

    assert opening(uri)[0] == "the SSH agent is not known: SSH_AUTH_SOCK is not set"
    assert "SSH_AUTH_SOCK=/no/such" in opening(uri, {"SSH_AUTH_SOCK": "/no/such"})[0]


# Files and variables


def test_a_file_that_is_not_there_is_answered_with_how_to_make_one() -> None:
    assert opening("file:/no/such") == ("there is no such file", "file:/no/such", MAKE)


def test_a_directory_is_answered_with_what_to_name(tmp_path: Path) -> None:
    assert opening(f"file:{tmp_path}") == (
        "is a directory",
        f"file:{tmp_path}",
        "Name the key file in it.",
    )


def test_a_file_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    uri = f"file:{tmp_path}/file/key"

    assert opening(uri) == ("cannot be read: Not a directory", uri, "")
    assert opening("file:a\0b")[:2] == ("cannot be read: embedded null byte", "file:a\0b")


def test_an_empty_variable_is_answered_with_what_belongs_there() -> None:
    assert opening("env:KEY", {"KEY": " \n"}) == (
        "the variable is not set or empty",
        "env:KEY",
        "Put the private key into it as PEM text.",
    )
    assert opening("env:KEY")[0] == "the variable is not set or empty"


def test_a_file_that_others_may_use_says_how_to_keep_it(tmp_path: Path) -> None:
    place = tmp_path / "k.pem"
    place.write_bytes(pem_of(alice()))
    place.chmod(0o644)

    assert load_signer(f"file:{place}", env={}, ask_passphrase=None).warning == (
        f"file:{place}: others on this machine may use this key file (mode 0644); "
        "make it yours alone with: chmod 600"
    )


@pytest.mark.parametrize("mode", [0o601, 0o610, 0o700])
def test_every_bit_for_others_is_warned_of_and_none_of_the_owner_s(tmp_path: Path, mode: int) -> None:
    place = tmp_path / "k.pem"
    place.write_bytes(pem_of(alice()))
    place.chmod(mode)

    assert bool(load_signer(f"file:{place}", env={}, ask_passphrase=None).warning) == (mode != 0o700)


def test_a_key_file_that_exists_is_left_and_said_so(tmp_path: Path) -> None:
    place = tmp_path / "k.pem"
    place.touch()

    assert told(lambda: write_key_file(place, b"pem")) == (
        "exists already and is not overwritten",
        str(place),
        "Choose another file, or move the old one away if you are sure that nobody needs it.",
    )


def test_a_key_file_that_cannot_be_written_says_why(tmp_path: Path) -> None:
    place = tmp_path / "no" / "k.pem"

    assert told(lambda: write_key_file(place, b"pem")) == (
        "cannot be written: No such file or directory",
        str(place),
        "",
    )


def test_a_key_file_that_is_gone_meanwhile_is_no_second_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "k.pem"

    def full(descriptor: int) -> None:
        place.unlink()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)

    assert refusal(lambda: write_key_file(place, b"pem")).what == "cannot be written: No space left on device"


def test_a_variable_may_be_written_in_small_letters() -> None:
    assert load_signer("env:my_key9", env={"my_key9": pem_of(alice()).decode()}, ask_passphrase=None)


def test_a_key_in_a_variable_or_at_hand_needs_no_warning() -> None:
    assert opened(pem_of(alice())).warning == ""
    assert KeySigner.at_hand(alice(), uri="x").warning == ""


# Private keys


def test_what_is_no_private_key_is_answered_with_what_it_is() -> None:
    where = "env:KEY"

    assert told(lambda: opened("words")) == ("is not a private key in PEM form", where, MAKE)
    assert told(lambda: opened(public_of(alice()))) == (
        "is a public key",
        where,
        "Name the private half.",
    )
    assert told(lambda: opened(pem_of(alice(), PrivateFormat.OpenSSH))) == (
        "is in OpenSSH's own form, not PKCS #8 PEM",
        where,
        "Make a key for this purpose alone with: keyturn key new FILE",
    )


def test_a_key_that_does_not_sign_here_is_answered_with_what_does() -> None:
    where = "env:KEY"
    p521, odd = ec.generate_private_key(ec.SECP521R1()), ed448.Ed448PrivateKey.generate()

    assert told(lambda: opened(pem_of(odd))) == (f"is of no supported type: {TYPES}", where, "")
    assert told(lambda: opened(pem_of(p521))) == (f"is on the curve secp521r1: {TYPES}", where, ANOTHER)


def test_a_key_of_exactly_the_limit_is_read_and_one_byte_more_is_not() -> None:
    pem = pem_of(alice())
    room = 16 * 1024 - len(pem)

    assert opened(pem + b"\n" * room)
    assert told(lambda: opened(pem + b"\n" * (room + 1))) == (
        "larger than 16384 bytes: no key",
        "env:KEY",
        "",
    )


def test_a_passphrase_that_is_missing_or_wrong_is_answered_with_what_to_do() -> None:
    pem = encrypted(b"secret")

    assert told(lambda: opened(pem)) == (
        "the key is encrypted and there is no passphrase",
        "env:KEY",
        "Set KEYTURN_PASSPHRASE, or run this where you can be asked.",
    )
    assert told(lambda: opened(pem, KEYTURN_PASSPHRASE="wrong")) == (
        "the passphrase does not open this key",
        "env:KEY",
        "Try again; if the passphrase is right, the file is damaged.",
    )


def test_a_passphrase_may_be_any_bytes() -> None:
    pem = encrypted(b"p\xff")

    assert opened(pem, KEYTURN_PASSPHRASE="p\udcff").public == opened(pem_of(alice())).public


def test_a_variable_may_hold_any_bytes() -> None:
    assert told(lambda: opened("\udcff"))[0] == "is not a private key in PEM form"


def test_a_passphrase_encrypts_at_its_longest() -> None:
    assert new_key("ed25519", b"x" * 1023).pem.startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----")
    assert told(lambda: new_key("ed25519", b"")) == (
        "the passphrase is empty or too long",
        "",
        "Use 1 to 1023 bytes.",
    )


def test_a_key_type_that_is_not_made_is_answered_with_those_that_are() -> None:
    assert told(lambda: new_key("dsa", None)) == (  # type: ignore[arg-type]
        "there is no key type 'dsa'",
        "",
        "Choose one of ed25519, ecdsa, rsa.",
    )


def test_a_signature_that_does_not_verify_is_said_of_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    signer = opened(pem_of(alice()))
    wrong = Signature(signer.public.keyid, "00" * 64)
    monkeypatch.setattr(CryptoSigner, "sign", lambda *_: wrong)

    assert told(lambda: signer.sign(b"payload")) == (
        "the signature just made with this key does not verify with its public half",
        "env:KEY",
        "Do not use this key on this machine until you know why.",
    )


# Public keys


def test_a_key_object_without_a_usable_public_half_is_named() -> None:
    unreadable = SSlibKey("k", "rsa", "rsassa-pss-sha256", {"public": "XXXX"})
    odd = SSlibKey("k", "x", "x", {"public": public_of(ed448.Ed448PrivateKey.generate()).decode()})

    assert told(lambda: public_pem(unreadable)) == ("the public half cannot be read as rsa", "key k", "")
    assert told(lambda: public_pem(odd)) == (f"is of no supported type: {TYPES}", "key k", "")


def test_what_is_no_public_key_is_answered_with_its_form() -> None:
    assert told(lambda: parse_public(b"words", where="alice.pub")) == (
        "not a public key in PEM form",
        "alice.pub",
        "The file holds one block, from -----BEGIN PUBLIC KEY----- to -----END PUBLIC KEY-----.",
    )
    twice = public_of(alice()) * 2
    assert told(lambda: parse_public(twice, where="alice.pub")) == (
        "holds more than one plain public key block, or writes the key in another form than usual",
        "alice.pub",
        "Write it anew with 'keyturn join', or with 'openssl pkey -pubout'.",
    )


def test_a_public_key_of_no_use_is_answered_with_those_that_are() -> None:
    odd = public_of(ed448.Ed448PrivateKey.generate())

    assert told(lambda: parse_public(odd, where="x")) == (f"is of no supported type: {TYPES}", "x", "")


def test_a_public_key_of_exactly_the_limit_is_read_and_one_byte_more_is_not() -> None:
    pem = public_of(alice())
    room = 16 * 1024 - len(pem)

    assert parse_public(pem + b"\n" * room, where="x")
    assert told(lambda: parse_public(pem + b"\n" * (room + 1), where="x"))[0] == "larger than 16384 bytes"


def test_only_blanks_and_returns_may_stand_at_line_ends() -> None:
    pem = public_of(alice())

    assert parse_public(pem.replace(b"\n", b" \t\r\n"), where="x")
    for blank in (b"\x0b", b"\x0c"):
        assert refusal(lambda blank=blank: parse_public(pem.replace(b"\n", blank + b"\n"), where="x"))  # type: ignore[misc]
        assert refusal(lambda blank=blank: parse_public(pem + blank, where="x"))  # type: ignore[misc]


def test_nothing_but_blanks_may_follow_a_public_key() -> None:
    assert refusal(lambda: parse_public(public_of(alice()).rstrip() + b"X", where="x")).reason == "bad-key"


def test_a_p384_key_in_the_keyring_has_the_scheme_of_its_curve() -> None:
    read = parse_public(public_of(ec.generate_private_key(ec.SECP384R1())), where="x")

    assert [key.scheme for key in read.choices] == ["ecdsa-sha2-nistp384"]


def rsa_of(bits: int, exponent: int = 65537) -> rsa.RSAPublicKey:
    return rsa.RSAPublicNumbers(exponent, 2**bits - 1).public_key()


@pytest.mark.parametrize(
    ("bits", "exponent", "what"),
    [
        (3071, 65537, "is RSA of 3071 bits; accepted are 3072 to 8192"),
        (8193, 65537, "is RSA of 8193 bits; accepted are 3072 to 8192"),
        (3072, 65535, "is RSA with a public exponent below 65537"),
    ],
)
def test_weak_rsa_is_answered_with_the_limits(bits: int, exponent: int, what: str) -> None:
    found = objection(rsa_of(bits, exponent))

    assert found
    assert (found.reason, found.what) == ("weak-key", what)


@pytest.mark.parametrize(("bits", "exponent"), [(3072, 65537), (8192, 65537), (4096, 65539)])
def test_rsa_at_the_limits_is_accepted(bits: int, exponent: int) -> None:
    assert objection(rsa_of(bits, exponent)) is None


def test_a_fault_is_no_refusal(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    assert isinstance(refusal(lambda: write_key_file(tmp_path / "file" / "k", b"")), EnvironmentFault)
