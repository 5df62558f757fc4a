"""The policy: what is read, and where each mistake is pointed at."""

from __future__ import annotations

import copy
import dataclasses
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from keyturn.errors import EnvironmentFault, ExitCode, UsageError
from keyturn.policy import FIELDS, Duration, Kind, Period, Policy, PolicyError, Problem, parse, render
from keyturn.policy.fields import field_at
from keyturn.policy.model import SourcePolicy, byte_count

SPECIFICATION = Path(__file__).parents[1] / "vectors" / "policies" / "specification.yml"

# Tests name lines and columns of this text: changes of it move them.
VALID = """\
version: 1
name: acme-updates
roles:
  root:
    signers: [alice, bob, carol]
    threshold: 2
  targets:
    signers: [alice, bob]
    threshold: 2
online:
  key: env:KEYTURN_ONLINE_KEY
publish:
  url: https://updates.example.org/
"""
PLUGINS = """\
delegations:
  plugins:
    paths: ["plugins/*.zip"]
    signers: [carol]
    threshold: 1
"""


def changed(old: str, new: str, text: str = VALID) -> str:
    assert text.count(old) == 1, f"{old!r} must stand once"
    return text.replace(old, new)


def problems_of(text: str | bytes) -> tuple[Problem, ...]:
    with pytest.raises(PolicyError) as caught:
        parse(text if isinstance(text, bytes) else text.encode())
    return caught.value.problems


def places_of(text: str | bytes) -> list[tuple[str, int, int, str]]:
    return [(p.kind, p.line, p.column, p.where) for p in problems_of(text)]


def only_problem(text: str | bytes) -> Problem:
    problems = problems_of(text)
    assert len(problems) == 1, problems
    return problems[0]


def assert_only(text: str | bytes, kind: str, line: int, column: int, where: str) -> Problem:
    problem = only_problem(text)
    assert (problem.kind, problem.line, problem.column, problem.where) == (kind, line, column, where)
    assert problem.todo.endswith(".")
    return problem


def read(text: str) -> Policy:
    return parse(text.encode())


# What is read


def test_the_example_of_the_specification_is_read() -> None:
    policy = parse(SPECIFICATION.read_bytes())

    assert (policy.version, policy.name, policy.branch) == (1, "acme-updates", "main")
    assert policy.root.signers == ("alice", "bob", "carol")
    assert policy.root.threshold == 2
    assert policy.root.period == Period(Duration("365d"), Duration("60d"))
    assert policy.targets.period == Period(Duration("120d"), Duration("30d"))
    assert policy.online.key == "env:KEYTURN_ONLINE_KEY"
    assert policy.online.snapshot == Period(Duration("14d"), Duration("7d"))
    assert policy.online.timestamp == Period(Duration("3d"), Duration("1d"))
    (plugins,) = policy.delegations
    assert (plugins.name, plugins.paths, plugins.terminating) == ("plugins", ("plugins/*.zip",), True)
    assert (plugins.role.signers, plugins.role.threshold) == (("carol",), 1)
    assert [(app.name, app.platforms) for app in policy.apps] == [("yt-dlp", ())]
    assert (policy.hosting.source, policy.hosting.directory) == ("git", None)
    assert policy.hosting.max_file == 20_000_000
    assert (policy.publish.url, policy.publish.keep) == ("http://127.0.0.1:8000/", Duration("90d"))
    assert policy.single_signer is False


def test_what_is_left_out_gets_the_values_of_the_example() -> None:
    short, long = read(VALID + PLUGINS), parse(SPECIFICATION.read_bytes())

    assert (short.root.period, short.targets.period) == (long.root.period, long.targets.period)
    assert (short.online, short.hosting) == (long.online, long.hosting)
    assert short.delegations[0].role == long.delegations[0].role
    assert (short.branch, short.publish.keep) == (long.branch, long.publish.keep)
    assert short.delegations[0].terminating is False
    assert short.single_signer is False


def test_no_delegations_and_no_apps_unless_named() -> None:
    policy = read(VALID)

    assert policy.delegations == ()
    assert policy.apps == ()


def test_delegations_keep_the_order_of_the_file() -> None:
    text = VALID + PLUGINS + PLUGINS.replace("delegations:\n", "").replace("  plugins:", "  a.first:")

    assert [delegation.name for delegation in read(text).delegations] == ["plugins", "a.first"]


def test_a_policy_is_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        read(VALID).name = "other"  # type: ignore[misc]


def test_roles_are_found_by_name() -> None:
    policy = read(VALID + PLUGINS)

    assert policy.role("root") == policy.root
    assert policy.role("targets") == policy.targets
    assert policy.role("plugins") == policy.delegations[0].role
    assert policy.role("timestamp") is None


def test_apps_are_found_by_exact_name() -> None:
    policy = read(VALID + "apps:\n  tool: {platforms: [linux, windows]}\n")

    app = policy.app("tool")
    assert app is not None
    assert app.platforms == ("linux", "windows")
    assert policy.app("Tool") is None


def test_logins_are_listed_once_in_order_and_spelling_of_first_mention() -> None:
    text = changed("[alice, bob]", "[dave, ALICE]") + PLUGINS.replace("[carol]", "[Dave, erin]")

    assert read(text).logins == ("alice", "bob", "carol", "dave", "erin")


def test_crlf_comments_and_flow_style_are_fine() -> None:
    text = "# a comment\r\n---\r\n" + VALID.replace("\n", "\r\n")

    assert read(text) == read(VALID)


def test_quoted_text_is_text() -> None:
    assert read(changed("acme-updates", '"2024"')).name == "2024"


@pytest.mark.parametrize("spelling", ["true", "yes", "on", "True"])
def test_every_yaml_spelling_of_true_is_true(spelling: str) -> None:
    assert read(VALID + f"single-signer: {spelling}\n").single_signer is True


@pytest.mark.parametrize("spelling", ["false", "no", "OFF"])
def test_every_yaml_spelling_of_false_is_false(spelling: str) -> None:
    assert read(VALID + f"single-signer: {spelling}\n").single_signer is False


def test_importing_the_policy_needs_no_pyyaml() -> None:
    code = "import sys, keyturn.policy; sys.exit('yaml' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_without_pyyaml_the_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)

    with pytest.raises(EnvironmentFault, match="PyYAML") as caught:
        read(VALID + "# not read before\n")

    assert caught.value.reason == "missing-extra"
    assert "keyturn[repo]" in caught.value.todo


