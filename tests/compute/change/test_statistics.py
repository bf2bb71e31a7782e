"""Tests of significance against scipy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import false_discovery_control, mannwhitneyu, norm

from compute.change.statistics import benjamini_hochberg, mann_whitney

Values = np.ndarray[Any, Any]


def lag_one(values: Values) -> float:
    around = values - values.mean()
    square = float((around**2).sum())
    return float((around[1:] * around[:-1]).sum()) / square if square > 0 else 0.0


def share(sizes: list[int], correlations: list[float]) -> float:
    """What is left of the information in a difference of two means when years are correlated."""
    worth = [n * ((1 - r) / (1 + r) if r > 0.2 else 1.0) for n, r in zip(sizes, correlations, strict=True)]
    return sum(1 / n for n in sizes) / sum(1 / n for n in worth)


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
        worth = share([len(a), len(b)], [lag_one(a), lag_one(b)])
        plain = mannwhitneyu(a, b, method="asymptotic")
        if worth == 1:
            np.testing.assert_allclose(found[cell], plain.pvalue, rtol=1e-9)
        else:
            # z shrinks by the share of years that are worth something.
            z = norm.isf(plain.pvalue / 2) * np.sqrt(worth)
            if plain.pvalue < 0.999:
                np.testing.assert_allclose(found[cell], 2 * norm.sf(z), rtol=1e-6)


SMALL = st.one_of(st.just(np.nan), st.integers(-2, 2).map(float), st.floats(-1e6, 1e6, width=32))


@given(past=st.lists(SMALL, min_size=1, max_size=30), future=st.lists(SMALL, min_size=1, max_size=30))
def test_gaps_ties_or_constants_change_p(past: list[float], future: list[float]) -> None:
    """Correlation over a gap is none: only years that follow each other make a pair."""
    series = [np.array(each)[:, None] for each in (past, future)]
    found = mann_whitney(*series, least=5)[0]
    known = [each[~np.isnan(each)] for each in series]
    if min(len(each) for each in known) < 5:
        assert np.isnan(found)
        return
    pooled = np.concatenate(known)
    if (pooled == pooled[0]).all():
        assert np.isnan(found)
        return
    correlations = []
    for whole, part in zip(series, known, strict=True):
        around = np.nan_to_num(whole[:, 0] - part.mean())  # a gap adds 0 to each sum
        square = float((around**2).sum())
        assume((part == part[0]).all() or square > 1e-9 * float((part**2).sum()))
        r = 0.0 if (part == part[0]).all() else float((around[1:] * around[:-1]).sum()) / square
        assume(abs(r - 0.2) > 1e-9)
        correlations.append(r)
    plain = mannwhitneyu(*known, method="asymptotic").pvalue
    if plain > 0.999:
        assert found > 0.99
    else:
        worth = share([len(part) for part in known], correlations)
        expected = 2 * norm.sf(norm.isf(plain / 2) * np.sqrt(worth))
        np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_worth_of_correlated_years_differs_from_that_by_hand() -> None:
    """Five low and five high years, twice, against high and low years in turn, whose r is below 0."""
    past = np.array([0.0, 0, 0, 0, 0, 1, 1, 1, 1, 1] * 2)
    future = np.array([2.0, 0.5] * 10)
    # Deviations of +-1/2: of the 19 pairs 16 agree and 3 differ, so that r = 13 / 20 and 20 years are worth 140 / 33.
    left = (1 / 20 + 1 / 20) / (33 / 140 + 1 / 20)
    z = norm.isf(mannwhitneyu(past, future, method="asymptotic").pvalue / 2) * np.sqrt(left)
    np.testing.assert_allclose(mann_whitney(past[:, None], future[:, None])[0], 2 * norm.sf(z), rtol=1e-9)


@pytest.mark.parametrize("level", [0.1, 12.3, 365.0])
def test_rounding_correlates_equal_values(level: float) -> None:
    past = np.full(25, level)
    future = level + np.where(np.arange(25) % 2, -1.0, 2.0) * np.arange(1, 26)
    expected = mannwhitneyu(past, future, method="asymptotic").pvalue
    np.testing.assert_allclose(mann_whitney(past[:, None], future[:, None])[0], expected, rtol=1e-9)


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
