"""Bytes to nodes that know their line and column; where YAML's traps end (SPEC: keyturn.yml).

Events are read one by one and put together here instead of by PyYAML's composer: an alias is then a token
like any other and never followed, nesting is counted before anything recurses, and only scalars, lists and
mappings of this module leave it. A policy decides who may sign, so what a reviewer sees in it must be what
is read: characters that hide, or that break lines for YAML but not for an editor, are refused everywhere.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from keyturn.errors import EnvironmentFault
from keyturn.policy.problem import Problem, quoted

if TYPE_CHECKING:
    import yaml

MAX_BYTES = 256 * 1024
MAX_DEPTH = 16

_TAG_PREFIX = "tag:yaml.org,2002:"
# Controls, other line breaks than LF and CRLF (NEL, LS, PS), bidirectional overrides and isolates, byte order
# marks and what no text holds.
_REFUSED_CHARACTER = re.compile(
    "\r(?!\n)|[^\t\n\r -~\xa0-\u2027\u202f-\u2065\u206a-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in the file, both from 1; the column counts characters."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Scalar:
    """A single value: its text, and what YAML takes it for (``str``, ``int``, ``bool``, ``null``, ...)."""

    mark: Mark
    tag: str
    text: str


@dataclass(frozen=True, slots=True)
class Items:
    """A list."""

    mark: Mark
    nodes: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Pairs:
    """A mapping as it is written: in order, with whatever stands twice."""

    mark: Mark
    entries: tuple[tuple[Node, Node], ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """Something that has been complained about already; nothing more is to be said of it."""

    mark: Mark


Node = Scalar | Items | Pairs | Refused


@dataclass(frozen=True, slots=True)
class Document:
    """What a file holds.

    Args:
        root: The outermost node; None if the file cannot be read to its end.
        problems: What was found on the way; at least one if ``root`` is None.
    """

    root: Node | None
    problems: tuple[Problem, ...]


def read(data: bytes) -> Document:
    """Read one YAML document.

    Args:
        data: The file's bytes: UTF-8 without byte order mark, at most 256 KiB.

    Raises:
        EnvironmentFault: PyYAML is not installed.
    """
    text = _text(data)
    return Document(None, (text,)) if isinstance(text, Problem) else _parsed(text)


def _text(data: bytes) -> str | Problem:
    if len(data) > MAX_BYTES:
        return _at(
            Mark(1, 1),
            f"the file has {len(data)} bytes; a policy has at most {MAX_BYTES}",
            "Remove what does not belong to the policy.",
        )
    if data.startswith(_BYTE_ORDER_MARK):
        return _at(Mark(1, 1), "the file begins with a byte order mark", "Save it as UTF-8 without one.")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        mark = _mark_after(data[: error.start].decode("utf-8"))
        return _at(mark, f"byte 0x{data[error.start]:02x} is not UTF-8", "Save the file as UTF-8.")
    refused = _REFUSED_CHARACTER.search(text)
    if refused:
        return _at(
            _mark_after(text[: refused.start()]),
            f"the character U+{ord(refused[0]):04X} does not show, or hides what follows",
            "Remove it, also from comments; end lines with LF.",
        )
    return text


def _mark_after(text: str) -> Mark:
    return Mark(text.count("\n") + 1, len(text) - text.rfind("\n"))


def _parsed(text: str) -> Document:
    try:
        import yaml  # noqa: PLC0415 - only who reads a policy needs PyYAML
    except ImportError as error:
        raise EnvironmentFault(
            "PyYAML, which reads keyturn.yml, is not installed",
            todo='Install the repository half: pip install "keyturn[repo]".',
            reason="missing-extra",
        ) from error
    loader = yaml.SafeLoader(text)
    assembly = _Assembly()
    try:
        while assembly.open and loader.check_event():
            assembly.take(loader.get_event(), loader)  # type: ignore[no-untyped-call]
    except yaml.MarkedYAMLError as error:
        assembly.stop(_syntax_problem(error.problem, _mark(error.problem_mark), text))
    except (ValueError, OverflowError):
        # PyYAML hands escapes like "\UFFFFFFFF" and overlong version numbers to chr() and int() unchecked.
        assembly.stop(_syntax_problem("a number in it is out of range", _mark(loader.get_mark()), text))
    finally:
        loader.dispose()
    return assembly.document()


def _mark(at: yaml.Mark | yaml._yaml.Mark | None) -> Mark:
    return Mark(at.line + 1, at.column + 1) if at else Mark(1, 1)


def _syntax_problem(what: str | None, mark: Mark, text: str) -> Problem:
    line = text.split("\n")[mark.line - 1]
    todo = (
        "Use spaces instead of the tab."
        if line[mark.column - 1 : mark.column] == "\t"
        else "Look at indentation, quotes, brackets and colons here and on the line above."
    )
    return _at(mark, f"not valid YAML: {what}", todo)


def _at(mark: Mark, what: str, todo: str) -> Problem:
    return Problem("shape", mark.line, mark.column, "", what, todo)


@dataclass(slots=True)
class _Container:
    mark: Mark
    mapping: bool
    nodes: list[Node] = field(default_factory=list)

    def node(self) -> Node:
        if self.mapping:
            return Pairs(self.mark, tuple(zip(self.nodes[::2], self.nodes[1::2], strict=True)))
        return Items(self.mark, tuple(self.nodes))


class _Assembly:
    """Nodes put together from events, with a stack of its own instead of recursion."""

    def __init__(self) -> None:
        self.open = True
        self._root: Node | None = None
        self._stack: list[_Container] = []
        self._problems: list[Problem] = []

    def document(self) -> Document:
        if self._root is None and not self._problems:
            self._problems.append(
                _at(
                    Mark(1, 1),
                    "the file is empty",
                    "Begin with version: 1; keyturn init writes a whole file.",
                )
            )
        return Document(self._root, tuple(self._problems))

    def stop(self, problem: Problem) -> None:
        """Give the document up: nothing that was read so far can be relied upon."""
        self._problems.append(problem)
        self._root = None
        self.open = False

    def take(self, event: yaml.Event, loader: yaml.SafeLoader) -> None:
        from yaml import events  # noqa: PLC0415 - as above

        mark = _mark(event.start_mark)
        if isinstance(event, events.DocumentStartEvent) and self._root is not None:
            self._refuse(mark, "a second document begins", "Keep one document: remove this line.")
            self.open = False
        elif isinstance(event, events.AliasEvent):
            self._refuse(mark, f"{quoted(f'*{event.anchor}')} is an alias", "Write the value out in full.")
            self._place(Refused(mark))
        elif isinstance(event, events.ScalarEvent):
            self._note_properties(event, mark)
            self._place(_scalar(event, mark, loader))
        elif isinstance(event, events.CollectionStartEvent):
            self._note_properties(event, mark)
            self._begin(_Container(mark, isinstance(event, events.MappingStartEvent)))
        elif isinstance(event, events.CollectionEndEvent):
            self._place(self._stack.pop().node())

    def _note_properties(self, event: yaml.ScalarEvent | yaml.CollectionStartEvent, mark: Mark) -> None:
        if event.anchor is not None:
            what = f"{quoted(f'&{event.anchor}')} is an anchor"
            self._refuse(mark, what, "Remove it and write each value out in full.")
        if event.tag is not None:
            self._refuse(mark, "the value has a YAML tag", "Remove the word that begins with !.")

    def _refuse(self, mark: Mark, what: str, todo: str) -> None:
        self._problems.append(_at(mark, what, todo))

    def _begin(self, container: _Container) -> None:
        if len(self._stack) == MAX_DEPTH:
            what = f"nested more than {MAX_DEPTH} deep"
            self.stop(_at(container.mark, what, "Write it flat; a policy has no more than 4 levels."))
        else:
            self._stack.append(container)

    def _place(self, node: Node) -> None:
        if self._stack:
            self._stack[-1].nodes.append(node)
        else:
            self._root = node


def _scalar(event: yaml.ScalarEvent, mark: Mark, loader: yaml.SafeLoader) -> Node:
    from yaml import ScalarNode  # noqa: PLC0415 - as above

    if event.tag is not None:
        return Refused(mark)
    tag = str(loader.resolve(ScalarNode, event.value, event.implicit))  # type: ignore[no-untyped-call]
    return Scalar(mark, tag.removeprefix(_TAG_PREFIX), event.value)
