"""Keys in a KMS: the real signers of securesystemslib, over services that are played by keys in memory."""

from __future__ import annotations

import base64
import importlib
import logging
import sys
from collections.abc import Callable
from enum import Enum
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import securesystemslib.signer
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from securesystemslib.signer import SSlibKey
from tuf.api.metadata import Metadata, Root, Snapshot

from keyturn.errors import EnvironmentFault, KeyturnError, RefusedError, UsageError
from keyturn.policy import parse
from keyturn.signing import KeySigner, load_signer, prove, public_pem, read_member
from keyturn.signing.kms import SERVICES, KmsError
from unit.test_policy import VALID

SECRET = "AKIA-and-a-session-token"
GCP = "projects/p/locations/l/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1"
URIS = {
    "awskms": "awskms:arn:aws:kms:eu-central-1:111122223333:key/0a1b",
    "gcpkms": f"gcpkms:{GCP}",
    "azurekms": "azurekms:my-vault/online",
    "vault": "vault:online",
}
P256 = ec.generate_private_key(ec.SECP256R1())
P384 = ec.generate_private_key(ec.SECP384R1())
RSA3072 = rsa.generate_private_key(65537, 3072)
RSA2048 = rsa.generate_private_key(65537, 2048)
ED25519 = Ed25519PrivateKey.generate()


class Cloud:
    """What the services hold and how they answer; every library's module is made of it.

    Args:
        key: The private key that each of them holds.
    """

    def __init__(self) -> None:
        self.key: Any = P256
        self.signs_with: Any = None
        self.aws_algorithms: list[str] = ["ECDSA_SHA_256"]
        self.gcp_algorithm: Any = None
        self.version = "1"
        self.fails_to_find: Exception | None = None
        self.fails_to_sign: Exception | None = None
        self.asked: list[str] = []
        self.answer: Any = None

    def find(self, name: str) -> None:
        self.asked.append(name)
        if self.fails_to_find:
            raise self.fails_to_find

    def der_signature(self, digest: bytes, algorithm: hashes.HashAlgorithm | None = None) -> bytes:
        if self.fails_to_sign:
            raise self.fails_to_sign
        key = self.signs_with or self.key
        known = {32: hashes.SHA256(), 48: hashes.SHA384(), 64: hashes.SHA512()}[len(digest)]
        if isinstance(key, rsa.RSAPrivateKey):
            pss = padding.PSS(padding.MGF1(known), padding.PSS.DIGEST_LENGTH)
            return key.sign(digest, pss, Prehashed(known))
        return bytes(key.sign(digest, ec.ECDSA(Prehashed(known))))

    @property
    def pem(self) -> bytes:
        return bytes(self.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))


def module(name: str, **content: object) -> ModuleType:
    made = ModuleType(name)
    made.__dict__.update(content)
    return made


def fault(name: str, base: type[Exception] = Exception) -> type[Exception]:
    return type(name, (base,), {})


def aws(cloud: Cloud) -> list[ModuleType]:
    def get_public_key(KeyId: str) -> dict[str, Any]:  # noqa: N803 - the service's own names
        cloud.find(KeyId)
        der = cloud.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return {"SigningAlgorithms": cloud.aws_algorithms, "PublicKey": der}

    def sign(KeyId: str, Message: bytes, MessageType: str, SigningAlgorithm: str) -> dict[str, Any]:  # noqa: N803
        assert (MessageType, SigningAlgorithm) == ("DIGEST", cloud.aws_algorithms[0])
        return cloud.answer or {"Signature": cloud.der_signature(Message)}

    client = SimpleNamespace(get_public_key=get_public_key, sign=sign)
    errors = {name: fault(name) for name in ("BotoCoreError", "ClientError")}
    return [
        module("boto3", client=lambda service: client),
        module("boto3.exceptions", Boto3Error=fault("Boto3Error")),
        module("botocore"),
        module("botocore.exceptions", **errors),
    ]


