"""The second layout for maps, made from a version's own time-optimised arrays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from cube.job import BlockTask, Work
from cube.layout import Block, Layout
from cube.reading import VersionRef
from cube.rechunk import Rechunked, Slices, rechunk_works
from cube.template import Template


@dataclass(frozen=True)
class LayoutReader:
    """Reads one variable from the time-optimised layout of a version."""

    ref: VersionRef
    variable: str
    layout: Layout

    def within(self, window: Slices) -> LayoutReader:
        return self

    def read(self, window: Slices, out: np.ndarray[Any, Any], done: int) -> None:
        # Shard by shard: what is decoded stands in memory twice.
        group = self.layout.group_of(self.variable)
        for block in self.layout.overlapping(self.variable, window):
            part = dict(window)
            for dim, own in group.slices(block).items():
                part[dim] = slice(max(own.start, window[dim].start), min(own.stop, window[dim].stop))
            values = self.ref.read([self.variable], part)[self.variable]
            places = (part[dim].start - window[dim].start for dim in map(str, values.dims))
            out[tuple(slice(at, at + size) for at, size in zip(places, values.shape, strict=True))] = values.values

    def steps(self, window: Slices) -> tuple[int, int] | None:
        part = window.get("time")
        return (part.start, part.stop) if part else None


def map_sources(layouts: Mapping[str, Layout], blocks: Iterable[str]) -> set[str]:
    """The blocks of the time layout that those of the map layout among `blocks` are made from, all by id."""
    found: set[str] = set()
    for block in map(Block.parse, blocks):
        if block.layout == "map":
            group = layouts["map"].group(block.group)
            parts = (layouts["time"].overlapping(name, group.slices(block)) for name in group.variables)
            found.update(each.id for part in parts for each in part)
    return found


def map_works(
    template: Template, layout: Layout, maps: Layout, ref: VersionRef, tasks: list[BlockTask], budget: int
) -> list[list[Work]]:
    """Works that make blocks of the map layout, once all blocks of the time layout are written.

    Raises RefusedError where the budget does not hold one shard with its intermediate chunks.
    """
    steps: list[list[Work]] = []
    for group in maps.groups:
        chosen = [task for task in tasks if task.block.group == group.name]
        for name in group.variables if chosen else ():
            spec = template.arrays[name]
            source = Rechunked(
                template.part(name),
                group,
                spec.fill,
                spec.dtype,
                layout.group_of(name).chunks(spec.dims, spec.sizes),
                LayoutReader(ref, name, layout),
                "map",
            )
            for position, works in enumerate(rechunk_works(source, chosen, budget)):
                if position == len(steps):
                    steps.append([])
                steps[position] += works
    return steps
