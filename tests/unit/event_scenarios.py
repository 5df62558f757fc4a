"""For each rule on signing events: what breaks it and nothing else, and what comes close and keeps it.

Everything else is hashed and signed again around the break, so that the ids of the findings are exactly those
that the case is about.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP384R1,
    SECP521R1,
    EllipticCurve,
    derive_private_key,
)
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from securesystemslib.signer import SSlibKey

from keyturn.state import Problem, canonical, sha256_hex, spec_keyid
from keyturn.verify import Event, Keyring, Severity
from unit.repository import (
    DAY,
    NOW,
    POLICY,
    Draft,
    Edit,
    as_scheme,
    document,
    founded,
    founding,
    key,
    keyid,
    release,
    released,
    rendered,
    rotated,
    signer,
    target,
)
from unit.scenario import Table

EVENTS: Table[Event] = Table()
breaks, keeps = EVENTS.breaks, EVENTS.keeps
ROOT = "metadata/root.json"
TARGETS = "metadata/targets.json"
PLUGINS = "metadata/plugins.json"
ONE_SIGNER = POLICY.replace("signers: [alice, bob], threshold: 2", "signers: [alice], threshold: 1")


def history(version: int) -> str:
    return f"metadata/root_history/{version}.root.json"


def with_main(draft: Draft, path: str, data: bytes | None) -> Draft:
    """A draft on a ``main`` that was changed behind everybody's back."""
    files = dict(draft.files)
    if data is None:
        del files[path]
    else:
        files[path] = data
    changed = Draft(files)
    changed.keyring = dict(draft.keyring)
    return changed


def with_release(draft: Draft) -> Draft:
    release(draft, "2.0")
    return draft.sign()


# KT0xx: root chain and baseline


@breaks("KT001", where=history(1), says=f"pinned is {'5a' * 32}")
def another_root_1_is_pinned() -> Event:
    return with_release(released()).event(pinned="5a" * 32)


@breaks("KT001", where=history(1), says="root 1 is missing", also=("KT002",))
def root_1_is_not_there_to_be_compared() -> Event:
    return with_release(with_main(rotated(), history(1), None)).event(pinned="5a" * 32)


@breaks("KT001", where=history(1), says="main has no metadata and the event proposes root ")
def a_pinned_repository_is_founded_anew() -> Event:
    return founding().sign().event(pinned="5a" * 32)


@breaks("KT001", where=history(1), says="main has no metadata and the event proposes no root")
def a_pinned_repository_has_lost_all_metadata() -> Event:
    return Draft({}).event(pinned="5a" * 32, policy=released().event().policy)


@breaks("KT001", where=history(1), says="no root digest is pinned here", severity=Severity.WARNING)
def nothing_is_pinned() -> Event:
    return with_release(released()).event(pinned=None)


@keeps("KT001")
def the_pinned_root_1_has_one_signature_more_than_when_it_was_pinned() -> Event:
    draft = founding()
    digest = draft.state.roots[1].digest
    return with_release(draft.sign().merged()).event(pinned=digest)


@keeps("KT001")
def the_founding_event_proposes_the_root_that_its_first_signer_pinned() -> Event:
    draft = founding().sign()
    return draft.event(pinned=draft.state.roots[1].digest)


def chain(*, without: tuple[str, ...]) -> Draft:
    """Main with root 2, by dave and two of root 1's three, signed by all but some."""
    draft = released()
    draft.remove_key("root", "root", "carol")
    draft.add_key("root", "root", "dave")
    return draft.sign(without={"root": without}).merged()


@breaks("KT002", where=history(2), says="root 2 has 1 of 2 signatures needed under root 1")
def root_2_is_not_signed_by_enough_of_the_old_root() -> Event:
    return with_release(chain(without=("bob", "carol"))).event()


def _replaced(*, without: tuple[str, ...]) -> Draft:
    draft = released()
    for name in ("alice", "bob"):
        draft.remove_key("root", "root", name)
    for name in ("dave", "erin"):
        draft.add_key("root", "root", name)
    return draft.sign(without={"root": without}).merged()


@breaks("KT002", where=history(2), says="root 2 has 1 of 2 signatures needed under root 2")
def root_2_is_not_signed_by_enough_of_its_own_keys() -> Event:
    return with_release(_replaced(without=("dave", "erin"))).event()


@breaks("KT002", where=history(2), says="root 2 is missing")
def a_root_in_the_middle_is_missing() -> Event:
    draft = rotated()
    draft.remove_key("root", "root", "dave")
    main = draft.sign().merged()
    return with_release(with_main(main, history(2), None)).event()


@breaks("KT002", where=history(2), says="holds root 1")
def a_root_in_the_middle_is_another() -> Event:
    draft = rotated()
    draft.remove_key("root", "root", "dave")
    main = draft.sign().merged()
    return with_release(with_main(main, history(2), main.files[history(1)])).event()


@breaks("KT002", where=ROOT, says="no readable root", also=("KT101", "KT104", "KT306"))
def main_has_metadata_but_no_root() -> Event:
    draft = with_main(released(), ROOT, b"{}")
    draft.files["channels.yml"] = b"demo: {}\n"
    return draft.event()


@keeps("KT002")
def old_and_new_root_share_one_signer_and_both_thresholds_are_just_met() -> Event:
    draft = released()
    draft.remove_key("root", "root", "bob")
    draft.remove_key("root", "root", "carol")
    draft.add_key("root", "root", "dave")
    draft.add_key("root", "root", "erin")
    return with_release(draft.sign(without={"root": ("carol", "erin")}).merged()).event()


@breaks("KT003", where=ROOT, says=f"in the event is not byte-equal to {history(2)}")
def root_json_lacks_a_signature_that_its_copy_has() -> Event:
    draft = released()
    draft.add_key("root", "root", "dave")
    draft.sign()
    draft.strip("root", "carol")
    return draft.event()


@breaks("KT003", where=ROOT, says=f"in the event is not byte-equal to {history(2)}")
def the_new_root_is_not_kept_in_the_history() -> Event:
    draft = released()
    draft.add_key("root", "root", "dave")
    draft.sign()
    del draft.files[history(2)]
    return draft.event()


@breaks("KT003", where=ROOT, says="in the event is root 1, but the history goes on to root 2")
def the_history_is_ahead_of_root_json() -> Event:
    draft = released()
    draft.add_key("root", "root", "dave")
    draft.sign()
    draft.files[ROOT] = draft.base.tree.read(ROOT)
    return draft.event()


@breaks("KT003", where=ROOT, says=f"in main is not byte-equal to {history(1)}")
def root_json_on_main_is_another_than_its_copy() -> Event:
    return with_release(with_main(released(), ROOT, released().files[ROOT] + b"\n")).event()


@keeps("KT003")
def root_json_and_its_copy_get_the_same_signatures() -> Event:
    draft = rotated()
    draft.remove_key("root", "root", "dave")
    return draft.sign(without={"root": ("carol",)}).event()


@breaks("KT004", where=TARGETS, says="targets 2 on main has 1 of 2 signatures needed")
def a_role_on_main_is_signed_by_too_few() -> Event:
    draft = released()
    draft.strip("targets", "bob")
    return with_release(with_main(released(), TARGETS, draft.files[TARGETS])).event()


@breaks("KT004", where=PLUGINS, says="on main not readable as JSON")
def a_role_on_main_cannot_be_read() -> Event:
    draft = with_main(released(), PLUGINS, b"{")
    draft.add_role("plugins", version=3)
    draft.list_target("plugins", "plugins/spell.zip", b"a plugin\n")
    return draft.sign().event()


@breaks("KT004", where="plugins", says="the role plugins has no readable file on main")
def a_role_is_missing_on_main() -> Event:
    draft = with_main(released(), PLUGINS, None)
    draft.add_role("plugins", version=3)
    draft.list_target("plugins", "plugins/spell.zip", b"a plugin\n")
    return draft.sign().event()


@keeps("KT004", also=("KT114",))
def a_role_on_main_that_expired_is_signed_all_the_same() -> Event:
    return with_release(released()).event(now=NOW + 119 * DAY, policy=released().event().policy)


@breaks("KT005", where=history(1), says="is changed by the event")
def an_old_root_is_written_anew() -> Event:
    draft = rotated()
    draft.files[history(1)] += b"\n"
    return with_release(draft).event()


@breaks("KT005", where=history(1), says="is removed by the event")
def an_old_root_is_removed() -> Event:
    draft = rotated()
    del draft.files[history(1)]
    return with_release(draft).event()


@breaks("KT005", where=history(4), says=f"is added by the event; only {history(3)} may be", also=("KT003",))
def a_root_is_put_in_far_ahead() -> Event:
    draft = rotated()
    draft.files[history(4)] = draft.files[ROOT]
    return with_release(draft).event()


@keeps("KT005")
def the_next_root_is_added() -> Event:
    draft = rotated()
    draft.remove_key("root", "root", "dave")
    return draft.sign().event()


@breaks("KT006", where=TARGETS, says="is targets 3, but targets 4 was published")
def clients_hold_newer_targets_than_main() -> Event:
    return with_release(released()).event(published={"root": 1, "targets": 4, "plugins": 2})


@breaks("KT006", where=ROOT, says="is root 1, but root 2 was published")
def clients_hold_a_newer_root_than_main() -> Event:
    return with_release(released()).event(published={"root": 2})


