"""What strangers, thieves and jokers try on GitHub, and what comes of it.

Everything here happens at the lab's forge with the tokens that jobs and people have there. Most jobs run in
this process (:mod:`lab.jobs`); where it matters which file, ref and token a run gets, the real workflows run.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
import unicodedata
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from keyturn.errors import ExitCode
from keyturn.flow import changing
from keyturn.flow.collecting import Collected
from keyturn.signing import render
from keyturn.signing.block import BEGIN, END
from keyturn.signing.ledger import DESPITE
from lab.forge.model import BOT
from lab.forge_scene import hub
from lab.hostile import STRANGER, Event, update_repository
from lab.jobs import Kept, Place, Ran
from lab.lab import Lab
from lab.world import UPDATES, World, found_quickly

pytestmark = [pytest.mark.lab, pytest.mark.slow]

CROWD = {"carol": 1003, "dave": 1004}
"""More signers than alice and bob, so that each can hand in a signature in a way of their own."""


@pytest.fixture(scope="module")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Place, Kept]]:
    with update_repository(tmp_path_factory.mktemp("plain")) as place:
        yield place, place.keep()


@pytest.fixture
def plain(founded: tuple[Place, Kept]) -> Place:
    """A repository of alice and bob, who must both sign; the same for each story."""
    place, kept = founded
    place.go_back(kept)
    return place


# Signatures in reviews


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Four signers of whom two are enough."""
    with update_repository(tmp_path_factory.mktemp("crowd"), CROWD) as place:
        yield place


class Refusals:
    """A release on which everything was posted that must not be taken, and what one run of collect said."""

    def __init__(self, place: Place) -> None:
        self.event = event = Event(place, place.propose("0.9"))
        self.reviews: dict[str, int] = {}
        abandoned = event.block("carol")
        (place.people.bundle("0.9") / "more").write_text("more\n")
        event = self.event = Event(place, place.propose("0.9"))
        self.genuine = good = event.block("bob")
        place.forge.user("newcomer", 1777)

        def posted(name: str, login: str, text: str) -> None:
            self.reviews[name] = event.post(login, text)

        posted("over an abandoned payload", "carol", render(abandoned))
        posted("by another signer", "alice", render(good))
        posted("by a stranger", STRANGER, render(good))
        posted("with a wrong hash", "bob", render(replace(good, payload_sha256="0" * 64)))
        posted("of another repository", "bob", render(replace(good, repository="1" * 64)))
        posted("of a key that nobody knows", "bob", render(replace(good, keyid="2" * 64)))
        posted("with a wrong signature", "bob", render(replace(good, signature=bytes(64))))
        posted("of a role that nobody proposes", "bob", render(replace(good, role="root")))
        posted("larger than 16 KiB", "bob", f"{BEGIN}\n{'x' * 16_384}\n{END}\n")
        posted("twice in one review", "bob", 2 * render(good))
        posted("without its end", "bob", render(good).replace(END, ""))
        posted("edited by an administrator", "bob", "Looks good.")
        self._edit("alice", self.reviews["edited by an administrator"], render(good))
        place.forge.rename("dave", "david")
        place.forge.rename("newcomer", "dave")
        posted("by whoever took the login", "dave", render(event.block("dave")))
        self.tip = event.tip
        self.found = event.collect()

    def _edit(self, login: str, review: int, text: str) -> None:
        page = self.event.page(login)
        page.requester.requestJsonAndCheck("PUT", f"{page.url}/reviews/{review}", input={"body": text})


@pytest.fixture(scope="module")
def refusals(crowd: Place) -> Refusals:
    return Refusals(crowd)


