"""Where an emulator is asked about what it has not seen: trees do not extrapolate."""

from __future__ import annotations

from typing import Any, Final

import numba
import numpy as np
from numpy.typing import NDArray

from compute.emulator.features import FEATURES, STATIC_NAMES

GROUPS: Final = {"weather": 1, "statics": 2, "rain_memories": 4, "pet_memories": 8, "buckets": 16}
"""Bits of the flag by the group of features of which one lies outside the range of the training data."""
MISSING: Final = -128

FLAG_ATTRS: Final = {
    "long_name": "emulator asked outside the range of its training data",
    "flag_masks": np.array([*GROUPS.values()], np.int8),
    "flag_meanings": " ".join(GROUPS),
    "_FillValue": np.int8(MISSING),
}
"""CF attributes of the flag; 0 is inside, -128 missing."""


def _group(name: str) -> str:
    if name in STATIC_NAMES:
        return "statics"
    prefixes = {"pr_memory": "rain_memories", "pet_memory": "pet_memories", "bucket": "buckets"}
    return next((group for prefix, group in prefixes.items() if name.startswith(prefix)), "weather")


_BITS = np.array([GROUPS[_group(feature.name)] for feature in FEATURES], np.int8)


def flag(features: NDArray[np.float32], bounds: NDArray[np.float32]) -> NDArray[np.int8]:
    """Bits of the groups that are outside, shape (cells, days), int8; see `FLAG_ATTRS`.

    features  shape (cells, 29, days)
    bounds    least and largest value of each feature in the training data, shape (2, 29); both are inside
    """
    out = np.empty((features.shape[0], features.shape[2]), np.int8)
    _flag(np.ascontiguousarray(features, np.float32), np.ascontiguousarray(bounds, np.float32), _BITS, out)
    return out


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _flag(features: Any, bounds: Any, bits: Any, out: Any) -> None:
    days = features.shape[2]
    for cell in range(features.shape[0]):
        found = out[cell]
        found[:] = 0
        for feature in range(features.shape[1]):
            row = features[cell, feature]
            low, high, bit = bounds[0, feature], bounds[1, feature], bits[feature]
            inside = 0
            for day in range(days):
                inside += (row[day] >= low) & (row[day] <= high)
            if inside == days:
                continue
            for day in range(days):
                if np.isnan(row[day]):
                    found[day] = MISSING
                elif (row[day] < low or row[day] > high) and found[day] != MISSING:
                    found[day] |= bit
