"""The `pet` job: potential evaporation by Penman-Monteith, where radiation, humidity and wind are known."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
import xarray as xr
from pydantic import Field

from compute.column.pet import penman_monteith, solar_day
from compute.forcing import Forcing
from compute.places import latitudes
from cube.blockjob import BlockJob
from cube.errors import InputError, Problem
from cube.job import JobContext, ProductView, Window
from cube.layout import Group
from cube.options import Period, Strict
from cube.provenance import Citation, Provenance
from cube.template import ArraySpec, Template

NEEDED = ("tasmin", "tasmax", "rsds", "sfcWind", "ps")
HUMIDITY = ("hurs", "huss")
FAO56 = Citation(
    "Allen, R. G., Pereira, L. S., Raes, D., Smith, M. (1998): Crop evapotranspiration. FAO Irrigation and Drainage "
    "Paper 56"
)


class PetOptions(Strict):
    """Potential evaporation of the grass reference surface by Penman-Monteith (FAO-56)."""

    product_fields: ClassVar[tuple[str, ...]] = ("input",)

    input: str = Field(
        description="daily product with tasmin, tasmax, rsds, sfcWind (at 10 m), ps, and hurs or huss, named as in CMIP"
    )
    period: Period | None = Field(None, description="what of it is used; default all")


class PetJob(BlockJob):
    """`evspsblpot`, mm d-1, which the job `simulate` takes by `pet: product`."""

    name: ClassVar[str] = "pet"
    revision: ClassVar[int] = 1
    Options: ClassVar[type[PetOptions]] = PetOptions
    options: PetOptions
    memory_factor: ClassVar[float] = 8.0  # the formula works in double precision

    @classmethod
    def create(cls, options: Any, context: JobContext) -> Self:
        """Raises InputError with all that is wrong with the input."""
        job = cls(options, context.inputs)
        arrays = job.view.template.arrays
        absent = [name for name in NEEDED if name not in arrays]
        absent += ["hurs or huss"] if not set(HUMIDITY) & set(arrays) else []
        if absent:
            what = f"has no {', '.join(absent)}; it has {', '.join(sorted(arrays))}"
            fix = "ingest them too, or let `simulate` use temperature alone by `pet: oudin`"
            raise InputError(Problem("variable-unknown", what, job.view.name, fix=fix))
        _ = job.forcing.days
        return job

    @property
    def view(self) -> ProductView:
        return self.inputs[self.options.input]

    @property
    def humidity(self) -> str:
        return next(name for name in HUMIDITY if name in self.view.template.arrays)

    @cached_property
    def forcing(self) -> Forcing:
        return Forcing.of(dict.fromkeys((*NEEDED, self.humidity), self.view), self.options.period)

    def template(self) -> Template:
        view, days = self.view.template, self.forcing.days
        spec = view.arrays["rsds"]
        sizes = {**spec.sizes, "time": days.count}
        attrs = {
            "long_name": "potential evapotranspiration by Penman-Monteith (FAO-56, grass reference)",
            "units": "mm d-1",
            "cell_methods": "time: mean",
            **{key: spec.attrs[key] for key in ("coordinates", "grid_mapping") if key in spec.attrs},
        }
        dims = ("time", *view.space)
        array = ArraySpec(dims, tuple(sizes[dim] for dim in dims), np.dtype("float32"), attrs)
        read = sum(self.view.template.arrays[name].dtype.itemsize for name in (*NEEDED, self.humidity))
        return Template(
            arrays={"evspsblpot": array},
            coords=view.coords,
            time=days,
            space=view.space,
            groups=(("evspsblpot",),),
            read_bytes=read,
            tiles=self.view.tiles("rsds"),
            crs=view.crs,
            bbox=view.bbox,
        )

    def key_options(self) -> Mapping[str, Any]:
        return {"humidity": self.humidity}

    def reads(self, group: Group, slices: Mapping[str, slice]) -> Mapping[str, Window]:
        cells = {name: slices[name] for name in self.view.template.space}
        return self.forcing.windows(cells, slices["time"].start, slices["time"].stop)

    def compute(self, group: Group, slices: Mapping[str, slice], data: Mapping[str, xr.Dataset]) -> xr.Dataset:
        cells = {name: slices[name] for name in self.view.template.space}
        arrays = self.forcing.arrays(data)
        first = slices["time"].start
        if problems := list(self.forcing.problems(arrays, first)):
            raise InputError(problems)
        days = self.forcing.days
        found = penman_monteith(
            arrays["tasmin"],
            arrays["tasmax"],
            arrays["rsds"],
            arrays["sfcWind"],
            latitudes(self.view, cells),
            solar_day(days.days_of_year(first, slices["time"].stop), days.calendar),
            ps=arrays["ps"],
            **{self.humidity: arrays[self.humidity]},
        )
        shape = (-1, *(part.stop - part.start for part in cells.values()))
        return xr.Dataset({"evspsblpot": (("time", *cells), found.astype(np.float32).reshape(shape))})

    def provenance(self) -> Provenance:
        found = super().provenance()
        return Provenance(**{**vars(found), "citations": (*found.citations, FAO56)})
