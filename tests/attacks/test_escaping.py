"""What contributors write reaches terminal and page as text and nothing else: through the real commands."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from integration.team import NOW, Person, Team
from keyturn.cli import output
from keyturn.cli.entry import cli
from keyturn.cli.output import Output
from keyturn.flow import events
from keyturn.forge.local import LocalForge
from keyturn.git import Git, Identity
from unit.repository import rendered

pytestmark = pytest.mark.slow

ANSI = "\x1b[2K\x1b]0;t\x07\x9b31m\r\x08"
HIDING = "\u202e\u2066\u200b\u2028\ufeff\U000e0041\u3164"
HTML = "<script>alert(1)</script><img src=x onerror='alert(2)'>\"&lt;{{7+7}}"
MARKDOWN = "](javascript:alert(3)) **`@alice`** <!-- | ![x](http://127.0.0.1/x)"
EVIL = f"{ANSI}{HIDING}{HTML}{MARKDOWN}[red]\n## n"
TOPIC = "rel\u202eease\u200b-\u009b31m<b>x</b>"
"""As much as git lets stand in the name of a branch."""
STYLE = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KEYTURN_ROOT", "KEYTURN_PASSPHRASE", "SOURCE_DATE_EPOCH", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    """A founded repository; each test has events of its own in it."""
    base = tmp_path_factory.mktemp("escaping")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GIT_CONFIG_GLOBAL", str(base / "no-gitconfig"))
        patch.setenv("GIT_CONFIG_NOSYSTEM", "1")
        patch.setenv("GIT_CEILING_DIRECTORIES", str(base))
        founded = Team(base)
        founded.found()
        yield founded


@pytest.fixture(params=["pipe", "terminal"])
def somewhere(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where the output goes: styled for a terminal, or plain."""
    if request.param == "terminal":
        monkeypatch.setattr(output, "_is_terminal", lambda stream: stream is not None)
    return str(request.param)


def run(person: Person, *words: str | Path, typed: str = "") -> Result:
    line = ["-C", str(person.clone), "--at", f"{NOW:%Y-%m-%dT%H:%M:%SZ}", *(str(word) for word in words)]
    settings = {"KEYTURN_CONFIG_DIR": str(person.context.home.directory)}
    return CliRunner(env=settings).invoke(cli, line, input=typed)


def push(team: Team, branch: str, files: Mapping[str, bytes | None]) -> None:
    """What somebody with push rights puts there by hand, with a commit message and a name to match."""
    git = Git.open(team.person("mallory").clone)
    forge = LocalForge(git, "origin")
    forge.refresh()
    tip = forge.branch_tip(branch) or forge.main()
    author = Identity("mallory\x1b[31m\u202e", "<b>@example.org")
    commit = git.commit_tree(git.write_tree(tip, files), [tip], EVIL, author=author, when=NOW)
    git.run("push", "--quiet", "--force", "origin", f"{commit}:refs/heads/{branch}")


def unseen(text: str) -> set[str]:
    """Characters that a terminal obeys, or that nobody sees."""
    hidden = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
    return {
        char for char in text if char != "\n" and (unicodedata.category(char) in hidden or char in HIDING)
    }


def shown(result: Result, somewhere: str) -> str:
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code != 70
    text = result.output if somewhere == "pipe" else STYLE.sub("", result.output)
    assert not unseen(text), unseen(text)
    return text


def targets(team: Team, change: Callable[[dict[str, object]], object], branch: str = "main") -> bytes:
    forge = team.person("alice").context.forge
    forge.refresh()
    loaded = json.loads(forge.tree(forge.branch_tip(branch)).read("metadata/targets.json"))
    change(loaded["signed"])
    return rendered({"signed": loaded["signed"], "signatures": []})


def entry(**more: object) -> dict[str, object]:
    return {"length": 1, "hashes": {"sha256": "5a" * 32}, **more}


