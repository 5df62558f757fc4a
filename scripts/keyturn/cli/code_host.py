"""Which code host a remote is on, and with whose token it is asked."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from keyturn.errors import EnvironmentFault, UsageError
from keyturn.signing import normalise_url

if TYPE_CHECKING:
    from keyturn.forge.host import Host
    from keyturn.forge.settings import Settings

_PUBLIC = "github.com"
_TENANT = ".ghe.com"
_ENTERPRISE_API = "/api/v3"
_OWNER_AND_NAME = 2
_PATIENCE = 10.0
"""Seconds that ``gh`` gets to answer."""


@dataclass(frozen=True, slots=True)
class CodeHost:
    """A repository on GitHub, or on a server that speaks as GitHub does.

    Args:
        slug: ``owner/repository``.
        api: Address of the REST interface, without a slash at the end.
        server: Address of the pages for people, without a slash at the end.
        token: What it is asked with; None for what everybody may ask.
    """

    slug: str
    api: str
    server: str
    token: str | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        """The repository's page."""
        return f"{self.server}/{self.slug}"

    @property
    def site(self) -> str | None:
        """Where its Pages are, if that can be told from its name."""
        owner, _, name = self.slug.lower().partition("/")
        if self.server != f"https://{_PUBLIC}":
            return None
        return f"https://{owner}.github.io/" + ("" if name == f"{owner}.github.io" else f"{name}/")

    def compare_page(self, base: str, branch: str) -> str:
        """The page on which a person opens the pull request of a branch."""
        return f"{self.url}/compare/{quote(base)}...{quote(branch)}?expand=1"

    def settings(self) -> Settings:
        """Its settings.

        Raises:
            EnvironmentFault: There is no token (reason ``no-token``).
        """
        if self.token is None:
            raise EnvironmentFault(
                "settings can be read with a token only",
                where=self.url,
                todo="Set GH_TOKEN, or log in with `gh auth login`.",
                reason="no-token",
            )
        from keyturn.forge.github_settings import GitHubSettings

        return GitHubSettings(self.slug, api=self.api, server=self.server, token=self.token)

    def host(self) -> Host:
        """Its pull requests and accounts."""
        from keyturn.forge.github import GitHub

        return GitHub(self.slug, api=self.api, server=self.server, token=self.token)


def find_code_host(remote: str, environment: Mapping[str, str], *, api: str | None = None) -> CodeHost | None:
    """The code host that a remote is on; None if it is a plain git remote, as far as anybody said.

    github.com and ``*.ghe.com`` are known; another server is named by ``GH_HOST``, by the variables of its
    own Actions, or by the address of its interface.

    Args:
        remote: The remote's URL.
        environment: The environment.
        api: Address of the REST interface, if the person named it.

    Raises:
        UsageError: ``api`` is no such address, or the remote is no repository of a code host.
    """
    place = _place(remote)
    if place is None:
        if api is not None:
            raise UsageError("is not a repository of a code host", where=remote, todo="Leave out --github.")
        return None
    known = _named(api) if api is not None else _known(place, environment)
    if known is None:
        return None
    found = CodeHost(place.slug, *known)
    named = api is not None or environment.get("GH_HOST") == place.host
    token = _token(found, environment, named=named) if _is_private(found.api) else None
    return CodeHost(found.slug, found.api, found.server, token)


@dataclass(frozen=True, slots=True)
class _Place:
    scheme: str
    host: str
    slug: str


def _place(remote: str) -> _Place | None:
    parts = urlsplit(normalise_url(remote))
    names = parts.path.strip("/").split("/")
    if parts.scheme not in ("https", "http", "ssh") or len(names) != _OWNER_AND_NAME or not all(names):
        return None
    host = (parts.hostname or "") if parts.scheme == "ssh" else parts.netloc
    return _Place(parts.scheme, _PUBLIC if host == f"ssh.{_PUBLIC}" else host, "/".join(names))


def _named(api: str) -> tuple[str, str]:
    """The addresses of interface and pages, from that of the interface."""
    address = api.rstrip("/")
    parts = urlsplit(address)
    if parts.scheme in ("https", "http") and parts.hostname and not parts.query:
        if address.endswith(_ENTERPRISE_API):
            return address, address.removesuffix(_ENTERPRISE_API)
        if parts.netloc.startswith("api.") and not parts.path:
            return address, f"{parts.scheme}://{parts.netloc.removeprefix('api.')}"
    raise UsageError(
        "is not the address of a REST interface",
        where=f"--github {api}",
        todo=f"Write https://api.github.com, or https://HOST{_ENTERPRISE_API} for a server of your own.",
        reason="bad-api",
    )


def _known(place: _Place, environment: Mapping[str, str]) -> tuple[str, str] | None:
    if place.host == _PUBLIC or place.host.endswith(_TENANT):
        return f"https://api.{place.host}", f"https://{place.host}"
    job_server = environment.get("GITHUB_SERVER_URL", "").rstrip("/")
    if job_server and urlsplit(job_server).netloc == place.host:
        return environment.get("GITHUB_API_URL", job_server + _ENTERPRISE_API).rstrip("/"), job_server
    if environment.get("GH_HOST") == place.host:
        server = f"{'http' if place.scheme == 'http' else 'https'}://{place.host}"
        return server + _ENTERPRISE_API, server
    return None


def _is_private(address: str) -> bool:
    """Whether nobody on the way can read what is sent there; a token goes nowhere else."""
    parts = urlsplit(address)
    try:
        own = parts.hostname == "localhost" or ip_address(parts.hostname or "").is_loopback
    except ValueError:
        own = False
    return parts.scheme == "https" or own


def _token(code_host: CodeHost, environment: Mapping[str, str], *, named: bool) -> str | None:
    """A token that was made for this very host, as ``gh`` looks for it."""
    host = urlsplit(code_host.server).netloc
    general = ("GH_TOKEN", "GITHUB_TOKEN")
    if host == _PUBLIC or host.endswith(_TENANT):
        names = general
    else:
        in_its_job = environment.get("GITHUB_SERVER_URL", "").rstrip("/") == code_host.server
        names = ("GH_ENTERPRISE_TOKEN", "GITHUB_ENTERPRISE_TOKEN", *(general if named or in_its_job else ()))
    given = next((value for name in names if (value := environment.get(name, "").strip())), None)
    return given or _from_gh(host, environment)


def _from_gh(host: str, environment: Mapping[str, str]) -> str | None:
    program = shutil.which("gh", path=environment.get("PATH", ""))
    if program is None:
        return None
    try:
        told = subprocess.run(
            [program, "auth", "token", "--hostname", host],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            env=dict(environment),
            timeout=_PATIENCE,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    token = told.stdout.decode("ascii", "replace").strip()
    return token if told.returncode == 0 and token else None
