"""The JSON Schema and the page about keyturn.yml: what they say is what the parser does."""

from __future__ import annotations

import copy
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator
from jsonschema.exceptions import ValidationError

from generated_files import GENERATED, ROOT
from keyturn.policy import FIELDS, Field, Kind, PolicyError, Problem, parse, sense
from keyturn.policy.page import example, page
from keyturn.policy.problem import Steps, field_name
from keyturn.policy.refusals import READING, SENSE, Refusal, Rule
from keyturn.policy.schema import FILE_NAME, schema, schema_text

pytestmark = pytest.mark.slow

VALIDATOR = Draft7Validator(schema())
CORPUS = Path(__file__).parents[1] / "vectors" / "policies" / "corpus"


@dataclass(frozen=True, slots=True)
class Sample:
    """A policy of the corpus and what its directory and its first line say of it."""

    kind: str
    name: str
    data: bytes

    @property
    def refused_at(self) -> set[str]:
        told = re.match(r"\ufeff?# refused: (.*)\n", self.data.decode("utf-8", "replace"))
        assert told, f"{self.name}: the first line says where it is refused"
        return {"" if field == "the file" else field for field in told[1].split(", ")}

    def __str__(self) -> str:
        return self.name


SAMPLES = [Sample(path.parent.name, path.stem, path.read_bytes()) for path in sorted(CORPUS.glob("*/*.yml"))]


def samples(kind: str) -> pytest.MarkDecorator:
    chosen = [sample for sample in SAMPLES if sample.kind == kind]
    return pytest.mark.parametrize("sample", chosen, ids=str)


def problems_of(data: bytes) -> tuple[Problem, ...]:
    try:
        parse(data)
    except PolicyError as error:
        return error.problems
    return ()


def fields_refused_by_schema(document: object) -> set[str]:
    """Where the schema finds fault, named as the parser names fields."""
    found = (steps for error in VALIDATOR.iter_errors(document) for steps in _places(error))
    return {field_name(steps) for steps in found}


def _places(error: ValidationError) -> Iterator[Steps]:
    path = tuple(error.absolute_path)
    if error.validator == "required":
        yield from ((*path, name) for name in error.validator_value if name not in error.instance)
    elif error.validator == "additionalProperties":
        yield from ((*path, name) for name in error.instance if name not in error.schema["properties"])
    elif "propertyNames" in error.absolute_schema_path:
        yield (*path, error.instance)
    else:
        yield path


def table_path(where: str) -> str:
    """A field as the table writes it: ``roles.root.signers[]`` for ``roles.root.signers[2]``."""
    unnamed = re.sub(r"^(delegations|apps)\.[^.]+", r"\1.*", where)
    return re.sub(r"\[[0-9]+\]", "[]", unnamed)


# The corpus


def test_the_corpus_is_of_a_size_and_each_name_stands_once() -> None:
    kinds = [sample.kind for sample in SAMPLES]

    assert {kind: kinds.count(kind) >= 15 for kind in kinds} == dict.fromkeys(
        ("valid", "shape", "sense", "text"), True
    )
    assert len(SAMPLES) >= 100
    assert len({sample.name for sample in SAMPLES}) == len(SAMPLES)


@samples("valid")
def test_parser_and_schema_accept_what_is_right(sample: Sample) -> None:
    parse(sample.data)

    assert fields_refused_by_schema(yaml.safe_load(sample.data)) == set()


@samples("shape")
def test_parser_and_schema_refuse_a_wrong_shape_at_the_same_fields(sample: Sample) -> None:
    problems = problems_of(sample.data)

    assert {problem.kind for problem in problems} == {"shape"}
    assert {problem.where for problem in problems} == sample.refused_at
    assert fields_refused_by_schema(yaml.safe_load(sample.data)) == sample.refused_at


@samples("sense")
def test_the_parser_alone_refuses_what_makes_no_sense(sample: Sample) -> None:
    problems = problems_of(sample.data)

    assert {problem.kind for problem in problems} == {"sense"}
    assert {problem.where for problem in problems} == sample.refused_at
    assert fields_refused_by_schema(yaml.safe_load(sample.data)) == set()


