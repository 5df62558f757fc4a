"""Holds every answer of the API against GitHub's own description: openapi.json, cut by cut_openapi.py."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from functools import lru_cache
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import urlencode

if TYPE_CHECKING:
    from openapi_core import OpenAPI

    from lab.forge.wire import Answer, Request, Route

Violation: TypeAlias = Any
"""jsonschema's ValidationError, which has no types."""
DESCRIPTION = Path(__file__).with_name("openapi.json")
HOST = "https://api.github.com"


class ContractError(AssertionError):
    """The forge answered what GitHub would not."""


@lru_cache(maxsize=1)
def _description() -> OpenAPI:
    from openapi_core import Config, OpenAPI

    # That the description itself is valid is for whoever cuts it: checking takes seconds.
    config = Config(spec_validator_cls=None)
    return OpenAPI.from_dict(json.loads(DESCRIPTION.read_text(encoding="utf-8")), config=config)


class Contract:
    """Collects what answers break; the forge asks at its end."""

    def __init__(self) -> None:
        self.broken: list[str] = []
        self.checked = 0
        self._lock = threading.Lock()

    def check(self, route: Route, parameters: Mapping[str, str], request: Request, answer: Answer) -> None:
        """Hold one answer against the description."""
        from openapi_core.exceptions import OpenAPIError
        from openapi_core.templating.responses.exceptions import ResponseNotFound
        from openapi_core.testing import MockRequest, MockResponse

        path = route.address(parameters)
        asked = MockRequest(HOST, request.method.lower(), path, path_pattern=path)
        given = MockResponse(answer.body, answer.status, content_type=answer.content_type.partition(";")[0])
        with self._lock:
            self.checked += 1
            try:
                _description().validate_response(asked, given)
            except OpenAPIError as error:
                if isinstance(error, ResponseNotFound) and _plain_error(answer):
                    # Errors that anybody can get anywhere are not described everywhere.
                    return
                query = f"?{urlencode(request.query)}" if request.query else ""
                self.broken.append(
                    f"{request.method} {request.path}{query} -> {answer.status}: {_reason(error)}"
                )

    def conclude(self) -> None:
        """Raise if any answer was not as described."""
        if self.broken:
            raise ContractError(
                "answers that GitHub's description does not allow:\n" + "\n".join(self.broken)
            )


def _plain_error(answer: Answer) -> bool:
    """Whether it is an error of the form that all errors have."""
    content = answer.content
    return answer.status >= HTTPStatus.BAD_REQUEST and isinstance(content, dict) and "message" in content


def _reason(error: BaseException) -> str:
    """The innermost words: where in the answer, and what."""
    inner = error
    while inner.__cause__ is not None:
        inner = inner.__cause__
    lines = [line for one in getattr(inner, "schema_errors", ()) for line in _lines(one)]
    return "; ".join(lines) or f"{type(inner).__name__}: {inner}"


def _lines(error: Violation) -> list[str]:
    """What a schema says against a value; of alternatives, what each says."""
    if error.context:
        return [line for one in error.context for line in _lines(one)]
    where = "/".join(str(part) for part in error.absolute_path)
    # The end of the words: they begin with the whole value.
    return [f"{where or 'the answer'}: ...{error.message[-160:]}"]
