"""Target paths that are safe to write on any machine, to put into a URL, and to keep under a hashed name."""

from __future__ import annotations

from pathlib import PurePosixPath, PureWindowsPath
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.verify import why_unsafe


@pytest.mark.parametrize(
    "path",
    [
        "demo/demo-1.0.tar.gz",
        "a",
        "a/b/c/d/e",
        "with blank/and two  blanks.txt",
        "über/naïve/日本語.txt",
        "..hidden",
        "three...dots",
        ".hidden/.file",
        "console/auxiliary/nulls/com/lpt/com10.txt",
        "+=,;@!$&'()[]{}~^`_-",
        "git/gitignore/.gitignore/.github",
        "x" * 190,
        "x" * 64 + "/" + "y" * 188,
        "é" * 42,
    ],
)
def test_what_is_safe_may_be_used(path: str) -> None:
    assert why_unsafe(path) is None


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("", "is empty or absolute"),
        ("/etc/passwd", "is empty or absolute"),
        ("a//b", "an empty, '.' or '..' segment"),
        ("a/", "an empty, '.' or '..' segment"),
        ("./a", "an empty, '.' or '..' segment"),
        ("a/../b", "an empty, '.' or '..' segment"),
        ("..", "an empty, '.' or '..' segment"),
        ("a\\b", "contains '\\\\'"),
        ("C:/Windows", "contains ':'"),
        ("a*", "contains '*'"),
        ("a?b", "contains '?'"),
        ('a"b', "contains '\"'"),
        ("a<b", "contains '<'"),
        ("a>b", "contains '>'"),
        ("a|b", "contains '|'"),
        ("a#b", "contains '#'"),
        ("a%2e", "contains '%'"),
        ("a\nb", "the unprintable character U+000A"),
        ("a\x00b", "the unprintable character U+0000"),
        ("a\x7fb", "the unprintable character U+007F"),
        ("a\x9bb", "the unprintable character U+009B"),
        ("a\u202eb", "the unprintable character U+202E"),
        ("a\u200bb", "the unprintable character U+200B"),
        ("a\u2028b", "the unprintable character U+2028"),
        ("a\ue000b", "the unprintable character U+E000"),
        ("a\ud800b", "the unprintable character U+D800"),
        ("a\U0010ffffb", "the unprintable character U+10FFFF"),
        (" a", "begins or ends with a blank"),
        ("a /b", "begins or ends with a blank"),
        ("a\u00a0", "begins or ends with a blank"),
        ("a.", "ends with a dot"),
        ("a./b", "ends with a dot"),
        ("nul", "a device on Windows"),
        ("a/NUL.txt", "a device on Windows"),
        ("Con.tar.gz", "a device on Windows"),
        ("com1", "a device on Windows"),
        ("LPT9.log", "a device on Windows"),
        ("com\u00b9", "a device on Windows"),
        ("CONIN$", "a device on Windows"),
        ("aux .txt", "a device on Windows"),
        (".git/config", "git keeps for itself"),
        ("a/.GIT/b", "git keeps for itself"),
        ("git~1/b", "git keeps for itself"),
        ("x" * 191, "ends in a name longer than 190 bytes"),
        ("x" * 128 + "/" + "y" * 128, "longer than 255 bytes once percent-encoded"),
        ("é" * 43, "longer than 255 bytes once percent-encoded"),
    ],
)
def test_what_is_unsafe_is_refused_with_the_reason(path: str, why: str) -> None:
    found = why_unsafe(path)

    assert found
    assert why in found


@given(st.text(st.sampled_from("ab./\\: \t~%#\u202e\u00e9\ud800NULnulcom1\x00"), max_size=40))
def test_a_safe_path_stays_where_it_is_put_on_every_system(path: str) -> None:
    if why_unsafe(path) is not None:
        return
    for flavour in (PurePosixPath(path), PureWindowsPath(path)):
        assert not flavour.is_absolute()
        assert not flavour.drive
        assert flavour.as_posix() == path
        assert ".." not in flavour.parts
    assert len(quote(path, safe="")) <= 255
