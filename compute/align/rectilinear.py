"""Regridding from maps of latitude and longitude: exact areas on the sphere.

The overlap of two cells is the product of the difference of the sines of latitude and the difference of longitude, so
that the area-weighted total of a complete field is kept to rounding.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array, kron

from compute.align.cells import Cells, Places, neighbours, overlapping, shares, span
from compute.align.matrices import Tile, Weights, by_distance, interpolation, membership, of_matrix, sparse
from compute.align.options import Method
from compute.align.source import SourceMap

TURN = 360.0


@dataclass(frozen=True, eq=False)
class Rectilinear:
    """rows, columns: the whole target grid; coast: whether windows reach one cell farther."""

    source: SourceMap
    rows: Cells
    columns: Cells
    coast: bool

    def window(self, method: Method, tile: Tile) -> Tile:
        """What of the source a tile needs. Tiles at the seam of a global source need all of its longitudes."""
        pairs = ((self.rows, self.source.y, None), (self.columns, self.source.x, TURN))
        found = []
        for (targets, cells, turn), part, reach in zip(pairs, tile, self._reach, strict=True):
            cut = targets.cut(part)
            needed = [overlapping(*cut.ends, cells, turn)]
            if method == "bilinear":
                index, weight = neighbours(cut.centre, cells, turn)
                needed.append(index[weight > 0])
            if self.coast:
                needed.append(_within(cut, reach, cells, turn))
            found.append(span(np.concatenate(needed)))
        return found[0], found[1]

    def weights(self, method: Method, tile: Tile, window: Tile) -> Weights:
        """The weights of a window's cells in a tile's."""
        rows, columns = self.rows.cut(tile[0]), self.columns.cut(tile[1])
        y, x = self.source.y.cut(window[0]), self.source.x.cut(window[1])
        if method == "mean":
            lat, lon = np.meshgrid(y.centre, x.centre, indexing="ij")
            return membership(lat.ravel(), lon.ravel(), rows, columns)
        if method == "bilinear":
            # Neighbours are those of the whole axis: a window must not look like the end of a map.
            across, along = neighbours(rows.centre, self.source.y), neighbours(columns.centre, self.source.x, TURN)
            row, column = (each.ravel() for each in np.indices((len(rows), len(columns))))
            places = (across[0][row], across[1][row]), (along[0][column], along[1][column])
            return sparse(*interpolation(*places, window, len(x)), (len(row), len(y) * len(x)))
        north, east = shares(rows, y, sine=True), shares(columns, x, turn=TURN)
        return of_matrix(csr_array(kron(csr_array(north), csr_array(east), format="csr")))

    def candidates(self, tile: Tile, window: Tile) -> Weights:
        """The source cells within one cell of each target, the nearest first."""
        rows, columns = self.rows.cut(tile[0]), self.columns.cut(tile[1])
        lat, lon = (each.ravel() for each in np.meshgrid(rows.centre, columns.centre, indexing="ij"))
        cells = self.source.y.cut(window[0]), self.source.x.cut(window[1])
        unit = 1 / self._reach[0]
        scale = np.full(len(lat), unit), unit * np.cos(np.radians(lat))
        return by_distance((lat, lon), cells, self._reach, scale, TURN)

    @property
    def _reach(self) -> tuple[float, float]:
        return max(self.rows.size, self.source.y.size), max(self.columns.size, self.source.x.size)


def _within(targets: Cells, reach: float, cells: Cells, turn: float | None) -> Places:
    low, high = float(targets.centre.min()) - reach, float(targets.centre.max()) + reach
    return overlapping(low, high, cells, turn)
