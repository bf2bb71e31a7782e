"""The whole daily series of one cell, and the map of one day, from the cube and from the files it was made of.

Every run is a new process, and what it reads was dropped from the page cache before (fsync and posix_fadvise of each
file; of the object store's own files too).
"""

from __future__ import annotations

import json
import math
import os
import shutil
import statistics
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmarks.measure import Measured, Table, interleaved, median, ratio, run_candidate
from benchmarks.scenario import PREFIX, PRODUCT, Scenario

TIMES, REQUESTS = 100, 2
"""Targets: faster than the files by this factor; requests a segment, metadata apart."""

_SMALL: dict[str, Any] = {"years": (2010, 2011), "shape": (40, 50), "workers": 0}
_FULL: dict[str, Any] = {"years": (2006, 2099), "shape": (240, 250), "workers": 2}
_SEGMENTS = (1, 5, 10, None)
_DAY = 10


@dataclass(frozen=True)
class Row:
    """One way to read one thing. segments: chunks that the series lies in, where the cube is read."""

    where: str
    name: str
    what: Mapping[str, Any]
    route: str
    arguments: Mapping[str, Any]
    cold: tuple[Path, ...] = field(repr=False, default=())
    segments: int = 0

    @property
    def kind(self) -> str:
        return "map of a day" if "day" in self.what else "series"

    def measure(self) -> Measured:
        for path in self.cold:
            drop(path)
        place = json.dumps(dict(self.arguments)), json.dumps(dict(self.what))
        return run_candidate(["-m", "benchmarks.readers", self.route, *place])


def run(folder: Path, scale: str, repeats: int) -> Table:
    """Measure; what is made in `folder` is used again, the object store's data are deleted."""
    scenario = Scenario(folder / f"scenario-{scale}", **(_FULL if scale == "full" else _SMALL))
    scenario.prepare()
    rows = _on_disk(scenario, full=scale == "full")
    found = _measured(rows, repeats)
    if scale == "full":
        with _object_store(folder / "s3") as (server, address):
            rows += (remote := _on_object_store(scenario, server, address, folder / "s3"))
            found += _measured(remote, repeats)
    _check_same(rows, found)
    return Table(
        f"Reading {scenario.steps} days of {math.prod(scenario.shape)} cells, cold",
        ("", "requests: open + load", "MB", "s", "CPU s", "s with imports", "times ours", "CPU"),
        [_cells(row, each, rows, found) for row, each in zip(rows, found, strict=True)],
        _notes(scenario, rows, found),
    )


def drop(root: Path) -> None:
    """Drop a file, or all below a folder, from the page cache."""
    for path in [root] if root.is_file() else [each for each in root.rglob("*") if each.is_file()]:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)


# -------------------------------------------------------------------------------------------------- what is measured


def _on_disk(scenario: Scenario, *, full: bool) -> list[Row]:
    lat, lon = scenario.place
    series, day = {"lat": lat, "lon": lon}, {"day": _DAY}
    cube, archive = scenario.folder / "cube", scenario.folder / "archive"
    references = scenario.folder / "references-disk.json"
    _write_references(scenario, references, str(archive))
    time, maps, hrefs = str(scenario.version / "time.zarr"), str(scenario.version / "map.zarr"), _hrefs(scenario)
    rows = [
        Row("disk", "cube, `xr.open_zarr`", series, "zarr", {"href": time}, (cube,), 1),
        Row("disk", "kerchunk references", series, "kerchunk", {"href": str(references)}, (archive, references)),
        Row("disk", "files, `xr.open_mfdataset`", series, "files", {"hrefs": hrefs}, (archive,)),
    ]
    if full:
        rows[1:1] = [
            Row("disk", "cube, `cic.open`", series, "cic", {"href": str(cube), "product": PRODUCT}, (cube,), 1)
        ]
        rows += [
            Row("disk", "cube, map.zarr", day, "zarr", {"href": maps}, (cube,)),
            Row("disk", "cube, time.zarr", day, "zarr", {"href": time, "chunks": None}, (cube,)),
            Row("disk", "files, `xr.open_mfdataset`", day, "files", {"hrefs": hrefs}, (archive,)),
        ]
    return rows


def _on_object_store(scenario: Scenario, server: Any, address: str, folder: Path) -> list[Row]:
    """Upload what is read; the map layout with the one shard that is needed."""
    version = scenario.version.relative_to(scenario.folder)
    _upload(server, scenario.folder / "cube", "cube", lambda name: "/map.zarr/pr/c/" not in name or "/c/0/" in name)
    _upload(server, scenario.folder / "archive", "archive")
    references = scenario.folder / "references-s3.json"
    _write_references(scenario, references, f"{address}/archive")
    lat, lon = scenario.place
    series, day = {"lat": lat, "lon": lon}, {"day": _DAY}
    time, maps = f"{address}/{version}/time.zarr", f"{address}/{version}/map.zarr"
    hrefs = [f"{address}/archive/{path.name}" for path in scenario.files]
    cold = (folder,)
    virtual = {"href": str(references), "protocol": "http"}
    rows = [
        Row("S3", "cube, `xr.open_zarr`", series, "zarr", {"href": time}, cold, 1),
        Row("S3", "cube, `cic.open`", series, "cic", {"href": f"{address}/cube", "product": PRODUCT}, cold, 1),
        Row("S3", "kerchunk references", series, "kerchunk", virtual, (*cold, references)),
        Row("S3", "files, `xr.open_mfdataset`", series, "files", {"hrefs": hrefs}, cold),
        Row("S3", "cube, map.zarr", day, "zarr", {"href": maps}, cold),
        Row("S3", "cube, time.zarr, `chunks=None`", day, "zarr", {"href": time, "chunks": None}, cold),
        Row("S3", "cube, time.zarr", day, "zarr", {"href": time}, cold),
    ]
    for segment in _SEGMENTS:
        column, layout = scenario.column(segment)
        _upload(server, column, column.name)
        name = f"layout of {segment} year segments" if segment else "layout of one segment"
        count = layout.groups[0].dims[0].blocks
        rows.append(Row("S3", name, series, "zarr", {"href": f"{address}/{column.name}"}, cold, count))
    return rows


