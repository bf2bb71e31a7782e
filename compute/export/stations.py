"""Places that are exported: the nearest cell of each that tells something, and their values piece by piece."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from compute.export.asked import AskedPlace
from compute.export.choice import Choice
from compute.export.reading import BUDGET, Reader, Slices, pieces, steps
from compute.nearest import Cells as Centres
from compute.nearest import Place, nearest, on_sphere
from compute.telling_cells import telling, tells
from cube.errors import InputError, Problem
from cube.template import STATE

FIRST = 25
"""Nearest cells that are looked at first: mostly those within one and a half cells are among them."""
MORE = 8
"""Times as many are looked at next, where none of them tells anything."""


@dataclass(frozen=True)
class Station:
    """place: as it was asked for; cell: that stands for it; at: its position by dimension."""

    place: AskedPlace
    cell: Place
    at: Mapping[str, int]


@dataclass(frozen=True)
class Cells:
    """Values of some cells. numbers: of the cells in the order they were asked for; slices: other dimensions;
    values: by variable, the cell first, then the variable's other dimensions in their order."""

    numbers: NDArray[np.intp]
    slices: Slices
    values: dict[str, NDArray[np.generic]]


def find(reader: Reader, choice: Choice, places: Sequence[AskedPlace]) -> list[Station]:
    """The nearest cell of each place that has a value, or a reason for having none, in any variable and period of the
    product: a place is the same cell whatever else is chosen.

    Raises InputError with all places that no such cell is near.
    """
    centres = Centres(*(each.reshape(-1) for each in choice.centres))
    valid: dict[int, bool] = {}
    found: list[Station] = []
    problems: list[Problem] = []
    for place in places:
        try:
            cell = _nearest(reader, choice, centres, place, valid)
        except InputError as error:
            problems += [Problem(p.code, p.what, f"place {place.name}", p.danger, p.fix) for p in error.problems]
            continue
        at = np.unravel_index(cell.position, choice.shape)
        found.append(Station(place, cell, {dim: int(i) for dim, i in zip(choice.cells, at, strict=True)}))
    if problems:
        raise InputError(problems)
    return found


def _nearest(reader: Reader, choice: Choice, centres: Centres, place: AskedPlace, valid: dict[int, bool]) -> Place:
    lats, lons = centres.lats, centres.lons
    count = min(FIRST, len(lats))
    while True:
        near = np.sort(np.atleast_1d(centres.tree.query(on_sphere(place.lat, place.lon), k=count)[1]))
        _look(reader, choice, near, valid)
        known = np.array([valid[int(each)] for each in near])
        try:
            size = partial(_size, centres, near)
            found = nearest((place.lat, place.lon), lats[near], lons[near], known, size)
        except InputError:
            # The message names three cells.
            if known.sum() >= 3 or count == len(lats):
                raise
            count = min(MORE * count, len(lats))
            continue
        return Place(int(near[found.position]), found.lat, found.lon, found.km)


def _size(centres: Centres, near: NDArray[np.intp], position: int) -> float:
    return centres.size(int(near[position]))


def _look(reader: Reader, choice: Choice, cells: NDArray[np.intp], valid: dict[int, bool]) -> None:
    """Find out which of the cells tell something; all periods are read of those that do not in the exported ones."""
    unknown = np.array([each for each in cells if int(each) not in valid], np.intp)
    template = choice.view.template
    space = set(template.space)
    arrays = {name: spec for name, spec in template.arrays.items() if name != STATE and space <= set(spec.dims)}
    some = np.zeros(len(unknown), bool)
    everything = {**choice.windows, "time": slice(0, template.time.count)} if template.time else choice.windows
    for windows in [choice.windows, *([everything] if everything != choice.windows else [])]:
        for name in telling(arrays):
            left = np.flatnonzero(~some)
            if not len(left):
                break
            for part in cells_of(reader, choice, (name,), unknown[left], BUDGET, windows):
                there = tells(name, arrays[name], part.values[name])
                some[left[part.numbers]] |= there.reshape(len(part.numbers), -1).any(axis=1)
    valid.update(zip(map(int, unknown), map(bool, some), strict=True))


def cells_of(
    reader: Reader,
    choice: Choice,
    names: Sequence[str],
    cells: NDArray[np.intp],
    budget: int,
    windows: Mapping[str, slice] | None = None,
) -> Iterator[Cells]:
    """Values of cells, given by their positions among all of the choice; each chunk is read once.

    names    variables of the same dimensions
    windows  positions by dimension, by default those of the choice
    """
    view = choice.view
    windows = choice.windows if windows is None else windows
    spec = view.template.arrays[names[0]]
    step = steps(view, names, windows, budget)
    index = np.stack(np.unravel_index(cells, choice.shape), axis=1) + [part.start for part in choice.cells.values()]
    tiles: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for number, at in enumerate(index // [step[dim] for dim in choice.cells]):
        tiles[tuple(map(int, at))].append(number)
    rest = {dim: size for dim, size in spec.sizes.items() if dim not in choice.cells}
    for _, tile in sorted(tiles.items()):
        numbers = np.array(tile, np.intp)
        low, high = index[numbers].min(axis=0), index[numbers].max(axis=0)
        bounds = {dim: slice(int(a), int(b) + 1) for dim, a, b in zip(choice.cells, low, high, strict=True)}
        picked = tuple((index[numbers] - low).T)
        for slices in pieces(step, windows, rest):
            values = {}
            for name in names:
                dims = view.template.arrays[name].dims
                lead = [dims.index(dim) for dim in choice.cells]
                read = reader.read(name, {**bounds, **slices})
                values[name] = np.transpose(read, [*lead, *(i for i in range(read.ndim) if i not in lead)])[picked]
            yield Cells(numbers, slices, values)
