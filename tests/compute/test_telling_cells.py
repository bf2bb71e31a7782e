"""Which variables and values tell that a cell is part of a product, against rows written by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from compute.seasons.reasons import flag_attrs
from compute.telling_cells import telling, tells
from cube.template import ArraySpec

FILL = -32768


def spec(*dims: str, dtype: str = "f4", **attrs: Any) -> ArraySpec:
    return ArraySpec(dims, (1,) * len(dims), np.dtype(dtype), attrs)


ONSET = spec("time", "lat", "lon", dtype="i2", _FillValue=FILL)
FLAG = spec("time", "lat", "lon", dtype="i1", **flag_attrs())
DAYS = spec("time", "lat", "lon", dtype="i2", _FillValue=FILL)
RAIN = spec("lat", "lon")
WET = spec("time", "lat", "lon", dtype="i1")
CLASSES = spec("time", "lat", "lon", dtype="i1", flag_values=[0, 1], flag_meanings="dry wet", _FillValue=-1)


@pytest.mark.parametrize(
    ("arrays", "names"),
    [
        ({"onset": ONSET, "season_flag": FLAG, "rain_mean": RAIN}, ["season_flag"]),
        ({"dry_days": DAYS, "valid_days": DAYS}, ["valid_days"]),
        ({"onset": ONSET, "rain_mean": RAIN}, ["onset"]),
        ({"rain_mean": RAIN}, ["rain_mean"]),
        ({"ssmi": ONSET, "class": CLASSES, "wet": WET}, ["ssmi"]),
        ({"wet": WET}, ["wet"]),
        ({}, []),
    ],
)
def test_variable_that_says_nothing_of_cells_is_asked(arrays: dict[str, ArraySpec], names: list[str]) -> None:
    assert list(telling(arrays)) == names


def test_arid_cells_tell_nothing() -> None:
    stored = np.array([0, 1, 2, 4, 10], np.int8)
    expected = [True, False, True, True, True]
    assert tells("season_flag", FLAG, stored).tolist() == expected
    assert tells("season_flag", FLAG, stored.astype(float)).tolist() == expected
    assert tells("season_flag", FLAG, np.array([np.nan, 0.0])).tolist() == [False, True]
    assert telling({"season_flag": FLAG})["season_flag"] == 1


def test_flag_of_bits_with_the_word_is_taken_for_reasons() -> None:
    masks = spec("lat", "lon", dtype="i1", flag_masks=[1, 2], flag_meanings="no_data other")
    value = spec("lat", "lon")
    assert list(telling({"change": value, "change_flag": masks})) == ["change"]


def test_days_that_are_missing_or_none_tell() -> None:
    assert tells("valid_days", DAYS, np.array([0, 12, FILL], np.int16)).tolist() == [False, True, False]
    assert tells("valid_days", DAYS, np.array([0.0, 12.0, np.nan])).tolist() == [False, True, False]


def test_shape_of_the_values_is_lost() -> None:
    values = np.array([[[1.0, np.nan]], [[np.nan, 0.0]]])
    np.testing.assert_array_equal(tells("rain_mean", RAIN, values), ~np.isnan(values))
    np.testing.assert_array_equal(tells("onset", ONSET, np.array([[FILL, 0]], np.int16)), [[False, True]])
    assert tells("wet", WET, np.array([0, 1], np.int8)).all()
