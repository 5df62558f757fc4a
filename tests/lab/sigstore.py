"""A Sigstore of the lab's own, and attestations such as GitHub's workflows make."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from sigstore.dsse import DigestSet, StatementBuilder, Subject
from sigstore.models import ClientTrustConfig
from sigstore.oidc import IdentityToken
from sigstore.sign import SigningContext

SERVER = Path(__file__).with_name("sigstore.cjs")
ISSUER = "https://token.actions.githubusercontent.com"
PROVENANCE = "https://slsa.dev/provenance/v1"
LIFETIME = 300


@dataclass(frozen=True, slots=True)
class Workflow:
    """A workflow that runs, as GitHub's identity token describes it."""

    repository: str
    file: str
    ref: str
    commit: str = "1" * 40
    caller: str = ""
    """The repository that calls it, where it is a reusable one of another."""
    server: str = "https://github.com"

    def claims(self, now: int) -> dict[str, object]:
        source = self.caller or self.repository
        reference = f"{self.repository}/.github/workflows/{self.file}@{self.ref}"
        return {
            "iss": ISSUER,
            "aud": "sigstore",
            "sub": f"repo:{source}:ref:{self.ref}",
            "iat": now,
            "nbf": now,
            "exp": now + LIFETIME,
            "repository": source,
            "repository_owner": source.partition("/")[0],
            "repository_id": "1",
            "repository_owner_id": "1",
            "repository_visibility": "public",
            "ref": self.ref,
            "sha": self.commit,
            "event_name": "push",
            "workflow": "Release",
            "job_workflow_ref": reference,
            "workflow_ref": reference if not self.caller else f"{source}/.github/workflows/x.yml@{self.ref}",
            "job_workflow_sha": self.commit,
            "workflow_sha": self.commit,
            "server": self.server,
            "runner_environment": "github-hosted",
            "run_id": "7",
            "run_attempt": "1",
        }


@dataclass(frozen=True, slots=True)
class Sigstore:
    """The instance.

    Args:
        config: Its trust configuration, services included.
        trusted_root: File with what a verifier needs.
    """

    config: ClientTrustConfig
    trusted_root: Path

    def attest(self, workflow: Workflow, name: str, sha256: str) -> Mapping[str, object]:
        """The bundle that the workflow's attestation step would upload for a file."""
        statement = (
            StatementBuilder()
            .subjects([Subject(name=name, digest=DigestSet({"sha256": sha256}))])
            .predicate_type(PROVENANCE)
            .predicate({"buildDefinition": {}, "runDetails": {}})
            .build()
        )
        claims = workflow.claims(int(datetime.now(timezone.utc).timestamp()))
        context = SigningContext.from_trust_config(self.config)
        with context.signer(IdentityToken(_token(claims))) as signer:
            bundle = json.loads(signer.sign_dsse(statement).to_json())
        assert isinstance(bundle, dict)
        return bundle


def _token(claims: Mapping[str, object]) -> str:
    parts = ({"alg": "HS256", "typ": "JWT"}, claims)
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return ".".join([*encoded, "c2lnbmF0dXJl"])


@contextmanager
def sigstore(directory: Path) -> Iterator[Sigstore]:
    """Start it, and stop it at the end.

    Args:
        directory: Where its files go.
    """
    config = directory / "trust-config.json"
    command = ["node", str(SERVER), str(config)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline().startswith("http://")
            document = json.loads(config.read_text())
            trusted_root = directory / "trusted-root.json"
            trusted_root.write_text(json.dumps(document["trustedRoot"]))
            yield Sigstore(ClientTrustConfig.from_json(json.dumps(document)), trusted_root)
        finally:
            process.kill()