@pytest.mark.parametrize(
    ("review", "reason", "said"),
    [
        ("over an abandoned payload", "other-payload", "sign that"),
        ("by another signer", "other-person", "to bob (id 1002), the review is by alice (id 1001)"),
        ("by a stranger", "other-person", "to bob (id 1002), the review is by mallory (id 1666)"),
        ("by whoever took the login", "other-person", "to dave (id 1004), the review is by dave (id 1777)"),
        ("with a wrong hash", "other-payload", "sign that"),
        ("of another repository", "other-repository", "`1111111111111111`"),
        ("of a key that nobody knows", "foreign-key", "Use the key that this repository knows as yours"),
        ("with a wrong signature", "bad-signature", "unchanged, into a new review"),
        ("of a role that nobody proposes", "other-payload", "proposes no root"),
        ("larger than 16 KiB", "bad-block", "larger than"),
        ("twice in one review", "bad-block", "a second block"),
        ("without its end", "bad-block", "without its end"),
        ("edited by an administrator", "edited-review", "was edited by alice"),
    ],
)
def test_a_signature_that_is_not_taken_is_answered(
    refusals: Refusals, review: str, reason: str, said: str
) -> None:
    number = refusals.reviews[review]
    (refusal,) = (one.refusal for one in refusals.found.refused if one.refusal.review.id == number)
    assert refusal.reason == reason
    (line,) = (
        line for line in refusals.event.comment.splitlines() if f"#pullrequestreview-{number})" in line
    )
    assert said in line


def test_nothing_of_it_reaches_the_branch(refusals: Refusals) -> None:
    assert refusals.found.taken == ()
    assert refusals.event.tip == refusals.tip
    assert refusals.event.status[1].startswith("targets 2: 0 of 2 signatures")


@pytest.fixture(scope="module")
def taken(refusals: Refusals) -> Collected:
    """The very same signatures as their owners may hand them in, each in another way, in one second."""
    event = refusals.event
    blocks = {login: event.block(login, DESPITE) for login in ("alice", "carol", "dave")}
    crlf = f"Looks good.\n\n```\n{render(blocks['alice'])}```\n".replace("\n", "\r\n")
    event.post("alice", crlf, "APPROVE")

    number = event.post("bob", render(refusals.genuine), "REQUEST_CHANGES")
    event.page("alice").get_review(number).dismiss("No.")

    number = event.post("carol", "I signed.", "COMMENT")
    page = event.page("carol")
    body = {"body": f"Here it is:\n\n~~~   \n{render(blocks['carol'])}~~~"}
    page.requester.requestJsonAndCheck("PUT", f"{page.url}/reviews/{number}", input=body)

    store = event.place.repository.store
    first = store.log(f"{store.branch('main')}..{event.tip}")[-1]
    assert first != event.tip
    event.post("david", render(blocks["dave"]), "COMMENT", commit=first)
    return event.collect()


@pytest.mark.parametrize(
    ("owner", "author"),
    [
        pytest.param("alice", "alice", id="approved, with CRLF"),
        pytest.param("bob", "bob", id="requested changes, and was dismissed"),
        pytest.param("carol", "carol", id="commented, and put the signature in later"),
        pytest.param("dave", "david", id="on an earlier commit, under a new login"),
    ],
)
def test_a_signature_of_its_owner_is_taken_however_it_comes(
    refusals: Refusals, taken: Collected, owner: str, author: str
) -> None:
    (one,) = (one for one in taken.taken if one.owner == owner)
    commit = refusals.event.place.repository.store.commit(one.commit)
    assert commit.author[0] == author
    assert f"Keyturn-Review: {one.review.url}\n" in f"{commit.message}\n"
    assert [refused.refusal.review.author.login for refused in taken.refused].count(author) == 0


def test_all_of_them_are_in_the_event_and_what_was_refused_before_stays_refused(
    refusals: Refusals, taken: Collected
) -> None:
    assert refusals.event.status == ("success", "targets 2: 4 of 2 signatures")
    assert {one.refusal.review.author.login for one in taken.refused} == {STRANGER, "dave"}
    assert refusals.event.collect().taken == ()
    assert "#### Warnings" not in refusals.event.comment


def test_one_review_may_carry_two_signatures(crowd: Place, taken: Collected) -> None:
    with crowd.by("alice") as team:
        (proposed,) = changing.renew(team.person("alice").context, ["root", "targets"])
    event = Event(crowd, proposed.topic)
    event.post("bob", "\n".join(render(block) for block in crowd.people.person("bob").blocks(event.topic)))
    assert [(one.role, one.owner) for one in event.collect().taken] == [("root", "bob"), ("targets", "bob")]
    assert not taken.failures


