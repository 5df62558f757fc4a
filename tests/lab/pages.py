"""GitHub Pages as a client sees it: one deployment replaces all at once, and edges lag ten minutes behind.

Each edge keeps what it has fetched for 600 seconds of the lab's clock, missing files too if a test says so.
Which edge answers is for the test to choose: by port, by the header ``X-Lab-Edge``, or with
:attr:`Pages.answering`.
"""

from __future__ import annotations

import gzip
import io
import mimetypes
import re
import sys
import tarfile
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from urllib.parse import unquote, urlsplit

MAX_AGE = 600
_COMPRESSED = ("text/", "application/json", "application/javascript", "application/xml", "image/svg")
_MISSING = (
    b"<!DOCTYPE html>\n<html><head><title>Page not found</title></head><body><h1>404</h1></body></html>\n"
)


class DeployError(Exception):
    """Pages does not take an artifact."""


@dataclass(frozen=True)
class Page:
    """What the origin answers for a path: to keep, to shorten, to pack."""

    status: int
    body: bytes
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Site:
    """All files of one deployment."""

    files: Mapping[str, bytes]
    deployed: datetime

    def page(self, path: str, base: str) -> Page:
        """The answer for a path below the site's root, without a slash at the start."""
        stamp = format_datetime(self.deployed, usegmt=True)
        for name in (f"{path}index.html",) if path.endswith("/") or not path else (path, f"{path}.html"):
            if name in self.files:
                body = self.files[name]
                tag = f'"{int(self.deployed.timestamp()):x}-{len(body):x}"'
                kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
                if kind.startswith("text/"):
                    kind += "; charset=utf-8"
                headers = {"Content-Type": kind, "ETag": tag, "Last-Modified": stamp}
                return Page(200, body, headers)
        if f"{path}/index.html" in self.files:
            return Page(301, b"", {"Location": f"{base}{path}/"})
        body = self.files.get("404.html", _MISSING)
        return Page(404, body, {"Content-Type": "text/html; charset=utf-8"})


@dataclass
class Edge:
    """One place of the content delivery network.

    Args:
        keeps_missing: Whether it keeps a 404 as long as everything else.
        requests: Paths that it was asked for, with the status it answered.
    """

    keeps_missing: bool = True
    requests: list[tuple[str, int]] = field(default_factory=list)
    _kept: dict[str, tuple[datetime, Page]] = field(default_factory=dict)

    def fetch(self, target: str, now: datetime, origin: Callable[[], Page]) -> tuple[Page, int]:
        """The answer for a target, and its age in seconds."""
        kept = self._kept.get(target)
        if kept and now - kept[0] < timedelta(seconds=MAX_AGE):
            return kept[1], int((now - kept[0]).total_seconds())
        page = origin()
        if page.status == 200 or self.keeps_missing:
            self._kept[target] = (now, page)
        else:
            self._kept.pop(target, None)
        return page, 0

    def forget(self) -> None:
        """Drop everything, as ten minutes would."""
        self._kept.clear()


class Pages:
    """Sites of all repositories of a forge, at ``{url}/OWNER/REPOSITORY/``.

    Args:
        clock: The lab's time.
        edges: How many edges there are.

    Whether they keep what they have when a site is deployed anew is said by :attr:`lagging`.
    """

    def __init__(self, clock: Callable[[], datetime], edges: int = 2) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self.sites: dict[str, Site] = {}
        self.deployments: list[tuple[str, Site]] = []
        self.edges = [Edge() for _ in range(edges)]
        self.answering: int | None = None
        self.lagging = True
        self._servers = [_Server(self, index) for index in range(edges)]

    def __enter__(self) -> Pages:
        for server in self._servers:
            threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()

    def url(self, slug: str, edge: int = 0) -> str:
        """Root of a site, with a slash at the end."""
        return f"http://127.0.0.1:{self._servers[edge].server_port}/{slug}/"

    def deploy(self, slug: str, archive: bytes) -> Site:
        """Replace a site by what an artifact holds, all at once.

        Raises:
            DeployError: It holds links or something else that is no file.
        """
        files = {}
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            for member in tar:
                if member.isdir():
                    continue
                content = tar.extractfile(member) if member.isreg() else None
                if content is None:
                    raise DeployError(f"artifact holds something that is no file: {member.name}")
                files[member.name.removeprefix("./")] = content.read()
        site = Site(files, self._clock())
        with self._lock:
            self.sites[slug.lower()] = site
            self.deployments.append((slug, site))
            for edge in () if self.lagging else self.edges:
                edge.forget()
        return site

    def answer(self, target: str, port: int, named: str | None) -> tuple[Page, int]:
        """What the edge that is to answer says, and how old that is."""
        index = int(named) if named is not None else port if self.answering is None else self.answering
        edge = self.edges[index]
        with self._lock:
            page, age = edge.fetch(target, self._clock(), lambda: self._origin(target))
            edge.requests.append((target, page.status))
        return page, age

    def _origin(self, target: str) -> Page:
        path = unquote(urlsplit(target).path)
        _, owner, name, rest = [*path.split("/", 3), "", "", ""][:4]
        site = self.sites.get(f"{owner}/{name}".lower())
        if site is None:
            return Page(404, _MISSING, {"Content-Type": "text/html; charset=utf-8"})
        return site.page(rest, f"/{owner}/{name}/")


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, pages: Pages, index: int) -> None:
        self.pages, self.index = pages, index
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        page, age = self.server.pages.answer(self.path, self.server.index, self.headers.get("X-Lab-Edge"))
        headers = dict(page.headers)
        headers |= {"Server": "GitHub.com", "Access-Control-Allow-Origin": "*", "Age": str(age)}
        headers |= {
            "Cache-Control": f"max-age={MAX_AGE}",
            "Accept-Ranges": "bytes",
            "Vary": "Accept-Encoding",
        }
        status, body = page.status, page.body
        tag = headers.get("ETag")
        if status == 200 and tag:
            asked = self.headers.get("If-None-Match", "")
            if tag in asked.replace("W/", ""):
                status, body = 304, b""
            elif "Range" in self.headers and self.headers.get("If-Range", tag) == tag:
                status, body = self._part(body, headers)
        packable = headers.get("Content-Type", "").startswith(_COMPRESSED)
        if status in (200, 404) and packable and "gzip" in self.headers.get("Accept-Encoding", ""):
            body = gzip.compress(body, mtime=0)
            headers["Content-Encoding"] = "gzip"
            if tag:
                headers["ETag"] = f"W/{tag}"
        self._send(status, body, headers)

    do_HEAD = do_GET  # noqa: N815 - the name that http.server looks for

    def _part(self, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
        asked = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers["Range"])
        if not asked or not any(asked.groups()):
            return 200, body
        first, last = asked.groups()
        start = int(first) if first else max(0, len(body) - int(last))
        end = min(int(last), len(body) - 1) if first and last else len(body) - 1
        if start > end:
            headers["Content-Range"] = f"bytes */{len(body)}"
            return 416, b""
        headers["Content-Range"] = f"bytes {start}-{end}/{len(body)}"
        return 206, body[start : end + 1]

    def _send(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 304:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Tests look at Edge.requests instead."""
