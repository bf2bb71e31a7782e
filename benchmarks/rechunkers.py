"""The ways to rechunk one array that are compared, each to be carried out in a process of its own.

Each reads the same Zarr array and writes a Zarr array of the same chunks, shards and codec. They use at most two
processes or threads at once.
"""

from __future__ import annotations

import importlib
import itertools
import json
import math
import multiprocessing
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numcodecs
import numcodecs.blosc
import numpy as np
import zarr

from benchmarks.measure import peak_resident, ready, report, tree_seconds
from cube.shards import CODEC

_CODEC = numcodecs.Blosc(CODEC["cname"], CODEC["clevel"], numcodecs.Blosc.BITSHUFFLE, typesize=4)

WORKERS = 2
DIMS = ("time", "lat", "lon")
VARIABLE = "sm"

Array = np.ndarray[Any, Any]
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Case:
    """What is to be done.

    source, target  folders of Zarr groups;  shape, chunk  of the source
    inner, shard    of the target;  memory  bytes a worker process may take
    """

    source: str
    target: str
    shape: Shape
    chunk: Shape
    inner: Shape
    shard: Shape
    memory: int

    @classmethod
    def parse(cls, text: str) -> Case:
        return cls(**{key: tuple(v) if isinstance(v, list) else v for key, v in json.loads(text).items()})

    def text(self) -> str:
        return json.dumps(asdict(self))


@dataclass(frozen=True)
class ZarrSource:
    """Reads the array for our rechunking, each chunk straight into its place."""

    case: Case

    def within(self, window: Any) -> ZarrSource:
        return self

    def read(self, window: Any, out: Array, done: int) -> None:
        whole = tuple(window[dim] for dim in DIMS)
        for piece in _pieces(whole, self.case.chunk):
            _place(self.case, whole, piece, _stored(self.case, piece), out)

    def steps(self, window: Any) -> tuple[int, int]:
        return window["time"].start, window["time"].stop


def _place(case: Case, window: tuple[slice, ...], piece: tuple[slice, ...], stored: bytes, out: Array) -> None:
    """Decode a source chunk and put the part of it that is `piece` into its place in the window's array."""
    part = tuple(slice(p.start % n, p.start % n + p.stop - p.start) for p, n in zip(piece, case.chunk, strict=True))
    place = tuple(slice(p.start - w.start, p.stop - w.start) for p, w in zip(piece, window, strict=True))
    out[place] = np.frombuffer(_CODEC.decode(stored), "float32").reshape(case.chunk)[part]


