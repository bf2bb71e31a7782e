"""Case 1: three gigabytes from chunks of 30 maps to the whole period of a few cells.

Targets: CPU 2.5x better than p2p and 1.8x better than rechunker's plan; wall 2x and 1.5x; the bound at least 85 % of
our CPU time; no worker above the plan.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import zarr
from zarr.codecs import BloscCodec

from benchmarks.measure import Measured, Table, interleaved, median, ratio, run_candidate
from benchmarks.rechunkers import CANDIDATES, DIMS, OUTPUT, VARIABLE, Case, arguments
from benchmarks.weather import Weather, soil_moisture
from cube.layout import Part, time_layout
from cube.shards import CODEC

MIB = 2**20
SCALES = {
    "full": ((7300, 360, 288), (30, 180, 144), (12, 12), 1280 * MIB),
    "small": ((365, 72, 60), (30, 36, 30), (12, 12), 1024 * MIB),
}
"""Shape, source chunk, cells of an inner chunk, memory of a worker."""


def run(folder: Path, scale: str, repeats: int) -> Table:
    """Rechunk with every candidate, prove that all wrote the same, and compare. Data are kept in `folder`."""
    case = make_case(folder, scale)
    found = interleaved(repeats, {name: _candidate(name, case, folder) for name in CANDIDATES})
    agree(case, folder)
    for name in CANDIDATES:
        shutil.rmtree(_target(folder, name), ignore_errors=True)
    return table(case, {name: median(runs) for name, runs in found.items()}, repeats)


def make_case(folder: Path, scale: str) -> Case:
    """The source, made once."""
    shape, chunk, cells, memory = SCALES[scale]
    source = folder / f"source-{scale}.zarr"
    if not (source / "made").exists():
        shutil.rmtree(source, ignore_errors=True)
        _make_source(source, shape, chunk)
        (source / "made").touch()
    inner = (shape[0], *cells)
    return Case(str(source), "", shape, chunk, inner, shards(shape, inner), memory)


def shards(shape: tuple[int, ...], inner: tuple[int, ...]) -> tuple[int, ...]:
    """The cube's own rule for shards, applied to these inner chunks: near-square tiles of at most 48 MiB."""
    part = Part(VARIABLE, DIMS, shape, 4)
    group = time_layout([[part]], time="time", space=("lat", "lon"), segment=None).groups[0]
    own = group.shards(DIMS, part_sizes := dict(zip(DIMS, shape, strict=True)))
    assert part_sizes["time"] == own[0]
    return (own[0], *(max(n, size // n * n) for size, n in zip(own[1:], inner[1:], strict=True)))


def _make_source(path: Path, shape: tuple[int, ...], chunk: tuple[int, ...]) -> None:
    weather = Weather(np.arange(shape[1]) * 0.25, np.arange(shape[2]) * 0.25, shape[0], memory=0.98, seed=1)
    group = zarr.create_group(path, zarr_format=3)
    array = group.create_array(
        VARIABLE,
        shape=shape,
        dtype="float32",
        chunks=chunk,
        compressors=[BloscCodec(typesize=4, **CODEC)],
        fill_value=float("nan"),
        dimension_names=DIMS,
    )
    for start in range(0, shape[0], 8 * chunk[0]):
        days = slice(start, min(start + 8 * chunk[0], shape[0]))
        array[days] = soil_moisture(weather, days, slice(0, shape[1]), slice(0, shape[2]))


def _target(folder: Path, name: str) -> Path:
    return folder / f"out-{name.replace(', ', '-').replace(' ', '-')}"


def _candidate(name: str, case: Case, folder: Path):
    def once() -> Measured:
        target = _target(folder, name)
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir()
        return run_candidate(arguments(name, case, target=str(target)))

    return once


def agree(case: Case, folder: Path) -> None:
    """Raise AssertionError unless what every candidate wrote is the source, cell by cell."""
    source = zarr.open_array(f"{case.source}/{VARIABLE}", mode="r")
    written = {name: zarr.open_array(_target(folder, name) / place, mode="r") for name, place in OUTPUT.items()}
    for name, array in written.items():
        assert array.shards == case.shard, f"{name}: shards {array.shards}"
        assert array.chunks == case.inner, f"{name}: chunks {array.chunks}"
    rows = max(case.chunk[1], case.shard[1])
    for start in range(0, case.shape[1], rows):
        part = (slice(None), slice(start, start + rows))
        wanted = source[part]
        for name, array in written.items():
            assert np.array_equal(array[part], wanted, equal_nan=True), f"{name}: rows {start} to {start + rows} differ"


def table(case: Case, found: dict[str, Measured], repeats: int) -> Table:
    ours, bound = found["ours"], found["bound"]
    seconds, files = float(bound.report["seconds"]), float(bound.report["files"])
    rows = [
        (
            name,
            f"{each.wall:.1f}",
            ratio(each.wall, ours.wall),
            f"{each.cpu:.1f}",
            ratio(each.cpu, ours.cpu),
            f"{each.ready[1]:.1f}",
            f"{each.work:.1f}",
            ratio(each.work, ours.work),
            f"{each.peak / MIB:.0f}",
        )
        for name, each in found.items()
        if name != "bound"
    ]
    rows.append(("bound", "", "", "", "", "", f"{seconds:.1f}", ratio(seconds, ours.work), ""))
    size = 4 * np.prod(case.shape) / 1e9
    planned = float(ours.report["planned"])
    notes = [
        f"Source {case.shape} float32 ({size:.2f} GB, {size * 1e9 / float(bound.report['written']):.2f} : 1) in chunks "
        f"{case.chunk}; target chunks {case.inner} in shards {case.shard}; median of {repeats}.",
        f"Ours: {ours.report['works']} works, {planned / MIB:.0f} MiB planned a worker, "
        f"{ours.peak / MIB:.0f} measured.",
        f"The bound is {100 * seconds / ours.work:.0f} % of our CPU time once workers are up, "
        f"{100 * seconds / ours.cpu:.0f} % of all of it; with reading the source and writing the shards durably, "
        f"{files:.1f} s more, it is {100 * (seconds + files) / ours.work:.0f} %.",
        f"Rechunker's plan (read, between, write): {json.dumps(found['rechunker plan'].report['plan'])}.",
    ]
    columns = ("", "wall s", "to ours", "CPU s", "to ours", "start CPU s", "work CPU s", "to ours", "peak MiB")
    return Table(f"Rechunk of {size:.2f} GB", columns, rows, notes)
