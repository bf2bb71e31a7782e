"""What a notebook hands to a metric: its options, its series and what it is compared with, checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

import numpy as np
import xarray as xr

from compute.arrays import array_of, days_of
from compute.metrics.options import MetricOptions
from compute.metrics.series import reference_days, told_reference
from cube.axes import TimeAxis, same_calendar
from cube.errors import InputError, Problem
from cube.faults import checked
from cube.options import Period
from cube.units import conversion
from cube.wording import dotted

type Reference = xr.DataArray | tuple[int, int] | None


@dataclass(frozen=True)
class Past:
    """What a series is compared with: its days, the series cut to them, its name and attributes that tell it."""

    days: TimeAxis
    series: xr.DataArray
    told: str
    attrs: Mapping[str, str]


def options_of(metric: str, given: Mapping[str, Any], *, compared: bool) -> MetricOptions:
    """The options of a metric from arguments by name. Raises InputError with all that do not fit.

    compared  whether there is a reference, which is checked by `past_of`
    """
    values = {name: dict(value) if isinstance(value, Mapping) else value for name, value in given.items()}
    found, faults = checked(MetricOptions, {**values, **({"reference": "self"} if compared else {})})
    if found is not None:
        return found
    problems = []
    for fault in faults:
        where = dotted((*fault.path, " or ".join(fault.lacks))) if fault.lacks else dotted(fault.path)
        problem = fault.problem
        problems.append(Problem(problem.code, problem.what, where or metric, problem.danger, problem.fix))
    raise InputError(problems)


def past_of(data: xr.DataArray, days: TimeAxis, reference: Reference) -> Past:
    """What a series of these days is compared with. Raises InputError for a reference that does not fit."""
    period = None
    if reference is None or _is_period(reference):
        old, own, name = data, days, "the data"
        if reference is not None:
            first, last = reference
            period = Period(start=f"{first:04}", end=f"{last:04}")
    else:
        old = array_of(reference, "reference")
        own, name = days_of(old), str(old.name or "the reference")
    if not same_calendar(own.calendar, days.calendar):
        raise InputError(
            Problem(
                "calendars-differ",
                f"the calendar of the reference is {own.calendar}, of the data {days.calendar}",
                "reference",
                "days of one calendar would be compared with other days of another",
                "convert one of them: `convert_calendar`",
            )
        )
    sizes = {dim: size for dim, size in data.sizes.items() if dim != "time"}
    if {dim: size for dim, size in old.sizes.items() if dim != "time"} != sizes:
        raise InputError(
            Problem(
                "cells-differ", f"the reference has {dict(old.sizes)}, the data {sizes}", "reference", fix="cut both"
            )
        )
    old = _on_cells_of(data, old)
    axis = reference_days(own, period, "reference")
    start = axis.first - own.first
    series = old.transpose("time", *(dim for dim in data.dims if dim != "time")) if old is not data else data
    attrs = told_reference(axis)
    if reference is None:
        attrs["reference"] = "self: timing only, a change of the mean is hidden"
    told = f"{name} {axis.text(0)} to {axis.text(-1)}"
    return Past(axis, series.isel(time=slice(start, start + axis.count)), told, attrs)


def _on_cells_of(data: xr.DataArray, old: xr.DataArray) -> xr.DataArray:
    """The reference with its cells in the data's order. Raises InputError where they are other ones."""
    for dim in (dim for dim in data.dims if dim != "time" and dim in data.indexes and dim in old.indexes):
        ours, theirs = data.indexes[dim], old.indexes[dim]
        if ours.equals(theirs):
            continue
        if not ours.is_unique or not theirs.is_unique or not ours.isin(theirs).all():
            raise InputError(
                Problem(
                    "cells-differ",
                    f"the {dim} of the reference are not those of the data",
                    "reference",
                    "values of one place would be compared with those of another",
                    f"bring both to the same {dim}",
                )
            )
        old = old.sel({dim: ours})
    return old


def _is_period(reference: object) -> TypeGuard[tuple[int, int]]:
    """Whether it is a pair of years. Raises InputError for what is meant as one and is none."""
    if not isinstance(reference, str | int | float | tuple | list):
        return False
    years = reference if isinstance(reference, tuple | list) else ()
    whole = all(isinstance(year, int | np.integer) and 0 < year < 10000 for year in years)
    if len(years) != 2 or not whole or years[0] > years[1]:
        what = f"expected a pair of years or a DataArray, found {reference!r}"
        fix = "write the first and the last year, such as (1991, 2020)"
        raise InputError(Problem("reference-not-whole", what, "reference", fix=fix))
    return True


def units_of(data: xr.DataArray) -> str:
    """Raises InputError for a series without units."""
    if "units" not in data.attrs:
        raise InputError(
            Problem(
                "series-unusable",
                "it has no units",
                str(data.name or "data"),
                "thresholds would be taken in another unit",
                "set `attrs['units']`, such as mm d-1 or 1",
            )
        )
    return str(data.attrs["units"])


def converted(data: xr.DataArray, units: str, wanted: str) -> xr.DataArray:
    """float32 in other units. Raises InputError where they do not convert."""
    try:
        factor, offset = conversion(units, wanted)
    except ValueError as error:
        raise InputError(
            Problem("unit-unknown", str(error), str(data.name or "data"), fix=f"it must convert to {wanted}")
        ) from None
    if (factor, offset) == (1.0, 0.0):
        return data if data.dtype == np.float32 else data.astype(np.float32)
    return (data * factor + offset).astype(np.float32)
