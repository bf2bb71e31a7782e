"""Jobs over products of the cube whose blocks are independent of each other, the usual kind."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import xarray as xr

from cube.job import WORKER_BYTES, BlockTask, Job, JobContext, ProductView, Result, Scratch, Window, Work
from cube.layout import Block, Group, Layout
from cube.provenance import Provenance, inherited
from cube.reading import VersionRef
from cube.template import Template

OWN = ""
"""Among what a part is computed from: variables of the version itself. No product has this name."""


class BlockJob(Job):
    """A job over products of the cube whose blocks are independent of each other, but for those that `own` names."""

    memory_factor: ClassVar[float] = 3.0
    """Peak working memory as a multiple of what a block reads and returns."""

    def __init__(self, options: Any, inputs: Mapping[str, ProductView]) -> None:
        self.options = options
        self.inputs = inputs

    @classmethod
    def create(cls, options: Any, context: JobContext) -> Self:
        return cls(options, context.inputs)

    @abstractmethod
    def reads(self, group: Group, slices: Mapping[str, slice]) -> Mapping[str, Window]:
        """What a part of the product reads, by input product."""

    @abstractmethod
    def compute(self, group: Group, slices: Mapping[str, slice], data: Mapping[str, xr.Dataset]) -> xr.Dataset:
        """The part of the product given by `slices`, in encoded form.

        data  by input product, exactly the window that `reads` named: numbers as they are stored, time in its encoded
              integer form; files are attributes by name, as they are of what is returned; under OWN what `own` named
        """

    def own(self, group: Group, slices: Mapping[str, slice]) -> Window | None:
        """What a part of the product reads of the same version besides: variables of groups that read nothing of it,
        and are made first. A job that has such parts names in their `identities` what those are made from."""
        return None

    def identities(self, group: Group, slices: Mapping[str, slice]) -> Sequence[str]:
        reads = sorted(self.reads(group, slices).items())
        return [key for name, window in reads for key in self.inputs[name].keys_of(window)]

    def builds_on(self, layout: Layout, blocks: Iterable[str]) -> set[str]:
        found: set[str] = set()
        for block in map(Block.parse, blocks):
            if block.layout != layout.name:
                continue
            group = layout.group(block.group)
            if window := self.own(group, group.slices(block)):
                for name in window.variables:
                    found |= {each.id for each in layout.overlapping(name, window.slices)}
        return found

    def works(self, layout: Layout, tasks: Sequence[BlockTask], budget: int, own: VersionRef) -> list[list[Work]]:
        template = self.template()
        first: list[Work] = []
        second: list[Work] = []
        for task in tasks:
            group = layout.group(task.block.group)
            slices = group.slices(task.block)
            reads, besides = self.reads(group, slices), self.own(group, slices)
            memory = self.memory(template, group, slices, reads)
            if besides:
                size = sum(template.arrays[name].bytes(besides.slices) for name in besides.variables)
                memory += int(self.memory_factor * size)
            work = BlockWork(self, group, task, memory, self.proofs(reads), own if besides else None)
            (second if besides else first).append(work)
        return [works for works in (first, second) if works] or [[]]

    def proofs(self, reads: Mapping[str, Window]) -> dict[str, dict[str, str]]:
        """sha256 of what `reads` touches, by input product and name of the object."""
        return {name: self.inputs[name].proofs_of(window) for name, window in reads.items()}

    def memory(self, template: Template, group: Group, slices: Mapping[str, slice], reads: Mapping[str, Window]) -> int:
        """Estimated peak resident set of a worker that computes a part, bytes."""
        size = sum(template.arrays[name].bytes(slices) for name in group.variables)
        for name, window in reads.items():
            arrays = self.inputs[name].template.arrays
            size += sum(arrays[variable].bytes(window.slices) for variable in window.variables)
        return WORKER_BYTES + int(self.memory_factor * size)

    def read(self, reads: Mapping[str, Window], proofs: Mapping[str, Mapping[str, str]]) -> dict[str, xr.Dataset]:
        """What `reads` names, by input product."""
        return {name: self.inputs[name].read(window, proofs[name]) for name, window in reads.items()}

    def provenance(self) -> Provenance:
        return inherited({name: view.provenance for name, view in self.inputs.items()})


@dataclass(frozen=True)
class BlockWork:
    """One block of a `BlockJob`.

    proofs  sha256 of what it reads, by input product and name of the object
    own     the version being made, where the block reads some of it
    """

    job: BlockJob
    group: Group
    task: BlockTask
    memory: int
    proofs: Mapping[str, Mapping[str, str]]
    own: VersionRef | None = None

    @property
    def id(self) -> str:
        return self.task.block.id

    @property
    def tasks(self) -> tuple[BlockTask, ...]:
        return (self.task,)

    @property
    def leaves(self) -> Sequence[str]:
        return ()

    def only(self, tasks: Sequence[BlockTask]) -> Work:
        return self

    def run(self, scratch: Scratch) -> Iterator[Result]:
        slices = self.group.slices(self.task.block)
        data = self.job.read(self.job.reads(self.group, slices), self.proofs)
        if self.own is not None and (window := self.job.own(self.group, slices)):
            data[OWN] = self.own.read(window.variables, window.slices)
        steps = slices.get("time")
        result = self.job.compute(self.group, slices, data)
        files = {str(name): value for name, value in result.attrs.items() if isinstance(value, bytes)}
        yield Result(self.task.block, result, (steps.start, steps.stop) if steps else None, files)