def test_a_review_that_is_gone_or_not_submitted_yet_is_not_there(plain: Place) -> None:
    event = Event(plain, plain.propose("1.0"))
    text = render(event.block("bob"))
    plain.forge.remove_review(plain.slug, event.issue.number, event.post("bob", text))
    page = event.page("bob")
    _, pending = page.requester.requestJsonAndCheck("POST", f"{page.url}/reviews", input={"body": text})
    assert event.collect() == Collected()
    address = f"{page.url}/reviews/{pending['id']}/events"
    page.requester.requestJsonAndCheck("POST", address, input={"event": "COMMENT"})
    assert [one.owner for one in event.collect().taken] == ["bob"]


# A status that somebody forged


def test_a_merge_behind_a_forged_green_status_reaches_nobody(plain: Place) -> None:
    """Whoever may push may post a status and press the button; the wall is ``publish``."""
    plain.publish()
    plain.repository.collaborators["trudy"] = "write"
    trudy = plain.forge.user("trudy", 1888)
    served, branches = plain.pages.sites[plain.slug], plain.repository.store.refs("refs/heads/keyturn")
    before = plain.repository.store.branch("main") or ""
    event = Event(plain, plain.propose("6.6"))
    page = hub(plain.forge, trudy).get_repo(plain.slug)

    page.get_commit(event.tip).create_status("success", description="2 of 2 signatures", context="keyturn")
    assert event.status == ("success", "2 of 2 signatures")
    page.get_pull(event.issue.number).merge()
    refused = plain.stage()

    assert refused.code == ExitCode.INVALID
    assert refused.outputs["state"] == "failed"
    assert refused.outputs["reason"] == "invalid"
    assert "targets 2 on main has 0 of 2 signatures needed" in refused.told
    assert plain.pages.sites[plain.slug] is served
    assert plain.repository.store.refs("refs/heads/keyturn") == branches
    ill = plain.run("keyturn-monitor", "monitor")
    (issue,) = (one for one in plain.repository.issues.values() if not one.pull)
    assert (ill.code, ill.outputs["issue"]) == (ExitCode.INVALID, str(issue.number))
    assert issue.title == "Keyturn: this update repository needs attention now"
    assert "targets 2" in (issue.body or "")

    revert(plain, before)
    assert plain.publish().outputs["state"] == "nothing"
    plain.release("1.0")
    plain.publish()
    assert plain.pages.sites[plain.slug] is not served
    assert plain.run("keyturn-monitor", "monitor").code == ExitCode.DONE
    assert issue.state == "closed"


def revert(place: Place, commit: str) -> None:
    """Make main say again what it said in a commit."""
    store = place.repository.store
    names = store.run("diff", "--name-only", "-z", commit, "main").decode().split("\0")[:-1]
    place.commit({name: store.blob(commit, name) for name in names}, "Revert")


# Text that wants to be more than text

ANSI = "\x1b[2K\x1b]0;t\x07\x9b31m\r\x08"
HIDING = "\u202e\u2066\u200b\u2028\ufeff\u3164\U000e0041"
HTML = "<script>alert(1)</script><img src=x onerror='alert(2)'><!-- "
MARKDOWN = "](http://127.0.0.1/x) **@alice** #1 GH-1 ![x](http://127.0.0.1/x) $`x`$ | ` ```"
COMMANDS = (
    "\n::set-output name=state::forged\n::add-mask::main ##[set-output name=state;]forged\n##[add-mask]main"
)
ENDS = "\nEOF\nstate<<EOF\nforged\nEOF\nstate=forged\n"
EVIL = f"{ANSI}{HIDING}{HTML}{MARKDOWN}{COMMANDS}{ENDS}"
BRANCH = "sign/rel\u202eease\u200b\u009b31m<b>x</b>`@alice`|#1,$(id)\u3164"
"""As much as git lets stand in the name of a branch."""
FILE = EVIL.replace("/", "").replace("\r", "")
"""As much as git lets stand in a file name."""
SHOWING = {"error", "warning", "notice", "debug"}
"""Commands that show a message and do nothing else."""
SPAN = re.compile(r"```.*?^```$|`[^`\n]*`", re.DOTALL | re.MULTILINE)


def unseen(text: str) -> set[str]:
    """Characters that a terminal obeys, or that nobody sees."""
    hidden = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
    return {one for one in text if one != "\n" and (unicodedata.category(one) in hidden or one in HIDING)}


