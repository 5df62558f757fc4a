"""What ``main`` and the calendar ask for, as signing events: a changed policy, renewals, edited target files.

Whatever woke the job, it reads what is there and proposes what is missing; releases of the code host that an
event was closed over are taken away. All of it is independent of each other: one that fails does not stop the
others.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from keyturn import propose
from keyturn.errors import ExitCode, KeyturnError, NothingToDo, PendingError
from keyturn.flow import changing, proposing
from keyturn.flow.changing import POLICY_TOPIC, is_renewal
from keyturn.flow.checking_events import EventsChecked, check_events
from keyturn.flow.closed_events import closed_topics
from keyturn.flow.context import Context, load_event
from keyturn.flow.proposing import Proposed
from keyturn.flow.tending import Tended, tend
from keyturn.forge.host import Host
from keyturn.state import State
from keyturn.verify import EventState

TARGETS_TOPIC = "targets"
_UNTENDED = Tended((), ())


@dataclass(frozen=True, slots=True)
class Part:
    """What became of one thing that may be due.

    Args:
        name: ``policy``, ``renewal``, ``targets`` or ``releases``.
        proposed: What was proposed.
        waiting: Whose keys it waits for, a sentence; empty if for nobody's.
        error: Why it could not be proposed; None if it could, or if nothing is due.
        tended: What was done to releases of the code host.
    """

    name: str
    proposed: tuple[Proposed, ...] = ()
    waiting: str = ""
    error: KeyturnError | None = None
    tended: Tended = _UNTENDED

    @property
    def nothing(self) -> bool:
        """Whether there was nothing to propose."""
        done = self.proposed or self.tended.settled or self.tended.swept
        return not done and not self.waiting and self.error is None


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What ``propose_what_is_due`` did.

    Args:
        parts: Policy, renewals, target files and releases of the code host, in this order.
        checked: What became of their pull requests; None if no such event is open.
    """

    parts: tuple[Part, ...]
    checked: EventsChecked | None

    @property
    def proposed(self) -> tuple[Proposed, ...]:
        """Everything that was proposed."""
        return tuple(proposed for part in self.parts for proposed in part.proposed)

    @property
    def errors(self) -> tuple[KeyturnError, ...]:
        """Why parts could not be proposed."""
        return tuple(part.error for part in self.parts if part.error is not None)

    @property
    def exit_code(self) -> ExitCode:
        """The first error's; else pending while keys are missing."""
        if self.errors:
            return self.errors[0].exit_code
        if self.checked is not None and self.checked.failures:
            return self.checked.exit_code
        return ExitCode.PENDING if any(part.waiting for part in self.parts) else ExitCode.DONE


def propose_what_is_due(context: Context, host: Host, *, run_url: str) -> Reconciled:
    """Propose what policy, calendar and edited target files ask for, and see to their pull requests.

    Args:
        context: Where.
        host: The code host.
        run_url: Page of the run, for statuses.

    Raises:
        NothingToDo: Nothing is due, and what is proposed already has its pull request; or the repository is
            not founded yet (reason ``not-founded``).
        HostError: The host does not answer, or a permission is missing.
        GitError: The remote cannot be read.
    """
    context.forge.refresh()
    if not State(context.forge.tree(context.forge.main())).roots:
        raise NothingToDo("the repository is not founded yet", where=context.forge.url, reason="not-founded")
    parts = (
        _part("policy", lambda: _policy(context)),
        _part("renewal", lambda: _renewals(context, host)),
        _part("targets", lambda: Part("targets", (proposing.follow(context, TARGETS_TOPIC),))),
        _part("releases", lambda: Part("releases", tended=tend(context, host))),
    )
    context.forge.refresh()
    topics = _open_topics(context)
    # Also events that stood before: a run may have died between its push and the pull request.
    checked = check_events(context, host, run_url=run_url, topics=topics) if topics else None
    if all(part.nothing for part in parts) and not (checked and checked.failures):
        raise NothingToDo("nothing is due, or it is proposed already", where=context.forge.url)
    return Reconciled(parts=parts, checked=checked)


def _part(name: str, attempt: Callable[[], Part]) -> Part:
    try:
        return attempt()
    except NothingToDo:
        return Part(name)
    except PendingError as error:
        return Part(name, waiting=f"{error.what}. {error.todo}")
    except KeyturnError as error:
        return Part(name, error=error)


def _policy(context: Context) -> Part:
    made = changing.policy(context)
    names = ", ".join(made.missing)
    waiting = f"The keys of {names} are missing. Each runs `keyturn join {POLICY_TOPIC}`." if names else ""
    return Part("policy", (made.proposed,), waiting)


def _renewals(context: Context, host: Host) -> Part:
    """Renew what is due, but for roles that a sound event of another kind makes anew anyway.

    Two payloads of one version could not both be signed: a signer's ledger refuses the second.
    """
    forge = context.forge
    forge.refresh()
    due = propose.due(State(forge.tree(forge.main())), context.now)
    covered = _covered(context, closed_topics(forge, host)) if due else set()
    roles = [role for role in due if role not in covered]
    if not roles:
        raise NothingToDo("nothing is due for renewal, or it is proposed already", where=forge.url)
    return Part("renewal", changing.renew(context, roles))


def _covered(context: Context, closed: Collection[str]) -> set[str]:
    covered: set[str] = set()
    for topic in context.forge.events():
        if is_renewal(topic) or topic in closed or context.forge.is_merged(topic):
            continue
        report = load_event(context, topic).judge()
        if report.state in (EventState.PENDING, EventState.READY):
            covered |= {role.role for role in report.roles}
    return covered


def _open_topics(context: Context) -> Sequence[str]:
    return [
        topic
        for topic in context.forge.events()
        if (topic in (POLICY_TOPIC, TARGETS_TOPIC) or is_renewal(topic))
        and not context.forge.is_merged(topic)
    ]
