"""Which workflow built a file: a Sigstore attestation, verified offline against a trusted root.

GitHub's ``actions/attest-build-provenance`` makes an in-toto statement about a file's digest, signed with a
short-lived key whose certificate says which workflow of which repository ran, and on which ref. What is
checked here is that certificate and that digest; the rest of the statement is the builder's own word.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keyturn.errors import EnvironmentFault, RefusedError

if TYPE_CHECKING:
    from cryptography.x509 import Certificate
    from sigstore.verify import Verifier

ISSUER = "https://token.actions.githubusercontent.com"
"""Who says which workflow it was: GitHub's own OpenID Connect issuer."""
SERVER = "https://github.com"
STATEMENT = "application/vnd.in-toto+json"
_COMMIT = "1.3.6.1.4.1.57264.1.13"
"""Fulcio's extension for the commit that was built (Fulcio: oid-info)."""
_RUN = "1.3.6.1.4.1.57264.1.21"
_SHORT = 130
"""Longest DER string whose length is one byte, with its two bytes of header."""


@dataclass(frozen=True, slots=True)
class Build:
    """What must have built a file.

    Args:
        repository: ``OWNER/REPOSITORY``.
        workflow: File name below ``.github/workflows/``.
        ref: The full ref it ran on, e.g. ``refs/tags/v1.2``.
        server: The code host's address, without a slash at the end.
        issuer: Its OpenID Connect issuer.
    """

    repository: str
    workflow: str
    ref: str
    server: str = SERVER
    issuer: str = ISSUER

    @property
    def identity(self) -> str:
        """The workflow as certificates name it."""
        return f"{self.server}/{self.repository}/.github/workflows/{self.workflow}@{self.ref}"


@dataclass(frozen=True, slots=True)
class Attested:
    """A file that a workflow is proven to have built.

    Args:
        build: What built it.
        sha256: SHA-256 of the file, lower hex.
        commit: The commit it was built from; empty if the certificate does not say.
        run: Address of the run; empty if the certificate does not say.
    """

    build: Build
    sha256: str
    commit: str
    run: str

    def __str__(self) -> str:
        return f"built by {self.build.identity} from {self.commit[:12] or 'an unnamed commit'}"


def open_verifier(trusted_root: Path | None = None) -> Verifier:
    """The verifier of attestations; it never asks the network.

    Args:
        trusted_root: File with the trusted root of a private Sigstore instance; None is the public one, as
            the installed ``sigstore`` carries it.

    Raises:
        EnvironmentFault: ``sigstore`` is not installed (reason ``missing-extra``), or the file is no
            trusted root.
    """
    try:
        from sigstore.models import TrustedRoot  # noqa: PLC0415 - costs a second, and only this needs it
        from sigstore.verify import Verifier  # noqa: PLC0415
    except ImportError as error:
        raise EnvironmentFault(
            "attestations cannot be verified: sigstore is not installed",
            todo="Install it: pip install 'keyturn[repo]'.",
            reason="missing-extra",
        ) from error
    if trusted_root is None:
        return Verifier.production(offline=True)
    try:
        return Verifier(trusted_root=TrustedRoot.from_file(str(trusted_root)))
    except Exception as error:  # sigstore raises whatever its parts raise on a bad file
        raise EnvironmentFault("is not a Sigstore trusted root", where=str(trusted_root)) from error


def verify_attestation(
    bundles: Sequence[Mapping[str, object]], sha256: str, build: Build, verifier: Verifier
) -> Attested:
    """Find an attestation that ties a file to a build.

    Args:
        bundles: Sigstore bundles, unverified, as the host gives them.
        sha256: SHA-256 of the file, lower hex.
        build: What must have built it.
        verifier: From :func:`open_verifier`.

    Returns:
        The first that holds.

    Raises:
        RefusedError: There is none (reason ``not-attested``); says why each was refused.
    """
    said = []
    for bundle in bundles:
        try:
            return _verified(bundle, sha256, build, verifier)
        except RefusedError as error:
            said.append(error.what)
    raise RefusedError(
        "no attestation ties this file to its build"
        + (f": {'; '.join(dict.fromkeys(said))}" if said else ", there is none"),
        where=f"sha256:{sha256}",
        todo=f"The file must be built and attested by {build.identity}.",
        reason="not-attested",
    )


def _verified(bundle: Mapping[str, object], sha256: str, build: Build, verifier: Verifier) -> Attested:
    from sigstore.models import Bundle  # noqa: PLC0415

    parsed = _refusing(lambda: Bundle.from_json(json.dumps(bundle)), "a bundle cannot be read")
    kind, payload = _refusing(
        lambda: verifier.verify_dsse(parsed, _policy(build)), "a bundle does not verify"
    )
    if kind != STATEMENT or sha256 not in _subjects(payload):
        raise RefusedError("an attestation is about another file")
    certificate = parsed.signing_certificate
    return Attested(
        build=build, sha256=sha256, commit=_said(certificate, _COMMIT), run=_said(certificate, _RUN)
    )


def _refusing(attempt: Callable[[], Any], what: str) -> Any:  # noqa: ANN401 - whatever the attempt gives
    """Try something with untrusted bytes in other people's code: whatever it raises is a refusal."""
    try:
        return attempt()
    except Exception as error:  # sigstore lets errors of many libraries through
        first = str(error).partition("\n")[0]
        raise RefusedError(f"{what} ({first or type(error).__name__})", reason="not-attested") from error


def _policy(build: Build) -> Any:  # noqa: ANN401 - sigstore's classes have no common name at run time
    from sigstore.verify import policy  # noqa: PLC0415

    # The workflow alone would not do: another repository may call a reusable one and get its name.
    return policy.AllOf(
        [
            policy.Identity(identity=build.identity),
            policy.OIDCIssuerV2(build.issuer),
            policy.OIDCSourceRepositoryURI(f"{build.server}/{build.repository}"),
            policy.OIDCSourceRepositoryRef(build.ref),
            policy.OIDCBuildConfigURI(build.identity),
        ]
    )


def _subjects(payload: bytes) -> frozenset[str]:
    """SHA-256 digests of the files that a statement is about (in-toto: Statement v1)."""
    try:
        subjects = json.loads(payload)["subject"]
        return frozenset(subject["digest"]["sha256"] for subject in subjects)
    except (ValueError, KeyError, TypeError, RecursionError):
        return frozenset()


def _said(certificate: Certificate, oid: str) -> str:
    """What an extension of a verified certificate says: a DER UTF8String."""
    for extension in certificate.extensions:
        if extension.oid.dotted_string == oid:
            raw: bytes = getattr(extension.value, "value", b"")
            return raw[2:].decode("utf-8", "replace") if raw[:1] == b"\x0c" and len(raw) < _SHORT else ""
    return ""
