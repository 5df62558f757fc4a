"""HTTP: takes requests apart, finds who answers, sends what they say, or less where a fault was ordered."""

from __future__ import annotations

import base64
import socket
import sys
import threading
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias
from urllib.parse import parse_qsl, unquote, urlsplit

from lab.forge import (  # noqa: F401 - the rest_* modules announce their routes when they are imported
    access,
    graphql,
    rest_accounts,
    rest_actions,
    rest_commits,
    rest_contents,
    rest_environments,
    rest_issues,
    rest_pulls,
    rest_releases,
    rest_settings,
    rest_statuses,
    smart_git,
)
from lab.forge.events import Handled
from lab.forge.faults import BEFORE, Fault
from lab.forge.model import Token
from lab.forge.store import StoreError
from lab.forge.wire import Answer, ApiError, Call, Request, find

if TYPE_CHECKING:
    from lab.forge.forge import LabForge

Socket: TypeAlias = Any
"""A socket, for which socketserver itself has a wider type."""
PREFIXES = ("/api/v3", "/api/uploads")


class Server:
    """The HTTP server of a forge, on a free port of loopback.

    Args:
        forge: Whose requests it takes.
    """

    def __init__(self, forge: LabForge) -> None:
        handler = type("ForgeHandler", (Handler,), {"forge": forge})
        self._http = _Http(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)
        self.url = f"http://127.0.0.1:{self._http.server_port}"

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._http.shutdown()
        self._http.end_connections()
        self._http.server_close()
        self._thread.join()


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(address, handler)
        self._open: set[Socket] = set()

    def process_request(self, request: Socket, client_address: object) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Socket) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def end_connections(self) -> None:
        """Clients keep connections open; their threads must not outlive the test."""
        for connection in list(self._open):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue

    def handle_error(self, request: Socket, client_address: object) -> None:
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    forge: ClassVar[LabForge]
    protocol_version = "HTTP/1.1"
    # Headers and body in one packet: else each answer waits for the client's delayed acknowledgement.
    wbufsize = 1 << 16

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is inherited
        """Say nothing; ``forge.requests`` has it all."""

    def handle_expect_100(self) -> bool:
        """Let the client go on at once: what it waits for would lie in the buffer."""
        fine = super().handle_expect_100()
        self.wfile.flush()
        return fine

    def _handle(self) -> None:
        split = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        path = next(
            (split.path[len(one) :] for one in PREFIXES if split.path.startswith(f"{one}/")), split.path
        )
        query = dict(parse_qsl(split.query, keep_blank_values=True))
        body = self._body()
        fault = self._fault(path, split.query)
        request = Request(self.command, path, query, headers, body, None)
        if fault and fault.kind in BEFORE:
            self._note(request, 0 if fault.kind == "dropped" else fault.answer()[0])
            return self._drop() if fault.kind == "dropped" else self._send_fault(fault)
        try:
            request = Request(self.command, path, query, headers, body, self._token(headers))
            answer = self._answer(request)
        except ApiError as error:
            answer = error.answer
        except StoreError as error:
            answer = ApiError(422, str(error)).answer
        except Exception:  # noqa: BLE001 - a mistake of the forge must not look like a dropped connection
            traceback.print_exc()
            answer = ApiError(500, "the lab's forge has a bug; its traceback is on stderr").answer
        self._note(request, answer.status if not (fault and fault.kind == "lost-response") else 0)
        if fault and fault.kind == "lost-response":
            return self._drop()
        return self._send(answer, truncated=fault is not None)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = _handle  # noqa: N815 - names are inherited

    # --------------------------------------------------------------- reading

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _token(self, headers: dict[str, str]) -> Token | None:
        kind, _, value = headers.get("authorization", "").partition(" ")
        if not value:
            return None
        if kind.lower() == "basic":
            value = base64.b64decode(value).decode().partition(":")[2]
        found = self.forge.tokens.get(value)
        if found is None:
            login = {"WWW-Authenticate": 'Basic realm="GitHub"'}
            raise ApiError(401, "Bad credentials", headers=login)
        return found

    def _fault(self, path: str, query: str) -> Fault | None:
        target = f"{path}?{query}" if query else path
        with self.forge.lock:
            return next((one for one in self.forge.faults if one.strikes(self.command, target)), None)

    # ------------------------------------------------------------- answering

    def _answer(self, request: Request) -> Answer:
        if found := smart_git.PATH.match(request.path):
            return smart_git.serve(self.forge, request, found)
        if answer := rest_releases.download(self.forge, request):
            return answer
        if request.path == "/api/graphql":
            with self.forge.changing():
                return graphql.answer(self.forge, request)
        matched = find("GET" if request.method == "HEAD" else request.method, request.path)
        if matched is None:
            # Not 404: a client may take that for an answer.
            raise ApiError(501, f"the lab's forge does not emulate {request.method} {request.path}")
        route, parameters = matched
        with self.forge.changing():
            kept = None
            if "repo" in parameters:
                slug = f"{parameters['owner']}/{parameters['repo']}"
                kept = access.visible(self.forge.repositories.get(slug.lower()), request.token)
                access.check(route, kept, request.token)
            call = Call(self.forge, request, parameters, kept)
            try:
                made = route.handler(call)
            except ApiError as error:
                made = error.answer
        if self.forge.contract:
            self.forge.contract.check(route, parameters, request, made)
        return Answer(made.status, made.content, {**call.headers, **made.headers}, made.content_type)

    def _note(self, request: Request, status: int) -> None:
        token = request.token
        kind: Any = "rest"
        if smart_git.PATH.match(request.path):
            kind = "git"
        elif request.path == "/api/graphql":
            kind = "graphql"
        elif not self.path.startswith("/api/"):
            kind = "download"
        login, by_job = (token.login, token.of_job) if token else (None, False)
        path = unquote(request.path)
        self.forge.requests.append(Handled(request.method, path, request.query, status, login, by_job, kind))

    # --------------------------------------------------------------- sending

    def _send(self, answer: Answer, *, truncated: bool = False) -> None:
        body = answer.body
        self.send_response(answer.status)
        if answer.status not in (204, 304):
            self.send_header("Content-Type", answer.content_type)
            self.send_header("Content-Length", str(len(body)))
        used = len(self.forge.requests)
        limits = {
            "X-GitHub-Media-Type": "github.v3; format=json",
            "X-RateLimit-Limit": "5000",
            "X-RateLimit-Remaining": str(max(5000 - used, 0)),
            "X-RateLimit-Used": str(used),
            "X-RateLimit-Reset": str(int(self.forge.now().timestamp()) + 3600),
            "X-RateLimit-Resource": "core",
        }
        for name, value in {**limits, **answer.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[: len(body) // 2] if truncated else body)
        self.wfile.flush()
        if truncated:
            self._drop()

    def _send_fault(self, fault: Fault) -> None:
        status, kind, body, headers = fault.answer()
        self._send(Answer(status, body, headers, kind))

    def _drop(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)
