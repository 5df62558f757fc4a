"""Cuts GitHub's OpenAPI description down to the paths that the forge answers.

    npm pack @octokit/openapi && tar xzf octokit-openapi-*.tgz
    PYTHONPATH=tests python -m lab.forge.cut_openapi package

The description is GitHub's and the Octokit contributors', under the MIT License, whose text is kept in
``info.license`` of what comes out.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lab.forge import server  # noqa: F401 - brings all routes
from lab.forge.wire import ROUTES, Json

OUT = Path(__file__).with_name("openapi.json")
PROSE = (
    "description",
    "summary",
    "example",
    "examples",
    "externalDocs",
    "tags",
    "x-github",
    "x-webhooks",
    "title",
)


def prune(node: Json, *, named: bool = False) -> Json:
    """Without prose; below ``properties`` the same words are names of fields."""
    if isinstance(node, list):
        return [prune(one) for one in node]
    if not isinstance(node, dict):
        return node
    kept = node if named else {name: value for name, value in node.items() if name not in PROSE}
    return {name: prune(value, named=name == "properties" and not named) for name, value in kept.items()}


def spell_out(node: Json) -> None:
    """Say in full that null is fine: validators ask for it among the alternatives as well."""
    if isinstance(node, list):
        for one in node:
            spell_out(one)
    if not isinstance(node, dict):
        return
    for value in node.values():
        spell_out(value)
    if node.get("nullable") is True:
        if isinstance(node.get("enum"), list) and None not in node["enum"]:
            node["enum"].append(None)
        for kind in ("anyOf", "oneOf"):
            if isinstance(node.get(kind), list):
                node[kind].append({"nullable": True, "enum": [None]})


def references(node: Json) -> Iterator[str]:
    """All ``$ref`` in a part of the description."""
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def operation(described: dict[str, Any]) -> dict[str, Any]:
    """One operation: which answers it gives; what is asked is GitHub's to check."""
    responses = {}
    for status, response in described["responses"].items():
        # OpenAPI demands a description of each response and nothing else.
        responses[status] = {"description": "", **prune(response)} if "$ref" not in response else response
    return {"operationId": described["operationId"], "responses": responses}


def mend(schemas: dict[str, Any]) -> None:
    """Allow what GitHub answers although its description says otherwise."""
    schemas["issue"]["properties"]["state_reason"]["nullable"] = True
    schemas["label"]["properties"]["description"]["nullable"] = True
    listed = schemas["pull-request-simple"]["properties"]["labels"]["items"]
    listed["properties"]["description"]["nullable"] = True
    schemas["page"]["properties"]["status"]["nullable"] = True


def cut(whole: dict[str, Any], license_text: str) -> dict[str, Any]:
    """The paths of the forge's routes with everything that they refer to."""
    paths: dict[str, Any] = {}
    for route in ROUTES:
        described = whole["paths"].get(route.template, {}).get(route.method.lower())
        if described is None:
            raise SystemExit(f"GitHub does not describe {route.method} {route.template}")
        path = paths.setdefault(route.template, {"parameters": parameters(route.template)})
        path[route.method.lower()] = operation(described)
    components: dict[str, Any] = {}
    waiting = set(references(paths))
    while waiting:
        _, _, kind, name = waiting.pop().split("/")
        if name in components.setdefault(kind, {}):
            continue
        part = prune(whole["components"][kind][name])
        if kind == "responses":
            part = {"description": "", **part}
        components[kind][name] = part
        waiting |= set(references(part))
    mend(components["schemas"])
    spell_out([paths, components])
    info = {
        "title": "GitHub v3 REST API, cut",
        "version": whole["info"]["version"],
        "license": {"name": "MIT", "x-text": license_text},
    }
    return {
        "openapi": whole["openapi"],
        "info": info,
        "servers": [{"url": "https://api.github.com"}],
        "paths": dict(sorted(paths.items())),
        "components": {kind: dict(sorted(parts.items())) for kind, parts in sorted(components.items())},
    }


def parameters(template: str) -> list[dict[str, Any]]:
    """Parts of a path, which are strings to us whatever they are."""
    names = [part.partition("}")[0] for part in template.split("{")[1:]]
    return [{"name": one, "in": "path", "required": True, "schema": {"type": "string"}} for one in names]


def main() -> None:
    package = Path(sys.argv[1])
    whole = json.loads((package / "generated" / "api.github.com.json").read_text(encoding="utf-8"))
    license_text = (package / "LICENSE").read_text(encoding="utf-8").strip()
    text = json.dumps(cut(whole, license_text), separators=(",", ":"), ensure_ascii=False)
    OUT.write_text(f"{text}\n", encoding="utf-8")
    print(f"{OUT}: {len(text.encode())} bytes")


if __name__ == "__main__":
    main()
