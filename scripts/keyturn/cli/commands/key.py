"""``keyturn key``: make a key, show one."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click
from securesystemslib.signer import Key

from keyturn.cli.lines import Lines, detail, good, line, strong, verdict, warn
from keyturn.cli.options import PATH
from keyturn.cli.output import Result
from keyturn.cli.session import Session
from keyturn.cli.text import escape
from keyturn.errors import UsageError
from keyturn.signing import new_key, public_pem, write_key_file
from keyturn.signing.keys import PASSPHRASE_VARIABLE
from keyturn.state import fingerprint, short_fingerprint


@click.group()
def key() -> None:
    """Make a key, or show the public facts of one."""


@key.command()
@click.argument("file", type=PATH)
@click.option(
    "--type",
    "kind",
    type=click.Choice(["ed25519", "ecdsa", "rsa"]),
    default="ed25519",
    show_default=True,
    help="Kind of key.",
)
@click.option("--no-passphrase", is_flag=True, help="Leave the file unencrypted.")
@click.pass_obj
def new(
    session: Session, file: Path, kind: Literal["ed25519", "ecdsa", "rsa"], no_passphrase: bool
) -> Result:
    """Make a key pair and write its private half to FILE, which must be new.

    The passphrase is asked for, or taken from KEYTURN_PASSPHRASE.
    """
    passphrase = b"" if no_passphrase else _new_passphrase(session, file)
    made = new_key(kind, passphrase or None)
    write_key_file(file, made.pem)
    uri = f"file:{file.absolute()}"
    plain = (
        ()
        if passphrase
        else (verdict(warn("not encrypted:"), " whoever can read the file can sign with it"),)
    )
    return Result(
        lines=(
            verdict(good("made:"), f" {file}"),
            *plain,
            *_facts(made.public),
            line(strong("next: "), f"keyturn join EVENT --login LOGIN --key {uri}"),
        ),
        document={"uri": uri, "encrypted": bool(passphrase), **_document(made.public)},
    )


@key.command()
@click.argument("uri")
@click.pass_obj
def show(session: Session, uri: str) -> Result:
    """Show the public facts of the key that URI names: fingerprint, keyid, type."""
    signer = session.signer(uri)
    noted = {"note": signer.note} if signer.note else {}
    return Result(
        lines=(*_facts(signer.public), *(line(f"note: {text}") for text in noted.values())),
        document={"uri": uri, **_document(signer.public), **noted},
    )


def _new_passphrase(session: Session, file: Path) -> bytes:
    given = session.environment.get(PASSPHRASE_VARIABLE)
    if given is None and not session.output.can_ask:
        raise UsageError(
            "nobody can be asked for a passphrase here",
            where=str(file),
            todo=f"Set {PASSPHRASE_VARIABLE}, or leave the file unencrypted with --no-passphrase.",
            reason="passphrase-needed",
        )
    if given is None:
        given = click.prompt(
            f"New passphrase for {escape(str(file))} (empty for none)",
            hide_input=True,
            confirmation_prompt="The same again",
            default="",
            show_default=False,
            err=True,
        )
    return str(given).encode("utf-8", "surrogateescape")


def _facts(public: Key) -> Lines:
    mark = fingerprint(public)
    return (
        verdict("fingerprint: ", strong(short_fingerprint(mark))),
        line(f"  in full: {mark}"),
        line(f"keyid: {public.keyid}"),
        line(f"scheme: {public.scheme}"),
        *(detail(text) for text in public_pem(public).decode("ascii").splitlines()),
    )


def _document(public: Key) -> dict[str, str]:
    return {
        "fingerprint": fingerprint(public),
        "keyid": public.keyid,
        "type": public.keytype,
        "scheme": public.scheme,
        "public": public_pem(public).decode("ascii"),
    }
