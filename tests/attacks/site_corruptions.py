"""Sites that somebody corrupted, and made good again with every key but those that protect against it.

Each case says which ids must answer, no more and no fewer. Where the online key is not what protects,
snapshot and timestamp are made and signed anew around the corruption.
"""

from __future__ import annotations

from collections.abc import Callable

from attacks.corruption import Cases
from keyturn.state import canonical
from keyturn.verify import Publication
from unit.repository import (
    DAY,
    NOW,
    Draft,
    Published,
    Signed,
    as_scheme,
    document,
    founded,
    key,
    keyid,
    release,
    released,
    rendered,
    sign_file,
    signer,
    target,
)

SITES: Cases[Publication] = Cases()
corrupts = SITES.corrupts
TIMESTAMP = "metadata/timestamp.json"
SNAPSHOT = "metadata/1.snapshot.json"
TARGETS = "metadata/2.targets.json"
PLUGINS = "metadata/2.plugins.json"
ROOT_2 = "metadata/2.root.json"


def second_root() -> Draft:
    """A repository with root 2, in which a second key of dave's stands for nobody else's."""
    draft = released()
    draft.add_key("root", "root", "alice-new", owner={"login": "dave"})
    return draft.sign().merged()


def site() -> Published:
    return Published(second_root().base)


def later_site(change: Callable[[Draft], object]) -> Published:
    """The site of an event that everybody signed."""
    draft = second_root()
    change(draft)
    return Published(draft.sign().merged().base)


def flipped(data: bytes, old: bytes, new: bytes) -> bytes:
    assert old in data
    return data.replace(old, new, 1)


def archive_of(one: Published) -> str:
    return next(path for path in one.files if path.startswith("targets/demo/"))


def plugin_of(one: Published) -> str:
    return next(path for path in one.files if path.startswith("targets/plugins/"))


def other_digit(digits: str) -> str:
    return ("0" if digits[0] != "0" else "1") + digits[1:]


def edited(path: str, change: Callable[[Signed], object]) -> Published:
    """A file whose signed part was changed and whose signatures stayed."""
    one = site()
    loaded = document(one.files[path])
    change(loaded["signed"])
    one.files[path] = rendered(loaded)
    return one


def by_thieves(
    role: str, change: Callable[[Signed], object], *, without: tuple[str, ...] = ("bob",)
) -> Publication:
    """A role changed and signed by all of its signers but some; the online key was stolen too."""
    one = site()
    one.edit_role(role, change, without=without)
    return one.seal().publication()


def hosted(one: Published, data: bytes, *paths: str) -> Published:
    for path in paths:
        folder, slash, name = path.rpartition("/")
        one.files[f"targets/{folder}{slash}{target(data)['hashes']['sha256']}.{name}"] = data
    return one


def listing(*paths: str, role: str = "targets") -> Publication:
    """Targets that everybody whose role it is has signed."""
    one = site()
    data = b"content\n"
    one.edit_role(role, lambda signed: signed["targets"].update({path: target(data) for path in paths}))
    return hosted(one, data, *paths).seal().publication()


def signed_as_it_is(**changes: object) -> Published:
    """A timestamp that no library would make, with a valid signature."""
    one = site()
    signed = {**document(one.files[TIMESTAMP])["signed"], **changes}
    made = signer("online").sign(canonical(signed)).to_dict()
    one.files[TIMESTAMP] = rendered({"signed": signed, "signatures": [made]})
    return one


# Flip


@corrupts("flip", "KT203")
def one_digit_of_the_timestamp_s_signature() -> Publication:
    one = site()
    loaded = document(one.files[TIMESTAMP])
    loaded["signatures"][0]["sig"] = other_digit(loaded["signatures"][0]["sig"])
    one.files[TIMESTAMP] = rendered(loaded)
    return one.publication()


@corrupts("flip", "KT203", "KT204")
def one_digit_of_the_hash_that_timestamp_gives() -> Publication:
    def change(signed: Signed) -> None:
        hashes = signed["meta"]["snapshot.json"]["hashes"]
        hashes["sha256"] = other_digit(hashes["sha256"])

    return edited(TIMESTAMP, change).publication()


@corrupts("flip", "KT204", "KT205", "KT207")
def the_version_of_targets_in_the_snapshot() -> Publication:
    return edited(SNAPSHOT, lambda signed: signed["meta"]["targets.json"].update(version=3)).publication()


@corrupts("flip", "KT209")
def one_bit_of_a_plugin() -> Publication:
    one = site()
    one.files[plugin_of(one)] = flipped(one.files[plugin_of(one)], b"a", b"A")
    return one.publication()


