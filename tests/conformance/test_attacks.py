"""The attacks that the specification lists (section 1.5.2), each made the way an attacker would.

Where keys are stolen, they are fewer than a threshold of people's keys: that is what TUF promises to survive.
"""

from __future__ import annotations

from datetime import timedelta
from http import HTTPStatus
from pathlib import Path

import pytest
from tuf.api.metadata import TargetFile
from tuf.ngclient import Urllib3Fetcher

from conformance.world import ALICE, BOB, BOTH, CAROL, MALLORY, NOW, Here, key, serve
from keyturn.client import errors
from keyturn.client.trust import Trust

pytestmark = pytest.mark.slow

MIB = 1024 * 1024


def release_file(here: Here, content: bytes, path: str = "app") -> TargetFile:
    target = here.repository.add_target(path, content)
    here.repository.release("targets")
    return target


# Arbitrary software


@BOTH
def test_software_that_nobody_signed_is_not_stored(here: Here) -> None:
    target = release_file(here, b"good")
    here.site.instead[here.repository.target_names(target)[0]] = b"evil"

    assert here.download("app").refusal == ("hash-mismatch", "")
    assert here.got() == {}


def test_software_signed_by_a_stranger_is_refused(here: Here) -> None:
    here.repository.signers["targets"] = (MALLORY, key("friend of mallory"))
    release_file(here, b"evil")

    assert here.download("app").refusal == ("threshold", "targets")
    assert here.got() == {}


# Endless data


@pytest.mark.parametrize(
    ("role", "most"),
    [("2.root", 512_000), ("timestamp", 16_384), ("2.snapshot", 2_000_000), ("2.targets", 5_000_000)],
)
def test_metadata_without_an_end_is_not_read_to_it(here: Here, role: str, most: int) -> None:
    here.repository.renew("root")
    release_file(here, b"good")
    name = f"metadata/{role}.json"
    here.site.endless.add(name)

    assert here.refresh().refusal == ("hash-mismatch", role.rpartition(".")[2])
    # One piece of the download more, and what the network holds on its way.
    assert here.site.sent[name] < most + 32 * MIB


@BOTH
def test_a_target_without_an_end_is_read_as_far_as_was_signed(here: Here) -> None:
    target = release_file(here, b"good")
    name = here.repository.target_names(target)[0]
    here.site.endless.add(name)

    assert here.download("app").refusal == ("hash-mismatch", "")
    assert here.got() == {}
    assert here.site.sent[name] < 32 * MIB


# Extraneous dependencies


def test_a_role_cannot_add_what_was_not_delegated_to_it(here: Here) -> None:
    """Mallory signs plugins, and would like the app to need a library of hers."""
    here.repository.delegate("targets", "plugins", paths=["plugins/*"], owners=(MALLORY,))
    for path in ("plugins/good", "libraries/evil", "plugins/deeper/evil"):
        here.repository.add_target(path, b"content", role="plugins")
    here.repository.release("plugins", "targets")

    assert here.download("plugins/good").done
    assert here.download("libraries/evil").refusal == ("no-target", "")
    assert here.download("plugins/deeper/evil").refusal == ("no-target", "")
    assert here.got() == {"plugins/good": b"content"}


def test_a_role_cannot_delegate_more_than_it_has(here: Here) -> None:
    here.repository.delegate("targets", "plugins", paths=["plugins/*"], owners=(MALLORY,))
    here.repository.delegate("plugins", "more", paths=["libraries/*"], owners=(MALLORY,))
    here.repository.add_target("libraries/evil", b"content", role="more")
    here.repository.release("more", "plugins", "targets")

    assert here.download("libraries/evil").refusal == ("no-target", "")
    assert "more" not in here.site.asked_roles()


def test_a_role_cannot_overrule_its_delegator(here: Here) -> None:
    here.repository.delegate("targets", "plugins", owners=(MALLORY,))
    here.repository.add_target("app", b"good")
    here.repository.add_target("app", b"evil", role="plugins")
    here.repository.release("plugins", "targets")

    assert here.download("app").done
    assert here.got() == {"app": b"good"}
    assert "plugins" not in here.site.asked_roles()


# Fast-forward


def fast_forward(here: Here, *roles: str) -> None:
    """Whoever stole the keys of these roles makes their versions as high as can be."""
    here.repository.set_versions(2**31 - 1, *roles)
    if "timestamp" not in roles:
        here.repository.renew("timestamp")
    assert here.refresh().done


