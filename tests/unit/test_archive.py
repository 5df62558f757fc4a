from __future__ import annotations

import gzip
import hashlib
import io
import os
import random
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyturn.client import unpack
from keyturn.client.errors import UnsafeArchiveError
from keyturn.delta.manifest import ManifestError, scan
from keyturn.errors import EnvironmentFault, UsageError
from keyturn.release.archive import Packed, pack

LONG = "/".join(["a-directory-with-a-long-name"] * 6)


def make_bundle(where: Path, order: random.Random | None = None) -> Path:
    """A bundle with all that a tree can have, its files made in some order."""
    files = {
        "acme": b"#!/bin/sh\n",
        "lib/data.bin": bytes(range(256)) * 1000,
        "lib/\u00e9t\u00e9.txt": b"summer",
        f"{LONG}/deep.txt": b"deep",
        "zero": b"",
        "sector": b"s" * 512,
    }
    names = list(files)
    if order:
        order.shuffle(names)
    for name in names:
        (where / name).parent.mkdir(parents=True, exist_ok=True)
        (where / name).write_bytes(files[name])
    (where / "acme").chmod(0o755)
    (where / "empty").mkdir()
    (where / "current").symlink_to("lib/data.bin")
    (where / "far").symlink_to(f"{LONG}/deep.txt")
    return where


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return make_bundle(tmp_path / "bundle")


@pytest.fixture
def packed(bundle: Path, tmp_path: Path) -> Packed:
    return pack(bundle, tmp_path / "acme-1.0.tar.gz")


def test_the_same_tree_gives_the_same_bytes_whatever_else_differs(tmp_path: Path, packed: Packed) -> None:
    mask = os.umask(0o077)
    try:
        other = make_bundle(tmp_path / "other" / "place", random.Random(7))  # noqa: S311
        (other / "zero").chmod(0o640)
        for path in (*other.rglob("*"), other):
            os.utime(path, (1_000_000_000, 1_234_567_890.5), follow_symlinks=False)
        if os.geteuid() == 0:
            shutil.chown(other / "zero", user=12345, group=54321)
        again = pack(other, tmp_path / "another-name.tgz")
    finally:
        os.umask(mask)

    assert again.path.read_bytes() == packed.path.read_bytes()
    assert (again.sha256, again.tree) == (packed.sha256, packed.tree)


def test_it_says_what_it_packed(bundle: Path, packed: Packed) -> None:
    content = packed.path.read_bytes()
    assert packed.sha256 == hashlib.sha256(content).hexdigest()
    assert (packed.size, packed.files) == (len(content), 9)
    assert packed.tree == scan(bundle).digest


def test_the_tar_inside_is_the_same_in_every_python(packed: Packed) -> None:
    tar = gzip.decompress(packed.path.read_bytes())
    assert hashlib.sha256(tar).hexdigest() == (
        "809047adf22fba2e9463a30ed7cfdbf9d742558a514eb6478b40184a2df6814e"
    )
    assert len(tar) % 10240 == 0


def test_the_gzip_header_names_neither_file_nor_time_nor_system(packed: Packed) -> None:
    assert packed.path.read_bytes()[:10].hex() == "1f8b08000000000002ff"


def test_members_lie_under_a_dot_and_say_nothing_of_the_builder(packed: Packed) -> None:
    with tarfile.open(packed.path) as tar:
        members = tar.getmembers()
    assert [member.name for member in members] == [
        f"./{path}"
        for path in (
            f"{LONG}/deep.txt",
            "acme",
            "current",
            "empty",
            "far",
            "lib/data.bin",
            "lib/\u00e9t\u00e9.txt",
            "sector",
            "zero",
        )
    ]
    assert {(m.uid, m.gid, m.uname, m.gname, m.mtime) for m in members} == {(0, 0, "", "", 0)}
    assert {m.mode for m in members if m.isreg()} == {0o755, 0o644}


