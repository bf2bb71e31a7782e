"""The wet season by anomalous accumulation, step by step for one cell: readable, slow, and not the code it checks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from compute.seasons.reasons import (
    ARID,
    INCOMPLETE,
    INDETERMINATE,
    MISSING,
    MISSING_DAYS,
    NO_CESSATION,
    NO_DATA,
    NO_ONSET,
    NO_SEASON,
    VALID,
)

EQUAL = 1e-9  # of a year's mean rain


@dataclass
class Cell:
    flags: list[int]
    alpha: float = np.nan
    beta: Any = None
    ratio: float = np.nan
    seasons: list[tuple[int, int]] = field(default_factory=list)
    spread: list[float] = field(default_factory=lambda: [np.nan, np.nan])
    years: list[int] = field(default_factory=lambda: [0, 0])
    short_rains: int = 0

    @property
    def equal(self) -> float:
        return EQUAL * self.alpha * len(self.beta)

    @property
    def window(self) -> int:
        return 20 if len(self.seasons) == 2 else 50


def first_lowest(values: Any, equal: float) -> int:
    return int(np.flatnonzero(values <= np.min(values) + equal)[0])


def first_highest(values: Any, equal: float) -> int:
    return int(np.flatnonzero(values >= np.max(values) - equal)[0])


def climate(rain: Any, L: int, arid: float = 1.0, spread: float = 45.0, missing: float = 0.05) -> Cell:
    """rain: whole years, (days,)."""
    rain = np.asarray(rain, np.float64)
    table = rain.reshape(-1, L)
    seen = ~np.isnan(table)
    if np.count_nonzero(~seen) > missing * table.size or not seen.any(axis=0).all():
        return Cell([NO_DATA, NO_DATA])
    beta = np.array([np.mean(table[seen[:, d], d]) for d in range(L)])
    cell = Cell([ARID, ARID], float(np.mean(beta)), beta)
    amplitude = np.abs(np.fft.rfft(beta))[1:3]
    amplitude[amplitude <= cell.equal] = 0.0
    with np.errstate(divide="ignore", invalid="ignore"):
        cell.ratio = float(np.float32(amplitude[1] / amplitude[0]))
    if np.std(rain[~np.isnan(rain)]) < arid:
        return cell
    gamma = np.cumsum(beta - cell.alpha)
    if np.ptp(gamma) <= cell.equal:
        cell.flags = [NO_SEASON, NO_SEASON]
        return cell
    if not cell.ratio < 1:
        cell.seasons = two_seasons(gamma, cell.equal)
    if not cell.seasons:
        cell.seasons = [one_season(gamma, cell.equal)]
    cell.flags = [VALID if n < len(cell.seasons) else NO_SEASON for n in range(2)]
    for n in range(len(cell.seasons)):
        found = [season(rain, y * L, cell, n, missing) for y in range(len(table))]
        onsets = [onset for onset, _, flag, _ in found if flag == VALID]
        cell.years[n] = len(onsets)
        if len(onsets) >= 2:
            cell.spread[n] = float(np.std(onsets, ddof=1))
        if not np.float32(cell.spread[n]) <= spread:
            cell.flags[n] = INDETERMINATE
    if len(cell.seasons) == 2:
        inside = [151 <= start * 365 / L <= 330 for start, _ in cell.seasons]
        later = 1 if cell.seasons[0][0] > cell.seasons[1][0] else 2
        cell.short_rains = later if all(inside) else 1 if inside[0] else 2
    return cell


def one_season(gamma: Any, equal: float) -> tuple[int, int]:
    L = len(gamma)
    start, end = first_lowest(gamma, equal) + 1, first_highest(gamma, equal)
    if end < start:
        end += L
    return (0, end - L) if start == L else (start, end)


def two_seasons(gamma: Any, equal: float) -> list[tuple[int, int]]:
    """None, one or two seasons."""
    L = len(gamma)
    extended = np.concatenate([gamma[-50:], gamma, gamma[:85]])
    smooth = np.convolve(extended, np.full(31, 1 / 31), "valid")
    minima, maxima = [], []
    for i in range(4, len(smooth) - 4):
        near = smooth[i - 4 : i + 5]
        if first_lowest(near, equal) == 4:
            minima.append(i - 35)
        if first_highest(near, equal) == 4:
            maxima.append(i - 35)
    maxima += [day + L for day in maxima]
    pairs = []
    for low in minima:
        later = [high for high in maxima if high > low]
        if later:
            pairs.append((low, min(later)))
    # The longest first; of equal ones that which starts later in the year.
    pairs.sort(key=lambda pair: (pair[1] - pair[0], pair[0] % L), reverse=True)
    chosen = pairs[:1]
    for pair in pairs[1:]:
        apart = abs(pair[0] - pairs[0][0])
        if (pair[1] - pairs[0][1]) % L != 0 and abs(apart - L) > 2:
            chosen.append(pair)
            break
    found = []
    for start, end in chosen:
        first, last = start % L, end % L
        found.append((first, last + L if first > last else last))
    return found


def season(rain: Any, january: int, cell: Cell, n: int, missing: float = 0.05) -> tuple[int, int, int, int]:
    """Onset, cessation, flag and missing days of season n (0 or 1) of the year whose 1 January is at `january`."""
    if cell.flags[n] != VALID:
        return MISSING, MISSING, cell.flags[n], MISSING
    start, end = cell.seasons[n]
    days = range(start - cell.window, end + cell.window)
    if january + days[0] < 0 or january + days[-1] >= len(rain):
        return MISSING, MISSING, INCOMPLETE, MISSING
    window = np.array([rain[january + day] for day in days], np.float64)
    gaps = np.isnan(window)
    if gaps.sum() > missing * len(window):
        return MISSING, MISSING, MISSING_DAYS, int(gaps.sum())
    mean = np.array([np.float32(cell.beta[day % len(cell.beta)]) for day in days], np.float64)
    delta = np.cumsum(np.where(gaps, mean, window) - cell.alpha)
    onset, cessation, flag = extremes(delta, cell.equal)
    if flag != VALID:
        return MISSING, MISSING, flag, int(gaps.sum())
    return days[0] + onset, days[0] + cessation, VALID, int(gaps.sum())


def extremes(delta: Any, equal: float) -> tuple[int, int, int]:
    searched = delta
    low = first_lowest(searched, equal)
    while low in range(len(searched))[-7:]:
        searched = searched[:-7]
        if len(searched) - 8 < 10:
            return 0, 0, NO_ONSET
        low = first_lowest(searched, equal)
    high = low + first_highest(delta[low:], equal)
    return (low + 1, high, VALID) if low + 1 <= high else (0, 0, NO_CESSATION)
