"""Season means of soil moisture availability (beta) against those of a reference."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

TERCILES: Final = (0.33, 0.67)
"""Quantiles of the normal distribution that part the terciles, as TAMSAT-ALERT has them."""


def relative(means: NDArray[np.float32], mean: NDArray[np.float32]) -> NDArray[np.float32]:
    """Means in percent of the reference's; missing where that is 0 or missing. Shapes (years, ...) and (...)."""
    with np.errstate(invalid="ignore", divide="ignore"):
        found = 100.0 * means / mean
    return np.where(mean > 0, found, np.nan).astype(np.float32)


def tercile(means: NDArray[Any], mean: NDArray[Any], spread: NDArray[Any]) -> NDArray[np.int8]:
    """0 below, 1 normal, 2 above, -1 missing: by the 0.33 and 0.67 quantiles of a normal distribution.

    means         shape (years, ...)
    mean, spread  mean and standard deviation (n - 1) of the reference, shape (...); without spread there is no tercile
    """
    low, high = (mean + float(ndtri(share)) * spread for share in TERCILES)
    with np.errstate(invalid="ignore"):
        found = 1 + (means > high).astype(np.int8) - (means < low).astype(np.int8)
        known = np.isfinite(means) & (spread > 0)
    return np.where(known, found, -1).astype(np.int8)
