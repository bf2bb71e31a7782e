"""One block of sites of a sample, read from the cube shard by shard."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from compute.emulator.features import FEATURES
from compute.sample.extracting import Extraction, tiles
from compute.sample.runs import TARGETS
from cube.job import BlockTask, Result, Scratch, Work
from cube.layout import Group
from cube.reading import VersionRef

if TYPE_CHECKING:
    from compute.sample.job import SampleJob


@dataclass(frozen=True)
class SampleWork:
    """One block of sites. own: the version being made, which holds the sites that were chosen."""

    job: SampleJob
    group: Group
    task: BlockTask
    memory: int
    proofs: Mapping[str, Mapping[str, str]]
    own: VersionRef

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
        sites = self.group.slices(self.task.block)
        cells = self.own.read(["cell"], sites)["cell"].values
        runs = {run.simulation.name: run for run in self.job.runs}
        starts = dict(zip(runs, itertools.accumulate([0, *(len(run.kept) for run in runs.values())]), strict=False))
        count = sum(len(run.kept) for run in runs.values())
        found = {name: np.full((len(cells), count), np.nan, np.float32) for name in self.group.variables}
        for tile in tiles(self.job.runs[0].simulation, cells):
            extraction = Extraction(tile, runs, self.proofs)
            soil = extraction.soil(self.job.soil)
            for name in runs:
                for days, features, targets in extraction.rows(name, soil):
                    at = np.ix_(tile.sites, starts[name] + days)
                    for column, feature in enumerate(FEATURES):
                        found[feature.name][at] = features[:, column]
                    for row, target in enumerate(TARGETS):
                        found[target][at] = targets[row].T
        yield Result(self.task.block, xr.Dataset({k: (("site", "sample"), v) for k, v in found.items()}), None)
