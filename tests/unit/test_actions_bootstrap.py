"""The environment of the actions: locked, made once, whole or not there."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow


class Runner:
    """A checkout of an action with one small package in its lock, and a runner's tool cache."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.cache = base / "tool cache"
        self.output = base / "output"
        self.lock = base / "action" / "requirements" / "action.txt"
        wheel = make_wheel(base / "wheels")
        self.lock.parent.mkdir(parents=True)
        self.write_lock(hashlib.sha256(wheel.read_bytes()).hexdigest())
        scripts = base / "action" / "scripts"
        scripts.mkdir()
        shutil.copy(PROJECT / "scripts" / "bootstrap", scripts)
        for name in ("publish", "release", "watch"):
            (scripts / f"{name}.py").write_text("")

    def write_lock(self, digest: str) -> None:
        self.lock.write_text(f"tinything==1.0 --hash=sha256:{digest}\n")

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        env = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "GITHUB_"))}
        env |= {
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(self.base / "wheels"),
            "RUNNER_TOOL_CACHE": str(self.cache),
            "GITHUB_OUTPUT": str(self.output),
        }
        script = str(self.base / "action" / "scripts" / "bootstrap")
        return subprocess.Popen(["bash", script, *arguments], env=env, stdout=-1, stderr=-1, text=True)

    def run(self, *arguments: str) -> tuple[int, str]:
        process = self.start(*arguments)
        out, err = process.communicate()
        return process.returncode, out + err

    @property
    def interpreters(self) -> list[str]:
        lines = self.output.read_text().splitlines()
        return [line.removeprefix("python=") for line in lines]

    @property
    def environments(self) -> list[Path]:
        return sorted((self.cache / "keyturn").iterdir())


