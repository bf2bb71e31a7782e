"""Weights of source cells in target cells, as sparse matrices.

Rows are the target cells of a tile, columns the source cells of a window, both row by row of their maps. The entries of
a row do not depend on where tile and window are cut, nor does their order: sums are the same bits in any block.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from compute.align.cells import EDGE, Cells, Places, Values, away, number

Tile = tuple[slice, slice]
"""Rows and columns of a map."""

_DISTANCE_DECIMALS = 9
"""Of a cell: nearer than this two distances are equal, and the source cell that comes first is taken."""


@dataclass(frozen=True, eq=False)
class Weights:
    """A sparse matrix by rows: `columns[first[i]:first[i + 1]]` are the source cells of target i, with their `share`.

    first, columns  int32, shapes (targets + 1,), (entries,);  share  float64, shape (entries,)
    """

    first: NDArray[np.int32]
    columns: NDArray[np.int32]
    share: Values


def sparse(rows: Places, columns: Places, share: Values, shape: tuple[int, int]) -> Weights:
    """Entries in any order; those that are 0 are left out, those at one place are added."""
    some = share != 0
    return of_matrix(csr_array((share[some], (rows[some], columns[some])), shape=shape))


def of_matrix(matrix: Any) -> Weights:
    matrix.sum_duplicates()
    return Weights(matrix.indptr.astype(np.int32), matrix.indices.astype(np.int32), np.asarray(matrix.data, np.float64))


def interpolation(
    y: tuple[Places, Values], x: tuple[Places, Values], window: Tile, width: int
) -> tuple[Places, Places, Values]:
    """Entries (row, column, share) of bilinear interpolation between four cells.

    y, x   source cells and weights along each axis as `cells.neighbours` gives them, shape (targets, 2)
    width  columns of the window
    """
    (rows, across), (columns, along) = y, x
    share = across[:, :, None] * along[:, None, :]
    place = (rows - window[0].start)[:, :, None] * width + (columns - window[1].start)[:, None, :]
    target = np.broadcast_to(np.arange(len(rows))[:, None, None], share.shape)
    some = share != 0
    return target[some], place[some], share[some]


def membership(lat: Values, lon: Values, rows: Cells, columns: Cells) -> Weights:
    """Equal shares of the source cells whose centres lie in a target cell; a centre on an edge belongs north and east.

    lat, lon       centres of the window's cells in degrees, shape (source cells,)
    rows, columns  the target cells of the tile
    """
    row, column = number(lat, rows), number(lon, columns, 360.0)
    place = np.flatnonzero((row >= 0) & (column >= 0))
    target = row[place] * len(columns) + column[place]
    members = np.bincount(target, minlength=len(rows) * len(columns))
    return sparse(target, place, 1.0 / members[target], (len(members), len(lat)))


def by_distance(
    places: tuple[Values, Values],
    window: tuple[Cells, Cells],
    reach: tuple[float, float],
    scale: tuple[Values, Values],
    turn: float | None = None,
) -> Weights:
    """The source cells within reach of each target, the nearest first; `share` is the square of the distance.

    places  of the targets along the source's axes y and x, shape (targets,) each
    reach   how far a source cell's centre may be, along each axis
    scale   what turns distances along each axis into cells, shape (targets,) each
    """
    counts, columns, distances = [0], [np.empty(0, np.intp)], [np.empty(0)]
    down, along = (
        away(place, cells, around) for place, cells, around in zip(places, window, (None, turn), strict=True)
    )
    limits = [(1 + EDGE) * each for each in reach]
    for row, column, high, wide in zip(down, along, *scale, strict=True):
        y, x = (np.flatnonzero(np.abs(each) <= limit) for each, limit in zip((row, column), limits, strict=True))
        squared = ((row[y] * high)[:, None] ** 2 + (column[x] * wide)[None, :] ** 2).ravel()
        cells = (y[:, None] * len(window[1]) + x[None, :]).ravel()
        order = np.lexsort((cells, np.round(squared, _DISTANCE_DECIMALS)))
        counts.append(len(order))
        columns.append(cells[order])
        distances.append(squared[order])
    first = np.cumsum(counts).astype(np.int32)
    return Weights(first, np.concatenate(columns).astype(np.int32), np.concatenate(distances))
