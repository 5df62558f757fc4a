"""``docs/policy.md``: the page about ``keyturn.yml``, made from the one table of fields (SPEC: keyturn.yml).

Fields come from ``FIELDS``, what the schema does not see from ``refusals``, and the sample of problems from
the parser itself.
"""

from __future__ import annotations

from collections.abc import Iterator

from keyturn.policy.fields import FIELDS, Field, Kind, children
from keyturn.policy.parser import parse
from keyturn.policy.problem import PolicyError
from keyturn.policy.refusals import READING, SENSE, Refusal, Rule
from keyturn.policy.schema import FILE_NAME

_INDENT = "  "
_NOTE_COLUMN = 32

_BEGINNING = """\
# The policy: keyturn.yml

<!-- Generated from the table in scripts/keyturn/policy/fields.py; `make docs` writes it anew. -->

```console
$ keyturn init --name acme-updates --signer alice --signer bob --online-key env:KEYTURN_ONLINE_KEY
```

writes a first `keyturn.yml`, with a threshold of 2. To change roles, signers, thresholds, periods or
delegations later, edit it and propose what follows from it as a signing event:

```console
$ keyturn propose policy --policy keyturn.yml
```

Without `--policy` the file counts that is agreed on already. While the key of somebody new is missing, the
event waits for them to join it.

The file is a wish; the signed metadata is the truth. Who may sign what, how many of them, and until when is
read only from metadata that has been signed. So an edited policy changes nothing until the people whose keys
count today have signed what follows from it, and a policy never makes an invalid thing valid.

## A complete example

"""

_AFTER_EXAMPLE = """\

What has a default may be left out. Durations are a number and `d` (days) or `h` (hours). An unknown key is
refused, so that nobody relies on a misspelt one.

## When something is wrong

All problems of a file come at once, each with line, column, field and what to write; the exit code is
2. With `treshold: 2` for `roles.root` and twice the same person for `roles.targets`:

"""

_EDITOR = f"""\

A wrong key, type or form is an error of *shape*: the JSON Schema refuses it at the same field. Values that
contradict each other, or that cannot be meant, are errors of *sense*: only the parser sees them, and
[they are listed below](#what-the-schema-does-not-see).

## In your editor

The schema is `{FILE_NAME}`. It comes with the package; put it beside `keyturn.yml`:

```sh
python -c "from importlib.resources import files
print(files('keyturn.policy').joinpath('{FILE_NAME}').read_text(encoding='utf-8'), end='')" > {FILE_NAME}
```

and name it in the first line of `keyturn.yml`, for editors that speak to a YAML language server:

```yaml
# yaml-language-server: $schema={FILE_NAME}
```

Any validator that knows draft 7 of JSON Schema can use the file as well. Commit it in a change of its own: a
signing event may hold nothing but `keyturn.yml`, `keyring/`, `metadata/`, `targets/` and `channels.yml`. Copy
it again after an upgrade of Keyturn.

## Fields

Patterns are regular expressions for the whole value; sizes of texts are counted in characters.
"""

_SENSE = """\

## What the schema does not see

The parser refuses these beyond the schema. `…` stands for what differs from file to file.
"""

_READING = """\

### Rules for the file as text

A schema sees a file only after a YAML reader has been through it. The parser reads the text itself and
refuses what such a reader would resolve, drop or guess. It follows YAML 1.1, where `yes`, `no`, `on`, `off`
and dates such as `2026-01-01` are no text unless in quotes; editors that follow YAML 1.2 do not mark those.

"""

_BROKEN = b"""\
version: 1
name: acme-updates
roles:
  root: {signers: [alice, bob, carol], treshold: 2}
  targets: {signers: [alice, Alice], threshold: 2}
online: {key: "env:KEYTURN_ONLINE_KEY"}
publish: {url: "https://updates.example.org/"}
"""


def page() -> str:
    """The page as Markdown.

    Raises:
        EnvironmentFault: PyYAML, which the sample of problems needs, is not installed.
    """
    parts = [
        _BEGINNING,
        _fenced("yaml", example()),
        _AFTER_EXAMPLE,
        _fenced("", _problems(_BROKEN)),
        _EDITOR,
        *map(_section, _shown(FIELDS[0])),
        _SENSE,
        *map(_rule_section, SENSE),
        _READING,
        _refusal_table(READING),
    ]
    return "".join(parts)


def example() -> str:
    """A ``keyturn.yml`` with every field, commented; :func:`parse` reads it without a problem."""
    told: set[str] = set()
    lines = []
    for field, depth in _lines(FIELDS[0], -1):
        key = _example_name(field) if field.name == "*" else field.name
        value = "" if children(field) and field.kind is not Kind.LIST else f" {field.example}"
        line = f"{_INDENT * depth}{'# ' if field.apart else ''}{key}:{value}"
        note = "" if field.note in told else field.note
        told.add(field.note)
        lines.append(f"{line:{_NOTE_COLUMN}}  # {note}" if note else line)
    return "\n".join(lines) + "\n"


