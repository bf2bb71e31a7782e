"""Small cubes for pictures, built once a module; nothing here may open a connection."""

from __future__ import annotations

import socket
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from cube.axes import Step, TimeAxis
from cube.catalogue import Cube

from .products import FILL, FLAG, TOLD, Toy, built, change_toy, grid, season_toy, years

LATS, LONS = (2.0, 4.0, 6.0, 8.0), (-6.0, -4.0, -2.0, 0.0, 2.0)
SHAPE = (len(LATS), len(LONS))


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise AssertionError("a picture opened a connection")

    monkeypatch.setattr(socket.socket, "connect", refused)


def seasons(
    first: int = 2001,
    count: int = 4,
    calendar: str = "standard",
    told: dict[str, str] | None = None,
    *,
    lats: tuple[float, ...] = LATS,
    without: tuple[int, int] | None = None,
) -> Toy:
    """Onset 100 + 10 x column + year, 150 days, season 2 unknown; the first row is sea, then cells for each reason;
    `without` is a further cell without data."""
    onset = np.full((count, 2, *SHAPE), FILL)
    onset[:, 0] = 100 + 10 * np.arange(SHAPE[1]) + np.arange(count)[:, None, None]
    flag = np.full(onset.shape, FLAG["no_season"])
    flag[:, 0] = FLAG["valid"]
    flag[:, :, 0] = FLAG["no_data"]
    flag[:, :, 3, :2] = FLAG["arid"]
    flag[:, :, 2, 0] = FLAG["indeterminate"]
    flag[1, 0, 1, 4] = FLAG["missing_days"]
    flag[0, 0, 1, 3] = FLAG["incomplete"]
    if without:
        flag[:, :, *without] = FLAG["no_data"]
    onset[flag != 0] = FILL
    cessation = np.where(onset == FILL, FILL, onset + 149)
    usual = np.where(flag[2] == 0, 100 + 10 * np.arange(SHAPE[1]), FILL)
    return season_toy(
        onset,
        cessation,
        flag,
        grid(lats, LONS),
        years(first, count, calendar),
        start=usual,
        end=np.where(usual == FILL, FILL, usual + 149),
        told=told or {},
    )


def dry(months: tuple[str, ...] = ()) -> Toy:
    """dry_days of three years: 200 + row + column + year; the first row is sea; one cell of 2002 lacks days,
    one of 2003 has none."""
    values = 200 + np.add.outer(np.arange(3), np.add.outer(np.arange(SHAPE[0]), np.arange(SHAPE[1]))).astype(np.int16)
    valid = np.full(values.shape, 365, np.int16)
    valid[:, 0], values[:, 0] = 0, FILL
    valid[1, 2, 2], values[1, 2, 2] = 300, FILL
    valid[2, 3, 4], values[2, 3, 4] = 0, FILL
    attrs = {"units": "d", "_FillValue": FILL}
    dims: tuple[str, ...] = ("time", "lat", "lon")
    coords = grid(LATS, LONS)
    if months:
        dims = ("time", "months", "lat", "lon")
        values, valid = (np.repeat(each[:, None], len(months), axis=1) for each in (values, valid))
        values[:, 1] = np.where(values[:, 1] == FILL, FILL, values[:, 1] - 100)
        told = {"flag_values": list(range(len(months))), "flag_meanings": " ".join(months)}
        coords["months"] = xr.Variable(("months",), np.arange(len(months), dtype=np.int32), told)
    return Toy(
        {
            "dry_days": (dims, values, {"long_name": "dry days", **attrs, "ancillary_variables": "valid_days"}),
            "valid_days": (dims, valid, {"long_name": "days with values", **attrs}),
        },
        coords,
        years(2001, 3),
    )


