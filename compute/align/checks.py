"""What is wrong with an input as a whole, seen before anything is read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from compute.align.calendars import FIRST_YEAR, RULES
from compute.align.cells import overlapping
from compute.align.grid import GridOptions
from compute.align.options import AlignOptions
from compute.align.source import SourceMap, same_place
from compute.align.variables import Aligned
from cube.axes import TimeAxis
from cube.errors import InputError, Problem
from cube.job import ProductView
from cube.units import conversion

ELEVATION = "surface_altitude"
_COARSER = 1.01
"""How much larger than the target's a source's cells may be for each target to hold a centre, noise included."""


def coverage(source: SourceMap, view: ProductView, grid: GridOptions) -> Iterator[Problem]:
    """A source that lies elsewhere would give nothing but missing values."""
    west, south, east, north = view.template.bbox
    if source.crs is None:
        (south, north), (west, east) = source.y.ends, source.x.ends
    rows, columns = grid.rows, grid.columns
    meets = len(overlapping(south, north, rows)) and len(overlapping(west, east, columns, 360.0))
    if not meets:
        yield Problem(
            "align-outside",
            f"spans {_span(south, north, 'N')} and {_span(west, east, 'E')}, the grid {_span(*rows.ends, 'N')} and "
            f"{_span(*columns.ends, 'E')}: they have no cell in common",
            view.name,
            "every value would be missing",
            "correct the grid, or the area that the input was cut to",
        )


def resolution(source: SourceMap, view: ProductView, grid: GridOptions, variables: list[Aligned]) -> Iterator[Problem]:
    """The plain mean of centres needs cells that are smaller than those of the grid."""
    means = [each.name for each in variables if each.method == "mean"]
    if means and source.degrees > _COARSER * grid.step:
        yield Problem(
            "align-coarse",
            f"mean was asked for {', '.join(means)}, whose cells of {source.degrees:.3g} degrees are larger than those "
            f"of the grid ({grid.step:g} degrees)",
            view.name,
            "many cells of the grid would hold no source cell and be missing",
            "use conservative or bilinear, or a coarser grid",
        )


def calendar(options: AlignOptions, days: TimeAxis | None, place: str) -> Iterator[Problem]:
    """A rule must be one for the input's calendar."""
    if options.calendar is None:
        return
    takes, _ = RULES[options.calendar]
    if days is None:
        yield Problem("calendar-rule", "has no time that a calendar could be changed of", place, fix="leave it out")
    elif days.calendar not in takes:
        known = [rule for rule, (calendars, _) in RULES.items() if days.calendar in calendars]
        yield Problem(
            "calendar-rule",
            f"has the calendar {days.calendar}, {options.calendar} takes {' or '.join(takes)}",
            place,
            "days would be given dates that they do not have",
            f"use {known[0]}, or leave `calendar` out" if known else "leave `calendar` out: there is no rule for it",
        )
    elif days.date(0).year < FIRST_YEAR:
        what = f"begins in {days.date(0).year}; the rules know leap years from {FIRST_YEAR} on"
        yield Problem("calendar-rule", what, place, fix="ingest a later period")


def lapses(
    options: AlignOptions, variables: list[Aligned], source: SourceMap, inputs: Mapping[str, ProductView], place: str
) -> Iterator[Problem]:
    """Elevations must be given on just the two grids, for a temperature."""
    if options.lapse_rate is None:
        return
    if not any(each.lapses(options) for each in variables):
        what = "lapse_rate is given, but no variable is a temperature (in K or degC) with the method bilinear"
        yield Problem("align-lapse", what, place, fix="correct the method, or leave lapse_rate out")
    grid = options.grid
    for view, dims, axes in (
        (inputs[options.orography or ""], source.dims, (source.y, source.x)),
        (inputs[options.target_orography or ""], ("lat", "lon"), (grid.rows, grid.columns)),
    ):
        try:
            elevation(view)
        except InputError as error:
            yield from error.problems
            continue
        coords = view.template.coords
        pairs = zip(dims, axes, strict=True)
        if not all(dim in coords and same_place(cells, coords[dim].values) for dim, cells in pairs):
            of = "the input" if axes[0] is source.y else "the grid"
            yield Problem(
                "align-lapse",
                f"its cells are not those of {of}",
                view.name,
                "elevations of other places would shift temperatures",
                f"give the elevation of {of}; an `align` product brings it onto the grid",
            )


def elevation(view: ProductView) -> tuple[str, float]:
    """Name of a product's elevation, and what turns it into metres. Raises InputError where it has none."""
    arrays = view.template.arrays
    named = [name for name, spec in arrays.items() if spec.attrs.get("standard_name") == ELEVATION]
    name = named[0] if len(named) == 1 else next(iter(arrays)) if len(arrays) == 1 else None
    try:
        if name is None or len(arrays[name].dims) != 2:
            raise ValueError
        return name, conversion(str(arrays[name].attrs.get("units", "")), "m")[0]
    except ValueError:
        raise InputError(
            Problem(
                "align-lapse",
                f"has {', '.join(sorted(arrays))}, and no map of {ELEVATION} in metres",
                view.name,
                fix=f"give a product whose one variable, or the one with the standard name {ELEVATION}, is a height",
            )
        ) from None


def _span(low: float, high: float, letter: str) -> str:
    return f"{np.round(low, 3):g} to {np.round(high, 3):g} {letter}"
