"""Compare-and-swap with patience: what to do when somebody else pushed first."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from keyturn.forge import Forge
from keyturn.git import PushRejected

Result = TypeVar("Result")
ATTEMPTS = 5


def until_pushed(forge: Forge, attempt: Callable[[], Result]) -> Result:
    """Read the remote and do something that ends in a push; again from the start if somebody was faster.

    Args:
        forge: The remote.
        attempt: Decides anew from what the remote says now, and pushes.

    Raises:
        PushRejected: Others were faster each time (reason ``push-rejected``).
    """
    for _ in range(ATTEMPTS):
        forge.refresh()
        try:
            return attempt()
        except PushRejected as error:
            last = error
    raise PushRejected(
        f"others pushed first, {ATTEMPTS} times in a row",
        where=forge.url,
        todo="Nothing is lost; run the same command again.",
        reason="push-rejected",
    ) from last
