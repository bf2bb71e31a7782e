"""Windows of a product's variable, read from its archive files: one open a file, only the cells that are asked for."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from cube.errors import InputError, Problem
from ingest.archive import ArchiveVariable, Decode, Piece
from ingest.decode import FillTakenError, NegativeValueError, decode, reduce_steps
from ingest.gridmap import GridMap
from ingest.opening import NativeFile, opened, unreadable

_SLAB_BYTES = 2**25
"""Raw bytes that are decoded at once."""


def read(variable: ArchiveVariable, pieces: Sequence[Piece], window: Mapping[str, slice], out: NDArray[Any]) -> None:
    """Fill `out` with what the pieces give of a window.

    window  published positions by dimension; a dimension that is not named is taken whole
    out     shape of the window in `variable.dims`, filled with the variable's fill where nothing is given

    Raises InputError where a file changed since it was listed, cannot be read or holds impossible values.
    """
    slices = {dim: window.get(dim, slice(0, size)) for dim, size in zip(variable.dims, variable.shape, strict=True)}
    for file, group in itertools.groupby(pieces, key=lambda piece: piece.file):
        with opened(file) as native:
            for piece in group:
                try:
                    _read_piece(native, variable, piece, slices, out)
                except NegativeValueError as error:
                    raise InputError(
                        Problem(
                            "value-negative",
                            f"{variable.name} cannot be negative: {error}",
                            file.name,
                            "an undeclared fill value would be taken for data",
                            "correct the file, or add the value to the source's `sentinels`",
                        )
                    ) from None
                except FillTakenError as error:
                    raise InputError(
                        Problem(
                            "value-fill",
                            f"{variable.name}: {error}",
                            file.name,
                            "data would be taken for missing values",
                            "make one product of the files of each fill value, or leave the variable out with "
                            "`variables`",
                        )
                    ) from None
                except (RuntimeError, IndexError) as error:
                    raise InputError(unreadable(file.name, error)) from error


@dataclass(frozen=True)
class _Request:
    """What is read of one piece, besides the map: published slices by dimension, and the native index they make."""

    native: NativeFile
    piece: Piece
    slices: Mapping[str, slice]
    dims: tuple[str, ...]

    @property
    def extra(self) -> list[str]:
        """Dimensions other than time and the map's."""
        return [axis for axis in self.piece.decode.axes if axis not in ("time", "y", "x", "point", "")]

    def values(self, steps: slice, **axes: slice) -> NDArray[Any]:
        """Published values of native steps and cells, as (time, other dimensions, map dimensions)."""
        rule = self.piece.decode
        index = tuple(self._index(axis, steps, axes) for axis in rule.axes)
        raw = self.native.read(rule.variable, index)
        kept = [axis for axis in rule.axes if axis]
        wanted = [axis for axis in ("time", *self._published(), "y", "x", "point") if axis in kept]
        order = [kept.index(axis) for axis in wanted]
        rejected = None
        if rule.quality is not None:
            flags = self.native.read(rule.quality.variable, index)
            rejected = _with_time((flags & flags.dtype.type(rule.quality.mask)).transpose(order) != 0, kept)
        lengths = self.piece.lengths
        if lengths:
            first = steps.start - self.piece.source_start
            lengths = lengths[first : first + steps.stop - steps.start]
        return decode(_with_time(raw.transpose(order), kept), rule, lengths, rejected)

    def _published(self) -> list[str]:
        return [dim for dim in self.dims if dim in self.extra]

    def _index(self, axis: str, steps: slice, axes: Mapping[str, slice]) -> slice | int:
        if not axis:
            return 0
        if axis == "time":
            return steps
        return axes[axis] if axis in axes else self.slices[axis]


def _with_time(values: NDArray[Any], kept: Sequence[str]) -> NDArray[Any]:
    return values if "time" in kept else values[None]


