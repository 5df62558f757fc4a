"""Which mutants the type checker refuses: one run of mypy over the copy that holds them all."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from mutation.mutants import MARK, MutatedFile

_SETTINGS = """\
[mypy]
mypy_path = {scripts}:{tests}
python_version = 3.10
strict = true
warn_unused_ignores = false
enable_error_code = redundant-expr, truthy-bool
follow_imports = silent
explicit_package_bases = true
cache_dir = {work}/mypy
"""
_ERROR = re.compile(r"(?P<path>[^:]+):(?P<line>[0-9]+): error: (?P<what>.*)")


def refused(files: Sequence[MutatedFile], *, work: Path, tests: Path, state: str) -> frozenset[str]:
    """The digests of those mutants of which ``mypy --strict`` says what it does not say of their originals.

    `make lint` stops on them, so that no test has to.

    Args:
        files: The mutated files, as they were written below ``work``.
        work: The directory of this run's files.
        tests: The project's tests, for what the copy imports from there.
        state: Digest of what the answer depends on; the same as the last time has the same answer.

    Raises:
        RuntimeError: mypy did not say anything that can be understood.
    """
    kept = work / "typed.json"
    held = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {}
    if held.get("state") != state:
        errors = _errors(files, work, tests)
        found = {digest for one in files for digest in _refused_in(one, errors[_copy(work, one)])}
        held = {"state": state, "refused": sorted(found)}
        kept.write_text(json.dumps(held), encoding="utf-8")
    return frozenset(held["refused"])


def _copy(work: Path, one: MutatedFile) -> Path:
    return (work / "scripts" / "keyturn" / one.file).resolve()


def _errors(files: Sequence[MutatedFile], work: Path, tests: Path) -> Mapping[Path, list[tuple[int, str]]]:
    settings = work / "mypy.ini"
    settings.write_text(_SETTINGS.format(scripts=work / "scripts", tests=tests, work=work), encoding="utf-8")
    packages = sorted({str(_copy(work, one).parent) for one in files})
    command = [sys.executable, "-m", "mypy", "--config-file", str(settings), "--no-error-summary", *packages]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode not in {0, 1}:
        raise RuntimeError(f"mypy ended with {done.returncode}: {done.stderr or done.stdout}")
    errors: dict[Path, list[tuple[int, str]]] = defaultdict(list)
    for line in done.stdout.splitlines():
        found = _ERROR.match(line)
        if found:
            errors[Path(found["path"]).resolve()].append((int(found["line"]), found["what"]))
    return errors


def _refused_in(one: MutatedFile, errors: Sequence[tuple[int, str]]) -> set[str]:
    versions = {}
    for node in ast.walk(ast.parse(one.code)):
        if isinstance(node, ast.FunctionDef) and MARK in node.name and node.end_lineno:
            versions.update(dict.fromkeys(range(node.lineno, node.end_lineno + 1), node.name))
    said: dict[str, set[str]] = defaultdict(set)
    for number, what in errors:
        if number in versions:
            said[versions[number]].add(what)
    return {
        mutant.digest
        for mutant in one.mutants
        if said[mutant.name] - said[f"{mutant.name.partition(MARK)[0]}{MARK}orig"]
    }
