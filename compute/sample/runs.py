"""One simulation of a sample with what drove it: which days are taken of it, and what is read for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from compute.daily import DailyInput
from compute.emulator.features import START_DAYS, YEAR_LENGTHS
from compute.forcing import Forcing
from compute.places import refuse_other_cells
from compute.sample.options import RunOptions
from cube.axes import Step, ordinal_of, parse_date, same_calendar
from cube.errors import InputError, Problem
from cube.job import ProductView

TARGETS = ("sat_1", "sat_2", "sat_3", "sat_4", "beta")
"""Saturation of the four soil layers from the top, and soil moisture availability."""


@dataclass(frozen=True)
class SampledRun:
    """every: distance of the days that are taken;  spin_up: days left out at the start, 0 after another run."""

    options: RunOptions
    simulation: ProductView
    forcing: Forcing
    baseline: ProductView
    every: int
    spin_up: int
    pft: int

    @classmethod
    def of(cls, options: RunOptions, inputs: Mapping[str, ProductView], every: int, years: int, pft: int) -> SampledRun:
        """Raises InputError with what is wrong with the products."""
        forcing = Forcing.of({"pr": inputs[options.pr], "tas": inputs[options.tas]})
        spin_up = 0 if options.after else round(years * YEAR_LENGTHS[forcing.days.calendar])
        found = cls(options, inputs[options.simulation], forcing, inputs[options.baseline], every, spin_up, pft)
        refuse_other_cells([found.simulation, *forcing.views, found.baseline])
        found.check()
        return found

    def check(self) -> None:
        arrays = self.simulation.template.arrays
        problems = [
            Problem("variable-unknown", f"has no {name}", self.simulation.name, fix="name a simulation of soil water")
            for name in ("smcl", "fsmc")
            if name not in arrays
        ]
        if "pr_mean" not in self.baseline.template.arrays:
            fix = "name a product of the job `climatology` with `variables: [pr]`"
            problems.append(Problem("variable-unknown", "has no pr_mean", self.baseline.name, fix=fix))
        if problems:
            raise InputError(problems)
        days, simulated = self.forcing.days, DailyInput(self.simulation, "smcl").days
        if not same_calendar(simulated.calendar, days.calendar):
            what = f"its calendar is {simulated.calendar}, that of its forcing {days.calendar}"
            raise InputError(Problem("calendars-differ", what, self.simulation.name, fix="name the forcing it had"))
        if days.count < START_DAYS or not len(self.kept):
            what = f"{days.count} days of forcing from {days.text(0)} leave none after {self.spin_up} days of spin-up"
            raise InputError(
                Problem(
                    "spin-up-too-long",
                    what,
                    self.simulation.name,
                    "memories of the weather would be those of its first year",
                    "choose a longer forcing or a smaller `spin_up`",
                )
            )
        _ = self.pft_index, self.thickness

    @cached_property
    def kept(self) -> NDArray[np.int64]:
        """Positions in the forcing's days that are taken."""
        days, simulated = self.forcing.days, DailyInput(self.simulation, "smcl").days
        first, stop = max(days.first + self.spin_up, simulated.first), min(days.stop, simulated.stop)
        period = self.options.period
        if period and period.start:
            first = max(first, ordinal_of(parse_date(period.start, days.calendar), Step("day"), days.calendar))
        if period and period.end:
            stop = min(stop, ordinal_of(parse_date(period.end, days.calendar, end=True), Step("day"), days.calendar))
        # Counted from the epoch, so that growth adds days and moves none.
        ordinals = np.arange(-(-first // self.every) * self.every, stop, self.every)
        return np.asarray(ordinals - days.first, np.int64)

    @property
    def pft_index(self) -> int:
        coords = self.simulation.template.coords
        numbers = list(coords["pft"].values) if "pft" in coords else []
        if self.pft not in numbers:
            what = f"fsmc has no pft {self.pft}, it has {', '.join(map(str, numbers)) or 'none'}"
            raise InputError(Problem("variable-unknown", what, self.simulation.name, fix="choose one with `pft`"))
        return numbers.index(self.pft)

    @property
    def thickness(self) -> NDArray[np.float64]:
        """Of the soil layers, m, shape (4,)."""
        coords = self.simulation.template.coords
        bounds = coords["depth_bnds"].values if "depth_bnds" in coords else np.empty((0, 2))
        if len(bounds) != 4:
            what = f"it has {len(bounds)} soil layers, the emulator has 4"
            raise InputError(
                Problem("soil-layers-differ", what, self.simulation.name, fix="see `dzsoil` of its source")
            )
        return np.asarray(bounds[:, 1] - bounds[:, 0], np.float64)

    def windows(self, first: int, stop: int) -> slice:
        """Positions of the simulation for days [first, stop) of the forcing."""
        shift = self.forcing.days.first - DailyInput(self.simulation, "smcl").days.first
        return slice(first + shift, stop + shift)

    def targets(self, data: xr.Dataset, sm_sat: NDArray[np.float64]) -> NDArray[np.float32]:
        """Shape (5, days, cells), from smcl and fsmc of (days, depth or pft, cells); sm_sat is (cells,)."""
        whole = 1000.0 * self.thickness[:, None] * sm_sat
        saturation = data["smcl"].values.astype(np.float64) / whole
        beta = data["fsmc"].values[:, self.pft_index].astype(np.float64)
        found = np.concatenate([saturation.transpose(1, 0, 2), beta[None]])
        return np.asarray(np.clip(found, 0.0, 1.0), np.float32)

    def dates(self) -> dict[str, NDArray[Any]]:
        """Year and day of the year of the days that are taken."""
        days = self.forcing.days
        of_year = days.days_of_year(0, days.count)[self.kept]
        years = np.array([days.date(int(position)).year for position in self.kept], np.int32)
        return {"year": years, "day_of_year": of_year.astype(np.int32)}
