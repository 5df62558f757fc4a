"""Which spellings of a remote's address are one and the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from keyturn.errors import UsageError
from keyturn.signing import normalise_url, same_repository
from keyturn.signing.remote_url import other_spellings


@pytest.mark.parametrize(
    ("url", "normal"),
    [
        ("example.org:X/repo", "ssh://example.org/X/repo"),
        ("example.org:/X/repo", "ssh://example.org/X/repo"),
        ("file://X/repo", "file:///X/repo"),
        ("file:///X/repo", "file:///X/repo"),
        ("FILE:///X/repo/", "file:///X/repo"),
    ],
)
def test_only_slashes_are_taken_from_the_beginning_of_a_path(url: str, normal: str) -> None:
    assert normalise_url(url) == normal


def test_what_is_no_url_is_answered_with_where_to_look() -> None:
    with pytest.raises(UsageError) as caught:
        normalise_url("")

    assert (caught.value.what, caught.value.todo) == ("the remote has no usable URL", "See 'git remote -v'.")


@pytest.mark.parametrize(
    ("normal", "others"),
    [
        ("https://example.org/acme/x", ("ssh://example.org/acme/x",)),
        ("ssh://example.org/acme/x", ("https://example.org/acme/x",)),
        ("https://example.org:8443/acme/x", ()),
        ("http://example.org/acme/x", ()),
        ("file:///srv/x", ()),
        ("https://example.org", ()),
    ],
)
def test_the_other_transport_of_a_code_host_has_one_spelling(normal: str, others: tuple[str, ...]) -> None:
    assert other_spellings(normal) == others


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("https://example.org/acme/x", "git@example.org:acme/x.git", True),
        ("git@example.org:acme/x.git", "https://example.org/acme/x", True),
        ("https://example.org/Acme/X", "https://example.org/acme/x/", True),
        ("https://example.org/Acme/X", "git@example.org:aCME/x", True),
        ("https://example.org/acme/x", "https://example.org/acme/y", False),
        ("https://example.org/acme/x", "https://example.com/acme/x", False),
        ("https://example.org/acme/x", "http://example.org/acme/x", False),
        ("/srv/x", "file:///srv/x", True),
        ("/srv/x", "/srv/X", False),
    ],
)
def test_two_addresses_lead_to_one_repository_or_not(one: str, other: str, same: bool) -> None:
    assert same_repository(one, other) is same


def test_a_local_path_is_taken_from_where_it_is_said_to_begin(tmp_path: Path) -> None:
    assert normalise_url("x", base=tmp_path) == f"file://{tmp_path.resolve()}/x"
