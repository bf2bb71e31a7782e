"""Ancillary maps without time: soil texture, leaf area index and land fraction, for both grids."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import netCDF4
import numpy as np

from . import haduk, netcdf
from .region import Region
from .settings import SampleSettings

_FILL = -9999.0
_FILES: dict[str, tuple[tuple[str, str, str], ...]] = {
    "soil_texture": (
        ("clay", "mass fraction of clay in the fine earth", "1"),
        ("sand", "mass fraction of sand in the fine earth", "1"),
        ("silt", "mass fraction of silt in the fine earth", "1"),
    ),
    "lai": (("lai", "annual mean leaf area index", "m2 m-2"),),
    "land_fraction": (("land_fraction", "fraction of the cell that is land", "1"),),
}


def count(settings: SampleSettings) -> int:
    return 2 * len(_FILES)


def write(folder: Path, settings: SampleSettings, africa: Region, uk: Region) -> Iterator[Path]:
    """`REGION/{soil_texture,lai,land_fraction}.nc`, rows from south to north."""
    for region in (africa, uk):
        for name, variables in _FILES.items():
            path = folder / region.name / f"{name}.nc"
            attributes = netcdf.provenance(name.replace("_", " "), settings.seed) | {"Conventions": "CF-1.8"}
            with netcdf.create(path, "NETCDF4", attributes) as dataset:
                plane, extra = _axes(dataset, settings, region)
                for variable, long_name, units in variables:
                    described = {"long_name": long_name, "units": units, **extra}
                    if variable == "land_fraction":
                        netcdf.add(dataset, variable, "f4", plane, described, region.fraction, chunks=region.shape)
                    else:
                        values = region.on_grid(getattr(region.ground, variable), _FILL)
                        netcdf.add(dataset, variable, "f4", plane, described, values, _FILL, chunks=region.shape)
            yield path


def _axes(dataset: netCDF4.Dataset, settings: SampleSettings, region: Region) -> tuple[tuple[str, str], dict[str, str]]:
    """Dimensions of the maps, and attributes that tie them to a grid mapping."""
    if region.name == "uk":
        haduk.grid(dataset, settings, region)
        plane = ("projection_y_coordinate", "projection_x_coordinate")
        return plane, {"grid_mapping": "transverse_mercator", "coordinates": "latitude longitude"}
    north = {"standard_name": "latitude", "units": "degrees_north"}
    east = {"standard_name": "longitude", "units": "degrees_east"}
    for name, values, attributes in (
        ("lat", settings.africa.latitude, north),
        ("lon", settings.africa.longitude, east),
    ):
        dataset.createDimension(name, len(values))
        netcdf.add(dataset, name, "f8", (name,), attributes, np.asarray(values))
    return ("lat", "lon"), {}