def change() -> Toy:
    """One model, two windows: the change is the column less 2, ten more in the second; the first row is missing."""
    values = np.broadcast_to(np.arange(SHAPE[1]) - 2.0, (1, 2, *SHAPE)).copy()
    values[:, 1] += 10
    values[:, :, 0] = np.nan
    significant = np.ones(values.shape)
    significant[:, 0, :, 2:] = 0
    significant[np.isnan(values)] = -1
    flag = np.zeros(values.shape, np.int8)
    flag[:, :, 0, :3] = 1
    flag[:, :, 0, 0] |= 4
    flag[:, :, 1, 0] = 4
    return change_toy(values, significant, flag, grid(LATS, LONS))


@pytest.fixture(scope="package")
def cube(tmp_path_factory: pytest.TempPathFactory) -> Cube:
    """All toys; it must not be changed."""
    folder: Path = tmp_path_factory.mktemp("pictures")
    y, x = 1000.0 * np.arange(200, 212, 4), 1000.0 * np.arange(400, 416, 4)
    metres = {
        "y": xr.Variable(("y",), y, {"units": "m", "standard_name": "projection_y_coordinate"}),
        "x": xr.Variable(("x",), x, {"units": "m", "standard_name": "projection_x_coordinate"}),
    }
    count = np.arange(12, dtype=np.int16).reshape(1, 3, 4)
    at = {"long_name": "dry days", "units": "d", "_FillValue": FILL}
    sites = {
        name: xr.Variable(("site",), values, {"units": units})
        for name, values, units in (
            ("lat", np.array([1.0, 1.0, 3.0, 5.0]), "degrees_north"),
            ("lon", np.array([1.0, 2.0, 3.0, 9.0]), "degrees_east"),
        )
    }
    index = np.array([[4.5, np.nan, -1.25, 0.5]], np.float32)
    classes = {"flag_values": [0, 1, 2], "flag_meanings": "none D0 D1", "units": "1", "_FillValue": -1}
    layers = {"depth": xr.Variable(("depth",), np.array([0.05, 2.0]), {"units": "m"})}
    deep = np.ones((2, 2, *SHAPE), np.int16)
    toys = {
        "layers": Toy(
            {"dry_days": (("time", "depth", "lat", "lon"), deep, at)}, {**grid(LATS, LONS), **layers}, years(2001, 2)
        ),
        "observed": seasons(),
        "scenario": seasons(2041, 6, "noleap", told={"reference_product": "historical"}),
        "own": seasons(told={**TOLD, "reference": "self: timing only, a change of the mean is hidden"}),
        "elsewhere": seasons(lats=(3.0, 5.0, 7.0, 9.0)),
        "gap": seasons(without=(1, 3)),
        "dry": dry(),
        "parts": dry(("MAM", "OND")),
        "change": change(),
        "national": Toy(
            {"dry_days": (("time", "y", "x"), count, at)}, metres, years(2001, 1), space=("y", "x"), epsg=27700
        ),
        "sites": Toy(
            {
                "ssmi": (("time", "site"), index, {"long_name": "index", "units": "1"}),
                "drought_class": (("time", "site"), np.array([[0, -1, 2, 1]], np.int8), classes),
            },
            {"site": xr.Variable(("site",), np.arange(4, dtype=np.int32)), **sites},
            years(2001, 1),
            space=("site",),
        ),
    }
    assert not built(folder, toys).failed
    return Cube(folder / "cube")


@pytest.fixture(scope="package")
def days(tmp_path_factory: pytest.TempPathFactory) -> Cube:
    """`dry_days` of day n is n, of 59 days from 2001-01-01."""
    folder: Path = tmp_path_factory.mktemp("days")
    values = np.broadcast_to(np.arange(59, dtype=np.int16)[:, None, None], (59, *SHAPE))
    time = TimeAxis(11323, 59, Step("day"), "standard")
    arrays = {"dry_days": (("time", "lat", "lon"), values, {"long_name": "days", "units": "d", "_FillValue": FILL})}
    assert not built(folder, {"days": Toy(arrays, grid(LATS, LONS), time)}).failed
    return Cube(folder / "cube")
