"""``keyturn publish``: sign the online roles, build the site, let a client try it."""

from __future__ import annotations

from pathlib import Path

import click

from keyturn.cli import options, render
from keyturn.cli.output import Result
from keyturn.cli.session import Session
from keyturn.flow.live import look, no_live
from keyturn.flow.publishing import PublishedSite
from keyturn.flow.publishing import publish as publish_site


@click.command()
@click.option("--out", required=True, type=options.PATH, help="The directory that is, or will be, served.")
@click.option(
    "--key",
    "keys",
    multiple=True,
    metavar="URI",
    help="The online key; not needed while nothing has to be signed. Just after it was changed give the "
    "one before it too, so that clients whose host lags behind go on.",
)
@click.option(
    "--live/--no-live", default=True, show_default=True, help="Ask the live site which versions it serves."
)
@options.root_digest
@click.pass_obj
def publish(
    session: Session, out: Path, keys: tuple[str, ...], live: bool, root_digest: str | None
) -> Result:
    """Publish what was merged, verified from the pinned root, into a directory."""
    context = session.context(root_digest=root_digest)
    signers = [session.signer(key) for key in keys]
    site = publish_site(context, out, signers, look if live else no_live)
    return Result(lines=render.published(site), document=_document(site))


def _document(site: PublishedSite) -> dict[str, object]:
    return {
        "directory": str(site.directory),
        "url": site.url,
        "signed": [{"role": name, "version": version} for name, version in site.signed],
        "timestamp": site.timestamp,
        "tried": site.tried,
        "changed": site.changed,
        "live": site.live,
        "root-digest": site.root_digest,
    }