def test_an_ordinary_tar_program_can_unpack_it(bundle: Path, packed: Packed, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    subprocess.run(["tar", "-xzf", str(packed.path), "-C", str(tmp_path / "out")], check=True)
    assert scan(tmp_path / "out") == scan(bundle)


def test_what_is_packed_unpacks_to_the_same_tree(bundle: Path, packed: Packed, tmp_path: Path) -> None:
    mask = os.umask(0o077)
    try:
        manifest = unpack.read(packed.path, tmp_path / "out")
    finally:
        os.umask(mask)

    assert manifest == scan(tmp_path / "out") == scan(bundle)
    assert (tmp_path / "out" / "acme").stat().st_mode & 0o7777 == 0o755
    assert (tmp_path / "out" / "zero").stat().st_mode & 0o7777 == 0o644
    assert (tmp_path / "out" / "lib").stat().st_mode & 0o7777 == 0o755
    assert unpack.read(packed.path) == manifest


def test_an_empty_bundle_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bundle").mkdir()
    with pytest.raises(ManifestError, match="nothing in the bundle"):
        pack(tmp_path / "bundle", tmp_path / "out.tar.gz")


def test_an_archive_inside_its_own_bundle_is_refused(bundle: Path) -> None:
    with pytest.raises(UsageError):
        pack(bundle, bundle / "dist" / "out.tar.gz")


@pytest.mark.parametrize("parent", ["nowhere", "file"])
def test_a_disk_that_says_no_leaves_nothing_behind(bundle: Path, tmp_path: Path, parent: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EnvironmentFault) as fault:
        pack(bundle, tmp_path / parent / "out.tar.gz")
    assert fault.value.reason == "disk"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bundle", "file"]


@pytest.mark.parametrize("change", [b"longer than before", b"sho", b"other!"])
def test_a_bundle_that_changes_meanwhile_is_refused(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: bytes
) -> None:
    file = bundle / "lib" / "\u00e9t\u00e9.txt"

    def scan_then_change(directory: Path) -> object:
        manifest = scan(directory)
        file.write_bytes(change)
        return manifest

    monkeypatch.setattr("keyturn.release.archive.scan", scan_then_change)
    with pytest.raises(ManifestError, match="changed while it was packed"):
        pack(bundle, tmp_path / "out.tar.gz")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bundle"]


def test_what_no_client_would_unpack_is_not_packed(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unpack, "bounds", lambda _size: unpack.Bounds(members=1, size=1 << 30))
    with pytest.raises(UnsafeArchiveError, match="more than 1 members"):
        pack(bundle, tmp_path / "out.tar.gz")
    assert not (tmp_path / "out.tar.gz").exists()


trees = st.dictionaries(
    st.lists(st.text("abc\u00e9", min_size=1, max_size=60), min_size=1, max_size=4).map("/".join),
    st.tuples(st.binary(max_size=2000), st.booleans()),
    min_size=1,
    max_size=8,
)


@settings(max_examples=25)
@given(trees)
def test_any_tree_survives_the_way_through_an_archive(tree: dict[str, tuple[bytes, bool]]) -> None:
    with tempfile.TemporaryDirectory() as name:
        source = Path(name) / "source"
        for path, (content, executable) in tree.items():
            try:
                (source / path).parent.mkdir(parents=True, exist_ok=True)
                (source / path).write_bytes(content)
            except OSError:
                continue  # below a file, or a directory already
            (source / path).chmod(0o755 if executable else 0o644)
        archive = pack(source, Path(name) / "out.tar.gz")
        manifest = unpack.read(archive.path, Path(name) / "out")
        assert manifest == scan(source) == scan(Path(name) / "out")


# What is refused, one by one. `member` makes a header as tarfile has it, so that only one thing is wrong.

Bend = Callable[[tarfile.TarInfo], None]


def member(name: str, content: bytes = b"", bend: Bend = lambda _info: None) -> bytes:
    info = tarfile.TarInfo(name)
    info.mode = 0o644
    info.size = len(content)
    bend(info)
    return info.tobuf(tarfile.PAX_FORMAT) + content + bytes(-len(content) % 512)


def of_type(kind: bytes, target: str = "") -> Bend:
    def bend(info: tarfile.TarInfo) -> None:
        info.type = kind
        info.linkname = target

    return bend


def of_mode(mode: int) -> Bend:
    def bend(info: tarfile.TarInfo) -> None:
        info.mode = mode

    return bend


def link(name: str, target: str) -> bytes:
    return member(name, bend=of_type(tarfile.SYMTYPE, target))


def directory(name: str) -> bytes:
    return member(name, bend=of_type(tarfile.DIRTYPE))


def pax_member(records: bytes, name: str = "./a", content: bytes = b"") -> bytes:
    header = member("./PaxHeader", records, of_type(b"x"))
    return header + member(name, content)


def record(text: str) -> bytes:
    """One pax record, whose length counts itself."""
    body = f" {text}\n".encode()
    length = len(body) + 1
    while len(str(length)) + len(body) != length:
        length += 1
    return str(length).encode() + body


END = bytes(1024)


def gz(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)


@pytest.fixture
def unpacked(tmp_path: Path) -> Iterator[Callable[..., None]]:
    """Unpack these bytes; whatever comes of it, nothing lies outside the directory."""

    def read(data: bytes, *, within: unpack.Bounds | None = None) -> None:
        archive = tmp_path / "archive.tar.gz"
        archive.write_bytes(data)
        unpack.read(archive, tmp_path / "tree" / "deep", within=within)

    (tmp_path / "tree").mkdir()
    (tmp_path / "secret").write_bytes(b"secret")
    yield read
    assert {path.name for path in tmp_path.iterdir()} <= {"archive.tar.gz", "secret", "tree"}
    assert [path.name for path in (tmp_path / "tree").iterdir()] in (["deep"], [])
    assert (tmp_path / "secret").read_bytes() == b"secret"


@pytest.mark.parametrize(
    ("tar", "why"),
    [
        (member("./a", bend=of_type(b"1", "./b")), "a hard link"),
        (member("./a", bend=of_type(b"3")), "a character device"),
        (member("./a", bend=of_type(b"4")), "a block device"),
        (member("./a", bend=of_type(b"6")), "a named pipe"),
        (member("./a", bend=of_type(b"7")), "a contiguous file"),
        (member("./a", bend=of_type(b"g")), "a global header"),
        (member("././@LongLink", b"x", of_type(b"L")), "a GNU long name"),
        (member("././@LongLink", b"x", of_type(b"K")), "a GNU long link"),
        (member("./a", bend=of_type(b"S")), "a sparse file"),
        (member("./a", bend=of_type(b"Z")), "a member of type"),
        (member("/etc/passwd"), "relative"),
        (member("./../secret"), "relative"),
        (member("./d/../../../secret"), "relative"),
        (member(".//a"), "relative"),
        (member("././a"), "relative"),
        (member("."), "relative"),
        (member("./a/"), "relative"),
        (directory("./../d"), "relative"),
        (directory("/"), "bytes long"),
        (member("./a:b"), "colon"),
        (member("./a\\b"), "backslash"),
        (member("./a\x1b[31m"), "control"),
        (member("./a") + member("./a"), "twice"),
        (member("./a") + member("a"), "twice"),
        (directory("./a") + directory("a/"), "twice"),
        (member("./a") + directory("./a"), "twice"),
        (member("./a") + member("./a/b"), "below a file"),
        (member("./a/b") + member("./a"), "a directory and something else"),
        (link("./a", "b") + member("./a/c") + member("./b/c"), "below a file or a link"),
        (link("./a", "../..") + member("./a/secret"), "below a file or a link"),
        (member("./a") + member("./A"), "letter case"),
        (directory("./a") + member("./A/b"), "letter case"),
        (link("./a", "/etc/passwd"), "absolute"),
        (link("./a", "../../secret"), "out of the tree"),
        (link("./a", "b"), "to nothing"),
        (link("./a", "a"), "circles"),
        (link("./a", ""), "bytes long"),
        (member("./a", bend=of_mode(0o777)), "mode 0777"),
        (member("./a", bend=of_mode(0o4755)), "mode 4755"),
        (member("./a", bend=of_mode(0o600)), "mode 0600"),
        (member("./a", b"x", of_type(tarfile.SYMTYPE, "b")), "has content"),
        (member("./a", b"x", of_type(tarfile.DIRTYPE)), "has content"),
        (member("./a", b"x")[:-511] + b"y" * 511, "padded with zeros"),
        (pax_member(record("GNU.sparse.major=1")), "not obeyed: GNU.sparse.major"),
        (pax_member(record("path=b") + record("path=c")), "not obeyed: path"),
        (pax_member(record("path=a\0b")), "not obeyed: path"),
        (pax_member(record("path=../b")), "relative"),
        (pax_member(b"9 path=b\n"[:-1]), "damaged"),
        (pax_member(b"12 path=b\n"), "damaged"),
        (pax_member(b"9 path=bc\n"), "damaged"),
        (pax_member(b"5 a=\n"), "not obeyed: a"),
        (pax_member(b"7 path\n"), "damaged"),
        (pax_member(b"0 path=b\n"), "damaged"),
        (pax_member(b"-9 path=b\n"), "damaged"),
        (pax_member(b"999999 path=b\n"), "damaged"),
        (pax_member(b"\xff\xff"), "damaged"),
        (pax_member(b"11 path=\xff\xfe\n"), "not UTF-8"),
        (pax_member(record("size=-1")), "not a number"),
        (pax_member(record("size=\u0663")), "not a number"),
        (pax_member(record("size=" + "9" * 30)), "not a number"),
        (pax_member(record("comment=" + "x" * 70_000)), "too long"),
        (member("./x", record("path=b"), of_type(b"x")) * 2 + member("./a"), "a member of type"),
        (b"x" * 512, "ustar or pax"),
        (member("./a").replace(b"ustar\x0000", b"ustar  \0"), "ustar or pax"),
        (member("./a").replace(b"./a", b"./b"), "damaged"),
        (tarfile.TarInfo("./a").tobuf(tarfile.GNU_FORMAT), "ustar or pax"),
    ],
)
def test_a_member_that_is_never_unpacked(unpacked: Callable[..., None], tar: bytes, why: str) -> None:
    with pytest.raises(UnsafeArchiveError, match=why) as refusal:
        unpacked(gz(tar + END))
    assert refusal.value.reason == "unsafe-archive"


def header_with(field: slice, value: bytes) -> bytes:
    header = bytearray(member("./a"))
    header[field] = value
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header)


