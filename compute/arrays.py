"""Daily series that a notebook hands over: the days of their time axis."""

from __future__ import annotations

import numpy as np
import xarray as xr

from cube.axes import CALENDARS, EPOCH_YEAR, Step, TimeAxis, encode
from cube.errors import InputError, Problem


def days_of(series: xr.DataArray) -> TimeAxis:
    """The days of a decoded coordinate `time` of any CF calendar; times of the day do not matter.

    Raises InputError where days do not follow each other one by one.
    """
    if "time" not in series.coords or not series["time"].size:
        raise InputError(_unusable(series, "it has no coordinate time", "give daily values with their dates"))
    try:
        dates = series["time"].dt
        calendar = CALENDARS[str(dates.calendar)]
    except (AttributeError, TypeError, KeyError):
        raise InputError(
            _unusable(series, "its times are no dates of a known calendar", "decode them: `xarray.decode_cf`")
        ) from None
    years, months, day = (np.asarray(each.values, np.int64) for each in (dates.year, dates.month, dates.day))
    numbers = (years - EPOCH_YEAR) * 12 + months - 1
    unique, place = np.unique(numbers, return_inverse=True)
    found = encode(unique, Step("month"), calendar)[place] + day - 1
    if (np.diff(found) != 1).any():
        raise InputError(_unusable(series, "its days do not follow each other one by one", "give daily values"))
    return TimeAxis(int(found[0]), len(found), Step("day"), calendar)


def _unusable(series: xr.DataArray, what: str, fix: str) -> Problem:
    return Problem(
        "series-unusable", what, str(series.name or "data"), "numbers of every later day would be wrong", fix
    )
