from __future__ import annotations

import itertools
from typing import Any

import cftime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stac.extents import bounding_box, geometry, gregorian, interval, iso, union


@pytest.mark.parametrize(
    ("date", "text"),
    [
        ((2005, 2, 30, "360_day"), "2005-02-28T00:00:00Z"),
        ((2004, 2, 30, "360_day"), "2004-02-29T00:00:00Z"),
        ((2005, 4, 30, "360_day"), "2005-04-30T00:00:00Z"),
        ((2001, 2, 29, "all_leap"), "2001-02-28T00:00:00Z"),
        ((1900, 2, 29, "julian"), "1900-02-28T00:00:00Z"),
        ((850, 1, 1, "standard"), "0850-01-01T00:00:00Z"),
    ],
)
def test_days_that_the_gregorian_month_lacks_are_moved_into_it(date: tuple[int, int, int, str], text: str) -> None:
    year, month, day, calendar = date
    assert gregorian(cftime.datetime(year, month, day, calendar=calendar)) == text


def test_interval_says_whether_a_day_was_moved() -> None:
    def found(start: str, bound: str) -> tuple[str, str, bool]:
        return interval({"start": start, "end_bound": bound, "calendar": "360_day"})

    assert found("2005-12-01", "2100-01-01") == ("2005-12-01T00:00:00Z", "2099-12-30T23:59:59Z", False)
    assert found("2005-12-01", "2099-03-01") == ("2005-12-01T00:00:00Z", "2099-02-28T23:59:59Z", True)


def test_iso_refuses_what_is_no_date() -> None:
    assert iso("2006-01-31") == "2006-01-31T00:00:00Z"
    assert iso("850-01-31T06:00") == "0850-01-31T06:00:00Z"
    with pytest.raises(ValueError, match="not a date"):
        iso("2006-01")


@pytest.mark.parametrize(
    ("given_box", "expected"),
    [
        ([-180, -90, 180, 90], [-180, -90, 180, 90]),
        ([0, -90, 360, 90], [-180, -90, 180, 90]),
        ([-180.125, -90.125, 179.875, 90.125], [-180, -90, 180, 90]),
        ([177, 0, 190, 2], [177, 0, -170, 2]),
        ([170, 0, 180, 1], [170, 0, 180, 1]),
        ([180, 0, 190, 1], [-180, 0, -170, 1]),
        ([-190, 0, -180, 1], [170, 0, 180, 1]),
        ([200, 0, 210, 1], [-160, 0, -150, 1]),
        ([-0.5, 0, 0.5, 1], [-0.5, 0, 0.5, 1]),
        ([float("nan"), 0, 1, 1], None),
        (None, None),
    ],
)
def test_boxes_come_within_the_globe(given_box: Any, expected: Any) -> None:
    assert bounding_box(given_box) == expected


@pytest.mark.parametrize(
    ("box", "kind"),
    [
        ([1.0, 2.0, 3.0, 4.0], "Polygon"),
        ([170.0, 2.0, -170.0, 4.0], "MultiPolygon"),
        ([1.0, 2.0, 1.0, 2.0], "Point"),
        ([1.0, 2.0, 1.0, 4.0], "LineString"),
    ],
)
def test_flat_boxes_are_no_polygons(box: list[float], kind: str) -> None:
    found = geometry(box)
    assert found is not None
    assert found["type"] == kind


def test_rings_are_closed_and_counterclockwise() -> None:
    found = geometry([170.0, 2.0, -170.0, 4.0])
    assert found is not None
    for (ring,) in found["coordinates"]:
        assert ring[0] == ring[-1]
        twice_area = sum(a[0] * b[1] - b[0] * a[1] for a, b in itertools.pairwise(ring))
        assert twice_area == 2 * 10 * 2


degrees = st.integers(-180, 180)
boxes = st.tuples(degrees, st.just(0), degrees, st.just(1)).filter(lambda box: box[0] != box[2])


def cells(box: Any) -> set[int]:
    """Whole degrees that a box covers, numbered eastwards from -180."""
    west, east = int(box[0]), int(box[2])
    width = east - west if east >= west else east - west + 360
    return {(west + 180 + n) % 360 for n in range(width)}


@settings(deadline=None)
@given(st.lists(boxes, min_size=1, max_size=5))
def test_union_holds_all_boxes_and_no_narrower_one_does(members: list[Any]) -> None:
    found = union(members)
    covered = set().union(*map(cells, members))
    assert covered <= cells(found)
    free = [cell not in covered for cell in range(360)] * 2
    widest = longest = 0
    for each in free:
        longest = longest + 1 if each else 0
        widest = max(widest, min(longest, 360))
    assert len(cells(found)) == 360 - widest
    assert (found[1], found[3]) == (0, 1)


def test_union_of_nothing_is_the_world() -> None:
    assert union([]) == [-180, -90, 180, 90]
