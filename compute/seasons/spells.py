"""Days below a threshold and their runs, in periods of a daily series.

Days are the outer loop and cells the inner one, in tiles whose state stays in the cache: each value is read once, in
the order in which it lies in memory, and the compiler compares many cells at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numba
import numpy as np
from numpy.typing import ArrayLike, NDArray

TILE: Final = 8192
"""Cells whose state is kept at a time: 20 bytes each, for a cache of 256 KiB. Long rows of cells are read fastest."""


@dataclass(frozen=True)
class DryDays:
    """Counts of periods, each int16 of shape (periods, cells).

    days     days strictly below the threshold
    longest  the longest run of them
    spells   runs of at least so many days as was asked for
    valid    days with values
    """

    days: NDArray[np.int16]
    longest: NDArray[np.int16]
    spells: NDArray[np.int16]
    valid: NDArray[np.int16]


def dry_spells(
    values: NDArray[np.float32],
    first: ArrayLike,
    stop: ArrayLike,
    threshold: np.float32 | float | NDArray[np.float32],
    *,
    spell: int = 1,
    day: ArrayLike | None = None,
) -> DryDays:
    """Days below a threshold in periods, and their runs.

    values     shape (days, cells), float32, NaN where missing
    first      position of the first day of each period, shape (periods,);  stop: of the day after its last. Periods may
               overlap and leave gaps; an empty one counts nothing
    threshold  in the units of the values: one for all, or of each day of the year and cell, shape (year, cells)
    spell      least length of a run that is counted, days
    day        row of the threshold that each day of the values takes, shape (days,); with a threshold of a year only

    Runs are cut at the ends of a period and by missing days. Raises ValueError where shapes or positions do not fit,
    and for a spell of less than one day.
    """
    begins, ends = (np.ascontiguousarray(each, np.int64).ravel() for each in (first, stop))
    if values.ndim != 2 or begins.shape != ends.shape:
        raise ValueError("values are (days, cells); first and stop have one position a period")
    if len(begins) and (begins.min() < 0 or ends.max() > len(values)):
        raise ValueError("a period lies outside the days")
    if spell < 1:
        raise ValueError("a spell has one day or more")
    series = np.ascontiguousarray(values, np.float32)
    cells = series.shape[1]
    out = [np.zeros((len(begins), cells), np.int16) for _ in range(4)]
    if day is None:
        _count(series, begins, ends, np.float32(threshold), np.int32(spell), *out)
    else:
        limits = np.ascontiguousarray(threshold, np.float32)
        rows = np.ascontiguousarray(day, np.int64)
        if limits.ndim != 2 or limits.shape[1] != cells or len(rows) != len(series):
            raise ValueError("a threshold of the year is (year, cells), with a row for each day of the values")
        if len(rows) and (rows.min() < 0 or rows.max() >= len(limits)):
            raise ValueError("a day has a row that the threshold does not have")
        _count_by_day(series, begins, ends, limits, rows, np.int32(spell), *out)
    return DryDays(*out)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _count(
    values: Any, first: Any, stop: Any, threshold: Any, spell: Any, days: Any, longest: Any, spells: Any, valid: Any
) -> None:
    # Rows of one array, 32 bits wide like the values: the compiler then knows that they do not overlap, and takes many
    # cells at once. Four days at a time, so that the state is not fetched and stored for each.
    state = np.empty((5, TILE), np.int32)
    run, counted, most, rows, known = state[0], state[1], state[2], state[3], state[4]
    one = np.int32(1)
    for low in range(0, values.shape[1], TILE):
        width = min(TILE, values.shape[1] - low)
        for period in range(len(first)):
            state[:, :width] = 0
            index = first[period]
            while index + 3 < stop[period]:
                one_day, two_days = values[index, low : low + width], values[index + 1, low : low + width]
                three_days, four_days = values[index + 2, low : low + width], values[index + 3, low : low + width]
                for cell in range(width):
                    w, x, y, z = one_day[cell], two_days[cell], three_days[cell], four_days[cell]
                    dry_w, dry_x = np.int32(w < threshold), np.int32(x < threshold)
                    dry_y, dry_z = np.int32(y < threshold), np.int32(z < threshold)
                    run_w = (run[cell] + one) * dry_w
                    run_x = (run_w + one) * dry_x
                    run_y = (run_x + one) * dry_y
                    run_z = (run_y + one) * dry_z
                    run[cell] = run_z
                    counted[cell] += dry_w + dry_x + dry_y + dry_z
                    most[cell] = max(max(most[cell], max(run_w, run_x)), max(run_y, run_z))
                    rows[cell] += np.int32(run_w == spell) + np.int32(run_x == spell)
                    rows[cell] += np.int32(run_y == spell) + np.int32(run_z == spell)
                    known[cell] += np.int32(w == w) + np.int32(x == x) + np.int32(y == y) + np.int32(z == z)
                index += 4
            while index < stop[period]:
                today = values[index, low : low + width]
                for cell in range(width):
                    dry = np.int32(today[cell] < threshold)
                    here = (run[cell] + one) * dry
                    run[cell] = here
                    counted[cell] += dry
                    most[cell] = max(most[cell], here)
                    rows[cell] += np.int32(here == spell)
                    known[cell] += np.int32(today[cell] == today[cell])
                index += 1
            days[period, low : low + width] = counted[:width]
            longest[period, low : low + width] = most[:width]
            spells[period, low : low + width] = rows[:width]
            valid[period, low : low + width] = known[:width]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _count_by_day(
    values: Any,
    first: Any,
    stop: Any,
    thresholds: Any,
    day: Any,
    spell: Any,
    days: Any,
    longest: Any,
    spells: Any,
    valid: Any,
) -> None:
    state = np.empty((5, TILE), np.int32)
    run, counted, most, rows, known = state[0], state[1], state[2], state[3], state[4]
    one = np.int32(1)
    for low in range(0, values.shape[1], TILE):
        width = min(TILE, values.shape[1] - low)
        for period in range(len(first)):
            state[:, :width] = 0
            for index in range(first[period], stop[period]):
                today, limit = values[index, low : low + width], thresholds[day[index], low : low + width]
                for cell in range(width):
                    dry = np.int32(today[cell] < limit[cell])
                    here = (run[cell] + one) * dry
                    run[cell] = here
                    counted[cell] += dry
                    most[cell] = max(most[cell], here)
                    rows[cell] += np.int32(here == spell)
                    known[cell] += np.int32(today[cell] == today[cell])
            days[period, low : low + width] = counted[:width]
            longest[period, low : low + width] = most[:width]
            spells[period, low : low + width] = rows[:width]
            valid[period, low : low + width] = known[:width]
