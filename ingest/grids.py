"""The map of a file: its kind, its published axes, and where its cells are in the file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cube.options import Area
from cube.units import conversion
from ingest import ease2, scatter
from ingest.axis import TOLERANCE, Axis, AxisError, Values, latitude, longitude, plain
from ingest.conventions import safe_name
from ingest.declaration import GridRule
from ingest.facts import FileFacts, Structure, array
from ingest.gridmap import GridMap
from ingest.projections import ProjectionError, mapping_of
from ingest.roles import bounds_of

Kind = Literal["latlon", "projected", "rotated", "points", "none"]


class GridError(ValueError):
    """A map that cannot be used; `code` and `fix` are those of the problem."""

    def __init__(self, code: str, what: str, fix: str) -> None:
        super().__init__(what)
        self.code = code
        self.fix = fix


@dataclass(frozen=True, eq=False)
class Grid:
    """A file's map in published order.

    roles    of native dimensions: "y", "x", "point", the name of the dimension of stations, or "" for one to drop
    y, x     published axes, None where there is no map
    mapping  CF attributes of the projection
    plane    latitude and longitude of each cell (y, x) where the axes are not those
    stations latitude and longitude of points without a map, in the file's order
    """

    kind: Kind
    map: GridMap
    roles: Mapping[str, str]
    y: Axis | None = None
    x: Axis | None = None
    mapping: dict[str, Any] | None = None
    plane: tuple[Values, Values] | None = None
    stations: tuple[Values, Values] | None = None
    dims: tuple[str, ...] = field(default=())

    def same(self, other: Grid) -> bool:
        """Whether both are the same map within the tolerance."""
        if self is other:
            return True
        if self.kind != other.kind or self.map.shape != other.map.shape or self.mapping != other.mapping:
            return False
        if self.y is not None and self.x is not None and other.y is not None and other.x is not None:
            return self.y.same(other.y) and self.x.same(other.x)
        if self.stations is not None and other.stations is not None:
            pairs = zip(self.stations, other.stations, strict=True)
            return all(mine.shape == theirs.shape and np.allclose(mine, theirs, atol=1e-4) for mine, theirs in pairs)
        return True

    def axes(self) -> tuple[Axis, Axis]:
        """(y, x) of a grid that has a map."""
        if self.y is None or self.x is None:
            raise ValueError("there is no map")
        return self.y, self.x

    def describe(self) -> str:
        """The map in a few words, for messages."""
        if self.y is None or self.x is None:
            return f"{len(self.stations[0])} stations" if self.stations else "no map"
        axes = zip(self.dims, (self.y, self.x), strict=True)
        return ", ".join(
            f"{name} {len(axis.values)} from {axis.values[0]:g} to {axis.values[-1]:g}" for name, axis in axes
        )


def resolve(
    structure: Structure, facts: FileFacts, blobs: Mapping[str, bytes], rule: GridRule, area: Area | None, data: str
) -> Grid:
    """The map that the variable `data` of a file lies on, cut to the area. Raises GridError."""
    stored = {name: array(blobs[hashed]) for name, hashed in facts.arrays.items()}
    try:
        if rule.kind == "ease2":
            return _cut(_ease2(structure, facts, data), area)
        return _read(structure, stored, rule, area)
    except AxisError as error:
        raise GridError("grid-axis", str(error), "correct the coordinates of the file, or leave it out") from None
    except ProjectionError as error:
        fix = "use a source that knows the projection, or add the grid mapping to the file"
        raise GridError("grid-projection", str(error), fix) from None


@dataclass(frozen=True, eq=False)
class _Coordinates:
    """What a file says of its map; None for what it does not."""

    latitude: Values | None
    longitude: Values | None
    latitude_bounds: Values | None
    longitude_bounds: Values | None
    y: Axis | None
    x: Axis | None
    turned: bool


def _coordinates(structure: Structure, stored: Mapping[str, Values]) -> _Coordinates:
    roles, variables = structure.roles, structure.variables

    def values(name: str | None) -> Values | None:
        return None if name is None else stored.get(name)

    def bounds(name: str | None) -> Values | None:
        found = values(bounds_of(name, variables)) if name else None
        return found if found is not None and found.ndim == 2 and found.shape[1] == 2 else None

    def axis(name: str | None, dim: str) -> Axis | None:
        found = values(name)
        if name is None or found is None or variables[name].dims != (dim,):
            return None
        edges, scale = bounds(name), _metres(variables[name].text("units"))
        return plain(found * scale, None if edges is None else edges * scale)

    rows, columns = structure.map_dims[0], structure.map_dims[-1]
    return _Coordinates(
        values(roles.latitude),
        values(roles.longitude),
        bounds(roles.latitude),
        bounds(roles.longitude),
        axis(roles.y, rows),
        axis(roles.x, columns),
        roles.y is not None and (roles.y == "rlat" or variables[roles.y].text("standard_name") == "grid_latitude"),
    )


def _metres(units: str) -> float:
    """Metres of the unit of a projection's axis; 1 for degrees and for texts that are no length."""
    try:
        return conversion(units, "m")[0]
    except ValueError:
        return 1.0


