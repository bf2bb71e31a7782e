"""Times of a five-field cron expression, in UTC, and the same expression in a form that every scheduler reads alike."""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass

from cronsim import CronSim, CronSimError

from cube.errors import Problem

_EXAMPLES = 'such as "30 2 * * *" for every day at 02:30, or "0 7 * * 0" for Sundays at 07:00'
_SPANS = {"minutes": range(60), "hours": range(24), "days": range(1, 32), "months": range(1, 13), "weekdays": range(7)}


def check_cron(text: str) -> Problem | None:
    """What is wrong with an expression, None where nothing is."""
    fields = text.split()
    if len(fields) != 5:
        return Problem("schedule-time", f"five fields are expected, found {len(fields)} in {text!r}", fix=_EXAMPLES)
    # What cron itself does not know: last days, nearest weekdays, the nth weekday of a month.
    if re.search(r"[#?LW]", re.sub("JUL|WED", "", text.upper())):
        return Problem("schedule-time", f"digits, names, and * , - / are expected, found {text!r}", fix=_EXAMPLES)
    try:
        next_time(text, datetime.datetime.now(datetime.UTC))
    except (CronSimError, StopIteration) as error:
        what = str(error) if isinstance(error, CronSimError) else "there is no such day"
        return Problem("schedule-time", f"{text!r} names no time: {what}", fix=_EXAMPLES)
    if fields[2] != "*" and fields[4] != "*":
        return Problem(
            "schedule-time",
            f"{text!r} restricts both the day of the month and the day of the week",
            danger="cron would run it on days that match either, other schedulers on days that match both",
            fix="give `*` for one of the two",
        )
    return None


def next_time(cron: str, after: datetime.datetime) -> datetime.datetime:
    """The first time after a moment."""
    return next(CronSim(cron, after.astimezone(datetime.UTC)))


def previous_time(cron: str, before: datetime.datetime) -> datetime.datetime:
    """The last time before a moment."""
    return next(CronSim(cron, before.astimezone(datetime.UTC), reverse=True))


@dataclass(frozen=True)
class Fields:
    """The values of an expression, sorted; a field that holds all of its span is None. Sunday is day 0."""

    minutes: tuple[int, ...] | None
    hours: tuple[int, ...] | None
    days: tuple[int, ...] | None
    months: tuple[int, ...] | None
    weekdays: tuple[int, ...] | None

    @classmethod
    def of(cls, cron: str) -> Fields:
        parsed = CronSim(cron, datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC))
        found = {name: {int(each) for each in getattr(parsed, name)} for name in _SPANS}
        found["weekdays"] = {day % 7 for day in found["weekdays"]}
        return cls(**{n: None if v == set(_SPANS[n]) else tuple(sorted(v)) for n, v in found.items()})

    def cron(self) -> str:
        """Numbers and commas only: what lies behind steps, names and Sunday's second number differs among crons."""
        fields = (self.minutes, self.hours, self.days, self.months, self.weekdays)
        return " ".join("*" if each is None else ",".join(map(str, each)) for each in fields)
