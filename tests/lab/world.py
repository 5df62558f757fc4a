"""People with accounts, keys and command lines of their own, and the repositories that they work on.

    with Lab(tmp_path / "lab", tools=tools) as lab:
        world = World(lab)                                       # empty repositories, our own one published
        world.alice.told("--remote", world.remote, "init", ...)  # the real command, in a process of its own
        lab.settle()                                             # the real workflows

        world = found_quickly(lab)                               # or: founded already, and ready to publish
        event = world.propose("1.0")                             # in this process, without any workflow
        world.alice.sign(event)
        world.review("bob", number, world.bob.blocks(event))

``alice/updates`` is what is signed, and alice and bob sign it. carol develops the app in ``carol/hello``, and
has no right in the other repository.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from unittest import mock

from keyturn.flow import events, found, proposing, setting_up, signing
from keyturn.flow.context import Context, identify_by, load_event, require_policy
from keyturn.forge.github import GitHub, git_access
from keyturn.forge.github_settings import GitHubSettings
from keyturn.forge.local import LocalForge
from keyturn.git import Git, Identity
from keyturn.policy import render as render_policy
from keyturn.signing import KeySigner, SignatureBlock, SignerHome, load_signer, new_key, write_key_file
from keyturn.signing import render as render_block
from lab.forge import Repository
from lab.forge.model import Issue
from lab.forge.settings import Variable
from lab.lab import Lab
from lab.ourselves import NAME, OWNER, our_workflows, publish_ourselves

UPDATES = "alice/updates"
APP_REPOSITORY = "carol/hello"
APP = "hello"
ONLINE_KEY = "KEYTURN_ONLINE_KEY"
KEYTURN = (sys.executable, "-m", "keyturn")


@dataclass(frozen=True)
class Ran:
    """What a command came to.

    Args:
        code: Its exit code.
        out: What it printed.
        said: What it told the person besides, on standard error.
    """

    code: int
    out: str
    said: str

    @property
    def document(self) -> dict[str, Any]:
        """What ``--json`` printed."""
        document: dict[str, Any] = json.loads(self.out)
        return document


def run(command: Sequence[str], at: Path, env: Mapping[str, str]) -> Ran:
    """Run a program in a directory, with nothing in its environment but what is given."""
    done = subprocess.run(
        command, cwd=at, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    return Ran(done.returncode, done.stdout, done.stderr)


class Person:
    """Somebody at a machine of their own, with the access to git and GitHub that their token gives.

    Args:
        world: Where they are.
        login: Who they are.
        directory: Their machine.
    """

    def __init__(self, world: World, login: str, directory: Path) -> None:
        self.world, self.login, self.home = world, login, directory
        self.token = world.lab.forge.user(login)
        directory.mkdir(parents=True)
        self.key_file = directory / "key.pem"
        write_key_file(self.key_file, new_key("ed25519", None).pem)
        access = git_access(world.lab.forge.url, self.token)
        (directory / ".gitconfig").write_text(
            f"[user]\n\tname = {login}\n\temail = {login}@example.org\n"
            f'[http "{world.lab.forge.url}/"]\n\textraHeader = {access["GIT_CONFIG_VALUE_1"]}\n'
        )

    @property
    def key_uri(self) -> str:
        return f"file:{self.key_file}"

    @property
    def environment(self) -> dict[str, str]:
        """All that a command of theirs finds in its environment."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "KEYTURN_CONFIG_DIR": str(self.home / "config"),
            "XDG_CACHE_HOME": str(self.home / "cache"),
            "GH_HOST": self.world.lab.forge.url.removeprefix("http://"),
            "GH_TOKEN": self.token,
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CEILING_DIRECTORIES": str(self.home.parent),
            "SOURCE_DATE_EPOCH": str(int(self.world.lab.clock().timestamp())),
        }

    # ------------------------------------------------------------ at the command line

    def runs(self, *words: str, at: Path | None = None, env: Mapping[str, str] | None = None) -> Ran:
        """Run ``keyturn`` as a process of its own, at home or in another directory."""
        return run([*KEYTURN, *words], at or self.home, {**self.environment, **(env or {})})

    def told(self, *words: str, expected: int = 0, env: Mapping[str, str] | None = None) -> dict[str, Any]:
        """The document that a command prints, which must end as expected."""
        ran = self.runs("--json", *words, env=env)
        assert ran.code == expected, f"keyturn {' '.join(words)}: {ran.code}\n{ran.out}\n{ran.said}"
        return ran.document

    def git(self, *words: str, at: Path | None = None) -> str:
        """Run git with their settings."""
        ran = run(["git", *words], at or self.home, self.environment)
        assert ran.code == 0, f"git {' '.join(words)}: {ran.said}"
        return ran.out

    def expectations(self, event: str) -> list[str]:
        """Look at an event, and expect exactly the payloads that were seen."""
        status = self.told("status", event, expected=1)
        return [word for role in status["roles"] for word in ("--expect", role["payload-sha256"])]

    def signs(self, event: str, *more: str) -> dict[str, Any]:
        """``keyturn sign``: looks at the event, then signs what was seen and nothing else."""
        return self.told("sign", event, "--key", self.key_uri, "--yes", *self.expectations(event), *more)

    # ---------------------------------------------------------------- in this process

    @cached_property
    def host(self) -> GitHub:
        """The update repository on its code host, in their hands."""
        forge = self.world.lab.forge
        return GitHub(UPDATES, api=forge.api, server=forge.url, token=self.token, own=self.login)

    @cached_property
    def key(self) -> KeySigner:
        return load_signer(self.key_uri, env={}, ask_passphrase=None)

    @cached_property
    def _forge(self) -> LocalForge:
        access = git_access(self.world.lab.forge.url, self.token)
        git = Git.init(self.home / "objects.git", bare=True, access=access)
        return LocalForge(git, self.world.remote, "main")

    @property
    def context(self) -> Context:
        """What the use cases need from their machine, now; pins and ledger are those of the command line."""
        return Context(
            forge=self._forge,
            home=SignerHome(self.home / "config"),
            now=self.world.lab.clock(),
            author=Identity(self.login, f"{self.login}@example.org"),
            identify=identify_by(self.host),
        )

    def prepare(self, topic: str) -> signing.Preparation:
        context = self.context
        context.forge.refresh()
        return signing.prepare(load_event(context, topic), context.home, self.key)

    def blocks(self, topic: str) -> str:
        """Their signatures as text, to be put into a review; noted in their ledger, and nowhere else."""
        context, prepared = self.context, self.prepare(topic)
        made: Sequence[SignatureBlock] = signing.turn_keys(prepared, context.home, context.now)
        signing.remember_root(prepared, context.home)
        return "".join(render_block(block) for block in made)

    def sign(self, topic: str) -> None:
        """Sign an event and push the signatures."""
        context, prepared = self.context, self.prepare(topic)
        for block in signing.turn_keys(prepared, context.home, context.now):
            signing.deliver(context, topic, block)
        signing.remember_root(prepared, context.home)


