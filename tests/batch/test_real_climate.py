"""Climate products of real files: values as xarray reads the originals, numbers of `SOURCES.md`."""

from __future__ import annotations

from pathlib import Path

import cftime
import numpy as np
import pyproj
import pytest
import xarray as xr

from .published import (
    Published,
    as_rates,
    assert_contiguous,
    assert_same,
    assert_same_place,
    dates,
    files,
    original,
)
from .real_cube import real_cube

pytestmark = [pytest.mark.shared, pytest.mark.xdist_group("real-samples")]


@pytest.fixture(scope="session")
def real(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Published:
    return real_cube(shared, tmp_path_factory)


@pytest.fixture(scope="session")
def data(shared: Path) -> Path:
    return shared / "data"


def test_time_units_of_each_file_are_taken_for_one(real: Published, data: Path) -> None:
    expected = original(files(data, "ecearth-historical-tas-daily/*.nc"), "tas")
    found = real.open("ecearth-historical-tas").load()
    assert found.sizes["time"] == 21_884
    assert (dates(found["time"])[0], dates(found["time"])[-1]) == ((1950, 1, 1), (2009, 11, 30))
    assert dates(found["time"]) == dates(expected["time"])
    assert_contiguous(found)
    assert_same(found["tas"], expected.values)
    assert_same_place(found["tas"], expected)
    tas = found["tas"].astype("f8")
    assert float(tas.mean()) == pytest.approx(260.66012897, rel=1e-9)
    cell = tas.sel(lat=22.99054, lon=0, method="nearest")
    assert float(cell.mean()) == pytest.approx(297.89043474, rel=1e-9)
    years = cell.groupby("time.year").mean().sel(year=[1950, 2008])
    assert years.values == pytest.approx([296.32144, 298.98972], abs=1e-5)
    assert (float(cell[0]), float(cell[-1])) == pytest.approx((287.92, 288.52933), rel=1e-6)


def test_month_that_two_files_hold_is_there_twice(real: Published, data: Path) -> None:
    paths = files(data, "hadgem2es-rcp85-tas-monthly/*.nc")
    parts = [original([path], "tas") for path in paths]
    parts[-1] = parts[-1][1:]  # the first file wins for December 2099
    expected = xr.concat(parts, "time", coords="minimal", compat="override", join="override")
    found = real.open("hadgem2es-rcp85-tas").load()
    assert found.sizes["time"] == expected.sizes["time"] == 1428
    assert [date[:2] for date in dates(found["time"])] == [date[:2] for date in dates(expected["time"])]
    assert {date[2] for date in dates(found["time"])} == {1}
    assert found["time"].encoding["calendar"] == "360_day"
    assert_contiguous(found)
    assert_same(found["tas"], expected.values)
    tas = found["tas"].astype("f8")
    december = tas.sel(time=cftime.Datetime360Day(2099, 12, 1), lat=35, lon=0)
    assert float(december) == pytest.approx(283.8446, abs=1e-4)
    assert (float(tas.mean()), float(tas.sel(lat=35, lon=0).mean())) == pytest.approx(
        (262.16936209, 293.61526626), rel=1e-9
    )
    years = tas.sel(lat=35, lon=0).groupby("time.year").mean()
    assert float(years.sel(year=slice(2006, 2010)).mean()) == pytest.approx(289.91913, rel=1e-6)
    assert float(years.sel(year=slice(2095, 2099)).mean()) == pytest.approx(295.90643, rel=1e-6)
    (note,) = [note for note in real.manifest("hadgem2es-rcp85-tas")["notes"] if "2099-12-01" in note]
    assert "208012-209912.nc" in note
    assert "209912-212411.nc" in note


def test_noise_below_zero_is_published_as_rain(real: Published, data: Path) -> None:
    flux = original(files(data, "ecearth3-dcpp-pr-daily/*.nc"), "pr")
    assert int((flux < 0).sum()) == 769
    found = real.open("ecearth3-pr").load()
    assert_same(found["pr"], as_rates(flux))
    assert_same_place(found["pr"], flux)
    assert float(found["pr"].min()) == 0
    assert dates(found["time"]) == dates(flux["time"])
    assert found.sizes["time"] == 426
    assert (found["pr"].attrs["units"], found["pr"].attrs["standard_name"]) == ("mm d-1", "lwe_precipitation_rate")
    year = found["pr"].astype("f8").sel(time="1962")
    # SOURCES.md goes east from Greenwich, the cube from the date line.
    east = np.argsort(found["lon"].values % 360)
    totals = [
        [93.96, 93.66, 103.80, 117.82, 105.63, 93.98],
        [153.41, 705.24, 951.83, 1486.74, 147.87, 211.84],
        [907.94, 255.22, 827.01, 1098.99, 755.60, 1160.68],
    ]
    np.testing.assert_allclose(year.sum("time").values[:, east], totals, atol=0.01)
    dry = [[344, 344, 341, 337, 339, 343], [338, 192, 278, 162, 359, 304], [205, 292, 214, 160, 225, 168]]
    assert (year < 1).sum("time").values[:, east].tolist() == dry
    assert any("became 0" in note for note in real.manifest("ecearth3-pr")["notes"])


def test_tiny_chunks_of_one_day_are_mixed_up(real: Published, data: Path) -> None:
    flux = original(files(data, "mpiesm12hr-dcpp-pr-daily/*.nc"), "pr")
    found = real.open("mpiesm-pr").load()
    assert_same(found["pr"], as_rates(flux))
    assert_same_place(found["pr"], flux)
    assert found.sizes["time"] == 3713
    assert dates(found["time"]) == dates(flux["time"])
    east = np.argsort(found["lon"].values % 360)
    mean = found["pr"].astype("f8").mean("time").values[:, east] * 365.25
    expected = [[54.842, 57.112, 50.715, 53.809], [1680.920, 3136.096, 1425.025, 2532.113]]
    np.testing.assert_allclose(mean, expected, atol=5e-4)


def test_years_of_360_days_are_filled_or_cut(real: Published, data: Path) -> None:
    expected = original(files(data, "hadgem3-dcpp-tasmin-daily/*.nc"), "tasmin")
    found = real.open("hadgem3-tasmin").load()
    assert_same(found["tasmin"], expected.values)
    assert_same_place(found["tasmin"], expected)
    assert dates(found["time"]) == dates(expected["time"])
    assert found["time"].encoding["calendar"] == "360_day"
    assert found["tasmin"].groupby("time.year").count(...).values.tolist() == [60 * 20, 360 * 20]
    assert dates(found["time"])[-1] == (1961, 12, 30)
    assert float(found["tasmin"].astype("f8").mean()) == pytest.approx(266.50928760, rel=1e-10)


def test_rotation_by_nothing_hides_africa_behind_the_seam(real: Published, data: Path) -> None:
    paths = files(data, "cordex-afr22-tas-daily/*.nc")
    found = real.open("cordex-africa-tas").load()
    assert found["tas"].dims == ("time", "lat", "lon")
    with xr.open_dataset(paths[0]) as first:
        places = [first[name].values.astype("f8") for name in ("lat", "lon")]
    np.testing.assert_allclose(found["lat"].values, places[0][:, 0], atol=1e-3)
    np.testing.assert_allclose(found["lon"].values, (places[1][0] + 180) % 360 - 180, atol=1e-3)
    assert found["lon"].values == pytest.approx([-24.53, -2.53, 19.47, 41.47], abs=1e-3)
    coder = xr.coders.CFDatetimeCoder(use_cftime=True)
    parts = [xr.open_dataset(path, decode_times=coder)["tas"].load() for path in paths]
    assert_same(found["tas"], np.concatenate([part.values for part in parts]))
    assert dates(found["time"]) == [date for part in parts for date in dates(part["time"])]
    tas = found["tas"].astype("f8")
    assert found.sizes["time"] == 3653
    assert float(tas.mean()) == pytest.approx(291.70483913, rel=1e-9)
    accra = tas.sel(lat=-3.630014, lon=357.47 - 360, method="nearest")
    assert float(accra.mean()) == pytest.approx(300.35775105, rel=1e-9)
    assert float(accra.sel(time="1996").mean()) == pytest.approx(299.91339, abs=1e-5)
    assert "grid_mapping" not in found["tas"].attrs


def test_native_tamsat_bytes_below_zero_are_rain(real: Published, data: Path) -> None:
    expected = original(files(data, "tamsat-v3-daily-native/*.nc"), "rfe")
    found = real.open("tamsat-native").load()
    assert_same(found["pr"], expected.values)
    assert_same_place(found["pr"], expected)
    assert dates(found["time"]) == [(2017, 1, 1)]
    missing = int(found["pr"].isnull().sum())
    assert missing == 1_567_747
    assert 100 * missing / found["pr"].size == pytest.approx(41.932, abs=5e-4)
    assert real.item("tamsat-native").properties["cic:missing"]["pr"] == {"cells": 1974 * 1894, "missing": missing}
    rain = found["pr"][0].astype("f8")
    assert float(rain.mean()) == pytest.approx(1.23169181, rel=1e-8)
    assert (int((rain >= 1).sum()), float(rain.max())) == (370_444, 35)
    for place, (lat, lon, mm) in {
        "Nairobi": (-1.286, 36.817, 0),
        "Kampala": (0.3476, 32.5825, 5),
        "Lusaka": (-15.4167, 28.2833, 8),
        "wettest": (-19.95, 37.3125, 35),
    }.items():
        assert float(rain.sel(lat=lat, lon=lon, method="nearest")) == mm, place
    assert found["pr"].attrs["day_begins"] == "06:15"


def test_noise_of_single_precision_stays_in_the_axes(real: Published) -> None:
    found = real.open("tamsat-native")
    for name, first, last in (("lat", -35.9625, 38.025), ("lon", -19.0125, 51.975)):
        values = found[name].values
        assert (values[0], values[-1]) == (first, last)
        np.testing.assert_allclose(np.diff(values), 0.0375, rtol=0, atol=1e-12)
    dimensions = real.item("tamsat-native").properties["cube:dimensions"]
    assert (dimensions["lat"]["step"], dimensions["lon"]["step"]) == (0.0375, 0.0375)
    assert found["pr"].sel(lat=slice(-10, 10)).sizes["lat"] == 533


def test_months_stamped_on_their_last_day_are_the_wrong_months(real: Published, data: Path) -> None:
    totals = original(files(data, "tamsat-v31-monthly-zambia/*.nc"), "rfe_filled")
    found = real.open("tamsat-zambia-monthly").load()
    assert dates(found["time"]) == [(year, month, 1) for year, month, _ in dates(totals["time"])]
    assert dates(found["time"])[0] == (2017, 9, 1)
    assert_contiguous(found)
    days = (found["time_bnds"].diff("bnds").squeeze("bnds", drop=True) / np.timedelta64(1, "D")).values
    assert days.tolist() == [30, 31, 30, 31, 31, 28, 31, 30]
    assert_same(found["pr"], totals.values.astype("f8") / days[:, None, None])
    assert_same_place(found["pr"], totals)
    sums = found["pr"].astype("f8") * days[:, None, None]
    means = [10.811, 79.707, 125.367, 200.830, 142.577, 261.987, 155.469, 88.585]
    assert sums.mean(("lat", "lon")).values == pytest.approx(means, abs=5e-4)
    assert float(sums.max()) == pytest.approx(876.4, abs=1e-3)
    lusaka = sums.sel(lat=-15.4167, lon=28.2833, method="nearest").values
    assert lusaka == pytest.approx([0.7, 24.6, 82.7, 139.3, 64.2, 307.5, 94.8, 39.1], abs=1e-4)


def test_days_and_a_month_of_days_do_not_join(real: Published, data: Path) -> None:
    expected = original(files(data, "chirps-nevada-daily/*.nc*"), "precip")
    found = real.open("chirps-nevada").load()
    assert found.sizes["time"] == 62
    assert dates(found["time"]) == dates(expected["time"])
    assert (dates(found["time"])[0], dates(found["time"])[-1]) == ((2024, 12, 1), (2025, 1, 31))
    assert_same(found["precip"], expected.values)
    assert_same_place(found["precip"], expected)
    rain = found["precip"].astype("f8")
    december, january = rain.sel(time="2024-12"), rain.sel(time="2025-01")
    assert float(december.mean(("lat", "lon")).sum()) == pytest.approx(6.79945249, rel=1e-7)
    assert float(december.sum("time").max()) == pytest.approx(18.52905464, rel=1e-7)
    assert float((december < 1).sum("time").mean()) == pytest.approx(28.70833333, rel=1e-8)
    assert float(january.mean(("lat", "lon")).sum()) == pytest.approx(8.08558284, rel=1e-7)
    assert float(january.max()) == pytest.approx(13.66695786, rel=1e-7)
    assert found["precip"].attrs["standard_name"] == "lwe_precipitation_rate"


def test_single_precision_days_drift_into_other_months(real: Published, data: Path) -> None:
    expected = original(files(data, "cru-ts401-tmp-south-glacier/*.nc"), "tmp")
    found = real.open("cru-south-glacier").load()
    assert found.sizes["time"] == 1392
    assert dates(found["time"]) == [(year, month, 1) for year in range(1901, 2017) for month in range(1, 13)]
    assert_contiguous(found)
    assert_same(found["tmp"], expected.values.astype("f8") + 273.15)
    assert_same_place(found["tmp"], expected)
    celsius = found["tmp"].astype("f8") - 273.15
    assert float(celsius.mean()) == pytest.approx(-6.77471276, abs=1e-6)
    assert float(celsius.sel(time="2016").mean()) == pytest.approx(-3.95925930, abs=1e-5)
    assert float(celsius[:, 1, 1].mean()) == pytest.approx(-8.23541682, abs=1e-6)
    assert found["tmp"].attrs["units"] == "K"
    assert "stn" not in found


def test_british_national_grid_is_bent_or_loses_its_name(real: Published, data: Path) -> None:
    (path,) = files(data, "uk-tmean-1910-osgb/*.nc")
    with xr.open_dataset(path) as dataset:
        expected = dataset[["tmean", "lat", "lon"]].sortby("y").load()
    found = real.open("uk-tmean-1910").load()
    assert found["tmean"].dims == ("time", "y", "x")
    np.testing.assert_array_equal(found["x"].values, expected["x"].values)
    np.testing.assert_array_equal(found["y"].values, expected["y"].values)
    assert_same(found["tmean"], expected["tmean"].values.astype("f8") + 273.15)
    for name in ("lat", "lon"):
        np.testing.assert_allclose(found[name].values, expected[name].values, atol=1e-9)
    celsius = found["tmean"].astype("f8") - 273.15
    assert int(celsius.count()) == 20_443
    assert float(celsius.mean()) == pytest.approx(8.73181856, abs=1e-5)
    assert float(celsius.sel(x=475_000, y=175_000, method="nearest")[0]) == pytest.approx(9.720646, abs=2e-5)
    assert found["tmean"].attrs["grid_mapping"] == "crs"
    mapping = found["crs"].attrs
    assert mapping["grid_mapping_name"] == "transverse_mercator"
    assert (mapping["semi_major_axis"], mapping["false_easting"]) == (6377563.396, 400_000)
    assert pyproj.CRS.from_wkt(mapping["crs_wkt"]).to_epsg() == 27700
    assert dates(found["time"]) == [(1910, 1, 1)]
    item = real.item("uk-tmean-1910")
    assert item.properties["proj:code"] == "EPSG:27700"
    degrees = pyproj.Transformer.from_crs(27700, 4326, always_xy=True)
    box = degrees.transform_bounds(-200_000, -200_000, 700_000, 1_250_000, densify_pts=21)
    assert item.bbox == pytest.approx(list(box), abs=1e-6)
    assert item.properties["cube:dimensions"]["x"]["reference_system"] == 27700


def test_packed_integers_are_published_raw(real: Published, data: Path) -> None:
    expected = original(files(data, "era5-old-cds-packed/*.nc"), "swvl1")
    found = real.open("era5-packed").load()
    assert_same(found["swvl1"], expected.values)
    assert_same_place(found["swvl1"], expected)
    assert found["time"].dt.hour.values.tolist() == [0, 6, 12, 18]
    assert (float(found["lon"][0]), float(found["lon"][-1])) == (-180, 175)
    moisture = found["swvl1"].astype("f8")
    assert (float(moisture.mean()), float(moisture.max())) == pytest.approx((0.08189775, 0.74737357), rel=1e-6)
    assert float(moisture.min()) == pytest.approx(-0.00327, abs=5e-6)  # packing noise, not a fill
    cell = moisture.sel(lat=50, lon=10).values
    assert cell == pytest.approx([0.4250478, 0.42092422, 0.41071839, 0.40439558], abs=5e-8)


@pytest.mark.parametrize(
    ("product", "pattern", "mean"),
    [
        ("lpjml-wheat", "isimip2b-impacts/lpjml*.nc", 5.05473051),
        ("gepic-wheat", "isimip2b-impacts/gepic*.nc", 2.41162241),
    ],
)
def test_years_since_drift_from_calendar_years(
    real: Published, data: Path, product: str, pattern: str, mean: float
) -> None:
    expected = original(files(data, pattern), "yield", decode_times=False)
    found = real.open(product).load()
    assert dates(found["time"]) == [(year, 1, 1) for year in range(1861, 2006)]
    assert (1661 + expected["time"].values).tolist() == list(range(1861, 2006))
    assert_contiguous(found)
    assert_same(found["yield"], expected.values)
    assert_same_place(found["yield"], expected)
    assert float(found["yield"].astype("f8").mean()) == pytest.approx(mean, rel=1e-8)
    if product == "lpjml-wheat":
        assert int(found["yield"].isnull().sum()) == 27_550
        cell = found["yield"].astype("f8").sel(lat=48.75, lon=2.25)
        numbers = (float(cell.mean()), float(cell[0]), float(cell[-1]))
        assert numbers == pytest.approx((6.12788733, 6.5092063, 6.5546136), rel=1e-7)
        assert real.item(product).properties["isimip2b:climate_forcing"] == "ipsl-cm5a-lr"


def test_scenarios_of_one_model_differ_in_their_map(real: Published, data: Path) -> None:
    for product, scenario, mean, weighted in (
        ("access-tas", "historical", 277.32417874, 288.65910222),
        ("access-tas-ssp126", "ssp126", 277.59744272, 288.94150920),
    ):
        expected = original(files(data, f"access-esm15-monthly/tas_*_{scenario}_*.nc"), "tas")
        found = real.open(product).load()
        assert_same(found["tas"], expected.values)
        assert_same_place(found["tas"], expected)
        assert [date[:2] for date in dates(found["time"])] == [date[:2] for date in dates(expected["time"])]
        assert_contiguous(found)
        tas = found["tas"].astype("f8")
        assert float(tas.mean()) == pytest.approx(mean, rel=1e-10)
        assert float(tas.weighted(np.cos(np.deg2rad(found["lat"]))).mean()) == pytest.approx(weighted, rel=1e-10)
    past, future = real.open("access-tas"), real.open("access-tas-ssp126")
    assert past["time_bnds"].values[-1, 1] == future["time"].values[0]
    land = real.open("access-land-fraction").load()["sftlf"]
    assert land.dims == ("lat", "lon")
    expected = original(files(data, "access-esm15-monthly/sftlf_*.nc"), "sftlf")
    assert_same(land, expected.values)
    assert float(land.astype("f8").mean()) == pytest.approx(35.78356858, rel=1e-8)
    assert (int((land == 0).sum()), int((land >= 50).sum())) == (391, 244)


def test_mask_of_one_variable_is_used_for_another(real: Published, data: Path) -> None:
    found = real.open("access-rain-carbon").load()
    rain = original(files(data, "access-esm15-monthly/pr_*.nc"), "pr")
    carbon = original(files(data, "access-esm15-monthly/gpp_*.nc"), "gpp")
    assert int((carbon < 0).sum()) == 413
    assert_same(found["pr"], as_rates(rain))
    assert_same(found["gpp"], np.maximum(carbon.values, np.where(np.isnan(carbon.values), np.nan, 0)))
    assert (int(found["pr"].isnull().sum()), int(found["gpp"].isnull().sum())) == (0, 79_020)
    assert float(found["gpp"].astype("f8").mean()) == pytest.approx(1.38964342e-08, rel=1e-6)
    cell = found["pr"].astype("f8").sel(lat=10, lon=0)
    assert float(cell.mean()) * 365.25 == pytest.approx(1084.3475, rel=1e-3)


def test_places_of_years_without_leap_days_become_a_map(real: Published, data: Path) -> None:
    (path,) = files(data, "xclim-pr-tas-expected/CanESM2_1950-2100.nc")
    found = real.open("canesm2-places").load()
    assert found["pr"].dims == ("time", "location")
    assert found["time"].encoding["calendar"] == "noleap"
    with xr.open_dataset(path) as dataset:
        assert dates(found["time"]) == dates(dataset["time"])
        assert_same(found["pr"], as_rates(dataset["pr"].transpose("time", "location")))
        assert_same(found["tasmax"], dataset["tasmax"].transpose("time", "location").values)
        np.testing.assert_array_equal(found["lat"].values, dataset["lat"].values)
        np.testing.assert_array_equal(found["lon"].values, dataset["lon"].values)
    rain = found["pr"].astype("f8").mean("time") * 365
    assert rain.values[:2] == pytest.approx([935.04155856, 896.61821430], rel=1e-7)
    (path,) = files(data, "xclim-pr-tas-expected/daily_surface_*.nc")
    cities = real.open("canadian-cities").load()
    with xr.open_dataset(path) as dataset:
        assert_same(cities["tas"], dataset["tas"].transpose("time", "location").values)
        assert_same(cities["pr"], as_rates(dataset["pr"].transpose("time", "location")))
        assert dates(cities["time"]) == dates(dataset["time"])
    assert (cities["pr"].sel(time="1990") >= 1).sum("time").values.tolist() == [158, 155, 118, 82, 151]


def test_land_mask_without_time_is_shifted_by_half_the_globe(real: Published, data: Path) -> None:
    expected = original(files(data, "land-masks-025deg/landmask_*.nc"), "land")
    found = real.open("land-mask").load()
    assert found["land"].dims == ("lat", "lon")
    assert "time" not in found
    assert_same(found["land"], expected.values)
    assert_same_place(found["land"], expected)
    assert (int((found["land"] > 0).sum()), int(found["land"].isnull().sum())) == (244_450, 172_800)
