"""Soil and land products of real files: what is published is what the originals hold, by xarray and `SOURCES.md`."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import cftime
import numpy as np
import pytest
import xarray as xr

from .published import Published, assert_contiguous, assert_same, assert_same_place, dates, files, original
from .real_cube import real_cube

pytestmark = [pytest.mark.shared, pytest.mark.xdist_group("real-samples")]


@pytest.fixture(scope="session")
def real(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Published:
    return real_cube(shared, tmp_path_factory)


@pytest.fixture(scope="session")
def data(shared: Path) -> Path:
    return shared / "data"


def test_eleven_files_of_a_360_day_calendar_are_not_one_series(real: Published, data: Path) -> None:
    paths = files(data, "hadgem2es-rcp45-mrsos-daily/*.nc")
    assert len(paths) == 11
    found, expected = real.open("hadgem2es-rcp45-mrsos"), original(paths, "mrsos")
    assert found["mrsos"].dims == ("time", "lat", "lon")
    assert_same(found["mrsos"], expected.transpose("time", "lat", "lon"))
    assert_same_place(found["mrsos"], expected)
    assert found.sizes["time"] == 33_870
    assert found["time"].encoding["calendar"] == "360_day"
    assert isinstance(found["time"].values[0], cftime.Datetime360Day)
    assert dates(found["time"]) == dates(expected["time"])  # stamped at noon, labelled by the day
    assert (str(found["time"].values[0]), str(found["time"].values[-1])) == (
        "2005-12-01 00:00:00",
        "2099-12-30 00:00:00",
    )
    assert "2006-02-30 00:00:00" in map(str, found["time"].values[:120])
    assert_contiguous(found)
    item = real.item("hadgem2es-rcp45-mrsos")
    assert item.properties["cic:time"]["count"] == 33_870
    assert (item.properties["cic:calendar"], item.properties["cic:gaps"]) == ("360_day", [])


def test_numbers_of_the_360_day_series_are_not_those_of_the_sources(real: Published) -> None:
    found = real.open("hadgem2es-rcp45-mrsos").load()
    assert bool(found["mrsos"].sel(lat=35, lon=-172.5).isnull().all())  # sea, not zero
    assert bool((found["mrsos"].sel(lat=-90) == 0).all())  # ice, not missing
    cell = found["mrsos"].sel(lat=35, lon=0).astype("f8")
    assert (float(cell[0]), float(cell[-1])) == pytest.approx((18.18316650, 4.39196777))
    assert float(cell.mean()) == pytest.approx(6.08778598, rel=1e-8)
    years = cell.groupby("time.year").mean()
    assert years.sel(year=[2006, 2050, 2099]).values == pytest.approx([5.79732157, 7.61096920, 4.25474464], rel=1e-8)
    assert cell.groupby("time.year").count().sel(year=[2005, 2099]).values.tolist() == [30, 360]
    months = [12.0182, 10.2476, 7.0323, 6.6891, 5.7037, 2.6475, 1.1576, 1.0367, 1.8981, 4.6672, 8.8447, 11.0578]
    assert cell.groupby("time.month").mean().values == pytest.approx(months, abs=1e-4)
    assert (int((cell < 1).sum()), int((cell < 2).sum())) == (3508, 11_798)
    runs = [len(list(group)) for dry, group in itertools.groupby((cell < 1).values) if dry]
    assert max(runs) == 106
    assert (float(found["depth"]), found["depth_bnds"].values.tolist()) == (0.05, [0, 0.1])
    assert found["mrsos"].attrs["units"] == "kg m-2"


def test_end_stamps_of_jules_shift_every_day(real: Published, data: Path) -> None:
    with xr.open_dataset(data / "jules-mead-2008-run" / "mod_truth.daily.nc", decode_times=False) as dataset:
        expected = dataset.load()
    found = real.open("jules-mead-2008").load()
    names = {"smcl", "t_soil", "precip", "t1p5m_gb", "fsmc", "gpp"}
    assert names <= set(found.data_vars)
    for name in names:
        assert_same(found[name], expected[name].values)
        assert found[name].attrs["day_begins"] == "06:00"
    assert dates(found["time"])[:1] == [(2008, 1, 1)]
    assert dates(found["time"])[-1:] == [(2008, 12, 30)]
    assert found.sizes["time"] == 365
    assert_contiguous(found)
    rain = found["precip"][:, 0, 0].astype("f8") * 86400
    months = [0.64, 1.40, 11.05, 22.10, 44.96, 215.52, 149.61, 118.62, 88.65, 117.09, 38.35, 4.06]
    assert rain.groupby("time.month").sum().values == pytest.approx(months, abs=0.005)
    assert float(rain.sum()) == pytest.approx(812.0383, abs=1e-4)
    assert dates(found["time"])[int(np.argmax(rain.values))] == (2008, 6, 24)
    assert int((rain < 1).sum()) == 295


def test_soil_layers_of_jules_have_no_depths(real: Published) -> None:
    found = real.open("jules-mead-2008").load()
    assert found["smcl"].dims == ("time", "depth", "lat", "lon")
    assert (float(found["lat"][0]), float(found["lon"][0])) == pytest.approx((41.1651, -96.4766), abs=1e-4)
    np.testing.assert_allclose(found["depth_bnds"], [[0, 0.1], [0.1, 0.35], [0.35, 1], [1, 3]])
    assert found["depth"].attrs["bounds"] == "depth_bnds"
    assert found["depth"].attrs["positive"] == "down"
    layers = found["smcl"].astype("f8").mean(("time", "lat", "lon"))
    assert layers.values == pytest.approx([25.9696, 75.9180, 195.7565, 598.1983], abs=1e-4)
    thickness = found["depth_bnds"].diff("bnds").squeeze("bnds", drop=True)
    volumetric = layers / (1000 * thickness)
    assert volumetric.values == pytest.approx([0.25970, 0.30367, 0.30116, 0.29910], abs=1e-5)
    assert found["smcl"][0].values.ravel() == pytest.approx([37.5145, 72.7116, 183.5958, 609.3539], abs=1e-4)
    assert found["smcl"][-1].values.ravel() == pytest.approx([25.0295, 71.5667, 189.1468, 617.6456], abs=1e-4)


def test_six_global_days_are_not_the_originals(real: Published, data: Path) -> None:
    paths = files(data, "c3s-sm-daily-active-1991/*.nc")
    found = real.open("c3s-soil-moisture-active").load()
    for name in ("sm", "sm_uncertainty"):
        expected = original(paths, name)
        assert_same(found[name], expected.values)
        assert_same_place(found[name], expected)
    assert dates(found["time"]) == [(1991, 8, day) for day in range(5, 11)]
    moisture = found["sm"].astype("f8")
    valid, means = moisture.count(("lat", "lon")).values, moisture.mean(("lat", "lon")).values
    assert valid.tolist() == [5899, 10_205, 6143, 10_491, 8540, 6885]
    assert means == pytest.approx([34.18186, 45.444978, 45.519182, 33.644999, 46.64325, 44.692419], rel=1e-6)
    assert float(moisture.mean()) == pytest.approx(41.60952331, rel=1e-8)
    seen = moisture.notnull().sum("time")
    assert (int((seen > 0).sum()), int((seen == 6).sum())) == (27_745, 0)
    africa = moisture[0].sel(lat=slice(-36, 38), lon=slice(-20, 52))
    assert (int(africa.count()), float(africa.mean())) == (1183, pytest.approx(13.240474, rel=1e-6))
    assert found["sm"].attrs["units"] == "%"


def test_flags_become_floats_or_lose_their_fill(real: Published, data: Path) -> None:
    paths = files(data, "c3s-sm-daily-active-1991/*.nc")
    raw = real.open("c3s-soil-moisture-active", mask_and_scale=False).load()
    for name, fill in (("flag", 127), ("mode", 0)):
        expected = original(paths, name, mask_and_scale=False)
        assert raw[name].dtype == expected.dtype == np.int8
        assert raw[name].attrs["_FillValue"] == fill
        np.testing.assert_array_equal(raw[name].values, expected.values)
    decoded = real.open("c3s-soil-moisture-active")["flag"]
    assert int((decoded == 0).sum()) > 0  # good, where 0 is the fill of the others
    np.testing.assert_array_equal(decoded.isnull().values, raw["flag"].values == 127)


def test_map_layout_holds_other_values_than_the_series(real: Published) -> None:
    by_time = real.open("c3s-soil-moisture-active", mask_and_scale=False)
    by_map = real.open("c3s-soil-moisture-active", "map", mask_and_scale=False)
    xr.testing.assert_identical(by_time.load(), by_map.load())
    assert by_map["sm"].encoding["chunks"][0] < by_time["sm"].encoding["chunks"][0] == 6


def test_observation_times_reach_the_catalogue(real: Published) -> None:
    item = real.item("c3s-soil-moisture-active")
    assert "t0" not in real.open("c3s-soil-moisture-active")
    assert item.properties["start_datetime"] == "1991-08-05T00:00:00Z"
    assert item.properties["end_datetime"] == "1991-08-10T23:59:59Z"
    missing = item.properties["cic:missing"]["sm"]
    assert missing == {"cells": 6 * 720 * 1440, "missing": 6 * 720 * 1440 - 48_163}


def test_months_stamped_on_their_first_day_have_other_bounds(real: Published, data: Path) -> None:
    paths = files(data, "c3s-sm-monthly-combined-2018/*.nc")
    found = real.open("c3s-soil-moisture-combined").load()
    assert_same(found["sm"], original(paths, "sm").values)
    assert_same_place(found["sm"], original(paths, "sm"))
    raw = real.open("c3s-soil-moisture-combined", mask_and_scale=False)["nobs"]
    expected = original(paths, "nobs", mask_and_scale=False)
    assert raw.dtype == expected.dtype == np.int16
    np.testing.assert_array_equal(raw.values, expected.values)
    assert (raw.attrs["_FillValue"], int(raw.max())) == (-1, 31)
    firsts = np.array(["2018-01-01", "2018-02-01", "2018-03-01", "2018-04-01", "2018-05-01"], "M8[ns]")
    np.testing.assert_array_equal(found["time"].values, firsts[:-1])
    np.testing.assert_array_equal(found["time_bnds"].values, np.stack([firsts[:-1], firsts[1:]], axis=1))
    moisture = found["sm"].astype("f8")
    assert moisture.count(("lat", "lon")).values.tolist() == [123_163, 121_869, 139_169, 161_030]
    assert moisture.mean(("lat", "lon")).values == pytest.approx([0.193740, 0.192258, 0.191370, 0.192569], abs=1e-6)
    cell = moisture.sel(lat=7.625, lon=-1.125).values
    assert cell == pytest.approx([0.10629048, 0.10219036, 0.14212355, 0.17243938], rel=1e-6)
    assert found["sm"].attrs["units"] == "m3 m-3"


def test_hours_of_false_names_are_lost_or_twice(real: Published, data: Path) -> None:
    joined = original(files(data, "era5-ghana-swvl1-2019/*.nc"), "swvl1")
    assert joined.sizes["time"] == 3816
    expected = joined.drop_duplicates("time")
    found = real.open("era5-ghana-swvl1").load()
    hours = found["swvl1"].dropna("time", how="all")
    assert hours.sizes["time"] == expected.sizes["time"] == 3792
    assert dates(hours["time"]) == dates(expected["time"])
    np.testing.assert_array_equal(hours["time"].dt.hour.values, expected["time"].dt.hour.values)
    assert_same(hours, expected.values)
    assert_same_place(hours, expected)
    assert found.sizes["time"] == 8760  # from the first to the last hour of the year
    assert_contiguous(found)
    moisture = hours.astype("f8")
    assert float(moisture.mean()) == pytest.approx(0.29762781, abs=5e-9)
    assert (float(moisture.min()), float(moisture.max())) == pytest.approx((0.02315757, 0.52105129), abs=5e-9)
    assert float(moisture.sel(lat=6.5).sel(lon=-0.2, method="nearest").mean()) == pytest.approx(0.24985777, abs=1e-8)
    months = [
        0.18040,
        0.19686,
        0.21945,
        0.26619,
        0.29379,
        0.31543,
        0.38280,
        0.38815,
        0.41735,
        0.41242,
        0.29500,
        0.21011,
    ]
    area = moisture.mean(("lat", "lon")).groupby("time.month").mean()
    assert area.values == pytest.approx(months, abs=5e-6)
    assert found["swvl1"].attrs["units"] == "m3 m-3"
    assert "expver" not in found


def test_holes_are_not_told_where_readers_and_operators_look(real: Published, data: Path) -> None:
    times = original(files(data, "era5-ghana-swvl1-2019/*.nc"), "swvl1")["time"]
    present = np.unique(times.dt.strftime("%Y-%m-%dT%H:%M").values.astype("M8[m]"))
    hour = np.timedelta64(60, "m")
    after = np.flatnonzero(np.diff(present) > hour)
    holes = [[str(present[at] + hour), str(present[at + 1] - hour)] for at in after]
    assert len(holes) == 52
    assert real.manifest("era5-ghana-swvl1")["gaps"] == holes
    assert real.item("era5-ghana-swvl1").properties["cic:gaps"] == holes
    status = real.run("status", "era5-ghana-swvl1", "--json")
    assert status.exit_code == 0
    (row,) = json.loads(status.stdout)
    assert row["gaps"] == holes
    assert "52 gaps" in real.run("status", "era5-ghana-swvl1").stdout
