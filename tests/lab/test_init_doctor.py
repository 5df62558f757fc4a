"""From an empty repository on GitHub to one that is set up, by the command line; and what drifted later."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from keyturn.cli.entry import cli
from keyturn.errors import KeyturnError
from keyturn.forge.github_settings import GitHubSettings
from keyturn.forge.host import HostError
from keyturn.forge.patience import Patience
from keyturn.forge.settings import BranchRules, DeploymentEnvironment, RequiredCheck
from keyturn.signing import new_key, write_key_file
from lab.forge import LabForge

pytestmark = [pytest.mark.lab, pytest.mark.slow]

SLUG = "alice/updates"
ACTION = f"keyturn/keyturn@{'12' * 20}"
AT = "2026-11-21T12:00:00Z"


class Person:
    """Somebody at a command line of their own, with the access to git and GitHub that their token gives."""

    def __init__(self, forge: LabForge, base: Path, login: str) -> None:
        self.login = login
        self.home = base / login
        self.home.mkdir()
        self.token = forge.user(login)
        self.key = self.home / "key.pem"
        write_key_file(self.key, new_key("ed25519", None).pem)
        basic = base64.b64encode(f"{login}:{self.token}".encode()).decode()
        self.environment = {
            "GH_HOST": forge.url.removeprefix("http://"),
            "GH_TOKEN": self.token,
            "KEYTURN_CONFIG_DIR": str(self.home / "config"),
            "XDG_CACHE_HOME": str(self.home / "cache"),
            "GIT_CEILING_DIRECTORIES": str(base),
            "GIT_CONFIG_GLOBAL": str(base / "no-gitconfig"),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": f"http.{forge.url}/.extraHeader",
            "GIT_CONFIG_VALUE_0": f"Authorization: Basic {basic}",
        }

    def runs(self, *words: str, token: bool = True, at: Path | None = None) -> Result:
        environment = {**self.environment, **({} if token else {"GH_TOKEN": ""})}
        start = ["-C", str(at or self.home), "--at", AT]
        return CliRunner(env=environment).invoke(cli, [*start, *words])

    def told(self, *words: str, token: bool = True, expected: int = 0) -> dict[str, Any]:
        """The document that a command prints."""
        result = self.runs("--json", *words, token=token)
        assert result.exit_code == expected, result.output
        document: dict[str, Any] = json.loads(result.stdout)
        return document


@pytest.fixture
def forge(tmp_path: Path) -> Iterator[LabForge]:
    with LabForge(tmp_path / "forge") as forge:
        yield forge


@pytest.fixture(autouse=True)
def _online_key(monkeypatch: pytest.MonkeyPatch) -> str:
    for name in ("KEYTURN_ROOT", "GITHUB_TOKEN", "GITHUB_SERVER_URL", "GH_ENTERPRISE_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    pem = new_key("ed25519", None).pem.decode()
    monkeypatch.setenv("KEYTURN_ONLINE_KEY", pem)
    return pem


@pytest.fixture
def alice(forge: LabForge, tmp_path: Path) -> Person:
    person = Person(forge, tmp_path, "alice")
    forge.create_repository("alice", "updates")
    return person


@pytest.fixture
def bob(forge: LabForge, alice: Person, tmp_path: Path) -> Person:
    person = Person(forge, tmp_path, "bob")
    forge.repository(SLUG).collaborators["bob"] = "write"
    return person


def remote(forge: LabForge) -> str:
    return f"{forge.url}/{SLUG}"


def init(
    person: Person, forge: LabForge, *more: str, token: bool = True, expected: int = 0
) -> dict[str, Any]:
    words = (
        "--remote",
        remote(forge),
        "init",
        "--name",
        "acme-updates",
        "--signer",
        "alice",
        "--signer",
        "bob",
    )
    key = () if "--online-key" in more else ("--online-key", "env:KEYTURN_ONLINE_KEY")
    site = ("--url", "https://alice.github.io/updates/")
    return person.told(*words, *key, *site, "--action", ACTION, *more, token=token, expected=expected)


def doctor(person: Person, forge: LabForge, *more: str, expected: int = 0) -> dict[str, Any]:
    return person.told("--remote", remote(forge), "doctor", *more, expected=expected)


def page(forge: LabForge, number: int) -> str:
    return f"{forge.url}/{SLUG}/pull/{number}"


def sign(person: Person, event: str) -> dict[str, Any]:
    """Look at the event and sign exactly what was seen."""
    digests = [role["payload-sha256"] for role in person.told("status", event, expected=1)["roles"]]
    expects = [word for digest in digests for word in ("--expect", digest)]
    return person.told("sign", event, "--key", f"file:{person.key}", "--yes", *expects)


def found(forge: LabForge, *people: Person) -> None:
    """Init, join and sign; nothing is merged yet."""
    init(people[0], forge, "--set-secret")
    for person in people:
        person.told("join", page(forge, 1), "--login", person.login, "--key", f"file:{person.key}")
    for person in people:
        sign(person, page(forge, 1))


def standing(document: dict[str, Any], key: str = "settings") -> dict[str, str]:
    return {one["id"]: one["standing"] for one in document[key]}


def paths_on(forge: LabForge, branch: str) -> Sequence[str]:
    where = ["git", "-C", str(forge.root / f"{SLUG}.git")]
    listed = subprocess.run(
        [*where, "ls-tree", "-r", "--name-only", branch], check=True, capture_output=True, text=True
    )
    return listed.stdout.splitlines()


# init


def test_init_with_a_token_sets_everything_up_and_opens_the_founding_pull_request(
    forge: LabForge, alice: Person
) -> None:
    made = init(alice, forge, "--set-secret")
    assert set(standing(made).values()) <= {"right", "made"}, made["settings"]
    assert made["pull-request"] == f"{forge.url}/{SLUG}/pull/1"
    assert "keyturn.yml" in paths_on(forge, "main")
    assert ".github/workflows/keyturn-publish.yml" in paths_on(forge, "main")
    assert forge.secrets(SLUG, "keyturn")["KEYTURN_ONLINE_KEY"].startswith("-----BEGIN")


def test_the_online_key_stays_at_home_unless_it_is_to_be_sent(forge: LabForge, alice: Person) -> None:
    made = init(alice, forge)
    assert forge.secrets(SLUG, "keyturn") == {}
    assert standing(made)["secret"] == "drift"


def test_without_a_token_every_setting_is_listed_with_its_page(forge: LabForge, alice: Person) -> None:
    made = init(alice, forge, token=False)
    assert forge.calls("PUT") == [] and forge.calls("POST") == []
    assert made["open-pull-request"] == f"{forge.url}/{SLUG}/compare/main...sign/founding?expand=1"
    pages = {one["id"]: one["page"] for one in made["settings-to-make"]}
    assert pages["ruleset"] == f"{forge.url}/{SLUG}/settings/rules"


def test_our_actions_are_pinned_by_commit(forge: LabForge, alice: Person) -> None:
    init(alice, forge, "--action-version", "v9.9.9")
    text = subprocess.run(
        ["git", "-C", str(forge.root / f"{SLUG}.git"), "show", "main:.github/workflows/keyturn-publish.yml"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert f"keyturn/keyturn/action/publish@{'12' * 20} # v9.9.9" in text
    assert "0" * 40 not in text


def test_a_token_that_may_not_administer_stops_it_before_anything_is_written(
    forge: LabForge, alice: Person, bob: Person
) -> None:
    refused = init(bob, forge, expected=4)
    assert refused["error"]["reason"] == "permission"
    assert forge.repository(SLUG).store.branch("main") is None


def test_the_founding_event_goes_on_from_its_pull_request(
    forge: LabForge, alice: Person, bob: Person
) -> None:
    init(alice, forge)
    for person in (alice, bob):
        person.told("join", page(forge, 1), "--login", person.login, "--key", f"file:{person.key}")
    waiting = bob.told("--remote", remote(forge), "status", "1", expected=1)
    assert (waiting["event"], waiting["state"]) == ("sign/founding", "pending")
    ids = {forge.account(login).id for login in ("alice", "bob")}
    root = json.loads(
        subprocess.run(
            ["git", "-C", str(forge.root / f"{SLUG}.git"), "show", "sign/founding:metadata/root.json"],
            check=True,
            capture_output=True,
        ).stdout
    )
    signers = root["signed"]["x-keyturn"]["signers"].values()
    assert {owner["id"] for owner in signers if owner != "online"} == ids
    for person in (alice, bob):
        assert sign(person, page(forge, 1))["pull-request"] == page(forge, 1)
    assert alice.told("status", page(forge, 1))["state"] == "ready"


@pytest.fixture
def signed(forge: LabForge, alice: Person, bob: Person) -> LabForge:
    """Founded, signed by both and merged."""
    found(forge, alice, bob)
    forge.repository(SLUG).rulesets.clear()
    alice.told("merge", page(forge, 1))
    return forge


def test_the_root_that_a_signer_pinned_is_written_into_the_environment(
    signed: LabForge, alice: Person
) -> None:
    assert doctor(alice, signed, expected=3)["root-digest-trusted"] is True
    fixed = doctor(alice, signed, "--fix")
    assert (fixed["well"], standing(fixed)["root"]) == (True, "made")
    value = signed.variables(SLUG, "keyturn")["KEYTURN_ROOT"]
    assert value == alice.told("status", page(signed, 1))["root-digest"]


def test_whoever_knows_no_root_does_not_pin_one_for_publishing(
    signed: LabForge, alice: Person, tmp_path: Path
) -> None:
    carol = Person(signed, tmp_path, "carol")
    signed.repository(SLUG).collaborators["carol"] = "admin"
    told = doctor(carol, signed, "--fix", expected=3)
    assert (told["root-digest-trusted"], standing(told)["root"]) == (False, "drift")
    assert "KEYTURN_ROOT" not in signed.variables(SLUG, "keyturn")
    doctor(carol, signed, "--root-digest", "ab" * 32, expected=3)
    digest = alice.told("status", page(signed, 1))["root-digest"]
    assert doctor(carol, signed, "--fix", "--root-digest", digest)["well"] is True


def test_what_the_rules_of_main_refuse_is_merged_on_the_page(
    forge: LabForge, alice: Person, bob: Person
) -> None:
    found(forge, alice, bob)
    refused = alice.told("merge", page(forge, 1), expected=4)
    assert "merged on the page" in refused["error"]["todo"]


# doctor


@pytest.fixture
def founded(forge: LabForge, alice: Person) -> LabForge:
    init(alice, forge, "--set-secret")
    return forge


def test_right_after_init_all_is_well(founded: LabForge, alice: Person) -> None:
    told = doctor(alice, founded)
    assert told["well"] is True
    assert standing(told)["workflow:keyturn-publish.yml"] == "right"


def test_what_drifted_is_named_and_mended(founded: LabForge, alice: Person) -> None:
    repository = founded.repository(SLUG)
    repository.pages = None
    repository.rulesets.clear()
    repository.environments["keyturn"].branch_policy = None
    told = doctor(alice, founded, expected=3)
    drifted = {name for name, how in standing(told).items() if how == "drift"}
    assert drifted == {"pages", "ruleset", "environment"}
    fixed = doctor(alice, founded, "--fix")
    assert {name for name, how in standing(fixed).items() if how == "made"} == drifted
    assert doctor(alice, founded)["well"] is True


def test_doctor_without_a_token_says_so(founded: LabForge, alice: Person) -> None:
    told = alice.told("--remote", remote(founded), "doctor", token=False, expected=4)
    assert told["error"]["reason"] == "no-token"


def test_a_token_that_is_not_accepted_is_told(founded: LabForge, alice: Person) -> None:
    alice.environment["GH_TOKEN"] = "nonsense"
    told = doctor(alice, founded, expected=4)
    assert told["error"]["reason"] == "authentication"


def test_doctor_for_a_person_ends_with_a_verdict(founded: LabForge, alice: Person) -> None:
    founded.repository(SLUG).pages = None
    shown = alice.runs("--remote", remote(founded), "doctor")
    assert shown.exit_code == 3
    assert "wrong  source of Pages: there is no site" in shown.stdout
    assert f"where: {founded.url}/{SLUG}/settings/pages" in shown.stdout
    assert shown.stdout.rstrip().endswith("1 setting to mend")


def test_a_changed_workflow_on_main_is_found_and_written_anew(
    founded: LabForge, alice: Person, tmp_path: Path
) -> None:
    path = ".github/workflows/keyturn-collect.yml"
    founded.repository(SLUG).rulesets.clear()
    founded.commit(SLUG, "main", {path: b"on: push\n"}, "by hand", author="alice")
    told = doctor(alice, founded, "--fix", expected=3)
    assert standing(told)["workflow:keyturn-collect.yml"] == "drift"
    out = tmp_path / "written"
    doctor(alice, founded, "--write-workflows", str(out), "--action", ACTION)
    founded.repository(SLUG).rulesets.clear()
    founded.commit(SLUG, "main", {path: (out / Path(path).name).read_bytes()}, "anew", author="alice")
    assert doctor(alice, founded, "--fix")["well"] is True


# The settings themselves


@pytest.fixture
def settings(forge: LabForge, alice: Person) -> GitHubSettings:
    return GitHubSettings(
        SLUG, api=forge.api, server=forge.url, token=alice.token, patience=Patience(tries=1)
    )


def test_an_environment_is_narrowed_to_one_branch(forge: LabForge, settings: GitHubSettings) -> None:
    assert settings.environment("keyturn") is None
    settings.restrict_environment("keyturn", "develop")
    settings.restrict_environment("keyturn", "main")
    assert settings.environment("keyturn") == DeploymentEnvironment(("main",))
    before = len(forge.calls("POST")) + len(forge.calls("DELETE"))
    settings.restrict_environment("keyturn", "main")
    assert len(forge.calls("POST")) + len(forge.calls("DELETE")) == before


def test_what_rulesets_ask_is_read_back_as_it_was_written(settings: GitHubSettings) -> None:
    rules = BranchRules((RequiredCheck("keyturn", 15368),), True, ("merge",), True, True)
    assert settings.rules("main") == BranchRules()
    settings.require("main", rules)
    settings.require("main", rules)
    assert settings.rules("main") == rules
    assert settings.rules("sign/x") == BranchRules()


def test_somebody_exempt_is_seen(forge: LabForge, settings: GitHubSettings) -> None:
    settings.require("main", BranchRules(no_force=True))
    (ruleset,) = forge.repository(SLUG).rulesets.values()
    ruleset.bypass = [{"actor_id": 5, "actor_type": "RepositoryRole", "bypass_mode": "always"}]
    assert settings.rules("main").bypass


def test_a_variable_is_written_and_written_over(forge: LabForge, settings: GitHubSettings) -> None:
    settings.restrict_environment("keyturn", "main")
    for value in ("a", "b"):
        settings.set_variable("keyturn", "KEYTURN_ROOT", value)
        assert settings.variable("keyturn", "KEYTURN_ROOT") == value


def test_a_secret_arrives_sealed(forge: LabForge, settings: GitHubSettings) -> None:
    settings.restrict_environment("keyturn", "main")
    settings.set_secret("keyturn", "KEYTURN_ONLINE_KEY", "open sesame")
    assert forge.secrets(SLUG, "keyturn") == {"KEYTURN_ONLINE_KEY": "open sesame"}
    assert settings.secret_names("keyturn") == {"KEYTURN_ONLINE_KEY"}
    assert settings.shared_secret_names() == frozenset()


def test_a_lost_answer_does_not_make_a_setting_twice(forge: LabForge, alice: Person) -> None:
    patient = GitHubSettings(
        SLUG,
        api=forge.api,
        server=forge.url,
        token=alice.token,
        patience=Patience(pause=lambda seconds: None),
    )
    forge.fault(("POST", "/rulesets"), "lost-response")
    patient.require("main", BranchRules(no_force=True))
    assert len(forge.repository(SLUG).rulesets) == 1


def test_a_repository_that_is_not_there_is_told(forge: LabForge, alice: Person) -> None:
    nowhere = GitHubSettings("alice/nowhere", api=forge.api, server=forge.url, token=alice.token)
    with pytest.raises(HostError) as told:
        nowhere.facts()
    assert told.value.reason == "not-found"
    assert isinstance(told.value, KeyturnError)
