"""Small NetCDF files that tests write: one variable on a map, with whatever the test is about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np

LATITUDES = (10.0, 10.5, 11.0)
LONGITUDES = (30.0, 30.5, 31.0, 31.5)


def field(first: int, steps: int, rows: int = 3, columns: int = 4) -> np.ndarray[Any, Any]:
    """Values that tell step, row and column of a map that is written south to north: 1000 step + 10 row + column."""
    step, row, column = np.ogrid[first : first + steps, :rows, :columns]
    return (1000 * step + 10 * row + column).astype(np.float32)


def write(
    path: Path,
    values: np.ndarray[Any, Any] | None = None,
    *,
    name: str = "tas",
    times: Sequence[float] | None = (0.0,),
    units: str = "days since 2001-01-01",
    calendar: str | None = "standard",
    bounds: Sequence[Sequence[float]] | None = None,
    latitudes: Sequence[float] = LATITUDES,
    longitudes: Sequence[float] = LONGITUDES,
    attrs: Mapping[str, Any] | None = None,
    dtype: str = "f4",
    fill: float | int | None = None,
    chunks: Sequence[int] | None = None,
    file_format: str = "NETCDF4",
    time_type: str = "f8",
    extra: Mapping[str, Any] | None = None,
) -> Path:
    """A file of one variable (time, lat, lon); `values` are stored as they are, without packing.

    times  stored times, None for a variable without time;  extra  further variables {name: (dims, values, attrs)}
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    steps = 1 if times is None else len(times)
    data = field(0, steps, len(latitudes), len(longitudes)) if values is None else values
    with netCDF4.Dataset(path, "w", format=file_format) as dataset:
        dims = ("lat", "lon")
        if times is not None:
            dataset.createDimension("time", None)
            stamp = dataset.createVariable("time", time_type, ("time",))
            stamp.units = units
            if calendar is not None:
                stamp.calendar = calendar
            stamp[:] = np.asarray(times)
            dims = ("time", *dims)
            if bounds is not None:
                stamp.bounds = "time_bnds"
                dataset.createDimension("bnds", 2)
                dataset.createVariable("time_bnds", "f8", ("time", "bnds"))[:] = np.asarray(bounds)
        for axis, positions, degrees in (("lat", latitudes, "degrees_north"), ("lon", longitudes, "degrees_east")):
            dataset.createDimension(axis, len(positions))
            variable = dataset.createVariable(axis, "f8", (axis,))
            variable.units = degrees
            variable[:] = np.asarray(positions)
        variable = dataset.createVariable(name, dtype, dims, fill_value=fill, chunksizes=chunks)
        variable.set_auto_maskandscale(False)
        variable.setncatts({"units": "K", "standard_name": "air_temperature"} if attrs is None else dict(attrs))
        variable[:] = data if times is not None else data.reshape(len(latitudes), len(longitudes))
        for other, (own_dims, own_values, own_attrs) in (extra or {}).items():
            made = np.asarray(own_values)
            kind = str if made.dtype.kind == "U" else made.dtype
            added = dataset.createVariable(other, kind, own_dims)
            added.setncatts(own_attrs)
            added[...] = made.item() if made.ndim == 0 else made.astype(object) if kind is str else made
    return path


def daily(folder: Path, days: Sequence[int], **options: Any) -> list[Path]:
    """A file for each day from 2001-01-01, that day's number being its time and the thousands of its values."""
    return [write(folder / f"tas_{day:03d}.nc", field(day, 1), times=[float(day)], **options) for day in days]
