"""What it costs to add one pentad to a growing product: requests, and bytes read, encoded, copied and stored twice.

The shape is that of full TAMSAT, one file a day of the whole map. It is scaled down in cells, and with it the sizes of
chunks and shards and the memory budget, so that the number of objects and of passes is that of the full map; bytes are
then multiplied by the same factor. The history ends five days before its last segment is full, which makes the tail as
long as it gets. It lies in one file a year; each new day is a file.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import math
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from benchmarks.maps import days_of, write_maps
from benchmarks.measure import Table
from cube import layout
from cube.job import WORKER_BYTES

NEW_DAYS = 5
TAIL_BYTES = 10e9
"""Limit of what a growing product encodes again, uncompressed (DESIGN, promise 4)."""

COLUMNS = (
    "years / segment",
    "GET",
    "PUT",
    "HEAD",
    "COPY",
    "source GB",
    "live GB",
    "scratch GB",
    "encoded GB",
    "written GB",
    "copied GB",
    "stored twice GB",
    "records MB",
)

_FULL_MAP = (1900, 2000)
_BUDGET = 4 * 2**30
_FACTOR = {"small": 190 * 200, "full": 400}
_YEARS = {"small": (2,), "full": (1, 10, 40)}
_SEGMENTS = {"small": (1,), "full": (1, 5, 10)}
_FIRST = datetime.date(1983, 1, 1)
_GRIDS = {"TAMSAT, 0.0375 degrees": math.prod(_FULL_MAP), "Africa, 0.25 degrees": 296 * 284}
_SPEC = """
title: Growing
store: ./cube-{years}-{segment}
memory: {memory} MiB
cluster: {{kind: local, workers: 0}}
products:
  rain:
    job: ingest
    collection: inputs
    source: cf
    files: archive-{years}/*.nc
    layout: {{segment: {segment} years}}
"""


@dataclass
class Store:
    """Calls of a store by kind, and bytes by kind of call and of object."""

    calls: Counter[str] = field(default_factory=Counter)
    bytes: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add(self, call: str, key: str, size: int) -> None:
        self.calls[call] += 1
        self.bytes[call, _kind(key)] += size


def _kind(key: str) -> str:
    if "/tmp/" in key:
        return "scratch"
    return "shard" if ".zarr/" in key and "/c/" in key and "/pr/" in key else "record"


@dataclass(frozen=True)
class Appended:
    """What one append cost. Bytes are those of the scaled map."""

    calls: Counter[str]
    source: int
    live: int
    scratch: int
    encoded: int
    written: int
    records: int
    copied: int
    twice: int


def run(folder: Path, scale: str, repeats: int) -> Table:
    """Count; numbers do not depend on the machine, so that nothing is repeated."""
    factor = _FACTOR[scale]
    rows = []
    for years in _YEARS[scale]:
        for segment in _SEGMENTS[scale]:
            found = appended(folder, years, segment, factor)
            rows.append((f"{years} / {segment}", *_cells(found, factor)))
    tails = ", ".join(
        f"{name}: {', '.join(f'{years} years {_tail(cells, years) / 1e9:.2f} GB' for years in (1, 5, 10))}"
        for name, cells in _GRIDS.items()
    )
    best = ", ".join(f"{name}: {longest_segment(cells)} years" for name, cells in _GRIDS.items())
    return Table(
        f"Adding {NEW_DAYS} days, scaled to {_FULL_MAP[0]} x {_FULL_MAP[1]} cells",
        COLUMNS,
        rows,
        (
            f"counted with {_cells_of(factor)} cells, bytes times {factor}; requests and records as they are",
            "source: archive files that were opened to be decoded, each read once more for its checksum; live: shards "
            "of the published version; scratch: written and read between two passes",
            "encoded: uncompressed; stored twice: shards that differ from those of the published version; records: "
            "ledger, manifest, structure, item, catalogue",
            f"uncompressed tail: {tails}",
            f"longest whole number of years that keeps it below {TAIL_BYTES / 1e9:.0f} GB: {best}",
        ),
    )


def longest_segment(cells: int) -> int:
    """Years of daily single-precision values whose tail stays below the limit."""
    return max((years for years in range(1, 101) if _tail(cells, years) <= TAIL_BYTES), default=0)


def _tail(cells: int, years: int) -> float:
    return cells * math.ceil(365.2425 * years) * 4.0


def _cells_of(factor: int) -> int:
    return math.prod(_map(factor))


def _map(factor: int) -> tuple[int, int]:
    """The scaled map: both sides by the root of the factor."""
    side = math.sqrt(factor)
    return round(_FULL_MAP[0] / side), round(_FULL_MAP[1] / side)


def _cells(found: Appended, factor: int) -> tuple[str, ...]:
    scaled = (found.source, found.live, found.scratch, found.encoded, found.written, found.copied, found.twice)
    requests = (str(found.calls[name]) for name in ("get", "put", "head", "copy"))
    return (*requests, *(f"{each * factor / 1e9:.2f}" for each in scaled), f"{found.records / 1e6:.1f}")


# ------------------------------------------------------------------------------------------------------- one append


def appended(folder: Path, years: int, segment: int, factor: int) -> Appended:
    """Build the history, add the new days, and count what that build does."""
    from batch.build import build
    from batch.jobs import OPTIONS
    from batch.reporting import Reporter
    from batch.spec import load_spec
    from ingest import opening

    archive = folder / f"archive-{years}"
    days = _days(years)
    _write_history(archive, years, days - NEW_DAYS, _map(factor))
    memory = math.ceil((WORKER_BYTES + (_BUDGET - WORKER_BYTES) / factor) / 2**20)
    spec_path = folder / f"cube-{years}-{segment}.yaml"
    spec_path.write_text(_SPEC.format(years=years, segment=segment, memory=memory))
    # A cube of an earlier run holds the new days already.
    cube = folder / f"cube-{years}-{segment}"
    shutil.rmtree(cube, ignore_errors=True)
    opened: list[Any] = []
    real = opening.opened

    def counting(file: Any) -> Any:
        opened.append(file)
        return real(file)

    reporter = Reporter(quiet=True)
    with _scaled(factor), mock.patch.dict(os.environ, CUBE_CACHE=str(folder / "identities")):
        spec = load_spec(spec_path, OPTIONS)
        _check(build(spec, spec.order(), reporter))
        before = _version(cube)
        new = [_write_day(archive, day, _map(factor)) for day in range(days - NEW_DAYS, days)]
        with _counted() as store, mock.patch("ingest.reading.opened", counting):
            _check(build(spec, spec.order(), reporter))
        after = _version(cube)
    for path in new:
        path.unlink()
    computed = [mark for mark in _marks(after) if not mark["taken"]]
    size = store.bytes
    shards = {
        str(path.relative_to(after)): path.stat() for path in (after / "time.zarr/pr/c").rglob("*") if path.is_file()
    }
    twice = (
        status.st_size
        for name, status in shards.items()
        if (before / name).exists() and (before / name).stat().st_ino != status.st_ino
    )
    found = Appended(
        calls=store.calls,
        source=sum(file.bytes for file in opened),
        live=size["get", "shard"],
        scratch=size["put", "scratch"] + size["get", "scratch"],
        encoded=4 * sum(mark["cells"]["pr"] for mark in computed),
        written=size["put", "shard"],
        records=size["put", "record"],
        copied=size["copy", "shard"],
        twice=sum(twice),
    )
    shutil.rmtree(cube)
    return found


def _check(outcome: Any) -> None:
    if outcome.failed:
        raise next(iter(outcome.failed.values()))


def _version(cube: Path) -> Path:
    item = json.loads((cube / "inputs/rain/rain.json").read_text())
    return cube / "inputs/rain" / str(item["properties"]["version"])


def _marks(version: Path) -> list[dict[str, Any]]:
    """What the ledger tells of each block."""
    return [json.loads(path.read_text()) for path in (version / "ledger/time").rglob("*.json")]


@contextlib.contextmanager
def _scaled(factor: int) -> Iterator[None]:
    """Chunks and shards of as many cells, relative to the map, as the full map has."""
    with contextlib.ExitStack() as stack:
        for name in ("CHUNK_BYTES", "SHARD_BYTES", "GROUP_BYTES"):
            stack.enter_context(mock.patch.object(layout, name, getattr(layout, name) // factor))
        yield


@contextlib.contextmanager
def _counted() -> Iterator[Store]:
    """Counts the calls of every store in a directory of this process."""
    from cube.stores.directory import DirectoryStore

    counts = Store()
    get, put, head, copy = DirectoryStore.get, DirectoryStore.put, DirectoryStore.head, DirectoryStore.copy
    conditional = DirectoryStore.put_if_unchanged

    def _get(self: Any, key: str, *arguments: Any) -> bytes:
        data = get(self, key, *arguments)
        counts.add("get", key, len(data))
        return data

    def _put(self: Any, key: str, data: Any, **options: Any) -> None:
        counts.add("put", key, len(data))
        put(self, key, data, **options)

    def _put_if_unchanged(self: Any, key: str, data: Any, expected: Any) -> bool:
        counts.add("put", key, len(data))
        return conditional(self, key, data, expected)

    def _head(self: Any, key: str) -> Any:
        counts.add("head", key, 0)
        return head(self, key)

    def _copy(self: Any, source: str, target: str) -> None:
        counts.add("copy", target, (self.root / source).stat().st_size)
        copy(self, source, target)

    with mock.patch.multiple(
        DirectoryStore, get=_get, put=_put, head=_head, copy=_copy, put_if_unchanged=_put_if_unchanged
    ):
        yield counts


# ----------------------------------------------------------------------------------------------------------- archive


def _days(years: int) -> int:
    return days_of(_FIRST.year, _FIRST.year + years - 1)


def _write_history(archive: Path, years: int, days: int, shape: tuple[int, int]) -> None:
    """One file a year; the last one is as short as the history."""
    if archive.exists():
        return
    archive.mkdir(parents=True)
    for year in range(years):
        first = _days(year)
        _write(archive / f"rain_{_FIRST.year + year}.nc", first, min(_days(year + 1), days) - first, shape)


def _write_day(archive: Path, day: int, shape: tuple[int, int]) -> Path:
    path = archive / f"rain_{_FIRST + datetime.timedelta(days=day):%Y%m%d}.nc"
    _write(path, day, 1, shape)
    return path


def _write(path: Path, day: int, steps: int, shape: tuple[int, int]) -> None:
    lat, lon = 38 - 75 * np.arange(shape[0]) / shape[0], -19 + 75 * np.arange(shape[1]) / shape[1]
    random = np.random.default_rng(day)

    def rain(part: slice) -> np.ndarray[Any, Any]:
        amounts = random.gamma(0.5, 8.0, (part.stop - part.start, *shape)).astype("f4")
        return np.where(random.random(amounts.shape) < 0.7, np.float32(0), np.round(amounts, 1))

    write_maps(path, _FIRST + datetime.timedelta(days=day), steps, lat, lon, units="mm d-1", values=rain)
