"""Open events that touch the same, or that are each fine alone and not together (DESIGN section 4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import combinations, islice

from keyturn.flow.context import Context, Loaded, Source, assemble
from keyturn.verify import Finding, errors

_MOST_PAIRS = 100


@dataclass(frozen=True, slots=True)
class Overlap:
    """Another open event that cannot be merged as well without being looked at again.

    Args:
        topic: Topic of the other event.
        roles: Roles that both change.
        conflicts: Paths on which they conflict.
        findings: What is wrong with both together that is wrong with neither alone.
        url: Its pull request; empty if it has none.
    """

    topic: str
    roles: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    url: str = ""


def overlaps(context: Context, loaded: Mapping[str, Loaded]) -> dict[str, tuple[Overlap, ...]]:
    """What each open event has in common with others, by topic.

    Args:
        context: Where.
        loaded: The open events by topic. Of very many, not every pair is looked at: that costs time, and each
            is judged again anyway once another one is merged.
    """
    found: dict[str, list[Overlap]] = {}
    fit = sorted(topic for topic, event in loaded.items() if not event.merged and not event.event.conflicts)
    pairs = tuple(islice(combinations(fit, 2), _MOST_PAIRS))
    alone = {
        topic: _broken(loaded[topic]) for topic in dict.fromkeys(topic for pair in pairs for topic in pair)
    }
    for one, other in pairs:
        both = _overlap(context, loaded[one], loaded[other], alone[one] | alone[other])
        if both is not None:
            found.setdefault(one, []).append(both)
            found.setdefault(other, []).append(replace(both, topic=one))
    return {topic: tuple(its) for topic, its in found.items()}


def _broken(event: Loaded) -> frozenset[tuple[str, str]]:
    return frozenset((finding.id, finding.where) for finding in errors(event.judge().findings))


def _overlap(
    context: Context, one: Loaded, other: Loaded, alone: frozenset[tuple[str, str]]
) -> Overlap | None:
    roles = {file.role for file in one.event.proposed} & {file.role for file in other.event.proposed}
    merge = context.forge.together(one.topic, other.topic)
    findings: tuple[Finding, ...] = ()
    if merge.tree is not None:
        source = Source(
            topic=one.topic, url=one.url, baseline=one.event.baseline.tree, head=merge.tree, own=merge.tree
        )
        together = errors(assemble(source, one.event.pinned, context.now).judge().findings)
        findings = tuple(finding for finding in together if (finding.id, finding.where) not in alone)
    if not roles and not merge.conflicts and not findings:
        return None
    return Overlap(other.topic, tuple(sorted(roles)), merge.conflicts, findings)
