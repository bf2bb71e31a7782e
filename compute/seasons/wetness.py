"""The soil wet season: the time in which soil moisture availability (beta) stays above a threshold.

This project's own definition. A season year begins where the 31-day circular mean of the reference's beta is least: of
equally low days on the first from 1 January, so that a flat bottom over New Year does not begin a year early. A second
minimum begins a second season: the first of the lowest days within 30 on both sides, 60 or more days from the first
minimum, with a rise of a tenth of the year's range between the two on both sides.

A season's onset is the first day of the first row of `run` or more days with beta at or above the threshold, its
cessation the last day before the first later row of `run` or more days below it, both rows wholly within the season
year. A row that is under way when the season year begins counts from its first day. Where nothing follows the onset,
and it is the first day of the season year, the soil was never dry; else the season has an onset and no cessation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numba
import numpy as np
from numpy.typing import ArrayLike, NDArray

from compute.seasons.reasons import (
    INCOMPLETE,
    MISSING,
    MISSING_DAYS,
    NEVER_DRY,
    NEVER_WET,
    NO_CESSATION,
    NO_DATA,
    NO_SEASON,
    VALID,
)

SMOOTH: Final = 31
"""Days of the circular mean."""
APART: Final = 60
"""Least days between two minima that make two seasons."""
RISE: Final = 0.1
"""Of the range of the smoothed year: how far it must rise above a second minimum on both sides, towards the first."""
_TILE: Final = 64


@dataclass(frozen=True)
class WetClimatology:
    """Of the reference, by cell.

    daily  mean beta of each day of the year, float32 (length, cells)
    start  first day of the season year, from 1 January, int16 (2, cells): the lowest minimum, then a second one
    flag   int8 (2, cells): VALID, NO_DATA, or NO_SEASON where there is no second minimum
    """

    daily: NDArray[np.float32]
    start: NDArray[np.int16]
    flag: NDArray[np.int8]


@dataclass(frozen=True)
class WetSeasons:
    """onset, cessation: first and last day, from 1 January of the label year, int16 (years, 2, cells); length in days:
    cessation - onset + 1; flag: int8, see `reasons`."""

    onset: NDArray[np.int16]
    cessation: NDArray[np.int16]
    length: NDArray[np.int16]
    flag: NDArray[np.int8]


def wet_climatology(beta: NDArray[np.float32], first: int, length: int, *, missing: float = 0.05) -> WetClimatology:
    """The reference's year and its minima.

    beta    shape (days, cells), 1, retained days; NaN where missing
    first   position of 1 January of the first whole year;  length: days of a year
    missing share of the days that may be missing

    Raises ValueError where there is no whole year.
    """
    years = (len(beta) - first) // length
    if years < 1:
        raise ValueError("a reference has one whole year or more")
    table = beta[first : first + years * length].reshape(years, length, -1)
    seen = np.zeros(table.shape[1:], np.int64)
    total = np.zeros(table.shape[1:], np.float64)
    for year in table:
        known = ~np.isnan(year)
        seen += known
        total += np.where(known, year, np.float32(0))
    with np.errstate(invalid="ignore", divide="ignore"):
        daily = total / seen
    sound = (seen.sum(axis=0) >= (1 - missing) * years * length) & (seen > 0).all(axis=0)
    start = np.full((2, beta.shape[1]), MISSING, np.int16)
    flag = np.full((2, beta.shape[1]), NO_DATA, np.int8)
    _minima(np.ascontiguousarray(daily.T), sound, start, flag)
    daily[:, ~sound] = np.nan
    return WetClimatology(daily.astype(np.float32), start, flag)


def wet_seasons(
    beta: NDArray[np.float32],
    starts: ArrayLike,
    climate: WetClimatology,
    *,
    threshold: float = 0.5,
    run: int = 10,
    missing: float = 0.05,
) -> WetSeasons:
    """Onset and cessation of each season year.

    beta       shape (days, cells), 1, retained days; a missing day takes the reference's mean of that day of the year
    starts     position in beta of 1 January of each label year, shape (years,); may lie outside beta
    threshold  beta that is wet;  run: days in a row;  missing: share of a season year's days that may be missing
    """
    return _evaluated(beta, starts, climate, (threshold, missing), run, unfinished=False)


def wet_in_progress(
    beta: NDArray[np.float32],
    starts: ArrayLike,
    climate: WetClimatology,
    *,
    threshold: float = 0.5,
    run: int = 10,
    missing: float = 0.05,
) -> WetSeasons:
    """What the days so far say of season years that are cut by the end of beta; others are INCOMPLETE, and so is a
    season that has not begun. NO_CESSATION: it is going on."""
    return _evaluated(beta, starts, climate, (threshold, missing), run, unfinished=True)


def _evaluated(
    beta: NDArray[np.float32],
    starts: ArrayLike,
    climate: WetClimatology,
    limits: tuple[float, float],
    run: int,
    *,
    unfinished: bool,
) -> WetSeasons:
    begins = np.ascontiguousarray(starts, np.int64)
    shape = (len(begins), 2, beta.shape[1])
    onset, cessation, length = (np.full(shape, MISSING, np.int16) for _ in range(3))
    flag = np.full(shape, INCOMPLETE, np.int8)
    _evaluate(
        np.ascontiguousarray(beta, np.float32),
        begins,
        np.ascontiguousarray(climate.daily, np.float32),
        climate.start,
        climate.flag,
        np.float32(limits[0]),
        limits[1],
        run,
        unfinished,
        onset,
        cessation,
        length,
        flag,
    )
    return WetSeasons(onset, cessation, length, flag)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _minima(daily: Any, sound: Any, start: Any, flag: Any) -> None:
    """daily: (cells, length)."""
    length = daily.shape[1]
    smooth = np.empty(length, np.float64)
    half = SMOOTH // 2
    around = np.empty(length + SMOOTH - 1, np.float64)
    for cell in range(len(daily)):
        if not sound[cell]:
            continue
        for day in range(len(around)):
            around[day] = daily[cell, (day - half) % length]
        smooth[:] = 0.0
        for step in range(SMOOTH):
            for day in range(length):
                smooth[day] += around[day + step]
        for day in range(length):
            # Sums of equal values in another order must not make minima.
            smooth[day] = round(smooth[day] / SMOOTH, 12)
        low = np.argmin(smooth)
        start[0, cell], flag[0, cell], flag[1, cell] = low, VALID, NO_SEASON
        wanted = RISE * (smooth.max() - smooth[low])
        best, second = np.inf, -1
        for step in range(APART, length - APART + 1):
            day = (low + step) % length
            here = smooth[day]
            least = True
            for beside in range(1, APART // 2 + 1):
                # The first day of a flat bottom.
                least = smooth[(day - beside) % length] > here and smooth[(day + beside) % length] >= here
                if not least:
                    break
            if not least or wanted <= 0.0:
                continue
            before, after = here, here
            for between in range(step):
                before = max(before, smooth[(low + between) % length])
            for between in range(step, length):
                after = max(after, smooth[(low + between) % length])
            if min(before, after) - here >= wanted and here < best:
                best, second = here, day
        if second >= 0:
            start[1, cell], flag[1, cell] = second, VALID


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _season(row: Any, count: Any, threshold: Any, run: Any) -> Any:
    """First day of the first row of wet days, -1 for none, and of the first later row of dry days, -1 for none."""
    onset, dry, rows = -1, -1, 0
    for day in range(count):
        wet = row[day] >= threshold
        counts = wet if onset < 0 else not wet
        rows = rows + 1 if counts else 0
        if rows == run:
            if onset < 0:
                onset, rows = day - run + 1, 0
            else:
                dry = day - run + 1
                break
    return onset, dry


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _evaluate(
    beta: Any,
    starts: Any,
    daily: Any,
    start: Any,
    status: Any,
    threshold: Any,
    missing: Any,
    run: Any,
    unfinished: Any,
    onset: Any,
    cessation: Any,
    length: Any,
    flag: Any,
) -> None:
    days, cells = beta.shape
    year_length = len(daily)
    series = np.empty((_TILE, days), np.float32)
    row = np.empty(year_length, np.float32)
    for low in range(0, cells, _TILE):
        width = min(_TILE, cells - low)
        for day in range(days):
            for cell in range(width):
                series[cell, day] = beta[day, low + cell]
        for cell in range(width):
            place = low + cell
            for season in range(2):
                if status[season, place] != VALID:
                    flag[:, season, place] = status[season, place]
                    continue
                first = np.int64(start[season, place])
                span = np.int64(year_length)
                if status[1, place] == VALID:
                    span = (np.int64(start[1 - season, place]) - first) % year_length
                for year in range(len(starts)):
                    begin = starts[year] + first
                    if begin < 0 or begin >= days or (begin + span <= days) == unfinished:
                        continue
                    count = min(span, days - begin)
                    gaps = 0
                    for day in range(count):
                        value = series[cell, begin + day]
                        if value != value:
                            gaps += 1
                            value = daily[(first + day) % year_length, place]
                        row[day] = value
                    if gaps > missing * count:
                        flag[year, season, place] = MISSING_DAYS
                        continue
                    wet, dry = _season(row, count, threshold, run)
                    if wet < 0:
                        flag[year, season, place] = INCOMPLETE if unfinished else NEVER_WET
                    elif dry < 0 and wet == 0 and not unfinished:
                        flag[year, season, place] = NEVER_DRY
                    else:
                        onset[year, season, place] = first + wet
                        flag[year, season, place] = NO_CESSATION
                        if dry >= 0:
                            cessation[year, season, place] = first + dry - 1
                            length[year, season, place] = dry - wet
                            flag[year, season, place] = VALID
