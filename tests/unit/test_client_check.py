from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from http import HTTPStatus
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tuf.api.metadata import TargetFile

from keyturn.client import Client, Stale, Update, errors
from keyturn.client.releases import newest, parse_version, release
from keyturn.errors import UsageError
from unit.clientrepo import ALICE, MALLORY, NOW, ONLINE, World, signer, world

TREE = "a" * 64


@pytest.fixture
def here(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        made.repository.add_archive("1.0", b"one", TREE)
        made.repository.publish()
        yield made


def offered(world: World, platform: str = "", app: str = "acme", url: str = "") -> str | None:
    directory = world.home / "stores" / app
    found = world.client(platform=platform, app=app, url=url, directory=directory).check().newest
    return found.version if found else None


# What a check says


def test_a_check_says_what_there_is_and_what_it_rests_on(here: World) -> None:
    found = here.client().check()

    assert found.current is None
    assert found.newest == Update(
        app="acme",
        platform="",
        version="1.0",
        path="acme-1.0.tar.gz",
        size=3,
        sha256="7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed",
        tree=TREE,
    )
    assert found.stale is None
    held = found.held
    assert (held.root, held.timestamp, held.snapshot, held.targets) == (1, 2, 2, 2)
    assert held.expires == NOW + timedelta(days=3)


def test_the_url_may_come_with_or_without_its_last_slash(here: World) -> None:
    assert offered(here, url=here.site.url.rstrip("/")) == "1.0"


def test_an_app_that_nothing_is_signed_for_is_said_so(here: World) -> None:
    with pytest.raises(errors.NoReleaseError, match="no release of acne is offered") as refusal:
        here.client(app="acne").check()
    assert (refusal.value.reason, refusal.value.where) == ("no-release", here.site.url)


def test_a_platform_that_nothing_is_signed_for_is_said_so(here: World) -> None:
    here.repository.targets.targets.clear()
    here.repository.add_archive("1.0", b"one", TREE, platform="linux")
    here.repository.publish()
    with pytest.raises(errors.NoReleaseError, match="no release of acme on beos is offered"):
        here.client(platform="beos").check()


@pytest.mark.parametrize(
    ("app", "platform"), [("", ""), ("a/b", ""), ("-a", ""), ("a" * 65, ""), ("acme", "a b")]
)
def test_a_name_that_is_none_is_refused_at_once(here: World, app: str, platform: str) -> None:
    with pytest.raises(UsageError):
        here.client(app=app, platform=platform)


# Which release is the newest


def test_the_newest_is_the_highest_and_not_the_last_by_name(here: World) -> None:
    for version in ("9.0", "10.0", "2.0"):
        here.repository.add_archive(version, version.encode(), TREE)
    here.repository.publish()

    assert offered(here) == "10.0"


def test_versions_are_in_normal_form(here: World) -> None:
    here.repository.add_archive("2026.11.04", b"x", TREE)
    here.repository.publish()

    assert offered(here) == "2026.11.4"


@pytest.mark.parametrize("version", ["2.0a1", "2.0b2", "2.0rc1", "2.0.dev3", "2.0.post1.dev2"])
def test_what_is_not_final_is_not_offered(here: World, version: str) -> None:
    here.repository.add_archive(version, b"x", TREE)
    here.repository.publish()

    assert offered(here) == "1.0"


def test_a_post_release_is_offered(here: World) -> None:
    here.repository.add_archive("1.0.post1", b"x", TREE)
    here.repository.publish()

    assert offered(here) == "1.0.post1"


def test_file_names_mean_nothing(here: World) -> None:
    here.repository.add_archive("2.0", b"x", TREE, path="other/thing-0.1-windows.zip")
    here.repository.add_target("acme-99.0.tar.gz", b"y")
    here.repository.publish()

    assert offered(here) == "2.0"


def test_another_app_is_another_app(here: World) -> None:
    here.repository.add_target("b", b"x", {"app": "other", "platform": "", "version": "3.0", "tree": TREE})
    here.repository.publish()

    assert offered(here) == "1.0"
    assert offered(here, app="other") == "3.0"


def test_a_client_gets_its_own_platform_and_what_is_for_all(here: World) -> None:
    here.repository.add_archive("2.0", b"l", "b" * 64, platform="linux")
    here.repository.add_archive("3.0", b"w", "c" * 64, platform="windows")
    here.repository.publish()

    assert offered(here, platform="linux") == "2.0"
    assert offered(here, platform="macos") == "1.0"
    assert offered(here) == "1.0"


def test_the_own_platform_goes_before_all(here: World) -> None:
    here.repository.add_archive("1.0", b"l", "b" * 64, platform="linux")
    here.repository.publish()

    found = here.client(platform="linux").check().newest

    assert found is not None
    assert found.platform == "linux"


def test_a_platform_that_is_missing_means_all(here: World) -> None:
    here.repository.add_target("b", b"x", {"app": "acme", "version": "3.0", "tree": TREE})
    here.repository.publish()

    assert offered(here, platform="linux") == "3.0"


@pytest.mark.parametrize(
    "said",
    [
        7,
        [],
        "acme",
        {},
        {"app": "acme", "platform": "", "tree": TREE},
        {"app": "acme", "platform": "", "version": "9.0"},
        {"app": "acme", "platform": None, "version": "9.0", "tree": TREE},
        {"app": "acme", "platform": "", "version": 9, "tree": TREE},
        {"app": ["acme"], "platform": "", "version": "9.0", "tree": TREE},
        {"app": "acme", "platform": "", "version": "nine", "tree": TREE},
        {"app": "acme", "platform": "", "version": "../9.0", "tree": TREE},
        {"app": "acme", "platform": "", "version": "9" * 5000, "tree": TREE},
        {"app": "acme", "platform": "", "version": "9.0", "tree": TREE.upper()},
        {"app": "acme", "platform": "", "version": "9.0", "tree": "a"},
        {"app": "acme", "platform": "", "version": "9.0", "tree": 1},
    ],
)
def test_one_odd_target_does_not_keep_the_app_from_the_others(here: World, said: object) -> None:
    here.repository.add_target("odd.tar.gz", b"odd", said)
    here.repository.publish()

    assert offered(here) == "1.0"


@pytest.mark.parametrize(
    "custom", [None, 1, [], {}, {"user": None}, {"user": {"keyturn": None}}, {"tufup": {}}]
)
def test_a_target_with_another_custom_field_is_no_release(custom: object) -> None:
    target = TargetFile(1, {"sha256": TREE}, "path", {"custom": custom})
    assert release(target) is None


@pytest.mark.parametrize("hashes", [{"sha512": "b" * 128}, {"sha256": "../../evil"}])
def test_a_target_without_a_sha256_is_no_release(hashes: dict[str, str]) -> None:
    said = {"app": "acme", "platform": "", "version": "1.0", "tree": TREE}
    assert release(TargetFile(1, hashes, "path", {"custom": {"user": {"keyturn": said}}})) is None


def test_fields_that_are_not_known_yet_are_no_obstacle(here: World) -> None:
    said = {"app": "acme", "platform": "", "version": "2.0", "tree": TREE, "notes": "new"}
    here.repository.add_target("b", b"x", said)
    here.repository.publish()

    assert offered(here) == "2.0"


def test_one_version_with_two_contents_is_refused_by_name(here: World) -> None:
    here.repository.add_archive("2.0", b"x", "b" * 64, path="x")
    here.repository.add_archive("2.0.0", b"y", "c" * 64, path="y")
    here.repository.publish()

    with pytest.raises(
        errors.BadMetadataError, match=r"version 2.* signed with different contents: x, y"
    ) as refusal:
        here.client().check()
    assert (refusal.value.reason, refusal.value.role) == ("bad-metadata", "targets")


def test_an_old_contested_version_is_no_obstacle(here: World) -> None:
    here.repository.add_archive("1.0", b"x", "b" * 64, path="x")
    here.repository.add_archive("2.0", b"y", TREE)
    here.repository.publish()

    assert offered(here) == "2.0"


def test_the_same_tree_in_two_archives_is_one_release_from_the_smaller(here: World) -> None:
    here.repository.add_archive("2.0", b"much longer", TREE, path="a")
    here.repository.add_archive("2.0", b"x", TREE, path="c")
    here.repository.add_archive("2.0", b"x", TREE, path="b")
    here.repository.publish()

    found = here.client().check().newest

    assert found is not None
    assert found.path == "b"


def update(version: str, tree: str = TREE, platform: str = "") -> Update:
    return Update("acme", platform, version, f"{version}{platform}", 1, TREE, tree)


def test_only_what_is_higher_than_the_current_version_is_offered() -> None:
    signed = [update("1.0"), update("2.0")]
    assert newest(signed, app="acme", platform="", above="1.0", refused=()) == signed[1]
    assert newest(signed, app="acme", platform="", above="2.0", refused=()) is None
    assert newest(signed, app="acme", platform="", above="2.0.0", refused=()) is None
    assert newest(signed, app="acme", platform="", above="3.0", refused=()) is None


def test_a_refused_version_is_not_offered_however_it_is_written() -> None:
    signed = [update("1.0"), update("2.0"), update("3.0")]
    assert newest(signed, app="acme", platform="", above="1.0", refused=("3.0.0",)) == signed[1]
    assert newest(signed, app="acme", platform="", above="1.0", refused=("3.0", "2")) is None


@given(st.text(max_size=80))
def test_whatever_is_a_version_is_a_safe_name_of_a_directory(text: str) -> None:
    version = parse_version(text)
    if version is not None:
        name = str(version)
        assert name == Path(name).name
        assert name.isascii()
        assert name.islower() or not name.isalpha()
        assert not set(name) & set('/\\:*?"<>| ')
        assert name[0].isdigit()
        assert str(parse_version(name)) == name


# A server that lags behind


def go_back(here: World) -> tuple[int, int]:
    """The client holds a timestamp, and the server answers with the one before it."""
    old = (here.repository.directory / "metadata" / "timestamp.json").read_bytes()
    here.repository.renew_timestamp()
    here.client().check()
    here.site.instead["metadata/timestamp.json"] = old
    return here.repository.timestamp.version - 1, here.repository.timestamp.version


def stale_since(here: World) -> datetime | None:
    return here.client().installed().stale_since


def test_a_validly_signed_older_timestamp_is_ignored_and_said_so(here: World) -> None:
    fetched, held = go_back(here)

    found = here.client().check()

    assert found.stale == Stale(fetched, held, NOW, warn=False)
    assert found.stale is not None
    assert found.stale.message == "ignored: older than the one already held"
    assert found.newest is not None
    assert (found.newest.version, found.held.timestamp) == ("1.0", held)
    assert stale_since(here) == NOW


def test_what_was_held_before_is_not_overwritten_by_the_older(here: World) -> None:
    go_back(here)
    before = (here.trust_directory / "timestamp.json").read_bytes()

    here.client().check()

    assert (here.trust_directory / "timestamp.json").read_bytes() == before


def test_a_strict_refresh_refuses_it(here: World) -> None:
    go_back(here)

    with pytest.raises(errors.RollbackError) as refusal:
        here.client().refresh()
    assert (refusal.value.reason, refusal.value.role) == ("rollback", "timestamp")


def test_after_an_hour_it_is_worth_a_warning(here: World) -> None:
    go_back(here)
    here.client().check()

    here.clock.shift(timedelta(hours=1))
    found = here.client().check()
    assert found.stale is not None
    assert not found.stale.warn

    here.clock.shift(timedelta(seconds=1))
    found = here.client().check()
    assert found.stale is not None
    assert found.stale.warn
    assert found.stale.since == NOW


def test_the_hour_begins_anew_once_the_server_has_caught_up(here: World) -> None:
    go_back(here)
    old = dict(here.site.instead)
    here.client().check()
    here.site.instead.clear()
    assert here.client().check().stale is None
    assert stale_since(here) is None

    here.clock.shift(timedelta(hours=2))
    here.site.instead.update(old)
    found = here.client().check()

    assert found.stale is not None
    assert (found.stale.since, found.stale.warn) == (NOW + timedelta(hours=2), False)


def test_a_clock_that_was_set_back_does_not_stop_the_hour(here: World) -> None:
    go_back(here)
    here.client().check()

    here.clock.shift(-timedelta(hours=5))
    found = here.client().check()

    assert found.stale is not None
    assert found.stale.since == NOW - timedelta(hours=5)


def test_a_failed_check_does_not_touch_the_hour(here: World) -> None:
    go_back(here)
    here.client().check()
    here.site.status["metadata/2.root.json"] = HTTPStatus.BAD_GATEWAY
    with pytest.raises(errors.NetworkError):
        here.client().check()
    assert stale_since(here) == NOW


def test_an_older_timestamp_that_is_badly_signed_is_refused_for_that(here: World) -> None:
    fetched, _ = go_back(here)
    here.repository.timestamp.version = fetched
    here.site.instead["metadata/timestamp.json"] = here.repository.sign(here.repository.timestamp, MALLORY)

    with pytest.raises(errors.ThresholdError) as refusal:
        here.client().check()
    assert (refusal.value.reason, refusal.value.role) == ("threshold", "timestamp")


def test_an_older_timestamp_below_a_threshold_of_two_is_refused_for_that(here: World) -> None:
    for role in ("timestamp",):
        here.repository.root.add_key(ALICE.public_key, role)
        here.repository.root.roles[role].threshold = 2
    here.repository.rotate_root()
    here.repository.timestamp.version = 5
    here.repository.write_timestamp(ALICE, ONLINE)
    here.client().check()
    here.repository.timestamp.version = 4
    here.repository.write_timestamp(ONLINE)
    with pytest.raises(errors.ThresholdError):
        here.client().check()

    here.repository.write_timestamp(ONLINE, ALICE)
    assert here.client().check().stale == Stale(4, 5, NOW, warn=False)


def test_a_held_timestamp_that_has_expired_is_an_error(here: World) -> None:
    go_back(here)
    here.clock.shift(timedelta(days=4))

    with pytest.raises(errors.ExpiredError) as refusal:
        here.client().check()
    assert (refusal.value.reason, refusal.value.role) == ("expired", "timestamp")


def test_a_held_timestamp_that_has_expired_is_an_error_where_its_snapshot_is_gone_too(here: World) -> None:
    go_back(here)
    here.clock.shift(timedelta(days=4))
    here.site.status["metadata/2.snapshot.json"] = HTTPStatus.NOT_FOUND

    with pytest.raises(errors.ExpiredError):
        here.client().check()


def test_after_the_online_key_was_replaced_the_held_timestamp_counts_for_nothing(here: World) -> None:
    go_back(here)
    here.site.instead.clear()
    online = signer(9)
    for role in ("snapshot", "timestamp"):
        here.repository.root.revoke_key(ONLINE.public_key.keyid, role)
        here.repository.root.add_key(online.public_key, role)
    here.repository.rotate_root()
    here.repository.write_snapshot(online)
    here.repository.timestamp.version = 1
    here.repository.write_timestamp(online)

    found = here.client().check()

    assert (found.stale, found.held.root, found.held.timestamp) == (None, 2, 1)


def test_the_old_key_makes_no_stale_timestamp_after_its_replacement(here: World) -> None:
    fetched, _ = go_back(here)
    online = signer(9)
    here.repository.root.revoke_key(ONLINE.public_key.keyid, "timestamp")
    here.repository.root.add_key(online.public_key, "timestamp")
    here.repository.rotate_root()

    with pytest.raises(errors.ThresholdError):
        here.client().check()
    assert fetched


def test_an_older_snapshot_is_an_error_also_in_a_check(here: World) -> None:
    here.client().check()
    here.repository.snapshot.version = 1
    here.repository.timestamp.version = 9
    here.repository.write_online()

    with pytest.raises(errors.RollbackError):
        here.client().check()


def test_an_older_timestamp_that_nobody_can_have_signed_is_refused(here: World) -> None:
    fetched, _ = go_back(here)
    data = json.loads(here.site.instead["metadata/timestamp.json"])
    data["signed"]["weight"] = 1.5  # canonical JSON has no fractions
    here.site.instead["metadata/timestamp.json"] = json.dumps(data).encode()

    with pytest.raises(errors.BadMetadataError):
        here.client().check()
    assert fetched


@pytest.mark.parametrize("data", [b"", b"{}", b"garbage"])
def test_a_timestamp_that_is_none_is_refused_although_one_is_held(here: World, data: bytes) -> None:
    go_back(here)
    here.site.instead["metadata/timestamp.json"] = data

    with pytest.raises(errors.BadMetadataError):
        here.client().check()


def test_a_timestamp_without_an_end_is_refused_although_one_is_held(here: World) -> None:
    go_back(here)
    here.site.instead["metadata/timestamp.json"] += b" " * 20_000

    with pytest.raises(errors.HashMismatchError):
        here.client().check()


def test_a_held_timestamp_that_is_damaged_protects_no_more(here: World) -> None:
    fetched, _ = go_back(here)
    (here.trust_directory / "timestamp.json").write_bytes(b"{}")

    found = here.client().check()

    assert (found.stale, found.held.timestamp) == (None, fetched)


def test_the_same_timestamp_again_is_not_stale(here: World) -> None:
    here.client().check()
    assert here.client().check().stale is None


# The package itself


def test_importing_the_client_loads_nothing_of_the_repository_half_and_no_tuf() -> None:
    code = "import sys, json, keyturn.client; print(json.dumps(sorted(sys.modules)))"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, env=environment)

    loaded = json.loads(done.stdout)

    ours = {name.split(".")[1] for name in loaded if name.startswith("keyturn.")}
    assert ours == {"client", "delta", "errors"}
    assert not {"tuf", "securesystemslib", "cryptography", "urllib3"} & set(loaded)


def test_every_error_has_a_reason_of_its_own() -> None:
    family = [
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, (errors.UpdateRefused, errors.UpdateFault))
    ]
    reasons = [
        kind.default_reason for kind in family if kind not in (errors.UpdateRefused, errors.UpdateFault)
    ]
    assert sorted(reasons) == [
        "bad-metadata",
        "busy",
        "disk",
        "expired",
        "hash-mismatch",
        "network",
        "no-previous",
        "no-release",
        "not-found",
        "not-started",
        "rollback",
        "threshold",
        "tree-mismatch",
        "unsafe-archive",
    ]


def test_public_names_are_these() -> None:
    import keyturn.client

    assert Client.__module__ == "keyturn.client.app"
    assert keyturn.client.__all__ == [
        "CheckResult",
        "Client",
        "Held",
        "Installed",
        "Launched",
        "Progress",
        "Stale",
        "Update",
        "errors",
    ]
