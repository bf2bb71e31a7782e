"""Which arrays hold dates, and how: also those that readers take for numbers of days."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from cube.template import ArraySpec

EPOCH = "days since 1970-01-01"
_TOLD = re.compile(r"((?:days|hours) since .+) in the calendar (\w+)")
"""What the comment of dates says that are numbers of days for readers: xarray has no missing dates but in Gregorian
calendars, so that the job `metric` gives dates of others the units `d`."""


def encoding(attrs: Mapping[str, Any]) -> tuple[str, str] | None:
    """CF units and calendar of dates, such as ("days since 1970-01-01", "noleap"); None for what is no date."""
    units = str(attrs.get("units", ""))
    if " since " in units:
        return units, str(attrs.get("calendar", "standard"))
    told = _TOLD.fullmatch(str(attrs.get("comment", "")))
    calendar = attrs.get("date_calendar") or (told[2] if told else None)
    if calendar is None or units != "d":
        return None
    return told[1] if told else EPOCH, str(calendar)


def is_date(spec: ArraySpec) -> bool:
    """Whether the values are dates, of which a mean, a sum or a change means nothing."""
    return encoding(spec.attrs) is not None
