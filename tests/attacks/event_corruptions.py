"""Signing events that somebody corrupted, signed again by everybody but those whom the rule protects.

Each case says which ids must answer, errors and warnings, no more and no fewer.
"""

from __future__ import annotations

from collections.abc import Callable

from securesystemslib.signer import SSlibKey

from attacks.corruption import Cases
from attacks.site_corruptions import flipped, other_digit
from keyturn.policy import parse
from keyturn.verify import Event
from unit.repository import (
    DAY,
    NOW,
    POLICY,
    Draft,
    Signed,
    document,
    key,
    keyid,
    release,
    released,
    rendered,
    signer,
    target,
)

EVENTS: Cases[Event] = Cases()
corrupts = EVENTS.corrupts
ROOT = "metadata/root.json"
TARGETS = "metadata/targets.json"
PLUGINS = "metadata/plugins.json"
ARCHIVE = "targets/demo/demo-2.0.tar.gz"
WISH = parse(POLICY.encode())


def proposed() -> Draft:
    """A release that everybody signed."""
    draft = released()
    release(draft, "2.0")
    return draft.sign()


def new_root() -> Draft:
    """A root that everybody signed, with a fourth signer."""
    draft = released()
    draft.add_key("root", "root", "alice-new", owner={"login": "dave"})
    draft.keyring["dave"] = key("alice-new")
    return draft.sign()


def changed(role: str, change: Callable[[Signed], object]) -> Draft:
    """A role changed in a way that everybody signed."""
    draft = released()
    with draft.edit(role) as signed:
        change(signed)
    return draft.sign()


def rewritten(draft: Draft, path: str, change: Callable[[Signed], object]) -> Draft:
    """A file changed after everybody had signed it."""
    loaded = document(draft.files[path])
    change(loaded)
    draft.files[path] = rendered(loaded)
    return draft


def listing(path: str, data: bytes = b"content\n", custom: object = None) -> Draft:
    draft = released()
    draft.list_target("targets", path, data, custom)
    return draft.sign()


# Flip


@corrupts("flip", "KT305")
def one_bit_of_the_archive() -> Event:
    draft = proposed()
    draft.files[ARCHIVE] = flipped(draft.files[ARCHIVE], b"2", b"3")
    return draft.event()


@corrupts("flip", "KT305")
def one_digit_of_its_hash_which_everybody_signs() -> Event:
    draft = released()
    release(draft, "2.0")
    with draft.edit("targets") as signed:
        hashes = signed["targets"]["demo/demo-2.0.tar.gz"]["hashes"]
        hashes["sha256"] = other_digit(hashes["sha256"])
    return draft.sign().event()


@corrupts("flip", "KT106")
def one_digit_of_a_signature() -> Event:
    def change(loaded: Signed) -> None:
        loaded["signatures"][0]["sig"] = other_digit(loaded["signatures"][0]["sig"])

    return rewritten(proposed(), TARGETS, change).event()


@corrupts("flip", "KT106")
def the_version_of_what_was_signed() -> Event:
    return rewritten(proposed(), TARGETS, lambda loaded: loaded["signed"].update(version=4)).event()


@corrupts("flip", "KT005")
def one_blank_in_root_1() -> Event:
    draft = proposed()
    path = "metadata/root_history/1.root.json"
    draft.files[path] = flipped(draft.files[path], b"\n ", b"\n\t")
    draft.files[ROOT] = draft.files[path]
    return draft.event()


# Drop


@corrupts("drop", "KT104", "KT306")
def the_file_of_a_role() -> Event:
    draft = proposed()
    del draft.files[PLUGINS]
    return draft.event()


@corrupts("drop", "KT003")
def the_new_root_from_the_history() -> Event:
    draft = new_root()
    del draft.files["metadata/root_history/2.root.json"]
    return draft.event()


@corrupts("drop", "KT005")
def an_old_root_from_the_history() -> Event:
    draft = new_root()
    del draft.files["metadata/root_history/1.root.json"]
    return draft.event()


@corrupts("drop", "KT117")
def consistent_snapshots() -> Event:
    return changed("root", lambda signed: signed.pop("consistent_snapshot")).event()


@corrupts("drop", "KT110", "KT405")
def an_owner() -> Event:
    return changed("root", lambda signed: signed["x-keyturn"]["signers"].pop(keyid("carol"))).event(
        policy=WISH
    )


@corrupts("drop", "KT304")
def the_archive() -> Event:
    draft = proposed()
    del draft.files[ARCHIVE]
    return draft.event()


