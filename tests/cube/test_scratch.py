"""Intermediate arrays come back as they were left, or not at all."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from cube.errors import IntegrityError
from cube.scratch import Scratchpad
from cube.stores import open_store

VALUES = np.random.default_rng(1).normal(size=(7, 5, 6)).astype("float32")


@pytest.fixture
def scratch(tmp_path):
    return Scratchpad(open_store(tmp_path), "tmp")


@given(
    values=arrays.arrays(
        st.sampled_from(["float32", "float64", "int16", "int8", "uint8", "bool"]),
        arrays.array_shapes(min_dims=1, max_dims=4, max_side=6),
    ),
    frame=st.sampled_from([1, 40, 2**19]),
)
def test_value_or_type_or_shape_is_lost(values, frame):
    scratch = Scratchpad(Memory(), "tmp")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cube.scratch._FRAME_BYTES", frame)
        scratch.put("a", values)
    found = scratch.get("a")
    assert (found.dtype, found.shape) == (values.dtype, values.shape)
    np.testing.assert_array_equal(found, values)


@pytest.mark.parametrize("part", [np.s_[:7, 2:7, 1:7], np.s_[4:11, :5, :6]])
def test_array_lands_beside_its_place(scratch, part):
    whole = np.zeros((12, 9, 8) if part[1].start else (12, 5, 6), "float32")
    expected = whole.copy()
    expected[part] = VALUES
    scratch.put("a", VALUES)
    scratch.get("a", whole[part])
    np.testing.assert_array_equal(whole, expected)


def test_part_of_a_larger_array_is_not_left_with_its_surroundings(scratch):
    scratch.put("a", VALUES[1:4, ::2, 3:])
    np.testing.assert_array_equal(scratch.get("a"), VALUES[1:4, ::2, 3:])


@pytest.mark.parametrize("place", [0, 20, -200, -1])
def test_flipped_bit_is_used(scratch, place, tmp_path):
    scratch.put("a", VALUES)
    path = tmp_path / "tmp" / "a"
    data = bytearray(path.read_bytes())
    data[place] ^= 4
    path.write_bytes(data)
    with pytest.raises(IntegrityError, match="scratch-changed"):
        scratch.get("a")
    assert not path.exists()


@pytest.mark.parametrize("length", [0, 3, 30, -5])
def test_truncated_array_is_used(scratch, length, tmp_path):
    scratch.put("a", VALUES)
    path = tmp_path / "tmp" / "a"
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(IntegrityError, match="scratch-changed"):
        scratch.get("a")


def test_whole_array_is_copied_besides_what_is_sent(scratch):
    values = np.random.default_rng(0).random((64, 64, 512), dtype="float32")[:, ::-1]
    out = np.empty_like(values)
    tracemalloc.start()
    try:
        scratch.put("a", values)
        put = tracemalloc.get_traced_memory()[1]
        tracemalloc.reset_peak()
        scratch.get("a", out)
        got = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # Noise does not get smaller: once its size is what is sent and received.
    assert put < 1.2 * values.nbytes
    assert got < 1.2 * values.nbytes


class Memory(dict):
    """A store without files."""

    def put(self, key, data, *, immutable=True):
        self[key] = bytes(data)
