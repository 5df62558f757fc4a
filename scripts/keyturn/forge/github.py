"""A repository on GitHub, without its git half (DESIGN section 4; :class:`keyturn.forge.host.Host`).

Nothing is asked that is not needed, nothing is written that is so already, and a write whose answer was lost
is looked for before it is done again. Only pull requests from a branch of this repository into its default
branch exist here: one from a fork, or into another branch, is no signing event, whatever it is called.
Whether one is a draft makes no difference.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

from keyturn.forge import EVENT_PREFIX
from keyturn.forge.answers import Record
from keyturn.forge.api import Api, utc_now
from keyturn.forge.github_releases import Releases
from keyturn.forge.github_reviews import account, read_reviews
from keyturn.forge.host import (
    CHECK,
    Account,
    Asset,
    HostedRelease,
    HostError,
    PullRequest,
    Push,
    Review,
    Status,
    StatusState,
    WorkflowRun,
)
from keyturn.forge.patience import Patience

JOB = "github-actions[bot]"
"""The account that a workflow's own token acts as."""
_STATES: Mapping[str, StatusState] = {
    "success": "success",
    "failure": "failure",
    "pending": "pending",
    "error": "error",
}


def git_access(server: str, token: str) -> Mapping[str, str]:
    """What :class:`keyturn.git.Git` needs to reach a server with a token: variables of git's environment.

    The token goes to that server alone and nowhere else: not on a command line, not into a file, not along a
    redirect. Other ways to authenticate are switched off, so that a refused token is an error.

    Args:
        server: Address of the server, such as ``https://github.com``.
        token: The token.
    """
    credentials = base64.b64encode(f"x-access-token:{token}".encode()).decode("ascii")
    address = f"http.{server.rstrip('/')}/"
    settings = (
        (f"{address}.extraheader", ""),  # an empty one forgets those that were set elsewhere
        (f"{address}.extraheader", f"Authorization: Basic {credentials}"),
        (f"{address}.followRedirects", "false"),
        ("credential.helper", ""),
    )
    variables = {"GIT_CONFIG_COUNT": str(len(settings))}
    for number, (key, value) in enumerate(settings):
        variables[f"GIT_CONFIG_KEY_{number}"] = key
        variables[f"GIT_CONFIG_VALUE_{number}"] = value
    return variables


