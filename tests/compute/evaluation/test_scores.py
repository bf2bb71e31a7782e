"""Scores of series against scipy, plain numpy and numbers by hand; what is not defined; and that no cut shows."""

from __future__ import annotations

import math

import numpy as np
import pytest

from compute.evaluation.scores import SCORES, events, percentiles, scores

from . import plain

DAYS, CELLS = 1100, 37
SEASON = np.arange(DAYS) % 365


def pair(seed=1, missing=0.1):
    rng = np.random.default_rng(seed)
    season = 0.25 + 0.1 * np.sin(2 * np.pi * np.arange(DAYS) / 365)[:, None]
    o = (season + 0.03 * rng.normal(size=(DAYS, CELLS))).astype("f4")
    p = (o + 0.02 * rng.normal(size=(DAYS, CELLS)) + rng.uniform(-0.02, 0.02, CELLS)).astype("f4")
    o[rng.random(o.shape) < missing] = np.nan
    p[rng.random(p.shape) < missing] = np.nan
    return p, o


def made(p, o, simulated=None, threshold=None, scale=0.45, length=365):
    cells = p.shape[1]
    return scores(
        p,
        o,
        p if simulated is None else simulated,
        season=SEASON[: len(p)],
        length=length,
        threshold=np.full(cells, 0.2) if threshold is None else threshold,
        scale=np.full(cells, scale),
    )


def test_scores_differ_from_scipy_and_plain_numpy():
    p, o = pair()
    found = made(p, o)
    assert list(found) == list(SCORES)
    for cell in range(CELLS):
        expected = plain.scores(p[:, cell], o[:, cell], SEASON, 0.2)
        for name, value in expected.items():
            assert found[name][cell] == pytest.approx(value, rel=1e-7, abs=1e-9), name
    np.testing.assert_allclose(found["nrmse"], found["rmse"] / 0.45)
    np.testing.assert_array_equal(found["simulation_rmse"], found["rmse"])


def test_predictor_is_scored_on_days_that_the_simulation_lacks():
    p, o = pair(missing=0.0)
    simulated = o + np.float32(0.01)
    simulated[: DAYS // 2] = np.nan
    found = made(p, o, simulated)
    assert (found["paired_days"] == DAYS - DAYS // 2).all()
    half = slice(DAYS // 2, None)
    expected = plain.scores(p[half, 3], o[half, 3], SEASON[half], 0.2)
    assert found["rmse"][3] == pytest.approx(expected["rmse"], rel=1e-7)
    np.testing.assert_allclose(found["simulation_rmse"], 0.01, rtol=1e-5)


@pytest.mark.parametrize("width", [1, 5, 36])
def test_scores_depend_on_the_cells_beside(width):
    p, o = pair()
    whole = made(p, o)
    for start in range(0, CELLS, width):
        cut = slice(start, start + width)
        part = made(np.ascontiguousarray(p[:, cut]), np.ascontiguousarray(o[:, cut]))
        for name, values in part.items():
            assert values.tobytes() == whole[name][cut].tobytes(), name


def test_kge_of_the_mean_is_not_one_minus_root_two():
    _, o = pair(missing=0.0)
    mean = np.broadcast_to(o.mean(axis=0, dtype="f8").astype("f4"), o.shape).copy()
    found = made(mean, o)
    np.testing.assert_allclose(found["kge"], 1 - math.sqrt(2), atol=1e-6)
    np.testing.assert_allclose(found["nse"], 0, atol=1e-6)
    assert np.isnan(found["r"]).all()
    np.testing.assert_allclose(found["variability_ratio"], 0, atol=1e-6)


def test_perfect_prediction_is_not_perfect():
    _, o = pair()
    found = made(o, o)
    for name, score in SCORES.items():
        if score.best is not None:
            np.testing.assert_allclose(found[name], score.best, atol=1e-12, err_msg=name)


def test_what_is_not_defined_is_zero():
    p, o = pair(missing=0.0)
    o[:, 0] = 0.05  # a desert: constant
    o[:, 1] -= o[:, 1].mean(dtype="f8").astype("f4")  # mean of zero
    p[:, 2] = np.nan  # ocean
    o[:, 3] += 1.0  # no event and, of the prediction, no alarm
    p[:, 3] = o[:, 3]
    p[:, 4] += 1.0  # events and no alarm
    found = made(p, o)
    for name in ("r", "anomaly_r", "nse", "kge", "variability_ratio"):
        assert math.isnan(found[name][0]), name
    assert found["rmse"][0] > 0
    assert found["paired_days"][0] == DAYS
    assert math.isnan(found["mean_ratio"][1])
    assert math.isnan(found["kge"][1])
    assert found["r"][1] > 0.5
    assert found["paired_days"][2] == 0
    assert all(math.isnan(found[name][2]) for name in SCORES if name != "paired_days")
    for name in ("pod", "far", "csi", "frequency_bias", "hss"):
        assert math.isnan(found[name][3]), name
    assert [found[name][4] for name in ("pod", "csi", "frequency_bias", "hss")] == [0, 0, 0, 0]
    assert math.isnan(found["far"][4])


def test_table_of_events_differs_from_numbers_by_hand():
    # Finley's tornadoes (Murphy 1996): 28 hits, 72 false alarms, 23 misses, 2680 quiet.
    found = events(*(np.array([float(each)]) for each in (28, 72, 23, 2680)))
    by_hand = {"pod": 0.549, "far": 0.720, "csi": 0.228, "frequency_bias": 1.961, "hss": 0.355}
    assert {name: round(float(value[0]), 3) for name, value in found.items()} == by_hand


def test_a_value_on_the_threshold_is_an_event():
    o = np.array([[0.5], [0.25], [0.5], [0.25]], "f4")
    p = np.array([[0.25], [0.25], [0.5], [0.5]], "f4")
    found = made(p, o, threshold=np.array([0.5]), length=0)
    assert [float(found[name][0]) for name in ("pod", "far", "csi")] == [0.5, 0.5, pytest.approx(1 / 3)]


def test_percentiles_differ_from_numpy():
    _, o = pair()
    o[:, 5] = np.nan
    o[:, 6] = np.nan
    o[30, 6] = 0.3
    expected = np.full((3, CELLS), np.nan)
    for cell in set(range(CELLS)) - {5}:
        known = o[np.isfinite(o[:, cell]), cell].astype("f8")
        expected[:, cell] = np.percentile(known, [5, 20, 95])
    np.testing.assert_allclose(percentiles(o, (5.0, 20.0, 95.0)), expected, rtol=1e-12)


def test_few_days_of_large_offset_lose_their_digits():
    rng = np.random.default_rng(3)
    o = (1000 + rng.normal(size=(DAYS, 2))).astype("f4")
    p = (o + 1 + 0.01 * rng.normal(size=o.shape)).astype("f4")
    found = made(p, o, length=0)
    error = p.astype("f8") - o
    np.testing.assert_allclose(found["ubrmse"], error.std(axis=0), rtol=1e-9)
    assert np.isnan(found["anomaly_r"]).all()
