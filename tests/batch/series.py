"""A product that grows in the 360-day calendar, a metric of it, and what is known of both without our code.

A year is one segment of 360 days, and files of a month or of a day give it.
"""

from __future__ import annotations

import json
import os
import shutil
import warnings
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import pytest
import xarray as xr

from batch import jobs
from batch.build import Outcome, build
from batch.reporting import Reporter
from batch.spec import Spec, load_spec
from cube import layout, rechunk
from ingest import reading

YEAR, MONTH = 360, 30
SHAPE = (6, 6)
QUIET = Reporter(quiet=True)
SPEC = """
title: Series
store: {store}
memory: 1 GiB
cluster: {{kind: local, workers: 0}}
{storage}
products:
  rain:
    job: ingest
    collection: inputs
    source: cf
    files: {archive}/*.nc
    layout: {{segment: 1 years, maps: {maps}}}
    provenance: {{licence: CC-BY-4.0, redistribution: "yes"}}
{more}
  dry:
    job: metric
    collection: metrics
    metric: dry_days
    input: rain
    variable: pr
    threshold: {threshold} mm d-1
    layout: {{segment: 1 years}}
"""


def values(name: str, day: int, change: int = 0) -> np.ndarray[Any, Any]:
    """One day, shape (lat, lon), south to north; the cell in the south-west is sea. change: another making of it."""
    drawn = np.random.default_rng([day, change, len(name)]).random(SHAPE, "float32") + np.float32(1)
    drawn[0, 0] = np.nan
    return drawn


def series(name: str, days: range, changed: dict[int, int] | None = None) -> np.ndarray[Any, Any]:
    """Days in order, shape (time, lat, lon). changed: by day, which making of it."""
    return np.stack([values(name, day, (changed or {}).get(day, 0)) for day in days])


