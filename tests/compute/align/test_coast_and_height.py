"""Cells at the coast filled from their neighbours, and temperatures at the height of the grid."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from .views import LATLON, PLANE, Product, aligned, centres, days, job_of

Array = np.ndarray[Any, Any]
KELVIN = {"tas": {"units": "K", "standard_name": "air_temperature"}}
HEIGHT = {"orog": {"units": "m", "standard_name": "surface_altitude"}}
LAPSE = {"lapse_rate": "6.5 K km-1", "orography": "low", "target_orography": "high"}


def test_fill_comes_from_farther_than_one_cell_or_from_a_farther_one() -> None:
    lat, lon = centres(40.25, 0.5, 14), centres(0.25, 0.5, 14)
    random = np.random.default_rng(7)
    values = random.random((3, 14, 14)).astype("f4")
    values[random.random(values.shape) < 0.85] = np.nan
    source = Product({"tas": values}, (lat, lon), time=days("2001-01-01", 3))
    grid = {"lat": [41.125, 45.875], "lon": [1.125, 5.875], "step": 0.25}
    options = {"variables": {"tas": "bilinear"}, "grid": grid}
    plain, found = aligned(source, **options)["tas"], aligned(source, coast="nearest", **options)
    checked = 0
    for step in range(3):
        for i, north in enumerate(centres(41.125, 0.25, 20)):
            for j, east in enumerate(centres(1.125, 0.25, 20)):
                value, filled = found["tas"][step, i, j], found["tas_filled"][step, i, j]
                if not np.isnan(plain[step, i, j]):
                    assert (value, filled) == (plain[step, i, j], 0)
                    continue
                near = [
                    ((lat[k] - north) ** 2 + (np.cos(np.radians(north)) * (lon[m] - east)) ** 2, values[step, k, m])
                    for k in range(14)
                    for m in range(14)
                    if abs(lat[k] - north) <= 0.5 and abs(lon[m] - east) <= 0.5 and not np.isnan(values[step, k, m])
                ]
                assert filled == bool(near)
                assert value == min(near)[1] if near else np.isnan(value)
                checked += bool(near)
    assert checked > 100


def test_fine_source_fills_no_coarse_cell() -> None:
    # 30 % of the cell have values, none of them near its centre.
    values = np.full((1, 10, 10), np.nan, "f4")
    values[0, :, :3] = np.arange(10)[:, None]
    source = Product({"tas": values}, (centres(0.05, 0.1, 10), centres(0.05, 0.1, 10)), time=days("2001-01-01", 1))
    grid = {"lat": [0.55, 0.55], "lon": [0.5, 1.5], "step": 1}
    found = aligned(source, variables={"tas": "conservative"}, grid=grid, coast="nearest")
    assert found["tas_filled"].tolist() == [[[1, 0]]]  # the second is more than one cell away
    assert found["tas"][0, 0, 0] == 5  # the lower of the nearest two, 4 and 5, is not nearer: 0.55 is the centre of 5


def test_category_that_was_not_there_fills_the_coast() -> None:
    values = np.array([[[7, -1, -1, -1]] * 2], "int8")
    place = centres(0.25, 0.5, 2), centres(0.25, 0.5, 4)
    source = Product({"kind": values}, place, time=days("2001-01-01", 1), attrs={"kind": {"_FillValue": -1}})
    grid = {"lat": [0.5, 0.5], "lon": [0.3, 1.5], "step": 0.4}
    found = aligned(source, variables={"kind": "majority"}, grid=grid, coast="nearest")
    # The centre of the second cell is 0.45 degrees from the one value, those of the others more than a cell of 0.5.
    assert found["kind"].ravel().tolist() == [7, 7, -1, -1]
    assert found["kind_filled"].ravel().tolist() == [0, 1, 0, 0]


def heights(lat: Array, lon: Array, name: str, seed: int, plane: tuple[str, str] = LATLON) -> Product:
    values = np.random.default_rng(seed).uniform(0, 3000, (len(lat), len(lon))).astype("f4")
    return Product({"orog": values}, (lat, lon), name=name, attrs=HEIGHT, plane=plane)


@pytest.mark.parametrize("units", ["K", "degC"])
def test_temperature_is_not_that_of_the_height(units: str) -> None:
    lat, lon = centres(40.25, 0.5, 14), centres(0.25, 0.5, 14)
    low = heights(lat, lon, "low", 1)
    high = heights(centres(41.125, 0.25, 20), centres(1.125, 0.25, 20), "high", 2)
    base = 300 + 10 * np.arange(2)[:, None, None]
    values = base - 0.0065 * low.values["orog"].astype("f8")
    values[1, 3:6, 4:9] = np.nan
    source = Product({"tas": values}, (lat, lon), time=days("2001-01-01", 2), attrs={"tas": {"units": units}})
    grid = {"lat": [41.125, 45.875], "lon": [1.125, 5.875], "step": 0.25}
    options = {"variables": {"tas": "bilinear"}, "grid": grid, "coast": "nearest", **LAPSE}
    found = aligned(source, low, high, **options)
    # Rough source heights, missing neighbours and filled cells make no difference to air that cools evenly.
    expected = base - 0.0065 * high.values["orog"].astype("f8")
    known = np.isfinite(found["tas"])
    assert known.mean() > 0.9
    assert found["tas_filled"].any()
    np.testing.assert_allclose(found["tas"][known], expected[known], rtol=1e-9)
    parts = aligned(source, low, high, blocks={"time": 1, "lat": 7, "lon": 3}, **options)
    np.testing.assert_array_equal(parts["tas"].view("u8"), found["tas"].view("u8"))


def test_height_in_feet_or_of_the_sea_is_taken_as_metres() -> None:
    place = centres(40.25, 0.5, 4), centres(0.25, 0.5, 4)
    low = Product({"z": np.full((4, 4), 1000.0)}, place, name="low", attrs={"z": {"units": "ft"}})
    sea = np.zeros((2, 2))
    sea[0, 0] = np.nan
    high = Product(
        {"z": sea}, (centres(40.75, 0.5, 2), centres(0.75, 0.5, 2)), name="high", attrs={"z": {"units": "m"}}
    )
    source = Product({"tas": np.full((1, 4, 4), 280.0)}, place, time=days("2001-01-01", 1), attrs=KELVIN)
    grid = {"lat": [40.75, 41.25], "lon": [0.75, 1.25], "step": 0.5}
    found = aligned(source, low, high, variables={"tas": "bilinear"}, grid=grid, **LAPSE)["tas"][0]
    np.testing.assert_allclose(found, [[np.nan, 280 + 0.0065 * 304.8], [280 + 0.0065 * 304.8] * 2], rtol=1e-12)


def test_height_of_other_cells_shifts_temperatures() -> None:
    lat, lon = centres(40.25, 0.5, 8), centres(0.25, 0.5, 8)
    low, high = heights(lat, lon, "low", 1), heights(centres(41.125, 0.25, 4), centres(1.125, 0.25, 4), "high", 2)
    source = Product({"tas": np.ones((1, 8, 8))}, (lat, lon), time=days("2001-01-01", 1), attrs=KELVIN)
    grid = {"lat": [41.125, 41.875], "lon": [1.125, 1.875], "step": 0.25}
    options: dict[str, Any] = {"variables": {"tas": "bilinear"}, "grid": grid, **LAPSE}
    assert job_of(source, low, high, **options).template()
    for first, second, told in (
        (heights(lat + 0.1, lon, "low", 1), high, "the input"),
        (low, heights(lat, lon, "high", 1), "the grid"),
        (heights(lat, lon, "low", 1, PLANE), high, "the input"),
    ):
        with pytest.raises(Exception, match=f"not those of {told}") as caught:
            job_of(source, first, second, **options).template()
        assert [each.code for each in caught.value.problems] == ["align-lapse"]
