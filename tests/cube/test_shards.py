"""Shards are the objects that zarr-python itself writes, byte for byte, at every edge of an array."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from zarr.storage import MemoryStore

from cube.layout import Dim, Group, Layout
from cube.shards import encode_variable
from cube.structure import structure
from cube.template import ArraySpec, Template

DIMS = ("time", "lat", "lon", "layer")
TYPES: list[tuple[str, dict[str, Any]]] = [
    ("float32", {}),
    ("float64", {"_FillValue": -9999.0}),
    ("int16", {"_FillValue": -32768}),
    ("int8", {}),
    ("bool", {}),
]


def case(shape, chunk, times, dtype="float32", attrs=None):
    """(metadata, group, values): an array of one group, with missing cells."""
    dims = DIMS[: len(shape)]
    spec = ArraySpec(dims, tuple(shape), np.dtype(dtype), attrs or {})
    blocked = [Dim(d, n, c, c * t) for d, n, c, t in zip(dims, shape, chunk, times, strict=False)]
    group = Group("sm", ("sm",), tuple(blocked))
    template = Template({"sm": spec}, xr.Dataset(), None, (), (("sm",),))
    random = np.random.default_rng(7)
    values = (random.gamma(0.5, 20, shape).round(1) - 3).astype(dtype)
    fill = spec.fill
    if fill is not None and shape:
        values[random.random(shape) < 0.3] = fill
    return structure(template, Layout("time", (group,)), {}), group, values


def by_zarr(objects, values):
    """All shards, written by zarr-python."""
    prototype = zarr.core.buffer.default_buffer_prototype()
    store = MemoryStore({key: prototype.buffer.from_bytes(data) for key, data in objects.items()})
    with zarr.config.set({"array.write_empty_chunks": True}):
        zarr.open_array(store, path="sm", mode="r+")[...] = values
    return {key: value.to_bytes() for key, value in store._store_dict.items() if key.startswith("sm/c")}


def by_us(objects, group, values):
    found, missing = {}, 0
    for block in Layout("time", (group,)).blocks():
        cut = group.slices(block)
        part = values[tuple(cut.get(dim, slice(None)) for dim in DIMS[: values.ndim])]
        encoded = encode_variable("sm", objects["sm/zarr.json"], group, block, part)
        found |= encoded.shards
        missing += encoded.missing
    return found, missing


@settings(max_examples=60)
@given(
    shape=st.lists(st.integers(1, 13), min_size=1, max_size=3),
    chunk=st.tuples(*[st.integers(1, 5)] * 3),
    times=st.tuples(*[st.integers(1, 6)] * 3),
    kind=st.sampled_from(TYPES),
)
def test_shard_differs_from_what_zarr_writes(shape, chunk, times, kind):
    objects, group, values = case(shape, chunk, times, *kind)
    found, _ = by_us(objects, group, values)
    assert found == by_zarr(objects, values)


@pytest.mark.parametrize(("dtype", "attrs"), TYPES)
def test_padding_at_the_edge_is_counted_as_missing(dtype, attrs):
    objects, group, values = case((11, 7, 5), (4, 3, 2), (2, 1, 2), dtype, attrs)
    expected = np.isnan(values).sum() if dtype == "float32" else (values == attrs.get("_FillValue")).sum()
    _, missing = by_us(objects, group, values)
    assert missing == (0 if not attrs and dtype != "float32" else expected)


def test_dimension_that_is_not_blocked_is_cut():
    objects, group, values = case((6, 5, 3, 2), (4, 2), (1, 2))
    assert by_us(objects, group, values)[0] == by_zarr(objects, values)


def test_number_without_dimensions():
    objects, group, values = case((), (), ())
    assert by_us(objects, group, values)[0] == by_zarr(objects, values)


def test_transposed_values_are_encoded_in_the_order_of_memory():
    objects, group, values = case((6, 5, 4), (3, 2, 2), (1, 2, 1))
    block = next(Layout("time", (group,)).blocks())
    cut = tuple(group.slices(block)[dim] for dim in DIMS[:3])
    turned, straight = np.asfortranarray(values)[cut], values[cut]
    one, other = (encode_variable("sm", objects["sm/zarr.json"], group, block, each) for each in (turned, straight))
    assert one == other
