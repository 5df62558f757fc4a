"""``docs/mutation.md``: the figures and the survivors of a run, each with what somebody thinks of it.

The judgements are written by hand, in ``judgements.yml`` beside this file. Each says which survivors it is
about by patterns, so that it outlives the next run; the page groups the survivors by their judgements.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from fnmatch import fnmatchcase
from pathlib import Path

import yaml

from mutation.mutants import Mutant, MutatedFile
from mutation.results import Results, Tally

VERDICTS: Mapping[str, str] = {
    "missing": "A test should exist",
    "harmless": "Harmless",
    "equivalent": "The same program",
}
"""In the order in which the page shows them: what there is to do comes first."""

_BEGINNING = """\
# Mutation testing

<!-- Written by `make mutation`; judgements are made by hand in tests/mutation/judgements.yml. -->

```console
$ make mutation
$ make mutation FILES=verify/thresholds.py
```

A mutant is the program with one small change: a comparison turned round, an argument left out, `and` for
`or`. The tests should notice. One that no test notices has *survived*, and shows what no test asks for.
Mutants are made of every function of `scripts/keyturn/verify/` and `scripts/keyturn/signing/`, where trust is
decided.

`make mutation` prints the share that was killed and fails where it is below {floor:.0f} %. It is no part of
`make test`, for it takes long. What it finds out is kept in `.mutation`: it can be stopped at any time, and
tries only what has changed the next time; `FRESH=1` begins anew. mutmut makes the mutants; `tests/mutation/`
runs them, against the unit tests of the two packages alone, with six examples for each property.
"""

_LEFT_OUT = """\
## What is left out

- What the type checker refuses: {typed} mutants, most of them `None` where there must be something, or an
  argument that is missing. `mypy --strict`, which `make lint` runs, says of each what it does not say of the
  original. They count neither as killed nor as survivors. `ALL=1` tries them too:
  {seen}.
- Sentences: {prose} mutants that would change nothing but the wording of a text for people (a literal with
  two words or more). No test should hold on to a wording. That a refusal says something, where, and what to
  do, is in.
- What stands outside functions, for mutmut changes functions only: patterns, limits, the tables of the rules,
  and the few functions that stand below an `if` of their module (a lock and a sync, one for each system).
  Each rule has cases that break it and cases that keep it, and `test_rules_table.py` proves that it is the
  rule that they are about.
- The arguments of `len` and `isinstance`, annotations, and f-strings as texts; what is computed inside an
  f-string is changed.
- Functions with other decorators than `property`, `cached_property`, `contextmanager` and `classmethod`, of
  which there are none.
