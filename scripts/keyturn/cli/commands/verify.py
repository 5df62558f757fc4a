"""``keyturn verify``: check a site, a directory or a revision from a trusted root."""

from __future__ import annotations

from pathlib import Path

import click

from keyturn.cli import options, render
from keyturn.cli.files import read_file
from keyturn.cli.output import Result
from keyturn.cli.session import Session
from keyturn.errors import ExitCode, RefusedError, UsageError
from keyturn.flow.checking import check, root_digest_of
from keyturn.flow.context import Context, pinned_digest
from keyturn.verify import errors

_MAX_ROOT = 1_000_000


@click.command()
@click.argument("subject")
@click.option("--root", type=options.PATH, metavar="FILE", help="Root 1, which you trust.")
@options.root_digest
@click.pass_obj
def verify(session: Session, subject: str, root: Path | None, root_digest: str | None) -> Result:
    """Check SUBJECT: the URL of a site, a directory, a branch of the remote, or a git revision.

    Every finding is listed. A directory is looked for below that of -C.
    """
    if root is not None and root_digest is not None:
        raise UsageError("give either --root or --root-digest", where="verify")
    given = (
        root_digest_of(read_file(root, _MAX_ROOT), str(root)) if root else session.root_digest(root_digest)
    )
    context = _repository(session, subject)
    trusted = pinned_digest(context.remembered, given) if context else given
    if trusted is None:
        raise RefusedError(
            "there is no root to verify it from",
            where=subject,
            todo="Name one that you trust: --root FILE (root 1), --root-digest SHA256, or KEYTURN_ROOT.",
            reason="no-pin",
        )
    if context:
        context.forge.refresh()
    directory = session.options.directory
    result = check(subject, directory, trusted, session.now, forge=context.forge if context else None)
    broken = errors(result.findings)
    return Result(
        lines=render.checked(result),
        document={
            "subject": result.subject,
            "kind": result.kind,
            "valid": not broken,
            "findings": [finding.to_dict() for finding in result.findings],
        },
        exit_code=ExitCode.INVALID if broken else ExitCode.DONE,
    )


def _repository(session: Session, subject: str) -> Context | None:
    """The repository and its remote, if the subject can be a branch or a revision."""
    if "://" in subject or (session.options.directory / subject).is_dir():
        return None
    return session.context()