@corrupts("flip", "KT208", "KT209")
def one_digit_of_an_archive_s_hash_by_one_signer_and_the_online_key() -> Publication:
    def change(signed: Signed) -> None:
        hashes = signed["targets"]["demo/demo-1.0.tar.gz"]["hashes"]
        hashes["sha256"] = other_digit(hashes["sha256"])

    return by_thieves("targets", change)


@corrupts("flip", "KT208")
def one_digit_of_the_second_signature_on_targets() -> Publication:
    one = site()
    loaded = document(one.roles["targets"])
    loaded["signatures"][1]["sig"] = other_digit(loaded["signatures"][1]["sig"])
    one.roles["targets"] = rendered(loaded)
    return one.seal().publication()


@corrupts("flip", "KT201")
def the_threshold_of_root_in_the_latest_root() -> Publication:
    one = edited(ROOT_2, lambda signed: signed["roles"]["targets"].update(threshold=1))
    one.files["metadata/root.json"] = one.files[ROOT_2]
    return one.publication()


# Drop


@corrupts("drop", "KT208")
def one_of_two_signatures_on_targets() -> Publication:
    one = site()
    loaded = document(one.roles["targets"])
    loaded["signatures"] = loaded["signatures"][:1]
    one.roles["targets"] = rendered(loaded)
    return one.seal().publication()


@corrupts("drop", "KT206")
def a_delegated_role_from_the_snapshot() -> Publication:
    return site().seal(snapshot=lambda signed: signed["meta"].pop("plugins.json")).publication()


@corrupts("drop", "KT202")
def the_latest_root() -> Publication:
    one = site()
    del one.files[ROOT_2]
    return one.publication()


@corrupts("drop", "KT203")
def every_signature_on_the_timestamp() -> Publication:
    one = site()
    one.files[TIMESTAMP] = rendered({**document(one.files[TIMESTAMP]), "signatures": []})
    return one.publication()


@corrupts("drop", "KT204")
def the_snapshot() -> Publication:
    one = site()
    del one.files[SNAPSHOT]
    return one.publication()


@corrupts("drop", "KT209")
def an_archive() -> Publication:
    one = site()
    del one.files[archive_of(one)]
    return one.publication()


@corrupts("drop", "KT208")
def the_delegation_by_one_signer_and_the_online_key() -> Publication:
    return by_thieves("targets", lambda signed: signed.pop("delegations"))


@corrupts("drop", "KT208")
def the_keys_of_a_delegation_by_one_signer_and_the_online_key() -> Publication:
    return by_thieves("targets", lambda signed: signed["delegations"].update(keys={}))


@corrupts("drop", "KT212")
def consistent_snapshots() -> Publication:
    def change(draft: Draft) -> None:
        with draft.edit("root") as signed:
            del signed["consistent_snapshot"]

    return later_site(change).publication()


@corrupts("drop", "KT213")
def a_role_that_an_older_snapshot_still_lists() -> Publication:
    before = site()
    draft = second_root()
    with draft.edit("targets") as signed:
        del signed["delegations"], signed["x-keyturn"]
    after = Published(draft.sign().merged().base, version=2)
    after.files[SNAPSHOT] = before.files[SNAPSHOT]
    return after.publication()


# Swap


@corrupts("swap", "KT208")
def two_roles_under_each_other_s_names() -> Publication:
    one = site()
    one.roles["targets"], one.roles["plugins"] = one.roles["plugins"], one.roles["targets"]
    return one.seal().publication()


@corrupts("swap", "KT203")
def snapshot_and_timestamp() -> Publication:
    one = site()
    one.files[SNAPSHOT], one.files[TIMESTAMP] = one.files[TIMESTAMP], one.files[SNAPSHOT]
    return one.publication()


@corrupts("swap", "KT201", "KT202")
def two_roots() -> Publication:
    one = site()
    one.files[ROOT_2], one.files["metadata/1.root.json"] = (
        one.files["metadata/1.root.json"],
        one.files[ROOT_2],
    )
    return one.publication()


@corrupts("swap", "KT209")
def the_bytes_of_two_targets() -> Publication:
    one = site()
    first, second = archive_of(one), plugin_of(one)
    one.files[first], one.files[second] = one.files[second], one.files[first]
    return one.publication()


