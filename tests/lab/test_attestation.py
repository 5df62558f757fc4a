"""Attestations: which file, built by which workflow of which repository, on which tag."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from keyturn.errors import EnvironmentFault, RefusedError
from keyturn.release.attestation import Build, open_verifier, verify_attestation
from lab.sigstore import Sigstore, Workflow, sigstore

pytestmark = [pytest.mark.lab, pytest.mark.slow]

Bundle = Mapping[str, object]
DIGEST = "ab" * 32
WORKFLOW = Workflow("acme/app", "release.yml", "refs/tags/v1.2")
BUILD = Build("acme/app", "release.yml", "refs/tags/v1.2")


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sigstore]:
    with sigstore(tmp_path_factory.mktemp("sigstore")) as running:
        yield running


@pytest.fixture(scope="module")
def bundle(instance: Sigstore) -> Bundle:
    return instance.attest(WORKFLOW, "app-1.2.tar.gz", DIGEST)


def refusal(instance: Sigstore, bundles: list[Bundle], build: Build = BUILD, sha256: str = DIGEST) -> str:
    with pytest.raises(RefusedError) as caught:
        verify_attestation(bundles, sha256, build, open_verifier(instance.trusted_root))
    assert caught.value.reason == "not-attested"
    return caught.value.what


def test_a_file_that_the_workflow_built_on_the_tag_is_attested(instance: Sigstore, bundle: Bundle) -> None:
    attested = verify_attestation([bundle], DIGEST, BUILD, open_verifier(instance.trusted_root))

    assert (attested.sha256, attested.commit) == (DIGEST, WORKFLOW.commit)
    assert str(attested) == (
        "built by https://github.com/acme/app/.github/workflows/release.yml@refs/tags/v1.2 from 111111111111"
    )


def test_one_that_holds_is_enough(instance: Sigstore, bundle: Bundle) -> None:
    attested = verify_attestation([{}, bundle], DIGEST, BUILD, open_verifier(instance.trusted_root))
    assert attested.sha256 == DIGEST


def test_another_file_is_not_attested(instance: Sigstore, bundle: Bundle) -> None:
    assert "about another file" in refusal(instance, [bundle], sha256="cd" * 32)


@pytest.mark.parametrize(
    "build",
    [
        replace(BUILD, repository="acme/other"),
        replace(BUILD, workflow="test.yml"),
        replace(BUILD, ref="refs/tags/v1.3"),
        replace(BUILD, ref="refs/heads/main"),
        replace(BUILD, server="https://github.example.org"),
        replace(BUILD, issuer="https://issuer.example.org"),
    ],
    ids=["repository", "workflow", "tag", "branch", "server", "issuer"],
)
def test_another_build_is_not_the_one_that_is_wanted(
    instance: Sigstore, bundle: Bundle, build: Build
) -> None:
    assert "does not verify" in refusal(instance, [bundle], build)


def test_a_workflow_that_another_repository_called_does_not_count(instance: Sigstore) -> None:
    called = instance.attest(replace(WORKFLOW, caller="evil/app"), "app-1.2.tar.gz", DIGEST)
    assert "does not verify" in refusal(instance, [called])


def test_a_changed_statement_does_not_verify(instance: Sigstore, bundle: Bundle) -> None:
    changed = json.loads(json.dumps(bundle))
    changed["dsseEnvelope"]["payload"] = "e30="
    assert "does not verify" in refusal(instance, [changed])


def test_an_attestation_of_another_sigstore_does_not_verify(bundle: Bundle) -> None:
    with pytest.raises(RefusedError):
        verify_attestation([bundle], DIGEST, BUILD, open_verifier())


def test_no_attestation_at_all_says_so(instance: Sigstore) -> None:
    assert "there is none" in refusal(instance, [])


def test_a_file_that_is_no_trusted_root_is_named(tmp_path: Path) -> None:
    file = tmp_path / "root.json"
    file.write_text("{}")
    with pytest.raises(EnvironmentFault) as caught:
        open_verifier(file)
    assert caught.value.where == str(file)
