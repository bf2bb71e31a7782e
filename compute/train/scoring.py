"""How well a forest and the baselines do where they were not trained."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compute.emulator.baselines import climatology

Values = NDArray[np.float32]
DROUGHT = 0.5
"""Beta below which a day is a drought day."""

SCORES = {
    "rmse": "root mean square error over all places and days",
    "bias": "mean error over all places and days",
    "median_ubrmse": "median over places of the error without its mean",
    "median_r": "median over places of the correlation",
    "csi": "critical success index of days with beta below 0.5",
}
PREDICTORS = ("forest", "buckets", "climatology", "persistence")


def scores(predicted: Values, observed: Values) -> dict[str, NDArray[np.float64]]:
    """Scores by name, each of shape (targets,); csi only of the last target, beta.

    predicted, observed  shape (targets, sites, days); days where either is missing are left out
    """
    difference = predicted.astype(np.float64) - observed
    found = {
        "rmse": np.sqrt(np.nanmean(difference**2, axis=(1, 2))),
        "bias": np.nanmean(difference, axis=(1, 2)),
    }
    known = np.isfinite(difference)
    a, b = (np.where(known, each.astype(np.float64), np.nan) for each in (predicted, observed))
    with warnings.catch_warnings():
        # Sites without a day, and targets that never vary, have no score.
        warnings.simplefilter("ignore", RuntimeWarning)
        a, b = (each - np.nanmean(each, axis=2, keepdims=True) for each in (a, b))
        spread = np.sqrt(np.nanmean(a**2, axis=2) * np.nanmean(b**2, axis=2))
        r = np.where(spread > 1e-12, np.nanmean(a * b, axis=2) / spread, np.nan)
        found["median_ubrmse"] = np.nanmedian(np.sqrt(np.nanmean((a - b) ** 2, axis=2)), axis=1)
        found["median_r"] = np.nanmedian(r, axis=1)
    csi = np.full(len(predicted), np.nan)
    dry, told = (each[-1][known[-1]] < DROUGHT for each in (observed, predicted))
    events = np.count_nonzero(dry | told)
    csi[-1] = np.count_nonzero(dry & told) / events if events else np.nan
    return {**found, "csi": csi}


def references(
    targets: Values, day_of_year: NDArray[Any], run: NDArray[Any], seen: NDArray[np.bool_], lag: int
) -> Mapping[str, Values]:
    """Baselines that know the targets of each place, shape of `targets`: (targets, sites, days).

    climatology  mean of the season in the days that were seen
    persistence  what was a year before: `lag` samples earlier in the same run
    """
    mean = np.stack([climatology(each[:, seen].T, day_of_year[seen], day_of_year).T for each in targets])
    before = np.full_like(targets, np.nan)
    for each in np.unique(run):
        own = np.flatnonzero(run == each)
        before[:, :, own[lag:]] = targets[:, :, own[:-lag]] if lag < len(own) else np.nan
    return {"climatology": mean, "persistence": before}
