"""Labels, positions and encoded times in every calendar, against cftime and pandas."""

from __future__ import annotations

import cftime
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cube.axes import Step, TimeAxis, encode, ordinal_of, parse_date, to_date

CALENDARS = ["standard", "proleptic_gregorian", "noleap", "360_day", "all_leap"]
STEPS = [Step("day"), Step("month"), Step("year"), Step("hour", 1), Step("hour", 6)]


@given(
    calendar=st.sampled_from(CALENDARS),
    step=st.sampled_from(STEPS),
    year=st.integers(1700, 2300),
    month=st.integers(1, 12),
    day=st.integers(1, 28),
    hour=st.integers(0, 23),
)
def test_period_that_holds_a_date_starts_at_or_before_it_and_ends_after(calendar, step, year, month, day, hour):
    date = cftime.datetime(year, month, day, hour, calendar=calendar)
    ordinal = ordinal_of(date, step, calendar)
    assert to_date(ordinal, step, calendar) <= date < to_date(ordinal + 1, step, calendar)


@given(calendar=st.sampled_from(CALENDARS), step=st.sampled_from(STEPS), first=st.integers(-1900, 3000))
def test_encoded_times_decode_to_the_same_dates_by_cftime(calendar, step, first):
    axis = TimeAxis(first, 40, step, calendar)
    decoded = cftime.num2date(axis.encoded(), axis.units, calendar=calendar)
    assert [str(date) for date in decoded] == [str(axis.date(i)) for i in range(40)]
    bounds = axis.bounds()
    assert (bounds[1:, 0] == bounds[:-1, 1]).all()
    assert (bounds[:, 0] == axis.encoded()).all()


def test_30_february_exists_in_360_day():
    first = ordinal_of(cftime.datetime(2006, 2, 30, calendar="360_day"), Step("day"), "360_day")
    axis = TimeAxis(first, 2, Step("day"), "360_day")
    assert axis.text(0) == "2006-02-30"
    assert axis.text(1) == "2006-03-01"


def test_months_follow_the_real_calendar():
    axis = TimeAxis(ordinal_of(cftime.datetime(1999, 11, 1), Step("month"), "standard"), 30, Step("month"), "standard")
    expected = pd.date_range("1999-11-01", periods=30, freq="MS")
    assert [axis.text(i) for i in range(30)] == [f"{date:%Y-%m-%d}" for date in expected]


@pytest.mark.parametrize("text", ["2006-02-30", "2006-13", "yesterday", "06-01-01x", ""])
def test_impossible_date_is_refused(text):
    with pytest.raises(ValueError):
        parse_date(text, "standard")


@pytest.mark.parametrize(
    ("text", "calendar", "beyond"),
    [
        ("2006", "standard", "2007-01-01"),
        ("2006-12", "noleap", "2007-01-01"),
        ("2008-02", "noleap", "2008-03-01"),
        ("2008-02-29", "standard", "2008-03-01"),
        ("2008-02-30", "360_day", "2008-03-01"),
    ],
)
def test_end_of_a_period_is_inclusive(text, calendar, beyond):
    assert parse_date(text, calendar, end=True).strftime("%Y-%m-%d") == beyond


def test_steps_that_do_not_divide_a_day_are_refused():
    with pytest.raises(ValueError):
        Step("hour", 5)
    with pytest.raises(ValueError):
        Step.parse("week")


def test_segments_hold_their_years_whatever_the_start():
    for calendar in CALENDARS:
        for start in range(1990, 2010):
            first = ordinal_of(cftime.datetime(start, 1, 1, calendar=calendar), Step("day"), calendar)
            last = ordinal_of(cftime.datetime(start + 10, 1, 1, calendar=calendar), Step("day"), calendar)
            assert last - first <= Step("day").per_years(10, calendar) <= last - first + 1
    assert encode(pd.Series([24]).to_numpy(), Step("month"), "standard")[0] == 730


@pytest.mark.parametrize("calendar", CALENDARS)
def test_years_from_july_lose_their_first_month(calendar):
    step = Step("year", month=7)
    assert Step.parse(str(step)) == step
    assert Step.parse(str(Step("year"))) == Step("year")
    axis = TimeAxis(31, 3, step, calendar)
    assert [axis.text(i) for i in range(3)] == ["2001-07-01", "2002-07-01", "2003-07-01"]
    assert TimeAxis.from_json(axis.to_json()) == axis
    starts = axis.bounds()
    assert (starts[1:, 0] == starts[:-1, 1]).all()
    for date, ordinal in (((2001, 6, 30), 30), ((2001, 7, 1), 31), ((2002, 6, 30), 31), ((2002, 7, 1), 32)):
        assert ordinal_of(cftime.datetime(*date, calendar=calendar), step, calendar) == ordinal


def test_months_of_days_begin_years():
    for unit, month in (("year", 13), ("year", 0), ("month", 7), ("day", 2)):
        with pytest.raises(ValueError, match="years begin"):
            Step(unit, month=month)


@pytest.mark.parametrize("end", [False, True])
@pytest.mark.parametrize("text", ["2002-13", "2002-00", "2002-01-00", "2002-02-30", "2002-13-01"])
def test_date_that_no_calendar_has_becomes_another(text: str, end: bool) -> None:
    with pytest.raises(ValueError):
        parse_date(text, "noleap", end=end)
