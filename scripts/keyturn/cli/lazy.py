"""A command group whose commands are imported when they are called, and not for a list of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module

import click


@dataclass(frozen=True, slots=True)
class Entry:
    """One command that can be imported.

    Args:
        name: What the person types.
        summary: What it does, for the list of commands.
        module: Module that holds it.
        function: Name of the click command there.
    """

    name: str
    summary: str
    module: str
    function: str


class LazyGroup(click.Group):
    """A group made from a table.

    Args:
        entries: The commands, in the order in which they are listed.
        attrs: What :class:`click.Group` takes.
    """

    def __init__(self, *, entries: Sequence[Entry] = (), **attrs: object) -> None:
        super().__init__(**attrs)  # type: ignore[arg-type] # click's own, handed on
        self._entries = {entry.name: entry for entry in entries}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, as the table orders them."""
        return list(self._entries)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        entry = self._entries.get(cmd_name)
        if entry is None:
            return None
        command = getattr(import_module(entry.module), entry.function)
        if not isinstance(command, click.Command):
            raise TypeError(f"{entry.module}.{entry.function} is no command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands from the table, without importing one."""
        with formatter.section("Commands"):
            formatter.write_dl([(entry.name, entry.summary) for entry in self._entries.values()])
