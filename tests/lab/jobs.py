"""Jobs of the real workflow files, run in this process: a tenth of what a run in act costs.

    place = Place(forge, pages, clock, directory)
    place.found()
    ran = place.run("keyturn-signing-event", "check")                   # with the permissions of the file
    ran = place.run("keyturn-signing-event", "check", without="statuses")
    assert ran.code and "`statuses: write`" in ran.told

A job gets a token minted from the ``permissions:`` of its workflow file, and the variables, secrets and
inputs that GitHub gives to its step. That composites hand inputs on, that jobs hear of each other, and what
wakes them is shown in act.

A place can be put back to where it was (:meth:`Place.keep`), so that one story has many endings, and told in
full (:meth:`Place.shown`), so that two endings can be compared: all that anybody could see is in it, and
nothing that two honest runs may differ in.
"""

from __future__ import annotations

import copy
import io
import json
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, fields, replace
from datetime import datetime
from functools import cache, partial
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any
from unittest import mock

import yaml

from integration.team import Person, Team
from keyturn.actions import run_job
from keyturn.flow import events, found, proposing
from keyturn.forge.github import GitHub
from keyturn.forge.local import LocalForge
from keyturn.forge.patience import Patience
from keyturn.signing import render
from keyturn.state import State
from lab.clock import Clock
from lab.forge import Handled, LabForge, Repository
from lab.forge.model import ZERO, Review, Token
from lab.forge.settings import Environment, Secret, Variable
from lab.forge.settings import Pages as PagesSettings
from lab.ourselves import ROOT, UNPINNED, our_workflows
from lab.pages import Pages, Site
from unit.test_actions_declared import script_of
from unit.test_actions_outputs import runner_reads

if TYPE_CHECKING:
    from lab.lab import Lab

SIGNERS = {"alice": 1001, "bob": 1002}
ONLINE_KEY = "KEYTURN_ONLINE_KEY"
RUN_ID = "77"


class Killed(BaseException):
    """The process is gone: nothing after this line happens, and nobody hears of it."""


@dataclass(frozen=True)
class Ran:
    """What a job came to.

    Args:
        code: Its exit code.
        outputs: Its outputs.
        summary: What it wrote to the summary.
        log: What it printed, annotations among it.
        requests: What it asked the forge.
    """

    code: int
    outputs: Mapping[str, str]
    summary: str
    log: str
    requests: tuple[Handled, ...]

    @property
    def told(self) -> str:
        """What somebody reads who looks at the run's page."""
        annotations = [line for line in self.log.splitlines() if line.startswith("::error")]
        return "\n".join([*annotations, self.summary])


@dataclass(frozen=True)
class Kept:
    """A place as it was."""

    repositories: Mapping[str, Repository]
    refs: Mapping[str, Mapping[str, str]]
    sites: Mapping[str, Site]
    next_id: int
    homes: Mapping[Path, bytes]
    now: datetime


@cache
def step_of(workflow: str, job: str) -> tuple[str, Mapping[str, Any], Mapping[str, str]]:
    """The step of a job that uses an action of ours: the action, its inputs, and the job's permissions."""
    read = yaml.safe_load((ROOT / "workflows" / f"{workflow}.yml").read_text())["jobs"][job]
    (step,) = (one for one in read["steps"] if str(one.get("uses", "")).startswith("keyturn/keyturn"))
    action = step["uses"].partition("@")[0].rpartition("/")[2]
    return "release" if action == "keyturn" else action, step.get("with", {}), read.get("permissions", {})


@cache
def script(name: str) -> ModuleType:
    return script_of(name)


