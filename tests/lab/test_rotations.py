"""Keys change hands while edges lag behind: clients go on, and who has lost too many keys is told so.

The events are pull requests on the forge; publishing runs its jobs; each edge of the site keeps what it was
asked for, a 404 too, for ten minutes of the lab's clock.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from click.testing import CliRunner
from tuf.api.exceptions import UnsignedMetadataError
from tuf.ngclient import Updater

from keyturn.cli.entry import cli
from keyturn.errors import PendingError
from lab.actions.node import NODE
from lab.clock import Clock
from lab.forge import LabForge
from lab.forge.settings import Secret
from lab.jobs import ONLINE_KEY, Kept, Place, Ran, step_of
from lab.pages import Pages

pytestmark = [pytest.mark.lab, pytest.mark.slow]

OLD_KEY = "KEYTURN_OLD_ONLINE_KEY"
MINUTE = timedelta(minutes=1)


@dataclass
class Town:
    """A repository with hello 1.0 on its site; what is asked of the site goes to the first edge."""

    place: Place
    clients: Path

    def join(self, event: str, login: str, person: str) -> None:
        """`keyturn join --replace`, as somebody types it in their clone."""
        who = self.place.people.person(person)
        line = ["-C", str(who.clone), "--at", f"{self.place.clock():%Y-%m-%dT%H:%M:%SZ}", "join", event]
        line += ["--login", login, "--key", f"file:{who.key_file}", "--replace"]
        settings = {"KEYTURN_CONFIG_DIR": str(who.context.home.directory)}
        with self.place.by("alice"):
            done = CliRunner(env=settings).invoke(cli, line)
        assert done.exit_code == 0, done.output

    def check(self) -> None:
        ran = self.place.run("keyturn-signing-event", "check")
        assert ran.code == 0, ran.told + ran.log

    def comment(self, topic: str) -> str:
        (event,) = (
            one for one in self.place.repository.pulls() if one.pull and one.pull.branch == f"sign/{topic}"
        )
        (comment,) = event.comments
        return comment.body

    def counts(self, topic: str) -> list[list[str]]:
        """Role, whose threshold and signatures, as the table of the comment shows them."""
        rows = [
            line.strip("| ").split(" | ") for line in self.comment(topic).splitlines() if line[:3] == "| `"
        ]
        return [[row[0].strip("`"), row[2].strip("`"), row[3].strip("*")] for row in rows]

    def sign(self, topic: str, *logins: str) -> None:
        for login in logins:
            self.place.sign(login, topic)

    def secret(self, name: str, value: str) -> None:
        """What alice writes into the environment's page."""
        now = self.place.clock()
        self.place.repository.environments["keyturn"].secrets[name] = Secret(name, value, now, now)

    def stage(self) -> Ran:
        """The job `sign`, with the old key if the environment has it."""
        asked = str(step_of("keyturn-publish", "sign")[1]["old-key"]).strip("${} ")
        forge, slug = self.place.forge, self.place.slug
        contexts = {"secrets": forge.secrets(slug, "keyturn"), "vars": forge.variables(slug, "keyturn")}
        inputs = {"old-key": str(NODE.evaluate(asked, contexts) or "")}
        return self.place.run("keyturn-publish", "sign", inputs=inputs)

    def deploy(self, staged: Ran) -> None:
        """Build and deploy; each edge goes on with what it kept."""
        site = self.clients / f"site-{staged.outputs['commit']}"
        built = self.place.build(staged, site)
        assert (staged.code, built.code) == (0, 0), staged.told + built.told
        self.place.deploy(site, edges_know=False)

    def path(self, name: str) -> str:
        return f"/{self.place.slug}/metadata/{name}"

    def stock(self, name: str, edge: int = 0) -> tuple[int, int]:
        """A stock client by name updates; the versions of root and timestamp that it holds then."""
        directory = self.clients / name
        directory.mkdir(exist_ok=True)
        url = self.place.pages.url(self.place.slug, edge)
        with time_machine.travel(self.place.clock(), tick=False):
            client = Updater(
                str(directory),
                f"{url}metadata/",
                target_dir=str(directory),
                target_base_url=f"{url}targets/",
                bootstrap=self.first_root,
            )
            client.refresh()
            target = client.get_targetinfo("hello/hello-1.0.tar.gz")
            assert target is not None
            client.download_target(target)
        return held(directory, "root"), held(directory, "timestamp")

    def app(self, name: str, edge: int = 0) -> tuple[int, dict[str, Any]]:
        """`keyturn client check`: its exit code and what it says."""
        root = self.clients / "root.json"
        root.write_bytes(self.first_root)
        url = self.place.pages.url(self.place.slug, edge)
        line = ["--json", "client", "--root", str(root), "--url", url, "--app", "hello"]
        with time_machine.travel(self.place.clock(), tick=False):
            done = CliRunner().invoke(cli, [*line, "--dir", str(self.clients / name), "check"])
        return done.exit_code, json.loads(done.stdout)

    @property
    def first_root(self) -> bytes:
        """What the app came with."""
        return self.place.main().roots[1].data

    def lag(self) -> None:
        """The first edge keeps that there is no second root, and asks for everything else anew."""
        edge = self.place.pages.edges[0]
        edge._kept = {path: kept for path, kept in edge._kept.items() if kept[1].status == 404}
        assert self.path("2.root.json") in edge._kept


