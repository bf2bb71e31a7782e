"""What the emulator sees: 29 features a day and cell, causal, with 15 numbers of state a cell.

Memories are exponential means of rain and potential evaporation; buckets are stores of four depths that rain fills and
evaporation empties. Time is streamed: a series may be cut anywhere if the state is carried over the cut, and cells may
be grouped in any way; the features are the same to the last bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numba
import numpy as np
from numpy.typing import ArrayLike, NDArray

RAIN_MEMORIES: Final = (2, 5, 10, 20, 40, 80, 160, 320)
PET_MEMORIES: Final = (5, 20, 80)
BUCKETS: Final = (0.1, 0.35, 1.0, 3.0)
START_DAYS: Final = 365
YEAR_LENGTHS: Final = {
    "standard": 365.25,
    "proleptic_gregorian": 365.25,
    "julian": 365.25,
    "noleap": 365.0,
    "all_leap": 366.0,
    "360_day": 360.0,
}
"""Days of the year that the season is scaled by, for the calendars of `cube.axes`."""


@dataclass(frozen=True)
class Feature:
    """One thing that the emulator sees. units: as CF and pint read them."""

    name: str
    units: str
    long_name: str


STATICS: Final = (
    Feature("clay", "1", "clay fraction of the soil"),
    Feature("sand", "1", "sand fraction of the soil"),
    Feature("lai", "1", "leaf area index"),
    Feature("b", "1", "exponent of the soil water retention curve"),
    Feature("sm_sat", "m3 m-3", "soil moisture at saturation"),
    Feature("sathh", "m", "saturated soil water suction"),
    Feature("satcon", "kg m-2 s-1", "saturated hydraulic conductivity"),
    Feature("sm_crit", "m3 m-3", "soil moisture at the critical point"),
    Feature("sm_wilt", "m3 m-3", "soil moisture at the wilting point"),
    Feature("pr_annual", "mm year-1", "mean annual rain of the baseline"),
)
"""What does not change in time, in the order of the rows of `statics`."""

FEATURES: Final = (
    Feature("pr", "mm d-1", "rain of the day"),
    Feature("tas", "degC", "air temperature of the day"),
    Feature("season_sin", "1", "sine of the day of the year"),
    Feature("season_cos", "1", "cosine of the day of the year"),
    *STATICS[:3],
    *(Feature(f"pr_memory_{days}d", "mm d-1", f"exponential mean of rain over {days} days") for days in RAIN_MEMORIES),
    *(
        Feature(f"pet_memory_{days}d", "mm d-1", f"exponential mean of potential evaporation over {days} days")
        for days in PET_MEMORIES
    ),
    *STATICS[3:],
    *(Feature(f"bucket_{depth:g}m", "1", f"fill of a bucket of {depth:g} m of soil") for depth in BUCKETS),
)
"""What the emulator sees, in the order of the rows of `features`."""

NAMES: Final = tuple(feature.name for feature in FEATURES)
STATIC_NAMES: Final = tuple(static.name for static in STATICS)
BUCKET_ROWS: Final = slice(len(FEATURES) - len(BUCKETS), len(FEATURES))

_RAINS = len(RAIN_MEMORIES)
_MEMORIES = _RAINS + len(PET_MEMORIES)
_STORES = len(BUCKETS)
STATE: Final = _MEMORIES + _STORES
"""Numbers of state a cell: memories of rain and of potential evaporation, mm d-1, and water in the buckets, mm."""

_KEPT = np.exp(-1.0 / np.array([*RAIN_MEMORIES, *PET_MEMORIES], np.float64))
_NEW = 1.0 - _KEPT
_DEPTHS = np.array(BUCKETS)
_STATIC_ROWS = np.array([NAMES.index(static.name) for static in STATICS])
_SATURATION, _WILTING = (STATIC_NAMES.index(name) for name in ("sm_sat", "sm_wilt"))
_RAIN_ROW, _PET_ROW = (NAMES.index(name) for name in ("pr_memory_2d", "pet_memory_5d"))
_BUCKET_ROW = BUCKET_ROWS.start
_USABLE, _FREE = 0.8, 0.6  # share of the water that plants reach; fill above which evaporation is not limited
_ZERO_CELSIUS = 273.15
_LONGEST_YEAR = 366

Doubles = NDArray[np.float64]
Singles = NDArray[np.float32]


def season(day_of_year: ArrayLike, calendar: str) -> Doubles:
    """Sine and cosine of the season, shape (2, days).

    day_of_year  1 on the first of January, shape (days,)
    calendar     as `cube.axes` names it
    """
    # From a table of fixed size, so that a value does not depend on how numpy cuts an array into vectors.
    angle = 2.0 * np.pi * np.arange(_LONGEST_YEAR + 1) / YEAR_LENGTHS[calendar]
    return np.stack([np.sin(angle), np.cos(angle)])[:, np.asarray(day_of_year, np.int64)]


def start(pr: ArrayLike, pet: ArrayLike, statics: ArrayLike) -> Doubles:
    """The state before the first day of a series, shape (15, cells); NaN where anything is missing.

    Memories start at the mean of the first 365 days, buckets half full.

    pr, pet  rain and potential evaporation of the first 365 days of the series, mm d-1, shape (365, cells)
    statics  shape (10, cells), rows as in `STATICS`

    Raises ValueError for arrays of other shapes.
    """
    rain, demand, fixed = _single(pr), _single(pet), _double(statics)
    cells = rain.shape[-1]
    _check(pr=(rain, (START_DAYS, cells)), pet=(demand, (START_DAYS, cells)), statics=(fixed, (len(STATICS), cells)))
    state = np.empty((STATE, cells))
    _start(rain, demand, _capacities(fixed), state)
    state[:, np.isnan(fixed).any(axis=0) | np.isnan(state).any(axis=0)] = np.nan
    return state


def features(
    pr: ArrayLike, tas: ArrayLike, pet: ArrayLike, season: ArrayLike, statics: ArrayLike, state: ArrayLike
) -> tuple[Singles, Doubles]:
    """The features of some days, shape (cells, 29, days) with rows as in `FEATURES`, and the state after these days.

    All features of a cell are NaN where `state` or a static is missing, and from the first day of missing forcing on;
    then its new state is too.

    pr      rain, mm d-1, shape (days, cells); taken as float32, as the following two
    tas     air temperature, K, shape (days, cells)
    pet     potential evaporation, mm d-1, shape (days, cells)
    season  of the days, shape (2, days), see `season`
    statics shape (10, cells), rows as in `STATICS`
    state   shape (15, cells), from `start` or from the days before; it is not changed

    Raises ValueError for arrays of other shapes.
    """
    rain, air, demand = _single(pr), _single(tas), _single(pet)
    turn, fixed, after = _double(season), _double(statics), np.array(state, np.float64, order="C")
    days, cells = rain.shape
    _check(
        tas=(air, (days, cells)),
        pet=(demand, (days, cells)),
        season=(turn, (2, days)),
        statics=(fixed, (len(STATICS), cells)),
        state=(after, (STATE, cells)),
    )
    out = np.empty((cells, len(FEATURES), days), np.float32)
    known = np.isfinite(after).all(axis=0) & np.isfinite(fixed).all(axis=0)
    out[~known] = np.nan
    after[:, ~known] = np.nan
    _stream(np.flatnonzero(known), rain, air, demand, turn, fixed, _capacities(fixed), after, out)
    return out, after


def _single(values: ArrayLike) -> Singles:
    return np.ascontiguousarray(values, np.float32)


def _double(values: ArrayLike) -> Doubles:
    return np.ascontiguousarray(values, np.float64)


def _check(**arrays: tuple[NDArray[Any], tuple[int, ...]]) -> None:
    wrong = [f"{name} {found.shape}, not {wanted}" for name, (found, wanted) in arrays.items() if found.shape != wanted]
    if wrong:
        raise ValueError(f"shapes do not fit: {'; '.join(wrong)}")


def _capacities(statics: Doubles) -> Doubles:
    """Water that the buckets hold, mm, shape (4, cells)."""
    reach = statics[_SATURATION] - statics[_WILTING]
    return np.asarray(1000.0 * _DEPTHS[:, None] * reach * _USABLE)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _start(rain: Any, demand: Any, capacities: Any, state: Any) -> None:
    # A sum in the order of days: numpy's depends on the number of cells.
    for cell in range(rain.shape[1]):
        wet, dry = 0.0, 0.0
        for day in range(rain.shape[0]):
            wet += rain[day, cell]
            dry += demand[day, cell]
        for k in range(_MEMORIES):
            state[k, cell] = (wet if k < _RAINS else dry) / rain.shape[0]
        for k in range(_STORES):
            state[_MEMORIES + k, cell] = capacities[k, cell] / 2.0


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _stream(
    cells: Any, rain: Any, air: Any, demand: Any, season: Any, statics: Any, capacities: Any, state: Any, out: Any
) -> None:
    memory, water = np.empty(_MEMORIES), np.empty(_STORES)
    whole, free, most = np.empty(_STORES), np.empty(_STORES), np.empty(_STORES)
    days = rain.shape[0]
    for cell in cells:
        rows = out[cell]
        for k in range(len(_STATIC_ROWS)):
            for day in range(days):
                rows[_STATIC_ROWS[k], day] = statics[k, cell]
        for k in range(_MEMORIES):
            memory[k] = state[k, cell]
        for k in range(_STORES):
            water[k] = state[_MEMORIES + k, cell]
            most[k] = capacities[k, cell]
            whole[k] = 1.0 / most[k]
            free[k] = 1.0 / (_FREE * most[k])
        for day in range(days):
            wet, dry = np.float64(rain[day, cell]), np.float64(demand[day, cell])
            warmth = np.float64(air[day, cell]) - _ZERO_CELSIUS
            if np.isnan(wet + dry + warmth):
                # Everything, as after a cut of the series at any later day.
                for row in range(rows.shape[0]):
                    for later in range(day, days):
                        rows[row, later] = np.nan
                memory[:] = np.nan
                water[:] = np.nan
                break
            rows[0, day] = wet
            rows[1, day] = warmth
            rows[2, day] = season[0, day]
            rows[3, day] = season[1, day]
            for k in range(_RAINS):
                memory[k] = _KEPT[k] * memory[k] + _NEW[k] * wet
                rows[_RAIN_ROW + k, day] = memory[k]
            for k in range(_RAINS, _MEMORIES):
                memory[k] = _KEPT[k] * memory[k] + _NEW[k] * dry
                rows[_PET_ROW - _RAINS + k, day] = memory[k]
            for k in range(_STORES):
                held = water[k] + wet
                if held > most[k]:
                    held = most[k]
                share = held * free[k]
                if share > 1.0:
                    share = 1.0
                held -= dry * share
                if held < 0.0:
                    held = 0.0
                water[k] = held
                rows[_BUCKET_ROW + k, day] = held * whole[k]
        for k in range(_MEMORIES):
            state[k, cell] = memory[k]
        for k in range(_STORES):
            state[_MEMORIES + k, cell] = water[k]
