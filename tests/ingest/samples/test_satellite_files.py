"""SMAP and TROPOMI files: global grids, anonymous dimensions, sentinels."""

from __future__ import annotations

from pathlib import Path

import h5py
import netCDF4
import numpy as np
import pyproj
import pytest
import xarray as xr

SMAP = {
    "SPL3SMP": ("SMAP_L3_SM_P", (406, 964), 36032.220840584),
    "SPL3SMP_E": ("SMAP_L3_SM_P_E", (1624, 3856), 9008.055210146),
}


@pytest.mark.parametrize("product", SMAP)
def test_smap_file_does_not_follow_its_convention(tiny: Path, product: str) -> None:
    stem, shape, _ = SMAP[product]
    files = sorted((tiny / "smap" / product).iterdir())
    assert [path.name for path in files] == [f"{stem}_200408{day:02d}_R19240_001.h5" for day in (1, 2, 3)]
    for path in files:
        assert path.stat().st_size < 300_000
        with h5py.File(path) as file:
            assert not file.attrs
            assert not any(isinstance(item, h5py.Dataset) for item in file.values())
            for overpass, suffix in (("AM", ""), ("PM", "_pm")):
                group = file[f"Soil_Moisture_Retrieval_Data_{overpass}"]
                moisture, flag = group[f"soil_moisture{suffix}"], group[f"retrieval_qual_flag{suffix}"]
                assert moisture.shape == flag.shape == shape
                assert (moisture.dtype, flag.dtype) == (np.float32, np.uint16)
                assert moisture.fillvalue == moisture.attrs["_FillValue"] == -9999
                assert not any(len(dimension) for dimension in moisture.dims)
                retrieved = moisture[:] != -9999
                assert retrieved.any()
                assert (flag[:][retrieved] != 7).all()
                assert 0.02 <= moisture[:][retrieved].min() < moisture[:][retrieved].max() <= 0.6
                # flagged cells are in, so that a reader that ignores the flag is found out
                assert (flag[:][retrieved] & 1).any() or product == "SPL3SMP"
                latitude = group[f"latitude{suffix}"][:]
                assert (latitude == -9999).any()
                np.testing.assert_array_equal(latitude != -9999, flag[:] != 65534)


@pytest.mark.parametrize("product", SMAP)
def test_smap_cells_lie_off_the_ease_grid(tiny: Path, product: str) -> None:
    _, (rows, columns), cell = SMAP[product]
    back = pyproj.Transformer.from_crs("EPSG:6933", "EPSG:4326", always_xy=True)
    with h5py.File(sorted((tiny / "smap" / product).iterdir())[0]) as file:
        group = file["Soil_Moisture_Retrieval_Data_AM"]
        row, column = np.nonzero(group["latitude"][:] != -9999)
        x, y = (column + 0.5 - columns / 2) * cell, (rows / 2 - row - 0.5) * cell
        longitude, latitude = back.transform(x, y)
        np.testing.assert_allclose(group["latitude"][:][row, column], latitude, atol=1e-5)
        np.testing.assert_allclose(group["longitude"][:][row, column], longitude, atol=2e-5)
        np.testing.assert_array_equal(group["EASE_row_index"][:][row, column], row)


@pytest.mark.shared
def test_smap_cells_differ_from_the_published_grid(tiny: Path, shared: Path) -> None:
    grid = shared / "data/ease2-grid-36km/NSIDC0772_LatLon_EASE2_M36km_v1.0.nc"
    with xr.open_dataset(grid) as real, h5py.File(sorted((tiny / "smap/SPL3SMP").iterdir())[0]) as file:
        group = file["Soil_Moisture_Retrieval_Data_AM"]
        ours = group["latitude"][:] != -9999
        np.testing.assert_allclose(group["latitude"][:][ours], real.latitude.values[ours], atol=1e-4)
        np.testing.assert_allclose(group["longitude"][:][ours], real.longitude.values[ours], atol=1e-4)


def test_sif_file_does_not_follow_its_convention(tiny: Path) -> None:
    (path,) = sorted((tiny / "tropomi-sif").iterdir())
    assert path.name == "TROPO_SIF_07-2004.nc"
    angles = {"sza", "vza", "phase_angle"}
    names = {
        "sif",
        "dcSIF",
        "sif_err",
        "sif_relative",
        "cloud_fraction",
        "daily_correction_factor",
        "nir",
        "N",
    } | angles
    with netCDF4.Dataset(path) as file:
        assert set(file.variables) == {"time", "lat", "lon", *names}
        for axis, size, first in (("lat", 900, -89.9), ("lon", 1800, -179.9)):
            values = file[axis][:]
            assert values.dtype == np.float64
            assert values.shape == (size,)
            assert values[0] == pytest.approx(first)
            assert np.allclose(np.diff(values), 0.2)
        assert file["time"].units == "days since 2018-1-1"
        for name in names:
            assert file[name].dimensions == ("time", "lat", "lon")
            assert file[name]._FillValue == np.float32(-999.9)


def test_sif_lies_beside_the_land_points_or_is_clipped(tiny: Path) -> None:
    (path,) = sorted((tiny / "tropomi-sif").iterdir())
    with (
        xr.open_dataset(path) as dataset,
        xr.open_dataset(tiny / "statics/africa/land_fraction.nc") as statics,
    ):
        africa = dataset.sel(lat=slice(-40, 40), lon=slice(-20, 52))
        sif = africa.sif.load()
        counted = dataset.sif.isel(time=0).count().item()
        seen = sif.notnull().any("time")
        rows, columns = np.nonzero(seen.values)
        assert counted == sif.isel(time=0).count().item()
        land = {
            (round(float(lat), 3), round(float(lon), 3))
            for lat in statics.lat
            for lon in statics.lon
            if statics.land_fraction.sel(lat=lat, lon=lon) >= 0.5
        }
        for row, column in zip(rows, columns, strict=True):
            lat, lon = float(sif.lat[row]), float(sif.lon[column])
            assert min(max(abs(lat - y), abs(lon - x)) for y, x in land) <= 0.1 + 1e-6
        assert len(rows) >= len(land) - 2
        assert dataset.time.values[0] == np.datetime64("2004-07-01")
        assert (sif < 0).any()
        assert 0.05 < sif.mean() < 1.5
