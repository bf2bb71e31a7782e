"""What of a product is exported: variables, periods, and cells of a box, of a region, or of places."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compute.export import periods
from compute.export.asked import AskedPlace, regions_of
from compute.places import places
from compute.regions import TURNS, Regions, inside
from cube.axes import TimeAxis
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
class Parts:
    """Regions that are told apart. numbers: which of them each cell lies in, the first of several, -1 for none; of the
    cells' shape."""

    regions: Regions
    numbers: NDArray[np.int32]

    @property
    def empty(self) -> tuple[str, ...]:
        """Names of the regions that no cell stands for."""
        found = set(np.unique(self.numbers).tolist())
        return tuple(name for number, name in enumerate(self.regions.names) if number not in found)


@dataclass(frozen=True)
class Choice:
    """What is exported of a product.

    variables  in the product's order
    left_out   variables that were not named and do not fit
    time       positions of the periods, None for a product without time
    cells      positions by dimension of the cells
    mask       cells of these that are exported, of their shape; None for all
    parts      the regions they lie in, where these have names or are several
    shortened  what is said where the product holds fewer periods than were asked for
    """

    view: ProductView
    manifest: Mapping[str, Any]
    variables: tuple[str, ...]
    time: slice | None
    cells: Mapping[str, slice]
    mask: NDArray[np.bool_] | None = None
    left_out: tuple[str, ...] = field(default=())
    parts: Parts | None = None
    shortened: str = ""

    @property
    def region_name(self) -> str:
        """What the column of the regions is called: another name where the product has one of its own."""
        template = self.view.template
        taken = {*template.arrays, *map(str, template.coords.variables), *map(str, template.coords.dims)}
        return "region" if "region" not in taken else "asked_region"

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
    given = sum((asked.box is not None, asked.region is not None, bool(asked.places)))
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
        found["time"], found["shortened"] = _time(view, asked)
    if given < 2:
        with _collected(problems):
            found["cells"], found["mask"], found["parts"] = _cells(view, asked)
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
    unknown = [str(name) for name in asked.variables if not isinstance(name, str) or name not in arrays]
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
        what = "it has no values for each cell" if arrays else "it has no arrays"
        raise InputError(Problem("export-empty", what, view.name, fix="name another product"))
    if one_table:
        dims = {name: frozenset(arrays[name].dims) for name in fitting}
        if asked.variables and len(set(dims.values())) > 1:
            told = "; ".join(f"{name} ({', '.join(arrays[name].dims)})" for name in fitting)
            what = f"the variables have different dimensions, so they make no one table: {told}"
            raise InputError(Problem("export-choice", what, view.name, fix="export them to several files"))
        # The first array is what the product is about.
        fitting = [name for name in fitting if dims[name] == dims[fitting[0]]]
    return tuple(fitting), tuple(name for name in named if name not in fitting)


def _time(view: ProductView, asked: Asked) -> tuple[slice | None, str]:
    axis = view.template.time
    if axis is not None:
        return periods.chosen(axis, asked.start, asked.end, view.name)
    if asked.start is not None or asked.end is not None:
        raise InputError(Problem("export-choice", "it has no time", view.name, fix="leave the dates out"))
    return None, ""


def _cells(view: ProductView, asked: Asked) -> tuple[dict[str, slice], NDArray[np.bool_] | None, Parts | None]:
    """The window of the cells that are asked for, which of it they are, and the regions they lie in."""
    coords, space = view.template.coords, view.template.space
    whole = {dim: slice(0, len(coords[dim])) for dim in space}
    if not space or (asked.box is None and asked.region is None):
        return whole, None, None
    lats, lons = places(view, whole)
    parts = None
    if asked.box is not None:
        some, what = _in_box(asked.box, lats, lons), "the box"
    else:
        assert asked.region is not None
        chosen, named = regions_of(asked.region)
        numbers = np.full(lats.shape, -1, np.int32)
        # The first region is written last, so that a cell of several is its.
        for number, polygon in reversed(list(enumerate(chosen.polygons))):
            numbers[inside(polygon, lons, lats)] = number
        some, what = numbers >= 0, f"the region of {chosen.source}"
        parts = Parts(chosen, numbers) if named or len(chosen) > 1 else None
    shape = [part.stop for part in whole.values()]
    mask = some.reshape(shape)
    if not mask.any():
        ends = f"latitudes {lats.min():g} to {lats.max():g}, longitudes {lons.min():g} to {lons.max():g}"
        what = f"no cell has its centre in {what}"
        raise InputError(Problem("export-empty", what, view.name, fix=f"its cells lie in {ends}"))
    cells = {}
    for axis, dim in enumerate(space):
        there = np.flatnonzero(mask.any(axis=tuple(i for i in range(mask.ndim) if i != axis)))
        cells[dim] = slice(int(there[0]), int(there[-1]) + 1)
    window = tuple(cells.values())
    if parts is not None:
        parts = Parts(parts.regions, parts.numbers.reshape(shape)[window])
    cut = mask[window]
    return cells, None if cut.all() else cut, parts


def _in_box(box: Box, lats: NDArray[np.float64], lons: NDArray[np.float64]) -> NDArray[np.bool_]:
    fix = "give SOUTH WEST NORTH EAST in degrees, each pair ascending"
    sides = list(box) if isinstance(box, Iterable) else []
    if len(sides) != 4 or not all(isinstance(each, Real) for each in sides):
        raise InputError(Problem("export-choice", f"{box!r} are no four numbers", "box", fix=fix))
    south, west, north, east = map(float, sides)
    if not (-90 <= south <= north <= 90 and west <= east <= west + 360):
        what = f"{south:g} {west:g} {north:g} {east:g} is no box"
        raise InputError(Problem("export-choice", what, "box", fix=fix))
    across = np.any([(lons + turn >= west) & (lons + turn <= east) for turn in TURNS], axis=0)
    return np.asarray((lats >= south) & (lats <= north) & across)
