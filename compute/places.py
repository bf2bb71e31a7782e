"""Whether products that are used together have the same cells."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyproj
import xarray as xr

from cube.errors import InputError, Problem
from cube.job import ProductView

Degrees = np.ndarray[Any, np.dtype[np.float64]]

SLACK = 0.01
"""Of a cell: stored axes carry noise of single precision."""


def refuse_other_cells(views: Sequence[ProductView]) -> None:
    """Raise InputError where the products are not all on the cells of the first."""
    problems = [problem for view in views[1:] for problem in _unlike(views[0], view)]
    if problems:
        raise InputError(problems)


def _unlike(first: ProductView, other: ProductView) -> Iterator[Problem]:
    ours, theirs = first.template, other.template
    if set(ours.space) != set(theirs.space) or ours.crs.get("epsg") != theirs.crs.get("epsg"):
        yield _problem(first, other, f"{_axes(other)} where {_axes(first)} were expected")
        return
    for name in ours.space:
        a, b = (view.template.coords[name].values for view in (first, other))
        if a.shape != b.shape:
            yield _problem(first, other, f"{len(b)} cells along {name} where {len(a)} were expected")
        elif len(a) and float(np.abs(a - b).max()) > SLACK * (abs(float(a[1] - a[0])) if len(a) > 1 else 1.0):
            worst = int(np.abs(a - b).argmax())
            yield _problem(first, other, f"{name} {b[worst]:g} where {a[worst]:g} was expected")


def _axes(view: ProductView) -> str:
    epsg = view.template.crs.get("epsg")
    return ", ".join(view.template.space) + (f" of EPSG:{epsg}" if epsg else "")


def _problem(first: ProductView, other: ProductView, what: str) -> Problem:
    return Problem(
        "cells-differ",
        what,
        f"{other.name} (with {first.name})",
        "values of one place would be combined with those of another",
        "bring them to one grid with a product of the job `align`",
    )


def places(view: ProductView, cells: Mapping[str, slice]) -> tuple[Degrees, Degrees]:
    """Latitude and longitude of the middle of each cell in degrees, each of shape (cells,), in the product's order."""
    template = view.template
    sizes = [cells[name].stop - cells[name].start for name in template.space]
    shape = xr.DataArray(np.empty(sizes), dims=template.space)
    found = [template.coords.get(name) for name in ("lat", "lon")]
    if all(each is not None and set(each.dims) <= set(template.space) for each in found):
        cut = [each.isel({str(dim): cells[str(dim)] for dim in each.dims}) for each in found if each is not None]
        lat, lon = (each.broadcast_like(shape).transpose(*template.space).values for each in cut)
    else:
        y, x = (template.coords[name].values[cells[name]] for name in template.space)
        northing, easting = np.meshgrid(y, x, indexing="ij")
        crs = pyproj.CRS(template.crs["epsg"] or template.crs["wkt"])
        lon, lat = pyproj.Transformer.from_crs(crs, "EPSG:4326", always_xy=True).transform(easting, northing)
    flat = [np.ascontiguousarray(np.asarray(each).reshape(-1), np.float64) for each in (lat, lon)]
    return flat[0], flat[1]


def latitudes(view: ProductView, cells: Mapping[str, slice]) -> Degrees:
    """Latitude of the middle of each cell in degrees, shape (cells,), in the order of the product's dimensions."""
    return places(view, cells)[0]
