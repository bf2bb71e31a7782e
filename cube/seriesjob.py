"""Jobs whose blocks of the same cells follow each other in time, each from the state in which the former ended."""

from __future__ import annotations

from abc import abstractmethod
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr

from cube.blockjob import BlockJob
from cube.errors import InputError, Problem
from cube.hashing import digest
from cube.job import BlockTask, Result, Scratch, Window, Work
from cube.layout import SEGMENT, Block, Group, Layout
from cube.reading import VersionRef
from cube.template import STATE

State = np.ndarray[Any, np.dtype[np.float64]]
Slices = Mapping[str, slice]


class SeriesJob(BlockJob):
    """A job that goes through time, segment after segment, each cell by itself.

    Its template names the numbers of its `state` and has one group of variables. A state is exact, so that the cut into
    segments shows nowhere in the results. It is published with the product: growth goes on from it, and another product
    may.
    """

    @abstractmethod
    def starts_from(self, cells: Slices) -> Mapping[str, Window]:
        """What is read to know the state before the first step, by input product."""

    @abstractmethod
    def start(self, cells: Slices, data: Mapping[str, xr.Dataset]) -> State:
        """The state before the first step, shape (numbers, *cells), from what `starts_from` named."""

    @abstractmethod
    def go_on(
        self, group: Group, slices: Slices, data: Mapping[str, xr.Dataset], state: State
    ) -> tuple[xr.Dataset, State]:
        """The part of the product given by `slices`, from the state before it, and the state after it.

        data  what `reads` names
        """

    def check(self, slices: Slices, data: Mapping[str, xr.Dataset]) -> Sequence[Problem]:
        """What is wrong with what `reads` named for a part. It is asked of all parts before any is computed."""
        return ()

    def compute(self, group: Group, slices: Slices, data: Mapping[str, xr.Dataset]) -> xr.Dataset:
        raise NotImplementedError("a series is computed by `go_on`")

    def identities(self, group: Group, slices: Slices) -> Sequence[str]:
        """Those of what the state before the first step is made from, and of all steps up to the end of this part."""
        time = self.template().time
        assert time is not None
        cells = cells_of(slices)
        found = [f"from {time.first} to {time.first + slices['time'].stop}"]
        for reads in (self.starts_from(cells), self.reads(group, {**cells, "time": slice(0, slices["time"].stop)})):
            found += [key for name, window in sorted(reads.items()) for key in self.inputs[name].keys_of(window)]
        return found

    def builds_on(self, layout: Layout, blocks: Iterable[str]) -> set[str]:
        found = (_before(block) for block in map(Block.parse, blocks) if block.layout == "time")
        return {block.id for block in found if block}

    def works(self, layout: Layout, tasks: Sequence[BlockTask], budget: int, own: VersionRef) -> list[list[Work]]:
        template = self.template()
        cells: dict[tuple[int, ...], list[BlockTask]] = defaultdict(list)
        for task in tasks:
            cells[task.block.index[1:]].append(task)
        works: list[SeriesWork] = []
        for index in sorted(cells):
            chosen = sorted(cells[index], key=lambda task: task.block)
            group = layout.group(chosen[0].block.group)
            memory = 0
            proofs = {}
            for task in chosen:
                slices = group.slices(task.block)
                reads = self.reads(group, slices)
                first = self.starts_from(cells_of(slices)) if _before(task.block) is None else {}
                named = replace(group, variables=tuple(name for name in group.variables if name != STATE))
                sizes = [self.memory(template, named, slices, each) for each in (reads, first)]
                memory = max(memory, *sizes)
                proofs[task.block.id] = (self.proofs(reads), self.proofs(first))
            works.append(SeriesWork(self, group, tuple(chosen), memory, proofs, own))
        if type(self).check is SeriesJob.check:
            return [list(works)]
        return [[CheckWork(each) for each in works], list(works)]


def cells_of(slices: Slices) -> dict[str, slice]:
    """The part along the dimensions of space."""
    return {name: part for name, part in slices.items() if name not in ("time", SEGMENT)}


def _before(block: Block) -> Block | None:
    """The block of the same cells that ends where this one starts."""
    return replace(block, index=(block.index[0] - 1, *block.index[1:])) if block.index[0] else None


Proofs = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True)
class SeriesWork:
    """All blocks of the same cells, one after the other.

    proofs  sha256 of what each block reads, and of what the first state is made from, by block
    own     the version being made, for the state before the first of the blocks
    """

    job: SeriesJob
    group: Group
    tasks: tuple[BlockTask, ...]
    memory: int
    proofs: Mapping[str, tuple[Proofs, Proofs]]
    own: VersionRef

    @property
    def id(self) -> str:
        return f"series/{self.group.name}/{'.'.join(map(str, self.tasks[0].block.index[1:]))}"

    @property
    def leaves(self) -> Sequence[str]:
        return ()

    def only(self, tasks: Sequence[BlockTask]) -> Work:
        return replace(self, tasks=tuple(tasks))

    def run(self, scratch: Scratch) -> Iterator[Result]:
        former: Block | None = None
        state: State | None = None
        for task in self.tasks:
            slices = self.group.slices(task.block)
            before = _before(task.block)
            of_block, of_start = self.proofs[task.block.id]
            if before is None:
                cells = cells_of(slices)
                state = self.job.start(cells, self.job.read(self.job.starts_from(cells), of_start))
            elif state is None or before != former:
                window = {**cells_of(slices), SEGMENT: slice(before.index[0], before.index[0] + 1)}
                state = self.own.read([STATE], window)[STATE].values[0]
            data = self.job.read(self.job.reads(self.group, slices), of_block)
            found, state = self.job.go_on(self.group, slices, data, state)
            dims = (SEGMENT, "state_number", *cells_of(slices))
            steps = slices["time"]
            yield Result(task.block, found.assign({STATE: (dims, state[None])}), (steps.start, steps.stop))
            former = task.block


@dataclass(frozen=True)
class CheckWork:
    """Reads all that a series is made from, and refuses it with everything that is wrong."""

    series: SeriesWork
    tasks: tuple[BlockTask, ...] = ()

    @property
    def id(self) -> str:
        # What was found sound is sound for just these blocks.
        return f"check/{self.series.id}/{digest([task.key for task in self.series.tasks])[:12]}"

    @property
    def memory(self) -> int:
        return self.series.memory

    @property
    def leaves(self) -> Sequence[str]:
        return ()

    def only(self, tasks: Sequence[BlockTask]) -> Work:
        return self

    def run(self, scratch: Scratch) -> Iterator[Result]:
        job, group = self.series.job, self.series.group
        problems: dict[tuple[str, str], Problem] = {}
        for task in self.series.tasks:
            slices = group.slices(task.block)
            data = job.read(job.reads(group, slices), self.series.proofs[task.block.id][0])
            for problem in job.check(slices, data):
                problems.setdefault((problem.code, problem.where), problem)
        if problems:
            raise InputError(list(problems.values()))
        yield from ()
