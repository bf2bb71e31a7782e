"""Choosing sites: evenly over classes of climate and of soil, the same for the same seed."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cube.errors import InputError, Problem

RAIN_CLASSES, SOIL_CLASSES = 10, 5


def classes(rain: NDArray[np.float64], soil: NDArray[np.float64]) -> NDArray[np.int32]:
    """The class of each cell, (cells,): by rank of rain, within it by rank of the soil; -1 where either is missing.

    rain  mean of the baseline, (cells,);  soil  exponent b, which orders soils from sand to clay, (cells,)
    """
    found = np.full(rain.shape, -1, np.int32)
    known = np.flatnonzero(np.isfinite(rain) & np.isfinite(soil))
    # Stable sorts: equal values keep the order of the cells, whatever the machine.
    by_rain = known[np.argsort(rain[known], kind="stable")]
    for wet, part in enumerate(np.array_split(by_rain, RAIN_CLASSES)):
        by_soil = part[np.argsort(soil[part], kind="stable")]
        for fine, cells in enumerate(np.array_split(by_soil, SOIL_CLASSES)):
            found[cells] = wet * SOIL_CLASSES + fine
    return found


def chosen(of: NDArray[np.int32], count: int, seed: int) -> NDArray[np.int64]:
    """Cells of the sample in ascending order, shape (count,): as many of each class as can be.

    Raises InputError where there are fewer cells than sites.
    """
    rng = np.random.default_rng(seed)
    waiting = [list(rng.permutation(np.flatnonzero(of == each))) for each in range(int(of.max(initial=-1)) + 1)]
    available = sum(map(len, waiting))
    if available < count:
        raise InputError(
            Problem(
                "too-few-cells",
                f"{available} cells have soil and rain, {count} sites are wanted",
                "sites",
                "sites would be counted twice",
                f"give at most {available} `sites`, fewer for places to be left to test on",
            )
        )
    found: list[Any] = []
    while len(found) < count:
        for cells in waiting:
            if cells and len(found) < count:
                found.append(cells.pop())
    return np.sort(np.array(found, np.int64))
