"""ISIMIP2b climate input of HadGEM2-ES, bias-adjusted, land only: daily `tas` and `pr`, a file a decade."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import numpy as np

from . import netcdf
from .climate import Weather, blocks
from .noise import Array
from .region import Region
from .settings import SCENARIOS, SampleSettings

_EPOCH = date(1661, 1, 1)
_FILL = 1e20
_VARIABLES = {
    "tas": {"standard_name": "air_temperature", "long_name": "Near-Surface Air Temperature", "units": "K"},
    "pr": {"standard_name": "precipitation_flux", "long_name": "Precipitation", "units": "kg m-2 s-1"},
}


def count(settings: SampleSettings) -> int:
    return len(_VARIABLES) * sum(len(settings.decades(run)) for run in ("historical", *SCENARIOS))


def write(folder: Path, settings: SampleSettings, africa: Region) -> Iterator[Path]:
    """`VAR_day_HadGEM2-ES_RUN_r1i1p1_EWEMBI_landonly_FIRST-LAST.nc4`: latitude descending, days since 1661."""
    for run in ("historical", *SCENARIOS):
        weather = africa.weather(run)
        for start, end in settings.decades(run):
            for name in _VARIABLES:
                period = f"{start}0101-{end}1231"
                path = folder / run / f"{name}_day_HadGEM2-ES_{run}_r1i1p1_EWEMBI_landonly_{period}.nc4"
                _file(path, name, weather, date(start, 1, 1), date(end, 12, 31), settings, africa)
                yield path


def _file(
    path: Path, name: str, weather: Weather, first: date, last: date, settings: SampleSettings, africa: Region
) -> None:
    days = (last - first).days + 1
    attributes = netcdf.provenance(f"HadGEM2-ES {weather.run} {name}, EWEMBI bias-adjusted", settings.seed)
    with netcdf.create(path, "NETCDF4_CLASSIC", attributes | {"Conventions": "CF-1.6"}) as dataset:
        rows, columns = africa.shape
        for dimension, size in {"time": None, "lat": rows, "lon": columns}.items():
            dataset.createDimension(dimension, size)
        north = {"standard_name": "latitude", "long_name": "latitude", "units": "degrees_north", "axis": "Y"}
        east = {"standard_name": "longitude", "long_name": "longitude", "units": "degrees_east", "axis": "X"}
        time = {
            "standard_name": "time",
            "units": "days since 1661-01-01 00:00:00",
            "calendar": "proleptic_gregorian",
            "axis": "T",
        }
        netcdf.add(dataset, "lon", "f8", ("lon",), east, settings.africa.longitude)
        netcdf.add(dataset, "lat", "f8", ("lat",), north, settings.africa.latitude[::-1])
        times = netcdf.add(dataset, "time", "f8", ("time",), time, chunks=(512,))
        times[:days] = float((first - _EPOCH).days) + np.arange(days)
        field = netcdf.add(
            dataset,
            name,
            "f4",
            ("time", "lat", "lon"),
            _VARIABLES[name] | {"missing_value": np.float32(_FILL)},
            fill=_FILL,
            chunks=(netcdf.days_per_chunk(days, rows * columns), rows, columns),
        )
        for begin, length in blocks(first, last, africa.points):
            offset = (begin - first).days
            field[offset : offset + length] = africa.on_grid(_values(name, weather, begin, length), _FILL)[:, ::-1]


def _values(name: str, weather: Weather, first: date, days: int) -> Array:
    day = weather.days(first, days)
    return netcdf.to_step(day.temperature, 1 / 32) if name == "tas" else netcdf.keep_bits(day.rain / 86400, 7)
