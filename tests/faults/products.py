"""The cube that is built under fire: small real archive files, its specification, and what it must publish.

`rain` takes one pass and has maps and references, `wet` takes two passes, `dry` is made of `rain`. The layout is cut
small (see `hooks.SIZES`), so that `rain` and `wet` have a dozen shards over two segments, the second one growing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import netCDF4
import numpy as np

from tests.batch.archive import SHAPE, rain, write_day

BASE_DAYS = 372
"""Twelve files of 31 days, from 2000-01-01; 2001 has begun."""
GROWN_DAYS = 375
CHANGED_DAY = 40
"""Its values are others in the folder `changed`."""
WET_COLUMNS = 5
THRESHOLD = 4.0

COLLECTIONS = {"rain": "inputs", "wet": "inputs", "dry": "metrics"}

SPEC = """
title: Under fire
store: {store}
memory: {memory}
cluster: {{kind: local, workers: {workers}}}
{storage}
products:
  rain:
    job: ingest
    collection: inputs
    source: cf
    files: {files}
    layout: {{segment: 1 years, maps: true}}
    references: {{base_url: https://data.example.org/rain/}}
  wet:
    job: ingest
    collection: inputs
    source: cf
    files: {files}
    layout: {{segment: 1 years}}
    area: {{lat: [10, 12], lon: [0, 2]}}
  dry: {{job: metric, collection: metrics, metric: dry_days, input: rain, threshold: 4 mm d-1}}
"""


def write_archive(folder: Path) -> None:
    """`base`: the first days in files of a month; `more`: the next ones, a file a day; `changed`: `base` with one day
    of other values."""
    for name in ("base", "changed"):
        (folder / name).mkdir(parents=True)
        for first in range(0, BASE_DAYS, 31):
            values = _days(range(first, first + 31), changed=name == "changed")
            _write_month(folder / name / f"rain_{first:03d}.nc", first, values)
    for day in range(BASE_DAYS, GROWN_DAYS):
        write_day(folder / "more", day)


def _write_month(path: Path, first: int, values: np.ndarray[Any, Any]) -> None:
    with netCDF4.Dataset(path, "w", format="NETCDF4_CLASSIC") as nc:
        for name, size in (("time", None), ("lat", SHAPE[0]), ("lon", SHAPE[1])):
            nc.createDimension(name, size)
        time = nc.createVariable("time", "i4", ("time",))
        time.units = "days since 2000-01-01"
        time[:] = np.arange(first, first + len(values))
        lat = nc.createVariable("lat", "f8", ("lat",))
        lat.units = "degrees_north"
        lat[:] = (np.arange(SHAPE[0]) * 0.5 + 10.0)[::-1]
        lon = nc.createVariable("lon", "f8", ("lon",))
        lon.units = "degrees_east"
        lon[:] = np.arange(SHAPE[1]) * 0.5
        variable = nc.createVariable(
            "pr", "f4", ("time", "lat", "lon"), zlib=True, fill_value=np.float32(-9999), chunksizes=(31, *SHAPE)
        )
        variable.units = "mm d-1"
        variable[:] = np.where(np.isnan(values), -9999, values)[:, ::-1]


def _days(days: range, *, changed: bool = False) -> np.ndarray[Any, Any]:
    return np.stack([rain(1000 + day if changed and day == CHANGED_DAY else day) for day in days])


class Wanted:
    """What readers find, worked out from the numbers that were written to the files.

    days     of the archive
    changed  whether the folder `changed` stands for `base`
    """

    def __init__(self, days: int, *, changed: bool = False) -> None:
        self.rain = _days(range(days), changed=changed)
        year = self.rain[:366]
        valid = np.count_nonzero(~np.isnan(year), axis=0)
        dry = np.where(valid >= 0.95 * 366, np.count_nonzero(year < THRESHOLD, axis=0), -32768)
        self.values = {
            ("rain", "time", "pr"): self.rain,
            ("rain", "map", "pr"): self.rain,
            ("wet", "time", "pr"): self.rain[:, :, :WET_COLUMNS],
            ("dry", "time", "dry_days"): np.where(dry < 0, np.nan, dry)[None],
            ("dry", "time", "valid_days"): valid[None],
        }
