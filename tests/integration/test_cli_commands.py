"""The commands against a real git remote, in this process: what they ask, refuse, say and return."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from integration.team import NOW, Person, Team, with_proposal
from keyturn.cli.entry import cli
from keyturn.cli.output import Output
from keyturn.git import Git

pytestmark = pytest.mark.slow

TOPIC = "release-hello-1.0"
AT = f"{NOW:%Y-%m-%dT%H:%M:%SZ}"


@pytest.fixture(autouse=True)
def _environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KEYTURN_ROOT", "KEYTURN_PASSPHRASE", "SOURCE_DATE_EPOCH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "no-gitconfig"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody is there to be asked."""
    monkeypatch.setattr(Output, "can_ask", True)
    monkeypatch.setattr(Output, "can_confirm", True)


@pytest.fixture
def founded(team: Team) -> Team:
    """A founded repository without an open event."""
    team.found()
    return team


@pytest.fixture
def released(team: Team) -> Team:
    """A founded repository with a release that nobody has signed yet."""
    team.begin(with_proposal, "1.0")
    return team


def home(person: Person) -> Path:
    return person.context.home.directory


def run(
    person: Person, *words: str | Path, typed: str = "", config: Path | None = None, **environment: str
) -> Result:
    """A command as this person types it in their clone."""
    settings = {"KEYTURN_CONFIG_DIR": str(config or home(person)), **environment}
    line = ["-C", str(person.clone), "--at", AT, *(str(word) for word in words)]
    return CliRunner(env=settings).invoke(cli, line, input=typed)


def document(result: Result) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(result.stdout)
    assert read["exit"] == result.exit_code
    return read


def reason(result: Result) -> tuple[int, str]:
    return result.exit_code, document(result)["error"]["reason"]


def key(person: Person) -> tuple[str, str]:
    return "--key", f"file:{person.key_file}"


def expected(person: Person, event: str = TOPIC) -> list[str]:
    """``--yes`` and ``--expect`` for all that an event proposes."""
    roles = document(run(person, "--json", "status", event))["roles"]
    return ["--yes", *(word for role in roles for word in ("--expect", role["payload-sha256"]))]


def signed(team: Team) -> int:
    """How many signatures the open release has."""
    (role,) = document(run(team.person("alice"), "--json", "status", TOPIC))["roles"]
    have: int = role["counts"][0]["have"]
    return have


# Signing


def test_a_signature_is_pushed_and_the_rest_named(released: Team) -> None:
    alice = released.person("alice")
    done = run(alice, "sign", TOPIC, *key(alice), *expected(alice))
    assert done.exit_code == 0
    assert done.stdout.splitlines()[-3:] == [
        "signed: targets 2 as alice",
        f"sign/{TOPIC}: pending: targets 2: 1 of 2, missing: bob",
        f"next: bob runs: keyturn sign {TOPIC}",
    ]
    with Git.open(released.remote) as git:
        (commit,) = git.log(f"sign/{TOPIC}~1..sign/{TOPIC}")
    assert commit.message.startswith("Sign targets 2 as alice\n")


def test_signing_twice_has_nothing_to_do(released: Team) -> None:
    alice = released.person("alice")
    agreed = expected(alice)
    run(alice, "sign", TOPIC, *key(alice), *agreed)
    assert reason(run(alice, "--json", "sign", TOPIC, *key(alice), *agreed)) == (5, "already-signed")


def test_what_would_be_signed_is_shown_and_asked_for(released: Team, terminal: None) -> None:
    alice = released.person("alice")
    done = run(alice, "-q", "sign", *key(alice), typed="\n")
    assert "+ target-added hello/hello-1.0.tar.gz: " in done.stdout
    assert "to sign: targets 2 as alice, key " in done.stdout
    assert "Sign targets 2 as alice? [y/N]: " in done.stderr
    assert done.exit_code == 1
    assert signed(released) == 0
    assert not [entry for entry in alice.context.remembered.ledger() if entry.version == 2]


