"""Places that are exported: the nearest cell with values of each, and their values piece by piece."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from compute.export.asked import AskedPlace
from compute.export.choice import Choice
from compute.export.reading import BUDGET, Reader, Slices, pieces, steps
from compute.nearest import Place, nearest
from cube.errors import InputError, Problem

FIRST = 25
"""Nearest cells that are looked at first: those within one and a half cells are among them."""
MORE = 8


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
    """The nearest cell of each place that has a value in the periods exported.

    Raises InputError with all places that no such cell is near.
    """
    lats, lons = (each.reshape(-1) for each in choice.centres)
    tree = cKDTree(_on_sphere(lats, lons))
    valid: dict[int, bool] = {}
    found: list[Station] = []
    problems: list[Problem] = []
    for place in places:
        try:
            cell = _nearest(reader, choice, tree, place, lats, lons, valid)
        except InputError as error:
            problems += [Problem(p.code, p.what, f"place {place.name}", p.danger, p.fix) for p in error.problems]
            continue
        at = np.unravel_index(cell.position, choice.shape)
        found.append(Station(place, cell, {dim: int(i) for dim, i in zip(choice.cells, at, strict=True)}))
    if problems:
        raise InputError(problems)
    return found


def _nearest(
    reader: Reader,
    choice: Choice,
    tree: cKDTree,
    place: AskedPlace,
    lats: NDArray[np.float64],
    lons: NDArray[np.float64],
    valid: dict[int, bool],
) -> Place:
    count = min(FIRST, len(lats))
    while True:
        point = _on_sphere(np.array([place.lat]), np.array([place.lon]))[0]
        near = np.sort(np.atleast_1d(tree.query(point, k=count)[1]))
        _look(reader, choice, near, valid)
        known = np.array([valid[int(each)] for each in near])
        try:
            found = nearest((place.lat, place.lon), lats[near], lons[near], known)
        except InputError:
            # The message names three cells.
            if known.sum() >= 3 or count == len(lats):
                raise
            count = min(MORE * count, len(lats))
            continue
        return Place(int(near[found.position]), found.lat, found.lon, found.km)


def _look(reader: Reader, choice: Choice, cells: NDArray[np.intp], valid: dict[int, bool]) -> None:
    """Find out which of the cells have a value of any variable that can be missing."""
    unknown = np.array([each for each in cells if int(each) not in valid], np.intp)
    arrays = choice.view.template.arrays
    telling = [n for n in choice.variables if arrays[n].fill is not None and "flag_meanings" not in arrays[n].attrs]
    some = np.full(len(unknown), not telling)
    for name in telling:
        if some.all():
            break
        for part in cells_of(reader, choice, (name,), unknown, BUDGET):
            values = part.values[name].reshape(len(part.numbers), -1)
            there = ~np.isnan(values) if values.dtype.kind == "f" else values != arrays[name].fill
            some[part.numbers] |= there.any(axis=1)
    valid.update(zip(map(int, unknown), map(bool, some), strict=True))


def cells_of(
    reader: Reader, choice: Choice, names: Sequence[str], cells: NDArray[np.intp], budget: int
) -> Iterator[Cells]:
    """Values of cells, given by their positions among all of the choice; each chunk is read once.

    names  variables of the same dimensions
    """
    view = choice.view
    spec = view.template.arrays[names[0]]
    step = steps(view, names, choice.windows, budget)
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
        for slices in pieces(step, choice.windows, rest):
            values = {}
            for name in names:
                dims = view.template.arrays[name].dims
                lead = [dims.index(dim) for dim in choice.cells]
                read = reader.read(name, {**bounds, **slices})
                values[name] = np.transpose(read, [*lead, *(i for i in range(read.ndim) if i not in lead)])[picked]
            yield Cells(numbers, slices, values)


def _on_sphere(lats: NDArray[np.float64], lons: NDArray[np.float64]) -> NDArray[np.float64]:
    phi, lam = np.radians(lats), np.radians(lons)
    return np.stack([np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi)], axis=1)
