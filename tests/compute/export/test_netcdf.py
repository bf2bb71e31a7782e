"""Exported NetCDF files, against the cube opened by plain xarray, and valid by the IOOS compliance checker."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import pytest
import shapely
import xarray as xr

from compute.export.exporting import export
from cube.catalogue import Cube
from cube.errors import InputError

from .conftest import BAND, LATS, LONS, TOYS, TRIANGLE


def plain(folder: Path, name: str) -> xr.Dataset:
    """The product by plain xarray, without anything of the project."""
    return xr.open_zarr(next(folder.glob(f"cube/metrics/{name}/*/time.zarr")), decode_times=False).load()


def raw(path: Path) -> xr.Dataset:
    with xr.open_dataset(path, decode_times=False) as file:
        return file.load()


def wrong(path: Path, report: Path) -> list[str]:
    """What the checker calls an error, of high priority."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from compliance_checker.runner import CheckSuite, ComplianceChecker

        CheckSuite.load_all_available_checkers()
        _, faults = ComplianceChecker.run_checker(
            str(path), ["cf:1.11"], 0, "normal", output_format="json", output_filename=str(report)
        )
    assert not faults
    import json

    (found,) = json.loads(report.read_text()).values()
    return [
        f"{each['name']}: {each['msgs']}" for each in found["high_priorities"] if each["value"][0] < each["value"][1]
    ]


CHOICES: dict[str, tuple[str, dict[str, Any]]] = {
    "days": ("daily", {}),
    "days at places": ("daily", {"variables": ["pr"], "places": [(1.2, -5.1), (6.9, 1.0)]}),
    "seasons": ("seasons", {}),
    "seasons in a region": ("seasons", {"region": "r.geojson"}),
    "seasons at a place": ("seasons", {"places": {"a": (3.0, -3.0)}}),
    "a projected map": ("national", {}),
    "part of a projected map": ("national", {"box": (51.69, -2.1, 51.76, -1.92)}),
    "land points": ("sites", {}),
    "a land point": ("sites", {"places": {"x": (1.0, 1.0)}}),
    "a summary": ("summary", {}),
}


@pytest.mark.parametrize("title", CHOICES)
def test_file_is_not_cf(cube: Cube, folder: Path, tmp_path: Path, title: str) -> None:
    name, asked = CHOICES[title]
    if "region" in asked:
        asked = {**asked, "region": folder / asked["region"]}
    export(cube, name, tmp_path / "a.nc", **asked)
    assert wrong(tmp_path / "a.nc", tmp_path / "report.json") == []
    with netCDF4.Dataset(tmp_path / "a.nc") as file:
        assert file.Conventions == "CF-1.11"
        assert file.license == "CC-BY-4.0; redistribution: yes"
        assert "Dunning" in file.references
        assert not {"history", "date_created"} & set(file.ncattrs())


def test_checker_finds_no_fault_in_a_faulty_file(cube: Cube, tmp_path: Path) -> None:
    export(cube, "daily", tmp_path / "a.nc")
    with netCDF4.Dataset(tmp_path / "a.nc", "a") as file:
        file["pr"].units = "furlongs per wet day"
    assert wrong(tmp_path / "a.nc", tmp_path / "report.json")


@pytest.mark.parametrize("name", TOYS)
def test_values_differ_from_the_cube(cube: Cube, folder: Path, tmp_path: Path, name: str) -> None:
    found = export(cube, name, tmp_path / "a.nc")
    expected, file = plain(folder, name), raw(tmp_path / "a.nc")
    assert set(found.variables) == set(expected.data_vars) & set(TOYS[name].values)
    for variable in found.variables:
        assert file[variable].dims == expected[variable].dims
        np.testing.assert_array_equal(file[variable], expected[variable])
        assert file[variable].attrs["units"] == expected[variable].attrs["units"]
    np.testing.assert_array_equal(file["time"], expected["time"])
    np.testing.assert_array_equal(file["time_bnds"], expected["time_bnds"])
    assert file["time"].attrs["calendar"] == expected["time"].attrs["calendar"]


def test_box_and_dates_cut_other_cells_and_days(cube: Cube, folder: Path, tmp_path: Path) -> None:
    box = (2.0, -5.0, 5.0, 2.0)
    export(cube, "daily", tmp_path / "a.nc", box=box, start="2001-12-30", end="2002-02-30")
    expected = plain(folder, "daily").sel(lat=slice(2, 5), lon=slice(-5, 2)).isel(time=slice(359, 420))
    file = raw(tmp_path / "a.nc")
    np.testing.assert_array_equal(file["pr"], expected["pr"])
    np.testing.assert_array_equal(file["time"], expected["time"])
    np.testing.assert_allclose(file["lat_bnds"], [[2, 4], [4, 6]])
    np.testing.assert_array_equal(file["lon"], [-5, -3, -1, 1])


