"""A site mutated at random: whatever ``verify`` lets pass, a stock client takes in exactly the same way.

Three attackers: one without any key, thieves with keys below every threshold that matters, and one with all
keys, who can say whatever they like, but not one thing to ``verify`` and another to clients.
"""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, note, settings
from hypothesis import strategies as st

from attacks import stock
from attacks.mutants import (
    EVERYBODY,
    UNREADABLE,
    Files,
    Mutation,
    crafted,
    in_bytes,
    in_json,
    loaded_json,
    seal,
)
from keyturn.state import Site, targets_of
from keyturn.tree import MemoryTree
from keyturn.verify import EventState, Publication, errors, verify_event, verify_published
from unit.repository import NOW, Draft, Published, ids, key, release, released

pytestmark = pytest.mark.slow

THIEVES: list[frozenset[str]] = [
    frozenset({"mallory"}),
    frozenset({"alice", "mallory"}),
    frozenset({"online", "mallory"}),
    frozenset({"online", "alice", "mallory"}),
    frozenset({"online", "bob", "mallory"}),
]


@cache
def history() -> tuple[Draft, ...]:
    """What ``main`` was: a release, then another with a second root and one more role."""
    draft = released()
    draft.add_key("root", "root", "alice-new", owner={"login": "dave"})
    draft.keyring["dave"] = key("alice-new")
    draft.delegate("extras", "online-new", paths=["extras/*", "plugins/*"])
    draft.add_role("extras")
    draft.list_target("extras", "extras/notes.txt", b"notes\n")
    draft.list_target("extras", "plugins/behind-a-terminating-role.zip", b"never found\n")
    release(draft, "2.0")
    return released(), draft.sign()


@cache
def site() -> Mapping[str, bytes]:
    """The site of the second, on which what the first published still lies."""
    files: Files = {}
    for version, draft in enumerate(history(), start=1):
        files |= Published(draft.state, version=version).files
    return files


ROOT = site()["metadata/1.root.json"]
PINNED = history()[-1].state.roots[1].digest


def publication(files: Mapping[str, bytes]) -> Publication:
    return Publication(site=Site(MemoryTree(files)), now=NOW, pinned=PINNED)


@cache
def signed_entries() -> tuple[tuple[str, Any], ...]:
    """Every target entry that a threshold of people ever signed."""
    found = [
        (target.path, target.to_dict())
        for draft in history()
        for file in draft.state.targets_roles()
        for target in targets_of(file).targets.values()
    ]
    return tuple(found)


def named_paths(files: Mapping[str, bytes]) -> set[str]:
    """Every path that any file mentions as a target, signed or not."""
    paths = {path for path, _ in signed_entries()}
    for data in files.values():
        targets = ((loaded_json(data) or {}).get("signed", {})).get("targets")
        paths |= set(targets if isinstance(targets, dict) else ())
    return paths


def meaning(judged: Publication) -> dict[str, str]:
    """What a client ends up with: the payload of each role that it trusts."""
    files = [judged.site.root, judged.site.timestamp, judged.snapshot]
    files += [judged.role(name) for name in judged.targets_names]
    return {file.role: file.digest for file in files if file}


MEANING, OFFERED = meaning(publication(site())), stock.offered(publication(site()))


def after(mutations: Collection[Mutation], keys: Collection[str]) -> Files:
    files = dict(site())
    for mutation in mutations:
        mutation.apply(files)
        note(repr(mutation))
    changed = [path for path in files if files[path] != site().get(path)]
    return seal(files, changed, keys)


