"""Retained days against dates of cftime, in every calendar and from any day on."""

from __future__ import annotations

import datetime

import cftime
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compute.seasons.years import Years
from cube.axes import Step, TimeAxis, ordinal_of

CALENDARS = ("standard", "proleptic_gregorian", "noleap", "360_day", "all_leap", "julian")


def axis_of(calendar: str, year: int, skipped: int, count: int) -> TimeAxis:
    date = cftime.datetime(year, 1, 1, calendar=calendar) + datetime.timedelta(days=skipped)
    return TimeAxis(ordinal_of(date, Step("day"), calendar), count, Step("day"), calendar)


def dates_of(axis: TimeAxis, positions: list[int]) -> list[cftime.datetime]:
    first = axis.date(0)
    return [first + datetime.timedelta(days=int(each)) for each in positions]


@given(
    calendar=st.sampled_from(CALENDARS),
    year=st.integers(1950, 2099),
    skipped=st.integers(0, 359),
    count=st.integers(1, 1500),
)
def test_a_day_has_another_place_in_its_year_than_its_date_says(
    calendar: str, year: int, skipped: int, count: int
) -> None:
    axis = axis_of(calendar, year, skipped, count)
    years = Years.of(axis)
    dates = dates_of(axis, list(range(count)))
    leap_days = calendar != "360_day"
    kept = [i for i, date in enumerate(dates) if not (leap_days and (date.month, date.day) == (2, 29))]
    assert years.kept.tolist() == kept
    table = [
        (month, day)
        for month in range(1, 13)
        for day in range(1, 32)
        if (day <= 30 if calendar == "360_day" else day <= (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)[month - 1])
    ]
    assert [table[day] for day in years.day] == [(dates[i].month, dates[i].day) for i in kept]
    np.testing.assert_array_equal(years.ordinal(np.arange(years.count)), axis.first + np.array(kept))
    for position in range(0, years.count, 97):
        date = dates[kept[position]]
        assert years.start(date.year) + table.index((date.month, date.day)) == position


@pytest.mark.parametrize("calendar", CALENDARS)
def test_years_that_are_cut_count_as_whole(calendar: str) -> None:
    for skipped, more, expected in ((0, 0, (2001, 2003)), (1, 0, (2002, 2003)), (0, -1, (2001, 2002))):
        start = axis_of(calendar, 2001, skipped, 1).first
        stop = axis_of(calendar, 2004, 0, 1).first + more
        assert Years.of(TimeAxis(start, stop - start, Step("day"), calendar)).whole == expected


def test_positions_outside_the_axis_have_other_dates() -> None:
    years = Years.of(axis_of("standard", 2003, 0, 365))
    # 28 February and 1 March of the leap year after, 31 December of the year before.
    found = years.ordinal(np.array([365 + 58, 365 + 59, -1]))
    dates = ((2004, 2, 28), (2004, 3, 1), (2002, 12, 31))
    wanted = [ordinal_of(datetime.datetime(*date), Step("day"), "standard") for date in dates]
    assert found.tolist() == wanted


def test_steps_other_than_days_are_taken() -> None:
    with pytest.raises(ValueError, match="days are wanted"):
        Years.of(TimeAxis(0, 3, Step("month"), "standard"))