# Durations and sizes


@pytest.mark.parametrize(
    ("text", "delta"),
    [("1h", timedelta(hours=1)), ("365d", timedelta(days=365)), ("9999d", timedelta(days=9999))],
)
def test_a_duration_is_a_number_of_days_or_hours(text: str, delta: timedelta) -> None:
    assert Duration.parse(text).delta == delta
    assert str(Duration.parse(text)) == text


@pytest.mark.parametrize("text", ["", "d", "0d", "01d", "10000d", "1w", "1 d", "-1d", "1d\n", "\u0661d"])
def test_nothing_else_is_a_duration(text: str) -> None:
    with pytest.raises(ValueError, match="not a duration"):
        Duration.parse(text)


def test_sizes_are_decimal() -> None:
    assert [byte_count(text) for text in ("1KB", "20MB", "2GB")] == [1000, 20_000_000, 2_000_000_000]


@pytest.mark.parametrize("text", ["", "20", "0MB", "100000KB", "20MiB", "20 MB", "20mb"])
def test_nothing_else_is_a_size(text: str) -> None:
    with pytest.raises(ValueError, match="not a size"):
        byte_count(text)


# The error


def test_all_problems_of_a_file_come_at_once_sorted_by_position() -> None:
    text = changed("name: acme-updates", "nam: acme-updates").replace("[alice, bob]", "[alice, Alice]")
    text = text.replace("version: 1", "version: one") + "hosting: {source: directory}\n"

    assert places_of(text) == [
        ("shape", 1, 1, "name"),
        ("shape", 1, 10, "version"),
        ("shape", 2, 1, "nam"),
        ("sense", 8, 22, "roles.targets.signers[1]"),
        ("sense", 9, 16, "roles.targets.threshold"),
        ("sense", 14, 19, "hosting.source"),
    ]


def test_the_error_lists_every_problem_with_file_line_and_column() -> None:
    with pytest.raises(PolicyError) as caught:
        parse(VALID.replace("threshold: 2", "threshold: two").encode(), file="other.yml")

    first, second = str(caught.value).splitlines()
    assert first.startswith("other.yml:6:16: roles.root.threshold: 'two' is text")
    assert second.startswith("other.yml:9:16: roles.targets.threshold: ")
    assert caught.value.what == "2 problems in the policy"
    assert caught.value.todo == str(caught.value)
    assert caught.value.file == "other.yml"


def test_a_single_problem_fills_what_where_and_todo() -> None:
    with pytest.raises(PolicyError) as caught:
        parse(changed("name: acme-updates", "name: Acme").encode())

    error = caught.value
    assert error.where == "keyturn.yml:2:7"
    assert error.what.startswith("name: 'Acme' is not right")
    assert error.todo == "Write for example name: acme-updates."


def test_a_problem_of_the_file_as_a_whole_names_no_field() -> None:
    with pytest.raises(PolicyError) as caught:
        parse(b"")

    assert str(caught.value).startswith("keyturn.yml:1:1: the file is empty. ")
    assert caught.value.what == "the file is empty"


def test_the_error_is_one_of_usage() -> None:
    with pytest.raises(UsageError) as caught:
        parse(b"")

    assert caught.value.exit_code == ExitCode.USAGE
    assert caught.value.reason == "policy"


def test_text_from_the_file_is_escaped_and_cut_in_messages() -> None:
    long = "x" * 1000
    first, second = problems_of(VALID + f'"\\e[31m\\u202e": 1\n{long}: 1\n')

    assert first.where == r"'\x1b[31m\u202e'"
    assert len(second.where) < 100


# Shape: the file


def test_an_empty_file_is_refused() -> None:
    assert_only("", "shape", 1, 1, "")


def test_a_file_of_comments_is_refused() -> None:
    assert_only("# nothing yet\n", "shape", 1, 1, "")


def test_an_empty_document_is_refused() -> None:
    assert_only("---\n", "shape", 2, 1, "")


@pytest.mark.parametrize("text", ["- a\n", "text\n", "12\n", "[]\n"])
def test_a_document_that_is_no_mapping_is_refused(text: str) -> None:
    problem = assert_only(text, "shape", 1, 1, "")
    assert "a mapping is needed" in problem.what


def test_a_file_above_256_kib_is_refused() -> None:
    assert read(VALID.ljust(256 * 1024, "\n")) == read(VALID)
    assert_only(VALID.ljust(256 * 1024 + 1, "\n"), "shape", 1, 1, "")


def test_a_byte_order_mark_is_refused() -> None:
    assert_only(b"\xef\xbb\xbf" + VALID.encode(), "shape", 1, 1, "")


def test_utf_16_is_refused() -> None:
    assert_only(VALID.encode("utf-16"), "shape", 1, 1, "")


def test_bytes_that_are_not_utf_8_are_pointed_at_in_characters() -> None:
    text = changed("acme-updates", "acme # ä\x00").encode().replace(b"\x00", b"\xff")
    problem = assert_only(text, "shape", 2, 15, "")
    assert "0xff" in problem.what


@pytest.mark.parametrize(
    "character",
    ["\x00", "\x1b", "\x7f", "\x85", "\u2028", "\u2029", "\u202e", "\u2066", "\ufeff", "\ufffe", "\r"],
)
def test_characters_that_hide_are_refused_even_in_comments(character: str) -> None:
    text = changed("acme-updates", f"acme-updates # {character}threshold: 1")
    problem = assert_only(text, "shape", 2, 22, "")
    assert f"U+{ord(character):04X}" in problem.what


def test_letters_of_any_script_are_fine_in_comments() -> None:
    assert read(VALID + "# Größe, 価格, 😀, \xa0\n") == read(VALID)


def test_a_second_document_is_refused() -> None:
    assert_only(VALID + "---\n" + VALID, "shape", 14, 1, "")


def test_a_syntax_error_is_one_problem_with_its_place() -> None:
    problem = assert_only(changed("[alice, bob]", "[alice, bob"), "shape", 9, 14, "")
    assert problem.what.startswith("not valid YAML: ")


def test_a_tab_is_named_as_such() -> None:
    problem = assert_only(
        changed("    threshold: 2\n  targets", "\tthreshold: 2\n  targets"), "shape", 6, 1, ""
    )
    assert "tab" in problem.todo


