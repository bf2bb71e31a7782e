"""Places beside the sea in products of the real jobs, whose counts are 0 there: the land cell is chosen by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from compute.export.exporting import export
from cube.axes import EPOCH_YEAR, Step, TimeAxis
from cube.catalogue import Cube
from tests.compute.notebook.products import Toy, built, grid

LATS, LONS = np.arange(1.0, 9.0, 2.0), np.arange(-7.0, 1.0, 2.0)
YEARS, DAYS = 10, 360
AT_SEA, SHORT = (1.2, -4.9), (5.1, -2.9)
"""Places in the cells at 1, -5, which is sea, and at 5, -3, where 260 days of each year are missing."""
MEMBERS = "models: [{scenario: dry-future, past: dry-past}], past: {start: 2001, end: 2010}, windows: [[2041, 2050]]"
RAINY = "input: past, reference: {product: past, period: {start: 2001, end: 2010}}"
ROWS = {
    "dry-past": "job: metric, metric: dry_days, input: past, threshold: 1 mm d-1",
    "dry-future": "job: metric, metric: dry_days, input: future, threshold: 1 mm d-1",
    "dry-parts": "job: metric, metric: dry_days, input: past, threshold: 1 mm d-1, months: [MAM, OND]",
    "seasons": f"job: metric, metric: wet_season, {RAINY}",
    "change": f"job: change, variables: [dry_days], least: 5, {MEMBERS}",
    "change-seen": f"job: change, variables: [dry_days, valid_days], least: 5, {MEMBERS}",
}


def rain(first: int, seed: int) -> Toy:
    """Ten years of 360 days with a wet half; the southernmost row is sea."""
    day = np.arange(YEARS * DAYS)[:, None, None]
    mean = np.maximum(0.0, 6 * np.sin(2 * np.pi * (day % DAYS - 90) / DAYS))
    values = np.random.default_rng(seed).gamma(1.0, 1.0, (YEARS * DAYS, len(LATS), len(LONS))) * mean
    values[:, 0] = np.nan
    values[(day % DAYS >= 100)[:, 0, 0], 2, 2] = np.nan
    return Toy(
        {"pr": (("time", "lat", "lon"), values.astype("f4"), {"units": "mm d-1"})},
        grid(LATS, LONS),
        TimeAxis(DAYS * (first - EPOCH_YEAR), YEARS * DAYS, Step("day"), "360_day"),
    )


@pytest.fixture(scope="module")
def cube(tmp_path_factory: pytest.TempPathFactory) -> Cube:
    folder: Path = tmp_path_factory.mktemp("sea")
    outcome = built(folder, {"past": rain(2001, 1), "future": rain(2041, 2)}, ROWS)
    assert not outcome.failed, outcome.failed
    return Cube(folder / "cube")


@pytest.mark.parametrize("product", ["dry-past", "dry-parts", "seasons", "change", "change-seen"])
def test_counts_of_none_make_the_sea_a_place(cube: Cube, tmp_path: Path, product: str) -> None:
    found = export(cube, product, tmp_path / "a.nc", places={"coast": AT_SEA})
    (station,) = found.stations
    assert (station.cell.lat, station.cell.lon) == (3.0, -5.0)


@pytest.mark.parametrize("product", ["dry-past", "dry-parts", "change", "change-seen"])
def test_land_with_too_few_days_is_taken_for_sea(cube: Cube, tmp_path: Path, product: str) -> None:
    (station,) = export(cube, product, tmp_path / "a.nc", places=[SHORT]).stations
    assert (station.cell.lat, station.cell.lon) == (5.0, -3.0)
