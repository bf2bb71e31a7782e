"""Onset and cessation of the wet season of each year: extremes of accumulated rain less its mean in the reference.

delta is the sum of (rain - alpha) from `margin` days before the climatological start. Onset is the day after its lowest
day, cessation its highest day from there on (Liebmann et al. 2012, doi:10.1175/JCLI-D-11-00157.1; Dunning et al. 2016,
doi:10.1002/2016JD025428). Two differences from the published code: a year is evaluated wherever its window lies in the
series, which may be the first or the last year too; and length counts both days, which is one day more.

Windows are days of rain and stay so in years of 360 and 365 days alike: scaled and rounded, only one of them would
change, by one day.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numba
import numpy as np
from numpy.typing import ArrayLike, NDArray

from compute.seasons.reasons import INCOMPLETE, MISSING, MISSING_DAYS, NO_CESSATION, NO_ONSET, VALID

MARGIN_ONE: Final = 50
"""Days searched before the climatological start and after the end where there is one season a year; Dunning 2016."""
MARGIN_TWO: Final = 20
"""The same where there are two; Dunning 2016."""
TAIL: Final = 7
"""A lowest day among so many last days of the window is the next season's approach: they are left out. Dunning 2016."""
SPARE: Final = 8
LEAST: Final = 10
"""There is no onset once the window that remains, less SPARE days, is shorter than LEAST days; Dunning 2016."""
TIE: Final = 1e-9
"""Sums that differ by less than this share of a year's mean rain are equal: the first day of equal ones counts. It is
far above the rounding of the sums and far below any rain, so that no result hangs on rounding."""

_TILE, _RUN = 16, 64  # cells and days copied together: cells of a cache line, days that stay in cache


@dataclass(frozen=True)
class Seasons:
    """Seasons of label years, each array (years, 2, cells).

    onset, cessation  int16, first and last day of the season: days from 1 January of the label year, 0 for that day,
                      29 February left out; may be < 0 or beyond the year; MISSING where there is none
    length            int16, days: cessation - onset + 1
    flag              int8, values of `reasons`
    missing_days      int16, days of the window that were missing and filled; MISSING where there is no window
    """

    onset: NDArray[np.int16]
    cessation: NDArray[np.int16]
    length: NDArray[np.int16]
    flag: NDArray[np.int8]
    missing_days: NDArray[np.int16]


