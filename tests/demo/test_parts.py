"""What the demo is made of: its app, its people, its page, its end."""

from __future__ import annotations

import ast
import hashlib
import json
import socket
import subprocess
import sys
import urllib.error
import urllib.request
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

import keyturn.demo
from keyturn.demo import app, frame, story
from keyturn.demo.app import APP, Wheel
from keyturn.demo.attacks import ATTACKS, Attack, Ending, Outcome
from keyturn.demo.frame import DemoOptions, Played
from keyturn.demo.page import Page, Piece
from keyturn.demo.server import serve
from keyturn.demo.steps import Look, Steps, Unexpected, signing
from keyturn.demo.world import Done, World
from keyturn.errors import EnvironmentFault, ExitCode, RefusedError, UsageError

SIGNING = ("tuf", "securesystemslib", "cryptography", "bsdiff4", "sigstore")
DECIDING = ("signing", "state", "propose", "publish", "verify", "flow", "forge", "release", "policy", "trial")


class Recorder:
    """An ``out`` that keeps what it gets."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def __call__(self, pieces: Sequence[Piece]) -> None:
        self.lines.append("".join(piece.text for piece in pieces))


def nothing(_pieces: Sequence[Piece]) -> None:
    return


def done(*shown: str, code: int = 0, out: str = "", err: str = "", seconds: float = 0.5) -> Done:
    return Done(shown, code, out, err, seconds)


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


# Nothing in demo/ signs or writes metadata


def test_demo_imports_nothing_that_signs_or_writes_metadata() -> None:
    (directory,) = keyturn.demo.__path__
    for file in Path(directory).glob("*.py"):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        imported = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        imported |= {
            name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names
        }
        roots = {name.partition(".")[0] for name in imported}
        own = {name.split(".")[1] for name in imported if name.startswith("keyturn.")}
        assert not roots & set(SIGNING), file
        # The thief takes guards out of the publisher; it, too, only runs the ordinary command.
        assert own & set(DECIDING) == ({"flow", "verify"} if file.name == "thief.py" else set()), file


def test_the_process_of_the_demo_never_loads_what_signs() -> None:
    names = [*SIGNING, *(f"keyturn.{name}" for name in DECIDING)]
    code = f"import sys, keyturn.demo.story; print([n for n in {names} if n in sys.modules])"
    told = subprocess.run(python(code), capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"


# People


def test_a_person_has_a_home_of_their_own_and_an_environment_with_little_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    foreign = ("XDG_CONFIG_HOME", "KEYTURN_CONFIG_DIR", "KEYTURN_ONLINE_KEY", "SOURCE_DATE_EPOCH", "GIT_DIR")
    for name in foreign:
        monkeypatch.setenv(name, "of the person who runs the demo")
    code = "import json, os; print(json.dumps(dict(os.environ)))"
    world = World(tmp_path, launcher=lambda _: python(code))
    environments = {name: world.person(name).run().document for name in ("alice", "bob")}
    assert {name: seen["HOME"] for name, seen in environments.items()} == {
        "alice": str(tmp_path / "homes" / "alice"),
        "bob": str(tmp_path / "homes" / "bob"),
    }
    own = {name: {key for key in seen if "KEY" in key} for name, seen in environments.items()}
    assert own == {"alice": {"KEYTURN_PASSPHRASE"}, "bob": set()}
    assert not set(foreign) & set(environments["bob"])


def test_git_that_fails_is_an_environment_fault(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFault, match="git clone fails"):
        World(tmp_path).person("bob").git("clone", "--quiet", str(tmp_path / "nothing"))


def test_a_program_that_is_not_there_is_an_environment_fault(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFault, match="cannot be run"):
        World(tmp_path, launcher=lambda _: [str(tmp_path / "missing")]).person("bob").run("status")


def test_a_step_that_ends_otherwise_than_told_stops_the_demo(tmp_path: Path) -> None:
    world = World(tmp_path, launcher=lambda _: python("import sys; sys.exit('the disk is full')"))
    steps = Steps(Page(nothing, tmp_path))
    with pytest.raises(Unexpected, match=r"bob got exit code 1 where .* the disk is full") as caught:
        steps.run(world.person("bob"), "merge", "founding")
    assert caught.value.exit_code == ExitCode.INVALID


def test_a_signature_is_bound_to_each_payload_that_was_seen() -> None:
    look = Look(done(), "pending", {"root 1": "aa", "targets 1": "bb"}, ("alice",), "aa")
    assert signing("alice", "founding", look)[-4:] == ("--expect", "aa", "--expect", "bb")


def test_what_a_process_says_that_is_no_document_has_no_reason() -> None:
    assert done(out="oops").reason == done(out="[]").reason == done(out='{"error": 1}').reason == ""
    assert done(out='{"error": {"reason": "ledger"}}').reason == "ledger"


# The app


def wheel_of(file: Path, members: dict[str, str]) -> Wheel:
    with zipfile.ZipFile(file, "w") as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return Wheel("1.0", hashlib.sha256(file.read_bytes()).hexdigest())


@pytest.fixture
def no_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "no-links"))
    (tmp_path / "no-links").mkdir()


@pytest.mark.usefixtures("no_index")
def test_without_network_and_cache_it_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFault) as caught:
        app.fetch(app.FIRST, tmp_path / "cache")
    assert caught.value.exit_code == ExitCode.ENVIRONMENT
    assert caught.value.reason == "no-wheel"
    assert app.FIRST.name in caught.value.todo
    assert app.FIRST.sha256 in caught.value.todo
    assert list((tmp_path / "cache").iterdir()) == []


@pytest.mark.usefixtures("no_index")
def test_a_cached_wheel_is_used_only_with_the_pinned_hash(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    wheel = wheel_of(cache / "yt_dlp-1.0-py3-none-any.whl", {"yt_dlp/__init__.py": ""})
    assert app.fetch(wheel, cache) == cache / wheel.name
    (cache / wheel.name).write_bytes(b"something else")
    with pytest.raises(EnvironmentFault):
        app.fetch(wheel, cache)


def test_a_cache_that_cannot_be_written_is_an_environment_fault(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(EnvironmentFault, match="cannot be written"):
        app.fetch(app.FIRST, tmp_path / "cache")


def test_a_bundle_has_the_package_and_a_launcher_that_runs_it(tmp_path: Path) -> None:
    package = "def main():\n    print('version', *__import__('sys').argv[1:])\n"
    file = tmp_path / "yt_dlp-1.0-py3-none-any.whl"
    wheel_of(file, {"yt_dlp/__init__.py": package, "yt_dlp-1.0.data/data/share/man": "a page"})
    app.build(file, app.STARTS, tmp_path / "bundle")
    ran = subprocess.run([tmp_path / "bundle" / APP, "1.0"], capture_output=True, text=True, check=True)
    assert ran.stdout == "version 1.0\n"
    assert sorted(path.name for path in (tmp_path / "bundle").rglob("*")) == [
        "__init__.py",
        "lib",
        APP,
        "yt_dlp",
    ]


def test_the_broken_launcher_fails_as_the_story_has_it(tmp_path: Path) -> None:
    app.write_launcher(app.FAILS, tmp_path)
    ran = subprocess.run([tmp_path / APP], capture_output=True, text=True, check=False)
    assert ran.returncode == app.FAILED
    assert "does not start" in ran.stderr


@pytest.mark.parametrize("name", ["../outside", "/outside", "yt_dlp/../../outside", "a\\..\\b"])
def test_a_wheel_never_leads_out_of_the_bundle(tmp_path: Path, name: str) -> None:
    file = tmp_path / "evil.whl"
    wheel_of(file, {name: "evil"})
    with pytest.raises(RefusedError, match="leads out of the bundle"):
        app.build(file, app.STARTS, tmp_path / "bundle")


# The page


def test_digests_and_the_base_directory_are_cut_short(tmp_path: Path) -> None:
    recorder = Recorder()
    page = Page(recorder, tmp_path)
    page.command(["keyturn", "sign", "--expect", "0123456789abcdef" * 4, f"{tmp_path}/x y"])
    assert recorder.lines[0].strip() == "$ keyturn sign --expect 01234567… '…/x y'"


def test_a_home_inside_a_key_uri_is_not_quoted(tmp_path: Path) -> None:
    recorder = Recorder()
    Page(recorder, tmp_path).command(["keyturn", "--key", "file:~/alice.pem", "~/x"])
    assert recorder.lines[0].strip() == "$ keyturn --key file:~/alice.pem '~/x'"


def test_long_lines_of_output_are_folded(tmp_path: Path) -> None:
    recorder = Recorder()
    Page(recorder, tmp_path).said("word " * 40)
    assert len(recorder.lines) > 1
    assert max(map(len, recorder.lines)) < 100


# The server


def test_the_server_serves_what_comes_into_the_directory_later(tmp_path: Path) -> None:
    with serve(tmp_path) as url:
        with pytest.raises(urllib.error.HTTPError) as missing:
            urllib.request.urlopen(url + "timestamp.json", timeout=5)
        missing.value.close()
        (tmp_path / "timestamp.json").write_text("{}")
        with urllib.request.urlopen(url + "timestamp.json", timeout=5) as answer:
            assert answer.read() == b"{}"


def test_a_port_in_use_is_an_environment_fault(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(EnvironmentFault, match=f"cannot serve on port {port}"), serve(tmp_path, port):
            pass


# Beginning and end


class Silent:
    """A story in which nothing happens."""

    def __init__(self, *_: object) -> None:
        pass

    def __getattr__(self, _name: str) -> object:
        return lambda *_: None


def end(monkeypatch: pytest.MonkeyPatch, ending: Ending) -> None:
    """Leave out the story, and let every attack end like this."""
    monkeypatch.setattr(story, "Story", Silent)

    def ended(one: Attack, *_: object) -> Outcome:
        return Outcome(ending, f"{ending.value}: {one.reason}")

    monkeypatch.setattr(frame, "attack", ended)


def test_a_directory_that_holds_something_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "letter").write_text("dear")
    with pytest.raises(UsageError, match="holds something already"):
        story.run(DemoOptions(keep=tmp_path), nothing)


def test_a_directory_that_cannot_be_made_is_an_environment_fault(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EnvironmentFault, match="cannot be used"):
        story.run(DemoOptions(keep=tmp_path / "file" / "below"), nothing)


def test_without_a_directory_a_new_one_is_made_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    end(monkeypatch, Ending.REFUSED)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    recorder = Recorder()
    played = story.run(DemoOptions(), recorder)
    (base,) = tmp_path.iterdir()
    assert played.site.is_relative_to(base)
    assert f"The site lies in {played.site}" in recorder.lines


def test_with_serve_the_site_is_served_until_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    end(monkeypatch, Ending.REFUSED)
    recorder = Recorder()
    fetched: list[bytes] = []

    def look_and_leave() -> None:
        url = recorder.lines[-1].split(" at ")[1].split()[0]
        (tmp_path / "homes" / "publisher" / "site" / "index.html").write_text("the page")
        with urllib.request.urlopen(url, timeout=5) as answer:
            fetched.append(answer.read())

    monkeypatch.setattr(story, "until_interrupted", look_and_leave)
    story.run(DemoOptions(keep=tmp_path, serve=0), recorder)
    assert fetched == [b"the page"]


@pytest.mark.parametrize("ending", [Ending.SUCCEEDED, Ending.OTHERWISE])
def test_the_demo_fails_unless_every_attack_is_refused_as_it_must_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: Ending
) -> None:
    end(monkeypatch, ending)
    recorder = Recorder()
    played = story.run(DemoOptions(keep=tmp_path), recorder)
    assert played.exit_code == ExitCode.INVALID
    assert any("5 of 5 attacks did not end as they must" in line for line in recorder.lines)
    assert {one["ended"] for one in json.loads(json.dumps(played.to_dict()))["attacks"]} == {ending.value}


def test_one_attack_that_succeeds_is_enough_to_fail() -> None:
    refused, succeeded = Outcome(Ending.REFUSED, "refused"), Outcome(Ending.SUCCEEDED, "succeeded")
    outcomes = [(one, refused) for one in ATTACKS]
    assert Played(Path(), tuple(outcomes), 1.0).exit_code == ExitCode.DONE
    assert Played(Path(), ((ATTACKS[0], succeeded), *outcomes[1:]), 1.0).exit_code == ExitCode.INVALID
