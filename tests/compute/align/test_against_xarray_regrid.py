"""Regridding against xarray-regrid, where that is exact: cells that nest, and interpolation among complete neighbours.

Elsewhere it is no oracle: it weighs a source cell that reaches over the edge of a target by the latitudes of the whole
cell (test_rectilinear.py has a loop for those), and any missing neighbour makes an interpolated cell missing.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr
import xarray_regrid  # noqa: F401  # registers the accessor `regrid`

from .views import Product, aligned, centres, days

type Array = np.ndarray[Any, Any]

STEPS = 4
NESTED = {
    "coarser": ((-59.75, 0.5, 60), (10.25, 0.5, 60), (-58.5, 1.0, 26), (11.5, 1.0, 26)),
    "finer": ((-10.25, 0.5, 40), (10.25, 0.5, 40), (-9.125, 0.25, 60), (11.125, 0.25, 60)),
    "descending": ((49.75, -0.5, 40), (10.25, 0.5, 40), (31.0, 1.0, 18), (11.0, 1.0, 18)),
    "across the seam": ((-9.75, 0.5, 40), (-179.75, 0.5, 720), (-8.0, 1.0, 17), (-179.5, 1.0, 360)),
    "to the Pacific": ((-9.75, 0.5, 40), (-179.75, 0.5, 720), (-8.0, 1.0, 17), (170.5, 1.0, 20)),
}


def maps(case: str, missing: float) -> tuple[xr.DataArray, xr.Dataset, Product, dict[str, Any]]:
    """Source and target as xarray-regrid takes them, the source as the job takes it, the grid as it is declared."""
    lat, lon, north, east = (centres(*axis) for axis in NESTED[case])
    random = np.random.default_rng(4)
    values = random.gamma(0.4, 5.0, (STEPS, len(lat), len(lon)))
    values[random.random(values.shape) < missing] = np.nan
    theirs = xr.DataArray(values, {"time": np.arange(STEPS), "lat": lat, "lon": lon}, ("time", "lat", "lon"))
    step = round(north[1] - north[0], 10)
    grid = {"lat": [north[0], north[-1]], "lon": [east[0], east[-1]], "step": step}
    ours = Product({"x": values}, (lat, lon), time=days("2001-01-01", STEPS))
    return theirs, xr.Dataset(coords={"lat": north, "lon": east}), ours, grid


@pytest.mark.parametrize("case", NESTED)
@pytest.mark.parametrize("missing", [0.0, 0.4])
def test_conservative_differs_from_xarray_regrid(case: str, missing: float) -> None:
    theirs, target, source, grid = maps(case, missing)
    # 30 %: no share of four cells comes near it, so that rounding cannot decide.
    expected = theirs.regrid.conservative(target, latitude_coord="lat", nan_threshold=0.7).values
    found = aligned(source, variables={"x": "conservative"}, grid=grid, min_valid="30 %")["x"]
    assert (np.isnan(expected).any(), np.isfinite(expected).mean() > 0.5) == (missing > 0, True)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("case", NESTED)
def test_bilinear_differs_from_xarray_regrid(case: str) -> None:
    theirs, target, source, grid = maps(case, 0.0)
    expected = theirs.regrid.linear(target).transpose("time", "lat", "lon").values
    found = aligned(source, variables={"x": "bilinear"}, grid=grid)["x"]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_bilinear_among_gaps_differs_where_all_neighbours_are_there() -> None:
    theirs, target, source, grid = maps("finer", 0.1)
    expected = theirs.regrid.linear(target).transpose("time", "lat", "lon").values
    found = aligned(source, variables={"x": "bilinear"}, grid=grid)["x"]
    complete = np.isfinite(expected)
    assert 0.5 < complete.mean() < np.isfinite(found).mean() < 1
    np.testing.assert_allclose(found[complete], expected[complete], rtol=1e-12)
