"""What a signer's machine remembers: pin, versions seen, ledger, settings."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tuf.api.metadata import Metadata, Root, Targets

from keyturn.errors import EnvironmentFault, KeyturnError, RefusedError, UsageError
from keyturn.signing import DESPITE, Config, LedgerEntry, PinnedRemote, SignerHome, durable
from keyturn.signing import config as config_module
from keyturn.signing.config import parse_config
from keyturn.state import RoleFile, render_metadata

NOW = datetime(2026, 11, 21, 12, 30, 15, 123456, tzinfo=timezone.utc)
URL = "https://example.org/acme/updates"
FIRST, SECOND = "11" * 32, "22" * 32


@pytest.fixture
def remote(tmp_path: Path) -> PinnedRemote:
    return SignerHome(tmp_path / "home").remote(URL)


def root_file(version: int = 1, days: int = 365) -> bytes:
    return render_metadata(
        Metadata(Root(version=version, expires=NOW.replace(microsecond=0) + timedelta(days=days)))
    )


def refusal(call: Callable[[], object]) -> KeyturnError:
    with pytest.raises(KeyturnError) as caught:
        call()
    return caught.value


def record(remote: PinnedRemote, digest: str, *, version: int = 2, despite: str = "") -> None:
    remote.record("targets", version, digest, when=NOW, event="sign/release-1", despite=despite)


# Where things are


def test_a_remote_s_directory_is_named_by_the_digest_of_its_normalised_url(tmp_path: Path) -> None:
    home = SignerHome(tmp_path)

    remote = home.remote("https://me:secret@Example.org/acme/updates.git/")

    assert remote.url == URL
    assert remote.directory == tmp_path / "pins" / hashlib.sha256(URL.encode()).hexdigest()


def test_looking_makes_nothing(tmp_path: Path) -> None:
    remote = SignerHome(tmp_path / "home").remote(URL)

    assert (remote.pin(), dict(remote.seen()), remote.ledger()) == (None, {}, ())
    remote.check("targets", 1, FIRST)
    remote.check_seen("targets", 1)
    assert SignerHome(tmp_path / "home").config() == Config()
    assert list(tmp_path.iterdir()) == []


def test_directories_and_files_are_for_their_owner_alone(tmp_path: Path, remote: PinnedRemote) -> None:
    remote.write_pin(root_file())
    remote.note_seen({"root": 1})
    record(remote, FIRST)

    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "home").rglob("*")}
    assert {modes[path] for path in modes if path.is_dir()} == {0o700}
    assert {modes[path] for path in modes if path.is_file()} == {0o600}
    assert sorted(path.name for path in remote.directory.iterdir()) == [
        "ledger.json",
        "lock",
        "root.json",
        "seen.json",
    ]


# Pin


def test_a_pin_is_the_root_as_it_was_and_its_digest(remote: PinnedRemote) -> None:
    remote.write_pin(root_file())

    pin = remote.pin()

    assert pin is not None
    assert pin.data == root_file()
    assert pin.digest == RoleFile.parse("root", "x", root_file()).digest


def test_another_root_is_refused_and_the_pin_stays(remote: PinnedRemote) -> None:
    first = remote.write_pin(root_file())

    error = refusal(lambda: remote.write_pin(root_file(days=366)))

    assert (type(error), error.reason) == (RefusedError, "other-root")
    assert first.digest in str(error)
    assert remote.pin() == first


def test_the_same_root_with_more_signatures_is_the_same_pin(remote: PinnedRemote) -> None:
    first = remote.write_pin(root_file())
    signed = json.loads(root_file())
    signed["signatures"] = [{"keyid": "k", "sig": "00"}]

    assert remote.write_pin(json.dumps(signed).encode()) == first
    assert remote.pin() == first


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        root_file(version=2),
        render_metadata(Metadata(Targets(version=1, expires=NOW.replace(microsecond=0)))),
    ],
    ids=["empty", "no metadata", "root 2", "targets"],
)
def test_only_a_root_1_is_pinned(remote: PinnedRemote, data: bytes) -> None:
    assert refusal(lambda: remote.write_pin(data)).reason == "bad-metadata"
    assert remote.pin() is None


# Versions seen


def test_versions_only_grow(remote: PinnedRemote) -> None:
    remote.note_seen({"root": 1, "targets": 5})
    remote.note_seen({"targets": 4, "plugins": 1})

    assert remote.seen() == {"root": 1, "targets": 5, "plugins": 1}


def test_a_lower_version_went_back(remote: PinnedRemote) -> None:
    remote.note_seen({"targets": 5})

    remote.check_seen("targets", 5)
    remote.check_seen("targets", 6)
    remote.check_seen("plugins", 1)
    error = refusal(lambda: remote.check_seen("targets", 4))

    assert (type(error), error.reason) == (RefusedError, "went-back")


def test_what_is_seen_again_is_not_written_again(remote: PinnedRemote) -> None:
    remote.note_seen({"root": 1})
    before = (remote.directory / "seen.json").stat().st_ino

    remote.note_seen({"root": 1})

    assert (remote.directory / "seen.json").stat().st_ino == before


# Ledger


def test_a_second_payload_for_a_version_is_refused(remote: PinnedRemote) -> None:
    record(remote, FIRST)

    for call in (lambda: remote.check("targets", 2, SECOND), lambda: record(remote, SECOND)):
        error = refusal(call)
        assert (type(error), error.reason) == (RefusedError, "ledger")
        assert FIRST in str(error)
        assert "2026-11-21T12:30:15Z" in str(error)
        assert "sign/release-1" in str(error)
    assert [entry.payload_sha256 for entry in remote.ledger()] == [FIRST]


def test_the_same_payload_may_be_signed_again_and_stands_once(remote: PinnedRemote) -> None:
    record(remote, FIRST)

    remote.check("targets", 2, FIRST)
    record(remote, FIRST)

    assert len(remote.ledger()) == 1


def test_another_version_or_role_is_another_matter(remote: PinnedRemote) -> None:
    record(remote, FIRST)

    remote.check("targets", 3, SECOND)
    remote.check("root", 2, SECOND)


@pytest.mark.parametrize("words", ["yes", "sign a second payload ", "SIGN A SECOND PAYLOAD"])
def test_no_other_words_permit_a_second_payload(remote: PinnedRemote, words: str) -> None:
    record(remote, FIRST)

    assert refusal(lambda: record(remote, SECOND, despite=words)).reason == "ledger"


def test_the_words_permit_a_second_payload_and_both_are_remembered(remote: PinnedRemote) -> None:
    record(remote, FIRST)

    remote.check("targets", 2, SECOND, despite=DESPITE)
    record(remote, SECOND, despite="sign a second payload")

    assert [entry.payload_sha256 for entry in remote.ledger()] == [FIRST, SECOND]
    error = refusal(lambda: remote.check("targets", 2, "33" * 32))
    assert FIRST in str(error)
    assert SECOND in str(error)


def test_an_entry_is_read_as_it_was_written(remote: PinnedRemote) -> None:
    record(remote, FIRST)

    assert remote.ledger() == (
        LedgerEntry("targets", 2, FIRST, NOW.replace(microsecond=0), "sign/release-1"),
    )


def test_remotes_have_ledgers_of_their_own(tmp_path: Path, remote: PinnedRemote) -> None:
    record(remote, FIRST)

    SignerHome(tmp_path / "home").remote("https://example.org/acme/other").check("targets", 2, SECOND)


# Damage, crashes, and two at once

DAMAGE = {
    "root.json": [b"", b"{}", b"\xff", root_file(version=2)],
    "seen.json": [
        b"",
        b"[]",
        b"\xff",
        b'{"format": 1}',
        b'{"format": 2, "versions": {}}',
        b'{"format": true, "versions": {}}',
        b'{"format": 1, "versions": []}',
        b'{"format": 1, "versions": {"root": 0}}',
        b'{"format": 1, "versions": {"root": "1"}}',
        b'{"format": 1, "versions": {"root": 1, "root": 2}}',
        b"[" * 200_000,
    ],
    "ledger.json": [
        b"",
        b'{"format": 1, "entries": {}}',
        b'{"format": 1, "entries": [{}]}',
        *(
            json.dumps(
                {
                    "format": 1,
                    "entries": [
                        {
                            "role": "targets",
                            "version": 1,
                            "payload-sha256": FIRST,
                            "when": "2026-11-21T12:30:15Z",
                            "event": "sign/x",
                            **wrong,
                        }
                    ],
                }
            ).encode()
            for wrong in (
                {"role": 1},
                {"version": 0},
                {"version": True},
                {"payload-sha256": "11"},
                {"payload-sha256": 11},
                {"when": "yesterday"},
                {"when": 1},
                {"event": None},
                {"more": 1},
            )
        ),
    ],
}


@pytest.mark.parametrize(
    ("name", "data"),
    [
        pytest.param(name, data, id=f"{name}-{number}")
        for name, cases in DAMAGE.items()
        for number, data in enumerate(cases)
    ],
)
def test_a_damaged_file_is_an_error_and_is_left_as_it_is(
    remote: PinnedRemote, name: str, data: bytes
) -> None:
    remote.directory.mkdir(parents=True)
    path = remote.directory / name
    path.write_bytes(data)
    calls: dict[str, list[Callable[[], object]]] = {
        "root.json": [remote.pin, lambda: remote.write_pin(root_file())],
        "seen.json": [
            remote.seen,
            lambda: remote.check_seen("root", 1),
            lambda: remote.note_seen({"root": 1}),
        ],
        "ledger.json": [
            remote.ledger,
            lambda: remote.check("targets", 2, FIRST),
            lambda: record(remote, FIRST),
            lambda: record(remote, FIRST, despite=DESPITE),
        ],
    }

    for call in calls[name]:
        error = refusal(call)
        assert (type(error), error.reason, error.where) == (RefusedError, "damaged", str(path))
    assert path.read_bytes() == data


@pytest.mark.parametrize("name", ["root.json", "seen.json", "ledger.json"])
def test_a_file_that_cannot_be_opened_is_a_fault(remote: PinnedRemote, name: str) -> None:
    (remote.directory / name).mkdir(parents=True)
    call = {"root.json": remote.pin, "seen.json": remote.seen, "ledger.json": remote.ledger}[name]

    assert isinstance(refusal(call), EnvironmentFault)


def test_a_write_that_fails_leaves_the_old_file_and_no_other(
    remote: PinnedRemote, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(remote, FIRST)
    names = sorted(path.name for path in remote.directory.iterdir())

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    error = refusal(lambda: record(remote, SECOND, version=3))

    assert isinstance(error, EnvironmentFault)
    assert "No space left" in str(error)
    assert [entry.payload_sha256 for entry in remote.ledger()] == [FIRST]
    assert sorted(path.name for path in remote.directory.iterdir()) == names


def test_an_entry_is_on_the_disk_when_record_returns(
    remote: PinnedRemote, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[bool] = []
    real = os.fsync

    def watched(descriptor: int) -> None:
        synced.append(stat.S_ISDIR(os.fstat(descriptor).st_mode))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", watched)

    record(remote, FIRST)

    assert synced == [False, True], "the file before the rename, the directory after it"


def test_a_directory_that_cannot_be_made_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "home").touch()

    assert isinstance(
        refusal(lambda: record(SignerHome(tmp_path / "home").remote(URL), FIRST)), EnvironmentFault
    )


def test_a_lock_that_cannot_be_taken_is_a_fault(
    remote: PinnedRemote, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(descriptor: int) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(durable, "_lock", refuse)

    assert "No locks available" in str(refusal(lambda: record(remote, FIRST)))


def test_of_two_payloads_signed_at_once_one_is_refused(remote: PinnedRemote) -> None:
    barrier = threading.Barrier(2)
    refused: list[str] = []

    def sign(digest: str) -> None:
        remote.check("targets", 2, digest)
        barrier.wait()
        try:
            record(remote, digest)
        except RefusedError as error:
            refused.append(error.reason)

    threads = [threading.Thread(target=sign, args=(digest,)) for digest in (FIRST, SECOND)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert refused == ["ledger"]
    assert len(remote.ledger()) == 1


SIGNS_MANY = """
import sys
from datetime import datetime, timezone
from pathlib import Path
from keyturn.signing import SignerHome
remote = SignerHome(Path(sys.argv[1])).remote(sys.argv[2])
print("ready", flush=True)
sys.stdin.readline()
for version in range(1, 16):
    remote.record(sys.argv[3], version, "11" * 32, when=datetime.now(timezone.utc), event="sign/x")
    remote.note_seen({sys.argv[3]: version})
