"""The `climatology` job: means over a declared period, the fixed reference that others compare with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import xarray as xr
from pydantic import Field

from compute.daily import DailyInput
from cube.axes import Step, TimeAxis, ordinal_of, parse_date
from cube.blockjob import BlockJob
from cube.errors import InputError, Problem
from cube.job import Window
from cube.layout import Group
from cube.options import Period, Strict
from cube.template import ArraySpec, Template

VALID_SHARE = 0.95
"""Share of the days that must have values; below it the mean is missing."""


class ClimatologyOptions(Strict):
    """Means of daily variables over a fixed period; growth of the input never moves them."""

    product_fields: ClassVar[tuple[str, ...]] = ("input",)

    input: str = Field(description="name of the daily product that it is made from")
    variables: tuple[str, ...] = Field(("pr",), min_length=1, description="variables of the input")
    period: Period = Field(description="the period; all of it must lie in the input's")


class ClimatologyJob(BlockJob):
    """Means of the whole period, missing where fewer than 95 % of its days have values."""

    name: ClassVar[str] = "climatology"
    revision: ClassVar[int] = 1
    Options: ClassVar[type[ClimatologyOptions]] = ClimatologyOptions
    options: ClimatologyOptions
    memory_factor: ClassVar[float] = 4.0  # sums are in double precision

    def _daily(self, variable: str) -> DailyInput:
        return DailyInput(self.inputs[self.options.input], variable)

    @property
    def days(self) -> TimeAxis:
        """The period. Raises InputError where the input does not hold all of it."""
        whole, period = self._daily(self.options.variables[0]).days, self.options.period
        calendar, day = whole.calendar, Step("day")
        first, stop = whole.first, whole.stop
        if period.start:
            first = ordinal_of(parse_date(period.start, calendar), day, calendar)
        if period.end:
            stop = ordinal_of(parse_date(period.end, calendar, end=True), day, calendar)
        if first < whole.first or stop > whole.stop or stop <= first:
            raise InputError(
                Problem(
                    "reference-not-covered",
                    f"{whole.text(0)} to {whole.text(-1)} does not hold the period {period.start} to {period.end}",
                    self.options.input,
                    "a mean over fewer days would be taken for that of the period",
                    "choose a `period` that the input holds",
                )
            )
        return TimeAxis(first, stop - first, day, calendar)

    def template(self) -> Template:
        view, days = self.inputs[self.options.input].template, self.days
        arrays = {}
        for name in self.options.variables:
            spec = self._daily(name).spec
            dims = tuple(dim for dim in spec.dims if dim != "time")
            kept = {key: spec.attrs[key] for key in ("standard_name", "units", "grid_mapping") if key in spec.attrs}
            attrs = {
                **kept,
                "long_name": f"mean of {name} over the reference period",
                "cell_methods": "time: mean",
                "reference_product": self.options.input,
                "reference_period": f"{days.text(0)} to {days.text(-1)}",
            }
            arrays[f"{name}_mean"] = ArraySpec(dims, tuple(spec.sizes[dim] for dim in dims), np.dtype("float32"), attrs)
        size = sum(self._daily(name).spec.dtype.itemsize for name in self.options.variables)
        return Template(
            arrays=arrays,
            coords=view.coords.drop_vars([n for n in view.coords.variables if "depth" in str(n)]),
            time=None,
            space=view.space,
            groups=(tuple(arrays),),
            read_bytes=size * days.count,
            tiles=self.inputs[self.options.input].tiles(self.options.variables[0]),
            crs=view.crs,
            bbox=view.bbox,
        )

    def key_options(self) -> Mapping[str, Any]:
        return {"variables": self.options.variables, "first": self.days.first, "count": self.days.count}

    def reads(self, group: Group, slices: Mapping[str, slice]) -> Mapping[str, Window]:
        shift = self.days.first - self._daily(self.options.variables[0]).days.first
        return {
            self.options.input: Window(
                self.options.variables, {**slices, "time": slice(shift, shift + self.days.count)}
            )
        }

    def compute(self, group: Group, slices: Mapping[str, slice], data: Mapping[str, xr.Dataset]) -> xr.Dataset:
        found = {}
        for name in self.options.variables:
            array = data[self.options.input][name].transpose("time", ...)
            valid = np.count_nonzero(~np.isnan(array.values), axis=0)
            total = np.nansum(array.values, axis=0, dtype=np.float64)
            enough = valid >= VALID_SHARE * len(array)
            mean = np.divide(total, valid, out=np.full(total.shape, np.nan), where=enough & (valid > 0))
            found[f"{name}_mean"] = (array.dims[1:], mean.astype(np.float32))
        return xr.Dataset(found)