@corrupts("swap", "KT201")
def the_online_key_for_a_thief_s_by_one_signer_of_root() -> Publication:
    draft = second_root()
    for role in ("snapshot", "timestamp"):
        draft.remove_key("root", role, "online")
        draft.add_key("root", role, "mallory", owner="online")
    draft.sign(without={"root": ("bob", "carol", "alice-new")})
    one = Published(draft.merged().base)
    return one.seal(snapshot_by="mallory", timestamp_by="mallory").publication()


@corrupts("swap", "KT208")
def the_targets_of_a_role_for_those_of_another_by_one_signer() -> Publication:
    entry = document(site().roles["plugins"])["signed"]["targets"]
    return by_thieves("targets", lambda signed: signed.update(targets=entry))


# Sign again


@corrupts("re-sign", "KT203")
def the_timestamp_by_a_signer_of_targets() -> Publication:
    return site().seal(timestamp_by="alice").publication()


@corrupts("re-sign", "KT205")
def the_snapshot_by_a_signer_of_root() -> Publication:
    return site().seal(snapshot_by="carol").publication()


@corrupts("re-sign", "KT208")
def plugins_by_everybody_but_its_signer() -> Publication:
    one = site()
    stripped = rendered({**document(one.roles["plugins"]), "signatures": []})
    others = {keyid(name): key(name) for name in ("alice", "bob", "online", "mallory")}
    one.roles["plugins"] = sign_file(stripped, others)
    return one.seal().publication()


@corrupts("re-sign", "KT208")
def targets_by_one_signer_under_the_name_of_the_other_too() -> Publication:
    one = site()
    loaded = document(one.roles["targets"])
    mine = next(one["sig"] for one in loaded["signatures"] if one["keyid"] == keyid("alice"))
    loaded["signatures"] = [{"keyid": keyid(name), "sig": mine} for name in ("alice", "bob")]
    one.roles["targets"] = rendered(loaded)
    return one.seal().publication()


@corrupts("re-sign", "KT201")
def the_whole_root_by_the_thief_s_own_keys() -> Publication:
    draft = second_root()
    for name in ("alice", "bob", "carol", "alice-new"):
        draft.remove_key("root", "root", name)
    for name in ("mallory", "online-new"):
        draft.add_key("root", "root", name, owner={"login": name})
    draft.sign(without={"root": ("alice", "bob", "carol", "alice-new")})
    return Published(draft.merged().base).publication()


@corrupts("re-sign", "KT208")
def targets_by_one_signer_whose_key_root_names_twice() -> Publication:
    """A stock client counts the two names of the one key as two; the threshold of people is not met."""
    draft = second_root()
    draft.remove_key("root", "targets", "bob")
    for scheme in ("rsassa-pss-sha256", "rsa-pkcs1v15-sha256"):
        draft.add_key("root", "targets", "erin", public=as_scheme("erin", scheme), owner={"login": scheme})
    draft.remove_key("root", "targets", "alice")
    with draft.edit("targets"):
        pass
    return Published(draft.sign().merged().base).publication()


# Date again


@corrupts("re-date", "KT203")
def the_timestamp_without_the_online_key() -> Publication:
    return edited(TIMESTAMP, lambda signed: signed.update(expires="2027-09-04T12:00:00Z")).publication()


@corrupts("re-date", "KT204", "KT205")
def the_snapshot_without_the_online_key() -> Publication:
    return edited(SNAPSHOT, lambda signed: signed.update(expires="2027-09-15T12:00:00Z")).publication()


@corrupts("re-date", "KT211")
def an_old_snapshot_under_a_fresh_timestamp() -> Publication:
    one = site()
    fresh = lambda signed: signed.update(expires="2027-01-01T00:00:00Z")  # noqa: E731 - it is the date
    return one.seal(timestamp=fresh).publication(now=NOW + 14 * DAY)


@corrupts("re-date", "KT208")
def targets_by_one_signer_and_the_online_key() -> Publication:
    return by_thieves("targets", lambda signed: signed.update(expires="2036-01-01T00:00:00Z"))


@corrupts("re-date", "KT203")
def the_timestamp_in_another_form_of_the_same_moment() -> Publication:
    return signed_as_it_is(expires="2026-09-04T12:00:00+00:00").publication()


@corrupts("re-date", "KT211")
def the_clock_by_a_year() -> Publication:
    return site().publication(now=NOW + 366 * DAY)


# Rename


@corrupts("rename", "KT207")
def targets_to_the_next_version() -> Publication:
    one = site()
    one.files["metadata/3.targets.json"] = one.files.pop(TARGETS)
    return one.publication()


@corrupts("rename", "KT207")
def targets_to_the_next_version_in_the_snapshot_too() -> Publication:
    one = site()
    one.files["metadata/3.targets.json"] = one.files[TARGETS]
    return one.seal(snapshot=lambda signed: signed["meta"]["targets.json"].update(version=3)).publication()


