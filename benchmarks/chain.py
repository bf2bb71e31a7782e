"""The whole chain by `cube build`: weather of many cells, soil, column, sample, forest, emulation, evaluation.

The weather is made up (benchmarks/climates.py): every cell has a climate of its own, so that neighbours do not help the
codec. What is reported is the wall time of each product, everything included, and the largest worker process.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from benchmarks.climates import DAYS, Sites
from benchmarks.measure import PROJECT, Table

ROWS = {"small": 20, "full": 245}
YEARS = {"small": 5, "full": 10}
SITES = {"small": 100, "full": 1000}
WORKERS = 2
FEW = 32
"""Rows and columns of about a thousand cells."""
PROJECTED = {"cells": 60_000, "years": 94, "scenarios": 3, "workers": 100}

SPEC = """
title: Chain
store: ./cube
memory: 3 GiB
cluster: {{kind: local, workers: {workers}}}
products:
  weather: {{job: ingest, collection: inputs, source: cf, files: weather-*.nc}}
  texture: {{job: ingest, collection: inputs, source: cf, files: statics.nc}}
  soil: {{job: soil, collection: land, texture: texture, lai: texture}}
  rain-mean:
    {{job: climatology, collection: land, input: weather, variables: [pr], period: {{start: 2001, end: {last}}}}}
  column: {{job: simulate, collection: land, pr: weather, tas: weather, soil: soil, spin_up: {{cycles: 3}}}}
  training:
    job: sample
    collection: models
    soil: soil
    sites: {sites}
    runs: [{{simulation: column, pr: weather, tas: weather, baseline: rain-mean}}]
  model: {{job: train, collection: models, sample: training, test_years: [[{last}, {last}]]}}
  emulated:
    {{job: emulate, collection: land, model: model, pr: weather, tas: weather, soil: soil, baseline: rain-mean}}
"""
AGAIN = """
  emulated-{name}:
    {{job: emulate, collection: land, model: model, pr: weather, tas: weather, soil: soil, baseline: rain-mean}}
"""
COUNTED = ("weather", "column", "emulated")
"""Products that are of every cell and year, whose cost a cell-year is told."""


def run(folder: Path, scale: str, repeats: int) -> Table:
    """Build the chain once, since a whole one takes long; then the emulation again with one and with two workers, of
    all cells and of about a thousand."""
    rows, years = ROWS[scale], YEARS[scale]
    built = _chain(folder / "all", rows, years, SITES[scale])
    cell_years = rows * rows * years
    table = [_row(each, cell_years) for each in built]
    total = sum(each["seconds"] for each in built)
    size = sum(each["bytes"] for each in built)
    table.append(["all", f"{total:.0f}", "", f"{_mib(size)}", f"{_mib(max(e['peak_bytes'] for e in built))}"])
    seconds = {each["name"]: each["seconds"] for each in built}
    few = min(rows, FEW)
    _chain(folder / "few", few, years, min(SITES[scale], few * few // 5))
    notes = [_projection(seconds, cell_years)]
    for name, side in (("few", few), ("all", rows)):
        one, two = (_again(folder / name, workers) for workers in (1, 2))
        each = [1000 * taken / (side * side * years) for taken in (one, two)]
        notes.append(
            f"emulation of {side * side} cells, workers started before: {each[0]:.3f} ms a cell-year with one worker, "
            f"{each[1]:.3f} with two, {one / two:.2f} times as fast"
        )
    return Table(
        f"The chain, {rows * rows} cells x {years} years, {WORKERS} workers",
        ("product", "wall s", "ms a cell-year, one core", "MiB", "peak MiB"),
        table,
        [*notes, *_skill(folder / "all")],
    )


def _chain(folder: Path, rows: int, years: int, sites: int) -> list[dict[str, Any]]:
    """What each product took, from `cube build --json`."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "statics.nc").exists():
        _write(folder, rows, years)
    (folder / "cube.yaml").write_text(SPEC.format(workers=WORKERS, last=2000 + years, sites=sites))
    shutil.rmtree(folder / "cube", ignore_errors=True)
    return _build(folder)


