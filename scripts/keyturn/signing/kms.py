"""Keys in a key management service (KMS), which signs and never gives the key away.

===========  ==================================================================  ==========================
scheme       what follows it                                                     keys
===========  ==================================================================  ==========================
``awskms``   a key's id, its ARN, or ``alias/NAME``                              ECDSA, RSA
``gcpkms``   ``projects/.../cryptoKeys/K/cryptoKeyVersions/V``                   ECDSA, RSA with SHA-256
``azurekms`` ``VAULT/KEY``, or ``//VAULT.vault.azure.net/keys/KEY[/VERSION]``    ECDSA
``vault``    ``KEY`` or ``KEY/VERSION`` of the secrets engine at ``transit/``    Ed25519
===========  ==================================================================  ==========================

Credentials are those that the service's own library finds in the process's surroundings. That library comes
with an extra (``keyturn[aws]``, ...). What it says when it fails stays unsaid but for its error's name and
code: such texts quote requests, tokens among them.
"""

from __future__ import annotations

import importlib
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

from securesystemslib import signer as signers
from securesystemslib.exceptions import KeyMismatchError, UnsupportedAlgorithmError, UnsupportedLibraryError
from securesystemslib.signer import Signature, Signer, SSlibKey

from keyturn.errors import EnvironmentFault, RefusedError, UsageError
from keyturn.signing.keys import KeySigner, parse_public, public_pem
from keyturn.state import fingerprint

_MALFORMED = (ValueError, LookupError, TypeError, AttributeError, NotImplementedError)
"""What reading an unexpected answer of a service may end in."""
_CODE = re.compile(r"[A-Za-z0-9._-]{1,64}")


class KmsError(EnvironmentFault):
    """The service cannot be reached, does not let us in, or does not sign."""

    default_reason = "kms"


@dataclass(frozen=True, slots=True)
class Service:
    """How one service is reached.

    Args:
        name: What people call it.
        extra: The extra of this package that brings its library.
        signer: Name of the class in ``securesystemslib.signer``.
        form: What follows the scheme; its groups but ``version`` are what the class takes to find the key.
        example: Such a text, for messages.
        faults: What its library raises, as ``MODULE:CLASS``; looked up only after it did.
        unusable: Likewise, for a key that does not sign here.
        logger: The library's logger, which would print to the terminal.
        login: What has to be there, for messages.
    """

    name: str
    extra: str
    signer: str
    form: re.Pattern[str]
    example: str
    faults: tuple[str, ...]
    login: str
    unusable: tuple[str, ...] = ()
    logger: str = ""

    def failure(self, error: Exception, uri: str, doing: str) -> KmsError:
        """What a failed request becomes.

        Args:
            error: What the library raised.
            uri: The key.
            doing: What was asked for, to follow "did not".
        """
        return KmsError(f"{self.name} did not {doing}: {_told(error)}", where=uri, todo=self.login)


