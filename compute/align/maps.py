"""Maps of a block between how they are stored and how they are computed with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compute.align.calendars import Days
from compute.align.variables import Aligned
from cube.template import ArraySpec

STEPS = 128
"""Days that are worked on at once, so that copies of a block's input stay small."""

Array = NDArray[Any]


def decoded(values: Array, spec: ArraySpec) -> Array:
    """Stored numbers with NaN for missing, float32 where that holds them, else float64."""
    kind = np.dtype("float32" if spec.dtype.itemsize < 4 or spec.dtype == np.float32 else "float64")
    made = values.astype(kind, copy=False)
    fill = spec.fill
    if fill is not None and fill == fill:
        made = np.where(values == fill, kind.type(np.nan), made)
    return np.ascontiguousarray(made)


def encoded(values: Array, each: Aligned) -> Array:
    """Numbers in the type of the result, its fill for NaN."""
    if each.dtype.kind == "f":
        return values.astype(each.dtype, copy=False)
    fill = np.iinfo(each.dtype).min if each.source.fill is None else each.source.fill
    return np.where(np.isnan(values), float(fill), values).astype(each.dtype)


def daily(values: Array, spec: ArraySpec, days: Days, part: slice) -> Iterator[tuple[slice, Array]]:
    """Positions in `part` and the decoded maps of these days, some days at a time.

    values  stored numbers of just the days that `days.window(part)` names, shape (days, ...)

    A day that the input does not have is the mean of the days beside it, missing where one of them is.
    """
    before, after = (each - days.window(part).start for each in days.positions(part))
    for first in range(0, len(before), STEPS):
        some = slice(first, min(first + STEPS, len(before)))
        earlier, later = before[some], after[some]
        straight = later[-1] - later[0] == len(later) - 1 and (earlier == later).all()
        maps = decoded(values[int(later[0]) : int(later[-1]) + 1] if straight else values[later], spec)
        for position in np.flatnonzero(earlier != later):
            maps[position] = (decoded(values[earlier[position]], spec) + maps[position]) / 2
        yield some, maps