@keeps("KT006")
def clients_hold_what_main_has_and_a_role_that_is_gone() -> Event:
    return released().event(published={"root": 1, "targets": 2, "plugins": 2, "themes": 9})


# KT1xx: the event


@breaks("KT100", where=TARGETS, says="changed both by the event and on main")
def event_and_main_change_the_same_file() -> Event:
    return with_release(released()).event(conflicts=(TARGETS,))


@keeps("KT100")
def event_and_main_do_not_meet() -> Event:
    return with_release(released()).event(conflicts=())


@breaks("KT101", where=PLUGINS, says="the key 'version' stands twice in one object")
def a_role_has_one_json_key_twice() -> Event:
    draft = founded()
    draft.files[PLUGINS] = draft.files[PLUGINS].replace(b'"version": 1', b'"version": 1,\n  "version": 2')
    return draft.event()


@breaks("KT101", where=PLUGINS, says="the key 'plugins/spell.zip' stands twice in one object")
def a_target_is_listed_twice() -> Event:
    draft = released()
    twice = draft.files[PLUGINS].replace(b'"targets": {', b'"targets": {"plugins/spell.zip": {"length": 1},')
    draft.files[PLUGINS] = twice
    del draft.files["targets/plugins/spell.zip"]
    return draft.event()


@breaks("KT101", where=PLUGINS, says="delegates to hash bins (succinct_roles)")
def a_role_delegates_to_hash_bins_that_nobody_would_be_shown() -> Event:
    draft = founded()
    with draft.edit("plugins") as signed:
        bins = {"keyids": [keyid("mallory")], "threshold": 1, "bit_length": 4, "name_prefix": "bin"}
        signed["delegations"] = {"keys": {keyid("mallory"): key("mallory").to_dict()}, "succinct_roles": bins}
    return draft.event()


@breaks("KT101", where="metadata/timestamp.json", says="not TUF metadata", also=("KT004",))
def an_online_role_that_an_adopted_repository_keeps_cannot_be_read() -> Event:
    return with_release(with_main(released(), "metadata/timestamp.json", b"{}")).event()


@keeps("KT101")
def unknown_fields_are_no_fault() -> Event:
    draft = released()
    with draft.edit("targets") as signed:
        signed["x-build"] = {"note": "Grüße", "number": 7, "list": [None, True, []]}
    return draft.sign().event()


@breaks("KT102", where=ROOT, says="is version 3, the next root must be 2", also=("KT005",))
def root_skips_a_version() -> Event:
    draft = released()
    draft.add_key("root", "root", "dave")
    with draft.edit("root") as signed:
        signed["version"] = 3
    return draft.sign().event()


@breaks("KT102", where=ROOT, says="is version 1, the next root must be 2", also=("KT005",))
def root_changes_and_keeps_its_version() -> Event:
    draft = released()
    with draft.edit("root", bump=False) as signed:
        signed["expires"] = "2027-08-31T12:00:00Z"
    return draft.sign().event()


@breaks("KT102", where=ROOT, says="is version 2, the next root must be 1", also=("KT005",))
def a_repository_is_founded_with_root_2() -> Event:
    draft = founding()
    del draft.files[history(1)]
    with draft.edit("root") as signed:
        signed["version"] = 2
    return draft.sign().event()


@keeps("KT102")
def root_goes_up_by_one() -> Event:
    draft = released()
    draft.add_key("root", "root", "dave")
    return draft.sign().event()


@breaks("KT103", where=TARGETS, says="is version 2, main already has 2")
def targets_keep_their_version() -> Event:
    draft = released()
    with draft.edit("targets", bump=False) as signed:
        del signed["targets"]["demo/demo-1.0.tar.gz"]
    del draft.files["targets/demo/demo-1.0.tar.gz"]
    return draft.sign().event()


@breaks("KT103", where=TARGETS, says="is version 1, main already has 2")
def targets_go_back() -> Event:
    draft = released()
    release(draft, "2.0")
    with draft.edit("targets") as signed:
        signed["version"] = 1
    return draft.sign().event()


@breaks("KT103", where=TARGETS, says="is version 2, main already has 2")
def a_published_file_gets_other_bytes_for_the_same_version() -> Event:
    draft = released()
    draft.files[TARGETS] += b"\n"
    return draft.event()


@breaks("KT103", where=TARGETS, says="is version 103, main has 2: at most 100 may be skipped")
def targets_leap_ahead() -> Event:
    draft = released()
    release(draft, "2.0")
    with draft.edit("targets") as signed:
        signed["version"] = 103
    return draft.sign().event()


@breaks("KT103", where=TARGETS, says="is version 2, the first must be 1")
def a_repository_is_founded_with_targets_2() -> Event:
    draft = founding()
    with draft.edit("targets") as signed:
        signed["version"] = 2
    return draft.sign().event()


@keeps("KT103")
def a_version_that_a_closed_event_burned_is_skipped() -> Event:
    draft = released()
    release(draft, "2.0")
    with draft.edit("targets") as signed:
        signed["version"] = 102
    return draft.sign().event()


@keeps("KT103")
def a_new_role_goes_on_with_the_numbers_of_one_that_was_removed() -> Event:
    draft = released()
    draft.delegate("themes", "dave", paths=["themes/*"])
    draft.add_role("themes", version=7)
    return draft.sign().event()


@breaks("KT104", where="metadata/themes.json", says="is delegated by no role")
def a_role_that_nobody_delegates_to() -> Event:
    draft = released()
    draft.add_role("themes")
    return draft.event()


@breaks("KT104", where="metadata/themes.json", says="is missing, though targets delegates to it")
def a_delegated_role_without_metadata() -> Event:
    draft = released()
    draft.delegate("themes", "dave", paths=["themes/*"])
    return draft.sign().event()


@breaks("KT104", where=PLUGINS, says="is missing, though targets delegates to it", also=("KT306",))
def the_file_of_a_role_is_removed_but_not_its_delegation() -> Event:
    draft = released()
    del draft.files[PLUGINS]
    return draft.event()


@breaks("KT104", where="metadata/../themes.json", says="a name that is not a safe file name")
def a_role_is_named_like_a_path() -> Event:
    draft = released()
    draft.delegate("../themes", "dave", paths=["themes/*"])
    return draft.sign().event()


@breaks("KT104", where="metadata/plug\u200bins.json", says="a name that is not a safe file name")
def a_role_is_named_like_another_but_for_a_character_without_width() -> Event:
    draft = released()
    draft.delegate("plug\u200bins", "dave", paths=["themes/*"])
    draft.add_role("plug\u200bins")
    return draft.sign().event()


@breaks("KT104", where="metadata/Themes.json", says="is no role's file")
def a_role_s_file_has_an_unsafe_name() -> Event:
    draft = released()
    draft.files["metadata/Themes.json"] = rendered({"signed": draft.signed("plugins"), "signatures": []})
    return draft.event()


@breaks("KT104", where="metadata/notes.txt", says="is no role's file")
def something_else_lies_among_the_metadata() -> Event:
    draft = released()
    draft.files["metadata/notes.txt"] = b"remember the milk\n"
    return draft.event()


@breaks("KT104", where=ROOT, says="is missing, so no role is delegated by anybody", also=("KT005",))
def all_metadata_is_removed() -> Event:
    draft = released()
    for path in [path for path in draft.files if path.startswith("metadata/")]:
        del draft.files[path]
    return draft.event()


@keeps("KT104")
def a_role_is_removed_with_its_delegation_and_its_targets() -> Event:
    draft = released()
    with draft.edit("targets") as signed:
        del signed["delegations"], signed["x-keyturn"]
    del draft.files[PLUGINS], draft.files["targets/plugins/spell.zip"]
    return draft.sign().event()


@keeps("KT104")
def a_role_is_added_with_its_delegation() -> Event:
    draft = released()
    draft.delegate("themes", "dave", paths=["themes/*"])
    draft.add_role("themes")
    return draft.sign().event()


def bob_leaves_targets() -> Draft:
    draft = released()
    draft.remove_key("root", "targets", "bob")
    draft.add_key("root", "targets", "dave")
    return draft


@breaks("KT105", where=TARGETS, says="targets 2 is not changed here, but would have only 1 of 2 signatures")
def a_key_is_removed_and_the_role_that_it_signed_stays_as_it_is() -> Event:
    return bob_leaves_targets().sign().event()


@breaks("KT105", where=TARGETS, says="would have only 2 of 3 signatures needed under root 2")
def a_threshold_is_raised_above_what_signed() -> Event:
    draft = released()
    draft.add_key("root", "targets", "dave")
    with draft.edit("root") as signed:
        signed["roles"]["targets"]["threshold"] = 3
    return draft.sign().event()


@breaks("KT105", where=PLUGINS, says="would have only 0 of 1 signatures needed under targets 3")
def a_delegated_role_changes_hands_and_is_not_signed_anew() -> Event:
    draft = released()
    draft.remove_key("targets", "plugins", "carol")
    draft.add_key("targets", "plugins", "dave")
    return draft.sign().event()


@keeps("KT105")
def a_key_is_removed_and_the_role_that_it_signed_is_proposed_anew() -> Event:
    draft = bob_leaves_targets()
    release(draft, "2.0")
    return draft.sign().event()


@keeps("KT105")
def a_key_that_is_not_needed_is_removed() -> Event:
    draft = Draft(three_sign_targets().files)
    draft.remove_key("root", "targets", "carol")
    return draft.sign().event()


