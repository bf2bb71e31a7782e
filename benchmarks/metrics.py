"""Drought metrics: against xclim on the same arrays, against the machine's memory, and over a cube.

python -m benchmarks metrics [--scale small|full]
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from benchmarks.climates import DAYS, Sites
from benchmarks.measure import PROJECT, Table
from compute.metrics import functions

CELLS = {"small": 100, "full": 2000}
YEARS = {"small": 5, "full": 30}
SIDE = {"small": (20, 30), "full": (200, 245)}
"""Cells of the cube, one way: its square is built. The two sides show whether time is linear in cells."""
CUBE_YEARS = {"small": 5, "full": 94}
DIFFERENT = 10
"""Years of weather that are made up; more would take longer to make than to measure."""
FACTORS = {"season": 20.0, "spells": 20.0, "counts": 3.0}
TARGET_MEMORY, TARGET_DECODE = 0.5, 0.7

SPEC = """
title: Metrics
store: ./cube
memory: 3 GiB
cluster: {{kind: local, workers: {workers}}}
products:
  rain: {{job: ingest, collection: inputs, source: cf, files: rain-*.nc}}
  first: {{job: metric, collection: metrics, metric: dry_days, input: rain, threshold: 2 mm d-1}}
  dry-days: {{job: metric, collection: metrics, metric: dry_days, input: rain, threshold: 1 mm d-1}}
  wet-season:
    job: metric
    collection: metrics
    metric: wet_season
    input: rain
    reference: {{product: rain, period: {{start: 2001, end: {last}}}}}
"""


def run(folder: Path, scale: str, repeats: int) -> Table:
    """Measure; the files of the cube are used again."""
    rows = [*_arrays(scale, repeats), *_memory(scale, repeats)]
    notes: list[str] = []
    for side in SIDE[scale]:
        found, told = _cube(folder / str(side), side, CUBE_YEARS[scale])
        rows += found
        notes.append(told)
    return Table(
        f"Metrics: {CELLS[scale]} cells x {YEARS[scale]} years in memory, CPU seconds of one core",
        ("what", "ours", "beside", "ratio", "target", ""),
        rows,
        notes,
    )


def _series(cells: int, years: int) -> xr.DataArray:
    pr, _ = Sites.draw(cells, 3).weather(years, 4)
    time = xr.date_range("2001-01-01", periods=years * DAYS, calendar="noleap", use_cftime=True)
    return xr.DataArray(pr, {"time": time}, ("time", "cell"), "pr", {"units": "mm/day"})


def _cost(repeats: int, call: Callable[[], Any]) -> float:
    """CPU seconds, the least of some runs after one that compiles."""
    call()
    taken = []
    for _ in range(repeats):
        began = time.process_time()
        call()
        taken.append(time.process_time() - began)
    return min(taken)


def _arrays(scale: str, repeats: int) -> list[tuple[str, ...]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from xclim import indices

        data = _series(CELLS[scale], YEARS[scale])
        rule = {
            "onset_from": "04-01",
            "onset_until": "09-30",
            "rain": "25 mm",
            "within": "3 d",
            "no_dry_spell": "7 d",
            "cessation_from": "09-01",
            "cessation_until": "12-31",
            "cessation_dry": "20 d",
        }
        pairs: list[tuple[str, str, Callable[[], Any], Callable[[], Any]]] = [
            (
                "wet season by anomalies / xclim rain_season",
                "season",
                lambda: functions.wet_season(data),
                lambda: indices.rain_season(data, freq="YS"),
            ),
            (
                "wet season by thresholds / xclim rain_season",
                "season",
                lambda: functions.threshold_season(data, rule),
                lambda: indices.rain_season(data, freq="YS"),
            ),
            (
                "dry days, longest spell and spells / xclim longest spell",
                "spells",
                lambda: functions.dry_days(data, "1 mm d-1"),
                lambda: indices.maximum_consecutive_dry_days(data, thresh="1 mm/day", freq="YS"),
            ),
            (
                "dry days, longest spell and spells / xclim dry days",
                "counts",
                lambda: functions.dry_days(data, "1 mm d-1"),
                lambda: indices.dry_days(data, thresh="1 mm/day", freq="YS"),
            ),
        ]
        rows = []
        for name, kind, ours, theirs in pairs:
            own, other = _cost(repeats, ours), _cost(1, theirs)
            target = FACTORS[kind]
            rows.append(
                (
                    name,
                    f"{own:.3f} s",
                    f"{other:.3f} s",
                    f"{other / own:.1f}x",
                    f">= {target:.0f}x",
                    "met" if other / own >= target else "MISSED",
                )
            )
        one = data.isel(cell=[0])
        single = _wall(lambda: functions.wet_season(one))
        rows.append(("wet season of one place, wall", f"{1000 * single:.1f} ms", "", "", "milliseconds", ""))
    return rows


def _wall(call: Callable[[], Any], times: int = 5) -> float:
    call()
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        call()
        taken.append(time.perf_counter() - began)
    return min(taken)


def _memory(scale: str, repeats: int) -> list[tuple[str, ...]]:
    """The counting kernel on arrays in memory, as bandwidth, beside that of summing the same array with numpy."""
    from compute.seasons.spells import dry_spells

    count = {"small": 20_000, "full": 60_000}[scale]
    values: NDArray[np.float32] = np.random.default_rng(1).gamma(0.4, 5.0, (4 * DAYS, count)).astype(np.float32)
    first = np.arange(4) * DAYS
    call = functools.partial(dry_spells, values, first, first + DAYS, np.float32(1.0), spell=5)
    ours, theirs = _wall(call, repeats), _wall(lambda: values.sum(dtype=np.float32), repeats)
    rate, bandwidth = values.nbytes / ours / 1e9, values.nbytes / theirs / 1e9
    return [
        (
            "dry days and spells in memory / sum of the array, one core",
            f"{rate:.1f} GB/s",
            f"{bandwidth:.1f} GB/s",
            f"{rate / bandwidth:.2f}",
            f">= {TARGET_MEMORY}",
            "met" if rate / bandwidth >= TARGET_MEMORY else "MISSED",
        )
    ]


def _cube(folder: Path, side: int, years: int) -> tuple[list[tuple[str, ...]], str]:
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder, side, years)
    (folder / "cube.yaml").write_text(SPEC.format(workers=2, last=2000 + min(30, years)))
    for name in ("first", "dry-days", "wet-season"):
        shutil.rmtree(folder / "cube" / "metrics" / name, ignore_errors=True)
    built = {each["name"]: each for each in _build(folder)}
    size = side * side * years * DAYS * 4
    decode, plain = _decode(folder, "job"), _decode(folder, "zarr")
    rows = []
    for name in ("dry-days", "wet-season"):
        each = built[name]
        rate = size / each["seconds"] / 1e9
        share = rate / decode
        told = f">= {TARGET_DECODE}" if name == "dry-days" else ""
        rows.append(
            (
                f"{name} of {side * side} cells x {years} years from the cube, 2 workers, wall",
                f"{each['seconds']:.1f} s, {rate:.2f} GB/s",
                f"reading alone {decode:.2f} GB/s",
                f"{share:.2f}",
                told,
                "" if not told else "met" if share >= TARGET_DECODE else "MISSED",
            )
        )
    peak = max(built[name]["peak_bytes"] for name in ("dry-days", "wet-season")) / 2**20
    each_cell = [1e6 * built[name]["seconds"] / (side * side * years) for name in ("dry-days", "wet-season")]
    told = (
        f"{side * side} cells x {years} years: largest worker {peak:.0f} MiB; {each_cell[0]:.1f} us a cell-year of dry "
        f"days, {each_cell[1]:.1f} us of wet seasons (wall, two workers that run already; the first product, which "
        f"starts them, took {built['first']['seconds']:.1f} s); plain zarr reads {plain:.2f} GB/s with two processes"
    )
    return rows, told


def _decode(folder: Path, how: str) -> float:
    """GB/s of two processes that read the cube's rain as a job or by plain zarr, and do nothing with it."""
    command = [sys.executable, "-m", "benchmarks.decoding", str(folder / "cube"), "rain"]
    parts = [
        subprocess.Popen([*command, str(part), how], cwd=PROJECT, stdout=subprocess.PIPE, text=True) for part in (0, 1)
    ]
    told = [json.loads(part.communicate()[0]) for part in parts]
    return sum(each["bytes"] for each in told) / max(each["seconds"] for each in told) / 1e9