class Algorithms(Enum):
    EC_SIGN_P256_SHA256 = 1
    EC_SIGN_P384_SHA384 = 2
    RSA_SIGN_PSS_2048_SHA256 = 3
    RSA_SIGN_PSS_3072_SHA256 = 4
    RSA_SIGN_PSS_4096_SHA256 = 5
    RSA_SIGN_PSS_4096_SHA512 = 6
    RSA_SIGN_PKCS1_2048_SHA256 = 7
    RSA_SIGN_PKCS1_3072_SHA256 = 8
    RSA_SIGN_PKCS1_4096_SHA256 = 9
    RSA_SIGN_PKCS1_4096_SHA512 = 10
    PQ_SIGN_ML_DSA_44 = 11
    PQ_SIGN_ML_DSA_65 = 12
    PQ_SIGN_ML_DSA_87 = 13
    EC_SIGN_SECP256K1_SHA256 = 14


def gcp(cloud: Cloud) -> list[ModuleType]:
    class Client:
        def get_public_key(self, request: dict[str, Any]) -> SimpleNamespace:
            cloud.find(request["name"])
            algorithm = cloud.gcp_algorithm or Algorithms.EC_SIGN_P256_SHA256
            return SimpleNamespace(algorithm=algorithm, public_key=SimpleNamespace(data=cloud.pem))

        def asymmetric_sign(self, request: dict[str, Any]) -> SimpleNamespace:
            (digest,) = request["digest"].values()
            return cloud.answer or SimpleNamespace(signature=cloud.der_signature(digest))

    kms = module(
        "google.cloud.kms",
        KeyManagementServiceClient=Client,
        PublicKey=SimpleNamespace(PublicKeyFormat=SimpleNamespace(PEM=1)),
    )
    return [
        module("google"),
        module("google.cloud", kms=kms),
        kms,
        module("google.cloud.kms_v1"),
        module(
            "google.cloud.kms_v1.types",
            CryptoKeyVersion=SimpleNamespace(CryptoKeyVersionAlgorithm=Algorithms),
        ),
        module("google.api_core"),
        module("google.api_core.exceptions", GoogleAPIError=fault("GoogleAPIError")),
        module("google.auth"),
        module("google.auth.exceptions", GoogleAuthError=fault("GoogleAuthError")),
    ]


class Curves(str, Enum):
    p_256 = "P-256"
    p_384 = "P-384"
    p_521 = "P-521"


def azure(cloud: Cloud) -> list[ModuleType]:
    class KeyClient:
        def __init__(self, vault_url: str, credential: object) -> None:
            self.vault_url = vault_url

        def get_key(self, name: str) -> SimpleNamespace:
            cloud.find(f"{self.vault_url}{name}")
            kid = f"{self.vault_url}keys/{name}/{cloud.version}"
            if not isinstance(cloud.key, ec.EllipticCurvePrivateKey):
                return SimpleNamespace(key=SimpleNamespace(kty="RSA", kid=kid))
            numbers = cloud.key.public_key().public_numbers()
            size = (cloud.key.key_size + 7) // 8
            curve = {256: "P-256", 384: "P-384", 521: "P-521"}[cloud.key.key_size]
            curve = "P-256K" if cloud.key.curve.name == "secp256k1" else curve
            x, y = (number.to_bytes(size, "big") for number in (numbers.x, numbers.y))
            return SimpleNamespace(key=SimpleNamespace(kty="EC-HSM", crv=curve, x=x, y=y, kid=kid))

    class CryptographyClient:
        def __init__(self, key: str, credential: object) -> None:
            assert key == f"https://my-vault.vault.azure.net/keys/online/{cloud.version}"

        def sign(self, algorithm: str, digest: bytes) -> SimpleNamespace:
            numbers = decode_dss_signature(cloud.der_signature(digest))
            size = (cloud.key.key_size + 7) // 8
            raw = b"".join(number.to_bytes(size, "big") for number in numbers)
            return cloud.answer or SimpleNamespace(signature=raw)

    algorithms = SimpleNamespace(es256="ES256", es384="ES384", es512="ES512")
    base = fault("AzureError")
    return [
        module("azure"),
        module("azure.core"),
        module("azure.core.exceptions", AzureError=base, HttpResponseError=fault("HttpResponseError", base)),
        module("azure.identity", DefaultAzureCredential=object),
        module("azure.keyvault"),
        module("azure.keyvault.keys", KeyClient=KeyClient, KeyCurveName=Curves, KeyVaultKey=object),
        module(
            "azure.keyvault.keys.crypto",
            CryptographyClient=CryptographyClient,
            SignatureAlgorithm=algorithms,
        ),
    ]