def _build(folder: Path) -> list[dict[str, Any]]:
    command = [sys.executable, "-c", "from batch.command import main; main()", "build", "--json", "--spec"]
    environment = {**os.environ, "CUBE_CACHE": str(folder / "identities")}
    spec = str(folder / "cube.yaml")
    done = subprocess.run([*command, spec], cwd=PROJECT, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    built: list[dict[str, Any]] = json.loads(done.stdout)["built"]
    return built


def _again(folder: Path, workers: int) -> float:
    """Seconds of a second emulation, after one that started the workers and loaded what they need."""
    before = (folder / "cube.yaml").read_text()
    text = before.replace(f"workers: {WORKERS}", f"workers: {workers}")
    names = [f"{kind}-{workers}" for kind in ("warm", "timed")]
    # The first reads what lies in one segment only, so that it is soon done.
    first = AGAIN.format(name=names[0]).replace("baseline: rain-mean", "baseline: rain-mean, period: {end: 2002}")
    (folder / "cube.yaml").write_text(text + first + AGAIN.format(name=names[1]))
    try:
        built = {each["name"]: each["seconds"] for each in _build(folder)}
    finally:
        (folder / "cube.yaml").write_text(before)
    return float(built[f"emulated-{names[1]}"])


def _row(built: dict[str, Any], cell_years: int) -> list[str]:
    each = f"{1000 * WORKERS * built['seconds'] / cell_years:.3f}" if built["name"] in COUNTED else ""
    return [built["name"], f"{built['seconds']:.1f}", each, f"{_mib(built['bytes'])}", f"{_mib(built['peak_bytes'])}"]


def _mib(value: float) -> int:
    return math.ceil(value / 2**20)


def _projection(seconds: dict[str, float], cell_years: int) -> str:
    wanted = PROJECTED["cells"] * PROJECTED["years"] * PROJECTED["scenarios"]
    parts = []
    for name in ("column", "emulated"):
        minutes = seconds[name] * WORKERS / cell_years * wanted / PROJECTED["workers"] / 60
        parts.append(f"{name} {minutes:.1f} min")
    return (
        f"{PROJECTED['years']} years x {PROJECTED['scenarios']} scenarios of {PROJECTED['cells']} cells on "
        f"{PROJECTED['workers']} such workers, if the store keeps up: {', '.join(parts)}."
    )


def _skill(folder: Path) -> list[str]:
    item = json.loads((folder / "cube/models/model/model.json").read_text())
    model = xr.open_zarr(folder / "cube/models/model" / item["assets"]["time"]["href"])
    names = str(model["target"].attrs["flag_meanings"]).split()
    told = []
    for score in ("rmse", "median_r", "csi"):
        values = model[score].values[0, 0]
        found = ", ".join(
            f"{name} {value:.3f}" for name, value in zip(names, values, strict=True) if np.isfinite(value)
        )
        told.append(f"unseen sites in the unseen last year, {score}: {found}")
    return told


def _write(folder: Path, rows: int, years: int) -> None:
    """Weather as yearly files of daily maps in chunks of one day, and soil."""
    count = rows * rows
    sites = Sites.draw(count, 1)
    lat, lon = np.linspace(-30, 30, rows), np.arange(rows) * 60 / (rows - 1)
    latitude = np.repeat(lat, rows)
    placed = Sites(latitude, sites.annual, sites.clay, sites.sand, sites.lai, sites.peaks)
    pr, tas = placed.weather(years, 2)
    coords = {"lat": ("lat", lat, {"units": "degrees_north"}), "lon": ("lon", lon, {"units": "degrees_east"})}
    attrs = {
        "pr": {"units": "mm d-1", "standard_name": "precipitation_flux"},
        "tas": {"units": "K", "standard_name": "air_temperature"},
    }
    for year in range(years):
        part = slice(year * DAYS, (year + 1) * DAYS)
        time = xr.date_range(f"{2001 + year}-01-01", periods=DAYS, calendar="noleap", use_cftime=True)
        for name, values in (("pr", pr), ("tas", tas)):
            data = xr.Dataset({name: (("time", "lat", "lon"), values[part].reshape(DAYS, rows, rows), attrs[name])})
            encoding = {name: {"zlib": True, "complevel": 1, "chunksizes": (1, rows, rows)}}
            data = data.assign_coords(time=time, **coords)
            data.to_netcdf(folder / f"weather-{name}-{2001 + year}.nc", encoding=encoding, unlimited_dims=["time"])
    ground = {"clay": placed.clay, "sand": placed.sand, "lai": placed.lai}
    fixed = {
        name: (("lat", "lon"), each.reshape(rows, rows).astype("f4"), {"units": "1"}) for name, each in ground.items()
    }
    xr.Dataset(fixed, coords).to_netcdf(folder / "statics.nc")
