"""The weather that drives a job: daily rain and temperature, of one product or of several on the same cells."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import xarray as xr

from compute.daily import DailyInput
from compute.places import refuse_other_cells
from cube.axes import Step, TimeAxis, ordinal_of, parse_date, same_calendar
from cube.errors import CubeError, InputError, Problem
from cube.job import ProductView, Window
from cube.options import Period
from cube.units import conversion

Array = np.ndarray[Any, np.dtype[np.float32]]

UNITS = {
    "pr": "mm d-1",
    "tas": "K",
    "tasmin": "K",
    "tasmax": "K",
    "evspsblpot": "mm d-1",
    "rsds": "W m-2",
    "sfcWind": "m s-1",
    "hurs": "%",
    "huss": "kg kg-1",
    "ps": "Pa",
}
"""What the variables are handed over in."""
LEGAL = {
    "pr": (0.0, 2000.0),
    "tas": (180.0, 340.0),
    "tasmin": (180.0, 340.0),
    "tasmax": (180.0, 340.0),
    "evspsblpot": (-5.0, 60.0),
    "rsds": (0.0, 600.0),
    "sfcWind": (0.0, 80.0),
    "hurs": (0.0, 120.0),
    "huss": (0.0, 0.08),
    "ps": (4e4, 1.1e5),
}
"""What can be weather, in these units. Rain beyond was never measured in a day; dew gives small negative demands, and
models of the atmosphere some supersaturation."""


@dataclass(frozen=True)
class Forcing:
    """The variables by name, each of a product that has it. period: what of them is used."""

    inputs: Mapping[str, DailyInput]
    period: Period | None = None

    @classmethod
    def of(cls, products: Mapping[str, ProductView], period: Period | None = None) -> Forcing:
        """products: by name of the variable. Raises InputError with all that is wrong with them."""
        found = cls({name: DailyInput(view, name) for name, view in products.items()}, period)
        problems: list[Problem] = []
        for name in products:
            try:
                found._check(name)
            except CubeError as error:
                problems += error.problems
        if problems:
            raise InputError(list(dict.fromkeys(problems)))
        refuse_other_cells(list(products.values()))
        _ = found.days
        return found

    def _check(self, name: str) -> None:
        daily = self.inputs[name]
        _ = daily.variable, daily.days
        try:
            conversion(daily.units, UNITS[name])
        except ValueError as error:
            raise InputError(
                Problem("unit-unknown", f"{name}: {error}", daily.view.name, fix=f"it must convert to {UNITS[name]}")
            ) from None

    @property
    def views(self) -> list[ProductView]:
        return list({each.view.name: each.view for each in self.inputs.values()}.values())

    @cached_property
    def days(self) -> TimeAxis:
        """The days that all have. Raises InputError where there are none, or their calendars differ."""
        axes = {each.view.name: each.days for each in self.inputs.values()}
        calendar = next(iter(axes.values())).calendar
        if not all(same_calendar(calendar, axis.calendar) for axis in axes.values()):
            told = ", ".join(f"{name} {axis.calendar}" for name, axis in axes.items())
            raise InputError(
                Problem(
                    "calendars-differ",
                    f"calendars are {told}",
                    ", ".join(axes),
                    "days of one calendar would be combined with other days of another",
                    "bring them to one calendar with `align` and its `calendar`",
                )
            )
        first, stop = max(axis.first for axis in axes.values()), min(axis.stop for axis in axes.values())
        if self.period and self.period.start:
            first = max(first, ordinal_of(parse_date(self.period.start, calendar), Step("day"), calendar))
        if self.period and self.period.end:
            stop = min(stop, ordinal_of(parse_date(self.period.end, calendar, end=True), Step("day"), calendar))
        if stop <= first:
            told = ", ".join(f"{name} {axis.text(0)} to {axis.text(-1)}" for name, axis in axes.items())
            where = "in the period that was asked for" if self.period else "in common"
            raise InputError(
                Problem("no-common-days", f"no day {where}: {told}", ", ".join(axes), fix="see `period` and the inputs")
            )
        return TimeAxis(first, stop - first, Step("day"), calendar)

    def windows(self, cells: Mapping[str, slice], first: int, stop: int) -> dict[str, Window]:
        """What is read for days [first, stop) of `days`, by product."""
        found: dict[str, Window] = {}
        for name, daily in self.inputs.items():
            shift = self.days.first - daily.days.first
            former = found.get(daily.view.name)
            variables = (*(former.variables if former else ()), name)
            found[daily.view.name] = Window(variables, {**cells, "time": slice(first + shift, stop + shift)})
        return found

    def arrays(self, data: Mapping[str, xr.Dataset]) -> dict[str, Array]:
        """What `windows` named as (days, cells) by variable, in UNITS; cells in the order of the first's dimensions."""
        found = {}
        space = self._space
        for name, daily in self.inputs.items():
            values = data[daily.view.name][name].transpose("time", *space).values
            factor, offset = conversion(daily.units, UNITS[name])
            if (factor, offset) != (1.0, 0.0):
                values = values * np.float32(factor) + np.float32(offset)
            found[name] = np.ascontiguousarray(values.reshape(len(values), -1), np.float32)
        return found

    @property
    def _space(self) -> tuple[str, ...]:
        return next(iter(self.inputs.values())).view.template.space

    def problems(self, arrays: Mapping[str, Array], first: int) -> Iterator[Problem]:
        """What makes values useless: cells with some days missing, and numbers that are no weather in these units.

        first  position in `days` of the first day of the arrays
        """
        for name, values in arrays.items():
            missing = np.isnan(values)
            count = missing.sum(axis=0)
            holes = (count > 0) & (count < len(values))
            if holes.any():
                day = int(missing[:, holes].any(axis=1).argmax())
                yield Problem(
                    "forcing-gap",
                    f"{name}: {int(holes.sum())} cells lack days, the first {self._date(first + day)}",
                    self.inputs[name].view.name,
                    "soil water of every later day depends on the missing ones",
                    "fill the gaps in the archive, or choose a `period` without them",
                )
            low, high = LEGAL[name]
            wrong = (values < low) | (values > high)
            if wrong.any():
                day, cell = (int(i) for i in np.argwhere(wrong)[0])
                yield Problem(
                    "forcing-illegal",
                    f"{name}: {int(wrong.sum())} values beyond {low:g} to {high:g} {UNITS[name]}, the first "
                    f"{values[day, cell]:g} on {self._date(first + day)}",
                    self.inputs[name].view.name,
                    "negative rain or a temperature in another unit gives plausible but wrong soil water",
                    "see the unit of the archive's variable; ingest it with the right one",
                )

    def _date(self, position: int) -> str:
        return self.days.text(position)

    def notes(self) -> list[str]:
        """What must be said where days of different meaning are combined."""
        begins = {name: each.spec.attrs.get("day_begins", "00:00") for name, each in self.inputs.items()}
        if len(set(begins.values())) == 1:
            return []
        return [
            "Days begin at different times of day: " + ", ".join(f"{k} at {v} UTC" for k, v in begins.items()) + "."
        ]
