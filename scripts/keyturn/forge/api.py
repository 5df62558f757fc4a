"""GitHub's API: requests on PyGithub's requester, tried again where that is safe, answers parsed strictly.

PyGithub brings the connection, the addresses and the authentication. Its object layer is left out on purpose:
an object that lacks a field asks the server for it, unseen, and believes what it gets. Here every request
stands in the code, and :mod:`keyturn.forge.answers` takes nothing on trust.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timezone
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import TypeVar
from urllib.parse import parse_qsl, urlsplit, urlunsplit

import github
from github.Requester import Requester

from keyturn.errors import UsageError
from keyturn.forge.answers import Record, malformed, records
from keyturn.forge.host import HostError
from keyturn.forge.patience import Again, Patience
from keyturn.forge.refusals import Refusal

_T = TypeVar("_T")
_SLUG = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?/(?!\.{1,2}$)[A-Za-z0-9._-]{1,100}")
_NEXT = re.compile(r'<([^<>]*)>\s*;[^,]*\brel="?next\b')
_HEADERS = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}
_PAGE = 100
_MOST_PAGES = 200
_TIMEOUT = 60
_GRAPHQL_STATUS = {
    "NOT_FOUND": HTTPStatus.NOT_FOUND,
    "FORBIDDEN": HTTPStatus.FORBIDDEN,
    "INSUFFICIENT_SCOPES": HTTPStatus.FORBIDDEN,
    "RATE_LIMITED": HTTPStatus.TOO_MANY_REQUESTS,
    "RATE_LIMIT": HTTPStatus.TOO_MANY_REQUESTS,
}


def utc_now() -> datetime:
    """The time now, UTC."""
    return datetime.now(timezone.utc)


class Api:
    """The API of one repository.

    Args:
        slug: ``owner/repository``.
        api: Address of the API, such as ``https://api.github.com``, or one that ends with ``/api/v3``.
        token: What authenticates us; None asks as anybody.
        patience: How long a request is tried.
        now: Tells the time, UTC.

    Raises:
        UsageError: The slug or the address is not one.
    """

    def __init__(
        self,
        slug: str,
        *,
        api: str,
        token: str | None,
        patience: Patience,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        if not _SLUG.fullmatch(slug):
            raise UsageError(
                "this is not the name of a repository", where=slug, todo="Write it as OWNER/REPOSITORY."
            )
        if urlsplit(api).scheme not in ("https", "http") or not urlsplit(api).hostname:
            raise UsageError("this is not the address of an API", where=api)
        self.slug = slug
        self.repository = f"/repos/{slug}"
        self.address = api.rstrip("/")
        self.token = token
        self.patience = patience
        self._now = now
        self._requester: Requester = github.Github(
            auth=github.Auth.Token(token) if token else None,
            base_url=self.address,
            user_agent="keyturn",
            per_page=_PAGE,
            timeout=_TIMEOUT,
            retry=None,
            seconds_between_requests=0,
            seconds_between_writes=0,
        ).requester

    def get(self, path: str, **parameters: str | int) -> Record:
        """Read one object.

        Args:
            path: Below the API's address.
            parameters: Of the query.

        Raises:
            HostError: GitHub refuses, or cannot be reached, or answers something else.
        """
        value, _ = self.patience.insist(lambda: self._once("GET", path, parameters))
        return Record(value, path)

    def find(self, path: str, **parameters: str | int) -> Record | None:
        """Read one object that may not be there.

        Args:
            path: Below the API's address.
            parameters: Of the query.

        Raises:
            HostError: As for :meth:`get`.
        """
        return absent(lambda: self.get(path, **parameters))

    def pages(self, path: str, item: str = "", **parameters: str | int) -> Iterator[Record]:
        """Read a list page by page, as far as the caller goes on.

        Args:
            path: Below the API's address.
            item: The field that holds the list, where the answer is an object.
            parameters: Of the query.

        Raises:
            HostError: As for :meth:`get`; or the list does not end.
        """
        query: Mapping[str, str | int] = {"per_page": _PAGE, **parameters}
        for _ in range(_MOST_PAGES):
            value, headers = self.patience.insist(partial(self._once, "GET", path, query))
            yield from Record(value, path).records(item) if item else records(value, path)
            link = _NEXT.search(headers.get("link", ""))
            if link is None:
                return
            # Only the place in the list is taken from the link: it must not lead the token elsewhere.
            query = dict(parse_qsl(urlsplit(link[1]).query))
        raise malformed(f"{path}, a list without end")

    def write(
        self,
        verb: str,
        path: str,
        body: Mapping[str, object],
        *,
        read: Callable[[Record], _T],
        happened: Callable[[], _T | None],
    ) -> _T:
        """Change something once.

        Args:
            verb: Method of the request.
            path: Below the API's address.
            body: What is sent.
            read: Turns the answer into what is returned.
            happened: Looks whether a request whose answer was lost did its work; None if it did not.

        Raises:
            HostError: As for :meth:`get`.
        """
        return self.patience.insist(
            lambda: read(Record(self._once(verb, path, body=body)[0], path)), happened
        )

    def command(self, verb: str, path: str, body: Mapping[str, object] | None = None) -> None:
        """Bring about what does no harm if it is done twice; the answer does not matter.

        Args:
            verb: Method of the request.
            path: Below the API's address.
            body: What is sent.

        Raises:
            HostError: As for :meth:`get`.
        """
        self.patience.insist(lambda: self._once(verb, path, body=body))

    def remove(self, path: str) -> None:
        """Remove what may be gone already.

        Args:
            path: Below the API's address.

        Raises:
            HostError: As for :meth:`get`.
        """
        absent(lambda: self.command("DELETE", path))

    def graphql(self, query: str, variables: Mapping[str, object]) -> Record:
        """Read by GraphQL.

        Args:
            query: The query; it changes nothing, so it may be asked again.
            variables: Its variables.

        Returns:
            The field ``data`` of the answer.

        Raises:
            HostError: As for :meth:`get`.
        """
        body = {"query": query, "variables": dict(variables)}
        return self.patience.insist(lambda: self._query_once(body))

    def upload(
        self,
        path: str,
        name: str,
        file: Path,
        *,
        read: Callable[[Record], _T],
        happened: Callable[[], _T | None],
    ) -> _T:
        """Send a file as it lies on the disk.

        Args:
            path: Below the address for uploads.
            name: The name that it gets.
            file: The file, not empty.
            read: Turns the answer into what is returned.
            happened: Looks whether an upload whose answer was lost is there; None if it is not.

        Raises:
            HostError: As for :meth:`get`.
        """
        url = uploads_address(self.address) + path
        return self.patience.insist(
            lambda: read(Record(self._upload_once(url, path, name, file), path)), happened
        )

    def refuse(self, refusal: Refusal) -> HostError:
        """Tell a limit or a problem of the host's own, which may pass, from a refusal, which stays.

        Args:
            refusal: The answer.

        Returns:
            What to raise.

        Raises:
            Again: It may pass.
        """
        now = self._now()
        error = refusal.error(self.slug, token=self.token is not None, now=now)
        wait = refusal.wait(now)
        if wait is not None or refusal.transient:
            raise Again(error, wait=refusal.retry_after if wait is None else wait, lost=wait is None)
        return error

    def unreachable(self) -> Again:
        """What to raise if there was no answer, or only a part of one."""
        return Again(
            HostError(
                "GitHub cannot be reached, or breaks off in the middle of an answer",
                where=self.slug,
                todo="Check the network and run this again later.",
                reason="unreachable",
            )
        )

    def _once(
        self,
        verb: str,
        path: str,
        parameters: Mapping[str, str | int] | None = None,
        body: object = None,
    ) -> tuple[object, Mapping[str, str]]:
        try:
            status, headers, text = self._requester.requestJson(
                verb, path, dict(parameters or {}), dict(_HEADERS), body
            )
        except OSError as error:
            # All that the HTTP library raises is one, from a connection that breaks to an answer cut short.
            raise self.unreachable() from error
        except (RuntimeError, ValueError) as error:
            # PyGithub's way to say that it will not follow a redirect, or cannot read a header.
            raise malformed(path) from error
        return self._judge(verb, path, status, headers, text), headers

    def _judge(self, verb: str, path: str, status: int, headers: Mapping[str, str], text: str) -> object:
        value = _parsed(text)
        if status >= HTTPStatus.BAD_REQUEST:
            raise self.refuse(Refusal(verb, path, status, headers, value))
        if status >= HTTPStatus.MULTIPLE_CHOICES:
            raise HostError(
                "GitHub says that the repository has moved",
                where=self.slug,
                todo="Use its present name.",
                reason="moved",
            )
        if value is None and text.strip() not in ("", "null"):
            raise self.unreachable()
        return value

    def _query_once(self, body: Mapping[str, object]) -> Record:
        path = urlsplit(self._requester.graphql_url).path
        value, headers = self._once("POST", self._requester.graphql_url, body=body)
        answer = Record(value, path)
        if errors := answer.has("errors") and answer.records("errors"):
            kind = errors[0].text("type", default="")
            status = _GRAPHQL_STATUS.get(kind, HTTPStatus.BAD_GATEWAY)
            told = {"message": errors[0].text("message", default="")}
            # These headers belong to a request that went well; only the wait is of use.
            after = {name: headers[name] for name in ("retry-after",) if name in headers}
            raise self.refuse(Refusal("POST", path, status, after, told))
        return answer.record("data")

    def _upload_once(self, url: str, path: str, name: str, file: Path) -> object:
        headers = {**_HEADERS, "Content-Type": "application/octet-stream"}
        with file.open("rb") as content:
            try:
                _, value = self._requester.requestMemoryBlobAndCheck(
                    "POST", url, {"name": name}, headers, content
                )
            except github.GithubException as error:
                told = {key.lower(): str(text) for key, text in (error.headers or {}).items()}
                raise self.refuse(Refusal("POST", path, error.status, told, error.data)) from error
            except (OSError, ValueError) as error:
                raise self.unreachable() from error
            except RuntimeError as error:
                raise malformed(path) from error
        return value


def absent(ask: Callable[[], _T]) -> _T | None:
    """The answer to a request; None if GitHub finds nothing there.

    Args:
        ask: Makes the request.
    """
    try:
        return ask()
    except HostError as error:
        if error.reason != "not-found":
            raise
        return None


def uploads_address(api: str) -> str:
    """Where files of releases are sent to.

    Args:
        api: Address of the API, without a slash at the end.
    """
    parts = urlsplit(api)
    if parts.path.endswith("/v3"):
        return urlunsplit(parts._replace(path=parts.path[: -len("v3")] + "uploads"))
    if parts.netloc.startswith("api."):
        return urlunsplit(parts._replace(netloc="uploads." + parts.netloc[len("api.") :]))
    return api


def _parsed(text: str) -> object:
    """An answer as JSON; None if it is empty or none."""
    try:
        return json.loads(text) if text else None
    except (ValueError, RecursionError):
        return None
