"""Filters and schedules of workflow files, as GitHub's documentation describes them."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from lab.actions.cron import last_due
from lab.actions.patterns import any_path_passes, chosen

NOW = datetime(2026, 11, 21, 12, tzinfo=timezone.utc)  # a Saturday


@pytest.mark.parametrize(
    ("pattern", "takes", "leaves"),
    [
        ("main", ["main"], ["main2", "a/main"]),
        ("sign/*", ["sign/x"], ["sign/x/y", "sign"]),
        ("sign/**", ["sign/x", "sign/x/y"], ["signs/x"]),
        ("**", ["main", "a/b"], []),
        ("v[12].[0-9]+", ["v1.10", "v2.0"], ["v3.0", "v1."]),
        ("**/README.md", ["README.md", "docs/README.md"], ["README.mdx"]),
        ("*.jsx?", ["page.js", "page.jsx"], ["a/page.js"]),
        ("v1.0", ["v1.0"], ["v1x0"]),
    ],
)
def test_a_pattern_takes_what_github_says(pattern: str, takes: list[str], leaves: list[str]) -> None:
    assert all(chosen([pattern], name) for name in takes)
    assert not any(chosen([pattern], name) for name in leaves)


def test_the_last_pattern_that_matches_decides() -> None:
    patterns = ["releases/**", "!releases/**-alpha", "releases/1-alpha"]
    assert chosen(patterns, "releases/2")
    assert not chosen(patterns, "releases/2-alpha")
    assert chosen(patterns, "releases/1-alpha")


def test_ignored_paths_stop_a_run_only_if_there_is_no_other() -> None:
    assert not any_path_passes({"paths-ignore": ["docs/**"]}, ["docs/a", "docs/b/c"])
    assert any_path_passes({"paths-ignore": ["docs/**"]}, ["docs/a", "src/b"])
    assert any_path_passes({}, [])


@pytest.mark.parametrize(
    ("cron", "last"),
    [
        ("7 1,7,13,19 * * *", "2026-11-21T07:07"),
        ("*/15 * * * *", "2026-11-21T12:00"),
        ("17 3 * * 1-5", "2026-11-20T03:17"),
        ("0 0 1 jan *", None),
        ("0 0 20 * sun", "2026-11-20T00:00"),
    ],
)
def test_a_schedule_is_due_when_cron_says(cron: str, last: str | None) -> None:
    due = last_due(cron, NOW - timedelta(days=5), NOW)
    assert (due.strftime("%Y-%m-%dT%H:%M") if due else None) == last


def test_a_schedule_is_not_due_twice_for_the_same_minute() -> None:
    assert last_due("0 12 * * *", NOW - timedelta(minutes=1), NOW) == NOW
    assert last_due("0 12 * * *", NOW, NOW + timedelta(minutes=1)) is None