@pytest.mark.parametrize(
    "text", ['name: "\\UFFFFFFFF"\n', f"%YAML 1.{'9' * 5000}\n---\n", 'a: "\\U00110000"\n']
)
def test_numbers_that_the_yaml_reader_trips_over_are_syntax_errors(text: str) -> None:
    problem = only_problem(text)
    assert (problem.kind, problem.line) == ("shape", 1)


def test_an_anchor_is_refused() -> None:
    assert_only(changed("[alice, bob]", "&people [alice, bob]"), "shape", 8, 14, "")


def test_an_alias_is_refused_without_a_second_complaint() -> None:
    text = changed("[alice, bob, carol]", "&people [alice, bob]").replace(
        "signers: [alice, bob]\n    threshold: 2\nonline", "signers: *people\n    threshold: 2\nonline"
    )

    assert places_of(text) == [("shape", 5, 14, ""), ("shape", 8, 14, "")]


def test_an_alias_as_key_is_refused() -> None:
    assert places_of(VALID + "*x : 1\n") == [("shape", 14, 1, "")]


def test_a_bomb_of_aliases_is_refused_at_once() -> None:
    levels = [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]" for n in range(1, 40)]
    bomb = "l0: &l0 [x]\n" + "\n".join(levels) + "\n"

    assert {problem.kind for problem in problems_of(bomb)} == {"shape"}


def test_a_merge_key_is_refused() -> None:
    assert_only(
        changed("    threshold: 2\n  targets", "    <<: {threshold: 1}\n    threshold: 2\n  targets"),
        "shape",
        6,
        5,
        "roles.root.'<<'",
    )


@pytest.mark.parametrize("tag", ["!!str", "!", "!mine", "!!python/object:os.system"])
def test_a_tag_on_a_value_is_refused(tag: str) -> None:
    assert_only(changed("acme-updates", f"{tag} acme-updates"), "shape", 2, 7, "")


def test_a_tag_on_a_mapping_is_refused() -> None:
    assert_only(VALID + "apps: !!map {}\n", "shape", 14, 7, "")


@pytest.mark.parametrize("text", ["[" * 100_000, "{a: " * 60_000, "- " * 100_000, "? " * 100_000])
def test_very_deep_nesting_is_refused(text: str) -> None:
    problem = only_problem(text)
    assert (problem.kind, problem.line) == ("shape", 1)
    assert "deep" in problem.what


# Shape: keys


def test_an_unknown_key_is_refused_with_the_nearest_known_one() -> None:
    problem = assert_only(
        changed("threshold: 2\nonline", "threshold: 2\n    treshold: 2\nonline"),
        "shape",
        10,
        5,
        "roles.targets.treshold",
    )
    assert problem.todo == "Did you mean threshold? Write for example threshold: 2."


@pytest.mark.parametrize("key", ["Max-File", "max_file", "maxfile"])
def test_other_spellings_of_a_key_are_guessed(key: str) -> None:
    problem = assert_only(VALID + f"hosting: {{{key}: 20MB}}\n", "shape", 14, 11, f"hosting.{key}")
    assert problem.todo == "Did you mean max-file? Write for example max-file: 20MB."


def test_a_known_key_at_the_wrong_place_is_told_its_place() -> None:
    problem = assert_only(VALID + "keep: 90d\n", "shape", 14, 1, "keep")
    assert problem.todo == "Move it: it belongs under publish."


def test_an_unknown_key_like_no_other_is_told_what_there_is() -> None:
    problem = assert_only(VALID + "hosting: {zzz: 1}\n", "shape", 14, 11, "hosting.zzz")
    assert problem.todo == "Remove it, or write one of: source, directory, max-file."


def test_guessing_ends_in_a_file_of_nothing_but_wrong_keys() -> None:
    problems = problems_of(VALID + "".join(f"nam{number}: 1\n" for number in range(150)))

    assert "Did you mean name?" in problems[0].todo
    assert "Did you mean" not in problems[-1].todo


def test_a_key_that_yaml_reads_as_a_number_is_refused() -> None:
    problem = assert_only(VALID + "apps:\n  2048: {}\n", "shape", 15, 3, "apps")
    assert problem.todo == "Put it in quotes: '2048'."


def test_a_key_that_is_a_list_is_refused() -> None:
    assert_only(VALID + "? [a]\n: 1\n", "shape", 14, 3, "")


def test_a_delegation_name_of_another_form_is_refused() -> None:
    assert_only(VALID + PLUGINS.replace("plugins:", "Plug Ins:"), "shape", 15, 3, "delegations.'Plug Ins'")


def test_an_app_name_of_another_form_is_refused() -> None:
    assert_only(VALID + "apps:\n  ../x: {}\n", "shape", 15, 3, "apps.'../x'")


# Shape: what is missing


@pytest.mark.parametrize(
    ("lines", "line", "column", "where"),
    [
        ("version: 1\n", 1, 1, "version"),
        ("name: acme-updates\n", 1, 1, "name"),
        ("    signers: [alice, bob, carol]\n", 4, 3, "roles.root.signers"),
        ("    threshold: 2\nonline:\n  key", 7, 3, "roles.targets.threshold"),
        ("online:\n  key: env:KEYTURN_ONLINE_KEY\n", 1, 1, "online"),
        ("publish:\n  url: https://updates.example.org/\n", 1, 1, "publish"),
    ],
)
def test_a_required_field_that_is_missing_is_named_where_it_belongs(
    lines: str, line: int, column: int, where: str
) -> None:
    problem = assert_only(
        changed(lines, "online:\n  key" if "key" in lines[20:] and "thr" in lines else ""),
        "shape",
        line,
        column,
        where,
    )
    assert problem.what == "is missing"
    assert problem.todo.startswith(f"Add {where.rpartition('.')[2]}: ")


def test_a_missing_role_is_named() -> None:
    text = changed("  targets:\n    signers: [alice, bob]\n    threshold: 2\n", "")
    assert_only(text, "shape", 3, 1, "roles.targets")


def test_missing_roles_are_one_problem() -> None:
    text = VALID[: VALID.index("roles:")] + VALID[VALID.index("online:") :]
    assert_only(text, "shape", 1, 1, "roles")


