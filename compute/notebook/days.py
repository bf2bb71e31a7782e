"""The days that a year's numbers are of: the period's, or those that the metric looks at."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compute.metrics.kind import Setting
from compute.metrics.options import MetricOptions
from compute.metrics.parts import Parts
from compute.metrics.threshold_season import ThresholdSeason
from compute.nearest import Place
from compute.notebook.number import At, date_text
from compute.notebook.opened import Opened
from compute.seasons.years import Years
from cube.axes import Step, TimeAxis
from cube.errors import InputError

MONTHS = "months"
WINDOW, SHORT_WINDOW = 50, 20
"""Days before and after the reference's season that are searched: of one season a year, and of two (Dunning 2016)."""
AROUND = "the days around the reference's season"
RULED = "the days that the rule looks at"


@dataclass(frozen=True)
class Days:
    """Days that a number is of, since 1970-01-01, the last not included.

    part  name of the months or of the season, where the product has several
    what  which days they are, where these are not the period's
    """

    first: int
    stop: int
    part: str = ""
    what: str = ""

    def text(self, calendar: str) -> str:
        """First and last day, and how many they are."""
        head = f"{self.what}, " if self.what else f"{self.part}: " if self.part else ""
        span = f"{date_text(self.first, calendar)} to {date_text(self.stop - 1, calendar)}"
        return f"{head}{span}, {self.stop - self.first} days"


def days_of(at: At) -> list[Days]:
    """Days that the year's numbers are of; none where the cube does not tell them, or the cell has no season."""
    first, stop = at.bounds
    arrays, time, asked = at.opened.arrays, at.opened.time, at.opened.manifest["options"]
    days = TimeAxis(first, stop - first, Step("day"), at.calendar)
    if any(MONTHS in spec.dims for spec in arrays.values()) and time is not None and time.step.unit == "year":
        names = at.opened.labels(MONTHS)
        edges = Parts(days, time.step.month, names).edges(0, 1)[0]
        return [Days(first + int(a), first + int(b), name) for name, (a, b) in zip(names, edges, strict=True)]
    metric = asked.get("metric", "wet_season")
    if metric == ThresholdSeason.name:
        return list(_ruled(asked, days))
    if metric == "soil_season":
        return list(_season_years(at, days))
    if metric == "wrsi" and asked.get("seasons"):
        return list(_seasons(at, days, str(asked["seasons"])))
    if metric == "wet_season" and {"season_start", "season_end", "onset"} <= set(arrays):
        return list(_around(at, days)) or [Days(first, stop)]
    return [Days(first, stop)]


def same_cell(other: Opened, place: Place) -> dict[str, int] | None:
    """The cell of another product with the same centre, to a hundredth of a degree."""
    try:
        found, cell = other.find((place.lat, place.lon))
    except InputError:
        return None
    return cell if abs(found.lat - place.lat) < 0.01 and abs(found.lon - place.lon) < 0.01 else None


def _span(days: TimeAxis, first: Any, stop: Any, **more: str) -> Days:
    """Days from and before positions that count from 1 January of the year, 29 February left out."""
    low, high = (int(each) for each in Years.of(days).ordinal(np.array([first, stop - 1])))
    return Days(low, high + 1, **more)


def _around(at: At, days: TimeAxis) -> Iterator[Days]:
    """Those around the reference's season that are searched."""
    start, end = _fixed(at.opened, at.cell, "season_start"), _fixed(at.opened, at.cell, "season_end")
    known = np.isfinite(start) & np.isfinite(end)
    if known.any():
        around = WINDOW if np.count_nonzero(known) == 1 else SHORT_WINDOW
        yield _span(days, start[known].min() - around, end[known].max() + around, what=AROUND)


def _ruled(asked: Any, days: TimeAxis) -> Iterator[Days]:
    """Those that a rule of thresholds looks at, which may lie in the year after."""
    try:
        # Others may be defaults of options of other metrics, which are refused where they are given.
        options = MetricOptions.model_validate({name: asked.get(name) for name in ("metric", "input", "rule")})
    except ValueError:
        # Made by a release with other options: what the rule looks at is not known.
        return
    first, stop = ThresholdSeason(Setting(options, days, None, "mm d-1")).rule.window
    yield _span(days, first, stop, what=RULED)


def _season_years(at: At, days: TimeAxis) -> Iterator[Days]:
    """The season year of each season of the soil, up to that of the other one."""
    length = Years.of(days).length
    start = _fixed(at.opened, at.cell, "season_start")
    known = np.flatnonzero(np.isfinite(start))
    for each in known:
        span = (start[1 - each] - start[each]) % length if len(known) == 2 else length
        yield _span(days, start[each], start[each] + span, part=_named(at.opened, int(each)))


def _seasons(at: At, days: TimeAxis, product: str) -> Iterator[Days]:
    """The climatological seasons of the product that the seasons were taken from."""
    if product not in at.cube:
        return
    other = Opened.of(at.cube, product)
    cell = same_cell(other, at.place)
    if cell is None or not {"season_start", "season_end"} <= set(other.arrays):
        return
    start, end = _fixed(other, cell, "season_start"), _fixed(other, cell, "season_end")
    for each in np.flatnonzero(np.isfinite(start) & np.isfinite(end)):
        yield _span(days, start[each], end[each] + 1, part=_named(at.opened, int(each)))


def _fixed(opened: Opened, cell: Any, name: str) -> NDArray[np.float64]:
    """Days of the reference at a cell, from 1 January, shape (seasons,)."""
    return np.atleast_1d(opened.values(name, dict(cell)))


def _named(opened: Opened, position: int) -> str:
    return f"season {opened.labels('season')[position]}"
