"""The JSON Schema of ``keyturn.yml``, made from the one table of fields (SPEC: keyturn.yml).

Editors and validators read it as ``keyturn.schema.json``, which ships beside this module. It refuses what
the walk in ``shape`` refuses, at the same fields. What it cannot see is listed in ``refusals``.
"""

from __future__ import annotations

import json
from collections.abc import Callable

from keyturn.policy.fields import FIELDS, Field, Kind, children

FILE_NAME = "keyturn.schema.json"

_DIALECT = "http://json-schema.org/draft-07/schema#"
"""Draft 7: the latest that the editors in use read in full. It only names the dialect; nothing is fetched."""

_Schema = dict[str, object]


def schema() -> dict[str, object]:
    """The schema as a JSON object."""
    return {"$schema": _DIALECT, "title": "keyturn.yml", **_schema_of(FIELDS[0])}


def schema_text() -> str:
    """The schema as the file that ships: two spaces of indent, ASCII, one newline at the end."""
    return json.dumps(schema(), indent=2) + "\n"


def _schema_of(field: Field) -> _Schema:
    about = f"{field.doc} Must be {field.form}." if field.form and field.kind is Kind.TEXT else field.doc
    return {"description": about, **_MAKERS[field.kind](field)}


def _mapping(field: Field) -> _Schema:
    known = children(field)
    required = [name for name, child in known.items() if child.required]
    return {
        "type": "object",
        "properties": {name: _schema_of(child) for name, child in known.items()},
        **({"required": required} if required else {}),
        "additionalProperties": False,
    }


def _named(field: Field) -> _Schema:
    (child,) = children(field).values()
    return {
        "type": "object",
        "propertyNames": {"description": f"Must be {field.form}.", "pattern": _whole(field.pattern)},
        "additionalProperties": _schema_of(child),
    }


def _list(field: Field) -> _Schema:
    (child,) = children(field).values()
    fewest: _Schema = {} if field.minimum is None else {"minItems": field.minimum}
    return {"type": "array", **fewest, "items": _schema_of(child)}


def _text(field: Field) -> _Schema:
    form: _Schema = {"enum": list(field.choices)} if field.choices else {"pattern": _whole(field.pattern)}
    return {"type": "string", **form, **_default(field), "examples": [field.example.strip('"')]}


def _integer(field: Field) -> _Schema:
    bounds: _Schema = {"minimum": field.minimum, "maximum": field.maximum}
    return {"type": "integer", **bounds, "examples": [int(field.example)]}


def _flag(field: Field) -> _Schema:
    return {"type": "boolean", **_default(field), "examples": [field.example == "true"]}


def _default(field: Field) -> _Schema:
    return {} if field.default is None else {"default": field.default}


def _whole(pattern: str) -> str:
    # A schema's pattern may match anywhere, and for some engines $ also matches before a last newline.
    return rf"^(?:{pattern})$(?!\n)"


_MAKERS: dict[Kind, Callable[[Field], _Schema]] = {
    Kind.MAPPING: _mapping,
    Kind.NAMED: _named,
    Kind.LIST: _list,
    Kind.TEXT: _text,
    Kind.INTEGER: _integer,
    Kind.FLAG: _flag,
}