@pytest.mark.parametrize(
    ("header", "why"),
    [
        (header_with(slice(124, 136), b"0000000008\0 "), "size .* not octal"),
        (header_with(slice(124, 136), b"\x80" + bytes(10) + b"\x01"), "size .* not octal"),
        (header_with(slice(124, 136), b"-0000000001\0"), "size .* not octal"),
        (header_with(slice(124, 136), bytes(12)), "size .* not octal"),
        (header_with(slice(100, 108), b"rwxr-xr-"), "mode .* not octal"),
        (header_with(slice(0, 4), b"./\xff\xfe"), "not UTF-8"),
        (member("./a")[:148] + b"garbage!" + member("./a")[156:], "checksum .* not octal"),
    ],
)
def test_a_header_that_is_no_header(unpacked: Callable[..., None], header: bytes, why: str) -> None:
    with pytest.raises(UnsafeArchiveError, match=why):
        unpacked(gz(header + END))


GOOD = member("./a", b"content")


@pytest.mark.parametrize(
    ("data", "why"),
    [
        pytest.param(b"", "ends too early", id="nothing"),
        pytest.param(GOOD + END, "not gzip", id="no gzip"),
        pytest.param(gz(GOOD + END)[:-9], "ends too early", id="no trailer"),
        pytest.param(gz(GOOD + END)[:-1], "ends too early", id="short trailer"),
        pytest.param(gz(GOOD + END)[:-8] + bytes(8), "not gzip", id="wrong checksum"),
        pytest.param(gz(GOOD), "ends too early", id="no end mark"),
        pytest.param(gz(GOOD[:600]), "ends too early", id="half a member"),
        pytest.param(gz(GOOD + END[:512]), "ends too early", id="half an end mark"),
        pytest.param(gz(GOOD + END[:512] + GOOD + END), "behind its end", id="two tars, one sector"),
        pytest.param(gz(GOOD + END + b"x"), "behind its end", id="a byte after"),
        pytest.param(gz(GOOD + END + GOOD), "behind its end", id="two tars"),
        pytest.param(gz(GOOD + END) + b"x", "behind its end", id="garbage after gzip"),
        pytest.param(gz(GOOD + END) + gz(END), "behind its end", id="two gzip members"),
    ],
)
def test_an_archive_is_one_whole_gzip_member_and_nothing_else(
    unpacked: Callable[..., None], data: bytes, why: str
) -> None:
    with pytest.raises(UnsafeArchiveError, match=why):
        unpacked(data)


