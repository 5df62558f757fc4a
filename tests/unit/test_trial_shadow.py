"""The trial before merge: copies signed by throw-away keys, and a stock client that goes between them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from securesystemslib.signer import Key, SSlibKey
from tuf.api.exceptions import RepositoryError
from tuf.ngclient import Updater

from keyturn.errors import RefusedError
from keyturn.publish import online
from keyturn.signing import KeySigner
from keyturn.state import (
    Extension,
    RoleFile,
    Site,
    State,
    fingerprint,
    keys_of,
    search,
    spec_keyid,
)
from keyturn.trial import Outcome, event, stock_client, try_event
from keyturn.trial.shadow import RSA_BITS, Shadow, ThrowAwayKeys
from keyturn.verify import Event, Publication, count, root_counts, signature_valid
from unit.repository import (
    DAY,
    NOW,
    PEOPLE,
    Draft,
    Published,
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
)

ROOT = "metadata/root.json"
PLUGINS = "metadata/plugins.json"


@pytest.fixture(autouse=True)
def nothing_is_known() -> Iterator[None]:
    event._known.clear()
    yield
    event._known.clear()


def on_curve(curve: ec.EllipticCurve) -> SSlibKey:
    public = ec.derive_private_key(17, curve).public_key()
    text = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    scheme = "ecdsa-sha2-nistp384" if curve.name == "secp384r1" else "ecdsa-sha2-nistp256"
    found = SSlibKey("", "ecdsa", scheme, {"public": text})
    found.keyid = spec_keyid(found)
    return found


def small_rsa() -> SSlibKey:
    return SSlibKey.from_crypto(rsa.generate_private_key(65537, 1024).public_key())  # noqa: S505 - as found


def site_of(state: State, *, version: int = 1, now: datetime = NOW) -> Publication:
    return Published(state, version=version, now=now).publication(check_targets=False)


def judged(draft: Draft, published: Publication | None = None) -> Outcome:
    """The trial of an event that nobody has signed."""
    everybody = {role: tuple(draft.keyring) for role in draft.state.names}
    return try_event(draft.sign(without=everybody).event(), published)


def refusal(draft: Draft, published: Publication | None = None) -> str:
    outcome = judged(draft, published)
    assert outcome.refusal is not None
    assert outcome.to_dict() == {"passed": False, "refusal": outcome.refusal, "targets": 0}
    return outcome.refusal


def file(state: State, role: str) -> RoleFile:
    found = state.role(role)
    assert found
    return found


# Throw-away keys


@pytest.mark.parametrize(
    "public",
    [
        key("alice"),
        key("dave"),
        on_curve(ec.SECP384R1()),
        key("erin"),
        as_scheme("erin", "rsa-pkcs1v15-sha256"),
        as_scheme("erin", "rsassa-pss-sha512"),
        small_rsa(),
    ],
    ids=["ed25519", "P-256", "P-384", "RSA-PSS", "RSA PKCS 1", "RSA-PSS SHA-512", "RSA of 1024 bits"],
)
def test_a_key_is_replaced_by_another_of_its_type(public: SSlibKey) -> None:
    made = ThrowAwayKeys().signer(public)

    assert made
    assert (made.public.keytype, made.public.scheme) == (public.keytype, public.scheme)
    assert made.public.keyval != public.keyval
    assert made.public.keyid == spec_keyid(made.public) != public.keyid
    assert signature_valid(made.public, made.sign(b"payload"), b"payload")


def test_rsa_keys_are_of_a_size_that_is_quickly_made() -> None:
    made = ThrowAwayKeys().signer(key("erin"))

    assert made
    assert len(bytes.fromhex(made.sign(b"").signature)) == RSA_BITS // 8


def test_one_key_is_replaced_by_one_key_whatever_it_is_called() -> None:
    keys = ThrowAwayKeys()
    renamed = SSlibKey("5a" * 32, "ed25519", "ed25519", dict(key("alice").keyval))
    one, same, other = keys.signer(key("alice")), keys.signer(renamed), keys.signer(key("bob"))

    assert one
    assert same
    assert other
    assert fingerprint(one.public) == fingerprint(same.public) != fingerprint(other.public)


def test_a_keyid_that_is_not_the_specifications_is_kept() -> None:
    made = ThrowAwayKeys().signer(SSlibKey("5a" * 32, "ed25519", "ed25519", dict(key("alice").keyval)))

    assert made
    assert made.public.keyid == "5a" * 32


def test_fields_that_nobody_knows_stay_with_the_key() -> None:
    odd = SSlibKey("", "ed25519", "ed25519", dict(key("alice").keyval), {"x-owner": "@alice"})
    made = ThrowAwayKeys().signer(odd)

    assert made
    assert made.public.unrecognized_fields == {"x-owner": "@alice"}


@pytest.mark.parametrize(
    "public",
    [
        SSlibKey("", "ed25519", "ed25519", {"public": "zz"}),
        SSlibKey("", "rsa", "rsassa-pss-sha256", {"public": "-----BEGIN PUBLIC KEY-----"}),
        SSlibKey("", "rsa", "rsassa-pss-sha256", dict(key("dave").keyval)),
        SSlibKey("", "ecdsa", "ecdsa-sha2-nistp384", dict(key("dave").keyval)),
        on_curve(ec.SECP256K1()),
        SSlibKey("", "ecdsa", "ecdsa-sha2-nistp999", dict(key("dave").keyval)),
    ],
    ids=["no hex", "no PEM", "another type", "another curve", "a curve that no scheme has", "no such scheme"],
)
def test_a_key_that_no_client_could_verify_with_is_not_replaced(public: Key) -> None:
    assert ThrowAwayKeys().signer(public) is None


# Copies


def test_a_copy_holds_no_key_and_no_signature_of_anybody() -> None:
    state = rotated().state
    copy = Shadow(NOW).of_state(state)

    known = {name for role in ("root", "targets") for name in keys_of(file(state, role))}
    for path in copy.tree.entries():
        assert not any(name in copy.tree.read(path).decode() for name in known), path


def test_a_copy_says_the_same_but_for_the_keys() -> None:
    state = rotated().state
    copy = Shadow(NOW).of_state(state)

    def stripped(role: RoleFile) -> dict[str, Any]:
        signed = document(role.data)["signed"]
        for holder in (signed, signed.get("delegations", {})):
            holder.pop("keys", None)
            roles = holder.get("roles", {})
            for one in roles.values() if isinstance(roles, dict) else roles:
                one["keyids"] = len(one["keyids"])
        signed.get("x-keyturn", {}).pop("signers", None)
        return signed

    assert copy.names == state.names
    assert list(copy.roots) == list(state.roots)
    for name in state.names:
        assert stripped(file(copy, name)) == stripped(file(state, name))


def test_owners_go_with_their_keys() -> None:
    state = rotated().state
    shadow = Shadow(NOW)
    copy = shadow.of_state(state)

    for role in ("root", "targets"):
        extension = Extension.of(file(copy, role).signed, role)
        assert extension
        assert set(extension.signers) == set(keys_of(file(copy, role)))
        logins = [owner.name for owner in extension.signers.values()]
        before = Extension.of(file(state, role).signed, role)
        assert before
        assert sorted(logins) == sorted(owner.name for owner in before.signers.values())


def test_the_same_key_has_the_same_stand_in_in_every_role_and_every_copy() -> None:
    shadow = Shadow(NOW)
    one, other = shadow.of_state(released().state), shadow.of_state(rotated().state)

    def print_of(state: State, role: str, name: str) -> str:
        extension = Extension.of(file(state, role).signed, role)
        assert extension
        (found,) = (k for k, owner in extension.signers.items() if owner.name == name)
        return fingerprint(keys_of(file(state, role))[found])

    assert print_of(one, "root", "carol") == print_of(one, "targets", "carol")
    assert print_of(one, "root", "carol") == print_of(other, "root", "carol")


def test_every_role_has_just_as_many_signatures_as_its_threshold_asks_for() -> None:
    copy = Shadow(NOW).of_state(rotated().state)

    for role in ("targets", "plugins"):
        (delegation,) = copy.delegations_to(role)
        assert count(delegation, file(copy, role), role).have == delegation.role.threshold
        assert len(file(copy, role).signatures) == delegation.role.threshold


def test_root_is_signed_for_the_one_before_it_and_for_itself() -> None:
    draft = released()
    for name in ("alice", "bob"):
        draft.remove_key("root", "root", name)
    for name in ("dave", "erin"):
        draft.add_key("root", "root", name)
    copy = Shadow(NOW).of_state(draft.sign().state)

    old, new = root_counts(copy.roots[1], copy.roots[2])
    assert (old.have, old.need, new.have, new.need) == (2, 2, 2, 2)
    assert len(copy.roots[2].signatures) == 3, "carol signs for both"
    assert root_counts(None, copy.roots[1])[0].have == 2
    assert file(copy, "root").digest == copy.roots[2].digest


def test_one_key_under_two_keyids_does_not_meet_a_threshold_of_two() -> None:
    draft = released()
    with draft.edit("root") as signed:
        signed["keys"]["5a" * 32] = key("alice").to_dict()
        signed["roles"]["targets"]["keyids"] = [keyid("alice"), "5a" * 32]
    copy = Shadow(NOW).of_state(draft.sign().state)

    assert len(file(copy, "targets").signatures) == 1


def test_what_has_expired_counts_as_renewed_unless_the_event_proposes_it() -> None:
    later = NOW + 200 * DAY
    state = rotated().state
    copy = Shadow(later).of_state(state, proposed=["plugins"])

    assert file(copy, "targets").expires > later
    assert file(copy, "plugins").expires == file(state, "plugins").expires < later
    assert file(copy, "root").expires == file(state, "root").expires > later


def test_an_expired_root_counts_as_renewed_in_its_history_too() -> None:
    later = NOW + 400 * DAY
    copy = Shadow(later).of_state(rotated().state)

    assert copy.roots[2].expires > later
    assert copy.roots[1].expires < later


def test_the_copy_of_a_site_has_its_versions_and_verifies_by_the_keys_of_the_copy() -> None:
    published = site_of(rotated().state, version=7)
    copy = Publication(site=Site(Shadow(NOW).of_site(published)), now=NOW, pinned="")

    assert copy.site.timestamp
    assert copy.snapshot
    assert (copy.site.timestamp.version, copy.snapshot.version) == (7, 7)
    for delegation in copy.delegations:
        found = {"timestamp": copy.site.timestamp, "snapshot": copy.snapshot}.get(
            delegation.name, copy.site.root if delegation.name == "root" else copy.role(delegation.name)
        )
        assert found
        assert count(delegation, found, "").met, delegation.name
    assert not any(path.startswith("targets/") for path in copy.site.tree.entries())


def test_a_site_that_lacks_its_timestamp_has_no_copy() -> None:
    site = Published(released().state)
    del site.files["metadata/timestamp.json"]

    with pytest.raises(RefusedError, match="not a whole site"):
        Shadow(NOW).of_site(site.publication())


# What passes


def renewed() -> Draft:
    draft = rotated()
    for role in ("root", "targets", "plugins"):
        with draft.edit(role) as signed:
            signed["expires"] = f"{NOW + 100 * DAY:%Y-%m-%dT%H:%M:%SZ}"
    return draft


def with_release() -> Draft:
    draft = rotated()
    release(draft, "2.0")
    return draft


def with_another_policy() -> Draft:
    draft = rotated()
    draft.add_key("root", "targets", "carol")
    with draft.edit("root") as signed:
        signed["roles"]["targets"]["threshold"] = 3
        signed["x-keyturn"]["periods"]["timestamp"] = {"expires": "2d", "renew": "1d"}
    with draft.edit("targets"):
        pass
    return draft


def with_a_replaced_key() -> Draft:
    draft = rotated()
    for role in ("root", "targets"):
        draft.add_key("root", role, "alice-new", owner={"login": "alice"})
        draft.remove_key("root", role, "alice")
    with draft.edit("targets"):
        pass
    return draft


def with_another_online_key() -> Draft:
    draft = rotated()
    for role in ("snapshot", "timestamp"):
        draft.add_key("root", role, "online-new", owner="online")
        draft.remove_key("root", role, "online")
    return draft


def with_nobody_left_of_root_1() -> Draft:
    draft = rotated()
    for name in ("erin", "mallory"):
        draft.add_key("root", "root", name)
    for name in ("alice", "bob", "carol", "dave"):
        draft.remove_key("root", "root", name)
    return draft


def with_one_more_delegation() -> Draft:
    draft = rotated()
    draft.delegate("themes", "dave", paths=["themes/*"])
    draft.add_role("themes")
    draft.list_target("themes", "themes/dark", b"dark\n")
    return draft


def without_the_delegation() -> Draft:
    draft = rotated()
    with draft.edit("targets") as signed:
        del signed["delegations"], signed["x-keyturn"]
    del draft.files[PLUGINS]
    return draft


GOOD = [
    with_release,
    with_another_policy,
    with_a_replaced_key,
    with_another_online_key,
    with_nobody_left_of_root_1,
    with_one_more_delegation,
    without_the_delegation,
    renewed,
]


@pytest.mark.parametrize("make", GOOD)
@pytest.mark.parametrize("is_published", [True, False], ids=["published", "not yet published"])
def test_a_good_event_passes(make: Callable[[], Draft], *, is_published: bool) -> None:
    draft = make()
    published = site_of(draft.base, version=3) if is_published else None

    assert judged(draft, published).refusal is None


def test_the_founding_event_passes_and_nothing_is_looked_up() -> None:
    assert judged(founding()) == Outcome(None, 0)


def test_what_is_published_may_be_some_events_behind() -> None:
    assert judged(with_release(), site_of(founded().state)).refusal is None


def test_what_is_published_may_have_expired_long_ago() -> None:
    draft = with_release()
    old = site_of(draft.base, now=NOW - 300 * DAY)

    assert judged(draft, old).refusal is None


def test_a_role_can_be_renewed_while_others_have_expired() -> None:
    """That they are due is said by KT114, not here: else two events would wait for each other."""
    later = NOW + 400 * DAY
    draft = rotated()
    with draft.edit("plugins") as signed:
        signed["expires"] = f"{later + 10 * DAY:%Y-%m-%dT%H:%M:%SZ}"

    assert try_event(draft.sign().event(now=later), site_of(draft.base)).refusal is None


@pytest.mark.parametrize("kind", ["dave", "erin"])
def test_keys_of_every_type_pass(kind: str) -> None:
    draft = rotated()
    draft.add_key("root", "targets", kind)
    draft.add_key("root", "root", "p384", public=on_curve(ec.SECP384R1()))
    with draft.edit("root") as signed:
        signed["roles"]["targets"]["threshold"] = 3
    with draft.edit("targets"):
        pass

    assert judged(draft, site_of(draft.base)).refusal is None


def test_a_terminating_delegation_that_hides_a_target_is_no_failure() -> None:
    draft = rotated()
    draft.delegate("first", "dave", paths=["plugins/*"])
    draft.add_role("first")
    with draft.edit("targets") as signed:
        signed["delegations"]["roles"].reverse()
        signed["delegations"]["roles"][0]["terminating"] = True

    assert judged(draft, site_of(draft.base)).refusal is None


def test_a_keyid_without_a_key_that_nobody_needs_is_no_failure() -> None:
    draft = rotated()
    with draft.edit("targets") as signed:
        signed["delegations"]["roles"][0]["keyids"].append("5a" * 32)

    assert judged(draft, site_of(draft.base)).refusal is None


def test_targets_that_change_are_looked_up_and_one_of_every_role() -> None:
    draft = rotated()
    release(draft, "2.0")
    release(draft, "3.0")

    assert judged(draft) == Outcome(None, 4)


# What is caught


def test_an_online_key_that_cannot_be_read() -> None:
    draft = rotated()
    with draft.edit("root") as signed:
        signed["keys"][keyid("online")]["keyval"]["public"] = "no key"

    assert "root names no key for snapshot and timestamp that can sign" in refusal(draft)


@pytest.mark.parametrize("role", ["snapshot", "timestamp"])
def test_a_root_that_names_no_key_for_an_online_role(role: str) -> None:
    draft = rotated()
    with draft.edit("root") as signed:
        signed["roles"][role]["keyids"] = []

    assert f"not the online key that root names for {role}" in refusal(draft)


@pytest.mark.parametrize("role", ["snapshot", "timestamp"])
def test_an_online_role_with_a_threshold_that_cannot_be_met(role: str) -> None:
    draft = rotated()
    with draft.edit("root") as signed:
        signed["roles"][role]["threshold"] = 2

    assert f"{role} was signed by 1/2 keys" in refusal(draft)


def test_a_root_without_periods_for_what_is_signed_online() -> None:
    draft = rotated()
    with draft.edit("root") as signed:
        del signed["x-keyturn"]

    assert "root gives no period for snapshot" in refusal(draft)


def test_a_delegation_whose_keyid_is_not_among_the_keys() -> None:
    draft = rotated()
    with draft.edit("targets") as signed:
        signed["delegations"]["keys"] = {}

    assert "plugins was signed by 0/1 keys" in refusal(draft)


def test_a_delegation_whose_keyid_is_anothers() -> None:
    draft = rotated()
    with draft.edit("targets") as signed:
        signed["delegations"]["keys"][keyid("carol")]["keyval"]["public"] = key("mallory").keyval["public"]

    assert judged(draft).refusal is None, "a keyid that is not the specification's is KT107's affair"


@pytest.mark.parametrize("role", ["root", "targets"])
def test_a_threshold_that_cannot_be_met(role: str) -> None:
    draft = rotated()
    with draft.edit("root") as signed:
        signed["roles"][role]["threshold"] = 9

    assert "/9 keys" in refusal(draft)


def test_a_threshold_that_only_one_key_counted_twice_would_meet() -> None:
    draft = rotated()
    with draft.edit("root") as signed:
        signed["keys"]["5a" * 32] = key("alice").to_dict()
        signed["roles"]["targets"]["keyids"] = [keyid("alice"), "5a" * 32]

    assert "targets was signed by 1/2 keys" in refusal(draft)


@pytest.mark.parametrize("is_published", [True, False], ids=["published", "not yet published"])
def test_a_removed_role_that_targets_still_delegates_to(*, is_published: bool) -> None:
    draft = rotated()
    with draft.edit("targets"):
        pass
    del draft.files[PLUGINS]

    assert "metadata/2.plugins.json is not there" in refusal(
        draft, site_of(draft.base) if is_published else None
    )


def test_a_removed_role_is_kept_in_snapshot_or_clients_would_refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    def forgetful(
        state: State, signers: Sequence[KeySigner], previous: Iterable[Site], now: datetime
    ) -> online.OnlineFiles:
        monkeypatch.setattr(online._Evidence, "meta", lambda self: {})
        return online.sign_online(state, signers, previous, now)

    monkeypatch.setattr(event, "sign_online", forgetful)

    assert "missing info for 'plugins.json'" in refusal(without_the_delegation())


def test_a_gap_between_roots() -> None:
    draft = rotated()
    with draft.edit("root") as signed:
        signed["version"] = 4

    assert "with root 1 alone stays at root 2 and does not get to root 4" in refusal(draft)


def test_a_root_under_the_number_of_another() -> None:
    draft = rotated()
    with draft.edit("root"):
        pass
    draft.sign()
    history = "metadata/root_history/3.root.json"
    changed = document(draft.files[history])
    changed["signed"]["version"] = 5
    draft.files[history] = rendered(changed)
    draft.files[ROOT] = draft.files[history]

    assert "does not update: Expected root version 3 instead got version 5" in refusal(draft)


def test_a_history_without_root_1() -> None:
    draft = with_release()
    del draft.files["metadata/root_history/1.root.json"]

    assert refusal(draft) == "a stock client cannot start: there is no root 1"


def test_a_role_that_goes_back() -> None:
    main = rotated()
    for _ in range(2):
        with main.edit("targets", bump=False) as signed:
            signed["version"] += 1
    ahead = site_of(main.sign().state)

    assert "targets is version 3 on main, but version 4 was published" in refusal(with_release(), ahead)


def test_a_role_that_goes_back_is_refused_by_the_client_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    main = rotated()
    with main.edit("targets", bump=False) as signed:
        signed["version"] = 9
    ahead = site_of(main.sign().state)
    monkeypatch.setattr(
        event, "sign_online", lambda state, signers, _, now: online.sign_online(state, signers, (), now)
    )

    assert "a stock client coming from the last state" in refusal(with_release(), ahead)


def test_a_main_that_lost_a_root_which_is_published() -> None:
    draft = released()
    release(draft, "2.0")

    assert "coming from the last state stays at root 2 and does not get to root 1" in refusal(
        draft, site_of(rotated().state)
    )


def test_something_proposed_that_has_expired() -> None:
    draft = rotated()
    with draft.edit("targets") as signed:
        signed["expires"] = f"{NOW - DAY:%Y-%m-%dT%H:%M:%SZ}"

    assert "New targets is expired" in refusal(draft)


def test_a_role_beyond_the_number_that_clients_visit() -> None:
    """A stock client asks 32 delegated roles for a path, and no more."""
    draft = rotated()
    names = [f"role-{number:02}" for number in range(33)]
    for name in names:
        draft.delegate(name, "dave", paths=["more/*"])
        draft.add_role(name)
    draft.list_target(names[-1], "more/last", b"last\n")

    assert judged(draft) == Outcome(None, 2), "said by KT311; whoever could update before still can"


def test_a_client_that_finds_something_else_than_we_think(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stock_client, "search", lambda *_: None)
    assert "a stock client with root 1 alone finds another target under the path 'demo/" in refusal(
        with_release()
    )

    event._known.clear()
    monkeypatch.setattr(stock_client, "search", search)
    monkeypatch.setattr(Updater, "get_targetinfo", lambda *_: None)
    assert "a stock client with root 1 alone finds nothing under the path 'demo/" in refusal(with_release())


def test_a_root_larger_than_clients_read() -> None:
    draft = rotated()
    with draft.edit("root") as signed:
        signed["x-notes"] = "x" * 600_000

    assert "exceeding the maximum allowed length" in refusal(draft)


def test_an_event_that_leaves_no_readable_root() -> None:
    draft = rotated()
    draft.files[ROOT] = b"{}"

    assert "nothing could be published" in refusal(draft)


# Its way of working


def test_it_does_not_matter_who_has_signed() -> None:
    signed, unsigned = with_release().sign(), with_release()

    assert judged(unsigned) == try_event(signed.event(), None)


def test_the_answer_is_remembered_until_a_payload_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Event] = []
    real = event._outcome
    monkeypatch.setattr(event, "_outcome", lambda *given: asked.append(given[0]) or real(*given))
    published = site_of(rotated().state)
    for draft in (with_release(), with_release().sign(without={"targets": PEOPLE})):
        try_event(draft.sign().event(), published)
    assert len(asked) == 1

    try_event(with_release().sign().event(), site_of(rotated().state, version=2))
    try_event(with_release().sign().event(now=NOW + DAY), published)
    try_event(with_another_policy().sign().event(), published)
    assert len(asked) == 4


def test_no_more_is_remembered_than_is_likely_to_be_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event, "_outcome", lambda *_: Outcome(None))
    made = with_release().sign()
    for hours in range(event._MOST_KNOWN + 1):
        try_event(made.event(now=NOW + hours * DAY / 24), None)

    assert len(event._known) == 1


def test_clients_that_are_stranded_already_do_not_stop_an_event(monkeypatch: pytest.MonkeyPatch) -> None:
    """An event may be what mends it: nobody is worse off than before."""
    refresh, calls = Updater.refresh, []

    def refuses_what_is_there_now(self: Updater) -> None:
        calls.append(self)
        if len(calls) == 2:
            raise RepositoryError("as it is")
        refresh(self)

    monkeypatch.setattr(Updater, "refresh", refuses_what_is_there_now)

    assert judged(with_release(), site_of(rotated().state)).refusal is None
    assert len(calls) == 3


def test_a_main_that_cannot_be_published_is_no_state_to_come_from() -> None:
    main = rotated()
    with main.edit("root") as signed:
        del signed["x-keyturn"]
    draft = main.sign().merged()
    with draft.edit("root") as signed:
        signed["x-keyturn"] = rotated().signed("root")["x-keyturn"]

    assert judged(draft).refusal is None
