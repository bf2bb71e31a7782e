"""Published numbers are pinned to the revisions that are part of every block's key: whoever changes a number must raise
the revision, or what was published before would be taken over beside what is computed now.

The expected numbers are computed here, by numpy; the hashes are theirs, over little-endian values in C order.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import pytest
import xarray as xr

from batch.build import build
from batch.jobs import OPTIONS
from batch.reporting import Reporter
from batch.spec import load_spec
from compute.metrics.job import MetricJob
from ingest.job import IngestJob
from ingest.sources import SOURCES

type Array = np.ndarray[Any, Any]

SPEC = """
title: Pinned
store: ./cube
memory: 1 GiB
cluster: {kind: local, workers: 0}
products:
  cf: {job: ingest, collection: pinned, source: cf, files: cf/*.nc, gaps: {max_days: 2}}
  tamsat: {job: ingest, collection: pinned, source: tamsat, files: tamsat/*.nc}
  rain: {job: ingest, collection: pinned, source: cf, files: rain/*.nc}
  dry: {job: metric, collection: pinned, metric: dry_days, input: rain, threshold: 1 mm d-1}
"""
ROWS, COLUMNS = 3, 4
PINNED: dict[tuple[Any, ...], dict[str, str]] = {
    # (job, its revision, source, its revision)
    ("ingest", 1, "cf", 1): {
        "cf/flag": "c8f78e67b773bdff62d0a9c85b8b63c0abc75f7022549eaa52e1ce9da0334fbc",
        "cf/pr": "0e924af2b596747c84e3bc48c124be208815bb1d87a7204c0acc9f39a7e42f42",
        "cf/tas": "8e5efb255cd24e70949c62651287966c8e328625aced5ece5801f39c2ce513bd",
        "rain/pr": "9b0fa00dca0d04289425f10409da7b73e21a0fd6f9886b0fdaff9007df7c7ce0",
    },
    ("ingest", 1, "tamsat", 1): {"tamsat/pr": "53eeb282c3a1fdaf0ebb108651a262b15a448e57cdac3278f6ed657bad78674f"},
    ("metric", 3): {
        "dry/dry_days": "713d1acfcf4d218629800591ceb3d0369fb7df603e91c3c760c1966930b41759",
        "dry/valid_days": "28e1396e48ebb1ed12e3c427d42f512b21c674fc161b129dc6a81388df0eab19",
    },
}


class Serial(ThreadPoolExecutor):
    """In place of processes, which take longer to start than this build takes."""

    def __init__(self, *_: Any) -> None:
        super().__init__(1)


def counted(steps: int, first: int = 0) -> Array:
    """Numbers 0..250 that look irregular, (step, row, column)."""
    number = np.arange(first * ROWS * COLUMNS, (first + steps) * ROWS * COLUMNS).reshape(steps, ROWS, COLUMNS)
    return number * 7919 % 251


def begin(path: Path, kind: str, days: list[int], latitudes: list[float], longitudes: list[float]) -> netCDF4.Dataset:
    path.parent.mkdir(parents=True, exist_ok=True)
    nc = netCDF4.Dataset(path, "w", format=kind)
    nc.set_auto_maskandscale(False)
    for name, values, units in (
        ("time", days, "days since 2001-01-01"),
        ("lat", latitudes, "degrees_north"),
        ("lon", longitudes, "degrees_east"),
    ):
        nc.createDimension(name, len(values))
        variable = nc.createVariable(name, "f8", (name,))
        variable.units = units
        variable[:] = values
    nc["time"].calendar = "noleap"
    return nc


def add(nc: netCDF4.Dataset, name: str, stored: Array, fill: float | None = None, **attrs: Any) -> None:
    variable = nc.createVariable(name, stored.dtype, ("time", "lat", "lon"), fill_value=fill)
    variable.set_auto_maskandscale(False)
    variable.setncatts(attrs)
    variable[:] = stored


def write_cf(folder: Path) -> dict[str, Array]:
    """Three files of other packing, units, order and map each, with a hole of two days before the last."""
    north, south, west, east = [11.0, 10.5, 10.0], [10.0, 10.5, 11.0], [-0.5, 0.0, 0.5, 1.0], [359.5, 0.0, 0.5, 1.0]
    numbers = counted(8)
    tas, pr, flag = (np.full((10, ROWS, COLUMNS), np.nan) for _ in range(3))

    stored = numbers[:3].astype("i2")
    with begin(folder / "1.nc", "NETCDF3_CLASSIC", [0, 1, 2], north, east) as nc:
        # 250 is never written but as the fill.
        add(nc, "tas", stored, 250, units="K", scale_factor=0.25, add_offset=240.0, standard_name="air_temperature")
        add(nc, "pr", stored * np.float32(1e-6), units="kg m-2 s-1", standard_name="precipitation_flux")
        add(nc, "flag", (stored % 5).astype("i1"), 4, long_name="flag", units="1")
    tas[:3] = np.where(stored == 250, np.nan, stored * 0.25 + 240.0)[:, ::-1]
    pr[:3] = (stored * np.float32(1e-6)).astype("f8")[:, ::-1] * 86400
    flag[:3] = np.where(stored % 5 == 4, np.nan, stored % 5)[:, ::-1]

    stored = numbers[3:6].astype("f4")
    with begin(folder / "2.nc", "NETCDF4", [3, 4, 5], south, west) as nc:
        add(nc, "tas", stored / 8 - 20, units="degC", standard_name="air_temperature")
        add(nc, "pr", stored / 4, units="mm/day", standard_name="precipitation_flux")
        add(nc, "flag", (numbers[3:6] % 4).astype("i1"), 4, long_name="flag", units="1")
    tas[3:6], pr[3:6], flag[3:6] = stored.astype("f8") / 8 - 20 + 273.15, stored / 4, numbers[3:6] % 4

    stored = numbers[6:8].astype("u1")
    with begin(folder / "3.nc", "NETCDF4", [8, 9], south, west) as nc:
        add(nc, "tas", stored, 0, units="K", scale_factor=0.5, add_offset=200.0, standard_name="air_temperature")
        add(nc, "pr", stored, 251, units="mm d-1", scale_factor=0.125, standard_name="precipitation_flux")
        add(nc, "flag", (stored % 3).astype("i1"), 4, long_name="flag", units="1")
    tas[8:], pr[8:], flag[8:] = np.where(stored == 0, np.nan, stored * 0.5 + 200), stored * 0.125, stored % 3
    return {
        "cf/tas": tas.astype("<f4"),
        "cf/pr": pr.astype("<f4"),
        "cf/flag": np.where(np.isnan(flag), 4, flag).astype("<i1"),
    }


def write_tamsat(folder: Path) -> dict[str, Array]:
    """Native files of version 3: a day each, whole mm in bytes, -1 where missing, north first."""
    stored = (counted(4) % 101 - 1).astype("i1")
    for day in range(4):
        path = folder / f"rfe2001_01_{day + 1:02d}.v3.nc"
        with begin(path, "NETCDF3_CLASSIC", [day], [11.0, 10.5, 10.0], [30.0, 30.5, 31.0, 31.5]) as nc:
            add(nc, "rfe", stored[day : day + 1], -1, units="mm", long_name="rfe")
    return {"tamsat/pr": np.where(stored == -1, np.nan, stored)[:, ::-1].astype("<f4")}


def write_rain(folder: Path) -> dict[str, Array]:
    """Two years of days in one file, and the dry days of each; the last cell has too few days in the second."""
    values = (counted(730) / 32).astype("f4")
    values[365:400, -1, -1] = np.nan
    with begin(folder / "rain.nc", "NETCDF4", list(range(730)), [10.0, 10.5, 11.0], [30.0, 30.5, 31.0, 31.5]) as nc:
        add(nc, "pr", values, units="mm d-1", standard_name="precipitation_flux")
    years = values.reshape(2, 365, ROWS, COLUMNS)
    dry = np.array([[[np.sum(year[:, i, j] < 1) for j in range(COLUMNS)] for i in range(ROWS)] for year in years])
    dry[1, -1, -1] = -32768
    valid = np.full((2, ROWS, COLUMNS), 365)
    valid[1, -1, -1] = 330
    runs = np.full((2, 2, ROWS, COLUMNS), -32768)
    for place in zip(*np.nonzero(dry >= 0), strict=True):
        year, row, column = map(int, place)
        is_dry = years[year, :, row, column] < 1
        lengths = [len(list(each)) for below, each in itertools.groupby(is_dry) if below]
        runs[:, year, row, column] = max(lengths, default=0), sum(length >= 5 for length in lengths)
    return {
        "rain/pr": values.astype("<f4"),
        "dry/dry_days": dry.astype("<i2"),
        "dry/valid_days": valid.astype("<i2"),
        "dry/longest_dry_spell": runs[0].astype("<i2"),
        "dry/dry_spells": runs[1].astype("<i2"),
    }


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Array], dict[str, Array]]:
    """(expected, published) numbers by product and variable."""
    folder = tmp_path_factory.mktemp("pinned")
    expected = write_cf(folder / "cf") | write_tamsat(folder / "tamsat") | write_rain(folder / "rain")
    (folder / "cube.yaml").write_text(SPEC)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CUBE_CACHE", str(folder / "cache"))
        patch.setattr("batch.build.ProcessPoolExecutor", Serial)
        patch.setattr(os, "fsync", lambda _: None)
        spec = load_spec(folder / "cube.yaml", OPTIONS)
        outcome = build(spec, spec.order(), Reporter(quiet=True))
    assert not outcome.failed, outcome.failed
    published = {}
    for product in ("cf", "tamsat", "rain", "dry"):
        item = json.loads((folder / f"cube/pinned/{product}/{product}.json").read_text())
        href = item["assets"]["time"]["href"]
        with xr.open_zarr(folder / f"cube/pinned/{product}" / href, chunks=None, mask_and_scale=False) as found:
            for name, array in found.data_vars.items():
                if "time" in array.dims and not str(name).endswith("_bnds"):
                    values = array.transpose("time", "lat", "lon").values
                    published[f"{product}/{name}"] = values.astype(values.dtype.newbyteorder("<"))
    return expected, published


def hashed(values: Array) -> str:
    # All NaN are one: which bits they have is no result.
    plain = np.where(np.isnan(values), np.float32("nan"), values) if values.dtype.kind == "f" else values
    return hashlib.sha256(np.ascontiguousarray(plain).tobytes()).hexdigest()


def test_published_numbers_differ_from_those_that_numpy_expects(
    made: tuple[dict[str, Array], dict[str, Array]],
) -> None:
    expected, published = made
    assert published.keys() == expected.keys()
    for name, values in expected.items():
        assert published[name].dtype == values.dtype
        np.testing.assert_array_equal(published[name], values, err_msg=name)


@pytest.mark.parametrize(
    "key",
    [
        ("ingest", IngestJob.revision, "cf", SOURCES["cf"].revision),
        ("ingest", IngestJob.revision, "tamsat", SOURCES["tamsat"].revision),
        ("metric", MetricJob.revision),
    ],
    ids=str,
)
def test_numbers_change_without_a_new_revision(
    made: tuple[dict[str, Array], dict[str, Array]], key: tuple[Any, ...]
) -> None:
    assert key in PINNED, "a new revision needs hashes of its own, of the numbers that this module expects"
    for name, wanted in PINNED[key].items():
        assert hashed(made[0][name]) == wanted, f"what is expected of {name} changed"
        assert hashed(made[1][name]) == wanted, f"what is published of {name} changed"
