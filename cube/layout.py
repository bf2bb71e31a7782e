"""The layout of a product: chunks, shards and blocks as a function of axes, types and declared options alone.

Memory, workers and machines never enter: they decide how a block is computed, not what it is.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from cube import tiling

REVISION = 1
MIB = 2**20
CHUNK_BYTES = 2 * MIB
LONGEST_CHUNK_BYTES = 4 * MIB
SHARD_BYTES = 48 * MIB
GROUP_BYTES = 128 * MIB
"""Shards of one block, all variables of its group together."""
READ_BYTES = 512 * MIB
"""What one block of a reduction may read, so that its work stays small even where its output is tiny."""
SEGMENT = "segment"
"""The dimension that counts the blocks along time, of variables that hold one value for each."""


@dataclass(frozen=True)
class Dim:
    """One dimension along which blocks are cut. `size` may exceed or fall short of `shard`."""

    name: str
    size: int
    chunk: int
    shard: int

    @property
    def blocks(self) -> int:
        return max(1, math.ceil(self.size / self.shard))


@dataclass(frozen=True, order=True)
class Block:
    """Whole shards of all variables of one group: the unit of work, retry, resume and reuse."""

    layout: str
    group: str
    index: tuple[int, ...]

    @property
    def id(self) -> str:
        return f"{self.layout}/{self.group}/{'.'.join(map(str, self.index))}"

    @classmethod
    def parse(cls, text: str) -> Block:
        layout, group, index = text.split("/")
        return cls(layout, group, tuple(int(part) for part in index.split(".") if part))


@dataclass(frozen=True)
class Group:
    """Variables that are computed together and cut alike.

    carries  whether one of them has the dimension SEGMENT, one step of it in each block along time
    """

    name: str
    variables: tuple[str, ...]
    dims: tuple[Dim, ...]
    carries: bool = False

    @property
    def grid(self) -> tuple[int, ...]:
        return tuple(dim.blocks for dim in self.dims)

    def dim(self, name: str) -> Dim | None:
        if self.carries and name == SEGMENT:
            return Dim(SEGMENT, next(dim.blocks for dim in self.dims if dim.name == "time"), 1, 1)
        return next((dim for dim in self.dims if dim.name == name), None)

    def index(self, block: Block) -> dict[str, int]:
        """The place of a block along each dimension that blocks are cut along."""
        found = dict(zip((dim.name for dim in self.dims), block.index, strict=True))
        return {**found, SEGMENT: found["time"]} if self.carries else found

    def slices(self, block: Block) -> dict[str, slice]:
        """The part of each blocked dimension that a block covers, cut at the dimension's size."""
        found = {}
        for name, i in self.index(block).items():
            dim = self.dim(name)
            assert dim is not None
            found[name] = slice(i * dim.shard, min((i + 1) * dim.shard, dim.size))
        return found

    def chunks(self, dims: Sequence[str], sizes: Mapping[str, int]) -> tuple[int, ...]:
        """Inner chunk of a variable; dimensions that are not blocked are whole."""
        return tuple(dim.chunk if (dim := self.dim(name)) else sizes[name] for name in dims)

    def shards(self, dims: Sequence[str], sizes: Mapping[str, int]) -> tuple[int, ...]:
        return tuple(dim.shard if (dim := self.dim(name)) else sizes[name] for name in dims)

    def to_json(self) -> dict[str, Any]:
        found = {
            "name": self.name,
            "variables": list(self.variables),
            "dims": [[dim.name, dim.size, dim.chunk, dim.shard] for dim in self.dims],
        }
        return {**found, "carries": True} if self.carries else found

    def key_json(self) -> dict[str, Any]:
        """What of the group enters block keys: not the sizes, so that growth leaves earlier blocks alone."""
        return {"variables": list(self.variables), "dims": [[dim.name, dim.chunk, dim.shard] for dim in self.dims]}


