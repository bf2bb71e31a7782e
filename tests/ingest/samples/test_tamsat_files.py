"""TAMSAT files against the real native file and against each other."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import h5py
import netCDF4
import numpy as np
import pytest
import xarray as xr
from kerchunk.hdf import SingleHdf5ToZarr
from scipy.io import netcdf_file


def native(tiny: Path, day: date) -> Path:
    return tiny / "tamsat/v3-native" / f"{day:%Y/%m}" / f"rfe{day:%Y_%m_%d}.v3.nc"


def v31(tiny: Path, day: date) -> Path:
    return tiny / "tamsat/v3.1" / f"{day:%Y/%m}" / f"rfe{day:%Y_%m_%d}.v3.1.nc"


@pytest.mark.shared
def test_native_header_differs_from_the_real_file(tiny: Path, shared: Path) -> None:
    real_path = shared / "data/tamsat-v3-daily-native/tamsat_sample.nc"
    with netCDF4.Dataset(real_path) as real, netCDF4.Dataset(native(tiny, date(2003, 5, 6))) as ours:
        assert ours.data_model == real.data_model
        assert list(ours.dimensions) == list(real.dimensions)
        assert ours.dimensions["time"].isunlimited() == real.dimensions["time"].isunlimited()
        assert list(ours.variables) == list(real.variables)
        for name, variable in real.variables.items():
            assert ours[name].dtype == variable.dtype
            assert ours[name].dimensions == variable.dimensions
            assert set(ours[name].ncattrs()) == set(variable.ncattrs())
            for attribute in set(variable.ncattrs()) - {"units"}:
                assert ours[name].getncattr(attribute) == variable.getncattr(attribute)
        assert ours["rfe"].units == real["rfe"].units
        assert ours["time"].units == real["time"].units.replace("2017-01-01", "2003-05-06")


def test_native_is_not_signed_bytes_with_fill_minus_one(tiny: Path) -> None:
    with netcdf_file(native(tiny, date(2004, 8, 1)), mmap=False, maskandscale=False) as file:
        rain = file.variables["rfe"]
        assert rain.data.dtype == np.int8
        assert rain._FillValue == -1
        assert rain.data.min() == -1
        assert rain.data.max() > 5
        assert file.variables["time"].day_begins == b"06:15"
        assert not hasattr(file.variables["time"], "calendar")


def test_native_axes_carry_no_single_precision_noise(tiny: Path) -> None:
    with netCDF4.Dataset(native(tiny, date(2003, 1, 1))) as file:
        for name, descending in (("lat", True), ("lon", False)):
            axis = file[name][:].data
            assert axis.dtype == np.float64
            np.testing.assert_array_equal(axis, axis.astype(np.float32))
            assert len(np.unique(np.diff(axis))) > 1
            assert np.allclose(np.diff(axis), -10 if descending else 10, atol=1e-4)


def test_every_day_has_a_file_labelled_with_its_own_date(tiny: Path) -> None:
    files = sorted((tiny / "tamsat/v3-native").rglob("*.nc"))
    assert len(files) == 365 + 366
    for path in (files[0], files[424], files[-1]):
        with xr.open_dataset(path) as dataset:
            assert dataset.time.dt.strftime("%Y_%m_%d").item() in path.name
    assert native(tiny, date(2004, 2, 29)).exists()


def test_filled_rain_has_gaps_or_rain_has_none(tiny: Path) -> None:
    whole, gappy, empty = 0, 0, 0
    for path in sorted((tiny / "tamsat/v3.1").rglob("*.nc")):
        with netCDF4.Dataset(path) as file:
            rain, filled = file["rfe"][0].filled(np.nan), file["rfe_filled"][0].filled(np.nan)
        land = ~np.isnan(filled)
        if whole + gappy + empty == 0:
            first_land = land
        np.testing.assert_array_equal(land, first_land)
        seen = ~np.isnan(rain)
        np.testing.assert_array_equal(rain[seen], filled[seen])
        missing = (land & ~seen).sum()
        whole, gappy, empty = whole + (missing == 0), gappy + (missing > 0), empty + (not seen.any())
    assert whole > 250
    assert 10 < gappy < 80
    assert 1 <= empty < 20


def test_versions_disagree_by_more_than_rounding(tiny: Path) -> None:
    for day in (date(2004, 1, 15), date(2004, 2, 29), date(2004, 8, 9)):
        with xr.open_dataset(native(tiny, day)) as old, xr.open_dataset(v31(tiny, day)) as new:
            difference = old.rfe.values - np.round(new.rfe_filled.values, 1)
            assert np.nanmax(np.abs(difference)) <= 0.55 + 1e-6
            np.testing.assert_array_equal(np.isnan(old.rfe.values), np.isnan(new.rfe_filled.values))


def test_v31_file_is_large_or_some_reader_fails(tiny: Path) -> None:
    path = v31(tiny, date(2004, 7, 1))
    assert path.stat().st_size < 10_000
    with netCDF4.Dataset(path) as file:
        assert file.data_model == "NETCDF4"
        assert file["rfe_filled"].dimensions == ("time", "lat", "lon")
        assert file["rfe_filled"].chunking() == [1, 8, 7]
        assert file["rfe_filled"].filters()["zlib"]
        assert file["rfe_filled"].units == "mm/day"
        latitude = file["lat"][:]
        values = file["rfe_filled"][:].filled(np.nan)
    assert np.all(np.diff(latitude) < 0)
    with h5py.File(path) as file:
        assert [scale[0].name for scale in file["rfe"].dims] == ["/time", "/lat", "/lon"]
        np.testing.assert_array_equal(file["rfe_filled"][:], values)
    for engine in ("netcdf4", "h5netcdf"):
        with xr.open_dataset(path, engine=engine) as dataset:
            assert dataset.time.values[0] == np.datetime64("2004-07-01")
            np.testing.assert_array_equal(dataset.rfe_filled.values, values)
    references = SingleHdf5ToZarr(str(path), inline_threshold=0).translate()["refs"]
    assert json.loads(references["rfe/.zattrs"])["_ARRAY_DIMENSIONS"] == ["time", "lat", "lon"]
    assert json.loads(references["rfe/.zarray"])["chunks"] == [1, 8, 7]
    assert references["rfe/0.0.0"][2] < 400


def test_rain_day_does_not_start_at_six(tiny: Path) -> None:
    day = date(2004, 7, 20)
    with xr.open_dataset(tiny / "cru-jra/crujra.v2.5.5d.pre.2004.365d.noc.nc") as six_hourly:
        # 2004 has no 29 February in CRU-JRA: by label, not by index
        labels = six_hourly.indexes["time"]
        start = next(n for n, label in enumerate(labels) if (label.month, label.day, label.hour) == (7, 20, 6))
        total = six_hourly.pre[start : start + 4].sum("time", skipna=False).values
        midnight_total = six_hourly.pre[start - 1 : start + 3].sum("time", skipna=False).values
    with xr.open_dataset(v31(tiny, day)) as dataset:
        rain = dataset.rfe_filled.isel(time=0).sortby("lat").values
    np.testing.assert_allclose(rain, total, atol=0.05 + 0.002 * 120)
    assert np.nanmax(np.abs(rain - midnight_total)) > 1
