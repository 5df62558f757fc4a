"""The lab's GitHub: the object that tests hold."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from types import TracebackType
from typing import Any

from lab.forge import notices, pulls, views
from lab.forge.contract import Contract
from lab.forge.events import Event, Handled
from lab.forge.faults import Fault, Kind
from lab.forge.model import ZERO, Activity, Repository, Role, Run, Token
from lab.forge.people import People
from lab.forge.server import Server
from lab.forge.smart_git import write_hook
from lab.forge.store import Store
from lab.forge.wire import not_found

Listener = Callable[[Event], None]


def _public_site(slug: str) -> str:
    """Where the Pages of a repository are."""
    owner, name = slug.split("/")
    return f"https://{owner}.github.io/{name}/"


class LabForge(People):
    """GitHub for tests: git repositories, the API around them, and what it tells its listeners.

    Start it with ``with``; at the end an API answer that GitHub's own description does not allow is an error.

    Args:
        root: Empty directory for the repositories.
        clock: What time it is; everything that gets a date gets it from here.
        contract: Whether every answer is held against GitHub's description.
    """

    def __init__(
        self, root: Path, *, clock: Callable[[], datetime] | None = None, contract: bool = True
    ) -> None:
        super().__init__()
        self.root = root
        self.clock = clock or (lambda: datetime.now(timezone.utc))
        self.lock = threading.RLock()
        self.events: list[Event] = []
        self.requests: list[Handled] = []
        self.faults: list[Fault] = []
        self.site_of: Callable[[str], str] = _public_site
        self.contract = Contract() if contract else None
        self._listeners: list[Listener] = []
        self._pending: list[Event] = []
        self._depth = 0
        root.mkdir(parents=True, exist_ok=True)
        self.hooks = write_hook(root)
        self._server = Server(self)

    # -------------------------------------------------------------- lifetime

    def __enter__(self) -> LabForge:
        self._server.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.stop()
        if kind is None and self.contract:
            self.contract.conclude()

    @property
    def url(self) -> str:
        """Where git and people go, without a slash at the end."""
        return self._server.url

    @property
    def api(self) -> str:
        """Base URL of the REST API."""
        return f"{self.url}/api/v3"

    @property
    def graphql(self) -> str:
        """URL of the GraphQL API."""
        return f"{self.url}/api/graphql"

    def now(self) -> datetime:
        """The time, to the second, as GitHub tells it."""
        return self.clock().replace(microsecond=0)

    # ---------------------------------------------------------- repositories

    def create_repository(
        self,
        owner: str,
        name: str,
        *,
        private: bool = False,
        files: Mapping[str, bytes] | None = None,
        collaborators: Mapping[str, Role] | None = None,
        branch: str = "main",
    ) -> Repository:
        """Have a repository.

        Args:
            owner: Login of a person, who becomes its administrator, or of an organisation.
            name: Its name.
            private: Whether only collaborators see it.
            files: What the first commit holds; None for a repository without any commit.
            collaborators: Who may do what.
            branch: Name of the default branch.
        """
        with self.changing():
            if owner.lower() not in self.users:
                raise ValueError(f"no such account: {owner}")
            store = Store.create(self.root / owner / f"{name}.git", branch=branch, hooks=self.hooks)
            repository = Repository(self.new_id(), owner, name, private, branch, self.now(), store)
            self.repositories[repository.slug.lower()] = repository
            if self.account(owner).kind == "User":
                repository.collaborators[owner.lower()] = "admin"
            for login, role in (collaborators or {}).items():
                repository.collaborators[login.lower()] = role
            if files is not None:
                self.commit(repository.slug, branch, files, "Initial commit", author=owner)
            return repository

    def fork(self, slug: str, owner: str) -> Repository:
        """Have somebody's fork of a repository, with its branches and tags."""
        with self.changing():
            source = self.repository(slug)
            made = self.create_repository(owner, source.name, branch=source.default_branch)
            made.fork_of = source.slug
            specs = ("refs/heads/*:refs/heads/*", "refs/tags/*:refs/tags/*")
            made.store.run("fetch", "--quiet", str(source.store.directory), *specs)
            return made

    def commit(
        self, slug: str, branch: str, files: Mapping[str, bytes | None], message: str, *, author: str
    ) -> str:
        """Put a commit on a branch, as an edit on the web page does.

        Args:
            slug: The repository.
            branch: The branch; a new one starts where the default branch is.
            files: What is written, by path; None removes a file.
            message: The commit message.
            author: Login of who does it.

        Returns:
            The new commit.
        """
        with self.changing():
            repository = self.repository(slug)
            store, tip = repository.store, repository.store.branch(branch)
            parent = tip or repository.store.branch(repository.default_branch)
            by = views.identity(self, author)
            tree = store.write_tree(parent, files)
            new = store.write_commit(tree, [parent] if parent else [], message, author=by, when=self.now())
            token = Token("", author)
            store.set_ref(f"refs/heads/{branch}", new, tip or ZERO)
            self.moved(repository, {f"refs/heads/{branch}": (tip or ZERO, new)}, token)
            return new

    def moved(
        self,
        repository: Repository,
        refs: Mapping[str, tuple[str, str]],
        by: Token,
        kind: str | None = None,
    ) -> None:
        """Note that refs changed: activity, pull requests and events follow.

        Args:
            repository: Where.
            refs: Commits before and after, by name of the ref.
            by: Who did it.
            kind: What the activity log calls it; None to find out.
        """
        for ref, (old, new) in refs.items():
            if old == new or not ref.startswith(("refs/heads/", "refs/tags/")):
                continue
            if ref.startswith("refs/heads/"):
                word = kind or pulls.activity_kind(repository, old, new)
                at = self.now()
                entry = Activity(self.new_id(), ref, old, new, by.login, word, at)
                repository.activity.append(entry)
            self.emit(notices.push(self, repository, ref, old, new, by))
        pulls.follow(self, repository, by)

    # ---------------------------------------------------------------- events

    def listen(self, listener: Listener) -> None:
        """Hear of events, in order; a listener should only take note, since the request waits for it."""
        self._listeners.append(listener)

    def emit(self, event: Event) -> None:
        """Tell listeners, once the change that is under way is complete."""
        self._pending.append(event)

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Hold the lock; what was emitted meanwhile is told after it was let go."""
        with self.lock:
            self._depth += 1
            try:
                yield
            finally:
                self._depth -= 1
                told, self._pending = (self._pending, []) if not self._depth else ([], self._pending)
                self.events.extend(told)
        for event in told:
            for listener in self._listeners:
                listener(event)

    # ---------------------------------------------------- what tests arrange

    def fault(
        self,
        match: tuple[str, str],
        kind: Kind,
        *,
        times: int = 1,
        after: int = 0,
        retry_after: int = 60,
    ) -> Fault:
        """Order a fault; see :mod:`lab.forge.faults`."""
        fault = Fault(match[0], re.compile(match[1]), kind, times, after, retry_after)
        self.faults.append(fault)
        return fault

    def attest(self, slug: str, sha256: str, bundle: Mapping[str, Any]) -> None:
        """Keep a Sigstore bundle for a file."""
        self.repository(slug).attestations.setdefault(f"sha256:{sha256}", []).append(bundle)

    def start_run(self, slug: str, workflow: str, event: Event, *, branch: str, commit: str) -> Run:
        """Record that a workflow runs.

        Args:
            slug: The repository.
            workflow: File name below ``.github/workflows/``.
            event: What started it.
            branch: The branch that it runs on.
            commit: The commit that its file is from.
        """
        repository = self.repository(slug)
        at, number = self.now(), len(repository.runs) + 1
        with self.lock:
            run = Run(
                self.new_id(),
                number,
                workflow,
                event.name,
                branch,
                commit,
                event.actor,
                at,
                at,
                "in_progress",
            )
            repository.runs.append(run)
        return run

    def finish_run(self, run: Run, conclusion: str) -> None:
        """Record how a run ended: ``success``, ``failure``, ``cancelled``, ..."""
        with self.lock:
            run.status, run.conclusion, run.updated = "completed", conclusion, self.now()

    def remove_review(self, slug: str, number: int, review: int) -> None:
        """Make a submitted review vanish, as when GitHub removes an account with all it wrote."""
        with self.changing():
            pull = pulls.numbered(self.repository(slug), number).pull
            if pull is None:
                raise not_found()
            pull.reviews = [one for one in pull.reviews if one.id != review]

    def variables(self, slug: str, environment: str | None = None) -> dict[str, str]:
        """Variables that a job sees: the repository's, and its environment's over them."""
        repository = self.repository(slug)
        kept = dict(repository.variables)
        if environment and environment in repository.environments:
            kept |= repository.environments[environment].variables
        return {name: variable.value for name, variable in kept.items()}

    def secrets(self, slug: str, environment: str | None = None) -> dict[str, str]:
        """Secrets that a job may use: the repository's, and its environment's over them."""
        repository = self.repository(slug)
        kept = dict(repository.secrets)
        if environment and environment in repository.environments:
            kept |= repository.environments[environment].secrets
        return {name: secret.value for name, secret in kept.items()}

    def calls(self, method: str = "", path: str = "") -> list[Handled]:
        """Requests to the API so far, perhaps only those of a method and with a path that matches."""
        return [
            one
            for one in self.requests
            if one.kind in ("rest", "graphql") and method in ("", one.method) and re.search(path, one.path)
        ]