@dataclass(frozen=True)
class Layout:
    """All groups of one Zarr group. `name` is "time" (time.zarr) or "map" (map.zarr)."""

    name: str
    groups: tuple[Group, ...]

    def group(self, name: str) -> Group:
        return next(group for group in self.groups if group.name == name)

    def group_of(self, variable: str) -> Group:
        return next(group for group in self.groups if variable in group.variables)

    def blocks(self) -> Iterator[Block]:
        for group in self.groups:
            for index in np.ndindex(*group.grid):
                yield Block(self.name, group.name, tuple(int(i) for i in index))

    def overlapping(self, variable: str, window: Mapping[str, slice]) -> Iterator[Block]:
        """Blocks that hold some of `window` of a variable, in grid order; dimensions not named are whole."""
        group = self.group_of(variable)
        ranges = []
        for own in group.dims:
            # States are looked up by segment, everything else by time.
            dim = (group.dim(SEGMENT) if own.name == "time" and SEGMENT in window else None) or own
            part = window.get(dim.name, slice(0, dim.size))
            ranges.append(
                range(part.start // dim.shard, max(part.start // dim.shard, (part.stop - 1) // dim.shard) + 1)
            )
        for index in np.ndindex(*(len(part) for part in ranges)):
            yield Block(self.name, group.name, tuple(part[i] for part, i in zip(ranges, index, strict=True)))

    def shards(self, block: Block, dims: Mapping[str, Sequence[str]]) -> dict[str, str]:
        """The object of each variable of a block, named relative to the version.

        dims  the dimensions of each variable
        """
        group = self.group(block.group)
        index = group.index(block)
        return {
            name: "/".join([f"{self.name}.zarr/{name}/c", *(str(index.get(dim, 0)) for dim in dims[name])])
            for name in group.variables
        }

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "revision": REVISION, "groups": [group.to_json() for group in self.groups]}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Layout:
        groups = (
            Group(
                each["name"],
                tuple(each["variables"]),
                tuple(Dim(*dim) for dim in each["dims"]),
                each.get("carries", False),
            )
            for each in value["groups"]
        )
        return cls(value["name"], tuple(groups))


@dataclass(frozen=True)
class Part:
    """What the layout has to know of one variable: its dimensions, sizes and bytes an element."""

    name: str
    dims: tuple[str, ...]
    shape: tuple[int, ...]
    itemsize: int


def time_layout(
    groups: Sequence[Sequence[Part]],
    *,
    time: str | None,
    space: tuple[str, ...],
    segment: int | None,
    read_bytes_per_step_cell: int = 0,
    read_bytes_per_cell: int = 0,
    tiles: Mapping[str, Dim] = MappingProxyType({}),
) -> Layout:
    """The time-optimised layout.

    segment                   steps of one chunk along time, None for the whole period
    read_bytes_per_step_cell  bytes that a job reads from its inputs for one step of one cell
    read_bytes_per_cell       bytes that it reads for one cell of variables without time, 0 for as many as for one step
    tiles                     how what a job reads is cut along `space`; blocks keep to it where they can
    """
    made = []
    joint = sum(len(parts) > 1 for parts in groups)
    for parts in groups:
        dims_of = {name: size for part in parts for name, size in zip(part.dims, part.shape, strict=True)}
        steps = dims_of.get(time, 0) if time else 0
        span = (segment or steps) if steps else 1
        blocked = [name for name in space if all(name in part.dims for part in parts)]
        shape = [dims_of[name] for name in blocked]
        # Bytes of one step of one cell, dimensions that are not blocked included.
        per_step = [
            part.itemsize
            * math.prod(
                size for name, size in zip(part.dims, part.shape, strict=True) if name != time and name not in blocked
            )
            for part in parts
        ]
        chunk_span = min(span, max(1, LONGEST_CHUNK_BYTES // max(per_step)))
        per_cell = max(per_step) * span
        shard_cells = min(SHARD_BYTES // per_cell, GROUP_BYTES // (sum(per_step) * span))
        read = read_bytes_per_step_cell * span if steps or not read_bytes_per_cell else read_bytes_per_cell
        if read:
            shard_cells = min(shard_cells, READ_BYTES // read)
        chunk_cells = CHUNK_BYTES // (max(per_step) * chunk_span)
        cut = None
        if blocked and all(name in tiles for name in blocked):
            cut = tiling.along(shape, [(tiles[n].chunk, tiles[n].shard) for n in blocked], chunk_cells, shard_cells)
        chunk, shard = cut or tiling.free(shape, chunk_cells, shard_cells)
        dims = [Dim(*each) for each in zip(blocked, shape, chunk, shard, strict=True)]
        if steps and time:
            dims.insert(0, Dim(time, steps, chunk_span, math.ceil(span / chunk_span) * chunk_span))
        name = "all" if len(parts) > 1 and joint == 1 else parts[0].name
        made.append(Group(name, tuple(part.name for part in parts), tuple(dims)))
    return Layout("time", tuple(made))


def map_layout(layout: Layout, parts: Mapping[str, Part], *, time: str) -> Layout:
    """A second layout for maps: few steps of the whole map in one chunk, one group a variable."""
    made = []
    for group in layout.groups:
        axis = group.dim(time)
        for name in group.variables if axis else ():
            assert axis is not None
            part = parts[name]
            if time not in part.dims:
                continue
            sizes = zip(part.dims, part.shape, strict=True)
            per_step = part.itemsize * math.prod(size for dim, size in sizes if dim != time)
            chunk = max(1, min(axis.shard, CHUNK_BYTES // per_step))
            times = max(1, min(SHARD_BYTES // (per_step * chunk), axis.shard // chunk))
            dims = [Dim(time, axis.size, chunk, chunk * times)]
            dims += [Dim(dim.name, dim.size, dim.size, dim.size) for dim in group.dims if dim.name != time]
            made.append(Group(name, (name,), tuple(dims)))
    return Layout("map", tuple(made))
