"""Wet seasons by anomalous accumulation of rain: its climatology, the regime and the climatological seasons.

Liebmann et al. 2012, doi:10.1175/JCLI-D-11-00157.1; Dunning et al. 2016, doi:10.1002/2016JD025428. alpha is mean rain,
beta_d that of day d of the year, gamma_d the sum of (beta - alpha) to day d, which is periodic. With one season a year
it goes from the day after the lowest gamma to the highest. With two they lie between the minima and maxima of smoothed
gamma. Choices where the papers leave one:

- There is one season where the amplitude of the second harmonic of beta_d is less than that of the first, compared as
  float32. The published code takes the spectrum of the whole series; cells near 1 may differ.
- gamma is smoothed as the periodic series that it is, so that no season is lost where an extended copy ends. Each
  minimum is paired with the next maximum, over New Year too.
- Of seasons equally long the one that starts later in the year comes first.

A small spread of onset says less where there are two seasons: the search has 20 days on either side, and an onset
anywhere in a window of n days scatters by n / sqrt(12) days, which is below 45 for windows shorter than 156 days.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numba
import numpy as np
from numpy.typing import ArrayLike, NDArray

from compute.seasons.anomalous_years import TIE, Seasons, evaluated
from compute.seasons.reasons import ARID, INDETERMINATE, MISSING, NO_DATA, NO_SEASON, VALID

__all__ = ["Climatology", "Seasons", "climatology", "in_progress", "seasons"]

SMOOTHING: Final = 31
"""Days of the moving mean of gamma, centred; Dunning 2016."""
NEIGHBOURS: Final = 4
"""A minimum or maximum of smoothed gamma is that of so many days on either side; Dunning 2016."""
SHORT_RAINS: Final = (151, 330)
"""First and last day, from 1 January of a year of 365 days, on which short rains start; scaled to other years."""

_TILE, _RUN = 16, 64  # cells and days copied together: cells of a cache line, days that stay in cache
_HALF = SMOOTHING // 2


@dataclass(frozen=True)
class Climatology:
    """Of the reference, by cell (arrays' last axis).

    mean         alpha, mm d-1, float64 (cells,)
    daily        beta_d, mm d-1, float32 (L, cells)
    ratio        A2/A1 of the harmonics of beta_d, float32 (cells,); NaN where neither is there
    start, end   climatological seasons, int16 (2, cells): day offsets from 1 January, end may be >= L; MISSING where
                 there is none. Index 0 is the first (annual, or the longer one of two), 1 the second.
    spread       standard deviation of onset over the reference's years (n - 1 below the line), days, float32 (2, cells)
    years        seasons of the reference that spread is made of, int16 (2, cells)
    short_rains  which season, 1 or 2, is the short rains of two, 0 where there is one season; int8 (cells,)
    flag         int8 (2, cells): VALID, NO_DATA, ARID, NO_SEASON, INDETERMINATE
    """

    mean: NDArray[np.float64]
    daily: NDArray[np.float32]
    ratio: NDArray[np.float32]
    start: NDArray[np.int16]
    end: NDArray[np.int16]
    spread: NDArray[np.float32]
    years: NDArray[np.int16]
    short_rains: NDArray[np.int8]
    flag: NDArray[np.int8]


def climatology(
    pr: ArrayLike, first: int, length: int, *, arid: float = 1.0, spread: float = 45.0, missing: float = 0.05
) -> Climatology:
    """Mean rain, regime and climatological seasons of the whole years from `first` on.

    pr       rain of the reference's retained days, mm d-1, NaN where missing, shape (days, cells); taken as float32
    first    position in pr of 1 January of the first whole year
    length   L, retained days of a year
    arid     least standard deviation of daily rain that has seasons, mm d-1
    spread   largest standard deviation of onset that is determinate, days; with fewer than two onsets none is
    missing  largest share of the days that may be missing, of the reference and of a season's window

    A cell is NO_DATA too where a day of the year has no rain in any year. `start` and `end` are given for seasons that
    are INDETERMINATE. Raises ValueError where no year is whole.
    """
    rain = np.ascontiguousarray(pr, np.float32)
    years = (rain.shape[0] - first) // length
    if first < 0 or years < 1:
        raise ValueError(f"no year of {length} days lies wholly in {rain.shape[0]} days from position {first} on")
    rain = rain[first : first + years * length]
    cells = rain.shape[1]
    mean, daily = np.full(cells, np.nan), np.full((length, cells), np.nan, np.float32)
    ratio = np.full(cells, np.nan, np.float32)
    start, end = (np.full((2, cells), MISSING, np.int16) for _ in range(2))
    flag = np.empty((2, cells), np.int8)
    angle = 2.0 * np.pi * np.arange(length) / length
    waves = np.stack([np.cos(angle), np.sin(angle), np.cos(2.0 * angle), np.sin(2.0 * angle)])
    _climate(rain, years, (arid, missing, TIE), waves, mean, daily, ratio, start, end, flag)

    onset = evaluated(rain, np.arange(years) * length, mean, daily, (start, end), flag, missing).onset
    scatter, number = _scatter(onset)
    flag[(flag == VALID) & ~(scatter <= spread)] = INDETERMINATE
    return Climatology(mean, daily, ratio, start, end, scatter, number, _short_rains(start, length), flag)


def seasons(pr: ArrayLike, starts: ArrayLike, climate: Climatology, *, missing: float = 0.05) -> Seasons:
    """Onset, cessation and length in the label years whose whole window lies in the days; INCOMPLETE in others.

    pr       rain of retained days, mm d-1, NaN where missing, shape (days, cells); taken as float32
    starts   position in pr of 1 January of each label year; may be negative or beyond the end, shape (years,)
    missing  largest share of a window's days that may be missing; they are filled with the reference's mean of the day

    All years have the flag of a season that is not VALID in the reference. Raises ValueError for arrays of other
    shapes.
    """
    return evaluated(pr, starts, climate.mean, climate.daily, (climate.start, climate.end), climate.flag, missing)


def in_progress(pr: ArrayLike, starts: ArrayLike, climate: Climatology, *, missing: float = 0.05) -> Seasons:
    """What the days so far say of the label years whose window is cut by the end of the days. Provisional.

    The days to come are taken to have the reference's mean rain, and the season is found as in a whole window. An onset
    or cessation counts only where at least 7 days after the lowest or highest day have been seen: else the mean would
    have made it. Flags: VALID where both are told; NO_CESSATION, with an onset, where it goes on; INCOMPLETE
    where it has not begun, or where its window does not reach the end of the days.

    Arguments and errors as of `seasons`; `missing` is a share of the days so far.
    """
    windows = climate.start, climate.end
    return evaluated(pr, starts, climate.mean, climate.daily, windows, climate.flag, missing, unfinished=True)


def _scatter(onset: NDArray[np.int16]) -> tuple[NDArray[np.float32], NDArray[np.int16]]:
    """Standard deviation and number of onsets, each (2, cells); NaN for fewer than two."""
    found = onset != MISSING
    days = np.where(found, onset, 0).astype(np.int64)
    # Sums of whole numbers are exact, however numpy groups them.
    number, total, squares = found.sum(axis=0), days.sum(axis=0), (days * days).sum(axis=0)
    above, below = number * squares - total * total, number * (number - 1)
    variance = np.divide(above, below, out=np.full(above.shape, np.nan), where=below > 0)
    return np.sqrt(variance).astype(np.float32), number.astype(np.int16)


def _short_rains(start: NDArray[np.int16], length: int) -> NDArray[np.int8]:
    """1 or 2 where there are two seasons, else 0."""
    day = start.astype(np.int64) * 365
    one, two = (day >= SHORT_RAINS[0] * length) & (day <= SHORT_RAINS[1] * length)
    first = np.where(one & two, start[0] > start[1], one)
    return np.where(start[1] == MISSING, 0, np.where(first, 1, 2)).astype(np.int8)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _mean_year(series: Any, years: Any, missing: Any, beta: Any, count: Any, squares: Any) -> Any:
    """Mean of each day of the year into beta; whether there is enough, and the standard deviation of all days."""
    # Sums by day of the year, also of all days: such loops become vector instructions.
    length = beta.size
    beta[:] = 0.0
    squares[:] = 0.0
    count[:] = 0
    for year in range(years):
        for day in range(length):
            value = np.float64(series[year * length + day])
            seen = value == value
            beta[day] += value if seen else 0.0
            count[day] += 1 if seen else 0
    number, least = count.sum(), count.min()
    if least == 0 or years * length - number > missing * (years * length):
        return False, 0.0
    middle = beta.sum() / number
    for year in range(years):
        for day in range(length):
            off = np.float64(series[year * length + day]) - middle
            squares[day] += off * off if off == off else 0.0
    for day in range(length):
        beta[day] /= count[day]
    return True, np.sqrt(squares.sum() / number)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _harmonics(beta: Any, waves: Any, tie: Any) -> Any:
    """Amplitude of the second harmonic by that of the first; amplitudes that are but rounding are 0."""
    a, b, c, d = 0.0, 0.0, 0.0, 0.0
    for day in range(beta.size):
        a += beta[day] * waves[0, day]
        b += beta[day] * waves[1, day]
        c += beta[day] * waves[2, day]
        d += beta[day] * waves[3, day]
    first, second = np.sqrt(a * a + b * b), np.sqrt(c * c + d * d)
    return np.float32((second if second > tie else 0.0) / (first if first > tie else 0.0))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _one_season(gamma: Any, tie: Any) -> Any:
    """First and last day of the only season; MISSING where gamma is flat."""
    low, high = gamma.min(), gamma.max()
    if high - low <= tie:
        return MISSING, MISSING
    start, end = 0, 0
    while gamma[start] > low + tie:
        start += 1
    while gamma[end] < high - tie:
        end += 1
    start += 1
    if start == gamma.size:
        return 0, end
    return start, end + gamma.size if end < start else end


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _extremes(smooth: Any, tie: Any, kind: Any) -> None:
    """kind: -1 on days that are the first lowest of those around them, 1 on the first highest, 0 on others."""
    length = smooth.size
    for day in range(length):
        low, high = smooth[day], smooth[day]
        for step in range(-NEIGHBOURS, NEIGHBOURS + 1):
            value = smooth[(day + step) % length]
            low, high = min(low, value), max(high, value)
        lowest, highest = smooth[day] <= low + tie, smooth[day] >= high - tie
        for step in range(-NEIGHBOURS, 0):
            value = smooth[(day + step) % length]
            lowest = lowest and value > low + tie
            highest = highest and value < high - tie
        kind[day] = (1 if highest else 0) - (1 if lowest else 0)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _two_seasons(gamma: Any, tie: Any, wrapped: Any, smooth: Any, kind: Any, reach: Any) -> Any:
    """First and last days of the longest and the next season that ends on another day; MISSING for those not there."""
    length = gamma.size
    for day in range(wrapped.size):
        wrapped[day] = gamma[(day - _HALF) % length]
    for day in range(length):
        total = 0.0
        for step in range(SMOOTHING):
            total += wrapped[day + step]
        smooth[day] = total / SMOOTHING
    _extremes(smooth, tie, kind)
    following = -1
    for day in range(2 * length - 1, -1, -1):
        if kind[day % length] == 1:
            following = day
        if day < length:
            reach[day] = following - day if kind[day] == -1 and following >= 0 else 0
    one, two = 0, 0
    for day in range(length):
        if reach[day] > 0 and reach[day] >= reach[one]:
            one = day
    if reach[one] == 0:
        return MISSING, MISSING, MISSING, MISSING
    end, found = one + reach[one], 0
    for day in range(length):
        if reach[day] > 0 and (day + reach[day] - end) % length != 0 and reach[day] >= found:
            two, found = day, reach[day]
    if found == 0:
        return one, end, MISSING, MISSING
    return one, end, two, two + found


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _climate(
    pr: Any,
    years: Any,
    limits: Any,
    waves: Any,
    mean: Any,
    daily: Any,
    ratio: Any,
    start: Any,
    end: Any,
    flag: Any,
) -> None:
    arid, missing, share = limits
    days, cells = pr.shape
    length = waves.shape[1]
    series = np.empty((_TILE, days), np.float32)
    beta, gamma, smooth = np.empty(length), np.empty(length), np.empty(length)
    wrapped = np.empty(length + SMOOTHING - 1)
    count, kind, reach = np.empty(length, np.int64), np.empty(length, np.int64), np.empty(length, np.int64)
    for corner in range(0, cells, _TILE):
        width = min(_TILE, cells - corner)
        for run in range(0, days, _RUN):
            for i in range(width):
                for day in range(run, min(run + _RUN, days)):
                    series[i, day] = pr[day, corner + i]
        for i in range(width):
            cell = corner + i
            enough, deviation = _mean_year(series[i], years, missing, beta, count, smooth)
            if not enough:
                flag[:, cell] = NO_DATA
                continue
            alpha, total = 0.0, 0.0
            for day in range(length):
                alpha += beta[day]
                daily[day, cell] = beta[day]
            alpha /= length
            for day in range(length):
                total += beta[day] - alpha
                gamma[day] = total
            tie = share * alpha * length
            mean[cell] = alpha
            ratio[cell] = _harmonics(beta, waves, tie)
            if deviation < arid:
                flag[:, cell] = ARID
                continue
            first, last, second, stop = MISSING, MISSING, MISSING, MISSING
            if not ratio[cell] < 1.0:
                first, last, second, stop = _two_seasons(gamma, tie, wrapped, smooth, kind, reach)
            if first == MISSING:
                first, last = _one_season(gamma, tie)
            start[0, cell], end[0, cell] = first, last
            start[1, cell], end[1, cell] = second, stop
            flag[0, cell] = NO_SEASON if first == MISSING else VALID
            flag[1, cell] = NO_SEASON if second == MISSING else VALID