class GitHub:
    """A repository on GitHub, or on a server that speaks its API.

    Args:
        slug: ``owner/repository``.
        api: Address of the API.
        server: Address of the site.
        token: A job's, app's or person's token; None reads what everybody may read.
        own: Login of the account that the token acts as; only its comments and issues are ever edited.
        branch: Name of the default branch; asked for when it is needed, if empty.
        patience: How long a request is tried.
        now: Tells the time, UTC.

    Raises:
        UsageError: The slug or the address is not one.
    """

    def __init__(
        self,
        slug: str,
        *,
        api: str = "https://api.github.com",
        server: str = "https://github.com",
        token: str | None = None,
        own: str = JOB,
        branch: str = "",
        patience: Patience | None = None,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._api = Api(slug, api=api, token=token, patience=patience or Patience(), now=now)
        self._path = self._api.repository
        self._server = server.rstrip("/")
        self._own = own
        self._releases = Releases(self._api)
        self._default_branch = branch

    @property
    def slug(self) -> str:
        """See :class:`keyturn.forge.host.Host`."""
        return self._api.slug

    @property
    def url(self) -> str:
        """See :class:`keyturn.forge.host.Host`."""
        return f"{self._server}/{self.slug}"

    def account(self, login: str) -> Account | None:
        """See :class:`keyturn.forge.host.Host`."""
        found = self._api.find(f"/users/{quote(login, safe='')}")
        return account(found) if found else None

    def pull_request(self, branch: str) -> PullRequest | None:
        """See :class:`keyturn.forge.host.Host`."""
        owner = self.slug.partition("/")[0]
        listed = self._pulls(state="open", head=f"{owner}:{branch}")
        return next((pull for pull in listed if pull.branch == branch and pull.open), None)

    def pull_requests(self, *, open_only: bool = True) -> tuple[PullRequest, ...]:
        """See :class:`keyturn.forge.host.Host`."""
        listed = self._pulls(state="open" if open_only else "all")
        return tuple(pull for pull in listed if pull.branch.startswith(EVENT_PREFIX))

    def numbered(self, number: int) -> PullRequest | None:
        """See :class:`keyturn.forge.host.Host`."""
        found = self._api.find(f"{self._path}/pulls/{number}")
        return self._pull(found) if found else None

    def open_pull_request(self, branch: str, title: str, body: str) -> PullRequest:
        """See :class:`keyturn.forge.host.Host`."""
        wanted = {"title": title, "body": body, "head": branch, "base": self._branch()}
        try:
            return self._api.write(
                "POST",
                f"{self._path}/pulls",
                wanted,
                read=self._opened,
                happened=lambda: self.pull_request(branch),
            )
        except HostError as error:
            # GitHub itself keeps a second one of the same branch from being there.
            if error.reason != "unprocessable" or (there := self.pull_request(branch)) is None:
                raise
            return there

    def keep_comment(self, number: int, mark: str, body: str) -> None:
        """See :class:`keyturn.forge.host.Host`."""
        text = f"{mark}\n{body}"
        ours = self._our_comments(number, mark)
        for extra in ours[1:]:
            self._api.remove(f"{self._path}/issues/comments/{extra.number('id')}")
        if not ours:
            self._api.write(
                "POST",
                f"{self._path}/issues/{number}/comments",
                {"body": text},
                read=lambda made: made.number("id"),
                happened=lambda: next(
                    (there.number("id") for there in self._our_comments(number, mark)), None
                ),
            )
        elif not _same_text(ours[0].text("body", default=""), text):
            path = f"{self._path}/issues/comments/{ours[0].number('id')}"
            self._api.command("PATCH", path, {"body": text})

    def status(self, commit: str, context: str = CHECK) -> Status | None:
        """See :class:`keyturn.forge.host.Host`."""
        # This list has the newest one of each name; the other has every one that ever was.
        pages = self._api.pages(f"{self._path}/commits/{quote(commit, safe='')}/status", "statuses")
        return next((_status(put) for put in pages if put.text("context", default="") == context), None)

    def set_status(self, commit: str, status: Status, context: str = CHECK) -> None:
        """See :class:`keyturn.forge.host.Host`."""
        if self.status(commit, context) == status:
            return
        wanted = {
            "state": status.state,
            "description": status.description,
            "context": context,
            **({"target_url": status.url} if status.url else {}),
        }

        def happened() -> Status | None:
            newest = self.status(commit, context)
            return newest if newest == status else None

        path = f"{self._path}/statuses/{quote(commit, safe='')}"
        self._api.write("POST", path, wanted, read=_status, happened=happened)

    def request_reviewers(self, number: int, logins: Sequence[str]) -> tuple[str, ...]:
        """See :class:`keyturn.forge.host.Host`."""
        path = f"{self._path}/pulls/{number}"
        pull = self._api.get(path)
        author = account(pull.optional("user"))
        refused = [login for login in logins if author is not None and _same(login, author.login)]
        asked = _logins(pull.records("requested_reviewers"))
        left = [login for login in logins if login not in refused and login.casefold() not in asked]
        if left:
            answered = self._reviewed(path, pull.record("head").commit("sha"))
            left = [login for login in left if login.casefold() not in answered]
        for login in left:
            try:
                self._request(path, login)
            except HostError as error:
                if error.reason != "unprocessable":
                    raise
                refused.append(login)
        return tuple(login for login in logins if login in refused)

    def set_labels(self, number: int, add: Sequence[str], remove: Sequence[str] = ()) -> None:
        """See :class:`keyturn.forge.host.Host`."""
        path = f"{self._path}/issues/{number}/labels"
        there = {label.text("name").casefold() for label in self._api.pages(path)}
        if missing := [name for name in add if name.casefold() not in there]:
            self._api.command("POST", path, {"labels": missing})
        for name in remove:
            if name.casefold() in there:
                self._api.remove(f"{path}/{quote(name, safe='')}")

    def reviews(self, number: int) -> tuple[Review, ...]:
        """See :class:`keyturn.forge.host.Host`."""
        return read_reviews(self._api, number)

    def activity(self, branch: str) -> tuple[Push, ...]:
        """See :class:`keyturn.forge.host.Host`."""
        ref = f"refs/heads/{branch}"
        listed = self._api.pages(f"{self._path}/activity", ref=ref)
        return tuple(_push(entry, branch) for entry in listed if entry.text("ref") == ref)

    def keep_issue(self, mark: str, title: str, body: str | None) -> int | None:
        """See :class:`keyturn.forge.host.Host`."""
        ours = self._our_issues(mark)
        for extra in ours if body is None else ours[1:]:
            self._api.command("PATCH", self._issue(extra), {"state": "closed", "state_reason": "completed"})
        if body is None:
            return None
        text = f"{mark}\n{body}"
        if not ours:
            return self._api.write(
                "POST",
                f"{self._path}/issues",
                {"title": title, "body": text},
                read=lambda made: made.number("number"),
                happened=lambda: next((there.number("number") for there in self._our_issues(mark)), None),
            )
        if ours[0].text("title") != title or not _same_text(ours[0].text("body", default=""), text):
            self._api.command("PATCH", self._issue(ours[0]), {"title": title, "body": text})
        return ours[0].number("number")

    def releases(self) -> tuple[HostedRelease, ...]:
        """See :class:`keyturn.forge.host.Host`."""
        return tuple(self._releases.listed())

    def create_release(self, tag: str, title: str, body: str, *, target: str) -> HostedRelease:
        """See :class:`keyturn.forge.host.Host`."""
        return self._releases.create(tag, title, body, target)

    def edit_release(
        self,
        release: HostedRelease,
        *,
        title: str | None = None,
        body: str | None = None,
        draft: bool | None = None,
        prerelease: bool | None = None,
    ) -> HostedRelease:
        """See :class:`keyturn.forge.host.Host`."""
        wanted = {"name": title, "body": body, "draft": draft, "prerelease": prerelease}
        return self._releases.edit(
            release, {key: value for key, value in wanted.items() if value is not None}
        )

    def delete_release(self, release: HostedRelease) -> None:
        """See :class:`keyturn.forge.host.Host`."""
        self._releases.delete(release)

    def upload(self, release: HostedRelease, name: str, file: Path) -> Asset:
        """See :class:`keyturn.forge.host.Host`."""
        return self._releases.upload(release, name, file)

    def delete_asset(self, asset: Asset) -> None:
        """See :class:`keyturn.forge.host.Host`."""
        self._releases.delete_asset(asset)

    def download(self, asset: Asset, file: Path, *, limit: int) -> None:
        """See :class:`keyturn.forge.host.Host`."""
        self._releases.download(asset, file, limit)

    def dispatch(self, workflow: str, inputs: Mapping[str, str] | None = None) -> None:
        """See :class:`keyturn.forge.host.Host`."""
        # Every job is a reconciliation: one that is woken twice finds nothing to do the second time.
        body = {"ref": self._branch(), "inputs": dict(inputs or {})}
        self._api.command("POST", f"{self._workflow(workflow)}/dispatches", body)

    def runs(self, workflow: str) -> tuple[WorkflowRun, ...]:
        """See :class:`keyturn.forge.host.Host`."""
        answer = self._api.get(f"{self._workflow(workflow)}/runs", branch=self._branch(), per_page=30)
        return tuple(_run(run) for run in answer.records("workflow_runs"))

    def keep_enabled(self, workflow: str) -> None:
        """See :class:`keyturn.forge.host.Host`."""
        self._api.command("PUT", f"{self._workflow(workflow)}/enable")

    def attestations(self, sha256: str) -> tuple[Mapping[str, object], ...]:
        """See :class:`keyturn.forge.host.Host`."""
        listed = self._api.pages(f"{self._path}/attestations/sha256:{quote(sha256, safe='')}", "attestations")
        try:
            bundles = [entry.raw("bundle") for entry in listed]
        except HostError as error:
            if error.reason != "not-found":
                raise
            return ()
        return tuple(bundle for bundle in bundles if isinstance(bundle, dict))

    def _branch(self) -> str:
        """The default branch, asked for once."""
        if not self._default_branch:
            self._default_branch = self._api.get(self._path).text("default_branch")
        return self._default_branch

    def _pulls(self, **parameters: str) -> Iterator[PullRequest]:
        listed = self._api.pages(f"{self._path}/pulls", sort="created", direction="desc", **parameters)
        return (pull for answer in listed if (pull := self._pull(answer)) is not None)

    def _opened(self, answer: Record) -> PullRequest:
        pull = self._pull(answer)
        if pull is None:
            raise HostError("GitHub opened another pull request than the one asked for", where=self.slug)
        return pull

    def _pull(self, answer: Record) -> PullRequest | None:
        """A pull request; None if it is from a fork, or into another branch than the default one."""
        head, base = answer.record("head"), answer.record("base")
        source = head.optional("repo")  # a fork that is gone has none
        author = account(answer.optional("user"))
        if (
            source is None
            or not _same(source.text("full_name"), self.slug)
            or base.text("ref") != base.record("repo").text("default_branch")
        ):
            return None
        return PullRequest(
            number=answer.number("number"),
            url=answer.text("html_url"),
            branch=head.text("ref"),
            head=head.commit("sha"),
            open=answer.text("state") == "open",
            merged=answer.has("merged_at"),
            author=author or Account("ghost", 0),
            title=answer.text("title", default=""),
            labels=tuple(label.text("name") for label in answer.records("labels")),
            requested=tuple(person.text("login") for person in answer.records("requested_reviewers")),
        )

    def _is_ours(self, written: Record) -> bool:
        author = written.optional("user")
        kind = "Bot" if self._own.endswith("[bot]") else "User"
        return (
            author is not None
            and _same(author.text("login"), self._own)
            and author.text("type", default="") == kind
        )

    def _our_comments(self, number: int, mark: str) -> tuple[Record, ...]:
        listed = self._api.pages(f"{self._path}/issues/{number}/comments")
        return tuple(
            there
            for there in listed
            if self._is_ours(there) and there.text("body", default="").startswith(mark)
        )

    def _our_issues(self, mark: str) -> tuple[Record, ...]:
        listed = self._api.pages(f"{self._path}/issues", state="open", sort="created", direction="asc")
        return tuple(
            there
            for there in listed
            if not there.has("pull_request")
            and self._is_ours(there)
            and there.text("body", default="").startswith(mark)
        )

    def _issue(self, issue: Record) -> str:
        return f"{self._path}/issues/{issue.number('number')}"

    def _reviewed(self, path: str, head: str) -> frozenset[str]:
        listed = self._api.pages(f"{path}/reviews")
        submitted = (
            review.optional("user")
            for review in listed
            if review.text("commit_id", default="") == head and review.text("state") != "PENDING"
        )
        return _logins(author for author in submitted if author is not None)

    def _request(self, path: str, login: str) -> None:
        def happened() -> bool | None:
            asked = _logins(self._api.get(path).records("requested_reviewers"))
            return login.casefold() in asked or None

        self._api.write(
            "POST",
            f"{path}/requested_reviewers",
            {"reviewers": [login]},
            read=lambda _: True,
            happened=happened,
        )

    def _workflow(self, workflow: str) -> str:
        return f"{self._path}/actions/workflows/{quote(workflow, safe='')}"


def _same(login: str, other: str) -> bool:
    return login.casefold() == other.casefold()


def _same_text(there: str, wanted: str) -> bool:
    """Whether two texts differ in no more than what a web form does to line ends."""
    return there.replace("\r\n", "\n").rstrip() == wanted.replace("\r\n", "\n").rstrip()


def _logins(people: Iterator[Record] | Sequence[Record]) -> frozenset[str]:
    return frozenset(person.text("login").casefold() for person in people)


def _status(answer: Record) -> Status:
    state = _STATES.get(answer.text("state"), "error")
    return Status(
        state=state,
        description=answer.text("description", default=""),
        url=answer.text("target_url", default=""),
    )


def _push(entry: Record, branch: str) -> Push:
    return Push(
        branch=branch,
        before=entry.commit("before"),
        after=entry.commit("after"),
        actor=account(entry.optional("actor")),
        when=entry.moment("timestamp"),
    )


def _run(run: Record) -> WorkflowRun:
    started = "run_started_at" if run.has("run_started_at") else "created_at"
    return WorkflowRun(
        id=run.number("id"),
        url=run.text("html_url"),
        conclusion=run.text("conclusion") if run.has("conclusion") else None,
        event=run.text("event"),
        started=run.moment(started),
    )
