"""One remote, one spelling."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.errors import UsageError
from keyturn.signing import normalise_url, same_repository
from keyturn.signing.remote_url import other_spellings


@pytest.mark.parametrize(
    ("spellings", "normal"),
    [
        (
            [
                "https://github.com/acme/updates",
                "https://github.com/acme/updates.git",
                "https://github.com/acme/updates.git/",
                "https://github.com/acme/updates//",
                "HTTPS://GitHub.com/acme/updates",
                "https://github.com:443/acme/updates",
                "https://me:secret@github.com/acme/updates",
                "https://github.com/acme/updates#x",
            ],
            "https://github.com/acme/updates",
        ),
        (
            [
                "git@github.com:acme/updates",
                "git@github.com:acme/updates.git",
                "github.com:acme/updates.git",
                "github.com:/acme/updates.git",
                "ssh://git@github.com/acme/updates.git",
                "ssh://git@GITHUB.com:22/acme/updates/",
            ],
            "ssh://github.com/acme/updates",
        ),
        (["git@[::1]:r.git", "ssh://git@[::1]/r"], "ssh://[::1]/r"),
        (["http://h:80/r", "http://h/r.git"], "http://h/r"),
        (["http://h:443/r"], "http://h:443/r"),
        (["ssh://h:2222/r"], "ssh://h:2222/r"),
        (["git://h:9418/r"], "git://h/r"),
        (["https://h/r.git?x=1"], "https://h/r?x=1"),
        (["https://h/Acme/Updates"], "https://h/Acme/Updates"),
        (["https://h", "https://h/"], "https://h"),
        (["/", "file:///", "file://"], "file:///"),
    ],
)
def test_spellings_of_one_remote(spellings: list[str], normal: str) -> None:
    assert {normalise_url(spelling) for spelling in spellings} == {normal}


def test_local_paths_are_absolute_with_links_resolved(tmp_path: Path) -> None:
    real = tmp_path.resolve()
    (real / "up.git").mkdir()
    (real / "link").symlink_to(real / "up.git")

    spellings = [
        f"{real}/up.git",
        f"{real}/up.git/",
        f"file://{real}/up.git",
        f"{real}/x/../link",
        "up.git",
        "./link",
    ]

    assert {normalise_url(spelling, base=real) for spelling in spellings} == {f"file://{real}/up"}


def test_a_relative_path_starts_at_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    assert normalise_url("up") == f"file://{tmp_path.resolve()}/up"


@pytest.mark.parametrize("path", ["/srv/a:b", "./a:b/c", "C:/repositories/up"])
def test_a_path_with_a_colon_is_no_host(path: str) -> None:
    assert normalise_url(path, base=Path("/work")).startswith("file:///")


def test_different_remotes_stay_different() -> None:
    urls = [
        "https://h/a",
        "https://h/b",
        "http://h/a",
        "ssh://h/a",
        "https://h:8443/a",
        "https://h/A",
        "/h/a",
    ]

    assert len({normalise_url(url) for url in urls}) == len(urls)


@pytest.mark.parametrize(
    "url", ["", "https://", "https:///path", "https://h:port/", "http://[::1/", "https://h/\n", "a\0b"]
)
def test_what_names_no_remote_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(UsageError) as refusal:
        normalise_url(url)

    assert refusal.value.reason == "bad-url"


def test_a_path_that_leads_in_a_circle_is_refused_or_kept(tmp_path: Path) -> None:
    (tmp_path / "circle").symlink_to(tmp_path / "circle")

    try:
        normal = normalise_url(str(tmp_path / "circle"))
    except UsageError as error:
        assert error.reason == "bad-url"
    else:
        assert normal.endswith("/circle")


@given(st.text() | st.from_regex(r"[a-zH]{1,6}(://|:|@)[a-zH.@:/]{0,20}(\.git|/){0,3}", fullmatch=True))
def test_normalising_twice_changes_nothing(url: str) -> None:
    try:
        normal = normalise_url(url)
    except UsageError:
        return
    assert normalise_url(normal) == normal


@pytest.mark.parametrize(
    ("normal", "others"),
    [
        ("https://h/o/r", ("ssh://h/o/r",)),
        ("ssh://h/o/r", ("https://h/o/r",)),
        ("https://h:8443/o/r", ()),
        ("http://h/o/r", ()),
        ("file:///o/r", ()),
        ("https://h", ()),
    ],
)
def test_ssh_and_https_are_two_ways_to_one_place(normal: str, others: tuple[str, ...]) -> None:
    assert other_spellings(normal) == others


@pytest.mark.parametrize(
    ("other", "same"),
    [
        ("git@github.com:acme/updates.git", True),
        ("https://me:pw@github.com/Acme/Updates.git", True),
        ("https://github.com/acme/other", False),
        ("https://github.com.evil.example/acme/updates", False),
        ("https://github.com:8443/acme/updates", False),
        ("/srv/github.com/acme/updates", False),
    ],
)
def test_an_address_leads_to_the_same_repository_or_not(other: str, same: bool) -> None:
    assert same_repository("https://github.com/acme/updates", other) is same
    assert same_repository(other, "https://github.com/acme/updates") is same


def test_a_local_path_is_the_same_only_as_itself() -> None:
    assert same_repository("/srv/up.git", "file:///srv/up")
    assert not same_repository("/srv/up", "/srv/UP")
