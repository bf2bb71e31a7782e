"""One pass or two, in any budget: the blocks are the source's values, and no source chunk is decoded twice."""

from __future__ import annotations

import dataclasses
import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cube.errors import RefusedError
from cube.job import WORKER_BYTES, BlockTask
from cube.layout import Dim, Group, Layout, Part
from cube.rechunk import Rechunked, rechunk_works
from cube.scratch import Scratchpad
from cube.stores import open_store


@dataclasses.dataclass(frozen=True)
class Chunked:
    """A source that counts how often each of its chunks is decoded."""

    values: Any
    chunk: tuple[int, ...]
    dims: tuple[str, ...]
    decoded: dict[tuple[int, ...], int] = dataclasses.field(default_factory=dict)

    def within(self, window):
        return self

    def read(self, window, out, done):
        pairs = list(zip(self.dims, self.chunk, strict=True))
        spans = [range(window[d].start // c, (window[d].stop - 1) // c + 1) for d, c in pairs]
        for index in itertools.product(*spans):
            self.decoded[index] = self.decoded.get(index, 0) + 1
        out[...] = self.values[tuple(window[d] for d in self.dims)]

    def steps(self, window):
        return window["time"].start, window["time"].stop


class Memory(dict[str, Any]):
    """A scratch without files: fsync would take most of the test's time."""

    def put(self, name, values):
        self[name] = values.copy()

    def get(self, name, out=None):  # type: ignore[override]
        if out is None:
            return self[name]
        assert (out.shape, out.dtype) == (self[name].shape, self[name].dtype)
        out[...] = self[name]
        return out


def make(shape, source_chunk, chunk, shard, budget, folder, chosen=None):
    dims = ("time", "lat", "lon")
    values = np.arange(math.prod(shape), dtype="float32").reshape(shape)
    group = Group("pr", ("pr",), tuple(Dim(*each) for each in zip(dims, shape, chunk, shard, strict=True)))
    layout = Layout("time", (group,))
    reader = Chunked(values, source_chunk, dims)
    source = Rechunked(Part("pr", dims, shape, 4), group, np.float32("nan"), "float32", source_chunk, reader, "time")
    blocks = [block for block in layout.blocks() if chosen is None or block.index in chosen]
    steps = rechunk_works(source, [BlockTask(block, "k") for block in blocks], budget)
    scratch = Scratchpad(open_store(folder), "tmp") if folder else Memory()
    found = {}
    for step in steps:
        for work in step:
            assert work.memory <= budget
            for result in work.run(scratch):
                found[result.block] = result.data["pr"].values.copy()
    assert set(found) == set(blocks)
    for block, array in found.items():
        np.testing.assert_array_equal(array, values[tuple(group.slices(block)[d] for d in dims)])
    return steps, reader, scratch


sizes = st.tuples(st.integers(1, 40), st.integers(1, 16), st.integers(1, 16))


@settings(max_examples=60, deadline=None)
@given(shape=sizes, source=sizes, chunk=st.tuples(st.integers(1, 8), st.integers(1, 6), st.integers(1, 6)), times=sizes)
def test_value_is_lost_or_misplaced_between_chunk_and_shard(shape, source, chunk, times):
    source = tuple(min(a, b) for a, b in zip(source, shape, strict=True))
    shard = tuple(c * (1 + t % 4) for c, t in zip(chunk, times, strict=True))
    for room in (10**9, 4 * (4 * math.prod(shard) + 5 * math.prod(source))):
        try:
            make(shape, source, chunk, shard, WORKER_BYTES + room, None)
        except RefusedError:
            assert room < 10**9


def test_chunk_of_the_whole_map_is_decoded_once_when_the_slab_fits(tmp_path):
    steps, reader, _ = make((40, 24, 24), (1, 24, 24), (40, 4, 4), (40, 8, 8), WORKER_BYTES + 10**8, tmp_path)
    assert len(steps) == 1
    assert set(reader.decoded.values()) == {1}


def test_chunk_of_the_whole_map_is_decoded_once_in_two_passes(tmp_path):
    room = 4 * (4 * 40 * 64 + 10 * 24 * 24)
    steps, reader, scratch = make((40, 24, 24), (1, 24, 24), (40, 4, 4), (40, 8, 8), WORKER_BYTES + room, tmp_path)
    assert len(steps) == 2
    assert set(reader.decoded.values()) == {1}
    left = {name.removeprefix("tmp/") for name in scratch.store.walk("tmp")}
    assert left == {name for spill in steps[0] for name in spill.leaves}


def test_source_tiles_that_do_not_divide_shards_are_decoded_once(tmp_path):
    _, reader, _ = make((30, 24, 24), (10, 6, 9), (30, 2, 2), (30, 4, 6), WORKER_BYTES + 10**8, tmp_path)
    assert set(reader.decoded.values()) == {1}


def test_only_the_chosen_blocks_are_made(tmp_path):
    make((40, 24, 24), (1, 24, 24), (10, 4, 4), (10, 8, 8), WORKER_BYTES + 10**8, tmp_path, {(3, 0, 1), (0, 2, 2)})


def test_budget_below_one_shard_is_refused_with_the_numbers(tmp_path):
    with pytest.raises(RefusedError, match="MiB"):
        make((40, 24, 24), (1, 24, 24), (40, 4, 4), (40, 8, 8), WORKER_BYTES + 1000, tmp_path)
