"""Days of the column: against a plain one, its balance, what is missing, and that no cut of the work changes a bit."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest

from compute.column.hydraulics import Soil, cosby
from compute.column.roots import mean_shares, shares_of
from compute.column.running import Scheme, initial_state, run, water

from . import plain

CELLS = 45  # more than one buffer of lanes, and not a multiple
ARRAYS = ("smcl", "fsmc", "surf_roff", "sub_surf_roff", "fqw_gb")


def weather(days, cells=CELLS, seed=2):
    rng = np.random.default_rng(seed)
    pr = (rng.gamma(0.3, 12.0, (days, cells)) * (rng.random((days, cells)) < 0.6)).astype("float32")
    pet = rng.uniform(0.0, 9.0, (days, cells)).astype("float32")
    return pr, pet


def land(cells=CELLS, curve="brooks_corey", seed=3):
    rng = np.random.default_rng(seed)
    soil = cosby(rng.uniform(0.05, 0.5, cells), rng.uniform(0.05, 0.5, cells), curve=curve)
    state = np.concatenate([rng.uniform(0.2, 0.95, (4, cells)), rng.uniform(0.0, 0.4, (1, cells))])
    return soil, rng.uniform(0.0, 6.0, cells), state


def equal(one, other):
    return all(np.array_equal(getattr(one, name), getattr(other, name), equal_nan=True) for name in ("state", *ARRAYS))


@pytest.mark.parametrize(("curve", "down"), [("brooks_corey", False), ("brooks_corey", True), ("van_genuchten", True)])
def test_against_a_plain_column(curve, down):
    cells, days = 3, 25
    pr, pet = weather(days, cells)
    pr[3], pr[14] = 80.0, 150.0
    soil, lai, state = land(cells, curve)
    scheme = Scheme(curve, down, steps_per_day=12, rain_steps=3, infiltration_factor=2.0, extraction_limit=0.3)
    found = run(pr, pet, soil, lai, state, scheme, fsmc_roots=shares_of([1, 3]), roots=shares_of([2])[0])
    for c in range(cells):
        own = {field.name: float(getattr(soil, field.name)[c]) for field in dataclasses.fields(soil)}
        smcl, beta, runoff, drainage, evaporation, after, tries = plain.days(
            pr[:, c].astype(float), pet[:, c].astype(float), own, lai[c], state[:, c], shares_of([2])[0],
            steps=12, rain_steps=3, factor=2.0, limit=0.3, down=down, curve=curve,
        )  # fmt: skip
        assert 0 < np.count_nonzero(tries) < days
        assert found.state[:, c] == pytest.approx(after, rel=1e-9, abs=1e-12)
        assert found.smcl[:, :, c] == pytest.approx(smcl, rel=1e-6)
        assert found.fsmc[:, :, c] == pytest.approx(beta @ shares_of([1, 3]).T, rel=1e-6, abs=1e-9)
        assert found.surf_roff[:, c] == pytest.approx(runoff, rel=1e-6, abs=1e-12)
        assert found.sub_surf_roff[:, c] == pytest.approx(drainage, rel=1e-6, abs=1e-12)
        assert found.fqw_gb[:, c] == pytest.approx(evaporation, rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("scheme", [Scheme(), Scheme("van_genuchten", True)])
def test_water_is_neither_made_nor_lost(scheme):
    days = 730
    pr, pet = weather(days)
    soil, lai, state = land(curve=scheme.curve)
    found = run(pr, pet, soil, lai, state, scheme)
    gained = (water(found.state, soil) - water(state, soil)).sum(axis=0)
    rain, evaporation, runoff, drainage = found.totals
    assert np.abs(gained - (rain - evaporation - runoff - drainage)).max() < 1e-9
    assert rain == pytest.approx(pr.astype(float).sum(axis=0), rel=1e-12)
    for total, name in ((evaporation, "fqw_gb"), (runoff, "surf_roff"), (drainage, "sub_surf_roff")):
        assert getattr(found, name).astype(float).sum(axis=0) * 86400 == pytest.approx(total, rel=1e-6)
    assert (found.smcl >= 0).all()
    assert (found.smcl <= 1000 * plain.DZ[:, None] * soil.sm_sat * (1 + 1e-6)).all()
    assert (found.state >= 0).all()
    assert (found.fqw_gb * 86400 <= pet * (1 + 1e-6)).all()


def test_any_cut_in_time_with_carried_state_gives_the_same_bits():
    pr, pet = weather(60)
    soil, lai, state = land()
    whole = run(pr, pet, soil, lai, state)
    rng = np.random.default_rng(1)
    for _ in range(3):
        cuts = [0, *sorted(rng.choice(np.arange(1, 60), 4, replace=False)), 60]
        after, parts = state, []
        for a, b in itertools.pairwise(cuts):
            parts.append(run(pr[a:b], pet[a:b], soil, lai, after))
            after = parts[-1].state
        assert np.array_equal(after, whole.state)
        for name in ARRAYS:
            assert np.array_equal(np.concatenate([getattr(part, name) for part in parts]), getattr(whole, name))


@pytest.mark.parametrize("scheme", [Scheme(), Scheme("van_genuchten", True)])
def test_any_grouping_of_cells_gives_the_same_bits(scheme):
    pr, pet = weather(20)
    soil, lai, state = land(curve=scheme.curve)
    mixed = mean_shares(np.random.default_rng(4).random((5, CELLS)), shares_of(range(1, 6)))
    whole = run(pr, pet, soil, lai, state, scheme, roots=mixed)
    for some in ([0], [44, 7], np.random.default_rng(0).permutation(CELLS)[:33], np.arange(CELLS)[::-1]):
        alone = run(pr[:, some], pet[:, some], soil.at(some), lai[some], state[:, some], scheme, roots=mixed[:, some])
        for name in ("state", *ARRAYS):
            assert np.array_equal(getattr(alone, name), getattr(whole, name)[..., some])


def test_ocean_is_missing_and_leaves_its_neighbours_alone():
    pr, pet = weather(10)
    soil, lai, state = land()
    b, satcon = soil.b.copy(), soil.satcon.copy()
    b[3], satcon[4] = np.nan, 0.0
    lai, state, pr, pet = lai.copy(), state.copy(), pr.copy(), pet.copy()
    lai[5] = np.nan
    state[2, 6] = np.nan
    pr[:, 7] = np.nan
    pet[:, 8] = np.nan
    gone = np.isin(np.arange(CELLS), [3, 4, 5, 6, 7, 8])
    with_gaps = dataclasses.replace(soil, b=b, satcon=satcon)
    found = run(pr, pet, with_gaps, lai, state)
    there = run(pr[:, ~gone], pet[:, ~gone], soil.at(~gone), lai[~gone], state[:, ~gone])
    for name in ("state", *ARRAYS):
        assert np.isnan(getattr(found, name)[..., gone]).all()
        assert np.array_equal(getattr(found, name)[..., ~gone], getattr(there, name))
    assert np.isnan(found.totals[:, gone]).all()


@pytest.mark.parametrize("bad", [np.nan, -0.1, np.inf])
def test_a_cell_is_missing_from_its_first_missing_day_on(bad):
    pr, pet = weather(12, 3)
    soil, lai, state = land(3)
    whole = run(pr, pet, soil, lai, state)
    pr[5, 1] = bad
    found = run(pr, pet, soil, lai, state)
    for name in ARRAYS:
        values, good = getattr(found, name), getattr(whole, name)
        assert np.array_equal(values[:5], good[:5])
        assert np.isnan(values[5:, ..., 1]).all()
        assert np.array_equal(values[..., [0, 2]], good[..., [0, 2]])
    assert np.isnan(found.state[:, 1]).all()
    assert np.isnan(found.totals[:, 1]).all()
    first = run(pr[:7], pet[:7], soil, lai, state)
    rest = run(pr[7:], pet[7:], soil, lai, first.state)
    assert equal(rest, run(pr[7:], pet[7:], soil, lai, first.state))
    assert np.array_equal(rest.state, found.state, equal_nan=True)


def example(state=(0.6, 0.6, 0.6, 0.6, 0.0)):
    soil = Soil(*(np.array([plain.NAMELIST[field.name]]) for field in dataclasses.fields(Soil)))
    return soil, [2.0], np.array(state)[:, None]


def test_beta_is_0_at_wilting_and_1_above_the_critical_point():
    wilting, critical, full = 0.136328 / 0.45815, 0.242433 / 0.45815, 1.0
    none = np.zeros((1, 1))
    for saturation, expected in ((wilting - 0.01, 0.0), (critical + 0.05, 1.0), (full, 1.0)):
        soil, lai, state = example((*(4 * [saturation]), 0.0))
        beta = run(none, none, soil, lai, state).fsmc[0, :, 0]
        assert beta.shape == (5,)
        assert beta == pytest.approx(expected, abs=1e-6)


def test_beta_of_mixed_cover_is_the_mean_of_its_types():
    pr, pet = weather(30)
    soil, lai, state = land()
    cover = np.random.default_rng(4).random((5, CELLS))
    mixed = mean_shares(cover, shares_of(range(1, 6)))
    found = run(pr, pet, soil, lai, state, roots=mixed)
    mean = (found.fsmc * cover).sum(axis=1) / cover.sum(axis=0)
    alone = run(
        pr[:, :1], pet[:, :1], soil.at([0]), lai[:1], state[:, :1], fsmc_roots=mixed[:, 0][None], roots=mixed[:, :1]
    )
    assert alone.fsmc[:, 0, 0] == pytest.approx(mean[:, 0], rel=1e-5)


def test_light_rain_stays_in_the_canopy_and_evaporates_first():
    soil, lai, state = example()
    light = run([[0.1]], [[0.0]], soil, lai, state)
    # C = 0.6 mm: a first step of 0.05 mm meets a dry canopy, a second one is let through by 0.05 / 0.6
    assert light.state[4, 0] == pytest.approx(0.05 + 0.05 * (1 - 0.05 / 0.6), abs=1e-7)
    wet = run([[0.0]], [[5.0]], soil, lai, light.state)
    assert wet.state[4, 0] < light.state[4, 0]


def test_rain_beyond_the_infiltration_capacity_runs_off():
    soil, lai, state = example((0.3, 0.3, 0.3, 0.3, 0.6))
    low = dataclasses.replace(soil, satcon=np.array([0.0001]))
    found = run([[100.0]], [[0.0]], low, lai, state)
    assert found.totals[2, 0] == pytest.approx(100 - 4 * 0.0001 * 21600, rel=1e-6)


def test_dew_counts_as_no_demand():
    soil, lai, state = example()
    none, dew = (run([[1.0]], [[value]], soil, lai, state) for value in (0.0, -2.0))
    assert equal(none, dew)
    assert none.totals[1, 0] == 0.0


@pytest.mark.parametrize("down", [False, True])
def test_eight_steps_a_day_equal_forty_eight(down):
    pr, pet = weather(365)
    soil, lai, state = land()
    eight = run(pr, pet, soil, lai, state, Scheme(l_soil_sat_down=down))
    many = run(pr, pet, soil, lai, state, Scheme(l_soil_sat_down=down, steps_per_day=48, rain_steps=12))
    error = (eight.smcl - many.smcl) / (1000 * plain.DZ[:, None])
    assert (np.sqrt((error**2).mean(axis=(0, 2))) < [0.005, 0.002, 0.002, 0.002]).all()
    assert eight.totals[2:].mean(axis=1) == pytest.approx(many.totals[2:].mean(axis=1), rel=0.1, abs=1.0)


@pytest.mark.parametrize("scheme", [Scheme(), Scheme(l_soil_sat_down=True), Scheme("van_genuchten", rain_steps=1)])
@pytest.mark.parametrize("variant", ["cosby_jules", "cosby1984"])
def test_cloudbursts_on_dry_clay_draw_no_water_from_below(variant, scheme):
    # Of 3 h steps alone some end as NaN, or empty a layer and draw metres of water from below.
    rng = np.random.default_rng(9)
    cells = 200
    pr = np.where(rng.random((200, cells)) < 0.01, rng.uniform(50, 400, (200, cells)), 0.0)
    texture = rng.dirichlet([1, 1, 1], cells)
    soil = cosby(texture[:, 0], texture[:, 1], variant, scheme.curve)
    lai = rng.uniform(0.1, 5, cells)
    found = run(pr, np.full((200, cells), 6.0), soil, lai, initial_state(soil), scheme)
    assert (found.sub_surf_roff > -1e-10).all()
    assert (found.surf_roff >= 0).all()
    assert found.state[:4].min() > 0.01


@pytest.mark.parametrize("scheme", [Scheme(), Scheme(l_soil_sat_down=True), Scheme("van_genuchten")])
def test_empty_layers_beside_full_ones_keep_the_balance(scheme):
    rng = np.random.default_rng(10)
    cells, days = 300, 20
    texture = rng.dirichlet([1, 1, 1], cells)
    soil = cosby(texture[:, 0], texture[:, 1], "cosby1984", scheme.curve)
    state = np.concatenate([rng.choice([0.0, 1e-6, 0.01, 0.03, 0.5, 1.0], (4, cells)), np.zeros((1, cells))])
    pr = np.where(rng.random((days, cells)) < 0.2, rng.uniform(0, 200, (days, cells)), 0.0).astype("float32")
    found = run(pr, np.full((days, cells), 5.0), soil, np.full(cells, 2.0), state, scheme)
    gained = (water(found.state, soil) - water(state, soil)).sum(axis=0)
    rain, evaporation, runoff, drainage = found.totals
    assert np.abs(gained - (rain - evaporation - runoff - drainage)).max() < 1e-9
    assert (found.sub_surf_roff > -1e-10).all()


def test_only_the_state_is_the_same_state():
    pr, pet = weather(20)
    soil, lai, state = land()
    whole, short = run(pr, pet, soil, lai, state), run(pr, pet, soil, lai, state, outputs=False)
    assert np.array_equal(whole.state, short.state)
    assert np.array_equal(whole.totals, short.totals)
    assert short.smcl.shape == (0, 4, CELLS)


def test_nothing_to_do_is_done():
    soil, lai, state = land()
    assert np.array_equal(run(np.empty((0, CELLS)), np.empty((0, CELLS)), soil, lai, state).state, state)
    nobody = run(np.empty((3, 0)), np.empty((3, 0)), soil.at([]), [], np.empty((5, 0)))
    assert nobody.smcl.shape == (3, 4, 0)


def test_inputs_are_not_changed():
    pr, pet = weather(5)
    soil, lai, state = land()
    copies = pr.copy(), pet.copy(), state.copy(), soil.b.copy()
    run(pr, pet, soil, lai, state)
    assert all(np.array_equal(a, b) for a, b in zip(copies, (pr, pet, state, soil.b), strict=True))


@pytest.mark.parametrize(
    "options",
    [
        {"steps_per_day": 4},
        {"rain_steps": 0},
        {"rain_steps": 9},
        {"infiltration_factor": 0.0},
        {"extraction_limit": 1.5},
    ],
)
def test_scheme_out_of_range_is_refused(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        Scheme(**options)


def test_shapes_that_do_not_fit_are_refused():
    pr, pet = weather(5)
    soil, lai, state = land()
    with pytest.raises(ValueError, match="same shape"):
        run(pr, pet[:4], soil, lai, state)
    with pytest.raises(ValueError, match="state must be"):
        run(pr, pet, soil, lai, state[:4])
    with pytest.raises(ValueError, match="state must be"):
        run(pr, pet, soil.at([0]), lai, state)


def test_initial_state_is_dry_and_missing_where_there_is_no_soil():
    soil, _, _ = land()
    soil = dataclasses.replace(soil, sm_sat=np.where(np.arange(CELLS) == 2, 0.0, soil.sm_sat))
    state = initial_state(soil)
    assert np.isnan(state[:, 2]).all()
    ok = np.arange(CELLS) != 2
    assert state[3, ok] == pytest.approx(soil.sm_wilt[ok] / soil.sm_sat[ok])
    assert (state[4, ok] == 0).all()
