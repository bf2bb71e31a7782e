"""What the panels of a place's years show: a variable that the products have in common, at one cell of each grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compute.dates import is_date
from compute.nearest import Place
from compute.notebook.choosing import SEASONS, several
from compute.notebook.opened import Opened, unknown
from compute.seasons.reasons import MEANINGS, NO_DATA, VALID
from compute.seasons.years import year_length
from compute.telling_cells import VALID_DAYS
from cube.errors import InputError, Problem

SEASON = frozenset({"onset", "cessation"})
"""What is drawn as a bar."""
FIRST_SEASON = "1"
SAME = 1e-4
"""Degrees within which centres are those of one cell."""


@dataclass(frozen=True)
class Panel:
    """A product at its cell. onset and cessation, or low None and a line; each of shape (years,).

    reasons  by year, why it has no season or no number
    usual    first and last day of the reference's season, where the product holds them
    season   what was chosen of several seasons, or parts of the year
    """

    opened: Opened
    variable: str
    place: Place
    years: NDArray[np.float64]
    low: NDArray[np.float64] | None
    high: NDArray[np.float64]
    reasons: dict[str, NDArray[np.bool_]] = field(default_factory=dict)
    usual: tuple[float, float] | None = None
    season: str = ""

    @property
    def length(self) -> int:
        """Days of a year."""
        time = self.opened.time
        return year_length(time.calendar if time else "standard")

    @property
    def units(self) -> str:
        units = str(self.opened.attrs(self.variable).get("units", "1"))
        return {"d": "days"}.get(units, units)


def panels(shown: Sequence[Opened], place: tuple[float, float], variable: str | None, season: str) -> list[Panel]:
    """A panel of each product.

    variable  None for the season, or the main variable of products without one

    Raises InputError for products that have nothing in common, with all that is wrong with the choices of season, and
    for a place without a cell.
    """
    names = _drawn(shown, variable)
    problems: list[Problem] = []
    chosen = []
    for opened, name in zip(shown, names, strict=True):
        try:
            chosen.append(_chosen(opened, name, season))
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(problems)
    found = _cells(shown, place)
    given = zip(shown, names, found, chosen, strict=True)
    made = [_panel(opened, name, cell, at, bars=variable is None) for opened, name, cell, at in given]
    if len({each.units for each in made}) > 1:
        told = ", ".join(f"{each.opened.name}: {each.variable} in {each.units}" for each in made)
        raise InputError(_apart(f"they have no axis in common: {told}", shown))
    return made


def _drawn(shown: Sequence[Opened], variable: str | None) -> list[str]:
    """The variable of each product, "onset" for a season."""
    yearly = {each.name: _yearly(each) for each in shown}
    without = [name for name, names in yearly.items() if not names]
    if without:
        what = f"{', '.join(without)}: no number a year"
        fix = "name products of the job `metric` by year; `plot.map` draws others"
        raise InputError(Problem("choice-unknown", what, "plot.season", "years of other numbers would be shown", fix))
    if variable is not None:
        lacking = [name for name, names in yearly.items() if variable not in names]
        if lacking:
            raise InputError(_apart(f"{', '.join(lacking)}: no variable {variable!r} with a number a year", shown))
        return [variable for _ in shown]
    seasons = [set(yearly[each.name]) >= SEASON for each in shown]
    if any(seasons) != all(seasons):
        raise InputError(_apart("they have no axis in common, some have seasons and others do not", shown))
    return ["onset" if season else each.variable(None) for each, season in zip(shown, seasons, strict=True)]


def _apart(what: str, shown: Sequence[Opened]) -> Problem:
    """The problem of products that are not drawn beside each other, with what each of them has."""
    yearly = {each.name: _yearly(each) for each in shown}
    told = "; ".join(f"{name} has {', '.join(names)}" for name, names in yearly.items())
    common = [name for name in next(iter(yearly.values())) if all(name in names for names in yearly.values())]
    own = f"`variable` is one of: {', '.join(common)}" if common else "draw each by itself"
    fix = own if len(shown) == 1 else f"{own}, or name products of one metric"
    return Problem("choice-unknown", f"{what}: {told}", "plot.season", "unlike numbers would share an axis", fix)


def _yearly(opened: Opened) -> list[str]:
    """Variables with a number a year; dates and reasons are none."""
    time = opened.time
    if time is None or time.step.unit != "year":
        return []
    return [
        name
        for name, spec in opened.arrays.items()
        if "time" in spec.dims
        and not is_date(spec)
        and MEANINGS[NO_DATA] not in str(spec.attrs.get("flag_meanings", "")).split()
    ]


def _chosen(opened: Opened, name: str, season: str) -> dict[str, int]:
    """Positions along the dimensions that are neither years nor cells."""
    at = {}
    for dim in (each for each in opened.arrays[name].dims if each not in (*opened.space, "time")):
        labels = opened.labels(dim)
        if len(labels) == 1 and (dim not in SEASONS or season == FIRST_SEASON):
            at[dim] = 0
        elif dim not in SEASONS:
            raise InputError(several(opened, name, dim))
        elif season not in labels:
            parts = dim != "season" and season == FIRST_SEASON
            what = "it has several parts of the year" if parts else f"it has no {dim} {season!r}"
            raise InputError(unknown(what, opened.name, "season", labels))
        else:
            at[dim] = labels.index(season)
    if season != FIRST_SEASON and not set(SEASONS) & set(opened.arrays[name].dims):
        raise InputError(unknown(f"{name} has one season", opened.name, "season", []))
    return at


def _cells(shown: Sequence[Opened], place: tuple[float, float]) -> list[tuple[Place, dict[str, int]]]:
    """The cell of each product: one for all that have the same cells, where each of them tells something."""
    telling = [each.telling() for each in shown]
    found = []
    for one in shown:
        alike = [told for other, told in zip(shown, telling, strict=True) if _same_cells(one, other)]
        found.append(one.find(place, np.asarray(np.all(alike, axis=0))))
    return found


def _same_cells(one: Opened, other: Opened) -> bool:
    sizes = [[each.data.sizes[dim] for dim in each.space] for each in (one, other)]
    pairs = zip(one.centres, other.centres, strict=True)
    return sizes[0] == sizes[1] and all(np.allclose(a, b, rtol=0, atol=SAME) for a, b in pairs)


def _panel(opened: Opened, name: str, found: tuple[Place, dict[str, int]], at: dict[str, int], *, bars: bool) -> Panel:
    here = {**at, **found[1]}
    pair = bars and name == "onset"
    first = opened.values(name, here)
    return Panel(
        opened,
        name,
        found[0],
        opened.years().astype(np.float64),
        first if pair else None,
        opened.values("cessation", here) if pair else first,
        _reasons(opened, name, here, ~np.isfinite(first)),
        _usual(opened, here) if pair else None,
        ", ".join(f"{dim} {opened.labels(dim)[each]}" for dim, each in at.items() if opened.data.sizes[dim] > 1),
    )


def _reasons(opened: Opened, name: str, here: dict[str, int], absent: NDArray[np.bool_]) -> dict[str, Any]:
    """Years without a number by the reason that the arrays beside the variable give."""
    found: dict[str, NDArray[np.bool_]] = {}
    arrays = opened.arrays
    for beside in str(opened.attrs(name).get("ancillary_variables", "")).split():
        if beside not in arrays or arrays[beside].dims != arrays[name].dims:
            continue
        attrs, values = opened.attrs(beside), opened.values(beside, here)
        if beside == VALID_DAYS:
            found["too many days missing"] = absent & (values > 0)
        elif "flag_values" in attrs:
            for number, meaning in zip(attrs["flag_values"], str(attrs["flag_meanings"]).split(), strict=True):
                if meaning != MEANINGS[VALID]:
                    found[meaning.replace("_", " ")] = absent & (values == number)
    return {reason: years for reason, years in found.items() if years.any()}


def _usual(opened: Opened, here: dict[str, int]) -> tuple[float, float] | None:
    """The reference's season: of the soil's, a start alone says when the season year begins, which is no season."""
    if not {"season_start", "season_end"} <= set(opened.arrays):
        return None
    start, end = (float(opened.values(name, here)) for name in ("season_start", "season_end"))
    return (start, end) if np.isfinite(start) and np.isfinite(end) else None
