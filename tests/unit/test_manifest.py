from __future__ import annotations

import hashlib
import json
import os
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.delta.manifest import Item, Manifest, ManifestError, check_links, check_path, link_item, scan
from keyturn.errors import EnvironmentFault

EMPTY = hashlib.sha256(b"").hexdigest()


def empty_file(path: str, mode: int = 0o644) -> Item:
    return Item(path, "file", mode, 0, EMPTY)


def test_the_canonical_bytes_are_those_of_the_specification(tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / 'quo"te').write_bytes(b"abc")
    (tmp_path / "app").write_bytes(b"")
    (tmp_path / "app").chmod(0o700)
    (tmp_path / "\u00e9tat").mkdir()
    (tmp_path / "link").symlink_to("lib/./../app")

    manifest = scan(tmp_path)

    abc = hashlib.sha256(b"abc").hexdigest()
    text = hashlib.sha256(b"lib/./../app").hexdigest()
    expected = (
        '{"format":1,"items":['
        f'{{"kind":"file","mode":493,"path":"app","sha256":"{EMPTY}","size":0}},'
        f'{{"kind":"file","mode":420,"path":"lib/quo\\"te","sha256":"{abc}","size":3}},'
        f'{{"kind":"link","mode":0,"path":"link","sha256":"{text}","size":12}},'
        '{"kind":"dir","mode":0,"path":"\u00e9tat","sha256":"","size":0}'
        "]}"
    ).encode()
    assert manifest.to_bytes() == expected
    assert manifest.digest == hashlib.sha256(expected).hexdigest()


def test_an_empty_tree_has_a_digest_that_never_changes() -> None:
    assert Manifest(()).to_bytes() == b'{"format":1,"items":[]}'
    assert Manifest(()).digest == "023f38378e99890c13adacddb2c3d859588311354673075038f2cd86a2e76a62"


def test_times_owners_and_finer_permissions_are_no_part_of_a_tree(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"x")
    file.chmod(0o640)
    before = scan(tmp_path)

    file.chmod(0o604)
    os.utime(file, (1, 1))

    assert scan(tmp_path) == before


def test_a_directory_is_listed_only_while_it_is_empty(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    assert [(item.path, item.kind) for item in scan(tmp_path).items] == [("a/b", "dir")]

    (tmp_path / "a" / "b" / "c").touch()
    assert [(item.path, item.kind) for item in scan(tmp_path).items] == [("a/b/c", "file")]


def test_the_order_is_that_of_the_bytes_of_whole_paths(tmp_path: Path) -> None:
    for name in ("b", "a/z", "a.txt", "\U0001f600", "\uffee"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()

    assert [item.path for item in scan(tmp_path).items] == ["a.txt", "a/z", "b", "\uffee", "\U0001f600"]


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/etc/passwd",
        "a//b",
        "a/",
        "./a",
        "a/../b",
        "..",
        "a\\b",
        "C:evil",
        "a\nb",
        "a\x7f",
        "a\x9b",
        "a\u2028b",
        "a\ud800",
        "a" * 256,
        "\u00e9" * 128,
        "/".join(["abcdefgh"] * 120),
    ],
)
def test_a_path_that_is_not_the_same_everywhere_is_refused(path: str) -> None:
    with pytest.raises(ManifestError) as refusal:
        check_path(path)
    assert refusal.value.reason == "unsafe-tree"


@pytest.mark.parametrize("path", ["a", "...", ".hidden", "a b", "e\u0301", "\u202eabc", "CON", "a" * 255])
def test_any_other_name_is_kept_as_it_is(path: str) -> None:
    check_path(path)
    assert Manifest((empty_file(path),)).items[0].path == path


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Readme", "README"),
        ("\u00e9", "e\u0301"),
        ("dir/a", "DIR/b"),
        ("stra\u00dfe", "STRASSE"),
        ("\u1fb3\u0301", "\u1fb4"),
        ("A", "a/b"),
    ],
)
def test_paths_that_are_one_on_another_system_are_refused(one: str, other: str) -> None:
    with pytest.raises(ManifestError, match=r"differs from .* only by"):
        Manifest.of([empty_file(one), empty_file(other)])


