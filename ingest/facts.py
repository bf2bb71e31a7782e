"""Facts of a file, gathered from one cheap open: structure, times, small coordinates. No data are read."""

from __future__ import annotations

import functools
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import netCDF4
import numpy as np
from numpy.typing import NDArray

from ingest import times
from ingest.opening import NativeFile
from ingest.roles import Roles, VariableFacts, assign, bounds_of, is_time, map_dims

FACTS_REVISION = 2
"""Raised when the same file gives other facts: cached ones are then gathered again."""

_KEPT = (
    "standard_name",
    "long_name",
    "units",
    "cell_methods",
    "comment",
    "axis",
    "positive",
    "calendar",
    "bounds",
    "climatology",
    "grid_mapping",
    "grid_mapping_name",
    "flag_values",
    "flag_masks",
    "flag_meanings",
    "day_begins",
)
_GLOBAL = ("title", "institution", "source", "references", "experiment_id", "source_id", "model_id", "frequency")
_SMALL = 2**22
"""Coordinates of more values than this (two-dimensional ones of large maps) are left alone."""


@dataclass(frozen=True)
class Structure:
    """What files of one kind share.

    variables  by path below the source's group
    groups     names of groups that hold variables although no group is expected
    attrs      a few global attributes
    """

    variables: dict[str, VariableFacts]
    groups: tuple[str, ...] = ()
    attrs: dict[str, str] = field(default_factory=dict)
    mappings: dict[str, dict[str, Any]] = field(default_factory=dict)

    @functools.cached_property
    def roles(self) -> Roles:
        return assign(self.variables)

    @functools.cached_property
    def map_dims(self) -> tuple[str, ...]:
        return map_dims(self.roles, self.variables)

    def to_text(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_text(cls, text: str) -> Structure:
        value = json.loads(text)
        variables = {
            name: VariableFacts(
                **facts
                | {
                    "dims": tuple(facts["dims"]),
                    "chunks": None if facts["chunks"] is None else tuple(facts["chunks"]),
                    "fills": tuple(facts["fills"]),
                }
            )
            for name, facts in value.pop("variables").items()
        }
        return cls(variables, tuple(value["groups"]), value["attrs"], value["mappings"])


@dataclass(frozen=True)
class FileFacts:
    """What one file holds.

    structure  hash of its `Structure`;  sizes  of its dimensions
    arrays     hashes of its small coordinates, by variable
    stamps     times in seconds since 1970-01-01 in the file's calendar, run-length coded; None where undecodable
    starts, ends   bounds of the periods, likewise
    years      calendar years of times given in "years since"
    undecodable  why the times cannot be decoded
    """

    structure: str
    sizes: dict[str, int]
    arrays: dict[str, str]
    calendar: str = "standard"
    stamps: list[int] | None = None
    starts: list[int] | None = None
    ends: list[int] | None = None
    years: list[int] | None = None
    undecodable: str = ""

    def to_text(self) -> str:
        return json.dumps({key: value for key, value in asdict(self).items() if value not in (None, "")})

    @classmethod
    def from_text(cls, text: str) -> FileFacts:
        return cls(**json.loads(text))


def pack(values: NDArray[np.int64]) -> list[int]:
    """Integers as runs: first, difference, count, of each run of equal differences."""
    packed: list[int] = []
    position = 0
    while position < len(values):
        rest = values[position:]
        if len(rest) == 1:
            packed += [int(rest[0]), 0, 1]
            break
        step = int(rest[1] - rest[0])
        differs = np.flatnonzero(np.diff(rest) != step)
        count = int(differs[0]) + 1 if len(differs) else len(rest)
        packed += [int(rest[0]), step, count]
        position += count
    return packed


def unpack(packed: Sequence[int]) -> NDArray[np.int64]:
    """The integers of `pack`."""
    if len(packed) == 3:
        return packed[0] + packed[1] * np.arange(packed[2], dtype=np.int64)
    runs = [unpack(packed[at : at + 3]) for at in range(0, len(packed), 3)]
    return np.concatenate(runs) if runs else np.zeros(0, np.int64)


def gather(native: NativeFile, group: str, coordinates: bool) -> tuple[FileFacts, dict[str, bytes]]:
    """Facts of an open file, and the blobs that they name by hash: its structure and its small coordinates.

    group        the HDF5 group that holds the variables
    coordinates  whether the map's coordinates are worth reading (not where they are rebuilt from constants)

    Raises KeyError or IndexError where there is no such group.
    """
    root = native.dataset
    place = root[group] if group else root
    sizes = {name: len(dimension) for name, dimension in _dimensions(place).items()}
    variables = {name: _variable(variable) for name, variable in place.variables.items()}
    groups = () if group else tuple(name for name, inner in root.groups.items() if inner.variables or inner.groups)
    mappings = {
        name: {key: _plain(variable.getncattr(key)) for key in variable.ncattrs()}
        for name, variable in place.variables.items()
        if "grid_mapping_name" in variable.ncattrs()
    }
    attrs = {name: str(root.getncattr(name)) for name in _GLOBAL if name in root.ncattrs()}
    structure = Structure(variables, groups, attrs, mappings)
    dated = _times(native, group, structure)
    text = replace(structure, variables=_without_dates(variables)).to_text().encode()
    blobs = {_hash(text): text}
    arrays: dict[str, str] = {}
    if coordinates:
        for name in _coordinates(structure, sizes):
            blob = _blob(_decoded(native.read(f"{group}/{name}"), variables[name]))
            arrays[name] = _hash(blob)
            blobs[arrays[name]] = blob
    facts = FileFacts(_hash(text), sizes, arrays, **dated)
    return facts, blobs


def array(blob: bytes) -> NDArray[np.float64]:
    """The coordinate in a blob."""
    head, _, body = blob.partition(b"\n")
    return np.frombuffer(body, dtype="<f8").reshape(json.loads(head))


def _blob(values: NDArray[np.float64]) -> bytes:
    return json.dumps(values.shape).encode() + b"\n" + values.astype("<f8").tobytes()


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:24]


