"""What an evaluation compares, settled before anything is computed: targets, predictors, days, and what is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from compute.daily import DailyInput
from compute.evaluation.days import Seasons, common, cut, part, season_days, told
from compute.evaluation.options import EvaluateOptions
from compute.evaluation.targets import Target, Values, checked, targets, window
from compute.places import refuse_other_cells
from compute.soil import SOIL_SET
from cube.axes import TimeAxis
from cube.errors import InputError, Problem
from cube.job import ProductView, Window

BEFORE = ("simulation", "climatology", "persistence")
"""Predictors that every evaluation has, the first of the dimension."""
SITES = ("cell", "latitude", "longitude")
"""Variables of a product of the job `sample` that tell its cells."""


@dataclass(frozen=True)
class Compared:
    options: EvaluateOptions
    inputs: Mapping[str, ProductView]

    def check(self) -> None:
        """Raises InputError with all that is wrong with the inputs."""
        checked(
            self._check_cells,
            lambda: self.days,
            lambda: self.known,
            lambda: self.targets,
            self._check_soil,
            self._check_sites,
        )

    @property
    def simulation(self) -> ProductView:
        return self.inputs[self.options.simulation]

    @property
    def space(self) -> tuple[str, ...]:
        return self.simulation.template.space

    @property
    def predictors(self) -> tuple[str, ...]:
        return (*BEFORE, *self.options.baselines)

    @cached_property
    def targets(self) -> list[Target]:
        return targets(self.options, self.inputs)

    def axis(self, name: str) -> TimeAxis:
        """The days of a product. Raises InputError where it is not daily."""
        return DailyInput(self.inputs[name], None).days

    @cached_property
    def days(self) -> TimeAxis:
        """The days that are evaluated. Raises InputError where there are none, or calendars differ."""
        names = (self.options.simulation, self.options.reference, *self.options.baselines)
        axes = {name: self.axis(name) for name in names}
        if len({axis.calendar for axis in axes.values()}) > 1:
            what = "calendars are " + ", ".join(f"{name} {axis.calendar}" for name, axis in axes.items())
            danger = "days of one calendar would be compared with other days of another"
            fix = "bring them to one calendar with `align` and its `calendar`"
            raise InputError(Problem("calendars-differ", what, ", ".join(names), danger, fix))
        both = common(axes[names[0]], axes[names[1]])
        days = cut(both, self.options.period, "period") if both else None
        if days is None:
            where = " in the period" if both else ""
            what = f"no day{where} in common: " + ", ".join(f"{name} {told(axes[name])}" for name in names[:2])
            raise InputError(Problem("no-common-days", what, ", ".join(names[:2]), fix="see `period` and the inputs"))
        apart = [name for name in names[2:] if common(days, axes[name]) is None]
        if apart:
            what = f"no day of {told(days)}: " + ", ".join(f"{name} {told(axes[name])}" for name in apart)
            fix = "name baselines that cover the evaluated days"
            raise InputError(Problem("no-common-days", what, ", ".join(apart), fix=fix))
        return days

    @cached_property
    def known(self) -> TimeAxis:
        """The days of the reference that the climatology is made of. Raises InputError where there are none."""
        axis = self.axis(self.options.reference)
        found = cut(axis, self.options.climatology, "climatology")
        if found is None:
            what = f"{told(axis)} holds no day of `climatology`"
            raise InputError(Problem("reference-not-covered", what, self.options.reference, fix="see `climatology`"))
        return found

    @cached_property
    def held(self) -> TimeAxis:
        """The days of the reference that are read: evaluated, of the climatology, and a year before the first."""
        days, known, axis = self.days, self.known, self.axis(self.options.reference)
        first = max(axis.first, min(int(Seasons.of(days).before[0]), known.first))
        stop = max(known.stop, days.stop)
        return TimeAxis(first, stop - first, days.step, days.calendar)

    @property
    def season_days(self) -> int:
        return season_days(self.days.calendar)

    @property
    def short(self) -> bool:
        """Whether the evaluated days are too few for anomalies from the season."""
        return self.days.count < 2 * self.season_days

    def _check_cells(self) -> None:
        names = (self.options.simulation, self.options.reference, *self.options.baselines, self.options.soil)
        refuse_other_cells([self.inputs[name] for name in names if name])

    def _check_soil(self) -> None:
        if not self.options.soil:
            return
        view = self.inputs[self.options.soil]
        spec = view.template.arrays.get("sm_sat")
        if spec is None or set(spec.dims) != set(self.space):
            what = f"has no map of sm_sat, it has {', '.join(sorted(view.template.arrays))}"
            fix = "name a product of the job `soil`"
            raise InputError(Problem("statics-missing", what, view.name, fix=fix))
        own = self.targets[0].series[self.options.simulation].spec.attrs
        problems = [
            Problem(
                "soil-mixed",
                f"{key} is {spec.attrs[key]}, that of {self.simulation.name} is {own[key]}",
                view.name,
                "errors would be relative to another soil",
                "name the soil product that the simulation was made with",
            )
            for key in SOIL_SET
            if key in own and key in spec.attrs and own[key] != spec.attrs[key]
        ]
        if problems:
            raise InputError(problems)

    def _check_sites(self) -> None:
        if not self.options.trained_on:
            return
        arrays = self.inputs[self.options.trained_on].template.arrays
        if absent := [name for name in SITES if name not in arrays]:
            what, fix = f"has no {', '.join(absent)}", "name a product of the job `sample`"
            raise InputError(Problem("variable-unknown", what, self.options.trained_on, fix=fix))

    def series_windows(self, cells: Mapping[str, slice]) -> dict[str, Window]:
        """What is read for some cells of the products that have days."""
        found = {}
        for name in (self.options.simulation, *self.options.baselines):
            axis = self.axis(name)
            found[name] = window(self.targets, name, cells, part(self._both(name), axis))
        axis = self.axis(self.options.reference)
        found[self.options.reference] = window(self.targets, self.options.reference, cells, part(self.held, axis))
        return found

    def windows(self, cells: Mapping[str, slice]) -> dict[str, Window]:
        """All that is read for some cells."""
        found = self.series_windows(cells)
        if self.options.soil:
            found[self.options.soil] = Window(("sm_sat",), cells)
        if self.options.trained_on:
            found[self.options.trained_on] = Window(SITES, {})
        return found

    def _both(self, name: str) -> TimeAxis:
        found = common(self.days, self.axis(name))
        assert found is not None
        return found

    def on_days(self, values: Values, name: str) -> Values:
        """A series that was read of a simulated product on the evaluated days, (days, cells), NaN on those it lacks."""
        both = self._both(name)
        if both == self.days:
            return values
        whole = np.full((self.days.count, values.shape[1]), np.nan, np.float32)
        whole[part(both, self.days)] = values
        return whole

    def to_json(self) -> dict[str, Any]:
        """What of it changes scores."""
        options = self.options
        return {
            "targets": [each.to_json() for each in self.targets],
            "products": [options.simulation, options.reference, *options.baselines],
            "days": self.days.to_json(),
            "known": [self.known.first, self.known.count],
            "soil": options.soil,
            "trained_on": options.trained_on,
            "events": options.events.model_dump(),
        }
