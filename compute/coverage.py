"""How much of each region lies in each cell of a product.

Cells of latitude and longitude count with the exact share of them that lies in the region, others wholly where their
centre does. regionmask's fractions are not used: they are sampled (wrong by up to 0.03), slower, and want even spacing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyproj
import shapely
import shapely.affinity
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from compute.places import places
from compute.regions import TURNS, Regions, inside
from cube.job import ProductView

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Coverage:
    """One region on the cells of a product.

    cells    positions among all cells, shape (n,)
    areas    of what of each cell lies in the region, shape (n,): steradians, on maps of places relative to each other
    covered  share of the region's area that lies in cells of the product; NaN on maps of places
    """

    cells: NDArray[np.intp]
    areas: Values
    covered: float


def coverages(view: ProductView, regions: Regions) -> list[Coverage]:
    """What of each region lies in each cell, in the order of the regions."""
    template = view.template
    axes = [template.coords[dim].values.astype(np.float64) for dim in template.space]
    if set(template.space) == {"lat", "lon"} and all(template.coords[d].dims == (d,) for d in template.space):
        edges = {dim: edges_of(view, dim) for dim in template.space}
        return [_exact(polygon, edges["lat"], edges["lon"], template.space) for polygon in regions.polygons]
    lats, lons = places(view, {dim: slice(0, len(axis)) for dim, axis in zip(template.space, axes, strict=True)})
    areas = _areas(view, lats)
    known = areas is not None
    if areas is None:
        areas = np.cos(np.radians(lats))
    found = []
    for polygon in regions.polygons:
        cells = np.flatnonzero(inside(polygon, lons, lats))
        share = float(min(1.0, areas[cells].sum() / area_of(polygon))) if known else np.nan
        found.append(Coverage(cells, areas[cells], share))
    return found


def edges_of(view: ProductView, dim: str) -> Values:
    """Edges of the cells along an axis, shape (cells, 2): its bounds, else half-way between centres."""
    coords = view.template.coords
    name = coords[dim].attrs.get("bounds", f"{dim}_bnds")
    if name in coords.variables:
        return np.sort(np.asarray(coords[name].values, np.float64), axis=1)
    centres = np.asarray(coords[dim].values, np.float64)
    half = np.abs(np.gradient(centres)) / 2 if len(centres) > 1 else np.full(1, 0.5)
    edges = np.stack([centres - half, centres + half], axis=1)
    return np.clip(edges, -90, 90) if dim == "lat" else edges


def _exact(polygon: BaseGeometry, lat: Values, lon: Values, space: tuple[str, ...]) -> Coverage:
    """The exact share of each cell, times the cell's area on the sphere.

    The share is one of degrees; inside of a cell that the edge cuts, latitude is taken as the same everywhere.
    """
    everywhere = turned(polygon)
    shapely.prepare(everywhere)
    height = np.diff(np.sin(np.radians(lat)), axis=1)[:, 0]
    width = np.radians(lon[:, 1] - lon[:, 0])
    west, south, east, north = polygon.bounds
    rows = np.flatnonzero((lat[:, 1] > south) & (lat[:, 0] < north))
    columns = np.flatnonzero(np.any([(lon[:, 1] + t > west) & (lon[:, 0] + t < east) for t in TURNS], axis=0))
    row, column = (each.ravel() for each in np.meshgrid(rows, columns, indexing="ij"))
    boxes = shapely.box(lon[column, 0], lat[row, 0], lon[column, 1], lat[row, 1])
    share = shapely.contains_properly(everywhere, boxes).astype(np.float64)
    edge = (share == 0) & shapely.intersects(everywhere, boxes)
    share[edge] = shapely.area(shapely.intersection(everywhere, boxes[edge])) / shapely.area(boxes[edge])
    some = share > 0
    shape = (len(lat), len(lon)) if space[0] == "lat" else (len(lon), len(lat))
    index = (row[some], column[some]) if space[0] == "lat" else (column[some], row[some])
    cells = np.ravel_multi_index(index, shape)
    order = np.argsort(cells, kind="stable")
    areas = (share * height[row] * width[column])[some][order]
    once = shapely.intersection(everywhere, shapely.box(-180, -90, 180, 90))
    return Coverage(cells[order], areas, float(min(1.0, areas.sum() / area_of(once))))


def turned(polygon: BaseGeometry) -> BaseGeometry:
    """A polygon wherever it lies after whole turns of longitude; parts that then coincide are one."""
    return shapely.union_all([shapely.affinity.translate(polygon, turn) for turn in TURNS])


def _areas(view: ProductView, lats: Values) -> Values | None:
    """Areas of the cells of a projected map in steradians, shape (cells,); None where they are not known."""
    template = view.template
    crs = template.crs.get("epsg") or template.crs.get("wkt")
    if len(template.space) != 2 or not crs or any(template.coords[d].dims != (d,) for d in template.space):
        return None
    y, x = (edges_of(view, dim) for dim in template.space)
    back = pyproj.Transformer.from_crs(pyproj.CRS(crs), "EPSG:4326", always_xy=True)
    ring = []
    for j, i in ((0, 0), (0, 1), (1, 1), (1, 0), (0, 0)):
        easting, northing = np.meshgrid(x[:, i], y[:, j])
        ring.append(back.transform(easting.ravel(), northing.ravel()))
    lon, lat = (np.stack([each[axis] for each in ring], axis=1) for axis in (0, 1))
    # A cell may lie across the date line.
    return np.abs(_ring_areas((lon - lon[:, :1] + 180) % 360 - 180, lat))


def area_of(polygon: BaseGeometry) -> float:
    """Area on the sphere of a polygon whose edges are straight in longitude and latitude, steradians."""
    total = 0.0
    parts = shapely.get_parts(polygon)
    # What is cut at an edge may leave lines and points of it.
    for part in parts[shapely.get_type_id(parts) == shapely.GeometryType.POLYGON]:
        rings = [part.exterior, *part.interiors]
        corners = [np.asarray(ring.coords)[:, :2].T for ring in rings]
        sizes = [abs(float(_ring_areas(lon[None], lat[None])[0])) for lon, lat in corners]
        total += sizes[0] - sum(sizes[1:])
    return total


def _ring_areas(lon: Values, lat: Values) -> Values:
    """Signed areas of closed rings, corners of shape (rings, corners): the integral of sin(lat) along longitude."""
    y = np.radians(lat)
    middle, rise = (y[:, 1:] + y[:, :-1]) / 2, np.diff(y, axis=1)
    return np.asarray((np.diff(np.radians(lon), axis=1) * np.sin(middle) * np.sinc(rise / (2 * np.pi))).sum(axis=1))
