"""The job ``collect``: signatures that people posted in reviews become signature commits (DESIGN section 4).

Every run reads all reviews of all open events anew, so a run that was replaced, died or came late loses
nothing, and a review that was edited or taken back counts as it reads now.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from keyturn.errors import ExitCode, KeyturnError, NothingToDo, RefusedError
from keyturn.flow.checking_events import EventsChecked, Failure, check_events
from keyturn.flow.context import Context, Loaded, load_event, trusting_main
from keyturn.flow.provenance import REVIEW_TRAILER
from keyturn.flow.reviewing import Offer, Refusal, judge_reviews, permit
from keyturn.flow.signing import deliver
from keyturn.forge import EVENT_PREFIX
from keyturn.forge.host import Account, Host, PullRequest, Review
from keyturn.git import Identity

_ADDRESS = re.compile(r"https?://[!-~]{1,500}", re.ASCII)
_ACCOUNT = re.compile(r"[A-Za-z0-9-]{1,64}(?:\[bot\])?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Taken:
    """A signature that was committed from a review.

    Args:
        topic: Topic of the event.
        role: Role name.
        version: Version signed.
        owner: Whose key it is.
        commit: The commit that added it.
        review: The review.
        by_login: Whether the reviewer was recognised by login alone, since no numeric id is signed.
    """

    topic: str
    role: str
    version: int
    owner: str
    commit: str
    review: Review
    by_login: bool


@dataclass(frozen=True, slots=True)
class Refused:
    """A review whose signature was not taken.

    Args:
        topic: Topic of the event.
        refusal: Which review, why, and what to do.
    """

    topic: str
    refusal: Refusal


@dataclass(frozen=True, slots=True)
class Collected:
    """What a run found in the reviews.

    Args:
        taken: Signatures that were committed.
        refused: Reviews whose signatures were not.
        failures: Events that could not be looked at.
        checked: The events concerned, as they stand now; None if no review has anything to say.
    """

    taken: tuple[Taken, ...] = ()
    refused: tuple[Refused, ...] = ()
    failures: tuple[Failure, ...] = ()
    checked: EventsChecked | None = None

    @property
    def nothing(self) -> bool:
        """Whether there was nothing new to commit."""
        return not self.taken and not self.failures

    @property
    def exit_code(self) -> ExitCode:
        """Nothing to do is told apart from done, and both from something that failed."""
        if self.failures or (self.checked and self.checked.failures):
            return ExitCode.ENVIRONMENT
        return ExitCode.NOTHING if self.nothing else ExitCode.DONE

    def require_whole(self) -> None:
        """Fail at the end of a job in which something failed.

        Raises:
            EnvironmentFault: An event could not be looked at (reason ``check-failed``).
        """
        EventsChecked(failures=self.failures).require_whole()
        if self.checked:
            self.checked.require_whole()


def collect(
    context: Context, host: Host, *, run_url: str, topics: Collection[str] | None = None
) -> Collected:
    """Commit every signature that stands in a review of an open event and may be taken.

    Args:
        context: Where; without a root digest main's own root 1 is trusted.
        host: The code host.
        run_url: Page of this run.
        topics: Events to look at; all open ones if None.

    Raises:
        GitError: The remote cannot be read.
        HostError: The host does not list its pull requests.
    """
    context.forge.refresh()
    context = trusting_main(context)
    taken: list[Taken] = []
    refused: list[Refused] = []
    failures: list[Failure] = []
    signed: set[str] = set()
    for pull in host.pull_requests():
        topic = pull.branch.removeprefix(EVENT_PREFIX)
        wanted = topics is None or topic in topics
        if not wanted or context.forge.event(topic) is None or context.forge.is_merged(topic):
            continue
        try:
            if _event(context, host, pull, taken, refused):
                signed.add(topic)
        except KeyturnError as error:
            failures.append(Failure(topic, error))
    # Also events that signatures were taken for before: a run may have died between its push and the check.
    touched = {one.topic for one in taken} | {one.topic for one in refused} | signed
    checked = check_events(context, host, run_url=run_url, topics=touched) if touched else None
    return Collected(tuple(taken), tuple(refused), tuple(failures), checked)


def _event(
    context: Context, host: Host, pull: PullRequest, taken: list[Taken], refused: list[Refused]
) -> bool:
    """Take what may be taken; tells whether signatures of reviews were there already."""
    topic = pull.branch.removeprefix(EVENT_PREFIX)
    reviewed = judge_reviews(load_event(context, topic), host.reviews(pull.number))
    refused += [Refused(topic, refusal) for refusal in reviewed.refusals]
    for offer in reviewed.offers:
        try:
            taken.append(_take(context, topic, offer))
        except NothingToDo:
            continue
        except RefusedError as error:
            # The event changed after the review was judged.
            refused.append(Refused(topic, Refusal(offer.review, error.reason, error.what, error.todo)))
    return bool(reviewed.taken)


def _take(context: Context, topic: str, offer: Offer) -> Taken:
    review, block = offer.review, offer.block

    def allowed(loaded: Loaded) -> None:
        permit(loaded, review, block)

    trailers = [f"{REVIEW_TRAILER}: {review.url}"] if _ADDRESS.fullmatch(review.url) else []
    delivered = deliver(context, topic, block, author_of(review.author), trailers=trailers, permit=allowed)
    return Taken(
        topic=topic,
        role=delivered.role,
        version=delivered.version,
        owner=delivered.owner,
        commit=delivered.commit,
        review=review,
        by_login=offer.by_login,
    )


def author_of(account: Account) -> Identity:
    """The author of a commit that a person asked for by a review, so that the host shows their account."""
    login = account.login if _ACCOUNT.fullmatch(account.login) else "user"
    return Identity(login, f"{account.id}+{login}@users.noreply.github.com")
