"""Daily products as input of jobs that reduce days to months or years."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from cube.axes import Step, TimeAxis, ordinal_of
from cube.errors import InputError, Problem
from cube.job import ProductView, Window
from cube.template import ArraySpec, Template

LONGEST = {"month": 31, "year": 366}
"""Days of the longest period of a step."""


@dataclass(frozen=True)
class DailyInput:
    """One variable of a daily product. wanted: its name; may be None where the product has just one."""

    view: ProductView
    wanted: str | None

    @property
    def variable(self) -> str:
        """The variable. Raises InputError where it is not there or not told."""
        names = sorted(self.view.template.arrays)
        if self.wanted in names or (self.wanted is None and len(names) == 1):
            return self.wanted or names[0]
        what = f"has {', '.join(names)}" + (f", not {self.wanted}" if self.wanted else "")
        raise InputError(Problem("variable-unknown", what, self.view.name, fix="choose one with `variable`"))

    @property
    def spec(self) -> ArraySpec:
        return self.view.template.arrays[self.variable]

    @property
    def units(self) -> str:
        return str(self.spec.attrs.get("units", "1"))

    @property
    def days(self) -> TimeAxis:
        """The time axis. Raises InputError where it is not daily."""
        axis = self.view.template.time
        if axis is None or axis.step != Step("day"):
            found = "no time" if axis is None else f"steps of one {axis.step}"
            raise InputError(
                Problem(
                    "not-daily",
                    f"{found} where days were expected",
                    self.view.name,
                    "counting other steps as days gives wrong numbers",
                    "ingest it with `step: day`",
                )
            )
        return axis

    def whole(self, step: Step) -> TimeAxis:
        """The periods of a step ("month", "year") that lie wholly in the input's. Raises InputError where none does."""
        days = self.days
        first = ordinal_of(days.date(0), step, days.calendar)
        if TimeAxis(first, 1, step, days.calendar).bounds()[0, 0] < days.first:
            first += 1
        stop = ordinal_of(days.date(days.count), step, days.calendar)
        if stop <= first:
            raise InputError(
                Problem(
                    "no-whole-period",
                    f"no {step} lies wholly in {days.text(0)} to {days.text(-1)}",
                    self.view.name,
                    f"a number of part of a {step} would be taken for one of the whole",
                    "wait until the input holds one, or ingest a longer period",
                )
            )
        return TimeAxis(first, stop - first, step, days.calendar)

    def reduced(self, periods: TimeAxis, variables: Mapping[str, tuple[str, Mapping[str, Any]]]) -> Template:
        """The template of a product with one value a period and cell.

        variables  type and CF attributes by name; they are computed together
        """
        view, spec = self.view.template, self.spec
        dims = ("time", *(dim for dim in spec.dims if dim != "time"))
        shape = (periods.count, *(spec.sizes[dim] for dim in dims[1:]))
        place = {name: spec.attrs[name] for name in ("coordinates", "grid_mapping") if name in spec.attrs}
        arrays = {
            name: ArraySpec(dims, shape, np.dtype(dtype), {**attrs, **place})
            for name, (dtype, attrs) in variables.items()
        }
        return Template(
            arrays=arrays,
            coords=view.coords,
            time=periods,
            space=view.space,
            groups=(tuple(arrays),),
            read_bytes=LONGEST[periods.step.unit] * spec.dtype.itemsize,
            tiles=self.view.tiles(self.variable),
            crs=view.crs,
            bbox=view.bbox,
        )

    def window(self, periods: TimeAxis, slices: Mapping[str, slice]) -> Window:
        """The days of the periods that `slices` names, in the same cells."""
        # Days are counted from the epoch, as the bounds of periods are.
        bounds = periods.bounds()[slices["time"]] - self.days.first
        return Window((self.variable,), {**slices, "time": slice(int(bounds[0, 0]), int(bounds[-1, 1]))})


def starts(periods: TimeAxis, slices: Mapping[str, slice]) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Position of each period's first day in the days that `DailyInput.window` names, and the end of the last."""
    bounds = periods.bounds()[slices["time"]]
    positions: np.ndarray[Any, np.dtype[np.int64]] = np.append(bounds[:, 0], bounds[-1, 1]) - bounds[0, 0]
    return positions