@pytest.mark.parametrize(("field", "where"), [("url", "publish.url"), ("key", "online.key")])
def test_a_required_field_of_an_empty_mapping_is_missing(field: str, where: str) -> None:
    start = VALID.index(f"  {field}:")
    end = VALID.index("\n", start) + 1
    parent = where.partition(".")[0]
    text = VALID[:start] + VALID[end:]

    problem = only_problem(text.replace(f"{parent}:\n", f"{parent}: {{}}\n"))

    assert (problem.kind, problem.where, problem.column) == ("shape", where, 1)


@pytest.mark.parametrize(("field", "key_line"), [("paths", 15), ("signers", 15), ("threshold", 15)])
def test_a_required_field_of_a_delegation_is_missing(field: str, key_line: int) -> None:
    kept = [line for line in PLUGINS.splitlines() if f" {field}:" not in line]
    assert_only(VALID + "\n".join(kept) + "\n", "shape", key_line, 3, f"delegations.plugins.{field}")


# Shape: types


def test_a_word_that_yaml_reads_as_true_is_no_text() -> None:
    problem = assert_only(changed("name: acme-updates", "name: yes"), "shape", 2, 7, "name")
    assert problem.what == "'yes' is true or false to YAML; text is needed"
    assert problem.todo == 'Put it in quotes: name: "yes".'


def test_a_date_is_no_text() -> None:
    problem = assert_only(changed("name: acme-updates", "name: 2026-01-01"), "shape", 2, 7, "name")
    assert problem.todo == 'Put it in quotes: name: "2026-01-01".'


def test_a_number_is_no_login() -> None:
    problem = assert_only(changed("[alice, bob]", "[alice, 42]"), "shape", 8, 22, "roles.targets.signers[1]")
    assert problem.todo == 'Put it in quotes: "42".'


def test_a_number_is_no_duration() -> None:
    problem = assert_only(
        changed("threshold: 2\nonline", "threshold: 2\n    expires: 365\nonline"),
        "shape",
        10,
        14,
        "roles.targets.expires",
    )
    assert problem.todo == "Write for example expires: 120d."


def test_quoted_digits_are_no_number() -> None:
    text = changed("threshold: 2\nonline", 'threshold: "2"\nonline')
    problem = assert_only(text, "shape", 9, 16, "roles.targets.threshold")
    assert problem.todo == "Write it without quotes: threshold: 2."


@pytest.mark.parametrize("value", ["2.0", "two", "[2]", "true"])
def test_a_threshold_is_a_whole_number(value: str) -> None:
    text = changed("threshold: 2\nonline", f"threshold: {value}\nonline")
    problem = assert_only(text, "shape", 9, 16, "roles.targets.threshold")
    assert problem.todo == "Write for example threshold: 2."


@pytest.mark.parametrize("value", ["1", '"yes"', "maybe", "{}"])
def test_a_flag_is_true_or_false(value: str) -> None:
    problem = only_problem(VALID + f"single-signer: {value}\n")
    assert (problem.kind, problem.line, problem.where) == ("shape", 14, "single-signer")


def test_a_value_left_empty_is_refused() -> None:
    problem = assert_only(changed("name: acme-updates", "name:"), "shape", 2, 6, "name")
    assert problem.what == "has no value; text is needed"


def test_an_empty_text_is_no_number() -> None:
    text = changed("threshold: 2\nonline", 'threshold: ""\nonline')
    assert_only(text, "shape", 9, 16, "roles.targets.threshold")


def test_a_sign_of_its_own_to_yaml_is_no_text() -> None:
    assert_only(changed("name: acme-updates", "name: ="), "shape", 2, 7, "name")


def test_a_single_login_is_no_list() -> None:
    problem = assert_only(changed("[alice, bob]", "alice"), "shape", 8, 14, "roles.targets.signers")
    assert problem.todo == "Put it in brackets: signers: [alice]."


def test_a_mapping_is_no_list() -> None:
    problem = assert_only(changed("[alice, bob]", "{alice: 1}"), "shape", 8, 14, "roles.targets.signers")
    assert problem.what == "is a mapping; a list is needed"


def test_a_list_is_no_mapping() -> None:
    problem = assert_only(changed("  key: env:KEYTURN_ONLINE_KEY", "  - key"), "shape", 11, 3, "online")
    assert problem.what == "is a list; a mapping is needed"


@pytest.mark.parametrize("field", ["delegations", "apps"])
def test_names_without_values_are_no_mapping(field: str) -> None:
    assert_only(VALID + f"{field}: [x]\n", "shape", 14, len(field) + 3, field)


# Shape: forms and bounds


@pytest.mark.parametrize("value", ["Acme", "-acme", "acme_updates", "ä", "a" * 65, '"acme\\n"', '""'])
def test_a_name_of_another_form_is_refused(value: str) -> None:
    assert only_problem(changed("name: acme-updates", f"name: {value}")).where == "name"


def test_a_name_is_pointed_at_where_it_stands() -> None:
    assert_only(changed("name: acme-updates", "name:   Acme"), "shape", 2, 9, "name")


@pytest.mark.parametrize("value", ["a b", "-main", "main^", "a:b", "é"])
def test_a_branch_of_another_form_is_refused(value: str) -> None:
    assert_only(VALID + f'branch: "{value}"\n', "shape", 14, 9, "branch")


@pytest.mark.parametrize("value", ["@alice", "a--b", "-a", "a-", "a" * 40, "a_b", "a.b"])
def test_a_login_of_another_form_is_refused(value: str) -> None:
    text = changed("[alice, bob]", f'[alice, "{value}"]')
    assert_only(text, "shape", 8, 22, "roles.targets.signers[1]")


def test_the_longest_login_is_one() -> None:
    assert read(changed("[alice, bob]", f"[alice, {'a' * 39}]")).targets.signers[1] == "a" * 39


def test_no_signers_are_refused() -> None:
    assert_only(changed("[alice, bob]", "[]"), "shape", 8, 14, "roles.targets.signers")


@pytest.mark.parametrize("value", ["0", "-1", "1001", "9" * 5000])
def test_a_threshold_out_of_bounds_is_refused(value: str) -> None:
    text = changed("threshold: 2\nonline", f"threshold: {value}\nonline")
    assert_only(text, "shape", 9, 16, "roles.targets.threshold")


