"""Where the cells of a product are drawn: in degrees, in metres of its projection, or as squares around places."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyproj
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from compute.notebook.borders import Box, Line
from compute.notebook.opened import Opened

Points = NDArray[np.float64]
SQUARE = 1 / 60
"""Largest side of a place's square, as a share of the map's width."""


@dataclass(frozen=True)
class Cells:
    """corners: of each cell in the coordinates of the map, shape (cells, 4, 2), in the product's order.

    shape    of the cells
    edges    of columns and rows where they form a rectangle, x (columns + 1,) and y (rows + 1,); None for places
    project  from longitude and latitude to the coordinates of the map
    to_degrees  back
    units    of the coordinates of the map
    """

    corners: NDArray[np.float64]
    shape: tuple[int, ...]
    edges: tuple[Points, Points] | None
    project: Callable[[Points, Points], tuple[Points, Points]]
    to_degrees: Callable[[Points, Points], tuple[Points, Points]]
    units: str = "degrees"

    @property
    def degrees(self) -> bool:
        """Whether the map is one of longitude and latitude."""
        return self.units == "degrees"

    def inside(self, box: Box) -> NDArray[np.bool_]:
        """Cells of which any part lies in a box of the map, of their shape."""
        low, high = self.corners.min(axis=1), self.corners.max(axis=1)
        x = (high[:, 0] > box.west) & (low[:, 0] < box.east)
        y = (high[:, 1] > box.south) & (low[:, 1] < box.north)
        return np.asarray((x & y).reshape(self.shape))

    def extent(self, known: NDArray[np.bool_], area: tuple[float, float, float, float] | None) -> Box:
        """What is drawn, in coordinates of the map: the cells of which something is known, or the area in degrees."""
        if area is None:
            flat = known.reshape(-1)
            x, y = self.corners[flat if flat.any() else slice(None)].reshape(-1, 2).T
        else:
            west, south, east, north = area
            lon, lat = np.meshgrid(np.linspace(west, east, 21), np.linspace(south, north, 21))
            x, y = self.project(lon.reshape(-1), lat.reshape(-1))
        margin = 0.02 * max(float(np.ptp(x)), float(np.ptp(y))) if area is None else 0.0
        return Box(float(x.min()) - margin, float(y.min()) - margin, float(x.max()) + margin, float(y.max()) + margin)

    def around(self, box: Box) -> Box:
        """The box in degrees that holds a box of the map."""
        if self.degrees:
            return box
        x, y = np.meshgrid(np.linspace(box.west, box.east, 21), np.linspace(box.south, box.north, 21))
        lon, lat = self.to_degrees(x.reshape(-1), y.reshape(-1))
        return Box(float(lon.min()), float(lat.min()), float(lon.max()), float(lat.max()))

    def lines(self, found: Sequence[Line]) -> list[Line]:
        """Lines in degrees, as the map draws them; points that the projection does not have are left out."""
        if self.degrees:
            return list(found)
        out = []
        for line in found:
            moved = np.stack(self.project(line[:, 0], line[:, 1]), axis=1)
            out.append(moved[np.isfinite(moved).all(axis=1)])
        return [line for line in out if len(line) > 1]


def cells_of(opened: Opened) -> Cells:
    """The cells of a product. Places that form no rectangle are squares around their latitude and longitude."""
    template, space = opened.view.template, opened.space
    shape = tuple(len(template.coords[dim]) for dim in space)
    crs: Any = template.crs.get("epsg") or template.crs.get("wkt")
    own = len(space) == 2 and all(template.coords[dim].dims == (dim,) for dim in space)
    if own and (set(space) == {"lat", "lon"} or crs):
        y, x = (_edges(template.coords[dim].values.astype(np.float64)) for dim in space)
        left, low = np.meshgrid(x[:-1], y[:-1])
        right, high = np.meshgrid(x[1:], y[1:])
        rows = [np.stack(each, axis=-1) for each in ((left, low), (right, low), (right, high), (left, high))]
        corners = np.stack([each.reshape(-1, 2) for each in rows], axis=1)
        if set(space) == {"lat", "lon"}:
            return Cells(corners, shape, (x, y), _same, _same)
        there = pyproj.Transformer.from_crs("EPSG:4326", pyproj.CRS(crs), always_xy=True)
        back = pyproj.Transformer.from_crs(pyproj.CRS(crs), "EPSG:4326", always_xy=True)
        units = str(template.coords[space[1]].attrs.get("units", "m"))
        return Cells(corners, shape, (x, y), there.transform, back.transform, units)
    lat, lon = opened.centres
    half = _spacing(lat, lon) / 2
    around = np.array([(-half, -half), (half, -half), (half, half), (-half, half)])
    return Cells(np.stack([lon, lat], axis=1)[:, None] + around, shape, None, _same, _same)


def _same(x: Points, y: Points) -> tuple[Points, Points]:
    return x, y


def _edges(centres: Points) -> Points:
    """Edges half-way between centres, shape (centres + 1,)."""
    if len(centres) == 1:
        return np.array([centres[0] - 0.5, centres[0] + 0.5])
    half = np.diff(centres) / 2
    return np.concatenate([[centres[0] - half[0]], centres[:-1] + half, [centres[-1] + half[-1]]])


def _spacing(lat: Points, lon: Points) -> float:
    """Side of a place's square in degrees: the distance of neighbours, at most a share of the map."""
    if len(lat) < 2:
        return 0.5
    apart = cKDTree(np.stack([lon, lat], axis=1)).query(np.stack([lon, lat], axis=1), k=2)[0][:, 1]
    widest = max(float(np.ptp(lon)), float(np.ptp(lat)))
    return float(min(np.median(apart), max(widest * SQUARE, 1e-3))) or 0.5
