"""A code host in memory, for tests of what is done with one; tests fill and read its public lists.

It keeps the promises of :class:`keyturn.forge.host.Host`, and refuses what GitHub refuses: a second pull
request of a branch, reviewers who are no collaborators, two assets of one name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path

from keyturn.forge import EVENT_PREFIX
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
    WorkflowRun,
)

BOT = Account("github-actions[bot]", 41898282)
START = datetime(2026, 1, 1, tzinfo=timezone.utc)


@dataclass
class Comment:
    """A comment of a pull request or issue."""

    number: int
    author: Account
    body: str


@dataclass
class Issue:
    """An issue; pull requests are not in this list."""

    number: int
    author: Account
    title: str
    body: str
    open: bool = True


@dataclass
class FakeHost:
    """A repository on a host that exists in memory only.

    Args:
        tip: Tells the tip of a branch now, None if there is no such branch.
        merged: Tells whether a commit is part of the default branch.
        slug: ``owner/repository``.
        own: Who we are there.
        accounts: Everybody who has an account.
        collaborators: Logins of those who can be asked for a review.
    """

    tip: Callable[[str], str | None]
    merged: Callable[[str], bool] = lambda _: False
    slug: str = "alice/updates"
    own: Account = BOT
    accounts: list[Account] = field(default_factory=list)
    collaborators: Collection[str] = ()
    pulls: list[PullRequest] = field(default_factory=list)
    comments: list[Comment] = field(default_factory=list)
    statuses: list[tuple[str, str, Status]] = field(default_factory=list)
    """Commit, context, status; oldest first."""
    reviewed: dict[int, list[Review]] = field(default_factory=dict)
    issues: list[Issue] = field(default_factory=list)
    hosted: list[HostedRelease] = field(default_factory=list)
    """Oldest first."""
    contents: dict[int, bytes] = field(default_factory=dict)
    """What the assets hold, by their id."""
    pushes: list[Push] = field(default_factory=list)
    """Oldest first."""
    workflow_runs: dict[str, list[WorkflowRun]] = field(default_factory=dict)
    """By workflow file name, oldest first."""
    bundles: dict[str, list[Mapping[str, object]]] = field(default_factory=dict)
    """Attestations by SHA-256."""
    dispatched: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    kept_enabled: list[str] = field(default_factory=list)
    writes: list[str] = field(default_factory=list)
    """Names of the methods that changed something, in turn; empty after a run that had nothing to do."""
    broken: dict[str, HostError] = field(default_factory=dict)
    """What a method raises, by its name, instead of doing anything."""

    @property
    def url(self) -> str:
        return f"https://github.example/{self.slug}"

    def account(self, login: str) -> Account | None:
        self._enter("account")
        return next((known for known in self.accounts if _same(known.login, login)), None)

    def pull_request(self, branch: str) -> PullRequest | None:
        self._enter("pull_request")
        return self._open(branch)

    def pull_requests(self, *, open_only: bool = True) -> tuple[PullRequest, ...]:
        self._enter("pull_requests")
        current = [self._now(pull) for pull in self.pulls if pull.branch.startswith(EVENT_PREFIX)]
        return tuple(pull for pull in reversed(current) if pull.open or not open_only)

    def numbered(self, number: int) -> PullRequest | None:
        self._enter("numbered")
        return next((self._now(pull) for pull in self.pulls if pull.number == number), None)

    def open_pull_request(self, branch: str, title: str, body: str) -> PullRequest:
        self._enter("open_pull_request")
        if (there := self._open(branch)) is not None:
            return there
        head = self.tip(branch)
        if head is None:
            raise HostError(f"there is no branch {branch}", where=self.slug)
        number = self._next_number()
        made = PullRequest(
            number=number,
            url=f"{self.url}/pull/{number}",
            branch=branch,
            head=head,
            open=True,
            merged=False,
            author=self.own,
            title=title,
        )
        self.pulls.append(made)
        self._wrote("open_pull_request")
        return made

    def close(self, number: int) -> None:
        """What a person does with the button below a pull request."""
        self._replace(replace(self._pull(number), open=False))

    def keep_comment(self, number: int, mark: str, body: str) -> None:
        self._enter("keep_comment")
        text = f"{mark}\n{body}"
        ours = [
            comment
            for comment in self.comments
            if comment.number == number and comment.author == self.own and comment.body.startswith(mark)
        ]
        if [comment.body for comment in ours] == [text]:
            return
        for extra in ours[1:]:
            self.comments.remove(extra)
        if ours:
            ours[0].body = text
        else:
            self.comments.append(Comment(number, self.own, text))
        self._wrote("keep_comment")

    def status(self, commit: str, context: str = CHECK) -> Status | None:
        self._enter("status")
        return self._newest(commit, context)

    def set_status(self, commit: str, status: Status, context: str = CHECK) -> None:
        self._enter("set_status")
        if len(status.description) > 140:
            raise HostError("description is too long (maximum is 140 characters)", where=self.slug)
        if self._newest(commit, context) != status:
            self.statuses.append((commit, context, status))
            self._wrote("set_status")

    def request_reviewers(self, number: int, logins: Sequence[str]) -> tuple[str, ...]:
        self._enter("request_reviewers")
        refused = []
        for login in logins:
            pull = self._pull(number)
            known = any(_same(login, other) for other in self.collaborators)
            if not known or _same(login, pull.author.login):
                refused.append(login)
            elif not any(_same(login, other) for other in (*pull.requested, *self._answered(pull))):
                self._replace(replace(pull, requested=(*pull.requested, login)))
                self._wrote("request_reviewers")
        return tuple(refused)

    def set_labels(self, number: int, add: Sequence[str], remove: Sequence[str] = ()) -> None:
        self._enter("set_labels")
        before = self._pull(number).labels
        kept = [name for name in before if name not in remove]
        after = (*kept, *(name for name in add if name not in kept))
        if after != before:
            self._replace(replace(self._pull(number), labels=after))
            self._wrote("set_labels")

    def reviews(self, number: int) -> tuple[Review, ...]:
        self._enter("reviews")
        return tuple(self.reviewed.get(number, ()))

    def review(
        self,
        number: int,
        author: Account,
        body: str,
        *,
        state: str = "COMMENTED",
        editor: Account | None = None,
        commit: str | None = None,
    ) -> Review:
        """What a person submits; it takes back the request for it, as on GitHub."""
        pull = self._pull(number)
        identity = 1000 + sum(len(submitted) for submitted in self.reviewed.values())
        made = Review(
            id=identity,
            url=f"{pull.url}#pullrequestreview-{identity}",
            author=author,
            body=body,
            state=state,
            commit=commit or pull.head,
            submitted=START,
            editor=editor,
            edited=START if editor else None,
        )
        self.reviewed.setdefault(number, []).append(made)
        still = tuple(login for login in pull.requested if not _same(login, author.login))
        self._replace(replace(pull, requested=still))
        return made

    def activity(self, branch: str) -> tuple[Push, ...]:
        self._enter("activity")
        return tuple(push for push in reversed(self.pushes) if push.branch == branch)

    def keep_issue(self, mark: str, title: str, body: str | None) -> int | None:
        self._enter("keep_issue")
        ours = [
            issue
            for issue in self.issues
            if issue.open and issue.author == self.own and issue.body.startswith(mark)
        ]
        for extra in ours if body is None else ours[1:]:
            extra.open = False
            self._wrote("keep_issue")
        if body is None:
            return None
        text = f"{mark}\n{body}"
        if not ours:
            ours = [Issue(self._next_number(), self.own, title, text)]
            self.issues += ours
            self._wrote("keep_issue")
        elif (ours[0].title, ours[0].body) != (title, text):
            ours[0].title, ours[0].body = title, text
            self._wrote("keep_issue")
        return ours[0].number

    def releases(self) -> tuple[HostedRelease, ...]:
        self._enter("releases")
        return tuple(reversed(self.hosted))

    def create_release(self, tag: str, title: str, body: str, *, target: str) -> HostedRelease:
        self._enter("create_release")
        for there in self.hosted:
            if there.tag == tag:
                return there
        made = HostedRelease(
            id=self._next_id(),
            tag=tag,
            title=title,
            body=body,
            draft=True,
            prerelease=False,
            url=f"{self.url}/releases/tag/{tag}",
            created=START,
        )
        self.hosted.append(made)
        self._wrote("create_release")
        return made

    def edit_release(
        self,
        release: HostedRelease,
        *,
        title: str | None = None,
        body: str | None = None,
        draft: bool | None = None,
        prerelease: bool | None = None,
    ) -> HostedRelease:
        self._enter("edit_release")
        there = self._release(release.id)
        edited = replace(
            there,
            title=there.title if title is None else title,
            body=there.body if body is None else body,
            draft=there.draft if draft is None else draft,
            prerelease=there.prerelease if prerelease is None else prerelease,
        )
        if edited != there:
            self.hosted[self.hosted.index(there)] = edited
            self._wrote("edit_release")
        return edited

    def delete_release(self, release: HostedRelease) -> None:
        self._enter("delete_release")
        self.hosted = [there for there in self.hosted if there.id != release.id]
        self._wrote("delete_release")

    def upload(self, release: HostedRelease, name: str, file: Path) -> Asset:
        self._enter("upload")
        there = self._release(release.id)
        content = file.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        others = [asset for asset in there.assets if asset.name != name]
        for asset in there.assets:
            if asset.name == name and asset.uploaded:
                if asset.digest == digest:
                    return asset
                raise HostError("another file of this name is there already", where=name, reason="asset")
        made = Asset(
            id=self._next_id(),
            name=name,
            size=len(content),
            digest=digest,
            url=f"{self.url}/releases/download/{release.tag}/{name}",
        )
        self.contents[made.id] = content
        self.hosted[self.hosted.index(there)] = replace(there, assets=(*others, made))
        self._wrote("upload")
        return made

    def delete_asset(self, asset: Asset) -> None:
        self._enter("delete_asset")
        self.hosted = [
            replace(there, assets=tuple(kept for kept in there.assets if kept.id != asset.id))
            for there in self.hosted
        ]
        self._wrote("delete_asset")

    def download(self, asset: Asset, file: Path, *, limit: int) -> None:
        self._enter("download")
        content = self.contents.get(asset.id)
        if content is None:
            raise HostError("there is no such file", where=asset.name)
        if len(content) > limit:
            raise HostError("the file is larger than allowed", where=asset.name, reason="too-large")
        file.write_bytes(content)

    def dispatch(self, workflow: str, inputs: Mapping[str, str] | None = None) -> None:
        self._enter("dispatch")
        self.dispatched.append((workflow, dict(inputs or {})))
        self._wrote("dispatch")

    def runs(self, workflow: str) -> tuple[WorkflowRun, ...]:
        self._enter("runs")
        return tuple(reversed(self.workflow_runs.get(workflow, ())))

    def keep_enabled(self, workflow: str) -> None:
        self._enter("keep_enabled")
        self.kept_enabled.append(workflow)

    def attestations(self, sha256: str) -> tuple[Mapping[str, object], ...]:
        self._enter("attestations")
        return tuple(self.bundles.get(sha256, ()))

    def _enter(self, method: str) -> None:
        if method in self.broken:
            raise self.broken[method]

    def _wrote(self, method: str) -> None:
        self.writes.append(method)

    def _newest(self, commit: str, context: str) -> Status | None:
        found = [put for at, name, put in self.statuses if (at, name) == (commit, context)]
        return found[-1] if found else None

    def _open(self, branch: str) -> PullRequest | None:
        current = (self._now(pull) for pull in reversed(self.pulls) if pull.branch == branch)
        return next((pull for pull in current if pull.open), None)

    def _now(self, pull: PullRequest) -> PullRequest:
        """An open pull request follows its branch, and ends when the branch is merged or gone."""
        if not pull.open:
            return pull
        head = self.tip(pull.branch)
        if head is None:
            return replace(pull, open=False)
        merged = self.merged(head)
        return replace(pull, head=head, open=not merged, merged=merged)

    def _pull(self, number: int) -> PullRequest:
        found = next((self._now(pull) for pull in self.pulls if pull.number == number), None)
        if found is None:
            raise HostError(f"there is no pull request {number}", where=self.slug)
        return found

    def _replace(self, pull: PullRequest) -> None:
        self.pulls = [pull if pull.number == there.number else there for there in self.pulls]

    def _answered(self, pull: PullRequest) -> list[str]:
        submitted = self.reviewed.get(pull.number, ())
        return [review.author.login for review in submitted if review.commit == pull.head]

    def _release(self, identity: int) -> HostedRelease:
        found = next((there for there in self.hosted if there.id == identity), None)
        if found is None:
            raise HostError("there is no such release", where=self.slug)
        return found

    def _next_number(self) -> int:
        used = [pull.number for pull in self.pulls] + [issue.number for issue in self.issues]
        return max(used, default=0) + 1

    def _next_id(self) -> int:
        used = [there.id for there in self.hosted]
        used += [asset.id for there in self.hosted for asset in there.assets]
        return max([*used, *self.contents], default=0) + 1


def _same(login: str, other: str) -> bool:
    return login.casefold() == other.casefold()