@pytest.mark.parametrize("value", ["0d", "1w", "90 d", "1.5d", "10000d", "90D"])
def test_a_duration_of_another_form_is_refused(value: str) -> None:
    text = changed("threshold: 2\nonline", f"threshold: 2\n    expires: {value}\nonline")
    assert_only(text, "shape", 10, 14, "roles.targets.expires")


@pytest.mark.parametrize(
    "value",
    ["file:/home/me/key.pem", "ssh-agent:x", "env:lower", "env:1A", "env:", "awskms:", "vault:a b", "key"],
)
def test_an_online_key_of_another_scheme_or_form_is_refused(value: str) -> None:
    assert_only(changed("env:KEYTURN_ONLINE_KEY", f'"{value}"'), "shape", 11, 8, "online.key")


@pytest.mark.parametrize(
    "value",
    ["env:_A1", "awskms:alias/x", "gcpkms:projects/p/k", "azurekms://v.vault.azure.net/keys/k", "vault:k"],
)
def test_each_scheme_of_an_online_key_is_read(value: str) -> None:
    assert read(changed("env:KEYTURN_ONLINE_KEY", value)).online.key == value


def test_no_paths_of_a_delegation_are_refused() -> None:
    assert_only(
        VALID + PLUGINS.replace('["plugins/*.zip"]', "[]"), "shape", 16, 12, "delegations.plugins.paths"
    )


@pytest.mark.parametrize("value", ["", "a" * 513, "a\\0"])
def test_a_delegated_path_of_another_form_is_refused(value: str) -> None:
    text = VALID + PLUGINS.replace("plugins/*.zip", value)
    assert_only(text, "shape", 16, 13, "delegations.plugins.paths[0]")


def test_a_platform_of_another_form_is_refused() -> None:
    text = VALID + "apps:\n  tool: {platforms: [linux/x86]}\n"
    assert_only(text, "shape", 15, 22, "apps.tool.platforms[0]")


def test_a_hosting_source_of_another_kind_is_refused() -> None:
    problem = assert_only(VALID + "hosting: {source: s3}\n", "shape", 14, 19, "hosting.source")
    assert "git, directory or releases" in problem.what


@pytest.mark.parametrize("value", ["20", "20MiB", "0MB", "100000MB", "20 MB", "1.5MB"])
def test_a_size_of_another_form_is_refused(value: str) -> None:
    assert_only(VALID + f'hosting: {{max-file: "{value}"}}\n', "shape", 14, 21, "hosting.max-file")


def test_an_empty_hosting_directory_is_refused() -> None:
    text = VALID + 'hosting: {source: directory, directory: ""}\n'
    assert_only(text, "shape", 14, 41, "hosting.directory")


@pytest.mark.parametrize(
    "value", ["", "https://a b/", "https://a\\\\b/", "https://ä.example/", "https://a/<b>/"]
)
def test_an_address_with_characters_that_addresses_lack_is_refused(value: str) -> None:
    assert_only(changed("https://updates.example.org/", f'"{value}"'), "shape", 13, 8, "publish.url")


def test_a_keeping_time_of_another_form_is_refused() -> None:
    assert_only(VALID + "  keep: forever\n", "shape", 14, 9, "publish.keep")


def test_a_version_below_the_first_is_refused() -> None:
    assert_only(changed("version: 1", "version: 0"), "shape", 1, 10, "version")


@pytest.mark.parametrize("version", ["2", "10", "999999999"])
def test_a_later_version_is_the_only_problem_of_its_file(version: str) -> None:
    problem = assert_only(f"bins: 4\nversion: {version}\n", "shape", 2, 10, "version")
    assert "newer Keyturn" in problem.todo


def test_a_version_of_another_type_hides_no_other_problem() -> None:
    text = changed("version: 1", 'version: "2"').replace("acme-updates", "Acme")
    assert places_of(text) == [("shape", 1, 10, "version"), ("shape", 2, 7, "name")]


# Sense


def test_a_key_that_stands_twice_is_refused() -> None:
    problem = assert_only(
        changed("threshold: 2\nonline", "threshold: 2\n    threshold: 1\nonline"),
        "sense",
        10,
        5,
        "roles.targets.threshold",
    )
    assert problem.what == "stands twice, first on line 9"


def test_a_delegation_that_stands_twice_is_refused() -> None:
    text = VALID + PLUGINS + PLUGINS.replace("delegations:\n", "")
    assert_only(text, "sense", 19, 3, "delegations.plugins")


@pytest.mark.parametrize("value", ["0x2", "02", "0b10", "1_0", "1:30", "+2"])
def test_a_number_in_another_spelling_than_plain_digits_is_refused(value: str) -> None:
    text = changed("threshold: 2\nonline", f"threshold: {value}\nonline")
    assert_only(text, "sense", 9, 16, "roles.targets.threshold")


@pytest.mark.parametrize("role", ["root", "targets"])
def test_the_same_login_twice_in_a_role_is_refused_whatever_its_case(role: str) -> None:
    old, line, column = {"root": ("bob, carol]", 5, 22), "targets": ("bob]", 8, 22)}[role]
    text = changed(f"[alice, {old}", f"[alice, ALICE, {old}")
    problem = assert_only(text, "sense", line, column, f"roles.{role}.signers[1]")
    assert "twice" in problem.what


def test_the_same_login_twice_in_a_delegation_is_refused() -> None:
    text = VALID + PLUGINS.replace("[carol]", "[carol, Carol]")
    assert_only(text, "sense", 17, 22, "delegations.plugins.signers[1]")


def test_the_same_login_in_two_roles_is_fine() -> None:
    assert read(VALID).logins == ("alice", "bob", "carol")


@pytest.mark.parametrize("login", ["online", "Online"])
def test_online_is_nobodys_login(login: str) -> None:
    assert_only(changed("[alice, bob]", f"[alice, bob, {login}]"), "sense", 8, 27, "roles.targets.signers[2]")


@pytest.mark.parametrize(
    ("text", "line", "where"),
    [
        (changed("threshold: 2\n  targets", "threshold: 4\n  targets"), 6, "roles.root.threshold"),
        (changed("threshold: 2\nonline", "threshold: 3\nonline"), 9, "roles.targets.threshold"),
        (VALID + PLUGINS.replace("threshold: 1", "threshold: 2"), 18, "delegations.plugins.threshold"),
    ],
)
def test_a_threshold_above_the_number_of_signers_is_refused(text: str, line: int, where: str) -> None:
    assert_only(text, "sense", line, 16, where)