def readable(signed: dict[str, object]) -> None:
    """Metadata in which everything that can be text is hostile text, and which can still be read."""
    keyid = EVIL
    signed |= {
        "version": 2,
        "targets": {EVIL: entry(custom={EVIL: EVIL}), "a": {"length": 1, "hashes": {EVIL: EVIL}}},
        EVIL: {EVIL: [EVIL]},
        "x-keyturn": {"format": 1, "signers": {keyid: {"login": "mallory"}}, "periods": {}},
        "delegations": {
            "keys": {keyid: {"keytype": EVIL, "scheme": EVIL, "keyval": {"public": EVIL}, EVIL: EVIL}},
            "roles": [
                {"name": EVIL, "keyids": [keyid], "threshold": 1, "terminating": True, "paths": [EVIL, "a"]}
            ],
        },
    }  # fmt: skip


UNREADABLE: dict[str, Callable[[dict[str, object]], object]] = {
    "type": lambda signed: signed.update(_type=EVIL),
    "expires": lambda signed: signed.update(expires=EVIL),
    "spec_version": lambda signed: signed.update(spec_version=EVIL),
    "version": lambda signed: signed.update(version=EVIL),
    "owner": lambda signed: signed.update(
        {"version": 2, "x-keyturn": {"format": 1, "signers": {EVIL: {"login": EVIL}}, "periods": {}}}
    ),
    "field": lambda signed: signed.update(
        {"version": 2, "x-keyturn": {"format": 1, "signers": {}, "periods": {EVIL: {EVIL: EVIL}}}}
    ),
    "target": lambda signed: signed.update(targets={EVIL: {"length": EVIL, "hashes": {}}}),
}
FILE_NAME = f"x\x1b[31m\u202e\u200b\u009b{HTML.replace('/', '')}\n"


def hostile_event(team: Team, metadata: bytes, topic: str) -> None:
    forge = team.person("alice").context.forge
    forge.refresh()
    policy = forge.tree(forge.main()).read("keyturn.yml")
    push(
        team,
        f"sign/{topic}",
        {
            "metadata/targets.json": metadata,
            f"targets/{FILE_NAME}": b"x",
            f"metadata/{FILE_NAME}.json": b"{}",
            f"keyring/{FILE_NAME}.pub": EVIL.encode(),
            f"keyring/{FILE_NAME}.proof": EVIL.encode(),
            "keyring/mallory.pub": EVIL.encode(),
            "keyring/mallory.proof": f"-----BEGIN KEYTURN SIGNATURE-----\n{EVIL}".encode(),
            FILE_NAME: b"x",
            "keyturn.yml": policy + json.dumps({EVIL: EVIL})[1:-1].encode() + b"\n",
        },
    )


def test_status_diff_sign_and_verify_show_a_hostile_event_as_text(
    team: Team, somewhere: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Output, "can_ask", True)
    monkeypatch.setattr(Output, "can_confirm", True)
    hostile_event(team, targets(team, readable), f"{somewhere}-{TOPIC}")
    alice = team.person("alice")
    event = f"sign/{somewhere}-{TOPIC}"
    shown(run(alice, "status"), somewhere)
    everything = shown(run(alice, "-v", "status", event), somewhere)
    changes = shown(run(alice, "-v", "diff", event), somewhere)
    shown(run(alice, "-v", "sign", event, "--key", f"file:{alice.key_file}", typed="n\n"), somewhere)
    shown(run(alice, "-v", "merge", event), somewhere)
    shown(run(alice, "-v", "verify", event), somewhere)
    shown(run(alice, "-v", "verify", f"origin/{event}"), somewhere)
    shown(run(alice, "-v", "propose", "release", EVIL.replace("\x00", ""), EVIL, alice.clone), somewhere)
    assert "\\u001b[2K" in everything
    assert "\\u202e" in changes
    assert "<script>" in changes, "text is shown as it is, only what hides or moves is written out"


@pytest.mark.parametrize("where", UNREADABLE)
def test_what_cannot_be_read_is_quoted_as_text(team: Team, somewhere: str, where: str) -> None:
    topic = f"odd-{where}-{somewhere}"
    push(team, f"sign/{topic}", {"metadata/targets.json": targets(team, UNREADABLE[where])})
    alice = team.person("alice")
    for words in (("diff", topic), ("verify", f"sign/{topic}")):
        shown(run(alice, "-v", *words), somewhere)
    said = shown(run(alice, "-v", "status", topic), somewhere)
    assert "invalid" in said


