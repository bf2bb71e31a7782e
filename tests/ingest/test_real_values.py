"""Real archive files: every value as xarray reads it from the originals, times and numbers of `SOURCES.md`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from cube.axes import Step

from .looking import assert_one_ulp, look, originals, values

pytestmark = pytest.mark.shared


@pytest.fixture(scope="module")
def data(shared: Path) -> Path:
    return shared / "data"


def test_360_day_calendar_is_kept_over_eleven_files(data: Path) -> None:
    archive = look(data, "hadgem2es-rcp45-mrsos-daily/*.nc")
    time = archive.time
    assert time is not None
    assert (time.count, time.calendar, time.text(0), time.text(-1)) == (33_870, "360_day", "2005-12-01", "2099-12-30")
    assert time.text(89) == "2006-02-30"
    assert [piece.count for piece in archive.variables["mrsos"].pieces] == [3600] * 9 + [1410, 60]
    found = values(archive.variables["mrsos"])
    assert_one_ulp(found, originals(data, "hadgem2es-rcp45-mrsos-daily/*.nc", "mrsos"))
    cell = found[:, 1, 1].astype(np.float64)
    assert (cell[0], cell[-1]) == (pytest.approx(18.18316650), pytest.approx(4.39196777))
    assert cell.mean() == pytest.approx(6.08778598, rel=1e-6)
    assert cell[30 : 30 + 360].mean() == pytest.approx(5.79732157, rel=1e-6)  # 2006


def test_scalar_depth_stays_a_coordinate_with_its_bounds(data: Path) -> None:
    archive = look(data, "hadgem2es-rcp45-mrsos-daily/*20991230.nc")
    assert archive.coords["depth"].dims == ()
    assert float(archive.coords["depth"]) == 0.05
    assert archive.coords["depth_bnds"].values.tolist() == [0, 0.1]
    assert archive.variables["mrsos"].attrs["coordinates"] == "depth"
    assert set(archive.variables) == {"mrsos"}


def test_thinned_axes_have_no_step_and_their_own_bounds(data: Path) -> None:
    coords = look(data, "hadgem2es-rcp45-mrsos-daily/*20991230.nc").coords
    assert coords["lat"].values.tolist() == [-90, 35]
    assert coords["lon"].values.tolist() == [-172.5, 0]
    assert coords["lon_bnds"].values.tolist() == [[-173.4375, -171.5625], [-0.9375, 0.9375]]


def test_time_units_of_each_file_are_its_own(data: Path) -> None:
    archive = look(data, "ecearth-historical-tas-daily/*.nc")
    time = archive.time
    assert time is not None
    assert (time.count, time.text(0), time.text(-1)) == (21_884, "1950-01-01", "2009-11-30")
    found = values(archive.variables["tas"])
    assert_one_ulp(found, originals(data, "ecearth-historical-tas-daily/*.nc", "tas"))
    assert found.astype(np.float64).mean() == pytest.approx(260.66012897, rel=1e-9)
    assert found[0, 1, 2] == pytest.approx(287.92)


def test_flux_becomes_mm_a_day_and_noise_below_zero_zero(data: Path) -> None:
    archive = look(data, "ecearth3-dcpp-pr-daily/*.nc")
    variable = archive.variables["pr"]
    found = values(variable).astype(np.float64)
    expected = originals(data, "ecearth3-dcpp-pr-daily/*.nc", "pr").astype(np.float64)
    assert (expected < 0).sum() == 769
    np.testing.assert_allclose(found, np.maximum(expected, 0) * 86400, rtol=1e-7, atol=0)
    assert (variable.attrs["units"], variable.attrs["standard_name"]) == ("mm d-1", "lwe_precipitation_rate")
    totals = found[61:].sum(axis=0)
    # lon 0 is the fourth of the published axis; rows run south to north
    assert totals[:, 3] == pytest.approx([93.96, 153.41, 907.94], abs=0.01)
    assert any("became 0" in note for note in archive.notes)


def test_one_chunk_a_step_is_told(data: Path) -> None:
    archive = look(data, "mpiesm12hr-dcpp-pr-daily/*.nc")
    assert archive.variables["pr"].source_chunk == (1, 2, 4)
    found = values(archive.variables["pr"])
    assert found[:, 1, 2].astype(np.float64).mean() * 365.25 == pytest.approx(1680.920, rel=1e-5)


def test_sixty_and_360_days_make_420(data: Path) -> None:
    archive = look(data, "hadgem3-dcpp-tasmin-daily/*.nc")
    time = archive.time
    assert time is not None
    assert (time.count, time.text(0), time.text(-1)) == (420, "1960-11-01", "1961-12-30")
    assert_one_ulp(values(archive.variables["tasmin"]), originals(data, "hadgem3-dcpp-tasmin-daily/*.nc", "tasmin"))


def test_a_rotation_by_nothing_gives_latitude_and_longitude(data: Path) -> None:
    archive = look(data, "cordex-afr22-tas-daily/*.nc")
    variable = archive.variables["tas"]
    assert variable.dims == ("time", "lat", "lon")
    np.testing.assert_allclose(archive.coords["lon"], [-24.53, -2.53, 19.47, 41.47], atol=1e-4)
    assert "grid_mapping" not in variable.attrs
    found = values(variable)
    path = data / "cordex-afr22-tas-daily"
    parts = [xr.open_dataset(each)["tas"].values for each in sorted(path.glob("*.nc"))]
    assert_one_ulp(found, np.concatenate(parts))
    assert found[:, 2, 1].astype(np.float64).mean() == pytest.approx(300.35775105, rel=1e-9)


def test_an_area_across_the_files_seam(data: Path) -> None:
    archive = look(data, "cordex-afr22-tas-daily/*.nc", area={"lat": [-10, 50], "lon": [-5, 20]})
    np.testing.assert_allclose(archive.coords["lon"], [-2.53, 19.47], atol=1e-4)
    whole = values(look(data, "cordex-afr22-tas-daily/*.nc").variables["tas"])
    np.testing.assert_array_equal(values(archive.variables["tas"]), whole[:, 2:, 1:3])


def test_global_maps_turn_north_side_up(data: Path) -> None:
    archive = look(data, "c3s-sm-daily-active-1991/*.nc")
    variable = archive.variables["sm"]
    assert (variable.shape, variable.source_chunk) == ((6, 720, 1440), (1, 720, 1440))
    found = values(variable)
    assert_one_ulp(found, originals(data, "c3s-sm-daily-active-1991/*.nc", "sm"))
    assert np.isfinite(found).sum(axis=(1, 2)).tolist() == [5899, 10205, 6143, 10491, 8540, 6885]
    assert np.nanmean(found.astype(np.float64)) == pytest.approx(41.60952331, rel=1e-8)
    assert variable.attrs["units"] == "%"


def test_flags_keep_their_integers_and_their_own_fill(data: Path) -> None:
    archive = look(data, "c3s-sm-daily-active-1991/*.nc")
    for name, fill in (("flag", 127), ("sensor", 0), ("mode", 0)):
        variable = archive.variables[name]
        paths = sorted((data / "c3s-sm-daily-active-1991").glob("*.nc"))
        raw = np.concatenate([xr.open_dataset(path, mask_and_scale=False)[name].values for path in paths])
        assert (variable.fill, variable.dtype) == (fill, raw.dtype)
        np.testing.assert_array_equal(values(variable), raw[:, ::-1])


def test_times_that_are_data_stay_out(data: Path) -> None:
    archive = look(data, "c3s-sm-daily-active-1991/*.nc")
    assert "t0" not in archive.variables
    assert "left out: t0 (it holds times)" in archive.notes


def test_months_stamped_on_their_first_day(data: Path) -> None:
    archive = look(data, "c3s-sm-monthly-combined-2018/*.nc", variables=["sm"])
    time = archive.time
    assert time is not None
    assert (time.step, time.text(0), time.count) == (Step("month"), "2018-01-01", 4)
    found = values(archive.variables["sm"])
    assert_one_ulp(found, originals(data, "c3s-sm-monthly-combined-2018/*.nc", "sm"))
    assert archive.variables["sm"].attrs["units"] == "m3 m-3"
    assert np.nanmean(found[0].astype(np.float64)) == pytest.approx(0.193740, abs=1e-6)


def test_an_area_is_cut_before_reading(data: Path) -> None:
    box = {"lat": [-36, 38], "lon": [-20, 52]}
    archive = look(data, "c3s-sm-daily-active-1991/*0805*.nc", variables=["sm"], area=box, step="day")
    found = values(archive.variables["sm"])
    assert found.shape == (1, 296, 288)
    assert np.isfinite(found).sum() == 1183
    assert np.nanmean(found.astype(np.float64)) == pytest.approx(13.240474, rel=1e-6)


def test_days_and_a_month_of_chirps_join(data: Path) -> None:
    archive = look(data, "chirps-nevada-daily/*.nc*")
    time = archive.time
    assert time is not None
    assert (time.count, time.text(0), time.text(-1)) == (62, "2024-12-01", "2025-01-31")
    found = values(archive.variables["precip"])
    days = originals(data, "chirps-nevada-daily/*2024-12*.nc4", "precip")
    month = originals(data, "chirps-nevada-daily/*2025-01*.nc", "precip")
    assert_one_ulp(found, np.concatenate([days, month]))
    assert found[:31].astype(np.float64).mean(axis=(1, 2)).sum() == pytest.approx(6.79945249, rel=1e-7)
    assert archive.variables["precip"].attrs["standard_name"] == "lwe_precipitation_rate"


def test_packed_numbers_are_unpacked(data: Path) -> None:
    archive = look(data, "era5-old-cds-packed/*.nc")
    found = values(archive.variables["swvl1"])
    expected = originals(data, "era5-old-cds-packed/*.nc", "swvl1")
    np.testing.assert_array_equal(found, expected.astype(np.float32))
    assert found.min() == pytest.approx(-0.00327, abs=1e-5)  # EO2: packing noise, no fill
    assert str(archive.time and archive.time.step) == "6 hours"
    assert archive.coords["lon"].values[[0, -1]].tolist() == [-180, 175]


def test_hours_become_days(data: Path) -> None:
    options = {"names": "ignore", "gaps": {"max_days": 7}, "step": "day", "variables": ["swvl1"]}
    archive = look(data, "era5-ghana-swvl1-2019/*.nc", **options)
    time = archive.time
    assert time is not None
    assert (time.count, str(time.step)) == (365, "day")
    found = values(archive.variables["swvl1"]).astype(np.float64)
    present = np.isfinite(found).all(axis=(1, 2))
    assert present.sum() == 158
    paths = sorted((data / "era5-ghana-swvl1-2019").glob("*.nc"))
    parts = [xr.open_dataset(path)["swvl1"].load() for path in paths]
    joined = xr.concat(parts, "valid_time", coords="minimal", compat="override", join="override")
    hours = joined.sortby("valid_time").drop_duplicates("valid_time")
    assert hours.sizes["valid_time"] == 3792
    daily = hours.astype("f8").resample(valid_time="D").mean().dropna("valid_time").isel(latitude=slice(None, None, -1))
    np.testing.assert_allclose(found[present], daily.values, rtol=2e-7)
    assert len(archive.gaps) == 52
    assert archive.gaps[0] == ("2019-01-04", "2019-01-07")


def test_equal_duplicates_are_dropped_and_noted(data: Path) -> None:
    options = {"names": "ignore", "gaps": {"max_days": 7}, "variables": ["swvl1"]}
    archive = look(data, "era5-ghana-swvl1-2019/*.nc", **options)
    assert [note for note in archive.notes if "2019-04-02" in note] == [
        "swvl1 2019-04-02T00:00 to 2019-04-02T23:00 (24 steps) is the same in "
        "ERA5_20190430_20190402.nc and ERA5_20190402_20190404.nc"
    ]
    assert "left out: expver (it holds text)" in archive.notes
    found = values(archive.variables["swvl1"]).astype(np.float64)
    assert np.nanmean(found) == pytest.approx(0.29762781, abs=1e-8)
    assert np.isfinite(found[:, 0, 0]).sum() == 3792
    assert archive.variables["swvl1"].attrs["units"] == "m3 m-3"
    assert "standard_name" not in archive.variables["swvl1"].attrs


def test_the_british_national_grid_stays_in_metres(data: Path) -> None:
    archive = look(data, "uk-tmean-1910-osgb/*.nc", step="year")
    variable = archive.variables["tmean"]
    assert variable.dims == ("time", "y", "x")
    assert (archive.coords["y"].values[0], archive.coords["y"].values[-1]) == (-197_500, 1_247_500)
    assert variable.attrs["grid_mapping"] == "crs"
    crs = archive.coords["crs"].attrs
    assert crs["grid_mapping_name"] == "transverse_mercator"
    assert (crs["semi_major_axis"], crs["false_easting"]) == (6377563.396, 400000)
    original = xr.open_dataset(next((data / "uk-tmean-1910-osgb").glob("*.nc")))["tmean"]
    found = values(variable)
    np.testing.assert_allclose(found, original.values[:, ::-1].astype(np.float64) + 273.15, rtol=1e-7)
    assert np.isfinite(found).sum() == 20_443
    row, column = (177_500 + 197_500) // 5000, (477_500 + 197_500) // 5000
    assert found[0, row, column] == pytest.approx(9.720646 + 273.15, abs=1e-4)


def test_end_stamps_of_jules_are_not_taken_for_labels(data: Path) -> None:
    archive = look(data, "jules-mead-2008-run/*.daily.nc", "jules")
    time = archive.time
    assert time is not None
    assert (time.count, time.text(0), time.text(-1)) == (365, "2008-01-01", "2008-12-30")
    rain = values(archive.variables["precip"])[:, 0, 0].astype(np.float64) * 86400
    months = np.array([int(time.text(day)[5:7]) for day in range(365)])
    totals = [rain[months == month].sum() for month in range(1, 13)]
    expected = [0.64, 1.40, 11.05, 22.10, 44.96, 215.52, 149.61, 118.62, 88.65, 117.09, 38.35, 4.06]
    assert totals == pytest.approx(expected, abs=0.01)
    assert archive.variables["precip"].attrs["day_begins"] == "06:00"


def test_soil_layers_of_jules_get_their_depths(data: Path) -> None:
    archive = look(data, "jules-mead-2008-run/*.daily.nc", "jules")
    variable = archive.variables["smcl"]
    assert variable.dims == ("time", "depth", "lat", "lon")
    np.testing.assert_allclose(archive.coords["depth"], [0.05, 0.225, 0.675, 2.0])
    np.testing.assert_allclose(archive.coords["depth_bnds"], [[0, 0.1], [0.1, 0.35], [0.35, 1], [1, 3]])
    assert archive.coords["depth"].attrs["positive"] == "down"
    found = values(variable).astype(np.float64)
    assert found.mean(axis=(0, 2, 3)) == pytest.approx([25.9696, 75.9180, 195.7565, 598.1983], abs=1e-4)
    assert found[0].ravel() == pytest.approx([37.5145, 72.7116, 183.5958, 609.3539], abs=1e-4)
    assert variable.attrs["cell_methods"] == "time: mean"
    assert archive.coords["lat"].values == pytest.approx([41.1651])


def test_all_variables_of_jules_are_as_stored(data: Path) -> None:
    archive = look(data, "jules-mead-2008-run/*.daily.nc", "jules")
    original = xr.open_dataset(data / "jules-mead-2008-run" / "mod_truth.daily.nc", decode_times=False)
    assert len(archive.variables) == 24
    assert "time_bounds" not in archive.variables
    for name, variable in archive.variables.items():
        np.testing.assert_array_equal(values(variable), original[name].values, err_msg=name)


def test_native_tamsat_bytes(data: Path) -> None:
    archive = look(data, "tamsat-v3-daily-native/*.nc", "tamsat")
    variable = archive.variables["pr"]
    found = values(variable)
    assert_one_ulp(found, originals(data, "tamsat-v3-daily-native/*.nc", "rfe"))
    assert np.isnan(found).sum() == 1_567_747
    assert np.nanmean(found.astype(np.float64)) == pytest.approx(1.23169181, rel=1e-8)
    assert (found >= 1).sum() == 370_444
    time = archive.time
    assert time is not None
    assert (time.text(0), time.calendar, str(time.step)) == ("2017-01-01", "standard", "day")
    assert (variable.attrs["day_begins"], variable.attrs["units"]) == ("06:15", "mm d-1")
    lat, lon = archive.coords["lat"].values, archive.coords["lon"].values
    assert (lat[0], lat[-1], lon[0], lon[-1]) == (-35.9625, 38.025, -19.0125, 51.975)
    for north, east, rain in ((-1.286, 36.817, 0), (0.3476, 32.5825, 5), (-15.4167, 28.2833, 8)):
        assert found[0, np.abs(lat - north).argmin(), np.abs(lon - east).argmin()] == rain


def test_months_of_tamsat_stamped_on_their_last_day(data: Path) -> None:
    archive = look(data, "tamsat-v31-monthly-zambia/*.nc", "tamsat")
    time = archive.time
    assert time is not None
    assert (time.text(0), time.text(-1), str(time.step)) == ("2017-09-01", "2018-04-01", "month")
    variable = archive.variables["pr"]
    assert variable.source_chunk == (1, 200, 327)
    assert {piece.decode.variable for piece in variable.pieces} == {"rfe_filled"}
    found = values(variable).astype(np.float64)
    lengths = np.array([30, 31, 30, 31, 31, 28, 31, 30])
    totals = found * lengths[:, None, None]
    expected = originals(data, "tamsat-v31-monthly-zambia/*.nc", "rfe_filled")
    np.testing.assert_allclose(totals, expected, rtol=2e-7)
    assert totals.mean(axis=(1, 2)) == pytest.approx(
        [10.811, 79.707, 125.367, 200.830, 142.577, 261.987, 155.469, 88.585], abs=1e-3
    )


def test_years_since_are_calendar_years(data: Path) -> None:
    archive = look(data, "isimip2b-impacts/lpjml*.nc", "isimip")
    time = archive.time
    assert time is not None
    assert (time.text(0), time.text(-1), time.count) == ("1861-01-01", "2005-01-01", 145)
    found = values(archive.variables["yield"]).astype(np.float64)
    assert np.nanmean(found) == pytest.approx(5.05473051, rel=1e-8)
    assert np.isnan(found).sum() == 27_550
    lat, lon = archive.coords["lat"].values, archive.coords["lon"].values
    cell = found[:, lat.tolist().index(48.75), lon.tolist().index(2.25)]
    assert (cell.mean(), cell[0], cell[-1]) == pytest.approx((6.12788733, 6.5092063, 6.5546136))
    assert archive.properties["isimip2b:climate_forcing"] == "ipsl-cm5a-lr"
    assert archive.properties["isimip2b:soc_scenario"] == "2005soc"


def test_a_double_fill_that_was_single_precision(data: Path) -> None:
    archive = look(data, "isimip2b-impacts/gepic*.nc", "isimip")
    found = values(archive.variables["yield"])
    assert found.dtype == np.float64
    assert np.nanmean(found) == pytest.approx(2.41162241, rel=1e-8)


def test_names_with_hyphens_are_made_safe(data: Path) -> None:
    archive = look(data, "isimip2b-impacts/histsoc*.nc", "isimip", variables=["landuse-15crops", "maize_rainfed"])
    assert set(archive.variables) == {"landuse_15crops", "maize_rainfed"}
    assert archive.variables["landuse_15crops"].attrs["archive_name"] == "landuse-15crops"
    time = archive.time
    assert time is not None
    assert (time.text(0), time.text(-1)) == ("2001-01-01", "2005-01-01")
    found = values(archive.variables["maize_rainfed"]).astype(np.float64)
    assert np.nanmean(found) == pytest.approx(0.03450795, rel=1e-6)


def test_single_precision_days_that_drift_by_minutes(data: Path) -> None:
    archive = look(data, "cru-ts401-tmp-south-glacier/*.nc", variables=["tmp"])
    time = archive.time
    assert time is not None
    assert (time.count, time.text(0), time.text(-1)) == (1392, "1901-01-01", "2016-12-01")
    found = values(archive.variables["tmp"]).astype(np.float64) - 273.15
    assert found.mean() == pytest.approx(-6.77471276, abs=1e-5)
    assert found[-12:].mean() == pytest.approx(-3.95925930, abs=1e-5)


def test_noleap_series_at_stations(data: Path) -> None:
    archive = look(data, "xclim-pr-tas-expected/CanESM2*.nc")
    time = archive.time
    assert time is not None
    assert (time.count, time.calendar) == (55_115, "noleap")
    rain = archive.variables["pr"]
    assert rain.dims == ("time", "location")
    assert rain.attrs["coordinates"] == "lat lon"
    found = values(rain).astype(np.float64)
    assert found[:, :2].mean(axis=0) * 365 == pytest.approx([935.04155856, 896.61821430], rel=1e-6)
    assert values(archive.variables["tasmax"])[:, 0].astype(np.float64).mean() == pytest.approx(290.74178589, rel=1e-8)


def test_time_as_the_last_dimension(data: Path) -> None:
    archive = look(data, "xclim-pr-tas-expected/daily_surface*.nc", variables=["pr", "tas"])
    original = xr.open_dataset(data / "xclim-pr-tas-expected" / "daily_surface_cancities_1990-1993.nc")
    np.testing.assert_array_equal(values(archive.variables["tas"]), original["tas"].values.T)
    rain = np.maximum(original["pr"].values.T.astype(np.float64) * 86400, 0)
    np.testing.assert_allclose(values(archive.variables["pr"]), rain, rtol=1e-7)


def test_products_without_time(data: Path) -> None:
    archive = look(data, "land-masks-025deg/landmask*.nc")
    assert archive.time is None
    found = values(archive.variables["land"])
    original = xr.open_dataset(data / "land-masks-025deg" / "landmask_0.25_0.25.nc")["land"]
    turned = original.assign_coords(longitude=(original["longitude"] + 180) % 360 - 180)
    np.testing.assert_array_equal(found, turned.sortby(["latitude", "longitude"]).values)
    assert (found > 0).sum() == 244_450
    assert archive.attrs["bbox"] == [-180.0, -90.0, 180.0, 90.0]


def test_several_variables_on_one_map(data: Path) -> None:
    archive = look(data, ["access-esm15-monthly/pr*.nc", "access-esm15-monthly/gpp*.nc"])
    assert set(archive.variables) == {"pr", "gpp"}
    gpp = values(archive.variables["gpp"])
    assert np.isnan(gpp).sum() == 79_020
    assert (gpp[np.isfinite(gpp)] >= 0).all()
    rain = values(archive.variables["pr"]).astype(np.float64)
    assert rain.mean() / 86400 == pytest.approx(2.87131784e-05, rel=1e-6)
    assert "lat_bnds" not in archive.variables


def test_windows_are_parts_of_the_whole(data: Path) -> None:
    archive = look(data, "access-esm15-monthly/pr*.nc")
    whole = values(archive.variables["pr"])
    rng = np.random.default_rng(11)
    for _ in range(12):
        window = {}
        for dim, size in zip(("time", "lat", "lon"), whole.shape, strict=True):
            low = int(rng.integers(0, size))
            window[dim] = slice(low, int(rng.integers(low + 1, size + 1)))
        part = values(archive.variables["pr"], **window)
        np.testing.assert_array_equal(part, whole[tuple(window.values())])
