"""KT120: what the trial found. A client is run elsewhere (``keyturn.trial``); its answer is judged here."""

from __future__ import annotations

from collections.abc import Iterator

from keyturn.verify.event import Event
from keyturn.verify.model import Rule, Violation


def _stranded(event: Event) -> Iterator[Violation]:
    if event.stranded is not None:
        yield Violation(event.stranded, "the trial")


TRIAL_RULES: tuple[Rule[Event], ...] = (
    Rule(
        id="KT120",
        title="a stock client still updates",
        why="A client that cannot follow this step gets no later update either; only a new installation "
        "would help. Every key is replaced by a throw-away key, and a client goes from what is published, "
        "and from root 1 alone, to what would be published after the merge. It is tried before a key is "
        "turned and before the merge, not in every look at an event.",
        mend="Do not sign and do not merge. Change what the message names, and propose again.",
        check=_stranded,
    ),
)
