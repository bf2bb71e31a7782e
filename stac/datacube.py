"""Dimensions and variables of a manifest as the datacube extension describes them, and as bands."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyproj

from cube.axes import TimeAxis
from stac.extents import GREGORIAN, iso

DATA_TYPES = {
    *("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("float16", "float32", "float64"),
}
"""numpy's names that STAC has too; all others are "other"."""
_AXES = {
    "longitude": "x",
    "projection_x_coordinate": "x",
    "grid_longitude": "x",
    "latitude": "y",
    "projection_y_coordinate": "y",
    "grid_latitude": "y",
    "depth": "z",
    "height": "z",
    "altitude": "z",
    "air_pressure": "z",
}


def projection(crs: Mapping[str, Any]) -> dict[str, Any]:
    """`proj:*` of a projected grid; empty for latitude and longitude on WGS84."""
    if crs.get("epsg"):
        return {} if crs["epsg"] == 4326 else {"proj:code": f"EPSG:{crs['epsg']}"}
    return {"proj:code": None, "proj:projjson": _projjson(crs["wkt"])} if crs.get("wkt") else {}


def _projjson(wkt: str) -> dict[str, Any]:
    return pyproj.CRS.from_wkt(wkt).to_json_dict()


def _reference_system(crs: Mapping[str, Any]) -> int | dict[str, Any]:
    if crs.get("epsg"):
        return int(crs["epsg"])
    return _projjson(crs["wkt"]) if crs.get("wkt") else 4326


def _axis(name: str, attrs: Mapping[str, Any]) -> str | None:
    axis = str(attrs.get("axis", "")).lower()
    if axis in {"x", "y", "z"}:
        return axis
    if "positive" in attrs:
        return "z"
    return _AXES.get(str(attrs.get("standard_name", ""))) or {"lon": "x", "lat": "y"}.get(name)


def _described(attrs: Mapping[str, Any]) -> dict[str, Any]:
    text = attrs.get("long_name") or attrs.get("standard_name")
    return {"description": str(text)} if text else {}


def _unit(attrs: Mapping[str, Any]) -> dict[str, Any]:
    return {"unit": str(attrs["units"])} if attrs.get("units") else {}


def _time_dimension(time: Mapping[str, Any]) -> dict[str, Any]:
    """The labels of a time axis.

    Where its calendar is not the Gregorian one the extension asks for an additional dimension with a numeric extent:
    counted in the axis' own units, with the calendar as reference system. `cic:extent` repeats it as dates.
    """
    axis = TimeAxis.from_json(dict(time))
    if axis.calendar in GREGORIAN:
        return {
            "type": "temporal",
            "description": "start of each period",
            "extent": [iso(time["start"]), iso(time["end"])],
            "step": axis.step.iso,
        }
    starts = axis.encoded()
    steps = np.unique(np.diff(starts))
    return {
        "type": "temporal",
        "description": f"start of each period, {axis.units}, in the {axis.calendar} calendar: "
        f"{time['start']} to {time['end']}",
        "extent": [int(starts[0]), int(starts[-1])],
        "step": int(steps[0]) if len(steps) == 1 else None,
        "unit": axis.units,
        "reference_system": axis.calendar,
        "cic:extent": [time["start"], time["end"]],
    }


def _finite_pair(extent: Any) -> list[float] | None:
    if extent is None or not all(isinstance(value, int | float) and math.isfinite(value) for value in extent):
        return None
    return list(extent)


def _dimension(name: str, size: int, coordinate: Mapping[str, Any], system: int | dict[str, Any]) -> dict[str, Any]:
    attrs = coordinate.get("attrs", {})
    axis = _axis(name, attrs)
    extent, values = _finite_pair(coordinate.get("extent")), coordinate.get("values")
    common = _described(attrs)
    if axis in {"x", "y"} and extent:
        return {
            "type": "spatial",
            "axis": axis,
            **common,
            "extent": extent,
            "step": coordinate.get("step"),
            **_unit(attrs),
            "reference_system": system,
        }
    known = {**({"extent": extent} if extent else {}), **({"values": list(values)} if values else {}), **_unit(attrs)}
    if axis == "z" and (extent or values):
        return {"type": "spatial", "axis": "z", **common, **known}
    if extent or values:
        return {"type": "other", **common, **known}
    return {"type": "other", "description": "index without coordinate", "extent": [0, size - 1], "step": 1}


def dimensions(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """`cube:dimensions`. Extents are those of the coordinate values: centres of cells, starts of periods."""
    coordinates = manifest["coordinates"]
    system = _reference_system(manifest["crs"])
    sizes: dict[str, int] = {}
    for variable in (*manifest["variables"].values(), *coordinates.values()):
        sizes.update(zip(variable["dims"], variable["shape"], strict=True))
    time = manifest["extent"]["time"]
    return {
        name: _time_dimension(time)
        if name == "time" and time
        else _dimension(name, sizes[name], coordinates.get(name, {}), system)
        for name in sorted(sizes)
    }


def cell_methods(text: str, dims: list[str]) -> list[str | None] | None:
    """CF cell methods as one entry a dimension, None where a method spans other or several axes."""
    found = re.sub(r"\([^)]*\)", " ", text)
    pairs = re.findall(r"(\w+)\s*:\s*(\w+)(?!\s*:)(?=\s+\w+\s*:|\s*$)", found)
    if not pairs or len(re.findall(":", found)) != len(pairs) or not {axis for axis, _ in pairs} <= set(dims):
        return None
    methods = dict(pairs)
    return [methods.get(dim) for dim in dims]


def _nodata(dtype: str, attrs: Mapping[str, Any]) -> dict[str, Any]:
    fill = attrs.get("_FillValue")
    if isinstance(fill, np.generic):
        fill = fill.item()
    if isinstance(fill, int | float) and math.isfinite(fill):
        return {"nodata": fill}
    if isinstance(fill, float) and math.isinf(fill):
        return {"nodata": "inf" if fill > 0 else "-inf"}
    return {"nodata": "nan"} if dtype.startswith("float") else {}


def _data_values(variable: Mapping[str, Any]) -> dict[str, Any]:
    """Fields that a variable and a band have in common."""
    attrs, dtype = variable["attrs"], variable["dtype"]
    name = attrs.get("standard_name")
    return {
        **_described(attrs),
        **_unit(attrs),
        "data_type": dtype if dtype in DATA_TYPES else "other",
        **({"cf:standard_name": str(name)} if name else {}),
    }


def variables(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """`cube:variables`: the data, and the coordinates that are not a dimension's own."""
    found: dict[str, Any] = {}
    for name, variable in sorted(manifest["variables"].items()):
        methods = cell_methods(str(variable["attrs"].get("cell_methods", "")), list(variable["dims"]))
        found[name] = {
            "type": "data",
            "dimensions": list(variable["dims"]),
            **_data_values(variable),
            **_nodata(variable["dtype"], variable["attrs"]),
            **({"cf:cell_methods": methods} if methods else {}),
        }
    for name, variable in sorted(manifest["coordinates"].items()):
        if list(variable["dims"]) != [name]:
            found[name] = {"type": "auxiliary", "dimensions": list(variable["dims"]), **_data_values(variable)}
    return found


def bands(manifest: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One band a data variable, named by its path in the Zarr group."""
    return [
        {"name": name, **_data_values(variable), **_nodata(variable["dtype"], variable["attrs"])}
        for name, variable in sorted(manifest["variables"].items())
    ]
