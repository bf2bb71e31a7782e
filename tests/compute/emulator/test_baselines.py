"""The baselines against plain numpy and scipy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import linregress

from compute.emulator.baselines import climatology, fit_buckets, persistence, predict_buckets
from compute.emulator.features import NAMES


def test_climatology_differs_from_a_plain_mean_or_takes_missing_days():
    random = np.random.default_rng(0)
    number = np.arange(3 * 360) % 360 + 1
    reference = random.random((len(number), 4)).astype("float32")
    reference[:, 2] = np.nan
    reference[5, 0] = np.nan
    found = climatology(reference, number, [1, 6, 360], half_window=2)
    for row, day in enumerate((1, 6, 360)):
        around = [(day - 1 + shift) % 360 + 1 for shift in range(-2, 3)]
        with np.errstate(invalid="ignore"):
            rows = reference[np.isin(number, around)]
        np.testing.assert_allclose(
            found[row, [0, 1, 3]], np.nanmean(rows[:, [0, 1, 3]], axis=0, dtype=float), rtol=1e-6
        )
    assert np.isnan(found[:, 2]).all()


def test_climatology_of_a_day_that_no_year_has():
    reference = np.arange(365.0)[:, None]
    found = climatology(reference, np.arange(1, 366), [365, 366], half_window=0)
    assert found[0] == 364
    assert np.isnan(found[1])
    with pytest.raises(ValueError, match="366"):
        climatology(reference, np.arange(365), [0])
    with pytest.raises(ValueError, match="366"):
        climatology(reference, np.arange(2, 367), [367])


def test_persistence_looks_ahead():
    reference = np.arange(12, dtype="float32").reshape(6, 2)
    found = persistence(reference, 2)
    assert np.isnan(found[:2]).all()
    np.testing.assert_array_equal(found[2:], reference[:4])
    with pytest.raises(ValueError, match="one day"):
        persistence(reference, 0)


def test_buckets_are_not_least_squares():
    random = np.random.default_rng(0)
    features = random.random((500, 29)).astype("float32")
    targets = random.random((500, 5)).astype("float32")
    found = fit_buckets(features, targets)
    fills = features[:, [NAMES.index(f"bucket_{depth}m") for depth in ("0.1", "0.35", "1", "3")]].astype(float)
    inputs = np.column_stack([np.ones(500), fills])
    np.testing.assert_allclose(found, np.linalg.solve(inputs.T @ inputs, inputs.T @ targets), rtol=1e-5)
    cells = features.reshape(10, 50, 29).transpose(0, 2, 1)
    expected = np.clip(inputs @ found, 0, 1).reshape(10, 50, 5).transpose(0, 2, 1)
    np.testing.assert_allclose(predict_buckets(found, cells), expected, rtol=1e-6)


def test_one_bucket_gives_another_line_than_scipy():
    random = np.random.default_rng(0)
    features = np.zeros((200, 29), "float32")
    column = NAMES.index("bucket_0.35m")
    features[:, column] = random.random(200)
    target = (0.2 + 0.5 * features[:, column] + random.normal(0, 0.1, 200)).astype("float32")
    found = fit_buckets(features, np.repeat(target[:, None], 5, axis=1))
    line = linregress(features[:, column].astype(float), target.astype(float))
    np.testing.assert_allclose(found[[0, 2], 4], [line.intercept, line.slope], rtol=1e-6)


def test_buckets_predict_what_cannot_be():
    steep = np.array([[-1.0] * 5, [4.0] * 5, *[[0.0] * 5] * 3])
    features = np.random.default_rng(0).random((2, 29, 40)).astype("float32")
    found = predict_buckets(steep, features)
    assert found.min() == 0
    assert found.max() == 1
