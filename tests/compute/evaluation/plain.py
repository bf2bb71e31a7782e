"""Scores by scipy and plain numpy, of one cell at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.stats

Series = np.ndarray[Any, np.dtype[np.float64]]


def scores(predicted: Series, observed: Series, season: np.ndarray[Any, Any], threshold: float) -> dict[str, float]:
    """All series of one length; days where either is NaN are left out."""
    both = np.isfinite(predicted) & np.isfinite(observed)
    p, o, day = predicted[both].astype(float), observed[both].astype(float), season[both]
    if not len(p):
        return {"paired_days": 0}
    found = {"paired_days": len(p), "bias": (p - o).mean(), "rmse": np.sqrt(((p - o) ** 2).mean())}
    found["ubrmse"] = np.sqrt(found["rmse"] ** 2 - found["bias"] ** 2)
    found["r"] = scipy.stats.pearsonr(p, o).statistic
    found["nse"] = 1 - ((p - o) ** 2).sum() / ((o - o.mean()) ** 2).sum()
    a, b = (np.array([v - each[day == d].mean() for v, d in zip(each, day, strict=True)]) for each in (p, o))
    found["anomaly_r"] = scipy.stats.pearsonr(a, b).statistic
    found["variability_ratio"], found["mean_ratio"] = p.std() / o.std(), p.mean() / o.mean()
    found["kge"] = 1 - np.sqrt(
        (found["r"] - 1) ** 2 + (found["variability_ratio"] - 1) ** 2 + (found["mean_ratio"] - 1) ** 2
    )
    alarm, event = p < threshold, o < threshold
    hit, false, miss, quiet = (
        int(np.count_nonzero(each)) for each in (alarm & event, alarm & ~event, ~alarm & event, ~alarm & ~event)
    )
    found |= {"pod": hit / (hit + miss), "csi": hit / (hit + false + miss), "far": false / max(1, hit + false)}
    found["frequency_bias"] = (hit + false) / (hit + miss)
    # Heidke: accuracy relative to that of chance.
    total = hit + false + miss + quiet
    chance = ((hit + false) * (hit + miss) + (miss + quiet) * (false + quiet)) / total
    found["hss"] = (hit + quiet - chance) / (total - chance)
    return {key: float(value) for key, value in found.items()}


def climatology(observed: Series, dates: list[Any], wanted: list[int], window: int = 7) -> Series:
    """Mean over the days of the season within a window, in all years but the own one; 29 February is 28 February."""
    length = {"360_day": 360}.get(dates[0].calendar, 365)
    start = {"360_day": 30}.get(dates[0].calendar)
    before = np.cumsum([0, *([start] * 11 if start else [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30])])
    season = [
        int(before[date.month - 1]) + (28 if not start and (date.month, date.day) == (2, 29) else date.day) - 1
        for date in dates
    ]
    years = np.array([date.year for date in dates])
    apart = np.abs(np.subtract.outer(season, season))
    near = np.minimum(apart, length - apart) <= window
    out = np.full(len(wanted), np.nan)
    for row, position in enumerate(wanted):
        others = near[position] & (years != years[position]) & np.isfinite(observed)
        if others.any():
            out[row] = observed[others].mean()
    return out
