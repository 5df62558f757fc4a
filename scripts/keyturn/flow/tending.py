"""Looking after releases of the code host: normal once they are signed, gone once nothing names them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from keyturn.flow.context import Context, require_policy
from keyturn.forge import PUBLISHED, STAGED
from keyturn.forge.host import Host
from keyturn.hosting.releases import settle, sweep
from keyturn.state import RoleFile, Site, State, targets_of
from keyturn.verify import in_release


@dataclass(frozen=True, slots=True)
class Tended:
    """What was done.

    Args:
        settled: Tags of releases that were "proposed, not signed" and are normal ones now.
        swept: Tags of releases that nothing named any more.
    """

    settled: tuple[str, ...]
    swept: tuple[str, ...]


def tend(context: Context, host: Host) -> Tended:
    """Bring the releases of the code host in line with what is signed; nothing to do where there are none.

    Args:
        context: Where.
        host: The repository on the code host.

    Raises:
        PolicyError: The policy of main has problems.
        HostError: The host does not answer.
    """
    forge = context.forge
    forge.refresh()
    main = State(forge.tree(forge.main()))
    if main.root is None or require_policy(main.tree).hosting.source != "releases":
        return Tended((), ())
    signed = _tags(main.targets_roles())
    events = [State(forge.tree(tip)) for tip in forge.events().values()]
    sites = [Site(forge.tree(forge.branch_tip(name))) for name in (PUBLISHED, STAGED)]
    named = signed.union(*(_tags(event.targets_roles()) for event in events), *map(_tags_of_site, sites))
    return Tended(settled=settle(host, signed), swept=sweep(host, named, context.now))


def _tags(files: Iterable[RoleFile]) -> frozenset[str]:
    """Tags of the archives that targets roles list."""
    targets = (target for file in files for target in targets_of(file).targets.values())
    return frozenset(target.path.partition("/")[0] for target in targets if in_release(target))


def _tags_of_site(site: Site) -> frozenset[str]:
    """Tags that any targets role on a site names, older versions for clients in flight included."""
    files = (
        site.file(role, version)
        for role, versions in site.versions.items()
        if role not in ("root", "snapshot", "timestamp")
        for version in versions
    )
    return _tags(file for file in files if file is not None)