def test_yes_at_the_terminal_signs(released: Team, terminal: None) -> None:
    alice = released.person("alice")
    assert run(alice, "sign", *key(alice), typed="y\n").exit_code == 0
    assert signed(released) == 1


def test_yes_without_an_expected_payload_is_a_usage_error(released: Team) -> None:
    alice = released.person("alice")
    assert reason(run(alice, "--json", "sign", TOPIC, *key(alice), "--yes")) == (2, "usage")


def test_without_a_terminal_nothing_is_signed_unless_it_was_named(released: Team) -> None:
    alice = released.person("alice")
    assert reason(run(alice, "--json", "sign", TOPIC, *key(alice))) == (2, "not-a-terminal")


def test_another_payload_than_the_expected_is_refused(released: Team) -> None:
    alice = released.person("alice")
    done = run(alice, "--json", "sign", TOPIC, *key(alice), "--yes", "--expect", "ab" * 32)
    assert reason(done) == (3, "unexpected-payload")
    assert signed(released) == 0


def test_at_a_terminal_too_only_the_expected_payload_is_offered(released: Team, terminal: None) -> None:
    alice = released.person("alice")
    done = run(alice, "sign", TOPIC, *key(alice), "--expect", "ab" * 32, typed="y\n")
    assert done.exit_code == 3
    assert "[y/N]" not in done.output


def test_one_of_two_payloads_that_is_not_expected_stops_both(team: Team) -> None:
    team.init()
    team.join("alice", "bob")
    alice = team.person("alice")
    agreed = expected(alice, "founding")
    only_root = agreed[:3]
    done = run(alice, "--json", "sign", "founding", *key(alice), *only_root)
    assert reason(done) == (3, "unexpected-payload")
    assert run(alice, "sign", "founding", *key(alice), *only_root, "--role", "root").exit_code == 0


@pytest.mark.parametrize(
    "words",
    [
        ["--export", "d", "--out", "f"],
        ["--from", "d"],
        ["--from", "d", "--out", "f", TOPIC],
        ["--yes", "--expect", "abc"],
        ["--root-digest", "abc"],
    ],
)
def test_options_that_do_not_fit_are_usage_errors(released: Team, words: list[str], terminal: None) -> None:
    assert run(released.person("alice"), "sign", *words).exit_code == 2


def test_a_stranger_s_key_signs_nothing(released: Team) -> None:
    alice, eve = released.person("alice"), released.person("eve")
    done = run(alice, "--json", "sign", TOPIC, *key(eve), *expected(alice))
    assert reason(done) == (3, "foreign-key")


def test_an_event_that_is_not_there_is_named_with_those_that_are(released: Team) -> None:
    alice = released.person("alice")
    done = run(alice, "sign", "release-hello-9", *key(alice), "--yes", "--expect", "ab" * 32)
    assert done.exit_code == 2
    assert TOPIC in done.stderr


# Keys of config.toml


def configure(person: Person, *uris: str) -> None:
    home(person).mkdir(exist_ok=True)
    (home(person) / "config.toml").write_text(f"keys = {json.dumps(list(uris))}\n")


def test_keys_of_the_configuration_are_tried_in_their_order(released: Team) -> None:
    alice, eve = released.person("alice"), released.person("eve")
    configure(alice, f"file:{alice.clone}/unplugged.pem", f"file:{eve.key_file}", f"file:{alice.key_file}")
    done = run(alice, "sign", TOPIC, *expected(alice))
    assert done.exit_code == 0
    assert "warning: " in done.stderr
    assert "unplugged.pem: there is no such file; trying the next key" in done.stderr
    assert signed(released) == 1


