"""Regridding from maps in a projection.

Cells of the target become polygons in the plane of the source, edges of more than one piece since parallels and
meridians are curves there, and their overlaps with the source's cells are exact (GEOS). Areas are those of the plane:
within one target cell the scale of a projection hardly varies, and shares of a cell are all that counts. A cell that
the edge of the source's map cuts, such as one across 180 degrees on a cylindrical projection, is missing.
"""

from __future__ import annotations

import functools
import warnings
from dataclasses import dataclass

import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray
from pyproj.transformer import TransformerGroup

from compute.align.cells import SLIVER, Cells, Places, Values, neighbours, overlapping, span
from compute.align.matrices import Tile, Weights, by_distance, interpolation, membership, sparse
from compute.align.options import Method
from compute.align.source import DEGREE, SourceMap

PIECES = 4
"""Straight pieces of one edge of a target cell."""
_INWARD = 1e-9
"""Share of a cell that its edges lie inward of the meridians: 180 E and 180 W are one place for a projection."""
_MIDDLE = 0.4
"""How far the centre of a cell may be from the middle of the box around it, as a share of the box."""


@functools.lru_cache(maxsize=8)
def transformer(crs: str) -> pyproj.Transformer:
    """From degrees to the plane, the same on every machine: shift grids that are installed on some are not used."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Best transformation is not available")
        known = TransformerGroup("EPSG:4326", crs, always_xy=True).transformers
    return next((each for each in known if "grids=" not in each.definition), known[0])


@dataclass(frozen=True, eq=False)
class Projected:
    """rows, columns: the whole target grid; coast: whether windows reach one cell farther."""

    source: SourceMap
    rows: Cells
    columns: Cells
    coast: bool

    def window(self, method: Method, tile: Tile) -> Tile:
        """What of the source a tile needs: the box around the tile in the source's plane, and one cell more."""
        x, y = self._plane(*_outline(self.rows.cut(tile[0]), self.columns.cut(tile[1])))
        known = np.isfinite(x) & np.isfinite(y)
        if not known.any():
            return slice(0, 1), slice(0, 1)
        found = []
        for places, cells, reach in ((y, self.source.y, self._reach[0]), (x, self.source.x, self._reach[1])):
            margin = max(cells.size, reach if self.coast else 0.0) * (1 + _INWARD)
            low, high = float(places[known].min()), float(places[known].max())
            found.append(span(overlapping(low - margin, high + margin, cells)))
        return found[0], found[1]

    def weights(self, method: Method, tile: Tile, window: Tile) -> Weights:
        """The weights of a window's cells in a tile's."""
        rows, columns = self.rows.cut(tile[0]), self.columns.cut(tile[1])
        cells = self.source.y.cut(window[0]), self.source.x.cut(window[1])
        if method == "mean":
            y, x = (each.ravel() for each in np.meshgrid(*(each.centre for each in cells), indexing="ij"))
            lon, lat = transformer(self.source.crs or "").transform(x, y, direction="INVERSE")
            return membership(np.asarray(lat), np.asarray(lon), rows, columns)
        shape = len(rows) * len(columns), len(cells[0]) * len(cells[1])
        if method == "bilinear":
            y, x = self._centres(rows, columns)
            across, along = neighbours(y, self.source.y), neighbours(x, self.source.x)
            return sparse(*interpolation(across, along, window, len(cells[1])), shape)
        return sparse(*_overlaps(self._polygons(rows, columns), *cells), shape)

    def candidates(self, tile: Tile, window: Tile) -> Weights:
        """The source cells within one cell of each target, the nearest first."""
        places = self._centres(self.rows.cut(tile[0]), self.columns.cut(tile[1]))
        cells = self.source.y.cut(window[0]), self.source.x.cut(window[1])
        scale = np.full(len(places[0]), 1 / self._reach[0])
        return by_distance(places, cells, self._reach, (scale, scale))

    @property
    def _reach(self) -> tuple[float, float]:
        step = self.rows.size * (DEGREE if self.source.metre else 1.0)
        return max(step, self.source.y.size), max(step, self.source.x.size)

    def _plane(self, lon: Values, lat: Values) -> tuple[Values, Values]:
        x, y = transformer(self.source.crs or "").transform(lon, lat)
        return np.asarray(x), np.asarray(y)

    def _centres(self, rows: Cells, columns: Cells) -> tuple[Values, Values]:
        """(y, x) of the centres of a tile, infinite where the projection has no such place."""
        lat, lon = (each.ravel() for each in np.meshgrid(rows.centre, columns.centre, indexing="ij"))
        x, y = self._plane(lon, lat)
        return y, x

    def _polygons(self, rows: Cells, columns: Cells) -> list[shapely.Polygon | None]:
        """The cells of a tile in the plane, row by row; None for those that the projection cuts or does not have."""
        row, column = (each.ravel() for each in np.indices((len(rows), len(columns))))
        lon, lat = _rings(rows.lower[row], rows.upper[row], columns.lower[column], columns.upper[column])
        x, y = self._plane(lon, lat)
        corners = np.stack([x, y], axis=-1)
        known = np.isfinite(corners).all(axis=(1, 2))
        made = np.asarray(shapely.polygons(np.where(known[:, None, None], corners, 0.0)))
        known &= _whole(corners, np.stack(self._centres(rows, columns)[::-1], axis=-1))
        known &= shapely.is_ccw(shapely.get_exterior_ring(made))
        # Corners that are one at a pole may cross by rounding; where more than that crosses, the projection folds.
        crossed = known & ~shapely.is_valid(made)
        mended = np.asarray(shapely.make_valid(made[crossed], method="structure", keep_collapsed=False))
        known[crossed] = np.isclose(shapely.area(mended), shapely.area(made[crossed]), rtol=1e-6)
        made[crossed] = mended
        return [polygon if whole else None for polygon, whole in zip(made, known, strict=True)]


