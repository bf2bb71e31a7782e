"""Daily series that a notebook hands over: the days of their time axis."""

from __future__ import annotations

import numpy as np
import xarray as xr

from cube.axes import CALENDARS, EPOCH_YEAR, Step, TimeAxis, encode
from cube.errors import InputError, Problem


def array_of(given: object, where: str) -> xr.DataArray:
    """What was given for a series, where it is one. Raises InputError for all else."""
    if isinstance(given, xr.DataArray):
        return given
    if isinstance(given, xr.Dataset):
        daily = [str(name) for name, each in given.data_vars.items() if "time" in each.dims]
        names = daily or [str(name) for name in given.data_vars]
        fix = f'pass one variable, such as ds["{names[0]}"]' if names else "pass one variable"
        raise InputError(Problem("series-unusable", "a Dataset was given", where, fix=fix))
    if given is None:
        what = "nothing was given"
    else:
        what = f"{'an array' if isinstance(given, np.ndarray) else f'a {type(given).__name__}'} was given"
        what = f"{what}, which has no dates and no units"
    fix = 'pass a DataArray with dates and units, such as cube["rainfall"]["pr"]'
    raise InputError(Problem("series-unusable", what, where, fix=fix))


def days_of(series: xr.DataArray) -> TimeAxis:
    """The days of a decoded coordinate `time` of any CF calendar; times of the day do not matter.

    Raises InputError where days do not follow each other one by one.
    """
    if "time" not in series.dims or "time" not in series.coords or not series["time"].size:
        raise InputError(_unusable(series, "it has no coordinate time", "give daily values with their dates"))
    try:
        dates = series["time"].dt
        calendar = CALENDARS[str(dates.calendar)]
    except (AttributeError, TypeError, KeyError):
        raise InputError(
            _unusable(series, "its times are no dates of a known calendar", "decode them: `xarray.decode_cf`")
        ) from None
    if series["time"].isnull().any():
        raise InputError(_unusable(series, "some of its times are missing", "drop them, and give all days"))
    reserved = {"season", "months", "month", "day_of_year"} & set(map(str, series.dims))
    if reserved:
        name = ", ".join(sorted(reserved))
        raise InputError(_unusable(series, f"its dimension {name} has a name that metrics use", "rename it"))
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