def test_of_several_keys_the_one_that_has_signed_counts_for_the_answer(released: Team) -> None:
    alice, eve = released.person("alice"), released.person("eve")
    configure(alice, f"file:{alice.key_file}", f"file:{eve.key_file}")
    agreed = expected(alice)
    run(alice, "sign", TOPIC, *agreed)
    assert reason(run(alice, "--json", "sign", TOPIC, *agreed)) == (5, "already-signed")


def test_without_any_key_it_says_where_one_is_looked_for(released: Team) -> None:
    alice = released.person("alice")
    done = run(alice, "--json", "sign", TOPIC, *expected(alice))
    assert reason(done) == (2, "no-key")
    assert "config.toml" in document(done)["error"]["where"]


# The pin


def test_signing_the_founding_root_pins_it(team: Team) -> None:
    team.init()
    team.join("alice", "bob")
    alice = team.person("alice")
    assert alice.context.remembered.pin() is None
    assert run(alice, "sign", "founding", *key(alice), *expected(alice, "founding")).exit_code == 0
    pin = alice.context.remembered.pin()
    assert pin is not None
    assert pin.digest == document(run(alice, "--json", "status", "founding"))["root-digest"]


def test_an_unknown_repository_is_not_signed_for_without_a_root(released: Team, tmp_path: Path) -> None:
    alice = released.person("alice")
    done = run(alice, "--json", "sign", TOPIC, *key(alice), *expected(alice), config=tmp_path / "new")
    assert reason(done) == (3, "no-pin")


def test_the_digits_that_are_asked_for_are_not_shown(released: Team, terminal: None, tmp_path: Path) -> None:
    alice = released.person("alice")
    done = run(alice, "sign", TOPIC, *key(alice), typed="12345678\n", config=tmp_path / "new")
    assert done.exit_code == 3
    assert released.root_digest[8:16] in done.stdout
    assert released.root_digest[:8] not in done.output
    assert "Ask a founder for the whole digest" in done.stdout
    assert not list((tmp_path / "new").rglob("root.json"))


def test_the_digits_of_a_founder_pin_the_root(released: Team, terminal: None, tmp_path: Path) -> None:
    alice = released.person("alice")
    digits = released.root_digest[:8].upper()
    done = run(alice, "sign", TOPIC, *key(alice), typed=f"{digits}\ny\n", config=tmp_path / "new")
    assert done.exit_code == 0
    again = run(alice, "sign", TOPIC, *key(alice), typed="y\n", config=tmp_path / "new")
    assert "does not know this repository" not in again.stdout
    assert again.exit_code == 5


def test_a_whole_root_digest_on_the_command_line_pins_it(released: Team, tmp_path: Path) -> None:
    alice = released.person("alice")
    agreed = expected(alice)
    digest = ("--root-digest", released.root_digest)
    assert run(alice, "sign", TOPIC, *key(alice), *agreed, *digest, config=tmp_path / "new").exit_code == 0
    assert list((tmp_path / "new").rglob("root.json"))


def test_another_root_digest_is_refused(released: Team, tmp_path: Path) -> None:
    alice = released.person("alice")
    line = ("--json", "sign", TOPIC, *key(alice), *expected(alice), "--root-digest", "ab" * 32)
    assert reason(run(alice, *line, config=tmp_path / "new")) == (3, "baseline")
    assert reason(run(alice, *line)) == (3, "other-root")
    assert not list((tmp_path / "new").rglob("root.json"))


def test_the_root_digest_of_the_environment_is_used_and_not_pinned(released: Team, tmp_path: Path) -> None:
    alice = released.person("alice")
    agreed = expected(alice)
    new = tmp_path / "new"
    done = run(alice, "sign", TOPIC, *key(alice), *agreed, config=new, KEYTURN_ROOT=released.root_digest)
    assert done.exit_code == 0
    assert not list(new.rglob("root.json"))
    assert run(alice, "status", config=new, KEYTURN_ROOT="no digest").exit_code == 2


# The ledger