def _lines(field: Field, depth: int) -> Iterator[tuple[Field, int]]:
    if depth >= 0:
        yield field, depth
    if field.kind is not Kind.LIST:
        for child in children(field).values():
            yield from _lines(child, depth + 1)


def _example_name(field: Field) -> str:
    """A name for ``*``: the one in the example of the mapping that holds it."""
    (holder,) = (row for row in FIELDS if row.steps == field.steps[:-1])
    return holder.example.removeprefix("{").partition(":")[0]


def _problems(text: bytes) -> str:
    try:
        parse(text)
    except PolicyError as error:
        return f"{error}\n"
    return ""


def _shown(field: Field) -> Iterator[Field]:
    """The fields below one that get a section; items of lists, and what names stand for, have none."""
    for child in children(field).values():
        if child.name not in ("[]", "*"):
            yield child
        yield from _shown(child)


def _section(field: Field) -> str:
    level = "###" if len(field.steps) == 1 else "####"
    about = [f"\n{level} `{_title(field)}`\n\n{' '.join(_told(field))}\n"]
    facts = [*_form(field), *_presence(field), f"Example: `{field.written()}`", *_rules(field)]
    return "\n".join([*about, *(f"- {fact}" for fact in facts)]) + "\n"


def _title(field: Field) -> str:
    return field.path.replace("*", "NAME")


def _told(field: Field) -> Iterator[str]:
    yield field.doc
    if field.kind is Kind.LIST:
        yield f"Each item: {_lower(_only_child(field).doc)}"


def _form(field: Field) -> Iterator[str]:
    if field.kind is Kind.LIST:
        fewest = f" of at least {field.minimum}" if field.minimum else ""
        item = _only_child(field)
        yield f"Type: a list{fewest}; each item is text and must be {item.form}"
        yield f"Pattern of each item: `{item.pattern}`"
    elif field.kind is Kind.NAMED:
        yield f"Type: a mapping; each key must be {field.form}"
        yield f"Pattern of each key: `{field.pattern}`"
        yield f"Keys of each `NAME`: {_keys(_only_child(field))}"
    elif field.kind is Kind.MAPPING:
        yield "Type: a mapping"
        yield f"Keys: {_keys(field)}"
    elif field.kind is Kind.INTEGER:
        only = field.minimum == field.maximum
        bounds = f"{field.minimum}" if only else f"from {field.minimum} to {field.maximum}"
        yield f"Type: a whole number, {bounds}"
    elif field.kind is Kind.FLAG:
        yield "Type: `true` or `false`"
    elif field.choices:
        yield f"Type: one of {', '.join(f'`{choice}`' for choice in field.choices)}"
    else:
        yield f"Type: text; must be {field.form}"
        yield f"Pattern: `{field.pattern}`"


def _keys(field: Field) -> str:
    return ", ".join(f"`{name}`" for name in children(field))


def _presence(field: Field) -> Iterator[str]:
    if field.required:
        yield "Required"
    elif isinstance(field.default, bool):
        yield f"Default: `{'true' if field.default else 'false'}`"
    elif field.default is not None:
        yield f"Default: `{field.default}`"
    elif field.kind is Kind.MAPPING:
        yield "Default: the defaults of its keys"
    elif field.kind in (Kind.LIST, Kind.NAMED):
        yield f"Default: `{'[]' if field.kind is Kind.LIST else '{}'}`"
    else:
        yield "No default"


def _rules(field: Field) -> Iterator[str]:
    paths = [field.path, *(child.path for child in children(field).values() if child.name in ("[]", "*"))]
    rules = [rule for rule in SENSE if any(map(rule.concerns, paths))]
    if rules:
        yield f"Beyond the schema: {', '.join(f'[{_heading(rule)}](#{_anchor(rule)})' for rule in rules)}"


def _heading(rule: Rule) -> str:
    return f"rules for {rule.about}"


def _anchor(rule: Rule) -> str:
    return _heading(rule).replace(" ", "-")


def _rule_section(rule: Rule) -> str:
    heading = _heading(rule).capitalize()
    fields = ", ".join(f"`{field.replace('*', 'NAME').removesuffix('[]')}`" for field in rule.fields)
    at = f"At {fields}:\n\n" if fields else ""
    return f"\n### {heading}\n\n{at}{_refusal_table(rule.refusals)}"


def _refusal_table(refusals: tuple[Refusal, ...]) -> str:
    rows = [f"| `{refusal.message}` | {refusal.meaning} |" for refusal in refusals]
    return "\n".join(["| message | meaning |", "|---|---|", *rows]) + "\n"


def _only_child(field: Field) -> Field:
    (child,) = children(field).values()
    return child


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


def _fenced(language: str, text: str) -> str:
    return f"```{language}\n{text}```\n"
