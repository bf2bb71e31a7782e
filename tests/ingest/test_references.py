"""References to files that tests write: right values and times, or a refusal that names files."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.references import build_references

from .reference_archive import BASE, LAT, LON, build, field, originals, read, referenced, write_days

FORMS = ["NETCDF4", "NETCDF3_CLASSIC", "NETCDF3_64BIT_OFFSET", "NETCDF3_64BIT_DATA"]


def assert_equal(paths: list[Path], found: xr.Dataset, name: str = "rain") -> None:
    expected = originals(paths)
    for part in (name, "time", "lat", "lon"):
        np.testing.assert_array_equal(found[part].values, expected[part].values)


@pytest.mark.parametrize("form", FORMS)
def test_time_units_of_the_first_file_are_not_applied_to_others(tmp_path: Path, form: str) -> None:
    paths = [
        write_days(tmp_path / "a.nc", 100, 3, form=form, units="days since 1970-04-11"),
        write_days(tmp_path / "b.nc", 103, 2, form=form, units="hours since 1900-01-01"),
        write_days(tmp_path / "c.nc", 105, 4, form=form, units="seconds since 1970-04-16", time_dtype="i4"),
    ]
    references = build(paths)
    found = read(references, paths)
    assert (references.format, references.steps, references.entries) == ("json", 9, 9)
    assert_equal(paths, found)
    days = np.arange(100, 109) * np.timedelta64(24, "h") + np.timedelta64(12, "h")
    np.testing.assert_array_equal(found["time"].values, np.datetime64("1970-01-01", "ns") + days)


@pytest.mark.parametrize("calendar", ["360_day", "noleap", "proleptic_gregorian", None])
def test_calendar_is_kept(tmp_path: Path, calendar: str | None) -> None:
    paths = [
        write_days(tmp_path / "a.nc", 58, 3, calendar=calendar, time_dtype="f4"),
        write_days(tmp_path / "b.nc", 61, 3, calendar=calendar, units="hours since 1970-03-01"),
    ]
    found = read(build(paths), paths, decode_times=False)
    assert found["time"].attrs["calendar"] == (calendar or "standard")
    decoded = read(build(paths), paths)
    assert list(map(str, decoded["time"].values)) == list(map(str, originals(paths)["time"].values))


def test_last_file_may_end_inside_a_chunk(tmp_path: Path) -> None:
    options: dict[str, Any] = {"chunks": (4, 4, 5), "zlib": True}
    paths = [
        write_days(tmp_path / "a.nc", 0, 8, **options),
        write_days(tmp_path / "b.nc", 8, 4, **options),
        write_days(tmp_path / "c.nc", 12, 3, **options),
    ]
    references = build(paths)
    assert references.entries == 4 * 2 * 2
    assert_equal(paths, read(references, paths))


@pytest.mark.parametrize(
    "storage",
    [
        {"zlib": True, "shuffle": True},
        {"zlib": True, "shuffle": False},
        {"fletcher32": True},
        {"dtype": ">f4", "endian": "big"},
    ],
)
def test_filters_and_byte_order_decode(tmp_path: Path, storage: dict[str, Any]) -> None:
    paths = [write_days(tmp_path / f"{n}.nc", 3 * n, 3, **storage) for n in range(2)]
    assert_equal(paths, read(build(paths), paths))


def test_contiguous_files_of_equal_length_join(tmp_path: Path) -> None:
    options: dict[str, Any] = {"chunks": None, "contiguous": True, "unlimited": False}
    paths = [write_days(tmp_path / f"{n}.nc", 3 * n, 3, **options) for n in range(3)]
    references = build(paths)
    assert references.entries == 3
    assert_equal(paths, read(references, paths))


def test_zero_is_not_missing_where_no_fill_is_declared(tmp_path: Path) -> None:
    values = np.zeros((3, 6, 8), "i2")
    values[1] = 7
    paths = [write_days(tmp_path / f"{n}.nc", 3 * n, 3, dtype="i2", fill=None, values=values) for n in range(2)]
    found = read(build(paths), paths)
    assert found["rain"].dtype == np.dtype("i2")
    np.testing.assert_array_equal(found["rain"].values, np.concatenate([values, values]))


@pytest.mark.parametrize("fill", [-np.inf, np.nan, 1e20, 0.0])
def test_fill_that_json_cannot_write_masks_the_same_cells(tmp_path: Path, fill: float) -> None:
    values = field(0, 3)
    values[:, 2, 3] = fill
    values[1, 0, 0] = 0.0
    attrs = {"missing_value": np.float32(fill)}
    paths = [write_days(tmp_path / f"{n}.nc", 3 * n, 3, fill=fill, values=values, attrs=attrs) for n in range(2)]
    found = read(build(paths), paths)
    assert_equal(paths, found)
    assert int(np.isnan(found["rain"]).sum()) == (6 if fill else 8)


def test_packed_values_unpack_as_in_the_files(tmp_path: Path) -> None:
    packing = {"scale_factor": 0.01, "add_offset": 273.15, "missing_value": np.int16(-32767)}
    raw = np.arange(144, dtype="i2").reshape(3, 6, 8)
    raw[0, 0, 0] = -32767
    paths = [
        write_days(tmp_path / f"{n}.nc", 3 * n, 3, dtype="i2", fill=-32767, values=raw + n, attrs=packing, form=form)
        for n, form in enumerate(["NETCDF3_CLASSIC", "NETCDF3_64BIT_OFFSET"])
    ]
    assert_equal(paths, read(build(paths), paths))


def test_padding_of_netcdf3_records_is_stepped_over(tmp_path: Path) -> None:
    # Records of 15 bytes are padded to 16 where the file has other record variables.
    values = np.random.default_rng(1).integers(-100, 100, (2, 5, 3, 5), dtype="i1")
    paths = [tmp_path / "a.nc", tmp_path / "b.nc"]
    for number, path in enumerate(paths):
        with netCDF4.Dataset(path, "w", format="NETCDF3_CLASSIC") as dataset:
            for dim, size in (("time", None), ("y", 3), ("x", 5)):
                dataset.createDimension(dim, size)
            time = dataset.createVariable("time", "i4", ("time",))
            time.units = f"days since 2000-01-{1 + 5 * number:02}"
            time[:] = np.arange(5)
            for name in ("flag", "more"):
                dataset.createVariable(name, "i1", ("time", "y", "x"))[:] = values[number] + (name == "more")
    found = read(build(paths, "flag", "more"), paths)
    np.testing.assert_array_equal(found["flag"].values, values.reshape(10, 3, 5))
    np.testing.assert_array_equal(found["more"].values, values.reshape(10, 3, 5) + 1)


def test_single_record_variable_without_padding(tmp_path: Path) -> None:
    # Time is no record variable here, so that `flag` is the only one: its 15-byte records stand back to back.
    values = np.random.default_rng(2).integers(-100, 100, (4, 3, 5), dtype="i1")
    path = tmp_path / "a.nc"
    with netCDF4.Dataset(path, "w", format="NETCDF3_CLASSIC") as dataset:
        for dim, size in (("record", None), ("time", 3), ("x", 5)):
            dataset.createDimension(dim, size)
        time = dataset.createVariable("time", "i4", ("time",))
        time.units = "days since 2000-01-01"
        time[:] = np.arange(3)
        flag = dataset.createVariable("flag", "i1", ("record", "time", "x"))
        flag[:] = values
    np.testing.assert_array_equal(read(build([path], "flag"), [path])["flag"].values, values)


def test_time_need_not_be_the_first_dimension(tmp_path: Path) -> None:
    paths = [tmp_path / "a.nc", tmp_path / "b.nc"]
    values = np.random.default_rng(3).random((4, 12)).astype("f4")
    for number, path in enumerate(paths):
        with netCDF4.Dataset(path, "w") as dataset:
            dataset.createDimension("station", 4)
            dataset.createDimension("time", None)
            time = dataset.createVariable("time", "f8", ("time",))
            time.units = f"days since 2000-01-{1 + 6 * number:02}"
            time[:] = np.arange(6)
            rain = dataset.createVariable("rain", "f4", ("station", "time"), chunksizes=(2, 3), zlib=True)
            rain[:] = values[:, 6 * number : 6 * number + 6]
    found = read(build(paths), paths)
    np.testing.assert_array_equal(found["rain"].values, values)
    assert str(found["time"].values[-1])[:10] == "2000-01-12"


def test_bounds_with_units_of_their_own_and_coordinates_without_time_are_carried(tmp_path: Path) -> None:
    paths = [tmp_path / "a.nc", tmp_path / "b.nc"]
    for number, path in enumerate(paths):
        write_days(path, 3 * number, 3, units=f"days since 1970-01-{1 + 3 * number:02}")
        with netCDF4.Dataset(path, "a") as dataset:
            for dim in ("nv", "text"):
                dataset.createDimension(dim, 2)
            dataset["time"].bounds = "time_bnds"
            dataset["lat"].setncatts({"bounds": "lat_bnds"})
            dataset["rain"].setncatts(
                {"coordinates": "depth expver run lat", "grid_mapping": "crs", "cell_measures": "x"}
            )
            bounds = dataset.createVariable("time_bnds", "f8", ("time", "nv"))
            bounds.units = "hours since 1970-01-01"
            bounds[:] = np.stack([np.arange(3), np.arange(1, 4)], axis=1) * 24 + 72 * number
            dataset.createVariable("lat_bnds", "f8", ("lat", "nv"))[:] = np.stack([LAT + 12, LAT - 12], axis=1)
            depth = dataset.createVariable("depth", "f4", (), fill_value=-1.0)
            depth.units = "m"
            depth[...] = 0.05
            dataset.createVariable("crs", "S1", ()).setncatts({"grid_mapping_name": "latitude_longitude"})
            dataset.createVariable("expver", str, ("time",))[:] = np.array(["0001"] * 3, dtype=object)
            dataset.createVariable("run", "S1", ("text",))[:] = np.array([b"r", b"1"])
    found = read(build(paths), paths)
    assert set(found.variables) == {"rain", "time", "time_bnds", "lat", "lat_bnds", "lon", "depth", "crs"}
    assert set(found["rain"].coords) == {"time", "lat", "lon", "depth"}
    edges = np.datetime64("1970-01-01", "ns") + np.arange(7) * np.timedelta64(1, "D")
    np.testing.assert_array_equal(found["time_bnds"].values, np.stack([edges[:-1], edges[1:]], axis=1))
    assert found["depth"].item() == np.float32(0.05)
    assert found["crs"].attrs["grid_mapping_name"] == "latitude_longitude"
    assert "cell_measures" not in found["rain"].attrs


def test_attributes_that_differ_are_not_those_of_all(tmp_path: Path) -> None:
    paths = [
        write_days(tmp_path / "a.nc", 0, 3, attrs={"long_name": "rainfall", "tracking_id": "1"}),
        write_days(tmp_path / "b.nc", 3, 3, attrs={"long_name": "rainfall", "tracking_id": "2"}),
    ]
    attrs = read(build(paths), paths)["rain"].attrs
    assert attrs["long_name"] == "rainfall"
    assert "tracking_id" not in attrs


def test_gap_between_files_stays_a_gap(tmp_path: Path) -> None:
    paths = [write_days(tmp_path / "a.nc", 0, 3), write_days(tmp_path / "b.nc", 10, 3)]
    assert_equal(paths, read(build(paths), paths))


def test_names_that_look_like_addresses(tmp_path: Path) -> None:
    folder = tmp_path / "a b%20#c"
    folder.mkdir()
    paths = [write_days(folder / f"{n} %41é[x].nc", 3 * n, 3) for n in range(2)]
    assert_equal(paths, read(build(paths), paths))


class PicklingExecutor(Executor):
    """Hands work and results over as processes and clusters do."""

    def map(self, fn: Callable[..., Any], *iterables: Any, **options: Any) -> Iterator[Any]:
        calls = [pickle.dumps(arguments) for arguments in zip(*iterables, strict=True)]
        yield from (pickle.loads(pickle.dumps(fn(*pickle.loads(call)))) for call in calls)


def test_two_runs_and_another_executor_give_the_same_bytes(tmp_path: Path) -> None:
    paths = [write_days(tmp_path / f"{n}.nc", 3 * n, 3, zlib=True) for n in range(4)]
    counted: list[tuple[int, int]] = []
    for parquet_above in (10**9, 0):
        once = build(paths, parquet_above=parquet_above, progress=lambda *at: counted.append(at))
        again = build(paths, parquet_above=parquet_above, executor=PicklingExecutor())
        assert once == again
        assert list(once.objects) == sorted(once.objects)
    assert counted[:3] == [(2, 4), (3, 4), (4, 4)]


@pytest.mark.parametrize("fill", [np.nan, -np.inf])
def test_published_json_is_strict_and_holds_public_addresses_only(tmp_path: Path, fill: float) -> None:
    attrs = {"missing_value": np.float32(fill), "valid_max": np.inf}
    paths = [write_days(tmp_path / f"{n}.nc", 3 * n, 3, fill=fill, attrs=attrs) for n in range(2)]
    text = build(paths).objects["references.json"].decode()

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    document = json.loads(text, parse_constant=refuse)
    assert str(tmp_path) not in text
    assert {value[0] for value in document["refs"].values() if isinstance(value, list)} == {
        f"{BASE}/0.nc",
        f"{BASE}/1.nc",
    }
    for key, value in document["refs"].items():
        if key.endswith((".zarray", ".zattrs", ".zgroup")):
            json.loads(value, parse_constant=refuse)


def test_local_path_may_stand_in_the_public_address(tmp_path: Path) -> None:
    paths = [write_days(tmp_path / "0.nc", 0, 3)]
    files = referenced(paths, f"https://archive.example.org{tmp_path}")
    assert build_references(files, ["rain"], smallest_chunk=1).entries == 3


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    lengths=st.lists(st.integers(1, 4), min_size=1, max_size=4),
    units=st.lists(
        st.sampled_from(["days since 1969-12-31", "hours since 1970-01-02 06:00", "minutes since 1950-1-1 00:00:0.0"]),
        min_size=4,
        max_size=4,
    ),
    form=st.sampled_from(FORMS),
    start=st.integers(-800, 40000),
)
def test_any_split_reads_as_the_whole(
    tmp_path: Path, lengths: list[int], units: list[str], form: str, start: int
) -> None:
    paths, first = [], start
    for number, length in enumerate(lengths):
        paths.append(write_days(tmp_path / f"{number}.nc", first, length, units=units[number], form=form))
        first += length
    found = read(build(paths), paths)
    np.testing.assert_array_equal(found["rain"].values, field(start, sum(lengths)))
    hours = (np.arange(start, first) * 24 + 12).astype("timedelta64[h]")
    np.testing.assert_array_equal(found["time"].values, np.datetime64("1970-01-01", "ns") + hours)
    assert (found["lat"].size, found["lon"].size) == (LAT.size, LON.size)