@samples("text")
def test_what_only_the_text_shows_is_refused_before_a_schema_could(sample: Sample) -> None:
    problems = problems_of(sample.data)

    assert {problem.kind for problem in problems} == {"shape"}
    assert {problem.where for problem in problems} == sample.refused_at
    try:
        document = yaml.safe_load(sample.data)
    except (yaml.YAMLError, UnicodeDecodeError):
        return
    assert document is None or fields_refused_by_schema(document) == set()


def test_every_field_with_a_shape_of_its_own_is_refused_somewhere_in_the_corpus() -> None:
    refused = {
        table_path(problem.where)
        for sample in SAMPLES
        if sample.kind == "shape"
        for problem in problems_of(sample.data)
    }
    # What is built alike for several roles is shown for one of them.
    alike = re.compile(r"(\.|^)(signers|signers\[\]|threshold|expires|renew)$")

    assert {field.path for field in FIELDS if not alike.search(field.path)} <= refused
    assert {"roles.root.signers", "roles.root.signers[]", "roles.targets.threshold"} <= refused
    assert {"roles.targets.expires", "roles.targets.renew"} <= refused


# Parser and schema on policies that nobody wrote


_NAMES = st.sampled_from(["plugins", "root", "Plug", "a.b", "../x", "", "signers", "tool", "x\n", "\u0430"])
_TEXTS = st.sampled_from(
    ["alice", "a--b", "bob\n", "online", "30d", "0d", "30d\n", "20MB", "20MiB", "git", "directory", "s3",
     "env:A", "https://x.org/a/", "http://ä/", "a/*", "a\0", "main", "-x", "true", "1", "2026-01-01"]
)  # fmt: skip
_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-2, 1002)
    | st.floats(allow_nan=False).filter(lambda number: not number.is_integer())
    | st.dates()
    | _TEXTS
    | st.text(max_size=6)
)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=3),
    max_leaves=6,
)