def three_sign_targets() -> Draft:
    return founded(
        POLICY.replace("targets: {signers: [alice, bob]", "targets: {signers: [alice, bob, carol]")
    )


@breaks(
    "KT106", where=TARGETS, says=f"carries a signature by key {keyid('mallory')[:16]}, which may not sign it"
)
def a_stranger_signs_too() -> Event:
    draft = with_release(released())
    _put_signature(draft, "targets", "mallory")
    return draft.event()


@breaks("KT106", where=TARGETS, says=f"by alice (key {keyid('alice')[:16]}) over other bytes")
def a_signature_is_over_other_bytes() -> Event:
    draft = released()
    release(draft, "2.0")
    draft.sign(without={"targets": ("alice",)})
    _put_signature(draft, "targets", "alice", payload=b"another payload")
    return draft.event()


def _put_signature(draft: Draft, role: str, name: str, *, payload: bytes | None = None) -> None:
    path = f"metadata/{role}.json"
    file = draft.state.role(role)
    assert file
    signature = signer(name).sign(file.payload if payload is None else payload)
    loaded = document(draft.files[path])
    loaded["signatures"].append(signature.to_dict())
    draft.files[path] = rendered(loaded)


@keeps("KT106")
def somebody_who_leaves_root_signs_the_root_that_lets_them_go() -> Event:
    draft = rotated()
    draft.remove_key("root", "root", "dave")
    draft.sign()
    assert any(keyid("dave") == one["keyid"] for one in document(draft.files[ROOT])["signatures"])
    return draft.event()


def with_odd_keyid(name: str) -> SSlibKey:
    public = key(name)
    return SSlibKey("0dd" + "0" * 61, public.keytype, public.scheme, dict(public.keyval))


@breaks(
    "KT107",
    where=ROOT,
    says=f"the keyid {'0dd' + '0' * 13} for a key whose keyid by the specification is {keyid('dave')[:16]}",
)
def a_new_key_has_a_keyid_of_its_own() -> Event:
    draft = released()
    draft.add_key("root", "root", "dave", public=with_odd_keyid("dave"))
    return draft.sign().event()


@breaks("KT107", where=ROOT, says="by the specification is", severity=Severity.WARNING)
def a_key_that_main_has_under_an_odd_keyid_only_warns() -> Event:
    draft = released()
    draft.add_key("root", "root", "dave", public=with_odd_keyid("dave"))
    main = draft.sign().merged()
    main.remove_key("root", "root", "carol")
    return main.sign().event()


@keeps("KT107")
def keys_of_every_type_have_the_keyid_of_the_specification() -> Event:
    draft = released()
    draft.add_key("root", "root", "dave")
    draft.add_key("root", "root", "erin")
    return draft.sign().event()


@breaks("KT108", where=ROOT, says="the role root has one key twice, under the keyids")
def one_rsa_key_stands_under_two_schemes_and_two_names() -> Event:
    draft = released()
    draft.add_key("root", "root", "erin")
    other = as_scheme("erin", "rsa-pkcs1v15-sha256")
    draft.add_key("root", "root", "frank", public=other)
    return draft.sign().event()


@keeps("KT108")
def one_key_in_two_roles() -> Event:
    draft = released()
    draft.add_key("root", "targets", "carol")
    return draft.sign().event()


@breaks("KT109", where=ROOT, says="alice holds two keys of the role root")
def one_person_under_two_logins_but_one_number() -> Event:
    draft = released()
    with draft.edit("root") as signed:
        signed["x-keyturn"]["signers"][keyid("alice")] = {"login": "alice", "id": 1001}
    draft.add_key("root", "root", "dave", owner={"login": "alice-at-work", "id": 1001})
    draft.keyring["alice-at-work"] = key("dave")
    return draft.sign().event()


@breaks("KT109", where=ROOT, says="holds two keys of the role root", also=("KT404", "KT406"))
def one_person_twice_in_other_letters_and_with_another_number() -> Event:
    draft = released()
    with draft.edit("root") as signed:
        signed["x-keyturn"]["signers"][keyid("alice")] = {"login": "alice", "id": 1001}
    draft.add_key("root", "root", "alice-new", owner={"login": "Alice", "id": 1002})
    return draft.sign().event()


@keeps("KT109")
def two_people_with_different_numbers() -> Event:
    draft = released()
    with draft.edit("root") as signed:
        signed["x-keyturn"]["signers"][keyid("alice")] = {"login": "alice", "id": 1001}
    draft.add_key("root", "root", "dave", owner={"login": "dave", "id": 1002})
    return draft.sign().event()


def _extension(change: Edit, role: str = "root") -> Event:
    draft = released()
    with draft.edit(role) as signed:
        change(signed)
    return draft.sign().event()


@breaks("KT110", where=ROOT, says=f"x-keyturn names no owner of key {keyid('carol')[:16]}")
def a_key_without_an_owner() -> Event:
    return _extension(lambda signed: signed["x-keyturn"]["signers"].pop(keyid("carol")))


@breaks("KT110", where=ROOT, says=f"x-keyturn names an owner of key {keyid('dave')[:16]}, which is not there")
def an_owner_without_a_key() -> Event:
    draft = released()
    draft.keyring["dave"] = key("dave")
    with draft.edit("root") as signed:
        signed["x-keyturn"]["signers"][keyid("dave")] = {"login": "dave"}
    return draft.sign().event()


@breaks("KT110", where=ROOT, says="x-keyturn has no periods for the role timestamp")
def a_role_without_periods() -> Event:
    return _extension(lambda signed: signed["x-keyturn"]["periods"].pop("timestamp"))


@breaks("KT110", where=ROOT, says="x-keyturn has periods for plugins, which is not delegated here")
def periods_without_a_role() -> Event:
    def change(signed: dict[str, Any]) -> None:
        signed["x-keyturn"]["periods"]["plugins"] = {"expires": "120d", "renew": "30d"}

    return _extension(change)


@breaks("KT110", where=ROOT, says="renews snapshot 14d before its expiry, though it is valid for 14d only")
def a_renewal_as_long_as_the_period() -> Event:
    def change(signed: dict[str, Any]) -> None:
        signed["x-keyturn"]["periods"]["snapshot"] = {"expires": "14d", "renew": "14d"}

    return _extension(change)


@breaks("KT110", where=ROOT, says="'0d' is not a duration")
def a_period_of_no_time() -> Event:
    def change(signed: dict[str, Any]) -> None:
        signed["x-keyturn"]["periods"]["targets"] = {"expires": "120d", "renew": "0d"}

    return _extension(change)


@breaks("KT110", where=ROOT, says="'-120d' is not a duration")
def a_period_below_nothing() -> Event:
    def change(signed: dict[str, Any]) -> None:
        signed["x-keyturn"]["periods"]["targets"] = {"expires": "-120d", "renew": "30d"}

    return _extension(change)


@breaks("KT110", where=ROOT, says="login is not a login")
def an_owner_is_named_like_another_but_for_the_direction_of_writing() -> Event:
    def change(signed: dict[str, Any]) -> None:
        signed["x-keyturn"]["signers"][keyid("alice")] = {"login": "ali\u202ece"}

    return _extension(change)


@breaks("KT110", where=ROOT, says="has no x-keyturn")
def no_owners_at_all() -> Event:
    return _extension(lambda signed: signed.pop("x-keyturn"))


@breaks("KT110", where=ROOT, says="x-keyturn has the unknown field 'colour'")
def an_extension_of_another_form() -> Event:
    return _extension(lambda signed: signed["x-keyturn"].update(colour="blue"))


@breaks("KT110", where=PLUGINS, says="x-keyturn.format is not 1")
def an_extension_of_another_format_in_a_role_that_delegates_to_nobody() -> Event:
    return _extension(
        lambda signed: signed.update({"x-keyturn": {"format": 2, "signers": {}, "periods": {}}}), "plugins"
    )


@keeps("KT110")
def a_role_that_delegates_to_nobody_needs_no_owners() -> Event:
    return with_release(founded(_without_delegations())).event()


def _without_delegations() -> str:
    head, _, tail = POLICY.partition("delegations:\n")
    return head + tail[tail.index("apps:") :]


@breaks("KT111", where=ROOT, says="the role targets needs 4 signatures but has 2 usable keys")
def a_threshold_above_the_number_of_keys() -> Event:
    draft = released()
    with draft.edit("root") as signed:
        signed["roles"]["targets"]["threshold"] = 4
    release(draft, "2.0")
    return draft.sign().event()


@breaks("KT111", where=TARGETS, says="the role themes needs 1 signatures but has 0 usable keys")
def a_delegation_without_any_key() -> Event:
    draft = released()
    draft.delegate("themes", "dave", paths=["themes/*"])
    with draft.edit("targets") as signed:
        del signed["delegations"]["keys"][keyid("dave")], signed["x-keyturn"]["signers"][keyid("dave")]
    draft.add_role("themes")
    return draft.sign().event()


@breaks(
    "KT111",
    where=ROOT,
    says="the role targets needs 2 signatures but has 1 usable keys",
    also=("KT126", "KT404"),
)
def a_key_that_no_client_can_read_is_no_usable_key() -> Event:
    draft = released()
    draft.remove_key("root", "targets", "bob")
    broken = SSlibKey("", "ecdsa", "ecdsa-sha2-nistp256", {"public": "no key at all"})
    broken.keyid = spec_keyid(broken)
    draft.add_key("root", "targets", "dave", public=broken)
    draft.keyring["dave"] = key("dave")
    release(draft, "2.0")
    return draft.sign().event()


