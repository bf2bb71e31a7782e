"""A number of a product: one cell and one year of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import cftime

from compute.nearest import Place
from compute.notebook.lineage import Member
from compute.notebook.opened import Opened
from cube.catalogue import Cube


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


def date_text(day: int, calendar: str) -> str:
    """The date of a day since 1970-01-01."""
    date = cftime.num2date(day, "days since 1970-01-01", calendar=calendar)
    return str(date.strftime("%Y-%m-%d"))