def obeyed(log: str) -> list[str]:
    """What GitHub's runner takes for commands in a log, but for those that only show a message.

    It knows two forms. One begins a line, after blanks; the older one may stand anywhere in a line.
    """
    found = []
    for line in log.splitlines():
        newer = re.match(r"\s*::([a-z-]+)(?: [^\n]*?)?::", line)
        older = re.search(r"##\[([a-z-]+)", line)
        found += [one[1] for one in (newer or older,) if one]
    return [name for name in found if name not in SHOWING]


def does_nothing(markdown: str, *ours: str) -> None:
    """Outside of code spans nothing is left that a code host or browser would do something with."""
    assert not unseen(markdown), unseen(markdown)
    for own in ours:
        markdown = re.sub(rf"(\]\()?{re.escape(own)}(#pullrequestreview-\d+\))?\)?", "", markdown)
    prose = SPAN.sub("", markdown)
    assert not re.search(r"[@<$]|\]\(|!\[|#[0-9]|GH-|://|forged", prose), prose


def hostile_event(place: Place) -> Event:
    """A branch that somebody with push rights filled with hostile text, and the pull request they opened."""
    store = place.repository.store
    place.repository.collaborators["trudy"] = "write"
    trudy = place.forge.user("trudy", 1888)
    main = store.branch("main") or ""
    targets = json.loads(store.blob(main, "metadata/targets.json") or b"")
    signed = targets["signed"]
    signed["version"] += 1
    signed["targets"] = {EVIL: {"length": 1, "hashes": {"sha256": "5a" * 32}, "custom": {EVIL: EVIL}}}
    signed["x-keyturn"] = {"format": 1, "signers": {EVIL: {"login": EVIL}}, "periods": {}}
    policy = (store.blob(main, "keyturn.yml") or b"").decode()
    shown = json.dumps(EVIL)
    files = {
        "metadata/targets.json": json.dumps(targets).encode(),
        f"targets/{FILE}": b"x",
        f"keyring/{FILE}.pub": b"x",
        FILE: b"x",
        "keyturn.yml": (f"# {HTML}{MARKDOWN}\n{policy}\n{shown}: {shown}\n").encode(),
    }
    tree = store.write_tree(main, files)
    commit = store.write_commit(
        tree,
        [main],
        EVIL.replace("\0", ""),
        author=("mallory\x1b[31m@alice", "x@example.org"),
        when=place.clock(),
    )
    with place.by("trudy"):
        store.set_ref(f"refs/heads/{BRANCH}", commit)
    page = hub(place.forge, trudy).get_repo(place.slug)
    page.create_pull(base="main", head=BRANCH, title=EVIL, body=EVIL)
    return Event(place, BRANCH.removeprefix("sign/"))


def test_what_contributors_write_is_text_in_comment_status_summary_outputs_and_log(plain: Place) -> None:
    event = hostile_event(plain)
    fine = Event(plain, plain.propose("1.0"))
    block = fine.block("bob")
    for text in (f"{EVIL}\n{BEGIN}\n{EVIL}\n{END}", f"{EVIL}\n{render(replace(block, role='x'))}\n{EVIL}"):
        event.post(STRANGER, text)
        fine.post(STRANGER, text)
    fine.post("bob", f"{EVIL}\n{render(block)}\n{EVIL}")

    ran = {
        name: plain.run(f"keyturn-{name}", job)
        for name, job in {"collect": "collect", "signing-event": "check", "monitor": "monitor"}.items()
    }

    assert ran["collect"].outputs["collected"] == "1"
    assert event.status[0] == "failure"
    links = [plain.forge.url + f"/{plain.slug}/pull/{one.issue.number}" for one in (event, fine)]
    ours = ["<!-- keyturn: signing event -->", *links]
    for one in (event, fine):
        does_nothing(one.comment, *ours)
        assert one.status[1].isascii()
        assert one.status[1].isprintable()
    for job in ran.values():
        is_only_read(job, *ours)

    policy = plain.repository.store.blob("main", "keyturn.yml") or b""
    plain.commit({"keyturn.yml": policy + f"{json.dumps(EVIL)}: {json.dumps(EVIL)}\n".encode()}, EVIL)
    for job in (
        plain.run("keyturn-propose", "propose"),
        plain.stage(),
        plain.run("keyturn-monitor", "monitor"),
    ):
        assert job.code
        is_only_read(job, *ours, "(#3)")
    issue = plain.repository.issues[3]
    does_nothing(f"{issue.title}\n{issue.body}", "<!-- keyturn-monitor -->", *ours)


