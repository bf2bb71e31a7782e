"""Times of files: stored numbers to whole seconds in their calendar, and seconds to periods of the product's step.

A stamp may mark the start, the middle or the end of its period; a label is always the start.
"""

from __future__ import annotations

import functools
import re
from typing import Any

import cftime
import numpy as np
from numpy.typing import NDArray

from cube.axes import CALENDARS, EPOCH_YEAR, Step

Seconds = NDArray[np.int64]

_EPOCH = f"seconds since {EPOCH_YEAR}-01-01 00:00:00"
_UNIT_SECONDS = {
    "microsecond": 1e-6,
    "millisecond": 1e-3,
    "second": 1.0,
    "minute": 60.0,
    "hour": 3600.0,
    "day": 86400.0,
}
_SHORT = {"sec": "second", "s": "second", "min": "minute", "h": "hour", "hr": "hour", "d": "day"}
_DAY = 86400
_HOUR = 3600


class UndecodableTimeError(ValueError):
    """Time units without a fixed length, an unknown calendar, or values that are no times."""


def calendar_of(attribute: str) -> str:
    """The CF calendar that an attribute names; standard where there is none. Raises UndecodableTimeError."""
    name = attribute.strip().lower() or "standard"
    if name not in CALENDARS:
        raise UndecodableTimeError(f"calendar {attribute!r} is none of {', '.join(sorted(CALENDARS))}")
    return CALENDARS[name]


@functools.lru_cache(maxsize=4096)
def _reference(units: str, calendar: str) -> tuple[float, float]:
    """(seconds of one unit, seconds from the epoch to the reference date)."""
    match = re.match(r"\s*([A-Za-z]+)\s+since\s+(\S.*)", units, re.IGNORECASE)
    if not match:
        raise UndecodableTimeError(f"time units {units!r} are not of the form 'days since DATE'")
    word = match[1].lower()
    unit = _SHORT.get(word.removesuffix("s"), _SHORT.get(word, word.removesuffix("s")))
    if unit not in _UNIT_SECONDS:
        raise UndecodableTimeError(f"time units {units!r} have no fixed length")
    try:
        date = cftime.num2date(0, f"seconds since {match[2]}", calendar=calendar)
        return _UNIT_SECONDS[unit], float(cftime.date2num(date, _EPOCH, calendar=calendar))
    except (ValueError, OverflowError) as error:
        raise UndecodableTimeError(f"time units {units!r} hold no date of the calendar {calendar}") from error


def seconds(values: NDArray[Any], units: str, calendar: str) -> Seconds:
    """Stored times as whole seconds since 1970-01-01 in their calendar, shape as given.

    Times are rounded to the second; those within the precision of their type of a full hour, to that hour, because
    single precision drifts by minutes. Raises UndecodableTimeError.
    """
    if not np.isfinite(values).all():
        raise UndecodableTimeError("the time coordinate holds missing values")
    unit, origin = _reference(units, calendar)
    exact = values.astype(np.float64) * unit + origin
    slack = 0.5
    if values.dtype == np.float32 and values.size:
        slack = max(slack, min(4 * unit * float(np.spacing(np.abs(values).max())), _HOUR / 2 - 1))
    hours = np.rint(exact / _HOUR) * _HOUR
    return np.where(np.abs(exact - hours) <= slack, hours, np.rint(exact)).astype(np.int64)


def calendar_years(values: NDArray[Any], units: str) -> NDArray[np.int64] | None:
    """Calendar years from whole numbers of "years since DATE", None for other units.

    Reference year + value: a year of 365.2425 days would drift. Raises UndecodableTimeError for fractions of years.
    """
    match = re.match(r"\s*years?\s+since\s+(\d{1,4})-", units, re.IGNORECASE)
    if not match:
        return None
    if not np.isfinite(values).all() or (values != np.rint(values)).any():
        raise UndecodableTimeError(f"times in {units!r} are not whole years")
    return np.rint(values).astype(np.int64) + int(match[1])


def ordinals(moments: Seconds, step: Step, calendar: str) -> NDArray[np.int64]:
    """The period of `step` that holds each moment (floor), as ordinals of `cube.axes`; shape as given."""
    if step.unit == "day":
        return moments // _DAY
    if step.unit == "hour":
        return moments // (step.hours * _HOUR)
    days, inverse = np.unique(moments // _DAY, return_inverse=True)
    dates = cftime.num2date(days, f"days since {EPOCH_YEAR}-01-01", calendar=calendar)
    years = np.array([date.year - EPOCH_YEAR for date in dates], dtype=np.int64)
    if step.unit == "year":
        return years[inverse]
    months = np.array([date.month - 1 for date in dates], dtype=np.int64)
    return (years * 12 + months)[inverse]


def step_of_length(length: float) -> Step | None:
    """The step of periods of so many seconds, None where there is none such."""
    days = length / _DAY
    if 27.5 <= days <= 31.5:
        return Step("month")
    if 359.5 <= days <= 366.5:
        return Step("year")
    if round(length) == _DAY:
        return Step("day")
    hours = round(length / _HOUR)
    if 1 <= hours <= 12 and 24 % hours == 0 and abs(length - hours * _HOUR) <= 1:
        return Step("hour", hours)
    return None


def common_step(lengths: NDArray[np.int64]) -> Step | None:
    """The step that most of the lengths (seconds; differences of stamps or widths of bounds) stand for."""
    values, counts = np.unique(lengths[lengths > 0], return_counts=True)
    votes: dict[Step | None, int] = {}
    for value, count in zip(values, counts, strict=True):
        step = step_of_length(float(value))
        votes[step] = votes.get(step, 0) + int(count)
    # Equal votes go to the shorter step, whose gaps are then reported.
    return max(votes, key=lambda step: (votes[step], -_length(step)), default=None)


def _length(step: Step | None) -> float:
    if step is None:
        return np.inf
    return {"hour": float(step.hours), "day": 24.0, "month": 720.0, "year": 8760.0}[step.unit]
