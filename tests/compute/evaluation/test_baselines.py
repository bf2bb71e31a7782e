"""Days of the season and the year before in every calendar, against dates; the baselines against plain ones."""

from __future__ import annotations

import cftime
import numpy as np
import pytest

from compute.evaluation.baselines import climatology, persistence
from compute.evaluation.days import Seasons, cut, part, season_days
from cube.axes import TimeAxis
from cube.errors import InputError
from cube.options import Period

from . import plain
from .products import days

CALENDARS = ["standard", "proleptic_gregorian", "julian", "noleap", "all_leap", "360_day"]


def dates_of(axis):
    return cftime.num2date(np.arange(axis.first, axis.stop), "days since 1970-01-01", axis.calendar)


@pytest.mark.parametrize("calendar", CALENDARS)
def test_same_day_of_another_year_is_another_date(calendar):
    axis = days("2003-02-10", 2000, calendar)
    seasons, dates = Seasons.of(axis), dates_of(axis)
    before = cftime.num2date(seasons.before, "days since 1970-01-01", calendar)
    day_of = {}
    for date, earlier, year, day in zip(dates, before, seasons.year, seasons.day, strict=True):
        assert year == date.year
        leap = calendar not in ("all_leap", "360_day") and (date.month, date.day) == (2, 29)
        assert (earlier.year, earlier.month, earlier.day) == (date.year - 1, date.month, 28 if leap else date.day)
        assert day_of.setdefault((date.month, 28 if leap else date.day), day) == day
    assert sorted(set(day_of.values())) == list(range(season_days(calendar)))
    assert len(set(day_of.values())) == len(day_of)


@pytest.mark.parametrize("calendar", ["standard", "noleap", "360_day"])
def test_climatology_knows_the_own_year_or_differs_from_a_plain_one(calendar):
    axis = days("2001-11-20", 1300, calendar)
    rng = np.random.default_rng(2)
    values = rng.uniform(0.1, 0.4, (axis.count, 3)).astype("f4")
    values[rng.random(values.shape) < 0.3] = np.nan
    values[:, 2] = np.nan
    wanted = slice(300, 1010)
    found = climatology(values, Seasons.of(axis), slice(0, axis.count), wanted, season_days(calendar))
    asked = list(range(300, 1010, 7))
    for cell in (0, 1):
        expected = plain.climatology(values[:, cell].astype("f8"), list(dates_of(axis)), asked)
        np.testing.assert_allclose(found[np.array(asked) - 300, cell], expected, rtol=1e-6)
    assert np.isnan(found[:, 2]).all()
    own = values.copy()
    year = Seasons.of(axis).year
    own[year == 2003] += 0.5
    other = climatology(own, Seasons.of(axis), slice(0, axis.count), wanted, season_days(calendar))
    same = year[wanted] == 2003
    np.testing.assert_allclose(other[same], found[same], rtol=1e-5)
    assert (np.abs(other - found)[~same & np.isfinite(found[:, 0])][:, :2] > 0.01).all()


def test_climatology_sees_days_that_it_is_not_made_of():
    axis = days("2001-01-01", 4 * 365, "noleap")
    values = np.full((axis.count, 1), 0.2, "f4")
    values[2 * 365 :] = 0.4
    found = climatology(values, Seasons.of(axis), slice(0, 730), slice(365, 1460), 365)
    np.testing.assert_allclose(found, 0.2, rtol=1e-6)
    alone = climatology(values, Seasons.of(axis), slice(0, 365), slice(0, 365), 365)
    assert np.isnan(alone).all()


def test_persistence_of_the_first_year_is_known():
    axis = days("2003-01-01", 1100)
    values = np.arange(axis.count, dtype="f4")[:, None]
    found = persistence(values, Seasons.of(axis), axis.first, slice(300, 1100))
    assert np.isnan(found[:65]).all()  # until 31 December 2003
    assert found[65, 0] == 0
    dates = dates_of(axis)
    for row in (65, 124, 125, 430, 799):
        date, before = dates[300 + row], dates[int(found[row, 0])]
        assert (before.year, before.month) == (date.year - 1, date.month)
        assert before.day == (28 if (date.month, date.day) == (2, 29) else date.day)
    assert (dates[424].month, dates[424].day) == (2, 29)


def test_period_in_another_calendar_is_cut_elsewhere():
    axis = days("2001-01-01", 720, "360_day")
    found = cut(axis, Period(start="2001-02-30", end="2001"), "period")
    assert (found.text(0), found.text(-1)) == ("2001-02-30", "2001-12-30")
    assert part(found, axis) == slice(59, 360)
    assert cut(axis, Period(start="2004"), "period") is None
    assert cut(axis, None, "period") == TimeAxis(axis.first, 720, axis.step, "360_day")
    with pytest.raises(InputError) as refused:
        cut(axis, Period(end="2001-05-31"), "period")
    assert refused.value.problems[0].code == "period-date"
