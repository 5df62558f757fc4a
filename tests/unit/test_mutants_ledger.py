"""What a signer reads when their own machine refuses, and where the machine keeps what it knows."""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from tuf.api.metadata import Metadata, Root

from keyturn.errors import EnvironmentFault, KeyturnError
from keyturn.signing import DESPITE, PinnedRemote, SignerHome, durable, prove, read_member
from keyturn.signing.config import parse_config
from keyturn.state import render_metadata
from unit.repository import keyid, signer

NOW = datetime(2026, 11, 21, 12, 30, 15, 123456, tzinfo=timezone.utc)
URL = "https://example.org/acme/updates"
FIRST, SECOND, THIRD = "11" * 32, "22" * 32, "33" * 32


@pytest.fixture
def home(tmp_path: Path) -> SignerHome:
    return SignerHome(tmp_path / "home")


@pytest.fixture
def remote(home: SignerHome) -> PinnedRemote:
    return home.remote(URL)


@pytest.fixture
def far_from_utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "XXX-5")
        time.tzset()
        yield
    time.tzset()


def root_file(days: int = 365) -> bytes:
    return render_metadata(Metadata(Root(expires=NOW.replace(microsecond=0) + timedelta(days=days))))


def refusal(call: Callable[[], object]) -> KeyturnError:
    with pytest.raises(KeyturnError) as caught:
        call()
    return caught.value


def record(remote: PinnedRemote, digest: str, *, despite: str = "") -> None:
    remote.record("targets", 2, digest, when=NOW, event="sign/release-1", despite=despite)


# What a refusal says


def test_another_root_is_refused_with_both_digests_and_the_way_out(remote: PinnedRemote) -> None:
    held = remote.write_pin(root_file())
    other = SignerHome(remote.directory / "elsewhere").remote(URL).write_pin(root_file(366))

    error = refusal(lambda: remote.write_pin(root_file(366)))

    assert error.what == f"is pinned to the root {held.digest}, and this one is {other.digest}"
    assert error.where == URL
    assert error.todo.startswith("Stop, and ask the other signers which of the two is theirs")
    assert error.todo.endswith(f"move {remote.directory} away yourself.")


def test_what_cannot_be_pinned_is_said_of_the_remote(remote: PinnedRemote) -> None:
    assert refusal(lambda: remote.write_pin(b"{}")).where == URL


def test_a_role_that_went_back_is_refused_with_both_versions(remote: PinnedRemote) -> None:
    remote.note_seen({"targets": 7})

    assert refusal(lambda: remote.check_seen("targets", 6)).to_dict() == {
        "reason": "went-back",
        "what": "the role targets went back from version 7, which was seen here before, to 6",
        "where": URL,
        "todo": "Do not sign. Somebody has set the remote back, or you look at an old copy of it.",
    }


def test_a_second_payload_is_refused_with_every_earlier_one_and_the_words(remote: PinnedRemote) -> None:
    record(remote, FIRST)
    record(remote, SECOND, despite=DESPITE)

    assert refusal(lambda: record(remote, THIRD)).to_dict() == {
        "reason": "ledger",
        "what": "you have signed another payload of targets 2 already: "
        f"{FIRST} on 2026-11-21T12:30:15Z in sign/release-1; "
        f"{SECOND} on 2026-11-21T12:30:15Z in sign/release-1. This one is {THIRD}",
        "where": URL,
        "todo": "A signature cannot be withdrawn: whoever holds the first one can still use it. "
        f"If both may exist, type: {DESPITE}",
    }


ENTRY = {
    "role": "targets",
    "version": 1,
    "payload-sha256": FIRST,
    "when": "2026-11-21T12:30:15Z",
    "event": "sign/x",
}


