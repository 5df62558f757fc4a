"""The job ``signing-event``: every open event has one pull request that says how it stands.

It is a reconciliation (DESIGN section 4): whatever woke it, it reads ``main``, the branches ``sign/*`` and
their pull requests, and writes what is missing; a second run writes nothing. Nothing that it posts is a wall:
who can write to the repository can forge it. The walls are the signers' own tool, ``publish`` and the client.

An event whose newest pull request was closed by a person stays closed while its branch stays as it is. Its
signatures burn their versions as long as the branch is there. A branch that has no pull request yet, whose
last one was merged, or that moved on after its last one was closed, gets a new one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

from keyturn.errors import EnvironmentFault, ExitCode, KeyturnError
from keyturn.flow import comment
from keyturn.flow.comment import EventView
from keyturn.flow.context import Context, Loaded, load_event, trusting_main
from keyturn.flow.events import status_of
from keyturn.flow.markdown import advice, bounded, code
from keyturn.flow.overlapping import Overlap, overlaps
from keyturn.flow.provenance import left_behind, pusher_warnings, signature_marks
from keyturn.flow.reviewing import judge_reviews
from keyturn.forge import EVENT_PREFIX
from keyturn.forge.host import Host, PullRequest, Review, Status
from keyturn.state import State
from keyturn.verify import EventState

ROUNDS = 3
"""How often events are judged that move while they are judged; what moves after that wakes the next run."""
_MOST_MARKS = 200
_MOST_SUMMARY = 500_000


@dataclass(frozen=True, slots=True)
class EventChecked:
    """An open event as it stands.

    Args:
        view: What is said about it.
        head: The commit that was judged.
        pull: Its pull request; None if the host cannot have one for this branch.
        text: The sticky comment.
    """

    view: EventView
    head: str
    pull: PullRequest | None
    text: str

    @property
    def topic(self) -> str:
        """Topic of the event."""
        return self.view.status.topic

    @property
    def state(self) -> EventState:
        """State of the event."""
        return self.view.status.state

    @property
    def missing(self) -> tuple[str, ...]:
        """Who may still sign, or has to join."""
        return self.view.missing


@dataclass(frozen=True, slots=True)
class Failure:
    """An event that could not be checked, or told about.

    Args:
        topic: Topic of the event.
        error: What was in the way.
    """

    topic: str
    error: KeyturnError


@dataclass(frozen=True, slots=True)
class EventsChecked:
    """What a run made of the open events.

    Args:
        events: Every event that was checked, by topic.
        closed: Topics of events that a person closed.
        failures: Events that could not be checked.
        vouches_for_itself: Whether no root digest was given, so that main's own was taken.
    """

    events: tuple[EventChecked, ...] = ()
    closed: tuple[str, ...] = ()
    failures: tuple[Failure, ...] = ()
    vouches_for_itself: bool = False

    def event(self, topic: str) -> EventChecked | None:
        """One of the events."""
        return next((event for event in self.events if event.topic == topic), None)

    @property
    def exit_code(self) -> ExitCode:
        """Nothing to do without open events; else done: how an event stands is what its status tells."""
        if self.failures:
            return ExitCode.ENVIRONMENT
        return ExitCode.DONE if self.events else ExitCode.NOTHING

    def require_whole(self) -> None:
        """Fail at the end of a job in which something failed.

        Raises:
            EnvironmentFault: An event could not be checked (reason ``check-failed``).
        """
        if self.failures:
            first = self.failures[0]
            names = ", ".join(EVENT_PREFIX + failure.topic for failure in self.failures)
            raise EnvironmentFault(
                f"{first.error}", where=names, todo=first.error.todo, reason="check-failed"
            ) from first.error

    @property
    def summary(self) -> str:
        """The job summary, Markdown."""
        parts = []
        for failure in self.failures:
            where = f"{code(failure.error.where)}: " if failure.error.where else ""
            parts.append(
                f"### Keyturn: {code(EVENT_PREFIX + failure.topic)} could **not be checked**\n\n"
                f"{where}{advice(failure.error.what)}. {advice(failure.error.todo)}\n"
            )
        parts += [event.text for event in self.events]
        if self.closed:
            names = ", ".join(code(EVENT_PREFIX + topic) for topic in self.closed)
            parts.append(
                f"Closed, and left alone: {names}. What people signed there burns its versions "
                "as long as the branches are there.\n"
            )
        if not self.events and not self.failures:
            parts.append("There is no open signing event.\n")
        if self.vouches_for_itself:
            parts.append(
                "No root digest is given (`KEYTURN_ROOT`), so the repository vouches for itself here. "
                "Signers and `publish` go by the digest that they hold.\n"
            )
        return bounded("\n".join(parts), _MOST_SUMMARY, "**Cut here.** The pull requests show all.")


@dataclass(frozen=True, slots=True)
class _Judged:
    """One event as it was read and judged, before anything is written."""

    head: str
    view: EventView


def check_events(
    context: Context, host: Host, *, run_url: str, topics: Collection[str] | None = None
) -> EventsChecked:
    """Judge the open events and make their pull requests say so.

    Each gets exactly one open pull request, one comment, one commit status on the commit that was judged
    (success only when it is ready), one label for its state, and requests for the missing signers' reviews.
    What fails for one event leaves the others alone: its status becomes ``error``.

    Args:
        context: Where; without a root digest main's own root 1 is trusted.
        host: The code host.
        run_url: Page of this run, to which the status of a failed check leads.
        topics: Events that were touched; they and those that overlap with them are checked. All if None.

    Raises:
        GitError: The remote cannot be read.
        HostError: The host does not list its pull requests.
    """
    return _Check(context, host, run_url).run(topics)


class _Check:
    """One run, and what it knows already."""

    def __init__(self, context: Context, host: Host, run_url: str) -> None:
        self._context = context
        self._host = host
        self._run_url = run_url
        self._pulls: dict[str, PullRequest] = {}
        self._failures: dict[str, Failure] = {}
        self._done: dict[str, EventChecked] = {}
        self._closed: set[str] = set()
        self._vouches = False

    def run(self, topics: Collection[str] | None) -> EventsChecked:
        forge = self._context.forge
        seen: tuple[str | None, dict[str, str]] = (None, {})
        for turn in range(ROUNDS):
            forge.refresh()
            now = (forge.main(), dict(forge.events()))
            if turn and now == seen:
                break
            stale = None if not turn or now[0] != seen[0] else _moved(seen[1], now[1])
            self._round(topics if stale is None else stale if topics is None else {*topics} & stale)
            seen = now
        return EventsChecked(
            events=tuple(self._done[topic] for topic in sorted(self._done)),
            closed=tuple(sorted(self._closed)),
            failures=tuple(self._failures[topic] for topic in sorted(self._failures)),
            vouches_for_itself=self._vouches,
        )

    def _round(self, topics: Collection[str] | None) -> None:
        trusting = trusting_main(self._context)
        self._vouches = trusting is not self._context
        open_topics = self._open_topics()
        loaded: dict[str, Loaded] = {}
        for topic in open_topics:
            self._guarded(topic, partial(self._load, trusting, loaded, topic))
        others = overlaps(trusting, loaded)
        wanted = open_topics if topics is None else _with_neighbours(topics, others)
        judged: dict[str, _Judged] = {}
        for topic in open_topics:
            if topic in loaded and topic in wanted:
                self._guarded(topic, partial(self._judge, loaded[topic], judged))
        # Only now has each its pull request, to which the comments of the others lead.
        for topic, event in judged.items():
            self._guarded(topic, partial(self._tell, event, others.get(topic, ())))

    @staticmethod
    def _load(context: Context, loaded: dict[str, Loaded], topic: str) -> None:
        loaded[topic] = load_event(context, topic)

    def _open_topics(self) -> tuple[str, ...]:
        """Events that are neither merged nor closed by a person."""
        forge = self._context.forge
        self._pulls = {pull.branch.removeprefix(EVENT_PREFIX): pull for pull in self._host.pull_requests()}
        events = {
            topic: tip
            for topic, tip in forge.events().items()
            if topic in self._pulls or not forge.is_merged(topic)
        }
        last: dict[str, PullRequest] = {}
        if events.keys() - self._pulls.keys():
            for pull in self._host.pull_requests(open_only=False):
                last.setdefault(pull.branch.removeprefix(EVENT_PREFIX), pull)
        self._closed = {
            topic
            for topic, tip in events.items()
            if topic not in self._pulls
            and (before := last.get(topic)) is not None
            and not before.merged
            and before.head == tip
        }
        gone = (self._done.keys() | self._failures.keys()) - events.keys()
        for topic in gone:
            self._done.pop(topic, None)
            self._failures.pop(topic, None)
        return tuple(topic for topic in events if topic not in self._closed)

    def _guarded(self, topic: str, step: Callable[[], object]) -> None:
        """One event's step: what fails, even by a mistake of ours, leaves an error on it and not silence."""
        failure: KeyturnError | None = None
        whole = False
        try:
            step()
            whole = True
        except KeyturnError as error:
            failure = error
        finally:
            if not whole:
                self._post_error(topic, failure)
        if failure is None:
            self._failures.pop(topic, None)
        else:
            self._failures[topic] = Failure(topic, failure)
            self._done.pop(topic, None)

    def _post_error(self, topic: str, failure: KeyturnError | None) -> None:
        head = self._context.forge.event(topic)
        if head is None:
            return
        line = comment.failed_line(failure)
        # That the host does not take this either is no news: the job fails all the same.
        with suppress(KeyturnError):
            newest = self._host.status(head)
            if newest is None or (newest.state, newest.description) != ("error", line):
                self._host.set_status(head, Status("error", line, self._run_url))

    def _linked(self, others: Sequence[Overlap]) -> tuple[Overlap, ...]:
        urls = {topic: pull.url for topic, pull in self._pulls.items()}
        return tuple(replace(other, url=urls.get(other.topic, "")) for other in others)

    def _judge(self, loaded: Loaded, judged: dict[str, _Judged]) -> None:
        topic = loaded.topic
        head = self._context.forge.event(topic) or ""
        view = EventView(loaded=loaded, status=status_of(loaded, before_signing=True))
        pull = self._pulls.get(topic) or self._open_pull(view)
        if pull is not None:
            self._pulls[topic] = pull
        judged[topic] = _Judged(head=head, view=view)

    def _tell(self, judged: _Judged, others: tuple[Overlap, ...]) -> None:
        head, view = judged.head, replace(judged.view, overlaps=self._linked(others))
        topic = view.status.topic
        pull = self._pulls.get(topic)
        if pull is not None:
            reviews = self._host.reviews(pull.number)
            view = replace(view, address=pull.url, reviewed=judge_reviews(view.loaded, reviews))
            view = replace(view, unrequested=self._request(view, pull, reviews))
        view = self._history(view)
        text = comment.render_event(view)
        if pull is not None:
            self._host.keep_comment(pull.number, comment.MARK, text)
            self._label(pull, view.status.state)
        if view.status.state is not EventState.MERGED:
            line = comment.status_line(view.status)
            url = pull.url if pull else ""
            self._host.set_status(head, Status(comment.state_of(view.status), line, url))
        self._done[topic] = EventChecked(view=view, head=head, pull=pull, text=text)

    def _open_pull(self, view: EventView) -> PullRequest | None:
        """Open a pull request where there can be one: not for a history that shares nothing with main."""
        forge, topic = self._context.forge, view.status.topic
        if forge.base(topic) is None or not _is_text(topic) or view.loaded.merged:
            return None
        return self._host.open_pull_request(EVENT_PREFIX + topic, comment.title(view.status), comment.OPENING)

    def _label(self, pull: PullRequest, state: EventState) -> None:
        add = (comment.LABEL, comment.label(state))
        remove = [
            comment.label(other)
            for other in EventState
            if other is not state and comment.label(other) in pull.labels
        ]
        if remove or not set(add) <= set(pull.labels):
            self._host.set_labels(pull.number, add, remove)

    def _request(self, view: EventView, pull: PullRequest, reviews: Sequence[Review]) -> tuple[str, ...]:
        """Ask the missing signers one by one; those who answered on this very payload are not asked again."""
        if view.status.state not in (EventState.PENDING, EventState.INCOMPLETE):
            return ()
        asked = {login.lower() for login in pull.requested}
        answered = {
            review.author.login.lower() for review in reviews if self._same_payloads(view, review.commit)
        }
        wanted = [
            login
            for login in _people(view.missing)
            if login.lower() not in asked and login.lower() not in answered
        ]
        return self._host.request_reviewers(pull.number, wanted) if wanted else ()

    def _same_payloads(self, view: EventView, commit: str) -> bool:
        forge = self._context.forge
        if not forge.contains(view.loaded.name, commit):
            return False
        state = State(forge.tree(commit))
        proposed = view.loaded.event.proposed
        return all((file := state.role(f.role)) is not None and file.digest == f.digest for f in proposed)

    def _history(self, view: EventView) -> EventView:
        """With what the commits of the event tell."""
        forge, loaded = self._context.forge, view.loaded
        commits = forge.history(loaded.name, forge.branch)
        marks = signature_marks(commits)[:_MOST_MARKS]
        signed = any(count.signed for role in view.status.report.roles for count in role.counts)
        if loaded.merged or not (marks or signed):
            return view
        # What is no text cannot be asked for.
        pushes = self._host.activity(loaded.name) if _is_text(loaded.topic) else ()
        return replace(
            view,
            warnings=pusher_warnings(forge, loaded, commits, pushes, view.reviewed),
            left_behind=left_behind(forge, loaded, marks),
        )


def _moved(before: Mapping[str, str], after: Mapping[str, str]) -> set[str]:
    return {topic for topic in {*before, *after} if before.get(topic) != after.get(topic)}


def _is_text(topic: str) -> bool:
    """Whether a branch name can be sent to a host at all."""
    try:
        topic.encode()
    except UnicodeEncodeError:
        return False
    return True


def _people(names: Sequence[str]) -> tuple[str, ...]:
    """Those that are logins, out of what metadata and policy call an owner."""
    return tuple(name for name in names if comment.LOGIN_NAME.fullmatch(name) and name.lower() != "online")


def _with_neighbours(topics: Collection[str], others: Mapping[str, Sequence[Overlap]]) -> set[str]:
    near = {other.topic for topic in topics for other in others.get(topic, ())}
    return {*topics, *near}
