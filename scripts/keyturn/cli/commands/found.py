"""``keyturn init`` and ``keyturn join``: from an empty remote to a proposed founding."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

import click

from keyturn.cli import options, render
from keyturn.cli.lines import detail, good, line, strong, verdict
from keyturn.cli.output import Result
from keyturn.cli.session import Session
from keyturn.flow import found


@dataclass(frozen=True, slots=True)
class Founding:
    """The options of ``init``."""

    name: str
    signers: tuple[str, ...]
    threshold: int
    app: str | None
    online_key: str
    url: str
    branch: str | None


@click.command()
@click.option("--name", required=True, help="Name of the repository; it never changes.")
@click.option(
    "--signer", "signers", required=True, multiple=True, metavar="LOGIN", help="Who signs; once for each."
)
@click.option("--threshold", type=int, default=2, show_default=True, help="How many of them must sign.")
@click.option("--app", metavar="NAME", help="The first app that is released from here.")
@click.option("--online-key", required=True, metavar="URI", help="The key that signs snapshot and timestamp.")
@click.option("--url", default="http://127.0.0.1:8000/", show_default=True, help="Where the site will be.")
@click.option("--branch", help="The branch that holds what was decided.  [default: main]")
@options.command(Founding)
def init(session: Session, request: Founding) -> Result:
    """Found a repository in an empty remote: keyturn.yml, the online key, and the founding event.

    Each signer then joins with their own key.
    """
    context = session.context(branch=request.branch)
    made = found.init(
        context,
        name=request.name,
        signers=request.signers,
        threshold=request.threshold,
        app=request.app,
        online_uri=request.online_key,
        online=session.signer(request.online_key),
        url=request.url,
    )
    nexts = (
        line(
            strong("next: "),
            f"{login} runs: keyturn join {made.topic} --login {shlex.quote(login)} --key URI",
        )
        for login in made.logins
    )
    return Result(
        lines=(
            verdict(good("founded:"), f" {request.name}, signing event sign/{made.topic}"),
            *(detail(f"  {text}") for text in made.policy.splitlines()),
            *nexts,
        ),
        document={"event": f"sign/{made.topic}", "missing-keys": list(made.logins), "policy": made.policy},
    )


@click.command()
@options.only_event
@click.option("--login", required=True, help="Your login, as the policy names it.")
@options.key
@click.option("--replace", "replacing", is_flag=True, help="Replace another key of yours.")
@click.pass_obj
def join(session: Session, event: str | None, login: str, key: str | None, replacing: bool) -> Result:
    """Enter your own public key, and the proof that you hold the private one, into an event.

    The last to join a founding event proposes the first metadata; then everyone signs. Later, a new
    signer joins the event of the changed policy, and a key is replaced in an event of any name. The login
    `online` stands for the online key.
    """
    context = session.context()
    topic = session.topic(context, event)
    signer = next(session.signers(key))
    joined = found.join(context, topic, login, signer, replacing=replacing)
    if joined.proposed:
        after = line(strong("next: "), f"everyone runs: keyturn sign {shlex.quote(topic)}")
    else:
        after = line(f"keys missing: {', '.join(joined.missing)}")
    return Result(
        lines=(verdict(good("joined:"), f" {joined.login}, key {joined.keyid}{render.noted(signer)}"), after),
        document={
            "event": f"sign/{topic}",
            "login": joined.login,
            "keyid": joined.keyid,
            "missing-keys": list(joined.missing),
            "proposed": joined.proposed,
        },
    )
