"""What an emulator must beat: the mean of the season, yesterday's knowledge, and the buckets alone."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from compute.emulator.features import BUCKET_ROWS

Doubles = NDArray[np.float64]

_LONGEST_YEAR: Final = 366


def climatology(
    reference: ArrayLike, day_of_year: ArrayLike, wanted: ArrayLike, half_window: int = 7
) -> NDArray[np.float32]:
    """Mean of the season, shape (wanted days, cells): a mean over the years of the reference and over a window of days.

    reference    shape (days, cells); missing days are left out, and a day of year without any is NaN
    day_of_year  of the reference, 1 on the first of January, shape (days,)
    wanted       days of the year to predict
    half_window  days before and after that are taken too, so that few years give a smooth season

    Raises ValueError for days of the year outside 1 to 366.
    """
    values, number = np.asarray(reference, np.float64), np.asarray(day_of_year, np.int64)
    asked = np.asarray(wanted, np.int64)
    year = int(max(number.max(), asked.max()))
    if min(number.min(), asked.min()) < 1 or year > _LONGEST_YEAR:
        raise ValueError(f"days of the year go from 1 to {_LONGEST_YEAR}, found {year}")
    sums, counts = np.zeros((2, year, values.shape[1]))
    valid = np.isfinite(values)
    np.add.at(sums, number - 1, np.where(valid, values, 0.0))
    np.add.at(counts, number - 1, valid)
    around = range(-half_window, half_window + 1)
    sums, counts = (np.sum([np.roll(each, k, axis=0) for k in around], axis=0) for each in (sums, counts))
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.asarray(sums / counts, np.float32)
    return np.asarray(mean[asked - 1])


def persistence(reference: ArrayLike, lag: int) -> NDArray[np.float32]:
    """The reference of `lag` days before, shape (days, cells); the first `lag` days are NaN.

    It uses what an emulator never sees, the reference itself, and with a lag of few days deep layers hardly differ: say
    the lag beside the score.

    Raises ValueError for a lag below one day.
    """
    values = np.asarray(reference, np.float32)
    if lag < 1:
        raise ValueError(f"a lag is at least one day, not {lag}")
    out = np.full_like(values, np.nan)
    out[lag:] = values[:-lag]
    return out


def fit_buckets(features: ArrayLike, targets: ArrayLike) -> Doubles:
    """Ordinary least squares of each target on the four bucket fills: shape (5, targets), the intercept first.

    features  shape (rows, 29)
    targets   shape (rows, targets)
    """
    inputs = _with_intercept(np.asarray(features)[:, BUCKET_ROWS])
    found, *_ = np.linalg.lstsq(inputs, np.asarray(targets, np.float64), rcond=None)
    return np.asarray(found, np.float64)


def predict_buckets(coefficients: ArrayLike, features: ArrayLike) -> NDArray[np.float32]:
    """What the buckets alone tell, shape (cells, targets, days), clipped to [0, 1].

    coefficients  from `fit_buckets`
    features      shape (cells, 29, days)
    """
    fills, found = np.asarray(features, np.float64)[:, BUCKET_ROWS], np.asarray(coefficients, np.float64)
    values = np.broadcast_to(found[0][:, None], (len(fills), found.shape[1], fills.shape[2]))
    # One after the other: the order of a library's sum depends on the shape, and bits with it.
    for bucket, slopes in enumerate(found[1:]):
        values = values + slopes[:, None] * fills[:, bucket, None]
    return np.asarray(np.clip(values, 0.0, 1.0), np.float32)


def _with_intercept(fills: NDArray[Any]) -> Doubles:
    return np.column_stack([np.ones(len(fills)), fills.astype(np.float64)])
