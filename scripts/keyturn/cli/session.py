"""From the command line and the environment to what the use cases need."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import click

from keyturn.cli.clock import time_of
from keyturn.cli.digest import ROOT_VARIABLE, read_digest
from keyturn.cli.lines import verdict, warn
from keyturn.cli.output import Output
from keyturn.cli.text import escape
from keyturn.errors import KeyturnError, UsageError

if TYPE_CHECKING:
    from keyturn.cli.code_host import CodeHost
    from keyturn.flow.context import Context
    from keyturn.git import Git
    from keyturn.signing import KeySigner, SignerHome

CONFIG_VARIABLE = "KEYTURN_CONFIG_DIR"
_NOT_THERE = frozenset({"key-missing", "no-agent", "agent-empty", "hsm"})
"""Reasons for which a key is passed over where there may be others."""


@dataclass(frozen=True, slots=True)
class Globals:
    """The options before the command.

    Args:
        directory: Where the command works.
        remote: Name or URL of the remote.
        at: The time to go by; None for the real one.
    """

    directory: Path
    remote: str
    at: datetime | None


class Session:
    """One command from its start to its end.

    Args:
        options: The options before the command.
        output: Where it prints.
        environment: The environment.
    """

    def __init__(self, options: Globals, output: Output, environment: Mapping[str, str]) -> None:
        self.options = options
        self.output = output
        self.environment = environment
        self._repositories: list[Git] = []
        self._passphrases: dict[str, str] = {}

    def close(self) -> None:
        """End what runs in the background."""
        for git in self._repositories:
            git.close()

    @cached_property
    def now(self) -> datetime:
        """The time of the whole command, UTC.

        Raises:
            UsageError: ``SOURCE_DATE_EPOCH`` is no time.
        """
        return time_of(self.options.at, self.environment)

    @cached_property
    def home(self) -> SignerHome:
        """The person's own directory."""
        from keyturn.signing import SignerHome

        given = self.environment.get(CONFIG_VARIABLE)
        if given:
            return SignerHome(Path(given))
        import platformdirs

        return SignerHome(Path(platformdirs.user_config_dir("keyturn", appauthor=False)))

    def context(
        self, *, event: str | None = None, root_digest: str | None = None, branch: str | None = None
    ) -> Context:
        """What every use case needs.

        Args:
            event: The event named on the command line; the address of a pull request also names the remote.
            root_digest: The one given on the command line.
            branch: The branch that holds what was decided, where it is known.

        Raises:
            EnvironmentFault: There is no repository here, or git does not work.
            UsageError: There is no such remote.
        """
        import platformdirs

        from keyturn.cli.remote import PullRequestName, RemoteForge, open_pull_request, open_remote
        from keyturn.cli.render import left_behind
        from keyturn.flow.context import Context

        cache = Path(platformdirs.user_cache_dir("keyturn", appauthor=False)) / "remotes"
        pull = PullRequestName.parse(event) if event is not None else None
        if pull is not None and pull.repository is not None:
            git, remote = open_pull_request(
                self.options.directory, self.options.remote, pull.repository, cache
            )
        else:
            git, remote = open_remote(self.options.directory, self.options.remote, cache)
        self._repositories.append(git)
        forge = RemoteForge(git, remote, branch)
        return Context(
            forge=forge,
            home=self.home,
            now=self.now,
            author=git.identity(),
            root_digest=self.root_digest(root_digest),
            announce=lambda names: self.output.show(left_behind(names)),
            identify=lambda logins: self._identified(forge.url, logins),
        )

    def code_host(self, context: Context, *, api: str | None = None) -> CodeHost | None:
        """The code host that the remote is on; None for a plain git remote.

        Args:
            context: Where.
            api: Address of its REST interface, if the person named it.

        Raises:
            UsageError: ``api`` is no such address.
        """
        from keyturn.cli.code_host import find_code_host

        return find_code_host(context.forge.url, self.environment, api=api)

    def _identified(self, url: str, logins: Sequence[str]) -> Mapping[str, int]:
        from keyturn.cli.code_host import find_code_host
        from keyturn.flow.context import identify_by

        code_host = find_code_host(url, self.environment)
        return identify_by(code_host.host())(logins) if code_host else {}

    def topic(self, context: Context, event: str | None) -> str:
        """The topic of the event named, also as a pull request, or of the only open one.

        Raises:
            UsageError: None is named, and there is not exactly one open event; or the pull request is no
                signing event.
        """
        from keyturn.cli.remote import PullRequestName, RemoteForge
        from keyturn.flow.context import only_topic

        if event is None:
            context.forge.refresh()
            return only_topic(context, event)
        pull = PullRequestName.parse(event)
        if pull is not None and isinstance(context.forge, RemoteForge):
            event = context.forge.topic_of(pull) or event
        return only_topic(context, event)

    def root_digest(self, given: str | None) -> str | None:
        """The root digest from the command line, else from ``KEYTURN_ROOT``; None without either.

        Raises:
            UsageError: What the variable holds is none (reason ``bad-digest``).
        """
        return given or read_digest(self.environment.get(ROOT_VARIABLE) or None, where=ROOT_VARIABLE)

    def secret(self, name: str | None) -> str:
        """The online key as text, for the person who wants it sent to the code host.

        Args:
            name: The environment variable that holds it; None if the key is elsewhere.

        Raises:
            UsageError: It is not there (reason ``no-secret``).
        """
        value = self.environment.get(name) if name else None
        if not value:
            raise UsageError(
                f"there is no {name} to send" if name else "the online key is in no environment variable",
                where="--set-secret",
                todo="Put the key's PEM text there, or leave out --set-secret.",
                reason="no-secret",
            )
        return value

    def signer(self, uri: str) -> KeySigner:
        """Open a private key, asking for its passphrase if need be and possible.

        Raises:
            UsageError: It is no key that can be opened.
            EnvironmentFault: It cannot be read.
        """
        from keyturn.signing import load_signer

        ask = self._passphrase if self.output.can_ask else None
        signer = load_signer(uri, env=self.environment, ask_passphrase=ask)
        if signer.warning:
            self.output.note([verdict(warn("warning:"), f" {signer.warning}")])
        return signer

    def signers(self, uri: str | None) -> Iterator[KeySigner]:
        """The key named on the command line, or those of ``config.toml`` in their order, opened one by one.

        A key of ``config.toml`` that is not there, because it is not in the SSH agent for instance, is passed
        over with a note.

        Raises:
            UsageError: There is none.
        """
        if uri is not None:
            yield self.signer(uri)
            return
        opened = 0
        for known in self.home.config().keys:
            try:
                signer = self.signer(known)
            except KeyturnError as error:
                if error.reason not in _NOT_THERE:
                    raise
                self.output.note([verdict(warn("warning:"), f" {known}: {error.what}; trying the next key")])
                continue
            opened += 1
            yield signer
        if not opened:
            raise UsageError(
                "there is no key to use",
                where=str(self.home.directory / "config.toml"),
                todo='Name one with --key file:PATH, or write there: keys = ["file:PATH"]',
                reason="no-key",
            )

    def _passphrase(self, uri: str) -> str:
        if uri not in self._passphrases:
            asked: str = click.prompt(
                f"Passphrase of {escape(uri)}", hide_input=True, default="", show_default=False, err=True
            )
            self._passphrases[uri] = asked
        return self._passphrases[uri]
