from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from keyturn.client import Client, Installed, Launched, errors
from keyturn.client.start import command_line
from unit.clientrepo import PROGRAM, World, world, write_tree


@pytest.fixture
def here(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        release(made, "1.0")
        yield made


def release(here: World, version: str) -> None:
    here.repository.add_release(version)
    here.repository.publish()


def install(here: World) -> Client:
    client = here.client()
    found = client.check().newest
    assert found is not None
    client.install(found)
    return client


def two_versions(here: World) -> Client:
    """1.0 confirmed, 2.0 pending."""
    install(here).confirm("1.0")
    release(here, "2.0")
    return install(here)


def run(client: Client) -> Launched:
    launched = client.launch()
    assert launched.process.wait() == 0
    return launched


# Starting


def test_a_launched_version_runs_and_is_told_where_it_is(here: World, tmp_path: Path) -> None:
    install(here)
    script = 'printf "%s|%s|%s|%s" "$KEYTURN_APP_VERSION" "$KEYTURN_APP_DIR" "$KEYTURN_STORE" "$MINE" > "$0"'
    client = here.client(environment={"PATH": os.environ["PATH"], "MINE": "kept"})

    launched = client.launch([str(tmp_path / "out")], command=["sh", "-c", script])

    assert launched.process.wait() == 0
    assert (launched.version, launched.gone_back_from) == ("1.0", None)
    told = (tmp_path / "out").read_text().split("|")
    assert told == ["1.0", str(here.home / "versions" / "1.0"), str(here.home), "kept"]


def test_the_app_gets_its_arguments_and_its_exit_code_comes_back(here: World, tmp_path: Path) -> None:
    client = install(here)

    launched = client.launch([str(tmp_path / "out"), "two words", "*"])

    assert launched.process.wait() == 0
    assert (tmp_path / "out").read_text() == f"1.0 {tmp_path / 'out'} two words *"
    client.confirm()
    assert client.launch(["7"], command=["sh", "-c", 'exit "$0"']).process.wait() == 7


def test_the_environment_is_that_of_this_process_unless_told_otherwise(
    here: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(here)
    monkeypatch.setenv("MINE", "inherited")
    client = here.client(environment=None)

    client.launch([str(tmp_path / "out")], command=["sh", "-c", 'printf %s "$MINE" > "$0"']).process.wait()

    assert (tmp_path / "out").read_text() == "inherited"


def test_the_app_runs_where_the_user_is_and_not_in_its_bundle(
    here: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = install(here)
    monkeypatch.chdir(tmp_path)

    client.launch(["out"]).process.wait()

    assert (tmp_path / "out").is_file()


def test_a_store_named_relative_to_here_is_meant_as_of_now(
    here: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(here)
    monkeypatch.chdir(tmp_path)
    client = here.client(directory=Path("home"))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")

    assert run(client).version == "1.0"


def test_an_app_can_confirm_while_launch_has_not_even_returned(here: World, tmp_path: Path) -> None:
    """The lock is free before the process starts."""
    client = install(here)
    (tmp_path / "root.json").write_bytes(here.repository.first_root)
    code = (
        "import sys, pathlib\n"
        "from keyturn.client import Client\n"
        "root = pathlib.Path(sys.argv[1]).read_bytes()\n"
        "print(Client(root, 'http://127.0.0.1:9/', 'acme', pathlib.Path(sys.argv[2])).confirm())\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    arguments = [str(tmp_path / "root.json"), str(here.home)]

    launched = here.client(environment=environment).launch(arguments, [sys.executable, "-c", code])

    assert launched.process.wait() == 0
    assert client.installed() == Installed("1.0")


def test_nothing_installed_cannot_be_launched(here: World) -> None:
    with pytest.raises(errors.NotInstalledError) as refusal:
        here.client().launch()
    assert refusal.value.reason == "not-installed"


def test_a_version_that_the_system_cannot_run_counts_as_started(here: World) -> None:
    install(here).confirm("1.0")
    here.repository.add_release("2.0", {"acme": b"\x7fELF not really"})
    here.repository.publish()
    client = install(here)

    with pytest.raises(errors.NotStartedError) as fault:
        client.launch()
    assert (fault.value.reason, fault.value.where) == ("not-started", str(here.home / "versions/2.0/acme"))

    launched = run(client)
    assert (launched.version, launched.gone_back_from) == ("1.0", "2.0")


def test_a_tree_that_somebody_removed_is_a_fault_of_the_disk(here: World) -> None:
    client = install(here)
    (here.home / "versions" / "1.0").rename(here.home / "gone")
    with pytest.raises(errors.DiskError):
        client.launch()


# What is run


@pytest.mark.parametrize(
    ("files", "executable", "chosen"),
    [
        (["acme", "other"], ["acme", "other"], "acme"),
        (["acme.exe", "other.exe"], ["acme.exe"], "acme.exe"),
        (["other", "data"], ["other"], "other"),
        (["tool.exe", "readme"], [], "tool.exe"),
        (["acme", "acme.py"], ["acme", "acme.py"], "acme"),
        (["tool", "acme.py", "lib/acme"], ["tool", "acme.py", "lib/acme"], "tool"),
    ],
)
def test_the_program_is_the_one_named_like_the_app_or_the_only_one(
    tmp_path: Path, files: list[str], executable: list[str], chosen: str
) -> None:
    tree = write_tree(tmp_path, dict.fromkeys(files, PROGRAM), executable)
    assert command_line(tree, "acme", None, ["--x"]) == [str(tree / chosen), "--x"]


@pytest.mark.parametrize(
    ("files", "executable", "named"),
    [
        (["one", "two"], ["one", "two"], "one, two"),
        (["acme"], [], "none"),
        (["acme.py"], ["acme.py"], "none"),
        (["acme/acme"], ["acme/acme"], "none"),
    ],
)
def test_a_bundle_without_one_obvious_program_needs_a_command(
    tmp_path: Path, files: list[str], executable: list[str], named: str
) -> None:
    tree = write_tree(tmp_path, dict.fromkeys(files, PROGRAM), executable)
    with pytest.raises(errors.NotStartedError, match=rf"executables there: {named}\)"):
        command_line(tree, "acme", None, [])


def test_the_first_word_of_a_command_may_be_a_file_of_the_bundle(tmp_path: Path) -> None:
    tree = write_tree(tmp_path, {"bin/run": PROGRAM})
    assert command_line(tree, "acme", ["bin/run", "bin/run"], ["x"]) == [
        str(tree / "bin/run"),
        "bin/run",
        "x",
    ]
    assert command_line(tree, "acme", ["python3", "-m", "acme"], []) == ["python3", "-m", "acme"]


def test_a_program_may_be_a_link_inside_the_bundle(tmp_path: Path) -> None:
    tree = write_tree(tmp_path, {"bin/run": PROGRAM}, ["bin/run"])
    (tree / "acme").symlink_to("bin/run")
    assert command_line(tree, "acme", None, []) == [str(tree / "acme")]


# Confirming and going back


def test_a_pending_version_is_started_and_counted(here: World) -> None:
    client = two_versions(here)

    assert run(client).version == "2.0"

    assert client.installed() == Installed("2.0", "1.0", pending="2.0", starts=1)


def test_a_confirmed_version_is_started_as_often_as_one_likes(here: World) -> None:
    client = two_versions(here)
    run(client)
    assert client.confirm()

    for _ in range(3):
        assert run(client).version == "2.0"
    assert client.installed() == Installed("2.0", "1.0")


def test_a_second_launch_without_a_confirmation_goes_back(here: World) -> None:
    client = two_versions(here)
    run(client)

    launched = run(client)

    assert (launched.version, launched.gone_back_from) == ("1.0", "2.0")
    assert client.installed() == Installed("1.0", refused=("2.0",))
    assert (here.home / "current").readlink() == Path("versions/1.0")


def test_a_version_that_failed_is_not_offered_again_but_its_successor_is(here: World) -> None:
    client = two_versions(here)
    run(client)
    run(client)
    assert client.check().newest is None

    release(here, "2.1")
    install(here)

    assert client.installed() == Installed("2.1", "1.0", pending="2.1", refused=("2.0",))


def test_a_first_version_that_fails_has_nothing_to_go_back_to(here: World) -> None:
    client = install(here)
    run(client)

    for _ in range(2):
        with pytest.raises(errors.NoPreviousError, match=r"1\.0 did not confirm") as refusal:
            client.launch()
        assert refusal.value.reason == "no-previous"
    assert client.installed() == Installed("1.0", pending="1.0", starts=1, refused=("1.0",))


def test_a_first_version_that_fails_is_replaced_by_the_next(here: World) -> None:
    client = install(here)
    run(client)
    with pytest.raises(errors.NoPreviousError):
        client.launch()
    release(here, "1.1")

    install(here)

    assert run(client).version == "1.1"
    assert client.confirm()
    assert client.installed() == Installed("1.1", refused=("1.0",))


def test_a_first_version_that_works_after_all_can_be_confirmed_late(here: World) -> None:
    client = install(here)
    run(client)
    with pytest.raises(errors.NoPreviousError):
        client.launch()

    assert client.confirm()

    assert client.installed() == Installed("1.0")
    assert run(client).version == "1.0"


def test_a_previous_version_that_somebody_removed_is_none(here: World) -> None:
    client = two_versions(here)
    run(client)
    (here.home / "versions" / "1.0").rename(here.home / "gone")

    with pytest.raises(errors.NoPreviousError):
        client.launch()
    with pytest.raises(errors.NoPreviousError):
        client.rollback()


def test_a_version_that_was_never_launched_is_not_confirmed_by_whoever_comes_by(here: World) -> None:
    client = two_versions(here)

    assert not client.confirm()
    assert client.installed().pending == "2.0"


def test_an_app_that_has_a_launcher_of_its_own_says_its_version(here: World) -> None:
    client = two_versions(here)

    assert client.confirm("2.0.0")
    assert client.installed() == Installed("2.0", "1.0")


def told(here: World, version: str, store: Path | None = None) -> Client:
    """The client inside an app that was launched."""
    environment = {"KEYTURN_APP_VERSION": version, "KEYTURN_STORE": str(store or here.home)}
    return here.client(environment=environment)


def test_the_old_version_cannot_confirm_the_new_one(here: World) -> None:
    client = two_versions(here)
    run(client)

    assert not told(here, "1.0").confirm()
    assert client.installed().pending == "2.0"
    assert told(here, "2.0").confirm()


def test_a_version_that_has_been_given_up_confirms_nothing(here: World) -> None:
    client = two_versions(here)
    run(client)
    run(client)

    assert not told(here, "2.0").confirm()
    assert client.installed() == Installed("1.0", refused=("2.0",))


def test_what_another_app_was_told_means_nothing_here(here: World, tmp_path: Path) -> None:
    client = two_versions(here)
    run(client)

    assert told(here, "1.0", store=tmp_path / "another").confirm()
    assert client.installed().pending is None


def test_confirming_twice_is_confirming_once(here: World) -> None:
    client = two_versions(here)
    run(client)
    assert client.confirm()
    assert not client.confirm()
    assert not client.confirm("2.0")


def test_nothing_installed_confirms_nothing(here: World) -> None:
    assert not here.client().confirm()
    assert not here.client().confirm("1.0")


def test_a_rollback_goes_back_and_does_not_offer_the_version_again(here: World) -> None:
    client = two_versions(here)
    client.confirm("2.0")

    assert client.rollback() == "1.0"

    assert client.installed() == Installed("1.0", refused=("2.0",))
    assert client.check().newest is None
    assert run(client).version == "1.0"


def test_there_is_one_step_back_and_no_second(here: World) -> None:
    client = two_versions(here)
    client.rollback()

    with pytest.raises(errors.NoPreviousError) as refusal:
        client.rollback()
    assert refusal.value.reason == "no-previous"
    assert client.installed().current == "1.0"


class Life(RuleBasedStateMachine):
    """Any sequence of releases, installations, starts, confirmations and rollbacks, against a model."""

    def __init__(self) -> None:
        super().__init__()
        self.resources = ExitStack()
        directory = self.resources.enter_context(tempfile.TemporaryDirectory())
        self.here = self.resources.enter_context(world(Path(directory)))
        self.released = 0
        self.model = Installed()

    def teardown(self) -> None:
        self.resources.close()

    @property
    def client(self) -> Client:
        return self.here.client()

    @initialize()
    def first_release(self) -> None:
        self.release()

    @rule()
    @precondition(lambda self: self.released < 9)
    def release(self) -> None:
        self.released += 1
        release(self.here, f"{self.released}.0")

    @rule()
    def update(self) -> None:
        current, refused = self.model.current, self.model.refused
        above = int(float(current)) if current else 0
        choice = [n for n in range(above + 1, self.released + 1) if f"{n}.0" not in refused]
        if not choice:
            expect_none(self.client)
            return
        version = f"{choice[-1]}.0"
        install(self.here)
        previous = self.model.previous if self.model.pending else current
        self.model = Installed(version, previous, version, 0, refused)

    @rule()
    @precondition(lambda self: self.model.current)
    def launch(self) -> None:
        model = self.model
        if model.pending and model.starts and model.previous is None:
            refused = (*(v for v in model.refused if v != model.current), str(model.current))
            with pytest.raises(errors.NoPreviousError):
                self.client.launch()
            self.model = Installed(model.current, None, model.pending, 1, refused)
        elif model.pending and model.starts:
            launched = run(self.client)
            assert (launched.version, launched.gone_back_from) == (model.previous, model.pending)
            self.model = Installed(model.previous, refused=(*model.refused, model.pending))
        else:
            launched = run(self.client)
            assert (launched.version, launched.gone_back_from) == (model.current, None)
            self.model = Installed(
                model.current, model.previous, model.pending, 1 if model.pending else 0, model.refused
            )

    @rule()
    def confirm(self) -> None:
        model = self.model
        assert self.client.confirm() == bool(model.pending and model.starts)
        if model.starts:
            refused = tuple(version for version in model.refused if version != model.current)
            self.model = Installed(model.current, model.previous, refused=refused)

    @rule()
    def roll_back(self) -> None:
        model = self.model
        if model.previous is None:
            with pytest.raises(errors.NoPreviousError):
                self.client.rollback()
        else:
            assert self.client.rollback() == model.previous
            self.model = Installed(model.previous, refused=(*model.refused, str(model.current)))

    @invariant()
    def the_store_is_as_the_model_says(self) -> None:
        installed = self.client.installed()
        assert installed == self.model
        for version in (installed.current, installed.previous):
            if version is not None:
                assert (self.here.home / "versions" / version / "acme").is_file()
        if installed.current is not None:
            assert (self.here.home / "current").readlink() == Path("versions", installed.current)
        assert installed.previous is None or installed.previous not in installed.refused


def expect_none(client: Client) -> None:
    try:
        assert client.check().newest is None
    except errors.NoReleaseError:
        assert client.installed().current is None


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=15, stateful_step_count=25, deadline=None)


def test_the_smallest_program_is_run_by_a_real_shell(here: World, tmp_path: Path) -> None:
    install(here)
    environment = {**os.environ, "KEYTURN_APP_VERSION": "by hand"}
    subprocess.run([here.home / "current" / "acme", tmp_path / "out"], check=True, env=environment)
    assert (tmp_path / "out").read_text().startswith("by hand")
