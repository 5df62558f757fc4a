"""Somebody who can push to every branch, but holds no key: what they write does no lasting harm."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from pathlib import Path

import pytest
from tuf.api.metadata import Metadata, Targets

from integration.team import NOW, Team, with_proposal, with_site
from keyturn import trial
from keyturn.errors import RefusedError
from keyturn.flow import changing, events, publishing
from keyturn.flow.context import only_topic
from keyturn.flow.live import Served, look
from keyturn.forge import PUBLISHED, STAGED
from keyturn.git import Git, Identity
from keyturn.state import Site, State, render_metadata
from keyturn.tree import MemoryTree
from keyturn.verify import EventState

pytestmark = pytest.mark.slow

MALLORY = Identity("mallory", "mallory@example.org")


@pytest.fixture
def team(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Team:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "no-gitconfig"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    return Team(tmp_path)


def tip(team: Team, branch: str) -> str:
    forge = team.person("alice").context.forge
    forge.refresh()
    found = forge.branch_tip(branch)
    assert found is not None
    return found


def set_branch(team: Team, branch: str, commit: str) -> None:
    git = Git.open(team.person("alice").clone)
    git.run("push", "--quiet", "--force", "origin", f"{commit}:refs/heads/{branch}")


def with_second_root(team: Team, site: Path) -> dict[str, str]:
    """Root 2 published; the tips of all branches as they were before."""
    team.found()
    publishing.publish(team.publisher(), site, [team.online])
    before = {branch: tip(team, branch) for branch in ("main", STAGED, PUBLISHED)}
    changing.renew(team.person("alice").context, ["root"])
    for name in ("alice", "bob"):
        team.person(name).sign("renew")
    events.merge(team.person("alice").context, "renew")
    publishing.publish(team.publisher(), site, [team.online])
    return before


def test_a_main_whose_root_went_back_is_not_published(team: Team, tmp_path: Path) -> None:
    """Root 2 may be there because keys of root 1 were stolen: a new client must never stop at root 1."""
    before = with_second_root(team, tmp_path / "site")
    set_branch(team, "main", before["main"])

    with pytest.raises(RefusedError, match="root is version 1 on main, but root 2 was published") as caught:
        publishing.publish(team.publisher(), tmp_path / "site", [team.online])

    assert caught.value.reason == "went-back"
    assert (tmp_path / "site/metadata/2.root.json").is_file()


def test_nor_if_the_caches_were_set_back_with_it_and_the_site_still_serves_the_new_root(
    team: Team, tmp_path: Path
) -> None:
    for branch, commit in with_second_root(team, tmp_path / "site").items():
        set_branch(team, branch, commit)

    with (
        trial.serve_directory(tmp_path / "site") as url,
        pytest.raises(RefusedError, match="root 2 was publi"),
    ):
        publishing.publish(team.publisher(), tmp_path / "other", [team.online], lambda _: look(url))


def test_a_root_that_nobody_signed_does_not_stop_a_publication(team: Team, tmp_path: Path) -> None:
    team.begin(with_site)
    first = json.loads((tmp_path / "site/metadata/1.root.json").read_bytes())
    first["signed"]["version"] = 2
    forged = json.dumps(first).encode()
    team.push_file(PUBLISHED, "metadata/2.root.json", forged)
    site = Site(MemoryTree({"metadata/2.root.json": forged}))

    publishing.publish(team.publisher(), tmp_path / "site", [team.online], lambda _: Served(site, ""))

    assert not (tmp_path / "site/metadata/2.root.json").exists()


def test_a_file_name_in_a_cache_sets_no_version(team: Team, tmp_path: Path) -> None:
    team.begin(with_site)
    team.push_file(PUBLISHED, "metadata/999999999.beta.json", b"junk")
    alice = team.person("alice").context
    alice.forge.refresh()
    text = alice.forge.tree(alice.forge.main()).read("keyturn.yml").decode()
    beta = "delegations:\n  beta: {paths: [b], signers: [bob], threshold: 1, expires: 60d, renew: 20d}\n"

    made = changing.policy(alice, re.sub(r"^delegations: .*\n", beta, text, flags=re.M).encode())

    assert ("beta", 1) in made.proposed.roles


def test_a_stray_role_on_main_leaves_nothing_in_what_a_signer_has_seen(team: Team) -> None:
    """Else a name could be burnt: its first version would be a step back from the stray one."""
    team.found()
    stray = Metadata(Targets(version=999_999_999, expires=NOW + timedelta(days=30)))
    team.push_file("main", "metadata/beta.json", render_metadata(stray))
    topic = team.propose("1.0").topic
    git = Git.open(team.person("alice").clone)
    event = tip(team, f"sign/{topic}")
    tree = git.write_tree(event, {"metadata/beta.json": None})
    commit = git.commit_tree(tree, [event], "take it away again", author=MALLORY, when=NOW)
    set_branch(team, f"sign/{topic}", commit)

    team.person("alice").sign(topic)

    assert team.person("alice").context.remembered.seen() == {"root": 1, "targets": 1}


def orphan(team: Team) -> None:
    git = Git.open(team.person("mallory").clone)
    tree = git.write_tree(None, {"keyturn.yml": b"x"})
    commit = git.commit_tree(tree, [], "from nowhere", author=MALLORY, when=NOW)
    git.run("push", "--quiet", "origin", f"{commit}:refs/heads/sign/orphan")


def test_an_event_without_a_common_history_is_invalid_and_hides_no_other(team: Team) -> None:
    team.begin(with_proposal, "1.0")
    topic = "release-hello-1.0"
    orphan(team)

    found = {status.topic: status for status in events.statuses(team.person("alice").context)}

    assert found[topic].state is EventState.PENDING
    assert found["orphan"].state is EventState.INVALID
    assert {finding.id for finding in found["orphan"].report.findings} >= {"KT100"}


def test_an_event_without_a_common_history_is_not_merged(team: Team) -> None:
    team.found()
    orphan(team)

    with pytest.raises(RefusedError, match="KT100"):
        events.merge(team.person("alice").context, only_topic(team.person("alice").context, "orphan"))


def test_a_version_of_a_thousand_digits_is_a_finding_at_most(team: Team) -> None:
    team.begin(with_proposal, "1.0")
    topic = "release-hello-1.0"
    alice = team.person("alice").context
    alice.forge.refresh()
    document = json.loads(alice.forge.tree(alice.forge.event(topic)).read("metadata/targets.json"))
    for target in document["signed"]["targets"].values():
        target["custom"]["user"]["keyturn"]["version"] = "1" * 5000
    team.push_file(f"sign/{topic}", "metadata/targets.json", json.dumps(document).encode())

    status = events.status(alice, topic)

    assert State(alice.forge.head(topic).tree or MemoryTree({})).role("targets") is not None
    assert status.topic == topic
