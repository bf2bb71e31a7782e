"""The coordinates of a product other than time, encoded and ready to be written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from cube.soil_layers import depth_axis
from ingest.axis import Axis
from ingest.facts import FileFacts, Structure, array
from ingest.findings import Findings
from ingest.grids import Grid
from ingest.projections import crs_of, degrees_box
from ingest.roles import VariableFacts, bounds_of

_AXES: dict[str, dict[str, str]] = {
    "lat": {"standard_name": "latitude", "long_name": "latitude", "units": "degrees_north", "axis": "Y"},
    "lon": {"standard_name": "longitude", "long_name": "longitude", "units": "degrees_east", "axis": "X"},
    "y": {"standard_name": "projection_y_coordinate", "long_name": "northing", "units": "m", "axis": "Y"},
    "x": {"standard_name": "projection_x_coordinate", "long_name": "easting", "units": "m", "axis": "X"},
    "rlat": {
        "standard_name": "grid_latitude",
        "long_name": "latitude of the rotated pole",
        "units": "degrees",
        "axis": "Y",
    },
    "rlon": {
        "standard_name": "grid_longitude",
        "long_name": "longitude of the rotated pole",
        "units": "degrees",
        "axis": "X",
    },
}
_KEPT = ("standard_name", "long_name", "units", "positive", "axis")


def dataset(
    grid: Grid,
    others: Mapping[str, int],
    soil: Sequence[float] | None,
    files: Sequence[tuple[Structure, FileFacts]],
    blobs: Mapping[str, bytes],
    findings: Findings,
) -> xr.Dataset:
    """Axes with bounds, other dimensions, scalars, and `crs` where the map is projected.

    others  sizes of the dimensions that are neither time nor the map's;  soil  layer thicknesses of `depth` in m
    files   structure and facts of the files, one of each kind, for coordinates that they must share
    """
    coords: dict[str, xr.Variable] = {}
    if grid.y is not None and grid.x is not None:
        for name, axis in zip(grid.dims, (grid.y, grid.x), strict=True):
            coords |= _axis(name, axis)
    if grid.plane is not None or grid.stations is not None:
        coords |= _degrees(grid)
    if grid.mapping is not None:
        coords["crs"] = _variable((), np.int32(0), grid.mapping)
    for name, size in others.items():
        if name == "depth" and soil is not None:
            coords |= depth_axis(soil)
        else:
            coords |= _other(name, size, files, blobs, findings)
    coords |= _scalars(files, blobs, findings)
    made = xr.Dataset(coords=coords)
    for variable in made.variables.values():
        variable.encoding["_FillValue"] = None
    return made


def place(grid: Grid) -> dict[str, Any]:
    """{"bbox": [west, south, east, north] in degrees, "crs": {"epsg", "wkt"}}."""
    plain = {"epsg": None, "wkt": None}
    if grid.y is None or grid.x is None:
        if grid.stations is None:
            return {"bbox": [-180.0, -90.0, 180.0, 90.0], "crs": plain}
        latitudes, longitudes = grid.stations[0], (grid.stations[1] + 180) % 360 - 180
        corners = [longitudes.min(), latitudes.min(), longitudes.max(), latitudes.max()]
        return {"bbox": [float(each) for each in corners], "crs": plain}
    (south, north), (west, east) = _ends(grid.y), _ends(grid.x)
    if grid.mapping is None:
        if east - west >= 360 - 1e-6:
            west, east = -180.0, 180.0
        return {"bbox": [west, south, east, north], "crs": plain}
    box = degrees_box(grid.mapping, west, south, east, north)
    return {"bbox": [round(each, 7) for each in box], "crs": crs_of(grid.mapping)}


def _ends(axis: Axis) -> tuple[float, float]:
    edges = axis.values if axis.bounds is None else axis.bounds
    return float(edges.min()), float(edges.max())


def _variable(dims: tuple[str, ...], values: Any, attrs: dict[str, Any] | None = None) -> xr.Variable:
    # Without `fastpath` xarray imports dask.array only to see that numbers are none of its arrays.
    return xr.Variable(dims, np.asarray(values), attrs, fastpath=True)


def _axis(name: str, axis: Axis) -> dict[str, xr.Variable]:
    attrs: dict[str, Any] = dict(_AXES[name])
    if axis.bounds is None:
        return {name: _variable((name,), axis.values, attrs)}
    attrs["bounds"] = f"{name}_bnds"
    return {
        name: _variable((name,), axis.values, attrs),
        f"{name}_bnds": _variable((name, "bnds"), axis.bounds),
    }


def _degrees(grid: Grid) -> dict[str, xr.Variable]:
    """Latitude and longitude where they are not the axes."""
    if grid.plane is not None:
        dims, values = grid.dims, grid.plane
    else:
        assert grid.stations is not None
        dims, values = tuple(grid.roles.values()), (grid.stations[0], (grid.stations[1] + 180) % 360 - 180)
    attrs = [{key: text for key, text in _AXES[name].items() if key != "axis"} for name in ("lat", "lon")]
    return {
        name: _variable(dims, np.asarray(each, np.float64), own)
        for name, each, own in zip(("lat", "lon"), values, attrs, strict=True)
    }


def _other(
    name: str,
    size: int,
    files: Sequence[tuple[Structure, FileFacts]],
    blobs: Mapping[str, bytes],
    findings: Findings,
) -> dict[str, xr.Variable]:
    """A dimension with the files' own coordinate where they share one, else counted from 1."""
    hashes = {facts.arrays.get(name) for _, facts in files if name in facts.sizes}
    hashed = next(iter(hashes), None)
    structure = next((structure for structure, facts in files if name in facts.arrays), None)
    if len(hashes) == 1 and hashed is not None and structure is not None:
        facts = next(facts for _, facts in files if facts.arrays.get(name) == hashed)
        own = _own(structure.variables[name])
        made = {name: _variable((name,), array(blobs[hashed]), own)}
        bounds = bounds_of(name, structure.variables)
        if bounds and bounds in facts.arrays:
            own["bounds"] = f"{name}_bnds"
            made[f"{name}_bnds"] = _variable((name, "bnds"), array(blobs[facts.arrays[bounds]]))
            made[name] = _variable((name,), made[name].values, own)
        return made
    if len(hashes) > 1:
        findings.problem(
            "dimension-differs",
            f"the files hold different values of the coordinate {name}",
            "files",
            "values of different levels would be joined as one",
            "make one product of each",
        )
    return {name: _variable((name,), np.arange(1, size + 1, dtype=np.int32), {"long_name": f"number of {name}"})}


def _scalars(
    files: Sequence[tuple[Structure, FileFacts]], blobs: Mapping[str, bytes], findings: Findings
) -> dict[str, xr.Variable]:
    """Single numbers, such as a height, that are the same in all files."""
    made: dict[str, xr.Variable] = {}
    names = sorted({name for structure, _ in files for name in structure.roles.scalars})
    for name in names:
        hashes = {facts.arrays.get(name) for _, facts in files}
        hashed = next(iter(hashes))
        if len(hashes) > 1 or hashed is None:
            findings.note(f"the number {name} is not the same in all files and is left out")
            continue
        structure, facts = next(each for each in files if name in each[1].arrays)
        attrs = _own(structure.variables[name])
        bounds = bounds_of(name, structure.variables)
        if bounds and bounds in facts.arrays:
            attrs["bounds"] = f"{name}_bnds"
            made[f"{name}_bnds"] = _variable(("bnds",), array(blobs[facts.arrays[bounds]]))
        made[name] = _variable((), float(array(blobs[hashed])), attrs)
    return made


def _own(facts: VariableFacts) -> dict[str, Any]:
    return {name: facts.attrs[name] for name in _KEPT if name in facts.attrs}
