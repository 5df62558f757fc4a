"""Mutation testing of ``verify/`` and ``signing/``: `make mutation` runs this, from the project's root.

1. mutmut writes every mutant of the two packages into one copy of the package, below ``.mutation/``.
2. Every test runs once on the copy, and it is noted which functions it calls and how long it takes.
3. For each mutant a child is forked from the process that has collected the tests; in it the mutant is on,
   and the tests that call its function run until one fails. Those that killed its neighbours come first.

What a mutant did is kept in ``.mutation/results.json``: a kill stands until its function changes or the test
that did it is gone, a survival until any of its tests changes. A run that was stopped goes on where it was.
"""

from __future__ import annotations

import argparse
import hashlib
import pickle
import shutil
import sys
import warnings
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timezone
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from mutation.mutants import MutatedFile, mutate  # noqa: E402
from mutation.page import page, read_judgements  # noqa: E402
from mutation.results import Results  # noqa: E402
from mutation.trial import Trial  # noqa: E402
from mutation.typed import refused  # noqa: E402

PACKAGE = ROOT / "scripts" / "keyturn"
WORK = ROOT / ".mutation"
PAGE = ROOT / "docs" / "mutation.md"
JUDGEMENTS = Path(__file__).with_name("judgements.yml")
PACKAGES = ("verify", "signing")
FLOOR = 90.0
TESTS = (
    "tests/unit/test_rules_event.py",
    "tests/unit/test_rules_published.py",
    "tests/unit/test_rules_table.py",
    "tests/unit/test_verify_*.py",
    "tests/unit/test_diff.py",
    "tests/unit/test_signing_*.py",
    "tests/unit/test_mutants_*.py",
)
"""Tests of the two packages alone: no git, no server, no agent of its own."""
UNDER_TEST = (
    "tests/conftest.py",
    "tests/unit/*repository.py",
    "tests/unit/*scenario*.py",
    "scripts/keyturn/*.py",
    *(f"scripts/keyturn/{name}/**/*.py" for name in ("policy", "state", "verify", "signing")),
)
"""What the tests depend on: where it changes, a mutant that survived may not survive again."""
LEFT_OUT = ("test_without_the_rule_its_cases_are_no_longer_found", "test_two_processes_at_once_lose_no_entry")
"""They say nothing of one function that the cases themselves do not say, or run it in another process."""


def main(arguments: Sequence[str]) -> int:
    """Try every mutant, write the page when all are tried; 1 if less than the floor was killed."""
    parser = argparse.ArgumentParser(description="Mutation testing of verify/ and signing/.")
    parser.add_argument("files", nargs="*", help="below scripts/keyturn, e.g. verify/event.py; all if none")
    parser.add_argument("--workers", type=int, default=1, help="mutants at a time")
    parser.add_argument("--all", action="store_true", help="try those that the type checker refuses too")
    parser.add_argument("--fresh", action="store_true", help="forget what earlier runs found out")
    options = parser.parse_args(arguments)

    files = [
        path.relative_to(PACKAGE).as_posix() for name in PACKAGES for path in (PACKAGE / name).glob("*.py")
    ]
    unknown = set(options.files) - set(files)
    if unknown:
        parser.error(f"there is no {', '.join(sorted(unknown))} below {PACKAGE.relative_to(ROOT)}")
    wanted = sorted(options.files or files)
    mutated = _make(sorted(files))
    tests = sorted(str(path) for pattern in TESTS for path in ROOT.glob(pattern))
    results = Results.load(WORK / "results.json", fresh=options.fresh)
    trial = Trial(
        mutants=[
            mutant
            for one in mutated
            if one.file in wanted
            for mutant in (*one.mutants, *(one.typed if options.all else ()))
        ],
        results=results,
        workers=options.workers,
        state=_digest([path for name in UNDER_TEST for path in ROOT.glob(name)]),
        work=WORK,
    )
    _import_copy()
    status = pytest.main(
        [
            "-q",
            "--no-header",
            f"--basetemp={WORK / 'tmp'}",
            f"--rootdir={ROOT}",
            "-pno:cacheprovider",
            "-otmp_path_retention_policy=none",
            "-k",
            " and ".join(f"not {name}" for name in LEFT_OUT),
            *tests,
        ],
        plugins=[trial],
    )
    if status != pytest.ExitCode.OK:
        return int(status) or 1
    return _verdict(mutated, wanted, results, whole=wanted == sorted(files))


def _make(files: Sequence[str]) -> list[MutatedFile]:
    """Write the copy of the package with all mutants; those that the type checker refuses are set apart."""
    copy = WORK / "scripts" / "keyturn"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    made = [_mutated(file) for file in files]
    for one in made:
        (copy / one.file).write_text(one.code, encoding="utf-8")
    typed = refused(made, work=WORK, tests=ROOT / "tests", state=_digest(sorted(copy.rglob("*.py"))))
    return [
        replace(
            one,
            mutants=tuple(mutant for mutant in one.mutants if mutant.digest not in typed),
            typed=tuple(mutant for mutant in one.mutants if mutant.digest in typed),
        )
        for one in made
    ]


def _mutated(file: str) -> MutatedFile:
    """The mutants of one file: made once, for it takes seconds, and read again while nothing has changed."""
    state = _digest([PACKAGE / file, Path(__file__).with_name("mutants.py")])
    kept = WORK / "mutants" / f"{state}.pickle"
    if kept.exists():
        held: MutatedFile = pickle.loads(kept.read_bytes())  # noqa: S301 - a file of our own
        return held
    made = mutate(PACKAGE, file)
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_bytes(pickle.dumps(made))
    return made


def _import_copy() -> None:
    """Import the mutated package before anything can import the real one."""
    sys.path.insert(0, str(WORK / "scripts"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some mutants are doubtful code: that is their nature
        for name in PACKAGES:
            for path in sorted((WORK / "scripts" / "keyturn" / name).glob("*.py")):
                import_module(f"keyturn.{name}.{path.stem}")


def _digest(paths: Sequence[Path]) -> str:
    whole = hashlib.sha256()
    for path in sorted(paths):
        whole.update(path.read_bytes())
    return whole.hexdigest()


def _verdict(mutated: Sequence[MutatedFile], wanted: Sequence[str], results: Results, *, whole: bool) -> int:
    tried = [one for one in mutated if one.file in wanted]
    for one in tried:
        print(f"  {one.file:24} {results.tally(one.mutants)}")
    total = results.tally([mutant for one in tried for mutant in one.mutants])
    print(f"  {'together':24} {total}")
    if whole:
        text, unjudged = page(
            tried,
            results,
            judgements=read_judgements(JUDGEMENTS),
            floor=FLOOR,
            today=datetime.now(timezone.utc).date(),
        )
        PAGE.write_text(text, encoding="utf-8")
        print(f"  {PAGE.relative_to(ROOT)} written; {unjudged} survivors are not judged in {JUDGEMENTS.name}")
    if total.rate < FLOOR:
        print(f"keyturn: {total.rate:.1f} % killed is below {FLOOR:.0f} %", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