@BOTH
def test_a_new_timestamp_key_ends_a_fast_forward_of_timestamp(here: Here) -> None:
    fast_forward(here, "timestamp")
    here.repository.set_versions(2, "timestamp")
    assert here.refresh().refusal == ("rollback", "timestamp")

    here.repository.entrust("timestamp", key("new timestamp"))
    here.repository.renew("root")
    here.repository.put("timestamp")

    assert here.refresh().done
    assert (here.held()["root"], here.held()["timestamp"]) == (2, 2)


def test_new_online_keys_end_a_fast_forward_of_snapshot(here: Here) -> None:
    fast_forward(here, "snapshot", "timestamp")

    for role in ("snapshot", "timestamp"):
        here.repository.entrust(role, key(f"new {role}"))
    here.repository.renew("root")
    here.repository.set_versions(2, "snapshot", "timestamp")

    assert here.refresh().done
    assert (here.held()["snapshot"], here.held()["timestamp"]) == (2, 2)


def test_new_online_keys_end_a_fast_forward_of_what_snapshot_lists(here: Here) -> None:
    """A thief of the online keys lists versions of targets that do not exist."""
    here.refresh()
    here.repository.set_versions(2**31 - 1, "targets")
    here.repository.renew("snapshot", "timestamp")
    here.repository.put("targets", MALLORY)
    assert here.refresh().refusal == ("threshold", "targets")

    here.repository.set_versions(2, "targets")
    here.repository.renew("snapshot", "timestamp")
    assert here.refresh().refusal == ("rollback", "snapshot")

    for role in ("snapshot", "timestamp"):
        here.repository.entrust(role, key(f"new {role}"))
    here.repository.renew("root")
    here.repository.renew("snapshot", "timestamp")

    assert here.refresh().done
    assert here.held()["targets"] == 2


# Indefinite freeze


def test_a_repository_that_stands_still_is_refused_when_its_timestamp_expires(here: Here) -> None:
    assert here.refresh().done
    here.travel(days=2)
    assert here.refresh().done
    here.travel(days=1)

    assert here.refresh().refusal == ("expired", "timestamp")


def test_a_thief_of_the_timestamp_key_can_freeze_only_until_snapshot_expires(here: Here) -> None:
    here.refresh()
    here.repository.timestamp.expires = NOW + timedelta(days=1000)
    here.repository.renew("timestamp")
    assert here.refresh().done
    here.travel(days=14)

    assert here.refresh().refusal == ("expired", "snapshot")


def test_a_thief_of_the_online_keys_can_freeze_only_until_targets_expire(here: Here) -> None:
    here.refresh()
    for role in ("snapshot", "timestamp"):
        here.repository.roles[role].expires = NOW + timedelta(days=1000)
    here.repository.renew("snapshot", "timestamp")
    assert here.refresh().done
    here.travel(days=120)

    assert here.refresh().refusal == ("expired", "targets")


# Malicious mirrors


@pytest.mark.parametrize("answer", [HTTPStatus.NOT_FOUND, HTTPStatus.FORBIDDEN, HTTPStatus.BAD_GATEWAY])
def test_a_mirror_that_gives_nothing_changes_nothing(here: Here, answer: HTTPStatus) -> None:
    release_file(here, b"good")
    here.download("app")
    held = here.held()
    here.site.status.update(dict.fromkeys(here.repository.files, answer))

    assert not here.refresh().done
    assert not here.download("app").done
    assert (here.held(), here.got()) == (held, {"app": b"good"})


@BOTH
def test_a_mirror_of_yesterday_is_refused_and_a_good_one_goes_on(here: Here) -> None:
    release_file(here, b"old")
    yesterday = dict(here.repository.files)
    release_file(here, b"new")
    here.download("app")
    with serve(yesterday) as mirror:
        good, here.site = here.site, mirror
        assert here.download("app").refusal == ("rollback", "timestamp")
    here.site = good

    release_file(here, b"newer")
    assert here.download("app").done
    assert here.got() == {"app": b"newer"}


# Mix and match


@pytest.mark.parametrize("role", ["snapshot", "targets"])
@pytest.mark.parametrize("hashed", [(), ("sha512",)], ids=["by version", "by hash"])
def test_files_of_two_times_do_not_go_together(here: Here, role: str, hashed: tuple[str, ...]) -> None:
    """Without consistent snapshots every version of a role has the same name, and a mirror may mix them."""
    here.repository.hashed = hashed
    here.repository.root.consistent_snapshot = False
    here.repository.renew("root")
    release_file(here, b"old")
    old = here.repository.files[f"metadata/{role}.json"]
    release_file(here, b"new")
    here.site.instead[f"metadata/{role}.json"] = old

    assert here.download("app").refusal == ("hash-mismatch" if hashed else "bad-metadata", role)
    assert here.got() == {}


