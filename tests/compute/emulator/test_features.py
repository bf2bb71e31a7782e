"""The features against a plain reading of their definition, and state carried over any cut."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compute.emulator.features import FEATURES, NAMES, STATE, STATIC_NAMES, features, season, start

CELLS = 5


def weather(days, cells=CELLS, seed=0):
    random = np.random.default_rng(seed)
    pr = np.where(random.random((days, cells)) < 0.3, random.gamma(0.7, 12.0, (days, cells)), 0).astype("float32")
    tas = (295 + random.normal(0, 5, (days, cells))).astype("float32")
    pet = random.uniform(0, 9, (days, cells)).astype("float32")
    return pr, tas, pet


def soils(cells=CELLS, seed=0):
    random = np.random.default_rng(seed)
    low = {"sm_sat": 0.40, "sm_crit": 0.22, "sm_wilt": 0.08}
    return np.array([low.get(name, 0.1) + 0.05 * random.random(cells) for name in STATIC_NAMES])


def definition(pr, tas, pet, day_of_year, year_length, static):
    """One cell, as the features are defined; everything in double precision."""
    out = {name: [] for name in NAMES}
    memory = {("pr", tau): np.mean(pr[:365], dtype=float) for tau in (2, 5, 10, 20, 40, 80, 160, 320)}
    memory |= {("pet", tau): np.mean(pet[:365], dtype=float) for tau in (5, 20, 80)}
    capacity = {depth: 1000 * depth * (static["sm_sat"] - static["sm_wilt"]) * 0.8 for depth in (0.1, 0.35, 1.0, 3.0)}
    store = {depth: most / 2 for depth, most in capacity.items()}
    for rain, kelvin, demand, day in zip(pr, tas, pet, day_of_year, strict=True):
        today = {"pr": float(rain), "pet": float(demand)}
        out["pr"].append(today["pr"])
        out["tas"].append(float(kelvin) - 273.15)
        out["season_sin"].append(math.sin(2 * math.pi * day / year_length))
        out["season_cos"].append(math.cos(2 * math.pi * day / year_length))
        for name in STATIC_NAMES:
            out[name].append(static[name])
        for (name, tau), before in memory.items():
            a = math.exp(-1 / tau)
            memory[name, tau] = a * before + (1 - a) * today[name]
            out[f"{name}_memory_{tau}d"].append(memory[name, tau])
        for depth, most in capacity.items():
            s = min(store[depth] + today["pr"], most)
            e = today["pet"] * min(1, s / (0.6 * most))
            store[depth] = max(s - e, 0)
            out[f"bucket_{depth:g}m"].append(store[depth] / most)
    return np.array([out[name] for name in NAMES])


@pytest.mark.parametrize(
    ("calendar", "length", "last"),
    [("noleap", 365, 365), ("360_day", 360, 360), ("all_leap", 366, 366), ("standard", 365.25, 366)],
)
def test_feature_is_not_what_its_definition_says(calendar, length, last):
    days = 900
    pr, tas, pet = weather(days)
    day_of_year = np.arange(100, 100 + days) % last + 1
    statics = soils()
    found, _ = features(pr, tas, pet, season(day_of_year, calendar), statics, start(pr[:365], pet[:365], statics))
    assert found.dtype == np.float32
    assert found.shape == (CELLS, 29, days)
    for cell in range(CELLS):
        static = dict(zip(STATIC_NAMES, statics[:, cell], strict=True))
        expected = definition(pr[:, cell], tas[:, cell], pet[:, cell], day_of_year, length, static)
        np.testing.assert_allclose(found[cell], expected, rtol=2e-6, atol=2e-7)


def test_bucket_overflows_or_goes_below_empty():
    pr, tas, pet = np.zeros((3, 800, 1), "float32")
    pr[400:500], pet[500:] = 80.0, 9.0
    tas[:] = 300
    statics = soils(1)
    found, _ = features(
        pr, tas, pet, season(np.arange(800) % 365 + 1, "noleap"), statics, start(pr[:365], pet[:365], statics)
    )
    fills = dict(zip(NAMES, found[0], strict=True))
    assert fills["bucket_0.1m"][499] == 1
    assert fills["bucket_0.1m"][-1] < 1e-6
    assert all(0 <= fills[name].min() <= fills[name].max() <= 1 for name in NAMES if name.startswith("bucket"))


def test_site_can_be_recognised_by_its_coordinates():
    assert len(FEATURES) == len(set(NAMES)) == 29
    assert not {"lat", "lon", "latitude", "longitude"} & set(NAMES)


@settings(max_examples=30)
@given(st.sets(st.integers(1, 499)), st.sets(st.integers(1, CELLS - 1)), st.integers(0, 5))
def test_cut_of_the_series_or_grouping_of_cells_changes_bits(cuts, groups, seed):
    pr, tas, pet = weather(500, seed=seed)
    turn, statics = season(np.arange(500) % 365 + 1, "noleap"), soils(seed=seed)
    pr[300, 1] = np.nan
    whole, end = features(pr, tas, pet, turn, statics, start(pr[:365], pet[:365], statics))
    for first, stop in itertools.pairwise([0, *sorted(groups), CELLS]):
        some = slice(first, stop)
        state = start(pr[:365, some], pet[:365, some], statics[:, some])
        for begin, until in itertools.pairwise([0, *sorted(cuts), 500]):
            days = slice(begin, until)
            part, state = features(
                pr[days, some], tas[days, some], pet[days, some], turn[:, days], statics[:, some], state
            )
            np.testing.assert_array_equal(part.view("int32"), whole[some, :, days].view("int32"))
        np.testing.assert_array_equal(state, end[:, some])


def test_ocean_has_features():
    pr, tas, pet = weather(400)
    statics = soils()
    statics[2, 1] = np.nan
    pr[:, 3] = np.nan
    state = start(pr[:365], pet[:365], statics)
    assert np.isnan(state).all(axis=0).tolist() == [False, True, False, True, False]
    found, after = features(pr, tas, pet, season(np.ones(400), "standard"), statics, state)
    assert np.isnan(found).all(axis=(1, 2)).tolist() == [False, True, False, True, False]
    assert np.isfinite(found[[0, 2, 4]]).all()
    assert np.isnan(after).all(axis=0).tolist() == [False, True, False, True, False]


@pytest.mark.parametrize("gap", [0, 1, 2])
def test_gap_in_the_forcing_is_forgotten(gap):
    forcing = weather(600)
    statics, turn = soils(), season(np.arange(600) % 365 + 1, "noleap")
    state = start(forcing[0][:365], forcing[2][:365], statics)
    whole, end = features(*forcing, turn, statics, state)
    forcing[gap][450, 2] = np.nan
    found, after = features(*forcing, turn, statics, state)
    np.testing.assert_array_equal(found[2, :, :450], whole[2, :, :450])
    assert np.isnan(found[2, :, 450:]).all()
    assert np.isnan(after[:, 2]).all()
    others = [0, 1, 3, 4]
    np.testing.assert_array_equal(found[others], whole[others])
    np.testing.assert_array_equal(after[:, others], end[:, others])


def test_state_starts_from_other_than_a_year():
    pr, _, pet = weather(500)
    with pytest.raises(ValueError, match="365"):
        start(pr[:364], pet[:364], soils())
    assert start(pr[:365], pet[:365], soils()).shape == (STATE, CELLS) == (15, CELLS)


def test_arrays_of_other_cells_are_taken():
    pr, tas, pet = weather(400)
    state = start(pr[:365], pet[:365], soils())
    with pytest.raises(ValueError, match=r"tas \(400, 4\).*statics \(10, 4\)"):
        features(pr, tas[:, :4], pet, season(np.ones(400), "noleap"), soils()[:, :4], state)
