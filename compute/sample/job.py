"""Features and targets of chosen sites, from simulations and what drove them, as one product."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from compute.emulator.driving import SOIL
from compute.emulator.features import FEATURES, START_DAYS
from compute.places import places, refuse_other_cells
from compute.sample.extracting import PART_BYTES, tiles
from compute.sample.options import SampleOptions
from compute.sample.runs import TARGETS, SampledRun
from compute.sample.sites import chosen, classes
from compute.sample.work import SampleWork
from compute.soil import soil_set
from cube.axes import same_calendar
from cube.blockjob import BlockJob
from cube.errors import CubeError, InputError, Problem
from cube.job import WORKER_BYTES, BlockTask, JobContext, ProductView, Window, Work
from cube.layout import Group, Layout
from cube.reading import VersionRef
from cube.template import ArraySpec, Template

SITES = {
    "cell": ("int64", {"long_name": "position of the cell in the grid, rows first", "units": "1"}),
    "latitude": ("float64", {"standard_name": "latitude", "units": "degrees_north"}),
    "longitude": ("float64", {"standard_name": "longitude", "units": "degrees_east"}),
    "stratum": ("int32", {"long_name": "class of rain and soil that the site stands for", "units": "1"}),
}
LONG_NAMES = dict(
    zip(
        TARGETS,
        [*(f"saturation of soil layer {n}" for n in range(1, 5)), "soil moisture availability (beta)"],
        strict=True,
    )
)


class SampleJob(BlockJob):
    """Sites are chosen first, in one block; then every block of sites is read from the cube."""

    name: ClassVar[str] = "sample"
    revision: ClassVar[int] = 1
    Options: ClassVar[type[SampleOptions]] = SampleOptions
    options: SampleOptions

    @classmethod
    def create(cls, options: Any, context: JobContext) -> Self:
        """Raises InputError with all that is wrong with the inputs."""
        job = cls(options, context.inputs)
        problems: list[Problem] = []
        for position in range(len(options.runs)):
            for check in (job._run, job._check_mixed, job._check_after):
                try:
                    check(position)
                except CubeError as error:
                    problems += error.problems
                    break
        if problems:
            raise InputError(list(dict.fromkeys(problems)))
        refuse_other_cells([job.soil, *(run.simulation for run in job.runs)])
        return job

    @property
    def soil(self) -> ProductView:
        return self.inputs[self.options.soil]

    @cached_property
    def runs(self) -> list[SampledRun]:
        return [self._run(position) for position in range(len(self.options.runs))]

    def _run(self, position: int) -> SampledRun:
        options = self.options
        days = round(options.every / 86400)
        return SampledRun.of(options.runs[position], self.inputs, days, options.spin_up, options.pft)

    def _check_mixed(self, position: int) -> None:
        view = self.inputs[self.options.runs[position].simulation]
        wanted, attrs = soil_set(self.soil), view.template.arrays["smcl"].attrs
        # JULES output does not say which soil it was made with.
        found = {name: attrs.get(name, each) for name, each in wanted.items()}
        if found != wanted:
            raise InputError(
                Problem(
                    "soil-mixed",
                    f"it was made with {', '.join(found.values())}, `soil` is {', '.join(wanted.values())}",
                    view.name,
                    "saturation would be that of another soil",
                    "name the soil product that the simulation was made with",
                )
            )

    def _check_after(self, position: int) -> None:
        run = self.options.runs[position]
        if run.after is None:
            return
        before = next(at for at, each in enumerate(self.options.runs) if each.simulation == run.after)
        former, days = self._run(before).forcing.days, self._run(position).forcing.days
        if former.stop != days.first or not same_calendar(former.calendar, days.calendar):
            what = f"its forcing starts on {days.text(0)}, that of {run.after} ends on {former.text(-1)}"
            fix = "let them meet, or leave `after` out"
            raise InputError(
                Problem("not-continued", what, run.simulation, "memories would be those of other days", fix)
            )

    @property
    def years(self) -> dict[str, NDArray[Any]]:
        """Coordinates of the days that are taken: run, year, day of the year."""
        dates = [run.dates() for run in self.runs]
        found = {name: np.concatenate([each[name] for each in dates]) for name in ("year", "day_of_year")}
        counts = [len(run.kept) for run in self.runs]
        return {"run": np.repeat(np.arange(len(counts), dtype=np.int32), counts), **found}

    def template(self) -> Template:
        sites, first = self.options.sites, self.soil.template
        arrays = {name: ArraySpec(("site",), (sites,), np.dtype(t), attrs) for name, (t, attrs) in SITES.items()}
        years = self.years
        count = len(years["run"])
        made = {
            **{each.name: (each.units, each.long_name) for each in FEATURES},
            **{k: ("1", v) for k, v in LONG_NAMES.items()},
        }
        shared = {"coordinates": "latitude longitude", **self.made_by}
        for name, (units, long_name) in made.items():
            attrs = {"long_name": long_name, "units": units, **(shared if name in TARGETS else {})}
            arrays[name] = ArraySpec(("site", "sample"), (sites, count), np.dtype("float32"), attrs)
        names = " ".join(run.simulation.name for run in self.runs)
        told: dict[str, dict[str, Any]] = {
            "run": {
                "long_name": "simulation",
                "flag_values": np.arange(len(self.runs)).tolist(),
                "flag_meanings": names,
            },
            "year": {"long_name": "calendar year of the day"},
            "day_of_year": {"long_name": "day of the year, from 1, in the calendar of its run"},
        }
        coords = {name: xr.Variable(("sample",), values, told[name]) for name, values in years.items()}
        return Template(
            arrays=arrays,
            coords=xr.Dataset(coords=coords),
            time=None,
            space=("site",),
            groups=(tuple(SITES), tuple(made)),
            bbox=first.bbox,
        )

    @property
    def made_by(self) -> dict[str, str]:
        """What a model that is trained on this stands for."""
        attrs = self.runs[0].simulation.template.arrays["smcl"].attrs
        return {
            "emulates": str(attrs.get("model", f"JULES ({self.runs[0].simulation.name})")),
            **soil_set(self.soil),
            "calendars": " ".join(sorted({run.forcing.days.calendar for run in self.runs})),
            "baselines": "; ".join(dict.fromkeys(_told(run) for run in self.runs)),
            "pft": str(self.options.pft),
        }

    def key_options(self) -> Mapping[str, Any]:
        options = self.options
        return {
            "runs": [each.model_dump(mode="json") for each in options.runs],
            "sites": options.sites,
            "seed": options.seed,
            "every": options.every,
            "spin_up": options.spin_up,
            "pft": options.pft,
        }

    def _choosing(self) -> dict[str, Window]:
        """What sites are chosen by."""
        found = {self.soil.name: Window(SOIL, {})}
        return {**found, self.runs[0].baseline.name: Window(("pr_mean",), {})}

    def reads(self, group: Group, slices: Mapping[str, slice]) -> Mapping[str, Window]:
        """Which sites are read is not known before they are chosen, so a block is made of all that they may be in."""
        found = self._choosing()
        if group.variables[0] in SITES:
            return found
        for run in self.runs:
            found[run.simulation.name] = Window(("smcl", "fsmc"), {})
            found[run.baseline.name] = Window(("pr_mean",), {})
            for name, window in run.forcing.windows({}, 0, run.forcing.days.count).items():
                former = found.get(name)
                names = dict.fromkeys((*(former.variables if former else ()), *window.variables))
                found[name] = Window(tuple(names), {})
        return found

    def builds_on(self, layout: Layout, blocks: Iterable[str]) -> set[str]:
        sites = {each.id for each in layout.blocks() if layout.group(each.group).variables[0] in SITES}
        return sites if set(blocks) - sites else set()

    def compute(self, group: Group, slices: Mapping[str, slice], data: Mapping[str, xr.Dataset]) -> xr.Dataset:
        """The sites."""
        space = self.soil.template.space
        soil = {name: data[self.soil.name][name].transpose(*space).values.reshape(-1) for name in SOIL}
        rain = data[self.runs[0].baseline.name]["pr_mean"].transpose(*space).values.reshape(-1).astype(np.float64)
        usable = np.all([np.isfinite(values) for values in soil.values()], axis=0)
        of = classes(np.where(usable, rain, np.nan), soil["b"].astype(np.float64))
        cells = chosen(of, self.options.sites, self.options.seed)
        order = np.concatenate([each.sites for each in tiles(self.runs[0].simulation, cells)])
        cells = cells[order]
        whole = {name: slice(0, len(self.soil.template.coords[name])) for name in space}
        lat, lon = places(self.soil, whole)
        values = {"cell": cells, "latitude": lat[cells], "longitude": lon[cells], "stratum": of[cells]}
        return xr.Dataset({name: (("site",), array) for name, array in values.items()})

    def works(self, layout: Layout, tasks: Sequence[BlockTask], budget: int, own: VersionRef) -> list[list[Work]]:
        choosing = [task for task in tasks if layout.group(task.block.group).variables[0] in SITES]
        (first,) = super().works(layout, choosing, budget, own)
        template = self.template()
        second: list[Work] = []
        for task in tasks:
            group = layout.group(task.block.group)
            if group.variables[0] in SITES:
                continue
            size = sum(template.arrays[name].bytes(group.slices(task.block)) for name in group.variables)
            proofs = self.proofs(self.reads(group, {}))
            second.append(SampleWork(self, group, task, WORKER_BYTES + 2 * size + self._tile_bytes(), proofs, own))
        return [first, second]

    def _tile_bytes(self) -> int:
        """What reading and computing the sites of one shard takes at most."""
        found = 0
        for run in self.runs:
            group = run.simulation.layout.group_of("smcl")
            cells = int(np.prod([min(dim.shard, dim.size) for dim in group.dims if dim.name != "time"]))
            days = min(run.forcing.days.count, max(START_DAYS, PART_BYTES // (4 * cells)))
            sites = min(cells, self.options.sites)
            # rain, temperature, four layers and beta, each decoded and cut; features of all days of the part
            found = max(found, 4 * days * (cells * 7 * 3 + sites * (len(FEATURES) + 20)))
        return found

    def notes(self) -> Mapping[str, Any]:
        told = [f"Targets are those of: {self.made_by['emulates']}."]
        return {"notes": [*told, *dict.fromkeys(note for run in self.runs for note in run.forcing.notes())]}


def _told(run: SampledRun) -> str:
    attrs = run.baseline.template.arrays["pr_mean"].attrs
    return f"{attrs.get('reference_product')} {attrs.get('reference_period')}"
