"""Tests of significance against scipy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import false_discovery_control, mannwhitneyu

from compute.change.statistics import benjamini_hochberg, mann_whitney

Values = np.ndarray[Any, Any]


def lag_one(values: Values) -> float:
    around = values - values.mean()
    square = float((around**2).sum())
    return float((around[1:] * around[:-1]).sum()) / square if square > 0 else 0.0


@given(
    seed=st.integers(0, 2**31),
    sizes=st.tuples(st.integers(20, 40), st.integers(20, 40)),
    levels=st.sampled_from([2, 5, 1000]),
    shift=st.floats(-2, 2),
)
def test_p_differs_from_that_of_scipy(seed: int, sizes: tuple[int, int], levels: int, shift: float) -> None:
    random = np.random.default_rng(seed)
    past, future = (
        np.round(random.normal(0, 1, (size, 3)) * levels) / levels + move
        for size, move in zip(sizes, (0.0, round(shift, 3)), strict=True)
    )
    found = mann_whitney(past, future)
    for cell in range(3):
        a, b = past[:, cell], future[:, cell]
        n, m = sizes
        worth = 0.0
        for each in (a, b):
            r = lag_one(each)
            worth += len(each) * ((1 - r) / (1 + r) if r > 0.2 else 1.0)
        plain = mannwhitneyu(a, b, method="asymptotic")
        if worth == n + m:
            np.testing.assert_allclose(found[cell], plain.pvalue, rtol=1e-9)
        else:
            # z shrinks by the share of years that are worth something.
            from scipy.stats import norm

            z = norm.isf(plain.pvalue / 2) * np.sqrt(worth / (n + m))
            if plain.pvalue < 0.999:
                np.testing.assert_allclose(found[cell], 2 * norm.sf(z), rtol=1e-6)


def test_trend_within_a_window_counts_as_many_years() -> None:
    years = np.arange(30.0)
    past, future = years[:, None], years[:, None] + 8.0
    plain = mannwhitneyu(past[:, 0], future[:, 0], method="asymptotic").pvalue
    assert plain < 0.05
    assert mann_whitney(past, future)[0] > 0.3


def test_too_few_seasons_have_a_significance() -> None:
    random = np.random.default_rng(1)
    past, future = random.normal(0, 1, (30, 3)), random.normal(5, 1, (30, 3))
    past[:11, 0] = np.nan  # 19 are left
    past[:10, 1] = np.nan
    # Low and high years in turn: no positive correlation from year to year.
    past[10::2, 1], past[11::2, 1] = np.sort(past[10:, 1])[:10], np.sort(past[10:, 1])[10:]
    future[::2, 1], future[1::2, 1] = np.sort(future[:, 1])[:15], np.sort(future[:, 1])[15:]
    future[5:, 2] = np.nan
    found = mann_whitney(past, future)
    assert np.isnan(found[[0, 2]]).all()
    expected = mannwhitneyu(past[10:, 1], future[:, 1], method="asymptotic").pvalue
    np.testing.assert_allclose(found[1], expected, rtol=1e-9)
    assert np.isfinite(mann_whitney(past, future, least=5)).all()


def test_equal_values_are_significant() -> None:
    assert np.isnan(mann_whitney(np.ones((25, 1)), np.ones((25, 1)))[0])


@given(seed=st.integers(0, 2**31), rate=st.sampled_from([0.05, 0.1, 0.25]), strong=st.integers(0, 60))
def test_rate_of_false_discoveries_differs_from_that_of_scipy(seed: int, rate: float, strong: int) -> None:
    random = np.random.default_rng(seed)
    p = random.random(80)
    p[:strong] **= 6
    adjusted = false_discovery_control(p, method="bh")
    with_gaps = np.concatenate([p, [np.nan, np.nan]])
    found = benjamini_hochberg(with_gaps, rate)
    np.testing.assert_array_equal(found[:80], adjusted <= rate)
    assert not found[80:].any()


@pytest.mark.parametrize("p", [np.array([]), np.full(4, np.nan)])
def test_map_without_a_test_breaks(p: Values) -> None:
    assert not benjamini_hochberg(p).any()
