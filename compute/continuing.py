"""Going on from where another product ended, so that a scenario follows its historical run without a cold start."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from compute.places import refuse_other_cells
from cube.axes import TimeAxis, same_calendar
from cube.errors import InputError, Problem
from cube.job import ProductView, Window
from cube.layout import SEGMENT
from cube.seriesjob import State
from cube.template import STATE


@dataclass(frozen=True)
class Continued:
    """The product that is continued: made by the same job, in the same way, up to the day before.

    told_by  the variable whose attributes tell how it was made
    """

    view: ProductView
    told_by: str = "smcl"

    def check(self, other: ProductView, days: TimeAxis, numbers: Sequence[str], made_by: Mapping[str, str]) -> None:
        """Raise InputError with all that keeps `days` from following what was made.

        other    a product on the cells that are wanted
        numbers  names of the state's numbers
        made_by  attributes that both must have in common
        """
        refuse_other_cells([self.view, other])
        spec, time = self.view.template.arrays.get(STATE), self.view.template.time
        problems = []
        if spec is None or time is None or spec.attrs["state_numbers"] != " ".join(numbers):
            fix = "continue a product that the same job made in the same way"
            raise InputError(self._problem("it has no state of this kind", fix))
        attrs = self.view.template.arrays[self.told_by].attrs
        for name, value in made_by.items():
            if (found := attrs.get(name)) != value:
                problems.append(
                    self._problem(f"its {name} is {found}, here it is {value}", "give both products the same options")
                )
        if not same_calendar(time.calendar, days.calendar) or time.stop != days.first:
            what = f"it ends on {time.text(-1)} ({time.calendar}), this starts on {days.text(0)} ({days.calendar})"
            problems.append(self._problem(what, "let the forcing of both meet, by `period` if need be"))
        if problems:
            raise InputError(problems)

    def _problem(self, what: str, fix: str) -> Problem:
        return Problem("not-continued", what, self.view.name, "soil water would go on from a state that never was", fix)

    def window(self, cells: Mapping[str, slice]) -> dict[str, Window]:
        """What holds the last state."""
        spec = self.view.template.arrays[STATE]
        last = spec.sizes[SEGMENT] - 1
        return {self.view.name: Window((STATE,), {**cells, SEGMENT: slice(last, last + 1)})}

    def state(self, data: Mapping[str, xr.Dataset]) -> State:
        """The last state, shape (numbers, *cells)."""
        values: State = np.asarray(data[self.view.name][STATE].values[0], np.float64)
        return values