class World:
    """The repositories, and the people around them.

    Args:
        lab: The lab; its pages, its clock, its Actions.
        signers: Who may push to the update repository; alice owns it.
    """

    def __init__(self, lab: Lab, signers: Sequence[str] = ("alice", "bob")) -> None:
        self.lab, self.signers = lab, tuple(signers)
        self._people: dict[str, Person] = {}
        self.action = publish_ourselves(lab.forge)
        """The commit of our own repository that workflows pin."""
        for login in (*signers, "carol"):
            self.person(login)
        owner, name = UPDATES.split("/")
        lab.forge.create_repository(owner, name, collaborators=dict.fromkeys(set(signers) - {owner}, "write"))
        owner, name = APP_REPOSITORY.split("/")
        lab.forge.create_repository(owner, name)
        # The lab's clock stands still while a job waits for edges to forget: they do it at each deployment.
        lab.pages.lagging = False
        self.repository.variables.update(
            {
                name: Variable(name, text, lab.clock(), lab.clock())
                for name, text in {"KEYTURN_LIVE_ATTEMPTS": "1", "KEYTURN_LIVE_PAUSE": "0"}.items()
            }
        )

    def person(self, login: str) -> Person:
        """Somebody by login, with a machine and a key of their own from the first mention on."""
        if login not in self._people:
            self._people[login] = Person(self, login, self.lab.forge.root.parent / "people" / login)
        return self._people[login]

    @property
    def alice(self) -> Person:
        return self.person("alice")

    @property
    def bob(self) -> Person:
        return self.person("bob")

    @property
    def carol(self) -> Person:
        return self.person("carol")

    @property
    def repository(self) -> Repository:
        """The update repository, as the forge keeps it."""
        return self.lab.forge.repository(UPDATES)

    @property
    def remote(self) -> str:
        """Where git finds it."""
        return f"{self.lab.forge.url}/{UPDATES}"

    @property
    def site(self) -> str:
        """Where clients find what is published."""
        return self.lab.pages.url(UPDATES)

    @property
    def action_pin(self) -> str:
        """What ``keyturn init --action`` is given."""
        return f"{OWNER}/{NAME}@{self.action}"

    @cached_property
    def online_key(self) -> str:
        """The private half of the online key."""
        return new_key("ed25519", None).pem.decode()

    @property
    def root_digest(self) -> str:
        """The root digest that alice pinned when she signed root 1."""
        pin = self.alice.context.remembered.pin()
        assert pin is not None
        return pin.digest

    def file(self, path: str, at: str = "main", slug: str = UPDATES) -> bytes:
        """A file of a repository, on a branch or at a commit."""
        return self.lab.forge.repository(slug).store.run("show", f"{at}:{path}")

    @property
    def first_root(self) -> bytes:
        """The root that an app is shipped with."""
        return self.file("metadata/root_history/1.root.json")

    @property
    def release_workflow(self) -> bytes:
        """``workflows/release.yml`` for the app ``hello``, whose build is what stands in git.

        All else is as it is there: to build with PyInstaller needs packages from elsewhere.
        """
        (text,) = our_workflows(self.action, "release").values()
        lines = text.decode().replace("app: app\n", f"app: {APP}\n").replace("app-${TAG", f"{APP}-${{TAG")
        build = [line for line in lines.splitlines(keepends=True) if "python -m pip install" not in line]
        made = "          install -D -m 755 hello dist/app/hello\n"
        return "".join(made if "python -m PyInstaller" in line else line for line in build).encode()

    def tag(self, version: str, *, workflow: bytes | None = None, slug: str = APP_REPOSITORY) -> None:
        """carol releases the app: a commit of that version, and its tag.

        Args:
            version: The version.
            workflow: The release workflow, if it is another one than ours.
            slug: Her repository.
        """
        files = {
            "hello": f"#!/bin/sh\necho hello {version}\n".encode(),
            ".github/workflows/release.yml": workflow or self.release_workflow,
        }
        commit = self.lab.forge.commit(slug, "main", files, version, author="carol")
        status, answer = self.ask(
            "carol", "POST", f"/repos/{slug}/git/refs", ref=f"refs/tags/v{version}", sha=commit
        )
        assert status == 201, answer

    # -------------------------------------------------------------- on GitHub's pages

    def ask(self, login: str, method: str, path: str, **fields: object) -> tuple[int, Any]:
        """What somebody's click on a page comes to: status and answer.

        Args:
            login: Who clicks.
            method: Of the request.
            path: Below the address of the API.
            fields: What is sent.
        """
        request = urllib.request.Request(f"{self.lab.forge.api}{path}", method=method)
        request.add_header("Authorization", f"Bearer {self.person(login).token}")
        data = json.dumps(fields).encode() if fields else None
        try:
            with urllib.request.urlopen(request, data) as answer:
                return answer.status, json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as refused:
            return refused.code, json.loads(refused.read() or b"null")

    def pull(self, event: str) -> Issue:
        """The open pull request of an event, by its topic."""
        branch = f"sign/{event.removeprefix('sign/')}"
        (found,) = (
            one
            for one in self.repository.pulls()
            if one.pull and one.pull.branch == branch and one.state == "open"
        )
        return found

    def page(self, number: int) -> str:
        """Address of a pull request."""
        return f"{self.remote}/pull/{number}"

    def review(self, login: str, number: int, body: str, event: str = "COMMENT") -> dict[str, Any]:
        """Submit a review: COMMENT, APPROVE or REQUEST_CHANGES."""
        status, answer = self.ask(
            login, "POST", f"/repos/{UPDATES}/pulls/{number}/reviews", body=body, event=event
        )
        assert status == 200, answer
        reviewed: dict[str, Any] = answer
        return reviewed

    def merge(self, login: str, number: int) -> tuple[int, str]:
        """Press the button of a pull request: status and message."""
        status, answer = self.ask(
            login, "PUT", f"/repos/{UPDATES}/pulls/{number}/merge", merge_method="merge"
        )
        return status, answer["message"]

    def comment(self, number: int) -> str:
        """The one comment of ours on a pull request."""
        (text,) = (one.body for one in self.repository.issues[number].comments)
        return text

    def checks(self, number: int) -> list[tuple[str, str]]:
        """The check ``keyturn`` of a pull request's head: state and description, oldest first."""
        pull = self.repository.issues[number].pull
        assert pull is not None
        return [
            (one.state, one.description)
            for one in self.repository.statuses
            if one.commit == pull.head and one.context == "keyturn"
        ]

    def check(self, number: int) -> str:
        """What the check says now: ``success``, ``pending``, ``failure``, ``error``; empty if nothing."""
        found = self.checks(number)
        return found[-1][0] if found else ""

    def switch_off(self, *workflows: str) -> None:
        """Disable workflows on the page "Actions", by file name without ``.yml``."""
        for name in workflows:
            status, answer = self.ask(
                "alice", "PUT", f"/repos/{UPDATES}/actions/workflows/{name}.yml/disable"
            )
            assert status == 204, answer

    # ------------------------------------------------------ in this process, by no job

    def bundle(self, version: str, app: str = APP) -> Path:
        """A small app that prints its version, unpacked."""
        directory = self.lab.forge.root.parent / "bundles" / version / app
        directory.mkdir(parents=True, exist_ok=True)
        program = directory / app
        program.write_text(f"#!/bin/sh\necho {app} {version}\n")
        program.chmod(0o755)
        return directory

    def propose(self, version: str, by: str = "alice", app: str = APP) -> str:
        """A release, proposed from somebody's machine; gives the topic of its event."""
        person = self.person(by)
        made = proposing.release(person.context, app, version, self.bundle(version, app), host=person.host)
        return made.topic

    def merge_here(self, topic: str, by: str = "alice") -> None:
        """Merge an event that is ready, past the rules of main; the forge takes it as a push."""
        rules, self.repository.rulesets = self.repository.rulesets, {}
        events.merge(self.person(by).context, topic)
        self.repository.rulesets = rules

    def release(self, version: str) -> str:
        """A release, proposed, signed by all signers and merged."""
        topic = self.propose(version)
        for login in self.signers:
            self.person(login).sign(topic)
        self.merge_here(topic)
        return topic

    # ----------------------------------------------------------------------- clients

    def client(self, machine: str, *words: str) -> Ran:
        """``keyturn client`` on a user's machine, which has nothing of ours but the first root."""
        home = self.lab.forge.root.parent / "users" / machine
        if not home.exists():
            home.mkdir(parents=True)
            (home / "root.json").write_bytes(self.first_root)
        where = ("--root", "root.json", "--url", self.site, "--app", APP, "--dir", "app")
        releases = ("--releases", f"{self.remote}/releases/download/")
        env = {"PATH": os.environ["PATH"], "HOME": str(home)}
        command = [*KEYTURN, "--json", "client", *where, *releases, *words]
        return run(command, home, env)