class Signers(Team):
    """People with keys, whose remote is a repository of the forge; ``publisher`` holds the online key."""

    def __init__(self, place: Place) -> None:
        self.base = place.directory / "people"
        self.base.mkdir()
        self.remote = place.repository.store.directory
        self.people: dict[str, Person] = {}
        self._place = place

    def _new(self, name: str, kind: str) -> Person:
        person = super()._new(name, kind)
        context = replace(person.context, identify=self._place.ids, now=self._place.clock())
        return replace(person, context=context)

    def propose(self, version: str, by: str = "alice") -> proposing.Proposed:
        context, bundle = self.person(by).context, self.bundle(version)
        return proposing.release(context, "hello", version, bundle, host=self._place.host(by))

    def person(self, name: str, kind: str = "ed25519") -> Person:
        """Somebody by name, whose clock is the lab's."""
        known = super().person(name, kind)
        return replace(known, context=known.at(self._place.clock()))


class Place:
    """An update repository on the lab's forge, and the people around it.

    Args:
        forge: The forge, running.
        pages: Its Pages, running.
        clock: What time it is.
        directory: Where the people's clones and keys are; new.
        slug: Its name.
        private: Whether only collaborators see it: then reading needs permissions too.
        signers: Who signs root and targets, with their numeric ids; any two of them are enough.
    """

    def __init__(
        self,
        forge: LabForge,
        pages: Pages,
        clock: Clock,
        directory: Path,
        *,
        slug: str = "alice/updates",
        private: bool = False,
        signers: Mapping[str, int] = SIGNERS,
    ) -> None:
        self.forge, self.pages, self.clock, self.directory, self.slug = forge, pages, clock, directory, slug
        self.signers = dict(signers)
        directory.mkdir(parents=True, exist_ok=True)
        for login, number in self.signers.items():
            forge.user(login, number)
        owner, name = slug.split("/")
        write = dict.fromkeys(self.signers.keys() - {owner}, "write")
        forge.create_repository(owner, name, private=private, collaborators=write)  # type: ignore[arg-type]
        self.repository.settings.actions_may_open_pull_requests = True
        self.repository.pages = PagesSettings("workflow", {"branch": "main", "path": "/"})
        self.people = Signers(self)
        self.root_digest = ""
        self.waits: list[float] = []

    @property
    def repository(self) -> Repository:
        return self.forge.repository(self.slug)

    @property
    def url(self) -> str:
        """Root of the site."""
        return self.pages.url(self.slug)

    def ids(self, logins: object) -> dict[str, int]:
        return {login: self.signers[login] for login in logins}  # type: ignore[attr-defined]

    # ------------------------------------------------------------- what people do

    def host(self, login: str, slug: str = "") -> GitHub:
        """The forge in the hands of a person."""
        token, forge = self.forge.user(login), self.forge
        return GitHub(slug or self.slug, api=forge.api, server=forge.url, token=token, own=login)

    @contextmanager
    def by(self, login: str) -> Iterator[Team]:
        """What somebody does to the repository's branches meanwhile; the forge hears of it at the end."""
        before = self.repository.store.refs("refs/heads")
        yield self.people
        after = self.repository.store.refs("refs/heads")
        moved = {ref: (before.get(ref, ZERO), after.get(ref, ZERO)) for ref in sorted(before | after)}
        with self.forge.changing():
            self.forge.moved(self.repository, moved, Token("", login))

    def found(self, *, commit: str = UNPINNED, edit: Callable[[str], str] = lambda text: text) -> None:
        """Everything until the founding event is merged, and the environment with its secret.

        Args:
            commit: The commit of ours that the workflows pin.
            edit: Changes the policy before anybody has seen it.
        """
        with self.by("alice") as team, mock.patch.object(found, "render", _edited(edit)):
            found.init(
                team.person("alice").context,
                name="acme-updates",
                signers=tuple(self.signers),
                threshold=2,
                app="hello",
                online_uri=f"env:{ONLINE_KEY}",
                online=team.online,
                url=self.url,
                also=our_workflows(commit),
            )
            team.join(*self.signers)
            for login in self.signers:
                team.person(login).sign(found.FOUNDING)
            events.merge(team.person("alice").context, found.FOUNDING)
        self.root_digest = team.root_digest
        now = self.clock()
        allowed = {"protected_branches": False, "custom_branch_policies": True}
        environment = Environment(1, "keyturn", now, allowed, {1: ("main", "branch")})
        environment.secrets[ONLINE_KEY] = Secret(ONLINE_KEY, self.online_key, now, now)
        environment.variables["KEYTURN_ROOT"] = Variable("KEYTURN_ROOT", self.root_digest, now, now)
        self.repository.environments["keyturn"] = environment

    @property
    def online_key(self) -> str:
        return self.people.person("publisher").key_file.read_text()

    def propose(self, version: str) -> str:
        """A release that alice proposes; gives the topic of its event."""
        with self.by("alice") as team:
            return team.propose(version).topic

    def release(self, version: str) -> None:
        """A release that is proposed, signed and merged without any job."""
        with self.by("alice") as team:
            team.release(version, tuple(self.signers)[:2])

    def sign(self, login: str, topic: str) -> None:
        with self.by(login) as team:
            team.person(login).sign(topic)

    def merge(self, topic: str) -> None:
        with self.by("alice") as team:
            team.person("alice").context.forge.refresh()
            events.merge(team.person("alice").context, topic)

    def review(self, login: str, topic: str) -> None:
        """A review that carries somebody's signature."""
        blocks = "\n\n".join(f"```\n{render(block)}```" for block in self.people.person(login).blocks(topic))
        issue = next(
            one for one in self.repository.pulls() if one.pull and one.pull.branch == f"sign/{topic}"
        )
        assert issue.pull is not None
        issue.pull.reviews.append(
            Review(self.forge.new_id(), login, blocks, "COMMENTED", issue.pull.head, self.clock())
        )

    def commit(self, files: Mapping[str, bytes | None], message: str = "Change") -> None:
        """What alice merges into main, or edits there."""
        self.forge.commit(self.slug, "main", files, message, author="alice")

    # --------------------------------------------------------------- what jobs do

    def run(
        self,
        workflow: str,
        job: str,
        *,
        without: str = "",
        inputs: Mapping[str, str] | None = None,
        event: str = "workflow_dispatch",
        token: str = "",
        env: Mapping[str, str] | None = None,
    ) -> Ran:
        """Run our action as a job of a workflow does.

        Args:
            workflow: File name below ``workflows/``, without ``.yml``.
            job: The job.
            without: A scope that is left out of its permissions.
            inputs: Inputs of the action that are no plain text in the file, or other values for them.
            event: What woke the workflow.
            token: Another token than the job's own.
            env: Other variables.

        Raises:
            Killed: A test made it so.
        """
        name, given, permissions = step_of(workflow, job)
        scopes = {scope: level for scope, level in permissions.items() if scope != without}
        literal = {key: str(text) for key, text in given.items() if "${{" not in str(text)}
        minted = self.forge.mint(self.slug, scopes, run=int(RUN_ID))
        began = len(self.forge.requests)
        with tempfile.TemporaryDirectory(dir=self.directory) as scratch:
            runner = Path(scratch)
            environment = {**self._environment(runner, workflow, event, token or minted), **(env or {})}
            for key, text in {**literal, **(inputs or {})}.items():
                environment[f"KEYTURN_INPUT_{key.upper().replace('-', '_')}"] = text
            if (workflow, job) == ("keyturn-publish", "sign"):
                environment |= self.forge.secrets(self.slug, "keyturn")
            code, log = self._act(script(name), environment)
            outputs = runner_reads(runner / "output")
            summary = (runner / "summary").read_text()
        self.forge.revoke(minted)
        return Ran(code, outputs, summary, log, tuple(self.forge.requests[began:]))

    def _environment(self, runner: Path, workflow: str, event: str, token: str) -> dict[str, str]:
        for name in ("output", "summary"):
            (runner / name).touch()
        (runner / "event.json").write_text(json.dumps({"repository": {"default_branch": "main"}}))
        return {
            "GITHUB_SERVER_URL": self.forge.url,
            "GITHUB_API_URL": self.forge.api,
            "GITHUB_REPOSITORY": self.slug,
            "GITHUB_EVENT_NAME": event,
            "GITHUB_EVENT_PATH": str(runner / "event.json"),
            "GITHUB_REF": "refs/heads/main",
            "GITHUB_RUN_ID": RUN_ID,
            "GITHUB_WORKFLOW_REF": f"{self.slug}/.github/workflows/{workflow}.yml@refs/heads/main",
            "GITHUB_OUTPUT": str(runner / "output"),
            "GITHUB_STEP_SUMMARY": str(runner / "summary"),
            "GITHUB_WORKSPACE": str(runner),
            "RUNNER_TEMP": str(runner / "temp"),
            "SOURCE_DATE_EPOCH": str(int(self.clock().timestamp())),
            "KEYTURN_TOKEN": token,
            "KEYTURN_ROOT": self.root_digest,
        }

    def _act(self, module: ModuleType, environment: Mapping[str, str]) -> tuple[int, str]:
        log = io.StringIO()
        patient = partial(Patience, pause=self.waits.append)
        with redirect_stdout(log), mock.patch("keyturn.forge.github.Patience", patient):
            code = run_job(module.main, module.INPUTS, module.OUTPUTS, environment)
        return code, log.getvalue()

    # ------------------------------------------------------------------ publishing

    def stage(self, *, without: str = "") -> Ran:
        """The job ``sign``."""
        return self.run("keyturn-publish", "sign", without=without)

    def build(self, staged: Ran, site: Path, *, without: str = "") -> Ran:
        """The job ``build``, which leaves the site in a directory."""
        inputs = {"commit": staged.outputs["commit"], "directory": str(site)}
        return self.run("keyturn-publish", "build", without=without, inputs=inputs)

    def deploy(self, site: Path, *, edges_know: bool = True) -> None:
        """What actions/upload-pages-artifact and actions/deploy-pages do.

        Args:
            site: The directory.
            edges_know: Whether edges serve it at once, as if ten minutes were over.
        """
        with io.BytesIO() as archive:
            with tarfile.open(fileobj=archive, mode="w") as tar:
                tar.add(site, ".")
            self.pages.deploy(self.slug, archive.getvalue())
        for edge in self.pages.edges if edges_know else ():
            edge.forget()

    def live(self, staged: Ran, *, without: str = "") -> Ran:
        """The job ``live``."""
        inputs = {"commit": staged.outputs["commit"], "attempts": "1", "pause": "0"}
        return self.run("keyturn-publish", "live", without=without, inputs=inputs)

    def record(self, staged: Ran, *, without: str = "") -> Ran:
        """The job ``record``."""
        inputs = {"commit": staged.outputs["commit"]}
        return self.run("keyturn-publish", "record", without=without, inputs=inputs)

    def publish(self) -> Ran:
        """A whole run of the workflow, as its jobs depend on each other; gives what was staged."""
        staged = self.stage()
        assert staged.code == 0, staged.told
        if staged.outputs["changed"] == "true":
            with tempfile.TemporaryDirectory(dir=self.directory) as scratch:
                site = Path(scratch, "site")
                for ran in (
                    self.build(staged, site),
                    self.deploy(site),
                    self.live(staged),
                    self.record(staged),
                ):
                    assert ran is None or ran.code == 0, ran.told
        return staged

    # --------------------------------------------------------- endings of a story

    @contextmanager
    def dying(self, *, before_push: bool) -> Iterator[None]:
        """The next job's machine is switched off when it pushes: just before, or just after."""
        push = LocalForge._push

        def pushes(forge: LocalForge, name: str, commit: str, expected: str | None) -> None:
            if not before_push:
                push(forge, name, commit, expected)
            raise Killed

        with mock.patch.object(LocalForge, "_push", pushes):
            yield

    def keep(self) -> Kept:
        """Remember how everything is."""
        forge = self.forge
        number = forge.new_id()
        forge._ids = count(number)
        return Kept(
            repositories={slug: _copied(one) for slug, one in forge.repositories.items()},
            refs={slug: one.store.refs() for slug, one in forge.repositories.items()},
            sites=dict(self.pages.sites),
            next_id=number,
            homes={file: file.read_bytes() for file in self._remembered()},
            now=self.clock(),
        )

    def go_back(self, kept: Kept) -> None:
        """Make everything as it was; a kept state can be used again."""
        forge = self.forge
        forge.repositories = {slug: _copied(one) for slug, one in kept.repositories.items()}
        for slug, one in forge.repositories.items():
            for ref in one.store.refs().keys() - kept.refs[slug].keys():
                (one.store.directory / ref).unlink()
            for ref, commit in kept.refs[slug].items():
                (one.store.directory / ref).parent.mkdir(parents=True, exist_ok=True)
                (one.store.directory / ref).write_text(f"{commit}\n")
        forge._ids = count(kept.next_id)
        forge.faults.clear()
        self.pages.sites = dict(kept.sites)
        for edge in self.pages.edges:
            edge.forget()
        for file in self._remembered():
            file.unlink()
        for file, content in kept.homes.items():
            file.write_bytes(content)
        self.clock._now = kept.now
        self.waits.clear()

    def _remembered(self) -> list[Path]:
        """What people's own machines have noted: pins, versions seen, payloads signed."""
        return [file for file in self.people.base.glob("home-*/**/*") if file.is_file()]

    def shown(self) -> dict[str, object]:
        """All that somebody could see here."""
        shown = self.repository
        return {
            "branches and tags": {
                ref: commit
                for ref, commit in shown.store.refs().items()
                if ref.startswith(("refs/heads/", "refs/tags/"))
            },
            "pull requests": [
                (one.number, one.title, one.state, sorted(one.labels), one.pull.branch, one.pull.requested)
                for one in shown.pulls()
                if one.pull
            ],
            "issues": [(one.title, one.body, one.state) for one in shown.issues.values() if not one.pull],
            "comments": [
                (number, one.author, one.body)
                for number, issue in shown.issues.items()
                for one in issue.comments
            ],
            # Each follows the one before; only the newest of a name is shown, and saying it again is no news.
            "statuses": {
                (one.commit, one.context): (one.state, one.description, one.url) for one in shown.statuses
            },
            "statuses said twice": said_twice(shown),
            "releases": [
                (one.tag, one.name, one.draft, one.prerelease, [(it.name, it.digest) for it in one.assets])
                for one in shown.releases
            ],
            "workflows": {path: one.state for path, one in shown.workflows.items()},
            "site": self.pages.sites[self.slug].files if self.slug in self.pages.sites else {},
        }

    def main(self) -> State:
        """What was decided."""
        context = self.people.person("alice").context
        context.forge.refresh()
        return State(context.forge.tree(context.forge.main()))


def forget_what_waits(lab: Lab) -> None:
    """Drop the runs that have been woken so far; founding wakes some that few stories are about."""
    for queue in (lab.dispatcher._ready, lab.dispatcher._holding, lab.dispatcher._pending):
        queue.clear()


def said_twice(repository: Repository) -> list[str]:
    """Statuses that say what the one before them on the same commit says."""
    newest: dict[tuple[str, str], object] = {}
    twice = []
    for one in repository.statuses:
        says = (one.state, one.description, one.url)
        if newest.get((one.commit, one.context)) == says:
            twice.append(f"{one.state} on {one.commit}")
        newest[one.commit, one.context] = says
    return twice


def _copied(repository: Repository) -> Repository:
    """A copy that shares nothing but the objects of git."""
    kept = {one.name: getattr(repository, one.name) for one in fields(repository) if one.name != "store"}
    return Repository(**copy.deepcopy(kept), store=repository.store)


def _edited(edit: Callable[[str], str]) -> Callable[..., str]:
    def rendered(**decided: Any) -> str:  # noqa: ANN401 - what keyturn.policy.render takes
        return edit(render_policy(**decided))

    return rendered


render_policy = found.render
