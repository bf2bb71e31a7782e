"""The `metric` job: yearly numbers of a daily product."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
import xarray as xr
from pydantic import Field, field_validator

from compute.daily import DailyInput, starts
from cube.axes import Step, TimeAxis
from cube.blockjob import BlockJob
from cube.errors import SpecError
from cube.job import Window
from cube.layout import Group
from cube.options import Strict
from cube.template import Template
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
    """Days below a threshold in each calendar year that lies wholly in the input's period."""

    name: ClassVar[str] = "metric"
    revision: ClassVar[int] = 1
    Options: ClassVar[type[MetricOptions]] = MetricOptions
    options: MetricOptions

    @property
    def input(self) -> DailyInput:
        return DailyInput(self.inputs[self.options.input], self.options.variable)

    @property
    def years(self) -> TimeAxis:
        return self.input.whole(Step("year"))

    @property
    def threshold(self) -> float:
        """In the input's units. Raises SpecError for a unit of another kind."""
        return quantity(self.options.threshold, self.input.units, "threshold")

    def template(self) -> Template:
        shared = {"units": "1", "_FillValue": -1, "cell_methods": "time: sum over days"}
        dry = {
            **shared,
            "long_name": f"days of the year with {self.input.variable} below {self.options.threshold}",
            "ancillary_variables": "valid_days",
            "comment": f"strictly below; missing where fewer than {VALID_SHARE:.0%} of the year's days have values",
        }
        valid = {**shared, "long_name": "days of the year with values"}
        return self.input.reduced(self.years, {"dry_days": ("int16", dry), "valid_days": ("int16", valid)})

    def key_options(self) -> Mapping[str, Any]:
        return {"metric": self.options.metric, "variable": self.input.variable, "threshold": self.threshold}

    def reads(self, group: Group, slices: Mapping[str, slice]) -> Mapping[str, Window]:
        return {self.options.input: self.input.window(self.years, slices)}

    def compute(self, group: Group, slices: Mapping[str, slice], data: Mapping[str, xr.Dataset]) -> xr.Dataset:
        values = data[self.options.input][self.input.variable].transpose("time", ...)
        edges = starts(self.years, slices)
        shape = (len(edges) - 1, *values.shape[1:])
        dry, valid = np.empty(shape, dtype=np.int16), np.empty(shape, dtype=np.int16)
        for position, (first, stop) in enumerate(itertools.pairwise(edges)):
            year = values.values[first:stop]
            valid[position] = np.count_nonzero(~np.isnan(year), axis=0)
            enough = valid[position] >= VALID_SHARE * len(year)
            dry[position] = np.where(enough, np.count_nonzero(year < self.threshold, axis=0), -1)
        return xr.Dataset({"dry_days": (values.dims, dry), "valid_days": (values.dims, valid)})
