"""A small cube of made-up rain and beta, and metrics of them."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from batch.build import Outcome, build
from batch.jobs import OPTIONS
from batch.reporting import Reporter
from batch.spec import load_spec
from cube.catalogue import Cube
from tests.ingest.small_files import write

YEARS = 14
FIRST = 2001
OCEAN, ARID, BIMODAL, SOUTHERN, SEA = (0, 0), (0, 1), (1, 0), (2, 0), (2, 3)
"""Cells without values, with little rain, with two seasons, with a season over New Year, and with little land."""

HEAD = """
title: Metrics
store: ./cube
memory: 1 GiB
cluster: {kind: local, workers: 0}
products:
  rain: {job: ingest, collection: inputs, source: cf, files: rain-*.nc, layout: {segment: 5 years}}
  beta: {job: ingest, collection: inputs, source: cf, files: beta-*.nc, layout: {segment: 5 years}}
  land: {job: ingest, collection: inputs, source: cf, files: land.nc}
"""


def length_of(calendar: str, year: int) -> int:
    return 360 if calendar == "360_day" else 366 if calendar == "standard" and year % 4 == 0 else 365


def rain_of(calendar: str, years: int = YEARS, *, shift: int = 0, factor: float = 1.0) -> np.ndarray[Any, Any]:
    """Rain of 3 x 4 cells, mm d-1: a season in summer but for the cells named above; `shift` days later."""
    random = np.random.default_rng(11)
    parts = []
    for year in range(FIRST, FIRST + years):
        day = np.arange(length_of(calendar, year))
        draws = random.random((3, 366, 3, 4))
        late = random.normal(0, 5, (3, 4))
        peak = np.full((3, 4), 215.0)
        peak[SOUTHERN] = 15.0
        chance = _season(day, peak + late + shift)
        chance[:, BIMODAL[0], BIMODAL[1]] += _season(day, np.array(75.0 + shift))
        wet = draws[0, : len(day)] < 0.02 + 0.7 * chance
        amount = -8.0 * np.log(1 - draws[1, : len(day)])
        found = np.where(wet, amount, 0.0)
        found[:, ARID[0], ARID[1]] *= 0.02
        found[:, OCEAN[0], OCEAN[1]] = np.nan
        parts.append(found * factor)
    return np.concatenate(parts).astype(np.float32)


def _season(day: np.ndarray[Any, Any], peak: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    angle = 2 * np.pi * (day.reshape(-1, *(1,) * peak.ndim) - peak) / 365.0
    return np.exp(6 * (np.cos(angle) - 1))


def beta_of(rain: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """A bucket of 60 mm that loses up to 4 mm a day, as a share."""
    store = np.full(rain.shape[1:], 20.0)
    found = np.empty_like(rain)
    for index, today in enumerate(rain):
        store = np.minimum(store + today, 60.0)
        store = np.maximum(store - 4.0 * np.minimum(1.0, store / 30.0), 0.0)
        found[index] = store / 60.0
    return found


def files(folder: Path, name: str, values: np.ndarray[Any, Any], calendar: str, units: str, first: int = FIRST) -> None:
    """One file a year."""
    start, year = 0, first
    attrs = {"units": units}
    if name == "rain":
        attrs["standard_name"] = "precipitation_flux"
    variable = {"rain": "pr", "beta": "fsmc"}[name.split("-")[0]]
    while start < len(values):
        count = min(length_of(calendar, year), len(values) - start)
        part = values[start : start + count]
        write(
            folder / f"{name}-{year}.nc",
            part,
            name=variable,
            times=range(count),
            units=f"days since {year}-01-01",
            calendar=calendar,
            attrs=attrs,
            dtype="f4",
            fill=None,
        )
        start, year = start + count, year + 1


def archive(folder: Path, calendar: str = "noleap") -> np.ndarray[Any, Any]:
    """Writes rain, beta and land; the rain."""
    folder.mkdir(exist_ok=True)
    rain = rain_of(calendar)
    files(folder, "rain", rain, calendar, "mm d-1")
    files(folder, "beta", beta_of(rain), calendar, "1")
    land = np.ones((3, 4), np.float32)
    land[SEA] = 0.4
    write(folder / "land.nc", land, name="land_fraction", times=None, attrs={"units": "1"})
    return rain


class Serial(ThreadPoolExecutor):
    """In place of processes, which take longer to start than these builds take."""

    def __init__(self, *_: Any) -> None:
        super().__init__(1)


def built(folder: Path, products: str, *names: str) -> Outcome:
    """products: the lines of `cube.yaml` after those of HEAD; names: what is built, all by default."""
    (folder / "cube.yaml").write_text(HEAD + products)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("batch.build.ProcessPoolExecutor", Serial)
        spec = load_spec(folder / "cube.yaml", OPTIONS)
        return build(spec, list(names) or spec.order(), Reporter(quiet=True))


def objects(folder: Path, product: str) -> dict[str, str]:
    """sha256 of what a metric's published version consists of, by name."""
    place = folder / "cube" / "metrics" / product
    version = json.loads((place / f"{product}.json").read_text())["properties"]["version"]
    manifest = json.loads((place / version / "manifest.json").read_text())
    return {name: each["sha256"] for name, each in manifest["objects"].items()}


def opened(folder: Path) -> Cube:
    return Cube(folder / "cube")