def found_quickly(
    lab: Lab,
    *,
    signers: Sequence[str] = ("alice", "bob"),
    threshold: int = 2,
    edit: Callable[[str], str] = lambda policy: policy,
    workflows: Callable[[str, bytes], bytes] = lambda path, text: text,
) -> World:
    """A founded repository, ready to publish, as :mod:`lab.test_story` founds it by workflows and commands.

    Our workflows are on ``main``; all settings are made, the environment with its secret and the root digest
    and the rules of ``main`` among them. What its pushes would have woken is left out: nothing is queued.

    Args:
        lab: The lab, with an empty queue.
        signers: Who signs; alice is one of them.
        threshold: How many of them are needed.
        edit: Changes the policy before anybody has seen it.
        workflows: Changes a workflow file, given its path and text.
    """
    deaf = lab.forge._listeners
    lab.forge._listeners = []
    try:
        world = World(lab, signers)
        _found(world, threshold, edit, workflows)
    finally:
        lab.forge._listeners = deaf
    return world


def _found(
    world: World,
    threshold: int,
    edit: Callable[[str], str],
    workflows: Callable[[str, bytes], bytes],
) -> None:
    alice = world.alice
    files = {path: workflows(path, text) for path, text in our_workflows(world.action).items()}

    def rendered(**decided: Any) -> str:  # noqa: ANN401 - what keyturn.policy.render takes
        return edit(render_policy(**decided))

    with mock.patch.object(found, "render", rendered):
        found.init(
            alice.context,
            name="acme-updates",
            signers=world.signers,
            threshold=threshold,
            app=APP,
            online_uri=f"env:{ONLINE_KEY}",
            online=load_signer(f"env:{ONLINE_KEY}", env={ONLINE_KEY: world.online_key}, ask_passphrase=None),
            url=world.site,
            also=files,
        )
    for login in world.signers:
        found.join(world.person(login).context, found.FOUNDING, login, world.person(login).key)
    for login in world.signers:
        world.person(login).sign(found.FOUNDING)
    events.merge(alice.context, found.FOUNDING)
    set_up(world)


def set_up(world: World) -> None:
    """Make all settings, as ``keyturn doctor --fix --set-secret`` does in alice's hands."""
    forge, context = world.lab.forge, world.alice.context
    context.forge.refresh()
    policy = require_policy(context.forge.tree(context.forge.main()))
    wish = setting_up.Wish.of(policy, world.root_digest, trusted=True)
    settings = GitHubSettings(UPDATES, api=forge.api, server=forge.url, token=world.alice.token)
    made = setting_up.set_up(settings, wish, secret=world.online_key)
    wrong = [one for one in made if one.standing not in (setting_up.Standing.RIGHT, setting_up.Standing.MADE)]
    assert not wrong, wrong