@corrupts("rename", "KT206")
def a_role_in_the_snapshot() -> Publication:
    def change(signed: Signed) -> None:
        signed["meta"]["plugin.json"] = signed["meta"].pop("plugins.json")

    return site().seal(snapshot=change).publication()


@corrupts("rename", "KT201")
def a_root_to_the_next_version() -> Publication:
    one = site()
    one.files["metadata/3.root.json"] = one.files.pop(ROOT_2)
    return one.publication()


@corrupts("rename", "KT209")
def an_archive_to_its_plain_name() -> Publication:
    one = site()
    one.files["targets/demo/demo-1.0.tar.gz"] = one.files.pop(archive_of(one))
    return one.publication()


@corrupts("rename", "KT208")
def a_target_by_one_signer_and_the_online_key() -> Publication:
    def change(signed: Signed) -> None:
        signed["targets"]["demo/demo-2.0.tar.gz"] = signed["targets"].pop("demo/demo-1.0.tar.gz")

    one = site()
    one.edit_role("targets", change, without=("bob",))
    data = one.files[archive_of(one)]
    return hosted(one, data, "demo/demo-2.0.tar.gz").seal().publication()


# Truncate


@corrupts("truncate", "KT207")
def targets_to_nothing() -> Publication:
    one = site()
    one.files[TARGETS] = b""
    return one.publication()


@corrupts("truncate", "KT204")
def the_last_byte_of_the_snapshot() -> Publication:
    one = site()
    one.files[SNAPSHOT] = one.files[SNAPSHOT][:-1]
    return one.publication()


@corrupts("truncate", "KT202")
def the_last_byte_of_root_json() -> Publication:
    one = site()
    one.files["metadata/root.json"] = one.files["metadata/root.json"][:-1]
    return one.publication()


