"""Weighted mean and quantiles over cells."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

QUANTILES = {"p10": 0.1, "p50": 0.5, "p90": 0.9}
_NOISE = 1e-12
"""Share of the whole weight that sums of weights may be off."""


def averages(values: Values, weights: Values) -> dict[str, Values]:
    """mean, each of QUANTILES, and area: the share of the weight that has values; each of shape (rows,).

    values   shape (rows, cells), NaN where missing
    weights  shape (cells,), not negative

    A quantile q is the smallest value such that values up to it have q of the weight: a value that occurs, never one
    between two (the inverse of the weighted distribution). Rows without values are NaN, with area 0.
    """
    known = np.isfinite(values) & (weights > 0)
    counted = np.where(known, weights, 0.0)
    total, whole = counted.sum(axis=1), weights.sum()
    some = total > 0
    mean = np.full(len(values), np.nan)
    np.divide((np.where(known, values, 0.0) * counted).sum(axis=1), total, out=mean, where=some)
    found = {"mean": mean}
    order = np.argsort(np.where(known, values, np.inf), axis=1, kind="stable")
    reached = np.cumsum(np.take_along_axis(counted, order, axis=1), axis=1)
    for name, share in QUANTILES.items():
        if not values.shape[1]:
            found[name] = np.full(len(values), np.nan)
            continue
        at = np.argmax(reached >= (share - _NOISE) * total[:, None], axis=1)
        chosen = np.take_along_axis(values, order[np.arange(len(at)), at][:, None], axis=1)[:, 0]
        found[name] = np.where(some, chosen, np.nan)
    found["area"] = np.minimum(total / whole, 1.0) if whole > 0 else np.zeros(len(values))
    return found