def test_garbage_is_found_where_a_block_of_the_file_ends_with_the_archive(
    unpacked: Callable[..., None],
) -> None:
    header, body = gz(GOOD + END)[:10], gz(GOOD + END)[10:]
    named = header[:3] + b"\x08" + header[4:] + b"n" * ((1 << 20) - 11 - len(body)) + b"\0" + body
    assert len(named) == 1 << 20
    with pytest.raises(UnsafeArchiveError, match="behind its end"):
        unpacked(named + b"x")


def test_the_padding_of_the_last_record_is_fine(unpacked: Callable[..., None], tmp_path: Path) -> None:
    unpacked(gz(GOOD + END + bytes(10240 * 200)))
    assert (tmp_path / "tree" / "deep" / "a").read_bytes() == b"content"


def test_names_split_over_two_fields_are_read(unpacked: Callable[..., None], tmp_path: Path) -> None:
    info = tarfile.TarInfo(f"./{LONG}/deep.txt")
    info.mode = 0o755
    unpacked(gz(info.tobuf(tarfile.USTAR_FORMAT) + END))
    assert scan(tmp_path / "tree" / "deep").items[0].path == f"{LONG}/deep.txt"


def test_a_listed_root_and_listed_parents_change_nothing(
    unpacked: Callable[..., None], tmp_path: Path
) -> None:
    unpacked(gz(directory("./") + member("./d/a") + directory("./d") + directory("e") + END))
    assert [item.path for item in scan(tmp_path / "tree" / "deep").items] == ["d/a", "e"]


