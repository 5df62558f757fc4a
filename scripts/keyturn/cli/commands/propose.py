"""``keyturn propose``: new metadata for others to sign."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from keyturn.cli import options, render
from keyturn.cli.announcing import announce_event
from keyturn.cli.files import read_file
from keyturn.cli.lines import good, line, strong, verdict
from keyturn.cli.output import Result
from keyturn.cli.session import Session
from keyturn.errors import UsageError
from keyturn.flow import changing, proposing
from keyturn.flow.context import Context

_MAX_FILE = 2_000_000_000
_MAX_POLICY = 1_000_000


@click.group()
def propose() -> None:
    """Propose a release, files, a changed policy or renewals to be signed.

    The same topic again updates the event.
    """


@propose.command()
@click.argument("app")
@click.argument("version")
@click.argument("directory", metavar="DIR", type=options.PATH)
@click.option("--platform", default="", help="The platform that it is for, if the policy names some.")
@click.pass_obj
def release(session: Session, app: str, version: str, directory: Path, platform: str) -> Result:
    """Propose VERSION of APP: a reproducible archive of what lies in DIR."""
    if not directory.is_dir():
        raise UsageError("is not a directory", where=str(directory), reason="no-directory")
    context = session.context()
    return _proposed(session, context, proposing.release(context, app, version, directory, platform))


@propose.command()
@click.argument("files", nargs=-1, metavar="[PATH=FILE]...")
@click.option("--remove", "removed", multiple=True, metavar="PATH", help="A target path to remove.")
@click.option("--topic", default="files", show_default=True, help="Topic of the event.")
@click.pass_obj
def files(session: Session, files: tuple[str, ...], removed: tuple[str, ...], topic: str) -> Result:
    """Propose target files: the bytes of FILE under the target path PATH."""
    if not files and not removed:
        raise UsageError("names no file", where="propose files", todo="Write PATH=FILE, or --remove PATH.")
    added = dict(_pair(text) for text in files)
    if len(added) < len(files) or set(added) & set(removed):
        raise UsageError("a target path is named twice", where="propose files")
    context = session.context()
    return _proposed(session, context, proposing.files(context, added, removed, topic))


@propose.command()
@click.option("--policy", "file", type=options.PATH, help="A changed keyturn.yml that goes into the event.")
@click.option("--topic", default=changing.POLICY_TOPIC, show_default=True, help="Topic of the event.")
@click.pass_obj
def policy(session: Session, file: Path | None, topic: str) -> Result:
    """Propose the keys, thresholds, periods and delegations that keyturn.yml asks for.

    While somebody's key is missing the event waits for them to join it.
    """
    text = read_file(file, _MAX_POLICY) if file else None
    context = session.context()
    made = changing.policy(context, text, topic)
    if made.missing:
        return _waits_for(session, context, made)
    result = _proposed(session, context, made.proposed)
    why = [line(f"also: {anew.role}, because {anew.why}") for anew in made.anew]
    return Result(
        lines=(*why, *result.lines),
        document={**result.document, "anew": [{"role": a.role, "why": a.why} for a in made.anew]},
    )


def _waits_for(session: Session, context: Context, made: changing.PolicyProposed) -> Result:
    event = f"sign/{made.proposed.topic}"
    announced = announce_event(session, context, made.proposed.topic)
    return Result(
        lines=(
            verdict(good("proposed:"), f" {event}, waits for the keys of {', '.join(made.missing)}"),
            *announced.lines,
            *(
                line(
                    strong("next: "),
                    f"{login} runs: keyturn join {shlex.quote(event)} --login {login} --key URI",
                )
                for login in made.missing
            ),
        ),
        document={
            "event": event,
            "roles": [],
            "targets": [],
            "missing-keys": list(made.missing),
            **announced.to_dict(),
        },
    )


@propose.command()
@click.option("--role", "roles", multiple=True, metavar="ROLE", help="Renew this role, due or not.")
@click.pass_obj
def renew(session: Session, roles: tuple[str, ...]) -> Result:
    """Propose the next version of every role that is about to expire, with the same content."""
    context = session.context()
    results = [_proposed(session, context, made) for made in changing.renew(context, roles)]
    return Result(
        lines=tuple(text for result in results for text in result.lines),
        document={"events": [result.document for result in results]},
    )


def _pair(text: str) -> tuple[str, bytes]:
    path, equals, file = text.partition("=")
    if not (path and equals and file):
        raise UsageError("is not of the form PATH=FILE", where=text, reason="bad-pair")
    return path, read_file(Path(file), _MAX_FILE)


def _proposed(session: Session, context: Context, made: proposing.Proposed) -> Result:
    roles = render.named_roles(made.roles)
    announced = announce_event(session, context, made.topic)
    return Result(
        lines=(
            *(line(f"target: {path}") for path in made.targets),
            verdict(good("proposed:"), f" sign/{made.topic}, to be signed: {roles}"),
            *announced.lines,
            line(strong("next: "), f"the signers run: keyturn sign {shlex.quote(made.topic)}"),
        ),
        document={
            "event": f"sign/{made.topic}",
            "roles": [{"role": name, "version": version} for name, version in made.roles],
            "targets": list(made.targets),
            "left-behind": list(made.left_behind),
            **announced.to_dict(),
        },
    )