"""


@dataclass(frozen=True, slots=True)
class Pattern:
    """Which survivors a judgement is about; what is empty fits all.

    Args:
        file: Shell pattern, e.g. ``signing/*``.
        function: Shell pattern, e.g. ``Event.*``.
        was: Regular expression that is searched in the lines that were changed.
        now: Regular expression that is searched in the lines as the mutant has them.
    """

    file: str = "*"
    function: str = "*"
    was: str = ""
    now: str = ""

    def fits(self, mutant: Mutant) -> bool:
        """Whether a mutant is meant."""
        return (
            fnmatchcase(mutant.file, self.file)
            and fnmatchcase(mutant.function, self.function)
            and re.search(self.was, mutant.was) is not None
            and re.search(self.now, mutant.now) is not None
        )


@dataclass(frozen=True, slots=True)
class Judgement:
    """What somebody thinks of some survivors.

    Args:
        verdict: One of ``VERDICTS``.
        why: Why they are the same program or harmless, or which test should exist.
        about: Which survivors.
    """

    verdict: str
    why: str
    about: tuple[Pattern, ...]

    def fits(self, mutant: Mutant) -> bool:
        """Whether this is about a mutant."""
        return any(pattern.fits(mutant) for pattern in self.about)


def read_judgements(path: Path) -> tuple[Judgement, ...]:
    """Read ``judgements.yml``.

    Raises:
        ValueError: A verdict is not known.
    """
    found = []
    for entry in yaml.safe_load(path.read_text(encoding="utf-8")) or ():
        if entry["verdict"] not in VERDICTS:
            raise ValueError(f"{path}: no verdict {entry['verdict']!r}")
        about = tuple(Pattern(**pattern) for pattern in entry["about"])
        found.append(Judgement(entry["verdict"], entry["why"].strip(), about))
    return tuple(found)


def page(
    files: Sequence[MutatedFile],
    results: Results,
    *,
    judgements: Sequence[Judgement],
    floor: float,
    today: date,
) -> tuple[str, int]:
    """The page as Markdown, and how many survivors are on it that nobody has judged.

    Args:
        files: All files with their mutants.
        results: What became of them.
        judgements: What people think.
        floor: Percent that must be killed.
        today: The day of the figures.
    """
    survivors = [
        mutant
        for one in files
        for mutant in one.mutants
        if mutant.digest in results.fates and not results.fates[mutant.digest].fate.dead
    ]
    groups: dict[Judgement | None, list[Mutant]] = {judgement: [] for judgement in judgements}
    for mutant in survivors:
        groups.setdefault(next((j for j in judgements if j.fits(mutant)), None), []).append(mutant)
    unjudged = groups.pop(None, [])
    parts = [
        _BEGINNING.format(floor=floor),
        _figures(files, results, today),
        _left_out(files, results),
        *(
            _section(title, [(j.why, groups[j]) for j in judgements if j.verdict == verdict and groups[j]])
            for verdict, title in VERDICTS.items()
        ),
        _section("Not judged yet", [("Nobody has looked at these.", unjudged)] if unjudged else []),
    ]
    return "\n".join(part for part in parts if part), len(unjudged)


def _figures(files: Sequence[MutatedFile], results: Results, today: date) -> str:
    rows = [
        ("| file | mutants | killed | by time | survived | no test | rate |"),
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    rows += [_row(f"`{one.file}`", results.tally(one.mutants)) for one in files if one.mutants]
    total = results.tally([mutant for one in files for mutant in one.mutants])
    rows.append(_row("together", total))
    return (
        f"## Figures of {today:%Y-%m-%d}\n\n"
        f"**{total.rate:.1f} %** of {total.all} mutants were killed. *By time* are those that never end; "
        "*no test* are those whose function none of these tests calls.\n\n" + "\n".join(rows) + "\n"
    )


def _left_out(files: Sequence[MutatedFile], results: Results) -> str:
    typed = [mutant for one in files for mutant in one.typed]
    tally = results.tally(typed)
    seen = (
        f"of {tally.all} that it has tried so far, tests alone killed {tally.rate:.1f} %"
        if tally.all
        else "no run has done so yet"
    )
    return _LEFT_OUT.format(prose=sum(one.prose for one in files), typed=len(typed), seen=seen)


def _row(name: str, tally: Tally) -> str:
    cells = (tally.all, tally.killed, tally.timeout, tally.survived, tally.untested, f"{tally.rate:.1f} %")
    return f"| {name} | {' | '.join(map(str, cells))} |"


def _section(title: str, groups: Sequence[tuple[str, Sequence[Mutant]]]) -> str:
    if not groups:
        return ""
    return f"## {title}\n\n" + "\n".join(f"{why}\n\n{_list(mutants)}" for why, mutants in groups)


def _list(mutants: Sequence[Mutant]) -> str:
    return "".join(
        f"- `{mutant.file}` `{mutant.function}`: {_code(mutant.was)} became {_code(mutant.now)}\n"
        for mutant in mutants
    )


def _code(text: str) -> str:
    """Source as inline code; more backticks around it than there are in it."""
    if not text:
        return "nothing"
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence, blank = "`" * (longest + 1), " " if longest else ""
    return f"{fence}{blank}{text}{blank}{fence}"
