"""CRU-NCEP and CRU-JRA meteorology: six-hourly, a file a variable and year, 365 days in every year.

29 February exists in the weather but not in the files, as in the real archives.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np

from . import netcdf
from .climate import Weather, blocks
from .noise import Array
from .region import Region
from .settings import SampleSettings

_STEPS = 1460


@dataclass(frozen=True)
class _Variable:
    short: str  # in the file name
    name: str  # in the file
    attributes: dict[str, str]
    six_hourly: Callable[[Weather, date, int], Array]


def _rain(weather: Weather, first: date, count: int) -> Array:
    return netcdf.keep_bits(weather.six_hourly_rain(first, count), 8)


def _temperature(weather: Weather, first: date, count: int) -> Array:
    return netcdf.to_step(weather.six_hourly_temperature(first, count), 1 / 8)


_NCEP = (
    _Variable("tair", "Temperature", {"long_name": "Temperature at 2 m", "units": "K"}, _temperature),
    _Variable("rain", "Total_Precipitation", {"long_name": "Total precipitation", "units": "mm/6h"}, _rain),
)
_JRA = (
    _Variable("tmp", "tmp", {"long_name": "2m temperature", "units": "K"}, _temperature),
    _Variable("pre", "pre", {"long_name": "total precipitation", "units": "mm/6h"}, _rain),
)


def count_ncep(settings: SampleSettings) -> int:
    return len(_NCEP) * len(settings.cru_ncep)


def count_jra(settings: SampleSettings) -> int:
    return len(_JRA) * len(settings.observed)


def write_ncep(folder: Path, settings: SampleSettings, africa: Region) -> Iterator[Path]:
    """`cruncepv7_NAME_YYYY.nc`: hours since the year's start, latitude descending, no `_FillValue`."""
    for year in settings.cru_ncep:
        for variable in _NCEP:
            path = folder / f"cruncepv7_{variable.short}_{year}.nc"
            attributes = netcdf.provenance(f"CRU-NCEP v7 {variable.name}", settings.seed)
            with netcdf.create(path, "NETCDF4_CLASSIC", attributes) as dataset:
                rows, columns = africa.shape
                for name, size in {"longitude": columns, "latitude": rows, "time": _STEPS}.items():
                    dataset.createDimension(name, size)
                east = {"units": "degrees_east", "long_name": "longitude"}
                north = {"units": "degrees_north", "long_name": "latitude"}
                time = {"units": f"hours since {year}-01-01 00:00:00", "calendar": "noleap"}
                netcdf.add(dataset, "longitude", "f4", ("longitude",), east, settings.africa.longitude)
                netcdf.add(dataset, "latitude", "f4", ("latitude",), north, settings.africa.latitude[::-1])
                netcdf.add(dataset, "time", "f8", ("time",), time, 6.0 * np.arange(_STEPS))
                missing = {**variable.attributes, "missing_value": np.float32(-999.9)}
                field = netcdf.add(
                    dataset,
                    variable.name,
                    "f4",
                    ("time", "latitude", "longitude"),
                    missing,
                    chunks=_chunks(africa),
                )
                for begin, steps in _year(variable, africa, year):
                    field[begin : begin + len(steps)] = africa.on_grid(steps, -999.9)[:, ::-1]
            yield path


def write_jra(folder: Path, settings: SampleSettings, africa: Region) -> Iterator[Path]:
    """`crujra.v2.5.5d.NAME.YYYY.365d.noc.nc`: days since 1901, latitude ascending."""
    for year in settings.observed:
        for variable in _JRA:
            path = folder / f"crujra.v2.5.5d.{variable.short}.{year}.365d.noc.nc"
            attributes = netcdf.provenance(f"CRU JRA v2.5 {variable.name}", settings.seed) | {"Conventions": "CF-1.4"}
            with netcdf.create(path, "NETCDF4_CLASSIC", attributes) as dataset:
                rows, columns = africa.shape
                for name, size in {"time": _STEPS, "lat": rows, "lon": columns}.items():
                    dataset.createDimension(name, size)
                since = 365.0 * (year - 1901) + np.arange(_STEPS) / 4
                time = {"units": "days since 1901-01-01 00:00:00", "calendar": "365_day", "long_name": "time"}
                netcdf.add(dataset, "time", "f8", ("time",), time, since)
                north = {"units": "degrees_north", "standard_name": "latitude"}
                east = {"units": "degrees_east", "standard_name": "longitude"}
                netcdf.add(dataset, "lat", "f8", ("lat",), north, settings.africa.latitude)
                netcdf.add(dataset, "lon", "f8", ("lon",), east, settings.africa.longitude)
                field = netcdf.add(
                    dataset,
                    variable.name,
                    "f4",
                    ("time", "lat", "lon"),
                    {**variable.attributes, "missing_value": np.float32(1e20)},
                    fill=1e20,
                    chunks=_chunks(africa),
                )
                for begin, steps in _year(variable, africa, year):
                    field[begin : begin + len(steps)] = africa.on_grid(steps, 1e20)
            yield path


def _chunks(africa: Region) -> tuple[int, ...]:
    """A divisor of the year: chunks that files of equal length can be joined by."""
    cells = africa.shape[0] * africa.shape[1]
    days = netcdf.days_per_chunk(365, 4 * cells)
    return (4 * max(n for n in (1, 5, 73, 365) if n <= days), *africa.shape)


def _year(variable: _Variable, africa: Region, year: int) -> Iterator[tuple[int, Array]]:
    """(first step, values of shape (steps, points)) without 29 February."""
    weather, begin = africa.weather("observed"), 0
    for first, count in blocks(date(year, 1, 1), date(year, 12, 31), 4 * africa.points):
        dates = [first + timedelta(days=n) for n in range(count)]
        kept = [n for n, day in enumerate(dates) if (day.month, day.day) != (2, 29)]
        steps = variable.six_hourly(weather, first, count)[kept].reshape(-1, africa.points)
        yield begin, steps
        begin += len(steps)
