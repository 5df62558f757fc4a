"""The published page: what it shows, and what no name in the metadata can make of it."""

from __future__ import annotations

import base64
import hashlib
import shlex
import threading
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import cache, partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from securesystemslib.signer import CryptoSigner, SSlibKey
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Role,
    Root,
    Signed,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)

from keyturn.errors import RefusedError
from keyturn.publish.page import MOST_FILES, RECENT, render_page, visible
from keyturn.state import Delegation, Site, fingerprint, render_metadata, sha256_hex
from keyturn.tree import MemoryTree, overlay, write_directory
from keyturn.verify import Publication, verify_published

URL = "https://acme.example/updates/"
NOW = datetime(2098, 11, 1, tzinfo=timezone.utc)
EXPIRES = {
    "root": datetime(2099, 11, 1, 9, 30, tzinfo=timezone.utc),
    "targets": datetime(2099, 3, 1, 9, 30, tzinfo=timezone.utc),
    "snapshot": datetime(2098, 11, 15, 12, 0, tzinfo=timezone.utc),
    "timestamp": datetime(2098, 11, 4, 12, 0, tzinfo=timezone.utc),
}
TREE = "7e" * 32
SEEDS = {"alice": 1, "bob": 2, "online": 3, "carol": 4}
HOSTILE = "<script>alert(1)</script>\"'&\u202egnp.\u200b\x1b[31m\u2028\ufeff\U000e0041</td>{{ 7*7 }}"


@cache
def key(login: str) -> CryptoSigner:
    """A key of one's own for every login, the same in every run."""
    return CryptoSigner(Ed25519PrivateKey.from_private_bytes(bytes([SEEDS[login]]) * 32))


class Listed(NamedTuple):
    """A target: what the metadata says of it, and its bytes."""

    path: str
    data: bytes
    custom: object = None
    hashes: Mapping[str, str] | None = None
    length: int | None = None

    @property
    def entry(self) -> TargetFile:
        """The target's entry."""
        length = len(self.data) if self.length is None else self.length
        hashes = dict(self.hashes or {"sha256": sha256_hex(self.data)})
        extra = {} if self.custom is None else {"custom": self.custom}
        return TargetFile(length, hashes, self.path, extra)


