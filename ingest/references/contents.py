"""What one file says about its variables: what decides decoding, the time axis, the coordinates. No data are read."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import cftime
import numpy as np

from cube.axes import CALENDARS

# What a reader applies to stored values; a Zarr array can carry only one of each.
PACKING = ("scale_factor", "add_offset", "_Unsigned")
FILL = ("_FillValue", "missing_value")
UNITS = ("units", "calendar")
# Attributes that name other variables; those that hold for the references are written anew.
_POINTERS = frozenset({"coordinates", "ancillary_variables", "cell_measures", "formula_terms", "climatology"})
MICROSECONDS = "microseconds since 1970-01-01"

type Array = np.ndarray[Any, Any]
type Refuse = Callable[[str, str], None]


@dataclass(frozen=True)
class Inlined:
    """A coordinate whose values the references carry themselves; `fill` is its raw `_FillValue`."""

    dims: tuple[str, ...]
    values: Array
    attrs: dict[str, Any]
    fill: Any = None


@dataclass(frozen=True)
class Times:
    """The time axis of one file; `values` (n,) and `bounds` (n, 2) are int64 microseconds since 1970 in `calendar`."""

    name: str
    calendar: str
    values: Array
    attrs: dict[str, Any]
    bounds: Array | None = None
    bounds_name: str = ""
    bounds_dim: str = ""


@dataclass(frozen=True)
class Facts:
    """One asked variable: `decoding` has the raw attributes that decide its values, `attrs` all that JSON can hold."""

    dims: tuple[str, ...]
    time_axis: int
    dtype: str
    decoding: dict[str, Any]
    attrs: dict[str, Any]


@dataclass
class Contents:
    """One file: `digests` compare coordinates between files, `inlined` holds them where they were kept."""

    members: list[str]
    times: Times | None = None
    variables: dict[str, Facts] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    inlined: dict[str, Inlined] = field(default_factory=dict)
    attrs: dict[str, Any] = field(default_factory=dict)


def read_contents(dataset: Any, variables: Sequence[str], keep: bool, refuse: Refuse) -> Contents:
    """Contents of an open netCDF4.Dataset that neither masks nor scales; `refuse(code, what)` gets every obstacle."""
    found = Contents([*dataset.variables, *dataset.groups], attrs=_plain_attributes(dataset))
    times = set()
    for name in variables:
        variable = dataset.variables.get(name)
        if variable is None:
            refuse("references-variable", f"it has no variable {name!r}")
        elif not isinstance(variable.datatype, np.dtype) or variable.datatype.kind not in "iuf":
            text = variable.dtype is str or getattr(variable.dtype, "kind", "") in "SU"
            refuse("references-type", f"{name} holds {'text' if text else variable.datatype}, not plain numbers")
        elif not (along := [dim for dim in variable.dimensions if _is_time(dataset.variables.get(dim))]):
            refuse("references-time", f"{name} has no time axis, so that files cannot be joined along time")
        elif not variable.size:
            refuse("references-empty", f"{name} has no values")
        else:
            times.add(along[0])
            found.variables[name] = _facts(name, variable, along[0], refuse)
    if len(times) > 1:
        refuse("references-time", f"the variables have different time axes: {', '.join(sorted(times))}")
    elif times:
        try:
            found.times = _times(dataset, next(iter(times)))
        except (ValueError, OverflowError) as error:
            refuse("references-time", f"its time axis cannot be decoded: {error}")
        else:
            for name in _carried(dataset, found, found.times):
                _carry(dataset.variables[name], name, found, keep)
    return found


def decode_times(values: Array, units: str, calendar: str) -> Array:
    """Int64 microseconds since 1970-01-01 in `calendar`, shape as given. Raises ValueError for what does not decode."""
    if not np.isfinite(values).all():
        raise ValueError("a time is missing")
    # float32 is widened first, else the multiplication itself would round.
    wide = values.astype("int64" if values.dtype.kind in "iu" else "float64")
    dates = cftime.num2date(wide, units, calendar, only_use_cftime_datetimes=True)
    return np.asarray(cftime.date2num(dates, MICROSECONDS, calendar)).astype("int64")


def _plain_attributes(item: Any) -> dict[str, Any]:
    """Attributes as JSON holds them. Numbers that are not finite have no JSON form and are left out."""
    found = {}
    for name in item.ncattrs():
        value = item.getncattr(name)
        value = value.tolist() if isinstance(value, np.generic | np.ndarray) else value
        numbers = value if isinstance(value, list) else [value]
        if all(not isinstance(number, float) or math.isfinite(number) for number in numbers):
            found[name] = value
    return {name: value for name, value in found.items() if name not in _POINTERS}


def _facts(name: str, variable: Any, time: str, refuse: Refuse) -> Facts:
    decoding = {key: variable.getncattr(key) for key in (*PACKING, *FILL, *UNITS) if key in variable.ncattrs()}
    missing, fill = np.asarray(decoding.get("missing_value", 0)), decoding.get("_FillValue")
    # NaN is missing without being declared; an infinity would be lost with the attribute.
    if missing.dtype.kind == "f" and np.isinf(missing).any() and not (missing.size == 1 and missing == fill):
        refuse("references-fill", f"{name} has a missing_value of {missing}, which JSON cannot hold")
    attrs = _plain_attributes(variable)
    attrs.pop("_FillValue", None)
    dims = variable.dimensions
    return Facts(dims, dims.index(time), variable.dtype.newbyteorder("=").str, decoding, attrs)


def _is_time(variable: Any) -> bool:
    return variable is not None and variable.ndim == 1 and " since " in str(getattr(variable, "units", ""))


def _times(dataset: Any, name: str) -> Times:
    variable = dataset.variables[name]
    if {"scale_factor", "add_offset"} & set(variable.ncattrs()):
        raise ValueError("it is packed")
    calendar = CALENDARS.get(str(getattr(variable, "calendar", "standard")).lower())
    if calendar is None:
        raise ValueError(f"calendar {variable.calendar!r} is not one of CF's")
    raw = np.asarray(variable[:])
    if not raw.size:
        raise ValueError("it has no step")
    if (raw == getattr(variable, "_FillValue", np.nan)).any():
        raise ValueError("a time is missing")
    values = decode_times(raw, variable.units, calendar)
    attrs = {key: value for key, value in _plain_attributes(variable).items() if key not in {*FILL, *UNITS}}
    bounds_name = str(attrs.pop("bounds", ""))
    bounds = dataset.variables.get(bounds_name)
    if bounds is None or bounds.dimensions[:1] != (name,) or bounds.shape[1:] != (2,):
        return Times(name, calendar, values, attrs)
    units = str(getattr(bounds, "units", ""))
    edges = decode_times(np.asarray(bounds[:]), units if " since " in units else variable.units, calendar)
    return Times(name, calendar, values, attrs, edges, bounds_name, bounds.dimensions[1])


def _carried(dataset: Any, found: Contents, times: Times) -> Iterator[str]:
    """What locates the variables: dimension and static auxiliary coordinates, their bounds, grid mappings."""
    taken = {times.name, times.bounds_name, *found.variables}
    for variable in (dataset.variables[name] for name in found.variables):
        mappings = str(getattr(variable, "grid_mapping", "")).replace(":", " ").split()
        names = [*variable.dimensions, *str(getattr(variable, "coordinates", "")).split(), *mappings]
        while names:
            name = names.pop(0)
            other = dataset.variables.get(name)
            if other is not None and name not in taken and times.name not in other.dimensions:
                taken.add(name)
                names.append(str(getattr(other, "bounds", "")))
                yield name


def _carry(variable: Any, name: str, found: Contents, keep: bool) -> None:
    attrs = _plain_attributes(variable)
    fill = variable.getncattr("_FillValue") if "_FillValue" in variable.ncattrs() else None
    attrs.pop("_FillValue", None)
    if "grid_mapping_name" in attrs:
        # The value of a grid mapping means nothing in CF and is often text; its attributes mean all.
        carried = Inlined((), np.zeros((), "int32"), attrs)
        identity = repr(sorted(attrs.items()))
    else:
        values = np.asarray(variable[...])
        if values.dtype.kind in "iuf":
            values = values.astype(values.dtype.newbyteorder("="))
        carried = Inlined(variable.dimensions, values, attrs, fill)
        identity = repr((carried.dims, {key: attrs.get(key) for key in (*PACKING, "units")}))
    plain = carried.values.dtype.kind in "iuf"
    content = carried.values.tobytes() if plain else repr(carried.values.tolist()).encode()
    head = f"{identity} {carried.values.dtype.str} {carried.values.shape} ".encode()
    found.digests[name] = hashlib.sha256(head + content).hexdigest()
    # Text coordinates are compared but not carried: readers of other languages cannot decode them.
    if keep and plain:
        found.inlined[name] = carried
