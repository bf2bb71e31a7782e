"""The soil wet season against a plain search, and on cases whose answer is plain to see."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

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
from compute.seasons.wetness import wet_climatology, wet_in_progress, wet_seasons

Values = np.ndarray[Any, Any]


def year_of(length: int, *wet: tuple[int, int]) -> Values:
    """Beta of 0.9 in the days given, both included and beyond the year in the next, else 0.1."""
    found = np.full(length, 0.1, np.float32)
    for first, last in wet:
        found[np.arange(first, last + 1) % length] = 0.9
    return found


def minima(daily: Values) -> list[int]:
    length = len(daily)
    around = np.concatenate([daily[-15:], daily, daily[:15]])
    smooth = np.array([round(sum(around[day : day + 31]) / 31, 12) for day in range(length)])
    first = int(smooth.argmin())
    rise = 0.1 * (smooth.max() - smooth.min())
    best: tuple[float, int] | None = None
    for step in range(60, length - 59):
        day = (first + step) % length
        before = [smooth[(day - k) % length] for k in range(1, 31)]
        after = [smooth[(day + k) % length] for k in range(1, 31)]
        if not (min(before) > smooth[day] and min(after) >= smooth[day]) or rise <= 0:
            continue
        way_there = max(smooth[(first + k) % length] for k in range(step + 1))
        way_back = max(smooth[(first + k) % length] for k in range(step, length))
        lower = best is None or smooth[day] < best[0]
        if min(way_there, way_back) - smooth[day] >= rise and lower:
            best = (smooth[day], day)
    return [first, *([] if best is None else [best[1]])]


def rows(wet: list[bool], run: int, wanted: bool, since: int = 0) -> int | None:
    for day in range(since, len(wet) - run + 1):
        if all(each == wanted for each in wet[day : day + run]):
            return day
    return None


def plain(beta: Values, january: int, daily: Values, starts: list[int], season: int, run: int, unfinished: bool) -> Any:
    if season >= len(starts):
        return MISSING, MISSING, NO_SEASON
    length = len(daily)
    first = starts[season]
    span = length if len(starts) == 1 else (starts[1 - season] - first) % length
    begin = january + first
    if begin < 0 or begin >= len(beta) or (begin + span <= len(beta)) == unfinished:
        return MISSING, MISSING, INCOMPLETE
    days = list(range(min(span, len(beta) - begin)))
    values = [beta[begin + day] for day in days]
    if sum(np.isnan(value) for value in values) > 0.05 * len(values):
        return MISSING, MISSING, MISSING_DAYS
    filled = [
        daily[(first + day) % length] if np.isnan(value) else value for day, value in zip(days, values, strict=True)
    ]
    wet = [bool(value >= np.float32(0.5)) for value in filled]
    onset = rows(wet, run, True)
    if onset is None:
        return MISSING, MISSING, INCOMPLETE if unfinished else NEVER_WET
    dry = rows(wet, run, False, onset + run)
    if dry is None:
        if onset == 0 and not unfinished:
            return MISSING, MISSING, NEVER_DRY
        return first + onset, MISSING, NO_CESSATION
    return first + onset, first + dry - 1, VALID


@settings(max_examples=60)
@given(
    seed=st.integers(0, 2**31),
    length=st.sampled_from([365, 360]),
    kind=st.sampled_from(["one", "two", "noise", "dry", "wet", "event", "gaps", "edge", "blocks"]),
    run=st.integers(1, 15),
    cut=st.integers(0, 300),
)
def test_season_differs_from_a_plain_search(seed: int, length: int, kind: str, run: int, cut: int) -> None:
    random = np.random.default_rng(seed)
    day = np.arange(4 * length)
    angle = 2 * np.pi * (day - random.integers(0, length)) / length
    mean = {
        "one": 0.5 + 0.4 * np.cos(angle),
        "two": 0.5 + 0.3 * np.cos(2 * angle) + 0.05 * np.cos(angle),
        "noise": np.full(len(day), 0.5),
        "dry": np.full(len(day), 0.05),
        "wet": np.full(len(day), 0.95),
        "event": np.where((day > 500) & (day < 540), 0.9, 0.1),
        "gaps": 0.5 + 0.4 * np.cos(angle),
    }.get(kind, np.zeros(len(day)))
    beta = np.clip(mean + random.normal(0, 0.05, len(day)) * (kind not in ("dry", "wet")), 0, 1).astype(np.float32)
    if kind == "edge":
        beta = random.choice(np.array([0.4, 0.5], np.float32), len(day), p=[0.2, 0.8])
    if kind == "blocks":
        beta = np.repeat(random.choice(np.array([0.0, 0.3, 0.9], np.float32), len(day) // 40 + 1), 40)[: len(day)]
    if kind == "gaps":
        beta[random.random(len(beta)) < 0.04] = np.nan
    climate = wet_climatology(beta[:, None], 0, length)
    table = beta.reshape(4, length).astype(float)
    if climate.flag[0, 0] == NO_DATA:
        assert np.isnan(table).sum() > 0.05 * table.size or np.isnan(table).all(axis=0).any()
        return
    daily = np.nanmean(table, axis=0)
    starts = minima(daily)
    assert climate.start[:, 0].tolist() == [*starts, *([MISSING] * (2 - len(starts)))]
    short = beta[: len(beta) - cut]
    januaries = np.arange(-1, 5) * length
    for unfinished, function in ((False, wet_seasons), (True, wet_in_progress)):
        found = function(short[:, None], januaries, climate, run=run)
        for year, january in enumerate(januaries):
            for season in range(2):
                expected = plain(short, int(january), climate.daily[:, 0], starts, season, run, unfinished)
                here = (each[year, season, 0] for each in (found.onset, found.cessation, found.flag))
                assert tuple(map(int, here)) == expected


@pytest.mark.parametrize("length", [365, 360])
def test_season_over_new_year_is_cut(length: int) -> None:
    beta = np.tile(year_of(length, (300, length + 59)), 5)
    climate = wet_climatology(beta[:, None], 0, length)
    found = wet_seasons(beta[:, None], np.arange(4) * length, climate)
    start = int(climate.start[0, 0])
    assert 60 + 15 <= start <= 300 - 15
    assert found.onset[:, 0, 0].tolist() == [300] * 4
    assert found.cessation[:, 0, 0].tolist() == [length + 59] * 4
    assert found.length[:, 0, 0].tolist() == [length + 59 - 300 + 1] * 4
    assert (found.flag[:, 1, 0] == NO_SEASON).all()


def test_two_seasons_are_taken_for_one() -> None:
    beta = np.tile(year_of(365, (80, 139), (270, 329)), 4)
    climate = wet_climatology(beta[:, None], 0, 365)
    assert (climate.flag[:, 0] == VALID).all()
    found = wet_seasons(beta[:, None], np.arange(3) * 365, climate)
    both = {(int(found.onset[1, k, 0]) % 365, int(found.length[1, k, 0])) for k in range(2)}
    assert both == {(80, 60), (270, 60)}


def test_ocean_has_a_season() -> None:
    beta = np.tile(year_of(365, (100, 200)), 3)[:, None].repeat(2, axis=1)
    beta[:, 0] = np.nan
    climate = wet_climatology(beta, 0, 365)
    found = wet_seasons(beta, np.arange(3) * 365, climate)
    assert (found.flag[:, :, 0] == NO_DATA).all()
    assert (found.onset[:, :, 0] == MISSING).all()
    whole = wet_seasons(beta[:, 1:], np.arange(3) * 365, wet_climatology(beta[:, 1:], 0, 365))
    np.testing.assert_array_equal(found.onset[:, :, 1:], whole.onset)


@pytest.mark.parametrize(("rise", "flag"), [(0.09, NO_SEASON), (0.11, VALID)])
@pytest.mark.parametrize("turned", [False, True])
def test_small_dip_makes_a_second_season(rise: float, flag: int, turned: bool) -> None:
    """A year from 0 to 1 in blocks longer than the mean's 31 days, with a dip before or after its top."""
    blocks = np.repeat([0.0, 0.4 + rise, 0.4, 1.0, 0.7], 73).astype(np.float32)
    year = blocks[::-1] if turned else blocks
    climate = wet_climatology(np.tile(year, 2)[:, None], 0, 365)
    assert climate.flag[:, 0].tolist() == [VALID, flag]
    if flag == VALID:
        assert climate.start[1, 0] == 2 * 73 + 15


