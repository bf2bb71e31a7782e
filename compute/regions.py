"""Regions with names: the AR6 land regions, or polygons of a GeoJSON file."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import shapely
import shapely.geometry
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from cube.errors import InputError, Problem
from cube.hashing import digest, sha256

AR6 = "ar6"
AR6_SOURCE = "AR6 land reference regions (Iturbide et al. 2020, doi:10.5194/essd-12-2959-2020)"
TURNS = (-360.0, 0.0, 360.0)
"""Longitudes count from -180 or from 0, and grids may cross the date line."""
EASTMOST = 360.0
KINDS = ("Polygon", "MultiPolygon")
PARTS = ("geometry", "properties")
DEGREES = ("CRS84", "4326")
"""What the names of coordinate systems end in that are longitude and latitude."""


@dataclass(frozen=True)
class Regions:
    """names: of people, any text; polygons: in degrees of longitude and latitude, edges straight in both; source: what
    is said of them, without paths; bytes, sha256: of the file, 0 and "" where there is none."""

    names: tuple[str, ...]
    polygons: tuple[BaseGeometry, ...]
    source: str
    bytes: int = 0
    sha256: str = ""

    def __len__(self) -> int:
        return len(self.names)

    @property
    def words(self) -> tuple[str, ...]:
        """The names as CF's flag_meanings takes them, all different."""
        found: list[str] = []
        for name in self.names:
            word = "".join(each if each.isalnum() or each in "-_.+@" else "_" for each in name.strip()) or "_"
            plain, number = word, 2
            while word in found:
                word, number = f"{plain}_{number}", number + 1
            found.append(word)
        return tuple(found)

    @cached_property
    def digest(self) -> str:
        """Of what changes numbers: names and corners."""
        return digest([self.names, [shapely.to_wkb(each, hex=True) for each in self.polygons]])

    def only(self, chosen: Sequence[int]) -> Regions:
        names, polygons = tuple(self.names[i] for i in chosen), tuple(self.polygons[i] for i in chosen)
        return Regions(names, polygons, self.source, self.bytes, self.sha256)


def ar6() -> Regions:
    """The land regions of the sixth assessment report, named by their acronyms.

    regionmask fetches them once and keeps them in its cache. Raises InputError where that fails.
    """
    try:
        import regionmask  # takes seconds to import

        land = regionmask.defined_regions.ar6.land
        found = tuple(map(str, land.abbrevs)), tuple(land.polygons)
    except Exception as error:
        raise InputError(
            Problem(
                "regions-unavailable",
                f"regionmask could not give the AR6 regions ({type(error).__name__})",
                "regions: ar6",
                fix="run it once where the internet is reached, copy regionmask's cache, or name a GeoJSON `file`",
            )
        ) from error
    return Regions(*found, AR6_SOURCE)


def geojson(path: Path, name: str | None = "name") -> Regions:
    """The polygons of a FeatureCollection, named by a property of its features, or numbered where it is None.

    Raises InputError with all that is wrong with the file.
    """
    try:
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        what = "there is no such file" if isinstance(error, FileNotFoundError) else f"it cannot be read: {error}"
        raise InputError(Problem("regions-file", what, str(path), fix="correct the name of the file")) from None
    try:
        document = json.loads(data)
        features = document["features"]
        assert isinstance(features, list)
    except (ValueError, KeyError, TypeError, AssertionError, RecursionError):
        what = "it is no GeoJSON FeatureCollection"
        raise InputError(Problem("regions-file", what, str(path), fix="export it as GeoJSON")) from None
    names: list[str] = []
    polygons: list[BaseGeometry] = []
    problems = list(_foreign(document, path.name))
    for number, feature in enumerate(features, 1):
        where = f"{path.name}, feature {number}"
        feature = feature if isinstance(feature, dict) else {}
        geometry, properties = (each if isinstance(each, dict) else {} for each in map(feature.get, PARTS))
        kind = geometry.get("type")
        if kind not in KINDS:
            what = f"it is a {kind}, no polygon" if isinstance(kind, str) else "it has no geometry"
            problems.append(_unusable(what, where, "leave the feature out, or give it a Polygon or MultiPolygon"))
            continue
        try:
            polygon = shapely.geometry.shape(geometry)
        except (ValueError, TypeError, IndexError, KeyError, shapely.errors.GEOSException) as error:
            problems.append(_unusable(f"its corners are no polygon ({error})", where))
            continue
        label = properties.get(name) if name else str(number)
        found = list(_problems(polygon, label, name, names, where))
        problems += found
        if not found:
            names.append(str(label))
            polygons.append(polygon)
    if not polygons and not problems:
        problems.append(_unusable("it has no Polygon and no MultiPolygon", path.name))
    if problems:
        raise InputError(problems)
    return Regions(tuple(names), tuple(polygons), path.name, len(data), sha256(data))


def _foreign(document: Any, where: str) -> Iterator[Problem]:
    """Old files name a coordinate system; GeoJSON of today has no other than longitude and latitude."""
    crs = document.get("crs")
    if crs is None:
        return
    properties = crs.get("properties") if isinstance(crs, dict) else None
    name = str(properties.get("name") if isinstance(properties, dict) else crs)
    if not name.endswith(DEGREES):
        yield _unusable(
            f"its coordinates are those of {name}", where, "bring it to longitude and latitude (WGS 84) in degrees"
        )


def _problems(
    polygon: BaseGeometry, label: Any, name: str | None, names: Sequence[str], where: str
) -> Iterator[Problem]:
    if label is None or not str(label).strip():
        yield _unusable(f"it has no property {name!r}", where, "name the property that holds the names")
    elif str(label) in names:
        yield _unusable(f"there are two regions {label!r}", where, "merge them, or name another property")
    if polygon.is_empty:
        yield _unusable("it is empty", where)
        return
    west, south, east, north = polygon.bounds
    if not (west >= -180 and east <= EASTMOST and south >= -90 and north <= 90):
        what = f"corners reach from {west:g}, {south:g} to {east:g}, {north:g}, which are no longitudes and latitudes"
        yield _unusable(what, where, "bring it to longitude and latitude (WGS 84) in degrees")
    elif not polygon.is_valid:
        yield _unusable(shapely.is_valid_reason(polygon), where, "mend it: edges must not cross")


def _unusable(what: str, where: str, fix: str = "correct the file") -> Problem:
    return Problem("regions-unusable", what, where, "numbers would be of other cells than meant", fix)


def inside(polygon: BaseGeometry, lons: NDArray[Any], lats: NDArray[Any]) -> NDArray[np.bool_]:
    """Which places lie in a polygon or on its edge, shape as given; degrees, longitudes of any turn."""
    shapely.prepare(polygon)
    found = [shapely.intersects_xy(polygon, np.asarray(lons) + turn, lats) for turn in TURNS]
    return np.asarray(np.any(found, axis=0))
