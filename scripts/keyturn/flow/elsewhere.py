"""What bears on an event from outside: what clients were given, and what people signed in other events."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from tuf.api.metadata import Snapshot

from keyturn.forge import PUBLISHED, Forge
from keyturn.state import METADATA, ONLINE_ROLES, Site, State
from keyturn.tree import Tree
from keyturn.verify import Burned, Publication, count, errors, verify_published

EXPIRED = "KT211"
"""The one finding that what was published may have: it only grew old."""


@dataclass(frozen=True, slots=True)
class Outside:
    """What lies beside an event in its repository, unproven.

    Args:
        site: The site as it was published last; empty if there is none.
        others: The trees of all other events.
    """

    site: Tree
    others: tuple[Tree, ...]

    @classmethod
    def of(cls, forge: Forge, topic: str) -> Outside:
        """What a remote has beside one event.

        Args:
            forge: The remote, refreshed.
            topic: The event that is looked at.
        """
        others = tuple(forge.tree(tip) for other, tip in forge.events().items() if other != topic)
        return cls(site=forge.tree(forge.branch_tip(PUBLISHED)), others=others)


def published_site(forge: Forge, pinned: str | None, now: datetime) -> Publication | None:
    """The metadata that clients were given last; None unless the site verifies from the pin, but for its age.

    Args:
        forge: The remote, refreshed.
        pinned: Root digest that is trusted.
        now: The time, UTC.
    """
    return proven_site(forge.tree(forge.branch_tip(PUBLISHED)), pinned, now)


def proven_site(tree: Tree, pinned: str | None, now: datetime) -> Publication | None:
    """A site's metadata; None unless it verifies from the pin, but for its age.

    Args:
        tree: The site; its targets are not looked at.
        pinned: Root digest that is trusted.
        now: The time, UTC.
    """
    site = Site(tree)
    if pinned is None or site.empty:
        return None
    publication = Publication(site=site, now=now, pinned=pinned, check_targets=False)
    broken = any(finding.id != EXPIRED for finding in errors(verify_published(publication)))
    return None if broken else publication


def published_versions(published: Publication | None) -> Mapping[str, int]:
    """The version of each role that clients were given last.

    Args:
        published: The published site, proven; None if there is none.
    """
    if published is None:
        return {}
    snapshot, root = published.snapshot, published.site.root
    meta = snapshot.signed.meta if snapshot and isinstance(snapshot.signed, Snapshot) else {}
    versions = {name.removesuffix(".json"): listed.version for name, listed in meta.items()}
    return {**versions, "root": root.version} if root else versions


def burned_elsewhere(others: Iterable[Tree], baseline: State) -> Burned:
    """Payloads beyond ``main`` that people have signed in other events, open or given up.

    Only signatures by keys that may sign on main count, so that nobody else can burn a version.

    Args:
        others: The trees of all other events.
        baseline: The state of main.
    """
    burned: dict[str, dict[int, dict[str, tuple[str, ...]]]] = {}
    for other in others:
        state = State(other)
        for role in _changed(baseline, state):
            file, before = state.role(role), baseline.role(role)
            if file is None or (before and file.version <= before.version):
                continue
            signed = [
                mark.owner
                for delegation in baseline.delegations_to(role)
                for mark in count(delegation, file, delegation.delegator.role).signed
            ]
            if signed:
                names = tuple(dict.fromkeys(signed))
                burned.setdefault(role, {}).setdefault(file.version, {})[file.digest] = names
    return burned


def _changed(baseline: State, state: State) -> Iterable[str]:
    """The offline roles of another event whose files are not those of main; nothing else need be read."""
    before, after = baseline.tree.entries(), state.tree.entries()
    for name in state.names:
        path = f"{METADATA}{name}.json"
        if name not in ONLINE_ROLES and (path not in before or before[path].blob != after[path].blob):
            yield name
