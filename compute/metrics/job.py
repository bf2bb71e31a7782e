"""The `metric` job: what a metric makes of the days of a product, block by block on whole series."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
import xarray as xr

from compute.caveats import TEMPERATURE_ONLY, TEMPERATURE_PET
from compute.metrics.kind import Arrays, Kind, Made, Setting
from compute.metrics.kinds import KINDS
from compute.metrics.options import MetricOptions, ReferenceOptions
from compute.metrics.series import Series, Values, land_factor, masked, reference_days, told_reference
from compute.places import refuse_other_cells
from cube.axes import TimeAxis, same_calendar
from cube.blockjob import OWN, BlockJob
from cube.errors import CubeError, InputError, Problem
from cube.job import JobContext, ProductView, Window
from cube.layout import Group
from cube.provenance import Provenance
from cube.template import PROVISIONAL, ArraySpec, Template

LONGEST = {"month": 31, "year": 366}
"""Days of the longest period of a step."""
SELF = "self"


def _passing(made: Made) -> Made:
    return replace(made, attrs={**made.attrs, PROVISIONAL: 1})


class MetricJob(BlockJob):
    """Numbers of years or months; where there is a reference, what is taken from it is made first and published too."""

    name: ClassVar[str] = "metric"
    revision: ClassVar[int] = 3
    Options: ClassVar[type[MetricOptions]] = MetricOptions
    options: MetricOptions
    memory_factor: ClassVar[float] = 2.5

    @classmethod
    def create(cls, options: Any, context: JobContext) -> Self:
        """Raises InputError with all that is wrong with the inputs."""
        job = cls(options, context.inputs)
        job._check()
        return job

    @property
    def view(self) -> ProductView:
        return self.inputs[self.options.input]

    @cached_property
    def series(self) -> Series:
        return Series(self.view, self.options.variable, self.options.pft)

    @cached_property
    def past_series(self) -> Series | None:
        reference = self.options.reference
        if reference is None:
            return None
        if not isinstance(reference, ReferenceOptions):
            return self.series
        return Series(self.inputs[reference.product], self.options.variable or self.series.variable, self.options.pft)

    @cached_property
    def past(self) -> TimeAxis | None:
        """The days of the reference."""
        if self.past_series is None:
            return None
        period = self.options.reference.period if isinstance(self.options.reference, ReferenceOptions) else None
        return reference_days(self.past_series.days, period, self.past_series.view.name)

    @cached_property
    def kind(self) -> Kind:
        series, past = self.series, self.past
        told = f"{self.past_series.view.name} {past.text(0)} to {past.text(-1)}" if self.past_series and past else ""
        return KINDS[self.options.metric](
            Setting(self.options, series.days, past, series.units, told, self._told(past))
        )

    def _told(self, past: TimeAxis | None) -> dict[str, Any]:
        found: dict[str, Any] = {}
        if past is not None and self.past_series is not None:
            found["reference_product"] = self.past_series.view.name
            found |= told_reference(past)
            if self.options.reference == SELF:
                found["reference"] = "self: timing only, a change of the mean is hidden"
        attrs = self.series.spec.attrs
        found |= {name: attrs[name] for name in ("day_begins", "emulates", "model", "pedotransfer") if name in attrs}
        if "caveat" in attrs or attrs.get("pet") in TEMPERATURE_PET:
            found["caveat"] = attrs.get("caveat", TEMPERATURE_ONLY)
        return found

    def notes(self) -> Mapping[str, Any]:
        told = self.kind.told()
        notes = [str(told[name]) for name in ("method", "thresholds", "caveat") if name in told]
        if self.past is not None:
            notes.append(f"Reference: {told['reference_product']}, {told['reference_period']}.")
            if "reference_note" in told:
                notes.append(f"{told['reference_note'].capitalize()}.")
        if self.options.reference == SELF:
            notes.append("Timing only: the series is compared with its own mean, which hides drying.")
        return {"notes": notes}

    def _check(self) -> None:
        problems: list[Problem] = []
        for check in (self._check_series, self._check_reference, self._check_land, self._check_seasons):
            try:
                check()
            except CubeError as error:
                problems += error.problems
        if problems:
            raise InputError(list(dict.fromkeys(problems)))
        self.template()
        self.kind.key()

    def _check_series(self) -> None:
        _ = self.series.days, self.series.vegetation
        KINDS[self.options.metric].refuse_units(self.series.variable, self.series.units, self.view.name)

    def _check_reference(self) -> None:
        past = self.past_series
        if past is None or past is self.series:
            _ = self.past
            return
        _ = self.past, past.vegetation
        refuse_other_cells([self.view, past.view])
        try:
            past.check_units(self.series.units)
        except InputError as error:
            raise InputError([*error.problems]) from None
        if not same_calendar(past.days.calendar, self.series.days.calendar):
            raise InputError(
                Problem(
                    "calendars-differ",
                    f"the calendar of the reference is {past.days.calendar}, of the input {self.series.days.calendar}",
                    f"{past.view.name} (with {self.view.name})",
                    "days of one calendar would be compared with other days of another",
                    "bring them to one calendar with `align` and its `calendar`",
                )
            )

    def _check_land(self) -> None:
        if self.options.land_fraction:
            view = self.inputs[self.options.land_fraction]
            land_factor(view)
            refuse_other_cells([self.view, view])

    def _check_seasons(self) -> None:
        if self.options.seasons:
            view = self.inputs[self.options.seasons]
            lacking = [name for name in self.kind.beside if name not in view.template.arrays]
            if lacking:
                fix = "name a product of the metric wet_season"
                raise InputError(Problem("variable-unknown", f"has no {' and no '.join(lacking)}", view.name, fix=fix))
            refuse_other_cells([self.view, view])

    def template(self) -> Template:
        kind, view, series = self.kind, self.view.template, self.series
        try:
            periods = kind.periods
        except ValueError as error:
            raise InputError(
                Problem(
                    "no-whole-period",
                    str(error),
                    self.view.name,
                    "a number of part of a year would be taken for one of the whole",
                    "wait until the input holds one, or ingest a longer period",
                )
            ) from None
        coords = kind.coords()
        lengths = {name: len(each) for name, each in coords.items()}
        place = {name: series.spec.attrs[name] for name in ("coordinates", "grid_mapping") if name in series.spec.attrs}
        cells = {dim: series.spec.sizes[dim] for dim in series.dims}

        def spec(made: Made, time: int | None) -> ArraySpec:
            dims = {**({} if time is None else {"time": time}), **{dim: lengths[dim] for dim in made.dims}, **cells}
            return ArraySpec(tuple(dims), tuple(dims.values()), np.dtype(made.dtype), {**made.attrs, **place})

        groups = [
            {name: spec(made, periods.count) for name, made in kind.arrays().items()},
            {name: spec(_passing(made), None) for name, made in kind.unfinished().items()},
            {name: spec(made, None) for name, made in kind.reference().items()},
        ]
        dropped = [
            str(name)
            for name, each in view.coords.variables.items()
            if not {*map(str, each.dims)} <= {*series.dims, "bnds"}
        ]
        size = series.spec.dtype.itemsize * math.prod(cells[dim] for dim in series.layers)
        past = self.past.count if self.past else 0
        return Template(
            arrays={name: each for group in groups for name, each in group.items()},
            coords=view.coords.drop_vars(dropped).assign_coords(coords),
            time=periods,
            space=view.space,
            groups=tuple(tuple(group) for group in groups if group),
            read_bytes=LONGEST[periods.step.unit] * size,
            read_once=max(past, LONGEST["year"]) * size,
            tiles=self.view.tiles(series.variable),
            crs=view.crs,
            bbox=view.bbox,
        )

    def key_options(self) -> Mapping[str, Any]:
        past = [self.past.first, self.past.count] if self.past else None
        return {
            "metric": self.options.metric,
            "variable": self.series.variable,
            "vegetation": self.series.vegetation,
            "units": self.series.units,
            "reference": past,
            **self.kind.key(),
        }

    def _part(self, group: Group) -> str:
        """Which arrays of the metric a group holds. In the layout for maps each variable is a group alone."""
        name = group.variables[0]
        if name in self.kind.reference():
            return "reference"
        return "unfinished" if name in self.kind.unfinished() else "periods"

    def _days(self, group: Group, slices: Mapping[str, slice]) -> slice:
        """Positions of the days of the input that a part is made from."""
        part = self._part(group)
        if part == "reference":
            assert self.past is not None
            assert self.past_series is not None
            start = self.past.first - self.past_series.days.first
            return slice(start, start + self.past.count)
        if part == "unfinished":
            return self.kind.reads_unfinished()
        return self.kind.reads(slices["time"].start, slices["time"].stop)

    def _idle(self, group: Group) -> bool:
        """Whether there is nothing to read: a chunk may hold the whole period, and would be decoded for no day."""
        return self._part(group) == "unfinished" and self.kind.idle

    def reads(self, group: Group, slices: Mapping[str, slice]) -> Mapping[str, Window]:
        cells = {dim: slices[dim] for dim in self.series.space if dim in slices}
        series = self.past_series if self._part(group) == "reference" else self.series
        assert series is not None
        found = {} if self._idle(group) else {series.view.name: series.window(cells, self._days(group, slices))}
        if self.options.land_fraction:
            found[self.options.land_fraction] = Window(("land_fraction",), cells)
        if self.options.seasons:
            found[self.options.seasons] = Window(self.kind.beside, cells)
        return found

    def own(self, group: Group, slices: Mapping[str, slice]) -> Window | None:
        names = tuple(self.kind.reference())
        if not names or self._part(group) == "reference":
            return None
        return Window(names, {dim: slices[dim] for dim in self.series.space if dim in slices})

    def identities(self, group: Group, slices: Mapping[str, slice]) -> Sequence[str]:
        found = list(super().identities(group, slices))
        part = self._part(group)
        if part == "unfinished":
            found.append(f"to {self.series.days.stop}")
        if part != "reference" and self.past_series is not None and self.past is not None:
            start = self.past.first - self.past_series.days.first
            cells = {dim: slices[dim] for dim in self.series.space if dim in slices}
            window = self.past_series.window(cells, slice(start, start + self.past.count))
            found += [f"reference {each}" for each in self.past_series.view.keys_of(window)]
        return found

    def compute(self, group: Group, slices: Mapping[str, slice], data: Mapping[str, xr.Dataset]) -> xr.Dataset:
        kind, part, read = self.kind, self._part(group), self._days(group, slices)
        series = self.past_series if part == "reference" else self.series
        assert series is not None
        units = kind.units or (None if series is self.series else self.series.units)
        if self._idle(group):
            values = np.full((read.stop - read.start, math.prod(series.sizes(slices))), np.nan, np.float32)
        else:
            values = self._land(series.values(data[series.view.name], units, read, read), slices, data)
        fixed = self._fixed(data)
        if part == "reference":
            made, specs = kind.of_reference(values, fixed), kind.reference()
        else:
            own = {**fixed, **(self._reference(data[OWN]) if OWN in data else {})}
            if part == "unfinished":
                made, specs = kind.of_unfinished(values, own), kind.unfinished()
            else:
                steps = slices["time"]
                made, specs = kind.of_periods(values, steps.start, steps.stop, own), kind.arrays()
        lead = ("time",) if part == "periods" else ()
        cells = series.sizes(slices)
        return xr.Dataset(
            {
                name: ((*lead, *specs[name].dims, *series.dims), made[name].reshape(*made[name].shape[:-1], *cells))
                for name in group.variables
            }
        )

    def _land(self, values: Values, slices: Mapping[str, slice], data: Mapping[str, xr.Dataset]) -> Values:
        if not self.options.land_fraction:
            return values
        land = data[self.options.land_fraction]["land_fraction"].transpose(*self.series.space).values
        return masked(values, land * land_factor(self.inputs[self.options.land_fraction]))

    def _fixed(self, data: Mapping[str, xr.Dataset]) -> Arrays:
        if not self.options.seasons:
            return {}
        found = data[self.options.seasons]
        space = self.series.space
        return {
            name: found[name].transpose(..., *space).values.reshape(-1, int(np.prod([found.sizes[d] for d in space])))
            for name in self.kind.beside
        }

    def _reference(self, data: xr.Dataset) -> Arrays:
        """The reference's arrays as the metric made them: (*dims, cells)."""
        found: Arrays = {}
        for name, made in self.kind.reference().items():
            array = data[name].transpose(*made.dims, *self.series.dims).values
            found[name] = np.ascontiguousarray(array.reshape(*array.shape[: len(made.dims)], -1))
        return found

    def provenance(self) -> Provenance:
        found = super().provenance()
        return Provenance(**{**vars(found), "citations": (*found.citations, *self.kind.cited())})
