"""One case of a rule: what is judged, and what verification must say of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Generic, TypeVar

from keyturn.verify import Severity

Subject = TypeVar("Subject")


@dataclass(frozen=True)
class Break(Generic[Subject]):
    """A case that breaks one rule.

    Args:
        rule: Id of the rule that it is about.
        name: What is wrong, in a few words.
        make: Makes the subject.
        where: Where the finding must point.
        says: What its sentence must contain: role, path, key, number.
        also: Ids that cannot but come with it, since another rule looks at the same thing.
        severity: Severity of the finding.
    """

    rule: str
    name: str
    make: Callable[[], Subject]
    where: str
    says: str
    also: frozenset[str]
    severity: Severity

    def __str__(self) -> str:
        return f"{self.rule}: {self.name}"


@dataclass(frozen=True)
class Keep(Generic[Subject]):
    """A case next to the border that a rule must let pass.

    Args:
        rule: Id of the rule.
        name: What is right about it.
        make: Makes the subject.
        also: Ids of other rules that have something to say.
    """

    rule: str
    name: str
    make: Callable[[], Subject]
    also: frozenset[str]

    def __str__(self) -> str:
        return f"{self.rule}: {self.name}"


class Table(Generic[Subject]):
    """The cases of a set of rules; :meth:`breaks` and :meth:`keeps` put the function below them in.

    A subject is made once: it is frozen, and more than one test looks at it.
    """

    def __init__(self) -> None:
        self.broken: list[Break[Subject]] = []
        self.kept: list[Keep[Subject]] = []

    def breaks(
        self,
        rule: str,
        *,
        where: str,
        says: str,
        also: tuple[str, ...] = (),
        severity: Severity = Severity.ERROR,
    ) -> Callable[[Callable[[], Subject]], Callable[[], Subject]]:
        def register(make: Callable[[], Subject]) -> Callable[[], Subject]:
            name = make.__name__.strip("_").replace("_", " ")
            self.broken.append(Break(rule, name, cache(make), where, says, frozenset(also), severity))
            return make

        return register

    def keeps(
        self, rule: str, *, also: tuple[str, ...] = ()
    ) -> Callable[[Callable[[], Subject]], Callable[[], Subject]]:
        def register(make: Callable[[], Subject]) -> Callable[[], Subject]:
            name = make.__name__.strip("_").replace("_", " ")
            self.kept.append(Keep(rule, name, cache(make), frozenset(also)))
            return make

        return register