@pytest.mark.parametrize(
    ("name", "held", "what"),
    [
        ("seen.json", {"versions": {}}, "it does not hold exactly 'format' and 'versions'"),
        ("seen.json", {"format": 2, "versions": {}}, "its format is not 1"),
        ("seen.json", {"format": 1, "versions": []}, "'versions' is not an object"),
        ("seen.json", {"format": 1, "versions": {"x": 0}}, "a version is not a positive whole number"),
        ("ledger.json", {"format": 1}, "it does not hold exactly 'format' and 'entries'"),
        ("ledger.json", {"format": 1, "entries": {}}, "'entries' is not a list"),
        ("ledger.json", {"format": 1, "entries": [{}]}, "an entry has not the five fields of an entry"),
        (
            "ledger.json",
            {"format": 1, "entries": [{**ENTRY, "event": 1}]},
            "an entry's role, time or event is not text",
        ),
        (
            "ledger.json",
            {"format": 1, "entries": [{**ENTRY, "version": 0}]},
            "an entry's version is not a positive whole number",
        ),
        (
            "ledger.json",
            {"format": 1, "entries": [{**ENTRY, "payload-sha256": "x"}]},
            "an entry's payload digest is not 64 hexadecimal digits",
        ),
    ],
)
def test_a_damaged_file_says_how_and_what_to_do(
    remote: PinnedRemote, name: str, held: object, what: str
) -> None:
    remote.directory.mkdir(parents=True)
    place = remote.directory / name
    place.write_text(json.dumps(held))

    assert refusal(remote.seen if name == "seen.json" else remote.ledger).to_dict() == {
        "reason": "damaged",
        "what": f"is damaged: {what}",
        "where": str(place),
        "todo": "Bring it back from a backup. No empty one takes its place: it guards what you sign.",
    }


def test_a_file_that_says_a_thing_twice_is_damaged(remote: PinnedRemote) -> None:
    remote.directory.mkdir(parents=True)
    (remote.directory / "seen.json").write_text('{"format": 1, "versions": {"x": 1, "x": 2}}')

    assert refusal(remote.seen).what == "is damaged: one object has a key twice"


def test_a_damaged_pin_says_how(remote: PinnedRemote) -> None:
    remote.directory.mkdir(parents=True)
    place = remote.directory / "root.json"
    place.write_bytes(render_metadata(Metadata(Root(version=2, expires=NOW.replace(microsecond=0)))))

    assert refusal(remote.pin).what == "is damaged: it is root 2, not root 1"
    place.write_bytes(b"{")
    assert refusal(remote.pin).what.startswith("is damaged: not readable as JSON")


def test_what_is_kept_can_be_read_by_a_person(remote: PinnedRemote) -> None:
    remote.note_seen({"targets": 2, "root": 1})

    assert (remote.directory / "seen.json").read_text() == (
        '{\n "format": 1,\n "versions": {\n  "root": 1,\n  "targets": 2\n }\n}\n'
    )


def test_settings_that_mean_nothing_are_answered_with_an_example() -> None:
    error = refusal(lambda: parse_config(b"key = 1", where="config.toml"))

    assert error.todo == 'It may say: keys = ["file:PATH"] and modules = ["PATH"].'


def test_a_proof_that_proves_nothing_is_answered_with_how_to_make_one() -> None:
    vectors = Path(__file__).parents[1] / "vectors" / "signature-block"
    pub = (vectors / "alice.pub").read_bytes()
    proof = (vectors / "alice.proof").read_bytes()
    error = refusal(lambda: read_member("bob", pub, proof, "acme-updates"))

    assert error.todo == "Its owner makes both files anew with 'keyturn join'."


def test_a_proof_by_another_key_names_it() -> None:
    vectors = Path(__file__).parents[1] / "vectors" / "signature-block"
    proof = prove(signer("bob"), "acme-updates", "alice").encode()
    error = refusal(lambda: read_member("alice", (vectors / "alice.pub").read_bytes(), proof, "acme-updates"))

    assert error.what == f"is by the key {keyid('bob')[:8]}..., which is not the one in the .pub file"


# Where things are


@pytest.mark.usefixtures("far_from_utc")
def test_an_entry_s_time_is_utc_wherever_the_machine_stands(remote: PinnedRemote) -> None:
    record(remote, FIRST)

    (entry,) = remote.ledger()
    assert entry.when == NOW.replace(microsecond=0)


def test_a_path_is_meant_from_where_the_person_stands(home: SignerHome, tmp_path: Path) -> None:
    assert home.remote("updates", base=tmp_path).url == f"file://{(tmp_path / 'updates').resolve()}"