def vault(cloud: Cloud) -> list[ModuleType]:
    def read_key(name: str) -> dict[str, Any]:
        cloud.find(name)
        if not isinstance(cloud.key, Ed25519PrivateKey):
            return {"data": {"keys": {cloud.version: {"public_key": cloud.pem.decode()}}}}
        raw = cloud.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        return {"data": {"keys": {cloud.version: {"public_key": base64.b64encode(raw).decode()}}}}

    def sign_data(name: str, hash_input: str, key_version: int) -> dict[str, Any]:
        assert str(key_version) == cloud.version
        if cloud.fails_to_sign:
            raise cloud.fails_to_sign
        signature = (cloud.signs_with or cloud.key).sign(base64.b64decode(hash_input))
        text = f"vault:v{key_version}:{base64.b64encode(signature).decode()}"
        return cloud.answer or {"data": {"signature": text}}

    transit = SimpleNamespace(read_key=read_key, sign_data=sign_data)
    client = SimpleNamespace(secrets=SimpleNamespace(transit=transit))
    exceptions = module("hvac.exceptions", VaultError=fault("VaultError"))
    return [module("hvac", Client=lambda: client, exceptions=exceptions), exceptions]


PLAYED: dict[str, Callable[[Cloud], list[ModuleType]]] = {
    "awskms": aws,
    "gcpkms": gcp,
    "azurekms": azure,
    "vault": vault,
}
FILES = {
    "awskms": "_aws_signer",
    "gcpkms": "_gcp_signer",
    "azurekms": "_azure_signer",
    "vault": "_vault_signer",
}
LIBRARIES = ("boto3", "botocore", "google", "azure", "hvac")


def imported_anew(patch: pytest.MonkeyPatch, libraries: list[ModuleType]) -> None:
    """Have securesystemslib find exactly these libraries, whatever is installed here."""
    for name in [name for name in sys.modules if name.partition(".")[0] in LIBRARIES]:
        patch.delitem(sys.modules, name)
    for name in LIBRARIES:
        patch.setitem(sys.modules, name, None)
    for library in libraries:
        patch.setitem(sys.modules, library.__name__, library)
    for scheme, file in FILES.items():
        name = f"securesystemslib.signer.{file}"
        patch.delitem(sys.modules, name)
        # Put back by the line above; the package's own attributes by those below.
        patch.setattr(securesystemslib.signer, file, importlib.import_module(name))
        kind = SERVICES[scheme].signer
        patch.setattr(securesystemslib.signer, kind, getattr(sys.modules[name], kind))


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Cloud:
    made = Cloud()
    imported_anew(monkeypatch, [each for play in PLAYED.values() for each in play(made)])
    return made


def opened(scheme: str, cloud: Cloud) -> KeySigner:
    if scheme == "vault" and cloud.key is P256:
        cloud.key = ED25519
    return load_signer(URIS[scheme], env={}, ask_passphrase=None)


def refusal(call: Callable[[], object]) -> KeyturnError:
    with pytest.raises(KeyturnError) as caught:
        call()
    return caught.value


every_service = pytest.mark.parametrize("scheme", list(URIS))


@every_service
def test_metadata_signed_by_a_service_is_verified_by_tuf(scheme: str, cloud: Cloud) -> None:
    signer = opened(scheme, cloud)
    metadata = Metadata(Snapshot())
    root = Root()
    root.add_key(signer.public, "snapshot")

    metadata.signatures[signer.public.keyid] = signer.sign(metadata.signed_bytes)

    root.verify_delegate("snapshot", metadata.signed_bytes, metadata.signatures)
    assert signer.public == SSlibKey.from_crypto(cloud.key.public_key())
    assert (signer.uri, signer.warning, signer.note) == (URIS[scheme], "", "")


@every_service
def test_a_service_proves_that_it_holds_the_online_key(scheme: str, cloud: Cloud) -> None:
    signer = opened(scheme, cloud)

    proof = prove(signer, "acme-updates", "online")
    member = read_member("online", public_pem(signer.public), proof.encode(), "acme-updates")

    assert member.key == signer.public


@every_service
def test_the_policy_takes_every_uri_that_can_be_opened(scheme: str) -> None:
    written = VALID.replace("env:KEYTURN_ONLINE_KEY", URIS[scheme])
    assert parse(written.encode()).online.key == URIS[scheme]
    example = SERVICES[scheme].example
    assert SERVICES[scheme].form.fullmatch(example.partition(":")[2])


