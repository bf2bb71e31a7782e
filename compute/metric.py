"""The `metric` job: yearly numbers of a daily product."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import cftime
import numpy as np
import xarray as xr
from pydantic import Field, field_validator

from cube.axes import EPOCH_YEAR, Step, TimeAxis, ordinal_of
from cube.blockjob import BlockJob
from cube.errors import InputError, Problem, SpecError
from cube.job import ProductView, Window
from cube.layout import Group
from cube.options import Strict
from cube.template import ArraySpec, Template
from cube.units import measured, quantity

VALID_SHARE = 0.95
"""Share of a year's days that must have values; below it the year is missing, never 0."""


class MetricOptions(Strict):
    """A yearly metric of a daily product."""

    product_fields: ClassVar[tuple[str, ...]] = ("input",)

    metric: Literal["dry_days"] = Field(
        description="dry_days: days of the calendar year with less than `threshold`; missing where fewer than 95 % of "
        "the year's days have values"
    )
    input: str = Field(description="name of the daily product that it is made from")
    variable: str | None = Field(None, description="variable of the input; needed where it has several")
    threshold: str = Field(description="limit with its unit; days strictly below it count", examples=["1 mm d-1"])

    @field_validator("threshold")
    @classmethod
    def _with_unit(cls, value: str) -> str:
        try:
            measured(value, "threshold")
        except SpecError as error:
            raise ValueError(*error.problems) from None
        return value


class MetricJob(BlockJob):
    """Days below a threshold in each calendar year."""

    name: ClassVar[str] = "metric"
    revision: ClassVar[int] = 1
    Options: ClassVar[type[MetricOptions]] = MetricOptions
    options: MetricOptions

    @property
    def view(self) -> ProductView:
        return self.inputs[self.options.input]

    @property
    def variable(self) -> str:
        """The input variable. Raises InputError where it is not there or not told."""
        names = sorted(self.view.template.arrays)
        if self.options.variable is None and len(names) == 1:
            return names[0]
        if self.options.variable in names:
            return str(self.options.variable)
        what = f"has {', '.join(names)}" + (f", not {self.options.variable}" if self.options.variable else "")
        raise InputError(Problem("variable-unknown", what, self.options.input, fix="choose one with `variable`"))

    @property
    def days(self) -> TimeAxis:
        """The input's time axis. Raises InputError where it is not daily."""
        axis = self.view.template.time
        if axis is None or axis.step != Step("day"):
            found = "no time" if axis is None else f"steps of one {axis.step}"
            raise InputError(
                Problem(
                    "not-daily",
                    f"{found} where days were expected",
                    self.options.input,
                    "counting other steps as days gives wrong numbers",
                    "ingest it with `step: day`",
                )
            )
        return axis

    @property
    def years(self) -> TimeAxis:
        axis = self.days
        first, last = axis.date(0).year, axis.date(axis.count - 1).year
        return TimeAxis(first - EPOCH_YEAR, last - first + 1, Step("year"), axis.calendar)

    @property
    def threshold(self) -> float:
        """In the input's units. Raises SpecError for a unit of another kind."""
        units = str(self.view.template.arrays[self.variable].attrs.get("units", "1"))
        return quantity(self.options.threshold, units, "threshold")

    def template(self) -> Template:
        source, years = self.view.template, self.years
        spec = source.arrays[self.variable]
        dims = ("time", *(dim for dim in spec.dims if dim != "time"))
        shape = (years.count, *(spec.sizes[dim] for dim in dims[1:]))
        shared = {
            "units": "1",
            "_FillValue": -1,
            **{name: spec.attrs[name] for name in ("coordinates", "grid_mapping") if name in spec.attrs},
        }
        dry = {
            **shared,
            "long_name": f"days of the year with {self.variable} below {self.options.threshold}",
            "cell_methods": "time: sum over days",
            "ancillary_variables": "valid_days",
            "comment": f"strictly below; missing where fewer than {VALID_SHARE:.0%} of the year's days have values",
        }
        valid = {**shared, "long_name": "days of the year with values", "cell_methods": "time: sum over days"}
        int16 = np.dtype("int16")
        return Template(
            arrays={"dry_days": ArraySpec(dims, shape, int16, dry), "valid_days": ArraySpec(dims, shape, int16, valid)},
            coords=source.coords,
            time=years,
            space=source.space,
            groups=(("dry_days", "valid_days"),),
            read_bytes=366 * spec.dtype.itemsize,
            crs=source.crs,
            bbox=source.bbox,
        )

    def key_options(self) -> Mapping[str, Any]:
        return {"metric": self.options.metric, "variable": self.variable, "threshold": self.threshold}

    def reads(self, group: Group, slices: Mapping[str, slice]) -> Mapping[str, Window]:
        years, days = self.years, self.days
        edges = [
            ordinal_of(
                cftime.datetime(EPOCH_YEAR + years.first + at, 1, 1, calendar=days.calendar), days.step, days.calendar
            )
            - days.first
            for at in (slices["time"].start, slices["time"].stop)
        ]
        part = slice(max(0, edges[0]), min(days.count, edges[1]))
        return {self.options.input: Window((self.variable,), {**slices, "time": part})}

    def compute(self, group: Group, slices: Mapping[str, slice], data: Mapping[str, xr.Dataset]) -> xr.Dataset:
        values = data[self.options.input][self.variable].transpose("time", ...)
        years = self.years
        # Encoded days count from the epoch in the calendar, as the years' bounds do.
        day = data[self.options.input]["time"].values
        bounds = years.bounds()[slices["time"]]
        shape = (len(bounds), *values.shape[1:])
        dry, valid = np.full(shape, -1, dtype=np.int16), np.zeros(shape, dtype=np.int16)
        for position, (start, stop) in enumerate(bounds):
            first, last = np.searchsorted(day, [start, stop])
            year = values.values[first:last]
            valid[position] = np.count_nonzero(~np.isnan(year), axis=0)
            enough = valid[position] >= VALID_SHARE * (stop - start)
            dry[position] = np.where(enough, np.count_nonzero(year < self.threshold, axis=0), -1)
        return xr.Dataset({"dry_days": (values.dims, dry), "valid_days": (values.dims, valid)})