def _build(folder: Path) -> list[dict[str, Any]]:
    command = [sys.executable, "-c", "from batch.command import main; main()", "build", "--json", "--spec"]
    environment = {**os.environ, "CUBE_CACHE": str(folder / "identities")}
    spec = str(folder / "cube.yaml")
    done = subprocess.run([*command, spec], cwd=PROJECT, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    built: list[dict[str, Any]] = json.loads(done.stdout)["built"]
    return built


def _write(folder: Path, side: int, years: int) -> None:
    """Rain in yearly files, chunks of some days; written once. After ten years the same weather comes again."""
    if (folder / f"rain-{2000 + years}.nc").exists():
        return
    sites = Sites.draw(side * side, 1)
    lat, lon = np.linspace(-30, 30, side), np.arange(side) * 60 / (side - 1)
    coords = {"lat": ("lat", lat, {"units": "degrees_north"}), "lon": ("lon", lon, {"units": "degrees_east"})}
    attrs = {"units": "mm d-1", "standard_name": "precipitation_flux"}
    weather = [np.round(sites.weather(1, year)[0], 1) for year in range(min(years, DIFFERENT))]
    for year in range(years):
        pr = weather[year % DIFFERENT]
        time_ = xr.date_range(f"{2001 + year}-01-01", periods=DAYS, calendar="noleap", use_cftime=True)
        data = xr.Dataset({"pr": (("time", "lat", "lon"), pr.reshape(DAYS, side, side), attrs)})
        encoding = {"pr": {"zlib": True, "complevel": 1, "chunksizes": (5, side, side)}}
        data.assign_coords(time=time_, **coords).to_netcdf(
            folder / f"rain-{2001 + year}.nc", encoding=encoding, unlimited_dims=["time"]
        )