def test_one_person_twice_does_not_help_to_reach_a_threshold() -> None:
    assert places_of(changed("[alice, bob]", "[alice, Alice]")) == [
        ("sense", 8, 22, "roles.targets.signers[1]"),
        ("sense", 9, 16, "roles.targets.threshold"),
    ]


def test_a_signer_of_wrong_form_counts_as_a_signer() -> None:
    assert_only(changed("[alice, bob]", "[alice, b_b]"), "shape", 8, 22, "roles.targets.signers[1]")


@pytest.mark.parametrize(
    ("old", "line", "role"), [("threshold: 2\n  targets", 6, "root"), ("threshold: 2\nonline", 9, "targets")]
)
def test_a_threshold_of_1_needs_single_signer(old: str, line: int, role: str) -> None:
    text = changed(old, old.replace("2", "1"))

    problem = assert_only(text, "sense", line, 16, f"roles.{role}.threshold")

    assert "single-signer: true" in problem.todo
    assert places_of(text + "single-signer: false\n") == [("sense", line, 16, f"roles.{role}.threshold")]
    policy = read(text + "single-signer: true\n")
    assert policy.single_signer
    assert 1 in (policy.root.threshold, policy.targets.threshold)


def test_single_signer_with_other_thresholds_is_fine() -> None:
    assert read(VALID + "single-signer: true\n").single_signer


def test_a_threshold_of_1_is_not_judged_while_single_signer_is_misspelt() -> None:
    text = changed("threshold: 2\nonline", "threshold: 1\nonline") + "single-signer: maybe\n"
    assert_only(text, "shape", 14, 16, "single-signer")


def test_a_delegation_may_have_a_threshold_of_1() -> None:
    assert read(VALID + PLUGINS).delegations[0].role.threshold == 1


@pytest.mark.parametrize("renew", ["60d", "61d", "1440h"])
def test_a_renewal_that_is_not_shorter_than_the_expiry_is_refused(renew: str) -> None:
    text = changed("threshold: 2\nonline", f"threshold: 2\n    expires: 60d\n    renew: {renew}\nonline")
    assert_only(text, "sense", 11, 12, "roles.targets.renew")


def test_an_expiry_that_is_not_longer_than_the_default_renewal_is_refused() -> None:
    text = changed("threshold: 2\n  targets", "threshold: 2\n    expires: 30d\n  targets")
    problem = assert_only(text, "sense", 7, 14, "roles.root.expires")
    assert "renew (60d by default)" in problem.what


def test_the_renewal_of_a_delegation_is_judged() -> None:
    assert_only(VALID + PLUGINS + "    renew: 120d\n", "sense", 19, 12, "delegations.plugins.renew")


@pytest.mark.parametrize(("role", "column"), [("snapshot", 34), ("timestamp", 35)])
def test_the_renewal_of_an_online_role_is_judged(role: str, column: int) -> None:
    text = changed("KEYTURN_ONLINE_KEY\n", f"KEYTURN_ONLINE_KEY\n  {role}: {{expires: 3d, renew: 4d}}\n")
    assert_only(text, "sense", 12, column, f"online.{role}.renew")


def test_hours_and_days_are_compared_by_length() -> None:
    text = changed("KEYTURN_ONLINE_KEY\n", "KEYTURN_ONLINE_KEY\n  timestamp: {expires: 1d, renew: 23h}\n")
    assert read(text).online.timestamp == Period(Duration("1d"), Duration("23h"))


def test_a_timestamp_that_outlives_its_snapshot_is_refused() -> None:
    text = changed("KEYTURN_ONLINE_KEY\n", "KEYTURN_ONLINE_KEY\n  timestamp: {expires: 15d}\n")
    assert_only(text, "sense", 12, 24, "online.timestamp.expires")


def test_a_snapshot_that_ends_before_the_default_timestamp_is_refused() -> None:
    text = changed("KEYTURN_ONLINE_KEY\n", "KEYTURN_ONLINE_KEY\n  snapshot: {expires: 2d, renew: 1d}\n")
    assert_only(text, "sense", 12, 23, "online.snapshot.expires")


def test_a_timestamp_as_long_as_its_snapshot_is_fine() -> None:
    text = changed("KEYTURN_ONLINE_KEY\n", "KEYTURN_ONLINE_KEY\n  timestamp: {expires: 336h}\n")
    assert read(text).online.timestamp.expires == Duration("336h")


@pytest.mark.parametrize("name", ["root", "targets", "snapshot", "timestamp", "keyring", "root_history"])
def test_a_delegation_is_not_called_like_what_exists_already(name: str) -> None:
    text = VALID + PLUGINS.replace("  plugins:", f"  {name}:")
    assert_only(text, "sense", 15, 3, f"delegations.{name}")


@pytest.mark.parametrize(
    ("pattern", "fault"),
    [
        ("/plugins/*", "absolute"),
        ("plugins/", "ends in /"),
        ("plugins//*", "empty part"),
        ("../*", ". or .."),
        ("plugins/..", ". or .."),
        ("a/./b", ". or .."),
        ("a\\\\b", "backslash"),
        ("a\\tb", "do not show"),
        ("a\\u202eb", "do not show"),
        ("a\\ud800b", "do not show"),
        ("[ab]/*", "differently"),
        ("{a,b}/*", "differently"),
        ("a/**", "differently"),
        ("!a", "differently"),
        ("a:b", "cannot have"),
        ("a|b", "cannot have"),
        ("a/ b", "blank or a dot"),
        ("a./b", "blank or a dot"),
        ("a/b..", "blank or a dot"),
        ("a/NUL.zip", "device"),
        ("com1/*", "device"),
    ],
)
def test_an_unsafe_path_of_a_delegation_is_refused(pattern: str, fault: str) -> None:
    text = VALID + PLUGINS.replace('["plugins/*.zip"]', f'["a/*", "{pattern}"]')
    problem = assert_only(text, "sense", 16, 20, "delegations.plugins.paths[1]")
    assert fault in problem.what


