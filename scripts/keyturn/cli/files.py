"""Files that a person names on the command line."""

from __future__ import annotations

import sys
from pathlib import Path

from keyturn.errors import EnvironmentFault, UsageError


def read_file(path: Path, limit: int) -> bytes:
    """The bytes of a file, or of standard input for ``-``.

    Args:
        path: The file.
        limit: Largest number of bytes that is read.

    Raises:
        UsageError: There is no such file (reason ``no-file``), or it is larger (``too-large``).
        EnvironmentFault: It cannot be read.
    """
    try:
        if str(path) == "-":
            data = sys.stdin.buffer.read(limit + 1)
        else:
            with path.open("rb") as file:
                data = file.read(limit + 1)
    except (FileNotFoundError, IsADirectoryError) as error:
        raise UsageError("there is no such file", where=str(path), reason="no-file") from error
    except (OSError, ValueError) as error:
        raise EnvironmentFault(f"cannot be read: {_why(error)}", where=str(path)) from error
    if len(data) > limit:
        raise UsageError(f"is larger than {limit:,} bytes", where=str(path), reason="too-large")
    return data


def require_absent(path: Path) -> None:
    """Refuse to overwrite a file, before the work is done whose result it shall hold.

    Raises:
        UsageError: There is something already (reason ``exists``).
    """
    if path.exists() or path.is_symlink():
        raise UsageError(
            "exists already and is not overwritten", where=str(path), todo="Name a new file.", reason="exists"
        )


def write_new_file(path: Path, text: str) -> None:
    """Write a file that was not there.

    Raises:
        UsageError: There is something already (reason ``exists``).
        EnvironmentFault: It cannot be written.
    """
    require_absent(path)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except (OSError, ValueError) as error:
        raise EnvironmentFault(f"cannot be written: {_why(error)}", where=str(path)) from error


def make_directory(path: Path) -> None:
    """Make a directory, and those above it; one that is there will do.

    Raises:
        EnvironmentFault: It cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        raise EnvironmentFault(f"cannot be made: {_why(error)}", where=str(path)) from error


def _why(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
