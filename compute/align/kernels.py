"""The loops over days and cells, compiled.

All take `values` of shape (steps, source cells), float32 or float64, NaN where missing, and the rows of a sparse matrix
(`first`, `columns`, `share`; see `matrices.Weights`). Sums run in the order of the row, in double precision, so that a
result does not depend on which cells and steps are computed together.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

TOLERANCE = 1e-9
"""Shares that differ by less are equal, and less than this may be lacking to the valid share that is needed."""

_compiled = numba.njit(cache=True, nogil=True, error_model="numpy")


@_compiled
def average(
    values: NDArray[Any],
    first: NDArray[np.int32],
    columns: NDArray[np.int32],
    share: NDArray[np.float64],
    needed: float,
    out: NDArray[Any],
    counts: NDArray[np.int32],
) -> None:
    """`out` (steps, targets): the weighted mean of what is not missing, NaN where its shares add up to less than
    `needed`. `counts` (steps, targets): how many source cells were not missing; not written where it has no steps."""
    for step in range(values.shape[0]):
        for target in range(len(first) - 1):
            total = 0.0
            valid = 0.0
            count = 0
            for entry in range(first[target], first[target + 1]):
                value = values[step, columns[entry]]
                if value == value:
                    total += share[entry] * value
                    valid += share[entry]
                    count += 1
            enough = valid > 0.0 and valid >= needed - TOLERANCE
            out[step, target] = total / valid if enough else np.nan
            if len(counts):
                counts[step, target] = count


@_compiled
def majority(
    values: NDArray[Any],
    first: NDArray[np.int32],
    columns: NDArray[np.int32],
    share: NDArray[np.float64],
    needed: float,
    kinds: int,
    out: NDArray[Any],
) -> None:
    """`out` (steps, targets): the kind with the largest share, the lowest number of equal ones; NaN where the shares of
    all kinds add up to less than `needed`. `values` are numbers of kinds, 0 to `kinds` - 1."""
    areas = np.zeros(kinds)
    for step in range(values.shape[0]):
        for target in range(len(first) - 1):
            valid = 0.0
            for entry in range(first[target], first[target + 1]):
                value = values[step, columns[entry]]
                if value == value:
                    areas[int(value)] += share[entry]
                    valid += share[entry]
            largest = 0.0
            for entry in range(first[target], first[target + 1]):
                value = values[step, columns[entry]]
                if value == value:
                    largest = max(largest, areas[int(value)])
            best = np.nan
            enough = valid > 0.0 and valid >= needed - TOLERANCE
            for entry in range(first[target], first[target + 1]):
                value = values[step, columns[entry]]
                if value == value and enough and areas[int(value)] >= largest - TOLERANCE and not best <= value:
                    best = value
            for entry in range(first[target], first[target + 1]):
                value = values[step, columns[entry]]
                if value == value:
                    areas[int(value)] = 0.0
            out[step, target] = best


@_compiled
def nearest(
    values: NDArray[Any],
    first: NDArray[np.int32],
    columns: NDArray[np.int32],
    out: NDArray[Any],
    filled: NDArray[np.int8],
) -> None:
    """Puts into `out` (steps, targets), where it is NaN, the first value of its row that is not missing, and marks it
    in `filled` with 1; all else in `filled` becomes 0."""
    for step in range(values.shape[0]):
        for target in range(len(first) - 1):
            filled[step, target] = 0
            if out[step, target] == out[step, target]:
                continue
            for entry in range(first[target], first[target + 1]):
                value = values[step, columns[entry]]
                if value == value:
                    out[step, target] = value
                    filled[step, target] = 1
                    break
