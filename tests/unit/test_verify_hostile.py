"""Whatever lies in a repository or on a site, verification ends with findings and never falls over."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from keyturn.state import Site, State
from keyturn.tree import MemoryTree, Tree
from keyturn.verify import Publication, differences, errors, verify_event, verify_published
from unit.repository import NOW, Draft, document, ids, key, keyid, published, release, released, rotated

Path = tuple[str | int, ...]
half = settings(max_examples=settings().max_examples // 2)
"""Each of these examples judges a whole repository, some of them two."""


def _release() -> Draft:
    draft = rotated()
    release(draft, "2.0")
    draft.delegate("themes", "dave", paths=["themes/*"])
    draft.add_role("themes")
    return draft.sign()


EVENT = _release()
SITE = published()


def places(files: Mapping[str, bytes]) -> list[tuple[str, Path]]:
    found: list[tuple[str, Path]] = []
    for path, data in files.items():
        if path.endswith(".json"):
            found += [(path, inner) for inner in _inner(document(data))]
    return found


def _inner(value: object, path: Path = ()) -> list[Path]:
    below: list[tuple[str | int, Any]] = []
    if isinstance(value, dict):
        below = list(value.items())
    elif isinstance(value, list):
        below = list(enumerate(value))
    return [found for step, inner in below for found in ((*path, step), *_inner(inner, (*path, step)))]


def changed(data: bytes, path: Path, value: object) -> bytes:
    result = copy.deepcopy(document(data))
    node: Any = result
    for step in path[:-1]:
        node = node[step]
    node[path[-1]] = value
    return json.dumps(result).encode()


ODD_KEYS = [
    {"keytype": "eddsa", "scheme": "pgp+eddsa-ed25519", "keyval": {"public": {"q": "00"}}},
    {"keytype": "ecdsa", "scheme": "ecdsa-sha2-nistp256", "keyval": {"public": "-----BEGIN"}},
    {"keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": "00"}},
    {"keytype": "ml-dsa", "scheme": "ml-dsa-44/1", "keyval": {"public": "x"}},
]
values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(min_value=-1, max_value=10**10),
    st.text(max_size=6),
    st.sampled_from(
        ["online", "root", "../x", "9999-12-31T23:59:59Z", "1000-01-01T00:00:00Z", "365d", "9999d"]
    ),
    st.sampled_from([[], {}, [[]], ["x"], {"login": "mallory", "id": 1}, *ODD_KEYS]),
    st.sampled_from([keyid("alice"), keyid("online"), key("mallory").to_dict()]),
)


def judged(main: Tree, head: Tree) -> set[str]:
    draft = EVENT
    event = draft.event(baseline=State(main), head=State(head))
    report = verify_event(event)
    for difference in differences(event):
        assert difference.to_dict()
    assert report.to_dict()
    return ids(report.findings)


@half
@given(place=st.sampled_from(places(EVENT.files)), value=values)
def test_no_change_of_a_proposal_makes_verification_fall_over(place: tuple[str, Path], value: object) -> None:
    path, inner = place
    files = {**EVENT.files, path: changed(EVENT.files[path], inner, value)}

    judged(EVENT.base.tree, MemoryTree(files))


@half
@given(place=st.sampled_from(places(rotated().files)), value=values)
def test_no_change_of_main_makes_verification_fall_over(place: tuple[str, Path], value: object) -> None:
    path, inner = place
    data = changed(rotated().files[path], inner, value)

    judged(MemoryTree({**rotated().files, path: data}), MemoryTree({**EVENT.files, path: data}))


@given(place=st.sampled_from(places(SITE.files)), value=values)
def test_no_change_of_a_site_makes_verification_fall_over(place: tuple[str, Path], value: object) -> None:
    path, inner = place
    files = {**SITE.files, path: changed(SITE.files[path], inner, value)}
    publication = Publication(site=Site(MemoryTree(files)), now=NOW, pinned=SITE.publication().pinned)

    verify_published(publication)


@half
@given(gone=st.sets(st.sampled_from(sorted(EVENT.files)), max_size=4))
def test_no_missing_files_make_verification_fall_over(gone: set[str]) -> None:
    left = {path: data for path, data in EVENT.files.items() if path not in gone}

    judged(EVENT.base.tree, MemoryTree(left))
    judged(MemoryTree(left), EVENT.tree)


SIGNED_PLACES = [
    (path, inner)
    for path, inner in places(SITE.files)
    if inner[0] == "signed" and path != "metadata/root.json" and len(inner) > 1
]


@given(place=st.sampled_from(SIGNED_PLACES), value=values)
def test_what_is_signed_on_a_site_cannot_be_changed_unseen(place: tuple[str, Path], value: object) -> None:
    path, inner = place
    data = changed(SITE.files[path], inner, value)
    if document(data) == document(SITE.files[path]):
        return
    files = {**SITE.files, path: data}
    publication = Publication(site=Site(MemoryTree(files)), now=NOW, pinned=SITE.publication().pinned)

    assert errors(verify_published(publication)), (path, inner, value)


UNTOUCHED = [
    (path, inner)
    for path, inner in places(released().files)
    if path.startswith("metadata/") and inner[0] == "signed" and len(inner) > 1
]


@half
@given(place=st.sampled_from(UNTOUCHED), value=values)
def test_what_is_signed_in_a_repository_cannot_be_changed_without_new_signatures(
    place: tuple[str, Path], value: object
) -> None:
    path, inner = place
    draft = released()
    data = changed(draft.files[path], inner, value)
    if document(data) == document(draft.files[path]):
        return
    draft.files[path] = data
    report = verify_event(draft.event())

    assert report.state.value in ("invalid", "pending"), (path, inner, value)
