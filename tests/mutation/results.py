"""What became of each mutant, kept between runs."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from enum import Enum
from pathlib import Path

from mutation.mutants import Mutant


class Fate(str, Enum):
    """What became of a mutant."""

    KILLED = "killed"
    TIMEOUT = "timeout"
    SURVIVED = "survived"
    UNTESTED = "no test"

    @property
    def dead(self) -> bool:
        """Whether the tests noticed: a mutant that never ends is noticed too."""
        return self in {Fate.KILLED, Fate.TIMEOUT}


@dataclass(frozen=True, slots=True)
class Result:
    """The fate of one mutant.

    Args:
        fate: What became of it.
        test: The test that killed it, or during which its time ran out; empty if none.
        state: Of tests and package when it survived; another state may kill it.
    """

    fate: Fate
    test: str = ""
    state: str = ""


@dataclass(frozen=True, slots=True)
class Tally:
    """How many mutants of a set met which fate."""

    killed: int = 0
    timeout: int = 0
    survived: int = 0
    untested: int = 0

    @property
    def all(self) -> int:
        """How many mutants there are."""
        return self.killed + self.timeout + self.survived + self.untested

    @property
    def rate(self) -> float:
        """Percent of all that were killed, those that never end included."""
        return 100.0 * (self.killed + self.timeout) / self.all if self.all else 100.0

    def __str__(self) -> str:
        return (
            f"{self.rate:5.1f} % killed: {self.killed} and {self.timeout} by time of {self.all}; "
            f"{self.survived} survived, {self.untested} without a test"
        )


@dataclass(slots=True)
class Results:
    """The fates of all mutants, by their digests.

    Args:
        path: The file that keeps them.
        fates: What is known.
    """

    path: Path
    fates: dict[str, Result] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path, *, fresh: bool) -> Results:
        """Read what earlier runs found out; nothing if there were none, or if it is to be forgotten."""
        if fresh or not path.exists():
            return cls(path)
        held = json.loads(path.read_text(encoding="utf-8"))
        return cls(path, {key: Result(Fate(one.pop("fate")), **one) for key, one in held.items()})

    def save(self) -> None:
        """Write all, so that a run that is stopped now loses nothing."""
        text = json.dumps({key: asdict(result) for key, result in self.fates.items()})
        fresh = self.path.with_suffix(".new")
        fresh.write_text(text, encoding="utf-8")
        fresh.replace(self.path)

    def tally(self, mutants: Iterable[Mutant]) -> Tally:
        """Count the fates of a set of mutants; those that were never tried are left out."""
        fates = [self.fates[mutant.digest].fate for mutant in mutants if mutant.digest in self.fates]
        return Tally(
            killed=fates.count(Fate.KILLED),
            timeout=fates.count(Fate.TIMEOUT),
            survived=fates.count(Fate.SURVIVED),
            untested=fates.count(Fate.UNTESTED),
        )
