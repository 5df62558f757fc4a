"""The pull request of a signing event that a command has just pushed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from keyturn.cli.lines import Lines, line, strong, warn
from keyturn.cli.session import Session
from keyturn.flow.context import Context
from keyturn.forge import EVENT_PREFIX
from keyturn.forge.host import HostError

if TYPE_CHECKING:
    from keyturn.cli.code_host import CodeHost


@dataclass(frozen=True, slots=True)
class Announced:
    """Where people look at an event.

    Args:
        lines: For a person.
        pull_request: Page of the pull request; None if there is none yet, or on a plain git remote.
        page: Page on which it can be opened; None if it is open, or on a plain git remote.
    """

    lines: Lines = ()
    pull_request: str | None = None
    page: str | None = None

    def to_dict(self) -> dict[str, object]:
        """What ``--json`` shows of it; nothing on a plain git remote."""
        if self.pull_request is None and self.page is None:
            return {}
        return {"pull-request": self.pull_request, "open-pull-request": self.page}


def announce_event(
    session: Session, context: Context, topic: str, code_host: CodeHost | None = None
) -> Announced:
    """Open the pull request of an event with the person's token, or say where they can open it.

    The event itself is pushed already, so a code host that refuses is a warning and no failure.

    Args:
        session: The command.
        context: Where.
        topic: Topic of the event.
        code_host: Where, if it is known already.
    """
    code_host = code_host or session.code_host(context)
    if code_host is None:
        return Announced()
    branch = EVENT_PREFIX + topic
    page = code_host.compare_page(context.forge.branch, branch)
    by_hand = line(strong("pull request: "), f"open it at {page}")
    if code_host.token is None:
        return Announced((by_hand,), page=page)
    try:
        opened = code_host.host().open_pull_request(
            branch, f"Signing event {topic}", _BODY.format(branch=branch)
        )
    except HostError as error:
        return Announced((line(warn("warning:"), f" {error.what}"), by_hand), page=page)
    return Announced((line(strong("pull request: "), opened.url),), pull_request=opened.url)


_BODY = """\
Signing event `{branch}`. What it changes, and whose signatures are missing, is in the comment below and in \
`keyturn status {branch}`.

To sign: `keyturn sign` with the address of this pull request, or a review that carries a signature block.
"""
