"""One climate scenario as ISIMIP delivers it, and as a cube: daily rain of a region, 2006 to 2099.

The files hold ten years each, in chunks of one day and the whole map. All values are there, and the cube is built from
them by `cube build` with both layouts. Beside it lie kerchunk references, and the shards of one cell as segments of
other lengths would lay them out.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from benchmarks.maps import days_of, write_maps
from benchmarks.measure import PROJECT
from benchmarks.weather import Weather, rainfall
from cube.axes import Step, TimeAxis
from cube.layout import Layout
from cube.options import LayoutOptions
from cube.shards import encode_variable
from cube.structure import structure
from cube.template import ArraySpec, Template
from ingest.references import ReferencedFile, build_references

PREFIX = "http://archive.invalid"
"""Where the references say that the files are; readers put the real place there."""

PRODUCT = "rain-hadgem2-es-rcp60"
_NAME = "pr_day_HadGEM2-ES_rcp60_r1i1p1_EWEMBI"
_SPEC = f"""
title: One scenario
store: ./cube
memory: 1 GiB
cluster: {{kind: local, workers: WORKERS}}
products:
  {PRODUCT}:
    job: ingest
    collection: rain
    source: isimip
    files: archive/*.nc4
    layout: {{maps: true}}
"""


@dataclass(frozen=True)
class Scenario:
    """Where it lies, how large it is (`years` inclusive, `shape` the map's), and the workers that build it."""

    folder: Path
    years: tuple[int, int]
    shape: tuple[int, int]
    workers: int

    def prepare(self) -> None:
        """Write the files and build the cube, where that was not done before."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if not self._is_done("archive"):
            for low, high in self._decades():
                self._write(self.folder / "archive" / f"{_NAME}_{low}0101-{high}1231.nc4", low, high)
            self._mark("archive")
        (self.folder / "cube.yaml").write_text(_SPEC.replace("WORKERS", str(self.workers)))
        if not self._is_done("cube"):
            command = [sys.executable, "-c", "from batch.command import main; main()", "build", "--spec"]
            environment = {**os.environ, "CUBE_CACHE": str(self.folder / "identities")}
            subprocess.run([*command, str(self.folder / "cube.yaml")], cwd=PROJECT, env=environment, check=True)
            self._mark("cube")
        if not self.references.exists():
            found = [
                ReferencedFile(path, f"{PREFIX}/{path.name}", _sha256(path), path.stat().st_size) for path in self.files
            ]
            made = build_references(found, ["pr"], smallest_chunk=1, parquet_above=2**30)
            self.references.write_bytes(made.objects["references.json"])

    @property
    def references(self) -> Path:
        """Kerchunk references to the files."""
        return self.folder / "references.json"

    def _is_done(self, part: str) -> bool:
        return (self.folder / f"{part}.done").exists()

    def _mark(self, part: str) -> None:
        (self.folder / f"{part}.done").touch()

    @property
    def files(self) -> list[Path]:
        return sorted((self.folder / "archive").glob("*.nc4"))

    @property
    def version(self) -> Path:
        """The folder of the published version."""
        product = self.folder / "cube" / "rain" / PRODUCT
        item = json.loads((product / f"{PRODUCT}.json").read_text())
        return product / str(item["properties"]["version"])

    @property
    def steps(self) -> int:
        return days_of(*self.years)

    @cached_property
    def axes(self) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """Latitudes from north to south and longitudes of a map of 120 by 125 degrees."""
        ny, nx = self.shape
        return 60 - (np.arange(ny) + 0.5) * 120 / ny, -60 + (np.arange(nx) + 0.5) * 125 / nx

    @cached_property
    def cell(self) -> tuple[int, int]:
        """Row and column of the land cell next to the middle."""
        land = np.argwhere(~self._weather.sea(slice(None), slice(None)))
        middle = np.array(self.shape) / 2
        row, column = land[np.abs(land - middle).sum(axis=1).argmin()]
        return int(row), int(column)

    @property
    def place(self) -> tuple[float, float]:
        """Latitude and longitude of `cell`."""
        return float(self.axes[0][self.cell[0]]), float(self.axes[1][self.cell[1]])

    @cached_property
    def _weather(self) -> Weather:
        return Weather(*self.axes, self.steps, memory=0.7, seed=2006)

    def _decades(self) -> Iterator[tuple[int, int]]:
        low = self.years[0]
        while low <= self.years[1]:
            high = min(-(-low // 10) * 10, self.years[1])
            yield low, high
            low = high + 1

    def _write(self, path: Path, low: int, high: int) -> None:
        before, steps = days_of(self.years[0], low - 1), days_of(low, high)

        def rates(part: slice) -> np.ndarray[Any, Any]:
            days = slice(before + part.start, before + part.stop)
            return self._rain(days, slice(None), slice(None)) / np.float32(86400)

        write_maps(path, datetime.date(low, 1, 1), steps, *self.axes, units="kg m-2 s-1", values=rates)

    def _rain(self, days: slice, rows: slice, columns: slice) -> np.ndarray[Any, Any]:
        return rainfall(self._weather, days, rows, columns)

    # ------------------------------------------------------------------------------------------- other segments

    def column(self, segment: int | None) -> tuple[Path, Layout]:
        """A Zarr group of which just the shards of `cell` are written, and its layout; `segment` in years."""
        template = self._template()
        layout = template.layout(LayoutOptions(segment=f"{segment} years" if segment else None))
        folder = self.folder / f"column-{segment or 'whole'}.zarr"
        if not self._is_done(folder.name):
            objects = structure(template, layout, {})
            for key, data in {**objects, **self._shards(layout, objects)}.items():
                (folder / key).parent.mkdir(parents=True, exist_ok=True)
                (folder / key).write_bytes(data)
            self._mark(folder.name)
        return folder, layout

    def _template(self) -> Template:
        lat, lon = self.axes
        time = TimeAxis(
            (datetime.date(self.years[0], 1, 1) - datetime.date(1970, 1, 1)).days, self.steps, _DAY, "standard"
        )
        coords = xr.Dataset(coords={"lat": ("lat", lat), "lon": ("lon", lon)})
        rain = ArraySpec(("time", "lat", "lon"), (self.steps, *self.shape), np.dtype("f4"), {"units": "mm d-1"})
        return Template({"pr": rain}, coords, time, ("lat", "lon"), (("pr",),))

    def _shards(self, layout: Layout, objects: dict[str, bytes]) -> dict[str, bytes]:
        (group,) = layout.groups
        row, column = self.cell
        window = {"lat": slice(row, row + 1), "lon": slice(column, column + 1)}
        shards: dict[str, bytes] = {}
        for block in layout.overlapping("pr", window):
            part = group.slices(block)
            values = self._rain(part["time"], part["lat"], part["lon"])
            shards |= encode_variable("pr", objects["pr/zarr.json"], group, block, values).shards
        return shards


_DAY = Step("day")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
