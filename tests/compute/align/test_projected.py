"""Regridding from projected maps: the national grid by brute force, EASE-2 by its own geometry, blocks and edges."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyproj
import pytest
import xarray as xr
from scipy.ndimage import maximum_filter

from compute.align import projected
from cube.options import LayoutOptions

from .views import PLANE, Product, aligned, centres, days, job_of

Array = np.ndarray[Any, Any]
OSGB = {"epsg": 27700, "wkt": None}
EASE = {"epsg": 6933, "wkt": None}
UK = (-9.0, 49.0, 3.0, 61.0)
CELL = 9008.055210146
WALES = {"lat": [51.375, 53.375], "lon": [-4.875, -2.625], "step": 0.25}


def national(cell: float, steps: int = 2, missing: float = 0.0, name: str = "tas") -> Product:
    """Random values on a window of the British national grid that holds Wales."""
    x, y = (
        centres(160_000 + cell / 2, cell, int(240_000 / cell)),
        centres(120_000 + cell / 2, cell, int(300_000 / cell)),
    )
    random = np.random.default_rng(4)
    values = random.random((steps, len(y), len(x))).astype("f4")
    values[random.random(values.shape) < missing] = np.nan
    return Product({name: values}, (y, x), time=days("2001-01-01", steps), plane=PLANE, crs=OSGB, bbox=UK)


def ease(rows: slice, columns: slice, steps: int = 2, missing: float = 0.0, name: str = "sm") -> Product:
    """Random values on a window of the 9 km EASE-2 grid, north last."""
    y, x = (CELL * (np.arange(1624) - 811.5))[rows], (CELL * (np.arange(3856) - 1927.5))[columns]
    random = np.random.default_rng(6)
    values = random.random((steps, len(y), len(x))).astype("f4")
    values[random.random(values.shape) < missing] = np.nan
    bounds = {"y": np.stack([y - CELL / 2, y + CELL / 2], 1), "x": np.stack([x - CELL / 2, x + CELL / 2], 1)}
    box = (-180.0, -85.0, 180.0, 85.0)
    return Product(
        {name: values}, (y, x), time=days("2019-01-01", steps), plane=PLANE, crs=EASE, bounds=bounds, bbox=box
    )


@pytest.mark.parametrize("cell", [5000.0, 20_000.0])
def test_conservative_differs_from_many_points(cell: float) -> None:
    source = national(cell)
    found = aligned(source, variables={"tas": "conservative"}, grid=WALES)["tas"]
    x, y = (source.view.template.coords[name].values for name in ("x", "y"))
    project = pyproj.Transformer.from_crs("EPSG:4326", "EPSG:27700", always_xy=True)
    fine = (np.arange(200) + 0.5) / 200 * 0.25 - 0.125
    for i in range(0, 9, 4):
        for j in range(0, 10, 3):
            lat, lon = (51.375 + 0.25 * i + fine)[:, None], (-4.875 + 0.25 * j + fine)[None, :]
            east, north = project.transform(*np.broadcast_arrays(lon, lat))
            column = np.floor((east - (x[0] - cell / 2)) / cell).astype(int)
            row = np.floor((north - (y[0] - cell / 2)) / cell).astype(int)
            weights = np.broadcast_to(np.cos(np.radians(lat)), row.shape)
            expected = [np.average(each[row, column], weights=weights) for each in source.values["tas"]]
            np.testing.assert_allclose(found[:, i, j], expected, atol=1e-3)


def test_conservative_on_an_equal_area_grid_differs_from_its_own_geometry() -> None:
    source = ease(slice(870, 925), slice(2025, 2085), missing=0.2)
    grid = {"lat": [4.875, 7.125], "lon": [10.125, 12.875], "step": 0.25}
    found = aligned(source, variables={"sm": "conservative"}, grid=grid)["sm"]
    # The projection is cylindrical: edges of its cells are parallels and meridians.
    y, x = (source.view.template.coords[name].values for name in ("y", "x"))
    degrees = pyproj.Transformer.from_crs("EPSG:6933", "EPSG:4326", always_xy=True)
    lon = degrees.transform(np.append(x, x[-1] + CELL) - CELL / 2, np.zeros(len(x) + 1))[0]
    plane = pyproj.Transformer.from_crs("EPSG:4326", "EPSG:6933", always_xy=True)
    for i in range(10):
        south, north = plane.transform([0, 0], [4.75 + 0.25 * i, 5 + 0.25 * i])[1]
        high = np.clip(np.minimum(north, y + CELL / 2) - np.maximum(south, y - CELL / 2), 0, None)
        for j in range(12):
            west, east = 10 + 0.25 * j, 10.25 + 0.25 * j
            area = high[:, None] * np.clip(np.minimum(east, lon[1:]) - np.maximum(west, lon[:-1]), 0, None)
            for step, each in enumerate(source.values["sm"]):
                known = ~np.isnan(each)
                expected = (area * np.where(known, each, 0)).sum() / (area * known).sum()
                if (area * known).sum() < area.sum() / 2:
                    expected = np.nan
                np.testing.assert_allclose(found[step, i, j], expected, rtol=1e-5)


def test_mean_of_satellite_cells_differs_from_a_loop() -> None:
    source = ease(slice(870, 925), slice(2025, 2085), missing=0.5)
    grid = {"lat": [4.875, 7.125], "lon": [10.125, 12.875], "step": 0.25}
    found = aligned(source, variables={"sm": "mean"}, grid=grid)
    y, x = (source.view.template.coords[name].values for name in ("y", "x"))
    degrees = pyproj.Transformer.from_crs("EPSG:6933", "EPSG:4326", always_xy=True)
    inside: dict[tuple[int, int], list[Array]] = {}
    for row in range(len(y)):
        for column in range(len(x)):
            lon, lat = degrees.transform(x[column], y[row])
            inside.setdefault((int((lat - 4.75) // 0.25), int((lon - 10) // 0.25)), []).append(
                source.values["sm"][:, row, column]
            )
    for i in range(10):
        for j in range(12):
            for step in range(2):
                cells = [each[step] for each in inside[i, j]]
                known = [each for each in cells if not np.isnan(each)]
                assert found["sm_count"][step, i, j] == len(known)
                enough = len(known) >= len(cells) / 2
                expected = np.mean(known) if enough else np.nan
                np.testing.assert_allclose(found["sm"][step, i, j], expected, rtol=1e-6)


def test_bilinear_differs_from_a_plain_formula() -> None:
    source = national(12_000.0, missing=0.1)
    found = aligned(source, variables={"tas": "bilinear"}, grid=WALES)["tas"]
    project = pyproj.Transformer.from_crs("EPSG:4326", "EPSG:27700", always_xy=True)
    x, y = (source.view.template.coords[name].values for name in ("x", "y"))
    for i in range(9):
        for j in range(10):
            east, north = project.transform(-4.875 + 0.25 * j, 51.375 + 0.25 * i)
            column, row = int((east - x[0]) // 12_000), int((north - y[0]) // 12_000)
            across, up = (east - x[column]) / 12_000, (north - y[row]) / 12_000
            weights = np.array([[(1 - up) * (1 - across), (1 - up) * across], [up * (1 - across), up * across]])
            for step, each in enumerate(source.values["tas"]):
                four = each[row : row + 2, column : column + 2]
                known = ~np.isnan(four)
                share = weights[known].sum()
                expected = (weights[known] * four[known]).sum() / share if share >= 0.5 else np.nan
                np.testing.assert_allclose(found[step, i, j], expected, rtol=1e-6)


def test_majority_differs_from_a_count_of_points() -> None:
    source = national(5000.0)
    kinds = (source.values["tas"] * 4).astype("int16")
    attrs = {"kind": {"_FillValue": -9, "flag_values": [0, 1, 2, 3]}}
    axes = tuple(source.view.template.coords[name].values for name in ("y", "x"))
    land = Product({"kind": kinds}, axes, time=days("2001-01-01", 2), plane=PLANE, attrs=attrs, crs=OSGB, bbox=UK)
    found = aligned(land, variables={"kind": "majority"}, grid=WALES)["kind"]
    assert found.dtype == np.int16
    shares = []
    for kind in range(4):
        part = Product(
            {"x": (kinds == kind).astype("f8")}, axes, time=days("2001-01-01", 2), plane=PLANE, crs=OSGB, bbox=UK
        )
        shares.append(aligned(part, variables={"x": "conservative"}, grid=WALES)["x"])
    np.testing.assert_array_equal(found, np.argmax(shares, axis=0))


@pytest.mark.parametrize("method", ["conservative", "bilinear", "majority", "mean"])
def test_cut_of_blocks_changes_bits(method: str) -> None:
    options = {"variables": {"tas": method}, "grid": WALES, "coast": "nearest", "min_valid": "60 %"}
    for missing in (0.4, 0.97):
        source = national(10_000.0, steps=3, missing=missing)
        source.values["tas"] = np.round(source.values["tas"] * 5)
        whole = aligned(source, **options)
        for sizes in ({"time": 2, "lat": 4, "lon": 3}, {"lat": 1, "lon": 1}):
            parts = aligned(source, blocks=sizes, **options)
            for name, array in whole.items():
                np.testing.assert_array_equal(parts[name].view(f"u{array.itemsize}"), array.view(f"u{array.itemsize}"))
        assert whole["tas_filled"].any()


def test_blocks_read_the_whole_source() -> None:
    job = job_of(national(5000.0), variables={"tas": "conservative"}, grid=WALES)
    group = job.template().layout(LayoutOptions()).groups[0]
    window = job.reads(group, {"time": slice(0, 2), "lat": slice(0, 1), "lon": slice(0, 1)})["source"].slices
    # One target cell is 27.8 km by 17.4 km, a little turned: 7 by 4 or 5 cells, and one more on each side.
    assert window["y"].stop - window["y"].start <= 9
    assert window["x"].stop - window["x"].start <= 7


def test_cell_beside_the_edge_of_the_world_is_smeared_over_it() -> None:
    whole = ease(slice(800, 830), slice(0, 3856), steps=1)
    grid = {"lat": [-0.5, 0.5], "lon": [-179.5, 179.5], "step": 1}
    found = aligned(whole, variables={"sm": "conservative"}, grid=grid, blocks={"lon": 7})["sm"]
    assert np.isfinite(found).all()
    for columns, cells in ((slice(0, 40), slice(0, 3)), (slice(3816, 3856), slice(-3, None))):
        part = ease(slice(800, 830), columns, steps=1)
        part.values["sm"] = whole.values["sm"][:, :, columns]
        ends = centres(-179.5, 1, 360)[cells][[0, -1]].tolist()
        near = aligned(part, variables={"sm": "conservative"}, grid={**grid, "lon": ends})["sm"]
        np.testing.assert_array_equal(found[:, :, cells], near)
    beyond = {**grid, "lon": [177.5, 182.5]}
    across = aligned(whole, variables={"sm": "conservative"}, grid=beyond, blocks={"lon": 7})["sm"]
    np.testing.assert_allclose(across, np.concatenate([found[:, :, -3:], found[:, :, :3]], axis=2), rtol=1e-6)


def test_grids_of_one_machine_shift_its_results(monkeypatch: pytest.MonkeyPatch) -> None:
    class Installed:
        """What PROJ knows where the grid of the Ordnance Survey is installed."""

        def __init__(self, *arguments: Any, **options: Any) -> None:
            with_grid = SimpleNamespace(definition="proj=pipeline step proj=hgridshift grids=uk_os_OSTN15.tif")
            self.transformers = [with_grid, SimpleNamespace(definition="proj=pipeline step proj=helmert")]

    monkeypatch.setattr(projected, "TransformerGroup", Installed)
    assert "helmert" in projected.transformer.__wrapped__("EPSG:27700").definition


@pytest.mark.parametrize(
    ("epsg", "box", "ends", "step"),
    [
        (27700, (-9.0, 49.0, 3.0, 61.0), (100_000, 600_000), 2.5),
        (27700, (-9.0, 49.0, 3.0, 61.0), (100_000, 600_000), 2.0),
        (3031, (-180.0, -90.0, 180.0, -60.0), (-1_900_000, 1_900_000), 5.0),
    ],
)
def test_place_where_the_projection_folds_has_values(
    epsg: int, box: tuple[float, ...], ends: tuple[int, int], step: float
) -> None:
    axis = centres(ends[0] + 10_000, 20_000, (ends[1] - ends[0]) // 20_000)
    values = np.ones((1, len(axis), len(axis)), "f4")
    source = Product(
        {"x": values}, (axis, axis), time=days("2001-01-01", 1), plane=PLANE, crs={"epsg": epsg, "wkt": None}, bbox=box
    )
    grid = {"lat": [-90 + step / 2, 90 - step / 2], "lon": [-180 + step / 2, 180 - step / 2], "step": step}
    options = {"variables": {"x": "conservative"}, "grid": grid, "blocks": {"lat": 40, "lon": 100}}
    found = aligned(source, min_valid="1 %", **options)["x"][0]
    project = pyproj.Transformer.from_crs("EPSG:4326", f"EPSG:{epsg}", always_xy=True)
    rows, columns = round(180 / step), round(360 / step)
    lat, lon = centres(-90 + step / 16, step / 8, 8 * rows), centres(-180 + step / 16, step / 8, 8 * columns)
    east, north = project.transform(*reversed(np.meshgrid(lat, lon, indexing="ij")))
    inside = (east > ends[0]) & (east < ends[1]) & (north > ends[0]) & (north < ends[1])
    shares = inside.reshape(rows, 8, columns, 8).mean(axis=(1, 3))
    assert (shares > 0.6).sum() >= 4
    assert (found[shares > 0.1] == 1).all()
    assert np.isnan(found[maximum_filter(shares, 3, mode=("nearest", "wrap")) == 0]).all()


def test_rotated_pole_is_taken_for_degrees() -> None:
    crs = pyproj.CRS.from_cf(
        {
            "grid_mapping_name": "rotated_latitude_longitude",
            "grid_north_pole_latitude": 37.5,
            "grid_north_pole_longitude": 177.5,
        }
    )
    lat, lon = centres(-4.95, 0.1, 100), centres(-4.95, 0.1, 100)
    north, east = np.meshgrid(lat, lon, indexing="ij")
    degrees = pyproj.Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    true_lon, true_lat = degrees.transform(east, north)
    source = Product(
        {"lat_here": true_lat[None], "lon_here": true_lon[None]},
        (lat, lon),
        time=days("2001-01-01", 1),
        plane=("rlat", "rlon"),
        crs={"epsg": None, "wkt": crs.to_wkt()},
        bbox=(-11.0, 47.0, 6.0, 58.0),
    )
    for method, tolerance in (("conservative", 0.015), ("bilinear", 1e-3), ("mean", 0.05)):
        found = aligned(source, variables={"lat_here": method, "lon_here": method}, grid=WALES)
        lat, lon = centres(51.375, 0.25, 9)[:, None], centres(-4.875, 0.25, 10)[None, :]
        np.testing.assert_allclose(found["lat_here"][0] - lat, np.zeros((9, 10)), atol=tolerance)
        np.testing.assert_allclose(found["lon_here"][0] - lon, np.zeros((9, 10)), atol=tolerance)


@pytest.mark.shared
def test_mean_temperature_of_the_uk_moves(shared: Path) -> None:
    path = shared / "data" / "uk-tmean-1910-osgb" / "tmean_1910_1910.nc"
    with xr.open_dataset(path, decode_times=False) as file:
        tmean, lat, lon = file["tmean"].load(), file["lat"].values, file["lon"].values
        axes = file["y"].values, file["x"].values
    source = Product({"tas": tmean.values}, axes, time=days("1910-01-01", 1), plane=PLANE, crs=OSGB, bbox=UK)
    grid = {"lat": [49.875, 55.875], "lon": [-8.125, 1.875], "step": 0.25}
    found = aligned(source, variables={"tas": "conservative"}, grid=grid)["tas"][0]
    # The file's own latitudes and longitudes say where its cells are.
    known = np.isfinite(tmean.values[0]) & (abs(lon + 3.125) < 5.125) & (abs(lat - 52.875) < 3.125)
    row, column = np.floor((lat - 49.75) / 0.25).astype(int), np.floor((lon + 8.25) / 0.25).astype(int)
    means = xr.DataArray(tmean.values[0][known]).groupby(xr.DataArray((row * 41 + column)[known], name="cell"))
    sizes, average = means.count(), means.mean()
    full = sizes["cell"].values[sizes.values >= 17]  # cells of 5 km in 27.8 km by 14 to 18 km
    assert len(full) > 150
    expected = average.sel(cell=full).values
    np.testing.assert_allclose(found[full // 41, full % 41], expected, atol=0.45)
    assert abs(float(np.mean(found[full // 41, full % 41] - expected))) < 0.01
