"""JULES output and statics, against a real JULES file and physical limits."""

from __future__ import annotations

from pathlib import Path

import netCDF4
import numpy as np
import pytest
import xarray as xr

THICKNESS = np.array([0.1, 0.25, 0.65, 2.0])


@pytest.fixture(params=["africa/observed.daily.2004.nc", "uk/observed_uk.daily.2004.nc"])
def output(request: pytest.FixtureRequest, tiny: Path) -> Path:
    return tiny / "jules" / request.param


@pytest.mark.shared
def test_header_differs_from_real_jules_output(output: Path, shared: Path) -> None:
    with (
        netCDF4.Dataset(shared / "data/jules-mead-2008-run/mod_truth.daily.nc") as real,
        netCDF4.Dataset(output) as ours,
    ):
        assert ours.ncattrs() == real.ncattrs() == []
        assert ours.dimensions["time"].isunlimited()
        assert ours.dimensions["soil"].size == real.dimensions["soil"].size == 4
        for name in set(ours.variables) - {"frac"}:
            variable = real[name]
            assert ours[name].dtype == variable.dtype
            assert ours[name].dimensions == variable.dimensions
            assert set(ours[name].ncattrs()) == set(variable.ncattrs())
            for attribute in set(variable.ncattrs()) - {"units"}:
                assert ours[name].getncattr(attribute) == variable.getncattr(attribute)
            if name not in ("time", "time_bounds"):
                assert ours[name].units == variable.units
        if "uk" in output.name:
            assert ours.data_model == real.data_model


def test_stamps_are_not_the_ends_of_their_days(output: Path) -> None:
    hour = 0 if "uk" in output.name else 6
    with xr.open_dataset(output) as dataset:
        bounds, time = dataset.time_bounds.values, dataset.time.values
        assert dataset.time.encoding["dtype"] == np.float32
    assert len(time) == 366
    np.testing.assert_array_equal(bounds[:, 1], time)
    assert bounds[0, 0] == np.datetime64("2004-01-01") + np.timedelta64(hour, "h")
    assert time[-1] == np.datetime64("2005-01-01") + np.timedelta64(hour, "h")
    assert (np.diff(bounds, axis=1) == np.timedelta64(1, "D")).all()


def test_years_do_not_join(tiny: Path) -> None:
    with (
        xr.open_dataset(tiny / "jules/africa/observed.daily.2003.nc") as before,
        xr.open_dataset(tiny / "jules/africa/observed.daily.2004.nc") as after,
    ):
        assert before.time_bounds.values[-1, 1] == after.time_bounds.values[0, 0]
        assert before.time.encoding["units"] == after.time.encoding["units"]
        step = np.abs(after.smcl.isel(time=0, soil=3) - before.smcl.isel(time=-1, soil=3))
        assert step.max() < 15


def test_layouts_are_mixed_up(tiny: Path) -> None:
    with xr.open_dataset(tiny / "jules/africa/observed.daily.2003.nc") as dataset:
        assert dict(dataset.sizes) == {"time": 365, "nt": 2, "soil": 4, "tile": 9, "pft": 5, "y": 8, "x": 7}
        assert (np.diff(dataset.latitude.values, axis=0) > 0).all()
        sea = dataset.smcl.isel(time=0, soil=0).isnull()
        assert 0 < sea.sum() < sea.size
        assert dataset.latitude.notnull().all()
    with xr.open_dataset(tiny / "jules/uk/observed_uk.daily.2004.nc") as dataset:
        assert dataset.sizes["y"] == 1
        assert 8 <= dataset.sizes["x"] <= 16
        assert dataset.smcl.notnull().all()
        assert set(dataset.longitude.dims) == {"y", "x"}


def test_soil_holds_more_water_than_pores(output: Path) -> None:
    with xr.open_dataset(output) as dataset:
        theta = dataset.smcl / (1000 * xr.DataArray(THICKNESS, dims="soil"))
        assert theta.min() > 0.005
        assert theta.max() < 0.505  # porosity of soil without clay and sand in Cosby's relation
        assert theta.isel(soil=0).std("time").max() > 0.02
        assert ((dataset.fsmc >= 0) & (dataset.fsmc <= 1)).where(dataset.fsmc.notnull(), True).all()
        assert dataset.t_soil.min() > 250
        assert dataset.t_soil.max() < 320
        annual = dataset.gpp.isel(pft=[0, 2, 3]).max("pft").mean("time") * 86400 * 365
        assert 0.05 < annual.max() < 6  # kg of carbon m-2


def test_absent_plants_are_stressed_or_missing(output: Path) -> None:
    with xr.open_dataset(output) as dataset:
        cover = dataset.frac
        np.testing.assert_allclose(cover.sum("tile").where(cover.isel(tile=0).notnull(), 1), 1, atol=1e-5)
        absent = (cover.isel(tile=slice(0, 5)).rename(tile="pft") == 0) & cover.isel(tile=0).notnull()
        assert absent.any()
        for name in ("fsmc", "gpp"):
            values = dataset[name].where(absent)
            assert values.max() == 0
            assert values.count() == absent.sum() * dataset.sizes["time"]


def test_rain_is_not_that_of_tamsat(tiny: Path) -> None:
    with (
        xr.open_dataset(tiny / "jules/africa/observed.daily.2004.nc") as run,
        xr.open_dataset(tiny / "tamsat/v3.1/2004/08/rfe2004_08_10.v3.1.nc") as rain,
    ):
        starts = run.time_bounds.isel(nt=0).dt.strftime("%Y-%m-%d")
        (day,) = np.flatnonzero(starts == "2004-08-10")
        driven = run.precip.isel(time=day).values * 86400
        observed = rain.rfe_filled.isel(time=0).sortby("lat").values
    land = ~np.isnan(driven)
    np.testing.assert_allclose(driven[land], observed[land], atol=0.06, rtol=0.004)


def test_soil_does_not_follow_rain(tiny: Path) -> None:
    with xr.open_dataset(tiny / "jules/africa/observed.daily.2004.nc") as run:
        column = run.smcl.sum("soil").where(run.smcl.isel(soil=0).notnull())
        gained = column.diff("time")
        rain = run.precip.isel(time=slice(1, None)) * 86400
        assert (gained <= rain + 2.0).where(gained.notnull(), True).all()  # 2 kg m-2: rounding of four layers
        heavy = rain > 20
        assert heavy.sum() > 20
        assert gained.where(heavy).mean() > 5
        assert gained.where(rain == 0).mean() < 0


def test_statics_have_time_or_fractions_do_not_add_up(tiny: Path) -> None:
    for region in ("africa", "uk"):
        folder = tiny / "statics" / region
        for path in folder.iterdir():
            with xr.open_dataset(path) as dataset:
                assert "time" not in dataset.sizes
                assert "synthetic" in dataset.title
        with xr.open_dataset(folder / "soil_texture.nc") as soil, xr.open_dataset(folder / "land_fraction.nc") as land:
            total = soil.clay + soil.sand + soil.silt
            np.testing.assert_allclose(total.values[soil.clay.notnull().values], 1, atol=1e-6)
            np.testing.assert_array_equal(soil.clay.notnull().values, land.land_fraction.values > 0)
            assert land.land_fraction.min() == 0
            assert land.land_fraction.max() == 1
            assert (soil.silt.min() >= 0) & (soil.clay.min() > 0)
        with xr.open_dataset(folder / "lai.nc") as lai:
            assert lai.lai.min() >= 0.1
            assert lai.lai.max() <= 6