def _dimensions(place: Any) -> Mapping[str, Any]:
    found: dict[str, Any] = {}
    while place is not None:
        found = {**place.dimensions, **found}
        place = place.parent
    return found


def _variable(variable: Any) -> VariableFacts:
    kind = variable.dtype
    if not isinstance(kind, np.dtype) or kind.kind not in "iuf":
        return VariableFacts("", variable.dimensions)
    attrs = {name: variable.getncattr(name) for name in variable.ncattrs()}
    chunks = variable.chunking()
    fills: list[float | int] = []
    for name in ("_FillValue", "missing_value"):
        for number in _numbers(attrs.get(name)):
            if not math.isnan(number) and number not in fills:
                fills.append(number)
    if "_FillValue" not in attrs and kind.kind == "f":
        # What netCDF writes where nothing was written; never a datum.
        fills.append(float(netCDF4.default_fillvals[kind.str[1:]]))
    scale, offset = (_numbers(attrs.get(name)) for name in ("scale_factor", "add_offset"))
    return VariableFacts(
        kind.name,
        variable.dimensions,
        None if chunks in (None, "contiguous") else tuple(chunks),
        tuple(fills),
        float(scale[0]) if scale else None,
        float(offset[0]) if offset else None,
        str(attrs.get("_Unsigned", "")).lower() == "true",
        {name: _plain(attrs[name]) for name in _KEPT if name in attrs},
    )


def _without_dates(variables: dict[str, VariableFacts]) -> dict[str, VariableFacts]:
    """The variables without the reference dates of times, so that files with dates of their own share a structure."""
    return {
        name: replace(facts, attrs=facts.attrs | {"units": "days since *"}) if is_time(facts) else facts
        for name, facts in variables.items()
    }


def _numbers(value: Any) -> list[float | int]:
    """The numbers of an attribute, also where they are written as text."""
    if value is None:
        return []
    if isinstance(value, str):
        try:
            return [float(value)]
        except ValueError:
            return []
    return [number for number in np.ravel(value).tolist() if isinstance(number, int | float)]


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    return value.item() if isinstance(value, np.generic) else value


def _coordinates(structure: Structure, sizes: Mapping[str, int]) -> list[str]:
    roles, variables = structure.roles, structure.variables
    named = [roles.latitude, roles.longitude, roles.y, roles.x, *roles.axes.values(), *roles.scalars]
    names = [name for name in named if name is not None]
    names += [bounds for name in names if (bounds := bounds_of(name, variables))]
    return [name for name in names if math.prod(sizes[dim] for dim in variables[name].dims) <= _SMALL]


def _decoded(values: NDArray[Any], facts: VariableFacts) -> NDArray[np.float64]:
    decoded = values.astype(np.float64)
    for fill in facts.fills:
        decoded[values == fill] = np.nan
    if facts.scale is not None or facts.offset is not None:
        decoded = decoded * (facts.scale or 1.0) + (facts.offset or 0.0)
    return decoded


def _times(native: NativeFile, group: str, structure: Structure) -> dict[str, Any]:
    roles, variables = structure.roles, structure.variables
    if roles.time is None:
        return {}
    facts = variables[roles.time]
    units = facts.text("units")
    values = np.atleast_1d(_decoded_times(native.read(f"{group}/{roles.time}"), facts))
    try:
        calendar = times.calendar_of(facts.text("calendar"))
        years = times.calendar_years(values, units)
        found: dict[str, Any] = {"calendar": calendar}
        if years is not None:
            return found | {"years": pack(years), "undecodable": f"time units {units!r} have no fixed length"}
        found["stamps"] = pack(times.seconds(values, units, calendar))
        if roles.time_bounds:
            bounds = variables[roles.time_bounds]
            edges = np.atleast_2d(native.read(f"{group}/{roles.time_bounds}"))
            # Some archives give the end first.
            own = np.sort(times.seconds(edges, bounds.text("units") or units, calendar), axis=-1)
            if own.shape == (len(values), 2) and (own[:, 1] > own[:, 0]).all():
                found |= {"starts": pack(own[:, 0]), "ends": pack(own[:, 1])}
        return found
    except times.UndecodableTimeError as error:
        return {"undecodable": str(error)}


def _decoded_times(values: NDArray[Any], facts: VariableFacts) -> NDArray[Any]:
    if facts.scale is not None or facts.offset is not None:
        return values * (facts.scale or 1.0) + (facts.offset or 0.0)
    return values
