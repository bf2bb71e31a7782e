"""Coordinate reference systems of maps: CF grid mappings in and out, boxes in degrees."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyproj
from numpy.typing import NDArray
from pyproj.exceptions import CRSError

Degrees = NDArray[np.float64]

_SAME_METRES = 1.0
"""Two systems agree where the corners of a map differ by no more than this; datum shifts left aside."""
_UNNAMED = (27700,)
"""Systems that files give by their numbers alone: where no datum is named, the system with these numbers is meant."""


class ProjectionError(ValueError):
    """A grid mapping that names no usable coordinate reference system, or another one than expected."""


def mapping_of(attrs: Mapping[str, Any] | None, epsg: int | None) -> dict[str, Any]:
    """CF attributes, `crs_wkt` included, of a file's grid mapping, or of the EPSG code where one is expected.

    Raises ProjectionError where the file has none and none is expected, where it cannot be understood, and where it is
    not the expected one.
    """
    stated = None if not attrs else _from_cf(tuple(sorted((key, _hashable(value)) for key, value in attrs.items())))
    if epsg is None:
        if stated is None:
            raise ProjectionError("no variable gives a grid mapping")
        return dict(_named(stated).to_cf())
    expected = pyproj.CRS.from_epsg(epsg)
    if stated is not None and not _same(stated, expected):
        raise ProjectionError(f"the grid mapping is {stated.to_cf().get('grid_mapping_name')}, not EPSG:{epsg}")
    return dict(expected.to_cf())


def _hashable(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


@functools.lru_cache(maxsize=64)
def _from_cf(attrs: tuple[tuple[str, Any], ...]) -> pyproj.CRS:
    try:
        return pyproj.CRS.from_cf(dict(attrs))
    except (CRSError, KeyError, ValueError, TypeError) as error:
        raise ProjectionError(f"the grid mapping {dict(attrs).get('grid_mapping_name')!r} is not understood") from error


def _named(stated: pyproj.CRS) -> pyproj.CRS:
    if stated.datum is None or stated.datum.name.lower() not in ("undefined", "unknown"):
        return stated
    return next((known for known in map(pyproj.CRS.from_epsg, _UNNAMED) if _same(stated, known)), stated)


def _same(stated: pyproj.CRS, expected: pyproj.CRS) -> bool:
    """Whether both project the same geographic corners to the same place, each from its own ellipsoid."""
    area = expected.area_of_use
    if area is None:
        return stated == expected
    longitudes = np.array([area.west, area.west, area.east, area.east])
    latitudes = np.array([area.south, area.north, area.south, area.north])
    places = [np.array(pyproj.Proj(each)(longitudes, latitudes)) for each in (stated, expected)]
    return bool(np.abs(places[0] - places[1]).max() <= _SAME_METRES)


def crs_of(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """{"epsg": code or None, "wkt": text} of a mapping by `mapping_of`."""
    crs = pyproj.CRS.from_cf(dict(mapping))
    return {"epsg": crs.to_epsg(), "wkt": crs.to_wkt()}


def degrees_box(mapping: Mapping[str, Any], west: float, south: float, east: float, north: float) -> list[float]:
    """[west, south, east, north] in degrees of a box in the projection's own units."""
    crs = pyproj.CRS.from_cf(dict(mapping))
    transformer = pyproj.Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    return [float(each) for each in transformer.transform_bounds(west, south, east, north, densify_pts=21)]


def project(epsg: int, longitudes: Degrees, latitudes: Degrees) -> tuple[Degrees, Degrees]:
    """(x, y) in metres of an EPSG projection, of degrees on WGS 84."""
    x, y = pyproj.Transformer.from_crs("EPSG:4326", f"EPSG:{epsg}", always_xy=True).transform(longitudes, latitudes)
    return np.asarray(x), np.asarray(y)