@every_service
def test_a_service_is_asked_for_the_key_that_the_uri_names(scheme: str, cloud: Cloud) -> None:
    opened(scheme, cloud)
    named = {"azurekms": "https://my-vault.vault.azure.net/online"}
    assert cloud.asked == [named.get(scheme, URIS[scheme].partition(":")[2])]


@every_service
def test_a_signature_carries_the_keyid_that_metadata_gives_the_key(scheme: str, cloud: Cloud) -> None:
    signer = opened(scheme, cloud)
    old = SSlibKey("ab" * 32, signer.public.keytype, signer.public.scheme, dict(signer.public.keyval))

    bound = signer.as_key(old)

    assert bound is not None
    assert bound.sign(b"x").keyid == "ab" * 32


@every_service
def test_a_key_in_a_service_signs_as_no_other_key(scheme: str, cloud: Cloud) -> None:
    signer = opened(scheme, cloud)
    other = Ed25519PrivateKey.generate() if scheme == "vault" else ec.generate_private_key(ec.SECP256R1())
    assert signer.as_key(SSlibKey.from_crypto(other.public_key())) is None
    assert signer.as_key(SSlibKey.from_crypto(RSA3072.public_key())) is None
    damaged = SSlibKey("ab" * 32, signer.public.keytype, signer.public.scheme, {"public": "zz"})
    assert signer.as_key(damaged) is None


@every_service
def test_a_service_that_signs_with_another_key_is_found_out(scheme: str, cloud: Cloud) -> None:
    signer = opened(scheme, cloud)
    cloud.signs_with = (
        Ed25519PrivateKey.generate() if scheme == "vault" else ec.generate_private_key(ec.SECP256R1())
    )
    assert refusal(lambda: signer.sign(b"x")).reason == "self-check"


@every_service
def test_without_its_extra_a_service_says_how_to_install_it(
    scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    imported_anew(monkeypatch, [])
    error = refusal(lambda: load_signer(URIS[scheme], env={}, ask_passphrase=None))
    extra = SERVICES[scheme].extra
    assert (type(error), error.reason, error.where) == (EnvironmentFault, "missing-extra", URIS[scheme])
    assert error.what == f"what signs with {SERVICES[scheme].name} is not installed"
    assert error.todo == (
        f"Install it: pip install 'keyturn[{extra}]'; "
        f"in a workflow, give the action publish the input kms: {extra}."
    )


def faults_of(scheme: str) -> list[type[Exception]]:
    found = []
    for name in SERVICES[scheme].faults:
        place, _, kind = name.partition(":")
        found.append(getattr(importlib.import_module(place), kind))
    return [*found, ConnectionResetError]


@every_service
def test_what_a_service_says_when_it_fails_is_not_repeated(scheme: str, cloud: Cloud) -> None:
    signer = opened(scheme, cloud)
    for kind in faults_of(scheme):
        cloud.fails_to_find = cloud.fails_to_sign = kind(f"request with {SECRET}")
        finding, signing = (
            refusal(lambda: load_signer(URIS[scheme], env={}, ask_passphrase=None)),
            refusal(lambda: signer.sign(b"x")),
        )
        name = SERVICES[scheme].name
        assert finding.what == f"{name} did not give the key's public half: {kind.__name__}"
        assert signing.what == f"{name} did not sign: {kind.__name__}"
        for error in (finding, signing):
            assert (type(error), error.reason, error.where) == (KmsError, "kms", URIS[scheme])
            assert error.todo == SERVICES[scheme].login
            assert error.__suppress_context__
            assert SECRET not in f"{error.to_dict()}"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"response": {"Error": {"Code": "AccessDeniedException"}}}, "ClientError (AccessDeniedException)"),
        ({"response": {"Error": {"Code": f"no word: {SECRET}"}}}, "ClientError"),
        ({"response": {"Error": {"Code": "ClientError"}}}, "ClientError"),
        ({"response": {}}, "ClientError"),
        ({"response": object(), "status_code": 403}, "ClientError (403)"),
    ],
)
def test_the_code_of_a_failure_is_told_if_it_is_a_plain_word(
    given: dict[str, Any], told: str, cloud: Cloud
) -> None:
    failure = sys.modules["botocore.exceptions"].ClientError("text")
    failure.__dict__.update(given)
    cloud.fails_to_find = failure
    assert refusal(lambda: opened("awskms", cloud)).what.endswith(f"public half: {told}")


