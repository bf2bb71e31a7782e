"""What of a product is exported: variables, periods, and cells of a box, of a region, or of places."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compute.export.asked import AskedPlace, regions_of
from compute.places import places
from compute.regions import TURNS, inside
from cube.axes import TimeAxis, ordinal_of, parse_date
from cube.errors import CubeError, InputError, Problem
from cube.job import ProductView
from cube.template import STATE

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Asked:
    """What a user asks for; see `compute.export.exporting.export`. At most one of box, region and places."""

    variables: Sequence[str] = ()
    box: Box | None = None
    region: str | Path | None = None
    places: Sequence[AskedPlace] = ()
    start: str | None = None
    end: str | None = None


@dataclass(frozen=True)
class Choice:
    """What is exported of a product.

    variables  in the product's order
    left_out   variables that were not named and do not fit
    time       positions of the periods, None for a product without time
    cells      positions by dimension of the cells
    mask       cells of these that are exported, of their shape; None for all
    """

    view: ProductView
    manifest: Mapping[str, Any]
    variables: tuple[str, ...]
    time: slice | None
    cells: Mapping[str, slice]
    mask: NDArray[np.bool_] | None = None
    left_out: tuple[str, ...] = field(default=())

    @property
    def windows(self) -> dict[str, slice]:
        return {**self.cells, **({"time": self.time} if self.time else {})}

    @property
    def axis(self) -> TimeAxis | None:
        """The time axis of what is exported."""
        axis = self.view.template.time
        if axis is None or self.time is None:
            return None
        return TimeAxis(axis.first + self.time.start, self.time.stop - self.time.start, axis.step, axis.calendar)

    @property
    def shape(self) -> tuple[int, ...]:
        """Numbers of cells by dimension."""
        return tuple(part.stop - part.start for part in self.cells.values())

    @cached_property
    def centres(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Latitude and longitude of the cells, each of `shape`."""
        lat, lon = places(self.view, self.cells)
        return lat.reshape(self.shape), lon.reshape(self.shape)


def choose(view: ProductView, manifest: Mapping[str, Any], asked: Asked, one_table: bool) -> Choice:
    """one_table: all variables must have the same dimensions, as columns of one table.

    Raises InputError with all that cannot be given.
    """
    problems: list[Problem] = []
    found: dict[str, Any] = {}
    given = sum(map(bool, (asked.box, asked.region, asked.places)))
    if given > 1:
        what = "a box, a region and places were given together"
        problems.append(Problem("export-choice", what, view.name, fix="give one of them"))
    elif given and not view.template.space:
        what = "it has no cells to choose from"
        problems.append(Problem("export-choice", what, view.name, fix="leave box, region and places out"))
        given = 0
    with _collected(problems):
        found["variables"], found["left_out"] = _variables(view, asked, one_table, bool(given))
    with _collected(problems):
        found["time"] = _time(view, asked)
    if given < 2:
        with _collected(problems):
            found["cells"], found["mask"] = _cells(view, asked)
    if problems:
        raise InputError(problems)
    return Choice(view, manifest, **found)


@contextlib.contextmanager
def _collected(problems: list[Problem]) -> Iterator[None]:
    try:
        yield
    except CubeError as error:
        problems += error.problems


