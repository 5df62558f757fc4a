"""Bad days of a code host, on order."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, get_args

Kind = Literal[
    "500",  # JSON, nothing was done
    "502",  # an HTML page of a proxy, nothing was done
    "429",  # secondary rate limit, with Retry-After
    "403",  # the same limit in its older dress
    "truncated",  # done, but half of the answer is missing
    "dropped",  # the connection ends before anything is done
    "lost-response",  # done, but the connection ends before the answer
]
BEFORE: tuple[Kind, ...] = ("500", "502", "429", "403", "dropped")
"""Kinds that keep the request from being handled."""
SECONDARY = (
    "You have exceeded a secondary rate limit. Please wait a few minutes before you try again. "
    "If you reach out to GitHub Support for help, please include the request ID."
)


@dataclass
class Fault:
    """Requests that go wrong.

    Args:
        method: HTTP method, or ``*``.
        path: Searched for in path and query, without ``/api/v3``.
        kind: How they go wrong.
        times: How many of them.
        after: How many go well before.
        retry_after: Seconds that a rate limit asks to wait.
        hits: How many went wrong so far.
    """

    method: str
    path: re.Pattern[str]
    kind: Kind
    times: int
    after: int
    retry_after: int = 60
    hits: int = 0
    seen: int = 0

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise ValueError(f"no such fault: {self.kind}")

    def strikes(self, method: str, target: str) -> bool:
        """Whether this request is one of them; counts it."""
        if self.method not in ("*", method) or not self.path.search(target):
            return False
        self.seen += 1
        if self.seen <= self.after or self.hits >= self.times:
            return False
        self.hits += 1
        return True

    def answer(self) -> tuple[int, str, bytes, dict[str, str]]:
        """Status, content type, body and headers of an answer that replaces the real one."""
        if self.kind == "502":
            page = b"<html><head><title>502 Bad Gateway</title></head><body><h1>502</h1></body></html>\n"
            return 502, "text/html", page, {}
        if self.kind in ("429", "403"):
            body = f'{{"message": "{SECONDARY}", "documentation_url": "https://docs.github.com/rest"}}'
            headers = {"Retry-After": str(self.retry_after)}
            return int(self.kind), "application/json; charset=utf-8", body.encode(), headers
        return 500, "application/json; charset=utf-8", b'{"message": "Server Error"}', {}
