"""Pull mode: releases of an app's own repository are proposed once an attestation ties them to a workflow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, NoReturn

import pytest

from integration.team import Team
from keyturn.errors import RefusedError
from keyturn.flow import changing, events, watching
from keyturn.flow.watching import Watched
from keyturn.forge.host import HostedRelease
from keyturn.release.archive import pack
from keyturn.release.attestation import Attested, Build
from keyturn.state import State, targets_of
from unit.fakehost import FakeHost

if TYPE_CHECKING:
    from sigstore.verify import Verifier

pytestmark = pytest.mark.slow

COMMIT = "c" * 40
POLICY = "apps:\n  hello: {from: {repository: acme/hello}}\n"


@pytest.fixture
def source() -> FakeHost:
    """The app's own repository."""
    return FakeHost(tip=lambda branch: None, slug="acme/hello")


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch) -> list[Build]:
    """Verification that believes a bundle which says "good", and keeps what was asked for."""
    asked: list[Build] = []

    def verify(bundles: tuple[object, ...], sha256: str, build: Build, verifier: Verifier) -> Attested:
        asked.append(build)
        if {"good": sha256} not in bundles:
            raise RefusedError("no attestation ties this file to its build", reason="not-attested")
        return Attested(build=build, sha256=sha256, commit=COMMIT, run="")

    monkeypatch.setattr(watching, "verify_attestation", verify)
    return asked


def with_source(team: Team) -> None:
    """Founded, and the policy changed to take the app from acme/hello."""
    team.found()
    alice = team.person("alice").context
    alice.forge.refresh()
    before = alice.forge.tree(alice.forge.main()).read("keyturn.yml").decode()
    text = (
        before[: before.index("apps:")] + POLICY + before[before.index("\n\n", before.index("apps:")) + 1 :]
    )
    changing.policy(alice, text.encode())
    events.merge(alice, changing.POLICY_TOPIC)


def look(team: Team, source: FakeHost) -> Watched:
    def nobody() -> None:
        return None

    make: Callable[[], Verifier] = nobody  # type: ignore[assignment]
    return watching.watch(
        team.person("alice").context, None, lambda slug: source, make, server="https://github.com"
    )


def release(source: FakeHost, team: Team, version: str, *, attested: bool = True) -> str:
    """A release of the app with its archive; gives the archive's digest."""
    packed = pack(team.bundle(version), team.base / f"hello-{version}.tar.gz")
    made = source.create_release(f"v{version}", version, "", target="main")
    source.upload(made, packed.path.name, packed.path)
    source.edit_release(made, draft=False)
    if attested:
        source.bundles[packed.sha256] = ({"good": packed.sha256},)
    return packed.sha256


def test_a_newer_release_is_proposed_byte_for_byte(
    team: Team, source: FakeHost, checked: list[Build]
) -> None:
    team.begin(with_source)
    release(source, team, "1.0")
    digest = release(source, team, "1.1")

    found = look(team, source)

    assert [(taken.app, taken.version) for taken in found.taken] == [("hello", "1.1")]
    assert found.failed == {}
    assert checked == [Build("acme/hello", "release.yml", "refs/tags/v1.1")]
    forge = team.person("alice").context.forge
    forge.refresh()
    targets = State(forge.tree(forge.event("release-hello-1.1"))).role("targets")
    assert targets is not None
    (target,) = targets_of(targets).targets.values()
    assert target.hashes == {"sha256": digest}


def test_the_commit_says_what_was_proven(team: Team, source: FakeHost, checked: list[Build]) -> None:
    team.begin(with_source)
    digest = release(source, team, "1.1")
    look(team, source)

    git = team.person("alice").context.forge._git
    tip = team.person("alice").context.forge.event("release-hello-1.1")
    message = git.run("log", "-1", "--format=%B", str(tip)).decode()
    assert f"Keyturn-Attested: {digest} {checked[0].identity} {COMMIT}" in message


def test_what_no_attestation_vouches_for_is_not_proposed(
    team: Team, source: FakeHost, checked: list[Build]
) -> None:
    team.begin(with_source)
    release(source, team, "1.1", attested=False)

    found = look(team, source)

    assert found.taken == ()
    assert found.failed["hello"].reason == "not-attested"
    assert team.person("alice").context.forge.event("release-hello-1.1") is None


def test_looking_again_proposes_nothing_twice(team: Team, source: FakeHost, checked: list[Build]) -> None:
    team.begin(with_source)
    release(source, team, "1.1")
    look(team, source)
    again = look(team, source)
    assert (again.taken, again.failed) == ((), {})


@pytest.mark.parametrize(
    "change",
    [
        lambda one: replace(one, draft=True),
        lambda one: replace(one, prerelease=True),
        lambda one: replace(one, tag="nightly"),
        lambda one: replace(one, tag="v1.1rc1"),
        lambda one: replace(one, tag="v1.1+local"),
    ],
    ids=["draft", "prerelease", "other tag", "release candidate", "local version"],
)
def test_only_final_releases_of_the_form_named_are_looked_at(
    team: Team, source: FakeHost, checked: list[Build], change: Callable[[HostedRelease], HostedRelease]
) -> None:
    team.begin(with_source)
    release(source, team, "1.1")
    source.hosted = [change(one) for one in source.hosted]
    found = look(team, source)
    assert (found.taken, found.failed, checked) == ((), {}, [])


def test_a_release_without_its_archive_says_what_is_missing(
    team: Team, source: FakeHost, checked: list[Build]
) -> None:
    team.begin(with_source)
    release(source, team, "1.1")
    source.hosted = [replace(one, assets=()) for one in source.hosted]

    failure = look(team, source).failed["hello"]

    assert (failure.reason, failure.where) == ("missing-asset", "acme/hello")
    assert "hello-1.1.tar.gz" in failure.what


def test_a_file_that_no_client_could_install_is_not_proposed(
    team: Team, source: FakeHost, checked: list[Build]
) -> None:
    team.begin(with_source)
    release(source, team, "1.1")
    (asset,) = source.hosted[0].assets
    source.contents[asset.id] = b"no archive"

    assert look(team, source).failed["hello"].reason == "bad-archive"


def test_a_repository_that_does_not_answer_is_told_with_its_app(
    team: Team, source: FakeHost, checked: list[Build], monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*_: object) -> NoReturn:
        raise RefusedError("no answer", reason="host")

    team.begin(with_source)
    monkeypatch.setattr(source, "releases", unreachable)
    assert look(team, source).failed["hello"].reason == "host"


def test_apps_of_this_repository_are_left_alone(team: Team, source: FakeHost, checked: list[Build]) -> None:
    team.found()
    release(source, team, "1.1")
    found = look(team, source)
    assert (found.taken, found.failed) == ((), {})
