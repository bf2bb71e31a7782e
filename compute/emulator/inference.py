"""Emulated soil moisture from weather: features, forest and flag in one pass, a few cells and a year at a time."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from compute.emulator.baselines import predict_buckets
from compute.emulator.domain import MISSING, flag
from compute.emulator.features import STATE, features, season
from compute.emulator.forest import Emulator
from compute.emulator.schema import TARGETS

Predictor = Literal["forest", "buckets"]

_CELLS: Final = 16  # a cache line of float32 along the cells
_DAYS: Final = 1461  # four years: the longer, the less often trees are reduced; features still fit the second cache


@dataclass(frozen=True)
class Emulated:
    """What an emulator yields; missing where statics, state or forcing are.

    saturation  of the four layers from the top, 1, shape (4, days, cells), float32; NaN is missing
    beta        soil moisture availability, 1, shape (days, cells), float32; NaN is missing
    flag        int8 of shape (days, cells), see `domain.FLAG_ATTRS`
    state       after the last day, shape (15, cells), float64
    """

    saturation: NDArray[np.float32]
    beta: NDArray[np.float32]
    flag: NDArray[np.int8]
    state: NDArray[np.float64]


def emulate(
    emulator: Emulator,
    pr: ArrayLike,
    tas: ArrayLike,
    pet: ArrayLike,
    day_of_year: ArrayLike,
    calendar: str,
    statics: ArrayLike,
    state: ArrayLike,
    predictor: Predictor = "forest",
) -> Emulated:
    """Emulate some days. The same bits however cells are grouped and days are cut, if the state is carried.

    pr           rain, mm d-1, shape (days, cells), as the following two
    tas          air temperature, K
    pet          potential evaporation, mm d-1, by the formula of the model's schema
    day_of_year  1 on the first of January, shape (days,)
    calendar     of the days, as `cube.axes` names it
    statics      shape (10, cells), rows as in `features.STATICS`
    state        before the first of the days, shape (15, cells), from `features.start` or of the days before
    predictor    forest, or the regression on the buckets alone that the schema holds, as a baseline

    Raises ValueError for arrays of other shapes.
    """
    rain, air, demand = (np.asarray(values, np.float32) for values in (pr, tas, pet))
    fixed, before = np.asarray(statics, np.float64), np.asarray(state, np.float64)
    days, cells = rain.shape
    turn = season(day_of_year, calendar)
    out = np.full((len(TARGETS), days, cells), np.nan, np.float32)
    flags = np.full((days, cells), MISSING, np.int8)
    after = np.full((STATE, cells), np.nan)
    bounds = emulator.schema.bounds
    edges = np.linspace(0, days, -(-days // _DAYS) + 1).astype(int)
    spans = [slice(start, stop) for start, stop in itertools.pairwise(edges)]
    usable = np.flatnonzero(np.isfinite(before).all(axis=0) & np.isfinite(fixed).all(axis=0))
    for first in range(0, len(usable), _CELLS):
        some = usable[first : first + _CELLS]
        carried = before[:, some]
        for span in spans:
            seen, carried = features(
                rain[span, some], air[span, some], demand[span, some], turn[:, span], fixed[:, some], carried
            )
            if predictor == "forest":
                found = emulator.forest.predict(seen)
            else:
                found = predict_buckets(emulator.schema.buckets, seen)
            out[:, span, some] = found.transpose(1, 2, 0)
            flags[span, some] = flag(seen, bounds).T
        after[:, some] = carried
    return Emulated(out[: len(TARGETS) - 1], out[-1], flags, after)
