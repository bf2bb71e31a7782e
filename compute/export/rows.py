"""Products as tidy CSV: a row for each period, cell or place, and position along other dimensions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import cftime
import numpy as np
from numpy.typing import NDArray

from compute.dates import encoding, is_date
from compute.export.choice import Choice
from compute.export.reading import Reader, Slices, pieces, steps
from compute.export.stations import Station, cells_of
from compute.labels import headed, labels_of, lines, meanings_of, numbers, quoted
from cube.template import ArraySpec

ROWS = 2**17
"""Rows that are made to text at a time."""
DECIMALS = 7
"""Of degrees: a centimetre."""
BUDGET = 16 * 2**20

Told = Callable[[int, int], None]


def write(path: Path, reader: Reader, choice: Choice, stations: Sequence[Station] | None, progress: Told) -> int:
    """Writes the file; the number of rows. Rows of a cell follow each other by period, within a piece of the store.

    Missing values are empty; times are dates in the product's calendar, flags their meanings.
    """
    rest = _others(choice)
    labels = {dim: _labels(choice, dim) for dim in rest}
    heads = [dim for dim in rest if dim == "time"] + _cell_heads(choice, stations)
    heads += [choice.region_name] if choice.parts is not None else []
    heads += [dim for dim in rest if dim != "time"]
    heads += [_head(name, choice.view.template.arrays[name]) for name in choice.variables]
    blocks = _blocks(reader, choice) if stations is None else _station_blocks(reader, choice, stations)
    count = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(lines([[quoted(head)] for head in heads]))
        for block in blocks:
            along = {dim: labels[dim][block.slices[dim]] for dim in rest}
            count += _write_block(file, choice, block.cells, along, block.values)
            progress(block.done, block.total)
    return count


def _head(name: str, spec: ArraySpec) -> str:
    # Flags and dates are written as words, which have no unit.
    return name if meanings_of(spec.attrs) or _dated(spec) else headed(name, spec.attrs)


def _dated(spec: ArraySpec) -> bool:
    return is_date(spec) and spec.dtype.kind in "iu"


def _labels(choice: Choice, dim: str) -> NDArray[Any]:
    """What the positions of a dimension are called, all of the product's."""
    template = choice.view.template
    if dim == "time":
        axis = template.time
        assert axis is not None
        assert choice.time is not None
        found = np.empty(axis.count, object)
        found[choice.time] = [axis.text(at) for at in range(choice.time.start, choice.time.stop)]
        return found
    if dim in template.coords:
        return np.array([quoted(each) for each in labels_of(template.coords[dim].variable)], dtype=object)
    sizes = {name: size for spec in template.arrays.values() for name, size in spec.sizes.items()}
    return np.array([str(at) for at in range(sizes[dim])], dtype=object)


def _cell_heads(choice: Choice, stations: Sequence[Station] | None) -> list[str]:
    if stations is not None:
        return [
            "place", "place_lat [degrees_north]", "place_lon [degrees_east]",
            "lat [degrees_north]", "lon [degrees_east]", "distance [km]",
        ]  # fmt: skip
    coords = choice.view.template.coords
    own = [headed(dim, coords[dim].attrs) for dim in choice.cells if dim not in ("lat", "lon")]
    return [*own, *(["lat [degrees_north]", "lon [degrees_east]"] if choice.cells else [])]


def _cell_columns(choice: Choice, cells: Mapping[str, slice]) -> list[NDArray[Any]]:
    """A text for each cell of a part, by column."""
    if not cells:
        return []
    coords = choice.view.template.coords
    lat, lon = choice.centres
    inner = _within(choice, cells)
    shape = tuple(part.stop - part.start for part in cells.values())
    found = []
    for axis, (dim, part) in enumerate(cells.items()):
        if dim not in ("lat", "lon"):
            along = coords[dim].values[part].reshape([-1 if i == axis else 1 for i in range(len(shape))])
            found.append(np.broadcast_to(along, shape).reshape(-1))
    found += [np.round(each[inner], DECIMALS).reshape(-1) for each in (lat, lon)]
    columns = [np.array(numbers(each), dtype=object) for each in found]
    if choice.parts is not None:
        # The last one is of cells in no region, which are no rows.
        names = np.array([*map(quoted, choice.parts.regions.names), ""], dtype=object)
        columns.append(names[choice.parts.numbers[inner].reshape(-1)])
    return columns


@dataclass(frozen=True)
class _Block:
    """done, total: how far the table is; cells: their columns; slices: of other dimensions; values: (cells, *others,
    time) by variable."""

    done: int
    total: int
    cells: Sequence[NDArray[Any]]
    slices: Slices
    values: Mapping[str, NDArray[Any]]


