"""A job of a few lines over no input, whose values a formula gives: what is published can be known without our code."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import xarray as xr

from cube.axes import Step, TimeAxis
from cube.blockjob import BlockJob
from cube.errors import InputError, Problem
from cube.options import Strict
from cube.provenance import Provenance
from cube.template import ArraySpec, Template

CELLS = (6, 8)


class ToyOptions(Strict):
    """changed: days whose input is another one; broken: a day that cannot be computed."""

    product_fields: ClassVar[tuple[str, ...]] = ()

    days: int
    first: int = 0
    changed: tuple[int, ...] = ()
    broken: int | None = None
    empty: tuple[int, ...] = ()
    names: tuple[str, ...] = ("pr",)


def expected(options: ToyOptions) -> np.ndarray[Any, Any]:
    """All values, shape (days, lat, lon)."""
    day, lat, lon = np.ogrid[options.first : options.first + options.days, 0 : CELLS[0], 0 : CELLS[1]]
    values = ((day * 7 + lat * 3 + lon) % 11).astype("float32")
    values[np.isin(day.ravel(), options.changed)] += 0.5
    values[np.isin(day.ravel(), options.empty)] = np.nan
    return values


class Toy(BlockJob):
    name = "toy"
    revision = 1
    Options = ToyOptions
    options: ToyOptions
    computed: ClassVar[list[str]] = []

    def template(self) -> Template:
        lat = xr.Variable(
            "lat", np.arange(CELLS[0], dtype="float64"), {"units": "degrees_north", "standard_name": "latitude"}
        )
        lon = xr.Variable(
            "lon", np.arange(CELLS[1], dtype="float64"), {"units": "degrees_east", "standard_name": "longitude"}
        )
        spec = ArraySpec(("time", "lat", "lon"), (self.options.days, *CELLS), np.dtype("float32"), {"units": "mm d-1"})
        return Template(
            arrays=dict.fromkeys(self.options.names, spec),
            coords=xr.Dataset(coords={"lat": lat, "lon": lon}),
            time=TimeAxis(self.options.first, self.options.days, Step("day"), "standard"),
            space=("lat", "lon"),
            groups=tuple((name,) for name in self.options.names),
            bbox=(-0.5, -0.5, 7.5, 5.5),
        )

    def key_options(self):
        return {}

    def identities(self, group, slices):
        options = self.options
        days = range(options.first + slices["time"].start, options.first + slices["time"].stop)
        return [f"{day} {day in options.changed} {day in options.empty}" for day in days]

    def reads(self, group, slices):
        return {}

    def compute(self, group, slices, data):
        Toy.computed.append(f"{group.name} {slices['time'].start}")
        days = range(self.options.first + slices["time"].start, self.options.first + slices["time"].stop)
        if self.options.broken in days:
            raise InputError(Problem("input-moved", "the day cannot be computed", "toy"))
        values = expected(self.options)[tuple(slices[dim] for dim in ("time", "lat", "lon"))]
        return xr.Dataset({group.name: (("time", "lat", "lon"), values)})

    def provenance(self):
        return Provenance("CC-BY-4.0", "yes")