def held(directory: Path, role: str) -> int:
    version: int = json.loads((directory / f"{role}.json").read_text())["signed"]["version"]
    return version


def town_of(directory: Path, signers: dict[str, int], *, published: bool) -> Iterator[tuple[Town, Kept]]:
    clock = Clock()
    with Pages(clock) as pages, LabForge(directory / "forge", clock=clock) as forge:
        place = Place(forge, pages, clock, directory / "place", signers=signers)
        place.found()
        if published:
            place.release("1.0")
            place.publish()
        yield Town(place, directory), place.keep()


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Town, Kept]]:
    yield from town_of(
        tmp_path_factory.mktemp("three"), {"alice": 1001, "bob": 1002, "carol": 1003}, published=True
    )


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Town, Kept]]:
    yield from town_of(tmp_path_factory.mktemp("two"), {"alice": 1001, "bob": 1002}, published=False)


@pytest.fixture
def town(three: tuple[Town, Kept], tmp_path: Path) -> Town:
    """Two of three people are enough."""
    three[0].place.go_back(three[1])
    three[0].clients = tmp_path
    return three[0]


@pytest.fixture
def pair(two: tuple[Town, Kept], tmp_path: Path) -> Town:
    """Two people, and both are needed."""
    two[0].place.go_back(two[1])
    two[0].clients = tmp_path
    return two[0]


def test_a_signer_is_replaced_and_old_and_new_root_are_counted_apart(town: Town) -> None:
    town.join("carols-key", "carol", "carol-new")
    town.place.people.trusting("carol-new").sign("carols-key")
    town.check()
    assert "key-removed" in town.comment("carols-key")
    assert town.counts("carols-key") == [["root", "root 1", "0 of 2"], ["root", "root 2", "1 of 2"]]

    town.sign("carols-key", "alice")
    town.check()
    assert town.counts("carols-key") == [["root", "root 1", "1 of 2"], ["root", "root 2", "2 of 2"]]
    with pytest.raises(PendingError, match="root 2 has 1 of 2 signatures under root 1"):
        town.place.merge("carols-key")

    town.sign("carols-key", "bob")
    town.place.merge("carols-key")
    assert town.place.main().root.version == 2


def test_clients_go_on_while_an_edge_does_not_know_the_new_root(town: Town) -> None:
    assert town.stock("returning") == (1, 1)
    town.join("carols-key", "carol", "carol-new")
    town.sign("carols-key", "alice", "bob")
    town.place.merge("carols-key")
    town.place.release("1.1")
    town.deploy(town.stage())
    town.lag()

    assert town.stock("returning") == (1, 2)
    assert town.stock("new") == (1, 2)
    assert town.stock("elsewhere", edge=1) == (2, 2)

    town.place.clock.move(11 * MINUTE)
    assert town.stock("returning") == (2, 2)
    assert town.stock("new") == (2, 2)


