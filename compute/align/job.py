"""The `align` job: products on a declared grid, day by day.

Targets are regular grids of latitude and longitude; projected targets are not offered. Sources are maps of latitude and
longitude or of any projection that has a coordinate reference system.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from compute.align import checks
from compute.align.calendars import Days
from compute.align.maps import daily, decoded, encoded
from compute.align.options import AlignOptions
from compute.align.source import DEGREE, KINDS, SourceMap, source_map
from compute.align.variables import INSERTED, Aligned, beside, chosen
from compute.daily import DailyInput
from cube.axes import TimeAxis
from cube.blockjob import BlockJob
from cube.errors import InputError, Problem
from cube.hashing import digest
from cube.job import ProductView, Window
from cube.layout import Group
from cube.template import ArraySpec, Template

if TYPE_CHECKING:
    from compute.align.regridding import Regridding


class AlignJob(BlockJob):
    """Variables of one product on another grid, each a group of its own with the marks that belong to it."""

    name: ClassVar[str] = "align"
    revision: ClassVar[int] = 1
    Options: ClassVar[type[AlignOptions]] = AlignOptions
    options: AlignOptions

    @property
    def view(self) -> ProductView:
        return self.inputs[self.options.input]

    @property
    def source(self) -> SourceMap:
        return source_map(self.view)

    @property
    def days(self) -> Days | None:
        """The days of input and product; None for maps without time. Raises InputError for other steps than days."""
        if self.view.template.time is None:
            return None
        return Days.of(DailyInput(self.view, None).days, self.options.calendar)

    def template(self) -> Template:
        variables = self._checked()
        options, view, days = self.options, self.view, self.days
        arrays: dict[str, ArraySpec] = {}
        groups = []
        for each in variables:
            made = each.arrays(options, days.axis.count if days else None)
            arrays |= made
            groups.append(tuple(made))
        if days and options.calendar == "noleap-to-standard":
            attrs = {
                "long_name": "29 February that the input does not have: mean of the days beside it",
                "units": "1",
                "flag_values": [0, 1],
                "flag_meanings": "day_of_input interpolated",
            }
            arrays[INSERTED] = ArraySpec(("time",), (days.axis.count,), np.dtype("int8"), attrs)
            groups.append((INSERTED,))
        gone = {*self.source.dims, "lat", "lon", "crs"}
        kept = {
            str(name): coord
            for name, coord in view.template.coords.variables.items()
            if not gone & {str(name), *map(str, coord.dims)}
        }
        return Template(
            arrays=arrays,
            coords=options.grid.coords().assign_coords(kept),
            time=days.axis if days else None,
            space=("lat", "lon"),
            groups=tuple(groups),
            read_bytes=max(self._read_bytes(each) for each in variables),
            bbox=options.grid.bbox,
        )

    def key_options(self) -> Mapping[str, Any]:
        options = self.options
        return {
            "source": self.source.digest(),
            "grid": options.grid.model_dump(mode="json"),
            "min_valid": options.needed,
            "coast": options.coast,
            "lapse": options.lapse,
            "calendar": options.calendar,
        }

    def identities(self, group: Group, slices: Mapping[str, slice]) -> Sequence[str]:
        name = self._name(group)
        if name == INSERTED:
            # Nothing is read, so that the days themselves have to tell growth.
            return [digest(self.days.inserted(slices["time"]).tolist() if self.days else [])]
        return [f"{name}:{self.options.variables[name]}", *super().identities(group, slices)]

    def reads(self, group: Group, slices: Mapping[str, slice]) -> Mapping[str, Window]:
        name = self._name(group)
        if name == INSERTED:
            return {}
        each = self._variable(name)
        y, x = self._regridding().window(each.method, (slices["lat"], slices["lon"]))
        place = dict(zip(each.plane, (y, x), strict=True))
        time = {"time": self.days.window(slices["time"])} if self.days and "time" in slices else {}
        windows = {self.options.input: Window((name,), {**time, **place})}
        if each.lapses(self.options):
            target = {dim: slices[dim] for dim in ("lat", "lon")}
            for product, part in ((self.options.orography, place), (self.options.target_orography, target)):
                assert product is not None
                windows[product] = Window((checks.elevation(self.inputs[product])[0],), part)
        return windows

    def compute(self, group: Group, slices: Mapping[str, slice], data: Mapping[str, xr.Dataset]) -> xr.Dataset:
        name = self._name(group)
        if name == INSERTED:
            assert self.days is not None
            return xr.Dataset({INSERTED: (("time",), self.days.inserted(slices["time"]))})
        from compute.align.regridding import Regridder  # compiled code takes a moment to load, and plans need none

        each, options = self._variable(name), self.options
        window = self.reads(group, slices)[options.input].slices
        tile, plane = (slices["lat"], slices["lon"]), (window[each.plane[0]], window[each.plane[1]])
        regridding = self._regridding()
        near = regridding.candidates(tile, plane) if options.coast else None
        regrid = Regridder(each.method, regridding.weights(each.method, tile, plane), options.needed, near)
        lapse = self._lapse(data) if each.lapses(options) else None

        timed = "time" in each.source.dims
        values = data[options.input][name].transpose(*(("time",) if timed else ()), *each.others, *each.plane).values
        cells = tuple(part.stop - part.start for part in tile)
        if timed:
            assert self.days is not None
            parts = daily(values, each.source, self.days, slices["time"])
            steps = (slices["time"].stop - slices["time"].start,)
        else:
            parts, steps = iter([(slice(0, 1), decoded(values, each.source)[None])]), (1,)
        shape = (*steps, *(each.source.sizes[dim] for dim in each.others), *cells)
        specs = each.arrays(options, steps[0])
        out = {of: np.empty(shape, specs[of].dtype) for of in group.variables}
        for some, part in parts:
            maps = part.reshape(-1, math.prod(part.shape[-2:]))
            found, counts, filled = regrid(maps if lapse is None else maps + lapse[0])
            made = encoded(found if lapse is None else found - lapse[1], each), counts, filled
            for of, array in zip((name, *beside(name)), made, strict=True):
                if of in out:
                    out[of][some] = array.reshape(-1, *shape[1:])
        dims = specs[name].dims
        return xr.Dataset({of: (dims, array if timed else array[0]) for of, array in out.items()})

    def _name(self, group: Group) -> str:
        """The variable that a group is about. In the layout for maps, what belongs to a variable is a group alone."""
        own = group.variables[0]
        return next((name for name in self.options.variables if own in beside(name)), own)

    def _checked(self) -> list[Aligned]:
        """The variables. Raises InputError with all that is wrong."""
        options, view = self.options, self.view
        problems: list[Problem] = []
        days: TimeAxis | None = None
        try:
            days = None if view.template.time is None else DailyInput(view, None).days
        except InputError as error:
            problems += error.problems
        try:
            source = self.source
        except InputError as error:
            raise InputError([*problems, *error.problems]) from None
        variables, found = chosen(options, view.template.arrays, source.dims, view.name)
        problems += found
        problems += checks.coverage(source, view, options.grid)
        problems += checks.resolution(source, view, options.grid, variables)
        if days is not None or view.template.time is None:
            problems += checks.calendar(options, days, view.name)
        problems += checks.lapses(options, variables, source, self.inputs, view.name)
        if problems:
            raise InputError(problems)
        return variables

    def _variable(self, name: str) -> Aligned:
        return Aligned(name, self.options.variables[name], self.view.template.arrays[name], self.source.dims)

    def _regridding(self) -> Regridding:
        from compute.align.regridding import regridding  # GEOS and scipy too

        grid = self.options.grid
        return regridding(self.source, grid.rows, grid.columns, coast=self.options.coast is not None)

    def _read_bytes(self, each: Aligned) -> int:
        """Bytes of the source under one cell of the grid, as a power of two: a layout must not hang on rounding."""
        source, grid = self.source, self.options.grid
        step = grid.step * (DEGREE if source.metre else 1.0)
        cells = (step / source.y.size) * (step / source.x.size)
        size = each.source.dtype.itemsize * math.prod(each.source.sizes[dim] for dim in each.others)
        return int(2 ** math.ceil(math.log2(max(1.0, cells * size)) - 1e-6))

    def _lapse(self, data: Mapping[str, xr.Dataset]) -> tuple[NDArray[Any], NDArray[Any]]:
        """What temperatures gain on the way to sea level: of each source cell of the window, each cell of the tile."""
        found = []
        for product in (self.options.orography, self.options.target_orography):
            assert product is not None
            view = self.inputs[product]
            name, metres = checks.elevation(view)
            spec = view.template.arrays[name]
            dims = next(dims for dims in KINDS if set(dims) == set(spec.dims))
            heights = decoded(data[product][name].transpose(*dims).values, spec).astype(np.float64)
            found.append(self.options.lapse * metres * heights.ravel())
        return found[0], found[1]