def make_wheel(directory: Path) -> Path:
    directory.mkdir()
    wheel = directory / "tinything-1.0-py3-none-any.whl"
    info = "tinything-1.0.dist-info"
    files = {
        "tinything.py": b"said = 'here'\n",
        f"{info}/METADATA": b"Metadata-Version: 2.1\nName: tinything\nVersion: 1.0\n",
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{name},sha256={unpadded(data)},{len(data)}\n" for name, data in files.items())
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, data in {**files, f"{info}/RECORD": f"{record}{info}/RECORD,,\n".encode()}.items():
            archive.writestr(name, data)
    return wheel


def unpadded(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    return Runner(tmp_path)


def test_it_is_made_once_and_found_again(runner: Runner) -> None:
    first, second = runner.run("release"), runner.run("release")
    assert (first[0], second[0]) == (0, 0), first
    assert first[1].count("\n") == second[1].count("\n") == 1
    assert "installed in" in first[1]
    assert "from the tool cache" in second[1]
    assert len(set(runner.interpreters)) == 1
    said = subprocess.run(
        [runner.interpreters[0], "-c", "import tinything; print(tinything.said)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout == "here\n"


def test_another_lock_is_another_environment(runner: Runner) -> None:
    runner.run("release")
    runner.lock.write_text(f"# changed\n{runner.lock.read_text()}")
    runner.run("release")
    assert len(set(runner.interpreters)) == len(runner.environments) == 2


def test_two_jobs_at_once_end_up_with_the_same_whole_one(runner: Runner) -> None:
    both = [runner.start("release"), runner.start("release")]
    outputs = [process.communicate() for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    assert len(set(runner.interpreters)) == len(runner.environments) == 1


def test_a_package_with_another_hash_is_refused_and_leaves_nothing(runner: Runner) -> None:
    runner.write_lock("0" * 64)
    code, said = runner.run("release")
    assert code == 4
    assert "::error title=keyturn::" in said
    assert runner.environments == []
    assert not runner.output.exists()


def test_what_a_killed_job_left_is_not_used(runner: Runner) -> None:
    half = runner.cache / "keyturn" / "new.killed" / "bin"
    half.mkdir(parents=True)
    (half / "python").write_text("#!/bin/sh\nexit 9\n")
    assert runner.run("release")[0] == 0
    assert "new.killed" not in runner.interpreters[0]


@pytest.mark.parametrize("command", ["", "nothing", "../release", "release.py", "RELEASE", "release;id"])
def test_only_commands_that_exist_are_set_up(runner: Runner, command: str) -> None:
    code, said = runner.run(command)
    assert code == 4
    assert "there is no command" in said


def test_who_checks_attestations_has_a_lock_of_its_own(runner: Runner) -> None:
    shutil.copy(runner.lock, runner.lock.with_name("attest.txt"))
    assert "requirements/attest.txt" in runner.run("watch")[1]


KMS = ("aws", "gcp", "azure", "vault")


@pytest.mark.parametrize("kms", KMS)
def test_who_signs_with_a_kms_has_a_lock_of_its_own(runner: Runner, kms: str) -> None:
    shutil.copy(runner.lock, runner.lock.with_name(f"{kms}.txt"))
    assert f"requirements/{kms}.txt" in runner.run("publish", kms)[1]


@pytest.mark.parametrize("command", ["release", "publish"])
def test_without_a_kms_the_lock_is_everybodys(runner: Runner, command: str) -> None:
    assert "requirements/action.txt" in runner.run(command, "")[1]


@pytest.mark.parametrize(
    ("command", "kms"), [("publish", "AWS"), ("publish", "../dev"), ("publish", "attest"), ("release", "aws")]
)
def test_no_other_lock_can_be_named(runner: Runner, command: str, kms: str) -> None:
    code, said = runner.run(command, kms)
    assert code == 4
    assert "the input kms is none of aws, gcp, azure, vault" in said


def locked(name: str) -> dict[str, set[str]]:
    """What a lock installs, with its markers, and the hashes of each."""
    entries: dict[str, set[str]] = {}
    for line in (PROJECT / "requirements" / f"{name}.txt").read_text().splitlines():
        if line and not line.startswith((" ", "#")):
            entries[entry := line.removesuffix("\\").strip()] = set()
        elif "--hash=" in line:
            entries[entry].add(line.strip(" \\"))
    return entries


def packages(name: str) -> dict[str, set[str]]:
    versions: dict[str, set[str]] = {}
    for entry in locked(name):
        package, _, version = entry.partition(";")[0].strip().partition("==")
        versions.setdefault(package, set()).add(version)
    return versions


@pytest.mark.parametrize("kms", KMS)
def test_the_lock_of_a_kms_is_what_every_run_has_and_what_speaks_to_it(kms: str) -> None:
    common, own = packages("action"), packages(kms)
    assert {name: own.get(name) for name in common} == common
    assert set(own) - set(common)
    hashes = {entry.partition(";")[0].strip(): found for entry, found in locked(kms).items()}
    for entry, found in locked("action").items():
        assert hashes[entry.partition(";")[0].strip()] == found


@pytest.mark.parametrize(
    ("kms", "library"),
    [("aws", "boto3"), ("gcp", "google-cloud-kms"), ("azure", "azure-keyvault-keys"), ("vault", "hvac")],
)
def test_each_lock_brings_the_library_that_its_service_is_reached_by(kms: str, library: str) -> None:
    assert [name for name in ("action", *KMS) if library in packages(name)] == [kms]


def test_the_locks_name_a_hash_for_everything_and_wheels_need_nothing_else() -> None:
    for name in ("action", "attest", *KMS):
        text = (PROJECT / "requirements" / f"{name}.txt").read_text()
        entries = [line for line in text.splitlines() if line and not line.startswith((" ", "#"))]
        assert entries
        assert all("==" in line and line.endswith("\\") for line in entries)
        assert "://" not in text


def test_it_stays_small_enough_to_be_read() -> None:
    assert len((PROJECT / "scripts" / "bootstrap").read_text().splitlines()) < 90
