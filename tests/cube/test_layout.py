"""The layout covers every cell once, stays within its sizes, and does not move when a product grows."""

from __future__ import annotations

import math

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from cube.axes import Step, TimeAxis
from cube.layout import MIB, Block, Layout, Part, map_layout, time_layout
from cube.options import LayoutOptions
from cube.template import ArraySpec, Template

shapes = st.tuples(st.integers(1, 40000), st.integers(1, 400), st.integers(1, 400))


def laid_out(shape, segment=None, itemsize=4, read=0):
    part = Part("pr", ("time", "lat", "lon"), shape, itemsize)
    layout = time_layout([[part]], time="time", space=("lat", "lon"), segment=segment, read_bytes_per_step_cell=read)
    return part, layout


@given(shape=shapes, segment=st.one_of(st.none(), st.integers(1, 4000)), itemsize=st.sampled_from([1, 2, 4, 8]))
def test_chunk_or_shard_is_beyond_its_size(shape, segment, itemsize):
    part, layout = laid_out(shape, segment, itemsize)
    group = layout.groups[0]
    sizes = dict(zip(part.dims, part.shape, strict=True))
    chunk, shard = group.chunks(part.dims, sizes), group.shards(part.dims, sizes)
    assert all(outer % inner == 0 for outer, inner in zip(shard, chunk, strict=True))
    assert math.prod(chunk) * itemsize <= 4 * MIB
    # One cell over a whole segment is the least a shard can be.
    assert math.prod(shard) * itemsize <= max(64 * MIB, 2 * shard[0] * itemsize)


@settings(max_examples=50)
@given(
    shape=st.tuples(st.integers(1, 3000), st.integers(1, 60), st.integers(1, 60)),
    segment=st.one_of(st.none(), st.integers(100, 2000)),
)
def test_cell_is_in_no_block_or_in_two(shape, segment):
    _, layout = laid_out(shape, segment)
    group = layout.groups[0]
    covered = sum(math.prod(s.stop - s.start for s in group.slices(block).values()) for block in layout.blocks())
    assert covered == math.prod(shape)
    assert len({block.id for block in layout.blocks()}) == math.prod(group.grid)


@given(shape=shapes, more=st.integers(1, 4000), segment=st.integers(1, 4000))
def test_growth_along_time_moves_chunks_of_a_segmented_product(shape, more, segment):
    before = laid_out(shape, segment)[1].groups[0]
    after = laid_out((shape[0] + more, *shape[1:]), segment)[1].groups[0]
    assert before.key_json() == after.key_json()
    whole = [block for block in laid_out(shape, segment)[1].blocks() if (block.index[0] + 1) * segment <= shape[0]]
    assert all(before.slices(block) == after.slices(block) for block in whole)


def test_long_scenario_has_some_hundreds_of_blocks():
    _, layout = laid_out((34333, 296, 284))
    assert 100 <= len(list(layout.blocks())) <= 300


def test_reduction_with_tiny_output_is_cut_by_what_it_reads():
    _, layout = laid_out((94, 296, 284), itemsize=2, read=366 * 4)
    group = layout.groups[0]
    for block in layout.blocks():
        cells = math.prod(s.stop - s.start for name, s in group.slices(block).items() if name != "time")
        assert cells * 94 * 366 * 4 <= 512 * MIB


def derived(source, shape, *, read, itemsize=2, segment=None):
    """The layout of what is made from `source`, a step for `read` bytes of each cell."""
    group = source.groups[0]
    tiles = {dim.name: dim for dim in group.dims if dim.name != "time"}
    part = Part("made", ("time", "lat", "lon"), shape, itemsize)
    return time_layout(
        [[part]], time="time", space=("lat", "lon"), segment=segment, read_bytes_per_step_cell=read, tiles=tiles
    )