def test_a_path_that_is_not_unicode_has_a_place_of_its_own(home: SignerHome) -> None:
    one, other = home.remote("/srv/\udcff"), home.remote("/srv/\udcfe")

    assert one.directory != other.directory


def test_other_transports_are_called_by_their_own_urls(remote: PinnedRemote) -> None:
    assert [other.url for other in remote.others] == ["ssh://example.org/acme/updates"]


def test_every_remote_that_is_pinned_to_a_root_is_found_and_no_other(home: SignerHome) -> None:
    names = ("https://a.example/x", "https://b.example/x", "https://c.example/x")
    first, second, third = (home.remote(name) for name in names)
    pin = first.write_pin(root_file())
    third.write_pin(root_file())
    second.write_pin(root_file(366))
    home.remote("https://d.example/x").note_seen({"root": 1})
    (home.directory / "pins" / "a file").touch()

    found = home.pinned_to(pin.digest)

    assert [one.directory for one in found] == sorted([first.directory, third.directory])
    assert [one.url for one in found] == [str(one.directory) for one in found]
    assert home.pinned_to("5a" * 32) == ()


def test_nothing_is_pinned_where_nothing_was_ever_written(home: SignerHome) -> None:
    assert home.pinned_to("5a" * 32) == ()


def test_pins_that_cannot_be_listed_are_a_fault(home: SignerHome, monkeypatch: pytest.MonkeyPatch) -> None:
    home.remote(URL).write_pin(root_file())

    def refuse(path: Path) -> Iterator[Path]:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)
    error = refusal(lambda: home.pinned_to("5a" * 32))

    assert isinstance(error, EnvironmentFault)
    assert error.what == "cannot be read: Permission denied"
    assert error.where == str(home.directory / "pins")


# Files that are whole or not there


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    error = refusal(lambda: durable.read(tmp_path))

    assert error.where == str(tmp_path)
    assert error.what.startswith("cannot be read: ")


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    place = tmp_path / "missing" / "ledger.json"
    error = refusal(lambda: durable.write(place, b""))

    assert error.where == str(place)
    assert error.what.startswith("cannot be written: ")


def test_a_file_is_made_beside_the_one_that_it_replaces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A rename between two file systems is none: the new file must never begin anywhere else.
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))

    durable.write(tmp_path / "ledger.json", b"whole")

    assert (tmp_path / "ledger.json").read_bytes() == b"whole"


def test_a_place_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "taken").touch()
    place = tmp_path / "taken" / "home"
    with pytest.raises(EnvironmentFault) as caught, durable.locked(place):
        pass

    assert caught.value.where == str(place)
    assert caught.value.what.startswith("cannot be used: ")


def test_a_lock_that_cannot_be_taken_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(descriptor: int) -> None:
        os.fstat(descriptor)
        raise OSError(37, "No locks available")

    monkeypatch.setattr(durable, "_lock", refuse)
    with pytest.raises(EnvironmentFault) as caught, durable.locked(tmp_path):
        pass

    assert caught.value.where == str(tmp_path)
    assert caught.value.what == "cannot be locked: No locks available"


def test_a_directory_that_somebody_else_makes_meanwhile_is_as_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    real, first_look = Path.is_dir, iter([False])
    monkeypatch.setattr(Path, "is_dir", lambda path: next(first_look, True) if path == home else real(path))

    with durable.locked(home):
        assert (home / "lock").exists()


# Two at once


def test_nobody_signs_by_one_transport_while_somebody_signs_by_another(
    home: SignerHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    https, ssh = home.remote(URL), home.remote("git@example.org:acme/updates.git")
    real, tried = durable.write, []

    def watched(path: Path, data: bytes) -> None:
        for remote in (https, ssh):
            with (remote.directory / "lock").open("rb") as lock, pytest.raises(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        tried.append(path.name)
        real(path, data)

    monkeypatch.setattr(durable, "write", watched)
    https.write_pin(root_file())
    record(ssh, FIRST)

    assert tried == ["root.json", "ledger.json"]
