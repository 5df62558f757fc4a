"""``keyturn init`` and ``keyturn join``: from an empty remote to a proposed founding."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import click

from keyturn.cli import options, render_settings
from keyturn.cli.announcing import announce_event
from keyturn.cli.lines import detail, good, line, strong, verdict
from keyturn.cli.output import Result
from keyturn.cli.render import noted
from keyturn.cli.session import Session
from keyturn.errors import UsageError
from keyturn.flow import found, setting_up
from keyturn.flow.context import Context
from keyturn.flow.workflow_files import ActionPin, released_action, workflow_files
from keyturn.forge.host import HostError

if TYPE_CHECKING:
    from keyturn.cli.code_host import CodeHost

_LOCAL_SITE = "http://127.0.0.1:8000/"


@dataclass(frozen=True, slots=True)
class Founding:
    """The options of ``init``."""

    name: str
    signers: tuple[str, ...]
    threshold: int
    app: str | None
    online_key: str
    url: str | None
    branch: str | None
    github: str | None
    action: str | None
    action_version: str
    set_secret: bool


@click.command()
@click.option("--name", required=True, help="Name of the repository; it never changes.")
@click.option(
    "--signer", "signers", required=True, multiple=True, metavar="LOGIN", help="Who signs; once for each."
)
@click.option("--threshold", type=int, default=2, show_default=True, help="How many of them must sign.")
@click.option("--app", metavar="NAME", help="The first app that is released from here.")
@click.option("--online-key", required=True, metavar="URI", help="The key that signs snapshot and timestamp.")
@click.option(
    "--url", help=f"Where the site will be.  [default: the repository's Pages on GitHub, else {_LOCAL_SITE}]"
)
@click.option("--branch", help="The branch that holds what was decided.  [default: main]")
@options.github
@options.action
@options.action_version
@options.set_secret
@options.command(Founding)
def init(session: Session, request: Founding) -> Result:
    """Found a repository in an empty remote: keyturn.yml, the online key, and the founding event.

    On GitHub the workflows go into the first commit. With a token (GH_TOKEN, or that of gh) the settings
    are made and the pull request is opened; without one it says what to set where.

    Each signer then joins with their own key.
    """
    context = session.context(branch=request.branch)
    code_host = session.code_host(context, api=request.github)
    ground = _Ground.of(session, request, context, code_host)
    made = found.init(
        context,
        name=request.name,
        signers=request.signers,
        threshold=request.threshold,
        app=request.app,
        online_uri=request.online_key,
        online=session.signer(request.online_key),
        url=ground.url,
        also=ground.files,
    )
    announced = announce_event(session, context, made.topic, code_host)
    settings = _settings(code_host, ground)
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
            *(detail(f"  {path}") for path in ground.files),
            *announced.lines,
            *settings.lines,
            *nexts,
        ),
        document={
            "event": f"sign/{made.topic}",
            "missing-keys": list(made.logins),
            "policy": made.policy,
            **announced.to_dict(),
            **settings.document,
        },
    )


@dataclass(frozen=True, slots=True)
class _Ground:
    """What is settled before anything is written."""

    url: str
    wish: setting_up.Wish
    files: Mapping[str, bytes] = field(default_factory=dict)
    secret: str | None = None

    @classmethod
    def of(cls, session: Session, request: Founding, context: Context, code_host: CodeHost | None) -> _Ground:
        url = request.url or (code_host.site if code_host else _LOCAL_SITE)
        if url is None:
            raise UsageError(
                "says nothing about where the site will be",
                where="init",
                todo="Give its address with --url; Pages of this server has it on the settings page.",
                reason="no-url",
            )
        wish = setting_up.Wish(context.forge.branch, url, setting_up.secret_of(request.online_key))
        if code_host is None:
            if request.action or request.set_secret:
                raise UsageError("--action and --set-secret are for a remote on GitHub", where="init")
            return cls(url, wish)
        pin = ActionPin.parse(request.action, request.action_version) if request.action else released_action()
        secret = session.secret(wish.secret) if request.set_secret else None
        files = workflow_files(pin, wish.branch, wish.secret)
        if code_host.token is not None:
            # First of all, since it may refuse, and nothing is written then.
            setting_up.require_environment(code_host.settings(), wish)
        return cls(url, wish, files, secret)


def _settings(code_host: CodeHost | None, ground: _Ground) -> Result:
    """What was set, or is to be set by hand."""
    if code_host is None:
        return Result(())
    if code_host.token is None:
        todo = setting_up.settings_to_make(ground.wish, code_host.url)
        return Result(
            render_settings.by_hand(todo, ground.wish),
            {"settings-to-make": [each.to_dict() for each in todo]},
        )
    try:
        made = setting_up.set_up(code_host.settings(), ground.wish, secret=ground.secret)
    except HostError as error:
        go_on = f"{error.todo} The repository is founded: go on with `keyturn doctor --fix`.".lstrip()
        raise HostError(error.what, where=error.where, todo=go_on, reason=error.reason) from error
    return Result(render_settings.made(made), {"settings": [each.to_dict() for each in made]})


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
    context = session.context(event=event)
    topic = session.topic(context, event)
    signer = next(session.signers(key))
    joined = found.join(context, topic, login, signer, replacing=replacing)
    if joined.proposed:
        after = line(strong("next: "), f"everyone runs: keyturn sign {shlex.quote(topic)}")
    else:
        after = line(f"keys missing: {', '.join(joined.missing)}")
    announced = announce_event(session, context, topic)
    return Result(
        lines=(
            verdict(good("joined:"), f" {joined.login}, key {joined.keyid}{noted(signer)}"),
            *announced.lines,
            after,
        ),
        document={
            "event": f"sign/{topic}",
            "login": joined.login,
            "keyid": joined.keyid,
            "missing-keys": list(joined.missing),
            "proposed": joined.proposed,
            **announced.to_dict(),
        },
    )