@pytest.mark.parametrize("pattern", ["*", "a/?/*.zip", "..a/..b", "console/*", "a b/ü.zip", ".well-known/x"])
def test_a_safe_path_of_a_delegation_is_read(pattern: str) -> None:
    text = VALID + PLUGINS.replace("plugins/*.zip", pattern)
    assert read(text).delegations[0].paths == (pattern,)


def test_apps_that_differ_only_by_case_are_refused() -> None:
    assert_only(VALID + "apps:\n  tool: {}\n  Tool: {}\n", "sense", 16, 3, "apps.Tool")


def test_a_platform_twice_is_refused() -> None:
    text = VALID + "apps:\n  tool: {platforms: [linux, Linux]}\n"
    assert_only(text, "sense", 15, 29, "apps.tool.platforms[1]")


def test_hosting_in_a_directory_names_it() -> None:
    policy = read(VALID + "hosting: {source: directory, directory: /srv/targets, max-file: 2GB}\n")
    assert policy.hosting.directory == "/srv/targets"
    assert policy.hosting.max_file == 2_000_000_000


def test_hosting_in_a_directory_without_a_path_is_refused() -> None:
    assert_only(VALID + "hosting: {source: directory}\n", "sense", 14, 19, "hosting.source")


@pytest.mark.parametrize("source", ["", "source: git, "])
def test_a_path_without_hosting_in_a_directory_is_refused(source: str) -> None:
    text = VALID + f"hosting: {{{source}directory: x}}\n"
    assert_only(text, "sense", 14, 22 + len(source), "hosting.directory")


def test_a_path_with_characters_that_do_not_show_is_refused() -> None:
    text = VALID + 'hosting: {source: directory, directory: "a\\e"}\n'
    assert_only(text, "sense", 14, 41, "hosting.directory")


def test_releases_host_files_up_to_2_gb() -> None:
    hosting = read(VALID + "hosting: {source: releases, max-file: 2GB}\n").hosting
    assert (hosting.source, hosting.max_file) == ("releases", 2_000_000_000)
    assert_only(VALID + "hosting: {source: releases, max-file: 3GB}\n", "sense", 14, 39, "hosting.max-file")


def test_an_app_may_come_from_the_releases_of_another_repository() -> None:
    source = read(VALID + "apps: {yt-dlp: {from: {repository: acme/yt-dlp}}}\n").apps[0].source

    assert source == SourcePolicy("acme/yt-dlp", "release.yml", "v{version}", "{app}-{version}.tar.gz")
    assert source.asset_name("yt-dlp", "1.2", "") == "yt-dlp-1.2.tar.gz"


def test_an_app_of_this_repository_has_no_source() -> None:
    assert read(VALID + "apps: {yt-dlp: {platforms: []}}\n").apps[0].source is None


@pytest.mark.parametrize(("tag", "version"), [("v1.2", "1.2"), ("v", None), ("1.2", None), ("nightly", None)])
def test_the_version_of_a_release_is_read_from_its_tag(tag: str, version: str | None) -> None:
    source = SourcePolicy("acme/yt-dlp", "release.yml", "v{version}", "{app}.tar.gz")
    assert source.version_of(tag) == version


def test_git_hosts_files_up_to_100_mb() -> None:
    assert read(VALID + "hosting: {max-file: 100MB}\n").hosting.max_file == 100_000_000
    assert_only(VALID + "hosting: {max-file: 101MB}\n", "sense", 14, 21, "hosting.max-file")


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("ftp://example.org/", "neither http"),
        ("example.org/", "neither http"),
        ("https:///", "no host"),
        ("https://-x/", "no host"),
        ("https://a..b/", "no host"),
        ("https://%41/", "no host"),
        ("https://a:0/", "no host"),
        ("https://[::1/", "not an address"),
        ("https://[1::2::3]/", "not an address"),
        ("https://a:99999/", "not an address"),
        ("https://me@example.org/", "user name"),
        ("https://me:pw@example.org/", "user name"),
        ("https://example.org/?a=b", "query"),
        ("https://example.org/#a", "fragment"),
        ("https://example.org", "end in /"),
        ("https://example.org/app", "end in /"),
        ("https://example.org/a//b/", "empty part"),
        ("https://example.org/a/../b/", "empty part"),
        ("http://example.org/", "neither encrypted"),
        ("http://127.0.0.1.example.org/", "neither encrypted"),
    ],
)
def test_an_address_that_is_no_plain_site_root_is_refused(url: str, fault: str) -> None:
    text = changed("https://updates.example.org/", f'"{url}"')
    problem = assert_only(text, "sense", 13, 8, "publish.url")
    assert fault in problem.what


@pytest.mark.parametrize(
    "url",
    [
        "https://acme.github.io/updates/",
        "https://example.org:8443/",
        "https://[2001:db8::1]/",
        "http://127.0.0.1:8000/",
        "http://localhost/",
        "http://[::1]:8000/",
    ],
)
def test_an_https_or_loopback_address_is_read(url: str) -> None:
    assert read(changed("https://updates.example.org/", f'"{url}"')).publish.url == url


@pytest.mark.parametrize(
    "name", ["HEAD", "a..b", "a//b", "a/", "a.lock", "a/.b", "a/-b", "a.", "sign", "sign/x", "keyturn/staged"]
)
def test_a_branch_that_cannot_be_is_refused(name: str) -> None:
    assert_only(VALID + f"branch: {name}\n", "sense", 14, 9, "branch")


@pytest.mark.parametrize("name", ["main", "release/1.x", "signing", "_x"])
def test_a_branch_that_can_be_is_read(name: str) -> None:
    assert read(VALID + f"branch: {name}\n").branch == name


# The table


_DOCUMENT = yaml.safe_load(VALID + PLUGINS + "apps: {x: {platforms: [linux]}}\n")


def _placed(path: str, value: object) -> dict[str, Any]:
    """The valid policy with one value put where the table says."""
    document = copy.deepcopy(_DOCUMENT)
    node: Any = document
    steps = [{"*": None, "[]": 0}.get(step, step) for step in path.replace("[]", ".[]").split(".")]
    for step in steps[:-1]:
        node = node.setdefault(step, {}) if isinstance(step, str) else next(iter(node.values()))
    last = steps[-1] if steps[-1] is not None else next(iter(node))
    node[last] = value
    return document


