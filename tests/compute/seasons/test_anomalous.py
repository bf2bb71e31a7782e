"""Wet seasons by anomalous accumulation against worked cases, a plain second implementation and real rain."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from compute.seasons.anomalous import Climatology, Seasons, climatology, in_progress, seasons
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

from . import plain_dunning as plain

YEARS = 5


def wet_on(length: int, *spells: tuple[int, int], years: int = YEARS) -> Any:
    """10 mm on the days of the spells, first and last, each year; shape (days, 1)."""
    year = np.zeros(length, np.float32)
    for first, last in spells:
        year[first : last + 1] = 10.0
    return np.tile(year, years)[:, None]


def evaluated(rain: Any, length: int, **options: float) -> tuple[Climatology, Seasons]:
    climate = climatology(rain, 0, length, **options)
    return climate, seasons(rain, np.arange(len(rain) // length) * length, climate)


WORKED = [
    (365, [(120, 239)], (120, 239), (120, 239)),
    (365, [(320, 364), (0, 54)], (320, 419), (320, 419)),
    (360, [(320, 359), (0, 54)], (320, 414), (320, 414)),
    (365, [(0, 99)], (0, 99), (0, 99)),
]
"""SCIENCE 4.2: length of the year, wet days, climatological season, season of each year."""


@pytest.mark.parametrize(("length", "wet", "normal", "found"), WORKED)
def test_worked_case_of_one_season_differs(length: int, wet: Any, normal: Any, found: Any) -> None:
    climate, made = evaluated(wet_on(length, *wet), length)
    assert climate.ratio[0] < 1
    assert (climate.start[0, 0], climate.end[0, 0]) == normal
    np.testing.assert_array_equal(climate.flag[:, 0], [VALID, NO_SEASON])
    assert climate.start[1, 0] == climate.end[1, 0] == MISSING
    assert climate.short_rains[0] == 0
    assert climate.spread[0, 0] == 0
    for year in range(1, YEARS - 1):
        assert (made.onset[year, 0, 0], made.cessation[year, 0, 0]) == found
        assert made.length[year, 0, 0] == found[1] - found[0] + 1
    assert (made.flag[:, 1] == NO_SEASON).all()


def test_worked_case_of_two_seasons_differs() -> None:
    climate, made = evaluated(wet_on(365, (80, 139), (270, 329)), 365)
    assert climate.ratio[0] == pytest.approx(13.4, abs=0.05)
    np.testing.assert_array_equal(climate.start[:, 0], [264, 74])
    np.testing.assert_array_equal(climate.end[:, 0], [334, 144])
    assert climate.short_rains[0] == 1
    np.testing.assert_array_equal(made.onset[1:-1, :, 0], [[270, 80]] * 3)
    np.testing.assert_array_equal(made.cessation[1:-1, :, 0], [[329, 139]] * 3)
    np.testing.assert_array_equal(made.length[1:-1], 60)
    assert (made.flag[1:-1] == VALID).all()


def test_season_whose_window_leaves_the_series_is_given() -> None:
    _, made = evaluated(wet_on(365, (320, 364), (0, 54)), 365)
    np.testing.assert_array_equal(made.flag[:, 0, 0], [VALID] * 4 + [INCOMPLETE])
    np.testing.assert_array_equal(made.onset[-1], MISSING)
    np.testing.assert_array_equal(made.missing_days[:, 0, 0], [0] * 4 + [MISSING])


def test_first_and_last_year_with_whole_windows_are_dropped() -> None:
    """The published code drops them always; a window that lies in the series holds all that is needed."""
    _, made = evaluated(wet_on(365, (120, 239)), 365)
    np.testing.assert_array_equal(made.onset[:, 0, 0], 120)


def gamma_rain(rng: Any, length: int, years: int, spells: list[tuple[int, int]]) -> Any:
    """Showers of 8 mm on two days of five in the spells, which scatter by some days, and on few days outside."""
    rain = rng.gamma(0.7, 8.0, (years + 1) * length) * (rng.random((years + 1) * length) < 0.04)
    for year in range(years):
        for first, last in spells:
            begin = year * length + first + int(rng.integers(-8, 9))
            days = np.arange(max(begin, 0), begin + last - first + 1)
            rain[days] = rng.gamma(0.7, 12.0, len(days)) * (rng.random(len(days)) < 0.4)
    return rain[: years * length]


SPELLS = {
    "one": [(150, 260)],
    "over New Year": [(310, 430)],
    "from New Year": [(8, 100)],
    "long": [(40, 330)],
    "two": [(75, 145), (275, 340)],
    "two close": [(120, 165), (185, 240)],
    "two over New Year": [(330, 395), (170, 230)],
    "two beyond the extension": [(300, 440), (130, 190)],
    "three": [(40, 80), (160, 200), (280, 320)],
    "none": [],
}
CONSTANT = ("dry", "wet", "event", "event of one year", "harmonic")


def cell(kind: str, seed: int, length: int, years: int) -> Any:
    rng = np.random.default_rng(seed)
    rain = np.zeros(years * length)
    if kind in SPELLS:
        return gamma_rain(rng, length, years, SPELLS[kind])
    if kind == "wet":
        rain[:] = 10.0 * rng.random() + 0.1
    elif kind == "event":
        rain[rng.integers(length) :: length] = 30.0 + 20.0 * rng.random()
    elif kind == "event of one year":
        rain[rng.integers(len(rain))] = 500.0
    elif kind == "harmonic":
        rain += 5.0 + 4.0 * np.cos(2 * np.pi * rng.integers(1, 4) * np.arange(len(rain)) / length)
    return rain


@st.composite
def series(draw: st.DrawFn) -> tuple[Any, int]:
    """Rain (days, cells) of some whole years, and their length; some of the days missing."""
    length = draw(st.sampled_from([365, 360]))
    years = draw(st.integers(1, 6))
    kinds = draw(st.lists(st.sampled_from([*SPELLS, *CONSTANT]), min_size=1, max_size=4))
    seed = draw(st.integers(0, 2**32 - 1))
    rain = np.stack([cell(kind, seed + n, length, years) for n, kind in enumerate(kinds)], axis=1).astype(np.float32)
    rng = np.random.default_rng(seed)
    scattered = draw(st.sampled_from([0.0, 0.0, 0.02, 0.06]))
    rain[rng.random(rain.shape) < scattered] = np.nan
    run = draw(st.sampled_from([0, 0, 12, 40]))
    first = int(rng.integers(len(rain)))
    rain[first : first + run] = np.nan
    return rain, length


def of_all(kinds: list[str], length: int, years: int) -> tuple[Any, int]:
    cells = [cell(kind, number, length, years) for number, kind in enumerate(kinds)]
    return np.stack(cells, axis=1).astype(np.float32), length


@settings(max_examples=60)
@given(series(), st.sampled_from([0.0, 0.0, 1.0, 1.0, 3.0]), st.sampled_from([10.0, 45.0, 1000.0]))
@example(of_all(list(SPELLS), 365, 6), 1.0, 45.0)
@example(of_all(list(SPELLS), 360, 6), 1.0, 45.0)
@example(of_all(list(CONSTANT), 365, 4), 1.0, 45.0)
@example(of_all(list(CONSTANT), 360, 4), 0.0, 1000.0)
def test_kernel_departs_from_the_plain_steps(made: tuple[Any, int], arid: float, spread: float) -> None:
    rain, length = made
    climate = climatology(rain, 0, length, arid=arid, spread=spread)
    starts = np.arange(-1, len(rain) // length + 1) * length
    found = seasons(rain, starts, climate)
    for c in range(rain.shape[1]):
        wanted = plain.climate(rain[:, c], length, arid, spread)
        np.testing.assert_array_equal(climate.flag[:, c], wanted.flags)
        normal = wanted.seasons + [(MISSING, MISSING)] * (2 - len(wanted.seasons))
        np.testing.assert_array_equal(np.stack([climate.start[:, c], climate.end[:, c]], axis=1), normal)
        np.testing.assert_allclose(climate.spread[:, c], wanted.spread, rtol=1e-6)
        np.testing.assert_array_equal(climate.years[:, c], wanted.years)
        assert climate.short_rains[c] == wanted.short_rains
        np.testing.assert_allclose(climate.mean[c], wanted.alpha, rtol=1e-12)
        np.testing.assert_allclose(climate.ratio[c], wanted.ratio, rtol=1e-4)
        if wanted.beta is None:
            assert np.isnan(climate.daily[:, c]).all()
        else:
            np.testing.assert_allclose(climate.daily[:, c], wanted.beta, rtol=1e-6)
        for n in range(2):
            for year, january in enumerate(starts):
                onset, cessation, flag, gaps = plain.season(rain[:, c], int(january), wanted, n)
                days = cessation - onset + 1 if flag == VALID else MISSING
                told = [each[year, n, c] for each in (found.onset, found.cessation, found.length, found.flag)]
                assert told == [onset, cessation, days, flag]
                assert found.missing_days[year, n, c] == gaps


@settings(max_examples=40)
@given(series(), st.integers(-30, 30), st.sampled_from([0.0, 0.3, 1.0]))
@example(of_all(list(SPELLS), 365, 6), 25, 0.3)
@example(of_all(list(SPELLS), 360, 6), -20, 0.0)
def test_seasons_of_other_rain_depart_from_the_plain_steps(made: tuple[Any, int], later: int, share: float) -> None:
    """Rain of another time and amount than the reference's; in the second year there is none."""
    rain, length = made
    climate = climatology(rain, 0, length, spread=1000.0)
    other = np.roll(rain, later, axis=0) * np.float32(share)
    other[length : 2 * length] *= np.float32(0.0)
    starts = np.arange(-1, len(rain) // length + 1) * length
    found = seasons(other, starts, climate)
    for c in range(rain.shape[1]):
        known = plain.climate(rain[:, c], length, spread=1000.0)
        for n in range(2):
            for year, january in enumerate(starts):
                onset, cessation, flag, gaps = plain.season(other[:, c], int(january), known, n)
                told = [each[year, n, c] for each in (found.onset, found.cessation, found.flag, found.missing_days)]
                assert told == [onset, cessation, flag, gaps]


def test_year_without_rain_has_a_season() -> None:
    rain = wet_on(365, (120, 239))
    climate = climatology(rain, 0, 365)
    rain[2 * 365 : 3 * 365] = 0.0
    made = seasons(rain, np.arange(YEARS) * 365, climate)
    np.testing.assert_array_equal(made.flag[:, 0, 0], [VALID, VALID, NO_ONSET, VALID, VALID])
    assert made.onset[2, 0, 0] == made.cessation[2, 0, 0] == made.length[2, 0, 0] == MISSING


def everything(climate: Climatology, made: Seasons) -> list[Any]:
    return [*vars(climate).values(), *vars(made).values()]


def test_blocks_of_cells_change_results() -> None:
    kinds = [*SPELLS, *CONSTANT] * 3
    rain, length = of_all(kinds, 365, 6)
    rain[np.random.default_rng(1).random(rain.shape) < 0.01] = np.nan
    whole = everything(*evaluated(rain, length))
    for size in (1, 7, 16, 20):
        parts = [everything(*evaluated(rain[:, at : at + size], length)) for at in range(0, rain.shape[1], size)]
        for number, wanted in enumerate(whole):
            np.testing.assert_array_equal(np.concatenate([part[number] for part in parts], axis=-1), wanted)


def test_blocks_of_years_change_seasons() -> None:
    rain, length = of_all(list(SPELLS), 365, 8)
    climate, whole = evaluated(rain, length)
    some = rain[2 * length : 7 * length]
    part = seasons(some, np.arange(1, 4) * length, climate)
    for name, wanted in vars(whole).items():
        np.testing.assert_array_equal(getattr(part, name), wanted[3:6])


def test_days_before_the_first_whole_year_move_the_reference() -> None:
    rain, length = of_all(list(SPELLS), 365, 5)
    longer = np.concatenate([np.full((100, rain.shape[1]), 50.0, np.float32), rain, rain[:200] + 9.0])
    for wanted, found in zip(
        vars(climatology(rain, 0, length)).values(), vars(climatology(longer, 100, length)).values(), strict=True
    ):
        np.testing.assert_array_equal(found, wanted)


def sahel(years: int = 30, shift: int = 0) -> Any:
    rng = np.random.default_rng(7)
    day = np.tile(np.arange(365), years) - shift
    chance = 0.6 * np.exp(-(((day - 220) / 40.0) ** 2))
    return (rng.gamma(0.8, 12.0, len(day)) * (rng.random(len(day)) < chance)).astype(np.float32)[:, None]


def test_drying_is_hidden_by_the_reference() -> None:
    """SCIENCE 4.1: with the mean of the reference the season is shorter, with its own it is as before."""
    rain = sahel()
    past, before = evaluated(rain, 365)
    drier = rain * np.float32(0.75)
    against_past = seasons(drier, np.arange(30) * 365, past)
    _, own = evaluated(drier, 365)
    for name in ("onset", "cessation", "length", "flag"):
        np.testing.assert_array_equal(getattr(own, name), getattr(before, name))
    assert (before.flag[:, 0] == VALID).all()
    assert (against_past.flag[:, 0] == VALID).all()
    assert against_past.length[:, 0].mean() < before.length[:, 0].mean() - 3


@pytest.mark.parametrize("later", [3, 7])
def test_later_rain_has_no_later_onset(later: int) -> None:
    climate, before = evaluated(sahel(), 365)
    rain = np.concatenate([np.zeros((later, 1), np.float32), sahel()[:-later]])
    after = seasons(rain, np.arange(30) * 365, climate)
    np.testing.assert_array_equal(after.onset[:, 0], before.onset[:, 0] + later)
    np.testing.assert_array_equal(after.cessation[:, 0], before.cessation[:, 0] + later)


def test_ocean_is_zero() -> None:
    climate, made = evaluated(np.full((3 * 365, 2), np.nan, np.float32), 365)
    assert (climate.flag == NO_DATA).all()
    assert (made.flag == NO_DATA).all()
    assert np.isnan(climate.mean).all()
    for each in (made.onset, made.cessation, made.length, made.missing_days):
        assert (each == MISSING).all()


@pytest.mark.parametrize("amount", [0.0, 5.0])
def test_rain_that_never_varies_has_a_season(amount: float) -> None:
    rain = np.full((3 * 365, 1), amount, np.float32)
    assert (evaluated(rain, 365)[0].flag == ARID).all()
    climate = climatology(rain, 0, 365, arid=0.0)
    assert (climate.flag == NO_SEASON).all()
    assert (climate.start == MISSING).all()


def test_uk_rain_has_a_wet_season() -> None:
    """Rain nearly alike in all months passes the masks, but its onset scatters (SCIENCE 4.1)."""
    rng = np.random.default_rng(3)
    rain = rng.gamma(0.8, 6.0, (30 * 365, 8)) * (rng.random((30 * 365, 8)) < 0.5)
    rain *= 1.0 + 0.2 * np.cos(2.0 * np.pi * (np.arange(len(rain)) - 330) / 365)[:, None]
    climate, made = evaluated(rain.astype(np.float32), 365)
    np.testing.assert_array_equal(climate.flag[0], INDETERMINATE)
    assert (climate.spread[0] > 45).all()
    assert (climate.start[0] != MISSING).all()
    np.testing.assert_array_equal(made.onset, MISSING)
    np.testing.assert_array_equal(made.flag[:, 0], INDETERMINATE)


def test_one_year_is_determinate() -> None:
    climate = climatology(wet_on(365, (120, 239), years=1), 0, 365)
    assert climate.flag[0, 0] == INDETERMINATE
    assert climate.years[0, 0] == 1
    assert np.isnan(climate.spread[0, 0])


def test_missing_days_are_dry_days() -> None:
    rain = wet_on(365, (120, 239))
    climate = climatology(rain, 0, 365)
    gappy = rain.copy()
    gappy[365 + 118 : 365 + 124] = np.nan
    gappy[2 * 365 + 100 : 2 * 365 + 112] = np.nan
    made = seasons(gappy, np.arange(YEARS) * 365, climate)
    np.testing.assert_array_equal(made.flag[:, 0, 0], [VALID, VALID, MISSING_DAYS, VALID, VALID])
    np.testing.assert_array_equal(made.missing_days[:, 0, 0], [0, 6, 12, 0, 0])
    assert made.onset[1, 0, 0] == 120


@pytest.mark.parametrize(
    ("days", "onset", "cessation", "flag"),
    [
        (60, None, None, INCOMPLETE),  # before the window
        (119, None, None, INCOMPLETE),  # dry so far
        (126, None, None, INCOMPLETE),  # too few days after the lowest
        (127, 120, None, NO_CESSATION),
        (230, 120, None, NO_CESSATION),
        (246, 120, None, NO_CESSATION),  # too few days after the highest
        (247, 120, 239, VALID),
        (288, 120, 239, VALID),
        (289, None, None, INCOMPLETE),  # the window is whole
    ],
)
def test_season_so_far_is_known_too_early(days: int, onset: int | None, cessation: int | None, flag: int) -> None:
    rain = wet_on(365, (120, 239))
    climate = climatology(rain, 0, 365)
    made = in_progress(rain[: 365 + days], np.array([0, 365, 730]), climate)
    np.testing.assert_array_equal(made.flag[:, 0, 0], [INCOMPLETE, flag, INCOMPLETE])
    assert made.onset[1, 0, 0] == (MISSING if onset is None else onset)
    assert made.cessation[1, 0, 0] == (MISSING if cessation is None else cessation)
    assert made.length[1, 0, 0] == (MISSING if cessation is None else 120)


def test_season_so_far_is_not_that_of_the_window_filled_with_the_mean() -> None:
    rain = sahel(10)
    climate = climatology(rain, 0, 365)
    known = plain.climate(rain[:, 0], 365)
    start, end = known.seasons[0]
    told = 0
    for days in range(start - 45, end + 50, 5):
        stop = 9 * 365 + days
        made = in_progress(rain[:stop], np.array([9 * 365]), climate)
        filled = rain[:, 0].astype(np.float64)
        filled[stop:] = np.asarray(known.beta, np.float32)[days:]
        onset, cessation, flag, _ = plain.season(filled, 9 * 365, known, 0)
        assert flag == VALID
        begun, ended = onset - 1 < days - 7, cessation < days - 7
        assert made.onset[0, 0, 0] == (onset if begun else MISSING)
        assert made.cessation[0, 0, 0] == (cessation if ended else MISSING)
        assert made.flag[0, 0, 0] == (VALID if ended else NO_CESSATION if begun else INCOMPLETE)
        told += begun + ended
    assert told > 10


def test_days_to_come_count_as_missing() -> None:
    rain = wet_on(365, (120, 239))
    climate = climatology(rain, 0, 365)
    gappy = rain[: 365 + 170].copy()
    gappy[365 + 150 : 365 + 155] = np.nan
    made = in_progress(gappy, np.array([365]), climate)
    assert (made.flag[0, 0, 0], made.missing_days[0, 0, 0]) == (NO_CESSATION, 5)
    gappy[365 + 155] = np.nan  # 6 of the 100 days so far
    made = in_progress(gappy, np.array([365]), climate)
    assert (made.flag[0, 0, 0], made.missing_days[0, 0, 0]) == (MISSING_DAYS, 6)


def test_wrong_shapes_are_computed() -> None:
    rain = wet_on(365, (120, 239))
    climate = climatology(rain, 0, 365)
    with pytest.raises(ValueError, match="no year of 365 days"):
        climatology(rain[:364], 0, 365)
    with pytest.raises(ValueError, match="shapes do not fit: mean"):
        seasons(np.zeros((800, 2), np.float32), np.array([0]), climate)
    with pytest.raises(ValueError, match="longer than a year"):
        seasons(rain, np.array([0]), replace(climate, end=climate.end + np.int16(500)))


def alert_rain(shared: Path) -> tuple[Any, Any]:
    """Retained days of 1970-2011 and their calendar years, without 29 February."""
    rain = np.loadtxt(shared / "data/tamsat-alert-point-rainfall/all_hist.txt")[:, 2]
    dates = np.datetime64("1970-01-01") + np.arange(len(rain))
    assert dates[-1] == np.datetime64("2011-12-31")
    leap = np.array([str(date)[5:] == "02-29" for date in dates])
    return rain[~leap].astype(np.float32), dates[~leap].astype("datetime64[Y]").astype(int) + 1970


@pytest.mark.shared
def test_point_rainfall_differs_from_its_published_totals(shared: Path) -> None:
    rain, _ = alert_rain(shared)
    told = np.loadtxt(shared / "data/tamsat-alert-point-rainfall/histmetric.txt", skiprows=1)
    totals = rain.reshape(42, 365)[:40, :272].sum(axis=1, dtype=np.float64)
    off = totals - told[:, 1]
    odd = told[:, 0] == 1988
    assert np.abs(off[~odd]).max() < 0.05
    assert off[odd] == pytest.approx(-0.9, abs=0.05)


@pytest.mark.shared
def test_seasons_of_point_rainfall_are_implausible(shared: Path) -> None:
    """One wet season, with most rain in August and September, in 42 years."""
    rain, years = alert_rain(shared)
    assert len(rain) == 42 * 365
    climate, made = evaluated(rain[:, None], 365)
    assert climate.ratio[0] < 1
    np.testing.assert_array_equal(climate.flag[:, 0], [VALID, NO_SEASON])
    assert climate.start[0, 0] < 212 < 272 < climate.end[0, 0]
    assert (made.flag[:, 0, 0] == VALID).all()
    onset, cessation = made.onset[:, 0, 0].astype(int), made.cessation[:, 0, 0].astype(int)
    assert 90 < onset.mean() < 212
    assert 242 < cessation.mean() < 320
    for year in range(42):
        inside = rain[365 * year + onset[year] : 365 * year + cessation[year] + 1]
        assert inside.mean() > climate.mean[0]
    wanted = plain.climate(rain, 365)
    for year in range(42):
        first, last, flag, _ = plain.season(rain, 365 * year, wanted, 0)
        assert (onset[year], cessation[year], flag) == (first, last, VALID)
    assert years[0] == 1970
