"""The trial before merge: would clients still update if the event were signed, merged and published?"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from keyturn.errors import RefusedError, UsageError
from keyturn.publish.online import sign_online
from keyturn.publish.site_tree import metadata_files
from keyturn.state import METADATA, Site, State, targets_of
from keyturn.tree import MemoryTree, Tree
from keyturn.trial.shadow import Shadow
from keyturn.trial.stock_client import Errand, StockClient, Stranded
from keyturn.verify import Event, Publication

FIRST_ROOT = f"{METADATA}1.root.json"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a trial ended.

    Args:
        refusal: What a client would refuse, a sentence; None if it updates.
        targets: How many targets it found, each as it should.
    """

    refusal: str | None
    targets: int = 0

    def to_dict(self) -> dict[str, object]:
        """The outcome as ``--json`` shows it."""
        return {"passed": self.refusal is None, "refusal": self.refusal, "targets": self.targets}


_known: dict[object, Outcome] = {}
_MOST_KNOWN = 64


def try_event(event: Event, published: Publication | None) -> Outcome:
    """Let a stock client go from the last state to what an event would make of it, all by throw-away keys.

    It goes there twice: from root 1 alone, and from what it held. It downloads metadata only, and looks up
    what the event changes in targets, besides one target of every role. Neither signatures that are there
    play a part nor those that are missing; so the outcome is remembered by payloads, and one more signature
    does not make it be asked again.

    Args:
        event: The event. A rule that it breaks otherwise may or may not matter to a client.
        published: The published site, proven from the pinned root; None if there is none: then main as it
            would be published takes its place.

    Raises:
        EnvironmentFault: There is no room for the client's files.
    """
    case = _case(event, published)
    if case not in _known:
        if len(_known) >= _MOST_KNOWN:
            _known.clear()
        _known[case] = _outcome(event, published)
    return _known[case]


def _case(event: Event, published: Publication | None) -> object:
    """Everything that the outcome depends on."""
    before = tuple(_payloads(event.baseline)), tuple(_payloads(event.head))
    entries = published.site.tree.entries().items() if published else ()
    return event.now, before, tuple((path, e.blob) for path, e in entries if path.startswith(METADATA))


def _payloads(state: State) -> Iterator[tuple[str, str]]:
    roles = (state.role(name) for name in state.names)
    return ((file.path, file.digest) for file in (*state.roots.values(), *roles) if file)


def _outcome(event: Event, published: Publication | None) -> Outcome:
    shadow = Shadow(event.now)
    before = _last_state(shadow, event, published)
    try:
        after = _next_state(shadow, event, before)
    except (RefusedError, UsageError) as error:
        return Outcome(f"nothing could be published after the merge: {error.what}")
    offered = Publication(site=Site(after), now=event.now, pinned="")
    errand = Errand.among(offered, dict.fromkeys(_paths(event)))
    try:
        _go(event, before, offered, errand)
    except Stranded as stranded:
        return Outcome(stranded.what)
    return Outcome(None, errand.found)


def _last_state(shadow: Shadow, event: Event, published: Publication | None) -> Tree | None:
    """What clients hold before the event; None if there is nothing that could have been published."""
    if published is not None:
        return shadow.of_site(published)
    if event.founding:
        return None
    # A main that cannot be published strands nobody who is not stranded already.
    with suppress(RefusedError, UsageError):
        return _published(shadow, event.baseline, shadow.of_state(event.baseline), (), event)
    return None


def _next_state(shadow: Shadow, event: Event, before: Tree | None) -> Tree:
    proposed = [file.role for file in event.proposed]
    copy = shadow.of_state(event.head, proposed)
    return _published(shadow, event.head, copy, [Site(before)] if before else [], event)


def _published(shadow: Shadow, original: State, copy: State, previous: Iterable[Site], event: Event) -> Tree:
    """The metadata that would be published of a copy.

    What superseded snapshots named is not kept as it is on the site: it will be gone one day.
    """
    signers = shadow.online_signers(original)
    if not signers:
        raise RefusedError("root names no key for snapshot and timestamp that can sign")
    online = sign_online(copy, signers, previous, event.now)
    return MemoryTree(metadata_files(copy, online), name=copy.tree.name)


def _paths(event: Event) -> Iterator[str]:
    """What the event changes in targets, and the first target of every role."""
    for file in event.head.targets_roles():
        before = event.baseline.role(file.role)
        known = targets_of(before).targets if before else {}
        for number, (path, target) in enumerate(targets_of(file).targets.items()):
            if number == 0 or known.get(path) != target:
                yield path


def _go(event: Event, before: Tree | None, offered: Publication, errand: Errand) -> None:
    if FIRST_ROOT not in offered.site.tree.entries():
        raise Stranded("a stock client cannot start: there is no root 1")
    root = offered.site.tree.read(FIRST_ROOT)
    with tempfile.TemporaryDirectory(prefix="keyturn-trial-") as scratch:
        StockClient(Path(scratch) / "fresh", root, event.now, "with root 1 alone").look_up(offered, errand)
        if before is None:
            return
        client = StockClient(Path(scratch) / "held", root, event.now, "coming from the last state")
        held = Publication(site=Site(before), now=event.now, pinned="")
        # Whoever cannot get even there holds what they got, and is not stranded by this event.
        with suppress(Stranded):
            client.look_up(held, Errand.among(held, ()))
        client.look_up(offered, errand)
