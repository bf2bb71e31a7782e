"""29 February put in and left out, by dates of cftime."""

from __future__ import annotations

from typing import Any

import cftime
import numpy as np
import pytest
import xarray as xr

from compute.align.calendars import Days
from cube.errors import InputError

from .views import Product, aligned, centres, days, job_of

PLACE = centres(0.25, 0.5, 8), centres(0.25, 0.5, 8)
GRID = {"lat": [0.5, 3.5], "lon": [0.5, 3.5], "step": 1}
STARTS = [
    ("1899-12-30", 900),
    ("1999-12-31", 800),
    ("2000-02-28", 2),
    ("2000-03-01", 400),
    ("2003-03-01", 365),
    ("1661-01-01", 1500),
]


def dates(axis: Any) -> list[str]:
    times = cftime.num2date(axis.encoded(), axis.units, calendar=axis.calendar)
    return [each.strftime("%Y-%m-%d") for each in np.atleast_1d(times)]


@pytest.mark.parametrize(("start", "count"), STARTS)
def test_day_is_made_of_other_days_than_its_own(start: str, count: int) -> None:
    source = days(start, count, "noleap")
    made, own = Days.of(source, "noleap-to-standard"), dates(source)
    found = dates(made.axis)
    last = xr.date_range(found[0], found[-1], freq="D", calendar="standard", use_cftime=True)
    assert found == [each.strftime("%Y-%m-%d") for each in last]  # no day is missing
    assert (made.axis.calendar, found[0], found[-1]) == ("standard", own[0], own[-1])
    before, after = made.positions(slice(0, len(found)))
    for date, first, second, inserted in zip(found, before, after, made.inserted(slice(0, len(found))), strict=True):
        if date.endswith("02-29"):
            assert (own[first][5:], own[second][5:], inserted) == ("02-28", "03-01", 1)
        else:
            assert (own[first], own[second], inserted) == (date, date, 0)
    for part in (slice(0, 1), slice(len(found) - 1, len(found)), slice(len(found) // 3, len(found) // 2 + 1)):
        np.testing.assert_array_equal(made.positions(part), (before[part], after[part]))
        assert made.window(part) == slice(before[part][0], after[part][-1] + 1)


@pytest.mark.parametrize("calendar", ["standard", "proleptic_gregorian"])
@pytest.mark.parametrize(("start", "count"), [*STARTS, ("2000-02-29", 5), ("2000-01-31", 30)])
def test_day_is_left_out_that_is_not_29_february(start: str, count: int, calendar: str) -> None:
    source = days(start, count, calendar)
    made, own = Days.of(source, "standard-to-noleap"), dates(source)
    assert dates(made.axis) == [date for date in own if not date.endswith("02-29")]
    before, after = made.positions(slice(0, made.axis.count))
    assert [own[position] for position in before] == dates(made.axis)
    np.testing.assert_array_equal(before, after)


def test_29_february_is_not_the_mean_of_the_days_beside_it() -> None:
    axis = days("2004-01-01", 300, "noleap")
    values = np.random.default_rng(3).normal(280, 5, (300, 8, 8)).astype("f4")
    values[58, :4] = np.nan  # 28 February
    source = Product({"tas": values}, PLACE, time=axis, attrs={"tas": {"units": "K"}})
    native = aligned(source, variables={"tas": "conservative"}, grid=GRID)["tas"]
    options = {"variables": {"tas": "conservative"}, "grid": GRID, "calendar": "noleap-to-standard"}
    for steps in (301, 60, 59, 13):
        found = aligned(source, blocks={"time": steps, "lat": 3}, **options)
        assert len(found["tas"]) == 301
        np.testing.assert_array_equal(np.delete(found["tas"], 59, axis=0), native)
        assert np.flatnonzero(found["interpolated_day"]).tolist() == [59]
        assert np.isnan(found["tas"][59, :2]).all()
        np.testing.assert_allclose(found["tas"][59, 2:], (native[58, 2:] + native[59, 2:]) / 2, rtol=1e-6)


def test_29_february_is_kept_by_noleap() -> None:
    values = np.arange(500.0)[:, None, None] + np.zeros((1, 8, 8))
    source = Product({"tas": values}, PLACE, time=days("2004-01-01", 500), attrs={"tas": {"units": "K"}})
    found = aligned(
        source, variables={"tas": "bilinear"}, grid=GRID, calendar="standard-to-noleap", blocks={"time": 13}
    )
    assert set(found) == {"tas"}
    assert found["tas"][:, 0, 0].tolist() == [float(day) for day in range(500) if day != 59]


@pytest.mark.parametrize(
    "attrs",
    [
        {"units": "mm d-1", "standard_name": "lwe_precipitation_rate"},
        {"units": "kg m-2 s-1", "standard_name": "snowfall_flux"},
        {"units": "kg m-2 s-1"},
        {"units": "mm", "standard_name": "thickness_of_rainfall_amount"},
    ],
)
def test_rain_of_29_february_is_invented(attrs: dict[str, str]) -> None:
    axis = days("2004-01-01", 100, "noleap")
    values = np.ones((100, 8, 8), "f4")
    source = Product({"pr": values, "tas": values}, PLACE, time=axis, attrs={"pr": attrs, "tas": {"units": "K"}})
    options = {"variables": {"pr": "conservative", "tas": "bilinear"}, "grid": GRID}
    with pytest.raises(InputError) as caught:
        job_of(source, calendar="noleap-to-standard", **options).template()
    assert [(each.code, each.where) for each in caught.value.problems] == [("calendar-rain", "source pr")]
    assert job_of(source, **options).template().time == axis  # the native calendar stays


def test_evaporation_or_radiation_is_taken_for_rain() -> None:
    axis = days("2004-01-01", 100, "noleap")
    attrs = {
        "pet": {"units": "mm d-1", "standard_name": "water_potential_evaporation_flux"},
        "rsds": {"units": "W m-2"},
    }
    source = Product(dict.fromkeys(attrs, np.ones((100, 8, 8), "f4")), PLACE, time=axis, attrs=attrs)
    given = {"pet": "conservative", "rsds": "bilinear"}
    assert job_of(source, variables=given, grid=GRID, calendar="noleap-to-standard").template()


@pytest.mark.parametrize(
    ("calendar", "rule", "fix"),
    [
        ("360_day", "noleap-to-standard", "there is no rule for it"),
        ("360_day", "standard-to-noleap", "there is no rule for it"),
        ("standard", "noleap-to-standard", "standard-to-noleap"),
        ("noleap", "standard-to-noleap", "noleap-to-standard"),
        ("all_leap", "noleap-to-standard", "there is no rule for it"),
    ],
)
def test_rule_is_applied_to_another_calendar(calendar: str, rule: str, fix: str) -> None:
    values = {"tas": np.ones((90, 8, 8), "f4")}
    source = Product(values, PLACE, time=days("2004-01-01", 90, calendar), attrs={"tas": {"units": "K"}})
    with pytest.raises(InputError) as caught:
        job_of(source, variables={"tas": "bilinear"}, grid=GRID, calendar=rule).template()
    (problem,) = caught.value.problems
    assert (problem.code, fix in problem.fix) == ("calendar-rule", True)


def test_calendar_of_a_map_or_of_old_days_is_changed() -> None:
    options: dict[str, Any] = {"variables": {"tas": "bilinear"}, "grid": GRID, "calendar": "noleap-to-standard"}
    for values, axis in ((np.ones((8, 8)), None), (np.ones((9, 8, 8)), days("1500-01-01", 9, "noleap"))):
        source = Product({"tas": values}, PLACE, time=axis, attrs={"tas": {"units": "K"}})
        with pytest.raises(InputError) as caught:
            job_of(source, **options).template()
        assert [each.code for each in caught.value.problems] == ["calendar-rule"]