@dataclass
class Repository:
    """What a test says of its repository; all else is as in any other, and everything is signed."""

    signers: Sequence[str] = ("alice", "bob", "carol")
    root_threshold: int = 2
    targets_threshold: int = 2
    owners: Mapping[str, str] = field(default_factory=dict)
    targets: list[Listed] = field(default_factory=list)
    delegated: list[Listed] = field(default_factory=list)
    late: list[Listed] = field(default_factory=list)
    role: str = "plugins"
    paths: Sequence[str] = ("plugins/*.zip",)
    prefixes: Sequence[str] = ()
    circle: bool = False
    extra_key: SSlibKey | None = None

    def release(
        self, version: str, *, app: str = "acme", platform: str = "", path: str = "", tree: str = TREE
    ) -> Repository:
        """Add a release."""
        suffix = f"-{platform}" if platform else ""
        said = {"app": app, "platform": platform, "version": version, "tree": tree}
        path = path or f"{app}/{app}-{version}{suffix}.tar.gz"
        self.targets.append(Listed(path, path.encode() * 400, {"user": {"keyturn": said}}))
        return self

    def file(self, path: str, data: bytes = b"data", custom: object = None) -> Repository:
        """Add a target that is no release."""
        self.targets.append(Listed(path, data, custom))
        return self

    def publication(self, *, check_targets: bool = True) -> Publication:
        """The published tree."""
        root = self._root()
        files = {
            "metadata/1.root.json": _signed(root, self.signers[: self.root_threshold]),
            "metadata/root.json": _signed(root, self.signers[: self.root_threshold]),
        }
        roles = {"targets": _signed(self._targets(), self.signers[: self.targets_threshold])}
        for name, listed in self._below.items():
            below = _listing(listed)
            if self.circle and name == self.role:
                below.delegations = _delegate(DelegatedRole(self.role, [], 2, False, paths=["*/*"]))
            roles[name] = _signed(below, ["carol"])
        meta = {f"{name}.json": _meta(data) for name, data in roles.items()}
        snapshot = _signed(Snapshot(version=1, expires=EXPIRES["snapshot"], meta=meta), ["online"])
        timestamp = Timestamp(version=1, expires=EXPIRES["timestamp"], snapshot_meta=_meta(snapshot))
        files |= {f"metadata/1.{name}.json": data for name, data in roles.items()}
        files["metadata/1.snapshot.json"] = snapshot
        files["metadata/timestamp.json"] = _signed(timestamp, ["online"])
        for listed in (self.targets, *self._below.values()):
            for target in listed:
                files |= {f"targets/{path}": target.data for path in target.entry.get_prefixed_paths()}
        site = Site(MemoryTree(files, name="the site"))
        assert site.root is not None
        return Publication(site, NOW, site.root.digest, check_targets)

    def page(self, *, name: str = "acme-updates", url: str = URL) -> str:
        """The page."""
        return render_page(self.publication(), name=name, url=url).decode("utf-8")

    @property
    def _below(self) -> dict[str, list[Listed]]:
        return {self.role: self.delegated} | ({"late": self.late} if self.late else {})

    def _root(self) -> Root:
        root = Root(version=1, expires=EXPIRES["root"], consistent_snapshot=True)
        people = [key(login).public_key for login in self.signers]
        people += [self.extra_key] if self.extra_key else []
        online = key("online").public_key
        root.keys = {k.keyid: k for k in (*people, online)}
        root.roles = {
            "root": Role([k.keyid for k in people], self.root_threshold),
            "targets": Role([k.keyid for k in people], self.targets_threshold),
            "snapshot": Role([online.keyid], 1),
            "timestamp": Role([online.keyid], 1),
        }
        root.unrecognized_fields["x-keyturn"] = self._extension([*self.signers, "online"])
        return root

    def _targets(self) -> Targets:
        targets = _listing(self.targets)
        covers = {"path_hash_prefixes": [*self.prefixes]} if self.prefixes else {"paths": [*self.paths]}
        delegated = [DelegatedRole(self.role, [], 1, True, **covers)]
        if self.late:
            delegated.append(DelegatedRole("late", [], 1, False, paths=["plugins/*"]))
        targets.delegations = _delegate(*delegated)
        targets.unrecognized_fields["x-keyturn"] = self._extension(["carol"])
        return targets

    def _extension(self, logins: Sequence[str]) -> dict[str, Any]:
        owners = {login: {"login": self.owners.get(login, login)} for login in logins}
        signers = {
            key(login).public_key.keyid: "online" if login == "online" else owner
            for login, owner in owners.items()
        }
        return {"format": 1, "signers": signers, "periods": {}}


def _delegate(*roles: DelegatedRole) -> Delegations:
    carol = key("carol").public_key
    for role in roles:
        role.keyids = [carol.keyid]
    return Delegations({carol.keyid: carol}, {role.name: role for role in roles})


def _listing(listed: Sequence[Listed]) -> Targets:
    targets = {target.path: target.entry for target in listed}
    return Targets(version=1, expires=EXPIRES["targets"], targets=targets)


def _meta(data: bytes) -> MetaFile:
    return MetaFile(1, len(data), {"sha256": sha256_hex(data)})


def _signed(signed: Signed, logins: Sequence[str]) -> bytes:
    metadata = Metadata(signed)
    for login in logins:
        metadata.sign(key(login), append=True)
    return render_metadata(metadata)


def realistic() -> Repository:
    """A repository as there may be many: two apps, a delegation, some other files."""
    repository = Repository()
    for version in ("2098.3.1", "2098.5.14", "2098.6.2", "2098.7.9", "2098.9.5", "2098.10.14"):
        repository.release(version, app="yt-dlp")
    for platform in ("linux-x86_64", "macos-arm64", "windows-x86_64"):
        repository.release("1.12.0", app="atlas", platform=platform, tree=sha256_hex(platform.encode()))
        repository.release("1.9.1", app="atlas", platform=platform, tree=sha256_hex(platform.encode()))
    repository.file("apps/atlas.json", b"{}").file("apps/yt-dlp.json", b'{"a": 1}')
    repository.file("notes/2098-10.md", b"x" * 12_345)
    repository.delegated.append(Listed("plugins/map-tiles.zip", b"z" * 2_345_678))
    return repository