def test_nothing_lies_below_a_file() -> None:
    with pytest.raises(ManifestError, match="something below it") as refusal:
        Manifest.of([empty_file("a"), empty_file("a/b/c")])
    assert refusal.value.where == "a"


@pytest.mark.parametrize("paths", [("b", "a"), ("a", "a")])
def test_items_ascend_and_none_comes_twice(paths: tuple[str, str]) -> None:
    with pytest.raises(ManifestError, match="ascend"):
        Manifest(tuple(empty_file(path) for path in paths))


@pytest.mark.parametrize(
    "fields",
    [
        ("a", "file", 0o777, 0, EMPTY),
        ("a", "file", 0, 0, EMPTY),
        ("a", "file", 0o644, -1, EMPTY),
        ("a", "file", 0o644, 2**53, EMPTY),
        ("a", "file", 0o644, 0, ""),
        ("a", "file", 0o644, 0, EMPTY.upper()),
        ("a", "file", 0o644, 0, EMPTY + "\n"),
        ("a", "link", 0o755, 0, EMPTY),
        ("a", "link", 0, 0, ""),
        ("a", "dir", 0o755, 0, ""),
        ("a", "dir", 0, 1, ""),
        ("a", "dir", 0, 0, EMPTY),
        ("a", "socket", 0, 0, ""),
    ],
)
def test_an_item_with_a_value_that_it_may_not_have_is_refused(fields: tuple[object, ...]) -> None:
    with pytest.raises(ManifestError, match="not a valid"):
        Item(*fields)  # type: ignore[arg-type]


def links_of(**links: str) -> dict[str, str]:
    return {path.replace("__", "/"): target for path, target in links.items()}


def check(links: dict[str, str], *files: str, empty: tuple[str, ...] = ()) -> None:
    items = [link_item(path, target) for path, target in links.items()]
    items += [empty_file(path) for path in files] + [Item(path, "dir", 0, 0, "") for path in empty]
    check_links(links, items)


@pytest.mark.parametrize(
    ("links", "files"),
    [
        ({"a": "b"}, ["b"]),
        ({"d/a": "../b"}, ["b"]),
        ({"a": "d"}, ["d/b"]),
        ({"a": "./d/../d/b"}, ["d/b"]),
        ({"a": "d/"}, ["d/b"]),
        ({"a": "."}, []),
        ({"v/current": "1", "app": "v/current/app"}, ["v/1/app"]),
        ({"a": "b", "b": "c"}, ["c"]),
    ],
)
def test_a_link_to_something_in_the_tree_is_fine(links: dict[str, str], files: list[str]) -> None:
    check(links, *files)


def test_a_link_may_lead_to_an_empty_directory() -> None:
    check({"a": "b/c"}, empty=("b/c",))


@pytest.mark.parametrize(
    ("links", "files", "why"),
    [
        ({"a": "/etc/passwd"}, ["b"], "absolute"),
        ({"a": "../b"}, ["b"], "out of the tree"),
        ({"d/a": "../../b"}, ["b"], "out of the tree"),
        ({"a": "d/../../b"}, ["b", "d/c"], "out of the tree"),
        # `x/y` is the root in disguise, so what looks like a step up inside the tree leaves it.
        ({"x/y": "..", "out": "x/y/../secret"}, ["secret", "x/secret"], "out of the tree"),
        ({"a": "a"}, [], "circles"),
        ({"a": "b", "b": "a"}, [], "circles"),
        ({"a": "b"}, [], "to nothing"),
        ({"a": "d/c"}, ["d/b"], "to nothing"),
        ({"a": "b/"}, ["b"], "to nothing"),
        ({"a": "b/../c"}, ["b", "c"], "to nothing"),
    ],
)
def test_a_link_that_does_not_stay_in_the_tree_is_refused(
    links: dict[str, str], files: list[str], why: str
) -> None:
    with pytest.raises(ManifestError, match=why):
        check(links, *files)


@pytest.mark.parametrize("target", ["", "C:\\x", "a\\b", "a\0b", "a\ud800"])
def test_a_link_text_that_is_not_the_same_everywhere_is_refused(target: str) -> None:
    with pytest.raises(ManifestError):
        link_item("a", target)
    with pytest.raises(ManifestError):
        check_links({"a": target}, [])


