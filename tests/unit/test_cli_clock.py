"""The time that a command goes by."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.cli.clock import parse_time, time_of
from keyturn.errors import UsageError

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=timezone.utc)


@pytest.mark.parametrize("text", ["2026-11-21T12:00:00Z", "@1795262400"])
def test_a_time_is_written_as_iso_8601_in_utc_or_as_seconds(text: str) -> None:
    assert parse_time(text, where="--at") == NOON


@given(st.datetimes(min_value=datetime(1970, 1, 2), max_value=datetime(9999, 1, 1)))  # noqa: DTZ001 - drawn naive
def test_both_forms_say_the_same(moment: datetime) -> None:
    second = moment.replace(microsecond=0, tzinfo=timezone.utc)
    since = (second - datetime(1970, 1, 1, tzinfo=timezone.utc)) // timedelta(seconds=1)
    assert (
        parse_time(f"@{since}", where="")
        == second
        == parse_time(f"{second:%Y-%m-%dT%H:%M:%S}Z".zfill(20), where="")
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2026-11-21",
        "2026-11-21T12:00:00",
        "2026-11-21T12:00:00+01:00",
        "2026-02-30T12:00:00Z",
        "2026-11-21 12:00:00Z",
        "@",
        "@-1",
        "@1.5",
        "@999999999999",
        "1795262400",
        "@\u0661",
    ],
)
def test_anything_else_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse_time(text, where="--at")
    assert (refused.value.reason, refused.value.where) == ("bad-time", "--at")


def test_the_option_goes_before_the_variable_and_the_variable_before_the_clock() -> None:
    environment = {"SOURCE_DATE_EPOCH": "1795262400"}
    assert time_of(NOON + timedelta(days=1), environment) == NOON + timedelta(days=1)
    assert time_of(None, environment) == NOON
    assert abs(time_of(None, {"SOURCE_DATE_EPOCH": " "}) - datetime.now(timezone.utc)) < timedelta(minutes=1)


def test_a_variable_that_holds_no_time_is_named() -> None:
    with pytest.raises(UsageError, match="SOURCE_DATE_EPOCH"):
        time_of(None, {"SOURCE_DATE_EPOCH": "yesterday"})
