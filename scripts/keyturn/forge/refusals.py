"""Why GitHub refuses a request, in words that say what to do."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from http import HTTPStatus

from keyturn.forge.host import HostError

_PARAGRAPH = 300
_MINUTE = 60.0
_NO_ACCESS = re.compile(r"not accessible|must have|permi(ssion|tted)|forbidden|denied", re.IGNORECASE)
_MAY_NOT_PROPOSE = re.compile(r"not permitted to create or approve pull requests", re.IGNORECASE)
_SLOW_DOWN = re.compile(r"rate limit|abuse detection|wait a few minutes", re.IGNORECASE)

_PERMISSIONS = tuple(
    (re.compile(pattern), permission)
    for pattern, permission in (
        (r"/pulls(/|$)|/issues/(\d+|comments)/|/graphql$", "pull-requests"),
        (r"/issues(/|$)", "issues"),
        (r"/statuses/|/commits/[^/]+/status$", "statuses"),
        (r"/actions/", "actions"),
        (r"/attestations/", "attestations"),
        (r"/pages(/|$)", "pages"),
        (r"", "contents"),
    )
)
"""The permission of a job that a path needs, first match; GitHub does not always name it itself."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer with a status of 400 or more.

    Args:
        verb: Method of the request.
        path: Path of the request below the API's address.
        status: HTTP status.
        headers: Headers of the answer, names in lower case.
        body: The parsed answer; None if it was no JSON.
    """

    verb: str
    path: str
    status: int
    headers: Mapping[str, str]
    body: object

    @property
    def message(self) -> str:
        """GitHub's own words, on one line; empty if there are none."""
        if not isinstance(self.body, dict):
            return ""
        said = [self.body.get("message"), *_details(self.body.get("errors"))]
        text = "; ".join(" ".join(part.split()) for part in said if isinstance(part, str) and part)
        return text.encode("utf-8", "replace").decode("utf-8")[:_PARAGRAPH]

    @property
    def transient(self) -> bool:
        """Whether the server had a problem of its own, and may or may not have done what was asked."""
        return self.status >= HTTPStatus.INTERNAL_SERVER_ERROR or self.status == HTTPStatus.REQUEST_TIMEOUT

    @property
    def retry_after(self) -> float | None:
        """Seconds that the answer asks to wait; None if it does not say."""
        return _seconds(self.headers.get("retry-after"))

    def wait(self, now: datetime) -> float | None:
        """Seconds to wait, if this is a limit on how much may be asked; None if it is something else.

        Args:
            now: The time, UTC.
        """
        if self.status not in (HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS):
            return None
        if self.retry_after is not None:
            return self.retry_after
        reset = _seconds(self.headers.get("x-ratelimit-reset"))
        if self.headers.get("x-ratelimit-remaining") == "0" and reset is not None:
            # The host's clock and ours need not agree to the second.
            return max(reset - now.timestamp(), 0.0) + 1.0
        limited = self.status == HTTPStatus.TOO_MANY_REQUESTS or _SLOW_DOWN.search(self.message)
        return _MINUTE if limited else None

    def error(self, where: str, *, token: bool, now: datetime) -> HostError:
        """What the person is told.

        Args:
            where: The repository.
            token: Whether the request carried a token.
            now: The time, UTC.
        """
        wait = self.wait(now)
        if wait is not None:
            return _limited(where, wait, now)
        if self.status == HTTPStatus.UNAUTHORIZED:
            return _not_authenticated(where, token=token)
        if self.status == HTTPStatus.FORBIDDEN and (not self.message or _NO_ACCESS.search(self.message)):
            return self._not_permitted(where)
        if self.status == HTTPStatus.NOT_FOUND:
            return HostError(
                f"GitHub finds nothing there ({self.verb} {self.path})",
                where=where,
                todo="Check the name; of a private one that the token may not see, GitHub says the same.",
                reason="not-found",
            )
        if self.transient:
            return HostError(
                f"GitHub has a problem of its own (status {self.status})",
                where=where,
                todo="Run this again later.",
            )
        told = f": {self.message}" if self.message else ""
        return HostError(
            f"GitHub refuses this (status {self.status}, {self.verb} {self.path}){told}",
            where=where,
            reason="unprocessable" if self.status == HTTPStatus.UNPROCESSABLE_ENTITY else "",
        )

    def _not_permitted(self, where: str) -> HostError:
        if _MAY_NOT_PROPOSE.search(self.message):
            return HostError(
                "the repository does not let its workflows open pull requests",
                where=where,
                todo="Settings > Actions > General > Workflow permissions: "
                "tick `Allow GitHub Actions to create and approve pull requests`.",
                reason="permission",
            )
        needed = self._needed()
        whose = "the job's token" if "integration" in self.message.lower() else "the token"
        named = " and ".join(f"`{permission}`" for permission in needed)
        return HostError(
            f"{whose} lacks {named}",
            where=where,
            todo=f"Add {named} below `permissions:` of this job in the workflow file; "
            "a personal or app token needs the same permission in its settings.",
            reason="permission",
        )

    def _needed(self) -> tuple[str, ...]:
        """What the request needs, as it is written in a workflow file."""
        # Alternatives are separated by semicolons, what is needed together by commas.
        choice = self.headers.get("x-accepted-github-permissions", "").split(";")[0]
        found = re.findall(r"([a-z_]+)\s*=\s*(read|write|admin)", choice)
        if found:
            return tuple(f"{name.replace('_', '-')}: {level}" for name, level in found)
        reads = self.verb == "GET" or self.path.endswith("/graphql")
        permission = next(name for pattern, name in _PERMISSIONS if pattern.search(self.path))
        return (f"{permission}: {'read' if reads else 'write'}",)


def _details(errors: object) -> list[object]:
    if not isinstance(errors, list):
        return []
    return [
        error if isinstance(error, str) else _detail(error)
        for error in errors
        if isinstance(error, str | dict)
    ]


def _detail(error: Mapping[str, object]) -> str:
    told = error.get("message")
    if isinstance(told, str):
        return told
    return " ".join(part for name in ("field", "code") if isinstance(part := error.get(name), str))


def _seconds(text: str | None) -> float | None:
    return float(text) if text is not None and re.fullmatch(r"[0-9]{1,12}", text) else None


def _not_authenticated(where: str, *, token: bool) -> HostError:
    return HostError(
        "GitHub does not accept the token: it is wrong, expired or revoked"
        if token
        else "GitHub wants a token for this, and there is none",
        where=where,
        todo="Give a token that is valid; a job's own ends with the job.",
        reason="authentication",
    )


def _limited(where: str, wait: float, now: datetime) -> HostError:
    try:
        then = datetime.fromtimestamp(now.timestamp() + wait, timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError, OSError):
        then = "a long time"
    return HostError(
        "GitHub asks to slow down: too much was asked in too short a time",
        where=where,
        todo=f"Run this again after {then}.",
        reason="rate-limit",
    )
