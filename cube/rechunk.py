"""From chunks as they come to shards as they are published, each source chunk decoded once, in bounded memory.

Where the source tiles that cover whole shards fit the budget, one pass does: read a slab, write its shards. Where one
source chunk spans more than fits (a file a day of the whole map, long histories) two passes do, over intermediate
chunks planned by rechunker's algorithm.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import xarray as xr

from cube.errors import Problem, RefusedError
from cube.job import WORKER_BYTES, BlockTask, Result, Scratch, Work
from cube.layout import Group, Part
from cube.prior import read_prior

Array = np.ndarray[Any, Any]
Slices = Mapping[str, slice]


class Reader(Protocol):
    """Reads parts of one variable from wherever it comes; picklable."""

    def within(self, window: Slices) -> Reader:
        """The same, reduced to what is needed for a window, so that a work stays small when it travels."""

    def read(self, window: Slices, out: Array, done: int) -> None:
        """Fill `out`, which holds fill values, with the window's values.

        done  so many identities at the window's start need not be read: `out` already holds their steps
        """

    def steps(self, window: Slices) -> tuple[int, int] | None:
        """The part of the window's time range that the source covers, None without time."""


@dataclass(frozen=True)
class Rechunked:
    """One variable to be rechunked.

    source_chunk  the extent that must be read together so that nothing is decoded twice, in the part's dimensions
    """

    part: Part
    group: Group
    fill: Any
    dtype: Any
    source_chunk: tuple[int, ...]
    reader: Reader
    prefix: str


@dataclass(frozen=True)
class Slab:
    """One pass: read a window once, yield its blocks."""

    source: Rechunked
    window: Slices
    tasks: tuple[BlockTask, ...]

    @property
    def id(self) -> str:
        kind = "tail" if self.tasks[0].prior else "slab"
        return f"{kind}/{_name(self.source, self.window)}"

    @property
    def memory(self) -> int:
        return slab_memory(self.source, self.window)

    @property
    def leaves(self) -> Sequence[str]:
        return ()

    def only(self, tasks: Sequence[BlockTask]) -> Work:
        return replace(self, tasks=tuple(tasks))

    def run(self, scratch: Scratch) -> Iterator[Result]:
        buffer = _empty(self.source, self.window)
        done = _restore(self.source, self.window, self.tasks, buffer)
        self.source.reader.read(self.window, buffer, done)
        yield from _blocks(self.source, self.window, buffer, self.tasks)


@dataclass(frozen=True)
class Spill:
    """First of two passes: read a window once and leave it cut into intermediate chunks."""

    source: Rechunked
    window: Slices
    chunk: tuple[int, ...]
    memory: int
    tasks: tuple[BlockTask, ...] = ()

    @property
    def id(self) -> str:
        # Cut otherwise, as with another budget, it is another pass.
        return f"spill/{_name(self.source, self.window)}/{'x'.join(map(str, self.chunk))}"

    @property
    def leaves(self) -> list[str]:
        """Names of the intermediate chunks."""
        return [_chunk_name(self.source, piece) for piece in _cut(self.source.part.dims, self.window, self.chunk)]

    def only(self, tasks: Sequence[BlockTask]) -> Work:
        return self

    def run(self, scratch: Scratch) -> Iterator[Result]:
        buffer = _empty(self.source, self.window)
        self.source.reader.read(self.window, buffer, 0)
        for piece in _cut(self.source.part.dims, self.window, self.chunk):
            scratch.put(_chunk_name(self.source, piece), _view(self.source.part.dims, self.window, piece, buffer))
        yield from ()


@dataclass(frozen=True)
class Gather:
    """Second of two passes: assemble a window from intermediate chunks, yield its blocks."""

    source: Rechunked
    window: Slices
    pieces: tuple[Slices, ...]
    tasks: tuple[BlockTask, ...]
    memory: int

    @property
    def id(self) -> str:
        return f"gather/{_name(self.source, self.window)}"

    @property
    def leaves(self) -> Sequence[str]:
        return ()

    def only(self, tasks: Sequence[BlockTask]) -> Work:
        return replace(self, tasks=tuple(tasks))

    def run(self, scratch: Scratch) -> Iterator[Result]:
        buffer = _empty(self.source, self.window)
        dims = self.source.part.dims
        _restore(self.source, self.window, self.tasks, buffer)
        for piece in self.pieces:
            common = {dim: _intersection(self.window[dim], piece[dim]) for dim in dims}
            place = _view(dims, self.window, common, buffer)
            if common == piece:
                scratch.get(_chunk_name(self.source, piece), place)
            else:
                place[...] = _view(dims, piece, common, scratch.get(_chunk_name(self.source, piece)))
        yield from _blocks(self.source, self.window, buffer, self.tasks)


def slab_memory(source: Rechunked, window: Slices) -> int:
    """Peak of a slab: the buffer, two shards being encoded, two source chunks being decoded, and the process."""
    itemsize = source.part.itemsize
    shard = itemsize * math.prod(source.group.shards(source.part.dims, _sizes(source)))
    chunk = itemsize * math.prod(source.source_chunk)
    return WORKER_BYTES + itemsize * math.prod(_length(window[dim]) for dim in source.part.dims) + 3 * shard + 3 * chunk


