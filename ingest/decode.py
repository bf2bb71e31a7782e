"""Raw numbers to published ones: missing values, packing, units, sums to rates, sub-daily to daily."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingest.archive import Decode

Array = NDArray[Any]

_HUGE = 1e15
"""Fills of this size are compared with a tolerance: 1e20 in double precision is not 1e20 in single."""

FILL_DEFAULTS = {
    "int8": -127,
    "int16": -32767,
    "int32": -2147483647,
    "int64": -9223372036854775806,
    "uint8": 255,
    "uint16": 65535,
    "uint32": 4294967295,
    "uint64": 18446744073709551614,
}
"""netCDF's own fill values, for integers whose file names none."""


class NegativeValueError(ValueError):
    """A value below zero where only rounding noise may be."""


class FillTakenError(ValueError):
    """A valid integer that other files use for missing ones."""


def decode(raw: Array, rule: Decode, lengths: Sequence[float] = (), rejected: NDArray[np.bool_] | None = None) -> Array:
    """Published values of raw ones, shape as given.

    raw       as stored, time first where `lengths` are given
    lengths   seconds of each step, by which sums are divided
    rejected  values that the file's quality flag rejects, of the shape of `raw`

    Raises NegativeValueError where values are negative beyond the rule's tolerance, FillTakenError where a number that
    is not missing is the one that stands for missing.
    """
    if rule.unsigned:
        raw = raw.view(raw.dtype.str.replace("i", "u"))
    missing = _missing(raw, rule.missing)
    if rejected is not None:
        missing = rejected if missing is None else missing | rejected
    if rule.fill is not None:
        values = raw.astype(rule.dtype)
        taken = values == rule.fill
        if (taken if missing is None else taken & ~missing).any():
            raise FillTakenError(f"{rule.fill} is a value there, and stands for missing in the product")
        if missing is not None:
            values[missing] = rule.fill
        return values
    values = _converted(raw, rule, lengths)
    if missing is not None:
        values[missing] = np.nan
    if rule.floor is not None:
        _no_negatives(values, rule.floor)
    return values


def _converted(raw: Array, rule: Decode, lengths: Sequence[float]) -> Array:
    if rule.factor == 1.0 and rule.offset == 0.0 and not lengths:
        return raw.astype(rule.dtype)
    exact = raw.astype(np.float64)
    # Signalling fills overflow harmlessly: they are masked afterwards.
    with np.errstate(over="ignore", invalid="ignore"):
        exact *= rule.factor
        exact += rule.offset
        if lengths:
            exact /= np.asarray(lengths, np.float64).reshape(-1, *(1,) * (raw.ndim - 1))
        return exact.astype(rule.dtype, copy=False)


def _missing(raw: Array, values: Sequence[float | int]) -> NDArray[np.bool_] | None:
    found: NDArray[np.bool_] | None = None
    for value in values:
        here = _equal(raw, value)
        if here is not None:
            found = here if found is None else found | here
    return found


def _equal(raw: Array, value: float | int) -> NDArray[np.bool_] | None:
    """Where `raw` is `value`; None where its type cannot hold that."""
    if raw.dtype.kind in "iu":
        limits = np.iinfo(raw.dtype)
        if value != int(value) or not limits.min <= value <= limits.max:
            return None
        return np.asarray(raw == raw.dtype.type(int(value)))
    if abs(value) >= _HUGE and np.isfinite(value):
        low, high = sorted((value * (1 - 1e-6), value * (1 + 1e-6)))
        return np.asarray((raw >= low) & (raw <= high))
    with np.errstate(over="ignore"):
        return np.asarray(raw == raw.dtype.type(value))


def _no_negatives(values: Array, floor: float) -> None:
    with np.errstate(invalid="ignore"):
        below = values < 0
    if below.any():
        lowest = float(values[below].min())
        if lowest < floor:
            raise NegativeValueError(f"the lowest value is {lowest:g}, and less than {floor:g} is no rounding noise")
        values[below] = 0


def reduce_steps(values: Array, rule: str, number: int) -> Array:
    """Every `number` steps along the first axis as one, shape (steps / number, ...); NaN where one is missing."""
    grouped = values.reshape(-1, number, *values.shape[1:])
    if rule == "maximum":
        return grouped.max(axis=1)
    if rule == "minimum":
        return grouped.min(axis=1)
    return grouped.mean(axis=1, dtype=np.float64).astype(values.dtype)
