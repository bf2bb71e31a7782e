"""Seasons by fixed thresholds against xclim, where it has the same definition, and against a plain search."""

from __future__ import annotations

import datetime
import warnings
from dataclasses import replace
from pathlib import Path
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
NO_RAIN = 0
GAP = -1


def seasonal(years: int, cells: int, length: int, seed: int, wet: float = 0.75) -> Values:
    """Rain in tenths of a millimetre, whole numbers."""
    random = np.random.default_rng(seed)
    day = np.arange(years * length) % length
    chance = wet * np.exp(5 * (np.cos(2 * np.pi * (day - 210) / length) - 1))[:, None] + 0.01
    rain = (random.random((len(day), cells)) < chance) * random.gamma(0.8, 12.0, (len(day), cells))
    return np.round(10 * rain).astype(np.int64)


def measured(tenths: Values) -> Values:
    return np.where(tenths == GAP, np.nan, tenths / 10).astype(np.float32)


def plain(tenths: list[int], january: int, rule: Rule, unfinished: bool = False) -> tuple[int, int, int]:
    """Onset, cessation and flag of one cell and year, day after day, in whole tenths: without any rounding."""
    low, high = rule.window
    begin, end = january + low, january + high
    if begin < 0 or begin >= len(tenths) or (end <= len(tenths)) == unfinished:
        return MISSING, MISSING, INCOMPLETE
    there = tenths[begin : min(end, len(tenths))]
    if there.count(GAP) == len(there):
        return MISSING, MISSING, NO_DATA
    if there.count(GAP) > 0.05 * len(there):
        return MISSING, MISSING, MISSING_DAYS
    rain = [max(each, NO_RAIN) for each in there]
    rows = []
    day = 0
    while day < len(there):
        stop = day
        while stop < len(there) and there[stop] != GAP and there[stop] < round(10 * rule.dry):
            stop += 1
        if stop > day:
            rows.append((day, stop))
        day = max(stop, day + 1)
    onset = None
    ahead = max(rule.then_within, rule.afterwards + rule.no_dry_spell if rule.no_dry_spell else 0)
    for day in range(rule.within - 1, rule.onset_until - low + 1):
        if day + ahead >= len(there):
            break
        if sum(rain[day - rule.within + 1 : day + 1]) < round(10 * rule.rain):
            continue
        if sum(rain[day + 1 : day + 1 + rule.then_within]) < round(10 * rule.then_rain):
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
        store = 0
        for day in range(max(0, onset - rule.within + 1), min(rule.cessation_until - low + 1, len(there))):
            store = min(max(store + rain[day] - round(10 * rule.demand), 0), round(10 * rule.bucket))
            if day >= begin and store == 0:
                ends.append(day)
                break
    if not ends:
        return onset + low, MISSING, NO_CESSATION
    return onset + low, min(ends) - 1 + low, VALID


VARIANTS = (
    RULE,
    replace(RULE, cessation_dry=0, bucket=70.0, demand=5.0),
    replace(RULE, no_dry_spell=0, within=10, then_rain=20.0, then_within=20, dry=0.7),
    replace(RULE, onset_from=181, onset_until=370, cessation_from=400, cessation_until=520),
    replace(RULE, onset_from=0, cessation_from=100, bucket=60.0, demand=2.5, no_dry_spell=3, afterwards=12),
)


@given(
    seed=st.integers(0, 2**31),
    kind=st.sampled_from(["season", "ties", "dry", "wet", "event", "threshold"]),
    wet=st.floats(0.02, 0.95),
    variant=st.sampled_from(range(len(VARIANTS))),
    length=st.sampled_from([365, 360]),
    gaps=st.booleans(),
)
def test_season_differs_from_a_plain_search(
    seed: int, kind: str, wet: float, variant: int, length: int, gaps: bool
) -> None:
    rule = VARIANTS[variant]
    random = np.random.default_rng(seed)
    tenths = seasonal(3, 3, length, seed, wet)
    if kind == "ties":
        # Parts of a sum of 25.0, and days at the thresholds.
        tenths = random.choice([0, 6, 7, 9, 10, 83, 84, 125, 250], tenths.shape)
        tenths[random.random(tenths.shape) > wet] = 0
    elif kind in ("dry", "wet", "threshold"):
        tenths[:] = {"dry": 0, "wet": 100, "threshold": 10}[kind]
    elif kind == "event":
        tenths[:] = 0
        tenths[random.integers(0, len(tenths)) :][: random.integers(1, 60)] = 100
    if gaps:
        tenths[random.random(tenths.shape) < 0.03] = GAP
        tenths[:, 2] = GAP
    starts = np.arange(-1, 4) * length
    for unfinished in (False, True):
        cut = tenths[: -200 if unfinished else None]
        found = threshold_seasons(measured(cut), starts, rule, unfinished=unfinished)
        for cell in range(3):
            series = cut[:, cell].tolist()
            for year, january in enumerate(starts):
                expected = plain(series, int(january), rule, unfinished)
                here = found.onset[year, cell], found.cessation[year, cell], found.flag[year, cell]
                assert tuple(map(int, here)) == expected
                if expected[2] == VALID:
                    assert found.length[year, cell] == expected[1] - expected[0] + 1
                else:
                    assert found.length[year, cell] == MISSING


def test_total_that_is_just_reached_is_lost_in_float32() -> None:
    for parts in ((6.7, 6.7, 6.6), (0.1, 0.2, 19.7), (7.4, 6.3, 6.3)):
        rain = np.zeros((365, 1), np.float32)
        rain[150:153, 0] = parts
        rain[153:260] = 3.0
        assert threshold_seasons(rain, [0], replace(RULE, rain=20.0)).onset[0, 0] == 152
        assert threshold_seasons(rain, [0], replace(RULE, rain=20.0001)).onset[0, 0] != 152


