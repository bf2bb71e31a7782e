"""Rules that change the calendar of daily products. Nothing else does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cube.axes import EPOCH_YEAR, Step, TimeAxis, encode

Rule = Literal["noleap-to-standard", "standard-to-noleap"]
RULES: Mapping[str, tuple[tuple[str, ...], str]] = {
    "noleap-to-standard": (("noleap",), "standard"),
    "standard-to-noleap": (("standard", "proleptic_gregorian"), "noleap"),
}
"""Calendars that a rule takes, and the one that it gives."""
FIRST_YEAR = 1583
"""The first whole year of the Gregorian calendar in `standard`."""

_DAY = Step("day")
_LEAP_DAY = 59
"""29 February, counted from 0 in its year."""

Ordinals = NDArray[np.int64]


@dataclass(frozen=True)
class Days:
    """The days of a product and those of its input that each is made of."""

    source: TimeAxis
    axis: TimeAxis

    @classmethod
    def of(cls, source: TimeAxis, rule: Rule | None) -> Days:
        """The days of an input under a rule. The input's calendar must be one that the rule takes."""
        if rule is None:
            return cls(source, source)
        calendar = RULES[rule][1]
        if rule == "noleap-to-standard":
            # A position in a year without a leap day says which day of the year it is.
            first, last = _standard(np.array([source.first, source.stop - 1]), calendar)
        else:
            years, days = _year_and_day(np.array([source.first, source.stop - 1]), source.calendar)
            leap = _leap(years, source.calendar)
            noleap = (years - EPOCH_YEAR) * 365 + days - (leap & (days >= _LEAP_DAY))
            # A first 29 February is left out and begins with 1 March, a last one ends with 28 February.
            first, last = int(noleap[0]) + int(leap[0] and days[0] == _LEAP_DAY), int(noleap[1])
        return cls(source, TimeAxis(int(first), int(last - first) + 1, _DAY, calendar))

    def positions(self, part: slice) -> tuple[Ordinals, Ordinals]:
        """Positions in the input of the days that each day of `part` is the mean of: the same one twice for most."""
        days = np.arange(self.axis.first, self.axis.stop, dtype=np.int64)[part]
        if self.source.calendar == self.axis.calendar:
            found = days - self.source.first
            return found, found
        if self.axis.calendar == "noleap":
            found = _standard(days, self.source.calendar) - self.source.first
            return found, found
        years, of_year = _year_and_day(days, self.axis.calendar)
        leap = _leap(years, self.axis.calendar)
        after = (years - EPOCH_YEAR) * 365 + of_year - (leap & (of_year > _LEAP_DAY)) - self.source.first
        return after - (leap & (of_year == _LEAP_DAY)), after

    def window(self, part: slice) -> slice:
        """The days of the input that `part` is made of."""
        before, after = self.positions(part)
        return slice(int(before[0]), int(after[-1]) + 1)

    def inserted(self, part: slice) -> NDArray[np.int8]:
        """1 for days that the input does not have, 0 for all others."""
        before, after = self.positions(part)
        return np.asarray(before != after, np.int8)


def _starts(first: int, last: int, calendar: str) -> Ordinals:
    """Ordinals of the first day of the years from `first` to one after `last`."""
    return encode(np.arange(first, last + 2) - EPOCH_YEAR, Step("year"), calendar)


def _leap(years: Ordinals, calendar: str) -> NDArray[np.bool_]:
    starts = _starts(int(years.min()), int(years.max()), calendar)
    return np.asarray(np.diff(starts)[years - years.min()] == 366)


def _year_and_day(days: Ordinals, calendar: str) -> tuple[Ordinals, Ordinals]:
    """Year, and day of the year from 0, of ordinals in a calendar with leap days."""
    guesses = [EPOCH_YEAR + int(days[place]) // length for place in (0, -1) for length in (365, 366)]
    first, last = min(guesses) - 1, max(guesses) + 1
    starts = _starts(first, last, calendar)
    index = np.searchsorted(starts, days, side="right") - 1
    return first + index, days - starts[index]


def _standard(noleap: Ordinals, calendar: str) -> Ordinals:
    """Ordinals in a calendar with leap days of days that have one in `noleap`."""
    years, days = EPOCH_YEAR + noleap // 365, noleap % 365
    starts = _starts(int(years.min()), int(years.max()), calendar)
    index = years - years.min()
    leap = np.diff(starts)[index] == 366
    return np.asarray(starts[index] + days + (leap & (days >= _LEAP_DAY)))
