"""From the scans of all files to one set of references, and from that to the objects published.

The metadata are Zarr v2, the only form that kerchunk's Parquet holds and that every kerchunk reader knows.
"""

from __future__ import annotations

import functools
import json
import math
import tempfile
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import xarray as xr
from fsspec.implementations.reference import LazyReferenceMapper
from kerchunk.df import refs_to_dataframe

from ingest.references.contents import Array, Times
from ingest.references.scan import Scan

type References = dict[str, Any]

JSON_NAME = "references.json"
PARQUET_NAME = "references.parquet"
_UNITS = {
    "days": 86_400_000_000,
    "hours": 3_600_000_000,
    "minutes": 60_000_000,
    "seconds": 1_000_000,
    "milliseconds": 1_000,
    "microseconds": 1,
}
# References in one Parquet file, kerchunk's own default; every file is padded to it.
_RECORDS = 100_000


def reference_set(scans: Sequence[Scan], variables: Sequence[str]) -> References:
    """Kerchunk references of agreeing files: key to JSON text, "base64:" text or [href, offset, length]; sorted."""
    first = scans[0]
    assert first.times is not None
    members, coordinates = _time_members([one.times for one in scans if one.times is not None])
    fills: dict[str, Any] = {}
    for name, carried in first.inlined.items():
        members[name] = xr.Variable(carried.dims, carried.values, dict(carried.attrs))
        fills[name] = carried.fill
    described = {str(variable.attrs.get("bounds", "")) for variable in members.values()}
    for name, carried in first.inlined.items():
        if name not in described and "grid_mapping_name" not in carried.attrs:
            coordinates.append(name)
    for name in variables:
        stored = [one.variables[name] for one in scans]
        facts = stored[0].facts
        joined: Any = np.concatenate([one.array for one in stored], axis=facts.time_axis)
        # to_virtual_variable leaves the first file's attributes out of the array.
        attrs = _common(one.facts.attrs for one in stored)
        members[name] = xr.Variable(facts.dims, joined.to_virtual_variable().data, attrs)
        fills[name] = facts.decoding.get("_FillValue")
    for variable in members.values():
        for pointer in ("bounds", "grid_mapping"):
            named = str(variable.attrs.get(pointer, "")).replace(":", " ").split()
            if not set(named) <= set(members):
                variable.attrs.pop(pointer)
    dataset = xr.Dataset(members, attrs=_common(one.attrs for one in scans)).set_coords(coordinates)
    found = dataset.vz.to_kerchunk(format="dict")["refs"]
    # VirtualiZarr names the one chunk of a scalar "name/"; in Zarr v2 it is "name/0".
    keyed = {f"{key}0" if key.endswith("/") else key: value for key, value in found.items()}
    return {key: _settled(key, value, fills) for key, value in sorted(keyed.items())}


def json_object(references: References) -> bytes:
    """The references as kerchunk's JSON."""
    document = {"version": 1, "refs": references}
    return json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def parquet_objects(references: References) -> dict[str, bytes]:
    """The references as kerchunk's Parquet, by object name; each of them read back and found equal.

    Raises ValueError where one of them does not read back.
    """
    chunks: dict[str, int] = {}
    for key, value in references.items():
        if isinstance(value, list):
            name = key.rpartition("/")[0]
            chunks[name] = chunks.get(name, 0) + 1
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        # fsspec, which every reader of this form uses, reads and writes it by fastparquet through pandas.
        warnings.filterwarnings("ignore", "The 'fastparquet' engine is deprecated")
        root = Path(folder) / PARQUET_NAME
        refs_to_dataframe({"refs": references}, str(root), record_size=min(_RECORDS, max(chunks.values(), default=1)))
        written = LazyReferenceMapper(str(root))
        for key, value in references.items():
            if isinstance(value, list) and list(written[key]) != value:
                raise ValueError(f"{key} reads back as {list(written[key])}, not {value}")
        files = sorted(path for path in root.rglob("*") if path.is_file())
        return {f"{PARQUET_NAME}/{path.relative_to(root).as_posix()}": path.read_bytes() for path in files}


def shape_objects(references: References, parquet_above: int) -> tuple[Literal["json", "parquet"], Mapping[str, bytes]]:
    """JSON, or Parquet where the JSON would have more than `parquet_above` bytes."""
    text = json_object(references)
    if len(text) <= parquet_above:
        return "json", {JSON_NAME: text}
    return "parquet", parquet_objects(references)


def encode_times(values: Sequence[Array]) -> tuple[str, list[Array]]:
    """The coarsest unit in which all microseconds are whole, and the values in it as int64."""
    divisor = functools.reduce(math.gcd, (int(np.gcd.reduce(one, axis=None)) for one in values))
    name, size = next((name, size) for name, size in _UNITS.items() if divisor % size == 0)
    return f"{name} since 1970-01-01 00:00:00", [one // size for one in values]


def _time_members(axes: Sequence[Times]) -> tuple[dict[str, xr.Variable], list[str]]:
    """One time coordinate in one unit, with bounds where all files have them; and the names of coordinates."""
    first = axes[0]
    bounded = len({(times.bounds is None, times.bounds_name, times.bounds_dim) for times in axes}) == 1
    edges = [times.bounds for times in axes if times.bounds is not None] if bounded else []
    whole = [np.concatenate([times.values for times in axes]), *([np.concatenate(edges)] if edges else [])]
    units, encoded = encode_times(whole)
    attrs = {**_common(times.attrs for times in axes), "units": units, "calendar": first.calendar}
    members = {first.name: xr.Variable((first.name,), encoded[0], attrs)}
    if edges:
        attrs["bounds"] = first.bounds_name
        both = {"units": units, "calendar": first.calendar}
        members[first.bounds_name] = xr.Variable((first.name, first.bounds_dim), encoded[1], both)
    return members, [first.name]


def _common(attributes: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """The attributes that all have in common."""
    first, *others = attributes
    return {key: value for key, value in first.items() if all(other.get(key) == value for other in others)}


def _settled(key: str, value: Any, fills: Mapping[str, Any]) -> Any:
    """Zarr v2 readers mask what `fill_value` says: it must be the `_FillValue` of the files, or nothing."""
    name, _, part = key.rpartition("/")
    if part == ".zarray":
        document = json.loads(value)
        fill = fills.get(name)
        number = None if fill is None else fill.item() if isinstance(fill, np.generic | np.ndarray) else fill
        if isinstance(number, float) and not math.isfinite(number):
            number = "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"
        document["fill_value"] = number
    elif part == ".zattrs":
        document = json.loads(value)
        document.pop("_FillValue", None)
    else:
        return value
    return json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)