def test_json_is_ascii(team: Team) -> None:
    hostile_event(team, targets(team, readable), TOPIC)
    alice = team.person("alice")
    for words in (("status",), ("status", TOPIC), ("diff", TOPIC), ("merge", TOPIC)):
        result = run(alice, "--json", *words)
        assert json.loads(result.stdout)
        assert result.stdout.isascii()
        assert not unseen(result.stdout)


def test_sign_shows_as_text_what_it_asks_about(
    team: Team, somewhere: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Output, "can_ask", True)
    monkeypatch.setattr(Output, "can_confirm", True)
    propose(team, f"ask-{somewhere}", f"{HTML}{MARKDOWN}", MARKDOWN, "app/a'b")
    alice = team.person("alice")
    asked = run(alice, "-v", "sign", f"ask-{somewhere}", "--key", f"file:{alice.key_file}", typed="n\n")
    text = shown(asked, somewhere)
    assert asked.exit_code == 1
    assert f"{HTML[:20]}" in text
    assert "\\u001b[2K" in text or "\\x1b[2K" in text
    assert "Sign targets" in text


class Skeleton(HTMLParser):
    """Tags and names of attributes, in their order; texts apart."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, tuple[str, ...]]] = []
        self.addresses: list[str] = []
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, tuple(name for name, _ in attrs)))
        self.addresses += [value or "" for name, value in attrs if name in ("href", "src")]

    def handle_endtag(self, tag: str) -> None:
        self.tags.append((f"/{tag}", ()))

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data}")

    def handle_data(self, data: str) -> None:
        self.text += data


def propose(team: Team, topic: str, app: str, platform: str, path: str) -> str:
    """A release that may be signed; the rules leave free what an app says of itself."""
    said = {"app": app, "platform": platform, "version": "1.0", "tree": "7e" * 32}
    data = b"an archive\n"
    listed = {"length": len(data), "hashes": {"sha256": sha256(data).hexdigest()}}

    def release(signed: dict[str, object]) -> None:
        signed["version"] = int(str(signed["version"])) + 1
        signed["x-note"] = EVIL
        custom = {"user": {"keyturn": said}, "note": EVIL}
        signed["targets"] = {path: {**listed, "custom": custom}, f"{path}.txt": listed}

    forge = team.person("alice").context.forge
    forge.refresh()
    old = {name: None for name in forge.tree(forge.main()).entries() if name.startswith("targets/")}
    push(
        team,
        f"sign/{topic}",
        {**old, "metadata/targets.json": targets(team, release), f"targets/{path}": data,
         f"targets/{path}.txt": data},
    )  # fmt: skip
    return topic


def page_of(team: Team, topic: str) -> Skeleton:
    for name in ("alice", "bob"):
        team.person(name).sign(topic)
    events.merge(team.person("alice").context, topic)
    publisher, site = team.person("publisher"), team.base / "site"
    key = ("--key", f"file:{publisher.key_file}", "--root-digest", team.root_digest)
    done = run(publisher, "-v", "publish", "--out", site, "--no-live", *key)
    assert done.exit_code == 0, done.output
    return Skeleton((site / "index.html").read_text("utf-8"))


def elsewhere(page: Skeleton) -> list[str]:
    """Addresses that lead away from the site."""
    return [address for address in page.addresses if not re.match(r"#|metadata/|targets/", address)]


def test_the_page_has_the_same_tags_whatever_names_say(team: Team) -> None:
    plain = page_of(team, propose(team, "plain", "app", "linux", "app/one.tar.gz"))
    path = "app/&lt;b&gt;'onclick='x' `id` $(id) {{7+7}} ](javascript)"
    hostile = page_of(team, propose(team, "hostile", f"{HTML}{MARKDOWN}", f"{HTML}{MARKDOWN}", path))
    assert hostile.tags == plain.tags
    assert not unseen(hostile.text)
    assert HTML in hostile.text
    assert path in hostile.text
    assert elsewhere(hostile) == elsewhere(plain)
    assert not any(tag == "script" for tag, _ in hostile.tags)
