"""Block keys: what a block is made from, in one hash. Equal key, equal bytes.

A key joins a `base` (how the block is made and where it lies) with the chain over the identities of what it reads.
A chain that occurs inside a longer one tells that the block only grew.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cube import layout as layouts
from cube.hashing import array_digest, chain, digest
from cube.job import Job
from cube.layout import Block, Group, Layout
from cube.shards import CODEC
from cube.template import Template


@dataclass(frozen=True)
class BlockKey:
    """base: how and where; inputs: the chain over what is read; key: both."""

    base: str
    inputs: str

    @property
    def key(self) -> str:
        return digest([self.base, self.inputs])


@functools.lru_cache(maxsize=256)
def chained(identities: tuple[str, ...]) -> tuple[str, ...]:
    """The chain after each identity, the empty one first."""
    return tuple(chain("", identities))


def block_keys(job: Job, template: Template, layout: Layout) -> dict[str, BlockKey]:
    """Keys of all blocks of a layout, by block id.

    Those of the map layout hold just what their own steps are made from, so that earlier maps stay when a series grows.
    """
    keys = {}
    for group in layout.groups:
        how = _how(job, template, group)
        for block in (block for block in layout.blocks() if block.group == group.name):
            slices = group.slices(block)
            inputs = chained(tuple(job.identities(group, slices)))[-1]
            keys[block.id] = BlockKey(digest([how, _where(template, block, slices)]), inputs)
    return keys


def known_inputs(identities: Sequence[str], inputs: str) -> int | None:
    """How many of the identities a chain `inputs` stands for, None where it is no prefix of them."""
    links = chained(tuple(identities))
    return links.index(inputs) if inputs in links else None


def template_digest(template: Template) -> str:
    """A hash of the structure: dimensions, types, attributes and coordinate values."""
    coords = template.coords.variables
    arrays = {name: [spec.dims, spec.shape, spec.dtype.str, dict(spec.attrs)] for name, spec in template.arrays.items()}
    attrs = {str(name): [list(map(str, array.dims)), dict(array.attrs)] for name, array in coords.items()}
    values = {str(name): array_digest(array.values) for name, array in coords.items()}
    time = template.time.to_json() if template.time else None
    return digest([arrays, attrs, values, time, dict(template.crs), template.bbox])


def _encoding(template: Template, group: Group) -> list[Any]:
    arrays = [template.arrays[name] for name in group.variables]
    types = [[spec.dtype.str, str(spec.fill)] for spec in arrays]
    return [layouts.REVISION, CODEC, group.key_json(), types]


def _how(job: Job, template: Template, group: Group) -> str:
    return digest([job.name, job.revision, dict(job.key_options()), _encoding(template, group)])


def _where(template: Template, block: Block, slices: Mapping[str, slice]) -> list[Any]:
    """The place of a block in coordinates, not in positions: cells and the time of its first step."""
    place: list[Any] = [block.index]
    for name in template.space:
        if name in slices and name in template.coords:
            place.append(array_digest(template.coords[name].values[slices[name]]))
    if template.time and "time" in slices:
        place += [template.time.first + slices["time"].start, str(template.time.step), template.time.calendar]
    return place