def _read(structure: Structure, stored: Mapping[str, Values], rule: GridRule, area: Area | None) -> Grid:
    dims = structure.map_dims
    if not dims:
        return Grid("none", GridMap(), {})
    found = _coordinates(structure, stored)
    north, east = found.latitude, found.longitude
    if len(dims) == 1:
        if north is None or east is None:
            raise GridError("grid-axis", "its points have no coordinates", "add latitude and longitude to the file")
        return _vector(north, east, {dims[0]: "point"}, rule, area)
    straight = _straight(north, east) if north is not None and east is not None else None
    # A rotated pole at 90 N turns nothing, and axes without a mapping are only numbers.
    needless = straight is not None and (found.turned or (rule.epsg is None and not structure.mappings))
    if found.y is not None and found.x is not None and not needless:
        return _cut(_projected(structure, found, found.y, found.x, rule), area)
    if north is None or east is None:
        raise GridError("grid-axis", "its map has no coordinates", "add latitude and longitude to the file")
    if north.ndim == 1:
        rows, columns = latitude(north, found.latitude_bounds), longitude(east, found.longitude_bounds)
        return _cut(_latlon(dims, rows, columns), area)
    if straight is not None:
        if found.y is not None and found.x is not None and found.y.same(straight[0]) and found.x.same(straight[1]):
            # The axes of a rotation by nothing are the more exact ones.
            straight = found.y, found.x
        return _cut(_latlon(dims, *straight), area)
    if 1 in north.shape:
        along = int(np.argmax(north.shape))
        roles = {dim: "point" if position == along else "" for position, dim in enumerate(dims)}
        return _vector(north.ravel(), east.ravel(), roles, rule, area)
    if projected := scatter.plane(north, (east + 180) % 360 - 180, rule.tried):
        y, x, epsg = projected
        roles = dict(zip(dims, "yx", strict=True))
        return _cut(Grid("projected", GridMap(), roles, y, x, mapping_of(None, epsg), dims=("y", "x")), area)
    raise GridError(
        "grid-curvilinear",
        "latitude and longitude vary along both dimensions and there are no projected axes",
        "regrid the files, or add the projection's axes and grid mapping",
    )


def _projected(structure: Structure, found: _Coordinates, y: Axis, x: Axis, rule: GridRule) -> Grid:
    plane = None
    if found.latitude is not None and found.longitude is not None and found.latitude.ndim == 2:
        plane = (found.latitude, found.longitude)
    return Grid(
        "rotated" if found.turned else "projected",
        GridMap(),
        dict(zip(structure.map_dims, "yx", strict=True)),
        y,
        x,
        mapping_of(_mapping(structure), rule.epsg),
        plane,
        dims=("rlat", "rlon") if found.turned else ("y", "x"),
    )


def _mapping(structure: Structure) -> dict[str, Any] | None:
    named = {facts.text("grid_mapping") for facts in structure.variables.values()}
    for name, attrs in structure.mappings.items():
        if name in named or len(structure.mappings) == 1:
            return attrs
    return None


def _latlon(dims: tuple[str, ...], y: Axis, x: Axis) -> Grid:
    return Grid("latlon", GridMap(), dict(zip(dims, "yx", strict=True)), y, x, dims=("lat", "lon"))


