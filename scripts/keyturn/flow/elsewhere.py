"""What bears on an event from outside: what clients were given, and what people signed in other events."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from tuf.api.metadata import Snapshot

from keyturn.forge import PUBLISHED, Forge
from keyturn.state import METADATA, ONLINE_ROLES, Site, State
from keyturn.verify import Burned, Publication, count, errors, verify_published

EXPIRED = "KT211"
"""The one finding that what was published may have: it only grew old."""


def published_site(forge: Forge, pinned: str | None, now: datetime) -> Publication | None:
    """The metadata that clients were given last; None unless the site verifies from the pin, but for its age.

    Args:
        forge: The remote, refreshed.
        pinned: Root digest that is trusted.
        now: The time, UTC.
    """
    site = Site(forge.tree(forge.branch_tip(PUBLISHED)))
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


def burned_elsewhere(forge: Forge, topic: str, baseline: State) -> Burned:
    """Payloads beyond ``main`` that people have signed in other events, open or given up.

    Only signatures by keys that may sign on main count, so that nobody else can burn a version.

    Args:
        forge: The remote, refreshed.
        topic: The event that is looked at, which is left out.
        baseline: The state of main.
    """
    burned: dict[str, dict[int, dict[str, tuple[str, ...]]]] = {}
    for other, tip in forge.events().items():
        if other == topic:
            continue
        state = State(forge.tree(tip))
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
