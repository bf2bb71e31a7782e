"""Percentiles of each day of the year, from the days around it in all years of a reference."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray


def percentile_by_day(
    values: NDArray[np.float32], first: int, length: int, percentile: float, *, window: int = 15, missing: float = 0.05
) -> NDArray[np.float32]:
    """The percentile of each day of the year, shape (length, cells), in the units of the values.

    values      shape (days, cells), retained days of the reference; NaN where missing
    first       position of 1 January of the first whole year;  length: days of a year
    percentile  0 to 100, by linear interpolation between the values in their order, as numpy does
    window      days before and after that are pooled with each day, in all years; the year is taken as a circle
    missing     share of the reference's days that may be missing; with more the cell is missing

    Raises ValueError where there is no whole year, or the window is longer than the year.
    """
    years = (len(values) - first) // length
    if years < 1 or 2 * window + 1 > length:
        raise ValueError("a reference has one whole year or more, and a window is shorter than a year")
    found = np.full((length, values.shape[1]), np.nan, np.float32)
    series = np.ascontiguousarray(values[first : first + years * length], np.float32)
    _percentiles(series, years, length, percentile / 100.0, window, missing, found)
    return found


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _sorted_day(series: Any, day: Any, cell: Any, years: Any, length: Any, out: Any) -> Any:
    """Known values of a day of all years in `out`, in their order; how many there are."""
    count = 0
    for year in range(years):
        value = series[year * length + day, cell]
        if value == value:
            place = count
            while place > 0 and out[place - 1] > value:
                out[place] = out[place - 1]
                place -= 1
            out[place] = value
            count += 1
    return count


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _exchange(pool: Any, count: Any, gone: Any, lost: Any, new: Any, gained: Any, out: Any) -> Any:
    """The ordered pool without the values that are gone and with the new ones, in `out`; how many there are."""
    at, left, right = 0, 0, 0
    for place in range(count):
        value = pool[place]
        if left < lost and value == gone[left]:
            left += 1
            continue
        while right < gained and new[right] < value:
            out[at] = new[right]
            right += 1
            at += 1
        out[at] = value
        at += 1
    while right < gained:
        out[at] = new[right]
        right += 1
        at += 1
    return at


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _percentiles(series: Any, years: Any, length: Any, share: Any, window: Any, missing: Any, found: Any) -> None:
    size = years * (2 * window + 2)
    pool, other = np.empty(size, np.float32), np.empty(size, np.float32)
    gone, new = np.empty(years, np.float32), np.empty(years, np.float32)
    for cell in range(series.shape[1]):
        known = 0
        for day in range(len(series)):
            known += series[day, cell] == series[day, cell]
        if len(series) - known > missing * len(series):
            continue
        count = 0
        for day in range(-window, window + 1):
            gained = _sorted_day(series, day % length, cell, years, length, new)
            count = _exchange(pool, count, gone, 0, new, gained, other)
            pool, other = other, pool
        for day in range(length):
            if count > 0:
                at = (count - 1) * share
                low = min(int(at), count - 1)
                high = min(low + 1, count - 1)
                found[day, cell] = pool[low] + (at - low) * (np.float64(pool[high]) - pool[low])
            lost = _sorted_day(series, (day - window) % length, cell, years, length, gone)
            gained = _sorted_day(series, (day + window + 1) % length, cell, years, length, new)
            count = _exchange(pool, count, gone, lost, new, gained, other)
            pool, other = other, pool