def _variables(
    view: ProductView, asked: Asked, one_table: bool, of_cells: bool
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Those that are exported and those left out."""
    arrays = {name: spec for name, spec in view.template.arrays.items() if name != STATE}
    unknown = [name for name in asked.variables if name not in arrays]
    if unknown:
        what = f"has no variable {', '.join(unknown)}"
        raise InputError(Problem("variable-unknown", what, view.name, fix=f"it has {', '.join(arrays)}"))
    named = tuple(name for name in arrays if name in asked.variables) or tuple(arrays)
    space = set(view.template.space)
    lacking = [name for name in named if of_cells and not space <= set(arrays[name].dims)]
    if lacking and asked.variables:
        what = f"{', '.join(lacking)} has no value for each cell"
        raise InputError(Problem("export-choice", what, view.name, fix="export it without box, region and places"))
    fitting = [name for name in named if name not in lacking]
    if not fitting:
        raise InputError(Problem("export-empty", "it has no arrays", view.name, fix="name another product"))
    if one_table:
        dims = {name: frozenset(arrays[name].dims) for name in fitting}
        if asked.variables and len(set(dims.values())) > 1:
            told = "; ".join(f"{name} ({', '.join(arrays[name].dims)})" for name in fitting)
            what = f"the variables have different dimensions, so they make no one table: {told}"
            raise InputError(Problem("export-choice", what, view.name, fix="export them to several files"))
        # The first array is what the product is about.
        fitting = [name for name in fitting if dims[name] == dims[fitting[0]]]
    return tuple(fitting), tuple(name for name in named if name not in fitting)


def _time(view: ProductView, asked: Asked) -> slice | None:
    axis = view.template.time
    if axis is None:
        if asked.start or asked.end:
            raise InputError(Problem("export-choice", "it has no time", view.name, fix="leave the dates out"))
        return None
    ends = []
    for text, end in ((asked.start, False), (asked.end, True)):
        try:
            ends.append(parse_date(text, axis.calendar, end=end) if text else None)
        except ValueError as error:
            fix = f"give a date of the calendar {axis.calendar}, such as {axis.text(0)}"
            raise InputError(Problem("period-date", str(error), view.name, fix=fix)) from None
    first, stop = 0, axis.count
    if ends[0] is not None:
        first = max(0, ordinal_of(ends[0], axis.step, axis.calendar) - axis.first)
        # A period that began before the date is not wholly in what was asked for.
        first += first < axis.count and axis.date(first) < ends[0]
    if ends[1] is not None:
        stop = min(stop, ordinal_of(ends[1], axis.step, axis.calendar) - axis.first)
    if stop <= first:
        what = f"no period lies in {asked.start or 'its start'} to {asked.end or 'its end'}"
        fix = f"it holds {axis.text(0)} to {axis.text(-1)}"
        raise InputError(Problem("export-empty", what, view.name, fix=fix))
    return slice(first, stop)


def _cells(view: ProductView, asked: Asked) -> tuple[dict[str, slice], NDArray[np.bool_] | None]:
    """The window of the cells that are asked for, and which of it they are."""
    coords, space = view.template.coords, view.template.space
    whole = {dim: slice(0, len(coords[dim])) for dim in space}
    if not asked.box and not asked.region:
        return whole, None
    lats, lons = places(view, whole)
    if asked.box:
        some, what = _in_box(asked.box, lats, lons), "the box"
    else:
        assert asked.region is not None
        chosen = regions_of(asked.region)
        some = np.any([inside(polygon, lons, lats) for polygon in chosen.polygons], axis=0)
        what = f"the region of {chosen.source}"
    mask = some.reshape([part.stop for part in whole.values()])
    if not mask.any():
        ends = f"latitudes {lats.min():g} to {lats.max():g}, longitudes {lons.min():g} to {lons.max():g}"
        what = f"no cell has its centre in {what}"
        raise InputError(Problem("export-empty", what, view.name, fix=f"its cells lie in {ends}"))
    cells = {}
    for axis, dim in enumerate(space):
        there = np.flatnonzero(mask.any(axis=tuple(i for i in range(mask.ndim) if i != axis)))
        cells[dim] = slice(int(there[0]), int(there[-1]) + 1)
    cut = mask[tuple(cells.values())]
    return cells, None if cut.all() else cut


def _in_box(box: Box, lats: NDArray[np.float64], lons: NDArray[np.float64]) -> NDArray[np.bool_]:
    south, west, north, east = box
    if not (-90 <= south <= north <= 90 and west <= east <= west + 360):
        what = f"{south:g} {west:g} {north:g} {east:g} is no box"
        fix = "give SOUTH WEST NORTH EAST in degrees, each pair ascending"
        raise InputError(Problem("export-choice", what, "box", fix=fix))
    across = np.any([(lons + turn >= west) & (lons + turn <= east) for turn in TURNS], axis=0)
    return np.asarray((lats >= south) & (lats <= north) & across)
