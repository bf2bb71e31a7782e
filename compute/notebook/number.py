"""A number of a product: one cell and one year of it, and the days that it is of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import cftime
import numpy as np
from numpy.typing import NDArray

from compute.nearest import Place
from compute.notebook.lineage import Member
from compute.notebook.opened import Opened
from compute.seasons.reasons import MEANINGS, NO_DATA
from compute.seasons.years import Years
from cube.axes import Step, TimeAxis
from cube.catalogue import Cube

WINDOW, SHORT_WINDOW = 50, 20
"""Days before and after the reference's season that are searched: of one season a year, and of two (Dunning 2016)."""


@dataclass(frozen=True)
class At:
    """A cell of a product and a year of it. members: the product and its ancestors by name."""

    cube: Cube
    opened: Opened
    place: Place
    cell: Mapping[str, int]
    steps: slice
    members: Mapping[str, Member]

    @property
    def calendar(self) -> str:
        assert self.opened.time is not None
        return self.opened.time.calendar

    @cached_property
    def bounds(self) -> tuple[int, int]:
        """First day of the year's periods and the day after them, since 1970-01-01."""
        time = self.opened.time
        assert time is not None
        edges = time.bounds()[self.steps]
        hours = 24 if time.step.unit == "hour" else 1
        return int(edges[0, 0]) // hours, int(edges[-1, 1]) // hours

    def dims(self, name: str) -> list[str]:
        """Dimensions of an array besides time and the cells."""
        return [dim for dim in self.opened.arrays[name].dims if dim not in (*self.opened.space, "time")]


def explained(opened: Opened, steps: slice) -> NDArray[np.bool_]:
    """Cells with a value, or with a reason for having none."""
    timed = {name: spec for name, spec in opened.arrays.items() if "time" in spec.dims}
    found = []
    for name, spec in timed.items():
        reasons = str(spec.attrs.get("flag_meanings", "")).split()
        if MEANINGS[NO_DATA] in reasons:
            number = spec.attrs["flag_values"][reasons.index(MEANINGS[NO_DATA])]
            found.append(_any(opened.values(name, {"time": steps}) != number, opened))
        elif name == "valid_days":
            found.append(_any(np.nan_to_num(opened.values(name, {"time": steps})) > 0, opened))
    found = found or [opened.known(name, steps) for name in timed]
    return np.asarray(np.any(found, axis=0))


def _any(found: NDArray[np.bool_], opened: Opened) -> NDArray[np.bool_]:
    return np.asarray(found.any(axis=tuple(range(found.ndim - len(opened.space)))))


def days_of(at: At) -> tuple[int, int, str]:
    """Days that the year's numbers are of: the period's, or those around the reference's season that are searched."""
    first, stop = at.bounds
    arrays, here = at.opened.arrays, dict(at.cell)
    if at.opened.manifest["options"].get("metric", "wet_season") == "wet_season" and {
        "season_start",
        "season_end",
        "onset",
    } <= set(arrays):
        start, end = (np.atleast_1d(at.opened.values(name, here)) for name in ("season_start", "season_end"))
        known = np.isfinite(start) & np.isfinite(end)
        if known.any():
            around = WINDOW if np.count_nonzero(known) == 1 else SHORT_WINDOW
            year = Years.of(TimeAxis(first, stop - first, Step("day"), at.calendar))
            reach = np.array([start[known].min() - around, end[known].max() + around - 1])
            low, high = (int(each) for each in year.ordinal(reach))
            return low, high + 1, "the days around the reference's season, "
    return first, stop, ""


def date_text(day: int, calendar: str) -> str:
    """The date of a day since 1970-01-01."""
    date = cftime.num2date(day, "days since 1970-01-01", calendar=calendar)
    return str(date.strftime("%Y-%m-%d"))
