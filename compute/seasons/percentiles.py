"""Percentiles of each day of the year, from the days around it in all years of a reference."""

from __future__ import annotations

from typing import Any, Final

import numba
import numpy as np
from numpy.typing import NDArray

_TILE: Final = 16
"""Cells that are turned to lie one after the other at a time: those of a cache line."""
_SHIFT: Final = 6
"""Places of the order are counted in groups of 2 to this power."""


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
    series = values[first : first + years * length]
    for low in range(0, values.shape[1], _TILE):
        # Adding 0 turns -0 to 0: then the order in which sorting leaves equal values cannot show.
        tile = np.ascontiguousarray(series[:, low : low + _TILE].T, np.float32) + np.float32(0.0)
        _percentiles(tile, np.argsort(tile, axis=1), length, percentile / 100.0, window, missing, low, found)
    return found


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _pool(rank: Any, known: Any, day: Any, length: Any, inside: Any, present: Any, groups: Any) -> Any:
    """Take the known values of a day of all years into the pool, or out of it; how many there are."""
    count = 0
    for place in range(day, len(rank), length):
        if rank[place] < known:
            present[rank[place]] = inside
            groups[rank[place] >> _SHIFT] += 1 if inside else -1
            count += 1
    return count


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _nth(number: Any, present: Any, groups: Any) -> Any:
    """Place among all values of that in the pool which has `number` others of the pool before it."""
    group = 0
    while groups[group] <= number:
        number -= groups[group]
        group += 1
    place = group << _SHIFT
    while number > 0 or not present[place]:
        number -= present[place]
        place += 1
    return place


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _percentiles(
    tile: Any, order: Any, length: Any, share: Any, window: Any, missing: Any, first: Any, found: Any
) -> None:
    """A pool is marks in the order of all values of the cell, NaN last, so that a day costs only what changes in it."""
    days = tile.shape[1]
    rank, present = np.empty(days, np.int64), np.empty(days, np.bool_)
    groups = np.empty((days >> _SHIFT) + 1, np.int64)
    for cell in range(len(tile)):
        known = 0
        for place in range(days):
            day = order[cell, place]
            rank[day] = place
            known += tile[cell, day] == tile[cell, day]
        if days - known > missing * days:
            continue
        present[:], groups[:] = False, 0
        count = 0
        for day in range(-window, window + 1):
            count += _pool(rank, known, day % length, length, True, present, groups)
        for day in range(length):
            if count > 0:
                at = (count - 1) * share
                low = min(int(at), count - 1)
                place = _nth(low, present, groups)
                lower = tile[cell, order[cell, place]]
                upper = lower
                if low + 1 < count:
                    place += 1
                    while not present[place]:
                        place += 1
                    upper = tile[cell, order[cell, place]]
                found[day, first + cell] = lower + (at - low) * (np.float64(upper) - lower)
            count -= _pool(rank, known, (day - window) % length, length, False, present, groups)
            count += _pool(rank, known, (day + window + 1) % length, length, True, present, groups)
