"""Spin-up: converged cells stay where they are, each cell for itself, and what does not converge says so."""

from __future__ import annotations

import numpy as np
import pytest

from compute.column.hydraulics import cosby
from compute.column.running import initial_state, run, water
from compute.column.spin_up import spin_up

CELLS = 6


@pytest.fixture(scope="module")
def setting():
    rng = np.random.default_rng(7)
    days = np.arange(365)[:, None]
    annual = np.array([30.0, 200.0, 500.0, 900.0, 1500.0, 2500.0])
    pr = rng.gamma(0.3, 1.0, (365, CELLS)) * (1 + np.cos(2 * np.pi * days / 365))
    pr = (pr * annual / pr.sum(axis=0)).astype("float32")
    pet = (4 + 2 * np.sin(2 * np.pi * days / 365) + np.zeros(CELLS)).astype("float32")
    soil = cosby(rng.uniform(0.1, 0.4, CELLS), rng.uniform(0.1, 0.4, CELLS))
    return pr, pet, soil, np.full(CELLS, 2.0)


def test_another_year_of_the_same_changes_nothing(setting):
    pr, pet, soil, lai = setting
    spun = spin_up(pr, pet, soil, lai, max_cycles=60)
    assert (spun.residual <= 0.1).all()
    assert (spun.cycles > 1).all()
    after = run(pr, pet, soil, lai, spun.state).state
    assert np.abs(water(after, soil) - water(spun.state, soil))[:4].max() < 0.2


def test_equilibrium_of_wet_cells_does_not_remember_where_it_started(setting):
    pr, pet, soil, lai = setting
    wet = initial_state(soil)
    wet[:4] = 0.8
    ends = [spin_up(pr, pet, soil, lai, state=start, tolerance=0.01, max_cycles=60).state for start in (None, wet)]
    assert np.abs(water(ends[0], soil) - water(ends[1], soil))[:, 3:].max() < 1.0


def test_each_cell_stops_for_itself(setting):
    pr, pet, soil, lai = setting
    whole = spin_up(pr, pet, soil, lai)
    assert len(set(whole.cycles)) > 1
    some = [4, 1]
    part = spin_up(pr[:, some], pet[:, some], soil.at(some), lai[some])
    assert np.array_equal(part.state, whole.state[:, some])
    assert np.array_equal(part.cycles, whole.cycles[some])
    assert np.array_equal(part.residual, whole.residual[some])


def test_too_few_cycles_show_in_the_residual(setting):
    pr, pet, soil, lai = setting
    once = spin_up(pr, pet, soil, lai, max_cycles=1)
    assert once.cycles.tolist() == [1] * CELLS
    change = np.abs(water(once.state, soil) - water(initial_state(soil), soil))[:4].max(axis=0)
    assert once.residual == pytest.approx(change * 365.25 / 365, rel=1e-9)
    assert once.residual.max() > 0.1


def test_missing_cells_are_missing_and_cost_no_cycle(setting):
    pr, pet, soil, lai = setting
    pr, lai = pr.copy(), lai.copy()
    lai[0] = np.nan
    pr[100, 1] = np.nan
    spun = spin_up(pr, pet, soil, lai, max_cycles=3)
    assert spun.cycles[:2].tolist() == [0, 0]
    assert np.isnan(spun.state[:, :2]).all()
    assert np.isnan(spun.residual[:2]).all()
    assert np.isfinite(spun.state[:, 2:]).all()


def test_no_days_or_no_tolerance_is_refused(setting):
    pr, pet, soil, lai = setting
    with pytest.raises(ValueError, match="tolerance"):
        spin_up(pr, pet, soil, lai, tolerance=0.0)
    with pytest.raises(ValueError, match="days"):
        spin_up(pr[:0], pet[:0], soil, lai)
