"""NetCDF files of daily maps as archives hold them: one chunk a day of the whole map, latitudes as they come."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np

MISSING = np.float32(1e20)
_AT_ONCE = 100

Array = np.ndarray[Any, Any]


def write_maps(
    path: Path,
    first: datetime.date,
    steps: int,
    lat: Array,
    lon: Array,
    *,
    units: str,
    values: Callable[[slice], Array] | None = None,
) -> None:
    """Daily rain `pr` from `first` on.

    values  the maps of some steps of the file, shape (steps, lat, lon), NaN where they are missing; without it no chunk
            is written, and the file tells its shape alone
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with netCDF4.Dataset(path, "w", format="NETCDF4_CLASSIC") as nc:
        for name, size in (("time", None), ("lat", len(lat)), ("lon", len(lon))):
            nc.createDimension(name, size)
        time = nc.createVariable("time", "f8", ("time",), chunksizes=(min(steps, 4096),))
        time.units, time.calendar = "days since 1850-01-01", "proleptic_gregorian"
        time[:] = (first - datetime.date(1850, 1, 1)).days + np.arange(steps)
        for name, axis, unit in (("lat", lat, "degrees_north"), ("lon", lon, "degrees_east")):
            coordinate = nc.createVariable(name, "f8", (name,))
            coordinate.units = unit
            coordinate[:] = axis
        rain = nc.createVariable(
            "pr",
            "f4",
            ("time", "lat", "lon"),
            zlib=True,
            complevel=1,
            chunksizes=(1, len(lat), len(lon)),
            fill_value=MISSING,
        )
        rain.units, rain.standard_name = units, "precipitation_flux"
        for day in range(0, steps if values else 0, _AT_ONCE):
            part = slice(day, min(day + _AT_ONCE, steps))
            assert values is not None
            found = values(part)
            rain[part] = np.where(np.isnan(found), MISSING, found)


def days_of(first: int, last: int) -> int:
    """Days from the start of the year `first` to the end of the year `last`."""
    return (datetime.date(last + 1, 1, 1) - datetime.date(first, 1, 1)).days
