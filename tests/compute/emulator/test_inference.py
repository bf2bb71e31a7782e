"""Emulation in one pass, against its parts, over any grouping of cells and days."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import xgboost

from compute.emulator.baselines import fit_buckets, predict_buckets
from compute.emulator.domain import MISSING, flag
from compute.emulator.features import NAMES, features, season, start
from compute.emulator.forest import load, save
from compute.emulator.inference import emulate

from .conftest import rows_of, schema_of
from .test_features import soils, weather

CELLS, DAYS = 37, 1600
NUMBER = np.arange(DAYS) % 365 + 1


@pytest.fixture(scope="module")
def emulator(booster):
    seen, made = rows_of(3000)
    buckets = tuple(tuple(row) for row in fit_buckets(seen, made).tolist())
    return load(save(booster, schema_of(seen, buckets=buckets)))


def forcing():
    pr, tas, pet = weather(DAYS, CELLS)
    statics = soils(CELLS)
    pr[:, 3], statics[4, 20] = np.nan, np.nan
    return pr, tas, pet, statics, start(pr[:365], pet[:365], statics)


def test_emulation_differs_from_its_parts(booster, emulator):
    pr, tas, pet, statics, state = forcing()
    pr[700, 30] = np.nan
    made = emulate(emulator, pr, tas, pet, NUMBER, "noleap", statics, state)
    seen, after = features(pr, tas, pet, season(NUMBER, "noleap"), statics, state)
    rows = np.ascontiguousarray(seen.transpose(2, 0, 1)).reshape(-1, 29)
    found = booster.predict(xgboost.DMatrix(rows, feature_names=list(NAMES))).reshape(DAYS, CELLS, 5)
    expected = np.where(np.isnan(seen).any(axis=1).T[..., None], np.nan, np.clip(found, 0, 1))
    np.testing.assert_array_equal(made.saturation, expected[..., :4].transpose(2, 0, 1))
    np.testing.assert_array_equal(made.beta, expected[..., 4])
    np.testing.assert_array_equal(made.flag, flag(seen, emulator.schema.bounds).T)
    np.testing.assert_array_equal(made.state, after)
    assert made.flag.dtype == np.int8


def test_buckets_alone_are_not_those_of_the_schema(emulator):
    pr, tas, pet, statics, state = forcing()
    made = emulate(emulator, pr, tas, pet, NUMBER, "noleap", statics, state, "buckets")
    seen, _ = features(pr, tas, pet, season(NUMBER, "noleap"), statics, state)
    expected = predict_buckets(emulator.schema.buckets, seen)
    np.testing.assert_array_equal(made.beta, expected[:, 4].T)
    assert np.isnan(made.beta[:, 3]).all()


def test_ocean_is_emulated(emulator):
    pr, tas, pet, statics, state = forcing()
    made = emulate(emulator, pr, tas, pet, NUMBER, "noleap", statics, state)
    for cell in (3, 20):
        assert np.isnan(made.saturation[:, :, cell]).all()
        assert np.isnan(made.beta[:, cell]).all()
        assert (made.flag[:, cell] == MISSING).all()
        assert np.isnan(made.state[:, cell]).all()
    land = np.delete(np.arange(CELLS), [3, 20])
    assert np.isfinite(made.saturation[:, :, land]).all()
    assert np.isfinite(made.state[:, land]).all()


@pytest.mark.parametrize("predictor", ["forest", "buckets"])
@pytest.mark.parametrize(("cuts", "groups"), [((1, 365, 366), (17,)), ((400,), tuple(range(1, CELLS))), ((799,), ())])
def test_cut_or_grouping_changes_bits(emulator, cuts, groups, predictor):
    pr, tas, pet, statics, state = forcing()
    whole = emulate(emulator, pr, tas, pet, NUMBER, "noleap", statics, state, predictor)
    for first, stop in itertools.pairwise([0, *groups, CELLS]):
        some, carried = slice(first, stop), state[:, first:stop]
        for begin, until in itertools.pairwise([0, *cuts, DAYS]):
            days = slice(begin, until)
            forcings = (pr[days, some], tas[days, some], pet[days, some])
            made = emulate(emulator, *forcings, NUMBER[days], "noleap", statics[:, some], carried, predictor)
            np.testing.assert_array_equal(made.saturation, whole.saturation[:, days, some])
            np.testing.assert_array_equal(made.beta, whole.beta[days, some])
            np.testing.assert_array_equal(made.flag, whole.flag[days, some])
            carried = made.state
        np.testing.assert_array_equal(carried, whole.state[:, some])


def test_nothing_to_emulate_fails(emulator):
    pr, tas, pet, statics, state = forcing()
    none = emulate(emulator, pr[:0], tas[:0], pet[:0], NUMBER[:0], "noleap", statics, state)
    assert none.beta.shape == (0, CELLS)
    np.testing.assert_array_equal(none.state, state)
    sea = emulate(emulator, pr[:, [3]], tas[:, [3]], pet[:, [3]], NUMBER, "noleap", statics[:, [3]], state[:, [3]])
    assert np.isnan(sea.beta).all()
