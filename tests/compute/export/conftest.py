"""A small cube with a product of each shape that is exported."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from cube.axes import Step, TimeAxis
from cube.catalogue import Cube
from tests.compute.notebook.products import FILL, FLAG, Toy, built, grid, season_toy, years

LATS, LONS = np.arange(1.0, 9.0, 2.0), np.arange(-7.0, 5.0, 2.0)
SHAPE = (len(LATS), len(LONS))
TRIANGLE = [[-6.5, 0.5], [3.5, 0.5], [-1.5, 6.5], [-6.5, 0.5]]
BAND = [[-8.0, 6.0], [4.0, 6.0], [4.0, 8.0], [-8.0, 8.0], [-8.0, 6.0]]


def daily() -> Toy:
    """Two years of 360 days; cell (0, 0) has no values, one day of another is missing."""
    values = np.random.default_rng(2).gamma(0.5, 4.0, (720, *SHAPE)).astype("f4")
    values[:, 0, 0] = np.nan
    values[100, 2, 3] = np.nan
    attrs = {"units": "mm d-1", "standard_name": "lwe_precipitation_rate", "cell_methods": "time: mean"}
    return Toy(
        {
            "pr": (("time", "lat", "lon"), values, {**attrs, "long_name": "rain"}),
            "wet": (("time", "lat", "lon"), (values > 1).astype("i1"), {"long_name": "wet day", "units": "1"}),
        },
        grid(LATS, LONS),
        TimeAxis(360 * 31, 720, Step("day"), "360_day"),
    )


def seasons() -> Toy:
    onset = np.random.default_rng(4).integers(60, 120, (3, 2, *SHAPE))
    onset[:, :, 3, :3] = FILL
    flag = np.where(onset == FILL, 1, 0)
    usual = onset[0]
    return season_toy(onset, onset + 100, flag, grid(LATS, LONS), years(2001, 3), start=usual, end=usual + 100)


def national() -> Toy:
    y, x = 1000.0 * np.arange(200, 216, 4), 1000.0 * np.arange(400, 420, 4)
    coords = {
        "y": xr.Variable(("y",), y, {"units": "m", "standard_name": "projection_y_coordinate", "axis": "Y"}),
        "x": xr.Variable(("x",), x, {"units": "m", "standard_name": "projection_x_coordinate", "axis": "X"}),
    }
    values = np.arange(60, dtype=np.int16).reshape(3, 4, 5)
    values[:, 0, 0] = FILL
    attrs = {"long_name": "dry days", "units": "d", "_FillValue": FILL}
    arrays = {"dry_days": (("time", "y", "x"), values, attrs)}
    return Toy(arrays, coords, years(2001, 3), space=("y", "x"), epsg=27700)


def sites() -> Toy:
    """Three land points of 12 months."""
    coords = {
        "site": xr.Variable(("site",), np.arange(3, dtype=np.int32), {"long_name": "number of the site"}),
        **{
            name: xr.Variable(("site",), np.array(values), {"units": units, "standard_name": word})
            for name, values, units, word in (
                ("lat", [1.0, 2.0, 5.0], "degrees_north", "latitude"),
                ("lon", [1.0, 2.0, 9.0], "degrees_east", "longitude"),
            )
        },
    }
    values = np.random.default_rng(8).normal(size=(12, 3)).astype("f4")
    arrays = {"ssmi": (("time", "site"), values, {"long_name": "index", "units": "1"})}
    return Toy(arrays, coords, TimeAxis(12 * 31, 12, Step("month"), "noleap"), space=("site",))


def reasons() -> Toy:
    """Seasons of three years: cell (1, 1) is indeterminate, (2, 3) is outside of the mask, all others have seasons."""
    onset = np.random.default_rng(6).integers(60, 120, (3, 1, *SHAPE))
    flag = np.zeros(onset.shape, np.int8)
    for row, column, reason in ((1, 1, "indeterminate"), (2, 3, "no_data")):
        onset[:, :, row, column] = FILL
        flag[:, :, row, column] = FLAG[reason]
    usual = onset[0]
    return season_toy(onset, onset + 100, flag, grid(LATS, LONS), years(2001, 3), start=usual, end=usual + 100)


def gaps() -> Toy:
    """Two years: cell (1, 1) has values of `pr` in the first one alone and none of `tas`; all others have all."""
    pr, tas = np.random.default_rng(7).normal(size=(2, 2, *SHAPE)).astype("f4")
    pr[1, 1, 1] = np.nan
    tas[:, 1, 1] = np.nan
    dims = ("time", "lat", "lon")
    return Toy(
        {"pr": (dims, pr, {"units": "mm d-1"}), "tas": (dims, tas, {"units": "K"})}, grid(LATS, LONS), years(2001, 2)
    )


def counts() -> Toy:
    """Two years of dry days: cell (1, 1) has too few days for a number, (2, 3) has none."""
    days = np.full((2, *SHAPE), 200, np.int16)
    valid = np.full((2, *SHAPE), 365, np.int16)
    days[:, 1, 1], valid[:, 1, 1] = FILL, 40
    days[:, 2, 3], valid[:, 2, 3] = FILL, 0
    attrs = {"units": "d", "_FillValue": FILL}
    dims = ("time", "lat", "lon")
    return Toy({"dry_days": (dims, days, attrs), "valid_days": (dims, valid, attrs)}, grid(LATS, LONS), years(2001, 2))


TOYS = {
    "daily": daily(),
    "seasons": seasons(),
    "national": national(),
    "sites": sites(),
    "reasons": reasons(),
    "gaps": gaps(),
    "counts": counts(),
}


@pytest.fixture(scope="package")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where cube.yaml, the cube and two files of regions are; it must not be changed."""
    folder: Path = tmp_path_factory.mktemp("export")
    features = [
        {"type": "Feature", "properties": {"name": name}, "geometry": {"type": "Polygon", "coordinates": [ring]}}
        for name, ring in (("Triangle", TRIANGLE), ("Northern band", BAND))
    ]
    (folder / "r.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    row = "job: summarise, input: seasons, variables: [onset, length], regions: {file: r.geojson}"
    rows = {"summary": row, "daily": "job: toy, key: daily, layout: {segment: 1 years}"}
    outcome = built(folder, TOYS, rows)
    assert not outcome.failed, outcome.failed
    return folder


@pytest.fixture(scope="package")
def cube(folder: Path) -> Cube:
    return Cube(folder / "cube")
