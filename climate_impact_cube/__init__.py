"""The notebook's face of the climate-impact datacube: `import climate_impact_cube as cic`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cube.catalogue import Cube

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Cube", "emulate", "open"]


def open(location: str | Path, storage: Mapping[str, Any] | None = None) -> Cube:
    """A published cube: a mapping of product names to xarray datasets.

    location  a folder, s3://bucket/prefix or an http(s) address; the place where catalog.json is
    storage   how an object store is reached, such as {"endpoint_url": ..., "anonymous": True}

    Raises MissingObjectError where there is no catalogue.
    """
    return Cube(location, storage)


def emulate(
    cube: Cube,
    product: str,
    place: tuple[float, float],
    *,
    pr: xr.DataArray | None = None,
    tas: xr.DataArray | None = None,
    rain: float = 1.0,
    warming: float = 0.0,
) -> xr.Dataset:
    """Soil moisture of one place by the model behind an emulated product: see `compute.emulate.place.emulate`.

    place     latitude and longitude in degrees: the nearest cell with values within 1.5 cells
    pr, tas   daily series of your own with `units`, in place of the product's weather
    rain      factor on rain;  warming  kelvins added to the temperature
    """
    from compute.emulate.place import emulate as ask  # what it needs takes seconds to import

    return ask(cube, product, place, pr=pr, tas=tas, rain=rain, warming=warming)