def _dumped(document: dict[str, Any]) -> bytes:
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)  # the same text, ten times faster
    return bytes(yaml.dump(document, Dumper=dumper, sort_keys=False, allow_unicode=True, encoding="utf-8"))


@pytest.mark.parametrize("path", [field.path for field in FIELDS if field.path])
def test_the_example_of_every_field_has_the_shape_that_is_asked_for(path: str) -> None:
    document = _placed(path, yaml.safe_load(field_at(path).example))

    try:
        parse(_dumped(document))
    except PolicyError as error:
        assert {problem.kind for problem in error.problems} == {"sense"}


def test_every_field_stands_once_and_says_what_it_is_for() -> None:
    assert len({field.path for field in FIELDS}) == len(FIELDS)
    assert all(field.doc.endswith(".") for field in FIELDS)
    assert field_at("") is FIELDS[0]


def test_every_text_with_a_pattern_says_its_form_in_words() -> None:
    restricted = [field for field in FIELDS if field.kind in (Kind.TEXT, Kind.NAMED)]
    assert all(field.form and (field.pattern or field.choices) for field in restricted)


# What init writes


def test_what_is_rendered_is_read_back() -> None:
    text = render(
        name="acme-updates",
        signers=["alice", "bob"],
        threshold=2,
        app="yt-dlp",
        online_key="env:KEYTURN_ONLINE_KEY",
        url="http://127.0.0.1:8000/",
    )

    policy, example = read(text), parse(SPECIFICATION.read_bytes())
    assert policy.root.signers == policy.targets.signers == ("alice", "bob")
    assert (policy.root.threshold, policy.targets.threshold) == (2, 2)
    assert (policy.targets.period, policy.root.period) == (example.targets.period, example.root.period)
    assert (policy.online, policy.apps) == (example.online, example.apps)
    assert (policy.hosting, policy.publish) == (example.hosting, example.publish)
    assert (policy.name, policy.branch, policy.delegations) == ("acme-updates", "main", ())
    assert "single-signer" not in text


def test_a_rendered_threshold_of_1_says_what_it_gives_up() -> None:
    text = render(
        name="solo",
        signers=["alice"],
        threshold=1,
        app=None,
        online_key="env:K",
        url="https://x.org/",
        branch="trunk",
    )

    policy = read(text)
    assert policy.single_signer
    assert policy.branch == "trunk"
    assert policy.apps == ()
    assert "What that gives up: whoever gets hold of one key" in text


def test_words_that_yaml_would_read_otherwise_are_quoted() -> None:
    text = render(
        name="2024",
        signers=["yes", "123", "No"],
        threshold=2,
        app="0x10",
        online_key="env:_",
        url="https://x/",
    )

    policy = read(text)
    assert policy.name == "2024"
    assert policy.root.signers == ("yes", "123", "No")
    assert policy.apps[0].name == "0x10"


@pytest.mark.parametrize("name", ["Acme", "a\nversion: 2", "a # b", "\udc80", "{", "\x7f"])
def test_what_makes_no_policy_is_not_rendered(name: str) -> None:
    with pytest.raises(PolicyError):
        render(name=name, signers=["a", "b"], threshold=2, app=None, online_key="env:K", url="https://x/")


# Whatever comes


def _check(data: bytes) -> None:
    try:
        policy = parse(data)
    except PolicyError as error:
        places = [(problem.line, problem.column) for problem in error.problems]
        assert places == sorted(places)
        assert places[0] >= (1, 1)
        assert all(problem.what and problem.todo.endswith(".") for problem in error.problems)
        assert str(error).isascii() or str(error).encode()
        return
    for role in (policy.root, policy.targets, *(delegation.role for delegation in policy.delegations)):
        assert 1 <= role.threshold <= len({login.lower() for login in role.signers})
        assert role.period.renew.delta < role.period.expires.delta
    assert policy.single_signer or min(policy.root.threshold, policy.targets.threshold) > 1


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=80))
def test_no_bytes_raise_anything_but_a_policy_error(data: bytes) -> None:
    _check(data)


_TOKENS = st.sampled_from(
    [
        *"{}[]:,-?!&*|>%@`'\"#\n \t=~<",
        *(
            "\n  ",
            ": ",
            "- ",
            "? ",
            "&a ",
            "*a",
            "!!int ",
            "<<: ",
            "---\n",
            "...\n",
            "|+2\n",
            "\r\n",
            "\u2028",
        ),
        *(
            "%YAML 1.1\n",
            "%TAG ! x\n",
            '"\\x',
            "\\U",
            "FFFFFFFF",
            "yes",
            "null",
            "2",
            "0x",
            "1e3",
            "1:30",
            ".inf",
        ),
        *(
            "version: 1\n",
            "roles:\n",
            "  root:\n",
            "signers: ",
            "threshold: ",
            "online: ",
            "apps: ",
            "2026-01-01",
        ),
        *("delegations: ", "publish: ", "url: ", "http://", "hosting: ", "a", "ä"),
    ]
)


@settings(max_examples=500, deadline=None)
@given(st.lists(_TOKENS, max_size=25).map("".join))
def test_no_yaml_like_text_raises_anything_but_a_policy_error(text: str) -> None:
    _check(text.encode())


@settings(max_examples=200, deadline=None)
@given(
    position=st.integers(0, len(VALID + PLUGINS)),
    cut=st.integers(0, 12),
    token=st.one_of(_TOKENS, st.text(max_size=3)),
)
def test_no_cut_into_a_valid_policy_raises_anything_but_a_policy_error(
    position: int, cut: int, token: str
) -> None:
    text = VALID + PLUGINS
    _check((text[:position] + token + text[position + cut :]).encode("utf-8", "surrogatepass"))


_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 5)
    | st.floats(allow_nan=False)
    | st.dates()
    | st.sampled_from(
        ["alice", "Alice", "online", "1h", "30d", "9999d", "git", "directory", "releases", "20MB"]
    )
    | st.sampled_from(
        ["env:A", "vault:x", "http://localhost/", "https://x.org/a/", "a/*", "../x", "main", "root"]
    )
    | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=500, deadline=None)
@given(path=st.sampled_from([field.path for field in FIELDS if field.path]), value=_VALUES)
def test_a_valid_policy_with_another_value_is_a_policy_or_a_policy_error(path: str, value: object) -> None:
    _check(_dumped(_placed(path, value)))
