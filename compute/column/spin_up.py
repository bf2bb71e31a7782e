"""Spin-up: a stretch of forcing is repeated until the column has forgotten the state that it started from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from compute.column.hydraulics import Soil
from compute.column.running import Scheme, initial_state, run, water

YEAR = 365.25


@dataclass(frozen=True)
class SpunUp:
    """A state in equilibrium with a stretch of forcing.

    state     (5, cells) float64, NaN where statics or forcing are missing
    cycles    (cells,) how often the stretch was run, 0 where it is missing
    residual  (cells,) mm a-1: largest change of a layer's water over the last cycle, divided by its years; above the
              tolerance in cells that have not converged
    """

    state: NDArray[np.float64]
    cycles: NDArray[np.int64]
    residual: NDArray[np.float64]


def spin_up(
    pr: ArrayLike,
    pet: ArrayLike,
    soil: Soil,
    lai: ArrayLike,
    scheme: Scheme | None = None,
    *,
    roots: ArrayLike | None = None,
    state: ArrayLike | None = None,
    tolerance: float = 0.1,
    max_cycles: int = 20,
) -> SpunUp:
    """Repeat `pr` and `pet` (days, cells), best whole years, until no layer changes by more than `tolerance` mm a-1.

    A drift of 0.1 mm a-1 is at most 10 mm in a century: 0.005 m3 m-3 in the lowest layer, less than the column's own
    error. Each cell stops for itself, so that its result does not depend on which others are run with it. The default
    `state` is `initial_state`; the remaining arguments are those of `run`. Slowest are the lowest layers of deserts,
    which drain or fill by less than the tolerance but for centuries: their equilibrium remembers the initial state.

    Raises ValueError for a tolerance or a number of cycles that is not positive, or no days.
    """
    rain, demand = np.asarray(pr), np.asarray(pet)
    if not tolerance > 0 or max_cycles < 1 or not len(rain):
        raise ValueError(f"spin-up needs days, tolerance > 0 and max_cycles >= 1, found {tolerance} and {max_cycles}")
    after = np.array(initial_state(soil) if state is None else state, np.float64)
    leaves = np.broadcast_to(np.asarray(lai, np.float64), soil.b.shape)
    shares = None if roots is None else np.asarray(roots, np.float64)
    cycles = np.zeros(soil.b.size, np.int64)
    residual = np.full(soil.b.size, np.nan)
    active = np.flatnonzero(np.isfinite(after).all(axis=0) & soil.usable)
    for _ in range(max_cycles):
        if not active.size:
            break
        some, before = soil.at(active), after[:, active]
        part = shares[:, active] if shares is not None and shares.ndim == 2 else shares
        forcing = rain[:, active], demand[:, active]
        end = run(*forcing, some, leaves[active], before, scheme, roots=part, outputs=False).state
        drift = np.abs(water(end, some) - water(before, some))[:4].max(axis=0) / (len(rain) / YEAR)
        after[:, active], residual[active] = end, drift
        cycles[active] += ~np.isnan(drift)
        active = active[drift > tolerance]
    after[:, cycles == 0] = np.nan
    return SpunUp(after, cycles, residual)
