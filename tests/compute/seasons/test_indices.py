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
