"""HadUK-Grid: monthly files of daily rain and temperature on the British national grid."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import netCDF4
import numpy as np

from . import netcdf
from .climate import Weather
from .noise import Array
from .region import Region
from .settings import SampleSettings

_EPOCH = date(1800, 1, 1)
_FILL = 1e20
_ZERO_CELSIUS = 273.15


@dataclass(frozen=True)
class _Variable:
    name: str
    begins: int  # hour at which its day begins, UTC
    attributes: dict[str, str]


_VARIABLES = (
    _Variable(
        "rainfall",
        9,
        {
            "standard_name": "lwe_thickness_of_precipitation_amount",
            "long_name": "Total rainfall",
            "units": "mm",
            "cell_methods": "time: sum",
        },
    ),
    _Variable(
        "tasmax",
        0,
        {
            "standard_name": "air_temperature",
            "long_name": "Maximum air temperature",
            "units": "degC",
            "cell_methods": "time: maximum",
        },
    ),
    _Variable(
        "tasmin",
        0,
        {
            "standard_name": "air_temperature",
            "long_name": "Minimum air temperature",
            "units": "degC",
            "cell_methods": "time: minimum",
        },
    ),
)
MAPPING = {
    "grid_mapping_name": "transverse_mercator",
    "longitude_of_prime_meridian": 0.0,
    "semi_major_axis": 6377563.396,
    "semi_minor_axis": 6356256.909,
    "longitude_of_central_meridian": -2.0,
    "latitude_of_projection_origin": 49.0,
    "false_easting": 400000.0,
    "false_northing": -100000.0,
    "scale_factor_at_central_meridian": 0.9996012717,
}
"""EPSG:27700 in CF's words."""


def count(settings: SampleSettings) -> int:
    return 12 * len(_VARIABLES) * len(settings.haduk)


def write(folder: Path, settings: SampleSettings, uk: Region) -> Iterator[Path]:
    """`NAME_hadukgrid_uk_RES_day_YYYYMM01-YYYYMMDD.nc`: float64, 2-D latitude and longitude, rain days of 09-09 UTC."""
    weather = uk.weather("observed")
    for year in settings.haduk:
        for month in range(1, 13):
            first, days = date(year, month, 1), monthrange(year, month)[1]
            for variable in _VARIABLES:
                name = f"{variable.name}_hadukgrid_uk_{settings.uk.resolution}_day_{first:%Y%m}01-{first:%Y%m}{days}.nc"
                path = folder / variable.name / name
                _file(path, variable, first, _values(variable, weather, first, days), settings, uk)
                yield path


def grid(dataset: netCDF4.Dataset, settings: SampleSettings, uk: Region) -> None:
    """Dimensions, projection coordinates and grid mapping."""
    rows, columns = uk.shape
    dataset.createDimension("projection_y_coordinate", rows)
    dataset.createDimension("projection_x_coordinate", columns)
    for axis, values in (("y", settings.uk.y), ("x", settings.uk.x)):
        name = f"projection_{axis}_coordinate"
        attributes = {"axis": axis.upper(), "units": "m", "standard_name": name}
        netcdf.add(dataset, name, "f8", (name,), attributes, values)
    plane = ("projection_y_coordinate", "projection_x_coordinate")
    for name, degrees in (("latitude", uk.latitude), ("longitude", uk.longitude)):
        units = "degrees_north" if name == "latitude" else "degrees_east"
        netcdf.add(dataset, name, "f8", plane, {"units": units, "standard_name": name}, degrees)
    netcdf.add(dataset, "transverse_mercator", "i4", (), MAPPING, np.zeros((), np.int32))


def _values(variable: _Variable, weather: Weather, first: date, days: int) -> Array:
    if variable.name == "rainfall":
        return netcdf.to_step(weather.rain_from(variable.begins, first, days), 0.1)
    day = weather.days(first, days)
    # cloud halves the daily range
    reach = weather.climate.diurnal_range / 2 * np.where(day.rain > 1, np.float32(0.5), np.float32(1))
    extreme = day.temperature - _ZERO_CELSIUS + (reach if variable.name == "tasmax" else -reach)
    return netcdf.to_step(extreme, 0.01)


def _file(path: Path, variable: _Variable, first: date, values: Array, settings: SampleSettings, uk: Region) -> None:
    attributes = netcdf.provenance(f"HadUK-Grid daily {variable.name}", settings.seed) | {"Conventions": "CF-1.7"}
    days = len(values)
    with netcdf.create(path, "NETCDF4", attributes) as dataset:
        dataset.createDimension("time", days)
        dataset.createDimension("bnds", 2)
        since = 24.0 * ((first - _EPOCH).days + np.arange(days))
        time = {
            "axis": "T",
            "bounds": "time_bnds",
            "units": "hours since 1800-01-01 00:00:00",
            "standard_name": "time",
            "calendar": "standard",
        }
        netcdf.add(dataset, "time", "f8", ("time",), time, since + 12)
        bounds = np.stack([since + variable.begins, since + variable.begins + 24], axis=1)
        netcdf.add(dataset, "time_bnds", "f8", ("time", "bnds"), {}, bounds)
        grid(dataset, settings, uk)
        netcdf.add(
            dataset,
            variable.name,
            "f8",
            ("time", "projection_y_coordinate", "projection_x_coordinate"),
            variable.attributes | {"grid_mapping": "transverse_mercator", "coordinates": "latitude longitude"},
            # two decimals in double precision, as written by the producer
            uk.on_grid(np.round(values.astype(np.float64), 2), _FILL, "f8"),
            fill=_FILL,
            chunks=(days, *uk.shape) if days * values.shape[1] < 2**20 else (1, *uk.shape),
        )
