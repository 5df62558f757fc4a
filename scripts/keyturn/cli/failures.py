"""What went wrong: for a person in three parts, for a program as data, for the shell as a number."""

from __future__ import annotations

import os
import platform
import sys
import tempfile
import traceback
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import click

from keyturn import __version__
from keyturn.cli.lines import Lines, Span, Style, detail, verdict
from keyturn.errors import EnvironmentFault, ExitCode, KeyturnError, NothingToDo, PendingError

if TYPE_CHECKING:
    from keyturn.policy import PolicyError

_EXTRA = frozenset({"github", "jinja2", "platformdirs", "rich", "sigstore", "tomli", "yaml"})
"""What only ``keyturn[repo]`` brings."""
GLOBAL_OPTIONS = frozenset({"-C", "--remote", "--json", "-q", "--quiet", "-v", "--verbose", "--at"})
"""Options that stand before the command."""


@dataclass(frozen=True, slots=True)
class Failure:
    """The end of a command that did not do what it was asked.

    Args:
        lines: For standard error.
        document: For ``--json``.
        exit_code: Exit code of the process.
    """

    lines: Lines
    document: dict[str, object]
    exit_code: int


def explain(error: BaseException) -> Failure:
    """Put any error into the words and the exit code that belong to it.

    Args:
        error: What a command raised.
    """
    if isinstance(error, KeyturnError):
        return _known(error)
    if isinstance(error, click.ClickException):
        return _usage(error)
    if isinstance(error, click.Abort | KeyboardInterrupt):
        failure = _failure("interrupted", "", reason="interrupted", exit_code=ExitCode.INTERRUPTED)
        # A question stands on the line where the cursor is; elsewhere click has begun a new one.
        return failure if error.__cause__ else replace(failure, lines=(verdict(), *failure.lines))
    if isinstance(error, ModuleNotFoundError) and (error.name or "").partition(".")[0] in _EXTRA:
        return _known(
            EnvironmentFault(
                f"the Python package {error.name} is missing",
                todo="Install the extra: pip install 'keyturn[repo]'",
                reason="missing-extra",
            )
        )
    return _internal(error)


def _known(error: KeyturnError) -> Failure:
    # Only a command that reads a policy raises this error, and it has imported the module then.
    if error.reason == "policy" and "keyturn.policy" in sys.modules:
        from keyturn.policy import PolicyError

        if isinstance(error, PolicyError):
            return _policy(error)
    label, style = _label(error)
    lines = _three_parts(label, style, error.what, error.where, error.todo)
    document: dict[str, object] = {"error": error.to_dict(), "exit": int(error.exit_code)}
    return Failure((*lines, *_details(error)), document, error.exit_code)


def _label(error: KeyturnError) -> tuple[str, Style]:
    if isinstance(error, NothingToDo):
        return "nothing to do", "dim"
    return ("pending", "warn") if isinstance(error, PendingError) else ("error", "bad")


def _three_parts(label: str, style: Style, what: str, where: str, todo: str) -> Lines:
    lines = [verdict(Span(f"{label}:", style), f" {what}")]
    if where:
        lines.append(verdict(f"  where: {where}"))
    if todo:
        lines.append(verdict(f"  todo: {todo}"))
    return tuple(lines)


def _details(error: KeyturnError) -> Lines:
    lines = [detail(f"  reason: {error.reason}")]
    if error.__cause__ is not None:
        lines.append(detail(f"  cause: {type(error.__cause__).__name__}: {error.__cause__}"))
    return tuple(lines)


def _policy(error: PolicyError) -> Failure:
    number = len(error.problems)
    head = verdict(
        Span("error:", "bad"),
        f" {number} problem{'s' if number > 1 else ''} in {error.file}, nothing was done",
    )
    problems = [
        {
            "kind": problem.kind,
            "line": problem.line,
            "column": problem.column,
            "where": problem.where,
            "what": problem.what,
            "todo": problem.todo,
        }
        for problem in error.problems
    ]
    return Failure(
        (head, *(verdict(f"  {problem.located(error.file)}") for problem in error.problems)),
        {"error": {**error.to_dict(), "problems": problems}, "exit": int(error.exit_code)},
        error.exit_code,
    )


def _usage(error: click.ClickException) -> Failure:
    context = error.ctx if isinstance(error, click.UsageError) else None
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        lines: Lines = tuple(verdict(text) for text in error.format_message().splitlines())
        what = "a command is missing"
    else:
        what = error.format_message().rstrip(".")
        lines = ()
    todo = f"See: {context.command_path} --help" if context else ""
    if isinstance(error, click.NoSuchOption) and error.option_name in GLOBAL_OPTIONS:
        todo = f"Write it before the command: keyturn {error.option_name} ..."
    failure = _failure(what, todo, reason="usage", exit_code=ExitCode.USAGE)
    return replace(failure, lines=lines) if lines else failure


def _failure(what: str, todo: str, *, reason: str, exit_code: ExitCode, where: str = "") -> Failure:
    said = {"reason": reason, "what": what, "where": where, "todo": todo}
    lines = _three_parts("error", "bad", what, where, todo)
    return Failure(lines, {"error": said, "exit": int(exit_code)}, exit_code)


def _internal(error: BaseException) -> Failure:
    report = _write_report(error)
    todo = (
        "Look through the report for anything that you want to keep to yourself, and send it to the project."
        if report
        else "The report could not be written; run the command where the temporary directory can be."
    )
    return _failure(
        "an error of Keyturn itself", todo, reason="internal", exit_code=ExitCode.INTERNAL, where=report
    )


def _write_report(error: BaseException) -> str:
    """Write what a developer needs to a new file; environment and arguments may hold secrets and stay out."""
    told = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    text = f"Keyturn {__version__}\nPython {sys.version}\n{platform.platform()}\n\n{told}"
    try:
        descriptor, name = tempfile.mkstemp(prefix="keyturn-report-", suffix=".txt")
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
    except OSError:
        return ""
    return name
