"""Nodes against the table of fields: unknown keys, types, patterns, bounds, what is missing.

One walk, driven by ``FIELDS`` alone. It never stops at a problem: what is well formed is kept, with its
place in the file, so that the rules of sense can speak about it in the same run.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping

from keyturn.policy import fields
from keyturn.policy.document import Items, Mark, Node, Pairs, Refused, Scalar
from keyturn.policy.fields import Field, Kind
from keyturn.policy.problem import Problem, ProblemKind, Steps, field_name, quoted

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)", re.ASCII)
_LONGEST_NUMBER = 9
_TRUE = frozenset({"yes", "true", "on"})
_READ_AS = {
    "str": "text",
    "int": "a number",
    "float": "a number with a fraction",
    "bool": "true or false",
    "null": "nothing",
    "timestamp": "a date",
}
_WANTED = {
    Kind.MAPPING: "a mapping",
    Kind.NAMED: "a mapping",
    Kind.LIST: "a list",
    Kind.TEXT: "text",
    Kind.INTEGER: "a number",
    Kind.FLAG: "true or false",
}
_LONGEST_GUESSED = 40
_MOST_GUESSED = 100


class Answers:
    """The well-formed values of a file by path, defaults included, each with its place.

    A path is a tuple of keys and item numbers, e.g. ``("roles", "root", "signers", 0)``.
    """

    def __init__(self) -> None:
        self.texts: dict[Steps, str] = {}
        self.integers: dict[Steps, int] = {}
        self.flags: dict[Steps, bool] = {}
        self.sizes: dict[Steps, int] = {}
        """Items of each list, malformed ones counted."""
        self.names: dict[Steps, tuple[str, ...]] = {}
        """Keys of each mapping with free names, in order, malformed ones left out."""
        self.marks: dict[Steps, Mark] = {}
        """Where each thing stands that the file gives: its value, or its key if the value is a container."""

    def items(self, *path: str | int) -> list[tuple[Steps, str]]:
        """The well-formed texts of a list, each with its path."""
        size = self.sizes.get(path, 0)
        places: list[Steps] = [(*path, number) for number in range(size)]
        return [(place, self.texts[place]) for place in places if place in self.texts]

    def problem(self, kind: ProblemKind, path: Steps, what: str, todo: str) -> Problem:
        """A problem at a path, or at what would hold it if the file does not give it."""
        place = path
        while place not in self.marks:
            place = place[:-1]
        mark = self.marks[place]
        return Problem(kind, mark.line, mark.column, field_name(path), what, todo)


def walk(root: Node) -> tuple[Answers, list[Problem]]:
    """Hold a document against the table.

    Returns:
        The well-formed values, and every problem of shape and every key that stands twice.
    """
    walker = _Walk()
    walker.answers.marks[()] = root.mark
    walker.take(fields.FIELDS[0], root, ())
    return walker.answers, walker.problems


class _Walk:
    def __init__(self) -> None:
        self.answers = Answers()
        self.problems: list[Problem] = []
        self._guesses = 0
        self._takers: dict[Kind, Callable[[Field, Node, Steps], bool]] = {
            Kind.MAPPING: self._mapping,
            Kind.NAMED: self._named,
            Kind.LIST: self._list,
            Kind.TEXT: self._text,
            Kind.INTEGER: self._integer,
            Kind.FLAG: self._flag,
        }

    def take(self, field: Field, node: Node, path: Steps) -> None:
        if not isinstance(node, Refused) and not self._takers[field.kind](field, node, path):
            self._wrong_type(field, node, path)

    # Takers return False if the node is not of the field's type at all.

    def _mapping(self, field: Field, node: Node, path: Steps) -> bool:
        if not isinstance(node, Pairs):
            return False
        known = fields.children(field)
        given: set[str] = set()
        for key, value in self._entries(node, path):
            if key.text in known:
                given.add(key.text)
                self._place((*path, key.text), key, value)
                self.take(known[key.text], value, (*path, key.text))
            else:
                self._unknown(key, path, known)
        for name, child in known.items():
            if name not in given:
                self._absent(child, (*path, name))
        return True

    def _named(self, field: Field, node: Node, path: Steps) -> bool:
        if not isinstance(node, Pairs):
            return False
        (child,) = fields.children(field).values()
        names = []
        for key, value in self._entries(node, path):
            place = (*path, key.text)
            self._place(place, key, value)
            if field.accepts(key.text):
                names.append(key.text)
            else:
                todo = f"Write for example {field.written()}."
                self._add("shape", key.mark, place, f"must be {field.form}", todo)
            self.take(child, value, place)
        self.answers.names[path] = tuple(names)
        return True

    def _list(self, field: Field, node: Node, path: Steps) -> bool:
        if not isinstance(node, Items):
            return False
        (child,) = fields.children(field).values()
        for number, item in enumerate(node.nodes):
            place = (*path, number)
            self.answers.marks[place] = item.mark
            self.take(child, item, place)
        self.answers.sizes[path] = len(node.nodes)
        if len(node.nodes) < (field.minimum or 0):
            self._add("shape", node.mark, path, "the list is empty", f"Write for example {field.written()}.")
        return True

    def _text(self, field: Field, node: Node, path: Steps) -> bool:
        if not isinstance(node, Scalar) or node.tag != "str":
            return False
        if field.accepts(node.text):
            self.answers.texts[path] = node.text
        else:
            what = f"{quoted(node.text)} is not right: it must be {field.form}"
            self._add("shape", node.mark, path, what, f"Write for example {field.written()}.")
        return True

    def _integer(self, field: Field, node: Node, path: Steps) -> bool:
        if not isinstance(node, Scalar) or node.tag != "int":
            return False
        low, high = field.minimum or 0, field.maximum or 0
        todo = f"Write for example {field.written()}."
        if not _NUMBER.fullmatch(node.text):
            what = f"{quoted(node.text)} is a number, but not written in plain digits"
            self._add("sense", node.mark, path, what, todo)
        elif len(node.text) <= _LONGEST_NUMBER and low <= int(node.text) <= high:
            self.answers.integers[path] = int(node.text)
        else:
            bounds = f"{low}" if low == high else f"from {low} to {high}"
            self._add("shape", node.mark, path, f"{quoted(node.text)} is not {bounds}", todo)
        return True

    def _flag(self, field: Field, node: Node, path: Steps) -> bool:
        if not isinstance(node, Scalar) or node.tag != "bool":
            return False
        self.answers.flags[path] = node.text.lower() in _TRUE
        return True

    def _absent(self, field: Field, path: Steps) -> None:
        if field.required:
            problem = self.answers.problem("shape", path, "is missing", f"Add {field.written()}.")
            self.problems.append(problem)
        elif field.kind is Kind.MAPPING:
            for name, child in fields.children(field).items():
                self._absent(child, (*path, name))
        elif field.kind is Kind.NAMED:
            self.answers.names[path] = ()
        elif field.kind is Kind.LIST:
            self.answers.sizes[path] = 0
        elif isinstance(field.default, bool):
            self.answers.flags[path] = field.default
        elif field.default is not None:
            self.answers.texts[path] = field.default

    def _entries(self, node: Pairs, path: Steps) -> list[tuple[Scalar, Node]]:
        """The entries whose key is a text that has not stood before; the others are complained about."""
        entries: dict[str, tuple[Scalar, Node]] = {}
        for key, value in node.entries:
            if isinstance(key, Refused):
                continue
            if isinstance(key, Scalar) and key.tag == "merge":
                what = "merge keys are not used in a policy"
                self._add("shape", key.mark, (*path, "<<"), what, "Write the keys out in full.")
            elif not isinstance(key, Scalar):
                what = "a key is a list or a mapping"
                self._add("shape", key.mark, path, what, "Write a plain word as key.")
            elif key.tag != "str":
                what = f"the key {quoted(key.text)} is {_read_as(key)} to YAML, not text"
                self._add("shape", key.mark, path, what, f"Put it in quotes: {quoted(key.text)}.")
            elif key.text in entries:
                line = entries[key.text][0].mark.line
                what = f"stands twice, first on line {line}"
                self._add("sense", key.mark, (*path, key.text), what, "Keep one of the two.")
            else:
                entries[key.text] = key, value
        return list(entries.values())

    def _unknown(self, key: Scalar, path: Steps, known: Mapping[str, Field]) -> None:
        guess = self._guess(key.text, known)
        homes = fields.homes(key.text)
        if guess:
            todo = f"Did you mean {guess}? Write for example {known[guess].written()}."
        elif homes:
            todo = f"Move it: it belongs under {' or '.join(homes)}."
        else:
            todo = f"Remove it, or write one of: {', '.join(known)}."
        self._add("shape", key.mark, (*path, key.text), "no such key", todo)

    def _guess(self, key: str, known: Iterable[str]) -> str:
        # Guessing is slow: a file made of nothing but wrong keys must not hold a job up.
        self._guesses += 1
        if self._guesses > _MOST_GUESSED or len(key) > _LONGEST_GUESSED:
            return ""
        return next(iter(difflib.get_close_matches(key.lower().replace("_", "-"), list(known), n=1)), "")

    def _wrong_type(self, field: Field, node: Node, path: Steps) -> None:
        wanted = _WANTED[field.kind]
        if isinstance(node, Scalar) and node.text:
            what = f"{quoted(node.text)} is {_read_as(node)} to YAML; {wanted} is needed"
        elif isinstance(node, Scalar):
            what = f"has no value; {wanted} is needed"
        else:
            what = f"is {'a list' if isinstance(node, Items) else 'a mapping'}; {wanted} is needed"
        self._add("shape", node.mark, path, what, _cure(field, node))

    def _place(self, path: Steps, key: Scalar, value: Node) -> None:
        self.answers.marks[path] = value.mark if isinstance(value, Scalar) else key.mark

    def _add(self, kind: ProblemKind, mark: Mark, path: Steps, what: str, todo: str) -> None:
        self.problems.append(Problem(kind, mark.line, mark.column, field_name(path), what, todo))


def _read_as(node: Scalar) -> str:
    return _READ_AS.get(node.tag, "a special sign")


def _cure(field: Field, node: Node) -> str:
    """What to write instead of a value of the wrong type: the same in other clothes, if that would do."""
    key = "" if field.name in ("*", "[]", "") else f"{field.name}: "
    if isinstance(node, Scalar) and node.text:
        if field.kind is Kind.TEXT and field.accepts(node.text):
            return f'Put it in quotes: {key}"{node.text}".'
        if field.kind is Kind.INTEGER and node.tag == "str" and _NUMBER.fullmatch(node.text):
            return f"Write it without quotes: {key}{node.text}."
        if field.kind is Kind.LIST and node.tag == "str" and node.text.isprintable():
            return f"Put it in brackets: {key}[{node.text}]."
    return f"Write for example {field.written()}."