def rechunk_works(source: Rechunked, tasks: Sequence[BlockTask], budget: int) -> list[list[Work]]:
    """Works that make the blocks of `tasks`, in one or two steps.

    Raises RefusedError where not even one shard with its intermediate chunks fits the budget.
    """
    slabs: dict[tuple[int, ...], list[BlockTask]] = defaultdict(list)
    spans = _slab_spans(source)
    for task in tasks:
        slabs[tuple(i // span for i, span in zip(task.block.index, spans, strict=True))].append(task)
    first: list[Work] = []
    second: list[Work] = []
    for index in sorted(slabs):
        for chosen in ([t for t in slabs[index] if not t.prior], [t for t in slabs[index] if t.prior]):
            if not chosen:
                continue
            window = _narrowed(source, _slab_window(source, index, spans), chosen)
            if slab_memory(source, window) <= budget:
                first.append(Slab(_reduced(source, window), window, tuple(chosen)))
            else:
                spills, gathers = _two_passes(source, _unread(window, chosen), chosen, budget)
                first += spills
                second += gathers
    return [step for step in (first, second) if step]


def _narrowed(source: Rechunked, window: Slices, tasks: Sequence[BlockTask]) -> dict[str, slice]:
    """The window cut to the steps of its blocks: the few maps at the end of a long segment, for instance."""
    parts = [part for task in tasks if (part := source.group.slices(task.block).get("time"))]
    if not parts:
        return dict(window)
    return {**window, "time": slice(min(part.start for part in parts), max(part.stop for part in parts))}


def _unread(window: Slices, tasks: Sequence[BlockTask]) -> dict[str, slice]:
    """The window without the steps at its start that the live version has already."""
    known = [task.prior.group.slices(task.prior.block)["time"].stop for task in tasks if task.prior]
    return {**window, "time": slice(min(known), window["time"].stop)} if known else dict(window)


def _two_passes(
    source: Rechunked, window: Slices, tasks: Sequence[BlockTask], budget: int
) -> tuple[list[Work], list[Work]]:
    """Spills that read the window, and gathers of the blocks.

    window  what is read: of blocks that start from the live version, just the steps that are new
    """
    dims = source.part.dims
    itemsize = source.part.itemsize
    shape = tuple(_length(window[dim]) for dim in dims)
    whole = tuple(source.group.shards(dims, _sizes(source)))
    shards = tuple(min(size, n) for size, n in zip(whole, shape, strict=True))
    chunk = tuple(min(size, n) for size, n in zip(source.source_chunk, shape, strict=True))
    # The planner counts one buffer; encoding, decoding and the process itself come on top.
    room = budget - WORKER_BYTES - itemsize * (3 * math.prod(whole) + 3 * math.prod(chunk))
    if room < itemsize * max(math.prod(whole), math.prod(chunk)):
        needed = WORKER_BYTES + itemsize * (4 * math.prod(whole) + 4 * math.prod(chunk))
        raise RefusedError(
            Problem(
                "over-budget",
                f"rechunking needs {needed / 2**20:.0f} MiB a worker, the budget is {budget / 2**20:.0f} MiB",
                source.part.name,
                "a worker would be killed for its memory in the middle of the build",
                "raise `memory`, or cut the product by `area` or `layout.segment`",
            )
        )
    from rechunker.algorithm import rechunking_plan  # it imports dask's arrays, which most plans do not need

    reads, between, writes = rechunking_plan(shape, chunk, shards, itemsize, room)
    if any(task.prior for task in tasks):
        # These are gathered one by one: each must find its part by itself, not in an array of the whole map.
        between = tuple(min(size, n) for size, n in zip(between, shards, strict=True))
    between = _reduced_to(between, math.prod(whole))
    memory = budget - room
    spills: list[Work] = []
    for piece in _cut(dims, window, reads):
        size = itemsize * math.prod(_length(piece[dim]) for dim in dims)
        spills.append(Spill(_reduced(source, piece), piece, between, memory + size))
    # Intermediate chunks are cut within each read, so a read that they do not divide leaves shorter ones at its end.
    pieces = [part for read in _cut(dims, window, reads) for part in _cut(dims, read, between)]
    gathers: list[Work] = []
    for target, chosen in _targets(source, window, tasks, writes):
        overlapping = tuple(
            each for each in pieces if all(_length(_intersection(each[d], target[d])) > 0 for d in dims)
        )
        size = itemsize * math.prod(_length(target[dim]) for dim in dims)
        gathers.append(Gather(_reduced(source, target), target, overlapping, tuple(chosen), memory + size))
    return spills, gathers


def _reduced_to(chunk: Sequence[int], cells: int) -> tuple[int, ...]:
    """A chunk cut along its first dimensions to at most so many cells.

    Intermediate chunks that grow with the budget would be copied beside a buffer that fills it already; a shard's size
    is in the estimate.
    """
    cut = list(chunk)
    for axis, size in enumerate(cut):
        cut[axis] = max(1, min(size, cells * size // math.prod(cut)))
    return tuple(cut)


def _targets(
    source: Rechunked, window: Slices, tasks: Sequence[BlockTask], writes: Sequence[int]
) -> Iterator[tuple[dict[str, slice], list[BlockTask]]]:
    """What is assembled together, with its blocks: as much as the planner writes at once.

    Blocks that start from the live version are longer than what is read for them, so they are made one by one.
    """
    dims = source.part.dims
    grouped: dict[tuple[int, ...], list[BlockTask]] = defaultdict(list)
    for task in tasks:
        part = {**window, **source.group.slices(task.block)}
        if task.prior:
            yield part, [task]
        else:
            starts = (part[dim].start - window[dim].start for dim in dims)
            grouped[tuple(start // n for start, n in zip(starts, writes, strict=True))].append(task)
    for index in sorted(grouped):
        origin = {dim: window[dim].start + i * n for dim, i, n in zip(dims, index, writes, strict=True)}
        target = {
            dim: slice(origin[dim], min(origin[dim] + n, window[dim].stop)) for dim, n in zip(dims, writes, strict=True)
        }
        yield target, grouped[index]


def _slab_spans(source: Rechunked) -> tuple[int, ...]:
    """How many shards along each blocked dimension are read together so that no source chunk is decoded twice.

    Along time source chunks and segments seldom share edges; there at most one source chunk an edge is decoded twice.
    """
    chunk = dict(zip(source.part.dims, source.source_chunk, strict=True))
    spans = []
    for dim in source.group.dims:
        size = max(1, chunk[dim.name])
        wanted = math.ceil(size / dim.shard) if dim.name == "time" else math.lcm(dim.shard, size) // dim.shard
        spans.append(min(wanted, dim.blocks))
    return tuple(spans)


def _slab_window(source: Rechunked, index: Sequence[int], spans: Sequence[int]) -> dict[str, slice]:
    window = {dim: slice(0, size) for dim, size in zip(source.part.dims, source.part.shape, strict=True)}
    for dim, i, span in zip(source.group.dims, index, spans, strict=True):
        window[dim.name] = slice(i * span * dim.shard, min((i + 1) * span * dim.shard, dim.size))
    return window


def _reduced(source: Rechunked, window: Slices) -> Rechunked:
    return Rechunked(
        source.part,
        source.group,
        source.fill,
        source.dtype,
        source.source_chunk,
        source.reader.within(window),
        source.prefix,
    )


def _sizes(source: Rechunked) -> dict[str, int]:
    return dict(zip(source.part.dims, source.part.shape, strict=True))


def _length(part: slice) -> int:
    return int(part.stop - part.start)


def _intersection(a: slice, b: slice) -> slice:
    return slice(max(a.start, b.start), min(a.stop, b.stop))


def _empty(source: Rechunked, window: Slices) -> Array:
    shape = tuple(_length(window[dim]) for dim in source.part.dims)
    return np.full(shape, 0 if source.fill is None else source.fill, dtype=source.dtype)


def _view(dims: Sequence[str], window: Slices, part: Slices, values: Array) -> Array:
    """The part of an array that covers `window`, as a view."""
    return values[tuple(slice(part[d].start - window[d].start, part[d].stop - window[d].start) for d in dims)]


def _cut(dims: Sequence[str], window: Slices, chunk: Sequence[int]) -> Iterator[dict[str, slice]]:
    ranges = []
    for dim, size in zip(dims, chunk, strict=True):
        whole = window[dim]
        ranges.append([slice(start, min(start + size, whole.stop)) for start in range(whole.start, whole.stop, size)])
    for parts in itertools.product(*ranges):
        yield dict(zip(dims, parts, strict=True))


def _name(source: Rechunked, window: Slices) -> str:
    spans = "_".join(f"{window[dim].start}-{window[dim].stop}" for dim in source.part.dims)
    return f"{source.prefix}/{source.part.name}/{spans}"


def _chunk_name(source: Rechunked, piece: Slices) -> str:
    return f"{_name(source, piece)}.array"


def _blocks(source: Rechunked, window: Slices, buffer: Array, tasks: Sequence[BlockTask]) -> Iterator[Result]:
    dims = source.part.dims
    for task in tasks:
        part = {**window, **source.group.slices(task.block)}
        values = _view(dims, window, part, buffer)
        yield Result(task.block, xr.Dataset({source.part.name: (dims, values)}), source.reader.steps(part))


def _restore(source: Rechunked, window: Slices, tasks: Sequence[BlockTask], buffer: Array) -> int:
    """Put what the live version already proves into the buffer; returns the identities that need not be read."""
    done = []
    for task in tasks:
        prior = task.prior
        if prior is None:
            return 0
        part = {**window, **source.group.slices(task.block)}
        values = read_prior(prior, source.part.name)
        target = _view(source.part.dims, window, part, buffer)
        target[tuple(slice(0, size) for size in values.shape)] = values
        done.append(prior.done)
    # Blocks of one window and time range read the same files; the least of them is safe where they do not.
    return min(done)