def is_only_read(job: Ran, *ours: str) -> None:
    """What a job wrote for people, programs and the runner does nothing."""
    does_nothing(job.summary, *ours)
    assert not unseen(job.log)
    assert obeyed(job.log) == []
    assert "forged" not in job.outputs["state"]
    assert not any(unseen(value) for value in job.outputs.values()), job.outputs


def test_a_branch_whose_name_is_no_text_stops_nobody(plain: Place) -> None:
    event = Event(plain, plain.propose("1.0"))
    plain.sign("bob", event.topic)
    with plain.by("bob"):
        plain.repository.store.set_ref("refs/heads/sign/\udcff", event.tip)
    plain.sign("alice", event.topic)
    ran = plain.run("keyturn-signing-event", "check")
    assert (ran.code, event.status[0]) == (0, "success")
    assert r"`sign/\udcff`" in ran.summary


# Signatures that somebody else pushed


def test_whose_signature_somebody_else_pushed_is_told_whatever_the_commits_say(plain: Place) -> None:
    """A thief leaves out the trailer; a job of a thief's own branch claims that there was a review."""
    store = plain.repository.store
    plain.forge.user("trudy", 1888)
    event = Event(plain, plain.propose("1.0"))

    def brought(login: str, signer: str, message: str) -> None:
        """Somebody pushes a signature of somebody else's key, in a commit that tells another story."""
        before = event.tip
        with plain.by(login):
            plain.people.person(signer).sign(event.topic)
            tree = store.text("rev-parse", f"{event.tip}^{{tree}}")
            author = (signer, f"{signer}@example.org")
            commit = store.write_commit(tree, [before], message, author=author, when=plain.clock())
            store.set_ref(f"refs/heads/{event.branch}", commit)

    keyid = plain.people.person("bob").key.public.keyid
    claim = f"{plain.forge.url}/{plain.slug}/pull/1#pullrequestreview-1"
    brought("trudy", "alice", "Tidy up")
    brought(BOT, "bob", f"Sign\n\nKeyturn-Signature: targets 2 {keyid}\nKeyturn-Review: {claim}")
    plain.run("keyturn-signing-event", "check")

    assert event.status[0] == "success"
    for signer, pusher in (("alice", "trudy"), ("bob", f"`{BOT}`")):
        said = f"- The signature of {signer} on targets 2 was pushed by {pusher}, not by {signer}"
        assert said in event.comment


# What the real workflows do with hostile heads


def hostile_head(world: World, slug: str, branch: str, canary: Path) -> None:
    """A branch that would leave a mark if any of it were checked out, built, or run with a trusted token."""
    store = world.lab.forge.repository(slug).store
    main = store.branch("main") or ""
    run = f"touch '{canary}'"
    path = ".github/workflows/keyturn-signing-event.yml"
    workflow = (store.blob(main, path) or b"").decode()
    steps = f"    steps:\n      - run: {run}\n"
    files = {
        path: workflow.replace("    steps:\n", steps).encode(),
        ".gitattributes": b"* filter=evil diff=evil merge=evil\n",
        ".gitconfig": f'[filter "evil"]\n\tsmudge = {run}\n\tclean = {run}\n'.encode(),
        ".githooks/post-checkout": f"#!/bin/sh\n{run}\n".encode(),
        "sitecustomize.py": f"open({str(canary)!r}, 'w')\n".encode(),
        "keyturn/__init__.py": f"open({str(canary)!r}, 'w')\n".encode(),
        "action/signing-event/action.yml": f"runs: {{using: composite, steps: [{{run: {run}}}]}}\n".encode(),
    }
    tree = store.write_tree(main, files)
    link = store.write_blob(b"../../../../../../../../etc/passwd")
    lines = f"120000 {link}\tmetadata/targets.json\n120000 {link}\ttargets/passwd\n160000 {main}\tsub\n"
    with tempfile.TemporaryDirectory() as scratch:
        env = {"GIT_INDEX_FILE": f"{scratch}/index"}
        store.run("read-tree", tree, env=env)
        store.run("update-index", "--add", "--index-info", stdin=lines.encode(), env=env)
        tree = store.run("write-tree", env=env).decode().strip()
    commit = store.write_commit(
        tree, [main], "Improve", author=("trudy", "t@example.org"), when=world.lab.clock()
    )
    store.set_ref(f"refs/heads/{branch}", commit)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, tools: Path) -> Iterator[World]:
    with Lab(tmp_path_factory.mktemp("hostile") / "lab", tools=tools) as lab:
        world = found_quickly(lab)
        for login in ("trudy", STRANGER):
            world.person(login)
        world.repository.collaborators["trudy"] = "write"
        yield world


