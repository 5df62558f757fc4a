"""One corruption: what it does, and which findings must answer it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

Subject = TypeVar("Subject")
Kind = Literal[
    "flip",
    "drop",
    "swap",
    "re-sign",
    "re-date",
    "rename",
    "truncate",
    "duplicate",
    "re-order",
    "case",
    "Unicode",
]


@dataclass(frozen=True)
class Corruption(Generic[Subject]):
    """A case.

    Args:
        kind: What is done.
        name: To what, in a few words.
        make: Makes the corrupted subject.
        ids: The ids of all findings, errors and warnings.
    """

    kind: Kind
    name: str
    make: Callable[[], Subject]
    ids: frozenset[str]

    def __str__(self) -> str:
        return f"{self.kind}: {self.name}"


class Cases(Generic[Subject]):
    """The cases of one kind of subject; :meth:`corrupts` puts the function below it in."""

    def __init__(self) -> None:
        self.all: list[Corruption[Subject]] = []

    def corrupts(self, kind: Kind, *ids: str) -> Callable[[Callable[[], Subject]], Callable[[], Subject]]:
        def register(make: Callable[[], Subject]) -> Callable[[], Subject]:
            name = make.__name__.replace("_", " ")
            self.all.append(Corruption(kind, name, make, frozenset(ids)))
            return make

        return register