def _blocks(reader: Reader, choice: Choice) -> Iterator[_Block]:
    sizes = choice.view.template.arrays[choice.variables[0]].sizes
    every = list(pieces(steps(choice.view, choice.variables, choice.windows, BUDGET), choice.windows, sizes))
    for number, slices in enumerate(every, 1):
        cells = {dim: slices[dim] for dim in choice.cells}
        values = {name: _ordered(choice, name, reader.read(name, slices), list(cells)) for name in choice.variables}
        columns = _cell_columns(choice, cells)
        if choice.mask is not None:
            kept = choice.mask[_within(choice, cells)].reshape(-1)
            columns = [each[kept] for each in columns]
            values = {name: each[kept] for name, each in values.items()}
        yield _Block(number, len(every), columns, slices, values)


def _station_blocks(reader: Reader, choice: Choice, stations: Sequence[Station]) -> Iterator[_Block]:
    facts = [(s.place.lat, s.place.lon, s.cell.lat, s.cell.lon, round(s.cell.km, 3)) for s in stations]
    columns = [np.array([quoted(each.place.name) for each in stations], dtype=object)]
    columns += [np.array(numbers(each), dtype=object) for each in np.array(facts).T]
    flat, done = np.array([each.cell.position for each in stations], np.intp), 0
    for part in cells_of(reader, choice, choice.variables, flat, BUDGET):
        done += len(part.numbers)
        values = {name: _ordered(choice, name, part.values[name], ["place"]) for name in choice.variables}
        # Several pieces of one place are not told apart.
        yield _Block(min(done, len(flat)), len(flat), [each[part.numbers] for each in columns], part.slices, values)


def _ordered(choice: Choice, name: str, values: NDArray[Any], lead: list[str]) -> NDArray[Any]:
    """Values with their cells first, as one dimension, and time last; other dimensions as in the first variable."""
    arrays = choice.view.template.arrays
    own = [dim for dim in arrays[name].dims if dim not in choice.cells]
    dims = [*lead, *own] if lead == ["place"] else list(arrays[name].dims)
    order = [*lead, *_others(choice)]
    moved = np.transpose(values, [dims.index(dim) for dim in order])
    return moved.reshape(-1, *moved.shape[len(lead) :])


def _others(choice: Choice) -> list[str]:
    """Dimensions of the table beside those of cells, time last."""
    dims = choice.view.template.arrays[choice.variables[0]].dims
    return sorted((dim for dim in dims if dim not in choice.cells), key=lambda dim: dim == "time")


def _within(choice: Choice, cells: Mapping[str, slice]) -> tuple[slice, ...]:
    """Positions in the choice of positions in the product."""
    starts = {dim: part.start for dim, part in choice.cells.items()}
    return tuple(slice(part.start - starts[dim], part.stop - starts[dim]) for dim, part in cells.items())


def _write_block(
    file: IO[str],
    choice: Choice,
    cells: Sequence[NDArray[Any]],
    labels: Mapping[str, NDArray[Any]],
    values: Mapping[str, NDArray[Any]],
) -> int:
    shape = next(iter(values.values())).shape
    size = int(np.prod(shape))
    for start in range(0, size, ROWS):
        codes = np.unravel_index(np.arange(start, min(start + ROWS, size)), shape)
        along = {dim: labels[dim][code] for dim, code in zip(labels, codes[1:], strict=True)}
        columns: list[Any] = [along["time"]] if "time" in along else []
        columns += [each[codes[0]] for each in cells]
        columns += [each for dim, each in along.items() if dim != "time"]
        for name, each in values.items():
            columns.append(_texts(each.reshape(-1)[start : start + ROWS], choice.view.template.arrays[name]))
        file.write(lines(columns))
    return size


def _texts(values: NDArray[Any], spec: ArraySpec) -> Sequence[str]:
    """A column of the table: numbers, words or dates, empty where the product's value is missing."""
    meanings = meanings_of(spec.attrs)
    if not meanings and not _dated(spec):
        return numbers(values, spec.fill)
    missing = values == spec.fill if spec.fill is not None else np.zeros(len(values), bool)
    different, index = np.unique(values, return_inverse=True)
    if meanings:
        words = [meanings.get(int(each), str(each)) for each in different]
    else:
        units, calendar = encoding(spec.attrs) or ("", "")
        known = ~np.isin(different, [spec.fill]) if spec.fill is not None else np.ones(len(different), bool)
        words = [_date(int(each), units, calendar) if some else "" for each, some in zip(different, known, strict=True)]
    found = np.array(words, dtype=object)[index]
    found[missing] = ""
    return [str(each) for each in found]


def _date(value: int, units: str, calendar: str) -> str:
    date = cftime.num2date(value, units, calendar=calendar)
    return str(date.strftime("%Y-%m-%d" if units.startswith("days") else "%Y-%m-%dT%H:%M"))