class _Written(yaml.SafeDumper):
    """Values written out each time: an alias would be refused as such."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _containers(value: object) -> Iterator[dict[str, object] | list[object]]:
    if isinstance(value, dict | list):
        yield value
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _containers(inner)


@st.composite
def _documents(draw: Callable[..., Any]) -> dict[str, Any]:
    """The complete example with a few values replaced, added or taken out anywhere."""
    document = copy.deepcopy(yaml.safe_load(example()))
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.sampled_from(list(_containers(document))))
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = draw(st.sampled_from(keys) if keys and draw(st.booleans()) else _NAMES)
        if isinstance(place, list):
            place[: draw(st.integers(0, 1))] = draw(st.lists(_VALUES, max_size=2))
        elif key in place and draw(st.booleans()):
            del place[key]
        else:
            place[key] = draw(_VALUES)
    return document


def _later(document: dict[str, Any]) -> bool:
    """Whether the parser looks at nothing but the version."""
    version = document.get("version")
    return isinstance(version, int) and version > 1


@settings(max_examples=150, deadline=None)
@given(document=_documents())
def test_parser_and_schema_find_fault_with_the_shape_of_the_same_fields(document: dict[str, Any]) -> None:
    written = yaml.dump(document, Dumper=_Written)

    found = {problem.where for problem in problems_of(written.encode()) if problem.kind == "shape"}

    refused = fields_refused_by_schema(yaml.safe_load(written))
    assert found == ({"version"} & refused if _later(document) else refused)


@settings(max_examples=60, deadline=None)
@given(document=_documents())
def test_every_problem_of_sense_is_one_that_the_page_lists(document: dict[str, Any]) -> None:
    for problem in problems_of(yaml.dump(document, Dumper=_Written).encode()):
        if problem.kind == "sense":
            assert any(told.says(problem.what) for rule in SENSE for told in rule.refusals), problem


# The schema


def test_the_schema_is_one() -> None:
    Draft7Validator.check_schema(schema())


def test_the_schema_knows_every_field_with_its_description() -> None:
    descriptions = json.dumps(schema(), ensure_ascii=False)

    assert all(json.dumps(field.doc, ensure_ascii=False)[:-1] in descriptions for field in FIELDS)


def test_the_defaults_of_the_schema_are_those_of_the_table() -> None:
    found = [made["default"] for made in _schemas(schema()) if "default" in made]

    assert found == [field.default for field in FIELDS if field.default is not None]


def test_examples_and_defaults_have_the_form_that_the_schema_asks_for() -> None:
    for made in _schemas(schema()):
        validator = Draft7Validator(made)
        for value in [*made.get("examples", ()), *([made["default"]] if "default" in made else [])]:
            assert list(validator.iter_errors(value)) == []


def _schemas(made: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield made
    for inner in made.get("properties", {}).values():
        yield from _schemas(inner)
    for keyword in ("items", "additionalProperties"):
        if isinstance(made.get(keyword), dict):
            yield from _schemas(made[keyword])


@pytest.mark.parametrize("field", [field for field in FIELDS if field.pattern], ids=lambda field: field.path)
def test_patterns_mean_the_same_to_python_and_to_ecmascript(field: Field) -> None:
    outside_of_sets = re.sub(r"\[(?:\\.|[^\]\\])*\]", "", field.pattern)

    assert set(re.findall(r"\\.", field.pattern)) <= {r"\x", r"\[", r"\]"}
    assert set(re.findall(r"\(\?.", outside_of_sets)) <= {"(?:", "(?="}
    assert not set("^$.") & set(outside_of_sets)


def test_the_schema_ships_with_the_package() -> None:
    shipped = files("keyturn.policy").joinpath(FILE_NAME).read_text(encoding="utf-8")

    assert json.loads(shipped) == schema()
    assert shipped == schema_text()
    assert shipped.isascii()


# The page


@pytest.mark.parametrize("name", GENERATED)
def test_generated_files_are_those_that_the_tables_make(name: str) -> None:
    assert (ROOT / name).read_bytes() == GENERATED[name]().encode(), "run make docs"


def _blocks(language: str) -> list[str]:
    return [
        text for kind, text in re.findall(r"^```(\w*)\n(.*?)^```$", page(), re.M | re.S) if kind == language
    ]


def test_the_page_begins_with_the_command() -> None:
    assert page().index("$ keyturn init ") < page().index("## ")


@pytest.mark.parametrize("line", re.findall(r"^\$ (keyturn .*)$", page(), re.M))
def test_the_commands_of_the_page_are_commands(line: str) -> None:
    command = [sys.executable, "-m", *shlex.split(line), "--help"]

    assert subprocess.run(command, check=False, capture_output=True).returncode == 0


def test_the_complete_example_is_a_policy_that_gives_every_field() -> None:
    given_fields = set(_paths(yaml.safe_load(example()), ""))

    parse(example().encode())
    assert example() in _blocks("yaml")
    assert given_fields == {field.path for field in FIELDS if field.path and not field.apart}
    for field in FIELDS:
        if field.apart:
            assert f"# {field.written()} " in example()


def _paths(value: object, path: str) -> Iterator[str]:
    if path:
        yield path
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _paths(inner, table_path(f"{path}.{key}".removeprefix(".")))
    elif isinstance(value, list):
        for inner in value:
            yield from _paths(inner, f"{path}[]")


def test_the_complete_example_is_commented_at_each_field_of_another_name() -> None:
    commented = {line.partition(":")[0].strip("# ") for line in example().splitlines() if " # " in line}
    plain = {"version", "roles", "snapshot", "timestamp", "plugins", "apps", "yt-dlp", "hosting", "publish"}

    named = {field.name for field in FIELDS if field.name not in ("", "[]", "*")}
    assert named - commented == plain & named


def test_the_page_tells_type_default_and_example_of_every_field() -> None:
    sections = re.split(r"^#{3,4} ", page(), flags=re.M)
    by_title = {section.partition("\n")[0].strip("`"): section for section in sections}

    for field in FIELDS[1:]:
        holder = field.path.removesuffix("[]").removesuffix(".*")
        section = by_title[holder.replace("*", "NAME")]
        expected = [field.pattern, *(field.choices or [field.form])]
        if field.name not in ("[]", "*"):
            expected += [field.doc, f"Example: `{field.written()}`", "Required" if field.required else ""]
        if field.default is not None:
            default = field.default if isinstance(field.default, str) else str(field.default).lower()
            expected.append(f"Default: `{default}`")
        assert all(part in section for part in expected), field.path


def test_links_within_the_page_lead_somewhere() -> None:
    headings = re.findall(r"^#+ (.*)$", page(), re.M)
    anchors = {re.sub(r"[^a-z0-9 _-]", "", heading.lower()).replace(" ", "-") for heading in headings}

    assert set(re.findall(r"\]\(#([^)]*)\)", page())) <= anchors


def test_the_sample_of_problems_is_what_the_parser_says() -> None:
    (shown,) = (block for block in _blocks("") if block.startswith("keyturn.yml:"))

    assert "roles.root.treshold: no such key. Did you mean threshold?" in shown
    assert "stands twice in this role" in shown


def test_the_command_of_the_page_writes_the_schema(tmp_path: Path) -> None:
    (command,) = _blocks("sh")
    program = f'python() {{ "{sys.executable}" "$@"; }}\n{command}'

    subprocess.run(["bash", "-euc", program], cwd=tmp_path, check=True)

    assert (tmp_path / FILE_NAME).read_text(encoding="utf-8") == schema_text()


# What the schema does not see


def test_the_page_has_the_rules_of_the_parser_in_their_order() -> None:
    listed = [rule.name for rule in SENSE]

    assert listed[: len(sense.RULES)] == [rule.__name__.removeprefix("_") for rule in sense.RULES]
    assert listed[len(sense.RULES) :] == ["keys_and_numbers"]


def test_rules_speak_of_fields_that_exist() -> None:
    paths = [field.path for field in FIELDS]

    for rule in SENSE:
        alone = [Rule(rule.name, rule.about, (field,), ()) for field in rule.fields]
        assert all(any(map(one.concerns, paths)) for one in alone), rule.name


def test_every_message_of_sense_is_in_the_corpus_and_every_one_there_is_listed() -> None:
    seen: set[tuple[str, Refusal]] = set()
    for sample in SAMPLES:
        for problem in problems_of(sample.data) if sample.kind == "sense" else ():
            told = {
                (rule.name, refusal)
                for rule in SENSE
                for refusal in rule.refusals
                if refusal.says(problem.what)
                and (not rule.fields or rule.concerns(table_path(problem.where)))
            }
            assert len(told) == 1, f"{sample}: {problem}"
            seen |= told

    assert _missing(seen, [(rule.name, refusal) for rule in SENSE for refusal in rule.refusals]) == []


def test_every_message_about_the_text_is_in_the_corpus_and_every_one_there_is_listed() -> None:
    seen: set[Refusal] = set()
    too_large = Sample("text", "too-large", b"# refused: the file\n".ljust(256 * 1024 + 1))
    for sample in [*SAMPLES, too_large]:
        for problem in problems_of(sample.data) if sample.kind == "text" else ():
            told = {refusal for refusal in READING if refusal.says(problem.what)}
            assert len(told) == 1, f"{sample}: {problem}"
            seen |= told

    assert _missing(seen, READING) == []


def _missing(seen: Collection[object], listed: Collection[object]) -> list[object]:
    return [entry for entry in listed if entry not in seen]


def test_lists_of_the_table_hold_text_as_the_page_says() -> None:
    items = [field for field in FIELDS if field.name == "[]"]

    assert {field.kind for field in items} == {Kind.TEXT}