def _whole(corners: Values, centres: Values) -> NDArray[np.bool_]:
    """Which cells are not cut by the edge of the map: such a cell has its corners on two or more sides of the map, and
    its centre at one of them.

    corners  shape (cells, corners, 2);  centres  (cells, 2)
    """
    low, high = corners.min(axis=1), corners.max(axis=1)
    with np.errstate(invalid="ignore"):  # infinite places
        return np.asarray((np.abs(centres - (low + high) / 2) <= _MIDDLE * (high - low)).all(axis=1))


def _rings(south: Values, north: Values, west: Values, east: Values) -> tuple[Values, Values]:
    """Longitudes and latitudes around cells, anticlockwise, shape (cells, 4 PIECES)."""
    inward = _INWARD * (east - west)
    south, north, west, east = (each[:, None] for each in (south, north, west + inward, east - inward))
    part = np.arange(PIECES) / PIECES
    still = np.ones(PIECES)
    lon = [west + (east - west) * part, east * still, east - (east - west) * part, west * still]
    lat = [south * still, south + (north - south) * part, north * still, north - (north - south) * part]
    return np.concatenate(lon, axis=1), np.concatenate(lat, axis=1)


def _outline(rows: Cells, columns: Cells) -> tuple[Values, Values]:
    """Longitudes and latitudes on the outline of a tile: the same points as on its outermost cells."""
    row, column = np.indices((len(rows), len(columns)))
    outer = (row == 0) | (row == len(rows) - 1) | (column == 0) | (column == len(columns) - 1)
    row, column = row[outer], column[outer]
    lon, lat = _rings(rows.lower[row], rows.upper[row], columns.lower[column], columns.upper[column])
    return lon.ravel(), lat.ravel()


def _overlaps(polygons: list[shapely.Polygon | None], y: Cells, x: Cells) -> tuple[Places, Places, Values]:
    """Entries (target, source cell, share of the target's area)."""
    targets, places, shares = [np.empty(0, np.intp)], [np.empty(0, np.intp)], [np.empty(0)]
    for number, polygon in enumerate(polygons):
        if polygon is None:
            continue
        west, south, east, north = polygon.bounds
        rows, columns = overlapping(south, north, y), overlapping(west, east, x)
        if not len(rows) or not len(columns):
            continue
        row, column = (each.ravel() for each in np.meshgrid(rows, columns, indexing="ij"))
        boxes = shapely.box(x.lower[column], y.lower[row], x.upper[column], y.upper[row])
        shapely.prepare(polygon)
        inside = shapely.contains(polygon, boxes)
        cut = ~inside & shapely.intersects(polygon, boxes)
        area = np.where(inside, shapely.area(boxes), 0.0)
        area[cut] = shapely.area(shapely.intersection(boxes[cut], polygon))
        share = area / polygon.area
        some = share > SLIVER
        targets.append(np.full(np.count_nonzero(some), number))
        places.append((row * len(x) + column)[some])
        shares.append(share[some])
    return np.concatenate(targets), np.concatenate(places), np.concatenate(shares)
