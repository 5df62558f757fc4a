"""What a code host adds to git: pull requests, reviews, statuses, issues, releases; one protocol for it all.

Nothing here decides anything. Everything that a host answers may have been written by anybody: names, titles,
bodies and states are evidence, never verdicts (DESIGN section 4).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal, Protocol

from keyturn.errors import EnvironmentFault

CHECK = "keyturn"
"""Name of the commit status that says what became of a signing event."""
StatusState = Literal["success", "failure", "pending", "error"]


@dataclass(frozen=True, slots=True)
class Account:
    """A person or a bot of the host.

    Args:
        login: Login, as it is called now; it may be renamed and taken by somebody else.
        id: The host's numeric id, which stays.
    """

    login: str
    id: int


@dataclass(frozen=True, slots=True)
class PullRequest:
    """A pull request.

    Args:
        number: Its number.
        url: Its page.
        branch: The branch it comes from, of the same repository.
        head: The commit at the tip of it.
        open: Whether it is open.
        merged: Whether it was merged.
        author: Who opened it.
        title: Its title.
        labels: Names of its labels.
        requested: Logins whose review is requested at the moment.
    """

    number: int
    url: str
    branch: str
    head: str
    open: bool
    merged: bool
    author: Account
    title: str = ""
    labels: tuple[str, ...] = ()
    requested: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Review:
    """A review of a pull request as it reads now.

    Args:
        id: The host's id of it.
        url: Its page.
        author: Who submitted it.
        body: Its text.
        state: ``APPROVED``, ``COMMENTED``, ``CHANGES_REQUESTED`` or ``DISMISSED``.
        commit: The commit that was looked at.
        submitted: When, UTC.
        editor: Who edited the text last; None if nobody did, or the account is gone.
        edited: When, UTC; None if nobody did.
    """

    id: int
    url: str
    author: Account
    body: str
    state: str
    commit: str
    submitted: datetime
    editor: Account | None = None
    edited: datetime | None = None


@dataclass(frozen=True, slots=True)
class Status:
    """The newest commit status of one name.

    Args:
        state: What it says.
        description: One line, at most 140 characters.
        url: Where to read on; empty if nowhere.
    """

    state: StatusState
    description: str
    url: str = ""


@dataclass(frozen=True, slots=True)
class Asset:
    """A file of a release.

    Args:
        id: The host's id of it.
        name: File name.
        size: Length in bytes.
        digest: SHA-256, lower hex, as the host knows it; None if it does not say.
        url: Where it is downloaded.
        uploaded: Whether all of it is there.
    """

    id: int
    name: str
    size: int
    digest: str | None
    url: str
    uploaded: bool = True


@dataclass(frozen=True, slots=True)
class HostedRelease:
    """A release of the host: a tag with files.

    Args:
        id: The host's id of it.
        tag: Its tag.
        title: Its title.
        body: Its notes.
        draft: Whether only those who may write see it.
        prerelease: Whether it is marked as not for everybody.
        url: Its page.
        assets: Its files.
        created: When it was made, UTC; None if the host does not say.
    """

    id: int
    tag: str
    title: str
    body: str
    draft: bool
    prerelease: bool
    url: str
    assets: tuple[Asset, ...] = ()
    created: datetime | None = None


@dataclass(frozen=True, slots=True)
class Push:
    """One change of a branch, as the host's activity log has it.

    Args:
        branch: The branch.
        before: Commit before; zeros if it was created.
        after: Commit after; zeros if it was deleted.
        actor: Who pushed, which the commit itself cannot say; None if the account is gone.
        when: When, UTC.
    """

    branch: str
    before: str
    after: str
    actor: Account | None
    when: datetime


@dataclass(frozen=True, slots=True)
class WorkflowRun:
    """One run of a workflow.

    Args:
        id: The host's id of it.
        url: Its page.
        conclusion: ``success``, ``failure``, ...; None while it runs.
        event: What woke it.
        started: When, UTC.
    """

    id: int
    url: str
    conclusion: str | None
    event: str
    started: datetime


class Host(Protocol):
    """A repository on a code host, without its git half.

    Every method may raise :class:`HostError`. Of its reasons, ``permission`` names the missing permission,
    ``rate-limit`` says when to try again, ``not-found`` is what a private repository says too,
    ``authentication``, ``unreachable``, ``malformed``, ``moved``, ``unprocessable`` (the request makes no
    sense there), ``asset`` and ``too-large`` (about files) say what they mean, and ``host`` is everything
    else. Reading and writing is tried again where that is safe; a write whose answer was lost is looked for
    before it is done again, so that nothing is ever there twice.
    """

    @property
    def slug(self) -> str:
        """``owner/repository``."""

    @property
    def url(self) -> str:
        """The repository's page, without a slash at the end."""

    def account(self, login: str) -> Account | None:
        """The account of a login now; None if there is none."""

    def pull_request(self, branch: str) -> PullRequest | None:
        """The open pull request from a branch of this repository; None if there is none."""

    def pull_requests(self, *, open_only: bool = True) -> tuple[PullRequest, ...]:
        """Pull requests from branches ``sign/*`` of this repository, newest first."""

    def numbered(self, number: int) -> PullRequest | None:
        """A pull request by its number; None if there is none."""

    def open_pull_request(self, branch: str, title: str, body: str) -> PullRequest:
        """Open a pull request into the default branch, or find the one that is open already."""

    def keep_comment(self, number: int, mark: str, body: str) -> None:
        """Have exactly one comment of ours that begins with a mark, with this text; write only if it differs.

        Args:
            number: The pull request or issue.
            mark: An HTML comment, the first line of the body.
            body: The text after it, Markdown.
        """

    def status(self, commit: str, context: str = CHECK) -> Status | None:
        """The newest status of that name on a commit; None if there is none."""

    def set_status(self, commit: str, status: Status, context: str = CHECK) -> None:
        """Put a status on a commit, unless its newest one says the same."""

    def request_reviewers(self, number: int, logins: Sequence[str]) -> tuple[str, ...]:
        """Ask people for a review one by one; who is asked already, or has reviewed the head, is left alone.

        Returns:
            Those who cannot be asked: not collaborators, the author, unknown.
        """

    def set_labels(self, number: int, add: Sequence[str], remove: Sequence[str] = ()) -> None:
        """Add and remove labels; what is so already is left alone."""

    def reviews(self, number: int) -> tuple[Review, ...]:
        """All submitted reviews, oldest first, with who edited them."""

    def activity(self, branch: str) -> tuple[Push, ...]:
        """Changes of a branch, newest first, as far back as the host tells."""

    def keep_issue(self, mark: str, title: str, body: str | None) -> int | None:
        """Have exactly one open issue of ours with a mark, or none.

        Args:
            mark: An HTML comment, the first line of the body.
            title: Title.
            body: Text after the mark, Markdown; None closes the issue.

        Returns:
            Its number; None if there is none open now.
        """

    def releases(self) -> tuple[HostedRelease, ...]:
        """All releases that this token may see, drafts included, newest first."""

    def create_release(self, tag: str, title: str, body: str, *, target: str) -> HostedRelease:
        """Make a draft, or find the one that has this tag already."""

    def edit_release(
        self,
        release: HostedRelease,
        *,
        title: str | None = None,
        body: str | None = None,
        draft: bool | None = None,
        prerelease: bool | None = None,
    ) -> HostedRelease:
        """Change what is not None."""

    def delete_release(self, release: HostedRelease) -> None:
        """Remove a release and its tag."""

    def upload(self, release: HostedRelease, name: str, file: Path) -> Asset:
        """Add a file to a release; a half-uploaded one of that name is removed first, an equal one kept."""

    def delete_asset(self, asset: Asset) -> None:
        """Remove a file of a release."""

    def download(self, asset: Asset, file: Path, *, limit: int) -> None:
        """Fetch a file of a release, also of a draft.

        Args:
            asset: The file.
            file: Where it is written.
            limit: Largest number of bytes that is taken.
        """

    def dispatch(self, workflow: str, inputs: Mapping[str, str] | None = None) -> None:
        """Start a workflow of the default branch.

        Args:
            workflow: File name below ``.github/workflows/``.
            inputs: Its inputs.
        """

    def runs(self, workflow: str) -> tuple[WorkflowRun, ...]:
        """The latest runs of a workflow on the default branch, newest first."""

    def keep_enabled(self, workflow: str) -> None:
        """Switch a workflow on; the days after which schedules are stopped are then counted anew."""

    def attestations(self, sha256: str) -> tuple[Mapping[str, object], ...]:
        """The Sigstore bundles that the host keeps for a file of this repository.

        Args:
            sha256: Digest of the file, lower hex.
        """


class HostError(EnvironmentFault):
    """The code host does not do what was asked; nothing is wrong with the content."""

    default_reason = "host"
