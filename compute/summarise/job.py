"""The `summarise` job: area-weighted summaries of a product over regions, and the same as a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from compute.coverage import Coverage, coverages
from compute.dates import is_date
from compute.metrics.series import land_factor
from compute.places import refuse_other_cells
from compute.regions import AR6, Regions, ar6, geojson
from compute.summarise.averaging import averages
from compute.summarise.options import RegionsFile, SummariseOptions
from compute.summarise.structure import CELLS, COVERED, CSV, REGION, arrays_of, template
from compute.summarise.table import table
from cube.blockjob import OWN, BlockJob
from cube.errors import CubeError, InputError, Problem
from cube.job import WORKER_BYTES, JobContext, ProductView, Window
from cube.layout import Group
from cube.provenance import Citation, Provenance
from cube.template import Template

BATCH = 2**21
"""Values of one region that are ordered at a time."""
TABLE_FACTOR = 24
"""Memory of the table as a multiple of the arrays: words of each row, and the text twice."""
ITURBIDE = Citation(
    "Iturbide, M., Gutiérrez, J. M., Alves, L. M. et al. (2020): An update of IPCC climate reference regions for "
    "subcontinental analysis of climate model data. Earth System Science Data 12, 2959-2970",
    "10.5194/essd-12-2959-2020",
)


class SummariseJob(BlockJob):
    """Blocks of periods first, each with all cells; then the table of all of them, in one block."""

    name: ClassVar[str] = "summarise"
    revision: ClassVar[int] = 2
    Options: ClassVar[type[SummariseOptions]] = SummariseOptions
    options: SummariseOptions
    memory_factor: ClassVar[float] = 2.5

    def __init__(self, options: Any, inputs: Mapping[str, ProductView], asked: Regions) -> None:
        super().__init__(options, inputs)
        self.asked = asked

    @classmethod
    def create(cls, options: Any, context: JobContext) -> Self:
        """Raises InputError with all that is wrong with the inputs and the regions."""
        problems: list[Problem] = []
        asked = Regions((), (), "")
        try:
            chosen = options.regions
            asked = ar6() if chosen == AR6 else geojson(context.folder / chosen.file, chosen.name)
        except InputError as error:
            problems += error.problems
        job = cls(options, context.inputs, asked)
        problems += job._problems()
        if problems:
            raise InputError(problems)
        if not len(job.regions):
            what = "no AR6 land region lies in its cells"
            raise InputError(Problem("regions-unusable", what, options.input, fix="name a `file` of regions"))
        return job

    @property
    def view(self) -> ProductView:
        return self.inputs[self.options.input]

    def _problems(self) -> Iterator[Problem]:
        view, names = self.view, self.options.variables
        arrays = view.template.arrays
        for name in names:
            if name not in arrays or not set(view.template.space) <= set(arrays[name].dims):
                known = [each for each, spec in arrays.items() if set(view.template.space) <= set(spec.dims)]
                what = f"has no variable {name} with a value for each cell"
                yield Problem("variable-unknown", what, view.name, fix=f"those that have are: {', '.join(known)}")
            elif "flag_meanings" in arrays[name].attrs or is_date(arrays[name]):
                yield Problem(
                    "summary-no-mean",
                    f"{name} holds {'flags' if 'flag_meanings' in arrays[name].attrs else 'dates'}",
                    view.name,
                    "a mean of the numbers would mean nothing",
                    "leave it out of `variables`",
                )
        different = {self._lead(name) for name in names if name in arrays}
        if len(different) > 1:
            told = "; ".join(f"{name} {', '.join(self._lead(name)) or 'none'}" for name in names if name in arrays)
            what = f"the variables differ in the dimensions beside those of cells: {told}"
            yield Problem("summary-dimensions", what, view.name, fix="make a product of each")
        if not view.template.space:
            what = "it has no cells: it is a summary itself"
            yield Problem("summary-dimensions", what, view.name, fix="name the product that it was made of")
        if self.options.land_fraction:
            try:
                land = self.inputs[self.options.land_fraction]
                land_factor(land)
                refuse_other_cells([view, land])
            except CubeError as error:
                yield from error.problems

    def _lead(self, name: str) -> tuple[str, ...]:
        """Dimensions of an input's variable beside those of cells, time first."""
        dims = [dim for dim in self.view.template.arrays[name].dims if dim not in self.view.template.space]
        return tuple(sorted(dims, key=lambda dim: dim != "time"))

    @cached_property
    def lead(self) -> tuple[str, ...]:
        return self._lead(self.options.variables[0])

    @cached_property
    def _parts(self) -> tuple[Regions, list[Coverage]]:
        found = coverages(self.view, self.asked)
        if self.options.regions != AR6:
            return self.asked, found
        some = [at for at, each in enumerate(found) if len(each.cells)]
        return self.asked.only(some), [found[at] for at in some]

    @property
    def regions(self) -> Regions:
        return self._parts[0]

    def template(self) -> Template:
        return template(self.view.template, self.options.variables, self.lead, self.regions)

    def key_options(self) -> Mapping[str, Any]:
        # The table names regions as people do.
        return {"variables": self.options.variables, "regions": self.asked.digest, "names": self.regions.names}

    def public_options(self) -> Mapping[str, Any]:
        found = dict(super().public_options())
        if isinstance(self.options.regions, RegionsFile):
            found["regions"] = {**found["regions"], "file": self.asked.source}
        return found

    def files(self) -> Sequence[Mapping[str, Any]]:
        asked = self.asked
        return ({"name": asked.source, "bytes": asked.bytes, "sha256": asked.sha256},) if asked.sha256 else ()

    def _variable(self, group: Group) -> str | None:
        """The input's variable that a group is made of, None for the facts of regions and the table."""
        return next((v for v in self.options.variables if group.variables[0] in arrays_of(v).values()), None)

    def reads(self, group: Group, slices: Mapping[str, slice]) -> Mapping[str, Window]:
        variable = self._variable(group)
        if variable is None:
            return {}
        found = {self.options.input: Window((variable,), dict(slices))}
        if self.options.land_fraction:
            found[self.options.land_fraction] = Window(("land_fraction",), {})
        return found

    def own(self, group: Group, slices: Mapping[str, slice]) -> Window | None:
        if self._variable(group) is not None:
            return None
        return Window(tuple(name for v in self.options.variables for name in arrays_of(v).values()), {})

    def identities(self, group: Group, slices: Mapping[str, slice]) -> Sequence[str]:
        found = list(super().identities(group, slices))
        if self._variable(group) is None:
            found += self.view.keys_of(Window(self.options.variables, {}))
            if self.options.land_fraction:
                found += self.inputs[self.options.land_fraction].keys_of(Window(("land_fraction",), {}))
            time = self.template().time
            found += [f"time {time.to_json()}"] if time else []
        return found

    def memory(self, template: Template, group: Group, slices: Mapping[str, slice], reads: Mapping[str, Window]) -> int:
        if self._variable(group) is not None:
            return super().memory(template, group, slices, reads) + 8 * 8 * BATCH
        return WORKER_BYTES + TABLE_FACTOR * sum(each.bytes({}) for each in template.arrays.values())

    def compute(self, group: Group, slices: Mapping[str, slice], data: Mapping[str, xr.Dataset]) -> xr.Dataset:
        variable = self._variable(group)
        if variable is None:
            return self._facts(data[OWN])
        space = self.view.template.space
        array = data[self.options.input][variable].transpose(*self.lead, *space)
        rows = array.shape[: len(self.lead)]
        flat = array.values.reshape(int(np.prod(rows)), -1)
        land = None
        if self.options.land_fraction:
            stored = data[self.options.land_fraction]["land_fraction"].transpose(*space).values.ravel()
            land = stored.astype(np.float64) * land_factor(self.inputs[self.options.land_fraction])
        fill = self.view.template.arrays[variable].fill
        found = {held: np.full((len(flat), len(self.regions)), np.nan) for held in arrays_of(variable)}
        for at, part in enumerate(self._parts[1]):
            weights = part.areas if land is None else part.areas * np.nan_to_num(land[part.cells])
            step = max(1, BATCH // max(1, len(part.cells)))
            for start in range(0, len(flat), step):
                values = _known(flat[start : start + step, part.cells], fill)
                for held, numbers in averages(values, weights).items():
                    found[held][start : start + step, at] = numbers
        dims = (*self.lead, REGION)
        return xr.Dataset(
            {
                name: (dims, found[held].reshape(*rows, -1).astype(np.float32))
                for held, name in arrays_of(variable).items()
                if name in group.variables
            }
        )

    def _facts(self, own: xr.Dataset) -> xr.Dataset:
        regions, parts = self._parts
        dims = (*self.lead, REGION)
        columns = {
            name: own[name].transpose(*dims).values
            for variable in self.options.variables
            for name in arrays_of(variable).values()
        }
        text = table(self.template(), dims, regions.names, columns)
        covered = np.array([each.covered for each in parts], np.float32)
        cells = np.array([len(each.cells) for each in parts], np.int32)
        return xr.Dataset({COVERED: ((REGION,), covered), CELLS: ((REGION,), cells)}, attrs={CSV: text})

    def provenance(self) -> Provenance:
        found = super().provenance()
        own = (ITURBIDE,) if self.options.regions == AR6 else ()
        return Provenance(**{**vars(found), "citations": (*found.citations, *own)})

    def notes(self) -> Mapping[str, Any]:
        told = "cells count with the area of them that lies in the region"
        if set(self.view.template.space) != {"lat", "lon"}:
            told = "cells count wholly where their centre lies in the region"
        return {"notes": [f"Regions: {self.regions.source}; {told}."]}


def _known(values: NDArray[Any], fill: Any) -> NDArray[np.float64]:
    """Numbers with NaN where missing."""
    found = values.astype(np.float64)
    if fill is not None and np.isfinite(fill):
        found[values == fill] = np.nan
    return found