@keeps("KT111")
def a_threshold_of_all() -> Event:
    draft = released()
    with draft.edit("root") as signed:
        signed["roles"]["root"]["threshold"] = 3
    return draft.sign().event()


def _expiring(role: str, after: timedelta) -> Event:
    draft = released()
    with draft.edit(role) as signed:
        signed["expires"] = f"{NOW + after:%Y-%m-%dT%H:%M:%SZ}"
    return draft.sign().event()


@breaks("KT112", where=TARGETS, says="more than 120d from now")
def targets_live_longer_than_agreed() -> Event:
    return _expiring("targets", 120 * DAY + timedelta(hours=1, seconds=1))


@breaks("KT112", where=ROOT, says="more than 365d from now")
def root_lives_longer_than_agreed() -> Event:
    return _expiring("root", 366 * DAY)


@breaks("KT112", where=PLUGINS, says="more than 120d from now")
def a_delegated_role_lives_longer_than_agreed() -> Event:
    return _expiring("plugins", 121 * DAY)


@keeps("KT112")
def the_clock_of_the_proposer_is_an_hour_ahead() -> Event:
    return _expiring("targets", 120 * DAY + timedelta(hours=1))


@breaks("KT113", where=TARGETS, says="expired on 2026-09-01 12:00Z, before anybody signed it")
def what_is_proposed_expires_this_very_moment() -> Event:
    return _expiring("targets", timedelta())


@keeps("KT113")
def what_is_proposed_expires_in_a_second() -> Event:
    return _expiring("targets", timedelta(seconds=1))


@breaks("KT114", where=TARGETS, says="targets 2 expired on 2026-12-30 12:00Z", severity=Severity.WARNING)
def an_untouched_role_has_expired() -> Event:
    return _root_event_after(120 * DAY)


@breaks(
    "KT114",
    where=PLUGINS,
    says="plugins 2 expires on 2026-12-30 12:00Z and is due",
    severity=Severity.WARNING,
)
def an_untouched_role_is_due() -> Event:
    return _root_event_after(90 * DAY)


@keeps("KT114")
def an_untouched_role_is_due_in_a_second() -> Event:
    return _root_event_after(90 * DAY - timedelta(seconds=1))


def _root_event_after(passed: timedelta) -> Event:
    draft = released()
    draft.add_key("root", "root", "dave")
    with draft.edit("root") as signed:
        signed["expires"] = f"{NOW + passed + 365 * DAY:%Y-%m-%dT%H:%M:%SZ}"
    return draft.sign().event(now=NOW + passed)


def _threshold_of_one(role: str) -> Draft:
    draft = released()
    with draft.edit("root") as signed:
        signed["roles"][role]["threshold"] = 1
    return draft.sign()


@breaks("KT115", where=ROOT, says="one person alone can sign the role targets", also=("KT118",))
def targets_take_one_person() -> Event:
    return _threshold_of_one("targets").event()


@breaks("KT115", where=ROOT, says="one person alone can sign the role root", also=("KT118",))
def root_takes_one_person() -> Event:
    return _threshold_of_one("root").event()


def _single_signer() -> str:
    return POLICY.replace("{signers: [alice, bob], threshold: 2", "{signers: [alice], threshold: 1") + (
        "single-signer: true\n"
    )


@breaks("KT115", where=ROOT, says="one person alone can sign the role targets", severity=Severity.WARNING)
def what_single_signer_allows_is_said_at_founding() -> Event:
    return founding(_single_signer(), ("alice", "bob", "carol", "online")).sign().event()


@breaks("KT115", where=ROOT, says="one person alone can sign the role targets", severity=Severity.WARNING)
def what_single_signer_allows_is_said_in_every_event() -> Event:
    return with_release(founded(_single_signer())).event()


@keeps("KT115")
def a_delegated_role_may_take_one_person() -> Event:
    return with_release(founded()).event()


@breaks("KT116", where=ROOT, says=f"lets the online key {keyid('online')[:16]} sign the role targets")
def the_online_key_counts_for_targets() -> Event:
    draft = released()
    draft.add_key("root", "targets", "online", owner="online")
    return draft.sign().event()


@breaks(
    "KT116",
    where=ROOT,
    says=f"lets the online key {as_scheme('erin', 'rsa-pkcs1v15-sha256').keyid[:16]} sign the role root",
    also=("KT127",),
)
def the_online_key_counts_for_root_under_another_scheme_and_name() -> Event:
    draft = released()
    for role in ("snapshot", "timestamp"):
        draft.remove_key("root", role, "online")
        draft.add_key("root", role, "erin", owner="online")
    draft.keyring["online"] = key("erin")
    draft.add_key("root", "root", "frank", public=as_scheme("erin", "rsa-pkcs1v15-sha256"))
    return draft.sign().event()


@keeps("KT116")
def the_online_key_may_sign_what_is_delegated_to_it() -> Event:
    draft = released()
    draft.add_key("targets", "plugins", "online", owner="online")
    return draft.sign().event()


@breaks("KT117", where=ROOT, says="turns consistent snapshots off")
def consistent_snapshots_are_turned_off() -> Event:
    return _extension(lambda signed: signed.update(consistent_snapshot=False))


@breaks("KT117", where=ROOT, says="turns consistent snapshots off")
def consistent_snapshots_are_no_longer_mentioned() -> Event:
    return _extension(lambda signed: signed.pop("consistent_snapshot"))


@keeps("KT117")
def consistent_snapshots_are_on() -> Event:
    return _extension(lambda signed: signed.update(consistent_snapshot=True))


def _wishing(before: str, after: str) -> Draft:
    """A draft whose policy asks for something else; the metadata does not follow by itself."""
    draft = released()
    assert before in POLICY
    draft.files["keyturn.yml"] = POLICY.replace(before, after).encode()
    return draft


def _target_period(draft: Draft, expires: str) -> Event:
    with draft.edit("root") as signed:
        signed["x-keyturn"]["periods"]["targets"]["expires"] = expires
    return draft.sign().event()


@breaks("KT118", where=ROOT, says="lowers the threshold of root from 3 to 2", severity=Severity.WARNING)
def fewer_people_than_before_are_enough() -> Event:
    draft = released()
    with draft.edit("root") as signed:
        signed["roles"]["root"]["threshold"] = 3
    main = draft.sign().merged()
    with main.edit("root") as signed:
        signed["roles"]["root"]["threshold"] = 2
    return main.sign().event()


@breaks("KT118", where=TARGETS, says="lowers the threshold of themes from 2 to 1", severity=Severity.WARNING)
def fewer_people_are_enough_for_a_delegated_role() -> Event:
    draft = released()
    draft.delegate("themes", "dave", paths=["themes/*"], threshold=2)
    draft.add_key("targets", "themes", "alice")
    draft.add_role("themes")
    main = draft.sign().merged()
    with main.edit("targets") as signed:
        signed["delegations"]["roles"][1]["threshold"] = 1
    return main.sign().event()


@keeps("KT118")
def as_many_people_as_before_of_fewer_are_needed() -> Event:
    draft = rotated()
    draft.remove_key("root", "root", "dave")
    return draft.sign().event()


@breaks(
    "KT119",
    where=ROOT,
    says="lets targets be valid for 121d, not for 120d as before",
    severity=Severity.WARNING,
)
def a_period_grows_by_a_day() -> Event:
    return _target_period(released(), "121d")


@keeps("KT119")
def the_same_period_in_hours() -> Event:
    return _target_period(released(), "2880h")


@breaks("KT120", where="the trial", says="with root 1 alone does not update")
def the_client_of_the_trial_did_not_get_there() -> Event:
    refused = "a stock client with root 1 alone does not update: timestamp was signed by 0/1 keys"
    return with_release(released()).event(stranded=refused)


@keeps("KT120")
def the_client_of_the_trial_got_there() -> Event:
    return with_release(released()).event(stranded=None)


@breaks("KT121", where=ROOT, says="lets targets be valid for 121d, the policy asks for 120d", also=("KT119",))
def a_period_grows_beyond_what_the_policy_asks_for() -> Event:
    return _target_period(_wishing("acme-updates\n", "acme-updates\n# reviewed\n"), "121d")


@breaks("KT121", where=ROOT, says="lets targets be valid for 110d, the policy asks for 100d")
def a_period_follows_the_policy_half_way() -> Event:
    return _target_period(
        _wishing("expires: 120d, renew: 30d}\nonline", "expires: 100d, renew: 30d}\nonline"), "110d"
    )


@breaks("KT121", where=TARGETS, says="lets plugins be valid for 60d, the policy asks for 59d")
def a_delegated_role_of_a_founding_event_lives_longer_than_the_policy_asks_for() -> Event:
    draft = founding()
    draft.files["keyturn.yml"] = POLICY.replace(
        "expires: 120d\n    renew", "expires: 59d\n    renew"
    ).encode()
    for role in ("targets", "plugins"):
        with draft.edit(role) as signed:
            signed["expires"] = f"{NOW + 50 * DAY:%Y-%m-%dT%H:%M:%SZ}"
            if role == "targets":
                signed["x-keyturn"]["periods"]["plugins"]["expires"] = "60d"
    return draft.sign().event()


