"""A small cube of the whole chain - weather, soil, column, sample, model, emulation - from files written here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from batch.build import Outcome, build
from batch.jobs import OPTIONS
from batch.reporting import Reporter
from batch.spec import Spec, load_spec
from cube.catalogue import Cube
from tests.ingest.small_files import write

LONS = (10.0, 13.0, 16.0, 19.0)
LATS = tuple(-6.0 + 3 * i for i in range(5))
SEA = (4, 3)
"""Row and column of the one cell without land."""
STARTS = {"historical": 2001, "future": 2006}
YEARS = {"historical": 5, "future": 3}

HEAD = """
title: Chain
store: ./cube
memory: 2 GiB
cluster: {kind: local, workers: 0}
"""
WEATHER = """
  weather-{run}:
    job: ingest
    collection: inputs
    source: cf
    files: "{run}-*.nc"
    each: {run: [historical, future]}
"""
LAND = """
  texture: {job: ingest, collection: inputs, source: cf, files: statics.nc}
  soil: {job: soil, collection: land, texture: texture, lai: texture, land_fraction: texture}
  rain-mean:
    {job: climatology, collection: land, input: weather-historical, variables: [pr], period: {start: 2001, end: 2004}}
"""
COLUMN = """
  column-historical:
    job: simulate
    collection: land
    pr: weather-historical
    tas: weather-historical
    soil: soil
    spin_up: {years: 1, cycles: 3}
    layout: {segment: 2 years}
  column-future:
    {job: simulate, collection: land, pr: weather-future, tas: weather-future, soil: soil, continues: column-historical}
"""
TRAINING = """
  training:
    job: sample
    collection: models
    soil: soil
    sites: 16
    spin_up: 1
    runs:
      - {simulation: column-historical, pr: weather-historical, tas: weather-historical, baseline: rain-mean}
      - simulation: column-future
        pr: weather-future
        tas: weather-future
        baseline: rain-mean
        after: column-historical
  model:
    job: train
    collection: models
    sample: training
    test_years: [[2005, 2005], [2008, 2008]]
    forest: {trees: 20, depth: 5}
"""
EMULATION = """
  emulated-historical:
    job: emulate
    collection: land
    model: model
    pr: weather-historical
    tas: weather-historical
    soil: soil
    baseline: rain-mean
    layout: {segment: 2 years}
  emulated-future:
    job: emulate
    collection: land
    model: model
    pr: weather-future
    tas: weather-future
    soil: soil
    baseline: rain-mean
    continues: emulated-historical
"""
CHAIN = WEATHER + LAND + COLUMN + TRAINING + EMULATION


def days_of(run: str) -> int:
    first = np.datetime64(f"{STARTS[run]}-01-01")
    return int((np.datetime64(f"{STARTS[run] + YEARS[run]}-01-01") - first).astype(int))


def weather(run: str) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Rain in mm d-1 and temperature in K, (days, lat, lon), wetter from row to row."""
    rng = np.random.default_rng(STARTS[run])
    days = days_of(run)
    turn = 2 * np.pi * np.arange(days) / 365.25
    wet = (0.5 - 0.4 * np.cos(turn))[:, None, None] * np.linspace(0.3, 0.9, len(LATS))[None, :, None]
    shape = (days, len(LATS), len(LONS))
    pr = np.where(rng.random(shape) < wet, rng.gamma(0.8, 9.0, shape), 0).astype("f4")
    warm = 297 + (2 if run == "future" else 0)
    tas = (warm + 4 * np.cos(turn)[:, None, None] + rng.normal(0, 1, shape)).astype("f4")
    pr[:, *SEA] = tas[:, *SEA] = np.nan
    return pr, tas


def write_weather(folder: Path, run: str, pr: Any = None, tas: Any = None, **attrs: str) -> None:
    given = weather(run)
    for name, values, units, standard in (
        ("pr", given[0] if pr is None else pr, attrs.get("pr", "mm d-1"), "precipitation_flux"),
        ("tas", given[1] if tas is None else tas, attrs.get("tas", "K"), "air_temperature"),
    ):
        write(
            folder / f"{run}-{name}.nc",
            values,
            name=name,
            times=range(len(values)),
            units=f"days since {STARTS[run]}-01-01",
            latitudes=LATS,
            longitudes=LONS,
            attrs={"units": units, "standard_name": standard},
        )


def statics() -> dict[str, np.ndarray[Any, Any]]:
    """Percent of clay, sand and silt that add up to 98, leaf area and land."""
    row, column = np.mgrid[0 : len(LATS), 0 : len(LONS)]
    clay, sand = 10.0 + 6 * row + column, 60.0 - 7 * row + 2 * column
    land = np.ones(row.shape)
    land[SEA] = 0
    return {
        name: np.where(land > 0, values, np.nan if name != "land_fraction" else 0).astype("f4")
        for name, values in {
            "clay": clay,
            "sand": sand,
            "silt": 98 - clay - sand,
            "lai": 0.5 + 0.6 * row,
            "land_fraction": land,
        }.items()
    }


def write_statics(folder: Path, **changed: Any) -> None:
    given = {**statics(), **changed}
    units = {name: "1" if name in ("lai", "land_fraction") else "%" for name in given}
    extra = {name: (("lat", "lon"), given[name], {"units": units[name]}) for name in given if name != "clay"}
    write(
        folder / "statics.nc",
        given["clay"],
        name="clay",
        times=None,
        latitudes=LATS,
        longitudes=LONS,
        attrs={"units": "%"},
        extra=extra,
    )


def spec(folder: Path, products: str, head: str = HEAD) -> Spec:
    (folder / "cube.yaml").write_text(f"{head}products:{products}")
    return load_spec(folder / "cube.yaml", OPTIONS)


def built(folder: Path, products: str, head: str = HEAD) -> Outcome:
    declared = spec(folder, products, head)
    return build(declared, declared.order(), Reporter(quiet=True))


def archive(folder: Path) -> Path:
    """All files of the chain."""
    folder.mkdir(parents=True, exist_ok=True)
    for run in STARTS:
        write_weather(folder, run)
    write_statics(folder)
    return folder


def opened(folder: Path) -> Cube:
    return Cube(folder / "cube")


def flat(array: xr.DataArray) -> np.ndarray[Any, Any]:
    """(..., cells) of an array whose last dimensions are lat and lon."""
    values = array.transpose(..., "lat", "lon").values
    return values.reshape(*values.shape[:-2], -1)
