"""GitHub's own parser and evaluator, kept running in one Node process, since starting it takes long."""

from __future__ import annotations

import atexit
import functools
import json
import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_SCRIPTS = Path(__file__).parent / "js"
HOOKS = _SCRIPTS / "hooks.mjs"
SUCCESS = {"success": True, "failure": False, "cancelled": False}


class NodeError(Exception):
    """A question that GitHub would not answer either: a broken expression, say."""


class Node:
    """The process; started at the first question, ended with the tests."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()
        self.parse = functools.lru_cache(maxsize=None)(self._parse)

    def _ask(self, **question: object) -> dict[str, Any]:
        with self._lock:
            if self._process is None:
                self._process = subprocess.Popen(
                    ["node", "--import", HOOKS.as_uri(), str(_SCRIPTS / "server.mjs")],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                    encoding="utf-8",
                )
                atexit.register(self.close)
            stdin, stdout = self._process.stdin, self._process.stdout
            assert stdin is not None
            assert stdout is not None
            stdin.write(json.dumps(question) + "\n")
            stdin.flush()
            answer = stdout.readline()
        if not answer:
            raise NodeError("the Node process ended")
        decoded = json.loads(answer)
        if "failed" in decoded:
            raise NodeError(decoded["failed"])
        assert isinstance(decoded, dict)
        return decoded

    def _parse(self, content: str) -> dict[str, Any]:
        """What the workflow parser makes of a file; each distinct content is parsed once."""
        return self._ask(ask="parse", name="workflow.yml", content=content)

    def evaluate(
        self, expression: str, contexts: Mapping[str, object], status: Mapping[str, bool] | None = None
    ) -> Any:  # noqa: ANN401 - whatever an expression may come to
        """The value of an expression (without ``${{ }}``)."""
        answer = self._ask(ask="evaluate", expression=expression, contexts=contexts, status=status or SUCCESS)
        return answer["value"]

    def close(self) -> None:
        process, self._process = self._process, None
        if process is not None and process.stdin is not None and process.stdout is not None:
            process.stdin.close()
            process.wait()
            process.stdout.close()


NODE = Node()
