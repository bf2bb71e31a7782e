"""What two passes take besides their buffers: intermediate chunks, and what is read for maps."""

from __future__ import annotations

import math
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from cube.axes import Step, TimeAxis
from cube.job import WORKER_BYTES, BlockTask, Prior
from cube.layout import Part, map_layout, time_layout
from cube.maps import map_works
from cube.options import LayoutOptions
from cube.reading import VersionRef
from cube.rechunk import Gather, Rechunked, Spill, rechunk_works
from cube.shards import encode_variable
from cube.stores import open_store
from cube.structure import structure
from cube.template import ArraySpec, Template


class Nothing:
    """Reads nothing."""

    def within(self, window):
        return self

    def read(self, window, out, done):
        pass

    def steps(self, window):
        return None


@pytest.mark.parametrize("shape", [(34_333, 240, 250), (15_000, 180, 360), (3_653, 360, 720)])
@pytest.mark.parametrize("gib", [1.5, 2, 4])
def test_intermediate_chunks_outgrow_the_budget(shape: tuple[int, int, int], gib: float) -> None:
    part = Part("pr", ("time", "lat", "lon"), shape, 4)
    layout = time_layout([[part]], time="time", space=("lat", "lon"), segment=None)
    (group,) = layout.groups
    source = Rechunked(part, group, np.nan, np.dtype("f4"), (1, *shape[1:]), Nothing(), "time")
    budget = int(gib * 2**30)
    spills, gathers = rechunk_works(source, [BlockTask(block, "key") for block in layout.blocks()], budget)
    for work in spills:
        assert isinstance(work, Spill)
        # The array that is cut, and twice what is cut from it: as it is proven, and as it is sent.
        needed = WORKER_BYTES + _bytes(work.window) + 2 * 4 * math.prod(work.chunk)
        assert needed <= work.memory <= budget
    for work in gathers:
        assert isinstance(work, Gather)
        largest = max(_bytes(piece) for piece in work.pieces)
        shard = 4 * math.prod(group.shards(part.dims, dict(zip(part.dims, shape, strict=True))))
        assert WORKER_BYTES + _bytes(work.window) + max(2 * largest, 2 * shard) <= work.memory <= budget


def _bytes(window) -> int:
    return 4 * math.prod(part.stop - part.start for part in window.values())


def test_reading_for_maps_doubles_the_buffer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cube.layout.SHARD_BYTES", 2**19)
    monkeypatch.setattr("cube.layout.CHUNK_BYTES", 2**16)
    shape = (2000, 40, 50)
    values = np.random.default_rng(0).random(shape, dtype=np.float32)
    spec = ArraySpec(("time", "lat", "lon"), shape, np.dtype("f4"))
    coords = xr.Dataset(coords={"lat": ("lat", np.arange(40.0)), "lon": ("lon", np.arange(50.0))})
    template = Template({"pr": spec}, coords, TimeAxis(0, 2000, Step("day"), "standard"), ("lat", "lon"), (("pr",),))
    layout = template.layout(LayoutOptions())
    maps = map_layout(layout, {"pr": template.part("pr")}, time="time")
    store = open_store(tmp_path)
    objects = structure(template, layout, {})
    (group,) = layout.groups
    for block in layout.blocks():
        part = group.slices(block)
        own = values[part["time"], part["lat"], part["lon"]]
        objects |= encode_variable("pr", objects["pr/zarr.json"], group, block, own).shards
    for key, data in objects.items():
        store.put(f"v/time.zarr/{key}", data)
    tasks = [BlockTask(block, "key") for block in maps.blocks()]
    ((work, *_), *_) = map_works(template, layout, maps, VersionRef(store, "v"), tasks, 2**30)
    out = np.empty(shape, np.float32)
    window = {dim: slice(0, size) for dim, size in zip(spec.dims, shape, strict=True)}
    work.source.reader.read(window, np.empty_like(out), 0)  # what is imported and cached is no part of it
    tracemalloc.start()
    try:
        work.source.reader.read(window, out, 0)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    np.testing.assert_array_equal(out, values)
    assert peak < out.nbytes / 2


def test_tail_reads_the_whole_map_for_each_block() -> None:
    days, sizes = 2 * 365, (1900, 2000)
    before, after = (
        time_layout(
            [[Part("pr", ("time", "lat", "lon"), (n, *sizes), 4)]], time="time", space=("lat", "lon"), segment=365
        )
        for n in (days - 5, days)
    )
    (group,) = after.groups
    tasks = []
    for block in (each for each in after.blocks() if each.index[0] == 1):
        # Nothing is read when works are planned.
        prior = Prior(None, before.groups[0], block, 0, {})  # type: ignore[arg-type]
        tasks.append(BlockTask(block, "key", prior))
    part = Part("pr", ("time", "lat", "lon"), (days, *sizes), 4)
    source = Rechunked(part, group, np.nan, np.dtype("f4"), (1, *sizes), Nothing(), "time")
    spills, gathers = rechunk_works(source, tasks, 2 * 2**30)
    new = 4 * 5 * math.prod(sizes)
    assert sum(_bytes(work.window) for work in spills if isinstance(work, Spill)) == new
    assert sum(_bytes(piece) for work in gathers if isinstance(work, Gather) for piece in work.pieces) == new
