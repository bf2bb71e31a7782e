"""Where and when a product is, as STAC wants it: GeoJSON in degrees, Gregorian times in UTC."""

from __future__ import annotations

import calendar
import datetime
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import cftime

from cube.axes import parse_date

GREGORIAN = {"standard", "proleptic_gregorian"}
"""Calendars whose dates are ISO 8601 dates."""
WORLD = [-180.0, -90.0, 180.0, 90.0]


def rfc3339(time: datetime.datetime) -> str:
    """A UTC time as text, e.g. "2005-12-01T00:00:00Z". Raises ValueError for a time without zone."""
    if time.tzinfo is None:
        raise ValueError(f"{time} has no time zone")
    return time.astimezone(datetime.UTC).replace(tzinfo=None).isoformat(timespec="seconds") + "Z"


def gregorian(date: cftime.datetime) -> str:
    """A date of any calendar as RFC 3339 text; a day that the Gregorian month lacks becomes the month's last day."""
    day = min(date.day, calendar.monthrange(date.year, date.month)[1])
    return datetime.datetime(date.year, date.month, day, date.hour, date.minute, date.second).isoformat() + "Z"


def interval(time: Mapping[str, Any]) -> tuple[str, str, bool]:
    """First and last second covered by a manifest's time extent, and whether a day had to be moved.

    STAC intervals include both ends, hence the last second before `end_bound`.
    """
    start = parse_date(time["start"], time["calendar"])
    end = parse_date(time["end_bound"], time["calendar"]) - datetime.timedelta(seconds=1)
    texts = gregorian(start), gregorian(end)
    moved = any(date.day != int(text[8:10]) for date, text in zip((start, end), texts, strict=True))
    return texts[0], texts[1], moved


def iso(text: str) -> str:
    """A manifest's date of a Gregorian calendar, "2006-01-31" or "2006-01-31T06:00", as RFC 3339 text."""
    match = re.fullmatch(r"(\d+)(-\d\d-\d\d)(?:T(\d\d:\d\d))?", text)
    if not match:
        raise ValueError(f"{text!r} is not a date such as 2006-01-31")
    return f"{int(match[1]):04d}{match[2]}T{match[3] or '00:00'}:00Z"


def _longitude(value: float) -> float:
    return value if -180 <= value <= 180 else (value + 180) % 360 - 180


def bounding_box(bbox: Sequence[float] | None) -> list[float] | None:
    """[west, south, east, north] within -180..180 and -90..90, west above east across the antimeridian.

    None where the product has no place (no box, or a box that is not finite).
    """
    if bbox is None or not all(math.isfinite(value) for value in bbox):
        return None
    west, south, east, north = (float(value) for value in bbox)
    south, north = max(south, -90.0), min(north, 90.0)
    if east - west >= 360:
        return [-180.0, south, 180.0, north]
    west, east = _longitude(west), _longitude(east)
    # A box that ends on the antimeridian does not cross it.
    if west == 180 and east < west:
        west = -180.0
    if east == -180 and west > east:
        east = 180.0
    return [west, south, east, north]


def _ring(west: float, south: float, east: float, north: float) -> list[list[list[float]]]:
    return [[[west, south], [east, south], [east, north], [west, north], [west, south]]]


def geometry(bbox: Sequence[float] | None) -> dict[str, Any] | None:
    """GeoJSON of a box from `bounding_box`: cut in two at the antimeridian (RFC 7946), a point or line where flat."""
    if bbox is None:
        return None
    west, south, east, north = bbox
    if west > east:
        parts = [_ring(west, south, 180.0, north), _ring(-180.0, south, east, north)]
        return {"type": "MultiPolygon", "coordinates": parts}
    if west == east and south == north:
        return {"type": "Point", "coordinates": [west, south]}
    if west == east or south == north:
        return {"type": "LineString", "coordinates": [[west, south], [east, north]]}
    return {"type": "Polygon", "coordinates": _ring(west, south, east, north)}


def union(boxes: Iterable[Sequence[float]]) -> list[float]:
    """The smallest box round the globe that holds all boxes; the world where there are none."""
    boxes = list(boxes)
    if not boxes:
        return list(WORLD)
    south, north = min(box[1] for box in boxes), max(box[3] for box in boxes)
    arcs = sorted((box[0], box[2] if box[2] >= box[0] else box[2] + 360) for box in boxes)
    furthest = max(end for _, end in arcs)
    # The union is what the widest gap between arcs leaves: (width, its west, its east). First the gap across the
    # antimeridian, so that among equal ones the union does not cross it.
    gaps = [(arcs[0][0] + 360 - furthest, furthest, arcs[0][0])]
    reach = max(arcs[0][1], furthest - 360)
    for start, end in arcs[1:]:
        gaps.append((start - reach, reach, start))
        reach = max(reach, end)
    width, east, west = max(gaps, key=lambda gap: gap[0])
    if width <= 0:
        return [-180.0, south, 180.0, north]
    return [west, south, _longitude(east), north]
