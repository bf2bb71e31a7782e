"""Which variable of a file plays which part: time, bounds, latitude and longitude, axes, data."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Any

LATITUDE_UNITS = re.compile(r"degrees?_?n(orth)?", re.IGNORECASE)
LONGITUDE_UNITS = re.compile(r"degrees?_?e(ast)?", re.IGNORECASE)
_BOUNDS_NAMES = re.compile(r".*_(bnds|bounds|bnd|vertices)", re.IGNORECASE)
_SINCE = re.compile(r"\s*\w+\s+since\s+\S", re.IGNORECASE)
_LATITUDES = {"lat", "latitude", "nav_lat"}
_LONGITUDES = {"lon", "long", "longitude", "nav_lon"}
_NORTHINGS = {"y", "northing", "rlat", "projection_y_coordinate"}
_EASTINGS = {"x", "easting", "rlon", "projection_x_coordinate"}
_Y_STANDARD = {"projection_y_coordinate", "grid_latitude"}
_X_STANDARD = {"projection_x_coordinate", "grid_longitude"}


@dataclass(frozen=True)
class VariableFacts:
    """A variable as the file describes it.

    dtype   NumPy's name; "" for text and compound types
    chunks  stored chunk shape, None where contiguous
    fills   values that the file says are missing, besides NaN
    scale, offset   packing, None where there is none
    attrs   the attributes that a product may keep or that decide what the variable is
    """

    dtype: str
    dims: tuple[str, ...]
    chunks: tuple[int, ...] | None = None
    fills: tuple[float | int, ...] = ()
    scale: float | None = None
    offset: float | None = None
    unsigned: bool = False
    attrs: dict[str, Any] = field(default_factory=dict)

    def text(self, name: str) -> str:
        """A text attribute, "" where there is none."""
        value = self.attrs.get(name)
        return value.strip() if isinstance(value, str) else ""


@dataclass(frozen=True)
class Roles:
    """The parts that the variables of a file play; names are paths within the file.

    latitude, longitude  variables of degrees, of one or two dimensions
    y, x                 axes of a projection or of a rotated pole
    axes                 other numeric coordinate variables, by dimension
    scalars              single numbers, such as a height
    data                 what may become a variable of a product
    ignored              why others may not, by name
    """

    time: str | None = None
    time_bounds: str | None = None
    latitude: str | None = None
    longitude: str | None = None
    y: str | None = None
    x: str | None = None
    axes: dict[str, str] = field(default_factory=dict)
    scalars: tuple[str, ...] = ()
    data: tuple[str, ...] = ()
    ignored: dict[str, str] = field(default_factory=dict)


def bounds_of(name: str, variables: dict[str, VariableFacts]) -> str | None:
    """The bounds variable of a coordinate that is really in the file, by attribute or by custom."""
    for candidate in (variables[name].text("bounds"), f"{name}_bnds", f"{name}_bounds"):
        if candidate in variables and variables[candidate].dims[:-1] == variables[name].dims:
            return candidate
    return None


def assign(variables: dict[str, VariableFacts]) -> Roles:
    """Give every variable its part."""
    never_data = {
        variables[name].text(attribute) for name in variables for attribute in ("bounds", "climatology", "grid_mapping")
    }
    never_data |= {
        name for name, facts in variables.items() if _BOUNDS_NAMES.fullmatch(name) or facts.text("grid_mapping_name")
    }
    numeric = {name: facts for name, facts in variables.items() if facts.dtype and name not in never_data}
    time = _time(numeric)
    latitude = _first(numeric, "latitude", LATITUDE_UNITS, _LATITUDES)
    longitude = _first(numeric, "longitude", LONGITUDE_UNITS, _LONGITUDES)
    degrees = {latitude, longitude}
    y = _axis(numeric, _Y_STANDARD, "Y", _NORTHINGS, degrees)
    x = _axis(numeric, _X_STANDARD, "X", _EASTINGS, degrees)
    known = {time, latitude, longitude, y, x}
    axes, scalars, data, ignored = {}, [], [], {}
    for name, facts in variables.items():
        if name in known or name in never_data:
            continue
        if not facts.dtype:
            ignored[name] = "it holds text"
        elif facts.dims == (name,):
            axes[name] = name
        elif is_time(facts):
            ignored[name] = "it holds times"
        elif not facts.dims:
            scalars.append(name)
        else:
            data.append(name)
    time_bounds = bounds_of(time, variables) if time else None
    found = Roles(time, time_bounds, latitude, longitude, y, x, axes, tuple(scalars), (), ignored)
    return _with_data(found, data, variables)


def map_dims(roles: Roles, variables: dict[str, VariableFacts]) -> tuple[str, ...]:
    """The native dimensions of the map: (y, x), one dimension of points, or none."""
    if roles.latitude and roles.longitude:
        rows, columns = variables[roles.latitude].dims, variables[roles.longitude].dims
        if len(rows) == 2 and rows == columns:
            return rows
        if len(rows) == len(columns) == 1:
            return rows if rows == columns else (*rows, *columns)
    if roles.y and roles.x:
        return (*variables[roles.y].dims, *variables[roles.x].dims)
    return ()


def _with_data(roles: Roles, data: list[str], variables: dict[str, VariableFacts]) -> Roles:
    plane = set(map_dims(roles, variables))
    ignored = dict(roles.ignored)
    kept = []
    for name in data:
        if plane <= set(variables[name].dims):
            kept.append(name)
        else:
            ignored[name] = "it is not on the map"
    return replace(roles, data=tuple(kept), ignored=ignored)


def is_time(facts: VariableFacts) -> bool:
    """Whether units such as "days since 1970-01-01" make it a time."""
    return bool(_SINCE.match(facts.text("units")))


def _time(numeric: dict[str, VariableFacts]) -> str | None:
    def rank(name: str) -> int:
        facts = numeric[name]
        if len(facts.dims) > 1 or (facts.dims and facts.dims != (name,)):
            return 0
        named = facts.text("standard_name") == "time" or name.lower() in {"time", "valid_time"}
        if facts.dims:
            return 4 if is_time(facts) else 3 if named else 0
        return 2 if is_time(facts) and named else 0

    best = max(numeric, key=rank, default=None)
    return best if best is not None and rank(best) else None


def _first(numeric: dict[str, VariableFacts], standard: str, units: re.Pattern[str], names: set[str]) -> str | None:
    def rank(name: str) -> int:
        facts = numeric[name]
        if len(facts.dims) not in (1, 2):
            return 0
        if facts.text("standard_name") == standard:
            known = 3
        elif name.lower() in names:
            known = 2
        else:
            known = 1 if units.fullmatch(facts.text("units")) and facts.dims == (name,) else 0
        return 2 * known + (len(facts.dims) == 1) if known else 0

    best = max(numeric, key=rank, default=None)
    return best if best is not None and rank(best) else None


def _axis(
    numeric: dict[str, VariableFacts], standard: set[str], axis: str, names: set[str], degrees: set[str | None]
) -> str | None:
    def rank(name: str) -> int:
        facts = numeric[name]
        if name in degrees or facts.dims != (name,):
            return 0
        if facts.text("standard_name") in standard or facts.text("long_name") in standard:
            return 3
        return 2 if name in names else 1 if facts.text("axis").upper() == axis else 0

    best = max(numeric, key=rank, default=None)
    return best if best is not None and rank(best) else None
