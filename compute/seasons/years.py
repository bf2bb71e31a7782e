"""Years of equal length: days without 29 February, and their way back to dates.

Climatologies by day of the year need a day to be the same part of the season in each year. Positions in the retained
days are therefore plain arithmetic: 1 January of a year is `length` after that of the year before.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cube.axes import EPOCH_YEAR, Step, TimeAxis, encode

LENGTHS = {"360_day": 360}
"""Days of a year by calendar; 365 in all others, once 29 February is left out."""


def year_length(calendar: str) -> int:
    """Days in a year of retained days: 360 in the calendar 360_day, else 365."""
    return LENGTHS.get(calendar, 365)


@dataclass(frozen=True)
class Years:
    """The retained days of an axis of days.

    kept    position in the axis of each retained day, int64, shape (retained,)
    first   retained days between 1 January of `year` and the first retained day, 0 or more, less than a year
    year    calendar year of the first retained day
    length  retained days of a year
    """

    axis: TimeAxis
    kept: NDArray[np.int64]
    first: int
    year: int
    length: int

    @classmethod
    def of(cls, axis: TimeAxis) -> Years:
        """axis: of days, in any calendar. Raises ValueError for other steps."""
        if axis.step != Step("day"):
            raise ValueError(f"days are wanted, not steps of one {axis.step}")
        length = year_length(axis.calendar)
        day = axis.days_of_year(0, axis.count) - 1
        year = axis.date(0).year
        first = int(day[0])
        kept = np.arange(axis.count)
        if axis.calendar not in ("360_day", "noleap"):
            starts = encode(np.arange(year, axis.date(axis.count).year + 2) - EPOCH_YEAR, Step("year"), axis.calendar)
            index = np.searchsorted(starts, axis.first + kept, side="right") - 1
            leap = np.diff(starts)[index] == 366
            kept = kept[~(leap & (day == 59))]
            first -= int(leap[0] and day[0] > 59)
        return cls(axis, kept, first, year, length)

    @property
    def count(self) -> int:
        return len(self.kept)

    @cached_property
    def day(self) -> NDArray[np.int64]:
        """Day of the year of each retained day, 0 for 1 January, shape (retained,)."""
        return (self.first + np.arange(self.count)) % self.length

    def start(self, year: int) -> int:
        """Position among the retained days of 1 January of a year; negative or beyond them where it is outside."""
        return (year - self.year) * self.length - self.first

    @property
    def whole(self) -> tuple[int, int]:
        """First and last calendar year that lie wholly in the axis; the last is before the first where none does."""
        first = self.year + (1 if self.first else 0)
        return first, self.year + (self.first + self.count) // self.length - 1

    def ordinal(self, positions: NDArray[Any]) -> NDArray[np.int64]:
        """Days since 1970-01-01 in the axis' calendar of positions among the retained days, shape as given.

        Positions may lie outside the axis: they are those of the years before and after it.
        """
        places = np.asarray(positions, np.int64) + self.first
        year, day = self.year + places // self.length, places % self.length
        if self.length == 360 or self.axis.calendar == "noleap":
            return np.asarray((year - EPOCH_YEAR) * self.length + day, np.int64)
        unique, index = np.unique(year, return_inverse=True)
        edges = np.stack([encode(unique + shift - EPOCH_YEAR, Step("year"), self.axis.calendar) for shift in (0, 1)])
        leap = (edges[1] - edges[0] == 366)[index].reshape(year.shape)
        return np.asarray(edges[0][index].reshape(year.shape) + day + (leap & (day >= 59)), np.int64)
