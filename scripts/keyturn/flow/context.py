"""Where a use case runs: the remote, the person's own directory, the time; and an event loaded there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from keyturn.errors import RefusedError, UsageError
from keyturn.flow.elsewhere import Outside, burned_elsewhere, proven_site, published_versions
from keyturn.forge import EVENT_PREFIX
from keyturn.forge.host import Host
from keyturn.forge.local import LocalForge
from keyturn.git import Identity
from keyturn.policy import Policy, PolicyError, parse
from keyturn.policy import Problem as PolicyProblem
from keyturn.signing import PinnedRemote, SignerHome, read_member
from keyturn.state import Problem, State
from keyturn.tree import Kind, Tree
from keyturn.verify import Event, Keyring, Publication, Report, verify_event

POLICY = "keyturn.yml"
KEYRING = "keyring/"


@dataclass(frozen=True, slots=True)
class Context:
    """What every use case needs.

    Args:
        forge: The remote, refreshed by each use case.
        home: The signer's own directory.
        now: The time, UTC.
        author: Who makes commits.
        root_digest: Root digest given by the person or the environment; None to rely on the pin alone.
        announce: Told, before a payload that has signatures is changed, whose signatures that leaves behind.
        identify: Asked for the numeric user ids of logins when they are written into metadata for the first
            time; leaves out those that it does not know.
    """

    forge: LocalForge
    home: SignerHome
    now: datetime
    author: Identity
    root_digest: str | None = None
    announce: Callable[[Sequence[str]], None] = field(default=lambda names: None)
    identify: Callable[[Sequence[str]], Mapping[str, int]] = field(default=lambda logins: {})

    @property
    def remembered(self) -> PinnedRemote:
        """What this machine remembers of the remote."""
        return self.home.remote(self.forge.url)


def identify_by(host: Host) -> Callable[[Sequence[str]], Mapping[str, int]]:
    """What :class:`Context` asks for numeric user ids, answered by a code host."""

    def identify(logins: Sequence[str]) -> Mapping[str, int]:
        accounts = ((login, host.account(login)) for login in logins)
        return {login: account.id for login, account in accounts if account is not None}

    return identify


def trusting_main(context: Context) -> Context:
    """The same, with main's own root 1 as the trusted one where neither a pin nor a digest is given.

    A repository then vouches for itself: a guard rail for jobs that only report, never enough to publish.
    """
    first = State(context.forge.tree(context.forge.main())).roots.get(1)
    if first is None or pinned_digest(context.remembered, context.root_digest) is not None:
        return context
    return replace(context, root_digest=first.digest)


@dataclass(frozen=True, slots=True)
class Loaded:
    """A signing event with all that its verdict depends on.

    Args:
        topic: The event's topic, without ``sign/``.
        url: URL of the remote, as pins are filed under it.
        event: The event.
        own: The event's own tree, before the merge with ``main``.
        merged: Whether it is part of ``main`` already.
        published: What clients were given last, proven; None if there is none, or it is not known here.
        outside: What lies beside it, as far as that is known here.
    """

    topic: str
    url: str
    event: Event
    own: State
    merged: bool
    published: Publication | None = None
    outside: Outside | None = None

    @property
    def name(self) -> str:
        """The branch."""
        return EVENT_PREFIX + self.topic

    @property
    def repository(self) -> str | None:
        """Root digest; in the founding event that of the root proposed, None before it is."""
        first = self.event.baseline.roots.get(1) or self.event.head.roots.get(1)
        return first.digest if first else None

    def judge(self) -> Report:
        """The verdict."""
        return verify_event(self.event)


def topic_of(event: str) -> str:
    """The topic of an event named ``sign/<topic>`` or ``<topic>``."""
    return event.removeprefix("refs/heads/").removeprefix(EVENT_PREFIX)


def only_topic(context: Context, event: str | None) -> str:
    """The topic of the event named, or of the only open one.

    Raises:
        UsageError: None is named, and there is not exactly one open event.
    """
    if event is not None:
        return topic_of(event)
    open_events = [topic for topic in context.forge.events() if not context.forge.is_merged(topic)]
    if len(open_events) != 1:
        known = ", ".join(open_events) or "none"
        raise UsageError(f"name the signing event; open events: {known}")
    return open_events[0]


def load_event(context: Context, topic: str) -> Loaded:
    """Read an event, its merge with ``main``, the policy and the keyring from the remote as last refreshed.

    Raises:
        UsageError: There is no such event.
        GitError: Git cannot read it.
    """
    forge = context.forge
    merge = forge.head(topic)
    own = forge.tree(forge.event(topic))
    source = Source(
        topic=topic,
        url=forge.url,
        baseline=forge.tree(forge.main()),
        head=merge.tree or own,
        own=own,
        conflicts=merge.conflicts,
        merged=forge.is_merged(topic),
    )
    pinned = pinned_digest(context.remembered, context.root_digest)
    return surrounded(assemble(source, pinned, context.now), Outside.of(forge, topic))


def surrounded(loaded: Loaded, outside: Outside) -> Loaded:
    """The same event, judged with what lies beside it: what was published, and what others signed."""
    published = proven_site(outside.site, loaded.event.pinned, loaded.event.now)
    event = replace(
        loaded.event,
        published=published_versions(published),
        burned=burned_elsewhere(outside.others, loaded.event.baseline),
    )
    return replace(loaded, event=event, published=published, outside=outside)


@dataclass(frozen=True, slots=True)
class Source:
    """The trees of a signing event.

    Args:
        topic: The event's topic.
        url: URL of the remote.
        baseline: Tree of ``main``.
        head: Tree after the merge.
        own: The event's own tree.
        conflicts: Paths on which event and ``main`` conflict.
        merged: Whether the event is part of ``main`` already.
    """

    topic: str
    url: str
    baseline: Tree
    head: Tree
    own: Tree
    conflicts: tuple[str, ...] = ()
    merged: bool = False

    @classmethod
    def alone(cls, name: str, url: str, tree: Tree) -> Source:
        """One tree judged by itself, as an event that changes nothing."""
        return cls(topic=name, url=url, baseline=tree, head=tree, own=tree, merged=True)


def assemble(source: Source, pinned: str | None, now: datetime) -> Loaded:
    """Put an event together from its trees, wherever they come from.

    Args:
        source: The trees.
        pinned: Root digest that is trusted.
        now: The time, UTC.
    """
    policy, problems = read_policy(source.head)
    before, _ = read_policy(source.baseline)
    event = Event(
        baseline=State(source.baseline),
        head=State(source.head),
        policy=policy,
        policy_problems=problems,
        baseline_name=before.name if before else None,
        keyring=read_keyring(source.head, policy.name) if policy else Keyring(),
        now=now,
        pinned=pinned,
        conflicts=source.conflicts,
    )
    return Loaded(
        topic=source.topic, url=source.url, event=event, own=State(source.own), merged=source.merged
    )


def read_policy(tree: Tree) -> tuple[Policy | None, tuple[PolicyProblem, ...]]:
    """The policy of a tree, or its problems; neither if the file is not there."""
    data = content_of(tree, POLICY)
    if data is None:
        return None, ()
    try:
        return parse(data), ()
    except PolicyError as error:
        return None, tuple(error.problems)


def require_policy(tree: Tree) -> Policy:
    """The policy of a tree.

    Raises:
        PolicyError: It has problems.
        UsageError: It is missing.
    """
    data = content_of(tree, POLICY)
    if data is None:
        raise UsageError(f"there is no {POLICY}", where=tree.name, todo="Run keyturn init.")
    return parse(data)


def read_keyring(tree: Tree, name: str) -> Keyring:
    """The keyring of a tree: every key whose proof holds, and a problem for each that does not.

    Args:
        tree: Any tree.
        name: The repository's name, which every proof is bound to.
    """
    keys, problems = {}, []
    for path in tree.entries():
        login = path.removeprefix(KEYRING).removesuffix(".pub")
        if not path.startswith(KEYRING) or not path.endswith(".pub") or "/" in login:
            continue
        pub, proof = content_of(tree, path), content_of(tree, f"{KEYRING}{login}.proof")
        if pub is None or proof is None:
            problems.append(Problem(path, "has no proof of possession beside it"))
            continue
        try:
            keys[login] = read_member(login, pub, proof, name).key
        except (RefusedError, UsageError) as error:
            problems.append(Problem(error.where or path, error.what))
    return Keyring(keys=keys, problems=tuple(problems))


def content_of(tree: Tree, path: str) -> bytes | None:
    """The bytes of a plain file; None if there is none."""
    entry = tree.entries().get(path)
    return tree.read(path) if entry is not None and entry.kind is Kind.FILE else None


def pinned_digest(remembered: PinnedRemote, given: str | None) -> str | None:
    """The root digest that is trusted for a remote: the pin, or else the one given.

    Raises:
        RefusedError: Both are there and differ (reason ``other-root``).
    """
    pin = remembered.pin()
    if pin and given and pin.digest != given:
        raise RefusedError(
            f"this machine pins the root {pin.digest}, given is {given}",
            where=remembered.url,
            todo="Ask the other signers which of the two is theirs.",
            reason="other-root",
        )
    return pin.digest if pin else given


def require_pin(event: Event, where: str) -> None:
    """Refuse to go on with a repository that nothing is pinned for.

    Raises:
        RefusedError: No root digest is trusted (reason ``no-pin``).
    """
    if not event.founding and event.pinned is None:
        raise RefusedError(
            "no root digest is pinned for this repository on this machine",
            where=where,
            todo="Get the root digest from a founder, not from the repository, and give it with "
            "--root-digest.",
            reason="no-pin",
        )
