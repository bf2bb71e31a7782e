"""Scores of a simulated product against a reference, cell by cell and over all cells, beside baselines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar, Self

import xarray as xr

from compute.evaluation import structure, telling
from compute.evaluation.compared import Compared
from compute.evaluation.maps import maps
from compute.evaluation.options import EvaluateOptions
from compute.evaluation.summary import SummaryWork
from cube.blockjob import BlockJob
from cube.hashing import digest
from cube.job import BlockTask, JobContext, ProductView, Window, Work
from cube.layout import Group, Layout
from cube.provenance import Citation, Provenance
from cube.reading import VersionRef
from cube.template import Template

CITATIONS = (
    Citation(
        "Gupta, H. V., Kling, H., Yilmaz, K. K., Martinez, G. F. (2009): Decomposition of the mean squared error and "
        "NSE performance criteria. Journal of Hydrology 377, 80-91",
        "10.1016/j.jhydrol.2009.08.003",
    ),
    Citation(
        "Knoben, W. J. M., Freer, J. E., Woods, R. A. (2019): Inherent benchmark or not? Comparing Nash-Sutcliffe and "
        "Kling-Gupta efficiency scores. Hydrology and Earth System Sciences 23, 4323-4331",
        "10.5194/hess-23-4323-2019",
    ),
)


class EvaluateJob(BlockJob):
    """Maps first, block by block; then what they say over all cells, and the report, in one block."""

    name: ClassVar[str] = "evaluate"
    revision: ClassVar[int] = 1
    Options: ClassVar[type[EvaluateOptions]] = EvaluateOptions
    options: EvaluateOptions

    @classmethod
    def create(cls, options: Any, context: JobContext) -> Self:
        """Raises InputError with all that is wrong with the inputs."""
        job = cls(options, context.inputs)
        job.compared.check()
        return job

    @cached_property
    def compared(self) -> Compared:
        return Compared(self.options, self.inputs)

    @cached_property
    def facts(self) -> telling.Facts:
        return telling.facts(self.compared, CITATIONS)

    @property
    def simulation(self) -> ProductView:
        return self.compared.simulation

    def template(self) -> Template:
        compared = self.compared
        cell = {name: slice(0, 1) for name in compared.space}
        size = 0
        for name, window in compared.series_windows(cell).items():
            arrays = self.inputs[name].template.arrays
            size += sum(arrays[variable].bytes(window.slices) for variable in window.variables)
        return structure.template(compared, telling.comments(compared), size)

    def key_options(self) -> Mapping[str, Any]:
        return self.compared.to_json()

    def reads(self, group: Group, slices: Mapping[str, slice]) -> Mapping[str, Window]:
        """What the maps of a part read; the summary and the report are made of the same, whole."""
        return self.compared.windows({name: each for name, each in slices.items() if name in self.compared.space})

    def identities(self, group: Group, slices: Mapping[str, slice]) -> Sequence[str]:
        found = super().identities(group, slices)
        return [*found, digest(self.facts.to_json())] if structure.BEATEN in group.variables else found

    def builds_on(self, layout: Layout, blocks: Iterable[str]) -> set[str]:
        ids = {each.id: each.group for each in layout.blocks()}
        summary = layout.group_of(structure.BEATEN).name
        if not any(ids.get(block) == summary for block in blocks):
            return set()
        return {block for block, group in ids.items() if group != summary}

    def works(self, layout: Layout, tasks: Sequence[BlockTask], budget: int, own: VersionRef) -> list[list[Work]]:
        summary = layout.group_of(structure.BEATEN)
        (first,) = super().works(layout, [task for task in tasks if task.block.group != summary.name], budget, own)
        size = self.template().arrays["rmse"].bytes({})
        second: list[Work] = [
            SummaryWork(self.compared, self.facts, task, size, own)
            for task in tasks
            if task.block.group == summary.name
        ]
        return [first, second]

    def compute(self, group: Group, slices: Mapping[str, slice], data: Mapping[str, xr.Dataset]) -> xr.Dataset:
        """The maps of some cells."""
        return maps(self.compared, {name: slices[name] for name in self.compared.space}, data)

    def provenance(self) -> Provenance:
        found = super().provenance()
        return Provenance(**{**vars(found), "citations": (*found.citations, *CITATIONS)})

    def notes(self) -> Mapping[str, Any]:
        facts = self.facts
        return {
            "notes": [facts.verdict, *facts.caveats, f"Evaluated: {facts.compared}."],
            "attrs": {"comment": facts.verdict},
        }