@corrupts("drop", "KT123", "KT306")
def a_delegation_that_the_policy_names() -> Event:
    def change(signed: Signed) -> None:
        del signed["delegations"], signed["x-keyturn"]

    draft = changed("targets", change)
    del draft.files[PLUGINS]
    return draft.event(policy=WISH)


@corrupts("drop", "KT105")
def a_signer_whose_signature_still_counts_in_another_role() -> Event:
    draft = released()
    draft.remove_key("root", "targets", "bob")
    draft.add_key("root", "targets", "carol")
    return draft.sign().event()


@corrupts("drop", "KT401")
def the_policy() -> Event:
    draft = proposed()
    del draft.files["keyturn.yml"]
    return draft.event()


@corrupts("drop", "KT005", "KT104")
def all_metadata() -> Event:
    draft = released()
    draft.files = {path: data for path, data in draft.files.items() if not path.startswith("metadata/")}
    return draft.event()


# Swap


@corrupts("swap", "KT404")
def the_owners_of_two_keys() -> Event:
    def change(signed: Signed) -> None:
        owners = signed["x-keyturn"]["signers"]
        owners[keyid("alice")], owners[keyid("bob")] = owners[keyid("bob")], owners[keyid("alice")]

    return changed("root", change).event()


@corrupts("swap", "KT404")
def a_signer_s_key_for_another_under_the_same_name() -> Event:
    draft = released()
    draft.remove_key("root", "root", "carol")
    draft.add_key("root", "root", "mallory", owner={"login": "carol"})
    return draft.sign().event()


@corrupts("swap", "KT003")
def the_new_root_for_the_old_one() -> Event:
    draft = new_root()
    draft.files[ROOT] = draft.base.tree.read(ROOT)
    return draft.event()


@corrupts("swap", "KT305")
def the_bytes_of_two_targets() -> Event:
    draft = proposed()
    old = "targets/demo/demo-1.0.tar.gz"
    draft.files[old], draft.files[ARCHIVE] = draft.files[ARCHIVE], draft.files[old]
    return draft.event()


@corrupts("swap", "KT106")
def the_signatures_of_two_people() -> Event:
    def change(loaded: Signed) -> None:
        one, other = loaded["signatures"]
        one["sig"], other["sig"] = other["sig"], one["sig"]

    return rewritten(proposed(), TARGETS, change).event()


@corrupts("swap", "KT116", "KT127", "KT404")
def a_person_s_key_for_the_online_one() -> Event:
    draft = released()
    draft.remove_key("root", "targets", "bob")
    draft.add_key("root", "targets", "online", owner={"login": "bob"})
    release(draft, "2.0")
    draft.keyring["bob"] = key("online")
    return draft.sign().event()


# Sign again


@corrupts("re-sign", "KT106")
def targets_by_a_stranger_too() -> Event:
    draft = proposed()
    file = draft.state.role("targets")
    assert file
    made = signer("mallory").sign(file.payload).to_dict()
    return rewritten(draft, TARGETS, lambda loaded: loaded["signatures"].append(made)).event()


@corrupts("re-sign", "KT106")
def targets_by_one_signer_under_the_name_of_the_other_too() -> Event:
    def change(loaded: Signed) -> None:
        loaded["signatures"] = [
            {"keyid": keyid(name), "sig": loaded["signatures"][0]["sig"]} for name in ("alice", "bob")
        ]

    return rewritten(proposed(), TARGETS, change).event()


@corrupts("re-sign", "KT103", "KT105")
def an_untouched_role_by_fewer() -> Event:
    draft = released()
    draft.list_target("plugins", "plugins/more.zip", b"more\n")
    draft.sign()
    draft.strip("targets", "bob")
    return draft.event()


@corrupts("re-sign", "KT105", "KT404")
def nothing_after_a_key_was_replaced() -> Event:
    draft = released()
    draft.remove_key("targets", "plugins", "carol")
    draft.add_key("targets", "plugins", "mallory", owner={"login": "carol"})
    return draft.sign().event()


@corrupts("re-sign", "KT107", "KT108", "KT109")
def one_key_under_two_names() -> Event:
    draft = released()
    public = key("alice")
    odd = SSlibKey("0dd" + "0" * 61, public.keytype, public.scheme, dict(public.keyval))
    draft.add_key("root", "targets", "alice", public=odd)
    return draft.sign().event()


# Date again


@corrupts("re-date", "KT112")
def targets_beyond_their_period() -> Event:
    return changed("targets", lambda signed: signed.update(expires="9999-12-31T23:59:59Z")).event()


