"""The map that a vector of land points spans, and the point of each of its cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ingest.axis import Axis, AxisError, Values, plain
from ingest.gridmap import GridMap
from ingest.projections import project

_DEGREES_NOISE = 4e-5
"""Degrees within which positions in single precision are one."""

_METRES_NOISE = 10.0
"""Metres that single-precision degrees and datum shifts move projected cell centres."""

_SPARSE = 400
"""Cells a point: a map emptier than this is no map that the points were taken from."""


@dataclass(frozen=True, eq=False)
class Spanned:
    """The map of a vector of points.

    index  point of each cell or -1, shape (y, x);  epsg  the projection of the axes, None for degrees
    """

    y: Axis
    x: Axis
    index: NDArray[np.int32]
    epsg: int | None = None

    @property
    def is_regular(self) -> bool:
        """Whether both axes have a step, or are too short to have one."""
        return all(axis.step is not None or len(axis.values) == 1 for axis in (self.y, self.x))


def spanned(latitudes: Values, longitudes: Values, tried: Sequence[int]) -> Spanned:
    """The map of points in degrees, each of shape (n,): in degrees, or of a projection where it is regular only there.

    tried  EPSG codes of projections whose cells have their centres on whole hundreds of metres

    Axes step by the smallest distance of two points where all others are multiples of it, so that rows without land
    are there too. Raises AxisError for repeated points and for points that span no map.
    """
    turned = np.where(longitudes > 180, longitudes - 360, longitudes)
    found: Spanned | None = None
    try:
        found = _span(latitudes, turned, _DEGREES_NOISE)
        if found.y.bounds is not None:
            found = replace(found, y=replace(found.y, bounds=np.clip(found.y.bounds, -90, 90)))
    except AxisError:
        if not tried:
            raise
    if found is not None and found.is_regular:
        return found
    for epsg in tried:
        east, north = project(epsg, turned, latitudes)
        off = max(float(np.abs(each - np.rint(each / 100) * 100).max()) for each in (east, north))
        if off <= _METRES_NOISE:  # not a number outside the projection's area
            projected = _span(north, east, _METRES_NOISE)
            if projected.is_regular:
                return replace(projected, epsg=epsg)
    if found is None:
        raise AxisError(f"{len(latitudes)} points span no map, neither in degrees nor on a known projection")
    return found


def plane(latitudes: Values, longitudes: Values, tried: Sequence[int]) -> tuple[Axis, Axis, int] | None:
    """(y axis, x axis, EPSG code) of two-dimensional degrees that are straight on a projection; None on none."""
    for epsg in tried:
        x, y = project(epsg, longitudes, latitudes)
        if not (np.isfinite(x).all() and np.isfinite(y).all()):
            continue
        rows, columns = np.median(y, axis=1), np.median(x, axis=0)
        off = max(float(np.abs(y - rows[:, None]).max()), float(np.abs(x - columns[None, :]).max()))
        if off <= 2 * _METRES_NOISE:
            return plain(rows, None, _METRES_NOISE), plain(columns, None, _METRES_NOISE), epsg
    return None


def cut(index: NDArray[np.int32], y: Axis, x: Axis) -> GridMap:
    """The map of the part that the axes, cut from those of `span`, still hold."""
    part = index[np.ix_(_native(y), _native(x))]
    return GridMap(shape=part.shape, scatter=np.ascontiguousarray(part, dtype="<i4").tobytes())


def _span(ys: Values, xs: Values, same: float) -> Spanned:
    """The map of points; positions closer than `same` are one."""
    rows, y = _line(ys, same)
    columns, x = _line(xs, same)
    cells = len(y.values) * len(x.values)
    if cells > max(10_000, _SPARSE * len(ys)):
        raise AxisError(f"{len(ys)} points would span a map of {len(y.values)} by {len(x.values)} cells")
    index = np.full((len(y.values), len(x.values)), -1, np.int32)
    index[rows, columns] = np.arange(len(ys))
    if (index >= 0).sum() != len(ys):
        raise AxisError("two points lie in one cell")
    return Spanned(y, x, index)


def _line(positions: Values, same: float) -> tuple[NDArray[np.intp], Axis]:
    """(index on the axis of each position, the axis)."""
    if not np.isfinite(positions).all():
        raise AxisError("positions are missing")
    ascending = np.unique(positions)
    distinct = ascending[np.diff(ascending, prepend=-np.inf) > same]
    axis = plain(_filled(distinct, same), None, same)
    middles = (axis.values[1:] + axis.values[:-1]) / 2
    return np.searchsorted(middles, positions), axis


def _filled(values: Values, same: float) -> Values:
    """The positions with those between them that no point has, where the distances are multiples of the smallest."""
    if len(values) < 2:
        return values
    distances = np.diff(values)
    whole = np.rint(distances / distances.min())
    # The smallest distance is the noisiest; the whole extent gives the step.
    step = (values[-1] - values[0]) / whole.sum()
    if whole.sum() > _SPARSE * len(values):
        return values
    if np.abs(distances - whole * step).max() > 0.01 * step + same:
        return values
    return np.linspace(values[0], values[-1], int(whole.sum()) + 1)


def _native(axis: Axis) -> NDArray[np.intp]:
    return np.concatenate([run.source + run.step * np.arange(run.count) for run in axis.runs])
