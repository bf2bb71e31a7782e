"""Dry days and their runs against xclim and a plain count."""

from __future__ import annotations

import itertools
import warnings
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from compute.seasons.spells import TILE, dry_spells

Values = np.ndarray[Any, Any]


def plain(series: list[float], limits: list[float], spell: int) -> tuple[int, int, int, int]:
    """Dry days, longest run, runs of `spell` or more, days with values, of one period and cell."""
    dry = [value < limit for value, limit in zip(series, limits, strict=True)]
    runs = [len(list(group)) for is_dry, group in itertools.groupby(dry) if is_dry]
    valid = sum(value == value for value in series)
    return sum(dry), max(runs, default=0), sum(run >= spell for run in runs), valid


@given(
    values=arrays.arrays(
        np.float32,
        st.tuples(st.integers(1, 40), st.integers(1, 5)),
        elements=st.sampled_from([0.0, 0.5, 1.0, 1.5, 30.0, float("nan")]),
    ),
    edges=st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), min_size=1, max_size=4),
    spell=st.integers(1, 6),
)
def test_run_is_counted_across_an_edge_or_a_gap(values: Values, edges: list[tuple[int, int]], spell: int) -> None:
    periods = [tuple(sorted(min(edge, len(values)) for edge in pair)) for pair in edges]
    first, stop = zip(*periods, strict=True)
    found = dry_spells(values, first, stop, 1.0, spell=spell)
    by_day = dry_spells(
        values, first, stop, np.full((3, values.shape[1]), 1.0, np.float32), spell=spell, day=np.arange(len(values)) % 3
    )
    for period, (low, high) in enumerate(periods):
        for cell in range(values.shape[1]):
            expected = plain(values[low:high, cell].tolist(), [1.0] * (high - low), spell)
            for each in (found, by_day):
                counts = each.days, each.longest, each.spells, each.valid
                assert tuple(int(count[period, cell]) for count in counts) == expected


def test_limit_of_another_day_or_cell_is_taken() -> None:
    random = np.random.default_rng(1)
    values = random.gamma(0.5, 4.0, (100, 7)).astype(np.float32)
    limits = random.gamma(0.5, 4.0, (11, 7)).astype(np.float32)
    day = random.integers(0, 11, 100)
    found = dry_spells(values, [3], [97], limits, spell=2, day=day)
    for cell in range(7):
        expected = plain(values[3:97, cell].tolist(), limits[day[3:97], cell].tolist(), 2)
        assert (found.days[0, cell], found.longest[0, cell], found.spells[0, cell], found.valid[0, cell]) == expected


def test_cells_beyond_a_tile_are_left_out() -> None:
    values = np.random.default_rng(2).gamma(0.5, 4.0, (31, TILE + 5)).astype(np.float32)
    found = dry_spells(values, [0], [31], 1.0)
    np.testing.assert_array_equal(found.days[0], np.count_nonzero(values < 1, axis=0))
    for cells in (slice(0, 3), slice(TILE - 1, TILE + 2)):
        part = dry_spells(values[:, cells], [0], [31], 1.0)
        np.testing.assert_array_equal(part.longest, found.longest[:, cells])


@pytest.mark.parametrize("calendar", ["standard", "noleap", "360_day"])
@pytest.mark.parametrize("freq", ["YS", "YS-JUL", "MS", "QS-DEC"])
def test_counts_differ_from_those_of_xclim(calendar: str, freq: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from xclim import indices
        from xclim.indices.run_length import windowed_run_events

        time = xr.date_range("2001-01-01", periods=1500, calendar=calendar, use_cftime=True)
        random = np.random.default_rng(3)
        # Tenths, so that many days are at the threshold; cells all dry, all wet, and with missing days.
        values = np.round(random.gamma(0.3, 2.0, (1500, 6)), 1).astype(np.float32)
        values[:, 3], values[:, 4] = 0.0, 1.0
        values[random.random(1500) < 0.1, 5] = np.nan
        assert np.count_nonzero(values[:, :3] == 1) > 50
        data = xr.DataArray(values, {"time": time}, ("time", "cell"), attrs={"units": "mm/day"})
        place = xr.DataArray(np.arange(1500), {"time": time}, ("time",)).resample(time=freq)
        first, stop = place.min().values.astype(int), place.max().values.astype(int) + 1
        found = dry_spells(values, first, stop, 1.0, spell=3)
        days = indices.dry_days(data, thresh="1 mm/day", freq=freq)
        longest = indices.maximum_consecutive_dry_days(data, thresh="1 mm/day", freq=freq)
        # Not dry_spell_frequency: it counts a spell over an edge on both sides, however short a side is.
        spells = (data < 1).resample(time=freq).map(windowed_run_events, window=3, dim="time")
    np.testing.assert_array_equal(found.days, days.transpose("time", "cell"))
    np.testing.assert_array_equal(found.longest, longest.transpose("time", "cell"))
    np.testing.assert_array_equal(found.spells, spells.transpose("time", "cell"))


def test_period_outside_the_days_is_read() -> None:
    values = np.zeros((10, 2), np.float32)
    for first, stop in ((-1, 5), (0, 11)):
        with pytest.raises(ValueError, match="outside"):
            dry_spells(values, [first], [stop], 1.0)
    with pytest.raises(ValueError, match="one day"):
        dry_spells(values, [0], [10], 1.0, spell=0)
    with pytest.raises(ValueError, match="year"):
        dry_spells(values, [0], [10], np.zeros((3, 1), np.float32), day=np.zeros(10, int))
    with pytest.raises(ValueError, match="row"):
        dry_spells(values, [0], [10], np.zeros((3, 2), np.float32), day=np.full(10, 3))
