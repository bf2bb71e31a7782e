"""The map that a vector of land points spans, and the point of each of its cells."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ingest.axis import Axis, AxisError, Values, plain
from ingest.gridmap import GridMap

_SPARSE = 400
"""Cells a point: a map emptier than this is no map that the points were taken from."""

_SAME = 4e-5
"""Degrees within which positions in single precision are one."""


def span(latitudes: Values, longitudes: Values) -> tuple[Axis, Axis, NDArray[np.int32]]:
    """(latitude axis, longitude axis, point of each cell or -1, shape (y, x)) of points in degrees, each of shape (n,).

    Axes step by the smallest distance of two points where all others are multiples of it, so that rows without land
    are there too. Raises AxisError for repeated points and for points that span no map.
    """
    if longitudes.max() > 180:
        longitudes = np.where(longitudes > 180, longitudes - 360, longitudes)
    rows, y = _line(latitudes)
    columns, x = _line(longitudes)
    cells = len(y.values) * len(x.values)
    if cells > max(10_000, _SPARSE * len(latitudes)):
        raise AxisError(f"{len(latitudes)} points would span a map of {len(y.values)} by {len(x.values)} cells")
    index = np.full((len(y.values), len(x.values)), -1, np.int32)
    index[rows, columns] = np.arange(len(latitudes))
    if (index >= 0).sum() != len(latitudes):
        raise AxisError("two points lie in one cell")
    if y.bounds is not None:
        y = replace(y, bounds=np.clip(y.bounds, -90, 90))
    return y, x, index


def cut(index: NDArray[np.int32], y: Axis, x: Axis) -> GridMap:
    """The map of the part that the axes, cut from those of `span`, still hold."""
    part = index[np.ix_(_native(y), _native(x))]
    return GridMap(shape=part.shape, scatter=np.ascontiguousarray(part, dtype="<i4").tobytes())


def _line(positions: Values) -> tuple[NDArray[np.intp], Axis]:
    """(index on the axis of each position, the axis)."""
    if not np.isfinite(positions).all():
        raise AxisError("positions are missing")
    ascending = np.unique(positions)
    distinct = ascending[np.diff(ascending, prepend=-np.inf) > _SAME]
    axis = plain(_filled(distinct), None, max(_SAME, 1e-6 * float(np.abs(distinct).max())))
    return np.abs(axis.values[None, :] - positions[:, None]).argmin(axis=1), axis


def _filled(values: Values) -> Values:
    """The positions with those between them that no point has, where the distances are multiples of the smallest."""
    if len(values) < 2:
        return values
    distances = np.diff(values)
    whole = np.rint(distances / distances.min())
    # The smallest distance is the noisiest; the whole extent gives the step.
    step = (values[-1] - values[0]) / whole.sum()
    if np.abs(distances - whole * step).max() > 0.01 * step + _SAME:
        return values
    return np.linspace(values[0], values[-1], int(whole.sum()) + 1)


def _native(axis: Axis) -> NDArray[np.intp]:
    return np.concatenate([run.source + run.step * np.arange(run.count) for run in axis.runs])
