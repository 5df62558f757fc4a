"""Starting an installed version: what to run, and what it is told."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from keyturn.client.errors import NotStartedError

APP_VERSION = "KEYTURN_APP_VERSION"
APP_DIR = "KEYTURN_APP_DIR"
STORE = "KEYTURN_STORE"

_WINDOWS_PROGRAM = ".exe"


def command_line(tree: Path, app: str, command: Sequence[str] | None, arguments: Sequence[str]) -> list[str]:
    """What to run for an installed version.

    Args:
        tree: The version's directory.
        app: The app's name.
        command: What to run instead of the default; a first word that is the path of a file in the tree
            means that file, any other is left to the system. None: the executable named like the app at the
            top level of the tree, or the only executable there. Scripts ending in ``.py`` are never taken by
            default: which interpreter they need is for ``command`` to say.
        arguments: What follows it.

    Returns:
        The program and its arguments.

    Raises:
        NotStartedError: There is nothing to run, or more than one thing.
    """
    if command is not None:
        first, *more = command
        inside = tree / first
        return [str(inside) if inside.is_file() else first, *more, *arguments]
    programs = {entry.name: entry for entry in tree.iterdir() if _is_program(entry)}
    own = programs.get(app) or programs.get(app + _WINDOWS_PROGRAM)
    if own is None and len(programs) == 1:
        (own,) = programs.values()
    if own is None:
        names = ", ".join(sorted(programs)) or "none"
        raise NotStartedError(
            f"no executable called {app} at the top level of the bundle (executables there: {names})",
            where=str(tree),
            todo="name the command to run",
        )
    return [str(own), *arguments]


def start(command: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start a process that shares this one's terminal, files and working directory.

    Args:
        command: The program and its arguments.
        environment: Its whole environment.

    Returns:
        The process.

    Raises:
        NotStartedError: The system cannot run it.
    """
    try:
        return subprocess.Popen(command, env=environment)
    except OSError as error:
        why = error.strerror or str(error)
        raise NotStartedError(f"cannot be started: {why}", where=command[0]) from error


def _is_program(entry: Path) -> bool:
    if not entry.is_file() or entry.suffix.lower() == ".py":
        return False
    return entry.suffix.lower() == _WINDOWS_PROGRAM or (sys.platform != "win32" and os.access(entry, os.X_OK))
