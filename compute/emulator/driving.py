"""From rain, temperature and soil to what the features are made of; the same for training, for maps and for a place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compute.column.pet import oudin, solar_day
from compute.emulator.features import STATICS
from cube.axes import TimeAxis

SOIL = tuple(static.name for static in STATICS if static.name != "pr_annual")
"""Variables of a product of the job `soil`, in the order of the features."""
DAYS_A_YEAR = 365.25
PET_FORMULA = "Oudin 2005"
BASELINE_RULE = "mean rain of the run's own declared reference"


def statics(soil: Mapping[str, Any], pr_mean: Any) -> NDArray[np.float64]:
    """Shape (10, cells), rows as in `STATICS`.

    soil     variables of the job `soil` by name, (cells,)
    pr_mean  mean rain of the baseline, mm d-1, (cells,)
    """
    rows = [np.asarray(soil[name], np.float64).reshape(-1) for name in SOIL]
    return np.stack([*rows, DAYS_A_YEAR * np.asarray(pr_mean, np.float64).reshape(-1)])


def demand(tas: NDArray[np.float32], latitude: NDArray[np.float64], days: TimeAxis, first: int) -> NDArray[np.float32]:
    """Potential evaporation by Oudin, mm d-1, of the days from position `first`, shape of `tas`: (days, cells), K."""
    of_year = solar_day(days.days_of_year(first, first + len(tas)), days.calendar)
    return oudin(tas, latitude, of_year).astype(np.float32)