def readings(source, layout):
    """How often the chunks of the source are decoded and its objects are read, all years in each block, on average."""
    cut, own = source.groups[0], layout.groups[0]

    def overlaps(name, size):
        there, here = cut.dim(name), own.dim(name)
        parts = [(i * here.shard, min((i + 1) * here.shard, here.size)) for i in range(here.blocks)]
        total = sum((stop - 1) // size(there) - start // size(there) + 1 for start, stop in parts)
        return total / math.ceil(there.size / size(there))

    return tuple(
        math.prod(overlaps(name, size) for name in ("lat", "lon")) for size in (lambda d: d.chunk, lambda d: d.shard)
    )


@pytest.mark.parametrize("years", [10, 40, 94])
@pytest.mark.parametrize("cells", [(245, 245), (296, 284), (200, 200), (61, 367)])
def test_blocks_of_a_metric_read_the_objects_of_its_input_many_times(years, cells):
    source = laid_out((years * 365, *cells))[1]
    layout = derived(source, (years, *cells), read=366 * 4)
    assert readings(source, layout) == (1.0, 1.0)
    assert 4 * len(list(source.blocks())) >= len(list(layout.blocks())) >= len(list(source.blocks())) / 20


@pytest.mark.parametrize("cells", [(245, 245), (296, 284), (200, 200)])
def test_blocks_of_five_arrays_decode_chunks_of_one_array_twice(cells):
    source = laid_out((3650, *cells))[1]
    layout = derived(source, (3650, *cells), read=0, itemsize=21)
    chunks, objects = readings(source, layout)
    assert chunks == 1.0
    assert objects <= 2 * 21 / 4  # a block holds a fifth as many cells, at worst half of that


@given(
    shape=st.tuples(st.integers(1, 100), st.integers(1, 400), st.integers(1, 400)),
    steps=st.integers(1, 400),
    itemsize=st.sampled_from([1, 2, 4, 40]),
    reads=st.booleans(),
)
def test_blocks_cut_like_their_input_are_beyond_their_size(shape, steps, itemsize, reads):
    source = laid_out((shape[0] * steps, *shape[1:]))[1]
    read = 4 * steps if reads else 0
    group = derived(source, shape, read=read, itemsize=itemsize).groups[0]
    part = Part("made", ("time", "lat", "lon"), shape, itemsize)
    plain = time_layout([[part]], time="time", space=("lat", "lon"), segment=None, read_bytes_per_step_cell=read)
    (time, *dims), cut = group.dims, source.groups[0]
    assert time == plain.groups[0].dims[0]
    assert all(dim.shard % dim.chunk == 0 for dim in dims)
    kept = [(dim.shard, cut.dim(dim.name).shard) for dim in dims]
    assert tuple(dims) == plain.groups[0].dims[1:] or all(a % b == 0 or b % a == 0 for a, b in kept)
    cells = math.prod(dim.shard for dim in dims)
    if cells > 1:
        assert cells * time.shard * itemsize <= 64 * MIB
        assert cells * shape[0] * read <= 512 * MIB
        assert math.prod(dim.chunk for dim in group.dims) * itemsize <= 4 * MIB


def test_window_finds_just_the_blocks_it_touches():
    _, layout = laid_out((7305, 100, 120), segment=1000)
    group = layout.groups[0]
    window = {"time": slice(990, 2005), "lat": slice(13, 40)}
    found = {block.id for block in layout.overlapping("pr", window)}
    for block in layout.blocks():
        part = group.slices(block)
        touches = all(part[d].start < w.stop and w.start < part[d].stop for d, w in window.items())
        assert (block.id in found) == touches


def test_layout_survives_json():
    _, layout = laid_out((7305, 100, 120), segment=1000)
    assert Layout.from_json(layout.to_json()) == layout
    for block in layout.blocks():
        assert Block.parse(block.id) == block


def test_map_layout_holds_whole_maps_of_each_variable():
    part, layout = laid_out((7305, 100, 120), segment=1000)
    maps = map_layout(layout, {"pr": part}, time="time")
    sizes = dict(zip(part.dims, part.shape, strict=True))
    chunk = maps.groups[0].chunks(part.dims, sizes)
    assert chunk[1:] == (100, 120)
    assert np.prod(chunk) * 4 <= 4 * MIB


@pytest.mark.parametrize(
    ("cells", "step", "calendar", "years"),
    [
        ((1974, 1894), "day", "standard", 1),  # all of Africa at 0.0375 degrees: 5.5 GB a year
        ((296, 280), "day", "standard", 10),  # at 0.25 degrees: 1.2 GB in ten years
        ((720, 1440), "day", "360_day", 5),  # the globe at 0.25 degrees: 7.5 GB in five years
        ((720, 1440), "6 hours", "standard", 1),
        ((8000, 8000), "day", "standard", 1),  # more than fits, and the least there is
        ((720, 1440), "month", "standard", 10),
    ],
)
def test_growth_encodes_ten_gigabytes_again(cells, step, calendar, years):
    axis = TimeAxis(0, 40, Step.parse(step), calendar)
    array = ArraySpec(("time", "lat", "lon"), (40, *cells), np.dtype("float32"), {})
    template = Template({"pr": array}, xr.Dataset(), axis, ("lat", "lon"), (("pr",),))
    (group,) = template.layout(LayoutOptions.model_validate({"segment": "auto"})).groups
    steps = {"day": {"standard": 366, "360_day": 360}[calendar], "6 hours": 4 * 366, "month": 12}[step]
    assert (years - 1) * steps < group.dims[0].shard <= years * steps + 10