def test_a_pax_size_counts_and_a_pax_time_does_not(unpacked: Callable[..., None], tmp_path: Path) -> None:
    records = record("size=7") + record("mtime=1.5") + record("path=./\u00e9")
    header = member("./x", records, of_type(b"x")) + tarfile_header_without_size("./a")
    unpacked(gz(header + b"content" + bytes(505) + END))
    assert (tmp_path / "tree" / "deep" / "\u00e9").read_bytes() == b"content"


def tarfile_header_without_size(name: str) -> bytes:
    return member(name)


def test_an_archive_that_announces_more_than_is_allowed_is_refused_before_it_is_written(
    unpacked: Callable[..., None], tmp_path: Path
) -> None:
    huge = header_with(slice(124, 136), b"77777777777\0")
    with pytest.raises(UnsafeArchiveError, match="more than is allowed"):
        unpacked(gz(huge))
    assert (tmp_path / "tree" / "deep" / "a").stat().st_size == 0


def test_an_archive_that_grows_more_than_a_hundredfold_is_refused(
    unpacked: Callable[..., None], tmp_path: Path
) -> None:
    bomb = io.BytesIO()
    with gzip.GzipFile(fileobj=bomb, mode="wb") as out:
        out.writelines(member(f"./{number}", bytes(1 << 20)) for number in range(100))
        out.write(END)
    assert len(bomb.getvalue()) < 200_000

    with pytest.raises(UnsafeArchiveError, match="more than is allowed"):
        unpacked(bomb.getvalue())
    assert sum(file.stat().st_size for file in (tmp_path / "tree" / "deep").iterdir()) <= 84 << 20


def test_a_bomb_behind_the_end_is_refused(unpacked: Callable[..., None]) -> None:
    within = unpack.Bounds(members=10, size=10_000)
    with pytest.raises(UnsafeArchiveError, match="behind its end"):
        unpacked(gz(GOOD + END + bytes(1 << 20)), within=within)


def test_more_members_than_are_allowed_are_refused(unpacked: Callable[..., None]) -> None:
    within = unpack.Bounds(members=2, size=1 << 20)
    tar = b"".join(member(f"./{number}") for number in range(3))
    with pytest.raises(UnsafeArchiveError, match="more than 2 members"):
        unpacked(gz(tar + END), within=within)


def test_the_bounds_follow_the_size_of_the_archive_up_to_a_limit() -> None:
    assert unpack.bounds(0).size == 64 << 20
    assert unpack.bounds(50_000_000).size == (64 << 20) + 5_000_000_000
    assert unpack.bounds(10 << 30).size == 16 << 30


def test_two_names_that_this_disk_takes_for_one_are_refused(
    unpacked: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.open

    def open_on_another_disk(path: Path, flags: int, mode: int = 0o777) -> int:
        return real(path.with_name("same") if path.name in ("a", "b") else path, flags, mode)

    monkeypatch.setattr(os, "open", open_on_another_disk)
    monkeypatch.setattr(Path, "chmod", lambda *_args: None)
    with pytest.raises(UnsafeArchiveError, match="the same file on this system"):
        unpacked(gz(member("./a") + member("./b") + END))


def test_it_never_unpacks_into_a_directory_that_is_there(packed: Packed, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    with pytest.raises(FileExistsError):
        unpack.read(packed.path, tmp_path / "there")


@given(st.binary(max_size=2000), st.integers(0, 2000), st.integers(0, 255))
def test_damaged_tars_are_refused_in_one_way(noise: bytes, position: int, value: int) -> None:
    tar = bytearray(member("./a", b"content") + link("./l", "a") + pax_member(record("path=b")) + END)
    tar[position % len(tar)] = value
    with tempfile.TemporaryDirectory() as name:
        for number, data in enumerate((bytes(tar), noise, bytes(tar)[:-1024] + noise)):
            archive = Path(name) / f"{number}.tar.gz"
            archive.write_bytes(gzip.compress(data, 1, mtime=0))
            try:
                manifest = unpack.read(archive, Path(name) / f"tree-{number}")
            except UnsafeArchiveError:
                continue
            assert manifest == scan(Path(name) / f"tree-{number}")
