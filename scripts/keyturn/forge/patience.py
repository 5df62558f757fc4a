"""Trying again: what a host answers when it is busy, and what is done when its answer got lost."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from keyturn.forge.host import HostError

_T = TypeVar("_T")


class Again(Exception):
    """One try failed in a way that another one may cure; it never leaves this package.

    Args:
        error: What the caller is told if no try succeeds.
        wait: Seconds that the host asks to wait; None if it does not say.
        lost: Whether the host may have done what was asked, and only its answer is missing.
    """

    def __init__(self, error: HostError, *, wait: float | None = None, lost: bool = True) -> None:
        super().__init__(error.what)
        self.error = error
        self.wait = wait
        self.lost = lost


def _unknown() -> None:
    """Nobody can tell whether it happened, so it is done again."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How often something is tried, and how long all the waiting may last.

    Args:
        tries: Number of tries.
        first: Seconds before the second one; each further wait is twice as long.
        longest: Seconds that all waits together may last; a host that asks for more is not waited for.
        pause: What waits for a number of seconds.
    """

    tries: int = 5
    first: float = 1.0
    longest: float = 150.0
    pause: Callable[[float], None] = time.sleep

    def insist(self, attempt: Callable[[], _T], happened: Callable[[], _T | None] = _unknown) -> _T:
        """Try until it succeeds, or patience ends.

        A try whose answer was lost is looked for before the next one, and once more at the very end.

        Args:
            attempt: One try; raises :class:`Again` if another one makes sense.
            happened: Finds what a try whose answer was lost has done; None if it has done nothing.

        Returns:
            What a try returned, or what ``happened`` found.

        Raises:
            HostError: No try succeeded.
        """
        waited = 0.0
        for number in range(self.tries):
            try:
                return attempt()
            except Again as again:
                wait = again.wait if again.wait is not None else self.first * 2**number
                last = number + 1 == self.tries or waited + wait > self.longest
                if not last:
                    self.pause(wait)
                    waited += wait
                if again.lost and (found := happened()) is not None:
                    return found
                if last:
                    raise again.error from again
        raise AssertionError("a patience of no tries")  # pragma: no cover
