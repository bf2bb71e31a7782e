"""Regridding from latitude and longitude against plain loops and scipy, and blocks against the whole."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import RegularGridInterpolator

from .views import Product, aligned, centres, days

Array = np.ndarray[Any, Any]
RAIN = {"pr": {"units": "mm d-1"}}


def loop(values: Array, lat: Array, lon: Array, size: float, target: Array, around: Array, step: float) -> Array:
    """Area-weighted means by loops over pairs of cells; longitudes are compared on the circle."""
    out = np.full((len(values), len(target), len(around)), np.nan)
    for i, north in enumerate(target):
        for j, east in enumerate(around):
            total, weight = np.zeros(len(values)), np.zeros(len(values))
            for k, row in enumerate(lat):
                top, bottom = min(north + step / 2, row + size / 2, 90), max(north - step / 2, row - size / 2, -90)
                if top <= bottom:
                    continue
                high = math.sin(math.radians(top)) - math.sin(math.radians(bottom))
                for m, column in enumerate(lon):
                    away = (column - east + 180) % 360 - 180
                    wide = min(step / 2, away + size / 2) - max(-step / 2, away - size / 2)
                    if wide > 1e-9:
                        some = ~np.isnan(values[:, k, m])
                        total += np.where(some, values[:, k, m], 0) * high * wide
                        weight += some * high * wide
            cell = (math.sin(math.radians(north + step / 2)) - math.sin(math.radians(north - step / 2))) * step
            enough = weight >= 0.5 * cell * (1 - 1e-9)
            out[enough, i, j] = total[enough] / weight[enough]
    return out


def rain(
    lat: Array, lon: Array, steps: int = 3, missing: float = 0.0, dtype: str = "float64", **options: Any
) -> Product:
    random = np.random.default_rng(3)
    values = random.gamma(0.4, 5.0, (steps, len(lat), len(lon))).astype(dtype)
    values[random.random(values.shape) < missing] = np.nan
    return Product({"pr": values}, (lat, lon), time=days("2001-01-01", steps), attrs=RAIN)


@pytest.mark.parametrize(
    ("size", "step", "south"), [(0.5, 0.2, 50.1), (0.0375, 0.25, -3.875), (0.5, 0.75, 60.375), (0.3, 0.3, 0.1)]
)
def test_conservative_is_not_the_mean_over_the_area(size: float, step: float, south: float) -> None:
    count = math.ceil(6 * step / size) + 2
    lat, lon = centres(south - step / 2 - size / 4, size, count), centres(20 - size / 4, size, count)
    source = rain(lat, lon, missing=0.3)
    grid = {"lat": [south, round(south + 5 * step, 10)], "lon": [20.25, round(20.25 + 4 * step, 10)], "step": step}
    found = aligned(source, variables={"pr": "conservative"}, grid=grid)["pr"]
    expected = loop(source.values["pr"], lat, lon, size, centres(south, step, 6), centres(20.25, step, 5), step)
    assert np.isfinite(expected).mean() > 0.3
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize(("size", "step"), [(0.5, 0.2), (0.0375, 0.25), (1.0, 0.75)])
def test_total_over_the_area_is_not_kept(size: float, step: float) -> None:
    # Both grids span the same box of 3 degrees.
    lat, lon = centres(50 + size / 2, size, round(3 / size)), centres(-1.5 + size / 2, size, round(3 / size))
    source = rain(lat, lon)
    ends = [50 + step / 2, 53 - step / 2], [-1.5 + step / 2, 1.5 - step / 2]
    found = aligned(
        source, variables={"pr": "conservative"}, grid={"lat": list(ends[0]), "lon": list(ends[1]), "step": step}
    )["pr"]

    def total(values: Array, rows: Array, width: float) -> Array:
        high = np.sin(np.radians(rows + width / 2)) - np.sin(np.radians(rows - width / 2))
        return (values.astype("f8") * (high * width)[:, None]).sum(axis=(1, 2))

    rows = centres(50 + step / 2, step, found.shape[1])
    np.testing.assert_allclose(total(found, rows, step), total(source.values["pr"], lat, size), rtol=1e-12)


def test_descending_latitude_or_float_noise_gives_other_values() -> None:
    lat, lon = centres(-5.98125, 0.0375, 100), centres(10.01875, 0.0375, 80)
    source = rain(lat, lon, dtype="float32")
    options = {
        "variables": {"pr": "conservative"},
        "grid": {"lat": [-5.875, -2.625], "lon": [10.125, 12.625], "step": 0.25},
    }
    expected = aligned(source, **options)["pr"]
    turned = Product({"pr": source.values["pr"][:, ::-1]}, (lat[::-1], lon), time=source.view.template.time, attrs=RAIN)
    # Sums run in another order, which may change the last bit.
    np.testing.assert_allclose(aligned(turned, **options)["pr"], expected, rtol=1e-6)
    noisy = Product(
        source.values, (lat.astype("f4").astype("f8"), lon.astype("f4")), time=source.view.template.time, attrs=RAIN
    )
    np.testing.assert_allclose(aligned(noisy, **options)["pr"], expected, rtol=1e-3)
    assert np.isfinite(aligned(noisy, **options)["pr"]).all()


@pytest.mark.parametrize("first", [-180.0, -179.5])
def test_seam_of_longitude_is_an_edge(first: float) -> None:
    lat, lon = centres(-4.5, 1, 10), centres(first, 1, 360)
    source = rain(lat, lon, steps=2)
    for ends, count in (([-179.625, 179.625], 480), ([170.25, 190.5], 28)):
        target = centres(ends[0], 0.75, count)
        grid = {"lat": [-2.25, 2.25], "lon": ends, "step": 0.75}
        found = aligned(source, variables={"pr": "conservative"}, grid=grid, blocks={"lon": 13})["pr"]
        some = np.r_[0:3, count // 2, count - 3 : count]
        expected = loop(source.values["pr"], lat, lon, 1, centres(-2.25, 0.75, 7), target[some], 0.75)
        np.testing.assert_allclose(found[:, :, some], expected, rtol=1e-12)
        kelvin = Product({"tas": source.values["pr"]}, (lat, lon), time=source.view.template.time)
        found = aligned(kelvin, variables={"tas": "bilinear"}, grid=grid, blocks={"lon": 13})["tas"]
        wide = np.concatenate([lon - 360, lon, lon + 360])
        for step in range(2):
            value = RegularGridInterpolator((lat, wide), np.tile(source.values["pr"][step], (1, 3)))
            points = np.stack(np.meshgrid(centres(-2.25, 0.75, 7), target, indexing="ij"), axis=-1)
            np.testing.assert_allclose(found[step], value(points), rtol=1e-9)


@pytest.mark.parametrize(
    ("valid", "needed", "there"),
    [(49, "50 %", False), (50, "50 %", True), (51, "50 %", True), (74, "0.75", False), (1, "1 %", True)],
)
@pytest.mark.parametrize("method", ["conservative", "mean", "majority"])
def test_cell_with_too_little_area_has_a_value(valid: int, needed: str, there: bool, method: str) -> None:
    lat, lon = centres(0.5, 1, 2), centres(0.005, 0.01, 200)
    values = np.full((2, 2, 200), 5.0, "f4")
    values[1, 0, : 100 - valid] = np.nan
    bounds = {"lat": np.array([[0.0, 1.0], [1.0, 2.0]])}
    source = Product({"x": values}, (lat, lon), time=days("2001-01-01", 2), bounds=bounds)
    grid = {"lat": [0.5, 1.5], "lon": [0.5, 1.5], "step": 1}
    needed = needed if "%" in needed else f"{needed} 1"
    found = aligned(source, variables={"x": method}, grid=grid, min_valid=needed)["x"]
    assert np.isfinite(found[1, 0, 0]) == there
    assert np.count_nonzero(np.isnan(found)) == (not there)
    np.testing.assert_array_equal(found[np.isfinite(found)], 5)


def test_target_beyond_the_source_is_filled_up() -> None:
    source = rain(centres(0.25, 0.5, 8), centres(0.25, 0.5, 8))
    grid = {"lat": [-2.9, 5.9], "lon": [-2.9, 5.9], "step": 0.8}
    found = aligned(source, variables={"pr": "conservative"}, grid=grid)["pr"]
    places = centres(-2.9, 0.8, 12)
    covered = np.clip(np.minimum(places + 0.4, 4) - np.maximum(places - 0.4, 0), 0, None) / 0.8
    enough = covered[:, None] * covered[None] >= 0.5 - 0.001  # areas so near the equator are those of the plane
    np.testing.assert_array_equal(np.isfinite(found[0]), enough)


def test_bilinear_differs_from_scipy() -> None:
    lat, lon = centres(-9.75, 0.5, 20), centres(0.25, 0.5, 24)
    values = np.random.default_rng(5).normal(290, 5, (4, 20, 24))
    source = Product({"tas": values}, (lat, lon), time=days("2001-01-01", 4), attrs={"tas": {"units": "K"}})
    grid = {"lat": [-9.4, -0.6], "lon": [0.6, 11.4], "step": 0.2}
    found = aligned(source, variables={"tas": "bilinear"}, grid=grid)["tas"]
    points = np.stack(np.meshgrid(centres(-9.4, 0.2, 45), centres(0.6, 0.2, 55), indexing="ij"), axis=-1)
    expected = [RegularGridInterpolator((lat, lon), each)(points) for each in values]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_missing_neighbour_counts_or_takes_all() -> None:
    values = np.array([[[10.0, 20.0], [30.0, 40.0]]] * 3)
    values[1, 0, 0] = np.nan  # has a weight of 0.7 x 0.6 = 0.42
    values[2, 0, :] = np.nan  # 0.7
    source = Product({"tas": values}, (centres(0, 1, 2), centres(0, 1, 2)), time=days("2001-01-01", 3))
    grid = {"lat": [0.3, 0.3], "lon": [0.4, 0.4], "step": 1}
    found = aligned(source, variables={"tas": "bilinear"}, grid=grid)["tas"][:, 0, 0]
    weights = np.array([0.7 * 0.6, 0.7 * 0.4, 0.3 * 0.6, 0.3 * 0.4])
    assert found[0] == pytest.approx(weights @ [10, 20, 30, 40])
    assert found[1] == pytest.approx(weights[1:] @ [20, 30, 40] / weights[1:].sum())
    assert np.isnan(found[2])


def test_edge_cell_is_lost_to_interpolation() -> None:
    values = np.arange(4.0).reshape(1, 2, 2)
    source = Product({"tas": values}, (centres(0, 1, 2), centres(0, 1, 2)), time=days("2001-01-01", 1))
    grid = {"lat": [-1.2, 0.8], "lon": [-0.4, 0.6], "step": 1}
    found = aligned(source, variables={"tas": "bilinear"}, grid=grid)["tas"][0]
    # South of the source; inside its southern half cells; between its centres.
    expected = [[np.nan, np.nan], [0, 0.6], [2 * 0.8, 2 * 0.8 + 0.6]]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_tie_of_categories_is_decided_by_chance() -> None:
    south, north = [3, 3], [1, 1]
    values = np.array([[[3, 1], [1, 3]], [[1, 3], [3, 1]], [south, north], [north, south]], "int8")
    time = days("2001-01-01", 4)
    grid = {"lat": [0, 0], "lon": [0.5, 0.5], "step": 1}
    equator = Product({"kind": values}, (centres(-0.25, 0.5, 2), centres(0.25, 0.5, 2)), time=time)
    assert aligned(equator, variables={"kind": "majority"}, grid=grid)["kind"].ravel().tolist() == [1, 1, 1, 1]
    # Away from the equator the half nearer to it is the larger one.
    grid = {"lat": [60, 60], "lon": [0.5, 0.5], "step": 1}
    away = Product({"kind": values}, (centres(59.75, 0.5, 2), centres(0.25, 0.5, 2)), time=time)
    found = aligned(away, variables={"kind": "majority"}, grid=grid)["kind"]
    assert found.ravel().tolist() == [1, 1, 3, 1]
    assert found.dtype == np.int32  # the input has no fill value


def test_category_that_is_missing_wins() -> None:
    values = np.array([[[-1, -1], [2, 5]], [[-1, -1], [-1, 5]], [[5, 2], [-1, 2]]], "int8")
    attrs = {"kind": {"_FillValue": -1, "flag_values": [2, 5], "flag_meanings": "grass trees"}}
    place = centres(-0.25, 0.5, 2), centres(0.25, 0.5, 2)
    source = Product({"kind": values}, place, time=days("2001-01-01", 3), attrs=attrs)
    grid = {"lat": [0, 0], "lon": [0.5, 0.5], "step": 1}
    found = aligned(source, variables={"kind": "majority"}, grid=grid)["kind"]
    assert (found.dtype, found.ravel().tolist()) == (np.int8, [2, -1, 2])


def test_mean_weighs_or_counts_other_cells() -> None:
    lat, lon = centres(40.05, 0.2, 20), centres(5.05, 0.2, 20)
    random = np.random.default_rng(8)
    values = random.normal(0, 1, (3, 20, 20)).astype("f4")  # fluorescence has valid negatives
    values[random.random(values.shape) < 0.6] = np.nan
    source = Product({"sif": values}, (lat, lon), time=days("2019-01-01", 3))
    grid = {"lat": [40.25, 43.25], "lon": [5.25, 8.25], "step": 0.5}
    found = aligned(source, variables={"sif": "mean"}, grid=grid, min_valid="40 %")
    for step in range(3):
        for i in range(7):
            for j in range(7):
                inside = [
                    values[step, k, m]
                    for k in range(20)
                    for m in range(20)
                    if 40 + i / 2 <= lat[k] < 40.5 + i / 2 and 5 + j / 2 <= lon[m] < 5.5 + j / 2
                ]
                known = [each for each in inside if not np.isnan(each)]
                assert found["sif_count"][step, i, j] == len(known)
                if len(known) >= 0.4 * len(inside):
                    assert found["sif"][step, i, j] == pytest.approx(np.mean(known), rel=1e-5, abs=1e-6)
                else:
                    assert np.isnan(found["sif"][step, i, j])


def test_centre_on_an_edge_is_in_both_cells_or_none() -> None:
    lat, lon = centres(0.25, 0.25, 8), centres(-180, 0.25, 8)
    source = Product({"x": np.ones((1, 8, 8), "f4")}, (lat + 3e-9, lon - 3e-9), time=days("2001-01-01", 1))
    grid = {"lat": [0.25, 1.75], "lon": [-179.75, 179.75], "step": 0.5}
    counts = aligned(source, variables={"x": "mean"}, grid=grid, min_valid="1 %")["x_count"][0]
    assert counts[:, :4].tolist() == [[2] * 4, *([[4] * 4] * 3)]  # the row at 2 degrees is on the outer edge
    assert counts.sum() == 7 * 8


def test_other_dimensions_are_mixed_up() -> None:
    values = np.random.default_rng(2).random((2, 3, 8, 8)).astype("f4")
    place = centres(0.25, 0.5, 8), centres(0.25, 0.5, 8)
    grid = {"lat": [0.5, 3.5], "lon": [0.5, 3.5], "step": 1}
    soil = Product({"sthu": values}, place, time=days("2001-01-01", 2), dims=("depth",))
    found = aligned(soil, variables={"sthu": "conservative"}, grid=grid, blocks={"time": 1, "lat": 3})["sthu"]
    for layer in range(3):
        one = Product({"sthu": values[:, layer].copy()}, place, time=days("2001-01-01", 2))
        expected = aligned(one, variables={"sthu": "conservative"}, grid=grid)["sthu"]
        np.testing.assert_array_equal(found[:, layer], expected)


def test_map_without_time_is_refused_or_gets_time() -> None:
    values = np.random.default_rng(2).random((8, 8)).astype("f4")
    place = centres(0.25, 0.5, 8), centres(0.25, 0.5, 8)
    grid = {"lat": [0.5, 3.5], "lon": [0.5, 3.5], "step": 1}
    static = Product({"land": values}, place)
    found = aligned(static, variables={"land": "conservative"}, grid=grid, coast="nearest", blocks={"lat": 2})
    daily = Product({"land": values[None]}, place, time=days("2001-01-01", 1))
    expected = aligned(daily, variables={"land": "conservative"}, grid=grid)["land"][0]
    np.testing.assert_array_equal(found["land"], expected)
    assert found["land_filled"].shape == (4, 4)


@settings(max_examples=16)
@given(
    size=st.sampled_from([0.0375, 0.1, 0.25, 0.5, 1.3]),
    offset=st.floats(0, 1),
    method=st.sampled_from(["conservative", "bilinear", "majority", "mean"]),
    coast=st.sampled_from([None, "nearest"]),
    blocks=st.fixed_dictionaries({"time": st.integers(1, 4), "lat": st.integers(1, 9), "lon": st.integers(1, 9)}),
    turned=st.booleans(),
)
def test_cut_of_blocks_changes_bits(
    size: float, offset: float, method: str, coast: str | None, blocks: dict[str, int], turned: bool
) -> None:
    count = math.ceil(2.6 / size) + 2
    lat, lon = centres(30 + (offset - 0.5) * size, size, count), centres(10 - offset * size, size, count)
    random = np.random.default_rng(1)
    values = random.integers(0, 9, (4, count, count)).astype("f4") / 7
    values[random.random(values.shape) < 0.4] = np.nan
    source = Product({"x": values}, (lat[::-1] if turned else lat, lon), time=days("2001-01-01", 4))
    step = 1.3 if method == "mean" else 0.3
    last = {0.3: 2.4, 1.3: 1.3}[step]
    grid = {"lat": [30.1, 30.1 + last], "lon": [9.9, 9.9 + last], "step": step}
    options = {"variables": {"x": method}, "grid": grid, "coast": coast, "min_valid": "40 %"}
    whole, parts = aligned(source, **options), aligned(source, blocks=blocks, **options)
    assert set(whole) == set(parts)
    for name, array in whole.items():
        np.testing.assert_array_equal(parts[name].view(f"u{array.itemsize}"), array.view(f"u{array.itemsize}"))
