"""Days of the soil-water column over many cells, from a state to the next one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from compute.column.days import STATICS, advance
from compute.column.hydraulics import Curve, Soil
from compute.column.roots import shares_of
from compute.column.stepping import THICKNESS

Double = NDArray[np.float64]
Single = NDArray[np.float32]

C4_GRASS = 4


@dataclass(frozen=True)
class Scheme:
    """How the column is stepped.

    curve                hydraulic functions
    l_soil_sat_down      what a full layer cannot hold goes down instead of up, as JULES's switch of that name
    steps_per_day        at least 8: steps of more than 3 h give wrong runoff even though they are implicit. Days on
                         which a layer is full are done in 6 times as many, or more where fluxes go astray
    rain_steps           the day's rain falls evenly in so many first steps of the day; the demand is even over the day
    infiltration_factor  infiltration capacity in units of `satcon`
    extraction_limit     largest share of a layer's water that is extracted in one step

    Raises ValueError for a number outside its range.
    """

    curve: Curve = "brooks_corey"
    l_soil_sat_down: bool = False
    steps_per_day: int = 8
    rain_steps: int = 2
    infiltration_factor: float = 4.0
    extraction_limit: float = 0.5

    def __post_init__(self) -> None:
        if self.steps_per_day < 8:
            raise ValueError(f"steps_per_day must be at least 8, found {self.steps_per_day}")
        if not 1 <= self.rain_steps <= self.steps_per_day:
            raise ValueError(f"rain_steps must be from 1 to steps_per_day, found {self.rain_steps}")
        if not self.infiltration_factor > 0:
            raise ValueError(f"infiltration_factor must be above 0, found {self.infiltration_factor}")
        if not 0 < self.extraction_limit <= 1:
            raise ValueError(f"extraction_limit must be above 0 and at most 1, found {self.extraction_limit}")


@dataclass(frozen=True)
class Run:
    """What a run yields; NaN where statics or state are missing, and from the first day of missing forcing on.

    state          (5, cells) float64: saturations of the four layers from the top, canopy store in mm
    totals         (4, cells) float64: rain, evaporation, surface runoff and drainage of the whole run, mm
    smcl           (days, 4, cells) float32: water in each layer, kg m-2; mean over the ends of the day's steps
    fsmc           (days, types, cells) float32: beta of each vegetation, 0-1; mean over the starts of the day's steps,
                   where it limits transpiration
    surf_roff      (days, cells) float32: surface runoff, kg m-2 s-1, daily mean as the following two
    sub_surf_roff  drainage out of the lowest layer
    fqw_gb         evaporation from soil, vegetation and canopy
    """

    state: Double
    totals: Double
    smcl: Single
    fsmc: Single
    surf_roff: Single
    sub_surf_roff: Single
    fqw_gb: Single


def run(
    pr: ArrayLike,
    pet: ArrayLike,
    soil: Soil,
    lai: ArrayLike,
    state: ArrayLike,
    scheme: Scheme | None = None,
    *,
    fsmc_roots: ArrayLike | None = None,
    roots: ArrayLike | None = None,
    outputs: bool = True,
) -> Run:
    """Run the column over days. The same bits however the cells are grouped and however the days are cut into runs.

    pr, pet     (days, cells) rain and potential evaporation, mm d-1; taken as float32. A negative pet (dew) counts as
                0, a negative pr as missing: the caller refuses it before
    soil        properties of (cells,)
    lai         (cells,) leaf area index, m2 m-2: canopy capacity 0.5 + 0.05 lai mm; exp(-lai / 2) of the demand falls
                on bare soil
    state       (5, cells), see `Run` and `initial_state`; not changed
    fsmc_roots  (types, 4) root shares of each vegetation whose beta is put out; default all five types of JULES
    roots       (4,) or (4, cells) root shares by which water is extracted; default C4 grass. See `roots.mean_shares`
    outputs     without it, only `state` and `totals` are filled; the other arrays have no days

    Raises ValueError where shapes do not fit.
    """
    scheme = scheme or Scheme()
    rain, demand = np.ascontiguousarray(pr, np.float32), np.ascontiguousarray(pet, np.float32)
    if rain.ndim != 2 or rain.shape != demand.shape:
        raise ValueError(f"pr and pet must have the same shape (days, cells), found {rain.shape} and {demand.shape}")
    count = rain.shape[1]
    after = np.array(state, np.float64, order="C")
    if after.shape != (5, count) or soil.b.shape != (count,):
        raise ValueError(f"state must be (5, {count}) and soil ({count},), found {after.shape} and {soil.b.shape}")
    wanted = shares_of(range(1, 6)) if fsmc_roots is None else np.ascontiguousarray(fsmc_roots, np.float64)
    statics = _statics(soil, lai, shares_of([C4_GRASS])[0] if roots is None else roots, scheme)
    whole = np.isfinite(statics).all(axis=0) & np.isfinite(after).all(axis=0) & soil.usable
    if len(rain):
        whole &= np.isfinite(rain[0]) & np.isfinite(demand[0])
    totals = np.zeros((4, count))
    totals[:, ~whole] = np.nan
    after[:, ~whole] = np.nan
    days = len(rain) if outputs else 0
    shapes = ((days, 4, count), (days, len(wanted), count), *(3 * ((days, count),)))
    smcl, fsmc, surf_roff, sub_surf_roff, fqw_gb = made = tuple(np.empty(shape, np.float32) for shape in shapes)
    for array in made:
        array[..., ~whole] = np.nan
    how = (
        scheme.curve == "van_genuchten",
        scheme.l_soil_sat_down,
        scheme.steps_per_day,
        scheme.rain_steps,
        scheme.extraction_limit,
    )
    advance(np.flatnonzero(whole), rain, demand, statics, after, totals, wanted, made, how)
    return Run(after, totals, smcl, fsmc, surf_roff, sub_surf_roff, fqw_gb)


def initial_state(soil: Soil) -> Double:
    """A state (5, cells) to spin up from: all layers at the wilting point, the canopy dry.

    Wet regions fill a dry column within few years, while a wet column under a desert needs centuries to drain.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        saturation = np.where(soil.usable, soil.sm_wilt / soil.sm_sat, np.nan)
    return np.stack([*(4 * [saturation]), np.where(soil.usable, 0.0, np.nan)])


def water(state: ArrayLike, soil: Soil) -> Double:
    """Water of a state, mm: the four layers and the canopy, (5, cells)."""
    state = np.asarray(state, np.float64)
    layers = 1000.0 * np.asarray(THICKNESS)[:, np.newaxis] * soil.sm_sat * state[:4]
    return np.concatenate([layers, state[4:]])


def _statics(soil: Soil, lai: ArrayLike, roots: ArrayLike, scheme: Scheme) -> Double:
    count = soil.b.size
    leaves = np.asarray(lai, np.float64)
    statics = np.empty((STATICS, count))
    statics[:6] = soil.b, soil.sathh, soil.satcon, soil.sm_sat, soil.sm_crit, soil.sm_wilt
    statics[6] = np.exp(-0.5 * leaves)
    statics[7] = 0.5 + 0.05 * leaves
    statics[8] = scheme.infiltration_factor * soil.satcon
    shares = np.asarray(roots, np.float64)
    statics[9:] = shares[:, np.newaxis] if shares.ndim == 1 else shares
    return statics