@keeps("KT121", also=("KT405",))
def a_period_stays_though_the_policy_asks_for_less() -> Event:
    draft = _wishing("expires: 120d, renew: 30d}\nonline", "expires: 100d, renew: 30d}\nonline")
    draft.add_key("root", "root", "dave")
    draft.files["keyturn.yml"] = draft.files["keyturn.yml"].replace(b"bob, carol]", b"bob, carol, dave]")
    return draft.sign().event()


@keeps("KT121", also=("KT119",))
def a_period_grows_to_what_the_policy_asks_for() -> Event:
    return _target_period(
        _wishing("expires: 120d, renew: 30d}\nonline", "expires: 130d, renew: 30d}\nonline"), "130d"
    )


def _founded_with_root_period(days: int) -> Draft:
    return founded(POLICY.replace("expires: 365d", f"expires: {days}d"))


@breaks("KT122", where=ROOT, says="lets root be valid for 3651d, more than 3650d")
def a_root_for_more_than_ten_years() -> Event:
    return founding(POLICY.replace("expires: 365d", "expires: 3651d")).sign().event()


@breaks("KT122", where=ROOT, says="lets root be valid for 3651d", severity=Severity.WARNING)
def a_root_that_was_for_more_than_ten_years_before() -> Event:
    draft = _founded_with_root_period(3651)
    draft.add_key("root", "root", "dave")
    return draft.sign().event()


@keeps("KT122")
def a_root_for_ten_years() -> Event:
    return founding(POLICY.replace("expires: 365d", "expires: 3650d")).sign().event()


def _reviewed() -> Draft:
    """A draft whose policy is the one of main, and is not bent to follow the metadata."""
    return _wishing("acme-updates\n", "acme-updates\n# reviewed\n")


THEMES = """\
  themes: {paths: ["themes/*"], signers: [dave], threshold: 1, expires: 120d, renew: 30d, terminating: false}
"""


@breaks("KT123", where=TARGETS, says="adds the delegation to themes, which the policy does not name")
def a_delegation_is_added_behind_the_policy_s_back() -> Event:
    draft = _reviewed()
    draft.delegate("themes", "dave", paths=["themes/*"])
    draft.add_role("themes")
    return draft.sign().event()


@breaks("KT123", where=PLUGINS, says="adds the delegation to themes, which the policy does not name")
def a_delegated_role_delegates_on() -> Event:
    draft = released()
    draft.delegate("themes", "dave", paths=["plugins/*.zip"], by="plugins")
    draft.add_role("themes")
    return draft.sign().event()


@breaks("KT123", where=TARGETS, says="removes the delegation to plugins, which the policy still names")
def a_delegation_is_removed_behind_the_policy_s_back() -> Event:
    draft = _reviewed()
    with draft.edit("targets") as signed:
        del signed["delegations"], signed["x-keyturn"]
    del draft.files[PLUGINS], draft.files["targets/plugins/spell.zip"]
    return draft.sign().event()


@breaks("KT123", where=TARGETS, says="delegates other paths to plugins than the policy")
def a_delegation_gets_other_paths_than_the_policy_says() -> Event:
    draft = _reviewed()
    with draft.edit("targets") as signed:
        signed["delegations"]["roles"][0]["paths"] = ["plugins/s*.zip"]
    return draft.sign().event()


@breaks("KT123", where=TARGETS, says="delegates other paths to plugins than the policy")
def the_search_goes_on_where_the_policy_lets_it_end() -> Event:
    draft = _reviewed()
    with draft.edit("targets") as signed:
        signed["delegations"]["roles"][0]["terminating"] = False
    return draft.sign().event()


def _with_themes(first: str, *, in_front: bool) -> Event:
    draft = _wishing("  plugins:\n", THEMES + "  plugins:\n" if first == "themes" else "  plugins:\n")
    if first == "plugins":
        draft.files["keyturn.yml"] = POLICY.replace("apps:\n", THEMES + "apps:\n").encode()
    draft.delegate("themes", "dave", paths=["themes/*"])
    draft.add_role("themes")
    if in_front:
        with draft.edit("targets") as signed:
            signed["delegations"]["roles"].reverse()
    return draft.sign().event()


@breaks(
    "KT123", where=TARGETS, says="asks the roles in the order themes, plugins, the policy in plugins, themes"
)
def a_delegation_is_put_in_front_of_where_the_policy_has_it() -> Event:
    return _with_themes("plugins", in_front=True)


@keeps("KT123")
def a_delegation_is_put_where_the_policy_has_it() -> Event:
    return _with_themes("themes", in_front=True)


@keeps("KT123")
def a_delegation_is_added_that_the_policy_names() -> Event:
    return _with_themes("plugins", in_front=False)


def _burned(role: str, version: int, digest: str = "5a" * 32) -> dict[str, Any]:
    return {role: {version: {digest: ("alice", "bob")}}}


@breaks(
    "KT124", where=TARGETS, says=f"alice, bob signed another targets 3, payload {'5a' * 8}, in another event"
)
def somebody_signed_another_payload_of_this_version() -> Event:
    return with_release(released()).event(burned=_burned("targets", 3))


@breaks("KT124", where=ROOT, says="signed another root 2", severity=Severity.WARNING)
def somebody_signed_another_root_of_this_version() -> Event:
    draft = released()
    draft.add_key("root", "root", "dave")
    return draft.sign().event(burned=_burned("root", 2))


@keeps("KT124")
def somebody_signed_the_same_payload_in_another_event() -> Event:
    draft = with_release(released())
    file = draft.state.role("targets")
    assert file
    return draft.event(burned=_burned("targets", 3, file.digest))


@keeps("KT124")
def somebody_signed_another_version_of_the_role() -> Event:
    return with_release(released()).event(burned=_burned("targets", 4))


def _themes_again(version: int) -> Event:
    draft = released()
    draft.delegate("themes", "dave", paths=["themes/*"])
    draft.add_role("themes", version=version)
    return draft.sign().event(published={"root": 1, "targets": 2, "themes": 7})


@breaks(
    "KT125",
    where="metadata/themes.json",
    says="is themes 7, but a role of this name was published up to version 7",
)
def a_name_comes_back_and_its_version_starts_again() -> Event:
    return _themes_again(7)


@keeps("KT125")
def a_name_comes_back_and_goes_on_counting() -> Event:
    return _themes_again(8)


def rsa(bits: int) -> SSlibKey:
    """An RSA public key of some length, whose private half nobody knows."""
    numbers = RSAPublicNumbers(65537, (1 << (bits - 1)) + 1)
    return _public(numbers.public_key(), "rsa", "rsassa-pss-sha256")


def _public(public: Any, keytype: str, scheme: str) -> SSlibKey:  # noqa: ANN401 - any key of cryptography
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    made = SSlibKey("", keytype, scheme, {"public": pem})
    made.keyid = spec_keyid(made)
    return made


def _with_key(public: SSlibKey) -> Draft:
    draft = released()
    draft.add_key("root", "root", "dave", public=public)
    return draft.sign()


def curve(which: EllipticCurve, scheme: str) -> SSlibKey:
    return _public(derive_private_key(77, which).public_key(), "ecdsa", scheme)


@breaks("KT126", where=ROOT, says="has only 3071 bits")
def an_rsa_key_is_one_bit_short() -> Event:
    return _with_key(rsa(3071)).event()


@breaks("KT126", where=ROOT, says="has only 2048 bits", severity=Severity.WARNING)
def an_rsa_key_that_main_has_already_is_short() -> Event:
    main = _with_key(rsa(2048)).merged()
    main.remove_key("root", "root", "carol")
    return main.sign().event()


@breaks("KT126", where=ROOT, says="is on the curve secp521r1, not on that of ecdsa-sha2-nistp256")
def a_key_is_on_another_curve_than_it_says() -> Event:
    return _with_key(curve(SECP521R1(), "ecdsa-sha2-nistp256")).event()


@breaks("KT126", where=ROOT, says="and the scheme ecdsa-sha2-nistp521, which not every client knows")
def a_key_is_on_a_curve_that_not_every_client_knows() -> Event:
    return _with_key(curve(SECP521R1(), "ecdsa-sha2-nistp521")).event()


@breaks("KT126", where=ROOT, says="is no key of a curve, not on that of ecdsa-sha2-nistp256")
def an_rsa_key_says_that_it_is_one_of_a_curve() -> Event:
    public = rsa(3072)
    made = SSlibKey("", "ecdsa", "ecdsa-sha2-nistp256", dict(public.keyval))
    made.keyid = spec_keyid(made)
    return _with_key(made).event()


@breaks("KT126", where=ROOT, says="is no RSA key, though it says so")
def a_key_of_a_curve_says_that_it_is_an_rsa_key() -> Event:
    made = SSlibKey("", "rsa", "rsassa-pss-sha256", dict(key("dave").keyval))
    made.keyid = spec_keyid(made)
    return _with_key(made).event()


@keeps("KT126")
def an_rsa_key_is_just_long_enough() -> Event:
    return _with_key(rsa(3072)).event()


@keeps("KT126")
def a_key_on_the_longer_curve() -> Event:
    return _with_key(curve(SECP384R1(), "ecdsa-sha2-nistp384")).event()


@breaks("KT127", where=ROOT, says="lets the key of dave sign timestamp")
def a_person_s_key_signs_online() -> Event:
    draft = released()
    draft.add_key("root", "timestamp", "dave")
    return draft.sign().event()


