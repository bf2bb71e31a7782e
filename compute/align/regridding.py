"""Values of a window brought onto a tile."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from compute.align import kernels
from compute.align.cells import Cells
from compute.align.matrices import Tile, Weights
from compute.align.options import Method
from compute.align.projected import Projected
from compute.align.rectilinear import Rectilinear
from compute.align.source import SourceMap

Array = NDArray[Any]


class Regridding(Protocol):
    """How the cells of a source lie in those of a target grid. Weights do not depend on how tiles are cut."""

    def window(self, method: Method, tile: Tile) -> Tile:
        """Rows and columns of the source that a tile of the target needs."""

    def weights(self, method: Method, tile: Tile, window: Tile) -> Weights:
        """The share of each cell of a window in each cell of a tile."""

    def candidates(self, tile: Tile, window: Tile) -> Weights:
        """The cells of a window that each cell of a tile may be filled from, the nearest first."""


def regridding(source: SourceMap, rows: Cells, columns: Cells, *, coast: bool = False) -> Regridding:
    """The regridding from a source to a target grid; coast: whether missing cells are filled from the nearest."""
    kind = Rectilinear if source.crs is None else Projected
    return kind(source, rows, columns, coast)


@dataclass(frozen=True, eq=False)
class Regridder:
    """The regridding of one variable from a window to a tile.

    needed  the share of a target's area, weights or source cells that must have values, 0 to 1
    near    where missing targets are filled from, None where they are not
    """

    method: Method
    weights: Weights
    needed: float
    near: Weights | None = None

    def __call__(self, values: Array) -> tuple[Array, Array, Array]:
        """(values, counts, filled) of the targets, each of shape (steps, targets).

        values  (steps, source cells), float32 or float64, NaN where missing; results are of the same type
        counts  of "mean": how many source cells had values, int32; else of no steps
        filled  int8, 1 where a value is that of the nearest source cell; of no steps where `near` is None
        """
        matrix = self.weights.first, self.weights.columns, self.weights.share
        out = np.empty((len(values), len(self.weights.first) - 1), values.dtype)
        counts = np.empty((len(values) if self.method == "mean" else 0, out.shape[1]), np.int32)
        filled = np.empty((len(values) if self.near else 0, out.shape[1]), np.int8)
        if self.method == "majority":
            kinds = np.unique(values[~np.isnan(values)])
            places = np.searchsorted(kinds, values).astype(values.dtype)
            values = np.where(np.isnan(values), values, places)
            kernels.majority(values, *matrix, self.needed, len(kinds), out)
        else:
            kernels.average(values, *matrix, self.needed, out, counts)
        if self.near:
            kernels.nearest(values, self.near.first, self.near.columns, out, filled)
        if self.method == "majority" and len(kinds):
            out = np.where(np.isnan(out), out, kinds[np.nan_to_num(out).astype(np.intp)])
        return out, counts, filled