def test_flat_bottom_over_new_year_begins_a_year_early() -> None:
    beta = np.tile(np.where((np.arange(365) >= 60) & (np.arange(365) < 300), 0.9, 0.0).astype(np.float32), 3)
    assert wet_climatology(beta[:, None], 0, 365).start[0, 0] == 0
    # Not over New Year, it is the first day on which the mean of 31 days has reached the bottom.
    moved = np.roll(beta, 180)
    assert wet_climatology(moved[:, None], 0, 365).start[0, 0] == (300 + 180 + 15) % 365


def test_result_depends_on_how_cells_are_cut() -> None:
    random = np.random.default_rng(4)
    angle = 2 * np.pi * np.arange(3 * 360) / 360
    beta = np.clip(0.5 + 0.4 * np.cos(angle)[:, None] + random.normal(0, 0.2, (3 * 360, 150)), 0, 1).astype(np.float32)
    starts = np.arange(3) * 360
    whole = wet_seasons(beta, starts, wet_climatology(beta, 0, 360))
    for cut in (slice(0, 1), slice(60, 70), slice(63, 150)):
        part = wet_seasons(beta[:, cut], starts, wet_climatology(beta[:, cut], 0, 360))
        for name in ("onset", "cessation", "length", "flag"):
            np.testing.assert_array_equal(getattr(part, name), getattr(whole, name)[:, :, cut])


@pytest.mark.shared
def test_seasons_of_a_climate_model_are_implausible(shared: Path) -> None:
    """Top soil at 35 N on the coast of Algeria, scaled by its own range: wet in winter, dry from spring to autumn."""
    files = sorted((shared / "data/hadgem2es-rcp45-mrsos-daily").glob("*.nc"))
    decoder = xr.coders.CFDatetimeCoder(use_cftime=True)
    parts = []
    for file in files:
        with xr.open_dataset(file, decode_times=decoder) as data:
            parts.append(data["mrsos"].sel(lat=35, lon=[0, 187.5]).load())
    soil = xr.concat(parts, "time")
    beta = ((soil - soil.min("time")) / (soil.max("time") - soil.min("time"))).values.astype(np.float32)
    # The series begins on 1 December 2005, day 330 of a year of 360.
    climate = wet_climatology(beta, 30, 360)
    starts = (np.arange(2006, 2100) - 2005) * 360 - 330
    found = wet_seasons(beta, starts, climate, threshold=0.2)
    assert (found.flag[:, :, 1] == NO_DATA).all()
    assert 150 < climate.start[0, 0] < 270
    assert climate.flag[1, 0] == NO_SEASON
    valid = found.flag[:, 0, 0] == VALID
    assert np.count_nonzero(valid) > 60
    # Between October and January, and between January and May.
    assert 270 <= np.median(found.onset[valid, 0, 0]) < 390
    assert 360 <= np.median(found.cessation[valid, 0, 0]) < 510