def test_a_second_payload_is_refused_with_the_first_and_the_words_that_permit_it(released: Team) -> None:
    alice = released.person("alice")
    agreed = expected(alice)
    run(alice, "sign", TOPIC, *key(alice), *agreed)
    other = released.bundle("1.0")
    (other / "hello").write_text("#!/bin/sh\necho another\n")
    proposed = run(alice, "propose", "release", "hello", "1.0", other)
    assert "left behind: the signatures of alice, made on the earlier payload" in proposed.stdout
    line = ("sign", TOPIC, *key(alice), *expected(alice))
    refused = run(alice, "--json", *line)
    assert reason(refused) == (3, "ledger")
    error = document(refused)["error"]
    assert agreed[2] in error["what"]
    assert "--despite 'sign a second payload'" in error["todo"]
    assert run(alice, *line, "--despite", "do it").exit_code == 3
    assert signed(released) == 0
    assert run(alice, *line, "--despite", "sign a second payload").exit_code == 0
    assert signed(released) == 1


# Without a network


def test_a_signature_travels_from_a_machine_without_a_network(released: Team, tmp_path: Path) -> None:
    alice, bob = released.person("alice"), released.person("bob")
    agreed = expected(bob)
    event, block = tmp_path / "event", tmp_path / "bob.txt"
    assert run(alice, "sign", TOPIC, "--export", event).exit_code == 0
    offline = tmp_path / "offline"
    offline.mkdir()
    for root_digest in ("ab" * 32, released.root_digest):
        made = CliRunner(env={"KEYTURN_CONFIG_DIR": str(offline / "config")}).invoke(
            cli,
            [
                *("-C", str(offline), "--at", AT, "sign", "--from", str(event), "--out", str(block)),
                *(*key(bob), *agreed, "--root-digest", root_digest),
            ],
        )
    assert made.exit_code == 0
    assert made.stdout.splitlines()[-1].endswith(f"keyturn attach {TOPIC} {block}")
    assert signed(released) == 0
    done = run(alice, "--json", "attach", TOPIC, block)
    assert done.exit_code == 0
    assert [one["owner"] for one in document(done)["signed"]] == ["bob"]
    assert signed(released) == 1
    assert run(alice, "attach", TOPIC, "-", typed=block.read_text()).exit_code == 5


def test_signatures_are_never_written_over_a_file(released: Team, tmp_path: Path) -> None:
    alice = released.person("alice")
    before = alice.key_file.read_bytes()
    done = run(alice, "sign", TOPIC, *key(alice), *expected(alice), "--out", alice.key_file)
    assert done.exit_code == 2
    assert alice.key_file.read_bytes() == before
    assert not [entry for entry in alice.context.remembered.ledger() if entry.version == 2]


def test_a_text_without_a_signature_has_nothing_to_attach(released: Team, tmp_path: Path) -> None:
    (tmp_path / "mail.txt").write_text("Dear alice, I agree. Yours, bob\n")
    done = run(released.person("alice"), "--json", "attach", TOPIC, tmp_path / "mail.txt")
    assert reason(done) == (2, "no-block")


def test_a_signature_for_something_else_is_not_attached(released: Team, tmp_path: Path) -> None:
    alice = released.person("alice")
    run(alice, "sign", TOPIC, *key(alice), *expected(alice), "--out", tmp_path / "a.txt")
    wrong = (tmp_path / "a.txt").read_text().replace("version: 2", "version: 3")
    assert reason(run(alice, "--json", "attach", TOPIC, "-", typed=wrong)) == (3, "other-payload")


# Founding and joining


