"""For each rule on published trees: what breaks it and nothing else, and what comes close and keeps it.

Snapshot and timestamp are made and signed anew around the break, so that the ids of the findings are exactly
those that the case is about.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from keyturn.state import Site
from keyturn.verify import Publication, Severity
from unit.repository import (
    DAY,
    NOW,
    Draft,
    Published,
    Signed,
    document,
    key,
    keyid,
    published,
    release,
    released,
    rendered,
    rotated,
    sign_file,
    target,
)
from unit.scenario import Table

SITES: Table[Publication] = Table()
breaks, keeps = SITES.breaks, SITES.keeps
TIMESTAMP = "metadata/timestamp.json"
SNAPSHOT = "metadata/1.snapshot.json"
TARGETS = "metadata/2.targets.json"
PLUGINS = "metadata/2.plugins.json"


def root_path(version: int) -> str:
    return f"metadata/{version}.root.json"


def archive_path(site: Published) -> str:
    return next(path for path in site.files if path.startswith("targets/demo/"))


def with_roots(draft: Draft, *, without: tuple[str, ...] = ()) -> Published:
    return Published(draft.sign(without={"root": without}).merged().base)


@breaks("KT201", where=root_path(1), says=f"pinned is {'5a' * 32}")
def another_root_1_is_pinned() -> Publication:
    return published().publication(pinned="5a" * 32)


@breaks("KT201", where=root_path(1), says="root 1 is missing or unreadable")
def root_1_is_missing() -> Publication:
    site = published()
    del site.files[root_path(1)]
    return site.publication()


@breaks("KT201", where=root_path(1), says="root 1 is missing or unreadable")
def there_is_no_root_at_all() -> Publication:
    site = published()
    for path in [path for path in site.files if path.endswith("root.json")]:
        del site.files[path]
    return site.publication()


def three_roots() -> Published:
    draft = rotated()
    draft.remove_key("root", "root", "dave")
    return with_roots(draft)


@breaks("KT201", where=root_path(2), says="is missing or unreadable")
def a_root_in_the_middle_is_missing() -> Publication:
    site = three_roots()
    del site.files[root_path(2)]
    return site.publication()


@breaks("KT201", where=root_path(2), says="holds root 1")
def a_root_in_the_middle_is_another() -> Publication:
    site = three_roots()
    site.files[root_path(2)] = site.files[root_path(1)]
    return site.publication()


@breaks("KT201", where=root_path(3), says="is missing or unreadable")
def a_file_name_claims_a_billion_roots() -> Publication:
    site = published()
    site.files[root_path(999_999_999)] = b"{}"
    return site.publication()


@breaks("KT201", where=root_path(2), says="has 1 of 2 signatures under root 1")
def root_2_is_not_signed_by_enough_of_the_old_root() -> Publication:
    draft = released()
    draft.remove_key("root", "root", "carol")
    draft.add_key("root", "root", "dave")
    return with_roots(draft, without=("bob", "carol")).publication()


@breaks("KT201", where=root_path(2), says="has 1 of 2 signatures under root 2")
def root_2_is_not_signed_by_enough_of_its_own_keys() -> Publication:
    draft = released()
    for name in ("alice", "bob"):
        draft.remove_key("root", "root", name)
    for name in ("dave", "erin"):
        draft.add_key("root", "root", name)
    return with_roots(draft, without=("dave", "erin")).publication()


@keeps("KT201")
def every_root_from_the_pinned_one_on() -> Publication:
    return three_roots().publication()


@breaks("KT202", where="metadata/root.json", says="is not byte-equal to 2.root.json")
def root_json_is_an_older_root() -> Publication:
    site = published()
    site.files["metadata/root.json"] = site.files[root_path(1)]
    return site.publication()


@breaks("KT202", where="metadata/root.json", says="is not byte-equal to 2.root.json")
def root_json_is_not_there() -> Publication:
    site = published()
    del site.files["metadata/root.json"]
    return site.publication()


@keeps("KT202")
def root_json_is_the_latest_root() -> Publication:
    return published().publication()


@breaks("KT203", where=TIMESTAMP, says="has 0 of 1 signatures needed")
def a_stranger_signs_the_timestamp() -> Publication:
    return published().seal(timestamp_by="mallory").publication()


@breaks("KT203", where=TIMESTAMP, says="is missing")
def the_timestamp_is_missing() -> Publication:
    site = published()
    del site.files[TIMESTAMP]
    return site.publication()


@breaks("KT203", where=TIMESTAMP, says="not readable as JSON")
def the_timestamp_cannot_be_read() -> Publication:
    site = published()
    site.files[TIMESTAMP] = b"{"
    return site.publication()


@keeps("KT203")
def the_timestamp_carries_the_signature_of_an_old_key_too() -> Publication:
    site = published()
    site.files[TIMESTAMP] = sign_file(site.files[TIMESTAMP], {keyid("online-new"): key("online-new")})
    return site.publication()


@breaks("KT204", where=SNAPSHOT, says="has not the sha256 hash that the timestamp gives")
def timestamp_names_another_snapshot() -> Publication:
    return published().seal(timestamp=_meta("snapshot.json", hashes={"sha256": "00" * 32})).publication()


@breaks("KT204", where=SNAPSHOT, says="has not the sha512 hash that the timestamp gives")
def timestamp_gives_a_second_hash_that_is_wrong() -> Publication:
    site = published()
    right = hashlib.sha256(site.files[SNAPSHOT]).hexdigest()
    wrong = {"sha256": right, "sha512": "00" * 64}
    return site.seal(timestamp=_meta("snapshot.json", hashes=wrong)).publication()


@breaks("KT204", where=SNAPSHOT, says="bytes long, the timestamp says 7")
def timestamp_gives_another_length() -> Publication:
    return published().seal(timestamp=_meta("snapshot.json", length=7)).publication()


@breaks("KT204", where=SNAPSHOT, says="holds version 2")
def the_snapshot_holds_another_version_than_its_name() -> Publication:
    return published().seal(snapshot=lambda signed: signed.update(version=2)).publication()


@breaks("KT204", where="metadata/2.snapshot.json", says="is named by the timestamp, but not there")
def the_snapshot_is_missing() -> Publication:
    return published().seal(timestamp=_meta("snapshot.json", version=2)).publication()


@breaks(
    "KT204", where=SNAPSHOT, says="holds metadata of type timestamp, but the role snapshot needs snapshot"
)
def the_snapshot_cannot_be_read() -> Publication:
    site = published()
    site.files[SNAPSHOT] = site.files[TIMESTAMP]
    return site.publication()


def _meta(name: str, **said: object) -> Callable[[Signed], object]:
    return lambda signed: signed["meta"][name].update(said)


@keeps("KT204")
def timestamp_gives_neither_length_nor_hash() -> Publication:
    def bare(signed: Signed) -> None:
        signed["meta"]["snapshot.json"] = {"version": 1}

    return published().seal(timestamp=bare).publication()


@breaks("KT205", where=SNAPSHOT, says="has 0 of 1 signatures needed")
def a_stranger_signs_the_snapshot() -> Publication:
    return published().seal(snapshot_by="mallory").publication()


@keeps("KT205")
def the_snapshot_is_signed_by_the_online_key_of_the_latest_root() -> Publication:
    draft = released()
    for role in ("snapshot", "timestamp"):
        draft.remove_key("root", role, "online")
        draft.add_key("root", role, "online-new", owner="online")
    draft.keyring["online"] = key("online-new")
    site = with_roots(draft)
    return site.seal(snapshot_by="online-new", timestamp_by="online-new").publication()


@breaks("KT206", where=SNAPSHOT, says="does not list the delegated role plugins")
def snapshot_leaves_a_delegated_role_out() -> Publication:
    return published().seal(snapshot=lambda signed: signed["meta"].pop("plugins.json")).publication()


@breaks("KT206", where=SNAPSHOT, says="does not list the delegated role targets")
def snapshot_leaves_targets_out() -> Publication:
    return published().seal(snapshot=lambda signed: signed["meta"].pop("targets.json")).publication()


@keeps("KT206")
def snapshot_goes_on_listing_a_role_that_was_removed() -> Publication:
    def more(signed: Signed) -> None:
        signed["meta"]["themes.json"] = {"version": 3}

    return published().seal(snapshot=more).publication()


@breaks("KT207", where=TARGETS, says="has not the sha256 hash that the snapshot gives")
def another_targets_of_the_same_version_lies_there() -> Publication:
    site = published()
    site.edit_role("targets", lambda signed: signed.update(expires="2026-12-30T11:59:59Z"))
    site.files[TARGETS] = site.roles["targets"]
    return site.publication()


@breaks("KT207", where=PLUGINS, says="is named by the snapshot, but not there")
def a_role_that_snapshot_names_is_missing() -> Publication:
    site = published()
    del site.files[PLUGINS]
    return site.publication()


@breaks("KT207", where=TARGETS, says="holds version 1")
def an_older_role_lies_there_under_the_newer_name() -> Publication:
    site = published()
    old = released().state.tree.read("metadata/targets.json")
    signed = {**document(old)["signed"], "version": 1}
    keys = {keyid(name): key(name) for name in ("alice", "bob")}
    data = sign_file(rendered({"signed": signed, "signatures": []}), keys)
    site.files[TARGETS] = data
    meta = _meta("targets.json", length=len(data), hashes={"sha256": hashlib.sha256(data).hexdigest()})
    site.seal(snapshot=meta)
    site.files[TARGETS] = data
    return site.publication()


@breaks("KT207", where=PLUGINS, says="not TUF metadata")
def a_role_cannot_be_read() -> Publication:
    site = published()
    site.files[PLUGINS] = b"{}"
    return site.publication()


@keeps("KT207")
def files_of_older_versions_lie_beside_those_that_snapshot_names() -> Publication:
    site = published()
    site.files["metadata/1.targets.json"] = b"superseded"
    return site.publication()


@breaks("KT208", where=TARGETS, says="has 1 of 2 signatures needed")
def one_thief_of_one_key_signs_targets_and_has_the_online_key() -> Publication:
    site = published()
    evil = b"evil\n"

    def replace_release(signed: Signed) -> None:
        signed["targets"] = {"demo/demo-9.9.tar.gz": target(evil)}

    site.edit_role("targets", replace_release, without=("bob",))
    site.files[f"targets/demo/{hashlib.sha256(evil).hexdigest()}.demo-9.9.tar.gz"] = evil
    return site.seal().publication()


@breaks("KT208", where=PLUGINS, says="has 0 of 1 signatures needed")
def a_delegated_role_is_signed_by_nobody() -> Publication:
    site = published()
    site.edit_role("plugins", lambda signed: signed, without=("carol",))
    return site.seal().publication()


@keeps("KT208")
def a_role_has_more_signatures_than_it_needs() -> Publication:
    draft = released()
    draft.add_key("root", "targets", "carol")
    release(draft, "2.0")
    return with_roots(draft).publication()


@breaks("KT209", where="", says="has not the sha256 hash that targets 2 lists")
def one_byte_of_the_archive_is_flipped() -> Publication:
    site = published()
    data = site.files[archive_path(site)]
    site.files[archive_path(site)] = bytes([data[0] ^ 1]) + data[1:]
    return site.publication()


@breaks("KT209", where="", says="is listed by targets 2, but not there")
def a_target_is_missing() -> Publication:
    site = published()
    del site.files[archive_path(site)]
    return site.publication()


@breaks("KT209", where="", says="is listed by targets 2, but not there")
def a_target_is_a_link() -> Publication:
    site = published()
    path = archive_path(site)
    del site.files[path]
    site.links[path] = "/etc/passwd"
    return site.publication()


@keeps("KT209")
def the_targets_are_hosted_elsewhere() -> Publication:
    site = published()
    del site.files[archive_path(site)]
    return site.publication(check_targets=False)


@keeps("KT209")
def an_archive_is_kept_in_a_release_of_the_code_host() -> Publication:
    site = published()
    said = {"app": "demo", "platform": "", "tree": "ab" * 32, "version": "2.0"}

    def list_more(signed: Signed) -> None:
        signed["targets"]["demo-2.0/demo-2.0.tar.gz"] = target(b"content\n", {"user": {"keyturn": said}})

    site.edit_role("targets", list_more)
    site.seal()
    return site.publication(releases="https://github.com/acme/updates/releases/download/")


@breaks(
    "KT210", where=TARGETS, says="the target path '../../etc/cron.d/x' is empty or absolute, or has an empty"
)
def a_target_path_leaves_its_folder() -> Publication:
    site = published()

    def list_more(signed: Signed) -> None:
        signed["targets"]["../../etc/cron.d/x"] = target(b"content\n")

    site.edit_role("targets", list_more)
    return site.seal().publication()


@keeps("KT210")
def a_target_path_with_a_blank_and_an_accent() -> Publication:
    site = published()
    data = b"content\n"

    def list_more(signed: Signed) -> None:
        signed["targets"]["über uns/a b.txt"] = target(data)

    site.edit_role("targets", list_more)
    site.files[f"targets/über uns/{hashlib.sha256(data).hexdigest()}.a b.txt"] = data
    return site.seal().publication()


@breaks("KT211", where=TIMESTAMP, says="timestamp 1 expired on 2026-09-04 12:00Z")
def the_timestamp_expires_this_very_moment() -> Publication:
    return published().publication(now=NOW + 3 * DAY)


@breaks("KT211", where=SNAPSHOT, says="snapshot 1 expired on 2026-09-15 12:00Z")
def a_copy_was_frozen_for_a_month() -> Publication:
    return published().publication(now=NOW + 30 * DAY)


def much_later(days: int) -> Publication:
    return Published(rotated().base, now=NOW + days * DAY).publication()


@breaks("KT211", where=TARGETS, says="targets 2 expired on 2026-12-30 12:00Z")
def targets_have_expired_under_a_fresh_timestamp() -> Publication:
    return much_later(120)


@breaks("KT211", where=root_path(2), says="root 2 expired on 2027-09-01 12:00Z")
def the_latest_root_has_expired() -> Publication:
    return much_later(365)


@keeps("KT211")
def everything_is_good_for_another_second() -> Publication:
    return published().publication(now=NOW + 3 * DAY - DAY / 86400)


@keeps("KT211")
def an_old_root_may_have_expired() -> Publication:
    draft = rotated()
    with draft.edit("root") as signed:
        signed["expires"] = "2028-09-01T12:00:00Z"
    for role in ("targets", "plugins"):
        with draft.edit(role) as signed:
            signed["expires"] = "2028-09-01T12:00:00Z"
    return Published(draft.sign().merged().base, now=NOW + 400 * DAY).publication()


@breaks("KT212", where=root_path(2), says="turns consistent snapshots off")
def consistent_snapshots_are_off() -> Publication:
    draft = released()
    with draft.edit("root") as signed:
        signed["consistent_snapshot"] = False
    return with_roots(draft).publication()


@keeps("KT212")
def consistent_snapshots_are_on() -> Publication:
    return published().publication()


def second(
    change: Callable[[Signed], object], *, older: Callable[[Signed], object] = lambda _: None
) -> Published:
    """A site with two snapshots, of which the second one is changed."""
    site = published().seal(snapshot=older)
    site.version = 2
    return site.seal(snapshot=change)


SECOND = "metadata/2.snapshot.json"


def _with_themes(signed: Signed) -> None:
    signed["meta"]["themes.json"] = {"version": 3}


@breaks("KT213", where=SECOND, says="no longer lists themes, which snapshot 1 listed")
def a_role_is_dropped_from_snapshot() -> Publication:
    return second(lambda _: None, older=_with_themes).publication()


@breaks("KT213", where=SECOND, says="lists themes 2, snapshot 1 listed themes 3")
def snapshot_takes_a_role_back() -> Publication:
    def back(signed: Signed) -> None:
        signed["meta"]["themes.json"] = {"version": 2}

    return second(back, older=_with_themes).publication()


@keeps("KT213")
def snapshot_goes_on_with_every_role() -> Publication:
    return second(_with_themes, older=_with_themes).publication()


@keeps("KT213")
def an_older_snapshot_that_a_stranger_signed_says_nothing() -> Publication:
    site = published().seal(snapshot=_with_themes, snapshot_by="mallory")
    site.version = 2
    return site.seal().publication()


def padded(role: str, size: int) -> Published:
    """A site with a targets role of exactly so many bytes."""
    site = published()
    for _ in range(2):
        short = size - len(site.roles[role])

        def pad(signed: Signed, more: int = short) -> None:
            signed["x-padding"] = "x" * (len(signed.get("x-padding", "")) + more)

        site.edit_role(role, pad)
    assert len(site.roles[role]) == size
    return site


def _without_length(signed: Signed) -> None:
    del signed["meta"]["plugins.json"]["length"]


@breaks("KT214", where=PLUGINS, says="is 5,000,001 bytes long, more than 5,000,000")
def a_role_is_one_byte_too_long_for_clients_that_are_told_no_length() -> Publication:
    return padded("plugins", 5_000_001).seal(snapshot=_without_length).publication()


@breaks("KT214", where=PLUGINS, says="is 5,000,001 bytes long", severity=Severity.WARNING)
def a_role_is_long_and_snapshot_says_so() -> Publication:
    return padded("plugins", 5_000_001).seal().publication()


@breaks("KT214", where=TIMESTAMP, says="more than 16,384")
def a_timestamp_is_too_long_for_clients() -> Publication:
    return published().seal(timestamp=lambda signed: signed.update({"x-padding": "x" * 16_384})).publication()


@keeps("KT214")
def a_role_is_as_long_as_clients_read_unasked() -> Publication:
    return padded("plugins", 5_000_000).seal(snapshot=_without_length).publication()


def _listing(path: str) -> Publication:
    site = published()
    data = b"content\n"
    site.edit_role("targets", lambda signed: signed["targets"].update({path: target(data)}))
    folder, _, name = path.rpartition("/")
    site.files[f"targets/{folder}/{hashlib.sha256(data).hexdigest()}.{name}"] = data
    return site.seal().publication()


@breaks("KT215", where=TARGETS, says="'demo/demo-1.0.tar.gz' and 'demo/Demo-1.0.tar.gz' differ only by case")
def two_paths_differ_by_case() -> Publication:
    return _listing("demo/Demo-1.0.tar.gz")


@keeps("KT215")
def two_paths_differ_by_a_letter() -> Publication:
    return _listing("demo/damo-1.0.tar.gz")


def nothing_at_all() -> Publication:
    """An empty tree, which has no root 1 and no timestamp."""
    return Publication(site=Site(Draft({}).tree), now=NOW, pinned="5a" * 32)
