"""Inference over the cube: features, forest and flag, block after block with the state carried."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from compute.caveats import TEMPERATURE_ONLY
from compute.continuing import Continued
from compute.emulate.options import EmulateOptions
from compute.emulator import features as kernel
from compute.emulator.domain import FLAG_ATTRS
from compute.emulator.driving import BASELINE_RULE, PET_FORMULA, SOIL, demand, statics
from compute.emulator.forest import Emulator, load
from compute.emulator.inference import emulate
from compute.emulator.schema import Schema, Setting, columns_of, mismatches
from compute.forcing import Forcing
from compute.places import latitudes, refuse_other_cells
from compute.soil import soil_set
from compute.train.job import MODEL
from cube.axes import TimeAxis
from cube.errors import CubeError, InputError, Problem
from cube.job import JobContext, ProductView, Window
from cube.layout import Group
from cube.seriesjob import SeriesJob, State
from cube.soil_layers import SOIL_LAYERS, depth_axis
from cube.template import ArraySpec, Template

STATE_NUMBERS = (
    *(f"pr_memory_{days}d" for days in kernel.RAIN_MEMORIES),
    *(f"pet_memory_{days}d" for days in kernel.PET_MEMORIES),
    *(f"bucket_{depth:g}m" for depth in kernel.BUCKETS),
)

FLAG = {
    name: value.tolist() if isinstance(value, np.generic | np.ndarray) else value for name, value in FLAG_ATTRS.items()
}


class EmulateJob(SeriesJob):
    """Results have the names, layers and units of JULES output, so that jobs take either."""

    name: ClassVar[str] = "emulate"
    revision: ClassVar[int] = 1
    Options: ClassVar[type[EmulateOptions]] = EmulateOptions
    options: EmulateOptions
    memory_factor: ClassVar[float] = 3.0

    @classmethod
    def create(cls, options: Any, context: JobContext) -> Self:
        """Raises InputError with all that is wrong with the inputs."""
        job = cls(options, context.inputs)
        problems: list[Problem] = []
        for check in (lambda: job.forcing.days, job._check_cells, job._check_model, job._check_start):
            try:
                check()
            except CubeError as error:
                problems += error.problems
        if problems:
            raise InputError(list(dict.fromkeys(problems)))
        return job

    @cached_property
    def forcing(self) -> Forcing:
        products = {name: self.inputs[getattr(self.options, name)] for name in ("pr", "tas")}
        return Forcing.of(products, self.options.period)

    @property
    def soil(self) -> ProductView:
        return self.inputs[self.options.soil]

    @property
    def model(self) -> Mapping[str, str]:
        """What the model says it was trained with."""
        view = self.inputs[self.options.model]
        if MODEL not in view.template.files:
            raise InputError(
                Problem("not-a-model", "it holds no model", view.name, fix="name a product of the job `train`")
            )
        return {name: str(value) for name, value in view.template.arrays["rmse"].attrs.items()}

    @property
    def continued(self) -> Continued | None:
        return Continued(self.inputs[self.options.continues]) if self.options.continues else None

    @property
    def made_by(self) -> dict[str, str]:
        """What products must have in common for one to continue the other."""
        return {
            "emulates": self.model["emulates"],
            **soil_set(self.soil),
            "pet": PET_FORMULA,
            "predictor": self.options.predictor,
            "baseline": self._baseline_told,
        }

    @property
    def _baseline_told(self) -> str:
        view = self.inputs[self.options.baseline]
        spec = view.template.arrays.get("pr_mean")
        if spec is None or "reference_period" not in spec.attrs:
            fix = "name a product of the job `climatology` with `variables: [pr]`"
            raise InputError(Problem("variable-unknown", "has no pr_mean", view.name, fix=fix))
        return f"{spec.attrs['reference_product']} {spec.attrs['reference_period']}"

    def _check_cells(self) -> None:
        _ = self._baseline_told
        refuse_other_cells([self.inputs[self.options.pr], self.soil, self.inputs[self.options.baseline]])

    def _check_model(self) -> None:
        model = self.model
        trained = Setting(
            tuple(model["calendars"].split()), PET_FORMULA, model["pedotransfer"], model["statics"], BASELINE_RULE
        )
        unknown = np.zeros(len(kernel.FEATURES))
        if problems := self._mismatches(Schema(columns_of(unknown, unknown), trained, model["emulates"])):
            raise InputError(problems)

    def _mismatches(self, schema: Schema) -> list[Problem]:
        """Why a model must not be used here."""
        soil = soil_set(self.soil)
        here = Setting((self.forcing.days.calendar,), PET_FORMULA, soil["pedotransfer"], soil["statics"], BASELINE_RULE)
        return mismatches(schema, here, self.options.model)

    def _check_start(self) -> None:
        days = self.forcing.days
        if self.continued:
            self.continued.check(self.inputs[self.options.pr], days, STATE_NUMBERS, self.made_by)
        elif days.count < kernel.START_DAYS:
            raise InputError(
                Problem(
                    "spin-up-too-long",
                    f"the forcing has {days.count} days, memories start from {kernel.START_DAYS}",
                    self.options.pr,
                    "the first state would be that of another period",
                    "give a longer forcing, or `continues`",
                )
            )

    def template(self) -> Template:
        view, days = self.inputs[self.options.pr].template, self.forcing.days
        space = view.space
        cells = tuple(len(view.coords[name]) for name in space)
        first = next(iter(view.arrays.values()))
        place = {key: first.attrs[key] for key in ("coordinates", "grid_mapping") if key in first.attrs}
        shared = {"cell_methods": "time: mean", "ancillary_variables": "out_of_domain", **self.made_by, **place}
        if begins := self.forcing.inputs["pr"].spec.attrs.get("day_begins"):
            shared["day_begins"] = begins
        water = {
            "standard_name": "mass_content_of_water_in_soil_layer",
            "long_name": "gridbox moisture content of each soil layer, emulated",
            "units": "kg m-2",
        }
        beta = {"long_name": "PFT soil moisture availability factor (beta), emulated", "units": "1"}
        single = np.dtype("float32")
        arrays = {
            "smcl": ArraySpec(
                ("time", "depth", *space), (days.count, len(SOIL_LAYERS), *cells), single, {**water, **shared}
            ),
            "fsmc": ArraySpec(("time", "pft", *space), (days.count, 1, *cells), single, {**beta, **shared}),
            "out_of_domain": ArraySpec(("time", *space), (days.count, *cells), np.dtype("int8"), {**FLAG, **place}),
        }
        pft = xr.Variable(("pft",), np.array([int(self.model["pft"])], np.int32), {"long_name": "number of pft"})
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
        return self.made_by

    def fixed(self, cells: Mapping[str, slice]) -> dict[str, Window]:
        """Soil, baseline and model."""
        model = {self.options.model: Window((), {}, (MODEL,))}
        return {self.options.soil: Window(SOIL, cells), self.options.baseline: Window(("pr_mean",), cells), **model}

    def reads(self, group: Group, slices: Mapping[str, slice]) -> Mapping[str, Window]:
        cells = {name: slices[name] for name in self.soil.template.space}
        weather = self.forcing.windows(cells, slices["time"].start, slices["time"].stop)
        return {**self.fixed(cells), **weather}

    def starts_from(self, cells: Mapping[str, slice]) -> Mapping[str, Window]:
        if self.continued:
            return self.continued.window(cells)
        return {**self.fixed(cells), **self.forcing.windows(cells, 0, kernel.START_DAYS)}

    def start(self, cells: Mapping[str, slice], data: Mapping[str, xr.Dataset]) -> State:
        if self.continued:
            return self.continued.state(data)
        arrays = self.forcing.arrays(data)
        return self.started(cells, data, (arrays["pr"], arrays["tas"]), self.forcing.days)

    def started(
        self,
        cells: Mapping[str, slice],
        data: Mapping[str, xr.Dataset],
        weather: tuple[NDArray[np.float32], NDArray[np.float32]],
        days: TimeAxis,
    ) -> State:
        """The state before the first of `days`, from its first year: see `asked`."""
        pr, tas = (values[: kernel.START_DAYS] for values in weather)
        pet = demand(tas, latitudes(self.soil, cells), days, 0)
        shape = tuple(cells[name].stop - cells[name].start for name in self.soil.template.space)
        return kernel.start(pr, pet, self.statics(data)).reshape(-1, *shape)

    def go_on(
        self, group: Group, slices: Mapping[str, slice], data: Mapping[str, xr.Dataset], state: State
    ) -> tuple[xr.Dataset, State]:
        cells = {name: slices[name] for name in self.soil.template.space}
        arrays = self.forcing.arrays(data)
        weather = arrays["pr"], arrays["tas"]
        return self.asked(cells, data, weather, self.forcing.days, slices["time"].start, state)

    def asked(
        self,
        cells: Mapping[str, slice],
        data: Mapping[str, xr.Dataset],
        weather: tuple[NDArray[np.float32], NDArray[np.float32]],
        days: TimeAxis,
        first: int,
        state: State,
    ) -> tuple[xr.Dataset, State]:
        """What the model tells of days from position `first` of `days`, and the state after them.

        data     soil, baseline and model, as `reads` names them
        weather  rain, mm d-1, and temperature, K, each (days, cells)
        """
        pr, tas = weather
        pet = demand(tas, latitudes(self.soil, cells), days, first)
        fixed = self.statics(data)
        emulator = _loaded(data[self.options.model].attrs[MODEL])
        if problems := self._mismatches(emulator.schema):
            raise InputError(problems)
        of_year = days.days_of_year(first, first + len(pr))
        before = state.reshape(len(state), -1)
        made = emulate(emulator, pr, tas, pet, of_year, days.calendar, fixed, before, self.options.predictor)
        shape, dims = state.shape[1:], tuple(cells)
        pores = fixed[[static.name for static in kernel.STATICS].index("sm_sat")]
        whole = 1000.0 * np.array(SOIL_LAYERS)[:, None] * pores
        water = np.empty((len(pr), len(SOIL_LAYERS), pr.shape[1]), np.float32)
        for layer, full in enumerate(whole.astype(np.float32)):
            np.multiply(made.saturation[layer], full, out=water[:, layer])
        found = {
            "smcl": (("time", "depth", *dims), water.reshape(len(pr), -1, *shape)),
            "fsmc": (("time", "pft", *dims), made.beta.reshape(len(pr), 1, *shape)),
            "out_of_domain": (("time", *dims), made.flag.reshape(len(pr), *shape)),
        }
        return xr.Dataset(found), made.state.reshape(state.shape)

    def check(self, slices: Mapping[str, slice], data: Mapping[str, xr.Dataset]) -> list[Problem]:
        return list(self.forcing.problems(self.forcing.arrays(data), slices["time"].start))

    def statics(self, data: Mapping[str, xr.Dataset]) -> NDArray[np.float64]:
        space = self.soil.template.space
        soil = {name: data[self.options.soil][name].transpose(*space).values for name in SOIL}
        return statics(soil, data[self.options.baseline]["pr_mean"].transpose(*space).values)

    def notes(self) -> Mapping[str, Any]:
        model = self.model
        told = [
            f"Emulated: stands for {model['emulates']}, by a forest trained on it.",
            "An emulator conserves nothing: no runoff or drainage can be derived from its differences.",
            TEMPERATURE_ONLY,
        ]
        return {"notes": [*told, *self.forcing.notes()], "attrs": {"source": f"emulator of: {model['emulates']}"}}


@functools.lru_cache(maxsize=2)
def _loaded(data: bytes) -> Emulator:
    return load(data)