def test_founding_and_joining_by_hand(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    alice, bob = team.person("alice"), team.person("bob")
    monkeypatch.setenv("KEYTURN_ONLINE_KEY", team.person("publisher").key_file.read_text())
    line = ("init", "--name", "acme", "--signer", "alice", "--signer", "bob", "--app", "hello")
    made = run(alice, "--json", *line, "--online-key", "env:KEYTURN_ONLINE_KEY")
    assert document(made)["missing-keys"] == ["alice", "bob"]
    assert run(alice, "status").exit_code == 1
    first = run(alice, "--json", "join", "founding", "--login", "Alice", *key(alice))
    assert {name: document(first)[name] for name in ("login", "missing-keys", "proposed")} == {
        "login": "alice",
        "missing-keys": ["bob"],
        "proposed": False,
    }
    assert run(alice, "join", "--login", "alice", *key(alice)).exit_code == 5
    assert run(bob, "join", "--login", "carol", *key(bob)).exit_code == 2
    second = run(bob, "join", "--login", "bob", *key(bob))
    assert second.stdout.splitlines()[-1] == "next: everyone runs: keyturn sign founding"
    assert run(alice, *line, "--online-key", "env:KEYTURN_ONLINE_KEY").exit_code == 2


def test_a_policy_that_would_not_do_is_explained_line_by_line(
    team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice = team.person("alice")
    monkeypatch.setenv("KEYTURN_ONLINE_KEY", alice.key_file.read_text())
    line = ("init", "--name", "Acme", "--signer", "alice", "--online-key", "env:KEYTURN_ONLINE_KEY")
    done = run(alice, *line)
    assert done.exit_code == 2
    assert done.stderr.splitlines()[0].endswith("problems in keyturn.yml, nothing was done")
    assert all(text.startswith("  keyturn.yml:") for text in done.stderr.splitlines()[1:])
    assert document(run(alice, "--json", *line))["error"]["problems"]


# Looking


def test_without_events_status_is_done(founded: Team) -> None:
    done = run(founded.person("alice"), "status")
    assert (done.exit_code, done.stdout) == (0, "no open signing events\n")


def test_open_events_are_listed_with_the_worst_exit_code(released: Team) -> None:
    alice = released.person("alice")
    for name in ("alice", "bob"):
        released.person(name).sign(TOPIC)
    released.propose("2.0")
    done = run(alice, "status")
    assert done.stdout.splitlines() == [
        f"sign/{TOPIC}: ready",
        "sign/release-hello-2.0: pending: targets 3: 0 of 2, missing: alice, bob",
    ]
    assert done.exit_code == 1
    assert run(alice, "status", TOPIC).exit_code == 0
    assert run(alice, "status", f"sign/{TOPIC}").exit_code == 0
    assert run(alice, "diff").exit_code == 2


def test_an_invalid_event_says_why_and_how_to_mend_it(released: Team) -> None:
    released.push_file(f"sign/{TOPIC}", "metadata/evil.txt", b"x")
    done = run(released.person("alice"), "status", TOPIC)
    assert done.exit_code == 3
    assert ": invalid: " in done.stdout.splitlines()[0]
    assert any(line.lstrip().startswith("mend: ") for line in done.stdout.splitlines())


def test_diff_is_done_whatever_the_state(released: Team) -> None:
    done = run(released.person("alice"), "-q", "diff")
    assert done.exit_code == 0
    assert "+ target-added hello/hello-1.0.tar.gz" in done.stdout


def test_names_from_the_repository_cannot_paint_the_terminal(founded: Team) -> None:
    founded.push_file("sign/x\u202ey", "keyturn.yml", b"version: 1\nname: \x1b[2Jacme\n")
    alice = founded.person("alice")
    for words in (["status"], ["status", "x\u202ey"], ["diff", "x\u202ey"]):
        done = run(alice, *words)
        assert "\u202e" not in done.output
        assert "\x1b" not in done.output


# Proposing


def test_target_files_are_proposed_replaced_and_removed(founded: Team, tmp_path: Path) -> None:
    alice = founded.person("alice")
    (tmp_path / "news").write_text("one\n")
    line = ("propose", "files", f"news.txt={tmp_path}/news")
    made = run(alice, "--json", *line)
    assert document(made)["targets"] == ["news.txt"]
    assert run(alice, *line).exit_code == 5
    assert run(alice, "propose", "files", "--remove", "nothing.txt").exit_code == 2


@pytest.mark.parametrize(
    "words",
    [
        ["files"],
        ["files", "no-equals-sign"],
        ["files", "a=no-such-file"],
        ["files", "--remove", "a", "a=/dev/null"],
        ["release", "hello", "1.0", "no-such-directory"],
        ["release", "hello", "not a version", "."],
    ],
)
def test_proposals_that_cannot_be_are_usage_errors(released: Team, words: list[str]) -> None:
    assert run(released.person("alice"), "propose", *words).exit_code == 2


def test_the_same_release_again_has_nothing_to_do(released: Team) -> None:
    alice = released.person("alice")
    again = run(alice, "--json", "propose", "release", "hello", "1.0", released.bundle("1.0"))
    assert reason(again) == (5, "nothing-to-do")


# Merging, publishing, verifying


def test_only_what_is_ready_is_merged(released: Team) -> None:
    alice = released.person("alice")
    assert reason(run(alice, "--json", "merge")) == (1, "pending")
    for name in ("alice", "bob"):
        released.person(name).sign(TOPIC)
    done = run(alice, "--json", "merge")
    assert document(done)["roles"] == [{"role": "targets", "version": 2}]
    assert run(alice, "merge", TOPIC).exit_code == 5


def publish(team: Team, out: Path) -> Result:
    alice = team.person("alice")
    return run(alice, "--json", "publish", "--out", out, "--no-live", *key(team.person("publisher")))


def test_what_was_published_is_verified_from_a_root_and_only_from_a_root(
    founded: Team, tmp_path: Path
) -> None:
    founded.release("1.0")
    alice, site = founded.person("alice"), tmp_path / "site"
    made = document(publish(founded, site))
    assert (made["signed"], made["changed"]) == (
        [{"role": "snapshot", "version": 1}, {"role": "timestamp", "version": 1}],
        True,
    )
    assert document(publish(founded, site))["changed"] is False
    root = ("--root", site / "metadata/1.root.json")
    assert run(alice, "verify", site, *root).stdout == f"valid: site {site}\n"
    assert run(alice, "verify", site, "--root-digest", founded.root_digest).exit_code == 0
    assert reason(run(alice, "--json", "verify", site)) == (3, "no-pin")
    assert run(alice, "verify", site, *root, "--root-digest", founded.root_digest).exit_code == 2
    shutil.rmtree(site / "targets")
    broken = run(alice, "--json", "verify", site, *root)
    assert broken.exit_code == 3
    assert not document(broken)["valid"]
    assert {finding["severity"] for finding in document(broken)["findings"]} == {"error"}


def test_a_branch_is_verified_from_the_pin(founded: Team, tmp_path: Path) -> None:
    alice = founded.person("alice")
    assert run(alice, "verify", "main").stdout == "valid: repository main\n"
    assert reason(run(alice, "--json", "verify", "main", config=tmp_path / "new")) == (3, "no-pin")
    assert run(alice, "verify", "no-such-branch").exit_code == 2


def test_publishing_without_a_pin_is_refused(founded: Team, tmp_path: Path) -> None:
    alice = founded.person("alice")
    line = ("--json", "publish", "--out", tmp_path / "site", "--no-live", *key(founded.person("publisher")))
    assert reason(run(alice, *line, config=tmp_path / "new")) == (3, "no-pin")
    assert run(alice, *line, "--root-digest", founded.root_digest, config=tmp_path / "new").exit_code == 0


# Without a clone


def test_a_url_is_enough_to_look_and_to_sign(released: Team, tmp_path: Path) -> None:
    alice = released.person("alice")
    nowhere = tmp_path / "nowhere"
    nowhere.mkdir()
    line = ["-C", str(nowhere), "--remote", str(released.remote), "--at", AT]
    runner = CliRunner(env={"KEYTURN_CONFIG_DIR": str(home(alice))})
    assert runner.invoke(cli, [*line, "status"]).exit_code == 1
    done = runner.invoke(cli, [*line, "sign", TOPIC, *key(alice), *expected(alice)])
    assert done.exit_code == 0
    assert runner.invoke(cli, ["-C", str(nowhere), "status"]).exit_code == 4


# What programs read


def shape(value: object) -> object:
    """A document with every value replaced by the name of its type, and lists by their first item."""
    if isinstance(value, dict):
        return {name: shape(item) for name, item in value.items()}
    if isinstance(value, list):
        return [shape(item) for item in value[:1]]
    return type(value).__name__


KEY_SHAPE = {"owner": "str", "keyid": "str", "fingerprint": "str"}
CHANGE_SHAPE = {
    "role": "str",
    "kind": "str",
    "subject": "str",
    "old": "str",
    "new": "str",
    "loud": "bool",
}
STATUS_SHAPE = {
    "event": "str",
    "state": "str",
    "findings": [],
    "roles": [
        {
            "role": "str",
            "version": "int",
            "payload-sha256": "str",
            "met": "bool",
            "counts": [
                {"under": "str", "need": "int", "have": "int", "signed": [KEY_SHAPE], "missing": [KEY_SHAPE]}
            ],
        }
    ],
    "missing-keys": [],
    "root-digest": "str",
    "trial": "NoneType",
    "changes": [CHANGE_SHAPE],
}


def test_the_documents_keep_their_shape(released: Team, tmp_path: Path) -> None:
    alice = released.person("alice")
    signature = {"role": "str", "version": "int", "payload-sha256": "str", "keyid": "str"}
    said = {
        "sign": run(alice, "--json", "sign", TOPIC, *key(alice), *expected(alice)),
        "status": run(alice, "--json", "status", TOPIC),
        "list": run(alice, "--json", "status"),
        "diff": run(alice, "--json", "diff", TOPIC),
    }
    released.person("bob").sign(TOPIC)
    said["merge"] = run(alice, "--json", "merge", TOPIC)
    said["publish"] = publish(released, tmp_path / "site")
    said["propose"] = run(alice, "--json", "propose", "release", "hello", "2.0", released.bundle("2.0"))
    said["export"] = run(alice, "--json", "sign", "--export", tmp_path / "event")
    said["out"] = run(
        alice, "--json", "sign", *key(alice), *expected(alice, "release-hello-2.0"), "--out", tmp_path / "f"
    )
    said["verify"] = run(alice, "--json", "verify", "main")
    assert {name: shape(document(result)) for name, result in said.items()} == {
        "sign": {
            "signed": [{**signature, "owner": "str", "commit": "str"}],
            "status": STATUS_SHAPE,
            "exit": "int",
        },
        "status": {**STATUS_SHAPE, "exit": "int"},
        "list": {"events": [STATUS_SHAPE], "exit": "int"},
        "diff": {"event": "str", "changes": [CHANGE_SHAPE], "exit": "int"},
        "merge": {
            "event": "str",
            "commit": "str",
            "roles": [{"role": "str", "version": "int"}],
            "exit": "int",
        },
        "publish": {
            "directory": "str",
            "url": "str",
            "signed": [{"role": "str", "version": "int"}],
            "timestamp": "int",
            "tried": "int",
            "changed": "bool",
            "live": "str",
            "root-digest": "str",
            "exit": "int",
        },
        "propose": {
            "event": "str",
            "roles": [{"role": "str", "version": "int"}],
            "targets": ["str"],
            "left-behind": [],
            "exit": "int",
        },
        "export": {"event": "str", "directory": "str", "exit": "int"},
        "out": {"event": "str", "out": "str", "signed": [signature], "exit": "int"},
        "verify": {"subject": "str", "kind": "str", "valid": "bool", "findings": [], "exit": "int"},
    }
