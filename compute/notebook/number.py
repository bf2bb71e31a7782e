"""A number of a product: one cell and one year of it, and the days that it is of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import cftime
import numpy as np

from compute.metrics.parts import Parts
from compute.nearest import Place
from compute.notebook.lineage import Member
from compute.notebook.opened import Opened
from compute.seasons.years import Years
from cube.axes import Step, TimeAxis
from cube.catalogue import Cube

MONTHS = "months"
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


@dataclass(frozen=True)
class Days:
    """Days that a number is of, since 1970-01-01, the last not included.

    part    name of the months where the product has parts of years
    around  whether they are those that are searched around the reference's season
    """

    first: int
    stop: int
    part: str = ""
    around: bool = False

    def text(self, calendar: str) -> str:
        """First and last day, and how many they are."""
        what = "the days around the reference's season, " if self.around else f"{self.part}: " if self.part else ""
        span = f"{date_text(self.first, calendar)} to {date_text(self.stop - 1, calendar)}"
        return f"{what}{span}, {self.stop - self.first} days"


def days_of(at: At) -> list[Days]:
    """Days that the year's numbers are of: the period's, those of each part of the year, or those around the
    reference's season that are searched."""
    first, stop = at.bounds
    arrays, time = at.opened.arrays, at.opened.time
    days = TimeAxis(first, stop - first, Step("day"), at.calendar)
    if any(MONTHS in spec.dims for spec in arrays.values()) and time is not None and time.step.unit == "year":
        names = at.opened.labels(MONTHS)
        edges = Parts(days, time.step.month, names).edges(0, 1)[0]
        return [Days(first + int(a), first + int(b), name) for name, (a, b) in zip(names, edges, strict=True)]
    if at.opened.manifest["options"].get("metric", "wet_season") == "wet_season" and {
        "season_start",
        "season_end",
        "onset",
    } <= set(arrays):
        start, end = (np.atleast_1d(at.opened.values(name, dict(at.cell))) for name in ("season_start", "season_end"))
        known = np.isfinite(start) & np.isfinite(end)
        if known.any():
            around = WINDOW if np.count_nonzero(known) == 1 else SHORT_WINDOW
            reach = np.array([start[known].min() - around, end[known].max() + around - 1])
            low, high = (int(each) for each in Years.of(days).ordinal(reach))
            return [Days(low, high + 1, around=True)]
    return [Days(first, stop)]


def date_text(day: int, calendar: str) -> str:
    """The date of a day since 1970-01-01."""
    date = cftime.num2date(day, "days since 1970-01-01", calendar=calendar)
    return str(date.strftime("%Y-%m-%d"))