def _hrefs(scenario: Scenario) -> list[str]:
    return [str(path) for path in scenario.files]


def _write_references(scenario: Scenario, path: Path, place: str) -> None:
    """The references with the place where the files are."""
    path.write_text(scenario.references.read_text().replace(PREFIX, place))


def _measured(rows: list[Row], repeats: int) -> list[Measured]:
    return [
        _middle(runs) for runs in interleaved(repeats, {str(n): row.measure for n, row in enumerate(rows)}).values()
    ]


def _middle(runs: list[Measured]) -> Measured:
    """The medians, those of what the candidate timed itself too."""
    found = median(runs)
    timed = {name: statistics.median(run.report[name] for run in runs) for name in ("seconds", "cpu")}
    return replace(found, report={**found.report, **timed})


def _check_same(rows: list[Row], found: list[Measured]) -> None:
    """All ways to read one thing must give the same numbers."""
    first: dict[str, float] = {}
    for row, each in zip(rows, found, strict=True):
        total = each.report["sum"]
        if not math.isclose(first.setdefault(row.kind, total), total, rel_tol=1e-5) or not total > 0:
            raise RuntimeError(f"{row.kind} from {row.where} {row.name} sums up to {total}, not {first[row.kind]}")


# ------------------------------------------------------------------------------------------------------------ tables


def _cells(row: Row, each: Measured, rows: list[Row], found: list[Measured]) -> tuple[str, ...]:
    said = each.report
    opened, loaded = said["opened"], said["loaded"]
    ours = next(b for a, b in zip(rows, found, strict=True) if (a.where, a.kind) == (row.where, row.kind))
    return (
        f"{row.kind}, {row.where}: {row.name}",
        f"{opened[0]} + {loaded[0]}" if row.where == "S3" else "",
        f"{(opened[1] + loaded[1] if row.where == 'S3' else said['disk']) / 1e6:.1f}",
        f"{said['seconds']:.3f}",
        f"{said['cpu']:.3f}",
        f"{each.ready[0] + said['seconds']:.2f}",
        ratio(said["seconds"], ours.report["seconds"]),
        ratio(said["cpu"], ours.report["cpu"]),
    )


def _notes(scenario: Scenario, rows: list[Row], found: list[Measured]) -> list[str]:
    size = sum(path.stat().st_size for path in scenario.files) / 1e9
    notes = [
        f"{len(scenario.files)} files of daily maps, one chunk a day, {size:.2f} GB; all values are there, and the "
        "cube is built from them",
        "s and CPU s of opening and loading, once all is imported; MB read from the disk, or in the answers' bodies",
    ]
    for where in dict.fromkeys(row.where for row in rows):
        cube, route = (
            next(b for a, b in zip(rows, found, strict=True) if (a.where, a.kind, a.route) == (where, "series", kind))
            for kind in ("zarr", "files")
        )
        times = route.report["seconds"] / cube.report["seconds"]
        whole = (route.ready[0] + route.report["seconds"]) / (cube.ready[0] + cube.report["seconds"])
        word = "met" if times >= TIMES else "MISSED"
        notes.append(
            f"{where}: the series is there {times:.0f} times sooner than from the files (target {TIMES}: {word}), "
            f"{whole:.0f} times with imports"
        )
    many = [
        a.name for a, b in zip(rows, found, strict=True) if a.segments * REQUESTS < b.report["loaded"][0] and a.segments
    ]
    if any(row.where == "S3" for row in rows):
        notes.append(
            f"target of {REQUESTS} requests a segment: {'MISSED by ' + ', '.join(many) if many else 'met by all'}"
        )
    return notes


# ------------------------------------------------------------------------------------------------------ object store


@contextmanager
def _object_store(folder: Path) -> Iterator[tuple[Any, str]]:
    """A SeaweedFS server with a bucket that everybody may read, and the bucket's address."""
    from cube.stores import Storage, open_store
    from cube.stores.s3_public import make_public
    from tests.s3_server import S3Server

    server = S3Server(folder)
    server.start()
    before = dict(os.environ)
    os.environ.update(server.environment)
    try:
        store: Any = open_store(f"s3://{server.bucket}", Storage(endpoint_url=server.endpoint_url, policy="aws"))
        make_public(store)
        yield server, f"{server.endpoint_url}/{server.bucket}"
    finally:
        server.stop()
        os.environ.clear()
        os.environ.update(before)
        shutil.rmtree(folder, ignore_errors=True)


def _upload(server: Any, folder: Path, prefix: str, wanted: Any = lambda name: True) -> None:
    client = server.client()

    def put(path: Path) -> None:
        client.put_object(Bucket=server.bucket, Key=f"{prefix}/{path.relative_to(folder)}", Body=path.read_bytes())

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(put, [path for path in folder.rglob("*") if path.is_file() and wanted(str(path))]))