@every_service
def test_a_failing_library_writes_nothing_to_the_terminal(
    scheme: str, cloud: Cloud, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["securesystemslib", SERVICES[scheme].logger]
    for name in names:
        monkeypatch.setattr(logging.getLogger(name or "none"), "handlers", [])
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    signer = opened(scheme, cloud)
    cloud.fails_to_sign = faults_of(scheme)[0](SECRET)
    refusal(lambda: signer.sign(b"x"))
    if SERVICES[scheme].logger:
        logging.getLogger(f"{SERVICES[scheme].logger}.inner").error(SECRET)
    opened(scheme, cloud)
    assert SECRET not in "".join(capsys.readouterr())
    for name in filter(None, names):
        assert len(logging.getLogger(name).handlers) == 1


@pytest.mark.parametrize(
    ("scheme", "answer"),
    [
        ("awskms", {"Other": 1}),
        ("gcpkms", SimpleNamespace()),
        ("azurekms", SimpleNamespace(signature=None)),
        ("vault", {"data": {"signature": "none"}}),
    ],
)
def test_an_answer_without_a_signature_is_a_fault(scheme: str, answer: object, cloud: Cloud) -> None:
    signer = opened(scheme, cloud)
    cloud.answer = answer
    error = refusal(lambda: signer.sign(b"x"))
    assert (type(error), error.reason, error.where) == (KmsError, "kms", URIS[scheme])
    assert error.what == f"{SERVICES[scheme].name} answered with no signature"


# Which keys


def holding(cloud: Cloud, key: object, aws_algorithm: str = "", gcp_algorithm: object = None) -> Cloud:
    cloud.key = key
    cloud.aws_algorithms = [aws_algorithm]
    cloud.gcp_algorithm = gcp_algorithm
    return cloud


@pytest.mark.parametrize("scheme", ["awskms", "gcpkms", "azurekms"])
def test_p384_signs_with_its_own_hash(scheme: str, cloud: Cloud) -> None:
    signer = opened(scheme, holding(cloud, P384, "ECDSA_SHA_384", Algorithms.EC_SIGN_P384_SHA384))
    assert signer.public.scheme == "ecdsa-sha2-nistp384"
    signature = signer.sign(b"x")
    P384.public_key().verify(bytes.fromhex(signature.signature), b"x", ec.ECDSA(hashes.SHA384()))


@pytest.mark.parametrize("scheme", ["awskms", "gcpkms"])
def test_rsa_signs_with_pss(scheme: str, cloud: Cloud) -> None:
    signer = opened(
        scheme, holding(cloud, RSA3072, "RSASSA_PSS_SHA_256", Algorithms.RSA_SIGN_PSS_3072_SHA256)
    )
    assert signer.public.scheme == "rsassa-pss-sha256"
    assert signer.sign(b"x").keyid == signer.public.keyid


def test_rsa_that_signs_by_pkcs1_says_so_in_its_keyid(cloud: Cloud) -> None:
    signer = opened("gcpkms", holding(cloud, RSA3072, "", Algorithms.RSA_SIGN_PKCS1_3072_SHA256))
    wanted = SSlibKey.from_crypto(RSA3072.public_key(), scheme="rsa-pkcs1v15-sha256")
    assert signer.public == wanted
    assert signer.as_key(SSlibKey.from_crypto(RSA3072.public_key())) is None


@pytest.mark.parametrize(
    ("scheme", "key", "aws_algorithm", "gcp_algorithm", "reason", "says"),
    [
        ("awskms", RSA2048, "RSASSA_PSS_SHA_256", None, "weak-key", "RSA of 2048 bits"),
        ("gcpkms", RSA2048, "", Algorithms.RSA_SIGN_PSS_2048_SHA256, "weak-key", "RSA of 2048 bits"),
        ("gcpkms", RSA3072, "", Algorithms.RSA_SIGN_PSS_4096_SHA512, "bad-key", "signs by rsassa-pss-sha512"),
        ("gcpkms", ED25519, "", Algorithms.PQ_SIGN_ML_DSA_44, "bad-key", "of no supported type"),
        (
            "gcpkms",
            P256,
            "",
            Algorithms.EC_SIGN_SECP256K1_SHA256,
            "bad-key",
            "no key of Google Cloud KMS that",
        ),
        ("awskms", P256, "ML_DSA_SHAKE_256", None, "bad-key", "no key of AWS KMS that signs here"),
        (
            "awskms",
            ec.generate_private_key(ec.SECP256K1()),
            "ECDSA_SHA_256",
            None,
            "bad-key",
            "is on the curve secp256k1",
        ),
        ("azurekms", RSA3072, "", None, "bad-key", "no key of Azure Key Vault that signs here"),
        (
            "azurekms",
            ec.generate_private_key(ec.SECP256K1()),
            "",
            None,
            "bad-key",
            "no key of Azure Key Vault that signs here",
        ),
        (
            "azurekms",
            ec.generate_private_key(ec.SECP521R1()),
            "",
            None,
            "bad-key",
            "is on the curve secp521r1",
        ),
        ("vault", P384, "", None, "bad-key", "no key of Vault that signs here"),
    ],
)
def test_keys_that_tuf_does_not_know_or_that_are_weak_are_refused(
    scheme: str, key: object, aws_algorithm: str, gcp_algorithm: object, reason: str, says: str, cloud: Cloud
) -> None:
    error = refusal(lambda: opened(scheme, holding(cloud, key, aws_algorithm, gcp_algorithm)))
    assert (type(error), error.reason, error.where) == (RefusedError, reason, URIS[scheme])
    assert says in error.what


def test_a_weak_key_says_which_would_do(cloud: Cloud) -> None:
    error = refusal(
        lambda: opened("gcpkms", holding(cloud, RSA3072, "", Algorithms.RSA_SIGN_PSS_4096_SHA512))
    )
    assert error.what == "signs by rsassa-pss-sha512, which no metadata of ours lists"
    assert error.todo == "Make a key that signs by rsassa-pss-sha256 or rsa-pkcs1v15-sha256."


# Which URIs


@pytest.mark.parametrize(
    "uri",
    [
        "awskms:",
        "awskms:key?x",
        "awskms:a b",
        f"gcpkms:{GCP.rpartition('/')[0]}/latest",
        f"gcpkms:{GCP.rpartition('/cryptoKeyVersions')[0]}",
        "azurekms:my-vault",
        "azurekms://elsewhere.example/keys/online",
        "azurekms:my-vault/online/7",
        "vault:",
        "vault:online/0",
        "vault:online/latest",
        "vault:transit/keys/online",
    ],
)
def test_a_uri_that_names_no_key_asks_no_service(uri: str, cloud: Cloud) -> None:
    error = refusal(lambda: load_signer(uri, env={}, ask_passphrase=None))
    scheme = uri.partition(":")[0]
    assert (type(error), error.reason, error.where) == (UsageError, "key-uri", f"{scheme}:")
    assert error.todo == f"Write it like {SERVICES[scheme].example}."
    assert cloud.asked == []


@pytest.mark.parametrize(
    ("uri", "version"),
    [
        ("azurekms:my-vault/online/" + "0a" * 16, "0a" * 16),
        ("azurekms://my-vault.vault.azure.net/keys/online", "0a" * 16),
        ("azurekms://my-vault.vault.azure.net/keys/online/" + "0a" * 16, "0a" * 16),
        ("vault:online/12", "12"),
    ],
)
def test_a_version_may_be_named(uri: str, version: str, cloud: Cloud) -> None:
    cloud.version = version
    cloud.key = ED25519 if uri.startswith("vault") else P256
    assert load_signer(uri, env={}, ask_passphrase=None).sign(b"x")


@pytest.mark.parametrize("uri", ["azurekms:my-vault/online/" + "0a" * 16, "vault:online/1"])
def test_a_version_that_is_not_the_newest_is_not_used(uri: str, cloud: Cloud) -> None:
    cloud.version = "2"
    cloud.key = ED25519 if uri.startswith("vault") else P256
    error = refusal(lambda: load_signer(uri, env={}, ask_passphrase=None))
    assert (type(error), error.reason, error.where) == (UsageError, "key-version", uri)
    assert error.what == "is not the newest version of this key, and no other can be used"


def test_a_signer_shows_nothing_of_what_signs(cloud: Cloud) -> None:
    assert "AWSSigner" not in repr(opened("awskms", cloud))
