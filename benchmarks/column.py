"""The soil-water column: a year of many cells at once, on one core, in steps of three hours.

The weather is made up (benchmarks/climates.py), the state is that after the first year. Times are CPU seconds of this
process; results are kept in memory.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from benchmarks.climates import DAYS, Sites
from benchmarks.measure import Table
from compute.column.hydraulics import Curve, cosby
from compute.column.pet import oudin
from compute.column.roots import shares_of
from compute.column.running import C4_GRASS, Scheme, initial_state
from compute.column.running import run as run_column

CELLS: dict[str, tuple[tuple[int, Curve], ...]] = {
    "small": ((100, "brooks_corey"), (100, "van_genuchten")),
    "full": ((1000, "brooks_corey"), (20_000, "brooks_corey"), (1000, "van_genuchten")),
}


def run(folder: Path, scale: str, repeats: int) -> Table:
    """Measure; nothing is kept in `folder`."""
    return Table(
        "Soil column: a year on one core",
        ("cells at once, curve", "ms a cell-year", "CPU s"),
        [_row(cells, curve, repeats) for cells, curve in CELLS[scale]],
        (f"8 steps a day; beta of one vegetation; least of {repeats} runs",),
    )


def _row(cells: int, curve: Curve, repeats: int) -> tuple[str, ...]:
    sites = Sites.draw(cells, 3)
    pr, tas = sites.weather(2, 4)
    pet = oudin(tas, sites.latitude, np.tile(np.arange(1, DAYS + 1), 2)).astype(np.float32)
    soil, scheme = cosby(sites.clay, sites.sand, curve=curve), Scheme(curve=curve)
    first, second = slice(0, DAYS), slice(DAYS, None)
    roots = shares_of([C4_GRASS])
    state = run_column(pr[first], pet[first], soil, sites.lai, initial_state(soil), scheme, outputs=False).state
    spent = []
    for _ in range(repeats):
        began = time.process_time()
        run_column(pr[second], pet[second], soil, sites.lai, state, scheme, fsmc_roots=roots)
        spent.append(time.process_time() - began)
    return f"{cells}, {curve.replace('_', ' ')}", f"{1000 * min(spent) / cells:.3f}", f"{min(spent):.2f}"
