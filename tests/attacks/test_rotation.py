"""Root 1, 2, 3, with all signers changed along the way; whoever comes with root 1 follows in one go."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import time_machine
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Root
from tuf.ngclient import Updater

from integration.team import NOW, Team
from keyturn.client import Client
from keyturn.flow import changing, events, found, publishing
from keyturn.flow.context import POLICY
from keyturn.state import fingerprint
from keyturn.trial import serve_directory

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Rotated:
    """What was published at the beginning and at the end, and an app that never updated in between.

    Args:
        team: The people.
        site: The site with root 3.
        root_1: What every client comes with.
        app: The directory of an app that was installed when there was only root 1.
        dropped: The keyid of one of the two who had to sign root 3 as signers of root 2.
    """

    team: Team
    site: Path
    root_1: bytes
    app: Path
    dropped: str


def sign_and_merge(team: Team, topic: str, *names: str) -> None:
    for name in names:
        team.trusting(name).sign(topic)
    events.merge(team.person(names[0]).context, topic)


def hand_over(team: Team, topic: str, signers: list[str], *by: str) -> None:
    """Let the policy name other signers of root and targets; who is new joins, everybody concerned signs."""
    first = team.person(by[0]).context
    first.forge.refresh()
    text = first.forge.tree(first.forge.main()).read(POLICY).decode()
    old = next(line.strip() for line in text.splitlines() if "signers:" in line)
    wanted = text.replace(old, f"signers: [{', '.join(signers)}]").encode()
    waiting = changing.policy(first, wanted, topic)
    for name in waiting.missing:
        found.join(team.person(name).context, topic, name, team.person(name).key)
    sign_and_merge(team, topic, *by)


@pytest.fixture(scope="module")
def rotated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rotated]:
    base = tmp_path_factory.mktemp("rotation")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GIT_CONFIG_GLOBAL", str(base / "no-gitconfig"))
        patch.setenv("GIT_CONFIG_NOSYSTEM", "1")
        team, site, app = Team(base), base / "site", base / "app"
        team.found(("alice", "bob"), 2)
        team.release("1.0")
        publishing.publish(team.publisher(), site, [team.online])
        root_1 = (site / "metadata/1.root.json").read_bytes()
        with serve_directory(site) as url, time_machine.travel(NOW, tick=False):
            assert update(Client(root_1, url, "hello", app)) == "1.0"
        hand_over(team, "first", ["bob", "carol"], "alice", "bob", "carol")
        hand_over(team, "second", ["dave", "erin"], "bob", "carol", "dave", "erin")
        team.release("2.0", ("dave", "erin"))
        publishing.publish(team.publisher(), site, [team.online])
        yield Rotated(team, site, root_1, app, team.person("carol").key.public.keyid)


def holders(site: Path, version: int) -> set[str]:
    root = Metadata[Root].from_file(str(site / f"metadata/{version}.root.json")).signed
    return {fingerprint(root.keys[keyid]) for keyid in root.roles["root"].keyids}


def update(client: Client) -> str | None:
    newest = client.check().newest
    assert newest
    client.install(newest)
    return client.installed().current


def stock(directory: Path, url: str, root: bytes) -> Updater:
    directory.mkdir()
    updater = Updater(str(directory), f"{url}metadata/", bootstrap=root)
    updater.refresh()
    return updater


def test_between_root_1_and_root_3_everybody_was_replaced(rotated: Rotated) -> None:
    roots = sorted(path.name for path in (rotated.site / "metadata").glob("*.root.json"))

    assert roots == ["1.root.json", "2.root.json", "3.root.json"]
    assert holders(rotated.site, 1).isdisjoint(holders(rotated.site, 3))


def test_a_stock_client_follows_from_root_1_in_one_go(rotated: Rotated, tmp_path: Path) -> None:
    with serve_directory(rotated.site) as url, time_machine.travel(NOW, tick=False):
        client = stock(tmp_path / "fresh", url, rotated.root_1)

        assert client.get_targetinfo("hello/hello-2.0.tar.gz")
    assert (tmp_path / "fresh/root.json").resolve().name == "3.root.json"


@pytest.mark.parametrize("held", [True, False], ids=["installed before", "with root 1 alone"])
def test_our_client_follows_from_root_1_in_one_go(rotated: Rotated, tmp_path: Path, held: bool) -> None:
    if held:
        shutil.copytree(rotated.app, tmp_path / "app", symlinks=True)
    with serve_directory(rotated.site) as url, time_machine.travel(NOW, tick=False):
        client = Client(rotated.root_1, url, "hello", tmp_path / "app")

        assert update(client) == "2.0"


@pytest.mark.parametrize("broken", ["root 2 is gone", "root 3 lacks a threshold of root 2's people"])
def test_nobody_follows_a_broken_line(rotated: Rotated, tmp_path: Path, broken: str) -> None:
    site = tmp_path / "site"
    shutil.copytree(rotated.site, site)
    if broken == "root 2 is gone":
        (site / "metadata/2.root.json").unlink()
    else:
        root = Metadata[Root].from_file(str(site / "metadata/3.root.json"))
        root.signatures.pop(rotated.dropped)
        root.to_file(str(site / "metadata/3.root.json"))
    with serve_directory(site) as url, time_machine.travel(NOW, tick=False), pytest.raises(RepositoryError):
        stock(tmp_path / "fresh", url, rotated.root_1)