def test_a_delegated_role_of_another_time_does_not_go_with_the_rest(here: Here) -> None:
    here.repository.delegate("targets", "plugins")
    here.repository.add_target("plugin", b"old", role="plugins")
    here.repository.release("plugins", "targets")
    old = here.repository.files["metadata/1.plugins.json"]
    here.repository.add_target("plugin", b"new", role="plugins")
    here.repository.release("plugins")
    here.site.instead["metadata/2.plugins.json"] = old

    assert here.download("plugin").refusal == ("rollback", "plugins")


# Rollback


def test_a_thief_of_the_online_keys_cannot_bring_old_targets_back(here: Here) -> None:
    release_file(here, b"old")
    release_file(here, b"new")
    here.download("app")
    here.repository.targets.version = 2
    here.repository.snapshot.meta["targets.json"].version = 2
    here.repository.renew("snapshot", "timestamp")

    assert here.download("app").refusal == ("rollback", "snapshot")
    assert here.got() == {"app": b"new"}


# Slow retrieval: the fetcher allows so many seconds without a byte; there is no limit to a whole download.


@pytest.mark.parametrize("stalled", ["metadata/timestamp.json", "metadata/1.targets.json"])
def test_a_server_that_stops_sending_is_given_up(here: Here, tmp_path: Path, stalled: str) -> None:
    here.site.stalled.add(stalled)
    fetcher = Urllib3Fetcher(socket_timeout=0.1)  # type: ignore[arg-type]
    url = here.site.url
    trust = Trust(here.metadata, f"{url}metadata/", f"{url}targets/", fetcher=fetcher)

    with pytest.raises(errors.NetworkError, match=r"too slow|timed out"):
        trust.refresh()


# Keys compromised below the threshold


@BOTH
def test_one_stolen_key_of_targets_signs_nothing(here: Here) -> None:
    here.repository.signers["targets"] = (ALICE,)
    release_file(here, b"evil")

    assert here.download("app").refusal == ("threshold", "targets")


def test_a_stolen_key_and_strangers_make_no_threshold(here: Here) -> None:
    here.repository.signers["targets"] = (ALICE, MALLORY, key("friend of mallory"), key("snapshot"))
    release_file(here, b"evil")

    assert here.download("app").refusal == ("threshold", "targets")


def test_one_stolen_key_of_root_replaces_nobody(here: Here) -> None:
    here.repository.entrust("root", MALLORY)
    here.repository.entrust("targets", MALLORY)
    here.repository.signers["root"] = (MALLORY, ALICE)
    here.repository.renew("root")
    release_file(here, b"evil")

    assert here.download("app").refusal == ("threshold", "root")
    assert here.held() == {"root": 1}


def test_a_thief_of_the_timestamp_key_cannot_sign_snapshot(here: Here) -> None:
    here.repository.signers["snapshot"] = (key("timestamp"),)
    release_file(here, b"good")

    assert here.refresh().refusal == ("threshold", "snapshot")


def test_a_thief_of_all_online_keys_cannot_sign_targets(here: Here) -> None:
    here.repository.signers["targets"] = (key("timestamp"), key("snapshot"))
    release_file(here, b"evil")

    assert here.download("app").refusal == ("threshold", "targets")


def test_a_revoked_key_no_longer_counts(here: Here) -> None:
    here.refresh()
    here.repository.entrust("targets", BOB, CAROL, key("dave"), threshold=2)
    here.repository.renew("root")
    here.repository.signers["targets"] = (ALICE, BOB)
    release_file(here, b"evil")
    assert here.download("app").refusal == ("threshold", "targets")

    here.repository.put("targets", CAROL, BOB)
    assert here.download("app").done


# Wrong software


def test_a_signed_file_under_another_ones_path_is_not_stored(here: Here) -> None:
    first = here.repository.add_target("first", b"content 1")
    second = here.repository.add_target("second", b"content 2")
    here.repository.release("targets")
    names = [here.repository.target_names(target)[0] for target in (first, second)]
    here.site.instead.update(zip(names, (b"content 2", b"content 1"), strict=True))

    assert here.download("first").refusal == ("hash-mismatch", "")
    assert here.download("second").refusal == ("hash-mismatch", "")
    assert here.got() == {}


def test_an_earlier_role_decides_what_a_path_is(here: Here) -> None:
    for role, content in (("first", b"right"), ("second", b"wrong")):
        here.repository.delegate("targets", role)
        here.repository.add_target("app", content, role=role)
    here.repository.release("first", "second", "targets")

    assert here.download("app").done
    assert here.got() == {"app": b"right"}
    assert "second" not in here.site.asked_roles()
