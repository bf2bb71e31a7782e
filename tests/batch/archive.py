"""Small daily archives of one file a day, written with netCDF4 alone."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np

EPOCH = datetime.date(2000, 1, 1)
SHAPE = (5, 7)


def rain(day: int) -> np.ndarray[Any, Any]:
    """Rain of a day in mm, shape (lat, lon), latitude ascending; the cell in the south-west is sea."""
    values = np.random.default_rng(day).gamma(0.5, 4.0, SHAPE).astype("float32")
    values[0, 0] = np.nan
    return values


def write_day(
    folder: Path,
    day: int,
    *,
    name: str = "pr",
    units: str = "mm d-1",
    values: np.ndarray[Any, Any] | None = None,
    lat: np.ndarray[Any, Any] | None = None,
    file_name: str | None = None,
) -> Path:
    """One file with one day: latitude descending, packed as 16-bit integers with a scale of its own."""
    date = EPOCH + datetime.timedelta(days=day)
    path = folder / (file_name or f"rain_{date:%Y%m%d}.nc")
    path.parent.mkdir(parents=True, exist_ok=True)
    data = rain(day) if values is None else values
    with netCDF4.Dataset(path, "w", format="NETCDF4_CLASSIC") as nc:
        nc.createDimension("time", None)
        nc.createDimension("lat", SHAPE[0])
        nc.createDimension("lon", SHAPE[1])
        time = nc.createVariable("time", "i4", ("time",))
        time.units = f"days since {date:%Y-%m-%d}"
        time[:] = [0]
        y = nc.createVariable("lat", "f8", ("lat",))
        y.units = "degrees_north"
        y[:] = (np.arange(SHAPE[0]) * 0.5 + 10.0)[::-1] if lat is None else lat
        x = nc.createVariable("lon", "f8", ("lon",))
        x.units = "degrees_east"
        x[:] = np.arange(SHAPE[1]) * 0.5
        variable = nc.createVariable(name, "f4", ("time", "lat", "lon"), zlib=True, fill_value=np.float32(-9999))
        variable.units = units
        variable[0] = np.where(np.isnan(data), -9999, data)[::-1]
    return path
