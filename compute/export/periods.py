"""Which periods of a product lie between two dates, and what is said where it holds fewer than were asked for."""

from __future__ import annotations

import datetime

from cube.axes import TimeAxis, ordinal_of, parse_date
from cube.errors import InputError, Problem

When = str | int | datetime.date
"""A year, month or day: text such as "1991-07", the number of a year, or a date."""


def when_text(given: When | None) -> str | None:
    """What was given as the text that it would be on the command line."""
    # A date with a time of day, of midnight, means the day.
    return None if given is None else str(given).strip().removesuffix(" 00:00:00")


def held(axis: TimeAxis) -> str:
    """First and last day of an axis, of hours first and last hour."""
    hours = axis.step.unit == "hour"
    last = axis.date(axis.count) - datetime.timedelta(hours=1 if hours else 24)
    return f"{axis.text(0)} to {last.strftime('%Y-%m-%dT%H:%M' if hours else '%Y-%m-%d')}"


def chosen(axis: TimeAxis, start: str | None, end: str | None, product: str) -> tuple[slice, str]:
    """Positions of the periods that lie wholly in what is asked for, and what is said where the product begins later or
    ends earlier ("" where it does not).

    start, end  first and last year, month or day, inclusive; None for those of the product

    Raises InputError for texts that are no dates of the calendar, and where no period is left.
    """
    ends, problems = [], []
    for text, inclusive in ((start, False), (end, True)):
        try:
            ends.append(None if text is None else parse_date(text, axis.calendar, end=inclusive))
        except ValueError as error:
            fix = f"give a date of the calendar {axis.calendar}, such as {axis.text(0)}"
            problems.append(Problem("period-date", str(error), product, fix=fix))
    if problems:
        raise InputError(problems)
    first, stop, short = 0, axis.count, False
    if (begin := ends[0]) is not None:
        first = max(0, ordinal_of(begin, axis.step, axis.calendar) - axis.first)
        # A period that began before the date is not wholly in what was asked for.
        first += first < axis.count and axis.date(first) < begin
        short = begin < axis.date(0)
    if (after := ends[1]) is not None:
        stop = min(stop, ordinal_of(after, axis.step, axis.calendar) - axis.first)
        short |= after > axis.date(axis.count)
    if stop <= first:
        what = f"no period lies in {start or 'its start'} to {end or 'its end'}"
        raise InputError(Problem("export-empty", what, product, fix=f"it holds {held(axis)}"))
    return slice(first, stop), f"asked {_asked(start, end)}; the product holds {held(axis)}" if short else ""


def _asked(start: str | None, end: str | None) -> str:
    if start is not None and end is not None:
        return f"{start} to {end}"
    return f"from {start}" if start is not None else f"until {end}"
