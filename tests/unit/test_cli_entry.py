"""The command's beginning and end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import datetime, timezone
from importlib import import_module
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from keyturn import __version__
from keyturn.cli.entry import COMMANDS, cli
from keyturn.cli.lazy import Entry
from keyturn.cli.lines import verdict
from keyturn.cli.output import Result as Said
from keyturn.cli.session import Session
from keyturn.errors import RefusedError

THIS = sys.modules[__name__]
HEAVY = (
    "tuf",
    "securesystemslib",
    "cryptography",
    "rich",
    "jinja2",
    "yaml",
    "platformdirs",
    "subprocess",
    "json",
)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, list(arguments))


def python(code: str, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *options, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )


@click.command()
@click.pass_obj
def looks(session: Session) -> Said:
    """Tell what the session knows."""
    options = session.options
    document = {
        "directory": str(options.directory),
        "remote": options.remote,
        "now": session.now.isoformat(),
        "verbosity": session.output.verbosity,
    }
    return Said((verdict("looked"),), document)


@click.command()
def crashes() -> None:
    """Fail in a way that nobody foresaw."""
    raise ZeroDivisionError


@click.command()
def refuses() -> None:
    """Refuse."""
    raise RefusedError("does not verify", where="root 2", reason="threshold")


@click.command()
def stops() -> None:
    """Be interrupted."""
    raise KeyboardInterrupt


@pytest.fixture(autouse=True)
def _test_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    # This module is found by the name that pytest gave it.
    for name in ("looks", "crashes", "refuses", "stops"):
        entry = Entry(name, "for tests", __name__, name)
        monkeypatch.setitem(cli._entries, name, entry)  # type: ignore[attr-defined]
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    monkeypatch.setitem(sys.modules, __name__, THIS)


@pytest.mark.parametrize("entry", COMMANDS, ids=lambda entry: entry.name)
def test_every_command_of_the_table_is_there_and_explains_itself(entry: Entry) -> None:
    command = getattr(import_module(entry.module), entry.function)
    assert command.name == entry.name
    assert run(entry.name, "--help").exit_code == 0
    assert command.help
    undescribed = [
        option.name for option in command.params if isinstance(option, click.Option) and not option.help
    ]
    assert not undescribed


def test_help_lists_every_command_in_the_order_of_the_work() -> None:
    text = run("--help").output
    places = [text.index(f"\n  {entry.name} ") for entry in COMMANDS]
    assert places == sorted(places)


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; before = set(sys.modules)  # a coverage run has brought its own\n"
        "from keyturn.cli.entry import cli\n"
        "try: cli(['--help'])\n"
        "except SystemExit as end: assert end.code == 0\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules.keys() - before], file=sys.stderr)\n"
    )
    assert python(code).stderr == "[]\n"


def test_starting_an_installed_app_imports_no_tuf() -> None:
    code = (
        "import sys; from keyturn.cli.entry import cli\n"
        "try: cli(['client', '--app', 'a', '--dir', sys.argv[1], 'launch'])\n"
        "except SystemExit as end: assert end.code == 2, end.code\n"
        "print([name for name in ('tuf', 'rich', 'securesystemslib') if name in sys.modules])\n"
    )
    with tempfile.TemporaryDirectory() as directory:
        done = subprocess.run(
            [sys.executable, "-c", code, directory], capture_output=True, text=True, check=False, timeout=60
        )
    assert done.stdout == "[]\n", done.stderr


def test_the_module_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "keyturn", "--version"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (0, f"keyturn {__version__}\n")


def test_without_click_it_says_what_to_install() -> None:
    code = "import sys; sys.modules['click'] = None\nfrom keyturn.cli import main\nsys.exit(main())"
    done = python(code)
    assert done.returncode == 4
    assert done.stderr.startswith("error: ")
    assert "pip install 'keyturn[repo]'" in done.stderr


def test_without_a_command_help_is_shown_and_the_exit_code_is_that_of_usage() -> None:
    done = run()
    assert done.exit_code == 2
    assert "Commands:" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["looks"], 0),
        (["--version"], 0),
        (["nonsense"], 2),
        (["--nonsense", "looks"], 2),
        (["looks", "--nonsense"], 2),
        (["--at", "soon", "looks"], 2),
        (["refuses"], 3),
        (["-C", "/", "status"], 4),
        (["stops"], 130),
        (["crashes"], 70),
    ],
)
@pytest.mark.parametrize("json_wanted", [False, True])
def test_exit_codes_are_the_same_for_a_person_and_a_program(
    arguments: Sequence[str], code: int, json_wanted: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    done = run(*(["--json"] if json_wanted else []), *arguments)
    assert done.exit_code == code
    if json_wanted and "--version" not in arguments:
        assert json.loads(done.stdout)["exit"] == code
        assert not done.stderr.strip()
    elif code:
        assert not done.stdout
        assert done.stderr


def test_an_error_for_a_program_has_its_four_fields() -> None:
    error = json.loads(run("--json", "refuses").stdout)
    assert error == {
        "error": {"reason": "threshold", "what": "does not verify", "where": "root 2", "todo": ""},
        "exit": 3,
    }


def test_no_traceback_reaches_the_person(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    done = run("crashes")
    (report,) = tmp_path.iterdir()
    assert "Traceback" not in done.output
    assert str(report) in done.stderr
    assert "ZeroDivisionError" in report.read_text()


def test_global_options_reach_the_command(tmp_path: Path) -> None:
    said = run("--json", "-v", "-C", str(tmp_path), "--remote", "up", "--at", "@1795262400", "looks")
    assert json.loads(said.stdout) == {
        "directory": str(tmp_path),
        "remote": "up",
        "now": datetime(2026, 11, 21, 12, tzinfo=timezone.utc).isoformat(),
        "verbosity": 2,
        "exit": 0,
    }


def test_source_date_epoch_is_obeyed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1795262400")
    assert json.loads(run("--json", "looks").stdout)["now"] == "2026-11-21T12:00:00+00:00"
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "soon")
    assert run("looks").exit_code == 2


def test_a_reader_that_goes_away_is_no_crash(tmp_path: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "keyturn", "key", "new", tmp_path / "k.pem", "--no-passphrase"],
        stdout=write, stderr=subprocess.PIPE, text=True, check=False, timeout=60,
    )  # fmt: skip
    os.close(write)
    assert done.returncode == 4
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr
