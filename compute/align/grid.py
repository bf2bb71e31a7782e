"""The grid that products are brought onto, as a specification declares it."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
import xarray as xr
from pydantic import BeforeValidator, Field, model_validator

from compute.align.cells import Cells
from cube.errors import Problem
from cube.options import Strict

_NOISE = 1e-6
"""Of a step: how far the ends may be from whole steps."""
_DECIMALS = 10


class GridOptions(Strict):
    """A regular grid of latitude and longitude. Projected grids are not offered as targets."""

    lat: tuple[float, float] = Field(
        description="centres of the southernmost and the northernmost cells, degrees north",
        examples=[[-35.875, 37.875]],
    )
    lon: tuple[float, float] = Field(
        description="centres of the westernmost and the easternmost cells, degrees east from -180; a grid across the "
        "date line goes on past 180",
        examples=[[-18.875, 51.875]],
    )
    step: float = Field(gt=0, description="distance of neighbouring centres, degrees", examples=[0.25])

    @model_validator(mode="after")
    def _whole(self) -> GridOptions:
        half = self.step / 2
        for name, ends in (("lat", self.lat), ("lon", self.lon)):
            steps = (ends[1] - ends[0]) / self.step
            if steps < 0:
                raise ValueError(
                    f"{name} must be [first, last] from south to north or west to east, found {list(ends)}"
                )
            if abs(steps - round(steps)) > _NOISE * max(1.0, steps):
                last = round(ends[0] + round(steps) * self.step, _DECIMALS)
                raise ValueError(
                    f"{name}: {ends[0]:.10g} to {ends[1]:.10g} are {steps:.7g} steps of {self.step:.10g} degrees, "
                    f"which is no whole number; both ends are centres of cells, so the last one may be {last:.10g}"
                )
        slack = _NOISE * self.step
        if self.lat[0] - half < -90 - slack or self.lat[1] + half > 90 + slack:
            raise ValueError(
                f"lat: the cells reach from {self.lat[0] - half:.10g} to {self.lat[1] + half:.10g} degrees; the ends "
                "are centres of cells, and half a step beyond them must lie within -90 and 90"
            )
        if self.lon[0] - half < -180 - slack or self.lon[1] - self.lon[0] + self.step > 360 + slack:
            raise ValueError(
                f"lon: the cells reach from {self.lon[0] - half:.10g} to {self.lon[1] + half:.10g} degrees; they must "
                "begin at -180 or east of it and span no more than 360"
            )
        return self

    @property
    def rows(self) -> Cells:
        return _cells(self.lat, self.step)

    @property
    def columns(self) -> Cells:
        return _cells(self.lon, self.step)

    @property
    def bbox(self) -> tuple[float, float, float, float]:
        """West, south, east, north in degrees."""
        (south, north), (west, east) = self.rows.ends, self.columns.ends
        return west, south, east, north

    def coords(self) -> xr.Dataset:
        """`lat` and `lon` with bounds, in encoded form."""
        lat = {"standard_name": "latitude", "long_name": "latitude", "units": "degrees_north", "axis": "Y"}
        lon = {"standard_name": "longitude", "long_name": "longitude", "units": "degrees_east", "axis": "X"}
        coords: dict[str, Any] = {}
        for name, cells, attrs in (("lat", self.rows, lat), ("lon", self.columns, lon)):
            coords[name] = xr.Variable((name,), cells.centre, {**attrs, "bounds": f"{name}_bnds"})
            coords[f"{name}_bnds"] = xr.Variable((name, "bnds"), np.stack([cells.lower, cells.upper], axis=1))
        return xr.Dataset(coords=coords)


def _cells(ends: tuple[float, float], step: float) -> Cells:
    count = np.arange(round((ends[1] - ends[0]) / step) + 2)
    centre = np.round(ends[0] + step * count[:-1], _DECIMALS)
    edges = np.round(ends[0] + step * (count - 0.5), _DECIMALS)
    return Cells(centre, edges[:-1], edges[1:])


def _declared(value: Any) -> Any:
    if isinstance(value, str):
        what = f"{value!r} is the name of a grid, and there is no specification here that declares it"
        fix = "give the grid itself: {lat: [...], lon: [...], step: ...}"
        raise ValueError(Problem("spec-unknown-grid", what, fix=fix))  # noqa: TRY004
    return value


Grid = Annotated[
    GridOptions,
    BeforeValidator(
        _declared,
        json_schema_input_type=Annotated[str, Field(description="name of a grid in `grids`")] | GridOptions,
    ),
]
"""A grid, or the name of one that `grids` of the specification declares: names are replaced before options are read."""