@pytest.mark.parametrize(("chosen", "rings"), [("", [TRIANGLE, BAND]), (":Triangle", [TRIANGLE])])
def test_cells_outside_of_a_region_keep_values(
    cube: Cube, folder: Path, tmp_path: Path, chosen: str, rings: list[Any]
) -> None:
    export(cube, "seasons", tmp_path / "a.nc", region=f"{folder / 'r.geojson'}{chosen}")
    expected, file = plain(folder, "seasons"), raw(tmp_path / "a.nc")
    inside = np.zeros((len(LATS), len(LONS)), bool)
    for row, column in np.ndindex(*inside.shape):
        point = shapely.Point(LONS[column], LATS[row])
        inside[row, column] = any(shapely.Polygon(ring).intersects(point) for ring in rings)
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    cut = {"lat": slice(rows[0], rows[-1] + 1), "lon": slice(columns[0], columns[-1] + 1)}
    keep = xr.DataArray(inside, dims=("lat", "lon")).isel(cut)
    for name in ("onset", "season_flag", "rain_mean", "season_start"):
        np.testing.assert_array_equal(file[name], expected[name].isel(cut).where(keep))


def test_place_in_the_sea_takes_the_sea(cube: Cube, folder: Path, tmp_path: Path) -> None:
    found = export(cube, "daily", tmp_path / "a.nc", variables=["pr"], places={"coast": (1.4, -6.4), "in": (7.0, 3.0)})
    expected, file = plain(folder, "daily"), raw(tmp_path / "a.nc")
    coast, inland = found.stations
    assert (coast.cell.lat, coast.cell.lon) == (1.0, -5.0)
    np.testing.assert_array_equal(file["pr"].values[0], expected["pr"].sel(lat=1, lon=-5))
    np.testing.assert_array_equal(file["pr"].values[1], expected["pr"].sel(lat=7, lon=3))
    half = np.sin(np.radians(0.2)) ** 2 + np.cos(np.radians(1.4)) * np.cos(np.radians(1)) * np.sin(np.radians(0.7)) ** 2
    np.testing.assert_allclose(file["distance"].values, [2 * 6371 * np.arcsin(np.sqrt(half)), 0], atol=1e-3)
    assert file.attrs["featureType"] == "timeSeries"
    assert list(file["station_name"].values) == ["coast", "in"]
    assert inland.cell.km == 0


def test_place_too_far_names_no_other(cube: Cube, tmp_path: Path) -> None:
    with pytest.raises(InputError) as refused:
        export(cube, "daily", tmp_path / "a.nc", places={"far": (30.0, 0.0), "farther": (60.0, 0.0)})
    assert [each.code for each in refused.value.problems] == ["place-too-far"] * 2
    assert refused.value.problems[0].fix.count("km") == 3
    assert not list(tmp_path.iterdir())


def test_same_export_gives_other_bytes(cube: Cube, tmp_path: Path) -> None:
    for name in ("a.nc", "b.nc"):
        export(cube, "seasons", tmp_path / name)
    assert (tmp_path / "a.nc").read_bytes() == (tmp_path / "b.nc").read_bytes()


def test_small_pieces_give_another_file(cube: Cube, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    export(cube, "daily", tmp_path / "a.nc", region=None, box=(0, -6, 8, 4))
    monkeypatch.setattr("compute.export.netcdf.BUDGET", 1)
    export(cube, "daily", tmp_path / "b.nc", region=None, box=(0, -6, 8, 4))
    assert raw(tmp_path / "a.nc").identical(raw(tmp_path / "b.nc"))


@pytest.mark.parametrize(
    ("asked", "codes"),
    [
        ({"variables": ["no"], "start": "2050"}, ["variable-unknown", "export-empty"]),
        ({"start": "2001-02-31"}, ["period-date"]),
        ({"box": (40.0, 0.0, 50.0, 5.0)}, ["export-empty"]),
        ({"box": (5.0, 0.0, 1.0, 5.0)}, ["export-choice"]),
        ({"box": (1.0, 0.0, 5.0, 5.0), "places": [(1.0, 1.0)]}, ["export-choice"]),
        ({"region": "no.geojson"}, ["regions-file"]),
        ({"region": "r.geojson:Nowhere"}, ["region-unknown"]),
    ],
)
def test_what_cannot_be_given_is_not_told(
    cube: Cube, folder: Path, tmp_path: Path, asked: dict[str, Any], codes: list[str]
) -> None:
    if "region" in asked:
        asked = {"region": str(folder / asked["region"])}
    with pytest.raises(InputError) as refused:
        export(cube, "daily", tmp_path / "a.nc", **asked)
    assert [each.code for each in refused.value.problems] == codes
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("asked", [{"places": [(1.0, 1.0)]}, {"box": (0, 0, 1, 1)}, {"region": "r.geojson"}])
def test_summary_is_cut_by_cells(cube: Cube, tmp_path: Path, asked: dict[str, Any]) -> None:
    with pytest.raises(InputError) as refused:
        export(cube, "summary", tmp_path / "a.nc", **asked)
    assert [each.code for each in refused.value.problems] == ["export-choice"]
