"""One spelling for the many ways to write a git remote's URL."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

from keyturn.errors import UsageError

_DEFAULT_PORTS = {"http": 80, "https": 443, "ssh": 22, "git": 9418}
_TRANSPORTS = ("https", "ssh")
_ON_A_HOST = re.compile(r"(?P<scheme>https|ssh)://(?P<rest>[^/:]+/.+)")
"""Without a port, which is the transport's own."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_SCP_LIKE = re.compile(r"(?:[^/:@]+@)?(?P<host>\[[0-9A-Fa-f:.]+\]|[^/:@\[\]]{2,}):(?!:)(?P<path>.*)")
"""``user@host:path``; the host has two letters at least, for ``C:`` is a drive."""


def normalise_url(url: str, *, base: Path | None = None) -> str:
    """The one spelling of a remote's URL under which a signer's machine files what it knows of it.

    * scheme and host in lower case; the path as it is;
    * user, password, fragment and a port that is the scheme's own are dropped;
    * ``host:path`` as git's ssh short form becomes ``ssh://host/path``;
    * ``/`` and ``.git`` at the end are dropped;
    * a local path, also one written ``file://``, becomes ``file://`` and the absolute path with links
      resolved.

    Two transports to one repository stay two remotes here; see :func:`other_spellings`.

    Args:
        url: As ``git remote get-url`` prints it.
        base: Where a relative local path starts; the working directory if None.

    Raises:
        UsageError: Not a URL or path (reason ``bad-url``).
    """
    if not url or _CONTROL.search(url):
        raise _bad_url()
    if url.lower().startswith("file://"):
        return _local("/" + url[len("file://") :].lstrip("/"), base)
    if not _SCHEME.match(url):
        short = _SCP_LIKE.fullmatch(url)
        if short is None:
            return _local(url, base)
        url = f"ssh://{short['host']}/{short['path'].lstrip('/')}"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise _bad_url() from None
    if not host:
        raise _bad_url()
    shown_host = f"[{host}]" if ":" in host else host
    shown_port = "" if port in (None, _DEFAULT_PORTS.get(parts.scheme)) else f":{port}"
    query = f"?{parts.query}" if parts.query else ""
    return f"{parts.scheme}://{shown_host}{shown_port}{_bare(parts.path)}{query}"


def other_spellings(normal: str) -> tuple[str, ...]:
    """The normalised URLs by which other transports most likely lead to the same repository.

    A code host serves each repository by ssh and by https under one path.

    Args:
        normal: A URL as :func:`normalise_url` returns it.
    """
    match = _ON_A_HOST.fullmatch(normal)
    if match is None:
        return ()
    return tuple(f"{scheme}://{match['rest']}" for scheme in _TRANSPORTS if scheme != match["scheme"])


def same_repository(one: str, other: str) -> bool:
    """Whether two addresses lead to one repository of a code host, as far as names can say.

    Args:
        one: As ``git remote get-url`` prints it.
        other: Likewise.

    Raises:
        UsageError: Not a URL or path (reason ``bad-url``).
    """
    first, second = normalise_url(one), normalise_url(other)
    if _ON_A_HOST.fullmatch(first):
        # Code hosts do not tell capitals apart in names of owners and repositories.
        return second.lower() in {each.lower() for each in (first, *other_spellings(first))}
    return first == second


def _local(path: str, base: Path | None) -> str:
    try:
        resolved = ((base or Path()) / path).resolve()
    except (OSError, RuntimeError, ValueError):
        raise _bad_url() from None
    return f"file://{_bare(resolved.as_posix()) or '/'}"


def _bare(path: str) -> str:
    return re.sub(r"(?:/|\.git)+$", "", path)


def _bad_url() -> UsageError:
    # The URL may hold a password, so it is not repeated.
    return UsageError("the remote has no usable URL", todo="See 'git remote -v'.", reason="bad-url")