CASES = {
    "noleap": RULE,
    "standard": replace(RULE, rain=20.0, within=2, no_dry_spell=10),
    "360_day": replace(RULE, no_dry_spell=5, afterwards=20, onset_until=239, cessation_from=240, cessation_until=330),
}


@pytest.mark.parametrize("calendar", CASES)
@pytest.mark.parametrize("wet", [0.5, 0.8])
def test_season_differs_from_that_of_xclim(calendar: str, wet: float) -> None:
    """In whole years without leap days, in tenths of a millimetre: xclim's thresholds lie between two of them, since
    its dry days are at or below, and since its sums are of float32."""
    rule = CASES[calendar]
    years, length = 3, 360 if calendar == "360_day" else 365
    rain = measured(seasonal(years, 60, length, 5, wet))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from xclim import indices

        time = xr.date_range("2001-01-01", periods=years * length, calendar=calendar, use_cftime=True)
        data = xr.DataArray(rain, {"time": time}, ("time", "cell"), attrs={"units": "mm/day"})
        start, end, lasting = indices.rain_season(
            data,
            thresh_wet_start=f"{rule.rain - 0.05} mm",
            window_wet_start=rule.within,
            window_not_dry_start=rule.afterwards + 1 - rule.within,
            thresh_dry_start="0.95 mm",
            window_dry_start=rule.no_dry_spell,
            method_dry_start="per_day",
            date_min_start="04-01",
            date_max_start="08-30" if length == 360 else "08-31",
            thresh_dry_end="0.95 mm",
            window_dry_end=rule.cessation_dry,
            method_dry_end="per_day",
            date_min_end="09-01",
            date_max_end="12-01",
            freq="YS",
        )
    found = threshold_seasons(rain, np.arange(years) * length, rule)
    begun, ended = found.onset != MISSING, found.flag == VALID
    assert begun.sum() > 60
    assert ended.sum() > 30
    xclim_start, xclim_end, xclim_length = (each.transpose("time", "cell").values for each in (start, end, lasting))
    # xclim starts seasons near the end of a dry row that began before: those are left out.
    alike = np.isfinite(xclim_start) & ~_amid_a_dry_row(rain, xclim_start, length, rule.no_dry_spell)
    assert np.count_nonzero(alike) > 0.9 * np.count_nonzero(np.isfinite(xclim_start))
    assert np.isfinite(xclim_start[begun]).all()
    assert begun[alike].all()
    # xclim counts days of the year from 1, and says "end" for the first dry day.
    np.testing.assert_array_equal(found.onset[alike], xclim_start[alike] - 1)
    ended &= alike
    np.testing.assert_array_equal(ended, alike & np.isfinite(xclim_end))
    np.testing.assert_array_equal(found.cessation[ended], xclim_end[ended] - 2)
    np.testing.assert_array_equal(found.length[ended], xclim_length[ended])
    # A season without an end has the rest of the year for its length in xclim, and none here.
    going_on = alike & ~ended
    assert (found.length[going_on] == MISSING).all()
    np.testing.assert_array_equal(xclim_length[going_on], length - found.onset[going_on])


def _amid_a_dry_row(rain: Values, start: Values, length: int, row: int) -> Values:
    found = np.zeros(start.shape, bool)
    for year, cell in np.argwhere(np.isfinite(start)):
        day = year * length + int(start[year, cell]) - 1
        first = day + 1
        while rain[first - 1, cell] < 1:
            first -= 1
        found[year, cell] = first <= day and (rain[first : first + row, cell] < 1).all()
    return found


def test_result_depends_on_how_cells_are_cut() -> None:
    rain = measured(seasonal(2, 150, 365, 6))
    whole = threshold_seasons(rain, [0, 365], RULE)
    for cut in (slice(0, 1), slice(60, 70), slice(63, 150)):
        part = threshold_seasons(rain[:, cut], [0, 365], RULE)
        for name in ("onset", "cessation", "length", "flag"):
            np.testing.assert_array_equal(getattr(part, name), getattr(whole, name)[:, cut])


@pytest.mark.shared
def test_seasons_of_point_rainfall_are_implausible(shared: Path) -> None:
    """One wet season that peaks in August and September, 1012 mm a year; the rows begin on 1 January 1970."""
    rain = np.loadtxt(shared / "data/tamsat-alert-point-rainfall/all_hist.txt")[:, 2]
    dates = [datetime.date(1970, 1, 1) + datetime.timedelta(days=day) for day in range(len(rain))]
    kept = np.array([(date.month, date.day) != (2, 29) for date in dates])
    series = rain[kept].astype(np.float32)[:, None]
    rule = replace(RULE, onset_from=60, rain=20.0, cessation_until=350)
    found = threshold_seasons(series, np.arange(42) * 365, rule)
    valid = found.flag[:, 0] == VALID
    assert np.count_nonzero(valid) >= 35
    assert 90 < np.median(found.onset[valid]) < 180
    assert 273 <= np.median(found.cessation[valid]) < 320
    exact = [
        plain(np.round(10 * series[:, 0].astype(float)).astype(int).tolist(), 365 * year, rule) for year in range(42)
    ]
    told = zip(found.onset[:, 0].tolist(), found.cessation[:, 0].tolist(), found.flag[:, 0].tolist(), strict=True)
    assert list(told) == exact