SERVICES: Mapping[str, Service] = {
    "awskms": Service(
        name="AWS KMS",
        extra="aws",
        signer="AWSSigner",
        form=re.compile(r"(?P<key>[A-Za-z0-9:/_-]{1,500})"),
        example="awskms:arn:aws:kms:REGION:ACCOUNT:key/ID",
        faults=(
            "botocore.exceptions:BotoCoreError",
            "botocore.exceptions:ClientError",
            "boto3.exceptions:Boto3Error",
        ),
        login="Log in (with AWS_DEFAULT_REGION set to the key's region) as a role that may kms:GetPublicKey "
        "and kms:Sign with this key; CloudTrail says what was asked.",
        logger="botocore",
    ),
    "gcpkms": Service(
        name="Google Cloud KMS",
        extra="gcp",
        signer="GCPSigner",
        form=re.compile(
            r"(?P<key>projects/[\w.:-]{1,63}/locations/[\w-]{1,63}/keyRings/[\w-]{1,63}"
            r"/cryptoKeys/[\w-]{1,63}/cryptoKeyVersions/[1-9][0-9]{0,9})",
            re.ASCII,
        ),
        example="gcpkms:projects/P/locations/L/keyRings/R/cryptoKeys/K/cryptoKeyVersions/1",
        faults=("google.api_core.exceptions:GoogleAPIError", "google.auth.exceptions:GoogleAuthError"),
        login="Log in as somebody with the role roles/cloudkms.signerVerifier on this key.",
        logger="google",
    ),
    "azurekms": Service(
        name="Azure Key Vault",
        extra="azure",
        signer="AzureSigner",
        form=re.compile(
            r"(?://)?(?P<vault>[A-Za-z][A-Za-z0-9-]{1,22}[A-Za-z0-9])(?:\.vault\.azure\.net/keys)?"
            r"/(?P<key>[A-Za-z0-9-]{1,127})(?:/(?P<version>[0-9a-fA-F]{32}))?"
        ),
        example="azurekms:VAULT/KEY",
        faults=("azure.core.exceptions:AzureError",),
        unusable=("securesystemslib.signer._azure_signer:UnsupportedKeyType",),
        login="Log in as somebody who may get this key and sign with it (Key Vault Crypto User).",
        logger="azure",
    ),
    "vault": Service(
        name="Vault",
        extra="vault",
        signer="VaultSigner",
        form=re.compile(r"(?P<key>[\w.-]{1,128})(?:/(?P<version>[1-9][0-9]{0,9}))?", re.ASCII),
        example="vault:KEY",
        faults=("hvac.exceptions:VaultError",),
        login="Set VAULT_ADDR and VAULT_TOKEN; the token may read transit/keys/KEY "
        "and update transit/sign/KEY.",
    ),
}


@dataclass(frozen=True, slots=True)
class KmsSigner:
    """A key in a service, signing as one key object of metadata.

    Args:
        service: The service.
        uri: The key's URI, for messages.
        keyid: The keyid that the signatures carry.
    """

    service: Service
    uri: str
    keyid: str
    _signer: Signer = field(repr=False, compare=False)

    def sign(self, payload: bytes) -> Signature:
        """Have the service sign; the signature is not verified yet.

        Raises:
            KmsError: It does not, or answers with something else.
        """
        try:
            made = self._signer.sign(payload)
        except _known(self.service.faults, OSError) as error:
            raise self.service.failure(error, self.uri, "sign") from None
        except _MALFORMED:
            raise KmsError(f"{self.service.name} answered with no signature", where=self.uri) from None
        return Signature(self.keyid, made.signature)


def open_kms_key(uri: str) -> KeySigner:
    """Find a key in a service and fetch its public half.

    Args:
        uri: The whole URI, of a scheme in :data:`SERVICES`.

    Raises:
        UsageError: Reason ``key-uri``: names no key of the service; ``key-version``: not its newest version.
        RefusedError: Reason ``bad-key``: no key that signs here, with the reason; ``weak-key``.
        EnvironmentFault: Reason ``missing-extra``: the service's library is not installed; ``kms``: it does
            not answer, or does not let us in.
    """
    scheme, _, rest = uri.partition(":")
    service = SERVICES[scheme]
    named = service.form.fullmatch(rest)
    if named is None:
        raise UsageError(
            f"names no key in {service.name}",
            where=f"{scheme}:",
            todo=f"Write it like {service.example}.",
            reason="key-uri",
        )
    wanted = named.groupdict()
    version = wanted.pop("version", None)
    found, signer, listed = _fetched(service, uri, tuple(wanted.values()))
    if version is not None and found.rpartition("/")[2] != version:
        raise UsageError(
            "is not the newest version of this key, and no other can be used",
            where=uri,
            todo="Give each online key a name of its own, and do not let the service rotate it.",
            reason="key-version",
        )
    public = usable(listed, uri)
    return KeySigner(uri=uri, public=public, warning="", _bind=partial(_bind, service, uri, signer, public))


