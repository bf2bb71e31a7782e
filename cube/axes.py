"""The time axis: regular, in its native calendar, encoded in explicit integer units.

A label is the *start* of the period it stands for. Axes count periods from a fixed epoch (an `ordinal`), so that
positions, gaps and segments are integer arithmetic in every CF calendar.
"""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass
from typing import Any

import cftime
import numpy as np

CALENDARS = {
    "standard": "standard",
    "gregorian": "standard",
    "proleptic_gregorian": "proleptic_gregorian",
    "noleap": "noleap",
    "365_day": "noleap",
    "360_day": "360_day",
    "julian": "julian",
    "all_leap": "all_leap",
    "366_day": "all_leap",
}
EPOCH_YEAR = 1970
GREGORIAN = frozenset({"standard", "proleptic_gregorian"})
"""Calendars that number the same days alike from 1582-10-15 on, which all climate data here are after."""


def same_calendar(one: str, other: str) -> bool:
    """Whether days of two calendars are the same days under the same dates."""
    return one == other or {one, other} <= GREGORIAN


_EPOCH = f"{EPOCH_YEAR}-01-01 00:00:00"


@dataclass(frozen=True)
class Step:
    """The length of one period: n hours (n divides 24), one day, one month or one year.

    month  of years: the month, from 1, that they begin with; a year has the number of the calendar year it begins in
    """

    unit: str
    hours: int = 0
    month: int = 1

    def __post_init__(self) -> None:
        if self.unit not in {"hour", "day", "month", "year"}:
            raise ValueError(f"a step is hours, a day, a month or a year, not {self.unit!r}")
        if (self.unit == "hour") != (self.hours > 0) or (self.hours and 24 % self.hours):
            raise ValueError(f"{self.hours} hours do not divide a day")
        if not 1 <= self.month <= 12 or (self.month > 1 and self.unit != "year"):
            raise ValueError(f"years begin with a month from 1 to 12, not with {self.month}")

    @classmethod
    def parse(cls, text: str) -> Step:
        """A step from "day", "month", "year", "year from month 7" or "6 hours". Raises ValueError for other texts."""
        if begins := re.fullmatch(r"year from month (\d+)", text.strip()):
            return cls("year", month=int(begins[1]))
        match = re.fullmatch(r"(\d+)\s*(?:h|hour|hours)|hour", text.strip())
        if match:
            return cls("hour", int(match[1] or 1))
        return cls(text.strip())

    def __str__(self) -> str:
        if self.unit == "hour":
            return f"{self.hours} hours"
        return self.unit if self.month == 1 else f"{self.unit} from month {self.month}"

    @property
    def iso(self) -> str:
        """The step as an ISO 8601 duration."""
        return {"hour": f"PT{self.hours}H", "day": "P1D", "month": "P1M", "year": "P1Y"}[self.unit]

    def per_years(self, years: int, calendar: str) -> int:
        """Periods in so many years, leap days included; the same for any start."""
        if self.unit == "year":
            return years
        if self.unit == "month":
            return 12 * years
        days = {"noleap": 365.0, "all_leap": 366.0, "360_day": 360.0}.get(calendar, 365.25) * years
        return int(np.ceil(days)) * (24 // self.hours if self.unit == "hour" else 1)


@dataclass(frozen=True)
class TimeAxis:
    """`count` contiguous periods of length `step`, the first being number `first` from the epoch."""

    first: int
    count: int
    step: Step
    calendar: str

    @property
    def stop(self) -> int:
        """Ordinal after the last period."""
        return self.first + self.count

    @property
    def units(self) -> str:
        """CF units of the encoded coordinate and bounds."""
        return f"{'hours' if self.step.unit == 'hour' else 'days'} since {_EPOCH}"

    def encoded(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Encoded starts, shape (count,), int64 in `units`."""
        return encode(np.arange(self.first, self.stop), self.step, self.calendar)

    def bounds(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Encoded [start, end) of each period, shape (count, 2), int64 in `units`."""
        edges = encode(np.arange(self.first, self.stop + 1), self.step, self.calendar)
        return np.stack([edges[:-1], edges[1:]], axis=1)

    def days_of_year(self, start: int, stop: int) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Day of the year, from 1, of positions [start, stop) of an axis of days, shape (stop - start,)."""
        wanted = np.arange(self.first + start, self.first + stop)
        first, last = self.date(start).year, self.date(max(start, stop - 1)).year
        years = encode(np.arange(first - EPOCH_YEAR, last - EPOCH_YEAR + 1), Step("year"), self.calendar)
        found: np.ndarray[Any, np.dtype[np.int64]] = (
            wanted - years[np.searchsorted(years, wanted, side="right") - 1] + 1
        )
        return found

    def date(self, position: int) -> cftime.datetime:
        """Start of the period at `position`, in the axis' calendar."""
        return to_date(self.first + position, self.step, self.calendar)

    def text(self, position: int) -> str:
        """Start of the period at `position` as ISO text, a date where the time of day is always midnight."""
        date = self.date(position % self.count)
        return str(date.strftime("%Y-%m-%dT%H:%M" if self.step.unit == "hour" else "%Y-%m-%d"))

    def to_json(self) -> dict[str, str | int]:
        return {"first": self.first, "count": self.count, "step": str(self.step), "calendar": self.calendar}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> TimeAxis:
        return cls(value["first"], value["count"], Step.parse(value["step"]), value["calendar"])

    def attrs(self) -> dict[str, str]:
        """CF attributes of the time coordinate."""
        return {
            "standard_name": "time",
            "long_name": "start of the period",
            "axis": "T",
            "units": self.units,
            "calendar": self.calendar,
            "bounds": "time_bnds",
        }


def _month_starts(ordinals: np.ndarray[Any, Any], calendar: str) -> np.ndarray[Any, np.dtype[np.int64]]:
    dates = [cftime.datetime(EPOCH_YEAR + int(n) // 12, int(n) % 12 + 1, 1, calendar=calendar) for n in ordinals]
    days = cftime.date2num(dates, f"days since {_EPOCH}", calendar=calendar)
    return np.asarray(days, dtype=np.int64)


def encode(ordinals: np.ndarray[Any, Any], step: Step, calendar: str) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Encoded starts of periods given by ordinal, shape as given."""
    if step.unit == "day":
        return ordinals.astype(np.int64)
    if step.unit == "hour":
        return ordinals.astype(np.int64) * step.hours
    return _month_starts(ordinals * 12 + step.month - 1 if step.unit == "year" else ordinals, calendar)


def to_date(ordinal: int, step: Step, calendar: str) -> cftime.datetime:
    """Start of a period in its calendar."""
    value = int(encode(np.array([ordinal]), step, calendar)[0])
    unit = "hours" if step.unit == "hour" else "days"
    return cftime.num2date(value, f"{unit} since {_EPOCH}", calendar=calendar)


def ordinal_of(date: cftime.datetime | datetime.datetime, step: Step, calendar: str) -> int:
    """The ordinal of the period that holds `date` (floor)."""
    if step.unit == "year":
        return date.year - EPOCH_YEAR - (date.month < step.month)
    if step.unit == "month":
        return (date.year - EPOCH_YEAR) * 12 + date.month - 1
    day = cftime.datetime(date.year, date.month, date.day, calendar=calendar)
    number = round(float(cftime.date2num(day, f"days since {_EPOCH}", calendar=calendar)))
    return number if step.unit == "day" else number * (24 // step.hours) + date.hour // step.hours


def parse_date(text: str, calendar: str, *, end: bool = False) -> cftime.datetime:
    """A date from "2006", "2006-01", "2006-01-31" or "2006-01-31T06"; `end` gives the start of the following period.

    Raises ValueError for other texts and for days that the calendar does not have.
    """
    match = re.fullmatch(r"(\d{1,4})(?:-(\d\d?))?(?:-(\d\d?))?(?:[T ](\d\d?)(?::\d\d(?::\d\d)?)?)?", text.strip())
    if not match:
        raise ValueError(f"{text!r} is not a date such as 2006, 2006-01 or 2006-01-31")
    year, month, day, hour = (int(part) if part else None for part in match.groups())
    assert year is not None
    if month is not None and not 1 <= month <= 12:
        raise ValueError(f"{text!r} names no month from 1 to 12")
    if day == 0:
        raise ValueError(f"{text!r} names no day of the month")
    if not end:
        return cftime.datetime(year, month or 1, day or 1, hour or 0, calendar=calendar)
    if month is None:
        return cftime.datetime(year + 1, 1, 1, calendar=calendar)
    if day is None:
        return cftime.datetime(year + month // 12, month % 12 + 1, 1, calendar=calendar)
    start = cftime.datetime(year, month, day, hour or 0, calendar=calendar)
    return start + (datetime.timedelta(days=1) if hour is None else datetime.timedelta(hours=1))
