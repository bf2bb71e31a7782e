"""Means over periods of a daily series, of fixed days or of days of each cell."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numpy.typing import ArrayLike, NDArray


def period_means(
    values: NDArray[np.float32], first: ArrayLike, stop: ArrayLike, *, missing: float = 0.05
) -> NDArray[np.float32]:
    """Means over the days of periods, shape (periods, cells).

    values   shape (days, cells); NaN where missing
    first    position of the first day of each period, shape (periods,) or (periods, cells);  stop: after its last
    missing  share of a period's days that may be missing; with more, without days, and where some of a period lies
             outside the days, its mean is missing
    """
    begins, ends = (np.ascontiguousarray(each, np.int64) for each in (first, stop))
    shape = (len(begins), values.shape[1])
    begins, ends = (np.broadcast_to(each[:, None] if each.ndim == 1 else each, shape) for each in (begins, ends))
    found = np.full(shape, np.nan, np.float32)
    _means(np.ascontiguousarray(values, np.float32), begins, ends, missing, found)
    return found


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _means(values: Any, first: Any, stop: Any, missing: Any, found: Any) -> None:
    days, cells = values.shape
    total, known = np.empty(cells, np.float64), np.empty(cells, np.int64)
    for period in range(len(first)):
        total[:], known[:] = 0.0, 0
        # Days of a cell without a season, or with one outside the days, must not widen what is read for the others.
        low, high = days, 0
        for cell in range(cells):
            if first[period, cell] >= 0 and first[period, cell] < stop[period, cell] <= days:
                low, high = min(low, first[period, cell]), max(high, stop[period, cell])
        for day in range(low, high):
            for cell in range(cells):
                value = values[day, cell]
                inside = first[period, cell] <= day < stop[period, cell] and value == value
                total[cell] += value if inside else 0.0
                known[cell] += inside
        for cell in range(cells):
            length = stop[period, cell] - first[period, cell]
            whole = first[period, cell] >= 0 and stop[period, cell] <= days and length > 0
            if whole and known[cell] > 0 and length - known[cell] <= missing * length:
                found[period, cell] = total[cell] / known[cell]