CURRENT = {
    path: data
    for path, data in site().items()
    if path
    in (
        "metadata/2.root.json",
        "metadata/3.targets.json",
        "metadata/2.snapshot.json",
        "metadata/timestamp.json",
    )
}
anything = st.lists(
    st.one_of(crafted(CURRENT), in_json(CURRENT), in_json(site()), in_bytes(site())), min_size=1, max_size=3
)
often = settings(
    max_examples=2000, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


def agreement(files: Files) -> tuple[bool, stock.View | None]:
    """Whether ``verify`` finds no error, and what a client finds; fails where they differ unsafely."""
    judged = publication(files)
    fine = not errors(verify_published(judged))
    try:
        seen = stock.look(files, ROOT, named_paths(files), NOW)
    except stock.Refused as refusal:
        assert not fine, f"verify lets pass what a client refuses: {refusal}"
        return False, None
    if fine:
        assert seen == stock.offered(judged)
    event(f"verify {'fine' if fine else 'refuses'}, client sees {len(seen)}")
    return fine, seen


@settings(often, max_examples=800)
@given(mutations=anything)
def test_without_a_key_a_site_can_only_be_left_as_it_is_or_broken(mutations: list[Mutation]) -> None:
    files = after(mutations, ())
    fine, seen = agreement(files)
    if fine:
        assert meaning(publication(files)) == MEANING
        assert seen == OFFERED
    assert all(entry in signed_entries() for entry in (seen or {}).items())


@settings(often, max_examples=800)
@given(mutations=anything, keys=st.sampled_from(THIEVES))
def test_keys_below_the_threshold_show_no_client_what_was_not_signed(
    mutations: list[Mutation], keys: frozenset[str]
) -> None:
    _, seen = agreement(after(mutations, keys))

    assert all(entry in signed_entries() for entry in (seen or {}).items())


@settings(often, max_examples=400)
@given(mutations=anything)
def test_whoever_has_every_key_says_the_same_to_verify_and_to_clients(mutations: list[Mutation]) -> None:
    agreement(after(mutations, EVERYBODY))


LAST = history()[-1]
EVENT_FILES = {
    path: LAST.files[path]
    for path in (f"metadata/{role}.json" for role in ("root", "targets", "plugins", "extras"))
}


@settings(often, max_examples=200)
@given(mutations=st.lists(st.one_of(crafted(EVENT_FILES), in_json(EVENT_FILES)), min_size=1, max_size=2))
def test_an_event_that_everybody_signs_is_refused_or_every_client_follows_it(
    mutations: list[Mutation],
) -> None:
    """Clients that come with root 1 and clients that hold the state before."""
    main = history()[-2]
    draft = Draft(main.files)
    draft.files, draft.keyring = dict(LAST.files), dict(LAST.keyring)
    for mutation in mutations:
        mutation.apply(draft.files)
        note(repr(mutation))
    with suppress(*UNREADABLE):
        for role in ("root", "targets", "plugins", "extras"):
            if draft.files[f"metadata/{role}.json"] != main.files.get(f"metadata/{role}.json"):
                with draft.edit(role, bump=False):
                    pass
        draft.sign()
    report = verify_event(draft.event())
    event(report.state.value)
    if report.state is not EventState.READY:
        return
    after_merge = Published(draft.merged().state, version=2)
    judged = after_merge.publication()
    assert not errors(verify_published(judged))
    before = Published(main.state, version=1)
    paths = named_paths(after_merge.files)
    assert stock.look(after_merge.files, ROOT, paths, NOW) == stock.offered(judged)
    with tempfile.TemporaryDirectory() as directory:
        held = stock.Held(Path(directory), ROOT)
        held.look(before.files, (), NOW)
        assert held.look(after_merge.files, paths, NOW) == stock.offered(judged)


def test_what_is_mutated_is_good() -> None:
    assert verify_event(LAST.event()).state is EventState.READY
    assert not errors(verify_published(publication(site())))
    assert OFFERED.keys() == {
        "demo/demo-1.0.tar.gz", "demo/demo-2.0.tar.gz", "extras/notes.txt", "plugins/spell.zip"
    }  # fmt: skip


@pytest.mark.parametrize("roles", [32, 33])
def test_what_a_stock_client_asks_too_many_roles_for_is_offered_nowhere(roles: int) -> None:
    draft = released()
    for number in range(roles):
        draft.delegate(f"role-{number:02}", "bob", paths=["deep/*"])
        draft.add_role(f"role-{number:02}")
    draft.list_target(f"role-{roles - 1:02}", "deep/target", b"content\n")
    report = verify_event(draft.sign().event())
    crowded = Published(draft.merged().state)
    seen = stock.look(crowded.files, ROOT, named_paths(crowded.files), NOW)
    assert seen == stock.offered(crowded.publication())
    assert ("deep/target" in seen) == (roles == 32)
    assert ids(report.findings) == (set() if roles == 32 else {"KT311"})
