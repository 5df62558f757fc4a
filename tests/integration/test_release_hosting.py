"""Archives in releases of the code host, from the proposal to the signer's own look at the file."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from tuf.api.metadata import TargetFile

from integration.team import NOW, Team
from keyturn.errors import RefusedError, UsageError
from keyturn.flow import changing, events, proposing, tending
from keyturn.flow.checking_files import Fetch, check_files
from keyturn.flow.context import load_event
from unit.fakehost import FakeHost

pytestmark = pytest.mark.slow

TOPIC = "release-hello-1.0"
TAG = "hello-1.0"


@pytest.fixture
def host() -> FakeHost:
    return FakeHost(tip=lambda branch: None)


def with_releases(team: Team) -> None:
    """Founded, and the policy changed to keep archives in releases."""
    team.found()
    alice = team.person("alice").context
    alice.forge.refresh()
    text = alice.forge.tree(alice.forge.main()).read("keyturn.yml").decode()
    changing.policy(alice, text.replace("source: git", "source: releases").encode())
    events.merge(alice, changing.POLICY_TOPIC)


@pytest.fixture
def hosted(team: Team) -> Team:
    """A repository that keeps its archives in releases."""
    team.begin(with_releases)
    return team


def propose(team: Team, host: FakeHost, version: str = "1.0") -> None:
    proposing.release(team.person("alice").context, "hello", version, team.bundle(version), host=host)


def fetch(host: FakeHost, change: bytes = b"") -> Fetch:
    def bring(target: TargetFile, file: Path) -> None:
        name = f"{target.hashes['sha256']}.{target.path.partition('/')[2]}"
        asset = next(a for release in host.hosted for a in release.assets if a.name == name)
        file.write_bytes(host.contents[asset.id] + change)

    return bring


def test_the_archive_is_uploaded_and_not_committed(hosted: Team, host: FakeHost) -> None:
    propose(hosted, host)

    forge = hosted.person("alice").context.forge
    forge.refresh()
    assert not [path for path in forge.tree(forge.event(TOPIC)).entries() if path.startswith("targets/")]
    (release,) = host.hosted
    assert (release.tag, release.prerelease, len(release.assets)) == (TAG, True, 1)


def test_without_a_code_host_the_proposal_says_what_is_missing(hosted: Team) -> None:
    with pytest.raises(UsageError) as caught:
        proposing.release(hosted.person("alice").context, "hello", "1.0", hosted.bundle("1.0"))
    assert caught.value.reason == "no-host"


def test_what_main_refuses_is_not_uploaded(hosted: Team, host: FakeHost) -> None:
    propose(hosted, host)
    for name in ("alice", "bob"):
        hosted.person(name).sign(TOPIC)
    events.merge(hosted.person("alice").context, TOPIC)
    (hosted.bundle("1.0") / "hello").write_text("#!/bin/sh\necho other\n")
    writes = list(host.writes)

    with pytest.raises(RefusedError) as caught:
        propose_again = hosted.base / "hello-1.0"
        proposing.release(hosted.person("alice").context, "hello", "1.0", propose_again, host=host)

    assert caught.value.reason == "already-released"
    assert host.writes == writes


def test_a_signer_can_look_at_the_very_file(hosted: Team, host: FakeHost) -> None:
    propose(hosted, host)
    bob = hosted.person("bob").context
    bob.forge.refresh()

    (checked,) = check_files(load_event(bob, TOPIC), fetch(host))

    assert (checked.path, checked.unpacked) == (f"{TAG}/hello-1.0.tar.gz", True)


def test_a_signer_is_told_of_another_file(hosted: Team, host: FakeHost) -> None:
    propose(hosted, host)
    bob = hosted.person("bob").context
    bob.forge.refresh()
    with pytest.raises(RefusedError) as caught:
        check_files(load_event(bob, TOPIC), fetch(host, change=b"!"))
    assert caught.value.reason == "hash-mismatch"


def test_releases_are_settled_when_signed_and_swept_when_nothing_names_them(
    hosted: Team, host: FakeHost
) -> None:
    propose(hosted, host)
    propose(hosted, host, "1.1")
    alice = hosted.person("alice").context
    assert tending.tend(alice, host) == tending.Tended((), ())

    for name in ("alice", "bob"):
        hosted.person(name).sign(TOPIC)
    events.merge(alice, TOPIC)
    host.hosted = [replace(one, created=NOW) for one in host.hosted]
    hosted.person("alice").context.forge._git.run("push", "--quiet", "origin", ":sign/release-hello-1.1")
    later = replace(alice, now=NOW + timedelta(days=2))

    assert tending.tend(later, host) == tending.Tended((TAG,), ("hello-1.1",))


def test_a_repository_that_keeps_its_archives_in_git_has_nothing_to_tend(team: Team, host: FakeHost) -> None:
    team.found()
    assert tending.tend(team.person("alice").context, host) == tending.Tended((), ())
