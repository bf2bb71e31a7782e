"""The arrays of a summary."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from compute.regions import Regions
from compute.summarise.averaging import QUANTILES
from cube.template import ArraySpec, FileSpec, Template

REGION = "region"
COVERED, CELLS = "region_covered", "region_cells"
CSV = "summary.csv"
OF_CELLS = (
    "_FillValue",
    "actual_range",
    "ancillary_variables",
    "cell_measures",
    "coordinates",
    "grid_mapping",
    "valid_max",
    "valid_min",
    "valid_range",
)
"""Attributes of the input's arrays that say nothing of a mean over cells."""


def arrays_of(variable: str) -> dict[str, str]:
    """Arrays of a variable, by what they hold."""
    return {"mean": variable, **{each: f"{variable}_{each}" for each in (*QUANTILES, "area")}}


def template(source: Template, variables: Sequence[str], lead: Sequence[str], regions: Regions) -> Template:
    """The structure of a summary.

    source     of the product that is summarised
    variables  of it
    lead       their dimensions beside those of cells, time first
    """
    arrays: dict[str, ArraySpec] = {}
    for variable in variables:
        spec = source.arrays[variable]
        shape = (*(spec.sizes[dim] for dim in lead), len(regions))
        for held, name in arrays_of(variable).items():
            arrays[name] = ArraySpec((*lead, REGION), shape, np.dtype("f4"), _attrs(variable, spec.attrs, held))
    covered = {"long_name": "share of the region's area that lies in cells of the product", "units": "1"}
    cells = {"long_name": "number of cells of which some lies in the region", "units": "1"}
    arrays[COVERED] = ArraySpec((REGION,), (len(regions),), np.dtype("f4"), covered)
    arrays[CELLS] = ArraySpec((REGION,), (len(regions),), np.dtype("i4"), cells)
    return Template(
        arrays=arrays,
        coords=xr.Dataset(coords={**_kept(source.coords, set(lead)), REGION: _region(regions)}),
        time=source.time if "time" in lead else None,
        space=(),
        groups=(*(tuple(arrays_of(variable).values()) for variable in variables), (COVERED, CELLS)),
        bbox=source.bbox,
        files={CSV: FileSpec(COVERED, "text/csv", "Table: a row for each period and region", ("data",))},
    )


def _kept(coords: xr.Dataset, lead: set[str]) -> dict[str, xr.Variable]:
    """Coordinates of the dimensions that are kept, and their bounds."""
    return {
        str(name): each
        for name, each in coords.variables.items()
        if set(each.dims) & lead and set(each.dims) <= {*lead, "bnds"}
    }


def _region(regions: Regions) -> xr.Variable:
    numbers = np.arange(len(regions), dtype=np.int32)
    return xr.Variable((REGION,), numbers, {"long_name": f"region: {regions.source}", **region_attrs(regions)})


def region_attrs(regions: Regions) -> dict[str, Any]:
    """Attributes that tell the regions' names, by their numbers from 0."""
    found: dict[str, Any] = {
        "flag_values": list(range(len(regions))),
        "flag_meanings": " ".join(regions.words),
    }
    if regions.words != regions.names:
        found["region_names"] = json.dumps(regions.names, ensure_ascii=False)
    return found


def _attrs(variable: str, attrs: Mapping[str, Any], held: str) -> dict[str, Any]:
    told = str(attrs.get("long_name", variable))
    if held == "area":
        return {"long_name": f"{told}: share of the region's area in the product that has values", "units": "1"}
    kept = {name: value for name, value in attrs.items() if name not in OF_CELLS}
    methods = f"{kept.pop('cell_methods', '')} area: mean".strip()
    if held == "mean":
        return {**kept, "long_name": f"{told}: mean over the region's area", "cell_methods": methods}
    kept.pop("standard_name", None)
    return {**kept, "long_name": f"{told}: at or below it are {100 * QUANTILES[held]:.0f} % of the region's area"}
