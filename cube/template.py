"""The structure of a product before anything of it is computed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import xarray as xr

from cube.axes import TimeAxis
from cube.layout import SEGMENT, Dim, Layout, Part, time_layout
from cube.options import LayoutOptions

SEGMENTS = (10, 5, 2, 1)
"""Years that `segment: auto` chooses from."""
TAIL_BYTES = 10_000_000_000
"""What growth may encode again, before compression."""
PROVISIONAL = "provisional"
"""Attribute, with the value 1, of variables that tell of what is going on: their values may go when it is over."""
STATE = "state"
"""The variable that holds states, one for each segment of the layout."""


@dataclass(frozen=True)
class ArraySpec:
    """A data variable before it exists. Integer variables that can be missing give `_FillValue` in `attrs`."""

    dims: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    attrs: Mapping[str, Any] = field(default_factory=dict)

    @property
    def fill(self) -> Any:
        """What stands for missing: `_FillValue`, else NaN for floats, else None (cannot be missing)."""
        if "_FillValue" in self.attrs:
            return self.dtype.type(self.attrs["_FillValue"])
        return self.dtype.type(np.nan) if self.dtype.kind == "f" else None

    @property
    def sizes(self) -> dict[str, int]:
        return dict(zip(self.dims, self.shape, strict=True))

    def bytes(self, slices: Mapping[str, slice]) -> int:
        """Bytes of the part that `slices` cut out."""
        lengths = (part.stop - part.start if (part := slices.get(dim)) else size for dim, size in self.sizes.items())
        return self.dtype.itemsize * math.prod(lengths)


@dataclass(frozen=True)
class FileSpec:
    """A file that is no array, such as a model.

    beside  a variable whose group has one block: this block writes the file too
    fields  further STAC fields of its asset
    """

    beside: str
    media_type: str
    title: str
    roles: tuple[str, ...]
    fields: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Template:
    """The structure of a product; nothing in it is computed.

    arrays      the data variables
    coords      all coordinates but time, with values and CF attributes, in encoded form
    time        the time axis, None for a product without time; its coordinate and bounds are made from it
    space       the names of the dimensions that blocks are cut along, besides time
    groups      data variables that are computed together
    read_bytes  bytes that the job reads from its inputs for one time step of one cell of the output
    read_once   the same for variables without time, of products that have time; 0 for as many as for one step
    tiles       how the input that is mostly read is cut along `space`, from `ProductView.tiles`; empty where the cells
                are not those of an input
    crs         epsg and wkt of a projected grid, both None for latitude and longitude
    bbox        west, south, east, north in degrees
    files       files that are no arrays, by name relative to the version
    state       what the numbers mean that each block hands to the one that follows it in time; none for most products
    """

    arrays: Mapping[str, ArraySpec]
    coords: xr.Dataset
    time: TimeAxis | None
    space: tuple[str, ...]
    groups: tuple[tuple[str, ...], ...]
    read_bytes: int = 0
    read_once: int = 0
    tiles: Mapping[str, Dim] = field(default_factory=dict)
    crs: Mapping[str, Any] = field(default_factory=lambda: {"epsg": None, "wkt": None})
    bbox: tuple[float, float, float, float] = (-180.0, -90.0, 180.0, 90.0)
    files: Mapping[str, FileSpec] = field(default_factory=dict)
    state: tuple[str, ...] = ()

    @property
    def dims(self) -> dict[str, tuple[str, ...]]:
        """The dimensions of each data variable."""
        return {name: array.dims for name, array in self.arrays.items()}

    def part(self, name: str) -> Part:
        array = self.arrays[name]
        return Part(name, array.dims, array.shape, array.dtype.itemsize)

    def carrying(self, options: LayoutOptions) -> Template:
        """The template with the array of states, which has one for the end of each segment of this layout."""
        if not self.state or STATE in self.arrays:
            return self
        main = self.layout(options).groups[0]
        time, along = self.time, main.dim("time")
        assert time is not None
        assert along is not None
        cells = {dim.name: dim.size for dim in main.dims if dim.name in self.space}
        ends = [min((i + 1) * along.shard, along.size) - 1 for i in range(along.blocks)]
        attrs = {
            "long_name": "state of each cell at the end of each segment, from which the next one goes on",
            "state_numbers": " ".join(self.state),
        }
        spec = ArraySpec(
            (SEGMENT, "state_number", *cells), (len(ends), len(self.state), *cells.values()), np.dtype("f8"), attrs
        )
        described = {"long_name": "end of the segment", "units": time.units, "calendar": time.calendar}
        coords = self.coords.assign_coords({SEGMENT: xr.Variable((SEGMENT,), time.bounds()[ends, 1], described)})
        groups = ((*self.groups[0], STATE), *self.groups[1:])
        return replace(self, arrays={**self.arrays, STATE: spec}, coords=coords, groups=groups)

    def layout(self, options: LayoutOptions) -> Layout:
        """The time-optimised layout of this template."""
        time, segment = self.time, None
        if time and options.segment:
            years = self._tail_years(time) if options.segment == "auto" else options.segment
            segment = time.step.per_years(years, time.calendar)
        found = time_layout(
            [[self.part(name) for name in group if name != STATE] for group in self.groups],
            time="time" if time else None,
            space=self.space,
            segment=segment,
            read_bytes_per_step_cell=self.read_bytes,
            read_bytes_per_cell=self.read_once,
            tiles=self.tiles,
        )
        if STATE not in self.arrays:
            return found
        first = replace(found.groups[0], variables=self.groups[0], carries=True)
        return Layout(found.name, (first, *found.groups[1:]))

    def _tail_years(self, time: TimeAxis) -> int:
        """The longest of SEGMENTS that may be encoded again whenever the product grows."""
        step = sum(array.bytes({"time": slice(0, 1)}) for array in self.arrays.values() if "time" in array.dims)
        lengths = {years: time.step.per_years(years, time.calendar) for years in SEGMENTS}
        return next((years for years, steps in lengths.items() if steps * step < TAIL_BYTES), SEGMENTS[-1])

    def coordinates(self) -> xr.Dataset:
        """All coordinates with time and its bounds, in encoded form."""
        if self.time is None:
            return self.coords
        time = xr.Variable(("time",), self.time.encoded(), self.time.attrs())
        bounds = xr.Variable(("time", "bnds"), self.time.bounds())
        return self.coords.assign_coords(time=time, time_bnds=bounds)
