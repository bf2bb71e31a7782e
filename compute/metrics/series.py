"""The daily series that a metric is made from, as days by cells, whatever map, layers or vegetation they lie on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from compute.daily import DailyInput
from cube.axes import Step, TimeAxis, ordinal_of, parse_date
from cube.errors import InputError, Problem
from cube.job import ProductView, Window
from cube.options import Period
from cube.template import ArraySpec
from cube.units import conversion

PFT = "pft"
LAND = 0.5
"""Least land fraction of a cell that has numbers."""
FEW_YEARS: Final = 10
"""A reference of fewer years is spoken of: 30 are usual, and spreads and tails of a few mean little."""
Values = NDArray[np.float32]


@dataclass(frozen=True)
class Series:
    """One variable of a daily product. wanted, pft: as the options give them."""

    view: ProductView
    wanted: str | None
    pft: int | None

    @cached_property
    def daily(self) -> DailyInput:
        return DailyInput(self.view, self.wanted)

    @property
    def variable(self) -> str:
        return self.daily.variable

    @property
    def spec(self) -> ArraySpec:
        return self.daily.spec

    @property
    def units(self) -> str:
        return self.daily.units

    @property
    def days(self) -> TimeAxis:
        return self.daily.days

    @property
    def space(self) -> tuple[str, ...]:
        return self.view.template.space

    @cached_property
    def layers(self) -> tuple[str, ...]:
        """Dimensions besides time and those of the map that are kept: soil layers."""
        return tuple(dim for dim in self.spec.dims if dim not in ("time", PFT, *self.space))

    @property
    def dims(self) -> tuple[str, ...]:
        """The dimensions of the cells, in their order."""
        return (*self.layers, *self.space)

    def sizes(self, slices: Mapping[str, slice]) -> tuple[int, ...]:
        whole = self.spec.sizes
        return tuple(slices[dim].stop - slices[dim].start if dim in slices else whole[dim] for dim in self.dims)

    @cached_property
    def vegetation(self) -> int | None:
        """Position of the vegetation that is taken, None where the variable has none. Raises InputError where it is not
        there, or not told."""
        if PFT not in self.spec.dims:
            if self.pft is None:
                return None
            raise InputError(
                Problem(
                    "pft-unknown", f"{self.variable} has no vegetation (pft)", self.view.name, fix="leave `pft` out"
                )
            )
        numbers = [int(number) for number in self.view.template.coords[PFT].values]
        if self.pft is None and len(numbers) == 1:
            return 0
        if self.pft not in numbers:
            what = f"{self.variable} has the vegetation {', '.join(map(str, numbers))}" + (
                f", not {self.pft}" if self.pft else ""
            )
            raise InputError(Problem("pft-unknown", what, self.view.name, fix="choose one with `pft`; 4 is C4 grass"))
        return numbers.index(self.pft)

    def window(self, cells: Mapping[str, slice], days: slice) -> Window:
        place: dict[str, slice] = {**{dim: cells[dim] for dim in self.space if dim in cells}, "time": days}
        if self.vegetation is not None:
            place[PFT] = slice(self.vegetation, self.vegetation + 1)
        return Window((self.variable,), place)

    def values(self, data: xr.Dataset, units: str | None, days: slice, read: slice) -> Values:
        """Days `days` of what `window` named for days `read`, shape (days, cells), in `units` (None: as stored)."""
        array = data[self.variable]
        if self.vegetation is not None:
            array = array.isel({PFT: 0})
        stored = array.transpose("time", *self.dims).values[days.start - read.start : days.stop - read.start]
        found = np.ascontiguousarray(stored.reshape(len(stored), -1))
        fill = self.spec.fill
        if fill is not None and not (isinstance(fill, np.floating) and np.isnan(fill)):
            found = np.where(found == fill, np.float32(np.nan), found.astype(np.float32))
        found = found.astype(np.float32, copy=False)
        factor, offset = (1.0, 0.0) if units is None else conversion(self.units, units)
        if (factor, offset) != (1.0, 0.0):
            found = found * np.float32(factor) + np.float32(offset)
        return found

    def check_units(self, units: str | None) -> None:
        """Raises InputError for a variable of another kind than the metric is about."""
        if units is None:
            return
        try:
            conversion(self.units, units)
        except ValueError as error:
            raise InputError(
                Problem("unit-unknown", f"{self.variable}: {error}", self.view.name, fix=f"it must convert to {units}")
            ) from None


def reference_days(daily: TimeAxis, period: Period | None, where: str) -> TimeAxis:
    """The days of whole years that a reference is made of. Raises InputError where a product does not hold them.

    period  None for all whole years that there are
    """
    calendar, day = daily.calendar, Step("day")
    first, stop = daily.first, daily.stop
    if period is None:
        start, end = daily.date(0), daily.date(daily.count)
        years = (start.year + int((start.month, start.day) != (1, 1)), end.year)
        first, stop = (ordinal_of(parse_date(f"{year:04}", calendar), day, calendar) for year in years)
        told = "any whole year"
    else:
        first = ordinal_of(parse_date(period.start, calendar), day, calendar) if period.start else first
        stop = ordinal_of(parse_date(period.end, calendar, end=True), day, calendar) if period.end else stop
        told = f"the reference {period.start} to {period.end}"
    if first < daily.first or stop > daily.stop or stop <= first:
        raise InputError(
            Problem(
                "reference-not-covered",
                f"{daily.text(0)} to {daily.text(-1)} does not hold {told}",
                where,
                "a climatology of fewer days would be taken for that of the reference",
                "choose a period that the product holds",
            )
        )
    axis = TimeAxis(first, stop - first, day, calendar)
    begins, ends = axis.date(0), axis.date(axis.count)
    if (begins.month, begins.day) != (1, 1) or (ends.month, ends.day) != (1, 1):
        raise InputError(
            Problem(
                "reference-not-whole",
                f"the reference {axis.text(0)} to {axis.text(-1)} is not made of whole calendar years",
                where,
                "some seasons would weigh more than others in its means",
                "give years, such as {start: 1991, end: 2020}",
            )
        )
    return axis


def told_reference(past: TimeAxis) -> dict[str, str]:
    """Attributes that tell of which days a reference is, and that they are few."""
    found = {"reference_period": f"{past.text(0)} to {past.text(-1)}"}
    years = past.date(past.count).year - past.date(0).year
    if years < FEW_YEARS:
        found["reference_note"] = f"reference of {years} year{'s' * (years > 1)}; 30 are usual"
    return found


def land_factor(view: ProductView) -> float:
    """What the product's `land_fraction` is multiplied with to be a share. Raises InputError where it is none."""
    if "land_fraction" not in view.template.arrays:
        names = ", ".join(sorted(view.template.arrays))
        raise InputError(
            Problem("variable-unknown", f"has {names}, not land_fraction", view.name, fix="name another product")
        )
    units = str(view.template.arrays["land_fraction"].attrs.get("units", "1"))
    try:
        factor, offset = conversion(units, "1")
    except ValueError as error:
        raise InputError(
            Problem(
                "unit-unknown", f"land_fraction: {error}", view.name, "land and sea would be mixed up", "give it in 1"
            )
        ) from None
    assert offset == 0.0
    return factor


def masked(values: Values, land: NDArray[Any]) -> Values:
    """values with the cells that are not land missing. land: fraction, shape of the map's cells, layers come before."""
    sea = ~(land.ravel() >= LAND)
    if not sea.any():
        return values
    found = values.reshape(len(values), -1, sea.size).copy()
    found[:, :, sea] = np.nan
    return found.reshape(len(values), -1)