def dry_days(days: int, changed: dict[int, int] | None = None, threshold: float = 1.5) -> np.ndarray[Any, Any]:
    """Days below the threshold in each whole year, shape (year, lat, lon); -1 at sea."""
    years = series("pr", range(days // YEAR * YEAR), changed).reshape(-1, YEAR, *SHAPE)
    return np.where(np.isnan(years).any(axis=1), -1, (years < threshold).sum(axis=1))


def write_file(
    path: Path,
    days: range,
    names: tuple[str, ...] = ("pr",),
    change: int = 0,
    data: np.ndarray[Any, Any] | None = None,
) -> Path:
    """Days from 1970-01-01 in the 360-day calendar; latitude descending, as archives have it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)  # it may be shared
    with netCDF4.Dataset(path, "w") as nc:
        for dim, size in (("time", None), ("lat", SHAPE[0]), ("lon", SHAPE[1])):
            nc.createDimension(dim, size)
        time = nc.createVariable("time", "f8", ("time",))
        time.setncatts({"units": "days since 1970-01-01", "calendar": "360_day"})
        time[:] = np.array(days)
        for name, units, degrees in (
            ("lat", "degrees_north", (np.arange(SHAPE[0]) * 0.5 + 10.0)[::-1]),
            ("lon", "degrees_east", np.arange(SHAPE[1]) * 0.5),
        ):
            nc.createVariable(name, "f8", (name,))[:] = degrees
            nc[name].units = units
        for name in names:
            found = series(name, days, dict.fromkeys(days, change)) if data is None else data
            array = nc.createVariable(
                name, "f4", ("time", "lat", "lon"), fill_value=np.float32(-9999), chunksizes=(1, *SHAPE), zlib=True
            )
            array.units = "mm d-1" if name == "pr" else "K"
            array[:] = np.where(np.isnan(found), -9999, found)[:, ::-1]
    return path


class Series:
    """A folder with an archive and a cube. read_files: the archive files whose data the last build read."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch, names: tuple[str, ...] = ("pr",)) -> None:
        self.folder, self.names, self.archive = folder, names, folder / "archive"
        self.store, self.storage, self.more, self.threshold = "./cube", "", "", 1.5
        self.maps = self.metric = True
        self.read_files: set[str] = set()
        patch.setenv("CUBE_CACHE", str(folder / "cache"))
        real = reading.opened

        def counted(file: Any) -> Any:
            self.read_files.add(file.name)
            return real(file)

        patch.setattr(reading, "opened", counted)
        # A power cut is not among what is tested here.
        patch.setattr("os.fsync", lambda _: None)
        # Processes that look at a handful of files take longer to start than all the rest.
        patch.setattr("batch.build.ProcessPoolExecutor", lambda *_: ThreadPoolExecutor(1))

    def write(self, days: range, span: int = MONTH, change: int = 0) -> set[str]:
        """Files of `span` days; their names."""
        starts = range(days.start, days.stop, span)
        parts = [range(start, min(start + span, days.stop)) for start in starts]
        return {write_file(self.archive / name_of(part), part, self.names, change).name for part in parts}

    def spec(self) -> Spec:
        text = SPEC.format(
            archive=self.archive,
            store=self.store,
            storage=self.storage,
            maps=str(self.maps).lower(),
            more=self.more,
            threshold=self.threshold,
        )
        (self.folder / "cube.yaml").write_text(text if self.metric else text.partition("  dry:")[0])
        return load_spec(self.folder / "cube.yaml", jobs.OPTIONS)

    def build(self, **options: Any) -> Outcome:
        self.read_files.clear()
        spec = self.spec()
        return build(spec, spec.order(), QUIET, **options)

    def item(self, product: str = "rain", collection: str = "inputs") -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / f"cube/{collection}/{product}/{product}.json").read_bytes())
        return found

    def root(self, product: str = "rain", collection: str = "inputs") -> Path:
        """The folder of the published version."""
        version = self.item(product, collection)["properties"]["version"]
        return self.folder / "cube" / collection / product / version

    def open(self, product: str = "rain", collection: str = "inputs", layout: str = "time") -> xr.Dataset:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found: xr.Dataset = xr.open_zarr(self.root(product, collection) / f"{layout}.zarr")
        return found

    def objects(self, product: str = "rain", collection: str = "inputs") -> dict[str, bytes]:
        """What a version consists of, without its ledger."""
        root = self.root(product, collection)
        return {name: data for name, data in tree(root).items() if not name.startswith("ledger/")}


def often(*names: tuple[Any, ...], all_of: Iterable[tuple[Any, ...]]) -> list[Any]:
    """Parameters of which the usual tests try just those that are named, and the soak all."""
    return [pytest.param(*case, marks=() if case in names else pytest.mark.soak) for case in all_of]


def linked(source: Path, target: Path) -> Path:
    """A copy of a folder whose files are replaced, never written into."""
    return Path(shutil.copytree(source, target, copy_function=os.link))


def name_of(days: range) -> str:
    return f"d{days.start:05d}-{days.stop:05d}.nc"


def tree(root: Path) -> dict[str, bytes]:
    """All files below a folder."""
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def counts(outcome: Outcome) -> dict[str, tuple[int, int]]:
    """Blocks that were computed and taken over, by product that was made."""
    assert not outcome.failed, outcome.failed
    return {built.name: (built.computed, built.taken) for built in outcome.built}


def small_blocks(patch: pytest.MonkeyPatch) -> None:
    """Several blocks on a map of 30 cells, and shards of maps whose edges are not those of segments."""
    patch.setattr(layout, "CHUNK_BYTES", 4 * YEAR * 9)
    patch.setattr(layout, "SHARD_BYTES", 4 * YEAR * 20)


def two_passes(patch: pytest.MonkeyPatch) -> None:
    """No slab fits, so that intermediate chunks are needed."""
    real = rechunk.slab_memory
    patch.setattr(rechunk, "slab_memory", lambda source, window: real(source, window) + 10**12)
