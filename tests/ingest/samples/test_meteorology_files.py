"""CRU-NCEP, CRU-JRA, HadUK-Grid and ISIMIP2b files read back by libraries that know nothing of ours."""

from __future__ import annotations

from calendar import monthrange
from pathlib import Path

import netCDF4
import numpy as np
import pyproj
import pytest
import xarray as xr


@pytest.fixture
def jra(tiny: Path) -> Path:
    return tiny / "cru-jra"


@pytest.mark.parametrize("year", [2003, 2004])
def test_leap_day_is_in_a_noleap_year(tiny: Path, year: int) -> None:
    for path in (
        tiny / f"cru-jra/crujra.v2.5.5d.tmp.{year}.365d.noc.nc",
        tiny / f"cru-ncep/cruncepv7_tair_{year}.nc",
    ):
        with netCDF4.Dataset(path) as file:
            time = file["time"]
            assert time.calendar in ("noleap", "365_day")
            dates = netCDF4.num2date(time[:], time.units, time.calendar)
        assert len(dates) == 1460
        assert (dates[0].year, dates[-1].year) == (year, year)
        assert (dates[-1].month, dates[-1].day, dates[-1].hour) == (12, 31, 18)
        assert {d.hour for d in dates} == {0, 6, 12, 18}
        assert not any((d.month, d.day) == (2, 29) for d in dates)


def test_ncep_units_or_orientation_are_those_of_jra(tiny: Path) -> None:
    with netCDF4.Dataset(tiny / "cru-ncep/cruncepv7_rain_2004.nc") as file:
        rain = file["Total_Precipitation"]
        assert rain.dimensions == ("time", "latitude", "longitude")
        assert rain.units == "mm/6h"
        assert "_FillValue" not in rain.ncattrs()
        assert file["time"].units == "hours since 2004-01-01 00:00:00"
        assert np.all(np.diff(file["latitude"][:]) < 0)
        file.set_auto_mask(False)
        assert (rain[:] == rain.missing_value).any()
    with netCDF4.Dataset(tiny / "cru-jra/crujra.v2.5.5d.pre.2004.365d.noc.nc") as file:
        assert file["pre"].units == "mm/6h"
        assert np.all(np.diff(file["lat"][:]) > 0)


def test_the_two_cru_families_disagree(tiny: Path) -> None:
    for ncep, name, jra in (("rain", "Total_Precipitation", "pre"), ("tair", "Temperature", "tmp")):
        with (
            xr.open_dataset(tiny / f"cru-ncep/cruncepv7_{ncep}_2004.nc") as old,
            xr.open_dataset(tiny / f"cru-jra/crujra.v2.5.5d.{jra}.2004.365d.noc.nc") as new,
        ):
            np.testing.assert_array_equal(old[name].values[:, ::-1], new[jra].values)


def test_haduk_file_does_not_follow_its_convention(tiny: Path) -> None:
    folder = tiny / "haduk"
    assert len(list(folder.rglob("*.nc"))) == 36
    for name in ("rainfall", "tasmax", "tasmin"):
        for month in range(1, 13):
            last = monthrange(2004, month)[1]
            file = folder / name / f"{name}_hadukgrid_uk_60km_day_2004{month:02d}01-2004{month:02d}{last}.nc"
            with netCDF4.Dataset(file) as dataset:
                field = dataset[name]
                assert dataset.data_model == "NETCDF4"
                assert field.dtype == np.float64
                assert field.dimensions == ("time", "projection_y_coordinate", "projection_x_coordinate")
                assert field.shape[0] == last
                assert dataset[field.grid_mapping].grid_mapping_name == "transverse_mercator"
                assert dataset[field.grid_mapping].shape == ()
                assert field.units == ("mm" if name == "rainfall" else "degC")


def test_haduk_rain_day_is_not_nine_to_nine(tiny: Path) -> None:
    path = tiny / "haduk/rainfall/rainfall_hadukgrid_uk_60km_day_20040201-20040229.nc"
    with xr.open_dataset(path) as dataset:
        assert dataset.time_bnds.values[0, 0] == np.datetime64("2004-02-01T09:00")
        assert dataset.time_bnds.values[-1, 1] == np.datetime64("2004-03-01T09:00")
        np.testing.assert_array_equal(dataset.time_bnds.values[1:, 0], dataset.time_bnds.values[:-1, 1])
        assert dataset.sizes["time"] == 29