def _fetched(service: Service, uri: str, named: tuple[str, ...]) -> tuple[str, Signer, SSlibKey]:
    """What the library makes of a key: its own URI, what signs, and the public half that it names."""
    # Without this a failed request is written to the terminal by the logging of last resort.
    for name in filter(None, ("securesystemslib", service.logger)):
        if not logging.getLogger(name).handlers:
            logging.getLogger(name).addHandler(logging.NullHandler())
    kind = getattr(signers, service.signer)
    try:
        found, listed = kind.import_(*named)
        return found, kind.from_priv_key_uri(found, listed), listed
    except UnsupportedLibraryError:
        raise missing_extra(service.name, service.extra, uri) from None
    except _known(service.faults, OSError) as error:
        raise service.failure(error, uri, "give the key's public half") from None
    except _known(service.unusable, UnsupportedAlgorithmError, *_MALFORMED):
        raise RefusedError(
            f"is no key of {service.name} that signs here",
            where=uri,
            todo="Make one for signing: ECDSA on P-256, or Ed25519 in Vault. See docs/kms.md.",
            reason="bad-key",
        ) from None


def missing_extra(name: str, extra: str, uri: str) -> EnvironmentFault:
    """What is said where the library of a key's keeper is not installed.

    Args:
        name: The keeper.
        extra: The extra that brings it.
        uri: The key.
    """
    inside = f"; in a workflow, give the action publish the input kms: {extra}" if extra != "hsm" else ""
    return EnvironmentFault(
        f"what signs with {name} is not installed",
        where=uri,
        todo=f"Install it: pip install 'keyturn[{extra}]'{inside}.",
        reason="missing-extra",
    )


def usable(listed: SSlibKey, uri: str) -> SSlibKey:
    """The public key as metadata may list it.

    Args:
        listed: The key as the library names it.
        uri: Where it came from, for messages.

    Raises:
        RefusedError: Reason ``bad-key`` or ``weak-key``: TUF clients do not know it, or it is too weak.
    """
    try:
        choices = parse_public(public_pem(listed), where=uri).choices
    except RefusedError as error:
        raise RefusedError(error.what, where=uri, todo=error.todo, reason=error.reason) from error
    for key in choices:
        if key.scheme == listed.scheme:
            return key
    raise RefusedError(
        f"signs by {listed.scheme}, which no metadata of ours lists",
        where=uri,
        todo=f"Make a key that signs by {' or '.join(key.scheme for key in choices)}.",
        reason="bad-key",
    )


def _bind(service: Service, uri: str, signer: Signer, public: SSlibKey, key: SSlibKey) -> KmsSigner:
    """The key in the service, signing as a key object.

    Raises:
        ValueError: The key object is of another scheme, or cannot be read.
        KeyMismatchError: It is another key.
    """
    require_same(public, key)
    return KmsSigner(service=service, uri=uri, keyid=key.keyid, _signer=signer)


def require_same(public: SSlibKey, key: SSlibKey) -> None:
    """Have two key objects be the same key under the same scheme, whatever their keyids.

    Raises:
        ValueError: They are of different schemes, or the second cannot be read.
        KeyMismatchError: They are different keys.
    """
    if key.scheme != public.scheme:
        raise ValueError(f"a key for {public.scheme} does not sign by {key.scheme}")
    if fingerprint(key) != fingerprint(public):
        raise KeyMismatchError("the key object is not of this key")


def _known(names: tuple[str, ...], *others: type[Exception]) -> tuple[type[Exception], ...]:
    """Exception classes by name, and others: called where a library raised something, so it is there."""
    places = (name.partition(":") for name in names)
    return (*(getattr(importlib.import_module(module), kind) for module, _, kind in places), *others)


def _told(error: Exception) -> str:
    """An error's name, and its code if it is a plain word."""
    response = getattr(error, "response", None)
    inner = response.get("Error", {}).get("Code") if isinstance(response, dict) else None
    code = str(inner or getattr(error, "status_code", None) or "")
    name = type(error).__name__
    return f"{name} ({code})" if code != name and _CODE.fullmatch(code) else name
