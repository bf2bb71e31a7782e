"""The standardised soil moisture index: a month's place among those of the reference, as a normal quantile."""

from __future__ import annotations

from typing import Any, Final

import numba
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

PLOTTING: Final = 0.44
"""Gringorten's constant a in (i - a) / (n + 1 - 2 a)."""
CLASSES: Final = (0.02, 0.05, 0.10, 0.20, 0.30)
"""Probabilities below which a month is of class D4, D3, D2, D1, D0."""
_TILE: Final = 32
"""Cells whose reference is turned to lie one after the other at a time, so that it stays in the cache."""


def reference_ranks(monthly: NDArray[np.float32]) -> NDArray[np.float32]:
    """The reference's values of each month in their order, shape (12, years, cells), missing ones last.

    monthly  shape (12 years, cells), from a January on
    """
    years = len(monthly) // 12
    table = monthly[: 12 * years].reshape(years, 12, monthly.shape[1])
    return np.ascontiguousarray(np.sort(table, axis=0).transpose(1, 0, 2))


def standardised(monthly: NDArray[np.float32], month: ArrayLike, reference: NDArray[np.float32]) -> NDArray[np.float32]:
    """The index of each month, shape (months, cells); missing where the value is, or the reference never varies.

    monthly    means, shape (months, cells)
    month      of the year, from 0, shape (months,)
    reference  as `reference_ranks` gives it

    The probability is (i - 0.44) / (n + 0.12) (Gringorten 1963), i being the rank among the n values of the reference:
    the mean rank of those that are equal, between two of them in proportion, and at most the first or the last. The
    least is 0.56 / (n + 0.12): 1.86 % for 30 years; with fewer than 28, class D4 (below 2 %) is out of reach.
    """
    found = np.full(monthly.shape, np.nan, np.float64)
    _probabilities(
        np.ascontiguousarray(monthly, np.float32),
        np.ascontiguousarray(month, np.int64),
        np.ascontiguousarray(reference, np.float32),
        found,
    )
    return np.asarray(ndtri(found), np.float32)


def drought_class(index: NDArray[np.float32]) -> NDArray[np.int8]:
    """0 for none, 1 to 5 for D0 to D4 by the percentiles of the US Drought Monitor, -1 where the index is missing."""
    limits = ndtri(np.array(CLASSES)).astype(np.float32)
    found = len(CLASSES) - np.searchsorted(limits, index, side="right")
    return np.where(np.isnan(index), -1, found).astype(np.int8)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _probabilities(monthly: Any, month: Any, reference: Any, found: Any) -> None:
    years, cells = reference.shape[1], reference.shape[2]
    tile = np.empty((len(reference), _TILE, years), np.float32)
    counts = np.empty((len(reference), _TILE), np.int64)
    for first in range(0, cells, _TILE):
        width = min(_TILE, cells - first)
        counts[:] = 0
        for of in range(len(reference)):
            for year in range(years):
                for cell in range(width):
                    value = reference[of, year, first + cell]
                    tile[of, cell, year] = value
                    counts[of, cell] += value == value
        for place in range(len(monthly)):
            of = month[place]
            for cell in range(width):
                value, count, ordered = monthly[place, first + cell], counts[of, cell], tile[of, cell]
                if count < 2 or value != value or not ordered[count - 1] > ordered[0]:
                    continue
                below, equal = 0, 0
                for year in range(years):  # A few dozen values are counted faster than searched.
                    below += ordered[year] < value
                    equal += ordered[year] <= value
                if equal > below:
                    rank = (below + 1 + equal) / 2.0
                elif below == 0:
                    rank = 1.0
                elif below == count:
                    rank = np.float64(count)
                else:
                    low, high = np.float64(ordered[below - 1]), np.float64(ordered[below])
                    rank = below + (value - low) / (high - low)
                found[place, first + cell] = (rank - PLOTTING) / (count + 1.0 - 2.0 * PLOTTING)