def _read_piece(
    native: NativeFile, variable: ArchiveVariable, piece: Piece, slices: Mapping[str, slice], out: NDArray[Any]
) -> None:
    request = _Request(native, piece, slices, variable.dims)
    timed = "time" in variable.dims
    asked = slices["time"] if timed else slice(0, 1)
    start, stop = max(asked.start, piece.start), min(asked.stop, piece.stop)
    if start >= stop:
        return
    # The map's dimensions are last in `out`, time first where there is one.
    target = out if timed else out[None]
    number = piece.decode.reduce[1] if piece.decode.reduce else 1
    for low, high in _slabs(native, piece, start, stop, slices):
        first = piece.source_start + (low - piece.start) * number
        steps = slice(first, first + (high - low) * number)
        part = target[low - asked.start : high - asked.start]
        _fill(request, piece.grid, steps, slices, part)


def _slabs(
    native: NativeFile, piece: Piece, start: int, stop: int, slices: Mapping[str, slice]
) -> list[tuple[int, int]]:
    """Published steps [start, stop) in parts of bounded size that end where stored chunks do."""
    rule = piece.decode
    if "time" not in rule.axes or piece.source_count == 1:
        return [(start, stop)]
    number = rule.reduce[1] if rule.reduce else 1
    cells = 1
    for name, part in slices.items():
        cells *= 1 if name == "time" else part.stop - part.start
    most = max(1, _SLAB_BYTES // (8 * cells * number))
    chunks = native.chunks(rule.variable)
    chunk = chunks[rule.axes.index("time")] if chunks else 1
    if stop - start <= most:
        return [(start, stop)]
    edges = [start]
    while edges[-1] < stop:
        reach = edges[-1] + most
        source = piece.source_start + (reach - piece.start) * number
        back = (source % chunk) // number
        # A chunk longer than a slab is decoded whole in any case, and then twice at most.
        edges.append(min(stop, reach - back if reach - back > edges[-1] else reach))
    return list(itertools.pairwise(edges))


def _fill(request: _Request, grid: GridMap, steps: slice, slices: Mapping[str, slice], out: NDArray[Any]) -> None:
    """Put the steps into `out`, of shape (steps, other dimensions, map dimensions)."""
    rule = request.piece.decode
    if not grid.shape:
        out[...] = _reduced(request.values(steps), rule)
        return
    rows, columns = (slices[dim] for dim in request.dims[-2:])
    if grid.scatter:
        points = grid.points()[rows, columns]
        land = points >= 0
        if land.any():
            low, high = int(points[land].min()), int(points[land].max()) + 1
            out[..., land] = _reduced(request.values(steps, point=slice(low, high)), rule)[..., points[land] - low]
        return
    across = [(run.step, *cut) for run in grid.x if (cut := run.cut(columns))]
    spans = _spans(request, [native for _, native, _ in across])
    for run in grid.y:
        cut = run.cut(rows)
        if cut is None:
            continue
        native_rows, within = cut
        for span in spans:
            values = _reduced(request.values(steps, y=native_rows, x=span), rule)[..., :: run.step, :]
            for step, native, place in across:
                if span.start <= native.start and native.stop <= span.stop:
                    part = values[..., native.start - span.start : native.stop - span.start]
                    out[..., within, place] = part[..., ::step]


def _reduced(values: NDArray[Any], rule: Decode) -> NDArray[Any]:
    return reduce_steps(values, *rule.reduce) if rule.reduce else values


def _spans(request: _Request, parts: list[slice]) -> list[slice]:
    """The native columns to read at once: all of them where they share stored chunks, so that each is decoded once."""
    chunks = request.native.chunks(request.piece.decode.variable) if len(parts) > 1 else None
    if chunks is None:
        return parts
    span = slice(min(each.start for each in parts), max(each.stop for each in parts))
    width = chunks[request.piece.decode.axes.index("x")]
    together = sum(each.stop - each.start for each in parts)
    shared = width >= span.stop - span.start or 2 * together >= span.stop - span.start
    return [span] if shared else parts