@corrupts("truncate", "KT201", "KT202")
def half_of_the_latest_root() -> Publication:
    one = site()
    one.files[ROOT_2] = one.files[ROOT_2][: len(one.files[ROOT_2]) // 2]
    return one.publication()


@corrupts("truncate", "KT209")
def the_last_byte_of_an_archive() -> Publication:
    one = site()
    one.files[archive_of(one)] = one.files[archive_of(one)][:-1]
    return one.publication()


@corrupts("truncate", "KT203")
def half_of_the_timestamp() -> Publication:
    one = site()
    one.files[TIMESTAMP] = one.files[TIMESTAMP][:200]
    return one.publication()


# Duplicate


@corrupts("duplicate", "KT203")
def the_version_in_the_timestamp() -> Publication:
    one = site()
    one.files[TIMESTAMP] = flipped(
        one.files[TIMESTAMP], b'"version": 1\n', b'"version": 1,\n  "version": 1\n'
    )
    return one.publication()


@corrupts("duplicate", "KT203")
def the_signature_on_the_timestamp() -> Publication:
    one = site()
    loaded = document(one.files[TIMESTAMP])
    one.files[TIMESTAMP] = rendered({**loaded, "signatures": loaded["signatures"] * 2})
    return one.publication()


@corrupts("duplicate", "KT207")
def the_targets_in_targets() -> Publication:
    one = site()
    one.roles["targets"] = flipped(one.roles["targets"], b'"targets": {', b'"targets": {},\n  "targets": {')
    one.files[TARGETS] = one.roles["targets"]
    first = document(one.files[SNAPSHOT])["signed"]["meta"]["targets.json"]
    described = {**target(one.roles["targets"]), "version": first["version"]}
    return _named(one, "targets.json", described)


def _named(one: Published, name: str, described: dict[str, object]) -> Publication:
    """Snapshot and timestamp for files that cannot be read any more."""
    data, one.roles["targets"] = one.roles["targets"], rendered({"signed": {"version": 2}, "signatures": []})
    one.seal(snapshot=lambda signed: signed["meta"].update({name: described}))
    one.files[TARGETS] = data
    return one.publication()


@corrupts("duplicate", "KT201", "KT202")
def a_keyid_of_a_role_in_the_latest_root() -> Publication:
    return edited(
        ROOT_2, lambda signed: signed["roles"]["root"]["keyids"].append(keyid("alice"))
    ).publication()


# Another order


@corrupts("re-order", "KT213")
def versions_so_that_targets_go_back() -> Publication:
    draft = second_root()
    release(draft, "2.0")
    newer = Published(draft.sign().merged().base, version=1)
    older = Published(second_root().base, version=2)
    older.files[SNAPSHOT] = newer.files[SNAPSHOT]
    return older.publication()


@corrupts("re-order", "KT207")
def the_fields_of_targets() -> Publication:
    one = site()
    one.files[TARGETS] = rendered(dict(reversed(document(one.files[TARGETS]).items())))[:-1]
    return one.publication()


@corrupts("re-order", "KT208")
def delegations_by_one_signer_and_the_online_key() -> Publication:
    def change(draft: Draft) -> None:
        draft.delegate("themes", "mallory", paths=["plugins/*"])
        draft.add_role("themes")

    one = later_site(change)
    one.edit_role("targets", lambda signed: signed["delegations"]["roles"].reverse(), without=("bob",))
    return one.seal().publication()


@corrupts("re-order")
def signatures_which_changes_nothing() -> Publication:
    one = site()
    loaded = document(one.roles["targets"])
    loaded["signatures"].reverse()
    one.roles["targets"] = rendered(loaded)
    return one.seal().publication()


# Case


@corrupts("case", "KT207")
def the_name_of_a_role_s_file() -> Publication:
    one = site()
    one.files["metadata/2.Plugins.json"] = one.files.pop(PLUGINS)
    return one.publication()


@corrupts("case", "KT203")
def the_name_of_the_timestamp() -> Publication:
    one = site()
    one.files["metadata/Timestamp.json"] = one.files.pop(TIMESTAMP)
    return one.publication()


@corrupts("case", "KT207")
def a_hash_in_the_snapshot() -> Publication:
    def change(signed: Signed) -> None:
        hashes = signed["meta"]["targets.json"]["hashes"]
        hashes["sha256"] = hashes["sha256"].upper()

    return site().seal(snapshot=change).publication()


@corrupts("case", "KT204")
def the_type_of_the_snapshot() -> Publication:
    one = site()
    loaded = document(one.files[SNAPSHOT])
    loaded["signed"]["_type"] = "Snapshot"
    data = rendered(loaded)
    one.seal(
        timestamp=lambda signed: signed["meta"].update({"snapshot.json": {"version": 1, **target(data)}})
    )
    one.files[SNAPSHOT] = data
    return one.publication()


@corrupts("case", "KT215")
def a_second_target_that_differs_by_it_alone() -> Publication:
    return listing("Demo/demo-3.0.tar.gz", "demo/DEMO-3.0.tar.gz")


@corrupts("case", "KT201", "KT202")
def the_keyids_of_the_latest_root() -> Publication:
    def change(signed: Signed) -> None:
        signed["roles"]["root"]["keyids"] = [one.upper() for one in signed["roles"]["root"]["keyids"]]

    return edited(ROOT_2, change).publication()


# Unicode


@corrupts("Unicode", "KT210")
def a_path_that_is_written_backwards() -> Publication:
    return listing("demo/\u202egz.exe")


@corrupts("Unicode", "KT210")
def a_path_with_a_character_without_width() -> Publication:
    return listing("demo/demo\u200b-1.0.tar.gz")


@corrupts("Unicode", "KT215")
def two_forms_of_one_path() -> Publication:
    return listing("demo/\u00e9", "demo/e\u0301")


@corrupts("Unicode", "KT203")
def a_byte_order_mark_before_the_timestamp() -> Publication:
    one = site()
    one.files[TIMESTAMP] = b"\xef\xbb\xbf" + one.files[TIMESTAMP]
    return one.publication()


@corrupts("Unicode", "KT203")
def a_wide_digit_in_the_version_of_the_specification() -> Publication:
    return signed_as_it_is(spec_version="\uff11.0.31").publication()


@corrupts("Unicode", "KT207")
def a_surrogate_that_belongs_to_no_character() -> Publication:
    one = site()
    one.roles["targets"] = flipped(one.roles["targets"], b'"platform": ""', b'"platform": "\\ud800"')
    data = one.roles["targets"]
    return _named(one, "targets.json", {**target(data), "version": 2})


@corrupts("Unicode", "KT208")
def a_twin_of_a_target_by_one_signer_and_the_online_key() -> Publication:
    one = site()
    twin = "demo/demo-\u0661.0.tar.gz"
    one.edit_role("targets", lambda signed: signed["targets"].update({twin: target(b"x")}), without=("bob",))
    return hosted(one, b"x", twin).seal().publication()


@corrupts("truncate", "KT207")
def a_role_that_was_founded_but_is_no_longer_there() -> Publication:
    one = Published(founded().state)
    del one.files["metadata/1.plugins.json"]
    return one.publication()