def evaluated(
    pr: ArrayLike,
    starts: ArrayLike,
    mean: ArrayLike,
    daily: ArrayLike,
    windows: tuple[ArrayLike, ArrayLike],
    flag: ArrayLike,
    missing: float,
    unfinished: bool = False,
) -> Seasons:
    """Seasons of label years.

    pr          rain of retained days, mm d-1, NaN where missing, shape (days, cells); taken as float32
    starts      position in them of 1 January of each year; any whole number, shape (years,)
    mean        alpha, mm d-1, shape (cells,)
    daily       mean rain of each day of the year, which missing days are filled with, mm d-1, shape (L, cells)
    windows     climatological first and last days, each (2, cells); the second season MISSING where there is one
    flag        shape (2, cells); where it is not VALID it is that of all years
    missing     largest share of a window's days that may be missing
    unfinished  evaluate windows that the end of the days cuts, and only those

    Raises ValueError for arrays of other shapes, and seasons that end before they start or are longer than a year.
    """
    rain = np.ascontiguousarray(pr, np.float32)
    january = np.ascontiguousarray(starts, np.int64)
    alpha, beta = np.ascontiguousarray(mean, np.float64), np.ascontiguousarray(daily, np.float32)
    first, last = (np.ascontiguousarray(each, np.int16) for each in windows)
    status = np.ascontiguousarray(flag, np.int8)
    cells = rain.shape[-1]
    told: dict[str, tuple[NDArray[Any], tuple[int, ...]]] = {
        "pr": (rain, (rain.shape[0], cells)),
        "starts": (january, (january.size,)),
        "mean": (alpha, (cells,)),
        "daily": (beta, (beta.shape[0], cells)),
        "start": (first, (2, cells)),
        "end": (last, (2, cells)),
        "flag": (status, (2, cells)),
    }
    wrong = [f"{name} {array.shape}, not {wanted}" for name, (array, wanted) in told.items() if array.shape != wanted]
    if wrong:
        raise ValueError(f"shapes do not fit: {'; '.join(wrong)}")
    reach = last.astype(np.int64) - first
    if (((reach < 0) | (reach > len(beta))) & (status == VALID)).any():
        raise ValueError("a climatological season ends before it starts, or is longer than a year")
    shape = (january.size, 2, cells)
    days = np.full((4, *shape), MISSING, np.int16)
    out = np.empty(shape, np.int8)
    _evaluate(rain, january, alpha, beta, first, last, status, missing, unfinished, days, out)
    return Seasons(days[0], days[1], days[2], out, days[3])


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _accumulate(rain: Any, known: Any, count: Any, alpha: Any, beta: Any, day: Any, delta: Any) -> Any:
    """Sums of (rain - alpha) over a window; how many of its known days are missing.

    Missing days, and those after the known ones, are filled with beta, from day of the year `day` on.
    """
    total, gaps = 0.0, 0
    for i in range(count):
        value = np.float64(rain[i]) if i < known else np.nan
        if np.isnan(value):
            value = np.float64(beta[day])
            gaps += 1
        total += value - alpha
        delta[i] = total
        day += 1
        if day == beta.size:
            day = 0
    return gaps - (count - known)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _lowest(delta: Any, count: Any, tie: Any) -> Any:
    """First of the lowest days that is not among the last of the window; -1 where none is."""
    while True:
        low = np.inf
        for i in range(count):
            if delta[i] < low:
                low = delta[i]
        day = 0
        while delta[day] > low + tie:
            day += 1
        if day < count - TAIL:
            return day
        count -= TAIL
        if count - SPARE < LEAST:
            return -1


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _highest(delta: Any, day: Any, count: Any, tie: Any) -> Any:
    """First of the highest days, from `day` on."""
    high = -np.inf
    for i in range(day, count):
        if delta[i] > high:
            high = delta[i]
    while delta[day] < high - tie:
        day += 1
    return day


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _season(delta: Any, known: Any, count: Any, tie: Any, unfinished: Any) -> Any:
    """Places of onset and cessation in the window, -1 for none, and the flag."""
    low = _lowest(delta, count, tie)
    if unfinished and (low < 0 or low >= known - TAIL):
        return -1, -1, INCOMPLETE
    if low < 0:
        return -1, -1, NO_ONSET
    high = _highest(delta, low, count, tie)
    if high == low:
        return -1, -1, INCOMPLETE if unfinished else NO_CESSATION
    if unfinished and high >= known - TAIL:
        return low + 1, -1, NO_CESSATION
    return low + 1, high, VALID


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _evaluate(
    pr: Any,
    starts: Any,
    alpha: Any,
    beta: Any,
    first: Any,
    last: Any,
    status: Any,
    missing: Any,
    unfinished: Any,
    out: Any,
    flag: Any,
) -> None:
    days, cells = pr.shape
    length = beta.shape[0]
    series, mean_day = np.empty((_TILE, days), np.float32), np.empty(length, np.float32)
    delta = np.empty(length + 1 + 2 * MARGIN_ONE)
    for corner in range(0, cells, _TILE):
        width = min(_TILE, cells - corner)
        for run in range(0, days, _RUN):
            for i in range(width):
                for day in range(run, min(run + _RUN, days)):
                    series[i, day] = pr[day, corner + i]
        for i in range(width):
            cell = corner + i
            margin = MARGIN_ONE if first[1, cell] == MISSING else MARGIN_TWO
            tie = TIE * alpha[cell] * length
            for day in range(length):
                mean_day[day] = beta[day, cell]
            for season in range(2):
                for year in range(starts.size):
                    flag[year, season, cell] = status[season, cell]
                if status[season, cell] != VALID:
                    continue
                before = np.int64(first[season, cell]) - margin
                count = np.int64(last[season, cell]) + margin - before
                for year in range(starts.size):
                    place = starts[year] + before
                    known = min(count, days - place)
                    if place < 0 or known < 1 or (known < count) != unfinished:
                        flag[year, season, cell] = INCOMPLETE
                        continue
                    rain = series[i, place : place + known]
                    gaps = _accumulate(rain, known, count, alpha[cell], mean_day, before % length, delta)
                    out[3, year, season, cell] = gaps
                    if gaps > missing * known:
                        flag[year, season, cell] = MISSING_DAYS
                        continue
                    onset, cessation, found = _season(delta, known, count, tie, unfinished)
                    flag[year, season, cell] = found
                    if onset >= 0:
                        out[0, year, season, cell] = before + onset
                    if cessation >= 0:
                        out[1, year, season, cell] = before + cessation
                        out[2, year, season, cell] = cessation - onset + 1
