"""Stored times to labels, against cftime and plain calendar arithmetic."""

from __future__ import annotations

import cftime
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cube.axes import Step, ordinal_of
from ingest.facts import pack, unpack
from ingest.times import (
    UndecodableTimeError,
    calendar_of,
    calendar_years,
    common_step,
    ordinals,
    seconds,
    step_of_length,
)

CALENDARS = ("standard", "proleptic_gregorian", "noleap", "360_day", "all_leap", "julian")


@given(
    calendar=st.sampled_from(CALENDARS),
    year=st.integers(1600, 2400),
    month=st.integers(1, 12),
    unit=st.sampled_from(["seconds", "minutes", "hours", "days"]),
    count=st.integers(-10_000, 10_000),
)
def test_times_decode_as_cftime_decodes_them(calendar: str, year: int, month: int, unit: str, count: int) -> None:
    units = f"{unit} since {year}-{month:02d}-01 06:00:00"
    expected = cftime.num2date(count, units, calendar=calendar)
    found = seconds(np.array([count], np.float64), units, calendar)
    assert found[0] == cftime.date2num(expected, "seconds since 1970-01-01", calendar=calendar)


@pytest.mark.parametrize(
    ("units", "calendar", "days"),
    [
        ("days since 1850-1-1 00:00:00", "standard", -43829),
        ("days since 1600-1-1 0:0:0", "gregorian", -135140),
        ("days since 1949-12-01T00:00:00Z", "proleptic_gregorian", -7336),
        ("days since 1970-01-01 00:00:00 UTC", "standard", 0),
        ("hours since 1900-01-01 00:00:00.0", "standard", -25567),
        ("Seconds since 1970-1-1 0:0", "", 0),
        ("days since 1859-12-01", "360_day", -39630),
    ],
)
def test_spellings_of_real_archives_parse(units: str, calendar: str, days: int) -> None:
    assert seconds(np.zeros(1), units, calendar_of(calendar))[0] == days * 86400


@pytest.mark.parametrize(
    "units",
    [
        "years since 1661-1-1",
        "months since 2000-01-01",
        "day as %Y%m%d.%f",
        "days since a while",
        "fortnights since 2000-01-01",
    ],
)
def test_units_without_a_fixed_length_are_undecodable(units: str) -> None:
    with pytest.raises(UndecodableTimeError):
        seconds(np.zeros(1), units, "standard")


def test_missing_times_are_undecodable() -> None:
    with pytest.raises(UndecodableTimeError, match="missing"):
        seconds(np.array([0.0, np.nan]), "days since 2000-01-01", "standard")


def test_an_unknown_calendar_is_not_taken_for_standard() -> None:
    with pytest.raises(UndecodableTimeError, match="martian"):
        calendar_of("martian")


@given(day=st.integers(0, 60_000), places=st.integers(-3, 3))
def test_single_precision_days_keep_their_date(day: int, places: int) -> None:
    # SCIENCE 1.1 rule 2: 23:59:59.99996 floored to a day is the wrong date.
    stored = np.array([day + places * np.spacing(np.float32(day))], np.float32)
    found = seconds(stored, "days since 1900-01-01", "standard")
    assert ordinals(found, Step("day"), "standard")[0] == day - 25567


def test_almost_midnight_in_double_precision_is_midnight() -> None:
    stored = np.array([16070 - 0.00004 / 86400])
    assert seconds(stored, "days since 1970-01-01", "standard")[0] == 16070 * 86400


def test_half_hours_are_not_pulled_to_the_hour() -> None:
    stored = np.array([0.0625, 0.1875], np.float32)
    assert seconds(stored, "days since 2000-01-01", "standard").tolist() == [946690200, 946701000]


@given(
    calendar=st.sampled_from(CALENDARS),
    moment=st.integers(-3_000_000_000, 6_000_000_000),
    step=st.sampled_from([Step("hour", 1), Step("hour", 6), Step("day"), Step("month"), Step("year")]),
)
def test_ordinals_are_those_of_the_axis(calendar: str, moment: int, step: Step) -> None:
    date = cftime.num2date(moment, "seconds since 1970-01-01", calendar=calendar)
    assert ordinals(np.array([moment]), step, calendar)[0] == ordinal_of(date, step, calendar)


def test_whole_years_are_calendar_years() -> None:
    # SOURCES IS1: 1661 + 200 = 1861, 850 + 1151 = 2001.
    assert calendar_years(np.array([200.0, 344.0]), "years since 1661-1-1 00:00:00").tolist() == [1861, 2005]
    assert calendar_years(np.array([1151.0]), "years since 850-1-1 00:00:00").tolist() == [2001]
    assert calendar_years(np.array([1.0]), "days since 1661-1-1") is None


def test_fractions_of_years_are_undecodable() -> None:
    with pytest.raises(UndecodableTimeError, match="whole years"):
        calendar_years(np.array([200.5]), "years since 1661-1-1")


@pytest.mark.parametrize(
    ("days", "step"),
    [
        (1 / 24, "1 hours"),
        (0.125, "3 hours"),
        (0.25, "6 hours"),
        (1, "day"),
        (28, "month"),
        (30, "month"),
        (31, "month"),
        (360, "year"),
        (366, "year"),
    ],
)
def test_lengths_that_are_steps(days: float, step: str) -> None:
    assert str(step_of_length(days * 86400)) == step


@pytest.mark.parametrize("days", [5, 10, 8, 5 / 24, 2, 400])
def test_lengths_that_are_no_steps(days: float) -> None:
    assert step_of_length(days * 86400) is None


def test_the_step_is_that_of_most_times() -> None:
    assert common_step(np.array([86400] * 9 + [5 * 86400])) == Step("day")
    assert common_step(np.array([5 * 86400] * 5 + [6 * 86400])) is None


@given(
    st.lists(st.integers(-(10**12), 10**12), max_size=60) | st.integers(0, 40).map(lambda n: list(range(0, 7 * n, 7)))
)
def test_packed_integers_unpack_as_they_were(numbers: list[int]) -> None:
    assert unpack(pack(np.array(numbers, np.int64))).tolist() == numbers