def test_a_link_out_of_the_tree_on_disk_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "secret").touch()
    (tmp_path / "tree" / "link").symlink_to("../secret")

    with pytest.raises(ManifestError, match="out of the tree"):
        scan(tmp_path / "tree")


def test_links_are_described_and_never_followed(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "f").touch()
    (tmp_path / "again").symlink_to("d")

    assert [(item.path, item.kind) for item in scan(tmp_path).items] == [("again", "link"), ("d/f", "file")]


def test_a_pipe_is_refused_without_waiting_for_a_writer(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ManifestError, match="only files"):
        scan(tmp_path)


def test_a_socket_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # a socket's path is short
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
        with pytest.raises(ManifestError, match="only files"):
            scan(tmp_path)


def test_a_name_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"\xff")).touch()
    with pytest.raises(ManifestError, match="UTF-8"):
        scan(tmp_path)


def test_a_directory_that_cannot_be_read_is_a_fault_of_the_disk(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFault) as fault:
        scan(tmp_path / "nowhere")
    assert (fault.value.reason, fault.value.where) == ("disk", str(tmp_path / "nowhere"))


def good() -> dict[str, object]:
    return {"kind": "file", "mode": 420, "path": "a", "sha256": EMPTY, "size": 0}


def canonical(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def test_what_is_written_is_read_back() -> None:
    manifest = Manifest.of([empty_file("b"), link_item("a", "b"), Item("c", "dir", 0, 0, "")])
    assert Manifest.from_bytes(manifest.to_bytes()) == manifest


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        b"[" * 100_000,
        b"[]",
        canonical({"format": 1}),
        canonical({"format": 1, "items": [], "more": 1}),
        canonical({"format": 2, "items": []}),
        canonical({"format": True, "items": []}),
        canonical({"format": 1.0, "items": []}),
        canonical({"format": 1, "items": {}}),
        canonical({"format": 1, "items": ["a"]}),
        canonical({"format": 1, "items": [{**good(), "extra": 1}]}),
        canonical({"format": 1, "items": [{**good(), "size": "0"}]}),
        canonical({"format": 1, "items": [{**good(), "size": False}]}),
        canonical({"format": 1, "items": [{**good(), "size": 0.0}]}),
        canonical({"format": 1, "items": [{**good(), "path": 1}]}),
        canonical({"format": 1, "items": [{**good(), "path": "../a"}]}),
        canonical({"format": 1, "items": [good(), good()]}),
        canonical({"items": [], "format": 1}),
        canonical({"format": 1, "items": [dict(reversed(good().items()))]}),
        b'{"format": 1, "items": []}',
        b'{"format":1,"items":[]}\n',
        b'{"format":1,"format":1,"items":[]}',
        canonical({"format": 1, "items": [good()]}).replace(b'"a"', b'"\\u0061"'),
        canonical({"format": 1, "items": [good()]}).replace(b'"a"', b'"\\ud800"'),
    ],
)
def test_anything_but_the_canonical_form_is_refused(data: bytes) -> None:
    with pytest.raises(ManifestError):
        Manifest.from_bytes(data)


names = st.text(
    st.characters(exclude_categories=["C", "Z"], exclude_characters="\\:/."), min_size=1, max_size=8
)


@given(
    st.lists(
        st.tuples(st.lists(names, min_size=1, max_size=3).map("/".join), st.sampled_from([0o644, 0o755]))
    )
)
def test_a_manifest_is_its_bytes(entries: list[tuple[str, int]]) -> None:
    try:
        manifest = Manifest.of([empty_file(path, mode) for path, mode in entries])
    except ManifestError:
        return  # two of the paths get in each other's way
    assert Manifest.from_bytes(manifest.to_bytes()) == manifest
    assert Manifest.of(reversed(manifest.items)).digest == manifest.digest


@given(
    st.binary(max_size=64)
    | st.builds(canonical, st.recursive(st.none() | st.text() | st.integers(), st.lists))
)
def test_bytes_that_are_no_manifest_are_refused_in_one_way(data: bytes) -> None:
    with pytest.raises(ManifestError):
        Manifest.from_bytes(data)
