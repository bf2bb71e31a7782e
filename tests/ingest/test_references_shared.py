"""References to real archive files: values and times of the originals, or the refusal that they deserve."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from .reference_archive import build, originals, read, refusals

pytestmark = pytest.mark.shared


def files(shared: Path, dataset: str, pattern: str = "*.nc*") -> list[Path]:
    found = sorted((shared / "data" / dataset).glob(pattern))
    assert found, f"{dataset} has no {pattern}"
    return found


def assert_equal(found: xr.Dataset, expected: xr.Dataset, *names: str) -> None:
    for name in names:
        np.testing.assert_array_equal(found[name].values, expected[name].values, err_msg=name)


def test_ecearth_does_not_lose_decades_to_equal_raw_times(shared: Path) -> None:
    # EC1: every file counts from its own first day, and joining raw times gives 3,653 steps.
    paths = files(shared, "ecearth-historical-tas-daily")
    references = build(paths, "tas", parquet_above=10**9)
    expected = originals(paths)
    found = read(references, paths, drop_variables=["tas", "time_bnds"])
    assert (references.steps, references.entries) == (21_884, 21_884)
    assert_equal(found, expected, "time", "lat", "lon")
    assert str(found["time"].values[0])[:16] == "1950-01-01T12:00"
    assert str(found["time"].values[-1])[:16] == "2009-11-30T12:00"
    np.testing.assert_array_equal(np.diff(found["time"].values), np.timedelta64(1, "D"))
    some = read(references, paths, every=83)
    assert_equal(some, expected.isel(time=slice(None, None, 83)), "tas", "time", "time_bnds")
    assert float(some["tas"].sel(lat=22.99, lon=0, method="nearest")[0]) == pytest.approx(287.92, rel=1e-6)


@pytest.mark.parametrize(
    ("dataset", "pattern", "variables", "words"),
    [
        ("ecearth-historical-tas-daily", "*.nc", ["tas"], "tas is stored in chunks of 32 bytes (3,652 of them"),
        ("hadgem2es-rcp45-mrsos-daily", "*.nc", ["mrsos"], "mrsos is stored in chunks of 16 bytes (3,600 of them"),
        ("mpiesm12hr-dcpp-pr-daily", "*.nc", ["pr"], "pr is stored in chunks of 32 bytes (3,713 of them"),
        ("jules-mead-2008-run", "mod_truth.daily.nc", ["smcl"], "smcl is stored in chunks of 16 bytes (365 of them"),
        ("chirps-nevada-daily", "*.nc*", ["precip"], "precip is stored in chunks of 576 bytes"),
    ],
)
def test_chunks_of_a_few_bytes_are_not_worth_references(
    shared: Path, dataset: str, pattern: str, variables: list[str], words: str
) -> None:
    # EC4, HM3, MP1, JM9
    reasons = refusals(files(shared, dataset, pattern), *variables, smallest_chunk=4096)
    assert set(reasons) == {"references-fine"}
    assert words in reasons["references-fine"]


def test_hadgem2es_keeps_its_360_day_calendar_over_unequal_files(shared: Path) -> None:
    paths = files(shared, "hadgem2es-rcp45-mrsos-daily")
    references = build(paths, "mrsos", parquet_above=10**9)
    expected = originals(paths)
    found = read(references, paths, drop_variables=["mrsos"])
    assert references.steps == 33_870
    assert list(found["time"].values) == list(expected["time"].values)
    assert found["time"].dt.calendar == "360_day"
    some = read(references, paths, every=131)
    assert_equal(some, expected.isel(time=slice(None, None, 131)), "mrsos", "depth")
    assert bool(some["mrsos"].sel(lat=35, lon=187.5).isnull().all())
    assert float(some["mrsos"].sel(lat=35, lon=0)[0]) == pytest.approx(18.18316650, rel=1e-6)


def test_tamsat_netcdf3_bytes(shared: Path) -> None:
    # TN1, TN2
    paths = files(shared, "tamsat-v3-daily-native")
    references = build(paths, "rfe", smallest_chunk=4096)
    found = read(references, paths)
    assert references.entries == 1
    assert_equal(found, originals(paths), "rfe", "time", "lat", "lon")
    assert int(found["rfe"].isnull().sum()) == 1_567_747
    assert found["time"].attrs["day_begins"] == "06:15"
    assert float(found["rfe"].astype("f8").mean()) == pytest.approx(1.23169181, rel=1e-6)


def test_c3s_variables_of_different_chunks_and_flags(shared: Path) -> None:
    # CS2, CS3; t0 keeps the raw values that CS1 warns of.
    paths = files(shared, "c3s-sm-daily-active-1991")
    names = ["sm", "t0", "flag", "sensor"]
    references = build(paths, *names, smallest_chunk=4096)
    found = read(references, paths, mask_and_scale=False, decode_times=False)
    parts = [xr.open_dataset(path, mask_and_scale=False, decode_times=False) for path in paths]
    expected = xr.concat(parts, "time", data_vars="all")
    assert references.entries == 6 * 3 + 6 * 4
    for name in names:
        assert found[name].dtype == expected[name].dtype
        np.testing.assert_array_equal(found[name].values, expected[name].values)
    decoded = read(references, paths, drop_variables=["t0"])
    assert_equal(decoded, originals(paths), "sm", "time", "lat", "lon")
    assert float(decoded["sm"].astype("f8").mean()) == pytest.approx(41.60952331, rel=1e-6)


def test_chirps_days_and_month_join_though_time_is_in_chunks_of_512(shared: Path) -> None:
    # CH4, CH5
    paths = files(shared, "chirps-nevada-daily", "*2024-12*") + files(shared, "chirps-nevada-daily", "*2025-01*")
    references = build(paths, "precip")
    found = read(references, paths)
    assert (references.steps, references.entries) == (62, 62)
    assert_equal(found, originals(paths), "precip", "time", "latitude", "longitude")
    december = found["precip"].sel(time="2024-12").astype("f8")
    assert float(december.sum("time").mean()) == pytest.approx(6.79945249, rel=1e-6)


def test_zambia_months_with_a_fill_of_minus_infinity(shared: Path) -> None:
    # TZ1, TZ3
    paths = files(shared, "tamsat-v31-monthly-zambia")
    references = build(paths, "rfe_filled", smallest_chunk=4096)
    found = read(references, paths)
    assert references.entries == 16
    assert_equal(found, originals(paths), "rfe_filled", "time")
    assert read(references, paths, mask_and_scale=False)["rfe_filled"].attrs["_FillValue"] == -np.inf


def test_access_scenario_continues_the_historical_run(shared: Path) -> None:
    # Contiguous files of 180 and 132 months cannot be one regular array.
    paths = files(shared, "access-esm15-monthly", "tas_*")
    assert "(180, 19, 36)" in refusals(paths, "tas", smallest_chunk=4096)["references-chunks"]
    assert_equal(read(build(paths[:1], "tas", smallest_chunk=4096), paths[:1]), originals(paths[:1]), "tas", "time")


def test_era5_weeks_of_which_three_names_lie(shared: Path) -> None:
    # EG1, EG2: in order of names time goes back; in order of dates one day occurs twice.
    paths = files(shared, "era5-ghana-swvl1-2019")
    assert "does not increase" in refusals(paths, "swvl1", smallest_chunk=4096)["references-time"]
    honest = [path for path in paths if path.stem[:13] < "ERA5_20190430"][:16]
    references = build(honest, "swvl1", smallest_chunk=4096)
    found = read(references, honest)
    assert "expver" not in found.variables
    assert_equal(found, originals(honest, "valid_time"), "swvl1", "valid_time", "latitude", "longitude")


def test_era5_packing(shared: Path) -> None:
    # EO1, EO4
    paths = files(shared, "era5-old-cds-packed")
    found = read(build(paths, "swvl1", "lsm", smallest_chunk=4096), paths)
    assert_equal(found, originals(paths), "swvl1", "lsm", "time")
    assert float(found["swvl1"].mean()) == pytest.approx(0.08189775, rel=1e-6)


def test_cordex_rotated_grid(shared: Path) -> None:
    # CX3, CX4
    paths = files(shared, "cordex-afr22-tas-daily")
    found = read(build(paths, "tas"), paths)
    assert_equal(found, originals(paths), "tas", "time", "lat", "lon", "height", "rlat")
    assert found["rotated_latitude_longitude"].attrs["grid_north_pole_latitude"] == 90.0


def test_month_that_occurs_twice(shared: Path) -> None:
    # HT1
    reason = refusals(files(shared, "hadgem2es-rcp85-tas-monthly"), "tas")["references-time"]
    assert "209912-212411.nc: it begins at 2099-12-16T00:00:00" in reason
    assert "208012-209912.nc before it reaches 2099-12-16T00:00:00" in reason


def test_years_since(shared: Path) -> None:
    # IS1
    paths = files(shared, "isimip2b-impacts", "lpjml*")
    name = next(iter(xr.open_dataset(paths[0], decode_times=False).data_vars))
    assert "its time axis cannot be decoded" in refusals(paths, str(name))["references-time"]


def test_land_fraction_has_no_time(shared: Path) -> None:
    paths = files(shared, "access-esm15-monthly", "sftlf*")
    assert "sftlf has no time axis" in refusals(paths, "sftlf")["references-time"]
