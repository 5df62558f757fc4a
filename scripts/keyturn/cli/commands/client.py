"""``keyturn client``: what an app does with :mod:`keyturn.client`, by hand."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

import click

from keyturn.cli import options
from keyturn.cli.files import read_file
from keyturn.cli.lines import Line, Lines, detail, good, verdict, warn
from keyturn.cli.output import Result
from keyturn.cli.session import Session
from keyturn.client import CheckResult, Client, Launched
from keyturn.errors import ExitCode, UsageError

_MAX_ROOT = 1_000_000
_SIGNALLED = 128
_ONLINE = ("check", "install")


@dataclass(frozen=True, slots=True)
class Request:
    """The options of ``client``."""

    action: str
    arguments: tuple[str, ...]
    root: Path | None
    url: str | None
    app: str
    directory: Path
    platform: str
    releases: str


@click.command()
@click.option("--root", type=options.PATH, metavar="FILE", help="The root that the app came with.")
@click.option("--url", metavar="URL", help="Root of the site.")
@click.option("--app", required=True, metavar="NAME", help="Name of the app.")
@click.option(
    "--dir", "directory", required=True, type=options.PATH, metavar="DIR", help="The client's own directory."
)
@click.option("--platform", default="", metavar="NAME", help="The platform to update for.")
@click.option(
    "--releases",
    default="",
    metavar="URL",
    help="Where archives are that are kept in releases, e.g. https://github.com/o/r/releases/download/.",
)
@click.argument("action", type=click.Choice(["check", "install", "launch", "confirm", "rollback"]))
@click.argument("arguments", nargs=-1)
@options.command(Request)
def client(session: Session, request: Request) -> Result:
    """Do what an app does that updates itself.

    check tells whether there is an update (exit 0) or not (exit 5); install installs the newest; launch
    starts the current version with what follows after --, and ends with its exit code; confirm says that it
    works; rollback goes back to the one before. check and install need --root and --url.
    """
    if request.arguments and request.action != "launch":
        raise UsageError(f"{request.action} takes no arguments", where="client")
    if session.options.at is not None:
        raise UsageError("a client goes by the computer's own clock", where="--at", reason="no-clock")
    return _ACTIONS[request.action](session, _client(request), request)


def _client(request: Request) -> Client:
    if request.action in _ONLINE and (request.root is None or request.url is None):
        raise UsageError(f"{request.action} needs --root and --url", where="client")
    root = read_file(request.root, _MAX_ROOT) if request.root else b""
    return Client(
        root,
        request.url or "",
        request.app,
        request.directory,
        platform=request.platform,
        releases=request.releases,
    )


def _check(session: Session, client: Client, request: Request) -> Result:
    found = client.check()
    return Result(
        lines=(*_stale(found), _offer(found, request.app), _held(found)),
        document=_document(found, request.app),
        exit_code=ExitCode.DONE if found.newest else ExitCode.NOTHING,
    )


def _install(session: Session, client: Client, request: Request) -> Result:
    found = client.check()
    if found.newest is None:
        return Result(
            lines=(*_stale(found), _offer(found, request.app)),
            document={**_document(found, request.app), "installed": None},
            exit_code=ExitCode.NOTHING,
        )
    session.output.show(_stale(found))
    version = found.newest.version
    with session.output.progress(f"{request.app} {version}") as progress:
        client.install(found.newest, progress)
    return Result(
        lines=(verdict(good("installed:"), f" {request.app} {version}"),),
        document={**_document(found, request.app), "installed": version},
    )


def _launch(session: Session, client: Client, request: Request) -> Result:
    with _own_standard_output(session):
        launched = client.launch(request.arguments)
        session.output.note(_gone_back(launched))
        code = _wait(launched.process)
    return Result(
        lines=(),
        document={"version": launched.version, "gone-back-from": launched.gone_back_from},
        exit_code=code,
    )


def _gone_back(launched: Launched) -> Lines:
    failed = launched.gone_back_from
    if failed is None:
        return ()
    return (
        verdict(
            warn("gone back:"), f" {failed} did not confirm that it works; starting {launched.version} again"
        ),
    )


def _confirm(session: Session, client: Client, request: Request) -> Result:
    confirmed = client.confirm()
    current = client.installed().current
    said = (
        verdict(good("confirmed:"), f" {request.app} {current}")
        if confirmed
        else verdict("nothing to confirm")
    )
    return Result(
        lines=(said,),
        document={"current": current, "confirmed": confirmed},
        exit_code=ExitCode.DONE if confirmed else ExitCode.NOTHING,
    )


def _rollback(session: Session, client: Client, request: Request) -> Result:
    version = client.rollback()
    return Result(
        lines=(verdict(good("gone back:"), f" {request.app} {version} is current"),),
        document={"current": version},
    )


_ACTIONS: dict[str, Callable[[Session, Client, Request], Result]] = {
    "check": _check,
    "install": _install,
    "launch": _launch,
    "confirm": _confirm,
    "rollback": _rollback,
}


def _offer(found: CheckResult, app: str) -> Line:
    if found.newest is None:
        return verdict(good("up to date:"), f" {app} {found.current}")
    have = found.current or "nothing installed"
    return verdict(good("update:"), f" {app} {have} -> {found.newest.version}, {found.newest.size:,} bytes")


def _stale(found: CheckResult) -> Lines:
    stale = found.stale
    if stale is None:
        return ()
    until = f"{found.held.expires:%Y-%m-%d %H:%M}Z"
    said = f" timestamp {stale.fetched} {stale.message}; going on with timestamp {stale.held} until {until}"
    more = (
        (verdict(warn("warning:"), " the server has been behind for more than an hour"),)
        if stale.warn
        else ()
    )
    return (verdict(warn("note:"), said), *more)


def _held(found: CheckResult) -> Line:
    held = found.held
    return detail(
        f"  root {held.root}, timestamp {held.timestamp}, snapshot {held.snapshot}, targets {held.targets}, "
        f"until {held.expires:%Y-%m-%d %H:%M}Z"
    )


def _document(found: CheckResult, app: str) -> dict[str, object]:
    stale = found.stale
    return {
        "app": app,
        "current": found.current,
        "newest": asdict(found.newest) if found.newest else None,
        "stale": {
            "reason": stale.message,
            "fetched": stale.fetched,
            "held": stale.held,
            "since": _utc(stale.since),
            "warn": stale.warn,
        }
        if stale
        else None,
        "versions": {
            "root": found.held.root,
            "timestamp": found.held.timestamp,
            "snapshot": found.held.snapshot,
            "targets": found.held.targets,
        },
        "expires": _utc(found.held.expires),
    }


def _utc(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def _wait(process: subprocess.Popen[bytes]) -> int:
    """The exit code of the app; an interrupt from the keyboard is the app's to answer."""
    while True:
        try:
            code = process.wait()
        except KeyboardInterrupt:
            continue
        return code if code >= 0 else _SIGNALLED - code


@contextmanager
def _own_standard_output(session: Session) -> Iterator[None]:
    """With ``--json``, keep what the app prints away from the document: it goes to standard error."""
    if not session.output.json:
        yield
        return
    sys.stdout.flush()
    kept = os.dup(_STDOUT)
    os.dup2(_STDERR, _STDOUT)
    try:
        yield
    finally:
        os.dup2(kept, _STDOUT)
        os.close(kept)


_STDOUT, _STDERR = 1, 2
