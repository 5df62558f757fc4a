"""Events in which more than one thing breaks a rule: every one is named, and nothing hides the next."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from securesystemslib.signer import SSlibKey

from keyturn.policy import parse
from keyturn.state import RoleFile, targets_of
from keyturn.verify import Event, Finding, Severity, verify_event, why_unsafe
from keyturn.verify.rules_changes import wished_periods
from keyturn.verify.rules_files import mismatch, wrong_hash
from keyturn.verify.rules_keys import weakness
from unit.repository import (
    POLICY,
    Draft,
    Edit,
    as_scheme,
    document,
    founding,
    key,
    keyid,
    release,
    released,
    rendered,
    target,
)

ROOT = "metadata/root.json"
TARGETS = "metadata/targets.json"


def of_rule(event: Event, rule: str) -> list[Finding]:
    return [finding for finding in verify_event(event).findings if finding.id == rule]


def said(event: Event, rule: str) -> list[tuple[str, str]]:
    return [(finding.where, finding.what) for finding in of_rule(event, rule)]


def places(event: Event, rule: str) -> list[str]:
    return [finding.where for finding in of_rule(event, rule)]


def odd(name: str, first: str) -> SSlibKey:
    public = key(name)
    return SSlibKey(f"{first}0dd" + "0" * 60, public.keytype, public.scheme, dict(public.keyval))


# The root chain and main


def test_a_founding_root_stands_in_the_history_too() -> None:
    draft = founding().sign()
    del draft.files["metadata/root_history/1.root.json"]

    (found,) = of_rule(draft.event(), "KT003")
    assert found.what == "in the event is not byte-equal to metadata/root_history/1.root.json"


def test_every_role_of_main_that_is_missing_or_unsigned_is_named() -> None:
    draft = released()
    draft.delegate("themes", "dave", paths=["themes/*"])
    draft.add_role("themes")
    files = dict(draft.sign().files)
    del files["metadata/plugins.json"]
    themes = document(files["metadata/themes.json"])
    themes["signatures"] = []
    files["metadata/themes.json"] = rendered(themes)
    main = Draft(files)
    release(main, "2.0")

    assert places(main.sign().event(), "KT004") == ["plugins", "metadata/themes.json"]


# Keys and their owners


def test_every_key_under_a_keyid_of_its_own_is_named() -> None:
    draft = released()
    draft.add_key("root", "root", "dave", public=odd("dave", "0"))
    draft.add_key("root", "targets", "erin", public=odd("erin", "f"))

    assert said(draft.event(), "KT107") == [
        (ROOT, f"has the keyid {used} for a key whose keyid by the specification is {keyid(name)[:16]}")
        for used, name in (("00dd" + "0" * 12, "dave"), ("f0dd" + "0" * 12, "erin"))
    ]


def test_keys_of_a_role_that_delegates_nothing_are_looked_at_too() -> None:
    draft = released()
    with draft.edit("targets") as signed:
        signed["delegations"] = {"keys": {"0dd" + "0" * 61: key("dave").to_dict()}, "roles": []}
        signed["x-keyturn"] = {"format": 1, "signers": {}, "periods": {}}
    event = draft.event()

    assert places(event, "KT107") == [TARGETS]
    assert said(event, "KT110") == [(TARGETS, f"x-keyturn names no owner of key 0dd{'0' * 13}")]


def test_keys_without_anybody_named_are_an_error_even_if_no_role_has_them() -> None:
    draft = released()
    with draft.edit("targets") as signed:
        signed["delegations"] = {"keys": {keyid("dave"): key("dave").to_dict()}, "roles": []}
        del signed["x-keyturn"]

    assert said(draft.event(), "KT110") == [
        (TARGETS, "has no x-keyturn: nobody is named as the owner of its keys")
    ]


def test_roles_without_keys_need_owners_and_periods_too() -> None:
    draft = released()
    with draft.edit("targets") as signed:
        signed["delegations"]["keys"] = {}
        signed["delegations"]["roles"][0]["keyids"] = []
        del signed["x-keyturn"]

    assert places(draft.event(), "KT110") == [TARGETS]


def test_owners_that_cannot_be_read_do_not_hide_those_of_the_next_role() -> None:
    draft = released()
    with draft.edit("root") as signed:
        signed["x-keyturn"]["format"] = 2
    with draft.edit("targets") as signed:
        del signed["x-keyturn"]["signers"][keyid("carol")]

    assert places(draft.event(), "KT110") == [ROOT, TARGETS]


def test_a_role_without_an_extension_does_not_hide_the_next() -> None:
    draft = released()
    for role in ("root", "targets"):
        with draft.edit(role) as signed:
            del signed["x-keyturn"]

    assert places(draft.event(), "KT110") == [ROOT, TARGETS]


def test_owners_who_never_joined_are_named_in_every_role() -> None:
    draft = released()
    with draft.edit("root") as signed:
        signed["x-keyturn"]["format"] = 2
    with draft.edit("targets") as signed:
        signed["x-keyturn"]["signers"][keyid("carol")] = {"login": "nobody"}

    assert said(draft.event(), "KT404") == [(TARGETS, "names nobody, who has no proven key in keyring/")]


def test_one_key_twice_is_named_by_both_keyids() -> None:
    draft = released()
    other = as_scheme("erin", "rsa-pkcs1v15-sha256")
    draft.add_key("root", "root", "erin")
    draft.add_key("root", "root", "frank", public=other)

    assert said(draft.event(), "KT108") == [
        (
            ROOT,
            f"the role root has one key twice, under the keyids {keyid('erin')[:16]} and {other.keyid[:16]}",
        )
    ]


def test_a_key_that_is_called_online_signs_no_release_even_if_no_online_role_has_it() -> None:
    draft = released()
    draft.add_key("root", "root", "dave", owner="online")

    assert said(draft.event(), "KT116") == [
        (ROOT, f"lets the online key {keyid('dave')[:16]} sign the role root")
    ]


def test_an_expiry_without_a_period_does_not_hide_the_next_role() -> None:
    draft = released()
    with draft.edit("root") as signed:
        del signed["x-keyturn"]["periods"]["root"]
    with draft.edit("targets") as signed:
        signed["expires"] = "2030-01-01T00:00:00Z"

    assert places(draft.event(), "KT112") == [TARGETS]


def test_a_delegator_without_a_period_does_not_hide_that_of_another() -> None:
    draft = released()
    draft.delegate("themes", "dave", paths=["themes/*"])
    draft.delegate("themes", "dave", paths=["themes/*"], by="plugins")
    draft.add_role("themes")
    with draft.edit("targets") as signed:
        del signed["x-keyturn"]["periods"]["themes"]
    with draft.edit("themes") as signed:
        signed["expires"] = "2030-01-01T00:00:00Z"

    assert said(draft.event(), "KT112") == [
        ("metadata/themes.json", "expires on 2030-01-01 00:00Z, more than 120d from now")
    ]


@pytest.mark.parametrize(
    ("keytype", "scheme"),
    [("ed25519", "rsassa-pss-sha256"), ("rsa", "ed25519"), ("ecdsa", "rsassa-pss-sha256")],
)
def test_a_type_and_a_scheme_of_two_kinds_of_keys_are_no_key(keytype: str, scheme: str) -> None:
    mixed = SSlibKey("k", keytype, scheme, dict(key("erin").keyval))

    assert weakness(mixed) == (
        f"is of the type {keytype} and the scheme {scheme}, which not every client knows"
    )


def test_a_weak_key_is_named_by_its_keyid() -> None:
    draft = released()
    weak = SSlibKey("5a" * 32, "ecdsa", "ecdsa-sha2-nistp384", dict(key("dave").keyval))
    draft.add_key("root", "root", "dave", public=weak)

    ((where, what),) = said(draft.event(), "KT126")
    assert (where, what.split(" is ")[0]) == (ROOT, f"the key {('5a' * 32)[:16]}")


def test_the_online_key_is_nobody_s_in_whatever_letters() -> None:
    event = released().event()
    shared = {**event.keyring.keys, "Mallory": key("online")}

    assert places(replace(event, keyring=replace(event.keyring, keys=shared)), "KT127") == [
        "keyring/Mallory.pub"
    ]


def test_one_login_in_two_spellings_is_one_person() -> None:
    event = released().event()
    twice = {**event.keyring.keys, "ALICE": key("dave"), "_lice": key("dave")}

    assert said(replace(event, keyring=replace(event.keyring, keys=twice)), "KT403") == [
        ("keyring/alice.pub", "is there beside ALICE.pub: both are the same person")
    ]


# Wish and truth


def test_every_role_s_wished_period_is_known_by_its_name() -> None:
    policy = parse(POLICY.encode())

    assert wished_periods(policy) == {
        "root": policy.root.period,
        "targets": policy.targets.period,
        "snapshot": policy.online.snapshot,
        "timestamp": policy.online.timestamp,
        "plugins": policy.delegations[0].role.period,
    }
    assert wished_periods(None) == {}


def delegating(change: Edit) -> Event:
    draft = released()
    with draft.edit("targets") as signed:
        change(signed["delegations"]["roles"][0])
    return draft.event(policy=replace(parse(POLICY.encode()), delegations=()))


def test_a_delegation_that_nobody_asked_for_is_told_apart_from_one_that_changes() -> None:
    def reach_further(role: dict[str, Any]) -> None:
        role["paths"] = ["*"]

    assert said(delegating(reach_further), "KT123") == [
        (TARGETS, "changes the delegation to plugins, which the policy does not name")
    ]
    draft = released()
    draft.delegate("themes", "dave", paths=["themes/*"])
    draft.add_role("themes")
    assert said(draft.event(policy=parse(POLICY.encode())), "KT123") == [
        (TARGETS, "adds the delegation to themes, which the policy does not name")
    ]


def test_a_key_that_changed_in_the_keyring_is_found_in_every_role_that_is_left_alone() -> None:
    draft = released()
    with draft.edit("root"):
        pass
    draft.keyring["carol"] = key("dave")

    assert [what for where, what in said(draft.event(), "KT405") if where == TARGETS] == [
        "keyring/ has another key of carol than this role"
    ]


def test_a_number_that_is_given_for_the_first_time_contradicts_nobody() -> None:
    draft = released()
    with draft.edit("root") as signed:
        signed["x-keyturn"]["signers"][keyid("carol")] = {"login": "carol", "id": 1003}

    assert said(draft.event(), "KT406") == []


@pytest.mark.parametrize("role", ["root", "targets"])
def test_somebody_who_is_named_without_a_key_contradicts_nobody(role: str) -> None:
    draft = released()
    with draft.edit(role) as signed:
        signed["x-keyturn"]["signers"][keyid("dave")] = {"login": "dave", "id": 1004}
        if role == "targets":
            del signed["delegations"]
    event = draft.event()

    assert said(event, "KT406") == []
    assert (
        f"metadata/{role}.json",
        f"x-keyturn names an owner of key {keyid('dave')[:16]}, which is not there",
    ) in said(event, "KT110")


# Paths, patterns and files


@pytest.mark.parametrize(
    ("path", "safe"),
    [
        ("AUX", False),
        ("aux.tar.gz", False),
        ("con .txt", False),
        ("conX.txt", True),
        ("a/LPT1.txt", False),
        ("xcon.txt", True),
    ],
)
def test_devices_of_windows_are_known_by_their_whole_name(path: str, safe: bool) -> None:
    assert (why_unsafe(path) is None) is safe


def listing(role: str, entries: dict[str, Any]) -> Draft:
    draft = released()
    with draft.edit(role) as signed:
        signed["targets"].update(entries)
    return draft


def test_names_are_found_wherever_they_stand_in_custom() -> None:
    bad = "a\u200b"
    custom = {
        "list": [{"x": 1}, {bad: 1}],
        "first": {"deep": {f"{bad}2": 1}},
        "user": {"keyturn": {"app": f"{bad}3", "more": [f"{bad}4", f"{bad}5"]}, f"{bad}6": f"{bad}not shown"},
        "last": 1,
    }
    draft = listing("targets", {"x.txt": target(b"x", custom)})

    assert {what.rpartition(" in ")[2] for _, what in said(draft.event(), "KT309")} == {
        repr(bad),
        *(repr(f"{bad}{number}") for number in range(2, 7)),
    }


def test_patterns_are_looked_at_only_where_the_event_touches_them() -> None:
    draft = released()
    with draft.edit("targets") as signed:
        signed["delegations"]["roles"][0]["paths"] = ["plugins/*.zip", "nothing/*"]
    main = draft.sign().merged()
    with main.edit("root"):
        pass
    untouched = main.sign().event()
    main.list_target("plugins", "plugins/more.zip", b"more\n")

    assert places(untouched, "KT310") == []
    assert places(main.sign().event(), "KT310") == [TARGETS]


@pytest.mark.parametrize(("pattern", "useless"), [("*" * 60, False), ("?" * 60, False), ("*" * 193, True)])
def test_a_wildcard_counts_as_the_one_letter_that_it_stands_for_at_least(pattern: str, useless: bool) -> None:
    draft = released()
    with draft.edit("targets") as signed:
        signed["delegations"]["roles"][0]["paths"] = ["plugins/*.zip", pattern]

    found = [what for _, what in said(draft.event(), "KT310") if "can match no target path" in what]
    assert bool(found) is useless


@pytest.mark.parametrize(
    "pattern", ["au*", "au?.zip", "co*", "pr?", "nu*/x", "lpt?", "git~?", "conin?", ".gi?"]
)
def test_a_pattern_is_not_useless_because_a_path_that_it_matches_is_unsafe(pattern: str) -> None:
    draft = released()
    with draft.edit("targets") as signed:
        signed["delegations"]["roles"][0]["paths"] = ["plugins/*.zip", pattern]

    assert [what for _, what in said(draft.event(), "KT310") if "can match no" in what] == []


def test_every_target_that_clients_find_elsewhere_is_named() -> None:
    draft = released()
    data = target(b"x")
    with draft.edit("plugins") as signed:
        signed["targets"].update(
            {"elsewhere.txt": data, "plugins/a.zip": data, "plugins/b.zip": data, "plugins/c.zip": data}
        )
    with draft.edit("targets") as signed:
        signed["targets"].update({"plugins/a.zip": data, "plugins/c.zip": data})

    assert said(draft.event(), "KT311") == [
        ("metadata/plugins.json", "'plugins/a.zip' is listed here, but clients find the one of targets"),
        ("metadata/plugins.json", "'plugins/c.zip' is listed here, but clients find the one of targets"),
    ]
    assert {one.severity for one in of_rule(draft.event(), "KT311")} == {Severity.WARNING}


def test_every_file_that_is_missing_or_other_than_listed_is_named() -> None:
    draft = listing(
        "targets",
        {
            "../unsafe": target(b"x"),
            "gone/a": target(b"x"),
            "here/b": target(b"x"),
            "here/c": target(b"xx"),
            "zz/d": target(b"x"),
        },
    )
    draft.files.update({"targets/here/b": b"x", "targets/here/c": b"x"})
    event = draft.event()

    assert places(event, "KT304") == ["targets/gone/a", "targets/zz/d"]
    assert places(event, "KT305") == ["targets/here/c"]


def test_archives_in_releases_are_not_looked_for_and_other_files_are() -> None:
    said_of = {"user": {"keyturn": {"app": "demo", "platform": "", "tree": "ab" * 32, "version": "2.0"}}}
    draft = listing(
        "targets",
        {
            "demo-2.0/a.tar.gz": target(b"x", said_of),
            "demo-2.1/a.tar.gz": target(b"x", {"user": {"keyturn": {"app": "demo", "version": "2.0"}}}),
            "zz.txt": target(b"x"),
        },
    )
    event = draft.event()
    assert event.policy
    hosted = replace(event.policy, hosting=replace(event.policy.hosting, source="releases"))

    assert places(replace(event, policy=hosted), "KT304") == ["targets/demo-2.1/a.tar.gz", "targets/zz.txt"]
    assert len(places(replace(event, policy=None), "KT304")) == 3


def of_version(version: object, tree: str, **more: object) -> dict[str, Any]:
    return target(b"x", {"user": {"keyturn": {"app": "demo", "version": version, "tree": tree, **more}}})


def test_one_version_with_two_contents_is_found_behind_versions_that_are_none() -> None:
    draft = listing(
        "targets",
        {
            "a": of_version("not a version", "1"),
            "b": of_version("2.0", "1"),
            "c": target(b"x", {"user": {"keyturn": {"app": "demo"}}}),
            "d": of_version("2.0.0", "2", platform=""),
        },
    )

    assert said(draft.event(), "KT308") == [
        (TARGETS, "lists demo 2.0.0 twice with different contents: as 'b' and as 'd'")
    ]


@pytest.mark.parametrize("more", [{"platform": "linux"}, {"app": "other"}])
def test_another_platform_or_app_is_another_release(more: dict[str, object]) -> None:
    draft = listing("targets", {"a": of_version("2.0", "1"), "b": of_version("2.0", "2", **more)})

    assert said(draft.event(), "KT308") == []


def test_bytes_are_compared_by_length_and_by_every_hash() -> None:
    file = RoleFile.parse("targets", TARGETS, released().files[TARGETS])
    (listed,) = targets_of(file).targets.values()

    assert mismatch(listed, b"x") == f"is 1 bytes long, not of the length {listed.length}"
    assert wrong_hash({"md5": "x"}, b"x") == "cannot be compared with the md5 hash"
    assert wrong_hash({}, b"x") is None
