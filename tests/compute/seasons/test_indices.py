"""Means of periods, the standardised index and WRSI against scipy and plain numpy."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm, rankdata

from compute.seasons.means import period_means
from compute.seasons.standardised import drought_class, reference_ranks, standardised
from compute.seasons.wrsi import relative, tercile

Values = np.ndarray[Any, Any]


@given(seed=st.integers(0, 2**31), missing=st.sampled_from([0.0, 0.05, 0.3]))
def test_mean_of_a_period_differs_from_that_of_numpy(seed: int, missing: float) -> None:
    random = np.random.default_rng(seed)
    values = random.random((60, 4)).astype(np.float32)
    values[random.random(values.shape) < 0.05] = np.nan
    first = random.integers(-5, 60, (7, 4))
    stop = first + random.integers(0, 25, (7, 4))
    found = period_means(values, first, stop, missing=missing)
    for period, cell in np.ndindex(7, 4):
        low, high = int(first[period, cell]), int(stop[period, cell])
        part = values[max(low, 0) : high, cell].astype(float)
        gaps = np.isnan(part).sum()
        whole = low >= 0 and high <= 60 and high > low and gaps <= missing * (high - low) and gaps < high - low
        expected = np.float32(np.nanmean(part)) if whole else np.nan
        np.testing.assert_allclose(found[period, cell], expected, rtol=1e-6)
    fixed = period_means(values, first[:, 0], stop[:, 0], missing=missing)
    np.testing.assert_array_equal(fixed[:, 0], found[:, 0])


def test_cell_without_a_season_or_no_cell_at_all_breaks_the_others() -> None:
    values = np.arange(40, dtype=np.float32).reshape(20, 2)
    first, stop = np.array([[3, -1], [10, -1]]), np.array([[7, -1], [15, -1]])
    found = period_means(values, first, stop)
    assert found[:, 0].tolist() == [values[3:7, 0].mean(), values[10:15, 0].mean()]
    assert np.isnan(found[:, 1]).all()
    assert period_means(values[:, :0], first[:, :0], stop[:, :0]).shape == (2, 0)


def test_index_of_the_reference_itself_differs_from_gringorten() -> None:
    random = np.random.default_rng(2)
    monthly = np.round(random.gamma(2.0, 10.0, (30 * 12, 5))).astype(np.float32)  # with ties
    reference = reference_ranks(monthly)
    found = standardised(monthly, np.arange(360) % 12, reference)
    for month in range(12):
        part = monthly[month::12]
        expected = norm.ppf((rankdata(part, axis=0) - 0.44) / (30 + 0.12))
        np.testing.assert_allclose(found[month::12], expected, rtol=1e-5, atol=1e-6)


def test_month_beyond_the_reference_is_extrapolated() -> None:
    reference = np.full((12, 4, 1), np.nan, np.float32)
    reference[:, :3, 0] = [10.0, 20.0, 40.0]
    found = standardised(np.array([[-5.0], [10], [15], [30], [40], [99]], np.float32), np.zeros(6, int), reference)
    ranks = np.array([1.0, 1.0, 1.5, 2.5, 3.0, 3.0])
    np.testing.assert_allclose(found[:, 0], norm.ppf((ranks - 0.44) / 3.12), rtol=1e-6)


def test_desert_has_an_index() -> None:
    monthly = np.zeros((24, 2), np.float32)
    monthly[:, 1] = np.nan
    found = standardised(monthly, np.arange(24) % 12, reference_ranks(monthly))
    assert np.isnan(found).all()
    assert (drought_class(found) == -1).all()


def test_class_begins_at_another_percentile() -> None:
    shares = np.array([0.01, 0.0199, 0.0201, 0.049, 0.051, 0.099, 0.101, 0.199, 0.201, 0.299, 0.301, 0.9])
    found = drought_class(norm.ppf(shares).astype(np.float32))
    assert found.tolist() == [5, 5, 4, 4, 3, 3, 2, 2, 1, 1, 0, 0]


def test_class_holds_its_upper_border() -> None:
    """As in the definition: below 2 % is D4, 2 % itself is D3."""
    found = drought_class(norm.ppf([0.02, 0.05, 0.10, 0.20, 0.30]).astype(np.float32))
    assert found.tolist() == [4, 3, 2, 1, 0]
    assert drought_class(np.array([-np.inf, np.inf, np.nan], np.float32)).tolist() == [5, 0, -1]


@pytest.mark.parametrize(("years", "expected"), [(27, 4), (28, 5), (30, 5)])
def test_short_reference_reaches_the_driest_class(years: int, expected: int) -> None:
    monthly = np.arange(12 * years, dtype=np.float32)[:, None]
    found = drought_class(standardised(monthly, np.arange(12 * years) % 12, reference_ranks(monthly)))
    assert (found[:12] == expected).all()  # 0.56 / 27.12 = 2.06 %, 0.56 / 28.12 = 1.99 %


def test_cut_into_blocks_or_periods_changes_the_index() -> None:
    random = np.random.default_rng(6)
    monthly = np.round(random.gamma(2.0, 10.0, (20 * 12, 71))).astype(np.float32)
    monthly[random.random(monthly.shape) < 0.2] = np.nan
    month = np.arange(240) % 12
    reference = reference_ranks(monthly[:180])
    whole = standardised(monthly, month, reference)
    for low, high in ((0, 1), (1, 33), (33, 71)):
        part = standardised(monthly[100:, low:high], month[100:], np.ascontiguousarray(reference[..., low:high]))
        np.testing.assert_array_equal(part, whole[100:, low:high])
    assert (np.isnan(whole) == np.isnan(monthly)).all()


def test_gaps_of_the_reference_count_as_years() -> None:
    random = np.random.default_rng(7)
    monthly = np.round(random.gamma(2.0, 10.0, (30 * 12, 3))).astype(np.float32)
    monthly[random.random(monthly.shape) < 0.3] = np.nan
    found = standardised(monthly, np.arange(360) % 12, reference_ranks(monthly))
    for month, cell in np.ndindex(12, 3):
        part = monthly[month::12, cell]
        known = ~np.isnan(part)
        expected = norm.ppf((rankdata(part[known]) - 0.44) / (known.sum() + 0.12))
        np.testing.assert_allclose(found[month::12, cell][known], expected, rtol=1e-5, atol=1e-6)


def test_driest_of_thirty_years_is_no_exceptional_drought() -> None:
    monthly = np.arange(360, dtype=np.float32)[:, None]
    found = drought_class(standardised(monthly, np.arange(360) % 12, reference_ranks(monthly)))
    assert (found[:12] == 5).all()
    assert (found[12:24] == 3).all()  # (2 - 0.44) / 30.12 = 5.2 %


def test_tercile_uses_a_mean_absolute_deviation() -> None:
    random = np.random.default_rng(3)
    reference = random.gamma(3.0, 0.1, (30, 50)).astype(np.float32)
    mean, spread = reference.mean(axis=0), reference.std(axis=0, ddof=1)
    found = tercile(reference, mean, spread)
    low, high = (norm.ppf(share, mean, spread) for share in (0.33, 0.67))
    np.testing.assert_array_equal(found, np.where(reference < low, 0, np.where(reference > high, 2, 1)))
    np.testing.assert_allclose(relative(reference, mean), 100 * reference / mean, rtol=1e-6)


def test_nothing_is_a_tercile_of_nothing() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        means = np.array([[0.0, np.nan, 0.5]], np.float32)
        found = tercile(means, np.array([0.0, 0.4, 0.4]), np.array([0.0, 0.1, np.nan]))
        assert found.tolist() == [[-1, -1, -1]]
        assert np.isnan(relative(means, np.array([0.0, 0.4, np.nan]))).all()


@pytest.mark.parametrize("shape", [(0, 3), (11, 3)])
def test_reference_shorter_than_a_year_breaks(shape: tuple[int, int]) -> None:
    assert reference_ranks(np.zeros(shape, np.float32)).shape == (12, 0, 3)
