"""The soil-water column of every cell through time. It has the equations of JULES; it is not JULES."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
import xarray as xr

from compute.caveats import TEMPERATURE_ONLY
from compute.column.hydraulics import Soil
from compute.column.pet import hargreaves, oudin, solar_day
from compute.column.roots import shares_of
from compute.column.running import Scheme, run
from compute.column.spin_up import spin_up
from compute.continuing import Continued
from compute.forcing import Forcing
from compute.places import latitudes, refuse_other_cells
from compute.simulate.options import SimulateOptions
from compute.soil import COSBY, HYDRAULICS, soil_set
from cube.errors import CubeError, InputError, Problem
from cube.job import JobContext, ProductView, Window
from cube.layout import Group
from cube.provenance import Citation, Provenance
from cube.seriesjob import SeriesJob, State
from cube.soil_layers import SOIL_LAYERS, depth_axis
from cube.template import ArraySpec, Template

STATE_NUMBERS = ("saturation_1", "saturation_2", "saturation_3", "saturation_4", "canopy")
FLUXES = {
    "surf_roff": "gridbox surface runoff",
    "sub_surf_roff": "gridbox sub-surface runoff: drainage out of the lowest layer",
    "fqw_gb": "gridbox moisture flux from the surface: evaporation from soil, vegetation and canopy",
}
MODEL = "four-layer soil-water column, equations of JULES (not JULES)"
PETS = {"oudin": "Oudin 2005", "hargreaves": "Hargreaves 1985", "product": "product"}

CITATIONS = (
    Citation(
        "Best, M. J., et al. (2011): The Joint UK Land Environment Simulator (JULES), model description - Part 1. "
        "Geoscientific Model Development 4, 677-699",
        "10.5194/gmd-4-677-2011",
    ),
    Citation(
        "Oudin, L., et al. (2005): Which potential evapotranspiration input for a lumped rainfall-runoff model? "
        "Part 2. Journal of Hydrology 303, 290-306",
        "10.1016/j.jhydrol.2004.08.026",
    ),
)


class SimulateJob(SeriesJob):
    """The column through time; its results have the names, layers and units of JULES output."""

    name: ClassVar[str] = "simulate"
    revision: ClassVar[int] = 2
    Options: ClassVar[type[SimulateOptions]] = SimulateOptions
    options: SimulateOptions
    memory_factor: ClassVar[float] = 3.0

    @classmethod
    def create(cls, options: Any, context: JobContext) -> Self:
        """Raises InputError with all that is wrong with the inputs."""
        job = cls(options, context.inputs)
        problems: list[Problem] = []
        for check in (lambda: job.forcing.days, job._check_soil, job._check_start):
            try:
                check()
            except CubeError as error:
                problems += error.problems
        if problems:
            raise InputError(list(dict.fromkeys(problems)))
        return job

    @cached_property
    def forcing(self) -> Forcing:
        names = [name for name in ("pr", "tas", "tasmin", "tasmax", "evspsblpot") if getattr(self.options, name)]
        return Forcing.of({name: self.inputs[getattr(self.options, name)] for name in names}, self.options.period)

    @property
    def soil(self) -> ProductView:
        return self.inputs[self.options.soil]

    @property
    def made_by(self) -> dict[str, str]:
        """What two simulations must have in common for one to continue the other, or to be compared as one model."""
        scheme = self.scheme
        return {
            "model": MODEL,
            **soil_set(self.soil),
            "pet": PETS[self.options.pet],
            "scheme": f"{scheme.steps_per_day} steps a day, rain in {scheme.rain_steps}, "
            f"l_soil_sat_down {scheme.l_soil_sat_down}, roots of PFT {self.options.pft}",
        }

    @property
    def scheme(self) -> Scheme:
        options = self.options
        return Scheme(
            curve=self.soil.template.arrays["b"].attrs["curve"],
            l_soil_sat_down=options.l_soil_sat_down,
            steps_per_day=options.steps_per_day,
            rain_steps=options.rain_steps,
        )

    @property
    def continued(self) -> Continued | None:
        return Continued(self.inputs[self.options.continues]) if self.options.continues else None

    def _check_soil(self) -> None:
        soil_set(self.soil)
        refuse_other_cells([self.inputs[self.options.pr], self.soil])

    def _check_start(self) -> None:
        days = self.forcing.days
        if self.continued:
            self.continued.check(self.inputs[self.options.pr], days, STATE_NUMBERS, self.made_by)
        elif days.count < self._spin_up_days:
            raise InputError(
                Problem(
                    "spin-up-too-long",
                    f"the forcing has {days.count} days, the spin-up repeats {self._spin_up_days}",
                    self.options.pr,
                    "the first state would be that of another period",
                    "give `spin_up.years` fewer years, or a longer forcing",
                )
            )

    @property
    def _spin_up_days(self) -> int:
        # Whole years of the calendar, so that each repeat starts in the season in which the last one ended.
        days = self.forcing.days
        first = days.date(0)
        later = type(first)(
            first.year + self.options.spin_up.years, first.month, min(first.day, 28), calendar=days.calendar
        )
        start = first.replace(day=min(first.day, 28))
        return int((later - start).days)

    def template(self) -> Template:
        view, days = self.inputs[self.options.pr].template, self.forcing.days
        space = view.space
        cells = tuple(len(view.coords[name]) for name in space)
        first = next(iter(view.arrays.values()))
        place = {key: first.attrs[key] for key in ("coordinates", "grid_mapping") if key in first.attrs}
        shared = {"cell_methods": "time: mean", **self.made_by, **place}
        if begins := self.forcing.inputs["pr"].spec.attrs.get("day_begins"):
            shared["day_begins"] = begins
        single = np.dtype("float32")
        arrays = {
            "smcl": ArraySpec(
                ("time", "depth", *space),
                (days.count, len(SOIL_LAYERS), *cells),
                single,
                {
                    "standard_name": "mass_content_of_water_in_soil_layer",
                    "long_name": "gridbox moisture content of each soil layer",
                    "units": "kg m-2",
                    **shared,
                },
            ),
            "fsmc": ArraySpec(
                ("time", "pft", *space),
                (days.count, 1, *cells),
                single,
                {"long_name": "PFT soil moisture availability factor (beta)", "units": "1", **shared},
            ),
        }
        for name, long_name in FLUXES.items():
            attrs = {"long_name": long_name, "units": "kg m-2 s-1", **shared}
            arrays[name] = ArraySpec(("time", *space), (days.count, *cells), single, attrs)
        pft = xr.Variable(("pft",), np.array([self.options.pft], np.int32), {"long_name": "number of pft"})
        return Template(
            arrays=arrays,
            coords=view.coords.assign_coords({**depth_axis(), "pft": pft}),
            time=days,
            space=space,
            groups=(tuple(arrays),),
            tiles=self.inputs[self.options.pr].tiles(self.forcing.inputs["pr"].variable),
            crs=view.crs,
            bbox=view.bbox,
            state=STATE_NUMBERS,
        )

    def key_options(self) -> Mapping[str, Any]:
        spin_up = None if self.options.continues else self.options.spin_up.model_dump()
        return {**self.made_by, "spin_up": spin_up}

    def _statics(self, cells: Mapping[str, slice]) -> dict[str, Window]:
        return {self.options.soil: Window((*HYDRAULICS, "lai"), cells)}

    def reads(self, group: Group, slices: Mapping[str, slice]) -> Mapping[str, Window]:
        cells = {name: slices[name] for name in self.soil.template.space}
        return {**self._statics(cells), **self.forcing.windows(cells, slices["time"].start, slices["time"].stop)}

    def starts_from(self, cells: Mapping[str, slice]) -> Mapping[str, Window]:
        if self.continued:
            return self.continued.window(cells)
        return {**self._statics(cells), **self.forcing.windows(cells, 0, self._spin_up_days)}

    def start(self, cells: Mapping[str, slice], data: Mapping[str, xr.Dataset]) -> State:
        if self.continued:
            return self.continued.state(data)
        shape = tuple(cells[name].stop - cells[name].start for name in self.soil.template.space)
        soil, lai = self._soil(data)
        pr, pet = self._weather(cells, data, 0)
        found = spin_up(
            pr,
            pet,
            soil,
            lai,
            self.scheme,
            max_cycles=self.options.spin_up.cycles,
            roots=shares_of([self.options.pft])[0],
        )
        return found.state.reshape(len(STATE_NUMBERS), *shape)

    def go_on(
        self, group: Group, slices: Mapping[str, slice], data: Mapping[str, xr.Dataset], state: State
    ) -> tuple[xr.Dataset, State]:
        cells = {name: slices[name] for name in self.soil.template.space}
        soil, lai = self._soil(data)
        pr, pet = self._weather(cells, data, slices["time"].start)
        shares = shares_of([self.options.pft])
        made = run(pr, pet, soil, lai, state.reshape(len(state), -1), self.scheme, fsmc_roots=shares, roots=shares[0])
        shape = state.shape[1:]
        dims = tuple(cells)
        found = {
            "smcl": (("time", "depth", *dims), made.smcl.reshape(-1, len(SOIL_LAYERS), *shape)),
            "fsmc": (("time", "pft", *dims), made.fsmc.reshape(-1, 1, *shape)),
            **{name: (("time", *dims), getattr(made, name).reshape(-1, *shape)) for name in FLUXES},
        }
        return xr.Dataset(found), made.state.reshape(state.shape)

    def check(self, slices: Mapping[str, slice], data: Mapping[str, xr.Dataset]) -> list[Problem]:
        return list(self.forcing.problems(self.forcing.arrays(data), slices["time"].start))

    def _soil(self, data: Mapping[str, xr.Dataset]) -> tuple[Soil, np.ndarray[Any, Any]]:
        given = data[self.options.soil]
        space = self.soil.template.space
        flat = {
            name: given[name].transpose(*space).values.reshape(-1).astype(np.float64) for name in (*HYDRAULICS, "lai")
        }
        lai = flat.pop("lai")
        return Soil(**flat), lai

    def _weather(
        self, cells: Mapping[str, slice], data: Mapping[str, xr.Dataset], first: int
    ) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """Rain and potential evaporation, mm d-1, (days, cells) float32; data begin at position `first` of the days."""
        arrays = self.forcing.arrays(data)
        if self.options.pet == "product":
            return arrays["pr"], arrays["evspsblpot"]
        lat = latitudes(self.soil, cells)
        days = self.forcing.days
        doy = solar_day(days.days_of_year(first, first + len(arrays["pr"])), days.calendar)
        if self.options.pet == "hargreaves":
            return arrays["pr"], hargreaves(arrays["tasmin"], arrays["tasmax"], lat, doy)
        return arrays["pr"], oudin(arrays["tas"], lat, doy)

    def provenance(self) -> Provenance:
        found = super().provenance()
        return Provenance(**{**vars(found), "citations": (*found.citations, *CITATIONS, COSBY)})

    def notes(self) -> Mapping[str, Any]:
        caveats = [
            f"Made by a {MODEL}.",
            "Soil freezing is not modelled: irrelevant over most of Africa, an approximation elsewhere.",
        ]
        if self.options.pet in ("oudin", "hargreaves"):
            caveats.append(TEMPERATURE_ONLY)
        return {"notes": [*caveats, *self.forcing.notes()], "attrs": {"source": MODEL}}
