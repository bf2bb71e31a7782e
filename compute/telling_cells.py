"""Which cells of a product tell something, so that one of them may stand for a place.

A cell tells where there is a value, or a reason for having none: an arid cell, or one whose rainy season cannot be
told, is not to be taken for its neighbour. Every command finds the cell of a place by this rule, so that one place is
one cell in all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from compute.seasons.reasons import MEANINGS, NO_DATA
from cube.template import ArraySpec

VALID_DAYS: Final = "valid_days"
"""Days that a metric saw: where it saw some, its cell is part of the product."""
YEARS: Final = "_years"
"""What numbers of years end in, those with an onset or of a change: 0 where the product has nothing to say."""
TOO_FEW_YEARS: Final = "too_few_years"
"""Bit of a change's flag: a reason for having no number, which the sea does not get."""


def telling(arrays: Mapping[str, ArraySpec]) -> dict[str, Any]:
    """The variables to look at, each with the number that says nothing in it (None where every number tells).

    arrays  those that have a value for each cell, by name

    Flags with the meaning `no_data` and the days with values, where the product has them: wherever another variable has
    a value, these tell too. Otherwise those of the variables that can be missing, with time where there are such, since
    what was taken from a reference may be known where no period is; beside them the flags of a change that say of too
    few years. Where nothing can be missing, one variable, all of whose cells tell. Empty for no arrays alone.
    """
    reasons = {name: _silent(name, spec) for name, spec in arrays.items() if _reason(name, spec)}
    if reasons:
        return reasons
    holes = {name: spec for name, spec in arrays.items() if spec.fill is not None and "flag_meanings" not in spec.attrs}
    # A change of the days that a metric saw is a number everywhere, of none against none over the sea.
    holes = {name: spec for name, spec in holes.items() if _counted(name) or not name.startswith(f"{VALID_DAYS}_")}
    timed = {name: spec for name, spec in holes.items() if "time" in spec.dims}
    few = {name: spec for name, spec in arrays.items() if _too_few(spec)}
    chosen = timed or {**holes, **few} or dict(list(arrays.items())[:1])
    return {name: _silent(name, spec) for name, spec in chosen.items()}


def tells(name: str, spec: ArraySpec, values: NDArray[Any]) -> NDArray[np.bool_]:
    """Where a variable of `telling` tells something, of the shape of the values.

    values  as stored, or as numbers with NaN where missing
    """
    numbers = np.asarray(values)
    there = np.ones(numbers.shape, np.bool_)
    if numbers.dtype.kind == "f":
        there &= ~np.isnan(numbers)
    if spec.fill is not None:
        there &= numbers != spec.fill
    if _no_data(spec) is not None:
        there &= numbers != _no_data(spec)
    elif bit := _too_few(spec):
        there &= (np.where(there, numbers, 0).astype(np.int64) & bit) != 0
    elif _counted(name):
        there &= numbers > 0
    return there


def _counted(name: str) -> bool:
    """Whether a variable counts, so that 0 says nothing of a cell."""
    if name.startswith(f"{VALID_DAYS}_"):
        return name == f"{VALID_DAYS}_past"
    return name == VALID_DAYS or name.endswith(YEARS)


def _reason(name: str, spec: ArraySpec) -> bool:
    return _no_data(spec) is not None or name == VALID_DAYS


def _silent(name: str, spec: ArraySpec) -> Any:
    if _counted(name) or _too_few(spec):
        return 0
    found = _no_data(spec)
    return spec.fill if found is None else found


def _no_data(spec: ArraySpec) -> int | None:
    """The number that a flag has where there are no data; None for what is no such flag."""
    words = str(spec.attrs.get("flag_meanings", "")).split()
    if MEANINGS[NO_DATA] not in words or "flag_masks" in spec.attrs:
        return None
    at = words.index(MEANINGS[NO_DATA])
    return int(np.atleast_1d(spec.attrs.get("flag_values", np.arange(len(words))))[at])


def _too_few(spec: ArraySpec) -> int:
    """The bit of a flag that says of too few years; 0 for what is no such flag."""
    words = str(spec.attrs.get("flag_meanings", "")).split()
    if TOO_FEW_YEARS not in words or "flag_masks" not in spec.attrs:
        return 0
    return int(np.atleast_1d(spec.attrs["flag_masks"])[words.index(TOO_FEW_YEARS)])