@corrupts("re-date", "KT113")
def targets_into_the_past() -> Event:
    return changed("targets", lambda signed: signed.update(expires="2026-08-31T12:00:00Z")).event()


@corrupts("re-date", "KT119", "KT121", "KT122")
def the_period_of_targets_to_twenty_seven_years() -> Event:
    def change(signed: Signed) -> None:
        signed["x-keyturn"]["periods"]["targets"] = {"expires": "9999d", "renew": "30d"}

    return changed("root", change).event(policy=WISH)


@corrupts("re-date", "KT101", "KT306")
def plugins_in_another_form_of_the_same_moment() -> Event:
    def change(loaded: Signed) -> None:
        loaded["signed"]["expires"] = "2026-12-30T12:00:00+00:00"

    return rewritten(released(), PLUGINS, change).event()


@corrupts("re-date", "KT113", "KT114")
def the_clock_by_half_a_year() -> Event:
    return proposed().event(now=NOW + 180 * DAY)


# Rename


@corrupts("rename", "KT104", "KT106", "KT306")
def a_role_s_file() -> Event:
    draft = proposed()
    draft.files["metadata/plugin.json"] = draft.files.pop(PLUGINS)
    return draft.event()


@corrupts("rename", "KT402")
def the_repository() -> Event:
    draft = released()
    draft.files["keyturn.yml"] = flipped(draft.files["keyturn.yml"], b"acme-updates", b"acne-updates")
    return draft.event()


@corrupts("rename", "KT003", "KT005", "KT104")
def a_root_of_the_history() -> Event:
    draft = new_root()
    draft.files["metadata/root_history/02.root.json"] = draft.files.pop("metadata/root_history/2.root.json")
    return draft.event()


@corrupts("rename", "KT304", "KT306")
def the_archive_but_not_its_entry() -> Event:
    draft = proposed()
    draft.files["targets/demo/demo-2.0.1.tar.gz"] = draft.files.pop(ARCHIVE)
    return draft.event()


@corrupts("rename", "KT307")
def a_plugin_to_a_release() -> Event:
    draft = released()
    draft.list_target("plugins", "demo/demo-2.0.tar.gz", b"content\n")
    return draft.sign().event()


@corrupts("rename", "KT301")
def a_key_s_file_to_a_copy_of_it() -> Event:
    draft = proposed()
    draft.files["keyring/alice.pub.orig"] = draft.files["keyring/alice.pub"]
    return draft.event()


# Truncate


@corrupts("truncate", "KT101", "KT306")
def the_file_of_a_role_by_half() -> Event:
    draft = released()
    draft.files[PLUGINS] = draft.files[PLUGINS][:100]
    return draft.event()


@corrupts("truncate", "KT003")
def the_last_byte_of_root_json() -> Event:
    draft = new_root()
    draft.files[ROOT] = draft.files[ROOT][:-1]
    return draft.event()


@corrupts("truncate", "KT305")
def the_archive_by_a_byte() -> Event:
    draft = proposed()
    draft.files[ARCHIVE] = draft.files[ARCHIVE][:-1]
    return draft.event()


@corrupts("truncate", "KT401")
def the_policy_in_the_middle() -> Event:
    draft = proposed()
    draft.files["keyturn.yml"] = draft.files["keyturn.yml"][:200]
    return draft.event()


@corrupts("truncate", "KT102", "KT005")
def the_line_of_roots_by_skipping_one() -> Event:
    draft = released()
    with draft.edit("root") as signed:
        signed["version"] = 3
    return draft.sign().event()


@corrupts("truncate", "KT103")
def the_numbers_of_targets_by_a_leap() -> Event:
    return changed("targets", lambda signed: signed.update(version=999_999_999)).event()


@corrupts("truncate", "KT115", "KT118")
def the_threshold_of_targets() -> Event:
    return changed("root", lambda signed: signed["roles"]["targets"].update(threshold=1)).event()


# Duplicate


@corrupts("duplicate", "KT101", "KT306")
def a_field_of_a_role() -> Event:
    draft = released()
    draft.files[PLUGINS] = flipped(draft.files[PLUGINS], b'"targets": {', b'"targets": {},\n  "targets": {')
    return draft.event()


@corrupts("duplicate", "KT101", "KT306")
def a_signature() -> Event:
    return rewritten(
        released(), PLUGINS, lambda loaded: loaded["signatures"].append(loaded["signatures"][0])
    ).event()


@corrupts("duplicate", "KT109", "KT404")
def a_person_by_a_second_key() -> Event:
    draft = released()
    draft.add_key("root", "root", "mallory", owner={"login": "alice"})
    return draft.sign().event()


