"""The map that a product lies on, as a source of regridding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from compute.align.cells import Cells, Values
from cube.errors import InputError, Problem
from cube.hashing import array_digest, digest
from cube.job import ProductView

KINDS = (("lat", "lon"), ("y", "x"), ("rlat", "rlon"))
"""Dimensions of maps as products have them: degrees, a projection, a rotated pole."""
DEGREE = 111_195.0
"""Metres of one degree of a great circle on a sphere of 6,371 km."""


@dataclass(frozen=True, eq=False)
class SourceMap:
    """dims: (y, x); crs: what pyproj takes, None for latitude and longitude; metre: whether the axes are in metres."""

    dims: tuple[str, str]
    y: Cells
    x: Cells
    crs: str | None
    metre: bool = False

    def digest(self) -> str:
        axes = [array_digest(np.stack([each.lower, each.centre, each.upper])) for each in (self.y, self.x)]
        return digest([self.dims, axes, self.crs])

    @property
    def degrees(self) -> float:
        """Size of a cell in degrees of a great circle: the side of a square of its area."""
        side = float(np.sqrt(self.y.size * self.x.size))
        return side / DEGREE if self.metre else side


def source_map(view: ProductView) -> SourceMap:
    """The map of a product. Raises InputError where it has none that can be regridded."""
    coords = view.template.coords
    dims = next((dims for dims in KINDS if all(name in coords and coords[name].dims == (name,) for name in dims)), None)
    if dims is None:
        raise InputError(
            Problem(
                "align-no-map",
                "has no axes of a map (lat and lon, y and x, or rlat and rlon)",
                view.name,
                fix="only products with a map can be brought onto a grid; points and series cannot",
            )
        )
    crs = None
    if dims != KINDS[0]:
        crs = f"EPSG:{view.template.crs['epsg']}" if view.template.crs.get("epsg") else view.template.crs.get("wkt")
        if crs is None:
            raise InputError(
                Problem(
                    "align-no-crs",
                    f"its map has the axes {dims[0]} and {dims[1]} but no coordinate reference system",
                    view.name,
                    "where its cells are on the globe is not known",
                    "ingest it with a source that knows the projection, or add the grid mapping to the files",
                )
            )
    y, x = (_cells(view, name) for name in dims)
    return SourceMap(dims, y, x, crs, metre=dims == KINDS[1])


def same_place(cells: Cells, values: Values) -> bool:
    """Whether centres agree within 1 % of a cell."""
    return len(cells) == len(values) and bool(np.abs(cells.centre - values).max() <= 0.01 * cells.size)


def _cells(view: ProductView, name: str) -> Cells:
    coords = view.template.coords
    centre = np.asarray(coords[name].values, np.float64)
    stored: Any = coords.get(f"{name}_bnds")
    if stored is not None:
        edges = np.sort(np.asarray(stored.values, np.float64), axis=1)
    elif len(centre) > 1:
        middle = (centre[1:] + centre[:-1]) / 2
        outer = np.concatenate([[2 * centre[0] - middle[0]], middle, [2 * centre[-1] - middle[-1]]])
        edges = np.sort(np.stack([outer[:-1], outer[1:]], axis=1), axis=1)
    else:
        raise InputError(
            Problem(
                "align-no-map",
                f"its one cell along {name} has no bounds",
                view.name,
                "how large the cell is cannot be known from one position",
                "ingest more than one cell, or files with bounds",
            )
        )
    return Cells(centre, edges[:, 0], edges[:, 1])
