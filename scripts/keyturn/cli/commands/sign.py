"""``keyturn sign``: check an event, show it, turn the keys, hand the signatures in (DESIGN section 4)."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import click

from keyturn.cli import options, render
from keyturn.cli.announcing import announce_event
from keyturn.cli.delivery import describe, hand_in, handed_in
from keyturn.cli.digest import read_digest
from keyturn.cli.files import require_absent, write_new_file
from keyturn.cli.lines import good, line, strong, verdict
from keyturn.cli.output import Result
from keyturn.cli.session import Session
from keyturn.cli.text import escape
from keyturn.errors import KeyturnError, NothingToDo, PendingError, RefusedError, UsageError
from keyturn.flow.context import Context, Loaded, load_event, require_pin
from keyturn.flow.signing import (
    Preparation,
    export,
    prepare,
    read_export,
    remember_root,
    turn_keys,
    with_root,
)
from keyturn.signing import DESPITE, SignatureBlock
from keyturn.signing import render as render_block
from keyturn.state import RoleFile

_TYPED = 8
"""How many digits of the root digest a person types to pin it (SPEC: Signer's own directory)."""


@dataclass(frozen=True, slots=True)
class Request:
    """The options of ``sign``."""

    event: str | None
    key: str | None
    roles: tuple[str, ...]
    yes: bool
    expect: tuple[str, ...]
    export: Path | None
    source: Path | None
    out: Path | None
    root_digest: str | None
    despite: str
    check_files: bool


@click.command()
@options.only_event
@options.key
@click.option(
    "--role", "roles", multiple=True, metavar="NAME", help="Sign this role only; may be given again."
)
@click.option("--yes", is_flag=True, help="Do not ask; sign exactly the payloads named with --expect.")
@click.option(
    "--expect", multiple=True, metavar="SHA256", help="Payload digest that may be signed; once for each role."
)
@click.option(
    "--export", type=options.PATH, metavar="DIR", help="Write the event for a machine without a network."
)
@click.option(
    "--from", "source", type=options.PATH, metavar="DIR", help="Sign what --export wrote, with --out."
)
@click.option(
    "--out", type=options.PATH, metavar="FILE", help="Write the signatures here instead of pushing."
)
@options.root_digest
@click.option("--despite", default="", metavar="WORDS", help=f'Sign another payload again: "{DESPITE}".')
@click.option(
    "--check-files", is_flag=True, help="Fetch the very files first, and hold them against what is signed."
)
@options.command(Request)
def sign(session: Session, request: Request) -> Result:
    """Check EVENT from the pinned root, show what it changes, and turn your key.

    The exit code is 0 once your signatures are made, also while others are missing.
    """
    _check_options(session, request)
    if request.source is not None:
        loaded = read_export(
            request.source, session.home, session.now, session.root_digest(request.root_digest)
        )
        return _to_file(_turned(session, loaded, request), request)
    context = session.context(event=request.event, root_digest=request.root_digest)
    topic = session.topic(context, request.event)
    if request.event is not None:
        context.forge.refresh()
    loaded = load_event(context, topic)
    if request.export is not None:
        return _exported(loaded, request.export)
    if request.check_files:
        _check_files(session, context, loaded)
    turned = _turned(session, loaded, request)
    return _to_file(turned, request) if request.out else _pushed(session, context, turned)


def _check_files(session: Session, context: Context, loaded: Loaded) -> None:
    """Hold every file that the event adds or replaces against it; nothing is signed if one differs."""
    from keyturn.flow.checking_files import check_files, fetch_from, fetch_through, page_of

    code_host = session.code_host(context)
    if code_host is not None and code_host.token is not None:
        fetch = fetch_through(code_host.host())
    else:
        fetch = fetch_from(code_host.url if code_host is not None else page_of(context.forge.url))
    checked = check_files(loaded, fetch)
    session.output.show(render.checked_files(checked), always=True)


@dataclass(frozen=True, slots=True)
class _Turned:
    prepared: Preparation
    blocks: tuple[SignatureBlock, ...]


def _check_options(session: Session, request: Request) -> None:
    if request.export is not None and (request.out or request.source or request.yes):
        raise _unfit("--export only writes the event; it goes with none of --out, --from, --yes")
    if request.check_files and (request.export or request.source):
        raise _unfit("--check-files fetches files, and goes with neither --export nor --from")
    if request.source is not None and (request.event or not request.out):
        raise _unfit("--from DIR takes the event from DIR, and needs --out FILE")
    if request.yes and not request.expect:
        raise _unfit("--yes needs the payload digest of each role with --expect: nothing is signed unseen")
    for digest in request.expect:
        read_digest(digest, where="--expect")
    if request.out is not None:
        require_absent(request.out)
    if request.export is None and not request.yes and not session.output.can_confirm:
        raise UsageError(
            "nobody can be asked here",
            where="sign",
            todo="Look with `keyturn status EVENT`, and sign with --yes and --expect SHA256 for each role.",
            reason="not-a-terminal",
        )


def _unfit(what: str) -> UsageError:
    return UsageError(what, where="sign")


def _turned(session: Session, loaded: Loaded, request: Request) -> _Turned:
    prepared = _prepared(session, _trusted(session, loaded, request), request)
    session.output.show(render.preparation(prepared), always=not request.yes)
    _require_expected(prepared, request.expect)
    if not request.yes and not click.confirm(escape(render.question(prepared)), err=True):
        raise PendingError("nothing was signed", where=loaded.name, reason="declined")
    return _Turned(prepared, turn_keys(prepared, session.home, session.now, despite=request.despite))


def _trusted(session: Session, loaded: Loaded, request: Request) -> Loaded:
    """The event under a root that the person trusts; the digest that they got from a founder is pinned."""
    remembered = session.home.remote(loaded.url)
    first = loaded.event.baseline.roots.get(1)
    try:
        require_pin(loaded.event, loaded.name)
    except RefusedError:
        if first is None or not session.output.can_confirm:
            raise
        _ask_for_root(session, loaded, first)
        remembered.write_pin(first.data)
        return with_root(loaded, first.digest)
    if first is not None and first.digest == request.root_digest:
        remembered.write_pin(first.data)
    return loaded


def _ask_for_root(session: Session, loaded: Loaded, first: RoleFile) -> None:
    """Let the person type how the root digest begins; hidden here, for they must have it from elsewhere."""
    groups = [first.digest[start : start + _TYPED] for start in range(_TYPED, len(first.digest), _TYPED)]
    session.output.show(
        [
            line(strong("This machine does not know this repository yet."), f" It is {loaded.url}"),
            line(f"It claims the root digest  {'.' * _TYPED} {' '.join(groups)}"),
            line(
                "Ask a founder for the whole digest, by telephone or in person, not through the repository."
            ),
        ],
        always=True,
    )
    typed: str = click.prompt(f"The first {_TYPED} digits that the founder told you", err=True)
    if "".join(typed.split()).lower() != first.digest[:_TYPED]:
        raise RefusedError(
            "what the founder told you is not the beginning of the root digest that the repository claims",
            where=loaded.url,
            todo="Do not sign. Ask the founder again: if they are sure, this is not their repository.",
            reason="other-root",
        )


def _prepared(session: Session, loaded: Loaded, request: Request) -> Preparation:
    """What the first key that may sign something would sign."""
    refusals: list[KeyturnError] = []
    for signer in session.signers(request.key):
        try:
            return prepare(loaded, session.home, signer, request.roles, despite=request.despite)
        except (RefusedError, NothingToDo) as error:
            if error.reason == "ledger":
                raise _with_despite(error) from error
            if error.reason not in ("foreign-key", "already-signed"):
                raise
            refusals.append(error)
    raise next((error for error in refusals if error.reason == "already-signed"), refusals[0])


def _with_despite(error: KeyturnError) -> RefusedError:
    todo = f"{error.todo} (as --despite {shlex.quote(DESPITE)})"
    return RefusedError(error.what, where=error.where, todo=todo, reason=error.reason)


def _require_expected(prepared: Preparation, expected: Sequence[str]) -> None:
    known = {read_digest(digest, where="--expect") for digest in expected}
    for turn in prepared.turns:
        if known and turn.file.digest not in known:
            raise RefusedError(
                f"the payload of {turn.file.role} {turn.file.version} is {turn.file.digest}, "
                "which none of --expect names",
                where=prepared.loaded.name,
                todo="Look at what is proposed now with `keyturn status`; or sign fewer roles with --role.",
                reason="unexpected-payload",
            )


def _exported(loaded: Loaded, directory: Path) -> Result:
    export(loaded, directory)
    return Result(
        lines=(
            verdict(good("exported:"), f" {loaded.name} to {directory}"),
            line(strong("next: "), "there: keyturn sign --from DIR --key URI --out FILE"),
        ),
        document={"event": loaded.name, "directory": str(directory)},
    )


def _to_file(turned: _Turned, request: Request) -> Result:
    out = request.out or Path()
    write_new_file(out, "".join(render_block(block) for block in turned.blocks))
    topic = shlex.quote(turned.prepared.loaded.topic)
    return Result(
        lines=(
            verdict(good("signed:"), f" {len(turned.blocks)} signature(s) in {out}"),
            line(
                strong("next: "), f"where there is a network: keyturn attach {topic} {shlex.quote(str(out))}"
            ),
        ),
        document={
            "event": turned.prepared.loaded.name,
            "out": str(out),
            "signed": [describe(block) for block in turned.blocks],
        },
    )


def _pushed(session: Session, context: Context, turned: _Turned) -> Result:
    loaded = turned.prepared.loaded

    def pin_founded(block: SignatureBlock) -> None:
        if loaded.event.founding and (block.role, block.version) == ("root", 1):
            remember_root(turned.prepared, session.home)

    handed = handed_in(hand_in(session, context, loaded.topic, turned.blocks, pin_founded))
    announced = announce_event(session, context, loaded.topic)
    return replace(
        handed, lines=(*handed.lines, *announced.lines), document={**handed.document, **announced.to_dict()}
    )
