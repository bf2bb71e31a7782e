"""What commands say of products: periods, what limits them, what was asked for."""

from __future__ import annotations

from typing import Any

import pytest

from batch.page import _asked
from batch.showing import limiting, period


def extent(bound: str) -> dict[str, Any]:
    return {"start": "1991-01-01", "end_bound": bound, "calendar": "noleap"}


@pytest.mark.parametrize(
    ("bounds", "expected"),
    [
        ({"scenario": "2030-01-01", "historical": "2006-01-01"}, "scenario"),
        ({"pr": "2030-03-01", "tas": "2030-01-01"}, "tas"),
        ({"hours": "2030-01-01T00:00", "days": "2030-07-01"}, "hours"),
        ({"historical": "2006-01-01"}, None),
        ({}, None),
    ],
)
def test_reference_that_ended_long_ago_is_said_to_limit(bounds: dict[str, str], expected: str | None) -> None:
    assert limiting(extent("2030-01-01"), bounds) == expected


def test_product_without_time_is_said_to_end() -> None:
    assert limiting(None, {"historical": "2006-01-01"}) is None


@pytest.mark.parametrize(
    ("start", "bound", "calendar", "expected"),
    [
        ("2000-01-01", "2020-01-01", "standard", "2000-01-01 to 2019-12-31"),
        ("2000-01-01", "2020-03-01", "noleap", "2000-01-01 to 2020-02-28"),
        ("2000-01-01", "2020-03-01", "360_day", "2000-01-01 to 2020-02-30"),
        ("2000-01-01T00:00", "2020-01-01T06:00", "standard", "2000-01-01T00:00 to before 2020-01-01T06:00"),
    ],
)
def test_last_year_reads_as_if_it_were_a_day(start: str, bound: str, calendar: str, expected: str) -> None:
    assert period({"start": start, "end_bound": bound, "calendar": calendar}) == expected


def test_options_read_as_python() -> None:
    value = {"product": "rain", "period": {"start": "1991", "end": "2020"}, "months": ["MAM", "OND"]}
    assert _asked(value) == "{product: rain, period: {start: 1991, end: 2020}, months: [MAM, OND]}"