@breaks(
    "KT127",
    where=TARGETS,
    says=f"names frank as the owner of the online key {keyid('online')[:16]} in the role plugins",
)
def the_online_key_passes_for_a_person_s() -> Event:
    draft = released()
    draft.add_key("targets", "plugins", "frank", public=key("online"))
    return draft.sign().event()


@breaks("KT127", where="keyring/frank.pub", says="is the online key too")
def somebody_enters_the_online_key_as_their_own() -> Event:
    draft = with_release(released())
    draft.keyring["frank"] = key("online")
    return draft.event()


@keeps("KT127")
def an_online_key_is_replaced() -> Event:
    draft = released()
    for role in ("snapshot", "timestamp"):
        draft.remove_key("root", role, "online")
        draft.add_key("root", role, "online-new", owner="online")
    draft.keyring["online"] = key("online-new")
    return draft.sign().event()


def _of_size(role: str, size: int) -> Event:
    """A role's file of exactly so many bytes."""
    draft = released()
    for _ in range(2):
        with draft.edit(role) as signed:
            short = size - len(draft.files[f"metadata/{role}.json"])
            signed["x-padding"] = "x" * (len(signed.get("x-padding", "")) + short)
        draft.sign()
    assert len(draft.files[f"metadata/{role}.json"]) == size
    return draft.event()


@breaks("KT128", where=ROOT, says="is 512,001 bytes long, more than 512,000")
def a_root_is_one_byte_too_long_for_clients() -> Event:
    return _of_size("root", 512_001)


@breaks("KT128", where=PLUGINS, says="is 5,000,001 bytes long", severity=Severity.WARNING)
def a_role_is_longer_than_clients_read_unasked() -> Event:
    return _of_size("plugins", 5_000_001)


@keeps("KT128")
def a_root_is_as_long_as_clients_read() -> Event:
    return _of_size("root", 512_000)


# KT3xx: paths and files


@breaks("KT301", where="README.md", says="may not be changed in a signing event")
def a_file_rides_along() -> Event:
    draft = with_release(released())
    draft.files["README.md"] = b"# Nothing to see here\n"
    return draft.event()


@breaks("KT301", where="keyring/alice.sh", says="may not be changed in a signing event")
def something_else_lies_in_the_keyring() -> Event:
    draft = with_release(released())
    draft.files["keyring/alice.sh"] = b"#!/bin/sh\n"
    return draft.event()


@breaks("KT301", where="metadata/timestamp.json", says="belongs to an online role")
def an_online_role_is_changed() -> Event:
    draft = with_release(released())
    timestamp = {
        "_type": "timestamp",
        "spec_version": "1.0.31",
        "version": 1,
        "expires": "2026-09-04T12:00:00Z",
    }
    timestamp["meta"] = {"snapshot.json": {"version": 1}}
    draft.files["metadata/timestamp.json"] = rendered({"signed": timestamp, "signatures": []})
    return draft.event()


@breaks("KT301", where=".github/workflows/keyturn-sign.yml", says="may not be changed in a signing event")
def a_workflow_is_changed_after_founding() -> Event:
    draft = with_release(released())
    draft.files[".github/workflows/keyturn-sign.yml"] = b"on: push\n"
    return draft.event()


@breaks("KT301", where=".github/workflows/keyturn-sign/x.sh", says="may not be changed in a signing event")
def a_founding_event_brings_more_than_its_workflows() -> Event:
    draft = founding().sign()
    draft.files[".github/workflows/keyturn-sign/x.sh"] = b"#!/bin/sh\n"
    return draft.event()


@keeps("KT301")
def a_founding_event_brings_its_workflows() -> Event:
    draft = founding().sign()
    draft.files[".github/workflows/keyturn-sign.yml"] = b"on: push\n"
    draft.files[".gitattributes"] = b"metadata/** -text\n"
    return draft.event()


@keeps("KT301")
def policy_keyring_and_channels_may_change() -> Event:
    draft = released()
    draft.files["keyturn.yml"] += b"# reviewed\n"
    draft.files["channels.yml"] = b"demo: {}\n"
    draft.files["keyring/dave.pub"] = b"a key\n"
    draft.files["keyring/dave.proof"] = b"a proof\n"
    return draft.event()


@keeps("KT301")
def the_online_roles_of_an_adopted_repository_may_be_deleted() -> Event:
    site = {"_type": "timestamp", "spec_version": "1.0.31", "version": 1, "expires": "2026-09-04T12:00:00Z"}
    site["meta"] = {"snapshot.json": {"version": 1}}
    data = rendered({"signed": site, "signatures": []})
    draft = with_main(released(), "metadata/timestamp.json", data)
    del draft.files["metadata/timestamp.json"]
    return draft.event()


@breaks("KT302", where="keyring/dave.pub", says="is a link")
def a_link_in_the_keyring() -> Event:
    draft = released()
    draft.links["keyring/dave.pub"] = "/etc/passwd"
    return draft.event()


@breaks("KT302", where="targets/vendor", says="is a submodule", also=("KT306",))
def a_submodule_among_the_targets() -> Event:
    draft = released()
    draft.submodules.add("targets/vendor")
    return draft.event()


@breaks("KT302", where="targets/demo/demo-1.0.tar.gz", says="is a link", also=("KT304",))
def a_listed_target_is_a_link() -> Event:
    draft = released()
    del draft.files["targets/demo/demo-1.0.tar.gz"]
    draft.links["targets/demo/demo-1.0.tar.gz"] = "../../secrets"
    return draft.event()


@keeps("KT302")
def a_link_outside_of_what_is_signed() -> Event:
    draft = released()
    files = dict(draft.files)
    main = Draft(files)
    main.links["docs"] = "README.md"
    head = main.state
    return main.event(baseline=head, head=_with_plugin(main).state)


def _with_plugin(draft: Draft) -> Draft:
    draft.list_target("plugins", "plugins/more.zip", b"one more plugin\n")
    return draft.sign()


def _listing(path: str, data: bytes = b"content\n", role: str = "targets") -> Event:
    draft = released()
    with draft.edit(role) as signed:
        signed["targets"][path] = target(data)
    draft.files[f"targets/{path}"] = data
    return draft.sign().event()


@breaks("KT303", where=TARGETS, says="the target path '../keyturn.yml'")
def a_target_that_leaves_its_folder() -> Event:
    draft = released()
    with draft.edit("targets") as signed:
        signed["targets"]["../keyturn.yml"] = target(b"content\n")
    return draft.sign().event()


@breaks("KT303", where=TARGETS, says="contains the unprintable character U+202E")
def a_target_path_changes_the_direction_of_writing() -> Event:
    return _listing("demo/\u202egz.rat")


@breaks("KT303", where=TARGETS, says="contains the unprintable character U+200B")
def a_target_path_has_a_character_without_width() -> Event:
    return _listing("demo/demo\u200b-1.0.tar.gz")


@breaks("KT303", where=PLUGINS, says="a device on Windows")
def a_delegated_target_named_like_a_device() -> Event:
    return _listing("plugins/nul.zip", role="plugins")


@keeps("KT303")
def a_target_path_with_blanks_accents_and_dots() -> Event:
    return _listing("über uns/a+b (2)/..three.tar.gz~")


@breaks("KT304", where="targets/demo/demo-1.0.tar.gz", says="is listed by targets 2, but not there")
def a_listed_file_is_removed() -> Event:
    draft = released()
    del draft.files["targets/demo/demo-1.0.tar.gz"]
    return draft.event()


@breaks("KT304", where="targets/plugins/new.zip", says="is listed by plugins 3, but not there")
def a_new_target_is_not_brought_along() -> Event:
    draft = released()
    with draft.edit("plugins") as signed:
        signed["targets"]["plugins/new.zip"] = target(b"content\n")
    return draft.sign().event()


@keeps("KT304")
def with_a_directory_as_host_the_files_lie_elsewhere() -> Event:
    draft = founded(POLICY + "hosting: {source: directory, directory: /srv/targets}\n")
    with draft.edit("targets") as signed:
        signed["targets"]["demo/demo-2.0.tar.gz"] = target(b"content\n")
    return draft.sign().event()


@keeps("KT304")
def an_archive_is_kept_in_a_release_of_the_code_host() -> Event:
    draft = founded(POLICY + "hosting: {source: releases}\n")
    said = {"app": "demo", "platform": "", "tree": "ab" * 32, "version": "2.0"}
    with draft.edit("targets") as signed:
        signed["targets"]["demo-2.0/demo-2.0.tar.gz"] = target(b"content\n", {"user": {"keyturn": said}})
    return draft.sign().event()


@breaks("KT304", where="targets/demo/notes.txt", says="is listed by targets 2, but not there")
def with_archives_in_releases_other_files_are_still_brought_along() -> Event:
    draft = founded(POLICY + "hosting: {source: releases}\n")
    with draft.edit("targets") as signed:
        signed["targets"]["demo/notes.txt"] = target(b"content\n")
    return draft.sign().event()


@breaks("KT305", where="targets/demo/demo-1.0.tar.gz", says="has not the sha256 hash that targets 2 lists")
def one_byte_of_a_target_is_flipped() -> Event:
    draft = released()
    data = draft.files["targets/demo/demo-1.0.tar.gz"]
    draft.files["targets/demo/demo-1.0.tar.gz"] = bytes([data[0] ^ 1]) + data[1:]
    return draft.event()


