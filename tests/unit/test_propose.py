"""Proposals: the same bytes for the same wish, nothing of others lost, nothing of main reverted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from tuf.api.metadata import TargetFile

from keyturn import propose
from keyturn.errors import KeyturnError, RefusedError, UsageError
from keyturn.policy import Policy, parse
from keyturn.propose import Earlier
from keyturn.state import State, sha256_hex
from keyturn.tree import MemoryTree, overlay
from keyturn.verify import EventState, verify_event
from unit.repository import (
    DAY,
    NOW,
    PEOPLE,
    POLICY,
    Draft,
    app_release,
    archive,
    as_scheme,
    document,
    error_ids,
    founded,
    founding,
    ids,
    key,
    keyid,
    release,
    released,
    target,
)

LATER = NOW + timedelta(hours=5)
TARGETS = "metadata/targets.json"
PLUGINS = "metadata/plugins.json"
ROOT = "metadata/root.json"
KEYS = {name: key(name) for name in (*PEOPLE, "dave", "erin")}


def policy(text: str = POLICY) -> Policy:
    return parse(text.encode())


def signed(edits: Mapping[str, bytes | None], path: str) -> dict[str, object]:
    data = edits[path]
    assert data is not None
    part: dict[str, object] = document(data)["signed"]
    return part


def entry(data: bytes, path: str) -> TargetFile:
    return TargetFile.from_dict(target(data), path)


def with_edits(state: State, edits: Mapping[str, bytes | None]) -> State:
    """The tree of an event that proposes these edits."""
    return State(overlay(state.tree, edits))


def put(*files: tuple[str, bytes | None]) -> dict[str, TargetFile | None]:
    return {path: None if data is None else entry(data, path) for path, data in files}


# Founding


def test_founding_makes_version_1_of_every_offline_role() -> None:
    edits = propose.founding(policy(), KEYS, NOW)

    assert sorted(edits) == [PLUGINS, ROOT, "metadata/root_history/1.root.json", TARGETS]
    assert {signed(edits, path)["version"] for path in edits} == {1}
    assert edits[ROOT] == edits["metadata/root_history/1.root.json"]
    assert all(document(data)["signatures"] == [] for data in edits.values())


def test_founding_takes_expiry_from_the_period_of_each_role() -> None:
    edits = propose.founding(policy(), KEYS, NOW + timedelta(microseconds=5))

    assert signed(edits, ROOT)["expires"] == "2027-09-01T12:00:00Z"
    assert signed(edits, TARGETS)["expires"] == "2026-12-30T12:00:00Z"
    assert signed(edits, PLUGINS)["expires"] == "2026-12-30T12:00:00Z"


def test_founding_names_keys_owners_and_periods_beside_each_other() -> None:
    root = founding().signed("root")

    assert root["consistent_snapshot"] is True
    assert set(root["keys"]) == {keyid(name) for name in PEOPLE}
    assert root["roles"] == {
        "root": {"keyids": [keyid("alice"), keyid("bob"), keyid("carol")], "threshold": 2},
        "targets": {"keyids": [keyid("alice"), keyid("bob")], "threshold": 2},
        "snapshot": {"keyids": [keyid("online")], "threshold": 1},
        "timestamp": {"keyids": [keyid("online")], "threshold": 1},
    }
    assert root["x-keyturn"]["signers"] == {
        **{keyid(name): {"login": name} for name in ("alice", "bob", "carol")},
        keyid("online"): "online",
    }
    assert root["x-keyturn"]["periods"]["timestamp"] == {"expires": "3d", "renew": "1d"}


def test_founding_delegates_what_the_policy_delegates() -> None:
    targets = founding().signed("targets")

    assert targets["delegations"]["roles"] == [
        {
            "name": "plugins",
            "keyids": [keyid("carol")],
            "threshold": 1,
            "terminating": True,
            "paths": ["plugins/*.zip"],
        }
    ]
    assert targets["x-keyturn"]["signers"] == {keyid("carol"): {"login": "carol"}}


def test_without_delegations_targets_says_nothing_of_them() -> None:
    head, _, tail = POLICY.partition("delegations:\n")
    targets = founding(head + tail[tail.index("apps:") :]).signed("targets")

    assert "delegations" not in targets
    assert "x-keyturn" not in targets


def test_founding_gives_the_same_bytes_for_the_same_wish() -> None:
    shuffled = dict(reversed(KEYS.items()))
    elsewhere = NOW.astimezone(timezone(timedelta(hours=-7)))

    assert propose.founding(policy(), KEYS, NOW) == propose.founding(policy(), shuffled, elsewhere)


def test_founding_finds_keys_whatever_the_case_of_a_login() -> None:
    shouted = {name.upper(): public for name, public in KEYS.items()}

    assert propose.founding(policy(), shouted, NOW) == propose.founding(policy(), KEYS, NOW)


@pytest.mark.parametrize("missing", ["bob", "carol", "online"])
def test_founding_waits_for_every_key(missing: str) -> None:
    with pytest.raises(UsageError) as caught:
        propose.founding(policy(), {name: one for name, one in KEYS.items() if name != missing}, NOW)

    assert (caught.value.reason, caught.value.where) == ("key-missing", f"keyring/{missing}.pub")


@pytest.mark.parametrize("other", ["bob", "online"])
def test_one_key_for_two_is_refused_and_both_are_named(other: str) -> None:
    with pytest.raises(KeyturnError) as caught:
        propose.founding(policy(), {**KEYS, other: key("alice")}, NOW)

    assert caught.value.reason == "one-key-twice"
    assert "alice" in caught.value.what
    assert other in caught.value.what


def test_one_rsa_key_under_two_schemes_is_one_key() -> None:
    keys = {**KEYS, "alice": key("erin"), "bob": as_scheme("erin", "rsa-pkcs1v15-sha256")}
    with pytest.raises(KeyturnError) as caught:
        propose.founding(policy(), keys, NOW)

    assert caught.value.reason == "one-key-twice"


# Releases


def test_a_release_is_listed_in_targets_with_what_it_is() -> None:
    item = app_release("2.0")
    edits = propose.release(released().state, [item], LATER)

    assert list(edits) == [TARGETS]
    targets = signed(edits, TARGETS)
    assert targets["version"] == 3
    assert targets["expires"] == "2026-12-30T17:00:00Z"
    assert targets["targets"] == {
        **released().signed("targets")["targets"],
        "demo/demo-2.0.tar.gz": {
            "length": len(archive("2.0")),
            "hashes": {"sha256": sha256_hex(archive("2.0"))},
            "custom": {
                "user": {"keyturn": {"app": "demo", "platform": "", "tree": item.tree, "version": "2.0"}}
            },
        },
    }


def test_a_release_for_a_platform_has_it_in_its_path() -> None:
    assert replace(app_release("2.0"), platform="linux").path == "demo/demo-2.0-linux.tar.gz"


def test_a_release_keeps_everything_else_that_targets_says() -> None:
    draft = released()
    with draft.edit("targets") as before:
        before["x-other"] = {"kept": ["as", "it", "is"]}
    main = draft.sign().merged()
    after = signed(propose.release(main.state, [app_release("2.0")], LATER), TARGETS)

    changed = {"version", "expires", "targets"}
    assert {name: value for name, value in after.items() if name not in changed} == {
        name: value for name, value in main.signed("targets").items() if name not in changed
    }


def test_the_same_release_gives_the_same_bytes() -> None:
    first = propose.release(released().state, [app_release("2.0")], LATER)
    second = propose.release(released().state, [app_release("2.0")], LATER)

    assert first == second


def test_what_is_released_already_is_nothing_to_propose() -> None:
    assert propose.release(released().state, [app_release("1.0")], LATER) == {}


def test_a_released_version_never_changes() -> None:
    rebuilt = replace(app_release("1.0"), sha256="5a" * 32)
    with pytest.raises(RefusedError) as caught:
        propose.release(released().state, [rebuilt], LATER)

    assert (caught.value.reason, caught.value.where) == ("already-released", "demo/demo-1.0.tar.gz")


def test_a_released_version_is_not_released_again_in_another_spelling() -> None:
    with pytest.raises(RefusedError) as caught:
        propose.release(released().state, [app_release("1.0.0")], LATER)

    assert caught.value.reason == "already-released"


def test_a_released_version_may_be_added_for_another_platform_or_app() -> None:
    linux = replace(app_release("1.0"), platform="linux")
    other = replace(app_release("1.0"), app="other")
    edits = propose.release(released().state, [linux, other], LATER)

    assert len(signed(edits, TARGETS)["targets"]) == 3  # type: ignore[arg-type]


def test_the_expiry_follows_the_signed_period_and_not_the_wish() -> None:
    draft = founded()
    with draft.edit("root") as root:
        root["x-keyturn"]["periods"]["targets"] = {"expires": "10d", "renew": "1d"}
    main = draft.sign().merged()

    edits = propose.release(main.state, [app_release("1.0")], NOW)
    assert signed(edits, TARGETS)["expires"] == "2026-09-11T12:00:00Z"


def test_without_a_signed_period_nothing_is_proposed() -> None:
    draft = founded()
    with draft.edit("root") as root:
        del root["x-keyturn"]["periods"]["targets"]

    with pytest.raises(RefusedError, match="no signed metadata gives a period for the role targets"):
        propose.release(draft.sign().state, [app_release("1.0")], NOW)


def test_without_targets_on_main_nothing_is_proposed() -> None:
    with pytest.raises(RefusedError, match="main has no readable targets role"):
        propose.release(State(MemoryTree({})), [app_release("1.0")], NOW)


# Files, each in the role that is responsible


def test_a_file_goes_into_the_role_that_its_path_is_delegated_to() -> None:
    wanted = put(("plugins/new.zip", b"new\n"), ("notes.txt", b"notes\n"))
    edits = propose.files(released().state, wanted, LATER)

    assert sorted(edits) == [PLUGINS, TARGETS]
    assert "plugins/new.zip" in signed(edits, PLUGINS)["targets"]  # type: ignore[operator]
    assert "notes.txt" in signed(edits, TARGETS)["targets"]  # type: ignore[operator]


def test_a_path_below_a_star_is_not_delegated() -> None:
    edits = propose.files(released().state, put(("plugins/deep/new.zip", b"new\n")), LATER)

    assert list(edits) == [TARGETS]


def test_the_first_delegation_that_matches_is_responsible() -> None:
    draft = released()
    draft.delegate("others", "dave", paths=["plugins/*"])
    draft.add_role("others")
    edits = propose.files(draft.sign().state, put(("plugins/new.zip", b"new\n")), LATER)

    assert list(edits) == [PLUGINS]


def test_a_nested_role_gets_no_path_that_clients_never_ask_it_for() -> None:
    draft = released()
    draft.delegate("nested", "dave", paths=["*"], by="plugins")
    draft.add_role("nested")
    edits = propose.files(draft.sign().state, put(("notes.txt", b"notes\n")), LATER)

    assert list(edits) == [TARGETS]


def test_a_file_that_a_role_lists_already_stays_in_that_role() -> None:
    draft = released()
    draft.list_target("targets", "plugins/old.zip", b"from before the delegation\n")
    main = draft.sign().merged()
    edits = propose.files(main.state, put(("plugins/old.zip", b"newer\n")), LATER)

    assert list(edits) == [TARGETS]


def test_a_file_is_removed_from_the_role_that_lists_it() -> None:
    edits = propose.files(released().state, put(("plugins/spell.zip", None)), LATER)

    assert signed(edits, PLUGINS)["targets"] == {}


def test_what_no_role_lists_cannot_be_removed() -> None:
    with pytest.raises(UsageError, match="is listed by no role"):
        propose.files(released().state, put(("notes.txt", None)), LATER)


def test_an_unsafe_path_is_refused() -> None:
    with pytest.raises(UsageError, match=r"the target path '\.\./keyturn.yml' is empty or absolute"):
        propose.files(released().state, put(("../keyturn.yml", b"x")), LATER)


# The same event again


def test_proposing_the_same_later_keeps_the_bytes_and_their_signatures() -> None:
    main = released()
    event = released()
    event.files.update(propose.release(main.state, [app_release("2.0")], NOW))
    event._unsigned["targets"] = None
    event.sign(without={"targets": ("bob",)})

    earlier = Earlier(event=event.state, base=main.state)
    again = propose.release(main.state, [app_release("2.0")], LATER, earlier=earlier)

    assert again == {TARGETS: event.files[TARGETS]}
    assert len(document(again[TARGETS])["signatures"]) == 1


def test_proposing_something_else_leaves_the_signatures_behind_and_takes_the_new_time() -> None:
    main = released()
    event = released()
    release(event, "2.0")
    event.sign()

    earlier = Earlier(event=event.state, base=main.state)
    again = propose.release(main.state, [app_release("2.1")], LATER, earlier=earlier)

    assert document(again[TARGETS])["signatures"] == []
    assert signed(again, TARGETS)["expires"] == "2026-12-30T17:00:00Z"


def test_what_two_commands_propose_in_one_event_is_kept() -> None:
    main = released().state
    first = propose.release(main, [app_release("2.0")], NOW)
    earlier = Earlier(event=with_edits(main, first), base=main)
    second = propose.files(main, put(("notes.txt", b"notes\n")), LATER, earlier=earlier)

    assert signed(second, TARGETS)["version"] == 3
    assert sorted(signed(second, TARGETS)["targets"]) == [  # type: ignore[call-overload]
        "demo/demo-1.0.tar.gz",
        "demo/demo-2.0.tar.gz",
        "notes.txt",
    ]


def test_what_an_event_proposes_for_another_role_is_kept_as_it_stands() -> None:
    main = released()
    event = released()
    event.list_target("plugins", "plugins/new.zip", b"new\n")
    event.sign()
    earlier = Earlier(event=event.state, base=main.state)
    edits = propose.release(main.state, [app_release("2.0")], LATER, earlier=earlier)

    assert sorted(edits) == [PLUGINS, TARGETS]
    assert edits[PLUGINS] == event.files[PLUGINS]


def test_a_removal_that_an_event_proposes_is_kept() -> None:
    main = released().state
    first = propose.files(main, put(("plugins/spell.zip", None)), NOW)
    earlier = Earlier(event=with_edits(main, first), base=main)
    second = propose.files(main, put(("plugins/new.zip", b"new\n")), LATER, earlier=earlier)

    assert list(signed(second, PLUGINS)["targets"]) == ["plugins/new.zip"]  # type: ignore[call-overload]


def test_what_main_changed_meanwhile_is_not_reverted() -> None:
    base = released()
    first = propose.release(base.state, [app_release("2.0")], NOW)
    other = released()
    other.list_target("targets", "notes.txt", b"notes\n")
    with other.edit("targets") as moved:
        moved["targets"]["demo/demo-1.0.tar.gz"] = target(b"replaced on main\n")
    main = other.sign().merged()

    earlier = Earlier(event=with_edits(base.state, first), base=base.state)
    again = propose.release(main.state, [app_release("2.0")], LATER, earlier=earlier)

    after = signed(again, TARGETS)
    assert after["version"] == 4
    assert after["targets"] == {
        **main.signed("targets")["targets"],
        "demo/demo-2.0.tar.gz": app_release("2.0").target().to_dict(),
    }
    assert document(again[TARGETS])["signatures"] == []


def test_what_main_has_taken_over_meanwhile_is_no_longer_proposed() -> None:
    base = released()
    first = propose.release(base.state, [app_release("2.0")], NOW)
    main = released()
    release(main, "2.0")

    earlier = Earlier(event=with_edits(base.state, first), base=base.state)
    assert propose.release(main.sign().state, [app_release("2.0")], LATER, earlier=earlier) == {}


def test_taking_back_what_an_event_added_leaves_nothing_to_propose() -> None:
    main = released().state
    first = propose.files(main, put(("notes.txt", b"notes\n")), NOW)
    earlier = Earlier(event=with_edits(main, first), base=main)

    assert propose.files(main, put(("notes.txt", None)), LATER, earlier=earlier) == {}


def test_an_event_that_cannot_be_read_has_nothing_to_keep() -> None:
    main = released().state
    earlier = Earlier(event=with_edits(main, {TARGETS: b"{", PLUGINS: b"{"}), base=main)

    assert earlier.roles == ()
    assert earlier.edits("targets") == {}
    fresh = propose.release(main, [app_release("2.0")], LATER)
    assert propose.release(main, [app_release("2.0")], LATER, earlier=earlier) == fresh


# Renewal


def test_roles_are_due_from_their_renewal_on_root_first() -> None:
    state = released().state

    assert propose.due(state, NOW + 90 * DAY - timedelta(seconds=1)) == ()
    assert propose.due(state, NOW + 90 * DAY) == ("targets", "plugins")
    assert propose.due(state, NOW + 305 * DAY) == ("root", "targets", "plugins")


def test_renewal_says_the_same_for_longer() -> None:
    draft = released()
    (renewal,) = propose.renew(draft.state, NOW + 100 * DAY, ["targets"])

    before, after = draft.signed("targets"), signed(renewal.edits, TARGETS)
    assert {**after, "version": 2, "expires": before["expires"]} == before
    assert (after["version"], after["expires"]) == (3, "2027-04-09T12:00:00Z")


def test_root_is_renewed_with_its_copy_in_the_history() -> None:
    (renewal,) = propose.renew(released().state, NOW + 310 * DAY, ["root"])

    assert renewal.edits[ROOT] == renewal.edits["metadata/root_history/2.root.json"]


def test_roles_of_the_same_signers_are_renewed_together() -> None:
    renewals = propose.renew(released().state, NOW + 305 * DAY)

    assert [renewal.roles for renewal in renewals] == [("root",), ("targets",), ("plugins",)]


def test_a_renewal_proposed_again_keeps_its_signatures() -> None:
    event = released()
    (renewal,) = propose.renew(event.state, NOW + 100 * DAY, ["plugins"])
    event.files.update(renewal.edits)
    event._unsigned["plugins"] = None
    event.sign()
    (again,) = propose.renew(released().state, NOW + 101 * DAY, ["plugins"], event=event.state)

    assert again.edits == {PLUGINS: event.files[PLUGINS]}


@pytest.mark.parametrize("role", ["themes", "timestamp"])
def test_only_offline_roles_that_are_there_are_renewed(role: str) -> None:
    with pytest.raises(UsageError, match=f"there is no offline role '{role}'"):
        propose.renew(released().state, NOW, [role])


# A changed policy


def changed(text: str, draft: Draft | None = None, **more: object) -> propose.PolicyChange:
    main = draft or released()
    return propose.change(policy(text), KEYS, main.state, LATER, **more)  # type: ignore[arg-type]


def judged(text: str, change: propose.PolicyChange) -> tuple[EventState, set[str]]:
    """The verdict on an event with a changed policy and its proposal, signed by all."""
    draft = released()
    draft.files["keyturn.yml"] = text.encode()
    draft.keyring = dict(KEYS)
    for path, data in change.edits.items():
        if data is None:
            del draft.files[path]
        else:
            draft.files[path] = data
        role = path.removeprefix("metadata/").removesuffix(".json")
        if data is not None and "/" not in role:
            draft._unsigned[role] = None
    report = verify_event(draft.sign().event(now=LATER))
    return report.state, ids(report.findings)


def test_an_unchanged_policy_asks_for_nothing() -> None:
    assert changed(POLICY) == propose.PolicyChange(edits={}, anew=())


def test_a_higher_threshold_asks_for_a_new_root() -> None:
    text = POLICY.replace("[alice, bob, carol], threshold: 2", "[alice, bob, carol], threshold: 3")
    change = changed(text)

    assert sorted(change.edits) == [ROOT, "metadata/root_history/2.root.json"]
    assert signed(change.edits, ROOT)["version"] == 2
    assert judged(text, change) == (EventState.READY, set())


def test_a_role_that_would_be_left_short_is_proposed_anew_and_the_reason_said() -> None:
    text = POLICY.replace("targets: {signers: [alice, bob]", "targets: {signers: [alice, dave]")
    change = changed(text)

    assert TARGETS in change.edits
    (anew,) = change.anew
    assert anew.role == "targets"
    assert anew.why.startswith("only 1 of the 2 signatures that targets 2 needs")
    assert judged(text, change) == (EventState.READY, set())


def test_a_new_delegation_brings_its_first_file_and_continues_a_name_that_comes_back() -> None:
    text = POLICY.replace(
        "apps:", '  themes:\n    paths: ["themes/*"]\n    signers: [dave]\n    threshold: 1\napps:'
    )
    change = changed(text)
    again = changed(text, used={"themes": 6})

    assert signed(change.edits, "metadata/themes.json")["version"] == 1
    assert signed(again.edits, "metadata/themes.json")["version"] == 7
    assert judged(text, change) == (EventState.READY, set())
    assert judged(text, again) == (EventState.READY, set())


def test_a_delegation_that_is_gone_takes_its_file_along() -> None:
    head, _, tail = POLICY.partition("delegations:\n")
    text = head + tail[tail.index("apps:") :]
    change = changed(text)

    assert change.edits[PLUGINS] is None
    assert judged(text, change)[1] == {"KT306"}


def test_a_policy_change_proposed_again_keeps_its_bytes() -> None:
    text = POLICY.replace("expires: 365d", "expires: 200d")
    change = changed(text)
    event = with_edits(released().state, change.edits)
    again = propose.change(policy(text), KEYS, released().state, LATER + DAY, event=event)

    assert again == change


def test_a_person_keeps_the_number_that_was_signed_with_their_name() -> None:
    draft = released()
    with draft.edit("root") as root:
        root["x-keyturn"]["signers"][keyid("alice")] = {"login": "alice", "id": 1001}
    main = draft.sign().merged()
    change = changed(POLICY.replace("expires: 365d", "expires: 200d"), main)

    owners = signed(change.edits, ROOT)["x-keyturn"]["signers"]  # type: ignore[index]
    assert owners[keyid("alice")] == {"login": "alice", "id": 1001}


def test_a_key_that_is_missing_stops_the_change() -> None:
    with pytest.raises(UsageError) as caught:
        propose.change(policy(), {"alice": key("alice")}, released().state, NOW)

    assert caught.value.reason == "key-missing"


def test_one_key_for_two_stops_the_change() -> None:
    text = POLICY.replace("[alice, bob, carol]", "[alice, bob, carol, dave]")
    with pytest.raises(KeyturnError) as caught:
        propose.change(policy(text), {**KEYS, "dave": key("alice")}, released().state, NOW)

    assert caught.value.reason == "one-key-twice"


def test_every_proposal_passes_the_rules_once_it_is_signed() -> None:
    draft = released()
    item = app_release("2.0")
    draft.files.update(propose.release(draft.state, [item], NOW))
    draft.files[f"targets/{item.path}"] = archive("2.0")
    draft._unsigned["targets"] = None
    report = verify_event(draft.sign().event())

    assert error_ids(report.findings) == set()
    assert report.state is EventState.READY


def test_times_are_written_in_utc_without_fractions() -> None:
    odd = datetime(2026, 9, 1, 14, 0, 0, 999_999, tzinfo=timezone(timedelta(hours=2)))

    assert propose.founding(policy(), KEYS, odd) == propose.founding(policy(), KEYS, NOW)


# Numeric user ids

NUMBERS = {"alice": 1001, "Bob": 1002, "carol": 1003, "dave": 1004}


def owners_of(edits: Mapping[str, bytes | None], path: str = ROOT) -> dict[str, object]:
    extension = signed(edits, path)["x-keyturn"]
    assert isinstance(extension, dict)
    return {owner["login"]: owner.get("id") for owner in extension["signers"].values() if owner != "online"}


def with_dave() -> Policy:
    return policy(POLICY.replace("[alice, bob, carol]", "[alice, bob, carol, dave]", 1))


def founded_with(ids: Mapping[str, int]) -> State:
    edits = propose.founding(policy(), KEYS, NOW, ids=ids)
    return State(MemoryTree(dict(edits)))


def test_founding_writes_the_numbers_that_are_known() -> None:
    edits = propose.founding(policy(), KEYS, NOW, ids={"alice": 1001, "BOB": 1002})

    assert owners_of(edits) == {"alice": 1001, "bob": 1002, "carol": None}


def test_a_newcomer_gets_their_number_and_everybody_else_keeps_theirs() -> None:
    moved = {login: number + 5000 for login, number in NUMBERS.items()}

    edits = propose.change(with_dave(), KEYS, founded_with(NUMBERS), NOW, ids=moved).edits

    assert owners_of(edits) == {"alice": 1001, "bob": 1002, "carol": 1003, "dave": 6004}


def test_who_had_no_number_is_not_given_one_in_passing() -> None:
    edits = propose.change(with_dave(), KEYS, founded_with({}), NOW, ids=NUMBERS).edits

    assert owners_of(edits) == {"alice": None, "bob": None, "carol": None, "dave": 1004}


def test_a_person_has_the_same_number_in_every_role() -> None:
    wanted = policy(POLICY.replace("signers: [carol]", "signers: [bob]"))

    edits = propose.change(wanted, KEYS, founded_with(NUMBERS), NOW).edits

    assert owners_of(edits, TARGETS) == {"bob": 1002}


def test_a_number_that_is_proposed_already_outlasts_the_host_s_silence() -> None:
    main = founded_with(NUMBERS)
    first = propose.change(with_dave(), KEYS, main, NOW, ids=NUMBERS).edits
    event = with_edits(main, first)

    again = propose.change(with_dave(), KEYS, main, LATER, event=event).edits

    assert again[ROOT] == first[ROOT]
