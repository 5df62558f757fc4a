"""The lab's Pages behave as GitHub's do towards a client."""

from __future__ import annotations

import gzip
import io
import tarfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import timedelta
from email.message import Message

import pytest

from lab.clock import Clock
from lab.pages import DeployError, Pages

SLUG = "alice/updates"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pages(clock: Clock) -> Iterator[Pages]:
    with Pages(clock) as served:
        yield served


def artifact(files: dict[str, bytes], link: str | None = None) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(f"./{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
        if link:
            member = tarfile.TarInfo(link)
            member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
            tar.addfile(member)
    return out.getvalue()


def get(url: str, **headers: str) -> tuple[int, bytes, Message]:
    request = urllib.request.Request(
        url, headers={name.replace("_", "-"): text for name, text in headers.items()}
    )
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, answer.read(), answer.headers
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read(), error.headers


def test_a_file_comes_with_the_headers_of_pages(pages: Pages) -> None:
    pages.deploy(SLUG, artifact({"a.json": b'{"version": 1}'}))
    status, body, headers = get(pages.url(SLUG) + "a.json")
    assert (status, body) == (200, b'{"version": 1}')
    assert headers["Cache-Control"] == "max-age=600"
    assert headers["Access-Control-Allow-Origin"] == "*"
    assert headers["Content-Encoding"] is None
    assert get(pages.url(SLUG) + "a.json", If_None_Match=headers["ETag"])[0] == 304


def test_gzip_and_ranges_are_given_to_those_who_ask(pages: Pages) -> None:
    pages.deploy(SLUG, artifact({"a.json": b"0123456789", "b.bin": b"0123456789"}))
    _, packed, headers = get(pages.url(SLUG) + "a.json", Accept_Encoding="gzip")
    assert headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed) == b"0123456789"
    assert get(pages.url(SLUG) + "b.bin", Accept_Encoding="gzip")[1] == b"0123456789"
    status, part, headers = get(pages.url(SLUG) + "b.bin", Range="bytes=7-")
    assert (status, part, headers["Content-Range"]) == (206, b"789", "bytes 7-9/10")
    assert get(pages.url(SLUG) + "b.bin", Range="bytes=10-")[0] == 416


def test_directories_have_an_index_or_nothing(pages: Pages) -> None:
    pages.deploy(
        SLUG,
        artifact({"index.html": b"home", "full/index.html": b"full", "bare/x": b"", "404.html": b"gone"}),
    )
    assert get(pages.url(SLUG))[1] == b"home"
    assert get(pages.url(SLUG) + "full")[1] == b"full"
    assert get(pages.url(SLUG) + "bare/")[:2] == (404, b"gone")


def test_one_deployment_replaces_all_of_the_one_before(pages: Pages, clock: Clock) -> None:
    pages.deploy(SLUG, artifact({"old": b"1", "same": b"1"}))
    before = get(pages.url(SLUG) + "same")[2]["ETag"]
    clock.move(timedelta(seconds=600))
    pages.deploy(SLUG, artifact({"new": b"2", "same": b"1"}))
    assert get(pages.url(SLUG) + "old")[0] == 404
    assert get(pages.url(SLUG) + "same")[2]["ETag"] != before


def test_an_edge_may_lag_ten_minutes_behind_another(pages: Pages, clock: Clock) -> None:
    pages.deploy(SLUG, artifact({"timestamp.json": b"1"}))
    assert get(pages.url(SLUG, edge=0) + "timestamp.json")[1] == b"1"
    clock.move(timedelta(seconds=300))
    pages.deploy(SLUG, artifact({"timestamp.json": b"2"}))
    assert get(pages.url(SLUG, edge=0) + "timestamp.json")[1] == b"1"
    assert get(pages.url(SLUG, edge=1) + "timestamp.json")[1] == b"2"
    assert get(pages.url(SLUG, edge=1) + "timestamp.json", X_Lab_Edge="0")[1] == b"1"
    pages.answering = 0
    assert get(pages.url(SLUG, edge=1) + "timestamp.json")[1] == b"1"
    clock.move(timedelta(seconds=300))
    assert get(pages.url(SLUG, edge=1) + "timestamp.json")[1] == b"2"


@pytest.mark.parametrize("keeps", [True, False])
def test_an_edge_may_or_may_not_remember_that_a_file_was_missing(pages: Pages, keeps: bool) -> None:
    pages.edges[0].keeps_missing = keeps
    pages.deploy(SLUG, artifact({"1.root.json": b"1"}))
    assert get(pages.url(SLUG) + "2.root.json")[0] == 404
    pages.deploy(SLUG, artifact({"1.root.json": b"1", "2.root.json": b"2"}))
    assert get(pages.url(SLUG) + "2.root.json")[0] == (404 if keeps else 200)
    assert get(pages.url(SLUG, edge=1) + "2.root.json")[0] == 200


def test_links_are_no_part_of_a_site(pages: Pages) -> None:
    with pytest.raises(DeployError, match="no file: passwd"):
        pages.deploy(SLUG, artifact({}, link="passwd"))