def test_osgb_coordinates_differ_from_proj(tiny: Path) -> None:
    path = tiny / "haduk/tasmax/tasmax_hadukgrid_uk_60km_day_20040701-20040731.nc"
    with xr.open_dataset(path) as dataset:
        y, x = np.meshgrid(dataset.projection_y_coordinate, dataset.projection_x_coordinate, indexing="ij")
        forth = pyproj.Transformer.from_crs("EPSG:27700", "EPSG:4326", always_xy=True)
        longitude, latitude = forth.transform(x, y)
        np.testing.assert_allclose(dataset.latitude, latitude, atol=2e-4)  # 20 m
        np.testing.assert_allclose(dataset.longitude, longitude, atol=3e-4)
        mapping = pyproj.CRS("EPSG:27700").to_cf()
        for name, value in dataset.transverse_mercator.attrs.items():
            assert mapping[name] == pytest.approx(value) if not isinstance(value, str) else mapping[name] == value
        land = dataset.tasmax.notnull().all("time")
        assert 8 <= land.sum() <= 16
        assert not land.all()
        # July in southern Britain
        assert 17 < dataset.tasmax.mean() < 26


def test_haduk_minimum_is_above_maximum(tiny: Path) -> None:
    name = "hadukgrid_uk_60km_day_20041101-20041130.nc"
    with (
        xr.open_dataset(tiny / f"haduk/tasmax/tasmax_{name}") as high,
        xr.open_dataset(tiny / f"haduk/tasmin/tasmin_{name}") as low,
    ):
        assert ((high.tasmax - low.tasmin).values[high.tasmax.notnull().values] > 0).all()


def test_isimip_names_or_periods_leave_a_break(tiny: Path) -> None:
    root = tiny / "isimip2b/HadGEM2-ES"
    names = sorted(path.relative_to(root).as_posix() for path in root.rglob("*.nc4"))
    expected = [
        f"historical/{v}_day_HadGEM2-ES_historical_r1i1p1_EWEMBI_landonly_20040101-20051231.nc4" for v in ("pr", "tas")
    ]
    for run in ("rcp26", "rcp60", "rcp85"):
        expected += [
            f"{run}/{v}_day_HadGEM2-ES_{run}_r1i1p1_EWEMBI_landonly_20060101-20071231.nc4" for v in ("pr", "tas")
        ]
    assert names == expected
    past = root / expected[1]
    with xr.open_dataset(past) as before, xr.open_dataset(root / expected[-1]) as after:
        times = np.concatenate([before.time.values, after.time.values])
        assert (np.diff(times) == np.timedelta64(1, "D")).all()
        assert times[0] == np.datetime64("2004-01-01")
        assert times[-1] == np.datetime64("2007-12-31")


def test_isimip_header_does_not_follow_its_convention(tiny: Path) -> None:
    for path in (tiny / "isimip2b").rglob("*.nc4"):
        name = path.name.split("_")[0]
        with netCDF4.Dataset(path) as file:
            field = file[name]
            assert field.dtype == np.float32
            assert field.dimensions == ("time", "lat", "lon")
            assert field._FillValue == field.missing_value == np.float32(1e20)
            assert field.units == {"tas": "K", "pr": "kg m-2 s-1"}[name]
            assert file["time"].units == "days since 1661-01-01 00:00:00"
            assert file["time"].calendar == "proleptic_gregorian"
            assert np.all(np.diff(file["lat"][:]) < 0)
            assert np.ma.getmaskarray(field[0]).any()
            values = field[:].compressed()
        low, high = (230, 325) if name == "tas" else (0, 0.002)
        assert low <= values.min() < values.max() < high


def test_scenario_days_repeat_those_of_the_observations(tiny: Path) -> None:
    """The climate model's weather is its own; only its climate is that of the observations."""
    with (
        xr.open_dataset(next((tiny / "isimip2b").rglob("pr_*historical*.nc4"))) as model,
        xr.open_dataset(tiny / "cru-jra/crujra.v2.5.5d.pre.2004.365d.noc.nc") as observed,
    ):
        modelled = model.pr.values[:31, ::-1] * 86400
        seen = observed.pre.values[: 4 * 31].reshape(31, 4, *modelled.shape[1:]).sum(axis=1)
    wet = ~np.isnan(seen) & ((seen > 1) | (modelled > 1))
    assert np.corrcoef(seen[wet], modelled[wet])[0, 1] < 0.5
