"""Where a client ends when it looks for a target (specification 5.6.7)."""

from __future__ import annotations

from collections.abc import Callable

from tuf.api.metadata import Targets

from keyturn.state.metadata_file import RoleFile

MOST_DELEGATIONS = 32
"""How many roles besides targets itself a stock client asks before it gives up on a path."""


def search(role: Callable[[str], RoleFile | None], path: str) -> RoleFile | None:
    """The role in which a client finds a target: depth first, in the order of the delegations.

    Args:
        role: Gives a targets role's file by name; None where there is none.
        path: Target path.

    Returns:
        The role's file; None if the search ends without the target, because nobody lists it, a terminating
        delegation leads elsewhere, or too many roles would have to be asked.
    """
    waiting, visited = ["targets"], set[str]()
    while waiting and len(visited) <= MOST_DELEGATIONS:
        name = waiting.pop()
        file = None if name in visited else role(name)
        visited.add(name)
        if file is None or not isinstance(file.signed, Targets):
            continue
        if path in file.signed.targets:
            return file
        below = []
        delegations = file.signed.delegations
        for child, terminating in delegations.get_roles_for_target(path) if delegations else ():
            below.append(child)
            if terminating:
                waiting = []
                break
        waiting += reversed(below)
    return None
