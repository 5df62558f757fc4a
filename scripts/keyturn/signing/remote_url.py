"""One spelling for the many ways to write a git remote's URL."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

from keyturn.errors import UsageError

_DEFAULT_PORTS = {"http": 80, "https": 443, "ssh": 22, "git": 9418}
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

    Two transports to one repository stay two remotes: that they lead to the same one is not for the name
    to say.

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
