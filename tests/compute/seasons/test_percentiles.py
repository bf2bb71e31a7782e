"""Percentiles of each day of the year against numpy and xclim."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from compute.seasons.percentiles import percentile_by_day

Values = np.ndarray[Any, Any]


def plain(values: Values, first: int, length: int, percentile: float, window: int) -> Values:
    years = (len(values) - first) // length
    table = values[first : first + years * length].reshape(years, length, -1)
    found = np.full(table.shape[1:], np.nan)
    for day in range(length):
        pool = table[:, [(day + step) % length for step in range(-window, window + 1)]].reshape(-1, table.shape[2])
        for cell in range(table.shape[2]):
            known = pool[:, cell][~np.isnan(pool[:, cell])].astype(np.float64)
            if len(known):
                found[day, cell] = np.percentile(known, percentile)
    return found


@settings(max_examples=25)
@given(
    seed=st.integers(0, 2**31),
    length=st.sampled_from([20, 37]),
    first=st.integers(0, 19),
    percentile=st.sampled_from([0.5, 5.0, 20.0, 50.0, 99.0]),
    window=st.integers(0, 9),
    ties=st.booleans(),
)
def test_percentile_differs_from_that_of_numpy(
    seed: int, length: int, first: int, percentile: float, window: int, ties: bool
) -> None:
    random = np.random.default_rng(seed)
    values = random.gamma(0.5, 3.0, (first + 6 * length + 7, 3)).astype(np.float32)
    values = np.round(values) if ties else values
    values[random.random(values.shape) < 0.03] = np.nan
    found = percentile_by_day(values, first, length, percentile, window=window, missing=0.2)
    expected = plain(values, first, length, percentile, window)
    np.testing.assert_allclose(found, expected.astype(np.float32), rtol=1e-6, atol=1e-7)


def test_percentile_differs_from_that_of_xclim() -> None:
    """Inside the year: xclim does not close it to a circle, but takes days of the years before and after."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from xclim.core.calendar import percentile_doy

        time = xr.date_range("2001-01-01", periods=10 * 365, calendar="noleap", use_cftime=True)
        values = np.random.default_rng(1).random((3650, 2)).astype(np.float32)
        data = xr.DataArray(values, {"time": time}, ("time", "cell"), attrs={"units": "1"})
        expected = percentile_doy(data, window=31, per=20, alpha=1.0, beta=1.0).squeeze().transpose("dayofyear", "cell")
    found = percentile_by_day(values, 0, 365, 20.0, window=15)
    np.testing.assert_allclose(found[15:-15], expected.values[15:-15], rtol=1e-5)


def test_cell_with_too_many_gaps_has_a_percentile() -> None:
    values = np.ones((10 * 365, 3), np.float32)
    values[:182, 1] = np.nan  # 5 % of 3650 are 182.5
    values[:183, 2] = np.nan
    found = percentile_by_day(values, 0, 365, 20.0)
    assert np.isfinite(found[:, :2]).all()
    assert np.isnan(found[:, 2]).all()


def test_reference_without_a_year_is_taken() -> None:
    with pytest.raises(ValueError, match="whole year"):
        percentile_by_day(np.zeros((300, 1), np.float32), 0, 365, 20.0)


def test_cut_into_blocks_changes_percentiles() -> None:
    random = np.random.default_rng(4)
    values = np.round(random.normal(0, 2, (5 * 37, 41))).astype(np.float32)
    values[random.random(values.shape) < 0.03] = np.nan
    whole = percentile_by_day(values, 0, 37, 20.0, window=4)
    for low, high in ((0, 1), (1, 17), (17, 41)):
        part = percentile_by_day(values[:, low:high], 0, 37, 20.0, window=4)
        np.testing.assert_array_equal(part, whole[:, low:high])


def test_days_before_and_after_whole_years_are_pooled() -> None:
    values = np.full((7 + 3 * 20 + 5, 1), 1e6, np.float32)
    values[7:-5] = 1.0
    assert (percentile_by_day(values, 7, 20, 99.0, window=9) == 1.0).all()


def test_sign_of_zero_depends_on_the_order_of_days() -> None:
    values = np.zeros((60, 2), np.float32)
    values[::2, 0] = -0.0
    values[1::2, 1] = -0.0
    assert not np.signbit(percentile_by_day(values, 0, 20, 20.0, window=3)).any()
