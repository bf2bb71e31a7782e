"""ISIMIP2b climate input of HadGEM2-ES, bias-adjusted, land only: daily `tas` and `pr`, a file a decade."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import date
from pathlib import Path

import netCDF4
import numpy as np

from . import netcdf
from .climate import Days, blocks
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
            first, last = date(start, 1, 1), date(end, 12, 31)
            period = f"{first:%Y%m%d}-{last:%Y%m%d}"
            paths = {
                name: folder / run / f"{name}_day_HadGEM2-ES_{run}_r1i1p1_EWEMBI_landonly_{period}.nc4"
                for name in _VARIABLES
            }
            with ExitStack() as stack:
                fields = {
                    name: stack.enter_context(_open(path, name, run, first, last, settings))[name]
                    for name, path in paths.items()
                }
                for begin, length in blocks(first, last, africa.points):
                    offset, values = (begin - first).days, _values(weather.days(begin, length))
                    for name, field in fields.items():
                        field[offset : offset + length] = africa.on_grid(values[name], _FILL)[:, ::-1]
            yield from paths.values()


@contextmanager
def _open(
    path: Path, name: str, run: str, first: date, last: date, settings: SampleSettings
) -> Iterator[netCDF4.Dataset]:
    days = (last - first).days + 1
    attributes = netcdf.provenance(f"HadGEM2-ES {run} {name}, EWEMBI bias-adjusted", settings.seed)
    with netcdf.create(path, "NETCDF4_CLASSIC", attributes | {"Conventions": "CF-1.6"}) as dataset:
        rows, columns = settings.africa.rows, settings.africa.columns
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
        netcdf.add(
            dataset,
            name,
            "f4",
            ("time", "lat", "lon"),
            _VARIABLES[name] | {"missing_value": np.float32(_FILL)},
            fill=_FILL,
            chunks=(netcdf.days_per_chunk(days, rows * columns), rows, columns),
        )
        yield dataset


def _values(days: Days) -> dict[str, Array]:
    return {"tas": netcdf.to_step(days.temperature, 1 / 32), "pr": netcdf.keep_bits(days.rain / 86400, 7)}
