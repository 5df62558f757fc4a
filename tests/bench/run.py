"""Measures what a person, an app or a job waits for, and rewrites docs/BENCHMARKS.md.

    python tests/bench/run.py                   # all of it
    python tests/bench/run.py --only actions    # one section; the others stay as they are

Where there is a thing that ours cannot be faster than, it is measured beside ours, a moment apart on the
same machine: the ratio is what carries over to another machine. Where there is none, the number of questions
that a code host is asked carries over instead.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
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


def seconds(command: Sequence[str], env: Mapping[str, str] | None = None) -> float:
    """Wall-clock time of one run."""
    start = time.perf_counter()
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=env)
    return time.perf_counter() - start


def measure(pair: Pair) -> tuple[float, float]:
    """Medians of both commands; they take turns, so that a busy moment hits both."""
    seconds(pair.ours)  # the first run compiles bytecode
    seconds(pair.theirs)
    rounds = [(seconds(pair.ours), seconds(pair.theirs)) for _ in range(ROUNDS)]
    return median(ours for ours, _ in rounds), median(theirs for _, theirs in rounds)


def conditions() -> str:
    """When, on what, and how busy it was with other things."""
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    load = f"load {os.getloadavg()[0]:.1f} when it began"
    return f"{datetime.now(timezone.utc):%Y-%m-%d}. Python {platform.python_version()}, {machine}; {load}."


def start() -> str:
    """How long it takes until anything happens."""
    began = conditions()
    rows = []
    for pair in PAIRS:
        ours, theirs = measure(pair)
        print(f"  {pair.what}: {ours:.3f} s, {ours / theirs:.2f} times {pair.beside} ({theirs:.3f} s)")
        rows.append(f"| {pair.what} | {ours:.3f} s | {pair.beside} | {theirs:.3f} s | {ours / theirs:.2f} |")
    return (
        f"{began}\n"
        f"Medians of {ROUNDS} runs of whole processes, ours and the other in turn. Compare ratios; seconds\n"
        "belong to the machine.\n"
        "\n"
        "| what | time | beside | time | ratio |\n"
        "|---|---|---|---|---|\n" + "\n".join(rows) + "\n"
    )


def actions() -> str:
    """How long the actions take in the lab, and what they ask."""
    # Only this section needs the lab, which needs everything that tests need.
    sys.path.insert(0, str(PROJECT / "tests"))
    from bench.actions import measured

    return f"{conditions()}\n{measured()}"


SECTIONS: Mapping[str, tuple[str, Callable[[], str]]] = {
    "start": ("Starting", start),
    "actions": ("Actions", actions),
}
HEAD = "# Benchmarks\n\nWritten by `make bench`; each section says when.\n"


def written(report: str, title: str, text: str) -> str:
    """The report with one section replaced, in the order of :data:`SECTIONS`; others stay as they are."""
    parts = re.split(r"^## (.+)\n\n", report, flags=re.MULTILINE)
    kept = dict(zip(parts[1::2], parts[2::2], strict=True))
    kept[title] = text
    order = [*(name for name, _ in SECTIONS.values() if name in kept)]
    order += [name for name in kept if name not in order]
    return "\n".join([HEAD, *(f"## {name}\n\n{kept[name].strip()}\n" for name in order)])


def main() -> None:
    """Print each figure as it comes, and write each section down when it is complete."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--only", choices=[*SECTIONS], action="append", help="this section; may be repeated")
    for name in parser.parse_args().only or SECTIONS:
        title, make = SECTIONS[name]
        text = make()
        REPORT.parent.mkdir(exist_ok=True)
        before = REPORT.read_text(encoding="utf-8") if REPORT.exists() else ""
        REPORT.write_text(written(before, title, text), encoding="utf-8")
    print(f"  written: {REPORT.relative_to(PROJECT)}")


if __name__ == "__main__":
    main()
