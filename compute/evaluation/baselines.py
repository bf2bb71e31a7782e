"""What is known of a reference without any model: the mean of the season, and the year before.

Neither sees the year that it predicts, as a model that never sees the reference does not: so yesterday's value is no
baseline here.
"""

from __future__ import annotations

import itertools
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from compute.evaluation.days import Seasons

Values = NDArray[np.float32]

HALF_WINDOW = 7
"""Days before and after that are taken too, so that few years give a smooth season."""

CLIMATOLOGY = (
    f"mean of the reference over the day of the season and {HALF_WINDOW} days before and after, in all years but the "
    "one that the day lies in"
)
PERSISTENCE = "value of the reference on the same day one year before"


def climatology(reference: Values, seasons: Seasons, known: slice, wanted: slice, length: int) -> Values:
    """The mean of the season without the own year, shape (wanted days, cells), NaN where no other year has values.

    reference  shape (days, cells)
    seasons    of its days
    known      positions of the days that the mean is made of
    wanted     positions of the days to predict
    length     how many days of the season are told apart
    """
    out = np.empty((wanted.stop - wanted.start, reference.shape[1]), np.float32)
    sums, counts = np.zeros((2, length, reference.shape[1]))
    _add(reference, seasons.day, known.start, known.stop, 1.0, sums, counts)
    years = seasons.year[wanted]
    edges = [0, *(np.flatnonzero(np.diff(years)) + 1).tolist(), len(years)]
    for first, stop in itertools.pairwise(edges):
        # A year is contiguous, and some of its known days may lie before or after those that are wanted.
        own = np.flatnonzero(seasons.year[known] == years[first]) + known.start
        others, left = sums.copy(), counts.copy()
        if len(own):
            _add(reference, seasons.day, int(own[0]), int(own[-1]) + 1, -1.0, others, left)
        days = seasons.day[wanted][first:stop]
        _windowed(others, left, days, out[first:stop])
    return out


def persistence(reference: Values, seasons: Seasons, first: int, wanted: slice) -> Values:
    """The value of the same day one year before, shape (wanted days, cells), NaN before the first such day.

    reference  shape (days, cells)
    first      ordinal of its first day
    wanted     positions of the days to predict
    """
    before = seasons.before[wanted] - first
    out = np.full((len(before), reference.shape[1]), np.nan, np.float32)
    known = before >= 0
    out[known] = reference[before[known]]
    return out


_compiled = numba.njit(cache=True, nogil=True, error_model="numpy")


@_compiled
def _add(values: Any, day: Any, start: int, stop: int, sign: float, sums: Any, counts: Any) -> None:
    """Add `sign` times the values of days [start, stop) to sums and counts by day of the season."""
    for position in range(start, stop):
        row, total, count = values[position], sums[day[position]], counts[day[position]]
        for cell in range(len(row)):
            known = row[cell] == row[cell]
            total[cell] += sign * np.float64(row[cell]) if known else 0.0
            count[cell] += sign if known else 0.0


@_compiled
def _windowed(sums: Any, counts: Any, days: Any, out: Any) -> None:
    """The mean over a circular window around each of `days`, which are in order."""
    length, cells = sums.shape
    total, count = np.zeros(cells), np.zeros(cells)
    at = days[0]
    for shift in range(-HALF_WINDOW, HALF_WINDOW + 1):
        _slide(sums, counts, (at + shift) % length, 1.0, total, count)
    for position in range(len(days)):
        while at != days[position]:
            _slide(sums, counts, (at - HALF_WINDOW) % length, -1.0, total, count)
            at = (at + 1) % length
            _slide(sums, counts, (at + HALF_WINDOW) % length, 1.0, total, count)
        row = out[position]
        for cell in range(cells):
            row[cell] = total[cell] / count[cell] if count[cell] > 0.5 else np.nan


@_compiled
def _slide(sums: Any, counts: Any, at: int, sign: float, total: Any, count: Any) -> None:
    """Add `sign` times one day of the season."""
    added, number = sums[at], counts[at]
    for cell in range(len(total)):
        total[cell] += sign * added[cell]
        count[cell] += sign * number[cell]