def rotate_online(town: Town, fresh: str) -> None:
    """The online key is changed, and the environment gets the new one."""
    town.join("online-key", "online", fresh)
    town.sign("online-key", "alice", "bob")
    town.place.merge("online-key")
    town.secret(ONLINE_KEY, town.place.people.person(fresh).key_file.read_text())


def test_during_the_overlap_both_online_keys_sign_and_clients_go_on(town: Town) -> None:
    town.stock("returning")
    rotate_online(town, "fresh")
    town.secret(OLD_KEY, town.place.online_key)
    town.deploy(town.stage())
    town.lag()

    assert town.stock("returning") == (1, 2)
    assert town.stock("new") == (1, 2)
    assert town.stock("elsewhere", edge=1) == (2, 2)

    town.place.clock.move(11 * MINUTE)
    assert town.stock("returning") == (2, 2)


def test_without_the_overlap_a_lagging_edge_keeps_clients_waiting_but_not_for_good(town: Town) -> None:
    town.stock("returning")
    rotate_online(town, "fresh")
    town.deploy(town.stage())
    town.lag()

    with pytest.raises(UnsignedMetadataError):
        town.stock("returning")
    assert held(town.clients / "returning", "timestamp") == 1
    town.place.clock.move(11 * MINUTE)
    assert town.stock("returning") == (2, 2)


def test_an_environment_that_still_has_the_old_key_signs_nothing(town: Town) -> None:
    old = town.place.online_key
    rotate_online(town, "fresh")
    town.secret(ONLINE_KEY, old)
    refused = town.stage()
    assert (refused.code, refused.outputs["reason"]) == (3, "foreign-key")
    assert "--replace" in refused.told


def test_an_app_that_meets_the_older_edge_goes_on_with_what_it_holds(town: Town) -> None:
    assert town.app("app")[1]["versions"]["timestamp"] == 1
    town.join("carols-key", "carol", "carol-new")
    town.sign("carols-key", "alice", "bob")
    town.place.merge("carols-key")
    town.place.release("1.1")
    town.deploy(town.stage())

    code, told = town.app("app", edge=1)
    assert (code, told["versions"]["root"], told["versions"]["timestamp"], told["stale"]) == (0, 2, 2, None)
    code, told = town.app("app")
    assert code == 0
    assert (told["stale"]["fetched"], told["stale"]["held"], told["stale"]["warn"]) == (1, 2, False)
    assert (told["versions"]["root"], told["versions"]["timestamp"]) == (2, 2), "never back"

    town.place.clock.move(11 * MINUTE)
    code, told = town.app("app")
    assert (code, told["stale"], told["versions"]["timestamp"]) == (0, None, 2)


def test_one_of_two_keys_lost_is_refused_with_what_to_do(pair: Town) -> None:
    pair.join("bobs-key", "bob", "bob-new")
    pair.sign("bobs-key", "alice")
    pair.place.people.trusting("bob-new").sign("bobs-key")
    pair.check()
    assert pair.counts("bobs-key")[:2] == [["root", "root 1", "1 of 2"], ["root", "root 2", "2 of 2"]]
    assert "The key of `bob` that is replaced has to sign" in pair.comment("bobs-key")
    with pytest.raises(PendingError) as refusal:
        pair.place.merge("bobs-key")
    assert "root 2 has 1 of 2 signatures under root 1, may still sign: bob" in refusal.value.what
    assert "from a backup" in refusal.value.todo

    with pair.place.by("alice") as team:
        alice = team.person("alice").context
        alice.forge.refresh()
        alice.forge.merge("bobs-key", "By hand", alice.author, alice.now)
    refused = pair.stage()
    assert (refused.code, refused.outputs["reason"]) == (3, "invalid")


def test_one_of_three_keys_lost_and_two_go_on(town: Town) -> None:
    town.join("carols-key", "carol", "carol-new")
    town.sign("carols-key", "alice", "bob")
    town.check()
    assert "is **ready**" in town.comment("carols-key")
    assert "has to sign" not in town.comment("carols-key")
    town.place.merge("carols-key")
    town.place.release("1.1")
    assert town.place.main().role("targets").version == 3
