"""The GraphQL that clients send, parsed: one query with fields, arguments, variables, inline fragments."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lab.forge.wire import Json

TOKEN = re.compile(
    r'[\s,]*(?:#[^\n]*\n[\s,]*)*(\.\.\.|[{}()\[\]:!$=@|]|"(?:\\.|[^"\\])*"|-?\d+(?:\.\d+)?|\w+|$)'
)
WORDS: Mapping[str, Any] = {"true": True, "false": False, "null": None}


class QueryError(Exception):
    """The text is not a query, or asks for what the schema does not have."""


@dataclass(frozen=True)
class Field:
    """What is asked of one object.

    Args:
        name: Name of the field; for an inline fragment ``... on`` a type, with that type.
        key: Name in the answer: the alias, if there is one.
        arguments: Arguments with their variables filled in.
        fields: What is asked of the field's own value.
        on: The type of an inline fragment; None for a field.
    """

    name: str
    key: str
    arguments: Mapping[str, Any]
    fields: tuple[Field, ...]
    on: str | None = None


class Parser:
    """Recursive descent over one document.

    Args:
        text: The document.
        variables: Values of its variables.
    """

    def __init__(self, text: str, variables: Mapping[str, Any]) -> None:
        self._words = self._split(text)
        self._variables = dict(variables)
        self._at = 0

    @staticmethod
    def _split(text: str) -> list[str]:
        words, at = [], 0
        while at < len(text):
            found = TOKEN.match(text, at)
            if found is None:
                raise QueryError(f"Parse error on {text[at : at + 10]!r}")
            if found[1]:
                words.append(found[1])
            at = found.end() if found.end() > at else len(text)
        return words

    def _peek(self) -> str:
        return self._words[self._at] if self._at < len(self._words) else ""

    def _next(self, wanted: str | None = None) -> str:
        word = self._peek()
        if not word or (wanted is not None and word != wanted):
            raise QueryError(f"Parse error on {word or 'the end'!r} (expected {wanted or 'more'!r})")
        self._at += 1
        return word

    def _skip(self, word: str) -> bool:
        if self._peek() == word:
            self._at += 1
            return True
        return False

    def operation(self) -> tuple[Field, ...]:
        """The fields of the one query in the document."""
        if self._peek() != "{":
            kind = self._next()
            if kind != "query":
                raise QueryError(f"the lab knows queries only, not a {kind}")
            if self._peek() not in ("{", "("):
                self._next()
            if self._skip("("):
                self._declarations()
        fields = self._selection()
        if self._peek():
            raise QueryError(f"Parse error on {self._peek()!r}: one operation only")
        return fields

    def _declarations(self) -> None:
        while not self._skip(")"):
            self._next("$")
            name = self._next()
            self._next(":")
            required = self._type()
            if self._skip("="):
                self._variables.setdefault(name, self._value())
            if required and self._variables.get(name) is None:
                raise QueryError(f"Variable ${name} was provided invalid value")
            self._variables.setdefault(name, None)

    def _type(self) -> bool:
        if self._skip("["):
            self._type()
            self._next("]")
        else:
            self._next()
        return self._skip("!")

    def _selection(self) -> tuple[Field, ...]:
        self._next("{")
        fields = []
        while not self._skip("}"):
            fields.append(self._fragment() if self._skip("...") else self._field())
        return tuple(fields)

    def _fragment(self) -> Field:
        self._next("on")
        name = self._next()
        return Field("...", "...", {}, self._selection(), name)

    def _field(self) -> Field:
        key = name = self._next()
        if self._skip(":"):
            name = self._next()
        arguments = {}
        if self._skip("("):
            while not self._skip(")"):
                argument = self._next()
                self._next(":")
                arguments[argument] = self._value()
        return Field(name, key, arguments, self._selection() if self._peek() == "{" else ())

    def _value(self) -> Json:
        word = self._next()
        if word == "$":
            name = self._next()
            if name not in self._variables:
                raise QueryError(f"Variable ${name} is used but not declared")
            return self._variables[name]
        if word == "[":
            values = []
            while not self._skip("]"):
                values.append(self._value())
            return values
        if word[0] == '"' or word.lstrip("-")[0].isdigit():
            return json.loads(word)
        return WORDS.get(word, word)
