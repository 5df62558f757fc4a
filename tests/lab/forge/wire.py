"""Requests, answers and routes: what the areas of the API (rest_*.py) are written in."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar
from urllib.parse import quote, unquote, urlencode

from lab.forge.model import Repository, Role, Token

if TYPE_CHECKING:
    from lab.forge.forge import LabForge

DOCUMENTATION = "https://docs.github.com/rest"
Json: TypeAlias = Any
"""What json.loads gives."""
JSON = "application/json; charset=utf-8"
Item = TypeVar("Item")


@dataclass(frozen=True)
class Answer:
    """Status, content and headers; content that is bytes goes out as it is, everything else as JSON."""

    status: int
    content: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = JSON

    @property
    def body(self) -> bytes:
        if self.content is None:
            return b""
        return self.content if isinstance(self.content, bytes) else json.dumps(self.content).encode()


class ApiError(Exception):
    """An answer that is not what was hoped for, in GitHub's form."""

    def __init__(
        self,
        status: int,
        message: str,
        errors: Sequence[Mapping[str, str] | str] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        body: dict[str, Any] = {"message": message, "documentation_url": DOCUMENTATION, "status": str(status)}
        if errors:
            body["errors"] = list(errors)
        self.answer = Answer(status, body, headers or {})


def not_found(message: str = "Not Found") -> ApiError:
    return ApiError(404, message)


def invalid(resource: str, code: str, *, name: str | None = None, message: str | None = None) -> ApiError:
    """The usual 422."""
    error = {"resource": resource, "code": code}
    error |= {"field": name} if name else {}
    error |= {"message": message} if message else {}
    return ApiError(422, "Validation Failed", [error])


@dataclass(frozen=True)
class Request:
    """One HTTP request, with the API's prefix taken off its path."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    token: Token | None


@dataclass
class Call:
    """A request that found its route: what a handler works with.

    Args:
        forge: The forge.
        request: The request.
        parameters: Variable parts of the path, decoded.
        found: The repository that the path names.
    """

    forge: LabForge
    request: Request
    parameters: Mapping[str, str]
    found: Repository | None
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def repository(self) -> Repository:
        if self.found is None:
            raise not_found()
        return self.found

    @property
    def token(self) -> Token:
        if self.request.token is None:
            raise ApiError(401, "Requires authentication")
        return self.request.token

    @property
    def login(self) -> str:
        """Who calls."""
        return self.token.login

    @property
    def now(self) -> datetime:
        return self.forge.now()

    @property
    def sent(self) -> Json:
        """The JSON that was sent; an empty object if nothing was."""
        try:
            return json.loads(self.request.body or b"{}")
        except ValueError:
            raise ApiError(400, "Problems parsing JSON") from None

    @property
    def fields(self) -> dict[str, Json]:
        """The JSON object that was sent."""
        if not isinstance(self.sent, dict):
            raise ApiError(400, "Body should be a JSON object")
        return self.sent

    def __getitem__(self, name: str) -> str:
        return self.parameters[name]

    def number(self, name: str) -> int:
        """A numeric part of the path."""
        if not self[name].isdigit():
            raise not_found()
        return int(self[name])

    def asked(self, name: str, default: str = "") -> str:
        """A part of the query."""
        return self.request.query.get(name, default)

    def page(self, items: Sequence[Item]) -> list[Item]:
        """The page of a list that was asked for; the answer gets a Link header to the others."""
        size = min(max(int(self.asked("per_page", "30")), 1), 100)
        page = max(int(self.asked("page", "1")), 1)
        last = max(-(-len(items) // size), 1)
        others = {"prev": page - 1, "first": 1} if page > 1 else {}
        others |= {"next": page + 1, "last": last} if page < last else {}
        self.link({name: {"page": str(number)} for name, number in others.items()})
        return list(items[(page - 1) * size : page * size])

    def link(self, others: Mapping[str, Mapping[str, str]]) -> None:
        """Put a Link header on the answer."""
        here = f"{self.forge.api}{self.request.path}"
        query = dict(self.request.query)
        links = [f'<{here}?{urlencode(query | dict(where))}>; rel="{name}"' for name, where in others.items()]
        if links:
            self.headers["Link"] = ", ".join(links)


Handler = Callable[[Call], Answer]


@dataclass(frozen=True)
class Route:
    """A method and a path of the API.

    Args:
        method: HTTP method.
        template: Path as GitHub's description has it, like ``/repos/{owner}/{repo}/git/ref/{ref}``.
        pattern: Matches the path; a parameter written ``{ref*}`` in the code may hold slashes.
        handler: What answers.
        scope: The permission that is needed; several separated by ``|`` where any of them does.
        writes: Whether write access to it is needed.
        role: What a person must be in the repository; None for the scope's usual one.
    """

    method: str
    template: str
    pattern: re.Pattern[str]
    handler: Handler
    scope: str
    writes: bool
    role: Role | None

    def address(self, parameters: Mapping[str, str]) -> str:
        """The path with its parameters percent-encoded, slashes too."""
        return re.sub(r"\{(\w+)\}", lambda found: quote(parameters[found[1]], safe=""), self.template)


ROUTES: list[Route] = []


def route(
    method: str, path: str, *, reads: str = "", writes: str = "", role: Role | None = None, like: str = ""
) -> Callable[[Handler], Handler]:
    """Announce a handler.

    Args:
        method: HTTP method.
        path: Path template; ``{name}`` is one part, ``{name*}`` may hold slashes.
        reads: The permission whose read access is needed.
        writes: The permission whose write access is needed.
        role: What a person must be, where it is not what the permission usually takes.
        like: The path that is described, for an older one that goes on working.
    """
    template = (like or path).replace("*}", "}")
    parts = re.sub(r"\{(\w+)\*\}", r"(?P<\1>.+)", path)
    pattern = re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", parts) + "$")

    def announce(handler: Handler) -> Handler:
        ROUTES.append(Route(method, template, pattern, handler, writes or reads, bool(writes), role))
        return handler

    return announce


def find(method: str, path: str) -> tuple[Route, dict[str, str]] | None:
    """The route of a request and its parameters; of several the one that says most of the path itself."""
    found = [(one, match) for one in ROUTES if one.method == method and (match := one.pattern.match(path))]
    if not found:
        return None
    route, match = min(found, key=lambda one: (len(one[1].groupdict()), -len(one[0].template)))
    return route, {name: unquote(text) for name, text in match.groupdict().items()}
