"""What stands behind the stand-ins: takes sites and attestations of jobs, as GitHub would or would not."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

from lab.forge import LabForge
from lab.forge.access import FORBIDDEN
from lab.forge.model import Token
from lab.pages import DeployError, Pages

Attest = Callable[[int, str, str], Mapping[str, Any]]
"""From a run's id, a file's name and its SHA-256 to a Sigstore bundle."""


class Refused(Exception):
    """GitHub would not do it; answered with status and text."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Services:
    """A server on loopback; jobs know it as ``LAB_SERVICES``.

    Args:
        forge: Knows what a job's token may do.
        pages: Where sites go.
    """

    def __init__(self, forge: LabForge, pages: Pages) -> None:
        self._forge = forge
        self._pages = pages
        self.attest: Attest | None = None
        handler = type("ServicesHandler", (_Handler,), {"services": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True

    def __enter__(self) -> Services:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def take(self, what: str, slug: str, token: str, environment: str, body: bytes) -> str:
        """What a stand-in sends.

        Raises:
            Refused: GitHub would not take it.
        """
        if what == "deployments":
            return self._deploy(slug, token, environment, body)
        return self._keep_attestation(slug, token, body.decode())

    def _demand(self, value: str, slug: str, *scopes: str) -> Token:
        token = self._forge.tokens.get(value)
        held = (token.scopes if token and token.slug == slug else None) or {}
        lacking = [scope for scope in scopes if held.get(scope) != "write"]
        if token is None or lacking:
            # The second half is what GitHub's own actions make of it.
            named = f'. Ensure GITHUB_TOKEN has permission "{lacking[0]}: write".' if lacking else ""
            raise Refused(403, FORBIDDEN + named)
        return token

    def _deploy(self, slug: str, value: str, environment: str, archive: bytes) -> str:
        self._demand(value, slug, "pages", "id-token")
        site = self._forge.repository(slug).pages
        if site is None or site.build_type != "workflow":
            raise Refused(404, "Ensure GitHub Pages has been enabled, with GitHub Actions as its source")
        if not environment:
            raise Refused(
                400, "Missing environment. Ensure your workflow's deployment job has an environment."
            )
        try:
            self._pages.deploy(slug, archive)
        except DeployError as error:
            raise Refused(400, str(error)) from error
        return self._pages.url(slug)

    def _keep_attestation(self, slug: str, value: str, subject: str) -> str:
        token = self._demand(value, slug, "attestations", "id-token")
        if self.attest is None or token.run is None:
            raise Refused(503, "this lab has no Sigstore: see Lab.sign_with")
        sha256, _, name = subject.partition(" ")
        self._forge.attest(slug, sha256, self.attest(token.run, name, sha256))
        return sha256


class _Handler(BaseHTTPRequestHandler):
    services: Services

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        _, what, slug = self.path.split("/", 2)
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        try:
            said = self.services.take(what, slug, token, self.headers.get("X-Lab-Environment", ""), body)
            status = 200
        except Refused as refused:
            said, status = str(refused), refused.status
        self.send_response_only(status)
        self.send_header("Content-Length", str(len(said.encode())))
        self.end_headers()
        self.wfile.write(said.encode())

    def log_message(self, *args: object) -> None:
        """Tests look at what came of it."""