@corrupts("duplicate", "KT308")
def a_version_with_other_contents() -> Event:
    said = {"app": "demo", "platform": "", "version": "1.0.0", "tree": "5a" * 32}
    return listing("demo/demo-1.0.0.tar.gz", custom={"user": {"keyturn": said}}).event()


@corrupts("duplicate", "KT003", "KT005")
def the_new_root_under_the_next_number() -> Event:
    draft = new_root()
    draft.files["metadata/root_history/3.root.json"] = draft.files[ROOT]
    return draft.event()


@corrupts("duplicate", "KT103")
def a_version_with_other_targets() -> Event:
    draft = released()
    with draft.edit("targets", bump=False) as signed:
        signed["targets"]["notes.txt"] = target(b"content\n")
    draft.files["targets/notes.txt"] = b"content\n"
    return draft.sign().event()


# Another order


@corrupts("re-order", "KT123")
def delegations_against_the_policy() -> Event:
    draft = released()
    draft.delegate("themes", "bob", paths=["themes/*"])
    draft.add_role("themes")
    main = draft.sign().merged()
    wish = main.event().policy
    with main.edit("targets") as signed:
        signed["delegations"]["roles"].reverse()
    return main.sign().event(policy=wish)


@corrupts("re-order", "KT311")
def a_role_before_another_whose_target_it_takes() -> Event:
    draft = released()
    draft.delegate("themes", "bob", paths=["plugins/*"])
    with draft.edit("targets") as signed:
        signed["delegations"]["roles"].reverse()
        signed["delegations"]["roles"][0]["terminating"] = True
    draft.add_role("themes")
    return draft.sign().event()


@corrupts("re-order", "KT103")
def the_signatures_of_an_untouched_role() -> Event:
    return rewritten(released(), TARGETS, lambda loaded: loaded["signatures"].reverse()).event()


@corrupts("re-order", "KT103")
def versions_so_that_targets_go_back() -> Event:
    return changed("targets", lambda signed: signed.update(version=1)).event()


# Case


@corrupts("case", "KT305")
def a_hash() -> Event:
    def change(signed: Signed) -> None:
        hashes = signed["targets"]["demo/demo-1.0.tar.gz"]["hashes"]
        hashes["sha256"] = hashes["sha256"].upper()

    return changed("targets", change).event()


@corrupts("case", "KT104", "KT106", "KT306")
def the_name_of_a_role_s_file() -> Event:
    draft = proposed()
    draft.files["metadata/Plugins.json"] = draft.files.pop(PLUGINS)
    return draft.event()


@corrupts("case", "KT109", "KT404")
def a_login_under_which_somebody_holds_a_second_key() -> Event:
    draft = released()
    draft.add_key("root", "root", "mallory", owner={"login": "ALICE"})
    return draft.sign().event()


@corrupts("case", "KT312")
def a_second_target_that_differs_by_it_alone() -> Event:
    return listing("demo/DEMO-1.0.tar.gz").event()


@corrupts("case", "KT101", "KT306")
def the_type_of_a_role() -> Event:
    return rewritten(released(), PLUGINS, lambda loaded: loaded["signed"].update(_type="Targets")).event()


# Unicode


@corrupts("Unicode", "KT303")
def a_path_that_is_written_backwards() -> Event:
    return listing("demo/\u202egz.exe").event()


@corrupts("Unicode", "KT312")
def a_second_form_of_a_path() -> Event:
    draft = listing("demo/\u00e9").merged()
    draft.list_target("targets", "demo/e\u0301", b"content\n")
    return draft.sign().event()


@corrupts("Unicode", "KT309")
def a_release_s_version_with_a_character_without_width() -> Event:
    said = {"app": "demo", "platform": "", "version": "1.0\u200b", "tree": "5a" * 32}
    return listing("demo/demo-1.1.tar.gz", custom={"user": {"keyturn": said}}).event()


@corrupts("Unicode", "KT104")
def the_name_of_a_role_in_other_letters() -> Event:
    draft = released()
    draft.delegate("\u0440lugins", "bob", paths=["others/*"])
    draft.add_role("\u0440lugins")
    return draft.sign().event()


@corrupts("Unicode", "KT110")
def a_login_in_other_letters() -> Event:
    draft = released()
    draft.add_key("root", "root", "mallory", owner={"login": "\u0430lice"})
    return draft.sign().event()


@corrupts("Unicode", "KT101", "KT306")
def a_byte_order_mark() -> Event:
    draft = released()
    draft.files[PLUGINS] = b"\xef\xbb\xbf" + draft.files[PLUGINS]
    return draft.event()
