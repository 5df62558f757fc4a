"""The demo on the lab's GitHub: its beginning, and the attack that only GitHub knows; the rest is shared."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from pathlib import Path

import pytest
from click.testing import CliRunner

from keyturn.cli.entry import cli
from keyturn.demo import lab as way
from keyturn.demo.app import Wheel
from keyturn.demo.attacks import Ending
from keyturn.demo.frame import DemoOptions, Played, be_attacked
from keyturn.demo.page import Piece
from keyturn.demo.story import AGO
from keyturn.demo.updating import Updating
from keyturn.errors import ExitCode
from lab.demo.forgery import forged_check, judged
from lab.demo.story import Story, stage


def hello(wheel: Wheel, cache: Path) -> Path:
    """An app that says its version and does nothing else, in the place of the one from the package index."""
    cache.mkdir(exist_ok=True)
    file = cache / wheel.name
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("yt_dlp/__init__.py", f"def main():\n    print({wheel.version!r})\n")
    return file


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Played, str]]:
    """Act one, and the forged check as its only attack."""
    base = tmp_path_factory.mktemp("demo")
    lines: list[str] = []

    def out(pieces: Sequence[Piece]) -> None:
        lines.append("".join(piece.text for piece in pieces))

    # Founded now and not four days ago: there is no second publishing run, and a timestamp lasts three days.
    then = datetime.now(timezone.utc) + AGO
    with stage(DemoOptions(keep=base / "kept"), out, now=then) as (world, steps):
        story = Story(world, steps)
        story.prepare(hello, base / "wheels")
        story.found()
        steps.hidden = ()
        carol = world.person("carol")
        Updating(world, steps, carol, world.url).embed_root(world.person("alice"))
        outcomes = be_attacked(world, steps, [forged_check(world)])
        world.write_site()
        yield Played(world.site, outcomes, 0.0), "\n".join(lines)


@pytest.mark.slow
@pytest.mark.lab
def test_two_people_found_with_a_commit_and_a_review_and_pages_serves_it(told: tuple[Played, str]) -> None:
    played, text = told
    assert "check keyturn: pending, keys missing: alice, bob" in text
    assert "check keyturn: pending, root 1: 1 of 2 signatures, bob may sign" in text
    assert "check keyturn: success, root 1: 2 of 2 signatures" in text
    assert "keyturn-publish.yml: sign, build, deploy, live, record" in text
    assert (played.site / "metadata" / "1.root.json").is_file()
    assert (played.site / "index.html").is_file()


@pytest.mark.slow
@pytest.mark.lab
def test_what_github_merged_on_a_forged_check_is_not_published(told: tuple[Played, str]) -> None:
    played, text = told
    ((_, outcome),) = played.outcomes
    assert outcome.ending is Ending.REFUSED, text
    assert played.exit_code == ExitCode.DONE
    assert 'Required status check "keyturn" is expected' in text


@pytest.mark.parametrize(
    ("reasons", "calm", "deployed", "installed", "ending"),
    [
        (["invalid"], True, False, None, Ending.REFUSED),
        (["invalid"], False, True, None, Ending.SUCCEEDED),
        (["invalid"], False, False, "9", Ending.SUCCEEDED),
        (["key-missing"], True, False, None, Ending.OTHERWISE),
        ([], True, False, None, Ending.OTHERWISE),
        (["invalid"], False, False, None, Ending.OTHERWISE),
    ],
)
def test_the_forged_check_is_refused_only_if_nothing_moved_and_publishing_says_why(
    reasons: list[str], *, calm: bool, deployed: bool, installed: str | None, ending: Ending
) -> None:
    outcome = judged("invalid", reasons, calm=calm, deployed=deployed, installed=installed)
    assert outcome.ending is ending


# The way there


def test_without_the_lab_it_is_said_where_it_comes_from(tmp_path: Path) -> None:
    found = way.find({}, beside=tmp_path)
    assert isinstance(found, way.Missing)
    assert "comes with the source" in found.why


def test_a_lab_elsewhere_is_named_by_the_environment(tmp_path: Path) -> None:
    assert callable(way.find({way.VARIABLE: str(way.BESIDE)}, beside=tmp_path))


def test_a_lab_whose_programs_are_missing_is_not_begun_with(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lab.demo.lacking", lambda: "node")
    found = way.find({})
    assert isinstance(found, way.Missing)
    assert found.why.endswith("needs what make demo sets up: node")


@pytest.mark.parametrize(("words", "told"), [((), 1), (("--plain",), 0)])
def test_without_the_lab_the_plain_demo_is_played_and_one_line_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], told: int
) -> None:
    monkeypatch.setattr("keyturn.demo.story.run", lambda *_: Played(tmp_path, (), 0.0))
    ran = CliRunner(env={way.VARIABLE: str(tmp_path)}).invoke(cli, ["demo", *words])
    assert ran.exit_code == ExitCode.DONE, ran.output
    assert ran.stderr.count("comes with the source") == told
    assert len(ran.stderr.splitlines()) == told