VOID = {"meta", "wbr", "br", "hr", "img", "link", "input"}


@dataclass
class Element:
    """An element with its attributes and the text in it."""

    tag: str
    attributes: dict[str, str | None]
    text: str = ""


class Document(HTMLParser):
    """A page read strictly: every element is closed, in the right order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[Element] = []
        self.all: list[Element] = []
        self.feed(page)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs), f"an attribute twice in <{tag}>"
        element = Element(tag, dict(attrs))
        self.all.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop().tag == tag

    def handle_data(self, data: str) -> None:
        for element in self.open:
            element.text += data

    def find(self, tag: str, **attributes: str) -> list[Element]:
        """All elements of a tag with these attributes."""
        wanted = {name.rstrip("_").replace("_", "-"): value for name, value in attributes.items()}
        return [e for e in self.all if e.tag == tag and wanted.items() <= e.attributes.items()]

    @property
    def text(self) -> str:
        """What a person reads, blanks run together."""
        return " ".join(self.find("body")[0].text.split())


def test_the_same_metadata_gives_the_same_bytes_at_any_time() -> None:
    first = realistic().publication()
    later = Publication(first.site, NOW.replace(year=2100), first.pinned)

    assert render_page(first, name="n", url=URL) == render_page(later, name="n", url=URL)


def test_the_repository_of_these_tests_verifies() -> None:
    assert verify_published(realistic().publication()) == ()


def test_every_element_is_closed_and_every_id_is_there_once() -> None:
    document = Document(realistic().page())

    ids = [e.attributes["id"] for e in document.all if "id" in e.attributes]
    assert len(ids) == len(set(ids))
    links = {str(e.attributes["href"]) for e in document.find("a")}
    assert {link[1:] for link in links if link.startswith("#")} <= set(ids)
    labels = {e.attributes["aria-labelledby"] for e in document.all if "aria-labelledby" in e.attributes}
    assert labels <= set(ids)


def test_nothing_is_fetched_and_nothing_can_run() -> None:
    document = Document(realistic().page())

    assert not {e.tag for e in document.all} & {"script", "link", "img", "iframe", "object", "form", "base"}
    assert not {name for e in document.all for name in e.attributes if name == "style" or name[:2] == "on"}
    policy = document.find("meta", http_equiv="Content-Security-Policy")[0].attributes["content"]
    (style,) = document.find("style")
    digest = base64.b64encode(hashlib.sha256(style.text.encode()).digest()).decode()
    assert policy == f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    assert "url(" not in style.text
    assert "@import" not in style.text


def test_a_screen_reader_finds_its_way() -> None:
    document = Document(realistic().page())

    assert document.find("html")[0].attributes["lang"] == "en"
    assert document.find("title")[0].text == "acme-updates: signed releases"
    for landmark in ("header", "nav", "main", "footer", "h1"):
        assert len(document.find(landmark)) == 1
    assert len(document.find("table")) == len(document.find("caption"))
    assert all(e.attributes.get("scope") in {"col", "row"} for e in document.find("th"))


def test_the_pin_stands_in_full_with_its_first_digits_marked() -> None:
    publication = realistic().publication()
    document = Document(render_page(publication, name="acme", url=URL).decode())

    assert document.find("mark")[0].text == publication.pinned[:8]
    assert publication.pinned in {e.text for e in document.find("span", class_="digest")}


def row(document: Document, start: str) -> str:
    """The text of the only table row that begins so."""
    rows = [" ".join(element.text.split()) for element in document.find("tr")]
    (found,) = (text for text in rows if text.startswith(f"{start} "))
    return found


def short(login: str) -> str:
    full = fingerprint(key(login).public_key)
    return f"{full[:4]} {full[4:8]} {full[8:12]} {full[12:16]}"


def versions(document: Document) -> list[str]:
    return [element.text for element in document.find("span", class_="version")]


def downloads(document: Document) -> list[str]:
    return [str(element.attributes["href"]) for element in document.find("a", class_="download")]


def code(document: Document) -> list[str]:
    return [element.text for element in document.find("pre")]


def test_each_role_shows_version_threshold_keys_and_expiry() -> None:
    document = Document(realistic().page())

    assert row(document, "root") == (
        f"root 1 2 of 3 alice {short('alice')} ✓ has signed bob {short('bob')} ✓ has signed "
        f"carol {short('carol')} 2099-11-01 09:30 UTC"
    )
    assert row(document, "targets").endswith("2099-03-01 09:30 UTC")
    assert row(document, "plugins").startswith(
        f"plugins plugins/*.zip terminating 1 1 of 1 carol {short('carol')}"
    )


def test_roles_that_a_machine_signs_are_marked() -> None:
    document = Document(realistic().page())

    assert row(document, "snapshot").startswith(f"snapshot online 1 1 of 1 online {short('online')}")
    assert row(document, "timestamp").startswith("timestamp online 1 1 of 1 ")
    assert "online" not in row(document, "targets") + row(document, "plugins")


def test_each_key_shows_its_full_fingerprint_and_what_it_signs() -> None:
    document = Document(realistic().page())

    full = fingerprint(key("carol").public_key)
    assert row(document, "carol") == f"carol {full} ed25519 root, targets, plugins"


def test_a_key_that_cannot_be_read_is_called_so() -> None:
    damaged = SSlibKey("5e" * 32, "ed25519", "ed25519", {"public": "not hexadecimal"})

    document = Document(Repository(extra_key=damaged).page())

    assert f"key {'5e' * 4} unreadable" in row(document, "root")


@pytest.mark.parametrize(
    ("repository", "said"),
    [
        (Repository(), []),
        (Repository(root_threshold=1), ["Any one of the 3 keys of root can, alone, replace every other key"]),
        (Repository(targets_threshold=1), ["Any one of the 3 keys of targets can, alone, release anything"]),
        (
            Repository(signers=["alice"], root_threshold=1, targets_threshold=1),
            ["The only key of root can, alone,", "The only key of targets can, alone,"],
        ),
    ],
)
def test_a_single_key_that_is_enough_is_said_plainly(repository: Repository, said: list[str]) -> None:
    document = Document(repository.page())

    assert ("A single key is enough" in document.text) == bool(said)
    assert document.text.count("can, alone,") == len(said)
    assert all(sentence in document.text for sentence in said)


def test_releases_are_ordered_by_version_not_by_text() -> None:
    repository = Repository().release("1.9.0").release("1.10.0").release("1.10.0.post1")

    assert versions(Document(repository.page())) == ["1.10.0.post1", "1.10.0", "1.9.0"]


def test_releases_are_grouped_by_app() -> None:
    repository = Repository().release("3", app="Zeta").release("1", app="alpha").release("2", app="Zeta")
    document = Document(repository.page())

    assert [e.text for e in document.find("h3")][:2] == ["alpha", "Zeta"]
    assert versions(document) == ["1", "3", "2"]


def test_the_newest_release_of_each_platform_is_marked_and_in_view() -> None:
    repository = Repository()
    for minor in range(RECENT + 3):
        repository.release(f"2.{minor}", platform="linux")
    repository.release("1.0", platform="windows")

    document = Document(repository.page())

    items = [" ".join(e.text.split()) for e in document.find("p", class_="release-head")]
    assert [text[:30] for text in items if " newest " in text] == [
        f"2.{RECENT + 2} newest linux, 10.4 kB Downl"[:30],
        "1.0 newest windows, 11.2 kB Download"[:30],
    ]
    (folded,) = document.find("details", class_="folded")
    assert "3 earlier releases of acme" in folded.text
    assert "newest" not in folded.text


def test_a_release_shows_all_that_is_signed_of_it() -> None:
    repository = Repository().release("1.2", platform="linux-x86_64")
    document = Document(repository.page())

    data = repository.targets[0].data
    text = document.find("section", class_="app")[0].text
    for shown in ("1.2", "linux-x86_64", "13.2 kB", sha256_hex(data), TREE, "acme-1.2-linux-x86_64.tar.gz"):
        assert shown in text


def test_a_pre_release_is_no_release_but_a_file() -> None:
    document = Document(Repository().release("2.0rc1").release("1.0").page())

    assert versions(document) == ["1.0"]
    assert row(document, "acme/acme-2.0rc1.tar.gz").startswith("acme/acme-2.0rc1.tar.gz targets ")


@pytest.mark.parametrize(
    "custom",
    [
        "text",
        7,
        ["user"],
        {"user": "text"},
        {"user": {"keyturn": []}},
        {"user": {"keyturn": {}}},
        {"user": {"keyturn": {"app": ["a"], "platform": "", "version": "1", "tree": TREE}}},
        {"user": {"keyturn": {"app": "a", "platform": None, "version": "1", "tree": TREE}}},
        {"user": {"keyturn": {"app": "a", "platform": "", "version": 1, "tree": TREE}}},
        {"user": {"keyturn": {"app": "a", "platform": "", "version": "1", "tree": "<b>"}}},
        {"user": {"keyturn": {"app": "a", "platform": "", "version": HOSTILE, "tree": TREE}}},
    ],
)
def test_a_custom_field_of_another_shape_makes_no_release(custom: object) -> None:
    document = Document(Repository().file("a.bin", custom=custom).page())

    assert "No release has been signed yet." in document.text
    assert row(document, "a.bin").startswith("a.bin targets 4 bytes ")


def test_a_delegated_role_cannot_add_a_release() -> None:
    repository = Repository()
    said = {"app": "acme", "platform": "", "version": "9", "tree": TREE}
    repository.delegated.append(Listed("plugins/acme-9.zip", b"evil", {"user": {"keyturn": said}}))

    document = Document(repository.page())

    assert versions(document) == []
    assert row(document, "plugins/acme-9.zip").startswith("plugins/acme-9.zip plugins ")


def test_a_file_outside_the_paths_of_its_role_is_not_offered() -> None:
    repository = Repository()
    repository.delegated += [Listed("acme/acme-9.tar.gz", b"evil"), Listed("plugins/below/a.zip", b"evil")]

    assert "evil" not in repository.page()
    assert not Document(repository.page()).find("h2", id="files")


def test_of_two_roles_that_list_a_path_the_one_that_a_client_meets_first_counts() -> None:
    repository = Repository().file("plugins/a.zip", b"signed by two")
    repository.delegated.append(Listed("plugins/a.zip", b"signed by one"))

    document = Document(repository.page())

    assert sha256_hex(b"signed by two") in row(document, "plugins/a.zip targets")
    assert sha256_hex(b"signed by one") not in document.text


def test_a_terminating_role_ends_the_search() -> None:
    repository = Repository()
    repository.late += [Listed("plugins/a.zip", b"too late"), Listed("plugins/a.txt", b"in time")]

    document = Document(repository.page())

    assert [e.text for e in document.find("a") if e.text.startswith("plugins/")] == ["plugins/a.txt"]
    assert row(document, "plugins/a.txt").startswith("plugins/a.txt late ")


def test_roles_that_delegate_in_a_circle_end_the_search() -> None:
    repository = Repository(circle=True)
    repository.late.append(Listed("plugins/a.zip", b"data"))

    document = Document(repository.page())

    assert "plugins/a.zip" not in document.text
    assert row(document, "plugins */*").startswith("plugins */* delegated by plugins 1 2 of 1 ")


def test_a_delegation_by_hash_shows_its_prefixes() -> None:
    document = Document(Repository(prefixes=["0a", "0b"]).page())

    assert row(document, "plugins").startswith("plugins SHA-256 0a…, SHA-256 0b… terminating ")


def test_every_link_leads_to_a_file_of_the_site() -> None:
    repository = realistic().release("1.0", app="odd", path="odd/this & more/ä +1;.tar.gz")
    publication = repository.publication()
    document = Document(render_page(publication, name="acme", url=URL).decode())

    links = [str(e.attributes["href"]) for e in document.find("a")]
    inside = [link for link in links if link.startswith(("targets/", "metadata/"))]
    assert {unquote(link) for link in inside} <= publication.site.tree.entries().keys()
    assert set(links) - set(inside) <= {link for link in links if link[0] == "#"} | {
        "https://theupdateframework.io/"
    }
    digest = sha256_hex(repository.targets[-1].data)
    assert f"targets/odd/this%20%26%20more/{digest}.%C3%A4%20%2B1%3B.tar.gz" in inside


@pytest.mark.parametrize(
    "path", ["../../evil.tar.gz", "a/%2e/./b.tar.gz", "a\\b.tar.gz", "javascript:alert(1)"]
)
def test_an_unsafe_path_is_no_link(path: str) -> None:
    document = Document(Repository().release("1.0", path=path).file(f"{path}2").page())

    assert downloads(document) == []
    assert path in document.text
    assert not [e for e in document.find("a") if path in e.text]


def test_what_is_hosted_elsewhere_is_no_link() -> None:
    publication = realistic().publication(check_targets=False)
    document = Document(render_page(publication, name="acme", url=URL).decode())

    assert downloads(document) == []
    assert not [e for e in document.find("a") if str(e.attributes["href"]).startswith("targets/")]
    assert "yt-dlp/yt-dlp-2098.10.14.tar.gz" in document.text


def hostile_repositories() -> dict[str, Repository]:
    """HOSTILE in each field that somebody can choose."""
    return {
        "app": Repository().release("1.0", app=HOSTILE, path="a.tar.gz"),
        "platform": Repository().release("1.0", platform=HOSTILE, path="a.tar.gz"),
        "release path": Repository().release("1.0", path=HOSTILE),
        "file path": Repository().file(HOSTILE),
        "version": Repository().release(HOSTILE, path=f"version/{HOSTILE}"),
        "role": Repository(role=HOSTILE),
        "pattern": Repository(paths=[f"plugins/{HOSTILE}"]),
        "keyid": Repository(extra_key=SSlibKey(HOSTILE, "ed25519", "ed25519", {"public": "00"})),
        "hash algorithm": Repository(targets=[Listed("a.bin", b"", hashes={HOSTILE: "00"})]),
        "hash": Repository(targets=[Listed("a.bin", b"", hashes={"sha256": HOSTILE})]),
    }


@pytest.mark.parametrize("field_name", hostile_repositories())
def test_a_hostile_name_stays_text_and_shows_what_it_is(field_name: str) -> None:
    repository = hostile_repositories()[field_name]
    page = repository.page()
    document = Document(page)

    assert "<script" not in page
    assert not [c for c in page if c != "\n" and visible(c) != c]
    said = "".join(document.text.split())
    part = HOSTILE[:8] if field_name == "keyid" else HOSTILE
    attributes = {value for e in document.all for value in e.attributes.values()}
    assert "".join(visible(part).split()) in said or visible(part) in attributes


def test_an_owner_is_text_whatever_the_metadata_calls_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Delegation, "owner_name", lambda *_: HOSTILE)

    page = Repository().page()

    assert "<script" not in page
    assert Document(page).text.count(" ".join(visible(HOSTILE).split())) == 9 + 4  # in the roles, in the keys


@pytest.mark.parametrize("login", ["<b>", "al\u202eice", "online"])
def test_a_key_whose_owner_has_no_proper_login_is_called_by_its_keyid(login: str) -> None:
    document = Document(Repository(owners={"alice": login}).page())

    assert f"root 1 2 of 3 key {key('alice').public_key.keyid[:8]} {short('alice')}" in row(document, "root")
    assert row(document, "timestamp").startswith("timestamp online ")


def test_a_hostile_name_or_url_of_the_repository_stays_text() -> None:
    page = realistic().page(name=HOSTILE, url=f"https://{HOSTILE}/")

    document = Document(page)
    assert "<script" not in page
    assert document.find("h1")[0].text == visible(HOSTILE)
    assert document.find("title")[0].text == f"{visible(HOSTILE)}: signed releases"


def test_the_client_command_is_one_word_per_argument_whatever_the_names() -> None:
    app = "x; rm -rf $HOME '"
    page = Repository().release("1.0", app=app, path="a.tar.gz").page(url="https://a.example/$(id)/")

    words = shlex.split(next(text for text in code(Document(page)) if text.startswith("keyturn client")))
    assert words[2:] == [
        *("--root", "root.json", "--url", "https://a.example/$(id)/", "--app", app),
        *("--dir", "DIR", "install"),
    ]


def test_the_check_command_names_digest_and_file() -> None:
    repository = Repository().release("1.0", path="acme/it's $(id).tar.gz")
    document = Document(repository.page())

    words = shlex.split(code(document)[0])
    digest = sha256_hex(repository.targets[0].data)
    assert words == ["echo", f"{digest}  it's $(id).tar.gz", "|", "sha256sum", "--check"]
    assert document.find("a", class_="download")[0].attributes["download"] == "it's $(id).tar.gz"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        """Say nothing."""


def test_the_example_for_python_tuf_downloads_the_newest_release(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = realistic()
    publication = repository.publication()
    write_directory(publication.site.tree, tmp_path / "site")
    (tmp_path / "client").mkdir()
    (tmp_path / "client/root.json").write_bytes(publication.site.tree.read("metadata/1.root.json"))
    monkeypatch.chdir(tmp_path / "client")
    handler = partial(Quiet, directory=str(tmp_path / "site"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        page = render_page(publication, name="acme", url=f"http://127.0.0.1:{server.server_port}/").decode()
        example = next(text for text in code(Document(page)) if "Updater(" in text)
        exec(example, {})  # noqa: S102
        server.shutdown()

    newest = "atlas/atlas-1.12.0-linux-x86_64.tar.gz"
    data = next(target.data for target in repository.targets if target.path == newest)
    assert Path(newest.replace("/", "%2F")).read_bytes() == data


def test_a_very_long_list_of_files_ends_with_a_count() -> None:
    repository = Repository()
    for number in range(MOST_FILES + 1_234):
        repository.file(f"many/{number:05}")

    document = Document(repository.page())

    assert "1,234 more files are not shown here" in document.text
    assert "many/00199" in document.text
    assert "many/00200" not in document.text


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (999_949, "999.9 kB"),
        (999_950, "1.0 MB"),
        (20_000_000, "20.0 MB"),
        (3_200_000_000_000, "3,200.0 GB"),
    ],
)
def test_sizes_are_rounded_for_people(size: int, text: str) -> None:
    document = Document(Repository(targets=[Listed("a.bin", b"", length=size)]).page())

    assert row(document, "a.bin").startswith(f"a.bin targets {text} ")


@pytest.mark.parametrize("missing", ["timestamp.json", "1.snapshot.json", "1.targets.json", "1.plugins.json"])
def test_a_state_with_a_role_missing_gets_no_page(missing: str) -> None:
    whole = realistic().publication()
    tree = overlay(whole.site.tree, {f"metadata/{missing}": None})

    with pytest.raises(RefusedError) as caught:
        render_page(Publication(Site(tree), NOW, whole.pinned), name="acme", url=URL)

    assert caught.value.reason == "unverified"


@given(st.text())
def test_visible_text_is_printable_and_leaves_printable_text_alone(text: str) -> None:
    shown = visible(text)

    assert all(visible(character) == character for character in shown)
    assert not any(unicodedata.category(character)[0] == "C" for character in shown)
    if text.isascii() and text.isprintable():
        assert shown == text


@pytest.mark.parametrize(
    ("character", "shown"),
    [
        ("\x1b", r"\x1b"),
        ("\n", r"\n"),
        ("\x7f", r"\x7f"),
        ("\x9b", r"\x9b"),
        ("\xa0", r"\xa0"),
        ("\xad", r"\xad"),
        ("\u061c", r"\u061c"),
        ("\u200b", r"\u200b"),
        ("\u200f", r"\u200f"),
        ("\u2028", r"\u2028"),
        ("\u202e", r"\u202e"),
        ("\u2066", r"\u2066"),
        ("\u2800", r"\u2800"),
        ("\u3164", r"\u3164"),
        ("\ufe0f", r"\ufe0f"),
        ("\ufeff", r"\ufeff"),
        ("\ud800", r"\ud800"),
        ("\U000e0041", r"\U000e0041"),
    ],
)
def test_what_is_not_seen_is_written_out(character: str, shown: str) -> None:
    assert visible(f"a{character}b") == f"a{shown}b"


def test_words_of_any_script_stay_as_they_are() -> None:
    text = "Grüße, 東京, русский, עברית, हिन्दी, e\u0301"

    assert visible(text) == text
