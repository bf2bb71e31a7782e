"""Which days are compared, and where the same day of other years lies.

A day of the season has one number in every year: in calendars with leap years 29 February counts as 28 February, so
that 1 March is always the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cube.axes import EPOCH_YEAR, Step, TimeAxis, encode, ordinal_of, parse_date
from cube.errors import InputError, Problem
from cube.options import Period

DAY = Step("day")
YEAR_DAYS = {"noleap": 365, "all_leap": 366, "360_day": 360}
"""Days of a year, of calendars in which all years are alike; in the others 365 days of the season are told apart."""
_LEAP_DAY = 59
"""Days before 29 February."""

Positions = NDArray[np.int64]


@dataclass(frozen=True)
class Seasons:
    """Of each day of an axis, shape (days,): its calendar year, its day of the season from 0, and the ordinal of the
    same day one year before."""

    year: Positions
    day: Positions
    before: Positions

    @classmethod
    def of(cls, axis: TimeAxis) -> Seasons:
        first, last = axis.date(0).year, axis.date(axis.count - 1).year
        # From the year before the first to the year after the last.
        years = np.arange(first - 1, last + 2)
        starts = encode(years - EPOCH_YEAR, Step("year"), axis.calendar)
        leap = (np.diff(starts) == 366) & (axis.calendar not in YEAR_DAYS)
        days = np.arange(axis.first, axis.stop)
        at = np.searchsorted(starts, days, side="right") - 1
        offset = days - starts[at]
        day = offset - (leap[at] & (offset >= _LEAP_DAY))
        before = starts[at - 1] + day + (leap[at - 1] & (day >= _LEAP_DAY))
        return cls(years[at], day, before)


def season_days(calendar: str) -> int:
    """How many days of the season are told apart."""
    return YEAR_DAYS.get(calendar, 365)


def cut(axis: TimeAxis, period: Period | None, where: str) -> TimeAxis | None:
    """The part of an axis of days that lies in a period, None where there is none.

    Raises InputError for a date that the calendar does not have.
    """
    first, stop, calendar = axis.first, axis.stop, axis.calendar
    try:
        if period and period.start:
            first = max(first, ordinal_of(parse_date(period.start, calendar), DAY, calendar))
        if period and period.end:
            stop = min(stop, ordinal_of(parse_date(period.end, calendar, end=True), DAY, calendar))
    except ValueError as error:
        what = f"{error} in the calendar {calendar}"
        raise InputError(Problem("period-date", what, where, fix="give a date of the products' calendar")) from None
    return TimeAxis(first, stop - first, DAY, calendar) if stop > first else None


def common(first: TimeAxis, other: TimeAxis) -> TimeAxis | None:
    """The days that both have; they must have one calendar."""
    start, stop = max(first.first, other.first), min(first.stop, other.stop)
    return TimeAxis(start, stop - start, DAY, first.calendar) if stop > start else None


def part(inner: TimeAxis, outer: TimeAxis) -> slice:
    """Positions in `outer` of the days of `inner`, all of which it has."""
    return slice(inner.first - outer.first, inner.stop - outer.first)


def told(axis: TimeAxis) -> str:
    return f"{axis.text(0)} to {axis.text(-1)}"
