"""Measures what a person or an app waits for, and rewrites docs/BENCHMARKS.md.

Each figure stands beside the same measure of the thing it cannot be faster than, taken a moment apart on
the same machine: the ratio is what carries over to another machine.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from statistics import median

ROUNDS = 10
PROJECT = Path(__file__).resolve().parents[2]
REPORT = PROJECT / "docs" / "BENCHMARKS.md"


@dataclass(frozen=True, slots=True)
class Pair:
    """A command of ours and the one it is measured against."""

    what: str
    ours: Sequence[str]
    beside: str
    theirs: Sequence[str]


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


PAIRS = (
    Pair(
        what="`keyturn --help`",
        ours=[str(Path(sys.executable).with_name("keyturn")), "--help"],
        beside="`python -c pass`",
        theirs=python("pass"),
    ),
    Pair(
        what="`import keyturn.client`",
        ours=python("import keyturn.client"),
        beside="`import tuf.ngclient`",
        theirs=python("import tuf.ngclient"),
    ),
)


def seconds(command: Sequence[str]) -> float:
    """Wall-clock time of one run."""
    start = time.perf_counter()
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def measure(pair: Pair) -> tuple[float, float]:
    """Medians of both commands; they take turns, so that a busy moment hits both."""
    seconds(pair.ours)  # the first run compiles bytecode
    seconds(pair.theirs)
    rounds = [(seconds(pair.ours), seconds(pair.theirs)) for _ in range(ROUNDS)]
    return median(ours for ours, _ in rounds), median(theirs for _, theirs in rounds)


def main() -> None:
    """Print each figure as it comes, then write them all down."""
    rows = []
    for pair in PAIRS:
        ours, theirs = measure(pair)
        print(f"  {pair.what}: {ours:.3f} s, {ours / theirs:.2f} times {pair.beside} ({theirs:.3f} s)")
        rows.append(f"| {pair.what} | {ours:.3f} s | {pair.beside} | {theirs:.3f} s | {ours / theirs:.2f} |")
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text(
        "# Benchmarks\n"
        "\n"
        f"Written by `make bench` on {datetime.now(timezone.utc):%Y-%m-%d}.\n"
        f"Python {platform.python_version()}, {machine}. Medians of {ROUNDS} runs of whole processes,\n"
        "ours and the other in turn. Compare ratios; seconds belong to the machine.\n"
        "\n"
        "| what | time | beside | time | ratio |\n"
        "|---|---|---|---|---|\n" + "\n".join(rows) + "\n",
        encoding="utf-8",
    )
    print(f"  written: {REPORT.relative_to(PROJECT)}")


if __name__ == "__main__":
    main()