@breaks("KT305", where="targets/demo/demo-1.0.tar.gz", says="bytes long, not of the length")
def a_target_is_cut_short() -> Event:
    draft = released()
    draft.files["targets/demo/demo-1.0.tar.gz"] = draft.files["targets/demo/demo-1.0.tar.gz"][:-1]
    return draft.event()


def _hashed(hashes: dict[str, str]) -> Event:
    draft = released()
    draft.list_target("targets", "notes.txt", b"content\n")
    with draft.edit("targets") as signed:
        signed["targets"]["notes.txt"]["hashes"] = hashes
    return draft.sign().event()


@breaks("KT305", where="targets/notes.txt", says="has not the sha512 hash that targets 3 lists")
def the_second_of_two_hashes_is_wrong() -> Event:
    return _hashed({"sha256": sha256_hex(b"content\n"), "sha512": "00" * 64})


@breaks("KT305", where="targets/notes.txt", says="cannot be compared with the md5 hash that targets 3 lists")
def a_hash_that_proves_nothing() -> Event:
    return _hashed({"md5": "f75b8179e4bbe7e2b4a074dcef62de95"})


@keeps("KT305")
def two_hashes_that_are_both_right() -> Event:
    sha512 = hashlib.sha512(b"content\n").hexdigest()
    return _hashed({"sha256": sha256_hex(b"content\n"), "sha512": sha512})


@breaks("KT306", where="targets/extra.zip", says="is listed by no role", severity=Severity.WARNING)
def a_file_that_no_role_lists() -> Event:
    draft = released()
    draft.files["targets/extra.zip"] = b"content\n"
    return draft.event()


@keeps("KT306")
def a_file_that_a_delegated_role_lists() -> Event:
    return _listing("plugins/more.zip", role="plugins")


@breaks(
    "KT307",
    where=PLUGINS,
    says="lists the target 'demo/demo-9.tar.gz', which targets does not delegate to it",
)
def a_delegated_role_lists_a_release() -> Event:
    return _listing("demo/demo-9.tar.gz", role="plugins")


@breaks("KT307", where=PLUGINS, says="lists the target 'plugins/deep/spell.zip'")
def a_star_does_not_cross_a_slash() -> Event:
    return _listing("plugins/deep/spell.zip", role="plugins")


@keeps("KT307")
def a_delegated_role_keeps_to_its_pattern() -> Event:
    return _listing("plugins/.zip", role="plugins")


def _second_archive(tree: str, **said: str) -> Event:
    draft = released()
    custom = {"app": "demo", "platform": "", "version": "1.0.0", "tree": tree, **said}
    draft.list_target("targets", "demo/demo-1.0.0.tar.gz", b"rebuilt\n", {"user": {"keyturn": custom}})
    return draft.sign().event()


@breaks(
    "KT308", where=TARGETS, says="lists demo 1.0 twice with different contents: as 'demo/demo-1.0.0.tar.gz'"
)
def a_version_is_released_again_in_another_spelling() -> Event:
    return _second_archive("5a" * 32)


@keeps("KT308")
def two_archives_of_one_content() -> Event:
    return _second_archive("7e" * 32)


@keeps("KT308")
def the_same_version_for_another_platform() -> Event:
    return _second_archive("5a" * 32, platform="linux")


@keeps("KT308")
def a_custom_field_of_any_other_shape() -> Event:
    draft = released()
    for number, custom in enumerate(({"user": "x"}, {"user": {"keyturn": {"version": 3}}}, ["x"], "x", {})):
        draft.list_target("targets", f"odd/{number}", b"content\n", custom)
    return draft.sign().event()


def _custom(**said: str) -> Draft:
    draft = released()
    custom = {"app": "demo", "platform": "", "version": "2.0", "tree": "5a" * 32, **said}
    draft.list_target("targets", "demo/demo-2.0.tar.gz", b"archive\n", {"user": {"keyturn": custom}})
    return draft.sign()


@breaks("KT309", where=TARGETS, says="custom of 'demo/demo-2.0.tar.gz' has the unprintable character U+200B")
def an_app_is_named_like_another_but_for_a_character_without_width() -> Event:
    return _custom(app="de\u200bmo").event()


@breaks("KT309", where=TARGETS, says="has the unprintable character U+001B")
def a_version_holds_a_control_character() -> Event:
    return _custom(version="2.0\x1b[2J").event()


@breaks("KT309", where=TARGETS, says="has the unprintable character U+2066")
def a_field_of_custom_changes_the_direction_of_writing() -> Event:
    draft = released()
    draft.list_target("targets", "notes.txt", b"notes\n", {"list": [{"\u2066app": "x"}]})
    return draft.sign().event()


@breaks("KT309", where=TARGETS, says="has the unprintable character U+200B", severity=Severity.WARNING)
def a_name_that_main_has_already_does_not_show_what_it_is() -> Event:
    return with_plain(_custom(app="de\u200bmo").merged())


def with_plain(draft: Draft) -> Event:
    draft.list_target("targets", "notes.txt", b"notes\n")
    return draft.sign().event()


@breaks(
    "KT309",
    where=TARGETS,
    says="a path of the role themes has the unprintable character U+202E",
    also=("KT310",),
)
def a_delegated_path_changes_the_direction_of_writing() -> Event:
    return _delegating("themes/\u202e*")


def _delegating(*paths: str, listing: tuple[str, ...] = ()) -> Event:
    draft = released()
    draft.delegate("themes", "dave", paths=list(paths))
    draft.add_role("themes")
    for path in listing:
        draft.list_target("themes", path, b"a theme\n")
    return draft.sign().event()


@keeps("KT309")
def a_text_that_is_no_name_has_lines() -> Event:
    draft = released()
    draft.list_target("targets", "notes.txt", b"notes\n", {"notes": "one\ntwo \u202b\n"})
    return draft.sign().event()


@breaks(
    "KT310",
    where=TARGETS,
    says="'/themes/*' of the role themes can match no target path: it is empty or absolute",
    severity=Severity.WARNING,
)
def a_pattern_that_no_path_can_match() -> Event:
    return _delegating("/themes/*")


@breaks(
    "KT310",
    where=TARGETS,
    says="'theme/*' matches none of the 1 targets of the role themes",
    severity=Severity.WARNING,
)
def a_pattern_is_misspelt() -> Event:
    return _delegating("themes/*", "theme/*", listing=("themes/dark.css",))


@breaks("KT310", where=TARGETS, says="delegates no path at all to themes", severity=Severity.WARNING)
def a_role_is_delegated_nothing() -> Event:
    return _delegating()


@keeps("KT310")
def every_pattern_matches_one_of_the_targets() -> Event:
    return _delegating("themes/*", "them?", listing=("themes/dark.css", "theme"))


@keeps("KT310")
def a_new_role_has_no_targets_yet() -> Event:
    return _delegating("themes/*", "theme/*")


def _in_front(*, terminating: bool, paths: tuple[str, ...], listing: tuple[str, ...] = ()) -> Event:
    """A role that clients ask before they ask plugins."""
    draft = released()
    draft.delegate("themes", "dave", paths=list(paths))
    draft.add_role("themes")
    with draft.edit("targets") as signed:
        signed["delegations"]["roles"].reverse()
        signed["delegations"]["roles"][0]["terminating"] = terminating
    for path in listing:
        draft.list_target("themes", path, draft.files.get(f"targets/{path}", b"a theme\n"))
    return draft.sign().event()


@breaks(
    "KT311",
    where=PLUGINS,
    says="'plugins/spell.zip' is listed here, but clients find none, other than before",
)
def a_delegation_in_front_ends_the_search_for_another_s_target() -> Event:
    return _in_front(terminating=True, paths=("plugins/*",))


@breaks(
    "KT311",
    where=PLUGINS,
    says="'plugins/spell.zip' is listed here, but clients find the one of themes, other than before",
)
def a_role_in_front_lists_another_s_target() -> Event:
    return _in_front(terminating=False, paths=("plugins/*",), listing=("plugins/spell.zip",))


@breaks("KT311", where=PLUGINS, says="clients find the one of targets, other than before")
def targets_lists_a_target_of_a_delegated_role() -> Event:
    draft = released()
    draft.list_target("targets", "plugins/spell.zip", draft.files["targets/plugins/spell.zip"])
    return draft.sign().event()


@breaks("KT311", where="metadata/themes.json", says="but clients find none", severity=Severity.WARNING)
def a_role_lists_what_clients_never_ask_it_for() -> Event:
    return _delegating("plugins/*.zip", listing=("plugins/dark.zip",))


@keeps("KT311")
def a_delegation_in_front_leaves_the_search_open() -> Event:
    return _in_front(terminating=False, paths=("plugins/*",))


@keeps("KT311")
def a_delegation_in_front_ends_the_search_for_other_paths() -> Event:
    return _in_front(terminating=True, paths=("plugins/*.css",))


@breaks(
    "KT312",
    where=TARGETS,
    says="'demo/demo-1.0.tar.gz' and 'demo/Demo-1.0.tar.gz' differ only by case",
)
def two_paths_differ_by_case() -> Event:
    return _listing("demo/Demo-1.0.tar.gz")