def _straight(latitudes: Values, longitudes: Values) -> tuple[Axis, Axis] | None:
    """The axes of two-dimensional latitudes and longitudes that vary along one dimension each, None for others."""
    if latitudes.ndim != 2 or latitudes.shape != longitudes.shape:
        return None
    if not (np.isfinite(latitudes).any() and np.isfinite(longitudes).any()):
        return None
    rows, columns = np.isfinite(latitudes).argmax(axis=1), np.isfinite(longitudes).argmax(axis=0)
    north = latitudes[np.arange(len(rows)), rows]
    east = longitudes[columns, np.arange(len(columns))]
    if not (np.isfinite(north).all() and np.isfinite(east).all()):
        return None
    cells = [float(np.abs(np.diff(each)).min()) if len(each) > 1 else 1.0 for each in (north, east)]
    off = np.abs(latitudes - north[:, None]), np.abs((longitudes - east[None, :] + 180) % 360 - 180)
    if any(np.nanmax(each) > TOLERANCE * cell for each, cell in zip(off, cells, strict=True)):
        return None
    return latitude(north, None), longitude(east, None)


def _vector(latitudes: Values, longitudes: Values, roles: Mapping[str, str], rule: GridRule, area: Area | None) -> Grid:
    if rule.kind == "land":
        found = scatter.spanned(latitudes, longitudes, rule.tried)
        whole = Grid(
            "latlon" if found.epsg is None else "projected",
            GridMap(),
            roles,
            found.y,
            found.x,
            None if found.epsg is None else mapping_of(None, found.epsg),
            dims=("lat", "lon") if found.epsg is None else ("y", "x"),
        )
        grid = _cut(whole, area)
        return replace(grid, map=scatter.cut(found.index, *grid.axes()))
    if set(roles.values()) != {"point"}:
        raise GridError(
            "grid-curvilinear",
            "its points lie along one row of a map",
            "use the source `jules`, which maps land points",
        )
    if area is not None:
        raise GridError("area-kind", "stations have no map to cut an area from", "leave out `area`")
    return Grid("points", GridMap(), {dim: safe_name(dim) for dim in roles}, stations=(latitudes, longitudes))


def _ease2(structure: Structure, facts: FileFacts, data: str) -> Grid:
    dims = structure.variables[data].dims[-2:]
    axes = ease2.axes(tuple(facts.sizes[dim] for dim in dims))
    if axes is None:
        sizes = " x ".join(str(facts.sizes[dim]) for dim in dims)
        known = " or ".join(f"{rows} x {columns}" for rows, columns in ease2.CELLS)
        raise GridError("grid-differs", f"its map is {sizes}, not {known} of EASE-Grid 2.0", "leave the file out")
    mapping = mapping_of(None, ease2.EPSG)
    return Grid("projected", GridMap(), dict(zip(dims, "yx", strict=True)), *axes, mapping, dims=("y", "x"))


def _cut(grid: Grid, area: Area | None) -> Grid:
    """The part of the grid inside the area, with its map."""
    y, x = grid.axes()
    if area is not None:
        box = (area.lat, area.lon) if grid.kind == "latlon" else (area.y, area.x)
        if box[0] is None or box[1] is None:
            wanted = "lat and lon" if grid.kind == "latlon" else "x and y"
            raise GridError("area-kind", f"the map's axes are {' and '.join(grid.dims)}", f"give `area` by {wanted}")
        rows = y.cut(*box[0])
        columns = x.cut(*box[1], turn=360.0 if grid.kind == "latlon" else 0.0)
        if rows is None or columns is None:
            raise GridError("area-empty", f"no cell lies in the area; the map is {grid.describe()}", "correct `area`")
        y, x = rows, columns
    plane = grid.plane
    if plane is not None:
        native = np.ix_(_native(y), _native(x))
        plane = (plane[0][native], (plane[1][native] + 180) % 360 - 180)
    shape = (len(y.values), len(x.values))
    return replace(grid, y=y, x=x, plane=plane, map=GridMap(shape, y.runs, x.runs))


def _native(axis: Axis) -> NDArray[np.intp]:
    return np.concatenate([run.source + run.step * np.arange(run.count) for run in axis.runs])
