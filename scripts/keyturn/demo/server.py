"""A web server on the loopback interface, as plain as a host of static pages."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from keyturn.errors import EnvironmentFault


@contextmanager
def serve(directory: Path, port: int = 0) -> Iterator[str]:
    """Serve a directory while the context lasts.

    Args:
        directory: What to serve; it may still be empty.
        port: Port; 0 takes a free one.

    Yields:
        The URL, with a slash at the end.

    Raises:
        EnvironmentFault: The port is in use, or this user may not have it (reason ``port``).
    """
    try:
        server = ThreadingHTTPServer(("127.0.0.1", port), partial(_Quiet, directory=str(directory)))
    except OSError as error:
        raise EnvironmentFault(
            f"cannot serve on port {port}: {error.strerror}", todo="Name another port.", reason="port"
        ) from error
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Nobody reads this server's log."""
