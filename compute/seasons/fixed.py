"""The wet season by fixed thresholds: the first rain that lasts, and the first long row of dry days.

Positions are days from 1 January of a label year, 29 February left out.

With equal parameters onset, end and length are those of `xclim.indices.rain_season` in whole years (window_wet_start =
`within`, window_not_dry_start = `afterwards` + 1 - `within`, window_dry_start = `no_dry_spell`, window_dry_end =
`cessation_dry`, both methods "per_day"), where it does otherwise in these points only:

- its end is the first dry day, our cessation the day before;
- its dry days are at or below the threshold, ours below it;
- it looks at a dry row from the onset on only, and so begins seasons near the end of a row that began before;
- days beyond its year do not exist: no onset so late that what follows is not in it, no season over New Year;
- a season without an end has a length to the end of its year, ours has none;
- a missing day voids each total that it is in, ours has no rain.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numba
import numpy as np
from numpy.typing import ArrayLike, NDArray

from compute.seasons.reasons import INCOMPLETE, MISSING, MISSING_DAYS, NO_CESSATION, NO_DATA, NO_ONSET, VALID

_TILE: Final = 64
_LOST: Final = 2.0**-23
"""Of a total of float32 rain: what it may lack of the decimal total that was measured."""
_EMPTY: Final = 1e-3
"""mm: a bucket with less is empty. Rain and demand that are equal as decimal numbers differ by less than this."""


@dataclass(frozen=True)
class Rule:
    """Thresholds of rain.

    onset_from, onset_until          first and last day of the search for the onset; beyond the year is in the next one
    rain, within                     mm that fall in so many days, of which the onset is the last
    then_rain, then_within           mm that fall in so many days after it; 0 for no such rule
    dry                              mm d-1, a day with less is dry
    no_dry_spell, afterwards         a row of so many dry days must not reach into so many days after the onset; 0 for
                                     no such rule. xclim has window_not_dry_start + window_wet_start - 1 such days
    cessation_from, cessation_until  first and last day on which what ends the season may begin
    cessation_dry                    the season ends before the first row of so many dry days; 0 for no such rule
    bucket, demand                   the season ends before a bucket of so many mm is emptied by so many mm d-1; 0 for
                                     no such rule
    """

    onset_from: int
    onset_until: int
    rain: float
    within: int
    dry: float
    no_dry_spell: int
    afterwards: int
    cessation_from: int
    cessation_until: int
    cessation_dry: int = 0
    bucket: float = 0.0
    demand: float = 0.0
    then_rain: float = 0.0
    then_within: int = 0

    @property
    def window(self) -> tuple[int, int]:
        """First day, and the day after the last, that the rule looks at."""
        onset = self.onset_until + max(self.then_within, self.afterwards + self.no_dry_spell)
        return self.onset_from, max(onset, self.cessation_until + self.cessation_dry) + 1


@dataclass(frozen=True)
class ThresholdSeasons:
    """onset, cessation: first and last day; length: cessation - onset + 1; all int16 (years, cells). flag: int8."""

    onset: NDArray[np.int16]
    cessation: NDArray[np.int16]
    length: NDArray[np.int16]
    flag: NDArray[np.int8]


def threshold_seasons(
    pr: NDArray[np.float32], starts: ArrayLike, rule: Rule, *, missing: float = 0.05, unfinished: bool = False
) -> ThresholdSeasons:
    """Onset and cessation of each label year.

    pr          rain, mm d-1, shape (days, cells), float32; NaN where missing: no rain, and no dry day either
    starts      position in pr of 1 January of each label year, shape (years,); may lie outside pr
    missing     share of the window's days that may be missing
    unfinished  take just the years whose window is cut by the end of pr: what the days so far say; others are
                INCOMPLETE
    """
    series = np.ascontiguousarray(pr, np.float32)
    begins = np.ascontiguousarray(starts, np.int64)
    shape = (len(begins), series.shape[1])
    onset, cessation, length = (np.full(shape, MISSING, np.int16) for _ in range(3))
    flag = np.full(shape, INCOMPLETE, np.int8)
    numbers = np.array(
        [
            rule.rain * (1 - _LOST),
            rule.then_rain * (1 - _LOST),
            np.float32(rule.dry),
            rule.bucket,
            rule.demand,
            missing,
        ],
        np.float64,
    )
    counts = np.array(
        [
            *rule.window,
            rule.onset_from,
            rule.onset_until,
            rule.within,
            rule.then_within,
            rule.no_dry_spell,
            rule.afterwards,
            rule.cessation_from,
            rule.cessation_until,
            rule.cessation_dry,
        ],
        np.int64,
    )
    _evaluate(series, begins, numbers, counts, unfinished, onset, cessation, length, flag)
    return ThresholdSeasons(onset, cessation, length, flag)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _dry_rows(rain: Any, count: Any, dry: Any, rows: Any) -> None:
    """rows[d]: length of the row of dry days that day d begins or goes on with, to its end; 0 on other days."""
    after = np.int64(0)
    for day in range(count - 1, -1, -1):
        # No branch: dry and wet days follow each other too irregularly to be foreseen.
        after = (after + 1) * np.int64(rain[day] < dry)
        rows[day] = after


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _sum(rain: Any, first: Any, stop: Any) -> Any:
    total = 0.0
    for day in range(first, stop):
        if rain[day] == rain[day]:
            total += rain[day]
    return total


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _onset(rain: Any, rows: Any, count: Any, numbers: Any, counts: Any) -> Any:
    """The onset as a day of the window, -1 for none. count: days of the window that there are."""
    first, low, high, within = counts[0], counts[2], counts[3], counts[4]
    then, spell, afterwards = counts[5], counts[6], counts[7]
    for day in range(low - first + within - 1, high - first + 1):
        # What follows must be known.
        if day + max(then, afterwards + spell if spell > 0 else 0) >= count:
            return -1
        if _sum(rain, day - within + 1, day + 1) < numbers[0]:
            continue
        if then > 0 and _sum(rain, day + 1, day + 1 + then) < numbers[1]:
            continue
        lasting = True
        if spell > 0:
            # A row that reaches into these days counts from its beginning.
            begin = day + 1
            while begin > 0 and rows[begin] > 0 and rows[begin - 1] > 0:
                begin -= 1
            other = begin
            while other <= day + afterwards and lasting:
                if rows[other] >= spell:
                    lasting = False
                other += max(1, rows[other])
        if lasting:
            return day
    return -1


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _cessation(rain: Any, rows: Any, count: Any, onset: Any, numbers: Any, counts: Any) -> Any:
    """The last day of the season as a day of the window, -1 for none."""
    first, low, high, spell = counts[0], counts[8], counts[9], counts[10]
    capacity, demand = numbers[3], numbers[4]
    begin = max(low - first, onset + 1)
    by_row = count
    if spell > 0:
        for day in range(begin, min(high - first + 1, count)):
            starts = rows[day] >= spell and (day == 0 or rows[day - 1] == 0)
            if starts:
                by_row = day
                break
    by_bucket = count
    if capacity > 0:
        store = 0.0
        for day in range(max(0, onset - counts[4] + 1), min(high - first + 1, count)):
            today = rain[day] if rain[day] == rain[day] else 0.0
            store = min(max(store + today - demand, 0.0), capacity)
            if day >= begin and store < _EMPTY:
                by_bucket = day
                break
    found = min(by_row, by_bucket)
    return found - 1 if found < count else -1


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _evaluate(
    pr: Any,
    starts: Any,
    numbers: Any,
    counts: Any,
    unfinished: Any,
    onset: Any,
    cessation: Any,
    length: Any,
    flag: Any,
) -> None:
    days, cells = pr.shape
    first, stop = counts[0], counts[1]
    span = stop - first
    rain = np.empty((_TILE, span), np.float32)
    rows = np.empty(span + 1, np.int64)
    for year in range(len(starts)):
        begin = starts[year] + first
        whole = begin + span <= days
        if begin < 0 or begin >= days or whole == unfinished:
            continue
        count = min(span, days - begin)
        for low in range(0, cells, _TILE):
            width = min(_TILE, cells - low)
            for day in range(count):
                for cell in range(width):
                    rain[cell, day] = pr[begin + day, low + cell]
            for cell in range(width):
                here, place = rain[cell], low + cell
                known = 0
                for day in range(count):
                    known += here[day] == here[day]
                if known == 0:
                    flag[year, place] = NO_DATA
                    continue
                if count - known > numbers[5] * count:
                    flag[year, place] = MISSING_DAYS
                    continue
                _dry_rows(here, count, numbers[2], rows)
                rows[count] = 0
                found = _onset(here, rows, count, numbers, counts)
                if found < 0:
                    flag[year, place] = INCOMPLETE if unfinished else NO_ONSET
                    continue
                onset[year, place] = found + first
                last = _cessation(here, rows, count, found, numbers, counts)
                if last < 0:
                    flag[year, place] = NO_CESSATION
                    continue
                cessation[year, place] = last + first
                length[year, place] = last - found + 1
                flag[year, place] = VALID
