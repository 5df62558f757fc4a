"""The mutants: mutmut makes them, in memory; nothing here is run."""

from __future__ import annotations

import ast
import difflib
import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import libcst as cst
from mutmut.mutation import file_mutation

SET_ASIDE = frozenset({"property", "cached_property", "contextmanager"})
"""Decorators that are taken off while mutmut works: it leaves decorated functions alone."""
PROSE = re.compile(r"[A-Za-z]{2}.* .*[A-Za-z]{2}", re.DOTALL)
"""A literal with two words is a sentence for a person."""
_IMPORT = "from mutmut.mutation.trampoline import wrap_in_trampoline as _mutmut_mutated, MutantDict"
_OUR_IMPORT = "from mutation.switch import mutated as _mutmut_mutated, Versions as MutantDict"
MARK = "__mutmut_"
"""What stands between the name of a function and the number of its mutant."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change to one function.

    Args:
        file: Path below the package, e.g. ``verify/event.py``.
        module: Dotted name of the module.
        name: Name of the mutant's function in the mutated module.
        function: The function as people call it: ``Class.method`` or ``function``.
        was: The lines that were changed, as they are in the source.
        now: The same lines in the mutant.
        digest: Of the function and the change; the same digest is the same mutant.
    """

    file: str
    module: str
    name: str
    function: str
    was: str
    now: str
    digest: str

    @property
    def called(self) -> str:
        """The function as :class:`mutation.switch.Switch` notes its calls."""
        return f"{self.module}:{self.name.partition(MARK)[0]}"


@dataclass(frozen=True, slots=True)
class MutatedFile:
    """A file with all its mutants.

    Args:
        file: Path below the package.
        code: The mutated module.
        mutants: Its mutants.
        prose: How many mutants were left out because they change only the wording of a sentence.
        typed: Those that the type checker refuses, set apart from the others.
    """

    file: str
    code: str
    mutants: tuple[Mutant, ...]
    prose: int
    typed: tuple[Mutant, ...] = ()


def mutate(package: Path, file: str) -> MutatedFile:
    """Make every mutant of one file.

    Args:
        package: The directory of the package ``keyturn``.
        file: Path below it.
    """
    code = _undecorated((package / file).read_text(encoding="utf-8"))
    module, mutations, classes, functions = file_mutation.create_mutations(file, code)
    inside = [m for m in mutations if isinstance(m.contained_by_top_level_function, cst.FunctionDef)]
    kept = [mutation for mutation in inside if not _only_prose(mutation.original_node)]
    result = file_mutation.combine_mutations_to_source(module, kept, classes, functions)
    mutated = _decorated(result.code.replace(_IMPORT, _OUR_IMPORT))
    dotted = ".".join(("keyturn", *Path(file).with_suffix("").parts)).removesuffix(".__init__")
    mutants = tuple(_described(file, dotted, result.code, result.mutant_names))
    return MutatedFile(file=file, code=mutated, mutants=mutants, prose=len(inside) - len(kept))


def _only_prose(node: cst.CSTNode) -> bool:
    return isinstance(node, cst.SimpleString) and bool(PROSE.search(node.raw_value))


def _undecorated(code: str) -> str:
    """The same module with each of the ``SET_ASIDE`` as a remark, which mutmut copies with its function."""
    lines = code.splitlines(keepends=True)
    for node in _functions(ast.parse(code)):
        if len(node.decorator_list) == 1:
            decorator = node.decorator_list[0]
            if isinstance(decorator, ast.Name) and decorator.id in SET_ASIDE:
                indent = " " * node.col_offset
                lines[decorator.lineno - 1] = f"{indent}# @{decorator.id}\n"
    return "".join(lines)


def _decorated(code: str) -> str:
    """The decorators back again, on the functions that are called: not on their mutants."""
    names = "|".join(sorted(SET_ASIDE))
    return re.sub(rf"# @({names})\n(?=[ ]*(?:@_mutmut_mutated\(|def (?!x_|xǁ)))", r"@\1\n", code)


def _functions(tree: ast.Module) -> Iterator[ast.FunctionDef]:
    for node in tree.body:
        inner = node.body if isinstance(node, ast.ClassDef) else [node]
        yield from (part for part in inner if isinstance(part, ast.FunctionDef))


def _described(file: str, dotted: str, code: str, names: Sequence[str]) -> Iterator[Mutant]:
    lines = code.splitlines()
    versions = {node.name: lines[node.lineno - 1 : node.end_lineno] for node in _functions(ast.parse(code))}
    for name in names:
        mangled = name.partition(MARK)[0]
        original = f"{mangled}{MARK}orig"
        function = mangled.removeprefix("x_").removeprefix("xǁ").replace("ǁ", ".")
        before = [line.replace(original, function) for line in versions[original]]
        after = [line.replace(name, function) for line in versions[name]]
        was, now = _difference(before, after)
        digest = hashlib.sha256("\0".join((file, name, *before, *after)).encode()).hexdigest()[:16]
        yield Mutant(file, dotted, name, function, was, now, digest)


def _difference(before: list[str], after: list[str]) -> tuple[str, str]:
    was, now = [], []
    for line in difflib.ndiff(before, after):
        if line.startswith("- "):
            was.append(line[2:].strip())
        elif line.startswith("+ "):
            now.append(line[2:].strip())
    return " ".join(was), " ".join(now)
