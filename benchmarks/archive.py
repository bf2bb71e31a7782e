"""Case 2: one file a day of the whole map, a history that is larger than the memory of a worker.

Targets: twice as good as the better of the others in wall and CPU time; no worker above its budget, however long the
history.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import zarr

from benchmarks.archivers import BATCH, CANDIDATES, DIMS, VARIABLE, History, arguments, write_archive, write_spec
from benchmarks.measure import CandidateError, Measured, Table, interleaved, median, ratio, run_candidate
from cube.layout import Part, time_layout

MIB = 2**20
SCALES = {"full": (15_000, (180, 360), 1024), "small": (90, (36, 72), 512)}
"""Days, cells, memory of a worker in MiB."""
CAP = 900.0
"""Seconds after which another candidate is ended and run on a fraction of the files instead."""
OURS = "cube build"


def run(folder: Path, scale: str, repeats: int) -> Table:
    """Build with every candidate, prove that all wrote the same, and compare. The archive is kept in `folder`."""
    history, memory = make_history(folder, scale)
    days = dict.fromkeys((OURS, *CANDIDATES), history.days)
    found: dict[str, list[Measured]] = {}
    once: dict[str, Callable[[], Measured]] = {}
    for name in days:
        once[name] = _candidate(name, history, folder, memory)
        try:
            found[name] = [once[name]()]
        except (TimeoutError, CandidateError) as error:
            if name == OURS:
                raise
            print(f"{name} on {history.days} files: {str(error)[-500:]}; now on a fraction", flush=True)
            days[name] = history.days // 5
            once[name] = _candidate(name, replace(history, days=days[name]), folder, memory)
            found[name] = [once[name]()]
    agree(history, folder, days)
    for name, runs in interleaved(repeats - 1, once).items():
        found[name] += runs
    shorter = _candidate(OURS, replace(history, days=min(BATCH, history.days // 3)), folder, memory)()
    for name in days:
        shutil.rmtree(_target(folder, name), ignore_errors=True)
    return table(history, memory, {name: median(runs) for name, runs in found.items()}, days, shorter, repeats)


def make_history(folder: Path, scale: str) -> tuple[History, int]:
    """The archive, written once, and the memory of a worker in MiB."""
    days, shape, memory = SCALES[scale]
    archive = folder / f"files-{days}"
    write_archive(archive, days, shape)
    part = Part(VARIABLE, DIMS, (days, *shape), 4)
    group = time_layout([[part]], time="time", space=DIMS[1:], segment=None).groups[0]
    lat, lon = group.dims[1:]
    return History(str(archive), "", days, shape, (lat.chunk, lon.chunk), (lat.shard, lon.shard)), memory


def _target(folder: Path, name: str) -> Path:
    return folder / f"out-{name.replace(', ', '-').replace(' ', '-')}"


def _candidate(name: str, history: History, folder: Path, memory: int) -> Callable[[], Measured]:
    target = _target(folder, name)
    asked = replace(history, target=str(target))

    def once() -> Measured:
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir()
        if name != OURS:
            return run_candidate(arguments(name, asked), seconds=CAP)
        write_spec(asked, memory)
        command = Path(sys.executable).parent / "cube"
        # Nothing is known of the files: their facts are gathered in the time measured.
        environment = {"CUBE_CACHE": str(target / "identities")}
        return run_candidate([str(command), "build", "--spec", str(target / "cube.yaml")], environment=environment)

    return once


def _array(folder: Path, name: str) -> zarr.Array:
    target = _target(folder, name)
    place = target / "out" if name != OURS else next(target.glob("cube/inputs/moisture/*/time.zarr"))
    return zarr.open_array(place / VARIABLE, mode="r")


def agree(history: History, folder: Path, days: dict[str, int]) -> None:
    """Raise AssertionError unless all wrote the same values into chunks and shards of one shape."""
    ours = _array(folder, OURS)
    rows = history.shard[0]
    for name in CANDIDATES:
        other = _array(folder, name)
        assert other.shape == (days[name], *history.shape), f"{name}: {other.shape}"
        if days[name] == history.days:
            assert (other.chunks, other.shards) == (ours.chunks, ours.shards), f"{name}: {other.chunks} {other.shards}"
        for start in range(0, history.shape[0], rows):
            part = (slice(0, days[name]), slice(start, start + rows))
            assert np.array_equal(other[part], ours[part], equal_nan=True), f"{name}: rows from {start} differ"


def table(
    history: History, memory: int, found: dict[str, Measured], days: dict[str, int], shorter: Measured, repeats: int
) -> Table:
    ours = found[OURS]
    rows = []
    for name, each in found.items():
        times = history.days / days[name]
        label = name if times == 1 else f"{name} ({days[name]} files)"
        scaled = "" if times == 1 else "~"
        rows.append(
            (
                label,
                f"{each.wall:.1f}",
                f"{scaled}{ratio(each.wall * times, ours.wall)}",
                f"{each.cpu:.1f}",
                f"{scaled}{ratio(each.cpu * times, ours.cpu)}",
                f"{each.peak / MIB:.0f}",
            )
        )
    fewer = min(BATCH, history.days // 3)
    size = 4 * history.days * np.prod(history.shape) / 1e9
    notes = [
        f"{history.days} daily files of {history.shape[0]} x {history.shape[1]} float32 in one chunk each "
        f"({size:.2f} GB), to chunks of {history.chunk} cells in shards of {history.shard}; median of {repeats}. "
        "~: run on a fraction of the files, its time multiplied.",
        f"Ours gathers facts, sha256 included, and is allowed {memory} MiB a worker: peak "
        f"{shorter.peak / MIB:.0f} MiB with {fewer} files, {ours.peak / MIB:.0f} MiB with {history.days}. "
        "The others have no budget.",
    ]
    columns = ("", "wall s", "to ours", "CPU s", "to ours", "peak MiB")
    return Table(f"Archive of {history.days} daily files", columns, rows, notes)
