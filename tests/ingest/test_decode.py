"""Raw numbers to published ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ingest.archive import Decode
from ingest.decode import NegativeValueError, decode, reduce_steps


def rule(**options: Any) -> Decode:
    return Decode(**{"variable": "v", "axes": ("time",), "dtype": "float32"} | options)


def test_all_kinds_of_fill_become_missing() -> None:
    raw = np.array([1, -9999, -999.9, 1e20, -1e20, -np.inf, np.nan, 9.96921e36, 0], np.float32)
    found = decode(raw, rule(missing=(-9999.0, -999.9, 1e20, -1e20, float("-inf"), 9.969209968386869e36)))
    np.testing.assert_array_equal(found, np.array([1, *[np.nan] * 7, 0], np.float32))


def test_a_double_fill_that_was_single_is_recognised() -> None:
    # SOURCES IS3: 1.0000000200408773e20 in double precision, and the sentinel 1e20.
    raw = np.array([1.0000000200408773e20, 2.5])
    assert np.isnan(decode(raw, rule(dtype="float64", missing=(1e20,)))).tolist() == [True, False]


def test_signed_bytes_with_fill_minus_one() -> None:
    raw = np.array([-1, 0, 35, 127], np.int8)
    np.testing.assert_array_equal(decode(raw, rule(missing=(-1,))), np.array([np.nan, 0, 35, 127], np.float32))


def test_a_fill_that_the_type_cannot_hold_is_no_value() -> None:
    raw = np.array([-15, 1], np.int8)
    assert decode(raw, rule(missing=(-9999, 0.5))).tolist() == [-15, 1]


def test_unsigned_bytes_in_classic_files() -> None:
    raw = np.array([-1, -2, 5], np.int8)
    assert decode(raw, rule(unsigned=True, missing=(255,)))[1:].tolist() == [254, 5]


def test_flags_stay_integers_and_take_the_published_fill() -> None:
    raw = np.array([0, 3, 127], np.int8)
    found = decode(raw, rule(dtype="int16", fill=-1, missing=(127,)))
    assert (found.tolist(), found.dtype) == ([0, 3, -1], np.dtype("int16"))


@given(
    raw=hnp.arrays(np.int16, 20),
    scale=st.floats(1e-6, 10),
    offset=st.floats(-300, 300),
)
def test_packing_and_units_together_are_exact_to_single_precision(
    raw: np.ndarray[Any, Any], scale: float, offset: float
) -> None:
    # scale and offset, then degC to K
    found = decode(raw, rule(factor=scale, offset=offset + 273.15))
    expected = (raw.astype(np.float64) * scale + offset) + 273.15
    np.testing.assert_allclose(found, expected.astype(np.float32), rtol=2e-7, atol=1e-7)


def test_sums_over_months_are_divided_by_their_length() -> None:
    raw = np.full((2, 3), 310.0, np.float32)
    found = decode(raw, rule(factor=86400.0), lengths=(31 * 86400.0, 28 * 86400.0))
    np.testing.assert_allclose(found, [[10] * 3, [310 / 28] * 3], rtol=1e-7)


def test_rounding_noise_below_zero_becomes_zero() -> None:
    # SOURCES EP1: -3.36e-24 kg m-2 s-1.
    raw = np.array([-3.36e-24, -5e-10, 1e-5, np.nan], np.float32)
    found = decode(raw, rule(factor=86400.0, floor=-8.64e-4))
    assert found[:2].tolist() == [0, 0]
    assert not np.signbit(found[:2]).any()


def test_negative_rain_beyond_noise_is_an_error() -> None:
    with pytest.raises(NegativeValueError, match="-99"):
        decode(np.array([-99.0, 1.0], np.float32), rule(floor=-8.64e-4))


def test_rejected_values_are_missing() -> None:
    found = decode(np.array([0.1, 0.2], np.float32), rule(), rejected=np.array([True, False]))
    assert np.isnan(found).tolist() == [True, False]


@pytest.mark.parametrize(("how", "expected"), [("mean", 2.5), ("maximum", 4), ("minimum", 1)])
def test_days_of_steps(how: str, expected: float) -> None:
    assert reduce_steps(np.array([1, 2, 3, 4], np.float32), how, 4).tolist() == [expected]


@pytest.mark.parametrize("how", ["mean", "maximum", "minimum"])
def test_a_day_needs_all_its_steps(how: str) -> None:
    steps = np.array([[1, 1], [2, np.nan], [3, 3], [4, 4]], np.float32)
    assert np.isnan(reduce_steps(steps, how, 4)).tolist() == [[False, True]]