def _stored(case: Case, piece: tuple[slice, ...]) -> bytes:
    name = "/".join(str(part.start // n) for part, n in zip(piece, case.chunk, strict=True))
    return Path(case.source, VARIABLE, "c", name).read_bytes()


def _pieces(window: tuple[slice, ...], size: Shape) -> Iterator[tuple[slice, ...]]:
    """The parts of a window that lie in one chunk each."""
    ranges = []
    for part, n in zip(window, size, strict=True):
        edges = [part.start, *range(part.start // n * n + n, part.stop, n), part.stop]
        ranges.append([slice(a, b) for a, b in itertools.pairwise(edges)])
    return itertools.product(*ranges)


def _layout(case: Case) -> Any:
    from cube.layout import Dim, Group, Layout

    dims = [Dim(*each) for each in zip(DIMS, case.shape, case.inner, case.shard, strict=True)]
    return Layout("time", (Group(VARIABLE, (VARIABLE,), tuple(dims)),))


def ours(case: Case) -> None:
    """The service's own path: works, its local cluster, staging with checksums and a ledger."""
    import xarray as xr

    from batch.reporting import Reporter
    from batch.running import run_step
    from compute.clusters.local import local
    from compute.clusters.options import LocalCluster
    from cube.job import BlockTask
    from cube.layout import Part
    from cube.rechunk import Rechunked, rechunk_works
    from cube.scratch import Scratchpad
    from cube.stage import Executed, Stage
    from cube.stores import open_store
    from cube.structure import structure
    from cube.template import ArraySpec, Template

    layout = _layout(case)
    source = Rechunked(
        Part(VARIABLE, DIMS, case.shape, 4),
        layout.groups[0],
        np.float32("nan"),
        np.dtype("float32"),
        case.chunk,
        ZarrSource(case),
        "time",
    )
    spec = ArraySpec(DIMS, case.shape, np.dtype("float32"))
    template = Template({VARIABLE: spec}, xr.Dataset(), None, ("lat", "lon"), ((VARIABLE,),))
    objects = structure(template, layout, {})
    store = open_store(case.target)
    for name, data in objects.items():
        store.put(f"version/time.zarr/{name}", data)
    scratch = Scratchpad(store, "version/tmp")
    stage = Stage(store, "version", {"time": layout}, {VARIABLE: DIMS}, {"time": objects}, scratch)
    steps = rechunk_works(source, [BlockTask(block, "key") for block in layout.blocks()], case.memory)
    planned = max(work.memory for step in steps for work in step)
    peaks: list[int] = []

    def done(_: Any, executed: Executed) -> None:
        peaks.append(executed.peak_bytes)

    options = LocalCluster.model_validate({"kind": "local", "workers": WORKERS})
    with local(options, case.memory) as cluster:
        client = cluster.client
        assert client is not None
        client.wait_for_workers(WORKERS)
        client.run(_imported, "cube.rechunk", "cube.stage")
        ready()
        for works in steps:
            run_step(cluster, works, stage, done, Reporter(quiet=True))
        peaks += client.run(peak_resident).values()
    report(peak=max(peaks), planned=planned, passes=len(steps), works=[len(step) for step in steps])


def _imported(*names: str) -> None:
    for name in names:
        importlib.import_module(name)


def _encoding(case: Case) -> dict[str, Any]:
    codecs = [zarr.codecs.BloscCodec(typesize=4, **CODEC), zarr.codecs.Crc32cCodec()]
    return {"chunks": case.inner, "shards": case.shard, "compressors": codecs}


def _opened(case: Case) -> Any:
    import xarray as xr

    found = xr.open_zarr(case.source, consolidated=False)
    for variable in found.variables.values():
        variable.encoding.clear()
    return found


def threads(case: Case) -> None:
    """xarray with dask's threads: `.chunk().to_zarr()`."""
    import dask

    with dask.config.set(scheduler="threads", num_workers=WORKERS):
        ready()
        cut = _opened(case).chunk(dict(zip(DIMS, case.shard, strict=True)))
        cut.to_zarr(case.target, encoding={VARIABLE: _encoding(case)}, consolidated=False, zarr_format=3)


def p2p(case: Case) -> None:
    """Distributed's p2p rechunk on two worker processes."""
    import dask
    import distributed

    with (
        dask.config.set({"array.rechunk.method": "p2p", "temporary-directory": case.target}),
        distributed.LocalCluster(
            WORKERS, threads_per_worker=1, memory_limit="8 GiB", dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        client.wait_for_workers(WORKERS)
        client.run(_imported, "xarray", "zarr", "dask.array", "distributed.shuffle")
        ready()
        cut = _opened(case).chunk(dict(zip(DIMS, case.shard, strict=True)))
        cut.to_zarr(f"{case.target}/out", encoding={VARIABLE: _encoding(case)}, consolidated=False, zarr_format=3)
        report(peak=max(client.run(peak_resident).values()))


def _copy(task: tuple[str, str, tuple[slice, ...]]) -> int:
    source, target, window = task
    zarr.open_array(target, mode="r+")[window] = zarr.open_array(source, mode="r")[window]
    return peak_resident()


def _windows(shape: Shape, size: Shape) -> list[tuple[slice, ...]]:
    return list(_pieces(tuple(slice(0, n) for n in shape), size))


def planner(case: Case, **between_options: Any) -> None:
    """Rechunker's plan, carried out by plain copying between Zarr arrays in two processes.

    between_options  of the intermediate array, which rechunker leaves to zarr's defaults: it is compressed
    """
    from rechunker.algorithm import rechunking_plan

    from cube.job import WORKER_BYTES

    # Its limit is that of one array, but a copy holds what it reads and what it makes of it: twice as much.
    room = (case.memory - WORKER_BYTES) // 2
    reads, between, writes = rechunking_plan(case.shape, case.chunk, case.shard, 4, room)
    # Two processes must not write to one intermediate chunk, which the plan alone does not rule out.
    between = tuple(
        chunk if min(read, size) % chunk == 0 or read >= size else math.gcd(read, chunk)
        for read, chunk, size in zip(reads, between, case.shape, strict=True)
    )
    plain: dict[str, Any] = {"shape": case.shape, "dtype": "float32", "dimension_names": DIMS, "zarr_format": 3}
    source, middle, target = f"{case.source}/{VARIABLE}", f"{case.target}/middle", f"{case.target}/out/{VARIABLE}"
    zarr.create_array(target, fill_value=float("nan"), **plain, **_encoding(case))
    passes = [(source, target, writes)]
    if between != writes:
        zarr.create_array(middle, chunks=between, **plain, **between_options)
        passes = [(source, middle, reads), (middle, target, writes)]
    with multiprocessing.get_context("spawn").Pool(WORKERS) as pool:
        pool.map(_nothing, range(WORKERS), chunksize=1)
        ready()
        peaks = [
            peak
            for origin, goal, size in passes
            for peak in pool.map(_copy, [(origin, goal, w) for w in _windows(case.shape, size)], chunksize=1)
        ]
        pool.close()
        pool.join()
    report(peak=max(peaks), plan=[reads, between, writes])


def raw_planner(case: Case) -> None:
    """The same with an intermediate array that is not compressed: 3 GB more to be written and read."""
    planner(case, compressors=None)


def _nothing(_: int) -> None:
    import time

    time.sleep(0.2)  # so that each process of the pool gets one, and has imported this module


def bound(case: Case) -> None:
    """What no way can do without, in memory and in one process: decode each chunk once, gather, encode each chunk once.

    Reading the source's bytes and writing the same shards durably is not counted, but reported besides.
    """
    numcodecs.blosc.set_nthreads(1)
    tile = (case.shape[0], *(math.lcm(c, s) for c, s in zip(case.chunk[1:], case.shard[1:], strict=True)))
    tile = tuple(min(size, n) for size, n in zip(tile, case.shape, strict=True))
    seconds, files, written = 0.0, 0.0, 0
    for window in _windows(case.shape, tile):
        begun = tree_seconds()
        stored = [(piece, _stored(case, piece)) for piece in _pieces(window, case.chunk)]
        files += tree_seconds() - begun
        begun = tree_seconds()
        buffer = np.empty([part.stop - part.start for part in window], "float32")
        for piece, data in stored:
            _place(case, window, piece, data, buffer)
        encoded = [_CODEC.encode(np.ascontiguousarray(buffer[piece])) for piece in _windows(buffer.shape, case.inner)]
        seconds += tree_seconds() - begun
        written += sum(map(len, encoded))
        begun = tree_seconds()
        per_shard = math.prod(case.shard) // math.prod(case.inner)
        for start in range(0, len(encoded), per_shard):
            with Path(case.target, str(written + start)).open("wb") as file:
                file.writelines(encoded[start : start + per_shard])
                file.flush()
                os.fsync(file.fileno())
        files += tree_seconds() - begun
    report(seconds=seconds, files=files, written=written)


CANDIDATES = {
    "ours": ours,
    "xarray threads": threads,
    "dask p2p": p2p,
    "rechunker plan": planner,
    "rechunker plan, raw": raw_planner,
    "bound": bound,
}
OUTPUT = {
    "ours": f"version/time.zarr/{VARIABLE}",
    "xarray threads": VARIABLE,
    "dask p2p": f"out/{VARIABLE}",
    "rechunker plan": f"out/{VARIABLE}",
    "rechunker plan, raw": f"out/{VARIABLE}",
}
"""Where each leaves the array, below the target."""


def arguments(name: str, case: Case, **changes: Any) -> list[str]:
    """For `measure.run_candidate`."""
    # Not by -m: what a worker process unpickles must not belong to `__main__`.
    code = (
        f"import sys; from benchmarks.rechunkers import CANDIDATES, Case; CANDIDATES[{name!r}](Case.parse(sys.argv[1]))"
    )
    return ["-c", code, replace(case, **changes).text()]
