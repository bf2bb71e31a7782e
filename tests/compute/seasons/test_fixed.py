"""Seasons by fixed thresholds against xclim, where it has the same definition, and against a plain search."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from compute.seasons.fixed import Rule, threshold_seasons
from compute.seasons.reasons import INCOMPLETE, MISSING, MISSING_DAYS, NO_CESSATION, NO_DATA, NO_ONSET, VALID

Values = np.ndarray[Any, Any]
RULE = Rule(
    onset_from=90,
    onset_until=242,
    rain=25.0,
    within=3,
    dry=1.0,
    no_dry_spell=7,
    afterwards=30,
    cessation_from=243,
    cessation_until=334,
    cessation_dry=20,
)


def seasonal(years: int, cells: int, length: int, seed: int, wet: float = 0.75) -> Values:
    random = np.random.default_rng(seed)
    day = np.arange(years * length) % length
    chance = wet * np.exp(5 * (np.cos(2 * np.pi * (day - 210) / length) - 1))[:, None] + 0.01
    rain = (random.random((len(day), cells)) < chance) * random.gamma(0.8, 12.0, (len(day), cells))
    return rain.astype(np.float32)


def plain(rain: Values, january: int, rule: Rule, unfinished: bool = False) -> tuple[int, int, int]:
    """Onset, cessation and flag of one cell and year, day after day."""
    low, high = rule.window
    begin, end = january + low, january + high
    if begin < 0 or begin >= len(rain) or (end <= len(rain)) == unfinished:
        return MISSING, MISSING, INCOMPLETE
    end = min(end, len(rain))
    there = rain[begin:end]
    if np.isnan(there).all():
        return MISSING, MISSING, NO_DATA
    if np.isnan(there).sum() > 0.05 * len(there):
        return MISSING, MISSING, MISSING_DAYS
    dry = there < rule.dry
    rows = []
    day = 0
    while day < len(there):
        stop = day
        while stop < len(there) and dry[stop]:
            stop += 1
        if stop > day:
            rows.append((day, stop))
        day = max(stop, day + 1)
    onset = None
    ahead = max(rule.then_within, rule.afterwards + rule.no_dry_spell if rule.no_dry_spell else 0)
    for day in range(rule.within - 1, rule.onset_until - low + 1):
        if day + ahead >= len(there):
            break
        if np.nansum(there[day - rule.within + 1 : day + 1].astype(float)) < rule.rain:
            continue
        if rule.then_within and np.nansum(there[day + 1 : day + 1 + rule.then_within].astype(float)) < rule.then_rain:
            continue
        long = [row for row in rows if rule.no_dry_spell and row[1] - row[0] >= rule.no_dry_spell]
        if any(first <= day + rule.afterwards and stop > day + 1 for first, stop in long):
            continue
        onset = day
        break
    if onset is None:
        return MISSING, MISSING, INCOMPLETE if unfinished else NO_ONSET
    begin = max(rule.cessation_from - low, onset + 1)
    ends = [
        first
        for first, stop in rows
        if rule.cessation_dry and stop - first >= rule.cessation_dry and begin <= first <= rule.cessation_until - low
    ]
    if rule.bucket:
        store = 0.0
        for day in range(max(0, onset - rule.within + 1), min(rule.cessation_until - low + 1, len(there))):
            store = min(max(store + np.nan_to_num(float(there[day])) - rule.demand, 0.0), rule.bucket)
            if day >= begin and store <= 0:
                ends.append(day)
                break
    if not ends:
        return onset + low, MISSING, NO_CESSATION
    return onset + low, min(ends) - 1 + low, VALID


VARIANTS = (
    RULE,
    replace(RULE, cessation_dry=0, bucket=70.0, demand=5.0),
    replace(RULE, no_dry_spell=0, within=10, then_rain=20.0, then_within=20),
    replace(RULE, onset_from=181, onset_until=370, cessation_from=400, cessation_until=520),
)


@given(seed=st.integers(0, 2**31), wet=st.floats(0.02, 0.95), variant=st.sampled_from(range(4)), gaps=st.booleans())
def test_season_differs_from_a_plain_search(seed: int, wet: float, variant: int, gaps: bool) -> None:
    rule = VARIANTS[variant]
    rain = seasonal(3, 3, 365, seed, wet)
    if gaps:
        holes = np.random.default_rng(seed).random(rain.shape)
        rain[holes < 0.03] = np.nan
        rain[:, 2] = np.nan
    starts = np.arange(-1, 4) * 365
    for unfinished in (False, True):
        cut = rain[: -200 if unfinished else None]
        found = threshold_seasons(cut, starts, rule, unfinished=unfinished)
        for year, january in enumerate(starts):
            for cell in range(3):
                expected = plain(cut[:, cell], int(january), rule, unfinished)
                here = found.onset[year, cell], found.cessation[year, cell], found.flag[year, cell]
                assert tuple(map(int, here)) == expected
                if expected[2] == VALID:
                    assert found.length[year, cell] == expected[1] - expected[0] + 1


@pytest.mark.parametrize("calendar", ["noleap", "standard"])
def test_season_differs_from_that_of_xclim(calendar: str) -> None:
    """In whole years without leap days, onset from the rain of three days and no dry row that begins within 30."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from xclim import indices

        years = 3
        rain = seasonal(years, 60, 365, 5)
        time = xr.date_range("2001-01-01", periods=years * 365, calendar=calendar, use_cftime=True)
        data = xr.DataArray(rain, {"time": time}, ("time", "cell"), attrs={"units": "mm/day"})
        start, end, length = indices.rain_season(
            data,
            thresh_wet_start="25 mm",
            window_wet_start=3,
            window_not_dry_start=RULE.afterwards + 1 - 3,
            thresh_dry_start="1 mm",
            window_dry_start=7,
            method_dry_start="per_day",
            date_min_start="04-01",
            date_max_start="08-31",
            thresh_dry_end="1 mm",
            window_dry_end=20,
            method_dry_end="per_day",
            date_min_end="09-01",
            date_max_end="12-01",
            freq="YS",
        )
    found = threshold_seasons(rain, np.arange(years) * 365, RULE)
    begun, ended = found.onset != MISSING, found.flag == VALID
    assert begun.sum() > 100
    assert ended.sum() > 100
    xclim_start, xclim_end, xclim_length = (each.transpose("time", "cell").values for each in (start, end, length))
    # xclim knows only where a dry row begins, and starts seasons in the middle of one: those are left out.
    alike = np.isfinite(xclim_start) & ~_amid_a_dry_row(rain, xclim_start)
    assert np.count_nonzero(np.isfinite(xclim_start) & ~alike) < 10
    np.testing.assert_array_equal(begun & np.isfinite(xclim_start), begun)
    assert begun[alike].all()
    # xclim counts days of the year from 1, and says "end" for the first dry day.
    np.testing.assert_array_equal(found.onset[alike], xclim_start[alike] - 1)
    ended &= alike
    np.testing.assert_array_equal(ended, alike & np.isfinite(xclim_end))
    np.testing.assert_array_equal(found.cessation[ended], xclim_end[ended] - 2)
    np.testing.assert_array_equal(found.length[ended], xclim_length[ended])


def _amid_a_dry_row(rain: Values, start: Values) -> Values:
    found = np.zeros(start.shape, bool)
    for year, cell in np.argwhere(np.isfinite(start)):
        day = year * 365 + int(start[year, cell]) - 1
        first = day + 1
        while rain[first - 1, cell] < 1:
            first -= 1
        found[year, cell] = first <= day and (rain[first : first + 7, cell] < 1).all()
    return found