def test_heads_are_read_as_data_and_nothing_of_them_is_run(world: World, tmp_path: Path) -> None:
    canary, forge = tmp_path / "canary", world.lab.forge
    forge.fork(UPDATES, STRANGER)
    hostile_head(world, UPDATES, "sign/evil", canary)
    hostile_head(world, f"{STRANGER}/updates", "sign/fork", canary)
    asked = {"trudy": "sign/evil", STRANGER: f"{STRANGER}:sign/fork"}
    for login, head in asked.items():
        fields = {"title": "Improve", "head": head, "base": "main"}
        assert world.ask(login, "POST", f"/repos/{UPDATES}/pulls", **fields)[0] == 201
    runs = {run.start.actor: run for run in world.lab.settle()}

    assert not canary.exists()
    assert not SECRET.search(runs["trudy"].log.encode())
    assert {login: run.conclusion for login, run in runs.items()} == {"trudy": "success", STRANGER: "skipped"}
    assert "touch" not in runs["trudy"].start.workflow.content
    number = world.pull("evil").number
    assert world.check(number) == "failure"
    for said in ("KT301", "KT302", "`metadata/targets.json`", "`sub`"):
        assert said in world.comment(number)
    of_fork = next(one for one in world.repository.pulls() if one.pull and one.pull.branch == "sign/fork")
    assert (of_fork.comments, of_fork.labels) == ([], [])


def test_a_run_for_another_branch_than_the_default_one_says_nothing_about_events(world: World) -> None:
    """Whoever may push may dispatch the workflow of their branch, with a token that may post statuses."""
    world.lab.forge.commit(UPDATES, "sign/own", {"a": b"a"}, "Mine", author="trudy")
    before = len(world.repository.statuses)
    run = world.lab.run(UPDATES, "keyturn-signing-event.yml", actor="trudy", ref="sign/own")
    assert run.conclusion == "failure"
    assert run.jobs["check"].step_outputs["0.run"]["reason"] == "not-default-branch", run.jobs
    assert len(world.repository.statuses) == before


# Secrets


SECRET = re.compile(rb"gh[ps]_lab_\w+|PRIVATE KEY|eC1hY2Nlc3MtdG9rZW46[\w+/=]+")
"""A token, a key, or a token as git sends it."""
SPY = """\
#!/bin/sh
printf '%s\\0' "$@" >> '{seen}'
for word in "$@"; do [ -f "$word/config" ] && cat "$word/config" >> '{seen}'; done
exec '{git}' "$@"
"""


def test_no_token_or_key_is_in_an_argument_a_configuration_a_log_or_a_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with update_repository(tmp_path / "lab") as place:
        seen, spy = tmp_path / "seen", tmp_path / "bin" / "git"
        spy.parent.mkdir()
        spy.write_text(SPY.format(seen=seen, git=shutil.which("git")))
        spy.chmod(0o755)
        event = Event(place, place.propose("1.0"))
        event.review("bob")
        with monkeypatch.context() as patch:
            patch.setenv("PATH", f"{spy.parent}:{os.environ['PATH']}")
            ran = [
                place.run("keyturn-collect", "collect"),
                place.stage(),
                place.run("keyturn-monitor", "monitor"),
            ]

        words = seen.read_bytes()
        assert b"push" in words
        assert b"[core]" in words
        assert not SECRET.search(words)
        for job in ran:
            assert not SECRET.search(f"{job.log}{job.summary}{job.outputs}".encode())
        store = place.repository.store
        assert not SECRET.search(store.run("cat-file", "--batch-all-objects", "--batch", "--buffer"))
        shown = repr(place.shown()).encode()
        assert not SECRET.search(shown)
