"""What is read from shards is what zarr-python reads, at every edge of an array, and damage is never read."""

from __future__ import annotations

import threading

import numcodecs
import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from zarr.core.buffer import default_buffer_prototype
from zarr.storage import MemoryStore

from cube import unsharding
from cube.errors import IntegrityError
from cube.shards import ABSENT, Form, crc32c
from cube.unsharding import read_shards
from tests.cube.test_shards import DIMS, TYPES, by_us, by_zarr, case

KEY = "sm/c/0/0/0"


def reader(objects, asked=None):
    def get(key, start, stop):
        if asked is not None:
            asked.append((key, start, stop))
        return objects[key][start:stop]

    return get


def read(objects, slices, asked=None, **how):
    return read_shards(reader(objects, asked), Form.of(objects["sm/zarr.json"]), "sm", slices, **how)


@pytest.fixture(scope="module")
def small_pieces():
    """A few numbers are put in place at once, so that small arrays have what large ones have."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(unsharding, "_PIECE", 64)
        yield


@settings(max_examples=200)
@given(st.data())
def test_part_differs_from_what_zarr_reads(small_pieces, data):
    shape = data.draw(st.lists(st.integers(1, 13), min_size=1, max_size=4))
    chunk, times = (data.draw(st.tuples(*[st.integers(1, most)] * 4)) for most in (5, 6))
    objects, _, values = case(shape, chunk, times, *data.draw(st.sampled_from(TYPES)))
    objects |= by_zarr(objects, values)
    slices = {}
    for dim, size in zip(DIMS, shape, strict=False):
        if data.draw(st.booleans()):
            start = data.draw(st.integers(0, size))
            slices[dim] = slice(start, data.draw(st.integers(start, size + 2)))
    prototype = default_buffer_prototype()
    store = MemoryStore({key: prototype.buffer.from_bytes(each) for key, each in objects.items()})
    cut = tuple(slices.get(dim, slice(None)) for dim in DIMS[: len(shape)])
    expected = zarr.open_array(store, path="sm", mode="r")[cut]
    found = read(objects, slices, whole=data.draw(st.booleans()))
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(found, values[cut])


@pytest.mark.parametrize("start", [0, 999, 1500, 2999])
def test_long_series_without_cells_is_read_in_part(start):
    objects, group, values = case((3000,), (1000,), (4,), "int16", {})
    objects |= by_us(objects, group, values)[0]
    np.testing.assert_array_equal(read(objects, {"time": slice(start, 3000)}), values[start:])


def test_step_is_overlooked():
    objects, _ = sample()
    with pytest.raises(ValueError, match="without steps"):
        read(objects, {"time": slice(0, 12, 2)})


def test_number_without_dimensions():
    objects, group, values = case((), (), ())
    found = read(objects | by_us(objects, group, values)[0], {})
    assert found.shape == ()
    np.testing.assert_array_equal(found, values)


def sample():
    """An array of one shard of 3 x 2 x 2 inner chunks."""
    objects, group, values = case((12, 6, 8), (4, 3, 4), (3, 2, 2))
    return objects | by_us(objects, group, values)[0], values


def test_one_place_of_a_large_shard_costs_the_whole_of_it():
    objects, values = sample()
    asked = []
    found = read(objects, {"time": slice(5, 6), "lat": slice(2, 3), "lon": slice(7, 8)}, asked)
    assert found == values[5, 2, 7]
    (index, chunk) = asked
    assert index == (KEY, -(16 * 12 + 4), None)
    assert chunk[2] - chunk[1] < len(objects[KEY]) / 6


def test_whole_shard_is_fetched_in_pieces():
    objects, values = sample()
    asked = []
    np.testing.assert_array_equal(read(objects, {}, asked), values)
    assert asked == [(KEY, None, None)]


def test_neighbours_cost_a_request_each():
    objects, group, values = case((40, 40), (4, 4), (10, 10))
    objects |= by_us(objects, group, values)[0]
    asked = []
    np.testing.assert_array_equal(read(objects, {"time": slice(3, 9)}, asked), values[3:9])
    assert len(asked) <= 2


def test_failure_waits_for_what_is_on_its_way():
    objects, _, _ = case((64,), (1,), (1,))
    told, answered = threading.Event(), []

    def get(key, start, stop):
        if key.endswith("/0"):
            raise ConnectionError(key)
        told.wait(30)
        answered.append(key)
        raise ConnectionError(key)

    with pytest.raises(ConnectionError, match="sm/c/0"):
        read_shards(get, Form.of(objects["sm/zarr.json"]), "sm", {})
    assert not answered
    told.set()


@pytest.mark.parametrize("part", [{}, {"time": slice(0, 1), "lat": slice(0, 1), "lon": slice(0, 1)}])
@pytest.mark.parametrize("shorter", [1, 100, 10_000])
def test_truncated_shard_is_read(part, shorter):
    objects, _ = sample()
    objects[KEY] = objects[KEY][:-shorter]
    with pytest.raises(IntegrityError) as error:
        read(objects, part)
    assert error.value.problems[0].code == "object-changed"


@given(st.integers(0, 10**6), st.integers(1, 255))
def test_changed_byte_is_read(position, change):
    objects, _ = sample()
    data = bytearray(objects[KEY])
    data[position % len(data)] ^= change
    objects[KEY] = bytes(data)
    with pytest.raises(IntegrityError):
        read(objects, {})


def with_chunk(chunk):
    """A shard of one inner chunk, which is given, with right checksums."""
    objects, _, _ = case((4,), (4,), (1,))
    index = np.array([0, len(chunk) + 4], "<u8").tobytes() if chunk is not None else np.full(2, ABSENT, "<u8").tobytes()
    chunk = chunk or b""
    return objects | {"sm/c/0": chunk + (crc32c(chunk) if chunk else b"") + index + crc32c(index)}


def header(size=16, length=20, flags=2, typesize=4):
    """Of a blosc chunk: sizes before and after."""
    return bytes([2, 1, flags, typesize]) + b"".join(number.to_bytes(4, "little") for number in (size, 16, length))


@pytest.mark.parametrize(
    "chunk",
    [
        pytest.param(None, id="no chunk"),
        pytest.param(b"", id="nothing"),
        pytest.param(b"ab", id="no header"),
        pytest.param(numcodecs.Blosc().encode(np.zeros(3, "f4")), id="another size"),
        pytest.param(header(length=16), id="a header alone"),
        pytest.param(header(length=32, flags=0x82), id="a body beyond the end"),
        pytest.param(header(length=2**31 - 1) + bytes(4), id="a length beyond the end"),
        pytest.param(numcodecs.Blosc(typesize=2).encode(np.zeros(4, "f4").view("i2")), id="another type"),
    ],
)
def test_chunk_of_another_size_overruns_memory(chunk):
    with pytest.raises(IntegrityError):
        read(with_chunk(chunk), {})


def test_failure_of_the_store_is_swallowed():
    def get(key, start, stop):
        raise ConnectionError(key)

    objects, _ = sample()
    with pytest.raises(ConnectionError):
        read_shards(get, Form.of(objects["sm/zarr.json"]), "sm", {})
