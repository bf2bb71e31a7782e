"""Jobs over products of the cube whose blocks are independent of each other: the usual kind."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import xarray as xr

from cube.job import WORKER_BYTES, BlockTask, Job, JobContext, ProductView, Result, Scratch, Window, Work
from cube.layout import Group, Layout
from cube.provenance import Provenance, inherited
from cube.template import Template


class BlockJob(Job):
    """A job over products of the cube whose blocks are independent of each other."""

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
              integer form
        """

    def identities(self, group: Group, slices: Mapping[str, slice]) -> Sequence[str]:
        found = []
        for name, window in sorted(self.reads(group, slices).items()):
            view = self.inputs[name]
            for variable in window.variables:
                for block in view.layout.overlapping(variable, window.slices):
                    found.append(f"{name}:{variable}:{view.keys[block.id]}")
        return found

    def works(self, layout: Layout, tasks: Sequence[BlockTask], budget: int) -> list[list[Work]]:
        template = self.template()
        works: list[Work] = []
        for task in tasks:
            group = layout.group(task.block.group)
            slices = group.slices(task.block)
            reads = self.reads(group, slices).items()
            proofs = {name: self.inputs[name].proofs_of(window) for name, window in reads}
            works.append(BlockWork(self, group, task, self._memory(template, group, slices), proofs))
        return [works]

    def _memory(self, template: Template, group: Group, slices: Mapping[str, slice]) -> int:
        size = sum(template.arrays[name].bytes(slices) for name in group.variables)
        for name, window in self.reads(group, slices).items():
            arrays = self.inputs[name].template.arrays
            size += sum(arrays[variable].bytes(window.slices) for variable in window.variables)
        return WORKER_BYTES + int(self.memory_factor * size)

    def provenance(self) -> Provenance:
        return inherited({name: view.provenance for name, view in self.inputs.items()})


@dataclass(frozen=True)
class BlockWork:
    """One block of a `BlockJob`. proofs: sha256 of what it reads, by input product and name of the object."""

    job: BlockJob
    group: Group
    task: BlockTask
    memory: int
    proofs: Mapping[str, Mapping[str, str]]

    @property
    def id(self) -> str:
        return self.task.block.id

    @property
    def tasks(self) -> tuple[BlockTask, ...]:
        return (self.task,)

    def run(self, scratch: Scratch) -> Iterator[Result]:
        slices = self.group.slices(self.task.block)
        data = {}
        for name, window in self.job.reads(self.group, slices).items():
            view = self.job.inputs[name]
            if view.ref is None:
                raise ValueError(f"{name} has no version to read")
            data[name] = view.ref.read(window.variables, window.slices, proofs=self.proofs[name])
        steps = slices.get("time")
        result = self.job.compute(self.group, slices, data)
        yield Result(self.task.block, result, (steps.start, steps.stop) if steps else None)