@breaks("KT312", where=PLUGINS, says="'plugins/Straße.zip' and 'plugins/STRASSE.zip' differ only by case")
def two_paths_of_two_roles_differ_by_what_case_makes_of_a_letter() -> Event:
    draft = released()
    draft.list_target("targets", "plugins/STRASSE.zip", b"content\n")
    draft.list_target("plugins", "plugins/Straße.zip", b"content\n")
    return draft.sign().event()


@breaks("KT312", where=TARGETS, says="differ only by case or by the form of Unicode")
def two_paths_differ_by_the_form_of_unicode() -> Event:
    draft = released()
    draft.list_target("targets", "caf\u00e9.txt", b"content\n")
    draft.list_target("targets", "cafe\u0301.txt", b"content\n")
    return draft.sign().event()


@keeps("KT312")
def two_paths_differ_by_an_accent() -> Event:
    draft = released()
    draft.list_target("targets", "caf\u00e9.txt", b"content\n")
    draft.list_target("targets", "cafe.txt", b"content\n")
    return draft.sign().event()


# KT4xx: policy and keyring


@breaks("KT401", where="keyturn.yml:3:1", says="")
def the_policy_has_a_mistake() -> Event:
    draft = released()
    draft.files["keyturn.yml"] = draft.files["keyturn.yml"].replace(b"\nroles:", b"\nrolls: 1\nroles:")
    return draft.event()


@breaks("KT401", where="keyturn.yml", says="is missing")
def the_policy_is_removed() -> Event:
    draft = released()
    del draft.files["keyturn.yml"]
    return draft.event()


@keeps("KT401", also=("KT405",))
def the_policy_changes() -> Event:
    draft = released()
    draft.files["keyturn.yml"] = draft.files["keyturn.yml"].replace(b"expires: 365d", b"expires: 200d")
    return draft.event()


@breaks("KT402", where="keyturn.yml", says="renames the repository from acme-updates to other-updates")
def the_repository_is_renamed() -> Event:
    draft = released()
    draft.files["keyturn.yml"] = draft.files["keyturn.yml"].replace(b"acme-updates", b"other-updates")
    return draft.event()


@keeps("KT402")
def before_founding_the_name_is_free() -> Event:
    return founding(POLICY.replace("acme-updates", "other-updates")).sign().event(baseline_name=None)


@breaks("KT403", where="keyring/dave.proof", says="the signature does not verify")
def a_proof_of_possession_does_not_hold() -> Event:
    event = with_release(released()).event()
    problem = Problem("keyring/dave.proof", "the signature does not verify with the key in the .pub file")
    return replace(event, keyring=replace(event.keyring, problems=(problem,)))


@breaks("KT403", where="keyring/bob.pub", says="is there beside Bob.pub")
def one_person_has_two_entries_in_the_keyring() -> Event:
    draft = with_release(released())
    draft.keyring["Bob"] = key("mallory")
    return draft.event()


@keeps("KT403")
def somebody_joins_who_is_no_signer_yet() -> Event:
    draft = with_release(released())
    draft.keyring["dave"] = key("dave")
    return draft.event()


@breaks("KT404", where=ROOT, says="names dave, who has no proven key in keyring/")
def a_role_names_somebody_who_never_joined() -> Event:
    draft = released()
    draft.add_key("root", "root", "dave")
    del draft.keyring["dave"]
    return draft.sign().event()


@breaks("KT404", where=ROOT, says="gives dave a key that is not the one in keyring/")
def a_role_gives_somebody_a_key_that_they_never_proved() -> Event:
    draft = released()
    draft.add_key("root", "root", "mallory", owner={"login": "dave"})
    draft.keyring["dave"] = key("dave")
    return draft.sign().event()


@breaks("KT404", where=TARGETS, says="gives online a key that is not the one in keyring/")
def a_role_gives_the_online_signer_another_key() -> Event:
    draft = released()
    draft.add_key("targets", "plugins", "mallory", owner="online")
    return draft.sign().event()


@breaks("KT404", where=ROOT, says="gives dave a key that is not the one in keyring/", also=("KT126",))
def a_key_of_a_kind_without_a_fingerprint() -> Event:
    draft = released()
    with draft.edit("root") as signed:
        gpg = {"keytype": "eddsa", "scheme": "pgp+eddsa-ed25519", "keyval": {"public": {"q": "00"}}}
        odd = sha256_hex(canonical(gpg))
        signed["keys"][odd] = gpg
        signed["roles"]["root"]["keyids"].append(odd)
        signed["x-keyturn"]["signers"][odd] = {"login": "dave"}
    draft.keyring["dave"] = key("dave")
    return draft.sign().event()


@keeps("KT404")
def logins_are_compared_without_regard_to_case() -> Event:
    draft = released()
    draft.add_key("root", "root", "dave", owner={"login": "DAVE"})
    draft.keyring = {**Keyring(draft.keyring).keys, "dave": key("dave")}
    return draft.sign().event()


def _drift(before: str, after: str) -> Event:
    return with_release(_wishing(before, after)).event()


def drifts(where: str, says: str) -> Any:  # noqa: ANN401 - what breaks gives
    return breaks("KT405", where=where, says=says, severity=Severity.WARNING)


@drifts(ROOT, "the policy asks for dave in root, who may not sign it")
def the_policy_names_a_new_signer() -> Event:
    draft = _wishing("signers: [alice, bob, carol]", "signers: [alice, bob, carol, dave]")
    draft.keyring["dave"] = key("dave")
    return with_release(draft).event()


@drifts(ROOT, "carol may sign root, the policy does not ask for it")
def the_policy_lets_a_signer_go() -> Event:
    return _drift("signers: [alice, bob, carol]", "signers: [alice, bob]")


@drifts(ROOT, "the threshold of root is 2, the policy asks for 3")
def the_policy_wants_another_threshold() -> Event:
    return _drift("carol], threshold: 2", "carol], threshold: 3")


@drifts(ROOT, "root is valid for 365d, the policy asks for 200d")
def the_policy_wants_another_period() -> Event:
    return _drift("365d", "200d")


@drifts(ROOT, "snapshot is renewed before expiry by 7d, the policy asks for 6d")
def the_policy_wants_another_renewal_of_an_online_role() -> Event:
    return _drift("renew: 7d", "renew: 6d")


@drifts(TARGETS, "the policy delegates to themes, the metadata does not")
def the_policy_wants_a_delegation() -> Event:
    draft = _wishing("apps:\n", THEMES.replace("dave", "carol") + "apps:\n")
    return with_release(draft).event()


@drifts(TARGETS, "delegates to plugins, the policy does not")
def the_policy_wants_no_delegation() -> Event:
    draft = released()
    draft.files["keyturn.yml"] = _without_delegations().encode()
    return with_release(draft).event()


@drifts(TARGETS, "delegates other paths to plugins than the policy")
def the_policy_wants_other_paths() -> Event:
    return _drift("plugins/*.zip", "plugins/*.tar")


@drifts(TARGETS, "the threshold of plugins is 1, the policy asks for 2")
def the_policy_wants_another_threshold_of_a_delegated_role() -> Event:
    return _drift("[carol]\n    threshold: 1", "[carol, bob, dave]\n    threshold: 2")


@drifts(TARGETS, "asks delegated roles in another order than the policy")
def the_policy_wants_another_order() -> Event:
    draft = released()
    draft.delegate("themes", "dave", paths=["themes/*"])
    draft.add_role("themes")
    main = draft.sign().merged()
    main.files["keyturn.yml"] = POLICY.replace("  plugins:\n", THEMES + "  plugins:\n").encode()
    return with_release(main).event()


@drifts(ROOT, "keyring/ has another key of alice than this role")
def the_keyring_has_another_key_than_the_metadata() -> Event:
    draft = with_release(released())
    draft.keyring["alice"] = key("alice-new")
    return draft.event()


@keeps("KT405")
def the_metadata_says_what_the_policy_asks_for() -> Event:
    return with_release(_reviewed()).event()


@keeps("KT405")
def the_policy_says_the_same_in_other_words() -> Event:
    draft = _wishing("signers: [alice, bob, carol]", "signers: [Carol, BOB, alice]")
    draft.files["keyturn.yml"] = draft.files["keyturn.yml"].replace(b"expires: 3d", b"expires: 72h")
    return with_release(draft).event()


def _numbered(first: int, then: int) -> Event:
    draft = released()
    with draft.edit("root") as signed:
        signed["x-keyturn"]["signers"][keyid("carol")] = {"login": "carol", "id": first}
    main = draft.sign().merged()
    with main.edit("targets") as signed:
        signed["x-keyturn"]["signers"][keyid("carol")] = {"login": "Carol", "id": then}
    return main.sign().event()


@breaks("KT406", where=TARGETS, says="Carol has the number 1004 here, and 1003 elsewhere or before")
def a_login_was_taken_by_somebody_else() -> Event:
    return _numbered(1003, 1004)


@breaks("KT406", where=ROOT, says="carol has lost the number 1003 that main gives")
def a_person_s_number_was_dropped() -> Event:
    draft = released()
    with draft.edit("root") as signed:
        signed["x-keyturn"]["signers"][keyid("carol")] = {"login": "carol", "id": 1003}
    main = draft.sign().merged()
    with main.edit("root") as signed:
        signed["x-keyturn"]["signers"][keyid("carol")] = {"login": "carol"}
    return main.sign().event()


@keeps("KT406")
def a_login_is_the_same_person_s_everywhere() -> Event:
    return _numbered(1003, 1003)
