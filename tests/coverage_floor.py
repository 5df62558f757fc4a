"""Fails when a package on which trust rests is tested less than its floor.

Reads the data file that the test run left. Statements and branches are held to the floor one by one: their
mean, which coverage's own `--fail-under` looks at, hides untested branches behind many plain statements.
"""

from __future__ import annotations

import json
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import coverage

FLOOR = 95.0
PACKAGES = ("verify", "signing", "delta", "client")


@dataclass(frozen=True, slots=True)
class Share:
    """How much of something was run."""

    done: int = 0
    of: int = 0

    def __add__(self, other: Share) -> Share:
        return Share(self.done + other.done, self.of + other.of)

    @property
    def percent(self) -> float:
        return 100.0 * self.done / self.of if self.of else 100.0

    def __str__(self) -> str:
        return f"{self.percent:5.1f}% ({self.done}/{self.of})"


@dataclass(frozen=True, slots=True)
class Measured:
    """Statements and branches of one file or package."""

    statements: Share = Share()
    branches: Share = Share()

    def __add__(self, other: Measured) -> Measured:
        return Measured(self.statements + other.statements, self.branches + other.branches)

    def reaches(self, floor: float) -> bool:
        return min(self.statements.percent, self.branches.percent) >= floor

    def __str__(self) -> str:
        return f"statements {self.statements!s:20} branches {self.branches}"


def measured_files() -> dict[Path, Measured]:
    """What the last run covered, by file."""
    data = coverage.Coverage()
    data.load()
    with tempfile.TemporaryDirectory() as directory:
        report = Path(directory, "coverage.json")
        data.json_report(outfile=str(report))
        files = json.loads(report.read_text(encoding="utf-8"))["files"]
    return {
        Path(name): Measured(
            statements=Share(found["summary"]["covered_lines"], found["summary"]["num_statements"]),
            branches=Share(found["summary"]["covered_branches"], found["summary"]["num_branches"]),
        )
        for name, found in files.items()
    }


def main() -> int:
    """Print one line a package; 1 if one of them is below the floor or was not measured at all."""
    files = measured_files()
    failed = False
    for package in PACKAGES:
        inside = [found for path, found in files.items() if f"keyturn/{package}/" in path.as_posix()]
        total = sum(inside, Measured())
        good = bool(inside) and total.reaches(FLOOR)
        failed |= not good
        verdict = "" if good else f"  below {FLOOR:.0f}%" if inside else "  nothing measured"
        print(f"  keyturn.{package:8} {total}{verdict}")
    print(f"  all of these     {sum(files.values(), Measured())}")
    if failed:
        print("keyturn: see `.venv/bin/coverage report --show-missing` for the lines", file=sys.stderr)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