"""


def test_two_processes_at_once_lose_no_entry(tmp_path: Path, remote: PinnedRemote) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", SIGNS_MANY, str(tmp_path / "home"), URL, role],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for role in ("targets", "plugins")
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        process.communicate()

    assert [process.returncode for process in processes] == [0, 0]
    assert {(entry.role, entry.version) for entry in remote.ledger()} == {
        (role, version) for role in ("targets", "plugins") for version in range(1, 16)
    }
    assert remote.seen() == {"targets": 15, "plugins": 15}


# Settings


def test_settings_are_read(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('keys = ["file:a", "file:b"]\nmodules = ["/usr/lib/p11.so"]\n')

    assert SignerHome(tmp_path).config() == Config(keys=("file:a", "file:b"), modules=("/usr/lib/p11.so",))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"keys = [", "not TOML"),
        (b"\xff", "not TOML"),
        (b"x = " + b"[" * 100_000, "not TOML"),
        (b"key = 1", "no setting 'key'"),
        (b'keys = "file:a"', "'keys' is not a list of strings"),
        (b"keys = [1]", "'keys' is not a list of strings"),
        (b'modules = [""]', "'modules' is not a list of strings"),
    ],
    ids=lambda v: str(v)[:40],
)
def test_settings_that_mean_nothing_are_refused(tmp_path: Path, text: bytes, says: str) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(text)

    error = refusal(SignerHome(tmp_path).config)

    assert (type(error), error.reason, error.where) == (UsageError, "config", str(path))
    assert says in str(error)


def test_a_missing_toml_parser_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> object:
        raise ImportError(name)

    monkeypatch.setattr(config_module.importlib, "import_module", missing)

    assert "keyturn[repo]" in refusal(lambda: parse_config(b"", where="x")).todo


# No bytes raise anything else

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just("2026-11-21T12:30:15Z"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["format", "versions", "entries", "role", "version", "payload-sha256", "when", "event"]
            ),
            inner,
            max_size=6,
        )
    ),
    max_leaves=12,
)
files = st.binary(max_size=200) | json_values.map(lambda value: json.dumps(value).encode())


@given(st.sampled_from(["root.json", "seen.json", "ledger.json", "config.toml"]), files)
def test_no_bytes_raise_anything_but_our_error(
    tmp_path_factory: pytest.TempPathFactory, name: str, data: bytes
) -> None:
    home = SignerHome(tmp_path_factory.mktemp("home"))
    remote = home.remote(URL)
    remote.directory.mkdir(parents=True)
    (home.directory if name == "config.toml" else remote.directory).joinpath(name).write_bytes(data)

    for call in (remote.pin, remote.seen, remote.ledger, home.config):
        try:
            call()
        except (RefusedError, UsageError) as error:
            assert error.where.endswith(name)


@given(
    st.lists(
        st.tuples(
            st.text(max_size=10),
            st.integers(1, 2**60),
            st.sampled_from([FIRST, SECOND]),
            st.text(max_size=10),
        ),
        max_size=4,
    )
)
def test_what_is_recorded_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, signed: list[tuple[str, int, str, str]]
) -> None:
    remote = SignerHome(tmp_path_factory.mktemp("home")).remote(URL)

    for role, version, digest, event in signed:
        remote.record(role, version, digest, when=NOW, event=event, despite=DESPITE)

    assert {(e.role, e.version, e.payload_sha256) for e in remote.ledger()} == {item[:3] for item in signed}


# One repository by two transports


def both(tmp_path: Path) -> tuple[PinnedRemote, PinnedRemote]:
    home = SignerHome(tmp_path)
    return home.remote("git@example.org:acme/updates.git"), home.remote("https://example.org/acme/updates")


def test_a_pin_holds_by_ssh_and_by_https(tmp_path: Path) -> None:
    ssh, https = both(tmp_path)
    pinned = ssh.write_pin(root_file())
    assert https.pin() == pinned
    assert refusal(lambda: https.write_pin(root_file(days=1))).reason == "other-root"
    assert https.write_pin(root_file()) == pinned


def test_another_transport_is_no_way_around_the_ledger(tmp_path: Path) -> None:
    ssh, https = both(tmp_path)
    record(ssh, FIRST)
    assert refusal(lambda: record(https, SECOND)).reason == "ledger"
    assert refusal(lambda: https.check("targets", 2, SECOND)).reason == "ledger"
    https.check("targets", 2, FIRST)


def test_another_transport_cannot_take_the_signer_back(tmp_path: Path) -> None:
    ssh, https = both(tmp_path)
    ssh.note_seen({"targets": 3})
    assert refusal(lambda: https.check_seen("targets", 2)).reason == "went-back"
    https.check_seen("targets", 3)


def test_another_repository_of_the_host_has_a_memory_of_its_own(tmp_path: Path) -> None:
    home = SignerHome(tmp_path)
    home.remote("git@example.org:acme/updates.git").write_pin(root_file())
    assert home.remote("https://example.org/acme/other").pin() is None
