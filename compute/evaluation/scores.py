"""Scores of paired series, cell by cell.

Bias, RMSE, NSE (Nash and Sutcliffe 1970), KGE (Gupta et al. 2009), and the usual scores of a two by two table of
events. A score that is not defined is NaN: never 0, which would be taken for one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float32]
Doubles = NDArray[np.float64]

NO_SPREAD = 1e-6
"""Standard deviation, or mean, in m3 m-3 or as beta, below which a series is constant, or its mean zero."""


@dataclass(frozen=True)
class Score:
    """A score as attributes tell it. worst, best: of its scale, None where it has no end or is not a matter of good."""

    long_name: str
    units: str = "1"
    worst: float | None = None
    best: float | None = None
    comment: str = ""


SCORES = {
    "paired_days": Score("number of paired days"),
    "bias": Score("mean error", best=0.0),
    "rmse": Score("root mean square error", best=0.0),
    "ubrmse": Score("unbiased root mean square error, of the anomalies from the means", best=0.0),
    "nrmse": Score("normalised root mean square error", best=0.0),
    "r": Score("Pearson correlation", best=1.0),
    "anomaly_r": Score(
        "correlation of anomalies",
        best=1.0,
        comment="the mean of each day of the season over the paired days is taken from both series; missing for the "
        "climatology, which has no anomalies of its own",
    ),
    "nse": Score("Nash-Sutcliffe efficiency", best=1.0),
    "kge": Score(
        "Kling-Gupta efficiency",
        best=1.0,
        comment="a constant prediction has no correlation, which is taken as 0 here: the mean alone scores "
        "1 - sqrt(2) = -0.41",
    ),
    "variability_ratio": Score(
        "standard deviation relative to that of the reference", best=1.0, comment="component of KGE"
    ),
    "mean_ratio": Score("mean relative to that of the reference", best=1.0, comment="component of KGE"),
    "pod": Score("probability of detection: share of the events that are found", worst=0.0, best=1.0),
    "far": Score("false alarm ratio: share of the alarms that are no events", worst=1.0, best=0.0),
    "csi": Score("critical success index: events found, of all events and alarms", worst=0.0, best=1.0),
    "frequency_bias": Score("number of alarms relative to that of events", best=1.0),
    "hss": Score("Heidke skill score of events", best=1.0),
    "simulation_rmse": Score(
        "root mean square error of the simulation on the days of the predictor",
        best=0.0,
        comment="the predictor is beaten where this is below its rmse",
    ),
}
"""By name, in the order in which they are told."""


def percentiles(values: Values, shares: tuple[float, ...]) -> Doubles:
    """Percentiles over days of what is not missing, shape (shares, cells), interpolated linearly; NaN without days.

    values  shape (days, cells);  shares  from 0 to 100
    """
    ordered = np.sort(values, axis=0)  # NaN come last
    count = np.count_nonzero(np.isfinite(values), axis=0)
    cells = np.arange(values.shape[1])
    found = np.full((len(shares), len(cells)), np.nan)
    for row, share in enumerate(shares):
        place = np.maximum(count - 1, 0) * (share / 100.0)
        below = np.floor(place).astype(np.int64)
        above = np.minimum(below + 1, np.maximum(count - 1, 0))
        low, high = (ordered[at, cells].astype(np.float64) for at in (below, above))
        found[row] = np.where(count > 0, low + (place - below) * (high - low), np.nan)
    return found


def scores(
    predicted: Values,
    observed: Values,
    simulated: Values,
    *,
    season: NDArray[np.int64],
    length: int,
    threshold: Doubles,
    scale: Doubles,
) -> dict[str, NDArray[Any]]:
    """All scores by name, each of shape (cells,), float64, `count` int32.

    predicted, observed, simulated  shape (days, cells); days are paired where all three have values
    season     day of the season of each day, from 0, shape (days,)
    length     how many days of the season are told apart; 0 where there are no anomalies
    threshold  events are days below it, shape (cells,)
    scale      what RMSE is divided by, shape (cells,)
    """
    cells = predicted.shape[1]
    sums = np.zeros((ROWS, cells))
    means = np.zeros((3, length, cells))
    _means(predicted, observed, simulated, season, sums, means)
    _moments(predicted, observed, simulated, season, threshold, sums, means)
    return _scores(sums, scale)


# Rows of the sums over paired days: p predicted, o observed, s simulated; x, y of deviations from the means; a, b of
# anomalies from the season; then the table of events.
N, P, O, XX, YY, XY, DD, EE, SS, AA, BB, AB, HITS, ALARMS, MISSES, QUIET = range(16)  # noqa: E741
ROWS = 16

_compiled = numba.njit(cache=True, nogil=True, error_model="numpy")


@_compiled
def _means(predicted: Any, observed: Any, simulated: Any, season: Any, sums: Any, means: Any) -> None:
    """Counts and means, of all days and by day of the season.

    Days are the outer loop and cells the inner one, as they lie in memory; the sums of a cell are always taken in the
    order of days, so that they do not depend on the cells beside it. Rows are named before the inner loops: only then
    LLVM makes vector instructions of them.
    """
    for day in range(len(predicted)):
        p, o, s = predicted[day], observed[day], simulated[day]
        _count(p, o, s, sums[N], sums[P], sums[O])
        if means.shape[1]:
            _count(p, o, s, means[0, season[day]], means[1, season[day]], means[2, season[day]])
    for cell in range(sums.shape[1]):
        sums[P, cell] /= max(sums[N, cell], 1.0)
        sums[O, cell] /= max(sums[N, cell], 1.0)
    for at in range(means.shape[1]):
        for cell in range(sums.shape[1]):
            means[1, at, cell] /= max(means[0, at, cell], 1.0)
            means[2, at, cell] /= max(means[0, at, cell], 1.0)


@_compiled
def _count(p: Any, o: Any, s: Any, count: Any, total_p: Any, total_o: Any) -> None:
    for cell in range(len(p)):
        both = p[cell] + o[cell] + s[cell]
        known = both - both == 0.0
        count[cell] += 1.0 if known else 0.0
        total_p[cell] += np.float64(p[cell]) if known else 0.0
        total_o[cell] += np.float64(o[cell]) if known else 0.0


@_compiled
def _moments(predicted: Any, observed: Any, simulated: Any, season: Any, threshold: Any, sums: Any, means: Any) -> None:
    """Sums of squares and products of deviations from the means, and the table of events."""
    for day in range(len(predicted)):
        p, o, s = predicted[day], observed[day], simulated[day]
        _deviations(p, o, s, sums[P], sums[O], sums[XX], sums[YY], sums[XY], sums[DD])
        _errors(p, o, s, sums[EE], sums[SS])
        _table(p, o, s, threshold, sums[HITS], sums[ALARMS], sums[MISSES], sums[QUIET])
        if means.shape[1]:
            _anomalies(p, o, s, means[1, season[day]], means[2, season[day]], sums[AA], sums[BB], sums[AB])


@_compiled
def _deviations(p: Any, o: Any, s: Any, mean_p: Any, mean_o: Any, xx: Any, yy: Any, xy: Any, dd: Any) -> None:
    for cell in range(len(p)):
        both = p[cell] + o[cell] + s[cell]
        known = both - both == 0.0
        x = np.float64(p[cell]) - mean_p[cell] if known else 0.0
        y = np.float64(o[cell]) - mean_o[cell] if known else 0.0
        xx[cell] += x * x
        yy[cell] += y * y
        xy[cell] += x * y
        dd[cell] += (x - y) * (x - y)


@_compiled
def _errors(p: Any, o: Any, s: Any, ee: Any, ss: Any) -> None:
    for cell in range(len(p)):
        both = p[cell] + o[cell] + s[cell]
        known = both - both == 0.0
        error = np.float64(p[cell]) - np.float64(o[cell]) if known else 0.0
        own = np.float64(s[cell]) - np.float64(o[cell]) if known else 0.0
        ee[cell] += error * error
        ss[cell] += own * own


@_compiled
def _anomalies(p: Any, o: Any, s: Any, mean_p: Any, mean_o: Any, aa: Any, bb: Any, ab: Any) -> None:
    for cell in range(len(p)):
        both = p[cell] + o[cell] + s[cell]
        known = both - both == 0.0
        a = np.float64(p[cell]) - mean_p[cell] if known else 0.0
        b = np.float64(o[cell]) - mean_o[cell] if known else 0.0
        aa[cell] += a * a
        bb[cell] += b * b
        ab[cell] += a * b


@_compiled
def _table(p: Any, o: Any, s: Any, threshold: Any, hits: Any, alarms: Any, misses: Any, quiet: Any) -> None:
    for cell in range(len(p)):
        both = p[cell] + o[cell] + s[cell]
        known = both - both == 0.0
        alarm, event = p[cell] < threshold[cell], o[cell] < threshold[cell]
        hits[cell] += 1.0 if known & alarm & event else 0.0
        alarms[cell] += 1.0 if known & alarm & (not event) else 0.0
        misses[cell] += 1.0 if known & event & (not alarm) else 0.0
        quiet[cell] += 1.0 if known & (not alarm) & (not event) else 0.0


def _scores(sums: Doubles, scale: Doubles) -> dict[str, NDArray[Any]]:
    count = sums[N]
    some = count > 0
    with np.errstate(invalid="ignore", divide="ignore"):
        mean_p, mean_o = (np.where(some, sums[row], np.nan) for row in (P, O))
        spread_p, spread_o, spread_a, spread_b = (np.sqrt(sums[row] / count) for row in (XX, YY, AA, BB))
        varies = spread_o > NO_SPREAD
        r = _correlation(sums[XY] / count, spread_p, spread_o)
        variability = np.where(varies, spread_p / spread_o, np.nan)
        mean_ratio = np.where(np.abs(mean_o) > NO_SPREAD, mean_p / mean_o, np.nan)
        linked = np.where(varies & (spread_p <= NO_SPREAD), 0.0, r)
        rmse = np.sqrt(sums[EE] / count)
        hits, alarms, misses, quiet = sums[HITS : QUIET + 1]
        return {
            "paired_days": count.astype(np.int32),
            "bias": mean_p - mean_o,
            "rmse": rmse,
            "ubrmse": np.sqrt(sums[DD] / count),
            "nrmse": np.where(scale > NO_SPREAD, rmse / scale, np.nan),
            "r": r,
            "anomaly_r": _correlation(sums[AB] / count, spread_a, spread_b),
            "nse": np.where(varies, 1.0 - sums[EE] / sums[YY], np.nan),
            "kge": 1.0 - np.sqrt((linked - 1.0) ** 2 + (variability - 1.0) ** 2 + (mean_ratio - 1.0) ** 2),
            "variability_ratio": variability,
            "mean_ratio": mean_ratio,
            **events(hits, alarms, misses, quiet),
            "simulation_rmse": np.sqrt(sums[SS] / count),
        }


def _correlation(product: Doubles, spread: Doubles, other: Doubles) -> Doubles:
    """NaN where either does not vary; rounding must not carry it beyond its bounds."""
    found = np.where((spread > NO_SPREAD) & (other > NO_SPREAD), product / (spread * other), np.nan)
    return np.asarray(np.clip(found, -1.0, 1.0))


def events(hits: Doubles, alarms: Doubles, misses: Doubles, quiet: Doubles) -> dict[str, Doubles]:
    """Scores of days with events, of numbers of the same shape: events found, false alarms, events missed, and days
    with neither."""
    with np.errstate(invalid="ignore", divide="ignore"):
        chance = (hits + misses) * (misses + quiet) + (hits + alarms) * (alarms + quiet)
        return {
            "pod": hits / (hits + misses),
            "far": alarms / (hits + alarms),
            "csi": hits / (hits + alarms + misses),
            # Alarms without any event would be infinitely many too many.
            "frequency_bias": np.where(hits + misses > 0, (hits + alarms) / (hits + misses), np.nan),
            "hss": 2.0 * (hits * quiet - alarms * misses) / chance,
        }
